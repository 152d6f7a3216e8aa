//! A list of which copies share what did not change (D5).

use std::iter::FlatMap;
use std::slice;
use std::sync::Arc;

/// Entries to a page: a change copies so many. With shared rows a tick of 1 % costs a third of what it does at 64.
const PAGE: usize = 16;

/// A list in pages. A copy costs a pointer a page; changing an entry of a copy copies its page only.
#[derive(Clone, Debug)]
pub struct Pages<T> {
    /// All full but the last.
    pages: Vec<Arc<[T]>>,
    len: usize,
}

/// A list's entries in order.
pub type Entries<'p, T> =
    FlatMap<slice::Iter<'p, Arc<[T]>>, slice::Iter<'p, T>, fn(&'p Arc<[T]>) -> slice::Iter<'p, T>>;

impl<T> Default for Pages<T> {
    fn default() -> Self {
        Pages {
            pages: Vec::new(),
            len: 0,
        }
    }
}

impl<T> Pages<T> {
    /// How many entries there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The entry at a place.
    #[inline]
    #[must_use]
    pub fn get(&self, at: usize) -> Option<&T> {
        self.pages.get(at / PAGE)?.get(at % PAGE)
    }

    /// All entries in order.
    pub fn iter(&self) -> Entries<'_, T> {
        let pages: slice::Iter<'_, Arc<[T]>> = self.pages.iter();
        pages.flat_map(|page| page.iter())
    }

    /// How many entries at the beginning fulfil a condition that no later one does.
    #[must_use]
    pub fn partition_point(&self, mut holds: impl FnMut(&T) -> bool) -> usize {
        let is_full = |page: &Arc<[T]>| page.last().is_some_and(&mut holds);
        let full = self.pages.partition_point(is_full);
        let rest = self.pages.get(full);
        full * PAGE + rest.map_or(0, |page| page.partition_point(holds))
    }

    /// The places of entries on pages that another list does not share: those that may differ.
    pub fn differing(&self, other: &Pages<T>) -> impl Iterator<Item = usize> {
        let pages = self.pages.iter().enumerate();
        let differing = pages.filter(|(at, page)| {
            let same = other.pages.get(*at);
            !same.is_some_and(|same| Arc::ptr_eq(page, same))
        });
        differing.flat_map(|(at, page)| at * PAGE..at * PAGE + page.len())
    }

    /// How many pages two lists share; for tests and for the curious.
    #[must_use]
    pub fn shared_with(&self, other: &Pages<T>) -> usize {
        let pairs = self.pages.iter().zip(&other.pages);
        pairs.filter(|(a, b)| Arc::ptr_eq(a, b)).count()
    }
}

impl<'p, T> IntoIterator for &'p Pages<T> {
    type Item = &'p T;
    type IntoIter = Entries<'p, T>;

    fn into_iter(self) -> Entries<'p, T> {
        self.iter()
    }
}

impl<T: Clone> Pages<T> {
    /// Puts another entry in a place; nothing happens past the end.
    pub fn set(&mut self, at: usize, entry: T) {
        if let Some(page) = self.pages.get_mut(at / PAGE)
            && at % PAGE < page.len()
        {
            Arc::make_mut(page)[at % PAGE] = entry;
        }
    }
}

impl<T> FromIterator<T> for Pages<T> {
    fn from_iter<I: IntoIterator<Item = T>>(entries: I) -> Self {
        let mut entries = entries.into_iter().peekable();
        let mut pages = Vec::new();
        let mut len = 0;
        while entries.peek().is_some() {
            let page: Arc<[T]> = entries.by_ref().take(PAGE).collect();
            len += page.len();
            pages.push(page);
        }
        Pages { pages, len }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_copies_one_page_and_leaves_the_other_list_alone() {
        let before: Pages<u32> = (0..200).collect();
        let mut after = before.clone();
        after.set(130, 7);
        after.set(200, 7);
        assert_eq!((before.get(130), after.get(130)), (Some(&130), Some(&7)));
        assert_eq!((after.len(), after.iter().count()), (200, 200));
        assert_eq!((after.get(200), before.shared_with(&after)), (None, 12));
    }
}
