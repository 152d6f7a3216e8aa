//! What happened when: counts by the ten seconds of event time in which a call ended (D4).

use std::ops::AddAssign;

/// A stretch of event time: how many tens of seconds after 1970 it began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Bucket(pub u32);

impl Bucket {
    /// How long a bucket is, nanoseconds.
    pub const NANOS: u64 = 10_000_000_000;

    /// The bucket of a moment, unix nanoseconds.
    #[inline]
    #[must_use]
    pub fn of(nanos: u64) -> Bucket {
        Bucket(u32::try_from(nanos / Bucket::NANOS).unwrap_or(u32::MAX))
    }
}

/// Sums over the calls that ended in a bucket, of a node or an edge. A difference is one too, hence the signs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cell {
    /// Settled calls, and those that fell back.
    pub calls: i32,
    /// Of these, errors, timeouts and refusals for lack of room (`Counts::failures`).
    pub failures: i32,
    /// Of the failures, those because the callee was out of room (429 and its like).
    pub throttled: i32,
    /// Of the failures, those by time.
    pub timeouts: i32,
    /// Sum over the calls of eight times the binary logarithm of their nanoseconds, rounded down: eighths of an octave.
    /// Divided by `calls` it is the logarithm of the geometric mean, which one slow call does not move.
    pub octaves: i64,
}

impl Cell {
    /// Whether it adds nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Cell::default()
    }
}

impl AddAssign<&Cell> for Cell {
    fn add_assign(&mut self, other: &Cell) {
        self.calls += other.calls;
        self.failures += other.failures;
        self.throttled += other.throttled;
        self.timeouts += other.timeouts;
        self.octaves += other.octaves;
    }
}
