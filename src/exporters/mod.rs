//! What sends telemetry on.

mod civil;
pub mod debug;
mod delivery;
pub mod file;
pub mod otlp;
pub mod otlphttp;
mod outgoing;
pub mod prometheus;
