//! Pipelines that connectors join: what fits together, and what leads back to where it came from.

use crate::base::Problems;
use crate::config::{Document, Env};
use crate::otlp::Signal;
use crate::pipeline::ComponentId;
use crate::service::pipelines::{self, Known};
use std::collections::BTreeMap;
use std::io;

/// What is said of pipelines where `otlp` receives, `debug` exports and `join` and `count` connect; `count` gives metrics.
fn said(pipelines: &str) -> Vec<String> {
    let env = Env {
        var: &|_| None,
        file: &|_| Err(io::ErrorKind::NotFound.into()),
    };
    let source = format!("yaml:{pipelines}");
    let (document, mut problems) = Document::load(&[source], &env);
    let ids: Vec<ComponentId> = ["otlp", "debug", "join", "count"]
        .iter()
        .map(|id| id.parse().unwrap())
        .collect();
    let traces: &[Signal] = &[Signal::Traces];
    let root = document.root();
    let known = Known {
        root: &root,
        receivers: BTreeMap::from([(&ids[0], Signal::ALL.as_slice())]),
        processors: BTreeMap::new(),
        exporters: BTreeMap::from([(&ids[1], Signal::ALL.as_slice())]),
        connectors: BTreeMap::from([
            (&ids[2], (traces, traces)),
            (&ids[3], (traces, &[Signal::Metrics][..])),
        ]),
        pulls: BTreeMap::new(),
    };
    drop(pipelines::read(&root, &known, &mut problems));
    texts(&problems)
}

fn texts(problems: &Problems) -> Vec<String> {
    let all = problems.errors().iter();
    all.map(|problem| format!("{}: {}", problem.place.key, problem.message))
        .collect()
}

#[test]
fn pipelines_that_connectors_join_are_no_mistake() {
    let chain = "{traces: {receivers: [otlp], exporters: [join, count, debug]}, \
                 traces/2: {receivers: [join], exporters: [debug]}, \
                 metrics: {receivers: [otlp, count], exporters: [debug]}}";
    assert_eq!(said(chain), [""; 0]);
}

#[test]
fn a_cycle_is_named_with_its_pipelines() {
    let long = "{traces: {receivers: [otlp], exporters: [count, debug]}, \
                traces/a: {receivers: [join], exporters: [debug, join]}, \
                metrics: {receivers: [count], exporters: [debug]}}";
    assert_eq!(
        said(long),
        ["traces/a: pipelines form a cycle: traces/a → traces/a"]
    );
}

#[test]
fn a_connector_that_nothing_feeds_is_a_mistake_where_it_is_read() {
    assert_eq!(
        said("{traces: {receivers: [otlp, join], exporters: [debug]}}"),
        ["traces::receivers[1]: connector `join` is a receiver, but no pipeline exports to it"]
    );
}

/// R-STR-2: pipelines are checked for the signals that their components take and give.
#[test]
fn a_connector_stands_only_where_its_signals_flow() {
    let wrong = "{traces: {receivers: [otlp, count], exporters: [count]}, \
                 logs: {receivers: [otlp], exporters: [join]}}";
    assert_eq!(
        said(wrong),
        [
            "traces::receivers[1]: `count` does not work with traces",
            "logs::exporters[0]: `join` does not work with logs",
            "traces: pipelines form a cycle: traces → traces",
        ]
    );
}
