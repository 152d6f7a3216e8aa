//! `service.telemetry`: what the user says of our own logs and metrics, with the Collector's keys.

use serde::{Deserialize, Serialize};

/// Where our own metrics are served unless configured otherwise.
const DEFAULT_HOST: &str = "localhost";
const DEFAULT_PORT: u16 = 8888;

/// `service.telemetry`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct TelemetryConfig {
    /// Our own log.
    pub logs: LogConfig,
    /// Our own metrics.
    pub metrics: MetricsConfig,
}

impl TelemetryConfig {
    /// Keys below `service.telemetry` that the Collector has and that mean nothing here, with the reason.
    pub const IGNORED: &'static [(&'static str, &'static str)] = &[
        (
            "resource",
            "our own telemetry carries no resource attributes",
        ),
        ("traces", "we do not trace ourselves yet"),
        ("logs.initial_fields", "log lines carry no constant fields"),
        ("logs.development", "there is one mode"),
        (
            "logs.sampling",
            "repeating events are limited where they arise",
        ),
        ("logs.disable_caller", "the caller is not logged"),
        ("logs.disable_stacktrace", "stack traces are not logged"),
        ("logs.output_paths", "logs go to stderr"),
        ("logs.error_output_paths", "logs go to stderr"),
        ("logs.processors", "logs go to stderr only"),
        ("metrics.views", "there are no views"),
        (
            "metrics.readers.periodic",
            "our own metrics are scraped, not pushed",
        ),
        (
            "metrics.readers.pull.exporter.prometheus.with_resource_constant_labels",
            "there are no resource attributes",
        ),
        (
            "metrics.readers.pull.exporter.prometheus.without_scope_info",
            "there are no scopes",
        ),
        (
            "metrics.readers.pull.exporter.prometheus.without_type_suffix",
            "counters end in `_total`",
        ),
        (
            "metrics.readers.pull.exporter.prometheus.without_units",
            "names end in their unit",
        ),
    ];
}

/// `service.telemetry.logs`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct LogConfig {
    /// The least severe level that is logged: `debug`, `info` (default), `warn` or `error`, as in the Collector.
    pub level: LogLevel,
    /// `console` (default): text for people; `json`: one object a line. As in the Collector; `--log-format` overrides it.
    pub encoding: LogEncoding,
}

/// The least severe level that is logged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    /// Each batch.
    #[serde(alias = "DEBUG")]
    Debug,
    /// States that changed as asked.
    #[default]
    #[serde(alias = "INFO")]
    Info,
    /// What was unexpected, and recovered.
    #[serde(alias = "WARN")]
    Warn,
    /// Data lost, or a person is needed.
    #[serde(alias = "ERROR")]
    Error,
}

/// How a log line looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LogEncoding {
    /// Text for people.
    #[default]
    #[serde(alias = "text")]
    Console,
    /// One JSON object a line.
    Json,
}

impl std::str::FromStr for LogEncoding {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "text" | "console" => Ok(LogEncoding::Console),
            "json" => Ok(LogEncoding::Json),
            _ => Err(format!("`{text}` is not a log format; write text or json")),
        }
    }
}

/// `service.telemetry.metrics`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct MetricsConfig {
    /// `none`, `basic`, `normal` (default) or `detailed`; `none` serves no metrics, the others serve the same. As in the
    /// Collector.
    pub level: MetricsLevel,
    /// The Collector's older key: `host:port` to serve on; no host is every interface.
    pub address: Option<String>,
    /// The Collector's newer key: a list of readers, of which `pull` with a `prometheus` exporter is known.
    pub readers: Option<Vec<ReaderConfig>>,
}

/// How much is measured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum MetricsLevel {
    /// No metrics are served.
    #[serde(alias = "None")]
    None,
    /// As normal.
    #[serde(alias = "Basic")]
    Basic,
    /// What this program measures.
    #[default]
    #[serde(alias = "Normal")]
    Normal,
    /// As normal.
    #[serde(alias = "Detailed")]
    Detailed,
}

/// One of `service.telemetry.metrics.readers`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct ReaderConfig {
    /// A reader that is scraped.
    pub pull: Option<PullConfig>,
}

/// A reader that is scraped.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct PullConfig {
    /// What serves the scrape.
    pub exporter: PullExporterConfig,
}

/// What serves a scrape.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct PullExporterConfig {
    /// Prometheus's formats.
    pub prometheus: Option<PrometheusReaderConfig>,
}

/// Where Prometheus finds our own metrics.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct PrometheusReaderConfig {
    /// The interface; `localhost` unless given.
    pub host: String,
    /// The port; 8888 unless given, 0 for any free one.
    pub port: u16,
}

impl Default for PrometheusReaderConfig {
    fn default() -> Self {
        PrometheusReaderConfig {
            host: DEFAULT_HOST.into(),
            port: DEFAULT_PORT,
        }
    }
}

impl PrometheusReaderConfig {
    fn address(&self) -> String {
        if self.host.contains(':') && !self.host.starts_with('[') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

impl MetricsConfig {
    /// Where to serve: the addresses of all Prometheus readers, or the older key's, or the default; none if the level or a
    /// list without such a reader says so.
    #[must_use]
    pub fn addresses(&self) -> Vec<String> {
        if self.level == MetricsLevel::None {
            return Vec::new();
        }
        let readers = self.readers.iter().flatten();
        let mut addresses: Vec<String> = readers
            .filter_map(|reader| reader.pull.as_ref()?.exporter.prometheus.as_ref())
            .map(PrometheusReaderConfig::address)
            .chain(self.address.clone())
            .collect();
        if addresses.is_empty() && self.readers.is_none() {
            addresses.push(PrometheusReaderConfig::default().address());
        }
        addresses.dedup();
        addresses
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn addresses(metrics: Value) -> Vec<String> {
        let config: TelemetryConfig = serde_json::from_value(json!({"metrics": metrics})).unwrap();
        config.metrics.addresses()
    }

    #[test]
    fn both_spellings_of_the_metrics_address_are_understood() {
        let reader = |prometheus: Value| json!({"pull": {"exporter": {"prometheus": prometheus}}});
        assert_eq!(addresses(json!({})), ["localhost:8888"]);
        assert_eq!(addresses(json!({"level": "none"})), [""; 0]);
        assert_eq!(addresses(json!({"address": ":8888"})), [":8888"]);
        assert_eq!(
            addresses(
                json!({"level": "detailed", "readers": [reader(json!({"host": "0.0.0.0", "port": 9999}))]})
            ),
            ["0.0.0.0:9999"]
        );
        assert_eq!(
            addresses(json!({"readers": [reader(json!({"host": "::1"}))]})),
            ["[::1]:8888"]
        );
        assert_eq!(addresses(json!({"readers": []})), [""; 0]);
    }

    #[test]
    fn levels_and_encodings_are_the_collectors() {
        let config: TelemetryConfig =
            serde_json::from_value(json!({"logs": {"level": "WARN", "encoding": "json"}})).unwrap();
        assert_eq!(config.logs.level, LogLevel::Warn);
        assert_eq!(config.logs.encoding, LogEncoding::Json);
        assert_eq!(TelemetryConfig::default().logs.level, LogLevel::Info);
        assert_eq!("text".parse(), Ok(LogEncoding::Console));
        assert!("xml".parse::<LogEncoding>().is_err());
    }
}
