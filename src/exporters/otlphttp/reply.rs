//! Judging an HTTP reply, as the OTLP specification has it ("OTLP/HTTP Response").

use crate::base::Nanos;
use crate::otlp::Signal;
use crate::pipeline::{Cause, PartialSuccess, Verdict};
use bytes::Bytes;
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderMap, RETRY_AFTER};
use hyper::{Response, StatusCode};
use prost::Message;
use std::time::{Duration, SystemTime};
use tonic_types::pb;

/// Largest reply read, in bytes (OTLP specification).
const LIMIT: usize = 4 << 20;

/// The verdict of a reply; a partial success is delivered, and must not be tried again.
pub(super) async fn judge(
    signal: Signal,
    response: Response<Incoming>,
    now: Nanos,
) -> Result<Option<PartialSuccess>, Verdict> {
    let (head, body) = response.into_parts();
    let body = Limited::new(body, LIMIT)
        .collect()
        .await
        .map(http_body_util::Collected::to_bytes);
    let is_json = head
        .headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|value| value.trim_start().starts_with("application/json"));
    if head.status.is_success() {
        // the request was taken, whatever became of the reply's text
        let Ok(body) = body else { return Ok(None) };
        return Ok(if is_json {
            PartialSuccess::decode_json(signal, &body)
        } else {
            PartialSuccess::decode(signal, &body)
        });
    }
    let words = words(&body.unwrap_or_default(), is_json);
    let source = Cause::new(format!("next hop answered HTTP {}{words}", head.status));
    Err(match head.status {
        StatusCode::TOO_MANY_REQUESTS
        | StatusCode::BAD_GATEWAY
        | StatusCode::SERVICE_UNAVAILABLE
        | StatusCode::GATEWAY_TIMEOUT => Verdict::Retry {
            after: retry_after(&head.headers, now),
            source,
        },
        _ => Verdict::Permanent { source },
    })
}

/// The message of a `google.rpc.Status` body.
fn words(body: &Bytes, is_json: bool) -> String {
    let message = if is_json {
        let status = serde_json::from_slice::<serde_json::Value>(body).unwrap_or_default();
        status
            .get("message")
            .and_then(|m| m.as_str())
            .unwrap_or_default()
            .to_owned()
    } else {
        pb::Status::decode(body.clone())
            .map(|status| status.message)
            .unwrap_or_default()
    };
    if message.is_empty() {
        message
    } else {
        format!(": {message}")
    }
}

/// `Retry-After`, in seconds or as a date (RFC 9110, 10.2.3).
fn retry_after(headers: &HeaderMap, now: Nanos) -> Option<Duration> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = value.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = httpdate::parse_http_date(value).ok()?;
    let now = SystemTime::UNIX_EPOCH + Duration::from_nanos(now.0);
    Some(date.duration_since(now).unwrap_or_default())
}
