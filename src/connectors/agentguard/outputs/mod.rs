//! What the connector authors: events for logs pipelines, metrics for metrics pipelines. A thread beside the tick, which
//! waits for nobody.
//!
//! ```text
//! published snapshot ─▶ Discovery ─▶ pending [MOST_PENDING events] ─ reserve, commit ─▶ logs pipelines
//!                    └▶ every metrics_flush_interval ─ reserve all, commit all ───────▶ metrics pipelines
//! ```
//!
//! **Bounds.** [`MOST_PENDING`] events; of those beyond, the oldest are dropped and counted. Metrics do not wait: sums that
//! nobody took now are in those of the next time. **When refused:** events are offered again at the next tick, metrics when
//! they were asked to come back. **Invariants.** Events arrive in the order in which they were found. At the end, what is
//! left is offered once more.
//! **Not here.** What is news (`events`), what is measured (`exposition`).

#[cfg(test)]
mod tests;

use super::events::{Discovery, Event, News};
use super::exposition::{GraphMetrics, Requests};
use super::identity::{self, Identity};
use super::metrics::{Lost, Told};
use super::{AgentGuardConfig, Core, View};
use crate::base::Nanos;
use crate::base::sync::Ordering;
use crate::guard::Snapshot;
use crate::otlp::Signal;
use crate::pipeline::{Batch, Consumer, Outputs, Reservation, Verdict};
use crate::telemetry::{RateLimited, task};
use bytes::Bytes;
use crossbeam::channel::{RecvTimeoutError, Sender, bounded};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::logs::v1::{ResourceLogs, ScopeLogs};
use prost::Message;
use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;
use tracing::warn;

/// Most events that wait to be taken.
pub(super) const MOST_PENDING: usize = 4_096;

/// Most events of a request.
const MOST_AT_ONCE: usize = 512;

/// How often a refusal is spoken of.
const COMPLAIN_EVERY: Duration = Duration::from_secs(60);

/// The thread, until it is told to stop.
pub(super) struct OutputsThread {
    stop: Sender<()>,
    ended: oneshot::Receiver<()>,
}

impl OutputsThread {
    /// Starts it.
    pub(super) fn start(mut authored: Authored) -> io::Result<Self> {
        let (stop, stopped) = bounded::<()>(1);
        let (end, ended) = oneshot::channel();
        let interval = authored.core.tick_interval;
        // its end is awaited by the channel; a panic is counted where it happens
        drop(task::spawn_thread("guard outputs", move || {
            while stopped.recv_timeout(interval) == Err(RecvTimeoutError::Timeout) {
                authored.step(false);
            }
            authored.step(true);
            // an error: nobody listens after the deadline
            end.send(()).unwrap_or_default();
        })?);
        Ok(OutputsThread { stop, ended })
    }

    /// Sends what is left, and ends it. Cancel-safe: it ends on its own all the same.
    pub(super) async fn stop(self) {
        drop(self.stop);
        // an error is a panic, which was reported where it happened
        drop(self.ended.await);
    }
}

/// Both outputs, as far as a pipeline takes them.
pub(super) struct Authored {
    core: Arc<Core>,
    events: Option<Events>,
    metrics: Option<Metrics>,
    seen: Arc<Snapshot>,
}

impl Authored {
    /// What is sent on to these pipelines; `None` if none takes anything.
    pub(super) fn new(
        core: &Arc<Core>,
        config: &AgentGuardConfig,
        identity: &Identity,
        outputs: &Outputs,
    ) -> Option<Self> {
        let way = |signal: Signal| Some(Way::new(outputs[signal as usize].clone()?, signal));
        let events = way(Signal::Logs).map(|way| Events {
            way,
            identity: identity.clone(),
            discovery: Discovery::new(&config.events),
            pending: VecDeque::new(),
        });
        let metrics = way(Signal::Metrics).map(|way| {
            let graph = GraphMetrics::new(View(Arc::clone(core)), config.exposition());
            Metrics {
                way,
                identity: identity.clone(),
                interval: config.metrics_flush_interval,
                due: graph.began().plus(config.metrics_flush_interval),
                sent: graph.began(),
                graph,
            }
        });
        (events.is_some() || metrics.is_some()).then(|| Authored {
            seen: core.guard.published(),
            core: Arc::clone(core),
            events,
            metrics,
        })
    }

    /// Looks at what is published, and sends what is to be sent.
    pub(super) fn step(&mut self, is_last: bool) {
        let now = self.core.now();
        let told = &self.core.counters.told;
        let snapshot = self.core.guard.published();
        let is_new = !Arc::ptr_eq(&snapshot, &self.seen);
        if let Some(events) = &mut self.events {
            if is_new || events.discovery.waits() {
                events.look(&snapshot, now, told);
            }
            events.send(now, told, is_last);
        }
        if let Some(metrics) = &mut self.metrics
            && (is_last || now >= metrics.due)
        {
            metrics.send(&snapshot, now, told);
        }
        self.seen = snapshot;
    }
}

/// What became of what was offered.
enum Offered {
    Taken,
    /// Nobody has room before so long.
    Later(Duration),
    Never,
}

/// Where one signal goes.
struct Way {
    to: Arc<dyn Consumer>,
    signal: Signal,
    complaints: RateLimited,
}

impl Way {
    fn new(to: Arc<dyn Consumer>, signal: Signal) -> Self {
        Way {
            to,
            signal,
            complaints: RateLimited::new(COMPLAIN_EVERY),
        }
    }

    /// Holds a place for each batch, then fills them all. What becomes of them behind that, exporters count.
    fn offer(&self, batches: Vec<Batch>, now: Nanos, told: &Told) -> Offered {
        let mut reservation = Reservation::default();
        let held = batches
            .into_iter()
            .try_for_each(|batch| self.to.reserve(batch, &mut reservation));
        let Err(verdict) = held else {
            drop(reservation.commit());
            return Offered::Taken;
        };
        if let Some(suppressed) = self.complaints.pass(Duration::from_nanos(now.0)) {
            let signal = self.signal.as_str();
            warn!(signal, %verdict, suppressed, "what the guard has to say was not taken");
        }
        match verdict {
            Verdict::Permanent { .. } => Offered::Never,
            Verdict::Retry { after, .. } => {
                self.refused(told);
                Offered::Later(after.unwrap_or_default())
            }
            Verdict::Refused { after, .. } => {
                self.refused(told);
                Offered::Later(after)
            }
        }
    }

    fn refused(&self, told: &Told) {
        told.refused[self.signal as usize].fetch_add(1, Ordering::Relaxed);
    }

    fn lost(&self, lost: Lost, items: u64, told: &Told) {
        told.dropped[self.signal as usize][lost as usize].fetch_add(items, Ordering::Relaxed);
    }
}

/// Events on their way.
struct Events {
    way: Way,
    identity: Identity,
    discovery: Discovery,
    pending: VecDeque<Event>,
}

impl Events {
    fn look(&mut self, snapshot: &Snapshot, now: Nanos, told: &Told) {
        let News { events, suppressed } = self.discovery.observe(snapshot, now);
        for (counter, more) in told.suppressed.iter().zip(suppressed) {
            counter.fetch_add(more, Ordering::Relaxed);
        }
        self.pending.extend(events);
        let too_many = self.pending.len().saturating_sub(MOST_PENDING);
        self.give_up(too_many, Lost::Overflow, told);
    }

    fn send(&mut self, now: Nanos, told: &Told, is_last: bool) {
        while !self.pending.is_empty() {
            let count = self.pending.len().min(MOST_AT_ONCE);
            match self.way.offer(vec![self.request(count)], now, told) {
                Offered::Taken => {
                    for event in self.pending.drain(..count) {
                        told.events[event.kind as usize].fetch_add(1, Ordering::Relaxed);
                    }
                }
                Offered::Never => self.give_up(count, Lost::Rejected, told),
                Offered::Later(_) => break,
            }
        }
        if is_last {
            self.give_up(self.pending.len(), Lost::Shutdown, told);
        }
        let pending = self.pending.len() as u64;
        told.pending.store(pending, Ordering::Relaxed);
    }

    fn request(&self, count: usize) -> Batch {
        let pending = self.pending.iter().take(count);
        let request = ExportLogsServiceRequest {
            resource_logs: vec![ResourceLogs {
                resource: Some(self.identity.resource()),
                scope_logs: vec![ScopeLogs {
                    scope: Some(identity::scope()),
                    log_records: pending.map(|event| event.record.clone()).collect(),
                    schema_url: String::new(),
                }],
                schema_url: String::new(),
            }],
        };
        Batch {
            signal: Signal::Logs,
            bytes: Bytes::from(request.encode_to_vec()),
            items: u32::try_from(count).unwrap_or(u32::MAX),
        }
    }

    /// Drops the oldest.
    fn give_up(&mut self, count: usize, lost: Lost, told: &Told) {
        self.pending.drain(..count);
        self.way.lost(lost, count as u64, told);
    }
}

/// Metrics that are sent.
struct Metrics {
    way: Way,
    identity: Identity,
    graph: GraphMetrics,
    interval: Duration,
    due: Nanos,
    /// When they were taken for the last time.
    sent: Nanos,
}

impl Metrics {
    fn send(&mut self, snapshot: &Snapshot, now: Nanos, told: &Told) {
        let mut requests = Requests::new(&self.identity, now, self.sent);
        self.graph.send(snapshot, &mut requests);
        let requests = requests.finish();
        let points: u64 = requests.iter().map(|batch| u64::from(batch.items)).sum();
        let wait = match self.way.offer(requests, now, told) {
            Offered::Taken => {
                self.sent = now;
                self.interval
            }
            Offered::Never => {
                self.way.lost(Lost::Rejected, points, told);
                self.interval
            }
            Offered::Later(after) => after.min(self.interval),
        };
        self.due = now.plus(wait);
    }
}
