//! Compressed requests: gzip, zstd and zlib, in whole messages, as OTLP over gRPC and HTTP carries them.
//!
//! ```text
//! body ─▶ decompress ─▶ bytes   at most min(limit, max(ratio_floor, max_ratio · body)) are ever allocated
//! parts ─▶ compress ─▶ body
//! ```
//!
//! **Bounds.** A bomb is refused when its output passes the limit, not after; buffers grow by doubling towards it, so a
//! small body cannot reserve a large one. Each thread keeps one context per codec that it has used (about 50 KiB to
//! inflate, 270 KiB to deflate, 1–2 MiB for zstd's compressor), because making one costs more than a small request;
//! a zstd context that a request made large is given back.
//! **Invariants.** The whole body is one or more complete streams and nothing else: a cut or a tail is refused.
//! **Not here.** Which encodings a peer accepts, and what the answer to a refusal is (`receivers`).

mod compress;
mod decompress;
#[cfg(test)]
mod tests;

pub use compress::compress;
pub use decompress::{Limits, decompress};

use crate::pipeline::Cause;
use thiserror::Error;

/// How a body is encoded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Encoding {
    /// As it is.
    #[default]
    Identity,
    /// RFC 1952; several members are one stream.
    Gzip,
    /// RFC 8878; several frames are one stream.
    Zstd,
    /// RFC 1950, which HTTP calls `deflate` and the Collector also `zlib`.
    Deflate,
}

impl Encoding {
    /// Reads a `content-encoding` or `grpc-encoding`; no token is no encoding.
    ///
    /// # Errors
    /// [`DecompressError::Unsupported`] for other tokens, also for lists of several.
    pub fn parse(token: &str) -> Result<Self, DecompressError> {
        let known = [
            ("", Encoding::Identity),
            ("identity", Encoding::Identity),
            ("gzip", Encoding::Gzip),
            ("x-gzip", Encoding::Gzip),
            ("zstd", Encoding::Zstd),
            ("deflate", Encoding::Deflate),
            ("zlib", Encoding::Deflate),
        ];
        let token = token.trim();
        known
            .into_iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(token))
            .map(|(_, encoding)| encoding)
            .ok_or_else(|| DecompressError::Unsupported(Cause::new(token)))
    }

    /// The token to send.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Encoding::Identity => "identity",
            Encoding::Gzip => "gzip",
            Encoding::Zstd => "zstd",
            Encoding::Deflate => "deflate",
        }
    }
}

/// Why a body was not decompressed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum DecompressError {
    /// It would be longer than allowed: the sender may not try again.
    #[error("decompressed request is larger than the limit of {limit} bytes")]
    TooLarge {
        /// The limit, in bytes.
        limit: usize,
    },
    /// It grows more than any honest request does.
    #[error("decompressed request is more than {max_ratio} times as large as the compressed one")]
    Ratio {
        /// The largest growth allowed.
        max_ratio: u32,
    },
    /// It is not what its encoding says, is cut short, or has something behind its end.
    #[error("malformed {encoding} body: {what}", encoding = .encoding.as_str())]
    Malformed {
        /// The encoding that it claims.
        encoding: Encoding,
        /// What was found.
        what: &'static str,
    },
    /// An encoding that is not known here.
    #[error("unsupported encoding `{0}`; known are gzip, zstd, deflate and identity")]
    Unsupported(Cause),
}
