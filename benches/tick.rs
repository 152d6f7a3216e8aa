//! What a tick costs: a snapshot at 10 000 nodes and 100 000 edges, by how much of it changed.
//!
//! Targets: 1 % of the edges and nodes changed < 10 ms, nothing changed next to nothing, everything anew < 200 ms. Each
//! round absorbs the changes, makes the snapshot, and drops the one before, as the tick does when readers have left it. The
//! memory that the graph takes is written to standard error.

#![expect(
    clippy::expect_used,
    reason = "a benchmark with a broken set-up must stop"
)]

use agentguard::base::{EdgeId, NodeId, TraceId};
use agentguard::graph::{
    Changes, Counts, EdgeKey, Followed, InternLimits, Interner, Totals, Trials,
};
use agentguard::scan::{EdgeKind, Intern, NodeKey, NodeKind};
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use std::hint::black_box;
use std::sync::Arc;

const NODES: u32 = 10_000;
const EDGES: u32 = 100_000;

/// A number that looks chosen at random, the same in every run.
fn scattered(n: u32) -> u32 {
    let mixed = u64::from(n).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    u32::try_from(mixed >> 40).expect("24 bits")
}

fn counts(n: u32) -> Counts {
    let mut counts = Counts {
        calls: 20,
        outcomes: [18, 2, 0, 0, 0, 0],
        duration_ns: 20_000_000,
        first_seen: 1,
        last_seen: u64::from(n) + 2,
        example: TraceId([7; 16]),
        ..Counts::default()
    };
    for call in 0..20 {
        counts
            .latency
            .add(1_000_000 + 100_000 * u64::from(scattered(n + call) % 40), 1);
    }
    counts
}

/// Agents that call models and tools, a model call without a model's name here and there.
fn interned() -> (Arc<Interner>, Vec<NodeId>, Vec<EdgeId>) {
    let interner = Interner::new(InternLimits {
        nodes: 100_000,
        edges: 400_000,
    });
    let kinds = [NodeKind::Agent, NodeKind::Model, NodeKind::Tool];
    let nodes: Vec<NodeId> = (0..NODES)
        .map(|n| {
            let kind = kinds[n as usize % kinds.len()];
            let is_nameless = kind == NodeKind::Model && n % 500 == 1;
            let name = if is_nameless {
                format!("unknown@provider{n}")
            } else {
                format!("node number {n}")
            };
            let key = NodeKey {
                kind,
                realm: "".into(),
                scope: "provider".into(),
                name: name.as_str().into(),
            };
            interner.node(key, &name).id
        })
        .collect();
    let mut edges = Vec::new();
    let mut n = 0;
    while edges.len() < EDGES as usize {
        let from = scattered(n) % NODES;
        let to = scattered(n + 1) % NODES;
        n += 2;
        let kind = if to % 3 == 1 {
            EdgeKind::CallsModel
        } else {
            EdgeKind::UsesTool
        };
        let key = EdgeKey {
            from: nodes[from as usize],
            to: nodes[to as usize],
            kind,
        };
        let (edge, _) = interner.edge(key);
        if edge.0 as usize == edges.len() {
            edges.push(edge);
        }
    }
    (Arc::new(interner), nodes, edges)
}

/// A tick's changes of one in `part` of the graph.
fn changes(nodes: &[NodeId], edges: &[EdgeId], part: u32, round: u32) -> Changes {
    let is_in = |n: u32| part == 1 || scattered(n ^ round << 20).is_multiple_of(part);
    let nodes = nodes.iter().filter(|node| is_in(node.0));
    let edges: Vec<EdgeId> = edges.iter().filter(|edge| is_in(edge.0)).copied().collect();
    let trials = Trials {
        survived: 1,
        ..Trials::default()
    };
    let followed = Followed {
        after_success: 1,
        ..Followed::default()
    };
    Changes {
        nodes: nodes.map(|node| (*node, counts(node.0))).collect(),
        edges: edges.iter().map(|edge| (*edge, counts(edge.0))).collect(),
        trials: edges.iter().map(|edge| (*edge, trials)).collect(),
        followed: edges
            .iter()
            .map(|edge| ((*edge, EdgeId(edge.0 / 2)), followed))
            .collect(),
        ..Changes::default()
    }
}

/// Resident memory, MiB.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
    kib.unwrap_or(0) / 1024
}

fn tick(criterion: &mut Criterion) {
    let start = resident();
    let (interner, nodes, edges) = interned();
    let named = resident();
    let mut totals = Totals::new(Arc::clone(&interner));
    totals.absorb(&changes(&nodes, &edges, 1, 0));
    let mut last = totals.snapshot();
    let kept = resident();
    eprintln!(
        "names {} MiB, sums and one snapshot {} MiB more",
        named - start,
        kept - named
    );
    let mut round = 0;
    let mut group = criterion.benchmark_group("tick");
    for (name, part) in [("1 % changed", 100), ("10 % changed", 10)] {
        group.bench_function(name, |bencher| {
            bencher.iter_batched(
                || {
                    round += 1;
                    changes(&nodes, &edges, part, round)
                },
                |changes| {
                    totals.absorb(&changes);
                    last = black_box(totals.snapshot());
                    changes
                },
                BatchSize::PerIteration,
            );
        });
    }
    group.bench_function("nothing changed", |bencher| {
        bencher.iter(|| {
            totals.absorb(&Changes::default());
            last = black_box(totals.snapshot());
        });
    });
    let mut is_more = false;
    group.bench_function("one edge comes or goes", |bencher| {
        bencher.iter(|| {
            is_more = !is_more;
            let edge = EdgeId(EDGES / 2);
            let mut counts = Counts::default();
            let all = last.edges().get(last.row_of_edge(edge).unwrap_or(u32::MAX));
            counts.calls = all.map_or(20, |row| -row.counts.calls);
            let changes = Changes {
                edges: vec![(edge, counts)],
                ..Changes::default()
            };
            totals.absorb(&changes);
            last = black_box(totals.snapshot());
        });
    });
    let all = changes(&nodes, &edges, 1, 0);
    group.sample_size(20);
    group.bench_function("everything anew", |bencher| {
        bencher.iter_batched(
            || Totals::new(Arc::clone(&interner)),
            |mut totals| {
                totals.absorb(&all);
                let snapshot = totals.snapshot();
                (totals, snapshot)
            },
            BatchSize::PerIteration,
        );
    });
    group.finish();
    eprintln!("at the end {} MiB more", resident() - kept);
}

criterion_group!(benches, tick);
criterion_main!(benches);
