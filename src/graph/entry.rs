//! What the span table keeps of a span.

use crate::base::NodeId;
use crate::graph::ledger::{Alias, EdgeSlot};
use crate::scan::{Flags, NO_NODE, NodeKind, Role, Sighting};

/// A place in the table.
pub(crate) type Slot = u32;

/// No place.
pub(crate) const NONE: Slot = Slot::MAX;

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

    /// Below the work of a node.
    fn of(seen: &Sighting) -> Context {
        Context {
            kind: seen.kind,
            actor: seen.node,
            service: seen.service,
            name: seen.name,
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
}

impl Call {
    /// What one span says, at its depth inside the outermost of the call's spans.
    fn of(seen: &Sighting, depth: u8) -> Call {
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
        }
    }

    /// What an inner span adds: the most specific node wins, and the innermost tokens.
    pub(crate) fn merged(mut self, inner: &Entry) -> Call {
        let inner = Call::of(&inner.seen, inner.context.depth);
        if inner.node_rank > self.node_rank {
            (self.node, self.node_rank) = (inner.node, inner.node_rank);
        }
        if inner.tokens_rank > self.tokens_rank {
            self.tokens_in = inner.tokens_in;
            self.tokens_out = inner.tokens_out;
            self.tokens_rank = inner.tokens_rank;
        }
        self
    }
}

/// What a span was counted as, to be taken back when it turns out otherwise (B-05).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Counted {
    /// As nothing.
    Nothing,
    /// As a call, or as the declaration of a node.
    Call {
        /// The shard's number of the edge; [`NONE`] for no edge.
        edge: EdgeSlot,
        /// The node that was called; [`NO_NODE`] for none.
        node: NodeId,
        standing: Standing,
        /// Nobody in sight made the call.
        is_entry: bool,
    },
    /// As evidence that two nodes are one.
    Alias(Alias),
}

/// A span in the table, or the place of one that has not come.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    /// Of a placeholder only trace and span count.
    pub(crate) seen: Sighting,
    pub(crate) is_present: bool,
    /// A placeholder that is not waited for any more.
    pub(crate) is_given_up: bool,
    pub(crate) context: Context,
    pub(crate) call: Call,
    pub(crate) counted: Counted,
    pub(crate) trace: Slot,
    /// Plus one; 0 is none, as in the buckets.
    pub(crate) next_in_bucket: u32,
    pub(crate) previous_in_trace: Slot,
    pub(crate) next_in_trace: Slot,
    pub(crate) parent: Slot,
    pub(crate) first_child: Slot,
    pub(crate) previous_sibling: Slot,
    pub(crate) next_sibling: Slot,
}

impl Entry {
    /// A span that has come.
    pub(crate) fn present(seen: Sighting) -> Entry {
        Entry {
            seen,
            is_present: true,
            is_given_up: false,
            context: Context::MISSING,
            call: Call::of(&seen, 0),
            counted: Counted::Nothing,
            trace: NONE,
            next_in_bucket: 0,
            previous_in_trace: NONE,
            next_in_trace: NONE,
            parent: NONE,
            first_child: NONE,
            previous_sibling: NONE,
            next_sibling: NONE,
        }
    }

    /// The place of a child's parent.
    pub(crate) fn placeholder(child: &Sighting) -> Entry {
        let seen = Sighting {
            span: child.parent,
            ..*child
        };
        Entry {
            is_present: false,
            ..Entry::present(seen)
        }
    }

    /// The span comes to its place.
    pub(crate) fn arrive(&mut self, seen: Sighting) {
        self.seen = seen;
        self.is_present = true;
        self.is_given_up = false;
        self.call = Call::of(&seen, 0);
    }

    /// What its children stand below; `slot` is its own place.
    pub(crate) fn below(&self, slot: Slot, is_same_service: impl Fn(Slot) -> bool) -> Context {
        if !self.is_present {
            return if self.is_given_up {
                Context::ORPHANED
            } else {
                Context::MISSING
            };
        }
        let mut through = self.context;
        through.is_root = false;
        if self.seen.role.gives_context() && self.seen.bears_node() {
            if !self.seen.flags.has(Flags::DEFAULT_AGENT) || self.seen.kind != NodeKind::Agent {
                return Context::of(&self.seen);
            }
            // what a nameless agent is depends on what stands above it (N-14)
            return match through.standing {
                Standing::Waiting => through,
                _ if self.is_default_wrapper() => through,
                _ => Context::of(&self.seen),
            };
        }
        if self.seen.role == Role::Model {
            let is_inner = through.model != NONE && is_same_service(through.model);
            if !is_inner || through.standing == Standing::Waiting {
                through.model = slot;
            }
            through.depth = if is_inner {
                through.depth.saturating_add(1)
            } else {
                1
            };
            if through.standing == Standing::Waiting {
                through.depth = 0;
            }
        }
        through
    }

    /// N-14: a nameless agent span right below a decider of its service is that one's wrapper.
    pub(crate) fn is_default_wrapper(&self) -> bool {
        self.seen.flags.has(Flags::DEFAULT_AGENT)
            && matches!(self.context.kind, NodeKind::Agent | NodeKind::Workflow)
            && self.context.actor != NO_NODE
            && self.context.service == self.seen.service
    }
}
