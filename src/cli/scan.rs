//! `agentguard scan`: the agents, tools and models in recorded traces, and who calls whom.

use super::{Exit, replay};
use crate::graph::{EdgeRow, GraphSnapshot, NodeRow};
use crate::guard::{GuardSettings, Scan, scan};
use crate::otlp::{Signal, validate};
use crate::scan::NodeKind;
use anyhow::Context;
use clap::{Args, ValueEnum};
use serde_json::json;
use std::fmt::{self, Write};
use std::path::PathBuf;

/// How to show it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Output {
    /// For people.
    #[default]
    Table,
    /// For programs.
    Json,
    /// For Graphviz.
    Dot,
    /// For Markdown.
    Mermaid,
}

/// `agentguard scan`
#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:
  agentguard scan capture.otlp
  agentguard scan --output json spans.jsonl | jq '.edges[] | select(.failures > 0)'
  agentguard scan --output dot capture.otlp | dot -Tsvg > graph.svg")]
pub struct ScanCommand {
    /// Captures: length-delimited records (`.otlp`), OTLP JSON, or JSON lines.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// How to show the graph.
    #[arg(long, value_enum, default_value_t)]
    output: Output,
}

impl ScanCommand {
    pub(super) fn execute(&self) -> anyhow::Result<Exit> {
        let mut requests = Vec::new();
        for path in &self.files {
            let records = replay::read(path)?;
            let traces = records
                .into_iter()
                .filter(|record| record.signal == Signal::Traces);
            for record in traces {
                validate(record.signal, &record.bytes)
                    .with_context(|| format!("reading {}", path.display()))?;
                requests.push(record.bytes);
            }
        }
        let scanned = scan(GuardSettings::default(), requests);
        print!("{}", render(&scanned, self.output));
        Ok(Exit::Done)
    }
}

/// The graph in the form asked for, with a line end.
#[must_use]
fn render(scanned: &Scan, output: Output) -> String {
    let graph = &scanned.snapshot.graph;
    match output {
        Output::Table => table(graph) + &summary(scanned),
        Output::Json => format!("{:#}\n", as_json(graph)),
        Output::Dot => dot(graph),
        Output::Mermaid => mermaid(graph),
    }
}

/// The graph as `{"nodes": [...], "edges": [...]}`.
#[must_use]
fn as_json(graph: &GraphSnapshot) -> serde_json::Value {
    let nodes: Vec<_> = graph
        .nodes()
        .iter()
        .map(|row| {
            let (record, counts) = (&row.record, &row.counts);
            let mut node = json!({
                "id": record.id,
                "kind": record.key.kind.as_str(),
                "name": record.display,
                "calls": counts.calls,
                "failures": counts.failures(),
                "entries": counts.entries,
                "tokens_in": counts.tokens_in,
                "tokens_out": counts.tokens_out,
            });
            if !record.key.realm.is_empty() {
                node["realm"] = json!(&*record.key.realm);
            }
            node
        })
        .collect();
    let edges: Vec<_> = ends(graph)
        .map(|(edge, from, to)| {
            let counts = &edge.counts;
            json!({
                "from": from.record.id,
                "to": to.record.id,
                "kind": edge.kind.as_str(),
                "calls": counts.calls,
                "failures": counts.failures(),
                "provisional": counts.provisional,
                "evidence": edge.evidence(),
                "duration_ns": counts.duration_ns,
                "tokens_in": counts.tokens_in,
                "tokens_out": counts.tokens_out,
                "first_seen_unix_ns": counts.first_seen,
                "last_seen_unix_ns": counts.last_seen,
                "example_trace_id": counts.example.to_string(),
            })
        })
        .collect();
    json!({"nodes": nodes, "edges": edges})
}

/// Each edge with its ends.
fn ends(graph: &GraphSnapshot) -> impl Iterator<Item = (&EdgeRow, &NodeRow, &NodeRow)> {
    graph
        .edges()
        .iter()
        .filter_map(|edge| Some((edge, graph.node(edge.from)?, graph.node(edge.to)?)))
}

/// Columns under a heading; numbers stand to the right.
struct Columns {
    head: Vec<&'static str>,
    rows: Vec<Vec<String>>,
    first_number: usize,
}

impl fmt::Display for Columns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let head: Vec<String> = self.head.iter().map(|cell| (*cell).to_owned()).collect();
        let lines = || std::iter::once(&head).chain(&self.rows);
        let width = |column: usize| {
            lines()
                .map(|line| line.get(column).map_or(0, |cell| cell.chars().count()))
                .max()
                .unwrap_or(0)
        };
        let widths: Vec<usize> = (0..self.head.len()).map(width).collect();
        for line in lines() {
            let mut text = String::new();
            for ((column, cell), width) in line.iter().enumerate().zip(&widths) {
                let blanks = " ".repeat(width - cell.chars().count());
                let (before, after) = if column >= self.first_number {
                    (blanks.as_str(), "")
                } else {
                    ("", blanks.as_str())
                };
                write!(text, "{before}{cell}{after}  ")?;
            }
            writeln!(f, "  {}", text.trim_end())?;
        }
        Ok(())
    }
}

/// A number; nothing for none, so that the others are seen.
fn number(value: i64) -> String {
    if value == 0 {
        String::new()
    } else {
        value.to_string()
    }
}

fn heading(kind: NodeKind) -> &'static str {
    match kind {
        NodeKind::Agent => "Agents",
        NodeKind::Workflow => "Workflows",
        NodeKind::Model => "Models",
        NodeKind::Tool => "Tools",
        NodeKind::McpServer => "MCP servers",
        NodeKind::Retriever => "Retrievers",
        NodeKind::Guardrail => "Guardrails",
        NodeKind::Human => "Humans",
        NodeKind::Database => "Databases",
        NodeKind::Queue => "Queues",
        NodeKind::Service => "Services",
    }
}

pub(super) fn table(graph: &GraphSnapshot) -> String {
    let mut out = String::new();
    for kind in NodeKind::ALL {
        let rows: Vec<Vec<String>> = graph
            .nodes()
            .iter()
            .filter(|row| row.record.key.kind == kind)
            .map(node_cells)
            .collect();
        if rows.is_empty() {
            continue;
        }
        let columns = Columns {
            head: vec!["name", "id", "calls", "failures", "tokens in", "tokens out"],
            rows,
            first_number: 2,
        };
        push(
            &mut out,
            format_args!("{} ({})\n{columns}\n", heading(kind), columns.rows.len()),
        );
    }
    let rows: Vec<Vec<String>> = ends(graph)
        .map(|(edge, from, to)| {
            let counts = &edge.counts;
            vec![
                from.record.id.to_string(),
                edge.kind.to_string(),
                to.record.id.to_string(),
                edge.evidence().to_owned(),
                counts.calls.to_string(),
                number(counts.failures()),
                mean(counts.duration_ns, counts.calls),
            ]
        })
        .collect();
    let columns = Columns {
        head: vec!["from", "", "to", "evidence", "calls", "failures", "mean"],
        rows,
        first_number: 4,
    };
    if !columns.rows.is_empty() {
        push(
            &mut out,
            format_args!("Edges ({})\n{columns}\n", columns.rows.len()),
        );
    }
    out
}

/// What the table does not show: how the spans were read.
fn summary(scanned: &Scan) -> String {
    let mut out = String::new();
    let counts = &scanned.counts;
    push(
        &mut out,
        format_args!(
            "{} spans: {} of agents, tools and models, {} handoffs, {} looked through, {} ignored, {} with bad ids\n",
            counts.scanned(),
            counts.with_node,
            counts.handoffs,
            counts.neutral,
            counts.ignored,
            counts.bad_id,
        ),
    );
    if scanned.malformed > 0 {
        push(
            &mut out,
            format_args!(
                "{} requests are broken and were left out\n",
                scanned.malformed
            ),
        );
    }
    out
}

fn node_cells(row: &NodeRow) -> Vec<String> {
    let counts = &row.counts;
    vec![
        row.record.display.to_string(),
        row.record.id.to_string(),
        number(counts.calls),
        number(counts.failures()),
        number(counts.tokens_in),
        number(counts.tokens_out),
    ]
}

fn mean(duration_ns: i64, calls: i64) -> String {
    if calls <= 0 {
        return String::new();
    }
    let millis = duration_ns as f64 / calls as f64 / 1e6;
    if millis >= 1_000.0 {
        format!("{:.1} s", millis / 1e3)
    } else {
        format!("{millis:.1} ms")
    }
}

/// Writing to a `String` cannot fail.
fn push(out: &mut String, text: fmt::Arguments<'_>) {
    out.write_fmt(text).unwrap_or_default();
}

fn dot(graph: &GraphSnapshot) -> String {
    let quoted = |text: &str| format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""));
    let mut out = String::from("digraph agents {\n  rankdir=LR;\n  node [shape=box];\n");
    for row in graph.nodes() {
        let label = format!("{}\n{}", row.record.key.kind, row.record.display);
        push(
            &mut out,
            format_args!(
                "  {} [label={}];\n",
                quoted(&row.record.id),
                quoted(&label).replace('\n', "\\n")
            ),
        );
    }
    for (edge, from, to) in ends(graph) {
        let label = quoted(&format!("{} {}", edge.kind, called(edge)));
        push(
            &mut out,
            format_args!(
                "  {} -> {} [label={label}];\n",
                quoted(&from.record.id),
                quoted(&to.record.id)
            ),
        );
    }
    out.push_str("}\n");
    out
}

fn mermaid(graph: &GraphSnapshot) -> String {
    // Mermaid's own escape for what would end a label
    let escaped = |text: &str| {
        text.replace('#', "#35;")
            .replace('"', "#quot;")
            .replace('|', "#124;")
            .replace('<', "#lt;")
    };
    let mut out = String::from("flowchart LR\n");
    for (row, node) in graph.nodes().iter().enumerate() {
        push(
            &mut out,
            format_args!(
                "  n{row}[\"{}: {}\"]\n",
                node.record.key.kind,
                escaped(&node.record.display)
            ),
        );
    }
    for edge in graph.edges() {
        if let (Some(from), Some(to)) = (graph.row(edge.from), graph.row(edge.to)) {
            push(
                &mut out,
                format_args!("  n{from} -->|{} {}| n{to}\n", edge.kind, called(edge)),
            );
        }
    }
    out
}

fn called(edge: &EdgeRow) -> String {
    match edge.counts.failures() {
        0 => format!("×{}", edge.counts.calls),
        failures => format!("×{} ({failures} failed)", edge.counts.calls),
    }
}
