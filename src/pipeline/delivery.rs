//! From the queue to the next hop: merge, split, send, try again, give up.
//!
//! ```text
//! queue ─▶ gather (as they come, or until min_size / flush_timeout; cut at max_size) ─▶ send ─▶ sent
//!                                                          num_consumers at a time ▲        └ retryable: wait ─┐
//!                                                                                  └────────────────────────────┘
//! ```
//!
//! **Bounds.** What is being gathered, sent or waited for stays inside the queue's bounds: its room is given back when
//! its fate is known.
//! **Invariants.** Every batch that was committed ends in exactly one of: sent, failed, dropped at shutdown; each counted.
//! **Not here.** What the bytes mean, how they travel (`Exporter`).

use crate::base::Random;
use crate::otlp::{Signal, split};
use crate::pipeline::queue::{Queue, Queued};
use crate::pipeline::reservation::Outcome;
use crate::pipeline::retry::{Backoff, RetrySettings};
use crate::pipeline::{
    Batch, BoxFuture, Cause, Component, Consumer, Exporter, Outgoing, Reservation, Verdict,
};
use crate::telemetry::{ExporterMetrics, task};
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{oneshot, watch};
use tokio::time::{Instant, sleep, timeout};
use tracing::{debug, error, warn};

/// What `min_size` and `max_size` count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BatchSizer {
    /// Spans, data points, log records.
    Items,
    /// Bytes.
    Bytes,
}

/// How batches are merged behind the queue, as the Collector's `sending_queue.batch`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BatchSettings {
    /// The longest wait for a batch to fill.
    pub flush_timeout: Duration,
    /// What the sizes count.
    pub sizer: BatchSizer,
    /// A batch of this size is sent at once.
    pub min_size: u64,
    /// A larger one is split; zero: never.
    pub max_size: u64,
}

/// How an exporter's queue is emptied.
#[derive(Clone, Copy, Debug)]
pub struct DeliverySettings {
    /// Requests under way at once.
    pub num_consumers: usize,
    /// Whether senders wait for the next hop's answer.
    pub wait_for_result: bool,
    /// The time limit of each try; zero: none.
    pub timeout: Duration,
    /// Merging, if any.
    pub batch: Option<BatchSettings>,
    /// Trying again.
    pub retry: RetrySettings,
}

/// An exporter with its queue.
pub struct Delivery {
    queue: Arc<Queue>,
    exporter: Arc<dyn Exporter>,
    settings: DeliverySettings,
    metrics: ExporterMetrics,
    /// One consumer at a time gathers, so that batches fill; its leftover waits here for the next.
    gathering: tokio::sync::Mutex<Option<Queued>>,
    /// Jitter; locked for one number, once per failure.
    random: Mutex<Random>,
    /// When the drain must be over; `None` while running.
    stop: watch::Sender<Option<Instant>>,
    /// The consumers; locked at start and stop only.
    tasks: Mutex<Vec<task::Task>>,
}

/// What is sent as one, with the queue entries that it came from.
struct Parcel {
    request: Outgoing,
    entries: Vec<Queued>,
}

impl Delivery {
    /// Puts a queue before an exporter; `seed` is for the jitter.
    #[must_use]
    pub fn new(
        queue: Arc<Queue>,
        exporter: Arc<dyn Exporter>,
        settings: DeliverySettings,
        metrics: ExporterMetrics,
        seed: u64,
    ) -> Arc<Self> {
        Arc::new(Delivery {
            queue,
            exporter,
            settings,
            metrics,
            gathering: tokio::sync::Mutex::new(None),
            random: Mutex::new(Random::seeded(seed)),
            stop: watch::Sender::new(None),
            tasks: Mutex::new(Vec::new()),
        })
    }

    /// The queue, for gauges and health.
    #[must_use]
    pub fn queue(&self) -> &Arc<Queue> {
        &self.queue
    }

    /// Takes and sends until the queue is closed and empty.
    async fn consume(self: Arc<Self>) {
        while let Some(parcel) = self.next().await {
            self.deliver(parcel).await;
        }
    }

    async fn next(&self) -> Option<Parcel> {
        match &self.settings.batch {
            None => self.queue.pop().await.map(Parcel::of),
            Some(batch) => self.gather(batch).await,
        }
    }

    /// Merges what comes until there is enough, time is up, or the signal changes.
    async fn gather(&self, batch: &BatchSettings) -> Option<Parcel> {
        let mut leftover = self.gathering.lock().await;
        let first = match leftover.take() {
            Some(queued) => queued,
            None => self.queue.pop().await?,
        };
        let flush_at = first.at + batch.flush_timeout;
        let mut parcel = Parcel::of(first);
        while parcel.size(batch.sizer) < batch.min_size {
            let next = match self.queue.try_pop() {
                Some(queued) => Some(queued),
                None => tokio::time::timeout_at(flush_at, self.queue.pop())
                    .await
                    .ok()
                    .flatten(),
            };
            let Some(next) = next else { break };
            if !parcel.takes(&next, batch) {
                *leftover = Some(next);
                break;
            }
            parcel.add(next);
        }
        Some(parcel)
    }

    async fn deliver(&self, parcel: Parcel) {
        let Parcel { request, entries } = parcel;
        let max_size = self.settings.batch.map_or(0, |b| b.max_size);
        let outcome = match self.settings.batch {
            Some(batch) if max_size > 0 && size_of(&request, batch.sizer) > max_size => {
                self.deliver_pieces(&request, &batch).await
            }
            _ => self.send(request).await,
        };
        for entry in entries {
            if let Some(waiter) = entry.outcome {
                // a sender that gave up waiting is told nothing
                drop(waiter.send(outcome.clone()));
            }
        }
    }

    async fn deliver_pieces(&self, request: &Outgoing, batch: &BatchSettings) -> Outcome {
        let mut outcome = Ok(());
        for piece in pieces(request, batch) {
            let sent = self.send(piece).await;
            outcome = outcome.and(sent);
        }
        outcome
    }

    /// Sends one request, again and again while that makes sense.
    async fn send(&self, request: Outgoing) -> Outcome {
        let (signal, items) = (request.signal, request.items);
        self.metrics.batch_sent(items, request.len() as u64);
        let mut backoff = Backoff::new(self.settings.retry);
        let started = Instant::now();
        loop {
            let verdict = match self.attempt(request.clone()).await {
                Ok(()) => {
                    self.metrics.sent(signal, items);
                    return Ok(());
                }
                Err(verdict) => verdict,
            };
            let asked = match &verdict {
                Verdict::Permanent { .. } => {
                    return Err(self.give_up(signal, items, verdict, "permanent"));
                }
                Verdict::Retry { after, .. } => *after,
                Verdict::Refused { after, .. } => Some(*after),
            };
            let wait = backoff.next(asked, started.elapsed(), &mut self.random.lock());
            let Some(wait) = wait else {
                let reason = if self.settings.retry.enabled {
                    "max_elapsed_time"
                } else {
                    "retry_disabled"
                };
                return Err(self.give_up(signal, items, verdict, reason));
            };
            self.metrics.retried();
            debug!(exporter = self.metrics.exporter(), ?wait, error = %verdict, "delivery failed, trying again");
            if !self.pause(wait).await {
                return Err(self.give_up(signal, items, verdict, "shutdown"));
            }
        }
    }

    async fn attempt(&self, request: Outgoing) -> Outcome {
        let _under_way = self.metrics.in_flight();
        let limit = self.settings.timeout;
        let deadline = *self.stop.borrow();
        let limit = match deadline {
            Some(deadline) => Some(deadline.saturating_duration_since(Instant::now())),
            None if limit.is_zero() => None,
            None => Some(limit),
        };
        let sending = self.exporter.export(request);
        let Some(limit) = limit else {
            return sending.await;
        };
        timeout(limit, sending).await.unwrap_or_else(|_| {
            Err(Verdict::Retry {
                after: None,
                source: Cause::new(format!("no answer within {limit:?}")),
            })
        })
    }

    /// Waits before another try; false when the drain's deadline comes first.
    async fn pause(&self, wait: Duration) -> bool {
        let mut stop = self.stop.subscribe();
        let until = Instant::now() + wait;
        loop {
            let deadline = *stop.borrow_and_update();
            match deadline {
                Some(deadline) if Instant::now() >= deadline => return false,
                // draining: a long back-off is cut so that what is left is tried before the end
                Some(deadline) => {
                    let rest = deadline.saturating_duration_since(Instant::now()) / 2;
                    sleep(
                        rest.min(until.saturating_duration_since(Instant::now()))
                            .max(Duration::from_millis(50)),
                    )
                    .await;
                    return Instant::now() < deadline;
                }
                None => {}
            }
            tokio::select! {
                () = tokio::time::sleep_until(until) => return true,
                changed = stop.changed() => if changed.is_err() { return false },
            }
        }
    }

    fn give_up(
        &self,
        signal: Signal,
        items: u64,
        verdict: Verdict,
        reason: &'static str,
    ) -> Verdict {
        self.metrics.send_failed(signal, items, reason);
        error!(
            exporter = self.metrics.exporter(), signal = signal.as_str(), items, reason, error = %verdict,
            "delivery given up, data dropped"
        );
        verdict
    }
}

impl Consumer for Delivery {
    fn reserve(&self, batch: Batch, reservation: &mut Reservation) -> Result<(), Verdict> {
        let (signal, items) = (batch.signal, u64::from(batch.items));
        let (outcome, waiting) = if self.settings.wait_for_result {
            let (sender, receiver) = oneshot::channel();
            (Some(sender), Some(receiver))
        } else {
            (None, None)
        };
        let slot = self
            .queue
            .reserve(batch, outcome)
            .inspect_err(|_| self.metrics.enqueue_failed(signal, items))?;
        reservation.hold(slot);
        if let Some(waiting) = waiting {
            reservation.wait_for(waiting);
        }
        Ok(())
    }
}

impl Delivery {
    /// Starts the consumers of the queue; the exporter itself must stand.
    fn start_consumers(self: &Arc<Self>) {
        let consumers = (0..self.settings.num_consumers.max(1))
            .map(|_| task::spawn("exporter queue", Arc::clone(self).consume()));
        self.tasks.lock().extend(consumers);
    }

    /// Empties the queue within the deadline; what is left then is counted as dropped.
    async fn drain(&self, deadline: Duration) {
        let until = Instant::now() + deadline;
        self.stop.send_replace(Some(until));
        self.queue.close();
        let tasks = std::mem::take(&mut *self.tasks.lock());
        for mut task in tasks {
            // a moment longer than the deadline, so that a last try can report itself
            let grace =
                until.saturating_duration_since(Instant::now()) + Duration::from_millis(200);
            if timeout(grace, &mut task).await.is_err() {
                task.abort();
            }
        }
        let mut leftover = self.gathering.lock().await.take();
        while let Some(queued) = leftover.take().or_else(|| self.queue.try_pop()) {
            self.metrics.send_failed(
                queued.batch.signal,
                u64::from(queued.batch.items),
                "shutdown",
            );
            warn!(
                exporter = self.metrics.exporter(),
                items = queued.batch.items,
                "queued data dropped at shutdown"
            );
        }
    }
}

impl Parcel {
    fn of(queued: Queued) -> Self {
        let Batch {
            signal,
            ref bytes,
            items,
        } = queued.batch;
        let request = Outgoing {
            signal,
            parts: vec![bytes.clone()],
            items: u64::from(items),
        };
        Parcel {
            request,
            entries: vec![queued],
        }
    }

    fn size(&self, sizer: BatchSizer) -> u64 {
        size_of(&self.request, sizer)
    }

    /// Whether another batch may join: the same signal, and the result not above `max_size` where pieces would follow.
    fn takes(&self, next: &Queued, batch: &BatchSettings) -> bool {
        let more = match batch.sizer {
            BatchSizer::Items => u64::from(next.batch.items),
            BatchSizer::Bytes => next.batch.bytes.len() as u64,
        };
        let fits = batch.max_size == 0 || self.size(batch.sizer) + more <= batch.max_size;
        self.request.signal == next.batch.signal && fits
    }

    fn add(&mut self, next: Queued) {
        self.request.parts.push(next.batch.bytes.clone());
        self.request.items += u64::from(next.batch.items);
        self.entries.push(next);
    }
}

fn size_of(request: &Outgoing, sizer: BatchSizer) -> u64 {
    match sizer {
        BatchSizer::Items => request.items,
        BatchSizer::Bytes => request.len() as u64,
    }
}

/// Cuts a request that is too large at resource, scope and item boundaries.
fn pieces(request: &Outgoing, batch: &BatchSettings) -> Vec<Outgoing> {
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

/// A delivery as a component of the service.
pub struct DeliveryComponent(pub Arc<Delivery>);

impl Component for DeliveryComponent {
    fn start(&self) -> BoxFuture<'_, anyhow::Result<()>> {
        self.0.start_consumers();
        Box::pin(async { Ok(()) })
    }

    fn shutdown(&self, deadline: Duration) -> BoxFuture<'_, ()> {
        Box::pin(self.0.drain(deadline))
    }
}
