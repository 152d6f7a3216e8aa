//! Text to bytes: serde_json reads the stream, the schema says what each value must be, the writer appends it.

use crate::otlp::json::nested::{FIXED32, FIXED64, LEN, NestedWriter, VARINT};
use crate::otlp::json::number::OnWire;
use crate::otlp::json::path::Path;
use crate::otlp::json::plain::PlainVisitor;
use crate::otlp::json::{MAX_DEPTH, bit, oneof_members};
use crate::otlp::schema::{self, Field, Kind, Message};
use crate::otlp::{Malformed, Signal};
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::fmt;
use std::ptr;

/// Reads one export request.
///
/// # Errors
/// What is wrong, with the path of keys to it, and about where in the text.
pub fn decode(signal: Signal, text: &[u8]) -> Result<Vec<u8>, Malformed> {
    let text = std::str::from_utf8(text)
        .map_err(|error| Malformed::new(error.valid_up_to(), "invalid UTF-8"))?;
    let mut translation = Translation::default();
    let mut reader = serde_json::Deserializer::from_str(text);
    reader.disable_recursion_limit(); // ours is counted in messages; what is ignored is skipped without recursion
    let request = MessageSeed {
        to: &mut translation,
        message: signal.request(),
        depth: 0,
    };
    match request.deserialize(&mut reader).and_then(|()| reader.end()) {
        Ok(()) => Ok(translation.writer.finish()),
        Err(error) => Err(malformed(text, &translation.path, &error)),
    }
}

fn malformed(text: &str, path: &Path, error: &serde_json::Error) -> Malformed {
    let what = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    let what = what.strip_suffix(&place).unwrap_or(&what);
    Malformed::new(
        offset(text, error.line(), error.column()),
        path.finding(what),
    )
}

/// Lines count from 1; the column is the number of bytes read of the line.
fn offset(text: &str, line: usize, column: usize) -> usize {
    let line_start = text
        .split_inclusive('\n')
        .take(line.saturating_sub(1))
        .map(str::len)
        .sum::<usize>();
    (line_start + column).min(text.len())
}

/// What is carried along while the text is read.
#[derive(Default)]
pub(super) struct Translation {
    pub(super) writer: NestedWriter,
    path: Path,
}

impl Translation {
    pub(super) fn number(&mut self, field: FieldRef, number: OnWire) {
        if !field.is_element {
            if number.is_default() && !field.field.has_presence {
                return;
            }
            let wire_type = match number {
                OnWire::Varint(_) => VARINT,
                OnWire::Fixed32(_) => FIXED32,
                OnWire::Fixed64(_) => FIXED64,
            };
            self.writer.tag(field.number, wire_type);
        }
        match number {
            OnWire::Varint(value) => self.writer.varint(value),
            OnWire::Fixed32(value) => self.writer.raw(&value.to_le_bytes()),
            OnWire::Fixed64(value) => self.writer.raw(&value.to_le_bytes()),
        }
    }

    pub(super) fn bytes(&mut self, field: FieldRef, bytes: &[u8]) {
        if bytes.is_empty() && !field.field.has_presence && !field.is_element {
            return;
        }
        self.writer.tag(field.number, LEN);
        self.writer.len_delimited(bytes);
    }
}

/// A field being read.
#[derive(Clone, Copy)]
pub(super) struct FieldRef {
    pub(super) number: u32,
    pub(super) field: &'static Field,
    /// Whether the value at hand is one of its list: written even at the default, and without a tag if a number.
    pub(super) is_element: bool,
}

// ── messages ──

struct MessageSeed<'t> {
    to: &'t mut Translation,
    message: &'static Message,
    depth: u32,
}

impl<'de> DeserializeSeed<'de> for MessageSeed<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<(), D::Error> {
        reader.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for MessageSeed<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an object ({})", self.message.name)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<(), A::Error> {
        let oneof = oneof_members(self.message);
        let mut seen = 0;
        while let Some(key) = object.next_key_seed(KeySeed(self.message))? {
            let Some((number, field)) = key else {
                object.next_value::<IgnoredAny>()?;
                continue;
            };
            self.to.path.enter_key(field.json);
            let is_present = object.next_value_seed(FieldSeed {
                to: self.to,
                field: FieldRef {
                    number,
                    field,
                    is_element: false,
                },
                depth: self.depth,
            })?;
            if is_present {
                let this = bit(number);
                if seen & this != 0 {
                    return Err(A::Error::custom("given twice"));
                }
                if this & oneof != 0 && seen & oneof != 0 {
                    return Err(A::Error::custom("a second value where one is allowed"));
                }
                seen |= this;
            }
            self.to.path.leave();
        }
        Ok(())
    }
}

/// Finds a field by either of its names.
struct KeySeed(&'static Message);

impl<'de> DeserializeSeed<'de> for KeySeed {
    type Value = Option<(u32, &'static Field)>;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<Self::Value, D::Error> {
        reader.deserialize_identifier(self)
    }
}

impl Visitor<'_> for KeySeed {
    type Value = Option<(u32, &'static Field)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<Self::Value, E> {
        Ok((1..)
            .zip(self.0.fields)
            .find(|(_, field)| !field.json.is_empty() && is_name_of(key, field.json)))
    }
}

/// Whether `key` is the lowerCamelCase name or the same in snake_case.
fn is_name_of(key: &str, camel: &str) -> bool {
    key == camel
        || key.contains('_') && {
            let snake = camel.bytes().flat_map(|c| {
                let underscore = c.is_ascii_uppercase().then_some(b'_');
                underscore.into_iter().chain([c.to_ascii_lowercase()])
            });
            snake.eq(key.bytes())
        }
}

// ── fields ──

/// Reads a field's value; whether there was one (`null` is none).
struct FieldSeed<'t> {
    to: &'t mut Translation,
    field: FieldRef,
    depth: u32,
}

impl<'de> DeserializeSeed<'de> for FieldSeed<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<bool, D::Error> {
        reader.deserialize_option(self)
    }
}

impl<'de> Visitor<'de> for FieldSeed<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_none<E: Error>(self) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_some<D: Deserializer<'de>>(self, reader: D) -> Result<bool, D::Error> {
        let FieldSeed { to, field, depth } = self;
        match field.field.kind {
            _ if field.field.is_repeated && !field.is_element => {
                reader.deserialize_seq(ListVisitor { to, field, depth })?;
            }
            Kind::Message(message) => {
                if depth >= MAX_DEPTH {
                    return Err(D::Error::custom(format_args!(
                        "nested deeper than {MAX_DEPTH} messages"
                    )));
                }
                to.writer.tag(field.number, LEN);
                let opened = to.writer.open();
                MessageSeed {
                    to,
                    message,
                    depth: depth + 1,
                }
                .deserialize(reader)?;
                to.writer.close(opened);
            }
            _ => reader.deserialize_any(PlainVisitor { to, field })?,
        }
        Ok(true)
    }
}

/// Reads a list: messages and strings one by one, numbers packed.
struct ListVisitor<'t> {
    to: &'t mut Translation,
    field: FieldRef,
    depth: u32,
}

impl<'de> Visitor<'de> for ListVisitor<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let is_packed = !matches!(self.field.field.kind, Kind::Message(_) | Kind::String);
        let packed = is_packed.then(|| self.to.writer.open_packed(self.field.number));
        let mut count = 0;
        loop {
            self.to.path.enter_index(count);
            let element = FieldSeed {
                to: self.to,
                field: FieldRef {
                    is_element: true,
                    ..self.field
                },
                depth: self.depth,
            };
            match list.next_element_seed(element)? {
                None => break,
                Some(true) => {}
                Some(false) => null_element(self.to, self.field).map_err(A::Error::custom)?,
            }
            self.to.path.leave();
            count += 1;
        }
        self.to.path.leave();
        if let Some(opened) = packed {
            self.to.writer.close_packed(opened, count == 0);
        }
        Ok(())
    }
}

/// `null` in a list: OTLP's own null among attribute values; nothing among messages. Among numbers and strings it would
/// move the others to wrong places.
fn null_element(to: &mut Translation, field: FieldRef) -> Result<(), &'static str> {
    match field.field.kind {
        Kind::Message(message) => {
            if ptr::eq(message, &schema::ANY_VALUE) {
                to.writer.tag(field.number, LEN);
                to.writer.len_delimited(&[]);
            }
            Ok(())
        }
        _ => Err("null in a list of plain values"),
    }
}
