//! Where families are written, whatever the form: a text that is asked for, or OTLP that is sent. One writer of families
//! serves both, so that both show the same.

use crate::base::{Nanos, TraceId};
use crate::telemetry::{Exposition, Labels, MetricDef};
use std::time::Duration;

/// A distribution: how many calls took no longer than each bound.
pub(super) struct Spread<'a> {
    /// Ascending.
    pub(super) bounds: &'a [Duration],
    /// As many as bounds, none less than the one before.
    pub(super) within: &'a [i64],
    /// All calls, and their time.
    pub(super) calls: i64,
    pub(super) lasted_ns: i64,
}

/// Takes whole families, one after the other.
pub(super) trait Families {
    /// Begins a family; its samples follow.
    fn family(&mut self, def: &'static MetricDef);

    /// Writes how something is now. What is no number is left out.
    fn gauge(&mut self, def: &'static MetricDef, labels: Labels<'_>, value: f64);

    /// Writes a sum that counts since a moment, with a trace that shows one of what it counts.
    fn counter(
        &mut self,
        def: &'static MetricDef,
        labels: Labels<'_>,
        value: f64,
        since: Nanos,
        example: TraceId,
    );

    /// Writes a distribution that counts since a moment.
    fn histogram(
        &mut self,
        def: &'static MetricDef,
        labels: Labels<'_>,
        spread: &Spread<'_>,
        since: Nanos,
    );
}

impl Families for Exposition<'_> {
    fn family(&mut self, def: &'static MetricDef) {
        Exposition::family(self, def);
    }

    fn gauge(&mut self, def: &'static MetricDef, labels: Labels<'_>, value: f64) {
        if value.is_finite() {
            self.sample(def, labels, value);
        }
    }

    fn counter(
        &mut self,
        def: &'static MetricDef,
        labels: Labels<'_>,
        value: f64,
        _since: Nanos,
        example: TraceId,
    ) {
        self.counter_with_trace(def, labels, value, example);
    }

    fn histogram(
        &mut self,
        def: &'static MetricDef,
        labels: Labels<'_>,
        spread: &Spread<'_>,
        _since: Nanos,
    ) {
        let bounds = spread.bounds.iter().map(Duration::as_secs_f64);
        let within = spread.within.iter().map(|calls| whole(*calls));
        // a series that shows 0 first has no buckets of its own yet
        let buckets = bounds.zip(within.chain(std::iter::repeat(0)));
        let seconds = number(spread.lasted_ns) / 1e9;
        Exposition::histogram(self, def, labels, buckets, seconds, whole(spread.calls));
    }
}

/// A count as the number of a sample.
#[expect(clippy::cast_precision_loss, reason = "a metric's number is a double")]
pub(super) fn number(n: i64) -> f64 {
    n as f64
}

/// A count that cannot be negative.
pub(super) fn whole(n: i64) -> u64 {
    u64::try_from(n).unwrap_or(0)
}
