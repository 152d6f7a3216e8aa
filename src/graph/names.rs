//! Which agents a service names, and the steps that go by their names (K-18).
//!
//! An agent is often named once, at start-up, and its runs are steps that bear its name. A name that becomes known later
//! makes agents of the steps that came before it.
//!
//! **Bounds.** A number for each node that the interner knows, [`MOST`] pairs beyond, and the steps in the span table.
//! **Invariant.** Names are not forgotten before the nodes that bear them, so that what is known does not depend on the
//! order of arrival.

use crate::base::{NodeId, SpanId};
use crate::graph::entry::{Entry, Slot};
use crate::graph::shard::Shard;
use crate::scan::{Flags, NO_NODE, Role, Sighting};
use std::collections::{HashMap, HashSet};

/// Services beyond the first that name one agent, all agents together.
const MOST: usize = 65_536;

/// The least number of steps of one name between two clean-ups.
const FEW: usize = 64;

/// Steps of one name that are no agents yet, and handoffs that count between agents only.
#[derive(Default)]
struct Waiting {
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
    waiting: HashMap<(NodeId, NodeId), Waiting>,
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

    /// Forgets what is known of nodes that are gone.
    pub(super) fn forget(&mut self, is_gone: impl Fn(NodeId) -> bool) {
        let is_pair_gone =
            |(service, agent): &(NodeId, NodeId)| is_gone(*service) || is_gone(*agent);
        self.more.retain(|pair| !is_pair_gone(pair));
        self.waiting.retain(|pair, _| !is_pair_gone(pair));
        for (agent, first) in (0..).map(NodeId).zip(&mut self.first) {
            if is_gone(agent) || is_gone(*first) {
                *first = NO_NODE;
            }
        }
        // whose first service is gone may have others
        let others: Vec<_> = self.more.iter().copied().collect();
        for (service, agent) in others {
            if self.first.get(agent.0 as usize) == Some(&NO_NODE) {
                self.more.remove(&(service, agent));
                self.learn(service, agent);
            }
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

/// Whether a span says a name, or what it is depends on one.
fn matter(seen: &Sighting) -> bool {
    seen.role == Role::Step
        || seen.flags.has(Flags::NAMED)
        || seen.role == Role::Handoff && seen.flags.has(Flags::WEAK)
}

impl Shard {
    /// Learns the name that a span says, and finds the steps that go by it; or finds out whether a step does.
    #[inline]
    pub(super) fn take_name(&mut self, slot: Slot, seen: &Sighting) {
        if matter(seen) {
            self.take_name_in_full(slot, seen);
        }
    }

    fn take_name_in_full(&mut self, slot: Slot, seen: &Sighting) {
        if seen.flags.has(Flags::NAMED) {
            return self.learn_name(seen.service, seen.node);
        }
        if seen.role == Role::Handoff {
            for agent in [seen.hint, seen.node] {
                if !self.names.knows(seen.service, agent) {
                    self.wait_for_name((seen.service, agent), slot, seen.span);
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
        } else {
            self.wait_for_name((seen.service, seen.node), slot, seen.span);
        }
    }

    fn learn_name(&mut self, service: NodeId, agent: NodeId) {
        if self.names.knows(service, agent) {
            return;
        }
        let waiting = self.names.waiting.remove(&(service, agent));
        let mut slots = waiting.unwrap_or_default().slots;
        slots.retain(|(slot, span)| self.table.holds(*slot, *span));
        for (slot, _) in &slots {
            // what was read of these depends on the name
            self.reopen(self.table.links(*slot).trace);
        }
        if !self.names.learn(service, agent) {
            return;
        }
        for (slot, _) in slots {
            if self.seen(slot).role == Role::Step {
                self.reread(slot, |entry| entry.is_named = true);
                self.promoted(slot);
            } else {
                let trace = self.table.links(slot).trace;
                self.stir(trace);
                self.line_up(trace);
            }
        }
    }

    fn wait_for_name(&mut self, name: (NodeId, NodeId), slot: Slot, span: SpanId) {
        let mut waiting = self.names.waiting.remove(&name).unwrap_or_default();
        if waiting.slots.len() >= waiting.limit.max(FEW) {
            waiting
                .slots
                .retain(|(slot, span)| self.table.holds(*slot, *span));
            waiting.limit = 2 * waiting.slots.len();
        }
        waiting.slots.push((slot, span));
        self.names.waiting.insert(name, waiting);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_gone_is_not_known_and_others_are() {
        let mut names = Names::default();
        let [one, two, agent, other] = [1, 2, 3, 4].map(NodeId);
        assert!(names.learn(one, agent) && names.learn(two, agent) && names.learn(two, other));
        names.forget(|node| node == one);
        assert!(names.knows(two, agent) && !names.knows(one, agent) && names.knows(two, other));
        names.forget(|node| node == agent);
        assert!(!names.knows(two, agent) && names.knows(two, other));
        assert!(names.learn(two, agent), "another's name now");
    }
}
