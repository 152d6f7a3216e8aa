//! Counters by reason, where reasons are literals of ours.

use crate::telemetry::definition::MetricDef;
use crate::telemetry::registry::{Counter, OTHER, Registry};
use std::sync::{Arc, OnceLock};

/// Most reasons of one counter; further ones count as `_other`.
const MAX_REASONS: usize = 32;

/// A counter by reason. The first time that a reason is met costs a registration, later ones a short search and one
/// relaxed atomic: no lock, so that a flood of refusals does not queue up here.
#[derive(Clone)]
pub struct Reasons {
    inner: Arc<Inner>,
}

struct Inner {
    registry: Registry,
    def: &'static MetricDef,
    labels: Vec<String>,
    /// Filled from the front, never emptied.
    slots: [OnceLock<(&'static str, Counter)>; MAX_REASONS],
    other: OnceLock<Counter>,
}

impl Reasons {
    /// Counters of a definition whose last label is the reason; `labels` are the values of those before it.
    #[must_use]
    pub fn new(registry: &Registry, def: &'static MetricDef, labels: &[&str]) -> Self {
        Reasons {
            inner: Arc::new(Inner {
                registry: registry.clone(),
                def,
                labels: labels.iter().map(|label| (*label).to_owned()).collect(),
                slots: [const { OnceLock::new() }; MAX_REASONS],
                other: OnceLock::new(),
            }),
        }
    }

    /// Counts for a reason.
    pub fn add(&self, reason: &'static str, n: u64) {
        let inner = &*self.inner;
        for slot in &inner.slots {
            let (known, counter) = slot.get_or_init(|| (reason, inner.counter(reason)));
            if *known == reason {
                counter.inc_by(n);
                return;
            }
        }
        inner.other.get_or_init(|| inner.counter(OTHER)).inc_by(n);
    }
}

impl Inner {
    fn counter(&self, reason: &str) -> Counter {
        let mut labels: Vec<&str> = self.labels.iter().map(String::as_str).collect();
        labels.push(reason);
        self.registry.counter(self.def, &labels)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REFUSED: MetricDef =
        MetricDef::counter("agentguard_test_refused_total", "What a test refused.")
            .labels(&["who", "reason"]);

    #[test]
    fn reasons_count_apart_and_beyond_the_bound_together() {
        let registry = Registry::new();
        let reasons = Reasons::new(&registry, &REFUSED, &["me"]);
        reasons.add("full", 2);
        reasons.add("late", 1);
        reasons.add("full", 3);
        assert_eq!(registry.counter(&REFUSED, &["me", "full"]).get(), 5);
        assert_eq!(registry.counter(&REFUSED, &["me", "late"]).get(), 1);
        for i in 0..MAX_REASONS {
            reasons.add(Box::leak(i.to_string().into_boxed_str()), 1);
        }
        assert_eq!(registry.counter(&REFUSED, &["me", OTHER]).get(), 2);
    }
}
