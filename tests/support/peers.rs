//! The real peers: official SDKs and the Collector, as `.ci/peers` installs them.

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use agentguard::otlp::Signal;
use bytes::Bytes;
use tempfile::TempDir;
use tokio::net::TcpStream;

use crate::support::process::Process;
use crate::support::wait::{PATIENCE, eventually, free_ports};
use crate::support::{capture, compare};

/// Where the programs of the peers are.
const PROGRAMS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/conformance/peers");

/// The installed file of a peer, or nothing after saying that its test is skipped. `AGENTGUARD_PEERS` decides:
/// `none` skips all of them, `required` makes a missing one a failure, otherwise what is installed is used.
///
/// # Panics
/// When it is missing and required.
#[must_use]
pub fn installed(name: &str, file: &str) -> Option<PathBuf> {
    let wanted = std::env::var("AGENTGUARD_PEERS").unwrap_or_default();
    let path = cache()?.join("peers").join(file);
    if wanted != "none" && path.exists() {
        return Some(path);
    }
    assert!(
        wanted != "required",
        "{name} is not installed at {}",
        path.display()
    );
    // not eprintln!: the test runner would keep it to itself
    writeln!(
        std::io::stderr(),
        "skipped: {name} (install with .ci/peers)"
    )
    .ok();
    None
}

fn cache() -> Option<PathBuf> {
    let from = |name| {
        std::env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    from("AGENTGUARD_CI_CACHE")
        .or_else(|| Some(from("XDG_CACHE_HOME")?.join("agentguard-ci")))
        .or_else(|| Some(from("HOME")?.join(".cache/agentguard-ci")))
}

/// An official SDK with the program that reports the story.
#[derive(Clone, Copy, Debug)]
pub enum Sdk {
    /// gRPC and HTTP/protobuf; traces, metrics, logs.
    Python,
    /// HTTP/JSON and HTTP/protobuf; traces, metrics, logs.
    JavaScript,
    /// gRPC; traces.
    Go,
}

impl Sdk {
    /// A command that runs its program, or nothing when it is not installed.
    #[must_use]
    pub fn command(self) -> Option<Command> {
        Some(match self {
            Sdk::Python => {
                let mut command = Command::new(installed("the Python SDK", "python/bin/python")?);
                command.arg(format!("{PROGRAMS}/python/peer.py"));
                command
            }
            Sdk::JavaScript => {
                let modules = installed("the JavaScript SDK", "javascript/node_modules")?;
                let mut command = Command::new("node");
                command.env("NODE_PATH", modules);
                command.arg(format!("{PROGRAMS}/javascript/peer.js"));
                command
            }
            Sdk::Go => Command::new(installed("the Go SDK", "go/peer")?),
        })
    }

    /// Reports the story to an endpoint.
    ///
    /// # Panics
    /// When an export failed: the program ends with 1 and says which.
    pub async fn report(self, endpoint: SocketAddr, protocol: &str, compression: &str) {
        let mut command = self.command().expect("an installed SDK");
        command.args([
            "--endpoint",
            &format!("http://{endpoint}"),
            "--compression",
            compression,
        ]);
        command.args(["--story", &format!("{PROGRAMS}/story.json")]);
        if !matches!(self, Sdk::Go) {
            command.args(["--protocol", protocol]);
        }
        let told = format!("{command:?}");
        let Output {
            status,
            stdout,
            stderr,
        } = run(command).await;
        let (out, err) = (
            String::from_utf8_lossy(&stdout),
            String::from_utf8_lossy(&stderr),
        );
        assert!(status.success(), "{told} ended with {status}\n{out}{err}");
    }
}

/// Runs a command to its end without blocking the test's runtime, which serves the stub.
///
/// # Panics
/// When it cannot be run.
pub async fn run(mut command: Command) -> Output {
    tokio::task::spawn_blocking(move || command.output())
        .await
        .expect("the blocking task ends")
        .expect("the command runs")
}

/// The real Collector.
pub struct Collector {
    process: Process,
    grpc: SocketAddr,
    http: SocketAddr,
    folder: TempDir,
}

impl Collector {
    /// One that writes what it receives to files, or nothing when it is not installed.
    pub async fn to_files() -> Option<Self> {
        let exporters = Signal::ALL.map(|signal| {
            let name = signal.as_str();
            format!("  file/{name}:\n    path: {{folder}}/{name}.bin\n    format: proto\n")
        });
        let pipelines = Signal::ALL.map(|signal| {
            let name = signal.as_str();
            format!("    {name}:\n      receivers: [otlp]\n      exporters: [file/{name}]\n")
        });
        Collector::start(&exporters.concat(), &pipelines.concat()).await
    }

    /// One that passes everything on over OTLP/gRPC, or nothing when it is not installed.
    pub async fn passing_to(next: SocketAddr, keys: &str) -> Option<Self> {
        let exporter =
            format!("  otlp:\n    endpoint: {next}\n    tls:\n      insecure: true\n{keys}");
        let pipelines = Signal::ALL.map(|signal| {
            let name = signal.as_str();
            format!("    {name}:\n      receivers: [otlp]\n      exporters: [otlp]\n")
        });
        Collector::start(&exporter, &pipelines.concat()).await
    }

    async fn start(exporters: &str, pipelines: &str) -> Option<Self> {
        let binary = installed("the Collector", "collector/otelcol")?;
        let folder = TempDir::new().expect("a temporary folder");
        let [grpc, http] = free_ports();
        let exporters = exporters.replace("{folder}", &folder.path().display().to_string());
        let yaml = format!(
            "receivers:\n  otlp:\n    protocols:\n      grpc:\n        endpoint: {grpc}\n        max_recv_msg_size_mib: 64\n      \
             http:\n        endpoint: {http}\nexporters:\n{exporters}service:\n  telemetry:\n    metrics:\n      level: none\n  \
             pipelines:\n{pipelines}"
        );
        let config = folder.path().join("collector.yaml");
        std::fs::write(&config, yaml).expect("a configuration file");
        let mut command = Command::new(binary);
        command.arg(format!("--config={}", config.display()));
        let mut process = Process::start("collector", &mut command, folder.path());
        let running = std::cell::RefCell::new(&mut process);
        eventually("the Collector listens", PATIENCE, || async {
            let ended = running.borrow_mut().ended();
            assert!(ended.is_none(), "the Collector ended with {ended:?}");
            TcpStream::connect(grpc).await.ok()?;
            TcpStream::connect(http).await.ok()
        })
        .await;
        Some(Collector {
            process,
            grpc,
            http,
            folder,
        })
    }

    /// Where it takes OTLP/gRPC.
    #[must_use]
    pub fn grpc(&self) -> SocketAddr {
        self.grpc
    }

    /// Where it takes OTLP/HTTP.
    #[must_use]
    pub fn http(&self) -> SocketAddr {
        self.http
    }

    /// Stops it, which drains what it holds.
    ///
    /// # Panics
    /// When it does not end in time.
    pub async fn stop(&mut self) {
        self.process.stopped(PATIENCE).await;
    }

    /// What it has written of a signal, once there are so many items.
    ///
    /// # Panics
    /// When they do not come in time.
    pub async fn received(&self, signal: Signal, at_least: usize) -> Vec<Bytes> {
        let file = self.file(signal);
        let what = format!("{at_least} items of {} at the Collector", signal.as_str());
        eventually(&what, PATIENCE * 3, || async {
            let requests = capture::collector_file(&file);
            (compare::count(signal, &requests) >= at_least).then_some(requests)
        })
        .await
    }

    /// All that it wrote of a signal; complete after [`Collector::stop`].
    #[must_use]
    pub fn written(&self, signal: Signal) -> Vec<Bytes> {
        capture::collector_file(&self.file(signal))
    }

    fn file(&self, signal: Signal) -> PathBuf {
        Path::new(self.folder.path()).join(format!("{}.bin", signal.as_str()))
    }
}
