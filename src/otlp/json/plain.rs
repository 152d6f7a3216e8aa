//! Values that are neither object nor list: what text a field takes, and what it says when it does not.

use crate::otlp::json::decode::{FieldRef, Translation};
use crate::otlp::json::number::{Number, OnWire};
use crate::otlp::json::{base64, id_len};
use crate::otlp::schema::Kind;
use serde::de::{Error, Expected, Unexpected, Visitor};
use std::fmt;

/// Reads what is neither object nor list.
pub(super) struct PlainVisitor<'t> {
    pub(super) to: &'t mut Translation,
    pub(super) field: FieldRef,
}

impl PlainVisitor<'_> {
    fn number<E: Error>(self, number: Number) -> Result<(), E> {
        let on_wire = number
            .encode(self.field.field.kind)
            .map_err(|why| E::custom(format_args!("{why}; expected {}", Wanted(self.field))))?;
        self.to.number(self.field, on_wire);
        Ok(())
    }

    fn is_numeric(&self) -> bool {
        !matches!(
            self.field.field.kind,
            Kind::Bool | Kind::String | Kind::Bytes | Kind::HexId
        )
    }

    fn quoted<E: Error>(self, text: &str) -> Result<(), E> {
        let refused = E::invalid_value(Unexpected::Str(text), &Wanted(self.field));
        let number = match (self.field.field.kind, text) {
            (Kind::Enum, _) => return Err(refused),
            (Kind::Double, "NaN") => Some(Number::Float(f64::NAN)),
            (Kind::Double, "Infinity") => Some(Number::Float(f64::INFINITY)),
            (Kind::Double, "-Infinity") => Some(Number::Float(f64::NEG_INFINITY)),
            _ => Number::parse(text),
        };
        self.number(number.ok_or(refused)?)
    }

    fn id<E: Error>(self, text: &str) -> Result<(), E> {
        let mut id = [0; 16];
        let len = id_len(self.field.field);
        let place = id.get_mut(..len).unwrap_or_default();
        if text.is_empty() {
            self.to.bytes(self.field, &[]);
        } else if read_hex(text, place) {
            self.to.bytes(self.field, place);
        } else {
            return Err(E::invalid_value(Unexpected::Str(text), &Wanted(self.field)));
        }
        Ok(())
    }
}

impl<'de> Visitor<'de> for PlainVisitor<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&Wanted(self.field), f)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<(), E> {
        if !matches!(self.field.field.kind, Kind::Bool) {
            return Err(E::invalid_type(Unexpected::Bool(value), &self));
        }
        self.to.number(self.field, OnWire::Varint(value.into()));
        Ok(())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<(), E> {
        if !self.is_numeric() {
            return Err(E::invalid_type(Unexpected::Unsigned(value), &self));
        }
        self.number(Number::Unsigned(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<(), E> {
        if !self.is_numeric() {
            return Err(E::invalid_type(Unexpected::Signed(value), &self));
        }
        self.number(Number::Signed(value))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<(), E> {
        if !self.is_numeric() {
            return Err(E::invalid_type(Unexpected::Float(value), &self));
        }
        self.number(Number::Float(value))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        match self.field.field.kind {
            Kind::String => self.to.bytes(self.field, text.as_bytes()),
            Kind::Bytes => {
                let bytes = base64::decode(text)
                    .map_err(|why| E::custom(format_args!("not base64: {why}")))?;
                self.to.bytes(self.field, &bytes);
            }
            Kind::HexId => self.id(text)?,
            Kind::Bool => return Err(E::invalid_type(Unexpected::Str(text), &self)),
            _ => self.quoted(text)?,
        }
        Ok(())
    }
}

/// Reads exactly as many bytes as there is place for.
fn read_hex(text: &str, place: &mut [u8]) -> bool {
    let digit = |c: u8| {
        char::from(c)
            .to_digit(16)
            .and_then(|d| u8::try_from(d).ok())
    };
    let (pairs, []) = text.as_bytes().as_chunks::<2>() else {
        return false;
    };
    pairs.len() == place.len()
        && pairs
            .iter()
            .zip(place)
            .all(|([high, low], byte)| match (digit(*high), digit(*low)) {
                (Some(high), Some(low)) => {
                    *byte = high << 4 | low;
                    true
                }
                _ => false,
            })
}

/// What a field takes, in words.
struct Wanted(FieldRef);

impl fmt::Display for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let field = self.0.field;
        match field.kind {
            Kind::Bool => f.write_str("true or false"),
            Kind::Int32 | Kind::Sint32 => f.write_str("a signed 32-bit number"),
            Kind::Uint32 | Kind::Fixed32 => f.write_str("an unsigned 32-bit number"),
            Kind::Int64 | Kind::Sfixed64 => f.write_str("a signed 64-bit number"),
            Kind::Uint64 | Kind::Fixed64 => f.write_str("an unsigned 64-bit number"),
            Kind::Enum => f.write_str("the number of an enum value"),
            Kind::Double => f.write_str("a number, `NaN`, `Infinity` or `-Infinity`"),
            Kind::String => f.write_str("a string"),
            Kind::Bytes => f.write_str("base64"),
            Kind::HexId => write!(f, "{} hex digits", 2 * id_len(field)),
            Kind::Gap | Kind::Message(_) => f.write_str("a value"),
        }
    }
}

impl Expected for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
