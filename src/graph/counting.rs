//! Counting a span where it stands, and taking it back: what a reading comes to in the ledger.
//!
//! **Invariant.** What is taken back is what was posted, number for number: all that shapes a count besides the span itself
//! is kept with it ([`CountedCall`]).

use crate::base::NodeId;
use crate::graph::counts::Counts;
use crate::graph::entry::{Call, Counted, CountedCall, Entry, NONE, Slot, Standing};
use crate::graph::latency;
use crate::graph::ledger::Alias;
use crate::graph::reading::{self, Reading};
use crate::graph::shard::Shard;
use crate::graph::window::{Bucket, Cell};
use crate::scan::{Flags, NO_NODE, Outcome, Role, Sighting};

/// How many deferred spans are not worth sifting.
pub(super) const FEW: usize = 16_384;

impl Shard {
    /// Tells the client's span that a server's span answers it, and the one that it answered until now that it does not.
    pub(super) fn pair_up(&mut self, slot: Slot) {
        let entry = self.table.entry(slot);
        let (before, outcome) = (entry.partner, entry.seen.outcome);
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
            let was_empty = entry.answers.is_empty();
            entry.answers.add(outcome, is_more);
            if entry.seen.role == Role::Step && was_empty != entry.answers.is_empty() {
                self.woken.push(client);
            }
            self.count(client);
        }
    }

    /// Whose call a server's span answers (E-20, E-30); [`NONE`] for nobody's in sight.
    fn partner(&self, slot: Slot) -> Slot {
        let entry = self.table.entry(slot);
        let via = entry.context.via;
        if entry.seen.role == Role::Model {
            return entry.context.step;
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

    /// Counts a span where it stands; for now, as provisional, only if it stands there still when the tick asks (B-03).
    pub(super) fn count(&mut self, slot: Slot) {
        if self.table.entry(slot).context.standing != Standing::Waiting {
            return self.count_now(slot);
        }
        let links = self.table.links_mut(slot);
        if !std::mem::replace(&mut links.is_deferred, true) {
            let span = links.span;
            self.deferred.push((slot, span));
            if self.deferred.len() >= self.most_deferred {
                self.sift_deferred();
            }
        }
    }

    /// Drops those that do not wait any more from the list of the deferred.
    fn sift_deferred(&mut self) {
        let mut deferred = std::mem::take(&mut self.deferred);
        deferred.retain(|(slot, span)| {
            let waits = self.table.holds(*slot, *span)
                && self.table.links(*slot).is_deferred
                && self.table.entry(*slot).context.standing == Standing::Waiting;
            if !waits && self.table.holds(*slot, *span) {
                self.table.links_mut(*slot).is_deferred = false;
            }
            waits
        });
        self.most_deferred = 2 * deferred.len() + FEW;
        self.deferred = deferred;
    }

    /// Counts those that wait still.
    pub(super) fn count_deferred(&mut self) {
        let mut deferred = std::mem::take(&mut self.deferred);
        for (slot, span) in deferred.drain(..) {
            if !self.table.holds(slot, span)
                || !std::mem::take(&mut self.table.links_mut(slot).is_deferred)
            {
                continue;
            }
            let entry = self.table.entry(slot);
            if entry.context.standing == Standing::Waiting && entry.counted == Counted::Nothing {
                self.count_now(slot);
            }
        }
        self.deferred = deferred;
    }

    fn count_now(&mut self, slot: Slot) {
        let reading = self.read(slot);
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
            outcome,
            onward: NONE,
            alias,
        };
        let counted = match reading {
            Reading::Nothing => Counted::Nothing,
            // the handoff draws the edge
            Reading::Call(key) if entry.is_handed => Counted::Call(call(NONE, key.to)),
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

    /// O-14: how a call ended, by the caller's word if that is bad, else by the callee's.
    fn outcome(&self, slot: Slot) -> Outcome {
        let entry = self.table.entry(slot);
        let own = entry.seen.outcome;
        match entry.seen.role {
            Role::Model | Role::Step => return own,
            Role::Handoff if own == Outcome::Ok => return entry.turn().outcome,
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
        let told = (entry.seen.role == Role::Model).then(|| self.call(slot));
        let posted = Posted::of(entry, call, told, sign);
        for edge in [call.edge, call.onward] {
            if edge != NONE {
                self.ledger.add_to_edge(edge, &posted);
            }
        }
        if call.node != NO_NODE {
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
            sum,
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
        if let Some(call) = &self.told {
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
