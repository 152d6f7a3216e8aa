//! Who called whom: sightings paired into edges, counted, and shown as a snapshot.
//!
//! ```text
//! sightings ─▶ Shard (a thread each, one writer) ─ Changes, when asked ─▶ Totals (the tick) ─▶ GraphSnapshot ─▶ all
//!                 span table [spans]  ledger, walk                          sums, aliases       immutable
//!                         Interner [nodes, edges]: keys ⇄ numbers, shared by all
//! ```
//!
//! **Bounds.** `InternLimits` and `ShardSettings::spans`; each says what happens when it bites, and counts it.
//! **Invariants.** The graph is a function of the set of spans, not of their order or their batches (B-08).
//! **Not here.** Reading spans (`scan`), threads and clocks (`guard`, `connectors`), rates and risk (`analysis`).

mod answers;
mod beside;
mod counting;
mod counts;
mod echoes;
mod entry;
mod evict;
mod forget;
mod found;
mod index;
mod inner;
mod interner;
mod latency;
mod ledger;
mod links;
mod names;
mod numbers;
mod past;
mod reading;
mod shard;
mod snapshot;
mod structure;
mod table;
#[cfg(test)]
mod tests;
mod totals;
mod trials;
mod turns;
mod walk;
mod window;

pub use counts::Counts;
pub use forget::Candidates;
pub use interner::{EdgeKey, Epoch, InternLimits, Interner, NodeRecord, OVERFLOW};
pub use latency::Latency;
pub use ledger::Alias;
pub use numbers::Numbers;
pub use past::PastEdge;
pub use shard::{Changes, Shard, ShardSettings, ShardStats};
pub use snapshot::{EdgeRow, FollowedRow, GraphSnapshot, NodeRow, Row, Rows, RowsIter};
pub use totals::{Expired, Totals};
pub use trials::{Fan, Fell, Followed, Trials};
pub use walk::{WalkSettings, WalkStats};
pub use window::{Bucket, Cell};
