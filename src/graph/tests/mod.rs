//! Shards fed by hand.

mod joins;
mod orders;
mod prose;
mod vectors;
mod walks;

use super::*;
use crate::base::{Nanos, NodeId, SpanId, TraceId};
use crate::scan::{Flags, Intern, NO_NODE, NodeKey, NodeKind, Outcome, Role, Sighting, hash};
use std::sync::Arc;
use std::time::Duration;

const SECOND: u64 = 1_000_000_000;

/// A shard with its tick.
struct Scene {
    interner: Arc<Interner>,
    shard: Shard,
    totals: Totals,
}

fn settings(spans: usize) -> ShardSettings {
    ShardSettings {
        seed: 7,
        spans,
        t_orphan: Duration::from_secs(60),
        t_pair: Duration::from_secs(10),
        t_keep: Duration::from_secs(3_600),
        walk: WalkSettings::default(),
    }
}

fn scene(spans: usize) -> Scene {
    let interner = Arc::new(Interner::new(InternLimits {
        nodes: 10_000,
        edges: 10_000,
    }));
    Scene {
        shard: Shard::new(settings(spans), Arc::clone(&interner)),
        totals: Totals::new(Arc::clone(&interner)),
        interner,
    }
}

impl Scene {
    fn node(&self, kind: NodeKind, name: &str) -> NodeId {
        let key = NodeKey {
            kind,
            realm: Arc::from(""),
            scope: "-".into(),
            name: name.into(),
        };
        self.interner.node(key, name).id
    }

    /// A span of the service `s`: id, parent (0: root), kind and name of its node.
    fn span(&self, id: u64, parent: u64, kind: NodeKind, name: &str) -> Sighting {
        let role = if kind == NodeKind::Model {
            Role::Model
        } else {
            Role::Actor
        };
        Sighting {
            role,
            kind,
            node: self.node(kind, name),
            name: hash::digest(name.as_bytes()),
            ..self.neutral(id, parent)
        }
    }

    fn neutral(&self, id: u64, parent: u64) -> Sighting {
        Sighting {
            trace: TraceId([1; 16]),
            span: SpanId(id.to_be_bytes()),
            parent: SpanId(parent.to_be_bytes()),
            start: SECOND,
            end: 2 * SECOND,
            node: NO_NODE,
            service: self.node(NodeKind::Service, "s"),
            hint: NO_NODE,
            peer: NO_NODE,
            operation: 1,
            version: 0,
            scope: 0,
            events: 0,
            name: 0,
            response: 0,
            tokens_in: 0,
            tokens_out: 0,
            cost: 0,
            role: Role::Neutral,
            kind: NodeKind::Service,
            outcome: Outcome::Ok,
            span_kind: 1,
            flags: Flags::default(),
        }
    }

    fn pair(&mut self, sightings: &[Sighting]) {
        for sighting in sightings {
            self.shard.pair(sighting, Nanos(2 * SECOND));
            self.shard.check();
        }
    }

    /// What the tick sees: edges and their counts.
    fn edges(&mut self) -> Vec<String> {
        let changes = self.shard.take_changes();
        self.totals.absorb(&changes);
        let graph = self.totals.snapshot();
        graph
            .edges()
            .iter()
            .map(|edge| shown(&graph, edge))
            .collect()
    }

    fn settled(&mut self) -> Vec<String> {
        self.shard.flush();
        self.shard.check();
        self.edges()
    }
}

fn shown(graph: &GraphSnapshot, edge: &EdgeRow) -> String {
    let id = |node| graph.node(node).map_or("?", |row| &row.record.id);
    let counts = &edge.counts;
    let mut text = format!(
        "{} -{}-> {} x{}",
        id(edge.from),
        edge.kind,
        id(edge.to),
        counts.calls
    );
    for (count, word) in [
        (counts.failures(), "err"),
        (counts.provisional, "provisional"),
        (counts.fallback, "fallback"),
    ] {
        if count != 0 {
            text += &format!(" {word}{count}");
        }
    }
    text
}

/// A-01, E-01, E-02: calls belong to the nearest actor; what lies between is looked through.
#[test]
fn calls_belong_to_the_nearest_actor() {
    let mut scene = scene(100);
    let spans = [
        scene.span(1, 0, NodeKind::Agent, "a"),
        scene.neutral(2, 1),
        scene.span(3, 2, NodeKind::Model, "m"),
        scene.span(4, 2, NodeKind::Tool, "t"),
        scene.span(5, 4, NodeKind::Agent, "b"),
    ];
    scene.pair(&spans);
    assert_eq!(
        scene.edges(),
        [
            "agent:-/a -calls_model-> model:-/m x1",
            "agent:-/a -uses_tool-> tool:-/t x1",
            "tool:-/t -delegates-> agent:-/b x1",
        ]
    );
}

/// B-03 to B-05, C-95: shown at once, moved when the parent comes, also after it was given up.
#[test]
fn a_call_waits_for_its_caller_and_is_moved_to_it() {
    let mut scene = scene(100);
    let call = scene.span(2, 1, NodeKind::Model, "m");
    scene.pair(&[call]);
    assert_eq!(
        scene.edges(),
        ["service:-/s -calls_model-> model:-/m x0 provisional1"]
    );
    scene.shard.expire(Nanos(61 * SECOND));
    assert_eq!(
        scene.edges(),
        ["service:-/s -calls_model-> model:-/m x0 provisional1"]
    );
    scene.shard.expire(Nanos(62 * SECOND));
    assert_eq!(
        scene.edges(),
        ["service:-/s -calls_model-> model:-/m x1 fallback1"]
    );
    let caller = scene.span(1, 0, NodeKind::Agent, "a");
    scene.pair(&[caller]);
    assert_eq!(scene.edges(), ["agent:-/a -calls_model-> model:-/m x1"]);
}

/// the owner that the span names stands in for a missing or weak structure, and yields to a strong one.
#[test]
fn a_hint_counts_where_the_structure_ends_at_nobody_who_decides() {
    let mut scene = scene(100);
    let hinted = |scene: &Scene, id, parent| Sighting {
        hint: scene.node(NodeKind::Agent, "owner"),
        ..scene.span(id, parent, NodeKind::Model, "m")
    };
    let spans = [
        hinted(&scene, 1, 9),
        scene.span(2, 0, NodeKind::Workflow, "w"),
        hinted(&scene, 3, 2),
        scene.span(4, 2, NodeKind::Agent, "a"),
        hinted(&scene, 5, 4),
    ];
    scene.pair(&spans);
    assert_eq!(
        scene.settled(),
        [
            "agent:-/a -calls_model-> model:-/m x1",
            "agent:-/owner -calls_model-> model:-/m x2 fallback1",
            "workflow:-/w -invokes-> agent:-/a x1",
        ]
    );
}

///
#[test]
fn a_retried_span_is_counted_once() {
    let mut scene = scene(100);
    let spans = [
        scene.span(1, 0, NodeKind::Agent, "a"),
        scene.span(2, 1, NodeKind::Model, "m"),
    ];
    scene.pair(&spans);
    scene.pair(&spans);
    assert_eq!(scene.edges(), ["agent:-/a -calls_model-> model:-/m x1"]);
    assert_eq!(scene.shard.take_changes().stats.duplicates, 2);
}

/// a nested span of the same node is a wrapper; through a tool it is recursion.
#[test]
fn wrappers_fold_and_recursion_stays() {
    let mut scene = scene(100);
    let spans = [
        scene.span(1, 0, NodeKind::Agent, "a"),
        scene.span(2, 1, NodeKind::Agent, "a"),
        scene.span(3, 2, NodeKind::Tool, "t"),
        scene.span(4, 3, NodeKind::Agent, "a"),
    ];
    scene.pair(&spans);
    assert_eq!(
        scene.settled(),
        [
            "agent:-/a -uses_tool-> tool:-/t x1",
            "tool:-/t -delegates-> agent:-/a x1"
        ]
    );
}

/// N-15, E-17.
#[test]
fn namesakes_are_one_node() {
    let mut scene = scene(100);
    let spans = [
        scene.span(1, 0, NodeKind::Workflow, "chief"),
        scene.span(2, 1, NodeKind::Agent, "chief"),
        scene.span(3, 1, NodeKind::Agent, "sports"),
        scene.span(4, 3, NodeKind::Tool, "checker"),
        scene.span(5, 4, NodeKind::Workflow, "checker"),
        scene.span(6, 5, NodeKind::Agent, "checker"),
    ];
    scene.pair(&spans);
    assert_eq!(
        scene.settled(),
        [
            "agent:-/chief -delegates-> agent:-/sports x1",
            "agent:-/sports -delegates-> agent:-/checker x1"
        ]
    );
}

/// N-14: a nameless agent below a named one is its wrapper; alone it is the default agent.
#[test]
fn a_nameless_agent_inside_another_is_that_one() {
    let mut scene = scene(100);
    let nameless = |scene: &Scene, id, parent| Sighting {
        flags: Flags::DEFAULT_AGENT,
        ..scene.span(id, parent, NodeKind::Agent, "default")
    };
    let spans = [
        nameless(&scene, 2, 1),
        scene.span(3, 2, NodeKind::Model, "m"),
        scene.span(1, 0, NodeKind::Agent, "a"),
        nameless(&scene, 4, 0),
        scene.span(5, 4, NodeKind::Tool, "t"),
    ];
    scene.pair(&spans);
    assert_eq!(
        scene.settled(),
        [
            "agent:-/a -calls_model-> model:-/m x1",
            "agent:-/default -uses_tool-> tool:-/t x1"
        ]
    );
}

/// E-40, T-05.
#[test]
fn nested_model_spans_are_one_call_with_the_best_name_and_the_innermost_tokens() {
    let mut scene = scene(100);
    let agent = scene.span(1, 0, NodeKind::Agent, "a");
    let mut outer = scene.span(2, 1, NodeKind::Model, "vague");
    (outer.tokens_in, outer.flags, outer.outcome) = (900, Flags::TOKENS, Outcome::Error);
    let mut inner = scene.span(4, 3, NodeKind::Model, "exact");
    (inner.tokens_in, inner.flags) = (5, Flags::TOKENS.with(Flags::PROVIDER_KNOWN));
    (outer.cost, inner.cost) = (9, 7);
    outer.flags = outer.flags.with(Flags::COST);
    inner.flags = inner.flags.with(Flags::COST);
    let spans = [inner, outer, scene.neutral(3, 2), agent];
    scene.pair(&spans);
    assert_eq!(
        scene.settled(),
        ["agent:-/a -calls_model-> model:-/exact x1 err1"]
    );
    let graph = scene.totals.snapshot();
    let counts = &graph.edge_at(0).unwrap().counts;
    assert_eq!((counts.tokens_in, counts.cost), (5, 7));
}

/// R-08, C-97.
#[test]
fn a_span_that_is_its_own_ancestor_is_settled_all_the_same() {
    let mut scene = scene(100);
    let spans = [
        scene.span(1, 2, NodeKind::Model, "m"),
        scene.span(2, 1, NodeKind::Model, "n"),
        scene.span(3, 3, NodeKind::Agent, "a"),
    ];
    scene.pair(&spans);
    assert!(
        scene
            .settled()
            .iter()
            .all(|edge| edge.starts_with("service:-/s -calls_model->"))
    );
    assert_eq!(scene.shard.take_changes().stats.waiting, 0);
}

/// R-GRA-3: closed traces give way first, then settled leaves, then those that wait; the table never grows.
#[test]
fn a_full_table_gives_way_in_order_and_counts_it() {
    let mut scene = scene(64);
    let in_trace = |trace: u64, sighting: Sighting| {
        let mut id = [0; 16];
        id[..8].copy_from_slice(&trace.to_le_bytes());
        Sighting {
            trace: TraceId(id),
            ..sighting
        }
    };
    let root = scene.span(1, 0, NodeKind::Agent, "a");
    let orphan = scene.span(2, 9, NodeKind::Model, "m");
    let orphans: Vec<_> = (1..=20).map(|trace| in_trace(trace, orphan)).collect();
    let closed: Vec<_> = (100..200).map(|trace| in_trace(trace, root)).collect();
    scene.pair(&orphans);
    scene.pair(&closed);
    let stats = scene.shard.take_changes().stats;
    assert_eq!(
        (stats.evicted_waiting, stats.waiting),
        (0, 20),
        "those that wait are kept"
    );
    assert!(stats.evicted_closed >= 76 && stats.spans <= 64, "{stats:?}");
    // one open trace fills the table: an agent without end, its parent missing
    let agent = in_trace(999, scene.span(1, 7, NodeKind::Agent, "a"));
    scene.pair(&[agent]);
    for id in 10..300 {
        let call = in_trace(999, scene.span(id, 1, NodeKind::Model, "m"));
        scene.pair(&[call]);
    }
    let stats = scene.shard.take_changes().stats;
    assert!(
        stats.evicted_settled > 200 && stats.spans <= 64,
        "{stats:?}"
    );
    // nothing but waiting spans
    let waiting: Vec<_> = (2_000..2_100)
        .map(|trace| in_trace(trace, orphan))
        .collect();
    scene.pair(&waiting);
    let stats = scene.shard.take_changes().stats;
    assert!(stats.evicted_waiting > 0 && stats.spans <= 64, "{stats:?}");
}

/// What has no calls is not shown; what was only declared is.
#[test]
fn declared_agents_are_shown_without_calls() {
    let mut scene = scene(100);
    let mut declared = scene.span(1, 0, NodeKind::Agent, "a");
    declared.role = Role::Declare;
    scene.pair(&[declared]);
    scene.edges();
    let graph = scene.totals.snapshot();
    let nodes: Vec<_> = graph
        .nodes()
        .iter()
        .map(|row| (&*row.record.id, row.counts.calls, row.counts.declared))
        .collect();
    assert_eq!(nodes, [("agent:-/a", 0, 1)]);
}

/// B-06, B-07, E-31: a client waits for an answer, then calls an address, which is whoever answers there later.
#[test]
fn a_client_that_nobody_answers_calls_an_address_until_somebody_does() {
    let mut scene = scene(100);
    let outside = scene.node(NodeKind::Service, "outside:80");
    let client = |scene: &Scene, id, parent| Sighting {
        role: Role::TransportClient,
        span_kind: 3,
        peer: outside,
        flags: Flags::PEER_BY_ADDRESS,
        ..scene.neutral(id, parent)
    };
    let spans = [
        scene.span(1, 0, NodeKind::Agent, "a"),
        client(&scene, 2, 1),
        client(&scene, 3, 1),
    ];
    scene.pair(&spans);
    scene.shard.expire(Nanos(11 * SECOND));
    assert!(scene.edges().is_empty(), "both wait");
    scene.shard.expire(Nanos(12 * SECOND));
    assert_eq!(
        scene.edges(),
        ["agent:-/a -calls-> service:-/outside:80 x2"]
    );
    let mut server = scene.span(4, 2, NodeKind::Service, "orders");
    (server.role, server.service) = (Role::TransportServer, server.node);
    server.outcome = Outcome::Timeout;
    scene.pair(&[server]);
    assert_eq!(
        scene.edges(),
        ["agent:-/a -calls-> service:-/orders x2 err1"],
        "the other call went there too"
    );
}

/// E-35: a receiver inside a receiver takes the same message; one behind a sender inside it takes the next.
#[test]
fn a_message_sent_on_by_a_receiver_is_a_message_of_its_own() {
    let mut scene = scene(100);
    let consumer = |scene: &Scene, id, parent, queue: &str, service: &str| Sighting {
        role: Role::Consumer,
        span_kind: 5,
        service: scene.node(NodeKind::Service, service),
        ..scene.span(id, parent, NodeKind::Queue, queue)
    };
    let producer = Sighting {
        role: Role::Leaf,
        span_kind: 4,
        service: scene.node(NodeKind::Service, "orders"),
        ..scene.span(3, 2, NodeKind::Queue, "parcels")
    };
    let spans = [
        consumer(&scene, 1, 0, "orders", "orders"),
        consumer(&scene, 2, 1, "orders", "orders"),
        producer,
        consumer(&scene, 4, 3, "parcels", "parcels"),
    ];
    scene.pair(&spans);
    assert_eq!(
        scene.settled(),
        [
            "queue:-/orders -delivers-> service:-/orders x1",
            "queue:-/parcels -delivers-> service:-/parcels x1",
            "service:-/orders -publishes-> queue:-/parcels x1",
        ]
    );
}

/// An agent's call of one elsewhere, seen on both sides: caller, call, server's span, agent, its tool.
fn behind_a_doorway(scene: &Scene) -> [Sighting; 5] {
    let elsewhere = scene.node(NodeKind::Service, "elsewhere");
    let there = |seen| Sighting {
        service: elsewhere,
        ..seen
    };
    [
        scene.span(1, 0, NodeKind::Agent, "a"),
        Sighting {
            span_kind: 3,
            flags: Flags::REMOTE,
            ..scene.span(2, 1, NodeKind::Agent, "b")
        },
        Sighting {
            role: Role::TransportServer,
            span_kind: 2,
            node: elsewhere,
            ..there(scene.neutral(3, 2))
        },
        there(scene.span(4, 3, NodeKind::Agent, "b")),
        there(scene.span(5, 4, NodeKind::Tool, "t")),
    ]
}

/// E-30, B-03: whether a server's span is a doorway shows in the caller's span, so an agent behind it waits for that one.
/// Else the service's call of it would stay in the exported counters, which never fall.
#[test]
fn an_agent_behind_a_doorway_waits_for_the_caller_of_the_doorway() {
    let mut scene = scene(100);
    let [caller, call, server, agent, tool] = behind_a_doorway(&scene);
    scene.pair(&[tool, agent, server]);
    assert_eq!(
        scene.edges(),
        [
            "agent:-/b -uses_tool-> tool:-/t x1",
            "service:-/elsewhere -invokes-> agent:-/b x0 provisional1",
        ]
    );
    scene.pair(&[call, caller]);
    assert_eq!(
        scene.edges(),
        [
            "agent:-/a -delegates-> agent:-/b x1",
            "agent:-/b -uses_tool-> tool:-/t x1",
        ]
    );
}

/// E-33: where the caller never comes, the service called it.
#[test]
fn an_agent_behind_a_server_without_a_caller_is_called_by_its_service() {
    let mut scene = scene(100);
    let [.., server, agent, _] = behind_a_doorway(&scene);
    scene.pair(&[agent, server]);
    assert_eq!(
        scene.settled(),
        ["service:-/elsewhere -invokes-> agent:-/b x1"]
    );
}

/// E-39, B-08: of a caller that has not come nothing is known, whoever else waits for it: the agent beside the server is no
/// stand-in of the one behind it, and the call of the server counts.
#[test]
fn a_missing_caller_is_not_taken_for_an_agent_that_waits_for_it_too() {
    let missing = 9;
    // the first to wait makes the place of the missing one
    for order in [[0, 1, 2], [2, 0, 1], [2, 1, 0]] {
        let mut scene = scene(100);
        let elsewhere = scene.node(NodeKind::Service, "elsewhere");
        let server = Sighting {
            role: Role::TransportServer,
            node: elsewhere,
            service: elsewhere,
            ..scene.neutral(1, missing)
        };
        let behind = Sighting {
            service: elsewhere,
            ..scene.span(2, 1, NodeKind::Agent, "a")
        };
        let beside = scene.span(3, missing, NodeKind::Agent, "a");
        let spans = [server, behind, beside];
        scene.pair(&order.map(|at: usize| spans[at]));
        let sums = orders::sums(&mut scene);
        let [calls, fallback, provisional, entries] = [1, 1, 0, 1];
        assert_eq!(
            sums["service:-/elsewhere"][..4],
            [calls, fallback, provisional, entries]
        );
    }
}

/// K-18, B-08: what a step calls itself does not change with what the step is. Else it were an agent where it is none, and
/// none where it is one, and the end a matter of who came last.
#[test]
fn a_step_is_no_agent_by_a_model_that_something_else_calls() {
    let scene = scene(100);
    let service = |name| scene.node(NodeKind::Service, name);
    let of = |role, span| Sighting { role, ..span };
    let at = |name, span| Sighting {
        service: service(name),
        ..span
    };
    let step = |id, parent| of(Role::Step, scene.span(id, parent, NodeKind::Agent, "x"));
    let mcp_call = |id, parent| of(Role::McpClient, scene.span(id, parent, NodeKind::Tool, "y"));
    let server = Sighting {
        role: Role::TransportServer,
        node: service("t"),
        ..at("t", scene.neutral(3, 2))
    };
    let nameless = Sighting {
        flags: Flags::DEFAULT_AGENT,
        ..scene.span(3, 2, NodeKind::Agent, "graph")
    };
    let mcp_server = of(
        Role::McpServer,
        scene.span(1, 0, NodeKind::McpServer, "files"),
    );
    let served = Sighting {
        name: mcp_server.name,
        ..scene.span(3, 2, NodeKind::Tool, "read")
    };
    let agent = scene.span(1, 0, NodeKind::Agent, "a");
    for [outer, between, inner] in [
        [mcp_call(1, 0), at("u", step(2, 1)), server],
        [mcp_call(1, 0), step(2, 1), mcp_call(3, 2)],
        [mcp_server, step(2, 1), served],
        [agent, at("u", step(2, 1)), nameless],
    ] {
        let model = scene.span(4, 3, NodeKind::Model, "m");
        let spans = [outer, between, inner, model];
        let shown = orders_of(&spans).map(|order| settled_in(&scene, &order));
        let shown: std::collections::BTreeSet<_> = shown.collect();
        assert_eq!(shown.len(), 1, "{shown:#?}");
        let edges = shown.into_iter().flatten().collect::<String>();
        assert!(
            edges.contains("model:-/m") && !edges.contains("agent:-/x"),
            "{edges}"
        );
    }
}

/// The spans in each order.
fn orders_of(spans: &[Sighting; 4]) -> impl Iterator<Item = [Sighting; 4]> + '_ {
    (0..256_usize).filter_map(|number| {
        let places = [number / 64, number / 16 % 4, number / 4 % 4, number % 4];
        let is_order = (0..4).all(|place| places.contains(&place));
        is_order.then(|| places.map(|place| spans[place]))
    })
}

/// What spans come to in a shard of their own, which knows the nodes of another.
fn settled_in(known: &Scene, spans: &[Sighting]) -> Vec<String> {
    let mut scene = Scene {
        shard: Shard::new(settings(100), Arc::clone(&known.interner)),
        totals: Totals::new(Arc::clone(&known.interner)),
        interner: Arc::clone(&known.interner),
    };
    scene.pair(spans);
    let mut edges = scene.settled();
    edges.sort();
    edges
}
