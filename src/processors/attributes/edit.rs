//! The actions at work on one item's attributes.
//!
//! Every key that an action names has a slot. One pass over the attributes says which slots are there; the actions then
//! run on the slots alone, and only what differs at the end is edited. So the usual case, values put in where they are
//! missing, reads each key once and no value.
//!
//! Where a sender wrote a key twice, the first counts, as in the Collector; a delete removes both.

use super::config::AttributeValue;
use crate::otlp::{
    Attributes, Edit, Edits, NewValue, ResourceView, ScopeView, SpanBytes, encode_span_attribute,
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

/// What the actions come to for items that have the same of the keys.
#[derive(Debug)]
struct Plan {
    // bit of each slot that is there at the beginning
    present: u64,
    slots: [Held; MAX_KEYS],
    // bit of each slot that was deleted at some point, with all attributes of its key
    deleted: u64,
    // whether attributes that are there are replaced or removed
    has_changes: bool,
    // whether values are copied from attributes that are there
    has_copies: bool,
    // the constants to be put in, encoded for a span
    constants: Vec<u8>,
}

/// All actions of a processor.
#[derive(Clone, Debug, Default)]
pub(super) struct Actions {
    actions: Vec<Action>,
    keys: Vec<Box<str>>,
    constants: Vec<AttributeValue>,
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
                self.constants.push(value.clone());
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
    fn plan(&self, present: u64) -> Plan {
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
        let mut plan = Plan {
            present,
            slots,
            deleted,
            // also where a deleted value came back: others of its key must go
            has_changes: present & deleted != 0,
            has_copies: false,
            constants: Vec::new(),
        };
        for (slot, held) in plan.slots.iter().enumerate().take(self.keys.len()) {
            let was_there = present & 1 << slot != 0;
            match *held {
                Held::Own(own) if own == slot => {}
                Held::Nothing if !was_there => {}
                _ if was_there => plan.has_changes = true,
                Held::Own(_) => plan.has_copies = true,
                held => {
                    if let (Some(key), Some(value)) = (self.keys.get(slot), self.constant(held)) {
                        encode_span_attribute(&mut plan.constants, key, value);
                    }
                }
            }
        }
        plan
    }

    /// Puts in what the plan adds, but for a span's constants, which are in already.
    fn insert(
        &self,
        plan: &Plan,
        attributes: Attributes<'_>,
        is_span: bool,
        edits: &mut Edits<'_>,
    ) {
        let slots = plan.slots.iter().enumerate().take(self.keys.len());
        for (slot, held) in slots.filter(|(slot, _)| plan.present & 1 << slot == 0) {
            let is_done = is_span && matches!(held, Held::Constant(_));
            if !is_done
                && let Some(key) = self.keys.get(slot)
                && let Some(value) = self.value(*held, attributes)
            {
                edits.insert(key, value);
            }
        }
    }

    /// Replaces and removes attributes that are there.
    fn change(&self, attributes: Attributes<'_>, plan: &Plan, edits: &mut Edits<'_>) {
        let mut seen = 0u64;
        for attribute in attributes {
            let Some(slot) = self.find(attribute.key) else {
                continue;
            };
            let is_first = seen & 1 << slot == 0;
            seen |= 1 << slot;
            match plan.slots.get(slot) {
                Some(Held::Nothing) => edits.remove(&attribute),
                _ if !is_first && plan.deleted & 1 << slot != 0 => edits.remove(&attribute),
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
            Held::Own(slot) => {
                let key = self.keys.get(slot)?;
                attributes.find_key(key.as_bytes()).map(NewValue::Same)
            }
            held => self.constant(held),
        }
    }

    fn constant(&self, held: Held) -> Option<NewValue<'_>> {
        match held {
            Held::Constant(constant) => self.constants.get(constant).map(new_value),
            Held::Nothing | Held::Own(_) => None,
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

/// The actions as the splice asks for them, request by request.
///
/// What they come to depends only on which of their keys an item has, and that is mostly the same from item to item: the
/// plan of the last item is kept.
pub(super) struct Run<'a> {
    actions: &'a Actions,
    plan: Plan,
}

impl<'a> Run<'a> {
    pub(super) fn new(actions: &'a Actions) -> Self {
        Run {
            actions,
            plan: actions.plan(0),
        }
    }

    #[inline]
    fn edit(&mut self, attributes: Attributes<'_>, is_span: bool, edits: &mut Edits<'_>) {
        let present = self.actions.present(attributes);
        if present != self.plan.present {
            self.plan = self.actions.plan(present);
        }
        let plan = &self.plan;
        if is_span && !plan.constants.is_empty() {
            edits.insert_encoded(&plan.constants);
        }
        if plan.has_copies || !is_span {
            self.actions.insert(plan, attributes, is_span, edits);
        }
        if plan.has_changes {
            self.actions.change(attributes, plan, edits);
        }
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
        self.edit(span.attributes(), true, edits);
    }

    fn record(&mut self, attributes: Attributes<'_>, edits: &mut Edits<'_>) {
        self.edit(attributes, false, edits);
    }
}
