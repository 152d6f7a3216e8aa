//! Is what arrived what was sent? Field by field, as decoded messages, whatever was merged or split on the way.
//!
//! A request is taken apart into its spans, metrics or log records, each kept with its resource, scope and schema URLs.
//! Two of these are equal when they encode equally: every field, the order of attributes, events and links included.
//! They are matched as a multiset under a key that a person can read (trace and span id; else name or body).
//!
//! **Not here.** Unknown fields (`prost` drops them on both sides): the byte-exact tests of the splice see those.

use std::collections::BTreeMap;
use std::fmt::{self, Debug};

use agentguard::otlp::Signal;
use bytes::Bytes;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::logs::v1::ResourceLogs;
use opentelemetry_proto::tonic::metrics::v1::ResourceMetrics;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::trace::v1::ResourceSpans;
use prost::Message;

/// How many differences are told; the rest is counted.
const TOLD: usize = 5;

/// What a comparison may overlook.
#[derive(Clone, Copy, Default)]
pub struct Overlook<'a> {
    /// Attributes of spans and resources whose key starts so.
    pub prefix: Option<&'a str>,
    /// The times of metric data points: an SDK takes them from its clock.
    pub metric_times: bool,
}

/// One span, metric or log record, encoded with what encloses it.
type Atom = Vec<u8>;

/// What was sent but did not arrive so, and the reverse.
pub struct Differences(Vec<String>);

impl Debug for Differences {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} differences", self.0.len())?;
        for difference in self.0.iter().take(TOLD) {
            writeln!(f, "{difference}")?;
        }
        Ok(())
    }
}

/// Compares two streams of requests of one signal; returns how many items are equal.
///
/// # Errors
/// The differences, sorted by key.
///
/// # Panics
/// When a request does not decode.
pub fn compare(
    signal: Signal,
    sent: &[Bytes],
    received: &[Bytes],
    overlook: Overlook<'_>,
) -> Result<usize, Differences> {
    let sent = atoms(signal, sent, overlook);
    let mut received = atoms(signal, received, overlook);
    let mut equal = 0;
    let mut differences = Vec::new();
    for (key, mut left) in sent {
        let mut right = received.remove(&key).unwrap_or_default();
        left.retain(|one| {
            let twin = right.iter().position(|other| other == one);
            if let Some(at) = twin {
                right.swap_remove(at);
                equal += 1;
            }
            twin.is_none()
        });
        for one in left {
            differences.push(match right.pop() {
                Some(other) => format!(
                    "{key}: differs\n{}",
                    lines(&told(signal, &one), &told(signal, &other))
                ),
                None => format!("{key}: missing"),
            });
        }
        differences.extend(
            right
                .iter()
                .map(|_| format!("{key}: arrived more than once")),
        );
    }
    for (key, strangers) in received {
        differences.push(format!(
            "{key}: arrived {} times, never sent",
            strangers.len()
        ));
    }
    if differences.is_empty() {
        Ok(equal)
    } else {
        Err(Differences(differences))
    }
}

/// How many spans, metrics or log records there are.
///
/// # Panics
/// When a request does not decode.
#[must_use]
pub fn count(signal: Signal, requests: &[Bytes]) -> usize {
    requests
        .iter()
        .map(|request| count_one(signal, request))
        .sum()
}

fn count_one(signal: Signal, request: &Bytes) -> usize {
    let request = request.clone();
    match signal {
        Signal::Traces => ExportTraceServiceRequest::decode(request)
            .expect("a traces request")
            .resource_spans
            .iter()
            .flat_map(|resource| &resource.scope_spans)
            .map(|scope| scope.spans.len())
            .sum(),
        Signal::Metrics => ExportMetricsServiceRequest::decode(request)
            .expect("a metrics request")
            .resource_metrics
            .iter()
            .flat_map(|resource| &resource.scope_metrics)
            .map(|scope| scope.metrics.len())
            .sum(),
        Signal::Logs => ExportLogsServiceRequest::decode(request)
            .expect("a logs request")
            .resource_logs
            .iter()
            .flat_map(|resource| &resource.scope_logs)
            .map(|scope| scope.log_records.len())
            .sum(),
    }
}

/// An atom as a person reads it, a field a line.
fn told(signal: Signal, atom: &[u8]) -> String {
    let what = "what was encoded here";
    match signal {
        Signal::Traces => format!("{:#?}", ResourceSpans::decode(atom).expect(what)),
        Signal::Metrics => format!("{:#?}", ResourceMetrics::decode(atom).expect(what)),
        Signal::Logs => format!("{:#?}", ResourceLogs::decode(atom).expect(what)),
    }
}

/// The lines in which two tellings differ, with the path of the first.
fn lines(left: &str, right: &str) -> String {
    let mut told = String::new();
    let mut unequal = 0;
    for (number, (one, other)) in left.lines().zip(right.lines()).enumerate() {
        if one != other {
            unequal += 1;
            if unequal <= TOLD {
                told += &format!("  line {number}\n    sent     {one}\n    received {other}\n");
            }
        }
    }
    let (one, other) = (left.lines().count(), right.lines().count());
    if one != other {
        told += &format!("  sent tells {one} lines, received {other}\n");
    }
    told
}

fn atoms(
    signal: Signal,
    requests: &[Bytes],
    overlook: Overlook<'_>,
) -> BTreeMap<String, Vec<Atom>> {
    let mut all = BTreeMap::<String, Vec<Atom>>::new();
    let mut put = |key: String, atom: Atom| all.entry(key).or_default().push(atom);
    for request in requests {
        match signal {
            Signal::Traces => spans(request, overlook, &mut put),
            Signal::Metrics => metrics(request, overlook, &mut put),
            Signal::Logs => logs(request, overlook, &mut put),
        }
    }
    all
}

type Put<'a> = dyn FnMut(String, Atom) + 'a;

fn spans(request: &Bytes, overlook: Overlook<'_>, put: &mut Put<'_>) {
    let request = ExportTraceServiceRequest::decode(request.clone()).expect("a traces request");
    for mut resource in request.resource_spans {
        if let Some(described) = &mut resource.resource {
            overlook.strip(&mut described.attributes);
        }
        for mut scope in std::mem::take(&mut resource.scope_spans) {
            for mut span in std::mem::take(&mut scope.spans) {
                overlook.strip(&mut span.attributes);
                let (trace, id) = (hex(&span.trace_id), hex(&span.span_id));
                let key = format!("span {trace}/{id} `{}`", span.name);
                let mut around = scope.clone();
                around.spans.push(span);
                let mut whole = resource.clone();
                whole.scope_spans.push(around);
                put(key, whole.encode_to_vec());
            }
        }
    }
}

fn metrics(request: &Bytes, overlook: Overlook<'_>, put: &mut Put<'_>) {
    let request = ExportMetricsServiceRequest::decode(request.clone()).expect("a metrics request");
    for mut resource in request.resource_metrics {
        for mut scope in std::mem::take(&mut resource.scope_metrics) {
            for mut metric in std::mem::take(&mut scope.metrics) {
                if overlook.metric_times {
                    clear_times(metric.data.as_mut());
                }
                let key = format!("metric `{}`", metric.name);
                let mut around = scope.clone();
                around.metrics.push(metric);
                let mut whole = resource.clone();
                whole.scope_metrics.push(around);
                put(key, whole.encode_to_vec());
            }
        }
    }
}

fn logs(request: &Bytes, _overlook: Overlook<'_>, put: &mut Put<'_>) {
    let request = ExportLogsServiceRequest::decode(request.clone()).expect("a logs request");
    for mut resource in request.resource_logs {
        for mut scope in std::mem::take(&mut resource.scope_logs) {
            for record in std::mem::take(&mut scope.log_records) {
                let key = format!("log at {} {:?}", record.time_unix_nano, record.body);
                let mut around = scope.clone();
                around.log_records.push(record);
                let mut whole = resource.clone();
                whole.scope_logs.push(around);
                put(key, whole.encode_to_vec());
            }
        }
    }
}

fn clear_times(data: Option<&mut Data>) {
    macro_rules! clear {
        ($($points:expr),*) => {$(for point in $points {
            point.start_time_unix_nano = 0;
            point.time_unix_nano = 0;
        })*};
    }
    match data {
        Some(Data::Gauge(gauge)) => clear!(&mut gauge.data_points),
        Some(Data::Sum(sum)) => clear!(&mut sum.data_points),
        Some(Data::Histogram(histogram)) => clear!(&mut histogram.data_points),
        Some(Data::ExponentialHistogram(histogram)) => clear!(&mut histogram.data_points),
        Some(Data::Summary(summary)) => clear!(&mut summary.data_points),
        None => {}
    }
}

impl Overlook<'_> {
    fn strip(self, attributes: &mut Vec<KeyValue>) {
        if let Some(prefix) = self.prefix {
            attributes.retain(|attribute| !attribute.key.starts_with(prefix));
        }
    }
}

/// Lower-case hexadecimal, as ids are written.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
