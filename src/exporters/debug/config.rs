//! What the user writes for `debug`.

use serde::{Deserialize, Serialize};

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
