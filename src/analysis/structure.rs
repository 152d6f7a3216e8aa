//! Who depends on whom, without figures: what the analysis is made for, replaced only when it changes.

use crate::base::NodeId;
use crate::graph::Row;
use crate::scan::{EdgeKind, NodeKind};

/// An edge's place in a [`Structure`].
pub type EdgeRow = u32;

/// A node as far as the analysis must know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Node {
    /// Its number, which stays when rows move: what is known of it moves along.
    pub id: NodeId,
    /// What it is.
    pub kind: NodeKind,
    /// Its realm (R-GRA-7), as a number: shares of traffic are those of a realm.
    pub realm: u32,
    /// It stands for all those that found no room. Nothing can be said of what depends on it.
    pub is_overflow: bool,
}

/// An edge as it is drawn: from the side that starts the interaction to the side that receives it (E-00).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    /// The side that starts.
    pub from: Row,
    /// The side that receives.
    pub to: Row,
    /// What the interaction is.
    pub kind: EdgeKind,
}

impl Link {
    /// Who is hit when the other end fails (`span-conventions` §1.3): a consumer depends on its queue.
    #[must_use]
    pub fn depender(&self) -> Row {
        if self.kind == EdgeKind::Delivers {
            self.to
        } else {
            self.from
        }
    }

    /// Whose failure hits.
    #[must_use]
    pub fn dependee(&self) -> Row {
        if self.kind == EdgeKind::Delivers {
            self.from
        } else {
            self.to
        }
    }

    /// Marked weak in the conventions: the other side goes on without an answer.
    #[must_use]
    pub fn is_weak(&self) -> bool {
        matches!(self.kind, EdgeKind::Messages | EdgeKind::AsksHuman)
    }

    /// Whether nobody waits for an answer.
    #[must_use]
    pub fn is_async(&self) -> bool {
        self.is_weak() || self.kind == EdgeKind::Delivers
    }
}

/// Nodes and edges by row.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Structure {
    nodes: Vec<Node>,
    edges: Vec<Link>,
}

impl Structure {
    /// Takes rows as they stand. Edges whose ends are no rows are looked past, not renumbered.
    #[must_use]
    pub fn new(nodes: Vec<Node>, edges: Vec<Link>) -> Self {
        Structure { nodes, edges }
    }

    /// All nodes, by row.
    #[must_use]
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// All edges, by row.
    #[must_use]
    pub fn edges(&self) -> &[Link] {
        &self.edges
    }

    /// The edges with their rows that join two nodes of which something can be said.
    pub(super) fn links(&self) -> impl Iterator<Item = (EdgeRow, &Link)> {
        let is_known = |row: Row| {
            self.nodes
                .get(row as usize)
                .is_some_and(|node| !node.is_overflow)
        };
        (0..)
            .zip(&self.edges)
            .filter(move |(_, link)| is_known(link.from) && is_known(link.to))
    }

    /// The same without what a node needs of itself, as (edge, who depends, on whom).
    pub(super) fn dependencies(&self) -> impl Iterator<Item = (EdgeRow, Row, Row)> {
        self.links()
            .map(|(edge, link)| (edge, link.depender(), link.dependee()))
            .filter(|(_, depender, dependee)| depender != dependee)
    }
}

/// Lists of numbers by row, in one piece of memory.
#[derive(Clone, Debug, Default)]
pub(super) struct Lists {
    starts: Vec<u32>,
    items: Vec<u32>,
}

impl Lists {
    /// Collects (row, item) pairs; the items of a row keep their order. O(rows + pairs).
    pub(super) fn of(rows: usize, pairs: impl Iterator<Item = (Row, u32)> + Clone) -> Self {
        let mut starts = vec![0u32; rows + 1];
        for (row, _) in pairs.clone() {
            starts[row as usize + 1] += 1;
        }
        for row in 0..rows {
            starts[row + 1] += starts[row];
        }
        let mut next = starts.clone();
        let mut items = vec![0; starts[rows] as usize];
        for (row, item) in pairs {
            let place = &mut next[row as usize];
            items[*place as usize] = item;
            *place += 1;
        }
        Lists { starts, items }
    }

    /// A row's items.
    #[inline]
    pub(super) fn of_row(&self, row: Row) -> &[u32] {
        &self.items[self.starts[row as usize] as usize..self.starts[row as usize + 1] as usize]
    }

    /// How many rows there are.
    pub(super) fn rows(&self) -> usize {
        self.starts.len().saturating_sub(1)
    }
}
