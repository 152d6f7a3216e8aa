//! Model calls of which several spans tell (E-40): what they come to, by the outermost span's slot.
//!
//! **Bounds.** One for each slot whose links say so; it goes with the slot.

use crate::graph::entry::{Call, Slot};
use crate::graph::table::SpanTable;
use crate::scan::hash;
use hashbrown::HashTable;

/// Calls by slot.
pub(super) struct Calls {
    seed: u64,
    calls: HashTable<(Slot, Call)>,
}

impl Calls {
    pub(super) fn new(seed: u64) -> Self {
        Calls {
            seed,
            calls: HashTable::new(),
        }
    }

    fn find(&self, slot: Slot) -> Option<Call> {
        let known = self
            .calls
            .find(hash_of(self.seed, slot), |(at, _)| *at == slot);
        known.map(|(_, call)| *call)
    }

    fn note(&mut self, slot: Slot, call: Call) {
        let seed = self.seed;
        self.calls
            .entry(
                hash_of(seed, slot),
                |(at, _)| *at == slot,
                |(at, _)| hash_of(seed, *at),
            )
            .insert((slot, call));
    }

    pub(super) fn forget(&mut self, slot: Slot) {
        let hash = hash_of(self.seed, slot);
        if let Ok(call) = self.calls.find_entry(hash, |(at, _)| *at == slot) {
            call.remove();
        }
    }
}

fn hash_of(seed: u64, slot: Slot) -> u64 {
    hash::word(seed, u64::from(slot))
}

impl SpanTable {
    /// The call of which others tell too, if it was noted.
    pub(crate) fn call(&self, slot: Slot) -> Option<Call> {
        let is_told = self.links(slot).has_call;
        is_told.then(|| self.calls.find(slot)).flatten()
    }

    /// Notes the call of a span and of those inside it.
    pub(crate) fn note_call(&mut self, slot: Slot, call: Call) {
        self.links_mut(slot).has_call = true;
        self.calls.note(slot, call);
    }
}
