//! Pipeline health under the Collector's names, so that its dashboards and alerts work here; what it has no name for is
//! ours and starts with `agentguard_`.
//!
//! The names are those that the Collector's Prometheus reader shows (counters with `_total`, units spelled out).
//! Components build one of these structs each; counting is then one or two relaxed atomics.

mod exporter;
mod process;
mod processor;
mod reasons;
mod receiver;
mod signals;

pub use exporter::{ExporterMetrics, InFlight, QueueReading};
pub use processor::ProcessorMetrics;
pub use reasons::Reasons;
pub use receiver::ReceiverMetrics;

pub(super) use process::watch_process;

use crate::telemetry::definition::MetricDef;

/// Every definition of this folder.
pub(super) const DEFINITIONS: &[&[&MetricDef]] = &[
    receiver::DEFINITIONS,
    processor::DEFINITIONS,
    exporter::DEFINITIONS,
    process::DEFINITIONS,
];
