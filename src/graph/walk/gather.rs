//! The activations of a trace and the calls that they made, found by one walk down its tree.
//!
//! An activation is a span with the work of a node that acts, together with the spans inside it that only wrap the same
//! work (A-05, N-15); a root that bears no node is its service's. Its calls are those that were counted from it.
//!
//! **Bounds.** [`MOST_SPANS`] a trace. **Invariant.** A function of the trace's spans as they are counted, not of arrival:
//! numbers of activations and places are compared for equality only.

use crate::base::{NodeId, SpanId};
use crate::graph::counting::{Counted, CountedCall};
use crate::graph::entry::{Entry, NONE, Slot};
use crate::graph::shard::Shard;
use crate::graph::walk::judge::Call;
use crate::scan::{Flags, NO_NODE, Outcome, Role};
use std::collections::HashMap;

/// No activation.
pub(super) const NOWHERE: u32 = u32::MAX;

/// Spans of a trace that is walked; one with more is not, and counted.
const MOST_SPANS: usize = 65_536;

/// How often control is followed from one activation to the next.
const MOST_TURNS: usize = 64;

/// The work of a node, from the start of its span to the end.
#[derive(Clone, Copy, Debug)]
pub(super) struct Act {
    node: NodeId,
    slot: Slot,
    outcome: Outcome,
    /// Its last handoff that does not come back, and who took over.
    passed: Option<(u64, SpanId, Slot)>,
}

/// What a walk found; kept for its memory.
#[derive(Default)]
pub(super) struct Found {
    pub(super) acts: Vec<Act>,
    pub(super) calls: Vec<Call>,
    steps: Vec<Step>,
    /// By the span of a handoff: the agent's that took over.
    turns: HashMap<Slot, Slot>,
    /// By its span: the activation. Only where control passes on.
    started: HashMap<Slot, u32>,
}

/// A span to be looked at: inside which activation, and which of its calls.
#[derive(Clone, Copy)]
struct Step {
    slot: Slot,
    act: u32,
    nest: Slot,
}

/// Whether a trace can be walked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Readiness {
    /// It can.
    Ready,
    /// A client in it still waits for an answer.
    Waits,
    /// It has too many spans.
    TooLarge,
}

impl Shard {
    /// Finds the roots of a trace to begin from; with `waits`, looks for clients that still wait for an answer.
    pub(super) fn survey(&self, trace: Slot, found: &mut Found, waits: bool) -> Readiness {
        found.steps.clear();
        let (mut spans, mut is_waiting) = (0, false);
        let mut slot = self.table.trace(trace).first;
        while slot != NONE {
            let links = self.table.links(slot);
            if links.parent == NONE {
                found.steps.push(Step {
                    slot,
                    act: NOWHERE,
                    nest: NONE,
                });
            }
            spans += 1;
            is_waiting |= waits && links.is_present && waits_for_answer(self.table.entry(slot));
            slot = links.next_in_trace;
        }
        match (spans > MOST_SPANS, is_waiting) {
            (true, _) => Readiness::TooLarge,
            (_, true) => Readiness::Waits,
            _ => Readiness::Ready,
        }
    }

    /// Walks down from the roots that the survey found: fills in activations and calls.
    pub(super) fn gather(&self, trace: Slot, found: &mut Found) {
        found.acts.clear();
        found.calls.clear();
        found.turns.clear();
        found.started.clear();
        let has_handoffs = self.table.trace(trace).has_handoffs;
        if has_handoffs {
            found.turns.extend(self.matched(trace));
        }
        while let Some(step) = found.steps.pop() {
            let mut inner = step;
            let links = self.table.links(step.slot);
            if let Some(entry) = self.table.come(step.slot) {
                inner.act = self.enter(step, entry, found);
                if inner.act != step.act {
                    inner.nest = NONE;
                }
                if let Counted::Call(call) = entry.counted {
                    self.note_call(step, &mut inner, call, found);
                }
            }
            let mut child = links.first_child;
            while child != NONE {
                found.steps.push(Step {
                    slot: child,
                    ..inner
                });
                child = self.table.links(child).next_sibling;
            }
        }
        if has_handoffs {
            found.pass_on(|slot| self.seen(slot).outcome);
        }
    }

    /// The activation of what lies inside a span: its own if it begins one.
    fn enter(&self, step: Step, entry: &Entry, found: &mut Found) -> u32 {
        let Some(node) = self.acts(step, entry) else {
            return step.act;
        };
        let is_wrapper = match entry.counted {
            // each step of a turn does its own share of it
            Counted::Nothing => !entry.is_twin && !entry.seen.flags.has(Flags::TURN),
            Counted::Alias(_) => true,
            Counted::Call(_) => false,
        };
        if is_wrapper && step.act != NOWHERE {
            return step.act;
        }
        let number = u32::try_from(found.acts.len()).unwrap_or(NOWHERE);
        found.acts.push(Act {
            node,
            slot: step.slot,
            outcome: match entry.counted {
                Counted::Call(call) => call.outcome,
                _ => entry.seen.outcome,
            },
            passed: None,
        });
        number
    }

    /// The node that acts in a span: that which its children's calls come from.
    fn acts(&self, Step { slot, .. }: Step, entry: &Entry) -> Option<NodeId> {
        let seen = &entry.seen;
        let at = |slot| self.seen(slot);
        let is_counted = matches!(entry.counted, Counted::Call(_));
        let node = match seen.role {
            Role::Actor if entry.is_served_tool() || entry.is_default_wrapper() => NO_NODE,
            Role::Actor | Role::McpServer => seen.node,
            Role::Step if seen.flags.has(Flags::TURN) => entry.turn.node,
            Role::Step if entry.is_agent() || seen.flags.has(Flags::MESSAGED) => seen.node,
            Role::McpClient if !entry.is_carried_by(Role::McpClient, slot, &at) => seen.node,
            Role::Consumer => seen.service,
            Role::TransportServer
                if !entry.is_inside() && !entry.is_doorway(&at) && !entry.is_door =>
            {
                seen.service
            }
            Role::Neutral | Role::Step if seen.is_root() && !is_counted => seen.service,
            _ => NO_NODE,
        };
        (node != NO_NODE).then_some(node)
    }

    /// Notes the call that a span tells of, if its activation made it.
    fn note_call(&self, step: Step, inner: &mut Step, call: CountedCall, found: &mut Found) {
        let entry = self.table.entry(step.slot);
        // without a time it has no place in the order
        if call.is_marginal || entry.seen.start == 0 {
            return;
        }
        let is_served = matches!(entry.seen.role, Role::TransportServer | Role::McpServer);
        let slot = if is_served && entry.partner != NONE {
            entry.partner
        } else {
            step.slot
        };
        let told = |act: u32, nest: Slot, edge| Call {
            act,
            start: self.seen(slot).start,
            end: self.seen(slot).end,
            span: entry.seen.span,
            edge,
            operation: entry.seen.operation,
            outcome: call.outcome,
            slot,
            nest,
            parent: self.table.links(slot).parent,
            starts: NOWHERE,
            last: slot,
            last_start: self.seen(slot).start,
            repeats: 0,
        };
        if call.edge != NONE
            && let Some(act) = found.acts.get(step.act as usize)
        {
            let (edge, from) = self.ledger.edge_of(call.edge);
            if from == act.node || from == entry.context.actor {
                let nest = if step.nest == NONE { slot } else { step.nest };
                let starts = if inner.act == step.act {
                    inner.nest = nest;
                    NOWHERE
                } else {
                    inner.act
                };
                let told = told(step.act, nest, edge);
                found.calls.push(Call { starts, ..told });
                found.note_turn(step, entry, told.start);
            }
        }
        // E-20: the tool's call of its server is the same span
        if call.onward != NONE && inner.act != NOWHERE {
            let (edge, _) = self.ledger.edge_of(call.onward);
            found.calls.push(told(inner.act, slot, edge));
        }
    }
}

impl Found {
    /// Notes to whom an activation passed control, if it did.
    fn note_turn(&mut self, step: Step, handoff: &Entry, start: u64) {
        if handoff.seen.role != Role::Handoff || handoff.seen.flags.has(Flags::RETURNS) {
            return;
        }
        let act = self.acts.get_mut(step.act as usize);
        let next = self.turns.get(&step.slot);
        if let (Some(act), Some(next)) = (act, next) {
            act.passed = act.passed.max(Some((start, handoff.seen.span, *next)));
        }
    }

    /// Lets the calls of those who passed control on end as their successors did; `outcome` tells that of a span.
    fn pass_on(&mut self, outcome: impl Fn(Slot) -> Outcome) {
        let numbered = (0..).zip(&self.acts);
        self.started
            .extend(numbered.map(|(number, act)| (act.slot, number)));
        let last: Vec<Outcome> = self
            .acts
            .iter()
            .map(|act| self.last_outcome(act, &outcome))
            .collect();
        for (act, last) in self.acts.iter_mut().zip(last) {
            act.outcome = last;
        }
        for call in &mut self.calls {
            let successor = self.turns.get(&call.slot);
            let started = successor.and_then(|slot| self.started.get(slot));
            let act = started.map_or(call.starts, |number| *number);
            if let Some(act) = self.acts.get(act as usize)
                && act.passed.is_some()
            {
                call.outcome = act.outcome;
            }
        }
    }

    /// How the last of those who had control ended.
    fn last_outcome(&self, first: &Act, outcome: &impl Fn(Slot) -> Outcome) -> Outcome {
        let mut act = first;
        for _ in 0..MOST_TURNS {
            let Some((.., next)) = act.passed else {
                break;
            };
            let Some(number) = self.started.get(&next) else {
                return outcome(next);
            };
            act = &self.acts[*number as usize];
        }
        act.outcome
    }

    /// Whether an activation failed, or whoever it passed control to. One that was called off says nothing.
    pub(super) fn fails(&self, act: u32) -> Option<bool> {
        let outcome = self.acts.get(act as usize)?.outcome;
        (outcome != Outcome::Cancelled).then(|| outcome.is_failure())
    }
}

/// Whether a client's span that has come waits for the server's (B-06).
fn waits_for_answer(entry: &Entry) -> bool {
    entry.seen.peer != NO_NODE && !entry.is_overdue && entry.answers.is_empty()
}
