//! Who we are in what we author: the resource and the scope of events and metrics.
//!
//! **Invariant.** Two processes, and two connectors of one process, are told apart: each sends sums of its own (R-ASK-5).

use crate::otlp::semconv;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{
    AnyValue, ArrayValue, InstrumentationScope, KeyValue,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use std::sync::Arc;

/// Our name, as service and as scope.
const NAME: &str = env!("CARGO_PKG_NAME");

/// Our version.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The instance that speaks.
#[derive(Clone, Debug)]
pub(super) struct Identity {
    instance: Arc<str>,
}

impl Identity {
    /// An instance named by random bits, as a UUID of version 4 (RFC 9562, 5.4).
    pub(super) fn new(random: u128) -> Self {
        let bits = random & !(0xf << 76) & !(0x3 << 62) | (0x4 << 76) | (0x2 << 62);
        let hex = format!("{bits:032x}");
        let parts = [0..8, 8..12, 12..16, 16..20, 20..32].map(|part| hex.get(part).unwrap_or(""));
        Identity {
            instance: parts.join("-").into(),
        }
    }

    /// What every request says of its sender.
    pub(super) fn resource(&self) -> Resource {
        Resource {
            attributes: vec![
                text(semconv::SERVICE_NAME, NAME),
                text(semconv::SERVICE_VERSION, VERSION),
                text(semconv::SERVICE_INSTANCE_ID, &self.instance),
            ],
            ..Resource::default()
        }
    }
}

/// The scope of all that we author.
pub(super) fn scope() -> InstrumentationScope {
    InstrumentationScope {
        name: NAME.to_owned(),
        version: VERSION.to_owned(),
        ..InstrumentationScope::default()
    }
}

/// An attribute that is text.
pub(super) fn text(key: &str, text: &str) -> KeyValue {
    attribute(key, Value::StringValue(text.to_owned()))
}

/// An attribute that is a whole number.
pub(super) fn whole(key: &str, number: u64) -> KeyValue {
    let number = i64::try_from(number).unwrap_or(i64::MAX);
    attribute(key, Value::IntValue(number))
}

/// An attribute that is a number.
pub(super) fn number(key: &str, number: f64) -> KeyValue {
    attribute(key, Value::DoubleValue(number))
}

/// An attribute that holds or not.
pub(super) fn flag(key: &str, holds: bool) -> KeyValue {
    attribute(key, Value::BoolValue(holds))
}

/// An attribute that is a list of texts.
pub(super) fn texts<'a>(key: &str, texts: impl Iterator<Item = &'a str>) -> KeyValue {
    let values = texts.map(|text| any(Value::StringValue(text.to_owned())));
    let values = values.collect();
    attribute(key, Value::ArrayValue(ArrayValue { values }))
}

/// A value of any kind.
pub(super) fn any(value: Value) -> AnyValue {
    AnyValue { value: Some(value) }
}

fn attribute(key: &str, value: Value) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(any(value)),
        ..KeyValue::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instance_is_named_by_a_uuid_of_version_4() {
        let named = |random| Identity::new(random).instance.to_string();
        assert_eq!(named(0), "00000000-0000-4000-8000-000000000000");
        assert_eq!(named(u128::MAX), "ffffffff-ffff-4fff-bfff-ffffffffffff");
    }
}
