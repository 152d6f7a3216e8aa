//! What the graph means: who is a single point of failure, what stands in cycles, what would fail with what, and how much
//! risk that comes to (`detection` §7).
//!
//! Everything here is a function of (what was known, what changed, now). Rows are those of the graph's snapshot.
//!
//! **Bounds.** A row's figures for each row of the graph. **Not here.** Counting (`graph`), who is told (`guard`).

mod findings;
#[cfg(test)]
mod testing;

pub use findings::{Analysis, Blast, Cycle, Entry, NodeRisk, Term, Terms};
