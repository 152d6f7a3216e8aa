//! The chain of a trace's entries.
//!
//! **Invariant.** Every entry is in its trace's chain once, and the trace knows how many they are.

use crate::graph::entry::{Call, Entry, NONE, Slot};
use crate::graph::table::{Links, SpanTable, Trace};

impl SpanTable {
    /// All spans that have come.
    pub(crate) fn present(&self) -> Vec<Slot> {
        let mut found = Vec::new();
        for list in &self.lists {
            let mut trace = list.oldest;
            while trace != NONE {
                let mut slot = self.trace(trace).first;
                while slot != NONE {
                    let links = self.links(slot);
                    if links.is_present {
                        found.push(slot);
                    }
                    slot = links.next_in_trace;
                }
                trace = self.trace(trace).newer;
            }
        }
        found
    }

    /// Shows every span that has come with its trace, and its call if others tell of it too.
    pub(crate) fn for_each_entry(&self, mut see: impl FnMut(&Trace, &Entry, Option<Call>)) {
        for slot in self.present() {
            let trace = self.trace(self.links(slot).trace);
            see(trace, self.entry(slot), self.call(slot));
        }
    }

    /// Moves the first entry of a trace's chain to its end, for those who walk it in turns.
    pub(crate) fn rotate(&mut self, trace: Slot) {
        let first = self.trace(trace).first;
        if self.links(first).next_in_trace == NONE {
            return;
        }
        self.unchain(first);
        self.chain(trace, first);
    }

    /// Puts an entry at the end of a trace's chain.
    pub(super) fn chain(&mut self, trace: Slot, slot: Slot) {
        let known = self.trace_mut(trace);
        known.len += 1;
        let before = std::mem::replace(&mut known.end, slot);
        if before == NONE {
            known.first = slot;
        } else {
            self.links_mut(before).next_in_trace = slot;
        }
        let links = self.links_mut(slot);
        links.previous_in_trace = before;
        links.next_in_trace = NONE;
    }

    pub(super) fn unchain(&mut self, slot: Slot) {
        let Links {
            trace,
            previous_in_trace,
            next_in_trace,
            ..
        } = *self.links(slot);
        self.trace_mut(trace).len -= 1;
        if next_in_trace == NONE {
            self.trace_mut(trace).end = previous_in_trace;
        } else {
            self.links_mut(next_in_trace).previous_in_trace = previous_in_trace;
        }
        if previous_in_trace == NONE {
            self.trace_mut(trace).first = next_in_trace;
        } else {
            self.links_mut(previous_in_trace).next_in_trace = next_in_trace;
        }
    }
}
