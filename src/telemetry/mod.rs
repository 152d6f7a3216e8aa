//! Our own telemetry: metrics, logs, named tasks, health.
//!
//! ```text
//! components ─ handles ─▶ Registry ─ gather ─▶ classic text | OpenMetrics ─▶ server :8888/metrics
//!            ─ spawn ───▶ Tasks ────┐
//!            ─ status ──▶ Health ◀──┘ ─▶ health_check :13133
//!            ─ tracing ─▶ stderr, text or JSON
//! ```
//!
//! **Bounds.** Series per metric, task names, connections of a server: each has a constant and says what happens beyond.
//! **Invariants.** A metric's name is written once, in its [`MetricDef`]; counting is one relaxed atomic; nothing is
//! spawned but by [`task`]; nothing reads a clock but [`Clock`].
//! **Not here.** What a component counts beyond the pipeline's common names: that is in its own `metrics.rs`.

mod clock;
mod config;
mod definition;
mod exposition;
pub mod health;
mod limited;
pub mod logs;
mod metrics;
pub mod proc;
mod pull;
mod registry;
pub mod server;
pub mod task;

pub use clock::{Clock, ManualClock};
pub use config::{
    LogConfig, LogEncoding, LogLevel, MetricsConfig, MetricsLevel, PrometheusReaderConfig,
    PullConfig, PullExporterConfig, ReaderConfig, TelemetryConfig,
};
pub use definition::{MetricDef, MetricKind, Unit, markdown_table};
pub use exposition::{Exposition, Format, Labels, MetricsSource, scrape};
pub use health::Health;
pub use limited::RateLimited;
pub use metrics::{
    ExporterMetrics, InFlight, ProcessorMetrics, QueueReading, Reasons, ReceiverMetrics,
};
pub use registry::{
    Counter, FloatGauge, Gauge, Histogram, MAX_SERIES, OTHER, Pull, Registry, SERIES_DROPPED,
};

use task::Tasks;

/// Every definition of this folder, for the documentation; components add their own.
#[must_use]
pub fn definitions() -> Vec<&'static MetricDef> {
    let mut definitions = vec![&SERIES_DROPPED, &task::PANICS];
    definitions.extend(metrics::DEFINITIONS.iter().copied().flatten());
    definitions.sort_by_key(|def| def.name);
    definitions
}

/// What a component is handed to count, time and report with.
pub struct Telemetry {
    clock: Clock,
    registry: Registry,
    health: Health,
}

impl Telemetry {
    /// The process's telemetry: its clock, its tasks, and a registry with the process's own metrics.
    #[must_use]
    pub fn new() -> Self {
        Self::with(Clock::system(), Tasks::process().clone())
    }

    /// Telemetry of these tasks on this clock, apart from all others: a test's.
    #[must_use]
    pub fn with(clock: Clock, tasks: Tasks) -> Self {
        let registry = Registry::new();
        registry.adopt(&task::PANICS, tasks.panics());
        let telemetry = Telemetry {
            health: Health::new(clock.clone(), tasks),
            clock,
            registry,
        };
        metrics::watch_process(&telemetry);
        telemetry
    }

    /// The clock to read.
    #[must_use]
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Where metrics are registered.
    #[must_use]
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Where components say how they are.
    #[must_use]
    pub fn health(&self) -> &Health {
        &self.health
    }
}

impl Default for Telemetry {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests;
