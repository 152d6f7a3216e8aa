//! From the queue to the next hop: merge, split, send, try again, give up.
//!
//! ```text
//! queue ─▶ gather (as they come, or until min_size / flush_timeout; cut at max_size) ─▶ send ─▶ sent
//!                                                          num_consumers at a time ▲        └ retryable: wait ─┐
//!                                                                                  └────────────────────────────┘
//! ```
//!
//! An exporter that panics loses what it held, counted; its consumer starts again ([`super::consumers`]).
//!
//! **Bounds.** What is being gathered, sent or waited for stays inside the queue's bounds: its room is given back when
//! its fate is known.
//! **Invariants.** Every batch that was committed ends in exactly one of: sent, failed, lost by a panic, dropped at
//! shutdown; each counted. A piece that was delivered is not sent again.
//! **Not here.** What the bytes mean, how they travel (`Exporter`).

use crate::base::Random;
use crate::otlp::Signal;
use crate::pipeline::consumers::Consumers;
use crate::pipeline::parcel::{Fate, Parcel, pieces, settle};
use crate::pipeline::queue::{Need, Queue, Queued};
use crate::pipeline::reservation::{Obstacle, Outcome};
use crate::pipeline::retry::{Backoff, RetrySettings};
use crate::pipeline::{
    Batch, BoxFuture, Cause, Component, Consumer, Exporter, Outgoing, Reservation, Verdict,
};
use crate::telemetry::{ExporterMetrics, task};
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{oneshot, watch};
use tokio::time::{Instant, sleep_until, timeout, timeout_at};
use tracing::{debug, error, warn};

/// How long after a panic of the exporter its consumer starts again.
const RESTART_AFTER: Duration = Duration::from_secs(1);
/// How much longer than its deadline a drain waits for consumers to count what they held.
const GRACE: Duration = Duration::from_millis(200);

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
    /// Whether senders wait for room while the queue is full, instead of being refused at once.
    pub block_on_overflow: bool,
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
    /// The task that keeps the consumers going; locked at start and stop only.
    keeper: Mutex<Option<task::Task>>,
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
            keeper: Mutex::new(None),
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

    async fn next(&self) -> Option<Parcel<'_>> {
        match &self.settings.batch {
            None => {
                let queued = self.queue.pop().await?;
                Some(Parcel::of(queued, &self.metrics))
            }
            Some(batch) => self.gather(batch).await,
        }
    }

    /// Merges what comes until there is enough, time is up, the signal changes, or the queue is closed. The others wait
    /// meanwhile: what comes is for this parcel.
    async fn gather(&self, batch: &BatchSettings) -> Option<Parcel<'_>> {
        let mut leftover = self.gathering.lock().await;
        let first = match leftover.take() {
            Some(queued) => queued,
            None => self.queue.pop().await?,
        };
        let flush_at = first.at + batch.flush_timeout;
        let mut parcel = Parcel::of(first, &self.metrics);
        while parcel.size(batch.sizer) < batch.min_size {
            let next = match self.queue.try_pop() {
                Some(queued) => Some(queued),
                None => timeout_at(flush_at, self.queue.pop()).await.ok().flatten(),
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

    async fn deliver(&self, parcel: Parcel<'_>) {
        let too_large = self.settings.batch.filter(|batch| {
            let most = batch.max_size;
            most > 0 && parcel.size(batch.sizer) > most
        });
        let Parcel {
            request,
            mut fate,
            entries,
            ..
        } = parcel;
        let outcome = match too_large {
            Some(batch) => {
                let mut outcome = Ok(());
                for piece in pieces(&request, &batch) {
                    let sent = self.send(piece, &mut fate).await;
                    outcome = outcome.and(sent);
                }
                outcome
            }
            None => self.send(request, &mut fate).await,
        };
        settle(entries, &outcome);
    }

    /// Sends one request, again and again while that makes sense.
    async fn send(&self, request: Outgoing, fate: &mut Fate<'_>) -> Outcome {
        let (signal, items) = (request.signal, request.items);
        self.metrics.batch_sent(items, request.len() as u64);
        let mut backoff = Backoff::new(self.settings.retry);
        let started = Instant::now();
        loop {
            let verdict = match self.attempt(request.clone()).await {
                Ok(()) => {
                    fate.decided(items);
                    self.metrics.sent(signal, items);
                    self.queue.set_troubled(false);
                    return Ok(());
                }
                Err(verdict) => verdict,
            };
            let reason = match self.wait_after(&verdict, &mut backoff, started).await {
                Ok(()) => continue,
                Err(reason) => reason,
            };
            fate.decided(items);
            self.give_up(signal, items, &verdict, reason);
            return Err(verdict);
        }
    }

    /// Waits until a failed request may be tried again.
    ///
    /// # Errors
    /// Why it is not tried again.
    async fn wait_after(
        &self,
        verdict: &Verdict,
        backoff: &mut Backoff,
        started: Instant,
    ) -> Result<(), &'static str> {
        let asked = match verdict {
            Verdict::Permanent { .. } => return Err("permanent"),
            Verdict::Retry { after, .. } => *after,
            Verdict::Refused { after, .. } => Some(*after),
        };
        if !self.settings.retry.enabled {
            return Err("retry_disabled");
        }
        let wait = backoff.next(asked, started.elapsed(), &mut self.random.lock());
        let wait = wait.ok_or("max_elapsed_time")?;
        debug!(exporter = self.metrics.exporter(), ?wait, error = %verdict, "delivery failed, trying again");
        if !self.pause(wait).await {
            return Err("shutdown");
        }
        self.metrics.retried();
        Ok(())
    }

    async fn attempt(&self, request: Outgoing) -> Outcome {
        let _under_way = self.metrics.in_flight();
        // a drain's deadline needs no look here: it ends the consumers themselves
        let limit = self.settings.timeout;
        let sending = self.exporter.export(request);
        if limit.is_zero() {
            return sending.await;
        }
        timeout(limit, sending).await.unwrap_or_else(|_| {
            Err(Verdict::Retry {
                after: None,
                source: Cause::new(format!("no answer within {limit:?}")),
            })
        })
    }

    /// Waits before another try; false when the drain's deadline comes first. While draining, a long wait is cut, so that
    /// what is left is tried before the end.
    async fn pause(&self, wait: Duration) -> bool {
        let mut stop = self.stop.subscribe();
        let until = Instant::now() + wait;
        loop {
            let now = Instant::now();
            let deadline = *stop.borrow_and_update();
            if let Some(deadline) = deadline {
                if now >= deadline {
                    return false;
                }
                let half = (deadline - now) / 2;
                let until = until.min(now + half.max(Duration::from_millis(50)));
                sleep_until(until.min(deadline)).await;
                return Instant::now() < deadline;
            }
            tokio::select! {
                () = sleep_until(until) => return true,
                changed = stop.changed() => if changed.is_err() { return false },
            }
        }
    }

    fn give_up(&self, signal: Signal, items: u64, verdict: &Verdict, reason: &'static str) {
        self.metrics.send_failed(signal, items, reason);
        error!(
            exporter = self.metrics.exporter(), signal = signal.as_str(), items, reason, error = %verdict,
            "delivery given up, data dropped"
        );
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
        let need = self.queue.need(&batch);
        let slot = match self.queue.reserve(batch, outcome) {
            Ok(slot) => slot,
            Err(verdict) => {
                let may_pass = matches!(verdict, Verdict::Refused { .. });
                let refused = NoRoom {
                    queue: Arc::clone(&self.queue),
                    metrics: self.metrics.clone(),
                    need,
                    signal,
                    items,
                };
                if self.settings.block_on_overflow && may_pass && !self.queue.is_closed() {
                    reservation.blocked_by(refused);
                } else {
                    refused.stood();
                }
                return Err(verdict);
            }
        };
        reservation.hold(slot);
        if let Some(waiting) = waiting {
            reservation.wait_for(waiting);
        }
        Ok(())
    }
}

/// A full queue, and what did not fit into it.
struct NoRoom {
    queue: Arc<Queue>,
    metrics: ExporterMetrics,
    need: Need,
    signal: Signal,
    items: u64,
}

impl Obstacle for NoRoom {
    fn passed(&self) -> BoxFuture<'_, ()> {
        Box::pin(self.queue.room_for(self.need))
    }

    fn stood(&self) {
        self.metrics.enqueue_failed(self.signal, self.items);
    }
}

impl Delivery {
    /// Starts the consumers of the queue; the exporter itself must stand.
    fn start_consumers(self: &Arc<Self>) {
        let keeper = task::spawn(self.task_name(), Arc::clone(self).keep());
        *self.keeper.lock() = Some(keeper);
    }

    fn task_name(&self) -> String {
        format!("exporters/{} queue", self.metrics.exporter())
    }

    /// Keeps the consumers going until the queue is closed and empty, or the drain's deadline has come.
    async fn keep(self: Arc<Self>) {
        let start = || task::spawn(self.task_name(), Arc::clone(&self).consume());
        let mut consumers = Consumers::start(self.settings.num_consumers.max(1), &start);
        loop {
            tokio::select! {
                ended = consumers.next_end() => match ended {
                    None => return,
                    Some(Ok(())) => {}
                    Some(Err(_)) => {
                        self.queue.set_troubled(true);
                        if self.pause(RESTART_AFTER).await {
                            consumers.add(start());
                        }
                    }
                },
                () = self.deadline() => return consumers.end().await,
            }
        }
    }

    /// Waits for the end of a drain that may not have begun.
    async fn deadline(&self) {
        let mut stop = self.stop.subscribe();
        loop {
            let deadline = *stop.borrow_and_update();
            match deadline {
                Some(deadline) => return sleep_until(deadline).await,
                None if stop.changed().await.is_err() => return,
                None => {}
            }
        }
    }

    /// Empties the queue within the deadline; what is left then is counted as dropped.
    async fn drain(&self, deadline: Duration) {
        let until = Instant::now() + deadline;
        self.stop.send_replace(Some(until));
        self.queue.close();
        let keeper = self.keeper.lock().take();
        if let Some(mut keeper) = keeper
            && timeout_at(until + GRACE, &mut keeper).await.is_err()
        {
            keeper.abort();
        }
        let mut leftover = match timeout(GRACE, self.gathering.lock()).await {
            Ok(mut leftover) => leftover.take(),
            Err(_) => None,
        };
        let settled_by = Instant::now() + GRACE;
        loop {
            while let Some(queued) = leftover.take().or_else(|| self.queue.try_pop()) {
                self.drop_queued(&queued);
            }
            // a place that was reserved before the end may be filled a moment after it
            if self.queue.is_settled() || Instant::now() >= settled_by {
                return;
            }
            sleep_until(Instant::now() + Duration::from_millis(1)).await;
        }
    }

    fn drop_queued(&self, queued: &Queued) {
        let Batch { signal, items, .. } = queued.batch;
        self.metrics
            .send_failed(signal, u64::from(items), "shutdown");
        warn!(
            exporter = self.metrics.exporter(),
            items, "queued data dropped at shutdown"
        );
    }
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
