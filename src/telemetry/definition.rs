//! What a metric is: one definition each, from which registration, exposition and the documentation's table are made.

use prometheus::{HistogramOpts, Opts};

/// What a metric's numbers mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricKind {
    /// Only grows while the process runs.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Observations counted by upper bound.
    Histogram,
}

impl MetricKind {
    /// The word of both text formats.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            MetricKind::Counter => "counter",
            MetricKind::Gauge => "gauge",
            MetricKind::Histogram => "histogram",
        }
    }
}

/// What one of a metric's numbers counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Things that the name says: spans, requests, tasks.
    Things,
    /// Seconds; the name ends in `_seconds`.
    Seconds,
    /// Bytes; the name ends in `_bytes`.
    Bytes,
    /// From 0 to 1; the name ends in `_ratio`.
    Ratio,
}

impl Unit {
    /// The unit as a name's last word; things have none.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Unit::Things => "",
            Unit::Seconds => "seconds",
            Unit::Bytes => "bytes",
            Unit::Ratio => "ratio",
        }
    }
}

/// The definition of a metric: a constant in its component's `metrics.rs`, and the only place where its name is written.
#[derive(Clone, Copy, Debug)]
pub struct MetricDef {
    /// The name as scraped in the classic format; a counter's ends in `_total`.
    pub name: &'static str,
    /// What it tells, one sentence.
    pub help: &'static str,
    /// What its numbers mean.
    pub kind: MetricKind,
    /// What one of them counts.
    pub unit: Unit,
    /// Label names, in the order in which registration gives their values.
    pub labels: &'static [&'static str],
    /// Upper bounds of a histogram's buckets, ascending, without infinity.
    pub buckets: &'static [f64],
}

impl MetricDef {
    /// A counter of things without labels.
    #[must_use]
    pub const fn counter(name: &'static str, help: &'static str) -> Self {
        Self::of(MetricKind::Counter, name, help)
    }

    /// A gauge of things without labels.
    #[must_use]
    pub const fn gauge(name: &'static str, help: &'static str) -> Self {
        Self::of(MetricKind::Gauge, name, help)
    }

    /// A histogram with these upper bounds.
    #[must_use]
    pub const fn histogram(
        name: &'static str,
        help: &'static str,
        buckets: &'static [f64],
    ) -> Self {
        let mut def = Self::of(MetricKind::Histogram, name, help);
        def.buckets = buckets;
        def
    }

    const fn of(kind: MetricKind, name: &'static str, help: &'static str) -> Self {
        MetricDef {
            name,
            help,
            kind,
            unit: Unit::Things,
            labels: &[],
            buckets: &[],
        }
    }

    /// The same with labels.
    #[must_use]
    pub const fn labels(mut self, labels: &'static [&'static str]) -> Self {
        self.labels = labels;
        self
    }

    /// The same in a unit.
    #[must_use]
    pub const fn unit(mut self, unit: Unit) -> Self {
        self.unit = unit;
        self
    }

    /// What is wrong with it by our naming rules; empty when nothing is.
    #[must_use]
    pub fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        let mut check = |holds: bool, what: &str| {
            if !holds {
                problems.push(format!("`{}`: {what}", self.name));
            }
        };
        let is_word = |text: &str| {
            text.starts_with(|c: char| c.is_ascii_lowercase())
                && text
                    .bytes()
                    .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
        };
        let prefixes = ["agentguard_", "otelcol_", "traces_"];
        check(
            prefixes.iter().any(|prefix| self.name.starts_with(prefix)),
            "a name starts with `agentguard_`, or with `otelcol_` or `traces_` where the field has the name",
        );
        check(is_word(self.name), "a name is lower_snake_case");
        let base = self.name.strip_suffix("_total");
        check(
            base.is_some() == (self.kind == MetricKind::Counter),
            "counters and only counters end in `_total`",
        );
        let base = base.unwrap_or(self.name);
        let reserved = ["_count", "_sum", "_bucket", "_created"];
        check(
            !reserved.iter().any(|suffix| base.ends_with(suffix)),
            "the endings `_count`, `_sum`, `_bucket`, `_created` are the formats' own",
        );
        check(
            base.ends_with(self.unit.as_str()),
            "a name ends in its unit",
        );
        check(
            self.help.ends_with('.') && self.help.len() > 10,
            "the help is a sentence",
        );
        check(
            self.labels.iter().all(|label| is_word(label)),
            "labels are lower_snake_case",
        );
        check(
            !self
                .labels
                .iter()
                .any(|label| ["le", "quantile"].contains(label)),
            "`le` and `quantile` are the formats' own labels",
        );
        check(
            self.buckets.is_sorted_by(|a, b| a < b)
                && self.buckets.is_empty() != (self.kind == MetricKind::Histogram),
            "a histogram and only a histogram has buckets, ascending",
        );
        problems
    }

    pub(super) fn opts(&self) -> Opts {
        Opts::new(self.name, self.help)
    }

    pub(super) fn histogram_opts(&self) -> HistogramOpts {
        HistogramOpts::new(self.name, self.help).buckets(self.buckets.to_vec())
    }
}

/// A markdown table of definitions, for the documentation's page of metrics.
#[must_use]
pub fn markdown_table(definitions: &[&MetricDef]) -> String {
    let mut table = String::from("| metric | type | labels | meaning |\n|---|---|---|---|\n");
    for def in definitions {
        let labels: Vec<String> = def
            .labels
            .iter()
            .map(|label| format!("`{label}`"))
            .collect();
        let help = def.help.replace('|', "\\|");
        table.push_str(&format!(
            "| `{}` | {} | {} | {help} |\n",
            def.name,
            def.kind.as_str(),
            labels.join(", "),
        ));
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_good_definition_has_no_problems() {
        const GOOD: MetricDef = MetricDef::histogram(
            "agentguard_tick_duration_seconds",
            "How long a tick took.",
            &[0.001, 0.1],
        )
        .unit(Unit::Seconds);
        assert!(GOOD.problems().is_empty(), "{:?}", GOOD.problems());
    }

    #[test]
    fn each_naming_rule_finds_its_mistake() {
        let bad = [
            (
                MetricDef::gauge("queue_size", "Size of a queue."),
                "starts with",
            ),
            (
                MetricDef::counter("agentguard_spans", "Spans that were seen."),
                "_total",
            ),
            (
                MetricDef::gauge("agentguard_spans_total", "Spans that were seen."),
                "_total",
            ),
            (
                MetricDef::gauge("agentguard_Spans", "Spans that were seen."),
                "snake",
            ),
            (
                MetricDef::gauge("agentguard_spans_count", "Spans that were seen."),
                "own",
            ),
            (
                MetricDef::gauge("agentguard_wait", "How long it waits.").unit(Unit::Seconds),
                "unit",
            ),
            (MetricDef::gauge("agentguard_spans", "Spans"), "sentence"),
            (
                MetricDef::gauge("agentguard_spans", "Spans that were seen.").labels(&["le"]),
                "own labels",
            ),
            (
                MetricDef::gauge("agentguard_spans", "Spans that were seen.").labels(&["a-b"]),
                "labels are",
            ),
            (
                MetricDef::histogram("agentguard_spans", "Spans that were seen.", &[2.0, 1.0]),
                "ascending",
            ),
            (
                MetricDef::histogram("agentguard_spans", "Spans that were seen.", &[]),
                "ascending",
            ),
        ];
        for (def, expected) in bad {
            let problems = def.problems();
            assert_eq!(problems.len(), 1, "{problems:?}");
            assert!(
                problems[0].contains(expected),
                "{problems:?} lacks {expected}"
            );
        }
    }

    #[test]
    fn definitions_make_a_table() {
        const SPANS: MetricDef =
            MetricDef::counter("agentguard_spans_total", "Spans | seen.").labels(&["a", "b"]);
        assert_eq!(
            markdown_table(&[&SPANS]).lines().last(),
            Some("| `agentguard_spans_total` | counter | `a`, `b` | Spans \\| seen. |")
        );
    }
}
