//! Traces without end: each of an agent, a tool and a service that nobody has seen before, or of a pair that nobody has.
//!
//! ```text
//! service S  server's span ─▶ agent A ─┬─▶ tool T    4 calls      where traces never close, a call of the tool stands for
//!                                      └─▶ a model   4 calls      the server's span, and the agent's parent does not come
//! ```
//!
//! A request is made by writing numbers, ids and times into the bytes of one that was encoded once, so that a debug build
//! of the tests keeps up with a release build of the daemon.

use bytes::Bytes;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message as _;

/// Spans of a trace.
pub const SPANS: u64 = 10;

/// Traces in a request.
pub const BATCH: u64 = 100;

/// What stands in the template for the number of a service, an agent and a tool, for a trace's id, and for its time.
const SERVICE: &[u8] = b"0~~~~~~~0";
const AGENT: &[u8] = b"0#######0";
const TOOL: &[u8] = b"0=======0";
const TRACE: [u8; 16] = *b"the trace's id..";
const TIME: u64 = u64::from_le_bytes(*b"its time");

/// What is new in each trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum News {
    /// Agent, tool and service.
    Names,
    /// The same, and the trace never closes.
    OpenNames,
    /// Who calls which tool, of so many agents and any number of tools.
    Pairs(u64),
}

/// One trace, and where its numbers, its id and its times stand.
pub struct Flood {
    news: News,
    trace: Vec<u8>,
    services: Vec<usize>,
    agents: Vec<usize>,
    tools: Vec<usize>,
    ids: Vec<usize>,
    times: Vec<usize>,
}

impl Flood {
    /// Traces with this news.
    ///
    /// # Panics
    /// Never: the marks do not overlap.
    #[must_use]
    pub fn new(news: News) -> Self {
        let trace = trace(news != News::OpenNames).encode_to_vec();
        let places = |mark: &[u8]| -> Vec<usize> {
            let windows = trace.windows(mark.len()).enumerate();
            windows
                .filter(|(_, at)| *at == mark)
                .map(|(at, _)| at)
                .collect()
        };
        let flood = Flood {
            news,
            services: places(SERVICE),
            agents: places(AGENT),
            tools: places(TOOL),
            ids: places(&TRACE),
            times: places(&TIME.to_le_bytes()),
            trace: trace.clone(),
        };
        assert_eq!(flood.ids.len() as u64, SPANS);
        assert_eq!(flood.times.len() as u64, 2 * SPANS);
        flood
    }

    /// The request of this number, whose spans ended then.
    #[must_use]
    pub fn request(&self, number: u64, now_ns: u64) -> Bytes {
        let mut request = Vec::new();
        for trace in number * BATCH..(number + 1) * BATCH {
            let start = request.len();
            request.extend(&self.trace);
            let bytes = &mut request[start..];
            let (service, agent, tool) = match self.news {
                News::Names | News::OpenNames => (trace, trace, trace),
                News::Pairs(agents) => (0, trace % agents, trace / agents),
            };
            for (places, number) in [
                (&self.services, service),
                (&self.agents, agent),
                (&self.tools, tool),
            ] {
                let digits = format!("{number:09}");
                for at in places {
                    bytes[*at..*at + digits.len()].copy_from_slice(digits.as_bytes());
                }
            }
            // spread, as random ids are
            let id = u128::from(trace + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835);
            for at in &self.ids {
                bytes[*at..*at + TRACE.len()].copy_from_slice(&id.to_be_bytes());
            }
            for at in &self.times {
                bytes[*at..*at + 8].copy_from_slice(&now_ns.to_le_bytes());
            }
        }
        Bytes::from(request)
    }
}

fn attributes(pairs: &[(&str, &str)]) -> Vec<KeyValue> {
    let text = |mark| std::str::from_utf8(mark).expect("a text");
    let one = |(key, value): &(&str, &str)| {
        let value = value
            .replace('S', text(SERVICE))
            .replace('A', text(AGENT))
            .replace('T', text(TOOL));
        KeyValue {
            key: (*key).to_owned(),
            value: Some(AnyValue {
                value: Some(Value::StringValue(value)),
            }),
            ..KeyValue::default()
        }
    };
    pairs.iter().map(one).collect()
}

fn span(id: u8, parent: u8, kind: SpanKind, pairs: &[(&str, &str)]) -> Span {
    Span {
        trace_id: TRACE.to_vec(),
        span_id: vec![id; 8],
        parent_span_id: if parent == 0 {
            Vec::new()
        } else {
            vec![parent; 8]
        },
        name: "span".to_owned(),
        kind: kind as i32,
        start_time_unix_nano: TIME,
        end_time_unix_nano: TIME,
        attributes: attributes(pairs),
        ..Span::default()
    }
}

fn trace(closes: bool) -> ExportTraceServiceRequest {
    let tool = [
        ("gen_ai.operation.name", "execute_tool"),
        ("gen_ai.tool.name", "tool-T"),
    ];
    let model = [
        ("gen_ai.operation.name", "chat"),
        ("gen_ai.provider.name", "openai"),
        ("gen_ai.request.model", "gpt-4o"),
    ];
    let agent = [
        ("gen_ai.operation.name", "invoke_agent"),
        ("gen_ai.agent.name", "agent-A"),
    ];
    let mut spans = vec![if closes {
        span(1, 0, SpanKind::Server, &[("http.request.method", "get")])
    } else {
        span(1, 2, SpanKind::Internal, &tool)
    }];
    spans.push(span(
        2,
        if closes { 1 } else { 99 },
        SpanKind::Internal,
        &agent,
    ));
    spans.extend((3..7).map(|id| span(id, 2, SpanKind::Internal, &tool)));
    spans.extend((7..11).map(|id| span(id, 2, SpanKind::Client, &model)));
    let group = ResourceSpans {
        resource: Some(Resource {
            attributes: attributes(&[("service.name", "service-S")]),
            ..Resource::default()
        }),
        scope_spans: vec![ScopeSpans {
            spans,
            ..ScopeSpans::default()
        }],
        ..ResourceSpans::default()
    };
    ExportTraceServiceRequest {
        resource_spans: vec![group],
    }
}
