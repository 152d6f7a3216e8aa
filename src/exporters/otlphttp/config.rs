//! What the user writes for the `otlphttp` exporter.

use super::{OtlpHttpExporter, client, post_headers};
use crate::base::Problems;
use crate::config::Section;
use crate::config::fragments::HttpClientConfig;
use crate::exporters::delivery::DeliveryConfig;
use crate::exporters::outgoing::{encoding, headers};
use crate::otlp::Signal;
use crate::pipeline::{BuildContext, DeliverySettings, Exporter, ExporterConfig, QueueSettings};
use crate::telemetry::{Clock, ExporterMetrics};
use anyhow::Context;
use hyper::Uri;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// How bodies are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum BodyEncoding {
    /// Protobuf.
    #[default]
    Proto,
    /// OTLP/JSON.
    Json,
}

impl BodyEncoding {
    /// The media type.
    #[must_use]
    pub fn content_type(self) -> &'static str {
        match self {
            BodyEncoding::Proto => "application/x-protobuf",
            BodyEncoding::Json => "application/json",
        }
    }
}

/// The exporter's own keys, beside a client's.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(default)]
pub struct OwnConfig {
    /// How bodies are written: `proto` or `json`. As in the Collector.
    pub encoding: BodyEncoding,
    /// Where traces go; absent: `endpoint` with `/v1/traces` behind it. As in the Collector.
    pub traces_endpoint: Option<String>,
    /// Where metrics go; absent: `endpoint` with `/v1/metrics` behind it. As in the Collector.
    pub metrics_endpoint: Option<String>,
    /// Where logs go; absent: `endpoint` with `/v1/logs` behind it. As in the Collector.
    pub logs_endpoint: Option<String>,
    /// What waits before the exporter. As in the Collector.
    pub sending_queue: crate::config::fragments::QueueConfig,
    /// Trying again. As in the Collector.
    pub retry_on_failure: crate::config::fragments::RetryConfig,
}

/// Sends OTLP over HTTP.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OtlpHttpExporterConfig {
    /// Where to, and how.
    pub client: HttpClientConfig,
    /// The rest.
    pub own: OwnConfig,
}

/// Reads and checks the section.
pub fn configure(
    section: &Section<'_>,
    problems: &mut Problems,
) -> Option<Box<dyn ExporterConfig>> {
    let before = problems.errors().len();
    let (mut client, own): (HttpClientConfig, OwnConfig) = section.parse_flat(&[], problems)?;
    let of_signals = [
        &own.traces_endpoint,
        &own.metrics_endpoint,
        &own.logs_endpoint,
    ];
    if client.endpoint.is_empty()
        && let Some(first) = of_signals.into_iter().flatten().next()
    {
        // one endpoint a signal is enough; the client's own checks still see a whole address
        client.endpoint.clone_from(first);
    }
    client.validate(section, problems);
    let config = OtlpHttpExporterConfig { client, own };
    config.delivery_config().validate(section, problems);
    for (key, endpoint) in ["traces_endpoint", "metrics_endpoint", "logs_endpoint"]
        .into_iter()
        .zip(of_signals_of(&config.own))
    {
        let Some(endpoint) = endpoint else { continue };
        if !endpoint.starts_with("http://") || endpoint.parse::<Uri>().is_err() {
            let help = "write it as http://HOST:PORT/PATH; https comes with TLS in a later version";
            problems.error(
                section.place_of(key),
                format!("`{endpoint}` cannot be called"),
                help,
            );
        }
    }
    (problems.errors().len() == before).then(|| Box::new(config) as _)
}

fn of_signals_of(own: &OwnConfig) -> [&Option<String>; 3] {
    [
        &own.traces_endpoint,
        &own.metrics_endpoint,
        &own.logs_endpoint,
    ]
}

impl OtlpHttpExporterConfig {
    fn delivery_config(&self) -> DeliveryConfig {
        DeliveryConfig {
            sending_queue: self.own.sending_queue.clone(),
            retry_on_failure: self.own.retry_on_failure.clone(),
        }
    }

    /// The exporter alone, without its queue.
    ///
    /// # Errors
    /// An endpoint that cannot be called.
    pub fn exporter(
        &self,
        metrics: ExporterMetrics,
        clock: Clock,
    ) -> anyhow::Result<OtlpHttpExporter> {
        let target = self.client.target().map_err(anyhow::Error::msg)?;
        let base = format!(
            "http://{}{}",
            target.endpoint,
            target.path.trim_end_matches('/')
        );
        let mut urls = [const { None }; 3];
        for ((url, signal), own) in urls
            .iter_mut()
            .zip(Signal::ALL)
            .zip(of_signals_of(&self.own))
        {
            let text = own
                .clone()
                .unwrap_or_else(|| format!("{base}{}", signal.http_path()));
            *url = Some(
                text.parse::<Uri>()
                    .with_context(|| format!("endpoint `{text}`"))?,
            );
        }
        let compression = encoding(self.client.compression);
        Ok(OtlpHttpExporter {
            client: client(),
            urls: urls.map(Option::unwrap_or_default),
            headers: post_headers(
                headers(self.client.headers.iter())?,
                self.own.encoding,
                compression,
            ),
            encoding: self.own.encoding,
            compression,
            metrics,
            clock,
        })
    }
}

impl ExporterConfig for OtlpHttpExporterConfig {
    fn queue(&self) -> QueueSettings {
        self.delivery_config().queue()
    }

    fn delivery(&self) -> DeliverySettings {
        self.delivery_config().settings(self.client.timeout)
    }

    fn build(&self, context: &BuildContext) -> anyhow::Result<Arc<dyn Exporter>> {
        let metrics = ExporterMetrics::new(&context.telemetry, &context.id.to_string());
        Ok(Arc::new(
            self.exporter(metrics, context.telemetry.clock().clone())?,
        ))
    }
}
