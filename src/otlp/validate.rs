//! Does a request decode? One pass over all of it, without building anything.
//!
//! A bad request that is merged with good ones makes the next hop refuse them all (D1). So everything is checked on
//! arrival, also what nobody here reads: framing, wire types, groups, UTF-8 of every string, nesting.
//!
//! What is right is told by `schema`'s table. Most bytes of a request, however, are spans' attributes in the one form
//! that every encoder writes, so spans and attributes have a quick way for that form. The quick way only ever says
//! *yes*; whatever it does not know goes through the table, which also words the refusal.
//!
//! **Bounds.** No allocation but a refusal's text; recursion to [`MAX_DEPTH`].
//! **Invariant.** Accepted exactly when `prost` decodes it into the generated types; held by property tests and a fuzzer.
//! **Not here.** Meaning: ids of any length pass, as do attributes without keys.

use crate::otlp::schema::{
    EXPONENTIAL_HISTOGRAM_DATA_POINT, Field, HISTOGRAM_DATA_POINT, KEY_VALUE, Kind, LOG_RECORD,
    Message, NUMBER_DATA_POINT, SPAN, SUMMARY_DATA_POINT,
};
use crate::otlp::wire::{
    END_GROUP, FIXED32, FIXED64, GROUP, LEN, VARINT, offset_in, take_len, take4, take8, varint,
};
use crate::otlp::{Malformed, Signal};
use std::ptr;

/// How deep messages may lie in each other, the request not counted: `prost`'s limit.
pub const MAX_DEPTH: u32 = 100;

/// Levels that an attribute needs below its holder: itself and its value.
const ATTRIBUTE_DEPTH: u32 = 2;

/// Checks a whole export request and counts its spans, log records or metric data points.
///
/// # Errors
/// Where and why the bytes are not such a request.
pub fn validate(signal: Signal, bytes: &[u8]) -> Result<u32, Malformed> {
    let mut check = Check {
        base: bytes,
        items: 0,
        found: None,
    };
    match check.message(signal.request(), bytes, MAX_DEPTH) {
        Some(()) => Ok(check.items),
        None => Err(check
            .found
            .unwrap_or_else(|| Malformed::new(0, "not a request"))),
    }
}

/// One pass. Steps answer `None` after noting in `found` what stopped them.
struct Check<'a> {
    base: &'a [u8],
    items: u32,
    found: Option<Malformed>,
}

impl<'a> Check<'a> {
    /// Checks a message's fields; `depth` is how many more levels may open below it.
    fn message(&mut self, shape: &'static Message, body: &'a [u8], depth: u32) -> Option<()> {
        let mut rest = body;
        while !rest.is_empty() {
            rest = self.field(shape, rest, depth)?;
        }
        Some(())
    }

    /// Checks a span's fields, those of the usual form without the table.
    fn span(&mut self, body: &'a [u8], depth: u32) -> Option<()> {
        let mut rest = body;
        while let Some((&tag, after)) = rest.split_first() {
            let quick = match tag {
                // attributes
                0x4a if depth >= ATTRIBUTE_DEPTH => {
                    take_len(after).filter(|(attribute, _)| is_plain_attribute(attribute))
                }
                // trace, span and parent id
                0x0a | 0x12 | 0x22 => take_len(after),
                // trace state and name
                0x1a | 0x2a => take_len(after).filter(|(text, _)| is_ascii(text)),
                // kind
                0x30 => after
                    .split_at_checked(1)
                    .filter(|(kind, _)| matches!(kind, [0..0x80])),
                // start and end
                0x39 | 0x41 => after.split_at_checked(8),
                _ => None,
            };
            rest = match quick {
                Some((_, next)) => next,
                None => self.field(&SPAN, rest, depth)?,
            };
        }
        Some(())
    }

    /// Checks one field; answers what follows it.
    fn field(&mut self, shape: &'static Message, rest: &'a [u8], depth: u32) -> Option<&'a [u8]> {
        let (number, wire, after) = self.key(shape, rest)?;
        let Some(field) = shape.field(number) else {
            return self.unknown(shape, number, wire, after, depth);
        };
        let wanted = match field.kind {
            Kind::Message(inner) => {
                if wire != LEN {
                    return self.wrong_wire_type(shape, field, rest);
                }
                let (body, next) = self.len(shape, number, after)?;
                self.nested(inner, body, depth)?;
                return Some(next);
            }
            Kind::String => {
                if wire != LEN {
                    return self.wrong_wire_type(shape, field, rest);
                }
                let (text, next) = self.len(shape, number, after)?;
                self.text(shape, field, text)?;
                return Some(next);
            }
            Kind::Bytes | Kind::HexId => LEN,
            Kind::Fixed32 => FIXED32,
            Kind::Fixed64 | Kind::Sfixed64 | Kind::Double => FIXED64,
            Kind::Gap
            | Kind::Bool
            | Kind::Int32
            | Kind::Uint32
            | Kind::Sint32
            | Kind::Int64
            | Kind::Uint64
            | Kind::Enum => VARINT,
        };
        if wire == wanted {
            return self.plain(shape, number, wire, after);
        }
        if wire == LEN && field.is_repeated {
            let (packed, next) = self.len(shape, number, after)?;
            let mut values = packed;
            while !values.is_empty() {
                values = self.plain(shape, number, wanted, values)?;
            }
            return Some(next);
        }
        self.wrong_wire_type(shape, field, rest)
    }

    /// Checks a message inside a message, and counts it if it is what requests are counted by.
    fn nested(&mut self, inner: &'static Message, body: &'a [u8], depth: u32) -> Option<()> {
        if ptr::eq(inner, &KEY_VALUE) && depth >= ATTRIBUTE_DEPTH && is_plain_attribute(body) {
            return Some(());
        }
        let Some(depth) = depth.checked_sub(1) else {
            return self.too_deep(body);
        };
        if ptr::eq(inner, &SPAN) {
            self.items = self.items.saturating_add(1);
            return self.span(body, depth);
        }
        if is_item(inner) {
            self.items = self.items.saturating_add(1);
        }
        self.message(inner, body, depth)
    }

    /// Steps over a field that the schema does not have, as `prost` does: a group's end must name its beginning.
    fn unknown(
        &mut self,
        shape: &'static Message,
        number: u32,
        wire: u32,
        after: &'a [u8],
        depth: u32,
    ) -> Option<&'a [u8]> {
        let Some(below) = depth.checked_sub(1) else {
            return self.too_deep(after);
        };
        if wire != GROUP {
            return self.plain(shape, number, wire, after);
        }
        let mut rest = after;
        loop {
            let (inner, wire, after) = self.key(shape, rest)?;
            if wire != END_GROUP {
                rest = self.unknown(shape, inner, wire, after, below)?;
            } else if inner == number {
                return Some(after);
            } else {
                return self.refuse(rest, || {
                    format!("group {number} of {} ends as group {inner}", shape.name)
                });
            }
        }
    }

    /// Steps over a value of which only the wire type matters.
    fn plain(
        &mut self,
        shape: &'static Message,
        number: u32,
        wire: u32,
        at: &'a [u8],
    ) -> Option<&'a [u8]> {
        let next = match wire {
            VARINT => varint(at).map(|(_, next)| next),
            FIXED64 => take8(at).map(|(_, next)| next),
            FIXED32 => take4(at).map(|(_, next)| next),
            LEN => return self.len(shape, number, at).map(|(_, next)| next),
            _ => {
                return self.refuse(at, || {
                    format!("field {number} of {} has wire type {wire}", shape.name)
                });
            }
        };
        if next.is_none() {
            return self.refuse(at, || {
                format!(
                    "value of field {number} of {} is cut short or no varint",
                    shape.name
                )
            });
        }
        next
    }

    fn key(&mut self, shape: &'static Message, at: &'a [u8]) -> Option<(u32, u32, &'a [u8])> {
        let Some((key, after)) = varint(at) else {
            return self.refuse(at, || {
                format!("tag in {} is cut short or no varint", shape.name)
            });
        };
        match u32::try_from(key) {
            Ok(key) if key >> 3 != 0 => Some((key >> 3, key & 7, after)),
            _ => self.refuse(at, || {
                format!("{} has a field numbered {}", shape.name, key >> 3)
            }),
        }
    }

    fn len(
        &mut self,
        shape: &'static Message,
        number: u32,
        at: &'a [u8],
    ) -> Option<(&'a [u8], &'a [u8])> {
        let taken = take_len(at);
        if taken.is_none() {
            return self.refuse(at, || {
                format!(
                    "length of field {number} of {} runs past the end",
                    shape.name
                )
            });
        }
        taken
    }

    fn text(&mut self, shape: &'static Message, field: &Field, text: &'a [u8]) -> Option<()> {
        if is_ascii(text) {
            return Some(());
        }
        match simdutf8::compat::from_utf8(text) {
            Ok(_) => Some(()),
            Err(error) => {
                let (_, bad) = text.split_at_checked(error.valid_up_to())?;
                self.refuse(bad, || {
                    format!("{} {} is not UTF-8", shape.name, field.json)
                })
            }
        }
    }

    #[cold]
    fn wrong_wire_type<T>(
        &mut self,
        shape: &'static Message,
        field: &Field,
        at: &'a [u8],
    ) -> Option<T> {
        self.refuse(at, || {
            format!("{} {} has the wrong wire type", shape.name, field.json)
        })
    }

    #[cold]
    fn too_deep<T>(&mut self, at: &'a [u8]) -> Option<T> {
        self.refuse(at, || format!("nesting deeper than {MAX_DEPTH} messages"))
    }

    #[cold]
    #[inline(never)]
    fn refuse<T>(&mut self, at: &'a [u8], what: impl FnOnce() -> String) -> Option<T> {
        self.found = Some(Malformed::new(offset_in(self.base, at), what()));
        None
    }
}

/// Whether requests are counted by messages of this shape (spans are counted where they are checked).
fn is_item(shape: &'static Message) -> bool {
    [
        &LOG_RECORD,
        &NUMBER_DATA_POINT,
        &HISTOGRAM_DATA_POINT,
        &EXPONENTIAL_HISTOGRAM_DATA_POINT,
        &SUMMARY_DATA_POINT,
    ]
    .iter()
    .any(|item| ptr::eq(*item, shape))
}

/// Whether this is an attribute as every encoder writes it: key, then value, lengths in one byte, the key in ASCII, the
/// value a string in ASCII, a number or a bool. A *no* means only that the long way must decide.
///
/// Where all is text, one look at all bytes finds key, value and lengths below 0x80 at once.
#[inline]
fn is_plain_attribute(attribute: &[u8]) -> bool {
    let [0x0a, key_len @ 0..0x80, after @ ..] = attribute else {
        return false;
    };
    let Some((key, [0x12, value_len @ 0..0x80, value @ ..])) =
        after.split_at_checked(usize::from(*key_len))
    else {
        return false;
    };
    if value.len() != usize::from(*value_len) {
        return false;
    }
    match value {
        [0x0a, len, text @ ..] => text.len() == usize::from(*len) && is_ascii(attribute),
        [0x18, number @ ..] => is_varint(number) && is_ascii(key),
        [0x10, 0..0x80] | [0x21, _, _, _, _, _, _, _, _] | [] => is_ascii(key),
        _ => false,
    }
}

/// Whether these bytes are one varint; nine bytes cannot overflow, ten are left to the long way.
#[inline]
fn is_varint(bytes: &[u8]) -> bool {
    match bytes {
        [0..0x80] | [0x80..=0xff, 0..0x80] => true,
        [head @ .., 0..0x80] => head.len() < 9 && head.iter().all(|byte| *byte >= 0x80),
        _ => false,
    }
}

const HIGH_BITS: u64 = 0x8080_8080_8080_8080;

/// Whether all bytes are below 0x80. Up to 64 bytes are looked at by overlapping loads, without a loop whose end a branch
/// predictor would have to guess.
#[inline]
fn is_ascii(bytes: &[u8]) -> bool {
    let len = bytes.len();
    if (16..=64).contains(&len) {
        let last = len - 16;
        let high = load(bytes, 0)
            | load(bytes, last.min(16))
            | load(bytes, last.min(32))
            | load(bytes, last);
        return high & HIGH_BITS == 0;
    }
    if let (Some(first), Some(last)) = (bytes.first_chunk::<8>(), bytes.last_chunk::<8>()) {
        if len > 16 {
            return bytes.is_ascii();
        }
        return (u64::from_le_bytes(*first) | u64::from_le_bytes(*last)) & HIGH_BITS == 0;
    }
    bytes.iter().fold(0, |seen, byte| seen | byte) < 0x80
}

/// Sixteen bytes from an offset, folded to eight.
#[inline]
fn load(bytes: &[u8], at: usize) -> u64 {
    let Some(sixteen) = bytes.get(at..).and_then(|tail| tail.first_chunk::<16>()) else {
        return HIGH_BITS;
    };
    let wide = u128::from_le_bytes(*sixteen);
    let (low, high) = (wide & u128::from(u64::MAX), wide >> 64);
    u64::try_from(low | high).unwrap_or(HIGH_BITS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::otlp::wire::put_len;

    /// A traces request of one span with these fields.
    fn request_with(span: &[u8]) -> Vec<u8> {
        wrapped(span, &[1, 2, 2])
    }

    /// A message wrapped into fields of these numbers, outermost first.
    fn wrapped(message: &[u8], path: &[u32]) -> Vec<u8> {
        path.iter().rev().fold(message.to_vec(), |inner, number| {
            let mut outer = Vec::new();
            put_len(&mut outer, *number, &inner);
            outer
        })
    }

    fn refusal(signal: Signal, bytes: &[u8]) -> String {
        validate(signal, bytes).expect_err("refused").to_string()
    }

    #[test]
    fn an_empty_request_is_valid_and_holds_nothing() {
        for signal in Signal::ALL {
            assert_eq!(validate(signal, &[]), Ok(0));
        }
    }

    #[test]
    fn items_are_spans_log_records_and_data_points() {
        let two = |path: &[u32]| [wrapped(&[], path), wrapped(&[], path)].concat();
        assert_eq!(validate(Signal::Traces, &two(&[1, 2, 2])), Ok(2));
        assert_eq!(validate(Signal::Logs, &two(&[1, 2, 2])), Ok(2));
        for data in [5, 7, 9, 10, 11] {
            assert_eq!(validate(Signal::Metrics, &two(&[1, 2, 2, data, 1])), Ok(2));
        }
        assert_eq!(validate(Signal::Metrics, &two(&[1, 2, 2])), Ok(0));
    }

    #[test]
    fn a_refusal_says_what_and_where() {
        let mut name = Vec::new();
        put_len(&mut name, 5, b"caf\xe9 au lait");
        assert_eq!(
            refusal(Signal::Traces, &request_with(&name)),
            "malformed request: Span name is not UTF-8 at byte 11"
        );
        assert_eq!(
            refusal(Signal::Traces, &request_with(&[0x12, 0x09, 1])),
            "malformed request: length of field 2 of Span runs past the end at byte 7"
        );
        assert_eq!(
            refusal(Signal::Traces, &request_with(&[0x28, 1])),
            "malformed request: Span name has the wrong wire type at byte 6"
        );
        assert_eq!(
            refusal(Signal::Traces, &request_with(&[0x03])),
            "malformed request: Span has a field numbered 0 at byte 6"
        );
    }

    #[test]
    fn nesting_is_refused_where_prost_refuses_it() {
        // each level of arrays is two messages; 96 levels are open below an attribute's value
        let nested = |levels: usize| {
            let mut path = vec![1, 2, 2, 9, 2];
            path.extend([5, 1].repeat(levels));
            wrapped(&[], &path)
        };
        assert_eq!(validate(Signal::Traces, &nested(47)), Ok(1));
        assert!(refusal(Signal::Traces, &nested(48)).contains("nesting deeper than 100"));
    }

    #[test]
    fn ascii_is_told_at_every_length_and_place() {
        for len in 0..150 {
            let mut bytes = vec![b'a'; len];
            assert!(is_ascii(&bytes), "{len}");
            for at in 0..len {
                bytes[at] = 0x80;
                assert!(!is_ascii(&bytes), "{at} of {len}");
                bytes[at] = 0x7f;
            }
        }
    }

    #[test]
    fn only_the_usual_form_of_an_attribute_is_plain() {
        for plain in [
            &b"\x0a\x01k\x12\x00"[..],
            b"\x0a\x01k\x12\x04\x0a\x02hi",
            b"\x0a\x00\x12\x02\x18\x01",
            b"\x0a\x01k\x12\x03\x18\x80\x01",
            b"\x0a\x01k\x12\x02\x10\x01",
            b"\x0a\x01k\x12\x09\x21\xff\xff\xff\xff\xff\xff\xff\xff",
        ] {
            assert!(is_plain_attribute(plain), "{plain:02x?}");
        }
        for other in [
            &b""[..],
            b"\x0a\x01k",
            b"\x12\x00\x0a\x01k",
            b"\x0a\x01k\x12\x04\x0a\x02\xc3\xa9",
            b"\x0a\x01\xe9\x12\x00",
            b"\x0a\x01k\x12\x04\x0a\x03hi",
            b"\x0a\x01k\x12\x05\x0a\x02hi",
            b"\x0a\x01k\x12\x03\x18\x80\x80",
            b"\x0a\x01k\x12\x03\x18\x01\x01",
            b"\x0a\x01k\x12\x01\x18",
        ] {
            assert!(!is_plain_attribute(other), "{other:02x?}");
        }
    }
}
