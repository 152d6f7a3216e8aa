//! `basic` counts, and `normal`: about one line for each span, data point and log record.

use crate::exporters::debug::page::Page;
use crate::exporters::debug::value::{Bare, fixed, hex, pairs, shortest};
use opentelemetry_proto::tonic::common::v1::{InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::logs::v1::ResourceLogs;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value;
use opentelemetry_proto::tonic::metrics::v1::{
    HistogramDataPoint, Metric, NumberDataPoint, ResourceMetrics, SummaryDataPoint,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::ResourceSpans;

/// What a summary says of spans.
pub(super) fn count_spans(request: &[ResourceSpans]) -> [(&'static str, usize); 2] {
    let scopes = request.iter().flat_map(|resource| &resource.scope_spans);
    [
        ("resource spans", request.len()),
        ("spans", scopes.map(|scope| scope.spans.len()).sum()),
    ]
}

/// What a summary says of metrics.
pub(super) fn count_metrics(request: &[ResourceMetrics]) -> [(&'static str, usize); 3] {
    let scopes = request.iter().flat_map(|resource| &resource.scope_metrics);
    let metrics = scopes.flat_map(|scope| &scope.metrics);
    [
        ("resource metrics", request.len()),
        ("metrics", metrics.clone().count()),
        ("data points", metrics.map(count_points).sum()),
    ]
}

/// What a summary says of logs.
pub(super) fn count_logs(request: &[ResourceLogs]) -> [(&'static str, usize); 2] {
    let scopes = request.iter().flat_map(|resource| &resource.scope_logs);
    [
        ("resource logs", request.len()),
        (
            "log records",
            scopes.map(|scope| scope.log_records.len()).sum(),
        ),
    ]
}

fn count_points(metric: &Metric) -> usize {
    match &metric.data {
        None => 0,
        Some(Data::Gauge(data)) => data.data_points.len(),
        Some(Data::Sum(data)) => data.data_points.len(),
        Some(Data::Histogram(data)) => data.data_points.len(),
        Some(Data::ExponentialHistogram(data)) => data.data_points.len(),
        Some(Data::Summary(data)) => data.data_points.len(),
    }
}

/// ` [schema] key=value …`, as far as there is something.
fn resource(schema_url: &str, resource: Option<&Resource>) -> String {
    let attributes = resource.map_or(&[][..], |resource| &resource.attributes);
    format!("{}{}", bracketed(schema_url), spaced_pairs(attributes))
}

/// ` name@version [schema] key=value …`, as far as there is something.
fn scope(schema_url: &str, scope: Option<&InstrumentationScope>) -> String {
    let mut text = String::new();
    if let Some(scope) = scope {
        if !scope.name.is_empty() {
            text = format!(" {}", scope.name);
        }
        if !scope.version.is_empty() {
            text.push('@');
            text.push_str(&scope.version);
        }
    }
    text.push_str(&bracketed(schema_url));
    text.push_str(&spaced_pairs(scope.map_or(&[], |scope| &scope.attributes)));
    text
}

fn bracketed(schema_url: &str) -> String {
    if schema_url.is_empty() {
        String::new()
    } else {
        format!(" [{schema_url}]")
    }
}

fn spaced_pairs(attributes: &[KeyValue]) -> String {
    if attributes.is_empty() {
        String::new()
    } else {
        format!(" {}", pairs(attributes, " "))
    }
}

/// A line for each span: name, ids, attributes.
pub(super) fn traces(page: &mut Page, request: &[ResourceSpans]) {
    for (i, spans) in request.iter().enumerate() {
        let details = resource(&spans.schema_url, spans.resource.as_ref());
        page.line(format_args!("ResourceTraces #{i}{details}"));
        for (j, spans) in spans.scope_spans.iter().enumerate() {
            let details = scope(&spans.schema_url, spans.scope.as_ref());
            page.line(format_args!("ScopeTraces #{j}{details}"));
            for span in &spans.spans {
                let (trace, id) = (hex(&span.trace_id), hex(&span.span_id));
                let attributes = spaced_pairs(&span.attributes);
                page.line(format_args!("{} {trace} {id}{attributes}", span.name));
            }
        }
    }
}

/// A line for each log record: body, attributes.
pub(super) fn logs(page: &mut Page, request: &[ResourceLogs]) {
    for (i, logs) in request.iter().enumerate() {
        let details = resource(&logs.schema_url, logs.resource.as_ref());
        page.line(format_args!("ResourceLog #{i}{details}"));
        for (j, logs) in logs.scope_logs.iter().enumerate() {
            let details = scope(&logs.schema_url, logs.scope.as_ref());
            page.line(format_args!("ScopeLog #{j}{details}"));
            for record in &logs.log_records {
                let attributes = pairs(&record.attributes, " ");
                page.line(format_args!("{} {attributes}", Bare(record.body.as_ref())));
            }
        }
    }
}

/// A line for each data point: metric, attributes, value.
pub(super) fn metrics(page: &mut Page, request: &[ResourceMetrics]) {
    for (i, metrics) in request.iter().enumerate() {
        let details = resource(&metrics.schema_url, metrics.resource.as_ref());
        page.line(format_args!("ResourceMetrics #{i}{details}"));
        for (j, metrics) in metrics.scope_metrics.iter().enumerate() {
            let details = scope(&metrics.schema_url, metrics.scope.as_ref());
            page.line(format_args!("ScopeMetrics #{j}{details}"));
            for metric in &metrics.metrics {
                points(page, metric);
            }
        }
    }
}

fn points(page: &mut Page, metric: &Metric) {
    let mut point = |attributes: &[KeyValue], value: String| {
        let attributes = pairs(attributes, ",");
        page.line(format_args!("{}{{{attributes}}} {value}", metric.name));
    };
    match &metric.data {
        None => {}
        Some(Data::Gauge(data)) => {
            data.data_points
                .iter()
                .for_each(|p| point(&p.attributes, number(p)));
        }
        Some(Data::Sum(data)) => {
            data.data_points
                .iter()
                .for_each(|p| point(&p.attributes, number(p)));
        }
        Some(Data::Histogram(data)) => {
            data.data_points
                .iter()
                .for_each(|p| point(&p.attributes, histogram(p)));
        }
        Some(Data::ExponentialHistogram(data)) => {
            for p in &data.data_points {
                point(&p.attributes, measures(p.count, p.sum, p.min, p.max));
            }
        }
        Some(Data::Summary(data)) => {
            data.data_points
                .iter()
                .for_each(|p| point(&p.attributes, summary(p)));
        }
    }
}

fn number(point: &NumberDataPoint) -> String {
    match point.value {
        None => String::new(),
        Some(Value::AsInt(number)) => number.to_string(),
        Some(Value::AsDouble(number)) => shortest(number),
    }
}

fn measures(count: u64, sum: Option<f64>, min: Option<f64>, max: Option<f64>) -> String {
    let mut text = format!("count={count}");
    for (name, number) in [("sum", sum), ("min", min), ("max", max)] {
        if let Some(number) = number {
            text.push_str(&format!(" {name}={}", shortest(number)));
        }
    }
    text
}

fn histogram(point: &HistogramDataPoint) -> String {
    let mut text = measures(point.count, point.sum, point.min, point.max);
    for (i, count) in point.bucket_counts.iter().enumerate() {
        match point.explicit_bounds.get(i) {
            Some(bound) => text.push_str(&format!(" le{}={count}", shortest(*bound))),
            None => text.push_str(&format!(" {count}")),
        }
    }
    text
}

fn summary(point: &SummaryDataPoint) -> String {
    let mut text = format!("count={} sum={}", point.count, fixed(point.sum));
    for quantile in &point.quantile_values {
        let (quantile, value) = (shortest(quantile.quantile), shortest(quantile.value));
        text.push_str(&format!(" q{quantile}={value}"));
    }
    text
}
