//! Client duties over HTTP: the daemon in front of a downstream that answers as scripted.

use std::process::Command;
use std::time::Duration;

use agentguard::otlp::Signal;
use bytes::Bytes;
use tonic::Code;

use crate::client_grpc::{assert_user_agent, rejected_three};
use crate::sample;
use crate::support::compare::{Overlook, compare};
use crate::support::daemon::{Daemon, Setup};
use crate::support::stub::{Answer, Seen, Stub};
use crate::support::wait::{PATIENCE, eventually};
use crate::support::wire::{self, JSON, PROTOBUF};

const FAILED: &str = "otelcol_exporter_send_failed_spans_total";

async fn exporting(stub: &Stub, more: &str) -> Daemon {
    Daemon::start(&Setup::new().otlphttp(stub.address(), more)).await
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

/// Row "retry only": HTTP 429, 502, 503, 504.
#[tokio::test]
async fn retryable_statuses_are_retried_until_taken() {
    for status in [429, 502, 503, 504] {
        let stub = Stub::start()
            .await
            .answering([Answer::http(status), Answer::http(status)]);
        let daemon = exporting(&stub, "").await;
        taken_after(&daemon, &stub, 3).await;
    }
}

/// Row "retry only": nothing else, redirects neither.
#[tokio::test]
async fn other_statuses_are_never_retried() {
    for status in [
        301, 307, 400, 401, 403, 404, 405, 408, 413, 415, 500, 501, 505,
    ] {
        let stub = Stub::start().await.answering([Answer::Http {
            status,
            headers: vec![
                ("location", "/v1/traces".to_owned()),
                ("retry-after", "1".to_owned()),
            ],
        }]);
        let daemon = exporting(&stub, "").await;
        let request = send(&daemon).await;
        daemon.counted(FAILED, &[], 1.0).await;
        taken_after(&daemon, &stub, 1).await;
        assert_eq!(stub.tries(&request).len(), 1, "{status} is not retried");
    }
}

/// Row "honour `Retry-After`": in seconds.
#[tokio::test]
async fn a_retry_after_in_seconds_is_honoured() {
    for status in [429, 503] {
        let headers = vec![("retry-after", "1".to_owned())];
        let stub = Stub::start()
            .await
            .answering([Answer::Http { status, headers }]);
        let daemon = exporting(&stub, "").await;
        let tries = taken_after(&daemon, &stub, 2).await;
        let waited = tries[1].at - tries[0].at;
        assert!(
            waited >= Duration::from_millis(990),
            "{status}: waited {waited:?}"
        );
    }
}

/// Row "honour `Retry-After`": as a date.
#[tokio::test]
async fn a_retry_after_as_a_date_is_honoured() {
    let date = Command::new("date")
        .env("LC_ALL", "C")
        .args(["--utc", "--date", "3 seconds", "+%a, %d %b %Y %H:%M:%S GMT"])
        .output()
        .expect("the program `date`");
    let date = String::from_utf8(date.stdout)
        .expect("text")
        .trim()
        .to_owned();
    let headers = vec![("retry-after", date)];
    let stub = Stub::start().await.answering([Answer::Http {
        status: 503,
        headers,
    }]);
    let daemon = exporting(&stub, "").await;
    let tries = taken_after(&daemon, &stub, 2).await;
    let waited = tries[1].at - tries[0].at;
    // whole seconds, less the daemon's start
    assert!(
        (Duration::from_millis(500)..Duration::from_secs(6)).contains(&waited),
        "{waited:?}"
    );
}

/// Row "and lost connections", "per-try timeout".
#[tokio::test]
async fn a_lost_connection_and_a_missing_answer_are_retried() {
    let stub = Stub::start()
        .await
        .answering([Answer::Disconnect, Answer::Hang]);
    let daemon = exporting(&stub, "timeout: 300ms").await;
    taken_after(&daemon, &stub, 3).await;
}

/// Row "never retry a partial success; count and log it".
#[tokio::test]
async fn a_partial_success_over_http_is_counted_and_logged_but_not_retried() {
    for encoding in ["proto", "json"] {
        let answer = Answer::Partial {
            rejected: 3,
            message: "three were too old",
        };
        let stub = Stub::start().await.answering([answer]);
        let daemon = exporting(&stub, &format!("encoding: {encoding}")).await;
        rejected_three(&daemon, &stub).await;
        taken_after(&daemon, &stub, 1).await;
    }
}

/// Row "User-Agent"; paths, encodings and headers as configured.
#[tokio::test]
async fn requests_go_to_their_paths_in_the_configured_encoding() {
    for (encoding, kind) in [("proto", PROTOBUF), ("json", JSON)] {
        let stub = Stub::start().await;
        let more = format!("encoding: {encoding}\nheaders:\n  x-tenant: blue");
        let daemon = exporting(&stub, &more).await;
        for signal in Signal::ALL {
            let request = sample::request(signal);
            wire::export(daemon.grpc(), signal, &request).await;
            let received = stub.items(signal, 1).await;
            compare(signal, &[request], &received, Overlook::default()).expect("what was sent");
        }
        for seen in stub.seen() {
            assert_user_agent(&seen);
            assert_eq!(seen.path, seen.signal.http_path());
            assert_eq!(
                (seen.header("content-type"), seen.header("x-tenant")),
                (kind, "blue")
            );
            assert!(!seen.compressed, "compression: none");
        }
    }
}

/// Row "compression" as a client.
#[tokio::test]
async fn bodies_are_compressed_as_configured() {
    for coding in ["gzip", "zstd"] {
        let stub = Stub::start().await;
        let daemon = exporting(&stub, &format!("compression: {coding}")).await;
        let request = sample::traces(20);
        wire::export(daemon.grpc(), Signal::Traces, &request).await;
        let received = stub.items(Signal::Traces, 20).await;
        compare(Signal::Traces, &[request], &received, Overlook::default()).expect("what was sent");
        assert_eq!(stub.seen()[0].header("content-encoding"), coding);
    }
}
