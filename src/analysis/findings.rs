//! What the analysis says, by the rows of the graph it was made for. Immutable, shared by all who read.

use crate::analysis::hardness::Hardness;
use crate::analysis::structure::EdgeRow;
use crate::base::Pages;
use crate::graph::Row;
use std::sync::Arc;

/// A reason for risk, each between 0 and 1. The order is that of their names in all outputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Term {
    /// Share of the entries' traffic that fails for certain with the node, which then is a single point of failure.
    Spof,
    /// Expected share of the entries' traffic that fails with the node.
    Blast,
    /// How fast it burns its error budget now, times its impact.
    Failure,
    /// How much slower it is than it was, times its impact.
    Latency,
    /// How much it turns away for lack of room, times its impact.
    Saturation,
    /// It stands in a cycle.
    Cycle,
    /// One instance of it was seen, and others need it.
    SingleInstance,
}

impl Term {
    /// How many terms there are.
    pub const COUNT: usize = 7;

    /// All terms, in order.
    pub const ALL: [Term; Term::COUNT] = [
        Term::Spof,
        Term::Blast,
        Term::Failure,
        Term::Latency,
        Term::Saturation,
        Term::Cycle,
        Term::SingleInstance,
    ];

    /// Its name in metrics, API and files.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Term::Spof => "spof",
            Term::Blast => "blast",
            Term::Failure => "failure",
            Term::Latency => "latency",
            Term::Saturation => "saturation",
            Term::Cycle => "cycle",
            Term::SingleInstance => "single_instance",
        }
    }
}

/// The terms of a node, by [`Term`]; each between 0 and 1.
pub type Terms = [f32; Term::COUNT];

/// A figure as all outputs show it, to thousandths, so that it is the same number on a span, in a metric and in an answer.
#[must_use]
pub fn shown(figure: f32) -> f64 {
    (f64::from(figure) * 1e3).round() / 1e3
}

/// What fails with a node.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Blast {
    /// Nodes that call it, or otherwise depend on it at one step.
    pub direct: u32,
    /// Nodes that depend on it at any number of steps, itself not among them: the upper bound, as if all of them fell.
    pub transitive: u32,
    /// Of these, nodes that are expected to fail with it: more likely than not.
    pub failing: u32,
    /// Expected share of the entries' recent traffic in its realm that fails with it, 0 to 1; an entry takes its own along.
    /// Never less than what fails for certain.
    pub share: f32,
}

/// What is known of a node's risk.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct NodeRisk {
    /// The terms combined: 10 · (1 − Π (1 − wᵢ·rᵢ)), 0 to 10, rounded to hundredths.
    pub score: f32,
    /// Why.
    pub terms: Terms,
    /// With it an entry other than itself fails for certain.
    pub is_spof: bool,
    /// The same, and every dependency that this rests on was seen to take its caller along; else some were only never seen
    /// to be survived.
    pub is_proven: bool,
    /// Share of the entries' recent traffic in its realm that fails for certain with it, 0 to 1; 0 for what is none.
    pub spof_share: f32,
    /// What fails with it.
    pub blast: Blast,
    /// Its share of the entries' recent traffic in its realm, 0 for what is no entry.
    pub entry_share: f32,
    /// Its cycle, as a place in [`Analysis::cycles`]; `u32::MAX` for none.
    pub cycle: u32,
}

/// Nodes that depend on each other in a circle: a strongly connected component of more than one node, or a node that calls
/// itself through no other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cycle {
    /// Its nodes, ascending.
    pub rows: Vec<Row>,
}

/// Where traffic comes in: a node that is called by nobody in sight, or a service at the edge.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Entry {
    /// Which node.
    pub row: Row,
    /// Recent requests, weighted by age.
    pub requests: f64,
    /// Their share of all entries' of the realm.
    pub share: f32,
}

/// A term of the system's score: that of the node where it is greatest.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SystemTerm {
    /// Which.
    pub term: Term,
    /// Its value, above 0 and at most 1.
    pub value: f32,
    /// The node; of several alike the first.
    pub row: Row,
}

/// The findings for one graph.
#[derive(Clone, Debug, Default)]
pub struct Analysis {
    pub(super) nodes: Pages<NodeRisk>,
    pub(super) edges: Pages<Hardness>,
    pub(super) system: f32,
    pub(super) system_terms: Vec<SystemTerm>,
    pub(super) cycles: Arc<[Cycle]>,
    pub(super) entries: Arc<[Entry]>,
    pub(super) stale: u32,
}

impl Analysis {
    /// A node's findings.
    #[inline]
    #[must_use]
    pub fn node(&self, row: Row) -> Option<&NodeRisk> {
        self.nodes.get(row as usize)
    }

    /// All nodes' findings, by row.
    #[must_use]
    pub fn nodes(&self) -> &Pages<NodeRisk> {
        &self.nodes
    }

    /// What was learned of an edge.
    #[inline]
    #[must_use]
    pub fn edge(&self, edge: EdgeRow) -> Option<&Hardness> {
        self.edges.get(edge as usize)
    }

    /// What was learned of all edges, by row.
    #[must_use]
    pub fn edges(&self) -> &Pages<Hardness> {
        &self.edges
    }

    /// The system's score, 0 to 10: what the nodes' terms come to, each where it is greatest.
    #[must_use]
    pub fn system(&self) -> f32 {
        self.system
    }

    /// The terms of the system's score that are not 0, in order of [`Term`].
    #[must_use]
    pub fn system_terms(&self) -> &[SystemTerm] {
        &self.system_terms
    }

    /// How many nodes' blast radius or single point of failure is that of an earlier look, because there was more to do
    /// than a look may do.
    #[must_use]
    pub fn stale(&self) -> u32 {
        self.stale
    }

    /// Its cycles, in order of their first node.
    #[must_use]
    pub fn cycles(&self) -> &[Cycle] {
        &self.cycles
    }

    /// Where traffic comes in, busiest first.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }
}
