//! Accepting connections: bounded, without delay, and stopped gently.

use super::answer::Reply;
use super::http::HttpSettings;
use super::intake::Intake;
use super::{grpc, http, opening};
use crate::base::Random;
use crate::base::sync::{AtomicU64, Ordering};
use crate::telemetry::task;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tracing::{debug, warn};

/// Flow-control window of one stream, in bytes: a usual request fits without waiting for an update.
const STREAM_WINDOW: u32 = 4 << 20;
/// Flow-control window of one connection, in bytes.
const CONNECTION_WINDOW: u32 = 32 << 20;
/// Largest HTTP/2 frame taken, in bytes: a usual request arrives in one piece and is not copied.
const MAX_FRAME: u32 = 1 << 20;
/// How long requests may take after a connection was told to end; the service's own deadline comes before.
const FINISHING: Duration = Duration::from_secs(600);
/// Largest list of headers, in bytes.
const MAX_HEADERS: u32 = 16 << 10;

/// What is spoken on a port.
pub(super) enum Protocol {
    /// HTTP/2 with OTLP/gRPC.
    Grpc,
    /// HTTP/1.1 and HTTP/2 with OTLP/HTTP.
    Http(Box<HttpSettings>),
}

/// How connections are treated.
#[derive(Clone, Debug)]
pub(super) struct ListenSettings {
    /// Requests under way on one HTTP/2 connection.
    pub(super) max_concurrent_streams: u32,
    /// Connections open at once; more wait in the kernel's backlog.
    pub(super) max_connections: usize,
    /// Time for a connection's first bytes, and for an HTTP/1 request's head.
    pub(super) header_timeout: Duration,
    /// HTTP/2 keepalive: a ping after so much silence …
    pub(super) keepalive_time: Option<Duration>,
    /// … and the end if it is not answered within this.
    pub(super) keepalive_timeout: Duration,
    /// The age at which a client is asked to connect anew.
    pub(super) max_age: Option<Duration>,
    /// How long the requests of such a connection may still take.
    pub(super) max_age_grace: Option<Duration>,
    /// How long a connection without requests stays open.
    pub(super) max_idle: Option<Duration>,
}

impl ListenSettings {
    /// Waits until a connection is too old, or was idle for too long. The age is moved by up to a tenth, so that many
    /// connections do not end at once (gRPC proposal A9).
    async fn outlived(&self, activity: &Activity, peer: SocketAddr) {
        let age = async {
            match self.max_age {
                Some(age) => {
                    let unit = Random::seeded(u64::from(peer.port())).unit();
                    tokio::time::sleep(age.mul_f64(0.9 + 0.2 * unit)).await;
                }
                None => std::future::pending().await,
            }
        };
        let idle = async {
            match self.max_idle {
                Some(idle) => activity.idle_for(idle).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = age => {}
            () = idle => {}
        }
    }
}

/// The requests of a connection.
#[derive(Default)]
struct Activity {
    counts: Arc<ActivityCounts>,
}

#[derive(Default)]
struct ActivityCounts {
    begun: AtomicU64,
    ended: AtomicU64,
}

/// A request under way.
struct Open(Arc<ActivityCounts>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.ended.fetch_add(1, Ordering::Relaxed);
    }
}

impl Activity {
    fn begin(&self) -> Open {
        self.counts.begun.fetch_add(1, Ordering::Relaxed);
        Open(Arc::clone(&self.counts))
    }

    /// Returns after a time without requests, between once and twice as long as asked.
    async fn idle_for(&self, span: Duration) {
        loop {
            let before = self.counts.begun.load(Ordering::Relaxed);
            tokio::time::sleep(span).await;
            let begun = self.counts.begun.load(Ordering::Relaxed);
            if begun == before && self.counts.ended.load(Ordering::Relaxed) == begun {
                return;
            }
        }
    }
}

/// One port being served.
pub(super) struct Listener {
    pub(super) name: String,
    pub(super) protocol: Protocol,
    pub(super) intake: Intake,
    pub(super) settings: ListenSettings,
}

impl Listener {
    /// Accepts until told to stop, then lets open requests finish.
    pub(super) async fn serve(
        self: Arc<Self>,
        socket: TcpListener,
        mut stop: watch::Receiver<bool>,
    ) {
        let places = Arc::new(Semaphore::new(self.settings.max_connections));
        loop {
            let next = tokio::select! {
                next = self.accept(&socket, &places) => next,
                _ = stop.wait_for(|stop| *stop) => break,
            };
            let Some((stream, peer, place)) = next else {
                continue;
            };
            let connection = Arc::clone(&self).connect(stream, peer, stop.clone());
            task::spawn_one_of_many("otlp connection", async move {
                connection.await;
                drop(place);
            });
        }
        drop(socket);
        let all = u32::try_from(self.settings.max_connections).unwrap_or(u32::MAX);
        // every place is free again when the last connection has ended; the semaphore is never closed
        drop(places.acquire_many(all).await);
    }

    /// The next connection, once there is a place for it; `None` after a failure that may pass.
    async fn accept(
        &self,
        socket: &TcpListener,
        places: &Arc<Semaphore>,
    ) -> Option<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
        let place = Arc::clone(places).acquire_owned().await.ok()?;
        match socket.accept().await {
            Ok((stream, peer)) => Some((stream, peer, place)),
            Err(error) => {
                // out of descriptors, say: others must end first
                warn!(listener = %self.name, %error, "accept failed");
                tokio::time::sleep(Duration::from_millis(50)).await;
                None
            }
        }
    }

    /// Serves one connection to its end. TLS and authentication will stand here, where the stream is still bare.
    async fn connect(
        self: Arc<Self>,
        stream: TcpStream,
        peer: SocketAddr,
        mut stop: watch::Receiver<bool>,
    ) {
        if let Err(error) = stream.set_nodelay(true) {
            debug!(%peer, %error, "connection keeps its delay");
        }
        let begun = tokio::select! {
            begun = opening::has_begun(&stream, self.settings.header_timeout) => begun,
            _ = stop.wait_for(|stop| *stop) => false,
        };
        if !begun {
            debug!(%peer, "connection closed before it began");
            return;
        }
        let activity = Activity::default();
        let service = service_fn(|request: Request<Incoming>| {
            let (listener, open) = (Arc::clone(&self), activity.begin());
            async move {
                let answer = listener.answer(request).await;
                drop(open);
                Ok::<Response<Reply>, Infallible>(answer)
            }
        });
        let builder = self.builder();
        let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
        let ended = tokio::select! {
            ended = connection.as_mut() => Some(ended),
            _ = stop.wait_for(|stop| *stop) => None,
            () = self.settings.outlived(&activity, peer) => None,
        };
        let ended = match ended {
            Some(ended) => ended,
            None => {
                connection.as_mut().graceful_shutdown();
                let finishing = self.settings.max_age_grace.unwrap_or(FINISHING);
                tokio::time::timeout(finishing, connection)
                    .await
                    .unwrap_or(Ok(()))
            }
        };
        if let Err(error) = ended {
            debug!(%peer, %error, "connection ended");
        }
    }

    async fn answer(&self, request: Request<Incoming>) -> Response<Reply> {
        match &self.protocol {
            Protocol::Grpc => grpc::answer(&self.intake, request).await,
            Protocol::Http(settings) => http::answer(&self.intake, settings, request).await,
        }
    }

    fn builder(&self) -> auto::Builder<TokioExecutor> {
        let mut builder = auto::Builder::new(TokioExecutor::new());
        if matches!(self.protocol, Protocol::Grpc) {
            builder = builder.http2_only();
        }
        builder
            .http1()
            .timer(TokioTimer::new())
            .header_read_timeout(self.settings.header_timeout);
        builder
            .http2()
            .timer(TokioTimer::new())
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_frame_size(MAX_FRAME)
            .max_header_list_size(MAX_HEADERS)
            .max_concurrent_streams(self.settings.max_concurrent_streams)
            .keep_alive_interval(self.settings.keepalive_time)
            .keep_alive_timeout(self.settings.keepalive_timeout);
        builder
    }
}
