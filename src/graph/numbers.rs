//! Sets of numbers of nodes and edges: what is asked about when entries age out.

use crate::base::{EdgeId, NodeId};

/// Small numbers, a bit each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Bits {
    words: Vec<u64>,
}

impl Bits {
    pub(crate) fn insert(&mut self, number: u32) {
        let at = number as usize / 64;
        if at >= self.words.len() {
            self.words.resize(at + 1, 0);
        }
        if let Some(word) = self.words.get_mut(at) {
            *word |= 1 << (number % 64);
        }
    }

    pub(crate) fn take(&mut self, number: u32) {
        if let Some(word) = self.words.get_mut(number as usize / 64) {
            *word &= !(1 << (number % 64));
        }
    }

    #[inline]
    pub(crate) fn has(&self, number: u32) -> bool {
        let word = self.words.get(number as usize / 64);
        word.is_some_and(|word| word >> (number % 64) & 1 == 1)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.words.iter().all(|word| *word == 0)
    }

    pub(crate) fn add(&mut self, other: &Bits) {
        if other.words.len() > self.words.len() {
            self.words.resize(other.words.len(), 0);
        }
        for (word, more) in self.words.iter_mut().zip(&other.words) {
            *word |= more;
        }
    }

    pub(crate) fn remove(&mut self, other: &Bits) {
        for (word, less) in self.words.iter_mut().zip(&other.words) {
            *word &= !less;
        }
    }

    /// Ascending.
    pub(crate) fn iter(&self) -> impl Iterator<Item = u32> {
        (0..).zip(&self.words).flat_map(|(at, word)| {
            let set = (0..64).filter(move |bit| word >> bit & 1 == 1);
            set.map(move |bit| at * 64 + bit)
        })
    }
}

/// Numbers of nodes and edges. A bit each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Numbers {
    nodes: Bits,
    edges: Bits,
}

impl Numbers {
    /// Puts a node in.
    pub fn insert_node(&mut self, node: NodeId) {
        self.nodes.insert(node.0);
    }

    /// Puts an edge in.
    pub fn insert_edge(&mut self, edge: EdgeId) {
        self.edges.insert(edge.0);
    }

    /// Takes a node out.
    pub fn remove_node(&mut self, node: NodeId) {
        self.nodes.take(node.0);
    }

    /// Takes an edge out.
    pub fn remove_edge(&mut self, edge: EdgeId) {
        self.edges.take(edge.0);
    }

    /// Whether a node is in.
    #[inline]
    #[must_use]
    pub fn has_node(&self, node: NodeId) -> bool {
        self.nodes.has(node.0)
    }

    /// Whether an edge is in.
    #[inline]
    #[must_use]
    pub fn has_edge(&self, edge: EdgeId) -> bool {
        self.edges.has(edge.0)
    }

    /// Whether there is nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty() && self.edges.is_empty()
    }

    /// Puts another's in.
    pub fn add(&mut self, other: &Numbers) {
        self.nodes.add(&other.nodes);
        self.edges.add(&other.edges);
    }

    /// Takes another's out.
    pub fn remove(&mut self, other: &Numbers) {
        self.nodes.remove(&other.nodes);
        self.edges.remove(&other.edges);
    }

    /// The nodes, ascending.
    pub fn nodes(&self) -> impl Iterator<Item = NodeId> {
        self.nodes.iter().map(NodeId)
    }

    /// The edges, ascending.
    pub fn edges(&self) -> impl Iterator<Item = EdgeId> {
        self.edges.iter().map(EdgeId)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_go_in_and_out() {
        let mut some = Numbers::default();
        assert!(some.is_empty());
        some.insert_node(NodeId(3));
        some.insert_node(NodeId(64));
        some.insert_edge(EdgeId(200));
        let mut others = Numbers::default();
        others.insert_node(NodeId(64));
        others.insert_node(NodeId(1_000));
        some.add(&others);
        assert_eq!(some.nodes().collect::<Vec<_>>(), [3, 64, 1_000].map(NodeId));
        assert!(some.has_edge(EdgeId(200)) && !some.has_edge(EdgeId(3)));
        some.remove(&others);
        assert_eq!(some.nodes().collect::<Vec<_>>(), [NodeId(3)]);
        some.remove_node(NodeId(3));
        some.remove_edge(EdgeId(200));
        some.remove_edge(EdgeId(u32::MAX));
        assert!(some.is_empty());
        assert!(!some.has_node(NodeId(64)) && !some.has_node(NodeId(u32::MAX)));
    }
}
