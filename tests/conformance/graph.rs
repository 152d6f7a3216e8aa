//! The live graph is the one that `scan` prints, and forwarded spans name their nodes in it.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use agentguard::otlp::{RequestView, Signal, ValueView};
use bytes::Bytes;
use serde_json::Value;

use crate::support::capture;
use crate::support::daemon::{self, Daemon, Setup};
use crate::support::peers;
use crate::support::stub::Stub;

const PIPELINES: &str = "traces/in:\n  receivers: [otlp]\n  exporters: [agentguard]\n\
                         traces/out:\n  receivers: [agentguard]\n  exporters: [otlp]\n";

/// How many nodes or edges of each kind `scan` printed.
fn by_kind(graph: &Value, list: &str) -> BTreeMap<String, usize> {
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
        let graph: Value = serde_json::from_slice(&printed.stdout).unwrap();

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
