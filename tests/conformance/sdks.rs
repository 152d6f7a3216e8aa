//! The official SDKs export through the daemon to the real Collector, and nothing is lost or changed.
//!
//! Each SDK reports one story twice: straight into a stub, which shows what that SDK sends, and through the daemon.

use agentguard::otlp::Signal;

use crate::support::compare::{Overlook, compare, count};
use crate::support::daemon::{Daemon, Setup};
use crate::support::peers::{Collector, Sdk};
use crate::support::stub::Stub;

/// Reports through both ways and compares what arrived of each signal.
async fn arrives_unchanged(sdk: Sdk, protocol: &str, compression: &str) {
    if sdk.command().is_none() {
        return;
    }
    let Some(mut collector) = Collector::to_files().await else {
        return;
    };
    let stub = Stub::start().await;
    sdk.report(stub.address(), protocol, compression).await;

    let mut daemon = Daemon::start(&Setup::new().otlp(collector.grpc(), "")).await;
    let endpoint = if protocol == "grpc" {
        daemon.grpc()
    } else {
        daemon.http()
    };
    sdk.report(endpoint, protocol, compression).await;
    daemon.stop().await;
    collector.stop().await;

    for signal in Signal::ALL {
        let (sent, received) = (stub.taken(signal), collector.written(signal));
        let overlook = Overlook {
            metric_times: true,
            ..Overlook::default()
        };
        let equal = compare(signal, &sent, &received, overlook).unwrap_or_else(|differences| {
            panic!(
                "{sdk:?} {protocol} {compression}, {}: {differences:?}",
                signal.as_str()
            )
        });
        assert_eq!(equal, count(signal, &sent));
    }
    assert_eq!(
        count(Signal::Traces, &stub.taken(Signal::Traces)),
        25,
        "the whole story"
    );
}

/// Python: gRPC and HTTP/protobuf, with and without gzip; traces, metrics and logs.
#[tokio::test]
async fn the_python_sdk_exports_without_error_and_everything_arrives() {
    for protocol in ["grpc", "http/protobuf"] {
        for compression in ["none", "gzip"] {
            arrives_unchanged(Sdk::Python, protocol, compression).await;
        }
    }
}

/// JavaScript: HTTP/JSON and HTTP/protobuf, with and without gzip; traces, metrics and logs.
#[tokio::test]
async fn the_javascript_sdk_exports_without_error_and_everything_arrives() {
    for protocol in ["http/json", "http/protobuf"] {
        for compression in ["none", "gzip"] {
            arrives_unchanged(Sdk::JavaScript, protocol, compression).await;
        }
    }
}

/// Go: gRPC, with and without gzip; traces.
#[tokio::test]
async fn the_go_sdk_exports_without_error_and_everything_arrives() {
    for compression in ["none", "gzip"] {
        arrives_unchanged(Sdk::Go, "grpc", compression).await;
    }
}
