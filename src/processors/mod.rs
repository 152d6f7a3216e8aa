//! To be furnished.

pub mod attributes;
