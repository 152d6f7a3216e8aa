//! A part of a document, as components see it: a value with its place, or the absence of one.

use crate::base::{Place, Problems};
use crate::config::node::{Mark, Node, Value};
use crate::config::typed::{self, Ignored};
use serde::de::DeserializeOwned;
use std::fmt;

/// A value of the document with its place; cheap to copy about.
///
/// A section may be absent ([`Section::at`] of a key that nobody wrote): it is null, parses to the default, and its place
/// is that of the nearest key above it.
#[derive(Clone)]
pub struct Section<'a> {
    node: Option<&'a Node>,
    place: Place,
}

/// Shows the place alone: values may be secrets.
impl fmt::Debug for Section<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Section").field(&self.place).finish()
    }
}

impl<'a> Section<'a> {
    pub(super) fn of_root(node: &'a Node) -> Self {
        Section {
            node: Some(node),
            place: place(&node.mark, String::new()),
        }
    }

    /// Where to point for this section: at its value if that stands on one line with its key, else at its key.
    #[must_use]
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// The value under a key, if it was written (perhaps as null).
    #[must_use]
    pub fn get(&self, key: &str) -> Option<Section<'a>> {
        let entry = self.node?.entries().iter().find(|entry| entry.key == key)?;
        let place = place(entry.pointed(), self.place.below(key).key);
        Some(Section {
            node: Some(&entry.node),
            place,
        })
    }

    /// The value at a dotted path (`keepalive.server_parameters`, `actions[2].key`), or an absent section placed as near as
    /// possible.
    #[must_use]
    pub fn at(&self, path: &str) -> Section<'a> {
        path.split('.').fold(self.clone(), |section, step| {
            let (key, index) = match step.strip_suffix(']').and_then(|step| step.split_once('[')) {
                Some((key, index)) => (key, index.parse::<usize>().ok()),
                None => (step, None),
            };
            let absent = || Section {
                node: None,
                place: section.place.below(step),
            };
            let found = section.get(key);
            let found = match index {
                Some(index) => found.and_then(|list| list.items().nth(index)),
                None => found,
            };
            found.unwrap_or_else(absent)
        })
    }

    /// The place of [`Section::at`]: what `validate` points at.
    #[must_use]
    pub fn place_of(&self, path: &str) -> Place {
        self.at(path).place
    }

    /// A map's keys and values in the order written; the place of each is its key's. Nothing for anything else.
    pub fn entries(&self) -> impl Iterator<Item = (&'a str, Section<'a>)> + use<'a> {
        let above = self.place.clone();
        let entries = self.node.map_or(&[][..], Node::entries);
        entries.iter().map(move |entry| {
            let place = place(&entry.mark, above.below(&entry.key).key);
            (
                entry.key.as_str(),
                Section {
                    node: Some(&entry.node),
                    place,
                },
            )
        })
    }

    /// A list's items; nothing for anything else.
    pub fn items(&self) -> impl Iterator<Item = Section<'a>> + use<'a> {
        let above = self.place.key.clone();
        let items = match self.node.map(|node| &node.value) {
            Some(Value::List(items)) => items.as_slice(),
            _ => &[],
        };
        items.iter().enumerate().map(move |(i, node)| Section {
            node: Some(node),
            place: place(&node.mark, format!("{above}[{i}]")),
        })
    }

    /// Whether there is nothing here: absent, empty, `~` or `null`.
    #[must_use]
    pub fn is_null(&self) -> bool {
        self.node.is_none_or(Node::is_null)
    }

    /// Whether this is a map.
    #[must_use]
    pub fn is_map(&self) -> bool {
        matches!(self.node.map(|node| &node.value), Some(Value::Map(_)))
    }

    /// A scalar's text, whatever type it may have; `None` for null, lists and maps.
    #[must_use]
    pub fn as_str(&self) -> Option<&'a str> {
        match &self.node?.value {
            Value::Scalar(scalar) if !scalar.is_null() => Some(&scalar.text),
            _ => None,
        }
    }

    /// What is here, in words for a message: ``text `abc` ``, `a list`.
    #[must_use]
    pub fn describe(&self) -> String {
        self.node
            .map_or_else(|| "nothing".to_owned(), Node::describe)
    }

    /// Types the section, noting every mistake in it, not only the first.
    ///
    /// Unknown keys are errors with the nearest known one, and are then left out. A value that does not fit is an error;
    /// the other fields are still checked, and the answer is `None`. A null field keeps its default. `ignored` are keys
    /// (dotted from here, list indices left out) that the Collector has and that mean nothing here, with the reason:
    /// warnings. Fragments bring their own ([`crate::config::fragments`]).
    pub fn parse<T: DeserializeOwned + Default>(
        &self,
        ignored: Ignored<'_>,
        problems: &mut Problems,
    ) -> Option<T> {
        typed::parse(self.node, &self.place, ignored, problems)
    }

    /// Types a section that holds two structs' keys side by side, as the Collector's exporters hold a client's and their
    /// own; serde's `flatten` would lose places and unknown keys.
    pub fn parse_flat<A, B>(&self, ignored: Ignored<'_>, problems: &mut Problems) -> Option<(A, B)>
    where
        A: DeserializeOwned + Default,
        B: DeserializeOwned + Default,
    {
        typed::parse_flat(self.node, &self.place, ignored, problems)
    }
}

pub(super) fn place(mark: &Mark, key: String) -> Place {
    Place {
        file: mark.file.clone(),
        line: mark.line,
        column: mark.column,
        key,
    }
}
