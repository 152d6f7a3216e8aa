//! Server duties over gRPC, row by row.

use agentguard::otlp::Signal;
use bytes::Bytes;
use tonic::Code;

use crate::sample;
use crate::support::compare::{Overlook, compare};
use crate::support::daemon::{Daemon, Setup};
use crate::support::stub::Stub;
use crate::support::wire::{self, GrpcReply};

const MIB: usize = 1 << 20;

/// A daemon that takes 1 MiB, in front of a stub that takes everything.
async fn small() -> (Daemon, Stub) {
    let stub = Stub::start().await;
    let setup = Setup::new()
        .grpc("max_recv_msg_size_mib: 1")
        .otlp(stub.address(), "");
    (Daemon::start(&setup).await, stub)
}

async fn compressed(daemon: &Daemon, coding: &str, message: &[u8]) -> GrpcReply {
    let payload = match coding {
        "gzip" => wire::gzip(message),
        _ => wire::zstd(message),
    };
    let path = Signal::Traces.grpc_path();
    let headers = [("grpc-encoding", coding)];
    wire::grpc(daemon.grpc(), path, &headers, wire::frame(true, &payload)).await
}

/// Row "entry", "full success".
#[tokio::test]
async fn each_service_takes_a_request_and_answers_with_an_empty_message() {
    let (daemon, stub) = small().await;
    for signal in Signal::ALL {
        let request = sample::request(signal);
        let reply = wire::export(daemon.grpc(), signal, &request).await;
        assert_eq!(reply.code(), Code::Ok, "{signal:?}: {reply:?}");
        assert_eq!(reply.http, 200);
        assert_eq!(reply.headers["content-type"], "application/grpc");
        assert_eq!(
            reply.message.as_deref(),
            Some(&b""[..]),
            "partial_success is unset"
        );
        let received = stub.items(signal, 1).await;
        compare(signal, &[request], &received, Overlook::default()).expect("what was sent");
    }
}

/// Row "empty request".
#[tokio::test]
async fn an_empty_grpc_request_is_a_success() {
    let (daemon, stub) = small().await;
    for signal in Signal::ALL {
        let reply = wire::export(daemon.grpc(), signal, b"").await;
        assert_eq!(reply.code(), Code::Ok, "{signal:?}: {reply:?}");
        assert_eq!(reply.message.as_deref(), Some(&b""[..]));
    }
    assert_eq!(
        stub.taken(Signal::Traces)
            .iter()
            .map(Bytes::len)
            .sum::<usize>(),
        0
    );
}

/// Row "compression".
#[tokio::test]
async fn messages_compressed_by_gzip_and_zstd_are_taken() {
    let (daemon, stub) = small().await;
    for (coding, spans) in [("gzip", 1), ("zstd", 2)] {
        let request = sample::traces(1);
        let reply = compressed(&daemon, coding, &request).await;
        assert_eq!(reply.code(), Code::Ok, "{coding}: {reply:?}");
        let received = stub.items(Signal::Traces, spans).await;
        assert!(
            received.contains(&request),
            "{coding} arrives as it was before compression"
        );
    }
}

/// Row "compression": what gRPC itself asks of a server that does not know the coding.
#[tokio::test]
async fn an_unknown_coding_is_unimplemented_and_the_known_ones_are_named() {
    let (daemon, _stub) = small().await;
    let body = wire::frame(true, &sample::traces(1));
    let headers = [("grpc-encoding", "snappy")];
    let reply = wire::grpc(daemon.grpc(), Signal::Traces.grpc_path(), &headers, body).await;
    assert_eq!(reply.code(), Code::Unimplemented, "{reply:?}");
    let named = reply
        .headers
        .get("grpc-accept-encoding")
        .and_then(|value| value.to_str().ok());
    assert!(
        named.is_some_and(|named| named.contains("gzip") && named.contains("zstd")),
        "{reply:?}"
    );
}

/// Row "request limit": the limit itself is allowed.
#[tokio::test]
async fn a_message_of_exactly_the_limit_is_taken() {
    let (daemon, stub) = small().await;
    let request = sample::traces_of_size(MIB);
    let reply = wire::export(daemon.grpc(), Signal::Traces, &request).await;
    assert_eq!(reply.code(), Code::Ok, "{reply:?}");
    let reply = compressed(&daemon, "gzip", &request).await;
    assert_eq!(reply.code(), Code::Ok, "{reply:?}");
    stub.items(Signal::Traces, 2).await;
}

/// Row "request limit", trap 1: not `OUT_OF_RANGE`, which clients would retry for ever.
#[tokio::test]
async fn a_message_over_the_limit_is_resource_exhausted_and_not_to_be_retried() {
    let (daemon, stub) = small().await;
    let request = sample::traces_of_size(MIB + 1);
    let reply = wire::export(daemon.grpc(), Signal::Traces, &request).await;
    assert_eq!(reply.code(), Code::ResourceExhausted, "{reply:?}");
    assert_eq!(wire::retry_info(&reply.status), None, "{reply:?}");
    assert!(stub.seen().is_empty());
}

/// Row "request limit": enforced also after decompression.
#[tokio::test]
async fn a_message_over_the_limit_after_decompression_is_refused_alike() {
    let (daemon, stub) = small().await;
    for size in [MIB + 1, 20 * MIB] {
        let request = sample::traces_of_size(size);
        for coding in ["gzip", "zstd"] {
            let reply = compressed(&daemon, coding, &request).await;
            assert_eq!(
                reply.code(),
                Code::ResourceExhausted,
                "{coding} {size}: {reply:?}"
            );
            assert_eq!(wire::retry_info(&reply.status), None, "{reply:?}");
        }
    }
    assert!(stub.seen().is_empty());
}

/// Row "request limit": the recommended 64 MiB when nothing is configured.
#[tokio::test]
async fn the_default_limit_is_64_mib() {
    let stub = Stub::start().await;
    let daemon = Daemon::start(&Setup::new().otlp(stub.address(), "")).await;
    for (size, code) in [
        (64 * MIB, Code::Ok),
        (64 * MIB + 1, Code::ResourceExhausted),
    ] {
        let request = sample::traces_of_size(size);
        let reply = wire::export(daemon.grpc(), Signal::Traces, &request).await;
        assert_eq!(reply.code(), code, "{size}: {reply:?}");
    }
}

/// Row "undecodable"; trap 3: the reason is short, whatever came.
#[tokio::test]
async fn an_undecodable_message_is_an_invalid_argument_told_shortly() {
    let (daemon, stub) = small().await;
    for (what, bytes) in sample::broken() {
        let reply = wire::export(daemon.grpc(), Signal::Traces, &bytes).await;
        assert_eq!(reply.code(), Code::InvalidArgument, "{what}: {reply:?}");
        let message = reply.status.message();
        assert!(
            !message.is_empty() && message.len() <= 512,
            "{what}: {message}"
        );
        assert_eq!(wire::retry_info(&reply.status), None, "{what}");
    }
    for signal in [Signal::Metrics, Signal::Logs] {
        let reply = wire::export(daemon.grpc(), signal, b"\x0a\x7f\x0a").await;
        assert_eq!(reply.code(), Code::InvalidArgument, "{signal:?}: {reply:?}");
    }
    let reply = wire::export(daemon.grpc(), Signal::Traces, &sample::traces(1)).await;
    assert_eq!(reply.code(), Code::Ok, "it goes on after bad input");
    stub.items(Signal::Traces, 1).await;
    assert_eq!(stub.seen().len(), 1, "nothing undecodable went on");
}

/// Row "compression": compressed bytes that are none.
#[tokio::test]
async fn a_message_that_does_not_decompress_is_not_to_be_retried() {
    let (daemon, _stub) = small().await;
    for coding in ["gzip", "zstd"] {
        let body = wire::frame(true, b"neither gzip nor zstd");
        let headers = [("grpc-encoding", coding)];
        let reply = wire::grpc(daemon.grpc(), Signal::Traces.grpc_path(), &headers, body).await;
        let code = reply.code();
        assert!(
            matches!(code, Code::InvalidArgument | Code::Internal),
            "{coding}: {reply:?}"
        );
    }
}

/// Row "entry": what is not served says so.
#[tokio::test]
async fn an_unknown_method_or_service_is_unimplemented() {
    let (daemon, _stub) = small().await;
    let services = [
        "/opentelemetry.proto.collector.trace.v1.TraceService/Import",
        "/opentelemetry.proto.collector.trace.v2.TraceService/Export",
    ];
    for path in services {
        let reply = wire::grpc(daemon.grpc(), path, &[], wire::frame(false, b"")).await;
        assert_eq!(reply.code(), Code::Unimplemented, "{path}: {reply:?}");
    }
}

/// Row "content type".
#[tokio::test]
async fn other_content_types_are_refused_on_the_grpc_port() {
    let (daemon, _stub) = small().await;
    let path = Signal::Traces.grpc_path();
    let framed = wire::frame(false, &sample::traces(1));
    let plain = wire::Request::post(path, "text/plain", framed.clone()).over_http2();
    let reply = wire::http(daemon.grpc(), plain).await;
    assert_eq!(reply.status, 415, "{reply:?}");
    let named = wire::Request::post(path, "application/grpc+proto", framed).over_http2();
    let reply = wire::http(daemon.grpc(), named.header("te", "trailers")).await;
    assert_eq!(reply.status, 200);
    assert_eq!(
        reply
            .trailers
            .get("grpc-status")
            .map(|code| code.as_bytes()),
        Some(&b"0"[..])
    );
}

/// R-STR-4: fields of a later version of the protocol pass.
#[tokio::test]
async fn unknown_fields_arrive_byte_for_byte() {
    let (daemon, stub) = small().await;
    let unknown = sample::enclosed(900, b"from a later version");
    let span = [
        sample::enclosed(1, &[1; 16]),
        sample::enclosed(2, &[2; 8]),
        unknown.clone(),
    ]
    .concat();
    let scope = [sample::enclosed(2, &span), unknown.clone()].concat();
    let resource = [sample::enclosed(2, &scope), unknown.clone()].concat();
    let request = [sample::enclosed(1, &resource), unknown].concat();
    let reply = wire::export(daemon.grpc(), Signal::Traces, &request).await;
    assert_eq!(reply.code(), Code::Ok, "{reply:?}");
    let received = stub.items(Signal::Traces, 1).await;
    assert_eq!(received.concat(), request);
}
