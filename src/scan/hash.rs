//! A fast keyed hash of short byte strings.
//!
//! Folded multiplication over sixteen bytes at a time, as wyhash and its kin do. The seed makes collisions a stranger's
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

/// Hashes bytes under a seed. Sixteen bytes at a time; the last sixteen overlap what came before, so that no tail is read
/// byte by byte.
#[inline]
#[must_use]
pub fn bytes(seed: u64, bytes: &[u8]) -> u64 {
    let mut state = seed ^ MIX ^ (bytes.len() as u64).wrapping_mul(STEP);
    let mut rest = bytes;
    while let Some((two, after)) = rest.split_first_chunk::<16>()
        && !after.is_empty()
    {
        state = absorb(state, two);
        rest = after;
    }
    let (first, second) = match bytes.last_chunk::<16>() {
        Some(last) => halves(last),
        None => short(bytes),
    };
    fold(fold(state ^ first, STEP ^ second) ^ STEP, MIX)
}

#[inline]
fn absorb(state: u64, two: &[u8; 16]) -> u64 {
    let (first, second) = halves(two);
    fold(state ^ first, STEP ^ second)
}

#[inline]
fn halves(two: &[u8; 16]) -> (u64, u64) {
    let both = u128::from_le_bytes(*two);
    (both as u64, (both >> 64) as u64)
}

/// Fewer than sixteen bytes as two numbers; with the length they tell any two texts apart.
#[inline]
fn short(bytes: &[u8]) -> (u64, u64) {
    if let (Some(first), Some(last)) = (bytes.first_chunk::<8>(), bytes.last_chunk::<8>()) {
        (u64::from_le_bytes(*first), u64::from_le_bytes(*last))
    } else if let (Some(first), Some(last)) = (bytes.first_chunk::<4>(), bytes.last_chunk::<4>()) {
        let (first, last) = (u32::from_le_bytes(*first), u32::from_le_bytes(*last));
        (u64::from(first), u64::from(last))
    } else {
        let few = bytes
            .iter()
            .fold(0, |few, byte| few << 8 | u64::from(*byte));
        (few, 0)
    }
}

/// Whether two texts of one length are equal; of short ones quicker than a call would be.
#[inline]
pub(crate) fn is_same(a: &[u8], b: &[u8]) -> bool {
    let (mut a_rest, mut b_rest) = (a, b);
    while let (Some((a_two, a_after)), Some((b_two, b_after))) = (
        a_rest.split_first_chunk::<16>(),
        b_rest.split_first_chunk::<16>(),
    ) {
        if u128::from_le_bytes(*a_two) != u128::from_le_bytes(*b_two) {
            return false;
        }
        (a_rest, b_rest) = (a_after, b_after);
    }
    match (a.last_chunk::<16>(), b.last_chunk::<16>()) {
        (Some(a), Some(b)) => u128::from_le_bytes(*a) == u128::from_le_bytes(*b),
        _ => short(a) == short(b),
    }
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
        for len in [1, 3, 4, 7, 8, 15, 16, 17, 31, 32, 33, 64] {
            for bit in 0..len * 8 {
                let mut text = vec![0u8; len];
                text[bit / 8] = 1 << (bit % 8);
                assert!(seen.insert(bytes(7, &text)), "bit {bit} of {len} bytes");
            }
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
