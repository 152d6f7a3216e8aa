//! What the user writes for the `otlp` exporter.

use super::{Connection, ConnectionSettings, OtlpExporter, call_headers};
use crate::base::Problems;
use crate::config::Section;
use crate::config::fragments::GrpcClientConfig;
use crate::exporters::delivery::DeliveryConfig;
use crate::exporters::outgoing::{encoding, headers};
use crate::pipeline::{BuildContext, DeliverySettings, Exporter, ExporterConfig, QueueSettings};
use crate::telemetry::ExporterMetrics;
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
