//! The `otlphttp` exporter: OTLP over HTTP to the next hop, in protobuf or JSON.
//!
//! **Not here.** Queue, merging, retry (`pipeline::delivery`).

mod config;
mod reply;

use crate::exporters::outgoing::USER_AGENT_VALUE;
use crate::otlp::json;
use crate::pipeline::compression::{Encoding, compress};
use crate::pipeline::{BoxFuture, Cause, Component, Exporter, Outgoing, Verdict};
use crate::telemetry::{Clock, ExporterMetrics, task};
use bytes::Bytes;
pub use config::{BodyEncoding, OtlpHttpExporterConfig, configure};
use http_body_util::Full;
use hyper::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderValue, USER_AGENT};
use hyper::{Request, Uri};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;

/// Sends requests to one endpoint over HTTP.
pub struct OtlpHttpExporter {
    client: Client<HttpConnector, Full<Bytes>>,
    /// Where each signal is posted, indexed as `Signal::ALL`.
    urls: [Uri; 3],
    headers: HeaderMap,
    encoding: BodyEncoding,
    compression: Encoding,
    metrics: ExporterMetrics,
    clock: Clock,
}

impl OtlpHttpExporter {
    fn request(&self, request: &Outgoing) -> Result<Request<Full<Bytes>>, Verdict> {
        let permanent = |what: String| Verdict::Permanent {
            source: Cause::new(what),
        };
        let parts = match self.encoding {
            BodyEncoding::Proto => request.parts.clone(),
            BodyEncoding::Json => {
                let whole = concat(&request.parts);
                let mut text = Vec::with_capacity(whole.len() * 2);
                json::encode(request.signal, &whole, &mut text)
                    .map_err(|error| permanent(error.to_string()))?;
                vec![Bytes::from(text)]
            }
        };
        let body = match self.compression {
            Encoding::Identity => concat(&parts),
            encoding => compress(encoding, &parts)
                .map_err(|error| permanent(format!("compressing the request failed: {error}")))?,
        };
        let url = self
            .urls
            .get(request.signal as usize)
            .cloned()
            .unwrap_or_default();
        let mut post = Request::post(url)
            .body(Full::new(body))
            .map_err(|error| permanent(error.to_string()))?;
        *post.headers_mut() = self.headers.clone();
        Ok(post)
    }
}

/// The headers of every request.
fn post_headers(extra: HeaderMap, encoding: BodyEncoding, compression: Encoding) -> HeaderMap {
    let mut headers = extra;
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static(encoding.content_type()),
    );
    headers
        .entry(USER_AGENT)
        .or_insert(HeaderValue::from_static(USER_AGENT_VALUE));
    if compression != Encoding::Identity {
        headers.insert(
            CONTENT_ENCODING,
            HeaderValue::from_static(compression.as_str()),
        );
    }
    headers
}

fn concat(parts: &[Bytes]) -> Bytes {
    match parts {
        [one] => one.clone(),
        several => Bytes::from(several.concat()),
    }
}

impl Exporter for OtlpHttpExporter {
    fn export(&self, request: Outgoing) -> BoxFuture<'_, Result<(), Verdict>> {
        Box::pin(async move {
            let post = self.request(&request)?;
            let response = self.client.request(post).await.map_err(|error| {
                let text = std::error::Error::source(&error)
                    .map_or_else(|| error.to_string(), ToString::to_string);
                Verdict::Retry {
                    after: None,
                    source: Cause::new(format!("request failed: {text}")),
                }
            })?;
            if let Some(partial) = reply::judge(request.signal, response, self.clock.now()).await? {
                partial.report(request.signal, &self.metrics);
            }
            Ok(())
        })
    }
}

impl Component for OtlpHttpExporter {}

/// A client whose connections are tasks with a name.
fn client() -> Client<HttpConnector, Full<Bytes>> {
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    connector.enforce_http(true);
    Client::builder(task::Executor("otlphttp exporter connection"))
        .pool_timer(hyper_util::rt::TokioTimer::new())
        .build(connector)
}
