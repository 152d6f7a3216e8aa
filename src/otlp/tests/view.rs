//! The view says what the decoded struct says.

use super::captured;
use super::generate::{damage, damages, requests};
use crate::otlp::wire::Fields;
use crate::otlp::{Attributes, RequestView, Signal, SpanBytes, SpanView, ValueView};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{
    AnyValue, ArrayValue, InstrumentationScope, KeyValue, KeyValueList,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use proptest::prelude::*;
use prost::Message;

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn value_of(value: &ValueView<'_>) -> AnyValue {
    let value = match value {
        ValueView::Empty => None,
        ValueView::Str(bytes) => Some(Value::StringValue(text(bytes))),
        ValueView::Bool(bit) => Some(Value::BoolValue(*bit)),
        ValueView::Int(int) => Some(Value::IntValue(*int)),
        ValueView::Double(number) => Some(Value::DoubleValue(*number)),
        ValueView::Bytes(bytes) => Some(Value::BytesValue(bytes.to_vec())),
        ValueView::Array(elements) => Some(Value::ArrayValue(ArrayValue {
            values: elements.map(|value| value_of(&value)).collect(),
        })),
        ValueView::Map(entries) => Some(Value::KvlistValue(KeyValueList {
            values: entries
                .map(|entry| key_value(text(entry.key), &entry.value()))
                .collect(),
        })),
    };
    AnyValue { value }
}

fn key_value(key: String, value: &ValueView<'_>) -> KeyValue {
    KeyValue {
        key,
        value: Some(value_of(value)),
        key_strindex: 0,
    }
}

fn attributes(attributes: Attributes<'_>) -> Vec<KeyValue> {
    // one by one and folded are two ways through the bytes
    let mut one_by_one = attributes;
    attributes.for_each(|folded| {
        let single = one_by_one.next().expect("as many as are folded");
        assert_eq!(single.key, folded.key);
        assert_eq!(single.body.as_ptr(), folded.body.as_ptr());
    });
    assert!(one_by_one.next().is_none());
    attributes
        .map(|attribute| key_value(attribute.key_str().to_owned(), &attribute.value()))
        .collect()
}

fn span(view: &SpanView<'_>) -> Span {
    assert_eq!(view.name_str().as_bytes(), view.name);
    Span {
        trace_id: view.trace_id.to_vec(),
        span_id: view.span_id.to_vec(),
        trace_state: text(view.trace_state),
        parent_span_id: view.parent_span_id.to_vec(),
        flags: view.flags,
        name: text(view.name),
        kind: view.kind.cast_signed(),
        start_time_unix_nano: view.start,
        end_time_unix_nano: view.end,
        attributes: attributes(view.attributes()),
        events: view
            .events()
            .map(|event| Event {
                time_unix_nano: event.time,
                name: text(event.name),
                attributes: attributes(event.attributes()),
                dropped_attributes_count: 0,
            })
            .collect(),
        links: view
            .links()
            .map(|link| Link {
                trace_id: link.trace_id.to_vec(),
                span_id: link.span_id.to_vec(),
                trace_state: text(link.trace_state),
                attributes: attributes(link.attributes()),
                dropped_attributes_count: 0,
                flags: link.flags,
            })
            .collect(),
        status: Some(Status {
            message: text(view.status_message),
            code: view.status_code.cast_signed(),
        }),
        ..Span::default()
    }
}

/// What the view shows, as the struct that would show it.
fn seen(request: &[u8]) -> ExportTraceServiceRequest {
    let resource_spans = RequestView::new(request).resource_groups().map(|group| {
        let scope_spans = group.scope_groups().map(|scope| {
            let (name, version) = scope.name_and_version();
            ScopeSpans {
                scope: Some(InstrumentationScope {
                    name: text(name),
                    version: text(version),
                    attributes: attributes(scope.attributes()),
                    dropped_attributes_count: 0,
                }),
                spans: scope.spans().map(|view| span(&view)).collect(),
                schema_url: text(scope.schema_url()),
            }
        });
        ResourceSpans {
            resource: Some(Resource {
                attributes: attributes(group.attributes()),
                ..Resource::default()
            }),
            scope_spans: scope_spans.collect(),
            schema_url: text(group.schema_url()),
        }
    });
    ExportTraceServiceRequest {
        resource_spans: resource_spans.collect(),
    }
}

fn forget_in_value(value: &mut AnyValue) {
    match &mut value.value {
        Some(Value::ArrayValue(array)) => array.values.iter_mut().for_each(forget_in_value),
        Some(Value::KvlistValue(map)) => forget_in_attributes(&mut map.values),
        Some(Value::StringValueStrindex(_)) => value.value = None,
        _ => {}
    }
}

fn forget_in_attributes(attributes: &mut [KeyValue]) {
    for attribute in attributes {
        attribute.key_strindex = 0;
        forget_in_value(attribute.value.get_or_insert_default());
    }
}

/// Takes out what the view does not show: counts of what was dropped, entities, indices of the profiles signal, and
/// whether a message that says nothing was there.
fn forget_what_is_not_shown(request: &mut ExportTraceServiceRequest) {
    for group in &mut request.resource_spans {
        let resource = group.resource.get_or_insert_default();
        resource.dropped_attributes_count = 0;
        resource.entity_refs.clear();
        forget_in_attributes(&mut resource.attributes);
        for scope_group in &mut group.scope_spans {
            let scope = scope_group.scope.get_or_insert_default();
            scope.dropped_attributes_count = 0;
            forget_in_attributes(&mut scope.attributes);
            for span in &mut scope_group.spans {
                span.dropped_attributes_count = 0;
                span.dropped_events_count = 0;
                span.dropped_links_count = 0;
                span.status.get_or_insert_default();
                forget_in_attributes(&mut span.attributes);
                for event in &mut span.events {
                    event.dropped_attributes_count = 0;
                    forget_in_attributes(&mut event.attributes);
                }
                for link in &mut span.links {
                    link.dropped_attributes_count = 0;
                    forget_in_attributes(&mut link.attributes);
                }
            }
        }
    }
}

fn view_equals_decoded(bytes: &[u8]) {
    let mut decoded = ExportTraceServiceRequest::decode(bytes).unwrap();
    forget_what_is_not_shown(&mut decoded);
    let seen = seen(bytes);
    // encoded, because a NaN does not equal itself
    if seen.encode_to_vec() != decoded.encode_to_vec() {
        assert_eq!(format!("{seen:#?}"), format!("{decoded:#?}"));
    }
}

#[test]
fn captures_are_seen_as_they_decode() {
    captured()
        .iter()
        .for_each(|bytes| view_equals_decoded(bytes));
}

/// The bodies of the length-delimited fields of this number.
fn bodies(message: &[u8], number: u32) -> impl Iterator<Item = &[u8]> {
    let mut fields = Fields::new(message);
    std::iter::from_fn(move || fields.next_len(number))
}

/// Reading a span with its attributes on the way is reading it, then its attributes.
fn read_equals_viewed(request: &[u8]) {
    let scopes = bodies(request, 1).flat_map(|group| bodies(group, 2));
    for body in scopes.flat_map(|scope| bodies(scope, 2)) {
        let bytes = SpanBytes::new(body);
        let mut passed = Vec::new();
        let read = bytes.read(|attribute| passed.push(attribute));
        let viewed = bytes.view();
        assert_eq!(format!("{read:?}"), format!("{viewed:?}"));
        let expected: Vec<_> = viewed.attributes().collect();
        assert_eq!(passed.len(), expected.len());
        for (passed, expected) in passed.iter().zip(&expected) {
            assert_eq!(passed.body.as_ptr_range(), expected.body.as_ptr_range());
            assert_eq!(passed.key, expected.key);
            let value = passed.value();
            match value {
                ValueView::Str(text) => {
                    assert_eq!(passed.text(), Some(text));
                    assert_eq!(bytes.part(bytes.offset_of(text), text.len()), text);
                }
                _ => assert_eq!(passed.text(), None),
            }
            if let Some(quick) = passed.quick_int() {
                assert!(matches!(value, ValueView::Int(int) if int == quick));
            }
        }
    }
}

#[test]
fn captures_are_read_as_they_are_seen() {
    captured()
        .iter()
        .for_each(|bytes| read_equals_viewed(bytes));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(700))]

    #[test]
    fn any_request_is_seen_as_it_decodes(bytes in requests(Signal::Traces)) {
        view_equals_decoded(&bytes);
        read_equals_viewed(&bytes);
    }

    #[test]
    fn a_damaged_request_is_read_quietly(
        mut bytes in requests(Signal::Traces),
        damages in damages(),
    ) {
        damage(&mut bytes, &damages);
        read_equals_viewed(&bytes);
        for group in RequestView::new(&bytes).resource_groups() {
            let _ = (group.schema_url(), group.attributes().count());
            for scope in group.scope_groups() {
                let _ = (scope.name_and_version(), scope.attributes().count());
                for span in scope.spans() {
                    let events: usize = span.events().map(|e| e.attributes().count()).sum();
                    let links: usize = span.links().map(|l| l.attributes().count()).sum();
                    let values = span.attributes().filter(|a| walk(&a.value()) > 0).count();
                    prop_assert!(events + links + values <= bytes.len());
                }
            }
        }
    }
}

/// Reads a value to its ground.
fn walk(value: &ValueView<'_>) -> usize {
    match value {
        ValueView::Array(elements) => elements.map(|value| walk(&value)).sum(),
        ValueView::Map(entries) => entries.map(|entry| walk(&entry.value())).sum(),
        _ => 1,
    }
}
