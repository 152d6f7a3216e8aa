//! Generated traces whose graph is known, and the comparison of a graph with it.
//!
//! `tests/fixtures/truth/NAME.otlp.zst` is a capture of agents, services or both that call each other, with errors, cycles
//! and messages; `NAME.truth.json` beside it has the exact nodes and edges, derived from the calls that were generated and
//! not from the spans. Nodes are told by kind and name: the last part of an id, an agent in its canonical spelling, a queue
//! as a topic. What coincides then is summed.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use serde_json::Value;

use crate::support::capture;
use crate::support::metrics::Scrape;

/// A node: kind and name.
pub type End = (String, String);

/// Calls and errors between nodes, and the nodes where they are known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Graph {
    /// All nodes; none where a source tells of edges only.
    pub nodes: BTreeSet<End>,
    /// Calls and errors.
    pub edges: BTreeMap<(End, End), (u64, u64)>,
}

impl Graph {
    /// The true graph of a fixture.
    ///
    /// # Panics
    /// When the file is not there or is no such graph.
    #[must_use]
    pub fn of_truth(name: &str) -> Self {
        let text = std::fs::read_to_string(fixture(&format!("{name}.truth.json")));
        let truth: Value = serde_json::from_str(&text.expect("a fixture")).expect("JSON");
        Graph::of_json(&truth, "errors", |node| node)
    }

    /// What `scan --output json` printed.
    ///
    /// # Panics
    /// When that is no graph.
    #[must_use]
    pub fn of_scan(printed: &[u8]) -> Self {
        let graph: Value = serde_json::from_slice(printed).expect("JSON");
        Graph::of_json(&graph, "failures", |node| &node["id"])
    }

    fn of_json(graph: &Value, errors: &str, id: fn(&Value) -> &Value) -> Self {
        let mut read = Graph::default();
        for node in graph["nodes"].as_array().expect("a list of nodes") {
            read.nodes.insert(of_id(id(node).as_str().expect("an id")));
        }
        for edge in graph["edges"].as_array().expect("a list of edges") {
            let end = |key: &str| of_id(edge[key].as_str().expect("an id"));
            let count = |key: &str| edge[key].as_u64().expect("a count");
            read.add(end("from"), end("to"), (count("calls"), count(errors)));
        }
        read
    }

    /// What Prometheus is shown, with `client_kind` and `server_kind`.
    #[must_use]
    pub fn of_scrape(page: &Scrape) -> Self {
        let mut read = Graph::default();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "counts"
        )]
        let whole = |value: f64| value.round() as u64;
        for (name, is_error) in [
            ("traces_service_graph_request_total", false),
            ("traces_service_graph_request_failed_total", true),
        ] {
            for (labels, value) in page.series(name) {
                let end = |side: &str| {
                    let kind = &labels[&format!("{side}_kind")];
                    node(kind, &labels[side])
                };
                let counts = if is_error {
                    (0, whole(value))
                } else {
                    (whole(value), 0)
                };
                read.add(end("client"), end("server"), counts);
            }
        }
        read
    }

    fn add(&mut self, from: End, to: End, (calls, errors): (u64, u64)) {
        let sum = self.edges.entry((from, to)).or_default();
        *sum = (sum.0 + calls, sum.1 + errors);
    }

    /// The edges after so many passes.
    #[must_use]
    pub fn times(&self, passes: u64) -> Self {
        let mut graph = self.clone();
        for counts in graph.edges.values_mut() {
            *counts = (counts.0 * passes, counts.1 * passes);
        }
        graph
    }

    /// How the edges, and the nodes where both know them, differ from those that are right; nothing if they do not.
    #[must_use]
    pub fn differences(&self, right: &Graph) -> Vec<String> {
        let mut told = Vec::new();
        if !self.nodes.is_empty() {
            let (extra, missing) = (&self.nodes - &right.nodes, &right.nodes - &self.nodes);
            told.extend(extra.iter().map(|node| format!("{node:?} is no node")));
            told.extend(missing.iter().map(|node| format!("{node:?} is missing")));
        }
        let edges: BTreeSet<_> = self.edges.keys().chain(right.edges.keys()).collect();
        for edge in edges {
            let (own, right) = (self.edges.get(edge), right.edges.get(edge));
            if own != right {
                told.push(format!("{edge:?} counts {own:?} where {right:?} is right"));
            }
        }
        told
    }
}

/// The requests of a fixture, in the order in which they came.
#[must_use]
pub fn requests(name: &str) -> Vec<Bytes> {
    capture::records(&fixture(&format!("{name}.otlp.zst")))
}

fn fixture(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/truth")
        .join(file)
}

/// The node of an id `kind:scope/name`, or `kind:name`.
fn of_id(id: &str) -> End {
    let (kind, rest) = id.split_once(':').expect("a kind before the name");
    node(kind, rest)
}

fn node(kind: &str, name: &str) -> End {
    let name = name.rsplit('/').next().unwrap_or_default();
    let kind = if kind == "queue" { "topic" } else { kind };
    let name = if kind == "agent" {
        let words = name.split(|letter: char| !letter.is_alphanumeric());
        let words: Vec<&str> = words.filter(|word| !word.is_empty()).collect();
        words.join("_").to_lowercase()
    } else {
        name.to_owned()
    };
    (kind.to_owned(), name)
}
