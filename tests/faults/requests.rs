//! Requests whose spans can be told apart, and what arrived of them.

use std::collections::BTreeMap;

use bytes::Bytes;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message as _;

/// A span with this number as its id.
pub fn span(id: u64) -> Span {
    Span {
        trace_id: u128::from(id).to_be_bytes().to_vec(),
        span_id: id.to_be_bytes().to_vec(),
        name: "chat model".to_owned(),
        ..Span::default()
    }
}

/// An attribute with a text.
pub fn attribute(key: impl Into<String>, value: impl Into<String>) -> KeyValue {
    KeyValue {
        key: key.into(),
        value: Some(AnyValue {
            value: Some(Value::StringValue(value.into())),
        }),
        ..KeyValue::default()
    }
}

/// A request of these spans.
pub fn request(spans: Vec<Span>) -> Bytes {
    let scope = ScopeSpans {
        spans,
        ..ScopeSpans::default()
    };
    let group = ResourceSpans {
        scope_spans: vec![scope],
        ..ResourceSpans::default()
    };
    let request = ExportTraceServiceRequest {
        resource_spans: vec![group],
    };
    Bytes::from(request.encode_to_vec())
}

/// A request of one span with this number as its id.
pub fn one(id: u64) -> Bytes {
    request(vec![span(id)])
}

/// How often each span id is in these requests.
pub fn ids<'a>(requests: impl IntoIterator<Item = &'a Bytes>) -> BTreeMap<u64, usize> {
    let mut ids = BTreeMap::new();
    for request in requests {
        let request = ExportTraceServiceRequest::decode(&request[..]).expect("a request");
        let groups = request.resource_spans.into_iter();
        let scopes = groups.flat_map(|group| group.scope_spans);
        for span in scopes.flat_map(|scope| scope.spans) {
            let id = span.span_id.try_into().expect("eight bytes");
            *ids.entry(u64::from_be_bytes(id)).or_default() += 1;
        }
    }
    ids
}
