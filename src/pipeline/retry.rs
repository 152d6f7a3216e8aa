//! When to try again: exponential back-off with jitter, as the OTLP specification and the Collector have it.

use crate::base::Random;
use std::time::Duration;

/// The numbers of the back-off; defaults as the Collector's `retry_on_failure`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RetrySettings {
    /// Whether to try again at all.
    pub enabled: bool,
    /// The first wait.
    pub initial_interval: Duration,
    /// The longest wait.
    pub max_interval: Duration,
    /// When to give up, counted from the first failure; zero: never.
    pub max_elapsed_time: Duration,
    /// How much longer each wait is than the one before.
    pub multiplier: f64,
    /// How far a wait is moved at random, as a share of itself.
    pub randomization_factor: f64,
}

impl Default for RetrySettings {
    fn default() -> Self {
        RetrySettings {
            enabled: true,
            initial_interval: Duration::from_secs(5),
            max_interval: Duration::from_secs(30),
            max_elapsed_time: Duration::from_secs(300),
            multiplier: 1.5,
            randomization_factor: 0.5,
        }
    }
}

/// The longest wait that a next hop may ask for; it may say anything.
const LONGEST_ASKED: Duration = Duration::from_secs(24 * 60 * 60);

/// The waits of one request.
#[derive(Clone, Debug)]
pub struct Backoff {
    settings: RetrySettings,
    interval: Duration,
}

impl Backoff {
    /// Before the first failure.
    #[must_use]
    pub fn new(settings: RetrySettings) -> Self {
        Backoff {
            settings,
            interval: settings.initial_interval,
        }
    }

    /// How long to wait before the next try, at least `asked` if the next hop named a time; `None` to give up.
    /// `elapsed` is the time since the first try.
    pub fn next(
        &mut self,
        asked: Option<Duration>,
        elapsed: Duration,
        random: &mut Random,
    ) -> Option<Duration> {
        if !self.settings.enabled {
            return None;
        }
        let spread = self.settings.randomization_factor.clamp(0.0, 1.0);
        let factor = 1.0 - spread + 2.0 * spread * random.unit();
        let jittered = self.interval.mul_f64(factor);
        let wait = asked.map_or(jittered, |asked| jittered.max(asked.min(LONGEST_ASKED)));
        let longer = self
            .interval
            .mul_f64(self.settings.multiplier.clamp(1.0, 100.0));
        self.interval = longer.min(self.settings.max_interval);
        let limit = self.settings.max_elapsed_time;
        if !limit.is_zero() && elapsed + wait > limit {
            return None;
        }
        Some(wait)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_the_longest_and_stay_within_the_jitter() {
        let mut random = Random::seeded(7);
        let mut backoff = Backoff::new(RetrySettings::default());
        let mut middle = 5.0;
        for _ in 0..12 {
            let wait = backoff
                .next(None, Duration::ZERO, &mut random)
                .unwrap()
                .as_secs_f64();
            assert!(
                (0.5 * middle..=1.5 * middle).contains(&wait),
                "{wait} around {middle}"
            );
            middle = f64::min(middle * 1.5, 30.0);
        }
    }

    #[test]
    fn a_time_that_was_asked_for_is_never_undercut() {
        let mut backoff = Backoff::new(RetrySettings::default());
        let asked = Duration::from_secs(60);
        assert!(
            backoff
                .next(Some(asked), Duration::ZERO, &mut Random::seeded(1))
                .unwrap()
                >= asked
        );
    }

    /// A next hop that asked for ten thousand years would overflow the clock where nothing else ends the waiting.
    #[test]
    fn a_time_beyond_all_reason_is_cut() {
        let for_ever = RetrySettings {
            max_elapsed_time: Duration::ZERO,
            ..RetrySettings::default()
        };
        let wait = Backoff::new(for_ever).next(
            Some(Duration::MAX),
            Duration::ZERO,
            &mut Random::seeded(1),
        );
        assert_eq!(wait, Some(LONGEST_ASKED));
    }

    #[test]
    fn it_gives_up_after_the_longest_time_and_never_if_that_is_zero() {
        let mut random = Random::seeded(1);
        let late = Duration::from_secs(299);
        assert_eq!(
            Backoff::new(RetrySettings::default()).next(None, late, &mut random),
            None
        );
        let for_ever = RetrySettings {
            max_elapsed_time: Duration::ZERO,
            ..RetrySettings::default()
        };
        assert!(
            Backoff::new(for_ever)
                .next(None, Duration::from_secs(1 << 20), &mut random)
                .is_some()
        );
    }
}
