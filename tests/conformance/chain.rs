//! All captures through the daemon, alone and between two Collectors, compared field by field.

use std::path::PathBuf;
use std::process::Command;

use agentguard::otlp::Signal;
use bytes::Bytes;
use tonic::Code;

use crate::sample;
use crate::support::compare::{Overlook, compare, count};
use crate::support::daemon::{self, Daemon, Setup};
use crate::support::peers::{self, Collector};
use crate::support::stub::Stub;
use crate::support::{capture, wire};

/// The recorded requests within reach, and a made-up one with every field, so that there is always something.
fn requests() -> Vec<Bytes> {
    let recorded = capture::all()
        .into_iter()
        .flat_map(|path| capture::records(&path));
    recorded.chain([sample::traces(20)]).collect()
}

async fn send_all(address: std::net::SocketAddr, requests: &[Bytes]) {
    for request in requests {
        let reply = wire::export(address, Signal::Traces, request).await;
        assert_eq!(reply.code(), Code::Ok, "{reply:?}");
    }
}

fn assert_all_arrived(sent: &[Bytes], received: &[Bytes], overlook: Overlook<'_>) {
    let equal = compare(Signal::Traces, sent, received, overlook);
    let equal = equal.unwrap_or_else(|differences| panic!("{differences:?}"));
    assert_eq!(equal, count(Signal::Traces, sent));
}

/// R-STR-4, without any peer: what arrives are the bytes that were sent.
#[tokio::test]
async fn captures_arrive_byte_for_byte() {
    let stub = Stub::start().await;
    let daemon = Daemon::start(&Setup::new().otlp(stub.address(), "")).await;
    for (number, request) in requests().into_iter().enumerate() {
        send_all(daemon.grpc(), std::slice::from_ref(&request)).await;
        // sent one by one, nothing is merged
        let arrived = stub.request(number).await.message;
        let differs = arrived
            .iter()
            .zip(&request)
            .position(|(one, other)| one != other);
        assert!(
            arrived == request,
            "{} of {} bytes, first difference at {differs:?}",
            arrived.len(),
            request.len()
        );
    }
}

/// Both exporters, compressed, JSON on the way: the same spans.
#[tokio::test]
async fn captures_arrive_field_by_field_over_every_kind_of_hop() {
    let sent = requests();
    let kinds = [
        ("otlp", "compression: zstd"),
        ("otlphttp", "compression: gzip"),
        ("otlphttp", "encoding: json"),
    ];
    for (kind, keys) in kinds {
        let stub = Stub::start().await;
        let setup = Setup::new();
        let setup = match kind {
            "otlp" => setup.otlp(stub.address(), keys),
            _ => setup.otlphttp(stub.address(), keys),
        };
        let mut daemon = Daemon::start(&setup).await;
        send_all(daemon.grpc(), &sent).await;
        daemon.stop().await;
        assert_all_arrived(&sent, &stub.taken(Signal::Traces), Overlook::default());
    }
}

/// Collector → daemon → Collector.
#[tokio::test]
async fn captures_pass_between_two_collectors_unchanged() {
    let Some(mut last) = Collector::to_files().await else {
        return;
    };
    let mut daemon = Daemon::start(&Setup::new().otlp(last.grpc(), "compression: gzip")).await;
    let Some(mut first) = Collector::passing_to(daemon.grpc(), "").await else {
        return;
    };
    let sent = requests();
    send_all(first.grpc(), &sent).await;
    for signal in [Signal::Metrics, Signal::Logs] {
        let request = sample::request(signal);
        let reply = wire::export(first.grpc(), signal, &request).await;
        assert_eq!(reply.code(), Code::Ok, "{reply:?}");
        let received = last.received(signal, 1).await;
        compare(signal, &[request], &received, Overlook::default()).expect("what was sent");
    }
    last.received(Signal::Traces, count(Signal::Traces, &sent))
        .await;
    first.stop().await;
    daemon.stop().await;
    last.stop().await;
    assert_all_arrived(&sent, &last.written(Signal::Traces), Overlook::default());
}

/// `agentguard replay` → daemon → Collector, with the guard in between: only its own attributes are added.
#[tokio::test]
async fn replayed_captures_arrive_with_nothing_but_the_guards_attributes_added() {
    let Some(mut last) = Collector::to_files().await else {
        return;
    };
    let pipelines = "traces/in:\n  receivers: [otlp]\n  exporters: [agentguard]\n\
                     traces/out:\n  receivers: [agentguard]\n  exporters: [otlp]\n";
    let setup = Setup::new()
        .sections("connectors:\n  agentguard: {}\n")
        .pipelines(pipelines);
    let mut daemon = Daemon::start(&setup.otlp(last.grpc(), "")).await;
    let files: Vec<PathBuf> = capture::all();
    let sent: Vec<Bytes> = files
        .iter()
        .flat_map(|path| capture::records(path))
        .collect();
    let mut replay = Command::new(daemon::binary());
    replay.arg("replay").args(&files);
    replay.args([
        "--to",
        &format!("http://{}", daemon.grpc()),
        "--speed",
        "max",
    ]);
    let output = peers::run(replay).await;
    assert!(output.status.success(), "{output:?}");
    daemon.stop().await;
    last.stop().await;
    let overlook = Overlook {
        prefix: Some("agentguard."),
        ..Overlook::default()
    };
    assert_all_arrived(&sent, &last.written(Signal::Traces), overlook);
}
