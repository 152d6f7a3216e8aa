//! What fails for certain with what: single points of failure, exactly.
//!
//! A node fails when it is removed, or when some certain set of what it needs has failed whole. The least solution of that
//! system is evaluated for 512 removed nodes at a time, one bit each, from what is needed to who needs it; inside a
//! component in rounds until nothing changes, which the system, being monotone, does.
//!
//! Dominators answer the same question where each node needs one path of several; sets with several needs at once are no
//! such graph, and the bits are as fast: O(nodes · edges / 64) words in all, a piece O(edges · 8).

use crate::analysis::components::Components;
use crate::analysis::needs::Needs;
use crate::analysis::reach::{Bits, LANES};
use crate::graph::Row;

/// No bit.
const NONE: Bits = [0; LANES / 64];

/// The rows of bits, kept for their memory.
#[derive(Clone, Debug, Default)]
pub(super) struct Certain {
    /// By node: with which of the removed nodes it fails.
    rows: Vec<Bits>,
}

impl Certain {
    /// Removes the nodes of a piece, one at a time, all at once; says how many steps that took. A piece is [`LANES`] nodes
    /// of the order.
    pub(super) fn evaluate(
        &mut self,
        needs: &Needs,
        components: &Components,
        piece: usize,
        proven: bool,
    ) -> u64 {
        self.rows.clear();
        self.rows.resize(needs.nodes(), NONE);
        let order = components.order();
        let begin = (piece * LANES).min(order.len());
        let lanes = &order[begin..order.len().min(begin + LANES)];
        for (lane, node) in lanes.iter().enumerate() {
            self.rows[*node as usize][lane / 64] |= 1 << (lane % 64);
        }
        let Some(first) = lanes.first() else {
            return 0;
        };
        let mut steps = 0;
        for component in components.of(*first)..components.len() {
            let nodes = components.nodes(component);
            loop {
                let mut has_changed = false;
                for node in nodes {
                    has_changed |= self.settle(needs, *node, proven, &mut steps);
                }
                if !has_changed || nodes.len() == 1 {
                    break;
                }
            }
        }
        steps
    }

    /// Adds to a node's row what its sets say; says whether that was anything.
    fn settle(&mut self, needs: &Needs, node: Row, proven: bool, steps: &mut u64) -> bool {
        let before = self.rows[node as usize];
        let mut row = before;
        for set in needs.certain(node, proven) {
            *steps += set.len() as u64;
            let Some((first, others)) = set.split_first() else {
                continue;
            };
            let mut all = self.rows[*first as usize];
            for other in others {
                let other = self.rows[*other as usize];
                all.iter_mut()
                    .zip(other)
                    .for_each(|(all, bits)| *all &= bits);
            }
            row.iter_mut().zip(all).for_each(|(row, bits)| *row |= bits);
        }
        self.rows[node as usize] = row;
        row != before
    }

    /// The lanes with whose removed nodes a node fails, after [`Certain::evaluate`].
    pub(super) fn lanes(&self, node: Row) -> impl Iterator<Item = usize> + '_ {
        let row = self.rows.get(node as usize).unwrap_or(&NONE);
        row.iter().enumerate().flat_map(|(word, bits)| {
            let mut left = *bits;
            std::iter::from_fn(move || {
                let bit = left.checked_ilog2()?;
                left &= !(1 << bit);
                Some(word * 64 + bit as usize)
            })
        })
    }
}
