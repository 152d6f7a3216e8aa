//! What is not OTLP/JSON, and how that is said.

use crate::otlp::Signal;
use crate::otlp::json::{decode, encode};

const ID: &str = "resourceSpans[0].scopeSpans[1].spans[2].traceId: ";

fn third_span(inside: &str) -> String {
    format!(r#"{{"resourceSpans":[{{"scopeSpans":[{{}},{{"spans":[{{}},{{}},{{{inside}}}]}}]}}]}}"#)
}

/// Each text inside the third span, and what is said of it.
fn findings_are(expected: &[(&str, &str)]) {
    for (inside, expected) in expected {
        let text = third_span(inside);
        let refused = decode(Signal::Traces, text.as_bytes()).unwrap_err();
        let place = ID.trim_end_matches("traceId: ");
        assert_eq!(refused.what, format!("{place}{expected}"), "{inside}");
        assert!(refused.at > text.find(inside).unwrap() && refused.at <= text.len());
    }
}

#[test]
fn a_finding_names_its_path() {
    findings_are(&[
        (
            r#""traceId":"0102""#,
            r#"traceId: invalid value: string "0102", expected 32 hex digits"#,
        ),
        (
            r#""spanId":"010203040506070g""#,
            r#"spanId: invalid value: string "010203040506070g", expected 16 hex digits"#,
        ),
        (
            r#""traceId":"AQIDBAUGBwgJCgsMDQ4PEA==""#,
            r#"traceId: invalid value: string "AQIDBAUGBwgJCgsMDQ4PEA==", expected 32 hex digits"#,
        ),
        (
            r#""kind":"SPAN_KIND_CLIENT""#,
            r#"kind: invalid value: string "SPAN_KIND_CLIENT", expected the number of an enum value"#,
        ),
        (
            r#""kind":"3""#,
            r#"kind: invalid value: string "3", expected the number of an enum value"#,
        ),
        (
            r#""kind":2147483648"#,
            "kind: out of range; expected the number of an enum value",
        ),
        (
            r#""name":5"#,
            "name: invalid type: integer `5`, expected a string",
        ),
        (r#""name":{}"#, "name: invalid type: map, expected a string"),
        (
            r#""name":["n"]"#,
            "name: invalid type: sequence, expected a string",
        ),
        (r#""name":"a","name":"b""#, "name: given twice"),
        (
            r#""traceState":"a","trace_state":"b""#,
            "traceState: given twice",
        ),
        (
            r#""startTimeUnixNano":-1"#,
            "startTimeUnixNano: out of range; expected an unsigned 64-bit number",
        ),
        (
            r#""startTimeUnixNano":"18446744073709551616""#,
            "startTimeUnixNano: out of range; expected an unsigned 64-bit number",
        ),
        (
            r#""startTimeUnixNano":1.5"#,
            "startTimeUnixNano: not a whole number; expected an unsigned 64-bit number",
        ),
        (
            r#""startTimeUnixNano":"""#,
            r#"startTimeUnixNano: invalid value: string "", expected an unsigned 64-bit number"#,
        ),
        (
            r#""startTimeUnixNano":"+5""#,
            r#"startTimeUnixNano: invalid value: string "+5", expected an unsigned 64-bit number"#,
        ),
        (
            r#""startTimeUnixNano":true"#,
            "startTimeUnixNano: invalid type: boolean `true`, expected an unsigned 64-bit number",
        ),
        (
            r#""droppedLinksCount":4294967296"#,
            "droppedLinksCount: out of range; expected an unsigned 32-bit number",
        ),
        (
            r#""events":{}"#,
            "events: invalid type: map, expected a list",
        ),
        (
            r#""status":[]"#,
            "status: invalid type: sequence, expected an object (Status)",
        ),
    ]);
}

#[test]
fn a_finding_names_the_path_to_an_attribute() {
    findings_are(&[
        (
            r#""attributes":[{"value":{"boolValue":"true"}}]"#,
            r#"attributes[0].value.boolValue: invalid type: string "true", expected true or false"#,
        ),
        (
            r#""attributes":[{"value":{"boolValue":1}}]"#,
            "attributes[0].value.boolValue: invalid type: integer `1`, expected true or false",
        ),
        (
            r#""attributes":[{"value":{"doubleValue":"inf"}}]"#,
            r#"attributes[0].value.doubleValue: invalid value: string "inf", expected a number, `NaN`, `Infinity` or `-Infinity`"#,
        ),
        (
            r#""attributes":[{"value":{"doubleValue":"1e999"}}]"#,
            r#"attributes[0].value.doubleValue: invalid value: string "1e999", expected a number, `NaN`, `Infinity` or `-Infinity`"#,
        ),
        (
            r#""attributes":[{"value":{"doubleValue":1e999}}]"#,
            "attributes[0].value.doubleValue: number out of range",
        ),
        (
            r#""attributes":[{"value":{"bytesValue":"***"}}]"#,
            "attributes[0].value.bytesValue: not base64: Invalid symbol 42, offset 0.",
        ),
        (
            r#""attributes":[{"value":{"intValue":1,"stringValue":"a"}}]"#,
            "attributes[0].value.stringValue: a second value where one is allowed",
        ),
    ]);
}

#[test]
fn lists_of_numbers_have_no_holes() {
    let text = r#"{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"histogram":{"dataPoints":[{"bucketCounts":[1,null]}]}}]}]}]}"#;
    let refused = decode(Signal::Metrics, text.as_bytes()).unwrap_err();
    assert_eq!(
        refused.what,
        "resourceMetrics[0].scopeMetrics[0].metrics[0].histogram.dataPoints[0].bucketCounts[1]: null in a list of plain values"
    );
}

#[test]
fn what_is_not_json_is_located() {
    for (text, at, what) in [
        (b"".as_slice(), 0, "EOF while parsing a value"),
        (b"nonsense", 2, "expected ident"),
        (
            b"null",
            4,
            "invalid type: null, expected an object (ExportTraceServiceRequest)",
        ),
        (
            b"[]",
            0,
            "invalid type: sequence, expected an object (ExportTraceServiceRequest)",
        ),
        (b"{} x", 4, "trailing characters"),
        (b"{}\n\n{}", 5, "trailing characters"),
        (b"{\"a\xff\":1}", 3, "invalid UTF-8"),
        (
            b"{\"resourceSpans\":[{]}",
            20,
            "resourceSpans[0]: key must be a string",
        ),
        (
            b"{\n\"resourceSpans\":\n[{\"schemaUrl\":\"\\ud800\"}]}",
            41,
            "resourceSpans[0].schemaUrl: unexpected end of hex escape",
        ),
    ] {
        let refused = decode(Signal::Traces, text).unwrap_err();
        let shown = String::from_utf8_lossy(text);
        assert_eq!((refused.at, refused.what.as_ref()), (at, what), "{shown}");
    }
}

/// A mistake that quotes its value is cut.
#[test]
fn findings_stay_short() {
    let text = third_span(&format!(r#""traceId":"{}""#, "é".repeat(100_000)));
    let refused = decode(Signal::Traces, text.as_bytes()).unwrap_err();
    assert_eq!(refused.what.chars().count(), 256);
    assert!(refused.what.starts_with(ID), "{refused}");
}

#[test]
fn broken_bytes_are_located_and_leave_nothing() {
    for (bytes, at, what) in [
        (b"\x0a".as_slice(), 1, "truncated"),
        (b"\x0a\x05\x0a", 1, "truncated"),
        (b"\x0a\x02\x1a\x01", 3, "truncated"),
        (b"\x08\x01", 0, "wrong wire type for the field"),
        (b"\x0a\x03\x1a\x01\xff", 4, "invalid UTF-8"),
        (b"\x00\x01", 0, "field number 0"),
        (b"\x0f", 1, "invalid wire type"),
        (
            b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02",
            1,
            "varint too long",
        ),
        (b"\x7b\x0a\x00\x74", 3, "group ended by another's end"),
    ] {
        let mut out = b"before".to_vec();
        let refused = encode(Signal::Traces, bytes, &mut out).unwrap_err();
        assert_eq!(
            (refused.at, refused.what.as_ref()),
            (at, what),
            "{bytes:x?}"
        );
        assert_eq!(out, b"before");
    }
}
