//! How the analysis grows: everything from scratch, and a look after one weight in a hundred moved.
//!
//! The input is a system in six layers (gateways, orchestrators, agents, tools, services, stores) with ten edges a node,
//! some callees much more popular than others, one node in a hundred that calls back up, and one pair of edges in a
//! hundred that fall back on each other. A look after changes is bounded by its steps; `whole` is not.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "sizes of a benchmark"
)]

use agentguard::analysis::{
    Analyst, EdgeWeights, Follow, Link, Node, NodeWeights, RiskSettings, Structure, Tally, Touched,
    Weights,
};
use agentguard::base::{NodeId, Random};
use agentguard::graph::{Followed, Trials};
use agentguard::scan::{EdgeKind, NodeKind};
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use std::cell::LazyCell;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

/// The layers: what share of the nodes stands above each one's end, what they are, and how they are called.
const LAYERS: [(f64, NodeKind, EdgeKind); 6] = [
    (0.01, NodeKind::Service, EdgeKind::Calls),
    (0.05, NodeKind::Agent, EdgeKind::Invokes),
    (0.20, NodeKind::Agent, EdgeKind::Delegates),
    (0.50, NodeKind::Tool, EdgeKind::UsesTool),
    (0.85, NodeKind::Service, EdgeKind::Calls),
    (1.00, NodeKind::Database, EdgeKind::Queries),
];

const DEGREE: usize = 10;

fn layer(nodes: usize, row: usize) -> usize {
    let share = (row as f64 + 0.5) / nodes as f64;
    LAYERS
        .iter()
        .position(|(end, ..)| share < *end)
        .unwrap_or(5)
}

/// A node below a layer; the first of its range are the popular ones.
fn below(random: &mut Random, nodes: usize, from: usize) -> usize {
    let begin = (LAYERS[from].0 * nodes as f64) as usize;
    let end = (LAYERS[(from + 2).min(5)].0 * nodes as f64) as usize;
    let skewed = random.unit() * random.unit();
    begin + (skewed * (end - begin) as f64) as usize
}

fn system(nodes: usize) -> (Arc<Structure>, Weights) {
    let mut random = Random::seeded(7);
    let mut links = Vec::new();
    let mut weights = Weights::default();
    let rows: Vec<Node> = (0..nodes)
        .map(|row| Node {
            id: NodeId(row as u32),
            kind: LAYERS[layer(nodes, row)].1,
            realm: 0,
            is_overflow: false,
        })
        .collect();
    for row in 0..nodes {
        let mut figures = NodeWeights {
            entries: if layer(nodes, row) == 0 { 100 } else { 0 },
            tally: Tally {
                calls: 1_000,
                failures: 0,
            },
            ..NodeWeights::default()
        };
        figures.recent.calls = 100.0 + 900.0 * random.unit();
        let requests = figures.recent.calls;
        weights.nodes.push(figures);
        // stores call nobody, so that the others call the more
        let from = layer(nodes, row);
        let calls_back = row % 100 == 99;
        for place in 0..if from == 5 { 0 } else { DEGREE * 115 / 100 } {
            let to = if calls_back && place == 0 {
                (random.unit() * row as f64) as usize
            } else {
                below(&mut random, nodes, from)
            };
            if to == row || to >= nodes {
                continue;
            }
            let used = if place < 3 { 1.0 } else { 0.6 * random.unit() };
            links.push(Link {
                from: row as u32,
                to: to as u32,
                kind: LAYERS[layer(nodes, to)].2,
            });
            weights.edges.push(EdgeWeights {
                tally: Tally {
                    calls: (requests * used) as i64,
                    failures: 0,
                },
                calls: requests * used,
                trials: Trials::default(),
            });
            let edge = links.len();
            if place == 4 && row % 10 == 0 && links[edge - 2].to != links[edge - 1].to {
                let trials = &mut weights.edges[edge - 2].trials;
                (trials.failed, trials.survived, trials.succeeded) = (3, 3, 100);
                weights.follows.push(Follow {
                    first: edge as u32 - 2,
                    then: edge as u32 - 1,
                    sums: Followed {
                        after_failure: 3,
                        survived: 3,
                        after_success: 0,
                        ..Followed::default()
                    },
                });
            }
        }
    }
    (Arc::new(Structure::new(rows, links)), weights)
}

/// Moves the use of one edge in a hundred, and touches as many nodes.
fn change(weights: &mut Weights, random: &mut Random) -> Touched {
    let mut pick = |of: usize| -> Vec<u32> {
        (0..of.div_ceil(100))
            .map(|_| (random.unit() * of as f64) as u32)
            .collect()
    };
    let touched = Touched {
        nodes: pick(weights.nodes.len()),
        edges: pick(weights.edges.len()),
        follows: false,
    };
    for edge in &touched.edges {
        weights.edges[*edge as usize].calls *= 0.5 + random.unit();
    }
    for node in &touched.nodes {
        weights.nodes[*node as usize].recent.minute.calls += 1;
    }
    touched
}

fn growth(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("analysis");
    group
        .sample_size(10)
        .measurement_time(Duration::from_secs(3));
    for nodes in [100, 1_000, 10_000, 100_000] {
        let size = format!("{nodes} nodes");
        // made only when a benchmark of this size is asked for
        let input = LazyCell::new(|| system(nodes));
        if nodes <= 10_000 {
            group.bench_function(BenchmarkId::new("whole", &size), |bencher| {
                let (structure, weights) = &*input;
                bencher.iter(|| {
                    let mut analyst = Analyst::new(RiskSettings::default());
                    black_box(analyst.look_whole(structure, weights))
                });
            });
        }
        group.bench_function(BenchmarkId::new("first look", &size), |bencher| {
            let (structure, weights) = &*input;
            bencher.iter(|| {
                let mut analyst = Analyst::new(RiskSettings::default());
                black_box(analyst.look(structure, weights, &Touched::default()))
            });
        });
        group.bench_function(BenchmarkId::new("look, 1 % moved", &size), |bencher| {
            let (structure, mut weights) = input.clone();
            let mut analyst = Analyst::new(RiskSettings::default());
            analyst.look(&structure, &weights, &Touched::default());
            let mut random = Random::seeded(11);
            bencher.iter(|| {
                let touched = change(&mut weights, &mut random);
                black_box(analyst.look(&structure, &weights, &touched))
            });
        });
        group.bench_function(BenchmarkId::new("look, nothing moved", &size), |bencher| {
            let (structure, weights) = &*input;
            let mut analyst = Analyst::new(RiskSettings::default());
            let mut looks = 1;
            while looks < 2_000
                && analyst
                    .look(structure, weights, &Touched::default())
                    .stale()
                    > 0
            {
                looks += 1;
            }
            eprintln!("{size}: {looks} looks until nothing is stale");
            bencher.iter(|| black_box(analyst.look(structure, weights, &Touched::default())));
        });
    }
    group.finish();
}

criterion_group!(benches, growth);
criterion_main!(benches);
