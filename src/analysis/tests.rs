//! The analysis as a whole: against brute force, from look to look, and on a small system whose answers are known.

use super::*;
use crate::base::NodeId;
use crate::demo::{REFERENCE, Step};
use crate::graph::{Followed, Row, Trials};
use crate::scan::{EdgeKind, NodeKind};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Requests of every node in these systems.
const REQUESTS: i64 = 100;

/// A system with its figures, in the making.
#[derive(Clone, Debug, Default)]
pub(super) struct System {
    pub(super) nodes: Vec<Node>,
    pub(super) links: Vec<Link>,
    pub(super) weights: Weights,
}

impl System {
    pub(super) fn node(&mut self, kind: NodeKind, entries: i64) -> Row {
        let row = self.nodes.len() as Row;
        self.nodes.push(Node {
            id: NodeId(row),
            kind,
            realm: 0,
            is_overflow: false,
        });
        let mut figures = NodeWeights {
            entries,
            ..NodeWeights::default()
        };
        figures.tally.calls = REQUESTS;
        figures.recent.calls = REQUESTS as f64;
        self.weights.nodes.push(figures);
        row
    }

    /// An edge that so many of the caller's requests use.
    pub(super) fn edge(&mut self, from: Row, to: Row, kind: EdgeKind, calls: i64) -> EdgeRow {
        self.links.push(Link { from, to, kind });
        self.weights.edges.push(EdgeWeights {
            tally: Tally { calls, failures: 0 },
            calls: calls as f64,
            trials: Trials::default(),
        });
        self.links.len() as EdgeRow - 1
    }

    /// Says that calls of `then` save the caller when `first` fails.
    pub(super) fn falls_back(&mut self, first: EdgeRow, then: EdgeRow) {
        self.weights.follows.push(Follow {
            first,
            then,
            sums: Followed {
                after_failure: 4,
                survived: 4,
                ..Followed::default()
            },
        });
        let trials = &mut self.weights.edges[first as usize].trials;
        trials.survived += 4;
        trials.failed += 4;
        trials.succeeded += REQUESTS;
    }

    pub(super) fn structure(&self) -> Arc<Structure> {
        Arc::new(Structure::new(self.nodes.clone(), self.links.clone()))
    }

    pub(super) fn analysis(&self) -> Analysis {
        Analyst::new(RiskSettings::default()).look_whole(&self.structure(), &self.weights)
    }
}

/// Everyone who fails for certain when `removed` does, by the rule alone.
fn brute_force(system: &System, removed: Row) -> Vec<bool> {
    let leads_to = |edge: EdgeRow| {
        let mut all = vec![edge];
        loop {
            let more: Vec<EdgeRow> = system
                .weights
                .follows
                .iter()
                .filter(|follow| all.contains(&follow.first) && !all.contains(&follow.then))
                .map(|follow| follow.then)
                .collect();
            let Some(next) = more.first() else {
                return all;
            };
            all.push(*next);
        }
    };
    let is_certain = |edge: EdgeRow| {
        let all = leads_to(edge);
        let backs = |other: EdgeRow| leads_to(other).contains(&edge);
        let is_only_fallback = system
            .weights
            .follows
            .iter()
            .any(|follow| follow.then == edge && !all.contains(&follow.first));
        let used: f64 = all
            .iter()
            .filter(|other| backs(**other))
            .map(|other| system.weights.edges[*other as usize].calls / REQUESTS as f64)
            .sum();
        let resorts: Vec<EdgeRow> = if all.len() == 1 {
            all.clone()
        } else {
            // the one that stands first for its set is not asked
            let first = all.iter().copied().filter(|other| backs(*other)).min();
            all.iter()
                .copied()
                .filter(|other| Some(*other) != first)
                .collect()
        };
        let survives = |other: &EdgeRow| system.weights.edges[*other as usize].trials.survived > 0;
        let is_weak = all
            .iter()
            .any(|other| system.links[*other as usize].is_weak());
        !is_only_fallback && !is_weak && used >= 0.95 && !resorts.iter().any(survives)
    };
    let mut fails = vec![false; system.nodes.len()];
    fails[removed as usize] = true;
    loop {
        let mut has_changed = false;
        for (edge, link) in (0..).zip(&system.links) {
            let depender = link.depender() as usize;
            let all_fail = leads_to(edge)
                .iter()
                .all(|other| fails[system.links[*other as usize].dependee() as usize]);
            if link.from != link.to && !fails[depender] && all_fail && is_certain(edge) {
                fails[depender] = true;
                has_changed = true;
            }
        }
        if !has_changed {
            return fails;
        }
    }
}

const KINDS: [EdgeKind; 5] = [
    EdgeKind::Calls,
    EdgeKind::Calls,
    EdgeKind::Calls,
    EdgeKind::Messages,
    EdgeKind::Delivers,
];

/// Random systems with circles, fallbacks of fallbacks, optional calls, and edges that were survived.
pub(super) fn systems() -> impl Strategy<Value = System> {
    let edge = (
        0u32..9,
        0u32..9,
        0usize..5,
        0usize..4,
        any::<bool>(),
        0u32..6,
    );
    let entries = prop::collection::vec(0i64..3, 9);
    let follows = prop::collection::vec(
        (any::<prop::sample::Index>(), any::<prop::sample::Index>()),
        0..5,
    );
    (entries, prop::collection::vec(edge, 1..24), follows).prop_map(|(entries, edges, follows)| {
        let mut system = System::default();
        for entries in entries {
            system.node(NodeKind::Service, (entries - 1).max(0) * REQUESTS);
        }
        for (from, to, kind, used, is_survived, _) in edges {
            let kind = KINDS[kind];
            if system.links.contains(&Link { from, to, kind }) {
                continue;
            }
            let edge = system.edge(from, to, kind, [REQUESTS, REQUESTS, REQUESTS, 40][used]);
            if is_survived && used == 0 {
                system.weights.edges[edge as usize].trials.survived = 5;
            }
        }
        for (first, then) in follows {
            let edges = system.links.len();
            let (first, then) = (first.index(edges), then.index(edges));
            let (a, b) = (system.links[first], system.links[then]);
            let is_pair = a.kind == EdgeKind::Calls && b.kind == EdgeKind::Calls;
            let (first, then) = (first as EdgeRow, then as EdgeRow);
            let is_known = system
                .weights
                .follows
                .iter()
                .any(|follow| (follow.first, follow.then) == (first, then));
            // at least half of the failures: two alternatives at most
            let others = system
                .weights
                .follows
                .iter()
                .filter(|follow| follow.first == first);
            if is_pair
                && a.from == b.from
                && a.to != b.to
                && a.from != a.to
                && b.from != b.to
                && !is_known
                && others.count() == 0
            {
                system.falls_back(first, then);
                system.weights.edges[first as usize].trials.survived = 4;
            }
        }
        system
    })
}

proptest! {
    /// R-GRA-4, `detection` §7: check by removing v and evaluating.
    #[test]
    fn a_single_point_of_failure_is_what_takes_another_entry_along(system in systems()) {
        let analysis = system.analysis();
        let total: f64 = analysis.entries().iter().map(|entry| entry.requests).sum();
        for removed in 0..system.nodes.len() as Row {
            let fails = brute_force(&system, removed);
            let failing = analysis.entries().iter().filter(|entry| fails[entry.row as usize]);
            let others = failing.clone().filter(|entry| entry.row != removed).count();
            let share: f64 = failing.map(|entry| entry.requests).sum::<f64>() / total;
            let found = analysis.node(removed).unwrap();
            prop_assert_eq!(found.is_spof, others > 0, "{} of {:#?}", removed, system);
            let share = if others > 0 { share } else { 0.0 };
            prop_assert!((f64::from(found.spof_share) - share).abs() < 1e-4);
        }
    }

    #[test]
    fn counts_and_shares_keep_their_bounds(system in systems()) {
        let analysis = system.analysis();
        for (row, node) in (0..).zip(analysis.nodes().iter()) {
            let mut depend = vec![false; system.nodes.len()];
            depend[row as usize] = true;
            for _ in 0..system.nodes.len() {
                for link in &system.links {
                    depend[link.depender() as usize] |= depend[link.dependee() as usize];
                }
            }
            let transitive = depend.iter().filter(|depends| **depends).count() as u32 - 1;
            prop_assert_eq!(node.blast.transitive, transitive);
            prop_assert!(node.blast.direct <= transitive && node.blast.failing <= transitive);
            let spof = node.terms[Term::Spof as usize];
            prop_assert!(spof <= node.blast.share && spof <= node.spof_share && node.blast.share <= 1.0);
            prop_assert!(spof == node.spof_share || !node.is_proven);
            prop_assert!(node.terms.iter().all(|term| (0.0..=1.0).contains(term)));
            prop_assert!((0.0..=10.0).contains(&node.score) && node.score <= analysis.system());
        }
    }

    /// What is carried from look to look is what a fresh look finds, however little a look may do.
    #[test]
    fn looks_add_up_to_one_from_scratch(
        system in systems(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), 0usize..4, 0i64..3), 1..8),
        steps in 1u64..200,
    ) {
        let structure = system.structure();
        let settings = RiskSettings { steps, ..RiskSettings::default() };
        let mut analyst = Analyst::new(settings);
        analyst.slack = 0.0;
        let mut system = system;
        analyst.look(&structure, &system.weights, &Touched::default());
        for (edge, used, fell) in changes {
            let edge = edge.index(system.links.len());
            system.weights.edges[edge].calls = [100.0, 100.0, 40.0, 0.0][used];
            system.weights.edges[edge].trials.fell += fell;
            let touched = Touched { edges: vec![edge as EdgeRow], follows: true, ..Touched::default() };
            analyst.look(&structure, &system.weights, &touched);
        }
        let mut latest = analyst.latest().clone();
        for _ in 0..20 {
            latest = analyst.look(&structure, &system.weights, &Touched::default());
        }
        let fresh = Analyst::new(RiskSettings::default()).look_whole(&structure, &system.weights);
        prop_assert_eq!(latest.stale(), 0);
        for (row, (a, b)) in latest.nodes().iter().zip(fresh.nodes().iter()).enumerate() {
            prop_assert_eq!((a.is_spof, a.is_proven, a.spof_share), (b.is_spof, b.is_proven, b.spof_share), "{}", row);
            prop_assert!((a.blast.share - b.blast.share).abs() < 1e-3);
            prop_assert_eq!((a.blast.direct, a.blast.transitive), (b.blast.direct, b.blast.transitive));
        }
        for (a, b) in latest.edges().iter().zip(fresh.edges().iter()) {
            prop_assert_eq!((a.class, a.fell, a.survived), (b.class, b.fell, b.survived));
            prop_assert!((a.mean - b.mean).abs() < 1e-3);
        }
    }
}

/// gateway 0 → orchestrator 1 → model 2, with a fallback 3; tool 4 for four in ten requests.
fn small() -> System {
    let mut system = System::default();
    for (kind, entries) in [
        (NodeKind::Service, REQUESTS),
        (NodeKind::Agent, 0),
        (NodeKind::Model, 0),
        (NodeKind::Model, 0),
        (NodeKind::Tool, 0),
    ] {
        system.node(kind, entries);
    }
    system.edge(0, 1, EdgeKind::Invokes, 100);
    let first = system.edge(1, 2, EdgeKind::CallsModel, 100);
    let second = system.edge(1, 3, EdgeKind::CallsModel, 5);
    system.edge(1, 4, EdgeKind::UsesTool, 40);
    system.falls_back(first, second);
    system
}

#[test]
fn a_model_with_a_fallback_is_no_single_point_of_failure() {
    let mut system = small();
    let found = system.analysis();
    let spofs = |found: &Analysis| found.nodes().iter().map(|n| n.is_spof).collect::<Vec<_>>();
    assert_eq!(spofs(&found), [false, true, false, false, false]);
    assert_eq!(found.edge(2).map(|edge| edge.class), Some(Class::Fallback));
    // without the fallback, but survived all the same: the orchestrator goes on without its model
    system.weights.follows.clear();
    assert_eq!(
        spofs(&system.analysis()),
        [false, true, false, false, false]
    );
    // nothing survived: it is one, as far as anyone knows
    system.weights.edges[1].trials = Trials::default();
    let found = system.analysis();
    assert_eq!(spofs(&found), [false, true, true, false, false]);
    assert!(!found.node(2).is_some_and(|node| node.is_proven));
    // seen to take its caller along
    system.weights.edges[1].trials.fell = 2;
    system.weights.edges[0].trials.fell = 2;
    let found = system.analysis();
    assert!(
        found
            .node(2)
            .is_some_and(|node| node.is_proven && node.spof_share == 1.0)
    );
}

/// All edges unknown: h = 0.7 each. Tool: 0.4 · 0.7 of the orchestrator's requests, 0.7 of these the gateway's.
#[test]
fn the_expected_share_follows_use_and_hardness_upwards() {
    let mut system = small();
    system.weights.follows.clear();
    system.weights.edges[1].trials = Trials::default();
    let found = system.analysis();
    let tool = found.node(4).unwrap().blast;
    assert_eq!((tool.direct, tool.transitive, tool.failing), (1, 2, 0));
    assert!((tool.share - 0.4 * 0.7 * 0.7).abs() < 1e-4);
    // the model's failure takes all along if what is assumed is so: 0.7, which is more than the 0.49 expected
    let model = found.node(2).unwrap();
    assert_eq!((model.spof_share, model.blast.share), (1.0, 0.7));
}

/// 0.1 into two nodes that need each other at 0.9 is 0.1, not the 0.37 of the fixed point.
#[test]
fn a_circle_does_not_amplify_what_enters_it() {
    let mut system = System::default();
    for entries in [REQUESTS, 0, 0] {
        system.node(NodeKind::Service, entries);
    }
    system.edge(0, 1, EdgeKind::Calls, 90);
    system.edge(1, 0, EdgeKind::Calls, 90);
    system.edge(0, 2, EdgeKind::Calls, 10);
    let found = system.analysis();
    assert!((found.node(2).unwrap().blast.share - 0.07).abs() < 1e-4);
    assert_eq!(found.cycles(), [Cycle { rows: vec![0, 1] }]);
    assert_eq!(
        (found.node(1).unwrap().cycle, found.node(2).unwrap().cycle),
        (0, u32::MAX)
    );
}

#[test]
fn an_unchanged_look_shares_every_page() {
    let mut system = System::default();
    for _ in 0..200 {
        system.node(NodeKind::Service, REQUESTS);
    }
    for row in 0..199 {
        system.edge(row, row + 1, EdgeKind::Calls, 40);
    }
    let structure = system.structure();
    let mut analyst = Analyst::new(RiskSettings::default());
    let before = analyst.look(&structure, &system.weights, &Touched::default());
    assert_eq!(before.stale(), 0);
    system.weights.nodes[150].recent.minute.calls = 10;
    system.weights.nodes[150].recent.minute.failures = 10;
    system.weights.nodes[150].recent.five = system.weights.nodes[150].recent.minute;
    let touched = Touched {
        nodes: vec![150],
        ..Touched::default()
    };
    let after = analyst.look(&structure, &system.weights, &touched);
    assert_eq!(before.nodes().shared_with(after.nodes()), 12);
    assert_eq!(before.edges().shared_with(after.edges()), 13);
    assert!(after.node(150).unwrap().score > before.node(150).unwrap().score);
}

/// The reference system as an hour of it would be counted, each name with its row. `has_failed`: its first provider was
/// down for a while.
fn reference(has_failed: bool) -> (System, BTreeMap<&'static str, Row>) {
    let truth = REFERENCE.truth();
    let mut system = System::default();
    let mut rows = BTreeMap::new();
    for (kind, name) in &truth.nodes {
        let kind = NodeKind::ALL
            .into_iter()
            .find(|k| k.as_str() == *kind)
            .unwrap();
        let entry = REFERENCE
            .entries
            .iter()
            .find(|entry| entry.component == *name);
        let requests = entry.map_or(0.0, |entry| 3600.0 / entry.every.as_secs_f64());
        let row = system.node(kind, requests as i64);
        system.weights.nodes[row as usize].tally.calls = requests as i64;
        system.weights.nodes[row as usize].recent.calls = requests;
        rows.insert(*name, row);
    }
    let mut edges = BTreeMap::new();
    for (from, kind, to) in &truth.edges {
        let kind = EdgeKind::ALL
            .into_iter()
            .find(|k| k.as_str() == *kind)
            .unwrap();
        edges.insert((*from, *to), system.edge(rows[from], rows[to], kind, 0));
    }
    // there is no circle: after so many rounds every request has come down
    let mut open: Vec<(&str, f64)> = REFERENCE
        .entries
        .iter()
        .map(|entry| (entry.component, 3600.0 / entry.every.as_secs_f64()))
        .collect();
    while let Some((name, requests)) = open.pop() {
        let component = REFERENCE.component(name).unwrap();
        for call in component.steps.iter().flat_map(Step::calls) {
            let edge = edges[&(name, call.to)];
            let made = requests * call.chance;
            let weights = &mut system.weights.edges[edge as usize];
            weights.calls += made;
            weights.tally.calls = weights.calls as i64;
            system.weights.nodes[rows[call.to] as usize].recent.calls += made;
            open.push((call.to, made));
            let Some(other) = call.fallback else {
                continue;
            };
            let then = edges[&(name, other)];
            system.weights.edges[then as usize].calls += made * 0.02;
            let is_known = system
                .weights
                .follows
                .iter()
                .any(|follow| follow.first == edge);
            if has_failed && !is_known {
                system.falls_back(edge, then);
            }
        }
    }
    (system, rows)
}

/// R-SYS-1: what everyone needs, and what has no other way, and not everything.
#[test]
fn the_reference_systems_single_points_of_failure_are_what_all_its_work_needs() {
    let spofs = |has_failed| {
        let (system, rows) = reference(has_failed);
        let found = system.analysis();
        let is_one = |row: &Row| found.node(*row).unwrap().is_spof;
        let names = rows.iter().filter(|(_, row)| is_one(row));
        names.map(|(name, _)| *name).collect::<Vec<_>>()
    };
    let always = [
        "claude-sonnet-4-5",
        "fact-checker",
        "load_state",
        "log-scanner",
        "look_up_source",
        "orchestrator",
        "report-writer",
        "reviewer",
        "search",
        "search_logs",
        "sessions",
        "state",
        "triage",
    ];
    assert_eq!(spofs(true), always);
    // before the first provider was seen to fail, nobody knows that there is another
    let mut before = always.to_vec();
    before.extend(["gpt-4o", "gpt-4o-mini"]);
    before.sort_unstable();
    assert_eq!(spofs(false), before);
}

#[test]
fn the_reference_systems_scores_tell_the_chain_from_the_branches() {
    let (system, rows) = reference(true);
    let found = system.analysis();
    let node = |name| found.node(rows[name]).unwrap();
    let entries: Vec<(Row, f32)> = found.entries().iter().map(|e| (e.row, e.share)).collect();
    assert_eq!(entries[0].0, rows["gateway"]);
    assert!((entries[0].1 - 0.762).abs() < 0.001 && (entries[1].1 - 0.238).abs() < 0.001);
    assert!((node("orchestrator").spof_share - 0.762).abs() < 0.001);
    // both workflows keep their state there
    assert!((node("sessions").spof_share - 1.0).abs() < 1e-6);
    assert!(node("orchestrator").score > node("risk-analyst").score);
    assert!(node("risk-analyst").score > node("documents").score);
    assert_eq!(node("documents").blast.share, 0.0);
    assert!(found.system() >= node("sessions").score && found.system() < 10.0);
}
