//! OTLP over gRPC: three unary methods, with the request's bytes handed on as they came.
//!
//! The framing of a unary call is five bytes and a trailer, so it is read and written here, straight on hyper's HTTP/2.
//! tonic's server does the same through a codec, but copies each body once more, answers an over-long message with
//! `OUT_OF_RANGE` (which clients retry for ever, where OTLP asks for `RESOURCE_EXHAUSTED`), and cannot refuse by the
//! announced length. tonic's `Status` and its details are used as they are.

use super::answer::{Refusal, Reply, grpc_refusal, grpc_success};
use super::frame::{FrameError, unframe};
use super::intake::{Intake, no_pipeline};
use crate::otlp::Signal;
use crate::pipeline::compression::Encoding;
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use tonic::Code;

/// Answers one HTTP/2 request.
pub(super) async fn answer(intake: &Intake, request: Request<Incoming>) -> Response<Reply> {
    if let Some(early) = not_grpc(&request) {
        return early;
    }
    match export(intake, request).await {
        Ok(()) => grpc_success(),
        Err(refusal) => {
            intake.metrics.refused_request(refusal.reason);
            let mut response = grpc_refusal(&refusal);
            if refusal.reason == "unsupported_compression" {
                let offered = HeaderValue::from_static("identity,gzip,zstd");
                response
                    .headers_mut()
                    .insert("grpc-accept-encoding", offered);
            }
            response
        }
    }
}

/// gRPC over HTTP/2: only POST, and 415 for content that is not gRPC's.
fn not_grpc(request: &Request<Incoming>) -> Option<Response<Reply>> {
    let content_type = request
        .headers()
        .get(CONTENT_TYPE)
        .map(HeaderValue::as_bytes)
        .unwrap_or_default();
    let is_grpc = content_type
        .strip_prefix(b"application/grpc")
        .is_some_and(|rest| matches!(rest.first(), None | Some(b'+' | b';' | b' ')));
    let status = if request.method() != Method::POST {
        StatusCode::METHOD_NOT_ALLOWED
    } else if is_grpc {
        return None;
    } else {
        StatusCode::UNSUPPORTED_MEDIA_TYPE
    };
    let mut response = Response::new(Reply::default());
    *response.status_mut() = status;
    Some(response)
}

async fn export(intake: &Intake, mut request: Request<Incoming>) -> Result<(), Refusal> {
    let path = request.uri().path();
    let signal = Signal::ALL
        .into_iter()
        .find(|signal| signal.grpc_path() == path)
        .ok_or_else(|| {
            Refusal::new(
                Code::Unimplemented,
                "unknown_method",
                format!("method `{path}` is not an OTLP export"),
            )
        })?;
    if intake.consumer(signal).is_none() {
        return Err(no_pipeline(signal));
    }
    let encoding = match request.headers().get("grpc-encoding") {
        None => Encoding::Identity,
        Some(value) => encoding(value)?,
    };
    let (bytes, share) = intake.read(request.body_mut()).await?;
    let (is_compressed, message) = unframe(&bytes, intake.limit)?;
    let message = match (is_compressed, encoding) {
        (true, Encoding::Identity) => {
            let what = "message is marked as compressed, but the call has no grpc-encoding";
            return Err(Refusal::new(Code::Internal, "bad_framing", what));
        }
        (true, encoding) => intake.decompress(encoding, &message)?,
        (false, _) => message,
    };
    drop(bytes);
    intake.take(signal, message, share).await
}

fn encoding(value: &HeaderValue) -> Result<Encoding, Refusal> {
    let known = value
        .to_str()
        .ok()
        .and_then(|token| Encoding::parse(token).ok());
    let known = known.filter(|known| *known != Encoding::Deflate);
    known.ok_or_else(|| {
        let what = format!("grpc-encoding {value:?} is not supported; use identity, gzip or zstd");
        Refusal::new(Code::Unimplemented, "unsupported_compression", what)
    })
}

impl From<FrameError> for Refusal {
    fn from(error: FrameError) -> Self {
        let (code, reason) = match error {
            FrameError::TooLarge { .. } => (Code::ResourceExhausted, "too_large"),
            FrameError::Short { .. } | FrameError::Flag { .. } | FrameError::Length { .. } => {
                (Code::InvalidArgument, "bad_framing")
            }
        };
        Refusal::new(code, reason, error.to_string())
    }
}
