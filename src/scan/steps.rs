//! Steps of frameworks, some of which are agents (K-13, K-18, K-19, K-40).
//!
//! Here: what one span says of itself. Whether a step calls a model is for the graph to find out.

use crate::otlp::SpanView;
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
    if is_node && !is_plumbing(name(facts, span)) {
        STEP
    } else {
        NEUTRAL
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
    NEUTRAL
}

/// OpenInference's agents, among which LangChain's adapter counts whatever has the word in its name (K-40).
pub(crate) fn agent<'a>(facts: &Facts<'a>, span: &SpanView<'a>) -> Class<'a> {
    let metadata = metadata(facts);
    let (node, agent) = (metadata.langgraph_node, metadata.lc_agent_name);
    if !node.is_empty() && node != span.name && agent != span.name {
        return NEUTRAL;
    }
    if metadata.ls_integration == b"langgraph" && node.is_empty() && agent.is_empty() {
        return WORKFLOW; // K-19
    }
    AGENT
}
