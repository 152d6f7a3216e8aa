//! The words that every folder shares: ids, time, sizes, secrets, places and problems.

pub mod duration;
mod ids;
mod pages;
mod place;
mod problems;
mod random;
mod secret;
mod size;
pub mod sync;
mod time;

pub use ids::{EdgeId, NodeId, SpanId, TraceId};
pub use pages::{Entries, Pages};
pub use place::Place;
pub use problems::{Problem, Problems, nearest};
pub use random::Random;
pub use secret::Secret;
pub use size::ByteSize;
pub use time::Nanos;
