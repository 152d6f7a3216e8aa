//! As which node each is shown, and as which edge: what several names come to that mean one thing.
//!
//! **Invariant.** Depends on what is known, not on the order in which it became known.
//! **Not here.** What is counted (`totals`), how the rows lie (`build`).

use crate::base::NodeId;
use crate::graph::interner::{EdgeKey, NodeRecord};
use crate::graph::ledger::Alias;
use crate::scan::{EdgeKind, NodeKey, NodeKind};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

/// How names are folded.
pub(super) struct Fold<'t> {
    pub(super) records: &'t [Arc<NodeRecord>],
    /// By a node's number: the node as which it is shown.
    pub(super) shown: Vec<NodeId>,
    /// Agents for which it matters whether they were declared.
    pub(super) deciding: Vec<NodeId>,
}

impl<'t> Fold<'t> {
    /// What the aliases come to. `is_declared` says whether an agent declares itself.
    pub(super) fn new(
        records: &'t [Arc<NodeRecord>],
        aliases: &BTreeMap<Alias, i64>,
        is_declared: impl Fn(NodeId) -> bool,
    ) -> Self {
        let mut fold = Fold {
            records,
            shown: records.iter().map(|record| record.node).collect(),
            deciding: Vec::new(),
        };
        // N-15: of a workflow and an agent of one name the agent stays, if it is the inner one or was declared
        let mut pairs = BTreeMap::new();
        for alias in aliases.keys() {
            let (workflow, agent) = match (fold.kind(alias.outer), fold.kind(alias.inner)) {
                (NodeKind::Workflow, NodeKind::Agent) => (alias.outer, alias.inner),
                (NodeKind::Agent, NodeKind::Workflow) => (alias.inner, alias.outer),
                _ => continue,
            };
            fold.deciding.push(agent);
            *pairs.entry((workflow, agent)).or_insert(false) |= agent == alias.inner;
        }
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
        for alias in aliases.keys() {
            if fold.kind(alias.outer) == NodeKind::Tool {
                let inner = losers.get(&alias.inner).copied().unwrap_or(alias.inner);
                let best = tools.entry(alias.outer).or_insert(inner);
                if fold.key(inner) < fold.key(*best) {
                    *best = inner;
                }
            }
        }
        let peers = fold.found_peers(aliases);
        let steps = losers.into_iter().chain(tools).chain(peers).collect();
        fold.follow(&steps);
        fold
    }

    /// Follows each to its end: what is shown as another that is shown as a third is the third. Of those that lead in a
    /// circle the one with the smallest key stays.
    fn follow(&mut self, steps: &HashMap<NodeId, NodeId>) {
        let mut ends = HashMap::<NodeId, NodeId>::new();
        for start in steps.keys() {
            let mut path = Vec::new();
            let mut places = HashMap::new();
            let mut at = *start;
            let end = loop {
                if let Some(end) = ends.get(&at) {
                    break *end;
                }
                if let Some(place) = places.insert(at, path.len()) {
                    let circle = path.get(place..).unwrap_or_default();
                    let smallest = circle.iter().min_by_key(|node| self.key(**node));
                    break smallest.copied().unwrap_or(at);
                }
                path.push(at);
                match steps.get(&at) {
                    Some(next) => at = *next,
                    None => break at,
                }
            };
            ends.extend(path.into_iter().map(|node| (node, end)));
        }
        for (from, to) in ends {
            if let Some(place) = self.shown.get_mut(from.0 as usize) {
                *place = to;
            }
        }
    }

    /// B-07: peers known by an address behind which one node alone has answered.
    fn found_peers(&self, aliases: &BTreeMap<Alias, i64>) -> Vec<(NodeId, NodeId)> {
        let is_peer = |node| matches!(self.kind(node), NodeKind::Service | NodeKind::McpServer);
        let mut found = BTreeMap::<NodeId, Option<NodeId>>::new();
        for alias in aliases.keys().filter(|alias| is_peer(alias.outer)) {
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

    /// N-27: calls of models without a name, and the only model that their source calls at that provider. `edges` are those
    /// that are shown, in any order, repeated or not.
    pub(super) fn only_models(
        &self,
        edges: impl Iterator<Item = EdgeKey> + Clone,
    ) -> HashMap<EdgeKey, NodeId> {
        let models = edges.filter(|edge| edge.kind == EdgeKind::CallsModel);
        let is_nameless = |edge: &EdgeKey| {
            let name = self.key(edge.to).map(|key| &*key.name);
            name.is_some_and(|name| name.starts_with("unknown@"))
        };
        let nameless: HashSet<EdgeKey> = models.clone().filter(is_nameless).collect();
        // by source: the only model of all, and of each provider
        let mut of_all: HashMap<NodeId, Only> = nameless
            .iter()
            .map(|edge| (edge.from, Only::Nothing))
            .collect();
        if nameless.is_empty() {
            return HashMap::new();
        }
        let mut of_provider = HashMap::<(NodeId, &str), Only>::new();
        for edge in models {
            if let Some(only) = of_all.get_mut(&edge.from)
                && !is_nameless(&edge)
                && let Some(key) = self.key(edge.to)
            {
                only.see(edge.to);
                let provider = of_provider.entry((edge.from, &key.scope));
                provider.or_insert(Only::Nothing).see(edge.to);
            }
        }
        let only = |edge: EdgeKey| {
            let only = match &*self.key(edge.to)?.scope {
                "unknown" => of_all.get(&edge.from)?,
                provider => of_provider.get(&(edge.from, provider))?,
            };
            match only {
                Only::One(model) => Some((edge, *model)),
                Only::Nothing | Only::Several => None,
            }
        };
        nameless.into_iter().filter_map(only).collect()
    }

    fn key(&self, node: NodeId) -> Option<&NodeKey> {
        self.records.get(node.0 as usize).map(|record| &record.key)
    }

    fn kind(&self, node: NodeId) -> NodeKind {
        self.key(node).map_or(NodeKind::Service, |key| key.kind)
    }

    /// An edge between the nodes that are shown; what is folded into an agent is called like one (E-17).
    pub(super) fn seen_as(&self, raw: EdgeKey) -> EdgeKey {
        let end = |node: NodeId| self.shown.get(node.0 as usize).copied().unwrap_or(node);
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

/// How many have been seen, and which if it is one.
enum Only {
    Nothing,
    One(NodeId),
    Several,
}

impl Only {
    fn see(&mut self, node: NodeId) {
        *self = match self {
            Only::Nothing => Only::One(node),
            Only::One(one) if *one == node => Only::One(node),
            Only::One(_) | Only::Several => Only::Several,
        };
    }
}
