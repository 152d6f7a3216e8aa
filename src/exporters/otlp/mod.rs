//! The `otlp` exporter: OTLP over gRPC to the next hop.
//!
//! A unary call is one HTTP/2 request whose body is the batch's own bytes behind a head of five; replies are judged by
//! the table of the OTLP specification ("OTLP/gRPC Response", retryable codes), so the delivery in front knows what to
//! do next.
//!
//! **Not here.** Queue, merging, retry (`pipeline::delivery`).

mod body;
mod config;
mod connection;
mod reply;

use crate::exporters::outgoing::USER_AGENT_VALUE;
use crate::pipeline::compression::{Encoding, compress};
use crate::pipeline::{BoxFuture, Cause, Component, Exporter, Outgoing, Verdict};
use crate::telemetry::ExporterMetrics;
use body::GrpcBody;
pub use config::{OtlpExporterConfig, configure};
use connection::{Connection, ConnectionSettings};
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderValue, TE, USER_AGENT};
use hyper::{Request, Uri};
use std::time::Duration;

/// Sends requests to one endpoint over gRPC.
pub struct OtlpExporter {
    connection: Connection,
    /// The scheme and authority that calls name.
    base: String,
    headers: HeaderMap,
    compression: Encoding,
    metrics: ExporterMetrics,
}

impl OtlpExporter {
    fn request(&self, request: Outgoing) -> Result<Request<GrpcBody>, Verdict> {
        let permanent = |what: String| Verdict::Permanent {
            source: Cause::new(what),
        };
        let uri: Uri = format!("{}{}", self.base, request.signal.grpc_path())
            .parse()
            .map_err(|error| {
                permanent(format!(
                    "endpoint `{}` is not an address: {error}",
                    self.base
                ))
            })?;
        let is_compressed = self.compression != Encoding::Identity;
        let parts = if is_compressed {
            let bytes = compress(self.compression, &request.parts)
                .map_err(|error| permanent(format!("compressing the request failed: {error}")))?;
            vec![bytes]
        } else {
            request.parts
        };
        let body = GrpcBody::new(parts, is_compressed)
            .ok_or_else(|| permanent("request is longer than a gRPC message can be".to_owned()))?;
        let mut call = Request::post(uri)
            .body(body)
            .map_err(|error| permanent(error.to_string()))?;
        *call.headers_mut() = self.headers.clone();
        Ok(call)
    }
}

/// The headers of every call.
fn call_headers(extra: HeaderMap, compression: Encoding) -> HeaderMap {
    let mut headers = extra;
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    headers.insert(TE, HeaderValue::from_static("trailers"));
    headers
        .entry(USER_AGENT)
        .or_insert(HeaderValue::from_static(USER_AGENT_VALUE));
    headers.insert(
        "grpc-accept-encoding",
        HeaderValue::from_static("identity,gzip"),
    );
    if compression != Encoding::Identity {
        headers.insert(
            "grpc-encoding",
            HeaderValue::from_static(compression.as_str()),
        );
    }
    headers
}

impl Exporter for OtlpExporter {
    fn export(&self, request: Outgoing) -> BoxFuture<'_, Result<(), Verdict>> {
        Box::pin(async move {
            let signal = request.signal;
            let call = self.request(request)?;
            let response = self.connection.send(call).await?;
            if let Some(partial) = reply::judge(signal, response).await? {
                partial.report(signal, &self.metrics);
            }
            Ok(())
        })
    }
}

impl Component for OtlpExporter {
    fn shutdown(&self, _deadline: Duration) -> BoxFuture<'_, ()> {
        Box::pin(self.connection.close())
    }
}
