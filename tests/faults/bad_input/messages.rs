//! Messages that are broken, hostile or merely odd, in frames that are in order.

use std::io::Write as _;

use agentguard::otlp::Signal;
use bytes::Bytes;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;
use tonic::Code;
use tonic_types::pb;

use super::Row;
use crate::requests::{self, attribute, request, span};
use crate::support::daemon::Daemon;
use crate::support::stub::Stub;
use crate::support::wait::{PATIENCE, eventually};
use crate::support::wire::{self, JSON, PROTOBUF, Reply, Request};

const MIB: usize = 1 << 20;

/// A message, how it travels, and what must come back.
pub(super) struct Case {
    input: &'static str,
    body: Bytes,
    coding: &'static str,
    is_json: bool,
    grpc: Code,
    http: u16,
    /// What must arrive downstream, once for each protocol.
    forwarded: Option<Bytes>,
}

impl Case {
    fn refused(input: &'static str, body: impl Into<Bytes>, grpc: Code, http: u16) -> Self {
        Case {
            input,
            body: body.into(),
            coding: "",
            is_json: false,
            grpc,
            http,
            forwarded: None,
        }
    }

    fn malformed(input: &'static str, body: impl Into<Bytes>) -> Self {
        Case::refused(input, body, Code::InvalidArgument, 400)
    }

    fn too_large(input: &'static str, body: impl Into<Bytes>) -> Self {
        Case::refused(input, body, Code::ResourceExhausted, 413)
    }

    fn taken(input: &'static str, body: Bytes) -> Self {
        let case = Case::refused(input, body.clone(), Code::Ok, 200);
        Case {
            forwarded: Some(body),
            ..case
        }
    }

    fn coded(self, coding: &'static str) -> Self {
        Case { coding, ..self }
    }

    fn json(self) -> Self {
        Case {
            is_json: true,
            ..self
        }
    }
}

/// Bytes without any order, the same in each run.
fn random(len: usize) -> Vec<u8> {
    let mut random = agentguard::base::Random::seeded(20);
    (0..len).map(|_| (random.bits() >> 56) as u8).collect()
}

/// A length-delimited field.
fn field(number: u8, payload: &[u8]) -> Vec<u8> {
    let mut out = vec![number << 3 | 2];
    let mut len = payload.len();
    while len >= 0x80 {
        out.push((len & 0x7f) as u8 | 0x80);
        len >>= 7;
    }
    out.push(len as u8);
    out.extend_from_slice(payload);
    out
}

/// A request whose one attribute holds lists in lists, so deep.
fn nested(levels: usize) -> Vec<u8> {
    let mut value = field(1, b"innermost");
    for _ in 0..levels {
        value = field(5, &field(1, &value));
    }
    let attribute = [field(1, b"key"), field(2, &value)].concat();
    field(1, &field(2, &field(2, &field(9, &attribute))))
}

fn nested_json(levels: usize) -> String {
    let open = r#"{"arrayValue":{"values":["#.repeat(levels);
    let close = "]}}".repeat(levels);
    let head = r#"{"resourceSpans":[{"resource":{"attributes":[{"key":"k","value":"#;
    format!("{head}{open}{{}}{close}}}]}}}}]}}")
}

fn cases() -> Vec<Case> {
    let mut all = broken();
    all.extend(large());
    all.extend(compressed());
    all.extend(json());
    all.extend(odd());
    all
}

fn broken() -> Vec<Case> {
    let whole = request(vec![span(1), span(2)]);
    let cut = whole.slice(..whole.len() - 7);
    let mut bad_name = whole.to_vec();
    let at = bad_name
        .windows(4)
        .position(|w| w == b"chat")
        .expect("the name");
    bad_name[at] = 0xff;
    vec![
        Case::malformed("a request cut in the middle", cut),
        Case::malformed("4 KiB of random bytes", random(4096)),
        Case::malformed(
            "a length of 2⁶⁴ − 1",
            [&[10][..], &[0xff; 9], &[1]].concat(),
        ),
        Case::malformed("a number that never ends", vec![0xff; 64]),
        Case::malformed("a field with the number 0", vec![0, 0]),
        Case::malformed("groups opened and never closed", vec![0x1b; 10_000]),
        Case::malformed("lists in lists, 200 deep", nested(200)),
        Case::malformed("lists in lists, 20 000 deep", nested(20_000)),
        Case::malformed("a span's name that is not UTF-8", bad_name),
        Case::malformed(
            "JSON where protobuf was announced",
            &b"{\"resourceSpans\":[]}"[..],
        ),
    ]
}

fn large() -> Vec<Case> {
    let big = request(vec![Span {
        attributes: vec![attribute("k", "x".repeat(4 * MIB))],
        ..span(3)
    }]);
    vec![Case::too_large("a request above the limit", big)]
}

fn gzip_best(payload: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(payload).expect("memory takes all");
    encoder.finish().expect("memory takes all")
}

fn compressed() -> Vec<Case> {
    let zeros = vec![0_u8; 64 * MIB];
    let small_zeros = vec![0_u8; 3 * MIB];
    let whole = request(vec![span(4)]);
    let gzip = wire::gzip(&whole);
    let mut claims = vec![0x28, 0xb5, 0x2f, 0xfd, 0xe0];
    claims.extend_from_slice(&u64::MAX.to_le_bytes());
    claims.extend_from_slice(&[1, 0, 0]);
    let twice = wire::gzip(&wire::gzip(&zeros));
    vec![
        Case::too_large("gzip bomb: 64 MiB of zeros", wire::gzip(&zeros)).coded("gzip"),
        Case::too_large("zstd bomb: 64 MiB of zeros", wire::zstd(&zeros)).coded("zstd"),
        Case::too_large(
            "gzip that grows a thousandfold, within the limit",
            gzip_best(&small_zeros),
        )
        .coded("gzip"),
        Case::too_large(
            "zstd that grows a thousandfold, within the limit",
            wire::zstd(&small_zeros),
        )
        .coded("zstd"),
        Case::malformed("gzip inside gzip", twice).coded("gzip"),
        Case::malformed("a zstd frame that claims 2⁶⁴ − 1 bytes", claims).coded("zstd"),
        Case::malformed("gzip cut in the middle", gzip[..gzip.len() / 2].to_vec()).coded("gzip"),
        Case::malformed("gzip with a wrong checksum", {
            let mut wrong = gzip.clone();
            let at = wrong.len() - 6;
            wrong[at] ^= 1;
            wrong
        })
        .coded("gzip"),
        Case::malformed("gzip with garbage behind it", [gzip, random(100)].concat()).coded("gzip"),
        Case::malformed("random bytes as gzip", random(500)).coded("gzip"),
        Case::malformed("random bytes as zstd", random(500)).coded("zstd"),
        Case::malformed("an empty body as zstd", Bytes::new()).coded("zstd"),
    ]
}

fn json() -> Vec<Case> {
    let no_utf8 = b"{\"resourceSpans\":[{\"schemaUrl\":\"\xff\xfe\"}]}";
    let unknown = format!(
        "{{\"unknown\":{}{}}}",
        "[".repeat(100_000),
        "]".repeat(100_000)
    );
    vec![
        Case::malformed(
            "JSON cut in the middle",
            &b"{\"resourceSpans\":[{\"scopeSp"[..],
        )
        .json(),
        Case::malformed("JSON that is a list", &b"[]"[..]).json(),
        Case::malformed("JSON: 100 000 opening brackets", "[".repeat(100_000)).json(),
        Case::refused("JSON: an unknown key, 100 000 deep", unknown, Code::Ok, 200).json(),
        Case::malformed("JSON: lists in lists, 200 deep", nested_json(200)).json(),
        Case::malformed("JSON: text that is not UTF-8", &no_utf8[..]).json(),
        Case::malformed(
            "JSON: a key twice",
            &b"{\"resourceSpans\":[],\"resourceSpans\":[]}"[..],
        )
        .json(),
        Case::malformed(
            "JSON: an id that is not hexadecimal",
            &br#"{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"xyz"}]}]}]}"#[..],
        )
        .json(),
        Case::malformed(
            "JSON: a number out of range",
            &br#"{"resourceSpans":[{"scopeSpans":[{"spans":[{"startTimeUnixNano":1e300}]}]}]}"#[..],
        )
        .json(),
    ]
}

/// Odd, and not ours to refuse.
fn odd() -> Vec<Case> {
    let zeros = Span {
        trace_id: vec![0; 16],
        span_id: vec![0; 8],
        ..span(5)
    };
    let short = Span {
        trace_id: vec![1; 3],
        span_id: vec![2; 40],
        ..span(6)
    };
    let many = (0..100_000).map(|number| attribute(format!("k{number}"), "v"));
    let many = Span {
        attributes: many.collect(),
        ..span(7)
    };
    let long = Span {
        attributes: vec![attribute("long", "x".repeat(MIB))],
        ..span(8)
    };
    let backwards = Span {
        start_time_unix_nano: u64::MAX,
        end_time_unix_nano: 0,
        kind: -7,
        ..span(9)
    };
    let nul = Span {
        name: "\0".repeat(100),
        ..span(10)
    };
    let unknown = [requests::one(11).to_vec(), field(15, b"of tomorrow")].concat();
    let deep = Bytes::from(nested(40));
    vec![
        Case::taken("ids of zeros", request(vec![zeros])),
        Case::taken("ids of 3 and of 40 bytes", request(vec![short])),
        Case::taken("100 000 attributes on a span", request(vec![many])),
        Case::taken("an attribute of 1 MiB", request(vec![long])),
        Case::taken(
            "a span that ends before it starts, of an unknown kind",
            request(vec![backwards]),
        ),
        Case::taken("a name of NULs", request(vec![nul])),
        Case::taken("a field that nobody knows", Bytes::from(unknown)),
        Case::taken("lists in lists, 40 deep", deep),
    ]
}

/// What a refusal over HTTP says.
pub(super) fn said(reply: &Reply) -> String {
    if reply.status == 200 {
        return String::new();
    }
    if reply.media_type() == JSON {
        let status: serde_json::Value = serde_json::from_slice(&reply.body).expect("JSON");
        return status["message"].as_str().expect("a message").to_owned();
    }
    pb::Status::decode(&reply.body[..])
        .expect("a status")
        .message
}

async fn over_grpc(daemon: &Daemon, case: &Case) -> (Code, String) {
    let headers = [("grpc-encoding", case.coding)];
    let headers = if case.coding.is_empty() {
        &[][..]
    } else {
        &headers
    };
    let framed = wire::frame(!case.coding.is_empty(), &case.body);
    let path = Signal::Traces.grpc_path();
    let reply = wire::grpc(daemon.grpc(), path, headers, framed).await;
    (reply.code(), reply.status.message().to_owned())
}

async fn over_http(daemon: &Daemon, case: &Case) -> (u16, String) {
    let kind = if case.is_json { JSON } else { PROTOBUF };
    let mut post = Request::post("/v1/traces", kind, case.body.clone());
    if !case.coding.is_empty() {
        post = post.header("content-encoding", case.coding);
    }
    let reply = wire::http(daemon.http(), post).await;
    (reply.status, said(&reply))
}

pub(super) async fn run(daemon: &Daemon, stub: &Stub) -> Vec<Row> {
    let mut rows = Vec::new();
    for case in cases() {
        let (status, said) = over_http(daemon, &case).await;
        assert_eq!(status, case.http, "{} over HTTP: {said}", case.input);
        let (mut grpc, mut says, mut times) = ("–".to_owned(), said, 1);
        if !case.is_json {
            let (code, said) = over_grpc(daemon, &case).await;
            assert_eq!(code, case.grpc, "{} over gRPC: {said}", case.input);
            (grpc, says, times) = (format!("{code:?}"), said, 2);
        }
        if let Some(expected) = &case.forwarded {
            eventually(case.input, PATIENCE, || async {
                let taken = stub.taken(Signal::Traces);
                let same = taken.iter().filter(|one| *one == expected).count();
                (same == times).then_some(())
            })
            .await;
            "forwarded, byte for byte".clone_into(&mut says);
        } else if case.http == 200 {
            "what is unknown is passed over".clone_into(&mut says);
        } else {
            assert!(
                !says.is_empty() && says.len() <= 256,
                "{}: {says}",
                case.input
            );
        }
        rows.push(Row::new(case.input, &grpc, &status.to_string(), &says));
    }
    rows
}
