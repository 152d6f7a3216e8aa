//! Reading a Prometheus text page.

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

    /// The page.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.0
    }
}
