//! The registry: metrics by definition, resolved to handles once, counted with one relaxed atomic each.
//!
//! A thin layer on the `prometheus` crate's own registry (never its global one). What it adds: a definition is registered
//! once however many components use it; series are bounded; numbers that live elsewhere are pulled at a scrape; what
//! was removed from the configuration disappears.
//!
//! **Bounds.** [`MAX_SERIES`] series a metric; what comes beyond counts in one series whose labels are all `_other`, and
//! in `agentguard_series_dropped_total{metric}`.
//! **Invariants.** One definition per name. Registering cannot fail: a mistake of ours (two definitions of one name, a
//! wrong number of labels) fails its test by a debug assertion, and in production counts into a handle that is not shown.
//! **Not here.** Text formats (`exposition`), HTTP (`server`), graph-sized families, which render themselves
//! ([`MetricsSource`](crate::telemetry::MetricsSource)).

use crate::telemetry::definition::{MetricDef, MetricKind};
use crate::telemetry::pull::PullFamily;
use parking_lot::Mutex;
use prometheus::core::Collector;
use prometheus::proto::MetricFamily;
use prometheus::{GaugeVec, HistogramVec, IntCounterVec, IntGaugeVec};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tracing::error;

/// A number that only grows; `inc` and `inc_by` are one relaxed atomic.
pub type Counter = prometheus::IntCounter;
/// A whole number that goes up and down.
pub type Gauge = prometheus::IntGauge;
/// A number that goes up and down.
pub type FloatGauge = prometheus::Gauge;
/// Observations counted by upper bound.
pub type Histogram = prometheus::Histogram;

/// Most series of one metric.
pub const MAX_SERIES: usize = 2_000;

/// The label value of what is over a bound.
pub const OTHER: &str = "_other";

/// Series that the bound kept from being shown one by one.
pub const SERIES_DROPPED: MetricDef = MetricDef::counter(
    "agentguard_series_dropped_total",
    "Series counted as `_other`, because their metric has too many.",
)
.labels(&["metric"]);

/// All metrics of one process, or of one test; cheap to clone.
#[derive(Clone)]
pub struct Registry {
    inner: Arc<Inner>,
}

struct Inner {
    collectors: prometheus::Registry,
    /// Touched when components are built or removed, and at a scrape; never when counting.
    families: Mutex<BTreeMap<&'static str, Family>>,
    dropped: IntCounterVec,
}

struct Family {
    def: &'static MetricDef,
    store: Store,
    series: BTreeSet<Vec<String>>,
}

#[derive(Clone)]
enum Store {
    Counter(IntCounterVec),
    Gauge(IntGaugeVec),
    FloatGauge(GaugeVec),
    Histogram(HistogramVec),
    Pull(PullFamily),
}

/// What a value is stored as; decides the handle that registration gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    Counter,
    Gauge,
    FloatGauge,
    Histogram,
    Pull,
}

impl Registry {
    /// A registry with nothing but its own counter.
    #[must_use]
    pub fn new() -> Self {
        #[expect(
            clippy::expect_used,
            reason = "a constant that the definition's test has checked"
        )]
        let dropped = IntCounterVec::new(SERIES_DROPPED.opts(), SERIES_DROPPED.labels)
            .expect("a valid definition");
        let registry = Registry {
            inner: Arc::new(Inner {
                collectors: prometheus::Registry::new(),
                families: Mutex::new(BTreeMap::new()),
                dropped: dropped.clone(),
            }),
        };
        registry.adopt(&SERIES_DROPPED, dropped);
        registry
    }

    /// The counter of these label values, in the definition's order.
    #[must_use]
    pub fn counter(&self, def: &'static MetricDef, labels: &[&str]) -> Counter {
        match self.series(def, Shape::Counter, labels) {
            Some((Store::Counter(vec), labels)) => vec.get_metric_with_label_values(&labels).ok(),
            _ => None,
        }
        .unwrap_or_else(|| unlinked(def, prometheus::IntCounter::with_opts(def.opts())))
    }

    /// The gauge of these label values, in the definition's order.
    #[must_use]
    pub fn gauge(&self, def: &'static MetricDef, labels: &[&str]) -> Gauge {
        match self.series(def, Shape::Gauge, labels) {
            Some((Store::Gauge(vec), labels)) => vec.get_metric_with_label_values(&labels).ok(),
            _ => None,
        }
        .unwrap_or_else(|| unlinked(def, prometheus::IntGauge::with_opts(def.opts())))
    }

    /// The gauge of these label values, in the definition's order, for numbers that are not whole.
    #[must_use]
    pub fn float_gauge(&self, def: &'static MetricDef, labels: &[&str]) -> FloatGauge {
        match self.series(def, Shape::FloatGauge, labels) {
            Some((Store::FloatGauge(vec), labels)) => {
                vec.get_metric_with_label_values(&labels).ok()
            }
            _ => None,
        }
        .unwrap_or_else(|| unlinked(def, prometheus::Gauge::with_opts(def.opts())))
    }

    /// The histogram of these label values, in the definition's order.
    #[must_use]
    pub fn histogram(&self, def: &'static MetricDef, labels: &[&str]) -> Histogram {
        match self.series(def, Shape::Histogram, labels) {
            Some((Store::Histogram(vec), labels)) => vec.get_metric_with_label_values(&labels).ok(),
            _ => None,
        }
        .unwrap_or_else(|| unlinked(def, prometheus::Histogram::with_opts(def.histogram_opts())))
    }

    /// Asks a closure for a counter's or gauge's number at each scrape, until the returned guard is dropped.
    ///
    /// For numbers that exist anyway, such as a queue's length: counting them twice would cost the hot path. The closure
    /// must be quick and must not register metrics.
    pub fn pull(
        &self,
        def: &'static MetricDef,
        labels: &[&str],
        read: impl Fn() -> f64 + Send + Sync + 'static,
    ) -> Pull {
        let Some((Store::Pull(family), labels)) = self.series(def, Shape::Pull, labels) else {
            return Pull { place: None };
        };
        let id = family.insert(labels.clone(), Box::new(read));
        Pull {
            place: Some((self.clone(), def, labels, id)),
        }
    }

    /// Removes every series that has this label value: a component that is no longer configured disappears.
    pub fn retire(&self, label: &str, value: &str) {
        for family in self.inner.families.lock().values_mut() {
            let Some(index) = family.def.labels.iter().position(|name| *name == label) else {
                continue;
            };
            let store = &family.store;
            family.series.retain(|labels| {
                let stays = labels.get(index).map(String::as_str) != Some(value);
                if !stays {
                    store.remove(labels);
                }
                stays
            });
        }
    }

    /// The definitions registered so far, by name.
    #[must_use]
    pub fn definitions(&self) -> Vec<&'static MetricDef> {
        let families = self.inner.families.lock();
        families.values().map(|family| family.def).collect()
    }

    /// The definition of a name, if it is registered.
    #[must_use]
    pub fn definition(&self, name: &str) -> Option<&'static MetricDef> {
        self.inner
            .families
            .lock()
            .get(name)
            .map(|family| family.def)
    }

    /// The current numbers, by name and label.
    #[must_use]
    pub fn gather(&self) -> Vec<MetricFamily> {
        self.inner.collectors.gather()
    }

    /// Shows a family that counts whether or not there is a registry.
    pub(super) fn adopt(&self, def: &'static MetricDef, vec: IntCounterVec) {
        self.register(def, Box::new(vec.clone()));
        self.inner
            .families
            .lock()
            .entry(def.name)
            .or_insert(Family {
                def,
                store: Store::Counter(vec),
                series: BTreeSet::new(),
            });
    }

    fn register(&self, def: &MetricDef, collector: Box<dyn Collector>) {
        if let Err(error) = self.inner.collectors.register(collector) {
            error!(metric = def.name, %error, "metric not registered");
            debug_assert!(false, "{} was refused: {error}", def.name);
        }
    }

    /// The family of a definition and the label values to use in it; `None` after a mistake of ours.
    fn series(
        &self,
        def: &'static MetricDef,
        shape: Shape,
        labels: &[&str],
    ) -> Option<(Store, Vec<String>)> {
        let mut families = self.inner.families.lock();
        if !families.contains_key(def.name) {
            let store = Store::build(def, shape)?;
            self.register(def, store.collector());
            let series = BTreeSet::new();
            families.insert(def.name, Family { def, store, series });
        }
        let family = families.get_mut(def.name)?;
        let fits = family.store.shape() == shape
            && family.def.help == def.help
            && labels.len() == family.def.labels.len();
        debug_assert!(
            fits,
            "`{}` is registered in two ways, or with {} labels for {:?}",
            def.name,
            labels.len(),
            family.def.labels
        );
        if !fits {
            return None;
        }
        let mut labels: Vec<String> = labels.iter().map(|label| (*label).to_owned()).collect();
        if !family.series.contains(&labels) {
            if family.series.len() < MAX_SERIES {
                family.series.insert(labels.clone());
            } else {
                self.inner.dropped.with_label_values(&[def.name]).inc();
                labels.fill(OTHER.to_owned());
            }
        }
        Some((family.store.clone(), labels))
    }
}

impl Default for Registry {
    fn default() -> Self {
        Self::new()
    }
}

impl Store {
    fn build(def: &'static MetricDef, shape: Shape) -> Option<Store> {
        let wants = match shape {
            Shape::Counter => def.kind == MetricKind::Counter,
            Shape::Gauge | Shape::FloatGauge => def.kind == MetricKind::Gauge,
            Shape::Histogram => def.kind == MetricKind::Histogram,
            Shape::Pull => def.kind != MetricKind::Histogram,
        };
        debug_assert!(wants, "`{}` is a {:?}, not a {shape:?}", def.name, def.kind);
        if !wants {
            return None;
        }
        let built = match shape {
            Shape::Counter => IntCounterVec::new(def.opts(), def.labels).map(Store::Counter),
            Shape::Gauge => IntGaugeVec::new(def.opts(), def.labels).map(Store::Gauge),
            Shape::FloatGauge => GaugeVec::new(def.opts(), def.labels).map(Store::FloatGauge),
            Shape::Histogram => {
                HistogramVec::new(def.histogram_opts(), def.labels).map(Store::Histogram)
            }
            Shape::Pull => PullFamily::build(def).map(Store::Pull),
        };
        debug_assert!(built.is_ok(), "`{}` is not valid", def.name);
        built.ok()
    }

    fn shape(&self) -> Shape {
        match self {
            Store::Counter(_) => Shape::Counter,
            Store::Gauge(_) => Shape::Gauge,
            Store::FloatGauge(_) => Shape::FloatGauge,
            Store::Histogram(_) => Shape::Histogram,
            Store::Pull(_) => Shape::Pull,
        }
    }

    fn collector(&self) -> Box<dyn Collector> {
        match self {
            Store::Counter(vec) => Box::new(vec.clone()),
            Store::Gauge(vec) => Box::new(vec.clone()),
            Store::FloatGauge(vec) => Box::new(vec.clone()),
            Store::Histogram(vec) => Box::new(vec.clone()),
            Store::Pull(family) => Box::new(family.clone()),
        }
    }

    /// Removes a series; one that was never counted may not exist, which is as good.
    fn remove(&self, labels: &[String]) {
        let removed = match self {
            Store::Counter(vec) => vec.remove_label_values(labels),
            Store::Gauge(vec) => vec.remove_label_values(labels),
            Store::FloatGauge(vec) => vec.remove_label_values(labels),
            Store::Histogram(vec) => vec.remove_label_values(labels),
            Store::Pull(family) => {
                family.remove(labels, None);
                Ok(())
            }
        };
        drop(removed);
    }
}

/// Keeps a pulled series alive; dropping it removes the series.
#[must_use = "the series disappears with its guard"]
pub struct Pull {
    place: Option<(Registry, &'static MetricDef, Vec<String>, u64)>,
}

impl Pull {
    /// Keeps the series for as long as the registry lives.
    pub fn keep(mut self) {
        self.place = None;
    }
}

impl Drop for Pull {
    fn drop(&mut self) {
        let Some((registry, def, labels, id)) = self.place.take() else {
            return;
        };
        let mut families = registry.inner.families.lock();
        if let Some(family) = families.get_mut(def.name)
            && let Store::Pull(pulls) = &family.store
            && pulls.remove(&labels, Some(id))
        {
            family.series.remove(&labels);
        }
    }
}

/// A handle that counts and is not shown, after a mistake of ours that has been reported.
#[expect(
    clippy::expect_used,
    reason = "the definition's test has checked name and help"
)]
fn unlinked<T>(def: &MetricDef, handle: prometheus::Result<T>) -> T {
    error!(metric = def.name, "metric counts without being shown");
    handle.expect("a valid definition")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::sync::{AtomicU64, Ordering};

    const SPANS: MetricDef =
        MetricDef::counter("agentguard_test_spans_total", "Spans that a test made.")
            .labels(&["receiver", "transport"]);
    const DEPTH: MetricDef =
        MetricDef::gauge("agentguard_test_depth", "How deep a test is.").labels(&["exporter"]);

    fn values(registry: &Registry, name: &str) -> Vec<f64> {
        let families = registry.gather();
        let family = families.iter().find(|family| family.name() == name);
        family.map_or(Vec::new(), |family| {
            let metrics = family.get_metric().iter();
            metrics
                .map(|metric| metric.get_counter().get_value() + metric.get_gauge().get_value())
                .collect()
        })
    }

    #[test]
    fn two_components_share_a_family_and_have_their_own_series() {
        let registry = Registry::new();
        let first = registry.counter(&SPANS, &["otlp", "grpc"]);
        let second = registry.counter(&SPANS, &["otlp/2", "grpc"]);
        first.inc_by(3);
        second.inc();
        registry.counter(&SPANS, &["otlp", "grpc"]).inc();
        assert_eq!(values(&registry, SPANS.name), [4.0, 1.0]);
        let names: Vec<_> = registry.definitions().iter().map(|def| def.name).collect();
        assert_eq!(names, [SERIES_DROPPED.name, SPANS.name]);
    }

    #[test]
    fn series_are_bounded_and_the_overflow_is_counted() {
        let registry = Registry::new();
        for i in 0..MAX_SERIES + 5 {
            registry.counter(&SPANS, &[&i.to_string(), "grpc"]).inc();
        }
        assert_eq!(values(&registry, SPANS.name).len(), MAX_SERIES + 1);
        assert_eq!(values(&registry, SERIES_DROPPED.name), [5.0]);
    }

    #[test]
    fn what_is_retired_disappears() {
        let registry = Registry::new();
        registry.counter(&SPANS, &["otlp", "grpc"]).inc();
        registry.counter(&SPANS, &["otlp/2", "http"]).inc();
        registry.pull(&DEPTH, &["otlp"], || 1.0).keep();
        registry.retire("receiver", "otlp");
        assert_eq!(values(&registry, SPANS.name).len(), 1);
        assert_eq!(values(&registry, DEPTH.name), [1.0]);
        registry.retire("exporter", "otlp");
        assert!(values(&registry, DEPTH.name).is_empty());
    }

    #[test]
    fn a_pulled_number_is_read_at_the_scrape_and_goes_with_its_guard() {
        let registry = Registry::new();
        let depth = Arc::new(AtomicU64::new(1));
        let reader = Arc::clone(&depth);
        let guard = registry.pull(&DEPTH, &["otlp"], move || {
            reader.load(Ordering::Relaxed) as f64
        });
        assert_eq!(values(&registry, DEPTH.name), [1.0]);
        depth.store(5, Ordering::Relaxed);
        assert_eq!(values(&registry, DEPTH.name), [5.0]);
        let successor = registry.pull(&DEPTH, &["otlp"], || 9.0);
        drop(guard);
        assert_eq!(
            values(&registry, DEPTH.name),
            [9.0],
            "the older guard removes its own only"
        );
        drop(successor);
        assert!(values(&registry, DEPTH.name).is_empty());
    }

    #[test]
    #[should_panic(expected = "registered in two ways")]
    fn a_wrong_number_of_labels_fails_its_test() {
        drop(Registry::new().counter(&SPANS, &["otlp"]));
    }

    #[test]
    fn counting_needs_no_registry_lock() {
        let registry = Registry::new();
        let spans = registry.counter(&SPANS, &["otlp", "grpc"]);
        let held = registry.inner.families.lock();
        spans.inc_by(2);
        drop(held);
        assert_eq!(spans.get(), 2);
    }
}
