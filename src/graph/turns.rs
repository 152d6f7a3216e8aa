//! Whose turn it was: handoffs and the agents' spans that they led to (E-15, E-16), and spans that tell of one call side by
//! side (E-43 to E-45).
//!
//! A handoff and the activation it causes are two spans of one thing, anywhere in a trace. They are brought together when
//! the tick asks, in the traces that have handoffs and got spans since.
//!
//! **Bounds.** One look at each span of such a trace, and [`MOST`] handoffs and agents of it.
//! **Invariant.** A function of the trace's spans: by start, then by id, never by arrival.

use crate::base::{NodeId, SpanId};
use crate::graph::entry::{Entry, NONE, Slot, Turn};
use crate::graph::reading::{self, Reading};
use crate::graph::shard::Shard;
use crate::graph::table::Trace;
use crate::scan::{Flags, NO_NODE, NodeKind, Role, Sighting};
use std::cmp::Reverse;

/// Handoffs of a trace that are looked at, and agents' spans; the rest stays as it is.
const MOST: usize = 1_024;

/// Steps up from a span to an agent's.
const MOST_STEPS: usize = 64;

/// How many spans on either side of one, in order of start, may tell of the same.
const NEAR: usize = 8;

/// A span of a trace, in the order in which turns are told.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    start: u64,
    span: SpanId,
    slot: Slot,
}

impl Shard {
    /// Notes that the turns of a trace are to be looked at.
    pub(super) fn stir(&mut self, trace: Slot) {
        let known = self.table.trace_mut(trace);
        if (known.has_handoffs || known.has_twins) && !known.is_stirred {
            known.is_stirred = true;
            self.stirred.push((trace, known.id));
        }
    }

    /// Looks at the turns of all traces that were stirred.
    pub(super) fn take_turns(&mut self) {
        let mut stirred = std::mem::take(&mut self.stirred);
        for (slot, id) in stirred.drain(..) {
            // its place may be another's by now
            if self.table.trace(slot).id == id {
                self.take_turns_in(slot);
            }
        }
        self.stirred = stirred;
    }

    /// Looks at the turns of one trace, if it was stirred.
    pub(super) fn take_turns_in(&mut self, slot: Slot) {
        let trace = self.table.trace_mut(slot);
        if !trace.is_stirred || trace.first == NONE {
            return;
        }
        trace.is_stirred = false;
        let (has_handoffs, has_twins) = (trace.has_handoffs, trace.has_twins);
        if has_twins {
            self.find_twins_of(slot);
        }
        if has_handoffs {
            self.take_turns_of(slot);
        }
    }

    fn take_turns_of(&mut self, trace: Slot) {
        let (handoffs, agents) = self.match_turns(trace);
        for (handoff, agent) in handoffs {
            let turn = agent.map_or(Turn::NOBODY, |agent| {
                let seen = self.seen(agent);
                Turn {
                    node: seen.node,
                    outcome: seen.outcome,
                }
            });
            if self.table.entry(handoff).turn() != turn {
                self.recount(handoff, |entry| entry.set_turn(turn));
            }
            if let Some(agent) = agent {
                self.hand(agent, true);
            }
        }
        for agent in agents {
            self.hand(agent.slot, false);
        }
    }

    /// The handoffs of a trace, each with the agent's span that took over, and the agents that nobody handed to.
    fn match_turns(&self, trace: Slot) -> (Vec<(Slot, Option<Slot>)>, Vec<Place>) {
        let (handoffs, mut agents) = self.turns(trace);
        let mut matched = Vec::with_capacity(handoffs.len());
        for handoff in &handoffs {
            let at = self.successor(handoff, &agents);
            matched.push((handoff.slot, at.map(|at| agents.remove(at).slot)));
        }
        (matched, agents)
    }

    /// The handoffs of a trace to which an agent's span answers, and that span.
    pub(super) fn matched(&self, trace: Slot) -> impl Iterator<Item = (Slot, Slot)> + use<> {
        let (handoffs, _) = self.match_turns(trace);
        handoffs
            .into_iter()
            .filter_map(|(handoff, agent)| Some((handoff, agent?)))
    }

    fn hand(&mut self, slot: Slot, is_handed: bool) {
        if self.table.entry(slot).is_handed != is_handed {
            self.recount(slot, |entry| entry.is_handed = is_handed);
        }
    }

    fn recount(&mut self, slot: Slot, change: impl FnOnce(&mut Entry)) {
        self.take_back(slot);
        change(self.table.entry_mut(slot));
        self.count(slot);
    }

    /// The handoffs of a trace and the spans of its agents, in order.
    fn turns(&self, trace: Slot) -> (Vec<Place>, Vec<Place>) {
        let (mut handoffs, mut agents) = (Vec::new(), Vec::new());
        let mut slot = self.table.trace(trace).first;
        while slot != NONE {
            let links = self.table.links(slot);
            let entry = self.table.entry(slot);
            let place = Place {
                start: entry.seen.start,
                span: entry.seen.span,
                slot,
            };
            if links.is_present && entry.seen.role == Role::Handoff {
                handoffs.push(place);
            } else if links.is_present && is_activation(entry) && !entry.is_twin {
                agents.push(place);
            }
            slot = links.next_in_trace;
        }
        handoffs.sort_unstable();
        agents.sort_unstable();
        handoffs.truncate(MOST);
        agents.truncate(MOST);
        (handoffs, agents)
    }

    /// Marks the spans of a trace that tell of the same as one beside them.
    fn find_twins_of(&mut self, trace: Slot) {
        let mut calls = Vec::new();
        let mut slot = self.table.trace(trace).first;
        while slot != NONE {
            let links = self.table.links(slot);
            let entry = self.table.entry(slot);
            let is_call = entry.seen.role == Role::Model || is_activation(entry);
            if links.is_present && is_call && links.parent != NONE {
                let seen = &entry.seen;
                let side = (links.parent, seen.service, seen.node);
                calls.push((side, seen.start, Reverse(seen.end), seen.span, slot));
            }
            slot = links.next_in_trace;
        }
        calls.sort_unstable();
        for group in calls.chunk_by(|a, b| a.0 == b.0) {
            for (at, (.., slot)) in group.iter().enumerate() {
                let near = at.saturating_sub(NEAR)..(at + NEAR).min(group.len());
                let is_twin = group[near]
                    .iter()
                    .any(|(.., other)| other != slot && self.is_told_by(*slot, *other));
                if self.table.entry(*slot).is_twin != is_twin {
                    self.recount(*slot, |entry| entry.is_twin = is_twin);
                }
            }
        }
    }

    /// Whether another span beside it tells of this call: as its next attempt (E-43), or by another hand and for longer
    /// (E-44, E-45).
    fn is_told_by(&self, slot: Slot, other: Slot) -> bool {
        let (own, other) = (self.seen(slot), self.seen(other));
        if own.flags.has(Flags::RETRIED) && other.flags.has(Flags::RETRIED) {
            return own.outcome.is_failure()
                && own.operation == other.operation
                && other.start >= own.end
                && other.start > own.start;
        }
        let is_inside = other.start <= own.start && own.end <= other.end;
        // of two that last as long, the one whose id is smaller
        let is_longer = (other.start, other.end) != (own.start, own.end) || other.span < own.span;
        let is_other_hand = own.scope != other.scope || own.role != other.role;
        own.start < own.end && is_inside && is_longer && is_other_hand
    }

    /// Which of the agents took over: the one below the handoff, else the first that fits.
    fn successor(&self, handoff: &Place, agents: &[Place]) -> Option<usize> {
        let entry = self.table.entry(handoff.slot);
        let from = reading::hands_off(entry);
        let to = entry.seen.node;
        let is_below = |agent: &Place| self.is_below(agent.slot, handoff.slot);
        let fits = |agent: &Place| {
            let seen = self.seen(agent.slot);
            seen.node != from && (to == NO_NODE || seen.node == to)
        };
        let below = agents
            .iter()
            .position(|agent| fits(agent) && is_below(agent));
        below.or_else(|| {
            agents.iter().position(|agent| {
                fits(agent)
                    && self.may_be_handed(agent.slot, from)
                    && (to != NO_NODE || self.is_next_beside(agent.slot, handoff.slot))
            })
        })
    }

    fn is_below(&self, slot: Slot, above: Slot) -> bool {
        let mut at = self.table.links(slot).parent;
        for _ in 0..MOST_STEPS {
            if at == NONE || at == above {
                break;
            }
            at = self.table.links(at).parent;
        }
        at == above && at != NONE
    }

    /// E-16: whether the structure above an agent says no more than that somebody had to start it.
    fn may_be_handed(&self, slot: Slot, from: NodeId) -> bool {
        let entry = self.table.entry(slot);
        let context = &entry.context;
        let Reading::Call(edge) = reading::of(entry, slot, None, |at| self.seen(at)) else {
            return false;
        };
        edge.from == from
            || context.is_default
            || context.actor == NO_NODE
            || matches!(context.kind, NodeKind::Workflow | NodeKind::Service)
    }

    fn is_turn(&self, slot: Slot) -> bool {
        self.table.links(slot).is_present && is_activation(self.table.entry(slot))
    }

    /// E-15: whether an agent starts after a handoff, beside the span of who hands over or beside that span's parent.
    fn is_next_beside(&self, slot: Slot, handoff: Slot) -> bool {
        if self.seen(slot).start < self.seen(handoff).end {
            return false;
        }
        let mut giver = self.table.links(handoff).parent;
        for _ in 0..MOST_STEPS {
            if giver == NONE || self.is_turn(giver) {
                break;
            }
            giver = self.table.links(giver).parent;
        }
        if giver == NONE {
            return false;
        }
        let parent = self.table.links(giver).parent;
        let above = if parent == NONE {
            NONE
        } else {
            self.table.links(parent).parent
        };
        let own = self.table.links(slot).parent;
        own != NONE && (own == parent || own == above)
    }
}

/// Notes of a trace whether its spans may have to be looked at together.
pub(super) fn note(trace: &mut Trace, seen: &Sighting) {
    trace.has_handoffs |= seen.role == Role::Handoff;
    if !(seen.role == Role::Model || seen.kind == NodeKind::Agent && seen.bears_node()) {
        return;
    }
    let first = *trace.scope.get_or_insert(seen.scope);
    trace.has_twins |= seen.role == Role::Step
        || seen.scope != first
        || seen.flags.has(Flags::RETRIED) && seen.outcome.is_failure();
}

/// Whether a span that has come is an agent's turn.
fn is_activation(entry: &Entry) -> bool {
    let is_actor = entry.seen.role == Role::Actor || entry.is_agent();
    is_actor && entry.seen.kind == NodeKind::Agent && entry.seen.bears_node()
}
