//! Protobuf written from front to back, though a message's length stands before it and is known only when it ends.
//!
//! Each message starts with one byte for its length. A length below 128 is put there; for a longer one the place is
//! kept, and [`NestedWriter::finish`] inserts the missing bytes of all of them in one pass. Moving the tail whenever a
//! message ends (the obvious way) would move every byte once per level: a hundred times on hostile input.
//!
//! **Invariants.** A message that ends short has only short ones inside, so its own place is the last kept and is
//! given back: what is kept are the open messages and the long ones, in order of position.

/// A length that does not fit the byte left for it.
#[derive(Clone, Copy, Debug)]
struct Gap {
    /// Position of the byte in the unfinished output.
    at: usize,
    /// The length, including what will be inserted inside; meaningful once the message has ended.
    len: usize,
}

/// An opened message; ended by handing it back.
#[derive(Clone, Copy, Debug)]
pub(super) struct Opened {
    gap: usize,
    at: usize,
    inserted_before: usize,
}

/// An opened list of numbers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Packed {
    before: usize,
    list: Opened,
}

/// Protobuf bytes in the making.
#[derive(Debug, Default)]
pub(super) struct NestedWriter {
    out: Vec<u8>,
    gaps: Vec<Gap>,
    /// Bytes that `finish` will insert for the messages ended so far.
    inserted: usize,
}

/// The wire type of a varint.
pub(super) const VARINT: u32 = 0;
/// Eight bytes follow.
pub(super) const FIXED64: u32 = 1;
/// A length and so many bytes follow.
pub(super) const LEN: u32 = 2;
/// Four bytes follow.
pub(super) const FIXED32: u32 = 5;

impl NestedWriter {
    /// Appends a field's number and wire type.
    pub(super) fn tag(&mut self, number: u32, wire_type: u32) {
        self.varint(u64::from(number << 3 | wire_type));
    }

    /// Appends a varint.
    pub(super) fn varint(&mut self, value: u64) {
        put_varint(&mut self.out, value);
    }

    /// Appends bytes as they are.
    pub(super) fn raw(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
    }

    /// Appends a length and bytes.
    pub(super) fn len_delimited(&mut self, bytes: &[u8]) {
        self.varint(bytes.len() as u64);
        self.raw(bytes);
    }

    /// Begins a message or a packed list, whose tag stands already.
    pub(super) fn open(&mut self) -> Opened {
        let at = self.out.len();
        self.out.push(0);
        self.gaps.push(Gap { at, len: 0 });
        Opened {
            gap: self.gaps.len() - 1,
            at,
            inserted_before: self.inserted,
        }
    }

    /// Ends what was opened last.
    pub(super) fn close(&mut self, opened: Opened) {
        let inside = self.out.len() - opened.at - 1;
        let len = inside + (self.inserted - opened.inserted_before);
        if let Ok(short @ ..0x80) = u8::try_from(len) {
            if let Some(place) = self.out.get_mut(opened.at) {
                *place = short;
            }
            self.gaps.truncate(opened.gap);
        } else {
            if let Some(gap) = self.gaps.get_mut(opened.gap) {
                gap.len = len;
            }
            self.inserted += varint_len(len) - 1;
        }
    }

    /// Begins a packed list.
    pub(super) fn open_packed(&mut self, number: u32) -> Packed {
        let before = self.out.len();
        self.tag(number, LEN);
        let list = self.open();
        Packed { before, list }
    }

    /// Ends a packed list; an empty one leaves no trace.
    pub(super) fn close_packed(&mut self, packed: Packed, is_empty: bool) {
        self.close(packed.list);
        if is_empty {
            self.out.truncate(packed.before);
        }
    }

    /// The bytes, each length in its place.
    pub(super) fn finish(self) -> Vec<u8> {
        if self.gaps.is_empty() {
            return self.out;
        }
        let mut whole = Vec::with_capacity(self.out.len() + self.inserted);
        let mut rest = self.out.as_slice();
        let mut done = 0;
        for gap in &self.gaps {
            let Some((before, after)) = rest.split_at_checked(gap.at - done) else {
                break;
            };
            whole.extend_from_slice(before);
            put_varint(&mut whole, gap.len as u64);
            rest = after.get(1..).unwrap_or_default();
            done = gap.at + 1;
        }
        whole.extend_from_slice(rest);
        whole
    }
}

fn varint_len(value: usize) -> usize {
    let bits = (usize::BITS - (value | 1).leading_zeros()) as usize;
    bits.div_ceil(7)
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "seven bits are taken at a time"
)]
fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_and_short_messages_nest() {
        // lengths around one, two and three bytes, at three levels
        for size in [
            0_usize, 1, 120, 125, 126, 127, 128, 16_380, 16_383, 16_384, 70_000,
        ] {
            let mut writer = NestedWriter::default();
            let outer = writer.open();
            writer.raw(b"<");
            for _ in 0..2 {
                let middle = writer.open();
                let inner = writer.open();
                writer.raw(&vec![7; size]);
                writer.close(inner);
                writer.close(middle);
            }
            let empty = writer.open();
            writer.close(empty);
            writer.close(outer);

            let wrap = |bytes: &[u8]| {
                let mut out = Vec::new();
                prost::encoding::encode_varint(bytes.len() as u64, &mut out);
                out.extend_from_slice(bytes);
                out
            };
            let middle = wrap(&wrap(&vec![7; size]));
            let inside = [b"<".as_slice(), &middle, &middle, &[0]].concat();
            assert_eq!(writer.finish(), wrap(&inside), "{size}");
        }
    }
}
