//! What moves through a pipeline.

use crate::otlp::Signal;
use bytes::Bytes;

/// One export request as bytes, validated; cheap to clone.
#[derive(Clone, Debug)]
pub struct Batch {
    /// What it carries.
    pub signal: Signal,
    /// An `Export…ServiceRequest` in protobuf, as it arrived or as a processor spliced it (D1).
    pub bytes: Bytes,
    /// How many spans, data points or log records it holds, as counted when it was validated.
    pub items: u32,
}
