//! From readings of memory to whether data is refused.
//!
//! The soft limit refuses; that alone would wedge. Resident memory does not only hold data: an allocator keeps freed pages
//! for the next allocation, so after a flood the reading can stay above the soft limit although nothing is queued, and a
//! limiter that refuses everything never sees those pages used. Hence: when refusing has not lowered the reading for
//! [`FLAT_CHECKS`] measurements, the soft limit moves half of the way from the reading to the hard limit, and data flows
//! again. If it was truly held data, the reading rises, and refusing starts anew below the hard limit; each time half as
//! much room is given. The configured soft limit holds again as soon as the reading has been below it.
//!
//! Rejected: refusing until below the soft limit (the wedge); asking the allocator to trim (`unsafe`, and only glibc's).
//!
//! **Invariants.** At or above the hard limit data is always refused. The soft limit in force is never above the hard one.
//! **Not here.** Reading memory, time, other tasks: this is a plain state machine.

/// The limits in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// From here on data is refused.
    pub soft: u64,
    /// The memory that must not be reached.
    pub hard: u64,
}

/// Where a reading stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// Data is taken.
    Normal,
    /// Data is refused.
    Soft,
    /// Data is refused, and memory is where it must not be.
    Hard,
}

/// Measurements without a fall after which the soft limit moves.
pub(super) const FLAT_CHECKS: u32 = 30;

/// What has been read so far.
#[derive(Debug)]
pub(super) struct Watermark {
    limits: Limits,
    /// The soft limit in force.
    soft: u64,
    level: Level,
    /// The lowest reading since refusing began or the limit moved.
    lowest: u64,
    flat_checks: u32,
}

impl Watermark {
    pub(super) fn new(limits: Limits) -> Self {
        Watermark {
            limits,
            soft: limits.soft,
            level: Level::Normal,
            lowest: 0,
            flat_checks: 0,
        }
    }

    /// The soft limit in force, in bytes.
    pub(super) fn soft(&self) -> u64 {
        self.soft
    }

    /// Takes a reading in bytes.
    pub(super) fn observe(&mut self, used: u64) -> Level {
        if used < self.limits.soft {
            self.soft = self.limits.soft;
        }
        let level = if used >= self.limits.hard {
            Level::Hard
        } else if used >= self.soft {
            Level::Soft
        } else {
            Level::Normal
        };
        self.level = match (self.level, level) {
            (Level::Soft, Level::Soft) => self.still_soft(used),
            (_, new) => {
                self.lowest = used;
                self.flat_checks = 0;
                new
            }
        };
        self.level
    }

    fn still_soft(&mut self, used: u64) -> Level {
        // a fall is 1/64 or more; less is noise
        if used < self.lowest - self.lowest / 64 {
            self.lowest = used;
            self.flat_checks = 0;
            return Level::Soft;
        }
        self.flat_checks += 1;
        if self.flat_checks < FLAT_CHECKS {
            return Level::Soft;
        }
        self.soft = used + (self.limits.hard - used).div_ceil(2);
        self.lowest = used;
        self.flat_checks = 0;
        if used < self.soft {
            Level::Normal
        } else {
            Level::Soft
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LIMITS: Limits = Limits {
        soft: 800,
        hard: 1_000,
    };

    #[test]
    fn data_is_refused_from_the_soft_limit_on_and_taken_again_below_it() {
        let mut mark = Watermark::new(LIMITS);
        let levels = [799, 800, 1_000, 900, 799].map(|used| mark.observe(used));
        use Level::{Hard, Normal, Soft};
        assert_eq!(levels, [Normal, Soft, Hard, Soft, Normal]);
    }

    #[test]
    fn memory_that_the_allocator_keeps_does_not_wedge_it() {
        let mut mark = Watermark::new(LIMITS);
        assert_eq!(mark.observe(880), Level::Soft);
        for _ in 1..FLAT_CHECKS {
            assert_eq!(mark.observe(880), Level::Soft);
        }
        assert_eq!(mark.observe(880), Level::Normal, "flat for long enough");
        assert_eq!(mark.soft(), 940);
        assert_eq!(mark.observe(939), Level::Normal);
        assert_eq!(mark.observe(940), Level::Soft, "held data refuses again");
        assert_eq!(mark.observe(700), Level::Normal);
        assert_eq!(mark.soft(), 800, "the configured limit is back");
    }

    #[test]
    fn a_reading_that_falls_is_given_its_time() {
        let mut mark = Watermark::new(LIMITS);
        let falling = (0..12).map(|step| 999 - 16 * step);
        for used in falling {
            for _ in 1..FLAT_CHECKS {
                assert_eq!(mark.observe(used), Level::Soft, "{used}");
            }
        }
        assert_eq!(mark.soft(), LIMITS.soft, "the limit did not move");
    }

    proptest! {
        #[test]
        fn at_the_hard_limit_data_is_always_refused(readings in prop::collection::vec(0_u64..1_500, 0..400)) {
            let mut mark = Watermark::new(LIMITS);
            for used in readings {
                let level = mark.observe(used);
                prop_assert_eq!(level == Level::Hard, used >= LIMITS.hard);
                prop_assert!(used >= LIMITS.soft || level == Level::Normal);
                prop_assert!((LIMITS.soft..=LIMITS.hard).contains(&mark.soft()));
            }
        }
    }
}
