//! The `batch` processor: its settings are taken over by the exporters' queues of its pipeline.
//!
//! The Collector's holds acknowledged spans in memory before the queue, where a crash loses them. Here a request is
//! acknowledged when the queues have it, and merging happens behind them (D6); what the user asked for, fewer and larger
//! requests, is the same.
//!
//! **Not here.** Merging itself (`pipeline::delivery`).

use crate::base::Problems;
use crate::config::Section;
use crate::otlp::Signal;
use crate::pipeline::{
    BatchSettings, BatchSizer, BuildContext, BuiltProcessor, Consumer, ProcessorConfig,
};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;

/// How requests are merged before they are sent; keys and defaults as in the Collector.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct BatchConfig {
    /// The longest wait for a batch to fill.
    #[serde(with = "crate::base::duration")]
    pub timeout: Duration,
    /// A batch of so many spans, data points or log records is sent at once.
    pub send_batch_size: u64,
    /// A larger one is split; 0: never.
    pub send_batch_max_size: u64,
}

impl Default for BatchConfig {
    fn default() -> Self {
        BatchConfig {
            timeout: Duration::from_millis(200),
            send_batch_size: 8192,
            send_batch_max_size: 0,
        }
    }
}

const IGNORED: &[(&str, &str)] = &[
    (
        "metadata_keys",
        "requests are not told apart by their headers",
    ),
    (
        "metadata_cardinality_limit",
        "requests are not told apart by their headers",
    ),
];

/// Reads and checks the section.
pub fn configure(
    section: &Section<'_>,
    problems: &mut Problems,
) -> Option<Box<dyn ProcessorConfig>> {
    let config: BatchConfig = section.parse(IGNORED, problems)?;
    if config.send_batch_max_size > 0 && config.send_batch_max_size < config.send_batch_size {
        let place = section.place_of("send_batch_max_size");
        let message = "is smaller than send_batch_size";
        problems.error(place, message, "raise it, or set it to 0 for no limit");
        return None;
    }
    problems.warning(
        section.place().clone(),
        "batching happens in the exporters' queues, after the request was made safe",
        "nothing to do; `sending_queue.batch` of an exporter overrides it",
    );
    Some(Box::new(config))
}

impl ProcessorConfig for BatchConfig {
    fn build(
        &self,
        _: &BuildContext,
        _: Signal,
        next: Arc<dyn Consumer>,
    ) -> anyhow::Result<BuiltProcessor> {
        Ok(BuiltProcessor {
            consumer: next,
            component: None,
        })
    }

    fn batch(&self) -> Option<BatchSettings> {
        Some(BatchSettings {
            flush_timeout: self.timeout,
            sizer: BatchSizer::Items,
            min_size: self.send_batch_size,
            max_size: self.send_batch_max_size,
        })
    }
}
