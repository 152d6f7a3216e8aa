//! The connector's numbers, for whoever publishes them.

use super::View;
use super::events::EventKind;
use crate::base::sync::{AtomicU64, Ordering};
use crate::graph::{Expired, ShardStats};
use crate::guard::ScanCounts;
use crate::otlp::Signal;
use crate::scan::{EdgeKind, NodeKind};
use crate::telemetry::{MetricDef, Registry, Unit};

const NODES: MetricDef =
    MetricDef::gauge("agentguard_nodes", "Nodes in the published graph, by kind.")
        .labels(&["connector", "kind"]);
const EDGES: MetricDef =
    MetricDef::gauge("agentguard_edges", "Edges in the published graph, by kind.")
        .labels(&["connector", "kind"]);
const SPANS: MetricDef = MetricDef::counter(
    "agentguard_scan_spans_total",
    "Spans by how they were read: as a node, as a handoff, as neither, or not at all.",
)
.labels(&["connector", "reading"]);
const REFUSED: MetricDef = MetricDef::counter(
    "agentguard_graph_requests_refused_total",
    "Requests pushed back because a shard's inbox was full.",
)
.labels(&["connector"]);
const LOST: MetricDef = MetricDef::counter(
    "agentguard_graph_spans_lost_total",
    "Accepted spans whose shard had gone; they were forwarded, but not counted in the graph.",
)
.labels(&["connector"]);
const INBOX: MetricDef = MetricDef::gauge(
    "agentguard_graph_inbox_spans",
    "Spans that wait for a shard or are being paired.",
)
.labels(&["connector"]);
const HELD: MetricDef = MetricDef::gauge("agentguard_graph_spans_held", "Spans held for pairing.")
    .labels(&["connector"]);
const WAITING: MetricDef = MetricDef::gauge(
    "agentguard_graph_spans_waiting",
    "Spans held whose caller is not known yet.",
)
.labels(&["connector"]);
const EVICTED: MetricDef = MetricDef::counter(
    "agentguard_graph_spans_evicted_total",
    "Spans that gave way because the table was full or their time was up, by reason.",
)
.labels(&["connector", "reason"]);
const DUPLICATES: MetricDef = MetricDef::counter(
    "agentguard_graph_spans_duplicate_total",
    "Spans that had come before and were not counted again.",
)
.labels(&["connector"]);
const UNPAIRED: MetricDef = MetricDef::counter(
    "agentguard_graph_parents_missing_total",
    "Parents that are not waited for any more; their children's calls have a fallback source.",
)
.labels(&["connector"]);
const OVERFLOW: MetricDef = MetricDef::counter(
    "agentguard_graph_overflow_total",
    "Look-ups of names and edges that found no room and count at an overflow node or edge; a worker remembers what it looked up.",
)
.labels(&["connector", "what"]);
const EXPIRED: MetricDef = MetricDef::counter(
    "agentguard_graph_expired_total",
    "Nodes and edges that left the graph because nothing had changed them for `expire_after`.",
)
.labels(&["connector", "what"]);

const EVENTS: MetricDef =
    MetricDef::counter("agentguard_events_total", "Events that went out, by name.")
        .labels(&["connector", "event"]);
const EVENTS_SUPPRESSED: MetricDef = MetricDef::counter(
    "agentguard_events_suppressed_total",
    "Events that were not told because too many of their kind came at once, by name.",
)
.labels(&["connector", "event"]);
const OUTPUT_PENDING: MetricDef = MetricDef::gauge(
    "agentguard_output_pending_events",
    "Events that nobody took yet and that are offered again.",
)
.labels(&["connector"]);
const OUTPUT_REFUSED: MetricDef = MetricDef::counter(
    "agentguard_output_refused_requests_total",
    "Requests of events or metrics that found no room behind the connector and are offered again.",
)
.labels(&["connector", "otel_signal"]);
const OUTPUT_DROPPED: MetricDef = MetricDef::counter(
    "agentguard_output_dropped_items_total",
    "Events or metric points that were given up, by reason: too many waited, they were refused for good, or the process ended.",
)
.labels(&["connector", "otel_signal", "reason"]);

/// The labels that every sample of an edge has; `client_kind` and `server_kind` follow where they are asked for.
pub(super) const EDGE_LABELS: &[&str] = &["client", "server", "connection_type"];
/// Bounds of the latency histograms in seconds, unless configured: the Collector's up to 15 s, then on to the hour that
/// agents take.
pub(super) const LATENCY_BOUNDS: &[f64] = &[
    0.002, 0.004, 0.006, 0.008, 0.01, 0.05, 0.1, 0.2, 0.4, 0.8, 1.0, 1.4, 2.0, 5.0, 10.0, 15.0,
    30.0, 60.0, 120.0, 300.0, 600.0, 1_800.0, 3_600.0,
];
/// The labels of a model's tokens.
pub(super) const MODEL_LABELS: &[&str] = &["model", "provider", "direction"];
pub(super) const REQUESTS: MetricDef = MetricDef::counter(
    "traces_service_graph_request_total",
    "Calls from one node to another, since the process began.",
)
.labels(EDGE_LABELS);
pub(super) const FAILED: MetricDef = MetricDef::counter(
    "traces_service_graph_request_failed_total",
    "Calls that ended in an error, a timeout or a refusal.",
)
.labels(EDGE_LABELS);
pub(super) const SECONDS_SERVER: MetricDef = MetricDef::histogram(
    "traces_service_graph_request_server_seconds",
    "How long calls took. A call is one span here, so that both sides show the same.",
    LATENCY_BOUNDS,
)
.unit(Unit::Seconds)
.labels(EDGE_LABELS);
pub(super) const SECONDS_CLIENT: MetricDef = MetricDef::histogram(
    "traces_service_graph_request_client_seconds",
    "How long calls took. A call is one span here, so that both sides show the same.",
    LATENCY_BOUNDS,
)
.unit(Unit::Seconds)
.labels(EDGE_LABELS);
pub(super) const PROVISIONAL: MetricDef = MetricDef::gauge(
    "agentguard_edge_provisional_calls",
    "Calls drawn for now, because a span above them has not come; not among the requests.",
)
.labels(EDGE_LABELS);
pub(super) const TOKENS: MetricDef = MetricDef::counter(
    "agentguard_model_tokens_total",
    "Tokens that models read (input) and wrote (output), since the process began.",
)
.labels(MODEL_LABELS);

pub(super) const COST: MetricDef = MetricDef::counter(
    "agentguard_model_cost_usd_total",
    "What models cost in dollars as far as spans say, since the process began; absent where none says.",
)
.labels(&["model", "provider"]);

/// The label of the realm, which series have where there is more than one.
pub(super) const REALM: &str = "realm";
/// The labels that every sample of a node has.
pub(super) const NODE_LABELS: &[&str] = &["node", "kind"];
pub(super) const NODE_CALLS: MetricDef = MetricDef::counter(
    "agentguard_node_calls_total",
    "Calls of a node by how they ended, since the process began.",
)
.labels(&["node", "kind", "outcome"]);
pub(super) const NODE_INFO: MetricDef = MetricDef::gauge(
    "agentguard_node_info",
    "A node's shown name, as a label; always 1.",
)
.labels(&["node", "kind", "name"]);
pub(super) const RISK_SCORE: MetricDef = MetricDef::gauge(
    "agentguard_node_risk_score",
    "A node's risk, 0 to 10: its terms combined.",
)
.labels(NODE_LABELS);
pub(super) const RISK_TERM: MetricDef = MetricDef::gauge(
    "agentguard_node_risk_term_ratio",
    "Why a node is at risk: each term, 0 to 1, before it is weighed.",
)
.unit(Unit::Ratio)
.labels(&["node", "kind", "term"]);
pub(super) const SPOF: MetricDef = MetricDef::gauge(
    "agentguard_node_spof",
    "Whether a node is a single point of failure: 1 if an entry other than itself fails for certain with it, else 0.",
)
.labels(NODE_LABELS);
pub(super) const SPOF_SHARE: MetricDef = MetricDef::gauge(
    "agentguard_node_spof_share_ratio",
    "Share of the entries' recent traffic that fails for certain with a node.",
)
.unit(Unit::Ratio)
.labels(NODE_LABELS);
pub(super) const BLAST_RADIUS: MetricDef = MetricDef::gauge(
    "agentguard_node_blast_radius_ratio",
    "Share of the entries' recent traffic that is expected to fail with a node.",
)
.unit(Unit::Ratio)
.labels(NODE_LABELS);
pub(super) const DEPENDENTS: MetricDef = MetricDef::gauge(
    "agentguard_node_dependents",
    "Nodes that depend on a node: at one step (direct), or at any number of steps (transitive).",
)
.labels(&["node", "kind", "reach"]);
pub(super) const ENTRY_SHARE: MetricDef = MetricDef::gauge(
    "agentguard_entry_share_ratio",
    "Share of all recent traffic that comes in at a node; nodes where none comes in have none.",
)
.unit(Unit::Ratio)
.labels(NODE_LABELS);
pub(super) const SYSTEM_RISK: MetricDef = MetricDef::gauge(
    "agentguard_system_risk_score",
    "The risk of the whole system, 0 to 10.",
);
pub(super) const CYCLES: MetricDef = MetricDef::gauge(
    "agentguard_cycles",
    "Groups of nodes that depend on each other in a circle.",
);
pub(super) const CYCLE_NODES: MetricDef =
    MetricDef::gauge("agentguard_cycle_nodes", "Nodes that stand in a cycle.");

/// What the graph's source shows, for the inventory, in this order.
pub const EXPOSED: &[&MetricDef] = &[
    &REQUESTS,
    &FAILED,
    &SECONDS_SERVER,
    &SECONDS_CLIENT,
    &PROVISIONAL,
    &NODE_CALLS,
    &TOKENS,
    &COST,
    &NODE_INFO,
    &RISK_SCORE,
    &RISK_TERM,
    &SPOF,
    &SPOF_SHARE,
    &BLAST_RADIUS,
    &DEPENDENTS,
    &ENTRY_SHARE,
    &SYSTEM_RISK,
    &CYCLES,
    &CYCLE_NODES,
];

/// Every definition of the connector's own health, for the inventory.
pub const DEFINITIONS: &[&MetricDef] = &[
    &NODES,
    &EDGES,
    &SPANS,
    &REFUSED,
    &LOST,
    &INBOX,
    &HELD,
    &WAITING,
    &EVICTED,
    &DUPLICATES,
    &UNPAIRED,
    &OVERFLOW,
    &EXPIRED,
    &EVENTS,
    &EVENTS_SUPPRESSED,
    &OUTPUT_PENDING,
    &OUTPUT_REFUSED,
    &OUTPUT_DROPPED,
];

/// Lets a registry read the numbers at each scrape.
pub(super) fn report(registry: &Registry, id: &str, view: &View) {
    let pull = |def: &'static MetricDef, more: &[&str], read: fn(&Numbers) -> u64| {
        let view = view.clone();
        let labels: Vec<&str> = std::iter::once(id).chain(more.iter().copied()).collect();
        registry
            .pull(def, &labels, move || whole(read(&view.numbers())))
            .keep();
    };
    for kind in NodeKind::ALL {
        let view = view.clone();
        let read = move || whole(of_kind(&view.published().graph.nodes_by_kind(), kind));
        registry.pull(&NODES, &[id, kind.as_str()], read).keep();
    }
    for kind in EdgeKind::ALL {
        let view = view.clone();
        let read = move || whole(of_kind(&view.published().graph.edges_by_kind(), kind));
        registry.pull(&EDGES, &[id, kind.as_str()], read).keep();
    }
    pull(&SPANS, &["node"], |n| n.scan.with_node);
    pull(&SPANS, &["neutral"], |n| n.scan.neutral);
    pull(&SPANS, &["handoff"], |n| n.scan.handoffs);
    pull(&SPANS, &["bad_id"], |n| n.scan.bad_id);
    pull(&SPANS, &["ignored"], |n| n.scan.ignored);
    pull(&REFUSED, &[], |n| n.refused_requests);
    pull(&LOST, &[], |n| n.lost_spans);
    pull(&INBOX, &[], |n| n.inbox_spans.iter().sum());
    pull(&HELD, &[], |n| n.sum(|shard| shard.spans));
    pull(&WAITING, &[], |n| n.sum(|shard| shard.waiting));
    pull(&EVICTED, &["closed"], |n| {
        n.sum(|shard| shard.evicted_closed)
    });
    pull(&EVICTED, &["settled"], |n| {
        n.sum(|shard| shard.evicted_settled)
    });
    pull(&EVICTED, &["waiting"], |n| {
        n.sum(|shard| shard.evicted_waiting)
    });
    pull(&EVICTED, &["expired"], |n| n.sum(|shard| shard.expired));
    pull(&DUPLICATES, &[], |n| n.sum(|shard| shard.duplicates));
    pull(&UNPAIRED, &[], |n| n.sum(|shard| shard.given_up));
    pull(&OVERFLOW, &["node"], |n| n.refused_nodes);
    pull(&OVERFLOW, &["edge"], |n| n.refused_edges);
    pull(&EXPIRED, &["node"], |n| n.expired.nodes);
    pull(&EXPIRED, &["edge"], |n| n.expired.edges);
    report_outputs(registry, id, view);
}

/// The same of what is told and sent.
fn report_outputs(registry: &Registry, id: &str, view: &View) {
    let pull =
        |def: &'static MetricDef, more: &[&str], read: Box<dyn Fn(&Told) -> u64 + Send + Sync>| {
            let view = view.clone();
            let labels: Vec<&str> = std::iter::once(id).chain(more.iter().copied()).collect();
            let read = move || whole(read(&view.0.counters.told));
            registry.pull(def, &labels, read).keep();
        };
    for kind in EventKind::ALL {
        let name = [kind.as_str()];
        pull(
            &EVENTS,
            &name,
            Box::new(move |told| read(&told.events[kind as usize])),
        );
        let suppressed = move |told: &Told| read(&told.suppressed[kind as usize]);
        pull(&EVENTS_SUPPRESSED, &name, Box::new(suppressed));
    }
    pull(&OUTPUT_PENDING, &[], Box::new(|told| read(&told.pending)));
    for signal in [Signal::Metrics, Signal::Logs] {
        let refused = move |told: &Told| read(&told.refused[signal as usize]);
        pull(&OUTPUT_REFUSED, &[signal.as_str()], Box::new(refused));
        for lost in Lost::ALL {
            let dropped = move |told: &Told| read(&told.dropped[signal as usize][lost as usize]);
            let labels = [signal.as_str(), lost.as_str()];
            pull(&OUTPUT_DROPPED, &labels, Box::new(dropped));
        }
    }
}

fn read(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

/// Why something that we author was given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lost {
    /// Too much waited already.
    Overflow,
    /// It was refused for good.
    Rejected,
    /// Nobody had taken it when the connector ended.
    Shutdown,
}

impl Lost {
    const ALL: [Lost; 3] = [Lost::Overflow, Lost::Rejected, Lost::Shutdown];

    fn as_str(self) -> &'static str {
        match self {
            Lost::Overflow => "overflow",
            Lost::Rejected => "rejected",
            Lost::Shutdown => "shutdown",
        }
    }
}

/// Counters of what the connector authors; by kind of event, by [`Signal`], by [`Lost`].
#[derive(Default)]
pub(super) struct Told {
    pub(super) events: [AtomicU64; EventKind::COUNT],
    pub(super) suppressed: [AtomicU64; EventKind::COUNT],
    pub(super) pending: AtomicU64,
    pub(super) refused: [AtomicU64; 3],
    pub(super) dropped: [[AtomicU64; 3]; 3],
}

fn of_kind<K: PartialEq>(counts: &[(K, u64)], kind: K) -> u64 {
    counts
        .iter()
        .find(|(k, _)| *k == kind)
        .map_or(0, |(_, n)| *n)
}

#[expect(clippy::cast_precision_loss, reason = "a metric's number is a double")]
fn whole(n: u64) -> f64 {
    n as f64
}

/// Everything the connector counts, at one moment.
#[derive(Clone, Debug, Default)]
pub struct Numbers {
    /// `agentguard_nodes{kind}`: nodes in the published graph.
    pub nodes: Vec<(NodeKind, u64)>,
    /// `agentguard_edges{kind}`: edges in it.
    pub edges: Vec<(EdgeKind, u64)>,
    /// Spans by how they were read.
    pub scan: ScanCounts,
    /// Requests pushed back because an inbox was full.
    pub refused_requests: u64,
    /// Spans accepted whose shard had gone; 0 unless a thread died.
    pub lost_spans: u64,
    /// Spans that hold room in each shard's inbox.
    pub inbox_spans: Vec<u64>,
    /// Each shard's own numbers, as of the last tick.
    pub shards: Vec<ShardStats>,
    /// Sightings of names that found no room among the nodes.
    pub refused_nodes: u64,
    /// The same among the edges.
    pub refused_edges: u64,
    /// What left the graph because nothing had changed it for long.
    pub expired: Expired,
}

impl Numbers {
    /// A number of all shards together.
    fn sum(&self, of: fn(&ShardStats) -> u64) -> u64 {
        self.shards.iter().map(of).sum()
    }
}

/// Counters of the request clock, and of what aged.
#[derive(Default)]
pub(super) struct Counters {
    with_node: AtomicU64,
    neutral: AtomicU64,
    handoffs: AtomicU64,
    bad_id: AtomicU64,
    ignored: AtomicU64,
    pub(super) refused_requests: AtomicU64,
    pub(super) lost_spans: AtomicU64,
    expired_nodes: AtomicU64,
    expired_edges: AtomicU64,
    pub(super) told: Told,
}

impl Counters {
    /// Adds a committed request's.
    pub(super) fn add(&self, counts: &ScanCounts) {
        for (counter, more) in [
            (&self.with_node, counts.with_node),
            (&self.neutral, counts.neutral),
            (&self.handoffs, counts.handoffs),
            (&self.bad_id, counts.bad_id),
            (&self.ignored, counts.ignored),
        ] {
            if more > 0 {
                counter.fetch_add(more, Ordering::Relaxed);
            }
        }
    }

    /// Adds what left the graph.
    pub(super) fn expire(&self, expired: Expired) {
        self.expired_nodes
            .fetch_add(expired.nodes, Ordering::Relaxed);
        self.expired_edges
            .fetch_add(expired.edges, Ordering::Relaxed);
    }

    pub(super) fn expired(&self) -> Expired {
        Expired {
            nodes: self.expired_nodes.load(Ordering::Relaxed),
            edges: self.expired_edges.load(Ordering::Relaxed),
        }
    }

    pub(super) fn scan(&self) -> ScanCounts {
        ScanCounts {
            with_node: read(&self.with_node),
            neutral: read(&self.neutral),
            handoffs: read(&self.handoffs),
            bad_id: read(&self.bad_id),
            ignored: read(&self.ignored),
        }
    }
}
