//! The daemon as its users run it: the built binary, a YAML file, real ports.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};

use tempfile::TempDir;

use crate::support::metrics::Scrape;
use crate::support::process::Process;
use crate::support::wait::{PATIENCE, eventually, free_ports};
use crate::support::wire;

/// How often a start is tried again when another process took a port in between.
const STARTS: usize = 3;

/// A configuration to be written: an `otlp` receiver, exporters, and a pipeline of each signal through all of them.
///
/// What it writes is also a Collector's configuration, so that tests can be tried on the real one
/// (`AGENTGUARD_TEST_BINARY`).
#[derive(Clone, Default)]
pub struct Setup {
    arguments: Vec<String>,
    receiver: String,
    grpc: String,
    http: String,
    exporters: Vec<(String, String)>,
    sections: String,
    pipelines: Option<String>,
}

impl Setup {
    /// A receiver and nothing else yet.
    #[must_use]
    pub fn new() -> Self {
        Setup::default()
    }

    /// Arguments besides `--config`.
    #[must_use]
    pub fn arguments(mut self, arguments: &[&str]) -> Self {
        self.arguments = arguments.iter().map(ToString::to_string).collect();
        self
    }

    /// Keys under `receivers.otlp`.
    #[must_use]
    pub fn receiver(mut self, keys: &str) -> Self {
        self.receiver = keys.to_owned();
        self
    }

    /// Keys under `receivers.otlp.protocols.grpc`.
    #[must_use]
    pub fn grpc(mut self, keys: &str) -> Self {
        self.grpc = keys.to_owned();
        self
    }

    /// Keys under `receivers.otlp.protocols.http`.
    #[must_use]
    pub fn http(mut self, keys: &str) -> Self {
        self.http = keys.to_owned();
        self
    }

    /// An exporter with its keys.
    #[must_use]
    pub fn exporter(mut self, id: &str, keys: &str) -> Self {
        self.exporters.push((id.to_owned(), keys.to_owned()));
        self
    }

    /// An `otlp` (gRPC) exporter, uncompressed, quick to retry; more keys may follow.
    #[must_use]
    pub fn otlp(self, to: SocketAddr, more: &str) -> Self {
        let keys = format!("endpoint: {to}\ntls:\n  insecure: true\n{}", quick(more));
        self.exporter("otlp", &keys)
    }

    /// An `otlphttp` exporter, uncompressed, quick to retry; more keys may follow.
    #[must_use]
    pub fn otlphttp(self, to: SocketAddr, more: &str) -> Self {
        let keys = format!("endpoint: http://{to}\n{}", quick(more));
        self.exporter("otlphttp", &keys)
    }

    /// Whole top-level sections, such as `connectors:` or `processors:`.
    #[must_use]
    pub fn sections(mut self, yaml: &str) -> Self {
        self.sections = yaml.to_owned();
        self
    }

    /// The pipelines, where they are not the plain ones.
    #[must_use]
    pub fn pipelines(mut self, yaml: &str) -> Self {
        self.pipelines = Some(yaml.to_owned());
        self
    }

    fn yaml(&self, ports: Ports) -> String {
        let mut yaml = format!(
            "receivers:\n  otlp:\n{}    protocols:\n      grpc:\n        endpoint: {}\n{}      http:\n        endpoint: {}\n{}",
            indent(4, &self.receiver),
            ports.grpc,
            indent(8, &self.grpc),
            ports.http,
            indent(8, &self.http),
        );
        yaml += "exporters:\n";
        for (id, keys) in &self.exporters {
            write!(yaml, "  {id}:\n{}", indent(4, keys)).expect("memory takes all");
        }
        yaml += &indent(0, &self.sections);
        write!(
            yaml,
            "extensions:\n  health_check:\n    endpoint: {}\nservice:\n  extensions: [health_check]\n  telemetry:\n    \
             metrics:\n      readers:\n        - pull:\n            exporter:\n              prometheus:\n                \
             host: {}\n                port: {}\n  pipelines:\n",
            ports.health,
            ports.metrics.ip(),
            ports.metrics.port(),
        )
        .expect("memory takes all");
        yaml += &indent(
            4,
            &self
                .pipelines
                .clone()
                .unwrap_or_else(|| self.plain_pipelines()),
        );
        yaml
    }

    fn plain_pipelines(&self) -> String {
        let ids: Vec<&str> = self.exporters.iter().map(|(id, _)| id.as_str()).collect();
        let ids = ids.join(", ");
        ["traces", "metrics", "logs"]
            .map(|signal| format!("{signal}:\n  receivers: [otlp]\n  exporters: [{ids}]\n"))
            .concat()
    }
}

/// The keys that make an exporter plain and quick, but for those given.
fn quick(more: &str) -> String {
    let mut keys = more.to_owned();
    let mut add = |key: &str, value: &str| {
        let given = more.lines().any(|line| line.starts_with(key));
        if !given {
            keys += &format!("\n{key}: {value}");
        }
    };
    add("compression", "none");
    add("timeout", "2s");
    add(
        "retry_on_failure",
        "{enabled: true, initial_interval: 30ms, max_interval: 100ms, max_elapsed_time: 30s}",
    );
    keys
}

fn indent(by: usize, text: &str) -> String {
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    lines.map(|line| format!("{:by$}{line}\n", "")).collect()
}

#[derive(Clone, Copy)]
struct Ports {
    grpc: SocketAddr,
    http: SocketAddr,
    metrics: SocketAddr,
    health: SocketAddr,
}

/// The running daemon; dropping it ends it.
pub struct Daemon {
    process: Process,
    ports: Ports,
    folder: TempDir,
}

impl Daemon {
    /// Starts it and waits until it is ready.
    ///
    /// # Panics
    /// When it ends or does not become ready.
    pub async fn start(setup: &Setup) -> Self {
        let mut starts = 1;
        loop {
            match Daemon::try_start(setup).await {
                Ok(daemon) => return daemon,
                Err((_, log)) if log.contains("in use") && starts < STARTS => starts += 1,
                Err((status, log)) => {
                    panic!("the daemon ended with {status} instead of starting:\n{log}")
                }
            }
        }
    }

    async fn try_start(setup: &Setup) -> Result<Self, (ExitStatus, String)> {
        let [grpc, http, metrics, health] = free_ports();
        let ports = Ports {
            grpc,
            http,
            metrics,
            health,
        };
        let folder = TempDir::new().expect("a temporary folder");
        let config = folder.path().join("agentguard.yaml");
        std::fs::write(&config, setup.yaml(ports)).expect("a configuration file");
        let mut command = Command::new(binary());
        command.arg(format!("--config={}", config.display()));
        command.args(&setup.arguments);
        let mut process = Process::start("agentguard", &mut command, folder.path());
        let ended = {
            let process = std::cell::RefCell::new(&mut process);
            eventually("the daemon is ready", PATIENCE, || async {
                if let Some(status) = process.borrow_mut().ended() {
                    return Some(Some(status));
                }
                let reply = wire::try_http(health, wire::Request::get("/")).await.ok()?;
                (reply.status == 200).then_some(None)
            })
            .await
        };
        match ended {
            Some(status) => Err((status, process.log())),
            None => Ok(Daemon {
                process,
                ports,
                folder,
            }),
        }
    }

    /// Where it takes OTLP/gRPC.
    #[must_use]
    pub fn grpc(&self) -> SocketAddr {
        self.ports.grpc
    }

    /// Where it takes OTLP/HTTP.
    #[must_use]
    pub fn http(&self) -> SocketAddr {
        self.ports.http
    }

    /// Where it says how it is.
    #[must_use]
    pub fn health(&self) -> SocketAddr {
        self.ports.health
    }

    /// Where it shows its own metrics.
    #[must_use]
    pub fn metrics(&self) -> SocketAddr {
        self.ports.metrics
    }

    /// Its folder for this run, empty but for the configuration and the log.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Its own metrics, now.
    ///
    /// # Panics
    /// When they are not served.
    pub async fn scrape(&self) -> Scrape {
        Scrape::of(self.ports.metrics).await
    }

    /// Waits until a counter, summed over its series with these labels, is at least so high.
    ///
    /// # Panics
    /// When it does not get there in time.
    pub async fn counted(&self, name: &str, labels: &[&str], at_least: f64) {
        eventually(&format!("{name} ≥ {at_least}"), PATIENCE, || async {
            let sum = self.scrape().await.sum(name, labels);
            (sum >= at_least).then_some(())
        })
        .await;
    }

    /// What it logged so far.
    #[must_use]
    pub fn log(&self) -> String {
        self.process.log()
    }

    /// The process, to signal and to await.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// Asks it to stop and waits until it has drained.
    ///
    /// # Panics
    /// When it does not end in time, or not with success.
    pub async fn stop(&mut self) {
        let status = self.process.stopped(PATIENCE).await;
        assert!(status.success(), "the daemon ended with {status}");
    }
}

/// The binary under test: ours, or another that takes the same configuration (`AGENTGUARD_TEST_BINARY`).
#[must_use]
pub fn binary() -> PathBuf {
    std::env::var_os("AGENTGUARD_TEST_BINARY").map_or_else(
        || PathBuf::from(env!("CARGO_BIN_EXE_agentguard")),
        PathBuf::from,
    )
}
