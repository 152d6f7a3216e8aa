//! What carries calls between processes: MCP, A2A, HTTP and RPC, databases, messages (K-05 to K-08, K-60 to K-66).

use crate::otlp::SpanView;
use crate::scan::alias::Slot;
use crate::scan::classify::{Class, Named};
use crate::scan::facts::Facts;
use crate::scan::kind::Role;
use crate::scan::peer;
use crate::scan::text::{self, after};

/// OTLP's numbers of span kinds.
pub(crate) const SERVER: u32 = 2;
pub(crate) const CLIENT: u32 = 3;
pub(crate) const PRODUCER: u32 = 4;
const CONSUMER: u32 = 5;

const NEUTRAL: Class<'static> = Class::Neutral;

/// K-05 to K-07.
pub(crate) fn by_mcp<'a>(facts: &Facts<'a>, span: &SpanView<'a>) -> Option<Class<'a>> {
    const SERVED: Class<'static> = Class::Node(Role::McpServer, Named::McpServer);
    let method = facts.text(Slot::McpMethod);
    if method.is_empty() {
        if facts.text(Slot::MastraType) == b"mcp_tool_call" {
            return Some(Class::Node(Role::McpClient, Named::Tool));
        }
        return match facts.text(Slot::TlKind) {
            b"server" => Some(SERVED),
            b"session" => Some(NEUTRAL),
            _ => None,
        };
    }
    let is_server = span.kind == SERVER;
    Some(match method {
        b"sampling/createMessage" | b"roots/list" if is_server => {
            Class::Node(Role::TransportServer, Named::Service)
        }
        b"sampling/createMessage" | b"roots/list" => Class::Bare(Role::TransportClient),
        b"elicitation/create" if is_server => NEUTRAL,
        b"elicitation/create" => Class::Node(Role::Leaf, Named::Human),
        _ if method.starts_with(b"notifications/") => NEUTRAL,
        _ if is_server => SERVED,
        b"tools/call" if !mcp_tool(facts, span).is_empty() => {
            Class::Node(Role::McpClient, Named::Tool)
        }
        _ => Class::Bare(Role::McpClient),
    })
}

/// The tool that an MCP span calls (E-20); empty if it does not say.
pub(crate) fn mcp_tool<'a>(facts: &Facts<'a>, span: &SpanView<'a>) -> &'a [u8] {
    let named = facts.first(&[Slot::ToolName, Slot::OiToolName]);
    if named.is_empty() {
        let sent = after(span.name, "MCP send ");
        let method = if sent.is_empty() { span.name } else { sent };
        after(method, "tools/call ")
    } else {
        named
    }
}

/// E-21: methods by which MCP's two sides get to know each other.
pub(crate) fn is_mcp_control(method: &[u8]) -> bool {
    matches!(
        method,
        b"initialize"
            | b"server/discover"
            | b"ping"
            | b"tools/list"
            | b"prompts/list"
            | b"resources/list"
            | b"resources/templates/list"
            | b"logging/setLevel"
    )
}

/// K-08.
pub(crate) fn by_a2a<'a>(facts: &Facts<'a>, span: &SpanView<'a>) -> Option<Class<'a>> {
    Some(match facts.text(Slot::A2aMethod) {
        b"" => return None,
        b"SendMessage" | b"SendStreamingMessage" if facts.has(Slot::AgentName) => {
            Class::Node(Role::Actor, Named::Agent)
        }
        b"SendMessage" | b"SendStreamingMessage" => by_kind(span),
        _ => NEUTRAL,
    })
}

/// K-60 to K-66, and K-00 for what exports telemetry.
pub(crate) fn classify<'a>(facts: &Facts<'a>, span: &SpanView<'a>) -> Class<'a> {
    let is_message = facts.has(Slot::Destination)
        || facts.has(Slot::MessagingSystem)
        || facts.has(Slot::MessagingOperation) && is_runtime(span.name);
    if is_message {
        return by_messaging(facts, span);
    }
    if facts.has(Slot::DbSystem) && span.kind != SERVER {
        let system = facts.text(Slot::DbSystem);
        let is_store =
            peer::is_vector_store(system) || facts.text(Slot::SpringKind) == b"vector_store";
        return Class::Node(
            Role::Leaf,
            if is_store {
                Named::VectorStore
            } else {
                Named::Database
            },
        );
    }
    let class = by_kind(span);
    if class == NEUTRAL {
        return class;
    }
    let url = without_query(facts.text(Slot::Url));
    let path = without_query(facts.text(Slot::UrlPath));
    let ends = |end: &[u8]| url.ends_with(end) || path.ends_with(end);
    if ends(b"/v1/traces") || ends(b"/v1/metrics") || ends(b"/v1/logs") {
        return Class::Ignored;
    }
    if ends(b"/.well-known/agent.json") || ends(b"/.well-known/agent-card.json") {
        return NEUTRAL; // K-66
    }
    class
}

fn without_query(url: &[u8]) -> &[u8] {
    url.split(|byte| *byte == b'?').next().unwrap_or(url)
}

/// K-63.
fn by_kind<'a>(span: &SpanView<'a>) -> Class<'a> {
    match span.kind {
        CLIENT | PRODUCER => Class::Bare(Role::TransportClient),
        SERVER => Class::Node(Role::TransportServer, Named::Service),
        CONSUMER => Class::Bare(Role::Consumer),
        _ => NEUTRAL,
    }
}

/// Whether a span is an actor runtime's own (K-61, K-65).
fn is_runtime(name: &[u8]) -> bool {
    name.starts_with(b"autogen ") || name.starts_with(b"agent_runtime ")
}

/// The agent or the topic to which an actor runtime's message is addressed, `type.(key)-A`.
pub(crate) fn addressee<'a>(facts: &Facts<'a>) -> &'a [u8] {
    let destination = facts.text(Slot::Destination);
    let end = destination.windows(2).position(|two| two == b".(");
    end.and_then(|end| destination.get(..end))
        .unwrap_or_default()
}

/// K-60, K-61, K-65. An actor runtime's receiver is an agent if it calls a model itself.
fn by_messaging<'a>(facts: &Facts<'a>, span: &SpanView<'a>) -> Class<'a> {
    let destination = facts.text(Slot::Destination);
    if span.kind == CONSUMER && destination.ends_with(b")-A") {
        return Class::Node(Role::Step, Named::Addressee);
    }
    let operation = facts.text(Slot::MessagingOperation);
    let is_topic = destination.ends_with(b")-T") && matches!(operation, b"send" | b"publish");
    if is_topic && !text::holds_run_id(addressee(facts)) && !addressee(facts).is_empty() {
        return Class::Node(Role::Leaf, Named::Topic);
    }
    let is_actor = destination.ends_with(b")-A") || destination.ends_with(b")-T");
    if is_actor && destination.contains(&b'(') || is_runtime(span.name) {
        return NEUTRAL;
    }
    let is_sent = match operation {
        b"create" | b"settle" | b"ack" => return NEUTRAL,
        b"send" | b"publish" => true,
        _ => span.kind == PRODUCER,
    };
    Class::Node(
        if is_sent { Role::Leaf } else { Role::Consumer },
        Named::Queue,
    )
}
