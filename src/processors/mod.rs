//! What looks at batches, or changes them, on their way.

pub mod batch;
