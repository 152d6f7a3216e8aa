//! Where traffic comes in, and how it is shared among those places.
//!
//! A node is an entry when
//! 1. spans of its work had no caller in sight, or
//! 2. it makes calls and nobody in sight calls it: a service at the edge, of which only its calls are known. A consumer
//!    whose queue nobody in sight fills is one too, since its work begins there; one whose queue is filled in sight is not:
//!    what goes on over a queue is no part of the request that filled it (`detection` §7).
//!
//! A queue is none, nor is a node through which no settled request came lately while some came elsewhere. Requests are
//! recent ones, weighted by age; shares are those of a realm (R-GRA-7), equal where all have been idle for so long that
//! nothing is left to weigh.

use crate::analysis::findings::Entry;
use crate::analysis::structure::Structure;
use crate::analysis::weights::{NodeWeights, Weights};
use crate::graph::Row;
use crate::scan::{EdgeKind, NodeKind};
use std::collections::{HashMap, HashSet};

/// How much of the traffic may have moved before shares are adopted anew: they feed everything else.
const SLACK: f32 = 0.02;

/// Entries with their shares, by row.
#[derive(Clone, Debug, Default)]
pub(super) struct Traffic {
    /// Nodes of the second kind, with the edges by which they call. A matter of structure.
    callers: Vec<(Row, Vec<u32>)>,
    /// In order of row.
    entries: Vec<Entry>,
    /// By node; 0 for what is no entry.
    shares: Vec<f32>,
}

impl Traffic {
    /// Finds the entries of the second kind.
    pub(super) fn new(structure: &Structure) -> Self {
        let nodes = structure.nodes();
        let is_of = |row: Row, kind| {
            nodes
                .get(row as usize)
                .is_some_and(|node| node.kind == kind)
        };
        let mut is_filled = vec![false; nodes.len()];
        for (_, link) in structure.links() {
            is_filled[link.to as usize] |= link.kind == EdgeKind::Publishes;
        }
        let mut is_called = vec![false; nodes.len()];
        let mut calls = vec![Vec::new(); nodes.len()];
        for (edge, link) in structure.links() {
            if link.kind == EdgeKind::RunsIn || link.from == link.to {
                continue;
            }
            is_called[link.to as usize] |=
                link.kind != EdgeKind::Delivers || is_filled[link.from as usize];
            calls[link.from as usize].push(edge);
            if link.kind == EdgeKind::Delivers {
                calls[link.to as usize].push(edge);
            }
        }
        let callers = (0..)
            .zip(calls)
            .filter(|(row, calls)| {
                !is_called[*row as usize] && !calls.is_empty() && !is_of(*row, NodeKind::Queue)
            })
            .collect();
        Traffic {
            callers,
            entries: Vec::new(),
            shares: vec![0.0; nodes.len()],
        }
    }

    /// Entries in order of row.
    pub(super) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// By node: its share of its realm's traffic.
    pub(super) fn shares(&self) -> &[f32] {
        &self.shares
    }

    /// Takes recent requests; the nodes whose share is another than before are those returned.
    pub(super) fn weigh(&mut self, structure: &Structure, weights: &Weights) -> Vec<Row> {
        let mut entries = self.find(structure, weights);
        share_out(structure, &mut entries);
        let mut shares = vec![0.0; self.shares.len()];
        for entry in &entries {
            shares[entry.row as usize] = entry.share;
        }
        let is_one_new = entries.len() != self.entries.len()
            || entries
                .iter()
                .zip(&self.entries)
                .any(|(a, b)| a.row != b.row);
        let moved: f32 = shares
            .iter()
            .zip(&self.shares)
            .map(|(a, b)| (a - b).abs())
            .sum();
        if !is_one_new && moved <= SLACK {
            for (entry, kept) in entries.iter_mut().zip(&self.entries) {
                entry.share = kept.share;
            }
            self.entries = entries;
            return Vec::new();
        }
        let changed = (0..)
            .zip(shares.iter().zip(&self.shares))
            .filter(|(_, (a, b))| a != b)
            .map(|(row, _)| row)
            .collect();
        self.entries = entries;
        self.shares = shares;
        changed
    }

    /// Entries with their requests, in order of row.
    fn find(&self, structure: &Structure, weights: &Weights) -> Vec<Entry> {
        let entry = |row, requests| Entry {
            row,
            requests,
            share: 0.0,
        };
        let is_told = |figures: &NodeWeights| figures.entries > 0;
        let mut entries: Vec<Entry> = (0..)
            .zip(weights.nodes.iter().take(structure.nodes().len()))
            .filter(|(_, figures)| is_told(figures))
            .map(|(row, figures)| entry(row, figures.requests_from_outside()))
            .collect();
        for (row, calls) in &self.callers {
            let figures = weights.nodes.get(*row as usize);
            if figures.is_some_and(is_told) {
                continue;
            }
            let own = figures.map_or(0.0, |figures| figures.recent.calls);
            let busiest = calls
                .iter()
                .filter_map(|edge| weights.edges.get(*edge as usize))
                .map(|edge| edge.calls)
                .fold(0.0, f64::max);
            entries.push(entry(*row, if own > 0.0 { own } else { busiest }));
        }
        entries.sort_unstable_by_key(|entry| entry.row);
        without_idle(structure, entries)
    }
}

/// Leaves out those through which nothing came lately, in realms where something did: among them who is only seen to call
/// for now, because the span above has not come (B-03).
fn without_idle(structure: &Structure, mut entries: Vec<Entry>) -> Vec<Entry> {
    let realm = |row: Row| structure.nodes().get(row as usize).map(|node| node.realm);
    let busy: HashSet<Option<u32>> = entries
        .iter()
        .filter(|entry| entry.requests > 0.0)
        .map(|entry| realm(entry.row))
        .collect();
    entries.retain(|entry| entry.requests > 0.0 || !busy.contains(&realm(entry.row)));
    entries
}

/// Says what each entry's requests are of all of its realm.
fn share_out(structure: &Structure, entries: &mut [Entry]) {
    let realm = |row: Row| {
        structure
            .nodes()
            .get(row as usize)
            .map_or(0, |node| node.realm)
    };
    let mut totals = HashMap::<u32, (f64, f64)>::new();
    for entry in entries.iter() {
        let (requests, count) = totals.entry(realm(entry.row)).or_default();
        *requests += entry.requests;
        *count += 1.0;
    }
    for entry in entries {
        let (requests, count) = totals[&realm(entry.row)];
        let share = if requests > 0.0 {
            entry.requests / requests
        } else {
            1.0 / count
        };
        #[expect(clippy::cast_possible_truncation, reason = "a share between 0 and 1")]
        let share = share as f32;
        entry.share = share;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::structure::{Link, Node};
    use crate::analysis::weights::EdgeWeights;
    use crate::base::NodeId;

    fn node(kind: NodeKind, realm: u32) -> Node {
        Node {
            id: NodeId(0),
            kind,
            realm,
            is_overflow: false,
        }
    }

    fn link(from: Row, to: Row, kind: EdgeKind) -> Link {
        Link { from, to, kind }
    }

    /// Services 0 and 2 call agents; the second one's calls are drawn for now only.
    #[test]
    fn who_is_only_seen_to_call_for_now_is_no_entry_beside_others() {
        let (service, agent) = (node(NodeKind::Service, 0), node(NodeKind::Agent, 0));
        let links = [(0, 1), (2, 3)].map(|(from, to)| link(from, to, EdgeKind::Invokes));
        let structure = Structure::new(vec![service, agent, service, agent], links.to_vec());
        let calls = |calls| EdgeWeights {
            calls,
            ..EdgeWeights::default()
        };
        let mut weights = Weights {
            nodes: vec![NodeWeights::default(); 4],
            edges: vec![calls(30.0), calls(0.0)],
            follows: Vec::new(),
        };
        let mut traffic = Traffic::new(&structure);
        let mut entries = |weights: &Weights| {
            traffic.weigh(&structure, weights);
            let rows = traffic.entries().iter().map(|entry| entry.row);
            rows.collect::<Vec<Row>>()
        };
        assert_eq!(entries(&weights), [0]);
        weights.edges[1] = calls(1.0);
        assert_eq!(entries(&weights), [0, 2]);
        weights.edges.fill(calls(0.0));
        assert_eq!(entries(&weights), [0, 2], "idle all over");
    }

    /// Service 0 calls agent 1, which fills queue 2 for service 3; service 5 reads queue 4, which nobody fills.
    #[test]
    fn who_is_called_by_nobody_in_sight_is_an_entry() {
        let service = node(NodeKind::Service, 0);
        let (agent, queue) = (node(NodeKind::Agent, 0), node(NodeKind::Queue, 0));
        let structure = Structure::new(
            vec![service, agent, queue, service, queue, service],
            vec![
                link(0, 1, EdgeKind::Invokes),
                link(1, 2, EdgeKind::Publishes),
                link(2, 3, EdgeKind::Delivers),
                link(4, 5, EdgeKind::Delivers),
            ],
        );
        let calls = |calls| EdgeWeights {
            calls,
            ..EdgeWeights::default()
        };
        let weights = Weights {
            nodes: vec![NodeWeights::default(); 6],
            edges: vec![calls(30.0), calls(5.0), calls(5.0), calls(10.0)],
            follows: Vec::new(),
        };
        let mut traffic = Traffic::new(&structure);
        assert_eq!(traffic.weigh(&structure, &weights), [0, 5]);
        let found: Vec<(Row, f64, f32)> = traffic
            .entries()
            .iter()
            .map(|entry| (entry.row, entry.requests, entry.share))
            .collect();
        assert_eq!(found, [(0, 30.0, 0.75), (5, 10.0, 0.25)]);
        // the same again, and a little more: shares stay
        let mut busier = weights.clone();
        busier.edges[0].calls = 31.0;
        assert!(traffic.weigh(&structure, &busier).is_empty());
        assert_eq!(traffic.shares()[0], 0.75);
    }

    #[test]
    fn shares_are_those_of_a_realm_and_equal_when_idle() {
        let structure = Structure::new(
            [0, 0, 1].map(|realm| node(NodeKind::Agent, realm)).to_vec(),
            Vec::new(),
        );
        let entry = |calls| {
            let mut figures = NodeWeights {
                entries: 7,
                ..NodeWeights::default()
            };
            figures.tally.calls = 7;
            figures.recent.calls = calls;
            figures
        };
        let mut weights = Weights {
            nodes: vec![entry(0.0), entry(0.0), entry(4.0)],
            ..Weights::default()
        };
        let mut traffic = Traffic::new(&structure);
        traffic.weigh(&structure, &weights);
        assert_eq!(traffic.shares(), [0.5, 0.5, 1.0]);
        weights.nodes[1] = entry(3.0);
        traffic.weigh(&structure, &weights);
        assert_eq!(traffic.shares(), [0.0, 1.0, 1.0]);
    }
}
