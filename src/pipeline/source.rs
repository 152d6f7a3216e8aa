//! Metrics that are asked for, not sent (D5): what a connector hands to the exporters of its metrics pipelines.
//!
//! ```text
//! connector ─ offer ─▶ exporter that pulls ─ at each scrape: render ─▶ the connector's snapshot
//! ```
//!
//! **Invariant.** Exporters know no guard: they see a source of text, and which labels it uses.
//! **Not here.** The text formats (`telemetry`); OTLP metrics, which go along pipelines as batches, a connector's too.

use crate::telemetry::MetricsSource;
use std::sync::Arc;

/// A connector's metrics, and what an exporter must know of them.
#[derive(Clone)]
pub struct SourceOffer {
    /// What writes them.
    pub source: Arc<dyn MetricsSource>,
    /// Every label name that they may have; an exporter's own labels must be others.
    pub labels: &'static [&'static str],
}
