//! The graph of generated traces is the one that they were generated from, exactly: nodes, edges, calls, errors (R-GRA-2).
//!
//! Through the file's way and the daemon's, however the spans are cut into requests, in whatever order they come, and
//! when they come twice.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::process::Command;

use agentguard::otlp::Signal;
use bytes::Bytes;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, Span, span::SpanKind};
use prost::Message as _;
use tempfile::TempDir;

use crate::support::compare::{self, Overlook};
use crate::support::daemon::{self, Daemon, Setup};
use crate::support::metrics::Scrape;
use crate::support::peers;
use crate::support::stub::Stub;
use crate::support::truth::{self, Graph};
use crate::support::wait::{PATIENCE, eventually, free_ports};
use crate::support::wire::GrpcClient;

const CORPUS: &str = "mixed";

/// Requests under way at a time.
const SENDERS: usize = 8;

/// How the spans reach us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Arrival {
    /// In the requests in which they were recorded.
    Recorded,
    /// All in one request.
    AtOnce,
    /// Each in a request of its own, in order.
    Single,
    /// The same, in any order.
    Shuffled,
    /// The same, each twice.
    Doubled,
}

const ARRIVALS: [Arrival; 5] = [
    Arrival::Recorded,
    Arrival::AtOnce,
    Arrival::Single,
    Arrival::Shuffled,
    Arrival::Doubled,
];

fn decoded(request: &Bytes) -> ExportTraceServiceRequest {
    ExportTraceServiceRequest::decode(request.clone()).unwrap()
}

/// Every span as a request of its own.
fn singles(requests: &[Bytes]) -> Vec<Bytes> {
    let mut singles = Vec::new();
    for mut group in requests.iter().flat_map(|one| decoded(one).resource_spans) {
        for mut scope in std::mem::take(&mut group.scope_spans) {
            for span in std::mem::take(&mut scope.spans) {
                let mut around = scope.clone();
                around.spans.push(span);
                let mut whole: ResourceSpans = group.clone();
                whole.scope_spans.push(around);
                let resource_spans = vec![whole];
                let single = ExportTraceServiceRequest { resource_spans };
                singles.push(Bytes::from(single.encode_to_vec()));
            }
        }
    }
    singles
}

/// Any order, the same for the same seed.
fn shuffle(requests: &mut [Bytes], mut seed: u64) {
    for left in (1..requests.len()).rev() {
        // Knuth's MMIX generator; its high bits are good enough here
        seed = seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let other = usize::try_from(seed >> 33).unwrap() % (left + 1);
        requests.swap(left, other);
    }
}

fn arriving(requests: &[Bytes], arrival: Arrival) -> Vec<Bytes> {
    let mut singles = match arrival {
        Arrival::Recorded => return requests.to_vec(),
        // requests that follow on each other are one request to protobuf
        Arrival::AtOnce => return vec![Bytes::from(requests.concat())],
        Arrival::Single | Arrival::Shuffled | Arrival::Doubled => singles(requests),
    };
    if arrival == Arrival::Doubled {
        singles.extend(singles.clone());
    }
    if arrival != Arrival::Single {
        shuffle(&mut singles, 20);
    }
    singles
}

/// R-GRA-2: the same graph from any arrival, by the same code as the daemon's.
#[tokio::test]
async fn scan_gives_the_true_graph_of_any_arrival() {
    let right = Graph::of_truth(CORPUS);
    assert!(right.edges.len() > 150, "{}", right.edges.len());
    let recorded = truth::requests(CORPUS);
    let folder = TempDir::new().unwrap();
    for arrival in ARRIVALS {
        let path = folder.path().join(format!("{arrival:?}.otlp"));
        let file = crate::support::capture::file_of(&arriving(&recorded, arrival));
        std::fs::write(&path, file).unwrap();
        let mut scan = Command::new(daemon::binary());
        scan.args(["scan", "--output", "json"]).arg(&path);
        let printed = peers::run(scan).await;
        assert!(printed.status.success(), "{arrival:?}: {printed:?}");
        let differences = Graph::of_scan(&printed.stdout).differences(&right);
        assert!(differences.is_empty(), "{arrival:?}: {differences:#?}");
    }
}

/// The requests as if the same had happened once more: in other traces, links between them kept.
fn once_more(requests: &[Bytes], pass: u8) -> Vec<Bytes> {
    let moved = requests.iter().map(|request| {
        let mut request = decoded(request);
        let groups = request.resource_spans.iter_mut();
        let scopes = groups.flat_map(|group| &mut group.scope_spans);
        for span in scopes.flat_map(|scope| &mut scope.spans) {
            let links = span.links.iter_mut().map(|link| &mut link.trace_id);
            for trace in links.chain([&mut span.trace_id]) {
                trace[0] ^= pass;
            }
        }
        Bytes::from(request.encode_to_vec())
    });
    moved.collect()
}

/// Sends them from several connections, each as often as it takes.
async fn send(to: SocketAddr, requests: &[Bytes]) {
    let senders: Vec<_> = (0..SENDERS)
        .map(|number| {
            let own: Vec<Bytes> = requests
                .iter()
                .skip(number)
                .step_by(SENDERS)
                .cloned()
                .collect();
            tokio::spawn(async move {
                let mut client = GrpcClient::connect(to).await;
                for request in &own {
                    client.deliver(Signal::Traces, request).await;
                }
            })
        })
        .collect();
    for sender in senders {
        sender.await.unwrap();
    }
}

/// Whether a span of the corpus is the work of a node: all but those of clients whose server speaks for itself, and of
/// those that take messages.
fn bears_node(span: &Span) -> bool {
    let says = |key: &str| span.attributes.iter().any(|attribute| attribute.key == key);
    match span.kind() {
        SpanKind::Client => says("gen_ai.operation.name") || says("db.system.name"),
        SpanKind::Consumer => false,
        _ => true,
    }
}

/// R-STR-5: each span that bears a node names it once, and no other does. Answers how many do.
fn named(requests: &[Bytes]) -> usize {
    let mut named = 0;
    let groups = requests.iter().flat_map(|one| decoded(one).resource_spans);
    let scopes = groups.flat_map(|group| group.scope_spans);
    for span in scopes.flat_map(|scope| scope.spans) {
        for key in ["agentguard.node.id", "agentguard.node.kind"] {
            let of_key = span.attributes.iter().filter(|one| one.key == key);
            assert_eq!(
                of_key.count(),
                usize::from(bears_node(&span)),
                "{key}: {span:?}"
            );
        }
        named += usize::from(bears_node(&span));
    }
    named
}

/// R-GRA-2, R-STR-5, R-STR-6: after each pass the daemon has counted one truth more, and has passed on each span once.
async fn passes_add_up(shards: usize) {
    let [page] = free_ports();
    let stub = Stub::start().await;
    let connector = format!(
        "connectors:\n  agentguard: {{tick_interval: 50ms, shards: {shards}, client_kind: true, server_kind: true}}\n"
    );
    let setup = Setup::new()
        .sections(&connector)
        .otlp(stub.address(), "")
        .exporter("prometheus", &format!("endpoint: {page}"))
        .pipelines(
            "traces/in:\n  receivers: [otlp]\n  exporters: [agentguard]\n\
             traces/out:\n  receivers: [agentguard]\n  exporters: [otlp]\n\
             metrics:\n  receivers: [agentguard]\n  exporters: [prometheus]\n",
        );
    let mut daemon = Daemon::start(&setup).await;
    let (truth, recorded) = (Graph::of_truth(CORPUS), truth::requests(CORPUS));
    let mut sent = Vec::new();
    let arrivals = [Arrival::Recorded, Arrival::AtOnce, Arrival::Doubled];
    for (pass, arrival) in (1..).zip(arrivals) {
        let requests = arriving(&once_more(&recorded, pass), arrival);
        send(daemon.grpc(), &requests).await;
        sent.extend(requests);
        let right = truth.times(u64::from(pass));
        let what = format!("{pass} times the truth ({arrival:?}, {shards} shards)");
        let last = std::cell::RefCell::new(Vec::new());
        let reached = eventually(&what, PATIENCE * 2, || async {
            let differences = Graph::of_scrape(&Scrape::of(page).await).differences(&right);
            let is_reached = differences.is_empty();
            last.replace(differences);
            is_reached.then_some(())
        });
        tokio::select! {
            () = reached => {}
            () = tokio::time::sleep(PATIENCE) => panic!("{what}: {:#?}", last.borrow()),
        }
    }
    let own = daemon.scrape().await;
    let spans = compare::count(Signal::Traces, &sent);
    let delivered = "otelcol_exporter_sent_spans_total";
    daemon
        .counted(delivered, &["exporter=\"otlp\""], spans as f64)
        .await;
    let arrived = stub.taken(Signal::Traces);
    let overlook = Overlook {
        prefix: Some("agentguard."),
        ..Overlook::default()
    };
    let equal = compare::compare(Signal::Traces, &sent, &arrived, overlook).unwrap();
    assert_eq!(equal, spans);
    let read_as_nodes = own.sum("agentguard_scan_spans_total", &["reading=\"node\""]);
    assert_eq!(read_as_nodes, named(&arrived) as f64);
    let once: HashSet<Bytes> = singles(&sent).into_iter().collect();
    let again = (spans - once.len()) as f64;
    let doubled = "agentguard_graph_spans_duplicate_total";
    daemon.counted(doubled, &[], again).await;
    let doubled = daemon.scrape().await.sum(doubled, &[]);
    assert!((doubled - again).abs() < 0.5, "{doubled} came again");
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_daemon_counts_each_pass_once_with_one_shard() {
    passes_add_up(1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_daemon_counts_each_pass_once_with_four_shards() {
    passes_add_up(4).await;
}
