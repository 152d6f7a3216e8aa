//! What joins spans across traces and beside each other, fed at random: any order gives the same counts.

use super::orders::sums;
use super::*;
use proptest::prelude::*;

/// A span: its trace, parent, what it is, name, service, whether it failed, and to what it links.
type Drawn = (u8, u64, u8, u8, bool, bool, Option<u64>);

fn arbitrary_spans() -> impl Strategy<Value = Vec<Drawn>> {
    let span = (
        0..3u8,
        0..30u64,
        0..14u8,
        0..3u8,
        any::<bool>(),
        any::<bool>(),
        prop::option::of(1..30u64),
    );
    prop::collection::vec(span, 1..30)
}

fn trace(of: u8) -> TraceId {
    TraceId([of + 1; 16])
}

/// Builds the spans, each with its link behind it. A parent is older and of the same trace, or never comes.
fn build(scene: &Scene, spans: &[Drawn]) -> Vec<Vec<Sighting>> {
    let build_one = |(id, drawn): (u64, &Drawn)| {
        let (of, parent, what, name, is_elsewhere, is_bad, link) = *drawn;
        let name = ["x", "y", "z"][usize::from(name)];
        let older = usize::try_from(parent)
            .ok()
            .and_then(|at| spans.get(at.wrapping_sub(1)));
        let is_there = parent < id && older.is_some_and(|older| older.0 == of);
        let parent = if parent == 0 || is_there {
            parent
        } else {
            parent + 1_000
        };
        let (role, kind, flags) = [
            (Role::Actor, NodeKind::Agent, Flags::default()),
            (Role::Actor, NodeKind::Agent, Flags::NAMED),
            (Role::Actor, NodeKind::Agent, Flags::HANDED),
            (Role::Actor, NodeKind::Tool, Flags::default()),
            (Role::Model, NodeKind::Model, Flags::TOKENS),
            (Role::Actor, NodeKind::Workflow, Flags::TOKENS),
            (Role::Handoff, NodeKind::Agent, Flags::default()),
            (Role::Handoff, NodeKind::Agent, Flags::WEAK),
            (Role::Step, NodeKind::Agent, Flags::MESSAGED),
            (Role::Step, NodeKind::Agent, Flags::BY_NAME),
            (Role::Step, NodeKind::Agent, Flags::TURN),
            (Role::Neutral, NodeKind::Service, Flags::default()),
            (Role::Consumer, NodeKind::Service, Flags::default()),
            (Role::TransportServer, NodeKind::Service, Flags::default()),
        ][usize::from(what)];
        let service = scene.node(NodeKind::Service, if is_elsewhere { "t" } else { "s" });
        let mut span = scene.span(id, parent, kind, name);
        (span.role, span.flags, span.service) = (role, flags, service);
        span.trace = trace(of);
        span.start = SECOND + id * 10;
        span.end = span.start + 400 - id * 12;
        span.outcome = if is_bad { Outcome::Error } else { Outcome::Ok };
        span.scope = u32::from(is_elsewhere);
        match role {
            Role::Neutral => (span.node, span.span_kind) = (NO_NODE, 4),
            Role::Consumer => span.node = NO_NODE,
            Role::TransportServer => span.node = service,
            Role::Model => span.response = u32::from(is_bad) * 7,
            Role::Handoff | Role::Step if is_bad => {
                span.hint = scene.node(NodeKind::Agent, "y");
            }
            _ => {}
        }
        if flags == Flags::HANDED {
            span.hint = scene.node(NodeKind::Agent, "z");
        }
        let linked = link.and_then(|link| {
            let to = usize::try_from(link).ok()?.checked_sub(1)?;
            Some(span.link(trace(spans.get(to)?.0), SpanId(link.to_be_bytes())))
        });
        let has_rule = matches!(role, Role::Neutral | Role::Consumer | Role::Actor)
            || flags == Flags::MESSAGED;
        let mut sightings = vec![span];
        sightings.extend(linked.filter(|_| has_rule && kind != NodeKind::Tool));
        sightings
    };
    (1..).zip(spans).map(build_one).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(384))]

    /// B-08, for links, names, turns, handoffs, doors and echoes; with ticks and ends of waiting in between.
    #[test]
    fn what_joins_spans_does_not_depend_on_their_order(
        (spans, order, given_up) in arbitrary_spans().prop_flat_map(|spans| {
            let order: Vec<usize> = (0..spans.len()).collect();
            let given_up = prop::collection::vec(0..4u8, spans.len());
            (Just(spans), Just(order).prop_shuffle(), given_up)
        })
    ) {
        let (mut sorted, mut shuffled) = (scene(200), scene(200));
        for sightings in build(&sorted, &spans) {
            sorted.pair(&sightings);
        }
        let built = build(&shuffled, &spans);
        for (at, what) in order.iter().zip(given_up) {
            shuffled.pair(&built[*at]);
            match what {
                0 => shuffled.shard.flush(),
                1 => shuffled.pair(&built[*at]),
                _ => {}
            }
            if what < 3 {
                let changes = shuffled.shard.take_changes();
                shuffled.totals.absorb(&changes);
            }
        }
        prop_assert_eq!(sums(&mut sorted), sums(&mut shuffled));
    }
}

/// E-27: who asks again after an answer asks anew; the answers are no calls.
#[test]
fn a_reply_is_no_call_and_the_next_question_is() {
    let mut scene = scene(100);
    let receipt = |scene: &Scene, of: u8, name| Sighting {
        role: Role::Step,
        flags: Flags::MESSAGED,
        trace: trace(of),
        start: SECOND + u64::from(of),
        ..scene.span(1, 0, NodeKind::Agent, name)
    };
    let model = |scene: &Scene, of: u8| Sighting {
        trace: trace(of),
        ..scene.span(2, 1, NodeKind::Model, "m")
    };
    for (of, name) in [
        (4, "poet"),
        (3, "chair"),
        (2, "poet"),
        (1, "chair"),
        (0, "poet"),
    ] {
        let seen = receipt(&scene, of, name);
        let mut sightings = vec![seen, model(&scene, of)];
        if of > 0 {
            sightings.push(seen.link(trace(of - 1), SpanId(2u64.to_be_bytes())));
        }
        scene.pair(&sightings);
    }
    assert_eq!(
        scene.settled(),
        [
            "agent:-/chair -calls_model-> model:-/m x2",
            "agent:-/poet -messages-> agent:-/chair x2",
            "agent:-/poet -calls_model-> model:-/m x3",
        ]
    );
}

/// K-18: a name that becomes known later makes agents of the steps that came before it.
#[test]
fn a_step_is_an_agent_once_its_service_names_one() {
    let mut scene = scene(100);
    let step = Sighting {
        role: Role::Step,
        flags: Flags::BY_NAME,
        ..scene.span(2, 1, NodeKind::Agent, "till")
    };
    let spans = [
        scene.span(1, 0, NodeKind::Workflow, "shop"),
        step,
        scene.span(3, 2, NodeKind::Tool, "t"),
    ];
    scene.pair(&spans);
    let before = "workflow:-/shop -uses_tool-> tool:-/t x1";
    assert_eq!(scene.edges(), [before]);
    let declared = Sighting {
        role: Role::Declare,
        flags: Flags::NAMED,
        trace: trace(7),
        ..scene.span(9, 0, NodeKind::Agent, "till")
    };
    scene.pair(&[declared]);
    let after = [
        "agent:-/till -uses_tool-> tool:-/t x1",
        "workflow:-/shop -invokes-> agent:-/till x1",
    ];
    assert_eq!(scene.settled(), after);
}
