//! `memory_limiter`: refuses data while the process uses too much memory, so that senders keep it and try again.
//!
//! ```text
//! every check_interval: read memory ─▶ Watermark ─▶ one flag ◀─ reserve(batch): refused for 1 s, or on to the next
//! ```
//!
//! One limiter, and one checker, per component of the configuration; a [`MemoryLimiterProcessor`] per pipeline.
//!
//! **Bounds.** None of its own: it is one.
//! **Invariants.** The request clock sees a relaxed load and two counters. Without a reading nothing is refused.
//! **Not here.** Memory of queues, which is bounded where it is (`pipeline/queue`).

mod config;
mod level;
mod limiter;
mod metrics;

pub use config::{MemoryLimiterConfig, Mistake, configure};
pub use level::{Level, Limits};
pub use limiter::{MemoryLimiter, MemoryLimiterError, MemoryLimiterProcessor};
pub use metrics::DEFINITIONS;
