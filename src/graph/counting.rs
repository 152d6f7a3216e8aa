//! Counting a span where it stands, and taking it back: what a reading comes to in the ledger.
//!
//! **Invariant.** What is taken back is what was posted, number for number: all that shapes a count besides the span itself
//! is kept with it ([`CountedCall`]).

use crate::base::NodeId;
use crate::graph::beside::Signs;
use crate::graph::counts::Counts;
use crate::graph::entry::{Call, Entry, NONE, Slot, Standing};
use crate::graph::latency;
use crate::graph::ledger::{Alias, EdgeSlot};
use crate::graph::reading::{self, Reading};
use crate::graph::shard::Shard;
use crate::graph::window::{Bucket, Cell};
use crate::scan::{Flags, NO_NODE, NodeKind, Outcome, Role, Sighting};

/// What a span was counted as, to be taken back when it turns out otherwise (B-05).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Counted {
    /// As nothing.
    Nothing,
    /// As a call, or as the declaration of a node.
    Call(CountedCall),
    /// As evidence that two nodes are one.
    Alias(Alias),
}

/// What was posted of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CountedCall {
    /// The shard's number of the edge; [`NONE`] for no edge.
    pub(crate) edge: EdgeSlot,
    /// The node that was called; [`NO_NODE`] for none.
    pub(crate) node: NodeId,
    pub(crate) standing: Standing,
    /// Nobody in sight made the call.
    pub(crate) is_entry: bool,
    /// It shows the edge and is no call (E-21).
    pub(crate) is_marginal: bool,
    /// Its tokens count for the node (T-06).
    pub(crate) is_total: bool,
    /// How the call ended, the other side's word with it (O-14).
    pub(crate) outcome: Outcome,
    /// The edge from `node` to who did not answer (E-20); [`NONE`] for none.
    pub(crate) onward: EdgeSlot,
    /// Who is known by an address, and turned out to be `node` (B-07); [`NO_NODE`] for none.
    pub(crate) alias: NodeId,
}

impl Shard {
    /// Tells the client's span that a server's span answers it, and the one that it answered until now that it does not.
    pub(super) fn pair_up(&mut self, slot: Slot) {
        let entry = self.table.entry(slot);
        let (before, outcome, node) = (entry.partner, entry.seen.outcome, entry.seen.node);
        let partner = self.partner(slot);
        if partner == before {
            return;
        }
        self.table.entry_mut(slot).partner = partner;
        for (client, is_more) in [(before, false), (partner, true)] {
            if client == NONE {
                continue;
            }
            self.take_back(client);
            let entry = self.table.entry_mut(client);
            let was_agent = entry.is_agent();
            // E-27: of a receiver's work, its agent's own span says how it went
            let is_own = !entry.seen.flags.has(Flags::MESSAGED) || entry.seen.node == node;
            let outcome = if is_own { outcome } else { Outcome::Ok };
            entry.answers.add(outcome, is_more);
            if was_agent != entry.is_agent() {
                self.woken.push(client);
            }
            self.count(client);
        }
    }

    /// Whose call a server's span answers (E-20, E-30); [`NONE`] for nobody's in sight.
    fn partner(&self, slot: Slot) -> Slot {
        let entry = self.table.entry(slot);
        let via = entry.context.via;
        let step = entry.context.step;
        match entry.seen.role {
            Role::Model => return step,
            Role::Actor | Role::Handoff => {
                let is_work = step != NONE && self.seen(step).flags.has(Flags::MESSAGED);
                return if is_work { step } else { NONE }; // E-27
            }
            _ => {}
        }
        if via == NONE || via == slot {
            return NONE;
        }
        let is_pair = match entry.seen.role {
            Role::McpServer => self.seen(via).role == Role::McpClient,
            Role::TransportServer => {
                self.seen(via).role == Role::TransportClient && !entry.is_inside()
            }
            _ => false,
        };
        if is_pair { via } else { NONE }
    }

    pub(super) fn take_back(&mut self, slot: Slot) {
        self.post(slot, -1);
        self.table.entry_mut(slot).counted = Counted::Nothing;
    }

    pub(super) fn count(&mut self, slot: Slot) {
        let reading = self.read(slot);
        self.note_reading(slot, &reading);
        let entry = self.table.entry(slot);
        let (seen, standing) = (&entry.seen, entry.context.standing);
        let is_nested = seen.role == Role::Consumer && entry.context.is_received;
        let is_marginal = seen.flags.has(Flags::MARGINAL) || is_nested;
        let outcome = self.outcome(slot);
        let alias = self.found_peer(slot);
        let call = |edge, node| CountedCall {
            edge,
            node,
            standing,
            is_entry: false,
            is_marginal,
            is_total: entry.is_total,
            outcome,
            onward: NONE,
            alias,
        };
        let counted = match reading {
            Reading::Nothing => Counted::Nothing,
            // the handoff draws the edge
            Reading::Call(key) if entry.is_handed || entry.is_passed => {
                Counted::Call(call(NONE, key.to))
            }
            Reading::Entry(node) if entry.is_handed => Counted::Call(call(NONE, node)),
            Reading::Call(key) => Counted::Call(call(self.ledger.edge(key), key.to)),
            Reading::Relayed(key, onward) => Counted::Call(CountedCall {
                onward: self.ledger.edge(onward),
                ..call(self.ledger.edge(key), key.to)
            }),
            Reading::Entry(node) => Counted::Call(CountedCall {
                is_entry: true,
                ..call(NONE, node)
            }),
            Reading::Declared => Counted::Call(call(NONE, seen.node)),
            Reading::Handoff(key) => Counted::Call(call(self.ledger.edge(key), NO_NODE)),
            Reading::Alias(alias) => Counted::Alias(alias),
        };
        self.table.entry_mut(slot).counted = counted;
        self.post(slot, 1);
    }

    /// Notes signs that what stands above a span does not tell everything (E-19, O-16).
    fn note_reading(&mut self, slot: Slot, reading: &Reading) {
        let entry = self.table.entry(slot);
        let links = self.table.links(slot);
        let (seen, context) = (&entry.seen, &entry.context);
        let sign = match reading {
            Reading::Alias(_) if context.kind == NodeKind::Tool => Signs::FOLDED,
            Reading::Call(_) | Reading::Entry(_)
                if seen.kind == NodeKind::Agent
                    && seen.role == Role::Actor
                    && links.parent != NONE
                    && context.standing != Standing::Waiting // what is not known yet is no sign
                    && context.is_weak() =>
            {
                Signs::STRAY
            }
            _ => return,
        };
        let trace = links.trace;
        self.table.trace_mut(trace).signs.add(sign);
    }

    /// O-14: how a call ended, by the caller's word if that is bad, else by the callee's.
    pub(super) fn outcome(&self, slot: Slot) -> Outcome {
        let entry = self.table.entry(slot);
        let own = entry.seen.outcome;
        let is_message = entry.seen.flags.has(Flags::MESSAGED);
        match entry.seen.role {
            Role::Model => return own,
            Role::Step if own == Outcome::Ok && is_message => return entry.answers.worst(),
            Role::Step | Role::Actor | Role::Handoff => {
                return if own == Outcome::Ok {
                    entry.turn.outcome // E-16, O-16
                } else {
                    own
                };
            }
            _ => {}
        }
        if entry.partner != NONE {
            let caller = self.seen(entry.partner).outcome;
            return if caller == Outcome::Ok { own } else { caller };
        }
        if own == Outcome::Ok {
            entry.answers.worst()
        } else {
            own
        }
    }

    /// B-07: the peer that was known by its address, now that a server's span answers; [`NO_NODE`] for none.
    fn found_peer(&self, slot: Slot) -> NodeId {
        let entry = self.table.entry(slot);
        if entry.partner == NONE {
            return NO_NODE;
        }
        let client = self.seen(entry.partner);
        if client.flags.has(Flags::PEER_BY_ADDRESS) && client.peer != entry.seen.node {
            client.peer
        } else {
            NO_NODE
        }
    }

    /// Adds what a span counts as, or takes it back.
    fn post(&mut self, slot: Slot, sign: i64) {
        let entry = self.table.entry(slot);
        let call = match &entry.counted {
            Counted::Nothing => return,
            Counted::Alias(alias) => return self.ledger.add_alias(*alias, sign),
            Counted::Call(call) => call,
        };
        let has_tokens = entry.seen.role == Role::Model;
        let told = (has_tokens || call.is_total).then(|| self.call(slot));
        let posted = Posted::of(entry, call, told, sign);
        if call.edge != NONE {
            self.ledger.add_to_edge(call.edge, &posted);
        }
        if call.onward != NONE {
            if has_tokens {
                let posted = Posted::of_guardrail(entry, call, sign);
                self.ledger.add_to_edge(call.onward, &posted);
            } else {
                self.ledger.add_to_edge(call.onward, &posted);
            }
        }
        if call.node != NO_NODE {
            let posted = Posted {
                has_tokens: posted.has_tokens || call.is_total,
                ..posted
            };
            self.ledger.add_to_node(call.node, &posted, call.is_entry);
        }
        if call.alias != NO_NODE {
            let (outer, inner) = (call.alias, entry.seen.node);
            self.ledger.add_alias(Alias { outer, inner }, sign);
        }
    }

    /// Which edge and node a span counts for (`span-conventions` §5).
    fn read(&self, slot: Slot) -> Reading {
        let entry = self.table.entry(slot);
        let tells = entry.seen.role == Role::Model && !self.is_inner_model(slot);
        let model = tells.then(|| self.call(slot).node);
        reading::of(entry, slot, model, |at| self.seen(at))
    }

    /// The call of which a model's span tells, with what those inside it say.
    pub(super) fn call(&self, slot: Slot) -> Call {
        let told = self.table.call(slot);
        told.unwrap_or_else(|| Call::of(self.seen(slot), 0))
    }
}

/// What a span adds to a row of the ledger, or takes back.
pub(super) struct Posted<'e> {
    seen: &'e Sighting,
    /// Of a model's span: whose tokens and cost count.
    told: Option<Call>,
    pub(super) sign: i64,
    has_tokens: bool,
    sum: Sum,
}

/// As what.
enum Sum {
    Declared,
    Provisional,
    Call {
        outcome: Outcome,
        is_fallback: bool,
        lasted: i64,
        octave: u16,
        bucket: Bucket,
        cell: Cell,
    },
}

impl<'e> Posted<'e> {
    fn of(entry: &'e Entry, call: &CountedCall, told: Option<Call>, sign: i64) -> Posted<'e> {
        let seen = &entry.seen;
        let sum = if call.is_marginal || seen.role == Role::Declare {
            Sum::Declared
        } else if call.standing == Standing::Waiting {
            Sum::Provisional
        } else {
            let octave = latency::bucket_of(seen.end - seen.start);
            Sum::Call {
                outcome: call.outcome,
                is_fallback: call.standing == Standing::Orphaned,
                lasted: i64::try_from(seen.end - seen.start).unwrap_or(i64::MAX),
                octave,
                bucket: Bucket::of(seen.end),
                cell: Cell::of_call(call.outcome, octave, sign),
            }
        };
        Posted {
            seen,
            told,
            sign,
            has_tokens: seen.role == Role::Model,
            sum,
        }
    }

    /// What it adds for the guardrail at a model's provider, which is not to blame for the model (E-02).
    fn of_guardrail(entry: &'e Entry, call: &CountedCall, sign: i64) -> Posted<'e> {
        let outcome = match call.outcome {
            Outcome::Blocked => Outcome::Blocked,
            _ => Outcome::Ok,
        };
        let call = CountedCall { outcome, ..*call };
        Posted {
            has_tokens: false,
            ..Posted::of(entry, &call, None, sign)
        }
    }

    /// What a link of a span adds to the edge that it draws (E-18).
    pub(super) fn of_link(entry: &'e Entry, outcome: Outcome, sign: i64) -> Posted<'e> {
        let call = CountedCall {
            edge: NONE,
            node: NO_NODE,
            standing: Standing::Settled,
            is_entry: false,
            is_marginal: false,
            is_total: false,
            outcome,
            onward: NONE,
            alias: NO_NODE,
        };
        Posted {
            has_tokens: false,
            ..Posted::of(entry, &call, None, sign)
        }
    }

    /// When a call ended, the number of its duration's bucket, and what it adds; nothing of what is no call.
    #[inline]
    pub(super) fn ended(&self) -> Option<(Bucket, u16, &Cell)> {
        match &self.sum {
            Sum::Call {
                bucket,
                octave,
                cell,
                ..
            } => Some((*bucket, *octave, cell)),
            Sum::Declared | Sum::Provisional => None,
        }
    }

    /// Adds its numbers to counters, but for how long it took.
    #[inline]
    pub(super) fn add_to(&self, counts: &mut Counts) {
        let sign = self.sign;
        let Sum::Call {
            outcome,
            is_fallback,
            lasted,
            ..
        } = self.sum
        else {
            match self.sum {
                Sum::Declared => counts.declared += sign,
                _ => counts.provisional += sign,
            }
            return;
        };
        counts.calls += sign;
        counts.fallback += sign * i64::from(is_fallback);
        counts.outcomes[outcome as usize] += sign;
        counts.duration_ns = counts.duration_ns.saturating_add(sign * lasted);
        let seen = self.seen;
        if let Some(call) = self.told.as_ref().filter(|_| self.has_tokens) {
            counts.tokens_in += sign * i64::from(call.tokens_in);
            let cost = i64::try_from(call.cost).unwrap_or(i64::MAX);
            counts.cost = counts.cost.saturating_add(sign * cost);
            counts.tokens_out += sign * i64::from(call.tokens_out);
        }
        if sign > 0 {
            counts.saw(seen.start, seen.end, seen.trace);
        }
    }
}
