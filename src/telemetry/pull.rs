//! Families whose numbers are read at the scrape.

use crate::telemetry::definition::{MetricDef, MetricKind};
use parking_lot::Mutex;
use prometheus::core::{Collector, Desc};
use prometheus::proto::{self, LabelPair, MetricFamily, MetricType};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

type Read = Box<dyn Fn() -> f64 + Send + Sync>;

/// Closures by label values; a [`Collector`] of the registry.
#[derive(Clone)]
pub(super) struct PullFamily {
    def: &'static MetricDef,
    desc: Arc<Desc>,
    /// Held while the closures are asked, at a scrape; they must not come back here.
    entries: Arc<Mutex<Entries>>,
}

#[derive(Default)]
struct Entries {
    next_id: u64,
    by_labels: BTreeMap<Vec<String>, (u64, Read)>,
}

impl PullFamily {
    pub(super) fn build(def: &'static MetricDef) -> prometheus::Result<Self> {
        let labels = def.labels.iter().map(|label| (*label).to_owned()).collect();
        let desc = Desc::new(def.name.into(), def.help.into(), labels, HashMap::new())?;
        Ok(PullFamily {
            def,
            desc: Arc::new(desc),
            entries: Arc::default(),
        })
    }

    /// Adds or replaces the closure of these label values; the id names this one.
    pub(super) fn insert(&self, labels: Vec<String>, read: Read) -> u64 {
        let mut entries = self.entries.lock();
        entries.next_id += 1;
        let id = entries.next_id;
        entries.by_labels.insert(labels, (id, read));
        id
    }

    /// Removes the closure of these label values, if an id is given only that one; says whether it did.
    pub(super) fn remove(&self, labels: &[String], id: Option<u64>) -> bool {
        let mut entries = self.entries.lock();
        let is_it = entries
            .by_labels
            .get(labels)
            .is_some_and(|(found, _)| id.is_none_or(|id| id == *found));
        is_it && entries.by_labels.remove(labels).is_some()
    }
}

impl Collector for PullFamily {
    fn desc(&self) -> Vec<&Desc> {
        vec![&self.desc]
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let entries = self.entries.lock();
        let metrics: Vec<proto::Metric> = entries
            .by_labels
            .iter()
            .map(|(labels, (_, read))| self.metric(labels, read()))
            .collect();
        if metrics.is_empty() {
            return Vec::new();
        }
        let mut family = MetricFamily::default();
        family.set_name(self.def.name.to_owned());
        family.set_help(self.def.help.to_owned());
        family.set_field_type(match self.def.kind {
            MetricKind::Counter => MetricType::COUNTER,
            MetricKind::Gauge | MetricKind::Histogram => MetricType::GAUGE,
        });
        family.set_metric(metrics);
        vec![family]
    }
}

impl PullFamily {
    fn metric(&self, labels: &[String], value: f64) -> proto::Metric {
        let pairs = self.def.labels.iter().zip(labels);
        let mut metric = proto::Metric::from_label(
            pairs
                .map(|(name, value)| {
                    let mut pair = LabelPair::default();
                    pair.set_name((*name).to_owned());
                    pair.set_value(value.clone());
                    pair
                })
                .collect(),
        );
        if self.def.kind == MetricKind::Counter {
            let mut counter = proto::Counter::default();
            counter.set_value(value);
            metric.set_counter(counter);
        } else {
            let mut gauge = proto::Gauge::default();
            gauge.set_value(value);
            metric.set_gauge(gauge);
        }
        metric
    }
}
