//! Server duties when there is too much: retryable answers with delays, and what was acknowledged is delivered (D6).

use std::collections::BTreeSet;
use std::time::Duration;

use agentguard::otlp::Signal;
use bytes::Bytes;
use tonic::Code;

use crate::sample;
use crate::support::compare::{Overlook, compare};
use crate::support::daemon::{Daemon, Setup};
use crate::support::stub::{Answer, Stub};
use crate::support::wire::{self, JSON, PROTOBUF, Request};

/// A queue of two requests with one consumer.
const TIGHT: &str = "sending_queue:\n  queue_size: 2\n  num_consumers: 1";

/// More than the queue, its consumer and what is on its way between them can hold.
const TOO_MANY: usize = 50;

/// A stub that takes nothing until told, and a daemon in front of it.
async fn stuck() -> (Daemon, Stub) {
    let stub = Stub::start().await;
    stub.then(Answer::grpc(Code::Unavailable));
    let daemon = Daemon::start(&Setup::new().otlp(stub.address(), TIGHT)).await;
    (daemon, stub)
}

/// Row "overload" over gRPC.
#[tokio::test]
async fn a_full_queue_is_unavailable_with_a_delay_and_what_was_acknowledged_arrives() {
    let (daemon, stub) = stuck().await;
    let mut acknowledged = Vec::new();
    let mut refused = 0;
    for _ in 0..TOO_MANY {
        let request = sample::traces(1);
        let reply = wire::export(daemon.grpc(), Signal::Traces, &request).await;
        if reply.code() == Code::Ok {
            acknowledged.push(request);
            continue;
        }
        assert_eq!(reply.code(), Code::Unavailable, "{reply:?}");
        let delay = wire::retry_info(&reply.status).flatten();
        let delay = delay.unwrap_or_else(|| panic!("a delay in {reply:?}"));
        assert!(
            (Duration::from_millis(1)..Duration::from_secs(60)).contains(&delay),
            "{delay:?}"
        );
        refused += 1;
    }
    assert!(refused > 0 && !acknowledged.is_empty(), "{refused} refused");
    stub.then(Answer::Take);
    let received = stub.items(Signal::Traces, acknowledged.len()).await;
    compare(
        Signal::Traces,
        &acknowledged,
        &received,
        Overlook::default(),
    )
    .expect("exactly the acknowledged");
}

/// Row "overload" over HTTP.
#[tokio::test]
async fn a_full_queue_is_429_or_503_with_retry_after() {
    let (daemon, _stub) = stuck().await;
    let mut refused = Vec::new();
    for kind in [PROTOBUF, JSON] {
        for _ in 0..TOO_MANY {
            let body = match kind {
                JSON => Bytes::from(serde_json::to_vec(&sample::traces_message(1)).expect("JSON")),
                _ => sample::traces(1),
            };
            let reply = wire::http(daemon.http(), Request::post("/v1/traces", kind, body)).await;
            if reply.status != 200 {
                assert!(matches!(reply.status, 429 | 503), "{reply:?}");
                let seconds: u64 = reply.header("retry-after").parse().expect("whole seconds");
                assert!((1..=60).contains(&seconds), "{reply:?}");
                assert_eq!(
                    reply.media_type(),
                    kind,
                    "the reason in the request's encoding"
                );
                refused.push(kind);
            }
        }
    }
    assert!(
        refused.contains(&PROTOBUF) && refused.contains(&JSON),
        "{refused:?}"
    );
}

/// D6: a client's retry of a refused request must not double it where there was room.
#[tokio::test]
async fn what_one_queue_refuses_no_other_queue_holds() {
    let (open, shut) = (Stub::start().await, Stub::start().await);
    shut.then(Answer::grpc(Code::Unavailable));
    let keys = |stub: &Stub| {
        format!(
            "endpoint: {}\ntls:\n  insecure: true\ncompression: none",
            stub.address()
        )
    };
    let retry = "retry_on_failure: {initial_interval: 30ms, max_interval: 100ms}";
    let setup = Setup::new()
        .exporter("otlp/open", &keys(&open))
        .exporter("otlp/shut", &format!("{}\n{retry}\n{TIGHT}", keys(&shut)));
    let mut daemon = Daemon::start(&setup).await;
    let mut acknowledged = Vec::new();
    for _ in 0..TOO_MANY {
        let request = sample::traces(1);
        let reply = wire::export(daemon.grpc(), Signal::Traces, &request).await;
        if reply.code() == Code::Ok {
            acknowledged.push(request);
        }
    }
    assert!(acknowledged.len() < TOO_MANY, "the shut queue refused some");
    shut.then(Answer::Take);
    for stub in [&open, &shut] {
        stub.items(Signal::Traces, acknowledged.len()).await;
    }
    daemon.stop().await;
    for (name, stub) in [("open", open), ("shut", shut)] {
        let received = stub.taken(Signal::Traces);
        compare(
            Signal::Traces,
            &acknowledged,
            &received,
            Overlook::default(),
        )
        .unwrap_or_else(|differences| panic!("{name}: {differences:?}"));
    }
}

/// R-STR-6: a stop drains what was acknowledged.
#[tokio::test]
async fn a_stopped_daemon_delivers_what_it_acknowledged() {
    let stub = Stub::start().await;
    let mut daemon = Daemon::start(&Setup::new().otlp(stub.address(), "")).await;
    let mut sent = Vec::new();
    for signal in Signal::ALL.into_iter().cycle().take(30) {
        let request = sample::request(signal);
        let reply = wire::export(daemon.grpc(), signal, &request).await;
        assert_eq!(reply.code(), Code::Ok, "{reply:?}");
        sent.push((signal, request));
    }
    daemon.stop().await;
    for signal in Signal::ALL {
        let sent = sent.iter().filter(|(of, _)| *of == signal);
        let sent: Vec<Bytes> = sent.map(|(_, request)| request.clone()).collect();
        let equal = compare(signal, &sent, &stub.taken(signal), Overlook::default());
        assert_eq!(equal.expect("all that was acknowledged"), 10);
    }
    let paths: BTreeSet<String> = stub.seen().into_iter().map(|seen| seen.path).collect();
    assert_eq!(paths.len(), 3, "each signal to its service");
}
