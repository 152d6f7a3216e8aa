//! Frames, lengths and types that do not fit what they carry.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use agentguard::otlp::Signal;
use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::body::{Body, Frame};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tonic::{Code, Status};

use super::Row;
use super::messages::said;
use crate::requests;
use crate::support::daemon::Daemon;
use crate::support::wait::PATIENCE;
use crate::support::wire::{self, PROTOBUF, Reply, Request};

/// A body of unannounced length, which may never end.
pub(super) struct Pieces {
    pieces: VecDeque<Bytes>,
    ends: bool,
}

impl Pieces {
    pub(super) fn new(pieces: impl IntoIterator<Item = Bytes>) -> Self {
        Pieces {
            pieces: pieces.into_iter().collect(),
            ends: true,
        }
    }

    pub(super) fn without_end(self) -> Self {
        Pieces {
            ends: false,
            ..self
        }
    }
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match self.pieces.pop_front() {
            Some(piece) => Poll::Ready(Some(Ok(Frame::data(piece)))),
            None if self.ends => Poll::Ready(None),
            // nobody wakes it: the peer has to end this
            None => Poll::Pending,
        }
    }
}

/// Posts such a body, over HTTP/2 for gRPC and over HTTP/1 for HTTP.
pub(super) async fn post(address: SocketAddr, is_grpc: bool, body: Pieces) -> Reply {
    let sent = async {
        let socket = TokioIo::new(TcpStream::connect(address).await?);
        let response = if is_grpc {
            let uri = format!("http://{address}{}", Signal::Traces.grpc_path());
            let request = hyper::Request::post(uri)
                .header("content-type", "application/grpc")
                .body(body)?;
            let (mut client, driver) =
                hyper::client::conn::http2::handshake(TokioExecutor::new(), socket).await?;
            tokio::spawn(driver);
            client.send_request(request).await?
        } else {
            let request = hyper::Request::post("/v1/traces")
                .header("host", "test")
                .header("content-type", PROTOBUF);
            let (mut client, driver) = hyper::client::conn::http1::handshake(socket).await?;
            tokio::spawn(driver);
            client.send_request(request.body(body)?).await?
        };
        let (head, body) = response.into_parts();
        let collected = body.collect().await?;
        anyhow::Ok(Reply {
            status: head.status.as_u16(),
            headers: head.headers,
            trailers: collected.trailers().cloned().unwrap_or_default(),
            body: collected.to_bytes(),
        })
    };
    timeout(PATIENCE, sent)
        .await
        .expect("an answer in time")
        .expect("a whole answer")
}

pub(super) fn status_of(reply: &Reply) -> Status {
    let status = Status::from_header_map(&reply.headers);
    status
        .or_else(|| Status::from_header_map(&reply.trailers))
        .expect("a gRPC status")
}

pub(super) async fn run(daemon: &Daemon) -> Vec<Row> {
    let mut rows = grpc_frames(daemon).await;
    rows.extend(lengths(daemon).await);
    rows.extend(types(daemon).await);
    rows
}

fn head(flag: u8, announced: u32, rest: &[u8]) -> Bytes {
    let head = [&[flag][..], &announced.to_be_bytes()].concat();
    Bytes::from([&head[..], rest].concat())
}

async fn grpc_frames(daemon: &Daemon) -> Vec<Row> {
    let whole = requests::one(21);
    let len = u32::try_from(whole.len()).expect("small");
    let two = [wire::frame(false, &whole), wire::frame(false, &whole)].concat();
    let cases: [(&str, Bytes, Code); 8] = [
        (
            "gRPC: no message at all",
            Bytes::new(),
            Code::InvalidArgument,
        ),
        (
            "gRPC: half a message head",
            Bytes::from_static(&[0, 0, 0]),
            Code::InvalidArgument,
        ),
        (
            "gRPC: a compression flag of 2",
            head(2, len, &whole),
            Code::InvalidArgument,
        ),
        (
            "gRPC: marked as compressed, without a coding",
            head(1, len, &whole),
            Code::Internal,
        ),
        (
            "gRPC: announces more than it sends",
            head(0, len + 9, &whole),
            Code::InvalidArgument,
        ),
        (
            "gRPC: announces less than it sends",
            head(0, len - 9, &whole),
            Code::InvalidArgument,
        ),
        (
            "gRPC: two messages in a call of one",
            Bytes::from(two),
            Code::InvalidArgument,
        ),
        (
            "gRPC: announces 4 GiB and sends little",
            head(0, u32::MAX, &whole),
            Code::ResourceExhausted,
        ),
    ];
    let mut rows = Vec::new();
    for (input, body, expected) in cases {
        let reply = wire::grpc(daemon.grpc(), Signal::Traces.grpc_path(), &[], body).await;
        let says = reply.status.message();
        assert_eq!(reply.code(), expected, "{input}: {says}");
        rows.push(Row::new(input, &format!("{expected:?}"), "–", says));
    }
    rows
}

async fn lengths(daemon: &Daemon) -> Vec<Row> {
    let mut rows = Vec::new();
    let five_mib = || (0..80).map(|_| Bytes::from(vec![0_u8; 64 << 10]));
    let grpc = post(daemon.grpc(), true, Pieces::new(five_mib())).await;
    let status = status_of(&grpc);
    assert_eq!(status.code(), Code::ResourceExhausted);
    let http = post(daemon.http(), false, Pieces::new(five_mib())).await;
    assert_eq!(http.status, 413);
    let input = "5 MiB in pieces, of unannounced length";
    rows.push(Row::new(
        input,
        "ResourceExhausted",
        "413",
        status.message(),
    ));

    let announced = "POST /v1/traces HTTP/1.1\r\nhost: test\r\ncontent-type: application/x-protobuf\r\ncontent-length: 99999999999\r\n\r\n";
    let reply = wire::raw(daemon.http(), announced.as_bytes()).await;
    let line = reply.lines().next().unwrap_or_default();
    assert!(line.starts_with("HTTP/1.1 413"), "{reply}");
    rows.push(Row::new(
        "a content length of 100 GB, and no content",
        "–",
        "413",
        "refused before a byte is read",
    ));
    rows
}

async fn types(daemon: &Daemon) -> Vec<Row> {
    let whole = requests::one(22);
    let mut rows = Vec::new();
    for kind in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "application/grpc-web",
        "application/",
    ] {
        let http = wire::http(
            daemon.http(),
            Request::post("/v1/traces", kind, whole.clone()),
        )
        .await;
        assert_eq!(http.status, 415, "{kind}");
        let call = Request::post(Signal::Traces.grpc_path(), kind, wire::frame(false, &whole))
            .over_http2();
        let grpc = wire::http(daemon.grpc(), call).await;
        assert_eq!(grpc.status, 415, "{kind}");
        rows.push(Row::new(
            &format!("the content type `{kind}`"),
            "HTTP 415",
            "415",
            &said(&http),
        ));
    }
    let on_http = Request::post(
        Signal::Traces.grpc_path(),
        "application/grpc",
        wire::frame(false, &whole),
    )
    .over_http2();
    let reply = wire::http(daemon.http(), on_http).await;
    assert_eq!(reply.status, 404, "{}", reply.text());
    rows.push(Row::new(
        "a gRPC call on the HTTP port",
        "–",
        "404",
        &said(&reply),
    ));
    rows
}
