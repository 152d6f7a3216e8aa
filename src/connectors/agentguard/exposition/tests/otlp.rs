//! What is sent says what is scraped.

use super::super::super::identity::Identity;
use super::*;
use crate::pipeline::Batch;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value;
use opentelemetry_proto::tonic::metrics::v1::{HistogramDataPoint, Metric, NumberDataPoint};

/// Requests of the scene's graph, when those before were sent at that time.
fn sent(scene: &Scene, metrics: &GraphMetrics, before: Nanos) -> Vec<Batch> {
    let now = scene.connector.core.now();
    let mut requests = Requests::new(&Identity::new(3), now, before);
    metrics.send(&scene.connector.published(), &mut requests);
    requests.finish()
}

fn metrics_of(batches: &[Batch]) -> Vec<Metric> {
    let mut metrics = Vec::new();
    for batch in batches {
        let items = crate::otlp::validate(crate::otlp::Signal::Metrics, &batch.bytes).unwrap();
        assert_eq!(items, batch.items);
        let request = ExportMetricsServiceRequest::decode(batch.bytes.clone()).unwrap();
        for resource in request.resource_metrics {
            for scope in resource.scope_metrics {
                metrics.extend(scope.metrics);
            }
        }
    }
    metrics
}

fn series(name: &str, attributes: &[KeyValue], more: Option<String>) -> String {
    let text = |value: &Option<AnyValue>| match &value.as_ref().unwrap().value {
        Some(any_value::Value::StringValue(text)) => text.clone(),
        other => panic!("{other:?}"),
    };
    let mut labels: Vec<String> = attributes
        .iter()
        .map(|pair| format!("{}=\"{}\"", pair.key, text(&pair.value)))
        .collect();
    labels.extend(more);
    if labels.is_empty() {
        return name.to_owned();
    }
    format!("{name}{{{}}}", labels.join(","))
}

fn value(point: &NumberDataPoint) -> f64 {
    match point.value {
        Some(Value::AsDouble(value)) => value,
        other => panic!("{other:?}"),
    }
}

/// The points of one time as Prometheus's text would have them, without exemplars.
fn as_samples(metrics: &[Metric], time: Nanos) -> Samples {
    let mut samples = Samples::new();
    let mut add = |series: String, value: f64| {
        let before = samples.insert(series.clone(), value);
        assert_eq!(before, None, "{series} stands twice");
    };
    for metric in metrics {
        let name = &metric.name;
        let numbers = match metric.data.as_ref().unwrap() {
            Data::Sum(sum) => {
                assert!(sum.is_monotonic && sum.aggregation_temporality == 2);
                &sum.data_points
            }
            Data::Gauge(gauge) => &gauge.data_points,
            Data::Histogram(histogram) => {
                assert_eq!(histogram.aggregation_temporality, 2);
                for point in &histogram.data_points {
                    if point.time_unix_nano == time.0 {
                        add_histogram(name, point, &mut add);
                    }
                }
                continue;
            }
            other => panic!("{other:?}"),
        };
        for point in numbers
            .iter()
            .filter(|point| point.time_unix_nano == time.0)
        {
            add(series(name, &point.attributes, None), value(point));
        }
    }
    samples
}

fn add_histogram(name: &str, point: &HistogramDataPoint, add: &mut impl FnMut(String, f64)) {
    assert_eq!(point.bucket_counts.len(), point.explicit_bounds.len() + 1);
    let mut below = 0;
    let bounds = point.explicit_bounds.iter().map(ToString::to_string);
    for (bound, count) in bounds.chain(["+Inf".to_owned()]).zip(&point.bucket_counts) {
        below += count;
        let bound = Some(format!("le=\"{bound}\""));
        let series = series(&format!("{name}_bucket"), &point.attributes, bound);
        add(series, below as f64);
    }
    assert_eq!(below, point.count);
    let count = series(&format!("{name}_count"), &point.attributes, None);
    add(count, point.count as f64);
    let sum = series(&format!("{name}_sum"), &point.attributes, None);
    add(sum, point.sum.unwrap());
}

/// R-STR-3: one definition, one writer, two forms.
#[test]
fn what_is_sent_is_what_is_scraped() {
    let scene = seen(&plain());
    let scraped = scene.samples();
    let graph = GraphMetrics::new(scene.connector.view(), plain().exposition());
    let now = scene.connector.core.now();
    let batches = sent(&scene, &graph, now);
    let metrics = metrics_of(&batches);
    let as_sent = as_samples(&metrics, now);
    assert_eq!(as_sent.len(), scraped.len());
    for (series, value) in &scraped {
        let sent = as_sent.get(series).copied().unwrap_or(f64::NAN);
        assert!(
            (sent - value).abs() <= value.abs() * 1e-12,
            "{series}: {value} {sent}"
        );
    }
    let unit = |name: &str| {
        metrics
            .iter()
            .find(|metric| metric.name == name)
            .unwrap()
            .unit
            .as_str()
    };
    assert_eq!(unit(SECONDS_SERVER.name), "s");
    assert_eq!(unit(REQUESTS.name), "");
}

/// OTLP's exemplars: a trace behind each edge.
#[test]
fn every_edge_that_is_sent_has_a_trace() {
    let scene = seen(&plain());
    let graph = GraphMetrics::new(scene.connector.view(), plain().exposition());
    let metrics = metrics_of(&sent(&scene, &graph, scene.connector.core.now()));
    let requests = metrics.iter().find(|metric| metric.name == REQUESTS.name);
    let Some(Data::Sum(sum)) = &requests.unwrap().data else {
        panic!("requests are a sum")
    };
    assert!(!sum.data_points.is_empty());
    for point in &sum.data_points {
        assert_eq!(point.exemplars.len(), 1);
        assert_eq!(point.exemplars[0].trace_id.len(), 16);
    }
}

/// R-ASK-5: whoever computes a rate from differences sees the first calls, too; and a sum says since when it counts.
#[test]
fn a_series_that_begins_is_sent_with_a_point_of_0_before_it() {
    let mut scene = Scene::new(&plain());
    let graph = GraphMetrics::new(scene.connector.view(), plain().exposition());
    let began = graph.began();
    let mut request = singles(ADK);
    let rest = request.split_off(request.len() / 2);
    let mut before = began;
    let mut begun = std::collections::BTreeMap::<String, Nanos>::new();
    for part in [request, rest, Vec::new()] {
        scene.pass(Duration::from_secs(60));
        part.iter().for_each(|request| scene.send(request));
        scene.settler.flush();
        scene.tick();
        let metrics = metrics_of(&sent(&scene, &graph, before));
        for metric in &metrics {
            let Some(Data::Sum(sum)) = &metric.data else {
                continue;
            };
            if metric.name == SERIES_DROPPED.name {
                continue;
            }
            for point in &sum.data_points {
                let series = series(&metric.name, &point.attributes, None);
                let since = *begun.entry(series).or_insert(before);
                assert_eq!(point.start_time_unix_nano, since.0);
                let is_zero = point.time_unix_nano == since.0;
                assert!(is_zero == (value(point) == 0.0 && point.time_unix_nano == since.0));
            }
        }
        let zeros = as_samples(&metrics, before);
        let new = begun.iter().filter(|(_, since)| **since == before);
        for (series, _) in new {
            assert_eq!(zeros.get(series), Some(&0.0), "{series}");
        }
        before = scene.connector.core.now();
    }
    let times: std::collections::BTreeSet<_> = begun.values().collect();
    assert_eq!(times.len(), 2, "some began with the second part");
}

/// No request is larger than what receivers take.
#[test]
fn many_points_are_sent_in_several_requests() {
    let scene = seen(&plain());
    let now = scene.connector.core.now();
    let mut requests = Requests::new(&Identity::new(3), now, Nanos(0));
    for number in 0..10_000 {
        let number = number.to_string();
        let labels = [("model", &*number), ("provider", "p")];
        Families::counter(&mut requests, &COST, &labels, 1.0, now, NO_TRACE);
    }
    let batches = requests.finish();
    let items: Vec<_> = batches.iter().map(|batch| batch.items).collect();
    assert_eq!(items, [4_096, 4_096, 1_808]);
    assert_eq!(as_samples(&metrics_of(&batches), now).len(), 10_000);
}
