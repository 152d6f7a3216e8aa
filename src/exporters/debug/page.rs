//! A page of text: lines, headings, times.

use crate::base::Nanos;
use crate::exporters::civil::Civil;
use crate::exporters::debug::value::{Typed, hex};
use crate::otlp::Signal;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use serde_json::{Map, Value};
use std::fmt::{self, Write as _};

/// Text in the making, stamped as the Collector's console log is.
pub(super) struct Page {
    text: String,
    stamp: String,
    signal: Signal,
    /// Fields that every entry ends with.
    fields: Map<String, Value>,
}

impl Page {
    /// An empty page of an exporter's.
    pub(super) fn new(id: &str, signal: Signal, now: Nanos) -> Self {
        let c = Civil::of(now);
        let fields = [
            ("otelcol.component.id", id),
            ("otelcol.component.kind", "exporter"),
            ("otelcol.signal", signal.as_str()),
        ];
        Page {
            text: String::new(),
            stamp: format!(
                "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z\tinfo\t",
                c.year,
                c.month,
                c.day,
                c.hour,
                c.minute,
                c.second,
                c.nanos / 1_000_000
            ),
            signal,
            fields: fields
                .into_iter()
                .map(|(key, value)| (key.to_owned(), value.into()))
                .collect(),
        }
    }

    /// The entry that says how much there is.
    pub(super) fn summary(&mut self, counts: &[(&str, usize)]) {
        let what = match self.signal {
            Signal::Traces => "Traces",
            Signal::Metrics => "Metrics",
            Signal::Logs => "Logs",
        };
        let mut fields = self.fields.clone();
        for (what, count) in counts {
            fields.insert((*what).to_owned(), (*count).into());
        }
        let stamp = self.stamp.clone();
        self.line(format_args!("{stamp}{what}\t{}", spaced(&fields)));
    }

    /// The entry that shows what there is.
    pub(super) fn body(&mut self, show: impl FnOnce(&mut Page)) {
        self.text.push_str(&self.stamp);
        show(self);
        let fields = spaced(&self.fields);
        self.line(format_args!("\t{fields}"));
    }

    /// One line.
    pub(super) fn line(&mut self, line: fmt::Arguments<'_>) {
        let written = self.text.write_fmt(line);
        debug_assert!(written.is_ok(), "a String takes every write");
        self.text.push('\n');
    }

    /// A field of a span or log record.
    pub(super) fn field(&mut self, name: &str, value: impl fmt::Display) {
        self.line(format_args!("    {name:<15}: {value}"));
    }

    /// A field below something numbered.
    pub(super) fn item(&mut self, name: &str, value: impl fmt::Display) {
        self.line(format_args!("     -> {name}: {value}"));
    }

    /// Attributes under a heading, unless there are none. `indent` stands before heading and attributes.
    pub(super) fn attributes(&mut self, indent: &str, heading: &str, attributes: &[KeyValue]) {
        if attributes.is_empty() {
            return;
        }
        self.line(format_args!("{heading}:"));
        for attribute in attributes {
            let value = Typed(attribute.value.as_ref());
            self.line(format_args!("{indent}     -> {}: {value}", attribute.key));
        }
    }

    /// A field with an id.
    pub(super) fn id(&mut self, name: &str, id: &[u8]) {
        self.field(name, hex(id));
    }

    /// The whole text. Control characters that a sender may have put into it are shown, not sent to the terminal.
    pub(super) fn into_text(self) -> String {
        let is_unsafe = |c: char| c.is_control() && c != '\n' && c != '\t';
        if !self.text.contains(is_unsafe) {
            return self.text;
        }
        self.text
            .chars()
            .flat_map(|c| {
                let escaped = is_unsafe(c).then(|| c.escape_default());
                let plain = escaped.is_none().then_some(c);
                plain.into_iter().chain(escaped.into_iter().flatten())
            })
            .collect()
    }
}

/// JSON on one line with a space after each `:` and `,`, as zap writes it.
fn spaced(fields: &Map<String, Value>) -> String {
    let fields: Vec<String> = fields
        .iter()
        .map(|(key, value)| format!("{}: {value}", Value::from(key.as_str())))
        .collect();
    format!("{{{}}}", fields.join(", "))
}

/// A moment as Go prints it: no trailing zeros in the fraction.
pub(super) fn moment(unix_nanos: u64) -> String {
    let c = Civil::of(Nanos(unix_nanos));
    let fraction = match c.nanos {
        0 => String::new(),
        nanos => format!(".{nanos:09}").trim_end_matches('0').to_owned(),
    };
    format!(
        "{:04}-{:02}-{:02} {:02}:{:02}:{:02}{fraction} +0000 UTC",
        c.year, c.month, c.day, c.hour, c.minute, c.second
    )
}
