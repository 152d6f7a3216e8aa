//! A downstream that answers as told: OTLP over gRPC and HTTP on one port, with a script of answers.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use agentguard::otlp::Signal;
use bytes::Bytes;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{HeaderMap, Method, Request, Response, Version};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceResponse,
};
use parking_lot::Mutex;
use prost::Message as _;
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

use crate::support::wait::{PATIENCE, eventually};
use crate::support::{compare, unpack, wire};

/// What the stub does with a request.
#[derive(Clone, Debug)]
pub enum Answer {
    /// Takes it.
    Take,
    /// Takes it, and says so only after a while.
    TakeAfter(Duration),
    /// Takes it, and says that so many items were rejected.
    Partial {
        rejected: i64,
        message: &'static str,
    },
    /// Answers with a gRPC status, with `RetryInfo` when a delay is given.
    Grpc { code: Code, after: Option<Duration> },
    /// Answers with an HTTP status and headers.
    Http {
        status: u16,
        headers: Vec<(&'static str, String)>,
    },
    /// Never answers.
    Hang,
    /// Closes the connection.
    Disconnect,
}

impl Answer {
    fn takes(&self) -> bool {
        matches!(
            self,
            Answer::Take | Answer::TakeAfter(_) | Answer::Partial { .. }
        )
    }

    /// A gRPC status without `RetryInfo`.
    #[must_use]
    pub fn grpc(code: Code) -> Self {
        Answer::Grpc { code, after: None }
    }

    /// An HTTP status without more.
    #[must_use]
    pub fn http(status: u16) -> Self {
        let headers = Vec::new();
        Answer::Http { status, headers }
    }
}

/// One request that came.
#[derive(Clone, Debug)]
pub struct Seen {
    /// When it was there as a whole.
    pub at: Instant,
    /// What it carried.
    pub signal: Signal,
    /// Its path.
    pub path: String,
    /// Its headers.
    pub headers: HeaderMap,
    /// The protocol's version.
    pub version: Version,
    /// Whether its message was compressed.
    pub compressed: bool,
    /// The request in protobuf, decompressed, from JSON too.
    pub message: Bytes,
    /// Whether it was taken, wholly or in part.
    pub taken: bool,
}

impl Seen {
    /// A header's text, or nothing.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name);
        value.and_then(|value| value.to_str().ok()).unwrap_or("")
    }
}

#[derive(Default)]
struct State {
    script: VecDeque<Answer>,
    then: Option<Answer>,
    seen: Vec<Seen>,
    /// Counts what it takes and keeps nothing of it.
    is_counting: bool,
    counted: u64,
}

/// The running stub; ends with the test's runtime.
pub struct Stub {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
}

impl Stub {
    /// Listens on a port of its own and takes everything.
    ///
    /// # Panics
    /// When loopback has no port left.
    pub async fn start() -> Self {
        Stub::start_at(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await
    }

    /// Listens where it is told.
    ///
    /// # Panics
    /// When the address is taken.
    pub async fn start_at(address: SocketAddr) -> Self {
        let listener = TcpListener::bind(address).await.expect("a free address");
        let address = listener.local_addr().expect("a bound address");
        let state = Arc::<Mutex<State>>::default();
        tokio::spawn(serve(listener, Arc::clone(&state)));
        Stub { address, state }
    }

    /// Takes everything over gRPC, and keeps nothing of it but the number of spans, metrics and log records.
    #[must_use]
    pub fn counting(self) -> Self {
        self.state.lock().is_counting = true;
        self
    }

    /// How many items were taken while counting.
    #[must_use]
    pub fn counted(&self) -> u64 {
        self.state.lock().counted
    }

    /// Answers the next requests so, in order; afterwards takes everything.
    #[must_use]
    pub fn answering(self, answers: impl IntoIterator<Item = Answer>) -> Self {
        self.state.lock().script.extend(answers);
        self
    }

    /// Answers so whenever the script is at its end.
    pub fn then(&self, answer: Answer) {
        self.state.lock().then = Some(answer);
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// All requests so far, refused ones too.
    #[must_use]
    pub fn seen(&self) -> Vec<Seen> {
        self.state.lock().seen.clone()
    }

    /// The tries to deliver this traces request: whatever came and says the same.
    #[must_use]
    pub fn tries(&self, request: &Bytes) -> Vec<Seen> {
        let mut seen = self.seen();
        seen.retain(|one| one.signal == Signal::Traces && says_the_same(&one.message, request));
        seen
    }

    /// The requests of a signal that were taken.
    #[must_use]
    pub fn taken(&self, signal: Signal) -> Vec<Bytes> {
        let state = self.state.lock();
        let taken = state
            .seen
            .iter()
            .filter(|seen| seen.taken && seen.signal == signal);
        taken.map(|seen| seen.message.clone()).collect()
    }

    /// Waits for so many requests, refused ones included.
    ///
    /// # Panics
    /// When they do not come in time.
    pub async fn requests(&self, at_least: usize) -> Vec<Seen> {
        eventually(
            &format!("{at_least} requests downstream"),
            PATIENCE,
            || async { Some(self.seen()).filter(|seen| seen.len() >= at_least) },
        )
        .await
    }

    /// Waits for the request of this number, from 0, refused ones included.
    ///
    /// # Panics
    /// When it does not come in time.
    pub async fn request(&self, number: usize) -> Seen {
        eventually(
            &format!("request {number} downstream"),
            PATIENCE,
            || async { self.state.lock().seen.get(number).cloned() },
        )
        .await
    }

    /// Waits for so many spans, metrics or log records to have been taken.
    ///
    /// # Panics
    /// When they do not come in time.
    pub async fn items(&self, signal: Signal, at_least: usize) -> Vec<Bytes> {
        let what = format!("{at_least} items of {} downstream", signal.as_str());
        eventually(&what, PATIENCE, || async {
            Some(self.taken(signal)).filter(|taken| compare::count(signal, taken) >= at_least)
        })
        .await
    }
}

fn says_the_same(one: &Bytes, other: &Bytes) -> bool {
    let (one, other) = (std::slice::from_ref(one), std::slice::from_ref(other));
    compare::compare(Signal::Traces, one, other, compare::Overlook::default()).is_ok()
}

async fn serve(listener: TcpListener, state: Arc<Mutex<State>>) {
    while let Ok((socket, _)) = listener.accept().await {
        let state = Arc::clone(&state);
        tokio::spawn(async move {
            let cut = Arc::new(Notify::new());
            let service =
                service_fn(|request| answer(Arc::clone(&state), Arc::clone(&cut), request));
            let server = auto::Builder::new(TokioExecutor::new());
            let connection = server.serve_connection(TokioIo::new(socket), service);
            tokio::pin!(connection);
            tokio::select! {
                // an error is a client that went away
                _ = &mut connection => {}
                () = cut.notified() => {}
            }
        });
    }
}

type Body = BoxBody<Bytes, Infallible>;

async fn answer(
    state: Arc<Mutex<State>>,
    cut: Arc<Notify>,
    request: Request<Incoming>,
) -> Result<Response<Body>, hyper::Error> {
    if request.method() != Method::POST {
        // such as a followed redirect: not OTLP, so not one of the requests
        let refused = Response::builder().status(405).body(Body::default());
        return Ok(refused.expect("a valid response"));
    }
    let (head, body) = request.into_parts();
    let body = body.collect().await?.to_bytes();
    let kind = head.headers.get("content-type");
    let grpc = kind.is_some_and(|kind| kind == "application/grpc");
    let json = kind.is_some_and(|kind| kind == wire::JSON);
    let signal = unpack::signal(head.uri.path());
    let (compressed, message) = unpack::message(signal, &head.headers, body);
    if has_counted(&state, signal, &message) {
        return Ok(taken_by_grpc(&ExportTraceServiceResponse::default()));
    }
    let answer = {
        let mut state = state.lock();
        let answer = state.script.pop_front().or_else(|| state.then.clone());
        let answer = answer.unwrap_or(Answer::Take);
        state.seen.push(Seen {
            at: Instant::now(),
            signal,
            path: head.uri.path().to_owned(),
            headers: head.headers,
            version: head.version,
            compressed,
            message,
            taken: answer.takes(),
        });
        answer
    };
    if let Answer::TakeAfter(delay) = answer {
        tokio::time::sleep(delay).await;
    }
    Ok(match answer {
        Answer::Take | Answer::TakeAfter(_) if grpc => {
            taken_by_grpc(&ExportTraceServiceResponse::default())
        }
        Answer::Take | Answer::TakeAfter(_) => {
            taken_by_http(json, &ExportTraceServiceResponse::default())
        }
        Answer::Partial { rejected, message } => {
            let partial = ExportTracePartialSuccess {
                rejected_spans: rejected,
                error_message: message.to_owned(),
            };
            let response = ExportTraceServiceResponse {
                partial_success: Some(partial),
            };
            if grpc {
                taken_by_grpc(&response)
            } else {
                taken_by_http(json, &response)
            }
        }
        Answer::Grpc { code, after } => {
            let mut details = ErrorDetails::new();
            if after.is_some() {
                details.set_retry_info(after);
            }
            Status::with_error_details(code, "as the script says", details).into_http()
        }
        Answer::Http { status, headers } => {
            let mut response = Response::builder().status(status);
            for (name, value) in headers {
                response = response.header(name, value);
            }
            response.body(Body::default()).expect("a valid response")
        }
        Answer::Hang => std::future::pending().await,
        Answer::Disconnect => {
            cut.notify_one();
            std::future::pending().await
        }
    })
}

/// Counts a request if that is all that is to be done with it.
fn has_counted(state: &Mutex<State>, signal: Signal, message: &Bytes) -> bool {
    let is_counting = state.lock().is_counting;
    if is_counting {
        let items = agentguard::otlp::validate(signal, message).expect("a whole request");
        state.lock().counted += u64::from(items);
    }
    is_counting
}

fn taken_by_grpc(response: &ExportTraceServiceResponse) -> Response<Body> {
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", "0".parse().expect("a header value"));
    let framed = wire::frame(false, &response.encode_to_vec());
    let body = Full::new(framed).with_trailers(async move { Some(Ok(trailers)) });
    let response = Response::builder().header("content-type", "application/grpc");
    response.body(body.boxed()).expect("a valid response")
}

fn taken_by_http(json: bool, response: &ExportTraceServiceResponse) -> Response<Body> {
    let (kind, body) = match (json, &response.partial_success) {
        (true, None) => (wire::JSON, b"{}".to_vec()),
        (true, Some(_)) => (wire::JSON, serde_json::to_vec(response).expect("JSON")),
        (false, _) => (wire::PROTOBUF, response.encode_to_vec()),
    };
    let body = Full::new(Bytes::from(body)).boxed();
    let response = Response::builder().header("content-type", kind);
    response.body(body).expect("a valid response")
}
