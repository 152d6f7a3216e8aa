//! serde's view of a tree: the `Deserializer` behind `Section::parse`.

use crate::config::node::{Entry, Node, Scalar, Typed, Value};
use crate::config::typed::{At, Failure, Pass};
use serde::de::value::StrDeserializer;
use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, IntoDeserializer, MapAccess, SeqAccess,
    VariantAccess, Visitor,
};

/// Reads one node.
pub(super) struct Reader<'a> {
    node: &'a Node,
    at: At,
    pass: &'a Pass<'a>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(node: &'a Node, at: At, pass: &'a Pass<'a>) -> Self {
        Reader { node, at, pass }
    }

    fn wrong<T>(&self, expected: &str) -> Result<T, Failure> {
        let help = match &self.node.value {
            Value::Scalar(Scalar {
                plain: false, text, ..
            }) if looks_like(text, expected) => "remove the quotes",
            _ => "",
        };
        let message = format!("expected {expected}, found {}", self.node.describe());
        Err(Failure::new(message, help).or_at(self.node, &self.at))
    }

    fn typed(&self) -> Option<Typed<'a>> {
        match &self.node.value {
            Value::Scalar(scalar) => Some(scalar.typed()),
            _ => None,
        }
    }

    /// A scalar's text, whatever its type would be: `1.10` for a version, `123` for a header.
    fn text(&self) -> Option<&'a str> {
        match &self.node.value {
            // `~` from a variable is text where text is asked for; an empty one is nothing.
            Value::Scalar(scalar) if scalar.expanded && !scalar.text.is_empty() => {
                Some(&scalar.text)
            }
            Value::Scalar(scalar) if !scalar.is_null() => Some(&scalar.text),
            _ => None,
        }
    }

    fn visit_map<'de, V: Visitor<'de>>(
        self,
        entries: Vec<&'a Entry>,
        visitor: V,
    ) -> Result<V::Value, Failure> {
        let Reader { node, at, pass } = self;
        let access = Entries {
            entries: entries.into_iter(),
            value: None,
            at: &at,
            pass,
        };
        visitor
            .visit_map(access)
            .map_err(|failure| failure.or_at(node, &at))
    }

    fn visit_list<'de, V: Visitor<'de>>(
        self,
        items: &'a [Node],
        visitor: V,
    ) -> Result<V::Value, Failure> {
        let Reader { node, at, pass } = self;
        let access = Items {
            items: items.iter().enumerate(),
            at: &at,
            pass,
        };
        visitor
            .visit_seq(access)
            .map_err(|failure| failure.or_at(node, &at))
    }

    fn visit_whole<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        let visited = match self.typed() {
            Some(Typed::Unsigned(n)) => visitor.visit_u64(n),
            Some(Typed::Signed(n)) => visitor.visit_i64(n),
            _ => return self.wrong("a whole number"),
        };
        visited.map_err(|failure: Failure| failure.or_at(self.node, &self.at))
    }
}

/// Whether a quoted text would do without its quotes.
fn looks_like(text: &str, expected: &str) -> bool {
    let bare = Scalar {
        text: text.to_owned(),
        plain: true,
        expanded: false,
    };
    match bare.typed() {
        Typed::Bool(_) => expected == "`true` or `false`",
        Typed::Unsigned(_) | Typed::Signed(_) => expected != "`true` or `false`",
        Typed::Float(_) => expected == "a number",
        Typed::Null | Typed::Text(_) => false,
    }
}

impl<'de> Deserializer<'de> for Reader<'_> {
    type Error = Failure;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        let visited = match &self.node.value {
            Value::List(items) => return self.visit_list(items, visitor),
            Value::Map(entries) => return self.visit_map(entries.iter().collect(), visitor),
            Value::Scalar(scalar) => match scalar.typed() {
                Typed::Null => visitor.visit_unit(),
                Typed::Bool(b) => visitor.visit_bool(b),
                Typed::Unsigned(n) => visitor.visit_u64(n),
                Typed::Signed(n) => visitor.visit_i64(n),
                Typed::Float(n) => visitor.visit_f64(n),
                Typed::Text(text) => visitor.visit_str(text),
            },
        };
        visited.map_err(|failure: Failure| failure.or_at(self.node, &self.at))
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        match self.typed() {
            Some(Typed::Bool(b)) => visitor.visit_bool(b),
            _ => self.wrong("`true` or `false`"),
        }
    }

    fn deserialize_u8<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        self.visit_whole(visitor)
    }

    fn deserialize_u16<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        self.visit_whole(visitor)
    }

    fn deserialize_u32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        self.visit_whole(visitor)
    }

    fn deserialize_u64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        self.visit_whole(visitor)
    }

    fn deserialize_i8<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        self.visit_whole(visitor)
    }

    fn deserialize_i16<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        self.visit_whole(visitor)
    }

    fn deserialize_i32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        self.visit_whole(visitor)
    }

    fn deserialize_i64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        self.visit_whole(visitor)
    }

    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        self.deserialize_f64(visitor)
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        match self.typed() {
            Some(Typed::Float(_) | Typed::Unsigned(_) | Typed::Signed(_)) => {
                self.deserialize_any(visitor)
            }
            _ => self.wrong("a number"),
        }
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        match self.text() {
            Some(text) => visitor
                .visit_str(text)
                .map_err(|failure: Failure| failure.or_at(self.node, &self.at)),
            None => self.wrong("text"),
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        self.deserialize_str(visitor)
    }

    fn deserialize_char<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        self.deserialize_str(visitor)
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        // Also for null: `grpc:` means "gRPC with its defaults". A type that has no null fails, is left out in the next
        // pass, and so keeps its default.
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Failure> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        match &self.node.value {
            Value::List(items) => self.visit_list(items, visitor),
            // As in the Collector: `a,b` is a list, which a variable can hold.
            Value::Scalar(scalar) if matches!(scalar.typed(), Typed::Text(_)) => {
                let parts = scalar
                    .text
                    .split(',')
                    .map(|part| StrDeserializer::<Failure>::new(part.trim()));
                let access = serde::de::value::SeqDeserializer::new(parts);
                visitor
                    .visit_seq(access)
                    .map_err(|failure| failure.or_at(self.node, &self.at))
            }
            _ => self.wrong("a list"),
        }
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Failure> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, Failure> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        match &self.node.value {
            Value::Map(entries) => self.visit_map(entries.iter().collect(), visitor),
            Value::Scalar(scalar) if scalar.is_null() => self.visit_map(Vec::new(), visitor),
            _ => self.wrong("a section with keys"),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Failure> {
        match &self.node.value {
            Value::Map(entries) => {
                let admitted = entries
                    .iter()
                    .filter(|e| self.pass.admits(e, &self.at, name, fields))
                    .collect();
                self.visit_map(admitted, visitor)
            }
            _ => self.deserialize_map(visitor),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Failure> {
        let (node, at, pass) = (self.node, self.at.clone(), self.pass);
        let visited = match (&node.value, self.text()) {
            (_, Some(text)) => {
                visitor.visit_enum(IntoDeserializer::<Failure>::into_deserializer(text))
            }
            (Value::Map(entries), _) => match entries.as_slice() {
                [entry] => visitor.visit_enum(Variant {
                    entry,
                    at: &at,
                    pass,
                }),
                _ => return self.wrong("one key"),
            },
            _ => return self.wrong("a word"),
        };
        visited.map_err(|failure: Failure| failure.or_at(node, &at))
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        visitor.visit_unit()
    }

    serde::forward_to_deserialize_any! { i128 u128 bytes byte_buf unit unit_struct }
}

struct Entries<'a, 'l> {
    entries: std::vec::IntoIter<&'a Entry>,
    value: Option<&'a Entry>,
    at: &'l At,
    pass: &'a Pass<'a>,
}

impl<'de> MapAccess<'de> for Entries<'_, '_> {
    type Error = Failure;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Failure> {
        let pass = self.pass;
        let Some(entry) = self.entries.find(|entry| !pass.skips(&entry.node)) else {
            return Ok(None);
        };
        self.value = Some(entry);
        let key = seed.deserialize(StrDeserializer::<Failure>::new(&entry.key));
        // A key that its map's key type refuses is left out together with its value.
        key.map(Some)
            .map_err(|failure| failure.or_at(&entry.node, &self.at.below(entry)))
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Failure> {
        let Some(entry) = self.value.take() else {
            return Err(Failure::new(
                "a value was asked for before its key".to_owned(),
                "",
            ));
        };
        let at = self.at.below(entry);
        let value = seed.deserialize(Reader::new(&entry.node, at.clone(), self.pass));
        value.map_err(|failure| failure.or_at(&entry.node, &at))
    }
}

struct Items<'a, 'l> {
    items: std::iter::Enumerate<std::slice::Iter<'a, Node>>,
    at: &'l At,
    pass: &'a Pass<'a>,
}

impl<'de> SeqAccess<'de> for Items<'_, '_> {
    type Error = Failure;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Failure> {
        let pass = self.pass;
        let Some((index, node)) = self.items.find(|(_, node)| !pass.skips(node)) else {
            return Ok(None);
        };
        let at = self.at.item(&node.mark, index);
        let value = seed.deserialize(Reader::new(node, at.clone(), pass));
        value.map(Some).map_err(|failure| failure.or_at(node, &at))
    }
}

/// `variant: content`.
struct Variant<'a, 'l> {
    entry: &'a Entry,
    at: &'l At,
    pass: &'a Pass<'a>,
}

impl<'de, 'a> EnumAccess<'de> for Variant<'a, '_> {
    type Error = Failure;
    type Variant = Reader<'a>;

    fn variant_seed<V: DeserializeSeed<'de>>(
        self,
        seed: V,
    ) -> Result<(V::Value, Reader<'a>), Failure> {
        let variant = seed.deserialize(StrDeserializer::<Failure>::new(&self.entry.key))?;
        Ok((
            variant,
            Reader::new(&self.entry.node, self.at.below(self.entry), self.pass),
        ))
    }
}

impl<'de> VariantAccess<'de> for Reader<'_> {
    type Error = Failure;

    fn unit_variant(self) -> Result<(), Failure> {
        if self.node.is_null() {
            Ok(())
        } else {
            self.wrong("nothing")
        }
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Failure> {
        seed.deserialize(self)
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Failure> {
        self.deserialize_seq(visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Failure> {
        self.deserialize_struct("", fields, visitor)
    }
}
