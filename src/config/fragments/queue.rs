//! `sending_queue`: what waits before an exporter, and how it is merged on the way out.

use crate::base::{ByteSize, Problems};
use crate::config::Section;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The queue of an exporter, as in the Collector, with a bound in bytes besides.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct QueueConfig {
    /// Whether there is a queue; without one a request waits for the exporter's answer.
    pub enabled: bool,
    /// How many requests are sent at once.
    pub num_consumers: usize,
    /// How much the queue holds, in the unit that `sizer` names.
    pub queue_size: u64,
    /// What `queue_size` counts: `requests`, `items` (spans, data points, log records) or `bytes`.
    pub sizer: Sizer,
    /// How many bytes the queue holds at most, whatever `sizer` counts: the bound of its memory. Ours, not the
    /// Collector's.
    pub queue_bytes: ByteSize,
    /// When the queue is full: wait for space, at most the receiver's `body_timeout` (`true`), or answer at once that the
    /// sender shall retry (`false`).
    pub block_on_overflow: bool,
    /// Whether a request is answered only when the exporter has delivered it.
    pub wait_for_result: bool,
    /// The storage extension that keeps the queue on disk. Not in this version: refused.
    pub storage: Option<String>,
    /// How requests are merged and split when they leave the queue; absent: they leave as they came.
    pub batch: Option<BatchConfig>,
}

impl Default for QueueConfig {
    fn default() -> Self {
        QueueConfig {
            enabled: true,
            num_consumers: 10,
            queue_size: 1_000,
            sizer: Sizer::Requests,
            queue_bytes: ByteSize::mib(256),
            block_on_overflow: false,
            wait_for_result: false,
            storage: None,
            batch: None,
        }
    }
}

/// What a size counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sizer {
    /// Export requests.
    #[default]
    Requests,
    /// Spans, data points, log records.
    Items,
    /// Bytes of the requests as OTLP protobuf.
    Bytes,
}

/// Merging behind the queue, as in the Collector.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct BatchConfig {
    /// How long a request waits for others before it is sent anyway.
    #[serde(with = "crate::base::duration")]
    pub flush_timeout: Duration,
    /// What is sent at once when so much has come together; 0: whatever is there.
    pub min_size: u64,
    /// Larger requests are split; 0: never.
    pub max_size: u64,
    /// What the two sizes count: `items` or `bytes`; absent: what the queue counts, or items if that is requests.
    pub sizer: Option<Sizer>,
}

pub(super) const BATCH_IGNORED: &[(&str, &str)] = &[(
    "partition",
    "the metadata of incoming requests is not carried along, so there is nothing to partition by",
)];

impl Default for BatchConfig {
    fn default() -> Self {
        BatchConfig {
            flush_timeout: Duration::from_millis(200),
            min_size: 8_192,
            max_size: 0,
            sizer: None,
        }
    }
}

impl QueueConfig {
    /// What the batch's sizes count.
    #[must_use]
    pub fn batch_sizer(&self) -> Sizer {
        let written = self.batch.as_ref().and_then(|batch| batch.sizer);
        match (written, self.sizer) {
            (Some(sizer), _) => sizer,
            (None, Sizer::Bytes) => Sizer::Bytes,
            (None, Sizer::Requests | Sizer::Items) => Sizer::Items,
        }
    }

    /// Checks what the types cannot say.
    pub fn validate(&self, at: &Section<'_>, problems: &mut Problems) {
        if !self.enabled {
            return;
        }
        for (key, zero) in [
            ("num_consumers", self.num_consumers == 0),
            ("queue_size", self.queue_size == 0),
            ("queue_bytes", self.queue_bytes.0 == 0),
        ] {
            if zero {
                problems.error(at.place_of(key), "must be at least 1", "");
            }
        }
        if let Some(storage) = &self.storage {
            let message = format!("a queue on disk (`{storage}`) is not in this version");
            problems.error(
                at.place_of("storage"),
                message,
                "leave `storage` out for a queue in memory",
            );
        }
        let Some(batch) = &self.batch else {
            return;
        };
        let at = at.at("batch");
        if batch.sizer == Some(Sizer::Requests) {
            let message = "a batch cannot be counted in `requests`";
            problems.error(at.place_of("sizer"), message, "write `items` or `bytes`");
        }
        if batch.flush_timeout.is_zero() {
            problems.error(at.place_of("flush_timeout"), "must be more than 0", "");
        }
        if batch.max_size > 0 && batch.max_size < batch.min_size {
            let message = format!(
                "{} is less than `min_size`, {}",
                batch.max_size, batch.min_size
            );
            problems.error(
                at.place_of("max_size"),
                message,
                "raise it, or lower `min_size`",
            );
        }
        let limit = match self.batch_sizer() {
            sizer if sizer == self.sizer => self.queue_size,
            Sizer::Bytes => self.queue_bytes.0,
            Sizer::Items | Sizer::Requests => u64::MAX,
        };
        if batch.min_size > limit {
            let message = format!("{} is more than the queue holds, {limit}", batch.min_size);
            problems.error(
                at.place_of("min_size"),
                message,
                "lower it, or enlarge the queue",
            );
        }
    }
}
