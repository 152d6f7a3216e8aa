//! Atomics, from one place, so that a model checker can stand in for them.

pub use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
