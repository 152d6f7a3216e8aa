//! How long calls took: a sparse histogram with logarithmic buckets, as in OTLP's exponential histogram of scale 3.
//!
//! A bucket ends 2^(1/8), 9 %, above where it begins; its number `i` holds what is above 2^(i/8) and at most 2^((i+1)/8)
//! nanoseconds. Only buckets that hold something take room: eight bytes each, a few dozen for most edges.
//!
//! **Bounds.** 512 buckets, from a nanosecond to 584 years. **Invariants.** Sums add up and differences cancel, in any
//! order: nothing is rounded after the bucket was chosen. **Not here.** The bounds that a reader wants (`connectors`).

/// Buckets to a doubling.
const PER_OCTAVE: u16 = 8;

/// Bits of a cell that hold the bucket's number.
const BUCKET_BITS: u32 = 9;

/// 2^(k/8) for k from 1 to 7, with the binary point behind the highest of 64 bits.
const STEPS: [u64; 7] = [
    10_058_158_527_438_640_870,
    10_968_499_650_544_839_023,
    11_961_233_684_655_323_370,
    13_043_817_825_332_782_212,
    14_224_384_202_002_324_189,
    15_511_800_964_685_064_948,
    16_915_738_899_553_466_670,
];

/// A bucket's number and what it holds, in one word: the number in the low bits, so that cells sort by it when masked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Cell(i64);

impl Cell {
    fn new(bucket: u16, calls: i64) -> Cell {
        Cell(calls << BUCKET_BITS | i64::from(bucket))
    }

    fn bucket(self) -> u16 {
        // nine bits are left, which fit
        (self.0 & ((1 << BUCKET_BITS) - 1)) as u16
    }

    fn calls(self) -> i64 {
        self.0 >> BUCKET_BITS
    }
}

/// Calls by how long they took. A difference is one too, hence the signs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Latency {
    /// In order of the bucket's number; none holds 0.
    cells: Vec<Cell>,
}

impl Latency {
    /// Adds calls of one duration, or takes them back.
    #[inline]
    pub fn add(&mut self, duration_ns: u64, calls: i64) {
        self.add_to(bucket_of(duration_ns), calls);
    }

    /// Adds another's.
    pub fn add_all(&mut self, other: &Latency) {
        if self.cells.is_empty() {
            self.cells.clone_from(&other.cells);
            return;
        }
        for cell in &other.cells {
            self.add_to(cell.bucket(), cell.calls());
        }
    }

    /// Takes another's away.
    pub fn take_all(&mut self, other: &Latency) {
        for cell in &other.cells {
            self.add_to(cell.bucket(), -cell.calls());
        }
    }

    /// The same as [`Latency::add`], of a bucket's number.
    pub(crate) fn add_to(&mut self, bucket: u16, calls: i64) {
        match self
            .cells
            .binary_search_by_key(&bucket, |cell| cell.bucket())
        {
            Ok(at) => {
                let sum = self.cells[at].calls() + calls;
                if sum == 0 {
                    self.cells.remove(at);
                } else {
                    self.cells[at] = Cell::new(bucket, sum);
                }
            }
            Err(_) if calls == 0 => {}
            Err(at) => self.cells.insert(at, Cell::new(bucket, calls)),
        }
    }

    /// The buckets that hold something, ascending: where in the middle each lies (nanoseconds, by its logarithm), and how
    /// many calls it holds.
    pub fn buckets(&self) -> impl Iterator<Item = (f64, i64)> {
        let middle = |bucket: u16| ((f64::from(bucket) + 0.5) / f64::from(PER_OCTAVE)).exp2();
        self.cells
            .iter()
            .map(move |cell| (middle(cell.bucket()), cell.calls()))
    }
}

/// Buckets around the first that was counted, a number each: where nearly all of a row's calls between two hand-overs lie.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Near {
    base: u16,
    calls: [i16; Near::BUCKETS],
}

impl Near {
    /// Four doublings.
    const BUCKETS: usize = 32;

    /// Empty, around a bucket.
    #[inline]
    pub(crate) fn around(bucket: u16) -> Near {
        Near {
            base: bucket.saturating_sub(Near::BUCKETS as u16 / 2),
            calls: [0; Near::BUCKETS],
        }
    }

    /// Adds a call or takes one back, here or, where it does not fit, there.
    #[inline]
    pub(crate) fn add_or(&mut self, bucket: u16, sign: i64, far: &mut Latency) {
        let place = self
            .calls
            .get_mut(usize::from(bucket.wrapping_sub(self.base)));
        // 1 or -1
        match place.and_then(|calls| Some((calls.checked_add(sign as i16)?, calls))) {
            Some((sum, calls)) => *calls = sum,
            None => far.add_to(bucket, sign),
        }
    }

    /// Adds what is here to what is there.
    pub(crate) fn add_to(&self, far: &mut Latency) {
        for (bucket, calls) in (self.base..).zip(self.calls) {
            if calls != 0 {
                far.add_to(bucket, i64::from(calls));
            }
        }
    }
}

/// The number of the bucket that holds a duration.
#[inline]
pub(crate) fn bucket_of(duration_ns: u64) -> u16 {
    if duration_ns <= 1 {
        return 0;
    }
    let shift = duration_ns.leading_zeros();
    let scaled = duration_ns << shift;
    let above = STEPS.iter().filter(|step| scaled > **step).count();
    // 63 × 8 + 7 at most
    let bucket = (63 - shift) as u16 * PER_OCTAVE + above as u16;
    // an upper bound belongs to the bucket that it ends
    bucket - u16::from(duration_ns.is_power_of_two())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The bounds of a bucket.
    fn bounds(bucket: u16) -> (f64, f64) {
        let bound = |number: u16| (f64::from(number) / 8.0).exp2();
        (bound(bucket), bound(bucket + 1))
    }

    proptest! {
        /// D4: compatible with OTLP's exponential histogram of scale 3.
        #[test]
        fn a_duration_lies_between_the_bounds_of_its_bucket(shift in 0u32..63, low in any::<u64>()) {
            let duration = (low >> shift).max(2);
            let (below, above) = bounds(bucket_of(duration));
            let tolerance = duration as f64 * 1e-12;
            prop_assert!((duration as f64) > below - tolerance && duration as f64 <= above + tolerance);
        }

        #[test]
        fn what_is_added_and_taken_back_leaves_nothing(durations in prop::collection::vec(any::<u64>(), 0..50)) {
            let mut latency = Latency::default();
            let mut other = Latency::default();
            for duration in &durations {
                latency.add(*duration, 1);
                other.add(*duration, -1);
            }
            prop_assert_eq!(
                latency.buckets().map(|(_, calls)| calls).sum::<i64>(),
                i64::try_from(durations.len()).unwrap()
            );
            latency.add_all(&other);
            prop_assert_eq!(latency, Latency::default());
        }
    }

    proptest! {
        #[test]
        fn what_is_counted_near_and_far_is_what_was_added(
            first in any::<u16>().prop_map(|n| n % 512),
            more in prop::collection::vec((0..512u16, any::<bool>()), 0..400),
        ) {
            let (mut near, mut far, mut expected) = (Near::around(first), Latency::default(), Latency::default());
            for (bucket, is_back) in more {
                let sign = if is_back { -1 } else { 1 };
                near.add_or(bucket, sign, &mut far);
                expected.add_to(bucket, sign);
            }
            near.add_to(&mut far);
            prop_assert_eq!(far, expected);
        }
    }

    #[test]
    fn more_calls_than_a_near_bucket_holds_are_counted_far() {
        let (mut near, mut far) = (Near::around(7), Latency::default());
        for _ in 0..100_000 {
            near.add_or(7, 1, &mut far);
        }
        near.add_to(&mut far);
        assert_eq!(far.buckets().map(|(_, calls)| calls).sum::<i64>(), 100_000);
    }

    #[test]
    fn powers_of_two_end_their_bucket_and_the_extremes_have_one() {
        assert_eq!([0, 1, 2, 3, 4].map(bucket_of), [0, 0, 7, 12, 15]);
        assert_eq!(bucket_of(u64::MAX), 511);
        assert_eq!(bucket_of((1 << 20) + 1), 160);
        assert_eq!(bucket_of(1 << 20), 159);
    }

    #[test]
    fn a_cell_holds_negative_numbers_beside_its_bucket() {
        let cell = Cell::new(511, -3);
        assert_eq!((cell.bucket(), cell.calls()), (511, -3));
    }
}
