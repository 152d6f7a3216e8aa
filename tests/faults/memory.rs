//! Names and traces without end: memory stays within its bounds, and what found no room is counted (R-GRA-3).
//!
//! `AGENTGUARD_MEMORY_TRACES` says how many traces of ten spans, 10 000 unless told otherwise: a million of them, with the
//! defaults as bounds, are the figures of the documentation (`AGENTGUARD_TEST_BINARY` names a release build for that).
//! Below that the bounds are as much smaller as the traffic.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Instant, SystemTime};

use agentguard::otlp::Signal;

use crate::support::daemon::{Daemon, Setup};
use crate::support::flood::{BATCH, Flood, News, SPANS};
use crate::support::metrics::Scrape;
use crate::support::stub::Stub;
use crate::support::wait::{PATIENCE, eventually, free_ports};
use crate::support::wire::GrpcClient;

/// Requests under way at a time.
const SENDERS: u64 = 8;

/// The traffic of the documentation, for which the bounds are the defaults.
const FULL: u64 = 1_000_000;

/// What waits for the next hop may take, in MiB; the tests' own next hop is slower than the daemon.
const QUEUE_MIB: u64 = 64;
/// What else does not grow with the bounds, in MiB: code, connections, requests that arrive, sightings that wait for a
/// shard, names that workers remember.
const BASE_MIB: u64 = 160;
/// Bytes that a span takes in the table: itself, its trace, their places.
const SPAN_BYTES: u64 = 400;
/// Bytes that a node takes in all tables, the snapshot and the one before it.
const NODE_BYTES: u64 = 2_048;
/// The same of an edge.
const EDGE_BYTES: u64 = 2_048;

/// The bounds of a run, and what they allow.
#[derive(Clone, Copy, Debug)]
struct Bounds {
    spans: u64,
    nodes: u64,
    edges: u64,
}

impl Bounds {
    /// The defaults, or as much less as there are fewer traces.
    fn of(traces: u64) -> Self {
        let part = (FULL / traces).max(1);
        Bounds {
            spans: 262_144 / part,
            nodes: 100_000 / part,
            edges: 400_000 / part,
        }
    }

    /// The memory that they allow, in MiB.
    fn mib(self) -> u64 {
        let grown = self.spans * SPAN_BYTES + self.nodes * NODE_BYTES + self.edges * EDGE_BYTES;
        BASE_MIB + QUEUE_MIB + (grown >> 20)
    }
}

fn traces() -> u64 {
    let told = std::env::var("AGENTGUARD_MEMORY_TRACES").ok();
    told.and_then(|told| told.parse().ok()).unwrap_or(10_000)
}

fn now_ns() -> u64 {
    let now = SystemTime::UNIX_EPOCH
        .elapsed()
        .expect("a clock after 1970");
    u64::try_from(now.as_nanos()).expect("a clock before 2554")
}

/// What a run came to.
struct Run {
    bounds: Bounds,
    traces: u64,
    daemon: Daemon,
    graph: SocketAddr,
}

impl Run {
    /// Sends all traces, and waits until everything has arrived and is counted.
    async fn of(news: News) -> Run {
        let traces = traces();
        let bounds = Bounds::of(traces);
        let stub = Stub::start().await.counting();
        let [graph] = free_ports();
        let connector = format!(
            "connectors:\n  agentguard:\n    max_spans: {}\n    max_nodes: {}\n    max_edges: {}\n",
            bounds.spans, bounds.nodes, bounds.edges
        );
        let setup = Setup::new()
            .sections(&connector)
            // a next hop that is slow must not look like one that is gone: it would get the same again
            .otlp(
                stub.address(),
                &format!("timeout: 60s\nsending_queue: {{queue_bytes: {QUEUE_MIB}MiB}}"),
            )
            .exporter("prometheus", &format!("endpoint: {graph}"))
            .pipelines(
                "traces/in:\n  receivers: [otlp]\n  exporters: [agentguard]\n\
                 traces/out:\n  receivers: [agentguard]\n  exporters: [otlp]\n\
                 metrics:\n  receivers: [agentguard]\n  exporters: [prometheus]\n",
            );
        let mut daemon = Daemon::start(&setup).await;
        let idle = daemon.process().resident_bytes().unwrap_or(0);
        let (started, sent) = (Instant::now(), traces * SPANS);
        send(daemon.grpc(), news, traces / BATCH).await;
        let took = started.elapsed();
        eventually("all spans downstream", PATIENCE * 3, || async {
            (stub.counted() >= sent).then_some(())
        })
        .await;
        assert_eq!(stub.counted(), sent, "each span once");
        let run = Run {
            bounds,
            traces,
            daemon,
            graph,
        };
        eprintln!("{sent} spans in {took:?}, idle {} MiB", idle >> 20);
        run
    }

    /// The graph's own numbers, one a line.
    async fn numbers(&self) -> String {
        let page = self.daemon.scrape().await;
        let mut told = String::new();
        for line in page.text().lines() {
            if line.starts_with("agentguard_graph_") || line.starts_with("agentguard_nodes") {
                writeln!(told, "  {line}").expect("memory takes all");
            }
        }
        told
    }

    /// Ends it: the most memory that it ever had is within what the bounds allow.
    async fn end(mut self) {
        let most = self.daemon.process().peak_bytes().unwrap_or(0) >> 20;
        let allowed = self.bounds.mib();
        eprintln!(
            "{most} MiB at most, {allowed} allowed\n{}",
            self.numbers().await
        );
        assert!(most <= allowed, "{most} MiB resident, {allowed} allowed");
        self.daemon.stop().await;
    }

    /// Everything that is bounded is within its bound, and what did not fit was counted.
    async fn is_bounded(&self, overflowing: &str) {
        let page = eventually("all spans are paired", PATIENCE * 3, || async {
            let page = self.daemon.scrape().await;
            let held = page.sum("agentguard_graph_spans_held", &[]);
            let gone = page.sum("agentguard_graph_spans_evicted_total", &[]);
            (held + gone >= (self.traces * SPANS) as f64).then_some(page)
        })
        .await;
        let sum = |name: &str, labels: &[&str]| page.sum(name, labels);
        let (spans, sent) = (self.bounds.spans as f64, (self.traces * SPANS) as f64);
        assert_eq!(sum("agentguard_scan_spans_total", &[]), sent);
        assert_eq!(sum("agentguard_graph_spans_lost_total", &[]), 0.0);
        let held = sum("agentguard_graph_spans_held", &[]);
        assert!(held <= spans, "{held} spans held");
        // each kind has an overflow node besides, and each pair of kinds may have an edge
        let nodes = sum("agentguard_nodes", &[]);
        assert!(nodes <= self.bounds.nodes as f64 + 11.0, "{nodes} nodes");
        let edges = sum("agentguard_edges", &[]);
        assert!(edges <= self.bounds.edges as f64 + 121.0, "{edges} edges");
        let label = format!("what=\"{overflowing}\"");
        let overflow = sum("agentguard_graph_overflow_total", &[&label]);
        assert!(overflow > 0.0, "each {overflowing} found room");
    }

    /// The calls that Prometheus is shown, in all series together, once there are so many.
    async fn calls(&self, name: &str, calls: u64) {
        let graph = self.graph;
        let what = format!("{calls} of {name}");
        let last = std::cell::Cell::new(0.0);
        let reached = eventually(&what, PATIENCE * 3, || async {
            last.set(Scrape::of(graph).await.sum(name, &[]));
            (last.get() >= calls as f64).then_some(())
        });
        tokio::select! {
            () = reached => {}
            () = tokio::time::sleep(PATIENCE * 2) => panic!("{what}, but {}", last.get()),
        }
        assert_eq!(last.get(), calls as f64, "{what}");
    }
}

async fn send(to: SocketAddr, news: News, requests: u64) {
    let next = Arc::new(AtomicU64::new(0));
    let senders: Vec<_> = (0..SENDERS)
        .map(|_| {
            let (next, flood) = (Arc::clone(&next), Flood::new(news));
            tokio::spawn(async move {
                let mut client = GrpcClient::connect(to).await;
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= requests {
                        return;
                    }
                    let request = flood.request(number, now_ns());
                    client.deliver(Signal::Traces, &request).await;
                }
            })
        })
        .collect();
    for sender in senders {
        sender
            .await
            .expect("a sender that was answered as it should be");
    }
}

/// R-GRA-3: each trace names an agent, a tool and a service of its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_without_end_stay_within_the_bounds_and_all_calls_are_counted() {
    let run = Run::of(News::Names).await;
    // of the ten spans the server's is an entry, the others are calls
    run.calls(
        "traces_service_graph_request_total",
        run.traces * (SPANS - 1),
    )
    .await;
    run.is_bounded("node").await;
    run.end().await;
}

/// R-GRA-3: each trace has an agent call a tool that it never called; the agents and the tools are known.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn edges_without_end_stay_within_the_bounds_and_all_calls_are_counted() {
    let run = Run::of(News::Pairs(traces().isqrt())).await;
    run.calls(
        "traces_service_graph_request_total",
        run.traces * (SPANS - 1),
    )
    .await;
    run.is_bounded("edge").await;
    run.end().await;
}

/// R-GRA-3, B-01: the parent of each trace's agent never comes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn traces_that_never_close_stay_within_the_bounds_and_give_way_counted() {
    let run = Run::of(News::OpenNames).await;
    run.is_bounded("node").await;
    let page = run.daemon.scrape().await;
    let waiting = page.sum(
        "agentguard_graph_spans_evicted_total",
        &["reason=\"waiting\""],
    );
    let settled = page.sum(
        "agentguard_graph_spans_evicted_total",
        &["reason=\"settled\""],
    );
    assert!(waiting + settled > 0.0, "nothing gave way");
    run.end().await;
}
