//! What each node needs, as sets of which one member is enough: the system that all evaluations solve.
//!
//! ```text
//! a fails  ⇐  some set of a's fails          a set fails  ⇐  all its members' nodes fail
//! ```
//!
//! An edge without a fallback is a set of its own. An edge e with fallbacks stands with all that its failure leads to in
//! turn; two edges that are each other's fallback are one set. What is only a fallback makes no set: while e goes well
//! nobody needs it.
//!
//! A set has a weight, u·h, the share of the caller's requests that use it by how likely the caller falls with it. Of a set
//! with fallbacks, u is that of the edges called first and h that of the last resort: how the caller takes it that even this
//! fails. A set is *certain* when next to every request uses it, and nothing says that the caller survives.
//!
//! **Weights do not tremble.** What changes by less than [`SLACK`] keeps its old figure, so that a tick recomputes what
//! moved, not what breathes.

use crate::analysis::hardness::Learned;
use crate::analysis::structure::{EdgeRow, Lists, Structure};
use crate::analysis::weights::{NodeWeights, Tally, Weights, share_of_requests};
use crate::graph::Row;

/// By how much a weight may differ from what is computed with, unless told otherwise.
pub(super) const SLACK: f32 = 0.01;
/// How far below the threshold a certain set's use must fall before it is certain no more.
const CERTAIN_SLACK: f32 = 0.05;

/// A set is not followed further than so many members; a chain of fallbacks has three or four.
const MOST_MEMBERS: usize = 16;

/// How weights are read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules {
    /// By how much a weight may differ from what is computed with.
    pub(super) slack: f32,
    /// The least share of its caller's requests that use what counts for certain.
    pub(super) use_share: f32,
    /// Whether no evidence is taken as hard.
    pub(super) assumes_hard: bool,
}

/// Every node's sets.
#[derive(Clone, Debug, Default)]
pub(super) struct Needs {
    /// By node: where its sets begin; one more than nodes.
    set_starts: Vec<u32>,
    /// By set: where its members begin; one more than sets.
    member_starts: Vec<u32>,
    /// The nodes that each set is made of. Of a set with fallbacks, those called first stand first.
    members: Vec<Row>,
    /// The edge by which each member is called.
    edges: Vec<EdgeRow>,
    /// By set: how many of its members are called first.
    firsts: Vec<u32>,
    /// By set: u·h.
    weights: Vec<f32>,
    /// By set: whether it is certain as settings say.
    is_certain: Vec<bool>,
    /// By set: whether it is certain and evidence says so.
    is_proven: Vec<bool>,
}

/// A set of a node, for evaluation.
#[derive(Clone, Copy, Debug)]
pub(super) struct Set<'a> {
    pub(super) members: &'a [Row],
    pub(super) weight: f32,
}

/// What a change of weights touched.
#[derive(Clone, Debug, Default)]
pub(super) struct Moved {
    /// Nodes whose failure reaches others with another weight.
    pub(super) nodes: Vec<Row>,
    /// Whether what is certain changed.
    pub(super) is_certain: bool,
}

impl Needs {
    /// Puts the sets together; weights follow with [`Needs::weigh`]. `fallbacks` are ascending pairs.
    pub(super) fn new(structure: &Structure, fallbacks: &[(EdgeRow, EdgeRow)]) -> Self {
        let nodes = structure.nodes().len();
        let dependencies = structure.dependencies();
        let pairs: Vec<(Row, EdgeRow)> = dependencies.map(|(edge, a, _)| (a, edge)).collect();
        let by_node = Lists::of(nodes, pairs.iter().copied());
        let mut needs = Needs {
            set_starts: vec![0],
            member_starts: vec![0],
            ..Needs::default()
        };
        for node in 0..nodes as Row {
            for edge in by_node.of_row(node) {
                needs.add_set(structure, fallbacks, *edge);
            }
            needs.set_starts.push(needs.firsts.len() as u32);
        }
        let sets = needs.firsts.len();
        needs.weights = vec![0.0; sets];
        needs.is_certain = vec![false; sets];
        needs.is_proven = vec![false; sets];
        needs
    }

    fn add_set(&mut self, structure: &Structure, pairs: &[(EdgeRow, EdgeRow)], edge: EdgeRow) {
        let all = led_to(pairs, edge);
        // those that lead back to this edge are called first as well, in other requests
        let (mut firsts, later): (Vec<EdgeRow>, Vec<EdgeRow>) = all
            .iter()
            .partition(|other| **other == edge || led_to(pairs, **other).contains(&edge));
        let is_only_fallback = pairs
            .iter()
            .any(|(first, then)| *then == edge && !firsts.contains(first));
        firsts.sort_unstable();
        if is_only_fallback || firsts.first() != Some(&edge) {
            return;
        }
        self.firsts.push(firsts.len() as u32);
        for edge in firsts.into_iter().chain(later) {
            if let Some(link) = structure.edges().get(edge as usize) {
                self.members.push(link.dependee());
                self.edges.push(edge);
            }
        }
        self.member_starts.push(self.members.len() as u32);
    }

    /// How many nodes there are.
    pub(super) fn nodes(&self) -> usize {
        self.set_starts.len().saturating_sub(1)
    }

    /// A node's sets that have a weight.
    #[inline]
    pub(super) fn sets(&self, node: Row) -> impl Iterator<Item = Set<'_>> {
        self.range(node).filter_map(|set| {
            let weight = self.weights[set];
            (weight > 0.0).then(|| Set {
                members: &self.members[self.member_range(set)],
                weight,
            })
        })
    }

    /// A node's certain sets: all, or those that evidence proves.
    #[inline]
    pub(super) fn certain(&self, node: Row, proven: bool) -> impl Iterator<Item = &[Row]> {
        let is_one = if proven {
            &self.is_proven
        } else {
            &self.is_certain
        };
        self.range(node)
            .filter(|set| is_one[*set])
            .map(|set| &self.members[self.member_range(set)])
    }

    /// The members of all of a node's sets; a node may stand here more than once.
    #[inline]
    pub(super) fn members(&self, node: Row) -> &[Row] {
        &self.members[self.all_members(node)]
    }

    /// Every (node, what it needs), certain or not.
    pub(super) fn pairs(&self) -> impl Iterator<Item = (Row, Row)> + Clone {
        (0..self.nodes() as Row)
            .flat_map(move |node| self.members(node).iter().map(move |member| (node, *member)))
    }

    /// Computes the weights of some nodes' sets anew.
    pub(super) fn weigh(
        &mut self,
        structure: &Structure,
        weights: &Weights,
        learned: &Learned,
        rules: Rules,
        nodes: impl Iterator<Item = Row>,
    ) -> Moved {
        let mut moved = Moved::default();
        for node in nodes {
            let caller = Caller::of(self, weights, node);
            for set in self.range(node) {
                let range = self.member_range(set);
                let edges = &self.edges[range.clone()];
                let used = caller.used(structure, weights, &edges[..self.firsts[set] as usize]);
                let resort = if edges.len() > 1 { &edges[1..] } else { edges };
                let hard = resort
                    .iter()
                    .map(|edge| learned.edge(*edge).mean)
                    .fold(0.0, f32::max);
                if is_apart(self.weights[set], used * hard, rules.slack) {
                    self.weights[set] = used * hard;
                    moved.nodes.extend(&self.members[range.clone()]);
                }
                let least = if self.is_certain[set] {
                    rules.use_share - CERTAIN_SLACK
                } else {
                    rules.use_share
                };
                let links = edges
                    .iter()
                    .filter_map(|edge| structure.edges().get(*edge as usize));
                let may = used >= least && !links.into_iter().any(|link| link.is_weak());
                let is_proven = may && resort.iter().all(|edge| learned.edge(*edge).is_proven());
                let is_unrefuted = may
                    && rules.assumes_hard
                    && resort.iter().all(|edge| learned.edge(*edge).is_unrefuted());
                let is_certain = is_proven || is_unrefuted;
                moved.is_certain |=
                    (is_certain, is_proven) != (self.is_certain[set], self.is_proven[set]);
                self.is_certain[set] = is_certain;
                self.is_proven[set] = is_proven;
            }
        }
        moved
    }

    #[inline]
    fn range(&self, node: Row) -> std::ops::Range<usize> {
        self.set_starts[node as usize] as usize..self.set_starts[node as usize + 1] as usize
    }

    #[inline]
    fn all_members(&self, node: Row) -> std::ops::Range<usize> {
        let sets = self.range(node);
        self.member_starts[sets.start] as usize..self.member_starts[sets.end] as usize
    }

    #[inline]
    fn member_range(&self, set: usize) -> std::ops::Range<usize> {
        self.member_starts[set] as usize..self.member_starts[set + 1] as usize
    }
}

/// Whether two weights differ by more than trembling. Nothing and something always do.
fn is_apart(old: f32, new: f32, slack: f32) -> bool {
    (old - new).abs() > slack || ((old > 0.0) != (new > 0.0))
}

/// An edge with all that its failure leads to, in no order.
fn led_to(pairs: &[(EdgeRow, EdgeRow)], edge: EdgeRow) -> Vec<EdgeRow> {
    let mut all = vec![edge];
    let mut at = 0;
    while let Some(first) = all.get(at).copied().filter(|_| all.len() < MOST_MEMBERS) {
        let from = pairs.partition_point(|(other, _)| *other < first);
        for (_, then) in pairs[from..]
            .iter()
            .take_while(|(other, _)| *other == first)
        {
            if !all.contains(then) {
                all.push(*then);
            }
        }
        at += 1;
    }
    all
}

/// Who makes the calls whose share is asked for.
struct Caller {
    requests: f64,
    tally: Tally,
}

impl Caller {
    /// A node that was seen calling but never called (a service whose own spans show nothing, A-04) has at least as many
    /// requests as its busiest edge has calls.
    fn of(needs: &Needs, weights: &Weights, node: Row) -> Caller {
        let figures = weights.nodes.get(node as usize);
        let own = figures.map_or(0.0, |figures: &NodeWeights| figures.recent.calls);
        if own > 0.0 {
            let tally = figures.map_or_else(Tally::default, |figures| figures.tally);
            return Caller {
                requests: own,
                tally,
            };
        }
        let busiest = needs.edges[needs.all_members(node)]
            .iter()
            .filter_map(|edge| weights.edges.get(*edge as usize))
            .map(|edge| edge.calls)
            .fold(0.0, f64::max);
        Caller {
            requests: busiest,
            tally: Tally::default(),
        }
    }

    /// The share of the requests that use any of these edges, of which a request uses one.
    fn used(&self, structure: &Structure, weights: &Weights, edges: &[EdgeRow]) -> f32 {
        let one = |edge: &EdgeRow| {
            let Some(figures) = weights.edges.get(*edge as usize) else {
                return 0.0;
            };
            // a queue's activations tell nothing of its consumer's
            let is_turned = structure
                .edges()
                .get(*edge as usize)
                .is_some_and(|link| link.depender() != link.from);
            let tally = if is_turned {
                Tally::default()
            } else {
                self.tally
            };
            share_of_requests(figures, self.requests, tally)
        };
        #[expect(clippy::cast_possible_truncation, reason = "a share between 0 and 1")]
        let used = edges.iter().map(one).sum::<f64>().min(1.0) as f32;
        used
    }
}
