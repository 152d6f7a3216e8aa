//! What a person sees.

use super::*;
use crate::base::sync::{AtomicU64, Ordering};
use crate::otlp::json;
use bytes::Bytes;
use std::io;

/// A writer that can be looked into.
#[derive(Clone, Default)]
struct Screen(Arc<Mutex<Vec<u8>>>);

impl Write for Screen {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Screen {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().clone()).unwrap()
    }
}

fn noon() -> Nanos {
    Nanos(1_581_452_773_041_000_789)
}

fn request(signal: Signal, text: &str) -> Outgoing {
    let bytes = json::decode(signal, text.as_bytes()).unwrap();
    Outgoing {
        signal,
        parts: vec![Bytes::from(bytes)],
        items: 0,
    }
}

async fn shown(verbosity: Verbosity, signal: Signal, text: &str) -> String {
    let config = DebugConfig {
        verbosity,
        ..DebugConfig::default()
    };
    let screen = Screen::default();
    let exporter = DebugExporter::new("debug/x", config, Box::new(screen.clone()), noon);
    exporter.start().await.unwrap();
    exporter.export(request(signal, text)).await.unwrap();
    exporter.shutdown(Duration::ZERO).await;
    screen.text()
}

const STAMP: &str = "2020-02-11T20:26:13.041Z\tinfo\t";

fn fields(signal: &str) -> String {
    format!(
        r#""otelcol.component.id": "debug/x", "otelcol.component.kind": "exporter", "otelcol.signal": "{signal}""#
    )
}

const SPANS: &str = r#"{"resourceSpans":[{"schemaUrl":"https://schema","resource":{"attributes":[
    {"key":"service.name","value":{"stringValue":"shop"}}],
    "entityRefs":[{"type":"service","idKeys":["service.name"]}]},
  "scopeSpans":[{"scope":{"name":"lib","version":"1.2","attributes":[{"key":"s","value":{"boolValue":true}}]},"spans":[
   {"traceId":"0102030405060708090a0b0c0d0e0f10","spanId":"1112131415161718","name":"operationA","kind":3,"traceState":"a=b",
    "startTimeUnixNano":"1581452772000000321","endTimeUnixNano":"1581452773000000000",
    "status":{"code":2,"message":"cancelled"},"droppedEventsCount":4,
    "attributes":[{"key":"n","value":{"intValue":"7"}},{"key":"d","value":{"doubleValue":1.5}},{"key":"e"},
      {"key":"b","value":{"bytesValue":"AQI="}},{"key":"l","value":{"arrayValue":{"values":[{"stringValue":"x"},{"intValue":"1"}]}}},
      {"key":"m","value":{"kvlistValue":{"values":[{"key":"k","value":{"doubleValue":"NaN"}}]}}}],
    "events":[{"timeUnixNano":"1581452773000000123","name":"event","droppedAttributesCount":2,
      "attributes":[{"key":"ea","value":{"stringValue":"ev"}}]}],
    "links":[{"traceId":"0102030405060708090a0b0c0d0e0f10","spanId":"1112131415161718"}]},
   {"name":"operationB","traceId":"00000000000000000000000000000000"}]}]}]}"#;

#[tokio::test]
async fn basic_counts() {
    let metrics = r#"{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"gauge":{"dataPoints":[{},{}]}},{"name":"none"}]}]}]}"#;
    let logs = r#"{"resourceLogs":[{"scopeLogs":[{"logRecords":[{}]}]},{}]}"#;
    for (signal, text, title, counts) in [
        (
            Signal::Traces,
            SPANS,
            "Traces",
            r#""resource spans": 1, "spans": 2"#,
        ),
        (
            Signal::Metrics,
            metrics,
            "Metrics",
            r#""resource metrics": 1, "metrics": 2, "data points": 2"#,
        ),
        (
            Signal::Logs,
            logs,
            "Logs",
            r#""resource logs": 2, "log records": 1"#,
        ),
    ] {
        let fields = fields(signal.as_str());
        let expected = format!("{STAMP}{title}\t{{{fields}, {counts}}}\n");
        assert_eq!(shown(Verbosity::Basic, signal, text).await, expected);
    }
}

/// The second entry of what is shown, without stamp and fields.
async fn body(verbosity: Verbosity, signal: Signal, text: &str) -> String {
    let all = shown(verbosity, signal, text).await;
    let (_, body) = all.split_once('\n').unwrap();
    let body = body.strip_prefix(STAMP).unwrap();
    let end = format!("\t{{{}}}\n", fields(signal.as_str()));
    body.strip_suffix(end.as_str()).unwrap().to_owned()
}

#[tokio::test]
async fn normal_is_a_line_a_span() {
    let expected = "\
ResourceTraces #0 [https://schema] service.name=shop
ScopeTraces #0 lib@1.2 s=true
operationA 0102030405060708090a0b0c0d0e0f10 1112131415161718 n=7 d=1.5 e= b=AQI= l=[\"x\",1] m={\"k\":\"NaN\"}
operationB  \n";
    assert_eq!(
        body(Verbosity::Normal, Signal::Traces, SPANS).await,
        expected
    );
}

#[tokio::test]
async fn detailed_is_every_field_of_a_span() {
    let expected = "\
ResourceSpans #0
Resource SchemaURL: https://schema
Resource attributes:
     -> service.name: Str(shop)
Resource entity refs:
     -> Entity ref #0:
          -> Type: service
          -> ID keys:
               -> service.name
ScopeSpans #0
ScopeSpans SchemaURL: \nInstrumentationScope lib 1.2
InstrumentationScope attributes:
     -> s: Bool(true)
Span #0
    Trace ID       : 0102030405060708090a0b0c0d0e0f10
    Parent ID      : \n    ID             : 1112131415161718
    Name           : operationA
    Kind           : Client
    TraceState     : a=b
    Start time     : 2020-02-11 20:26:12.000000321 +0000 UTC
    End time       : 2020-02-11 20:26:13 +0000 UTC
    Status code    : Error
    Status message : cancelled
    DroppedEventsCount: 4
Attributes:
     -> n: Int(7)
     -> d: Double(1.5)
     -> e: Empty()
     -> b: Bytes(AQI=)
     -> l: Slice([\"x\",1])
     -> m: Map({\"k\":\"NaN\"})
Events:
SpanEvent #0
     -> Name: event
     -> Timestamp: 2020-02-11 20:26:13.000000123 +0000 UTC
     -> DroppedAttributesCount: 2
     -> Attributes::
          -> ea: Str(ev)
Links:
SpanLink #0
     -> Trace ID: 0102030405060708090a0b0c0d0e0f10
     -> ID: 1112131415161718
     -> TraceState: \n     -> DroppedAttributesCount: 0
Span #1
    Trace ID       : \n    Parent ID      : \n    ID             : \n    Name           : operationB
    Kind           : Unspecified
    Start time     : 1970-01-01 00:00:00 +0000 UTC
    End time       : 1970-01-01 00:00:00 +0000 UTC
    Status code    : Unset
    Status message : \n";
    assert_eq!(
        body(Verbosity::Detailed, Signal::Traces, SPANS).await,
        expected
    );
}

#[tokio::test]
async fn logs_are_shown() {
    let text = r#"{"resourceLogs":[{"scopeLogs":[{"scope":{"name":"lib"},"logRecords":[
        {"timeUnixNano":"1581452773000000789","severityNumber":18,"severityText":"Bad","eventName":"it.happened",
         "body":{"stringValue":"no\u001b[2Jescape"},"attributes":[{"key":"a","value":{"intValue":"1"}},{"key":"b","value":{"intValue":"2"}}],
         "spanId":"1112131415161718","flags":1}]}]}]}"#;
    let expected = "ResourceLog #0\nScopeLog #0 lib\nno\\u{1b}[2Jescape a=1 b=2\n";
    assert_eq!(body(Verbosity::Normal, Signal::Logs, text).await, expected);
    let expected = "\
ResourceLog #0
Resource SchemaURL: \nScopeLogs #0
ScopeLogs SchemaURL: \nInstrumentationScope lib \nLogRecord #0
ObservedTimestamp: 1970-01-01 00:00:00 +0000 UTC
Timestamp: 2020-02-11 20:26:13.000000789 +0000 UTC
SeverityText: Bad
SeverityNumber: Error2(18)
EventName: it.happened
Body: Str(no\\u{1b}[2Jescape)
Attributes:
     -> a: Int(1)
     -> b: Int(2)
    Trace ID       : \n    Span ID        : 1112131415161718
Flags: 1\n";
    assert_eq!(
        body(Verbosity::Detailed, Signal::Logs, text).await,
        expected
    );
}

const METRICS: &str = r#"{"resourceMetrics":[{"scopeMetrics":[{"metrics":[
    {"name":"g","unit":"1","gauge":{"dataPoints":[{"asInt":"123","attributes":[{"key":"x","value":{"stringValue":"1"}},{"key":"y","value":{"stringValue":"2"}}]},{"asDouble":1e21}]}},
    {"name":"s","description":"D","sum":{"isMonotonic":true,"aggregationTemporality":2,"dataPoints":[{"asDouble":0.00001}]}},
    {"name":"h","histogram":{"aggregationTemporality":1,"dataPoints":[{"count":"3","sum":15,"min":1,"max":9.5,"explicitBounds":[1],"bucketCounts":["0","3"],
      "exemplars":[{"spanId":"1112131415161718","asDouble":15,"filteredAttributes":[{"key":"f","value":{"intValue":"1"}}]}]}]}},
    {"name":"e","exponentialHistogram":{"aggregationTemporality":1,"dataPoints":[{"count":"5","scale":1,"zeroCount":"1",
      "positive":{"offset":1,"bucketCounts":["1","1"]},"negative":{"offset":-1,"bucketCounts":["1","2"]}}]}},
    {"name":"q","summary":{"dataPoints":[{"count":"1","sum":15,"quantileValues":[{"quantile":0.01,"value":"Infinity"}]}]}},
    {"name":"n"}]}]}]}"#;

#[tokio::test]
async fn metrics_are_shown_in_lines() {
    let expected = "\
ResourceMetrics #0
ScopeMetrics #0
g{x=1,y=2} 123
g{} 1e+21
s{} 1e-05
h{} count=3 sum=15 min=1 max=9.5 le1=0 3
e{} count=5
q{} count=1 sum=15.000000 q0.01=+Inf\n";
    assert_eq!(
        body(Verbosity::Normal, Signal::Metrics, METRICS).await,
        expected
    );
}

#[tokio::test]
async fn metrics_are_shown_in_detail() {
    let times =
        "StartTimestamp: 1970-01-01 00:00:00 +0000 UTC\nTimestamp: 1970-01-01 00:00:00 +0000 UTC\n";
    let descriptor = |index: u32, name: &str, description: &str, unit: &str, kind: &str| {
        format!(
            "Metric #{index}\nDescriptor:\n     -> Name: {name}\n     -> Description: {description}\n     -> Unit: {unit}\n     -> DataType: {kind}\n"
        )
    };
    let expected = [
        "ResourceMetrics #0\nResource SchemaURL: \nScopeMetrics #0\nScopeMetrics SchemaURL: \nInstrumentationScope  \n",
        &descriptor(0, "g", "", "1", "Gauge"),
        "NumberDataPoints #0\nData point attributes:\n     -> x: Str(1)\n     -> y: Str(2)\n", times, "Value: 123\n",
        "NumberDataPoints #1\n", times, "Value: 1000000000000000000000.000000\n",
        &descriptor(1, "s", "D", "", "Sum"),
        "     -> IsMonotonic: true\n     -> AggregationTemporality: Cumulative\nNumberDataPoints #0\n", times, "Value: 0.000010\n",
        &descriptor(2, "h", "", "", "Histogram"),
        "     -> AggregationTemporality: Delta\nHistogramDataPoints #0\n", times,
        "Count: 3\nSum: 15.000000\nMin: 1.000000\nMax: 9.500000\nExplicitBounds #0: 1.000000\nBuckets #0, Count: 0\nBuckets #1, Count: 3\n",
        "Exemplars:\nExemplar #0\n     -> Trace ID: \n     -> Span ID: 1112131415161718\n     -> Timestamp: 1970-01-01 00:00:00 +0000 UTC\n",
        "     -> Value: 15.000000\n     -> FilteredAttributes:\n          -> f: Int(1)\n",
        &descriptor(3, "e", "", "", "ExponentialHistogram"),
        "     -> AggregationTemporality: Delta\nExponentialHistogramDataPoints #0\n", times, "Count: 5\n",
        "Bucket [-1.414214, -1.000000), Count: 2\nBucket [-1.000000, -0.707107), Count: 1\nBucket [0, 0], Count: 1\n",
        "Bucket (1.414214, 2.000000], Count: 1\nBucket (2.000000, 2.828427], Count: 1\n",
        &descriptor(4, "q", "", "", "Summary"),
        "SummaryDataPoints #0\n", times, "Count: 1\nSum: 15.000000\nQuantileValue #0: Quantile 0.010000, Value +Inf\n",
        &descriptor(5, "n", "", "", "Empty"),
    ].concat();
    assert_eq!(
        body(Verbosity::Detailed, Signal::Metrics, METRICS).await,
        expected
    );
}

static CLOCK: AtomicU64 = AtomicU64::new(0);

/// Per signal and second: the first two, then every third.
#[tokio::test]
async fn sampling_begins_anew_each_second() {
    let config = DebugConfig {
        sampling_thereafter: 3,
        ..DebugConfig::default()
    };
    let screen = Screen::default();
    let exporter = DebugExporter::new("debug", config, Box::new(screen.clone()), || {
        Nanos(CLOCK.load(Ordering::Relaxed))
    });
    let lines = || screen.text().lines().count();
    let mut counts = Vec::new();
    for _ in 0..9 {
        exporter
            .export(request(Signal::Traces, "{}"))
            .await
            .unwrap();
        counts.push(lines());
    }
    assert_eq!(counts, [1, 2, 2, 2, 3, 3, 3, 4, 4]);
    exporter.export(request(Signal::Logs, "{}")).await.unwrap();
    assert_eq!(lines(), 5);
    CLOCK.store(1_000_000_000, Ordering::Relaxed);
    exporter
        .export(request(Signal::Traces, "{}"))
        .await
        .unwrap();
    assert_eq!(lines(), 6);
}

#[test]
fn thereafter_zero_shows_no_more() {
    let config = DebugConfig {
        sampling_initial: 1,
        sampling_thereafter: 0,
        ..DebugConfig::default()
    };
    let mut sampler = Sampler::default();
    let shown: Vec<bool> = (0..3).map(|_| sampler.admit(Nanos(0), &config)).collect();
    assert_eq!(shown, [true, false, false]);
}

#[tokio::test]
async fn parts_are_one_page_and_nonsense_is_permanent() {
    let screen = Screen::default();
    let exporter = DebugExporter::new(
        "debug",
        DebugConfig::default(),
        Box::new(screen.clone()),
        noon,
    );
    let mut merged = request(Signal::Traces, SPANS);
    merged.parts.extend(request(Signal::Traces, SPANS).parts);
    exporter.export(merged).await.unwrap();
    assert!(
        screen
            .text()
            .ends_with("\"resource spans\": 2, \"spans\": 4}\n"),
        "{}",
        screen.text()
    );

    let nonsense = Outgoing {
        signal: Signal::Traces,
        parts: vec![Bytes::from_static(b"\x0a")],
        items: 0,
    };
    let refused = exporter.export(nonsense).await.unwrap_err();
    assert!(matches!(refused, Verdict::Permanent { .. }), "{refused}");
}

#[test]
fn keys_and_defaults_are_the_collector_s() {
    let config: DebugConfig = serde_json::from_str("{}").unwrap();
    assert_eq!(
        config,
        DebugConfig {
            verbosity: Verbosity::Basic,
            sampling_initial: 2,
            sampling_thereafter: 1,
            use_internal_logger: true
        }
    );
    let config: DebugConfig = serde_json::from_str(r#"{"verbosity":"detailed"}"#).unwrap();
    assert_eq!(config.verbosity, Verbosity::Detailed);
    let error = serde_json::from_str::<DebugConfig>(r#"{"verbosity":"loud"}"#)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("expected one of `basic`, `normal`, `detailed`"),
        "{error}"
    );
}
