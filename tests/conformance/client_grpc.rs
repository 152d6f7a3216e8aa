//! Client duties over gRPC: the daemon in front of a downstream that answers as scripted.

use std::time::{Duration, Instant};

use agentguard::otlp::Signal;
use bytes::Bytes;
use tonic::Code;

use crate::sample;
use crate::support::compare::{Overlook, compare};
use crate::support::daemon::{Daemon, Setup};
use crate::support::stub::{Answer, Seen, Stub};
use crate::support::wait::{PATIENCE, eventually, free_ports};
use crate::support::wire;

/// Codes that a client retries whatever comes with them.
const RETRIED: [Code; 6] = [
    Code::Cancelled,
    Code::DeadlineExceeded,
    Code::Aborted,
    Code::OutOfRange,
    Code::Unavailable,
    Code::DataLoss,
];

/// Codes that a client never retries.
const FINAL: [Code; 9] = [
    Code::Unknown,
    Code::InvalidArgument,
    Code::NotFound,
    Code::AlreadyExists,
    Code::PermissionDenied,
    Code::FailedPrecondition,
    Code::Unimplemented,
    Code::Internal,
    Code::Unauthenticated,
];

const FAILED: &str = "otelcol_exporter_send_failed_spans_total";

async fn exporting(stub: &Stub, more: &str) -> Daemon {
    Daemon::start(&Setup::new().otlp(stub.address(), more)).await
}

async fn send(daemon: &Daemon) -> Bytes {
    let request = sample::traces(1);
    let reply = wire::export(daemon.grpc(), Signal::Traces, &request).await;
    assert_eq!(reply.code(), Code::Ok, "{reply:?}");
    request
}

/// Sends one request and waits until it was tried so often and taken.
async fn taken_after(daemon: &Daemon, stub: &Stub, expected: usize) -> Vec<Seen> {
    let request = send(daemon).await;
    eventually("the request is taken", PATIENCE, || async {
        stub.tries(&request)
            .last()
            .filter(|last| last.taken)
            .map(|_| ())
    })
    .await;
    let tries = stub.tries(&request);
    assert_eq!(tries.len(), expected, "tries until it was taken");
    tries
}

/// Sends one request and waits until the daemon gave it up; it must have been tried once.
async fn given_up_at_once(daemon: &Daemon, stub: &Stub, what: &str) {
    let before = daemon.scrape().await.sum(FAILED, &[]);
    let request = send(daemon).await;
    daemon.counted(FAILED, &[], before + 1.0).await;
    // what is sent afterwards passes, and still there was one try
    taken_after(daemon, stub, 1).await;
    assert_eq!(stub.tries(&request).len(), 1, "{what} is not retried");
}

/// Row "retry only".
#[tokio::test]
async fn retryable_codes_are_retried_until_taken() {
    for code in RETRIED {
        let stub = Stub::start()
            .await
            .answering([Answer::grpc(code), Answer::grpc(code)]);
        let daemon = exporting(&stub, "").await;
        taken_after(&daemon, &stub, 3).await;
    }
}

/// Row "retry only": nothing else, and it is counted as failed.
#[tokio::test]
async fn other_codes_are_never_retried() {
    for code in FINAL {
        let stub = Stub::start().await.answering([Answer::grpc(code)]);
        let daemon = exporting(&stub, "").await;
        given_up_at_once(&daemon, &stub, &format!("{code:?}")).await;
    }
}

/// Row "retry only": `RESOURCE_EXHAUSTED` if and only if `RetryInfo` is present.
#[tokio::test]
async fn resource_exhausted_is_retried_only_with_retry_info() {
    let code = Code::ResourceExhausted;
    let stub = Stub::start().await.answering([Answer::grpc(code)]);
    let daemon = exporting(&stub, "").await;
    given_up_at_once(&daemon, &stub, "without RetryInfo").await;

    let after = Some(Duration::from_millis(20));
    let stub = Stub::start()
        .await
        .answering([Answer::Grpc { code, after }]);
    let daemon = exporting(&stub, "").await;
    taken_after(&daemon, &stub, 2).await;
}

/// Row "honour `RetryInfo.retry_delay`".
#[tokio::test]
async fn the_delay_of_retry_info_is_honoured() {
    for code in [Code::Unavailable, Code::ResourceExhausted] {
        let after = Some(Duration::from_millis(900));
        let stub = Stub::start()
            .await
            .answering([Answer::Grpc { code, after }]);
        let daemon = exporting(&stub, "").await;
        let tries = taken_after(&daemon, &stub, 2).await;
        let waited = tries[1].at - tries[0].at;
        assert!(
            waited >= Duration::from_millis(890),
            "{code:?}: waited {waited:?}"
        );
    }
}

/// Row "else exponential back-off".
#[tokio::test]
async fn without_a_delay_the_waits_grow_up_to_the_maximum() {
    let stub = Stub::start()
        .await
        .answering(vec![Answer::grpc(Code::Unavailable); 5]);
    let retry = "retry_on_failure: {initial_interval: 50ms, multiplier: 2, randomization_factor: 0, max_interval: 300ms}";
    let daemon = exporting(&stub, retry).await;
    let tries = taken_after(&daemon, &stub, 6).await;
    let waits: Vec<_> = tries
        .windows(2)
        .map(|pair| pair[1].at - pair[0].at)
        .collect();
    for (wait, least) in waits.iter().zip([50, 100, 200, 300, 300]) {
        assert!(*wait >= Duration::from_millis(least - 5), "{waits:?}");
    }
}

/// Row "give up at `max_elapsed_time`".
#[tokio::test]
async fn a_request_is_given_up_after_the_time_allowed() {
    let stub = Stub::start().await;
    stub.then(Answer::grpc(Code::Unavailable));
    let retry =
        "retry_on_failure: {initial_interval: 20ms, max_interval: 50ms, max_elapsed_time: 400ms}";
    let daemon = exporting(&stub, retry).await;
    let request = send(&daemon).await;
    daemon.counted(FAILED, &[], 1.0).await;
    assert!(stub.tries(&request).len() > 2, "it was retried before");
    stub.then(Answer::Take);
    taken_after(&daemon, &stub, 1).await;
    assert!(
        stub.tries(&request).iter().all(|seen| !seen.taken),
        "given up for good"
    );
}

/// Row "retry": switched off.
#[tokio::test]
async fn nothing_is_retried_when_retrying_is_disabled() {
    let stub = Stub::start()
        .await
        .answering([Answer::grpc(Code::Unavailable)]);
    let daemon = exporting(&stub, "retry_on_failure: {enabled: false}").await;
    given_up_at_once(&daemon, &stub, "with retrying disabled").await;
}

/// Row "never retry a partial success; count and log it".
#[tokio::test]
async fn a_partial_success_over_grpc_is_counted_and_logged_but_not_retried() {
    let answer = Answer::Partial {
        rejected: 3,
        message: "three were too old",
    };
    let stub = Stub::start().await.answering([answer]);
    let daemon = exporting(&stub, "").await;
    rejected_three(&daemon, &stub).await;
    taken_after(&daemon, &stub, 1).await;
}

/// Sends twenty spans, of which the stub rejects three: told in the log, counted, and tried once.
pub(crate) async fn rejected_three(daemon: &Daemon, stub: &Stub) {
    let request = sample::traces(20);
    let reply = wire::export(daemon.grpc(), Signal::Traces, &request).await;
    assert_eq!(reply.code(), Code::Ok, "{reply:?}");
    eventually("the rejection is logged", PATIENCE, || async {
        daemon.log().contains("three were too old").then_some(())
    })
    .await;
    let lost = "agentguard_exporter_dropped_spans_total";
    let reason = ["reason=\"partial_success\""];
    daemon.counted(lost, &reason, 3.0).await;
    assert_eq!(
        daemon.scrape().await.sum(lost, &[]),
        3.0,
        "and nothing else"
    );
    assert_eq!(stub.tries(&request).len(), 1);
}

/// Row "and lost connections".
#[tokio::test]
async fn a_lost_connection_is_retried() {
    let stub = Stub::start()
        .await
        .answering([Answer::Disconnect, Answer::Disconnect]);
    let daemon = exporting(&stub, "").await;
    taken_after(&daemon, &stub, 3).await;
}

/// Row "and lost connections": refused ones too.
#[tokio::test]
async fn a_downstream_that_starts_later_gets_what_came_before() {
    let [later] = free_ports();
    let daemon = Daemon::start(&Setup::new().otlp(later, "")).await;
    let request = send(&daemon).await;
    daemon
        .counted("agentguard_exporter_retries_total", &[], 1.0)
        .await;
    let stub = Stub::start_at(later).await;
    let received = stub.items(Signal::Traces, 1).await;
    compare(Signal::Traces, &[request], &received, Overlook::default()).expect("what was sent");
}

/// Row "per-try timeout".
#[tokio::test]
async fn a_try_without_an_answer_ends_at_its_timeout_and_is_retried() {
    let stub = Stub::start().await.answering([Answer::Hang]);
    let daemon = exporting(&stub, "timeout: 300ms").await;
    let tries = taken_after(&daemon, &stub, 2).await;
    let waited = tries[1].at - tries[0].at;
    assert!(
        (Duration::from_millis(250)..Duration::from_secs(5)).contains(&waited),
        "{waited:?}"
    );
}

/// Row "per-destination queues: one dead sink blocks no other".
#[tokio::test]
async fn a_hanging_downstream_does_not_hold_up_another() {
    let (dead, alive) = (Stub::start().await, Stub::start().await);
    dead.then(Answer::Hang);
    let keys = |stub: &Stub| {
        format!(
            "endpoint: {}\ntls:\n  insecure: true\ncompression: none",
            stub.address()
        )
    };
    let setup = Setup::new()
        .exporter("otlp/dead", &keys(&dead))
        .exporter("otlp/alive", &keys(&alive));
    let daemon = Daemon::start(&setup).await;
    let started = Instant::now();
    for _ in 0..20 {
        send(&daemon).await;
    }
    alive.items(Signal::Traces, 20).await;
    assert!(started.elapsed() < PATIENCE / 2);
    dead.requests(1).await;
}

/// Row "User-Agent", and what else a call carries.
#[tokio::test]
async fn calls_carry_the_user_agent_and_the_configured_headers() {
    let stub = Stub::start().await;
    let daemon = exporting(
        &stub,
        "headers:\n  x-tenant: blue\n  Authorization: Bearer abc",
    )
    .await;
    for signal in Signal::ALL {
        let request = sample::request(signal);
        wire::export(daemon.grpc(), signal, &request).await;
        stub.items(signal, 1).await;
    }
    for seen in stub.seen() {
        assert_user_agent(&seen);
        assert_eq!(seen.path, seen.signal.grpc_path());
        assert_eq!(seen.header("te"), "trailers");
        assert_eq!(
            (seen.header("x-tenant"), seen.header("authorization")),
            ("blue", "Bearer abc")
        );
        assert!(!seen.compressed, "compression: none");
    }
}

/// `AgentGuard/x OTel-OTLP-Exporter-Rust/y`.
pub(crate) fn assert_user_agent(seen: &Seen) {
    let agent = seen.header("user-agent");
    let product = format!(
        "AgentGuard/{} OTel-OTLP-Exporter-Rust/",
        env!("CARGO_PKG_VERSION")
    );
    let rest = agent
        .strip_prefix(&product)
        .unwrap_or_else(|| panic!("{agent}"));
    assert!(
        rest.starts_with(|first: char| first.is_ascii_digit()),
        "{agent}"
    );
}

/// Row "compression" as a client.
#[tokio::test]
async fn messages_are_compressed_as_configured() {
    for coding in ["gzip", "zstd"] {
        let stub = Stub::start().await;
        let daemon = exporting(&stub, &format!("compression: {coding}")).await;
        let request = sample::traces(20);
        wire::export(daemon.grpc(), Signal::Traces, &request).await;
        let received = stub.items(Signal::Traces, 20).await;
        compare(Signal::Traces, &[request], &received, Overlook::default()).expect("what was sent");
        let seen = stub.seen();
        assert!(seen[0].compressed);
        assert_eq!(seen[0].header("grpc-encoding"), coding);
    }
}

/// The Collector's default: an exporter that says nothing about compression uses gzip.
#[tokio::test]
async fn messages_are_compressed_by_gzip_by_default() {
    let stub = Stub::start().await;
    let keys = format!("endpoint: {}\ntls:\n  insecure: true", stub.address());
    let daemon = Daemon::start(&Setup::new().exporter("otlp", &keys)).await;
    send(&daemon).await;
    assert_eq!(stub.requests(1).await[0].header("grpc-encoding"), "gzip");
}
