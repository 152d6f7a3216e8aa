//! What looks at batches, or changes them, on their way from a receiver to the exporters.

pub mod attributes;
pub mod batch;
pub mod memory_limiter;
