//! Time as a number.

use std::time::Duration;

/// Nanoseconds since the Unix epoch, as OTLP writes times.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Nanos(pub u64);

impl Nanos {
    /// How long ago `earlier` was; zero if it is later.
    #[must_use]
    pub fn since(self, earlier: Nanos) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// This moment plus a span of time, held at the end of time instead of wrapping.
    #[must_use]
    pub fn plus(self, span: Duration) -> Nanos {
        Nanos(
            self.0
                .saturating_add(u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)),
        )
    }
}
