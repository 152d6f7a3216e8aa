//! Components together: one file per promise, on paused time, with scripted neighbours.

mod conservation;
mod merging;
mod overflow;
mod panics;
mod reservations;
mod results;
mod retries;
mod shutdown;
