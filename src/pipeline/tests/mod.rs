//! Components together: one file per promise, on paused time, with scripted neighbours.
#![allow(
    clippy::disallowed_methods,
    reason = "tests read the clock that they move, and spawn the neighbours"
)]

mod conservation;
mod merging;
mod overflow;
mod panics;
mod reservations;
mod results;
mod retries;
mod shutdown;
