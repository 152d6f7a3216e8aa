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

mod ageing;
mod build;
mod fold;
mod pairs;
mod rows;
#[cfg(test)]
mod tests;

pub use ageing::Expired;

use crate::base::{EdgeId, NodeId};
use crate::graph::counts::Counts;
use crate::graph::interner::{EdgeKey, Interner, Learned, NodeRecord};
use crate::graph::ledger::Alias;
use crate::graph::numbers::Numbers;
use crate::graph::shard::Changes;
use crate::graph::snapshot::{EdgeRow, GraphSnapshot, NodeRow, Row};
use crate::graph::trials::Trials;
use crate::scan::NodeKind;
use ageing::Age;
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
    age: Age,
}

impl<T> Raw<T> {
    fn new(row: T) -> Self {
        Raw {
            row: Arc::new(row),
            is_dirty: false,
            is_shown: false,
            decides: None,
            age: Age::new(),
        }
    }
}

impl Raw<NodeRow> {
    fn of_node(record: &Arc<NodeRecord>) -> Self {
        Raw::new(NodeRow {
            record: Arc::clone(record),
            counts: Counts::default(),
        })
    }
}

impl Raw<EdgeRow> {
    fn of_edge(key: EdgeKey) -> Self {
        Raw::new(EdgeRow {
            from: key.from,
            to: key.to,
            kind: key.kind,
            counts: Counts::default(),
            trials: Trials::default(),
        })
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
    /// Forgotten, and not given to others yet.
    retired: Numbers,
    /// Nobody's: to be given to others.
    free: Numbers,
    /// Forgotten since the last snapshot, and in it.
    forgotten: Numbers,
    let_go: Numbers,
    /// The snapshot before something was forgotten that the next one lacks.
    before: Option<GraphSnapshot>,
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
            retired: Numbers::default(),
            free: Numbers::default(),
            forgotten: Numbers::default(),
            let_go: Numbers::default(),
            before: None,
            last: GraphSnapshot::default(),
            changed_nodes: Vec::new(),
            changed_edges: Vec::new(),
        }
    }

    /// Adds what a shard handed over; says whether there was anything.
    pub fn absorb(&mut self, changes: &Changes) -> bool {
        let changes = &*self.redirect(changes);
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
            for end in [alias.outer, alias.inner] {
                if let Some(raw) = self.nodes.get_mut(end.0 as usize) {
                    raw.age.is_touched = true;
                }
            }
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
        self.let_go = std::mem::take(&mut self.forgotten);
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
        if let Some(before) = self.before.take() {
            // the overflow nodes come first, in the order of their kinds
            let overflow = |kind: NodeKind| self.records.get(kind as usize).cloned();
            let mut past = Arc::clone(&self.last.past);
            Arc::make_mut(&mut past).keep(&before, &self.last, &overflow);
            self.last.past = past;
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
        let Learned { renewed, new } = self.interner.learn_nodes(self.records.len());
        let is_new = !(renewed.is_empty() && new.is_empty());
        self.nodes.extend(new.iter().map(Raw::of_node));
        self.order.extend(new.iter().map(|record| record.node));
        self.records.extend(new);
        for (number, record) in renewed {
            self.renew_node(number, record);
        }
        if is_new {
            let place = |node: &NodeId| {
                let record = self.records.get(node.0 as usize)?;
                Some((record.key.kind, &record.id, &record.key.realm))
            };
            // finds the runs that are in order already
            self.order.sort_by(|a, b| place(a).cmp(&place(b)));
        }
        let first = self.keys.len();
        let Learned { renewed, new } = self.interner.learn_edges(first);
        self.edges.extend(new.iter().map(|key| Raw::of_edge(*key)));
        self.keys.extend(new);
        let mut fresh: Vec<usize> = (first..self.keys.len()).collect();
        for (number, key) in renewed {
            self.renew_edge(number, key);
            fresh.push(number as usize);
        }
        for number in fresh {
            self.welcome_edge(number);
        }
    }

    fn touch_node(&mut self, node: NodeId) -> Option<&mut NodeRow> {
        let raw = self.nodes.get_mut(node.0 as usize)?;
        if !std::mem::replace(&mut raw.is_dirty, true) {
            self.dirty_nodes.push(node);
        }
        raw.age.is_touched = true;
        Some(Arc::make_mut(&mut raw.row))
    }

    fn touch_edge(&mut self, edge: EdgeId) -> Option<&mut EdgeRow> {
        let raw = self.edges.get_mut(edge.0 as usize)?;
        if !std::mem::replace(&mut raw.is_dirty, true) {
            self.dirty_edges.push(edge);
        }
        if !std::mem::replace(&mut raw.age.is_touched, true) {
            // whose edge is used is not idle
            for end in [raw.row.from, raw.row.to] {
                if let Some(raw) = self.nodes.get_mut(end.0 as usize) {
                    raw.age.is_touched = true;
                }
            }
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
