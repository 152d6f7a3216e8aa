//! What the user writes for `debug`.

use super::DebugExporter;
use crate::base::Problems;
use crate::config::Section;
use crate::exporters::delivery::DeliveryConfig;
use crate::pipeline::{BuildContext, DeliverySettings, Exporter, ExporterConfig, QueueSettings};
use serde::{Deserialize, Serialize};
use std::io;
use std::sync::Arc;
use std::time::Duration;

/// How much of a request is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verbosity {
    /// One line per request: how much it holds.
    #[default]
    Basic,
    /// And one line per span, data point or log record.
    Normal,
    /// And every field of them.
    Detailed,
}

/// The section of a `debug` exporter; keys and defaults as in the Collector.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct DebugConfig {
    /// How much is shown: `basic`, `normal` or `detailed`.
    pub verbosity: Verbosity,
    /// How many requests of a signal are shown in each second before sampling begins.
    pub sampling_initial: u64,
    /// After those, every so-manyth of the second is shown: 1 shows all, 0 none.
    pub sampling_thereafter: u64,
    /// Accepted and without effect: output goes to standard error, beside the log and not through it.
    pub use_internal_logger: bool,
}

impl Default for DebugConfig {
    fn default() -> Self {
        DebugConfig {
            verbosity: Verbosity::Basic,
            sampling_initial: 2,
            sampling_thereafter: 1,
            use_internal_logger: true,
        }
    }
}

const IGNORED: &[(&str, &str)] = &[(
    "sending_queue",
    "requests wait for this exporter in a queue of the usual size",
)];

/// Reads and checks the section.
pub fn configure(
    section: &Section<'_>,
    problems: &mut Problems,
) -> Option<Box<dyn ExporterConfig>> {
    let config: DebugConfig = section.parse(IGNORED, problems)?;
    Some(Box::new(config))
}

impl ExporterConfig for DebugConfig {
    fn queue(&self) -> QueueSettings {
        DeliveryConfig::default().queue()
    }

    fn delivery(&self) -> DeliverySettings {
        // one after the other, so that pages stand in order
        DeliverySettings {
            num_consumers: 1,
            ..DeliveryConfig::default().settings(Duration::ZERO)
        }
    }

    fn build(&self, context: &BuildContext) -> anyhow::Result<Arc<dyn Exporter>> {
        let clock = context.telemetry.clock().clone();
        let id = context.id.to_string();
        Ok(Arc::new(DebugExporter::new(
            id,
            self.clone(),
            Box::new(io::stderr()),
            move || clock.now(),
        )))
    }
}
