//! A tree → a typed value, with every mistake noted.
//!
//! serde stops at the first error. Hence a value is read in passes: a pass that fails notes the mistake with its place and
//! marks the node; the next pass leaves that node out, as if it had not been written, until one succeeds or
//! [`MAX_PASSES`] were made. Unknown keys never reach serde: `deserialize_struct` is told the field names.
//!
//! **Cost.** O(mistakes × nodes), and a configuration without mistakes is read once.
//! **Invariants.** A node is noted once, however many passes see it. A null is left out silently where its type has no
//! null, so that its field's default stands, as in the Collector.
//! **Not here.** `#[serde(flatten)]` and untagged enums hide places from us; see [`Section::parse_flat`].
//!
//! [`Section::parse_flat`]: crate::config::Section::parse_flat

use crate::base::{Place, Problems, nearest};
use crate::config::fragments::ignored_of;
use crate::config::node::{Entry, Mark, Node, Value};
use crate::config::reader::Reader;
use serde::de::{self, DeserializeOwned, Deserializer, Visitor};
use std::cell::RefCell;
use std::collections::HashSet;
use std::fmt;

/// Keys that are accepted without meaning, each with the reason.
pub type Ignored<'a> = &'a [(&'a str, &'a str)];

/// Passes after which a section is given up.
const MAX_PASSES: usize = 200;

/// What all readers of one section share.
pub(super) struct Pass<'a> {
    problems: RefCell<Problems>,
    /// Nodes already noted, by address: the tree does not move while it is read.
    noted: RefCell<HashSet<usize>>,
    /// Nodes to leave out.
    skipped: RefCell<HashSet<usize>>,
    /// The section's other half.
    other: Shape,
    ignored: Ignored<'a>,
    /// Whether another pass over this section notes what is unknown.
    quiet: bool,
}

/// A struct's name and fields, as serde knows them.
#[derive(Clone, Copy, Default)]
pub(super) struct Shape {
    name: &'static str,
    fields: &'static [&'static str],
}

fn address(node: &Node) -> usize {
    std::ptr::from_ref(node).addr()
}

impl Pass<'_> {
    /// Whether an earlier pass failed at this node.
    pub(super) fn skips(&self, node: &Node) -> bool {
        self.skipped.borrow().contains(&address(node))
    }

    /// Whether serde may see this entry of a struct; notes it if not.
    pub(super) fn admits(&self, entry: &Entry, at: &At, of: &'static str, fields: &[&str]) -> bool {
        if fields.contains(&entry.key.as_str()) {
            return true;
        }
        let at_top = at.dotted.is_empty();
        let other = if at_top { self.other } else { Shape::default() };
        let foreign = at_top && self.quiet || other.fields.contains(&entry.key.as_str());
        if foreign || !self.noted.borrow_mut().insert(address(&entry.node)) {
            return false;
        }
        let below = at.below(entry);
        let place = super::section::place(&entry.mark, below.place.key.clone());
        let mut problems = self.problems.borrow_mut();
        let own = ignored_of(of).iter().chain(ignored_of(other.name));
        let own = own.filter(|(key, _)| *key == entry.key);
        let given = self.ignored.iter().filter(|(key, _)| *key == below.dotted);
        if let Some((_, why)) = own.chain(given).next() {
            problems.warning(place, "is accepted and has no effect here", *why);
            return false;
        }
        let known = fields.iter().chain(other.fields).copied();
        let help = match nearest(&entry.key, known.clone()) {
            Some(key) => format!("did you mean `{key}`?"),
            None if known.clone().next().is_none() => "there are no keys here".to_owned(),
            None => format!("known here: {}", known.collect::<Vec<_>>().join(", ")),
        };
        problems.error(place, format!("unknown key `{}`", entry.key), help);
        false
    }

    /// Notes a failure; gives the node to leave out.
    fn note(&self, failure: Failure, fallback: &Place) -> Option<usize> {
        let Some(FailedAt {
            place,
            node,
            silent,
        }) = failure.at
        else {
            self.problems
                .borrow_mut()
                .error(fallback.clone(), failure.message, failure.help);
            return None;
        };
        if !silent && self.noted.borrow_mut().insert(node) {
            self.problems
                .borrow_mut()
                .error(place, failure.message, failure.help);
        }
        Some(node)
    }
}

/// Where a reader stands.
#[derive(Clone, Debug)]
pub(super) struct At {
    pub(super) place: Place,
    /// The keys from the section's start, for lists of ignored keys.
    dotted: String,
    /// Whether it is a list's item, which may not be null.
    item: bool,
}

impl At {
    pub(super) fn below(&self, entry: &Entry) -> At {
        let dot = if self.dotted.is_empty() { "" } else { "." };
        let key = self.place.below(&entry.key).key;
        At {
            place: super::section::place(entry.pointed(), key),
            dotted: format!("{}{dot}{}", self.dotted, entry.key),
            item: false,
        }
    }

    pub(super) fn item(&self, mark: &Mark, index: usize) -> At {
        let key = format!("{}[{index}]", self.place.key);
        At {
            place: super::section::place(mark, key),
            dotted: self.dotted.clone(),
            item: true,
        }
    }
}

/// Reads a section of one struct (or of anything else that serde knows).
pub(super) fn parse<T: DeserializeOwned + Default>(
    node: Option<&Node>,
    place: &Place,
    ignored: Ignored<'_>,
    problems: &mut Problems,
) -> Option<T> {
    let pass = Pass::new(Shape::default(), ignored);
    let value = pass.run(node, place);
    problems.append(pass.problems.into_inner());
    value
}

/// Reads a section whose keys are those of two structs, which must have none in common.
pub(super) fn parse_flat<A, B>(
    node: Option<&Node>,
    place: &Place,
    ignored: Ignored<'_>,
    problems: &mut Problems,
) -> Option<(A, B)>
where
    A: DeserializeOwned + Default,
    B: DeserializeOwned + Default,
{
    let (a_shape, b_shape) = (shape_of::<A>(), shape_of::<B>());
    let shared = a_shape
        .fields
        .iter()
        .any(|key| b_shape.fields.contains(key));
    debug_assert!(!shared, "a key of both would be read twice");
    let first = Pass::new(b_shape, ignored);
    let a = first.run(node, place);
    problems.append(first.problems.into_inner());
    // What is unknown to both was noted by the first pass, and so was a section that is no map.
    let second = Pass {
        quiet: true,
        ..Pass::new(a_shape, ignored)
    };
    let map = node.filter(|node| matches!(node.value, Value::Map(_)));
    let b = second.run(map, place);
    problems.append(second.problems.into_inner());
    a.zip(b)
}

impl<'a> Pass<'a> {
    fn new(other: Shape, ignored: Ignored<'a>) -> Self {
        Pass {
            problems: RefCell::default(),
            noted: RefCell::default(),
            skipped: RefCell::default(),
            other,
            ignored,
            quiet: false,
        }
    }

    fn run<T: DeserializeOwned + Default>(&self, node: Option<&Node>, place: &Place) -> Option<T> {
        let Some(node) = node.filter(|node| !node.is_null()) else {
            return Some(T::default());
        };
        let at = At {
            place: place.clone(),
            dotted: String::new(),
            item: false,
        };
        let mut clean = true;
        for _ in 0..MAX_PASSES {
            let failure = match T::deserialize(Reader::new(node, at.clone(), self)) {
                Ok(value) => return clean.then_some(value),
                Err(failure) => failure,
            };
            clean &= failure.at.as_ref().is_some_and(|at| at.silent);
            let skip = self.note(failure, place)?;
            // Leaving out the section itself, or the same node again, gets no further.
            if skip == address(node) || !self.skipped.borrow_mut().insert(skip) {
                return None;
            }
        }
        let message = format!("more than {MAX_PASSES} mistakes or empty values");
        self.problems.borrow_mut().error(
            place.clone(),
            message,
            "the rest of this section was not checked",
        );
        None
    }
}

/// Why a pass ended.
#[derive(Debug)]
pub(super) struct Failure {
    message: String,
    help: String,
    at: Option<FailedAt>,
}

/// The innermost value that failed.
#[derive(Debug)]
struct FailedAt {
    place: Place,
    /// Its address.
    node: usize,
    /// Whether leaving it out is no mistake.
    silent: bool,
}

impl Failure {
    pub(super) fn new(message: String, help: impl Into<String>) -> Self {
        Failure {
            message,
            help: help.into(),
            at: None,
        }
    }

    /// Gives the failure a place unless it has one.
    pub(super) fn or_at(mut self, node: &Node, at: &At) -> Self {
        if self.at.is_none() {
            if let Value::Scalar(scalar) = &node.value
                && scalar.expanded
            {
                // A value from outside may be a secret: it is not shown.
                for quoted in [format!("`{}`", scalar.text), format!("{:?}", scalar.text)] {
                    self.message = self.message.replace(&quoted, "the expanded value");
                }
            }
            let silent = node.is_null() && !at.item;
            self.at = Some(FailedAt {
                place: at.place.clone(),
                node: address(node),
                silent,
            });
        }
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

impl de::Error for Failure {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Failure::new(message.to_string(), "")
    }

    fn invalid_value(found: de::Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        let expected = match expected.to_string().as_str() {
            "u8" => format!("a whole number from 0 to {}", u8::MAX),
            "u16" => format!("a whole number from 0 to {}", u16::MAX),
            "u32" => format!("a whole number from 0 to {}", u32::MAX),
            "u64" | "usize" => "a whole number, 0 or more".to_owned(),
            "i64" | "isize" => format!("a whole number from {} to {}", i64::MIN, i64::MAX),
            other => other.to_owned(),
        };
        Failure::new(format!("expected {expected}, found {found}"), "")
    }

    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Self {
        // the other spellings that are accepted are not those to suggest
        let is_plain = |name: &&str| !name.is_empty() && !name.contains(char::is_uppercase);
        let plain: Vec<&str> = expected.iter().copied().filter(is_plain).collect();
        let help = match nearest(variant, plain.iter().copied()) {
            Some(known) => format!("did you mean `{known}`?"),
            None => format!("known: {}", plain.join(", ")),
        };
        Failure::new(format!("`{variant}` is not known here"), help)
    }

    fn missing_field(field: &'static str) -> Self {
        Failure::new(format!("the key `{field}` is missing"), "")
    }

    fn duplicate_field(field: &'static str) -> Self {
        Failure::new(
            format!("`{field}` is written under two names"),
            "keep one of the two",
        )
    }
}

/// A struct's name and fields, asked of its own `Deserialize`; empty for anything else.
fn shape_of<T: DeserializeOwned>() -> Shape {
    let mut shape = Shape::default();
    // The probe answers every question with an error; only the shape is of interest.
    drop(T::deserialize(Probe(&mut shape)));
    shape
}

struct Probe<'p>(&'p mut Shape);

impl<'de> Deserializer<'de> for Probe<'_> {
    type Error = de::value::Error;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Self::Error> {
        Err(de::Error::custom("only asked for its fields"))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Self::Error> {
        *self.0 = Shape { name, fields };
        Err(de::Error::custom("only asked for its fields"))
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}
