//! Partial success: what a next hop took, and what it did not.

use crate::otlp::Signal;
use crate::pipeline::Cause;
use crate::telemetry::ExporterMetrics;
use opentelemetry_proto::tonic::collector::{
    logs::v1::ExportLogsServiceResponse, metrics::v1::ExportMetricsServiceResponse,
    trace::v1::ExportTraceServiceResponse,
};
use prost::Message;
use tracing::warn;

/// A reply's `partial_success`: rejected items are lost for good, with zero it is a warning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartialSuccess {
    /// Spans, data points or log records that were not taken.
    pub rejected: u64,
    /// The next hop's words.
    pub message: Cause,
}

impl PartialSuccess {
    /// Reads an `Export…ServiceResponse`; `None` for full success, or for bytes that are no such message.
    #[must_use]
    pub fn decode(signal: Signal, bytes: &[u8]) -> Option<Self> {
        let (rejected, message) = match signal {
            Signal::Traces => {
                let partial = ExportTraceServiceResponse::decode(bytes)
                    .ok()?
                    .partial_success?;
                (partial.rejected_spans, partial.error_message)
            }
            Signal::Metrics => {
                let partial = ExportMetricsServiceResponse::decode(bytes)
                    .ok()?
                    .partial_success?;
                (partial.rejected_data_points, partial.error_message)
            }
            Signal::Logs => {
                let partial = ExportLogsServiceResponse::decode(bytes)
                    .ok()?
                    .partial_success?;
                (partial.rejected_log_records, partial.error_message)
            }
        };
        Self::of(rejected, message)
    }

    /// The same in JSON.
    #[must_use]
    pub fn decode_json(signal: Signal, text: &[u8]) -> Option<Self> {
        let reply: serde_json::Value = serde_json::from_slice(text).ok()?;
        let partial = reply.get("partialSuccess")?;
        let key = match signal {
            Signal::Traces => "rejectedSpans",
            Signal::Metrics => "rejectedDataPoints",
            Signal::Logs => "rejectedLogRecords",
        };
        let rejected = partial
            .get(key)
            .and_then(|n| n.as_i64().or_else(|| n.as_str()?.parse().ok()));
        let message = partial
            .get("errorMessage")
            .and_then(|m| m.as_str())
            .unwrap_or_default();
        Self::of(rejected.unwrap_or(0), message.to_owned())
    }

    /// Counts and logs what was lost.
    pub fn report(&self, signal: Signal, metrics: &ExporterMetrics) {
        metrics.partial_success(signal, self.rejected);
        warn!(
            exporter = metrics.exporter(), signal = signal.as_str(), rejected = self.rejected, message = %self.message,
            "next hop reported partial success"
        );
    }

    fn of(rejected: i64, message: String) -> Option<Self> {
        let rejected = u64::try_from(rejected).unwrap_or(0);
        (rejected > 0 || !message.is_empty()).then(|| PartialSuccess {
            rejected,
            message: Cause::new(message),
        })
    }
}
