//! Names that come and go.

use super::*;
use crate::graph::{InternLimits, ShardSettings};
use crate::guard::{GuardSettings, Ingested, Settler, Worker};
use crate::scan::NodeKind;
use bytes::Bytes;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use proptest::prelude::*;
use prost::Message;
use std::collections::{BTreeMap, VecDeque};

const SECOND: u64 = 1_000_000_000;

/// A request under way.
struct Request {
    ingested: Ingested,
    agent: String,
    tool: String,
    since: Nanos,
}

/// A guard that a test drives by hand, and what it must show.
struct Scene {
    guard: Guard,
    workers: Vec<Worker>,
    settlers: Vec<Settler>,
    ticker: Ticker,
    now: Nanos,
    traces: u64,
    /// Scanned, and not with the shards yet.
    under_way: VecDeque<Request>,
    /// Calls by agent, by tool, and by both.
    calls: BTreeMap<String, i64>,
    expired: u64,
}

fn settings(limits: InternLimits) -> GuardSettings {
    let default = GuardSettings::default();
    GuardSettings {
        limits,
        shards: 2,
        shard: ShardSettings {
            spans: 1_024,
            t_orphan: Duration::from_secs(30),
            t_keep: Duration::from_secs(60),
            ..default.shard
        },
        expire_after: Duration::from_secs(300),
        ..default
    }
}

fn text(key: &str, value: &str) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue {
            value: Some(any_value::Value::StringValue(value.to_owned())),
        }),
        ..KeyValue::default()
    }
}

impl Scene {
    fn new(limits: InternLimits) -> Scene {
        let guard = Guard::new(settings(limits));
        Scene {
            workers: vec![guard.worker(), guard.worker()],
            settlers: vec![guard.settler(), guard.settler()],
            ticker: guard.ticker(),
            now: Nanos(1_900_000_000 * SECOND),
            traces: 0,
            under_way: VecDeque::new(),
            calls: BTreeMap::new(),
            expired: 0,
            guard,
        }
    }

    /// An agent that calls a tool: scanned by a worker, on its way to the shards.
    fn scan(&mut self, worker: usize, agent: &str, tool: &str) {
        self.traces += 1;
        let span = |id: u8, parent: u8, attributes: Vec<KeyValue>| Span {
            trace_id: u128::from(self.traces).to_be_bytes().to_vec(),
            span_id: vec![id; 8],
            parent_span_id: if parent == 0 { vec![] } else { vec![parent; 8] },
            start_time_unix_nano: self.now.0 - SECOND,
            end_time_unix_nano: self.now.0,
            attributes,
            ..Span::default()
        };
        let spans = vec![
            span(
                1,
                0,
                vec![
                    text("gen_ai.operation.name", "invoke_agent"),
                    text("gen_ai.agent.name", agent),
                ],
            ),
            span(
                2,
                1,
                vec![
                    text("gen_ai.operation.name", "execute_tool"),
                    text("gen_ai.tool.name", tool),
                ],
            ),
        ];
        let request = ExportTraceServiceRequest {
            resource_spans: vec![ResourceSpans {
                scope_spans: vec![ScopeSpans {
                    spans,
                    ..ScopeSpans::default()
                }],
                ..ResourceSpans::default()
            }],
        };
        let bytes = Bytes::from(request.encode_to_vec());
        let worker = &mut self.workers[worker];
        let ingested = self.guard.ingest(worker, &bytes, 2).unwrap();
        self.under_way.push_back(Request {
            ingested,
            agent: agent.to_owned(),
            tool: tool.to_owned(),
            since: self.now,
        });
    }

    /// The request that is longest on its way reaches the shards.
    fn settle(&mut self) {
        let Some(request) = self.under_way.pop_front() else {
            return;
        };
        let Request {
            ingested,
            agent,
            tool,
            ..
        } = request;
        for (settler, sightings) in self.settlers.iter_mut().zip(&ingested.sightings) {
            settler.settle(sightings, self.now);
        }
        for key in [
            format!("agent {agent}"),
            format!("tool {tool}"),
            format!("{agent} > {tool}"),
        ] {
            *self.calls.entry(key).or_default() += 1;
        }
    }

    /// What the graph shows.
    fn shown(&self) -> BTreeMap<String, i64> {
        let snapshot = self.guard.published();
        let graph = &snapshot.graph;
        let nodes = graph.nodes().iter().map(|row| {
            let key = format!("{} {}", row.record.key.kind, row.record.display);
            (key, row.counts.calls)
        });
        let edges = graph.edges().iter().map(|edge| {
            let name = |node| &graph.node(node).unwrap().record.display;
            let key = format!("{} > {}", name(edge.from), name(edge.to));
            (key, edge.counts.calls)
        });
        nodes.chain(edges).collect()
    }

    /// A tick, so long after the one before.
    fn tick(&mut self, later: Duration) {
        self.now = self.now.plus(later);
        let now = self.now;
        let settlers = &mut self.settlers;
        let changes: Vec<_> = settlers.iter_mut().map(|s| s.collect(now)).collect();
        self.guard.tick(&mut self.ticker, &changes);
        let before = self.shown();
        let settlers = &mut self.settlers;
        let ask = |candidates: Candidates| {
            let mut kept = Numbers::default();
            for settler in settlers.iter_mut() {
                kept.add(&settler.forget(&candidates));
            }
            Some(kept)
        };
        let expired = self.guard.age(&mut self.ticker, ask);
        if let Some(expired) = expired {
            let after = self.shown();
            let gone: Vec<&String> = before
                .keys()
                .filter(|key| !after.contains_key(*key))
                .collect();
            assert_eq!(expired.nodes + expired.edges, gone.len() as u64);
            for key in gone {
                self.calls.remove(key);
                self.expired += 1;
            }
        }
    }

    /// How many numbers were ever given at one time.
    fn given(&self) -> (usize, usize) {
        let interner = &self.guard.interner;
        (
            interner.nodes_since(0).len() - NodeKind::ALL.len(),
            interner.edges_since(0).len(),
        )
    }
}

/// What happens.
#[derive(Clone, Debug)]
enum Step {
    /// A request with names of this time, or of always, is scanned by one of two workers.
    Scan(usize, u8, bool),
    /// So many requests reach the shards.
    Settle(usize),
    /// So many seconds pass.
    Tick(u64),
    /// So many minutes pass, a tick each.
    Wait(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => (0..2usize, 0..3u8, any::<bool>()).prop_map(|(worker, name, is_old)| Step::Scan(worker, name, is_old)),
        4 => (1..4usize).prop_map(Step::Settle),
        3 => (1..40u64).prop_map(Step::Tick),
        1 => (1..12u64).prop_map(Step::Wait),
    ];
    prop::collection::vec(step, 40..250)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    /// R-GRA-3, D2: no call is lost, none is counted for another, however late its request arrives, and what the names of
    /// all times need is no more than what those of one time need.
    #[test]
    fn names_come_and_go_and_every_count_is_exact(steps in steps()) {
        let limits = InternLimits { nodes: 40, edges: 60 };
        let mut scene = Scene::new(limits);
        let mut minutes = 0;
        for step in steps {
            match step {
                Step::Scan(worker, name, true) => scene.scan(worker, &format!("old{name}"), "hammer"),
                Step::Scan(worker, name, false) => {
                    let time = minutes / 5;
                    scene.scan(worker, &format!("a{time}x{name}"), &format!("t{time}x{name}"));
                }
                Step::Settle(count) => (0..count).for_each(|_| scene.settle()),
                Step::Tick(seconds) => scene.tick(Duration::from_secs(seconds)),
                Step::Wait(count) => {
                    minutes += count;
                    for _ in 0..count {
                        // nothing is under way for more than ten minutes
                        let old = Nanos(scene.now.0 - 600 * SECOND);
                        while scene.under_way.front().is_some_and(|request| request.since < old) {
                            scene.settle();
                        }
                        scene.tick(Duration::from_secs(60));
                    }
                }
            }
            if matches!(step, Step::Tick(_) | Step::Wait(_)) {
                prop_assert_eq!(scene.shown(), scene.calls.clone());
            }
        }
        prop_assert_eq!(scene.guard.refused(), (0, 0), "there was room for all");
        // the last requests arrive, and everything ages
        while !scene.under_way.is_empty() {
            scene.settle();
        }
        scene.tick(Duration::from_secs(1));
        prop_assert_eq!(scene.shown(), scene.calls.clone());
        (0..20).for_each(|_| scene.tick(Duration::from_secs(60)));
        prop_assert_eq!(scene.shown(), BTreeMap::new());
        prop_assert!(scene.ticker.totals.retired().is_empty(), "every number may be given again");
    }
}

/// R-GRA-3: the bound holds for ever, and names that found no room get some when others have aged.
#[test]
fn numbers_are_given_again_and_again() {
    let limits = InternLimits { nodes: 9, edges: 8 };
    let mut scene = Scene::new(limits);
    for time in 0..50 {
        for name in 0..3 {
            scene.scan(
                name % 2,
                &format!("a{time}x{name}"),
                &format!("t{time}x{name}"),
            );
            scene.settle();
        }
        scene.tick(Duration::from_secs(1));
        assert_eq!(scene.shown(), scene.calls, "{time}");
        assert_eq!(scene.calls.len(), 9);
        (0..9).for_each(|_| scene.tick(Duration::from_secs(60)));
        let (nodes, edges) = scene.given();
        assert!(
            nodes <= limits.nodes && edges <= limits.edges,
            "{nodes} {edges}"
        );
    }
    assert_eq!((scene.guard.refused(), scene.expired), ((0, 0), 450));
    // more than there is room for: an overflow, until the others have aged
    for round in 0..20 {
        for name in 0..3 {
            scene.scan(0, &format!("b{name}"), "hammer");
            scene.settle();
        }
        if round == 0 {
            for name in 0..20 {
                scene.scan(0, &format!("c{name}"), "hammer");
                scene.settle();
            }
            scene.scan(0, "late", "hammer");
            scene.settle();
        }
        scene.scan(1, "late", "hammer");
        scene.settle();
        scene.tick(Duration::from_secs(60));
    }
    let shown = scene.shown();
    assert!(scene.guard.refused().0 > 0);
    assert!(
        shown.contains_key("agent _overflow"),
        "never ages: {shown:?}"
    );
    assert!(shown.contains_key("agent late"), "found room: {shown:?}");
    assert_eq!(shown["agent b0"], 20);
    let (nodes, edges) = scene.given();
    assert!(
        nodes <= limits.nodes && edges <= limits.edges + 2,
        "{nodes} {edges}"
    );
}

/// D2: a request that is under way keeps its numbers from being given to others, however long.
#[test]
fn a_request_under_way_keeps_its_numbers() {
    let mut scene = Scene::new(InternLimits {
        nodes: 40,
        edges: 60,
    });
    scene.scan(0, "slow", "hammer");
    scene.settle();
    scene.scan(0, "slow", "hammer");
    for minute in 0..30 {
        scene.scan(1, &format!("a{minute}"), "saw");
        let newest = scene.under_way.pop_back().unwrap();
        scene.under_way.push_front(newest);
        scene.settle();
        scene.tick(Duration::from_secs(60));
        assert_eq!(scene.shown(), scene.calls);
    }
    assert!(!scene.ticker.totals.retired().is_empty(), "held back");
    scene.settle();
    scene.tick(Duration::from_secs(1));
    assert_eq!(scene.shown()["agent slow"], 1);
    assert_eq!(scene.shown(), scene.calls);
}

/// Zero is never.
#[test]
fn nothing_ages_unless_asked_to() {
    let limits = InternLimits {
        nodes: 40,
        edges: 60,
    };
    let mut scene = Scene::new(limits);
    scene.guard = Guard::new(GuardSettings {
        expire_after: Duration::ZERO,
        ..settings(limits)
    });
    scene.workers = vec![scene.guard.worker()];
    scene.settlers = vec![scene.guard.settler(), scene.guard.settler()];
    scene.ticker = scene.guard.ticker();
    scene.scan(0, "slow", "hammer");
    scene.settle();
    (0..60).for_each(|_| scene.tick(Duration::from_secs(3_600)));
    assert_eq!(scene.shown(), scene.calls);
    assert_eq!(scene.calls.len(), 3);
}
