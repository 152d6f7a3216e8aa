//! A small HTTP/1 server for pages that are asked for by `GET`: metrics, health.
//!
//! ```text
//! listener ─ accept ─▶ [ ≤ 64 connections ] ─▶ head within 10 s ─▶ Pages::page ─▶ answer
//!                        more wait in the kernel
//! ```
//!
//! **Bounds.** [`MAX_CONNECTIONS`]; a head of 16 KiB within `HEAD_TIMEOUT`, which also ends idle connections; a
//! connection lives `MAX_AGE` at most, so that one whose peer does not read gives its place back. Bodies of requests are
//! not read. Two scrapes are rendered at a time; others wait their turn.
//! **Not here.** TLS, authentication, anything that takes a body.

use crate::telemetry::clock::Clock;
use crate::telemetry::exposition::{Format, MetricsSource, scrape};
use crate::telemetry::limited::RateLimited;
use crate::telemetry::task::{self, Task, TaskName};
use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{ACCEPT, ALLOW, CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use parking_lot::Mutex;
use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream, lookup_host};
use tokio::sync::{Semaphore, watch};
use tokio::time::{sleep, timeout};
use tracing::{debug, warn};

/// Connections open at once.
pub const MAX_CONNECTIONS: usize = 64;
/// Time for a request's head to arrive, and for the next one's to begin.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a connection may serve requests.
const MAX_AGE: Duration = Duration::from_secs(600);
/// How long the last answer may take after that, or after the server was told to stop.
const GRACE: Duration = Duration::from_secs(10);
/// Largest head, in bytes.
const MAX_HEAD: usize = 16 << 10;
/// Scrapes being rendered at once.
const MAX_RENDERING: usize = 2;

/// An answer on its way.
pub type Answering<'a> = Pin<Box<dyn Future<Output = Response<Bytes>> + Send + 'a>>;

/// What answers `GET` and `HEAD`; other methods are refused before it.
pub trait Pages: Send + Sync + 'static {
    /// Answers a request, whose body is left unread.
    fn page<'a>(&'a self, request: &'a Request<()>) -> Answering<'a>;
}

/// An answer of text.
#[must_use]
pub fn answer(
    status: StatusCode,
    content_type: &'static str,
    body: impl Into<Bytes>,
) -> Response<Bytes> {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

/// The answer for a path that is not served.
#[must_use]
pub fn not_found() -> Response<Bytes> {
    answer(
        StatusCode::NOT_FOUND,
        "text/plain; charset=utf-8",
        "no such page\n",
    )
}

/// A server on one address; dropping it leaves it running, [`HttpServer::stop`] ends it.
pub struct HttpServer {
    address: SocketAddr,
    stop: watch::Sender<bool>,
    places: Arc<Semaphore>,
    /// Taken by the first stop.
    task: Mutex<Option<Task>>,
}

impl HttpServer {
    /// Binds and serves; `name` is the task's.
    ///
    /// # Errors
    /// When the address cannot be resolved or bound.
    pub async fn start(
        name: impl Into<TaskName>,
        address: &str,
        pages: Arc<dyn Pages>,
        clock: &Clock,
    ) -> io::Result<HttpServer> {
        let listener = bind(address).await?;
        let address = listener.local_addr()?;
        let (stop, stopped) = watch::channel(false);
        let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        let name = name.into();
        let accepting = Accepting {
            name: format!("{name} connection").into(),
            pages,
            places: Arc::clone(&places),
            stopped,
            clock: clock.clone(),
        };
        Ok(HttpServer {
            address,
            stop,
            places,
            task: Mutex::new(Some(task::spawn(name, accepting.run(listener)))),
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops accepting, and lets open requests finish within the deadline. Stopping twice is harmless.
    pub async fn stop(&self, deadline: Duration) {
        self.stop.send_replace(true);
        let task = self.task.lock().take();
        let all_done = async {
            if let Some(task) = &task {
                task.finished().await;
            }
            // every connection has given its place back
            let all = u32::try_from(MAX_CONNECTIONS).unwrap_or(u32::MAX);
            drop(self.places.acquire_many(all).await);
        };
        if timeout(deadline, all_done).await.is_err() {
            debug!(address = %self.address, "connections left open at the deadline");
        }
    }
}

/// Binds `host:port`; no host is every interface. A name that has both kinds of address is bound as IPv4, as the Collector
/// does, so that `127.0.0.1` finds what listens on `localhost`.
///
/// # Errors
/// When the address cannot be resolved or bound.
pub async fn bind(address: &str) -> io::Result<TcpListener> {
    let mut candidates: Vec<SocketAddr> = match address.strip_prefix(':') {
        Some(port) => {
            let port = port.parse().map_err(|_| {
                io::Error::new(io::ErrorKind::InvalidInput, "the port is not a number")
            })?;
            // one socket for both kinds, where the system has IPv6
            vec![
                (Ipv6Addr::UNSPECIFIED, port).into(),
                (Ipv4Addr::UNSPECIFIED, port).into(),
            ]
        }
        None => {
            let mut found: Vec<SocketAddr> = lookup_host(address).await?.collect();
            found.sort_by_key(SocketAddr::is_ipv6);
            found
        }
    };
    candidates.dedup();
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
    for candidate in candidates {
        match TcpListener::bind(candidate).await {
            Ok(listener) => return Ok(listener),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// The task that accepts.
struct Accepting {
    /// The name of the connections' tasks.
    name: TaskName,
    pages: Arc<dyn Pages>,
    places: Arc<Semaphore>,
    stopped: watch::Receiver<bool>,
    clock: Clock,
}

impl Accepting {
    async fn run(self, listener: TcpListener) {
        let mut stopped = self.stopped.clone();
        tokio::select! {
            () = self.accept(&listener) => {}
            // an error is a server that was dropped without being stopped: it goes on
            Ok(_) = stopped.wait_for(|is_stopped| *is_stopped) => {}
        }
    }

    async fn accept(&self, listener: &TcpListener) {
        let failures = RateLimited::new(Duration::from_secs(10));
        loop {
            let Ok(place) = Arc::clone(&self.places).acquire_owned().await else {
                return;
            };
            match listener.accept().await {
                Ok((stream, _)) => {
                    let serving = serve(stream, Arc::clone(&self.pages), self.stopped.clone());
                    drop(task::spawn_one_of_many(self.name.clone(), async move {
                        serving.await;
                        drop(place);
                    }));
                }
                Err(error) => {
                    if let Some(suppressed) = failures.pass(self.clock.elapsed()) {
                        warn!(server = %self.name, %error, suppressed, "accept failed");
                    }
                    // out of file descriptors, most likely: trying again at once would spin
                    sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }
}

async fn serve(stream: TcpStream, pages: Arc<dyn Pages>, mut stopped: watch::Receiver<bool>) {
    let service = service_fn(move |request: Request<Incoming>| {
        let pages = Arc::clone(&pages);
        async move { Ok::<_, Infallible>(respond(&*pages, &request.map(drop)).await.map(Full::new)) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(MAX_HEAD)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    let told_to_stop = async {
        if stopped.wait_for(|is_stopped| *is_stopped).await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        ended = connection.as_mut() => {
            if let Err(error) = ended {
                debug!(%error, "connection ended");
            }
            return;
        }
        () = told_to_stop => {}
        () = sleep(MAX_AGE) => {}
    }
    connection.as_mut().graceful_shutdown();
    if timeout(GRACE, connection).await.is_err() {
        debug!("connection cut");
    }
}

async fn respond(pages: &dyn Pages, request: &Request<()>) -> Response<Bytes> {
    if matches!(*request.method(), Method::GET | Method::HEAD) {
        return pages.page(request).await;
    }
    let refused = "only GET and HEAD are served\n";
    let mut response = answer(
        StatusCode::METHOD_NOT_ALLOWED,
        "text/plain; charset=utf-8",
        refused,
    );
    response
        .headers_mut()
        .insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
    response
}

/// The page `/metrics` of some sources.
pub struct MetricsPage {
    sources: Arc<[Arc<dyn MetricsSource>]>,
    rendering: Semaphore,
}

impl MetricsPage {
    /// Shows these sources, one after the other.
    #[must_use]
    pub fn new(sources: Vec<Arc<dyn MetricsSource>>) -> Self {
        MetricsPage {
            sources: sources.into(),
            rendering: Semaphore::new(MAX_RENDERING),
        }
    }

    async fn render(&self, format: Format) -> Response<Bytes> {
        let _turn = self.rendering.acquire().await;
        let sources = Arc::clone(&self.sources);
        // a graph of 100 000 edges takes longer than a task may block
        match tokio::task::spawn_blocking(move || scrape(&sources, format)).await {
            Ok(text) => answer(StatusCode::OK, format.content_type(), text),
            Err(error) => {
                warn!(%error, "scrape failed");
                let body = "a metrics source failed; see the log\n";
                answer(
                    StatusCode::INTERNAL_SERVER_ERROR,
                    "text/plain; charset=utf-8",
                    body,
                )
            }
        }
    }
}

impl Pages for MetricsPage {
    fn page<'a>(&'a self, request: &'a Request<()>) -> Answering<'a> {
        Box::pin(async move {
            if request.uri().path() != "/metrics" {
                return not_found();
            }
            let accept = request.headers().get_all(ACCEPT).iter();
            let format = Format::negotiate(accept.filter_map(|value| value.to_str().ok()));
            self.render(format).await
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::registry::Registry;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    struct Broken;

    impl MetricsSource for Broken {
        fn render(&self, _: Format, _: &mut String) {
            panic!("a torn snapshot");
        }
    }

    async fn serving(sources: Vec<Arc<dyn MetricsSource>>) -> HttpServer {
        let pages = Arc::new(MetricsPage::new(sources));
        let clock = Clock::system();
        HttpServer::start("test server", "127.0.0.1:0", pages, &clock)
            .await
            .unwrap()
    }

    fn registry() -> Vec<Arc<dyn MetricsSource>> {
        let registry = Registry::new();
        registry
            .counter(&crate::telemetry::SERIES_DROPPED, &["x"])
            .inc();
        vec![Arc::new(registry)]
    }

    async fn ask(address: SocketAddr, head: &str) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = format!("{head}\r\nHost: x\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).await.unwrap();
        text
    }

    /// R-INT-5
    #[tokio::test]
    async fn metrics_are_served_in_the_format_asked_for() {
        let server = serving(registry()).await;
        let classic = ask(server.address(), "GET /metrics HTTP/1.1").await;
        assert!(classic.starts_with("HTTP/1.1 200 OK\r\n"), "{classic}");
        assert!(classic.contains("content-type: text/plain; version=0.0.4; charset=utf-8\r\n"));
        assert!(classic.ends_with("agentguard_series_dropped_total{metric=\"x\"} 1\n"));
        let accept = "GET /metrics HTTP/1.1\r\nAccept: text/plain;q=0.1\r\nAccept: application/openmetrics-text";
        let open = ask(server.address(), accept).await;
        assert!(open.contains(
            "content-type: application/openmetrics-text; version=1.0.0; charset=utf-8\r\n"
        ));
        assert!(open.ends_with("# EOF\n"));
        server.stop(Duration::from_secs(5)).await;
    }

    #[tokio::test]
    async fn other_paths_and_methods_are_refused() {
        let server = serving(registry()).await;
        let missing = ask(server.address(), "GET / HTTP/1.1").await;
        assert!(missing.starts_with("HTTP/1.1 404 "), "{missing}");
        let posted = ask(
            server.address(),
            "POST /metrics HTTP/1.1\r\nContent-Length: 0",
        )
        .await;
        assert!(posted.starts_with("HTTP/1.1 405 ") && posted.contains("allow: GET, HEAD\r\n"));
        let head = ask(server.address(), "HEAD /metrics HTTP/1.1").await;
        assert!(
            head.starts_with("HTTP/1.1 200 ") && head.ends_with("\r\n\r\n"),
            "{head}"
        );
        let garbage = ask(server.address(), "\u{0}\u{1} nonsense").await;
        assert!(garbage.starts_with("HTTP/1.1 400 "), "{garbage}");
        let long = format!("GET /{} HTTP/1.1", "x".repeat(2 * MAX_HEAD));
        let long = ask(server.address(), &long).await;
        assert!(long.starts_with("HTTP/1.1 4"), "{long}");
        server.stop(Duration::from_secs(5)).await;
    }

    #[tokio::test]
    async fn a_source_that_panics_fails_its_scrape_only() {
        let server = serving(vec![Arc::new(Broken)]).await;
        for _ in 0..2 {
            let failed = ask(server.address(), "GET /metrics HTTP/1.1").await;
            assert!(failed.starts_with("HTTP/1.1 500 "), "{failed}");
        }
        server.stop(Duration::from_secs(5)).await;
    }

    /// Time is paused: it jumps to the time limit as soon as everybody waits.
    #[tokio::test(start_paused = true)]
    async fn a_slow_head_is_cut_off() {
        let server = serving(registry()).await;
        let clock = Clock::system();
        let mut slow = TcpStream::connect(server.address()).await.unwrap();
        slow.write_all(b"GET /metrics HTTP/1.1\r\nHos")
            .await
            .unwrap();
        let mut rest = Vec::new();
        slow.read_to_end(&mut rest).await.unwrap();
        assert!(clock.elapsed() >= HEAD_TIMEOUT && clock.elapsed() < 3 * HEAD_TIMEOUT);
    }

    #[tokio::test]
    async fn connections_are_bounded_and_stopping_closes_them() {
        let server = serving(registry()).await;
        let address = server.address();
        let mut idle = Vec::new();
        for _ in 0..MAX_CONNECTIONS {
            idle.push(TcpStream::connect(address).await.unwrap());
        }
        // every place is taken once the server has accepted them all
        while server.places.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        let asked = ask(address, "GET /metrics HTTP/1.1");
        let mut asked = pin!(asked);
        let waits = timeout(Duration::from_millis(200), asked.as_mut()).await;
        assert!(waits.is_err(), "one more than the bound is not answered");
        idle.pop();
        let answered = timeout(Duration::from_secs(5), asked).await.unwrap();
        assert!(answered.starts_with("HTTP/1.1 200 "));
        server.stop(Duration::from_secs(5)).await;
        server.stop(Duration::from_secs(5)).await;
        assert_eq!(server.places.available_permits(), MAX_CONNECTIONS);
        assert!(
            TcpStream::connect(address).await.is_err(),
            "the port is closed"
        );
    }

    #[tokio::test]
    async fn addresses_are_bound_as_the_collector_does() {
        assert!(
            bind("localhost:0")
                .await
                .unwrap()
                .local_addr()
                .unwrap()
                .is_ipv4()
        );
        let everywhere = bind(":0").await.unwrap().local_addr().unwrap();
        assert!(everywhere.ip().is_unspecified());
        assert!(bind("127.0.0.1:99999").await.is_err());
        assert!(bind(":port").await.is_err());
    }
}
