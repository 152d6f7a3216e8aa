//! The wire: OTLP read by borrowed views and written by splices.
//!
//! ```text
//! bytes ─▶ validate (framing, UTF-8, depth; counts items) ─▶ view (resource ▸ scope ▸ span ▸ attribute) ─▶ reader
//!                                                          └▶ splice (attributes in or out, lengths mended) ─▶ bytes
//! JSON ─▶ json ─▶ bytes                                    capture files ─▶ records of bytes
//! ```
//!
//! **Bounds.** Nothing here allocates by what the input claims: views borrow, the splice writes once into a buffer of
//! the size that it has computed, and JSON grows by what it has read.
//! **Invariants.** What [`validate`] accepted, the views read without failing. Unknown fields survive (R-STR-4).
//! **Not here.** Meaning of attributes (`scan`), sockets, compression (`pipeline`).

pub mod capture;
mod edit;
pub mod json;
mod malformed;
pub mod schema;
pub mod semconv;
mod splice;
pub mod split;
mod validate;
mod value;
mod view;
pub mod wire;

#[cfg(test)]
mod tests;

pub use edit::{Edits, NewValue, encode_span_attribute};
pub use malformed::Malformed;
pub use splice::{Edit, Splice};
pub use validate::{MAX_DEPTH, validate};
pub use value::{AttrView, Attributes, Elements, Entries, ValueView};
pub use view::{EventView, LinkView, RequestView, ResourceView, ScopeView, SpanBytes, SpanView};

/// What an export request carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Signal {
    /// Spans.
    Traces,
    /// Metric data points.
    Metrics,
    /// Log records.
    Logs,
}

impl Signal {
    /// All three, in the order in which they index tables.
    pub const ALL: [Signal; 3] = [Signal::Traces, Signal::Metrics, Signal::Logs];

    /// The name that pipelines use: `traces`, `metrics`, `logs`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Signal::Traces => "traces",
            Signal::Metrics => "metrics",
            Signal::Logs => "logs",
        }
    }

    /// The shape of its export request.
    #[must_use]
    pub fn request(self) -> &'static schema::Message {
        match self {
            Signal::Traces => &schema::TRACES_REQUEST,
            Signal::Metrics => &schema::METRICS_REQUEST,
            Signal::Logs => &schema::LOGS_REQUEST,
        }
    }

    /// The gRPC method that exports it.
    #[must_use]
    pub fn grpc_path(self) -> &'static str {
        match self {
            Signal::Traces => "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
            Signal::Metrics => "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
            Signal::Logs => "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
        }
    }

    /// The default path of its OTLP/HTTP endpoint.
    #[must_use]
    pub fn http_path(self) -> &'static str {
        match self {
            Signal::Traces => "/v1/traces",
            Signal::Metrics => "/v1/metrics",
            Signal::Logs => "/v1/logs",
        }
    }
}
