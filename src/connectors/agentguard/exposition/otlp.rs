//! Families as OTLP: cumulative sums that say since when they count, gauges, histograms with the exposed bounds.
//!
//! A series that was not there at the time before is given a point that says so, 0 at that time, before the point of now:
//! whoever computes rates from differences sees all of it, too.
//!
//! **Bounds.** A request holds at most [`MAX_POINTS`] points; there are as many requests as that takes.
//! **Not here.** When it is sent, and what if nobody takes it (`outputs`).

use super::super::identity::{self, Identity};
use super::families::{Families, Spread, whole};
use crate::base::{Nanos, TraceId};
use crate::otlp::Signal;
use crate::pipeline::Batch;
use crate::telemetry::{Labels, MetricDef, MetricKind, Unit};
use bytes::Bytes;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::metrics::v1::exemplar::Value as ExemplarValue;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value;
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Exemplar, Gauge, Histogram, HistogramDataPoint, Metric,
    NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum,
};
use prost::Message;
use std::time::Duration;

/// Most points of a request: some MiB at most, which every receiver takes.
const MAX_POINTS: usize = 4_096;

/// Writes requests.
pub(in super::super) struct Requests {
    identity: Identity,
    /// When the points are of, and when those before were.
    now: Nanos,
    before: Nanos,
    family: Option<&'static MetricDef>,
    metrics: Vec<Metric>,
    points: usize,
    done: Vec<Batch>,
}

impl Requests {
    /// Points of now, when those before were sent at `before`.
    pub(in super::super) fn new(identity: &Identity, now: Nanos, before: Nanos) -> Self {
        Requests {
            identity: identity.clone(),
            now,
            before,
            family: None,
            metrics: Vec::new(),
            points: 0,
            done: Vec::new(),
        }
    }

    pub(super) fn before(&self) -> Nanos {
        self.before
    }

    /// What is to be sent; nothing if there are no points.
    pub(in super::super) fn finish(mut self) -> Vec<Batch> {
        self.close();
        self.done
    }

    fn close(&mut self) {
        let metrics = std::mem::take(&mut self.metrics);
        let points = std::mem::take(&mut self.points);
        if points == 0 {
            return;
        }
        let request = ExportMetricsServiceRequest {
            resource_metrics: vec![ResourceMetrics {
                resource: Some(self.identity.resource()),
                scope_metrics: vec![ScopeMetrics {
                    scope: Some(identity::scope()),
                    metrics,
                    schema_url: String::new(),
                }],
                schema_url: String::new(),
            }],
        };
        self.done.push(Batch {
            signal: Signal::Metrics,
            bytes: Bytes::from(request.encode_to_vec()),
            items: u32::try_from(points).unwrap_or(u32::MAX),
        });
    }

    /// Where points of a family go; begins the family, and a request, where needed.
    fn place(&mut self, def: &'static MetricDef, more: usize) -> Option<&mut Data> {
        if self.points + more > MAX_POINTS {
            self.close();
            self.family = None;
        }
        if self.family.is_none_or(|family| family.name != def.name) {
            self.family = Some(def);
            self.metrics.push(begin(def));
        }
        self.points += more;
        self.metrics.last_mut()?.data.as_mut()
    }

    fn number(&mut self, def: &'static MetricDef, points: Vec<NumberDataPoint>) {
        match self.place(def, points.len()) {
            Some(Data::Sum(sum)) => sum.data_points.extend(points),
            Some(Data::Gauge(gauge)) => gauge.data_points.extend(points),
            _ => debug_assert!(false, "`{}` is no number", def.name),
        }
    }

    fn is_new(&self, since: Nanos) -> bool {
        since == self.before && since < self.now
    }
}

/// A family without points.
fn begin(def: &MetricDef) -> Metric {
    let cumulative = AggregationTemporality::Cumulative as i32;
    let data_points = Vec::new();
    let data = match def.kind {
        MetricKind::Counter => Data::Sum(Sum {
            data_points,
            aggregation_temporality: cumulative,
            is_monotonic: true,
        }),
        MetricKind::Gauge => Data::Gauge(Gauge { data_points }),
        MetricKind::Histogram => Data::Histogram(Histogram {
            data_points: Vec::new(),
            aggregation_temporality: cumulative,
        }),
    };
    Metric {
        name: def.name.to_owned(),
        description: def.help.to_owned(),
        unit: unit(def.unit).to_owned(),
        metadata: Vec::new(),
        data: Some(data),
    }
}

/// The unit as UCUM writes it; things have none.
fn unit(unit: Unit) -> &'static str {
    match unit {
        Unit::Things => "",
        Unit::Seconds => "s",
        Unit::Bytes => "By",
        Unit::Ratio => "1",
    }
}

fn attributes(labels: Labels<'_>) -> Vec<KeyValue> {
    let pairs = labels.iter();
    pairs
        .map(|(key, value)| identity::text(key, value))
        .collect()
}

impl Families for Requests {
    /// A family begins with its first point: one without would say nothing.
    fn family(&mut self, _def: &'static MetricDef) {}

    fn gauge(&mut self, def: &'static MetricDef, labels: Labels<'_>, value: f64) {
        if value.is_finite() {
            let point = NumberDataPoint {
                attributes: attributes(labels),
                time_unix_nano: self.now.0,
                value: Some(Value::AsDouble(value)),
                ..NumberDataPoint::default()
            };
            self.number(def, vec![point]);
        }
    }

    fn counter(
        &mut self,
        def: &'static MetricDef,
        labels: Labels<'_>,
        value: f64,
        since: Nanos,
        example: TraceId,
    ) {
        let zero = NumberDataPoint {
            attributes: attributes(labels),
            start_time_unix_nano: since.0,
            time_unix_nano: since.0,
            value: Some(Value::AsDouble(0.0)),
            ..NumberDataPoint::default()
        };
        let mut exemplars = Vec::new();
        if example != TraceId::default() && value > 0.0 {
            exemplars.push(Exemplar {
                time_unix_nano: self.now.0,
                trace_id: example.0.to_vec(),
                value: Some(ExemplarValue::AsDouble(1.0)),
                ..Exemplar::default()
            });
        }
        let point = NumberDataPoint {
            time_unix_nano: self.now.0,
            value: Some(Value::AsDouble(value)),
            exemplars,
            ..zero.clone()
        };
        let is_new = self.is_new(since);
        let points = [is_new.then_some(zero), Some(point)];
        self.number(def, points.into_iter().flatten().collect());
    }

    fn histogram(
        &mut self,
        def: &'static MetricDef,
        labels: Labels<'_>,
        spread: &Spread<'_>,
        since: Nanos,
    ) {
        let mut buckets = Vec::with_capacity(spread.bounds.len() + 1);
        let mut below = 0;
        for at in 0..spread.bounds.len() {
            let within = spread.within.get(at).copied().unwrap_or(0);
            buckets.push(whole(within - below));
            below = within;
        }
        buckets.push(whole(spread.calls - below));
        let bounds = spread.bounds.iter().map(Duration::as_secs_f64).collect();
        let zero = HistogramDataPoint {
            attributes: attributes(labels),
            start_time_unix_nano: since.0,
            time_unix_nano: since.0,
            sum: Some(0.0),
            bucket_counts: vec![0; buckets.len()],
            explicit_bounds: bounds,
            ..HistogramDataPoint::default()
        };
        let point = HistogramDataPoint {
            time_unix_nano: self.now.0,
            count: whole(spread.calls),
            sum: Some(Duration::from_nanos(whole(spread.lasted_ns)).as_secs_f64()),
            bucket_counts: buckets,
            ..zero.clone()
        };
        let points = [self.is_new(since).then_some(zero), Some(point)];
        let points: Vec<_> = points.into_iter().flatten().collect();
        if let Some(Data::Histogram(histogram)) = self.place(def, points.len()) {
            histogram.data_points.extend(points);
        }
    }
}
