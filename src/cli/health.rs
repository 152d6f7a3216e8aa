//! `agentguard health`: asks the health extension of a running daemon; a container's `HEALTHCHECK` without a shell.

use super::{Exit, run, terminal};
use anyhow::{Context, bail};
use bytes::Bytes;
use clap::Args;
use http_body_util::{BodyExt, Empty, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use std::time::Duration;

/// Largest answer read, in bytes.
const LIMIT: usize = 64 << 10;

/// `agentguard health`
#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:
  agentguard health                                    exit code 0 if the daemon is well, 1 if not
  agentguard health --url http://127.0.0.1:13133/ready --timeout 1")]
pub struct HealthCommand {
    /// The health extension's address.
    #[arg(long, default_value = "http://127.0.0.1:13133/")]
    url: String,
    /// Seconds to wait for an answer.
    #[arg(long, default_value_t = 3, value_name = "SECONDS")]
    timeout: u64,
}

impl HealthCommand {
    pub(super) fn execute(&self) -> anyhow::Result<Exit> {
        let limit = Duration::from_secs(self.timeout);
        let asked =
            run::runtime()?.block_on(async { tokio::time::timeout(limit, self.ask()).await });
        let Ok(answer) = asked else {
            bail!("`{}` did not answer within {limit:?}", self.url)
        };
        let (is_well, text) = answer?;
        if is_well {
            println!("{text}");
            return Ok(Exit::Done);
        }
        terminal::say(&text);
        Ok(Exit::Failed)
    }

    async fn ask(&self) -> anyhow::Result<(bool, String)> {
        let url = self
            .url
            .parse()
            .with_context(|| format!("`{}` is not an address", self.url))?;
        let client: Client<_, Empty<Bytes>> = Client::builder(TokioExecutor::new()).build_http();
        let response = client
            .get(url)
            .await
            .with_context(|| format!("`{}` does not answer", self.url))?;
        let is_well = response.status().is_success();
        let body = Limited::new(response.into_body(), LIMIT).collect().await;
        let body = body.map(|body| body.to_bytes()).unwrap_or_default();
        Ok((is_well, String::from_utf8_lossy(&body).trim().to_owned()))
    }
}
