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
    /// When it was found to be gone.
    gone: Option<Nanos>,
    was_told: bool,
    /// The look in which it was seen for the last time.
    look: u64,
}

/// Things by their key.
pub(super) struct Known<K> {
    /// How long a thing must be there to be news.
    hold: Duration,
    entries: HashMap<K, Entry>,
    look: u64,
    /// Things seen in this look that wait to be news.
    waiting: usize,
}

impl<K: Copy + Eq + Hash> Known<K> {
    /// Nothing is known.
    pub(super) fn new(hold: Duration) -> Self {
        Known {
            hold,
            entries: HashMap::new(),
            look: 0,
            waiting: 0,
        }
    }

    /// Begins a look at everything that is there.
    pub(super) fn begin(&mut self) {
        self.look += 1;
        self.waiting = 0;
    }

    /// Sees a thing, once a look; says whether it is to be told now, which it then was.
    pub(super) fn is_news(&mut self, key: K, now: Nanos) -> bool {
        let new = Entry {
            since: now,
            gone: None,
            was_told: false,
            look: self.look,
        };
        let entry = self.entries.entry(key).or_insert(new);
        if entry.gone.is_some_and(|gone| now.since(gone) >= FORGET) {
            *entry = new;
        }
        entry.gone = None;
        entry.look = self.look;
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
            self.waiting = self.waiting.saturating_sub(1);
        }
    }

    /// Everything that is there was seen: forgets what is gone, at once if it was not told.
    pub(super) fn end(&mut self, now: Nanos) {
        let look = self.look;
        self.entries.retain(|_, entry| {
            let is_there = entry.look == look;
            let gone = *entry.gone.get_or_insert(now);
            if is_there {
                entry.gone = None;
            }
            is_there || entry.was_told && now.since(gone) < FORGET
        });
    }

    /// Whether something is there that becomes news if it stays.
    pub(super) fn waits(&self) -> bool {
        self.waiting > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: [u8; 0] = [];

    /// Looks at such things at such a second.
    fn look(known: &mut Known<u8>, second: u64, things: &[u8]) -> Vec<u8> {
        let now = Nanos(second * 1_000_000_000);
        known.begin();
        let news = things.iter().copied();
        let news = news.filter(|thing| known.is_news(*thing, now)).collect();
        known.end(now);
        news
    }

    #[test]
    fn a_thing_is_told_once_and_again_after_it_was_gone_for_long() {
        let mut known = Known::new(Duration::ZERO);
        assert_eq!(look(&mut known, 1, &[1, 2]), [1, 2]);
        assert_eq!(look(&mut known, 5_000, &[1]), NONE);
        assert_eq!(look(&mut known, 5_599, &[1, 2]), NONE, "gone for 599 s");
        assert_eq!(look(&mut known, 6_000, &[1]), NONE);
        assert_eq!(look(&mut known, 6_600, &[1, 2]), [2], "gone for 600 s");
        assert_eq!(look(&mut known, 6_601, &[1]), NONE);
        assert_eq!(look(&mut known, 7_201, &[1]), NONE);
        assert_eq!(known.entries.len(), 1, "2 is forgotten");
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
