//! What is told of captures, and of findings that come and go.

use super::*;
use crate::analysis::{Analysis, Blast, NodeRisk};

use crate::guard::{Guard, GuardSettings, Settler, Ticker, Worker};
use bytes::Bytes;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::logs::v1::SeverityNumber;
use std::collections::BTreeSet;

const ADK: &[u8] = include_bytes!("../../../../examples/captures/google-adk.otlp");
const PYDANTIC: &[u8] = include_bytes!("../../../../examples/captures/pydantic-ai-logfire.otlp");

/// No event is too many.
const PLENTY: EventsConfig = EventsConfig {
    per_minute: 1_000_000,
    burst: 4_096,
};

fn requests(mut capture: &'static [u8]) -> Vec<Bytes> {
    let mut requests = Vec::new();
    while let Some((head, rest)) = capture.split_first_chunk::<12>() {
        let len = u32::from_le_bytes([head[8], head[9], head[10], head[11]]) as usize;
        let (request, rest) = rest.split_at(len);
        requests.push(Bytes::from_static(request));
        capture = rest;
    }
    requests
}

/// A guard whose shard and tick the test is.
struct Live {
    guard: Guard,
    worker: Worker,
    settler: Settler,
    ticker: Ticker,
}

impl Live {
    fn new(settings: GuardSettings) -> Live {
        let guard = Guard::new(settings);
        Live {
            worker: guard.worker(),
            settler: guard.settler(),
            ticker: guard.ticker(),
            guard,
        }
    }

    /// The graph with these requests in it, too; with what is given up, if nothing more comes.
    fn sees(&mut self, requests: &[Bytes], is_all: bool) -> Snapshot {
        let now = second(0);
        for request in requests {
            let ingested = self.guard.ingest(&mut self.worker, request, 0).unwrap();
            for sightings in &ingested.sightings {
                self.settler.settle(sightings, now);
            }
        }
        if is_all {
            self.settler.flush();
        }
        self.guard
            .tick(&mut self.ticker, [&self.settler.collect(now)]);
        (*self.guard.published()).clone()
    }
}

/// The graph of these captures.
fn graph(captures: &[&'static [u8]]) -> Snapshot {
    let requests: Vec<_> = captures
        .iter()
        .flat_map(|capture| requests(capture))
        .collect();
    Live::new(GuardSettings::default()).sees(&requests, true)
}

/// A graph in which these rows are single points of failure and stand in these cycles.
fn found(graph: &Snapshot, spofs: &[usize], cycles: &[Cycle]) -> Snapshot {
    let nodes = (0..graph.graph.nodes().len()).map(|row| {
        let is_spof = spofs.contains(&row);
        NodeRisk {
            is_spof,
            spof_share: if is_spof { 0.625 } else { 0.0 },
            blast: Blast {
                direct: 2,
                transitive: 3,
                failing: 3,
                share: 0.7,
            },
            cycle: u32::MAX,
            ..NodeRisk::default()
        }
    });
    Snapshot {
        graph: graph.graph.clone(),
        analysis: Analysis::made_of(nodes, 0.0, cycles, &[]),
        ..Snapshot::default()
    }
}

/// A second of a day after the captures were made.
fn second(second: u64) -> Nanos {
    Nanos((1_795_300_000 + second) * 1_000_000_000)
}

fn of(news: News, kind: EventKind) -> Vec<LogRecord> {
    let events = news.events.into_iter();
    let of_kind = events.filter(|event| event.kind == kind);
    of_kind.map(|event| event.record).collect()
}

fn value(record: &LogRecord, key: &str) -> Option<Value> {
    let mut attributes = record.attributes.iter();
    let attribute = attributes.find(|attribute| attribute.key == key)?;
    attribute.value.as_ref()?.value.clone()
}

fn text(record: &LogRecord, key: &str) -> String {
    match value(record, key) {
        Some(Value::StringValue(text)) => text,
        other => panic!("{key}: {other:?}"),
    }
}

fn body(record: &LogRecord) -> &str {
    match &record.body.as_ref().unwrap().value {
        Some(Value::StringValue(text)) => text,
        other => panic!("{other:?}"),
    }
}

/// R-STR-3: every node and edge of the graph, each once, as an OTLP event.
#[test]
fn every_node_and_edge_is_told_once() {
    let snapshot = graph(&[ADK, PYDANTIC]);
    // without findings, of which other tests are
    let snapshot = found(&snapshot, &[], &[]);
    let graph = &snapshot.graph;
    let mut discovery = Discovery::new(&PLENTY);
    let first = discovery.observe(&snapshot, second(0));
    let kinds: BTreeSet<_> = first
        .events
        .iter()
        .map(|event| event.kind.as_str())
        .collect();
    assert_eq!(
        kinds,
        BTreeSet::from(["agentguard.edge.discovered", "agentguard.node.discovered"])
    );
    for event in &first.events {
        let record = &event.record;
        assert_eq!(record.event_name, event.kind.as_str());
        assert_eq!(record.severity_number, SeverityNumber::Info as i32);
        assert_eq!(record.observed_time_unix_nano, second(0).0);
        // the captures are older than that second
        let latest = graph.nodes().iter().map(|node| node.counts.last_seen).max();
        assert_eq!(Some(record.time_unix_nano), latest, "stream time");
        assert!(matches!(record.trace_id.len(), 0 | 16));
        assert!(!body(record).is_empty());
    }
    let edges = first
        .events
        .iter()
        .filter(|event| event.kind == EventKind::EdgeDiscovered);
    let edges: Vec<_> = edges.map(|event| event.record.clone()).collect();
    assert_eq!(edges.len(), graph.edges().len());
    assert!(edges.iter().all(|record| record.trace_id.len() == 16));
    let nodes = of(first, EventKind::NodeDiscovered);
    let told: BTreeSet<_> = nodes
        .iter()
        .map(|record| text(record, "agentguard.node.id"))
        .collect();
    let known = graph.nodes().iter().map(|node| node.record.id.to_string());
    assert_eq!(told, known.collect());
    let calls = edges.iter().find(|record| {
        text(record, "agentguard.edge.from.name") == "editor"
            && text(record, "agentguard.edge.to.kind") == "model"
    });
    let calls = calls.unwrap();
    assert_eq!(
        body(calls),
        "Agent `editor` calls model `gemini-2.5-pro`, for the first time"
    );
    assert_eq!(text(calls, "agentguard.edge.kind"), "calls_model");
    assert_eq!(text(calls, "agentguard.evidence"), "span");
    assert_eq!(text(calls, "agentguard.realm"), "capture");
    let elsewhere = edges
        .iter()
        .find(|record| text(record, "agentguard.edge.from.name") == "planner");
    assert_eq!(value(elsewhere.unwrap(), "agentguard.realm"), None);
    assert!(discovery.observe(&snapshot, second(1)).events.is_empty());
    assert!(!discovery.waits());
}

#[test]
fn only_what_a_snapshot_has_more_is_told() {
    let mut discovery = Discovery::new(&PLENTY);
    let requests = requests(ADK);
    let (mut told, mut there) = (Vec::new(), BTreeSet::new());
    let mut live = Live::new(GuardSettings::default());
    let (half, rest) = requests.split_at(requests.len() / 2);
    for (at, part) in [(0, half), (1, rest)] {
        let snapshot = live.sees(part, at == 1);
        let nodes = snapshot.graph.nodes().iter();
        there.extend(nodes.map(|node| node.record.id.to_string()));
        let news = of(
            discovery.observe(&snapshot, second(at)),
            EventKind::NodeDiscovered,
        );
        assert!(!news.is_empty());
        told.extend(news.iter().map(|record| text(record, "agentguard.node.id")));
    }
    told.sort();
    assert_eq!(told, there.into_iter().collect::<Vec<_>>());
}

/// An edge that is drawn for now is told when it is settled, though nothing else changes; if it stays for now, never.
#[test]
fn an_edge_is_told_when_it_is_settled() {
    let mut discovery = Discovery::new(&PLENTY);
    let mut live = Live::new(GuardSettings::default());
    let mut told = BTreeSet::new();
    let mut before = 0;
    for request in requests(ADK) {
        let snapshot = live.sees(&[request], false);
        let news = of(
            discovery.observe(&snapshot, second(0)),
            EventKind::EdgeDiscovered,
        );
        before += news.len();
        told.extend(
            news.iter()
                .map(|record| record.body.clone().map(|body| format!("{body:?}"))),
        );
        let settled = snapshot
            .graph
            .edges()
            .iter()
            .filter(|edge| edge.counts.calls > 0);
        assert!(told.len() >= settled.count());
    }
    assert_eq!(told.len(), before, "none is told twice");
}

/// A finding that comes and goes is none; one that stays is told once, with what it means.
#[test]
fn a_single_point_of_failure_is_told_when_it_has_held() {
    let plain = graph(&[ADK]);
    let with = found(&plain, &[1], &[]);
    let without = found(&plain, &[], &[]);
    let mut discovery = Discovery::new(&PLENTY);
    let mut told = Vec::new();
    let mut at = |snapshot: &Snapshot, when: u64| {
        let news = discovery.observe(snapshot, second(when));
        let records = of(news, EventKind::SpofDetected);
        told.extend(records.iter().cloned());
        (records.len(), discovery.waits())
    };
    assert_eq!(at(&with, 0), (0, true));
    assert_eq!(at(&without, 3), (0, false));
    assert_eq!(at(&with, 4), (0, true));
    assert_eq!(at(&with, 8), (0, true));
    assert_eq!(at(&with, 9), (1, false));
    for when in (10..300).step_by(2) {
        assert_eq!(at(&with, when).0, 0);
        assert_eq!(at(&without, when + 1).0, 0, "it flickers, and was told");
    }
    assert_eq!(
        at(&without, 950),
        (0, false),
        "gone for more than ten minutes"
    );
    assert_eq!(at(&with, 951).0, 0);
    assert_eq!(at(&with, 956).0, 1, "and back");
    let record = &told[0];
    let node = &plain.graph.node_at(1).unwrap().record;
    assert_eq!(record.severity_number, SeverityNumber::Warn as i32);
    assert_eq!(text(record, "agentguard.node.id"), *node.id);
    assert_eq!(
        value(record, "agentguard.spof.share"),
        Some(Value::DoubleValue(0.625))
    );
    assert_eq!(
        value(record, "agentguard.spof.proven"),
        Some(Value::BoolValue(false))
    );
    assert_eq!(
        value(record, "agentguard.dependents.transitive"),
        Some(Value::IntValue(3))
    );
    assert!(
        body(record).ends_with(
            "is a single point of failure: 62 % of the traffic that comes in fails with it; nobody was yet seen to do without it"
        ),
        "{}",
        body(record)
    );
}

/// A cycle is who stands in it: one that grows is news, one that shrinks or falls apart is not.
#[test]
fn a_cycle_is_told_when_a_node_comes_to_stand_in_it() {
    let plain = graph(&[ADK]);
    let cycles = |all: &[&[u32]]| {
        let all = all.iter().map(|rows| Cycle {
            rows: rows.to_vec(),
        });
        found(&plain, &[], &all.collect::<Vec<_>>())
    };
    let mut discovery = Discovery::new(&PLENTY);
    let mut at = |all: &[&[u32]], when: u64| {
        of(
            discovery.observe(&cycles(all), second(when)),
            EventKind::CycleDetected,
        )
    };
    assert!(at(&[&[0, 1, 2, 3]], 0).is_empty());
    let told = at(&[&[0, 1, 2, 3]], 5);
    let [record] = &told[..] else {
        panic!("{told:?}")
    };
    assert_eq!(
        value(record, "agentguard.cycle.size"),
        Some(Value::IntValue(4))
    );
    let Some(Value::ArrayValue(members)) = value(record, "agentguard.cycle.nodes") else {
        panic!("{record:?}")
    };
    assert_eq!(members.values.len(), 4);
    assert!(body(record).starts_with("4 nodes depend on each other in a circle: `"));
    assert!(at(&[&[0, 1], &[2, 3]], 6).is_empty());
    // a fifth joins, and while it waits another
    assert!(at(&[&[0, 1, 2, 3, 4]], 7).is_empty());
    assert!(at(&[&[0, 1, 2, 3, 4, 5]], 10).is_empty());
    assert_eq!(at(&[&[0, 1, 2, 3, 4, 5]], 12).len(), 1);
    assert!(
        at(&[&[0, 1, 2, 3, 4, 5]], 20).is_empty(),
        "told with the fifth"
    );
    assert!(at(&[&[6]], 30).is_empty());
    let told = at(&[&[6]], 35);
    assert!(body(&told[0]).ends_with("calls itself through no other"));
}

/// Bounds: neither a flood of nodes nor a cycle of thousands makes a flood of events.
#[test]
fn what_is_too_much_is_summed_up() {
    let few = EventsConfig {
        per_minute: 1,
        burst: 2,
    };
    let mut discovery = Discovery::new(&few);
    let mut live = Live::new(GuardSettings::default());
    let snapshot = live.sees(&requests(ADK), true);
    let before = snapshot.graph.nodes().len() as u64;
    let news = discovery.observe(&snapshot, second(0));
    let of_nodes = EventKind::NodeDiscovered as usize;
    assert_eq!(news.suppressed[of_nodes], before - 2);
    assert_eq!(of(news, EventKind::NodeDiscovered).len(), 2);
    let snapshot = live.sees(&requests(PYDANTIC), true);
    let nodes = snapshot.graph.nodes().len() as u64;
    let news = discovery.observe(&snapshot, second(60));
    assert_eq!(news.suppressed[of_nodes], nodes - before - 1);
    let records = of(news, EventKind::NodeDiscovered);
    let [record] = &records[..] else {
        panic!("{records:?}")
    };
    let suppressed = i64::try_from(before - 2).unwrap();
    assert_eq!(
        value(record, "agentguard.events.suppressed"),
        Some(Value::IntValue(suppressed))
    );
    let all: Vec<u32> = (0..u32::try_from(nodes).unwrap()).collect();
    let large = found(&snapshot, &[], &[Cycle { rows: all.clone() }]);
    let rows: Vec<&NodeRow> = large.graph.nodes().iter().cycle().take(100).collect();
    let when = When {
        happened: second(0),
        observed: second(0),
    };
    let record = record::cycle_detected(&rows, when);
    let Some(Value::ArrayValue(members)) = value(&record, "agentguard.cycle.nodes") else {
        panic!("{record:?}")
    };
    assert_eq!(members.values.len(), record::MOST_MEMBERS);
    assert!(body(&record).ends_with("and 68 more"), "{}", body(&record));
}

/// D2: what stands for all that found no room is nobody.
#[test]
fn overflow_nodes_are_not_discovered() {
    let settings = GuardSettings {
        limits: crate::graph::InternLimits {
            nodes: 12,
            edges: 400,
        },
        ..GuardSettings::default()
    };
    let snapshot = Live::new(settings).sees(&requests(ADK), true);
    let is_there = |node: &NodeRow| *node.record.key.name == *OVERFLOW;
    assert!(snapshot.graph.nodes().iter().any(is_there));
    let news = Discovery::new(&PLENTY).observe(&snapshot, second(0));
    for event in &news.events {
        let words = format!("{:?}", event.record);
        assert!(!words.contains(OVERFLOW), "{words}");
    }
}
