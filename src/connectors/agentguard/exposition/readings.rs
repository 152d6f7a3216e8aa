//! What series show: sums over what coincides, of which none falls.
//!
//! **Not here.** Labels (`labels`), what was shown before (`ratchet`).

use super::ratchet::Reading;
use crate::base::TraceId;
use crate::graph::Counts;
use crate::scan::Outcome;
use std::time::Duration;

/// What is shown of an edge.
#[derive(Clone, Debug, Default)]
pub(super) struct Calls {
    pub(super) calls: i64,
    pub(super) failed: i64,
    pub(super) lasted_ns: i64,
    /// Calls that took no longer than each bound.
    pub(super) within: Vec<i64>,
    pub(super) example: TraceId,
}

impl Calls {
    pub(super) fn of(counts: &Counts, bounds: &[Duration]) -> Calls {
        let mut within = vec![0; bounds.len()];
        for (middle, calls) in counts.latency.buckets() {
            let first = bounds.partition_point(|bound| nanos(*bound) < middle);
            for sum in within.iter_mut().skip(first) {
                *sum += calls;
            }
        }
        Calls {
            calls: counts.calls,
            failed: counts.failures(),
            lasted_ns: counts.duration_ns,
            within,
            example: counts.example,
        }
    }
}

impl Reading for Calls {
    fn add(&mut self, other: Calls) {
        self.calls += other.calls;
        self.failed += other.failed;
        self.lasted_ns = self.lasted_ns.saturating_add(other.lasted_ns);
        if self.within.is_empty() {
            self.within = other.within;
        } else {
            for (sum, more) in self.within.iter_mut().zip(other.within) {
                *sum += more;
            }
        }
        if self.example == TraceId::default() {
            self.example = other.example;
        }
    }

    /// Each bound for itself: the larger of two rising rows rises too.
    fn raise(&mut self, sum: &Calls) {
        self.calls = self.calls.max(sum.calls);
        self.failed = self.failed.max(sum.failed);
        self.lasted_ns = self.lasted_ns.max(sum.lasted_ns);
        self.within.resize(sum.within.len(), 0);
        for (shown, sum) in self.within.iter_mut().zip(&sum.within) {
            *shown = (*shown).max(*sum);
        }
        self.example = sum.example;
    }
}

/// How often a node was called, by how that ended.
#[derive(Clone, Debug, Default)]
pub(super) struct Ends(pub(super) [i64; Outcome::COUNT]);

impl Ends {
    /// The outcomes in the order of the sums.
    pub(super) const OUTCOMES: [Outcome; Outcome::COUNT] = [
        Outcome::Ok,
        Outcome::Error,
        Outcome::Timeout,
        Outcome::Throttled,
        Outcome::Blocked,
        Outcome::Cancelled,
    ];
}

impl Reading for Ends {
    fn add(&mut self, other: Ends) {
        for (sum, more) in self.0.iter_mut().zip(other.0) {
            *sum += more;
        }
    }

    fn raise(&mut self, sum: &Ends) {
        for (shown, sum) in self.0.iter_mut().zip(sum.0) {
            *shown = (*shown).max(sum);
        }
    }
}

/// What a model read and wrote.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tokens {
    pub(super) input: i64,
    pub(super) output: i64,
}

impl Reading for Tokens {
    fn add(&mut self, other: Tokens) {
        self.input = self.input.saturating_add(other.input);
        self.output = self.output.saturating_add(other.output);
    }

    fn raise(&mut self, sum: &Tokens) {
        self.input = self.input.max(sum.input);
        self.output = self.output.max(sum.output);
    }
}

/// What a model cost, billionths of a dollar.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Cost(pub(super) i64);

impl Reading for Cost {
    fn add(&mut self, other: Cost) {
        self.0 = self.0.saturating_add(other.0);
    }

    fn raise(&mut self, sum: &Cost) {
        self.0 = self.0.max(sum.0);
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a bound is compared with the middle of a bucket"
)]
fn nanos(duration: Duration) -> f64 {
    duration.as_nanos() as f64
}
