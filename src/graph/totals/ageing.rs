//! Entries age out: what nothing has changed for long leaves the graph, and its number may be another's (R-GRA-3, D2).
//!
//! ```text
//! idle ─▶ no shard refers to it ─▶ forgotten: name, sums, aliases ─▶ no worker, no shard refers to it ─▶ given anew
//!                                    └ what comes with its number is counted where its name is now
//! ```
//!
//! A number is asked about before it is forgotten, so that no span that was counted under it is there to be taken back: what
//! comes later was counted later, and all of it is moved to the name's new number, more and less alike.
//!
//! A node is idle when nothing was counted of it, and of no edge at it. So a node's edges are never younger than it is. What
//! has a name and was never counted ages likewise; the shards say whether their spans need it.
//!
//! **Not here.** When (`guard`), who refers to what (`forget`).

use crate::base::{EdgeId, Nanos, NodeId};
use crate::graph::counts::Counts;
use crate::graph::interner::{EdgeKey, NodeRecord, OVERFLOW};
use crate::graph::ledger::Alias;
use crate::graph::numbers::Numbers;
use crate::graph::shard::Changes;
use crate::graph::totals::{Raw, Totals};
use crate::graph::trials::Trials;
use crate::scan::Intern;
use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

/// When something was changed last.
#[derive(Clone, Copy, Debug)]
pub(super) struct Age {
    /// Changed since ages were looked at last.
    pub(super) is_touched: bool,
    /// When it was seen to have changed, seconds of stream time.
    since: u32,
}

impl Age {
    pub(super) fn new() -> Age {
        Age {
            is_touched: true,
            since: 0,
        }
    }

    /// Whether it has been left alone so long.
    fn is_idle(&mut self, now: u32, after: u32) -> bool {
        if std::mem::take(&mut self.is_touched) {
            self.since = now;
        }
        now.saturating_sub(self.since) >= after
    }
}

/// How much left the graph.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Expired {
    /// Nodes that were shown.
    pub nodes: u64,
    /// Edges that were shown.
    pub edges: u64,
}

impl Totals {
    /// What nothing has changed for so long, in stream time. Ages are as exact as the time between two calls. Looks at all.
    pub fn idle(&mut self, now: Nanos, after: Duration) -> Numbers {
        self.learn();
        let seconds = |nanos: u64| u32::try_from(nanos / 1_000_000_000).unwrap_or(u32::MAX);
        let now = seconds(now.0);
        let after = u32::try_from(after.as_secs()).unwrap_or(u32::MAX);
        let mut idle = Numbers::default();
        for (record, raw) in self.records.iter().zip(&mut self.nodes) {
            let is_gone = self.retired.has_node(record.node) || self.free.has_node(record.node);
            let is_idle = raw.age.is_idle(now, after);
            if is_idle && !is_gone && &*record.key.name != OVERFLOW {
                idle.insert_node(record.node);
            }
        }
        let records = &self.records;
        let is_overflow = |node: NodeId| {
            let record = records.get(node.0 as usize);
            record.is_some_and(|record| &*record.key.name == OVERFLOW)
        };
        for (edge, raw) in (0..).map(EdgeId).zip(&mut self.edges) {
            let is_idle = raw.age.is_idle(now, after);
            let is_gone = self.retired.has_edge(edge) || self.free.has_edge(edge);
            let stays = is_overflow(raw.row.from) && is_overflow(raw.row.to);
            if is_idle && !is_gone && !stays {
                idle.insert_edge(edge);
            }
        }
        idle
    }

    /// These are needed still: they are idle no sooner than what changes now.
    pub fn touch(&mut self, numbers: &Numbers) {
        for node in numbers.nodes() {
            if let Some(raw) = self.nodes.get_mut(node.0 as usize) {
                raw.age.is_touched = true;
            }
        }
        for edge in numbers.edges() {
            if let Some(raw) = self.edges.get_mut(edge.0 as usize) {
                raw.age.is_touched = true;
            }
        }
    }

    /// Lets go of these: the next snapshot, which is due before anything else is absorbed, does not show them, and their names
    /// are given other numbers when they come again. No shard may refer to them now.
    pub fn forget(&mut self, numbers: &Numbers) -> Expired {
        let expired = self.shown_of(numbers);
        self.before = Some(self.last.clone());
        for node in numbers.nodes() {
            self.interner.forget_node(node);
            if let Some(row) = self.touch_node(node) {
                row.counts = Counts::default();
            }
        }
        for edge in numbers.edges() {
            self.retire_edge(edge);
        }
        self.retired.add(numbers);
        self.forgotten.add(numbers);
        let before = self.aliases.len();
        self.aliases
            .retain(|alias, _| !numbers.has_node(alias.outer) && !numbers.has_node(alias.inner));
        self.have_aliases_changed |= self.aliases.len() != before;
        self.pairs.forget(|edge| numbers.has_edge(edge));
        // what the shards have made of them since they were asked
        self.learn();
        expired
    }

    /// How many rows the last snapshot has for these and nothing else.
    fn shown_of(&self, numbers: &Numbers) -> Expired {
        let layout = &self.last.structure.layout;
        let nodes = numbers.nodes().filter(|node| {
            let row = layout.row(*node);
            row.and_then(|row| layout.nodes.get(row as usize)) == Some(node)
        });
        let edges = numbers.edges().filter(|edge| {
            let sources = layout
                .edge_row(*edge)
                .map(|row| layout.edge_sources.get(row));
            sources.is_some_and(|sources| {
                sources.first() == Some(edge) && sources.iter().all(|edge| numbers.has_edge(*edge))
            })
        });
        Expired {
            nodes: nodes.count() as u64,
            edges: edges.count() as u64,
        }
    }

    /// Forgets an edge.
    fn retire_edge(&mut self, edge: EdgeId) {
        self.interner.forget_edge(edge);
        self.retired.insert_edge(edge);
        let Some(raw) = self.edges.get_mut(edge.0 as usize) else {
            return;
        };
        if !std::mem::replace(&mut raw.is_dirty, true) {
            self.dirty_edges.push(edge);
        }
        let row = Arc::make_mut(&mut raw.row);
        (row.counts, row.trials) = (Counts::default(), Trials::default());
    }

    /// What was forgotten and is nobody's yet.
    #[must_use]
    pub fn retired(&self) -> &Numbers {
        &self.retired
    }

    /// What the last snapshot shows no more because it aged: whoever keeps something by number starts it anew.
    #[must_use]
    pub fn let_go(&self) -> &Numbers {
        &self.let_go
    }

    /// Those of the retired that nobody refers to, neither a shard nor a worker nor a request under way, may be given to
    /// others; `kept` are the rest.
    pub fn recycle(&mut self, asked: &Numbers, kept: &Numbers) {
        // edges that a shard has named meanwhile with a number that is about to go
        self.learn();
        let mut free = asked.clone();
        free.remove(kept);
        self.retired.remove(&free);
        self.free.add(&free);
        self.interner.recycle(&free);
    }

    /// The same changes, where numbers were forgotten with those that their names have now.
    pub fn redirect<'c>(&mut self, changes: &'c Changes) -> Cow<'c, Changes> {
        self.learn();
        if self.retired.is_empty() {
            return Cow::Borrowed(changes);
        }
        let mut changes = changes.clone();
        // every list, so that a new one is not overlooked
        let Changes {
            nodes,
            edges,
            aliases,
            node_cells,
            edge_cells,
            trials,
            followed,
            fans,
            stats: _,
            at: _,
        } = &mut changes;
        for (node, _) in nodes {
            self.to_now(node);
        }
        for (node, ..) in node_cells {
            self.to_now(node);
        }
        for (Alias { outer, inner }, _) in aliases {
            self.to_now(outer);
            self.to_now(inner);
        }
        for (edge, _) in edges {
            self.edge_to_now(edge);
        }
        for (edge, ..) in edge_cells {
            self.edge_to_now(edge);
        }
        for (edge, _) in trials {
            self.edge_to_now(edge);
        }
        for ((first, second), _) in followed {
            self.edge_to_now(first);
            self.edge_to_now(second);
        }
        for (fan, _) in fans {
            let mut edges = fan.edges.to_vec();
            edges.iter_mut().for_each(|edge| self.edge_to_now(edge));
            // each once, in order
            edges.sort_unstable();
            edges.dedup();
            fan.edges = edges.into();
            fan.then.iter_mut().for_each(|edge| self.edge_to_now(edge));
        }
        Cow::Owned(changes)
    }

    /// Replaces a number that was forgotten with the one that its name has now.
    fn to_now(&mut self, node: &mut NodeId) {
        if self.retired.has_node(*node)
            && let Some(record) = self.records.get(node.0 as usize)
        {
            let record = Arc::clone(record);
            *node = self.interner.node(record.key.clone(), &record.display).id;
            self.learn();
        }
    }

    fn edge_to_now(&mut self, edge: &mut EdgeId) {
        if self.retired.has_edge(*edge)
            && let Some(key) = self.keys.get(edge.0 as usize)
        {
            let EdgeKey {
                mut from,
                mut to,
                kind,
            } = *key;
            self.to_now(&mut from);
            self.to_now(&mut to);
            *edge = self.interner.edge(EdgeKey { from, to, kind }).0;
            self.learn();
        }
    }

    /// A number is another's now.
    pub(super) fn renew_node(&mut self, number: u32, record: Arc<NodeRecord>) {
        let at = number as usize;
        if let (Some(place), Some(raw)) = (self.records.get_mut(at), self.nodes.get_mut(at)) {
            self.have_aliases_changed |= raw.is_shown;
            self.free.remove_node(record.node);
            *raw = Raw::of_node(&record);
            *place = record;
        }
    }

    /// The same of an edge's number.
    pub(super) fn renew_edge(&mut self, number: u32, key: EdgeKey) {
        let at = number as usize;
        if let (Some(place), Some(raw)) = (self.keys.get_mut(at), self.edges.get_mut(at)) {
            self.have_aliases_changed |= raw.is_shown;
            self.free.remove_edge(EdgeId(number));
            *raw = Raw::of_edge(key);
            *place = key;
        }
    }

    /// Looks at an edge that has just been named: its ends are in use; but if one was forgotten before, it goes with it.
    pub(super) fn welcome_edge(&mut self, number: usize) {
        let Some(EdgeKey { from, to, .. }) = self.keys.get(number).copied() else {
            return;
        };
        if self.retired.has_node(from) || self.retired.has_node(to) {
            if let Ok(number) = u32::try_from(number) {
                self.retire_edge(EdgeId(number));
            }
            return;
        }
        for end in [from, to] {
            if let Some(raw) = self.nodes.get_mut(end.0 as usize) {
                raw.age.is_touched = true;
            }
        }
    }
}
