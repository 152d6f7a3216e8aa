//! The rows of a snapshot: those that changed made anew, the others shared with the snapshot before.

use crate::base::{EdgeId, NodeId};
use crate::graph::counts::Counts;
use crate::graph::snapshot::{EdgeRow, GraphSnapshot, NodeRow, Row};
use crate::graph::structure::{Layout, Moved, Structure, moved};
use crate::graph::totals::Totals;
use crate::graph::trials::Trials;
use crate::scan::EdgeKind;
use std::sync::Arc;

impl Totals {
    /// Fills another structure with rows.
    pub(super) fn relay(&mut self, layout: Layout) {
        let before = std::mem::take(&mut self.last);
        let old = &before.structure.layout;
        let mut changed = Vec::new();
        let nodes = (0..).zip(&layout.nodes).map(|(row, node)| {
            let was = old.row(*node).filter(|was| {
                old.nodes.get(*was as usize) == Some(node)
                    && old.node_sources.get(*was) == layout.node_sources.get(row)
                    && is_same(moved(&old.gained, *was), moved(&layout.gained, row))
                    && is_same(moved(&old.lost, *was), moved(&layout.lost, row))
            });
            let was = was.and_then(|was| before.nodes.get(was as usize));
            let now = match was.filter(|_| !self.is_node_dirty(&layout, row)) {
                Some(was) => Arc::clone(was),
                None => self.node_row(&layout, row),
            };
            if !was.is_some_and(|was| Arc::ptr_eq(was, &now)) {
                changed.push(row);
            }
            now
        });
        let nodes = nodes.collect();
        let mut changed_edges = Vec::new();
        let edges = (0..).take(layout.ends.len()).map(|row| {
            let sources = layout.edge_sources.get(row);
            let first = sources.first();
            let was = first.and_then(|edge| old.edge_row(*edge)).filter(|was| {
                let are_ends_same = |of: &Layout, row: Row| {
                    let ends = of.ends.get(row as usize)?;
                    let node = |row: Row| of.nodes.get(row as usize);
                    Some((*node(ends.from)?, *node(ends.to)?, ends.kind))
                };
                old.edge_sources.get(*was) == sources
                    && are_ends_same(old, *was) == are_ends_same(&layout, row)
            });
            let was = was.and_then(|was| before.edges.get(was as usize));
            let now = match was.filter(|_| !sources.iter().any(|edge| self.is_edge_dirty(*edge))) {
                Some(was) => Arc::clone(was),
                None => self.edge_row(&layout, row),
            };
            if !was.is_some_and(|was| Arc::ptr_eq(was, &now)) {
                changed_edges.push(row);
            }
            now
        });
        let edges = edges.collect();
        self.changed_nodes = changed;
        self.changed_edges = changed_edges;
        self.last = GraphSnapshot {
            structure: Arc::new(Structure {
                version: before.structure.version + 1,
                layout,
            }),
            nodes,
            edges,
            followed: before.followed,
            past: before.past,
        };
    }

    /// Replaces the rows whose sums changed.
    pub(super) fn refresh(&mut self) {
        let structure = Arc::clone(&self.last.structure);
        let layout = &structure.layout;
        let mut nodes = Vec::new();
        let shown = self.dirty_nodes.iter();
        let shown = shown.filter(|node| self.raw(**node).is_some_and(|raw| raw.is_shown));
        nodes.extend(shown.filter_map(|node| layout.row(*node)));
        let mut edges = Vec::new();
        for edge in &self.dirty_edges {
            let Some(row) = layout.edge_row(*edge) else {
                continue;
            };
            edges.push(row);
            let Some(ends) = layout.ends.get(row as usize) else {
                continue;
            };
            if moved(&layout.gained, ends.to)
                .iter()
                .any(|(_, gained)| gained == edge)
            {
                nodes.push(ends.to);
                let left = self.keys.get(edge.0 as usize);
                nodes.extend(left.and_then(|key| layout.row(key.to)));
            }
        }
        nodes.sort_unstable();
        nodes.dedup();
        edges.sort_unstable();
        edges.dedup();
        for row in &nodes {
            let fresh = self.node_row(layout, *row);
            self.last.nodes.set(*row as usize, fresh);
        }
        for row in &edges {
            let fresh = self.edge_row(layout, *row);
            self.last.edges.set(*row as usize, fresh);
        }
        self.changed_nodes = nodes;
        self.changed_edges = edges;
    }

    /// What a node's row shows.
    fn node_row(&self, layout: &Layout, row: Row) -> Arc<NodeRow> {
        let sources = layout.node_sources.get(row);
        let (gained, lost) = (moved(&layout.gained, row), moved(&layout.lost, row));
        let node = layout.nodes.get(row as usize).copied();
        let own = node.and_then(|node| self.raw(node));
        if let ([only], [], []) = (sources, gained, lost)
            && Some(*only) == node
            && let Some(own) = own
        {
            return Arc::clone(&own.row);
        }
        let mut counts = Counts::default();
        for raw in sources.iter().filter_map(|node| self.raw(*node)) {
            counts.add(&raw.row.counts);
        }
        let of = |edge: &EdgeId| self.edges.get(edge.0 as usize);
        for raw in gained.iter().filter_map(|(_, edge)| of(edge)) {
            counts.add(&raw.row.counts);
        }
        for raw in lost.iter().filter_map(|(_, edge)| of(edge)) {
            counts.subtract(&raw.row.counts);
        }
        if !lost.is_empty() && (sources.is_empty() || !counts.is_visible()) {
            counts = Counts::default();
        }
        let record = own.map(|own| Arc::clone(&own.row.record));
        Arc::new(NodeRow {
            // every node has one: the interner gives both at once
            record: record.unwrap_or_else(|| Arc::clone(&self.records[0])),
            counts,
        })
    }

    /// What an edge's row shows.
    fn edge_row(&self, layout: &Layout, row: Row) -> Arc<EdgeRow> {
        let ends = layout.ends.get(row as usize);
        let node = |row: Option<Row>| {
            let node = layout.nodes.get(row? as usize);
            node.copied()
        };
        // each of the rows has both: the structure was made so
        let from = node(ends.map(|ends| ends.from)).unwrap_or(NodeId(0));
        let to = node(ends.map(|ends| ends.to)).unwrap_or(NodeId(0));
        let kind = ends.map_or(EdgeKind::Invokes, |ends| ends.kind);
        let of = |edge: &EdgeId| self.edges.get(edge.0 as usize).map(|raw| &raw.row);
        let sources = layout.edge_sources.get(row);
        if let [only] = sources
            && let Some(own) = of(only)
            && (own.from, own.to, own.kind) == (from, to, kind)
        {
            return Arc::clone(own);
        }
        let mut sums = EdgeRow {
            from,
            to,
            kind,
            counts: Counts::default(),
            trials: Trials::default(),
        };
        for raw in sources.iter().filter_map(of) {
            sums.counts.add(&raw.counts);
            sums.trials += &raw.trials;
        }
        Arc::new(sums)
    }

    fn is_node_dirty(&self, layout: &Layout, row: Row) -> bool {
        let mut sources = layout.node_sources.get(row).iter();
        let gained = moved(&layout.gained, row).iter();
        let mut edges = gained.chain(moved(&layout.lost, row)).map(|(_, edge)| edge);
        sources.any(|node| self.raw(*node).is_some_and(|raw| raw.is_dirty))
            || edges.any(|edge| self.is_edge_dirty(*edge))
    }

    fn is_edge_dirty(&self, edge: EdgeId) -> bool {
        let raw = self.edges.get(edge.0 as usize);
        raw.is_some_and(|raw| raw.is_dirty)
    }
}

/// Whether the same edges' calls moved.
fn is_same(was: &[Moved], now: &[Moved]) -> bool {
    let edges = |moved: &[Moved]| moved.iter().map(|(_, edge)| *edge).collect::<Vec<_>>();
    was.len() == now.len() && (was.is_empty() || edges(was) == edges(now))
}
