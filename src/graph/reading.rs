//! What a span counts as where it stands (`span-conventions` §5): pure rules over one span and its context.

use crate::base::NodeId;
use crate::graph::entry::{Context, Entry, Slot, Standing};
use crate::graph::interner::EdgeKey;
use crate::graph::ledger::Alias;
use crate::scan::{EdgeKind, Flags, NO_NODE, NodeKind, Role, Sighting};

/// What a span comes to where it stands.
pub(super) enum Reading {
    /// It counts for nothing of its own.
    Nothing,
    /// A call of a node by another.
    Call(EdgeKey),
    /// The same, and the callee calls on to a peer that has not answered (E-20).
    Relayed(EdgeKey, EdgeKey),
    /// A call of its node by nobody in sight.
    Entry(NodeId),
    /// Its node exists.
    Declared,
    /// Control passes on; the call of the receiver is a span of its own.
    Handoff(EdgeKey),
    /// Its node and the one that runs it are one.
    Alias(Alias),
}

/// Reads the span at `slot`, which has come; `at` shows other spans. `model` is the node of the call of which a model's span
/// tells, unless another around it tells of it (E-40).
pub(super) fn of<'t>(
    entry: &Entry,
    slot: Slot,
    model: Option<NodeId>,
    at: impl Fn(Slot) -> &'t Sighting,
) -> Reading {
    if entry.is_twin || entry.is_echo {
        return Reading::Nothing;
    }
    let (seen, context) = (&entry.seen, &entry.context);
    match seen.role {
        Role::McpClient => mcp_client(entry, slot, &at),
        Role::TransportClient if !entry.is_carried(slot, &at) => unanswered(entry),
        Role::Consumer => received(entry),
        Role::Handoff => handoff(entry),
        Role::Step if seen.flags.has(Flags::TURN) => turn(entry),
        _ if !seen.bears_node() => Reading::Nothing,
        Role::Declare => Reading::Declared,
        Role::Model => match model.map_or(Reading::Nothing, |node| call(node, entry)) {
            Reading::Call(edge) if seen.peer != NO_NODE => {
                let guardrail = EdgeKey {
                    from: edge.from,
                    to: seen.peer,
                    kind: EdgeKind::GuardedBy,
                };
                Reading::Relayed(edge, guardrail) // E-02
            }
            reading => reading,
        },
        Role::Actor if entry.is_default_wrapper() || entry.is_served_tool() => Reading::Nothing,
        Role::Leaf if entry.is_carried(slot, &at) && is_part(seen, at(context.via)) => {
            Reading::Nothing
        }
        Role::Step if !entry.is_agent() => Reading::Nothing,
        Role::Step if context.actor == seen.node => Reading::Nothing,
        Role::Actor | Role::Leaf | Role::Step => call(seen.node, entry),
        Role::TransportServer if entry.is_inside() || entry.is_doorway(&at) || entry.is_door => {
            Reading::Nothing
        }
        Role::TransportServer | Role::McpServer => served(seen, context),
        _ => Reading::Nothing,
    }
}

/// E-03, E-37: a driver's span inside another's, and what a queue's client says to its broker.
fn is_part(seen: &Sighting, outer: &Sighting) -> bool {
    outer.role == Role::Leaf && (outer.kind == seen.kind || outer.kind == NodeKind::Queue)
}

/// E-20, E-26: the tool, and the server if it does not speak for itself.
fn mcp_client<'t>(entry: &Entry, slot: Slot, at: &impl Fn(Slot) -> &'t Sighting) -> Reading {
    let (seen, context) = (&entry.seen, &entry.context);
    if entry.is_carried_by(Role::McpClient, slot, at) {
        return Reading::Nothing;
    }
    let is_waited_for = !entry.answers.is_empty() || !entry.is_overdue || seen.peer == NO_NODE;
    let onward = |from| EdgeKey {
        from,
        to: seen.peer,
        kind: EdgeKind::McpCall,
    };
    if !seen.bears_node() {
        let (actor, _) = source(seen, context, false);
        return if is_waited_for {
            Reading::Nothing
        } else {
            Reading::Call(onward(actor))
        };
    }
    match call(seen.node, entry) {
        reading if is_waited_for => reading,
        Reading::Call(edge) => Reading::Relayed(edge, onward(seen.node)),
        // the tool's own span stands around it
        Reading::Nothing => Reading::Call(onward(seen.node)),
        reading => reading,
    }
}

/// E-31: nobody answered, so it is someone outside.
fn unanswered(entry: &Entry) -> Reading {
    let seen = &entry.seen;
    if !entry.answers.is_empty() || !entry.is_overdue || seen.peer == NO_NODE {
        return Reading::Nothing;
    }
    let (actor, _) = source(seen, &entry.context, false);
    if actor == seen.peer {
        return Reading::Nothing;
    }
    Reading::Call(EdgeKey {
        from: actor,
        to: seen.peer,
        kind: EdgeKind::Calls,
    })
}

/// E-30, E-33: the server's side of a call; where no caller is in sight, an entry.
fn served(seen: &Sighting, context: &Context) -> Reading {
    let (actor, kind) = match (context.actor, context.above) {
        (NO_NODE, NO_NODE) => return Reading::Entry(seen.node),
        (NO_NODE, caller) => (caller, NodeKind::Service),
        (actor, _) => (actor, context.kind),
    };
    if actor == seen.node {
        return Reading::Nothing;
    }
    Reading::Call(EdgeKey {
        from: actor,
        to: seen.node,
        kind: seen.kind.edge_from(kind),
    })
}

/// K-44: whose turn it is; the first step of a turn counts for all of them.
fn turn(entry: &Entry) -> Reading {
    match entry.turn.node {
        NO_NODE => Reading::Nothing,
        // nobody waits for a run that never comes: its first agent is where it begins
        agent if entry.turn.from == NO_NODE && entry.context.actor == NO_NODE => {
            Reading::Entry(agent)
        }
        agent => call_of(agent, NodeKind::Agent, entry),
    }
}

/// E-35: a message comes out of its queue or, where that has no name, from whoever sent it.
fn received(entry: &Entry) -> Reading {
    let (seen, context) = (&entry.seen, &entry.context);
    if seen.bears_node() {
        return Reading::Call(EdgeKey {
            from: seen.node,
            to: seen.service,
            kind: EdgeKind::Delivers,
        });
    }
    let found = [entry.turn.from, context.actor, context.above];
    let from = found.into_iter().find(|from| *from != NO_NODE);
    let from = from.unwrap_or(NO_NODE);
    if from == NO_NODE {
        return Reading::Entry(seen.service);
    }
    if from == seen.service {
        return Reading::Nothing;
    }
    Reading::Call(EdgeKey {
        from,
        to: seen.service,
        kind: EdgeKind::Messages,
    })
}

/// A call of `node` (E-01 to E-03), from whoever runs it.
fn call(node: NodeId, entry: &Entry) -> Reading {
    call_of(node, entry.seen.kind, entry)
}

fn call_of(node: NodeId, node_kind: NodeKind, entry: &Entry) -> Reading {
    let (seen, context, turn) = (&entry.seen, &entry.context, &entry.turn);
    if turn.is_one {
        return Reading::Alias(Alias {
            outer: turn.from,
            inner: node,
        });
    }
    if turn.from != NO_NODE {
        return call_from(turn.from, turn.kind, node, node_kind, entry);
    }
    let is_decider = matches!(node_kind, NodeKind::Agent | NodeKind::Workflow);
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
    let is_entry = actor == seen.service && context.actor == NO_NODE;
    if is_decider && is_entry && context.standing == Standing::Settled {
        return Reading::Entry(node);
    }
    call_from(actor, kind, node, node_kind, entry)
}

fn call_from(
    actor: NodeId,
    actor_kind: NodeKind,
    node: NodeId,
    node_kind: NodeKind,
    entry: &Entry,
) -> Reading {
    if actor == node {
        return Reading::Nothing; // a wrapper
    }
    let is_message = entry.seen.flags.has(Flags::MESSAGED) && actor_kind == NodeKind::Agent;
    let kind = if entry.turn.passes {
        EdgeKind::HandsOff
    } else if is_message {
        EdgeKind::Messages
    } else {
        node_kind.edge_from(actor_kind)
    };
    Reading::Call(EdgeKey {
        from: actor,
        to: node,
        kind,
    })
}

/// Who calls: the structure if it ends at someone who decides or acts, else the owner that the span names, else what the
/// structure ended at, else the service.
fn source(seen: &Sighting, context: &Context, is_decider: bool) -> (NodeId, NodeKind) {
    if is_decider && seen.flags.has(Flags::REMOTE) && seen.hint != NO_NODE {
        return (seen.hint, NodeKind::Agent);
    }
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

/// E-10: who gives control away: the agent that the span names, else whoever runs it.
pub(super) fn hands_off(entry: &Entry) -> NodeId {
    if entry.seen.hint == NO_NODE {
        source(&entry.seen, &entry.context, false).0
    } else {
        entry.seen.hint
    }
}

/// E-10, E-15: control passes to the agent that the span names, else to who was found to take over.
fn handoff(entry: &Entry) -> Reading {
    let seen = &entry.seen;
    let from = hands_off(entry);
    let to = if seen.bears_node() {
        seen.node
    } else {
        entry.turn.node
    };
    let is_weak = seen.flags.has(Flags::WEAK) && !entry.turn.passes;
    if to == NO_NODE || from == to || is_weak {
        return Reading::Nothing;
    }
    let returns = seen.flags.has(Flags::RETURNS);
    Reading::Handoff(EdgeKey {
        from,
        to,
        kind: if returns {
            EdgeKind::Delegates
        } else {
            EdgeKind::HandsOff
        },
    })
}
