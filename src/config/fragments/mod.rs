//! Parts of configurations that several components share, with the Collector's keys and defaults.
//!
//! Each type's `Default` is the only home of its defaults, each field's comment its manual entry, and beside each type
//! stands the list of keys that the Collector has and that mean nothing here. Those lists are found by the type's name
//! (`ignored_of`), so that a component which uses a fragment need not repeat them.
//!
//! `validate` takes the section that the value was parsed from, to point at its fields, and adds to the problems whatever
//! is wrong; it never stops early.
//! **Not here.** TLS, authentication and queues on disk are read, so that a Collector's section is understood, and refused
//! with a message that says so: to run without what was asked for would be worse.

mod client;
mod endpoint;
mod headers;
mod queue;
mod retry;
mod server;
#[cfg(test)]
mod tests;
mod tls;

pub use client::{Compression, GrpcClientConfig, HttpClientConfig, KeepaliveClientConfig};
pub use endpoint::{Endpoint, Target};
pub use headers::Headers;
pub use queue::{BatchConfig, QueueConfig, Sizer};
pub use retry::RetryConfig;
pub use server::{
    CorsConfig, GrpcServerConfig, HttpServerConfig, KeepaliveServerConfig,
    KeepaliveServerParameters,
};
pub use tls::{AuthConfig, TlsConfig};

use crate::config::Ignored;

/// The keys of a fragment that the Collector has and that mean nothing here, by the fragment's type name.
pub(super) fn ignored_of(name: &str) -> Ignored<'static> {
    match name {
        "BatchConfig" => queue::BATCH_IGNORED,
        "GrpcClientConfig" => client::GRPC_IGNORED,
        "HttpClientConfig" => client::HTTP_IGNORED,
        "GrpcServerConfig" => server::GRPC_IGNORED,
        "HttpServerConfig" => server::HTTP_IGNORED,
        "KeepaliveServerConfig" => server::KEEPALIVE_IGNORED,
        _ => &[],
    }
}
