//! OTLP over HTTP: three paths, protobuf or JSON, and replies in the request's encoding.

use super::answer::{Encoding, Refusal, Reply, http_refusal, http_success};
use super::body;
use super::cors::Cors;
use super::intake::{Intake, no_pipeline};
use crate::config::fragments::HttpServerConfig;
use crate::otlp::{Signal, json};
use crate::pipeline::compression;
use crate::telemetry::task;
use bytes::Bytes;
use hyper::body::{Body, Incoming};
use hyper::header::{ALLOW, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, Request, Response, StatusCode, Version};
use tonic::Code;

/// Where each signal is posted, indexed as [`Signal::ALL`].
pub(super) type Paths = [String; 3];

/// What is served on an HTTP port, and how.
pub(super) struct HttpSettings {
    paths: Paths,
    cors: Cors,
    /// Headers of every reply.
    headers: HeaderMap,
    config: HttpServerConfig,
}

impl HttpSettings {
    pub(super) fn of(config: &HttpServerConfig, paths: Paths) -> Self {
        let headers = config.response_headers.iter().filter_map(|(name, value)| {
            Some((
                HeaderName::try_from(name).ok()?,
                HeaderValue::from_str(value.expose()).ok()?,
            ))
        });
        HttpSettings {
            paths,
            cors: Cors::new(config.cors.clone().unwrap_or_default()),
            headers: headers.collect(),
            config: config.clone(),
        }
    }
}

/// Answers one HTTP request.
pub(super) async fn answer(
    intake: &Intake,
    settings: &HttpSettings,
    request: Request<Incoming>,
) -> Response<Reply> {
    if let Some(preflight) = settings.cors.preflight(&request) {
        return preflight;
    }
    let origin = settings.cors.allowed_origin(request.headers());
    let mut response = answer_post(intake, settings, request).await;
    settings.cors.permit(origin, response.headers_mut());
    response.headers_mut().extend(settings.headers.clone());
    response
}

async fn answer_post(
    intake: &Intake,
    settings: &HttpSettings,
    mut request: Request<Incoming>,
) -> Response<Reply> {
    let paths = &settings.paths;
    let encoding = content_encoding_of(&request);
    let answered = match encoding {
        _ if !paths.iter().any(|p| p == request.uri().path()) => {
            Err(unknown_path(request.uri().path(), paths))
        }
        _ if request.method() != Method::POST => Err(wrong_method(request.method())),
        Some(encoding) => export(intake, settings, encoding, &mut request)
            .await
            .map(|()| encoding),
        None => Err(unknown_type(request.headers().get(CONTENT_TYPE))),
    };
    match answered {
        Ok(encoding) => http_success(encoding),
        Err(refusal) => {
            intake.metrics.refused_request(refusal.reason);
            // HTTP/2 ends a stream without ending the connection, so nothing gets lost there
            if request.version() < Version::HTTP_2 && !request.body().is_end_stream() {
                let unread = body::linger(request.into_body());
                drop(task::spawn_one_of_many("otlp refused body", unread));
            }
            let mut response = http_refusal(&refusal, encoding.unwrap_or(Encoding::Json));
            if response.status() == StatusCode::METHOD_NOT_ALLOWED {
                response
                    .headers_mut()
                    .insert(ALLOW, HeaderValue::from_static("POST"));
            }
            response
        }
    }
}

fn unknown_path(path: &str, paths: &Paths) -> Refusal {
    let what = format!(
        "path `{path}` is not served here; post to {}",
        paths.join(", ")
    );
    Refusal::new(Code::Unimplemented, "unknown_path", what).with_http(StatusCode::NOT_FOUND)
}

fn wrong_method(method: &Method) -> Refusal {
    let what = format!("method {method} is not allowed; OTLP/HTTP uses POST");
    Refusal::new(Code::Unimplemented, "wrong_method", what)
        .with_http(StatusCode::METHOD_NOT_ALLOWED)
}

fn unknown_type(value: Option<&HeaderValue>) -> Refusal {
    let what = match value {
        Some(value) => format!(
            "content type {value:?} is not OTLP's; use application/x-protobuf or application/json"
        ),
        None => {
            "content type is missing; use application/x-protobuf or application/json".to_owned()
        }
    };
    let refusal = Refusal::new(Code::InvalidArgument, "wrong_content_type", what);
    refusal.with_http(StatusCode::UNSUPPORTED_MEDIA_TYPE)
}

/// The body's encoding by its content type, parameters aside.
fn content_encoding_of(request: &Request<Incoming>) -> Option<Encoding> {
    let value = request.headers().get(CONTENT_TYPE)?.to_str().ok()?;
    let media_type = value.split(';').next()?.trim();
    if media_type.eq_ignore_ascii_case("application/x-protobuf") {
        Some(Encoding::Protobuf)
    } else if media_type.eq_ignore_ascii_case("application/json") {
        Some(Encoding::Json)
    } else {
        None
    }
}

async fn export(
    intake: &Intake,
    settings: &HttpSettings,
    encoding: Encoding,
    request: &mut Request<Incoming>,
) -> Result<(), Refusal> {
    let paths = &settings.paths;
    let path = request.uri().path();
    let found = Signal::ALL.into_iter().zip(paths).find(|(_, p)| *p == path);
    let Some((signal, _)) = found else {
        return Err(unknown_path(path, paths));
    };
    if intake.consumer(signal).is_none() {
        return Err(no_pipeline(signal));
    }
    let compression = compression_of(request, settings)?;
    let (bytes, share) = intake.read(request.body_mut()).await?;
    let plain = intake.decompress(compression, &bytes)?;
    drop(bytes);
    let message = match encoding {
        Encoding::Protobuf => plain,
        Encoding::Json => Bytes::from(json::decode(signal, &plain)?),
    };
    intake.take(signal, message, share).await
}

fn compression_of(
    request: &Request<Incoming>,
    settings: &HttpSettings,
) -> Result<compression::Encoding, Refusal> {
    let Some(value) = request.headers().get(CONTENT_ENCODING) else {
        return Ok(compression::Encoding::Identity);
    };
    let name = value
        .to_str()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase();
    let known = compression::Encoding::parse(&name)
        .ok()
        .filter(|_| settings.config.reads(&name));
    known.ok_or_else(|| {
        let offered: Vec<&str> = ["identity", "gzip", "zstd"]
            .into_iter()
            .filter(|name| settings.config.reads(name))
            .collect();
        let what = format!(
            "content encoding {value:?} is not read here; use {}",
            offered.join(" or ")
        );
        let refusal = Refusal::new(Code::InvalidArgument, "unsupported_compression", what);
        refusal.with_http(StatusCode::UNSUPPORTED_MEDIA_TYPE)
    })
}
