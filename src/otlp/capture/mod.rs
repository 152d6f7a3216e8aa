//! Recorded requests: files of them, read one at a time and written.
//!
//! ```text
//! reader ─▶ gunzip if it is gzip ─▶ { first? ─┬▶ JSON: one document or one a line ─▶ json::decode ─▶ record
//!                                             └▶ capture: time ▸ length ▸ bytes ───────────────────▶ record
//! ```
//!
//! A capture is a sequence of records: `u64` little endian, the time of arrival in Unix nanoseconds; `u32` little endian,
//! the length; so many bytes, one export request in protobuf as it was sent. OTLP/JSON comes as documents behind one
//! another, on one line each (as the Collector's file exporter writes) or spread over many.
//!
//! **Bounds.** One record is in memory at a time; its length is compared with the limit before anything is allocated,
//! and a cut file costs what it holds, not what its last length claims.
//! **Invariants.** After a failure there are no more records. Bytes of a capture are handed over unread.
//! **Not here.** Opening files, replaying at a pace (the shell's).

mod document;
mod reader;
#[cfg(test)]
mod tests;
mod writer;

pub use reader::{Records, records, records_within};
pub use writer::write_record;

use crate::base::Nanos;
use crate::otlp::{Malformed, Signal};
use bytes::Bytes;
use std::io;
use thiserror::Error;

/// Longest record that is read unless told otherwise: the limit of a request.
pub const MAX_RECORD_BYTES: usize = 64 << 20;

/// One recorded request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// When it arrived; zero where the format does not say (JSON).
    pub arrived: Nanos,
    /// What it carries: JSON tells, a capture holds traces.
    pub signal: Signal,
    /// An `Export…ServiceRequest` in protobuf; as it stood in a capture, so perhaps malformed.
    pub bytes: Bytes,
}

/// Why a record could not be read. Records count from 1.
#[derive(Debug, Error)]
pub enum CaptureError {
    /// The reader failed.
    #[error("record {record}: {source}")]
    Io {
        /// Which.
        record: u64,
        /// What it said.
        source: io::Error,
    },
    /// The file ends inside a record.
    #[error("record {record} is cut short: the file ends after {found} of {expected} bytes")]
    Truncated {
        /// Which.
        record: u64,
        /// Bytes that are there.
        found: usize,
        /// Bytes that should be.
        expected: usize,
    },
    /// A record is longer than allowed, or the file is no capture.
    #[error("record {record} is longer than the limit of {limit} bytes, or this is no capture")]
    TooLong {
        /// Which.
        record: u64,
        /// The limit.
        limit: usize,
    },
    /// A JSON document is not OTLP.
    #[error("record {record}: {source}")]
    Malformed {
        /// Which.
        record: u64,
        /// What and where, counted from the document's start.
        source: Malformed,
    },
    /// A JSON document has none of the keys that tell the signal.
    #[error("record {record} has none of `resourceSpans`, `resourceMetrics` and `resourceLogs`")]
    UnknownSignal {
        /// Which.
        record: u64,
    },
    /// The first bytes are neither JSON nor a record.
    #[error("not a capture: expected records, OTLP/JSON, or either in gzip; found {found}")]
    UnknownFormat {
        /// What it seems to be.
        found: &'static str,
    },
}
