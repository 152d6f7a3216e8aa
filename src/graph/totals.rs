//! The tick's sums over all shards, and the snapshot made of them.
//!
//! **Bounds.** As many rows as the interner gives numbers for. **Invariant.** Sums do not depend on which shard counted
//! what, nor on when it handed it over.

use crate::base::NodeId;
use crate::graph::counts::Counts;
use crate::graph::interner::{EdgeKey, Interner, NodeRecord};
use crate::graph::ledger::Alias;
use crate::graph::shard::Changes;
use crate::graph::snapshot::{EdgeRow, GraphSnapshot, NodeRow};
use crate::scan::{EdgeKind, NodeKey, NodeKind, Outcome};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// What is known of the whole graph, by number.
pub struct Totals {
    interner: Arc<Interner>,
    records: Vec<Arc<NodeRecord>>,
    keys: Vec<EdgeKey>,
    nodes: Vec<Counts>,
    edges: Vec<Counts>,
    /// How many spans say that two nodes are one.
    aliases: BTreeMap<Alias, i64>,
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
            aliases: BTreeMap::new(),
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
        for (alias, spans) in &changes.aliases {
            let sum = self.aliases.entry(*alias).or_insert(0);
            *sum += spans;
            if *sum == 0 {
                self.aliases.remove(alias);
            }
        }
        !(changes.nodes.is_empty() && changes.edges.is_empty() && changes.aliases.is_empty())
    }

    /// The graph as it stands. Costs what the graph is large.
    pub fn snapshot(&mut self) -> GraphSnapshot {
        self.records
            .extend(self.interner.nodes_since(self.records.len()));
        self.keys.extend(self.interner.edges_since(self.keys.len()));
        let shown = self.shown();
        let mut edges = BTreeMap::<EdgeKey, Counts>::new();
        for (raw, counts) in self.keys.iter().zip(&self.edges) {
            if counts.is_visible() {
                edges
                    .entry(self.seen_as(*raw, &shown))
                    .or_default()
                    .add(counts);
            }
        }
        let mut nodes = BTreeMap::<NodeId, Counts>::new();
        for (counts, node) in self.nodes.iter().zip(&shown) {
            if counts.is_visible() {
                nodes.entry(*node).or_default().add(counts);
            }
        }
        pass_on_messages(&mut edges);
        for (nameless, model) in self.only_models(&edges) {
            let Some(counts) = edges.remove(&nameless) else {
                continue;
            };
            let joined = EdgeKey {
                to: model,
                ..nameless
            };
            edges.entry(joined).or_default().add(&counts);
            nodes.entry(model).or_default().add(&counts);
            if let Some(left) = nodes.get_mut(&nameless.to) {
                left.subtract(&counts);
                if !left.is_visible() {
                    nodes.remove(&nameless.to);
                }
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

    /// By raw number: the node as which each is shown. Depends on the set of aliases only, not on when they were found.
    fn shown(&self) -> Vec<NodeId> {
        let mut shown: Vec<NodeId> = self.records.iter().map(|record| record.node).collect();
        // N-15: of a workflow and an agent of one name the agent stays, if it is the inner one or was declared
        let mut pairs = BTreeMap::new();
        for alias in self.aliases.keys() {
            let (workflow, agent) = match (self.kind(alias.outer), self.kind(alias.inner)) {
                (NodeKind::Workflow, NodeKind::Agent) => (alias.outer, alias.inner),
                (NodeKind::Agent, NodeKind::Workflow) => (alias.inner, alias.outer),
                _ => continue,
            };
            *pairs.entry((workflow, agent)).or_insert(false) |= agent == alias.inner;
        }
        let is_declared = |agent: NodeId| {
            self.nodes
                .get(agent.0 as usize)
                .is_some_and(|counts| counts.declared > 0)
        };
        let losers: HashMap<NodeId, NodeId> = pairs
            .into_iter()
            .map(|((workflow, agent), is_inner)| {
                if is_inner || is_declared(agent) {
                    (workflow, agent)
                } else {
                    (agent, workflow)
                }
            })
            .collect();
        // E-17: a tool and the agent that it runs; of several agents the one whose key is smallest
        let mut tools = HashMap::<NodeId, NodeId>::new();
        for alias in self.aliases.keys() {
            if self.kind(alias.outer) == NodeKind::Tool {
                let inner = losers.get(&alias.inner).copied().unwrap_or(alias.inner);
                let best = tools.entry(alias.outer).or_insert(inner);
                if self.key(inner) < self.key(*best) {
                    *best = inner;
                }
            }
        }
        for (from, to) in losers.into_iter().chain(tools).chain(self.found_peers()) {
            if let Some(place) = shown.get_mut(from.0 as usize) {
                *place = to;
            }
        }
        shown
    }

    /// N-27: calls of models without a name, and the only model that their source calls at that provider.
    fn only_models(&self, edges: &BTreeMap<EdgeKey, Counts>) -> Vec<(EdgeKey, NodeId)> {
        let is_nameless = |key: &NodeKey| key.name.starts_with("unknown@");
        let model = |edge: &EdgeKey| {
            let key = self.key(edge.to)?;
            (edge.kind == EdgeKind::CallsModel).then_some(key)
        };
        let only = |edge: &EdgeKey| {
            let provider = &*model(edge)?.scope;
            let least = EdgeKey {
                from: edge.from,
                to: NodeId(0),
                kind: EdgeKind::Invokes,
            };
            let mut models = edges
                .range(least..)
                .map(|(other, _)| other)
                .take_while(|other| other.from == edge.from)
                .filter(|other| {
                    model(other).is_some_and(|key| {
                        !is_nameless(key) && (provider == "unknown" || provider == &*key.scope)
                    })
                });
            let first = models.next()?;
            models.next().is_none().then_some((*edge, first.to))
        };
        edges
            .keys()
            .filter(|edge| model(edge).is_some_and(is_nameless))
            .filter_map(only)
            .collect()
    }

    /// B-07: peers known by an address behind which one node alone has answered.
    fn found_peers(&self) -> Vec<(NodeId, NodeId)> {
        let is_peer = |node| matches!(self.kind(node), NodeKind::Service | NodeKind::McpServer);
        let mut found = BTreeMap::<NodeId, Option<NodeId>>::new();
        for alias in self.aliases.keys().filter(|alias| is_peer(alias.outer)) {
            found
                .entry(alias.outer)
                .and_modify(|only| *only = only.filter(|node| *node == alias.inner))
                .or_insert(Some(alias.inner));
        }
        found
            .into_iter()
            .filter_map(|(peer, only)| Some((peer, only?)))
            .collect()
    }

    fn key(&self, node: NodeId) -> Option<&NodeKey> {
        self.records.get(node.0 as usize).map(|record| &record.key)
    }

    fn kind(&self, node: NodeId) -> NodeKind {
        self.key(node).map_or(NodeKind::Service, |key| key.kind)
    }

    /// An edge between the nodes that are shown; what is folded into an agent is called like one (E-17).
    fn seen_as(&self, raw: EdgeKey, shown: &[NodeId]) -> EdgeKey {
        let end = |node: NodeId| shown.get(node.0 as usize).copied().unwrap_or(node);
        let (from, to) = (end(raw.from), end(raw.to));
        if (from, to) == (raw.from, raw.to) {
            return raw;
        }
        let kind = match raw.kind {
            EdgeKind::Invokes | EdgeKind::Delegates | EdgeKind::UsesTool => {
                self.kind(to).edge_from(self.kind(from))
            }
            other => other,
        };
        EdgeKey { from, to, kind }
    }
}

/// E-16: messages between two agents of whose handoffs spans tell are those handoffs, and so are their failures. Where there
/// are fewer handoffs than messages, both stand.
fn pass_on_messages(edges: &mut BTreeMap<EdgeKey, Counts>) {
    let handoffs: Vec<EdgeKey> = edges
        .keys()
        .filter(|edge| edge.kind == EdgeKind::HandsOff)
        .copied()
        .collect();
    for edge in handoffs {
        let message = EdgeKey {
            kind: EdgeKind::Messages,
            ..edge
        };
        let calls = |key: &EdgeKey| edges.get(key).map_or(0, |counts| counts.calls);
        if calls(&message) > calls(&edge) {
            continue;
        }
        let Some(told) = edges.remove(&message) else {
            continue;
        };
        if let Some(counts) = edges.get_mut(&edge) {
            for (at, ended) in told.outcomes.iter().enumerate().skip(1) {
                let moved = (*ended).clamp(0, counts.outcomes[Outcome::Ok as usize].max(0));
                counts.outcomes[at] += moved;
                counts.outcomes[Outcome::Ok as usize] -= moved;
            }
        }
    }
}

fn add_at(sums: &mut Vec<Counts>, at: usize, counts: &Counts) {
    if at >= sums.len() {
        sums.resize(at + 1, Counts::default());
    }
    sums[at].add(counts);
}
