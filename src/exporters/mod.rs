//! What sends requests out of the process, one folder each.
//!
//! An exporter sends one request once ([`crate::pipeline::Exporter`]); its queue, batching, retry and breaker are the
//! pipeline's.

mod civil;
pub mod debug;
pub mod file;
