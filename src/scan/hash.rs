//! A fast keyed hash of short byte strings.
//!
//! Folded multiplication over eight bytes at a time, as wyhash and its kin do. The seed makes collisions a stranger's
//! guess; whatever is looked up by a hash is compared in full all the same, but for the 32-bit digests that sightings
//! carry, which meet only their neighbours in a trace.

/// Odd constants with bits well spread: the fraction digits of pi and e.
const MIX: u64 = 0x243f_6a88_85a3_08d3;
const STEP: u64 = 0xb7e1_5162_8aed_2a6b;

#[inline]
fn fold(a: u64, b: u64) -> u64 {
    let wide = u128::from(a) * u128::from(b);
    (wide as u64) ^ ((wide >> 64) as u64)
}

/// Hashes bytes under a seed.
#[inline]
#[must_use]
pub fn bytes(seed: u64, bytes: &[u8]) -> u64 {
    let mut state = seed ^ MIX ^ (bytes.len() as u64).wrapping_mul(STEP);
    let (words, tail) = bytes.as_chunks::<8>();
    for word in words {
        state = fold(state ^ u64::from_le_bytes(*word), STEP);
    }
    if !tail.is_empty() {
        let mut last = [0; 8];
        for (to, from) in last.iter_mut().zip(tail) {
            *to = *from;
        }
        state = fold(state ^ u64::from_le_bytes(last), STEP);
    }
    fold(state ^ STEP, MIX)
}

/// Hashes one number under a seed.
#[inline]
#[must_use]
pub fn word(seed: u64, word: u64) -> u64 {
    fold(fold(seed ^ MIX ^ word, STEP), MIX ^ word)
}

/// A digest of text for comparison with neighbours; 0 stands for no text.
#[inline]
#[must_use]
pub fn digest(text: &[u8]) -> u32 {
    if text.is_empty() {
        return 0;
    }
    let full = bytes(0, text);
    ((full ^ (full >> 32)) as u32).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn lengths_seeds_and_single_bits_make_a_difference() {
        let mut seen = HashSet::new();
        for len in 0..64 {
            assert!(seen.insert(bytes(7, &vec![0; len])));
            assert!(seen.insert(bytes(8, &vec![0; len])));
        }
        for bit in 0..512 {
            let mut text = [0u8; 64];
            text[bit / 8] = 1 << (bit % 8);
            assert!(seen.insert(bytes(7, &text)), "{bit}");
        }
    }

    #[test]
    fn hashes_fill_the_low_bits_that_tables_use() {
        let buckets: HashSet<u64> = (0..4096u64).map(|n| word(1, n) & 0xfff).collect();
        assert!(
            buckets.len() > 2400,
            "a random function fills 63 %: {}",
            buckets.len()
        );
        let texts: HashSet<u64> = (0..4096)
            .map(|n| bytes(1, format!("agent-{n}").as_bytes()) & 0xfff)
            .collect();
        assert!(texts.len() > 2400, "{}", texts.len());
    }

    #[test]
    fn no_text_has_no_digest() {
        assert_eq!(digest(b""), 0);
        assert_ne!(digest(b"a"), digest(b"b"));
    }
}
