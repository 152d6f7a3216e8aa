//! What an OTLP/HTTP server answers in JSON.

use crate::otlp::Signal;

/// Appends an `Export…ServiceResponse`: `{}`, or what part was not taken and why.
///
/// `partial` is the number of refused spans, data points or log records and a message; a warning has the number 0.
pub fn encode_response(signal: Signal, partial: Option<(u64, &str)>, out: &mut Vec<u8>) {
    let Some((rejected, message)) = partial else {
        out.extend_from_slice(b"{}");
        return;
    };
    let key = match signal {
        Signal::Traces => "rejectedSpans",
        Signal::Metrics => "rejectedDataPoints",
        Signal::Logs => "rejectedLogRecords",
    };
    let mut success = serde_json::Map::new();
    if rejected > 0 {
        success.insert(key.to_owned(), rejected.to_string().into());
    }
    if !message.is_empty() {
        success.insert("errorMessage".to_owned(), message.into());
    }
    let response = serde_json::json!({ "partialSuccess": success });
    out.extend_from_slice(response.to_string().as_bytes());
}
