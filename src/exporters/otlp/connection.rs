//! One HTTP/2 connection to the next hop, made when needed and made anew when it breaks.

use super::body::GrpcBody;
use crate::pipeline::{Cause, Verdict};
use crate::telemetry::task;
use hyper::body::Incoming;
use hyper::client::conn::http2::{self, SendRequest};
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::Mutex;
use tracing::debug;

/// Flow-control window for replies of one stream, in bytes; they are small.
const STREAM_WINDOW: u32 = 1 << 20;
/// Flow-control window for replies of the connection, in bytes.
const CONNECTION_WINDOW: u32 = 4 << 20;
/// Bytes of a request that may wait inside the HTTP/2 layer.
const SEND_BUFFER: usize = 8 << 20;

/// How the connection is kept.
#[derive(Clone, Debug)]
pub(super) struct ConnectionSettings {
    /// Host and port, resolved at each connect.
    pub(super) authority: String,
    /// Time limit for resolving and connecting.
    pub(super) connect_timeout: Duration,
    /// A ping after so much silence while requests are under way; `None`: no pings.
    pub(super) keepalive_time: Option<Duration>,
    /// The end of the connection if a ping is not answered within this.
    pub(super) keepalive_timeout: Duration,
    /// Whether pings go on without requests.
    pub(super) keepalive_while_idle: bool,
}

/// A connection that heals.
pub(super) struct Connection {
    settings: ConnectionSettings,
    /// The open connection. A tokio mutex, because the one who connects must keep the others waiting for the result.
    open: Mutex<Option<SendRequest<GrpcBody>>>,
}

impl Connection {
    pub(super) fn new(settings: ConnectionSettings) -> Self {
        Connection {
            settings,
            open: Mutex::new(None),
        }
    }

    /// Sends one request on the open connection, or on a new one.
    pub(super) async fn send(
        &self,
        request: Request<GrpcBody>,
    ) -> Result<Response<Incoming>, Verdict> {
        let mut sender = self.sender().await?;
        sender.send_request(request).await.map_err(|error| {
            let text = chain(&error);
            lost(format!(
                "connection to {} broke: {text}",
                self.settings.authority
            ))
        })
    }

    /// Closes the connection once its requests are done.
    pub(super) async fn close(&self) {
        self.open.lock().await.take();
    }

    async fn sender(&self) -> Result<SendRequest<GrpcBody>, Verdict> {
        let mut open = self.open.lock().await;
        if let Some(sender) = open.as_ref().filter(|sender| !sender.is_closed()) {
            return Ok(sender.clone());
        }
        let sender = self.connect().await?;
        *open = Some(sender.clone());
        Ok(sender)
    }

    async fn connect(&self) -> Result<SendRequest<GrpcBody>, Verdict> {
        let authority = &self.settings.authority;
        let connecting = TcpStream::connect(authority.as_str());
        let stream = match tokio::time::timeout(self.settings.connect_timeout, connecting).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => {
                return Err(lost(format!("connecting to {authority} failed: {error}")));
            }
            Err(_) => return Err(lost(format!("connecting to {authority} took too long"))),
        };
        if let Err(error) = stream.set_nodelay(true) {
            debug!(%authority, %error, "connection keeps its delay");
        }
        let mut builder = http2::Builder::new(task::Executor("otlp exporter connection"));
        builder
            .timer(TokioTimer::new())
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_send_buf_size(SEND_BUFFER)
            .keep_alive_timeout(self.settings.keepalive_timeout)
            .keep_alive_while_idle(self.settings.keepalive_while_idle);
        if let Some(time) = self.settings.keepalive_time {
            builder.keep_alive_interval(time);
        }
        let (sender, connection) = builder
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|error| lost(format!("HTTP/2 with {authority} failed: {}", chain(&error))))?;
        let peer = authority.clone();
        task::spawn("otlp exporter connection", async move {
            if let Err(error) = connection.await {
                debug!(%peer, error = %chain(&error), "connection ended");
            }
        });
        Ok(sender)
    }
}

fn lost(what: String) -> Verdict {
    Verdict::Retry {
        after: None,
        source: Cause::new(what),
    }
}

/// An error with its causes, outermost first, in one line.
fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
