//! What goes wrong on purpose: hostile input, too much of it, peers and signals that come at the wrong moment.
//!
//! | file | question |
//! |---|---|
//! | `bad_input` | what is each kind of bad input answered, and what does it leave behind? `BAD_INPUT.md` is the table |
//! | `overload` | with three times what it can take: is memory bounded, each refusal retryable, nothing lost or doubled? |
//! | `memory` | names and traces without end: is memory bounded, what did not fit counted, nothing lost? |
//! | `downstream` | the next hop comes late, breaks connections, loses answers |
//! | `life` | signals, deadlines, ports in use |
//! | `health` | what `agentguard health` says, and how it exits |
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a test fails by panicking, reads clocks, and spawns what lives as long as it does"
)]
#![allow(unreachable_pub, reason = "a test binary exports nothing")]

#[path = "../support/mod.rs"]
mod support;

mod bad_input;
mod downstream;
mod health;
mod life;
mod memory;
mod overload;
mod requests;
