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
use std::ops::AddAssign;

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
