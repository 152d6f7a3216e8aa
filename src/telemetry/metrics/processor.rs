//! What processors count.

use super::reasons::Reasons;
use crate::otlp::Signal;
use crate::telemetry::Telemetry;
use crate::telemetry::definition::MetricDef;
use crate::telemetry::registry::Counter;

const LABELS: &[&str] = &["processor", "otel_signal"];

const INCOMING: MetricDef = MetricDef::counter(
    "otelcol_processor_incoming_items_total",
    "Spans, metric points or log records given to the processor.",
)
.labels(LABELS);
const OUTGOING: MetricDef = MetricDef::counter(
    "otelcol_processor_outgoing_items_total",
    "Spans, metric points or log records that the processor gave on.",
)
.labels(LABELS);
const REFUSED: MetricDef = MetricDef::counter(
    "agentguard_processor_refused_items_total",
    "Spans, metric points or log records that the processor itself refused, by reason; the sender was told.",
)
.labels(&["processor", "otel_signal", "reason"]);
const DROPPED: MetricDef = MetricDef::counter(
    "agentguard_processor_dropped_items_total",
    "Spans, metric points or log records that the processor removed on purpose, by reason.",
)
.labels(&["processor", "otel_signal", "reason"]);

pub(super) const DEFINITIONS: &[&MetricDef] = &[&INCOMING, &OUTGOING, &REFUSED, &DROPPED];

/// The handles of a processor in the pipelines of one signal; cheap to clone.
#[derive(Clone)]
pub struct ProcessorMetrics {
    incoming: Counter,
    outgoing: Counter,
    refused: Reasons,
    dropped: Reasons,
}

impl ProcessorMetrics {
    /// Handles for a processor's id and a signal.
    #[must_use]
    pub fn new(telemetry: &Telemetry, processor: &str, signal: Signal) -> Self {
        let registry = telemetry.registry();
        let labels = [processor, signal.as_str()];
        ProcessorMetrics {
            incoming: registry.counter(&INCOMING, &labels),
            outgoing: registry.counter(&OUTGOING, &labels),
            refused: Reasons::new(registry, &REFUSED, &labels),
            dropped: Reasons::new(registry, &DROPPED, &labels),
        }
    }

    /// Items came in.
    pub fn incoming(&self, items: u64) {
        self.incoming.inc_by(items);
    }

    /// Items went on.
    pub fn outgoing(&self, items: u64) {
        self.outgoing.inc_by(items);
    }

    /// The processor refused items; their sender keeps them.
    pub fn refused(&self, items: u64, reason: &'static str) {
        self.refused.add(reason, items);
    }

    /// The processor removed items, as it was told to.
    pub fn dropped(&self, items: u64, reason: &'static str) {
        self.dropped.add(reason, items);
    }
}
