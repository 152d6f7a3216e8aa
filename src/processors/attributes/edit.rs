//! The actions at work on one item's attributes.
//!
//! Every key that an action names has a slot. One pass over the attributes says which slots are there; the actions then
//! run on the slots alone, and only what differs at the end is edited. So the usual case, values put in where they are
//! missing, reads each key once and no value.
//!
//! Where a sender wrote a key twice, the first counts, as in the Collector; a delete removes both.

use super::config::AttributeValue;
use crate::otlp::{
    Attributes, Edit, Edits, NewValue, ResourceView, ScopeView, SpanBytes, encode_attribute,
};

/// Most keys that the actions of one processor may name: the bits of a word.
pub(super) const MAX_KEYS: usize = 64;

/// What an action does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Deed {
    Insert,
    Update,
    Upsert,
    Delete,
}

/// Where an action's value comes from.
#[derive(Clone, Copy, Debug)]
pub(super) enum Source<'a> {
    Value(&'a AttributeValue),
    Attribute(&'a str),
}

/// One action, its keys resolved to slots.
#[derive(Clone, Copy, Debug)]
pub(super) struct Action {
    deed: Deed,
    slot: usize,
    /// What the slot holds afterwards; of no meaning for a delete.
    value: Held,
}

/// What a slot holds while the actions run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Held {
    Nothing,
    /// What the item's own attribute of that slot says.
    Own(usize),
    /// The constant with that number.
    Constant(usize),
}

/// A configured value, as data and encoded under its key.
#[derive(Clone, Debug)]
struct Constant {
    slot: usize,
    value: AttributeValue,
    encoded: Vec<u8>,
}

/// What the actions come to for one item.
struct Outcome {
    slots: [Held; MAX_KEYS],
    // bit of each slot that was deleted at some point, with all attributes of its key
    deleted: u64,
}

/// All actions of a processor.
#[derive(Clone, Debug, Default)]
pub(super) struct Actions {
    actions: Vec<Action>,
    keys: Vec<Box<str>>,
    constants: Vec<Constant>,
    // the bit of each key's mark: all but a few foreign keys are told apart by one look at it
    marks: u64,
}

impl Actions {
    /// How many keys the actions name.
    pub(super) fn keys(&self) -> usize {
        self.keys.len()
    }

    pub(super) fn push(&mut self, key: &str, deed: Deed, source: Option<Source<'_>>) {
        let slot = self.slot(key);
        let value = match source {
            None => Held::Nothing,
            Some(Source::Attribute(other)) => Held::Own(self.slot(other)),
            Some(Source::Value(value)) => {
                let mut encoded = Vec::new();
                encode_attribute(&mut encoded, key, new_value(value));
                self.constants.push(Constant {
                    slot,
                    value: value.clone(),
                    encoded,
                });
                Held::Constant(self.constants.len() - 1)
            }
        };
        self.actions.push(Action { deed, slot, value });
    }

    fn slot(&mut self, key: &str) -> usize {
        self.marks |= mark(key.as_bytes());
        let known = self.keys.iter().position(|known| **known == *key);
        known.unwrap_or_else(|| {
            self.keys.push(key.into());
            self.keys.len() - 1
        })
    }

    #[inline]
    fn find(&self, key: &[u8]) -> Option<usize> {
        if self.marks & mark(key) == 0 {
            return None;
        }
        self.keys.iter().position(|known| known.as_bytes() == key)
    }

    /// Which slots an item has, a bit each.
    #[inline]
    fn present(&self, attributes: Attributes<'_>) -> u64 {
        attributes
            .filter_map(|attribute| self.find(attribute.key))
            .fold(0, |present, slot| present | 1 << slot)
    }

    /// Runs the actions on the slots.
    #[inline]
    fn run(&self, present: u64) -> Outcome {
        let mut deleted = 0;
        let mut slots = [Held::Nothing; MAX_KEYS];
        for (slot, held) in slots.iter_mut().enumerate().take(self.keys.len()) {
            if present & 1 << slot != 0 {
                *held = Held::Own(slot);
            }
        }
        for action in &self.actions {
            let value = match action.value {
                Held::Own(other) => slots.get(other).copied().unwrap_or(Held::Nothing),
                value => value,
            };
            let Some(slot) = slots.get_mut(action.slot) else {
                continue;
            };
            let is_there = *slot != Held::Nothing;
            let is_due = match action.deed {
                Deed::Delete => {
                    *slot = Held::Nothing;
                    deleted |= 1 << action.slot;
                    false
                }
                Deed::Insert => !is_there,
                Deed::Update => is_there,
                Deed::Upsert => true,
            };
            if is_due && value != Held::Nothing {
                *slot = value;
            }
        }
        Outcome { slots, deleted }
    }

    #[inline]
    fn edit(&self, attributes: Attributes<'_>, edits: &mut Edits<'_>) {
        let present = self.present(attributes);
        let outcome = self.run(present);
        // also where a deleted value came back: others of its key must go
        let mut has_changed = present & outcome.deleted != 0;
        for (slot, held) in outcome.slots.iter().enumerate().take(self.keys.len()) {
            let was_there = present & 1 << slot != 0;
            match *held {
                Held::Own(own) if own == slot => {}
                Held::Nothing if !was_there => {}
                value if !was_there => self.insert(slot, value, attributes, edits),
                _ => has_changed = true,
            }
        }
        if has_changed {
            self.change(attributes, &outcome, edits);
        }
    }

    #[inline]
    fn insert(&self, slot: usize, value: Held, attributes: Attributes<'_>, edits: &mut Edits<'_>) {
        if let Held::Constant(constant) = value
            && let Some(constant) = self.constants.get(constant)
            && constant.slot == slot
        {
            edits.insert_attribute(&constant.encoded);
        } else if let (Some(key), Some(value)) =
            (self.keys.get(slot), self.value(value, attributes))
        {
            // copied from another attribute, perhaps one that an earlier action has written
            edits.insert(key, value);
        }
    }

    /// Replaces and removes attributes that are there.
    fn change(&self, attributes: Attributes<'_>, outcome: &Outcome, edits: &mut Edits<'_>) {
        let mut seen = 0u64;
        for attribute in attributes {
            let Some(slot) = self.find(attribute.key) else {
                continue;
            };
            let is_first = seen & 1 << slot == 0;
            seen |= 1 << slot;
            match outcome.slots.get(slot) {
                Some(Held::Nothing) => edits.remove(&attribute),
                _ if !is_first && outcome.deleted & 1 << slot != 0 => edits.remove(&attribute),
                Some(Held::Own(own)) if *own == slot => {}
                Some(held) if is_first => {
                    if let Some(value) = self.value(*held, attributes) {
                        edits.replace(&attribute, value);
                    }
                }
                _ => {}
            }
        }
    }

    fn value<'a>(&'a self, held: Held, attributes: Attributes<'a>) -> Option<NewValue<'a>> {
        match held {
            Held::Nothing => None,
            Held::Constant(constant) => {
                let constant = self.constants.get(constant)?;
                Some(new_value(&constant.value))
            }
            Held::Own(slot) => {
                let key = self.keys.get(slot)?;
                attributes.find_key(key.as_bytes()).map(NewValue::Same)
            }
        }
    }
}

/// A bit out of a key's length and two of its bytes. Lengths alone are shared by so many keys that the branch on them would
/// be guessed wrong all the time.
#[inline]
fn mark(key: &[u8]) -> u64 {
    let byte = |at: usize| key.get(at).copied().map_or(0, u32::from);
    let last = byte(key.len().wrapping_sub(1));
    let middle = byte(key.len() / 2);
    let mixed = last
        .wrapping_mul(7)
        .wrapping_add(middle.wrapping_mul(29))
        .wrapping_add(u32::try_from(key.len() & 63).unwrap_or_default());
    1 << (mixed & 63)
}

fn new_value(value: &AttributeValue) -> NewValue<'_> {
    match value {
        AttributeValue::Bool(bit) => NewValue::Bool(*bit),
        AttributeValue::Int(int) => NewValue::Int(*int),
        AttributeValue::Double(number) => NewValue::Double(*number),
        AttributeValue::Str(text) => NewValue::Str(text),
    }
}

/// The actions as the splice asks for them.
pub(super) struct Run<'a> {
    actions: &'a Actions,
}

impl<'a> Run<'a> {
    pub(super) fn new(actions: &'a Actions) -> Self {
        Run { actions }
    }
}

impl Edit for Run<'_> {
    #[inline]
    fn span(
        &mut self,
        _resource: &ResourceView<'_>,
        _scope: &ScopeView<'_>,
        span: SpanBytes<'_>,
        edits: &mut Edits<'_>,
    ) {
        self.actions.edit(span.attributes(), edits);
    }

    fn record(&mut self, attributes: Attributes<'_>, edits: &mut Edits<'_>) {
        self.actions.edit(attributes, edits);
    }
}
