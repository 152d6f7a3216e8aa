//! What the user writes under `health_check`, with the Collector's keys.

use super::HealthCheck;
use crate::base::Problems;
use crate::config::Section;
use crate::pipeline::{BuildContext, Component, ExtensionConfig};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// `extensions.health_check`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct HealthCheckConfig {
    /// `host:port` to answer on; `localhost:13133` unless given. As in the Collector.
    pub endpoint: String,
    /// The path that tells whether the service is available; `/` unless given, which answers on every path that is not one
    /// of ours. As in the Collector.
    pub path: String,
    /// Texts to answer with on that path instead of JSON. As in the Collector.
    pub response_body: Option<ResponseBody>,
}

/// Texts for each answer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct ResponseBody {
    /// The body when available.
    pub healthy: String,
    /// The body when not.
    pub unhealthy: String,
}

impl Default for HealthCheckConfig {
    fn default() -> Self {
        HealthCheckConfig {
            endpoint: "localhost:13133".into(),
            path: "/".into(),
            response_body: None,
        }
    }
}

const NO_BODIES: &str = "requests to it have no body that is read";
const FIXED: &str = "connections are closed by a fixed rule";

/// Paths that are ours whatever `path` is.
pub(super) const OWN_PATHS: [&str; 3] = ["/live", "/ready", "/status"];

/// A mistake in a section: the key, what is wrong, and what would be right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// The key, dotted from the section.
    pub key: &'static str,
    /// What is wrong with it.
    pub message: String,
    /// What would be right.
    pub help: &'static str,
}

impl HealthCheckConfig {
    /// Keys that the Collector has and that mean nothing here, with the reason.
    pub const IGNORED: &'static [(&'static str, &'static str)] = &[
        (
            "check_collector_pipeline",
            "health follows every pipeline anyway; the Collector's own check does not work",
        ),
        ("compression_algorithms", NO_BODIES),
        ("cors", "pages of other origins are not told"),
        ("idle_timeout", FIXED),
        ("include_metadata", NO_BODIES),
        ("keep_alives_enabled", FIXED),
        ("max_request_body_size", NO_BODIES),
        ("read_header_timeout", FIXED),
        ("read_timeout", FIXED),
        ("response_headers", "answers have no headers of yours"),
        ("write_timeout", FIXED),
    ];

    /// Every mistake.
    #[must_use]
    pub fn mistakes(&self) -> Vec<Mistake> {
        let mut mistakes = Vec::new();
        let port = self.endpoint.rsplit_once(':').map(|(_, port)| port);
        if port.is_none_or(|port| port.parse::<u16>().is_err()) {
            mistakes.push(Mistake {
                key: "endpoint",
                message: format!("`{}` is not an address", self.endpoint),
                help: "write host:port, such as `localhost:13133`",
            });
        }
        if !self.path.starts_with('/') {
            mistakes.push(Mistake {
                key: "path",
                message: format!("`{}` is not a path", self.path),
                help: "a path starts with `/`",
            });
        } else if OWN_PATHS.contains(&&*self.path) {
            mistakes.push(Mistake {
                key: "path",
                message: format!("`{}` has a meaning of its own", self.path),
                help: "use it as it is, without setting `path`",
            });
        }
        mistakes
    }
}

/// Reads and checks the section.
pub fn configure(
    section: &Section<'_>,
    problems: &mut Problems,
) -> Option<Box<dyn ExtensionConfig>> {
    let config: HealthCheckConfig = section.parse(HealthCheckConfig::IGNORED, problems)?;
    let mistakes = config.mistakes();
    for Mistake { key, message, help } in &mistakes {
        problems.error(section.place_of(key), message.as_str(), *help);
    }
    mistakes.is_empty().then(|| Box::new(config) as _)
}

impl ExtensionConfig for HealthCheckConfig {
    fn build(&self, context: &BuildContext) -> anyhow::Result<Arc<dyn Component>> {
        Ok(Arc::new(HealthCheck::new(
            self.clone(),
            Arc::clone(&context.telemetry),
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_collectors_section_is_read() {
        let config: HealthCheckConfig = serde_json::from_str(
            r#"{"endpoint": "0.0.0.0:13133", "path": "/health/status", "response_body": {"healthy": "ok"}}"#,
        )
        .unwrap();
        assert_eq!(config.endpoint, "0.0.0.0:13133");
        assert_eq!(config.response_body.unwrap().healthy, "ok");
        assert!(HealthCheckConfig::default().mistakes().is_empty());
    }

    #[test]
    fn each_mistake_is_found() {
        let keys = |endpoint: &str, path: &str| -> Vec<&str> {
            let config = HealthCheckConfig {
                endpoint: endpoint.into(),
                path: path.into(),
                response_body: None,
            };
            let mistakes = config.mistakes();
            mistakes.iter().map(|mistake| mistake.key).collect()
        };
        assert_eq!(keys("localhost", "health"), ["endpoint", "path"]);
        assert_eq!(keys("localhost:http", "/live"), ["endpoint", "path"]);
        assert!(keys(":13133", "/health").is_empty());
        assert!(keys("[::1]:13133", "/").is_empty());
    }
}
