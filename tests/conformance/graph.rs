//! The live graph is the one that `scan` prints, forwarded spans name their nodes in it, and what is found goes out.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use agentguard::otlp::{RequestView, Signal, ValueView};
use bytes::Bytes;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point;
use prost::Message as _;
use tonic::Code;

use crate::support::capture;
use crate::support::daemon::{self, Daemon, Setup};
use crate::support::peers;
use crate::support::stub::{Answer, Stub};

const PIPELINES: &str = "traces/in:\n  receivers: [otlp]\n  exporters: [agentguard]\n\
                         traces/out:\n  receivers: [agentguard]\n  exporters: [otlp]\n";

/// How many nodes or edges of each kind `scan` printed.
fn by_kind(graph: &serde_json::Value, list: &str) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for row in graph[list].as_array().unwrap() {
        *counts
            .entry(row["kind"].as_str().unwrap().to_owned())
            .or_default() += 1;
    }
    counts
}

/// The node ids that forwarded spans carry.
fn named(requests: &[Bytes]) -> BTreeSet<String> {
    let mut ids = BTreeSet::new();
    for request in requests {
        for resource in RequestView::new(request).resource_groups() {
            let scopes: Vec<_> = resource.scope_groups().collect();
            for span in scopes.iter().flat_map(|scope| scope.spans()) {
                let found: Vec<_> = span
                    .attributes()
                    .filter(|attribute| attribute.key == b"agentguard.node.id")
                    .collect();
                assert!(found.len() <= 1, "never doubled");
                for attribute in found {
                    let ValueView::Str(id) = attribute.value() else {
                        panic!("a node's id is text")
                    };
                    ids.insert(String::from_utf8_lossy(id).into_owned());
                }
            }
        }
    }
    ids
}

/// R-GRA-3, R-STR-5: one capture through the file's way and the daemon's way.
#[tokio::test]
async fn a_replayed_capture_makes_the_graph_that_scan_prints() {
    let mut seen = 0;
    for path in capture::all() {
        let mut scan = Command::new(daemon::binary());
        scan.args(["scan", "--output", "json"]).arg(&path);
        let printed = peers::run(scan).await;
        assert!(printed.status.success(), "{printed:?}");
        let graph: serde_json::Value = serde_json::from_slice(&printed.stdout).unwrap();

        let stub = Stub::start().await;
        let setup = Setup::new()
            .sections("connectors:\n  agentguard: {tick_interval: 50ms}\n")
            .pipelines(PIPELINES);
        let daemon = Daemon::start(&setup.otlp(stub.address(), "")).await;
        let mut replay = Command::new(daemon::binary());
        replay.arg("replay").arg(&path);
        replay.args(["--to", &format!("http://{}", daemon.grpc())]);
        let replayed = peers::run(replay).await;
        assert!(replayed.status.success(), "{replayed:?}");

        for (list, metric) in [("nodes", "agentguard_nodes"), ("edges", "agentguard_edges")] {
            for (kind, count) in by_kind(&graph, list) {
                let label = format!("kind=\"{kind}\"");
                #[expect(clippy::cast_precision_loss, reason = "a few dozen")]
                daemon.counted(metric, &[&label], count as f64).await;
                let there = daemon.scrape().await.sum(metric, &[&label]);
                #[expect(clippy::cast_precision_loss, reason = "a few dozen")]
                let expected = count as f64;
                assert!(
                    (there - expected).abs() < 0.5,
                    "{metric} {kind} of {path:?}"
                );
            }
        }
        let sent: usize = capture::records(&path).len();
        stub.requests(sent).await;
        let known: BTreeSet<String> = graph["nodes"]
            .as_array()
            .unwrap()
            .iter()
            .map(|node| node["id"].as_str().unwrap().to_owned())
            .collect();
        let named = named(&stub.taken(Signal::Traces));
        seen += named.intersection(&known).count();
        // A span carries the identity that it has alone. What stands around it may show later that it is a wrapper, that
        // a workflow or a tool is an agent of the same name, which model a nameless call met (N-14, N-15, E-17, N-27). In
        // these two programs only the second happens.
        let is_plain = ["google-adk", "pydantic-ai-logfire"]
            .iter()
            .any(|name| path.to_string_lossy().contains(name));
        let last = |id: &str| id.rsplit('/').next().unwrap_or_default().to_owned();
        let names: BTreeSet<String> = known.iter().map(|id| last(id)).collect();
        let strangers: Vec<_> = named
            .difference(&known)
            .filter(|id| is_plain && !names.contains(&last(id)))
            .collect();
        assert!(strangers.is_empty(), "{path:?}: {strangers:?}");
    }
    assert!(seen > 20, "{seen} nodes were named on forwarded spans");
}

/// Text attributes by key.
fn texts(attributes: &[KeyValue]) -> BTreeMap<String, String> {
    let text = |pair: &KeyValue| match pair.value.as_ref()?.value.as_ref()? {
        Value::StringValue(text) => Some((pair.key.clone(), text.clone())),
        _ => None,
    };
    attributes.iter().filter_map(text).collect()
}

/// What each log record says, all of the guard and each in order.
fn events(requests: &[Bytes]) -> Vec<LogRecord> {
    let mut records = Vec::new();
    for request in requests {
        let request = ExportLogsServiceRequest::decode(request.clone()).unwrap();
        for group in request.resource_logs {
            let resource = texts(&group.resource.unwrap().attributes);
            assert_eq!(resource["service.name"], "agentguard");
            records.extend(
                group
                    .scope_logs
                    .into_iter()
                    .flat_map(|scope| scope.log_records),
            );
        }
    }
    records
}

/// The last value of each series of a counter, and how often any of them fell.
fn counter(requests: &[Bytes], name: &str) -> (f64, usize) {
    let (mut last, mut falls) = (BTreeMap::new(), 0);
    for request in requests {
        let request = ExportMetricsServiceRequest::decode(request.clone()).unwrap();
        let groups = request.resource_metrics.iter();
        let scopes = groups.flat_map(|group| &group.scope_metrics);
        for metric in scopes.flat_map(|scope| &scope.metrics) {
            let Some(Data::Sum(sum)) = metric.data.as_ref().filter(|_| metric.name == name) else {
                continue;
            };
            for point in &sum.data_points {
                let Some(number_data_point::Value::AsDouble(value)) = point.value else {
                    panic!("{point:?}")
                };
                assert!(point.start_time_unix_nano <= point.time_unix_nano);
                let before = last.insert(texts(&point.attributes), value);
                falls += usize::from(before.is_some_and(|before| before > value));
            }
        }
    }
    (last.values().sum(), falls)
}

/// R-STR-3: the guard's other two outputs, at a real OTLP sink: what is new as log records, what was counted as metrics.
#[tokio::test]
async fn what_the_guard_finds_goes_out_as_events_and_metrics() {
    let capture = capture::all().into_iter();
    let mut capture = capture.filter(|path| path.ends_with("google-adk.otlp"));
    let capture = capture.next().expect("a capture of a program with agents");
    let mut scan = Command::new(daemon::binary());
    scan.args(["scan", "--output", "json"]).arg(&capture);
    let printed = peers::run(scan).await;
    let graph: serde_json::Value = serde_json::from_slice(&printed.stdout).unwrap();

    let stub = Stub::start().await;
    // the first word is refused: it must come again
    stub.then(Answer::grpc(Code::Unavailable));
    let setup = Setup::new()
        .sections(
            "connectors:\n  agentguard: {tick_interval: 50ms, metrics_flush_interval: 200ms}\n",
        )
        .pipelines(
            "traces:\n  receivers: [otlp]\n  exporters: [agentguard]\n\
             logs/events:\n  receivers: [agentguard]\n  exporters: [otlp]\n\
             metrics/graph:\n  receivers: [agentguard]\n  exporters: [otlp]\n",
        );
    let mut daemon = Daemon::start(&setup.otlp(stub.address(), "")).await;
    let mut replay = Command::new(daemon::binary());
    replay.arg("replay").arg(&capture);
    replay.args(["--to", &format!("http://{}", daemon.grpc())]);
    assert!(peers::run(replay).await.status.success());
    stub.request(0).await;
    stub.then(Answer::Take);
    stub.items(Signal::Logs, 1).await;
    stub.items(Signal::Metrics, 1).await;
    let told = |event: &str| format!("event=\"{event}\"");
    let nodes = graph["nodes"].as_array().unwrap();
    #[expect(clippy::cast_precision_loss, reason = "a few dozen")]
    let expected = nodes.len() as f64;
    let discovered = told("agentguard.node.discovered");
    daemon
        .counted("agentguard_events_total", &[&discovered], expected)
        .await;
    // what waits for a parent is settled at the end, and told then
    daemon.stop().await;

    let records = events(&stub.taken(Signal::Logs));
    let mut seen = BTreeMap::<_, usize>::new();
    for record in &records {
        let says = texts(&record.attributes);
        let text = |key: &str| says.get(key).cloned().unwrap_or_default();
        let thing = match record.event_name.as_str() {
            "agentguard.node.discovered" => {
                [text("agentguard.node.id"), String::new(), String::new()]
            }
            "agentguard.edge.discovered" => [
                text("agentguard.edge.from.id"),
                text("agentguard.edge.to.id"),
                text("agentguard.edge.kind"),
            ],
            _ => continue,
        };
        assert!(record.time_unix_nano > 0 && record.observed_time_unix_nano > 0);
        assert_eq!(record.severity_text, "INFO");
        *seen.entry(thing).or_default() += 1;
    }
    assert!(seen.values().all(|times| *times == 1), "{seen:?}");
    let word = |row: &serde_json::Value, key: &str| row[key].as_str().unwrap().to_owned();
    for node in nodes {
        let thing = [word(node, "id"), String::new(), String::new()];
        assert!(seen.contains_key(&thing), "{thing:?} in {seen:?}");
    }
    let edges = graph["edges"].as_array().unwrap();
    for edge in edges {
        let thing = ["from", "to", "kind"].map(|key| word(edge, key));
        assert!(seen.contains_key(&thing), "{thing:?} in {seen:?}");
    }
    let metrics = stub.taken(Signal::Metrics);
    let calls: f64 = edges
        .iter()
        .map(|edge| edge["calls"].as_f64().unwrap())
        .sum();
    assert_eq!(
        counter(&metrics, "traces_service_graph_request_total"),
        (calls, 0)
    );
    let (tokens, falls) = counter(&metrics, "agentguard_model_tokens_total");
    assert!(tokens > 0.0 && falls == 0, "{tokens} {falls}");
}
