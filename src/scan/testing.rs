//! Spans for tests, and an interner that only numbers.

use crate::base::NodeId;
use crate::otlp::{SpanBytes, SpanView, semconv};
use crate::scan::alias::{ALIASES, TABLE};
use crate::scan::facts::Facts;
use crate::scan::{Intern, Interned, NodeKey};
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, KeyValue, any_value};
use opentelemetry_proto::tonic::trace::v1::span::Event;
use opentelemetry_proto::tonic::trace::v1::{Span, Status};
use parking_lot::Mutex;
use proptest::prelude::*;
use proptest::sample::Index;
use prost::Message;
use std::sync::Arc;

/// Keys in order of first sight.
#[derive(Default)]
pub(crate) struct Numbers(pub(crate) Mutex<Vec<NodeKey>>);

impl Intern for Numbers {
    fn node(&self, key: NodeKey, _display: &str) -> Interned {
        let mut keys = self.0.lock();
        let at = keys
            .iter()
            .position(|known| *known == key)
            .unwrap_or_else(|| {
                keys.push(key);
                keys.len() - 1
            });
        Interned {
            id: NodeId(at.try_into().unwrap()),
            attributes: Arc::from(&b""[..]),
        }
    }
}

impl Numbers {
    pub(crate) fn id(&self, node: NodeId) -> String {
        self.0.lock()[node.0 as usize].id()
    }
}

fn attribute(key: &str, value: any_value::Value) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue { value: Some(value) }),
        ..KeyValue::default()
    }
}

pub(crate) fn text(key: &str, value: &str) -> KeyValue {
    attribute(key, any_value::Value::StringValue(value.to_owned()))
}

pub(crate) fn int(key: &str, value: i64) -> KeyValue {
    attribute(key, any_value::Value::IntValue(value))
}

pub(crate) fn bit(key: &str, value: bool) -> KeyValue {
    attribute(key, any_value::Value::BoolValue(value))
}

pub(crate) fn list(key: &str, words: &[&str]) -> KeyValue {
    let values = words
        .iter()
        .map(|word| AnyValue {
            value: Some(any_value::Value::StringValue((*word).to_owned())),
        })
        .collect();
    attribute(key, any_value::Value::ArrayValue(ArrayValue { values }))
}

pub(crate) fn texts(pairs: &[(&str, &str)]) -> Vec<KeyValue> {
    pairs.iter().map(|(key, value)| text(key, value)).collect()
}

/// A span with valid ids and these attributes, encoded.
pub(crate) fn span_with(attributes: Vec<KeyValue>) -> Vec<u8> {
    Span {
        trace_id: vec![1; 16],
        span_id: vec![2; 8],
        attributes,
        ..Span::default()
    }
    .encode_to_vec()
}

/// Keys by what they say, and values that rules ask for beside some that none does.
const VALUES: &[&str] = &[
    "chain",
    "retriever",
    "chat",
    "invoke_agent",
    "execute_tool",
    "handoff",
    "tool",
    "agent",
    "task",
    "workflow",
    "SERVER",
    "error",
    "failure",
    "ERROR",
    "block",
    "TASK_STATE_FAILED",
    "429",
    "500",
    "200",
    "true",
    "false",
    "timeout",
    "GraphInterrupt",
    "TOOL",
    "CHAIN",
    "tools/call",
    "SendMessage",
    "pending_span",
    "receive",
    "publish",
    "orders.(7)-A",
    "postgresql",
    "qdrant",
    "/v1/traces",
    "/.well-known/agent.json",
    "http://a.example:8080/x",
    "tool_call",
    "",
];

const NAMES: &[&str] = &[
    "haystack.component.run",
    "haystack.agent.step.tool",
    "executor.process x",
    "workflow.run",
    "agent run",
    "running tool",
    "autogen send",
    "connect",
    "x.workflow",
    "GET /",
    "invoke_agent a",
    "exception",
    "",
];

/// Spans that say a few things of all that rules ask for.
pub(crate) fn spans() -> impl Strategy<Value = Vec<u8>> {
    let said = (any::<Index>(), any::<Index>(), any::<bool>());
    let attributes = prop::collection::vec(said, 0..6);
    let rest = (0..6i32, 0..4i32, prop::option::of(any::<Index>()));
    (attributes, any::<Index>(), rest).prop_map(|(said, name, (kind, code, event))| {
        let attributes = said.iter().map(|(slot, value, is_int)| {
            let (_, keys) = slot.get(ALIASES);
            let word = *value.get(VALUES);
            match word.parse() {
                Ok(number) if *is_int => int(keys[0], number),
                _ => text(keys[0], word),
            }
        });
        let events = event.map(|event| {
            let thrown: &&str = event.get(VALUES);
            Event {
                name: (*event.get(NAMES)).to_owned(),
                attributes: vec![text(semconv::EXCEPTION_TYPE, thrown)],
                ..Event::default()
            }
        });
        let span = Span {
            trace_id: vec![1; 16],
            span_id: vec![2; 8],
            name: (*name.get(NAMES)).to_owned(),
            kind,
            attributes: attributes.collect(),
            events: events.into_iter().collect(),
            status: Some(Status {
                code,
                ..Status::default()
            }),
            ..Span::default()
        };
        span.encode_to_vec()
    })
}

/// What a span says, and the span.
pub(crate) fn read(span: &[u8]) -> (Facts<'_>, SpanView<'_>) {
    let bytes = SpanBytes::new(span);
    let mut facts = Facts::new(bytes);
    let view = bytes.read(|attribute| facts.note(&TABLE, &attribute));
    (facts, view)
}
