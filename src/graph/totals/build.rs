//! The structure of a snapshot, worked out anew: which rows there are, and what each is made of.
//!
//! Costs one pass over all nodes and three over all edges, and a sort within each node's edges.

use crate::base::{EdgeId, NodeId};
use crate::graph::interner::EdgeKey;
use crate::graph::structure::{Ends, Layout, Lists, Moved, NO_ROW};
use crate::graph::totals::fold::Fold;
use crate::scan::EdgeKind;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// What is there to be laid out.
pub(super) struct Parts<'t> {
    /// All nodes in the order of their rows.
    pub(super) order: &'t [NodeId],
    /// By a node's number: whether anything is counted of it.
    pub(super) is_node_visible: &'t dyn Fn(NodeId) -> bool,
    /// The edges of which anything is counted, ascending.
    pub(super) edges: &'t [(EdgeId, EdgeKey)],
    /// Whether a node whose calls were given to another still shows any.
    pub(super) is_left: &'t dyn Fn(&Losing) -> bool,
}

/// A node that loses calls to another (N-27). Whether it is shown depends on what is left.
#[derive(Debug)]
pub(super) struct Losing {
    /// The numbers whose sums it has.
    pub(super) nodes: Vec<NodeId>,
    /// The edges whose calls go.
    pub(super) edges: Vec<EdgeId>,
    /// Whether it is shown for what is left.
    pub(super) is_left: bool,
}

/// A structure, and what it depends on besides what is visible.
pub(super) struct Built {
    pub(super) layout: Layout,
    pub(super) losing: Vec<Losing>,
}

/// An edge that is shown, and one of the numbers whose sums it shows.
#[derive(Clone, Copy)]
struct Piece {
    key: EdgeKey,
    edge: EdgeId,
}

/// Lays the rows out.
pub(super) fn build(fold: &Fold<'_>, parts: &Parts<'_>) -> Built {
    let mut pieces: Vec<Piece> = parts
        .edges
        .iter()
        .map(|(edge, raw)| Piece {
            key: fold.seen_as(*raw),
            edge: *edge,
        })
        .collect();
    let moves = fold.only_models(pieces.iter().map(|piece| piece.key));
    let moved = move_calls(&mut pieces, &moves);
    // which nodes are there
    let at = |node: NodeId| node.0 as usize;
    let mut present = vec![false; fold.shown.len()];
    let mut set = |node: NodeId, is_there: bool| {
        if let Some(place) = present.get_mut(at(node)) {
            *place = is_there;
        }
    };
    let mut sources = Vec::new();
    for (raw, shown) in (0..).map(NodeId).zip(&fold.shown) {
        if (parts.is_node_visible)(raw) {
            sources.push((*shown, raw));
            set(*shown, true);
        }
    }
    let losing = losing(&moved, &sources, parts);
    for (node, losing) in &losing {
        set(*node, losing.is_left);
    }
    for piece in &pieces {
        set(piece.key.from, true);
        set(piece.key.to, true);
    }
    // where they lie
    let is_present = |node: &&NodeId| present.get(at(**node)) == Some(&true);
    let nodes: Vec<NodeId> = parts.order.iter().filter(is_present).copied().collect();
    let mut own = vec![NO_ROW; fold.shown.len()];
    for (row, node) in (0..).zip(&nodes) {
        if let Some(place) = own.get_mut(at(*node)) {
            *place = row;
        }
    }
    let row_of = |node: NodeId| own.get(at(node)).copied().unwrap_or(NO_ROW);
    let by_row = |moved: &BTreeSet<(NodeId, EdgeId)>| {
        let rows = moved.iter().map(|(node, edge)| (row_of(*node), *edge));
        let mut rows: Vec<Moved> = rows.filter(|(row, _)| *row != NO_ROW).collect();
        rows.sort_unstable();
        rows
    };
    let layout = Layout {
        rows: trimmed(fold.shown.iter().map(|node| row_of(*node)).collect()),
        node_sources: Lists::group(
            nodes.len(),
            sources.iter().map(|(shown, raw)| (row_of(*shown), *raw)),
            NodeId(0),
        ),
        gained: by_row(&moved.gained),
        lost: by_row(&moved.lost),
        nodes,
        ..Layout::default()
    };
    Built {
        layout: lay_edges(layout, &pieces, &row_of),
        losing: losing.into_values().collect(),
    }
}

/// Calls that change hands.
struct MovedCalls {
    gained: BTreeSet<(NodeId, EdgeId)>,
    lost: BTreeSet<(NodeId, EdgeId)>,
}

fn move_calls(pieces: &mut [Piece], moves: &HashMap<EdgeKey, NodeId>) -> MovedCalls {
    let mut moved = MovedCalls {
        gained: BTreeSet::new(),
        lost: BTreeSet::new(),
    };
    if moves.is_empty() {
        return moved;
    }
    for piece in pieces {
        if let Some(model) = moves.get(&piece.key) {
            moved.lost.insert((piece.key.to, piece.edge));
            moved.gained.insert((*model, piece.edge));
            piece.key.to = *model;
        }
    }
    moved
}

/// By node: what those are made of that lose calls.
fn losing(
    moved: &MovedCalls,
    sources: &[(NodeId, NodeId)],
    parts: &Parts<'_>,
) -> BTreeMap<NodeId, Losing> {
    let mut losing = BTreeMap::<NodeId, Losing>::new();
    for (node, edge) in &moved.lost {
        let entry = losing.entry(*node).or_insert(Losing {
            nodes: Vec::new(),
            edges: Vec::new(),
            is_left: false,
        });
        entry.edges.push(*edge);
    }
    if losing.is_empty() {
        return losing;
    }
    for (shown, raw) in sources {
        if let Some(entry) = losing.get_mut(shown) {
            entry.nodes.push(*raw);
        }
    }
    for entry in losing.values_mut() {
        entry.is_left = !entry.nodes.is_empty() && (parts.is_left)(entry);
    }
    losing
}

/// Adds the edges: those of one source side by side, by the row that they reach and their kind.
fn lay_edges(mut layout: Layout, pieces: &[Piece], row_of: &dyn Fn(NodeId) -> u32) -> Layout {
    let by_source = pieces.iter().map(|piece| {
        let Piece { key, edge } = *piece;
        (row_of(key.from), (row_of(key.to), key.kind, edge))
    });
    let none = (0, EdgeKind::Invokes, EdgeId(0));
    let mut outgoing = Lists::group(layout.nodes.len(), by_source, none);
    let last = pieces.iter().map(|piece| piece.edge.0 as usize + 1).max();
    layout.edge_rows = vec![NO_ROW; last.unwrap_or(0)];
    let mut starts = Vec::with_capacity(layout.nodes.len() + 1);
    let mut next: u32 = 0;
    for from in (0..).take(layout.nodes.len()) {
        starts.push(next);
        let pieces = outgoing.get_mut(from);
        pieces.sort_unstable();
        for same in pieces.chunk_by(|a, b| (a.0, a.1) == (b.0, b.1)) {
            let Some((to, kind, _)) = same.first().copied() else {
                continue; // a chunk has one at least
            };
            layout.ends.push(Ends { from, to, kind });
            layout
                .edge_sources
                .push(same.iter().map(|(.., edge)| *edge));
            for (.., edge) in same {
                if let Some(place) = layout.edge_rows.get_mut(edge.0 as usize) {
                    *place = next;
                }
            }
            next += 1;
        }
    }
    starts.push(next);
    layout.starts = starts;
    let reached = layout.ends.iter().map(|ends| ends.to).zip(0..);
    layout.incoming = Lists::group(layout.nodes.len(), reached, NO_ROW);
    layout
}

/// Without what says nothing at its end, so that names that nobody counted yet change nothing.
fn trimmed(mut rows: Vec<u32>) -> Vec<u32> {
    let len = rows.iter().rposition(|row| *row != NO_ROW);
    rows.truncate(len.map_or(0, |last| last + 1));
    rows
}
