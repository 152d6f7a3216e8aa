//! Steps of frameworks, some of which are agents (K-13, K-18, K-19, K-40).
//!
//! Here: what one span says of itself. Whether a step calls a model is for the graph to find out.

use crate::otlp::{SpanView, ValueView, semconv};
use crate::scan::alias::Slot;
use crate::scan::classify::{Class, Named};
use crate::scan::facts::Facts;
use crate::scan::kind::Role;
use crate::scan::scanner::Dialect;
use crate::scan::text::after;

const NEUTRAL: Class<'static> = Class::Neutral;
const AGENT: Class<'static> = Class::Node(Role::Actor, Named::Agent);
const WORKFLOW: Class<'static> = Class::Node(Role::Actor, Named::Workflow);
const STEP: Class<'static> = Class::Node(Role::Step, Named::Step);
const BY_NAME: Class<'static> = Class::Node(Role::Step, Named::ByName);

/// Names by which frameworks call their own steps, and a few that say nothing (K-18).
const PLUMBING: &[&[u8]] = &[
    b"agent",
    b"agents",
    b"model",
    b"tools",
    b"tool",
    b"call_model",
    b"call_agent",
    b"model_request",
    b"should_continue",
    b"prompt",
    b"unknown",
    b"default",
    b"workflow",
    b"langgraph",
];

/// The three fields that are read of OpenInference's metadata.
#[derive(Clone, Copy, Debug, Default, serde::Deserialize)]
#[serde(default)]
struct Fields<'a> {
    #[serde(borrow)]
    lc_agent_name: Option<&'a str>,
    langgraph_node: Option<&'a str>,
    ls_integration: Option<&'a str>,
}

/// The same, empty where there is none.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Metadata<'a> {
    pub(crate) lc_agent_name: &'a [u8],
    langgraph_node: &'a [u8],
    ls_integration: &'a [u8],
}

/// Reads the metadata, whose escaped or odd texts are as if absent.
pub(crate) fn metadata<'a>(facts: &Facts<'a>) -> Metadata<'a> {
    let json = facts.text(Slot::Metadata);
    if json.is_empty() {
        return Metadata::default();
    }
    let fields = serde_json::from_slice::<Fields<'_>>(json).unwrap_or_default();
    let text = |field: Option<&'a str>| field.map(str::as_bytes).unwrap_or_default();
    Metadata {
        lc_agent_name: text(fields.lc_agent_name),
        langgraph_node: text(fields.langgraph_node),
        ls_integration: text(fields.ls_integration),
    }
}

fn is_plumbing(name: &[u8]) -> bool {
    name.is_empty()
        || name.starts_with(b"__")
        || name.starts_with(b"Runnable")
        || PLUMBING.iter().any(|word| name.eq_ignore_ascii_case(word))
}

/// The name of a step (K-13).
pub(crate) fn name<'a>(facts: &Facts<'a>, span: &SpanView<'a>) -> &'a [u8] {
    let named = facts.first(&[Slot::EntityName, Slot::TaskName]);
    if !named.is_empty() {
        return named;
    }
    let task = after(span.name, "execute_task ");
    if task.is_empty() { span.name } else { task }
}

/// OpenLLMetry's tasks: those of LangGraph may be agents.
pub(crate) fn task<'a>(facts: &Facts<'a>, span: &SpanView<'a>, dialect: Dialect) -> Class<'a> {
    let is_node = facts.text(Slot::Operation) == b"execute_task" || dialect == Dialect::LangChain;
    match is_plumbing(name(facts, span)) {
        true => NEUTRAL,
        false if is_node => STEP,
        // without a name of its own it is nobody's
        false if name(facts, span) == span.name => NEUTRAL,
        false => BY_NAME,
    }
}

/// OpenInference's chains: an agent's own, a compiled graph, a node of one, or nothing.
pub(crate) fn chain<'a>(facts: &Facts<'a>, span: &SpanView<'a>) -> Class<'a> {
    let metadata = metadata(facts);
    if is_plumbing(span.name) {
        return NEUTRAL;
    }
    if metadata.lc_agent_name == span.name {
        return AGENT;
    }
    if metadata.langgraph_node == span.name {
        return STEP;
    }
    if metadata.ls_integration == b"langgraph" && metadata.langgraph_node.is_empty() {
        return WORKFLOW; // K-19
    }
    BY_NAME
}

/// A step that nothing but its name can make an agent (K-18).
pub(crate) fn by_name<'a>(span: &SpanView<'a>) -> Class<'a> {
    if is_plumbing(span.name) {
        NEUTRAL
    } else {
        BY_NAME
    }
}

/// What LlamaIndex calls `Class.method`: a workflow's run, or a step of one whose agents take turns (K-44, K-47).
pub(crate) fn method<'a>(span: &SpanView<'a>) -> Class<'a> {
    match split(span.name) {
        Some((class, b"run")) => Class::Called(Role::Actor, Named::Workflow, class),
        Some(_) => Class::Turn { is_tool: false },
        None => NEUTRAL,
    }
}

/// Whether a name is that of a workflow's step.
pub(crate) fn is_turn(name: &[u8]) -> bool {
    split(name).is_some_and(|(_, method)| method != b"run")
}

/// A workflow's class and its method.
fn split(name: &[u8]) -> Option<(&[u8], &[u8])> {
    let dot = name.iter().position(|byte| *byte == b'.')?;
    let (class, method) = (name.get(..dot)?, name.get(dot + 1..)?);
    class.ends_with(b"Workflow").then_some((class, method))
}

/// The agent whose turn it is, in what a step was given or gave back: the one field that may be looked at (K-44, R-06).
/// Written as Python or JSON, within a text or not; the last is meant, since what people wrote stands before it.
pub(crate) fn current_agent(text: &[u8]) -> &[u8] {
    const KEY: &[u8] = b"current_agent_name";
    let Some(at) = text.windows(KEY.len()).rposition(|part| part == KEY) else {
        return b"";
    };
    let rest = text.get(at + KEY.len()..).unwrap_or_default();
    let is_quote = |byte: &u8| matches!(byte, b'\'' | b'"');
    let is_gap = |byte: &u8| matches!(byte, b'\\' | b' ') || is_quote(byte);
    let Some(sign) = rest.iter().position(|byte| !is_gap(byte)) else {
        return b"";
    };
    if !matches!(rest[sign], b'=' | b':') {
        return b"";
    }
    let after = rest[sign + 1..].trim_ascii_start();
    let slashes = after.iter().take_while(|byte| **byte == b'\\').count();
    let after = after.get(slashes..).unwrap_or_default();
    let Some((quote, value)) = after.split_first().filter(|(first, _)| is_quote(first)) else {
        return b"";
    };
    match value
        .iter()
        .position(|byte| byte == quote || *byte == b'\\')
    {
        Some(end) => &value[..end],
        None => b"",
    }
}

/// K-04: which node of a graph comes next. Of several, none: each has its own span when it runs.
pub(crate) fn goto<'a>(span: &SpanView<'a>) -> Class<'a> {
    let text = |key: &str| match span.attributes().find_key(key.as_bytes()) {
        Some(attribute) => match attribute.value() {
            ValueView::Str(text) => text,
            _ => b"",
        },
        None => b"",
    };
    let mut to = text(semconv::LANGGRAPH_COMMAND_GOTO_NODE);
    if to.is_empty() {
        let nodes = text(semconv::LANGGRAPH_COMMAND_GOTO_NODES).trim_ascii();
        let only = serde_json::from_slice::<[&str; 1]>(nodes);
        to = only.map(|[only]| only.as_bytes()).unwrap_or_default();
    }
    let from = text(semconv::LANGGRAPH_COMMAND_SOURCE_NODE);
    if to.is_empty() || from.is_empty() {
        NEUTRAL
    } else {
        Class::Goto { to, from }
    }
}

/// OpenInference's agents, among which LangChain's adapter counts whatever has the word in its name (K-40).
pub(crate) fn agent<'a>(facts: &Facts<'a>, span: &SpanView<'a>) -> Class<'a> {
    let metadata = metadata(facts);
    let (node, agent) = (metadata.langgraph_node, metadata.lc_agent_name);
    if !node.is_empty() && node != span.name && agent != span.name {
        return by_name(span);
    }
    if metadata.ls_integration == b"langgraph" && node.is_empty() && agent.is_empty() {
        return WORKFLOW; // K-19
    }
    AGENT
}
