//! What time it is: the one place where the process reads a clock.
//!
//! The shell owns a [`Clock`] and hands it down; the core gets times as arguments (house rule: time is an argument).
//!
//! **Invariants.** [`Clock::elapsed`] never goes back. [`Clock::now`] may, when the machine's clock is set.
//! **Not here.** Stream time, which is the guard's, and timers, which are tokio's.

use crate::base::Nanos;
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::time::Instant;

/// Wall time and elapsed time from one source; cheap to clone.
#[derive(Clone, Debug)]
pub struct Clock(Source);

#[derive(Clone, Debug)]
enum Source {
    /// The machine's. Elapsed time is tokio's, so that a test with paused time pauses it too.
    System { origin: Instant },
    /// A test's or a replay's.
    Manual(ManualClock),
}

impl Clock {
    /// The machine's clock, with elapsed time counted from now.
    #[must_use]
    #[allow(
        clippy::disallowed_methods,
        reason = "the one place that reads the monotonic clock"
    )]
    pub fn system() -> Self {
        Clock(Source::System {
            origin: Instant::now(),
        })
    }

    /// Wall time: for what is shown, stored or sent, never for measuring.
    #[must_use]
    #[allow(
        clippy::disallowed_methods,
        reason = "the one place that reads the wall clock"
    )]
    pub fn now(&self) -> Nanos {
        match &self.0 {
            Source::System { .. } => {
                // a machine before 1970 has no time worth showing
                let since_epoch = SystemTime::now()
                    .duration_since(UNIX_EPOCH)
                    .unwrap_or_default();
                Nanos(u64::try_from(since_epoch.as_nanos()).unwrap_or(u64::MAX))
            }
            Source::Manual(manual) => manual.now(),
        }
    }

    /// Time passed since the clock was made: for measuring and for deadlines.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        match &self.0 {
            Source::System { origin } => origin.elapsed(),
            Source::Manual(manual) => manual.elapsed(),
        }
    }
}

/// A clock that moves when told to.
#[derive(Clone, Debug)]
pub struct ManualClock {
    /// Start and elapsed time change together with what reads them, in tests only; a lock is the plainest way.
    state: Arc<Mutex<(Nanos, Duration)>>,
}

impl ManualClock {
    /// A clock that shows this wall time until it is moved.
    #[must_use]
    pub fn new(start: Nanos) -> Self {
        ManualClock {
            state: Arc::new(Mutex::new((start, Duration::ZERO))),
        }
    }

    /// Lets time pass.
    pub fn advance(&self, by: Duration) {
        self.state.lock().1 += by;
    }

    /// The clock to hand down.
    #[must_use]
    pub fn clock(&self) -> Clock {
        Clock(Source::Manual(self.clone()))
    }

    fn now(&self) -> Nanos {
        let (start, elapsed) = *self.state.lock();
        start.plus(elapsed)
    }

    fn elapsed(&self) -> Duration {
        self.state.lock().1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manual_clock_moves_only_when_told() {
        let manual = ManualClock::new(Nanos(1_000));
        let clock = manual.clock();
        assert_eq!(
            (clock.now(), clock.elapsed()),
            (Nanos(1_000), Duration::ZERO)
        );
        manual.advance(Duration::from_nanos(5));
        assert_eq!(
            (clock.now(), clock.elapsed()),
            (Nanos(1_005), Duration::from_nanos(5))
        );
    }

    #[tokio::test(start_paused = true)]
    async fn elapsed_time_follows_paused_time_and_wall_time_is_real() {
        let clock = Clock::system();
        tokio::time::advance(Duration::from_secs(7)).await;
        assert_eq!(clock.elapsed(), Duration::from_secs(7));
        let year_2020 = Nanos(1_577_836_800_000_000_000);
        assert!(clock.now() > year_2020);
    }
}
