//! Puts a namespace before the names of an exposition, and constant labels on its samples.
//!
//! The text comes from our own writer, so a line's beginning tells all: a comment names its family third, a sample begins
//! with its name, which ends at `{` or a space.

use std::collections::BTreeMap;
use std::fmt::Write;

/// What to add.
#[derive(Debug)]
pub(super) struct Labeller {
    /// With its `_`; empty for none.
    prefix: String,
    /// `name="value",…` without braces; empty for none.
    labels: String,
}

impl Labeller {
    pub(super) fn new(namespace: &str, labels: &BTreeMap<String, String>) -> Self {
        let mut text = String::new();
        for (name, value) in labels {
            let escaped = value
                .replace('\\', "\\\\")
                .replace('"', "\\\"")
                .replace('\n', "\\n");
            let comma = if text.is_empty() { "" } else { "," };
            // a String takes any text
            write!(text, "{comma}{name}=\"{escaped}\"").unwrap_or_default();
        }
        Labeller {
            prefix: if namespace.is_empty() {
                String::new()
            } else {
                format!("{namespace}_")
            },
            labels: text,
        }
    }

    /// Whether there is nothing to add.
    pub(super) fn is_idle(&self) -> bool {
        self.prefix.is_empty() && self.labels.is_empty()
    }

    /// Appends the text with what is to be added.
    pub(super) fn write(&self, text: &str, out: &mut String) {
        out.reserve(text.len() + text.len() / 8);
        for line in text.split_inclusive('\n') {
            if let Some(comment) = line.strip_prefix("# ") {
                match comment.split_once(' ') {
                    Some((word, rest)) => out.extend(["# ", word, " ", &self.prefix, rest]),
                    None => out.push_str(line),
                }
                continue;
            }
            let end = line.find(['{', ' ']).unwrap_or(line.len());
            let (name, rest) = line.split_at(end);
            out.extend([&self.prefix, name]);
            if self.labels.is_empty() {
                out.push_str(rest);
                continue;
            }
            match rest.strip_prefix('{') {
                Some(own) if own.starts_with('}') => out.extend(["{", &self.labels, own]),
                Some(own) => out.extend(["{", &self.labels, ",", own]),
                None => out.extend(["{", &self.labels, "}", rest]),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# TYPE calls counter\n# HELP calls Calls { of } all.\n\
        calls_total{a=\"{x} y\"} 5 # {trace_id=\"01\"} 1\ncalls_total 7\n";

    #[test]
    fn names_and_labels_are_added_to_every_sample_and_nowhere_else() {
        let labels = BTreeMap::from([
            ("team".to_owned(), "a\"b\\c\nd".to_owned()),
            ("env".to_owned(), "prod".to_owned()),
        ]);
        let mut out = String::new();
        Labeller::new("ns", &labels).write(TEXT, &mut out);
        assert_eq!(
            out,
            "# TYPE ns_calls counter\n# HELP ns_calls Calls { of } all.\n\
             ns_calls_total{env=\"prod\",team=\"a\\\"b\\\\c\\nd\",a=\"{x} y\"} 5 # {trace_id=\"01\"} 1\n\
             ns_calls_total{env=\"prod\",team=\"a\\\"b\\\\c\\nd\"} 7\n"
        );
    }

    #[test]
    fn a_namespace_alone_leaves_labels_as_they_are() {
        let mut out = String::new();
        Labeller::new("ns", &BTreeMap::new()).write("up 1\n", &mut out);
        assert_eq!(out, "ns_up 1\n");
    }
}
