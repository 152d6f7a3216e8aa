//! Which rows there are, how they lie, and what each is made of: the part of a snapshot that most ticks leave alone (D5).
//!
//! ```text
//! numbers given once ─▶ rows ─▶ edges out: starts ─▶ rows of edges, side by side
//!   (what was counted)   │  └─▶ edges in: a list each
//!                        └────▶ sources: the numbers whose sums a row shows
//! ```
//!
//! **Bounds.** Numbers of four bytes: about four a node and seven an edge. **Invariant.** Equal structures have equal versions.

use crate::base::{EdgeId, NodeId};
use crate::graph::snapshot::Row;
use crate::scan::EdgeKind;

/// No place: not in the snapshot.
pub(super) const NO_ROW: Row = Row::MAX;

/// A list for each row, in one piece of memory.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Lists<T> {
    /// Where each begins; one more than lists.
    starts: Vec<u32>,
    items: Vec<T>,
}

impl<T> Default for Lists<T> {
    fn default() -> Self {
        Lists {
            starts: vec![0],
            items: Vec::new(),
        }
    }
}

impl<T: Copy> Lists<T> {
    /// Sorts items into the lists of so many rows, each in the order in which its items come. Costs two passes.
    pub(super) fn group(
        rows: usize,
        items: impl Iterator<Item = (Row, T)> + Clone,
        none: T,
    ) -> Self {
        let mut starts = vec![0_u32; rows + 1];
        let mut total = 0;
        for (row, _) in items.clone() {
            if let Some(count) = starts.get_mut(row as usize + 1) {
                *count += 1;
                total += 1;
            }
        }
        let mut sum = 0;
        for start in &mut starts {
            sum += *start;
            *start = sum;
        }
        let mut grouped = vec![none; total];
        let mut next = starts.clone();
        for (row, item) in items {
            if let Some(at) = next.get_mut(row as usize).filter(|_| (row as usize) < rows) {
                grouped[*at as usize] = item;
                *at += 1;
            }
        }
        Lists {
            starts,
            items: grouped,
        }
    }

    /// Adds a list at the end.
    pub(super) fn push(&mut self, items: impl IntoIterator<Item = T>) {
        self.items.extend(items);
        self.starts
            .push(u32::try_from(self.items.len()).unwrap_or(u32::MAX));
    }

    pub(super) fn get(&self, row: Row) -> &[T] {
        self.items.get(self.range(row)).unwrap_or_default()
    }

    /// A row's list, to be put in order.
    pub(super) fn get_mut(&mut self, row: Row) -> &mut [T] {
        let range = self.range(row);
        self.items.get_mut(range).unwrap_or_default()
    }

    fn range(&self, row: Row) -> std::ops::Range<usize> {
        let bound = |at: usize| self.starts.get(at).copied().unwrap_or(0) as usize;
        bound(row as usize)..bound(row as usize + 1)
    }
}

/// The rows at an edge's ends, and what lies between.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ends {
    pub(super) from: Row,
    pub(super) to: Row,
    pub(super) kind: EdgeKind,
}

/// An edge's calls that count for another node than the one that they say (N-27).
pub(super) type Moved = (Row, EdgeId);

/// All of it.
#[derive(Debug, Default)]
pub(super) struct Structure {
    /// Same number, same layout.
    pub(super) version: u64,
    pub(super) layout: Layout,
}

/// How the rows lie.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Layout {
    /// By row: the node that is shown there.
    pub(super) nodes: Vec<NodeId>,
    /// By a node's number: the row where it is shown. Past the end: nowhere.
    pub(super) rows: Vec<Row>,
    /// By a node's row: the numbers whose sums it shows.
    pub(super) node_sources: Lists<NodeId>,
    /// In order of the row: which edges' calls it shows besides.
    pub(super) gained: Vec<Moved>,
    /// The same: which are another's.
    pub(super) lost: Vec<Moved>,
    /// By an edge's row.
    pub(super) ends: Vec<Ends>,
    /// By an edge's number: the row where it is shown. Past the end: nowhere.
    pub(super) edge_rows: Vec<Row>,
    /// By an edge's row: the numbers whose sums it shows.
    pub(super) edge_sources: Lists<EdgeId>,
    /// By a node's row: where the edges that leave it begin; one more than nodes.
    pub(super) starts: Vec<u32>,
    /// By a node's row: the rows of the edges that reach it.
    pub(super) incoming: Lists<Row>,
}

impl Layout {
    pub(super) fn row(&self, node: NodeId) -> Option<Row> {
        found(self.rows.get(node.0 as usize))
    }

    pub(super) fn edge_row(&self, edge: EdgeId) -> Option<Row> {
        found(self.edge_rows.get(edge.0 as usize))
    }

    pub(super) fn outgoing(&self, row: Row) -> std::ops::Range<Row> {
        let bound = |at: usize| self.starts.get(at).copied().unwrap_or(0);
        bound(row as usize)..bound(row as usize + 1)
    }
}

fn found(row: Option<&Row>) -> Option<Row> {
    row.copied().filter(|row| *row != NO_ROW)
}

/// Those of a row.
pub(super) fn moved(moved: &[Moved], row: Row) -> &[Moved] {
    let first = moved.partition_point(|(at, _)| *at < row);
    let rest = moved.get(first..).unwrap_or_default();
    let len = rest.partition_point(|(at, _)| *at == row);
    rest.get(..len).unwrap_or_default()
}
