//! The graph as it was at one tick: immutable, read by everyone (D5).
//!
//! Edges stand in compressed sparse rows: those that leave a node lie side by side.

use crate::base::NodeId;
use crate::graph::counts::Counts;
use crate::graph::interner::NodeRecord;
use crate::scan::{EdgeKind, NodeKind};
use std::sync::Arc;

/// A node's place in a snapshot.
pub type Row = u32;

/// No place: the node is not in the snapshot.
const NO_ROW: Row = Row::MAX;

/// A node and its sums.
#[derive(Clone, Debug)]
pub struct NodeRow {
    /// Who it is.
    pub record: Arc<NodeRecord>,
    /// What was counted of it.
    pub counts: Counts,
}

/// An edge and its sums.
#[derive(Clone, Debug)]
pub struct EdgeRow {
    /// The side that starts the interaction.
    pub from: NodeId,
    /// The side that receives it.
    pub to: NodeId,
    /// What the interaction is.
    pub kind: EdgeKind,
    /// What was counted of it.
    pub counts: Counts,
}

impl EdgeRow {
    /// How it was seen: the weakest word that covers all its calls.
    #[must_use]
    pub fn evidence(&self) -> &'static str {
        if self.counts.calls == 0 && self.counts.provisional > 0 {
            "provisional"
        } else if self.counts.fallback > 0 && self.counts.fallback == self.counts.calls {
            "fallback"
        } else {
            "span"
        }
    }
}

/// Nodes, edges, and what the splice writes.
#[derive(Clone, Debug, Default)]
pub struct GraphSnapshot {
    /// In order of kind, id and realm.
    nodes: Vec<NodeRow>,
    /// In order of `from`'s row.
    edges: Vec<EdgeRow>,
    /// Where each node's edges begin; one more than nodes.
    starts: Vec<u32>,
    /// By raw number: the row of the node as which it is shown.
    rows: Vec<Row>,
}

impl GraphSnapshot {
    /// Puts rows in order. `shown` says by raw number as which node each is shown.
    pub(crate) fn new(mut nodes: Vec<NodeRow>, mut edges: Vec<EdgeRow>, shown: &[NodeId]) -> Self {
        nodes.sort_by(|a, b| {
            let (a, b) = (&a.record, &b.record);
            (a.key.kind, &a.id, &a.key.realm).cmp(&(b.key.kind, &b.id, &b.key.realm))
        });
        let mut own = vec![NO_ROW; shown.len()];
        for (row, node) in (0..).zip(&nodes) {
            if let Some(place) = own.get_mut(node.record.node.0 as usize) {
                *place = row;
            }
        }
        let row_of = |node: NodeId| own.get(node.0 as usize).copied().unwrap_or(NO_ROW);
        let rows = shown.iter().map(|node| row_of(*node)).collect();
        edges.sort_by_key(|edge| (row_of(edge.from), row_of(edge.to), edge.kind));
        let mut starts = Vec::with_capacity(nodes.len() + 1);
        let mut at = 0;
        for row in 0..=nodes.len() {
            while edges
                .get(at)
                .is_some_and(|edge| (row_of(edge.from) as usize) < row)
            {
                at += 1;
            }
            starts.push(u32::try_from(at).unwrap_or(u32::MAX));
        }
        GraphSnapshot {
            nodes,
            edges,
            starts,
            rows,
        }
    }

    /// All nodes, in order of kind, id and realm.
    #[must_use]
    pub fn nodes(&self) -> &[NodeRow] {
        &self.nodes
    }

    /// All edges, those of one source side by side.
    #[must_use]
    pub fn edges(&self) -> &[EdgeRow] {
        &self.edges
    }

    /// The edges that leave the node at this row.
    #[must_use]
    pub fn edges_from(&self, row: Row) -> &[EdgeRow] {
        let bound = |at: usize| self.starts.get(at).copied().unwrap_or(0) as usize;
        self.edges
            .get(bound(row as usize)..bound(row as usize + 1))
            .unwrap_or_default()
    }

    /// Where a node is shown, through aliases; `None` if nothing is counted of it yet.
    #[inline]
    #[must_use]
    pub fn row(&self, node: NodeId) -> Option<Row> {
        self.rows
            .get(node.0 as usize)
            .copied()
            .filter(|row| *row != NO_ROW)
    }

    /// A node, through aliases.
    #[inline]
    #[must_use]
    pub fn node(&self, node: NodeId) -> Option<&NodeRow> {
        self.nodes.get(self.row(node)? as usize)
    }

    /// The attributes that a node's spans are given, encoded for the splice.
    #[inline]
    #[must_use]
    pub fn attributes(&self, node: NodeId) -> Option<&[u8]> {
        self.node(node).map(|row| &*row.record.attributes)
    }

    /// How many nodes there are of each kind.
    #[must_use]
    pub fn nodes_by_kind(&self) -> Vec<(NodeKind, u64)> {
        let count = |kind| {
            self.nodes
                .iter()
                .filter(|row| row.record.key.kind == kind)
                .count() as u64
        };
        NodeKind::ALL
            .into_iter()
            .map(|kind| (kind, count(kind)))
            .collect()
    }

    /// How many edges there are of each kind.
    #[must_use]
    pub fn edges_by_kind(&self) -> Vec<(EdgeKind, u64)> {
        let count = |kind| self.edges.iter().filter(|row| row.kind == kind).count() as u64;
        EdgeKind::ALL
            .into_iter()
            .map(|kind| (kind, count(kind)))
            .collect()
    }
}
