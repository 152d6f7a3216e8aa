//! One model call of which several spans tell, one inside the other (E-40, T-05).
//!
//! **Invariant.** What a call comes to is a function of the spans that tell of it as they stand now: one that turns out to
//! tell of another call, or of its own, takes its part along.

use crate::graph::entry::{Call, NONE, Slot, Standing};
use crate::graph::shard::Shard;
use crate::scan::Role;

/// The outermost span of a call, and how far inside it another stands.
pub(super) type Told = (Slot, u8);

impl Shard {
    /// E-40: whether another model span of the service tells of the same call, around this one.
    pub(super) fn is_inner_model(&self, slot: Slot) -> bool {
        let entry = self.table.entry(slot);
        entry.seen.role == Role::Model
            && entry.context.model != NONE
            && self.table.entry(entry.context.model).seen.service == entry.seen.service
    }

    /// Of which other span's call a model's span tells too, and how far inside it (E-40).
    pub(super) fn tells_of(&self, slot: Slot) -> Option<Told> {
        let context = &self.table.entry(slot).context;
        let is_known = context.standing != Standing::Waiting;
        (is_known && self.is_inner_model(slot)).then_some((context.model, context.depth))
    }

    /// Counts anew what a span told of, and what it tells of now.
    pub(super) fn tell(&mut self, slot: Slot, told: Option<Told>, tells: Option<Told>) {
        if let Some((outer, _)) = told {
            self.take_back(outer);
            self.collect_call(outer);
            self.count(outer);
        }
        if let Some((outer, depth)) = tells {
            self.take_back(outer);
            let inner = Call::of(self.seen(slot), depth);
            let merged = self.call(outer).merged(&inner);
            self.table.note_call(outer, merged);
            self.count(outer);
        }
    }

    /// Puts a call together anew from all that tell of it: one of them does not any more.
    fn collect_call(&mut self, outer: Slot) {
        let mut call = Call::of(self.seen(outer), 0);
        let mut slot = self.table.trace(self.table.links(outer).trace).first;
        while slot != NONE {
            if self.table.links(slot).is_present
                && let Some((_, depth)) = self.tells_of(slot).filter(|(of, _)| *of == outer)
            {
                call = call.merged(&Call::of(self.seen(slot), depth));
            }
            slot = self.table.links(slot).next_in_trace;
        }
        self.table.note_call(outer, call);
    }
}
