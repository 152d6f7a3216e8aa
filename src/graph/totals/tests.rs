//! The incremental snapshot against one made from nothing, and against the rules written down plainly.

use super::*;
use crate::base::TraceId;
use crate::graph::{Followed, InternLimits, OVERFLOW};
use crate::scan::{Intern, NodeKey, NodeKind};
use proptest::prelude::*;
use std::collections::{BTreeMap, HashMap};

/// What a row shows, by keys.
type NodeLines = BTreeMap<String, Counts>;
type EdgeLines = BTreeMap<(String, String, EdgeKind), (Counts, Trials)>;

/// The snapshot as the rules say, worked out from all sums at once.
fn plain(totals: &Totals) -> (NodeLines, EdgeLines) {
    let fold = Fold::new(&totals.records, &totals.aliases, |node| {
        totals.nodes[node.0 as usize].row.counts.declared > 0
    });
    let mut edges = BTreeMap::<EdgeKey, (Counts, Trials)>::new();
    for (raw, sums) in totals.keys.iter().zip(&totals.edges) {
        if sums.row.counts.is_visible() {
            let (counts, trials) = edges.entry(fold.seen_as(*raw)).or_default();
            counts.add(&sums.row.counts);
            *trials += &sums.row.trials;
        }
    }
    let mut nodes = BTreeMap::<NodeId, Counts>::new();
    for (sums, node) in totals.nodes.iter().zip(&fold.shown) {
        if sums.row.counts.is_visible() {
            nodes.entry(*node).or_default().add(&sums.row.counts);
        }
    }
    let key = |node: NodeId| &totals.records[node.0 as usize].key;
    let is_nameless = |edge: &EdgeKey| key(edge.to).name.starts_with("unknown@");
    let models: Vec<EdgeKey> = edges
        .keys()
        .filter(|edge| edge.kind == EdgeKind::CallsModel)
        .copied()
        .collect();
    for nameless in models.iter().filter(|edge| is_nameless(edge)) {
        let provider = &key(nameless.to).scope;
        let named: Vec<&EdgeKey> = models
            .iter()
            .filter(|edge| edge.from == nameless.from && !is_nameless(edge))
            .filter(|edge| &**provider == "unknown" || key(edge.to).scope == *provider)
            .collect();
        let [only] = named[..] else {
            continue;
        };
        let (counts, trials) = edges.remove(nameless).unwrap();
        let joined = edges.entry(*only).or_default();
        joined.0.add(&counts);
        joined.1 += &trials;
        nodes.entry(only.to).or_default().add(&counts);
        if let Some(left) = nodes.get_mut(&nameless.to) {
            left.subtract(&counts);
        }
    }
    nodes.retain(|_, counts| counts.is_visible());
    for edge in edges.keys() {
        nodes.entry(edge.from).or_default();
        nodes.entry(edge.to).or_default();
    }
    let name = |node: NodeId| totals.records[node.0 as usize].id.to_string();
    let named = |(edge, sums): (EdgeKey, _)| ((name(edge.from), name(edge.to), edge.kind), sums);
    (
        nodes
            .into_iter()
            .map(|(node, counts)| (name(node), counts))
            .collect(),
        edges.into_iter().map(named).collect(),
    )
}

fn lines(graph: &GraphSnapshot) -> (NodeLines, EdgeLines) {
    let nodes = graph.nodes().iter();
    let nodes = nodes.map(|row| (row.record.id.to_string(), row.counts.clone()));
    let edges = (0..).zip(graph.edges()).map(|(row, edge)| {
        let name = |row: Option<Row>| graph.node_at(row.unwrap()).unwrap().record.id.to_string();
        let ends = (
            name(graph.from_row(row)),
            name(graph.to_row(row)),
            edge.kind,
        );
        (ends, (edge.counts.clone(), edge.trials))
    });
    (nodes.collect(), edges.collect())
}

/// Which of several examples is shown is nobody's promise.
fn without_examples((mut nodes, mut edges): (NodeLines, EdgeLines)) -> (NodeLines, EdgeLines) {
    let edges_counts = edges.values_mut().map(|(counts, _)| counts);
    for counts in nodes.values_mut().chain(edges_counts) {
        counts.example = TraceId::default();
    }
    (nodes, edges)
}

/// Everything of a snapshot that does not depend on when it was made.
fn described(graph: &GraphSnapshot) -> String {
    let (nodes, edges) = lines(graph);
    let followed: Vec<_> = graph.followed().iter().collect();
    format!(
        "{nodes:?} {edges:?} {:?} {followed:?}",
        graph.structure.layout
    )
}

/// What holds of every snapshot.
fn is_consistent(graph: &GraphSnapshot) {
    let order = |row: &NodeRow| {
        let record = Arc::clone(&row.record);
        (
            record.key.kind,
            record.id.to_string(),
            record.key.realm.to_string(),
        )
    };
    assert!(graph.nodes().iter().map(order).is_sorted());
    let mut reached = vec![Vec::new(); graph.nodes().len()];
    let mut next = 0;
    for (row, node) in (0..).zip(graph.nodes()) {
        let edges = graph.edge_rows_from(row);
        assert_eq!(edges.start, next);
        next = edges.end;
        let mut before = None;
        for at in edges {
            let edge = graph.edge_at(at).unwrap();
            let to = graph.to_row(at).unwrap();
            assert_eq!(graph.from_row(at), Some(row));
            assert_eq!(edge.from, node.record.node);
            assert_eq!(edge.to, graph.node_at(to).unwrap().record.node);
            assert!(before < Some((to, edge.kind)), "in order, none twice");
            before = Some((to, edge.kind));
            reached[to as usize].push(at);
            assert!(
                graph
                    .raw_edges(at)
                    .iter()
                    .all(|raw| graph.row_of_edge(*raw) == Some(at))
            );
        }
        assert!(
            graph
                .raw_nodes(row)
                .iter()
                .all(|raw| graph.row(*raw) == Some(row))
        );
    }
    assert_eq!(next as usize, graph.edges().len());
    for (row, edges) in (0..).zip(reached) {
        assert_eq!(graph.edge_rows_to(row), edges);
    }
    let pairs: Vec<_> = graph
        .followed()
        .iter()
        .map(|row| (row.first, row.second))
        .collect();
    assert!(pairs.is_sorted_by(|a, b| a < b));
}

const NAMES: [(NodeKind, &str, &str); 12] = [
    (NodeKind::Agent, "-", "planner"),
    (NodeKind::Workflow, "-", "planner"),
    (NodeKind::Agent, "-", "scanner"),
    (NodeKind::Tool, "-", "scanner"),
    (NodeKind::Tool, "-", "search"),
    (NodeKind::Model, "openai", "gpt-4o"),
    (NodeKind::Model, "openai", "gpt-4o-mini"),
    (NodeKind::Model, "azure", "gpt-4o"),
    (NodeKind::Model, "openai", "unknown@openai"),
    (NodeKind::Model, "unknown", "unknown@-"),
    (NodeKind::Service, "-", "api"),
    (NodeKind::Service, "-", "10.0.0.1:80"),
];

/// A change of one thing, by the numbers of [`NAMES`].
#[derive(Clone, Debug)]
enum Step {
    /// So many calls more, or provisional ones, or declarations.
    Node(usize, [i8; 3]),
    Edge(usize, usize, bool, [i8; 3]),
    Alias(usize, usize, i8),
    Trial(usize, usize),
    Followed(usize, usize, usize, i8),
    Tick,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let name = || 0..NAMES.len();
    let less = || prop::array::uniform3(-1i8..3);
    let step = prop_oneof![
        3 => (name(), less()).prop_map(|(node, more)| Step::Node(node, more)),
        5 => (name(), name(), any::<bool>(), less()).prop_map(|(a, b, is_other, more)| Step::Edge(a, b, is_other, more)),
        2 => (name(), name(), -1i8..2).prop_map(|(a, b, more)| Step::Alias(a, b, more)),
        1 => (name(), name()).prop_map(|(a, b)| Step::Trial(a, b)),
        1 => (name(), name(), name(), -1i8..2).prop_map(|(a, b, c, more)| Step::Followed(a, b, c, more)),
        3 => Just(Step::Tick),
    ];
    prop::collection::vec(step, 1..80)
}

/// Counts as of so many calls, never fewer in all than none.
fn counts(held: &mut [i64; 3], more: [i8; 3], place: usize) -> Counts {
    let mut counts = Counts::default();
    let sums = [
        &mut counts.calls,
        &mut counts.provisional,
        &mut counts.declared,
    ];
    for ((held, more), sum) in held.iter_mut().zip(more).zip(sums) {
        *sum = i64::from(more).max(-*held);
        *held += *sum;
    }
    counts.latency.add(1_000 << (place % 7), counts.calls);
    counts.tokens_in = 10 * counts.calls;
    counts.saw(
        1 + place as u64,
        100 + place as u64,
        TraceId([1 + place as u8; 16]),
    );
    counts
}

/// Steps as a shard would hand them over.
struct Steps {
    interner: Arc<Interner>,
    held: HashMap<String, [i64; 3]>,
    followed: HashMap<(EdgeId, EdgeId), i64>,
}

impl Steps {
    fn new() -> Steps {
        Steps {
            interner: Arc::new(Interner::new(InternLimits {
                nodes: 100,
                edges: 1_000,
            })),
            held: HashMap::new(),
            followed: HashMap::new(),
        }
    }

    fn node(&self, place: usize) -> NodeId {
        let (kind, scope, name) = NAMES[place];
        let key = NodeKey {
            kind,
            realm: "".into(),
            scope: scope.into(),
            name: name.into(),
        };
        self.interner.node(key, name).id
    }

    fn edge(&self, from: usize, to: usize, is_other: bool) -> EdgeId {
        let (from_kind, to_kind) = (NAMES[from].0, NAMES[to].0);
        let kind = match to_kind.edge_from(from_kind) {
            _ if is_other => EdgeKind::Messages,
            kind => kind,
        };
        let (from, to) = (self.node(from), self.node(to));
        self.interner.edge(EdgeKey { from, to, kind }).0
    }

    fn changes(&mut self, step: &Step) -> Changes {
        let mut changes = Changes::default();
        match *step {
            Step::Node(node, more) => {
                let held = self.held.entry(format!("{node}")).or_default();
                let counts = counts(held, more, node);
                changes.nodes.push((self.node(node), counts));
            }
            Step::Edge(from, to, is_other, more) => {
                let held = self
                    .held
                    .entry(format!("{from} {to} {is_other}"))
                    .or_default();
                let counts = counts(held, more, from + to);
                changes.edges.push((self.edge(from, to, is_other), counts));
            }
            Step::Alias(outer, inner, more) if outer != inner => {
                let held = &mut self.held.entry(format!("{outer} is {inner}")).or_default()[0];
                let more = i64::from(more).max(-*held);
                *held += more;
                let (outer, inner) = (self.node(outer), self.node(inner));
                changes.aliases.push((Alias { outer, inner }, more));
            }
            Step::Trial(from, to) => {
                let trials = Trials {
                    fell: 1,
                    ..Trials::default()
                };
                changes.trials.push((self.edge(from, to, false), trials));
            }
            Step::Followed(from, first, second, more) => {
                let pair = (
                    self.edge(from, first, false),
                    self.edge(from, second, false),
                );
                let held = self.followed.entry(pair).or_default();
                let after_success = i64::from(more).max(-*held);
                *held += after_success;
                let followed = Followed {
                    after_success,
                    ..Followed::default()
                };
                changes.followed.push((pair, followed));
            }
            Step::Alias(..) | Step::Tick => {}
        }
        changes
    }
}

fn is_same_edge(was: &EdgeRow, is: &EdgeRow) -> bool {
    (was.from, was.to, was.kind) == (is.from, is.to, is.kind)
        && (&was.counts, was.trials) == (&is.counts, is.trials)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// D5, R-GRA-3: names, aliases and calls come and go.
    #[test]
    fn a_snapshot_kept_up_to_date_is_one_made_from_nothing(steps in steps()) {
        let mut world = Steps::new();
        let mut totals = Totals::new(Arc::clone(&world.interner));
        let mut all = Vec::new();
        let mut before = totals.snapshot();
        for step in steps.iter().chain([&Step::Tick]) {
            let changes = world.changes(step);
            totals.absorb(&changes);
            all.push(changes);
            if !matches!(step, Step::Tick) {
                continue;
            }
            let graph = totals.snapshot();
            is_consistent(&graph);
            prop_assert_eq!(without_examples(lines(&graph)), without_examples(plain(&totals)));
            let mut fresh = Totals::new(Arc::clone(&world.interner));
            all.iter().for_each(|changes| {
                fresh.absorb(changes);
            });
            prop_assert_eq!(described(&fresh.snapshot()), described(&graph));
            // same number, same structure; and what changed is said, no less
            let is_same = before.structure.layout == graph.structure.layout;
            prop_assert_eq!(before.structure_version() == graph.structure_version(), is_same);
            for (row, node) in (0..).zip(graph.nodes()) {
                let was = before.node(node.record.node).filter(|was| was.record.node == node.record.node);
                let is_said = totals.changed_nodes().contains(&row);
                prop_assert!(is_said || was.is_some_and(|was| was.counts == node.counts));
            }
            for (row, edge) in (0..).zip(graph.edges()) {
                let was = before.row_of_edge(graph.raw_edges(row)[0]).and_then(|row| before.edge_at(row));
                let is_said = totals.changed_edges().contains(&row);
                let is_same = was.is_some_and(|was| is_same_edge(was, edge));
                prop_assert!(is_said || is_same);
            }
            before = graph;
        }
    }
}

/// R-GRA-3: a reader's snapshot stays as it was.
#[test]
fn a_snapshot_shares_what_did_not_change_and_never_changes_itself() {
    let mut world = Steps::new();
    let mut totals = Totals::new(Arc::clone(&world.interner));
    for to in 1..8 {
        totals.absorb(&world.changes(&Step::Edge(0, to, false, [5, 0, 0])));
    }
    let before = totals.snapshot();
    let said = described(&before);
    totals.absorb(&world.changes(&Step::Edge(0, 3, false, [1, 0, 0])));
    let after = totals.snapshot();
    assert_eq!(described(&before), said);
    assert!(Arc::ptr_eq(&before.structure, &after.structure));
    let same = before.edges.iter().zip(&after.edges);
    let same = same.filter(|(was, is)| Arc::ptr_eq(was, is)).count();
    assert_eq!((same, totals.changed_edges().len()), (6, 1));
    assert!(totals.changed_nodes().is_empty());
    assert!(totals.snapshot().structure_version() == after.structure_version());
    assert!(totals.changed_edges().is_empty());
}

/// The bound on what followed on what.
#[test]
fn pairs_beyond_the_bound_are_counted_and_not_kept() {
    let interner = Arc::new(Interner::new(InternLimits {
        nodes: 100,
        edges: 4,
    }));
    let mut world = Steps {
        interner: Arc::clone(&interner),
        ..Steps::new()
    };
    let mut totals = Totals::new(interner);
    for second in 1..5 {
        totals.absorb(&world.changes(&Step::Edge(0, second, false, [1, 0, 0])));
    }
    for (first, second) in [(1, 2), (2, 1), (1, 3), (3, 1), (1, 4), (1, 2)] {
        totals.absorb(&world.changes(&Step::Followed(0, first, second, 1)));
    }
    assert_eq!(totals.refused_pairs(), 1);
    let graph = totals.snapshot();
    let sums: Vec<i64> = graph
        .followed()
        .iter()
        .map(|row| row.followed.after_success)
        .collect();
    assert_eq!(sums.iter().sum::<i64>(), 5);
    assert_eq!(sums.len(), 4);
    assert!(
        graph
            .nodes()
            .iter()
            .all(|row| &*row.record.display != OVERFLOW)
    );
}
