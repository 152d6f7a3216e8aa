//! What the user writes under `memory_limiter`, with the Collector's keys.

use super::level::Limits;
use super::limiter::MemoryLimiter;
use crate::base::Problems;
use crate::config::Section;
use crate::otlp::Signal;
use crate::pipeline::{BuildContext, BuiltProcessor, Component, Consumer, ProcessorConfig};
use serde::{Deserialize, Serialize};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

const MIB: u64 = 1 << 20;

/// `processors.memory_limiter`. One of `limit_mib` and `limit_percentage` is required; `limit_mib` goes before.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct MemoryLimiterConfig {
    /// Time between two measurements; `1s` unless given, more than zero. As in the Collector, which has no default.
    #[serde(with = "crate::base::duration")]
    pub check_interval: Duration,
    /// The most memory that the process should use, in MiB: the hard limit. As in the Collector.
    pub limit_mib: u64,
    /// The most by which memory is expected to grow between two measurements, in MiB; the soft limit, from which on data
    /// is refused, is `limit_mib` less this. 20 % of `limit_mib` unless given. As in the Collector.
    pub spike_limit_mib: u64,
    /// As `limit_mib`, in percent of the memory that the container or the machine has; 1 to 100. As in the Collector.
    pub limit_percentage: u64,
    /// As `spike_limit_mib`, in percent of that memory; 20 % of the limit unless given. As in the Collector.
    pub spike_limit_percentage: u64,
}

impl Default for MemoryLimiterConfig {
    fn default() -> Self {
        MemoryLimiterConfig {
            check_interval: Duration::from_secs(1),
            limit_mib: 0,
            spike_limit_mib: 0,
            limit_percentage: 0,
            spike_limit_percentage: 0,
        }
    }
}

/// A mistake in a section: the key, what is wrong, and what would be right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// The key, dotted from the section.
    pub key: &'static str,
    /// What is wrong with it.
    pub message: &'static str,
    /// What would be right.
    pub help: &'static str,
}

impl MemoryLimiterConfig {
    /// Keys that the Collector has and that mean nothing here, with the reason.
    pub const IGNORED: &'static [(&'static str, &'static str)] = &[
        (
            "min_gc_interval_when_soft_limited",
            "there is no garbage collector",
        ),
        (
            "min_gc_interval_when_hard_limited",
            "there is no garbage collector",
        ),
    ];

    /// Every mistake, by the Collector's rules.
    #[must_use]
    pub fn mistakes(&self) -> Vec<Mistake> {
        let mut mistakes = Vec::new();
        let mut check = |holds: bool, key, message, help| {
            if !holds {
                mistakes.push(Mistake { key, message, help });
            }
        };
        check(
            !self.check_interval.is_zero(),
            "check_interval",
            "`check_interval` must be more than zero",
            "write `1s`",
        );
        check(
            self.limit_mib > 0 || self.limit_percentage > 0,
            "limit_mib",
            "neither `limit_mib` nor `limit_percentage` is set",
            "set one; 80 % of the container's memory is a good start",
        );
        check(
            self.limit_percentage <= 100,
            "limit_percentage",
            "`limit_percentage` is more than 100",
            "write a number from 1 to 100",
        );
        check(
            self.spike_limit_percentage <= 100,
            "spike_limit_percentage",
            "`spike_limit_percentage` is more than 100",
            "write a number from 1 to 100",
        );
        check(
            self.limit_mib == 0 || self.spike_limit_mib < self.limit_mib,
            "spike_limit_mib",
            "`spike_limit_mib` must be smaller than `limit_mib`",
            "leave it out for 20 % of the limit",
        );
        check(
            self.limit_percentage == 0 || self.spike_limit_percentage < self.limit_percentage,
            "spike_limit_percentage",
            "`spike_limit_percentage` must be smaller than `limit_percentage`",
            "leave it out for 20 % of the limit",
        );
        mistakes
    }

    /// The limits in bytes; `total` is the memory that percentages are of. None if they need it and it is not known.
    #[must_use]
    pub fn limits(&self, total: Option<u64>) -> Option<Limits> {
        let (hard, spike) = if self.limit_mib > 0 {
            let mib = |number: u64| number.saturating_mul(MIB);
            (mib(self.limit_mib), mib(self.spike_limit_mib))
        } else {
            let total = total?;
            let percent = |number: u64| total / 100 * number + total % 100 * number / 100;
            (
                percent(self.limit_percentage.min(100)),
                percent(self.spike_limit_percentage.min(100)),
            )
        };
        let spike = if spike == 0 { hard / 5 } else { spike };
        Some(Limits {
            soft: hard.saturating_sub(spike),
            hard,
        })
    }
}

/// A checked section with its limiter, which the pipelines share.
struct Checked {
    config: MemoryLimiterConfig,
    limiter: OnceLock<Arc<MemoryLimiter>>,
}

/// Reads and checks the section.
pub fn configure(
    section: &Section<'_>,
    problems: &mut Problems,
) -> Option<Box<dyn ProcessorConfig>> {
    let config: MemoryLimiterConfig = section.parse(MemoryLimiterConfig::IGNORED, problems)?;
    let mistakes = config.mistakes();
    for Mistake { key, message, help } in &mistakes {
        problems.error(section.place_of(key), *message, *help);
    }
    mistakes.is_empty().then(|| {
        Box::new(Checked {
            config,
            limiter: OnceLock::new(),
        }) as _
    })
}

impl ProcessorConfig for Checked {
    fn build(
        &self,
        context: &BuildContext,
        signal: Signal,
        next: Arc<dyn Consumer>,
    ) -> anyhow::Result<BuiltProcessor> {
        let (limiter, is_first) = match self.limiter.get() {
            Some(limiter) => (Arc::clone(limiter), false),
            None => {
                let id = context.id.to_string();
                let limiter = MemoryLimiter::build(&self.config, &id, &context.telemetry)?;
                (Arc::clone(self.limiter.get_or_init(|| limiter)), true)
            }
        };
        let consumer = Arc::new(limiter.processor(signal, next));
        // one checker a component, however many pipelines it stands in
        let component = is_first.then_some(limiter as Arc<dyn Component>);
        Ok(BuiltProcessor {
            consumer,
            component,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn read(config: Value) -> MemoryLimiterConfig {
        serde_json::from_value(config).unwrap()
    }

    #[test]
    fn limits_are_the_collectors() {
        let cases = [
            (json!({"limit_mib": 100}), 80 * MIB, 100 * MIB),
            (
                json!({"limit_mib": 100, "spike_limit_mib": 30}),
                70 * MIB,
                100 * MIB,
            ),
            (json!({"limit_percentage": 50}), 400 * MIB, 500 * MIB),
            (
                json!({"limit_percentage": 50, "spike_limit_percentage": 30}),
                200 * MIB,
                500 * MIB,
            ),
            (
                json!({"limit_mib": 100, "limit_percentage": 50}),
                80 * MIB,
                100 * MIB,
            ),
        ];
        for (config, soft, hard) in cases {
            let limits = read(config.clone()).limits(Some(1_000 * MIB));
            assert_eq!(limits, Some(Limits { soft, hard }), "{config}");
        }
        assert_eq!(read(json!({"limit_percentage": 50})).limits(None), None);
        let huge = read(json!({"limit_mib": u64::MAX})).limits(None).unwrap();
        assert!(huge.soft < huge.hard, "{huge:?}");
    }

    #[test]
    fn each_mistake_is_found_and_all_at_once() {
        let keys = |config: Value| -> Vec<&str> {
            let mistakes = read(config).mistakes();
            mistakes.iter().map(|mistake| mistake.key).collect()
        };
        assert_eq!(keys(json!({})), ["limit_mib"]);
        assert_eq!(
            keys(json!({"limit_mib": 10, "spike_limit_mib": 10})),
            ["spike_limit_mib"]
        );
        assert_eq!(
            keys(json!({"limit_mib": 10, "check_interval": "0s"})),
            ["check_interval"]
        );
        assert_eq!(
            keys(json!({"limit_percentage": 101, "spike_limit_percentage": 101})),
            [
                "limit_percentage",
                "spike_limit_percentage",
                "spike_limit_percentage"
            ]
        );
        assert!(keys(json!({"limit_mib": 10, "check_interval": "500ms"})).is_empty());
    }
}
