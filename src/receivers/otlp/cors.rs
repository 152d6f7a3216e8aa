//! Cross-origin requests from browsers: who may send, and what a preflight is answered (Fetch standard, CORS protocol).

use super::answer::Reply;
use crate::config::fragments::CorsConfig;
use hyper::body::Incoming;
use hyper::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS,
    ACCESS_CONTROL_REQUEST_METHOD, HeaderMap, HeaderValue, ORIGIN, VARY,
};
use hyper::{Method, Request, Response, StatusCode};

/// The permissions of a port.
#[derive(Clone, Debug, Default)]
pub(super) struct Cors {
    config: CorsConfig,
}

impl Cors {
    pub(super) fn new(config: CorsConfig) -> Self {
        Cors { config }
    }

    /// The answer to a preflight; `None` if the request is none.
    pub(super) fn preflight(&self, request: &Request<Incoming>) -> Option<Response<Reply>> {
        let headers = request.headers();
        let is_preflight = request.method() == Method::OPTIONS
            && headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD);
        if !is_preflight {
            return None;
        }
        let mut response = Response::new(Reply::default());
        *response.status_mut() = StatusCode::NO_CONTENT;
        if let Some(origin) = self.allowed_origin(headers) {
            let answer = response.headers_mut();
            answer.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
            answer.insert(
                VARY,
                HeaderValue::from_static("Origin, Access-Control-Request-Headers"),
            );
            answer.insert(
                ACCESS_CONTROL_ALLOW_METHODS,
                HeaderValue::from_static("POST"),
            );
            if let Some(allowed) = self.allowed_headers(headers) {
                answer.insert(ACCESS_CONTROL_ALLOW_HEADERS, allowed);
            }
            if self.config.max_age > 0 {
                answer.insert(
                    ACCESS_CONTROL_MAX_AGE,
                    HeaderValue::from(self.config.max_age),
                );
            }
        }
        Some(response)
    }

    /// Adds to a reply what lets the page of an allowed origin read it.
    pub(super) fn permit(&self, origin: Option<HeaderValue>, reply: &mut HeaderMap) {
        let Some(origin) = origin else { return };
        reply.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        reply.insert(VARY, HeaderValue::from_static("Origin"));
        if let Ok(exposed) = HeaderValue::from_str(&self.config.exposed_headers.join(", "))
            && !exposed.is_empty()
        {
            reply.insert(ACCESS_CONTROL_EXPOSE_HEADERS, exposed);
        }
    }

    /// The request's origin, if it may send.
    pub(super) fn allowed_origin(&self, headers: &HeaderMap) -> Option<HeaderValue> {
        let origin = headers.get(ORIGIN)?;
        let text = origin.to_str().ok()?;
        let allowed = self
            .config
            .allowed_origins
            .iter()
            .any(|pattern| matches(pattern, text));
        allowed.then(|| origin.clone())
    }

    fn allowed_headers(&self, headers: &HeaderMap) -> Option<HeaderValue> {
        let asked = headers.get(ACCESS_CONTROL_REQUEST_HEADERS)?;
        if self.config.allowed_headers.iter().any(|name| name == "*") {
            return Some(asked.clone());
        }
        // content-type is what makes an OTLP request a preflighted one
        let names = ["content-type", "content-encoding"].into_iter();
        let allowed: Vec<&str> = names
            .chain(self.config.allowed_headers.iter().map(String::as_str))
            .collect();
        HeaderValue::from_str(&allowed.join(", ")).ok()
    }
}

/// Whether a text fits a pattern in which `*` stands for any text; as the Collector, one `*` at most is meant.
fn matches(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern.eq_ignore_ascii_case(text),
        Some((start, end)) => {
            let (pattern_len, text_lower) = (start.len() + end.len(), text.to_ascii_lowercase());
            text_lower.len() >= pattern_len
                && text_lower.starts_with(&start.to_ascii_lowercase())
                && text_lower.ends_with(&end.to_ascii_lowercase())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_fits_by_letter_or_by_star() {
        assert!(matches("https://a.example", "https://A.example"));
        assert!(matches("https://*.example", "https://a.b.example"));
        assert!(matches("*", "null"));
        assert!(!matches("https://*.example", "https://a.example.net"));
        assert!(!matches("ab*ba", "aba"));
    }
}
