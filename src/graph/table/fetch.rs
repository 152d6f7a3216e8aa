//! What a batch of spans will need, looked at before the first of them is paired, so that it is fetched side by side.
//!
//! The first look decides nothing: a branch on a word that has not come yet would stop what should be under way beside it.
//!
//! **Bounds.** A few lines of the cache for each span, and [`MOST_FOUND`] descendants of all together.

use crate::graph::entry::{NONE, Slot};
use crate::graph::table::{SpanTable, Trace, hash_of};
use crate::scan::Sighting;
use std::hint::black_box;

/// How many children of a span are looked at before it comes.
const MOST_CHILDREN: usize = 16;

/// And how far down.
const GENERATIONS: usize = 2;

/// And how many of a batch's.
const MOST_FOUND: usize = 4_096;

/// How many spans of a trace are looked at before they are asked for.
const MOST_OF_TRACE: usize = 128;

impl SpanTable {
    /// Looks at what a batch of spans will need: their traces, their places, their parents, and slots that are free. Changes
    /// nothing that is asked for.
    pub(crate) fn fetch(&mut self, batch: &[Sighting]) {
        let mut hashes = std::mem::take(&mut self.hashes);
        for seen in batch {
            let trace = self.trace_hash(seen.trace);
            let (own, parent) = (hash_of(trace, seen.span), hash_of(trace, seen.parent));
            black_box((self.by_span.fetch(own), self.by_span.fetch(parent)));
            black_box(self.by_trace.fetch((trace >> 32) as u32));
            hashes.push(((trace >> 32) as u32, own, parent));
        }
        for slot in self.free.iter().rev().take(batch.len()) {
            black_box((self.links(*slot).span, self.entries[*slot as usize].fetch()));
        }
        for (trace, own, parent) in hashes.drain(..) {
            if let Some(slot) = self.by_trace.at_home(trace) {
                black_box(self.trace(slot).last);
            }
            if let Some(slot) = self.by_span.at_home(own) {
                // children wait for it
                self.cursors.push(slot);
            }
            if let Some(slot) = self.by_span.at_home(parent) {
                black_box((self.links(slot).span, self.entries[slot as usize].fetch()));
            }
        }
        self.hashes = hashes;
        self.fetch_children();
    }

    /// Looks at the spans of those traces that are wanted, side by side: one after another they will be asked for soon.
    pub(crate) fn fetch_traces(&mut self, traces: &[Slot], is_wanted: impl Fn(&Trace) -> bool) {
        let mut cursors = std::mem::take(&mut self.cursors);
        let wanted = traces.iter().map(|slot| self.trace(*slot));
        let first = wanted
            .filter(|trace| is_wanted(trace))
            .map(|trace| trace.first);
        cursors.extend(first.filter(|slot| *slot != NONE));
        for _ in 0..MOST_OF_TRACE {
            if cursors.is_empty() {
                break;
            }
            cursors.retain_mut(|slot| {
                black_box(self.entries[*slot as usize].fetch());
                *slot = self.links(*slot).next_in_trace;
                *slot != NONE
            });
        }
        cursors.clear();
        self.cursors = cursors;
    }

    /// Looks at the children of spans and at theirs, as far as they are few: those are settled anew when their parent comes.
    fn fetch_children(&mut self) {
        let mut cursors = std::mem::take(&mut self.cursors);
        let mut found = std::mem::take(&mut self.found);
        for _ in 0..GENERATIONS {
            cursors.retain_mut(|slot| {
                *slot = self.links(*slot).first_child;
                *slot != NONE
            });
            for _ in 0..MOST_CHILDREN {
                if found.len() > MOST_FOUND {
                    break;
                }
                cursors.retain_mut(|slot| {
                    black_box(self.entries[*slot as usize].fetch());
                    found.push(*slot);
                    *slot = self.links(*slot).next_sibling;
                    *slot != NONE
                });
            }
            std::mem::swap(&mut cursors, &mut found);
            found.clear();
        }
        cursors.clear();
        (self.cursors, self.found) = (cursors, found);
    }
}
