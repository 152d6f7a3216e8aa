//! Numbers for nodes and edges, given once (D2).
//!
//! ```text
//! NodeKey ─▶ DashMap ─ known ─▶ NodeId          first sight only: workers and shards remember the rest
//!                    └ new ───▶ row (key, id text, encoded attributes), NodeId = its place; no room: the kind's overflow
//! ```
//!
//! **Bounds.** `max_nodes` and `max_edges`, plus one overflow node a kind and the edges between those. What finds no room
//! is counted ([`Interner::refused`]).
//! **Invariants.** Ids are dense and are never given to another while the process lives; rows never change.
//! **Not here.** Counts (`ledger`), the ageing of entries that nobody sees any more.

use crate::base::sync::{AtomicU64, Ordering};
use crate::base::{EdgeId, NodeId};
use crate::otlp::{NewValue, encode_span_attribute, semconv};
use crate::scan::{EdgeKind, Intern, Interned, NodeKey, NodeKind};
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

/// What is known of a node for as long as the process lives.
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

/// Gives numbers. Shared by all workers and shards.
pub struct Interner {
    limits: InternLimits,
    nodes: DashMap<NodeKey, Interned>,
    edges: DashMap<EdgeKey, EdgeId>,
    /// Written on first sight of a node, read by the tick: dense numbers need one order.
    node_rows: RwLock<Vec<Arc<NodeRecord>>>,
    /// The same for edges.
    edge_rows: RwLock<Vec<EdgeKey>>,
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
            node_rows: RwLock::new(overflow),
            edge_rows: RwLock::default(),
            refused_nodes: AtomicU64::new(0),
            refused_edges: AtomicU64::new(0),
        }
    }

    /// The most that it knows.
    #[must_use]
    pub fn limits(&self) -> InternLimits {
        self.limits
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
                if rows.len() >= limit {
                    return None;
                }
                let id = EdgeId(u32::try_from(rows.len()).ok()?);
                rows.push(key);
                place.insert(id);
                Some(id)
            }
        }
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
        self.node_rows.read().get(node.0 as usize).cloned()
    }

    /// All nodes from this number on, in order.
    #[must_use]
    pub fn nodes_since(&self, number: usize) -> Vec<Arc<NodeRecord>> {
        self.node_rows
            .read()
            .get(number..)
            .unwrap_or_default()
            .to_vec()
    }

    /// All edges from this number on, in order.
    #[must_use]
    pub fn edges_since(&self, number: usize) -> Vec<EdgeKey> {
        self.edge_rows
            .read()
            .get(number..)
            .unwrap_or_default()
            .to_vec()
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
                let has_room = rows.len() < self.limits.nodes.saturating_add(NodeKind::ALL.len());
                let Some(id) = u32::try_from(rows.len()).ok().filter(|_| has_room) else {
                    self.refused_nodes.fetch_add(1, Ordering::Relaxed);
                    let id = overflow(kind);
                    let attributes = rows
                        .get(id.0 as usize)
                        .map(|record| Arc::clone(&record.attributes));
                    return Interned {
                        id,
                        attributes: attributes.unwrap_or_else(|| Arc::from(&b""[..])),
                    };
                };
                let record = Arc::new(record(NodeId(id), place.key().clone(), display));
                let interned = Interned {
                    id: record.node,
                    attributes: Arc::clone(&record.attributes),
                };
                rows.push(record);
                place.insert(interned.clone());
                interned
            }
        }
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
