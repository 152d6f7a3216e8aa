//! What changed from one published graph to the next, in lines for people.
//!
//! **Bounds.** The graphs of the last [`WINDOW`], and what is known of each node and edge, which the guard bounds.
//! **Not here.** Detection as the daemon does it: these lines show a demonstration what its graph says.

use crate::base::NodeId;
use crate::graph::{Counts, EdgeRow, GraphSnapshot, NodeRow};
use crate::guard::Snapshot;
use crate::scan::{EdgeKind, NodeKind};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

/// How far back calls are looked at.
pub(super) const WINDOW: Duration = Duration::from_secs(10);
/// How far back a call must be good for a node to have recovered.
const RECOVERY: Duration = Duration::from_secs(4);
/// Fewer calls say nothing.
const LEAST_CALLS: i64 = 4;
/// So few say something if all of them failed.
const FEW_CALLS: i64 = 2;
/// The share of failures from which a node is failing.
const FAILING: f64 = 0.3;
/// How many times its usual time makes a node slow, and how many fewer it has then recovered.
const SLOW: f64 = 5.0;
const SLOW_NO_MORE: f64 = 2.0;
/// Calls after which a node's usual time is known.
const LEARNT: i64 = 10;
/// How much of the usual time a new second makes up.
const NEW: f64 = 0.1;

/// What is wrong with a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trouble {
    Failing,
    Slow,
}

/// Sums over a time.
#[derive(Clone, Copy, Debug, Default)]
struct Sums {
    calls: i64,
    failures: i64,
    duration_ns: i64,
}

impl Sums {
    fn of(counts: &Counts) -> Self {
        Sums {
            calls: counts.calls,
            failures: counts.failures(),
            duration_ns: counts.duration_ns,
        }
    }

    fn since(self, earlier: Sums) -> Sums {
        Sums {
            calls: self.calls - earlier.calls,
            failures: self.failures - earlier.failures,
            duration_ns: self.duration_ns - earlier.duration_ns,
        }
    }

    /// Many calls of which a share failed, or few that all did.
    fn is_failing(&self) -> bool {
        let share = self.failures as f64 / self.calls.max(1) as f64;
        self.calls >= LEAST_CALLS && share >= FAILING
            || self.calls >= FEW_CALLS && self.failures == self.calls
    }

    fn mean_ms(&self) -> f64 {
        self.duration_ns as f64 / self.calls.max(1) as f64 / 1e6
    }
}

/// Compares published graphs, oldest first.
#[derive(Debug, Default)]
pub(super) struct Watch {
    past: VecDeque<(Duration, Arc<Snapshot>)>,
    nodes: BTreeSet<NodeId>,
    edges: BTreeSet<(NodeId, NodeId, EdgeKind)>,
    /// Mean milliseconds of a call while all is well.
    usual: BTreeMap<NodeId, f64>,
    troubles: BTreeMap<NodeId, Trouble>,
    /// Until when a node's calls are not held against it any more.
    forgiven: BTreeMap<NodeId, Duration>,
    /// Who is known to have gone from which failing model to which other.
    fallbacks: BTreeSet<(NodeId, NodeId, NodeId)>,
}

impl Watch {
    /// What changed since the last look.
    pub(super) fn look(&mut self, at: Duration, snapshot: &Arc<Snapshot>) -> Vec<String> {
        let graph = &snapshot.graph;
        let mut lines = self.discovered(graph);
        self.past.push_back((at, Arc::clone(snapshot)));
        while self
            .past
            .get(1)
            .is_some_and(|(next, _)| *next + WINDOW <= at)
        {
            self.past.pop_front();
        }
        self.judge(graph, &mut lines);
        self.fell_back(graph, &mut lines);
        lines
    }

    /// How many nodes and edges there are.
    pub(super) fn found(&self) -> (usize, usize) {
        (self.nodes.len(), self.edges.len())
    }

    /// The nodes with the most failures in the window, then the slowest against their usual time.
    pub(super) fn table(&self, rows: usize) -> String {
        let Some((_, snapshot)) = self.past.back() else {
            return String::new();
        };
        let mut sums: Vec<(&NodeRow, Sums)> = snapshot
            .graph
            .nodes()
            .iter()
            .map(|row| (row, self.window(row, WINDOW)))
            .filter(|(_, sums)| sums.calls > 0)
            .collect();
        let slower = |row: &NodeRow, sums: &Sums| {
            let usual = self.usual.get(&row.record.node);
            usual.map_or(1.0, |usual| sums.mean_ms() / usual.max(f64::EPSILON))
        };
        sums.sort_by(|(a, x), (b, y)| {
            y.failures
                .cmp(&x.failures)
                .then_with(|| slower(b, y).total_cmp(&slower(a, x)))
        });
        let mut out = format!(
            "  {:<10} {:<28} {:>6} {:>9} {:>10} {:>10}\n",
            "last 10 s", "name", "calls", "failures", "mean", "usual"
        );
        for (row, sums) in sums.into_iter().take(rows) {
            let usual = self.usual.get(&row.record.node);
            let line = writeln!(
                out,
                "  {:<10} {:<28} {:>6} {:>9} {:>7.0} ms {:>10}",
                row.record.key.kind.as_str(),
                name(row),
                sums.calls,
                sums.failures,
                sums.mean_ms(),
                usual.map_or("-".to_owned(), |usual| format!("{usual:.0} ms")),
            );
            // writing to a `String` cannot fail
            line.unwrap_or_default();
        }
        out
    }

    /// Nodes by kind, and edges by source; those for sure, that will not move when a missing parent comes.
    fn discovered(&mut self, graph: &GraphSnapshot) -> Vec<String> {
        let mut edges = BTreeMap::<(NodeId, EdgeKind), Vec<String>>::new();
        let mut ends = BTreeSet::new();
        for edge in graph.edges().iter().filter(|edge| edge.counts.calls > 0) {
            if self.edges.insert((edge.from, edge.to, edge.kind)) {
                let to = graph.node(edge.to).map(name);
                edges.entry((edge.from, edge.kind)).or_default().extend(to);
                ends.extend([edge.from, edge.to]);
            }
        }
        let mut lines = Vec::new();
        for kind in NodeKind::ALL {
            let new: Vec<String> = graph
                .nodes()
                .iter()
                .filter(|row| row.record.key.kind == kind)
                .filter(|row| row.counts.calls > 0 || ends.contains(&row.record.node))
                .filter(|row| self.nodes.insert(row.record.node))
                .map(name)
                .collect();
            if !new.is_empty() {
                lines.push(format!("+ {kind} {}", new.join(", ")));
            }
        }
        for ((from, kind), to) in edges {
            if let Some(from) = graph.node(from) {
                lines.push(format!("+ edge {} {kind} {}", name(from), to.join(", ")));
            }
        }
        lines
    }

    /// Who has come into trouble, and who is out of it.
    fn judge(&mut self, graph: &GraphSnapshot, lines: &mut Vec<String>) {
        let before = self.troubles.clone();
        let mut recovered = Vec::new();
        for row in graph.nodes() {
            let node = row.record.node;
            let (long, short) = (self.held_against(row), self.window(row, RECOVERY));
            let last = self.window(row, Duration::ZERO);
            let usual = self.usual.get(&node).copied();
            // who is called seldom is looked at over the whole window
            let recent = [
                (short, RECOVERY, LEAST_CALLS),
                (self.window(row, WINDOW), WINDOW, 1),
            ];
            let is_well = |trouble: Trouble, sums: &Sums| match trouble {
                Trouble::Failing => sums.failures == 0,
                Trouble::Slow => usual.is_some_and(|usual| sums.mean_ms() < SLOW_NO_MORE * usual),
            };
            match before.get(&node) {
                Some(trouble) => recovered.extend(
                    recent
                        .into_iter()
                        .find(|(sums, _, least)| sums.calls >= *least && is_well(*trouble, sums))
                        .map(|(sums, span, _)| (row, *trouble, sums, span)),
                ),
                None if long.is_failing() => {
                    self.troubles.insert(node, Trouble::Failing);
                }
                None if last.calls > 0
                    && last.failures == 0
                    && usual.is_some_and(|usual| last.mean_ms() > SLOW * usual) =>
                {
                    self.troubles.insert(node, Trouble::Slow);
                }
                None if last.calls > 0 && last.failures == 0 => {
                    let (mean, learnt) = (last.mean_ms(), row.counts.calls >= LEARNT);
                    match self.usual.get_mut(&node) {
                        Some(usual) => *usual += NEW * (mean - *usual),
                        None if learnt => {
                            self.usual.insert(node, Sums::of(&row.counts).mean_ms());
                        }
                        None => {}
                    }
                }
                None => {}
            }
        }
        for row in graph.nodes() {
            if !before.contains_key(&row.record.node) {
                lines.extend(self.complaint(graph, row));
            }
        }
        let now = self.past.back().map_or(Duration::ZERO, |(at, _)| *at);
        for (row, trouble, sums, span) in recovered {
            self.troubles.remove(&row.record.node);
            self.forgiven.insert(row.record.node, now);
            self.fallbacks
                .retain(|(_, from, _)| *from != row.record.node);
            let how = match trouble {
                Trouble::Failing => "none failed",
                Trouble::Slow => "as quick as usual",
            };
            lines.push(format!(
                "✓ {} recovered: {} calls in the last {} s, {how}, {:.0} ms each",
                name(row),
                sums.calls,
                span.as_secs(),
                sums.mean_ms()
            ));
        }
    }

    /// What to say of a node that has just come into trouble; why, if something that it calls is in trouble too.
    fn complaint(&self, graph: &GraphSnapshot, row: &NodeRow) -> Option<String> {
        let trouble = *self.troubles.get(&row.record.node)?;
        let at = graph.row(row.record.node)?;
        let below: Vec<String> = graph
            .edges_from(at)
            .filter(|edge| self.troubles.contains_key(&edge.to))
            .filter_map(|edge| graph.node(edge.to).map(name))
            .collect();
        let why = if below.is_empty() {
            String::new()
        } else {
            format!("; it calls {}", below.join(", "))
        };
        Some(match trouble {
            Trouble::Failing => {
                let sums = self.window(row, WINDOW);
                format!(
                    "! {} failing: {} of {} calls in the last {} s{why}",
                    name(row),
                    sums.failures,
                    sums.calls,
                    WINDOW.as_secs()
                )
            }
            Trouble::Slow => format!(
                "! {} slow: {:.0} ms a call, {:.0} ms as usual{why}",
                name(row),
                self.window(row, Duration::ZERO).mean_ms(),
                self.usual.get(&row.record.node)?
            ),
        })
    }

    /// Who asks another provider's model while one fails him.
    fn fell_back(&mut self, graph: &GraphSnapshot, lines: &mut Vec<String>) {
        let mut new = BTreeMap::<NodeId, Vec<String>>::new();
        for (at, caller) in (0..).zip(graph.nodes()) {
            let models = graph.edges_from(at);
            let models = models.filter(|edge| edge.kind == EdgeKind::CallsModel);
            let asked: Vec<(&EdgeRow, Sums)> = models
                .map(|edge| (edge, self.edge_window(edge)))
                .filter(|(_, sums)| sums.calls > 0)
                .collect();
            for (from, sums) in &asked {
                if sums.failures == 0 || self.troubles.get(&from.to) != Some(&Trouble::Failing) {
                    continue;
                }
                for (to, _) in asked
                    .iter()
                    .filter(|(to, _)| provider(graph, to.to) != provider(graph, from.to))
                {
                    if self.fallbacks.insert((caller.record.node, from.to, to.to)) {
                        new.entry(to.to).or_default().push(name(caller));
                    }
                }
            }
        }
        for (to, callers) in new {
            if let Some(model) = graph.node(to) {
                lines.push(format!(
                    "→ {} fell back to {}",
                    callers.join(", "),
                    name(model)
                ));
            }
        }
    }

    /// The graph as it was so long ago; the one before the last for no time at all.
    fn earlier(&self, ago: Duration) -> Option<&GraphSnapshot> {
        let (now, _) = self.past.back()?;
        let mut before = self.past.iter().rev().skip(1);
        before
            .find(|(at, _)| *at + ago <= *now)
            .map(|(_, snapshot)| &snapshot.graph)
    }

    fn window(&self, row: &NodeRow, ago: Duration) -> Sums {
        let earlier = self
            .earlier(ago)
            .and_then(|graph| graph.node(row.record.node));
        Sums::of(&row.counts).since(earlier.map(|row| Sums::of(&row.counts)).unwrap_or_default())
    }

    /// The window's calls without those before the node recovered.
    fn held_against(&self, row: &NodeRow) -> Sums {
        let now = self.past.back().map_or(Duration::ZERO, |(at, _)| *at);
        let since = self.forgiven.get(&row.record.node);
        self.window(row, since.map_or(WINDOW, |since| WINDOW.min(now - *since)))
    }

    fn edge_window(&self, edge: &EdgeRow) -> Sums {
        let earlier = self.earlier(WINDOW).and_then(|graph| {
            let mut edges = graph.edges_from(graph.row(edge.from)?);
            edges.find(|other| (other.to, other.kind) == (edge.to, edge.kind))
        });
        Sums::of(&edge.counts).since(
            earlier
                .map(|edge| Sums::of(&edge.counts))
                .unwrap_or_default(),
        )
    }
}

fn provider(graph: &GraphSnapshot, node: NodeId) -> Option<&str> {
    graph.node(node).map(|row| &*row.record.key.scope)
}

/// A node's name as people say it; a model's with its provider.
/// What people call it.
pub(super) fn name(row: &NodeRow) -> String {
    let record = &row.record;
    match record.key.kind {
        NodeKind::Model => format!("{}/{}", record.key.scope, record.display),
        _ => record.display.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Nanos;
    use crate::demo::{FAULTS, Player, REFERENCE, Schedule, encode};
    use crate::guard::{Guard, GuardSettings};

    const START: Nanos = Nanos(1_790_000_000_000_000_000);

    /// The lines that seconds of the reference system's traffic give, with their second.
    fn told(faults: &'static [crate::demo::Fault], seconds: u64) -> Vec<(u64, String)> {
        let schedule = Schedule {
            start: START,
            round: Duration::from_secs(90),
            faults,
        };
        let guard = Guard::new(GuardSettings::default());
        let (mut worker, mut settler, mut ticker) =
            (guard.worker(), guard.settler(), guard.ticker());
        let mut player = Player::new(&REFERENCE, schedule, 11, START);
        let mut watch = Watch::default();
        let mut lines = Vec::new();
        for second in 1..=seconds {
            let at = Duration::from_secs(second);
            let now = START.plus(at);
            for flush in player.until(now) {
                let request = encode(REFERENCE.namespace, flush.process, &flush.spans);
                let ingested = guard.ingest(&mut worker, &request, 0).unwrap();
                settler.settle(&ingested.sightings[0], now);
            }
            guard.tick(&mut ticker, [&settler.collect(now)]);
            let new = watch.look(at, &guard.published());
            lines.extend(new.into_iter().map(|line| (second, line)));
        }
        lines
    }

    /// The second of the first line that begins and goes on so.
    fn when(lines: &[(u64, String)], begins: &str, holds: &str) -> Option<u64> {
        lines
            .iter()
            .find(|(_, line)| line.starts_with(begins) && line.contains(holds))
            .map(|(second, _)| *second)
    }

    #[test]
    fn a_round_of_the_demonstration_is_told_as_it_happens() {
        let lines = told(FAULTS, 90);
        let at = |begins, holds| {
            when(&lines, begins, holds)
                .unwrap_or_else(|| panic!("no {begins}…{holds} in {lines:#?}"))
        };
        assert!(at("+ agent", "orchestrator") < 15);
        assert!(at("+ edge orchestrator delegates", "triage") < 15);
        assert!((15..25).contains(&at("! openai/gpt-4o-mini failing", "")));
        assert!((15..30).contains(&at("→", "fell back to anthropic/claude-haiku-4-5")));
        assert!((15..40).contains(&at(
            "! network-scanner failing",
            "it calls openai/gpt-4o-mini"
        )));
        assert!((35..48).contains(&at("✓ openai/gpt-4o-mini recovered", "")));
        assert!((50..65).contains(&at("! query_advisories slow", "")));
        assert!((70..85).contains(&at("✓ query_advisories recovered", "")));
        // each is said once
        for once in [
            "! openai/gpt-4o failing",
            "! openai/gpt-4o-mini failing",
            "! query_advisories slow",
        ] {
            let said = lines.iter().filter(|(_, line)| line.starts_with(once));
            assert_eq!(said.count(), 1, "{once} in {lines:#?}");
        }
        // what is shown for now, until a parent comes, is not announced
        assert_eq!(when(&lines, "+ edge orchestration", ""), None);
    }

    #[test]
    fn nothing_is_said_to_be_wrong_when_nothing_is() {
        let lines = told(&[], 90);
        let wrong: Vec<_> = lines
            .iter()
            .filter(|(_, line)| !line.starts_with("+ "))
            .collect();
        assert!(wrong.is_empty(), "{wrong:#?}");
        // and nothing is discovered twice
        let mut seen = BTreeSet::new();
        for (_, line) in &lines {
            assert!(seen.insert(line), "{line}");
        }
    }
}
