//! Spans as a process's exporter sends them: an OTLP trace export request.

use crate::demo::span::{PlayedSpan, SpanKind, Value};
use crate::otlp::semconv;
use bytes::Bytes;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{
    AnyValue, ArrayValue, InstrumentationScope, KeyValue, any_value,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::{Link, SpanKind as WireKind};
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use prost::Message;

/// The version that all processes of a demonstration system claim to run.
const VERSION: &str = "1.4.2";

/// The instrumentation that they claim to use.
const SCOPE: &str = "agentguard-demo";

/// Encodes what one process sends at once.
#[must_use]
pub fn encode(namespace: &str, process: &str, spans: &[PlayedSpan]) -> Bytes {
    let resource = [
        (semconv::SERVICE_NAMESPACE, namespace),
        (semconv::SERVICE_NAME, process),
        (semconv::SERVICE_VERSION, VERSION),
        (semconv::DEPLOYMENT_ENVIRONMENT_NAME, "demo"),
    ];
    let resource = Resource {
        attributes: resource
            .iter()
            .map(|(key, value)| attribute(key, &Value::from(*value)))
            .collect(),
        ..Resource::default()
    };
    let scope = InstrumentationScope {
        name: SCOPE.to_owned(),
        version: VERSION.to_owned(),
        ..InstrumentationScope::default()
    };
    let request = ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            resource: Some(resource),
            scope_spans: vec![ScopeSpans {
                scope: Some(scope),
                spans: spans.iter().map(span).collect(),
                ..ScopeSpans::default()
            }],
            ..ResourceSpans::default()
        }],
    };
    request.encode_to_vec().into()
}

fn span(played: &PlayedSpan) -> Span {
    let mut attributes: Vec<KeyValue> = played
        .attributes
        .iter()
        .map(|(key, value)| attribute(key, value))
        .collect();
    let status = played.error.as_deref().map(|error| {
        attributes.push(attribute(semconv::ERROR_TYPE, &Value::from(error)));
        Status {
            code: StatusCode::Error.into(),
            message: format!("failed: {error}"),
        }
    });
    let links = played.link.map(|(trace, span)| Link {
        trace_id: trace.0.to_vec(),
        span_id: span.0.to_vec(),
        ..Link::default()
    });
    Span {
        trace_id: played.trace.0.to_vec(),
        span_id: played.span.0.to_vec(),
        parent_span_id: played.parent.map(|id| id.0.to_vec()).unwrap_or_default(),
        name: played.name.clone(),
        kind: wire_kind(played.kind).into(),
        start_time_unix_nano: played.start.0,
        end_time_unix_nano: played.end.0,
        attributes,
        links: links.into_iter().collect(),
        status,
        ..Span::default()
    }
}

fn wire_kind(kind: SpanKind) -> WireKind {
    match kind {
        SpanKind::Internal => WireKind::Internal,
        SpanKind::Server => WireKind::Server,
        SpanKind::Client => WireKind::Client,
        SpanKind::Producer => WireKind::Producer,
        SpanKind::Consumer => WireKind::Consumer,
    }
}

fn attribute(key: &str, value: &Value) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(any(value)),
        ..KeyValue::default()
    }
}

fn any(value: &Value) -> AnyValue {
    let value = match value {
        Value::Text(text) => any_value::Value::StringValue(text.clone()),
        Value::Int(number) => any_value::Value::IntValue(*number),
        Value::List(texts) => any_value::Value::ArrayValue(ArrayValue {
            values: texts
                .iter()
                .map(|text| any(&Value::Text(text.clone())))
                .collect(),
        }),
    };
    AnyValue { value: Some(value) }
}
