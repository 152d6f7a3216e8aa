//! What the user writes for the `otlp` exporter.

use super::{Connection, ConnectionSettings, OtlpExporter, call_headers};
use crate::base::Problems;
use crate::config::Section;
use crate::config::fragments::{Compression, GrpcClientConfig};
use crate::exporters::delivery::DeliveryConfig;
use crate::pipeline::compression::Encoding;
use crate::pipeline::{BuildContext, DeliverySettings, Exporter, ExporterConfig, QueueSettings};
use crate::telemetry::ExporterMetrics;
use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use std::sync::Arc;
use std::time::Duration;

/// Sends OTLP over gRPC: a client's keys and a queue's, side by side as in the Collector.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OtlpExporterConfig {
    /// Where to, and how.
    pub client: GrpcClientConfig,
    /// What waits before it.
    pub delivery: DeliveryConfig,
}

/// Longest time for resolving and connecting.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Reads and checks the section.
pub fn configure(
    section: &Section<'_>,
    problems: &mut Problems,
) -> Option<Box<dyn ExporterConfig>> {
    let before = problems.errors().len();
    let (client, delivery): (GrpcClientConfig, DeliveryConfig) =
        section.parse_flat(&[], problems)?;
    client.validate(section, problems);
    delivery.validate(section, problems);
    (problems.errors().len() == before)
        .then(|| Box::new(OtlpExporterConfig { client, delivery }) as _)
}

impl ExporterConfig for OtlpExporterConfig {
    fn queue(&self) -> QueueSettings {
        self.delivery.queue()
    }

    fn delivery(&self) -> DeliverySettings {
        self.delivery.settings(self.client.timeout)
    }

    fn build(&self, context: &BuildContext) -> anyhow::Result<Arc<dyn Exporter>> {
        let metrics = ExporterMetrics::new(&context.telemetry, &context.id.to_string());
        Ok(Arc::new(self.exporter(metrics)?))
    }
}

impl OtlpExporterConfig {
    /// The exporter alone, without its queue.
    ///
    /// # Errors
    /// An endpoint that cannot be called.
    pub fn exporter(&self, metrics: ExporterMetrics) -> anyhow::Result<OtlpExporter> {
        let client = &self.client;
        let target = client.target().map_err(anyhow::Error::msg)?;
        let keepalive = &client.keepalive;
        let connection = Connection::new(ConnectionSettings {
            authority: target.endpoint.to_string(),
            connect_timeout: CONNECT_TIMEOUT,
            keepalive_time: Some(keepalive.time).filter(|time| !time.is_zero()),
            keepalive_timeout: keepalive.timeout,
            keepalive_while_idle: keepalive.permit_without_stream,
        });
        let compression = encoding(client.compression);
        Ok(OtlpExporter {
            connection,
            base: format!("http://{}", target.endpoint),
            headers: call_headers(headers(client.headers.iter())?, compression),
            compression,
            metrics,
        })
    }
}

/// The compression that a client's configuration names.
pub(in crate::exporters) fn encoding(compression: Compression) -> Encoding {
    match compression {
        Compression::None => Encoding::Identity,
        Compression::Gzip => Encoding::Gzip,
        Compression::Zstd => Encoding::Zstd,
    }
}

/// Configured headers as HTTP's; values stay out of logs.
pub(in crate::exporters) fn headers<'a>(
    configured: impl Iterator<Item = (&'a str, &'a crate::base::Secret)>,
) -> anyhow::Result<HeaderMap> {
    let mut headers = HeaderMap::new();
    for (name, value) in configured {
        let mut value = HeaderValue::from_str(value.expose())?;
        value.set_sensitive(true);
        headers.insert(HeaderName::try_from(name)?, value);
    }
    Ok(headers)
}
