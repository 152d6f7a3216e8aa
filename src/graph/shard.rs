//! The shard: sightings in, counter changes out (D3).
//!
//! ```text
//! sighting ─▶ its place in the tree ─▶ context from the parent ─▶ read: which edge, which node ─▶ count
//!                                         └─ changed: take back, count anew, go on with the children
//! ```
//!
//! A span's context says who runs it. It comes from the parent's context, or from the parent itself where that is the work
//! of a node; so each span is settled by one look at its parent, and what waits is settled when the missing one comes.
//!
//! A server's span answers the client's span that it lies in; a client's that nobody answers within `t_pair` is drawn to
//! the address it called. Rules that look beside a span are applied when the tick asks (`turns`).
//!
//! **Bounds.** The span table's, for what waits for an answer too; a sighting touches its own entry, its parent's, and the entries below it whose context it
//! changes. When the table is full, closed traces give way first, then settled spans without children, then the rest.
//! **Invariants.** The counters are a function of the set of spans seen, not of their order, as long as nothing was evicted
//! or given up in between (B-08). What was counted is taken back by the same numbers.
//! **Not here.** Clocks: `now` is stream time and an argument. What rates mean (the tick).

use crate::base::{EdgeId, Nanos, NodeId, SpanId, TraceId};
use crate::graph::counts::Counts;
use crate::graph::echoes::Echoes;
use crate::graph::entry::{Context, NONE, Slot, Standing};
use crate::graph::interner::Interner;
use crate::graph::ledger::{Alias, Differences, Ledger};
use crate::graph::links::Links;
use crate::graph::names::Names;
use crate::graph::table::{Shelf, SpanTable};
use crate::graph::trials::{Fan, Fell, Followed, Trials};
use crate::graph::turns;
use crate::graph::walk::{Learned, WalkSettings, WalkStats, Walks};
use crate::graph::window::{Bucket, Cell};
use crate::scan::{NO_NODE, Role, Sighting};
use std::collections::VecDeque;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

/// What shapes a shard.
#[derive(Clone, Copy, Debug)]
pub struct ShardSettings {
    /// Key of the hashes that strangers must not guess.
    pub seed: u64,
    /// Spans held for pairing, placeholders of missing parents among them.
    pub spans: usize,
    /// How long a trace without progress waits for a missing parent (B-04).
    pub t_orphan: Duration,
    /// How long a client's span waits for the server's before it is drawn to an address (B-06).
    pub t_pair: Duration,
    /// How long a trace is kept for what comes late (B-05).
    pub t_keep: Duration,
    /// The walk over traces that are complete.
    pub walk: WalkSettings,
}

/// Numbers of a shard's own life. Counters but for the last three.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ShardStats {
    /// Sightings taken.
    pub sightings: u64,
    /// Of those, spans that were there already (R-09).
    pub duplicates: u64,
    /// Entries that gave way because the table was full, of traces that were closed.
    pub evicted_closed: u64,
    /// The same, settled spans of open traces.
    pub evicted_settled: u64,
    /// The same, whole traces that still waited.
    pub evicted_waiting: u64,
    /// Entries that reached their age (`t_keep`).
    pub expired: u64,
    /// Missing parents that are not waited for any more.
    pub given_up: u64,
    /// Handoffs whose target the span does not say (E-15).
    pub unresolved_handoffs: u64,
    /// The closing walks.
    pub walks: WalkStats,
    /// Entries in the table.
    pub spans: u64,
    /// Spans whose source is not known yet.
    pub waiting: u64,
    /// Places in the table.
    pub capacity: u64,
}

/// What changed since the last hand-over.
#[derive(Clone, Debug, Default)]
pub struct Changes {
    /// Differences by node.
    pub nodes: Vec<(NodeId, Counts)>,
    /// Differences by edge.
    pub edges: Vec<(EdgeId, Counts)>,
    /// By how many spans more or fewer say that two nodes are one.
    pub aliases: Vec<(Alias, i64)>,
    /// What ended when, by node.
    pub node_cells: Vec<(NodeId, Bucket, Cell)>,
    /// What ended when, by edge.
    pub edge_cells: Vec<(EdgeId, Bucket, Cell)>,
    /// What failed calls led to, by edge.
    pub trials: Vec<(EdgeId, Trials)>,
    /// What followed on calls of the first edge: calls of the second.
    pub followed: Vec<((EdgeId, EdgeId), Followed)>,
    /// How callers fared when concurrent calls failed.
    pub fans: Vec<(Fan, Fell)>,
    /// The shard's numbers as they stand.
    pub stats: ShardStats,
    /// Stream time when it handed this over.
    pub at: Nanos,
}

/// How often a span may come to itself before its loop is cut open.
const ROUNDS: u32 = 4;

/// Pairs the spans of its traces. One writer.
pub struct Shard {
    settings: ShardSettings,
    pub(super) table: SpanTable,
    pub(super) ledger: Ledger,
    pub(super) walks: Walks,
    pub(super) stats: ShardStats,
    /// Clients' spans that wait for an answer, with the time until which they do. At most one per place in the table.
    unanswered: VecDeque<(Nanos, Slot, SpanId)>,
    /// Traces whose turns are to be looked at again, each once.
    pub(super) stirred: Vec<(Slot, TraceId)>,
    pub(super) names: Names,
    pub(super) echoes: Echoes,
    pub(super) links: Links,
    // work in hand, kept for its memory
    to_settle: Vec<Slot>,
    pub(super) to_remove: Vec<Slot>,
    /// Steps that became agents, or ceased to be, whose children are to be looked at.
    pub(super) woken: Vec<Slot>,
    /// How many spans were counted anew for what was found beside them.
    pub(super) recounts: u64,
}

impl Shard {
    /// An empty shard. Memory for its tables is reserved now and touched as it is used.
    #[must_use]
    pub fn new(settings: ShardSettings, interner: Arc<Interner>) -> Self {
        Shard {
            table: SpanTable::new(settings.spans, settings.seed),
            ledger: Ledger::new(interner, settings.seed),
            walks: Walks::new(settings.walk, settings.spans),
            settings,
            stats: ShardStats::default(),
            unanswered: VecDeque::new(),
            to_settle: Vec::new(),
            to_remove: Vec::new(),
            woken: Vec::new(),
            recounts: 0,
            stirred: Vec::new(),
            names: Names::default(),
            echoes: Echoes::new(settings.spans),
            links: Links::default(),
        }
    }

    /// Makes ready for sightings that are to be paired now: makes room, and has fetched what they will need side by side. They
    /// come to the same without.
    pub fn prepare(&mut self, batch: &[Sighting]) {
        let wanted = 2 * batch.len();
        // a small table would lose too much of what it has
        if wanted <= self.table.capacity() / 16 {
            self.make_room(wanted);
        }
        self.table.fetch(batch);
        if self.unanswered.len() + batch.len() > self.settings.spans {
            for (_, slot, span) in self.unanswered.iter().take(batch.len()) {
                black_box(self.table.holds(*slot, *span));
            }
        }
    }

    /// Takes a sighting.
    pub fn pair(&mut self, seen: &Sighting, now: Nanos) {
        self.stats.sightings += 1;
        if seen.role == Role::Link {
            return self.take_link(seen);
        }
        while self.table.room() < 2 {
            self.evict();
        }
        let trace = self.table.trace_of(seen.trace);
        let slot = match self.table.find(trace, seen.span) {
            Some(slot) if self.table.links(slot).is_present => {
                self.stats.duplicates += 1;
                return;
            }
            Some(slot) => {
                self.reopen(trace);
                self.table.arrive(slot, seen);
                slot
            }
            None => {
                self.reopen(trace);
                self.table.insert(trace, seen)
            }
        };
        // until it is settled it waits
        self.note_waiting(slot, true);
        if seen.is_root() {
            self.table.trace_mut(trace).has_root = true;
        } else {
            let parent = self
                .table
                .find(trace, seen.parent)
                .unwrap_or_else(|| self.table.insert_placeholder(trace, seen));
            self.table.adopt(parent, slot);
        }
        if seen.role == Role::Handoff && !seen.bears_node() {
            self.stats.unresolved_handoffs += 1;
        }
        self.take_name(slot, seen);
        self.settle(slot, true);
        self.take_response(slot, seen);
        self.table.trace_mut(trace).last = now.0;
        turns::note(self.table.trace_mut(trace), seen);
        if seen.outcome.is_failure() {
            self.note_failure(trace);
        }
        self.stir(trace);
        self.file(slot);
        if seen.peer != NO_NODE && seen.role != Role::Model {
            if self.unanswered.len() >= self.settings.spans {
                self.wait_no_more();
            }
            self.unanswered
                .push_back((now.plus(self.settings.t_pair), slot, seen.span));
        }
    }

    /// Draws the client's span that waited longest to where it was addressed, if nobody answered (B-06).
    fn wait_no_more(&mut self) {
        let Some((_, slot, span)) = self.unanswered.pop_front() else {
            return;
        };
        if self.table.holds(slot, span) {
            let trace = self.table.links(slot).trace;
            self.reopen(trace);
            self.take_back(slot);
            self.table.entry_mut(slot).is_overdue = true;
            self.count(slot);
            self.line_up(trace);
        }
    }

    /// Puts a span's trace where it belongs among the open and the closed ones.
    fn file(&mut self, slot: Slot) {
        let at = self.table.links(slot).trace;
        let trace = self.table.trace(at);
        let is_closed = trace.waiting == 0 && trace.has_root;
        self.table.renew(
            at,
            if is_closed {
                Shelf::Closed
            } else {
                Shelf::Open
            },
        );
        self.line_up(at);
    }

    /// Gives an entry the context that its parent says, and goes on below as far as that changes anything.
    pub(super) fn settle(&mut self, start: Slot, is_new: bool) {
        let mut to_settle = std::mem::take(&mut self.to_settle);
        to_settle.push(start);
        let mut is_first = is_new;
        let mut rounds = 0;
        // a context changes a few times at most; the budget is for what nobody thought of
        let mut budget = 8 * self.table.len() + 8;
        while let Some(slot) = to_settle.pop()
            && budget > 0
        {
            budget -= 1;
            let is_forced = std::mem::take(&mut is_first);
            rounds += u32::from(slot == start);
            if rounds == ROUNDS && is_new {
                // it stands below itself, and each round says something new: a root (R-08)
                self.table.leave(start);
            }
            let context = self.context(slot);
            if context == self.table.entry(slot).context && !is_forced {
                continue;
            }
            let before = (!is_forced).then(|| self.below(slot));
            self.put(slot, context);
            if before.is_none_or(|before| before != self.below(slot)) {
                self.table.push_children(slot, &mut to_settle);
            }
            while let Some(step) = self.woken.pop() {
                self.table.push_children(step, &mut to_settle);
            }
        }
        to_settle.clear();
        self.to_settle = to_settle;
    }

    #[inline(always)]
    fn context(&self, slot: Slot) -> Context {
        match self.table.links(slot).parent {
            NONE => Context::ROOT,
            parent => {
                let mut context = self.below(parent);
                // whether a service called it or a remote caller, through the service, shows when the caller's span comes
                if context.is_at_door && self.table.entry(slot).is_led_to() {
                    context.standing = Standing::Waiting;
                }
                context
            }
        }
    }

    #[inline(always)]
    fn below(&self, slot: Slot) -> Context {
        let links = self.table.links(slot);
        if !links.is_present {
            return if links.is_given_up {
                Context::ORPHANED
            } else {
                Context::MISSING
            };
        }
        self.table.entry(slot).below(slot, |at| self.seen(at))
    }

    pub(super) fn seen(&self, slot: Slot) -> &Sighting {
        &self.table.entry(slot).seen
    }

    /// Counts a span anew under another context.
    #[inline(always)]
    fn put(&mut self, slot: Slot, context: Context) {
        self.take_back(slot);
        let was_waiting = self.table.entry(slot).context.standing == Standing::Waiting;
        let waits = context.standing == Standing::Waiting;
        if was_waiting != waits {
            self.note_waiting(slot, waits);
        }
        let told = self.tells_of(slot);
        self.table.entry_mut(slot).context = context;
        let tells = self.tells_of(slot);
        if told != tells {
            self.tell(slot, told, tells);
        }
        self.pair_up(slot);
        self.count(slot);
    }

    fn note_waiting(&mut self, slot: Slot, waits: bool) {
        let trace = self.table.links(slot).trace;
        let trace = self.table.trace_mut(trace);
        if waits {
            trace.waiting += 1;
            self.stats.waiting += 1;
        } else {
            trace.waiting = trace.waiting.saturating_sub(1);
            self.stats.waiting = self.stats.waiting.saturating_sub(1);
        }
    }

    /// Stops waiting for what is missing in a trace (B-04, B-09).
    pub(super) fn give_up(&mut self, trace: Slot) {
        let mut slot = self.table.trace(trace).first;
        while slot != NONE {
            let links = self.table.links_mut(slot);
            let next = links.next_in_trace;
            if !links.is_present && !links.is_given_up {
                links.is_given_up = true;
                self.stats.given_up += 1;
                self.settle_children(slot);
            }
            slot = next;
        }
        // what waits still is its own ancestor (R-08)
        let mut slot = self.table.trace(trace).first;
        while slot != NONE && self.table.trace(trace).waiting > 0 {
            let links = self.table.links(slot);
            let next = links.next_in_trace;
            if links.is_present && self.table.entry(slot).context.standing == Standing::Waiting {
                self.put(slot, Context::ORPHANED);
            }
            slot = next;
        }
        while let Some(step) = self.woken.pop() {
            self.settle_children(step);
        }
        self.stir(trace);
        self.table.renew(trace, Shelf::Closed);
        self.line_up(trace);
    }

    fn settle_children(&mut self, slot: Slot) {
        let mut child = self.table.links(slot).first_child;
        while child != NONE {
            self.settle(child, false);
            child = self.table.links(child).next_sibling;
        }
    }

    /// Lets time pass: gives up what waited too long, forgets what is too old.
    pub fn expire(&mut self, now: Nanos) {
        while self.unanswered.front().is_some_and(|(due, ..)| *due <= now) {
            self.wait_no_more();
        }
        let is_due = |last: u64, after: Duration| Nanos(last).plus(after) <= now;
        for shelf in [Shelf::Stuck, Shelf::Open] {
            while let Some(trace) = self.table.oldest(shelf)
                && is_due(self.table.trace(trace).last, self.settings.t_orphan)
            {
                self.give_up(trace);
            }
        }
        self.walk_settled(now);
        while let Some(trace) = self.table.oldest(Shelf::Closed)
            && is_due(self.table.trace(trace).last, self.settings.t_keep)
        {
            self.close(trace, false);
            self.stats.expired += self.remove(&[trace]);
        }
    }

    /// Settles everything as if all timers had fired (B-09).
    pub fn flush(&mut self) {
        for shelf in [Shelf::Stuck, Shelf::Open] {
            while let Some(trace) = self.table.oldest(shelf) {
                self.give_up(trace);
            }
        }
        while !self.unanswered.is_empty() {
            self.wait_no_more();
        }
        self.take_turns();
        self.walk_all();
    }

    /// Hands over what changed. Between two sightings, so that a move never shows half done.
    pub fn take_changes(&mut self) -> Changes {
        self.take_turns();
        self.stats.spans = self.table.len() as u64;
        self.stats.capacity = (self.table.len() + self.table.room()) as u64;
        let Differences {
            nodes,
            edges,
            aliases,
            node_cells,
            edge_cells,
        } = self.ledger.take();
        let Learned {
            trials,
            followed,
            fans,
            stats: walks,
        } = self.walks.take();
        Changes {
            nodes,
            edges,
            aliases,
            node_cells,
            edge_cells,
            trials,
            followed,
            fans,
            stats: ShardStats {
                walks,
                ..self.stats
            },
            ..Changes::default()
        }
    }

    #[cfg(test)]
    pub(crate) fn check(&self) {
        self.table.check();
    }
}
