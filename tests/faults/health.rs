//! `agentguard health`, as a container asks it.

use std::net::SocketAddr;
use std::process::{Command, Output};

use tokio::net::TcpListener;

use crate::support::daemon::{Daemon, Setup, binary};
use crate::support::stub::{Answer, Stub};
use crate::support::wait::{PATIENCE, eventually, free_ports};

async fn ask(address: SocketAddr, timeout: u64) -> Output {
    tokio::task::spawn_blocking(move || {
        Command::new(binary())
            .args(["health", "--url", &format!("http://{address}/")])
            .args(["--timeout", &timeout.to_string()])
            .output()
            .expect("the program")
    })
    .await
    .expect("an output")
}

fn said(output: &Output) -> String {
    [&output.stdout[..], &output.stderr]
        .map(String::from_utf8_lossy)
        .concat()
}

#[tokio::test]
async fn a_daemon_at_work_is_well() {
    let stub = Stub::start().await;
    let daemon = Daemon::start(&Setup::new().otlp(stub.address(), "")).await;
    let output = ask(daemon.health(), 5).await;
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert!(!output.stdout.is_empty(), "it says how it is");
}

/// A dead next hop is not the daemon's death: a restart would only lose what is queued.
#[tokio::test]
async fn a_next_hop_that_is_down_does_not_make_it_ill() {
    let [nobody] = free_ports();
    let daemon = Daemon::start(&Setup::new().otlp(nobody, "")).await;
    crate::support::wire::export(
        daemon.grpc(),
        agentguard::otlp::Signal::Traces,
        &crate::requests::one(1),
    )
    .await;
    daemon
        .counted("agentguard_exporter_retries_total", &[], 3.0)
        .await;
    assert_eq!(ask(daemon.health(), 5).await.status.code(), Some(0));
}

#[tokio::test]
async fn a_daemon_that_is_stopping_is_failing() {
    let stub = Stub::start().await;
    stub.then(Answer::Hang);
    let mut daemon = Daemon::start(&Setup::new().otlp(stub.address(), "timeout: 60s")).await;
    let request = crate::requests::one(1);
    crate::support::wire::export(daemon.grpc(), agentguard::otlp::Signal::Traces, &request).await;
    stub.requests(1).await;
    daemon.process().signal("TERM");
    let address = daemon.health();
    let output = eventually("it says that it is stopping", PATIENCE, || async {
        let output = ask(address, 5).await;
        (output.status.code() != Some(0)).then_some(output)
    })
    .await;
    assert_eq!(output.status.code(), Some(1));
    assert!(said(&output).contains("shutting down"), "{}", said(&output));
}

#[tokio::test]
async fn nobody_there_and_no_answer_are_failures_that_say_so() {
    let [nobody] = free_ports();
    let output = ask(nobody, 5).await;
    assert_eq!(output.status.code(), Some(1));
    assert!(
        said(&output).contains("does not answer"),
        "{}",
        said(&output)
    );
    let silent = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let output = ask(silent.local_addr().expect("an address"), 1).await;
    assert_eq!(output.status.code(), Some(1));
    assert!(
        said(&output).contains("did not answer within"),
        "{}",
        said(&output)
    );
}
