//! Spliced bytes decode to the decoded request with the same edits; what was not edited stays byte for byte.

use super::captured;
use super::generate::{MARK, Style, damage, damages, requests, styled};
use crate::otlp::{
    Attributes, Edit, Edits, NewValue, ResourceView, ScopeView, Signal, SpanBytes, Splice,
    encode_span_attribute, validate,
};
use bytes::Bytes;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::resource::v1::Resource;
use proptest::prelude::*;
use prost::Message;

/// What is done to one attribute.
#[derive(Clone, Copy, Debug)]
enum Deed {
    Keep,
    Remove,
    Text,
    Int(i64),
    Same,
}

/// What is done to the attributes of message after message, from the first again when all are used up.
#[derive(Clone, Debug)]
struct Script {
    deeds: Vec<Deed>,
    added: Vec<Vec<i64>>,
    is_backwards: bool,
}

fn scripts() -> impl Strategy<Value = Script> {
    let deed = prop_oneof![
        4 => Just(Deed::Keep),
        1 => Just(Deed::Remove),
        1 => Just(Deed::Text),
        1 => any::<i64>().prop_map(Deed::Int),
        1 => Just(Deed::Same),
    ];
    let added = prop::collection::vec(prop::collection::vec(any::<i64>(), 0..4), 1..5);
    (prop::collection::vec(deed, 1..20), added, any::<bool>()).prop_map(
        |(deeds, added, is_backwards)| Script {
            deeds,
            added,
            is_backwards,
        },
    )
}

const LONG: &str = "a text that is long enough to make the length of a small span take one more byte than before, \
                    which moves every length around it";

/// Carries a script out, on bytes and on structs alike.
struct Actor<'a> {
    script: &'a Script,
    attribute: usize,
    message: usize,
}

impl<'a> Actor<'a> {
    fn new(script: &'a Script) -> Self {
        Actor {
            script,
            attribute: 0,
            message: 0,
        }
    }

    fn deed(&mut self) -> Deed {
        self.attribute += 1;
        self.script.deeds[self.attribute % self.script.deeds.len()]
    }

    fn added(&mut self) -> &'a [i64] {
        self.message += 1;
        &self.script.added[self.message % self.script.added.len()]
    }

    fn on_bytes(&mut self, attributes: Attributes<'_>, edits: &mut Edits<'_>) {
        let mut planned: Vec<_> = attributes
            .map(|attribute| (attribute, self.deed()))
            .collect();
        let first = planned.first().map(|(attribute, _)| *attribute);
        if self.script.is_backwards {
            planned.reverse();
        }
        for (attribute, deed) in planned {
            match deed {
                Deed::Keep => {}
                Deed::Remove => {
                    // the last edit of an attribute counts
                    edits.replace(&attribute, NewValue::Bool(true));
                    edits.remove(&attribute);
                }
                Deed::Text => edits.replace(&attribute, NewValue::Str(LONG)),
                Deed::Int(int) => edits.replace(&attribute, NewValue::Int(int)),
                Deed::Same => {
                    if let Some(first) = first {
                        edits.replace(&attribute, NewValue::Same(first));
                    }
                }
            }
        }
        for int in self.added() {
            edits.insert("added", NewValue::Int(*int));
        }
    }

    fn on_struct(&mut self, attributes: &mut Vec<KeyValue>) {
        let first = attributes.first().and_then(|first| first.value.clone());
        let mut edited = Vec::new();
        for old in attributes.drain(..) {
            let key = old.key.clone();
            edited.extend(match self.deed() {
                Deed::Keep => Some(old),
                Deed::Remove => None,
                Deed::Text => Some(key_value(key, Some(Value::StringValue(LONG.to_owned())))),
                Deed::Int(int) => Some(key_value(key, Some(Value::IntValue(int)))),
                Deed::Same => Some(key_value(key, first.clone().and_then(|first| first.value))),
            });
        }
        for int in self.added() {
            edited.push(key_value("added".to_owned(), Some(Value::IntValue(*int))));
        }
        *attributes = edited;
    }

    fn on_resource(&mut self, resource: &mut Option<Resource>) {
        let was_there = resource.is_some();
        let mut edited = resource.take().unwrap_or_default();
        self.on_struct(&mut edited.attributes);
        if was_there || !edited.attributes.is_empty() {
            *resource = Some(edited);
        }
    }
}

fn key_value(key: String, value: Option<Value>) -> KeyValue {
    KeyValue {
        key,
        value: Some(AnyValue { value }),
        key_strindex: 0,
    }
}

impl Edit for Actor<'_> {
    fn resource(&mut self, attributes: Attributes<'_>, edits: &mut Edits<'_>) {
        self.on_bytes(attributes, edits);
    }

    fn span(
        &mut self,
        _resource: &ResourceView<'_>,
        _scope: &ScopeView<'_>,
        span: SpanBytes<'_>,
        edits: &mut Edits<'_>,
    ) {
        assert_eq!(span.attributes().count(), span.view().attributes().count());
        self.on_bytes(span.attributes(), edits);
    }

    fn record(&mut self, attributes: Attributes<'_>, edits: &mut Edits<'_>) {
        self.on_bytes(attributes, edits);
    }
}

fn edited_traces(bytes: &[u8], script: &Script) -> Vec<u8> {
    let mut request = ExportTraceServiceRequest::decode(bytes).unwrap();
    let mut actor = Actor::new(script);
    for group in &mut request.resource_spans {
        actor.on_resource(&mut group.resource);
        for span in group.scope_spans.iter_mut().flat_map(|s| &mut s.spans) {
            actor.on_struct(&mut span.attributes);
        }
    }
    request.encode_to_vec()
}

fn edited_logs(bytes: &[u8], script: &Script) -> Vec<u8> {
    let mut request = ExportLogsServiceRequest::decode(bytes).unwrap();
    let mut actor = Actor::new(script);
    for group in &mut request.resource_logs {
        actor.on_resource(&mut group.resource);
        for log in group.scope_logs.iter_mut().flat_map(|s| &mut s.log_records) {
            actor.on_struct(&mut log.attributes);
        }
    }
    request.encode_to_vec()
}

fn edited_metrics(bytes: &[u8], script: &Script) -> Vec<u8> {
    let mut request = ExportMetricsServiceRequest::decode(bytes).unwrap();
    let mut actor = Actor::new(script);
    for group in &mut request.resource_metrics {
        actor.on_resource(&mut group.resource);
        for metric in group.scope_metrics.iter_mut().flat_map(|s| &mut s.metrics) {
            let attributes: Vec<&mut Vec<KeyValue>> = match &mut metric.data {
                Some(Data::Gauge(d)) => d
                    .data_points
                    .iter_mut()
                    .map(|p| &mut p.attributes)
                    .collect(),
                Some(Data::Sum(d)) => d
                    .data_points
                    .iter_mut()
                    .map(|p| &mut p.attributes)
                    .collect(),
                Some(Data::Histogram(d)) => d
                    .data_points
                    .iter_mut()
                    .map(|p| &mut p.attributes)
                    .collect(),
                Some(Data::ExponentialHistogram(d)) => d
                    .data_points
                    .iter_mut()
                    .map(|p| &mut p.attributes)
                    .collect(),
                Some(Data::Summary(d)) => d
                    .data_points
                    .iter_mut()
                    .map(|p| &mut p.attributes)
                    .collect(),
                None => vec![],
            };
            attributes.into_iter().for_each(|a| actor.on_struct(a));
        }
    }
    request.encode_to_vec()
}

fn reencoded(signal: Signal, bytes: &[u8]) -> Vec<u8> {
    match signal {
        Signal::Traces => ExportTraceServiceRequest::decode(bytes)
            .unwrap()
            .encode_to_vec(),
        Signal::Logs => ExportLogsServiceRequest::decode(bytes)
            .unwrap()
            .encode_to_vec(),
        Signal::Metrics => ExportMetricsServiceRequest::decode(bytes)
            .unwrap()
            .encode_to_vec(),
    }
}

fn splice(signal: Signal, bytes: &[u8], edit: &mut impl Edit) -> Vec<u8> {
    let request = Bytes::copy_from_slice(bytes);
    Splice::new().run(signal, &request, edit).unwrap().to_vec()
}

fn marks(bytes: &[u8]) -> usize {
    bytes
        .windows(MARK.len())
        .filter(|window| *window == MARK)
        .count()
}

/// Adds the same attributes to all, by way of encoded bytes where it can.
struct Add(Vec<u8>);

impl Edit for Add {
    fn span(
        &mut self,
        _resource: &ResourceView<'_>,
        _scope: &ScopeView<'_>,
        _span: SpanBytes<'_>,
        edits: &mut Edits<'_>,
    ) {
        edits.insert_encoded(&self.0);
    }

    fn record(&mut self, _attributes: Attributes<'_>, edits: &mut Edits<'_>) {
        edits.insert("added.a", NewValue::Str(LONG));
        edits.insert("added.b", NewValue::Double(0.5));
    }
}

impl Add {
    fn new() -> Self {
        let mut encoded = Vec::new();
        encode_span_attribute(&mut encoded, "added.a", NewValue::Str(LONG));
        encode_span_attribute(&mut encoded, "added.b", NewValue::Double(0.5));
        Add(encoded)
    }
}

/// Takes out what `Add` put in.
struct Undo;

impl Edit for Undo {
    fn span(
        &mut self,
        _resource: &ResourceView<'_>,
        _scope: &ScopeView<'_>,
        span: SpanBytes<'_>,
        edits: &mut Edits<'_>,
    ) {
        self.record(span.attributes(), edits);
    }

    fn record(&mut self, attributes: Attributes<'_>, edits: &mut Edits<'_>) {
        attributes
            .filter(|attribute| attribute.key.starts_with(b"added."))
            .for_each(|attribute| edits.remove(&attribute));
    }
}

fn any_signal(style: Style) -> impl Strategy<Value = (Signal, Vec<u8>)> {
    prop::sample::select(Signal::ALL.to_vec())
        .prop_flat_map(move |signal| (Just(signal), styled(signal, style)))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(700))]

    #[test]
    fn spliced_spans_decode_to_the_edited_request(
        bytes in requests(Signal::Traces),
        script in scripts(),
    ) {
        let spliced = splice(Signal::Traces, &bytes, &mut Actor::new(&script));
        prop_assert_eq!(reencoded(Signal::Traces, &spliced), edited_traces(&bytes, &script));
    }

    #[test]
    fn spliced_log_records_decode_to_the_edited_request(
        bytes in requests(Signal::Logs),
        script in scripts(),
    ) {
        let spliced = splice(Signal::Logs, &bytes, &mut Actor::new(&script));
        prop_assert_eq!(reencoded(Signal::Logs, &spliced), edited_logs(&bytes, &script));
    }

    #[test]
    fn captures_decode_to_the_edited_request(
        which in any::<prop::sample::Index>(),
        script in scripts(),
    ) {
        let captured = captured();
        let bytes = which.get(&captured);
        let spliced = splice(Signal::Traces, bytes, &mut Actor::new(&script));
        prop_assert_eq!(reencoded(Signal::Traces, &spliced), edited_traces(bytes, &script));
    }

    /// R-STR-4: also where a decoder would see nothing, nothing is lost.
    #[test]
    fn what_was_added_and_taken_out_again_leaves_every_byte_as_it_was(
        (signal, bytes) in any_signal(Style { is_overlong: false, has_unknown: true }),
    ) {
        let added = splice(signal, &bytes, &mut Add::new());
        prop_assert_eq!(added == bytes, validate(signal, &bytes) == Ok(0));
        prop_assert_eq!(validate(signal, &added), validate(signal, &bytes));
        prop_assert_eq!(splice(signal, &added, &mut Undo), bytes);
    }

    #[test]
    fn unknown_fields_survive((signal, bytes) in any_signal(Style { is_overlong: true, has_unknown: true })) {
        let added = splice(signal, &bytes, &mut Add::new());
        prop_assert_eq!(marks(&added), marks(&bytes));
    }

    #[test]
    fn a_damaged_request_is_never_a_reason_to_panic(
        (signal, mut bytes) in any_signal(Style { is_overlong: true, has_unknown: true }),
        damages in damages(),
        script in scripts(),
    ) {
        damage(&mut bytes, &damages);
        let request = Bytes::from(bytes);
        let spliced = Splice::new().run(signal, &request, &mut Actor::new(&script));
        if validate(signal, &request).is_ok() {
            prop_assert!(validate(signal, &spliced.unwrap()).is_ok());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(700))]

    /// A metric whose data come twice is merged or replaced by a decoder; on the wire each is edited where it stands. So
    /// the requests compared are those that were decoded once.
    #[test]
    fn spliced_data_points_decode_to_the_edited_request(
        bytes in requests(Signal::Metrics),
        script in scripts(),
    ) {
        let bytes = reencoded(Signal::Metrics, &bytes);
        let spliced = splice(Signal::Metrics, &bytes, &mut Actor::new(&script));
        prop_assert_eq!(reencoded(Signal::Metrics, &spliced), edited_metrics(&bytes, &script));
    }
}

#[test]
fn an_unchanged_request_is_the_same_memory() {
    struct Nothing;
    impl Edit for Nothing {}
    for bytes in captured() {
        let request = Bytes::from(bytes);
        let spliced = Splice::new()
            .run(Signal::Traces, &request, &mut Nothing)
            .unwrap();
        assert_eq!(spliced.as_ptr(), request.as_ptr());
    }
}

#[test]
fn attributes_of_events_are_left_alone() {
    struct Events;
    impl Edit for Events {
        fn span(
            &mut self,
            _resource: &ResourceView<'_>,
            _scope: &ScopeView<'_>,
            span: SpanBytes<'_>,
            edits: &mut Edits<'_>,
        ) {
            for attribute in span.view().events().flat_map(|event| event.attributes()) {
                edits.remove(&attribute);
            }
        }
    }
    for bytes in captured() {
        assert_eq!(splice(Signal::Traces, &bytes, &mut Events), bytes);
    }
}

fn wrapped(message: Vec<u8>, path: &[u32]) -> Bytes {
    let wrap = |inner: Vec<u8>, number: &u32| {
        let mut outer = Vec::new();
        crate::otlp::wire::put_len(&mut outer, *number, &inner);
        outer
    };
    Bytes::from(path.iter().rev().fold(message, wrap))
}

/// Puts as much as it can wherever it is asked.
struct Glutton;

impl Edit for Glutton {
    fn resource(&mut self, _attributes: Attributes<'_>, edits: &mut Edits<'_>) {
        edits.insert("glutton", NewValue::Str(LONG));
    }

    fn span(
        &mut self,
        _resource: &ResourceView<'_>,
        _scope: &ScopeView<'_>,
        span: SpanBytes<'_>,
        edits: &mut Edits<'_>,
    ) {
        for attribute in span.attributes() {
            edits.replace(&attribute, NewValue::Str(LONG));
        }
        edits.insert("glutton", NewValue::Str(LONG));
    }
}

#[test]
fn requests_of_empty_messages_cannot_fill_the_memory() {
    let groups = Bytes::from([0x0a, 0x00].repeat(100_000));
    let spans = wrapped([0x12, 0x00].repeat(100_000), &[1, 2]);
    let attributes = wrapped([0x4a, 0x00].repeat(100_000), &[1, 2, 2]);
    for request in [groups, spans, attributes] {
        assert!(validate(Signal::Traces, &request).is_ok());
        let mut splice = Splice::new();
        let refusal = splice.run(Signal::Traces, &request, &mut Glutton);
        assert!(refusal.unwrap_err().what.contains("more to be edited"));
    }
}

#[test]
fn a_request_with_broken_framing_is_refused_with_its_place() {
    let mut bytes = captured().remove(0);
    bytes.truncate(bytes.len() - 1);
    let refusal = Splice::new().run(Signal::Traces, &Bytes::from(bytes), &mut Add::new());
    assert!(refusal.unwrap_err().what.contains("runs past the end"));
}
