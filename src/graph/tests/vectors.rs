//! The cases of the span conventions, as data: spans in, the graph out, whatever the order of arrival.
//!
//! A case has `res` (defaults for every span), `spans` (id, p parent, k kind, n name, at attributes, st status, svc and ns
//! of the resource, scope, t trace, links, events, start and end) and what is expected, complete: nodes by id, and edges as
//! `FROM -KIND-> TO xCALLS [errFAILURES]`.

use crate::graph::{EdgeRow, GraphSnapshot};
use crate::guard::{GuardSettings, scan};
use crate::scan::testing::{bit, int, list, text};
use bytes::Bytes;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use prost::Message;
use serde_json::Value;
use std::collections::BTreeSet;

const VECTORS: &str = include_str!("../../../tests/fixtures/vectors.json");

fn word<'v>(value: &'v Value, key: &str) -> &'v str {
    value[key].as_str().unwrap_or_default()
}

/// An id of so many bytes out of a name; ids are short, so no two are the same.
fn id(name: &str, len: usize) -> Vec<u8> {
    let mut id = name.as_bytes().to_vec();
    id.resize(len, if name.is_empty() { 0 } else { b'.' });
    id
}

fn attributes(map: &Value) -> Vec<KeyValue> {
    let one = |(key, value): (&String, &Value)| match value {
        Value::Bool(value) => bit(key, *value),
        Value::Number(number) => int(key, number.as_i64().unwrap()),
        Value::String(value) => text(key, value),
        Value::Array(items) => {
            let words: Vec<&str> = items.iter().map(|item| item.as_str().unwrap()).collect();
            list(key, &words)
        }
        other => panic!("{key}: {other}"),
    };
    map.as_object()
        .map_or(Vec::new(), |map| map.iter().map(one).collect())
}

fn events(list: &Value) -> Vec<Event> {
    let list = list.as_array().into_iter().flatten();
    list.map(|event| Event {
        name: word(event, "n").to_owned(),
        attributes: attributes(&event["at"]),
        ..Event::default()
    })
    .collect()
}

/// One span with its resource and its scope.
pub(super) fn group(defaults: &Value, span: &Value) -> ResourceSpans {
    let either = |key: &str| match word(span, key) {
        "" => word(defaults, key),
        own => own,
    };
    let trace = |value: &Value| match word(value, "t") {
        "" => id("t1", 16),
        trace => id(trace, 16),
    };
    let mut resource = attributes(&span["res"]);
    for (key, short) in [("service.name", "svc"), ("service.namespace", "ns")] {
        if !either(short).is_empty() {
            resource.push(text(key, either(short)));
        }
    }
    let kind = match word(span, "k") {
        "SERVER" => 2,
        "CLIENT" => 3,
        "PRODUCER" => 4,
        "CONSUMER" => 5,
        _ => 1,
    };
    let code = match word(span, "st") {
        "OK" => 1,
        "ERROR" => 2,
        _ => 0,
    };
    let time = |key: &str| 1_000_000_000 + span[key].as_u64().unwrap_or(0) * 1_000_000;
    let links = span["links"].as_array().into_iter().flatten();
    let encoded = Span {
        trace_id: trace(span),
        span_id: id(word(span, "id"), 8),
        parent_span_id: if word(span, "p").is_empty() {
            Vec::new()
        } else {
            id(word(span, "p"), 8)
        },
        name: word(span, "n").to_owned(),
        kind,
        start_time_unix_nano: time("start"),
        end_time_unix_nano: time("end"),
        attributes: attributes(&span["at"]),
        links: links
            .map(|link| Link {
                trace_id: trace(link),
                span_id: id(word(link, "id"), 8),
                attributes: attributes(&link["at"]),
                ..Link::default()
            })
            .collect(),
        events: events(&span["events"]),
        status: Some(Status {
            code,
            ..Status::default()
        }),
        ..Span::default()
    };
    ResourceSpans {
        resource: Some(Resource {
            attributes: resource,
            ..Resource::default()
        }),
        scope_spans: vec![ScopeSpans {
            scope: Some(InstrumentationScope {
                name: either("scope").to_owned(),
                ..InstrumentationScope::default()
            }),
            spans: vec![encoded],
            ..ScopeSpans::default()
        }],
        ..ResourceSpans::default()
    }
}

pub(super) fn request(groups: &[ResourceSpans]) -> Bytes {
    let request = ExportTraceServiceRequest {
        resource_spans: groups.to_vec(),
    };
    request.encode_to_vec().into()
}

/// Node ids and edges in the words of the fixture.
fn found(graph: &GraphSnapshot) -> (BTreeSet<String>, BTreeSet<String>) {
    let id = |node| graph.node(node).map_or("?", |row| &row.record.id);
    let edge = |edge: &EdgeRow| {
        let counts = &edge.counts;
        let failures = match counts.failures() {
            0 => String::new(),
            failures => format!(" err{failures}"),
        };
        let (from, to) = (id(edge.from), id(edge.to));
        format!("{from} -{}-> {to} x{}{failures}", edge.kind, counts.calls)
    };
    let nodes = graph.nodes().iter().map(|row| row.record.id.to_string());
    (nodes.collect(), graph.edges().iter().map(edge).collect())
}

fn expected(vector: &Value, key: &str) -> BTreeSet<String> {
    let items = vector["expect"][key].as_array().unwrap();
    items
        .iter()
        .map(|item| item.as_str().unwrap().to_owned())
        .collect()
}

/// B-08: as it stands, backwards, from the middle, in one request or in one for each span.
#[test]
fn every_case_of_the_conventions_gives_its_graph_in_any_order() {
    let mut wrong = Vec::new();
    let cases: Vec<Value> = serde_json::from_str(VECTORS).unwrap();
    assert!(cases.len() > 30, "{}", cases.len());
    for vector in &cases {
        let spans = vector["spans"].as_array().unwrap();
        let mut groups: Vec<ResourceSpans> = spans
            .iter()
            .map(|span| group(&vector["res"], span))
            .collect();
        let want = (expected(vector, "nodes"), expected(vector, "edges"));
        for order in ["as it stands", "backwards", "from the middle"] {
            match order {
                "backwards" => groups.reverse(),
                "from the middle" => {
                    let middle = groups.len() / 2;
                    groups.rotate_left(middle);
                }
                _ => {}
            }
            let singles: Vec<Bytes> = groups.chunks(1).map(request).collect();
            for requests in [vec![request(&groups)], singles] {
                let requests_len = requests.len();
                let got = found(&scan(GuardSettings::default(), requests).snapshot.graph);
                if got != want {
                    let name = format!("{} {order}, {requests_len} requests", word(vector, "id"));
                    wrong.push(format!(
                        "{name}\n  missing {:?} {:?}\n  extra   {:?} {:?}",
                        want.0.difference(&got.0).collect::<Vec<_>>(),
                        want.1.difference(&got.1).collect::<Vec<_>>(),
                        got.0.difference(&want.0).collect::<Vec<_>>(),
                        got.1.difference(&want.1).collect::<Vec<_>>(),
                    ));
                }
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{}\n{} wrong",
        wrong.join("\n"),
        wrong.len()
    );
}
