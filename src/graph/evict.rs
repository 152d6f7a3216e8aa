//! Who gives way when the table is full: closed traces first, then settled spans without children, then the rest.
//!
//! **Invariant.** What gives way stays counted as it was, and is itself counted by reason ([`ShardStats`]).
//!
//! [`ShardStats`]: crate::graph::ShardStats

use crate::graph::entry::{NONE, Slot, Standing};
use crate::graph::shard::Shard;
use crate::graph::table::Shelf;

/// How many entries of a trace an eviction looks at.
const LOOKS: usize = 64;

impl Shard {
    /// Makes room. A trace that had nothing to give is not looked at again before its next span.
    pub(super) fn evict(&mut self) {
        if let Some(trace) = self.table.oldest(Shelf::Closed) {
            self.close(trace, false);
            self.stats.evicted_closed += self.remove(&[trace]);
            return;
        }
        while let Some(trace) = self.table.oldest(Shelf::Open) {
            let freed = self.thin(trace);
            self.stats.evicted_settled += freed;
            if freed > 0 {
                return;
            }
            self.table.renew(trace, Shelf::Stuck);
        }
        if let Some(trace) = self.table.oldest(Shelf::Stuck) {
            self.give_up(trace);
            self.close(trace, false);
            self.stats.evicted_waiting += self.remove(&[trace]);
        }
    }

    /// Makes room as far as traces that are closed have it.
    pub(super) fn make_room(&mut self, wanted: usize) {
        let mut traces = std::mem::take(&mut self.to_remove);
        while self.table.room() < wanted {
            let missing = wanted - self.table.room();
            self.table.oldest_with(Shelf::Closed, missing, &mut traces);
            if traces.is_empty() {
                break;
            }
            self.fetch_unread(&traces);
            for trace in &traces {
                self.close(*trace, false);
            }
            self.stats.evicted_closed += self.remove(&traces);
            traces.clear();
        }
        self.to_remove = traces;
    }

    /// Takes out traces; answers how many entries they had.
    pub(super) fn remove(&mut self, traces: &[Slot]) -> u64 {
        self.table.remove_traces(traces) as u64
    }

    /// Takes settled spans without children out of an open trace, oldest first.
    fn thin(&mut self, trace: Slot) -> u64 {
        let mut freed = 0;
        for _ in 0..LOOKS {
            let slot = self.table.trace(trace).first;
            let links = *self.table.links(slot);
            let may_go = links.is_present
                && links.first_child == NONE
                && self.table.entry(slot).context.standing != Standing::Waiting;
            if !may_go {
                self.table.rotate(trace);
                continue;
            }
            let is_last = links.next_in_trace == NONE;
            let before = self.table.len();
            self.note_loss(trace);
            self.table.remove_leaf(slot);
            freed += (before - self.table.len()) as u64;
            if is_last || self.table.oldest(Shelf::Open) != Some(trace) {
                break;
            }
        }
        freed
    }
}
