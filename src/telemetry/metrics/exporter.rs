//! What exporters and their queues count.

use super::reasons::Reasons;
use super::signals::{PerSignal, PerSignalDefs};
use crate::otlp::Signal;
use crate::telemetry::Telemetry;
use crate::telemetry::definition::{MetricDef, Unit};
use crate::telemetry::health::{Health, ProbeGuard, Reading, Status};
use crate::telemetry::registry::{Counter, Gauge, Histogram, Pull, Registry};
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::Duration;

const LABELS: &[&str] = &["exporter"];
const QUEUE_LABELS: &[&str] = &["exporter", "data_type"];
const REASON_LABELS: &[&str] = &["exporter", "reason"];

const SENT_SPANS: MetricDef = MetricDef::counter(
    "otelcol_exporter_sent_spans_total",
    "Spans that the destination took.",
)
.labels(LABELS);
const SENT_METRIC_POINTS: MetricDef = MetricDef::counter(
    "otelcol_exporter_sent_metric_points_total",
    "Metric points that the destination took.",
)
.labels(LABELS);
const SENT_LOG_RECORDS: MetricDef = MetricDef::counter(
    "otelcol_exporter_sent_log_records_total",
    "Log records that the destination took.",
)
.labels(LABELS);
const SEND_FAILED_SPANS: MetricDef = MetricDef::counter(
    "otelcol_exporter_send_failed_spans_total",
    "Spans given up after the last attempt to send them.",
)
.labels(LABELS);
const SEND_FAILED_METRIC_POINTS: MetricDef = MetricDef::counter(
    "otelcol_exporter_send_failed_metric_points_total",
    "Metric points given up after the last attempt to send them.",
)
.labels(LABELS);
const SEND_FAILED_LOG_RECORDS: MetricDef = MetricDef::counter(
    "otelcol_exporter_send_failed_log_records_total",
    "Log records given up after the last attempt to send them.",
)
.labels(LABELS);
const ENQUEUE_FAILED_SPANS: MetricDef = MetricDef::counter(
    "otelcol_exporter_enqueue_failed_spans_total",
    "Spans for which the queue had no place; the sender was told to come back.",
)
.labels(LABELS);
const ENQUEUE_FAILED_METRIC_POINTS: MetricDef = MetricDef::counter(
    "otelcol_exporter_enqueue_failed_metric_points_total",
    "Metric points for which the queue had no place; the sender was told to come back.",
)
.labels(LABELS);
const ENQUEUE_FAILED_LOG_RECORDS: MetricDef = MetricDef::counter(
    "otelcol_exporter_enqueue_failed_log_records_total",
    "Log records for which the queue had no place; the sender was told to come back.",
)
.labels(LABELS);
const DROPPED_SPANS: MetricDef = MetricDef::counter(
    "agentguard_exporter_dropped_spans_total",
    "Acknowledged spans that were lost, by reason.",
)
.labels(REASON_LABELS);
const DROPPED_METRIC_POINTS: MetricDef = MetricDef::counter(
    "agentguard_exporter_dropped_metric_points_total",
    "Acknowledged metric points that were lost, by reason.",
)
.labels(REASON_LABELS);
const DROPPED_LOG_RECORDS: MetricDef = MetricDef::counter(
    "agentguard_exporter_dropped_log_records_total",
    "Acknowledged log records that were lost, by reason.",
)
.labels(REASON_LABELS);
const RETRIES: MetricDef = MetricDef::counter(
    "agentguard_exporter_retries_total",
    "Attempts to send that follow a failed one.",
)
.labels(LABELS);
const PARTIAL_SUCCESS_WARNINGS: MetricDef = MetricDef::counter(
    "agentguard_exporter_partial_success_total",
    "Answers that took a request only in part, or with a warning.",
)
.labels(LABELS);
const IN_FLIGHT: MetricDef = MetricDef::gauge(
    "otelcol_exporter_in_flight_requests",
    "Requests on their way to the destination.",
)
.labels(LABELS);
const BATCH_SIZE: MetricDef = MetricDef::histogram(
    "otelcol_exporter_queue_batch_send_size",
    "Spans, metric points or log records in a request that is sent.",
    &[
        10.0, 25.0, 50.0, 75.0, 100.0, 250.0, 500.0, 750.0, 1_000.0, 2_000.0, 3_000.0, 4_000.0,
        5_000.0, 6_000.0, 7_000.0, 8_000.0, 9_000.0, 10_000.0, 20_000.0, 30_000.0, 50_000.0,
        100_000.0,
    ],
)
.labels(LABELS);
const BATCH_BYTES: MetricDef = MetricDef::histogram(
    "otelcol_exporter_queue_batch_send_size_bytes",
    "Bytes in a request that is sent, before compression.",
    &[
        1_024.0,
        4_096.0,
        16_384.0,
        65_536.0,
        262_144.0,
        1_048_576.0,
        4_194_304.0,
        16_777_216.0,
        67_108_864.0,
    ],
)
.labels(LABELS)
.unit(Unit::Bytes);
const QUEUE_SIZE: MetricDef = MetricDef::gauge(
    "otelcol_exporter_queue_size",
    "How much of the queue is used, in the unit of its sizer, requests on their way included.",
)
.labels(QUEUE_LABELS);
const QUEUE_CAPACITY: MetricDef = MetricDef::gauge(
    "otelcol_exporter_queue_capacity",
    "How much fits into the queue, in the unit of its sizer.",
)
.labels(QUEUE_LABELS);
const QUEUE_BYTES: MetricDef = MetricDef::gauge(
    "agentguard_exporter_queue_bytes",
    "Bytes held by the queue, requests on their way included.",
)
.labels(QUEUE_LABELS)
.unit(Unit::Bytes);
const QUEUE_OLDEST: MetricDef = MetricDef::gauge(
    "agentguard_exporter_queue_oldest_item_age_seconds",
    "How long the oldest request in the queue has waited.",
)
.labels(QUEUE_LABELS)
.unit(Unit::Seconds);

pub(super) const DEFINITIONS: &[&MetricDef] = &[
    &SENT_SPANS,
    &SENT_METRIC_POINTS,
    &SENT_LOG_RECORDS,
    &SEND_FAILED_SPANS,
    &SEND_FAILED_METRIC_POINTS,
    &SEND_FAILED_LOG_RECORDS,
    &ENQUEUE_FAILED_SPANS,
    &ENQUEUE_FAILED_METRIC_POINTS,
    &ENQUEUE_FAILED_LOG_RECORDS,
    &DROPPED_SPANS,
    &DROPPED_METRIC_POINTS,
    &DROPPED_LOG_RECORDS,
    &RETRIES,
    &PARTIAL_SUCCESS_WARNINGS,
    &IN_FLIGHT,
    &BATCH_SIZE,
    &BATCH_BYTES,
    &QUEUE_SIZE,
    &QUEUE_CAPACITY,
    &QUEUE_BYTES,
    &QUEUE_OLDEST,
];

const SENT: PerSignalDefs = [&SENT_SPANS, &SENT_METRIC_POINTS, &SENT_LOG_RECORDS];
const SEND_FAILED: PerSignalDefs = [
    &SEND_FAILED_SPANS,
    &SEND_FAILED_METRIC_POINTS,
    &SEND_FAILED_LOG_RECORDS,
];
const ENQUEUE_FAILED: PerSignalDefs = [
    &ENQUEUE_FAILED_SPANS,
    &ENQUEUE_FAILED_METRIC_POINTS,
    &ENQUEUE_FAILED_LOG_RECORDS,
];

/// What a queue tells at a scrape; its numbers exist anyway, so nothing is counted twice.
pub trait QueueReading: Send + Sync + 'static {
    /// How much of the capacity is used.
    fn size(&self) -> u64;
    /// How much fits.
    fn capacity(&self) -> u64;
    /// Bytes held.
    fn bytes(&self) -> u64;
    /// The age of the oldest request that waits; `None` if none does.
    fn oldest(&self) -> Option<Duration>;
    /// How the one who empties it is; a queue that nobody empties is [`Status::Dead`].
    fn status(&self) -> Status {
        Status::Ok
    }
}

/// The handles of an exporter; cheap to clone.
#[derive(Clone)]
pub struct ExporterMetrics {
    exporter: Arc<str>,
    sent: PerSignal,
    send_failed: PerSignal,
    enqueue_failed: PerSignal,
    dropped: [Reasons; 3],
    retries: Counter,
    partial_successes: Counter,
    in_flight: Gauge,
    batch_size: Histogram,
    batch_bytes: Histogram,
    registry: Registry,
    health: Health,
    /// The queues being watched; locked when one is added.
    watches: Arc<Mutex<Vec<QueueWatch>>>,
}

impl ExporterMetrics {
    /// Handles for an exporter's id.
    #[must_use]
    pub fn new(telemetry: &Telemetry, exporter: &str) -> Self {
        let registry = telemetry.registry();
        let labels = [exporter];
        let dropped = [&DROPPED_SPANS, &DROPPED_METRIC_POINTS, &DROPPED_LOG_RECORDS];
        ExporterMetrics {
            exporter: exporter.into(),
            sent: PerSignal::new(registry, SENT, &labels),
            send_failed: PerSignal::new(registry, SEND_FAILED, &labels),
            enqueue_failed: PerSignal::new(registry, ENQUEUE_FAILED, &labels),
            dropped: dropped.map(|def| Reasons::new(registry, def, &labels)),
            retries: registry.counter(&RETRIES, &labels),
            partial_successes: registry.counter(&PARTIAL_SUCCESS_WARNINGS, &labels),
            in_flight: registry.gauge(&IN_FLIGHT, &labels),
            batch_size: registry.histogram(&BATCH_SIZE, &labels),
            batch_bytes: registry.histogram(&BATCH_BYTES, &labels),
            registry: registry.clone(),
            health: telemetry.health().clone(),
            watches: Arc::default(),
        }
    }

    /// The exporter's id, for logs.
    #[must_use]
    pub fn exporter(&self) -> &str {
        &self.exporter
    }

    /// The destination took items.
    pub fn sent(&self, signal: Signal, items: u64) {
        self.sent.add(signal, items);
    }

    /// Items were given up and are lost.
    pub fn send_failed(&self, signal: Signal, items: u64, reason: &'static str) {
        self.send_failed.add(signal, items);
        self.lost(signal, items, reason);
    }

    /// The queue had no place; the sender keeps the items.
    pub fn enqueue_failed(&self, signal: Signal, items: u64) {
        self.enqueue_failed.add(signal, items);
    }

    /// The destination answered with a partial success: it did not take `rejected` of the items, and never will.
    pub fn partial_success(&self, signal: Signal, rejected: u64) {
        self.partial_successes.inc();
        if rejected > 0 {
            self.lost(signal, rejected, "partial_success");
        }
    }

    /// A failed request is tried again.
    pub fn retried(&self) {
        self.retries.inc();
    }

    /// A request of so many items and bytes is about to be sent for the first time.
    #[expect(
        clippy::cast_precision_loss,
        reason = "sizes are far below 2^53, and are put into buckets"
    )]
    pub fn batch_sent(&self, items: u64, bytes: u64) {
        self.batch_size.observe(items as f64);
        self.batch_bytes.observe(bytes as f64);
    }

    /// A request is on its way until the guard is dropped.
    #[must_use]
    pub fn in_flight(&self) -> InFlight {
        self.in_flight.inc();
        InFlight(self.in_flight.clone())
    }

    /// Shows a queue's numbers and health for as long as queue and handles live.
    pub fn watch_queue<Q: QueueReading>(&self, signal: Signal, queue: &Arc<Q>) {
        let labels = [&*self.exporter, signal.as_str()];
        let pull = |def, read: fn(&Q) -> f64| {
            let queue = Arc::downgrade(queue);
            let read = move || queue.upgrade().map_or(0.0, |queue| read(&queue));
            self.registry.pull(def, &labels, read)
        };
        let pulls = vec![
            pull(&QUEUE_SIZE, |queue| whole(queue.size())),
            pull(&QUEUE_CAPACITY, |queue| whole(queue.capacity())),
            pull(&QUEUE_BYTES, |queue| whole(queue.bytes())),
            pull(&QUEUE_OLDEST, |queue| {
                queue.oldest().unwrap_or_default().as_secs_f64()
            }),
        ];
        let name = format!("exporters/{} queue of {}", self.exporter, signal.as_str());
        let watched = Arc::downgrade(queue);
        let probe = self.health.probe(name, move || match watched.upgrade() {
            Some(queue) => Reading::new(queue.status()).with_oldest(queue.oldest()),
            None => Reading::new(Status::Stopped),
        });
        self.watches.lock().push(QueueWatch {
            _pulls: pulls,
            _probe: probe,
        });
    }

    fn lost(&self, signal: Signal, items: u64, reason: &'static str) {
        let [spans, metric_points, log_records] = &self.dropped;
        let dropped = match signal {
            Signal::Traces => spans,
            Signal::Metrics => metric_points,
            Signal::Logs => log_records,
        };
        dropped.add(reason, items);
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "Prometheus has floats only; exact up to 2^53"
)]
fn whole(number: u64) -> f64 {
    number as f64
}

/// What shows a queue; gone with it.
struct QueueWatch {
    _pulls: Vec<Pull>,
    _probe: ProbeGuard,
}

/// A request on its way.
pub struct InFlight(Gauge);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.dec();
    }
}
