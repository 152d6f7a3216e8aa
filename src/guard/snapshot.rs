//! What a tick publishes: the graph, and what it means. One truth, read by everyone (D5).

use crate::analysis::{Analysis, NodeRisk};
use crate::base::{NodeId, Pages};
use crate::graph::{GraphSnapshot, NodeRow};
use std::sync::Arc;

/// The graph at one tick with its findings; both count rows alike.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// Who calls whom.
    pub graph: GraphSnapshot,
    /// What that means.
    pub analysis: Analysis,
    /// By row: what the node's spans are given, encoded for the splice.
    pub(crate) attributes: Pages<Arc<[u8]>>,
}

impl Snapshot {
    /// A node with its findings, through aliases.
    #[must_use]
    pub fn node(&self, node: NodeId) -> Option<(&NodeRow, Option<&NodeRisk>)> {
        let row = self.graph.row(node)?;
        Some((self.graph.node(node)?, self.analysis.node(row)))
    }

    /// The attributes that a node's spans are given, encoded for the splice.
    #[inline]
    #[must_use]
    pub fn attributes(&self, node: NodeId) -> Option<&[u8]> {
        let row = self.graph.row(node)?;
        self.attributes.get(row as usize).map(|encoded| &**encoded)
    }
}
