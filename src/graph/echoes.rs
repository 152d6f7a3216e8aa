//! One model call told of in two traces (E-41): two tracers that know nothing of each other, in one service, and the same
//! response id.
//!
//! A service in which one instrumentation speaks has no echoes, and costs a look at one number for each of its calls.
//!
//! **Bounds.** [`MOST`] response ids, the last ones; [`MOST_TOLD`] spans of each.
//! **Invariant.** Of those that tell of one call, the one that counts is chosen by what they say, not by arrival.

use crate::base::{NodeId, SpanId};
use crate::graph::entry::Slot;
use crate::graph::shard::Shard;
use crate::scan::{Role, Sighting, hash};
use std::cmp::Reverse;
use std::collections::{HashMap, VecDeque};

/// Response ids that are remembered.
const MOST: usize = 65_536;

/// Spans of one response id that are compared.
const MOST_TOLD: usize = 8;

/// Which instrumentations tell of a service's calls.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Voices {
    None,
    One(u32),
    Several,
}

/// What is known of responses.
pub(super) struct Echoes {
    voices: Vec<Voices>,
    /// Spans by service, node and response id.
    told: HashMap<u64, Vec<(Slot, SpanId)>>,
    order: VecDeque<u64>,
    most: usize,
}

impl Echoes {
    pub(super) fn new(spans: usize) -> Self {
        Echoes {
            voices: Vec::new(),
            told: HashMap::new(),
            order: VecDeque::new(),
            most: spans.min(MOST),
        }
    }

    /// Forgets who told of services that are gone.
    pub(super) fn forget(&mut self, is_gone: impl Fn(NodeId) -> bool) {
        for (service, voices) in (0..).map(NodeId).zip(&mut self.voices) {
            if is_gone(service) {
                *voices = Voices::None;
            }
        }
    }

    /// Notes who tells of a service's calls: now, and before.
    fn hear(&mut self, service: NodeId, scope: u32) -> (Voices, Voices) {
        let at = service.0 as usize;
        if at >= self.voices.len() {
            self.voices.resize(at + 1, Voices::None);
        }
        let before = self.voices[at];
        let now = match before {
            Voices::None => Voices::One(scope),
            // one without a name may be any
            Voices::One(first) if first == scope && scope != UNNAMED => before,
            _ => Voices::Several,
        };
        self.voices[at] = now;
        (now, before)
    }
}

/// Digest of a scope without a name.
const UNNAMED: u32 = 0;

impl Shard {
    /// Takes a span, which may be a model's with a response id.
    #[inline]
    pub(super) fn take_response(&mut self, slot: Slot, seen: &Sighting) {
        if seen.response != 0 {
            self.listen(slot, seen);
        }
    }

    fn listen(&mut self, slot: Slot, seen: &Sighting) {
        let (now, before) = self.echoes.hear(seen.service, seen.scope);
        if now != Voices::Several {
            return;
        }
        if before != Voices::Several {
            // who spoke first was not noted
            for other in self.table.present() {
                let earlier = *self.seen(other);
                let is_told = earlier.role == Role::Model && earlier.response != 0;
                if is_told && earlier.service == seen.service && other != slot {
                    self.compare(other, &earlier);
                }
            }
        }
        self.compare(slot, seen);
    }

    fn compare(&mut self, slot: Slot, seen: &Sighting) {
        let ends = u64::from(seen.service.0) << 32 | u64::from(seen.node.0);
        let key = hash::word(u64::from(seen.response), ends);
        let mut told = match self.echoes.told.remove(&key) {
            Some(told) => told,
            None => {
                while self.echoes.order.len() >= self.echoes.most.max(1) {
                    if let Some(oldest) = self.echoes.order.pop_front() {
                        self.echoes.told.remove(&oldest);
                    }
                }
                self.echoes.order.push_back(key);
                Vec::new()
            }
        };
        told.retain(|(slot, span)| self.table.holds(*slot, *span));
        if told.len() < MOST_TOLD {
            told.push((slot, seen.span));
        }
        self.choose(&told);
        self.echoes.told.insert(key, told);
    }

    /// Lets one trace's spans count, of those that overlap in time: with a parent rather than without, then the longest.
    fn choose(&mut self, told: &[(Slot, SpanId)]) {
        let rank = |slot: &Slot| {
            let seen = self.seen(*slot);
            let (trace, span) = (Reverse(seen.trace.0), Reverse(seen.span));
            (!seen.is_root(), seen.end - seen.start, trace, span)
        };
        let Some(best) = told.iter().map(|(slot, _)| *slot).max_by_key(rank) else {
            return;
        };
        let best = *self.seen(best);
        for (slot, _) in told {
            let seen = self.seen(*slot);
            let is_elsewhere = seen.trace != best.trace;
            let is_echo = is_elsewhere && seen.start <= best.end && best.start <= seen.end;
            if self.table.entry(*slot).is_echo != is_echo {
                self.recount(*slot, |entry| entry.is_echo = is_echo);
            }
        }
    }
}
