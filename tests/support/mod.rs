//! The harness of the tests that run the built binary against real peers.
//!
//! ```text
//! client (raw gRPC, raw HTTP, an SDK, the Collector) ─▶ Daemon (the built binary) ─▶ Stub (scripted) or the Collector
//! ```
//!
//! **Invariants.** Nothing sleeps for a fixed time: tests wait for a condition with a deadline. Ports are the kernel's
//! choice on loopback. Every process ends with its owner, also when a test fails, and its log is printed then.
//! **Not here.** What is expected of the daemon (the tests), what goes wrong on purpose in the network (`tests/faults`).
#![allow(
    dead_code,
    reason = "each test binary uses its own part of the harness"
)]

pub mod capture;
pub mod compare;
pub mod daemon;
pub mod flood;
pub mod metrics;
pub mod peers;
pub mod process;
pub mod stub;
pub mod truth;
pub mod unpack;
pub mod wait;
pub mod wire;
