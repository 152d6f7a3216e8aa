//! What sends telemetry on.

mod delivery;
pub mod otlp;
pub mod otlphttp;
