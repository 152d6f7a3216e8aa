//! What the limiter shows of itself; refusals are counted as every processor's are.

use crate::telemetry::{Gauge, MetricDef, Telemetry, Unit};

const USED: MetricDef = MetricDef::gauge(
    "agentguard_memory_limiter_used_bytes",
    "Memory in use, as last measured by the limiter.",
)
.labels(&["processor"])
.unit(Unit::Bytes);
const LIMIT: MetricDef = MetricDef::gauge(
    "agentguard_memory_limiter_limit_bytes",
    "Limits in force: from the soft one on data is refused.",
)
.labels(&["processor", "limit"])
.unit(Unit::Bytes);
const REFUSING: MetricDef = MetricDef::gauge(
    "agentguard_memory_limiter_refusing",
    "Whether data is being refused: 1 or 0.",
)
.labels(&["processor"]);

/// Every definition of this component, for the documentation.
pub const DEFINITIONS: &[&MetricDef] = &[&USED, &LIMIT, &REFUSING];

/// The handles of one limiter.
pub(super) struct MemoryLimiterMetrics {
    pub(super) used: Gauge,
    pub(super) soft: Gauge,
    pub(super) hard: Gauge,
    pub(super) refusing: Gauge,
}

impl MemoryLimiterMetrics {
    pub(super) fn new(telemetry: &Telemetry, processor: &str) -> Self {
        let registry = telemetry.registry();
        MemoryLimiterMetrics {
            used: registry.gauge(&USED, &[processor]),
            soft: registry.gauge(&LIMIT, &[processor, "soft"]),
            hard: registry.gauge(&LIMIT, &[processor, "hard"]),
            refusing: registry.gauge(&REFUSING, &[processor]),
        }
    }
}
