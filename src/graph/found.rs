//! What is found out about a span beside it, or in another trace.

use crate::base::NodeId;
use crate::scan::{NO_NODE, NodeKind, Outcome};

/// What was found beside a span or in another trace, and counts before what stands above it (B-13).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Turn {
    /// Of a handoff: who took over (E-15, E-16). Of a workflow's step: whose turn it is (K-44). [`NO_NODE`] for nobody.
    pub(crate) node: NodeId,
    /// Who calls, if not what stands above (E-12, E-19, E-27, E-35, K-44); the node itself where it is no call;
    /// [`NO_NODE`] where the structure says.
    pub(crate) from: NodeId,
    /// What `from` is.
    pub(crate) kind: NodeKind,
    /// Control passes from there (E-12, K-44). Of a weak handoff: it is one (E-14).
    pub(crate) passes: bool,
    /// `from` is the same thing under another name (E-17).
    pub(crate) is_one: bool,
    /// How the turn or what runs inside ended (E-16, O-16).
    pub(crate) outcome: Outcome,
}

impl Turn {
    /// Nothing was found.
    pub(crate) const NOBODY: Turn = Turn {
        node: NO_NODE,
        from: NO_NODE,
        kind: NodeKind::Service,
        passes: false,
        is_one: false,
        outcome: Outcome::Ok,
    };
}
