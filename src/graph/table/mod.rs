//! The span table: spans by id, as trees, chained by trace.
//!
//! ```text
//! hash(trace) ─▶ index ─▶ trace slot ─▶ chain of its entries             lists of traces, oldest first:
//! hash(trace, span) ─▶ index ─▶ slot ─▶ links: parent, children          open · stuck · closed ([`Shelf`])
//!                                  └─▶ entry: what the span said
//! ```
//!
//! A parent that has not come has a slot too, a *placeholder*: its children hang on it and are found when it comes. It has
//! links and no entry.
//!
//! A full table lies in no cache, and what a span costs is the lines that have to be fetched for it. So a slot's links are
//! one line beside the rest, whole traces are taken out without a look at their entries, and what a batch of spans will need
//! is asked for at once (`SpanTable::fetch`), so that it is fetched side by side.
//!
//! **Bounds.** `capacity` slots, and as many traces. Memory is reserved at start and touched when used; slots that were
//! given back are used first.
//! **Invariants.** Every entry is in exactly one trace's chain and in its parent's list of children; a trace without
//! entries does not exist; a placeholder without children does not exist. `SpanTable::check` says so in tests.
//! **Not here.** What a span means (`shard`), when a trace is old (time is an argument).

mod calls;
mod chain;
#[cfg(test)]
mod check;
mod fetch;
mod shelves;

pub(crate) use shelves::Shelf;

use crate::base::{NodeId, SpanId, TraceId};
use crate::graph::beside::Signs;
use crate::graph::entry::{Entry, NONE, Slot};
use crate::graph::index::Index;
use crate::graph::table::calls::Calls;
use crate::graph::table::shelves::{EMPTY, List};
use crate::graph::walk::Closing;
use crate::scan::{NO_NODE, Role, Sighting, hash};
use std::hint::black_box;

/// A trace's chain and where it stands in the lists.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Trace {
    pub(crate) id: TraceId,
    /// Of its id; its spans' begin with it.
    hash: u64,
    pub(crate) first: Slot,
    end: Slot,
    /// Entries in the chain.
    pub(crate) len: u32,
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

/// How a span's slot hangs together with others: one line of the cache.
#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
pub(crate) struct Links {
    pub(crate) span: SpanId,
    hash: u32,
    pub(crate) trace: Slot,
    pub(crate) parent: Slot,
    pub(crate) first_child: Slot,
    previous_sibling: Slot,
    pub(crate) next_sibling: Slot,
    previous_in_trace: Slot,
    pub(crate) next_in_trace: Slot,
    /// The span has come, and its entry is there. Of a slot that was given back it has not.
    pub(crate) is_present: bool,
    /// A placeholder that is not waited for any more.
    pub(crate) is_given_up: bool,
    /// Other spans tell of its call.
    pub(crate) has_call: bool,
    /// Of a span that has come: what it is, so that those that are asked for are found without a look at the others.
    pub(crate) role: Role,
    /// Used while a trace is looked at, and false before and after.
    pub(crate) is_marked: bool,
}

pub(crate) struct SpanTable {
    seed: u64,
    capacity: usize,
    by_span: Index,
    by_trace: Index,
    links: Vec<Links>,
    /// By slot, as the links.
    entries: Vec<Entry>,
    /// Of the spans that say so in their links: the calls of which others tell too.
    calls: Calls,
    /// Slots that were given back, the last one first.
    free: Vec<Slot>,
    traces: Vec<Trace>,
    free_traces: Vec<Slot>,
    lists: [List; 3],
    // spans come trace by trace
    recent: Option<(TraceId, Slot)>,
    // work in hand, kept for its memory
    cursors: Vec<Slot>,
    found: Vec<Slot>,
    doomed: Vec<(u32, Slot)>,
    hashes: Vec<(u32, u32, u32)>,
}

/// How many traces are taken out side by side.
pub(crate) const ABREAST: usize = 16;

impl SpanTable {
    pub(crate) fn new(capacity: usize, seed: u64) -> Self {
        let capacity = capacity.clamp(16, (NONE - 1) as usize);
        SpanTable {
            seed,
            capacity,
            by_span: Index::new(capacity),
            by_trace: Index::new(capacity),
            links: Vec::with_capacity(capacity),
            entries: Vec::with_capacity(capacity),
            calls: Calls::new(seed),
            free: Vec::new(),
            traces: Vec::with_capacity(capacity),
            free_traces: Vec::new(),
            lists: [EMPTY; 3],
            recent: None,
            cursors: Vec::new(),
            found: Vec::new(),
            doomed: Vec::new(),
            hashes: Vec::new(),
        }
    }

    /// How many entries there is room for in all.
    pub(crate) fn capacity(&self) -> usize {
        self.capacity
    }

    /// How many entries fit in still.
    pub(crate) fn room(&self) -> usize {
        self.capacity - self.len()
    }

    /// Entries in use, placeholders among them.
    pub(crate) fn len(&self) -> usize {
        self.links.len() - self.free.len()
    }

    pub(crate) fn links(&self, slot: Slot) -> &Links {
        &self.links[slot as usize]
    }

    pub(crate) fn links_mut(&mut self, slot: Slot) -> &mut Links {
        &mut self.links[slot as usize]
    }

    /// What a span that has come said. Where it may be a placeholder, ask [`SpanTable::come`]: its entry is somebody else's.
    pub(crate) fn entry(&self, slot: Slot) -> &Entry {
        debug_assert!(self.links(slot).is_present, "a placeholder says nothing");
        &self.entries[slot as usize]
    }

    /// What a span said, if it has come.
    pub(crate) fn come(&self, slot: Slot) -> Option<&Entry> {
        self.links(slot).is_present.then(|| self.entry(slot))
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

    fn trace_hash(&self, id: TraceId) -> u64 {
        hash::bytes(self.seed, &id.0)
    }

    pub(crate) fn find(&self, trace: Slot, span: SpanId) -> Option<Slot> {
        let hash = hash_of(self.trace(trace).hash, span);
        self.by_span.find(hash, |slot| {
            let links = self.links(slot);
            links.span == span && links.trace == trace
        })
    }

    /// Whether this span is still in its place.
    pub(crate) fn holds(&self, slot: Slot, span: SpanId) -> bool {
        let links = self.links(slot);
        links.span == span && links.is_present
    }

    pub(crate) fn find_trace(&mut self, id: TraceId) -> Option<Slot> {
        if let Some((recent, slot)) = self.recent
            && recent == id
        {
            return Some(slot);
        }
        let slot = self.trace_at(id, self.trace_hash(id))?;
        self.recent = Some((id, slot));
        Some(slot)
    }

    fn trace_at(&self, id: TraceId, hash: u64) -> Option<Slot> {
        self.by_trace
            .find((hash >> 32) as u32, |slot| self.trace(slot).id == id)
    }

    /// The slot of a trace, new if need be. A new one must get an entry at once.
    pub(crate) fn trace_of(&mut self, id: TraceId) -> Slot {
        if let Some(slot) = self.find_trace(id) {
            return slot;
        }
        let hash = self.trace_hash(id);
        let trace = Trace {
            id,
            hash,
            first: NONE,
            end: NONE,
            len: 0,
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
            closing: Closing::new(hash),
            older: NONE,
            newer: NONE,
        };
        let slot = place(&mut self.traces, &mut self.free_traces, trace);
        self.by_trace.insert((hash >> 32) as u32, slot);
        self.append(slot, Shelf::Open);
        self.recent = Some((id, slot));
        slot
    }

    /// Adds a span to its trace. There must be room.
    pub(crate) fn insert(&mut self, trace: Slot, seen: &Sighting) -> Slot {
        let slot = self.insert_links(trace, seen.span, seen);
        self.arrive(slot, seen);
        slot
    }

    /// The place of a child's parent that has not come. There must be room.
    pub(crate) fn insert_placeholder(&mut self, trace: Slot, child: &Sighting) -> Slot {
        self.insert_links(trace, child.parent, child)
    }

    /// Links for a span; `any` fills an entry that was never used.
    fn insert_links(&mut self, trace: Slot, span: SpanId, any: &Sighting) -> Slot {
        let hash = hash_of(self.trace(trace).hash, span);
        let links = Links {
            span,
            hash,
            trace,
            parent: NONE,
            first_child: NONE,
            previous_sibling: NONE,
            next_sibling: NONE,
            previous_in_trace: NONE,
            next_in_trace: NONE,
            is_present: false,
            is_given_up: false,
            has_call: false,
            role: Role::Neutral,
            is_marked: false,
        };
        let slot = place(&mut self.links, &mut self.free, links);
        if self.entries.len() < self.links.len() {
            self.entries.push(Entry::new(any));
        }
        self.by_span.insert(hash, slot);
        self.chain(trace, slot);
        slot
    }

    /// A span comes to its place.
    pub(crate) fn arrive(&mut self, slot: Slot, seen: &Sighting) {
        self.entry_mut(slot).renew(seen);
        let links = self.links_mut(slot);
        links.is_present = true;
        links.is_given_up = false;
        links.role = seen.role;
    }

    /// Hangs an entry under a parent.
    pub(crate) fn adopt(&mut self, parent: Slot, child: Slot) {
        let first = std::mem::replace(&mut self.links_mut(parent).first_child, child);
        if first != NONE {
            self.links_mut(first).previous_sibling = child;
        }
        let links = self.links_mut(child);
        links.parent = parent;
        links.previous_sibling = NONE;
        links.next_sibling = first;
    }

    /// Adds the children of an entry to a list.
    pub(crate) fn push_children(&self, slot: Slot, list: &mut Vec<Slot>) {
        let mut child = self.links(slot).first_child;
        while child != NONE {
            list.push(child);
            child = self.links(child).next_sibling;
        }
    }

    /// Takes an entry from under its parent, and the parent out if that is a placeholder for it alone.
    pub(crate) fn leave(&mut self, slot: Slot) {
        let Links {
            parent,
            previous_sibling,
            next_sibling,
            ..
        } = *self.links(slot);
        if parent == NONE {
            return;
        }
        if next_sibling != NONE {
            self.links_mut(next_sibling).previous_sibling = previous_sibling;
        }
        if previous_sibling == NONE {
            self.links_mut(parent).first_child = next_sibling;
        } else {
            self.links_mut(previous_sibling).next_sibling = next_sibling;
        }
        self.links_mut(slot).parent = NONE;
        let above = self.links(parent);
        if !above.is_present && above.first_child == NONE {
            self.release(parent);
        }
    }

    /// Takes out an entry without children.
    pub(crate) fn remove_leaf(&mut self, slot: Slot) {
        self.leave(slot);
        self.release(slot);
    }

    /// Takes out traces with all their entries, no trace twice; answers how many entries there were.
    pub(crate) fn remove_traces(&mut self, traces: &[Slot]) -> usize {
        let mut cursors = std::mem::take(&mut self.cursors);
        let mut doomed = std::mem::take(&mut self.doomed);
        for traces in traces.chunks(ABREAST) {
            cursors.extend(traces.iter().map(|trace| self.trace(*trace).first));
            while !cursors.is_empty() {
                cursors.retain_mut(|slot| {
                    let links = self.links(*slot);
                    doomed.push((links.hash, *slot));
                    *slot = links.next_in_trace;
                    *slot != NONE
                });
            }
        }
        for (hash, _) in &doomed {
            black_box(self.by_span.fetch(*hash));
        }
        for (hash, slot) in &doomed {
            self.by_span.remove(*hash, *slot);
            self.free_slot(*slot);
        }
        for trace in traces {
            self.release_trace(*trace);
        }
        let count = doomed.len();
        doomed.clear();
        (self.cursors, self.doomed) = (cursors, doomed);
        count
    }

    fn free_slot(&mut self, slot: Slot) {
        if self.links(slot).has_call {
            self.calls.forget(slot);
        }
        self.links_mut(slot).is_present = false;
        self.free.push(slot);
    }

    /// Takes an entry out of the index and its chain, whoever hangs on it.
    fn release(&mut self, slot: Slot) {
        let Links { trace, hash, .. } = *self.links(slot);
        self.by_span.remove(hash, slot);
        self.unchain(slot);
        self.free_slot(slot);
        if self.trace(trace).first == NONE {
            self.release_trace(trace);
        }
    }

    fn release_trace(&mut self, slot: Slot) {
        self.detach(slot);
        let trace = self.trace_mut(slot);
        trace.first = NONE;
        let hash = trace.hash;
        self.by_trace.remove((hash >> 32) as u32, slot);
        self.recent = None;
        self.free_traces.push(slot);
    }
}

/// The hash of a span, of which its trace's is known.
#[inline]
fn hash_of(trace: u64, span: SpanId) -> u32 {
    (hash::word(trace, u64::from_le_bytes(span.0)) >> 32) as u32
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
