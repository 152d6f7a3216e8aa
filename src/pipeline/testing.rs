//! Scripted neighbours: an exporter that answers as told, and a queue before it, on a clock that tests move.
//!
//! **Not here.** Sockets, configuration: `tests/` runs the built binary for that.

use crate::otlp::Signal;
use crate::pipeline::{
    Batch, BatchSettings, BatchSizer, BoxFuture, Cause, Completion, Component, Consumer, Delivery,
    DeliveryComponent, DeliverySettings, Exporter, Outgoing, Queue, QueueSettings, Reservation,
    RetrySettings, Sizer, Verdict,
};
use crate::telemetry::task::Tasks;
use crate::telemetry::{Clock, ExporterMetrics, Format, Telemetry, scrape};
use bytes::Bytes;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use parking_lot::Mutex;
use prost::Message;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// What the scripted exporter does with a request.
#[derive(Clone, Debug)]
pub(super) enum Act {
    /// Takes it.
    Take,
    /// Takes it after so long.
    TakeAfter(Duration),
    /// Answers with this verdict.
    Fail(Verdict),
    /// Never answers.
    Hang,
    /// Panics.
    Panic,
}

/// A request that the exporter was asked to send.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    /// When.
    pub(super) at: Instant,
    /// What.
    pub(super) request: Outgoing,
}

impl Asked {
    /// The names of its spans, in order.
    pub(super) fn names(&self) -> Vec<String> {
        names(&self.request.parts.concat())
    }
}

/// Does what the script says, then takes everything, or what `afterwards` says.
pub(super) struct ScriptedExporter {
    script: Mutex<VecDeque<Act>>,
    afterwards: Mutex<Act>,
    asked: Mutex<Vec<Asked>>,
    taken: Mutex<Vec<String>>,
}

impl ScriptedExporter {
    pub(super) fn new(script: impl IntoIterator<Item = Act>) -> Arc<Self> {
        Arc::new(ScriptedExporter {
            script: Mutex::new(script.into_iter().collect()),
            afterwards: Mutex::new(Act::Take),
            asked: Mutex::default(),
            taken: Mutex::default(),
        })
    }

    pub(super) fn afterwards(&self, act: Act) {
        *self.afterwards.lock() = act;
    }

    /// Everything it was asked, in order.
    pub(super) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().clone()
    }

    /// The names of all spans that it took, in order.
    pub(super) fn taken(&self) -> Vec<String> {
        self.taken.lock().clone()
    }
}

impl Exporter for ScriptedExporter {
    fn export(&self, request: Outgoing) -> BoxFuture<'_, Result<(), Verdict>> {
        Box::pin(async move {
            let asked = Asked {
                at: Instant::now(),
                request,
            };
            let spans = asked.names();
            self.asked.lock().push(asked);
            let next = self.script.lock().pop_front();
            match next.unwrap_or_else(|| self.afterwards.lock().clone()) {
                Act::Take => {}
                Act::TakeAfter(wait) => tokio::time::sleep(wait).await,
                Act::Fail(verdict) => return Err(verdict),
                Act::Hang => std::future::pending().await,
                Act::Panic => panic!("as the script says"),
            }
            self.taken.lock().extend(spans);
            Ok(())
        })
    }
}

impl Component for ScriptedExporter {}

/// A queue, its consumers and a scripted exporter behind it.
pub(super) struct Bench {
    pub(super) delivery: Arc<Delivery>,
    pub(super) exporter: Arc<ScriptedExporter>,
    telemetry: Telemetry,
}

/// One consumer, no merging, retries that wait a second, then two, then four, for at most a minute.
pub(super) fn settings() -> DeliverySettings {
    DeliverySettings {
        num_consumers: 1,
        wait_for_result: false,
        block_on_overflow: false,
        timeout: Duration::from_secs(5),
        batch: None,
        retry: RetrySettings {
            enabled: true,
            initial_interval: Duration::from_secs(1),
            max_interval: Duration::from_secs(4),
            max_elapsed_time: Duration::from_secs(60),
            multiplier: 2.0,
            randomization_factor: 0.0,
        },
    }
}

/// The same with merging by items.
pub(super) fn merging(min_size: u64, max_size: u64, flush_timeout: Duration) -> DeliverySettings {
    let batch = BatchSettings {
        flush_timeout,
        sizer: BatchSizer::Items,
        min_size,
        max_size,
    };
    DeliverySettings {
        batch: Some(batch),
        ..settings()
    }
}

/// So many requests fit, of any size.
pub(super) fn requests(size: u64) -> QueueSettings {
    QueueSettings {
        sizer: Sizer::Requests,
        size,
        bytes: u64::MAX / 2,
    }
}

impl Bench {
    /// Everything in place and running. The exporter's id is the name: tasks of one process are told apart by it.
    pub(super) async fn start(
        name: &str,
        settings: DeliverySettings,
        queue: QueueSettings,
        script: impl IntoIterator<Item = Act>,
    ) -> Self {
        let bench = Bench::build(name, settings, queue, script);
        let component = DeliveryComponent(Arc::clone(&bench.delivery));
        component.start().await.unwrap();
        bench
    }

    /// The same without consumers: what is put in stays.
    pub(super) fn build(
        name: &str,
        settings: DeliverySettings,
        queue: QueueSettings,
        script: impl IntoIterator<Item = Act>,
    ) -> Self {
        let telemetry = Telemetry::with(Clock::system(), Tasks::process().clone());
        let metrics = ExporterMetrics::new(&telemetry, name);
        let queue = Queue::new(format!("exporter {name}"), queue);
        metrics.watch_queue(Signal::Traces, &queue);
        let exporter = ScriptedExporter::new(script);
        let delivery = Delivery::new(queue, Arc::clone(&exporter) as _, settings, metrics, 7);
        Bench {
            delivery,
            exporter,
            telemetry,
        }
    }

    /// Reserves and commits, as a receiver does.
    pub(super) fn send(&self, batch: Batch) -> Result<Completion, Verdict> {
        let mut reservation = Reservation::default();
        self.delivery.reserve(batch, &mut reservation)?;
        Ok(reservation.commit())
    }

    /// Sends a batch that must find its place.
    pub(super) fn put(&self, batch: Batch) {
        drop(self.send(batch).unwrap());
    }

    pub(super) async fn stop(&self, deadline: Duration) {
        let component = DeliveryComponent(Arc::clone(&self.delivery));
        component.shutdown(deadline).await;
    }

    /// The sum of a metric's series whose labels contain the text.
    pub(super) fn counted(&self, name: &str, labels: &str) -> u64 {
        let page = scrape(
            &[Arc::new(self.telemetry.registry().clone())],
            Format::Classic,
        );
        let samples = page.lines().filter(|line| {
            let rest = line.strip_prefix(name);
            rest.is_some_and(|rest| rest.starts_with(['{', ' '])) && line.contains(labels)
        });
        samples
            .map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap())
            .sum()
    }

    /// Spans sent, failed, refused a place: the three that must add up.
    pub(super) fn fates(&self) -> [u64; 3] {
        [
            "otelcol_exporter_sent_spans_total",
            "otelcol_exporter_send_failed_spans_total",
            "otelcol_exporter_enqueue_failed_spans_total",
        ]
        .map(|name| self.counted(name, ""))
    }

    /// Spans that were lost for a reason.
    pub(super) fn lost(&self, reason: &str) -> u64 {
        let label = format!("reason=\"{reason}\"");
        self.counted("agentguard_exporter_dropped_spans_total", &label)
    }

    pub(super) fn telemetry(&self) -> &Telemetry {
        &self.telemetry
    }
}

/// Lets time pass and everything happen that it brings.
pub(super) async fn pass(time: Duration) {
    tokio::time::sleep(time).await;
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
}

/// Lets everything happen that needs no time.
pub(super) async fn settle() {
    pass(Duration::ZERO).await;
}

/// A request with so many spans, named `NAME.0` and on.
pub(super) fn batch(name: &str, spans: u32) -> Batch {
    let spans_of = |number| Span {
        name: format!("{name}.{number}"),
        trace_id: vec![1; 16],
        span_id: vec![2; 8],
        ..Span::default()
    };
    let request = ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            scope_spans: vec![ScopeSpans {
                spans: (0..spans).map(spans_of).collect(),
                ..ScopeSpans::default()
            }],
            ..ResourceSpans::default()
        }],
    };
    Batch {
        signal: Signal::Traces,
        bytes: Bytes::from(request.encode_to_vec()),
        items: spans,
    }
}

/// The names of a request's spans, in order.
pub(super) fn names(request: &[u8]) -> Vec<String> {
    let request = ExportTraceServiceRequest::decode(request).unwrap();
    let groups = request.resource_spans.into_iter();
    let scopes = groups.flat_map(|group| group.scope_spans);
    scopes
        .flat_map(|scope| scope.spans)
        .map(|span| span.name)
        .collect()
}

/// A verdict to try again, after a time if one is given.
pub(super) fn retry(after: Option<Duration>) -> Act {
    Act::Fail(Verdict::Retry {
        after,
        source: Cause::new("not now"),
    })
}

/// A verdict that it will never be taken.
pub(super) fn permanent() -> Act {
    Act::Fail(Verdict::Permanent {
        source: Cause::new("never"),
    })
}
