//! `agentguard replay`: sends recorded requests to an OTLP endpoint, at their own pace or another.

use super::{Exit, run, terminal};
use crate::otlp::capture::{self, Record};
use crate::otlp::{Signal, validate};
use anyhow::{Context, bail};
use bytes::Bytes;
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
        times.map(Speed::Times).ok_or_else(|| format!("`{text}` is not a speed; write a number above 0, or `max`"))
    }
}

/// `agentguard replay`
#[derive(Clone, Debug, Args)]
#[command(after_help = "Example:\n  agentguard replay capture.otlp --to http://127.0.0.1:4317 --speed 10")]
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
        Ok(if sent.refused == 0 { Exit::Done } else { Exit::Failed })
    }
}

/// All records of a capture.
pub(super) fn read(path: &PathBuf) -> anyhow::Result<Vec<Record>> {
    let file = File::open(path).with_context(|| format!("opening {}", path.display()))?;
    let records: Result<Vec<_>, _> = capture::records(BufReader::new(file)).collect();
    records.with_context(|| format!("reading {}", path.display()))
}
