//! Which dependencies are hard: what failed calls led to, weighed as two classes (`detection` §7).
//!
//! ```text
//! L(e) = fell · ln(0.95/ε) + survived · ln(0.05/(1−ε))    ε = min(0.94, P(a fails, nothing follows | e went well) + 0.02)
//! P(hard) = σ(L + ln(π/(1−π)))                            π  = (4 π₀ + Σ P(hard)) / (4 + n), by kind of callee
//! ```
//!
//! π₀ is the same over all kinds around 0.7 with weight 3. An edge without evidence has π. Weak kinds have a prior of their
//! own, 0.3, and lend none; `delivers` has the 0.7 that nothing can teach, since a queue survives nothing. An edge with a
//! fallback lends none either: that callers survive its failures is the other's merit, and else one good pair of models
//! would make every dependency of the system look soft.
//!
//! **A handler** is seen three times at least, nine in ten of them in failing activations: what is called because something
//! failed. Its own failures decide nothing. Where the caller fails that often whatever it calls, every edge would look so,
//! and the rule says nothing.
//!
//! **A fallback** g of e follows at least half of e's failures, follows its successes at less than a fifth of that rate,
//! and the caller survives at least half of the failures that it follows.

use crate::analysis::bounds;
use crate::analysis::structure::{EdgeRow, Structure};
use crate::analysis::weights::{Follow, Tally, Weights, share};
use crate::graph::{Followed, Trials};
use crate::scan::NodeKind;
use std::collections::HashMap;

/// How likely an edge is hard of which nothing is known.
pub(super) const PRIOR: f64 = 0.7;
/// The same for weak kinds (`span-conventions` §1.3).
const WEAK_PRIOR: f64 = 0.3;
/// Edges that the prior weighs as much as, among all kinds and in one.
const PRIOR_WEIGHT: (f64, f64) = (3.0, 4.0);
/// How often priors and what they make of the evidence are fitted to each other. Decided evidence needs two rounds.
const ROUNDS: u32 = 8;
/// A prior is never more certain than this.
const SUREST: f64 = 0.98;

/// How a caller takes the failure of a callee.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Class {
    /// It fails too: P(hard) above 0.9.
    Hard,
    /// It goes on: P(hard) below 0.1, or what is called is a handler of failures.
    Soft,
    /// It is what the caller turns to when another call has failed.
    Fallback,
    /// Nobody waits for the answer.
    Async,
    /// Too little is known.
    #[default]
    Unknown,
}

impl Class {
    /// The word in files, labels and the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Class::Hard => "hard",
            Class::Soft => "soft",
            Class::Fallback => "fallback",
            Class::Async => "async",
            Class::Unknown => "unknown",
        }
    }
}

/// What was learned of an edge.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Hardness {
    /// How the caller takes its failure.
    pub class: Class,
    /// How likely it is hard, 0 to 1: what risk is computed with.
    pub mean: f32,
    /// Failed calls that the caller fell with.
    pub fell: u32,
    /// Failed calls that it survived.
    pub survived: u32,
}

impl Hardness {
    /// How often the caller fails when the callee failed: the 95 % interval of what was seen, whatever else is believed.
    /// All from 0 to 1 when nothing was.
    #[must_use]
    pub fn interval(&self) -> (f64, f64) {
        bounds::interval(f64::from(self.fell), f64::from(self.survived))
    }

    /// Whether evidence says that the caller falls.
    pub(super) fn is_proven(&self) -> bool {
        self.mean > 0.9 && self.fell > 0
    }

    /// Whether nothing that was seen of this edge says that the caller goes on. What others of its kind taught is no
    /// evidence here; a handler, whose mean is 0, is none that anyone falls with.
    pub(super) fn is_unrefuted(&self) -> bool {
        self.is_proven() || (self.survived == 0 && self.mean > 0.0)
    }
}

/// What the trials of an edge say.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Evidence {
    fell: u32,
    survived: u32,
    /// L, if they say anything; no number is low enough for a handler.
    says: Option<f64>,
}

/// What all edges' evidence comes to.
#[derive(Clone, Debug, Default)]
pub(super) struct Learned {
    /// By edge.
    edges: Vec<Hardness>,
    /// By edge.
    evidence: Vec<Evidence>,
    /// Edges with evidence that teach others, with the kind of their callee.
    teachers: Vec<(EdgeRow, NodeKind)>,
    /// By kind of callee.
    priors: [f64; NodeKind::ALL.len()],
    /// Edges whose failed calls were followed by a handler, and how often the caller fell all the same.
    handled: HashMap<EdgeRow, i64>,
    /// By edge: whether it is what the caller turns to, and whether the caller has something to turn to.
    is_fallback: Vec<bool>,
    has_fallback: Vec<bool>,
}

impl Learned {
    /// Weighs all edges, of which these pairs fall back on each other ([`fallbacks`]).
    pub(super) fn new(
        structure: &Structure,
        weights: &Weights,
        pairs: &[(EdgeRow, EdgeRow)],
    ) -> Self {
        let edges = structure.edges().len();
        let mut learned = Learned {
            edges: vec![Hardness::default(); edges],
            evidence: vec![Evidence::default(); edges],
            teachers: Vec::new(),
            priors: [PRIOR; NodeKind::ALL.len()],
            handled: HashMap::new(),
            is_fallback: vec![false; edges],
            has_fallback: vec![false; edges],
        };
        for (first, then) in pairs {
            learned.has_fallback[*first as usize] = true;
            learned.is_fallback[*then as usize] = true;
        }
        learned.weigh(structure, weights, 0..edges as EdgeRow);
        learned
    }

    /// Weighs some edges anew, and all that they teach; returns those whose hardness moved.
    pub(super) fn weigh(
        &mut self,
        structure: &Structure,
        weights: &Weights,
        edges: impl Iterator<Item = EdgeRow> + Clone,
    ) -> Vec<EdgeRow> {
        let handled = handled(structure, weights);
        let before = std::mem::replace(&mut self.handled, handled);
        // those in hand, and those of which handlers say something else than before
        let others = before.keys().chain(self.handled.keys()).copied();
        let mut others: Vec<EdgeRow> = others
            .filter(|edge| before.get(edge) != self.handled.get(edge))
            .collect();
        others.sort_unstable();
        others.dedup();
        let edges = edges.chain(others);
        let mut has_learned = false;
        for edge in edges.clone() {
            has_learned |= self.read(structure, weights, edge);
        }
        if has_learned {
            self.pool();
            return (0..structure.edges().len() as EdgeRow)
                .filter(|edge| self.settle(structure, *edge))
                .collect();
        }
        edges.filter(|edge| self.settle(structure, *edge)).collect()
    }

    /// An edge's hardness; nothing is known of one that is no row.
    pub(super) fn edge(&self, edge: EdgeRow) -> Hardness {
        self.edges.get(edge as usize).copied().unwrap_or_default()
    }

    /// Takes an edge's evidence; says whether it says something else than before.
    fn read(&mut self, structure: &Structure, weights: &Weights, edge: EdgeRow) -> bool {
        let at = edge as usize;
        let (Some(link), Some(figures)) = (structure.edges().get(at), weights.edges.get(at)) else {
            return false;
        };
        let count = |n: i64| u32::try_from(n.max(0)).unwrap_or(u32::MAX);
        let after_handlers = self.handled.get(&edge).copied().unwrap_or_default();
        let trials = Trials {
            fell: figures.trials.fell + after_handlers,
            ..figures.trials
        };
        let (fell, survived) = (count(trials.fell), count(trials.survived));
        let says = if is_handler(structure, weights, edge) {
            Some(f64::NEG_INFINITY)
        } else if link.depender() == link.from && (fell, survived) != (0, 0) {
            Some(log_likelihood(&trials, figures.tally))
        } else {
            None
        };
        let evidence = Evidence {
            fell,
            survived,
            says,
        };
        let had = std::mem::replace(&mut self.evidence[at], evidence).says;
        let teaches = |says: Option<f64>| says.is_some_and(f64::is_finite) && !link.is_async();
        if teaches(says) != teaches(had) {
            if teaches(says) {
                let callee = structure.nodes().get(link.to as usize);
                let kind = callee.map_or(NodeKind::Service, |node| node.kind);
                self.teachers.push((edge, kind));
            } else {
                self.teachers.retain(|(other, _)| *other != edge);
            }
        }
        had != says && (teaches(says) || teaches(had))
    }

    /// Finds the priors that fit what they make of the evidence: always from the same start, so that the way on which the
    /// evidence came leaves no trace.
    fn pool(&mut self) {
        self.priors = [PRIOR; NodeKind::ALL.len()];
        for _ in 0..ROUNDS {
            let mut sums = [0.0; NodeKind::ALL.len()];
            let mut counts = [0.0; NodeKind::ALL.len()];
            for (edge, kind) in &self.teachers {
                let says = self.evidence[*edge as usize].says.unwrap_or(0.0);
                sums[*kind as usize] += posterior(says, self.priors[*kind as usize]);
                counts[*kind as usize] += 1.0;
            }
            let (all, any) = PRIOR_WEIGHT;
            let total =
                (all * PRIOR + sums.iter().sum::<f64>()) / (all + counts.iter().sum::<f64>());
            for ((prior, sum), count) in self.priors.iter_mut().zip(sums).zip(counts) {
                *prior = ((any * total + sum) / (any + count)).clamp(1.0 - SUREST, SUREST);
            }
        }
    }

    /// Computes an edge's hardness from prior and evidence; says whether it moved.
    fn settle(&mut self, structure: &Structure, edge: EdgeRow) -> bool {
        let at = edge as usize;
        let Some(link) = structure.edges().get(at) else {
            return false;
        };
        let prior = if link.is_weak() {
            WEAK_PRIOR
        } else if link.is_async() {
            PRIOR
        } else {
            let callee = structure.nodes().get(link.to as usize);
            callee.map_or(PRIOR, |node| self.priors[node.kind as usize])
        };
        let Evidence {
            fell,
            survived,
            says,
        } = self.evidence[at];
        let mean = says.map_or(prior, |says| posterior(says, prior));
        let class = if link.is_async() {
            Class::Async
        } else if self.is_fallback[at] {
            Class::Fallback
        } else if mean > 0.9 && says.is_some() {
            Class::Hard
        } else if mean < 0.1 && says.is_some() {
            Class::Soft
        } else {
            Class::Unknown
        };
        #[expect(clippy::cast_possible_truncation, reason = "a share for people")]
        let mean = mean as f32;
        let before = self.edges[at];
        self.edges[at] = Hardness {
            class,
            mean,
            fell,
            survived,
        };
        before != self.edges[at]
    }
}

/// Called because something failed.
fn is_handler(structure: &Structure, weights: &Weights, edge: EdgeRow) -> bool {
    let at = edge as usize;
    let (Some(link), Some(figures)) = (structure.edges().get(at), weights.edges.get(at)) else {
        return false;
    };
    let caller = weights.nodes.get(link.from as usize);
    let caller = caller.map_or_else(Tally::default, |node| node.tally);
    // a call and its repeats are one
    let calls = figures.tally.calls - figures.trials.repeats;
    calls >= 3 && share(figures.trials.in_failing, calls) > 0.9 && caller.failing() <= 0.9
}

/// By edge: how often a failed call was followed by a handler alone, and the caller fell: that adds to `fell`.
fn handled(structure: &Structure, weights: &Weights) -> HashMap<EdgeRow, i64> {
    let mut handled = HashMap::new();
    for follow in &weights.follows {
        if follow.sums.fell > 0 && is_handler(structure, weights, follow.then) {
            *handled.entry(follow.first).or_default() += follow.sums.fell;
        }
    }
    handled
}

/// ln P(evidence | hard) − ln P(evidence | soft).
#[expect(
    clippy::cast_precision_loss,
    reason = "counts beyond 2^53 change no weight"
)]
fn log_likelihood(trials: &Trials, calls: Tally) -> f64 {
    let anyway = share(trials.fell_anyway, calls.well());
    let epsilon = (anyway + 0.02).min(0.94);
    let (fell, survived) = (trials.fell.max(0) as f64, trials.survived.max(0) as f64);
    fell * (0.95 / epsilon).ln() + survived * (0.05 / (1.0 - epsilon)).ln()
}

/// σ(L + ln(π/(1−π))).
fn posterior(log_likelihood: f64, prior: f64) -> f64 {
    1.0 / (1.0 + (-(log_likelihood + (prior / (1.0 - prior)).ln())).exp())
}

/// Pairs (e, g) where g is what the caller turns to when e has failed; ascending.
pub(super) fn fallbacks(structure: &Structure, weights: &Weights) -> Vec<(EdgeRow, EdgeRow)> {
    let is_one = |follow: &Follow| {
        let link = |edge: EdgeRow| {
            let link = structure.edges().get(edge as usize)?;
            let is_row = (link.to as usize) < structure.nodes().len();
            is_row.then_some(link)
        };
        let (Some(first), Some(then)) = (link(follow.first), link(follow.then)) else {
            return false;
        };
        let Some(edge) = weights.edges.get(follow.first as usize) else {
            return false;
        };
        let trials = &edge.trials;
        follow.first != follow.then
            && first.from == then.from
            && first.to != then.to
            && is_alternative(&follow.sums, trials.failed, trials.succeeded)
    };
    let mut pairs: Vec<(EdgeRow, EdgeRow)> = weights
        .follows
        .iter()
        .filter(|follow| is_one(follow))
        .map(|follow| (follow.first, follow.then))
        .collect();
    pairs.sort_unstable();
    pairs
}

/// The three conditions; `failures` and `successes` are those of the first edge. With no success to compare with, what
/// follows failures might as well follow always.
fn is_alternative(sums: &Followed, failures: i64, successes: i64) -> bool {
    let failures = failures.max(sums.after_failure);
    sums.after_failure > 0
        && successes > 0
        && 2 * sums.after_failure >= failures
        && 2 * sums.survived >= sums.after_failure
        && share(sums.after_success, successes) < 0.2 * share(sums.after_failure, failures)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::structure::{Link, Node};
    use crate::analysis::weights::{EdgeWeights, NodeWeights};
    use crate::base::NodeId;
    use crate::scan::EdgeKind;

    /// A caller with edges of this kind to nodes of their own, each with these calls, failures and trials.
    fn learned(kind: EdgeKind, edges: &[(Tally, Trials)]) -> (Structure, Weights, Learned) {
        let node = |id, kind| Node {
            id: NodeId(id),
            kind,
            realm: 0,
            is_overflow: false,
        };
        let mut nodes = vec![node(0, NodeKind::Agent)];
        let mut links = Vec::new();
        for to in 1..=edges.len() as u32 {
            nodes.push(node(to, NodeKind::Tool));
            links.push(Link { from: 0, to, kind });
        }
        let structure = Structure::new(nodes, links);
        let weights = Weights {
            nodes: vec![NodeWeights::default(); edges.len() + 1],
            edges: edges
                .iter()
                .map(|(tally, trials)| EdgeWeights {
                    tally: *tally,
                    calls: 0.0,
                    trials: *trials,
                })
                .collect(),
            follows: Vec::new(),
        };
        let learned = Learned::new(&structure, &weights, &[]);
        (structure, weights, learned)
    }

    fn tally(calls: i64, failures: i64) -> Tally {
        Tally { calls, failures }
    }

    fn trials(fell: i64, survived: i64, fell_anyway: i64) -> Trials {
        Trials {
            fell,
            survived,
            fell_anyway,
            failed: fell + survived,
            ..Trials::default()
        }
    }

    fn is_near(a: f32, b: f64) -> bool {
        (f64::from(a) - b).abs() < 1e-4
    }

    /// With ε = 0.02 a fall multiplies the odds by 0.95/0.02 = 47.5, a survival by 0.05/0.98 = 1/19.6.
    #[test]
    fn one_failed_call_says_much_and_two_decide() {
        let hardness = |fell, survived| {
            let given = [(tally(102, fell + survived), trials(fell, survived, 0))];
            learned(EdgeKind::UsesTool, &given).2.edge(0)
        };
        assert!(is_near(hardness(0, 0).mean, 0.7));
        assert_eq!(hardness(0, 0).class, Class::Unknown);
        // π is pulled from 0.7 to where (4π₀ + P)/5 and (2.1 + P)/4 agree with P = σ(ln 47.5 + ln(π/(1−π))) = 0.9950
        let all = (2.1 + 0.995) / 4.0;
        let prior = (4.0 * all + 0.995) / 5.0;
        let odds = 47.5 * prior / (1.0 - prior);
        assert!(is_near(hardness(1, 0).mean, odds / (1.0 + odds)));
        assert_eq!(hardness(1, 0).class, Class::Hard);
        assert_eq!(hardness(0, 1).class, Class::Soft);
        assert_eq!(
            (hardness(2, 0).class, hardness(0, 2).class),
            (Class::Hard, Class::Soft)
        );
        assert_eq!(hardness(1, 1).class, Class::Unknown);
        assert_eq!(hardness(3, 9).fell, 3);
        assert!(hardness(3, 0).interval().0 > 0.4 && hardness(0, 9).interval().1 < 0.25);
    }

    /// ε = min(0.94, 45/100 + 0.02): a caller that falls as often when the call went well says little by falling.
    #[test]
    fn a_caller_that_falls_anyway_says_little() {
        let given = [(tally(101, 1), trials(1, 0, 45))];
        let (_, _, learned) = learned(EdgeKind::UsesTool, &given);
        let says = (0.95f64 / 0.47).ln();
        assert!((learned.evidence[0].says.unwrap() - says).abs() < 1e-12);
        assert_eq!(learned.edge(0).class, Class::Unknown);
    }

    #[test]
    fn edges_of_one_kind_lend_each_other_what_they_learned() {
        let soft = (tally(100, 5), trials(0, 5, 0));
        let (structure, mut weights, mut learned) = learned(
            EdgeKind::UsesTool,
            &[soft, soft, soft, soft, (tally(9, 0), trials(0, 0, 0))],
        );
        // π = (4·(3·0.7 + 0)/(3 + 4) + 0)/(4 + 4) = 0.15 where all four are soft for certain
        assert!(is_near(learned.edge(4).mean, 0.15));
        weights.edges[0].trials.fell = 50;
        let moved = learned.weigh(&structure, &weights, std::iter::once(0));
        assert!(moved.contains(&4) && learned.edge(4).mean > 0.25);
    }

    /// `detection` §7: weak kinds have a prior of their own, and evidence may say otherwise.
    #[test]
    fn weak_kinds_begin_at_three_tenths() {
        let fell = (tally(100, 3), trials(3, 0, 0));
        let (_, _, learned) = learned(EdgeKind::Messages, &[(tally(5, 0), trials(0, 0, 0)), fell]);
        assert!(is_near(learned.edge(0).mean, 0.3));
        assert!(learned.edge(1).mean > 0.99);
        assert_eq!(
            (learned.edge(0).class, learned.edge(1).class),
            (Class::Async, Class::Async)
        );
    }

    #[test]
    fn what_is_called_because_something_failed_is_soft_whatever_follows_it() {
        let handler = Trials {
            in_failing: 10,
            ..trials(4, 0, 0)
        };
        let given = [(tally(10, 4), handler), (tally(100, 0), trials(0, 0, 0))];
        let (structure, mut weights, soft) = learned(EdgeKind::UsesTool, &given);
        assert_eq!((soft.edge(0).class, soft.edge(0).mean), (Class::Soft, 0.0));
        assert!(is_near(soft.edge(1).mean, 0.7));
        // where all of the caller's activations fail, that says nothing
        weights.nodes[0].tally = tally(10, 10);
        assert_eq!(
            Learned::new(&structure, &weights, &[]).edge(0).class,
            Class::Hard
        );
    }

    /// What is called because something failed does not save the caller: the failure before it decided (§7).
    #[test]
    fn a_failure_that_a_handler_alone_follows_counts_for_the_call_before() {
        let handler = Trials {
            in_failing: 5,
            ..Trials::default()
        };
        let edges = [(tally(100, 5), Trials::default()), (tally(5, 0), handler)];
        let (structure, mut weights, _) = learned(EdgeKind::UsesTool, &edges);
        weights.nodes[0].tally = tally(100, 5);
        let sums = Followed {
            after_failure: 5,
            fell: 5,
            ..Followed::default()
        };
        weights.follows.push(Follow {
            first: 0,
            then: 1,
            sums,
        });
        let mut learned = Learned::new(&structure, &weights, &[]);
        let first = learned.edge(0);
        assert_eq!((first.class, first.fell), (Class::Hard, 5));
        // it turns out to be called in good times, too: no handler
        weights.edges[1].tally.calls = 50;
        learned.weigh(&structure, &weights, 1..2);
        assert_eq!(learned.edge(0).fell, 0);
    }

    #[test]
    fn a_fallback_follows_failures_and_not_successes() {
        let follow = |after_failure, survived, after_success| Followed {
            after_failure,
            survived,
            after_success,
            ..Followed::default()
        };
        assert!(is_alternative(&follow(5, 4, 2), 10, 100));
        assert!(
            !is_alternative(&follow(4, 4, 0), 10, 100),
            "fewer than half"
        );
        assert!(!is_alternative(&follow(5, 2, 0), 10, 100), "does not help");
        assert!(
            !is_alternative(&follow(5, 5, 10), 10, 100),
            "comes next anyway"
        );
        assert!(
            !is_alternative(&follow(5, 5, 0), 5, 0),
            "nothing to compare with"
        );
    }
}
