//! What happened when: counts by the ten seconds of event time in which a call ended (D4).
//!
//! ```text
//! call ─▶ its row's even and odd bucket ([`Recent`]) ─ a third ─▶ [`Spilled`] ─┐
//!                    └───────────────── at the hand-over ──────────────────────┴─▶ each row and bucket once
//! ```
//!
//! **Bounds.** Two cells a row, and those of [`Spilled`]. **Invariant.** The bucket is a function of the span alone, so that
//! what is taken back is taken from where it was put. **Not here.** Windows and lateness (the tick).

use crate::scan::Outcome;
use std::ops::{AddAssign, SubAssign};

/// A stretch of event time: how many tens of seconds after 1970 it began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Bucket(pub u32);

impl Bucket {
    /// How long a bucket is, nanoseconds.
    pub const NANOS: u64 = 10_000_000_000;

    /// What ended too long ago to say when.
    pub const PAST: Bucket = Bucket(0);

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
    /// One call, or one to be taken back. `octave` is the number of its duration's bucket (`Latency`).
    #[inline]
    pub(crate) fn of_call(outcome: Outcome, octave: u16, sign: i64) -> Cell {
        // 1 or -1
        let sign = sign as i32;
        let if_is = |is: bool| sign * i32::from(is);
        Cell {
            calls: sign,
            failures: if_is(outcome.is_failure()),
            throttled: if_is(outcome == Outcome::Throttled),
            timeouts: if_is(outcome == Outcome::Timeout),
            octaves: i64::from(sign) * i64::from(octave),
        }
    }

    /// Whether it adds nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Cell::default()
    }
}

impl SubAssign<&Cell> for Cell {
    fn sub_assign(&mut self, other: &Cell) {
        self.calls -= other.calls;
        self.failures -= other.failures;
        self.throttled -= other.throttled;
        self.timeouts -= other.timeouts;
        self.octaves -= other.octaves;
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

/// The cells of the two buckets in which things end now: the even one and the odd one.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Recent([(Bucket, Cell); 2]);

impl Recent {
    /// Adds to a bucket. The older of two that want one place is handed back.
    #[inline]
    pub(crate) fn add(&mut self, bucket: Bucket, cell: &Cell) -> Option<(Bucket, Cell)> {
        let (held, sum) = &mut self.0[bucket.0 as usize & 1];
        if *held == bucket {
            *sum += cell;
            return None;
        }
        if *held > bucket {
            return Some((bucket, *cell));
        }
        let older = std::mem::replace(&mut self.0[bucket.0 as usize & 1], (bucket, *cell));
        (!older.1.is_empty()).then_some(older)
    }

    /// What is there.
    pub(crate) fn cells(self) -> impl Iterator<Item = (Bucket, Cell)> {
        self.0.into_iter().filter(|(_, cell)| !cell.is_empty())
    }
}

/// Cells of rows that have more than two between two hand-overs: a replay, or calls that are moved long after.
///
/// **Bounds.** `most` cells and one a row: beyond, the oldest are joined in [`Bucket::PAST`], so that sums stay whole.
#[derive(Debug)]
pub(crate) struct Spilled {
    cells: Vec<(u32, Bucket, Cell)>,
    /// How many there were when they were last joined.
    joined: usize,
    most: usize,
}

impl Spilled {
    pub(crate) fn new(most: usize) -> Self {
        Spilled {
            cells: Vec::new(),
            joined: 0,
            most,
        }
    }

    /// Adds to a row's bucket.
    #[cold]
    pub(crate) fn push(&mut self, row: u32, (bucket, cell): (Bucket, Cell)) {
        self.cells.push((row, bucket, cell));
        if self.cells.len() > 2 * self.joined + 1_024 {
            self.join();
        }
    }

    /// What is there, a row and bucket once, with what is still with the rows; forgotten afterwards.
    pub(crate) fn take(
        &mut self,
        recent: impl Iterator<Item = (u32, Bucket, Cell)>,
    ) -> Vec<(u32, Bucket, Cell)> {
        if self.cells.is_empty() {
            return recent.collect();
        }
        self.cells.extend(recent);
        self.join();
        self.joined = 0;
        std::mem::take(&mut self.cells)
    }

    fn join(&mut self) {
        self.join_equal();
        if self.cells.len() > self.most {
            let mut buckets: Vec<Bucket> =
                self.cells.iter().map(|(_, bucket, _)| *bucket).collect();
            let newest = self.most / 2;
            let (_, oldest, _) = buckets.select_nth_unstable(self.cells.len() - newest - 1);
            let since = *oldest;
            for (_, bucket, _) in &mut self.cells {
                if *bucket <= since {
                    *bucket = Bucket::PAST;
                }
            }
            self.join_equal();
        }
        self.joined = self.cells.len();
    }

    fn join_equal(&mut self) {
        self.cells
            .sort_unstable_by_key(|(row, bucket, _)| (*row, *bucket));
        self.cells.dedup_by(|later, kept| {
            let is_same = (later.0, later.1) == (kept.0, kept.1);
            if is_same {
                kept.2 += &later.2;
            }
            is_same
        });
        self.cells.retain(|(.., cell)| !cell.is_empty());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn sums(cells: &[(u32, Bucket, Cell)]) -> BTreeMap<(u32, Bucket), i32> {
        let mut sums = BTreeMap::new();
        for (row, bucket, cell) in cells {
            assert!(
                sums.insert((*row, *bucket), cell.calls).is_none(),
                "a row's bucket is there twice"
            );
        }
        sums
    }

    proptest! {
        /// D4: whatever the order of the buckets, what is handed over is what was added.
        #[test]
        fn calls_are_handed_over_in_the_bucket_in_which_they_ended(
            calls in prop::collection::vec((0..3u32, 0..9u32, any::<bool>()), 0..5_000),
        ) {
            let mut rows = [Recent::default(); 3];
            let mut spilled = Spilled::new(1 << 16);
            let mut expected = BTreeMap::new();
            for (row, bucket, is_back) in calls {
                let sign = if is_back { -1 } else { 1 };
                let (bucket, cell) = (Bucket(bucket), Cell::of_call(Outcome::Ok, 8, sign));
                *expected.entry((row, bucket)).or_insert(0) += cell.calls;
                if let Some(more) = rows[row as usize].add(bucket, &cell) {
                    spilled.push(row, more);
                }
            }
            expected.retain(|_, calls| *calls != 0);
            let recent = (0..).zip(rows).flat_map(|(row, recent)| {
                recent.cells().map(move |(bucket, cell)| (row, bucket, cell))
            });
            prop_assert_eq!(sums(&spilled.take(recent)), expected);
        }
    }

    #[test]
    fn ends_all_over_time_take_bounded_room_and_none_is_lost() {
        let mut spilled = Spilled::new(1_000);
        for number in 0..100_000u32 {
            let bucket = Bucket(number.wrapping_mul(2_654_435_761));
            spilled.push(number % 7, (bucket, Cell::of_call(Outcome::Error, 8, 1)));
            assert!(spilled.cells.len() <= 4_000);
        }
        let cells = spilled.take(std::iter::empty());
        assert!(cells.len() <= 1_000);
        assert_eq!(sums(&cells).values().sum::<i32>(), 100_000);
        assert!(spilled.take(std::iter::empty()).is_empty());
    }
}
