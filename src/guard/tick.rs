//! The second clock: what the shards changed becomes one published snapshot (D4, D5).
//!
//! ```text
//! Changes ─┬▶ Totals ─▶ graph ─┬────────────▶ Structure, where another ─┐
//!          └▶ Windows ─────────┴▶ Weights, of what was touched ─────────┴▶ Analyst ─▶ findings ─▶ attributes
//! ```
//!
//! **Bounds.** Those of the graph, of which it keeps figures by row. **Invariants.** A tick costs what changed, and what is
//! live once every ten seconds of stream time; graph, findings and attributes count rows alike.
//! **Not here.** When it is time for a tick, and who is told what it found (`connectors`).

use crate::analysis::{
    Analysis, Analyst, EdgeWeights, Follow, Link, Node, NodeRisk, NodeWeights, Recent,
    RiskSettings, Structure, Tally, Touched, Weights, Windows, shown,
};
use crate::base::{EdgeId, Nanos, NodeId, Pages};
use crate::graph::{
    Changes, Counts, Expired, GraphSnapshot, Interner, NodeRow, Numbers, OVERFLOW, Row, Totals,
};
use crate::guard::Snapshot;
use crate::guard::ageing::Ageing;
use crate::otlp::{NewValue, encode_span_attribute, semconv};
use std::collections::HashMap;
use std::sync::Arc;

/// What the tick knows from one time to the next. One owner.
pub struct Ticker {
    pub(super) totals: Totals,
    pub(super) ageing: Ageing,
    nodes: Windows,
    edges: Windows,
    /// The latest stream time that a shard told of.
    time: Nanos,
    analyst: Analyst,
    structure: Arc<Structure>,
    /// The graph's number of that structure.
    version: Option<u64>,
    weights: Weights,
    /// What the findings are made of since they were last made.
    are_follows_new: bool,
    analysis: Analysis,
    attributes: Pages<Arc<[u8]>>,
}

impl Ticker {
    pub(super) fn new(interner: Arc<Interner>, risk: RiskSettings) -> Self {
        Ticker {
            totals: Totals::new(interner),
            ageing: Ageing::default(),
            nodes: Windows::new(),
            edges: Windows::new(),
            time: Nanos::default(),
            analyst: Analyst::new(risk),
            structure: Arc::default(),
            version: None,
            weights: Weights::default(),
            are_follows_new: false,
            analysis: Analysis::default(),
            attributes: Pages::default(),
        }
    }

    /// Adds what a shard handed over; says whether there was anything.
    pub(super) fn absorb(&mut self, changes: &Changes) -> bool {
        let changes = &*self.totals.redirect(changes);
        for (node, bucket, cell) in &changes.node_cells {
            self.nodes.absorb(node.0, *bucket, cell);
        }
        for (edge, bucket, cell) in &changes.edge_cells {
            self.edges.absorb(edge.0, *bucket, cell);
        }
        self.are_follows_new |= !changes.followed.is_empty();
        self.time = self.time.max(changes.at);
        self.totals.absorb(changes)
    }

    /// The latest stream time that a shard told of.
    pub(super) fn time(&self) -> Nanos {
        self.time
    }

    /// Lets go of numbers that are to be others' ([`Totals::forget`]).
    pub(super) fn forget(&mut self, numbers: &Numbers) -> Expired {
        self.nodes.forget(|id| numbers.has_node(NodeId(id)));
        self.edges.forget(|id| numbers.has_edge(EdgeId(id)));
        self.totals.forget(numbers)
    }

    /// Lets stream time pass as far as the shards have come.
    pub(super) fn roll(&mut self) {
        self.nodes.roll(self.time);
        self.edges.roll(self.time);
    }

    /// Whether anything waits to be looked at that no shard has to tell of: windows that moved, findings that are stale.
    pub(super) fn has_more(&self) -> bool {
        self.nodes.has_touched() || self.edges.has_touched() || self.analysis.stale() > 0
    }

    /// How many calls came too late for the windows.
    #[must_use]
    pub fn late(&self) -> u64 {
        self.nodes.late()
    }

    /// The graph as it stands with its findings; those of a recording, which is read once, are complete.
    pub(super) fn snapshot(&mut self, is_whole: bool) -> Snapshot {
        let graph = self.totals.snapshot();
        let touched = if self.version == Some(graph.structure_version()) {
            self.touch(&graph)
        } else {
            self.rebuild(&graph)
        };
        let analysis = if is_whole {
            self.analyst.look_whole(&self.structure, &self.weights)
        } else {
            self.analyst.look(&self.structure, &self.weights, &touched)
        };
        if self.version == Some(graph.structure_version()) {
            let before = std::mem::replace(&mut self.analysis, analysis.clone());
            for at in analysis.nodes().differing(before.nodes()) {
                self.encode(&graph, &before, at);
            }
        } else {
            let rows = (0..).zip(graph.nodes().iter());
            self.attributes = rows
                .map(|(row, node)| attributes(node, analysis.node(row)))
                .collect();
            self.version = Some(graph.structure_version());
            self.analysis = analysis.clone();
        }
        Snapshot {
            graph,
            analysis,
            attributes: self.attributes.clone(),
        }
    }

    /// Encodes what is said of the node at a place anew, if that is something else than before.
    fn encode(&mut self, graph: &GraphSnapshot, before: &Analysis, at: usize) {
        let Some(row) = Row::try_from(at).ok() else {
            return;
        };
        let now = self.analysis.node(row);
        if now.map(said) != before.node(row).map(said)
            && let Some(node) = graph.node_at(row)
        {
            let encoded = attributes(node, now);
            self.attributes.set(at, encoded);
        }
    }

    /// Puts structure and weights together for another set of rows.
    fn rebuild(&mut self, graph: &GraphSnapshot) -> Touched {
        let mut realms = HashMap::<Arc<str>, u32>::new();
        let nodes = graph.nodes().iter().map(|row| {
            let key = &row.record.key;
            let next = u32::try_from(realms.len()).unwrap_or(u32::MAX);
            Node {
                id: row.record.node,
                kind: key.kind,
                realm: *realms.entry(Arc::clone(&key.realm)).or_insert(next),
                is_overflow: &*key.name == OVERFLOW,
            }
        });
        let nodes = nodes.collect();
        let edges = (0..).zip(graph.edges().iter()).map(|(row, edge)| Link {
            // an edge of a snapshot stands between two of its nodes
            from: graph.from_row(row).unwrap_or(Row::MAX),
            to: graph.to_row(row).unwrap_or(Row::MAX),
            kind: edge.kind,
        });
        self.structure = Arc::new(Structure::new(nodes, edges.collect()));
        let (nodes, edges) = (graph.nodes().len(), graph.edges().len());
        self.weights.nodes = (0..).take(nodes).map(|row| self.node(graph, row)).collect();
        self.weights.edges = (0..).take(edges).map(|row| self.edge(graph, row)).collect();
        self.follow(graph);
        drop((self.nodes.take_touched(), self.edges.take_touched()));
        Touched::default()
    }

    /// Weighs what changed among the same rows; says which they are.
    fn touch(&mut self, graph: &GraphSnapshot) -> Touched {
        let mut nodes = self.totals.changed_nodes().to_vec();
        let mut edges = self.totals.changed_edges().to_vec();
        for node in self.nodes.take_touched() {
            nodes.extend(graph.row(NodeId(node)));
        }
        for edge in self.edges.take_touched() {
            edges.extend(graph.row_of_edge(EdgeId(edge)));
        }
        for rows in [&mut nodes, &mut edges] {
            rows.sort_unstable();
            rows.dedup();
        }
        for row in &nodes {
            let weights = self.node(graph, *row);
            if let Some(place) = self.weights.nodes.get_mut(*row as usize) {
                *place = weights;
            }
        }
        for row in &edges {
            let weights = self.edge(graph, *row);
            if let Some(place) = self.weights.edges.get_mut(*row as usize) {
                *place = weights;
            }
        }
        let follows = std::mem::take(&mut self.are_follows_new);
        if follows {
            self.follow(graph);
        }
        Touched {
            nodes,
            edges,
            follows,
        }
    }

    fn node(&self, graph: &GraphSnapshot, row: Row) -> NodeWeights {
        let mut recent = Recent::default();
        for node in graph.raw_nodes(row) {
            recent += &self.nodes.recent(node.0);
        }
        for edge in graph.gained(row) {
            recent += &self.edges.recent(edge.0);
        }
        for edge in graph.lost(row) {
            recent -= &self.edges.recent(edge.0);
        }
        let counts = graph.node_at(row).map(|node| &node.counts);
        NodeWeights {
            entries: counts.map_or(0, |counts| counts.entries),
            tally: tally(counts),
            recent,
            instances: None,
        }
    }

    fn edge(&self, graph: &GraphSnapshot, row: Row) -> EdgeWeights {
        let edge = graph.edge_at(row);
        let raw = graph.raw_edges(row).iter();
        EdgeWeights {
            tally: tally(edge.map(|edge| &edge.counts)),
            calls: raw.map(|edge| self.edges.recent(edge.0).calls).sum(),
            trials: edge.map(|edge| edge.trials).unwrap_or_default(),
        }
    }

    fn follow(&mut self, graph: &GraphSnapshot) {
        self.are_follows_new = false;
        let rows = graph.followed().iter().map(|row| Follow {
            first: row.first,
            then: row.second,
            sums: row.followed,
        });
        self.weights.follows = rows.collect();
    }
}

fn tally(counts: Option<&Counts>) -> Tally {
    counts.map_or_else(Tally::default, |counts| Tally {
        calls: counts.calls,
        failures: counts.failures(),
    })
}

/// What a span is told of its node's risk: the score, whether it is a single point of failure, and the share of traffic.
fn said(risk: &NodeRisk) -> (f64, bool, f64) {
    (shown(risk.score), risk.is_spof, shown(risk.blast.share))
}

/// What the node's spans are given, encoded for the splice; what is not known is left out.
fn attributes(node: &NodeRow, risk: Option<&NodeRisk>) -> Arc<[u8]> {
    let Some(risk) = risk else {
        return Arc::clone(&node.record.attributes);
    };
    let (score, is_spof, share) = said(risk);
    let mut out = node.record.attributes.to_vec();
    for (key, value) in [
        (semconv::AGENTGUARD_RISK_SCORE, NewValue::Double(score)),
        (semconv::AGENTGUARD_SPOF, NewValue::Bool(is_spof)),
        (semconv::AGENTGUARD_BLAST_RADIUS, NewValue::Double(share)),
    ] {
        encode_span_attribute(&mut out, key, value);
    }
    out.into()
}
