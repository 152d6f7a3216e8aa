//! Exported counters never fall (D4), though parents come after nobody waits for them any more, and clocks disagree.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use agentguard::otlp::Signal;
use bytes::Bytes;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ScopeSpans, Span};
use prost::Message as _;

use crate::support::compare;
use crate::support::daemon::{Daemon, Setup};
use crate::support::metrics::Scrape;
use crate::support::truth::{self, Graph};
use crate::support::wait::{PATIENCE, eventually, free_ports};
use crate::support::wire::GrpcClient;

const CORPUS: &str = "mixed";

/// How often the corpus is sent, each time in traces of its own.
const PASSES: u8 = 6;

/// Spans a second, as far as the machine allows.
const RATE: u32 = 20_000;

/// How long a missing parent is waited for, and how long the late ones take.
const PATIENT: Duration = Duration::from_millis(150);
const LATE: Duration = Duration::from_millis(600);

/// Clocks are off by as much, one way or the other.
const SKEW_SECONDS: u64 = 3;

fn spans(scopes: &mut [ScopeSpans]) -> impl Iterator<Item = &mut Span> {
    scopes.iter_mut().flat_map(|scope| &mut scope.spans)
}

/// How far a service's clock is ahead, from 0 to twice the skew.
fn ahead(resource: Option<&Resource>) -> u64 {
    let attributes = resource.map_or(&[][..], |resource| &resource.attributes);
    let name = attributes.iter().find(|one| one.key == "service.name");
    let name = name.and_then(|one| one.value.as_ref()?.value.as_ref());
    let Some(Value::StringValue(name)) = name else {
        return 0;
    };
    let sum: u64 = name.bytes().map(u64::from).sum();
    sum % (2 * SKEW_SECONDS + 1) * 1_000_000_000
}

/// One pass over the corpus in traces of its own, by clocks that disagree: what comes in time, and what comes late, a third
/// of the spans that have children.
fn pass(requests: &[Bytes], number: u8) -> (Vec<Bytes>, Vec<Bytes>) {
    let mut requests: Vec<_> = requests
        .iter()
        .map(|one| ExportTraceServiceRequest::decode(one.clone()).unwrap())
        .collect();
    let mut parents = HashSet::new();
    for group in requests.iter_mut().flat_map(|one| &mut one.resource_spans) {
        let ahead = ahead(group.resource.as_ref());
        for span in spans(&mut group.scope_spans) {
            span.start_time_unix_nano += ahead;
            span.end_time_unix_nano += ahead;
            span.trace_id[0] ^= number;
            for link in &mut span.links {
                link.trace_id[0] ^= number;
            }
            parents.insert((span.trace_id.clone(), span.parent_span_id.clone()));
        }
    }
    let is_late = |span: &Span| {
        let id = (span.trace_id.clone(), span.span_id.clone());
        parents.contains(&id) && span.span_id[7].is_multiple_of(3)
    };
    let (mut in_time, mut late) = (Vec::new(), Vec::new());
    for request in requests {
        for (list, wanted) in [(&mut in_time, false), (&mut late, true)] {
            let mut part = request.clone();
            for scope in part
                .resource_spans
                .iter_mut()
                .flat_map(|one| &mut one.scope_spans)
            {
                scope.spans.retain(|span| is_late(span) == wanted);
            }
            list.push(Bytes::from(part.encode_to_vec()));
        }
    }
    (in_time, late)
}

/// Sends them one after another, at the rate.
async fn send(to: SocketAddr, requests: Vec<Bytes>) {
    let mut client = GrpcClient::connect(to).await;
    let (started, mut sent) = (Instant::now(), 0);
    for request in &requests {
        client.deliver(Signal::Traces, request).await;
        sent += compare::count(Signal::Traces, std::slice::from_ref(request));
        let due = Duration::from_secs(1) * u32::try_from(sent).unwrap() / RATE;
        tokio::time::sleep(due.saturating_sub(started.elapsed())).await;
    }
}

/// Scrapes until told that it is over; each sample stays or grows, and none goes away. Answers how often it scraped.
async fn watch(page: SocketAddr, is_over: Arc<AtomicBool>) -> usize {
    let mut before = Scrape::of(page).await;
    for scrapes in 1.. {
        let was_over = is_over.load(Ordering::Relaxed);
        let after = Scrape::of(page).await;
        let counters = after.counters();
        for (series, value) in before.counters() {
            let now = counters.get(series).copied();
            assert!(
                now.is_some_and(|now| now >= value),
                "{series}: {value}, then {now:?}"
            );
        }
        before = after;
        if was_over {
            return scrapes;
        }
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
    unreachable!("counting never ends")
}

/// D4, B-05, R-INT-1.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn exported_counters_never_fall_though_parents_come_late_and_clocks_disagree() {
    let [page] = free_ports();
    let connector = format!(
        "connectors:\n  agentguard: {{tick_interval: 20ms, orphan_timeout: {}ms, client_kind: true, server_kind: true}}\n",
        PATIENT.as_millis()
    );
    let setup = Setup::new()
        .sections(&connector)
        .exporter("prometheus", &format!("endpoint: {page}"))
        .pipelines(
            "traces:\n  receivers: [otlp]\n  exporters: [agentguard]\n\
             metrics:\n  receivers: [agentguard]\n  exporters: [prometheus]\n",
        );
    let mut daemon = Daemon::start(&setup).await;
    let is_over = Arc::new(AtomicBool::new(false));
    let watcher = tokio::spawn(watch(page, Arc::clone(&is_over)));
    let recorded = truth::requests(CORPUS);
    let mut belated = Vec::new();
    for number in 1..=PASSES {
        let (in_time, late) = pass(&recorded, number);
        send(daemon.grpc(), in_time).await;
        let to = daemon.grpc();
        belated.push(tokio::spawn(async move {
            tokio::time::sleep(LATE).await;
            send(to, late).await;
        }));
    }
    for late in belated {
        late.await.unwrap();
    }
    let right = Graph::of_truth(CORPUS).times(u64::from(PASSES));
    let spans = compare::count(Signal::Traces, &recorded) * usize::from(PASSES);
    daemon
        .counted("agentguard_scan_spans_total", &[], spans as f64)
        .await;
    // an edge that was shown a call too many for a while keeps it until its next one
    eventually("all true calls are shown", PATIENCE, || async {
        let shown = Graph::of_scrape(&Scrape::of(page).await);
        let is_shown = right.edges.iter().all(|(edge, (calls, errors))| {
            let shown = shown.edges.get(edge).copied().unwrap_or_default();
            shown.0 >= *calls && shown.1 >= *errors
        });
        is_shown.then_some(())
    })
    .await;
    is_over.store(true, Ordering::Relaxed);
    let scrapes = watcher.await.expect("counters that never fall");
    // a slow machine scrapes less often, and still more than once a stage
    assert!(scrapes >= 8, "{scrapes} scrapes");
    let given_up = daemon.scrape().await;
    let given_up = given_up.sum("agentguard_graph_parents_missing_total", &[]);
    assert!(given_up > 1_000.0, "{given_up} parents came late");
    daemon.stop().await;
}
