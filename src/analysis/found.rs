//! What a failing node takes along, for all nodes: computed piece by piece, kept until something it rests on moves.
//!
//! ```text
//! weights moved ─▶ stale: every node that something moved above rests on ─▶ pieces of 16, most called and longest stale first
//! certain sets, shares moved ─▶ stale: all pieces of 512, in turn                       └─ as many as a look may do
//! ```
//!
//! **Bounds.** A look does at most the steps that it is given, and one piece of each kind at least, so that everything is
//! computed at last. **Invariant.** With steps enough the result is that of a computation from scratch, but for weights
//! within their slack (`needs`).

use crate::analysis::certain::Certain;
use crate::analysis::components::Components;
use crate::analysis::expected::{self, Expected};
use crate::analysis::findings::Entry;
use crate::analysis::needs::Needs;
use crate::analysis::reach::{self, Reach};
use crate::analysis::weights::Weights;
use crate::graph::Row;

/// What one node takes along.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Taken {
    pub(super) direct: u32,
    pub(super) transitive: u32,
    pub(super) failing: u32,
    pub(super) expected: f64,
    pub(super) certain: f64,
    pub(super) is_spof: bool,
    pub(super) is_proven: bool,
}

/// All nodes' figures with the work that is open.
#[derive(Clone, Debug, Default)]
pub(super) struct Found {
    by_node: Vec<Taken>,
    reach: Reach,
    certain: Certain,
    expected: Expected,
    /// Pieces of certain failures that are open, and which is next.
    certain_open: usize,
    certain_next: usize,
    /// By piece of expected failures: the look since which it is stale.
    stale_since: Vec<Option<u64>>,
    look: u64,
    /// Nodes whose figures changed in this look.
    changed: Vec<Row>,
}

/// The structure in the forms that the work needs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ground<'a> {
    pub(super) needs: &'a Needs,
    pub(super) components: &'a Components,
    pub(super) entries: &'a [Entry],
    pub(super) shares: &'a [f32],
}

impl Found {
    /// For another structure, everything open. `before` has what is known of each node by its row now.
    pub(super) fn new(needs: &Needs, components: &Components, before: Vec<Taken>) -> Self {
        let nodes = needs.nodes();
        let reach = Reach::new(needs, components);
        let mut by_node = before;
        by_node.resize(nodes, Taken::default());
        for (row, taken) in (0..).zip(&mut by_node) {
            taken.direct = reach.direct(row);
        }
        Found {
            by_node,
            reach,
            certain: Certain::default(),
            expected: Expected::new(needs, components),
            certain_open: nodes.div_ceil(reach::LANES),
            certain_next: 0,
            stale_since: vec![Some(0); nodes.div_ceil(expected::LANES)],
            look: 0,
            changed: Vec::new(),
        }
    }

    /// A node's figures.
    pub(super) fn node(&self, row: Row) -> Taken {
        self.by_node.get(row as usize).copied().unwrap_or_default()
    }

    /// What is certain, or how traffic is shared, is not as it was.
    pub(super) fn open_certain(&mut self) {
        self.certain_open = self.by_node.len().div_ceil(reach::LANES);
    }

    /// The weights by which these nodes' failures reach others moved, or the traffic of the nodes themselves: what they
    /// need, at any number of steps, takes another share along.
    pub(super) fn open_expected(&mut self, needs: &Needs, from: &[Row]) {
        let mut is_seen = vec![false; self.by_node.len()];
        let mut to_visit = Vec::with_capacity(from.len());
        for row in from {
            if !std::mem::replace(&mut is_seen[*row as usize], true) {
                to_visit.push(*row);
            }
        }
        while let Some(row) = to_visit.pop() {
            self.stale_since[self.expected.piece_of(row)].get_or_insert(self.look);
            for member in needs.members(row) {
                if !std::mem::replace(&mut is_seen[*member as usize], true) {
                    to_visit.push(*member);
                }
            }
        }
    }

    /// Does what may be done; the nodes whose figures changed are those returned.
    pub(super) fn work(&mut self, ground: Ground<'_>, weights: &Weights, steps: u64) -> Vec<Row> {
        self.look += 1;
        let mut left = steps;
        self.count(ground, &mut left, steps / 4 * 3);
        self.remove_for_certain(ground, &mut left, steps / 2);
        self.remove_one_by_one(ground, weights, &mut left);
        let mut changed = std::mem::take(&mut self.changed);
        changed.sort_unstable();
        changed.dedup();
        changed
    }

    /// How many nodes wait to be computed anew, roughly: by pieces.
    pub(super) fn stale(&self) -> usize {
        let pieces = self.stale_since.iter().flatten().count();
        let expected = pieces * expected::LANES;
        let certain = self.certain_open * reach::LANES;
        expected.max(certain).min(self.by_node.len())
    }

    /// Transitive counts, while more than `until` steps are left.
    fn count(&mut self, ground: Ground<'_>, left: &mut u64, until: u64) {
        if self.reach.is_complete() {
            return;
        }
        loop {
            let steps = self.reach.advance(ground.needs, ground.components);
            *left = left.saturating_sub(steps.max(1));
            if self.reach.is_complete() || *left <= until {
                break;
            }
        }
        for (row, taken) in (0..).zip(&mut self.by_node) {
            if let Some(count) = self.reach.transitive(row)
                && count != taken.transitive
            {
                taken.transitive = count;
                self.changed.push(row);
            }
        }
    }

    /// What fails for certain, while more than `until` steps are left.
    fn remove_for_certain(&mut self, ground: Ground<'_>, left: &mut u64, until: u64) {
        let pieces = self.by_node.len().div_ceil(reach::LANES);
        let mut is_first = true;
        while self.certain_open > 0 && (is_first || *left > until) {
            is_first = false;
            let piece = self.certain_next % pieces.max(1);
            let steps = self.certain_piece(ground, piece);
            *left = left.saturating_sub(steps.max(1));
            self.certain_next = (piece + 1) % pieces.max(1);
            self.certain_open -= 1;
        }
    }

    fn certain_piece(&mut self, ground: Ground<'_>, piece: usize) -> u64 {
        let order = ground.components.order();
        let begin = piece * reach::LANES;
        let removed = &order[begin..order.len().min(begin + reach::LANES)];
        let mut found = vec![(0.0, false, false); removed.len()];
        let mut steps = 0;
        for proven in [true, false] {
            steps += self
                .certain
                .evaluate(ground.needs, ground.components, piece, proven);
            for entry in ground.entries {
                for lane in self.certain.lanes(entry.row) {
                    let (share, is_spof, is_proven) = &mut found[lane];
                    let is_other = removed[lane] != entry.row;
                    if proven {
                        *is_proven |= is_other;
                    } else {
                        *share += f64::from(ground.shares[entry.row as usize]);
                        *is_spof |= is_other;
                    }
                }
            }
        }
        for (row, (share, is_spof, is_proven)) in removed.iter().zip(found) {
            let taken = &mut self.by_node[*row as usize];
            let before = *taken;
            taken.certain = if is_spof { share.min(1.0) } else { 0.0 };
            taken.is_spof = is_spof;
            taken.is_proven = is_proven;
            if *taken != before {
                self.changed.push(*row);
            }
        }
        steps
    }

    /// What is expected to fail, while steps are left: by turns the piece that is most called and the one that has waited
    /// longest, so that nothing waits for ever.
    fn remove_one_by_one(&mut self, ground: Ground<'_>, weights: &Weights, left: &mut u64) {
        let order = ground.components.order();
        let calls = |piece: usize| {
            let begin = piece * expected::LANES;
            order[begin..order.len().min(begin + expected::LANES)]
                .iter()
                .filter_map(|row| weights.nodes.get(*row as usize))
                .map(|node| node.recent.calls)
                .fold(0.0, f64::max)
        };
        let mut by_age: Vec<(u64, f64, usize)> = (0..)
            .zip(&self.stale_since)
            .filter_map(|(piece, since)| Some(((*since)?, calls(piece), piece)))
            .collect();
        let mut by_calls = by_age.clone();
        by_calls.sort_unstable_by(|a, b| b.1.total_cmp(&a.1).then(a.2.cmp(&b.2)));
        by_age.sort_unstable_by(|a, b| a.0.cmp(&b.0).then(b.1.total_cmp(&a.1)).then(a.2.cmp(&b.2)));
        let mut is_first = true;
        for pair in by_calls.iter().zip(&by_age) {
            for (_, _, piece) in [pair.0, pair.1] {
                if self.stale_since[*piece].is_none() {
                    continue;
                }
                if *left == 0 && !is_first {
                    return;
                }
                is_first = false;
                let steps = self.expected_piece(ground, *piece);
                *left = left.saturating_sub(steps.max(1));
            }
        }
    }

    fn expected_piece(&mut self, ground: Ground<'_>, piece: usize) -> u64 {
        self.stale_since[piece] = None;
        let order = ground.components.order();
        let begin = piece * expected::LANES;
        let outcome = self
            .expected
            .evaluate(ground.needs, ground.components, ground.shares, piece);
        for (lane, row) in order[begin..order.len().min(begin + expected::LANES)]
            .iter()
            .enumerate()
        {
            let taken = &mut self.by_node[*row as usize];
            let before = *taken;
            taken.expected = outcome.share[lane].min(1.0);
            taken.failing = outcome.failing[lane];
            if *taken != before {
                self.changed.push(*row);
            }
        }
        outcome.steps
    }
}
