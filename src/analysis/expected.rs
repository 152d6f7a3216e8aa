//! What is expected to fail with what: p(a | v) = 1 − Π over a's sets (1 − w · Π over their members m of p(m | v)).
//!
//! Sixteen removed nodes are evaluated side by side, one lane each, from what is needed to who needs it; only nodes that
//! something in hand reaches are looked at. Exact where ways do not meet again, else a close estimate that takes branches
//! for independent (`detection` §7).
//!
//! **In a circle** a node is computed once, when first something reaches it, from what was reached before: its own failure
//! does not come back to it as a reason. (The fixed point of the equation would: 0.1 into two nodes that need each other
//! at 0.9 comes to 0.37 there, where 0.1 is right.)

use crate::analysis::components::Components;
use crate::analysis::needs::{Needs, Set};
use crate::analysis::structure::Lists;
use crate::graph::Row;

/// Removed nodes side by side.
pub(super) const LANES: usize = 16;

/// From this probability on a node is among those that fail.
const FAILS: f32 = 0.5;

/// A probability a lane.
pub(super) type Chances = [f32; LANES];

/// What a piece came to, by lane.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Outcome {
    /// Expected share of the traffic.
    pub(super) share: [f64; LANES],
    /// Nodes that rather fail than not, the removed one not among them.
    pub(super) failing: [u32; LANES],
    /// What it took.
    pub(super) steps: u64,
}

/// The probabilities in hand, kept for their memory.
#[derive(Clone, Debug, Default)]
pub(super) struct Expected {
    /// By node.
    chances: Vec<Chances>,
    /// By node: whether any chance of it is not 0.
    is_live: Vec<bool>,
    /// By place in the order: whether something that it needs may fail.
    is_reached: Vec<bool>,
    /// By node: its place in the order.
    places: Vec<u32>,
    /// By node: who needs it.
    dependers: Lists,
}

impl Expected {
    /// Prepares for a structure.
    pub(super) fn new(needs: &Needs, components: &Components) -> Self {
        let mut places = vec![0; needs.nodes()];
        for (place, node) in (0..).zip(components.order()) {
            places[*node as usize] = place;
        }
        Expected {
            chances: vec![[0.0; LANES]; needs.nodes()],
            is_live: vec![false; needs.nodes()],
            is_reached: vec![false; needs.nodes()],
            places,
            dependers: Lists::of(needs.nodes(), needs.pairs().map(|(a, b)| (b, a))),
        }
    }

    /// The piece in which a node is removed.
    pub(super) fn piece_of(&self, node: Row) -> usize {
        self.places[node as usize] as usize / LANES
    }

    /// Removes the nodes of a piece, [`LANES`] nodes of the order. `shares` has the entries' shares of traffic, by node.
    pub(super) fn evaluate(
        &mut self,
        needs: &Needs,
        components: &Components,
        shares: &[f32],
        piece: usize,
    ) -> Outcome {
        let order = components.order();
        let begin = (piece * LANES).min(order.len());
        let removed = &order[begin..order.len().min(begin + LANES)];
        let mut outcome = Outcome::default();
        for (lane, node) in removed.iter().enumerate() {
            self.chances[*node as usize][lane] = 1.0;
            self.is_live[*node as usize] = true;
            self.is_reached[self.places[*node as usize] as usize] = true;
        }
        let mut touched = Vec::new();
        let mut place = begin;
        while let Some(found) = self.is_reached[place..].iter().position(|is| *is) {
            place += found;
            let component = components.of(order[place]);
            let nodes = components.nodes(component);
            self.settle(needs, nodes, &mut outcome.steps);
            for node in nodes {
                place = self.places[*node as usize] as usize;
                self.is_reached[place] = false;
                touched.push(*node);
                if self.is_live[*node as usize] {
                    let dependers = self.dependers.of_row(*node);
                    outcome.steps += dependers.len() as u64;
                    for depender in dependers {
                        let above = self.places[*depender as usize] as usize;
                        // those of its own component are settled
                        self.is_reached[above] |= components.of(*depender) != component;
                    }
                }
            }
            place = self.places[nodes[nodes.len() - 1] as usize] as usize + 1;
        }
        for node in touched {
            if !std::mem::replace(&mut self.is_live[node as usize], false) {
                continue;
            }
            let chances = std::mem::replace(&mut self.chances[node as usize], [0.0; LANES]);
            let share = f64::from(shares[node as usize]);
            for (lane, chance) in chances.into_iter().enumerate() {
                outcome.failing[lane] += u32::from(chance >= FAILS);
                outcome.share[lane] += share * f64::from(chance);
            }
        }
        for failing in &mut outcome.failing {
            *failing = failing.saturating_sub(1);
        }
        outcome
    }

    /// Computes the nodes of a component, those that are not known yet, until nothing more is reached.
    fn settle(&mut self, needs: &Needs, nodes: &[Row], steps: &mut u64) {
        loop {
            let mut has_changed = false;
            // callers stand before what they need
            for node in nodes.iter().rev() {
                let mut survives = [1.0; LANES];
                for set in needs.sets(*node) {
                    *steps += set.members.len() as u64;
                    if set
                        .members
                        .iter()
                        .all(|member| self.is_live[*member as usize])
                    {
                        self.spare(set, &mut survives);
                    }
                }
                let mut is_new = false;
                let chances = &mut self.chances[*node as usize];
                for (chance, survives) in chances.iter_mut().zip(survives) {
                    if *chance == 0.0 && survives < 1.0 {
                        *chance = 1.0 - survives;
                        is_new = true;
                    }
                }
                self.is_live[*node as usize] |= is_new;
                has_changed |= is_new;
            }
            if !has_changed || nodes.len() == 1 {
                return;
            }
        }
    }

    /// Multiplies in how likely a set spares its node.
    #[inline]
    fn spare(&self, set: Set<'_>, survives: &mut Chances) {
        if let [member] = set.members {
            let fails = &self.chances[*member as usize];
            *survives =
                std::array::from_fn(|lane| survives[lane] * (1.0 - set.weight * fails[lane]));
            return;
        }
        let mut all = [set.weight; LANES];
        for member in set.members {
            let fails = &self.chances[*member as usize];
            all = std::array::from_fn(|lane| all[lane] * fails[lane]);
        }
        *survives = std::array::from_fn(|lane| survives[lane] * (1.0 - all[lane]));
    }
}
