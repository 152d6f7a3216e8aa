//! What failed calls led to: the evidence from which hard and soft dependencies are learned (`detection` §7).
//!
//! All numbers are sums of what the walks over finished traces say ([`walk`](super::walk)); a difference is a sum too, hence
//! the signs. They speak of *logical calls*: a failed call and the repeats of it are one, which ended as the last of them.
//! Calls whose caller has no span in the trace are in [`Counts`](super::Counts) only.
//!
//! **Bounds.** [`Sums::admits`]: keys beyond are refused for good and counted. **Not here.** What the sums mean: `analysis`.

use crate::base::EdgeId;
use std::collections::HashMap;
use std::hash::Hash;
use std::ops::AddAssign;
use std::sync::Arc;

/// What came of the calls over an edge e = a → b. They add up across shards; a difference is one too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Trials {
    /// Logical calls that failed.
    pub failed: i64,
    /// Of these: nothing followed, a failed, and no concurrent call had failed.
    pub fell: i64,
    /// Of these: a did not fail, whatever followed.
    pub survived: i64,
    /// Logical calls that went well: an estimate, of the same traces as [`Followed::after_success`], which it divides.
    pub succeeded: i64,
    /// How many calls that estimate has seen: what it may be trusted for.
    pub sampled: i64,
    /// Calls that went well, after which nothing followed and a failed all the same. Exact, as all failing traces are
    /// walked: divide by the calls that [`Counts`](super::Counts) knows to have gone well.
    pub fell_anyway: i64,
    /// Logical calls in activations that failed. Exact: compare with the calls that `Counts` knows, less `repeats`.
    pub in_failing: i64,
    /// Calls that were repeats of failed ones, and are in `Counts` beside them.
    pub repeats: i64,
}

impl AddAssign<&Trials> for Trials {
    fn add_assign(&mut self, other: &Trials) {
        self.failed += other.failed;
        self.fell += other.fell;
        self.survived += other.survived;
        self.succeeded += other.succeeded;
        self.sampled += other.sampled;
        self.fell_anyway += other.fell_anyway;
        self.in_failing += other.in_failing;
        self.repeats += other.repeats;
    }
}

/// How often a call of one edge was the first to start after a call of another had ended, in one activation: what tells
/// a fallback, and what a handler's presence says of the call before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Followed {
    /// After a failed call of the first.
    pub after_failure: i64,
    /// Of these, how often the caller survived.
    pub survived: i64,
    /// Of these, how often the caller failed and no call concurrent with the first had failed: what adds to the first's
    /// [`Trials::fell`] if the second is a handler.
    pub fell: i64,
    /// After a call of the first that went well: an estimate, to be divided by [`Trials::succeeded`] of the first.
    pub after_success: i64,
}

impl AddAssign<&Followed> for Followed {
    fn add_assign(&mut self, other: &Followed) {
        self.after_failure += other.after_failure;
        self.survived += other.survived;
        self.fell += other.fell;
        self.after_success += other.after_success;
    }
}

/// A set of concurrent calls of one activation, some of which failed.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Fan {
    /// The edges of the calls, each once, in order; at most [`Fan::MOST_EDGES`].
    pub edges: Arc<[EdgeId]>,
    /// How many calls it had.
    pub members: u32,
    /// How many of them failed; at least one.
    pub failed: u32,
    /// What followed on it where the caller failed: no evidence, unless that is a handler. None where nothing followed,
    /// and where the caller survived.
    pub then: Option<EdgeId>,
}

impl Fan {
    /// The most different edges of a set that is kept.
    pub const MOST_EDGES: usize = 16;
}

/// How a set of concurrent calls ended for the caller.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fell {
    /// How often it was seen.
    pub seen: i64,
    /// Of these, how often the caller failed.
    pub fell: i64,
}

impl AddAssign<&Fell> for Fell {
    fn add_assign(&mut self, other: &Fell) {
        self.seen += other.seen;
        self.fell += other.fell;
    }
}

/// Differences by key since the last hand-over.
///
/// A key that was once admitted stays, so that what is taken back finds what was added.
pub(crate) struct Sums<K, V> {
    most: usize,
    places: HashMap<K, usize>,
    rows: Vec<(K, V)>,
    changed: Vec<usize>,
    is_changed: Vec<bool>,
    pub(crate) refused: u64,
}

impl<K: Clone + Eq + Hash, V: Default + PartialEq + for<'v> AddAssign<&'v V>> Sums<K, V> {
    /// Sums over at most so many keys.
    pub(crate) fn new(most: usize) -> Self {
        Sums {
            most,
            places: HashMap::new(),
            rows: Vec::new(),
            changed: Vec::new(),
            is_changed: Vec::new(),
            refused: 0,
        }
    }

    /// Whether a new key would be taken.
    pub(crate) fn admits(&self) -> bool {
        self.rows.len() < self.most
    }

    /// Adds to a key's sums; nothing where there is no room for a new key.
    pub(crate) fn add(&mut self, key: &K, more: &V) {
        let place = if let Some(place) = self.places.get(key) {
            *place
        } else if self.admits() {
            self.places.insert(key.clone(), self.rows.len());
            self.rows.push((key.clone(), V::default()));
            self.is_changed.push(false);
            self.rows.len() - 1
        } else {
            self.refused += 1;
            return;
        };
        if !self.is_changed[place] {
            self.is_changed[place] = true;
            self.changed.push(place);
        }
        self.rows[place].1 += more;
    }

    /// Hands over what changed and starts anew.
    pub(crate) fn take(&mut self) -> Vec<(K, V)> {
        let mut taken = Vec::with_capacity(self.changed.len());
        for place in self.changed.drain(..) {
            self.is_changed[place] = false;
            let (key, sums) = &mut self.rows[place];
            let sums = std::mem::take(sums);
            if sums != V::default() {
                taken.push((key.clone(), sums));
            }
        }
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_without_room_is_refused_both_ways_and_counted() {
        let mut sums = Sums::<u8, Fell>::new(1);
        let one = Fell { seen: 1, fell: 0 };
        let less = Fell { seen: -1, fell: 0 };
        sums.add(&1, &one);
        sums.add(&2, &one);
        assert_eq!(sums.take(), [(1, one)]);
        sums.add(&2, &less);
        sums.add(&1, &one);
        sums.add(&1, &less);
        assert_eq!((sums.take(), sums.refused), (vec![], 2));
    }
}
