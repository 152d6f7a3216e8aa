//! `agentguard replay`: sends recorded requests to an OTLP endpoint, at their own pace or another.

use super::{Exit, run, terminal};
use crate::base::{Nanos, Random};
use crate::config::fragments::{Compression, GrpcClientConfig, HttpClientConfig};
use crate::exporters::otlp::OtlpExporterConfig;
use crate::exporters::otlphttp::OtlpHttpExporterConfig;
use crate::otlp::capture::{self, Record};
use crate::otlp::validate;
use crate::pipeline::{Backoff, Exporter, Outgoing, RetrySettings, Verdict};
use crate::telemetry::{ExporterMetrics, Telemetry};
use anyhow::Context;
use clap::Args;
use std::fs::File;
use std::io::BufReader;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;
use tokio::time::{Instant, sleep_until};

/// How fast to send.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Speed {
    /// So many times as fast as recorded.
    Times(f64),
    /// One after the other without a pause.
    Max,
}

impl FromStr for Speed {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.eq_ignore_ascii_case("max") {
            return Ok(Speed::Max);
        }
        let times = text.trim_end_matches(['x', '×']).parse::<f64>();
        let times = times.ok().filter(|times| times.is_finite() && *times > 0.0);
        times
            .map(Speed::Times)
            .ok_or_else(|| format!("`{text}` is not a speed; write a number above 0, or `max`"))
    }
}

/// `agentguard replay`
#[derive(Clone, Debug, Args)]
#[command(
    after_help = "Examples:\n  agentguard replay capture.otlp --to http://127.0.0.1:4317 --speed 10"
)]
pub struct ReplayCommand {
    /// Captures: length-delimited records (`.otlp`, `.otlp.gz`), OTLP JSON, or JSON lines.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// An OTLP/gRPC endpoint; with a path (`…:4318/v1/traces`), OTLP/HTTP.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:4317")]
    to: String,
    /// How fast, beside the recording: a number, or `max`.
    #[arg(long, default_value = "max")]
    speed: Speed,
}

impl ReplayCommand {
    pub(super) fn execute(&self) -> anyhow::Result<Exit> {
        let mut records = Vec::new();
        for path in &self.files {
            records.extend(read(path)?);
        }
        let sent = run::runtime()?.block_on(send(&self.to, records, self.speed))?;
        terminal::say(&format!(
            "sent {} requests with {} items to {}; {} refused",
            sent.requests, sent.items, self.to, sent.refused
        ));
        Ok(if sent.refused == 0 {
            Exit::Done
        } else {
            Exit::Failed
        })
    }
}

/// All records of a capture.
pub(super) fn read(path: &PathBuf) -> anyhow::Result<Vec<Record>> {
    let file = File::open(path).with_context(|| format!("opening {}", path.display()))?;
    let records: Result<Vec<_>, _> = capture::records(BufReader::new(file)).collect();
    records.with_context(|| format!("reading {}", path.display()))
}

/// What became of a replay.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sent {
    /// Requests that were taken.
    pub(super) requests: u64,
    /// Spans, data points and log records in them.
    pub(super) items: u64,
    /// Requests that were not taken, also not after trying again.
    pub(super) refused: u64,
}

/// Sends records in order, each at its time, and again while the endpoint asks for that.
pub(super) async fn send(to: &str, records: Vec<Record>, speed: Speed) -> anyhow::Result<Sent> {
    let exporter = exporter(to)?;
    let mut sent = Sent::default();
    let started = Instant::now();
    let first = records.first().map_or(Nanos(0), |record| record.arrived);
    let mut random = Random::seeded(first.0);
    for record in records {
        if let Speed::Times(times) = speed {
            sleep_until(started + record.arrived.since(first).div_f64(times)).await;
        }
        let items = u64::from(validate(record.signal, &record.bytes)?);
        let request = Outgoing {
            signal: record.signal,
            parts: vec![record.bytes],
            items,
        };
        match send_one(&*exporter, request, &mut random).await {
            Ok(()) => {
                sent.requests += 1;
                sent.items += items;
            }
            Err(verdict) => {
                terminal::say(&format!("not taken: {verdict}"));
                sent.refused += 1;
            }
        }
    }
    exporter.shutdown(Duration::from_secs(1)).await;
    Ok(sent)
}

pub(super) async fn send_one(
    exporter: &dyn Exporter,
    request: Outgoing,
    random: &mut Random,
) -> Result<(), Verdict> {
    let mut backoff = Backoff::new(RETRY);
    let started = Instant::now();
    loop {
        let verdict = match exporter.export(request.clone()).await {
            Ok(()) => return Ok(()),
            Err(verdict) => verdict,
        };
        let asked = match &verdict {
            Verdict::Permanent { .. } => return Err(verdict),
            Verdict::Retry { after, .. } => *after,
            Verdict::Refused { after, .. } => Some(*after),
        };
        let Some(wait) = backoff.next(asked, started.elapsed(), random) else {
            return Err(verdict);
        };
        tokio::time::sleep(wait).await;
    }
}

/// How a refused request is tried again: soon, and not for ever.
const RETRY: RetrySettings = RetrySettings {
    enabled: true,
    initial_interval: Duration::from_millis(200),
    max_interval: Duration::from_secs(5),
    max_elapsed_time: Duration::from_secs(30),
    multiplier: 1.5,
    randomization_factor: 0.5,
};

/// A client for the endpoint: HTTP where the address has a path, gRPC otherwise.
pub(super) fn exporter(to: &str) -> anyhow::Result<Box<dyn Exporter>> {
    let telemetry = Telemetry::new();
    let metrics = ExporterMetrics::new(&telemetry, "replay");
    let rest = to.split_once("://").map_or(to, |(_, rest)| rest);
    let path = rest.split_once('/').map_or("", |(_, path)| path);
    if path.is_empty() {
        let endpoint = to.trim_end_matches('/').to_owned();
        let client = GrpcClientConfig {
            endpoint,
            compression: Compression::None,
            ..GrpcClientConfig::default()
        };
        let config = OtlpExporterConfig {
            client,
            ..OtlpExporterConfig::default()
        };
        return Ok(Box::new(config.exporter(metrics)?));
    }
    // a signal's own path is cut: the exporter puts it behind the base
    let base = ["/v1/traces", "/v1/metrics", "/v1/logs"]
        .iter()
        .find_map(|path| to.strip_suffix(path));
    let endpoint = base.unwrap_or(to).to_owned();
    let client = HttpClientConfig {
        endpoint,
        compression: Compression::None,
        ..HttpClientConfig::default()
    };
    let config = OtlpHttpExporterConfig {
        client,
        ..OtlpHttpExporterConfig::default()
    };
    Ok(Box::new(
        config.exporter(metrics, telemetry.clock().clone())?,
    ))
}
