//! Exported counters: sums that may fall become series that never do (D4).
//!
//! A call that was counted on one edge and turns out to be another's raises that one at once; the first keeps what it showed
//! until its own next calls have made up for it. That is the larger of what was shown and what is true, series by series.
//!
//! What ages out of the graph leaves the sums for good, and comes back from 0: it is kept beside them, and what is shown is
//! both together.
//!
//! **Bounds.** A limit of series, what comes beyond is shown as one of them all; the map keeps what it has shown, so that no
//! series ends and begins anew; twice as many of what aged out. **Invariants.** What is shown never falls, and is never less than the sum.
//! **Not here.** What is summed (`exposition`), when a scrape happens.

use std::collections::BTreeMap;

/// What a series shows.
pub(super) trait Reading: Default + Clone {
    /// Adds another sum.
    fn add(&mut self, other: Self);
    /// Takes another sum away.
    fn take(&mut self, other: Self);
    /// Shows as much as the sum, or what it showed if that is more.
    fn raise(&mut self, sum: &Self);
}

/// Series by their labels.
pub(super) struct Ratchet<K, V> {
    limit: usize,
    shown: BTreeMap<K, V>,
    /// Sums of what is in the graph no more.
    past: BTreeMap<K, V>,
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
            past: BTreeMap::new(),
            other,
            refused: 0,
        }
    }

    /// Keeps sums that the next scrapes will not bring.
    pub(super) fn keep(&mut self, gone: BTreeMap<K, V>) {
        for (labels, sum) in gone {
            let has_place = self.past.contains_key(&labels) || self.shown.contains_key(&labels);
            let labels = if has_place || self.past.len() < self.limit {
                labels
            } else {
                self.other.clone()
            };
            self.past.entry(labels).or_default().add(sum);
        }
    }

    /// Takes the sums of a scrape. With `from_zero`, a series that is new shows 0 first, so that a rate sees all of it.
    pub(super) fn raise(&mut self, mut sums: BTreeMap<K, V>, from_zero: bool) {
        for (labels, sum) in &self.past {
            let sums = sums.entry(labels.clone()).or_default();
            sums.add(sum.clone());
        }
        let mut others: Option<V> = None;
        let mut refused = 0;
        for (labels, sum) in sums {
            if labels == self.other {
                // something is really called so
                others.get_or_insert_default().add(sum);
            } else if let Some(shown) = self.shown.get_mut(&labels) {
                shown.raise(&sum);
            } else if self.shown.len() < self.limit {
                let shown = self.shown.entry(labels).or_default();
                if !from_zero {
                    shown.raise(&sum);
                }
            } else {
                refused += 1;
                others.get_or_insert_default().add(sum);
            }
        }
        self.refused = self.refused.max(refused);
        if let Some(sum) = others {
            self.shown
                .entry(self.other.clone())
                .or_default()
                .raise(&sum);
        }
    }

    /// All series, in order of their labels.
    pub(super) fn shown(&self) -> &BTreeMap<K, V> {
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

        fn take(&mut self, other: i64) {
            *self -= other;
        }

        fn raise(&mut self, sum: &i64) {
            *self = (*self).max(*sum);
        }
    }

    fn sums(of: &[(u8, i64)]) -> BTreeMap<u8, i64> {
        of.iter().copied().collect()
    }

    #[test]
    fn what_was_taken_back_is_worked_off_against_the_next() {
        let mut ratchet = Ratchet::new(9, u8::MAX);
        ratchet.raise(sums(&[(1, 5)]), false);
        ratchet.raise(sums(&[(1, 3), (2, 2)]), false);
        assert_eq!(ratchet.shown(), &sums(&[(1, 5), (2, 2)]));
        ratchet.raise(sums(&[(1, 6), (2, 2)]), false);
        assert_eq!(ratchet.shown(), &sums(&[(1, 6), (2, 2)]));
        ratchet.raise(sums(&[(2, 2)]), false);
        assert_eq!(ratchet.shown(), &sums(&[(1, 6), (2, 2)]), "none ends");
    }

    #[test]
    fn a_series_that_begins_between_two_scrapes_shows_zero_once() {
        let mut ratchet = Ratchet::new(9, u8::MAX);
        ratchet.raise(sums(&[(1, 5)]), true);
        assert_eq!(ratchet.shown(), &sums(&[(1, 0)]));
        ratchet.raise(sums(&[(1, 5)]), true);
        assert_eq!(ratchet.shown(), &sums(&[(1, 5)]));
    }

    #[test]
    fn beyond_the_limit_all_are_one_and_counted() {
        let mut ratchet = Ratchet::new(2, u8::MAX);
        ratchet.raise(sums(&[(1, 1), (2, 1)]), false);
        ratchet.raise(sums(&[(0, 7), (1, 2), (2, 1), (3, 4)]), false);
        assert_eq!(ratchet.shown(), &sums(&[(1, 2), (2, 1), (u8::MAX, 11)]));
        assert_eq!(ratchet.refused(), 2);
        ratchet.raise(sums(&[(0, 7), (3, 4), (u8::MAX, 5)]), false);
        assert_eq!(
            ratchet.shown()[&u8::MAX],
            16,
            "one of that very name is among them"
        );
    }

    /// R-GRA-3, D4: what ages out and comes back goes on where it was.
    #[test]
    fn what_aged_out_is_counted_on() {
        let mut ratchet = Ratchet::new(2, u8::MAX);
        ratchet.raise(sums(&[(1, 5), (2, 3)]), false);
        ratchet.keep(sums(&[(1, 5)]));
        ratchet.raise(sums(&[(2, 3)]), false);
        assert_eq!(ratchet.shown(), &sums(&[(1, 5), (2, 3)]));
        ratchet.raise(sums(&[(1, 1), (2, 3)]), false);
        assert_eq!(ratchet.shown(), &sums(&[(1, 6), (2, 3)]));
        // of two edges with the same labels one ages
        ratchet.keep(sums(&[(2, 2)]));
        ratchet.raise(sums(&[(1, 1), (2, 2)]), false);
        assert_eq!(ratchet.shown(), &sums(&[(1, 6), (2, 4)]));
        // those that were never shown have a bound
        ratchet.keep((10..20).map(|labels| (labels, 1)).collect());
        assert_eq!(ratchet.past.len(), 3);
        ratchet.raise(sums(&[(1, 1), (2, 2)]), false);
        assert_eq!(ratchet.shown(), &sums(&[(1, 6), (2, 4), (u8::MAX, 10)]));
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
                ratchet.raise(sums.clone(), from_zero);
                let shown = ratchet.shown();
                for (labels, showed) in &before {
                    prop_assert!(shown.get(labels).is_some_and(|now| now >= showed));
                    if let Some(sum) = sums.get(labels) {
                        prop_assert!(shown[labels] >= *sum);
                    }
                }
                prop_assert!(shown.len() <= 5);
                before = shown.clone();
            }
        }
    }
}
