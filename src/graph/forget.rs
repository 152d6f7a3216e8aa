//! Which numbers a shard still needs, when the tick would give them to others (R-GRA-3).
//!
//! ```text
//! tick: these are idle ─▶ every shard: my spans refer to those ─▶ tick: the rest may go, or may be given anew
//!                          └ its counters of the rest are let go
//! ```
//!
//! **Bounds.** One look at each span in the table, and at each edge of the ledger; a bit for each number.
//! **Invariant.** A number that is not in the answer occurs nowhere in the shard, nor can it come back but by a sighting.

use crate::base::NodeId;
use crate::graph::entry::{Counted, Entry, NONE};
use crate::graph::ledger::{Alias, EdgeSlot};
use crate::graph::numbers::{Bits, Numbers};
use crate::graph::shard::Shard;

impl Shard {
    /// Lets go what it knows of these numbers, and answers which of them it cannot: spans in the table refer to them, or
    /// there are counts that the tick has not taken yet.
    pub fn forget(&mut self, candidates: &Numbers) -> Numbers {
        let mut kept = Numbers::default();
        let mut slots = Bits::default();
        self.table.for_each_entry(|entry| {
            mentions(
                entry,
                |node| {
                    if candidates.has_node(node) {
                        kept.insert_node(node);
                    }
                },
                |slot| slots.insert(slot),
            );
        });
        self.walks.changed(|edge| {
            if candidates.has_edge(edge) {
                kept.insert_edge(edge);
            }
        });
        self.ledger.forget(candidates, &slots, &mut kept);
        let is_gone = |edge| candidates.has_edge(edge) && !kept.has_edge(edge);
        self.walks.forget(is_gone);
        kept
    }
}

/// Says every number that a span in the table refers to: of nodes, and the shard's own of edges.
fn mentions(entry: &Entry, mut node: impl FnMut(NodeId), mut edge: impl FnMut(EdgeSlot)) {
    let (seen, context) = (&entry.seen, &entry.context);
    for id in [
        seen.node,
        seen.service,
        seen.hint,
        seen.peer,
        context.actor,
        context.service,
        context.above,
        entry.call.node,
        entry.turn.node,
    ] {
        node(id);
    }
    match entry.counted {
        Counted::Nothing => {}
        Counted::Alias(Alias { outer, inner }) => {
            node(outer);
            node(inner);
        }
        Counted::Call(call) => {
            node(call.node);
            node(call.alias);
            for slot in [call.edge, call.onward] {
                if slot != NONE {
                    edge(slot);
                }
            }
        }
    }
}
