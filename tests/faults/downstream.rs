//! The next hop comes late, goes away in the middle, and loses answers.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use agentguard::otlp::Signal;
use bytes::Bytes;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tonic::Code;

use crate::requests::{ids, one};
use crate::support::daemon::{Daemon, Setup};
use crate::support::stub::Stub;
use crate::support::wait::free_ports;
use crate::support::wire;

async fn acknowledged(daemon: &Daemon, ids: std::ops::Range<u64>) {
    for id in ids {
        let reply = wire::export(daemon.grpc(), Signal::Traces, &one(id)).await;
        assert_eq!(reply.code(), Code::Ok, "{reply:?}");
    }
}

/// R-STR-6.
#[tokio::test]
async fn a_next_hop_that_comes_late_gets_everything_once() {
    for kind in ["otlp", "otlphttp"] {
        let [address] = free_ports();
        let setup = match kind {
            "otlp" => Setup::new().otlp(address, ""),
            _ => Setup::new().otlphttp(address, ""),
        };
        let mut daemon = Daemon::start(&setup).await;
        acknowledged(&daemon, 0..50).await;
        daemon
            .counted("agentguard_exporter_retries_total", &[], 20.0)
            .await;
        let stub = Stub::start_at(address).await;
        stub.items(Signal::Traces, 50).await;
        daemon.stop().await;
        let arrived = ids(&stub.taken(Signal::Traces));
        assert_eq!(arrived.len(), 50, "{kind}");
        assert!(
            arrived.values().all(|times| *times == 1),
            "{kind}: {arrived:?}"
        );
    }
}

/// What a relay between daemon and stub cuts: connections, after so many bytes of the one direction or the other.
struct Cuts {
    is_cutting: AtomicBool,
    /// Bytes of requests after which a connection is cut.
    requests: usize,
    /// Bytes of answers after which a connection is cut.
    answers: usize,
}

/// Passes bytes on, until the cut.
async fn relay(listener: TcpListener, to: SocketAddr, cuts: Arc<Cuts>) {
    while let Ok((mut near, _)) = listener.accept().await {
        let cuts = Arc::clone(&cuts);
        tokio::spawn(async move {
            let Ok(mut far) = TcpStream::connect(to).await else {
                return;
            };
            if !cuts.is_cutting.load(Ordering::Relaxed) {
                // an error is a side that went away
                drop(tokio::io::copy_bidirectional(&mut near, &mut far).await);
                return;
            }
            let (mut near_in, mut near_out) = near.split();
            let (mut far_in, mut far_out) = far.split();
            tokio::select! {
                () = pass(&mut near_in, &mut far_out, cuts.requests) => {}
                () = pass(&mut far_in, &mut near_out, cuts.answers) => {}
            }
        });
    }
}

async fn pass(
    from: &mut (impl tokio::io::AsyncRead + Unpin),
    to: &mut (impl tokio::io::AsyncWrite + Unpin),
    mut left: usize,
) {
    let mut buffer = [0; 512];
    while left > 0 {
        let Ok(read @ 1..) = from.read(&mut buffer[..left.min(512)]).await else {
            return;
        };
        if to.write_all(&buffer[..read]).await.is_err() {
            return;
        }
        left -= read;
    }
}

async fn through_a_bad_network(
    setup: impl Fn(SocketAddr) -> Setup,
    requests: usize,
    answers: usize,
) {
    let stub = Stub::start().await;
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let cuts = Arc::new(Cuts {
        is_cutting: AtomicBool::new(true),
        requests,
        answers,
    });
    tokio::spawn(relay(listener, stub.address(), Arc::clone(&cuts)));
    let mut daemon = Daemon::start(&setup(address)).await;
    acknowledged(&daemon, 0..200).await;
    daemon
        .counted("agentguard_exporter_retries_total", &[], 20.0)
        .await;
    cuts.is_cutting.store(false, Ordering::Relaxed);
    daemon
        .counted("otelcol_exporter_sent_spans_total", &[], 200.0)
        .await;
    let retries = daemon
        .scrape()
        .await
        .sum("agentguard_exporter_retries_total", &[]);
    daemon.stop().await;
    let arrived = ids(&stub.taken(Signal::Traces));
    assert_eq!(
        arrived.keys().copied().collect::<Vec<_>>(),
        (0..200).collect::<Vec<_>>()
    );
    // a request may come again only where its answer was lost, which the daemon has counted as a retry
    let doubled: usize = arrived.values().map(|times| times - 1).sum();
    assert!(
        doubled as f64 <= retries,
        "{doubled} doubled by {retries} retries"
    );
}

/// R-STR-6: acknowledged ⊆ delivered, doubled only where an answer was lost.
#[tokio::test]
async fn connections_cut_in_the_middle_of_requests_lose_nothing_over_grpc() {
    through_a_bad_network(|to| Setup::new().otlp(to, ""), 3_000, 400).await;
}

/// The same over HTTP.
#[tokio::test]
async fn connections_cut_in_the_middle_of_requests_lose_nothing_over_http() {
    through_a_bad_network(|to| Setup::new().otlphttp(to, ""), 1_000, 250).await;
}

/// No answer was lost, so nothing may come twice: requests were cut before their ends.
#[tokio::test]
async fn a_request_that_was_cut_before_its_end_is_delivered_once() {
    let stub = Stub::start().await;
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let cuts = Arc::new(Cuts {
        is_cutting: AtomicBool::new(true),
        requests: 100,
        answers: usize::MAX,
    });
    tokio::spawn(relay(listener, stub.address(), Arc::clone(&cuts)));
    let mut daemon = Daemon::start(&Setup::new().otlphttp(address, "")).await;
    acknowledged(&daemon, 0..20).await;
    daemon
        .counted("agentguard_exporter_retries_total", &[], 20.0)
        .await;
    assert_eq!(stub.seen().len(), 0, "not one came whole");
    cuts.is_cutting.store(false, Ordering::Relaxed);
    stub.items(Signal::Traces, 20).await;
    daemon.stop().await;
    let arrived = ids(&stub.taken(Signal::Traces));
    assert_eq!(
        arrived.into_iter().collect::<Vec<_>>(),
        (0..20).map(|id| (id, 1)).collect::<Vec<_>>()
    );
}

/// A hop that answers with anything at all must not end more than its own delivery.
#[tokio::test]
async fn a_next_hop_that_speaks_garbage_harms_nothing_else() {
    let good = Stub::start().await;
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            tokio::spawn(async move {
                let garbage = Bytes::from(vec![0xa5; 100_000]);
                // an error is a daemon that hung up
                drop(socket.write_all(&garbage).await);
                tokio::time::sleep(Duration::from_millis(20)).await;
            });
        }
    });
    let quick =
        "compression: none\nretry_on_failure: {initial_interval: 30ms, max_interval: 100ms}";
    let setup = Setup::new()
        .otlp(good.address(), "")
        .exporter(
            "otlp/bad",
            &format!("endpoint: {address}\ntls:\n  insecure: true\n{quick}"),
        )
        .exporter(
            "otlphttp/bad",
            &format!("endpoint: http://{address}\n{quick}"),
        );
    let daemon = Daemon::start(&setup).await;
    acknowledged(&daemon, 0..20).await;
    good.items(Signal::Traces, 20).await;
    daemon
        .counted(
            "agentguard_exporter_retries_total",
            &["exporter=\"otlp/bad\""],
            5.0,
        )
        .await;
    daemon
        .counted(
            "agentguard_exporter_retries_total",
            &["exporter=\"otlphttp/bad\""],
            5.0,
        )
        .await;
    let panics = daemon
        .scrape()
        .await
        .sum("agentguard_task_panics_total", &[]);
    assert_eq!(panics, 0.0);
}
