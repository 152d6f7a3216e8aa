//! The comparison notices every kind of difference, and only those.

use std::collections::BTreeSet;

use agentguard::otlp::Signal;
use bytes::Bytes;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message as _;

use crate::sample;
use crate::support::compare::{Overlook, compare, count};

type Change = fn(&mut ExportTraceServiceRequest);

fn resource(request: &mut ExportTraceServiceRequest) -> &mut ResourceSpans {
    &mut request.resource_spans[0]
}

fn scope(request: &mut ExportTraceServiceRequest) -> &mut ScopeSpans {
    &mut resource(request).scope_spans[0]
}

fn span(request: &mut ExportTraceServiceRequest) -> &mut Span {
    &mut scope(request).spans[1]
}

fn encoded(request: &ExportTraceServiceRequest) -> Vec<Bytes> {
    vec![Bytes::from(request.encode_to_vec())]
}

#[test]
fn equal_requests_are_equal_however_they_were_cut() {
    let request = sample::traces_message(3);
    let mut halves = [request.clone(), request.clone()];
    scope(&mut halves[0]).spans.truncate(1);
    scope(&mut halves[1]).spans.remove(0);
    let cut = halves.iter().flat_map(encoded).rev().collect::<Vec<_>>();
    let merged = vec![Bytes::from(cut.concat())];
    for received in [cut, merged] {
        let equal = compare(
            Signal::Traces,
            &encoded(&request),
            &received,
            Overlook::default(),
        );
        assert_eq!(equal.expect("no difference"), 3);
        assert_eq!(count(Signal::Traces, &received), 3);
    }
}

#[test]
fn a_change_of_any_field_is_a_difference() {
    let changes: [(&str, Change); 24] = [
        ("the resource's attributes", |r| {
            resource(r).resource.as_mut().unwrap().attributes.clear()
        }),
        ("the resource's dropped count", |r| {
            resource(r)
                .resource
                .as_mut()
                .unwrap()
                .dropped_attributes_count = 0
        }),
        ("no resource", |r| resource(r).resource = None),
        ("the resource's schema", |r| resource(r).schema_url.clear()),
        ("the scope's name", |r| {
            scope(r).scope.as_mut().unwrap().name.push('x')
        }),
        ("the scope's attributes", |r| {
            scope(r).scope.as_mut().unwrap().attributes.clear()
        }),
        ("the scope's schema", |r| scope(r).schema_url.clear()),
        ("trace state", |r| span(r).trace_state.clear()),
        ("parent", |r| span(r).parent_span_id.clear()),
        ("flags", |r| span(r).flags = 1),
        ("name", |r| span(r).name.push('x')),
        ("kind", |r| span(r).kind = 2),
        ("start", |r| span(r).start_time_unix_nano += 1),
        ("end", |r| span(r).end_time_unix_nano += 1),
        ("an attribute's value", |r| {
            span(r).attributes[2].value = None
        }),
        ("an attribute's absence", |r| drop(span(r).attributes.pop())),
        ("attributes' order", |r| span(r).attributes.swap(0, 1)),
        ("dropped attributes", |r| {
            span(r).dropped_attributes_count = 9
        }),
        ("an event's time", |r| span(r).events[0].time_unix_nano += 1),
        ("dropped events", |r| span(r).dropped_events_count = 9),
        ("a link's flags", |r| span(r).links[0].flags = 0),
        ("dropped links", |r| span(r).dropped_links_count = 9),
        ("status", |r| span(r).status.as_mut().unwrap().code = 1),
        ("no status", |r| span(r).status = None),
    ];
    let sent = sample::traces_message(2);
    for (what, change) in changes {
        let mut changed = sent.clone();
        change(&mut changed);
        let differences = compare(
            Signal::Traces,
            &encoded(&sent),
            &encoded(&changed),
            Overlook::default(),
        );
        assert!(differences.is_err(), "{what} goes unnoticed");
    }
}

#[test]
fn missing_doubled_and_strange_spans_are_told_apart() {
    let (sent, strange) = (sample::traces(1), sample::traces(1));
    let one = [sent.clone()];
    let told = |received: &[Bytes]| {
        let found = compare(Signal::Traces, &one, received, Overlook::default());
        format!("{:?}", found.expect_err("a difference"))
    };
    assert!(told(&[]).contains("missing"));
    assert!(told(&[sent.clone(), sent.clone()]).contains("arrived more than once"));
    assert!(told(&[sent.clone(), strange]).contains("never sent"));
}

#[test]
fn the_telling_names_the_span_and_the_field() {
    let sent = sample::traces_message(2);
    let mut changed = sent.clone();
    span(&mut changed).dropped_links_count = 77;
    let found = compare(
        Signal::Traces,
        &encoded(&sent),
        &encoded(&changed),
        Overlook::default(),
    );
    let told = format!("{:?}", found.expect_err("a difference"));
    for part in [
        "0000000000000002 `invoke_agent",
        "dropped_links_count: 5",
        "dropped_links_count: 77",
    ] {
        assert!(told.contains(part), "{part} in {told}");
    }
}

#[test]
fn added_attributes_are_overlooked_only_under_their_prefix() {
    let sent = sample::traces_message(2);
    let mut enriched = sent.clone();
    span(&mut enriched).attributes.insert(
        1,
        sample::attribute("agentguard.node.id", sample::text("n1")),
    );
    let overlook = Overlook {
        prefix: Some("agentguard."),
        ..Overlook::default()
    };
    let compare = |overlook| {
        compare(
            Signal::Traces,
            &encoded(&sent),
            &encoded(&enriched),
            overlook,
        )
    };
    assert!(compare(Overlook::default()).is_err());
    assert_eq!(compare(overlook).expect("no difference"), 2);
    let other = Overlook {
        prefix: Some("other."),
        ..Overlook::default()
    };
    assert!(compare(other).is_err());
}

#[test]
fn metrics_and_logs_are_compared_too() {
    for signal in [Signal::Metrics, Signal::Logs] {
        let (one, other) = (sample::request(signal), sample::request(signal));
        let sent = [one.clone(), other.clone()];
        let equal = compare(signal, &sent, &[other, one.clone()], Overlook::default());
        assert_eq!(equal.expect("no difference"), 2);
        assert!(compare(signal, &sent, &[one], Overlook::default()).is_err());
    }
}

/// The table of duties and the tests name the same.
#[test]
fn every_test_named_in_the_table_exists_and_every_test_is_named() {
    let table = include_str!("README.md");
    let sources = [
        include_str!("chain.rs"),
        include_str!("client_grpc.rs"),
        include_str!("client_http.rs"),
        include_str!("graph.rs"),
        include_str!("late.rs"),
        include_str!("prometheus.rs"),
        include_str!("sdks.rs"),
        include_str!("server_grpc.rs"),
        include_str!("server_http.rs"),
        include_str!("server_overload.rs"),
        include_str!("truth.rs"),
    ];
    let tests: BTreeSet<&str> = sources
        .iter()
        .flat_map(|source| source.split("#[tokio::test").skip(1))
        .filter_map(|rest| rest.split("async fn ").nth(1)?.split('(').next())
        .collect();
    let named: BTreeSet<&str> = table
        .split('`')
        .skip(1)
        .step_by(2)
        .filter(|name| {
            name.contains('_')
                && name
                    .chars()
                    .all(|c| c == '_' || c.is_ascii_lowercase() || c.is_ascii_digit())
        })
        .collect();
    assert_eq!(tests, named);
}
