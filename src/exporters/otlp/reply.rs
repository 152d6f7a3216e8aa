//! Judging a gRPC reply: delivered, partly delivered, to be tried again, or never.

use crate::otlp::Signal;
use crate::pipeline::{Cause, PartialSuccess, Verdict};
use bytes::Bytes;
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::header::HeaderMap;
use hyper::{Response, StatusCode};
use tonic::{Code, Status};
use tonic_types::StatusExt;

/// Largest reply read, in bytes (OTLP specification).
const LIMIT: usize = 4 << 20;

/// The verdict of a reply; a partial success is delivered, and must not be tried again.
pub(super) async fn judge(
    signal: Signal,
    response: Response<Incoming>,
) -> Result<Option<PartialSuccess>, Verdict> {
    let (head, body) = response.into_parts();
    if let Some(status) = Status::from_header_map(&head.headers) {
        return verdict(&status).map_or(Ok(None), Err);
    }
    if head.status != StatusCode::OK {
        return Err(not_grpc(head.status));
    }
    let collected = Limited::new(body, LIMIT).collect().await.map_err(|error| {
        let source = Cause::new(format!("reading the reply failed: {error}"));
        Verdict::Retry {
            after: None,
            source,
        }
    })?;
    let trailers = collected.trailers().cloned().unwrap_or_else(HeaderMap::new);
    let Some(status) = Status::from_header_map(&trailers) else {
        let source = Cause::new("reply ended without a grpc-status");
        return Err(Verdict::Retry {
            after: None,
            source,
        });
    };
    if let Some(verdict) = verdict(&status) {
        return Err(verdict);
    }
    Ok(message(&collected.to_bytes()).and_then(|bytes| PartialSuccess::decode(signal, &bytes)))
}

/// The message inside the reply's frame; compressed ones cannot come, since only gzip was offered and they are tiny.
fn message(framed: &Bytes) -> Option<Bytes> {
    let (head, _) = framed.split_first_chunk::<5>()?;
    (head.first() == Some(&0)).then(|| framed.slice(5..))
}

/// What a gRPC status asks for; `None` is success.
fn verdict(status: &Status) -> Option<Verdict> {
    let after = status
        .get_details_retry_info()
        .and_then(|info| info.retry_delay);
    let source = Cause::new(format!("{:?}: {}", status.code(), status.message()));
    match status.code() {
        Code::Ok => None,
        Code::Cancelled
        | Code::DeadlineExceeded
        | Code::Aborted
        | Code::OutOfRange
        | Code::Unavailable
        | Code::DataLoss => Some(Verdict::Retry { after, source }),
        Code::ResourceExhausted if after.is_some() => Some(Verdict::Retry { after, source }),
        _ => Some(Verdict::Permanent { source }),
    }
}

/// A reply that is not gRPC's, as the gRPC specification maps HTTP codes ("HTTP to gRPC Status Code Mapping").
fn not_grpc(status: StatusCode) -> Verdict {
    let source = Cause::new(format!("next hop answered HTTP {status} instead of gRPC"));
    match status {
        StatusCode::TOO_MANY_REQUESTS
        | StatusCode::BAD_GATEWAY
        | StatusCode::SERVICE_UNAVAILABLE
        | StatusCode::GATEWAY_TIMEOUT => Verdict::Retry {
            after: None,
            source,
        },
        _ => Verdict::Permanent { source },
    }
}
