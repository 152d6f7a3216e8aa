//! Metrics as text: Prometheus's classic format 0.0.4 and OpenMetrics 1.0.0, from one writer.
//!
//! Whoever has families, the registry or a snapshot of the graph, is a [`MetricsSource`]; a scrape asks its sources in
//! turn and ends the text.
//!
//! The formats differ in four things: OpenMetrics names a counter's family without `_total`, tells units, writes a bucket's
//! bound as a float always (`1.0`), and ends with `# EOF`.
//!
//! **Invariants.** Label values and help texts are escaped, whatever they hold. No timestamps, so that a series that is
//! gone is stale at once. Families are written whole, one after the other.
//! **Not here.** Protobuf with native histograms, HTTP (`server`).

use crate::base::TraceId;
use crate::telemetry::definition::{MetricDef, MetricKind, Unit};
use crate::telemetry::registry::Registry;
use prometheus::proto::{Metric, MetricFamily, MetricType};
use std::collections::BTreeMap;
use std::fmt::{Arguments, Write};
use std::sync::Arc;

/// A text format of metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Prometheus's text format 0.0.4; what is served when nothing else is asked for.
    Classic,
    /// OpenMetrics 1.0.0.
    OpenMetrics,
}

impl Format {
    /// The `Content-Type`; Prometheus 3 refuses a scrape without a known one.
    #[must_use]
    pub fn content_type(self) -> &'static str {
        match self {
            Format::Classic => "text/plain; version=0.0.4; charset=utf-8",
            Format::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }

    /// Picks what the values of `Accept` like best: the highest `q`, then the most specific, then the first.
    #[must_use]
    pub fn negotiate<'a>(accept: impl IntoIterator<Item = &'a str>) -> Format {
        let mut best: Option<(f32, u8, Format)> = None;
        for range in accept.into_iter().flat_map(|value| value.split(',')) {
            let Some(offer) = read_range(range) else {
                continue;
            };
            let is_better = best.is_none_or(|best| (offer.0, offer.1) > (best.0, best.1));
            if is_better {
                best = Some(offer);
            }
        }
        best.map_or(Format::Classic, |(_, _, format)| format)
    }
}

/// A media range's `q`, how specific it is, and what we have for it; `None` if we have nothing or it is unwanted.
fn read_range(range: &str) -> Option<(f32, u8, Format)> {
    let mut parts = range.split(';').map(str::trim);
    let media = parts.next()?.to_ascii_lowercase();
    let (mut q, mut version) = (1.0_f32, None);
    for parameter in parts {
        let Some((key, value)) = parameter.split_once('=') else {
            continue;
        };
        let value = value.trim().trim_matches('"');
        match key.trim().to_ascii_lowercase().as_str() {
            "q" => q = value.parse().ok().filter(|q| (0.0..=1.0).contains(q))?,
            "version" => version = Some(value),
            _ => {}
        }
    }
    let fits = |own: &str| version.is_none_or(|version| version == own);
    let (specific, format) = match media.as_str() {
        "application/openmetrics-text" if fits("1.0.0") => (2, Format::OpenMetrics),
        "text/plain" if fits("0.0.4") => (2, Format::Classic),
        "text/*" => (1, Format::Classic),
        "application/*" => (1, Format::OpenMetrics),
        "*/*" => (0, Format::Classic),
        _ => return None,
    };
    (q > 0.0).then_some((q, specific, format))
}

/// What has metrics to show.
pub trait MetricsSource: Send + Sync {
    /// Writes whole families; no other source of the same scrape may have a family of the same name.
    fn render(&self, format: Format, out: &mut String);
}

/// The text of a scrape of these sources.
#[must_use]
pub fn scrape(sources: &[Arc<dyn MetricsSource>], format: Format) -> String {
    let mut out = String::new();
    for source in sources {
        source.render(format, &mut out);
    }
    if format == Format::OpenMetrics {
        out.push_str("# EOF\n");
    }
    out
}

/// Label names and values.
pub type Labels<'a> = &'a [(&'a str, &'a str)];

/// Writes families in a format.
pub struct Exposition<'a> {
    format: Format,
    out: &'a mut String,
}

impl<'a> Exposition<'a> {
    /// Appends to a text.
    pub fn new(format: Format, out: &'a mut String) -> Self {
        Exposition { format, out }
    }

    /// Begins a family; its samples follow.
    pub fn family(&mut self, def: &MetricDef) {
        self.head(def.name, def.kind, def.unit, def.help);
    }

    /// Writes a sample of a counter or gauge.
    pub fn sample(&mut self, def: &MetricDef, labels: Labels<'_>, value: f64) {
        self.number(def.name, def.kind, labels, value);
    }

    /// Writes a counter's sample with a trace that shows one of what it counts; the classic format has no place for it.
    pub fn counter_with_trace(
        &mut self,
        def: &MetricDef,
        labels: Labels<'_>,
        value: f64,
        trace: TraceId,
    ) {
        self.sample(def, labels, value);
        if self.format == Format::OpenMetrics && trace != TraceId::default() && value > 0.0 {
            // behind the value, on its line
            self.out.pop();
            self.put(format_args!(" # {{trace_id=\"{trace}\"}} 1\n"));
        }
    }

    /// Writes a histogram; buckets are (upper bound, cumulative count), ascending, the one to infinity left out.
    pub fn histogram(
        &mut self,
        def: &MetricDef,
        labels: Labels<'_>,
        buckets: impl IntoIterator<Item = (f64, u64)>,
        sum: f64,
        count: u64,
    ) {
        self.buckets(def.name, labels, buckets, sum, count);
    }

    fn head(&mut self, name: &str, kind: MetricKind, unit: Unit, help: &str) {
        let kind_word = kind.as_str();
        match self.format {
            Format::Classic => {
                self.put(format_args!("# HELP {name} "));
                escape(self.out, help, false);
                self.put(format_args!("\n# TYPE {name} {kind_word}\n"));
            }
            Format::OpenMetrics => {
                let name = name.strip_suffix("_total").unwrap_or(name);
                self.put(format_args!("# TYPE {name} {kind_word}\n"));
                if unit != Unit::Things {
                    self.put(format_args!("# UNIT {name} {}\n", unit.as_str()));
                }
                self.put(format_args!("# HELP {name} "));
                escape(self.out, help, true);
                self.out.push('\n');
            }
        }
    }

    fn number(&mut self, name: &str, kind: MetricKind, labels: Labels<'_>, value: f64) {
        self.out.push_str(name);
        let lacks_total = kind == MetricKind::Counter && !name.ends_with("_total");
        if self.format == Format::OpenMetrics && lacks_total {
            self.out.push_str("_total");
        }
        self.labels(labels, None);
        self.value(value);
    }

    fn buckets(
        &mut self,
        name: &str,
        labels: Labels<'_>,
        buckets: impl IntoIterator<Item = (f64, u64)>,
        sum: f64,
        count: u64,
    ) {
        for (bound, below) in buckets {
            self.put(format_args!("{name}_bucket"));
            self.labels(labels, Some(bound));
            self.put(format_args!(" {below}\n"));
        }
        self.put(format_args!("{name}_bucket"));
        self.labels(labels, Some(f64::INFINITY));
        self.put(format_args!(" {count}\n{name}_sum"));
        self.labels(labels, None);
        self.value(sum);
        self.put(format_args!("{name}_count"));
        self.labels(labels, None);
        self.put(format_args!(" {count}\n"));
    }

    fn labels(&mut self, labels: Labels<'_>, bound: Option<f64>) {
        let mut before = '{';
        for (name, value) in labels {
            self.put(format_args!("{before}{name}=\""));
            escape(self.out, value, true);
            self.out.push('"');
            before = ',';
        }
        if let Some(bound) = bound {
            match (self.format, bound.is_infinite()) {
                (_, true) => self.put(format_args!("{before}le=\"+Inf\"")),
                (Format::Classic, _) => self.put(format_args!("{before}le=\"{bound}\"")),
                (Format::OpenMetrics, _) => self.put(format_args!("{before}le=\"{bound:?}\"")),
            }
        }
        if bound.is_some() || !labels.is_empty() {
            self.out.push('}');
        }
    }

    fn value(&mut self, value: f64) {
        if value == f64::INFINITY {
            self.put(format_args!(" +Inf\n"));
        } else if value == f64::NEG_INFINITY {
            self.put(format_args!(" -Inf\n"));
        } else if value != 0.0 && !(1e-6..1e21).contains(&value.abs()) && !value.is_nan() {
            self.put(format_args!(" {value:e}\n"));
        } else {
            self.put(format_args!(" {value}\n"));
        }
    }

    #[expect(clippy::expect_used, reason = "writing to a String cannot fail")]
    fn put(&mut self, text: Arguments<'_>) {
        self.out.write_fmt(text).expect("a String takes any text");
    }
}

/// Escapes what would end a help text or, with `quotes`, a quoted value.
fn escape(out: &mut String, text: &str, quotes: bool) {
    for character in text.chars() {
        match character {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '"' if quotes => out.push_str("\\\""),
            other => out.push(other),
        }
    }
}

impl MetricsSource for Registry {
    fn render(&self, format: Format, out: &mut String) {
        let definitions: BTreeMap<&str, &MetricDef> = self
            .definitions()
            .into_iter()
            .map(|def| (def.name, def))
            .collect();
        let mut exposition = Exposition::new(format, out);
        for family in self.gather() {
            // everything here was registered by its definition
            if let Some(def) = definitions.get(family.name()) {
                exposition.registered(def, &family);
            }
        }
    }
}

impl Exposition<'_> {
    fn registered(&mut self, def: &MetricDef, family: &MetricFamily) {
        self.family(def);
        for metric in family.get_metric() {
            let labels: Vec<(&str, &str)> = metric
                .get_label()
                .iter()
                .map(|pair| (pair.name(), pair.value()))
                .collect();
            match family.get_field_type() {
                MetricType::COUNTER => {
                    self.sample(def, &labels, metric.get_counter().get_value());
                }
                MetricType::HISTOGRAM => self.registered_histogram(def, &labels, metric),
                _ => self.sample(def, &labels, metric.get_gauge().get_value()),
            }
        }
    }

    fn registered_histogram(&mut self, def: &MetricDef, labels: Labels<'_>, metric: &Metric) {
        let histogram = metric.get_histogram();
        let buckets = histogram.get_bucket().iter();
        let finite = buckets
            .map(|bucket| (bucket.upper_bound(), bucket.cumulative_count()))
            .filter(|(bound, _)| bound.is_finite());
        let (sum, count) = (histogram.get_sample_sum(), histogram.get_sample_count());
        self.histogram(def, labels, finite, sum, count);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::tests::furnished;
    use prometheus::TextEncoder;

    #[test]
    fn the_format_with_the_highest_q_wins() {
        let prometheus_3 = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,\
            application/openmetrics-text;version=0.0.1;q=0.4,\
            text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,text/plain;version=0.0.4;q=0.2,*/*;q=0.1";
        let cases = [
            (prometheus_3, Format::OpenMetrics),
            (
                "text/plain;version=0.0.4;q=0.9, application/openmetrics-text;q=0.8",
                Format::Classic,
            ),
            (
                "application/openmetrics-text; version=\"1.0.0\"",
                Format::OpenMetrics,
            ),
            (
                "application/openmetrics-text;version=0.0.1",
                Format::Classic,
            ),
            (
                "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;q=0.9",
                Format::Classic,
            ),
            ("APPLICATION/OpenMetrics-Text;Q=0.1", Format::OpenMetrics),
            (
                "application/openmetrics-text;q=0, */*;q=0.1",
                Format::Classic,
            ),
            (
                "application/openmetrics-text;q=7, text/plain",
                Format::Classic,
            ),
            ("*/*, application/openmetrics-text", Format::OpenMetrics),
            ("*/*", Format::Classic),
            ("text/html", Format::Classic),
            ("", Format::Classic),
            (";;;=,,;q=", Format::Classic),
        ];
        for (accept, expected) in cases {
            assert_eq!(Format::negotiate([accept]), expected, "{accept}");
        }
        let two_headers = ["text/plain;q=0.1", "application/openmetrics-text;q=0.2"];
        assert_eq!(Format::negotiate(two_headers), Format::OpenMetrics);
        assert_eq!(Format::negotiate([]), Format::Classic);
    }

    /// The crate's own encoder is the oracle of the classic format.
    #[test]
    fn the_classic_text_is_what_the_prometheus_crate_writes() {
        let (telemetry, _manual) = furnished();
        let mut ours = String::new();
        telemetry.registry().render(Format::Classic, &mut ours);
        let families = telemetry.registry().gather();
        let theirs = TextEncoder::new().encode_to_string(&families).unwrap();
        let without_readings = |text: &str| {
            let lines = text
                .lines()
                .filter(|line| !line.starts_with("otelcol_process_"));
            lines.map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(without_readings(&ours), without_readings(&theirs));
        assert!(
            ours.contains(r#"exporter="otlp/a\"b\\c\nd""#),
            "label values are escaped"
        );
    }

    #[test]
    fn openmetrics_differs_where_it_must() {
        let (telemetry, manual) = furnished();
        manual.advance(std::time::Duration::from_millis(1_500));
        let source: Arc<dyn MetricsSource> = Arc::new(telemetry.registry().clone());
        let text = scrape(&[source], Format::OpenMetrics);
        let expected = [
            "# TYPE otelcol_receiver_accepted_spans counter\n",
            "otelcol_receiver_accepted_spans_total{receiver=\"otlp\",transport=\"grpc\"} 7\n",
            "# UNIT otelcol_process_uptime_seconds seconds\n",
            "otelcol_process_uptime_seconds_total 1.5\n",
            "le=\"1024.0\"} 0\n",
            "le=\"+Inf\"} 1\n",
        ];
        for part in expected {
            assert!(text.contains(part), "{part} is not in\n{text}");
        }
        assert!(text.ends_with("\n# EOF\n") && text.matches("# EOF").count() == 1);
        assert!(!text.contains("\n\n"), "OpenMetrics has no empty lines");
    }

    /// R-INT-1: exemplars, where the format has them.
    #[test]
    fn a_trace_stands_behind_its_counter_in_openmetrics_only() {
        const CALLS: MetricDef =
            MetricDef::counter("agentguard_test_calls_total", "Calls of a test.");
        let written = |format, value| {
            let mut out = String::new();
            Exposition::new(format, &mut out).counter_with_trace(
                &CALLS,
                &[],
                value,
                TraceId([0xab; 16]),
            );
            out
        };
        let trace = "ab".repeat(16);
        assert_eq!(
            written(Format::OpenMetrics, 2.0),
            format!("agentguard_test_calls_total 2 # {{trace_id=\"{trace}\"}} 1\n")
        );
        assert_eq!(
            written(Format::OpenMetrics, 0.0),
            "agentguard_test_calls_total 0\n"
        );
        assert_eq!(
            written(Format::Classic, 2.0),
            "agentguard_test_calls_total 2\n"
        );
    }

    #[test]
    fn odd_numbers_are_written_as_the_formats_know_them() {
        const ODD: MetricDef = MetricDef::gauge("agentguard_odd", "Odd numbers.");
        let mut out = String::new();
        let mut exposition = Exposition::new(Format::Classic, &mut out);
        for value in [
            f64::NAN,
            f64::INFINITY,
            f64::NEG_INFINITY,
            1e300,
            1e-9,
            0.5,
            -0.0,
            12.0,
        ] {
            exposition.sample(&ODD, &[], value);
        }
        let values: Vec<_> = out
            .lines()
            .map(|line| line.split_once(' ').unwrap().1)
            .collect();
        assert_eq!(
            values,
            ["NaN", "+Inf", "-Inf", "1e300", "1e-9", "0.5", "-0", "12"]
        );
    }
}
