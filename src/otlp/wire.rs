//! The protobuf wire format: tags, varints, lengths, and the fields of a message in order.
//!
//! Reading borrows and never fails loudly: what is broken ends the iteration, and [`Fields::is_done`] tells a full read
//! from a broken one. Cursors are sub-slices, so that every position is a pointer difference and no index is computed
//! from what a stranger wrote. Varints of one and two bytes, nearly all there are, are read without a loop.
//!
//! **Invariant.** A varint is accepted exactly when `prost` accepts it: at most ten bytes, the tenth at most 1.
//! **Not here.** Which fields exist (`schema`), whether they may (`validate`).

/// Wire type of varints.
pub(crate) const VARINT: u32 = 0;
/// Wire type of eight bytes.
pub(crate) const FIXED64: u32 = 1;
/// Wire type of a length and so many bytes.
pub(crate) const LEN: u32 = 2;
/// Wire type that opens a group.
pub(crate) const GROUP: u32 = 3;
/// Wire type that closes a group.
pub(crate) const END_GROUP: u32 = 4;
/// Wire type of four bytes.
pub(crate) const FIXED32: u32 = 5;

/// What one field holds, as the wire says it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value<'a> {
    /// Any integer, bool or enum.
    Varint(u64),
    /// `fixed64`, `sfixed64` and `double`, as the bits.
    Fixed64(u64),
    /// A string, bytes, a message or packed numbers.
    Len(&'a [u8]),
    /// `fixed32`, `sfixed32` and `float`, as the bits.
    Fixed32(u32),
    /// A group up to and with its end tag. OTLP has none; what is unknown is stepped over.
    Group(&'a [u8]),
}

impl<'a> Value<'a> {
    /// The bytes of a length-delimited field.
    #[inline]
    #[must_use]
    pub fn as_bytes(self) -> Option<&'a [u8]> {
        match self {
            Value::Len(bytes) => Some(bytes),
            _ => None,
        }
    }
}

/// The fields of one message, up to its end or to the first that is broken.
#[derive(Clone, Copy, Debug, Default)]
pub struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    /// Starts at the first field of a message.
    #[inline]
    #[must_use]
    pub fn new(message: &'a [u8]) -> Self {
        Fields { rest: message }
    }

    /// What has not been read.
    #[inline]
    #[must_use]
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Whether the message was read to its end; false after a broken field.
    #[inline]
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.rest.is_empty()
    }

    /// Reads on to the next length-delimited field of this number. Others are stepped over.
    #[inline]
    pub(crate) fn next_part(&mut self, number: u32) -> Option<Part<'a>> {
        let short = tag_byte(number);
        loop {
            let before = self.rest;
            if let Some((&tag, after)) = before.split_first()
                && tag == short
                && let Some((body, after)) = take_len(after)
            {
                self.rest = after;
                return Some(Part::new(before, body, after));
            }
            if let Some(after) = step_over(before, short) {
                self.rest = after;
                continue;
            }
            match self.next()? {
                (found, Value::Len(body)) if found == number => {
                    return Some(Part::new(before, body, self.rest));
                }
                _ => {}
            }
        }
    }

    /// The same without its place.
    #[inline]
    pub(crate) fn next_len(&mut self, number: u32) -> Option<&'a [u8]> {
        self.next_part(number).map(|part| part.body)
    }
}

/// A length-delimited field and how much stands before its body.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Part<'a> {
    /// Bytes of tag and length.
    pub(crate) head: usize,
    /// What the length counts.
    pub(crate) body: &'a [u8],
}

impl<'a> Part<'a> {
    #[inline]
    fn new(before: &'a [u8], body: &'a [u8], after: &'a [u8]) -> Self {
        Part {
            head: before.len() - after.len() - body.len(),
            body,
        }
    }

    /// The length-delimited field that begins at `before` and ends where `after` begins.
    pub(crate) fn last_of(before: &'a [u8], after: &'a [u8]) -> Option<Self> {
        let (_, _, len) = key(before)?;
        let (body, _) = take_len(len)?;
        Some(Part::new(before, body, after))
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = (u32, Value<'a>);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let (number, wire, after) = key(self.rest)?;
        let (value, after) = match wire {
            VARINT => varint(after).map(|(v, after)| (Value::Varint(v), after))?,
            FIXED64 => take8(after).map(|(v, after)| (Value::Fixed64(v), after))?,
            LEN => take_len(after).map(|(v, after)| (Value::Len(v), after))?,
            FIXED32 => take4(after).map(|(v, after)| (Value::Fixed32(v), after))?,
            GROUP => {
                let rest = skip_group(after)?;
                let group = after.split_at_checked(after.len() - rest.len())?.0;
                (Value::Group(group), rest)
            }
            _ => return None,
        };
        self.rest = after;
        Some((number, value))
    }
}

/// Steps over a field of another number than that of the tag `sought`, if its own tag takes one byte.
#[inline]
fn step_over(bytes: &[u8], sought: u8) -> Option<&[u8]> {
    let (&tag, after) = bytes.split_first()?;
    if !(8..0x80).contains(&tag) || tag == sought {
        return None;
    }
    match u32::from(tag & 7) {
        LEN => take_len(after).map(|(_, after)| after),
        FIXED64 => after.get(8..),
        FIXED32 => after.get(4..),
        VARINT => varint(after).map(|(_, after)| after),
        _ => None,
    }
}

/// Reads a tag: field number, wire type, what follows.
#[inline]
pub(crate) fn key(bytes: &[u8]) -> Option<(u32, u32, &[u8])> {
    let (key, after) = varint(bytes)?;
    let key = u32::try_from(key).ok()?;
    (key >> 3 != 0).then_some((key >> 3, key & 7, after))
}

/// The one-byte tag of a length-delimited field; 0, which no tag is, where one byte does not hold it.
#[inline]
pub(crate) const fn tag_byte(number: u32) -> u8 {
    if number < 16 {
        (number.to_le_bytes()[0] << 3) | 2
    } else {
        0
    }
}

/// Reads a varint.
#[inline]
pub(crate) fn varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let (&first, after) = bytes.split_first()?;
    if first < 0x80 {
        return Some((u64::from(first), after));
    }
    let (&second, after) = after.split_first()?;
    if second < 0x80 {
        return Some((u64::from(first & 0x7f) | u64::from(second) << 7, after));
    }
    varint_long(bytes)
}

#[inline(never)]
fn varint_long(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut value = 0u64;
    let mut rest = bytes;
    for shift in (0..70).step_by(7) {
        let (&byte, after) = rest.split_first()?;
        rest = after;
        if shift == 63 && byte > 1 {
            return None;
        }
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some((value, rest));
        }
    }
    None
}

/// Reads a length and so many bytes.
#[inline]
pub(crate) fn take_len(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (len, after) = varint(bytes)?;
    after.split_at_checked(usize::try_from(len).ok()?)
}

/// Reads eight bytes.
#[inline]
pub(crate) fn take8(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let (eight, after) = bytes.split_first_chunk::<8>()?;
    Some((u64::from_le_bytes(*eight), after))
}

/// Reads four bytes.
#[inline]
pub(crate) fn take4(bytes: &[u8]) -> Option<(u32, &[u8])> {
    let (four, after) = bytes.split_first_chunk::<4>()?;
    Some((u32::from_le_bytes(*four), after))
}

/// Steps over what is left of a group, and the groups in it. Which tag closes which is `validate`'s to check.
fn skip_group(bytes: &[u8]) -> Option<&[u8]> {
    let mut rest = bytes;
    let mut open = 1u32;
    while open > 0 {
        let (_, wire, after) = key(rest)?;
        rest = match wire {
            VARINT => varint(after)?.1,
            FIXED64 => take8(after)?.1,
            LEN => take_len(after)?.1,
            FIXED32 => take4(after)?.1,
            GROUP => {
                open = open.checked_add(1)?;
                after
            }
            END_GROUP => {
                open -= 1;
                after
            }
            _ => return None,
        };
    }
    Some(rest)
}

/// Where a part of a buffer begins in it. A part of some other buffer gives a number that no check against the buffer's
/// length lets pass.
#[inline]
pub(crate) fn offset_in(buffer: &[u8], part: &[u8]) -> usize {
    (part.as_ptr() as usize).wrapping_sub(buffer.as_ptr() as usize)
}

/// How many bytes a varint takes.
#[inline]
#[must_use]
pub fn varint_len(value: u64) -> usize {
    (70 - (value | 1).leading_zeros() as usize) / 7
}

/// Appends a varint.
#[inline]
pub fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push((value & 0x7f) as u8);
}

/// Appends a tag.
#[inline]
pub(crate) fn put_key(out: &mut Vec<u8>, number: u32, wire: u32) {
    put_varint(out, u64::from(number << 3 | wire));
}

/// Appends a length-delimited field.
#[inline]
pub fn put_len(out: &mut Vec<u8>, number: u32, bytes: &[u8]) {
    put_key(out, number, LEN);
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn varints_have_the_length_that_is_foretold_and_read_back() {
        for shift in 0..64 {
            for value in [1u64 << shift, (1u64 << shift) - 1, u64::MAX >> shift] {
                let mut bytes = Vec::new();
                put_varint(&mut bytes, value);
                assert_eq!(bytes.len(), varint_len(value), "{value}");
                assert_eq!(varint(&bytes), Some((value, &[][..])));
                bytes.pop();
                assert_eq!(varint(&bytes), None, "{value} cut short");
            }
        }
    }

    #[test]
    fn a_varint_beyond_64_bits_is_refused_as_prost_does() {
        for tail in [0u8, 1, 2, 0x7f, 0x80, 0x81] {
            let mut bytes = vec![0xff; 9];
            bytes.extend([tail, 0, 0, 0]);
            let expected = prost::encoding::decode_varint(&mut &bytes[..]).ok();
            assert_eq!(varint(&bytes).map(|(v, _)| v), expected, "{tail}");
        }
    }

    #[test]
    fn fields_are_read_in_order_and_groups_are_stepped_over() {
        let mut bytes = vec![0x08, 0x96, 0x01, 0x11, 1, 0, 0, 0, 0, 0, 0, 0];
        bytes.extend([0x1b, 0x08, 0x01, 0x23, 0x24, 0x12, 0x01, 0x99, 0x1c]); // group 3 with group 4 and a string in it
        put_len(&mut bytes, 20, b"hi");
        bytes.extend([0x2d, 7, 0, 0, 0]);
        let mut fields = Fields::new(&bytes);
        let read: Vec<_> = fields.by_ref().collect();
        assert_eq!(
            read,
            [
                (1, Value::Varint(150)),
                (2, Value::Fixed64(1)),
                (
                    3,
                    Value::Group(&[0x08, 0x01, 0x23, 0x24, 0x12, 0x01, 0x99, 0x1c])
                ),
                (20, Value::Len(b"hi")),
                (5, Value::Fixed32(7)),
            ]
        );
        assert!(fields.is_done());
        assert_eq!(Fields::new(&bytes).next_len(20), Some(&b"hi"[..]));
        assert_eq!(Fields::new(&bytes).next_len(21), None);
    }

    #[test]
    fn a_broken_field_ends_the_reading_for_good() {
        for broken in [
            &[0x0a][..],
            &[0x0a, 0x05, 1, 2],
            &[0x09, 1, 2, 3],
            &[0x0d, 1],
            &[0x08],
            &[0x08, 0x80],
            &[0x00, 0x01],
            &[0x0e],
            &[0x0f],
            &[0x0c],
            &[0x0b, 0x08, 0x01],
            &[
                0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01,
            ],
            &[0xff, 0xff, 0xff, 0xff, 0x7f],
        ] {
            let mut bytes = vec![0x08, 0x01];
            bytes.extend(broken);
            let mut fields = Fields::new(&bytes);
            assert_eq!(fields.next(), Some((1, Value::Varint(1))));
            assert_eq!(fields.next(), None, "{broken:02x?}");
            assert_eq!(fields.next(), None, "{broken:02x?}");
            assert!(!fields.is_done());
        }
    }
}
