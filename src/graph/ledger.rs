//! A shard's counters: plain memory, one writer, and a list of what changed since the tick last asked.
//!
//! **Bounds.** As many edges and nodes as the interner gives numbers for, and this shard has seen.
//! **Invariant.** What is handed over is a difference: the sums live with the tick.

use crate::base::{EdgeId, NodeId};
use crate::graph::counting::Posted;
use crate::graph::counts::Counts;
use crate::graph::interner::{EdgeKey, Interner};
use crate::graph::latency::Near;
use crate::graph::numbers::{Bits, Numbers};
use crate::graph::window::{Bucket, Cell, Recent, Spilled};
use crate::scan::hash;
use hashbrown::HashTable;
use std::sync::Arc;

/// Two nodes that are one (B-07), as one place in a trace shows it: the second ran right inside the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Alias {
    /// The outer: a workflow, an agent or a tool.
    pub outer: NodeId,
    /// The inner: an agent or a workflow of the same name.
    pub inner: NodeId,
}

/// A shard's number of an edge.
pub(crate) type EdgeSlot = u32;

/// One thing's difference since the last hand-over.
#[derive(Clone, Debug)]
struct Row<Id> {
    id: Id,
    is_changed: bool,
    recent: Recent,
    /// Of how long calls took, what is not in `counts` yet.
    near: Option<Near>,
    counts: Counts,
}

impl<Id> Row<Id> {
    fn new(id: Id) -> Row<Id> {
        Row {
            id,
            is_changed: false,
            recent: Recent::default(),
            near: None,
            counts: Counts::default(),
        }
    }

    /// Adds a call; answers what has to be kept elsewhere of when calls ended.
    #[inline]
    fn add(&mut self, posted: &Posted<'_>) -> Option<(Bucket, Cell)> {
        posted.add_to(&mut self.counts);
        let (bucket, octave, cell) = posted.ended()?;
        match &mut self.near {
            Some(near) => near.add_or(octave, posted.sign, &mut self.counts.latency),
            near => near.insert(Near::around(octave)).add_or(
                octave,
                posted.sign,
                &mut self.counts.latency,
            ),
        }
        self.recent.add(bucket, cell)
    }
}

/// Most cells of edges, and of nodes, that do not fit beside their counts.
const MOST_SPILLED: usize = 1 << 17;

/// What changed since the last hand-over.
pub(crate) struct Differences {
    pub(crate) nodes: Vec<(NodeId, Counts)>,
    pub(crate) edges: Vec<(EdgeId, Counts)>,
    pub(crate) aliases: Vec<(Alias, i64)>,
    pub(crate) node_cells: Vec<(NodeId, Bucket, Cell)>,
    pub(crate) edge_cells: Vec<(EdgeId, Bucket, Cell)>,
}

/// Counters of a shard.
pub(crate) struct Ledger {
    interner: Arc<Interner>,
    seed: u64,
    slots: HashTable<(EdgeKey, EdgeSlot)>,
    edges: Vec<Row<EdgeId>>,
    /// Places of edges that were let go.
    free_edges: Vec<EdgeSlot>,
    /// Of each edge: its number everywhere, and where it begins.
    ends: Vec<(EdgeId, NodeId)>,
    changed_edges: Vec<EdgeSlot>,
    spilled_edges: Spilled,
    /// By the node's number: its row plus one, 0 for none.
    node_rows: Vec<u32>,
    nodes: Vec<Row<NodeId>>,
    changed_nodes: Vec<u32>,
    spilled_nodes: Spilled,
    aliases: HashTable<(Alias, i64)>,
}

impl Ledger {
    pub(crate) fn new(interner: Arc<Interner>, seed: u64) -> Self {
        Ledger {
            interner,
            seed,
            slots: HashTable::new(),
            edges: Vec::new(),
            free_edges: Vec::new(),
            ends: Vec::new(),
            changed_edges: Vec::new(),
            spilled_edges: Spilled::new(MOST_SPILLED),
            node_rows: Vec::new(),
            nodes: Vec::new(),
            changed_nodes: Vec::new(),
            spilled_nodes: Spilled::new(MOST_SPILLED),
            aliases: HashTable::new(),
        }
    }

    /// The shard's number of an edge. Asks the interner on first sight, and each time for one that found no room there.
    #[inline]
    pub(crate) fn edge(&mut self, key: EdgeKey) -> EdgeSlot {
        let hash = hash_of(self.seed, key);
        if let Some((_, slot)) = self.slots.find(hash, |(known, _)| *known == key) {
            return *slot;
        }
        let (id, kept) = self.interner.edge(key);
        let hash = hash_of(self.seed, kept);
        if let Some((_, slot)) = self.slots.find(hash, |(known, _)| *known == kept) {
            return *slot;
        }
        let slot = self.place(id, kept.from);
        let seed = self.seed;
        self.slots
            .insert_unique(hash, (kept, slot), |(key, _)| hash_of(seed, *key));
        slot
    }

    /// A place for an edge: one that was given back, or a new one.
    fn place(&mut self, id: EdgeId, from: NodeId) -> EdgeSlot {
        if let Some(slot) = self.free_edges.pop() {
            self.edges[slot as usize] = Row::new(id);
            self.ends[slot as usize] = (id, from);
            return slot;
        }
        self.edges.push(Row::new(id));
        self.ends.push((id, from));
        u32::try_from(self.edges.len() - 1).unwrap_or(u32::MAX)
    }

    /// Lets go the edges of these numbers, and those at these nodes, unless they are `held` by spans, kept or have changed;
    /// what stays is added to `kept`.
    pub(crate) fn forget(&mut self, candidates: &Numbers, held: &Bits, kept: &mut Numbers) {
        let mut gone = Vec::new();
        self.slots.retain(|(key, slot)| {
            let row = &self.edges[*slot as usize];
            let is_candidate = candidates.has_edge(row.id)
                || candidates.has_node(key.from)
                || candidates.has_node(key.to);
            let stays = held.has(*slot) || row.is_changed || kept.has_edge(row.id);
            if is_candidate && stays {
                kept.insert_edge(row.id);
                kept.insert_node(key.from);
                kept.insert_node(key.to);
            } else if is_candidate {
                gone.push(*slot);
            }
            !is_candidate || stays
        });
        self.free_edges.extend(gone);
        for slot in &self.changed_nodes {
            kept.insert_node(self.nodes[*slot as usize].id);
        }
        for (alias, _) in &self.aliases {
            kept.insert_node(alias.outer);
            kept.insert_node(alias.inner);
        }
    }

    /// An edge's number everywhere, and the node from which it comes.
    #[inline]
    pub(crate) fn edge_of(&self, slot: EdgeSlot) -> (EdgeId, NodeId) {
        self.ends[slot as usize]
    }

    /// Counts a call for an edge, or takes it back.
    #[inline]
    pub(crate) fn add_to_edge(&mut self, slot: EdgeSlot, posted: &Posted<'_>) {
        let row = &mut self.edges[slot as usize];
        if !row.is_changed {
            row.is_changed = true;
            self.changed_edges.push(slot);
        }
        if let Some(older) = row.add(posted) {
            self.spilled_edges.push(slot, older);
        }
    }

    /// The same for a node; `is_entry` says that nobody in sight called it.
    #[inline]
    pub(crate) fn add_to_node(&mut self, node: NodeId, posted: &Posted<'_>, is_entry: bool) {
        let at = node.0 as usize;
        if at >= self.node_rows.len() {
            self.node_rows.resize(at + 1, 0);
        }
        if self.node_rows[at] == 0 {
            self.nodes.push(Row::new(node));
            self.node_rows[at] = u32::try_from(self.nodes.len()).unwrap_or(u32::MAX);
        }
        let slot = self.node_rows[at] - 1;
        let row = &mut self.nodes[slot as usize];
        if !row.is_changed {
            row.is_changed = true;
            self.changed_nodes.push(slot);
        }
        row.counts.entries += posted.sign * i64::from(is_entry);
        if let Some(older) = row.add(posted) {
            self.spilled_nodes.push(slot, older);
        }
    }

    /// One span more or fewer says that two nodes are one.
    pub(crate) fn add_alias(&mut self, alias: Alias, sign: i64) {
        let seed = self.seed;
        let hash = |alias: &Alias| {
            hash::word(
                seed,
                u64::from(alias.outer.0) << 32 | u64::from(alias.inner.0),
            )
        };
        self.aliases
            .entry(
                hash(&alias),
                |(known, _)| *known == alias,
                |(known, _)| hash(known),
            )
            .or_insert((alias, 0))
            .into_mut()
            .1 += sign;
    }

    /// Hands over what changed and starts anew.
    pub(crate) fn take(&mut self) -> Differences {
        let (nodes, node_cells) = taken(
            &mut self.nodes,
            &mut self.changed_nodes,
            &mut self.spilled_nodes,
        );
        let (edges, edge_cells) = taken(
            &mut self.edges,
            &mut self.changed_edges,
            &mut self.spilled_edges,
        );
        Differences {
            nodes,
            edges,
            node_cells,
            edge_cells,
            aliases: self
                .aliases
                .drain()
                .filter(|(_, spans)| *spans != 0)
                .collect(),
        }
    }
}

/// Rows' differences, and the same by when it happened.
type Taken<Id> = (Vec<(Id, Counts)>, Vec<(Id, Bucket, Cell)>);

fn taken<Id: Copy>(
    rows: &mut [Row<Id>],
    changed: &mut Vec<u32>,
    spilled: &mut Spilled,
) -> Taken<Id> {
    let recent = changed.iter().flat_map(|slot| {
        let recent = rows[*slot as usize].recent;
        recent.cells().map(|(bucket, cell)| (*slot, bucket, cell))
    });
    let cells = spilled.take(recent).into_iter();
    let cells = cells.map(|(slot, bucket, cell)| (rows[slot as usize].id, bucket, cell));
    let cells = cells.collect();
    let counts = changed.drain(..).map(|slot| {
        let row = &mut rows[slot as usize];
        let mut counts = std::mem::take(&mut row.counts);
        if let Some(near) = row.near {
            near.add_to(&mut counts.latency);
        }
        *row = Row::new(row.id);
        (row.id, counts)
    });
    (counts.collect(), cells)
}

#[inline]
fn hash_of(seed: u64, key: EdgeKey) -> u64 {
    let ends = u64::from(key.from.0) << 32 | u64::from(key.to.0);
    hash::word(seed ^ key.kind as u64, ends)
}
