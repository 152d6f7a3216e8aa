//! What was seen and what was told of it.
//!
//! **Bounds.** An entry for each thing that is there, and for each that was told and is gone for less than [`FORGET`].

use super::FORGET;
use crate::base::Nanos;
use std::collections::HashMap;
use std::hash::Hash;
use std::time::Duration;

#[derive(Clone, Copy, Debug)]
struct Entry {
    /// When it came.
    since: Nanos,
    /// When it was there for the last time.
    last: Nanos,
    was_told: bool,
}

/// Things by their key.
pub(super) struct Known<K> {
    /// How long a thing must be there to be news.
    hold: Duration,
    entries: HashMap<K, Entry>,
    /// Things seen since the last end, and how many of those wait to be news.
    present: usize,
    waiting: usize,
    waited: usize,
}

impl<K: Copy + Eq + Hash> Known<K> {
    /// Nothing is known.
    pub(super) fn new(hold: Duration) -> Self {
        Known {
            hold,
            entries: HashMap::new(),
            present: 0,
            waiting: 0,
            waited: 0,
        }
    }

    /// Sees a thing, once between two ends; says whether it is to be told now, which it then was.
    pub(super) fn is_news(&mut self, key: K, now: Nanos) -> bool {
        let entry = self.entries.entry(key).or_insert(Entry {
            since: now,
            last: now,
            was_told: false,
        });
        self.present += 1;
        entry.last = now;
        if entry.was_told {
            return false;
        }
        entry.was_told = now.since(entry.since) >= self.hold;
        self.waiting += usize::from(!entry.was_told);
        entry.was_told
    }

    /// A thing that was seen is told with another.
    pub(super) fn tell(&mut self, key: K) {
        if let Some(entry) = self.entries.get_mut(&key)
            && !entry.was_told
        {
            entry.was_told = true;
            self.waiting -= 1;
        }
    }

    /// Everything that is there was seen: forgets what is gone, at once if it was not told.
    pub(super) fn end(&mut self, now: Nanos) {
        if self.present < self.entries.len() {
            self.entries.retain(|_, entry| {
                entry.last == now || entry.was_told && now.since(entry.last) < FORGET
            });
        }
        self.present = 0;
        self.waited = std::mem::take(&mut self.waiting);
    }

    /// Whether something is there that becomes news if it stays.
    pub(super) fn waits(&self) -> bool {
        self.waited > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: [u8; 0] = [];

    /// Looks at such things at such a second.
    fn look(known: &mut Known<u8>, second: u64, things: &[u8]) -> Vec<u8> {
        let now = Nanos(second * 1_000_000_000);
        let news = things.iter().copied();
        let news = news.filter(|thing| known.is_news(*thing, now)).collect();
        known.end(now);
        news
    }

    #[test]
    fn a_thing_is_told_once_and_again_after_it_was_gone_for_long() {
        let mut known = Known::new(Duration::ZERO);
        assert_eq!(look(&mut known, 1, &[1, 2]), [1, 2]);
        assert_eq!(look(&mut known, 2, &[1]), NONE);
        assert_eq!(look(&mut known, 600, &[1, 2]), NONE, "gone for 599 s");
        assert_eq!(look(&mut known, 1_199, &[1]), NONE);
        assert_eq!(look(&mut known, 1_200, &[1]), NONE, "2 is forgotten");
        assert_eq!(known.entries.len(), 1);
        assert_eq!(look(&mut known, 1_201, &[1, 2]), [2]);
    }

    #[test]
    fn what_flickers_is_not_told_until_it_stays() {
        let mut known = Known::new(Duration::from_secs(5));
        for second in 0..20 {
            let things: &[u8] = if second % 4 == 3 { &[] } else { &[7] };
            assert_eq!(look(&mut known, second, things), NONE);
        }
        assert!(known.entries.is_empty() && !known.waits());
        assert_eq!(look(&mut known, 20, &[7]), NONE);
        assert!(known.waits());
        assert_eq!(look(&mut known, 25, &[7]), [7]);
        assert!(!known.waits());
    }
}
