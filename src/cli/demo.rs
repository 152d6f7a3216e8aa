//! `agentguard demo`: the daemon as it comes, with recorded traffic of a real multi-agent program sent into it.

use super::configuration::ConfigArguments;
use super::replay::{self, Speed};
use super::scan;
use super::{Exit, run, terminal};
use crate::config::fragments::Endpoint;
use crate::connectors::agentguard::View;
use crate::otlp::capture;
use crate::service::{Ended, Plan, RunSettings, run_until};
use crate::telemetry::{LogConfig, LogLevel, Telemetry, logs};
use anyhow::Context;
use clap::Args;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// Spans of a real program: an editor that hands work to a team of writing agents, recorded with Google's agent framework.
const CAPTURE: &[u8] = include_bytes!("../../examples/captures/google-adk.otlp");
/// Less to read on the terminal than the debug exporter would say.
const QUIET: &str = "yaml:exporters::debug::sampling_initial: 0";
const QUIET_AFTER: &str = "yaml:exporters::debug::sampling_thereafter: 0";
/// Longest wait for the graph to show what was sent.
const PATIENCE: Duration = Duration::from_secs(20);

/// `agentguard demo`
#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:
  agentguard demo          shows what it finds, then waits for your own spans
  agentguard demo --once   shows what it finds, and ends")]
pub struct DemoCommand {
    #[command(flatten)]
    config: ConfigArguments,
    /// Ends after the graph was shown, instead of waiting for your own traffic.
    #[arg(long)]
    once: bool,
}

impl DemoCommand {
    pub(super) fn execute(&self) -> anyhow::Result<Exit> {
        let config = self.config.clone().with([QUIET, QUIET_AFTER]);
        let plan = match config.plan() {
            Ok((_, plan)) => plan,
            Err(exit) => return Ok(exit),
        };
        let quiet = LogConfig {
            level: LogLevel::Warn,
            ..plan.telemetry.logs.clone()
        };
        logs::init(&quiet, None)?;
        let runtime = run::runtime()?;
        let ended = runtime.block_on(self.show(&plan));
        runtime.shutdown_background();
        ended.map(|_| Exit::Done)
    }

    async fn show(&self, plan: &Plan) -> anyhow::Result<Ended> {
        let telemetry = Arc::new(Telemetry::new());
        let service = run::prepare(plan, &telemetry).await?;
        let shared = Arc::clone(service.shared());
        let guards = shared.all::<View>();
        let (_, guard) = guards
            .first()
            .context("the configuration has no `agentguard` connector")?;
        let story = tell(Arc::clone(guard), self.once);
        run_until(service, RunSettings::default(), story).await
    }
}

/// Sends the recording, waits for its graph, prints it; then returns, or waits for ever.
async fn tell(guard: Arc<View>, once: bool) -> anyhow::Result<()> {
    let records: Result<Vec<_>, _> = capture::records(CAPTURE).collect();
    let to = format!(
        "http://{}",
        Endpoint {
            host: "127.0.0.1".into(),
            port: 4317
        }
    );
    println!(
        "agentguard is running; sending it a recording of a multi-agent program over OTLP/gRPC …\n"
    );
    let sent = replay::send(&to, records?, Speed::Max).await?;
    let started = Instant::now();
    while guard.published().nodes().is_empty() && started.elapsed() < PATIENCE {
        sleep(Duration::from_millis(50)).await;
    }
    // one more tick, so that what came last is in it
    sleep(Duration::from_millis(1_200)).await;
    println!(
        "{} requests with {} spans sent. What agentguard found in them:\n",
        sent.requests, sent.items
    );
    println!("{}", scan::table(&guard.published()));
    if once {
        return Ok(());
    }
    println!(
        "Now your own: point an OpenTelemetry SDK at http://127.0.0.1:4317 (gRPC) or http://127.0.0.1:4318 (HTTP)."
    );
    println!("  metrics   http://127.0.0.1:8888/metrics");
    println!("  health    http://127.0.0.1:13133/");
    println!("Ctrl-C stops.");
    terminal::say("");
    std::future::pending().await
}
