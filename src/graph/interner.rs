//! Numbers for nodes and edges, given once (D2).
//!
//! ```text
//! NodeKey ─▶ DashMap ─ known ─▶ NodeId          first sight only: workers and shards remember the rest
//!                    └ new ───▶ row (key, id text, encoded attributes), NodeId = its place; no room: the kind's overflow
//! ```
//!
//! **Bounds.** `max_nodes` and `max_edges`, plus one overflow node a kind and the edges between those. What finds no room
//! is counted ([`Interner::refused`]).
//! **Invariants.** Ids are dense. One is given to another only when it was forgotten here and nobody else knows it: whoever
//! carries numbers holds the [`Epoch`] in which he got them.
//! **Not here.** Counts (`ledger`), which entries are old (`totals`), whether a number is known still (`forget`).

use crate::base::sync::{AtomicU64, Ordering};
use crate::base::{EdgeId, NodeId};
use crate::graph::numbers::Numbers;
use crate::otlp::{NewValue, encode_span_attribute, semconv};
use crate::scan::{EdgeKind, Intern, Interned, NodeKey, NodeKind};
use arc_swap::ArcSwap;
use dashmap::DashMap;
use dashmap::mapref::entry::Entry;
use parking_lot::RwLock;
use std::sync::Arc;

/// The name of the node that stands for all of a kind that found no room.
pub const OVERFLOW: &str = "_overflow";

/// Which edge, before it has a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EdgeKey {
    /// The side that starts the interaction.
    pub from: NodeId,
    /// The side that receives it.
    pub to: NodeId,
    /// What the interaction is.
    pub kind: EdgeKind,
}

/// What is known of a node for as long as it has its number.
#[derive(Debug)]
pub struct NodeRecord {
    /// Its number.
    pub node: NodeId,
    /// Who it is.
    pub key: NodeKey,
    /// `kind:scope/name`.
    pub id: Box<str>,
    /// The spelling that was seen first.
    pub display: Box<str>,
    /// `agentguard.node.id` and `agentguard.node.kind`, encoded for the splice.
    pub attributes: Arc<[u8]>,
}

/// The most that is interned.
#[derive(Clone, Copy, Debug)]
pub struct InternLimits {
    /// Nodes, over all realms.
    pub nodes: usize,
    /// Edges, over all realms.
    pub edges: usize,
}

/// A time in which a number stood for one thing. Whoever holds one may hold numbers of that time.
#[derive(Debug, Default)]
pub struct Epoch {
    /// How many there were before.
    pub number: u64,
}

/// What has a number, and the numbers that nothing has.
#[derive(Debug)]
struct Slots<T> {
    rows: Vec<T>,
    free: Vec<u32>,
    /// Given to another since the tick asked; at most as many as there are.
    renewed: Vec<u32>,
}

impl<T> Slots<T> {
    fn new(rows: Vec<T>) -> Self {
        Slots {
            rows,
            free: Vec::new(),
            renewed: Vec::new(),
        }
    }

    /// Gives a number, unless so many are given already.
    fn give(&mut self, limit: usize, make: impl FnOnce(u32) -> T) -> Option<&T> {
        if let Some(number) = self.free.pop() {
            let place = self.rows.get_mut(number as usize)?;
            *place = make(number);
            self.renewed.push(number);
            return Some(place);
        }
        let number = u32::try_from(self.rows.len()).ok()?;
        if self.rows.len() >= limit {
            return None;
        }
        self.rows.push(make(number));
        self.rows.last()
    }

    /// What is new from a number on, and what has a number that was another's.
    fn learn(&mut self, known: usize) -> Learned<T>
    where
        T: Clone,
    {
        let at = |number: u32| Some((number, self.rows.get(number as usize)?.clone()));
        Learned {
            renewed: self.renewed.drain(..).filter_map(at).collect(),
            new: self.rows.get(known..).unwrap_or_default().to_vec(),
        }
    }
}

/// What the tick has not heard of yet.
pub(crate) struct Learned<T> {
    /// Numbers that were another's.
    pub(crate) renewed: Vec<(u32, T)>,
    /// From the first unknown number on.
    pub(crate) new: Vec<T>,
}

/// Gives numbers. Shared by all workers and shards.
pub struct Interner {
    limits: InternLimits,
    nodes: DashMap<NodeKey, Interned>,
    edges: DashMap<EdgeKey, EdgeId>,
    /// Written on first sight of a node, read by the tick: dense numbers need one order.
    node_rows: RwLock<Slots<Arc<NodeRecord>>>,
    /// The same for edges.
    edge_rows: RwLock<Slots<EdgeKey>>,
    epoch: ArcSwap<Epoch>,
    refused_nodes: AtomicU64,
    refused_edges: AtomicU64,
}

impl Interner {
    /// An interner that knows the overflow nodes only.
    #[must_use]
    pub fn new(limits: InternLimits) -> Self {
        let overflow = NodeKind::ALL
            .iter()
            .zip(0..)
            .map(|(kind, id)| {
                let key = NodeKey {
                    kind: *kind,
                    realm: Arc::from(""),
                    scope: "-".into(),
                    name: OVERFLOW.into(),
                };
                Arc::new(record(NodeId(id), key, OVERFLOW))
            })
            .collect();
        Interner {
            limits,
            nodes: DashMap::new(),
            edges: DashMap::new(),
            node_rows: RwLock::new(Slots::new(overflow)),
            edge_rows: RwLock::new(Slots::new(Vec::new())),
            epoch: ArcSwap::default(),
            refused_nodes: AtomicU64::new(0),
            refused_edges: AtomicU64::new(0),
        }
    }

    /// The most that it knows.
    #[must_use]
    pub fn limits(&self) -> InternLimits {
        self.limits
    }

    /// The present epoch. Whoever takes numbers from here to a shard holds it until the shard has them, and forgets names
    /// that it learned in another.
    #[must_use]
    pub fn epoch(&self) -> Arc<Epoch> {
        self.epoch.load_full()
    }

    /// Begins another epoch; hands back the one that ended. When nobody else holds that one, nobody brings its numbers.
    pub(crate) fn next_epoch(&self) -> Arc<Epoch> {
        // one writer, the tick
        let number = self.epoch.load().number + 1;
        self.epoch.swap(Arc::new(Epoch { number }))
    }

    /// The number of an edge, and the key under which it is counted: its own, or the overflow's.
    pub fn edge(&self, key: EdgeKey) -> (EdgeId, EdgeKey) {
        if let Some(id) = self.edges.get(&key) {
            return (*id, key);
        }
        if let Some(id) = self.insert_edge(key, self.limits.edges) {
            return (id, key);
        }
        self.refused_edges.fetch_add(1, Ordering::Relaxed);
        let kept = EdgeKey {
            from: self.overflow_of(key.from),
            to: self.overflow_of(key.to),
            kind: key.kind,
        };
        // at most kinds × kinds × edge kinds of these
        let id = self.insert_edge(kept, usize::MAX).unwrap_or(EdgeId(0));
        (id, kept)
    }

    fn insert_edge(&self, key: EdgeKey, limit: usize) -> Option<EdgeId> {
        match self.edges.entry(key) {
            Entry::Occupied(known) => Some(*known.get()),
            Entry::Vacant(place) => {
                let mut rows = self.edge_rows.write();
                let mut id = None;
                rows.give(limit, |number| {
                    id = Some(EdgeId(number));
                    key
                });
                place.insert(id?);
                id
            }
        }
    }

    /// Forgets a node's name: at its next sight it is given another number.
    pub(crate) fn forget_node(&self, node: NodeId) {
        if let Some(record) = self.record(node) {
            self.nodes
                .remove_if(&record.key, |_, known| known.id == node);
        }
    }

    /// The same for an edge.
    pub(crate) fn forget_edge(&self, edge: EdgeId) {
        let key = self.edge_rows.read().rows.get(edge.0 as usize).copied();
        if let Some(key) = key {
            self.edges.remove_if(&key, |_, known| *known == edge);
        }
    }

    /// May give these numbers, which nobody knows any more, to others.
    pub(crate) fn recycle(&self, numbers: &Numbers) {
        let mut rows = self.node_rows.write();
        rows.free.extend(numbers.nodes().map(|node| node.0));
        drop(rows);
        let mut rows = self.edge_rows.write();
        rows.free.extend(numbers.edges().map(|edge| edge.0));
    }

    /// Nodes from this number on, and those that have another's; each once.
    pub(crate) fn learn_nodes(&self, known: usize) -> Learned<Arc<NodeRecord>> {
        self.node_rows.write().learn(known)
    }

    /// Edges from this number on, and those that have another's; each once.
    pub(crate) fn learn_edges(&self, known: usize) -> Learned<EdgeKey> {
        self.edge_rows.write().learn(known)
    }

    fn overflow_of(&self, node: NodeId) -> NodeId {
        let kind = self
            .record(node)
            .map_or(NodeKind::Service, |record| record.key.kind);
        overflow(kind)
    }

    /// What is known of a node.
    #[must_use]
    pub fn record(&self, node: NodeId) -> Option<Arc<NodeRecord>> {
        self.node_rows.read().rows.get(node.0 as usize).cloned()
    }

    /// All nodes from this number on, in order.
    #[must_use]
    pub fn nodes_since(&self, number: usize) -> Vec<Arc<NodeRecord>> {
        let rows = self.node_rows.read();
        rows.rows.get(number..).unwrap_or_default().to_vec()
    }

    /// All edges from this number on, in order.
    #[must_use]
    pub fn edges_since(&self, number: usize) -> Vec<EdgeKey> {
        let rows = self.edge_rows.read();
        rows.rows.get(number..).unwrap_or_default().to_vec()
    }

    /// How often a node and an edge found no room.
    #[must_use]
    pub fn refused(&self) -> (u64, u64) {
        (
            self.refused_nodes.load(Ordering::Relaxed),
            self.refused_edges.load(Ordering::Relaxed),
        )
    }
}

impl Intern for Interner {
    fn node(&self, key: NodeKey, display: &str) -> Interned {
        if let Some(known) = self.nodes.get(&key) {
            return known.clone();
        }
        let kind = key.kind;
        match self.nodes.entry(key) {
            Entry::Occupied(known) => known.get().clone(),
            Entry::Vacant(place) => {
                let mut rows = self.node_rows.write();
                let limit = self.limits.nodes.saturating_add(NodeKind::ALL.len());
                let key = place.key().clone();
                let given = rows.give(limit, |id| Arc::new(record(NodeId(id), key, display)));
                if let Some(record) = given {
                    let interned = interned(record);
                    place.insert(interned.clone());
                    return interned;
                }
                self.refused_nodes.fetch_add(1, Ordering::Relaxed);
                let id = overflow(kind);
                let overflow = rows.rows.get(id.0 as usize);
                overflow.map_or_else(
                    || Interned {
                        id,
                        attributes: Arc::from(&b""[..]),
                    },
                    |record| interned(record),
                )
            }
        }
    }
}

fn interned(record: &Arc<NodeRecord>) -> Interned {
    Interned {
        id: record.node,
        attributes: Arc::clone(&record.attributes),
    }
}

/// The overflow nodes come first, in the order of the kinds.
fn overflow(kind: NodeKind) -> NodeId {
    NodeId(kind as u32)
}

fn record(node: NodeId, key: NodeKey, display: &str) -> NodeRecord {
    let id = key.id();
    let mut attributes = Vec::new();
    let kind = key.kind.as_str();
    encode_span_attribute(
        &mut attributes,
        semconv::AGENTGUARD_NODE_ID,
        NewValue::Str(&id),
    );
    encode_span_attribute(
        &mut attributes,
        semconv::AGENTGUARD_NODE_KIND,
        NewValue::Str(kind),
    );
    NodeRecord {
        node,
        key,
        id: id.into(),
        display: display.into(),
        attributes: attributes.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(kind: NodeKind, name: &str) -> NodeKey {
        NodeKey {
            kind,
            realm: Arc::from("prod"),
            scope: "-".into(),
            name: name.into(),
        }
    }

    #[test]
    fn a_key_has_one_number_and_realms_do_not_join() {
        let interner = Interner::new(InternLimits { nodes: 9, edges: 9 });
        let first = interner.node(key(NodeKind::Agent, "a"), "A").id;
        assert_eq!(interner.node(key(NodeKind::Agent, "a"), "a").id, first);
        assert_eq!(
            interner.record(first).map(|r| r.display.to_string()),
            Some("A".into())
        );
        let other = NodeKey {
            realm: Arc::from("test"),
            ..key(NodeKind::Agent, "a")
        };
        assert_ne!(interner.node(other, "a").id, first);
    }

    /// R-GRA-3: the table is bounded, and what does not fit is counted under its kind.
    #[test]
    fn what_finds_no_room_is_counted_as_overflow_of_its_kind() {
        let interner = Interner::new(InternLimits { nodes: 3, edges: 2 });
        let ids: Vec<NodeId> = (0..10)
            .map(|n| interner.node(key(NodeKind::Tool, &n.to_string()), "x").id)
            .collect();
        let overflow = interner.record(ids[9]).map(|record| record.id.to_string());
        assert_eq!(overflow, Some(format!("tool:-/{OVERFLOW}")));
        assert_eq!(interner.refused().0, 7);
        assert_eq!(
            interner.node(key(NodeKind::Tool, "1"), "x").id,
            ids[1],
            "old ones keep their number"
        );
        let edge = |from: usize, to: usize| {
            interner.edge(EdgeKey {
                from: ids[from],
                to: ids[to],
                kind: EdgeKind::Calls,
            })
        };
        let (first, second) = (edge(0, 1).0, edge(1, 2).0);
        assert_ne!(first, second);
        let (third, kept) = edge(2, 0);
        assert_eq!(kept.from, ids[9]);
        assert_eq!(edge(0, 2).0, third, "they share one");
        assert_eq!(edge(0, 1).0, first);
        assert_eq!(interner.refused().1, 2);
    }

    #[test]
    fn threads_agree_on_numbers() {
        let interner = Interner::new(InternLimits {
            nodes: 1_000,
            edges: 9,
        });
        let seen: Vec<Vec<NodeId>> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4)
                .map(|_| {
                    scope.spawn(|| {
                        (0..500)
                            .map(|n| interner.node(key(NodeKind::Agent, &n.to_string()), "").id)
                            .collect()
                    })
                })
                .collect();
            threads
                .into_iter()
                .map(|thread| thread.join().unwrap())
                .collect()
        });
        assert!(seen.iter().all(|ids| *ids == seen[0]));
        assert_eq!(interner.nodes_since(NodeKind::ALL.len()).len(), 500);
    }
}
