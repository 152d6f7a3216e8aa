//! The words that every folder shares: ids, time, sizes, secrets, places and problems.

mod ids;
mod size;
mod time;

pub use ids::{EdgeId, NodeId, SpanId, TraceId};
pub use size::ByteSize;
pub use time::Nanos;
