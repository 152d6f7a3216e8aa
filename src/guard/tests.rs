//! Recorded requests through all clocks.

use super::*;
use crate::analysis::shown;
use crate::graph::GraphSnapshot;
use crate::scan::Sighting;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans};
use proptest::prelude::*;
use prost::Message;
use std::collections::{BTreeMap, BTreeSet};

const ADK: &[u8] = include_bytes!("../../examples/captures/google-adk.otlp");
const PYDANTIC: &[u8] = include_bytes!("../../examples/captures/pydantic-ai-logfire.otlp");

/// The requests of a capture.
fn requests(capture: &'static [u8]) -> Vec<Bytes> {
    let mut rest = capture;
    let mut requests = Vec::new();
    while let Some((head, after)) = rest.split_first_chunk::<12>() {
        let len = u32::from_le_bytes([head[8], head[9], head[10], head[11]]) as usize;
        let (request, after) = after.split_at(len);
        requests.push(Bytes::from_static(request));
        rest = after;
    }
    requests
}

/// One request per span.
fn single_spans(capture: &'static [u8]) -> Vec<ExportTraceServiceRequest> {
    let mut singles = Vec::new();
    for request in requests(capture) {
        let request = ExportTraceServiceRequest::decode(request).unwrap();
        for group in request.resource_spans {
            for scope in &group.scope_spans {
                for span in &scope.spans {
                    singles.push(ExportTraceServiceRequest {
                        resource_spans: vec![ResourceSpans {
                            scope_spans: vec![ScopeSpans {
                                spans: vec![span.clone()],
                                ..scope.clone()
                            }],
                            ..group.clone()
                        }],
                    });
                }
            }
        }
    }
    singles
}

/// A graph by keys, without what depends on who came first.
fn by_key(graph: &GraphSnapshot) -> BTreeMap<String, String> {
    let id = |node| graph.node(node).map_or("?", |row| &row.record.id);
    let plain = |counts: &crate::graph::Counts| {
        let plain = crate::graph::Counts {
            example: crate::base::TraceId::default(),
            ..counts.clone()
        };
        format!("{plain:?}")
    };
    let nodes = graph
        .nodes()
        .iter()
        .map(|row| (row.record.id.to_string(), plain(&row.counts)));
    let edges = graph.edges().iter().map(|edge| {
        let key = format!("{} -{}-> {}", id(edge.from), edge.kind, id(edge.to));
        (key, plain(&edge.counts))
    });
    nodes.chain(edges).collect()
}

/// What the walks over a recording's traces say of its edges: calls that failed, calls that felled their callers, calls
/// after which callers fell anyway, calls in failing activations.
fn learned(capture: &'static [u8]) -> BTreeMap<String, [i64; 4]> {
    let mut settings = GuardSettings::default();
    settings.shard.walk.healthy_every = 1;
    let guard = Guard::new(settings);
    let (mut worker, mut settler) = (guard.worker(), guard.settler());
    for request in requests(capture) {
        let ingested = guard.ingest(&mut worker, &request, 64).unwrap();
        settler.settle(&ingested.sightings.concat(), Nanos(1));
    }
    settler.flush();
    let changes = settler.collect(Nanos(1));
    let (nodes, keys) = (guard.interner.nodes_since(0), guard.interner.edges_since(0));
    let name = |edge: usize| {
        let end = |node: crate::base::NodeId| &nodes[node.0 as usize].display;
        format!("{} > {}", end(keys[edge].from), end(keys[edge].to))
    };
    let failing = changes.trials.iter().filter(|(_, t)| t.in_failing != 0);
    failing
        .map(|(edge, t)| {
            let numbers = [t.failed, t.fell, t.fell_anyway, t.in_failing];
            (name(edge.0 as usize), numbers)
        })
        .collect()
}

/// A tool's failure that went all the way up, and a model's; the calls beside them felled nobody.
#[test]
fn a_recorded_failure_felled_those_above_it() {
    let expected = [
        ("editor > gemini-2.5-pro", [0, 0, 0, 2]),
        ("editor > story_desk", [1, 1, 0, 1]),
        ("editor > weather_desk", [1, 1, 0, 1]),
        ("fact_checker > check_fact", [1, 1, 0, 1]),
        ("fact_checker > gemini-2.5-flash", [0, 0, 0, 1]),
        ("story_desk > gatherers", [0, 0, 0, 1]),
        ("story_desk > writer", [1, 1, 0, 1]),
        ("weather_desk > gemini-2.5-flash", [1, 1, 0, 1]),
        ("writer > fact_checker", [1, 1, 0, 1]),
        ("writer > gemini-2.5-pro", [0, 0, 0, 1]),
    ];
    let expected = expected.map(|(edge, numbers)| (edge.to_owned(), numbers));
    assert_eq!(learned(ADK), BTreeMap::from(expected));
}

fn edges(graph: &GraphSnapshot) -> Vec<String> {
    let name = |node| graph.node(node).map_or("?", |row| &row.record.display);
    graph
        .edges()
        .iter()
        .map(|edge| {
            let (calls, failures) = (edge.counts.calls, edge.counts.failures());
            format!(
                "{} {} {} {calls}/{failures}",
                name(edge.from),
                edge.kind,
                name(edge.to)
            )
        })
        .collect()
}

/// R-GRA-1: the capture's true graph, call by call.
#[test]
fn the_adk_capture_gives_its_agents_tools_and_models() {
    let scanned = scan(GuardSettings::default(), requests(ADK));
    assert_eq!(
        edges(&scanned.snapshot.graph),
        [
            "archive_reporter calls_model gemini-2.5-flash 3/0",
            "archive_reporter uses_tool search_archive 1/0",
            "editor hands_off story_desk 2/1",
            "editor hands_off weather_desk 2/1",
            "editor calls_model gemini-2.5-pro 4/0",
            "fact_checker calls_model gemini-2.5-flash 3/0",
            "fact_checker uses_tool check_fact 2/1",
            "gatherers delegates archive_reporter 2/0",
            "gatherers delegates wire_reporter 2/0",
            "story_desk delegates gatherers 2/0",
            "story_desk delegates writer 2/1",
            "weather_desk calls_model gemini-2.5-flash 2/1",
            "wire_reporter calls_model gemini-2.5-flash 4/0",
            "wire_reporter uses_tool search_wire 2/0",
            "writer delegates fact_checker 2/1",
            "writer calls_model gemini-2.5-pro 3/0",
        ]
    );
    let counts = scanned.counts;
    assert_eq!(
        (counts.with_node, counts.handoffs, counts.scanned()),
        (50, 4, 54)
    );
}

/// R-GRA-1.
#[test]
fn the_pydantic_capture_gives_its_agents_tools_and_models() {
    let scanned = scan(GuardSettings::default(), requests(PYDANTIC));
    assert_eq!(
        edges(&scanned.snapshot.graph),
        [
            "botanist calls_model claude-sonnet-4-5 2/0",
            "botanist uses_tool plant_db 1/0",
            "planner calls_model claude-sonnet-4-5 1/0",
            "planner calls_model gpt-4o 6/0",
            "planner uses_tool ask_botanist 1/0",
            "planner uses_tool ask_shopper 2/1",
            "planner uses_tool ask_weather 2/0",
            "shopper calls_model gpt-4o-mini 6/0",
            "shopper uses_tool price 5/4",
            "weather_agent calls_model gpt-4o-mini 4/0",
            "weather_agent uses_tool get_forecast 2/0",
            "ask_botanist delegates botanist 1/0",
            "ask_shopper delegates shopper 2/1",
            "ask_weather delegates weather_agent 2/0",
        ]
    );
}

/// Removes what we add; answers what it said.
fn strip(attributes: &mut Vec<KeyValue>) -> Vec<(String, String)> {
    let mut ours = Vec::new();
    attributes.retain(|attribute| {
        let is_ours = attribute.key.starts_with("agentguard.");
        if let Some(any_value::Value::StringValue(text)) =
            attribute.value.as_ref().and_then(|v| v.value.as_ref())
            && is_ours
        {
            ours.push((attribute.key.clone(), text.clone()));
        }
        !is_ours
    });
    ours
}

/// Everything ours by span, and the request without it.
fn stripped(request: &[u8]) -> (ExportTraceServiceRequest, Vec<Vec<(String, String)>>) {
    let mut request = ExportTraceServiceRequest::decode(request).unwrap();
    let mut ours = Vec::new();
    for group in &mut request.resource_spans {
        for scope in &mut group.scope_spans {
            for span in &mut scope.spans {
                ours.push(strip(&mut span.attributes));
            }
        }
    }
    (request, ours)
}

/// R-STR-4, R-STR-5: nothing but the node's id and kind is added, also where they are already; ids are the graph's.
#[test]
fn spans_are_given_their_node_and_nothing_else_changes() {
    for capture in [ADK, PYDANTIC] {
        let guard = Guard::new(GuardSettings::default());
        let (mut worker, mut settler, mut ticker) =
            (guard.worker(), guard.settler(), guard.ticker());
        let mut enriched = Vec::new();
        let mut with_node = 0;
        for request in requests(capture) {
            let ingested = guard.ingest(&mut worker, &request, 100).unwrap();
            with_node += ingested.counts.with_node;
            assert_eq!(
                stripped(&ingested.bytes).0,
                ExportTraceServiceRequest::decode(request).unwrap()
            );
            settler.settle(&ingested.sightings[0], Nanos(u64::MAX));
            enriched.push(ingested.bytes);
        }
        settler.flush();
        assert!(guard.tick(&mut ticker, [&settler.collect(Nanos(u64::MAX))]));
        assert!(
            !guard.tick(&mut ticker, [&settler.collect(Nanos(u64::MAX))]),
            "nothing changed"
        );
        let ids: BTreeSet<String> = guard
            .published()
            .graph
            .nodes()
            .iter()
            .map(|row| row.record.id.to_string())
            .collect();
        let mut seen = 0;
        for request in enriched {
            // once more, now that the graph is known
            let again = guard.ingest(&mut worker, &request, 100).unwrap();
            for ours in stripped(&again.bytes)
                .1
                .iter()
                .filter(|ours| !ours.is_empty())
            {
                let [(id_key, id), (kind_key, kind)] = &ours[..] else {
                    panic!("not two: {ours:?}")
                };
                assert_eq!(
                    (&**id_key, &**kind_key),
                    ("agentguard.node.id", "agentguard.node.kind")
                );
                assert!(ids.contains(id), "{id} is not in the graph");
                assert_eq!(id.split(':').next(), Some(&**kind));
                seen += 1;
            }
            assert_eq!(stripped(&again.bytes).0, stripped(&request).0);
        }
        assert_eq!(seen, with_node);
    }
}

/// D3: traces may be shared out among any number of shards.
#[test]
fn several_shards_give_the_graph_of_one() {
    let one = scan(GuardSettings::default(), requests(PYDANTIC));
    let guard = Guard::new(GuardSettings {
        shards: 3,
        ..GuardSettings::default()
    });
    let mut worker = guard.worker();
    let mut ticker = guard.ticker();
    let mut settlers: Vec<Settler> = (0..3).map(|_| guard.settler()).collect();
    let mut used = 0;
    for request in requests(PYDANTIC) {
        let ingested = guard.ingest(&mut worker, &request, 0).unwrap();
        for (settler, sightings) in settlers.iter_mut().zip(&ingested.sightings) {
            settler.settle(sightings, Nanos(u64::MAX));
        }
        used = used.max(
            ingested
                .sightings
                .iter()
                .filter(|sightings: &&Vec<Sighting>| !sightings.is_empty())
                .count(),
        );
    }
    settlers.iter_mut().for_each(Settler::flush);
    let changes: Vec<_> = settlers
        .iter_mut()
        .map(|settler| settler.collect(Nanos(u64::MAX)))
        .collect();
    guard.tick(&mut ticker, &changes);
    assert_eq!(
        by_key(&guard.published().graph),
        by_key(&one.snapshot.graph)
    );
    assert!(used > 1, "the traces went to more than one");
}

/// A recording whose spans do not say when they ended has no time at all: nothing is given up or forgotten in between.
#[test]
fn a_recording_without_ends_gives_its_graph() {
    let without_ends = |request: Bytes| {
        let mut request = ExportTraceServiceRequest::decode(request).unwrap();
        for group in &mut request.resource_spans {
            for span in group.scope_spans.iter_mut().flat_map(|s| &mut s.spans) {
                (span.start_time_unix_nano, span.end_time_unix_nano) = (0, 0);
            }
        }
        Bytes::from(request.encode_to_vec())
    };
    // children and parents in different requests
    let singles = single_spans(PYDANTIC).into_iter();
    let singles = singles.map(|single| without_ends(Bytes::from(single.encode_to_vec())));
    let scanned = scan(GuardSettings::default(), singles);
    let expected = scan(GuardSettings::default(), requests(PYDANTIC));
    assert_eq!(
        edges(&scanned.snapshot.graph),
        edges(&expected.snapshot.graph)
    );
}

#[test]
fn a_broken_request_is_left_out_and_counted() {
    let mut broken = requests(ADK);
    broken.push(Bytes::from_static(b"\x0a\xff\xff"));
    let scanned = scan(GuardSettings::default(), broken);
    assert_eq!(scanned.malformed, 1);
    assert_eq!(scanned.snapshot.graph.edges().len(), 16);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// B-08, R-09: any order, any batches, any repeats.
    #[test]
    fn any_order_and_any_batches_give_the_same_graph(
        is_adk in any::<bool>(),
        seed in prop::collection::vec(any::<u32>(), 64),
        sizes in prop::collection::vec(1..20usize, 64),
        repeats in prop::collection::vec(any::<prop::sample::Index>(), 0..20),
    ) {
        let capture = if is_adk { ADK } else { PYDANTIC };
        let expected = scan(GuardSettings::default(), requests(capture));
        let singles = single_spans(capture);
        let mut order: Vec<usize> = (0..singles.len()).collect();
        order.sort_by_key(|at| crate::scan::hash::word(u64::from(seed[at % 64]), *at as u64));
        order.extend(repeats.iter().map(|repeat| repeat.index(singles.len())));
        let mut batches = Vec::new();
        let mut rest = &order[..];
        for size in sizes.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (now, later) = rest.split_at((*size).min(rest.len()));
            let request = ExportTraceServiceRequest {
                resource_spans: now.iter().flat_map(|at| singles[*at].resource_spans.clone()).collect(),
            };
            batches.push(Bytes::from(request.encode_to_vec()));
            rest = later;
        }
        let scanned = scan(GuardSettings::default(), batches);
        prop_assert_eq!(by_key(&scanned.snapshot.graph), by_key(&expected.snapshot.graph));
    }
}

/// R-STR-5, R-GRA-5: once a node's risk is known its spans are told of it, by the numbers that everybody reads.
#[test]
fn spans_are_told_the_published_risk_of_their_node() {
    let guard = Guard::new(GuardSettings::default());
    let (mut worker, mut settler, mut ticker) = (guard.worker(), guard.settler(), guard.ticker());
    for request in requests(ADK) {
        let ingested = guard.ingest(&mut worker, &request, 100).unwrap();
        settler.settle(&ingested.sightings[0], Nanos(u64::MAX));
    }
    settler.flush();
    assert!(guard.tick(&mut ticker, [&settler.collect(Nanos(u64::MAX))]));
    let snapshot = guard.published();
    let rated = snapshot.graph.nodes().iter().zip(snapshot.analysis.nodes());
    let rated: BTreeMap<&str, _> = rated.map(|(row, risk)| (&*row.record.id, risk)).collect();
    let mut told = 0;
    for request in requests(ADK) {
        let enriched = guard.ingest(&mut worker, &request, 100).unwrap().bytes;
        // what is there already is replaced, not doubled
        let enriched = guard.ingest(&mut worker, &enriched, 100).unwrap().bytes;
        let request = ExportTraceServiceRequest::decode(enriched).unwrap();
        let scopes = request.resource_spans.iter().flat_map(|r| &r.scope_spans);
        for span in scopes.flat_map(|scope| &scope.spans) {
            let all = |key: &str| {
                let values = span.attributes.iter().filter(|a| a.key == key);
                values
                    .filter_map(|a| a.value.clone()?.value)
                    .collect::<Vec<_>>()
            };
            let ids = all(semconv::AGENTGUARD_NODE_ID);
            let [any_value::Value::StringValue(id)] = &ids[..] else {
                assert!(ids.is_empty(), "{ids:?}");
                continue;
            };
            let risk = rated[&**id];
            told += 1;
            for (key, value) in [
                (
                    semconv::AGENTGUARD_RISK_SCORE,
                    any_value::Value::DoubleValue(shown(risk.score)),
                ),
                (
                    semconv::AGENTGUARD_SPOF,
                    any_value::Value::BoolValue(risk.is_spof),
                ),
                (
                    semconv::AGENTGUARD_BLAST_RADIUS,
                    any_value::Value::DoubleValue(shown(risk.blast.share)),
                ),
            ] {
                assert_eq!(all(key), [value], "{id} {key}");
            }
        }
    }
    assert_eq!(told, 50);
    assert!(rated.values().any(|risk| risk.is_spof && risk.score > 1.0));
}
