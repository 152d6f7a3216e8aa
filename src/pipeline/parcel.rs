//! What is sent as one: merged batches with the queue entries that they came from, cut where they are too large.
//!
//! **Invariants.** What is neither sent nor given up when a parcel is dropped — a panic, or the end of a drain — is
//! counted as lost then.
//! **Not here.** When to stop merging, sending (`delivery`).

use crate::otlp::{Signal, split};
use crate::pipeline::delivery::{BatchSettings, BatchSizer};
use crate::pipeline::queue::Queued;
use crate::pipeline::reservation::Outcome;
use crate::pipeline::{Batch, Outgoing};
use crate::telemetry::ExporterMetrics;
use tracing::error;

/// Batches that travel together.
pub(super) struct Parcel<'a> {
    pub(super) request: Outgoing,
    pub(super) fate: Fate<'a>,
    bytes: u64,
    pub(super) entries: Vec<Queued>,
}

impl<'a> Parcel<'a> {
    /// A parcel of one batch.
    pub(super) fn of(queued: Queued, metrics: &'a ExporterMetrics) -> Self {
        let Batch {
            signal,
            ref bytes,
            items,
        } = queued.batch;
        let items = u64::from(items);
        Parcel {
            request: Outgoing {
                signal,
                parts: vec![bytes.clone()],
                items,
            },
            fate: Fate {
                metrics,
                signal,
                undecided: items,
            },
            bytes: bytes.len() as u64,
            entries: vec![queued],
        }
    }

    /// Its size as the sizer counts.
    pub(super) fn size(&self, sizer: BatchSizer) -> u64 {
        match sizer {
            BatchSizer::Items => self.request.items,
            BatchSizer::Bytes => self.bytes,
        }
    }

    /// Whether another batch may join: the same signal, and the result not above `max_size` where pieces would follow.
    pub(super) fn takes(&self, next: &Queued, batch: &BatchSettings) -> bool {
        let more = match batch.sizer {
            BatchSizer::Items => u64::from(next.batch.items),
            BatchSizer::Bytes => next.batch.bytes.len() as u64,
        };
        let fits = batch.max_size == 0 || self.size(batch.sizer) + more <= batch.max_size;
        self.request.signal == next.batch.signal && fits
    }

    /// Merges another batch.
    pub(super) fn add(&mut self, next: Queued) {
        let items = u64::from(next.batch.items);
        self.request.parts.push(next.batch.bytes.clone());
        self.request.items += items;
        self.fate.undecided += items;
        self.bytes += next.batch.bytes.len() as u64;
        self.entries.push(next);
    }
}

/// Tells the senders that wait, and gives the room back.
pub(super) fn settle(entries: Vec<Queued>, outcome: &Outcome) {
    for entry in entries {
        if let Some(waiter) = entry.outcome {
            // a sender that gave up waiting is told nothing
            drop(waiter.send(outcome.clone()));
        }
    }
}

/// How many items of a parcel are neither sent nor given up yet.
pub(super) struct Fate<'a> {
    metrics: &'a ExporterMetrics,
    signal: Signal,
    undecided: u64,
}

impl Fate<'_> {
    /// So many items have been counted as sent or as given up.
    pub(super) fn decided(&mut self, items: u64) {
        self.undecided = self.undecided.saturating_sub(items);
    }
}

impl Drop for Fate<'_> {
    fn drop(&mut self) {
        if self.undecided == 0 {
            return;
        }
        let reason = if std::thread::panicking() {
            "panic"
        } else {
            "shutdown"
        };
        self.metrics
            .send_failed(self.signal, self.undecided, reason);
        error!(
            exporter = self.metrics.exporter(),
            signal = self.signal.as_str(),
            items = self.undecided,
            reason,
            "delivery ended before its time, data dropped"
        );
    }
}

/// Cuts a request that is too large at resource, scope and item boundaries.
pub(super) fn pieces(request: &Outgoing, batch: &BatchSettings) -> Vec<Outgoing> {
    let mut all = Vec::new();
    for part in &request.parts {
        let cut = match batch.sizer {
            BatchSizer::Items => split::by_items(request.signal, part, batch.max_size),
            BatchSizer::Bytes => split::by_bytes(request.signal, part, batch.max_size),
        };
        let requests = cut.into_iter().map(|piece| Outgoing {
            signal: request.signal,
            parts: vec![piece.bytes],
            items: piece.items,
        });
        all.extend(requests);
    }
    all
}
