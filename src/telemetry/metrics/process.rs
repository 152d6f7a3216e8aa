//! What the process uses, and what it is.

use crate::telemetry::Telemetry;
use crate::telemetry::definition::{MetricDef, Unit};
use crate::telemetry::proc;

const UPTIME: MetricDef = MetricDef::counter(
    "otelcol_process_uptime_seconds_total",
    "How long the process has been running.",
)
.unit(Unit::Seconds);
const CPU: MetricDef = MetricDef::counter(
    "otelcol_process_cpu_seconds_total",
    "CPU time used, in user and system mode.",
)
.unit(Unit::Seconds);
const RSS: MetricDef = MetricDef::gauge(
    "otelcol_process_memory_rss_bytes",
    "Physical memory in use (resident set size).",
)
.unit(Unit::Bytes);
const BUILD_INFO: MetricDef = MetricDef::gauge(
    "agentguard_build_info",
    "The version that runs, as a label; always 1.",
)
.labels(&["version"]);

pub(super) const DEFINITIONS: &[&MetricDef] = &[&UPTIME, &CPU, &RSS, &BUILD_INFO];

/// Registers the process's own metrics; where the system does not tell a number, it is not shown.
pub(in crate::telemetry) fn watch_process(telemetry: &Telemetry) {
    let registry = telemetry.registry();
    registry
        .gauge(&BUILD_INFO, &[env!("CARGO_PKG_VERSION")])
        .set(1);
    let clock = telemetry.clock().clone();
    registry
        .pull(&UPTIME, &[], move || clock.elapsed().as_secs_f64())
        .keep();
    if proc::cpu_time().is_some() {
        let read = || proc::cpu_time().unwrap_or_default().as_secs_f64();
        registry.pull(&CPU, &[], read).keep();
    }
    if proc::resident_bytes().is_some() {
        #[expect(
            clippy::cast_precision_loss,
            reason = "memory sizes are far below 2^53"
        )]
        let read = || proc::resident_bytes().unwrap_or_default() as f64;
        registry.pull(&RSS, &[], read).keep();
    }
}
