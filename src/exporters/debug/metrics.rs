//! `detailed`: every field of data points.

use crate::exporters::debug::detailed::{resource, scope};
use crate::exporters::debug::page::{Page, moment};
use crate::exporters::debug::value::{fixed, hex};
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{
    Exemplar, ExponentialHistogramDataPoint, HistogramDataPoint, Metric, NumberDataPoint,
    ResourceMetrics, SummaryDataPoint, exemplar, number_data_point,
};

/// Every field of every data point.
pub(super) fn detailed(page: &mut Page, request: &[ResourceMetrics]) {
    for (i, metrics) in request.iter().enumerate() {
        page.line(format_args!("ResourceMetrics #{i}"));
        resource(page, &metrics.schema_url, metrics.resource.as_ref());
        for (j, metrics) in metrics.scope_metrics.iter().enumerate() {
            page.line(format_args!("ScopeMetrics #{j}"));
            page.line(format_args!(
                "ScopeMetrics SchemaURL: {}",
                metrics.schema_url
            ));
            scope(page, metrics.scope.as_ref());
            for (k, this) in metrics.metrics.iter().enumerate() {
                page.line(format_args!("Metric #{k}"));
                metric(page, this);
            }
        }
    }
}

fn metric(page: &mut Page, metric: &Metric) {
    let data_type = match &metric.data {
        None => "Empty",
        Some(Data::Gauge(_)) => "Gauge",
        Some(Data::Sum(_)) => "Sum",
        Some(Data::Histogram(_)) => "Histogram",
        Some(Data::ExponentialHistogram(_)) => "ExponentialHistogram",
        Some(Data::Summary(_)) => "Summary",
    };
    page.line(format_args!("Descriptor:"));
    page.item("Name", &metric.name);
    page.item("Description", &metric.description);
    page.item("Unit", &metric.unit);
    page.item("DataType", data_type);
    match &metric.data {
        None => {}
        Some(Data::Gauge(data)) => each(page, "Number", &data.data_points, number),
        Some(Data::Sum(data)) => {
            page.item("IsMonotonic", data.is_monotonic);
            page.item(
                "AggregationTemporality",
                temporality(data.aggregation_temporality),
            );
            each(page, "Number", &data.data_points, number);
        }
        Some(Data::Histogram(data)) => {
            page.item(
                "AggregationTemporality",
                temporality(data.aggregation_temporality),
            );
            each(page, "Histogram", &data.data_points, histogram);
        }
        Some(Data::ExponentialHistogram(data)) => {
            page.item(
                "AggregationTemporality",
                temporality(data.aggregation_temporality),
            );
            each(page, "ExponentialHistogram", &data.data_points, exponential);
        }
        Some(Data::Summary(data)) => each(page, "Summary", &data.data_points, summary),
    }
}

fn each<P>(page: &mut Page, kind: &str, points: &[P], show: fn(&mut Page, &P)) {
    for (i, point) in points.iter().enumerate() {
        page.line(format_args!("{kind}DataPoints #{i}"));
        show(page, point);
    }
}

fn temporality(number: i32) -> &'static str {
    match number {
        1 => "Delta",
        2 => "Cumulative",
        _ => "Unspecified",
    }
}

fn head(page: &mut Page, attributes: &[KeyValue], start: u64, time: u64) {
    page.attributes("", "Data point attributes", attributes);
    page.line(format_args!("StartTimestamp: {}", moment(start)));
    page.line(format_args!("Timestamp: {}", moment(time)));
}

/// Count, and of the others those that there are.
fn measures(page: &mut Page, count: u64, others: [(&str, Option<f64>); 3]) {
    page.line(format_args!("Count: {count}"));
    for (name, number) in others {
        if let Some(number) = number {
            page.line(format_args!("{name}: {}", fixed(number)));
        }
    }
}

fn number(page: &mut Page, p: &NumberDataPoint) {
    head(
        page,
        &p.attributes,
        p.start_time_unix_nano,
        p.time_unix_nano,
    );
    match p.value {
        None => {}
        Some(number_data_point::Value::AsInt(number)) => {
            page.line(format_args!("Value: {number}"));
        }
        Some(number_data_point::Value::AsDouble(number)) => {
            page.line(format_args!("Value: {}", fixed(number)));
        }
    }
    exemplars(page, &p.exemplars);
}

fn histogram(page: &mut Page, p: &HistogramDataPoint) {
    head(
        page,
        &p.attributes,
        p.start_time_unix_nano,
        p.time_unix_nano,
    );
    measures(
        page,
        p.count,
        [("Sum", p.sum), ("Min", p.min), ("Max", p.max)],
    );
    for (i, bound) in p.explicit_bounds.iter().enumerate() {
        page.line(format_args!("ExplicitBounds #{i}: {}", fixed(*bound)));
    }
    for (i, count) in p.bucket_counts.iter().enumerate() {
        page.line(format_args!("Buckets #{i}, Count: {count}"));
    }
    exemplars(page, &p.exemplars);
}

fn exponential(page: &mut Page, p: &ExponentialHistogramDataPoint) {
    head(
        page,
        &p.attributes,
        p.start_time_unix_nano,
        p.time_unix_nano,
    );
    measures(
        page,
        p.count,
        [("Sum", p.sum), ("Min", p.min), ("Max", p.max)],
    );
    // bucket `i` reaches from base^i to base^(i+1) with base = 2^(2^-scale)
    let edge = |index: i64| (index_as_f64(index) * (-f64::from(p.scale)).exp2()).exp2();
    if let Some(buckets) = &p.negative {
        for (index, count) in (i64::from(buckets.offset)..)
            .zip(&buckets.bucket_counts)
            .collect::<Vec<_>>()
            .into_iter()
            .rev()
        {
            let (from, to) = (fixed(-edge(index + 1)), fixed(-edge(index)));
            page.line(format_args!("Bucket [{from}, {to}), Count: {count}"));
        }
    }
    if p.zero_count > 0 {
        page.line(format_args!("Bucket [0, 0], Count: {}", p.zero_count));
    }
    if let Some(buckets) = &p.positive {
        for (index, count) in (i64::from(buckets.offset)..).zip(&buckets.bucket_counts) {
            let (from, to) = (fixed(edge(index)), fixed(edge(index + 1)));
            page.line(format_args!("Bucket ({from}, {to}], Count: {count}"));
        }
    }
    exemplars(page, &p.exemplars);
}

#[expect(
    clippy::cast_precision_loss,
    reason = "an offset of 32 bits plus a list's length stays far below 2^52"
)]
fn index_as_f64(index: i64) -> f64 {
    index as f64
}

fn summary(page: &mut Page, p: &SummaryDataPoint) {
    head(
        page,
        &p.attributes,
        p.start_time_unix_nano,
        p.time_unix_nano,
    );
    measures(
        page,
        p.count,
        [("Sum", Some(p.sum)), ("", None), ("", None)],
    );
    for (i, quantile) in p.quantile_values.iter().enumerate() {
        let (quantile, value) = (fixed(quantile.quantile), fixed(quantile.value));
        page.line(format_args!(
            "QuantileValue #{i}: Quantile {quantile}, Value {value}"
        ));
    }
}

fn exemplars(page: &mut Page, exemplars: &[Exemplar]) {
    if !exemplars.is_empty() {
        page.line(format_args!("Exemplars:"));
    }
    for (i, exemplar) in exemplars.iter().enumerate() {
        page.line(format_args!("Exemplar #{i}"));
        page.item("Trace ID", hex(&exemplar.trace_id));
        page.item("Span ID", hex(&exemplar.span_id));
        page.item("Timestamp", moment(exemplar.time_unix_nano));
        match exemplar.value {
            None => {}
            Some(exemplar::Value::AsInt(number)) => page.item("Value", number),
            Some(exemplar::Value::AsDouble(number)) => page.item("Value", fixed(number)),
        }
        let attributes = &exemplar.filtered_attributes;
        page.attributes("     ", "     -> FilteredAttributes", attributes);
    }
}
