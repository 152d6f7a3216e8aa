//! Which agents a service names, and the steps that go by their names (K-18).
//!
//! An agent is often named once, at start-up, and its runs are steps that bear its name. A name that becomes known later
//! makes agents of the steps that came before it.
//!
//! **Bounds.** A number for each node that the interner knows, [`MOST`] pairs beyond, and the steps in the span table.
//! **Invariant.** Names are never forgotten, so that what is known does not depend on the order of arrival.

use crate::base::{NodeId, SpanId};
use crate::graph::entry::{Entry, Slot};
use crate::graph::shard::Shard;
use crate::scan::{Flags, NO_NODE, Role, Sighting};
use std::collections::{HashMap, HashSet};

/// Services beyond the first that name one agent, all agents together.
const MOST: usize = 65_536;

/// The least number of steps of one name between two clean-ups.
const FEW: usize = 64;

/// Steps of one name that are no agents yet.
#[derive(Default)]
struct Steps {
    slots: Vec<(Slot, SpanId)>,
    /// How many there may be before those that are gone are looked for.
    limit: usize,
}

/// What is known of names.
#[derive(Default)]
pub(super) struct Names {
    /// By agent: the service that names it.
    first: Vec<NodeId>,
    /// Others that do.
    more: HashSet<(NodeId, NodeId)>,
    waiting: HashMap<(NodeId, NodeId), Steps>,
}

impl Names {
    /// Whether this service names this agent.
    pub(super) fn knows(&self, service: NodeId, agent: NodeId) -> bool {
        match self.first.get(agent.0 as usize) {
            None => false,
            Some(first) if *first == service => true,
            Some(first) => *first != NO_NODE && self.more.contains(&(service, agent)),
        }
    }

    /// Notes that it does; says whether that is new.
    fn learn(&mut self, service: NodeId, agent: NodeId) -> bool {
        let at = agent.0 as usize;
        if at >= self.first.len() {
            self.first.resize(at + 1, NO_NODE);
        }
        let first = &mut self.first[at];
        if *first == service {
            return false;
        }
        if *first == NO_NODE {
            *first = service;
            return true;
        }
        self.more.len() < MOST && self.more.insert((service, agent))
    }
}

impl Shard {
    /// Learns the name that a span says, and finds the steps that go by it; or finds out whether a step does.
    pub(super) fn take_name(&mut self, slot: Slot, seen: &Sighting) {
        let pair = (seen.service, seen.node);
        if seen.flags.has(Flags::NAMED) {
            if self.names.learn(seen.service, seen.node)
                && let Some(steps) = self.names.waiting.remove(&pair)
            {
                for (step, span) in steps.slots {
                    if self.table.holds(step, span) {
                        self.reread(step, |entry| entry.is_named = true);
                        self.promoted(step);
                    }
                }
            }
            return;
        }
        let is_step = seen.role == Role::Step && seen.bears_node();
        if !is_step || seen.flags.has(Flags::MESSAGED) || seen.flags.has(Flags::TURN) {
            return;
        }
        if self.names.knows(seen.service, seen.node) {
            self.table.entry_mut(slot).is_named = true;
            self.promoted(slot);
            return;
        }
        let mut steps = self.names.waiting.remove(&pair).unwrap_or_default();
        if steps.slots.len() >= steps.limit.max(FEW) {
            steps
                .slots
                .retain(|(step, span)| self.table.holds(*step, *span));
            steps.limit = 2 * steps.slots.len();
        }
        steps.slots.push((slot, seen.span));
        self.names.waiting.insert(pair, steps);
    }

    /// A step that is an agent may tell of the same as one beside it (E-45).
    fn promoted(&mut self, slot: Slot) {
        let trace = self.table.links(slot).trace;
        self.table.trace_mut(trace).has_twins = true;
        self.stir(trace);
    }

    /// Changes what was found out about a span, counts it anew and has its children look.
    pub(super) fn reread(&mut self, slot: Slot, change: impl FnOnce(&mut Entry)) {
        self.recount(slot, change);
        self.look_again(slot);
    }

    /// Has the children of a span look at it again.
    pub(super) fn look_again(&mut self, slot: Slot) {
        let mut children = Vec::new();
        self.table.push_children(slot, &mut children);
        for child in children {
            self.settle(child, false);
        }
    }
}
