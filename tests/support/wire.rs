//! Raw clients: any bytes, any headers, over HTTP/1.1, HTTP/2 and gRPC.

use std::io::Write as _;
use std::net::SocketAddr;
use std::time::Duration;

use agentguard::otlp::Signal;
use bytes::{BufMut as _, Bytes, BytesMut};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::{HeaderMap, Method, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::support::wait::PATIENCE;

/// The media type of OTLP/HTTP in protobuf.
pub const PROTOBUF: &str = "application/x-protobuf";
/// The media type of OTLP/HTTP in JSON.
pub const JSON: &str = "application/json";

/// An HTTP request to be sent as it is.
#[derive(Clone, Debug)]
pub struct Request {
    method: Method,
    path: String,
    headers: Vec<(String, String)>,
    body: Bytes,
    http2: bool,
}

impl Request {
    /// Of any method, without headers.
    #[must_use]
    pub fn new(method: Method, path: &str) -> Self {
        Request {
            method,
            path: path.to_owned(),
            headers: Vec::new(),
            body: Bytes::new(),
            http2: false,
        }
    }

    /// A GET.
    #[must_use]
    pub fn get(path: &str) -> Self {
        Request::new(Method::GET, path)
    }

    /// A POST with a content type.
    #[must_use]
    pub fn post(path: &str, content_type: &str, body: impl Into<Bytes>) -> Self {
        let mut request = Request::new(Method::POST, path).header("content-type", content_type);
        request.body = body.into();
        request
    }

    /// The same with one more header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The same over HTTP/2 with prior knowledge.
    #[must_use]
    pub fn over_http2(mut self) -> Self {
        self.http2 = true;
        self
    }
}

/// What came back.
#[derive(Debug)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The trailers; empty when there were none.
    pub trailers: HeaderMap,
    /// The whole body.
    pub body: Bytes,
}

impl Reply {
    /// A header's text, or nothing.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name);
        value.and_then(|value| value.to_str().ok()).unwrap_or("")
    }

    /// The content type without parameters.
    #[must_use]
    pub fn media_type(&self) -> &str {
        self.header("content-type")
            .split(';')
            .next()
            .unwrap_or("")
            .trim()
    }

    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// Sends one request over a connection of its own.
///
/// # Panics
/// When no whole reply comes.
pub async fn http(address: SocketAddr, request: Request) -> Reply {
    let told = format!("{} {} to {address}", request.method, request.path);
    try_http(address, request)
        .await
        .unwrap_or_else(|error| panic!("{told}: {error:#}"))
}

/// The same where a failure is one of the outcomes.
///
/// # Errors
/// When no connection is made or no whole reply comes in time.
pub async fn try_http(address: SocketAddr, request: Request) -> anyhow::Result<Reply> {
    timeout(PATIENCE, async {
        let socket = TokioIo::new(TcpStream::connect(address).await?);
        let mut built = hyper::Request::builder().method(request.method);
        for (name, value) in &request.headers {
            built = built.header(name, value);
        }
        if request.http2 {
            let built = built.uri(format!("http://{address}{}", request.path));
            let built = built.body(Full::new(request.body))?;
            let executor = TokioExecutor::new();
            let (mut client, driver) =
                hyper::client::conn::http2::handshake(executor, socket).await?;
            let driver = tokio::spawn(driver);
            let reply = collect(client.send_request(built).await?).await;
            driver.abort();
            reply
        } else {
            let built = built.header("host", address.to_string()).uri(request.path);
            let built = built.body(Full::new(request.body))?;
            let (mut client, driver) = hyper::client::conn::http1::handshake(socket).await?;
            let driver = tokio::spawn(driver);
            let reply = collect(client.send_request(built).await?).await;
            driver.abort();
            reply
        }
    })
    .await?
}

async fn collect(response: Response<Incoming>) -> anyhow::Result<Reply> {
    let (head, body) = response.into_parts();
    let collected = body.collect().await?;
    Ok(Reply {
        status: head.status.as_u16(),
        headers: head.headers,
        trailers: collected.trailers().cloned().unwrap_or_default(),
        body: collected.to_bytes(),
    })
}

/// Sends bytes as they are over TCP and reads until the other side closes.
///
/// # Panics
/// When the connection fails or stays open.
pub async fn raw(address: SocketAddr, bytes: &[u8]) -> String {
    let mut socket = TcpStream::connect(address).await.expect("a connection");
    socket.write_all(bytes).await.expect("bytes written");
    let mut reply = Vec::new();
    timeout(PATIENCE, socket.read_to_end(&mut reply))
        .await
        .expect("the connection closes")
        .expect("bytes read");
    String::from_utf8_lossy(&reply).into_owned()
}

/// The outcome of a gRPC call.
#[derive(Debug)]
pub struct GrpcReply {
    /// The HTTP status, 200 in a correct reply.
    pub http: u16,
    /// Content type and the rest of the initial metadata.
    pub headers: HeaderMap,
    /// Code, message and details, from the trailers or a trailers-only reply.
    pub status: Status,
    /// The message, without its frame.
    pub message: Option<Bytes>,
}

impl GrpcReply {
    /// The status code.
    #[must_use]
    pub fn code(&self) -> Code {
        self.status.code()
    }
}

/// Calls `Export` of a signal with an uncompressed message.
///
/// # Panics
/// When no whole reply comes.
pub async fn export(address: SocketAddr, signal: Signal, message: &[u8]) -> GrpcReply {
    grpc(address, signal.grpc_path(), &[], frame(false, message)).await
}

/// Calls any method with a body that is already framed.
///
/// # Panics
/// When no whole reply comes.
pub async fn grpc(
    address: SocketAddr,
    path: &str,
    headers: &[(&str, &str)],
    body: Bytes,
) -> GrpcReply {
    try_grpc(address, path, headers, body)
        .await
        .unwrap_or_else(|error| panic!("{path} at {address}: {error:#}"))
}

/// The same where a failure is one of the outcomes.
///
/// # Errors
/// When no connection is made or no whole reply comes in time.
pub async fn try_grpc(
    address: SocketAddr,
    path: &str,
    headers: &[(&str, &str)],
    body: Bytes,
) -> anyhow::Result<GrpcReply> {
    let mut request = Request::post(path, "application/grpc", body)
        .header("te", "trailers")
        .over_http2();
    for (name, value) in headers {
        request = request.header(name, value);
    }
    let reply = try_http(address, request).await?;
    let status = Status::from_header_map(&reply.trailers)
        .or_else(|| Status::from_header_map(&reply.headers))
        .unwrap_or_else(|| Status::unknown(format!("no grpc-status in {reply:?}")));
    let message = (reply.body.len() >= 5).then(|| reply.body.slice(5..));
    Ok(GrpcReply {
        http: reply.status,
        headers: reply.headers,
        status,
        message,
    })
}

/// A client over one connection that stays open, for many requests. Clones share the connection.
#[derive(Clone)]
pub struct GrpcClient {
    address: SocketAddr,
    sender: hyper::client::conn::http2::SendRequest<Full<Bytes>>,
}

impl GrpcClient {
    /// Connects.
    ///
    /// # Panics
    /// When nobody listens there.
    pub async fn connect(address: SocketAddr) -> Self {
        let socket = TcpStream::connect(address).await.expect("a connection");
        socket.set_nodelay(true).expect("a socket option");
        let (sender, driver) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(socket))
                .await
                .expect("HTTP/2");
        tokio::spawn(driver);
        GrpcClient { address, sender }
    }

    /// Calls `Export` of a signal until it is taken; answers how often it was refused before.
    ///
    /// # Panics
    /// When it is refused for good, or no reply comes.
    pub async fn deliver(&mut self, signal: Signal, message: &[u8]) -> u64 {
        let framed = frame(false, message);
        for refused in 0.. {
            let reply = timeout(PATIENCE, self.call(signal, framed.clone())).await;
            let reply = reply.expect("a reply in time").expect("a reply");
            let status = Status::from_header_map(&reply.trailers)
                .or_else(|| Status::from_header_map(&reply.headers))
                .expect("a gRPC status");
            match status.code() {
                Code::Ok => return refused,
                Code::Unavailable => tokio::time::sleep(Duration::from_millis(20)).await,
                _ => panic!("refused: {status:?}"),
            }
        }
        unreachable!("counting never ends")
    }

    async fn call(&mut self, signal: Signal, framed: Bytes) -> anyhow::Result<Reply> {
        let uri = format!("http://{}{}", self.address, signal.grpc_path());
        let request = hyper::Request::post(uri)
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .body(Full::new(framed))?;
        self.sender.ready().await?;
        collect(self.sender.send_request(request).await?).await
    }
}

/// A gRPC frame: flag, length, payload.
///
/// # Panics
/// When the payload is over 4 GiB.
#[must_use]
pub fn frame(compressed: bool, payload: &[u8]) -> Bytes {
    let mut framed = BytesMut::with_capacity(payload.len() + 5);
    framed.put_u8(u8::from(compressed));
    framed.put_u32(u32::try_from(payload.len()).expect("a payload under 4 GiB"));
    framed.put_slice(payload);
    framed.freeze()
}

/// A payload compressed as gzip.
///
/// # Panics
/// Never: memory takes all writes.
#[must_use]
pub fn gzip(payload: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(payload).expect("memory takes all");
    encoder.finish().expect("memory takes all")
}

/// A payload compressed as zstd.
///
/// # Panics
/// Never: memory takes all writes.
#[must_use]
pub fn zstd(payload: &[u8]) -> Vec<u8> {
    zstd::encode_all(payload, 1).expect("memory takes all")
}

/// The delay that a status asks for by `RetryInfo`; `Some(None)` is a `RetryInfo` without a delay.
#[must_use]
pub fn retry_info(status: &Status) -> Option<Option<Duration>> {
    status.get_details_retry_info().map(|info| info.retry_delay)
}
