//! OTLP/JSON: one export request as text, to and from the protobuf bytes that everything else reads.
//!
//! ```text
//! text ─▶ decode (serde_json's stream, led by the schema table) ─▶ bytes     no tree of the request in between
//! bytes ─▶ encode (fields gathered per message, then written) ─▶ one line of text
//! ```
//!
//! The mapping is proto3's JSON with OTLP's exceptions: ids are hex, enums are numbers only. What is *read* is all that
//! proto3 allows (64-bit numbers as strings or numbers, `1e3` for 1000, `null` for absent, both spellings of a name,
//! either base64); what is *written* is the canonical form.
//!
//! **Bounds.** Output and working memory grow by what has been read, never by what it claims; [`MAX_DEPTH`] messages
//! within one another; a finding is at most [`MAX_FINDING_CHARS`] long, whatever the text held.
//! **Invariants.** What `decode` returns is well-formed protobuf of the request. `encode` after `decode` says the same.
//! A JSON object with one field twice, or with two members of a `oneof`, is refused, as proto3 parsers do: bytes that
//! carry both would mean different things to readers that take the first and readers that take the last.
//! **Not here.** Whether ids are zero, whether times make sense: bytes that came as protobuf are not asked either.

mod base64;
mod decode;
mod encode;
mod nested;
mod number;
mod path;
mod plain;
mod response;
#[cfg(test)]
mod tests;
mod text;
mod wire;

pub use decode::decode;
pub use encode::{encode, encode_parts};
pub use response::encode_response;

use crate::otlp::schema::{self, Field, Message};
use std::ptr;

/// Messages within the request that may stand inside one another; protobuf's own limit.
pub const MAX_DEPTH: u32 = 100;

/// Longest finding that is reported, in characters.
pub const MAX_FINDING_CHARS: usize = 256;

/// The fields, as bits from number 1 upwards, of which a message may have one.
fn oneof_members(message: &'static Message) -> u32 {
    let bits = |numbers: &[u32]| numbers.iter().fold(0, |all, number| all | bit(*number));
    if ptr::eq(message, &schema::ANY_VALUE) {
        bits(&[1, 2, 3, 4, 5, 6, 7, 8])
    } else if ptr::eq(message, &schema::METRIC) {
        bits(&[5, 7, 9, 10, 11])
    } else if ptr::eq(message, &schema::NUMBER_DATA_POINT) {
        bits(&[4, 6])
    } else if ptr::eq(message, &schema::EXEMPLAR) {
        bits(&[3, 6])
    } else {
        0
    }
}

/// The bit of a field number; the schema's numbers stay below 32.
fn bit(number: u32) -> u32 {
    1_u32.checked_shl(number.wrapping_sub(1)).unwrap_or(0)
}

/// How many bytes an id has.
fn id_len(field: &Field) -> usize {
    if field.json == "traceId" { 16 } else { 8 }
}
