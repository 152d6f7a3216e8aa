//! What exporters share: where to send, with what, how compressed.
//!
//! Both have their keys at the exporter's own level, as in the Collector: read them with [`Section::parse_flat`].

use crate::base::Problems;
use crate::config::Section;
use crate::config::fragments::{AuthConfig, Headers, Target, TlsConfig};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How requests are compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Compression {
    /// Not at all.
    #[serde(alias = "")]
    None,
    /// gzip, which every OTLP server must understand.
    #[default]
    Gzip,
    /// zstd, smaller and faster where the server has it.
    Zstd,
}

/// A gRPC client, as the Collector's `configgrpc`, with the exporter's `timeout`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct GrpcClientConfig {
    /// `host:port`; `http://` before it means without TLS.
    pub endpoint: String,
    /// Metadata sent with each request; a map, or a list of `{name, value}`.
    pub headers: Headers,
    /// `gzip`, `zstd` or `none`.
    pub compression: Compression,
    /// How long one try may take.
    #[serde(with = "crate::base::duration")]
    pub timeout: Duration,
    /// Without a scheme in the endpoint TLS is used, as in the Collector, unless `insecure: true` stands here.
    pub tls: TlsConfig,
    /// Which extension gives credentials.
    pub auth: Option<AuthConfig>,
    /// Pings on a connection while calls are under way.
    pub keepalive: KeepaliveClientConfig,
}

pub(super) const GRPC_IGNORED: &[(&str, &str)] = &[
    ("authority", "the endpoint's host is sent as the authority"),
    (
        "balancer_name",
        "one connection to the endpoint is used; a name with several addresses is tried in order",
    ),
    ("read_buffer_size", "buffers grow as needed"),
    (
        "wait_for_ready",
        "the queue holds requests until the connection is there",
    ),
    ("write_buffer_size", "buffers grow as needed"),
];

impl Default for GrpcClientConfig {
    fn default() -> Self {
        GrpcClientConfig {
            endpoint: String::new(),
            headers: Headers::default(),
            compression: Compression::Gzip,
            timeout: Duration::from_secs(5),
            tls: TlsConfig::default(),
            auth: None,
            keepalive: KeepaliveClientConfig::default(),
        }
    }
}

/// HTTP/2 pings of a client, as in the Collector.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct KeepaliveClientConfig {
    /// How long a connection may be silent before it is pinged; 0: never.
    #[serde(with = "crate::base::duration")]
    pub time: Duration,
    /// How long a ping may stay unanswered before the connection counts as dead.
    #[serde(with = "crate::base::duration")]
    pub timeout: Duration,
    /// Whether to ping while no call is under way; servers may forbid it and close the connection.
    pub permit_without_stream: bool,
}

impl Default for KeepaliveClientConfig {
    fn default() -> Self {
        KeepaliveClientConfig {
            time: Duration::from_secs(10),
            timeout: Duration::from_secs(10),
            permit_without_stream: false,
        }
    }
}

impl GrpcClientConfig {
    /// Where to connect to.
    ///
    /// # Errors
    /// What is wrong with `endpoint`; `validate` has said it before.
    pub fn target(&self) -> Result<Target, String> {
        Target::parse_grpc(&self.endpoint)
    }

    /// Checks what the types cannot say; `at` is the exporter's section.
    pub fn validate(&self, at: &Section<'_>, problems: &mut Problems) {
        let shared = SharedKeys {
            headers: &self.headers,
            timeout: self.timeout,
            auth: self.auth.as_ref(),
        };
        shared.validate(at, problems);
        let target = check_endpoint(&self.endpoint, self.target(), at, problems);
        match target.map(|target| target.https) {
            Some(Some(true)) => refuse_https(at, problems),
            // As in the Collector, `http://` settles it, and no scheme means TLS unless `insecure`.
            Some(None) => self.tls.validate_client(&at.at("tls"), problems),
            Some(Some(false)) | None => {}
        }
    }
}

/// An HTTP client, as the Collector's `confighttp`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct HttpClientConfig {
    /// The server's URL, to which a signal's path is added.
    pub endpoint: String,
    /// Headers sent with each request; a map, or a list of `{name, value}`.
    pub headers: Headers,
    /// `gzip`, `zstd` or `none`.
    pub compression: Compression,
    /// How long one try may take.
    #[serde(with = "crate::base::duration")]
    pub timeout: Duration,
    /// Used with `https://`.
    pub tls: TlsConfig,
    /// Which extension gives credentials.
    pub auth: Option<AuthConfig>,
    /// A proxy to go through. Not in this version: refused.
    pub proxy_url: String,
}

pub(super) const HTTP_IGNORED: &[(&str, &str)] = &[
    ("compression_params", "each algorithm has one level"),
    ("cookies", "no cookies are kept"),
    ("disable_keep_alives", "connections are kept and used again"),
    ("force_attempt_http2", "requests go over HTTP/1.1"),
    ("http2_ping_timeout", "requests go over HTTP/1.1"),
    ("http2_read_idle_timeout", "requests go over HTTP/1.1"),
    (
        "idle_conn_timeout",
        "idle connections are closed by a fixed rule",
    ),
    ("keepalive", "connections are kept and used again"),
    (
        "max_conns_per_host",
        "`sending_queue.num_consumers` bounds the connections",
    ),
    (
        "max_idle_conns",
        "`sending_queue.num_consumers` bounds the connections",
    ),
    (
        "max_idle_conns_per_host",
        "`sending_queue.num_consumers` bounds the connections",
    ),
    ("read_buffer_size", "buffers grow as needed"),
    ("write_buffer_size", "buffers grow as needed"),
];

impl Default for HttpClientConfig {
    fn default() -> Self {
        HttpClientConfig {
            endpoint: String::new(),
            headers: Headers::default(),
            compression: Compression::Gzip,
            timeout: Duration::from_secs(30),
            tls: TlsConfig::default(),
            auth: None,
            proxy_url: String::new(),
        }
    }
}

impl HttpClientConfig {
    /// Where to connect to.
    ///
    /// # Errors
    /// What is wrong with `endpoint`; `validate` has said it before.
    pub fn target(&self) -> Result<Target, String> {
        Target::parse_url(&self.endpoint)
    }

    /// Checks what the types cannot say; `at` is the exporter's section.
    pub fn validate(&self, at: &Section<'_>, problems: &mut Problems) {
        let shared = SharedKeys {
            headers: &self.headers,
            timeout: self.timeout,
            auth: self.auth.as_ref(),
        };
        shared.validate(at, problems);
        let target = check_endpoint(&self.endpoint, self.target(), at, problems);
        if target.is_some_and(|target| target.https == Some(true)) {
            refuse_https(at, problems);
        }
        if !self.proxy_url.is_empty() {
            let message = "proxies are not in this version";
            problems.error(
                at.place_of("proxy_url"),
                message,
                "leave it out and connect directly",
            );
        }
    }
}

/// What both clients are checked for.
struct SharedKeys<'a> {
    headers: &'a Headers,
    timeout: Duration,
    auth: Option<&'a AuthConfig>,
}

impl SharedKeys<'_> {
    fn validate(&self, at: &Section<'_>, problems: &mut Problems) {
        self.headers.validate(&at.at("headers"), problems);
        if self.timeout.is_zero() {
            problems.error(at.place_of("timeout"), "must be more than 0", "");
        }
        if let Some(auth) = self.auth {
            auth.validate(&at.at("auth"), problems);
        }
    }
}

fn check_endpoint(
    endpoint: &str,
    target: Result<Target, String>,
    at: &Section<'_>,
    problems: &mut Problems,
) -> Option<Target> {
    if endpoint.is_empty() {
        problems.error(
            at.place().below("endpoint"),
            "is missing",
            "say where to send",
        );
        return None;
    }
    target
        .map_err(|why| problems.error(at.place_of("endpoint"), why, ""))
        .ok()
}

fn refuse_https(at: &Section<'_>, problems: &mut Problems) {
    let message = "TLS is not in this version";
    problems.error(
        at.place_of("endpoint"),
        message,
        "write `http://` to talk without it",
    );
}
