//! What joins traces: links from a span to what caused it (E-18, E-27, E-35).
//!
//! ```text
//! link ─▶ linked span (here) ─ asks ─▶ who acts where the other span stands? ─▶ answer ─▶ source of the linked span
//!                                        └─ its trace changes: asked again
//! ```
//!
//! A message's source says more than who sent it: whether the sender acts because the receiver had asked it to. Then the
//! message is a reply, and no call.
//!
//! **Bounds.** Links of spans in the table, as many as `scan::links` follows; [`MOST_ASKED`] spans asked about, [`MOST_READ`]
//! readings a tick, the rest in the next. What is gone is looked for as often as what is there doubles.
//! **Invariant.** A function of the spans and their links: an answer is given anew whenever what it says has changed.

use crate::base::{NodeId, SpanId, TraceId};
use crate::graph::beside::Signs;
use crate::graph::counting::Posted;
use crate::graph::entry::{Context, Entry, NONE, Slot, Standing};
use crate::graph::found::Turn;
use crate::graph::interner::EdgeKey;
use crate::graph::ledger::EdgeSlot;
use crate::graph::reading;
use crate::graph::shard::Shard;
use crate::graph::turns::{MOST_STEPS, is_activation};
use crate::scan::{EdgeKind, Flags, NO_NODE, NodeKind, Outcome, Role, Sighting};
use std::collections::HashMap;

/// Spans asked about.
const MOST_ASKED: usize = 262_144;

/// Readings between two clean-ups, at the least.
const FEW: usize = 4_096;

/// Spans read anew in one tick.
const MOST_READ: usize = 65_536;

/// A span anywhere.
type Where = (TraceId, SpanId);

/// A span that has links.
struct Linked {
    slot: Slot,
    span: SpanId,
    to: Vec<Where>,
    /// Edges that its links draw, and how it had ended when they were drawn.
    drawn: Vec<(EdgeSlot, Outcome)>,
}

/// Who acts where a span stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Answer {
    actor: NodeId,
    kind: NodeKind,
    service: NodeId,
    /// Who had asked for it by a message; [`NO_NODE`] for nobody, or where it is a reply.
    asked_by: NodeId,
    /// When the receiving of that message began.
    start: u64,
    /// To whom control passed while it was worked on, the first two (E-16).
    handed: [NodeId; 2],
}

/// A span that is asked about.
struct Asked {
    span: SpanId,
    by: Vec<Where>,
    told: Option<Answer>,
}

/// What is known of links.
#[derive(Default)]
pub(super) struct Links {
    linked: HashMap<TraceId, Vec<Linked>>,
    asked: HashMap<TraceId, Vec<Asked>>,
    asked_len: usize,
    /// Traces of linked spans at which what is gone is looked for.
    limit: usize,
    /// Traces asked about that have not come.
    absent: Vec<TraceId>,
    /// Traces that have links or are asked about, and got spans.
    pub(super) stirred: Vec<TraceId>,
    /// Linked spans whose answers changed.
    restless: Vec<Where>,
}

impl Links {
    /// Notes a question; says whether nobody had asked it.
    fn ask(&mut self, of: Where, by: Where) -> bool {
        let asked = self.asked.entry(of.0).or_default();
        if let Some(known) = asked.iter_mut().find(|asked| asked.span == of.1) {
            if !known.by.contains(&by) {
                known.by.push(by);
            }
            return false;
        }
        if self.asked_len >= MOST_ASKED {
            return false;
        }
        self.asked_len += 1;
        asked.push(Asked {
            span: of.1,
            by: vec![by],
            told: None,
        });
        true
    }

    /// Says every number that it holds: of nodes, and the shard's own of edges.
    pub(super) fn mentions(&self, mut node: impl FnMut(NodeId), mut edge: impl FnMut(EdgeSlot)) {
        for linked in self.linked.values().flatten() {
            linked.drawn.iter().for_each(|(slot, _)| edge(*slot));
        }
        let told = self.asked.values().flatten();
        for answer in told.filter_map(|asked| asked.told) {
            node(answer.actor);
            node(answer.service);
            node(answer.asked_by);
            answer.handed.into_iter().for_each(&mut node);
        }
    }

    fn told(&self, of: Where) -> Option<Answer> {
        let asked = self.asked.get(&of.0)?;
        asked.iter().find(|asked| asked.span == of.1)?.told
    }
}

impl Shard {
    /// Takes a link, whose span has come before it.
    pub(super) fn take_link(&mut self, link: &Sighting) {
        let Some(trace) = self.table.find_trace(link.trace) else {
            return;
        };
        let Some(slot) = self.table.find(trace, link.span) else {
            return;
        };
        let (by, of) = ((link.trace, link.span), link.linked());
        if of == by {
            return;
        }
        let spans = self.links.linked.entry(link.trace).or_default();
        match spans.iter_mut().find(|linked| linked.span == link.span) {
            Some(linked) if linked.to.contains(&of) => return,
            Some(linked) => linked.to.push(of),
            None => spans.push(Linked {
                slot,
                span: link.span,
                to: vec![of],
                drawn: Vec::new(),
            }),
        }
        let is_new = self.links.ask(of, by);
        self.mark(trace);
        match self.table.find_trace(of.0) {
            Some(other) => self.mark(other),
            None if is_new => self.links.absent.push(of.0),
            None => {}
        }
        if self.links.linked.len() > self.links.limit.max(FEW) {
            self.forget_gone();
        }
    }

    fn mark(&mut self, trace: Slot) {
        self.table.trace_mut(trace).signs.add(Signs::LINKED);
        self.stir(trace);
    }

    /// Forgets the links of traces that are gone, and what nobody asks any more.
    pub(super) fn forget_gone(&mut self) {
        let mut links = std::mem::take(&mut self.links);
        links
            .linked
            .retain(|trace, _| self.table.find_trace(*trace).is_some());
        links.limit = 2 * links.linked.len();
        for asked in links.asked.values_mut() {
            for asked in asked.iter_mut() {
                asked
                    .by
                    .retain(|(trace, _)| links.linked.contains_key(trace));
            }
            asked.retain(|asked| !asked.by.is_empty());
        }
        links.asked.retain(|_, asked| !asked.is_empty());
        links.asked_len = links.asked.values().map(Vec::len).sum();
        links.absent.retain(|trace| links.asked.contains_key(trace));
        self.links = links;
    }

    /// Reads linked spans anew, as far as what they are linked to has changed.
    pub(super) fn join(&mut self) {
        let mut absent = std::mem::take(&mut self.links.absent);
        absent.retain(|trace| match self.table.find_trace(*trace) {
            Some(slot) => {
                self.table.trace_mut(slot).signs.add(Signs::LINKED);
                self.links.stirred.push(*trace);
                false
            }
            None => true,
        });
        self.links.absent = absent;
        for _ in 0..MOST_READ {
            if let Some((trace, span)) = self.links.restless.pop() {
                self.read_links(trace, span);
            } else if let Some(trace) = self.links.stirred.pop() {
                self.read_trace(trace);
            } else {
                break;
            }
        }
    }

    /// Answers anew what is asked of a trace, and reads its own links.
    fn read_trace(&mut self, trace: TraceId) {
        self.answer(trace);
        let spans = self.links.linked.get(&trace);
        let own = spans
            .into_iter()
            .flatten()
            .map(|linked| (trace, linked.span));
        self.links.restless.extend(own.collect::<Vec<_>>());
    }

    fn answer(&mut self, trace: TraceId) {
        let Some(slot) = self.table.find_trace(trace) else {
            return;
        };
        let Some(mut asked) = self.links.asked.remove(&trace) else {
            return;
        };
        for asked in &mut asked {
            let answer = self.acting_at(slot, asked.span);
            // what was known of a span that is gone stays known
            if answer.is_some() && answer != asked.told {
                asked.told = answer;
                self.links.restless.extend(&asked.by);
            }
        }
        self.links.asked.insert(trace, asked);
    }

    /// Who acts where a span stands; nothing while that is not known.
    fn acting_at(&self, trace: Slot, span: SpanId) -> Option<Answer> {
        let slot = self.table.find(trace, span)?;
        let entry = self.table.come(slot)?;
        let (actor, kind) = if gives_context(entry) {
            (entry.seen.node, entry.seen.kind)
        } else if entry.context.standing == Standing::Waiting {
            return None;
        } else {
            acting(&entry.context)
        };
        let receipt = self.receipt_around(slot);
        let (asked_by, start) = receipt.map_or((NO_NODE, 0), |slot| self.asked_by(slot));
        Some(Answer {
            actor,
            kind,
            service: entry.seen.service,
            asked_by,
            start,
            handed: receipt.map_or([NO_NODE; 2], |slot| self.handed_by(slot, actor)),
        })
    }

    /// The receiving of a message in which a span stands, or that it is.
    fn receipt_around(&self, slot: Slot) -> Option<Slot> {
        let mut at = slot;
        for _ in 0..MOST_STEPS {
            if at == NONE {
                return None;
            }
            if self.table.come(at).is_some_and(is_receipt) {
                return Some(at);
            }
            at = self.table.links(at).parent;
        }
        None
    }

    /// To whom an agent handed over while it worked on a message.
    fn handed_by(&self, receipt: Slot, actor: NodeId) -> [NodeId; 2] {
        let mut handed = [NO_NODE; 2];
        let trace = self.table.links(receipt).trace;
        if !self.table.trace(trace).has_handoffs {
            return handed;
        }
        let mut found = Vec::new();
        let mut slot = self.table.trace(trace).first;
        while slot != NONE {
            if let Some(entry) = self.table.come(slot)
                && let seen = &entry.seen
                && seen.role == Role::Handoff
                && seen.bears_node()
                && !seen.flags.has(Flags::RETURNS)
                && reading::hands_off(entry) == actor
                && self.receipt_around(slot) == Some(receipt)
            {
                let seen = &entry.seen;
                found.push((seen.start, seen.span, seen.node));
            }
            slot = self.table.links(slot).next_in_trace;
        }
        found.sort_unstable_by_key(|(start, span, _)| (*start, *span));
        for (place, (_, _, node)) in handed.iter_mut().zip(found) {
            *place = node;
        }
        handed
    }

    /// Who asked for the receiving of a message, and when it began; nobody where it is a reply.
    fn asked_by(&self, receipt: Slot) -> (NodeId, u64) {
        let entry = self.table.entry(receipt);
        let node = match entry.turn.from {
            NO_NODE => entry.context.actor,
            from if from == entry.seen.node => NO_NODE,
            from => from,
        };
        (node, entry.seen.start)
    }

    /// Reads a linked span, if it is there still.
    fn read_links(&mut self, trace: TraceId, span: SpanId) {
        let spans = self.links.linked.get(&trace);
        let Some(linked) = spans.and_then(|spans| spans.iter().find(|linked| linked.span == span))
        else {
            return;
        };
        let slot = linked.slot;
        let is_here = self.table.holds(slot, span)
            && self.table.trace(self.table.links(slot).trace).id == trace;
        if !is_here {
            return;
        }
        let seen = *self.seen(slot);
        match seen.role {
            Role::Step => self.read_message(slot),
            Role::Neutral => {
                // its messages are received right below it
                let mut children = Vec::new();
                self.table.push_children(slot, &mut children);
                for child in children {
                    if is_receipt(self.table.entry(child)) {
                        self.read_message(child);
                    }
                }
            }
            Role::Consumer => self.read_unnamed(slot),
            Role::Actor => self.draw(slot),
            _ => {}
        }
    }

    /// The answers to a span's own links, in order.
    fn answers(&self, slot: Slot) -> Vec<Answer> {
        let entry = self.table.entry(slot);
        let trace = self.table.trace(self.table.links(slot).trace).id;
        let spans = self.links.linked.get(&trace);
        let linked = spans.and_then(|spans| {
            let mut spans = spans.iter();
            spans.find(|linked| linked.span == entry.seen.span)
        });
        let mut to = linked.map_or(Vec::new(), |linked| linked.to.clone());
        to.sort_unstable();
        to.into_iter()
            .filter_map(|of| self.links.told(of))
            .collect()
    }

    /// E-27: who sent the message that a receiver works on: who acts where it is linked to, else above it, else where its
    /// producer is linked to. A reply to what the receiver itself had asked for is no call.
    fn read_message(&mut self, slot: Slot) {
        let entry = self.table.entry(slot);
        let node = entry.seen.node;
        let acts = |answer: &Answer| answer.actor != NO_NODE && answer.kind != NodeKind::Service;
        let mut source = self.answers(slot).into_iter().find(acts);
        if source.is_none() && entry.context.actor == NO_NODE {
            let mut at = self.table.links(slot).parent;
            for _ in 0..MOST_STEPS {
                let is_neutral = |entry: &Entry| entry.seen.role == Role::Neutral;
                if at == NONE || !self.table.come(at).is_some_and(is_neutral) {
                    break;
                }
                source = self.answers(at).into_iter().find(acts);
                if source.is_some() {
                    break;
                }
                at = self.table.links(at).parent;
            }
        }
        let entry = self.table.entry(slot);
        let mut turn = Turn {
            outcome: entry.turn.outcome,
            ..Turn::NOBODY
        };
        if let Some(source) = source {
            let is_reply = source.asked_by == node && source.start <= entry.seen.start;
            turn.from = if is_reply { node } else { source.actor };
            turn.kind = source.kind;
        }
        // the handoff draws the edge (E-16)
        let is_handed = source.is_some_and(|source| source.handed.contains(&node));
        self.put_turn(slot, turn, is_handed);
    }

    /// E-35: who sent what was received from a queue without a name.
    fn read_unnamed(&mut self, slot: Slot) {
        let mut turn = Turn::NOBODY;
        if let Some(source) = self.answers(slot).into_iter().next() {
            turn.from = match source.actor {
                NO_NODE => source.service,
                actor => actor,
            };
            turn.kind = source.kind;
        }
        self.put_turn(slot, turn, false);
    }

    fn put_turn(&mut self, slot: Slot, turn: Turn, is_handed: bool) {
        let entry = self.table.entry(slot);
        if (entry.turn, entry.is_passed) == (turn, is_handed) {
            return;
        }
        let trace = self.table.trace(self.table.links(slot).trace).id;
        self.recount(slot, |entry| {
            (entry.turn, entry.is_passed) = (turn, is_handed)
        });
        self.answer(trace);
    }

    /// E-18: an agent that is linked to what others did got a message from each of them.
    fn draw(&mut self, slot: Slot) {
        let entry = self.table.entry(slot);
        let (node, above) = (entry.seen.node, entry.context.actor);
        let trace = self.table.trace(self.table.links(slot).trace).id;
        let outcome = self.outcome(slot);
        let mut from: Vec<NodeId> = self
            .answers(slot)
            .into_iter()
            .filter(|answer| answer.kind == NodeKind::Agent)
            .map(|answer| answer.actor)
            .filter(|actor| ![node, above, NO_NODE].contains(actor))
            .collect();
        from.sort_unstable_by_key(|node| node.0);
        from.dedup();
        let edges = from.into_iter().map(|from| EdgeKey {
            from,
            to: node,
            kind: EdgeKind::Messages,
        });
        let now: Vec<_> = edges.map(|key| (self.ledger.edge(key), outcome)).collect();
        let span = self.seen(slot).span;
        let spans = self.links.linked.get_mut(&trace);
        let Some(linked) = spans.and_then(|spans| spans.iter_mut().find(|l| l.span == span)) else {
            return;
        };
        if linked.drawn == now {
            return;
        }
        let before = std::mem::replace(&mut linked.drawn, now.clone());
        let entry = self.table.entry(slot);
        for (drawn, sign) in [(before, -1), (now, 1)] {
            for (edge, outcome) in drawn {
                let posted = Posted::of_link(entry, outcome, sign);
                self.ledger.add_to_edge(edge, &posted);
            }
        }
    }
}

/// Whether a span that has come is the receiving of a message by an agent (K-61).
fn is_receipt(entry: &Entry) -> bool {
    entry.seen.role == Role::Step && entry.seen.flags.has(Flags::MESSAGED)
}

/// Whether what stands below a span is its node's own.
fn gives_context(entry: &Entry) -> bool {
    is_receipt(entry) || is_activation(entry)
}

/// Who acts in a context.
fn acting(context: &Context) -> (NodeId, NodeKind) {
    (context.actor, context.kind)
}
