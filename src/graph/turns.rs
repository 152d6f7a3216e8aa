//! Whose turn it was: handoffs and the agents' spans that they led to (E-15, E-16), and spans that tell of one call side by
//! side (E-43 to E-45).
//!
//! A handoff and the activation it causes are two spans of one thing, anywhere in a trace. They are brought together when
//! the tick asks, in the traces that have handoffs and got spans since.
//!
//! **Bounds.** One look at each span of such a trace, and [`MOST`] handoffs and agents of it.
//! **Invariant.** A function of the trace's spans: by start, then by id, never by arrival.

use crate::base::{NodeId, SpanId};
use crate::graph::beside::Signs;
use crate::graph::entry::{Entry, NONE, Slot};
use crate::graph::found::Turn;
use crate::graph::reading::{self, Reading};
use crate::graph::shard::Shard;
use crate::graph::table::{ABREAST, Trace};
use crate::scan::{Flags, NO_NODE, NodeKind, Role, Sighting};
use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};

/// Handoffs of a trace that are looked at, and agents' spans; the rest stays as it is.
const MOST: usize = 1_024;

/// How often the rules of a trace are asked again after one of them changed something.
const ROUNDS: usize = 8;

/// Steps up from a span to an agent's.
pub(super) const MOST_STEPS: usize = 64;

/// How many spans on either side of one, in order of start, may tell of the same.
const NEAR: usize = 8;

/// A span of a trace, in the order in which turns are told.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    start: u64,
    span: SpanId,
    slot: Slot,
}

/// The handoffs of a trace and the agents that took over.
struct Matched {
    handoffs: Vec<(Slot, Option<Slot>)>,
    /// Weak handoffs that are none (E-14).
    dropped: Vec<Slot>,
    /// Agents' spans to which no handoff led.
    agents: Vec<Place>,
}

impl Shard {
    /// Notes that the turns of a trace are to be looked at.
    pub(super) fn stir(&mut self, trace: Slot) {
        let known = self.table.trace_mut(trace);
        let signs = known.signs;
        let has_cause = known.has_handoffs
            || known.has_twins
            || signs.call_for_a_look()
            || signs.has(Signs::LINKED);
        if has_cause && !known.is_stirred {
            known.is_stirred = true;
            self.stirred.push((trace, known.id));
        }
    }

    /// Looks at the turns of all traces that were stirred.
    pub(super) fn take_turns(&mut self) {
        let mut traces = Vec::with_capacity(ABREAST);
        while !self.stirred.is_empty() {
            let rest = self.stirred.len().saturating_sub(ABREAST);
            for (slot, id) in self.stirred.drain(rest..) {
                // its place may be another's by now
                if self.table.trace(slot).id == id {
                    traces.push(slot);
                }
            }
            self.table.fetch_traces(&traces, |trace| trace.is_stirred);
            for slot in traces.drain(..) {
                self.take_turns_in(slot);
            }
        }
        self.join();
    }

    /// Looks at the turns of one trace, if it was stirred.
    pub(super) fn take_turns_in(&mut self, slot: Slot) {
        let trace = self.table.trace_mut(slot);
        if !trace.is_stirred || trace.first == NONE {
            return;
        }
        trace.is_stirred = false;
        let (id, has_handoffs, has_twins) = (trace.id, trace.has_handoffs, trace.has_twins);
        // what one rule finds another may stand on; where only one speaks, once is enough
        for _ in 0..ROUNDS {
            let before = self.recounts;
            if has_twins {
                self.find_twins_of(slot);
            }
            let signs = self.table.trace(slot).signs;
            if signs.call_for_a_look() {
                self.look_beside(slot);
            }
            if has_handoffs {
                self.take_turns_of(slot);
            }
            let speak_to_each_other = has_handoffs || has_twins || signs.has(Signs::FOLDED);
            if self.recounts == before || !speak_to_each_other {
                break;
            }
        }
        if self.table.trace(slot).signs.has(Signs::LINKED) {
            self.links.stirred.push(id);
        }
    }

    fn take_turns_of(&mut self, trace: Slot) {
        let Matched {
            handoffs,
            dropped,
            agents,
        } = self.match_turns(trace);
        let mut passed = HashMap::<(NodeId, NodeId), usize>::new();
        let mut told = Vec::with_capacity(handoffs.len());
        for (handoff, agent) in handoffs {
            let entry = self.table.entry(handoff);
            let from = reading::hands_off(entry);
            let mut turn = Turn {
                passes: entry.seen.flags.has(Flags::WEAK),
                ..Turn::NOBODY
            };
            let mut to = entry.seen.node;
            if let Some(agent) = agent {
                told.push(agent);
                to = self.seen(agent).node;
                turn.node = to;
                turn.outcome = self.outcome(agent);
            }
            *passed.entry((from, to)).or_default() += 1;
            if entry.turn != turn {
                self.recount(handoff, |entry| entry.turn = turn);
            }
        }
        for handoff in dropped {
            if self.table.entry(handoff).turn != Turn::NOBODY {
                self.recount(handoff, |entry| entry.turn = Turn::NOBODY);
            }
        }
        for agent in &told {
            self.hand(*agent, true);
            self.hand_over(*agent, false);
        }
        for agent in &agents {
            self.hand(agent.slot, false);
        }
        self.take_word(&told, &agents, passed);
    }

    /// E-14: takes out the weak handoffs that do not pass control between two agents, or of which others tell.
    fn drop_weak(&self, handoffs: &mut Vec<Place>, agents: &[Place]) -> Vec<Slot> {
        let is_weak = |slot| self.seen(slot).flags.has(Flags::WEAK);
        let mut dropped = Vec::new();
        if !handoffs.iter().any(|place| is_weak(place.slot)) {
            return dropped;
        }
        let nodes: HashSet<NodeId> = agents.iter().map(|at| self.seen(at.slot).node).collect();
        let mut told = HashMap::<(NodeId, NodeId), usize>::new();
        for place in handoffs.iter().filter(|place| !is_weak(place.slot)) {
            let entry = self.table.entry(place.slot);
            let pair = (reading::hands_off(entry), entry.seen.node);
            *told.entry(pair).or_default() += 1;
        }
        handoffs.retain(|place| {
            let seen = self.seen(place.slot);
            if !is_weak(place.slot) {
                return true;
            }
            let is_agent = |node| nodes.contains(&node) || self.names.knows(seen.service, node);
            let others = told
                .get_mut(&(seen.hint, seen.node))
                .filter(|left| **left > 0);
            let is_told = others.map(|left| *left -= 1).is_some();
            let stays = !is_told && is_agent(seen.hint) && is_agent(seen.node);
            if !stays {
                dropped.push(place.slot);
            }
            stays
        });
        dropped
    }

    /// E-12: agents that say who handed over to them, beyond the handoffs that were seen from there.
    fn take_word(
        &mut self,
        told: &[Slot],
        agents: &[Place],
        mut passed: HashMap<(NodeId, NodeId), usize>,
    ) {
        for agent in told {
            // its handoff is told of by both
            let seen = self.seen(*agent);
            if seen.flags.has(Flags::HANDED)
                && let Some(left) = passed.get_mut(&(seen.hint, seen.node))
            {
                *left = left.saturating_sub(1);
            }
        }
        for agent in agents {
            let entry = self.table.entry(agent.slot);
            let seen = &entry.seen;
            if !seen.flags.has(Flags::HANDED) {
                continue;
            }
            let left = passed
                .get_mut(&(seen.hint, seen.node))
                .filter(|left| **left > 0);
            let is_told = left.map(|left| *left -= 1).is_some();
            let is_handed = !is_told
                && seen.hint != seen.node
                && entry.context.actor != seen.hint
                && entry.context.is_weak()
                && !self.is_in_crew(agent.slot);
            self.hand_over(agent.slot, is_handed);
        }
    }

    fn hand_over(&mut self, slot: Slot, is_handed: bool) {
        let entry = self.table.entry(slot);
        if !entry.seen.flags.has(Flags::HANDED) {
            return;
        }
        let turn = if is_handed {
            Turn {
                from: entry.seen.hint,
                kind: NodeKind::Agent,
                passes: true,
                outcome: entry.turn.outcome,
                ..Turn::NOBODY
            }
        } else {
            Turn {
                outcome: entry.turn.outcome,
                ..Turn::NOBODY
            }
        };
        if entry.turn != turn {
            self.recount(slot, |entry| entry.turn = turn);
        }
    }

    /// Whether a crew runs a span: its members' parents are an order and no calls (E-12).
    fn is_in_crew(&self, slot: Slot) -> bool {
        let mut at = self.table.links(slot).parent;
        for _ in 0..MOST_STEPS {
            if at == NONE {
                return false;
            }
            if let Some(entry) = self.table.come(at)
                && entry.seen.role == Role::Actor
            {
                return entry.seen.flags.has(Flags::CREW);
            }
            at = self.table.links(at).parent;
        }
        false
    }

    /// The handoffs of a trace, each with the agent's span that took over.
    fn match_turns(&self, trace: Slot) -> Matched {
        let (mut handoffs, mut agents) = self.turns(trace);
        let dropped = self.drop_weak(&mut handoffs, &agents);
        let mut matched = Vec::with_capacity(handoffs.len());
        for handoff in &handoffs {
            let at = self.successor(handoff, &agents);
            matched.push((handoff.slot, at.map(|at| agents.remove(at).slot)));
        }
        Matched {
            handoffs: matched,
            dropped,
            agents,
        }
    }

    /// The handoffs of a trace to which an agent's span answers, and that span.
    pub(super) fn matched(&self, trace: Slot) -> impl Iterator<Item = (Slot, Slot)> + use<> {
        self.match_turns(trace)
            .handoffs
            .into_iter()
            .filter_map(|(handoff, agent)| Some((handoff, agent?)))
    }

    fn hand(&mut self, slot: Slot, is_handed: bool) {
        if self.table.entry(slot).is_handed != is_handed {
            self.recount(slot, |entry| entry.is_handed = is_handed);
        }
    }

    pub(super) fn recount(&mut self, slot: Slot, change: impl FnOnce(&mut Entry)) {
        self.recounts += 1;
        let trace = self.table.links(slot).trace;
        self.reopen(trace);
        self.take_back(slot);
        change(self.table.entry_mut(slot));
        self.count(slot);
        self.line_up(trace);
    }

    /// The handoffs of a trace and the spans of its agents, in order.
    fn turns(&self, trace: Slot) -> (Vec<Place>, Vec<Place>) {
        let (mut handoffs, mut agents) = (Vec::new(), Vec::new());
        let mut slot = self.table.trace(trace).first;
        while slot != NONE {
            if let Some(entry) = self.table.come(slot) {
                let place = Place {
                    start: entry.seen.start,
                    span: entry.seen.span,
                    slot,
                };
                if entry.seen.role == Role::Handoff {
                    handoffs.push(place);
                } else if is_activation(entry) && !entry.is_twin {
                    agents.push(place);
                }
            }
            slot = self.table.links(slot).next_in_trace;
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
            let is_call = |entry: &&Entry| entry.seen.role == Role::Model || is_activation(entry);
            if matches!(links.role, Role::Model | Role::Actor | Role::Step)
                && links.parent != NONE
                && let Some(entry) = self.table.come(slot).filter(is_call)
            {
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
        let mut entry = *self.table.entry(slot);
        if entry.seen.flags.has(Flags::HANDED) || entry.seen.flags.has(Flags::MESSAGED) {
            // what it says itself and what its links say counts after this
            entry.turn = Turn::NOBODY;
        }
        let context = &entry.context;
        match reading::of(&entry, slot, None, |at| self.seen(at)) {
            Reading::Call(edge) if edge.from == from => true,
            Reading::Call(_) => entry.turn.from == NO_NODE && context.is_weak(),
            Reading::Entry(_) => true,
            _ => false,
        }
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
    trace.has_handoffs |= seen.role == Role::Handoff || seen.flags.has(Flags::HANDED);
    trace.signs.note(seen, &mut trace.home);
    if !(seen.role == Role::Model || seen.kind == NodeKind::Agent && seen.bears_node()) {
        return;
    }
    let first = *trace.scope.get_or_insert(seen.scope);
    trace.has_twins |= seen.role == Role::Step && !seen.flags.has(Flags::BY_NAME)
        || seen.scope != first
        || seen.flags.has(Flags::RETRIED) && seen.outcome.is_failure();
}

/// Whether a span that has come is an agent's turn.
pub(super) fn is_activation(entry: &Entry) -> bool {
    let is_actor = entry.seen.role == Role::Actor || entry.is_agent();
    is_actor && entry.seen.kind == NodeKind::Agent && entry.seen.bears_node()
}
