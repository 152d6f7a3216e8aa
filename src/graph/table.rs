//! The span table: spans by id, as trees, chained by trace.
//!
//! ```text
//! hash(trace) ─▶ bucket ─▶ trace slot ─▶ chain of its entries            lists of traces, oldest first:
//! hash(trace slot, span) ─▶ bucket ─▶ entry ─▶ parent, children          open · stuck · closed ([`Shelf`])
//! ```
//!
//! A parent that has not come is an entry too, a *placeholder*: its children hang on it and are found when it comes.
//!
//! **Bounds.** `capacity` entries, and as many traces. Memory is reserved at start and touched when used; slots that were
//! given back are used first.
//! **Invariants.** Every entry is in exactly one trace's chain and in its parent's list of children; a trace without
//! entries does not exist; a placeholder without children does not exist. `SpanTable::check` says so in tests.
//! **Not here.** What a span means (`shard`), when a trace is old (time is an argument).

use crate::base::{NodeId, SpanId, TraceId};
use crate::graph::beside::Signs;
use crate::graph::entry::{Entry, NONE, Slot};
use crate::graph::walk::Closing;
use crate::scan::{NO_NODE, hash};

/// A trace's chain and where it stands in the lists.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Trace {
    pub(crate) id: TraceId,
    next_in_bucket: Slot,
    pub(crate) first: Slot,
    end: Slot,
    /// Entries of which the source is not known yet.
    pub(crate) waiting: u32,
    pub(crate) has_root: bool,
    /// Control passes between agents in it.
    pub(crate) has_handoffs: bool,
    /// Some of its spans may tell of the same as others beside them.
    pub(crate) has_twins: bool,
    /// What else in it asks for a look.
    pub(crate) signs: Signs,
    /// The service of its first agent.
    pub(crate) home: NodeId,
    /// The instrumentation that told of its first model or agent.
    pub(crate) scope: Option<u32>,
    /// Its turns are to be looked at again.
    pub(crate) is_stirred: bool,
    /// Stream time of its latest span, nanoseconds.
    pub(crate) last: u64,
    pub(crate) shelf: Shelf,
    pub(crate) closing: Closing,
    older: Slot,
    newer: Slot,
}

/// On which list a trace stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shelf {
    /// Waits for a parent or a root.
    Open,
    /// The same, and has nothing to give when room is needed, as far as was looked.
    Stuck,
    /// Complete, as far as is known.
    Closed,
}

/// Traces in order of their last span.
#[derive(Clone, Copy, Debug)]
struct List {
    oldest: Slot,
    newest: Slot,
}

const EMPTY: List = List {
    oldest: NONE,
    newest: NONE,
};

pub(crate) struct SpanTable {
    seed: u64,
    capacity: usize,
    /// First entry by hash, plus one; 0 is none, so that untouched pages cost nothing.
    span_buckets: Vec<u32>,
    trace_buckets: Vec<u32>,
    entries: Vec<Entry>,
    free_entries: Vec<Slot>,
    traces: Vec<Trace>,
    free_traces: Vec<Slot>,
    lists: [List; 3],
    // spans come trace by trace
    recent: Option<(TraceId, Slot)>,
}

impl SpanTable {
    pub(crate) fn new(capacity: usize, seed: u64) -> Self {
        let capacity = capacity.clamp(16, (NONE - 1) as usize);
        let buckets = capacity.next_power_of_two();
        SpanTable {
            seed,
            capacity,
            span_buckets: vec![0; buckets],
            trace_buckets: vec![0; buckets],
            entries: Vec::with_capacity(capacity),
            free_entries: Vec::new(),
            traces: Vec::with_capacity(capacity),
            free_traces: Vec::new(),
            lists: [EMPTY; 3],
            recent: None,
        }
    }

    /// How many entries fit in still.
    pub(crate) fn room(&self) -> usize {
        self.capacity - self.len()
    }

    /// Entries in use, placeholders among them.
    pub(crate) fn len(&self) -> usize {
        self.entries.len() - self.free_entries.len()
    }

    pub(crate) fn entry(&self, slot: Slot) -> &Entry {
        &self.entries[slot as usize]
    }

    pub(crate) fn entry_mut(&mut self, slot: Slot) -> &mut Entry {
        &mut self.entries[slot as usize]
    }

    pub(crate) fn trace(&self, slot: Slot) -> &Trace {
        &self.traces[slot as usize]
    }

    pub(crate) fn trace_mut(&mut self, slot: Slot) -> &mut Trace {
        &mut self.traces[slot as usize]
    }

    fn span_bucket(&self, trace: Slot, span: SpanId) -> usize {
        let hash = hash::word(self.seed ^ u64::from(trace), u64::from_le_bytes(span.0));
        hash as usize & (self.span_buckets.len() - 1)
    }

    fn trace_bucket(&self, id: TraceId) -> usize {
        hash::bytes(self.seed, &id.0) as usize & (self.trace_buckets.len() - 1)
    }

    pub(crate) fn find(&self, trace: Slot, span: SpanId) -> Option<Slot> {
        let mut link = self.span_buckets[self.span_bucket(trace, span)];
        while link != 0 {
            let slot = link - 1;
            let entry = self.entry(slot);
            if entry.seen.span == span && entry.trace == trace {
                return Some(slot);
            }
            link = entry.next_in_bucket;
        }
        None
    }

    /// All spans that have come.
    pub(crate) fn present(&self) -> Vec<Slot> {
        let mut found = Vec::new();
        for list in &self.lists {
            let mut trace = list.oldest;
            while trace != NONE {
                let mut slot = self.trace(trace).first;
                while slot != NONE {
                    let entry = self.entry(slot);
                    if entry.is_present {
                        found.push(slot);
                    }
                    slot = entry.next_in_trace;
                }
                trace = self.trace(trace).newer;
            }
        }
        found
    }

    /// Whether this span is still in its place.
    pub(crate) fn holds(&self, slot: Slot, span: SpanId) -> bool {
        let entry = self.entry(slot);
        entry.seen.span == span && entry.is_present && self.find(entry.trace, span) == Some(slot)
    }

    pub(crate) fn find_trace(&mut self, id: TraceId) -> Option<Slot> {
        if let Some((recent, slot)) = self.recent
            && recent == id
        {
            return Some(slot);
        }
        let mut link = self.trace_buckets[self.trace_bucket(id)];
        while link != 0 {
            let slot = link - 1;
            let trace = self.trace(slot);
            if trace.id == id {
                self.recent = Some((id, slot));
                return Some(slot);
            }
            link = trace.next_in_bucket;
        }
        None
    }

    /// The slot of a trace, new if need be. A new one must get an entry at once.
    pub(crate) fn trace_of(&mut self, id: TraceId) -> Slot {
        if let Some(slot) = self.find_trace(id) {
            return slot;
        }
        let bucket = self.trace_bucket(id);
        let trace = Trace {
            id,
            next_in_bucket: self.trace_buckets[bucket],
            first: NONE,
            end: NONE,
            waiting: 0,
            has_root: false,
            has_handoffs: false,
            has_twins: false,
            signs: Signs::default(),
            home: NO_NODE,
            scope: None,
            is_stirred: false,
            last: 0,
            shelf: Shelf::Open,
            closing: Closing::new(hash::bytes(self.seed, &id.0)),
            older: NONE,
            newer: NONE,
        };
        let slot = place(&mut self.traces, &mut self.free_traces, trace);
        self.trace_buckets[bucket] = slot + 1;
        self.append(slot, Shelf::Open);
        self.recent = Some((id, slot));
        slot
    }

    /// Adds an entry to its trace. There must be room.
    pub(crate) fn insert(&mut self, trace: Slot, mut entry: Entry) -> Slot {
        let bucket = self.span_bucket(trace, entry.seen.span);
        entry.trace = trace;
        entry.next_in_bucket = self.span_buckets[bucket];
        let slot = place(&mut self.entries, &mut self.free_entries, entry);
        self.span_buckets[bucket] = slot + 1;
        self.chain(trace, slot);
        slot
    }

    /// Hangs an entry under a parent.
    pub(crate) fn adopt(&mut self, parent: Slot, child: Slot) {
        let first = std::mem::replace(&mut self.entry_mut(parent).first_child, child);
        if first != NONE {
            self.entry_mut(first).previous_sibling = child;
        }
        let entry = self.entry_mut(child);
        entry.parent = parent;
        entry.previous_sibling = NONE;
        entry.next_sibling = first;
    }

    /// Adds the children of an entry to a list.
    pub(crate) fn push_children(&self, slot: Slot, list: &mut Vec<Slot>) {
        let mut child = self.entry(slot).first_child;
        while child != NONE {
            list.push(child);
            child = self.entry(child).next_sibling;
        }
    }

    /// Takes an entry from under its parent, and the parent out if that is a placeholder for it alone.
    pub(crate) fn leave(&mut self, slot: Slot) {
        let Entry {
            parent,
            previous_sibling,
            next_sibling,
            ..
        } = *self.entry(slot);
        if parent == NONE {
            return;
        }
        if next_sibling != NONE {
            self.entry_mut(next_sibling).previous_sibling = previous_sibling;
        }
        if previous_sibling == NONE {
            self.entry_mut(parent).first_child = next_sibling;
        } else {
            self.entry_mut(previous_sibling).next_sibling = next_sibling;
        }
        self.entry_mut(slot).parent = NONE;
        let above = self.entry(parent);
        if !above.is_present && above.first_child == NONE {
            self.release(parent);
        }
    }

    /// Takes out an entry without children.
    pub(crate) fn remove_leaf(&mut self, slot: Slot) {
        self.leave(slot);
        self.release(slot);
    }

    /// Takes out a trace with all its entries; answers how many there were.
    pub(crate) fn remove_trace(&mut self, trace: Slot) -> usize {
        let mut count = 0;
        let mut next = self.trace(trace).first;
        while next != NONE {
            let slot = next;
            next = self.entry(slot).next_in_trace;
            self.release(slot); // the last one takes the trace with it
            count += 1;
        }
        count
    }

    /// Takes an entry out of its bucket and its chain, whoever hangs on it.
    fn release(&mut self, slot: Slot) {
        let Entry {
            trace,
            next_in_bucket,
            ..
        } = *self.entry(slot);
        let bucket = self.span_bucket(trace, self.entry(slot).seen.span);
        if self.span_buckets[bucket] == slot + 1 {
            self.span_buckets[bucket] = next_in_bucket;
        } else {
            let mut at = self.span_buckets[bucket];
            while at != 0 {
                let entry = self.entry_mut(at - 1);
                if entry.next_in_bucket == slot + 1 {
                    entry.next_in_bucket = next_in_bucket;
                    break;
                }
                at = entry.next_in_bucket;
            }
        }
        self.unchain(slot);
        self.free_entries.push(slot);
        if self.trace(trace).first == NONE {
            self.release_trace(trace);
        }
    }

    fn release_trace(&mut self, slot: Slot) {
        self.detach(slot);
        let Trace {
            id, next_in_bucket, ..
        } = *self.trace(slot);
        let bucket = self.trace_bucket(id);
        if self.trace_buckets[bucket] == slot + 1 {
            self.trace_buckets[bucket] = next_in_bucket;
        } else {
            let mut at = self.trace_buckets[bucket];
            while at != 0 {
                let trace = self.trace_mut(at - 1);
                if trace.next_in_bucket == slot + 1 {
                    trace.next_in_bucket = next_in_bucket;
                    break;
                }
                at = trace.next_in_bucket;
            }
        }
        self.recent = None;
        self.free_traces.push(slot);
    }

    /// The trace of a shelf whose last span is oldest.
    pub(crate) fn oldest(&self, shelf: Shelf) -> Option<Slot> {
        let slot = self.lists[shelf as usize].oldest;
        (slot != NONE).then_some(slot)
    }

    /// Moves a trace to the young end of a shelf.
    pub(crate) fn renew(&mut self, slot: Slot, shelf: Shelf) {
        let trace = self.trace(slot);
        if trace.newer == NONE && trace.shelf == shelf {
            return; // it is there
        }
        self.detach(slot);
        self.append(slot, shelf);
    }

    fn append(&mut self, slot: Slot, shelf: Shelf) {
        let list = &mut self.lists[shelf as usize];
        let before = std::mem::replace(&mut list.newest, slot);
        if before == NONE {
            list.oldest = slot;
        } else {
            self.trace_mut(before).newer = slot;
        }
        let trace = self.trace_mut(slot);
        trace.shelf = shelf;
        trace.older = before;
        trace.newer = NONE;
    }

    fn detach(&mut self, slot: Slot) {
        let Trace {
            older,
            newer,
            shelf,
            ..
        } = *self.trace(slot);
        if older != NONE {
            self.trace_mut(older).newer = newer;
        }
        if newer != NONE {
            self.trace_mut(newer).older = older;
        }
        let list = &mut self.lists[shelf as usize];
        if list.oldest == slot {
            list.oldest = newer;
        }
        if list.newest == slot {
            list.newest = older;
        }
    }

    /// Moves the first entry of a trace's chain to its end, for those who walk it in turns.
    pub(crate) fn rotate(&mut self, trace: Slot) {
        let first = self.trace(trace).first;
        if self.entry(first).next_in_trace == NONE {
            return;
        }
        self.unchain(first);
        self.chain(trace, first);
    }

    /// Puts an entry at the end of a trace's chain.
    fn chain(&mut self, trace: Slot, slot: Slot) {
        let before = std::mem::replace(&mut self.trace_mut(trace).end, slot);
        if before == NONE {
            self.trace_mut(trace).first = slot;
        } else {
            self.entry_mut(before).next_in_trace = slot;
        }
        let entry = self.entry_mut(slot);
        entry.previous_in_trace = before;
        entry.next_in_trace = NONE;
    }

    fn unchain(&mut self, slot: Slot) {
        let Entry {
            trace,
            previous_in_trace,
            next_in_trace,
            ..
        } = *self.entry(slot);
        if next_in_trace == NONE {
            self.trace_mut(trace).end = previous_in_trace;
        } else {
            self.entry_mut(next_in_trace).previous_in_trace = previous_in_trace;
        }
        if previous_in_trace == NONE {
            self.trace_mut(trace).first = next_in_trace;
        } else {
            self.entry_mut(previous_in_trace).next_in_trace = next_in_trace;
        }
    }

    /// Shows every span that has come, with its trace.
    pub(crate) fn for_each_entry(&self, mut see: impl FnMut(&Trace, &Entry)) {
        for shelf in [Shelf::Open, Shelf::Stuck, Shelf::Closed] {
            let mut at = self.oldest(shelf);
            while let Some(trace) = at {
                let mut slot = self.trace(trace).first;
                while slot != NONE {
                    let entry = self.entry(slot);
                    if entry.is_present {
                        see(self.trace(trace), entry);
                    }
                    slot = entry.next_in_trace;
                }
                let newer = self.trace(trace).newer;
                at = (newer != NONE).then_some(newer);
            }
        }
    }

    /// Whether the invariants hold; looks at everything.
    #[cfg(test)]
    pub(crate) fn check(&self) {
        let mut chained = 0;
        for shelf in [Shelf::Open, Shelf::Stuck, Shelf::Closed] {
            let mut at = self.oldest(shelf);
            while let Some(trace) = at {
                assert_eq!(self.trace(trace).shelf, shelf);
                let mut slot = self.trace(trace).first;
                assert_ne!(slot, NONE, "a trace without entries");
                while slot != NONE {
                    chained += 1;
                    let entry = self.entry(slot);
                    assert_eq!(entry.trace, trace);
                    assert_eq!(self.find(trace, entry.seen.span), Some(slot));
                    assert!(
                        entry.is_present || entry.first_child != NONE,
                        "a placeholder for nobody"
                    );
                    if entry.parent != NONE {
                        assert_eq!(self.entry(entry.parent).trace, trace);
                        let mut child = self.entry(entry.parent).first_child;
                        while child != slot {
                            child = self.entry(child).next_sibling;
                        }
                    }
                    slot = entry.next_in_trace;
                }
                let newer = self.trace(trace).newer;
                at = (newer != NONE).then_some(newer);
            }
        }
        assert_eq!(chained, self.len());
    }
}

/// Puts a value into a slot that was given back, or into a new one.
fn place<T>(slots: &mut Vec<T>, free: &mut Vec<Slot>, value: T) -> Slot {
    if let Some(slot) = free.pop() {
        slots[slot as usize] = value;
        return slot;
    }
    slots.push(value);
    // the capacity is below NONE
    u32::try_from(slots.len() - 1).unwrap_or(NONE)
}
