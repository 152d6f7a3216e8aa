//! What both OTLP exporters put on a request: who they are, how it is compressed, the configured headers.

use crate::base::Secret;
use crate::config::fragments::Compression;
use crate::pipeline::compression::Encoding;
use hyper::header::{HeaderMap, HeaderName, HeaderValue};

/// What an OTLP exporter says it is (OTLP specification, "User Agent").
pub(super) const USER_AGENT_VALUE: &str = concat!(
    "AgentGuard/",
    env!("CARGO_PKG_VERSION"),
    " OTel-OTLP-Exporter-Rust/",
    env!("CARGO_PKG_VERSION")
);

/// The compression that a client's configuration names.
pub(super) fn encoding(compression: Compression) -> Encoding {
    match compression {
        Compression::None => Encoding::Identity,
        Compression::Gzip => Encoding::Gzip,
        Compression::Zstd => Encoding::Zstd,
    }
}

/// Configured headers as HTTP's; values stay out of logs.
pub(super) fn headers<'a>(
    configured: impl Iterator<Item = (&'a str, &'a Secret)>,
) -> anyhow::Result<HeaderMap> {
    let mut headers = HeaderMap::new();
    for (name, value) in configured {
        let mut value = HeaderValue::from_str(value.expose())?;
        value.set_sensitive(true);
        headers.insert(HeaderName::try_from(name)?, value);
    }
    Ok(headers)
}
