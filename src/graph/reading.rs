//! What a span counts as where it stands (`span-conventions` §5): pure rules over one span and its context.

use crate::base::NodeId;
use crate::graph::entry::{Context, Entry};
use crate::graph::interner::EdgeKey;
use crate::graph::ledger::Alias;
use crate::scan::{EdgeKind, Flags, NO_NODE, NodeKind, Role, Sighting};

/// What a span comes to where it stands.
pub(super) enum Reading {
    /// It counts for nothing of its own.
    Nothing,
    /// A call of its node by another.
    Call(EdgeKey),
    /// A call of its node by nobody in sight.
    Entry,
    /// Its node exists.
    Declared,
    /// Control passes on; the call of the receiver is a span of its own.
    Handoff(EdgeKey),
    /// Its node and the one that runs it are one.
    Alias(Alias),
}

/// Reads a span. `is_inner` says that another model span around it tells of the same call (E-40).
pub(super) fn of(entry: &Entry, is_inner: bool) -> Reading {
    if !entry.is_present || !entry.seen.bears_node() {
        return Reading::Nothing;
    }
    let (seen, context) = (&entry.seen, &entry.context);
    match seen.role {
        Role::Declare => Reading::Declared,
        Role::Handoff => handoff(seen, context),
        Role::Model if is_inner => Reading::Nothing,
        Role::Model => call(entry.call.node, seen, context),
        Role::Actor if entry.is_default_wrapper() => Reading::Nothing,
        Role::Actor | Role::Leaf => call(seen.node, seen, context),
        _ => Reading::Nothing,
    }
}

/// A call of `node` (E-01 to E-03), from whoever runs it.
fn call(node: NodeId, seen: &Sighting, context: &Context) -> Reading {
    let is_decider = matches!(seen.kind, NodeKind::Agent | NodeKind::Workflow);
    let is_namesake = context.actor != NO_NODE && context.name == seen.name && seen.name != 0;
    if is_decider && is_namesake && context.actor != node {
        // N-15: workflow and agent of one name, one right inside the other. E-17: a tool and the agent that it runs.
        let is_one = match context.kind {
            NodeKind::Agent | NodeKind::Workflow => context.service == seen.service,
            NodeKind::Tool => true,
            _ => false,
        };
        if is_one {
            return Reading::Alias(Alias {
                outer: context.actor,
                inner: node,
            });
        }
    }
    let (actor, kind) = source(seen, context, is_decider);
    if actor == node {
        return Reading::Nothing; // a wrapper
    }
    if context.is_root && (is_decider || seen.kind == NodeKind::McpServer) {
        return Reading::Entry;
    }
    Reading::Call(EdgeKey {
        from: actor,
        to: node,
        kind: seen.kind.edge_from(kind),
    })
}

/// Who calls: the structure if it ends at someone who decides or acts, else the owner that the span names, else what the
/// structure ended at, else the service.
fn source(seen: &Sighting, context: &Context, is_decider: bool) -> (NodeId, NodeKind) {
    let is_found = context.actor != NO_NODE;
    let is_weak = !is_found || matches!(context.kind, NodeKind::Workflow | NodeKind::Service);
    if is_weak && !is_decider && seen.hint != NO_NODE {
        return (seen.hint, NodeKind::Agent);
    }
    if is_found {
        (context.actor, context.kind)
    } else {
        (seen.service, NodeKind::Service)
    }
}

/// E-10: control passes from the agent that the span names, else from whoever runs it.
fn handoff(seen: &Sighting, context: &Context) -> Reading {
    let (actor, _) = if seen.hint == NO_NODE {
        source(seen, context, false)
    } else {
        (seen.hint, NodeKind::Agent)
    };
    if actor == seen.node {
        return Reading::Nothing;
    }
    let returns = seen.flags.has(Flags::RETURNS);
    Reading::Handoff(EdgeKey {
        from: actor,
        to: seen.node,
        kind: if returns {
            EdgeKind::Delegates
        } else {
            EdgeKind::HandsOff
        },
    })
}
