//! How many nodes depend on each, at one step and at any number of steps: the upper bound of what a failure reaches.
//!
//! All at once, 512 possible dependers at a time: a component's row of bits says which of these depend on it, and is handed
//! down to what it needs, dependers first. O(nodes · edges / 64) words in all; a piece is O(edges · 8), so that a large
//! graph is counted over several ticks.

use crate::analysis::components::Components;
use crate::analysis::needs::Needs;
use crate::graph::Row;

/// Words in a row of bits.
const WORDS: usize = 8;
/// Dependers that are counted at a time.
pub(super) const LANES: usize = WORDS * 64;

/// A row of bits.
pub(super) type Bits = [u64; WORDS];

/// The counts, as far as they have come.
#[derive(Clone, Debug, Default)]
pub(super) struct Reach {
    /// By node: different nodes that need it at one step.
    direct: Vec<u32>,
    /// By node: nodes that need it at any number of steps; complete only when `next` is past the last node.
    transitive: Vec<u32>,
    /// By component: in sum, and of the lanes in hand.
    sums: Vec<u32>,
    rows: Vec<Bits>,
    /// The next place in the order whose lanes are to be counted.
    next: usize,
}

impl Reach {
    /// Counts one step at once; the rest waits for [`Reach::advance`].
    pub(super) fn new(needs: &Needs, components: &Components) -> Self {
        let mut direct = vec![0; needs.nodes()];
        let mut last = vec![Row::MAX; needs.nodes()];
        for (node, member) in needs.pairs() {
            if std::mem::replace(&mut last[member as usize], node) != node {
                direct[member as usize] += 1;
            }
        }
        Reach {
            direct,
            transitive: vec![0; needs.nodes()],
            sums: vec![0; components.len()],
            rows: vec![[0; WORDS]; components.len()],
            next: 0,
        }
    }

    /// Whether all is counted.
    pub(super) fn is_complete(&self) -> bool {
        self.next >= self.direct.len()
    }

    /// Nodes that need this one at one step.
    pub(super) fn direct(&self, node: Row) -> u32 {
        self.direct.get(node as usize).copied().unwrap_or(0)
    }

    /// Nodes that need this one at any number of steps, if all is counted.
    pub(super) fn transitive(&self, node: Row) -> Option<u32> {
        let count = self.transitive.get(node as usize).copied();
        count.filter(|_| self.is_complete())
    }

    /// Counts the next lanes; says how many steps that took.
    pub(super) fn advance(&mut self, needs: &Needs, components: &Components) -> u64 {
        if self.is_complete() {
            return 0;
        }
        let order = components.order();
        let lanes = &order[self.next..order.len().min(self.next + LANES)];
        self.rows.fill([0; WORDS]);
        for (lane, node) in lanes.iter().enumerate() {
            self.rows[components.of(*node)][lane / 64] |= 1 << (lane % 64);
        }
        let mut steps = 0;
        // nothing that stands after the last lane is needed by one
        let last = lanes.last().map_or(0, |node| components.of(*node));
        for component in (0..=last).rev() {
            let row = self.rows[component];
            if row == [0; WORDS] {
                continue;
            }
            self.sums[component] += row.iter().map(|word| word.count_ones()).sum::<u32>();
            for node in components.nodes(component) {
                for member in needs.members(*node) {
                    steps += 1;
                    let below = components.of(*member);
                    if below != component {
                        let into = &mut self.rows[below];
                        into.iter_mut()
                            .zip(row)
                            .for_each(|(into, word)| *into |= word);
                    }
                }
            }
        }
        self.next += LANES;
        if self.is_complete() {
            for (node, count) in (0..).zip(&mut self.transitive) {
                // itself is among them
                *count = self.sums[components.of(node)].saturating_sub(1);
            }
            self.rows = Vec::new();
            self.sums = Vec::new();
        }
        steps
    }
}
