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
use crate::graph::counting::Counted;
use crate::graph::entry::{Entry, NONE};
use crate::graph::ledger::{Alias, EdgeSlot};
use crate::graph::numbers::{Bits, Numbers};
use crate::graph::shard::Shard;
use crate::scan::NO_NODE;

/// Numbers that may go.
#[derive(Clone, Debug, Default)]
pub struct Candidates {
    /// Which.
    pub numbers: Numbers,
    /// Their names have other numbers by now, or none.
    pub are_forgotten: bool,
}

impl Shard {
    /// Lets go what it knows of these numbers, and answers which of them it cannot: spans in the table refer to them, or
    /// there are counts that the tick has not taken yet.
    pub fn forget(&mut self, candidates: &Candidates) -> Numbers {
        let numbers = &candidates.numbers;
        let (mut kept, mut slots) = (Numbers::default(), Bits::default());
        self.forget_gone();
        let mut node = |node| {
            if numbers.has_node(node) {
                kept.insert_node(node);
            }
        };
        let mut edge = |slot| slots.insert(slot);
        self.table.for_each_entry(|trace, entry, call| {
            node(trace.home);
            node(call.map_or(NO_NODE, |call| call.node));
            mentions(entry, &mut node, &mut edge);
        });
        self.links.mentions(&mut node, &mut edge);
        self.walks.changed(|edge| {
            if numbers.has_edge(edge) {
                kept.insert_edge(edge);
            }
        });
        self.ledger.forget(numbers, &slots, &mut kept);
        let mut gone = numbers.clone();
        gone.remove(&kept);
        self.walks.forget(|edge| gone.has_edge(edge));
        if candidates.are_forgotten {
            self.names.forget(|node| gone.has_node(node));
            self.echoes.forget(|node| gone.has_node(node));
        }
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
        entry.turn.node,
        entry.turn.from,
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
