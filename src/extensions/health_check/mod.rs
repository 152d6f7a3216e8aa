//! `health_check`: health over HTTP, for probes and for people.
//!
//! | path | answers | 503 when |
//! |---|---|---|
//! | `path` (`/`) | as the Collector's extension | not started, stopping, or a task is dead or stuck |
//! | `/live` | whether a restart would help | a task is dead or stuck |
//! | `/ready` | whether new work is welcome | as `path`, or memory is short, or an error is permanent |
//! | `/status` | all three; with `?verbose` every component, queue and task | as `path` |
//!
//! Causes are named in the answers (R-ASK-7: health that tells the truth).
//!
//! **Bounds.** Those of [`telemetry::server`](crate::telemetry::server).
//! **Invariants.** The extension starts first and stops last, so that it answers while everything else starts and drains.
//! **Not here.** What health is (`telemetry::health`).

mod answers;
mod config;

pub use config::{HealthCheckConfig, Mistake, ResponseBody, configure};

use crate::pipeline::{BoxFuture, Component};
use crate::telemetry::Telemetry;
use crate::telemetry::server::HttpServer;
use answers::HealthPages;
use anyhow::Context;
use parking_lot::Mutex;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tracing::info;

/// The extension.
pub struct HealthCheck {
    config: HealthCheckConfig,
    telemetry: Arc<Telemetry>,
    /// The server while it runs; touched at start and stop.
    server: Mutex<Option<Arc<HttpServer>>>,
}

impl HealthCheck {
    /// The extension as configured; binds when started.
    #[must_use]
    pub fn new(config: HealthCheckConfig, telemetry: Arc<Telemetry>) -> Self {
        HealthCheck {
            config,
            telemetry,
            server: Mutex::new(None),
        }
    }

    /// Where it answers, once started.
    #[must_use]
    pub fn address(&self) -> Option<SocketAddr> {
        self.server.lock().as_ref().map(|server| server.address())
    }
}

impl Component for HealthCheck {
    fn start(&self) -> BoxFuture<'_, anyhow::Result<()>> {
        Box::pin(async {
            let pages = HealthPages::new(self.config.clone(), self.telemetry.health().clone());
            let clock = self.telemetry.clock();
            let endpoint = &*self.config.endpoint;
            let server = HttpServer::start("health_check", endpoint, Arc::new(pages), clock)
                .await
                .with_context(|| format!("cannot listen on `{endpoint}`"))?;
            info!(address = %server.address(), "health check listens");
            *self.server.lock() = Some(Arc::new(server));
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

#[cfg(test)]
mod tests;
