//! What the wire costs per span: validating, viewing, splicing, scanning, beside a plain copy and a full decode.
//!
//! Three inputs. `wire`: a request of 512 spans of ~540 bytes with 12 attributes each, the form of a busy service's batch.
//! `recorded`: requests as programs sent them, of the file that the environment variable `BENCH_CORPUS` names, else of the
//! captures under `examples`. `content`: spans that hold 4096 bytes of what was said to a model, in ASCII and beyond.
//! Read the results as spans per second, those of `content` as bytes per second (`thrpt`).

#![expect(
    clippy::expect_used,
    reason = "a benchmark with a broken set-up must stop"
)]

use agentguard::guard::{Guard, GuardSettings};
use agentguard::otlp::{
    Edit, Edits, NewValue, RequestView, ResourceView, ScopeView, Signal, SpanBytes, Splice,
    capture, encode_span_attribute, validate,
};
use agentguard::pipeline::{Batch, Consumer, Reservation, Verdict};
use agentguard::processors::attributes::{
    ActionConfig, AttributeValue, AttributesConfig, AttributesProcessor,
};
use bytes::Bytes;
use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use prost::Message;
use std::fs::File;
use std::hint::black_box;
use std::io::BufReader;
use std::path::PathBuf;
use std::sync::Arc;

const SPANS: u64 = 512;

/// Numbers that look random and are the same in every run (splitmix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }
}

fn attribute(key: &str, value: Value) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue { value: Some(value) }),
        key_strindex: 0,
    }
}

fn text(key: &str, value: String) -> KeyValue {
    attribute(key, Value::StringValue(value))
}

fn number(key: &str, value: u64) -> KeyValue {
    attribute(key, Value::IntValue(value.cast_signed()))
}

/// A model call, a tool call or a database query, as instrumentations write them.
fn span(random: &mut Random) -> Span {
    let n = random.below(100);
    let mut attributes = match random.below(3) {
        0 => vec![
            text("gen_ai.operation.name", "chat".to_owned()),
            text("gen_ai.provider.name", "gcp.gemini".to_owned()),
            text("gen_ai.request.model", format!("gemini-2.5-flash-{n}")),
            text("gen_ai.response.id", format!("{:016x}", random.next())),
            text("gen_ai.agent.name", format!("researcher-{n}")),
            number("gen_ai.usage.input_tokens", random.below(8000)),
            number("gen_ai.usage.output_tokens", random.below(2000)),
            attribute("gen_ai.request.temperature", Value::DoubleValue(0.7)),
        ],
        1 => vec![
            text("gen_ai.operation.name", "execute_tool".to_owned()),
            text("gen_ai.tool.name", format!("search-{n}")),
            text(
                "gen_ai.tool.call.id",
                format!("call_{:016x}", random.next()),
            ),
            text("gen_ai.tool.type", "function".to_owned()),
            text("gen_ai.agent.name", format!("planner-{n}")),
            text("code.function.name", "tools.search.invoke".to_owned()),
            attribute("tool.cached", Value::BoolValue(n.is_multiple_of(2))),
            number("tool.result.bytes", random.below(20_000)),
        ],
        _ => vec![
            text("db.system.name", "postgresql".to_owned()),
            text("db.namespace", format!("shipping_db_{n}")),
            text("db.operation.name", "SELECT".to_owned()),
            text("db.collection.name", "shippings".to_owned()),
            text(
                "db.query.text",
                "SELECT id, state, updated_at FROM shippings WHERE id = $1".to_owned(),
            ),
            number("db.response.returned_rows", random.below(200)),
            text(
                "network.peer.address",
                format!("10.1.{n}.{}", random.below(256)),
            ),
            text("network.transport", "tcp".to_owned()),
        ],
    };
    attributes.push(text(
        "server.address",
        format!("service-{n}.shop.svc.cluster.local"),
    ));
    attributes.push(number("server.port", 1024 + random.below(60_000)));
    attributes.push(number("thread.id", random.below(64)));
    attributes.push(text(
        "thread.name",
        format!("http-nio-8080-exec-{}", random.below(64)),
    ));
    let start = 1_760_000_000_000_000_000 + random.below(1 << 40);
    Span {
        trace_id: [random.next(), random.next()]
            .map(u64::to_be_bytes)
            .concat(),
        span_id: random.next().to_be_bytes().to_vec(),
        parent_span_id: random.next().to_be_bytes().to_vec(),
        flags: 0x101,
        name: format!("shop.v1.checkout/execute-step-{n}"),
        kind: 3,
        start_time_unix_nano: start,
        end_time_unix_nano: start + random.below(1 << 30),
        attributes,
        status: (n < 3).then(|| Status {
            message: "deadline exceeded".to_owned(),
            code: 2,
        }),
        ..Span::default()
    }
}

fn request() -> Bytes {
    let mut random = Random(1);
    let resource = [
        "service.name",
        "service.version",
        "host.name",
        "telemetry.sdk.name",
    ]
    .map(|key| text(key, format!("some-{key}")));
    let scope_spans = ScopeSpans {
        scope: Some(InstrumentationScope {
            name: "bench".to_owned(),
            ..InstrumentationScope::default()
        }),
        spans: (0..SPANS).map(|_| span(&mut random)).collect(),
        schema_url: String::new(),
    };
    let request = ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            resource: Some(Resource {
                attributes: resource.to_vec(),
                ..Resource::default()
            }),
            scope_spans: vec![scope_spans],
            schema_url: String::new(),
        }],
    };
    Bytes::from(request.encode_to_vec())
}

/// The guard's way: attributes that were encoded beforehand, the same for every span.
struct Three(Vec<u8>);

impl Edit for Three {
    fn span(
        &mut self,
        _resource: &ResourceView<'_>,
        _scope: &ScopeView<'_>,
        _span: SpanBytes<'_>,
        edits: &mut Edits<'_>,
    ) {
        edits.insert_encoded(&self.0);
    }
}

/// The end of the pipeline.
struct Sink;

impl Consumer for Sink {
    fn reserve(&self, batch: Batch, _reservation: &mut Reservation) -> Result<(), Verdict> {
        black_box(batch);
        Ok(())
    }
}

fn insert(key: &str, value: AttributeValue) -> ActionConfig {
    ActionConfig {
        key: key.to_owned(),
        action: "insert".to_owned(),
        value: Some(value),
        ..ActionConfig::default()
    }
}

fn processor() -> AttributesProcessor {
    let config = AttributesConfig {
        actions: vec![
            insert("risk.score", AttributeValue::Double(0.75)),
            insert("risk.blast_radius", AttributeValue::Int(42)),
            insert(
                "risk.node",
                AttributeValue::Str("agent:researcher-17".to_owned()),
            ),
        ],
        ..AttributesConfig::default()
    };
    AttributesProcessor::build(&config, Arc::new(Sink)).expect("a valid configuration")
}

fn wire(c: &mut Criterion) {
    let request = request();
    let bytes_per_span = request.len() as u64 / SPANS;
    assert!(
        (500..600).contains(&bytes_per_span),
        "{bytes_per_span} bytes per span"
    );
    let mut group = c.benchmark_group("wire");
    group.throughput(Throughput::Elements(SPANS));
    group.bench_function("copy", |b| b.iter(|| black_box(request.to_vec())));
    group.bench_function("validate", |b| {
        b.iter(|| validate(Signal::Traces, black_box(&request)));
    });
    group.bench_function("view spans", |b| {
        b.iter(|| {
            let groups = RequestView::new(black_box(&request)).resource_groups();
            for span in groups
                .flat_map(|g| g.scope_groups())
                .flat_map(|s| s.spans())
            {
                black_box(&span);
            }
        });
    });
    group.bench_function("view spans and keys", |b| {
        b.iter(|| {
            let groups = RequestView::new(black_box(&request)).resource_groups();
            for span in groups
                .flat_map(|g| g.scope_groups())
                .flat_map(|s| s.spans())
            {
                black_box(&span);
                span.attributes().for_each(|attribute| {
                    black_box(attribute.key);
                });
            }
        });
    });
    let mut three = Vec::new();
    encode_span_attribute(&mut three, "risk.score", NewValue::Double(0.75));
    encode_span_attribute(&mut three, "risk.blast_radius", NewValue::Int(42));
    encode_span_attribute(
        &mut three,
        "risk.node",
        NewValue::Str("agent:researcher-17"),
    );
    let (mut splice, mut three) = (Splice::new(), Three(three));
    group.bench_function("splice three encoded attributes", |b| {
        b.iter(|| splice.run(Signal::Traces, black_box(&request), &mut three));
    });
    let processor = processor();
    group.bench_function("processor inserts three attributes", |b| {
        b.iter(|| {
            let batch = Batch {
                signal: Signal::Traces,
                bytes: request.clone(),
                items: 512,
            };
            processor.reserve(batch, &mut Reservation::default())
        });
    });
    group.bench_function("decode (prost)", |b| {
        b.iter(|| ExportTraceServiceRequest::decode(&black_box(&request)[..]));
    });
    group.finish();
}

/// At most this many requests of a recording.
const RECORDED: usize = 64;

fn recorded() -> Vec<Bytes> {
    let files = match std::env::var_os("BENCH_CORPUS") {
        Some(corpus) => vec![PathBuf::from(corpus)],
        None => {
            let captures = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/captures");
            let entries = std::fs::read_dir(captures).expect("the captures");
            let mut files: Vec<_> = entries.map(|entry| entry.expect("a file").path()).collect();
            files.sort();
            files
        }
    };
    let records = files.into_iter().flat_map(|path| {
        let file = File::open(path).expect("a recording");
        capture::records(BufReader::new(file))
    });
    records
        .take(RECORDED)
        .map(|record| record.expect("a record").bytes)
        .collect()
}

/// Benchmarks of every step of the request's clock over these requests.
fn steps(group: &mut BenchmarkGroup<'_, WallTime>, requests: &[Bytes]) {
    group.bench_function("validate", |b| {
        b.iter(|| {
            for request in requests {
                black_box(validate(Signal::Traces, request)).expect("valid");
            }
        });
    });
    let mut encoded = Vec::new();
    encode_span_attribute(
        &mut encoded,
        "agentguard.node.id",
        NewValue::Str("agent:shop/researcher-17"),
    );
    let (mut splice, mut edit) = (Splice::new(), Three(encoded));
    group.bench_function("splice", |b| {
        b.iter(|| {
            for request in requests {
                black_box(splice.run(Signal::Traces, request, &mut edit)).expect("valid");
            }
        });
    });
    for (name, enriches) in [("scan", false), ("ingest", true)] {
        let guard = Guard::new(GuardSettings {
            enriches,
            ..GuardSettings::default()
        });
        let mut worker = guard.worker();
        group.bench_function(name, |b| {
            b.iter(|| {
                for request in requests {
                    black_box(guard.ingest(&mut worker, request, 512)).expect("valid");
                }
            });
        });
    }
}

fn recording(c: &mut Criterion) {
    let requests = recorded();
    let spans: u32 = requests
        .iter()
        .map(|request| validate(Signal::Traces, request).expect("valid"))
        .sum();
    let mut group = c.benchmark_group("recorded");
    group.throughput(Throughput::Elements(u64::from(spans)));
    steps(&mut group, &requests);
    group.finish();
}

fn content(c: &mut Criterion) {
    let texts = [
        ("content, ASCII", "The quick brown fox. "),
        ("content, Latin", "Grüße aus Köln, à bientôt. "),
        ("content, Chinese", "一二三四五六七八九十。"),
    ];
    for (name, words) in texts {
        let said: String = words.chars().cycle().take(4096).collect();
        let mut random = Random(1);
        let spans = (0..64).map(|_| {
            let mut span = span(&mut random);
            span.attributes
                .push(text("gen_ai.input.messages", said.clone()));
            span
        });
        let request = ExportTraceServiceRequest {
            resource_spans: vec![ResourceSpans {
                scope_spans: vec![ScopeSpans {
                    spans: spans.collect(),
                    ..ScopeSpans::default()
                }],
                ..ResourceSpans::default()
            }],
        };
        let request = Bytes::from(request.encode_to_vec());
        let mut group = c.benchmark_group(name);
        group.throughput(Throughput::Bytes(request.len() as u64));
        steps(&mut group, &[request]);
        group.finish();
    }
}

criterion_group!(benches, wire, recording, content);
criterion_main!(benches);
