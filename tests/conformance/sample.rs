//! Requests to send: small, of an exact size, and broken.

use std::sync::atomic::{AtomicU64, Ordering};

use agentguard::otlp::Signal;
use bytes::Bytes;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{
    AnyValue, ArrayValue, InstrumentationScope, KeyValue, KeyValueList,
};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::{
    Gauge, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, metric, number_data_point,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use prost::Message as _;

/// Any fixed moment, in Unix nanoseconds.
const MOMENT: u64 = 1_790_000_000_000_000_000;

/// A number that no other request of this test run has.
pub fn number() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// A request of the signal with one item, different in each call.
pub fn request(signal: Signal) -> Bytes {
    match signal {
        Signal::Traces => traces(1),
        Signal::Metrics => metrics(),
        Signal::Logs => logs(),
    }
}

/// A traces request with so many spans, every kind of field in use.
pub fn traces(spans: usize) -> Bytes {
    Bytes::from(traces_message(spans).encode_to_vec())
}

/// The same, not yet encoded.
pub fn traces_message(spans: usize) -> ExportTraceServiceRequest {
    let trace = number();
    let spans = (1..=spans as u64).map(|id| span(trace, id)).collect();
    ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            resource: Some(resource()),
            scope_spans: vec![ScopeSpans {
                scope: Some(scope()),
                spans,
                schema_url: "https://opentelemetry.io/schemas/1.37.0".to_owned(),
            }],
            schema_url: "https://opentelemetry.io/schemas/1.36.0".to_owned(),
        }],
    }
}

fn span(trace: u64, id: u64) -> Span {
    Span {
        trace_id: (u128::from(trace) << 64 | 7).to_be_bytes().to_vec(),
        span_id: id.to_be_bytes().to_vec(),
        trace_state: "vendor=1".to_owned(),
        parent_span_id: if id == 1 {
            Vec::new()
        } else {
            1_u64.to_be_bytes().to_vec()
        },
        flags: 0x301,
        name: format!("invoke_agent {trace}"),
        kind: 1,
        start_time_unix_nano: MOMENT + id,
        end_time_unix_nano: MOMENT + id + 1_000_000,
        attributes: vec![
            attribute("gen_ai.operation.name", text("invoke_agent")),
            attribute("gen_ai.agent.name", text("größe")),
            attribute("whole", Value::IntValue(-1)),
            attribute("real", Value::DoubleValue(0.5)),
            attribute("yes", Value::BoolValue(true)),
            attribute("bytes", Value::BytesValue(vec![0, 255])),
            attribute(
                "list",
                Value::ArrayValue(ArrayValue {
                    values: vec![any(Value::IntValue(3)), AnyValue { value: None }],
                }),
            ),
            attribute(
                "map",
                Value::KvlistValue(KeyValueList {
                    values: vec![attribute("inner", text(""))],
                }),
            ),
            attribute("empty", Value::ArrayValue(ArrayValue::default())),
        ],
        dropped_attributes_count: 1,
        events: vec![Event {
            time_unix_nano: MOMENT + 5,
            name: "exception".to_owned(),
            attributes: vec![attribute("exception.message", text("slow down"))],
            dropped_attributes_count: 2,
        }],
        dropped_events_count: 3,
        links: vec![Link {
            trace_id: vec![9; 16],
            span_id: vec![8; 8],
            trace_state: "other=2".to_owned(),
            attributes: vec![attribute("reason", text("handover"))],
            dropped_attributes_count: 4,
            flags: 0x100,
        }],
        dropped_links_count: 5,
        status: Some(Status {
            message: "429".to_owned(),
            code: 2,
        }),
    }
}

/// A metrics request with one gauge.
pub fn metrics() -> Bytes {
    let point = NumberDataPoint {
        attributes: vec![attribute("queue", text("trips"))],
        time_unix_nano: MOMENT,
        value: Some(number_data_point::Value::AsDouble(0.25)),
        ..NumberDataPoint::default()
    };
    let metric = Metric {
        name: format!("queue.ratio.{}", number()),
        unit: "1".to_owned(),
        data: Some(metric::Data::Gauge(Gauge {
            data_points: vec![point],
        })),
        ..Metric::default()
    };
    let request = ExportMetricsServiceRequest {
        resource_metrics: vec![ResourceMetrics {
            resource: Some(resource()),
            scope_metrics: vec![ScopeMetrics {
                scope: Some(scope()),
                metrics: vec![metric],
                ..ScopeMetrics::default()
            }],
            ..ResourceMetrics::default()
        }],
    };
    Bytes::from(request.encode_to_vec())
}

/// A logs request with one record, an event.
pub fn logs() -> Bytes {
    let record = LogRecord {
        time_unix_nano: MOMENT + number(),
        observed_time_unix_nano: MOMENT,
        severity_number: 17,
        severity_text: "ERROR".to_owned(),
        body: Some(any(text("model refused"))),
        attributes: vec![attribute("retryable", Value::BoolValue(true))],
        event_name: "model.refused".to_owned(),
        trace_id: vec![9; 16],
        span_id: vec![8; 8],
        ..LogRecord::default()
    };
    let request = ExportLogsServiceRequest {
        resource_logs: vec![ResourceLogs {
            resource: Some(resource()),
            scope_logs: vec![ScopeLogs {
                scope: Some(scope()),
                log_records: vec![record],
                ..ScopeLogs::default()
            }],
            ..ResourceLogs::default()
        }],
    };
    Bytes::from(request.encode_to_vec())
}

/// A valid traces request of exactly so many bytes, compressible.
pub fn traces_of_size(bytes: usize) -> Bytes {
    let mut message = traces_message(1);
    let mut padding = bytes;
    loop {
        let padded = attribute("padding", text(&"x".repeat(padding)));
        let attributes = &mut message.resource_spans[0].scope_spans[0].spans[0].attributes;
        attributes.retain(|one| one.key != "padding");
        attributes.push(padded);
        let length = message.encoded_len();
        if length == bytes {
            return Bytes::from(message.encode_to_vec());
        }
        // prefixes change length with what they enclose, so this may take another round
        padding = (padding + bytes)
            .checked_sub(length)
            .expect("room for a span");
    }
}

/// Bytes that are no request, with what is wrong with them.
pub fn broken() -> Vec<(&'static str, Bytes)> {
    let good = traces(1);
    let mut bad_text = good.to_vec();
    let name = b"invoke_agent ";
    let at = bad_text
        .windows(name.len())
        .position(|part| part == name)
        .expect("the name");
    bad_text[at] = 0xff;
    vec![
        ("cut off", good.slice(..good.len() - 1)),
        (
            "random",
            Bytes::from_static(b"\x99\xde\xad\xbe\xef not protobuf"),
        ),
        ("invalid UTF-8", Bytes::from(bad_text)),
        ("a wrong wire type", Bytes::from_static(&[0x08, 0x01])),
        (
            "a varint without end",
            Bytes::from_static(&[
                0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
            ]),
        ),
        (
            "a length beyond its message",
            Bytes::from_static(&[0x0a, 0x7f, 0x0a, 0x00]),
        ),
        ("nested too deep", nested(10_000)),
    ]
}

/// A span attribute whose value is a list in a list in a list …, so many of them.
pub fn nested(depth: usize) -> Bytes {
    // built from the inside by hand: an encoder would need the stack that the receiver must not spend
    let mut value = Vec::new();
    for _ in 0..depth {
        value = enclosed(1, &enclosed_in_any(&value));
    }
    let attribute = [enclosed(1, b"deep"), enclosed(2, &enclosed_in_any(&value))].concat();
    let span = [
        enclosed(1, &[9; 16]),
        enclosed(2, &[8; 8]),
        enclosed(9, &attribute),
    ]
    .concat();
    Bytes::from(enclosed(1, &enclosed(2, &enclosed(2, &span))))
}

/// An `AnyValue` that holds an `ArrayValue`.
fn enclosed_in_any(array: &[u8]) -> Vec<u8> {
    enclosed(5, array)
}

/// A length-delimited field.
pub fn enclosed(field: u64, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(payload.len() + 6);
    prost::encoding::encode_varint(field << 3 | 2, &mut bytes);
    prost::encoding::encode_varint(payload.len() as u64, &mut bytes);
    bytes.extend_from_slice(payload);
    bytes
}

fn resource() -> Resource {
    Resource {
        attributes: vec![attribute("service.name", text("trip-planner"))],
        dropped_attributes_count: 6,
        ..Resource::default()
    }
}

fn scope() -> InstrumentationScope {
    InstrumentationScope {
        name: "trip.agents".to_owned(),
        version: "0.3.0".to_owned(),
        attributes: vec![attribute("scope", text("yes"))],
        dropped_attributes_count: 7,
    }
}

/// An attribute.
pub fn attribute(key: &str, value: Value) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(any(value)),
        ..KeyValue::default()
    }
}

fn any(value: Value) -> AnyValue {
    AnyValue { value: Some(value) }
}

/// A text value.
pub fn text(text: &str) -> Value {
    Value::StringValue(text.to_owned())
}
