//! The frame of a unary gRPC call: a flag, a length, one message (gRPC over HTTP/2, "Length-Prefixed-Message").
//!
//! **Not here.** Decompression, and which status a broken frame is answered with.

use bytes::Bytes;
use thiserror::Error;

/// Why a body is not one framed message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum FrameError {
    /// There is no whole head.
    #[error("gRPC message head needs 5 bytes, and the body has {found}")]
    Short {
        /// Bytes that are there.
        found: usize,
    },
    /// The flag says neither yes nor no.
    #[error("gRPC compression flag is {flag}, not 0 or 1")]
    Flag {
        /// What it says.
        flag: u8,
    },
    /// The head announces more than is taken.
    #[error("message of {announced} bytes is larger than the limit of {limit} bytes")]
    TooLarge {
        /// As the head says.
        announced: usize,
        /// The largest.
        limit: usize,
    },
    /// The head announces something else than there is; a second message in a unary call is one of the ways.
    #[error("gRPC message should have {announced} bytes, and has {found}")]
    Length {
        /// As the head says.
        announced: usize,
        /// Bytes behind the head.
        found: usize,
    },
}

/// Cuts the one message of a unary call out of its body: whether it is compressed, and its bytes.
///
/// # Errors
/// See [`FrameError`].
pub fn unframe(body: &Bytes, limit: usize) -> Result<(bool, Bytes), FrameError> {
    let Some(([flag, length @ ..], rest)) = body.split_first_chunk::<5>() else {
        return Err(FrameError::Short { found: body.len() });
    };
    let announced = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX);
    if *flag > 1 {
        return Err(FrameError::Flag { flag: *flag });
    }
    if announced > limit {
        return Err(FrameError::TooLarge { announced, limit });
    }
    if announced != rest.len() {
        let found = rest.len();
        return Err(FrameError::Length { announced, found });
    }
    Ok((*flag == 1, body.slice(5..)))
}
