//! What receivers and extensions share: where to listen, and what to take from a stranger.
//!
//! `endpoint` is optional here because its default differs by component: [`Endpoint::localhost`] with the component's port.

use crate::base::{ByteSize, Problems};
use crate::config::Section;
use crate::config::fragments::{AuthConfig, Endpoint, Headers, TlsConfig};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// A gRPC server, as the Collector's `configgrpc`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct GrpcServerConfig {
    /// `host:port` to listen on; absent: the component's port on localhost.
    pub endpoint: Option<Endpoint>,
    /// `tcp`, `tcp4` or `tcp6`.
    pub transport: String,
    /// The largest request, compressed and after decompression, in MiB. The Collector's 4 is too small for what OTLP
    /// recommends, 64.
    pub max_recv_msg_size_mib: u32,
    /// Calls at once on one connection.
    pub max_concurrent_streams: u32,
    /// Pings and the age of connections.
    pub keepalive: KeepaliveServerConfig,
    /// Certificate and key.
    pub tls: Option<TlsConfig>,
    /// Which extension checks credentials.
    pub auth: Option<AuthConfig>,
}

pub(super) const GRPC_IGNORED: &[(&str, &str)] = &[
    (
        "include_metadata",
        "the metadata of incoming requests is not carried along",
    ),
    ("read_buffer_size", "buffers grow as needed"),
    ("write_buffer_size", "buffers grow as needed"),
];

impl Default for GrpcServerConfig {
    fn default() -> Self {
        GrpcServerConfig {
            endpoint: None,
            transport: "tcp".to_owned(),
            max_recv_msg_size_mib: 64,
            max_concurrent_streams: 100,
            keepalive: KeepaliveServerConfig::default(),
            tls: None,
            auth: None,
        }
    }
}

/// `keepalive` of a gRPC server.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct KeepaliveServerConfig {
    /// What this server does of itself.
    pub server_parameters: KeepaliveServerParameters,
}

pub(super) const KEEPALIVE_IGNORED: &[(&str, &str)] = &[(
    "enforcement_policy",
    "clients may ping as they like; a flood of pings is cut off by the HTTP/2 library",
)];

/// `keepalive.server_parameters`, by gRPC's names.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct KeepaliveServerParameters {
    /// How long a connection without calls stays open; 0: for ever.
    #[serde(with = "crate::base::duration")]
    pub max_connection_idle: Duration,
    /// How old a connection gets before its client is asked to connect anew, so that load balancers can rebalance; 0: for
    /// ever.
    #[serde(with = "crate::base::duration")]
    pub max_connection_age: Duration,
    /// How long the calls of such a connection may still take; 0: for ever.
    #[serde(with = "crate::base::duration")]
    pub max_connection_age_grace: Duration,
    /// How long a connection may be silent before it is pinged; 0: never. gRPC's own two hours find dead peers too late.
    #[serde(with = "crate::base::duration")]
    pub time: Duration,
    /// How long a ping may stay unanswered before the connection is closed.
    #[serde(with = "crate::base::duration")]
    pub timeout: Duration,
}

impl Default for KeepaliveServerParameters {
    fn default() -> Self {
        KeepaliveServerParameters {
            max_connection_idle: Duration::ZERO,
            max_connection_age: Duration::ZERO,
            max_connection_age_grace: Duration::ZERO,
            time: Duration::from_secs(30),
            timeout: Duration::from_secs(20),
        }
    }
}

impl GrpcServerConfig {
    /// Where to listen, given the component's port.
    #[must_use]
    pub fn endpoint_or(&self, port: u16) -> Endpoint {
        self.endpoint
            .clone()
            .unwrap_or_else(|| Endpoint::localhost(port))
    }

    /// The largest request.
    #[must_use]
    pub fn max_request_size(&self) -> ByteSize {
        ByteSize::mib(self.max_recv_msg_size_mib.into())
    }

    /// Checks what the types cannot say; `at` is this section.
    pub fn validate(&self, at: &Section<'_>, problems: &mut Problems) {
        if !matches!(self.transport.as_str(), "tcp" | "tcp4" | "tcp6") {
            let message = format!("`{}` is not in this version", self.transport);
            problems.error(at.place_of("transport"), message, "`tcp` is");
        }
        // Two such requests fit into the address space, and a length prefix into gRPC's 32 bits.
        if !(1..=2_047).contains(&self.max_recv_msg_size_mib) {
            problems.error(
                at.place_of("max_recv_msg_size_mib"),
                "must be from 1 to 2047",
                "",
            );
        }
        if self.max_concurrent_streams == 0 {
            problems.error(
                at.place_of("max_concurrent_streams"),
                "must be at least 1",
                "",
            );
        }
        validate_security(self.tls.as_ref(), self.auth.as_ref(), at, problems);
    }
}

/// An HTTP server, as the Collector's `confighttp`, with the paths of its `otlp` receiver.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct HttpServerConfig {
    /// `host:port` to listen on; absent: the component's port on localhost.
    pub endpoint: Option<Endpoint>,
    /// The largest body, compressed and after decompression. OTLP recommends 64 MiB; the Collector has 20.
    pub max_request_body_size: ByteSize,
    /// How long a client may take for a request's headers; 0: for ever.
    #[serde(with = "crate::base::duration")]
    pub read_header_timeout: Duration,
    /// How long a client may take for a whole request; 0: for ever.
    #[serde(with = "crate::base::duration")]
    pub read_timeout: Duration,
    /// How long writing an answer may take; 0: for ever.
    #[serde(with = "crate::base::duration")]
    pub write_timeout: Duration,
    /// How long a connection may wait for its next request; 0: for ever.
    #[serde(with = "crate::base::duration")]
    pub idle_timeout: Duration,
    /// Which web pages may send from a browser; absent: none.
    pub cors: Option<CorsConfig>,
    /// Which content encodings are read: `gzip`, `zstd`, and the empty one for none.
    pub compression_algorithms: Vec<String>,
    /// The `otlp` receiver's path of traces.
    pub traces_url_path: String,
    /// The `otlp` receiver's path of metrics.
    pub metrics_url_path: String,
    /// The `otlp` receiver's path of logs.
    pub logs_url_path: String,
    /// Headers added to each answer.
    pub response_headers: Headers,
    /// Certificate and key.
    pub tls: Option<TlsConfig>,
    /// Which extension checks credentials.
    pub auth: Option<AuthConfig>,
}

pub(super) const HTTP_IGNORED: &[(&str, &str)] = &[
    (
        "include_metadata",
        "the metadata of incoming requests is not carried along",
    ),
    (
        "keep_alives_enabled",
        "connections are kept until `idle_timeout`",
    ),
    ("profiles_url_path", "profiles are not received"),
];

impl Default for HttpServerConfig {
    fn default() -> Self {
        HttpServerConfig {
            endpoint: None,
            max_request_body_size: ByteSize::mib(64),
            read_header_timeout: Duration::from_secs(60),
            read_timeout: Duration::ZERO,
            write_timeout: Duration::from_secs(30),
            idle_timeout: Duration::from_secs(60),
            cors: None,
            compression_algorithms: READ.map(str::to_owned).to_vec(),
            traces_url_path: "/v1/traces".to_owned(),
            metrics_url_path: "/v1/metrics".to_owned(),
            logs_url_path: "/v1/logs".to_owned(),
            response_headers: Headers::default(),
            tls: None,
            auth: None,
        }
    }
}

/// The content encodings that are read.
const READ: [&str; 3] = ["", "gzip", "zstd"];
/// Those that the Collector reads besides.
const COLLECTORS: [&str; 5] = ["deflate", "lz4", "snappy", "x-snappy-framed", "zlib"];

/// Cross-origin requests, as in the Collector.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct CorsConfig {
    /// Origins that may send; `*` stands for any text.
    pub allowed_origins: Vec<String>,
    /// Headers that may be sent besides the harmless ones; `*` for all.
    pub allowed_headers: Vec<String>,
    /// Headers of the answer that the page may read.
    pub exposed_headers: Vec<String>,
    /// How many seconds a browser may remember the permission; 0: its own default.
    pub max_age: u32,
}

impl HttpServerConfig {
    /// Where to listen, given the component's port.
    #[must_use]
    pub fn endpoint_or(&self, port: u16) -> Endpoint {
        self.endpoint
            .clone()
            .unwrap_or_else(|| Endpoint::localhost(port))
    }

    /// Whether bodies of this content encoding are read; `identity` is the empty one.
    #[must_use]
    pub fn reads(&self, encoding: &str) -> bool {
        let encoding = if encoding == "identity" { "" } else { encoding };
        READ.contains(&encoding) && self.compression_algorithms.iter().any(|a| a == encoding)
    }

    /// Checks what the types cannot say; `at` is this section.
    pub fn validate(&self, at: &Section<'_>, problems: &mut Problems) {
        // Decoding addresses bodies with 31 bits.
        if self.max_request_body_size.0 == 0 || self.max_request_body_size > ByteSize::mib(2_047) {
            problems.error(
                at.place_of("max_request_body_size"),
                "must be from 1B to 2047MiB",
                "",
            );
        }
        self.validate_encodings(at, problems);
        for (key, path) in [
            ("traces_url_path", &self.traces_url_path),
            ("metrics_url_path", &self.metrics_url_path),
            ("logs_url_path", &self.logs_url_path),
        ] {
            if !path.starts_with('/')
                || path.contains(['?', '#'])
                || !path.chars().all(|c| c.is_ascii_graphic())
            {
                problems.error(
                    at.place_of(key),
                    format!("`{path}` is not a path"),
                    "it begins with `/`",
                );
            }
        }
        self.response_headers
            .validate(&at.at("response_headers"), problems);
        validate_security(self.tls.as_ref(), self.auth.as_ref(), at, problems);
    }

    fn validate_encodings(&self, at: &Section<'_>, problems: &mut Problems) {
        let list = at.at("compression_algorithms");
        for (i, name) in self.compression_algorithms.iter().enumerate() {
            if READ.contains(&name.as_str()) {
                continue;
            }
            let place = list
                .items()
                .nth(i)
                .map_or(list.place().clone(), |s| s.place().clone());
            if COLLECTORS.contains(&name.as_str()) {
                let message = format!("`{name}` is not read in this version");
                problems.warning(place, message, "senders that use it are answered with 415");
            } else {
                problems.error(
                    place,
                    format!("`{name}` is not a compression"),
                    "`gzip`, `zstd`, or empty for none",
                );
            }
        }
    }
}

fn validate_security(
    tls: Option<&TlsConfig>,
    auth: Option<&AuthConfig>,
    at: &Section<'_>,
    problems: &mut Problems,
) {
    if let Some(tls) = tls {
        tls.validate_server(&at.at("tls"), problems);
    }
    if let Some(auth) = auth {
        auth.validate(&at.at("auth"), problems);
    }
}
