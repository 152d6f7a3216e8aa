//! Tests of the folder as a whole.

use super::*;
use crate::base::Nanos;
use crate::otlp::Signal;
use crate::telemetry::health::Status;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

/// Telemetry with something in every family.
pub(super) fn furnished() -> (Telemetry, ManualClock) {
    let manual = ManualClock::new(Nanos(1_700_000_000_000_000_000));
    let telemetry = Telemetry::with(manual.clock(), Tasks::new());
    let receiver = ReceiverMetrics::new(&telemetry, "otlp", "grpc");
    receiver.accepted(Signal::Traces, 7);
    receiver.refused(Signal::Metrics, 2);
    receiver.failed(Signal::Logs, 1);
    receiver.refused_request("malformed");
    let processor = ProcessorMetrics::new(&telemetry, "memory_limiter", Signal::Traces);
    processor.incoming(7);
    processor.outgoing(5);
    processor.refused(2, "memory");
    processor.dropped(1, "filter");
    let exporter = ExporterMetrics::new(&telemetry, "otlp/a\"b\\c\nd");
    exporter.sent(Signal::Traces, 5);
    exporter.send_failed(Signal::Logs, 3, "permanent");
    exporter.send_failed(Signal::Metrics, 3, "permanent");
    exporter.partial_success(Signal::Traces, 2);
    exporter.batch_sent(5, 2_000);
    exporter.retried();
    let queue = Arc::new(FixedQueue);
    exporter.watch_queue(Signal::Traces, &queue);
    // the scrape outlives this function: keep what it reads
    std::mem::forget((exporter, queue));
    (telemetry, manual)
}

struct FixedQueue;

impl QueueReading for FixedQueue {
    fn size(&self) -> u64 {
        3
    }
    fn capacity(&self) -> u64 {
        1_000
    }
    fn bytes(&self) -> u64 {
        4_096
    }
    fn oldest(&self) -> Option<Duration> {
        Some(Duration::from_millis(250))
    }
}

/// R-INT-5, house style §9: names are checked where they are defined.
#[test]
fn every_definition_keeps_the_naming_rules_and_stands_alone() {
    let problems: Vec<String> = definitions()
        .iter()
        .flat_map(|def| def.problems())
        .collect();
    assert!(problems.is_empty(), "{problems:#?}");
    let names: BTreeSet<_> = definitions().iter().map(|def| def.name).collect();
    assert_eq!(names.len(), definitions().len(), "a name is defined twice");
}

#[test]
fn what_is_registered_is_in_the_inventory() {
    let (telemetry, _manual) = furnished();
    let registered: BTreeSet<_> = telemetry
        .registry()
        .definitions()
        .iter()
        .map(|def| def.name)
        .collect();
    let inventory: BTreeSet<_> = definitions().iter().map(|def| def.name).collect();
    assert_eq!(registered, inventory);
}

/// R-ASK-7: health shows the age of the oldest queued item.
#[test]
fn a_watched_queue_is_in_the_scrape_and_in_health_until_it_is_gone() {
    let telemetry = Telemetry::with(Clock::system(), Tasks::new());
    let exporter = ExporterMetrics::new(&telemetry, "otlp");
    let queue = Arc::new(FixedQueue);
    exporter.watch_queue(Signal::Logs, &queue);
    let report = telemetry.health().report();
    assert_eq!(report.rows[0].name, "exporters/otlp queue of logs");
    assert_eq!(report.rows[0].oldest_item_seconds, Some(0.25));
    drop(queue);
    assert_eq!(telemetry.health().report().rows[0].status, Status::Stopped);
    drop(exporter);
    assert!(telemetry.health().report().rows.is_empty());
    let names: Vec<_> = telemetry
        .registry()
        .gather()
        .iter()
        .map(|family| family.name().to_owned())
        .collect();
    assert!(!names.contains(&"otelcol_exporter_queue_size".to_owned()));
}
