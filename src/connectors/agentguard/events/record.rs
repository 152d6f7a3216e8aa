//! Events as log records: a sentence for people, attributes for filters, a trace that shows it.

use super::super::identity::{any, flag, number, text, texts, whole};
use super::EventKind;
use crate::analysis::{NodeRisk, shown};
use crate::base::{Nanos, TraceId};
use crate::graph::{Counts, EdgeRow, NodeRow};
use crate::otlp::semconv;
use crate::scan::{EdgeKind, NodeKind};
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::logs::v1::{LogRecord, SeverityNumber};

/// Most members of a cycle that are named.
pub(super) const MOST_MEMBERS: usize = 32;

/// When something happened by stream time, and when we saw it by the clock.
#[derive(Clone, Copy, Debug)]
pub(super) struct When {
    pub(super) happened: Nanos,
    pub(super) observed: Nanos,
}

/// A node that was not there before.
pub(super) fn node_discovered(node: &NodeRow, when: When) -> LogRecord {
    let sentence = format!("{} was seen for the first time", subject(node));
    let mut attributes = about(node);
    attributes.push(text(semconv::AGENTGUARD_EVIDENCE, evidence(&node.counts)));
    record(when, sentence, attributes, node.counts.example)
}

/// An edge that was not there before.
pub(super) fn edge_discovered(
    from: &NodeRow,
    to: &NodeRow,
    edge: &EdgeRow,
    when: When,
) -> LogRecord {
    let (verb, object) = (verb(edge.kind), object(to));
    let sentence = format!("{} {verb} {object}, for the first time", subject(from));
    let mut attributes = vec![
        text(semconv::AGENTGUARD_EDGE_KIND, edge.kind.as_str()),
        text(semconv::AGENTGUARD_EVIDENCE, edge.evidence()),
    ];
    let ends = [
        (
            from,
            [
                semconv::AGENTGUARD_EDGE_FROM_ID,
                semconv::AGENTGUARD_EDGE_FROM_KIND,
                semconv::AGENTGUARD_EDGE_FROM_NAME,
            ],
        ),
        (
            to,
            [
                semconv::AGENTGUARD_EDGE_TO_ID,
                semconv::AGENTGUARD_EDGE_TO_KIND,
                semconv::AGENTGUARD_EDGE_TO_NAME,
            ],
        ),
    ];
    for (node, keys) in ends {
        attributes.extend(named(node, keys));
    }
    attributes.extend(realm(from));
    record(when, sentence, attributes, edge.counts.example)
}

/// A node with which entries fail for certain.
pub(super) fn spof_detected(node: &NodeRow, risk: &NodeRisk, when: When) -> LogRecord {
    let share = shown(risk.spof_share);
    let sentence = format!(
        "{} is a single point of failure: {} of the traffic that comes in fails with it{}",
        subject(node),
        percent(share),
        if risk.is_proven {
            ", as was seen"
        } else {
            "; nobody was yet seen to do without it"
        },
    );
    let mut attributes = about(node);
    attributes.extend([
        number(semconv::AGENTGUARD_SPOF_SHARE, share),
        flag(semconv::AGENTGUARD_SPOF_PROVEN, risk.is_proven),
        whole(
            semconv::AGENTGUARD_DEPENDENTS_DIRECT,
            risk.blast.direct.into(),
        ),
        whole(
            semconv::AGENTGUARD_DEPENDENTS_TRANSITIVE,
            risk.blast.transitive.into(),
        ),
    ]);
    let mut record = record(when, sentence, attributes, node.counts.example);
    warn(&mut record);
    record
}

/// Nodes that depend on each other in a circle.
pub(super) fn cycle_detected(nodes: &[&NodeRow], when: When) -> LogRecord {
    let named = || nodes.iter().take(MOST_MEMBERS);
    let list: Vec<String> = named().map(|node| quoted(node)).collect();
    let list = list.join(", ");
    let more = nodes.len().saturating_sub(MOST_MEMBERS);
    let sentence = match (nodes, more) {
        ([only], _) => format!("{} calls itself through no other", subject(only)),
        (_, 0) => format!(
            "{} nodes depend on each other in a circle: {list}",
            nodes.len()
        ),
        (_, more) => format!(
            "{} nodes depend on each other in a circle: {list} and {more} more",
            nodes.len()
        ),
    };
    let mut attributes = vec![
        whole(semconv::AGENTGUARD_CYCLE_SIZE, nodes.len() as u64),
        texts(
            semconv::AGENTGUARD_CYCLE_NODES,
            named().map(|node| &*node.record.id),
        ),
    ];
    let mut examples = nodes.iter().map(|node| node.counts.example);
    let example = examples.find(|trace| *trace != TraceId::default());
    attributes.extend(nodes.first().and_then(|node| realm(node)));
    let mut record = record(when, sentence, attributes, example.unwrap_or_default());
    warn(&mut record);
    record
}

/// Gives a record the name of its event, and says how many of that name were not told.
pub(super) fn name(record: &mut LogRecord, kind: EventKind, suppressed: u64) {
    record.event_name = kind.as_str().to_owned();
    if suppressed > 0 {
        let key = semconv::AGENTGUARD_EVENTS_SUPPRESSED;
        record.attributes.push(whole(key, suppressed));
    }
}

fn record(when: When, sentence: String, attributes: Vec<KeyValue>, example: TraceId) -> LogRecord {
    let mut trace_id = Vec::new();
    if example != TraceId::default() {
        trace_id.extend(example.0);
    }
    LogRecord {
        time_unix_nano: when.happened.0,
        observed_time_unix_nano: when.observed.0,
        severity_number: SeverityNumber::Info as i32,
        severity_text: "INFO".to_owned(),
        body: Some(any(Value::StringValue(sentence))),
        attributes,
        trace_id,
        ..LogRecord::default()
    }
}

fn warn(record: &mut LogRecord) {
    record.severity_number = SeverityNumber::Warn as i32;
    "WARN".clone_into(&mut record.severity_text);
}

/// What every event of a node says of it.
fn about(node: &NodeRow) -> Vec<KeyValue> {
    let keys = [
        semconv::AGENTGUARD_NODE_ID,
        semconv::AGENTGUARD_NODE_KIND,
        semconv::AGENTGUARD_NODE_NAME,
    ];
    let mut attributes = Vec::from(named(node, keys));
    attributes.extend(realm(node));
    attributes
}

fn named(node: &NodeRow, [id, kind, name]: [&'static str; 3]) -> [KeyValue; 3] {
    let record = &node.record;
    [
        text(id, &record.id),
        text(kind, record.key.kind.as_str()),
        text(name, &record.display),
    ]
}

fn realm(node: &NodeRow) -> Option<KeyValue> {
    let realm = &*node.record.key.realm;
    (!realm.is_empty()).then(|| text(semconv::AGENTGUARD_REALM, realm))
}

/// How a node was seen.
fn evidence(counts: &Counts) -> &'static str {
    if counts.calls == 0 && counts.provisional == 0 && counts.declared > 0 {
        "declared"
    } else {
        "span"
    }
}

/// A node at a sentence's beginning.
fn subject(node: &NodeRow) -> String {
    let mut text = object(node);
    if let Some(first) = text.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    text
}

/// A node within a sentence.
fn object(node: &NodeRow) -> String {
    let kind = match node.record.key.kind {
        NodeKind::McpServer => "MCP server",
        kind => kind.as_str(),
    };
    format!("{kind} {}", quoted(node))
}

fn quoted(node: &NodeRow) -> String {
    format!("`{}`", node.record.display)
}

fn verb(kind: EdgeKind) -> &'static str {
    match kind {
        EdgeKind::Invokes => "starts",
        EdgeKind::Delegates => "delegates to",
        EdgeKind::HandsOff => "hands over to",
        EdgeKind::Messages => "writes to",
        EdgeKind::UsesTool => "uses",
        EdgeKind::CallsModel | EdgeKind::McpCall | EdgeKind::Calls => "calls",
        EdgeKind::Retrieves | EdgeKind::AsksHuman => "asks",
        EdgeKind::GuardedBy => "is guarded by",
        EdgeKind::Queries => "queries",
        EdgeKind::Publishes => "publishes to",
        EdgeKind::Delivers => "delivers to",
        EdgeKind::RunsIn => "runs in",
    }
}

/// A share as people write it; what is little is not shown as nothing.
fn percent(share: f64) -> String {
    match share * 100.0 {
        percent if percent > 0.0 && percent < 1.0 => "less than 1 %".to_owned(),
        percent => format!("{percent:.0} %"),
    }
}
