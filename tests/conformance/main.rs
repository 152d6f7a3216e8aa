//! What the daemon owes its peers: the duties of an OTLP server and client, one test a row, and the real peers.
//!
//! | file | duty |
//! |---|---|
//! | `server_grpc` | as a server over gRPC: codes, limits, compression |
//! | `server_http` | as a server over HTTP: codes, bodies, media types, limits, compression |
//! | `server_overload` | pushing back: retryable answers with delays, nothing acknowledged is lost |
//! | `client_grpc` | as a client over gRPC: what is retried, when, and what never |
//! | `client_http` | the same over HTTP |
//! | `sdks` | the official SDKs of Python, JavaScript and Go as clients |
//! | `prometheus` | a real Prometheus scrapes both endpoints |
//! | `truth` | the graph of generated traces is the one they were generated from |
//! | `late` | what is exported never falls, though parents come late and clocks disagree |
//! | `chain` | the Collector before and behind the daemon; all captures, field by field |
//! | `selftest` | the comparison notices every kind of difference |
//!
//! `README.md` beside this file is the table of duties. `sdks`, `prometheus` and parts of `chain` need what `.ci/peers` installs, and
//! say what they skip without it.
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

mod chain;
mod client_grpc;
mod client_http;
mod graph;
mod late;
mod prometheus;
mod sample;
mod sdks;
mod selftest;
mod server_grpc;
mod server_http;
mod server_overload;
mod truth;
