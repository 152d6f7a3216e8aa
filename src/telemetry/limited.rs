//! Saying a repeating thing now and then.

use parking_lot::Mutex;
use std::time::Duration;

/// Lets one event through per period and counts the rest, so that a flood of failures is one line with a number.
///
/// ```text
/// if let Some(suppressed) = limit.pass(clock.elapsed()) { warn!(suppressed, "accept failed"); }
/// ```
#[derive(Debug)]
pub struct RateLimited {
    period: Duration,
    /// Asked on failures only, off the request clock, so a lock is plain enough.
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    last: Option<Duration>,
    suppressed: u64,
}

impl RateLimited {
    /// One event per period.
    #[must_use]
    pub fn new(period: Duration) -> Self {
        RateLimited {
            period,
            state: Mutex::default(),
        }
    }

    /// Whether to say it, at this elapsed time; if so, how many were not said since the last one.
    #[must_use]
    pub fn pass(&self, now: Duration) -> Option<u64> {
        let mut state = self.state.lock();
        let is_due = state
            .last
            .is_none_or(|last| now.saturating_sub(last) >= self.period);
        if is_due {
            state.last = Some(now);
            Some(std::mem::take(&mut state.suppressed))
        } else {
            state.suppressed += 1;
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_passes_per_period_and_says_how_many_did_not() {
        let limit = RateLimited::new(Duration::from_secs(10));
        let passed: Vec<_> = [0, 1, 9, 10, 11, 30]
            .map(Duration::from_secs)
            .map(|now| limit.pass(now))
            .into();
        assert_eq!(passed, [Some(0), None, None, Some(2), None, Some(1)]);
    }
}
