//! From the keys `sending_queue`, `retry_on_failure` and `timeout` to the pipeline's settings.

use crate::base::Problems;
use crate::config::Section;
use crate::config::fragments::{QueueConfig, RetryConfig, Sizer};
use crate::pipeline::{BatchSettings, BatchSizer, DeliverySettings, QueueSettings, RetrySettings};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The keys of an exporter that are about its queue.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(default)]
pub struct DeliveryConfig {
    /// What waits before the exporter. As in the Collector.
    pub sending_queue: QueueConfig,
    /// Trying again. As in the Collector.
    pub retry_on_failure: RetryConfig,
}

impl DeliveryConfig {
    /// Checks what the types cannot say.
    pub fn validate(&self, at: &Section<'_>, problems: &mut Problems) {
        self.sending_queue
            .validate(&at.at("sending_queue"), problems);
        self.retry_on_failure
            .validate(&at.at("retry_on_failure"), problems);
    }

    /// The bounds of the queue.
    #[must_use]
    pub fn queue(&self) -> QueueSettings {
        let sizer = match self.sending_queue.sizer {
            Sizer::Requests => crate::pipeline::Sizer::Requests,
            Sizer::Items => crate::pipeline::Sizer::Items,
            Sizer::Bytes => crate::pipeline::Sizer::Bytes,
        };
        let QueueConfig {
            queue_size,
            queue_bytes,
            ..
        } = self.sending_queue;
        QueueSettings {
            sizer,
            size: queue_size,
            bytes: queue_bytes.0,
        }
    }

    /// How it is emptied, with this time limit for each try.
    #[must_use]
    pub fn settings(&self, timeout: Duration) -> DeliverySettings {
        let queue = &self.sending_queue;
        let sizer = match queue.batch_sizer() {
            Sizer::Bytes => BatchSizer::Bytes,
            Sizer::Items | Sizer::Requests => BatchSizer::Items,
        };
        let batch = queue.batch.as_ref().map(|batch| BatchSettings {
            flush_timeout: batch.flush_timeout,
            sizer,
            min_size: batch.min_size,
            max_size: batch.max_size,
        });
        let retry = &self.retry_on_failure;
        DeliverySettings {
            num_consumers: queue.num_consumers,
            // without a queue the Collector answers a sender with the next hop's own answer
            wait_for_result: queue.wait_for_result || !queue.enabled,
            block_on_overflow: queue.block_on_overflow,
            timeout,
            batch,
            retry: RetrySettings {
                enabled: retry.enabled,
                initial_interval: retry.initial_interval,
                max_interval: retry.max_interval,
                max_elapsed_time: retry.max_elapsed_time,
                multiplier: retry.multiplier,
                randomization_factor: retry.randomization_factor,
            },
        }
    }
}
