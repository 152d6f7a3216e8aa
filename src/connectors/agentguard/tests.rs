//! The connector among scripted neighbours.

use super::*;
use crate::base::sync::{AtomicBool, AtomicU64};
use crate::scan::NodeKind;
use bytes::Bytes;
use std::time::Instant;

const ADK: &[u8] = include_bytes!("../../../examples/captures/google-adk.otlp");

const RANDOM: Random = Random {
    seed: 7,
    instance: 8,
};

/// The first request of the capture.
fn batch() -> Batch {
    let len = u32::from_le_bytes([ADK[8], ADK[9], ADK[10], ADK[11]]) as usize;
    let bytes = Bytes::from_static(&ADK[12..12 + len]);
    let items = crate::otlp::validate(Signal::Traces, &bytes).unwrap();
    Batch {
        signal: Signal::Traces,
        bytes,
        items,
    }
}

/// Takes what it is told to take, and keeps it when it is committed.
#[derive(Default)]
struct Sink {
    refuses: AtomicBool,
    kept: Arc<Mutex<Vec<Bytes>>>,
}

struct Kept(Arc<Mutex<Vec<Bytes>>>, Bytes);

impl Held for Kept {
    fn commit(self: Box<Self>) {
        self.0.lock().push(self.1);
    }
}

impl Consumer for Sink {
    fn reserve(&self, batch: Batch, reservation: &mut Reservation) -> Result<(), Verdict> {
        if self.refuses.load(Ordering::Relaxed) {
            return Err(Verdict::Refused {
                after: RETRY_AFTER,
                source: Cause::new("told to"),
            });
        }
        reservation.hold(Kept(Arc::clone(&self.kept), batch.bytes));
        Ok(())
    }
}

struct Scene {
    sink: Arc<Sink>,
    clock: Arc<AtomicU64>,
    connector: AgentGuardConnector,
    input: Arc<dyn Consumer>,
}

fn scene(config: &AgentGuardConfig) -> Scene {
    let sink = Arc::new(Sink::default());
    let clock = Arc::new(AtomicU64::new(1_900_000_000_000_000_000));
    let read = Arc::clone(&clock);
    let now: Now = Arc::new(move || Nanos(read.load(Ordering::Relaxed)));
    let outputs = [Some(Arc::clone(&sink) as Arc<dyn Consumer>), None, None];
    let connector = AgentGuardConnector::new(config, RANDOM, now, &outputs);
    let input = connector.consumer(Signal::Traces).unwrap();
    Scene {
        sink,
        clock,
        connector,
        input,
    }
}

fn quick() -> AgentGuardConfig {
    AgentGuardConfig {
        tick_interval: Duration::from_millis(10),
        ..AgentGuardConfig::default()
    }
}

impl Scene {
    fn send(&self) -> Result<(), Verdict> {
        let mut reservation = Reservation::default();
        self.input.reserve(batch(), &mut reservation)?;
        drop(reservation.commit());
        Ok(())
    }

    fn agents(&self) -> u64 {
        let count = |(kind, count): &(NodeKind, u64)| (*kind == NodeKind::Agent).then_some(*count);
        self.connector
            .numbers()
            .nodes
            .iter()
            .find_map(count)
            .unwrap_or(0)
    }

    /// Waits for a condition with a deadline.
    #[track_caller]
    fn until(&self, what: &str, holds: impl Fn(&Numbers) -> bool) {
        #[allow(
            clippy::disallowed_methods,
            reason = "a test waits for threads in real time"
        )]
        let deadline = Instant::now() + Duration::from_secs(10);
        #[allow(
            clippy::disallowed_methods,
            reason = "a test waits for threads in real time"
        )]
        while !holds(&self.connector.numbers()) {
            assert!(
                Instant::now() < deadline,
                "{what}: {:?}",
                self.connector.numbers()
            );
            std::thread::yield_now();
        }
    }
}

/// R-STR-3, R-STR-5: what goes out is enriched, and the graph is published within a tick.
#[tokio::test]
async fn traces_go_out_enriched_and_the_graph_is_published() {
    let scene = scene(&quick());
    scene.connector.start().await.unwrap();
    scene.send().unwrap();
    scene.until("published", |numbers| {
        numbers.nodes.iter().any(|(_, count)| *count > 0)
    });
    let sent = scene.sink.kept.lock()[0].clone();
    assert!(sent.len() > batch().bytes.len());
    assert!(crate::otlp::validate(Signal::Traces, &sent).is_ok());
    assert!(scene.agents() >= 1);
    scene.connector.shutdown(Duration::from_secs(5)).await;
    scene.connector.shutdown(Duration::from_secs(5)).await;
    let numbers = scene.connector.numbers();
    assert_eq!(numbers.inbox_spans, [0]);
    assert_eq!(numbers.scan.scanned(), u64::from(batch().items));
    assert_eq!(numbers.shards[0].waiting, 0, "shutdown settles what waits");
}

/// D6: what is refused anywhere was counted nowhere, and its room is free again.
#[tokio::test]
async fn a_refused_request_leaves_no_trace() {
    let scene = scene(&quick());
    scene.connector.start().await.unwrap();
    scene.sink.refuses.store(true, Ordering::Relaxed);
    assert!(matches!(scene.send(), Err(Verdict::Refused { .. })));
    let mut reservation = Reservation::default();
    scene.sink.refuses.store(false, Ordering::Relaxed);
    scene.input.reserve(batch(), &mut reservation).unwrap();
    assert_eq!(
        scene.connector.numbers().inbox_spans,
        [u64::from(batch().items)]
    );
    drop(reservation);
    let numbers = scene.connector.numbers();
    assert_eq!(
        (numbers.inbox_spans, numbers.scan),
        (vec![0], ScanCounts::default())
    );
    scene.connector.shutdown(Duration::from_secs(5)).await;
    assert!(scene.connector.published().graph.nodes().is_empty());
    assert!(scene.sink.kept.lock().is_empty());
}

/// D6, R-STR-6: shards that fall behind slow acceptance down; nothing is lost when they catch up.
#[tokio::test]
async fn a_full_inbox_pushes_back_until_the_shard_catches_up() {
    let config = AgentGuardConfig {
        inbox_requests: 2,
        ..quick()
    };
    let scene = scene(&config);
    scene.send().unwrap();
    scene.send().unwrap();
    assert!(matches!(scene.send(), Err(Verdict::Refused { .. })));
    assert_eq!(scene.connector.numbers().refused_requests, 1);
    assert_eq!(scene.sink.kept.lock().len(), 2);
    scene.connector.start().await.unwrap();
    scene.until("caught up", |numbers| numbers.inbox_spans == [0]);
    scene.send().unwrap();
    scene.connector.shutdown(Duration::from_secs(5)).await;
    let stats = scene.connector.numbers().shards[0];
    assert_eq!(stats.sightings, 3 * u64::from(batch().items));
    assert_eq!(stats.duplicates, 2 * u64::from(batch().items));
}

/// B-04: the tick lets time pass for traces that nobody adds to.
#[tokio::test]
async fn a_missing_parent_is_given_up_after_its_time() {
    let scene = scene(&quick());
    scene.connector.start().await.unwrap();
    scene.send().unwrap();
    let waiting =
        |numbers: &Numbers| numbers.shards[0].sightings > 0 && numbers.shards[0].waiting > 0;
    scene.until("something waits", waiting);
    scene
        .clock
        .fetch_add(3_600 * 1_000_000_000, Ordering::Relaxed);
    scene.until("given up", |numbers| numbers.shards[0].waiting == 0);
    scene.connector.shutdown(Duration::from_secs(5)).await;
}

#[test]
fn a_broken_request_is_refused_for_good() {
    let scene = scene(&quick());
    let broken = Batch {
        bytes: Bytes::from_static(b"\x0a\xff"),
        ..batch()
    };
    let verdict = scene.input.reserve(broken, &mut Reservation::default());
    assert!(matches!(verdict, Err(Verdict::Permanent { .. })));
    assert!(scene.connector.consumer(Signal::Logs).is_none());
}

#[test]
fn mistakes_in_the_configuration_are_all_found() {
    assert_eq!(AgentGuardConfig::default().mistakes(), []);
    let wrong = AgentGuardConfig {
        tick_interval: Duration::ZERO,
        shards: 0,
        max_spans: 1,
        keep: Duration::ZERO,
        realm: vec![String::new(); 9],
        ..AgentGuardConfig::default()
    };
    let keys: Vec<_> = wrong.mistakes().iter().map(|mistake| mistake.key).collect();
    assert_eq!(
        keys,
        ["tick_interval", "shards", "max_spans", "keep", "realm"]
    );
    let read: AgentGuardConfig =
        serde_json::from_str(r#"{"tick_interval":"200ms","shards":2}"#).unwrap();
    assert_eq!(
        (read.tick_interval, read.shards),
        (Duration::from_millis(200), 2)
    );
    assert!(serde_json::from_str::<AgentGuardConfig>(r#"{"shard":2}"#).is_err());
}

/// R-GRA-3: a trace that is kept must not outlive the nodes that it refers to.
#[test]
fn entries_age_no_sooner_than_traces_or_never() {
    let mistakes = |expire_after| {
        let config = AgentGuardConfig {
            expire_after: Duration::from_secs(expire_after),
            ..AgentGuardConfig::default()
        };
        config.mistakes().iter().map(|m| m.key).collect::<Vec<_>>()
    };
    assert_eq!(mistakes(3_599), ["expire_after"]);
    assert!(mistakes(3_600).is_empty() && mistakes(0).is_empty());
}

/// R-GRA-3: the threads let entries age, and take them up again.
#[tokio::test]
async fn what_nobody_sees_for_long_leaves_the_published_graph() {
    let scene = scene(&quick());
    scene.connector.start().await.unwrap();
    for generation in 1..3 {
        scene.send().unwrap();
        scene.until("published", |_| scene.agents() > 0);
        let agents = scene.agents();
        scene.until("aged", |numbers| {
            let minute = 60_000_000_000;
            scene.clock.fetch_add(minute, Ordering::Relaxed);
            numbers.nodes.iter().all(|(_, count)| *count == 0)
        });
        let expired = scene.connector.numbers().expired;
        assert!(expired.nodes >= generation * agents && expired.edges > 0);
    }
    scene.connector.shutdown(Duration::from_secs(5)).await;
}
