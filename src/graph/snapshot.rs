//! The graph as it was at one tick: immutable, read by everyone (D5).
//!
//! Edges stand in compressed sparse rows: those that leave a node lie side by side. Two snapshots share their structure
//! unless a node or an edge came, went or is shown elsewhere, and every row that did not change.

use crate::base::{EdgeId, Entries, NodeId, Pages};
use crate::graph::counts::Counts;
use crate::graph::interner::NodeRecord;
use crate::graph::structure::{Ends, Moved, Structure, moved};
use crate::graph::trials::{Followed, Trials};
use crate::scan::{EdgeKind, NodeKind};
use std::iter::Map;
use std::ops::Range;
use std::sync::Arc;

/// A node's or an edge's place in a snapshot.
pub type Row = u32;

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
    /// What its failed calls led to.
    pub trials: Trials,
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

/// How often calls of one edge were followed by calls of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FollowedRow {
    /// The row of the edge that was called first.
    pub first: Row,
    /// The row of the edge that was called then.
    pub second: Row,
    /// How often.
    pub followed: Followed,
}

/// Rows in order, each with its number.
#[derive(Debug)]
pub struct Rows<'g, T>(&'g Pages<Arc<T>>);

impl<T> Clone for Rows<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Rows<'_, T> {}

impl<'g, T> Rows<'g, T> {
    /// How many there are.
    #[must_use]
    pub fn len(self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0.is_empty()
    }

    /// The row of this number.
    #[must_use]
    pub fn get(self, row: Row) -> Option<&'g T> {
        self.0.get(row as usize).map(|shared| &**shared)
    }

    /// All rows.
    pub fn iter(self) -> RowsIter<'g, T> {
        self.0.iter().map(|shared| &**shared)
    }
}

/// Rows in order.
pub type RowsIter<'g, T> = Map<Entries<'g, Arc<T>>, fn(&'g Arc<T>) -> &'g T>;

impl<'g, T> IntoIterator for Rows<'g, T> {
    type Item = &'g T;
    type IntoIter = RowsIter<'g, T>;

    fn into_iter(self) -> RowsIter<'g, T> {
        self.iter()
    }
}

/// Nodes, edges, and what the splice writes.
#[derive(Clone, Debug, Default)]
pub struct GraphSnapshot {
    pub(super) structure: Arc<Structure>,
    /// In order of kind, id and realm.
    pub(super) nodes: Pages<Arc<NodeRow>>,
    /// In order of the rows at their ends, then of kind.
    pub(super) edges: Pages<Arc<EdgeRow>>,
    /// In order of the rows.
    pub(super) followed: Pages<FollowedRow>,
}

impl GraphSnapshot {
    /// All nodes, in order of kind, id and realm.
    #[must_use]
    pub fn nodes(&self) -> Rows<'_, NodeRow> {
        Rows(&self.nodes)
    }

    /// All edges, those of one source side by side.
    #[must_use]
    pub fn edges(&self) -> Rows<'_, EdgeRow> {
        Rows(&self.edges)
    }

    /// The node at a row.
    #[inline]
    #[must_use]
    pub fn node_at(&self, row: Row) -> Option<&NodeRow> {
        self.nodes.get(row as usize).map(|shared| &**shared)
    }

    /// The edge at an edge's row.
    #[inline]
    #[must_use]
    pub fn edge_at(&self, row: Row) -> Option<&EdgeRow> {
        self.edges.get(row as usize).map(|shared| &**shared)
    }

    /// The edges that leave the node at this row.
    pub fn edges_from(&self, row: Row) -> impl DoubleEndedIterator<Item = &EdgeRow> + Clone {
        self.edge_rows_from(row).filter_map(|at| self.edge_at(at))
    }

    /// The edges that reach the node at this row.
    pub fn edges_to(&self, row: Row) -> impl DoubleEndedIterator<Item = &EdgeRow> + Clone {
        let rows = self.edge_rows_to(row).iter();
        rows.filter_map(|at| self.edge_at(*at))
    }

    /// The rows of the edges that leave the node at this row.
    #[inline]
    #[must_use]
    pub fn edge_rows_from(&self, row: Row) -> Range<Row> {
        self.structure.layout.outgoing(row)
    }

    /// The rows of the edges that reach the node at this row, ascending.
    #[inline]
    #[must_use]
    pub fn edge_rows_to(&self, row: Row) -> &[Row] {
        self.structure.layout.incoming.get(row)
    }

    /// The row of the node from which the edge at this row goes out.
    #[inline]
    #[must_use]
    pub fn from_row(&self, edge: Row) -> Option<Row> {
        self.ends(edge).map(|ends| ends.from)
    }

    /// The row of the node that the edge at this row reaches.
    #[inline]
    #[must_use]
    pub fn to_row(&self, edge: Row) -> Option<Row> {
        self.ends(edge).map(|ends| ends.to)
    }

    fn ends(&self, edge: Row) -> Option<Ends> {
        self.structure.layout.ends.get(edge as usize).copied()
    }

    /// Where a node is shown, through aliases; `None` if nothing is counted of it yet.
    #[inline]
    #[must_use]
    pub fn row(&self, node: NodeId) -> Option<Row> {
        self.structure.layout.row(node)
    }

    /// Where an edge is shown, through the aliases of its ends; `None` if nothing is counted of it.
    #[inline]
    #[must_use]
    pub fn row_of_edge(&self, edge: EdgeId) -> Option<Row> {
        self.structure.layout.edge_row(edge)
    }

    /// The numbers of the nodes whose sums are shown at a row; none for one that is known as the end of edges only.
    #[must_use]
    pub fn raw_nodes(&self, row: Row) -> &[NodeId] {
        self.structure.layout.node_sources.get(row)
    }

    /// The numbers of the edges whose sums are shown at an edge's row.
    #[must_use]
    pub fn raw_edges(&self, row: Row) -> &[EdgeId] {
        self.structure.layout.edge_sources.get(row)
    }

    /// The numbers of the edges whose calls count for the node at this row although another node answered to them: calls
    /// of a model without a name, where it can be one only (N-27).
    pub fn gained(&self, row: Row) -> impl Iterator<Item = EdgeId> {
        numbers(moved(&self.structure.layout.gained, row))
    }

    /// The numbers of the edges whose calls are in the sums of this row's nodes, but are shown at another row (N-27).
    pub fn lost(&self, row: Row) -> impl Iterator<Item = EdgeId> {
        numbers(moved(&self.structure.layout.lost, row))
    }

    /// Same number, same structure: rows, ends and what the rows are made of. It never falls.
    #[must_use]
    pub fn structure_version(&self) -> u64 {
        self.structure.version
    }

    /// What followed on what, by the rows of the edges, ascending.
    #[must_use]
    pub fn followed(&self) -> &Pages<FollowedRow> {
        &self.followed
    }

    /// A node, through aliases.
    #[inline]
    #[must_use]
    pub fn node(&self, node: NodeId) -> Option<&NodeRow> {
        self.node_at(self.row(node)?)
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
        let mut counts: Vec<_> = NodeKind::ALL.into_iter().map(|kind| (kind, 0)).collect();
        for row in self.nodes() {
            if let Some((_, count)) = counts.get_mut(row.record.key.kind as usize) {
                *count += 1;
            }
        }
        counts
    }

    /// How many edges there are of each kind.
    #[must_use]
    pub fn edges_by_kind(&self) -> Vec<(EdgeKind, u64)> {
        let mut counts: Vec<_> = EdgeKind::ALL.into_iter().map(|kind| (kind, 0)).collect();
        for row in self.edges() {
            if let Some((_, count)) = counts.get_mut(row.kind as usize) {
                *count += 1;
            }
        }
        counts
    }
}

fn numbers(moved: &[Moved]) -> impl Iterator<Item = EdgeId> {
    moved.iter().map(|(_, edge)| *edge)
}
