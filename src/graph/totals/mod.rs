//! The tick's sums over all shards, and the snapshot made of them: a tick costs what changed (D5).
//!
//! ```text
//! Changes ─▶ sums by number ─ which rows show them? ─▶ those rows anew ─────────────▶ GraphSnapshot
//!              └ a row comes, goes, or is made of something else ─▶ structure anew ─┘
//! ```
//!
//! A number's sums and the row that shows nothing else are one piece of memory: a tick copies what it changes, and no more.
//!
//! **Bounds.** As many rows as the interner gives numbers for; [`Pairs`] has its own.
//! **Invariants.** Sums do not depend on which shard counted what, nor on when it handed it over. A snapshot is what one
//! made from nothing would be.

mod build;
mod fold;
mod pairs;
#[cfg(test)]
mod tests;

use crate::base::{EdgeId, NodeId};
use crate::graph::counts::Counts;
use crate::graph::interner::{EdgeKey, Interner, NodeRecord};
use crate::graph::ledger::Alias;
use crate::graph::shard::Changes;
use crate::graph::snapshot::{EdgeRow, GraphSnapshot, NodeRow, Row};
use crate::graph::structure::{Layout, Moved, Structure, moved};
use crate::graph::trials::Trials;
use crate::scan::EdgeKind;
use build::{Built, Losing, Parts};
use fold::Fold;
use pairs::Pairs;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A number's sums, and what the structure was made for.
struct Raw<T> {
    row: Arc<T>,
    /// Changed since the last snapshot.
    is_dirty: bool,
    /// Whether the structure shows it.
    is_shown: bool,
    /// Of an agent: whether the structure depends on its being declared, and then whether it was.
    decides: Option<bool>,
}

impl<T> Raw<T> {
    fn new(row: T) -> Self {
        Raw {
            row: Arc::new(row),
            is_dirty: false,
            is_shown: false,
            decides: None,
        }
    }
}

/// What is known of the whole graph, by number.
pub struct Totals {
    interner: Arc<Interner>,
    records: Vec<Arc<NodeRecord>>,
    /// Nodes in the order in which rows lie.
    order: Vec<NodeId>,
    keys: Vec<EdgeKey>,
    nodes: Vec<Raw<NodeRow>>,
    edges: Vec<Raw<EdgeRow>>,
    dirty_nodes: Vec<NodeId>,
    dirty_edges: Vec<EdgeId>,
    /// How many spans say that two nodes are one.
    aliases: BTreeMap<Alias, i64>,
    have_aliases_changed: bool,
    pairs: Pairs,
    /// What the structure depends on besides what is visible.
    losing: Vec<Losing>,
    last: GraphSnapshot,
    changed_nodes: Vec<Row>,
    changed_edges: Vec<Row>,
}

impl Totals {
    /// Nothing counted yet.
    #[must_use]
    pub fn new(interner: Arc<Interner>) -> Self {
        Totals {
            pairs: Pairs::new(interner.limits().edges),
            interner,
            records: Vec::new(),
            order: Vec::new(),
            keys: Vec::new(),
            nodes: Vec::new(),
            edges: Vec::new(),
            dirty_nodes: Vec::new(),
            dirty_edges: Vec::new(),
            aliases: BTreeMap::new(),
            have_aliases_changed: false,
            losing: Vec::new(),
            last: GraphSnapshot::default(),
            changed_nodes: Vec::new(),
            changed_edges: Vec::new(),
        }
    }

    /// Adds what a shard handed over; says whether there was anything.
    pub fn absorb(&mut self, changes: &Changes) -> bool {
        self.learn();
        for (node, counts) in &changes.nodes {
            if let Some(row) = self.touch_node(*node) {
                row.counts.add(counts);
            }
        }
        for (edge, counts) in &changes.edges {
            if let Some(row) = self.touch_edge(*edge) {
                row.counts.add(counts);
            }
        }
        for (edge, trials) in &changes.trials {
            if let Some(row) = self.touch_edge(*edge) {
                row.trials += trials;
            }
        }
        for (pair, followed) in &changes.followed {
            self.pairs.add(*pair, followed);
        }
        for (alias, spans) in &changes.aliases {
            let sum = self.aliases.entry(*alias).or_insert(0);
            let was_there = *sum != 0;
            *sum += spans;
            let is_there = *sum != 0;
            if !is_there {
                self.aliases.remove(alias);
            }
            self.have_aliases_changed |= was_there != is_there;
        }
        !(changes.nodes.is_empty()
            && changes.edges.is_empty()
            && changes.aliases.is_empty()
            && changes.trials.is_empty()
            && changes.followed.is_empty())
    }

    /// The graph as it stands. Costs what changed since the last one; where the structure changed, what the graph is large.
    pub fn snapshot(&mut self) -> GraphSnapshot {
        self.learn();
        self.changed_nodes.clear();
        self.changed_edges.clear();
        let version = self.last.structure.version;
        if self.is_structure_stale() {
            self.restructure();
        } else {
            self.refresh();
        }
        if self.last.structure.version != version || self.pairs.are_new() {
            self.last.followed = self.pairs.rows(&self.last.structure.layout);
        } else {
            let layout = &self.last.structure.layout;
            self.pairs.refresh(layout, &mut self.last.followed);
        }
        for node in self.dirty_nodes.drain(..) {
            if let Some(raw) = self.nodes.get_mut(node.0 as usize) {
                raw.is_dirty = false;
            }
        }
        for edge in self.dirty_edges.drain(..) {
            if let Some(raw) = self.edges.get_mut(edge.0 as usize) {
                raw.is_dirty = false;
            }
        }
        self.last.clone()
    }

    /// The rows of the nodes that the last snapshot shows otherwise than the one before, or for the first time; ascending.
    #[must_use]
    pub fn changed_nodes(&self) -> &[Row] {
        &self.changed_nodes
    }

    /// The same of edges; of these one of another structure may stand at another row.
    #[must_use]
    pub fn changed_edges(&self) -> &[Row] {
        &self.changed_edges
    }

    /// How many pairs of edges were not kept because there were too many.
    #[must_use]
    pub fn refused_pairs(&self) -> u64 {
        self.pairs.refused()
    }

    /// Asks the interner for what is new there.
    fn learn(&mut self) {
        let known = self.records.len();
        self.records.extend(self.interner.nodes_since(known));
        let new = self.records.get(known..).unwrap_or_default();
        if !new.is_empty() {
            self.nodes.extend(new.iter().map(|record| {
                Raw::new(NodeRow {
                    record: Arc::clone(record),
                    counts: Counts::default(),
                })
            }));
            self.order.extend(new.iter().map(|record| record.node));
            let place = |node: &NodeId| {
                let record = self.records.get(node.0 as usize)?;
                Some((record.key.kind, &record.id, &record.key.realm))
            };
            // finds the runs that are in order already
            self.order.sort_by(|a, b| place(a).cmp(&place(b)));
        }
        let new = self.interner.edges_since(self.keys.len());
        self.edges.extend(new.iter().map(|key| {
            Raw::new(EdgeRow {
                from: key.from,
                to: key.to,
                kind: key.kind,
                counts: Counts::default(),
                trials: Trials::default(),
            })
        }));
        self.keys.extend(new);
    }

    fn touch_node(&mut self, node: NodeId) -> Option<&mut NodeRow> {
        let raw = self.nodes.get_mut(node.0 as usize)?;
        if !std::mem::replace(&mut raw.is_dirty, true) {
            self.dirty_nodes.push(node);
        }
        Some(Arc::make_mut(&mut raw.row))
    }

    fn touch_edge(&mut self, edge: EdgeId) -> Option<&mut EdgeRow> {
        let raw = self.edges.get_mut(edge.0 as usize)?;
        if !std::mem::replace(&mut raw.is_dirty, true) {
            self.dirty_edges.push(edge);
        }
        Some(Arc::make_mut(&mut raw.row))
    }

    /// Whether a row comes or goes, or is made of other numbers than before.
    fn is_structure_stale(&self) -> bool {
        let nodes = self.dirty_nodes.iter().filter_map(|node| self.raw(*node));
        let edges = self.dirty_edges.iter();
        let edges = edges.filter_map(|edge| self.edges.get(edge.0 as usize));
        let mut losing = self.losing.iter();
        self.have_aliases_changed
            || nodes.into_iter().any(|raw| {
                let counts = &raw.row.counts;
                let decides = raw.decides.is_some_and(|was| was != (counts.declared > 0));
                decides || raw.is_shown != counts.is_visible()
            })
            || edges
                .into_iter()
                .any(|raw| raw.is_shown != raw.row.counts.is_visible())
            || losing.any(|losing| losing.is_left != is_left(&self.nodes, &self.edges, losing))
    }

    /// Works the structure out anew, and all rows; what did not change is shared with the last snapshot all the same.
    fn restructure(&mut self) {
        let is_declared = |node: NodeId| {
            let raw = self.nodes.get(node.0 as usize);
            raw.is_some_and(|raw| raw.row.counts.declared > 0)
        };
        let fold = Fold::new(&self.records, &self.aliases, is_declared);
        let visible: Vec<(EdgeId, EdgeKey)> = (0..)
            .map(EdgeId)
            .zip(self.keys.iter().zip(&self.edges))
            .filter(|(_, (_, raw))| raw.row.counts.is_visible())
            .map(|(edge, (key, _))| (edge, *key))
            .collect();
        let Built { layout, losing } = build::build(
            &fold,
            &Parts {
                order: &self.order,
                is_node_visible: &|node| {
                    let raw = self.nodes.get(node.0 as usize);
                    raw.is_some_and(|raw| raw.row.counts.is_visible())
                },
                edges: &visible,
                is_left: &|losing| is_left(&self.nodes, &self.edges, losing),
            },
        );
        let deciding = fold.deciding;
        for raw in &mut self.nodes {
            raw.is_shown = raw.row.counts.is_visible();
            raw.decides = None;
        }
        for raw in &mut self.edges {
            raw.is_shown = raw.row.counts.is_visible();
        }
        for agent in deciding {
            if let Some(raw) = self.nodes.get_mut(agent.0 as usize) {
                raw.decides = Some(raw.row.counts.declared > 0);
            }
        }
        self.losing = losing;
        self.have_aliases_changed = false;
        if layout == self.last.structure.layout {
            return self.refresh();
        }
        self.relay(layout);
    }

    /// Fills another structure with rows.
    fn relay(&mut self, layout: Layout) {
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
        };
    }

    /// Replaces the rows whose sums changed.
    fn refresh(&mut self) {
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

    fn raw(&self, node: NodeId) -> Option<&Raw<NodeRow>> {
        self.nodes.get(node.0 as usize)
    }
}

/// Whether a node that loses calls has others (N-27).
fn is_left(nodes: &[Raw<NodeRow>], edges: &[Raw<EdgeRow>], losing: &Losing) -> bool {
    let seen = |counts: &Counts| [counts.calls, counts.provisional, counts.declared];
    let own = losing.nodes.iter();
    let own = own.filter_map(|node| nodes.get(node.0 as usize));
    let lost = losing.edges.iter();
    let lost = lost.filter_map(|edge| edges.get(edge.0 as usize));
    let mut left = [0_i64; 3];
    for (counts, sign) in own
        .map(|raw| (&raw.row.counts, 1))
        .chain(lost.map(|raw| (&raw.row.counts, -1)))
    {
        for (sum, more) in left.iter_mut().zip(seen(counts)) {
            *sum += sign * more;
        }
    }
    left != [0; 3]
}

/// Whether the same edges' calls moved.
fn is_same(was: &[Moved], now: &[Moved]) -> bool {
    let edges = |moved: &[Moved]| moved.iter().map(|(_, edge)| *edge).collect::<Vec<_>>();
    was.len() == now.len() && (was.is_empty() || edges(was) == edges(now))
}
