//! Which calls followed on which: sums by pairs of edges, and the rows made of them.
//!
//! **Bounds.** As many pairs as edges may be known; what comes beyond is not kept, and counted.
//! **Invariant.** Sums of differences: a row that shows several pairs can be kept up to date by what was added to each.

use crate::base::{EdgeId, Pages};
use crate::graph::snapshot::{FollowedRow, Row};
use crate::graph::structure::Layout;
use crate::graph::trials::Followed;
use std::collections::HashMap;
use std::collections::hash_map::Entry;

/// The edge that was called first, and the one that was called then.
type Pair = (EdgeId, EdgeId);

/// Sums by pair.
pub(super) struct Pairs {
    most: usize,
    sums: HashMap<Pair, Followed>,
    /// Added since the last snapshot, to pairs that were there.
    added: Vec<(Pair, Followed)>,
    /// Pairs came or went since.
    are_new: bool,
    refused: u64,
}

impl Pairs {
    pub(super) fn new(most: usize) -> Self {
        Pairs {
            most,
            sums: HashMap::new(),
            added: Vec::new(),
            are_new: false,
            refused: 0,
        }
    }

    pub(super) fn add(&mut self, pair: Pair, more: &Followed) {
        let has_room = self.sums.len() < self.most;
        match self.sums.entry(pair) {
            Entry::Occupied(mut place) => {
                *place.get_mut() += more;
                if *place.get() == Followed::default() {
                    place.remove();
                    self.are_new = true;
                } else {
                    self.added.push((pair, *more));
                }
            }
            Entry::Vacant(_) if *more == Followed::default() => {}
            Entry::Vacant(place) if has_room => {
                place.insert(*more);
                self.are_new = true;
            }
            Entry::Vacant(_) => self.refused += 1,
        }
    }

    pub(super) fn are_new(&self) -> bool {
        self.are_new
    }

    pub(super) fn refused(&self) -> u64 {
        self.refused
    }

    /// All rows anew.
    pub(super) fn rows(&mut self, layout: &Layout) -> Pages<FollowedRow> {
        self.added.clear();
        self.are_new = false;
        let rows = self.sums.iter().filter_map(|(pair, followed)| {
            let (first, second) = place(layout, *pair)?;
            Some(FollowedRow {
                first,
                second,
                followed: *followed,
            })
        });
        let mut rows: Vec<FollowedRow> = rows.collect();
        rows.sort_unstable_by_key(|row| (row.first, row.second));
        rows.dedup_by(|next, kept| {
            let is_same = (next.first, next.second) == (kept.first, kept.second);
            if is_same {
                kept.followed += &next.followed;
            }
            is_same
        });
        rows.into_iter().collect()
    }

    /// Adds what came since to the rows that are there.
    pub(super) fn refresh(&mut self, layout: &Layout, rows: &mut Pages<FollowedRow>) {
        for (pair, more) in self.added.drain(..) {
            let Some((first, second)) = place(layout, pair) else {
                continue;
            };
            let at = rows.partition_point(|row| (row.first, row.second) < (first, second));
            if let Some(row) = rows.get(at) {
                let mut row = *row;
                row.followed += &more;
                rows.set(at, row);
            }
        }
    }
}

fn place(layout: &Layout, (first, second): Pair) -> Option<(Row, Row)> {
    Some((layout.edge_row(first)?, layout.edge_row(second)?))
}
