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
use crate::analysis::Cycle;
use crate::base::{Nanos, NodeId};
use crate::graph::{EdgeKey, EdgeRow, GraphSnapshot, NodeRow, OVERFLOW};
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

/// What was told before, and how much may be told now.
pub(super) struct Discovery {
    nodes: Known<NodeId>,
    edges: Known<EdgeKey>,
    spofs: Known<NodeId>,
    /// Members of cycles.
    looping: Known<NodeId>,
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
            time: StreamTime::default(),
            allowances: [(); EventKind::COUNT].map(|()| Allowance::new(config)),
        }
    }

    /// Whether time alone may make news of the last snapshot.
    pub(super) fn waits(&self) -> bool {
        self.spofs.waits() || self.looping.waits()
    }

    /// Looks at the graph; `now` is the clock's. Costs what the graph is large.
    pub(super) fn observe(&mut self, snapshot: &Snapshot, now: Nanos) -> News {
        let graph = &snapshot.graph;
        for node in graph.nodes() {
            self.time.observe(node.counts.last_seen, now);
        }
        let when = When {
            happened: self.time.at(now),
            observed: now,
        };
        let mut news = News::default();
        for node in graph.nodes().iter().filter(|node| !is_overflow(node)) {
            if self.nodes.is_news(node.record.node, now) {
                self.tell(EventKind::NodeDiscovered, now, &mut news, || {
                    record::node_discovered(node, when)
                });
            }
        }
        for edge in graph.edges() {
            self.see_edge(graph, edge, when, &mut news);
        }
        self.see_spofs(snapshot, when, &mut news);
        for cycle in snapshot.analysis.cycles() {
            self.see_cycle(graph, cycle, when, &mut news);
        }
        self.nodes.end(now);
        self.edges.end(now);
        self.spofs.end(now);
        self.looping.end(now);
        news
    }

    fn see_edge(&mut self, graph: &GraphSnapshot, edge: &EdgeRow, when: When, news: &mut News) {
        let (Some(from), Some(to)) = (graph.node(edge.from), graph.node(edge.to)) else {
            return;
        };
        // one that is drawn for now may turn out to be another
        let is_settled = edge.counts.calls > 0 && !is_overflow(from) && !is_overflow(to);
        let key = EdgeKey {
            from: edge.from,
            to: edge.to,
            kind: edge.kind,
        };
        if is_settled && self.edges.is_news(key, when.observed) {
            self.tell(EventKind::EdgeDiscovered, when.observed, news, || {
                record::edge_discovered(from, to, edge, when)
            });
        }
    }

    fn see_spofs(&mut self, snapshot: &Snapshot, when: When, news: &mut News) {
        let rows = snapshot.graph.nodes().iter();
        for (node, risk) in rows.zip(snapshot.analysis.nodes().iter()) {
            if risk.is_spof && self.spofs.is_news(node.record.node, when.observed) {
                self.tell(EventKind::SpofDetected, when.observed, news, || {
                    record::spof_detected(node, risk, when)
                });
            }
        }
    }

    /// A cycle is news when a node stands in it that stood in none: one that grows is told again, one that falls apart is
    /// not.
    fn see_cycle(&mut self, graph: &GraphSnapshot, cycle: &Cycle, when: When, news: &mut News) {
        let rows = cycle.rows.iter();
        let nodes: Vec<&NodeRow> = rows.filter_map(|row| graph.node_at(*row)).collect();
        let mut is_news = false;
        for node in &nodes {
            is_news |= self.looping.is_news(node.record.node, when.observed);
        }
        if is_news {
            for node in &nodes {
                self.looping.tell(node.record.node);
            }
            self.tell(EventKind::CycleDetected, when.observed, news, || {
                record::cycle_detected(&nodes, when)
            });
        }
    }

    fn tell(
        &mut self,
        kind: EventKind,
        now: Nanos,
        news: &mut News,
        record: impl FnOnce() -> LogRecord,
    ) {
        let Some(suppressed) = self.allowances[kind as usize].take(now) else {
            news.suppressed[kind as usize] += 1;
            return;
        };
        let mut record = record();
        record::name(&mut record, kind, suppressed);
        news.events.push(Event { kind, record });
    }
}

/// Whether a node stands for those that found no room.
fn is_overflow(node: &NodeRow) -> bool {
    *node.record.key.name == *OVERFLOW
}
