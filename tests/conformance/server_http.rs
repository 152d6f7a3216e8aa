//! Server duties over HTTP, row by row.

use agentguard::otlp::Signal;
use bytes::Bytes;
use hyper::Method;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message as _;
use tonic_types::pb;

use crate::sample;
use crate::support::compare::{Overlook, compare};
use crate::support::daemon::{Daemon, Setup};
use crate::support::stub::Stub;
use crate::support::unpack;
use crate::support::wire::{self, JSON, PROTOBUF, Reply, Request};

const MIB: usize = 1 << 20;
const INVALID_ARGUMENT: i32 = 3;

/// A daemon that takes 1 MiB, in front of a stub that takes everything.
async fn small() -> (Daemon, Stub) {
    let stub = Stub::start().await;
    let setup = Setup::new()
        .http("max_request_body_size: 1048576")
        .otlp(stub.address(), "");
    (Daemon::start(&setup).await, stub)
}

fn traces_as(kind: &str) -> (ExportTraceServiceRequest, Bytes) {
    let message = sample::traces_message(1);
    let body = match kind {
        JSON => serde_json::to_vec(&message).expect("JSON"),
        _ => message.encode_to_vec(),
    };
    (message, Bytes::from(body))
}

/// The `google.rpc.Status` of a refusal, which must be in the request's encoding.
fn refusal(reply: &Reply, kind: &str) -> pb::Status {
    assert_eq!(reply.media_type(), kind, "{reply:?}");
    if kind == PROTOBUF {
        return pb::Status::decode(reply.body.clone()).expect("a google.rpc.Status");
    }
    let status: serde_json::Value = serde_json::from_slice(&reply.body).expect("JSON");
    pb::Status {
        code: status["code"]
            .as_i64()
            .and_then(|code| code.try_into().ok())
            .expect("a code"),
        message: status["message"].as_str().expect("a message").to_owned(),
        details: Vec::new(),
    }
}

fn assert_full_success(reply: &Reply, kind: &str) {
    assert_eq!(reply.status, 200, "{reply:?}");
    assert_eq!(
        reply.media_type(),
        kind,
        "the same type comes back: {reply:?}"
    );
    let body: &[u8] = if kind == JSON { b"{}" } else { b"" };
    assert_eq!(reply.body, body, "partialSuccess is unset");
}

/// Rows "entry", "content type", "full success".
#[tokio::test]
async fn each_path_takes_both_encodings_and_answers_in_the_same() {
    let (daemon, stub) = small().await;
    for signal in Signal::ALL {
        let request = sample::request(signal);
        let post = Request::post(signal.http_path(), PROTOBUF, request.clone());
        assert_full_success(&wire::http(daemon.http(), post).await, PROTOBUF);
        let received = stub.items(signal, 1).await;
        compare(signal, &[request], &received, Overlook::default()).expect("what was sent");
    }
    let bodies = [
        (Signal::Traces, traces_as(JSON).1),
        (Signal::Metrics, Bytes::from_static(br#"{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"name":"m","gauge":{"dataPoints":[{"timeUnixNano":"1790000000000000000","asInt":"7"}]}}]}]}]}"#)),
        (Signal::Logs, Bytes::from_static(br#"{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"timeUnixNano":1790000000000000000,"body":{"stringValue":"b"},"severityNumber":9}]}]}]}"#)),
    ];
    for (signal, body) in bodies {
        let post = Request::post(signal.http_path(), JSON, body.clone());
        assert_full_success(&wire::http(daemon.http(), post).await, JSON);
        let received = stub.items(signal, 2).await;
        let sent = unpack::from_json(signal, &body);
        compare(signal, &[sent], &received[1..], Overlook::default()).expect("what was sent");
    }
}

/// Row "entry": HTTP/2 without TLS on the same port.
#[tokio::test]
async fn http2_with_prior_knowledge_is_taken_on_the_same_port() {
    let (daemon, stub) = small().await;
    for kind in [PROTOBUF, JSON] {
        let post = Request::post("/v1/traces", kind, traces_as(kind).1).over_http2();
        assert_full_success(&wire::http(daemon.http(), post).await, kind);
    }
    stub.items(Signal::Traces, 2).await;
}

/// Row "empty request".
#[tokio::test]
async fn an_empty_http_request_is_a_success() {
    let (daemon, _stub) = small().await;
    for signal in Signal::ALL {
        for (kind, body) in [(PROTOBUF, ""), (JSON, "{}")] {
            let post = Request::post(signal.http_path(), kind, body);
            assert_full_success(&wire::http(daemon.http(), post).await, kind);
        }
    }
}

/// Row "content type": parameters and letter case mean nothing.
#[tokio::test]
async fn content_types_are_read_with_parameters_and_in_any_case() {
    let (daemon, stub) = small().await;
    let kinds = [
        "application/json; charset=utf-8",
        "application/json;charset=UTF-8",
        "Application/JSON",
        "application/x-protobuf; charset=utf-8",
        "APPLICATION/X-PROTOBUF",
    ];
    for (count, kind) in kinds.into_iter().enumerate() {
        let plain = if kind.to_ascii_lowercase().contains("json") {
            JSON
        } else {
            PROTOBUF
        };
        let reply = wire::http(
            daemon.http(),
            Request::post("/v1/traces", kind, traces_as(plain).1),
        )
        .await;
        assert_full_success(&reply, plain);
        stub.items(Signal::Traces, count + 1).await;
    }
}

/// Row "entry": names of headers in any case, codings in any case, bodies in chunks.
#[tokio::test]
async fn headers_are_read_in_any_case_and_bodies_in_chunks() {
    let (daemon, stub) = small().await;
    let body = wire::gzip(&sample::traces(1));
    let (first, second) = body.split_at(10);
    let mut request =
        b"POST /v1/traces HTTP/1.1\r\nHOST: here\r\nCONTENT-TYPE: application/x-protobuf\r\n\
        cOnTeNt-EnCoDiNg: GZIP\r\nTRANSFER-encoding: chunked\r\nconnection: close\r\n\r\n"
            .to_vec();
    for chunk in [first, second, b""] {
        request.extend(format!("{:x}\r\n", chunk.len()).bytes());
        request.extend(chunk);
        request.extend(b"\r\n");
    }
    let reply = wire::raw(daemon.http(), &request).await;
    assert!(reply.starts_with("HTTP/1.1 200 "), "{reply}");
    stub.items(Signal::Traces, 1).await;
}

/// Row "content type": anything else is 415.
#[tokio::test]
async fn other_content_types_are_415() {
    let (daemon, stub) = small().await;
    for kind in [
        "text/plain",
        "application/xml",
        "application/grpc",
        "application/jsonx",
        "",
    ] {
        let reply = wire::http(
            daemon.http(),
            Request::post("/v1/traces", kind, sample::traces(1)),
        )
        .await;
        assert_eq!(reply.status, 415, "{kind:?}: {reply:?}");
    }
    let none = Request::new(Method::POST, "/v1/traces");
    assert_eq!(wire::http(daemon.http(), none).await.status, 415);
    assert!(stub.seen().is_empty());
}

/// Row "content type": other verbs are 405.
#[tokio::test]
async fn other_verbs_are_405() {
    let (daemon, _stub) = small().await;
    for method in [
        Method::GET,
        Method::PUT,
        Method::DELETE,
        Method::PATCH,
        Method::HEAD,
    ] {
        for signal in Signal::ALL {
            let request =
                Request::new(method.clone(), signal.http_path()).header("content-type", PROTOBUF);
            let reply = wire::http(daemon.http(), request).await;
            assert_eq!(reply.status, 405, "{method}: {reply:?}");
        }
    }
}

/// Row "entry": no other path is served.
#[tokio::test]
async fn other_paths_are_404() {
    let (daemon, _stub) = small().await;
    for path in [
        "/",
        "/v1",
        "/v1/trace",
        "/v1/traces/",
        "/v2/traces",
        "/V1/TRACES",
        "/v1/tracesx",
    ] {
        let reply = wire::http(
            daemon.http(),
            Request::post(path, PROTOBUF, sample::traces(1)),
        )
        .await;
        assert_eq!(reply.status, 404, "{path}: {reply:?}");
    }
}

/// Row "compression".
#[tokio::test]
async fn bodies_compressed_by_gzip_and_zstd_are_taken_in_both_encodings() {
    let (daemon, stub) = small().await;
    let mut sent = Vec::new();
    for kind in [PROTOBUF, JSON] {
        for coding in ["gzip", "zstd", "identity"] {
            let (message, body) = traces_as(kind);
            let body = match coding {
                "gzip" => wire::gzip(&body),
                "zstd" => wire::zstd(&body),
                _ => body.to_vec(),
            };
            let post = Request::post("/v1/traces", kind, body).header("content-encoding", coding);
            assert_full_success(&wire::http(daemon.http(), post).await, kind);
            sent.push(Bytes::from(message.encode_to_vec()));
        }
    }
    let received = stub.items(Signal::Traces, sent.len()).await;
    compare(Signal::Traces, &sent, &received, Overlook::default()).expect("what was sent");
}

/// Row "compression": what is not known or not what it says is the sender's mistake, not to be retried.
#[tokio::test]
async fn an_unknown_coding_or_broken_compression_is_a_client_error() {
    let (daemon, stub) = small().await;
    for (coding, body) in [
        ("br", sample::traces(1)),
        ("gzip", sample::traces(1)),
        ("zstd", sample::traces(1)),
    ] {
        let post = Request::post("/v1/traces", PROTOBUF, body).header("content-encoding", coding);
        let reply = wire::http(daemon.http(), post).await;
        assert!(matches!(reply.status, 400 | 415), "{coding}: {reply:?}");
        refusal(&reply, PROTOBUF);
    }
    let cut = wire::gzip(&sample::traces(1));
    let post = Request::post("/v1/traces", PROTOBUF, cut[..cut.len() - 9].to_vec());
    let reply = wire::http(daemon.http(), post.header("content-encoding", "gzip")).await;
    assert_eq!(reply.status, 400, "{reply:?}");
    assert!(stub.seen().is_empty());
}

/// Row "request limit": the limit itself is allowed, one more byte is 413.
#[tokio::test]
async fn a_body_over_the_limit_is_413() {
    let (daemon, stub) = small().await;
    let post = |size| Request::post("/v1/traces", PROTOBUF, sample::traces_of_size(size));
    assert_full_success(&wire::http(daemon.http(), post(MIB)).await, PROTOBUF);
    stub.items(Signal::Traces, 1).await;
    let reply = wire::http(daemon.http(), post(MIB + 1)).await;
    assert_eq!(reply.status, 413, "{reply:?}");
    refusal(&reply, PROTOBUF);
    assert_eq!(stub.seen().len(), 1);
}

/// Row "request limit": enforced also after decompression.
#[tokio::test]
async fn a_body_over_the_limit_after_decompression_is_413() {
    let (daemon, stub) = small().await;
    for size in [MIB + 1, 20 * MIB] {
        let request = sample::traces_of_size(size);
        for (coding, body) in [
            ("gzip", wire::gzip(&request)),
            ("zstd", wire::zstd(&request)),
        ] {
            assert!(body.len() < MIB, "under the limit as sent");
            let post =
                Request::post("/v1/traces", PROTOBUF, body).header("content-encoding", coding);
            let reply = wire::http(daemon.http(), post).await;
            assert_eq!(reply.status, 413, "{coding} {size}: {reply:?}");
            refusal(&reply, PROTOBUF);
        }
    }
    assert!(stub.seen().is_empty());
}

/// Row "undecodable": 400 with a `google.rpc.Status` in the request's encoding; trap 3: short.
#[tokio::test]
async fn an_undecodable_body_is_400_with_a_status_in_the_same_encoding() {
    let (daemon, stub) = small().await;
    let mut bodies: Vec<_> = sample::broken()
        .into_iter()
        .map(|(what, body)| (what, PROTOBUF, body))
        .collect();
    let nested = format!(
        "{}{}",
        r#"{"resourceSpans":"#.to_owned() + &"[".repeat(50_000),
        "]".repeat(50_000)
    );
    for (what, body) in [
        ("cut off", r#"{"resourceSpans":[{"#),
        ("not JSON", "resourceSpans"),
        ("nothing", ""),
        ("a wrong type", r#"{"resourceSpans":7}"#),
        (
            "a wrong id",
            r#"{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"zz"}]}]}]}"#,
        ),
        ("nested too deep", nested.as_str()),
    ] {
        bodies.push((what, JSON, Bytes::from(body.to_owned())));
    }
    for (what, kind, body) in bodies {
        let reply = wire::http(daemon.http(), Request::post("/v1/traces", kind, body)).await;
        assert_eq!(reply.status, 400, "{what} as {kind}: {reply:?}");
        let status = refusal(&reply, kind);
        assert_eq!(
            status.code, INVALID_ARGUMENT,
            "{what} as {kind}: {status:?}"
        );
        assert!(
            !status.message.is_empty() && status.message.len() <= 512,
            "{what}: {status:?}"
        );
        assert!(
            reply.header("retry-after").is_empty(),
            "{what}: not to be retried"
        );
    }
    assert!(stub.seen().is_empty(), "nothing undecodable went on");
}

/// Trap 2: what proto3's JSON mapping allows and real exporters send.
#[tokio::test]
async fn json_is_read_as_its_mapping_allows() {
    let (daemon, stub) = small().await;
    let body = r#"{"resourceSpans":[{"resource":{"attributes":null},"later":{"a":[1]},"scopeSpans":[{"spans":[{
        "traceId":"0102030405060708090A0B0C0D0E0F10","spanId":"0102030405060708","parentSpanId":"","name":"n",
        "kind":2,"startTimeUnixNano":"1790000000000000000","endTimeUnixNano":1790000000000000001,
        "attributes":[{"key":"a","value":{"doubleValue":"NaN"}},{"key":"b","value":{"doubleValue":"-Infinity"}},
        {"key":"c","value":{"arrayValue":{}}},{"key":"d","value":{"kvlistValue":{}}},{"key":"e","value":{"intValue":"-5"}},
        {"key":"f","value":{"intValue":6}},{"key":"g","value":{"bytesValue":"AP8="}},{"key":"h","value":{}}],
        "events":null,"status":{}}]}]}]}"#;
    let reply = wire::http(daemon.http(), Request::post("/v1/traces", JSON, body)).await;
    assert_full_success(&reply, JSON);
    let received = stub.items(Signal::Traces, 1).await;
    let request = ExportTraceServiceRequest::decode(received[0].clone()).expect("a request");
    let span = &request.resource_spans[0].scope_spans[0].spans[0];
    assert_eq!(span.trace_id, (1..=16).collect::<Vec<u8>>());
    assert_eq!(
        (span.start_time_unix_nano, span.end_time_unix_nano),
        (1_790_000_000_000_000_000, 1_790_000_000_000_000_001)
    );
    let told = format!("{:?}", span.attributes);
    for part in [
        "DoubleValue(NaN)",
        "DoubleValue(-inf)",
        "ArrayValue(ArrayValue { values: [] })",
        "values: []",
        "IntValue(-5)",
        "IntValue(6)",
        "BytesValue([0, 255])",
    ] {
        assert!(told.contains(part), "{part} in {told}");
    }
    assert_eq!(span.attributes.len(), 8);
}
