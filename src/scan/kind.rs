//! The closed sets of the conventions: node kinds, roles, edge kinds, outcomes.

use std::fmt;

/// What a node is (`span-conventions` §1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum NodeKind {
    /// Decides with a model and acts.
    Agent,
    /// Contains agents or steps.
    Workflow,
    /// One provider and model family.
    Model,
    /// A function that an agent executes.
    Tool,
    /// An MCP server process.
    McpServer,
    /// A retriever, a vector store, a memory.
    Retriever,
    /// A check of input or output.
    Guardrail,
    /// A person who is asked.
    Human,
    /// SQL, NoSQL, cache.
    Database,
    /// A topic, queue or subscription.
    Queue,
    /// An ordinary service, or a peer outside.
    Service,
}

impl NodeKind {
    /// All kinds, in the order in which people read them.
    pub const ALL: [NodeKind; 11] = [
        NodeKind::Agent,
        NodeKind::Workflow,
        NodeKind::Model,
        NodeKind::Tool,
        NodeKind::McpServer,
        NodeKind::Retriever,
        NodeKind::Guardrail,
        NodeKind::Human,
        NodeKind::Database,
        NodeKind::Queue,
        NodeKind::Service,
    ];

    /// The word on the wire, in ids and labels.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            NodeKind::Agent => "agent",
            NodeKind::Workflow => "workflow",
            NodeKind::Model => "model",
            NodeKind::Tool => "tool",
            NodeKind::McpServer => "mcp_server",
            NodeKind::Retriever => "retriever",
            NodeKind::Guardrail => "guardrail",
            NodeKind::Human => "human",
            NodeKind::Database => "database",
            NodeKind::Queue => "queue",
            NodeKind::Service => "service",
        }
    }

    /// The kind of the edge that ends here, by what it comes from (E-01, E-02, E-03).
    #[must_use]
    pub fn edge_from(self, source: NodeKind) -> EdgeKind {
        match (self, source) {
            (NodeKind::Agent, NodeKind::Agent | NodeKind::Tool) => EdgeKind::Delegates,
            (NodeKind::Agent | NodeKind::Workflow, _) => EdgeKind::Invokes,
            (NodeKind::Tool, _) => EdgeKind::UsesTool,
            (NodeKind::Model, _) => EdgeKind::CallsModel,
            (NodeKind::Retriever, NodeKind::Retriever) | (NodeKind::Database, _) => {
                EdgeKind::Queries
            }
            (NodeKind::Retriever, _) => EdgeKind::Retrieves,
            (NodeKind::Guardrail, _) => EdgeKind::GuardedBy,
            (NodeKind::Human, _) => EdgeKind::AsksHuman,
            (NodeKind::McpServer, _) => EdgeKind::McpCall,
            (NodeKind::Queue, _) => EdgeKind::Publishes,
            (NodeKind::Service, _) => EdgeKind::Calls,
        }
    }
}

impl fmt::Display for NodeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How a span takes part in the graph (`span-conventions` §1.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Role {
    /// The span is the work of a node, and its children are that node's calls.
    Actor,
    /// The server's side of MCP.
    McpServer,
    /// The client's side of MCP.
    McpClient,
    /// One model call.
    Model,
    /// A call that ends here: database, queue, human, memory.
    Leaf,
    /// Control moves between two agents.
    Handoff,
    /// A message is received.
    Consumer,
    /// HTTP or RPC without a meaning of its own, calling.
    TransportClient,
    /// The same, called.
    TransportServer,
    /// A node exists; nothing was called.
    Declare,
    /// A named step of a framework: an agent if it calls a model itself, else looked through (K-18).
    Step,
    /// Contributes nothing and is looked through.
    Neutral,
    /// No span: a link from one to another, which follows the span's own sighting (E-18, E-27, E-35).
    Link,
}

/// What an edge says (`span-conventions` §1.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum EdgeKind {
    /// Anything starts an agent or workflow.
    Invokes,
    /// An agent or tool starts an agent, and control returns.
    Delegates,
    /// Control passes from agent to agent.
    HandsOff,
    /// Agents or services write to each other.
    Messages,
    /// A tool is executed.
    UsesTool,
    /// A model answers.
    CallsModel,
    /// A retriever is asked.
    Retrieves,
    /// A guardrail checks.
    GuardedBy,
    /// A person is asked.
    AsksHuman,
    /// An MCP server is asked.
    McpCall,
    /// A database or an inner retriever is asked.
    Queries,
    /// A message goes to a queue.
    Publishes,
    /// A message comes from a queue.
    Delivers,
    /// A service is called.
    Calls,
    /// Work runs in a service.
    RunsIn,
}

impl EdgeKind {
    /// All kinds, in the order of the specification.
    pub const ALL: [EdgeKind; 15] = [
        EdgeKind::Invokes,
        EdgeKind::Delegates,
        EdgeKind::HandsOff,
        EdgeKind::Messages,
        EdgeKind::UsesTool,
        EdgeKind::CallsModel,
        EdgeKind::Retrieves,
        EdgeKind::GuardedBy,
        EdgeKind::AsksHuman,
        EdgeKind::McpCall,
        EdgeKind::Queries,
        EdgeKind::Publishes,
        EdgeKind::Delivers,
        EdgeKind::Calls,
        EdgeKind::RunsIn,
    ];

    /// The word in files, labels and the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            EdgeKind::Invokes => "invokes",
            EdgeKind::Delegates => "delegates",
            EdgeKind::HandsOff => "hands_off",
            EdgeKind::Messages => "messages",
            EdgeKind::UsesTool => "uses_tool",
            EdgeKind::CallsModel => "calls_model",
            EdgeKind::Retrieves => "retrieves",
            EdgeKind::GuardedBy => "guarded_by",
            EdgeKind::AsksHuman => "asks_human",
            EdgeKind::McpCall => "mcp_call",
            EdgeKind::Queries => "queries",
            EdgeKind::Publishes => "publishes",
            EdgeKind::Delivers => "delivers",
            EdgeKind::Calls => "calls",
            EdgeKind::RunsIn => "runs_in",
        }
    }
}

impl fmt::Display for EdgeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How a call ended (`span-conventions` §7).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Outcome {
    /// Well, or not known to be otherwise.
    #[default]
    Ok,
    /// Badly, and no other word fits.
    Error,
    /// Out of time.
    Timeout,
    /// Turned away for being too much.
    Throttled,
    /// A guardrail stopped it: that is its work.
    Blocked,
    /// The caller gave up.
    Cancelled,
}

impl Outcome {
    /// How many there are; they index tables.
    pub const COUNT: usize = 6;

    /// Whether the failure rate counts it.
    #[must_use]
    pub fn is_failure(self) -> bool {
        matches!(self, Outcome::Error | Outcome::Timeout | Outcome::Throttled)
    }

    /// The word in files, labels and the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Outcome::Ok => "ok",
            Outcome::Error => "error",
            Outcome::Timeout => "timeout",
            Outcome::Throttled => "throttled",
            Outcome::Blocked => "blocked",
            Outcome::Cancelled => "cancelled",
        }
    }
}
