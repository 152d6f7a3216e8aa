//! What looks at batches, or changes them, on their way.

pub mod batch;
//! Processors: what happens to batches between a receiver and the exporters.

pub mod memory_limiter;
//! To be furnished.

pub mod attributes;
