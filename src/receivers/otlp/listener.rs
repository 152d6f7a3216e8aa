//! Accepting connections: bounded, without delay, and stopped gently.

use super::answer::Reply;
use super::http::HttpSettings;
use super::intake::Intake;
use super::{grpc, http, opening};
use crate::telemetry::task;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tracing::{debug, warn};

/// Flow-control window of one stream, in bytes: a usual request fits without waiting for an update.
const STREAM_WINDOW: u32 = 4 << 20;
/// Flow-control window of one connection, in bytes.
const CONNECTION_WINDOW: u32 = 32 << 20;
/// Largest HTTP/2 frame taken, in bytes: a usual request arrives in one piece and is not copied.
const MAX_FRAME: u32 = 1 << 20;
/// Largest list of headers, in bytes.
const MAX_HEADERS: u32 = 16 << 10;

/// What is spoken on a port.
pub(super) enum Protocol {
    /// HTTP/2 with OTLP/gRPC.
    Grpc,
    /// HTTP/1.1 and HTTP/2 with OTLP/HTTP.
    Http(HttpSettings),
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
    pub(super) keepalive_time: Duration,
    /// … and the end if it is not answered within this.
    pub(super) keepalive_timeout: Duration,
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
        let graceful = GracefulShutdown::new();
        let places = Arc::new(Semaphore::new(self.settings.max_connections));
        loop {
            let Ok(place) = Arc::clone(&places).acquire_owned().await else {
                break;
            };
            let (stream, peer) = tokio::select! {
                accepted = socket.accept() => match accepted {
                    Ok(connection) => connection,
                    Err(error) => {
                        warn!(listener = %self.name, %error, "accept failed");
                        tokio::time::sleep(Duration::from_millis(50)).await;
                        continue;
                    }
                },
                _ = stop.changed() => break,
            };
            let connection = Arc::clone(&self).connection(stream, peer, &graceful, stop.clone());
            task::spawn_one_of_many("otlp connection", async move {
                connection.await;
                drop(place);
            });
        }
        drop(socket);
        graceful.shutdown().await;
    }

    fn connection(
        self: Arc<Self>,
        stream: TcpStream,
        peer: SocketAddr,
        graceful: &GracefulShutdown,
        mut stop: watch::Receiver<bool>,
    ) -> impl Future<Output = ()> + Send + use<> {
        if let Err(error) = stream.set_nodelay(true) {
            debug!(%peer, %error, "connection keeps its delay");
        }
        let builder = self.builder();
        let watcher = graceful.watcher();
        async move {
            let begun = tokio::select! {
                begun = opening::has_begun(&stream, self.settings.header_timeout) => begun,
                _ = stop.changed() => false,
            };
            if !begun {
                debug!(%peer, "connection closed before it began");
                return;
            }
            let service = service_fn(|request: Request<Incoming>| {
                let listener = Arc::clone(&self);
                async move { Ok::<Response<Reply>, Infallible>(listener.answer(request).await) }
            });
            let connection = builder.serve_connection(TokioIo::new(stream), service);
            if let Err(error) = watcher.watch(connection.into_owned()).await {
                debug!(%peer, %error, "connection ended");
            }
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
