//! Demonstration systems as data, and the spans that they would send.
//!
//! ```text
//! System (data) ─┬─▶ Truth: its nodes and edges            what a graph of it must come to
//!                └─▶ Player: seed, faults, now ─▶ flushes ─▶ encode ─▶ one export request a process
//! ```
//!
//! The same system serves `agentguard demo`, tests and examples: what is played is compared with what is true of it.
//!
//! **Bounds.** A player holds the spans of the runs under way; a run's size is bounded by its system, which has no cycles.
//! **Invariants.** The same seed and the same times give the same bytes. No span ends before it starts, children lie
//! within their parents, and a process sends a span only when it has ended: children come before parents.
//! **Not here.** Clocks, sockets and what is found in the spans: time is an argument, `cli` sends and shows.

mod conventions;
mod encode;
mod faults;
mod play;
mod reference;
mod run;
mod span;
mod system;
#[cfg(test)]
mod tests;

pub use encode::encode;
pub use faults::{Effect, Fault, Schedule, Target};
pub use play::{Flush, Player};
pub use reference::{FAULTS, REFERENCE};
pub use span::{PlayedSpan, SpanKind, Value};
pub use system::{Call, Component, Entry, Kind, Latency, Step, System, Truth};
