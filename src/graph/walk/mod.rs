//! The closing walk (D3): when a trace is over, its calls are read once more, in the order in which they happened.
//!
//! ```text
//! trace closed, a failure in it or drawn ─▶ line [spans] ─ t_settle without a span ─▶ gather ─▶ judge ─▶ Evidence
//!     late span ─▶ taken back, stands in line again                  (calls by activation)   (§7)    [pairs, sets]
//! ```
//!
//! Spans have counted before. The walk says what no span can say alone: whether a caller survived a failed call, and what
//! it did next. That is worth a look at every trace in which something failed. Of healthy traces it needs only how
//! often a call follows on another that went well, so one in [`WalkSettings::healthy_every`] of them is walked and stands
//! for the others; the draw is a hash of the trace's id, so that it depends on nothing else.
//!
//! **Bounds.** One place in line for each trace in the table; those of `gather` and `judge`. A late span makes at most two
//! walks of its trace each `t_settle`.
//! **Invariants.** The sums are a function of the set of spans: a walk that was made is taken back before anything in its
//! trace changes, number for number, and made again. What was walked stays when its trace gives way. A walked trace
//! stands on the shelf of the closed ones.
//! **Not here.** What hard and soft means (`analysis`); own time, shapes and odd spans, which join this walk.

mod gather;
mod judge;

use crate::base::{EdgeId, Nanos, TraceId};
use crate::graph::entry::{NONE, Slot};
use crate::graph::shard::Shard;
use crate::graph::table::Shelf;
use crate::graph::trials::{Fan, Fell, Followed, Trials};
use gather::{Found, Readiness};
use judge::Evidence;
use std::collections::VecDeque;
use std::time::Duration;

/// What shapes the closing walk.
#[derive(Clone, Copy, Debug)]
pub struct WalkSettings {
    /// How long nothing must have come for a trace that is complete.
    pub t_settle: Duration,
    /// Of how many traces without a failure one is walked; 0 and 1 are for all.
    pub healthy_every: u16,
}

impl Default for WalkSettings {
    fn default() -> Self {
        WalkSettings {
            t_settle: Duration::from_secs(2),
            healthy_every: 16,
        }
    }
}

/// How the closing walks went. Counters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WalkStats {
    /// Walks that were made; a repeat after a late span is one more.
    pub made: u64,
    /// Walks that were taken back.
    pub taken_back: u64,
    /// Traces that should have been walked, and were too large or had given spans away before they were complete.
    pub unread: u64,
    /// What walks found and there was no room for: pairs of edges, and sets of concurrent calls.
    pub refused: u64,
}

/// Where a trace stands with its walk.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Closing {
    /// A number drawn by the trace's id.
    draw: u16,
    /// Some span of it failed.
    has_failure: bool,
    /// It stands in line.
    is_in_line: bool,
    /// It was walked, and nothing changed since.
    is_walked: bool,
    /// Spans were taken out of it.
    is_thinned: bool,
}

impl Closing {
    /// That of a new trace, by a hash of its id.
    pub(crate) fn new(hash: u64) -> Self {
        Closing {
            // tables use the low bits, and the high ones choose the shard
            draw: (hash >> 32) as u16,
            has_failure: false,
            is_in_line: false,
            is_walked: false,
            is_thinned: false,
        }
    }
}

/// What walks changed since the last hand-over.
pub(super) struct Learned {
    pub(super) trials: Vec<(EdgeId, Trials)>,
    pub(super) followed: Vec<((EdgeId, EdgeId), Followed)>,
    pub(super) fans: Vec<(Fan, Fell)>,
    pub(super) stats: WalkStats,
}

/// The walks of a shard: who stands in line, and what was learned.
pub(super) struct Walks {
    settings: WalkSettings,
    /// Traces by the time from which they may be walked.
    line: VecDeque<(Nanos, Slot, TraceId)>,
    most: usize,
    evidence: Evidence,
    stats: WalkStats,
    // work in hand, kept for its memory
    found: Found,
}

impl Walks {
    /// No walks yet; `most` may stand in line.
    pub(super) fn new(settings: WalkSettings, most: usize) -> Self {
        Walks {
            settings,
            line: VecDeque::new(),
            most,
            evidence: Evidence::new(),
            stats: WalkStats::default(),
            found: Found::default(),
        }
    }

    /// Says the edges of which the tick is to hear something.
    pub(super) fn changed(&self, see: impl FnMut(EdgeId)) {
        self.evidence.changed(see);
    }

    /// Lets go of what is known of edges that are to be others.
    pub(super) fn forget(&mut self, is_gone: impl Fn(EdgeId) -> bool) {
        self.evidence.forget(is_gone);
    }

    /// How many traces one walked trace stands for; 0 for one that is not to be walked.
    fn weight(&self, closing: Closing) -> i64 {
        let every = self.settings.healthy_every.max(1);
        match closing.has_failure {
            true => 1,
            false if closing.draw.is_multiple_of(every) => i64::from(every),
            false => 0,
        }
    }

    /// Hands over what changed and starts anew.
    pub(super) fn take(&mut self) -> Learned {
        Learned {
            trials: self.evidence.trials.take(),
            followed: self.evidence.followed.take(),
            fans: self.evidence.fans.take(),
            stats: WalkStats {
                refused: self.evidence.refused(),
                ..self.stats
            },
        }
    }
}

impl Shard {
    /// Takes the walk of a trace back, before anything in it changes.
    pub(super) fn reopen(&mut self, trace: Slot) {
        if self.table.trace(trace).closing.is_walked {
            self.table.trace_mut(trace).closing.is_walked = false;
            self.walks.stats.taken_back += 1;
            let mut found = std::mem::take(&mut self.walks.found);
            self.survey(trace, &mut found, false);
            self.walks.found = found;
            self.read_calls(trace, -1);
        }
    }

    /// Notes of a trace that a span of it failed.
    pub(super) fn note_failure(&mut self, trace: Slot) {
        self.table.trace_mut(trace).closing.has_failure = true;
    }

    /// Notes of a trace that it is not whole any more.
    pub(super) fn note_loss(&mut self, trace: Slot) {
        self.table.trace_mut(trace).closing.is_thinned = true;
    }

    /// Puts a trace in line if it is complete and to be walked.
    pub(super) fn line_up(&mut self, slot: Slot) {
        let trace = self.table.trace(slot);
        let closing = trace.closing;
        let stands = closing.is_in_line || closing.is_walked || trace.shelf != Shelf::Closed;
        if stands || self.walks.weight(closing) == 0 {
            return;
        }
        let due = Nanos(trace.last).plus(self.walks.settings.t_settle);
        let id = trace.id;
        self.table.trace_mut(slot).closing.is_in_line = true;
        if self.walks.line.len() >= self.walks.most
            && let Some((_, slot, id)) = self.walks.line.pop_front()
        {
            self.leave_line(slot, id, None);
        }
        self.walks.line.push_back((due, slot, id));
    }

    /// Walks the traces that have settled by now.
    pub(super) fn walk_settled(&mut self, now: Nanos) {
        while let Some((due, slot, id)) = self.walks.line.front().copied()
            && due <= now
        {
            self.walks.line.pop_front();
            self.leave_line(slot, id, Some(now));
        }
    }

    /// Walks all traces in line.
    pub(super) fn walk_all(&mut self) {
        while let Some((_, slot, id)) = self.walks.line.pop_front() {
            self.leave_line(slot, id, None);
        }
    }

    /// Walks a trace whose turn it is; puts it off if it has got spans up to now.
    fn leave_line(&mut self, slot: Slot, id: TraceId, now: Option<Nanos>) {
        let trace = self.table.trace_mut(slot);
        // its place may be another's by now
        if trace.id != id || trace.first == NONE || !trace.closing.is_in_line {
            return;
        }
        trace.closing.is_in_line = false;
        if trace.shelf != Shelf::Closed {
            return;
        }
        let due = Nanos(trace.last).plus(self.walks.settings.t_settle);
        if now.is_some_and(|now| due > now) {
            self.line_up(slot);
        } else {
            self.close(slot, now.is_some());
        }
    }

    /// Walks a trace that is to be walked and was not. With `waits`, one in which a client still waits for its answer is
    /// left to the answer's coming, or to the end of the wait.
    pub(super) fn close(&mut self, trace: Slot, waits: bool) {
        let closing = self.table.trace(trace).closing;
        if closing.is_walked || self.walks.weight(closing) == 0 {
            return;
        }
        self.take_turns_in(trace);
        let mut found = std::mem::take(&mut self.walks.found);
        let readiness = self.survey(trace, &mut found, waits);
        self.walks.found = found;
        match readiness {
            Readiness::Waits => {}
            Readiness::TooLarge => self.walks.stats.unread += 1,
            _ if closing.is_thinned => self.walks.stats.unread += 1,
            _ => {
                self.table.trace_mut(trace).closing.is_walked = true;
                self.walks.stats.made += 1;
                self.read_calls(trace, 1);
            }
        }
    }

    /// Has the spans of those traces fetched that `close` would walk.
    pub(super) fn fetch_unread(&mut self, traces: &[Slot]) {
        let walks = &self.walks;
        self.table.fetch_traces(traces, |trace| {
            !trace.closing.is_walked && walks.weight(trace.closing) != 0
        });
    }

    /// Adds what a trace that was surveyed says to the evidence, or takes it away.
    fn read_calls(&mut self, trace: Slot, sign: i64) {
        let weight = sign * self.walks.weight(self.table.trace(trace).closing);
        let mut found = std::mem::take(&mut self.walks.found);
        self.gather(trace, &mut found);
        let mut calls = std::mem::take(&mut found.calls);
        calls.sort_unstable_by_key(judge::Call::order);
        for calls in calls.chunk_by_mut(|a, b| a.act == b.act) {
            let act = calls.first().map(|call| call.act);
            if let Some(fails) = act.and_then(|act| found.fails(act)) {
                self.walks.evidence.add(calls, fails, sign, weight);
            }
        }
        found.calls = calls;
        self.walks.found = found;
    }
}
