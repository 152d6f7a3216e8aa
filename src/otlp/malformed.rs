//! The one error of bytes that are not OTLP.

use std::borrow::Cow;
use std::fmt;

/// Bytes that are not what they claim to be: what is wrong, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Malformed {
    /// Offset in the request, in bytes, at which reading stopped.
    pub at: usize,
    /// What was found there, lower case, without a full stop.
    pub what: Cow<'static, str>,
}

impl Malformed {
    /// A finding at an offset.
    #[must_use]
    pub fn new(at: usize, what: impl Into<Cow<'static, str>>) -> Self {
        Malformed {
            at,
            what: what.into(),
        }
    }
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "malformed request: {} at byte {}", self.what, self.at)
    }
}

impl std::error::Error for Malformed {}
