//! What one span told us, in a form that fits a channel.

use crate::base::{NodeId, SpanId, TraceId};
use crate::scan::kind::{NodeKind, Outcome, Role};

/// The number that stands for no node.
pub const NO_NODE: NodeId = NodeId(u32::MAX);

/// What scanning a span gives: fixed in size, free to copy, and with all that pairing, detection and the canary will
/// read (D3). Digests are 32-bit hashes, compared with neighbours only; 0 is none.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sighting {
    /// The span's trace.
    pub trace: TraceId,
    /// The span.
    pub span: SpanId,
    /// Its parent; all zero for a root.
    pub parent: SpanId,
    /// When it started, by the sender's clock, unix nanoseconds.
    pub start: u64,
    /// When it ended; never before `start`.
    pub end: u64,
    /// The node whose work it is or, of a handoff, that receives control; [`NO_NODE`] for none.
    pub node: NodeId,
    /// The service that sent it.
    pub service: NodeId,
    /// The agent that the span says it belongs to or, of a handoff, that gives control away.
    pub hint: NodeId,
    /// Of a client's span: who is called if nobody answers to it (N-31, N-39); [`NO_NODE`] where nobody is to be drawn. Of a
    /// model's: the guardrail at its provider (E-02).
    pub peer: NodeId,
    /// Digest of the operation: the name that stays the same from call to call.
    pub operation: u32,
    /// Digest of `service.version`.
    pub version: u32,
    /// Digest of the instrumentation scope's name.
    pub scope: u32,
    /// Digest of the names of its events in order.
    pub events: u32,
    /// Digest of the canonical name of its node; of an MCP server's span, of the tool that is called (E-23).
    pub name: u32,
    /// Digest of the model's response id (E-41).
    pub response: u32,
    /// Tokens read and written, as this span says; held at the largest that fits.
    pub tokens_in: u32,
    /// See `tokens_in`.
    pub tokens_out: u32,
    /// What the call cost as this span says, billionths of a dollar (M-01).
    pub cost: u64,
    /// How it takes part.
    pub role: Role,
    /// What `node` is; of no meaning without one.
    pub kind: NodeKind,
    /// How it ended.
    pub outcome: Outcome,
    /// OTLP's number of the span's kind.
    pub span_kind: u8,
    /// More of it.
    pub flags: Flags,
}

const _: () = assert!(
    size_of::<Sighting>() <= 128,
    "a sighting fits two cache lines"
);

impl Sighting {
    /// Whether it has no parent.
    #[must_use]
    pub fn is_root(&self) -> bool {
        self.parent == SpanId::default() || self.parent == self.span
    }

    /// A link of this span to another, as a sighting of its own (D3).
    #[must_use]
    pub fn link(&self, trace: TraceId, span: SpanId) -> Sighting {
        let word = |at: usize| u32::from_le_bytes(std::array::from_fn(|byte| trace.0[at + byte]));
        Sighting {
            role: Role::Link,
            node: NO_NODE,
            parent: span,
            operation: word(0),
            version: word(4),
            scope: word(8),
            events: word(12),
            ..*self
        }
    }

    /// Where a link points to.
    #[must_use]
    pub fn linked(&self) -> (TraceId, SpanId) {
        let words = [self.operation, self.version, self.scope, self.events].map(u32::to_le_bytes);
        let trace = std::array::from_fn(|at| words[at / 4][at % 4]);
        (TraceId(trace), self.parent)
    }

    /// Whether it bears a node, whose identity its span is given.
    #[must_use]
    pub fn bears_node(&self) -> bool {
        self.node != NO_NODE
    }
}

/// Yes-or-no facts of a sighting.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags(u32);

impl Flags {
    /// The model's provider is known (E-40: such an id is more specific).
    pub const PROVIDER_KNOWN: Flags = Flags(1);
    /// The agent has no name of its own and stands for its service (N-12, N-14).
    pub const DEFAULT_AGENT: Flags = Flags(1 << 1);
    /// The span has token counts of its own (T-05).
    pub const TOKENS: Flags = Flags(1 << 2);
    /// Control comes back after the handoff (E-10).
    pub const RETURNS: Flags = Flags(1 << 3);
    /// The answer is not whole (O-12).
    pub const DEGRADED: Flags = Flags(1 << 4);
    /// It shows that the edge exists, and is no call (E-21, E-35, E-36).
    pub const MARGINAL: Flags = Flags(1 << 5);
    /// The agent runs elsewhere, and this span is the call (E-30).
    pub const REMOTE: Flags = Flags(1 << 6);
    /// The span says what it cost.
    pub const COST: Flags = Flags(1 << 8);
    /// A call that its library makes anew when it fails (E-43).
    pub const RETRIED: Flags = Flags(1 << 9);
    /// It came as a message (E-27).
    pub const MESSAGED: Flags = Flags(1 << 10);
    /// The span names its agent in so many words, not by its own name (K-18).
    pub const NAMED: Flags = Flags(1 << 11);
    /// A step of a workflow whose agents take turns: `node` is the agent whose turn it was when it began, `hint` when it
    /// ended, [`NO_NODE`] where it does not say (K-44).
    pub const TURN: Flags = Flags(1 << 12);
    /// A step that is an agent only if it goes by the name of one (K-18).
    pub const BY_NAME: Flags = Flags(1 << 13);
    /// A handoff between two nodes of a graph, of which both must be agents (E-14).
    pub const WEAK: Flags = Flags(1 << 14);
    /// `hint` is the agent that handed over to this one (E-12).
    pub const HANDED: Flags = Flags(1 << 15);
    /// A crew, whose members' parents are an order and no calls (E-12).
    pub const CREW: Flags = Flags(1 << 16);
    /// The peer is known by its address alone, and may turn out to be a node known by name (B-07).
    pub const PEER_BY_ADDRESS: Flags = Flags(1 << 7);

    /// Whether all of these are set.
    #[must_use]
    pub fn has(self, flags: Flags) -> bool {
        self.0 & flags.0 == flags.0
    }

    /// These as well.
    #[must_use]
    pub fn with(self, flags: Flags) -> Flags {
        Flags(self.0 | flags.0)
    }
}
