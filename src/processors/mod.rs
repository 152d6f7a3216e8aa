//! Processors: what happens to batches between a receiver and the exporters.

pub mod memory_limiter;
