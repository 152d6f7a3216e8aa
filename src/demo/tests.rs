//! The reference system, played: it is what it says it is, and a scan of its traffic finds it.

use super::*;
use crate::base::{Nanos, SpanId, TraceId};
use crate::guard::{self, GuardSettings};
use crate::otlp::{Signal, validate};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

const START: Nanos = Nanos(1_790_000_000_000_000_000);
const SECOND: Duration = Duration::from_secs(1);
const FAULTY: Schedule = Schedule {
    start: START,
    round: Duration::from_secs(90),
    faults: FAULTS,
};

/// So many seconds of traffic and what was under way then, second by second.
fn played(schedule: Schedule, seed: u64, seconds: u32) -> Vec<Vec<Flush>> {
    let mut player = Player::new(&REFERENCE, schedule, seed, START);
    let mut flushes: Vec<Vec<Flush>> = (1..=seconds)
        .map(|second| player.until(START.plus(SECOND * second)))
        .collect();
    flushes.push(player.ended(Nanos(u64::MAX)));
    assert!(player.is_idle());
    flushes
}

fn spans(flushes: &[Vec<Flush>]) -> Vec<&PlayedSpan> {
    flushes
        .iter()
        .flatten()
        .flat_map(|flush| &flush.spans)
        .collect()
}

fn requests(flushes: &[Vec<Flush>]) -> Vec<bytes::Bytes> {
    flushes
        .iter()
        .flatten()
        .map(|flush| encode(REFERENCE.namespace, flush.process, &flush.spans))
        .collect()
}

#[test]
fn the_reference_system_is_whole() {
    assert_eq!(REFERENCE.mistakes(), Vec::<String>::new());
    let count = |kind: &str| {
        REFERENCE
            .components
            .iter()
            .filter(|component| component.kind.as_str() == kind)
            .count()
    };
    let counts = ["agent", "tool", "model", "service", "database", "queue"].map(count);
    assert_eq!(counts, [25, 12, 4, 9, 4, 1]);
}

/// A check that finds nothing wrong with anything would not be one.
#[test]
fn mistakes_of_a_system_are_named() {
    const LOOP: &[Component] = &[
        Component {
            name: "a",
            kind: Kind::Agent,
            process: "p",
            own: Latency::of_millis(1),
            steps: &[Step::Call(Call::to("b")), Step::Call(Call::to("nobody"))],
        },
        Component {
            name: "b",
            kind: Kind::Tool,
            process: "q",
            own: Latency::of_millis(1),
            steps: &[Step::Call(Call::to("a"))],
        },
        Component {
            name: "c",
            kind: Kind::Service,
            process: "c",
            own: Latency::of_millis(1),
            steps: &[],
        },
    ];
    let system = System {
        namespace: "n",
        entries: &[Entry {
            component: "a",
            every: SECOND,
        }],
        components: LOOP,
    };
    assert_eq!(
        system.mistakes(),
        [
            "a uses a tool elsewhere: b",
            "a calls `nobody`: nobody",
            "nobody calls c",
            "there is a cycle"
        ]
    );
}

/// The kinds of nodes that are compared: all that the system has.
const SCANNED: &[&str] = &["agent", "tool", "model", "service", "database", "queue"];

/// The part of a system's graph between nodes of these kinds.
fn between(
    kinds: &[&str],
    nodes: Vec<(&str, String)>,
    edges: Vec<[(&str, String); 3]>,
) -> [BTreeSet<String>; 2] {
    let is_of = |(kind, _): &(&str, String)| kinds.contains(kind);
    let nodes = nodes.into_iter().filter(is_of);
    let edges = edges
        .into_iter()
        .filter(|[from, _, to]| is_of(from) && is_of(to));
    [
        nodes.map(|(kind, name)| format!("{kind} {name}")).collect(),
        edges
            .map(|[from, (_, kind), to]| format!("{} {kind} {}", from.1, to.1))
            .collect(),
    ]
}

/// R-SYS-1, R-GRA-1: who there is and who calls whom, exactly, with a fault and without.
#[test]
fn a_scan_of_the_traffic_recovers_the_true_graph() {
    let truth = REFERENCE.truth();
    let kinds: BTreeMap<&str, &str> = truth
        .nodes
        .iter()
        .map(|(kind, name)| (*name, *kind))
        .collect();
    let owned = |(kind, name): (&'static str, &'static str)| (kind, name.to_owned());
    let true_edges = truth.edges.iter().map(|(from, kind, to)| {
        [(kinds[from], *from), ("", *kind), (kinds[to], *to)]
            .map(|(kind, name)| (kind, name.to_owned()))
    });
    let expected = between(
        SCANNED,
        truth.nodes.iter().copied().map(owned).collect(),
        true_edges.collect(),
    );

    let scanned = guard::scan(GuardSettings::default(), requests(&played(FAULTY, 7, 100)));
    assert_eq!(scanned.malformed, 0);
    let graph = &scanned.snapshot.graph;
    // a database is shown with its address
    let named = |row: &crate::graph::NodeRow| {
        let name = row.record.display.rsplit('/').next().unwrap_or_default();
        (row.record.key.kind.as_str(), name.to_owned())
    };
    let nodes = graph.nodes().iter().map(named);
    let edges = graph.edges().iter().map(|edge| {
        assert_eq!(edge.evidence(), "span");
        let end = |node| named(graph.node(node).unwrap());
        [end(edge.from), ("", edge.kind.to_string()), end(edge.to)]
    });
    let found = between(SCANNED, nodes.clone().collect(), edges.collect());
    assert_eq!(found, expected);
    // what else is found is there, too
    let services = ["service"];
    let true_services = between(
        &services,
        truth.nodes.iter().copied().map(owned).collect(),
        Vec::new(),
    );
    let [found, _] = between(&services, nodes.collect(), Vec::new());
    assert!(
        found.contains("service gateway") && found.is_subset(&true_services[0]),
        "{found:?}"
    );
}

#[test]
fn the_same_seed_sends_the_same_bytes_and_another_does_not() {
    let one = requests(&played(FAULTY, 1, 5));
    assert_eq!(one, requests(&played(FAULTY, 1, 5)));
    assert_ne!(one, requests(&played(FAULTY, 2, 5)));
}

#[test]
fn every_request_is_valid_and_the_rate_is_bearable() {
    let flushes = played(FAULTY, 3, 60);
    let mut sent = 0;
    for request in requests(&flushes) {
        sent += validate(Signal::Traces, &request).unwrap();
    }
    assert_eq!(sent as usize, spans(&flushes).len());
    assert!((50..=200).contains(&(sent / 60)), "{} spans/s", sent / 60);
}

/// As real exporters send: ended spans only, hence children before parents, each process on its own.
#[test]
fn spans_lie_within_their_parents_and_are_sent_before_them() {
    let flushes = played(FAULTY, 4, 60);
    let mut sent = HashMap::<(TraceId, SpanId), (usize, &PlayedSpan)>::new();
    for (second, flush) in flushes.iter().enumerate() {
        for span in flush.iter().flat_map(|flush| &flush.spans) {
            assert!(span.start <= span.end && span.start >= START);
            assert!(second == 60 || span.end <= START.plus(SECOND * (second as u32 + 1)));
            assert!(
                sent.insert((span.trace, span.span), (second, span))
                    .is_none()
            );
        }
    }
    let mut crossings = 0;
    for (second, span) in sent.values() {
        let Some(parent) = span.parent else { continue };
        let (later, parent) = sent[&(span.trace, parent)];
        assert!(*second <= later);
        assert!(
            parent.start <= span.start && span.end <= parent.end,
            "{span:?} in {parent:?}"
        );
        crossings += usize::from(parent.process != span.process);
    }
    assert!(crossings > 0);
    let links = sent.values().filter_map(|(_, span)| span.link);
    assert!(links.clone().count() > 0);
    for link in links {
        assert_eq!(sent[&link].1.kind, SpanKind::Producer);
    }
}

/// Seconds into the schedule at which spans of this name began, and whether each failed.
fn ended<'f>(flushes: &'f [Vec<Flush>], name: &str) -> Vec<(u64, &'f PlayedSpan)> {
    let named = spans(flushes).into_iter().filter(|span| span.name == name);
    named
        .map(|span| (span.start.since(START).as_secs(), span))
        .collect()
}

#[test]
fn a_provider_fails_on_schedule_and_the_other_takes_over() {
    let calm = played(Schedule::CALM, 5, 90);
    assert!(spans(&calm).iter().all(|span| span.error.is_none()));
    assert_eq!(
        ended(&calm, "chat claude-haiku-4-5").len(),
        ended(&calm, "invoke_agent translator").len()
    );
    let faulty = played(FAULTY, 5, 90);
    let failed = |range: std::ops::Range<u64>| {
        let calls = ended(&faulty, "chat gpt-4o-mini");
        let within: Vec<_> = calls.iter().filter(|(at, _)| range.contains(at)).collect();
        let failed = within
            .iter()
            .filter(|(_, span)| span.error.as_deref() == Some("503"));
        (failed.count() as f64 / within.len() as f64, within.len())
    };
    assert_eq!(failed(0..15).0, 0.0);
    assert!(failed(15..35).0 > 0.7, "{:?}", failed(15..35));
    assert_eq!(failed(35..90).0, 0.0);
    // most of what can fall back does so, and the whole works on
    let whole = ended(&faulty, "invoke_agent orchestrator");
    assert!(whole.iter().all(|(_, span)| span.error.is_none()));
    // the one who cannot fails
    let alone = ended(&faulty, "invoke_agent network-scanner");
    assert!(alone.iter().any(|(_, span)| span.error.is_some()));
}

#[test]
fn a_tool_is_slow_on_schedule() {
    let faulty = played(FAULTY, 6, 90);
    let mean = |range: std::ops::Range<u64>| {
        let calls = ended(&faulty, "execute_tool query_advisories");
        let took: Vec<f64> = calls
            .iter()
            .filter(|(at, _)| range.contains(at))
            .map(|(_, span)| span.end.since(span.start).as_secs_f64())
            .collect();
        took.iter().sum::<f64>() / took.len() as f64
    };
    assert!(mean(50..70) > 10.0 * mean(0..50));
    assert!(mean(71..90) < 2.0 * mean(0..50));
}

/// A second round is like the first.
#[test]
fn faults_come_again() {
    let model = *REFERENCE.component("gpt-4o").unwrap();
    let effects = |second: u64| {
        let at = START.plus(Duration::from_secs(second));
        FAULTY.effects(&model, at).count()
    };
    assert_eq!(
        [14, 15, 34, 35, 104, 105, 124, 125].map(effects),
        [0, 1, 1, 0, 0, 1, 1, 0]
    );
}

/// A machine that slept does not wake to hours of traffic at once.
#[test]
fn what_was_missed_for_long_is_left_out() {
    let mut player = Player::new(&REFERENCE, Schedule::CALM, 8, START);
    player.until(START.plus(SECOND));
    let slept = START.plus(3_600 * SECOND);
    let after: Vec<_> = (0..=10)
        .map(|second| player.until(slept.plus(SECOND * second)))
        .collect();
    let runs = ended(&after, "POST /gateway").len();
    assert!((1..=16).contains(&runs), "{runs}");
}
