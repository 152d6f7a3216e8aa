//! `agentguard run`: the daemon.

use super::configuration::ConfigArguments;
use super::{Exit, terminal};
use crate::base::Nanos;
use crate::service::{Ended, Plan, RunSettings, Service, run};
use crate::telemetry::server::{HttpServer, MetricsPage};
use crate::telemetry::{LogEncoding, MetricsSource, Telemetry, logs};
use anyhow::Context;
use clap::Args;
use std::sync::Arc;
use std::time::Duration;

/// `agentguard run`
#[derive(Clone, Debug, Default, Args)]
#[command(after_help = "Examples:
  agentguard run                                       the built-in configuration: OTLP on 4317 and 4318
  agentguard run --config agentguard.yaml              your own
  agentguard run --config base.yaml --config site.yaml --set exporters.debug.verbosity=detailed

SIGINT or SIGTERM stops it: what is queued is sent, within the time given. A second signal ends it at once.")]
pub struct RunCommand {
    #[command(flatten)]
    config: ConfigArguments,
    /// How our own logs are written, `text` or `json`, whatever the configuration says.
    #[arg(long, value_name = "FORMAT")]
    pub(super) log_format: Option<LogEncoding>,
    /// Seconds that a stop may take; what is queued then is dropped and counted.
    #[arg(long, default_value_t = 30, value_name = "SECONDS")]
    pub(super) shutdown_timeout: u64,
}

impl RunCommand {
    pub(super) fn execute(&self) -> anyhow::Result<Exit> {
        let plan = match self.config.plan() {
            Ok((_, plan)) => plan,
            Err(exit) => return Ok(exit),
        };
        logs::init(&plan.telemetry.logs, self.log_format)?;
        let runtime = runtime()?;
        let settings = RunSettings {
            shutdown_timeout: Duration::from_secs(self.shutdown_timeout),
        };
        let ended = runtime.block_on(async {
            let telemetry = Arc::new(Telemetry::new());
            let service = prepare(&plan, &telemetry).await?;
            run(service, settings).await
        });
        // what a second signal left running must not hold up the end
        runtime.shutdown_background();
        match ended? {
            Ended::Drained => Ok(Exit::Done),
            Ended::AtOnce => {
                terminal::say("ended at once; what was queued is lost");
                Ok(Exit::Failed)
            }
        }
    }
}

/// The runtime of the shell: a worker a core.
pub(super) fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder
        .enable_all()
        .thread_name("agentguard")
        .build()
        .context("starting the runtime")
}

/// Builds a plan, and serves the process's own metrics.
pub(super) async fn prepare(plan: &Plan, telemetry: &Arc<Telemetry>) -> anyhow::Result<Service> {
    let Nanos(seed) = telemetry.clock().now();
    let service = Service::build(plan, telemetry, seed)?;
    for address in plan.telemetry.metrics.addresses() {
        let sources: Vec<Arc<dyn MetricsSource>> = vec![Arc::new(telemetry.registry().clone())];
        let page = Arc::new(MetricsPage::new(sources));
        HttpServer::start("own metrics", &address, page, telemetry.clock())
            .await
            .with_context(|| format!("serving our own metrics on {address}"))?;
    }
    Ok(service)
}
