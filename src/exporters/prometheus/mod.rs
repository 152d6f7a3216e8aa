//! `prometheus`: shows the connectors' metrics to whoever scrapes `/metrics`, as the Collector's exporter of that name.
//!
//! ```text
//! scrape ─▶ /metrics ─▶ each attached source renders its snapshot ─▶ namespace, const_labels ─▶ classic text | OpenMetrics
//! ```
//!
//! It pulls (D5): nothing is queued or kept here, and a scrape shows what the connector knows at that moment.
//!
//! **Bounds.** Those of [`telemetry::server`](crate::telemetry::server); how many series there are is the source's.
//! **Invariants.** A sample's labels are told apart: constant labels that a source uses itself are refused at the start.
//! **Not here.** OTLP metrics that receivers take in: the configuration refuses such a pipeline. The process's own metrics,
//! which have a port of their own.

mod config;
mod label;
#[cfg(test)]
mod tests;

pub use config::{PrometheusConfig, configure};

use crate::pipeline::{BoxFuture, Cause, Component, Exporter, Outgoing, SourceOffer, Verdict};
use crate::telemetry::server::{HttpServer, MetricsPage};
use crate::telemetry::{Format, MetricsSource, Telemetry};
use anyhow::{Context, bail};
use label::Labeller;
use parking_lot::Mutex;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tracing::info;

/// The exporter.
pub struct PrometheusExporter {
    id: String,
    config: PrometheusConfig,
    telemetry: Arc<Telemetry>,
    labeller: Arc<Labeller>,
    /// A handful, added while the service is built and read when it starts.
    sources: Mutex<Vec<Arc<dyn MetricsSource>>>,
    /// The server while it runs; touched at start and stop.
    server: Mutex<Option<HttpServer>>,
}

impl PrometheusExporter {
    /// The exporter as configured, without a source; binds when started.
    #[must_use]
    pub fn new(id: impl Into<String>, config: PrometheusConfig, telemetry: Arc<Telemetry>) -> Self {
        PrometheusExporter {
            id: id.into(),
            labeller: Arc::new(Labeller::new(&config.namespace, &config.const_labels)),
            config,
            telemetry,
            sources: Mutex::default(),
            server: Mutex::new(None),
        }
    }

    /// Where it answers, once started.
    #[must_use]
    pub fn address(&self) -> Option<SocketAddr> {
        self.server.lock().as_ref().map(HttpServer::address)
    }
}

impl Component for PrometheusExporter {
    fn start(&self) -> BoxFuture<'_, anyhow::Result<()>> {
        Box::pin(async {
            let page = MetricsPage::new(self.sources.lock().clone());
            let endpoint = self.config.endpoint.to_string();
            let name = format!("exporter {}", self.id);
            let clock = self.telemetry.clock();
            let server = HttpServer::start(name, &endpoint, Arc::new(page), clock)
                .await
                .with_context(|| format!("cannot listen on `{endpoint}`"))?;
            info!(exporter = %self.id, address = %server.address(), "metrics of the graph are served");
            *self.server.lock() = Some(server);
            Ok(())
        })
    }

    fn shutdown(&self, deadline: Duration) -> BoxFuture<'_, ()> {
        let server = self.server.lock().take();
        Box::pin(async move {
            if let Some(server) = server {
                server.stop(deadline).await;
            }
        })
    }
}

impl Exporter for PrometheusExporter {
    /// No batch leads here: the configuration refuses such a pipeline.
    fn export(&self, _request: Outgoing) -> BoxFuture<'_, Result<(), Verdict>> {
        Box::pin(async {
            Err(Verdict::Permanent {
                source: Cause::new("metrics are asked for here, not sent"),
            })
        })
    }

    fn attach(&self, offer: SourceOffer) -> anyhow::Result<()> {
        let labels = self.config.const_labels.keys();
        let mut own = labels.filter(|label| offer.labels.contains(&label.as_str()));
        if let Some(label) = own.next() {
            bail!("`const_labels` names `{label}`, which the metrics have themselves");
        }
        let source: Arc<dyn MetricsSource> = if self.labeller.is_idle() {
            offer.source
        } else {
            Arc::new(Labelled {
                source: offer.source,
                labeller: Arc::clone(&self.labeller),
            })
        };
        self.sources.lock().push(source);
        Ok(())
    }
}

/// A source under this exporter's namespace and labels.
struct Labelled {
    source: Arc<dyn MetricsSource>,
    labeller: Arc<Labeller>,
}

impl MetricsSource for Labelled {
    fn render(&self, format: Format, out: &mut String) {
        let mut plain = String::new();
        self.source.render(format, &mut plain);
        self.labeller.write(&plain, out);
    }
}
