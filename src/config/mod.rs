//! Configuration: YAML documents, loaded, expanded, merged, typed — and pointing at every mistake.
//!
//! ```text
//! sources ─▶ document (YAML) ─▶ merge ─▶ expand ─▶ Document ─▶ Section::parse::<…Config>() ─▶ validate()
//!                                                     └─▶ to_yaml(masked)       every step ─▶ Problems
//! ```
//!
//! Each step can fail in one way only and none stops at the first mistake. [`fragments`] has the parts that several
//! components' configurations share, with the Collector's keys and defaults.
//!
//! **Bounds.** A source has at most 1 MiB, a tree 100 000 nodes in 64 levels, a list of problems 1 000 of each kind.
//! **Not here.** What a component's own keys mean (its folder), which components exist and how pipelines are joined
//! (`service`).
#![cfg_attr(
    not(test),
    deny(clippy::indexing_slicing, clippy::cast_possible_truncation)
)]

mod document;
mod expand;
pub mod fragments;
mod load;
mod merge;
mod node;
mod print;
mod reader;
mod section;
#[cfg(test)]
mod tests;
mod typed;

pub use load::{Document, Env};
pub use section::Section;
pub use typed::Ignored;
