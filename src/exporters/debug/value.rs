//! Attribute values, numbers and ids as the Collector prints them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Kind;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use serde_json::Value;
use std::fmt;

/// A value with its type: `Str(value)`.
pub(super) struct Typed<'a>(pub(super) Option<&'a AnyValue>);

/// A value alone; lists and maps are JSON.
pub(super) struct Bare<'a>(pub(super) Option<&'a AnyValue>);

impl fmt::Display for Typed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self.0.and_then(|value| value.value.as_ref()) {
            None => "Empty",
            Some(Kind::StringValue(_) | Kind::StringValueStrindex(_)) => "Str",
            Some(Kind::BoolValue(_)) => "Bool",
            Some(Kind::IntValue(_)) => "Int",
            Some(Kind::DoubleValue(_)) => "Double",
            Some(Kind::ArrayValue(_)) => "Slice",
            Some(Kind::KvlistValue(_)) => "Map",
            Some(Kind::BytesValue(_)) => "Bytes",
        };
        write!(f, "{name}({})", Bare(self.0))
    }
}

impl fmt::Display for Bare<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.and_then(|value| value.value.as_ref()) {
            None => Ok(()),
            Some(Kind::StringValue(text)) => f.write_str(text),
            Some(Kind::StringValueStrindex(index)) => write!(f, "#{index}"),
            Some(Kind::BoolValue(value)) => value.fmt(f),
            Some(Kind::IntValue(number)) => number.fmt(f),
            Some(Kind::DoubleValue(number)) => f.write_str(&shortest(*number)),
            Some(Kind::BytesValue(bytes)) => f.write_str(&STANDARD.encode(bytes)),
            Some(Kind::ArrayValue(_) | Kind::KvlistValue(_)) => json(self.0).fmt(f),
        }
    }
}

/// Nested at most as deep as protobuf's decoder allows.
fn json(value: Option<&AnyValue>) -> Value {
    match value.and_then(|value| value.value.as_ref()) {
        None => Value::Null,
        Some(Kind::BoolValue(value)) => (*value).into(),
        Some(Kind::IntValue(number)) => (*number).into(),
        Some(Kind::DoubleValue(number)) if number.is_finite() => (*number).into(),
        Some(Kind::ArrayValue(list)) => list.values.iter().map(|value| json(Some(value))).collect(),
        Some(Kind::KvlistValue(list)) => list
            .values
            .iter()
            .map(|entry| (entry.key.clone(), json(entry.value.as_ref())))
            .collect(),
        Some(_) => Bare(value).to_string().into(),
    }
}

/// `key=value` of each, with something between.
pub(super) fn pairs(attributes: &[KeyValue], between: &str) -> String {
    let pairs: Vec<String> = attributes
        .iter()
        .map(|attribute| format!("{}={}", attribute.key, Bare(attribute.value.as_ref())))
        .collect();
    pairs.join(between)
}

/// An id in hex; nothing for one that is all zero.
pub(super) fn hex(id: &[u8]) -> String {
    if id.iter().all(|byte| *byte == 0) {
        return String::new();
    }
    id.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A number with six decimals.
pub(super) fn fixed(number: f64) -> String {
    if number.is_infinite() {
        return if number > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    format!("{number:.6}")
}

/// A number with the digits that it needs, and an exponent where it is very large or small.
pub(super) fn shortest(number: f64) -> String {
    let size = number.abs();
    if number.is_infinite() {
        return fixed(number);
    }
    if size != 0.0 && !(1e-4..1e21).contains(&size) {
        let text = format!("{number:e}");
        return match text.split_once("e-") {
            Some((digits, exponent)) => format!("{digits}e-{exponent:0>2}"),
            None => text.replacen('e', "e+", 1),
        };
    }
    number.to_string()
}
