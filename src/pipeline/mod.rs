//! What components owe each other: batches, reservations, verdicts, queues.
//!
//! ```text
//! receiver ─▶ Consumer::reserve(batch) ─▶ processors ─▶ connector ─┬▶ exporter's queue: a place held
//!                 │                                                └▶ exporter's queue: a place held
//!                 └─ all held: Reservation::commit ─▶ acknowledged;  one refused: dropped, nothing was kept (D6)
//! ```
//!
//! **Invariants.** Between `reserve` and `commit` nothing waits and nothing can fail; what is dropped uncommitted leaves
//! no trace.
//! **Not here.** What a batch means (`guard`), how bytes travel (`receivers`, `exporters`).

mod batch;
mod component;
pub mod compression;
mod reservation;
mod verdict;

pub use batch::Batch;
pub use component::{BoxFuture, Component, Consumer, Exporter, Fanout, Outgoing};
pub use reservation::{Completion, Held, Outcome, Reservation};
pub use verdict::{Cause, Verdict};
