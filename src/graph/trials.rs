//! What failed calls led to: the evidence from which hard and soft dependencies are learned (`detection` §7).

use std::ops::AddAssign;

/// Sums over the finished activations that made calls over an edge. They add up across shards; a difference is one too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Trials {
    /// Failed calls after which nothing followed, the caller failed, and no concurrent call had failed.
    pub fell: i64,
    /// Failed calls that the caller survived.
    pub survived: i64,
    /// Calls that went well, after which nothing followed and the caller failed all the same.
    pub fell_anyway: i64,
    /// Calls in activations that failed; with the edge's calls it tells a handler from a step of the work.
    pub in_failing: i64,
}

impl AddAssign<&Trials> for Trials {
    fn add_assign(&mut self, other: &Trials) {
        self.fell += other.fell;
        self.survived += other.survived;
        self.fell_anyway += other.fell_anyway;
        self.in_failing += other.in_failing;
    }
}

/// How often the call of one edge was followed, in the same activation, by a call of another: whether that is a fallback.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Followed {
    /// After a failed call of the first.
    pub after_failure: i64,
    /// Of these, how often the caller survived.
    pub survived: i64,
    /// After a call of the first that went well.
    pub after_success: i64,
}

impl AddAssign<&Followed> for Followed {
    fn add_assign(&mut self, other: &Followed) {
        self.after_failure += other.after_failure;
        self.survived += other.survived;
        self.after_success += other.after_success;
    }
}
