//! What holds for any input; called by the fuzz targets and by the test that replays their corpora.
#![allow(dead_code, reason = "each fuzz target calls one of the two")]
#![allow(clippy::expect_used, reason = "a check fails by panicking")]

use agentguard::otlp::{
    self, Attributes, Edit, Edits, NewValue, ResourceView, ScopeView, Signal, SpanBytes, Splice,
};
use bytes::Bytes;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use prost::Message;

/// The first byte chooses the signal, the rest is a request.
fn signal_and_request(input: &[u8]) -> Option<(Signal, &[u8])> {
    let (choice, request) = input.split_first()?;
    Some((Signal::ALL[usize::from(*choice) % 3], request))
}

fn is_decodable(signal: Signal, request: &[u8]) -> bool {
    match signal {
        Signal::Traces => ExportTraceServiceRequest::decode(request).is_ok(),
        Signal::Metrics => ExportMetricsServiceRequest::decode(request).is_ok(),
        Signal::Logs => ExportLogsServiceRequest::decode(request).is_ok(),
    }
}

/// Accepted exactly when `prost` decodes it, and a refusal's place lies in the request.
pub(crate) fn validate(input: &[u8]) {
    let Some((signal, request)) = signal_and_request(input) else {
        return;
    };
    let verdict = otlp::validate(signal, request);
    let decodable = is_decodable(signal, request);
    assert_eq!(verdict.is_ok(), decodable, "{signal:?}: {verdict:?}");
    if let Err(malformed) = verdict {
        assert!(malformed.at <= request.len(), "{malformed}");
    }
}

const TEXT: &str = "a text that makes the length of a small message take one more byte than it took before, and then some";

/// A byte of the script for each message, from the first again when all are used up: bit 0 adds an attribute, bit 1
/// removes the first, bit 2 gives the last another value.
struct Scripted<'a> {
    script: &'a [u8],
    message: usize,
}

impl Scripted<'_> {
    fn byte(&mut self) -> u8 {
        self.message += 1;
        self.script[self.message % self.script.len()]
    }

    fn on_bytes(&mut self, attributes: Attributes<'_>, edits: &mut Edits<'_>) {
        let byte = self.byte();
        if byte & 4 != 0
            && let Some(last) = attributes.last()
        {
            edits.replace(&last, NewValue::Str(TEXT));
        }
        let mut attributes = attributes;
        if byte & 2 != 0
            && let Some(first) = attributes.next()
        {
            edits.remove(&first);
        }
        if byte & 1 != 0 {
            edits.insert("added", NewValue::Int(-1));
        }
    }

    fn on_struct(&mut self, attributes: &mut Vec<KeyValue>) {
        let byte = self.byte();
        if byte & 4 != 0
            && let Some(last) = attributes.pop()
        {
            attributes.push(key_value(last.key, Value::StringValue(TEXT.to_owned())));
        }
        if byte & 2 != 0 && !attributes.is_empty() {
            attributes.remove(0);
        }
        if byte & 1 != 0 {
            attributes.push(key_value("added".to_owned(), Value::IntValue(-1)));
        }
    }
}

fn key_value(key: String, value: Value) -> KeyValue {
    KeyValue {
        key,
        value: Some(AnyValue { value: Some(value) }),
        key_strindex: 0,
    }
}

impl Edit for Scripted<'_> {
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
        self.on_bytes(span.attributes(), edits);
    }

    fn record(&mut self, attributes: Attributes<'_>, edits: &mut Edits<'_>) {
        self.on_bytes(attributes, edits);
    }
}

/// The first byte chooses the signal, the next four are the script, the rest is a request. What decodes still decodes
/// after a splice, to as many items, and spans to what the same edits make of the decoded struct.
pub(crate) fn splice(input: &[u8]) {
    let Some((signal, rest)) = signal_and_request(input) else {
        return;
    };
    let Some((script, request)) = rest.split_first_chunk::<4>() else {
        return;
    };
    let scripted = || Scripted { script, message: 0 };
    let bytes = Bytes::copy_from_slice(request);
    let spliced = Splice::new().run(signal, &bytes, &mut scripted());
    let Ok(items) = otlp::validate(signal, request) else {
        return;
    };
    let spliced = spliced.expect("a valid request of this size is spliced");
    assert_eq!(otlp::validate(signal, &spliced), Ok(items));
    if signal != Signal::Traces {
        return;
    }
    let mut expected = ExportTraceServiceRequest::decode(request).expect("validated");
    let mut script = scripted();
    for group in &mut expected.resource_spans {
        let was_there = group.resource.is_some();
        let mut resource = group.resource.take().unwrap_or_default();
        script.on_struct(&mut resource.attributes);
        group.resource = (was_there || !resource.attributes.is_empty()).then_some(resource);
        for span in group.scope_spans.iter_mut().flat_map(|s| &mut s.spans) {
            script.on_struct(&mut span.attributes);
        }
    }
    let decoded = ExportTraceServiceRequest::decode(&spliced[..]).expect("validated");
    assert_eq!(decoded.encode_to_vec(), expected.encode_to_vec());
}
