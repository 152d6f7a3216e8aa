//! The tick's sums over all shards, and the snapshot made of them.
//!
//! **Bounds.** As many rows as the interner gives numbers for. **Invariant.** Sums do not depend on which shard counted
//! what, nor on when it handed it over.

use crate::base::NodeId;
use crate::graph::counts::Counts;
use crate::graph::interner::{EdgeKey, Interner, NodeRecord};
use crate::graph::shard::Changes;
use crate::graph::snapshot::{EdgeRow, GraphSnapshot, NodeRow};
use crate::scan::{EdgeKind, NodeKind};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// What is known of the whole graph, by number.
pub struct Totals {
    interner: Arc<Interner>,
    records: Vec<Arc<NodeRecord>>,
    keys: Vec<EdgeKey>,
    nodes: Vec<Counts>,
    edges: Vec<Counts>,
    /// Each node that is shown as another.
    aliases: HashMap<NodeId, NodeId>,
}

impl Totals {
    /// Nothing counted yet.
    #[must_use]
    pub fn new(interner: Arc<Interner>) -> Self {
        Totals {
            interner,
            records: Vec::new(),
            keys: Vec::new(),
            nodes: Vec::new(),
            edges: Vec::new(),
            aliases: HashMap::new(),
        }
    }

    /// Adds what a shard handed over; says whether there was anything.
    pub fn absorb(&mut self, changes: &Changes) -> bool {
        for (node, counts) in &changes.nodes {
            add_at(&mut self.nodes, node.0 as usize, counts);
        }
        for (edge, counts) in &changes.edges {
            add_at(&mut self.edges, edge.0 as usize, counts);
        }
        for alias in &changes.aliases {
            self.aliases.insert(alias.from, alias.to);
        }
        !(changes.nodes.is_empty() && changes.edges.is_empty() && changes.aliases.is_empty())
    }

    /// The graph as it stands. Costs what the graph is large.
    pub fn snapshot(&mut self) -> GraphSnapshot {
        self.records.extend(self.interner.nodes_since(self.records.len()));
        self.keys.extend(self.interner.edges_since(self.keys.len()));
        let shown = self.shown();
        let mut edges = BTreeMap::<EdgeKey, Counts>::new();
        for (raw, counts) in self.keys.iter().zip(&self.edges) {
            if counts.is_visible() {
                edges.entry(self.seen_as(*raw, &shown)).or_default().add(counts);
            }
        }
        let mut nodes = BTreeMap::<NodeId, Counts>::new();
        for (counts, node) in self.nodes.iter().zip(&shown) {
            if counts.is_visible() {
                nodes.entry(*node).or_default().add(counts);
            }
        }
        for key in edges.keys() {
            nodes.entry(key.from).or_default();
            nodes.entry(key.to).or_default();
        }
        let nodes = nodes.into_iter().filter_map(|(node, counts)| {
            let record = Arc::clone(self.records.get(node.0 as usize)?);
            Some(NodeRow { record, counts })
        });
        let edges = edges.into_iter().map(|(key, counts)| EdgeRow {
            from: key.from,
            to: key.to,
            kind: key.kind,
            counts,
        });
        GraphSnapshot::new(nodes.collect(), edges.collect(), &shown)
    }

    /// By raw number: the node as which each is shown.
    fn shown(&self) -> Vec<NodeId> {
        (0..self.records.len())
            .map(|number| self.end_of(NodeId(u32::try_from(number).unwrap_or(u32::MAX))))
            .collect()
    }

    /// Follows aliases to their end. In a ring the smallest number stands for all.
    fn end_of(&self, node: NodeId) -> NodeId {
        let mut at = node;
        let mut smallest = node;
        // a chain is tool, workflow, agent; more steps than that are a ring
        for _ in 0..self.aliases.len().min(64) {
            match self.aliases.get(&at) {
                Some(next) if *next != node => at = *next,
                Some(_) => return smallest,
                None => return at,
            }
            smallest = smallest.min(at);
        }
        at
    }

    /// An edge between the nodes that are shown; what is folded into an agent is called like one (E-17).
    fn seen_as(&self, raw: EdgeKey, shown: &[NodeId]) -> EdgeKey {
        let end = |node: NodeId| shown.get(node.0 as usize).copied().unwrap_or(node);
        let (from, to) = (end(raw.from), end(raw.to));
        if (from, to) == (raw.from, raw.to) {
            return raw;
        }
        let kind_of = |node: NodeId| {
            self.records
                .get(node.0 as usize)
                .map_or(NodeKind::Service, |record| record.key.kind)
        };
        let kind = match raw.kind {
            EdgeKind::Invokes | EdgeKind::Delegates | EdgeKind::UsesTool => kind_of(to).edge_from(kind_of(from)),
            other => other,
        };
        EdgeKey { from, to, kind }
    }
}

fn add_at(sums: &mut Vec<Counts>, at: usize, counts: &Counts) {
    if at >= sums.len() {
        sums.resize(at + 1, Counts::default());
    }
    sums[at].add(counts);
}
