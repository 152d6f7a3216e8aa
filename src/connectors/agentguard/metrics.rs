//! The connector's numbers, for whoever publishes them.

use crate::graph::ShardStats;
use crate::guard::ScanCounts;
use crate::scan::{EdgeKind, NodeKind};
use std::sync::atomic::{AtomicU64, Ordering};

/// Everything the connector counts, at one moment.
#[derive(Clone, Debug, Default)]
pub struct Numbers {
    /// `agentguard_nodes{kind}`: nodes in the published graph.
    pub nodes: Vec<(NodeKind, u64)>,
    /// `agentguard_edges{kind}`: edges in it.
    pub edges: Vec<(EdgeKind, u64)>,
    /// Spans by how they were read.
    pub scan: ScanCounts,
    /// Requests pushed back because an inbox was full.
    pub refused_requests: u64,
    /// Spans accepted whose shard had gone; 0 unless a thread died.
    pub lost_spans: u64,
    /// Spans that hold room in each shard's inbox.
    pub inbox_spans: Vec<u64>,
    /// Each shard's own numbers, as of the last tick.
    pub shards: Vec<ShardStats>,
    /// Sightings of names that found no room among the nodes.
    pub refused_nodes: u64,
    /// The same among the edges.
    pub refused_edges: u64,
}

/// Counters of the request clock.
#[derive(Default)]
pub(super) struct Counters {
    with_node: AtomicU64,
    neutral: AtomicU64,
    handoffs: AtomicU64,
    bad_id: AtomicU64,
    ignored: AtomicU64,
    pub(super) refused_requests: AtomicU64,
    pub(super) lost_spans: AtomicU64,
}

impl Counters {
    /// Adds a committed request's.
    pub(super) fn add(&self, counts: &ScanCounts) {
        for (counter, more) in [
            (&self.with_node, counts.with_node),
            (&self.neutral, counts.neutral),
            (&self.handoffs, counts.handoffs),
            (&self.bad_id, counts.bad_id),
            (&self.ignored, counts.ignored),
        ] {
            if more > 0 {
                counter.fetch_add(more, Ordering::Relaxed);
            }
        }
    }

    pub(super) fn scan(&self) -> ScanCounts {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        ScanCounts {
            with_node: read(&self.with_node),
            neutral: read(&self.neutral),
            handoffs: read(&self.handoffs),
            bad_id: read(&self.bad_id),
            ignored: read(&self.ignored),
        }
    }
}
