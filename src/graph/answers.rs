//! Who answered a client's span.

use crate::scan::Outcome;

/// How the servers' spans that answer to a client's span ended: how many, by outcome (O-14).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Answers([u16; Outcome::COUNT]);

impl Answers {
    /// One more, or one fewer.
    pub(crate) fn add(&mut self, outcome: Outcome, is_more: bool) {
        let count = &mut self.0[outcome as usize];
        *count = if is_more {
            count.saturating_add(1)
        } else {
            count.saturating_sub(1)
        };
    }

    /// Whether there is none.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.iter().all(|count| *count == 0)
    }

    /// The worst of them, in the order in which outcomes are listed.
    pub(crate) fn worst(&self) -> Outcome {
        [
            Outcome::Error,
            Outcome::Timeout,
            Outcome::Throttled,
            Outcome::Blocked,
            Outcome::Cancelled,
        ]
        .into_iter()
        .find(|outcome| self.0[*outcome as usize] > 0)
        .unwrap_or_default()
    }
}
