//! Reading a Prometheus text page.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use crate::support::wire;

/// One scrape of a process' own metrics.
pub struct Scrape(String);

impl Scrape {
    /// Fetches `/metrics`.
    ///
    /// # Panics
    /// When nothing answers there with 200.
    pub async fn of(address: SocketAddr) -> Self {
        let reply = wire::http(address, wire::Request::get("/metrics")).await;
        assert_eq!(reply.status, 200, "scrape: {}", reply.text());
        Scrape(reply.text())
    }

    /// The sum over all series of a counter or gauge whose labels contain every given `name="value"`; the name is
    /// taken with and without `_total`. Nothing exported yet is 0.
    #[must_use]
    pub fn sum(&self, name: &str, labels: &[&str]) -> f64 {
        let bare = name.strip_suffix("_total").unwrap_or(name);
        self.0
            .lines()
            .filter(|line| !line.starts_with('#'))
            .filter_map(|line| {
                let (series, value) = line.rsplit_once(' ')?;
                let family = series.split('{').next()?;
                let family = family.strip_suffix("_total").unwrap_or(family);
                let matching = family == bare && labels.iter().all(|label| series.contains(label));
                matching.then(|| value.parse::<f64>().ok()).flatten()
            })
            .sum()
    }

    /// The series of one sample name, each with its labels.
    #[must_use]
    pub fn series(&self, name: &str) -> Vec<(BTreeMap<String, String>, f64)> {
        let mut found = Vec::new();
        for line in self.0.lines() {
            let Some(rest) = line
                .strip_prefix(name)
                .and_then(|rest| rest.strip_prefix('{'))
            else {
                continue;
            };
            let (mut labels, rest) = labels(rest);
            // a time or an exemplar may follow
            let value = rest.split_whitespace().next();
            let value = value
                .and_then(|value| value.parse().ok())
                .expect("a number");
            labels.retain(|_, value| !value.is_empty());
            found.push((labels, value));
        }
        found
    }

    /// The samples that must not fall, by series: counters, and histograms with their parts.
    #[must_use]
    pub fn counters(&self) -> BTreeMap<&str, f64> {
        let mut families = BTreeSet::new();
        let mut found = BTreeMap::new();
        for line in self.0.lines() {
            if let Some(family) = line.strip_prefix("# TYPE ") {
                if let Some((name, "counter" | "histogram")) = family.split_once(' ') {
                    families.insert(name);
                }
                continue;
            }
            let name = line.split(['{', ' ']).next().unwrap_or_default();
            let bare = ["_bucket", "_count", "_sum"]
                .iter()
                .find_map(|part| name.strip_suffix(part));
            if families.contains(name) || bare.is_some_and(|bare| families.contains(bare)) {
                let (series, value) = line.rsplit_once(' ').expect("a sample");
                found.insert(series, value.parse().expect("a number"));
            }
        }
        found
    }

    /// The page.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.0
    }
}

/// Reads `name="value",…}` and what follows it.
fn labels(mut rest: &str) -> (BTreeMap<String, String>, &str) {
    let mut labels = BTreeMap::new();
    while let Some((name, quoted)) = rest.split_once("=\"") {
        let (mut value, mut is_escaped) = (String::new(), false);
        let mut end = quoted.len();
        for (at, letter) in quoted.char_indices() {
            match letter {
                _ if is_escaped => value.push(if letter == 'n' { '\n' } else { letter }),
                '\\' => {}
                '"' => {
                    end = at + 1;
                    break;
                }
                _ => value.push(letter),
            }
            is_escaped = letter == '\\' && !is_escaped;
        }
        labels.insert(name.trim_start_matches(',').to_owned(), value);
        rest = &quoted[end..];
        if let Some(after) = rest.strip_prefix('}') {
            return (labels, after);
        }
    }
    (labels, rest)
}
