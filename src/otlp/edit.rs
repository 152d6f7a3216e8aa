//! What may be done to the attributes of one message.

use crate::otlp::AttrView;
use crate::otlp::wire::{
    FIXED64, LEN, VARINT, offset_in, put_key, put_len, put_varint, varint_len,
};

/// Cut so many bytes at a place, and put something there.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Op {
    pub(crate) at: usize,
    pub(crate) skip: usize,
    pub(crate) put: Put,
}

/// What an op puts in: a length, or a range of one of the splice's two buffers.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) enum Put {
    #[default]
    Nothing,
    Length(usize),
    Changed {
        from: usize,
        to: usize,
    },
    Added {
        from: usize,
        to: usize,
    },
}

impl Put {
    pub(crate) fn len(self) -> usize {
        match self {
            Put::Nothing => 0,
            Put::Length(len) => varint_len(len as u64),
            Put::Changed { from, to } | Put::Added { from, to } => to - from,
        }
    }
}

/// A value to be written.
#[derive(Clone, Copy, Debug)]
pub enum NewValue<'a> {
    /// Text.
    Str(&'a str),
    /// Yes or no.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A number.
    Double(f64),
    /// What another attribute says, of any type.
    Same(AttrView<'a>),
}

/// Collects the edits of one message's attributes. Several edits of one attribute: the last counts.
#[derive(Debug)]
pub struct Edits<'s> {
    pub(crate) base: &'s [u8],
    pub(crate) number: u32,
    pub(crate) limit: usize,
    pub(crate) pending: &'s mut Vec<Op>,
    pub(crate) changed: &'s mut Vec<u8>,
    pub(crate) added: &'s mut Vec<u8>,
}

impl Edits<'_> {
    /// Adds an attribute. Whether the key is there already is the caller's to know.
    pub fn insert(&mut self, key: &str, value: NewValue<'_>) {
        if self.has_room() {
            put_attribute(self.added, self.number, key.as_bytes(), value);
        }
    }

    /// Adds attributes of a span that were encoded beforehand by [`encode_span_attribute`].
    #[inline]
    pub fn insert_encoded(&mut self, attributes: &[u8]) {
        debug_assert_eq!(self.number, 9, "encoded for a span");
        if self.has_room() {
            self.added.extend_from_slice(attributes);
        }
    }

    /// Adds an attribute that was encoded beforehand by [`encode_attribute`]; of any message.
    #[inline]
    pub fn insert_attribute(&mut self, attribute: &[u8]) {
        if self.has_room() {
            put_len(self.added, self.number, attribute);
        }
    }

    /// Gives an attribute another value; its place and key stay.
    pub fn replace(&mut self, attribute: &AttrView<'_>, value: NewValue<'_>) {
        if !self.has_room() {
            return;
        }
        let from = self.changed.len();
        put_attribute(self.changed, self.number, attribute.key, value);
        let to = self.changed.len();
        self.change(attribute, Put::Changed { from, to });
    }

    /// Takes an attribute out.
    pub fn remove(&mut self, attribute: &AttrView<'_>) {
        self.change(attribute, Put::Nothing);
    }

    /// Whether the scratch is below its bound; once it is not, the splice refuses the request.
    #[inline]
    fn has_room(&self) -> bool {
        let pending = self.pending.len() * size_of::<Op>();
        pending + self.changed.len() + self.added.len() <= self.limit
    }

    /// Attributes of other messages, of events, links or maps are not this message's to change: they are left alone.
    fn change(&mut self, attribute: &AttrView<'_>, put: Put) {
        let at = offset_in(self.base, attribute.body).wrapping_sub(attribute.head);
        let skip = attribute.head + attribute.body.len();
        let is_inside = at < self.base.len() && skip <= self.base.len() - at;
        if is_inside && attribute.head > 0 && self.has_room() {
            self.pending.push(Op { at, skip, put });
        }
    }
}

/// Appends an attribute of a span, ready for [`Edits::insert_encoded`].
pub fn encode_span_attribute(out: &mut Vec<u8>, key: &str, value: NewValue<'_>) {
    put_attribute(out, 9, key.as_bytes(), value);
}

/// Appends an attribute without the tag and length of the field that will hold it, ready for [`Edits::insert_attribute`].
pub fn encode_attribute(out: &mut Vec<u8>, key: &str, value: NewValue<'_>) {
    put_len(out, 1, key.as_bytes());
    put_key(out, 2, LEN);
    put_value(out, value);
}

fn put_attribute(out: &mut Vec<u8>, number: u32, key: &[u8], value: NewValue<'_>) {
    put_key(out, number, LEN);
    put_varint(
        out,
        (len_size(key.len()) + len_size(value_len(value))) as u64,
    );
    put_len(out, 1, key);
    put_key(out, 2, LEN);
    put_value(out, value);
}

/// Appends an `AnyValue` with its length.
fn put_value(out: &mut Vec<u8>, value: NewValue<'_>) {
    put_varint(out, value_len(value) as u64);
    match value {
        NewValue::Str(text) => put_len(out, 1, text.as_bytes()),
        NewValue::Bool(bit) => {
            put_key(out, 2, VARINT);
            out.push(u8::from(bit));
        }
        NewValue::Int(int) => {
            put_key(out, 3, VARINT);
            put_varint(out, int.cast_unsigned());
        }
        NewValue::Double(number) => {
            put_key(out, 4, FIXED64);
            out.extend_from_slice(&number.to_le_bytes());
        }
        NewValue::Same(other) => other
            .value_parts()
            .for_each(|part| out.extend_from_slice(part)),
    }
}

fn value_len(value: NewValue<'_>) -> usize {
    match value {
        NewValue::Str(text) => len_size(text.len()),
        NewValue::Bool(_) => 2,
        NewValue::Int(int) => 1 + varint_len(int.cast_unsigned()),
        NewValue::Double(_) => 9,
        NewValue::Same(other) => other.value_parts().map(<[u8]>::len).sum(),
    }
}

/// Bytes of a length-delimited field with a one-byte tag.
fn len_size(len: usize) -> usize {
    1 + varint_len(len as u64) + len
}
