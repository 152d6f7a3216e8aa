//! The connector's numbers, for whoever publishes them.

use super::View;
use crate::base::sync::{AtomicU64, Ordering};
use crate::graph::{Expired, ShardStats};
use crate::guard::ScanCounts;
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
    "Sightings counted at an overflow node or edge, because the bound was reached.",
)
.labels(&["connector", "what"]);
const EXPIRED: MetricDef = MetricDef::counter(
    "agentguard_graph_expired_total",
    "Nodes and edges that left the graph because nothing had changed them for `expire_after`.",
)
.labels(&["connector", "what"]);

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

/// What the graph's source shows, for the inventory.
pub const EXPOSED: &[&MetricDef] = &[
    &REQUESTS,
    &FAILED,
    &SECONDS_SERVER,
    &SECONDS_CLIENT,
    &PROVISIONAL,
    &TOKENS,
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
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        ScanCounts {
            with_node: read(&self.with_node),
            neutral: read(&self.neutral),
            handoffs: read(&self.handoffs),
            bad_id: read(&self.bad_id),
            ignored: read(&self.ignored),
        }
    }
}
