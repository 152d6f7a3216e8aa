//! Too much: several times what the daemon can pass on (R-STR-6, D6).
//!
//! `AGENTGUARD_OVERLOAD_SECONDS` says for how long, 5 unless told otherwise.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use agentguard::otlp::Signal;
use bytes::Bytes;
use parking_lot::Mutex;
use tonic::Code;

use crate::requests::{attribute, ids, request, span};
use crate::support::daemon::{Daemon, Setup};
use crate::support::stub::{Answer, Stub};
use crate::support::wait::{PATIENCE, eventually};
use crate::support::wire::{self, PROTOBUF, Request};

/// Bytes of one request, most of them an attribute.
const REQUEST_BYTES: usize = 64 << 10;
/// What the queue may hold, in MiB.
const QUEUE_MIB: u64 = 16;
/// What may be arriving, in MiB.
const RECEIVING_MIB: u64 = 8;
/// What a debug build holds besides: code, connections, the allocator's reserves.
const BASE_MIB: u64 = 64;
/// Senders, each with one request under way.
const SENDERS: usize = 16;
/// How long the next hop takes for a request; it takes two at a time.
const SLOWNESS: Duration = Duration::from_millis(20);

#[derive(Default)]
struct Tally {
    next: AtomicU64,
    is_over: AtomicBool,
    acknowledged: Mutex<Vec<u64>>,
    refused: AtomicU64,
}

fn large(id: u64) -> Bytes {
    let mut span = span(id);
    span.attributes = vec![attribute("payload", "x".repeat(REQUEST_BYTES))];
    request(vec![span])
}

async fn send_over_grpc(daemon: std::net::SocketAddr, tally: &Tally) {
    while !tally.is_over.load(Ordering::Relaxed) {
        let id = tally.next.fetch_add(1, Ordering::Relaxed);
        let reply = wire::export(daemon, Signal::Traces, &large(id)).await;
        if reply.code() == Code::Ok {
            tally.acknowledged.lock().push(id);
            continue;
        }
        assert_eq!(reply.code(), Code::Unavailable, "{reply:?}");
        let delay = wire::retry_info(&reply.status).flatten();
        assert!(delay.is_some_and(|delay| !delay.is_zero()), "{reply:?}");
        tally.refused.fetch_add(1, Ordering::Relaxed);
    }
}

async fn send_over_http(daemon: std::net::SocketAddr, tally: &Tally) {
    while !tally.is_over.load(Ordering::Relaxed) {
        let id = tally.next.fetch_add(1, Ordering::Relaxed);
        let post = Request::post("/v1/traces", PROTOBUF, large(id));
        let reply = wire::http(daemon, post).await;
        if reply.status == 200 {
            tally.acknowledged.lock().push(id);
            continue;
        }
        assert_eq!(reply.status, 503, "{reply:?}");
        let after: u64 = reply.header("retry-after").parse().expect("seconds");
        assert!(after > 0);
        tally.refused.fetch_add(1, Ordering::Relaxed);
    }
}

fn seconds() -> Duration {
    let told = std::env::var("AGENTGUARD_OVERLOAD_SECONDS").ok();
    Duration::from_secs(told.and_then(|told| told.parse().ok()).unwrap_or(5))
}

async fn push(daemon: &mut Daemon, tally: &Arc<Tally>) -> u64 {
    let (grpc, http) = (daemon.grpc(), daemon.http());
    let senders: Vec<_> = (0..SENDERS)
        .map(|number| {
            let tally = Arc::clone(tally);
            tokio::spawn(async move {
                if number % 2 == 0 {
                    send_over_grpc(grpc, &tally).await;
                } else {
                    send_over_http(http, &tally).await;
                }
            })
        })
        .collect();
    let (started, mut most) = (Instant::now(), 0);
    while started.elapsed() < seconds() {
        most = most.max(daemon.process().resident_bytes().unwrap_or(0));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    tally.is_over.store(true, Ordering::Relaxed);
    for sender in senders {
        sender
            .await
            .expect("a sender that was answered as it should be");
    }
    most
}

/// Everything acknowledged has arrived, exactly once, and nothing else.
async fn arrived_exactly(stub: &Stub, tally: &Tally) {
    let mut acknowledged = tally.acknowledged.lock().clone();
    acknowledged.sort_unstable();
    eventually(
        "everything acknowledged downstream",
        PATIENCE * 3,
        || async { (stub.taken(Signal::Traces).len() >= acknowledged.len()).then_some(()) },
    )
    .await;
    let arrived = ids(&stub.taken(Signal::Traces));
    assert!(
        arrived.values().all(|times| *times == 1),
        "something was doubled"
    );
    assert_eq!(arrived.into_keys().collect::<Vec<_>>(), acknowledged);
}

/// R-STR-6: back-pressure instead of loss, within the bounds of memory.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn under_overload_memory_is_bounded_and_acknowledged_is_delivered() {
    let stub = Stub::start().await;
    stub.then(Answer::TakeAfter(SLOWNESS));
    let queue = format!("sending_queue:\n  queue_bytes: {QUEUE_MIB}MiB\n  num_consumers: 2");
    let setup = Setup::new()
        .receiver(&format!("max_receiving_bytes: {RECEIVING_MIB}MiB"))
        .otlp(stub.address(), &queue);
    let mut daemon = Daemon::start(&setup).await;
    let tally = Arc::<Tally>::default();
    let most = push(&mut daemon, &tally).await;
    let (sent, taken) = (
        tally.next.load(Ordering::Relaxed),
        tally.acknowledged.lock().len() as u64,
    );
    let refused = tally.refused.load(Ordering::Relaxed);
    assert_eq!(sent, taken + refused, "each request was answered");
    let capacity = 2 * u64::try_from(seconds().as_millis() / SLOWNESS.as_millis()).expect("small");
    assert!(
        sent >= 3 * capacity,
        "{sent} sent where {capacity} can be taken: no overload"
    );
    assert!(refused > 0, "nothing was refused");
    let bound = QUEUE_MIB + RECEIVING_MIB + BASE_MIB;
    assert!(
        most >> 20 <= bound,
        "{} MiB resident, {bound} allowed",
        most >> 20
    );
    let counted = daemon.scrape().await;
    let refused_spans = counted.sum("otelcol_receiver_refused_spans_total", &[]);
    assert_eq!(refused_spans, refused as f64, "each refusal is counted");
    stub.then(Answer::Take);
    arrived_exactly(&stub, &tally).await;
    daemon.stop().await;
    println!(
        "{sent} requests of {REQUEST_BYTES} bytes, {taken} acknowledged and delivered, {refused} refused, {} MiB at most",
        most >> 20
    );
}

/// `block_on_overflow`: the sender waits instead, and is refused only when its patience is over.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_block_on_overflow_senders_wait_for_room() {
    let stub = Stub::start().await;
    stub.then(Answer::TakeAfter(SLOWNESS));
    let queue = "sending_queue:\n  queue_size: 4\n  num_consumers: 2\n  block_on_overflow: true";
    let mut daemon = Daemon::start(&Setup::new().otlp(stub.address(), queue)).await;
    let tally = Arc::<Tally>::default();
    push(&mut daemon, &tally).await;
    assert_eq!(tally.refused.load(Ordering::Relaxed), 0);
    arrived_exactly(&stub, &tally).await;
    daemon.stop().await;
}

/// A request that waits for room is told so when its patience, the time for a body, is over.
#[tokio::test]
async fn who_waits_for_room_in_vain_is_told_to_come_back() {
    let stub = Stub::start().await;
    stub.then(Answer::Hang);
    let queue = "timeout: 20s\nsending_queue:\n  queue_size: 1\n  num_consumers: 1\n  block_on_overflow: true";
    let setup = Setup::new()
        .receiver("body_timeout: 500ms")
        .otlp(stub.address(), queue);
    let daemon = Daemon::start(&setup).await;
    let first = wire::export(daemon.grpc(), Signal::Traces, &large(1)).await;
    assert_eq!(first.code(), Code::Ok);
    let started = Instant::now();
    let second = wire::export(daemon.grpc(), Signal::Traces, &large(2)).await;
    assert_eq!(second.code(), Code::Unavailable);
    assert!(wire::retry_info(&second.status).flatten().is_some());
    assert!(started.elapsed() >= Duration::from_millis(500));
}
