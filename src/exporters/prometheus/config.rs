//! What the user writes for `prometheus`, with the Collector's keys.

use super::PrometheusExporter;
use crate::base::Problems;
use crate::config::Section;
use crate::config::fragments::Endpoint;
use crate::exporters::delivery::DeliveryConfig;
use crate::pipeline::{BuildContext, DeliverySettings, Exporter, ExporterConfig, QueueSettings};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// The section of a `prometheus` exporter.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct PrometheusConfig {
    /// `host:port` to answer on; `localhost:8889` unless given.
    pub endpoint: Endpoint,
    /// A word before every name, with `_` behind it; none unless given. Dashboards that know the names will not find them.
    pub namespace: String,
    /// Labels that every sample is given.
    pub const_labels: BTreeMap<String, String>,
}

impl Default for PrometheusConfig {
    fn default() -> Self {
        PrometheusConfig {
            endpoint: Endpoint::localhost(8889),
            namespace: String::new(),
            const_labels: BTreeMap::new(),
        }
    }
}

/// Labels that belong to the formats.
const RESERVED: [&str; 2] = ["le", "quantile"];

impl PrometheusConfig {
    /// Keys of the Collector's section that have no meaning here, with the reason.
    pub const IGNORED: &'static [(&'static str, &'static str)] = &[
        ("send_timestamps", "a sample is of the moment of its scrape"),
        (
            "metric_expiration",
            "a series stays while the process runs, so that its counter never begins anew",
        ),
        (
            "enable_open_metrics",
            "each scraper is answered in the format that it asks for",
        ),
        (
            "resource_to_telemetry_conversion",
            "the metrics have no resource attributes",
        ),
        (
            "add_metric_suffixes",
            "the names are fixed: those that dashboards read",
        ),
        (
            "translation_strategy",
            "the names are fixed: those that dashboards read",
        ),
        ("without_scope_info", "the metrics have no scopes"),
    ];

    /// What the types cannot say: the key and what is wrong.
    #[must_use]
    pub fn mistakes(&self) -> Vec<(String, String)> {
        let mut mistakes = Vec::new();
        if !self.namespace.is_empty() && !is_name(&self.namespace) {
            let message = format!("`{}` cannot begin a metric's name", self.namespace);
            mistakes.push(("namespace".to_owned(), message));
        }
        for label in self.const_labels.keys() {
            let is_reserved = RESERVED.contains(&label.as_str()) || label.starts_with("__");
            if !is_name(label) || is_reserved {
                let message = format!("`{label}` cannot be a label's name");
                mistakes.push((format!("const_labels.{label}"), message));
            }
        }
        mistakes
    }
}

/// Letters, digits and `_`, not beginning with a digit.
fn is_name(text: &str) -> bool {
    !text.starts_with(|c: char| c.is_ascii_digit())
        && !text.is_empty()
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// Reads and checks the section.
pub fn configure(
    section: &Section<'_>,
    problems: &mut Problems,
) -> Option<Box<dyn ExporterConfig>> {
    let config: PrometheusConfig = section.parse(PrometheusConfig::IGNORED, problems)?;
    let mistakes = config.mistakes();
    for (key, message) in &mistakes {
        let help = "names are made of letters, digits and `_`, and do not begin with a digit";
        problems.error(section.place_of(key), message.as_str(), help);
    }
    mistakes.is_empty().then(|| Box::new(config) as _)
}

impl ExporterConfig for PrometheusConfig {
    fn queue(&self) -> QueueSettings {
        DeliveryConfig::default().queue()
    }

    fn delivery(&self) -> DeliverySettings {
        DeliveryConfig::default().settings(Duration::ZERO)
    }

    fn pulls(&self) -> bool {
        true
    }

    fn build(&self, context: &BuildContext) -> anyhow::Result<Arc<dyn Exporter>> {
        Ok(Arc::new(PrometheusExporter::new(
            context.id.to_string(),
            self.clone(),
            Arc::clone(&context.telemetry),
        )))
    }
}
