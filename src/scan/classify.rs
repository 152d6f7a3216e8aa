//! What a span is: the precedence table of `span-conventions` §3, first match wins.
//!
//! Agents, models and tools are here; what carries their calls is in `transport`. A span that no test knows is neutral
//! (K-99): looked through, never an error.

use crate::otlp::SpanView;
use crate::scan::alias::Slot;
use crate::scan::facts::{Facts, Slots};
use crate::scan::identity;
use crate::scan::kind::Role;
use crate::scan::scanner::Dialect;
use crate::scan::text::after;
use crate::scan::{arguments, logfire, steps, transport};

/// By which rules a node is named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Named {
    Agent,
    Workflow,
    Model,
    Tool,
    Retriever,
    Memory,
    Guardrail,
    Human,
    /// The agent of a service that does not name it (N-12).
    MainAgent,
    /// An agent that goes by the name of a step.
    Step,
    /// The same, if somebody else is known to go by that name (K-18).
    ByName,
    /// The agent to which a message is addressed.
    Addressee,
    /// The agent that a delegation tool names in its arguments.
    Coworker,
    /// The agent whose turn it is (K-44).
    Current,
    McpServer,
    Service,
    Database,
    VectorStore,
    Queue,
    /// What an actor runtime's messages are published to (K-61).
    Topic,
    /// A guardrail that runs at the model's provider (E-02).
    HostedGuardrail,
    Peer,
    McpPeer,
}

/// What the tests came to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Class<'a> {
    /// Not even looked through (K-00).
    Ignored,
    /// Looked through.
    Neutral,
    /// A node's work or a call of it.
    Node(Role, Named),
    /// Takes part without a node of its own.
    Bare(Role),
    /// The same under a name that stands where only its writer puts it.
    Called(Role, Named, &'a [u8]),
    /// A step of a workflow whose agents take turns (K-44), which may be a tool as well (K-13).
    Turn { is_tool: bool },
    /// A node of a graph says which one comes next (K-04).
    Goto { to: &'a [u8], from: &'a [u8] },
    /// Control goes to an agent of this name; empty where it is hidden (E-15).
    Handoff { to: &'a [u8], from: &'a [u8] },
}

const NEUTRAL: Class<'static> = Class::Neutral;
const AGENT: Class<'static> = Class::Node(Role::Actor, Named::Agent);
const WORKFLOW: Class<'static> = Class::Node(Role::Actor, Named::Workflow);
const MODEL: Class<'static> = Class::Node(Role::Model, Named::Model);
const RETRIEVER: Class<'static> = Class::Node(Role::Actor, Named::Retriever);
const TOOL: Class<'static> = Class::Node(Role::Actor, Named::Tool);
const GUARDRAIL: Class<'static> = Class::Node(Role::Actor, Named::Guardrail);

/// What the rules of this page ask for; a span that says none of it carries a call, or nothing.
const ASKED: Slots = Slots::of(&[
    Slot::Operation,
    Slot::OiKind,
    Slot::TlKind,
    Slot::AiOperation,
    Slot::LangsmithKind,
    Slot::LogfireType,
    Slot::VendorAgentName,
    Slot::HandoffTo,
    Slot::OtherWorkflow,
    Slot::ToolName,
    Slot::McpMethod,
    Slot::A2aMethod,
    Slot::SpringKind,
    Slot::MastraType,
    Slot::LangfuseType,
    Slot::MlflowType,
    Slot::Ag2Type,
]);

/// Classifies a span.
#[inline]
pub(crate) fn classify<'a>(facts: &Facts<'a>, span: &SpanView<'a>, dialect: Dialect) -> Class<'a> {
    if facts.has_any(ASKED) || span.name.starts_with(HAYSTACK) {
        return in_full(facts, span, dialect);
    }
    match dialect {
        Dialect::A2aSdk => return NEUTRAL,                        // K-01
        Dialect::LogfireAgents => return logfire::classify(span), // K-32
        _ => {}
    }
    transport::classify(facts, span)
}

/// All tests in their order.
fn in_full<'a>(facts: &Facts<'a>, span: &SpanView<'a>, dialect: Dialect) -> Class<'a> {
    if facts.text(Slot::LogfireType) == b"pending_span" {
        return Class::Ignored; // K-00
    }
    if facts.has(Slot::HandoffTo) {
        let from = facts.first(&[Slot::HandoffFrom, Slot::AgentName]);
        let to = facts.text(Slot::HandoffTo);
        return Class::Handoff {
            to: if to == b"unknown" { b"" } else { to },
            from,
        }; // K-02
    }
    if dialect == Dialect::A2aSdk {
        return NEUTRAL; // K-01
    }
    if dialect == Dialect::LogfireAgents {
        return logfire::classify(span); // K-32
    }
    let operation = facts.text(Slot::Operation);
    let tl = facts.text(Slot::TlKind);
    if operation == b"goto" {
        return steps::goto(span);
    }
    if matches!(operation, b"handoff" | b"agent_handoff") || tl == b"handoff" {
        let from = facts.first(&[Slot::HandoffFrom, Slot::AgentName]);
        return Class::Handoff { to: b"", from }; // K-03
    }
    let by_dialect = transport::by_mcp(facts, span)
        .or_else(|| transport::by_a2a(facts, span))
        .or_else(|| by_vendor(facts))
        .or_else(|| by_langsmith(facts, span))
        .or_else(|| by_traceloop_wrapper(facts, span, dialect))
        .or_else(|| by_ai_sdk(facts, span, dialect))
        .or_else(|| by_executor(facts, span))
        .or_else(|| by_operation(operation, facts, span, dialect));
    if let Some(class) = by_dialect {
        return class;
    }
    match tl {
        b"agent" => return AGENT, // K-30
        b"tool" => return tool(facts, span, dialect),
        _ => {}
    }
    if span.name == b"agent run" && facts.has(Slot::VendorAgentName) {
        return AGENT; // K-31
    }
    if span.name == b"running tool" && facts.has(Slot::ToolName) {
        return tool(facts, span, dialect);
    }
    by_haystack(facts, span)
        .or_else(|| by_openinference(facts, span, dialect))
        .or_else(|| by_observation(facts))
        .unwrap_or_else(|| transport::classify(facts, span))
}

/// K-10, K-11, K-15, K-16: vendors' own words for the kind of a span.
fn by_vendor<'a>(facts: &Facts<'a>) -> Option<Class<'a>> {
    match facts.text(Slot::Ag2Type) {
        b"human_input" => return Some(Class::Node(Role::Leaf, Named::Human)),
        b"usage" | b"envelope" | b"channel" | b"task" | b"agent_lifetime" | b"agent_event" => {
            return Some(NEUTRAL);
        }
        _ => {}
    }
    match facts.text(Slot::SpringKind) {
        b"tool_call" => return Some(TOOL),
        b"advisor" | b"chat_client" => return Some(NEUTRAL),
        _ => {}
    }
    match facts.text(Slot::MastraType) {
        b"" => None,
        b"agent_run" => Some(AGENT),
        b"workflow_run" => Some(WORKFLOW),
        b"tool_call" | b"provider_tool_call" => Some(TOOL),
        b"model_generation" | b"model_inference" | b"rag_embedding" => Some(MODEL),
        b"mcp_server_request" => Some(Class::Node(Role::McpServer, Named::McpServer)),
        _ => Some(NEUTRAL),
    }
}

/// K-16: Microsoft's executors.
fn by_executor<'a>(facts: &Facts<'a>, span: &SpanView<'a>) -> Option<Class<'a>> {
    if span.name.starts_with(b"executor.process") && facts.has(Slot::VendorAgentName) {
        let is_agent = facts.text(Slot::ExecutorType) == b"AgentExecutor";
        return Some(if is_agent { AGENT } else { NEUTRAL });
    }
    let is_run = span.name.starts_with(b"workflow.run") && facts.has(Slot::OtherWorkflow);
    is_run.then_some(WORKFLOW)
}

/// How the names of Haystack's own spans begin.
const HAYSTACK: &[u8] = b"haystack.";

/// K-43.
fn by_haystack<'a>(facts: &Facts<'a>, span: &SpanView<'a>) -> Option<Class<'a>> {
    let name = span.name.strip_prefix(HAYSTACK)?;
    Some(match name {
        b"component.run" if facts.text(Slot::HaystackType) == b"Agent" => AGENT,
        b"agent.step.tool" => TOOL,
        _ if name.starts_with(b"agent.hook.human_in_the_loop") => {
            Class::Node(Role::Leaf, Named::Human)
        }
        _ => NEUTRAL,
    })
}

/// K-41, K-42: Langfuse and MLflow.
fn by_observation<'a>(facts: &Facts<'a>) -> Option<Class<'a>> {
    match facts.text(Slot::LangfuseType) {
        b"" => {}
        b"generation" | b"embedding" => return Some(MODEL),
        b"agent" => return Some(AGENT),
        b"tool" => return Some(TOOL),
        b"retriever" => return Some(RETRIEVER),
        b"guardrail" => return Some(GUARDRAIL),
        _ => return Some(NEUTRAL),
    }
    match facts.text(Slot::MlflowType).trim_ascii() {
        b"" => None,
        b"\"LLM\"" | b"\"CHAT_MODEL\"" | b"\"EMBEDDING\"" => Some(MODEL),
        b"\"AGENT\"" => Some(AGENT),
        b"\"TOOL\"" => Some(TOOL),
        b"\"RETRIEVER\"" | b"\"MEMORY\"" => Some(RETRIEVER),
        b"\"GUARDRAIL\"" => Some(GUARDRAIL),
        b"\"WORKFLOW\"" => Some(WORKFLOW),
        _ => Some(NEUTRAL),
    }
}

/// K-12: the LangSmith bridge writes wrong operations for these.
fn by_langsmith<'a>(facts: &Facts<'a>, span: &SpanView<'a>) -> Option<Class<'a>> {
    match facts.text(Slot::LangsmithKind) {
        b"retriever" => Some(RETRIEVER),
        b"chain" => Some(steps::by_name(span)),
        b"prompt" | b"parser" => Some(NEUTRAL),
        _ => None,
    }
}

/// K-13, K-14: OpenLLMetry's tasks and workflows, whose operation may claim to be an agent.
fn by_traceloop_wrapper<'a>(
    facts: &Facts<'a>,
    span: &SpanView<'a>,
    dialect: Dialect,
) -> Option<Class<'a>> {
    let operation = facts.text(Slot::Operation);
    if is_model_operation(operation) {
        return None;
    }
    match facts.text(Slot::TlKind) {
        b"task" if operation == b"vector_db_retrieve" => None,
        b"task" if dialect == Dialect::LlamaIndex && steps::is_turn(name_of_task(facts, span)) => {
            let is_tool = facts.has(Slot::OiToolName);
            Some(Class::Turn { is_tool })
        }
        b"task" if facts.has(Slot::OiToolName) => Some(tool(facts, span, dialect)),
        b"task" if span.name.ends_with(b"Retriever.task") => Some(RETRIEVER),
        b"task" => Some(steps::task(facts, span, dialect)),
        b"workflow" => {
            let name = span.name.strip_suffix(b".workflow").unwrap_or(span.name);
            let is_workflow = [&b"Workflow"[..], b"Agent", b"Engine"]
                .iter()
                .any(|end| name.ends_with(end));
            Some(if dialect == Dialect::LlamaIndex && !is_workflow {
                NEUTRAL
            } else {
                WORKFLOW
            })
        }
        _ if operation == b"invoke_agent" && facts.has(Slot::CrewName) => Some(WORKFLOW),
        _ => None,
    }
}

fn name_of_task<'a>(facts: &Facts<'a>, span: &SpanView<'a>) -> &'a [u8] {
    let name = facts.text(Slot::EntityName);
    if name.is_empty() { span.name } else { name }
}

/// K-17.
fn by_ai_sdk<'a>(facts: &Facts<'a>, span: &SpanView<'a>, dialect: Dialect) -> Option<Class<'a>> {
    let operation = facts.text(Slot::AiOperation);
    if operation.is_empty() {
        return None;
    }
    if operation == b"ai.toolCall" {
        return Some(tool(facts, span, dialect));
    }
    let ends: [&[u8]; 4] = [b".doGenerate", b".doStream", b".doEmbed", b".doRerank"];
    if ends.iter().any(|end| operation.ends_with(end)) {
        return Some(MODEL);
    }
    Some(if facts.has(Slot::FunctionId) {
        AGENT
    } else {
        NEUTRAL
    })
}

fn is_model_operation(operation: &[u8]) -> bool {
    matches!(
        operation,
        b"chat"
            | b"generate_content"
            | b"text_completion"
            | b"completion"
            | b"response"
            | b"embeddings"
            | b"embedding"
            | b"rerank"
            | b"transcription"
            | b"speech"
            | b"speech_generation"
            | b"image_generation"
            | b"decide"
    )
}

/// K-20 to K-28.
fn by_operation<'a>(
    operation: &[u8],
    facts: &Facts<'a>,
    span: &SpanView<'a>,
    dialect: Dialect,
) -> Option<Class<'a>> {
    if operation.is_empty() {
        return None;
    }
    if is_model_operation(operation) {
        return Some(MODEL);
    }
    Some(match operation {
        b"invoke_agent" | b"agent.run" => AGENT,
        b"create_agent" => Class::Node(Role::Declare, Named::Agent),
        b"invoke_workflow" | b"invoke_graph" | b"invoke_swarm" | b"workflow.run" => WORKFLOW,
        b"execute_tool" if facts.text(Slot::ToolType) == b"retriever" => RETRIEVER,
        // several tool calls reported as one: says nothing of its own
        b"execute_tool" if span.name == b"execute_tool (merged)" && !facts.has(Slot::ToolName) => {
            NEUTRAL
        }
        b"execute_tool" => tool(facts, span, dialect),
        b"retrieval" | b"vector_db_retrieve" => RETRIEVER,
        b"search_memory" | b"create_memory" | b"update_memory" | b"upsert_memory"
        | b"delete_memory" => Class::Node(Role::Leaf, Named::Memory),
        b"guardrail_check" | b"run_guardrail" | b"apply_guardrail" => GUARDRAIL,
        b"execute_task" => steps::task(facts, span, dialect),
        b"create_memory_store"
        | b"delete_memory_store"
        | b"plan"
        | b"agent_step"
        | b"execute_event_loop_cycle"
        | b"invoke_node"
        | b"framework"
        | b"fetch_response" => NEUTRAL,
        _ => return None,
    })
}

/// K-40, K-46.
fn by_openinference<'a>(
    facts: &Facts<'a>,
    span: &SpanView<'a>,
    dialect: Dialect,
) -> Option<Class<'a>> {
    Some(match facts.text(Slot::OiKind) {
        b"" => return None,
        b"LLM" if is_no_call(span.name) => NEUTRAL,
        b"LLM" | b"EMBEDDING" | b"DECISION" => MODEL,
        b"RERANKER" if facts.has(Slot::Model) => MODEL,
        b"TOOL" => tool(facts, span, dialect),
        b"RETRIEVER" => RETRIEVER,
        b"GUARDRAIL" => GUARDRAIL,
        b"AGENT" if facts.has(Slot::OiToolName) => tool(facts, span, dialect),
        b"AGENT" => steps::agent(facts, span),
        b"CHAIN" if facts.has(Slot::CrewKey) => WORKFLOW,
        b"CHAIN" if dialect == Dialect::Haystack => match span.name {
            // K-45
            b"Agent.run" | b"Pipeline.run" => Class::Node(Role::Actor, Named::MainAgent),
            _ => NEUTRAL,
        },
        b"CHAIN" if dialect == Dialect::LlamaIndex => steps::method(span),
        b"CHAIN" => steps::chain(facts, span),
        _ => NEUTRAL,
    })
}

/// K-46: said to be a model, and calls none.
fn is_no_call(name: &[u8]) -> bool {
    name.ends_with(b"TokenCountResponse")
        || name.ends_with(b"count_tokens")
        || name.windows(10).any(|part| part == b"._prepare_")
}

/// Tools that ask a person (K-70), canonical.
const HUMANS: &[&[u8]] = &[
    b"human",
    b"human_input",
    b"ask_human",
    b"human_feedback",
    b"request_human_approval",
    b"ask_user",
    b"handoff_to_user",
];

/// Tools by which frameworks steer, no work of their own (K-71).
const CONTROLS: &[&[u8]] = &[
    b"delegate_task_to_member",
    b"delegate_task_to_members",
    b"transfer_task_to_member",
    b"forward_task_to_member",
    b"final_answer",
    b"Handoff-complete_task",
];

/// A tool, unless its name says that it is a person, a handoff or a control (E-11, E-13, K-70, K-71).
fn tool<'a>(facts: &Facts<'a>, span: &SpanView<'a>, dialect: Dialect) -> Class<'a> {
    let name = identity::tool(facts, span);
    if HUMANS.iter().any(|human| name.eq_ignore_ascii_case(human)) {
        return Class::Node(Role::Leaf, Named::Human);
    }
    let is_hidden_handoff = dialect == Dialect::LlamaIndex && name == b"handoff";
    if is_hidden_handoff
        || CONTROLS.contains(&name)
        || after_any_case(name, b"transfer_back_to_").is_some()
    {
        return NEUTRAL;
    }
    let coworkers: [&[u8]; 4] = [
        b"delegate_work_to_coworker",
        b"ask_question_to_coworker",
        b"Delegate work to coworker",
        b"Ask question to coworker",
    ];
    if coworkers.contains(&name) && !arguments::coworker(facts.text(Slot::Arguments)).is_empty() {
        return Class::Node(Role::Actor, Named::Coworker); // E-13
    }
    let from = facts.text(Slot::AgentName);
    let spoken = after(name, "handoff to ");
    if facts.text(Slot::OiKind) == b"TOOL" && !spoken.is_empty() {
        let from = if facts.rank(Slot::Arguments) == INPUT_VALUE {
            facts.text(Slot::Arguments)
        } else {
            from
        };
        return Class::Handoff { to: spoken, from };
    }
    let own = name
        .rsplit(|byte| matches!(byte, b'.' | b'-'))
        .next()
        .unwrap_or(name);
    let verbs: [&[u8]; 3] = [b"transfer_to_", b"handoff_to_", b"delegate_to_"];
    match verbs.iter().find_map(|verb| after_any_case(own, verb)) {
        Some(b"agent") => Class::Handoff {
            to: arguments::agent(facts.text(Slot::Arguments)),
            from,
        },
        Some(to) if !to.is_empty() => Class::Handoff { to, from },
        _ => Class::Node(Role::Actor, Named::Tool),
    }
}

/// The rank of `input.value` among the aliases of the arguments.
const INPUT_VALUE: u8 = 1;

fn after_any_case<'a>(text: &'a [u8], prefix: &[u8]) -> Option<&'a [u8]> {
    let (head, tail) = text.split_at_checked(prefix.len())?;
    head.eq_ignore_ascii_case(prefix).then_some(tail)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scan::testing::{read, spans};
    use proptest::prelude::*;

    const DIALECTS: [Dialect; 6] = [
        Dialect::Plain,
        Dialect::LlamaIndex,
        Dialect::LangChain,
        Dialect::Haystack,
        Dialect::A2aSdk,
        Dialect::LogfireAgents,
    ];

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]

        #[test]
        fn the_short_way_leads_where_the_long_one_does(
            span in spans(),
            dialect in prop::sample::select(&DIALECTS[..]),
        ) {
            let (facts, view) = read(&span);
            let short = classify(&facts, &view, dialect);
            prop_assert_eq!(short, in_full(&facts, &view, dialect));
        }
    }
}
