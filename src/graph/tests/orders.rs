//! Shards fed at random: any order gives the same counts.

use super::*;
use crate::base::EdgeId;
use proptest::prelude::*;
use std::collections::BTreeMap;

/// A span of a random forest: parent, what it is, name, service, flags.
fn arbitrary_spans() -> impl Strategy<Value = Vec<(u64, u8, u8, bool, bool)>> {
    prop::collection::vec(
        (0..40u64, 0..8u8, 0..3u8, any::<bool>(), any::<bool>()),
        1..40,
    )
}

fn build(scene: &Scene, spans: &[(u64, u8, u8, bool, bool)]) -> Vec<Sighting> {
    let build_one =
        |(id, (parent, what, name, is_elsewhere, flag)): (u64, &(u64, u8, u8, bool, bool))| {
            let name = ["x", "y", "z"][usize::from(*name)];
            let kind = [
                NodeKind::Agent,
                NodeKind::Workflow,
                NodeKind::Model,
                NodeKind::Model,
                NodeKind::Tool,
                NodeKind::Agent,
            ][usize::from(*what).min(5)];
            let mut span = if *what >= 6 {
                scene.neutral(id, *parent)
            } else {
                scene.span(id, *parent, kind, name)
            };
            if *what == 5 {
                span.flags = Flags::DEFAULT_AGENT;
            }
            if kind == NodeKind::Model && *flag {
                span.flags = Flags::PROVIDER_KNOWN.with(Flags::TOKENS);
                span.tokens_in = u32::try_from(id).unwrap_or(0);
            }
            if *flag && *what != 0 {
                span.hint = scene.node(NodeKind::Agent, "owner");
            }
            if *is_elsewhere {
                span.service = scene.node(NodeKind::Service, "elsewhere");
            }
            span.outcome = if *flag { Outcome::Error } else { Outcome::Ok };
            span.end = span.start + id;
            span
        };
    (1..).zip(spans).map(build_one).collect()
}

/// A span of a random tree of processes: parent, what it is, name, service, how it ended. No loops: a parent is older.
fn arbitrary_processes() -> impl Strategy<Value = Vec<(u64, u8, u8, u8, bool)>> {
    prop::collection::vec((0..40u64, 0..15u8, 0..3u8, 0..3u8, any::<bool>()), 1..40)
}

/// Builds clients, servers, leaves and steps; one in some has a parent that never comes.
fn build_processes(scene: &Scene, spans: &[(u64, u8, u8, u8, bool)]) -> Vec<Sighting> {
    let build_one =
        |(id, (parent, what, name, service, is_bad)): (u64, &(u64, u8, u8, u8, bool))| {
            let name = ["x", "y", "z"][usize::from(*name)];
            let parent = if *parent >= id {
                parent + 1_000
            } else {
                *parent
            };
            let (role, kind) = [
                (Role::Neutral, NodeKind::Service),
                (Role::Actor, NodeKind::Agent),
                (Role::Actor, NodeKind::Tool),
                (Role::Model, NodeKind::Model),
                (Role::Leaf, NodeKind::Database),
                (Role::Leaf, NodeKind::Queue),
                (Role::Consumer, NodeKind::Queue),
                (Role::TransportClient, NodeKind::Service),
                (Role::TransportClient, NodeKind::Service),
                (Role::TransportServer, NodeKind::Service),
                (Role::TransportServer, NodeKind::Service),
                (Role::McpClient, NodeKind::Tool),
                (Role::McpServer, NodeKind::McpServer),
                (Role::Step, NodeKind::Agent),
                (Role::Handoff, NodeKind::Agent),
            ][usize::from(*what)];
            let service = scene.node(NodeKind::Service, ["s", "t", "u"][usize::from(*service)]);
            let is_client = matches!(role, Role::TransportClient | Role::McpClient);
            let mut span = scene.span(id, parent, kind, name);
            span.role = role;
            span.service = service;
            span.scope = u32::from(*is_bad);
            span.end = span.start + 100 - id % 7;
            span.outcome = if *is_bad { Outcome::Error } else { Outcome::Ok };
            span.span_kind = if is_client { 3 } else { 1 };
            match role {
                Role::Neutral | Role::TransportClient => span.node = NO_NODE,
                Role::TransportServer => span.node = service,
                Role::Actor if *is_bad && kind == NodeKind::Agent => span.flags = Flags::REMOTE,
                Role::Model if id % 2 == 0 => span.flags = Flags::RETRIED,
                _ => {}
            }
            if is_client {
                span.peer = scene.node(NodeKind::Service, "outside");
                span.flags = Flags::PEER_BY_ADDRESS;
            }
            span
        };
    (1..).zip(spans).map(build_one).collect()
}

/// Everything that is counted and does not depend on who came first.
pub(super) fn sums(scene: &mut Scene) -> BTreeMap<String, Vec<i64>> {
    scene.shard.flush();
    scene.shard.check();
    let changes = scene.shard.take_changes();
    assert_eq!(changes.stats.waiting, 0);
    scene.totals.absorb(&changes);
    let graph = scene.totals.snapshot();
    let id = |node| {
        graph
            .node(node)
            .map_or(String::new(), |row| row.record.id.to_string())
    };
    let numbers = |counts: &Counts| {
        let mut numbers = vec![
            counts.calls,
            counts.fallback,
            counts.provisional,
            counts.entries,
            counts.duration_ns,
            counts.tokens_in,
        ];
        numbers.extend(counts.outcomes);
        numbers
    };
    let nodes = graph
        .nodes()
        .iter()
        .map(|row| (row.record.id.to_string(), numbers(&row.counts)));
    let edges = graph.edges().iter().map(|edge| {
        (
            format!("{} -{}-> {}", id(edge.from), edge.kind, id(edge.to)),
            numbers(&edge.counts),
        )
    });
    nodes.chain(edges).collect()
}

/// Everything handed over by a shard: calls, and of these failures, timeouts and refusals.
#[derive(Default)]
struct Ended {
    calls: BTreeMap<String, [i64; 4]>,
    in_cells: BTreeMap<String, [i64; 4]>,
    /// The cells themselves, by when.
    cells: BTreeMap<(String, Bucket), Cell>,
}

impl Ended {
    fn add(&mut self, scene: &mut Scene) {
        let changes = scene.shard.take_changes();
        let records = scene.interner.nodes_since(0);
        let keys = scene.interner.edges_since(0);
        let node = |id: NodeId| records[id.0 as usize].id.to_string();
        let edge = |id: EdgeId| {
            let key = keys[id.0 as usize];
            format!("{} {} {}", node(key.from), key.kind, node(key.to))
        };
        let nodes = changes.nodes.iter().map(|(id, counts)| (node(*id), counts));
        let edges = changes.edges.iter().map(|(id, counts)| (edge(*id), counts));
        for (name, counts) in nodes.chain(edges) {
            let outcomes =
                [Outcome::Timeout, Outcome::Throttled].map(|o| counts.outcomes[o as usize]);
            let numbers = [counts.calls, counts.failures(), outcomes[0], outcomes[1]];
            add_up(&mut self.calls, name, numbers);
        }
        let nodes = changes
            .node_cells
            .iter()
            .map(|(id, at, cell)| (node(*id), *at, cell));
        let edges = changes
            .edge_cells
            .iter()
            .map(|(id, at, cell)| (edge(*id), *at, cell));
        for (name, at, cell) in nodes.chain(edges) {
            let numbers = [cell.calls, cell.failures, cell.timeouts, cell.throttled].map(i64::from);
            add_up(&mut self.in_cells, name.clone(), numbers);
            *self.cells.entry((name, at)).or_default() += cell;
        }
        self.cells.retain(|_, cell| !cell.is_empty());
    }
}

fn add_up(sums: &mut BTreeMap<String, [i64; 4]>, name: String, numbers: [i64; 4]) {
    let sum = sums.entry(name).or_default();
    for (sum, number) in sum.iter_mut().zip(numbers) {
        *sum += number;
    }
    sums.retain(|_, sum| sum.iter().any(|number| *number != 0));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// B-08: any order, with repeats, gives what the sorted order gives; parents may be missing, or loop.
    #[test]
    fn any_order_of_arrival_gives_the_same_counts(
        (spans, order, repeats) in arbitrary_spans().prop_flat_map(|spans| {
            let order: Vec<usize> = (0..spans.len()).collect();
            let repeats = prop::collection::vec(any::<prop::sample::Index>(), 0..5);
            (Just(spans), Just(order).prop_shuffle(), repeats)
        })
    ) {
        let (mut sorted, mut shuffled) = (scene(200), scene(200));
        let in_order = build(&sorted, &spans);
        sorted.pair(&in_order);
        let built = build(&shuffled, &spans);
        let mut arrivals: Vec<Sighting> = order.iter().map(|at| built[*at]).collect();
        for repeat in &repeats {
            arrivals.push(built[repeat.index(built.len())]);
        }
        for arrival in &arrivals {
            shuffled.pair(&[*arrival]);
            // the tick may ask at any time
            let changes = shuffled.shard.take_changes();
            shuffled.totals.absorb(&changes);
        }
        prop_assert_eq!(sums(&mut sorted), sums(&mut shuffled));
    }

    /// B-05: what was given up in between is moved by those who come late, with the same end.
    #[test]
    fn giving_up_in_between_changes_nothing_in_the_end(
        (spans, order, given_up) in arbitrary_spans().prop_flat_map(|spans| {
            let order: Vec<usize> = (0..spans.len()).collect();
            let given_up = prop::collection::vec(any::<bool>(), spans.len());
            (Just(spans), Just(order).prop_shuffle(), given_up)
        })
    ) {
        let (mut sorted, mut shuffled) = (scene(200), scene(200));
        // no loops: which of a loop's spans is cut off depends on when one stops waiting
        let spans: Vec<_> = (1..).zip(&spans).map(|(id, span)| (if span.0 >= id { span.0 + 1_000 } else { span.0 }, span.1, span.2, span.3, span.4)).collect();
        let in_order = build(&sorted, &spans);
        sorted.pair(&in_order);
        let built = build(&shuffled, &spans);
        for (at, gives_up) in order.iter().zip(given_up) {
            shuffled.pair(&[built[*at]]);
            if gives_up {
                shuffled.shard.flush();
                shuffled.shard.check();
            }
        }
        prop_assert_eq!(sums(&mut sorted), sums(&mut shuffled));
    }

    /// B-05, B-06, B-08 for what goes between processes.
    #[test]
    fn calls_between_processes_pair_in_any_order(
        (spans, order, given_up) in arbitrary_processes().prop_flat_map(|spans| {
            let order: Vec<usize> = (0..spans.len()).collect();
            let given_up = prop::collection::vec(any::<bool>(), spans.len());
            (Just(spans), Just(order).prop_shuffle(), given_up)
        })
    ) {
        let (mut sorted, mut shuffled) = (scene(200), scene(200));
        let in_order = build_processes(&sorted, &spans);
        sorted.pair(&in_order);
        let built = build_processes(&shuffled, &spans);
        for (at, gives_up) in order.iter().zip(given_up) {
            shuffled.pair(&[built[*at]]);
            if gives_up {
                shuffled.shard.flush();
                shuffled.shard.check();
            }
            let changes = shuffled.shard.take_changes();
            shuffled.totals.absorb(&changes);
        }
        prop_assert_eq!(sums(&mut sorted), sums(&mut shuffled));
    }

    /// D4: what is handed over by when it ended is what is handed over, call by call, in any order and however late parents
    /// come; and each call is where it ended.
    #[test]
    fn calls_by_when_they_ended_add_up_to_the_calls(
        (spans, ends, order, given_up) in arbitrary_processes().prop_flat_map(|spans| {
            let order: Vec<usize> = (0..spans.len()).collect();
            let given_up = prop::collection::vec(any::<bool>(), spans.len());
            let ends = prop::collection::vec(0..60 * SECOND, spans.len());
            (Just(spans), ends, Just(order).prop_shuffle(), given_up)
        })
    ) {
        let (mut sorted, mut shuffled) = (scene(200), scene(200));
        let later = |mut built: Vec<Sighting>| {
            for (span, later) in built.iter_mut().zip(&ends) {
                span.end += later;
            }
            built
        };
        let (mut early, mut late) = (Ended::default(), Ended::default());
        let in_order = later(build_processes(&sorted, &spans));
        sorted.pair(&in_order);
        let built = later(build_processes(&shuffled, &spans));
        for (at, gives_up) in order.iter().zip(given_up) {
            shuffled.pair(&[built[*at]]);
            if gives_up {
                shuffled.shard.flush();
            }
            late.add(&mut shuffled);
        }
        sorted.shard.flush();
        early.add(&mut sorted);
        shuffled.shard.flush();
        late.add(&mut shuffled);
        prop_assert_eq!(&late.calls, &late.in_cells);
        prop_assert_eq!(&early.calls, &late.calls);
        prop_assert_eq!(early.cells, late.cells);
    }

    /// R-GRA-3: whatever comes, the table keeps its bound and its invariants.
    #[test]
    fn a_small_table_survives_anything(spans in prop::collection::vec((0..9u64, 0..200u64, 0..200u64, 0..8u8), 1..400)) {
        let mut scene = scene(16);
        for (trace, id, parent, what) in spans {
            let mut span = build(&scene, &[(parent, what, 0, false, false)])[0];
            span.trace = TraceId([trace as u8 + 1; 16]);
            span.span = SpanId((id + 1).to_be_bytes());
            scene.pair(&[span]);
            prop_assert!(scene.shard.take_changes().stats.spans <= 16);
        }
        scene.settled();
    }
}
