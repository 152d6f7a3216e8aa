//! Signals, deadlines, and ports in use.

use std::process::Command;
use std::time::{Duration, Instant};

use agentguard::otlp::Signal;
use tempfile::TempDir;
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};
use tonic::Code;

use crate::requests::{ids, one};
use crate::support::daemon::{Daemon, Setup, binary};
use crate::support::process::Process;
use crate::support::stub::{Answer, Stub};
use crate::support::wait::{PATIENCE, free_ports};
use crate::support::wire;

async fn acknowledged(daemon: &Daemon, requests: u64) {
    for id in 0..requests {
        let reply = wire::export(daemon.grpc(), Signal::Traces, &one(id)).await;
        assert_eq!(reply.code(), Code::Ok, "{reply:?}");
    }
}

/// R-STR-6: both signals drain and end with 0, though the next hop is slow.
#[tokio::test]
async fn a_signal_drains_the_queues_and_ends_with_success() {
    for signal in ["TERM", "INT"] {
        let stub = Stub::start().await;
        stub.then(Answer::TakeAfter(Duration::from_millis(50)));
        let mut daemon = Daemon::start(&Setup::new().otlp(stub.address(), "")).await;
        acknowledged(&daemon, 40).await;
        daemon.process().signal(signal);
        let status = daemon.process().finished(PATIENCE).await;
        assert_eq!(status.code(), Some(0), "{signal}");
        let arrived = ids(&stub.taken(Signal::Traces));
        assert_eq!(arrived.len(), 40, "{signal}");
        assert!(daemon.log().contains("stopped"), "{}", daemon.log());
    }
}

#[tokio::test]
async fn what_the_deadline_cuts_off_is_said_and_the_exit_is_still_a_success() {
    let stub = Stub::start().await;
    stub.then(Answer::Hang);
    let setup = Setup::new().arguments(&["--shutdown-timeout=1"]).otlp(
        stub.address(),
        "timeout: 60s\nsending_queue:\n  num_consumers: 2",
    );
    let mut daemon = Daemon::start(&setup).await;
    acknowledged(&daemon, 7).await;
    let started = Instant::now();
    daemon.process().signal("TERM");
    let status = daemon.process().finished(PATIENCE).await;
    assert_eq!(status.code(), Some(0));
    let took = started.elapsed();
    assert!(
        (Duration::from_millis(900)..Duration::from_secs(5)).contains(&took),
        "{took:?}"
    );
    let log = daemon.log();
    let lost = log.matches("data dropped").count();
    assert_eq!(lost, 7, "each is told: {log}");
}

#[tokio::test]
async fn a_second_signal_ends_at_once() {
    let stub = Stub::start().await;
    stub.then(Answer::Hang);
    let mut daemon = Daemon::start(&Setup::new().otlp(stub.address(), "timeout: 60s")).await;
    acknowledged(&daemon, 3).await;
    daemon.process().signal("TERM");
    crate::support::wait::eventually("it is stopping", PATIENCE, || async {
        daemon.log().contains("stopping").then_some(())
    })
    .await;
    let started = Instant::now();
    daemon.process().signal("INT");
    let status = daemon.process().finished(PATIENCE).await;
    assert_eq!(status.code(), Some(1));
    assert!(started.elapsed() < Duration::from_secs(3));
    assert!(daemon.log().contains("ended at once"), "{}", daemon.log());
}

/// A client that hangs in the middle of its request used to have the whole deadline, and the queues nothing of it.
#[tokio::test]
async fn a_client_that_hangs_does_not_use_up_the_time_to_drain() {
    let stub = Stub::start().await;
    stub.then(Answer::TakeAfter(Duration::from_millis(300)));
    let setup = Setup::new()
        .arguments(&["--shutdown-timeout=4"])
        .otlp(stub.address(), "sending_queue:\n  num_consumers: 1");
    let mut daemon = Daemon::start(&setup).await;
    acknowledged(&daemon, 10).await;
    let mut hanging = TcpStream::connect(daemon.http())
        .await
        .expect("a connection");
    let head = "POST /v1/traces HTTP/1.1\r\nhost: test\r\ncontent-type: application/x-protobuf\r\ncontent-length: 99\r\n\r\n";
    hanging
        .write_all(head.as_bytes())
        .await
        .expect("bytes written");
    let mut silent = TcpStream::connect(daemon.grpc())
        .await
        .expect("a connection");
    silent.write_all(b"PRI").await.expect("bytes written");
    daemon.process().signal("TERM");
    let status = daemon.process().finished(PATIENCE).await;
    assert_eq!(status.code(), Some(0));
    assert_eq!(ids(&stub.taken(Signal::Traces)).len(), 10);
}

/// While it drains, nothing new is taken; what was taken before is not lost.
#[tokio::test]
async fn a_request_during_the_stop_is_refused_or_delivered() {
    let stub = Stub::start().await;
    let mut daemon = Daemon::start(&Setup::new().otlp(stub.address(), "")).await;
    let address = daemon.grpc();
    let sender = tokio::spawn(async move {
        let mut taken = Vec::new();
        for id in 0.. {
            let framed = wire::frame(false, &one(id));
            match wire::try_grpc(address, Signal::Traces.grpc_path(), &[], framed).await {
                Ok(reply) if reply.code() == Code::Ok => taken.push(id),
                // refused, or nobody is there any more
                _ => return taken,
            }
        }
        taken
    });
    stub.items(Signal::Traces, 20).await;
    daemon.stop().await;
    let taken = sender.await.expect("a sender");
    let arrived = ids(&stub.taken(Signal::Traces));
    for id in &taken {
        assert_eq!(
            arrived.get(id),
            Some(&1),
            "request {id} of {} was acknowledged",
            taken.len()
        );
    }
}

fn configuration(
    grpc: std::net::SocketAddr,
    health: std::net::SocketAddr,
    metrics: std::net::SocketAddr,
) -> String {
    format!(
        "receivers:\n  otlp:\n    protocols:\n      grpc:\n        endpoint: {grpc}\nexporters:\n  debug:\nextensions:\n  \
         health_check:\n    endpoint: {health}\nservice:\n  extensions: [health_check]\n  telemetry:\n    metrics:\n      \
         readers:\n        - pull:\n            exporter:\n              prometheus:\n                host: {}\n                \
         port: {}\n  pipelines:\n    traces:\n      receivers: [otlp]\n      exporters: [debug]\n",
        metrics.ip(),
        metrics.port(),
    )
}

/// The error names the port, who wanted it, and why it was not to be had.
#[tokio::test]
async fn a_port_in_use_is_a_clear_error() {
    let taken = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let in_use = taken.local_addr().expect("an address");
    let [one, two] = free_ports();
    for (what, yaml) in [
        ("otlp", configuration(in_use, one, two)),
        ("health_check", configuration(one, in_use, two)),
        ("metrics", configuration(one, two, in_use)),
    ] {
        let folder = TempDir::new().expect("a temporary folder");
        let config = folder.path().join("agentguard.yaml");
        std::fs::write(&config, yaml).expect("a configuration");
        let mut command = Command::new(binary());
        command.arg(format!("--config={}", config.display()));
        let mut process = Process::start("agentguard", &mut command, folder.path());
        let status = process.finished(PATIENCE).await;
        assert_eq!(status.code(), Some(1), "{what}");
        let log = process.log();
        for part in [what, &in_use.to_string(), "in use"] {
            assert!(log.contains(part), "`{part}` is not in {log}");
        }
        assert!(!log.contains("panicked"), "{log}");
    }
}
