//! `agentguard demo`: the daemon as it comes, and a system of many agents that lives, breaks and recovers before it.
//!
//! ```text
//! Player ─▶ a request a process, each second ─▶ OTLP/gRPC ─▶ the daemon's own port ─▶ … ─▶ published graph ─▶ Watch ─▶ lines
//! ```
//!
//! Nothing is staged behind the port: what is shown is read from the graph that the daemon publishes.
//!
//! **Bounds.** A second's requests are sent before the next second's; a daemon that refuses them slows the telling down.
//! **Not here.** The system and its faults (`demo`), what counts as a change (`watch`).

mod fragile;
mod watch;

use super::configuration::ConfigArguments;
use super::{Exit, replay, run, scan};
use crate::base::{Nanos, Random};
use crate::config::Document;
use crate::config::fragments::Endpoint;
use crate::connectors::agentguard::View;
use crate::demo::{FAULTS, Flush, Kind, Player, REFERENCE, Schedule, encode};
use crate::otlp::{Signal, capture, validate};
use crate::pipeline::{Exporter, Outgoing};
use crate::scan::NodeKind;
use crate::service::{Ended, Plan, RunSettings, run_until};
use crate::telemetry::{LogConfig, LogLevel, Telemetry, logs};
use anyhow::{Context, anyhow, bail};
use clap::Args;
use fragile::Fragile;
use std::io::{self, ErrorKind, Write};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};
use watch::Watch;

/// Less to read on the terminal than the debug exporter would say.
const QUIET: &str = "yaml:exporters::debug::sampling_initial: 0";
const QUIET_AFTER: &str = "yaml:exporters::debug::sampling_thereafter: 0";

/// Spans of a real program: an editor that hands work to a team of writing agents, as Google's agent framework sends them.
const RECORDING: &[u8] = include_bytes!("../../../examples/captures/google-adk.otlp");

/// Where the daemon takes gRPC, and where it does if nothing is said.
const GRPC: &str = "receivers.otlp.protocols.grpc";
const GRPC_PORT: u16 = 4317;

/// From one request of a process to its next, and from one look at the graph to the next.
const SECOND: Duration = Duration::from_secs(1);
/// How long `--once` plays: the first fault begins in it.
const ONCE: Duration = Duration::from_secs(20);
/// Longest wait for the graph to show what was sent.
const PATIENCE: Duration = Duration::from_secs(20);
/// A round of what breaks and recovers.
const ROUND: Duration = Duration::from_secs(90);
/// Seconds from one table to the next, and its rows.
const TABLE_EVERY: u64 = 15;
const TABLE_ROWS: usize = 6;

/// What to do when another program has one of the ports.
const OTHER_PORTS: &str = "a port is taken, perhaps by another agentguard; stop that one, or choose others: \
    --set receivers.otlp.protocols.grpc.endpoint=127.0.0.1:14317 \
    --set receivers.otlp.protocols.http.endpoint=127.0.0.1:14318 \
    --set service.telemetry.metrics.address=127.0.0.1:18888 \
    --set exporters.prometheus.endpoint=127.0.0.1:18889 \
    --set extensions.health_check.endpoint=127.0.0.1:23133";

/// `agentguard demo`
#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:
  agentguard demo          plays until it is stopped; your own spans are welcome beside it
  agentguard demo --once   plays for 20 seconds, shows the graph, and ends

In each round of 90 seconds a model provider fails at 15 s and is back at 35 s, and a tool is slow from 50 s to 70 s.")]
pub struct DemoCommand {
    #[command(flatten)]
    config: ConfigArguments,
    /// Ends after 20 seconds of traffic, with the whole graph.
    #[arg(long)]
    once: bool,
    /// The same number plays the same traffic.
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    seed: u64,
}

impl DemoCommand {
    pub(super) fn execute(&self) -> anyhow::Result<Exit> {
        let config = self.config.clone().with([QUIET, QUIET_AFTER]);
        let (document, plan) = match config.plan() {
            Ok(read) => read,
            Err(exit) => return Ok(exit),
        };
        let to = destination(&document)?;
        let quiet = LogConfig {
            level: LogLevel::Warn,
            ..plan.telemetry.logs.clone()
        };
        logs::init(&quiet, None)?;
        let runtime = run::runtime()?;
        let ended = runtime.block_on(self.show(&document, &plan, to));
        runtime.shutdown_background();
        match ended {
            Err(error) if is_port_taken(&error) => Err(error.context(OTHER_PORTS)),
            ended => ended.map(|_| Exit::Done),
        }
    }

    async fn show(&self, document: &Document, plan: &Plan, to: Endpoint) -> anyhow::Result<Ended> {
        let telemetry = Arc::new(Telemetry::new());
        let service = run::prepare(plan, &telemetry).await?;
        let shared = Arc::clone(service.shared());
        let guards = shared.all::<View>();
        let (_, guard) = guards
            .first()
            .context("the configuration has no `agentguard` connector")?;
        let header = header(document, plan, &to);
        let exporter = replay::exporter(&format!("http://{to}"))?;
        let (guard, once, seed) = (Arc::clone(guard), self.once, self.seed);
        let story = async move {
            say(&header);
            recording(&*exporter, &guard).await?;
            let now = telemetry.clock().now();
            let schedule = Schedule {
                start: now,
                round: ROUND,
                faults: FAULTS,
            };
            let stage = Stage {
                player: Player::new(&REFERENCE, schedule, seed, now),
                start: now,
                started: Instant::now(),
                random: Random::seeded(seed),
                exporter,
                guard,
                sent: 0,
            };
            stage.play(once).await
        };
        run_until(service, RunSettings::default(), story).await
    }
}

/// Whether an address was in use.
fn is_port_taken(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        let cause = cause.downcast_ref::<io::Error>();
        cause.is_some_and(|cause| cause.kind() == ErrorKind::AddrInUse)
    })
}

/// Where the daemon of this configuration takes OTLP/gRPC, as seen from this machine.
fn destination(document: &Document) -> anyhow::Result<Endpoint> {
    let Some(text) = document
        .root()
        .at(&format!("{GRPC}.endpoint"))
        .as_str()
        .map(str::to_owned)
    else {
        if document
            .root()
            .at("receivers.otlp.protocols")
            .get("grpc")
            .is_none()
        {
            bail!("the demonstration is sent over OTLP/gRPC; configure `{GRPC}`");
        }
        return Ok(Endpoint::localhost(GRPC_PORT));
    };
    let mut endpoint: Endpoint = text.parse().map_err(|why: String| anyhow!(why))?;
    if endpoint.port == 0 {
        bail!("the demonstration must know the port; give `{GRPC}.endpoint` one that is not 0");
    }
    let address = endpoint.host.parse::<IpAddr>();
    if endpoint.host.is_empty() || address.is_ok_and(|address| address.is_unspecified()) {
        endpoint.host = Endpoint::localhost(0).host;
    }
    Ok(endpoint)
}

/// What to open, as far as it is configured.
fn header(document: &Document, plan: &Plan, to: &Endpoint) -> String {
    let root = document.root();
    let at = |path: &str| root.at(path).as_str().map(str::to_owned);
    let doors = [
        (
            "OTLP/HTTP",
            at("receivers.otlp.protocols.http.endpoint"),
            "",
        ),
        (
            "graph metrics",
            at("exporters.prometheus.endpoint"),
            "/metrics",
        ),
        (
            "own metrics",
            plan.telemetry.metrics.addresses().into_iter().next(),
            "/metrics",
        ),
        ("health", at("extensions.health_check.endpoint"), "/"),
    ];
    let agents = REFERENCE.components.iter();
    let agents = agents
        .filter(|component| component.kind == Kind::Agent)
        .count();
    let mut lines = vec![
        format!("agentguard is running; a recording and a live system of {agents} agents are sent to it."),
        "In the live system a provider fails at 15 s and is back at 35 s; a tool is slow from 50 s to 70 s; then again.".to_owned(),
        String::new(),
        format!("  {:<14} http://{to}   your own spans are welcome", "OTLP/gRPC"),
    ];
    for (what, address, path) in doors {
        if let Some(address) = address {
            lines.push(format!("  {what:<14} http://{address}{path}"));
        }
    }
    lines.push(String::new());
    lines.push("Ctrl-C stops.".to_owned());
    lines.push(String::new());
    lines.join("\n")
}

/// Sends a recording of a real program, and tells what was found in it.
async fn recording(exporter: &dyn Exporter, guard: &View) -> anyhow::Result<()> {
    let mut random = Random::seeded(0);
    let mut spans = 0;
    for record in capture::records(RECORDING) {
        let record = record?;
        let items = u64::from(validate(record.signal, &record.bytes)?);
        let request = Outgoing {
            signal: record.signal,
            parts: vec![record.bytes],
            items,
        };
        replay::send_one(exporter, request, &mut random)
            .await
            .context("the daemon did not take the recording")?;
        spans += items;
    }
    let started = Instant::now();
    while guard.published().graph.nodes().is_empty() && started.elapsed() < PATIENCE {
        sleep(Duration::from_millis(50)).await;
    }
    let graph = &guard.published().graph;
    let mut lines = vec![format!(
        "First, a recording of a real program, {spans} spans of a newsroom of agents. Found in it:"
    )];
    for (kind, heading) in [
        (NodeKind::Agent, "agents"),
        (NodeKind::Tool, "tools"),
        (NodeKind::Model, "models"),
    ] {
        let names = graph
            .nodes()
            .iter()
            .filter(|row| row.record.key.kind == kind);
        let names: Vec<&str> = names.map(|row| &*row.record.display).collect();
        lines.push(format!("  {heading:<7} {}", names.join(", ")));
    }
    lines.push("Now the system of many agents, live:\n".to_owned());
    say(&lines.join("\n"));
    Ok(())
}

/// Prints on standard output, which may be closed.
fn say(text: &str) {
    drop(writeln!(io::stdout(), "{text}"));
}

/// The demonstration under way.
struct Stage {
    player: Player,
    start: Nanos,
    started: Instant,
    random: Random,
    exporter: Box<dyn Exporter>,
    guard: Arc<View>,
    /// Spans that the daemon took.
    sent: u64,
}

impl Stage {
    /// Plays and tells; for ever, or once.
    async fn play(mut self, once: bool) -> anyhow::Result<()> {
        let (mut watch, mut fragile) = (Watch::default(), Fragile::new(self.start));
        // what the recording showed is told
        drop(watch.look(Duration::ZERO, &self.guard.published()));
        let mut seconds = interval(SECOND);
        seconds.set_missed_tick_behavior(MissedTickBehavior::Delay);
        for second in 0.. {
            seconds.tick().await;
            let at = self.started.elapsed();
            let now = self.start.plus(at);
            let flushes = if once && at > ONCE {
                self.player.ended(now)
            } else {
                self.player.until(now)
            };
            for flush in flushes {
                self.send(flush).await?;
            }
            let published = self.guard.published();
            let mut lines = watch.look(at, &published);
            lines.extend(fragile.look(at, &published));
            for line in lines {
                say(&format!("{:>4} s  {line}", at.as_secs()));
            }
            if second > 0 && second % TABLE_EVERY == 0 {
                let (nodes, edges) = watch.found();
                say(&format!(
                    "\n  {nodes} nodes, {edges} edges, {} spans\n{}\n{}",
                    self.sent,
                    watch.table(TABLE_ROWS),
                    fragile.table(&published, TABLE_ROWS)
                ));
            }
            if once && at > ONCE && self.player.is_idle() {
                break;
            }
        }
        self.settled().await?;
        say(&format!("\n{}", scan::table(&self.guard.published().graph)));
        Ok(())
    }

    /// Sends what one process has to say, again while the daemon asks for that.
    async fn send(&mut self, flush: Flush) -> anyhow::Result<()> {
        let items = flush.spans.len() as u64;
        let request = Outgoing {
            signal: Signal::Traces,
            parts: vec![encode(REFERENCE.namespace, flush.process, &flush.spans)],
            items,
        };
        replay::send_one(&*self.exporter, request, &mut self.random)
            .await
            .context("the daemon did not take the demonstration's spans")?;
        self.sent += items;
        Ok(())
    }

    /// Waits until the published graph has everything that was sent.
    async fn settled(&self) -> anyhow::Result<()> {
        let since = Instant::now();
        while self.guard.numbers().scan.scanned() < self.sent {
            if since.elapsed() > PATIENCE {
                bail!("the graph does not have all spans after {PATIENCE:?}");
            }
            sleep(Duration::from_millis(50)).await;
        }
        // scanned is not yet counted: the shard's inbox, then the next tick
        while self
            .guard
            .numbers()
            .inbox_spans
            .iter()
            .any(|spans| *spans > 0)
        {
            if since.elapsed() > PATIENCE {
                bail!("the shards have not counted all spans after {PATIENCE:?}");
            }
            sleep(Duration::from_millis(50)).await;
        }
        sleep(2 * SECOND).await;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Env;

    fn sent_to(yaml: &str) -> Result<String, String> {
        let (document, _) = Document::load(&[format!("yaml:{yaml}")], &Env::process());
        destination(&document)
            .map(|endpoint| endpoint.to_string())
            .map_err(|error| error.to_string())
    }

    #[test]
    fn spans_go_where_the_receiver_listens() {
        let with = |grpc: &str| {
            sent_to(&format!(
                "receivers: {{otlp: {{protocols: {{grpc: {grpc}}}}}}}"
            ))
        };
        assert_eq!(
            with("{endpoint: 127.0.0.1:14317}").unwrap(),
            "127.0.0.1:14317"
        );
        assert_eq!(with("{endpoint: 0.0.0.0:4400}").unwrap(), "localhost:4400");
        assert_eq!(with("").unwrap(), "localhost:4317");
        assert!(
            with("{endpoint: 127.0.0.1:0}")
                .unwrap_err()
                .contains("not 0")
        );
        let http = sent_to("receivers: {otlp: {protocols: {http: {}}}}");
        assert!(
            http.unwrap_err()
                .contains("configure `receivers.otlp.protocols.grpc`")
        );
    }
}
