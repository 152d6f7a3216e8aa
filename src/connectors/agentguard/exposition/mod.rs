//! The graph as Prometheus sees it: `traces_service_graph_*` as dashboards read them, and what models read and wrote.
//!
//! ```text
//! published snapshot ─▶ sums by labels: edges whose labels coincide are one ─▶ Ratchet: never falls ─▶ text
//! ```
//!
//! **Bounds.** `max_series` label sets of edges, and as many of models; what comes beyond is one series, `_other`, and
//! counted. A label set of edges is two counters and two histograms.
//! **Invariants.** No series falls, ends or stands twice. A series that appears between two scrapes shows 0 first, so that a
//! rate over it is whole; the first scrape, and one after [`FORGOTTEN`], shows what there is.
//! **Not here.** The connector's own health (`metrics`), HTTP (the exporter), the exact graph (scan, API).

mod ratchet;
#[cfg(test)]
mod tests;

use super::View;
use super::metrics::{
    EDGE_LABELS, FAILED, MODEL_LABELS, PROVISIONAL, REQUESTS, SECONDS_CLIENT, SECONDS_SERVER,
    TOKENS,
};
use crate::base::{Nanos, TraceId};
use crate::graph::{Counts, GraphSnapshot, NodeRecord};
use crate::scan::{EdgeKind, NodeKind};
use crate::telemetry::{Exposition, Format, MetricDef, MetricsSource, OTHER, SERIES_DROPPED};
use parking_lot::Mutex;
use ratchet::{Ratchet, Reading};
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Every label that a sample may have besides the formats' own.
pub(super) const LABELS: &[&str] = &[
    "client",
    "server",
    "connection_type",
    "client_kind",
    "server_kind",
    "model",
    "provider",
    "direction",
    "metric",
];

/// How long after a scrape nobody remembers it: as long as Prometheus looks back.
const FORGOTTEN: Duration = Duration::from_secs(300);

/// What the user chose of the exposition.
#[derive(Clone, Debug)]
pub(super) struct ExpositionSettings {
    /// Upper bounds of the histograms' buckets, ascending.
    pub(super) bounds: Vec<Duration>,
    /// Whether edges have the label `client_kind`.
    pub(super) client_kind: bool,
    /// Whether edges have the label `server_kind`.
    pub(super) server_kind: bool,
    /// Most label sets.
    pub(super) max_series: usize,
}

/// A label's value that a node gives, or the one for all that found no room.
#[derive(Clone, Debug)]
enum Name {
    Of(Arc<NodeRecord>),
    Other,
}

impl Name {
    fn display(&self) -> &str {
        match self {
            Name::Of(record) => &record.display,
            Name::Other => OTHER,
        }
    }

    fn provider(&self) -> &str {
        match self {
            Name::Of(record) => &record.key.scope,
            Name::Other => OTHER,
        }
    }
}

/// Names are what they show: two nodes that are shown alike are one.
impl PartialEq for Name {
    fn eq(&self, other: &Name) -> bool {
        self.display() == other.display()
    }
}

impl Eq for Name {}

impl PartialOrd for Name {
    fn partial_cmp(&self, other: &Name) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Name {
    fn cmp(&self, other: &Name) -> Ordering {
        self.display().cmp(other.display())
    }
}

/// The labels of an edge.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct EdgeLabels {
    client: Name,
    server: Name,
    connection_type: &'static str,
    /// Empty unless asked for.
    client_kind: &'static str,
    server_kind: &'static str,
}

impl EdgeLabels {
    fn pairs(&self) -> Vec<(&str, &str)> {
        let mut pairs = vec![
            (EDGE_LABELS[0], self.client.display()),
            (EDGE_LABELS[1], self.server.display()),
            (EDGE_LABELS[2], self.connection_type),
        ];
        let kinds = [
            ("client_kind", self.client_kind),
            ("server_kind", self.server_kind),
        ];
        pairs.extend(kinds.into_iter().filter(|(_, kind)| !kind.is_empty()));
        pairs
    }
}

/// A model, told apart by its name and its provider.
#[derive(Clone, Debug)]
struct ModelLabels(Name);

impl ModelLabels {
    fn parts(&self) -> (&str, &str) {
        (self.0.display(), self.0.provider())
    }
}

impl PartialEq for ModelLabels {
    fn eq(&self, other: &ModelLabels) -> bool {
        self.parts() == other.parts()
    }
}

impl Eq for ModelLabels {}

impl PartialOrd for ModelLabels {
    fn partial_cmp(&self, other: &ModelLabels) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for ModelLabels {
    fn cmp(&self, other: &ModelLabels) -> Ordering {
        self.parts().cmp(&other.parts())
    }
}

/// What is shown of an edge.
#[derive(Clone, Debug, Default)]
struct Calls {
    calls: i64,
    failed: i64,
    lasted_ns: i64,
    /// Calls that took no longer than each bound.
    within: Vec<i64>,
    example: TraceId,
}

impl Calls {
    fn of(counts: &Counts, bounds: &[Duration]) -> Calls {
        let mut within = vec![0; bounds.len()];
        for (middle, calls) in counts.latency.buckets() {
            let first = bounds.partition_point(|bound| nanos(*bound) < middle);
            for sum in within.iter_mut().skip(first) {
                *sum += calls;
            }
        }
        Calls {
            calls: counts.calls,
            failed: counts.failures(),
            lasted_ns: counts.duration_ns,
            within,
            example: counts.example,
        }
    }
}

impl Reading for Calls {
    fn add(&mut self, other: Calls) {
        self.calls += other.calls;
        self.failed += other.failed;
        self.lasted_ns = self.lasted_ns.saturating_add(other.lasted_ns);
        if self.within.is_empty() {
            self.within = other.within;
        } else {
            for (sum, more) in self.within.iter_mut().zip(other.within) {
                *sum += more;
            }
        }
        if self.example == TraceId::default() {
            self.example = other.example;
        }
    }

    fn take(&mut self, other: Calls) {
        self.calls -= other.calls;
        self.failed -= other.failed;
        self.lasted_ns = self.lasted_ns.saturating_sub(other.lasted_ns);
        if self.within.is_empty() {
            self.within.resize(other.within.len(), 0);
        }
        for (sum, less) in self.within.iter_mut().zip(other.within) {
            *sum -= less;
        }
    }

    /// Each bound for itself: the larger of two rising rows rises too.
    fn raise(&mut self, sum: &Calls) {
        self.calls = self.calls.max(sum.calls);
        self.failed = self.failed.max(sum.failed);
        self.lasted_ns = self.lasted_ns.max(sum.lasted_ns);
        self.within.resize(sum.within.len(), 0);
        for (shown, sum) in self.within.iter_mut().zip(&sum.within) {
            *shown = (*shown).max(*sum);
        }
        self.example = sum.example;
    }
}

/// What a model read and wrote.
#[derive(Clone, Copy, Debug, Default)]
struct Tokens {
    input: i64,
    output: i64,
}

impl Reading for Tokens {
    fn add(&mut self, other: Tokens) {
        self.input = self.input.saturating_add(other.input);
        self.output = self.output.saturating_add(other.output);
    }

    fn take(&mut self, other: Tokens) {
        self.input = self.input.saturating_sub(other.input);
        self.output = self.output.saturating_sub(other.output);
    }

    fn raise(&mut self, sum: &Tokens) {
        self.input = self.input.max(sum.input);
        self.output = self.output.max(sum.output);
    }
}

/// The sums of one snapshot.
#[derive(Default)]
struct Sums {
    edges: BTreeMap<EdgeLabels, Calls>,
    provisional: BTreeMap<EdgeLabels, i64>,
    models: BTreeMap<ModelLabels, Tokens>,
}

/// Series that were shown.
struct Shown {
    scraped: Option<Nanos>,
    edges: Ratchet<EdgeLabels, Calls>,
    models: Ratchet<ModelLabels, Tokens>,
}

/// The metrics of a connector's graph.
pub(super) struct GraphMetrics {
    view: View,
    settings: ExpositionSettings,
    /// The labels of edges that find no room.
    other: EdgeLabels,
    /// Held while a scrape is written, by threads that may block.
    shown: Mutex<Shown>,
}

impl GraphMetrics {
    pub(super) fn new(view: View, settings: ExpositionSettings) -> Self {
        let other = EdgeLabels {
            client: Name::Other,
            server: Name::Other,
            connection_type: "",
            client_kind: if settings.client_kind { OTHER } else { "" },
            server_kind: if settings.server_kind { OTHER } else { "" },
        };
        let shown = Shown {
            scraped: None,
            edges: Ratchet::new(settings.max_series, other.clone()),
            models: Ratchet::new(settings.max_series, ModelLabels(Name::Other)),
        };
        GraphMetrics {
            view,
            settings,
            other,
            shown: Mutex::new(shown),
        }
    }

    /// Runs what publishes the graph after entries have aged out of it, and nothing else has changed. What they counted
    /// stays in the counters, whose series would start anew otherwise.
    pub(super) fn keep_counts(&self, publish: impl FnOnce()) {
        // no scrape sees the one without the other
        let mut shown = self.shown.lock();
        let before = self.view.published();
        publish();
        let after = self.view.published();
        let mut gone = self.sums(&before.graph, Some(&after.graph));
        let left = self.sums(&after.graph, Some(&before.graph));
        for (labels, sum) in left.edges {
            gone.edges.entry(labels).or_default().take(sum);
        }
        for (labels, sum) in left.models {
            gone.models.entry(labels).or_default().take(sum);
        }
        shown.edges.keep(gone.edges);
        shown.models.keep(gone.models);
    }

    /// The sums of a graph; with another, of those rows alone that the two do not share.
    fn sums(&self, graph: &GraphSnapshot, without: Option<&GraphSnapshot>) -> Sums {
        let mut sums = Sums::default();
        for (at, edge) in (0..).zip(graph.edges()) {
            let raw = graph.raw_edges(at).first();
            let twin = raw.and_then(|raw| without?.edge_at(without?.row_of_edge(*raw)?));
            if twin.is_some_and(|twin| std::ptr::eq(twin, edge)) {
                continue;
            }
            let (Some(from), Some(to)) = (graph.node(edge.from), graph.node(edge.to)) else {
                continue;
            };
            let kind_if = |asked: bool, record: &NodeRecord| {
                if asked { record.key.kind.as_str() } else { "" }
            };
            let labels = EdgeLabels {
                client: Name::Of(Arc::clone(&from.record)),
                server: Name::Of(Arc::clone(&to.record)),
                connection_type: connection_type(
                    edge.kind,
                    from.record.key.kind,
                    to.record.key.kind,
                ),
                client_kind: kind_if(self.settings.client_kind, &from.record),
                server_kind: kind_if(self.settings.server_kind, &to.record),
            };
            if edge.counts.provisional > 0 {
                *sums.provisional.entry(labels.clone()).or_default() += edge.counts.provisional;
            }
            if edge.counts.calls > 0 {
                let calls = Calls::of(&edge.counts, &self.settings.bounds);
                sums.edges.entry(labels).or_default().add(calls);
            }
        }
        for node in graph.nodes() {
            let twin = without.and_then(|graph| graph.node(node.record.node));
            let is_shared = twin.is_some_and(|twin| std::ptr::eq(twin, node));
            if node.record.key.kind == NodeKind::Model && !is_shared {
                let labels = ModelLabels(Name::Of(Arc::clone(&node.record)));
                sums.models.entry(labels).or_default().add(Tokens {
                    input: node.counts.tokens_in,
                    output: node.counts.tokens_out,
                });
            }
        }
        sums
    }

    fn edges(
        &self,
        shown: &Ratchet<EdgeLabels, Calls>,
        provisional: &BTreeMap<EdgeLabels, i64>,
        exposition: &mut Exposition<'_>,
    ) {
        exposition.family(&REQUESTS);
        for (labels, calls) in shown.shown() {
            let (labels, value) = (labels.pairs(), number(calls.calls));
            exposition.counter_with_trace(&REQUESTS, &labels, value, calls.example);
        }
        exposition.family(&FAILED);
        for (labels, calls) in shown.shown() {
            exposition.sample(&FAILED, &labels.pairs(), number(calls.failed));
        }
        for def in [&SECONDS_SERVER, &SECONDS_CLIENT] {
            exposition.family(def);
            for (labels, calls) in shown.shown() {
                self.histogram(def, labels, calls, exposition);
            }
        }
        exposition.family(&PROVISIONAL);
        let mut others = 0;
        for (at, (labels, calls)) in provisional.iter().enumerate() {
            if at < self.settings.max_series && *labels != self.other {
                exposition.sample(&PROVISIONAL, &labels.pairs(), number(*calls));
            } else {
                others += calls;
            }
        }
        if others > 0 {
            exposition.sample(&PROVISIONAL, &self.other.pairs(), number(others));
        }
    }

    fn histogram(
        &self,
        def: &MetricDef,
        labels: &EdgeLabels,
        calls: &Calls,
        exposition: &mut Exposition<'_>,
    ) {
        let whole = |n: i64| u64::try_from(n).unwrap_or(0);
        let bounds = self.settings.bounds.iter().enumerate();
        let buckets = bounds.map(|(at, bound)| {
            let within = calls.within.get(at).copied().unwrap_or(0);
            (bound.as_secs_f64(), whole(within))
        });
        let seconds = number(calls.lasted_ns) / 1e9;
        exposition.histogram(def, &labels.pairs(), buckets, seconds, whole(calls.calls));
    }
}

impl MetricsSource for GraphMetrics {
    fn render(&self, format: Format, out: &mut String) {
        let now = self.view.0.now();
        let mut shown = self.shown.lock();
        let Sums {
            edges,
            provisional,
            models,
        } = self.sums(&self.view.published().graph, None);
        let from_zero = shown
            .scraped
            .is_some_and(|scraped| now < scraped.plus(FORGOTTEN));
        shown.scraped = Some(now);
        shown.edges.raise(edges, from_zero);
        shown.models.raise(models, from_zero);
        let mut exposition = Exposition::new(format, out);
        self.edges(&shown.edges, &provisional, &mut exposition);
        exposition.family(&TOKENS);
        for (labels, tokens) in shown.models.shown() {
            let (model, provider) = labels.parts();
            for (direction, count) in [("input", tokens.input), ("output", tokens.output)] {
                let values = [model, provider, direction];
                let labels: Vec<_> = MODEL_LABELS.iter().copied().zip(values).collect();
                exposition.sample(&TOKENS, &labels, number(count));
            }
        }
        exposition.family(&SERIES_DROPPED);
        let refused = [
            (REQUESTS.name, shown.edges.refused()),
            (TOKENS.name, shown.models.refused()),
        ];
        for (metric, refused) in refused {
            let refused = i64::try_from(refused).unwrap_or(i64::MAX);
            exposition.sample(&SERIES_DROPPED, &[("metric", metric)], number(refused));
        }
    }
}

/// The field's word for what lies between two nodes: a model or a person sends no spans and is seen by its caller alone.
fn connection_type(edge: EdgeKind, from: NodeKind, to: NodeKind) -> &'static str {
    match (edge, from, to) {
        (EdgeKind::Publishes | EdgeKind::Delivers, _, _)
        | (_, NodeKind::Queue, _)
        | (_, _, NodeKind::Queue) => "messaging_system",
        (_, _, NodeKind::Database) => "database",
        (_, _, NodeKind::Model | NodeKind::Human) => "virtual_node",
        _ => "",
    }
}

#[expect(clippy::cast_precision_loss, reason = "a metric's number is a double")]
fn number(n: i64) -> f64 {
    n as f64
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a bound is compared with the middle of a bucket"
)]
fn nanos(duration: Duration) -> f64 {
    duration.as_nanos() as f64
}
