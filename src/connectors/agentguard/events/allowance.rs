//! How many events of a kind may be told: a token bucket.

use super::super::config::EventsConfig;
use crate::base::Nanos;

/// Nanoseconds of a minute, in which `per_minute` tokens come.
const MINUTE: u64 = 60_000_000_000;

/// A bucket of tokens, full at first.
#[derive(Debug)]
pub(super) struct Allowance {
    per_minute: u64,
    burst: u64,
    /// Tokens times [`MINUTE`], so that no part of one is lost between two looks.
    tokens: u64,
    filled: Nanos,
    suppressed: u64,
}

impl Allowance {
    /// As configured.
    pub(super) fn new(config: &EventsConfig) -> Self {
        let burst = u64::from(config.burst);
        Allowance {
            per_minute: config.per_minute.into(),
            burst,
            tokens: burst * MINUTE,
            filled: Nanos(0),
            suppressed: 0,
        }
    }

    /// Takes a token: `Some` of how many found none since the last that did, or `None`.
    pub(super) fn take(&mut self, now: Nanos) -> Option<u64> {
        let passed = u64::try_from(now.since(self.filled).as_nanos()).unwrap_or(u64::MAX);
        let more = passed.saturating_mul(self.per_minute);
        self.filled = self.filled.max(now);
        self.tokens = self.tokens.saturating_add(more).min(self.burst * MINUTE);
        if self.tokens < MINUTE {
            self.suppressed += 1;
            return None;
        }
        self.tokens -= MINUTE;
        Some(std::mem::take(&mut self.suppressed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_and_then_so_many_a_minute() {
        let config = EventsConfig {
            per_minute: 60,
            burst: 3,
        };
        let mut allowance = Allowance::new(&config);
        let second = |s: u64| Nanos(1_900_000_000_000_000_000 + s * 1_000_000_000);
        let taken: Vec<_> = (0..5).map(|_| allowance.take(second(0))).collect();
        assert_eq!(taken, [Some(0), Some(0), Some(0), None, None]);
        assert_eq!(allowance.take(second(1)), Some(2), "the two are told of");
        assert_eq!(allowance.take(second(1)), None);
        let after_an_hour = second(3_600);
        let taken = (0..9).filter(|_| allowance.take(after_an_hour).is_some());
        assert_eq!(taken.count(), 3, "no more than the burst is saved up");
        assert_eq!(
            allowance.take(second(0)),
            None,
            "a clock set back gives none"
        );
    }
}
