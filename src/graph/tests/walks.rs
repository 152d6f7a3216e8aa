//! Finished traces by hand, and what they say of who depends on whom (`detection` §7).

use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

const MILLI: u64 = 1_000_000;

use NodeKind::{Agent, Model, Tool, Workflow};
use Outcome::{Error, Ok as Well, Timeout};

/// A scene that walks one in so many of the healthy traces.
fn walking(spans: usize, healthy_every: u16) -> Scene {
    let mut scene = scene(spans);
    let settings = ShardSettings {
        seed: 7,
        spans,
        t_orphan: Duration::from_secs(60),
        t_pair: Duration::from_secs(10),
        t_keep: Duration::from_secs(3_600),
        walk: WalkSettings {
            healthy_every,
            ..WalkSettings::default()
        },
    };
    scene.shard = Shard::new(settings, Arc::clone(&scene.interner));
    scene
}

/// What a span says: id, parent, kind and name of its node, when in milliseconds, how it ended.
type Told = (
    u64,
    u64,
    NodeKind,
    &'static str,
    std::ops::Range<u64>,
    Outcome,
);

fn told(scene: &Scene, (id, parent, kind, name, when, outcome): Told) -> Sighting {
    Sighting {
        start: SECOND + when.start * MILLI,
        end: SECOND + when.end * MILLI,
        outcome,
        ..scene.span(id, parent, kind, name)
    }
}

fn in_trace(number: u64, sighting: Sighting) -> Sighting {
    let mut id = [0; 16];
    id[..8].copy_from_slice(&number.to_le_bytes());
    Sighting {
        trace: TraceId(id),
        ..sighting
    }
}

/// Sums over all that a shard handed over, in words.
#[derive(Debug, Default, PartialEq)]
struct Sums {
    trials: BTreeMap<String, Trials>,
    followed: BTreeMap<String, Followed>,
    fans: BTreeMap<String, (i64, i64)>,
}

impl Sums {
    fn absorb(&mut self, interner: &Interner, changes: &Changes) {
        let (nodes, edges) = (interner.nodes_since(0), interner.edges_since(0));
        let name = |edge: &crate::base::EdgeId| {
            let key = edges[edge.0 as usize];
            let end = |node: NodeId| nodes[node.0 as usize].key.name.clone();
            format!("{}>{}", end(key.from), end(key.to))
        };
        for (edge, more) in &changes.trials {
            *self.trials.entry(name(edge)).or_default() += more;
        }
        for ((edge, then), more) in &changes.followed {
            let pair = format!("{} {}", name(edge), name(then));
            *self.followed.entry(pair).or_default() += more;
        }
        for (fan, more) in &changes.fans {
            let mut edges: Vec<String> = fan.edges.iter().map(name).collect();
            edges.sort();
            let then = fan.then.as_ref().map_or("nothing".to_owned(), name);
            let edges = edges.join("+");
            let set = format!("{} of {} of {edges}, then {then}", fan.failed, fan.members);
            let sums = self.fans.entry(set).or_default();
            *sums = (sums.0 + more.seen, sums.1 + more.fell);
        }
        self.trials.retain(|_, sums| *sums != Trials::default());
        self.followed.retain(|_, sums| *sums != Followed::default());
        self.fans.retain(|_, sums| *sums != (0, 0));
    }

    fn trial(&self, edge: &str) -> Trials {
        self.trials.get(edge).copied().unwrap_or_default()
    }

    fn pair(&self, pair: &str) -> Followed {
        self.followed.get(pair).copied().unwrap_or_default()
    }
}

/// What these spans of one trace say, all healthy traces walked.
fn learned(spans: &[Told]) -> Sums {
    let mut scene = walking(200, 1);
    let spans: Vec<Sighting> = spans
        .iter()
        .map(|span| told(&scene, span.clone()))
        .collect();
    scene.pair(&spans);
    flushed(&mut scene)
}

fn flushed(scene: &mut Scene) -> Sums {
    scene.shard.flush();
    let mut sums = Sums::default();
    sums.absorb(&scene.interner, &scene.shard.take_changes());
    sums
}

fn agent(outcome: Outcome) -> Told {
    (1, 0, Agent, "a", 0..100, outcome)
}

#[test]
fn a_caller_that_fails_after_a_failed_call_and_does_nothing_more_was_felled() {
    let sums = learned(&[agent(Error), (2, 1, Model, "m", 10..20, Timeout)]);
    let expected = Trials {
        failed: 1,
        fell: 1,
        in_failing: 1,
        ..Trials::default()
    };
    assert_eq!(sums.trial("a>m"), expected);
    assert!(sums.followed.is_empty() && sums.fans.is_empty());
}

#[test]
fn a_caller_that_does_not_fail_has_survived_whatever_followed() {
    let sums = learned(&[agent(Well), (2, 1, Model, "m", 10..20, Error)]);
    let expected = Trials {
        failed: 1,
        survived: 1,
        ..Trials::default()
    };
    assert_eq!(sums.trial("a>m"), expected);
    let sums = learned(&[
        agent(Well),
        (2, 1, Model, "m", 10..20, Error),
        (3, 1, Tool, "t", 20..30, Well),
    ]);
    assert_eq!(sums.trial("a>m"), expected);
}

#[test]
fn a_failed_call_on_which_something_followed_says_nothing_of_a_failing_caller() {
    let sums = learned(&[
        agent(Error),
        (2, 1, Model, "m", 10..20, Error),
        (3, 1, Tool, "t", 20..30, Error),
    ]);
    assert_eq!((sums.trial("a>m").fell, sums.trial("a>m").survived), (0, 0));
    assert_eq!(sums.trial("a>t").fell, 1);
    // unless what follows is a handler: then this many more fell
    let expected = Followed {
        after_failure: 1,
        fell: 1,
        ..Followed::default()
    };
    assert_eq!(sums.pair("a>m a>t"), expected);
}

/// ε: the caller fails after a call that went well, with nothing in between.
#[test]
fn a_caller_that_falls_after_a_call_that_went_well_falls_anyway() {
    let sums = learned(&[
        agent(Error),
        (2, 1, Tool, "t", 10..20, Well),
        (3, 1, Model, "m", 20..30, Well),
    ]);
    assert_eq!(sums.trial("a>t").fell_anyway, 0, "m followed");
    assert_eq!(sums.trial("a>m").fell_anyway, 1);
    assert_eq!(sums.trial("a>m").succeeded, 1);
}

/// A handler is seen in failing activations and nowhere else.
#[test]
fn calls_are_told_by_whether_their_activation_fails() {
    let mut scene = walking(200, 1);
    for number in 1..=4 {
        let is_bad = number < 4;
        let outcome = if is_bad { Error } else { Well };
        let mut spans = vec![agent(outcome), (2, 1, Model, "m", 10..20, outcome)];
        if is_bad {
            spans.push((3, 1, Tool, "apologise", 30..40, Well));
        }
        for span in spans {
            let span = in_trace(number, told(&scene, span));
            scene.pair(&[span]);
        }
    }
    let sums = flushed(&mut scene);
    let (model, handler) = (sums.trial("a>m"), sums.trial("a>apologise"));
    assert_eq!((model.in_failing, model.failed + model.succeeded), (3, 4));
    assert_eq!((handler.in_failing, handler.succeeded), (3, 3));
    assert_eq!(sums.pair("a>m a>apologise").fell, 3);
}

#[test]
fn a_fallback_follows_failures_and_not_successes() {
    let mut scene = walking(400, 1);
    for number in 1..=10 {
        let is_bad = number <= 3;
        let outcome = if is_bad { Error } else { Well };
        let mut spans = vec![agent(Well), (2, 1, Model, "first", 10..20, outcome)];
        if is_bad {
            spans.push((3, 1, Model, "second", 20..30, Well));
        }
        for span in spans {
            let span = in_trace(number, told(&scene, span));
            scene.pair(&[span]);
        }
    }
    let sums = flushed(&mut scene);
    let expected = Followed {
        after_failure: 3,
        survived: 3,
        ..Followed::default()
    };
    assert_eq!(sums.pair("a>first a>second"), expected);
    let first = sums.trial("a>first");
    assert_eq!((first.failed, first.survived, first.succeeded), (3, 3, 7));
}

/// The same role is no criterion: the second follows the first's successes as often.
#[test]
fn two_soft_calls_in_a_row_are_told_from_a_fallback_by_what_follows_successes() {
    let mut scene = walking(400, 1);
    for number in 1..=10 {
        let outcome = if number <= 3 { Error } else { Well };
        let spans = [
            agent(Well),
            (2, 1, Tool, "one", 10..20, outcome),
            (3, 1, Tool, "two", 20..30, Well),
        ];
        for span in spans {
            let span = in_trace(number, told(&scene, span));
            scene.pair(&[span]);
        }
    }
    let sums = flushed(&mut scene);
    let expected = Followed {
        after_failure: 3,
        survived: 3,
        fell: 0,
        after_success: 7,
    };
    assert_eq!(sums.pair("a>one a>two"), expected);
}

#[test]
fn concurrent_failures_are_no_evidence_for_one_edge_but_for_their_set() {
    let three = |outcomes: [Outcome; 3], end: Outcome| {
        learned(&[
            agent(end),
            (2, 1, Tool, "x", 10..20, outcomes[0]),
            (3, 1, Tool, "y", 11..30, outcomes[1]),
            (4, 1, Tool, "z", 29..40, outcomes[2]),
        ])
    };
    let both = three([Error, Error, Well], Error);
    assert_eq!((both.trial("a>x").fell, both.trial("a>y").fell), (0, 0));
    let set = |failed| format!("{failed} of 3 of a>x+a>y+a>z, then nothing");
    assert_eq!(both.fans, BTreeMap::from([(set(2), (1, 1))]));
    let one = three([Well, Error, Well], Well);
    assert_eq!(one.trial("a>y").survived, 1);
    assert_eq!(one.fans, BTreeMap::from([(set(1), (1, 0))]));
    let alone = three([Well, Well, Error], Error);
    assert_eq!(alone.trial("a>z").fell, 1, "no other failed");
    assert!(three([Well, Well, Well], Error).fans.is_empty());
}

#[test]
fn a_set_is_kept_apart_by_what_followed_where_the_caller_fell() {
    let sums = learned(&[
        agent(Error),
        (2, 1, Tool, "x", 10..20, Error),
        (3, 1, Tool, "x", 10..25, Error),
        (4, 1, Tool, "h", 30..40, Well),
    ]);
    let set = "2 of 2 of a>x, then a>h".to_owned();
    assert_eq!(sums.fans, BTreeMap::from([(set, (1, 1))]));
}

#[test]
fn repeats_of_a_failed_call_are_one_call_with_the_last_outcome() {
    let sums = learned(&[
        agent(Well),
        (2, 1, Model, "m", 10..20, Error),
        (3, 1, Model, "m", 25..35, Timeout),
        (4, 1, Model, "m", 40..50, Well),
        (5, 1, Tool, "t", 50..60, Well),
    ]);
    let expected = Trials {
        succeeded: 1,
        sampled: 1,
        repeats: 2,
        ..Trials::default()
    };
    assert_eq!(sums.trial("a>m"), expected);
    assert_eq!(sums.pair("a>m a>t").after_success, 1);
    let sums = learned(&[
        agent(Error),
        (2, 1, Model, "m", 10..20, Error),
        (3, 1, Model, "m", 25..35, Error),
    ]);
    let model = sums.trial("a>m");
    assert_eq!((model.failed, model.fell, model.repeats), (1, 1, 1));
}

#[test]
fn another_operation_or_a_loops_next_pass_is_a_new_call() {
    let pass = [
        agent(Well),
        (2, 1, Model, "m", 10..20, Error),
        (3, 1, Tool, "t", 20..30, Well),
        (4, 1, Model, "m", 30..40, Well),
    ];
    let sums = learned(&pass);
    let model = sums.trial("a>m");
    assert_eq!((model.failed, model.survived, model.succeeded), (1, 1, 1));
    let mut scene = walking(200, 1);
    let mut spans = vec![
        told(&scene, agent(Well)),
        told(&scene, (2, 1, Model, "m", 10..20, Error)),
        told(&scene, (3, 1, Model, "m", 20..30, Well)),
    ];
    spans[2].operation = 99;
    scene.pair(&spans);
    assert_eq!(flushed(&mut scene).trial("a>m").repeats, 0);
}

/// What runs beside does not part a call from its repeat, as long as it has another parent.
#[test]
fn repeats_are_found_in_branches_that_run_side_by_side() {
    let mut scene = walking(200, 1);
    let branch = |scene: &Scene, id| Sighting {
        start: SECOND,
        end: SECOND + 100 * MILLI,
        ..scene.neutral(id, 1)
    };
    let spans = [
        told(&scene, agent(Well)),
        branch(&scene, 2),
        branch(&scene, 3),
        told(&scene, (4, 2, Tool, "x", 10..20, Error)),
        told(&scene, (5, 3, Tool, "y", 22..28, Well)),
        told(&scene, (6, 2, Tool, "x", 30..40, Well)),
    ];
    scene.pair(&spans);
    let sums = flushed(&mut scene);
    assert_eq!(
        (sums.trial("a>x").repeats, sums.trial("a>x").failed),
        (1, 0)
    );
}

/// Where control has passed on, the giver's outcome is its successor's, to the last of them.
#[test]
fn who_hands_off_ends_as_its_successor_does() {
    let run = |last: Outcome, is_returning: bool| {
        let mut scene = walking(200, 1);
        let handoff = |id, parent, to, when: std::ops::Range<u64>| {
            let mut span = told(&scene, (id, parent, Agent, to, when, Well));
            span.role = Role::Handoff;
            if is_returning {
                span.flags = Flags::RETURNS;
            }
            span
        };
        let handoffs = [handoff(4, 2, "b", 30..31), handoff(6, 5, "c", 50..51)];
        let spans = [
            told(&scene, (1, 0, Workflow, "w", 0..100, last)),
            told(&scene, (2, 1, Agent, "a", 0..32, Well)),
            told(&scene, (3, 2, Tool, "t", 10..20, Error)),
            handoffs[0],
            told(&scene, (5, 1, Agent, "b", 40..52, Well)),
            handoffs[1],
            told(&scene, (7, 1, Agent, "c", 60..90, last)),
        ];
        scene.pair(&spans);
        flushed(&mut scene)
    };
    let bad = run(Error, false);
    assert_eq!(bad.trial("a>t").survived, 0);
    assert_eq!(bad.pair("a>t a>b").fell, 1);
    assert_eq!((bad.trial("a>b").fell, bad.trial("b>c").fell), (1, 1));
    assert_eq!(
        bad.trial("w>a").fell,
        1,
        "the workflow's only call ended as its last successor did"
    );
    assert_eq!(run(Well, false).trial("a>t").survived, 1);
    assert_eq!(
        run(Error, true).trial("a>t").survived,
        1,
        "control came back"
    );
}

/// A client's and a server's span are one call, at the caller's time.
#[test]
fn both_sides_of_a_call_are_one_call() {
    let mut scene = walking(200, 1);
    let client = |scene: &Scene, id, when: std::ops::Range<u64>, outcome| {
        let mut span = told(scene, (id, 1, Agent, "", when, outcome));
        span.role = Role::TransportClient;
        (span.node, span.span_kind) = (NO_NODE, 3);
        span.peer = scene.node(NodeKind::Service, "outside");
        span
    };
    let server = |scene: &Scene, id, parent, name, when: std::ops::Range<u64>| {
        let mut span = told(scene, (id, parent, NodeKind::Service, name, when, Well));
        span.role = Role::TransportServer;
        span.service = span.node;
        span
    };
    let spans = [
        told(&scene, agent(Error)),
        client(&scene, 2, 10..20, Error),
        // its clock is late
        server(&scene, 3, 2, "orders", 500..510),
        client(&scene, 4, 20..30, Well),
        server(&scene, 5, 4, "stock", 520..530),
    ];
    scene.pair(&spans);
    let sums = flushed(&mut scene);
    assert_eq!(sums.pair("a>orders a>stock").after_failure, 1);
    assert_eq!(sums.trial("a>stock").fell_anyway, 1);
    assert_eq!(sums.trials.len(), 2, "{:?}", sums.trials);
}

/// A model's call and the gateway's inside it are one call, told twice: not concurrent ones.
#[test]
fn a_call_and_what_it_lies_in_do_not_fail_side_by_side() {
    let mut scene = walking(200, 1);
    let mut client = told(&scene, (3, 2, Agent, "", 11..19, Error));
    client.role = Role::TransportClient;
    (client.node, client.span_kind) = (NO_NODE, 3);
    let mut server = told(&scene, (4, 3, NodeKind::Service, "gateway", 12..18, Error));
    server.role = Role::TransportServer;
    server.service = server.node;
    let spans = [
        told(&scene, agent(Error)),
        told(&scene, (2, 1, Model, "m", 10..20, Error)),
        client,
        server,
    ];
    scene.pair(&spans);
    let sums = flushed(&mut scene);
    assert_eq!(
        (sums.trial("a>m").fell, sums.trial("a>gateway").fell),
        (1, 1)
    );
    assert!(sums.fans.is_empty());
}

/// The same with repeats: the gateway's are parted by nothing but the model's span around the second.
#[test]
fn what_a_call_lies_in_does_not_part_it_from_its_repeat() {
    let mut scene = walking(200, 1);
    let attempt = |scene: &Scene, id: u64, from: u64, gateway: &'static str| {
        let mut client = told(scene, (id + 1, id, Agent, "", from + 1..from + 9, Error));
        client.role = Role::TransportClient;
        (client.node, client.span_kind) = (NO_NODE, 3);
        let kind = NodeKind::Service;
        let mut server = told(
            scene,
            (id + 2, id + 1, kind, gateway, from + 2..from + 8, Error),
        );
        server.role = Role::TransportServer;
        server.service = server.node;
        [
            told(scene, (id, 1, Model, "m", from..from + 10, Error)),
            client,
            server,
        ]
    };
    let mut spans = vec![told(&scene, agent(Error))];
    spans.extend(attempt(&scene, 2, 10, "gateway"));
    spans.extend(attempt(&scene, 5, 30, "gateway"));
    spans.extend(attempt(&scene, 8, 50, "spare"));
    scene.pair(&spans);
    let sums = flushed(&mut scene);
    assert_eq!(sums.trial("a>gateway").repeats, 1);
    assert_eq!((sums.trial("a>m").repeats, sums.trial("a>m").fell), (2, 1));
    assert_eq!(
        sums.trial("a>spare").fell,
        1,
        "beside nothing but the model's"
    );
}

/// Whoever was called off neither failed nor survived.
#[test]
fn a_cancelled_caller_says_nothing() {
    let sums = learned(&[
        agent(Outcome::Cancelled),
        (2, 1, Model, "m", 10..20, Timeout),
    ]);
    assert_eq!(sums, Sums::default());
}

/// A-05, N-15: spans that wrap the same work are one activation, and the outermost says how it ended.
#[test]
fn wrappers_belong_to_the_activation_around_them() {
    let sums = learned(&[
        (1, 0, Workflow, "a", 0..100, Well),
        (2, 1, Agent, "a", 1..30, Error),
        (3, 2, Agent, "a", 2..30, Error),
        (4, 3, Model, "m", 10..20, Error),
        (5, 1, Agent, "a", 40..60, Well),
        (6, 5, Model, "m", 41..50, Well),
    ]);
    let expected = Trials {
        succeeded: 1,
        sampled: 1,
        repeats: 1,
        ..Trials::default()
    };
    assert_eq!(sums.trial("a>m"), expected);
}

/// A root that bears no node is the work of its service.
#[test]
fn a_service_without_a_span_of_its_own_acts_in_its_root() {
    let mut scene = walking(200, 1);
    let mut root = scene.neutral(1, 0);
    (root.end, root.outcome) = (SECOND + 100 * MILLI, Error);
    let spans = [root, told(&scene, (2, 1, Model, "m", 10..20, Error))];
    scene.pair(&spans);
    assert_eq!(flushed(&mut scene).trial("s>m").fell, 1);
}

/// B-06: a call that is not drawn yet would be missed as what followed.
#[test]
fn a_trace_whose_client_waits_for_an_answer_waits_with_it() {
    let mut scene = walking(200, 1);
    let mut client = told(&scene, (3, 1, Agent, "", 20..30, Well));
    (client.role, client.node, client.span_kind) = (Role::TransportClient, NO_NODE, 3);
    client.peer = scene.node(NodeKind::Service, "outside");
    let spans = [
        told(&scene, agent(Error)),
        told(&scene, (2, 1, Tool, "t", 10..20, Error)),
        client,
    ];
    scene.pair(&spans);
    let mut sums = Sums::default();
    scene.shard.expire(Nanos(11 * SECOND));
    sums.absorb(&scene.interner, &scene.shard.take_changes());
    assert_eq!(sums, Sums::default());
    scene.shard.expire(Nanos(12 * SECOND));
    sums.absorb(&scene.interner, &scene.shard.take_changes());
    assert_eq!(sums.pair("a>t a>outside").fell, 1);
}

#[test]
fn a_trace_is_walked_when_it_has_settled_and_anew_when_a_span_comes_late() {
    let mut scene = walking(200, 1);
    let mut sums = Sums::default();
    let spans = [
        told(&scene, agent(Error)),
        told(&scene, (2, 1, Tool, "t", 10..20, Error)),
    ];
    let late = told(&scene, (3, 1, Tool, "h", 20..30, Well));
    scene.pair(&spans);
    let mut at = |scene: &mut Scene, millis: u64| {
        scene.shard.expire(Nanos(2 * SECOND + millis * MILLI));
        let changes = scene.shard.take_changes();
        sums.absorb(&scene.interner, &changes);
        (
            sums.trial("a>t").fell,
            sums.pair("a>t a>h").fell,
            changes.stats.walks,
        )
    };
    assert_eq!(at(&mut scene, 1_999), (0, 0, WalkStats::default()));
    let walked = WalkStats {
        made: 1,
        ..WalkStats::default()
    };
    assert_eq!(at(&mut scene, 2_000), (1, 0, walked));
    scene.shard.pair(&late, Nanos(5 * SECOND));
    let taken_back = WalkStats {
        taken_back: 1,
        ..walked
    };
    assert_eq!(at(&mut scene, 4_999), (0, 0, taken_back));
    let again = WalkStats {
        made: 2,
        ..taken_back
    };
    assert_eq!(at(&mut scene, 5_000), (0, 1, again));
    // one that was there already changes nothing
    scene.shard.pair(&late, Nanos(8 * SECOND));
    assert_eq!(at(&mut scene, 8_000), (0, 1, again));
}

#[test]
fn a_trace_without_a_root_is_walked_when_its_parent_is_given_up() {
    let mut scene = walking(200, 1);
    let spans = [
        told(&scene, (1, 9, Agent, "a", 0..100, Error)),
        told(&scene, (2, 1, Tool, "t", 10..20, Error)),
    ];
    scene.pair(&spans);
    scene.shard.expire(Nanos(61 * SECOND));
    assert!(scene.shard.take_changes().trials.is_empty());
    scene.shard.expire(Nanos(62 * SECOND));
    let mut sums = Sums::default();
    sums.absorb(&scene.interner, &scene.shard.take_changes());
    assert_eq!(sums.trial("a>t").fell, 1);
}

/// Whether healthy traces are walked depends on their ids alone, and those that are stand for the others.
#[test]
fn some_healthy_traces_stand_for_all() {
    let sums = |order: &mut dyn Iterator<Item = u64>| {
        let mut scene = walking(100_000, 16);
        for number in order {
            for span in [
                agent(Well),
                (2, 1, Tool, "t", 10..20, Well),
                (3, 1, Model, "m", 20..30, Well),
            ] {
                let span = in_trace(number, told(&scene, span));
                scene.shard.pair(&span, Nanos(2 * SECOND));
            }
        }
        flushed(&mut scene)
    };
    let forwards = sums(&mut (1..=10_000));
    assert_eq!(forwards, sums(&mut (1..=10_000).rev()));
    let tool = forwards.trial("a>t");
    assert_eq!(tool.sampled * 16, tool.succeeded);
    assert!((9_000..11_000).contains(&tool.succeeded), "{tool:?}");
    assert_eq!(forwards.pair("a>t a>m").after_success, tool.succeeded);
}

/// A trace that gave spans away before it was complete would say that nothing followed.
#[test]
fn a_trace_that_is_not_whole_is_not_walked_and_counted() {
    let mut scene = walking(64, 1);
    let mut spans = vec![told(&scene, (1, 9, Agent, "a", 0..100, Error))];
    for id in 10..300 {
        spans.push(told(&scene, (id, 1, Tool, "t", id..id + 1, Error)));
    }
    scene.pair(&spans);
    scene.shard.flush();
    let changes = scene.shard.take_changes();
    assert!(changes.stats.evicted_settled > 0);
    assert_eq!((changes.stats.walks.unread, changes.trials.len()), (1, 0));
}

/// Spans of random traces: trace, id, parent, what it is, whose, when and for how long, how it ended.
type Random = (u64, u64, u8, u8, u64, u64, u8);

fn arbitrary() -> impl Strategy<Value = Vec<Random>> {
    let span = (
        1..4u64,
        0..40u64,
        0..14u8,
        0..3u8,
        0..30u64,
        0..12u64,
        0..6u8,
    );
    prop::collection::vec(span, 1..40)
}

fn build(scene: &Scene, spans: &[Random]) -> Vec<Sighting> {
    let build_one = |(id, random): (u64, &Random)| {
        let (trace, parent, what, name, start, lasts, outcome) = *random;
        // no loops, and one in some has a parent that never comes
        let parent = if parent >= id { parent + 1_000 } else { parent };
        let name = ["x", "y", "z"][usize::from(name)];
        let (role, kind) = [
            (Role::Actor, Agent),
            (Role::Actor, Agent),
            (Role::Actor, Tool),
            (Role::Actor, Tool),
            (Role::Actor, Workflow),
            (Role::Model, Model),
            (Role::Model, Model),
            (Role::Neutral, NodeKind::Service),
            (Role::Handoff, Agent),
            (Role::TransportClient, NodeKind::Service),
            (Role::TransportServer, NodeKind::Service),
            (Role::McpClient, Tool),
            (Role::McpServer, NodeKind::McpServer),
            (Role::Step, Agent),
        ][usize::from(what)];
        let outcome = [Well, Well, Well, Error, Timeout, Outcome::Cancelled][usize::from(outcome)];
        let mut span = told(
            scene,
            (id, parent, kind, name, start..start + lasts, outcome),
        );
        span.role = role;
        span.operation = u32::from(what);
        match role {
            Role::Neutral => span.node = NO_NODE,
            Role::TransportClient | Role::McpClient => {
                span.span_kind = 3;
                span.peer = scene.node(NodeKind::Service, "outside");
                if role == Role::TransportClient {
                    span.node = NO_NODE;
                }
            }
            Role::TransportServer => span.service = span.node,
            Role::Handoff if id % 3 == 0 => span.flags = Flags::RETURNS,
            _ => {}
        }
        in_trace(trace, span)
    };
    (1..).zip(spans).map(build_one).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// B-08: walks that were made too early are taken back and made again, so that the sums are those of all spans at once.
    #[test]
    fn what_is_learned_depends_on_the_spans_and_not_on_their_order(
        (spans, order, pauses, every) in arbitrary().prop_flat_map(|spans| {
            let order: Vec<usize> = (0..spans.len()).collect();
            let pauses = prop::collection::vec(0..4u64, spans.len());
            (Just(spans), Just(order).prop_shuffle(), pauses, 1..3u16)
        })
    ) {
        let mut sorted = walking(400, every);
        let in_order = build(&sorted, &spans);
        sorted.pair(&in_order);
        let expected = flushed(&mut sorted);

        let mut shuffled = walking(400, every);
        let built = build(&shuffled, &spans);
        let (mut sums, mut now) = (Sums::default(), 2);
        for (at, pause) in order.iter().zip(pauses) {
            now += [0, 0, 3, 70][pause as usize];
            shuffled.shard.expire(Nanos(now * SECOND));
            shuffled.shard.pair(&built[*at], Nanos(now * SECOND));
            shuffled.shard.check();
            sums.absorb(&shuffled.interner, &shuffled.shard.take_changes());
            // a repeat is nothing new
            shuffled.shard.pair(&built[*at], Nanos(now * SECOND));
        }
        shuffled.shard.flush();
        sums.absorb(&shuffled.interner, &shuffled.shard.take_changes());
        prop_assert_eq!(&sums, &expected);

        // what gives way takes nothing with it
        for number in 100..600 {
            let span = in_trace(number, shuffled.neutral(1, 0));
            shuffled.shard.pair(&span, Nanos(now * SECOND));
        }
        let changes = shuffled.shard.take_changes();
        prop_assert!(changes.stats.evicted_closed > 0);
        sums.absorb(&shuffled.interner, &changes);
        prop_assert_eq!(sums, expected);
    }

    /// A trace that gives way before it has settled is walked as it stands.
    #[test]
    fn complete_traces_that_give_way_are_walked_before(spans in arbitrary()) {
        let complete = |scene: &Scene| -> Vec<Sighting> {
            let built = build(scene, &spans).into_iter();
            let complete = built.map(|span| {
                let is_there = u64::from_be_bytes(span.parent.0) <= 1_000;
                let parent = if is_there { span.parent } else { SpanId::default() };
                // no client waits
                in_trace(1, Sighting { parent, peer: NO_NODE, ..span })
            });
            complete.collect()
        };
        let (mut roomy, mut tight) = (walking(400, 1), walking(64, 1));
        let (for_roomy, for_tight) = (complete(&roomy), complete(&tight));
        roomy.pair(&for_roomy);
        let expected = flushed(&mut roomy);
        tight.pair(&for_tight);
        for number in 100..200 {
            let span = in_trace(number, tight.neutral(1, 0));
            tight.pair(&[span]);
        }
        let mut sums = Sums::default();
        sums.absorb(&tight.interner, &tight.shard.take_changes());
        prop_assert_eq!(sums, expected);
    }
}
