//! `debug`: shows requests to a person, as the Collector's exporter of that name does.
//!
//! ```text
//! request ─▶ sampler (per signal and second) ─▶ decode ─▶ page of text ─▶ writer (standard error), one write per page
//! ```
//!
//! **Bounds.** One page at a time is in memory, some ten times its request. It is for looking, not for production: the
//! request is decoded into objects.
//! **Invariants.** Pages of different requests never mix. What cannot be shown is lost on purpose: retrying would show
//! again what was shown.
//! **Not here.** The log (`telemetry`): what is shown may hold anything a span holds.

mod config;
mod detailed;
mod metrics;
mod normal;
mod page;
#[cfg(test)]
mod tests;
mod value;

pub use config::{DebugConfig, Verbosity, configure};

use crate::base::Nanos;
use crate::exporters::debug::page::Page;
use crate::otlp::Signal;
use crate::pipeline::{BoxFuture, Cause, Component, Exporter, Outgoing, Verdict};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use parking_lot::Mutex;
use prost::Message;
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

/// Reads the clock that the shell handed down.
type Now = Box<dyn Fn() -> Nanos + Send + Sync>;

/// The exporter.
pub struct DebugExporter {
    shared: Arc<Shared>,
    clock: Now,
    /// What was seen of each signal in the current second; a few arithmetic steps under the lock.
    samplers: Mutex<[Sampler; Signal::ALL.len()]>,
}

struct Shared {
    id: String,
    config: DebugConfig,
    /// Held for one write of a page, by blocking threads only.
    out: Mutex<Box<dyn Write + Send>>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Sampler {
    second: u64,
    seen: u64,
}

impl Sampler {
    /// Whether the next request of this second is shown.
    fn admit(&mut self, now: Nanos, config: &DebugConfig) -> bool {
        let second = now.0 / 1_000_000_000;
        if second != self.second {
            *self = Sampler { second, seen: 0 };
        }
        self.seen += 1;
        match self.seen.checked_sub(config.sampling_initial) {
            None | Some(0) => true,
            Some(beyond) => {
                config.sampling_thereafter > 0 && beyond.is_multiple_of(config.sampling_thereafter)
            }
        }
    }
}

impl DebugExporter {
    /// An exporter with the id of its section that shows on `out`. The clock stamps lines and counts seconds.
    #[must_use]
    pub fn new(
        id: impl Into<String>,
        config: DebugConfig,
        out: Box<dyn Write + Send>,
        clock: impl Fn() -> Nanos + Send + Sync + 'static,
    ) -> Self {
        DebugExporter {
            shared: Arc::new(Shared {
                id: id.into(),
                config,
                out: Mutex::new(out),
            }),
            clock: Box::new(clock),
            samplers: Mutex::default(),
        }
    }

    fn admits(&self, signal: Signal, now: Nanos) -> bool {
        let mut samplers = self.samplers.lock();
        let sampler = match signal {
            Signal::Traces => &mut samplers[0],
            Signal::Metrics => &mut samplers[1],
            Signal::Logs => &mut samplers[2],
        };
        sampler.admit(now, &self.shared.config)
    }
}

impl Shared {
    fn show(&self, request: &Outgoing, now: Nanos) -> Result<(), Verdict> {
        let page = self.page(request, now).map_err(|error| permanent(&error))?;
        let mut out = self.out.lock();
        out.write_all(page.as_bytes())
            .and_then(|()| out.flush())
            .map_err(|error| permanent(&error))
    }

    fn page(&self, request: &Outgoing, now: Nanos) -> Result<String, prost::DecodeError> {
        let bytes = match request.parts.as_slice() {
            [whole] => whole.clone(),
            parts => parts.concat().into(),
        };
        let mut page = Page::new(&self.id, request.signal, now);
        let verbosity = self.config.verbosity;
        match request.signal {
            Signal::Traces => {
                let request = ExportTraceServiceRequest::decode(bytes)?.resource_spans;
                page.summary(&normal::count_spans(&request));
                match verbosity {
                    Verbosity::Basic => {}
                    Verbosity::Normal => page.body(|page| normal::traces(page, &request)),
                    Verbosity::Detailed => page.body(|page| detailed::traces(page, &request)),
                }
            }
            Signal::Metrics => {
                let request = ExportMetricsServiceRequest::decode(bytes)?.resource_metrics;
                page.summary(&normal::count_metrics(&request));
                match verbosity {
                    Verbosity::Basic => {}
                    Verbosity::Normal => page.body(|page| normal::metrics(page, &request)),
                    Verbosity::Detailed => page.body(|page| metrics::detailed(page, &request)),
                }
            }
            Signal::Logs => {
                let request = ExportLogsServiceRequest::decode(bytes)?.resource_logs;
                page.summary(&normal::count_logs(&request));
                match verbosity {
                    Verbosity::Basic => {}
                    Verbosity::Normal => page.body(|page| normal::logs(page, &request)),
                    Verbosity::Detailed => page.body(|page| detailed::logs(page, &request)),
                }
            }
        }
        Ok(page.into_text())
    }
}

fn permanent(error: &dyn std::error::Error) -> Verdict {
    Verdict::Permanent {
        source: Cause::new(format!("request cannot be shown: {error}")),
    }
}

impl Component for DebugExporter {
    fn shutdown(&self, _deadline: Duration) -> BoxFuture<'_, ()> {
        Box::pin(async {}) // every page was flushed
    }
}

impl Exporter for DebugExporter {
    fn export(&self, request: Outgoing) -> BoxFuture<'_, Result<(), Verdict>> {
        let now = (self.clock)();
        if !self.admits(request.signal, now) {
            return Box::pin(async { Ok(()) });
        }
        let shared = Arc::clone(&self.shared);
        Box::pin(async move {
            // a terminal may be slow, and a page of details takes its time
            tokio::task::spawn_blocking(move || shared.show(&request, now))
                .await
                .unwrap_or_else(|error| Err(permanent(&error)))
        })
    }
}
