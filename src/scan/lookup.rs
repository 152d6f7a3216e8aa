//! A fixed set of keys, found without a call and nearly without a branch.
//!
//! ```text
//! key ─▶ four words of eight bytes, overlapping ─▶ one multiplication each ─▶ index ─▶ entry ─▶ words equal?
//! ```
//!
//! A key of 8 to 32 bytes lies in four words of eight, of which the later ones overlap so that none reaches beyond it:
//! keys of one length are equal exactly if their words are. Reading, hashing and comparing them costs the same whatever
//! the length, so that there is no loop over a key whose end the processor would have to guess.
//!
//! **Bounds.** Keys of up to 32 bytes; [`Lookup::find`] probes past no more than the keys there are. Built once, then
//! read only. **Not here.** What keys mean (`alias`); keys that strangers choose (`cache`, under a seed).

/// Longest key.
pub(crate) const MAX_KEY: usize = 32;

/// Places in the index, of which a set of two hundred keys fills a fifth.
const PLACES: usize = 1 << PLACE_BITS;
const PLACE_BITS: u32 = 10;

/// Odd numbers with bits well spread, one for each word.
const MULTIPLIERS: [u64; 4] = [
    0x9e37_79b9_7f4a_7c15,
    0xc2b2_ae3d_27d4_eb4f,
    0x1656_67b1_9e37_79f9,
    0xd6e8_feb8_6659_fd93,
];

type Words = [u64; 4];

/// Values by key.
#[derive(Clone, Debug)]
pub(crate) struct Lookup<V> {
    /// Numbers of entries; 0 where there is none.
    index: Box<[u16; PLACES]>,
    /// The first is nobody's.
    entries: Vec<Entry<V>>,
}

#[derive(Clone, Copy, Debug)]
struct Entry<V> {
    words: Words,
    len: usize,
    value: V,
}

impl<V: Copy> Lookup<V> {
    /// A set that holds these keys; `nobody` is never answered. A key that is longer than [`MAX_KEY`] is left out, as is
    /// what comes after the first thousand.
    pub(crate) fn new<'k>(nobody: V, keys: impl IntoIterator<Item = (&'k str, V)>) -> Self {
        let nothing = Entry {
            words: [0; 4],
            len: usize::MAX,
            value: nobody,
        };
        let mut lookup = Lookup {
            index: Box::new([0; PLACES]),
            entries: vec![nothing],
        };
        for (key, value) in keys.into_iter().take(PLACES - 1) {
            lookup.insert(key.as_bytes(), value);
        }
        lookup
    }

    fn insert(&mut self, key: &[u8], value: V) {
        let (Some(words), Ok(number)) = (words(key), u16::try_from(self.entries.len())) else {
            return;
        };
        let mut place = place(&words);
        // one place is always free
        while self.index[place] != 0 {
            place = next(place);
        }
        self.index[place] = number;
        self.entries.push(Entry {
            words,
            len: key.len(),
            value,
        });
    }

    /// The value of a key.
    #[inline]
    pub(crate) fn find(&self, key: &[u8]) -> Option<V> {
        let words = words(key)?;
        let mut place = place(&words);
        loop {
            let number = self.index[place];
            let entry = self.entries.get(usize::from(number))?;
            if is_same(&entry.words, &words) && entry.len == key.len() {
                return Some(entry.value);
            }
            if number == 0 {
                return None;
            }
            place = next(place);
        }
    }
}

#[inline]
fn is_same(a: &Words, b: &Words) -> bool {
    // not `==`, which would be a call
    (a[0] ^ b[0]) | (a[1] ^ b[1]) | (a[2] ^ b[2]) | (a[3] ^ b[3]) == 0
}

#[inline]
fn place(words: &Words) -> usize {
    let sum = words.iter().zip(MULTIPLIERS).fold(0u64, |sum, (word, by)| {
        sum.wrapping_add(word.wrapping_mul(by))
    });
    (sum >> (u64::BITS - PLACE_BITS)) as usize % PLACES
}

#[inline]
fn next(place: usize) -> usize {
    (place + 1) % PLACES
}

/// The words of a key; none if it is too long to be one.
#[inline]
fn words(key: &[u8]) -> Option<Words> {
    if key.len() > MAX_KEY {
        return None;
    }
    let Some(last) = key.len().checked_sub(8) else {
        return Some([few(key), 0, 0, 0]);
    };
    Some([
        word(key, 0)?,
        word(key, last.min(8))?,
        word(key, last.min(16))?,
        word(key, last)?,
    ])
}

#[inline]
fn word(key: &[u8], at: usize) -> Option<u64> {
    let eight = key.get(at..)?.first_chunk::<8>()?;
    Some(u64::from_le_bytes(*eight))
}

/// Fewer than eight bytes.
#[inline(never)]
fn few(key: &[u8]) -> u64 {
    key.iter()
        .fold(0, |word, byte| word << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn keys_of_every_length_are_found_and_their_neighbours_are_not() {
        let letters = "abcdefghijklmnopqrstuvwxyz_.-012345";
        let keys: Vec<&str> = (1..=MAX_KEY).map(|len| &letters[..len]).collect();
        let lookup = Lookup::new(0, keys.iter().map(|key| (*key, key.len())));
        for key in &keys {
            assert_eq!(lookup.find(key.as_bytes()), Some(key.len()));
            for at in 0..key.len() {
                let mut other = key.as_bytes().to_vec();
                other[at] ^= 0x80;
                assert_eq!(lookup.find(&other), None, "{key} but for byte {at}");
            }
        }
        for other in ["", &letters[..=MAX_KEY], &letters[1..9], "abcdefgab"] {
            assert_eq!(lookup.find(other.as_bytes()), None, "{other}");
        }
    }

    #[test]
    fn a_key_that_is_all_zero_is_not_nobody() {
        let lookup = Lookup::new(7, [("a", 1)]);
        for len in 0..=MAX_KEY {
            assert_eq!(lookup.find(&vec![0; len]), None, "{len}");
        }
    }

    proptest! {
        #[test]
        fn a_set_finds_what_it_holds_and_nothing_else(
            keys in prop::collection::hash_set("[a-c.]{1,34}", 0..300),
            others in prop::collection::vec("[a-c.]{0,34}", 0..100),
        ) {
            let lookup = Lookup::new(usize::MAX, keys.iter().map(|key| (key.as_str(), key.len())));
            for key in keys.iter().chain(&others) {
                let expected = (keys.contains(key) && key.len() <= MAX_KEY).then_some(key.len());
                prop_assert_eq!(lookup.find(key.as_bytes()), expected, "{}", key);
            }
        }
    }
}
