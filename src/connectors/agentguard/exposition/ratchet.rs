//! Exported counters: sums that may fall become series that never do (D4).
//!
//! A call that was counted on one edge and turns out to be another's raises that one at once; the first keeps what it showed
//! until its own next calls have made up for it. That is the larger of what was shown and what is true, series by series.
//!
//! **Bounds.** A limit of series, what comes beyond is shown as one of them all; the map keeps what it has shown, so that no
//! series ends and begins anew. **Invariants.** What is shown never falls, and is never less than the sum.
//! **Not here.** What is summed (`exposition`), when a scrape happens.

use crate::base::Nanos;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

/// What a series shows.
pub(super) trait Reading: Default {
    /// Adds another sum.
    fn add(&mut self, other: Self);
    /// Shows as much as the sum, or what it showed if that is more.
    fn raise(&mut self, sum: &Self);
}

/// Adds a sum to those of the same labels.
pub(super) fn add<K: Ord, V: Reading>(sums: &mut BTreeMap<K, V>, labels: K, sum: V) {
    sums.entry(labels).or_default().add(sum);
}

/// A series: what it shows, and since when it counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Series<V> {
    pub(super) value: V,
    /// When it was not there yet, which is to say 0, for the last time.
    pub(super) since: Nanos,
}

/// Series by their labels.
pub(super) struct Ratchet<K, V> {
    limit: usize,
    shown: BTreeMap<K, Series<V>>,
    /// The labels under which all that found no room are shown.
    other: K,
    refused: u64,
}

impl<K: Ord + Clone, V: Reading> Ratchet<K, V> {
    /// No series yet; `other` are the labels of what finds no room, beyond the limit.
    pub(super) fn new(limit: usize, other: K) -> Self {
        Ratchet {
            limit,
            shown: BTreeMap::new(),
            other,
            refused: 0,
        }
    }

    /// Takes the sums of a reading; `since` is when the one before was. With `from_zero`, a series that is new shows 0 first,
    /// so that a rate sees all of it.
    pub(super) fn raise(&mut self, sums: BTreeMap<K, V>, from_zero: bool, since: Nanos) {
        let mut others: Option<V> = None;
        let mut refused = 0;
        for (labels, sum) in sums {
            if labels == self.other {
                // something is really called so
                others.get_or_insert_default().add(sum);
            } else if self.shown.len() < self.limit || self.shown.contains_key(&labels) {
                self.show(labels, &sum, from_zero, since);
            } else {
                refused += 1;
                others.get_or_insert_default().add(sum);
            }
        }
        self.refused = self.refused.max(refused);
        if let Some(sum) = others {
            self.show(self.other.clone(), &sum, from_zero, since);
        }
    }

    fn show(&mut self, labels: K, sum: &V, from_zero: bool, since: Nanos) {
        match self.shown.entry(labels) {
            Entry::Occupied(series) => series.into_mut().value.raise(sum),
            Entry::Vacant(place) => {
                let value = V::default();
                let series = place.insert(Series { value, since });
                if !from_zero {
                    series.value.raise(sum);
                }
            }
        }
    }

    /// All series, in order of their labels.
    pub(super) fn shown(&self) -> &BTreeMap<K, Series<V>> {
        &self.shown
    }

    /// How many series found no room.
    pub(super) fn refused(&self) -> u64 {
        self.refused
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    impl Reading for i64 {
        fn add(&mut self, other: i64) {
            *self += other;
        }

        fn raise(&mut self, sum: &i64) {
            *self = (*self).max(*sum);
        }
    }

    fn shown(ratchet: &Ratchet<u8, i64>) -> BTreeMap<u8, i64> {
        let shown = ratchet.shown().iter();
        shown.map(|(key, series)| (*key, series.value)).collect()
    }

    fn sums(of: &[(u8, i64)]) -> BTreeMap<u8, i64> {
        of.iter().copied().collect()
    }

    #[test]
    fn what_was_taken_back_is_worked_off_against_the_next() {
        let mut ratchet = Ratchet::new(9, u8::MAX);
        ratchet.raise(sums(&[(1, 5)]), false, Nanos(0));
        ratchet.raise(sums(&[(1, 3), (2, 2)]), false, Nanos(0));
        assert_eq!(shown(&ratchet), sums(&[(1, 5), (2, 2)]));
        ratchet.raise(sums(&[(1, 6), (2, 2)]), false, Nanos(0));
        assert_eq!(shown(&ratchet), sums(&[(1, 6), (2, 2)]));
        ratchet.raise(sums(&[(2, 2)]), false, Nanos(0));
        assert_eq!(shown(&ratchet), sums(&[(1, 6), (2, 2)]), "none ends");
    }

    #[test]
    fn a_series_that_begins_between_two_scrapes_shows_zero_once() {
        let mut ratchet = Ratchet::new(9, u8::MAX);
        ratchet.raise(sums(&[(1, 5)]), true, Nanos(0));
        assert_eq!(shown(&ratchet), sums(&[(1, 0)]));
        ratchet.raise(sums(&[(1, 5)]), true, Nanos(0));
        assert_eq!(shown(&ratchet), sums(&[(1, 5)]));
    }

    /// OTLP's cumulative sums say since when they count.
    #[test]
    fn a_series_counts_since_it_was_last_not_there() {
        let mut ratchet = Ratchet::new(1, u8::MAX);
        ratchet.raise(sums(&[(1, 5)]), false, Nanos(10));
        ratchet.raise(sums(&[(1, 6), (2, 1)]), false, Nanos(20));
        ratchet.raise(sums(&[(1, 6), (2, 2), (3, 1)]), false, Nanos(30));
        let since = ratchet.shown().values().map(|series| series.since.0);
        assert_eq!(since.collect::<Vec<_>>(), [10, 20]);
    }

    #[test]
    fn beyond_the_limit_all_are_one_and_counted() {
        let mut ratchet = Ratchet::new(2, u8::MAX);
        ratchet.raise(sums(&[(1, 1), (2, 1)]), false, Nanos(0));
        ratchet.raise(sums(&[(0, 7), (1, 2), (2, 1), (3, 4)]), false, Nanos(0));
        assert_eq!(shown(&ratchet), sums(&[(1, 2), (2, 1), (u8::MAX, 11)]));
        assert_eq!(ratchet.refused(), 2);
        ratchet.raise(sums(&[(0, 7), (3, 4), (u8::MAX, 5)]), false, Nanos(0));
        assert_eq!(
            shown(&ratchet)[&u8::MAX],
            16,
            "one of that very name is among them"
        );
    }

    proptest! {
        /// D4: no series falls, none is less than its sum.
        #[test]
        fn no_series_falls(
            scrapes in prop::collection::vec(
                (prop::collection::btree_map(0u8..6, -3i64..20, 0..6), any::<bool>()), 1..20),
        ) {
            let mut ratchet = Ratchet::new(4, u8::MAX);
            let mut before = BTreeMap::<u8, i64>::new();
            for (sums, from_zero) in scrapes {
                ratchet.raise(sums.clone(), from_zero, Nanos(0));
                let shown = shown(&ratchet);
                for (labels, showed) in &before {
                    prop_assert!(shown.get(labels).is_some_and(|now| now >= showed));
                    if let Some(sum) = sums.get(labels) {
                        prop_assert!(shown[labels] >= *sum);
                    }
                }
                prop_assert!(shown.len() <= 5);
                before = shown;
            }
        }
    }
}
