//! What the calls of one finished activation say about what it depends on (`detection` §7): pure rules over a row of calls.
//!
//! ```text
//! calls by start ─▶ repeats of a failed one collapsed ─▶ concurrent sets ─▶ each call: how it ended, what followed
//! ```
//!
//! **Bounds.** Linear in the calls but for the search of what is repeated, which looks [`LOOKS_BACK`] calls back.

use crate::base::{EdgeId, SpanId};
use crate::graph::entry::{NONE, Slot};
use crate::graph::trials::{Fan, Fell, Followed, Sums, Trials};
use crate::scan::Outcome;
use std::cmp::Reverse;
use std::ops::Range;

/// How many calls before one may lie between it and the failed one that it repeats.
const LOOKS_BACK: usize = 64;

/// Most pairs of edges of which one followed on the other, and most sets of concurrent calls, that a shard keeps.
const MOST_PAIRS: usize = 1 << 16;
const MOST_FANS: usize = 1 << 12;

/// A call that an activation made.
#[derive(Clone, Copy, Debug)]
pub(super) struct Call {
    /// The activation's number in its trace.
    pub(super) act: u32,
    pub(super) start: u64,
    pub(super) end: u64,
    pub(super) span: SpanId,
    pub(super) edge: EdgeId,
    pub(super) operation: u32,
    pub(super) outcome: Outcome,
    /// The span that tells when it was: the caller's, if both sides tell of it.
    pub(super) slot: Slot,
    /// The outermost call of the activation around it, itself if there is none: they are one call, told twice.
    pub(super) nest: Slot,
    pub(super) parent: Slot,
    /// The activation that it started, [`super::gather::NOWHERE`] for none to be seen.
    pub(super) starts: u32,
    /// Of a call with repeats: the span of the last, when it began, and how many they were.
    pub(super) last: Slot,
    pub(super) last_start: u64,
    pub(super) repeats: i64,
}

impl Call {
    fn is_failed(&self) -> bool {
        self.outcome.is_failure()
    }

    fn is_outermost(&self) -> bool {
        self.nest == self.slot
    }

    /// In order of start, the outer before the inner; never by arrival.
    pub(super) fn order(&self) -> impl Ord + use<> {
        (self.act, self.start, Reverse(self.end), self.span)
    }
}

/// The sums to which walks add.
pub(super) struct Evidence {
    pub(super) trials: Sums<EdgeId, Trials>,
    pub(super) followed: Sums<(EdgeId, EdgeId), Followed>,
    pub(super) fans: Sums<Fan, Fell>,
    /// Sets of calls over too many different edges to be kept.
    pub(super) wide: u64,
}

impl Evidence {
    pub(super) fn new() -> Self {
        Evidence {
            // edges are bounded by the interner
            trials: Sums::new(usize::MAX),
            followed: Sums::new(MOST_PAIRS),
            fans: Sums::new(MOST_FANS),
            wide: 0,
        }
    }

    /// How often something was not kept for lack of room.
    pub(super) fn refused(&self) -> u64 {
        self.followed.refused + self.fans.refused + self.wide
    }

    /// Adds what the calls of an activation say, in order. `sign` takes it back; `weight` is how many activations it
    /// stands for, as those of healthy traces are sampled, with the same sign.
    pub(super) fn add(&mut self, calls: &mut [Call], fails: bool, sign: i64, weight: i64) {
        let kept = collapse(calls);
        let calls = &calls[..kept];
        let mut begin = 0;
        while let Some(set) = Set::at(calls, begin) {
            begin = set.range.end;
            for at in set.range.clone() {
                let fails_alone = fails && set.is_alone(&calls[at]);
                self.add_call(calls, at, (fails, fails_alone), sign, weight);
            }
            self.add_set(calls, &set, fails, sign);
        }
    }

    fn add_call(
        &mut self,
        calls: &[Call],
        at: usize,
        (fails, fails_alone): (bool, bool),
        sign: i64,
        weight: i64,
    ) {
        let call = &calls[at];
        let then = follower(calls, at);
        let mut trials = Trials {
            in_failing: sign * i64::from(fails),
            repeats: sign * call.repeats,
            ..Trials::default()
        };
        let mut followed = Followed::default();
        if call.is_failed() {
            trials.failed = sign;
            trials.survived = sign * i64::from(!fails);
            trials.fell = sign * i64::from(fails_alone && then.is_none());
            followed.after_failure = sign;
            followed.survived = trials.survived;
            followed.fell = sign * i64::from(fails_alone);
        } else if call.outcome == Outcome::Ok {
            trials.succeeded = weight;
            trials.sampled = sign;
            trials.fell_anyway = sign * i64::from(fails && then.is_none());
            followed.after_success = weight;
        }
        self.trials.add(&call.edge, &trials);
        if let Some(then) = then
            && then != call.edge
            && followed != Followed::default()
        {
            self.followed.add(&(call.edge, then), &followed);
        }
    }

    /// Adds what a set of concurrent calls came to, if any of them failed.
    fn add_set(&mut self, calls: &[Call], set: &Set, fails: bool, sign: i64) {
        if set.members < 2 || set.failed == 0 {
            return;
        }
        let outermost = calls[set.range.clone()]
            .iter()
            .filter(|call| call.is_outermost());
        let mut edges: Vec<EdgeId> = outermost.map(|call| call.edge).collect();
        edges.sort_unstable();
        edges.dedup();
        if edges.len() > Fan::MOST_EDGES {
            self.wide += 1;
            return;
        }
        let next = calls.get(set.range.end).map(|call| call.edge);
        let fan = Fan {
            edges: edges.into(),
            members: set.members,
            failed: set.failed,
            then: next.filter(|_| fails),
        };
        let fell = Fell {
            seen: sign,
            fell: sign * i64::from(fails),
        };
        self.fans.add(&fan, &fell);
    }
}

/// Makes failed calls and their repeats one; answers how many are left, at the front.
fn collapse(calls: &mut [Call]) -> usize {
    let mut kept = 0;
    for at in 0..calls.len() {
        let call = calls[at];
        if let Some(before) = repeated(&calls[..kept], &call) {
            let before = &mut calls[before];
            before.end = before.end.max(call.end);
            if !before.is_outermost() {
                before.nest = call.nest;
            }
            before.last = call.slot;
            before.last_start = call.start;
            before.outcome = call.outcome;
            before.starts = call.starts;
            before.repeats += 1;
        } else {
            calls[kept] = call;
            kept += 1;
        }
    }
    kept
}

/// The failed call that this one repeats: of the same callee and operation, and nothing came between, at least of what
/// runs beside both under one parent. What comes between makes it a loop's next pass.
fn repeated(before: &[Call], call: &Call) -> Option<usize> {
    let (mut between, mut beside) = (None, None);
    for at in (before.len().saturating_sub(LOOKS_BACK)..before.len()).rev() {
        let other = &before[at];
        if (other.edge, other.operation) == (call.edge, call.operation) && other.end <= call.start {
            let is_next = |latest: Option<u64>| latest.is_none_or(|start| start < other.end);
            let follows = is_next(between) || other.parent == call.parent && is_next(beside);
            return (other.is_failed() && follows).then_some(at);
        }
        // what stands around it is no other call
        if other.last != call.nest {
            between = between.max(Some(other.last_start));
            if other.parent == call.parent {
                beside = beside.max(Some(other.last_start));
            }
        }
    }
    None
}

/// The edge of the first call that starts after this one ended.
fn follower(calls: &[Call], at: usize) -> Option<EdgeId> {
    let call = &calls[at];
    let first = calls
        .partition_point(|other| other.start < call.end)
        .max(at + 1);
    calls[first.min(calls.len())..]
        .iter()
        .find(|other| other.nest != call.last)
        .map(|other| other.edge)
}

/// Calls that overlap, one with the next; a call alone is a set too.
struct Set {
    range: Range<usize>,
    /// Of the outermost calls: how many there are, and how many failed.
    members: u32,
    failed: u32,
    /// The last of the outermost calls that failed; of meaning if it is the only one.
    culprit: Slot,
}

impl Set {
    /// The set that begins at a place; none at the end.
    fn at(calls: &[Call], begin: usize) -> Option<Set> {
        let mut end = calls.get(begin)?.end;
        let mut set = Set {
            range: begin..begin,
            members: 0,
            failed: 0,
            culprit: NONE,
        };
        for call in &calls[begin..] {
            if call.start >= end && set.range.end > begin && call.is_outermost() {
                break;
            }
            set.range.end += 1;
            end = end.max(call.end);
            set.members += u32::from(call.is_outermost());
            if call.is_outermost() && call.is_failed() {
                set.failed += 1;
                set.culprit = call.last;
            }
        }
        Some(set)
    }

    /// Whether no call failed beside this one, those around it and inside it apart.
    fn is_alone(&self, call: &Call) -> bool {
        let outermost = if call.is_outermost() {
            call.last
        } else {
            call.nest
        };
        self.failed == 0 || self.failed == 1 && self.culprit == outermost
    }
}
