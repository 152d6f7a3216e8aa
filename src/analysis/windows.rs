//! What happened lately, by event time: the last minute, the last five, and how it was before.
//!
//! ```text
//! cells (id, bucket) ─▶ ring [30 buckets of 10 s] ─ leaves after 5 min ─▶ reference, halved every 10 min
//!                                                        └ abnormal: aside, adopted after 10 min of it (`detection` §4)
//! ```
//!
//! The ring is a sorted list of the buckets that hold something: an edge called once a minute holds five, not thirty.
//! A bucket is judged and learned when it leaves the ring, in order of event time; so the same input gives the same figures
//! at any speed, as long as no cell comes later than the ring is long.
//!
//! **Bounds.** 30 buckets of 32 bytes an id with recent traffic, and one record for one whose reference still weighs
//! something; ids that went silent give theirs back. Ids are dense, and bounded by the interner.
//! **Not here.** What is abnormal enough to tell a person (`detect`), quantiles (`graph::Latency`).

use crate::analysis::bounds;
use crate::base::Nanos;
use crate::graph::{Bucket, Cell};
use std::ops::{AddAssign, SubAssign};

/// Buckets in the ring: five minutes.
const RING: u32 = 30;

/// Buckets of the last minute.
const MINUTE: u32 = 6;

/// Buckets after which the reference has half its weight: ten minutes.
const HALF_LIFE: f64 = 60.0;

/// Buckets after which a call has half its weight as traffic: an hour.
const TRAFFIC_HALF_LIFE: f64 = 360.0;

/// Buckets of abnormality after which the new level is adopted: ten minutes.
const ADOPTED_AFTER: u32 = 60;

/// Calls in the reference before it can call anything abnormal.
const WARM: f64 = 40.0;

/// Calls in a bucket before its latency is judged.
const JUDGED: i32 = 3;

/// How many eighths of an octave above the reference are abnormal: half as slow again.
const SLOWER: f64 = 4.68;

/// Weight below which nothing is left worth keeping.
const NOTHING: f64 = 0.01;

/// Sums that lose weight as they age.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Faded {
    /// Calls.
    pub calls: f64,
    /// Of these, failures.
    pub failures: f64,
    /// Of the failures, refusals for lack of room.
    pub throttled: f64,
    /// Eighths of an octave, summed as in [`Cell::octaves`].
    pub octaves: f64,
}

impl Faded {
    fn fade(&mut self, factor: f64) {
        self.calls *= factor;
        self.failures *= factor;
        self.throttled *= factor;
        self.octaves *= factor;
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "sums of ten seconds are far below 2^53"
    )]
    fn learn(&mut self, cell: &Cell) {
        self.calls += f64::from(cell.calls);
        self.failures += f64::from(cell.failures);
        self.throttled += f64::from(cell.throttled);
        self.octaves += cell.octaves as f64;
    }
}

impl AddAssign<&Faded> for Faded {
    fn add_assign(&mut self, other: &Faded) {
        self.calls += other.calls;
        self.failures += other.failures;
        self.throttled += other.throttled;
        self.octaves += other.octaves;
    }
}

/// What is known of an id's recent past. Those of several ids that are shown as one add up.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Recent {
    /// The last minute: the bucket of now and five before it.
    pub minute: Cell,
    /// The last five minutes: the bucket of now and 29 before it.
    pub five: Cell,
    /// Before that, while it was well.
    pub reference: Faded,
    /// Calls, weighted by age: half after an hour.
    pub calls: f64,
}

impl AddAssign<&Recent> for Recent {
    fn add_assign(&mut self, other: &Recent) {
        self.minute += &other.minute;
        self.five += &other.five;
        self.reference += &other.reference;
        self.calls += other.calls;
    }
}

impl SubAssign<&Recent> for Recent {
    fn sub_assign(&mut self, other: &Recent) {
        self.minute -= &other.minute;
        self.five -= &other.five;
        self.reference.calls = (self.reference.calls - other.reference.calls).max(0.0);
        self.reference.failures = (self.reference.failures - other.reference.failures).max(0.0);
        self.reference.throttled = (self.reference.throttled - other.reference.throttled).max(0.0);
        self.reference.octaves = (self.reference.octaves - other.reference.octaves).max(0.0);
        self.calls = (self.calls - other.calls).max(0.0);
    }
}

/// One id's ring and what it left.
#[derive(Clone, Debug, Default)]
struct Track {
    /// In order of their bucket; none later than now by more than the stream allows.
    ring: Vec<(Bucket, Cell)>,
    reference: Faded,
    /// Learned since it became abnormal.
    aside: Faded,
    /// The bucket in which it became so.
    since: Option<Bucket>,
    /// Calls that left the ring, weighted by age.
    traffic: f64,
    /// The bucket up to which all of these are faded.
    faded_to: Bucket,
}

/// Recent figures of nodes, or of edges, by raw number.
#[derive(Debug, Default)]
pub struct Windows {
    tracks: Vec<Option<Box<Track>>>,
    /// Numbers that have a track.
    live: Vec<u32>,
    /// Numbers whose figures are not as they were last told, each once.
    touched: Vec<u32>,
    is_touched: Vec<bool>,
    now: Bucket,
    late: u64,
}

impl Windows {
    /// Nothing happened yet.
    #[must_use]
    pub fn new() -> Self {
        Windows::default()
    }

    /// Adds what ended in a bucket, or takes it back. A cell from before the ring counts as late and is left out.
    pub fn absorb(&mut self, id: u32, bucket: Bucket, cell: &Cell) {
        if bucket.0.saturating_add(RING) <= self.now.0 {
            self.late += u64::from(cell.calls.unsigned_abs());
            return;
        }
        let at = id as usize;
        if at >= self.tracks.len() {
            self.tracks.resize_with(at + 1, || None);
            self.is_touched.resize(at + 1, false);
        }
        let now = self.now;
        let track = self.tracks[at].get_or_insert_with(|| {
            self.live.push(id);
            Box::new(Track {
                faded_to: Bucket(now.0.saturating_sub(RING)),
                ..Track::default()
            })
        });
        track.add(bucket, cell);
        self.touch(id);
    }

    /// Lets go of numbers that are to be others'.
    pub fn forget(&mut self, is_gone: impl Fn(u32) -> bool) {
        let tracks = &mut self.tracks;
        self.live.retain(|id| {
            let stays = !is_gone(*id);
            if !stays {
                tracks[*id as usize] = None;
            }
            stays
        });
    }

    /// Lets time pass to `now`, stream time. Costs nothing within a bucket, else what is live.
    pub fn roll(&mut self, now: Nanos) {
        let now = Bucket::of(now.0);
        if now <= self.now {
            return;
        }
        self.now = now;
        let mut live = std::mem::take(&mut self.live);
        live.retain(|id| {
            let track = &mut self.tracks[*id as usize];
            let is_live = track.as_mut().is_some_and(|track| track.roll(now));
            if !is_live {
                *track = None;
            }
            if !self.is_touched[*id as usize] {
                self.is_touched[*id as usize] = true;
                self.touched.push(*id);
            }
            is_live
        });
        self.live = live;
    }

    /// The numbers whose figures may differ from what was read before the last call of this.
    pub fn take_touched(&mut self) -> Vec<u32> {
        for id in &self.touched {
            self.is_touched[*id as usize] = false;
        }
        std::mem::take(&mut self.touched)
    }

    /// Whether [`Windows::take_touched`] has anything to give.
    #[must_use]
    pub fn has_touched(&self) -> bool {
        !self.touched.is_empty()
    }

    /// A number's figures as of the last [`Windows::roll`].
    #[must_use]
    pub fn recent(&self, id: u32) -> Recent {
        match self.tracks.get(id as usize) {
            Some(Some(track)) => track.recent(self.now),
            _ => Recent::default(),
        }
    }

    /// How many calls came later than the ring is long.
    #[must_use]
    pub fn late(&self) -> u64 {
        self.late
    }

    /// How many numbers hold memory.
    #[must_use]
    pub fn live(&self) -> usize {
        self.live.len()
    }

    fn touch(&mut self, id: u32) {
        if !self.is_touched[id as usize] {
            self.is_touched[id as usize] = true;
            self.touched.push(id);
        }
    }
}

impl Track {
    fn add(&mut self, bucket: Bucket, cell: &Cell) {
        let at = self.ring.partition_point(|(other, _)| *other < bucket);
        match self.ring.get_mut(at) {
            Some((other, sum)) if *other == bucket => *sum += cell,
            _ => self.ring.insert(at, (bucket, *cell)),
        }
    }

    /// Moves what left the ring into the past; says whether anything is left.
    fn roll(&mut self, now: Bucket) -> bool {
        let gone = self
            .ring
            .partition_point(|(bucket, _)| bucket.0.saturating_add(RING) <= now.0);
        for at in 0..gone {
            let (bucket, cell) = self.ring[at];
            self.leave(bucket, &cell);
        }
        self.ring.drain(..gone);
        self.fade_to(Bucket(now.0.saturating_sub(RING)));
        !self.ring.is_empty() || self.traffic > NOTHING || self.reference.calls > NOTHING
    }

    /// Learns a bucket that left the ring, unless it is abnormal.
    fn leave(&mut self, bucket: Bucket, cell: &Cell) {
        self.fade_to(bucket);
        self.traffic += f64::from(cell.calls);
        if self.is_abnormal(cell) {
            let since = *self.since.get_or_insert(bucket);
            self.aside.learn(cell);
            if bucket.0.saturating_sub(since.0) >= ADOPTED_AFTER {
                // a lasting change is a deployment, not an incident
                self.reference = std::mem::take(&mut self.aside);
                self.since = None;
            }
        } else if cell.calls > 0 {
            self.aside = Faded::default();
            self.since = None;
            self.reference.learn(cell);
        }
    }

    fn fade_to(&mut self, bucket: Bucket) {
        let Some(passed) = bucket.0.checked_sub(self.faded_to.0).filter(|n| *n > 0) else {
            return;
        };
        let factor = (-f64::from(passed) / HALF_LIFE).exp2();
        self.reference.fade(factor);
        self.aside.fade(factor);
        self.traffic *= (-f64::from(passed) / TRAFFIC_HALF_LIFE).exp2();
        self.faded_to = bucket;
    }

    /// Whether a bucket is worse than the reference beyond chance; a young reference calls nothing so.
    #[expect(
        clippy::cast_precision_loss,
        reason = "sums of ten seconds are far below 2^53"
    )]
    fn is_abnormal(&self, cell: &Cell) -> bool {
        if self.reference.calls < WARM || cell.calls <= 0 {
            return false;
        }
        let expected = (3.0 * self.reference.failures / self.reference.calls).clamp(0.002, 1.0);
        let (calls, failures) = (f64::from(cell.calls), f64::from(cell.failures));
        let is_failing = cell.failures >= 2 && bounds::lower(failures, calls) > expected;
        let slower =
            cell.octaves as f64 / calls - self.reference.octaves / self.reference.calls > SLOWER;
        is_failing || (slower && cell.calls >= JUDGED)
    }

    fn recent(&self, now: Bucket) -> Recent {
        let past = f64::from(now.0.saturating_sub(self.faded_to.0)) / TRAFFIC_HALF_LIFE;
        let mut recent = Recent {
            reference: self.reference,
            calls: self.traffic * (-past).exp2(),
            ..Recent::default()
        };
        for (bucket, cell) in &self.ring {
            let age = now.0.saturating_sub(bucket.0);
            if age < MINUTE {
                recent.minute += cell;
            }
            recent.five += cell;
            recent.calls += f64::from(cell.calls) * (-f64::from(age) / TRAFFIC_HALF_LIFE).exp2();
        }
        recent.calls = recent.calls.max(0.0);
        recent
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The bucket at which these streams begin.
    const START: u32 = 1_000;

    /// Calls of two to the power of `octave` nanoseconds.
    fn cell(calls: i32, failures: i32, octave: i64) -> Cell {
        Cell {
            calls,
            failures,
            octaves: 8 * octave * i64::from(calls),
            ..Cell::default()
        }
    }

    fn at(bucket: u32) -> Nanos {
        Nanos((u64::from(START + bucket)) * Bucket::NANOS)
    }

    /// Ten good calls of 2^20 ns a bucket, then what `fault` says.
    fn stream(buckets: u32, fault: impl Fn(u32) -> Option<Cell>) -> Windows {
        let mut windows = Windows::new();
        for bucket in 0..buckets {
            windows.roll(at(bucket));
            let cell = fault(bucket).unwrap_or(cell(10, 0, 20));
            windows.absorb(3, Bucket(START + bucket), &cell);
        }
        windows
    }

    /// D2: a number that is given to another brings nothing with it.
    #[test]
    fn a_number_that_is_let_go_begins_anew() {
        let mut windows = stream(100, |_| None);
        windows.absorb(4, Bucket(START + 99), &cell(5, 0, 20));
        windows.forget(|id| id == 3);
        assert_eq!((windows.recent(3), windows.live()), (Recent::default(), 1));
        windows.absorb(3, Bucket(START + 99), &cell(1, 0, 20));
        windows.roll(at(100));
        assert_eq!(windows.recent(3).five.calls, 1);
        assert_eq!((windows.recent(4).five.calls, windows.live()), (5, 2));
    }

    #[test]
    fn the_last_minute_and_the_last_five_are_told_apart_from_what_was_before() {
        let windows = stream(100, |bucket| (bucket >= 97).then(|| cell(10, 10, 20)));
        let recent = windows.recent(3);
        assert_eq!((recent.minute.calls, recent.minute.failures), (60, 30));
        assert_eq!((recent.five.calls, recent.five.failures), (300, 30));
        // 70 buckets left the ring; the youngest is as old as the ring is long and weighs 1, the one before 2^(−1/60), …
        let fades: f64 = (0..70).map(|age| (-f64::from(age) / 60.0).exp2()).sum();
        assert!((recent.reference.calls - 10.0 * fades).abs() < 1e-6);
        assert_eq!(recent.reference.failures, 0.0);
        let calls: f64 = (0..100)
            .map(|age| 10.0 * (-f64::from(age) / 360.0).exp2())
            .sum();
        assert!(
            (recent.calls - calls).abs() < 1e-6,
            "{} {calls}",
            recent.calls
        );
    }

    /// `detection` §4: not learned while abnormal, for ten minutes at most; then it is the new level.
    #[test]
    fn the_reference_does_not_learn_a_fault_that_passes_and_adopts_one_that_stays() {
        let slow = |from: u32, until: u32| {
            move |bucket| (from..until).contains(&bucket).then(|| cell(10, 0, 23))
        };
        let level = |windows: &Windows| {
            let reference = windows.recent(3).reference;
            reference.octaves / reference.calls / 8.0
        };
        assert!((level(&stream(160, slow(60, 100))) - 20.0).abs() < 1e-9);
        // abnormal since it left the ring for 60 buckets: adopted
        assert!((level(&stream(60 + 30 + 60, slow(60, 900))) - 20.0).abs() < 1e-9);
        assert!((level(&stream(60 + 30 + 62, slow(60, 900))) - 23.0).abs() < 1e-9);
        let failing = stream(120, |bucket| (bucket >= 60).then(|| cell(10, 5, 20)));
        assert_eq!(failing.recent(3).reference.failures, 0.0);
    }

    #[test]
    fn what_comes_later_than_the_ring_is_counted_and_left_out() {
        let mut windows = stream(50, |_| None);
        let before = windows.recent(3);
        windows.absorb(3, Bucket(START + 19), &cell(4, 0, 20));
        assert_eq!((windows.late(), windows.recent(3)), (4, before));
        windows.absorb(3, Bucket(START + 20), &cell(4, 0, 20));
        assert_eq!((windows.late(), windows.recent(3).five.calls), (4, 304));
    }

    #[test]
    fn silence_gives_memory_back_and_is_told_once() {
        let mut windows = stream(50, |_| None);
        windows.take_touched();
        windows.roll(at(49));
        assert!(windows.take_touched().is_empty());
        windows.roll(at(60));
        assert_eq!((windows.take_touched(), windows.live()), (vec![3], 1));
        windows.roll(at(60_000));
        assert_eq!((windows.take_touched(), windows.live()), (vec![3], 0));
        assert_eq!(windows.recent(3), Recent::default());
        windows.roll(at(60_001));
        assert!(windows.take_touched().is_empty());
    }

    proptest! {
        /// D4, `detection` §8: the same input gives the same figures at any speed.
        #[test]
        fn it_does_not_matter_how_often_time_is_told(
            cells in prop::collection::vec((0u32..200, 1i32..30, 0i32..30, 18i64..24), 1..80),
            pace in 1u32..29,
        ) {
            let mut cells = cells;
            cells.sort_by_key(|cell| cell.0);
            let run = |pace: u32| {
                let mut windows = Windows::new();
                let mut told = 0;
                for (bucket, calls, failures, octave) in &cells {
                    if bucket / pace > told {
                        told = bucket / pace;
                        windows.roll(at(told * pace));
                    }
                    windows.absorb(7, Bucket(START + bucket), &cell(*calls, (*failures).min(*calls), *octave));
                }
                windows.roll(at(230));
                windows.recent(7)
            };
            let (slow, fast) = (run(1), run(pace));
            prop_assert_eq!(&slow.five, &fast.five);
            prop_assert!((slow.calls - fast.calls).abs() < 1e-6);
            prop_assert!((slow.reference.calls - fast.reference.calls).abs() < 1e-6);
            prop_assert!((slow.reference.octaves - fast.reference.octaves).abs() < 1e-3);
        }
    }
}
