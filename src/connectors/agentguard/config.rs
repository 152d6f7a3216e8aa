//! What the user writes under `connectors: agentguard`.

use super::exposition::ExpositionSettings;
use super::metrics::LATENCY_BOUNDS;
use super::{AgentGuardConnector, Random};
use crate::analysis::RiskSettings;
use crate::base::{ByteSize, Problems};
use crate::config::Section;
use crate::graph::{InternLimits, ShardSettings, WalkSettings};
use crate::guard::GuardSettings;
use crate::otlp::semconv;
use crate::pipeline::{BuildContext, Connector, ConnectorConfig, Outputs};
use crate::scan::{MAX_REALM_KEYS, ScanSettings, Sighting};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;

/// The guard's settings.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct AgentGuardConfig {
    /// Time between two publications of the graph; at least `10ms`.
    #[serde(with = "crate::base::duration")]
    pub tick_interval: Duration,
    /// Threads that pair spans, each with tables of its own; 1 to 64. One is enough for two cores.
    pub shards: usize,
    /// Spans held for pairing, by all shards together; at least 1024. A span takes about 400 bytes, touched as it is used.
    pub max_spans: usize,
    /// Nodes known at one time; what comes beyond is counted in one node a kind named `_overflow`.
    pub max_nodes: usize,
    /// Edges known at one time; what comes beyond is counted between the overflow nodes.
    pub max_edges: usize,
    /// Requests that may wait for a shard; the next one is pushed back to its sender.
    pub inbox_requests: usize,
    /// Spans that may wait for a shard. A waiting span takes 128 bytes.
    pub inbox_spans: usize,
    /// How long a trace without progress waits for a missing parent before its calls are drawn from a fallback source.
    #[serde(with = "crate::base::duration")]
    pub orphan_timeout: Duration,
    /// How long a client's span waits for the server's span that answers it before the call is drawn to the address.
    #[serde(with = "crate::base::duration")]
    pub pair_timeout: Duration,
    /// How long a trace is kept for spans that come late; `max_spans` may end it before.
    #[serde(with = "crate::base::duration")]
    pub keep: Duration,
    /// How long nothing changes a node or an edge before it leaves the graph and makes room for others; at least `keep`, or
    /// `0s` for never.
    #[serde(with = "crate::base::duration")]
    pub expire_after: Duration,
    /// Resource attributes whose values part the graph into realms; at most four. Once there is more than one realm, metrics of
    /// nodes, edges and models have the label `realm`.
    pub realm: Vec<String>,
    /// How risk is judged.
    pub risk: RiskSettings,
    /// Whether forwarded spans are given `agentguard.node.id`, `agentguard.node.kind` and, once known, `agentguard.risk.score`,
    /// `agentguard.spof` and `agentguard.blast_radius`.
    pub enrich: bool,
    /// Upper bounds of the exported latency histograms, ascending; at most 64. A call counts within a bound if the middle of
    /// its bucket of 9 % does. Absent: 23 bounds from `2ms` to `1h`.
    pub latency_histogram_buckets: Option<Vec<Bound>>,
    /// Whether exported edges say what kind of node calls.
    pub client_kind: bool,
    /// Whether exported edges say what kind of node is called.
    pub server_kind: bool,
    /// Series of the graph's metrics in all, a histogram's buckets counted one by one; 1000 to 16777216. Half of them are for
    /// edges, three eighths for nodes, an eighth for models; what comes beyond is exported as `_other`, and of findings the
    /// riskiest nodes are.
    pub max_series: usize,
    /// Time between two sendings of the metrics to pipelines that are sent them; from `10ms`. As in the Collector's connectors.
    #[serde(with = "crate::base::duration")]
    pub metrics_flush_interval: Duration,
    /// How many events are told, where a logs pipeline takes them.
    pub events: EventsConfig,
}

/// How many events are told of each kind; the rest is counted, and told as a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct EventsConfig {
    /// Events of a kind that may be told in a minute, on and on; 0 to 1000000.
    pub per_minute: u32,
    /// Events of a kind that may be told at once, after a quiet time; 1 to 4096.
    pub burst: u32,
}

impl Default for EventsConfig {
    fn default() -> Self {
        EventsConfig {
            per_minute: 60,
            burst: 100,
        }
    }
}

/// The upper bound of a histogram's bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(transparent)]
pub struct Bound(#[serde(with = "crate::base::duration")] pub Duration);

/// Most bounds of a histogram.
const MAX_BOUNDS: usize = 64;

impl Default for AgentGuardConfig {
    fn default() -> Self {
        AgentGuardConfig {
            tick_interval: Duration::from_secs(1),
            shards: 1,
            max_spans: 262_144,
            max_nodes: 100_000,
            max_edges: 400_000,
            inbox_requests: 1_024,
            inbox_spans: 131_072,
            orphan_timeout: Duration::from_secs(60),
            pair_timeout: Duration::from_secs(10),
            keep: Duration::from_secs(3_600),
            expire_after: Duration::from_secs(86_400),
            realm: vec![semconv::DEPLOYMENT_ENVIRONMENT_NAME.to_owned()],
            risk: RiskSettings::default(),
            enrich: true,
            latency_histogram_buckets: None,
            client_kind: false,
            server_kind: false,
            max_series: 500_000,
            metrics_flush_interval: Duration::from_secs(60),
            events: EventsConfig::default(),
        }
    }
}

/// A mistake in a section: the key, and what would be right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// The key.
    pub key: &'static str,
    /// What is wrong with its value.
    pub message: &'static str,
    /// What would be right.
    pub help: &'static str,
}

impl AgentGuardConfig {
    /// Every mistake.
    #[must_use]
    pub fn mistakes(&self) -> Vec<Mistake> {
        let rules = [
            (
                self.tick_interval >= Duration::from_millis(10),
                "tick_interval",
                "is too short",
                "write `10ms` or more; `1s` is usual",
            ),
            (
                (1..=64).contains(&self.shards),
                "shards",
                "is not a number from 1 to 64",
                "write 1 unless a shard's inbox fills up",
            ),
            (
                (1_024..=1 << 30).contains(&self.max_spans),
                "max_spans",
                "is out of bounds",
                "write a number from 1024 to 1073741824",
            ),
            (
                (1..=1 << 28).contains(&self.max_nodes),
                "max_nodes",
                "is out of bounds",
                "write a number from 1 to 268435456",
            ),
            (
                (1..=1 << 28).contains(&self.max_edges),
                "max_edges",
                "is out of bounds",
                "write a number from 1 to 268435456",
            ),
            (
                (1..=1 << 20).contains(&self.inbox_requests),
                "inbox_requests",
                "is out of bounds",
                "write a number from 1 to 1048576",
            ),
            (
                self.inbox_spans >= 1,
                "inbox_spans",
                "leaves no room for any span",
                "write 131072",
            ),
            (
                !self.orphan_timeout.is_zero(),
                "orphan_timeout",
                "must be more than zero",
                "write `60s`",
            ),
            (
                !self.pair_timeout.is_zero(),
                "pair_timeout",
                "must be more than zero",
                "write `10s`",
            ),
            (
                self.keep >= self.orphan_timeout,
                "keep",
                "is shorter than `orphan_timeout`",
                "write `1h`",
            ),
            (
                self.expire_after.is_zero() || self.expire_after >= self.keep,
                "expire_after",
                "is shorter than `keep`",
                "write `24h`, or `0s` for never",
            ),
            (
                self.realm.len() <= MAX_REALM_KEYS,
                "realm",
                "names more than four attributes",
                "keep those that part what must never join",
            ),
        ];
        rules
            .into_iter()
            .chain(self.exposition_rules())
            .filter(|(holds, ..)| !holds)
            .map(|(_, key, message, help)| Mistake { key, message, help })
            .collect()
    }

    /// What holds of the keys about metrics, with key, message and help.
    fn exposition_rules(&self) -> [(bool, &'static str, &'static str, &'static str); 6] {
        let bounds = self.bounds();
        [
            (
                (1..=MAX_BOUNDS).contains(&bounds.len()),
                "latency_histogram_buckets",
                "is not 1 to 64 durations",
                "leave it out for 2ms to 1h",
            ),
            (
                bounds.is_sorted_by(|a, b| a < b) && bounds.iter().all(|b| !b.0.is_zero()),
                "latency_histogram_buckets",
                "does not ascend from more than zero",
                "write each bound once, the smallest first",
            ),
            (
                (1_000..=1 << 24).contains(&self.max_series),
                "max_series",
                "is out of bounds",
                "write a number from 1000 to 16777216",
            ),
            (
                self.metrics_flush_interval >= Duration::from_millis(10),
                "metrics_flush_interval",
                "is too short",
                "write `10ms` or more; `1m` is usual",
            ),
            (
                self.events.per_minute <= 1_000_000,
                "events.per_minute",
                "is out of bounds",
                "write a number from 0 to 1000000; 60 is usual",
            ),
            (
                (1..=4_096).contains(&self.events.burst),
                "events.burst",
                "is out of bounds",
                "write a number from 1 to 4096; 100 is usual",
            ),
        ]
    }

    /// The guard that is meant; `seed` keys its hashes.
    #[must_use]
    pub fn settings(&self, seed: u64) -> GuardSettings {
        let shards = self.shards.max(1);
        GuardSettings {
            scan: ScanSettings {
                seed,
                realm_keys: self.realm.clone(),
                remembered: 65_536,
            },
            limits: InternLimits {
                nodes: self.max_nodes,
                edges: self.max_edges,
            },
            shards,
            shard: ShardSettings {
                seed,
                spans: self.max_spans / shards,
                t_orphan: self.orphan_timeout,
                t_pair: self.pair_timeout,
                t_keep: self.keep,
                walk: WalkSettings::default(),
            },
            risk: self.risk.clone(),
            enriches: self.enrich,
            expire_after: self.expire_after,
        }
    }

    /// The bounds as written, or the usual ones.
    fn bounds(&self) -> Vec<Bound> {
        self.latency_histogram_buckets.clone().unwrap_or_else(|| {
            let usual = LATENCY_BOUNDS.iter();
            usual
                .map(|seconds| Bound(Duration::from_secs_f64(*seconds)))
                .collect()
        })
    }

    /// What is exported of the graph.
    pub(super) fn exposition(&self) -> ExpositionSettings {
        ExpositionSettings {
            bounds: self.bounds().iter().map(|bound| bound.0).collect(),
            client_kind: self.client_kind,
            server_kind: self.server_kind,
            max_series: self.max_series,
        }
    }

    /// The memory that waiting sightings may take.
    #[must_use]
    pub fn inbox_bytes(&self) -> ByteSize {
        ByteSize((self.inbox_spans * self.shards * size_of::<Sighting>()) as u64)
    }
}

/// Reads and checks the section.
pub fn configure(
    section: &Section<'_>,
    problems: &mut Problems,
) -> Option<Box<dyn ConnectorConfig>> {
    let config: AgentGuardConfig = section.parse(&[], problems)?;
    let mistakes = config.mistakes();
    for Mistake { key, message, help } in &mistakes {
        problems.error(section.place_of(key), *message, *help);
    }
    let mut risks = Problems::new();
    config.risk.validate(&section.place_of("risk"), &mut risks);
    let is_sound = mistakes.is_empty() && risks.errors().is_empty();
    problems.append(risks);
    is_sound.then(|| Box::new(config) as _)
}

impl ConnectorConfig for AgentGuardConfig {
    fn build(
        &self,
        context: &BuildContext,
        outputs: Outputs,
    ) -> anyhow::Result<Arc<dyn Connector>> {
        let clock = context.telemetry.clock().clone();
        let (mut seed, mut instance) = ([0; 8], [0; 16]);
        getrandom::fill(&mut seed)?;
        // apart from the seed, which nobody may learn
        getrandom::fill(&mut instance)?;
        let random = Random {
            seed: u64::from_le_bytes(seed),
            instance: u128::from_le_bytes(instance),
        };
        let now = Arc::new(move || clock.now());
        let connector = AgentGuardConnector::new(self, random, now, &outputs);
        connector.report(&context.telemetry, &context.id.to_string());
        context
            .shared
            .offer(&context.id, Arc::new(connector.view()));
        Ok(Arc::new(connector))
    }
}
