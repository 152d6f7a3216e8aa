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
    /// Each word with its length in front.
    words: Box<[u8]>,
    value: V,
}

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
        if words.iter().map(|word| word.len()).sum::<usize>() > MAX_WORDS {
            return self.passing.insert(make());
        }
        let is_it = |entry: &Remembered<V>| {
            entry.hash == hash && entry.tag == tag && same(&entry.words, words)
        };
        match self.table.entry(hash, is_it, |entry| entry.hash) {
            Entry::Occupied(entry) => &entry.into_mut().value,
            Entry::Vacant(entry) => {
                let remembered = Remembered {
                    hash,
                    tag,
                    words: joined(words),
                    value: make(),
                };
                &entry.insert(remembered).into_mut().value
            }
        }
    }
}

fn length(word: &[u8]) -> [u8; 2] {
    // at most MAX_WORDS
    u16::try_from(word.len()).unwrap_or(u16::MAX).to_le_bytes()
}

fn joined(words: &[&[u8]]) -> Box<[u8]> {
    let mut out = Vec::with_capacity(words.iter().map(|word| word.len() + 2).sum());
    for word in words {
        out.extend_from_slice(&length(word));
        out.extend_from_slice(word);
    }
    out.into_boxed_slice()
}

#[inline]
fn same(joined: &[u8], words: &[&[u8]]) -> bool {
    let rest = words.iter().try_fold(joined, |rest, word| {
        rest.strip_prefix(&length(word))?.strip_prefix(*word)
    });
    rest.is_some_and(<[u8]>::is_empty)
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
