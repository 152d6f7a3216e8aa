//! One counter per signal, where the Collector has three names for one thing.

use crate::otlp::Signal;
use crate::telemetry::definition::MetricDef;
use crate::telemetry::registry::{Counter, Registry};

/// Definitions for spans, metric points and log records, in this order ([`Signal::ALL`]).
pub(super) type PerSignalDefs = [&'static MetricDef; 3];

/// Counters for spans, metric points and log records.
#[derive(Clone)]
pub(super) struct PerSignal {
    spans: Counter,
    metric_points: Counter,
    log_records: Counter,
}

impl PerSignal {
    pub(super) fn new(registry: &Registry, defs: PerSignalDefs, labels: &[&str]) -> Self {
        let [spans, metric_points, log_records] = defs.map(|def| registry.counter(def, labels));
        PerSignal {
            spans,
            metric_points,
            log_records,
        }
    }

    pub(super) fn add(&self, signal: Signal, items: u64) {
        let counter = match signal {
            Signal::Traces => &self.spans,
            Signal::Metrics => &self.metric_points,
            Signal::Logs => &self.log_records,
        };
        counter.inc_by(items);
    }
}
