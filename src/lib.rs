//! AgentGuard: a streaming OpenTelemetry sidecar that maps, scores and guards systems made of many AI agents.
//!
//! The folders stand in the order of the data's way, which is also the order of dependency: a folder imports only what
//! is listed before it.
//!
//! The core knows no tokio, no sockets, no files, no clock and no logging; the shell is everything that waits.

#![recursion_limit = "256"]

// ── the core ──
pub mod base;
pub mod otlp;
pub mod scan;

pub mod graph;

pub mod analysis;

// ── the shell ──
pub mod telemetry;

pub mod config;

pub mod guard;

pub mod pipeline;

pub mod receivers;

pub mod processors;

pub mod connectors;

pub mod exporters;

pub mod extensions;

pub mod service;

pub mod demo;

pub mod cli;
