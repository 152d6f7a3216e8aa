//! The guard: requests in, enriched requests and one published graph out.
//!
//! ```text
//! request ─▶ ingest ─▶ enriched bytes                    clock 1: any worker, at once
//!                 └──▶ sightings ─▶ Settler (per shard)  clock 1½: one thread each
//!                                       │ changes, when asked
//!            published ◀─ tick ◀────────┘                clock 2: one owner
//! ```
//!
//! The guard is driven: whoever owns it calls these functions from its own threads and says what time it is. It spawns
//! nothing, waits for nothing and reads no clock, so that a file, a test and a daemon run the same code.
//!
//! **Bounds.** Those of [`GuardSettings`]. **Invariant.** Readers see one snapshot, whole.
//! **Not here.** Inboxes, threads, metrics handles (`connectors/agentguard`).

mod ageing;
mod ingest;
mod settle;
mod snapshot;
mod stream;
#[cfg(test)]
mod tests;
mod tick;

pub use ingest::{Ingested, ScanCounts, Worker};
pub use settle::Settler;
pub use snapshot::Snapshot;
pub use stream::StreamTime;
pub use tick::Ticker;

use crate::analysis::RiskSettings;
use crate::base::Nanos;
use crate::graph::{Changes, InternLimits, Interner, Shard, ShardSettings, WalkSettings};
use crate::otlp::{Malformed, Splice, semconv};
use crate::scan::{Intern, ScanSettings, Scanner};
use arc_swap::ArcSwap;
use bytes::Bytes;
use std::sync::Arc;
use std::time::Duration;

/// What shapes a guard.
#[derive(Clone, Debug)]
pub struct GuardSettings {
    /// How spans are read. Its seed keys all hashes.
    pub scan: ScanSettings,
    /// The most nodes and edges.
    pub limits: InternLimits,
    /// How many shards share the traces; at least one.
    pub shards: usize,
    /// Each shard's bounds and timers.
    pub shard: ShardSettings,
    /// How risk is judged.
    pub risk: RiskSettings,
    /// Whether spans are given their node's attributes.
    pub enriches: bool,
    /// How long nothing changes a node or an edge before it leaves the graph; zero for never.
    pub expire_after: Duration,
}

impl Default for GuardSettings {
    fn default() -> Self {
        GuardSettings {
            scan: ScanSettings {
                seed: 0,
                realm_keys: vec![semconv::DEPLOYMENT_ENVIRONMENT_NAME.to_owned()],
                remembered: 65_536,
            },
            limits: InternLimits {
                nodes: 100_000,
                edges: 400_000,
            },
            shards: 1,
            shard: ShardSettings {
                seed: 0,
                spans: 262_144,
                t_orphan: Duration::from_secs(60),
                t_pair: Duration::from_secs(10),
                t_keep: Duration::from_secs(3_600),
                walk: WalkSettings::default(),
            },
            risk: RiskSettings::default(),
            enriches: true,
            expire_after: Duration::from_secs(86_400),
        }
    }
}

/// What all clocks share.
pub struct Guard {
    settings: GuardSettings,
    interner: Arc<Interner>,
    published: ArcSwap<Snapshot>,
}

impl Guard {
    /// A guard that has seen nothing.
    #[must_use]
    pub fn new(settings: GuardSettings) -> Self {
        Guard {
            interner: Arc::new(Interner::new(settings.limits)),
            published: ArcSwap::default(),
            settings,
        }
    }

    /// A worker: the caches and the scratch space of one request at a time.
    #[must_use]
    pub fn worker(&self) -> Worker {
        let intern = Arc::clone(&self.interner) as Arc<dyn Intern>;
        Worker {
            scanner: Scanner::new(&self.settings.scan, intern),
            splice: Splice::new(),
        }
    }

    /// A shard's state, for the thread that will own it. Make as many as [`Guard::shards`].
    #[must_use]
    pub fn settler(&self) -> Settler {
        let settings = ShardSettings {
            seed: self.settings.scan.seed,
            ..self.settings.shard
        };
        Settler::new(Shard::new(settings, Arc::clone(&self.interner)))
    }

    /// The tick's state, for its owner.
    #[must_use]
    pub fn ticker(&self) -> Ticker {
        Ticker::new(Arc::clone(&self.interner), self.settings.risk.clone())
    }

    /// How many shards the sightings are meant for.
    #[must_use]
    pub fn shards(&self) -> usize {
        self.settings.shards.max(1)
    }

    /// Scans and enriches a request; `spans` is how many it has, as far as known. Counts nothing.
    ///
    /// # Errors
    /// Where a request is broken that nobody has validated.
    pub fn ingest(
        &self,
        worker: &mut Worker,
        request: &Bytes,
        spans: usize,
    ) -> Result<Ingested, Malformed> {
        let epoch = self.interner.epoch();
        worker.scanner.enter(epoch.number);
        let snapshot = self.published.load();
        let ingest = ingest::Ingest {
            snapshot: &snapshot,
            shards: self.shards(),
            seed: self.settings.scan.seed,
            enriches: self.settings.enriches,
            epoch,
        };
        ingest.run(worker, request, spans)
    }

    /// Takes what the shards changed and publishes the graph anew if that was anything; says whether it was.
    pub fn tick<'c>(
        &self,
        ticker: &mut Ticker,
        changes: impl IntoIterator<Item = &'c Changes>,
    ) -> bool {
        let mut has_changed = false;
        for changes in changes {
            has_changed |= ticker.absorb(changes);
        }
        ticker.roll();
        let is_news = has_changed || ticker.has_more();
        if is_news {
            self.published.store(Arc::new(ticker.snapshot(false)));
        }
        is_news
    }

    /// The graph and its findings as the last tick left them.
    #[must_use]
    pub fn published(&self) -> Arc<Snapshot> {
        self.published.load_full()
    }

    /// How often a node and an edge found no room.
    #[must_use]
    pub fn refused(&self) -> (u64, u64) {
        self.interner.refused()
    }
}

/// What a recording came to.
#[derive(Clone, Debug)]
pub struct Scan {
    /// Its graph, everything settled, and what that means.
    pub snapshot: Arc<Snapshot>,
    /// How its spans were read.
    pub counts: ScanCounts,
    /// Requests that are broken and were left out.
    pub malformed: u64,
}

/// Reads a recording from its first request to its last, as the daemon would.
#[must_use]
pub fn scan(settings: GuardSettings, requests: impl IntoIterator<Item = Bytes>) -> Scan {
    let mut settings = GuardSettings {
        shards: 1,
        enriches: false,
        ..settings
    };
    // there is time to look at every trace
    settings.shard.walk.healthy_every = 1;
    let guard = Guard::new(settings);
    let (mut worker, mut settler, mut ticker) = (guard.worker(), guard.settler(), guard.ticker());
    let (mut counts, mut malformed) = (ScanCounts::default(), 0);
    // no clock: stream time alone moves
    let now = Nanos(u64::MAX);
    for request in requests {
        match guard.ingest(&mut worker, &request, 0) {
            Ok(ingested) => {
                counts.add(&ingested.counts);
                for sightings in &ingested.sightings {
                    settler.settle(sightings, now);
                }
                ticker.absorb(&settler.collect(now));
                ticker.roll();
            }
            Err(_) => malformed += 1,
        }
    }
    settler.flush();
    ticker.absorb(&settler.collect(now));
    ticker.roll();
    guard.published.store(Arc::new(ticker.snapshot(true)));
    Scan {
        snapshot: guard.published(),
        counts,
        malformed,
    }
}
