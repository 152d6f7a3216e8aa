//! What proto3's JSON allows beside the canonical form (R-STR-1).

use super::{encoded, through_prost};
use crate::otlp::Signal;
use crate::otlp::json::{MAX_DEPTH, decode, encode, encode_response};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;

/// The canonical form of a text.
fn canonical(signal: Signal, text: &str) -> String {
    let bytes = decode(signal, text.as_bytes()).unwrap_or_else(|e| panic!("{e}: {text}"));
    through_prost(signal, &bytes);
    String::from_utf8(encoded(signal, &bytes)).unwrap()
}

fn span(inside: &str) -> String {
    format!(r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{{{inside}}}]}}]}}]}}"#)
}

fn value(inside: &str) -> String {
    span(&format!(r#""attributes":[{{"key":"k","value":{inside}}}]"#))
}

fn point(inside: &str) -> String {
    format!(
        r#"{{"resourceMetrics":[{{"scopeMetrics":[{{"metrics":[{{"histogram":{{"dataPoints":[{{{inside}}}]}}}}]}}]}}]}}"#
    )
}

#[test]
fn spans_are_read_in_every_spelling() {
    for (text, expected) in [
        // 64-bit numbers: quoted, bare, whole fractions, exponents
        (
            r#""startTimeUnixNano":"18446744073709551615""#,
            r#""startTimeUnixNano":"18446744073709551615""#,
        ),
        (
            r#""startTimeUnixNano":18446744073709551615"#,
            r#""startTimeUnixNano":"18446744073709551615""#,
        ),
        (r#""startTimeUnixNano":1.0"#, r#""startTimeUnixNano":"1""#),
        (
            r#""startTimeUnixNano":1e3"#,
            r#""startTimeUnixNano":"1000""#,
        ),
        (
            r#""startTimeUnixNano":"1e3""#,
            r#""startTimeUnixNano":"1000""#,
        ),
        (r#""startTimeUnixNano":-0"#, ""),
        // 32-bit numbers and enums
        (
            r#""droppedEventsCount":"7","flags":257.0"#,
            r#""droppedEventsCount":7,"flags":257"#,
        ),
        (r#""kind":3"#, r#""kind":3"#),
        (r#""kind":77"#, r#""kind":77"#),
        (r#""kind":-1"#, r#""kind":-1"#),
        // null is absent
        (
            r#""name":null,"attributes":null,"status":null,"kind":null,"traceId":null"#,
            "",
        ),
        (
            r#""events":[null,{"name":"e"},null]"#,
            r#""events":[{"name":"e"}]"#,
        ),
        // unknown fields of any shape
        (
            r#""later":[{"a":[[]]},1e99,"\ud800"],"name":"n""#,
            r#""name":"n""#,
        ),
        // ids
        (
            r#""traceId":"0102030405060708090A0b0C0d0E0f10""#,
            r#""traceId":"0102030405060708090a0b0c0d0e0f10""#,
        ),
        (
            r#""parentSpanId":"","spanId":"00000000000000ff""#,
            r#""spanId":"00000000000000ff""#,
        ),
        // either name
        (
            r#""start_time_unix_nano":"5","trace_state":"a=b""#,
            r#""traceState":"a=b","startTimeUnixNano":"5""#,
        ),
        // empty messages are there
        (r#""status":{}"#, r#""status":{}"#),
        (r#""name":"\u0041\ud83d\ude00""#, "\"name\":\"A\u{1F600}\""),
    ] {
        assert_eq!(
            canonical(Signal::Traces, &span(text)),
            span(expected),
            "{text}"
        );
    }
}

#[test]
fn attribute_values_are_read_in_every_spelling() {
    for (text, expected) in [
        (
            r#"{"intValue":"-9223372036854775808"}"#,
            r#"{"intValue":"-9223372036854775808"}"#,
        ),
        (r#"{"intValue":-5}"#, r#"{"intValue":"-5"}"#),
        (r#"{"intValue":0}"#, r#"{"intValue":"0"}"#),
        (r#"{"boolValue":false}"#, r#"{"boolValue":false}"#),
        (r#"{"stringValue":""}"#, r#"{"stringValue":""}"#),
        (
            r#"{"stringValue":null,"intValue":1}"#,
            r#"{"intValue":"1"}"#,
        ),
        (r#"{"doubleValue":"NaN"}"#, r#"{"doubleValue":"NaN"}"#),
        (
            r#"{"doubleValue":"Infinity"}"#,
            r#"{"doubleValue":"Infinity"}"#,
        ),
        (
            r#"{"doubleValue":"-Infinity"}"#,
            r#"{"doubleValue":"-Infinity"}"#,
        ),
        (r#"{"doubleValue":"-1.5e3"}"#, r#"{"doubleValue":-1500.0}"#),
        (r#"{"doubleValue":3}"#, r#"{"doubleValue":3.0}"#),
        (r#"{"doubleValue":-0.0}"#, r#"{"doubleValue":-0.0}"#),
        (r#"{"doubleValue":0.1}"#, r#"{"doubleValue":0.1}"#),
        (r#"{"arrayValue":{}}"#, r#"{"arrayValue":{}}"#),
        (r#"{"kvlistValue":{}}"#, r#"{"kvlistValue":{}}"#),
        (r#"{"arrayValue":{"values":[]}}"#, r#"{"arrayValue":{}}"#),
        (
            r#"{"kvlistValue":{"values":null}}"#,
            r#"{"kvlistValue":{}}"#,
        ),
        (
            r#"{"arrayValue":{"values":[null,{"intValue":1}]}}"#,
            r#"{"arrayValue":{"values":[{},{"intValue":"1"}]}}"#,
        ),
        (r#"{"bytesValue":"+/+/"}"#, r#"{"bytesValue":"+/+/"}"#),
        (r#"{"bytesValue":"-_-_"}"#, r#"{"bytesValue":"+/+/"}"#),
        (r#"{"bytesValue":"AQ"}"#, r#"{"bytesValue":"AQ=="}"#),
        (r#"{"bytesValue":""}"#, r#"{"bytesValue":""}"#),
        (r#"{"string_value":"s"}"#, r#"{"stringValue":"s"}"#),
        ("{}", "{}"),
    ] {
        assert_eq!(
            canonical(Signal::Traces, &value(text)),
            value(expected),
            "{text}"
        );
    }
}

#[test]
fn data_points_are_read_in_every_spelling() {
    for (text, expected) in [
        (
            r#""bucketCounts":[1,"2",3.0,"0"],"explicitBounds":[1,"2.5","Infinity"]"#,
            r#""bucketCounts":["1","2","3","0"],"explicitBounds":[1.0,2.5,"Infinity"]"#,
        ),
        (r#""bucketCounts":[],"sum":0,"min":null"#, r#""sum":0.0"#),
        (r#""sum":"NaN""#, r#""sum":"NaN""#),
    ] {
        assert_eq!(
            canonical(Signal::Metrics, &point(text)),
            point(expected),
            "{text}"
        );
    }
}

#[test]
fn whitespace_and_emptiness_are_fine() {
    for text in [
        "{}",
        " {\n} \r\n",
        r#"{"resourceSpans":null}"#,
        r#"{"resourceSpans":[]}"#,
        r#"{"resourceLogs":[{}]}"#,
    ] {
        assert_eq!(
            decode(Signal::Traces, text.as_bytes()).unwrap(),
            b"",
            "{text}"
        );
    }
}

/// As deep as protobuf goes, and no deeper, in both directions.
#[test]
fn nesting_ends_where_protobuf_s_does() {
    // a request, resourceSpans, scopeSpans, spans, attributes, value; then pairs of list and value
    let nested = |pairs: usize, innermost: &str| {
        let open = r#"{"arrayValue":{"values":["#.repeat(pairs);
        value(&format!("{open}{innermost}{}", "]}}".repeat(pairs)))
    };
    let pairs = (MAX_DEPTH as usize - 5) / 2;
    let deepest = nested(pairs, r#"{"arrayValue":{"values":[{}]}}"#);
    let refused = decode(Signal::Traces, deepest.as_bytes()).unwrap_err();
    assert!(refused.what.contains("nested deeper"), "{refused}");
    assert!(refused.what.chars().count() <= 256, "{refused}");

    let text = nested(pairs, r#"{"arrayValue":{}}"#);
    let bytes = decode(Signal::Traces, text.as_bytes()).unwrap();
    assert_eq!(encoded(Signal::Traces, &bytes), text.as_bytes());
    ExportTraceServiceRequest::decode(bytes.as_slice()).unwrap();

    // one message more is refused by prost and by us
    let mut deeper = vec![0x2a, 2, 0x0a, 0];
    for _ in 0..pairs {
        for tag in [0x0a, 0x2a] {
            let inner = deeper;
            deeper = vec![tag];
            prost::encoding::encode_varint(inner.len() as u64, &mut deeper);
            deeper.extend(inner);
        }
    }
    for tag in [0x12, 0x4a, 0x12, 0x12, 0x0a] {
        let inner = deeper;
        deeper = vec![tag];
        prost::encoding::encode_varint(inner.len() as u64, &mut deeper);
        deeper.extend(inner);
    }
    ExportTraceServiceRequest::decode(deeper.as_slice()).unwrap_err();
    let refused = encode(Signal::Traces, &deeper, &mut Vec::new()).unwrap_err();
    assert!(refused.what.contains("nested deeper"), "{refused}");
}

/// A wall of brackets in an unknown field neither recurses nor counts.
#[test]
fn what_is_ignored_may_be_deep() {
    let text = format!(r#"{{"x":{}{}}}"#, "[".repeat(100_000), "]".repeat(100_000));
    assert_eq!(decode(Signal::Logs, text.as_bytes()).unwrap(), b"");
}

#[test]
fn answers_say_only_what_there_is_to_say() {
    let response = |signal, partial| {
        let mut out = Vec::new();
        encode_response(signal, partial, &mut out);
        String::from_utf8(out).unwrap()
    };
    assert_eq!(response(Signal::Traces, None), "{}");
    assert_eq!(
        response(Signal::Traces, Some((3, "too \"old\""))),
        r#"{"partialSuccess":{"rejectedSpans":"3","errorMessage":"too \"old\""}}"#
    );
    assert_eq!(
        response(Signal::Metrics, Some((1, ""))),
        r#"{"partialSuccess":{"rejectedDataPoints":"1"}}"#
    );
    assert_eq!(
        response(Signal::Logs, Some((0, "careful"))),
        r#"{"partialSuccess":{"errorMessage":"careful"}}"#
    );
}
