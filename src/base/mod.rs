//! The words that every folder shares: ids, time, sizes, secrets, places and problems.

mod ids;
mod random;
mod size;
pub mod sync;
mod time;

pub use ids::{EdgeId, NodeId, SpanId, TraceId};
pub use random::Random;
pub use size::ByteSize;
pub use time::Nanos;
