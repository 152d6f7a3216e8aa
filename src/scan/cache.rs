//! A worker's memory of words it has seen: raw bytes in, what they came to out, without allocation.
//!
//! **Bounds.** So many entries, from configuration; when it is full it is emptied, which costs one more look at the shared
//! interner per name. **Invariant.** Words are compared in full: a collision of hashes joins nothing.

use crate::scan::hash;
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

/// Longest words remembered together, in bytes; longer ones are worked out each time.
const MAX_WORDS: usize = 4096;

pub(crate) struct PartsCache<V> {
    seed: u64,
    capacity: usize,
    table: HashTable<Remembered<V>>,
    // what is not worth remembering still needs a place to be borrowed from
    passing: Option<V>,
}

struct Remembered<V> {
    hash: u64,
    tag: u64,
    lengths: u128,
    words: Joined,
    value: V,
}

/// Words behind one another, most of them where the entry is.
enum Joined {
    Short([u8; SHORT]),
    Long(Box<[u8]>),
}

/// Bytes of words that are kept in the entry.
const SHORT: usize = 60;

/// Most words in one entry: so many lengths of 16 bits fit.
const MOST_WORDS: usize = 8;

impl<V> PartsCache<V> {
    pub(crate) fn new(seed: u64, capacity: usize) -> Self {
        PartsCache {
            seed,
            capacity,
            table: HashTable::new(),
            passing: None,
        }
    }

    /// What these words came to under this tag.
    #[inline]
    pub(crate) fn find_or_insert(
        &mut self,
        tag: u64,
        words: &[&[u8]],
        make: impl FnOnce() -> V,
    ) -> &V {
        let hash = words
            .iter()
            .fold(hash::word(self.seed, tag), |state, word| {
                if word.is_empty() {
                    state.rotate_left(5)
                } else {
                    hash::bytes(state, word)
                }
            });
        if self.table.len() >= self.capacity {
            self.table.clear();
        }
        let Some(lengths) = lengths(words) else {
            return self.passing.insert(make());
        };
        let is_it = |entry: &Remembered<V>| {
            entry.hash == hash
                && entry.tag == tag
                && entry.lengths == lengths
                && entry.words.are(words)
        };
        match self.table.entry(hash, is_it, |entry| entry.hash) {
            Entry::Occupied(entry) => &entry.into_mut().value,
            Entry::Vacant(entry) => {
                let remembered = Remembered {
                    hash,
                    tag,
                    lengths,
                    words: Joined::new(words),
                    value: make(),
                };
                &entry.insert(remembered).into_mut().value
            }
        }
    }
}

/// The lengths of words; none if they are too many or too long to be remembered.
#[inline]
fn lengths(words: &[&[u8]]) -> Option<u128> {
    let mut total = 0;
    let mut lengths = 0;
    for word in words {
        total += word.len();
        lengths = lengths << 16 | word.len() as u128;
    }
    (total <= MAX_WORDS && words.len() <= MOST_WORDS).then_some(lengths)
}

impl Joined {
    fn new(words: &[&[u8]]) -> Joined {
        let joined = words.concat();
        let mut short = [0; SHORT];
        match short.get_mut(..joined.len()) {
            Some(place) => {
                place.copy_from_slice(&joined);
                Joined::Short(short)
            }
            None => Joined::Long(joined.into_boxed_slice()),
        }
    }

    /// Whether they are these words, whose lengths they have.
    #[inline]
    fn are(&self, words: &[&[u8]]) -> bool {
        let joined: &[u8] = match self {
            Joined::Short(short) => short,
            Joined::Long(long) => long,
        };
        let mut rest = joined;
        words.iter().all(|word| {
            let Some((here, after)) = rest.split_at_checked(word.len()) else {
                return false;
            };
            rest = after;
            hash::is_same(here, word)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_remembered_as_they_are_cut() {
        let mut cache = PartsCache::new(1, 100);
        let mut made = 0;
        for words in [
            [&b"ab"[..], b"c"],
            [b"a", b"bc"],
            [b"ab", b"c"],
            [b"", b"abc"],
            [b"abc", b""],
        ] {
            cache.find_or_insert(0, &words, || made += 1);
        }
        assert_eq!(made, 4);
        cache.find_or_insert(1, &[b"ab", b"c"], || made += 1);
        assert_eq!(made, 5, "under another tag");
    }

    #[test]
    fn the_memory_is_bounded() {
        let mut cache = PartsCache::new(1, 10);
        for number in 0..1_000u32 {
            assert_eq!(
                *cache.find_or_insert(0, &[&number.to_le_bytes()], || number),
                number
            );
            assert!(cache.table.len() <= 10);
        }
        let long = vec![b'x'; MAX_WORDS + 1];
        assert_eq!(*cache.find_or_insert(0, &[&long], || 7), 7);
        assert_eq!(
            *cache.find_or_insert(0, &[&long], || 8),
            8,
            "too long to be remembered"
        );
    }
}
