//! What the guard costs per span: scanning, scanning and enriching, pairing, and a tick.
//!
//! `shard` is what a shard's thread does all day: requests from a recording (`SHARD_CORPUS`, a file of `otlpbench`, or a
//! made one in which traces of many services interleave), with new ids in every loop, into a table that is full, and a
//! hand-over now and then. Its time is the thread's own, so that a busy machine does not show.
//!
//! The input is requests of 512 spans: traces of an agent with model calls, tools and plain spans between, as an agent
//! program sends them, children before parents. Read the result as spans per second (`thrpt`). Ids are new in every
//! request, so that pairing meets no duplicates; names repeat, as they do.

#![expect(
    clippy::expect_used,
    reason = "a benchmark with a broken set-up must stop"
)]

use agentguard::base::Nanos;
use agentguard::graph::WalkSettings;
use agentguard::guard::{Guard, GuardSettings};
use agentguard::scan::Sighting;
use bytes::Bytes;
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use prost::Message;
use rustix::time::ClockId;
use std::hint::black_box;
use std::time::Duration;

const SPANS: u64 = 512;
const SPANS_PER_TRACE: u64 = 16;
/// Requests that are sent in turn; more than the span table holds, so that eviction is part of the figure.
const REQUESTS: u64 = 768;

fn attribute(key: &str, value: Value) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue { value: Some(value) }),
        ..KeyValue::default()
    }
}

fn text(key: &str, value: &str) -> KeyValue {
    attribute(key, Value::StringValue(value.to_owned()))
}

/// The span at a place in its trace: 0 is the agent, the others run in it. Of one in `failing` traces a tool fails, and
/// the agent with it; 0 for none.
fn span(trace: u64, place: u64, failing: u64) -> Span {
    let mut attributes = match place % 4 {
        _ if place == 0 => vec![
            text("gen_ai.operation.name", "invoke_agent"),
            text("gen_ai.agent.name", &format!("agent {}", trace % 24)),
        ],
        0 => vec![
            text("gen_ai.operation.name", "execute_tool"),
            text(
                "gen_ai.tool.name",
                &format!("tool_{}", (trace + place) % 40),
            ),
        ],
        1 => vec![
            text("code.function.name", "step"),
            text("thread.name", "main"),
        ],
        _ => vec![
            text("gen_ai.operation.name", "chat"),
            text("gen_ai.provider.name", "openai"),
            text(
                "gen_ai.request.model",
                ["gpt-4o-2024-08-06", "gpt-4o-mini"][usize::from(trace.is_multiple_of(2))],
            ),
            attribute("gen_ai.usage.input_tokens", Value::IntValue(812)),
            attribute("gen_ai.usage.output_tokens", Value::IntValue(97)),
            text("server.address", "api.openai.com"),
        ],
    };
    attributes.push(text("session.id", "5f0c2f4e-8a53-4b52-9b5f-0d6f4a6b1a11"));
    attributes.push(attribute("thread.id", Value::IntValue(140)));
    let id = trace * SPANS_PER_TRACE + place + 1;
    let parent = if place == 0 {
        vec![]
    } else {
        (trace * SPANS_PER_TRACE + 1).to_be_bytes().to_vec()
    };
    let start = 1_700_000_000_000_000_000 + id * 1_000;
    let fails = failing != 0 && trace.is_multiple_of(failing) && matches!(place, 0 | 12);
    Span {
        status: fails.then(|| Status {
            code: 2,
            ..Status::default()
        }),
        trace_id: u128::from(trace + 1).to_be_bytes().to_vec(),
        span_id: id.to_be_bytes().to_vec(),
        parent_span_id: parent,
        name: "chat gpt-4o".to_owned(),
        kind: 3,
        start_time_unix_nano: start,
        end_time_unix_nano: start + 900,
        attributes,
        ..Span::default()
    }
}

fn request(number: u64, failing: u64) -> Bytes {
    let traces = SPANS / SPANS_PER_TRACE;
    let spans = (number * traces..(number + 1) * traces)
        .flat_map(|trace| {
            (0..SPANS_PER_TRACE)
                .rev()
                .map(move |place| span(trace, place, failing))
        })
        .collect();
    encoded(spans)
}

fn encoded(spans: Vec<Span>) -> Bytes {
    let request = ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            resource: Some(Resource {
                attributes: vec![
                    text("service.name", "desk"),
                    text("telemetry.sdk.language", "python"),
                ],
                ..Resource::default()
            }),
            scope_spans: vec![ScopeSpans {
                spans,
                ..ScopeSpans::default()
            }],
            ..ResourceSpans::default()
        }],
    };
    Bytes::from(request.encode_to_vec())
}

fn ingest(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("guard");
    group.throughput(Throughput::Elements(SPANS));
    let request = request(0, 0);
    for (name, enriches) in [("scan", false), ("scan and enrich", true)] {
        let guard = Guard::new(GuardSettings {
            enriches,
            ..GuardSettings::default()
        });
        let mut worker = guard.worker();
        group.bench_function(name, |bencher| {
            bencher.iter(|| black_box(guard.ingest(&mut worker, &request, 512).expect("valid")));
        });
    }
    group.finish();
}

fn shard(criterion: &mut Criterion) {
    // what is said of the walk: of how many healthy traces one is walked, of how many traces one fails
    let cases = [
        ("pair", WalkSettings::default().healthy_every, 0),
        ("pair, no walks", u16::MAX, 0),
        (
            "pair, 5 % failures",
            WalkSettings::default().healthy_every,
            20,
        ),
        ("pair, all walked", 1, 0),
    ];
    for (name, healthy_every, failing) in cases {
        let mut settings = GuardSettings::default();
        settings.shard.walk.healthy_every = healthy_every;
        pair(criterion, name, settings, failing);
    }
}

fn pair(criterion: &mut Criterion, name: &str, settings: GuardSettings, failing: u64) {
    let guard = Guard::new(settings);
    let mut worker = guard.worker();
    let requests: Vec<Vec<Sighting>> = (0..REQUESTS)
        .map(|number| {
            let ingested = guard
                .ingest(&mut worker, &request(number, failing), 512)
                .expect("valid");
            ingested.sightings.concat()
        })
        .collect();
    let mut group = criterion.benchmark_group("guard");
    group.throughput(Throughput::Elements(SPANS));
    let mut settler = guard.settler();
    let mut turn = requests.iter().cycle();
    let now = Nanos(1_700_000_100_000_000_000);
    // the table is full, and gives way for what comes
    for sightings in &requests {
        settler.settle(sightings, now);
    }
    group.bench_function(name, |bencher| {
        bencher.iter(|| settler.settle(turn.next().expect("endless"), now));
    });
    if name == "pair" {
        group.bench_function("tick", |bencher| {
            let mut totals = guard.ticker();
            bencher.iter_batched(
                || turn.next().expect("endless"),
                |sightings| {
                    settler.settle(sightings, now);
                    guard.tick(&mut totals, [&settler.collect(now)])
                },
                BatchSize::SmallInput,
            );
        });
    }
    group.finish();
}

/// Requests between two hand-overs.
const REQUESTS_PER_TICK: u64 = 256;

/// How long this thread has run.
fn on_cpu() -> Duration {
    let time = rustix::time::clock_gettime(ClockId::ThreadCPUTime);
    Duration::try_from(time).expect("not before its start")
}

/// The requests of a recording.
fn recorded(file: &[u8]) -> Vec<Bytes> {
    let mut rest = file;
    let mut requests = Vec::new();
    while let Some((head, after)) = rest.split_first_chunk::<12>() {
        let len = u32::from_le_bytes([head[8], head[9], head[10], head[11]]) as usize;
        let (request, after) = after.split_at(len);
        requests.push(Bytes::copy_from_slice(request));
        rest = after;
    }
    requests
}

/// Requests in which each trace's spans come in four parts, forty requests in flight, parents last.
fn interleaved() -> Vec<Bytes> {
    let spans: Vec<Span> = (0..400 * SPANS / SPANS_PER_TRACE)
        .flat_map(|trace| {
            (0..SPANS_PER_TRACE)
                .rev()
                .map(move |place| span(trace, place, 0))
        })
        .collect();
    let mut order: Vec<usize> = (0..spans.len()).collect();
    order.sort_by_key(|at| {
        let part = at % SPANS_PER_TRACE as usize / 4;
        let trace = at / SPANS_PER_TRACE as usize;
        trace + part * 10 * (SPANS / SPANS_PER_TRACE) as usize
    });
    let of = |at: &[usize]| encoded(at.iter().map(|at| spans[*at].clone()).collect());
    order.chunks(SPANS as usize).map(of).collect()
}

/// Sightings whose ids nobody has seen.
fn renewed(sightings: &[Sighting], turn: u64) -> Vec<Sighting> {
    let renew = |sighting: &Sighting| {
        let mut sighting = *sighting;
        let id = u128::from_le_bytes(sighting.trace.0) ^ u128::from(turn).wrapping_mul(SPREAD);
        sighting.trace.0 = id.to_le_bytes();
        sighting
    };
    sightings.iter().map(renew).collect()
}

/// An odd number with bits well spread.
const SPREAD: u128 = 0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835;

fn steady(criterion: &mut Criterion) {
    let guard = Guard::new(GuardSettings::default());
    let mut worker = guard.worker();
    let file = std::env::var_os("SHARD_CORPUS").map(std::fs::read);
    let requests = file.map_or_else(interleaved, |file| recorded(&file.expect("a corpus")));
    let requests: Vec<Vec<Sighting>> = requests
        .iter()
        .map(|request| guard.ingest(&mut worker, request, 512).expect("valid"))
        .map(|ingested| ingested.sightings.concat())
        .collect();
    let spans: usize = requests.iter().map(Vec::len).sum();
    let mut settler = guard.settler();
    let now = Nanos(1_900_000_000_000_000_000);
    let mut turn = 0;
    let mut settle_one = || {
        let number = turn % requests.len() as u64;
        let request = renewed(&requests[number as usize], 1 + turn / requests.len() as u64);
        turn += 1;
        let before = on_cpu();
        settler.settle(&request, now);
        if turn.is_multiple_of(REQUESTS_PER_TICK) {
            black_box(settler.collect(now));
        }
        on_cpu() - before
    };
    // until the table is full
    for _ in 0..2 * GuardSettings::default().shard.spans / (spans / requests.len()) {
        settle_one();
    }
    let mut group = criterion.benchmark_group("guard");
    group.throughput(Throughput::Elements((spans / requests.len()) as u64));
    group.bench_function("shard", |bencher| {
        bencher.iter_custom(|turns| (0..turns).map(|_| settle_one()).sum());
    });
    group.finish();
}

criterion_group!(benches, ingest, shard, steady);
criterion_main!(benches);
