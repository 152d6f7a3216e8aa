//! Stream time: what time it is for the spans (D4).

use crate::base::Nanos;
use std::time::Duration;

/// A span that ends later than this after its arrival does not move stream time.
const MOST_AHEAD: Duration = Duration::from_secs(300);

/// The latest end seen, plus the time passed since it last moved. Live it is the clock; in a replay, the recording's.
#[derive(Clone, Copy, Debug, Default)]
pub struct StreamTime {
    latest: Nanos,
    moved: Nanos,
}

impl StreamTime {
    /// A span that ended then has arrived now.
    #[inline]
    pub fn observe(&mut self, end: u64, now: Nanos) {
        if self.moved == Nanos::default() {
            // spans that do not say when they ended have a beginning of time too
            self.moved = now;
        }
        if end > self.latest.0 && Nanos(end) <= now.plus(MOST_AHEAD) {
            self.latest = Nanos(end);
            self.moved = now;
        }
    }

    /// Stream time, by a clock that shows `now`.
    #[must_use]
    pub fn at(&self, now: Nanos) -> Nanos {
        self.latest.plus(now.since(self.moved))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replay_has_the_recordings_time_and_goes_on_with_the_clock() {
        let second = 1_000_000_000;
        let mut time = StreamTime::default();
        let now = Nanos(1_000 * second);
        time.observe(10 * second, now);
        time.observe(9 * second, now);
        assert_eq!(time.at(now), Nanos(10 * second));
        assert_eq!(
            time.at(now.plus(Duration::from_secs(5))),
            Nanos(15 * second)
        );
        time.observe(2_000 * second, now);
        assert_eq!(
            time.at(now),
            Nanos(10 * second),
            "a clock that is wrong moves nothing"
        );
        time.observe(1_200 * second, now);
        assert_eq!(time.at(now), Nanos(1_200 * second));
    }

    /// A recording without a clock, all of whose ends are missing.
    #[test]
    fn spans_without_an_end_do_not_make_everything_old() {
        let mut time = StreamTime::default();
        time.observe(0, Nanos(u64::MAX));
        assert_eq!(time.at(Nanos(u64::MAX)), Nanos(0));
    }
}
