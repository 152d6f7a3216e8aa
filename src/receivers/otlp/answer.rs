//! What a sender is told, and how each protocol says it.
//!
//! One table maps a verdict to a gRPC status, and another maps that to an HTTP code, as the Collector's receiver does.

use crate::otlp::Malformed;
use crate::pipeline::{Cause, Verdict};
use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER};
use hyper::{Response, StatusCode};
use prost::Message;
use serde_json::json;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt, pb};

/// A refusal: a gRPC code, words, and when to try again.
#[derive(Debug)]
pub(super) struct Refusal {
    /// The gRPC code.
    pub(super) code: Code,
    /// The HTTP status, where it is not the one that the code maps to.
    pub(super) http: Option<StatusCode>,
    /// What happened, where, and what to do.
    pub(super) message: Cause,
    /// When the sender may try again; `None` with a retryable code means its own back-off.
    pub(super) retry_after: Option<Duration>,
    /// The label of `agentguard_receiver_requests_refused_total`.
    pub(super) reason: &'static str,
}

impl Refusal {
    pub(super) fn new(code: Code, reason: &'static str, message: impl Into<String>) -> Self {
        Refusal {
            code,
            http: None,
            message: Cause::new(message),
            retry_after: None,
            reason,
        }
    }

    /// The same with an HTTP status of its own.
    pub(super) fn with_http(mut self, status: StatusCode) -> Self {
        self.http = Some(status);
        self
    }

    /// The same with the time after which it is worth trying again.
    pub(super) fn with_retry(mut self, after: Duration) -> Self {
        self.retry_after = Some(after);
        self
    }

    /// The status line of the HTTP reply.
    pub(super) fn http_status(&self) -> StatusCode {
        self.http.unwrap_or(match self.code {
            Code::Cancelled
            | Code::DeadlineExceeded
            | Code::Aborted
            | Code::OutOfRange
            | Code::Unavailable
            | Code::DataLoss => StatusCode::SERVICE_UNAVAILABLE,
            Code::ResourceExhausted => StatusCode::TOO_MANY_REQUESTS,
            Code::InvalidArgument => StatusCode::BAD_REQUEST,
            Code::Unauthenticated => StatusCode::UNAUTHORIZED,
            Code::PermissionDenied => StatusCode::FORBIDDEN,
            Code::Unimplemented => StatusCode::NOT_FOUND,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        })
    }

    fn status(&self) -> Status {
        let mut details = ErrorDetails::new();
        if let Some(after) = self.retry_after {
            details.set_retry_info(Some(after));
        }
        if self.code == Code::InvalidArgument {
            details.add_bad_request_violation("request", self.message.as_str());
        }
        if details.retry_info().is_none() && details.bad_request().is_none() {
            return Status::new(self.code, self.message.as_str());
        }
        Status::with_error_details(self.code, self.message.as_str(), details)
    }
}

impl From<Malformed> for Refusal {
    fn from(malformed: Malformed) -> Self {
        Refusal::new(Code::InvalidArgument, "malformed", malformed.to_string())
    }
}

impl From<Verdict> for Refusal {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Retry { after, source } => {
                let refusal = Refusal::new(Code::Unavailable, "downstream", source.as_str());
                refusal.with_retry(after.unwrap_or(Duration::from_secs(1)))
            }
            Verdict::Refused { after, source } => {
                Refusal::new(Code::Unavailable, "backpressure", source.as_str()).with_retry(after)
            }
            Verdict::Permanent { source } => {
                Refusal::new(Code::Internal, "permanent", source.as_str())
            }
        }
    }
}

/// How an OTLP/HTTP body is encoded; the reply uses the request's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    /// `application/x-protobuf`
    Protobuf,
    /// `application/json`
    Json,
}

impl Encoding {
    fn content_type(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Encoding::Protobuf => "application/x-protobuf",
            Encoding::Json => "application/json",
        })
    }
}

/// A reply's body: at most one piece of data, then trailers.
#[derive(Debug, Default)]
pub(super) struct Reply {
    data: Option<Bytes>,
    trailers: Option<HeaderMap>,
}

impl Body for Reply {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let frame = self
            .data
            .take()
            .map(Frame::data)
            .or_else(|| self.trailers.take().map(Frame::trailers));
        Poll::Ready(frame.map(Ok))
    }

    fn is_end_stream(&self) -> bool {
        self.data.is_none() && self.trailers.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.data.as_ref().map_or(0, Bytes::len) as u64)
    }
}

/// Full success over gRPC: an empty message, `partial_success` unset.
pub(super) fn grpc_success() -> Response<Reply> {
    let mut trailers = HeaderMap::with_capacity(1);
    trailers.insert("grpc-status", HeaderValue::from_static("0"));
    let mut response = Response::new(Reply {
        data: Some(Bytes::from_static(&[0; 5])),
        trailers: Some(trailers),
    });
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    response
}

/// A refusal over gRPC: trailers only.
pub(super) fn grpc_refusal(refusal: &Refusal) -> Response<Reply> {
    refusal.status().into_http()
}

/// Full success over HTTP.
pub(super) fn http_success(encoding: Encoding) -> Response<Reply> {
    let body = match encoding {
        Encoding::Protobuf => Bytes::new(),
        Encoding::Json => Bytes::from_static(b"{}"),
    };
    http_reply(StatusCode::OK, encoding, body)
}

/// A refusal over HTTP: a `google.rpc.Status` in the request's encoding.
pub(super) fn http_refusal(refusal: &Refusal, encoding: Encoding) -> Response<Reply> {
    let status = refusal.status();
    let body = match encoding {
        Encoding::Protobuf => {
            let bytes = if status.details().is_empty() {
                let message = pb::Status {
                    code: refusal.code.into(),
                    message: refusal.message.to_string(),
                    details: vec![],
                };
                message.encode_to_vec()
            } else {
                status.details().to_vec()
            };
            Bytes::from(bytes)
        }
        Encoding::Json => Bytes::from(json_status(refusal)),
    };
    let mut response = http_reply(refusal.http_status(), encoding, body);
    if let Some(after) = refusal.retry_after {
        let seconds = after.as_millis().div_ceil(1000).max(1);
        response.headers_mut().insert(
            RETRY_AFTER,
            HeaderValue::from(u64::try_from(seconds).unwrap_or(u64::MAX)),
        );
    }
    response
}

fn json_status(refusal: &Refusal) -> String {
    let mut details = Vec::new();
    if let Some(after) = refusal.retry_after {
        let delay = format!("{}.{:03}s", after.as_secs(), after.subsec_millis());
        details.push(
            json!({"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay}),
        );
    }
    if refusal.code == Code::InvalidArgument {
        let violation = json!({"field": "request", "description": refusal.message.as_str()});
        details.push(json!({"@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": [violation]}));
    }
    json!({"code": i32::from(refusal.code), "message": refusal.message.as_str(), "details": details}).to_string()
}

fn http_reply(status: StatusCode, encoding: Encoding, body: Bytes) -> Response<Reply> {
    let mut response = Response::new(Reply {
        data: Some(body),
        trailers: None,
    });
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, encoding.content_type());
    response
}
