//! What was counted of nodes and edges that are in the graph no more, by their names: counters that were exported go on
//! from there when a name comes back (D4).
//!
//! It is what the graph lost when entries aged out: the sums before, less those after, row by row. So a row that changed
//! its place or was parted from others with it is right too, whatever the aliases were.
//!
//! **Bounds.** [`MOST`] nodes and as many edges; what comes beyond is kept of the overflow of their kind.
//! **Invariant.** Graph and past together never change by ageing.

use crate::graph::counts::Counts;
use crate::graph::interner::NodeRecord;
use crate::graph::snapshot::{EdgeRow, GraphSnapshot, NodeRow, Row};
use crate::scan::{EdgeKind, NodeKey, NodeKind};
use std::collections::HashMap;
use std::sync::Arc;

/// Most nodes that are kept, and most edges.
const MOST: usize = 16_384;

/// An edge that is not there any more, or a part of one that is.
#[derive(Clone, Debug)]
pub struct PastEdge {
    /// The side that started the interactions.
    pub from: Arc<NodeRecord>,
    /// The side that received them.
    pub to: Arc<NodeRecord>,
    /// What they were.
    pub kind: EdgeKind,
    /// What was counted. Of what has moved since it may be less than nothing.
    pub counts: Counts,
}

/// The sums of what aged out.
#[derive(Clone, Debug, Default)]
pub(super) struct Past {
    nodes: HashMap<NodeKey, NodeRow>,
    edges: HashMap<(NodeKey, NodeKey, EdgeKind), PastEdge>,
}

/// The record of a kind's overflow node.
pub(super) type Overflow<'o> = &'o dyn Fn(NodeKind) -> Option<Arc<NodeRecord>>;

impl Past {
    pub(super) fn nodes(&self) -> impl Iterator<Item = &NodeRow> {
        self.nodes.values()
    }

    pub(super) fn edges(&self) -> impl Iterator<Item = &PastEdge> {
        self.edges.values()
    }

    /// Keeps what a graph has lost by ageing alone.
    pub(super) fn keep(
        &mut self,
        before: &GraphSnapshot,
        after: &GraphSnapshot,
        overflow: Overflow<'_>,
    ) {
        for (graph, other, is_more) in [(before, after, true), (after, before, false)] {
            for node in graph.nodes() {
                let twin = other.node(node.record.node);
                if !twin.is_some_and(|twin| std::ptr::eq(twin, node)) {
                    self.add_node(node, is_more, overflow);
                }
            }
            for (row, edge) in (0..).zip(graph.edges()) {
                if !is_shared(graph, row, edge, other)
                    && let (Some(from), Some(to)) = (graph.node(edge.from), graph.node(edge.to))
                {
                    self.add_edge([&from.record, &to.record], edge, is_more, overflow);
                }
            }
        }
        self.nodes.retain(|_, row| !is_nothing(&row.counts));
        self.edges.retain(|_, edge| !is_nothing(&edge.counts));
    }

    fn add_node(&mut self, node: &NodeRow, is_more: bool, overflow: Overflow<'_>) {
        let mut record = Arc::clone(&node.record);
        if self.nodes.len() >= MOST && !self.nodes.contains_key(&record.key) {
            record = overflow(record.key.kind).unwrap_or(record);
        }
        let place = self.nodes.entry(record.key.clone());
        let row = place.or_insert_with(|| NodeRow {
            record,
            counts: Counts::default(),
        });
        shift(&mut row.counts, &node.counts, is_more);
    }

    fn add_edge(
        &mut self,
        ends: [&Arc<NodeRecord>; 2],
        edge: &EdgeRow,
        is_more: bool,
        overflow: Overflow<'_>,
    ) {
        let [mut from, mut to] = ends.map(Arc::clone);
        let key =
            |from: &NodeRecord, to: &NodeRecord| (from.key.clone(), to.key.clone(), edge.kind);
        if self.edges.len() >= MOST && !self.edges.contains_key(&key(&from, &to)) {
            from = overflow(from.key.kind).unwrap_or(from);
            to = overflow(to.key.kind).unwrap_or(to);
        }
        let place = self.edges.entry(key(&from, &to));
        let past = place.or_insert_with(|| PastEdge {
            from,
            to,
            kind: edge.kind,
            counts: Counts::default(),
        });
        shift(&mut past.counts, &edge.counts, is_more);
    }
}

/// Whether another snapshot has the very same row.
fn is_shared(graph: &GraphSnapshot, row: Row, edge: &EdgeRow, other: &GraphSnapshot) -> bool {
    let first = graph.raw_edges(row).first();
    let twin = first.and_then(|first| other.edge_at(other.row_of_edge(*first)?));
    twin.is_some_and(|twin| std::ptr::eq(twin, edge))
}

/// Adds what is counted for good, or takes it away.
fn shift(sum: &mut Counts, counts: &Counts, is_more: bool) {
    if is_more {
        sum.add(counts);
    } else {
        sum.subtract(counts);
    }
    // drawn for now, and nobody's call: not counted for good
    (sum.provisional, sum.declared) = (0, 0);
}

fn is_nothing(counts: &Counts) -> bool {
    let sums = [
        counts.calls,
        counts.entries,
        counts.duration_ns,
        counts.tokens_in,
        counts.tokens_out,
        counts.cost,
    ];
    sums.iter().chain(&counts.outcomes).all(|sum| *sum == 0)
}
