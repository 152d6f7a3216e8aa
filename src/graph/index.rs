//! Where things are by their hash: open addressing, eight bytes a place.
//!
//! A place holds 32 bits of the hash beside the slot, so that what is looked for and not there costs one line of the cache,
//! and taking something out looks at nobody else's entry.
//!
//! **Bounds.** Two to four times the capacity in places, untouched until used. **Invariant.** From a slot's home to where it
//! stands no place is empty. **Not here.** What a slot holds; whoever asks compares it.

use crate::graph::entry::Slot;

/// Slots by hash.
pub(crate) struct Index {
    /// The hash above, the slot plus one below; 0 is none, so that untouched pages cost nothing.
    places: Vec<u64>,
}

fn place(hash: u32, slot: Slot) -> u64 {
    u64::from(hash) << 32 | (u64::from(slot) + 1)
}

fn slot_of(place: u64) -> Slot {
    // the low half, which is not 0
    (place as u32).wrapping_sub(1)
}

impl Index {
    /// An index for so many slots.
    pub(crate) fn new(capacity: usize) -> Self {
        Index {
            places: vec![0; (2 * capacity).next_power_of_two()],
        }
    }

    fn home(&self, hash: u32) -> usize {
        hash as usize & self.mask()
    }

    fn mask(&self) -> usize {
        self.places.len() - 1
    }

    /// Whatever stands at a hash's home, to have its line fetched. Decides nothing, so that many are under way at once.
    #[inline]
    pub(crate) fn fetch(&self, hash: u32) -> u64 {
        self.places[self.home(hash)]
    }

    /// What stands at a hash's home, if it has that hash: in most cases what is looked for.
    #[inline]
    pub(crate) fn at_home(&self, hash: u32) -> Option<Slot> {
        let place = self.places[self.home(hash)];
        (place != 0 && (place >> 32) as u32 == hash).then(|| slot_of(place))
    }

    /// The slot with this hash that is the one looked for.
    #[inline]
    pub(crate) fn find(&self, hash: u32, is_it: impl Fn(Slot) -> bool) -> Option<Slot> {
        let mut at = self.home(hash);
        loop {
            let place = self.places[at];
            if place == 0 {
                return None;
            }
            if (place >> 32) as u32 == hash && is_it(slot_of(place)) {
                return Some(slot_of(place));
            }
            at = (at + 1) & self.mask();
        }
    }

    /// Adds a slot that is not there. No more of them than the capacity.
    #[inline]
    pub(crate) fn insert(&mut self, hash: u32, slot: Slot) {
        let mut at = self.home(hash);
        while self.places[at] != 0 {
            at = (at + 1) & self.mask();
        }
        self.places[at] = place(hash, slot);
    }

    /// Takes a slot out, and closes the gap.
    #[inline]
    pub(crate) fn remove(&mut self, hash: u32, slot: Slot) {
        let mut gap = self.home(hash);
        while self.places[gap] != place(hash, slot) {
            if self.places[gap] == 0 {
                debug_assert!(false, "not there");
                return;
            }
            gap = (gap + 1) & self.mask();
        }
        let mut at = gap;
        loop {
            at = (at + 1) & self.mask();
            let moved = self.places[at];
            if moved == 0 {
                break;
            }
            let home = self.home((moved >> 32) as u32);
            // how far each is from here, going back: one may not stand before its home
            if at.wrapping_sub(home) & self.mask() >= at.wrapping_sub(gap) & self.mask() {
                self.places[gap] = moved;
                gap = at;
            }
        }
        self.places[gap] = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        /// Whatever hashes come together.
        #[test]
        fn it_has_what_was_added_and_not_taken_out(
            steps in prop::collection::vec((0..16u32, 0..24u32, any::<bool>()), 0..300),
        ) {
            let mut index = Index::new(24);
            let mut expected = BTreeSet::new();
            // homes at the end of the table too, so that runs go round
            let hash = |home: u32, slot: u32| (slot % 3) << 16 | (home + 56) & 63;
            for (home, slot, is_added) in steps {
                let is_there = expected.iter().any(|(_, known)| *known == slot);
                if is_added && !is_there {
                    index.insert(hash(home, slot), slot);
                    expected.insert((home, slot));
                } else if !is_added && expected.remove(&(home, slot)) {
                    index.remove(hash(home, slot), slot);
                }
                for (home, slot) in &expected {
                    prop_assert_eq!(index.find(hash(*home, *slot), |at| at == *slot), Some(*slot));
                }
                prop_assert_eq!(index.places.iter().filter(|place| **place != 0).count(), expected.len());
            }
        }
    }
}
