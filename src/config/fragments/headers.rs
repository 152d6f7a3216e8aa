//! `headers`: what is sent with each request, or answer.

use crate::base::{Problems, Secret};
use crate::config::Section;
use serde::de::{MapAccess, SeqAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

/// Names and values in the order written. As in the Collector a map, or a list of `{name, value}`; values are secrets.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Headers(Vec<(String, Secret)>);

impl Headers {
    /// Names, in lower case as HTTP/2 wants them, and values.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Secret)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Checks that each can be sent; `at` is the `headers` section.
    pub fn validate(&self, at: &Section<'_>, problems: &mut Problems) {
        for (i, (name, value)) in self.0.iter().enumerate() {
            let by_name = at
                .entries()
                .find(|(key, _)| key.eq_ignore_ascii_case(name))
                .map(|(_, s)| s);
            let place = by_name
                .or_else(|| at.items().nth(i))
                .map_or(at.place().clone(), |s| s.place().clone());
            if !is_name(name) {
                let message = format!("`{}` cannot be the name of a header", name.escape_debug());
                problems.error(
                    place,
                    message,
                    "letters, digits and a few signs such as `-`",
                );
            } else if OURS.contains(&name.as_str()) {
                let message = format!("`{name}` is set by the protocol");
                problems.error(place, message, "leave it out");
            } else if value.expose().chars().any(|c| c.is_control() && c != '\t') {
                let message = format!("the value of `{name}` has a control character");
                problems.error(place, message, "is there a line break at its end?");
            } else if self.0.iter().take(i).any(|(other, _)| other == name) {
                problems.error(
                    place,
                    format!("`{name}` is written twice"),
                    "keep one of the two",
                );
            }
        }
    }
}

/// Headers whose value follows from the request.
const OURS: [&str; 6] = [
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "te",
    "transfer-encoding",
];

/// A token of RFC 9110, section 5.6.2.
fn is_name(name: &str) -> bool {
    let letter = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    !name.is_empty() && name.chars().all(letter)
}

impl Serialize for Headers {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in &self.0 {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Headers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(MapOrList)
    }
}

struct MapOrList;

#[derive(Default, Deserialize)]
#[serde(default)]
struct Header {
    name: String,
    value: Secret,
}

impl<'de> Visitor<'de> for MapOrList {
    type Value = Headers;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("headers as `name: value`, or a list of them")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Headers, A::Error> {
        let mut headers = Vec::new();
        while let Some((name, value)) = map.next_entry::<String, Secret>()? {
            headers.push((name.to_ascii_lowercase(), value));
        }
        Ok(Headers(headers))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Headers, A::Error> {
        let mut headers = Vec::new();
        while let Some(Header { name, value }) = list.next_element()? {
            headers.push((name.to_ascii_lowercase(), value));
        }
        Ok(Headers(headers))
    }
}
