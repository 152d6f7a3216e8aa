//! Strongly connected components: who needs each other in a circle, and in which order all others can be worked through.
//!
//! Tarjan 1972 with a stack of its own instead of recursion, since a chain of a hundred thousand nodes is a legal input.
//! O(nodes + edges) time, five words a node.

use crate::analysis::structure::Lists;
use crate::graph::Row;

/// No number yet.
const UNSEEN: u32 = u32::MAX;

/// Nodes by component. What a node points at stands before it, or beside it in its component.
#[derive(Clone, Debug, Default)]
pub(super) struct Components {
    /// All nodes, component by component.
    order: Vec<Row>,
    /// Where each component begins in `order`; one more than components.
    starts: Vec<u32>,
    /// By node: its component.
    of: Vec<u32>,
}

/// The work of one search.
struct Search<'a> {
    targets: &'a Lists,
    /// By node: when it was first met.
    met: Vec<u32>,
    /// By node: the earliest node on the stack that it can reach, by when that was met.
    low: Vec<u32>,
    /// Nodes whose component is not complete.
    open: Vec<Row>,
    /// The way to where the search is: node, and how many of its targets were taken.
    path: Vec<(Row, u32)>,
    next: u32,
    found: Components,
}

impl Components {
    /// Finds them. `targets` says by node what it points at.
    pub(super) fn find(targets: &Lists) -> Self {
        let nodes = targets.rows();
        let mut search = Search {
            targets,
            met: vec![UNSEEN; nodes],
            low: vec![UNSEEN; nodes],
            open: Vec::new(),
            path: Vec::new(),
            next: 0,
            found: Components {
                order: Vec::with_capacity(nodes),
                starts: vec![0],
                of: vec![UNSEEN; nodes],
            },
        };
        for node in 0..nodes {
            if search.met[node] == UNSEEN {
                search.run(node as Row);
            }
        }
        search.found
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.starts.len().saturating_sub(1)
    }

    /// A component's nodes.
    pub(super) fn nodes(&self, component: usize) -> &[Row] {
        &self.order[self.starts[component] as usize..self.starts[component + 1] as usize]
    }

    /// A node's component.
    pub(super) fn of(&self, node: Row) -> usize {
        self.of[node as usize] as usize
    }

    /// All nodes, component by component.
    pub(super) fn order(&self) -> &[Row] {
        &self.order
    }
}

impl Search<'_> {
    fn run(&mut self, root: Row) {
        self.meet(root);
        while let Some((node, taken)) = self.path.last_mut() {
            let node = *node;
            let Some(target) = self.targets.of_row(node).get(*taken as usize).copied() else {
                self.leave(node);
                continue;
            };
            *taken += 1;
            if self.met[target as usize] == UNSEEN {
                self.meet(target);
            } else if self.found.of[target as usize] == UNSEEN {
                let low = &mut self.low[node as usize];
                *low = (*low).min(self.met[target as usize]);
            }
        }
    }

    fn meet(&mut self, node: Row) {
        self.met[node as usize] = self.next;
        self.low[node as usize] = self.next;
        self.next += 1;
        self.open.push(node);
        self.path.push((node, 0));
    }

    fn leave(&mut self, node: Row) {
        self.path.pop();
        let low = self.low[node as usize];
        if let Some((above, _)) = self.path.last() {
            let above = &mut self.low[*above as usize];
            *above = (*above).min(low);
        }
        if low != self.met[node as usize] {
            return;
        }
        let component = self.found.starts.len() as u32 - 1;
        while let Some(member) = self.open.pop() {
            self.found.of[member as usize] = component;
            self.found.order.push(member);
            if member == node {
                break;
            }
        }
        // members in the order in which they were met: callers before those they reach
        let begin = self.found.starts[component as usize] as usize;
        self.found.order[begin..].reverse();
        self.found.starts.push(self.found.order.len() as u32);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn lists(nodes: usize, edges: &[(u32, u32)]) -> Lists {
        Lists::of(nodes, edges.iter().copied())
    }

    #[test]
    fn a_chain_of_a_hundred_thousand_does_not_overflow_the_stack() {
        let edges: Vec<(u32, u32)> = (0..99_999).map(|node| (node, node + 1)).collect();
        let found = Components::find(&lists(100_000, &edges));
        assert_eq!((found.len(), found.order()[0]), (100_000, 99_999));
    }

    #[test]
    fn two_rings_joined_one_way_are_two_components() {
        let found = Components::find(&lists(5, &[(0, 1), (1, 0), (1, 2), (2, 3), (3, 2), (4, 4)]));
        assert_eq!(found.len(), 3);
        assert_eq!((found.nodes(0), found.nodes(1)), (&[2, 3][..], &[0, 1][..]));
    }

    proptest! {
        /// Two nodes share a component exactly if each reaches the other, and targets come first.
        #[test]
        fn components_are_what_reaches_itself(
            edges in prop::collection::vec((0u32..12, 0u32..12), 0..40)
        ) {
            let found = Components::find(&lists(12, &edges));
            let nodes = 0..12usize;
            let mut reaches = [[false; 12]; 12];
            for (a, b) in &edges {
                reaches[*a as usize][*b as usize] = true;
            }
            let pairs = || nodes.clone().flat_map(|a| (0..12usize).map(move |b| (a, b)));
            for via in nodes.clone() {
                for (a, b) in pairs() {
                    reaches[a][b] |= reaches[a][via] && reaches[via][b];
                }
            }
            for (a, b) in pairs() {
                let together = a == b || (reaches[a][b] && reaches[b][a]);
                prop_assert_eq!(found.of(a as u32) == found.of(b as u32), together);
            }
            for (a, b) in &edges {
                prop_assert!(found.of(*b) <= found.of(*a));
            }
        }
    }
}
