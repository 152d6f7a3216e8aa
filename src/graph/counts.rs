//! What is counted of a node or an edge.

use crate::base::TraceId;
use crate::graph::latency::Latency;
use crate::scan::Outcome;

/// Sums over calls. They add up across shards and machines; a difference is a `Counts` too, hence the signs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Calls that are settled, and those that fell back (B-04).
    pub calls: i64,
    /// Of the calls, those drawn from a fallback source because the parent never came.
    pub fallback: i64,
    /// Calls drawn for now from a fallback source; not among `calls`.
    pub provisional: i64,
    /// Of a node: calls that nobody in sight made (entry points, A-04).
    pub entries: i64,
    /// Of a node: how often it was declared without being called.
    pub declared: i64,
    /// The calls by how they ended, in the order of [`Outcome`].
    pub outcomes: [i64; Outcome::COUNT],
    /// Their time, nanoseconds.
    pub duration_ns: i64,
    /// The calls by how long they took.
    pub latency: Latency,
    /// Tokens that models read.
    pub tokens_in: i64,
    /// Tokens that models wrote.
    pub tokens_out: i64,
    /// What models cost as far as spans say, billionths of a dollar (M-01).
    pub cost: i64,
    /// The earliest start of a call that was ever counted here, unix nanoseconds; 0 for none.
    pub first_seen: u64,
    /// The latest end.
    pub last_seen: u64,
    /// A trace that shows one.
    pub example: TraceId,
}

impl Counts {
    /// Adds another's sums.
    pub fn add(&mut self, other: &Counts) {
        self.calls += other.calls;
        self.fallback += other.fallback;
        self.provisional += other.provisional;
        self.entries += other.entries;
        self.declared += other.declared;
        for (sum, more) in self.outcomes.iter_mut().zip(other.outcomes) {
            *sum += more;
        }
        self.duration_ns = self.duration_ns.saturating_add(other.duration_ns);
        self.latency.add_all(&other.latency);
        self.tokens_in = self.tokens_in.saturating_add(other.tokens_in);
        self.tokens_out = self.tokens_out.saturating_add(other.tokens_out);
        self.cost = self.cost.saturating_add(other.cost);
        self.saw(other.first_seen, other.last_seen, other.example);
    }

    /// Takes another's sums away; when it was seen stays.
    pub(crate) fn subtract(&mut self, other: &Counts) {
        self.calls -= other.calls;
        self.fallback -= other.fallback;
        self.provisional -= other.provisional;
        self.entries -= other.entries;
        self.declared -= other.declared;
        for (sum, less) in self.outcomes.iter_mut().zip(other.outcomes) {
            *sum -= less;
        }
        self.duration_ns = self.duration_ns.saturating_sub(other.duration_ns);
        self.latency.take_all(&other.latency);
        self.tokens_in = self.tokens_in.saturating_sub(other.tokens_in);
        self.tokens_out = self.tokens_out.saturating_sub(other.tokens_out);
        self.cost = self.cost.saturating_sub(other.cost);
    }

    /// Widens the time in which it was seen.
    pub(crate) fn saw(&mut self, first: u64, last: u64, example: TraceId) {
        if first != 0 && (self.first_seen == 0 || first < self.first_seen) {
            self.first_seen = first;
        }
        self.last_seen = self.last_seen.max(last);
        if self.example == TraceId::default() {
            self.example = example;
        }
    }

    /// Calls of the kind that a failure rate counts.
    #[must_use]
    pub fn failures(&self) -> i64 {
        [Outcome::Error, Outcome::Timeout, Outcome::Throttled]
            .into_iter()
            .map(|outcome| self.outcomes[outcome as usize])
            .sum()
    }

    /// Whether anything is there to be shown.
    #[must_use]
    pub fn is_visible(&self) -> bool {
        self.calls != 0 || self.provisional != 0 || self.declared != 0
    }
}
