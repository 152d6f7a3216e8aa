//! The life of a service: start, wait for a signal, drain, end.

use crate::pipeline::Component;
use crate::service::Service;
use anyhow::Context;
use std::sync::Arc;
use std::time::Duration;
#[cfg(unix)]
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::Instant;
use tracing::{info, warn};

/// How long a service may take to stop.
#[derive(Clone, Copy, Debug)]
pub struct RunSettings {
    /// From the signal to the end; what is queued then is dropped and counted.
    pub shutdown_timeout: Duration,
}

impl Default for RunSettings {
    fn default() -> Self {
        RunSettings {
            shutdown_timeout: Duration::from_secs(30),
        }
    }
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Everything was drained, or dropped and counted at the deadline.
    Drained,
    /// A second signal ended it at once.
    AtOnce,
}

/// Runs a service until the process is asked to stop.
///
/// # Errors
/// A component that could not start.
pub async fn run(service: Service, settings: RunSettings) -> anyhow::Result<Ended> {
    run_until(service, settings, std::future::pending()).await
}

/// Runs a service until the process is asked to stop, or until what is done beside it has ended.
///
/// # Errors
/// A component that could not start, or what the work beside it says.
pub async fn run_until(
    service: Service,
    settings: RunSettings,
    beside: impl Future<Output = anyhow::Result<()>>,
) -> anyhow::Result<Ended> {
    let mut signals = Signals::listen()?;
    service.start().await?;
    let done = tokio::select! {
        () = signals.next() => Ok(()),
        done = beside => done,
    };
    info!(deadline = ?settings.shutdown_timeout, "stopping; a second signal ends at once");
    let ended = tokio::select! {
        () = service.shutdown(settings.shutdown_timeout) => {
            info!("stopped");
            Ended::Drained
        }
        () = signals.next() => {
            warn!("ended at once by a second signal; what was queued is lost");
            Ended::AtOnce
        }
    };
    done.map(|()| ended)
}

impl Service {
    /// Starts the components in order; if one fails, those that run are stopped again.
    ///
    /// # Errors
    /// The component that could not start, and why.
    pub async fn start(&self) -> anyhow::Result<()> {
        for (index, named) in self.components.iter().enumerate() {
            if let Err(error) = named.component.start().await {
                let started = self
                    .components
                    .iter()
                    .take(index)
                    .rev()
                    .map(|named| &named.component);
                stop(started, Duration::from_secs(1)).await;
                return Err(error).with_context(|| format!("`{}` could not start", named.id));
            }
        }
        self.telemetry.health().service_ready();
        info!(
            components = self.components.len(),
            version = env!("CARGO_PKG_VERSION"),
            "everything is ready"
        );
        Ok(())
    }

    /// Stops the components from the receivers forwards, all within the deadline.
    pub async fn shutdown(&self, deadline: Duration) {
        self.telemetry.health().service_stopping();
        stop(
            self.components.iter().rev().map(|named| &named.component),
            deadline,
        )
        .await;
    }
}

async fn stop(components: impl Iterator<Item = &Arc<dyn Component>>, deadline: Duration) {
    let until = Instant::now() + deadline;
    for component in components {
        component
            .shutdown(until.saturating_duration_since(Instant::now()))
            .await;
    }
}

/// Ctrl-C and SIGTERM.
struct Signals {
    #[cfg(unix)]
    interrupt: Signal,
    #[cfg(unix)]
    terminate: Signal,
}

impl Signals {
    #[cfg(unix)]
    fn listen() -> anyhow::Result<Self> {
        Ok(Signals {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    #[cfg(unix)]
    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }

    #[cfg(not(unix))]
    #[expect(clippy::unnecessary_wraps, reason = "listening can fail elsewhere")]
    fn listen() -> anyhow::Result<Self> {
        Ok(Signals {})
    }

    #[cfg(not(unix))]
    async fn next(&mut self) {
        // an error means that no signal can come
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
