//! Protobuf's fields one after another, through the pieces of which a message may consist.

use crate::otlp::json::MAX_DEPTH;

/// A value as its wire type has it.
#[derive(Clone, Copy, Debug)]
pub(super) enum Wire<'a> {
    /// A varint.
    Varint(u64),
    /// Four bytes.
    Fixed32(u32),
    /// Eight bytes.
    Fixed64(u64),
    /// A length and so many bytes.
    Len(&'a [u8]),
    /// A group, which OTLP does not use; skipped.
    Group,
}

/// What is wrong, and what was left to read of the piece in which it was found.
#[derive(Clone, Copy, Debug)]
pub(super) struct Broken<'a> {
    pub(super) what: &'static str,
    /// `None` until the message is known in which it was found.
    pub(super) at: Option<&'a [u8]>,
}

/// A place in a message: pieces that together are its bytes (protobuf merges by concatenation, so nothing is copied).
#[derive(Clone, Copy, Debug)]
pub(super) struct Fields<'a, 's> {
    pieces: &'s [&'a [u8]],
    rest: &'a [u8],
}

impl<'a, 's> Fields<'a, 's> {
    /// The start.
    pub(super) fn new(pieces: &'s [&'a [u8]]) -> Self {
        Fields { pieces, rest: &[] }
    }

    /// The next field's number and value.
    pub(super) fn next(&mut self) -> Result<Option<(u32, Wire<'a>)>, Broken<'a>> {
        while self.rest.is_empty() {
            let Some((piece, later)) = self.pieces.split_first() else {
                return Ok(None);
            };
            self.rest = piece;
            self.pieces = later;
        }
        read_field(&mut self.rest).map(Some)
    }
}

fn read_field<'a>(rest: &mut &'a [u8]) -> Result<(u32, Wire<'a>), Broken<'a>> {
    let (number, wire_type) = read_tag(rest)?;
    let value = if wire_type == 3 {
        skip_group(number, rest)?;
        Wire::Group
    } else {
        read_value(wire_type, rest)?
    };
    Ok((number, value))
}

fn read_tag<'a>(rest: &mut &'a [u8]) -> Result<(u32, u32), Broken<'a>> {
    let before = *rest;
    let broken = |what| Broken {
        what,
        at: Some(before),
    };
    let tag = u32::try_from(read_varint(rest)?).map_err(|_| broken("invalid tag"))?;
    if tag >> 3 == 0 {
        return Err(broken("field number 0"));
    }
    Ok((tag >> 3, tag & 7))
}

/// A value of this wire type; groups are not values.
pub(super) fn read_value<'a>(wire_type: u32, rest: &mut &'a [u8]) -> Result<Wire<'a>, Broken<'a>> {
    let before = *rest;
    let cut_short = Broken {
        what: "truncated",
        at: Some(before),
    };
    match wire_type {
        0 => read_varint(rest).map(Wire::Varint),
        1 => {
            let (value, after) = rest.split_first_chunk().ok_or(cut_short)?;
            *rest = after;
            Ok(Wire::Fixed64(u64::from_le_bytes(*value)))
        }
        2 => {
            let len = read_varint(rest)?;
            let (value, after) = usize::try_from(len)
                .ok()
                .and_then(|len| rest.split_at_checked(len))
                .ok_or(cut_short)?;
            *rest = after;
            Ok(Wire::Len(value))
        }
        5 => {
            let (value, after) = rest.split_first_chunk().ok_or(cut_short)?;
            *rest = after;
            Ok(Wire::Fixed32(u32::from_le_bytes(*value)))
        }
        _ => Err(Broken {
            what: "invalid wire type",
            at: Some(before),
        }),
    }
}

/// Skips to the end of a group, counting those inside instead of recursing.
fn skip_group<'a>(number: u32, rest: &mut &'a [u8]) -> Result<(), Broken<'a>> {
    let mut open = vec![number];
    while let Some(&innermost) = open.last() {
        let before = *rest;
        let broken = |what| Broken {
            what,
            at: Some(before),
        };
        match read_tag(rest)? {
            (number, 4) if number == innermost => {
                open.pop();
            }
            (_, 4) => return Err(broken("group ended by another's end")),
            (number, 3) if open.len() < MAX_DEPTH as usize => open.push(number),
            (_, 3) => return Err(broken("groups nested too deep")),
            (_, wire_type) => {
                read_value(wire_type, rest)?;
            }
        }
    }
    Ok(())
}

/// At most ten bytes, as `u64` has them.
fn read_varint<'a>(rest: &mut &'a [u8]) -> Result<u64, Broken<'a>> {
    let before = *rest;
    let broken = |what| Broken {
        what,
        at: Some(before),
    };
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let (byte, after) = rest.split_first().ok_or(broken("truncated"))?;
        *rest = after;
        if shift == 63 && *byte > 1 {
            return Err(broken("varint too long"));
        }
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err(broken("varint too long"))
}
