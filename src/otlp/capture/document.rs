//! JSON documents behind one another: where each ends, and what it carries.

use crate::otlp::Signal;
use serde::de::{Deserializer as _, Error as _, IgnoredAny, MapAccess, Visitor};
use std::fmt;

/// Follows brackets and quotes to a document's last byte. Takes bytes in any pieces.
#[derive(Debug, Default)]
pub(super) struct Extent {
    depth: usize,
    is_quoted: bool,
    is_escaped: bool,
}

impl Extent {
    /// How many of these bytes belong to the document, if it ends among them.
    pub(super) fn feed(&mut self, bytes: &[u8]) -> Option<usize> {
        for (index, byte) in bytes.iter().enumerate() {
            match byte {
                _ if self.is_escaped => self.is_escaped = false,
                b'\\' if self.is_quoted => self.is_escaped = true,
                b'"' => self.is_quoted = !self.is_quoted,
                _ if self.is_quoted => {}
                b'{' | b'[' => self.depth += 1,
                b'}' | b']' => {
                    self.depth = self.depth.saturating_sub(1);
                    if self.depth == 0 {
                        return Some(index + 1);
                    }
                }
                _ => {}
            }
        }
        None
    }
}

/// What a document carries, by the first of its keys that says so.
pub(super) fn signal_of(text: &[u8]) -> Option<Signal> {
    let mut found = None;
    let mut reader = serde_json::Deserializer::from_slice(text);
    // stops with an error as soon as it knows; other errors are json::decode's to tell
    reader.deserialize_map(TopKeys(&mut found)).ok();
    found
}

struct TopKeys<'f>(&'f mut Option<Signal>);

impl<'de> Visitor<'de> for TopKeys<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<(), A::Error> {
        while let Some(key) = object.next_key::<String>()? {
            *self.0 = match key.as_str() {
                "resourceSpans" | "resource_spans" => Some(Signal::Traces),
                "resourceMetrics" | "resource_metrics" => Some(Signal::Metrics),
                "resourceLogs" | "resource_logs" => Some(Signal::Logs),
                _ => None,
            };
            if self.0.is_some() {
                return Err(A::Error::custom("found"));
            }
            object.next_value::<IgnoredAny>()?;
        }
        Ok(())
    }
}
