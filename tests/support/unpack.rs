//! What a request says, whatever it was wrapped in: gRPC frames, gzip, zstd, JSON.

use std::io::Read as _;

use agentguard::otlp::Signal;
use bytes::Bytes;
use hyper::HeaderMap;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message as _;
use serde::Deserialize as _;
use serde_json::Value;

use crate::support::wire;

/// The signal of a gRPC method or an OTLP/HTTP path.
///
/// # Panics
/// When it is neither.
#[must_use]
pub fn signal(path: &str) -> Signal {
    let found = Signal::ALL
        .into_iter()
        .find(|signal| path == signal.grpc_path() || path.ends_with(signal.http_path()));
    found.unwrap_or_else(|| panic!("no OTLP path: {path}"))
}

/// Whether the message was compressed, and the message in protobuf.
///
/// # Panics
/// When it is not framed, compressed or encoded as the headers say.
#[must_use]
pub fn message(signal: Signal, headers: &HeaderMap, body: Bytes) -> (bool, Bytes) {
    let text = |name| {
        headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or("")
    };
    if text("content-type") == "application/grpc" {
        let compressed = body[0] == 1;
        let length = u32::from_be_bytes(body[1..5].try_into().expect("four bytes"));
        assert_eq!(body.len() - 5, length as usize, "one frame, whole");
        let coding = if compressed {
            text("grpc-encoding")
        } else {
            "identity"
        };
        return (compressed, inflate(coding, body.slice(5..)));
    }
    let coding = text("content-encoding");
    let plain = inflate(coding, body);
    let message = match text("content-type") {
        wire::PROTOBUF => plain,
        wire::JSON => from_json(signal, &plain),
        other => panic!("content type {other}"),
    };
    (!matches!(coding, "" | "identity"), message)
}

fn inflate(coding: &str, body: Bytes) -> Bytes {
    let mut plain = Vec::new();
    match coding {
        "" | "identity" => return body,
        "gzip" => flate2::read::GzDecoder::new(&body[..])
            .read_to_end(&mut plain)
            .expect("gzip"),
        "zstd" => zstd::Decoder::new(&body[..])
            .expect("zstd")
            .read_to_end(&mut plain)
            .expect("zstd"),
        other => panic!("coding {other}"),
    };
    Bytes::from(plain)
}

/// An OTLP/JSON request in protobuf.
///
/// # Panics
/// When it is no OTLP/JSON.
#[must_use]
pub fn from_json(signal: Signal, json: &[u8]) -> Bytes {
    let told = || String::from_utf8_lossy(json);
    let mut tree: Value =
        serde_json::from_slice(json).unwrap_or_else(|error| panic!("{error} in {}", told()));
    fill_empty_lists(&mut tree);
    let message = match signal {
        Signal::Traces => {
            ExportTraceServiceRequest::deserialize(tree).map(|one| one.encode_to_vec())
        }
        Signal::Metrics => {
            ExportMetricsServiceRequest::deserialize(tree).map(|one| one.encode_to_vec())
        }
        Signal::Logs => ExportLogsServiceRequest::deserialize(tree).map(|one| one.encode_to_vec()),
    };
    Bytes::from(message.unwrap_or_else(|error| panic!("{error} in {}", told())))
}

/// `opentelemetry-proto` does not read `"arrayValue":{}`, which is how an empty list is written.
fn fill_empty_lists(tree: &mut Value) {
    match tree {
        Value::Object(fields) => {
            for (name, value) in fields.iter_mut() {
                match value.as_object_mut() {
                    Some(list) if matches!(name.as_str(), "arrayValue" | "kvlistValue") => {
                        list.entry("values")
                            .or_insert_with(|| Value::Array(Vec::new()));
                    }
                    _ => {}
                }
                fill_empty_lists(value);
            }
        }
        Value::Array(values) => values.iter_mut().for_each(fill_empty_lists),
        _ => {}
    }
}
