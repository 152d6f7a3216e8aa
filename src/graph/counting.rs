//! Counting a span where it stands, and taking it back: what a reading comes to in the ledger.
//!
//! **Invariant.** What is taken back is what was posted, number for number: all that shapes a count besides the span itself
//! is kept with it ([`CountedCall`]).

use crate::base::NodeId;
use crate::graph::counts::Counts;
use crate::graph::entry::{Counted, CountedCall, Entry, NONE, Slot, Standing};
use crate::graph::ledger::Alias;
use crate::graph::reading::{self, Reading};
use crate::graph::shard::Shard;
use crate::scan::{Flags, NO_NODE, Outcome, Role};

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
        if entry.is_present && entry.seen.role == Role::Model {
            return entry.context.step;
        }
        if via == NONE || via == slot || !entry.is_present {
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
        let counted = std::mem::replace(&mut self.table.entry_mut(slot).counted, Counted::Nothing);
        self.post(slot, counted, -1);
    }

    pub(super) fn count(&mut self, slot: Slot) {
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
        self.post(slot, counted, 1);
        self.table.entry_mut(slot).counted = counted;
    }

    /// O-14: how a call ended, by the caller's word if that is bad, else by the callee's.
    fn outcome(&self, slot: Slot) -> Outcome {
        let entry = self.table.entry(slot);
        let own = entry.seen.outcome;
        match entry.seen.role {
            Role::Model | Role::Step => return own,
            Role::Handoff if own == Outcome::Ok => return entry.turn.outcome,
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
    fn post(&mut self, slot: Slot, counted: Counted, sign: i64) {
        let entry = self.table.entry(slot);
        let call = match counted {
            Counted::Nothing => return,
            Counted::Alias(alias) => return self.ledger.add_alias(alias, sign),
            Counted::Call(call) => call,
        };
        for edge in [call.edge, call.onward] {
            if edge != NONE {
                add(self.ledger.edge_counts(edge), entry, &call, sign);
            }
        }
        if call.alias != NO_NODE {
            let (outer, inner) = (call.alias, entry.seen.node);
            self.ledger.add_alias(Alias { outer, inner }, sign);
        }
        if call.node != NO_NODE {
            let counts = self.ledger.node_counts(call.node);
            counts.entries += sign * i64::from(call.is_entry);
            add(counts, entry, &call, sign);
        }
    }

    /// Which edge and node a span counts for (`span-conventions` §5).
    fn read(&self, slot: Slot) -> Reading {
        let entry = self.table.entry(slot);
        reading::of(entry, slot, self.is_inner_model(slot), |at| self.seen(at))
    }
}

/// Adds a span's numbers to counters, or takes them back.
fn add(counts: &mut Counts, entry: &Entry, call: &CountedCall, sign: i64) {
    let seen = &entry.seen;
    if call.is_marginal || seen.role == Role::Declare {
        counts.declared += sign;
        return;
    }
    if call.standing == Standing::Waiting {
        counts.provisional += sign;
        return;
    }
    counts.calls += sign;
    counts.fallback += sign * i64::from(call.standing == Standing::Orphaned);
    counts.outcomes[call.outcome as usize] += sign;
    counts.latency.add(seen.end - seen.start, sign);
    let lasted = i64::try_from(seen.end - seen.start).unwrap_or(i64::MAX);
    counts.duration_ns = counts.duration_ns.saturating_add(sign * lasted);
    if seen.role == Role::Model {
        counts.tokens_in += sign * i64::from(entry.call.tokens_in);
        let cost = i64::try_from(entry.call.cost).unwrap_or(i64::MAX);
        counts.cost = counts.cost.saturating_add(sign * cost);
        counts.tokens_out += sign * i64::from(entry.call.tokens_out);
    }
    if sign > 0 {
        counts.saw(seen.start, seen.end, seen.trace);
    }
}
