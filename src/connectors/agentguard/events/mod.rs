//! What is new in the graph, told as OTLP log records: nodes, edges, single points of failure, cycles.
//!
//! ```text
//! published snapshot ─▶ Known: is it news? ─▶ Allowance [burst, per minute] ─▶ LogRecord
//!                       once per thing         the rest is counted, and summed up in the next that passes
//! ```
//!
//! A finding is told when it has held for [`HOLD`]: one that comes and goes with every tick is none. What was told is told
//! again only after it was gone for [`FORGET`].
//!
//! **Bounds.** An entry for each node and edge of the graph, and for those gone not long ago; members of a cycle that are
//! named. **Invariants.** The same snapshots at the same times tell the same; nothing is told twice, nor is what was
//! suppressed. **Not here.** Where records go (`outputs`), what a finding is (`analysis`), incidents.

mod allowance;
mod known;
mod record;
#[cfg(test)]
mod tests;

use super::config::EventsConfig;
use crate::analysis::{Cycle, NodeRisk};
use crate::base::{Nanos, NodeId};
use crate::graph::{EdgeKey, EdgeRow, GraphSnapshot, NodeRow, OVERFLOW, Row};
use crate::guard::{Snapshot, StreamTime};
use crate::otlp::semconv;
use allowance::Allowance;
use known::Known;
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use record::When;
use std::time::Duration;

/// How long a finding must hold before it is told.
const HOLD: Duration = Duration::from_secs(5);

/// How long a thing must be gone to be news again.
const FORGET: Duration = Duration::from_secs(600);

/// What can be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum EventKind {
    NodeDiscovered,
    EdgeDiscovered,
    SpofDetected,
    CycleDetected,
}

impl EventKind {
    /// How many there are; they index tables.
    pub(super) const COUNT: usize = 4;

    /// All kinds, in order.
    pub(super) const ALL: [EventKind; EventKind::COUNT] = [
        EventKind::NodeDiscovered,
        EventKind::EdgeDiscovered,
        EventKind::SpofDetected,
        EventKind::CycleDetected,
    ];

    /// The name of its events.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            EventKind::NodeDiscovered => semconv::EVENT_NODE_DISCOVERED,
            EventKind::EdgeDiscovered => semconv::EVENT_EDGE_DISCOVERED,
            EventKind::SpofDetected => semconv::EVENT_SPOF_DETECTED,
            EventKind::CycleDetected => semconv::EVENT_CYCLE_DETECTED,
        }
    }
}

/// An event, ready to be sent.
#[derive(Clone, Debug)]
pub(super) struct Event {
    pub(super) kind: EventKind,
    pub(super) record: LogRecord,
}

/// What one look at the graph came to.
#[derive(Debug, Default)]
pub(super) struct News {
    pub(super) events: Vec<Event>,
    /// Events that were not made, by kind.
    pub(super) suppressed: [u64; EventKind::COUNT],
}

/// What is to be told.
enum Found<'s> {
    Node(&'s NodeRow),
    Edge(&'s NodeRow, &'s EdgeRow, &'s NodeRow),
    Spof(&'s NodeRow, &'s NodeRisk),
    Cycle(Vec<&'s NodeRow>),
}

/// What was told before, and how much may be told now.
pub(super) struct Discovery {
    nodes: Known<NodeId>,
    edges: Known<EdgeKey>,
    spofs: Known<NodeId>,
    /// Members of cycles.
    looping: Known<NodeId>,
    /// The structure that was looked at, and the rows of its edges without a settled call.
    structure: Option<u64>,
    unsettled: Vec<Row>,
    time: StreamTime,
    allowances: [Allowance; EventKind::COUNT],
}

impl Discovery {
    /// Nothing was told yet.
    pub(super) fn new(config: &EventsConfig) -> Self {
        Discovery {
            nodes: Known::new(Duration::ZERO),
            edges: Known::new(Duration::ZERO),
            spofs: Known::new(HOLD),
            looping: Known::new(HOLD),
            structure: None,
            unsettled: Vec::new(),
            time: StreamTime::default(),
            allowances: [(); EventKind::COUNT].map(|()| Allowance::new(config)),
        }
    }

    /// Whether time alone may make news of the last snapshot.
    pub(super) fn waits(&self) -> bool {
        self.spofs.waits() || self.looping.waits()
    }

    /// Looks at the graph; `now` is the clock's. Costs what the graph is large if its structure is another than at the last
    /// look, else the number of its nodes.
    pub(super) fn observe(&mut self, snapshot: &Snapshot, now: Nanos) -> News {
        let graph = &snapshot.graph;
        let mut found = Vec::new();
        if self.structure.replace(graph.structure_version()) == Some(graph.structure_version()) {
            let unsettled = std::mem::take(&mut self.unsettled);
            self.see_edges(graph, unsettled.into_iter(), now, &mut found);
        } else {
            self.nodes.begin();
            self.edges.begin();
            for node in graph.nodes() {
                if !is_overflow(node) && self.nodes.is_news(node.record.node, now) {
                    found.push(Found::Node(node));
                }
            }
            self.unsettled.clear();
            let all = 0..Row::try_from(graph.edges().len()).unwrap_or(Row::MAX);
            self.see_edges(graph, all, now, &mut found);
            self.nodes.end(now);
            self.edges.end(now);
        }
        self.spofs.begin();
        self.looping.begin();
        for (node, risk) in graph.nodes().iter().zip(snapshot.analysis.nodes()) {
            if risk.is_spof && !is_overflow(node) && self.spofs.is_news(node.record.node, now) {
                found.push(Found::Spof(node, risk));
            }
        }
        for cycle in snapshot.analysis.cycles() {
            self.see_cycle(graph, cycle, now, &mut found);
        }
        self.spofs.end(now);
        self.looping.end(now);
        self.tell(graph, &found, now)
    }

    /// Sees edges by their rows. One that is drawn for now may turn out to be another, and waits.
    fn see_edges<'s>(
        &mut self,
        graph: &'s GraphSnapshot,
        rows: impl Iterator<Item = Row>,
        now: Nanos,
        found: &mut Vec<Found<'s>>,
    ) {
        for row in rows {
            let Some(edge) = graph.edge_at(row) else {
                continue;
            };
            let key = EdgeKey {
                from: edge.from,
                to: edge.to,
                kind: edge.kind,
            };
            if edge.counts.calls <= 0 {
                self.unsettled.push(row);
            } else if self.edges.is_news(key, now)
                && let (Some(from), Some(to)) = (graph.node(edge.from), graph.node(edge.to))
                && !is_overflow(from)
                && !is_overflow(to)
            {
                found.push(Found::Edge(from, edge, to));
            }
        }
    }

    /// A cycle is news when a node stands in it that stood in none: one that grows is told again, one that falls apart is
    /// not.
    fn see_cycle<'s>(
        &mut self,
        graph: &'s GraphSnapshot,
        cycle: &Cycle,
        now: Nanos,
        found: &mut Vec<Found<'s>>,
    ) {
        let rows = cycle.rows.iter();
        let nodes: Vec<&NodeRow> = rows.filter_map(|row| graph.node_at(*row)).collect();
        let mut is_news = false;
        for node in &nodes {
            is_news |= self.looping.is_news(node.record.node, now);
        }
        if is_news {
            for node in &nodes {
                self.looping.tell(node.record.node);
            }
            found.push(Found::Cycle(nodes));
        }
    }

    /// Makes records of what was found, as far as is allowed.
    fn tell(&mut self, graph: &GraphSnapshot, found: &[Found<'_>], now: Nanos) -> News {
        let mut news = News::default();
        if found.is_empty() {
            return news;
        }
        for node in graph.nodes() {
            self.time.observe(node.counts.last_seen, now);
        }
        let when = When {
            happened: self.time.at(now),
            observed: now,
        };
        for found in found {
            let kind = match found {
                Found::Node(_) => EventKind::NodeDiscovered,
                Found::Edge(..) => EventKind::EdgeDiscovered,
                Found::Spof(..) => EventKind::SpofDetected,
                Found::Cycle(_) => EventKind::CycleDetected,
            };
            let Some(suppressed) = self.allowances[kind as usize].take(now) else {
                news.suppressed[kind as usize] += 1;
                continue;
            };
            let mut record = match found {
                Found::Node(node) => record::node_discovered(node, when),
                Found::Edge(from, edge, to) => record::edge_discovered(from, to, edge, when),
                Found::Spof(node, risk) => record::spof_detected(node, risk, when),
                Found::Cycle(nodes) => record::cycle_detected(nodes, when),
            };
            record::name(&mut record, kind, suppressed);
            news.events.push(Event { kind, record });
        }
        news
    }
}

/// Whether a node stands for those that found no room.
fn is_overflow(node: &NodeRow) -> bool {
    *node.record.key.name == *OVERFLOW
}
