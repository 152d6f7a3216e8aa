//! Peers that are slow, silent, many, or speak something else.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use agentguard::otlp::Signal;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};
use tonic::Code;

use super::Row;
use super::frames::{Pieces, post, status_of};
use super::messages::said;
use crate::requests;
use crate::support::daemon::Daemon;
use crate::support::wait::PATIENCE;
use crate::support::wire::{self, PROTOBUF, Request};

/// What every HTTP/2 connection begins with.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// As `bad_input::setup` has it.
const MAX_CONNECTIONS: usize = 12;

pub(super) async fn run(daemon: &Daemon) -> Vec<Row> {
    let mut rows = slow(daemon).await;
    rows.extend(strangers(daemon).await);
    rows.extend(floods(daemon).await);
    rows.push(many(daemon).await);
    rows
}

/// How a connection ended: an HTTP/1 status if there was one. Whether HTTP/2's farewell arrives before the reset of a
/// connection that was closed with bytes unread is the kernel's choice, so both are an end.
async fn end_of(mut socket: TcpStream) -> String {
    let mut reply = Vec::new();
    let read = timeout(PATIENCE, socket.read_to_end(&mut reply)).await;
    // a reset is an end as well
    drop(read.expect("the connection is closed"));
    let text = String::from_utf8_lossy(&reply);
    let status = text.strip_prefix("HTTP/1.1 ");
    let status = status.and_then(|rest| rest.split(' ').next());
    status.unwrap_or("closed").to_owned()
}

async fn connect(address: SocketAddr) -> TcpStream {
    TcpStream::connect(address).await.expect("a connection")
}

/// Sends bytes on a connection of its own, and says how that ended.
async fn sent(address: SocketAddr, bytes: &[u8]) -> String {
    let mut socket = connect(address).await;
    // the peer may close before it has read everything
    drop(socket.write_all(bytes).await);
    end_of(socket).await
}

async fn slow(daemon: &Daemon) -> Vec<Row> {
    let mut rows = Vec::new();
    for (input, bytes) in [
        ("a connection that says nothing", &b""[..]),
        ("the first letter of a request, and no more", b"P"),
        ("half of HTTP/2's preface, and no more", &PREFACE[..12]),
    ] {
        let started = Instant::now();
        let http = sent(daemon.http(), bytes).await;
        let took = started.elapsed();
        assert!(took < Duration::from_secs(10), "{input}: {took:?}");
        rows.push(Row::new(input, "–", &http, "after the time for a head"));
    }
    let head = b"POST /v1/traces HTTP/1.1\r\nhost: test\r\nx-slow: ";
    let mut socket = connect(daemon.http()).await;
    socket.write_all(head).await.expect("bytes written");
    let started = Instant::now();
    while started.elapsed() < PATIENCE && socket.write_all(b"x").await.is_ok() {
        sleep(Duration::from_millis(100)).await;
    }
    assert!(
        started.elapsed() < Duration::from_secs(10),
        "cut off while it drips"
    );
    rows.push(Row::new(
        "a head that drips, letter by letter",
        "–",
        "closed",
        "after the time for a head",
    ));

    let first = || Pieces::new([wire::frame(false, &requests::one(31)).slice(..9)]).without_end();
    let grpc = status_of(&post(daemon.grpc(), true, first()).await);
    assert_eq!(grpc.code(), Code::DeadlineExceeded);
    let http = post(daemon.http(), false, first()).await;
    assert_eq!(http.status, 408);
    rows.push(Row::new(
        "a body that stops in the middle",
        "DeadlineExceeded",
        "408",
        &said(&http),
    ));

    let mut socket = connect(daemon.http()).await;
    let cut = "POST /v1/traces HTTP/1.1\r\nhost: test\r\ncontent-type: application/x-protobuf\r\ncontent-length: 100\r\n\r\nshort";
    socket
        .write_all(cut.as_bytes())
        .await
        .expect("bytes written");
    socket.shutdown().await.expect("half closed");
    let http = end_of(socket).await;
    rows.push(Row::new(
        "a body shorter than announced, and the end",
        "–",
        &http,
        "nobody is left to be told",
    ));
    rows
}

async fn strangers(daemon: &Daemon) -> Vec<Row> {
    let garbage = vec![
        0x16_u8, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3, 0x77, 0x11, 0x0d, 0x0a, 0x0d, 0x0a,
    ];
    let request = b"POST /v1/traces HTTP/1.1\r\nhost: test\r\ncontent-length: 0\r\n\r\n";
    let wild = [PREFACE, &[0xff; 200][..]].concat();
    let mut rows = Vec::new();
    for (input, bytes, ports) in [
        ("the hello of TLS", &garbage[..], [true, true]),
        ("lines of text", b"HELO there\r\n\r\n\r\n\r\n", [true, true]),
        ("an HTTP/1 request on the gRPC port", request, [true, false]),
        ("HTTP/2's preface, then garbage", &wild, [true, true]),
    ] {
        let mut answers = ["–".to_owned(), "–".to_owned()];
        for (at, address) in [daemon.grpc(), daemon.http()].into_iter().enumerate() {
            if ports[at] {
                answers[at] = sent(address, bytes).await;
            }
        }
        rows.push(Row::new(
            input,
            &answers[0],
            &answers[1],
            "the connection ends",
        ));
    }
    let long = "x".repeat(1 << 20);
    let head = format!("POST /v1/traces HTTP/1.1\r\nhost: test\r\nx-long: {long}\r\n\r\n");
    let http = sent(daemon.http(), head.as_bytes()).await;
    assert!(matches!(http.as_str(), "431" | "closed"), "{http}");
    let call = Request::post(
        Signal::Traces.grpc_path(),
        "application/grpc",
        wire::frame(false, b""),
    )
    .header("x-long", &long[..100_000])
    .over_http2();
    let grpc = match wire::try_http(daemon.grpc(), call).await {
        Ok(reply) => format!("HTTP {}", reply.status),
        Err(_) => "the stream is reset".to_owned(),
    };
    rows.push(Row::new(
        "headers of 100 KB (HTTP/2) and 1 MB (HTTP/1)",
        &grpc,
        "431",
        "beyond the limit of 16 KiB or hyper's",
    ));
    rows
}

/// A frame of HTTP/2.
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let len = u32::try_from(payload.len())
        .expect("a short frame")
        .to_be_bytes();
    [&len[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// `:method POST`, `:scheme http`, `:path /`, `:authority x`, from HPACK's static table.
const HEADERS: &[u8] = &[0x83, 0x86, 0x84, 0x41, 0x01, b'x'];

async fn floods(daemon: &Daemon) -> Vec<Row> {
    let open = [PREFACE, &frame(4, 0, 0, &[])].concat();
    let streams = || (0..20_000_u32).map(|number| number * 2 + 1);
    let resets: Vec<u8> = streams()
        .flat_map(|id| {
            [
                frame(1, 4, id, HEADERS),
                frame(3, 0, id, &8_u32.to_be_bytes()),
            ]
            .concat()
        })
        .collect();
    let mut continuations = frame(1, 0, 1, HEADERS);
    for _ in 0..20_000 {
        continuations.extend(frame(9, 0, 1, &[0x40, 1, b'a', 1, b'b']));
    }
    let pings: Vec<u8> = (0..20_000).flat_map(|_| frame(6, 0, 0, &[7; 8])).collect();
    let settings: Vec<u8> = (0..20_000).flat_map(|_| frame(4, 0, 0, &[])).collect();
    let mut rows = Vec::new();
    for (input, flood) in [
        (
            "20 000 streams opened and reset at once (HTTP/2 rapid reset)",
            resets,
        ),
        ("20 000 continuations of one head", continuations),
    ] {
        let bytes = [&open[..], &flood].concat();
        let grpc = sent(daemon.grpc(), &bytes).await;
        let http = sent(daemon.http(), &bytes).await;
        rows.push(Row::new(input, &grpc, &http, "the connection ends"));
    }
    for (input, flood) in [
        ("20 000 pings that nobody reads the answers of", pings),
        ("20 000 settings alike", settings),
    ] {
        for address in [daemon.grpc(), daemon.http()] {
            let mut socket = connect(address).await;
            // written as far as the other side reads: it may stop, and must not store
            let written = timeout(Duration::from_secs(2), async {
                socket.write_all(&open).await?;
                socket.write_all(&flood).await
            });
            drop(written.await);
        }
        rows.push(Row::new(
            input,
            "open",
            "open",
            "answered as far as the peer reads",
        ));
    }
    rows
}

/// More than `max_connections` wait their turn, and those that say nothing lose their place.
async fn many(daemon: &Daemon) -> Row {
    for address in [daemon.grpc(), daemon.http()] {
        let mut silent = Vec::new();
        for _ in 0..MAX_CONNECTIONS * 3 {
            silent.push(connect(address).await);
        }
        let started = Instant::now();
        if address == daemon.grpc() {
            let reply = wire::export(address, Signal::Traces, &requests::one(32)).await;
            assert_eq!(reply.code(), Code::Ok);
        } else {
            let post = Request::post("/v1/traces", PROTOBUF, requests::one(33));
            assert_eq!(wire::http(address, post).await.status, 200);
        }
        assert!(
            started.elapsed() < PATIENCE,
            "served behind the silent ones"
        );
    }
    Row::new(
        "36 silent connections where 12 are allowed, then a request",
        "Ok",
        "200",
        "taken once the silent ones before it have lost their places",
    )
}
