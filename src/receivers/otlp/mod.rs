//! The `otlp` receiver: OTLP over gRPC and HTTP, for all three signals.
//!
//! ```text
//! :4317 HTTP/2 ─▶ grpc ─┐                   decompress ─▶ validate ─▶ reserve everywhere ─▶ commit ─▶ acknowledged
//!                       ├─▶ intake: body ─▶    (limit)      (view)       (D6)
//! :4318 HTTP/1, 2 ─▶ http                                     JSON is translated to protobuf before
//! ```
//!
//! **Bounds.** A request is limited before and after decompression, a connection's first bytes and a body in time, all
//! bodies together by a budget of bytes, connections by number, requests on a connection by number. Beyond a bound the
//! sender is told, never cut off; only who says nothing at all is.
//! **Invariants.** A request is acknowledged only when every queue behind has it. A refused one was nowhere counted as
//! accepted, and every refusal counts under a reason.
//! **Not here.** What is done with a batch; TLS and authentication, whose place is `listener::Listener::connection`,
//! where the stream is still bare.

mod answer;
mod body;
mod config;
mod cors;
mod frame;
mod grpc;
mod http;
mod intake;
mod listener;
mod opening;

use crate::base::ByteSize;
use crate::config::fragments::{Endpoint, GrpcServerConfig, HttpServerConfig};
use crate::pipeline::{BoxFuture, BuildContext, Component, Outputs};
use crate::telemetry::{ReceiverMetrics, Telemetry, task};
use anyhow::Context;
use body::Budget;
pub use config::{OtlpReceiverConfig, Protocols, configure};
pub use frame::{FrameError, unframe};
use intake::Intake;
use listener::{ListenSettings, Listener, Protocol};
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpSocket, lookup_host};
use tokio::sync::watch;
use tracing::{info, warn};

/// Connections that may wait to be accepted.
const BACKLOG: u32 = 1024;

/// Receives OTLP on one or two ports.
pub struct OtlpReceiver {
    ports: Vec<(Endpoint, Arc<Listener>)>,
    /// Tells every port to stop.
    stop: watch::Sender<bool>,
    /// The ports being served; locked at start and stop only.
    serving: Mutex<Vec<task::Task>>,
}

impl OtlpReceiver {
    fn build(config: &OtlpReceiverConfig, context: &BuildContext, outputs: &Outputs) -> Arc<Self> {
        let budget = Budget::new(config.max_receiving_bytes.0);
        let parts = Parts {
            config,
            context,
            outputs,
            budget,
        };
        let grpc = config.protocols.grpc.as_ref().map(|grpc| parts.grpc(grpc));
        let http = config.protocols.http.as_ref().map(|http| parts.http(http));
        Arc::new(OtlpReceiver {
            ports: grpc.into_iter().chain(http).collect(),
            stop: watch::Sender::new(false),
            serving: Mutex::new(Vec::new()),
        })
    }
}

/// What the ports of a receiver share.
struct Parts<'a> {
    config: &'a OtlpReceiverConfig,
    context: &'a BuildContext,
    outputs: &'a Outputs,
    budget: Arc<Budget>,
}

impl Parts<'_> {
    fn grpc(&self, grpc: &GrpcServerConfig) -> (Endpoint, Arc<Listener>) {
        let keepalive = &grpc.keepalive.server_parameters;
        let settings = ListenSettings {
            max_concurrent_streams: grpc.max_concurrent_streams,
            max_connections: self.config.max_connections,
            // gRPC's configuration has no time for the preface
            header_timeout: self.config.body_timeout,
            keepalive_time: unless_zero(keepalive.time),
            keepalive_timeout: keepalive.timeout,
            max_age: unless_zero(keepalive.max_connection_age),
            max_age_grace: unless_zero(keepalive.max_connection_age_grace),
            max_idle: unless_zero(keepalive.max_connection_idle),
        };
        let limit = grpc.max_request_size();
        (
            grpc.endpoint_or(4317),
            self.listener("grpc", Protocol::Grpc, limit, settings),
        )
    }

    fn http(&self, http: &HttpServerConfig) -> (Endpoint, Arc<Listener>) {
        let paths = [
            &http.traces_url_path,
            &http.metrics_url_path,
            &http.logs_url_path,
        ]
        .map(Clone::clone);
        let keepalive = GrpcServerConfig::default().keepalive.server_parameters;
        let settings = ListenSettings {
            max_concurrent_streams: GrpcServerConfig::default().max_concurrent_streams,
            max_connections: self.config.max_connections,
            header_timeout: http.read_header_timeout,
            keepalive_time: unless_zero(keepalive.time),
            keepalive_timeout: keepalive.timeout,
            max_age: None,
            max_age_grace: None,
            max_idle: unless_zero(http.idle_timeout),
        };
        let protocol = Protocol::Http(Box::new(http::HttpSettings::of(http, paths)));
        (
            http.endpoint_or(4318),
            self.listener("http", protocol, http.max_request_body_size, settings),
        )
    }

    fn listener(
        &self,
        transport: &str,
        protocol: Protocol,
        limit: ByteSize,
        settings: ListenSettings,
    ) -> Arc<Listener> {
        let telemetry: &Telemetry = &self.context.telemetry;
        let id = self.context.id.to_string();
        let intake = Intake {
            consumers: self.outputs.clone(),
            limit: limit.as_usize(),
            body_timeout: self.config.body_timeout,
            budget: Arc::clone(&self.budget),
            metrics: ReceiverMetrics::new(telemetry, &id, transport),
        };
        Arc::new(Listener {
            name: format!("{id} {transport}"),
            protocol,
            intake,
            settings,
        })
    }
}

/// In these settings zero means never.
fn unless_zero(span: Duration) -> Option<Duration> {
    (!span.is_zero()).then_some(span)
}

impl Component for OtlpReceiver {
    fn start(&self) -> BoxFuture<'_, anyhow::Result<()>> {
        Box::pin(async {
            // all ports are bound before any is served, so that a port in use leaves nothing half open
            let mut bound = Vec::new();
            for (endpoint, listener) in &self.ports {
                let socket = bind(endpoint)
                    .await
                    .with_context(|| format!("listening on {endpoint} for OTLP"))?;
                bound.push((socket, listener));
            }
            for (socket, listener) in bound {
                let address = socket.local_addr()?;
                info!(receiver = %listener.name, %address, "listening");
                if !address.ip().is_loopback() {
                    warn!(receiver = %listener.name, %address, "open to other machines without TLS or authentication");
                }
                let serving = Arc::clone(listener).serve(socket, self.stop.subscribe());
                self.serving
                    .lock()
                    .push(task::spawn(format!("{} listener", listener.name), serving));
            }
            Ok(())
        })
    }

    fn shutdown(&self, deadline: Duration) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            self.stop.send_replace(true);
            let serving = std::mem::take(&mut *self.serving.lock());
            // requests that do not end must leave the queues behind us time to drain
            let until = tokio::time::Instant::now() + deadline / 2;
            for task in serving {
                let task = std::pin::pin!(task);
                if tokio::time::timeout_at(until, task).await.is_err() {
                    warn!("connections were still open at the deadline");
                }
            }
        })
    }
}

/// Binds the first address that the name stands for.
async fn bind(endpoint: &Endpoint) -> anyhow::Result<TcpListener> {
    let mut last = None;
    for address in lookup_host((endpoint.host.as_str(), endpoint.port)).await? {
        let socket = if address.is_ipv4() {
            TcpSocket::new_v4()?
        } else {
            TcpSocket::new_v6()?
        };
        // a restarted daemon gets its port back at once; not on Windows, where this means something else
        #[cfg(unix)]
        socket.set_reuseaddr(true)?;
        match socket.bind(address).and_then(|()| socket.listen(BACKLOG)) {
            Ok(listener) => return Ok(listener),
            Err(error) => last = Some(error),
        }
    }
    Err(last.map_or_else(
        || anyhow::anyhow!("`{}` stands for no address", endpoint.host),
        Into::into,
    ))
}
