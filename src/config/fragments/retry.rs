//! `retry_on_failure`: how long and how often an exporter tries again.

use crate::base::Problems;
use crate::config::Section;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Exponential back-off, as in the Collector: the n-th wait is `initial_interval · multiplierⁿ`, at most `max_interval`,
/// times a random factor of `1 ± randomization_factor`. A delay that the server asks for goes before.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct RetryConfig {
    /// Whether failed requests are tried again at all.
    pub enabled: bool,
    /// The wait after the first failure.
    #[serde(with = "crate::base::duration")]
    pub initial_interval: Duration,
    /// The longest wait.
    #[serde(with = "crate::base::duration")]
    pub max_interval: Duration,
    /// When to give up, counted from the first try; 0: never.
    #[serde(with = "crate::base::duration")]
    pub max_elapsed_time: Duration,
    /// By how much the wait grows each time; at least 1.
    pub multiplier: f64,
    /// By how much of itself a wait is varied, so that senders do not return all at once; 0 to 1.
    pub randomization_factor: f64,
}

impl Default for RetryConfig {
    fn default() -> Self {
        RetryConfig {
            enabled: true,
            initial_interval: Duration::from_secs(5),
            max_interval: Duration::from_secs(30),
            max_elapsed_time: Duration::from_secs(300),
            multiplier: 1.5,
            randomization_factor: 0.5,
        }
    }
}

impl RetryConfig {
    /// Checks what the types cannot say.
    pub fn validate(&self, at: &Section<'_>, problems: &mut Problems) {
        if !self.enabled {
            return;
        }
        if !(self.multiplier.is_finite() && self.multiplier >= 1.0) {
            problems.error(at.place_of("multiplier"), "must be at least 1", "");
        }
        if !(0.0..=1.0).contains(&self.randomization_factor) {
            problems.error(
                at.place_of("randomization_factor"),
                "must be from 0 to 1",
                "",
            );
        }
        if self.initial_interval.is_zero() {
            let message = "must be more than 0";
            problems.error(
                at.place_of("initial_interval"),
                message,
                "without a wait a failing server is flooded",
            );
        }
        if self.max_interval < self.initial_interval {
            let message = "is shorter than `initial_interval`";
            problems.error(
                at.place_of("max_interval"),
                message,
                "raise it, or lower `initial_interval`",
            );
        }
        let limit = self.max_elapsed_time;
        if !limit.is_zero() && limit < self.initial_interval {
            let message = "is shorter than `initial_interval`: nothing would be tried again";
            problems.error(
                at.place_of("max_elapsed_time"),
                message,
                "raise it, or write 0 for no limit",
            );
        }
    }
}
