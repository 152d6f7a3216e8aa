//! A shard with its stream time: what a shard's thread owns.

use crate::base::Nanos;
use crate::graph::{Candidates, Changes, Numbers, Shard};
use crate::guard::stream::StreamTime;
use crate::scan::Sighting;

/// Sightings for which is made ready at once: what they need fits the nearer caches.
const BATCH: usize = 512;

/// Pairs sightings as they come. One writer.
pub struct Settler {
    shard: Shard,
    time: StreamTime,
}

impl Settler {
    pub(super) fn new(shard: Shard) -> Self {
        Settler {
            shard,
            time: StreamTime::default(),
        }
    }

    /// Takes a request's sightings, in order of arrival.
    pub fn settle(&mut self, sightings: &[Sighting], now: Nanos) {
        for batch in sightings.chunks(BATCH) {
            self.shard.prepare(batch);
            for sighting in batch {
                self.time.observe(sighting.end, now);
                self.shard.pair(sighting, self.time.at(now));
            }
        }
    }

    /// Lets time pass and hands over what changed.
    pub fn collect(&mut self, now: Nanos) -> Changes {
        let at = self.time.at(now);
        self.shard.expire(at);
        Changes {
            at,
            ..self.shard.take_changes()
        }
    }

    /// Stream time, by a clock that shows `now`.
    #[must_use]
    pub fn time(&self, now: Nanos) -> Nanos {
        self.time.at(now)
    }

    /// Lets go what it knows of these numbers; answers which of them it needs still.
    pub fn forget(&mut self, candidates: &Candidates) -> Numbers {
        self.shard.forget(candidates)
    }

    /// Settles everything as if all timers had fired (B-09).
    pub fn flush(&mut self) {
        self.shard.flush();
    }
}
