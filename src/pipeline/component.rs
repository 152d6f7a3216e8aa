//! The contracts of components.

use crate::otlp::Signal;
use crate::pipeline::{Batch, Reservation, SourceOffer, Verdict};
use bytes::Bytes;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

/// A future of a component, boxed once per request or life-cycle step.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What starts and stops. Exporters start first and receivers last; stopping goes the other way.
pub trait Component: Send + Sync {
    /// Takes up work: binds, connects, spawns. An error ends the start of the whole service.
    fn start(&self) -> BoxFuture<'_, anyhow::Result<()>> {
        Box::pin(async { Ok(()) })
    }

    /// Finishes what was taken within the deadline. Stopping twice, or before starting, is harmless.
    fn shutdown(&self, deadline: Duration) -> BoxFuture<'_, ()> {
        let _ = deadline;
        Box::pin(async {})
    }
}

/// What takes a batch on its way: a processor, a connector's input, an exporter's queue, or several of them.
pub trait Consumer: Send + Sync {
    /// Holds a place for the batch wherever it goes from here. Runs on the request clock: no waiting, no locks.
    ///
    /// # Errors
    /// The verdict of the first that cannot take it; the caller drops the reservation.
    fn reserve(&self, batch: Batch, reservation: &mut Reservation) -> Result<(), Verdict>;
}

/// Hands a batch to several consumers, all or none.
pub struct Fanout(pub Vec<Arc<dyn Consumer>>);

impl Consumer for Fanout {
    fn reserve(&self, batch: Batch, reservation: &mut Reservation) -> Result<(), Verdict> {
        let Some((last, others)) = self.0.split_last() else {
            return Ok(());
        };
        for consumer in others {
            consumer.reserve(batch.clone(), reservation)?;
        }
        last.reserve(batch, reservation)
    }
}

/// What an exporter is asked to send: one request, possibly of several merged batches.
#[derive(Clone, Debug)]
pub struct Outgoing {
    /// What it carries.
    pub signal: Signal,
    /// The request's bytes in order; concatenated they are one valid request (protobuf merges repeated fields).
    pub parts: Vec<Bytes>,
    /// Spans, data points or log records in it.
    pub items: u64,
}

impl Outgoing {
    /// Its length in bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.parts.iter().map(Bytes::len).sum()
    }

    /// Whether it holds no bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// What sends requests out of the process; its queue, batching, retry and breaker are the pipeline's.
pub trait Exporter: Component {
    /// Sends one request once, within the caller's time limit.
    fn export(&self, request: Outgoing) -> BoxFuture<'_, Result<(), Verdict>>;

    /// Takes the metrics source of a connector that its pipelines receive from. Called while the service is built, of those
    /// only whose configuration says that they pull.
    ///
    /// # Errors
    /// What keeps the source from being shown.
    fn attach(&self, offer: SourceOffer) -> anyhow::Result<()> {
        drop(offer);
        Ok(())
    }
}
