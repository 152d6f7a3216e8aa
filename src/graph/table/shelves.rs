//! The lists on which traces stand, each in order of their last span.

use crate::graph::entry::{NONE, Slot};
use crate::graph::table::{ABREAST, SpanTable, Trace};

/// On which list a trace stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shelf {
    /// Waits for a parent or a root.
    Open,
    /// The same, and has nothing to give when room is needed, as far as was looked.
    Stuck,
    /// Complete, as far as is known.
    Closed,
}

/// Traces in order of their last span.
#[derive(Clone, Copy, Debug)]
pub(super) struct List {
    pub(super) oldest: Slot,
    newest: Slot,
}

pub(super) const EMPTY: List = List {
    oldest: NONE,
    newest: NONE,
};

impl SpanTable {
    /// The trace of a shelf whose last span is oldest.
    pub(crate) fn oldest(&self, shelf: Shelf) -> Option<Slot> {
        let slot = self.lists[shelf as usize].oldest;
        (slot != NONE).then_some(slot)
    }

    /// The oldest traces of a shelf that have so many entries together, few enough to be taken out side by side.
    pub(crate) fn oldest_with(&self, shelf: Shelf, entries: usize, found: &mut Vec<Slot>) {
        let mut slot = self.lists[shelf as usize].oldest;
        let mut sum = 0;
        while slot != NONE && sum < entries && found.len() < ABREAST {
            found.push(slot);
            let trace = self.trace(slot);
            sum += trace.len as usize;
            slot = trace.newer;
        }
    }

    /// Moves a trace to the young end of a shelf.
    pub(crate) fn renew(&mut self, slot: Slot, shelf: Shelf) {
        let trace = self.trace(slot);
        if trace.newer == NONE && trace.shelf == shelf {
            return; // it is there
        }
        self.detach(slot);
        self.append(slot, shelf);
    }

    pub(super) fn append(&mut self, slot: Slot, shelf: Shelf) {
        let list = &mut self.lists[shelf as usize];
        let before = std::mem::replace(&mut list.newest, slot);
        if before == NONE {
            list.oldest = slot;
        } else {
            self.trace_mut(before).newer = slot;
        }
        let trace = self.trace_mut(slot);
        trace.shelf = shelf;
        trace.older = before;
        trace.newer = NONE;
    }

    pub(super) fn detach(&mut self, slot: Slot) {
        let Trace {
            older,
            newer,
            shelf,
            ..
        } = *self.trace(slot);
        if older != NONE {
            self.trace_mut(older).newer = newer;
        }
        if newer != NONE {
            self.trace_mut(newer).older = older;
        }
        let list = &mut self.lists[shelf as usize];
        if list.oldest == slot {
            list.oldest = newer;
        }
        if list.newest == slot {
            list.newest = older;
        }
    }
}
