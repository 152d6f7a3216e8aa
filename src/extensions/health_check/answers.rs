//! From a health report to an HTTP answer.

use super::config::HealthCheckConfig;
use crate::base::Nanos;
use crate::telemetry::Health;
use crate::telemetry::health::{Answer, Report};
use crate::telemetry::server::{Answering, Pages, answer, not_found};
use bytes::Bytes;
use hyper::{Request, Response, StatusCode};
use serde_json::json;
use std::time::Duration;

const JSON: &str = "application/json";

/// The extension's pages.
pub(super) struct HealthPages {
    config: HealthCheckConfig,
    health: Health,
}

impl HealthPages {
    pub(super) fn new(config: HealthCheckConfig, health: Health) -> Self {
        HealthPages { config, health }
    }

    fn respond(&self, path: &str, query: &str) -> Response<Bytes> {
        let report = self.health.report();
        match path {
            path if path == self.config.path => self.available(&report),
            "/live" => yes_or_no(&report.live()),
            "/ready" => yes_or_no(&report.ready()),
            "/status" => status(&report, is_verbose(query)),
            // the Collector's default path answers on every path
            _ if self.config.path == "/" => self.available(&report),
            _ => not_found(),
        }
    }

    /// The Collector's answer.
    fn available(&self, report: &Report) -> Response<Bytes> {
        let available = report.available();
        let code = code(&available);
        if let Some(body) = &self.config.response_body {
            let text = if available.is_yes() {
                &body.healthy
            } else {
                &body.unhealthy
            };
            return answer(code, "text/plain; charset=utf-8", text.clone());
        }
        let mut body = if available.is_yes() {
            json!({
                "status": "Server available",
                "upSince": report.up_since.map_or_else(never, rfc3339),
                "uptime": go_duration(report.uptime),
            })
        } else {
            json!({"status": "Server not available", "upSince": never(), "uptime": ""})
        };
        if !available.is_yes() {
            body["causes"] = json!(available.causes);
        }
        answer(code, JSON, body.to_string())
    }
}

impl Pages for HealthPages {
    fn page<'a>(&'a self, request: &'a Request<()>) -> Answering<'a> {
        let uri = request.uri();
        let response = self.respond(uri.path(), uri.query().unwrap_or_default());
        Box::pin(std::future::ready(response))
    }
}

fn code(answer: &Answer) -> StatusCode {
    if answer.is_yes() {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    }
}

fn yes_or_no(it: &Answer) -> Response<Bytes> {
    let body = json!({"ok": it.is_yes(), "causes": it.causes});
    answer(code(it), JSON, body.to_string())
}

fn status(report: &Report, verbose: bool) -> Response<Bytes> {
    let part = |it: Answer| json!({"ok": it.is_yes(), "causes": it.causes});
    let available = report.available();
    let code = code(&available);
    let mut body = json!({
        "phase": report.phase,
        "up_since": report.up_since.map(rfc3339),
        "uptime_seconds": report.uptime.as_secs_f64(),
        "available": part(available),
        "live": part(report.live()),
        "ready": part(report.ready()),
    });
    if verbose {
        body["rows"] = json!(report.rows);
    }
    answer(code, JSON, body.to_string())
}

/// `?verbose`, alone or with a value other than `false` or `0`.
fn is_verbose(query: &str) -> bool {
    query
        .split('&')
        .map(|pair| pair.split_once('=').unwrap_or((pair, "true")))
        .any(|(key, value)| key == "verbose" && !["false", "0"].contains(&value))
}

/// Go's zero time, which the Collector answers before it is up.
fn never() -> String {
    "0001-01-01T00:00:00Z".into()
}

/// A time in UTC as RFC 3339 with nanoseconds. The date is Hinnant's `civil_from_days`, for days since 1970.
fn rfc3339(time: Nanos) -> String {
    let (seconds, nanos) = (time.0 / 1_000_000_000, time.0 % 1_000_000_000);
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    // years begin in March, eras have 400 years
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{nanos:09}Z")
}

/// A duration as Go prints it: `1h2m3.5s`.
fn go_duration(duration: Duration) -> String {
    let whole = duration.as_secs();
    let (hours, minutes) = (whole / 3_600, whole / 60 % 60);
    let nanos = duration.subsec_nanos();
    let mut seconds = format!("{}.{nanos:09}", whole % 60);
    seconds.truncate(seconds.trim_end_matches('0').trim_end_matches('.').len());
    match (hours, minutes) {
        (0, 0) => format!("{seconds}s"),
        (0, _) => format!("{minutes}m{seconds}s"),
        _ => format!("{hours}h{minutes}m{seconds}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_go_writes_them() {
        let cases = [
            (0, "1970-01-01T00:00:00.000000000Z"),
            (951_782_400_000_000_000, "2000-02-29T00:00:00.000000000Z"),
            (1_700_000_000_123_456_789, "2023-11-14T22:13:20.123456789Z"),
            (4_107_542_399_000_000_000, "2100-02-28T23:59:59.000000000Z"),
            (4_107_542_400_000_000_000, "2100-03-01T00:00:00.000000000Z"),
        ];
        for (nanos, expected) in cases {
            assert_eq!(rfc3339(Nanos(nanos)), expected);
        }
        let spans = [
            (Duration::ZERO, "0s"),
            (Duration::from_millis(1_500), "1.5s"),
            (Duration::from_secs(60), "1m0s"),
            (Duration::from_secs(36_000), "10h0m0s"),
            (Duration::from_secs(3_723), "1h2m3s"),
        ];
        for (duration, expected) in spans {
            assert_eq!(go_duration(duration), expected);
        }
    }

    #[test]
    fn verbose_is_asked_for_in_any_spelling() {
        assert!(
            ["verbose", "a=b&verbose=true", "verbose="]
                .into_iter()
                .all(is_verbose)
        );
        assert!(
            !["", "verbose=false", "verbose=0", "verbosely"]
                .into_iter()
                .any(is_verbose)
        );
    }
}
