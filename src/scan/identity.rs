//! Which node a span names (`span-conventions` §4): first the raw words, then, on first sight of them, the key.

use crate::base::NodeId;
use crate::otlp::SpanView;
use crate::scan::alias::Slot;
use crate::scan::classify::Named;
use crate::scan::facts::Facts;
use crate::scan::kind::NodeKind;
use crate::scan::origin::Origin;
use crate::scan::peer;
use crate::scan::sighting::Flags;
use crate::scan::{arguments, hash, model, steps, text, transport};
use std::sync::Arc;

/// Who a node is, before it has a number. Nodes of different realms never join (R-GRA-7).
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeKey {
    /// What it is.
    pub kind: NodeKind,
    /// The values of the realm's resource attributes; not part of the id.
    pub realm: Arc<str>,
    /// Where the name is unique: a namespace, a service, a provider.
    pub scope: Box<str>,
    /// The name within the scope.
    pub name: Box<str>,
}

impl NodeKey {
    /// The id that people and other programs see: `kind:scope/name`.
    #[must_use]
    pub fn id(&self) -> String {
        format!("{}:{}/{}", self.kind, self.scope, self.name)
    }
}

/// A node that has its number.
#[derive(Clone, Debug)]
pub struct Interned {
    /// The number.
    pub id: NodeId,
    /// The attributes that its spans are given, encoded for the splice.
    pub attributes: Arc<[u8]>,
}

/// What gives numbers to nodes; the graph's interner outside of tests.
pub trait Intern: Send + Sync {
    /// The number of a node, made on first sight with `display` as its shown name. When there is no room for another, the
    /// number of the node that stands for the overflow of its kind.
    fn node(&self, key: NodeKey, display: &str) -> Interned;
}

/// What a worker remembers of a raw name.
#[derive(Clone, Debug)]
pub struct Known {
    /// The node.
    pub node: Interned,
    /// Its kind, which the name may decide: a generic workflow is the default agent.
    pub kind: NodeKind,
    /// Digest of its canonical name.
    pub name: u32,
    /// What the name says of itself.
    pub flags: Flags,
}

/// The words that name a node, as they stand in the span.
pub(crate) type Words<'a> = [&'a [u8]; 3];

/// Picks the words (N-20, N-30 and the tables around them). Reads, compares, allocates nothing.
pub(crate) fn words<'a>(named: Named, facts: &Facts<'a>, span: &SpanView<'a>) -> Words<'a> {
    match named {
        Named::Agent => [agent(facts, span), b"", b""],
        Named::Addressee => [transport::addressee(facts), b"", b""],
        Named::Step | Named::ByName => [steps::name(facts, span), b"", b""],
        Named::Current => [steps::current_agent(facts.text(Slot::Arguments)), b"", b""],
        Named::Topic => [transport::addressee(facts), b"", b""],
        Named::HostedGuardrail => [facts.text(Slot::HostedGuardrail), b"", b""],
        Named::Coworker => [arguments::coworker(facts.text(Slot::Arguments)), b"", b""],
        Named::Workflow => [workflow(facts, span), b"", unnamed_kind(facts)],
        Named::Model => model_words(facts),
        Named::Tool => [tool(facts, span), b"", b""],
        Named::Retriever => {
            let component = facts.text(Slot::EntityName);
            let component = if component.is_empty() || component == span.name {
                class(span.name)
            } else {
                component
            };
            [facts.text(Slot::DataSource), b"", component]
        }
        Named::Memory => [b"", facts.first(&[Slot::MemoryStore]), b""],
        Named::Guardrail => {
            let name = facts.text(Slot::Guardrail);
            [if name.is_empty() { span.name } else { name }, b"", b""]
        }
        Named::Human | Named::Service | Named::MainAgent => [b"", b"", b""],
        Named::McpServer => {
            let workflow = facts.text(Slot::Workflow);
            let is_named = facts.text(Slot::TlKind) == b"server";
            [if is_named { workflow } else { b"" }, b"", b""]
        }
        Named::Database | Named::VectorStore => {
            let peer = facts.text(Slot::Peer);
            let address = if peer.is_empty() {
                facts.text(Slot::Host)
            } else {
                peer
            };
            let last = if named == Named::Database {
                Slot::DbNamespace
            } else {
                Slot::DbCollection
            };
            [facts.text(Slot::DbSystem), address, facts.text(last)]
        }
        Named::Queue => {
            let is_temporary = facts.number(Slot::IsTemporary) == Some(1);
            let mark: &[u8] = if is_temporary { b"temporary" } else { b"" };
            [
                facts.text(Slot::MessagingSystem),
                facts.text(Slot::Destination),
                mark,
            ]
        }
        Named::Peer => peer::words(facts).0,
        Named::McpPeer => peer::mcp_words(facts).0,
    }
}

/// The port that is part of a name, 0 where there is none.
pub(crate) fn port(named: Named, facts: &Facts<'_>) -> u16 {
    match named {
        Named::Database | Named::VectorStore => peer::port(facts),
        Named::Peer => peer::words(facts).1,
        Named::McpPeer => peer::mcp_words(facts).1,
        _ => 0,
    }
}

/// N order 1 to 5: the agent that the span names in so many words; empty if it does not.
pub(crate) fn named_agent<'a>(facts: &Facts<'a>, span: &SpanView<'a>) -> &'a [u8] {
    let graph_node = facts.text(Slot::GraphNodeId);
    let graph_node = if text::is_opaque(graph_node) {
        b""
    } else {
        graph_node
    };
    let in_name = text::after(span.name, "invoke_agent ");
    let in_name = if in_name == facts.text(Slot::Model) {
        b""
    } else {
        in_name
    };
    let candidates = [
        facts.text(Slot::AgentName),
        in_name,
        facts.text(Slot::OiAgentName),
        graph_node,
        facts.text(Slot::GraphNodeName),
        facts.text(Slot::EntityName),
        facts.text(Slot::VendorAgentName),
        facts.text(Slot::FunctionId),
    ];
    let found = candidates.into_iter().find(|name| !name.is_empty());
    found.unwrap_or_default()
}

/// N order 1 to 7; empty for the default agent.
fn agent<'a>(facts: &Facts<'a>, span: &SpanView<'a>) -> &'a [u8] {
    let named = named_agent(facts, span);
    if !named.is_empty() {
        return named;
    }
    let (unwrapped, is_wrapped) = unwrap(span.name);
    let says_kind = facts.has(Slot::OiKind) || facts.has(Slot::TlKind);
    if is_wrapped || says_kind {
        return unwrapped;
    }
    let id = facts.text(Slot::AgentId);
    if text::is_opaque(id) { b"" } else { id }
}

/// A span name without what instrumentations put around an agent's name (N order 6).
fn unwrap(name: &[u8]) -> (&[u8], bool) {
    if let Some(inner) = name.strip_prefix(b"agent_run [")
        && let Some(inner) = inner.strip_suffix(b"]")
    {
        return (inner, true);
    }
    let wrappers: [&[u8]; 5] = [
        b".agent",
        b".run",
        b".execute",
        b".kickoff",
        b".on_messages_stream",
    ];
    match wrappers
        .iter()
        .find_map(|wrapper| name.strip_suffix(*wrapper))
    {
        Some(inner) => (inner, true),
        None => (name, false),
    }
}

/// N-40; empty for one without a name.
fn workflow<'a>(facts: &Facts<'a>, span: &SpanView<'a>) -> &'a [u8] {
    let named = facts.text(Slot::Workflow);
    let named = named.strip_suffix(b".workflow").unwrap_or(named);
    let kickoff = match span.name.strip_suffix(b".kickoff") {
        Some(crew) if facts.has(Slot::CrewKey) => crew,
        _ => b"",
    };
    let candidates = [
        named,
        facts.text(Slot::CrewName),
        text::after(span.name, "invoke_workflow "),
        facts.text(Slot::OtherWorkflow),
        kickoff,
        span.name.strip_suffix(b".workflow").unwrap_or_default(),
        // K-19
        if facts.has(Slot::OiKind) && !facts.has(Slot::CrewKey) {
            span.name
        } else {
            b""
        },
    ];
    candidates
        .into_iter()
        .find(|name| !name.is_empty())
        .unwrap_or_default()
}

/// N-41: what a graph or a swarm without a name is called behind its service's.
fn unnamed_kind<'a>(facts: &Facts<'a>) -> &'a [u8] {
    match facts.text(Slot::Operation) {
        b"invoke_graph" => b"_graph",
        b"invoke_swarm" => b"_swarm",
        _ => b"",
    }
}

/// N-20, N-21, N-23: the provider's word, the model's, and the host where no provider is named.
fn model_words<'a>(facts: &Facts<'a>) -> Words<'a> {
    let providers = [
        Slot::Provider,
        Slot::LlmProvider,
        Slot::AiProvider,
        Slot::System,
        Slot::DecisionProvider,
        Slot::LlmSystem,
    ];
    let provider = providers
        .into_iter()
        .map(|slot| facts.text(slot))
        .find(|word| !word.is_empty() && !model::is_framework(word))
        .unwrap_or_default();
    let host = if provider.is_empty() {
        facts.text(Slot::Host)
    } else {
        b""
    };
    [provider, facts.text(Slot::Model), host]
}

/// N-30.
pub(crate) fn tool<'a>(facts: &Facts<'a>, span: &SpanView<'a>) -> &'a [u8] {
    let name = facts.first(&[Slot::ToolName, Slot::OiToolName, Slot::EntityName]);
    if !name.is_empty() {
        return name;
    }
    let called = transport::mcp_tool(facts, span);
    if !called.is_empty() {
        return called;
    }
    let in_name = text::after(span.name, "execute_tool ");
    if in_name.is_empty() {
        span.name
    } else {
        in_name
    }
}

/// `Class` of a span name `Class.method` (N-32).
fn class(name: &[u8]) -> &[u8] {
    name.split(|byte| *byte == b'.').next().unwrap_or(name)
}

/// Makes the key of words on first sight, and finds its number.
pub(crate) fn know(
    named: Named,
    words: Words<'_>,
    port: u16,
    origin: &Origin,
    intern: &dyn Intern,
) -> Known {
    let first = words[0];
    match named {
        Named::Agent
        | Named::MainAgent
        | Named::Step
        | Named::ByName
        | Named::Current
        | Named::Addressee
        | Named::Coworker => decider(NodeKind::Agent, first, origin, intern),
        Named::Topic => {
            let topic = text::tidy(first);
            plain(NodeKind::Queue, "autogen", topic, origin, intern)
        }
        Named::HostedGuardrail => {
            let id = text::tidy(first);
            plain(NodeKind::Guardrail, "aws.bedrock", id, origin, intern)
        }
        Named::Workflow if first.is_empty() && !words[2].is_empty() => {
            let kind = text::tidy(words[2]);
            let name = format!("{}{kind}", origin.service_name);
            decider(NodeKind::Workflow, name.as_bytes(), origin, intern)
        }
        Named::Workflow => decider(NodeKind::Workflow, first, origin, intern),
        Named::Model => known_model(words, origin, intern),
        Named::Tool => plain(
            NodeKind::Tool,
            &origin.service_name,
            text::tidy(first),
            origin,
            intern,
        ),
        Named::Guardrail => plain(
            NodeKind::Guardrail,
            &origin.service_name,
            text::tidy(first),
            origin,
            intern,
        ),
        Named::Human => plain(
            NodeKind::Human,
            &origin.namespace,
            origin.service_name.to_string(),
            origin,
            intern,
        ),
        Named::Memory => {
            let store = text::tidy(words[1]);
            let store = if store.is_empty() {
                origin.service_name.to_string()
            } else {
                store
            };
            plain(NodeKind::Retriever, "memory", store, origin, intern)
        }
        Named::Retriever if first.is_empty() => plain(
            NodeKind::Retriever,
            &origin.service_name,
            text::tidy(words[2]),
            origin,
            intern,
        ),
        Named::Retriever => plain(NodeKind::Retriever, "ds", text::tidy(first), origin, intern),
        Named::Service => own(NodeKind::Service, b"", origin, intern),
        Named::McpServer => own(NodeKind::McpServer, first, origin, intern),
        Named::Database | Named::VectorStore => {
            let kind = if named == Named::Database {
                NodeKind::Database
            } else {
                NodeKind::Retriever
            };
            let (system, name) = peer::store(words, port, origin);
            plain(kind, &system, name, origin, intern)
        }
        Named::Queue => {
            let (system, name) = peer::queue(words);
            plain(NodeKind::Queue, &system, name, origin, intern)
        }
        Named::Peer => peer::know(words, port, origin, intern),
        Named::McpPeer => peer::know_mcp(words, port, origin, intern),
    }
}

/// A node that is named in the namespace, and like the service if it has no name of its own (N-01, N-31, N-38).
pub(crate) fn own(kind: NodeKind, name: &[u8], origin: &Origin, intern: &dyn Intern) -> Known {
    let name = text::tidy(name);
    let name = if name.is_empty() {
        origin.service_name.to_string()
    } else {
        name
    };
    plain(kind, &origin.namespace, name, origin, intern)
}

pub(crate) fn plain(
    kind: NodeKind,
    scope: &str,
    name: String,
    origin: &Origin,
    intern: &dyn Intern,
) -> Known {
    let name = if name.is_empty() {
        "unknown".to_owned()
    } else {
        name
    };
    let key = NodeKey {
        kind,
        realm: Arc::clone(&origin.realm),
        scope: scope.into(),
        name: name.as_str().into(),
    };
    Known {
        node: intern.node(key, &name),
        kind,
        name: hash::digest(text::canonical(&name).as_bytes()),
        flags: Flags::default(),
    }
}

/// An agent or a workflow; without a name of its own it is the default agent (N-10, N-12).
fn decider(kind: NodeKind, raw: &[u8], origin: &Origin, intern: &dyn Intern) -> Known {
    let mut display = text::tidy(raw);
    let mut name = text::canonical(&display);
    let (mut kind, mut flags) = (kind, Flags::default());
    if text::is_generic(&name) {
        kind = NodeKind::Agent;
        flags = Flags::DEFAULT_AGENT;
        display = origin.default_agent.to_string();
        name = text::canonical(&display);
    }
    let key = NodeKey {
        kind,
        realm: Arc::clone(&origin.realm),
        scope: origin.namespace.clone(),
        name: name.as_str().into(),
    };
    Known {
        node: intern.node(key, &display),
        kind,
        name: hash::digest(name.as_bytes()),
        flags,
    }
}

fn known_model(words: Words<'_>, origin: &Origin, intern: &dyn Intern) -> Known {
    let [provider, model, host] = words.map(text::tidy);
    let (provider, family) = model::identify(&provider, &host, &model);
    let flags = if provider == model::UNKNOWN {
        Flags::default()
    } else {
        Flags::PROVIDER_KNOWN
    };
    // N-25: nobody named the model
    let name = if family.is_empty() {
        format!("unknown@{}", origin.service_name)
    } else {
        family
    };
    let display = if model.is_empty() {
        name.clone()
    } else {
        model
    };
    let key = NodeKey {
        kind: NodeKind::Model,
        realm: Arc::clone(&origin.realm),
        scope: provider.into(),
        name: name.as_str().into(),
    };
    Known {
        node: intern.node(key, &display),
        kind: NodeKind::Model,
        name: hash::digest(name.as_bytes()),
        flags,
    }
}
