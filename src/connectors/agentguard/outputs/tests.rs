//! What is authored, sent to neighbours that take it, or not.

use super::super::{AgentGuardConnector, Now, Random};
use super::*;
use crate::base::sync::{AtomicU64, AtomicUsize};
use crate::guard::Ticker;
use crate::guard::{Settler, Worker};
use crate::pipeline::{Cause, Held};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use parking_lot::Mutex;

const ADK: &[u8] = include_bytes!("../../../../examples/captures/google-adk.otlp");

/// Takes everything, or answers as told.
#[derive(Default)]
struct Sink {
    /// 0: takes; 1: pushes back for two seconds; 2: refuses for good.
    mood: AtomicUsize,
    asked: AtomicUsize,
    kept: Arc<Mutex<Vec<Batch>>>,
}

struct Place(Arc<Mutex<Vec<Batch>>>, Batch);

impl Held for Place {
    fn commit(self: Box<Self>) {
        self.0.lock().push(self.1);
    }
}

impl Consumer for Sink {
    fn reserve(&self, batch: Batch, reservation: &mut Reservation) -> Result<(), Verdict> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let source = Cause::new("told to");
        match self.mood.load(Ordering::Relaxed) {
            0 => {
                reservation.hold(Place(Arc::clone(&self.kept), batch));
                Ok(())
            }
            1 => Err(Verdict::Refused {
                after: Duration::from_secs(2),
                source,
            }),
            _ => Err(Verdict::Permanent { source }),
        }
    }
}

impl Sink {
    /// What it took since it was asked for the last time.
    fn took(&self) -> Vec<Batch> {
        std::mem::take(&mut *self.kept.lock())
    }

    fn records(&self) -> Vec<LogRecord> {
        let mut records = Vec::new();
        for batch in self.took() {
            assert_eq!(
                crate::otlp::validate(Signal::Logs, &batch.bytes),
                Ok(batch.items)
            );
            let request = ExportLogsServiceRequest::decode(batch.bytes).unwrap();
            let resource = request.resource_logs.into_iter();
            let scopes = resource.flat_map(|resource| resource.scope_logs);
            records.extend(scopes.flat_map(|scope| scope.log_records));
        }
        records
    }
}

/// A connector whose threads never start; the test is its shard, its tick and its outputs.
struct Scene {
    clock: Arc<AtomicU64>,
    connector: AgentGuardConnector,
    authored: Authored,
    worker: Worker,
    settler: Settler,
    ticker: Ticker,
    logs: Arc<Sink>,
    metrics: Arc<Sink>,
}

impl Scene {
    fn new() -> Scene {
        let clock = Arc::new(AtomicU64::new(1_900_000_000_000_000_000));
        let read = Arc::clone(&clock);
        let now: Now = Arc::new(move || Nanos(read.load(Ordering::Relaxed)));
        let (logs, metrics) = (Arc::new(Sink::default()), Arc::new(Sink::default()));
        let outputs: Outputs = [
            None,
            Some(Arc::clone(&metrics) as _),
            Some(Arc::clone(&logs) as _),
        ];
        let random = Random {
            seed: 7,
            instance: 8,
        };
        let config = AgentGuardConfig::default();
        let connector = AgentGuardConnector::new(&config, random, now, &outputs);
        let guard = &connector.core.guard;
        let (worker, settler, ticker) = (guard.worker(), guard.settler(), guard.ticker());
        let authored = connector.authored.lock().take().unwrap();
        Scene {
            worker,
            settler,
            ticker,
            authored,
            clock,
            connector,
            logs,
            metrics,
        }
    }

    /// The capture comes in, and the tick publishes its graph.
    fn see(&mut self) {
        let core = &self.connector.core;
        let mut rest = ADK;
        while let Some((head, after)) = rest.split_first_chunk::<12>() {
            let len = u32::from_le_bytes([head[8], head[9], head[10], head[11]]) as usize;
            let (request, after) = after.split_at(len);
            rest = after;
            let request = Bytes::from_static(request);
            let ingested = core.guard.ingest(&mut self.worker, &request, 0).unwrap();
            for sightings in &ingested.sightings {
                self.settler.settle(sightings, core.now());
            }
        }
        self.settler.flush();
        let changes = self.settler.collect(core.now());
        core.guard.tick(&mut self.ticker, [&changes]);
    }

    fn pass(&self, seconds: u64) {
        self.clock
            .fetch_add(seconds * 1_000_000_000, Ordering::Relaxed);
    }

    fn step(&mut self, seconds: u64) {
        self.pass(seconds);
        self.authored.step(false);
    }

    fn told(&self) -> &Told {
        &self.connector.core.counters.told
    }

    fn dropped(&self, signal: Signal, lost: Lost) -> u64 {
        self.told().dropped[signal as usize][lost as usize].load(Ordering::Relaxed)
    }

    fn events(&self) -> u64 {
        let events = self.told().events.iter();
        events.map(|count| count.load(Ordering::Relaxed)).sum()
    }

    /// Nodes and edges of the graph.
    fn things(&self) -> usize {
        let graph = &self.connector.published().graph;
        graph.nodes().len() + graph.edges().len()
    }
}

/// R-STR-3: what is found goes to the logs pipelines, once, and says whose word it is.
#[test]
fn events_go_out_once() {
    let mut scene = Scene::new();
    scene.step(1);
    assert_eq!(
        scene.logs.asked.load(Ordering::Relaxed),
        0,
        "no news, no request"
    );
    scene.see();
    scene.step(1);
    let batches = scene.logs.kept.lock().clone();
    let request = ExportLogsServiceRequest::decode(batches[0].bytes.clone()).unwrap();
    let resource = request.resource_logs[0].resource.as_ref().unwrap();
    let attributes: Vec<_> = resource
        .attributes
        .iter()
        .map(|pair| pair.key.as_str())
        .collect();
    assert_eq!(
        attributes,
        ["service.name", "service.version", "service.instance.id"]
    );
    let name = resource.attributes[0].value.as_ref().unwrap().value.clone();
    assert_eq!(name, Some(Value::StringValue("agentguard".to_owned())));
    assert_eq!(scene.logs.records().len(), scene.things());
    assert_eq!(scene.events(), scene.things() as u64);
    scene.see();
    scene.step(1);
    assert!(scene.logs.records().is_empty(), "the same spans again");
}

/// What nobody takes waits, in order, and is offered again; the tick is not held up by it.
#[test]
fn events_that_are_refused_wait_for_the_next_tick() {
    let mut scene = Scene::new();
    scene.logs.mood.store(1, Ordering::Relaxed);
    scene.see();
    scene.step(1);
    scene.step(1);
    assert_eq!(scene.logs.asked.load(Ordering::Relaxed), 2);
    assert_eq!(scene.told().refused[2].load(Ordering::Relaxed), 2);
    assert_eq!(
        scene.told().pending.load(Ordering::Relaxed),
        scene.things() as u64
    );
    assert_eq!(scene.events(), 0);
    scene.logs.mood.store(0, Ordering::Relaxed);
    scene.step(1);
    let records = scene.logs.records();
    assert_eq!(records.len(), scene.things());
    let is_node = |record: &&LogRecord| record.event_name == "agentguard.node.discovered";
    let nodes = records.iter().take_while(is_node).count();
    assert_eq!(nodes, scene.connector.published().graph.nodes().len());
    assert_eq!(scene.told().pending.load(Ordering::Relaxed), 0);
    assert_eq!(scene.events(), scene.things() as u64);
}

#[test]
fn what_cannot_be_told_is_dropped_and_counted_by_reason() {
    let mut scene = Scene::new();
    scene.logs.mood.store(2, Ordering::Relaxed);
    scene.metrics.mood.store(2, Ordering::Relaxed);
    scene.see();
    scene.step(60);
    assert_eq!(
        scene.dropped(Signal::Logs, Lost::Rejected),
        scene.things() as u64
    );
    assert!(scene.dropped(Signal::Metrics, Lost::Rejected) > 100);
    assert_eq!(scene.authored.events.as_ref().unwrap().pending.len(), 0);

    let mut scene = Scene::new();
    scene.logs.mood.store(1, Ordering::Relaxed);
    scene.see();
    scene.step(1);
    let events = scene.authored.events.as_mut().unwrap();
    let one = events.pending.back().unwrap().clone();
    let first = events.pending[3].record.clone();
    // as if ticks had brought these
    let more = MOST_PENDING + 3 - events.pending.len();
    events.pending.extend(std::iter::repeat_n(one, more));
    let snapshot = scene.connector.published();
    let told = &scene.connector.core.counters.told;
    events.look(&snapshot, scene.connector.core.now(), told);
    assert_eq!(events.pending.len(), MOST_PENDING);
    assert_eq!(events.pending[0].record, first, "the oldest went");
    assert_eq!(scene.dropped(Signal::Logs, Lost::Overflow), 3);
    scene.authored.step(true);
    assert_eq!(
        scene.dropped(Signal::Logs, Lost::Shutdown),
        MOST_PENDING as u64
    );
}

/// The Collector's connectors send what they count every flush interval.
#[test]
fn metrics_go_out_every_interval_and_at_the_end() {
    let mut scene = Scene::new();
    scene.see();
    scene.step(59);
    assert!(scene.metrics.took().is_empty());
    scene.step(1);
    let first = scene.metrics.took();
    let request = ExportMetricsServiceRequest::decode(first[0].bytes.clone()).unwrap();
    let names = request.resource_metrics[0].scope_metrics[0].metrics.iter();
    let names: Vec<_> = names.map(|metric| metric.name.as_str()).collect();
    assert!(
        names.contains(&"traces_service_graph_request_total"),
        "{names:?}"
    );
    scene.step(59);
    assert!(scene.metrics.took().is_empty());
    scene.step(1);
    assert_eq!(scene.metrics.took().len(), 1);
    scene.pass(1);
    scene.authored.step(true);
    assert_eq!(scene.metrics.took().len(), 1);
}

/// Nothing of what was counted is lost, and what began meanwhile still begins with 0.
#[test]
fn metrics_that_are_refused_come_again_when_they_may() {
    let mut scene = Scene::new();
    scene.see();
    scene.metrics.mood.store(1, Ordering::Relaxed);
    scene.step(60);
    scene.step(1);
    assert_eq!(
        scene.metrics.asked.load(Ordering::Relaxed),
        1,
        "asked to come back in 2 s"
    );
    scene.metrics.mood.store(0, Ordering::Relaxed);
    scene.step(1);
    let again = scene.metrics.took();
    let mut fresh = Scene::new();
    fresh.see();
    fresh.step(62);
    let at_once = fresh.metrics.took();
    assert_eq!(again[0].items, at_once[0].items);
    assert_eq!(scene.told().refused[1].load(Ordering::Relaxed), 1);
}

#[test]
fn without_a_pipeline_nothing_is_authored() {
    let now: Now = Arc::new(|| Nanos(1));
    let random = Random {
        seed: 7,
        instance: 8,
    };
    let none: Outputs = [None, None, None];
    let connector = AgentGuardConnector::new(&AgentGuardConfig::default(), random, now, &none);
    assert!(connector.authored.lock().is_none());
}
