//! Attributes and their values, read in place.
//!
//! An attribute is looked at in two steps, because most are skipped after a look at their key: [`AttrView`] knows where
//! the value's bytes are, [`AttrView::value`] reads them.
//!
//! A value may come in parts that protobuf merges: two `value` fields of one attribute, two `arrayValue`s of one value.
//! No encoder writes that, but a view must say what a decoder says, so [`Parts`] walks over them; for the usual form it is
//! two slices, one of them empty.

use crate::otlp::wire::{Fields, Value, tag_byte, take_len, varint};

/// The attributes of a span, a resource, a scope, an event, a link, or the entries of a map.
#[derive(Clone, Copy, Debug)]
pub struct Attributes<'a> {
    // messages yet to come that hold more of them: a resource may come in parts
    outer: Fields<'a>,
    outer_number: u32,
    inner: Fields<'a>,
    number: u32,
    // the tag of that number, if one byte holds it
    tag: u8,
    is_editable: bool,
}

impl<'a> Attributes<'a> {
    /// The fields of this number in a message.
    #[inline]
    pub(crate) fn of(message: &'a [u8], number: u32) -> Self {
        Attributes {
            outer: Fields::default(),
            outer_number: 1,
            inner: Fields::new(message),
            number,
            tag: tag_byte(number),
            is_editable: true,
        }
    }

    /// The same, but out of the splice's reach.
    pub(crate) fn fixed(message: &'a [u8], number: u32) -> Self {
        Attributes {
            is_editable: false,
            ..Attributes::of(message, number)
        }
    }

    /// The fields of this number in the messages of that number in a message.
    #[inline]
    pub(crate) fn nested(message: &'a [u8], outer_number: u32, number: u32) -> Self {
        Attributes {
            outer: Fields::new(message),
            outer_number,
            inner: Fields::default(),
            number,
            tag: tag_byte(number),
            is_editable: true,
        }
    }

    /// The attribute that begins here and what follows it, if it has the form that every encoder writes.
    #[inline]
    fn usual(&self, rest: &'a [u8]) -> Option<(AttrView<'a>, &'a [u8])> {
        let [tag, len @ 0..0x80, after @ ..] = rest else {
            return None;
        };
        let (body, next) = after.split_at_checked(usize::from(*len))?;
        let head = if self.is_editable { 2 } else { 0 };
        let attribute = AttrView::usual(body, head)?;
        (*tag == self.tag).then_some((attribute, next))
    }

    #[inline(never)]
    fn next_of_any_form(&mut self) -> Option<AttrView<'a>> {
        loop {
            if let Some(part) = self.inner.next_part(self.number) {
                let head = if self.is_editable { part.head } else { 0 };
                return Some(AttrView::decode(part.body, head));
            }
            self.inner = Fields::new(self.outer.next_len(self.outer_number)?);
        }
    }

    /// The first with this key.
    #[must_use]
    pub fn find_key(mut self, key: &[u8]) -> Option<AttrView<'a>> {
        self.find(|attribute| attribute.key == key)
    }
}

impl<'a> Iterator for Attributes<'a> {
    type Item = AttrView<'a>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        match self.usual(self.inner.rest()) {
            Some((attribute, rest)) => {
                self.inner = Fields::new(rest);
                Some(attribute)
            }
            None => self.next_of_any_form(),
        }
    }

    /// The same with the cursor in a register; `for_each`, `filter` and others come down to it.
    #[inline]
    fn fold<B, F: FnMut(B, AttrView<'a>) -> B>(mut self, init: B, mut f: F) -> B {
        let mut folded = init;
        loop {
            let mut rest = self.inner.rest();
            while let Some((attribute, next)) = self.usual(rest) {
                folded = f(folded, attribute);
                rest = next;
            }
            self.inner = Fields::new(rest);
            match self.next_of_any_form() {
                Some(attribute) => folded = f(folded, attribute),
                None => return folded,
            }
        }
    }
}

/// An attribute, or an entry of a map.
#[derive(Clone, Copy, Debug)]
pub struct AttrView<'a> {
    /// Its name, UTF-8.
    pub key: &'a [u8],
    value: Parts<'a>,
    // the `KeyValue`, and the bytes of tag and length before it; 0 keeps the splice away
    pub(crate) body: &'a [u8],
    pub(crate) head: usize,
}

impl<'a> AttrView<'a> {
    #[inline]
    pub(crate) fn decode(body: &'a [u8], head: usize) -> Self {
        AttrView::usual(body, head).unwrap_or_else(|| AttrView::scattered(body, head))
    }

    /// Reads an attribute that is a key, then a value, and nothing else.
    #[inline]
    fn usual(body: &'a [u8], head: usize) -> Option<Self> {
        let [0x0a, len @ 0..0x80, after @ ..] = body else {
            return None;
        };
        let (key, [0x12, after @ ..]) = after.split_at_checked(usize::from(*len))? else {
            return None;
        };
        let (value, []) = take_len(after)? else {
            return None;
        };
        let value = Parts::whole(value);
        Some(AttrView {
            key,
            value,
            body,
            head,
        })
    }

    /// Reads an attribute of any other form: fields swapped, repeated, missing or unknown.
    #[cold]
    #[inline(never)]
    fn scattered(body: &'a [u8], head: usize) -> Self {
        let mut key = &[][..];
        let mut fields = Fields::new(body);
        while let Some(bytes) = fields.next_len(1) {
            key = bytes;
        }
        let value = Parts {
            to_come: Fields::new(body),
            current: Fields::default(),
        };
        AttrView {
            key,
            value,
            body,
            head,
        }
    }

    /// The name as text.
    #[must_use]
    pub fn key_str(&self) -> &'a str {
        text(self.key)
    }

    /// Its value, read now; what is inside an array or a map is read when that is iterated.
    #[inline]
    #[must_use]
    pub fn value(&self) -> ValueView<'a> {
        self.value.decode()
    }

    /// Its value, if that is text; quicker than [`AttrView::value`].
    #[inline]
    #[must_use]
    pub fn text(&self) -> Option<&'a [u8]> {
        if let [0x0a, after @ ..] = self.value.only()
            && let Some((text, [])) = take_len(after)
        {
            return Some(text);
        }
        match self.value() {
            ValueView::Str(text) => Some(text),
            _ => None,
        }
    }

    /// Its value, if that is a whole number in the form that every encoder writes; else [`AttrView::value`] must say.
    #[inline]
    #[must_use]
    pub fn quick_int(&self) -> Option<i64> {
        match self.value.only() {
            [0x18, after @ ..] => match varint(after) {
                Some((number, [])) => Some(number.cast_signed()),
                _ => None,
            },
            _ => None,
        }
    }

    /// The value's fields as they stand, for a copy under another key.
    pub(crate) fn value_parts(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let mut fields = Fields::new(self.body);
        std::iter::from_fn(move || fields.next_len(2))
    }
}

/// What an attribute says.
#[derive(Clone, Copy, Debug)]
pub enum ValueView<'a> {
    /// Nothing, or what this schema has no word for.
    Empty,
    /// UTF-8.
    Str(&'a [u8]),
    /// Yes or no.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A number.
    Double(f64),
    /// Bytes.
    Bytes(&'a [u8]),
    /// Values in order.
    Array(Elements<'a>),
    /// Values by key, in order.
    Map(Entries<'a>),
}

impl<'a> ValueView<'a> {
    /// The text, if it is one.
    #[must_use]
    pub fn as_str(&self) -> Option<&'a str> {
        match self {
            ValueView::Str(bytes) => Some(text(bytes)),
            _ => None,
        }
    }
}

/// An `AnyValue` that may lie in parts; a cursor over its members.
#[derive(Clone, Copy, Debug, Default)]
struct Parts<'a> {
    // the rest of the `KeyValue`, whose further `value` fields go on with this value
    to_come: Fields<'a>,
    current: Fields<'a>,
}

impl<'a> Parts<'a> {
    #[inline]
    fn whole(value: &'a [u8]) -> Self {
        Parts {
            to_come: Fields::default(),
            current: Fields::new(value),
        }
    }

    #[inline]
    fn decode(self) -> ValueView<'a> {
        if let [0x0a, len @ 0..0x80, text @ ..] = self.current.rest()
            && text.len() == usize::from(*len)
            && self.to_come.is_done()
        {
            return ValueView::Str(text);
        }
        self.last_member()
    }

    /// The bytes of a value in one part; of others nothing.
    #[inline]
    fn only(&self) -> &'a [u8] {
        if self.to_come.is_done() {
            self.current.rest()
        } else {
            &[]
        }
    }

    /// The member that counts. An array or a map begins where the run of such members begins that ends the value.
    fn last_member(mut self) -> ValueView<'a> {
        let mut value = ValueView::Empty;
        loop {
            let here = self;
            let Some(member) = self.next_member() else {
                return value;
            };
            value = match member {
                (1, Value::Len(text)) => ValueView::Str(text),
                (2, Value::Varint(bit)) => ValueView::Bool(bit != 0),
                (3, Value::Varint(number)) => ValueView::Int(number.cast_signed()),
                (4, Value::Fixed64(bits)) => ValueView::Double(f64::from_bits(bits)),
                (5, Value::Len(_)) if matches!(value, ValueView::Array(_)) => value,
                (5, Value::Len(_)) => ValueView::Array(Elements {
                    items: Items::new(here, 5),
                }),
                (6, Value::Len(_)) if matches!(value, ValueView::Map(_)) => value,
                (6, Value::Len(_)) => ValueView::Map(Entries {
                    items: Items::new(here, 6),
                }),
                (7, Value::Len(bytes)) => ValueView::Bytes(bytes),
                (8, Value::Varint(_)) => ValueView::Empty,
                _ => value,
            };
        }
    }

    fn next_member(&mut self) -> Option<(u32, Value<'a>)> {
        loop {
            if let Some(member) = self.current.next() {
                return Some(member);
            }
            self.current = Fields::new(self.to_come.next_len(2)?);
        }
    }
}

/// The messages inside the arrays (member 5) or maps (member 6) of a value's parts.
#[derive(Clone, Copy, Debug)]
struct Items<'a> {
    parts: Parts<'a>,
    inside: Fields<'a>,
    member: u32,
}

impl<'a> Items<'a> {
    fn new(parts: Parts<'a>, member: u32) -> Self {
        Items {
            parts,
            inside: Fields::default(),
            member,
        }
    }

    fn next(&mut self) -> Option<&'a [u8]> {
        loop {
            if let Some(item) = self.inside.next_len(1) {
                return Some(item);
            }
            self.inside = match self.parts.next_member()? {
                (member, Value::Len(inside)) if member == self.member => Fields::new(inside),
                _ => continue,
            };
        }
    }
}

/// The values of an array.
#[derive(Clone, Copy, Debug)]
pub struct Elements<'a> {
    items: Items<'a>,
}

impl<'a> Iterator for Elements<'a> {
    type Item = ValueView<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        self.items.next().map(|value| Parts::whole(value).decode())
    }
}

/// The entries of a map; the splice does not edit them.
#[derive(Clone, Copy, Debug)]
pub struct Entries<'a> {
    items: Items<'a>,
}

impl<'a> Iterator for Entries<'a> {
    type Item = AttrView<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        self.items.next().map(|entry| AttrView::decode(entry, 0))
    }
}

/// Validated bytes as text; nothing, if they are not.
pub(crate) fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn only<'a>(kv: &'a [u8]) -> AttrView<'a> {
        AttrView::decode(kv, 0)
    }

    #[test]
    fn the_last_member_of_a_value_counts() {
        let text_then_int = only(b"\x0a\x01k\x12\x05\x0a\x01a\x18\x07");
        assert!(matches!(text_then_int.value(), ValueView::Int(7)));
        let split = only(b"\x12\x02\x18\x07\x0a\x01j\x12\x03\x0a\x01b\x0a\x01k");
        assert_eq!(split.key, b"k");
        assert_eq!(split.value().as_str(), Some("b"));
        assert!(matches!(only(b"\x0a\x01k").value(), ValueView::Empty));
        assert!(matches!(only(b"").value(), ValueView::Empty));
    }

    #[test]
    fn arrays_in_parts_are_one_array_unless_something_else_came_between() {
        let ints = |kv: &[u8]| match only(kv).value() {
            ValueView::Array(elements) => elements
                .map(|e| if let ValueView::Int(n) = e { n } else { -1 })
                .collect::<Vec<_>>(),
            other => vec![-2, i64::from(matches!(other, ValueView::Empty))],
        };
        // {[1] [2]} {[3]}
        let joined = b"\x0a\x01k\x12\x0c\x2a\x04\x0a\x02\x18\x01\x2a\x04\x0a\x02\x18\x02\x12\x06\x2a\x04\x0a\x02\x18\x03";
        assert_eq!(ints(joined), [1, 2, 3]);
        // {[1] true} {[3]}
        let parted =
            b"\x0a\x01k\x12\x08\x2a\x04\x0a\x02\x18\x01\x10\x01\x12\x06\x2a\x04\x0a\x02\x18\x03";
        assert_eq!(ints(parted), [3]);
    }

    #[test]
    fn what_is_broken_ends_quietly() {
        for cut in 0..16 {
            let kv = b"\x0a\x01k\x12\x0b\x32\x09\x0a\x07\x0a\x01j\x12\x02\x18\x05";
            if let ValueView::Map(entries) = only(&kv[..cut]).value() {
                assert!(entries.count() <= 1);
            }
        }
    }
}
