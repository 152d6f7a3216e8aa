//! The graph as metrics: `traces_service_graph_*` as dashboards read them, what models read, wrote and cost, how nodes fared,
//! and what is at risk.
//!
//! ```text
//! published snapshot ─▶ sums by labels: what coincides is one ─▶ Ratchet: never falls ─┬▶ text, at a scrape
//!                    └▶ findings, as they are now ─────────────────────────────────────┴▶ OTLP, every flush interval
//! ```
//!
//! **Bounds.** `max_series` in all, parted between edges, nodes and models ([`Limits`]). What finds no room is counted in one
//! series, `_other`; of findings the riskiest nodes are shown. Both are counted.
//! **Invariants.** No counter falls, ends or stands twice; a finding is shown for as long as there is one, and what is not
//! known is left out. A counter that appears between two scrapes shows 0 first, so that a rate over it is whole; the first
//! scrape, and one after [`FORGOTTEN`], shows what there is. OTLP says since when each counts, instead.
//! **Not here.** The connector's own health (`metrics`), HTTP (the exporter), the exact graph (scan, API).

mod families;
mod findings;
mod labels;
mod otlp;
mod ratchet;
mod readings;
#[cfg(test)]
mod tests;

pub(super) use otlp::Requests;

use super::View;
use super::metrics::{
    COST, FAILED, MODEL_LABELS, NODE_CALLS, PROVISIONAL, REQUESTS, RISK_SCORE, SECONDS_CLIENT,
    SECONDS_SERVER, TOKENS,
};
use crate::base::{Nanos, TraceId};
use crate::graph::GraphSnapshot;
use crate::guard::Snapshot;
use crate::scan::{NodeKind, Outcome};
use crate::telemetry::{Exposition, Format, MetricsSource, SERIES_DROPPED};
use families::{Families, Spread, number};
use labels::{EdgeLabels, ModelLabels, Name, NodeLabels, Realms};
use parking_lot::Mutex;
use ratchet::Ratchet;
use readings::{Calls, Cost, Ends, Tokens};
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
    "node",
    "kind",
    "name",
    "outcome",
    "term",
    "reach",
    "model",
    "provider",
    "direction",
    "realm",
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
    /// Most series.
    pub(super) max_series: usize,
}

impl ExpositionSettings {
    fn kinds(&self) -> (bool, bool) {
        (self.client_kind, self.server_kind)
    }
}

/// How many edges, nodes and models there are series for, by their labels.
///
/// Half of all series are for edges, three eighths for nodes, an eighth for models: fixed shares, so that none of them
/// crowds out another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Limits {
    edges: usize,
    nodes: usize,
    models: usize,
}

impl Limits {
    /// Series that do not multiply: the system's, and those that count what found no room.
    const FEW: usize = 16;
    /// Ends, findings and the name.
    const OF_A_NODE: usize = Outcome::COUNT + findings::SERIES;
    /// Tokens read and written, and the cost.
    const OF_A_MODEL: usize = 3;

    fn new(max_series: usize, bounds: usize) -> Limits {
        // two counters, two histograms with their last bucket, sum and count, and the calls drawn for now
        let of_an_edge = 2 + 2 * (bounds + 3) + 1;
        let eighth = max_series.saturating_sub(Limits::FEW) / 8;
        // one less, which is for `_other`
        let sets = |series: usize, each: usize| (series / each).saturating_sub(1).max(1);
        Limits {
            edges: sets(4 * eighth, of_an_edge),
            nodes: sets(3 * eighth, Limits::OF_A_NODE),
            models: sets(eighth, Limits::OF_A_MODEL),
        }
    }
}

/// The sums of one snapshot.
#[derive(Default)]
struct Sums {
    edges: BTreeMap<EdgeLabels, Calls>,
    provisional: BTreeMap<EdgeLabels, i64>,
    nodes: BTreeMap<NodeLabels, Ends>,
    models: BTreeMap<ModelLabels, Tokens>,
    costs: BTreeMap<ModelLabels, Cost>,
}

/// Series that were shown.
struct Shown {
    scraped: Option<Nanos>,
    realms: Realms,
    edges: Ratchet<EdgeLabels, Calls>,
    /// Of the last snapshot.
    provisional: BTreeMap<EdgeLabels, i64>,
    nodes: Ratchet<NodeLabels, Ends>,
    models: Ratchet<ModelLabels, Tokens>,
    costs: Ratchet<ModelLabels, Cost>,
    /// The most findings that were left out.
    left_out: u64,
}

/// The metrics of a connector's graph, as one kind of reader has seen them: those who scrape, or where they are sent.
pub(super) struct GraphMetrics {
    view: View,
    settings: ExpositionSettings,
    limits: Limits,
    /// When it began to count.
    began: Nanos,
    /// Held while families are written, by threads that may block.
    shown: Mutex<Shown>,
}

impl GraphMetrics {
    pub(super) fn new(view: View, settings: ExpositionSettings) -> Self {
        let limits = Limits::new(settings.max_series, settings.bounds.len());
        let other_model = ModelLabels(Name::Other);
        let shown = Shown {
            scraped: None,
            realms: Realms::default(),
            edges: Ratchet::new(limits.edges, EdgeLabels::other(settings.kinds())),
            provisional: BTreeMap::new(),
            nodes: Ratchet::new(limits.nodes, NodeLabels(Name::Other)),
            models: Ratchet::new(limits.models, other_model.clone()),
            costs: Ratchet::new(limits.models, other_model),
            left_out: 0,
        };
        GraphMetrics {
            began: view.0.now(),
            view,
            settings,
            limits,
            shown: Mutex::new(shown),
        }
    }

    /// When it began to count.
    pub(super) fn began(&self) -> Nanos {
        self.began
    }

    /// Writes all families of a snapshot as OTLP.
    pub(super) fn send(&self, snapshot: &Snapshot, requests: &mut Requests) {
        let mut shown = self.shown.lock();
        self.take(snapshot, &mut shown, false, requests.before());
        self.write(snapshot, &mut shown, requests);
    }

    fn sums(&self, graph: &GraphSnapshot) -> Sums {
        let mut sums = Sums::default();
        for edge in graph.edges() {
            let (Some(from), Some(to)) = (graph.node(edge.from), graph.node(edge.to)) else {
                continue;
            };
            let kinds = self.settings.kinds();
            let labels = EdgeLabels::new(&from.record, &to.record, edge.kind, kinds);
            if edge.counts.provisional > 0 {
                *sums.provisional.entry(labels.clone()).or_default() += edge.counts.provisional;
            }
            if edge.counts.calls > 0 {
                let calls = Calls::of(&edge.counts, &self.settings.bounds);
                ratchet::add(&mut sums.edges, labels, calls);
            }
        }
        for node in graph.nodes() {
            let name = || Name::Of(Arc::clone(&node.record));
            let ends = Ends(node.counts.outcomes);
            ratchet::add(&mut sums.nodes, NodeLabels(name()), ends);
            if node.record.key.kind == NodeKind::Model {
                let tokens = Tokens {
                    input: node.counts.tokens_in,
                    output: node.counts.tokens_out,
                };
                ratchet::add(&mut sums.models, ModelLabels(name()), tokens);
                // spans do not say what is not known (M-02)
                if node.counts.cost > 0 {
                    let cost = Cost(node.counts.cost);
                    ratchet::add(&mut sums.costs, ModelLabels(name()), cost);
                }
            }
        }
        sums
    }

    /// Takes the sums of a snapshot into what is shown; what is drawn for now is shown as it is.
    fn take(&self, snapshot: &Snapshot, shown: &mut Shown, from_zero: bool, since: Nanos) {
        let sums = self.sums(&snapshot.graph);
        for node in snapshot.graph.nodes() {
            shown.realms.see(&node.record);
        }
        shown.edges.raise(sums.edges, from_zero, since);
        shown.nodes.raise(sums.nodes, from_zero, since);
        shown.models.raise(sums.models, from_zero, since);
        shown.costs.raise(sums.costs, from_zero, since);
        shown.provisional = sums.provisional;
    }

    fn write(&self, snapshot: &Snapshot, shown: &mut Shown, families: &mut dyn Families) {
        self.write_edges(shown, families);
        write_nodes(shown, families);
        write_models(shown, families);
        let realms = shown.realms.are_several();
        let left_out = findings::write(snapshot, self.limits.nodes, realms, families);
        shown.left_out = shown.left_out.max(left_out);
        families.family(&SERIES_DROPPED);
        let refused = [
            (&REQUESTS, shown.edges.refused()),
            (&NODE_CALLS, shown.nodes.refused()),
            (&TOKENS, shown.models.refused()),
            (&RISK_SCORE, shown.left_out),
        ];
        for (def, refused) in refused {
            let refused = number(i64::try_from(refused).unwrap_or(i64::MAX));
            let labels = [("metric", def.name)];
            families.counter(&SERIES_DROPPED, &labels, refused, self.began, NO_TRACE);
        }
    }

    fn write_edges(&self, shown: &Shown, families: &mut dyn Families) {
        let realms = shown.realms.are_several();
        families.family(&REQUESTS);
        for (labels, series) in shown.edges.shown() {
            let (pairs, calls) = (labels.pairs(realms), &series.value);
            let value = number(calls.calls);
            families.counter(&REQUESTS, &pairs, value, series.since, calls.example);
        }
        families.family(&FAILED);
        for (labels, series) in shown.edges.shown() {
            let (pairs, failed) = (labels.pairs(realms), number(series.value.failed));
            families.counter(&FAILED, &pairs, failed, series.since, NO_TRACE);
        }
        for def in [&SECONDS_SERVER, &SECONDS_CLIENT] {
            families.family(def);
            for (labels, series) in shown.edges.shown() {
                let spread = Spread {
                    bounds: &self.settings.bounds,
                    within: &series.value.within,
                    calls: series.value.calls,
                    lasted_ns: series.value.lasted_ns,
                };
                families.histogram(def, &labels.pairs(realms), &spread, series.since);
            }
        }
        families.family(&PROVISIONAL);
        let other = EdgeLabels::other(self.settings.kinds());
        let mut others = 0;
        for (at, (labels, calls)) in shown.provisional.iter().enumerate() {
            if at < self.limits.edges && *labels != other {
                families.gauge(&PROVISIONAL, &labels.pairs(realms), number(*calls));
            } else {
                others += calls;
            }
        }
        if others > 0 {
            families.gauge(&PROVISIONAL, &other.pairs(realms), number(others));
        }
    }
}

/// No trace that would show what was counted.
const NO_TRACE: TraceId = TraceId([0; 16]);

fn write_nodes(shown: &Shown, families: &mut dyn Families) {
    families.family(&NODE_CALLS);
    for (labels, series) in shown.nodes.shown() {
        let mut pairs = labels.pairs(shown.realms.are_several());
        for (outcome, calls) in Ends::OUTCOMES.iter().zip(series.value.0) {
            pairs.push(("outcome", outcome.as_str()));
            families.counter(&NODE_CALLS, &pairs, number(calls), series.since, NO_TRACE);
            pairs.pop();
        }
    }
}

fn write_models(shown: &Shown, families: &mut dyn Families) {
    let realms = shown.realms.are_several();
    families.family(&TOKENS);
    for (labels, series) in shown.models.shown() {
        let mut pairs = labels.pairs(realms);
        let tokens = &series.value;
        for (direction, count) in [("input", tokens.input), ("output", tokens.output)] {
            pairs.push((MODEL_LABELS[2], direction));
            families.counter(&TOKENS, &pairs, number(count), series.since, NO_TRACE);
            pairs.pop();
        }
    }
    families.family(&COST);
    for (labels, series) in shown.costs.shown() {
        let dollars = number(series.value.0) / 1e9;
        families.counter(
            &COST,
            &labels.pairs(realms),
            dollars,
            series.since,
            NO_TRACE,
        );
    }
}

impl MetricsSource for GraphMetrics {
    fn render(&self, format: Format, out: &mut String) {
        let now = self.view.0.now();
        let mut shown = self.shown.lock();
        let snapshot = self.view.published();
        let before = shown.scraped.replace(now);
        let from_zero = before.is_some_and(|before| now < before.plus(FORGOTTEN));
        let since = before.unwrap_or(self.began);
        self.take(&snapshot, &mut shown, from_zero, since);
        self.write(&snapshot, &mut shown, &mut Exposition::new(format, out));
    }
}
