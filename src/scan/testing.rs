//! Spans for tests, and an interner that only numbers.

use crate::base::NodeId;
use crate::scan::{Intern, Interned, NodeKey};
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, KeyValue, any_value};
use opentelemetry_proto::tonic::trace::v1::Span;
use parking_lot::Mutex;
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
