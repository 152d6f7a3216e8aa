//! Why a batch did not go on, as the next action to take.

use std::fmt;
use std::time::Duration;

/// A reason in words, bounded, so that it can be logged and sent back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cause(String);

impl Cause {
    /// Longest text kept, in bytes; peers may answer with anything.
    pub const MAX_BYTES: usize = 256;

    /// Keeps the first [`Cause::MAX_BYTES`] of a text.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        let mut text = text.into();
        if text.len() > Self::MAX_BYTES {
            let cut = text.floor_char_boundary(Self::MAX_BYTES);
            text.truncate(cut);
        }
        Cause(text)
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What to do with a batch that was not taken. The one who knows decides; nobody looks inside later.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The next hop cannot take it now; the same bytes may succeed later.
    Retry {
        /// How long the next hop asked to wait, if it said.
        after: Option<Duration>,
        /// Why.
        source: Cause,
    },
    /// We push back: a queue or the memory is full. The sender keeps it and tries again.
    Refused {
        /// When it is worth trying again.
        after: Duration,
        /// Which bound was hit.
        source: Cause,
    },
    /// It will never be taken as it is.
    Permanent {
        /// Why.
        source: Cause,
    },
}

impl Verdict {
    /// The reason in words.
    #[must_use]
    pub fn cause(&self) -> &Cause {
        match self {
            Verdict::Retry { source, .. }
            | Verdict::Refused { source, .. }
            | Verdict::Permanent { source } => source,
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self {
            Verdict::Retry { .. } => "retryable",
            Verdict::Refused { .. } => "refused",
            Verdict::Permanent { .. } => "permanent",
        };
        write!(f, "{kind}: {}", self.cause())
    }
}

impl std::error::Error for Verdict {}
