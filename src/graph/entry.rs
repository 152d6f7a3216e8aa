//! What the span table keeps of a span.

use crate::base::NodeId;
use crate::graph::answers::Answers;
use crate::graph::counting::Counted;
use crate::graph::found::Turn;
use crate::scan::{Flags, NO_NODE, NodeKind, Role, Sighting};

/// A place in the table.
pub(crate) type Slot = u32;

/// No place.
pub(crate) const NONE: Slot = Slot::MAX;

// OTLP's numbers of kinds of spans
const CLIENT: u8 = 3;
const PRODUCER: u8 = 4;

/// Whether it is known who runs a span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// An ancestor is missing that would say so (B-03).
    Waiting,
    /// Known for good (B-02).
    Settled,
    /// An ancestor is missing and nobody waits for it any more (B-04).
    Orphaned,
}

/// What stands above a span: who runs it, and in whose model call it lies (A-01, E-40).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Context {
    pub(crate) standing: Standing,
    /// The kind of `actor`; of no meaning without one.
    pub(crate) kind: NodeKind,
    /// The span itself is a root.
    pub(crate) is_root: bool,
    /// How many model spans lie between here and the actor.
    pub(crate) depth: u8,
    /// Whose work it is; [`NO_NODE`] where the walk ended at nothing.
    pub(crate) actor: NodeId,
    /// The service of the actor's span.
    pub(crate) service: NodeId,
    /// Digest of the actor's canonical name.
    pub(crate) name: u32,
    /// The model span around it: the outermost if settled, else the nearest.
    pub(crate) model: Slot,
    /// The span of a call that it lies in: the outermost of one service's, an MCP client's before what carries it.
    pub(crate) via: Slot,
    /// The step that it lies in, nothing that acts between (K-18), and nothing of which that depends on whether the step is an
    /// agent: that is what the models in it decide.
    pub(crate) step: Slot,
    /// The service of the parent; [`NO_NODE`] where there is no parent to be seen.
    pub(crate) above: NodeId,
    /// OTLP's number of the parent's kind.
    pub(crate) above_kind: u8,
    /// The actor is an agent without a name of its own (N-12).
    pub(crate) is_default: bool,
    /// A message's receiver stands around it, nothing else between (E-35).
    pub(crate) is_received: bool,
    /// The actor's is a server's span whose caller has not come, nothing that acts between: it may be the doorway of a
    /// remote agent (E-30).
    pub(crate) is_at_door: bool,
}

impl Context {
    const NOTHING: Context = Context {
        standing: Standing::Settled,
        kind: NodeKind::Service,
        is_root: false,
        depth: 0,
        actor: NO_NODE,
        service: NO_NODE,
        name: 0,
        model: NONE,
        via: NONE,
        step: NONE,
        above: NO_NODE,
        above_kind: 0,
        is_default: false,
        is_received: false,
        is_at_door: false,
    };

    /// Above a root.
    pub(crate) const ROOT: Context = Context {
        is_root: true,
        ..Context::NOTHING
    };

    /// Below a parent that has not come.
    pub(crate) const MISSING: Context = Context {
        standing: Standing::Waiting,
        ..Context::NOTHING
    };

    /// Below a parent that is not waited for any more.
    pub(crate) const ORPHANED: Context = Context {
        standing: Standing::Orphaned,
        ..Context::NOTHING
    };

    /// Whether nobody in particular runs what stands here: at most somebody had to start it (E-16, E-19).
    pub(crate) fn is_weak(&self) -> bool {
        self.actor == NO_NODE
            || self.is_default
            || matches!(self.kind, NodeKind::Workflow | NodeKind::Service)
    }

    /// Below the work of a node.
    #[inline(always)]
    fn of(seen: &Sighting) -> Context {
        Context {
            kind: seen.kind,
            actor: seen.node,
            service: seen.service,
            name: seen.name,
            is_default: seen.flags.has(Flags::DEFAULT_AGENT),
            ..Context::NOTHING
        }
    }

    /// Below a step of a workflow in which it is this agent's turn (K-44).
    fn of_turn(seen: &Sighting, agent: NodeId) -> Context {
        Context {
            kind: NodeKind::Agent,
            actor: agent,
            service: seen.service,
            ..Context::NOTHING
        }
    }

    /// Below what a service does without a node of its own.
    #[inline(always)]
    fn of_service(service: NodeId) -> Context {
        Context {
            actor: service,
            service,
            ..Context::NOTHING
        }
    }
}

/// A logical model call, of which several spans may tell (E-40, T-05). Higher ranks win; none depends on arrival.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Call {
    pub(crate) node: NodeId,
    node_rank: u64,
    pub(crate) tokens_in: u32,
    pub(crate) tokens_out: u32,
    tokens_rank: u64,
    /// Billionths of a dollar.
    pub(crate) cost: u64,
    cost_rank: u64,
}

impl Call {
    /// What one span says, at its depth inside the outermost of the call's spans.
    pub(crate) fn of(seen: &Sighting, depth: u8) -> Call {
        // ties at one depth are decided by the span's id, so that no order of arrival shows
        let rank = u64::from(depth) << 32
            | u64::from(u32::from_le_bytes([
                seen.span.0[4],
                seen.span.0[5],
                seen.span.0[6],
                seen.span.0[7],
            ]));
        let has_tokens = seen.flags.has(Flags::TOKENS);
        Call {
            node: seen.node,
            node_rank: u64::from(seen.flags.has(Flags::PROVIDER_KNOWN)) << 40 | rank,
            tokens_in: seen.tokens_in,
            tokens_out: seen.tokens_out,
            tokens_rank: if has_tokens { 1 << 40 | rank } else { 0 },
            cost: seen.cost,
            cost_rank: if seen.flags.has(Flags::COST) {
                1 << 40 | rank
            } else {
                0
            },
        }
    }

    /// What an inner span adds: the most specific node wins, and the innermost tokens and cost.
    pub(crate) fn merged(mut self, inner: &Call) -> Call {
        if inner.node_rank > self.node_rank {
            (self.node, self.node_rank) = (inner.node, inner.node_rank);
        }
        if inner.tokens_rank > self.tokens_rank {
            self.tokens_in = inner.tokens_in;
            self.tokens_out = inner.tokens_out;
            self.tokens_rank = inner.tokens_rank;
        }
        if inner.cost_rank > self.cost_rank {
            (self.cost, self.cost_rank) = (inner.cost, inner.cost_rank);
        }
        self
    }
}

/// A span in the table.
#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
pub(crate) struct Entry {
    pub(crate) seen: Sighting,
    pub(crate) context: Context,
    pub(crate) counted: Counted,
    /// Of a client's span: who answered. Of a step: the models that it called. Of an actor runtime's receiver: its work.
    pub(crate) answers: Answers,
    /// Of a server's span: the client's that it answers. Of a model's: the step that called it.
    pub(crate) partner: Slot,
    /// Of a client's span: nobody answered in time (B-06).
    pub(crate) is_overdue: bool,
    pub(crate) turn: Turn,
    /// Of an agent's span: a handoff tells of it, and draws the edge (E-16).
    pub(crate) is_handed: bool,
    /// A span beside it tells of the same (E-43 to E-45).
    pub(crate) is_twin: bool,
    /// A span in another trace tells of the same (E-41).
    pub(crate) is_echo: bool,
    /// Of a message's receiver: a handoff in the sender's trace tells of it, and draws the edge (E-16).
    pub(crate) is_passed: bool,
    /// Of a step: an agent of its service goes by its name (K-18).
    pub(crate) is_named: bool,
    /// Of a server's span: through it an agent's stand-in reaches the agent (E-39).
    pub(crate) is_door: bool,
    /// Of an agent's span: its tokens are all that is known of its models' (T-06).
    pub(crate) is_total: bool,
}

const _: () = assert!(
    size_of::<Entry>() <= 256,
    "an entry fits four lines of the cache"
);

impl Entry {
    /// A span that has come, and of which nothing is known but what it says.
    pub(crate) fn new(seen: &Sighting) -> Entry {
        Entry {
            seen: *seen,
            context: Context::MISSING,
            counted: Counted::Nothing,
            answers: Answers::default(),
            turn: Turn::NOBODY,
            partner: NONE,
            is_overdue: false,
            is_handed: false,
            is_twin: false,
            is_echo: false,
            is_passed: false,
            is_named: false,
            is_door: false,
            is_total: false,
        }
    }

    /// The same in the place of another, field by field: a whole entry made elsewhere would have to be read back before its
    /// parts are written out.
    #[inline]
    pub(crate) fn renew(&mut self, seen: &Sighting) {
        self.seen = *seen;
        self.context = Context::MISSING;
        self.counted = Counted::Nothing;
        self.answers = Answers::default();
        self.turn = Turn::NOBODY;
        self.partner = NONE;
        self.is_overdue = false;
        self.is_handed = false;
        self.is_twin = false;
        self.is_echo = false;
        self.is_passed = false;
        self.is_named = false;
        self.is_door = false;
        self.is_total = false;
    }

    /// Something from each line of it.
    #[inline]
    pub(crate) fn fetch(&self) -> (u8, NodeId, u64, NodeId, Slot) {
        let seen = &self.seen;
        (
            seen.trace.0[0],
            seen.node,
            seen.cost,
            self.context.actor,
            self.partner,
        )
    }

    /// What its children stand below; `slot` is its own place, `at` shows other spans. Inlined, as what it calls: a context is
    /// made in registers and written once, where it stays.
    #[inline(always)]
    pub(crate) fn below<'t>(&self, slot: Slot, at: impl Fn(Slot) -> &'t Sighting) -> Context {
        Context {
            is_root: false,
            above: self.seen.service,
            above_kind: self.seen.span_kind,
            ..self.passed_on(slot, at)
        }
    }

    #[inline(always)]
    fn passed_on<'t>(&self, slot: Slot, at: impl Fn(Slot) -> &'t Sighting) -> Context {
        let mut through = self.context;
        through.is_received &= !self.is_sent();
        match self.seen.role {
            Role::Actor if self.is_served_tool() => through.step = NONE,
            Role::Actor | Role::McpServer => return self.of_actor(slot, at),
            Role::Step if self.has(Flags::TURN) && self.turn.node != NO_NODE => {
                return Context::of_turn(&self.seen, self.turn.node);
            }
            Role::Step if self.has(Flags::TURN) => {}
            Role::Step if self.is_agent() || self.has(Flags::MESSAGED) => {
                return Context {
                    step: slot,
                    ..Context::of(&self.seen)
                };
            }
            Role::Step if self.has(Flags::BY_NAME) => {}
            Role::Step => through.step = slot,
            Role::Consumer => {
                return Context {
                    is_received: true,
                    ..Context::of_service(self.seen.service)
                };
            }
            Role::TransportServer
                if !self.is_inside() && !self.is_doorway(&at) && !self.is_door =>
            {
                return Context {
                    is_at_door: through.standing == Standing::Waiting,
                    ..Context::of_service(self.seen.service)
                };
            }
            Role::TransportServer if !self.is_inside() => through.step = NONE,
            Role::McpClient if !self.is_carried_by(Role::McpClient, slot, &at) => {
                if self.seen.bears_node() {
                    through = Context::of(&self.seen);
                }
                through.via = slot;
            }
            Role::McpClient if self.seen.bears_node() => through.step = NONE,
            Role::TransportClient | Role::Leaf if !self.is_carried(slot, &at) => {
                through.via = slot;
            }
            Role::Model => {
                self.add_model(&mut through, slot, &at);
                if !self.is_carried(slot, &at) {
                    through.via = slot;
                }
            }
            _ => {}
        }
        through
    }

    /// Below the work of its node, if it bears one.
    #[inline(always)]
    fn of_actor<'t>(&self, slot: Slot, at: impl Fn(Slot) -> &'t Sighting) -> Context {
        let mut through = self.context;
        if !self.seen.bears_node() {
            return through;
        }
        let is_nameless =
            self.seen.flags.has(Flags::DEFAULT_AGENT) && self.seen.kind == NodeKind::Agent;
        // what a nameless agent is depends on what stands above it (N-14)
        if is_nameless && through.standing == Standing::Waiting {
            // no step may become an agent by what turns out to be another's
            return Context {
                step: NONE,
                ..through
            };
        }
        if is_nameless && self.is_default_wrapper() {
            if through.step != NONE && at(through.step).service != self.seen.service {
                through.step = NONE;
            }
            return through;
        }
        let is_remote = self.seen.flags.has(Flags::REMOTE);
        Context {
            via: if is_remote { slot } else { NONE },
            ..Context::of(&self.seen)
        }
    }

    #[inline(always)]
    fn add_model<'t>(&self, through: &mut Context, slot: Slot, at: &impl Fn(Slot) -> &'t Sighting) {
        let is_waiting = through.standing == Standing::Waiting;
        let is_inner = through.model != NONE && at(through.model).service == self.seen.service;
        if !is_inner || is_waiting {
            through.model = slot;
        }
        through.depth = if is_inner {
            through.depth.saturating_add(1)
        } else {
            1
        };
        if is_waiting {
            through.depth = 0;
        }
    }

    /// Whether it lies in a call of its own service, whose part it is (E-31, E-32).
    pub(crate) fn is_carried<'t>(&self, slot: Slot, at: &impl Fn(Slot) -> &'t Sighting) -> bool {
        let via = self.context.via;
        via != NONE && via != slot && at(via).service == self.seen.service
    }

    /// The same, in a call of this kind (E-26).
    pub(crate) fn is_carried_by<'t>(
        &self,
        role: Role,
        slot: Slot,
        at: &impl Fn(Slot) -> &'t Sighting,
    ) -> bool {
        self.is_carried(slot, at) && at(self.context.via).role == role
    }

    /// E-35: a message's way into its queue, so that a receiver below it takes another one.
    fn is_sent(&self) -> bool {
        let is_queue = self.seen.role == Role::Leaf && self.seen.kind == NodeKind::Queue;
        is_queue || self.seen.span_kind == PRODUCER
    }

    /// K-18: a step that goes by an agent's name, or calls a model itself. K-61: a receiver that does anything.
    pub(crate) fn is_agent(&self) -> bool {
        self.seen.role == Role::Step
            && (self.is_named || !self.answers.is_empty() && !self.has(Flags::BY_NAME))
    }

    fn has(&self, flags: Flags) -> bool {
        self.seen.flags.has(flags)
    }

    /// K-64: a server's span that is no boundary between processes.
    pub(crate) fn is_inside(&self) -> bool {
        self.context.above == self.seen.service
            && !matches!(self.context.above_kind, CLIENT | PRODUCER)
    }

    /// E-30: a server's span through which a call of an agent or an MCP server comes in.
    pub(crate) fn is_doorway<'t>(&self, at: &impl Fn(Slot) -> &'t Sighting) -> bool {
        let via = self.context.via;
        via != NONE && {
            let call = at(via);
            call.role == Role::McpClient || call.flags.has(Flags::REMOTE)
        }
    }

    /// E-30: whether a doorway may lead to it.
    pub(crate) fn is_led_to(&self) -> bool {
        let is_decider = matches!(self.seen.kind, NodeKind::Agent | NodeKind::Workflow);
        self.seen.role == Role::McpServer || self.seen.role == Role::Actor && is_decider
    }

    /// E-23: the tool that an MCP server runs is the server.
    pub(crate) fn is_served_tool(&self) -> bool {
        let context = &self.context;
        self.seen.kind == NodeKind::Tool
            && context.kind == NodeKind::McpServer
            && context.actor != NO_NODE
            && context.service == self.seen.service
            && (context.name == 0 || context.name == self.seen.name)
    }

    /// N-14: a nameless agent span right below a decider of its service is that one's wrapper.
    pub(crate) fn is_default_wrapper(&self) -> bool {
        self.seen.flags.has(Flags::DEFAULT_AGENT)
            && matches!(self.context.kind, NodeKind::Agent | NodeKind::Workflow)
            && self.context.actor != NO_NODE
            && self.context.service == self.seen.service
    }
}
