//! What the graph means: who is a single point of failure, what stands in cycles, what would fail with what, and how much
//! risk that comes to (`detection` §7).
//!
//! ```text
//! cells ─▶ Windows ─┐                ┌ Learned: hard, soft, fallback ─▶ Needs: sets of which one is enough
//! trials, counts ───┴▶ Weights ─▶ Analyst                                 ├▶ Certain: single points of failure
//! rows ────────────▶ Structure ──┘   └ Traffic: entries, shares           ├▶ Expected, Reach: blast radius
//!                                                                         └▶ terms, scores ─▶ Analysis
//! ```
//!
//! Everything here is a function of (what was known, what changed, now). Rows are those of the graph's snapshot.
//!
//! **Bounds.** A row's figures for each row of the graph, thirty buckets for each id with recent traffic, and a limit of
//! steps a look. **Not here.** Counting (`graph`), who is told (`guard`).

mod analyst;
mod bounds;
mod certain;
mod components;
mod entries;
mod expected;
mod findings;
mod found;
mod hardness;
mod needs;
mod reach;
mod risk;
mod structure;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod weights;
mod windows;

pub use analyst::Analyst;
pub use findings::{Analysis, Blast, Cycle, Entry, NodeRisk, SystemTerm, Term, Terms, shown};
pub use hardness::{Class, Hardness};
pub use risk::{RiskSettings, RiskWeights};
pub use structure::{EdgeRow, Link, Node, Structure};
pub use weights::{EdgeWeights, Follow, NodeWeights, Tally, Touched, Weights};
pub use windows::{Faded, Recent, Windows};
