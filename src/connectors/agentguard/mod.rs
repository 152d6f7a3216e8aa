//! The connector `agentguard`: traces in; enriched traces, events and metrics out, and a graph of who calls whom.
//!
//! ```text
//! batch ─▶ reserve: scan + splice, one pass ─┬─▶ outputs[traces]: enriched batch, places held
//!                                            └─▶ inboxes [requests, spans]: room held
//!          commit ─▶ room filled ─▶ shard threads ─▶ tick thread ─▶ published snapshot ◀─ scrapes (exposition)
//!                                                                          └─▶ outputs thread ─▶ outputs[logs, metrics]
//! ```
//!
//! **Bounds.** Inboxes as configured; workers, one a request in flight, of which at most 64 are kept.
//! **When full:** the request is refused and its sender asked to come back; nothing of it was counted (D6).
//! **Invariants.** A refused request leaves at most interned names. A committed one cannot fail here.
//! **Not here.** What a span means (`scan`), what is counted (`graph`), when things happen (`guard` is told).

mod config;
mod events;
mod exposition;
mod identity;
mod inbox;
pub mod metrics;
mod outputs;
#[cfg(test)]
mod tests;
mod threads;

pub use config::{AgentGuardConfig, EventsConfig, Mistake, configure};
pub use metrics::Numbers;

use crate::base::Nanos;
use crate::base::sync::Ordering;
use crate::graph::ShardStats;
use crate::guard::{Guard, Ingested, ScanCounts, Snapshot, Worker};
use crate::otlp::Signal;
use crate::pipeline::{
    Batch, BoxFuture, Cause, Component, Connector, Consumer, Held, Outputs, Reservation,
    SourceOffer, Verdict,
};
use crate::scan::Sighting;
use crate::telemetry::Telemetry;
use anyhow::Context;
use crossbeam::channel::Receiver;
use crossbeam::queue::ArrayQueue;
use exposition::GraphMetrics;
use identity::Identity;
use inbox::{Delivery, Inbox, Room};
use metrics::Counters;
use outputs::{Authored, OutputsThread};
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::Duration;
use threads::Threads;

/// Most workers kept between requests.
const WORKERS: usize = 64;

/// How long a refused sender is asked to wait.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// What time it is: the process's clock, or a test's.
pub type Now = Arc<dyn Fn() -> Nanos + Send + Sync>;

/// What nobody can guess.
#[derive(Clone, Copy, Debug)]
pub struct Random {
    /// Keys the hashes that senders must not guess.
    pub seed: u64,
    /// Names this instance in what it sends.
    pub instance: u128,
}

/// What requests, threads and readers share.
struct Core {
    guard: Guard,
    tick_interval: Duration,
    now: Now,
    inboxes: Vec<Arc<Inbox>>,
    /// Caches of names, lent to one request at a time.
    workers: ArrayQueue<Worker>,
    output: Option<Arc<dyn Consumer>>,
    counters: Counters,
    /// Written once a tick, read at a scrape.
    stats: Mutex<Vec<ShardStats>>,
}

impl Core {
    fn now(&self) -> Nanos {
        (self.now)()
    }

    fn note_stats(&self, shard: usize, stats: ShardStats) {
        if let Some(place) = self.stats.lock().get_mut(shard) {
            *place = stats;
        }
    }
}

/// The connector.
pub struct AgentGuardConnector {
    core: Arc<Core>,
    /// Shared by all who scrape, so that each counter falls for none.
    exposed: Arc<GraphMetrics>,
    /// Before the start: what the shards will read. Touched at start and shutdown only.
    waiting: Mutex<Vec<Receiver<Delivery>>>,
    /// What is authored for other pipelines, if any take it; the same.
    authored: Mutex<Option<Authored>>,
    /// After the start: the threads.
    running: Mutex<Running>,
}

/// The threads of a connector that has started.
#[derive(Default)]
struct Running {
    guard: Option<Threads>,
    outputs: Option<OutputsThread>,
}

impl AgentGuardConnector {
    /// A connector that has not started.
    #[must_use]
    pub fn new(config: &AgentGuardConfig, random: Random, now: Now, outputs: &Outputs) -> Self {
        let guard = Guard::new(config.settings(random.seed));
        let (inboxes, waiting): (Vec<_>, Vec<_>) = (0..guard.shards())
            .map(|_| Inbox::new(config.inbox_requests, config.inbox_spans))
            .unzip();
        let core = Arc::new(Core {
            tick_interval: config.tick_interval,
            now,
            workers: ArrayQueue::new(WORKERS),
            output: outputs[Signal::Traces as usize].clone(),
            counters: Counters::default(),
            stats: Mutex::new(vec![ShardStats::default(); inboxes.len()]),
            inboxes,
            guard,
        });
        let identity = Identity::new(random.instance);
        AgentGuardConnector {
            authored: Mutex::new(Authored::new(&core, config, &identity, outputs)),
            exposed: Arc::new(GraphMetrics::new(
                View(Arc::clone(&core)),
                config.exposition(),
            )),
            core,
            waiting: Mutex::new(waiting),
            running: Mutex::default(),
        }
    }

    /// Shows its numbers among the service's metrics, for as long as it lives.
    fn report(&self, telemetry: &Telemetry, id: &str) {
        metrics::report(telemetry.registry(), id, &self.view());
    }

    /// The graph as of the last tick.
    #[must_use]
    pub fn published(&self) -> Arc<Snapshot> {
        self.core.guard.published()
    }

    /// What a handle without the connector's life can answer: numbers and the graph.
    #[must_use]
    pub fn view(&self) -> View {
        View(Arc::clone(&self.core))
    }

    /// Everything that it counts, now.
    #[must_use]
    pub fn numbers(&self) -> Numbers {
        self.view().numbers()
    }
}

impl Connector for AgentGuardConnector {
    /// Traces only.
    fn consumer(&self, signal: Signal) -> Option<Arc<dyn Consumer>> {
        (signal == Signal::Traces)
            .then(|| Arc::new(Input(Arc::clone(&self.core))) as Arc<dyn Consumer>)
    }

    fn metrics(&self) -> Option<SourceOffer> {
        Some(SourceOffer {
            source: Arc::clone(&self.exposed) as _,
            labels: exposition::LABELS,
        })
    }
}

/// Reads what a connector knows; cheap to clone, for metrics and the API.
#[derive(Clone)]
pub struct View(Arc<Core>);

impl View {
    /// Everything that is counted, now.
    #[must_use]
    pub fn numbers(&self) -> Numbers {
        let core = &self.0;
        let snapshot = core.guard.published();
        let (refused_nodes, refused_edges) = core.guard.refused();
        Numbers {
            nodes: snapshot.graph.nodes_by_kind(),
            edges: snapshot.graph.edges_by_kind(),
            scan: core.counters.scan(),
            refused_requests: core.counters.refused_requests.load(Ordering::Relaxed),
            lost_spans: core.counters.lost_spans.load(Ordering::Relaxed),
            inbox_spans: core
                .inboxes
                .iter()
                .map(|inbox| inbox.depth() as u64)
                .collect(),
            shards: core.stats.lock().clone(),
            refused_nodes,
            refused_edges,
        }
    }

    /// The graph as of the last tick.
    #[must_use]
    pub fn published(&self) -> Arc<Snapshot> {
        self.0.guard.published()
    }
}

impl Component for AgentGuardConnector {
    fn start(&self) -> BoxFuture<'_, anyhow::Result<()>> {
        Box::pin(async {
            let waiting = std::mem::take(&mut *self.waiting.lock());
            if !waiting.is_empty() {
                let threads =
                    Threads::start(&self.core, waiting).context("starting the guard's threads")?;
                self.running.lock().guard = Some(threads);
            }
            if let Some(authored) = self.authored.lock().take() {
                let thread =
                    OutputsThread::start(authored).context("starting the outputs' thread")?;
                self.running.lock().outputs = Some(thread);
            }
            Ok(())
        })
    }

    fn shutdown(&self, deadline: Duration) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            let running = std::mem::take(&mut *self.running.lock());
            let stop = async {
                if let Some(threads) = running.guard {
                    threads.stop().await;
                }
                // after the last tick, which may have news
                if let Some(outputs) = running.outputs {
                    outputs.stop().await;
                }
            };
            // past the deadline they end on their own, or with the process
            drop(tokio::time::timeout(deadline, stop).await);
        })
    }
}

/// The connector's input.
struct Input(Arc<Core>);

impl Consumer for Input {
    fn reserve(&self, batch: Batch, reservation: &mut Reservation) -> Result<(), Verdict> {
        let core = &self.0;
        if core.inboxes.iter().any(|inbox| inbox.is_full()) {
            // before any work is done for a request that cannot be taken
            return Err(self.refusal());
        }
        let mut worker = core.workers.pop().unwrap_or_else(|| core.guard.worker());
        let ingested = core
            .guard
            .ingest(&mut worker, &batch.bytes, batch.items as usize);
        // one too many is let go, with what it remembers
        drop(core.workers.push(worker));
        let Ingested {
            bytes,
            sightings,
            counts,
        } = ingested.map_err(|malformed| Verdict::Permanent {
            source: Cause::new(malformed.to_string()),
        })?;
        let mut rooms = Vec::with_capacity(sightings.len());
        for (inbox, sightings) in core.inboxes.iter().zip(sightings) {
            if !sightings.is_empty() {
                let room = inbox.hold(sightings.len()).ok_or_else(|| self.refusal())?;
                rooms.push((room, sightings));
            }
        }
        reservation.hold(Seen {
            core: Arc::clone(core),
            rooms,
            counts,
        });
        match &core.output {
            Some(output) => output.reserve(Batch { bytes, ..batch }, reservation),
            None => Ok(()),
        }
    }
}

impl Input {
    #[cold]
    fn refusal(&self) -> Verdict {
        self.0
            .counters
            .refused_requests
            .fetch_add(1, Ordering::Relaxed);
        Verdict::Refused {
            after: RETRY_AFTER,
            source: Cause::new("the guard's shards are behind"),
        }
    }
}

/// A request's sightings with room held for them.
struct Seen {
    core: Arc<Core>,
    rooms: Vec<(Room, Vec<Sighting>)>,
    counts: ScanCounts,
}

impl Held for Seen {
    fn commit(self: Box<Self>) {
        self.core.counters.add(&self.counts);
        for (room, sightings) in self.rooms {
            if let Err(lost) = room.fill(sightings) {
                self.core
                    .counters
                    .lost_spans
                    .fetch_add(lost as u64, Ordering::Relaxed);
            }
        }
    }
}
