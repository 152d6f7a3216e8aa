//! What receivers count.

use super::reasons::Reasons;
use super::signals::{PerSignal, PerSignalDefs};
use crate::otlp::Signal;
use crate::telemetry::Telemetry;
use crate::telemetry::definition::MetricDef;
use crate::telemetry::registry::Counter;

const LABELS: &[&str] = &["receiver", "transport"];

const ACCEPTED_SPANS: MetricDef = MetricDef::counter(
    "otelcol_receiver_accepted_spans_total",
    "Spans taken into the pipelines and acknowledged.",
)
.labels(LABELS);
const ACCEPTED_METRIC_POINTS: MetricDef = MetricDef::counter(
    "otelcol_receiver_accepted_metric_points_total",
    "Metric points taken into the pipelines and acknowledged.",
)
.labels(LABELS);
const ACCEPTED_LOG_RECORDS: MetricDef = MetricDef::counter(
    "otelcol_receiver_accepted_log_records_total",
    "Log records taken into the pipelines and acknowledged.",
)
.labels(LABELS);
const REFUSED_SPANS: MetricDef = MetricDef::counter(
    "otelcol_receiver_refused_spans_total",
    "Spans that the pipelines did not take; the sender was told.",
)
.labels(LABELS);
const REFUSED_METRIC_POINTS: MetricDef = MetricDef::counter(
    "otelcol_receiver_refused_metric_points_total",
    "Metric points that the pipelines did not take; the sender was told.",
)
.labels(LABELS);
const REFUSED_LOG_RECORDS: MetricDef = MetricDef::counter(
    "otelcol_receiver_refused_log_records_total",
    "Log records that the pipelines did not take; the sender was told.",
)
.labels(LABELS);
const FAILED_SPANS: MetricDef = MetricDef::counter(
    "otelcol_receiver_failed_spans_total",
    "Spans that failed after they were taken, while the sender waited for the result.",
)
.labels(LABELS);
const FAILED_METRIC_POINTS: MetricDef = MetricDef::counter(
    "otelcol_receiver_failed_metric_points_total",
    "Metric points that failed after they were taken, while the sender waited for the result.",
)
.labels(LABELS);
const FAILED_LOG_RECORDS: MetricDef = MetricDef::counter(
    "otelcol_receiver_failed_log_records_total",
    "Log records that failed after they were taken, while the sender waited for the result.",
)
.labels(LABELS);
const REQUESTS: MetricDef = MetricDef::counter(
    "otelcol_receiver_requests_total",
    "Export requests with a readable body, by outcome: success, refused or failure.",
)
.labels(&["receiver", "transport", "outcome"]);
const REQUESTS_REFUSED: MetricDef = MetricDef::counter(
    "agentguard_receiver_requests_refused_total",
    "Requests answered with an error, by reason.",
)
.labels(&["receiver", "transport", "reason"]);

pub(super) const DEFINITIONS: &[&MetricDef] = &[
    &ACCEPTED_SPANS,
    &ACCEPTED_METRIC_POINTS,
    &ACCEPTED_LOG_RECORDS,
    &REFUSED_SPANS,
    &REFUSED_METRIC_POINTS,
    &REFUSED_LOG_RECORDS,
    &FAILED_SPANS,
    &FAILED_METRIC_POINTS,
    &FAILED_LOG_RECORDS,
    &REQUESTS,
    &REQUESTS_REFUSED,
];

const ACCEPTED: PerSignalDefs = [
    &ACCEPTED_SPANS,
    &ACCEPTED_METRIC_POINTS,
    &ACCEPTED_LOG_RECORDS,
];
const REFUSED: PerSignalDefs = [&REFUSED_SPANS, &REFUSED_METRIC_POINTS, &REFUSED_LOG_RECORDS];
const FAILED: PerSignalDefs = [&FAILED_SPANS, &FAILED_METRIC_POINTS, &FAILED_LOG_RECORDS];

/// The handles of a receiver on one transport; cheap to clone.
#[derive(Clone)]
pub struct ReceiverMetrics {
    accepted: PerSignal,
    refused: PerSignal,
    failed: PerSignal,
    succeeded_requests: Counter,
    refused_requests: Counter,
    failed_requests: Counter,
    refusals: Reasons,
}

impl ReceiverMetrics {
    /// Handles for a receiver's id and a transport (`grpc`, `http`, …).
    #[must_use]
    pub fn new(telemetry: &Telemetry, receiver: &str, transport: &str) -> Self {
        let registry = telemetry.registry();
        let labels = [receiver, transport];
        let requests = |outcome| registry.counter(&REQUESTS, &[receiver, transport, outcome]);
        ReceiverMetrics {
            accepted: PerSignal::new(registry, ACCEPTED, &labels),
            refused: PerSignal::new(registry, REFUSED, &labels),
            failed: PerSignal::new(registry, FAILED, &labels),
            succeeded_requests: requests("success"),
            refused_requests: requests("refused"),
            failed_requests: requests("failure"),
            refusals: Reasons::new(registry, &REQUESTS_REFUSED, &labels),
        }
    }

    /// A request was taken and acknowledged.
    pub fn accepted(&self, signal: Signal, items: u64) {
        self.accepted.add(signal, items);
        self.succeeded_requests.inc();
    }

    /// The pipelines did not take a request.
    pub fn refused(&self, signal: Signal, items: u64) {
        self.refused.add(signal, items);
        self.refused_requests.inc();
    }

    /// A request failed after it was taken.
    pub fn failed(&self, signal: Signal, items: u64) {
        self.failed.add(signal, items);
        self.failed_requests.inc();
    }

    /// A request was answered with an error, whether or not its items could be counted.
    pub fn refused_request(&self, reason: &'static str) {
        self.refusals.add(reason, 1);
    }
}
