//! What was counted, by the rows of a [`Structure`](crate::analysis::Structure): the analysis' other input.
//!
//! The owner updates it in place and says which rows it touched; all else is derived here, so that there is one place that
//! knows what a share of requests is.

use crate::analysis::structure::EdgeRow;
use crate::analysis::windows::Recent;
use crate::graph::{Followed, Trials};

/// Calls since counting began, and how many of them failed (`Counts::calls`, `Counts::failures`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Settled calls.
    pub calls: i64,
    /// Errors, timeouts, refusals for lack of room.
    pub failures: i64,
}

impl Tally {
    /// The share that failed; 0 of none.
    pub(super) fn failing(self) -> f64 {
        share(self.failures, self.calls)
    }

    /// Calls that went well.
    pub(super) fn well(self) -> i64 {
        (self.calls - self.failures).max(0)
    }
}

/// What was counted of a node.
#[derive(Clone, Debug, Default)]
pub struct NodeWeights {
    /// Of its calls, those that nobody in sight made (`Counts::entries`, A-04), since counting began.
    pub entries: i64,
    /// All its calls since counting began.
    pub tally: Tally,
    /// Its calls lately, by event time.
    pub recent: Recent,
    /// How many instances of it were seen; unknown for most.
    pub instances: Option<u32>,
}

impl NodeWeights {
    /// Recent requests that nobody in sight made, weighted by age: the recent calls, by the share that entries have of all.
    pub(super) fn requests_from_outside(&self) -> f64 {
        if self.entries <= 0 {
            return 0.0;
        }
        self.recent.calls * share(self.entries, self.tally.calls.max(self.entries))
    }
}

/// What was counted of an edge.
#[derive(Clone, Debug, Default)]
pub struct EdgeWeights {
    /// Its calls since counting began.
    pub tally: Tally,
    /// Its recent calls, weighted by age ([`Recent::calls`]).
    pub calls: f64,
    /// What its failed calls led to.
    pub trials: Trials,
}

/// How often calls of one edge were followed by calls of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Follow {
    /// The edge that was called first.
    pub first: EdgeRow,
    /// The edge that was called next.
    pub then: EdgeRow,
    /// How often, and what came of it.
    pub sums: Followed,
}

/// All of it, by row.
#[derive(Clone, Debug, Default)]
pub struct Weights {
    /// By node.
    pub nodes: Vec<NodeWeights>,
    /// By edge.
    pub edges: Vec<EdgeWeights>,
    /// In any order; a pair stands here once.
    pub follows: Vec<Follow>,
}

/// Which rows were touched since the last look. A row may stand here twice. Structure needs no mention.
#[derive(Clone, Debug, Default)]
pub struct Touched {
    /// Nodes whose weights changed.
    pub nodes: Vec<u32>,
    /// Edges whose weights changed.
    pub edges: Vec<u32>,
    /// Whether any pair of [`Weights::follows`] changed.
    pub follows: bool,
}

/// Below this share of requests that went well they are too few to judge by alone.
const LEAST_WELL: f64 = 0.01;

/// The share of a caller's requests that use an edge, u(e), between 0 and 1.
///
/// Both sides count only requests that went well, so that a failure upstream, which keeps the caller from getting so far,
/// does not make what comes later look optional: recent calls less the share that fell into failing activations
/// ([`Trials::in_failing`]), over recent requests less the share that failed. Where next to nothing went well, all are
/// counted. An edge that is called more than once a request counts once. With no requests at all nothing speaks against
/// the need, and it is 1.
pub(super) fn share_of_requests(edge: &EdgeWeights, requests: f64, caller: Tally) -> f64 {
    if requests <= 0.0 {
        return 1.0;
    }
    let all = edge.calls / requests;
    let good = 1.0 - share(edge.trials.in_failing, edge.tally.calls);
    let well = 1.0 - caller.failing();
    let used = if well > LEAST_WELL {
        all * good / well
    } else {
        all
    };
    used.clamp(0.0, 1.0)
}

/// `part` of `all`, between 0 and 1; 0 of nothing.
#[expect(
    clippy::cast_precision_loss,
    reason = "counts beyond 2^53 differ in no share"
)]
pub(super) fn share(part: i64, all: i64) -> f64 {
    if all <= 0 {
        return 0.0;
    }
    (part.max(0) as f64 / all as f64).min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edge(calls: i64, in_failing: i64) -> EdgeWeights {
        EdgeWeights {
            tally: Tally { calls, failures: 0 },
            calls: calls as f64,
            trials: Trials {
                in_failing,
                ..Trials::default()
            },
        }
    }

    #[test]
    fn a_step_that_failing_requests_do_not_reach_is_still_used_by_all() {
        // 100 requests, 60 of which fail before the step; 40 use it
        let caller = Tally {
            calls: 100,
            failures: 60,
        };
        assert!((share_of_requests(&edge(40, 0), 100.0, caller) - 1.0).abs() < 1e-12);
        // two of the 42 calls fell into requests that failed later: (42 − 2) / 40 = 1
        assert!((share_of_requests(&edge(42, 2), 100.0, caller) - 1.0).abs() < 1e-12);
        // what only failing requests use, no good one needs
        assert_eq!(share_of_requests(&edge(60, 60), 100.0, caller), 0.0);
        // nothing went well: all that is known
        let down = Tally {
            calls: 100,
            failures: 100,
        };
        assert!((share_of_requests(&edge(40, 40), 100.0, down) - 0.4).abs() < 1e-12);
    }

    #[test]
    fn an_edge_called_three_times_a_request_is_used_once() {
        assert_eq!(share_of_requests(&edge(30, 0), 10.0, Tally::default()), 1.0);
        assert_eq!(share_of_requests(&edge(0, 0), 0.0, Tally::default()), 1.0);
    }

    #[test]
    fn a_node_that_others_call_too_has_its_share_of_recent_calls_from_outside() {
        let node = NodeWeights {
            entries: 30,
            tally: Tally {
                calls: 120,
                failures: 0,
            },
            recent: Recent {
                calls: 8.0,
                ..Recent::default()
            },
            instances: None,
        };
        assert_eq!(node.requests_from_outside(), 2.0);
    }
}
