//! Bytes to text: the fields of a message are found in one pass, then written in the schema's order.
//!
//! Protobuf lets the elements of a list stand anywhere, a message come in several parts, and a plain value come again
//! (the last counts). So each message is walked once to note where its fields begin, and each list once more from
//! there. Parts of a message are not joined in memory: hostile bytes would have every level of nesting copied.

use crate::otlp::json::nested::{FIXED32, FIXED64, VARINT};
use crate::otlp::json::number::Shown;
use crate::otlp::json::text::{quoted, shown};
use crate::otlp::json::wire::{Broken, Fields, Wire, read_value};
use crate::otlp::json::{MAX_DEPTH, base64, bit, oneof_members};
use crate::otlp::schema::{Field, Kind, Message};
use crate::otlp::{Malformed, Signal};
use std::slice;

/// Most fields of any message in the schema.
const MAX_FIELDS: usize = 16;

/// Appends one line of OTLP/JSON (without a line end) for one export request.
///
/// # Errors
/// What is wrong with the bytes and where; `out` is then as it was.
pub fn encode(signal: Signal, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Malformed> {
    encode_parts(signal, &[bytes], out)
}

/// The same for a request in parts, which protobuf merges when they are read one after another.
///
/// # Errors
/// What is wrong with the bytes and where, counted through all parts; `out` is then as it was.
pub fn encode_parts(signal: Signal, parts: &[&[u8]], out: &mut Vec<u8>) -> Result<(), Malformed> {
    let before = out.len();
    encode_message(signal.request(), parts, 0, out).map_err(|broken| {
        out.truncate(before);
        Malformed::new(offset(parts, broken.at.unwrap_or_default()), broken.what)
    })
}

/// Where a slice of the parts stands in them.
fn offset(parts: &[&[u8]], at: &[u8]) -> usize {
    let address = at.as_ptr().addr();
    let mut before = 0;
    for part in parts {
        if let Some(inside) = address.checked_sub(part.as_ptr().addr())
            && inside <= part.len()
        {
            return before + inside;
        }
        before += part.len();
    }
    before
}

type Encoded<'a> = Result<(), Broken<'a>>;

/// What was found of one field.
#[derive(Clone, Copy)]
struct Found<'a, 's> {
    /// Just before its first occurrence that counts.
    first: Fields<'a, 's>,
    /// Occurrences.
    count: usize,
    /// The last one.
    last: Wire<'a>,
}

/// Walks a message. Of the members of a `oneof`, the last one given stands alone, from where it took over.
fn find<'a, 's>(
    message: &'static Message,
    pieces: &'s [&'a [u8]],
) -> Result<[Option<Found<'a, 's>>; MAX_FIELDS], Broken<'a>> {
    let oneof = oneof_members(message);
    let mut found = [None; MAX_FIELDS];
    let mut member = 0;
    let mut fields = Fields::new(pieces);
    loop {
        let here = fields;
        let Some((number, value)) = fields.next()? else {
            return Ok(found);
        };
        if message.field(number).is_none() {
            continue;
        }
        if bit(number) & oneof != 0 && number != member {
            clear(&mut found, member);
            member = number;
        }
        let place = found.get_mut((number as usize).wrapping_sub(1));
        match place {
            Some(Some(Found { count, last, .. })) => {
                *count += 1;
                *last = value;
            }
            Some(place) => {
                *place = Some(Found {
                    first: here,
                    count: 1,
                    last: value,
                });
            }
            None => debug_assert!(false, "MAX_FIELDS is the schema's largest number"),
        }
    }
}

fn clear<T>(found: &mut [Option<T>], number: u32) {
    if let Some(place) = found.get_mut((number as usize).wrapping_sub(1)) {
        *place = None;
    }
}

/// The occurrences of one field as byte strings, from the first that counts.
fn occurrences<'a>(number: u32, found: &Found<'a, '_>) -> Result<Vec<&'a [u8]>, Broken<'a>> {
    let mut parts = Vec::new();
    let mut fields = found.first;
    while parts.len() < found.count
        && let Some((this, value)) = fields.next()?
    {
        if this == number {
            parts.push(as_len(value)?);
        }
    }
    Ok(parts)
}

fn as_len(value: Wire<'_>) -> Result<&[u8], Broken<'_>> {
    match value {
        Wire::Len(bytes) => Ok(bytes),
        _ => Err(broken("wrong wire type for the field")),
    }
}

/// A finding whose place is filled in by the message around it.
fn broken<'a>(what: &'static str) -> Broken<'a> {
    Broken { what, at: None }
}

fn encode_message<'a>(
    message: &'static Message,
    pieces: &[&'a [u8]],
    depth: u32,
    out: &mut Vec<u8>,
) -> Encoded<'a> {
    encode_fields(message, pieces, depth, out).map_err(|broken| Broken {
        at: broken.at.or_else(|| pieces.first().copied()),
        ..broken
    })
}

fn encode_fields<'a>(
    message: &'static Message,
    pieces: &[&'a [u8]],
    depth: u32,
    out: &mut Vec<u8>,
) -> Encoded<'a> {
    let found = find(message, pieces)?;
    out.push(b'{');
    let mut is_first = true;
    for ((number, field), found) in (1..).zip(message.fields).zip(&found) {
        let Some(found) = found else { continue };
        let before = out.len();
        if !is_first {
            out.push(b',');
        }
        out.push(b'"');
        out.extend_from_slice(field.json.as_bytes());
        out.extend_from_slice(b"\":");
        if encode_field(number, field, found, depth, out)? {
            is_first = false;
        } else {
            out.truncate(before);
        }
    }
    out.push(b'}');
    Ok(())
}

/// Writes a field's value; `false` if proto3 leaves it out.
fn encode_field<'a>(
    number: u32,
    field: &'static Field,
    found: &Found<'a, '_>,
    depth: u32,
    out: &mut Vec<u8>,
) -> Result<bool, Broken<'a>> {
    if field.is_repeated {
        return encode_list(number, field, found, depth, out);
    }
    if let Kind::Message(message) = field.kind {
        if depth >= MAX_DEPTH {
            return Err(broken("nested deeper than 100 messages"));
        }
        if found.count == 1 {
            let piece = as_len(found.last)?;
            encode_message(message, slice::from_ref(&piece), depth + 1, out)?;
        } else {
            encode_message(message, &occurrences(number, found)?, depth + 1, out)?;
        }
        return Ok(true);
    }
    encode_plain(field, found.last, field.has_presence, out)
}

/// Writes a list; `false` if it turns out empty (a packed list of nothing).
fn encode_list<'a>(
    number: u32,
    field: &'static Field,
    found: &Found<'a, '_>,
    depth: u32,
    out: &mut Vec<u8>,
) -> Result<bool, Broken<'a>> {
    out.push(b'[');
    let start = out.len();
    let mut fields = found.first;
    let mut left = found.count;
    while left > 0
        && let Some((this, value)) = fields.next()?
    {
        if this != number {
            continue;
        }
        left -= 1;
        match (field.kind, value) {
            (Kind::Message(message), _) => {
                if depth >= MAX_DEPTH {
                    return Err(broken("nested deeper than 100 messages"));
                }
                let piece = as_len(value)?;
                encode_message(message, slice::from_ref(&piece), depth + 1, out)?;
                out.push(b',');
            }
            (Kind::String | Kind::Bytes | Kind::HexId, _) | (_, Wire::Varint(_)) => {
                encode_element(field, value, out)?;
            }
            (kind, Wire::Len(mut packed)) => {
                while !packed.is_empty() {
                    encode_element(field, read_packed(kind, &mut packed)?, out)?;
                }
            }
            _ => encode_element(field, value, out)?,
        }
    }
    let is_empty = out.len() == start;
    if !is_empty {
        out.pop(); // the last comma
    }
    out.push(b']');
    Ok(!is_empty)
}

fn encode_element<'a>(field: &'static Field, value: Wire<'a>, out: &mut Vec<u8>) -> Encoded<'a> {
    encode_plain(field, value, true, out)?;
    out.push(b',');
    Ok(())
}

fn read_packed<'a>(kind: Kind, packed: &mut &'a [u8]) -> Result<Wire<'a>, Broken<'a>> {
    match kind {
        Kind::Double | Kind::Fixed64 | Kind::Sfixed64 => read_value(FIXED64, packed),
        Kind::Fixed32 => read_value(FIXED32, packed),
        _ => read_value(VARINT, packed),
    }
}

// ── plain values ──

/// Writes a value that is neither message nor list; `false` if it is a default that says nothing.
fn encode_plain<'a>(
    field: &'static Field,
    value: Wire<'a>,
    has_presence: bool,
    out: &mut Vec<u8>,
) -> Result<bool, Broken<'a>> {
    match (field.kind, value) {
        (Kind::String | Kind::Bytes | Kind::HexId, Wire::Len([])) if !has_presence => {
            return Ok(false);
        }
        (Kind::String, Wire::Len(bytes)) => {
            let text = std::str::from_utf8(bytes).map_err(|error| Broken {
                what: "invalid UTF-8",
                at: bytes.get(error.valid_up_to()..),
            })?;
            quoted(text, out);
        }
        (Kind::Bytes, Wire::Len(bytes)) => {
            out.push(b'"');
            base64::encode(bytes, out);
            out.push(b'"');
        }
        (Kind::HexId, Wire::Len(bytes)) => {
            out.push(b'"');
            for byte in bytes {
                shown(format_args!("{byte:02x}"), out);
            }
            out.push(b'"');
        }
        (kind, _) => {
            let number =
                Shown::new(kind, value).ok_or_else(|| broken("wrong wire type for the field"))?;
            if number.is_default() && !has_presence {
                return Ok(false);
            }
            number.write(out);
        }
    }
    Ok(true)
}
