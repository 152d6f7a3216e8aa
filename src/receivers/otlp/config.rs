//! What the user writes for the `otlp` receiver.

use super::OtlpReceiver;
use crate::base::{ByteSize, Problems};
use crate::config::Section;
use crate::config::fragments::{GrpcServerConfig, HttpServerConfig};
use crate::pipeline::{BuildContext, Component, Outputs, ReceiverConfig};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;

/// Receives OTLP over gRPC, HTTP, or both.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct OtlpReceiverConfig {
    /// Which protocols, and how. As in the Collector.
    pub protocols: Protocols,
    /// Longest time for a request's body to arrive; a slower sender is told to try again.
    #[serde(with = "crate::base::duration")]
    pub body_timeout: Duration,
    /// Bytes of requests that may be arriving at the same time; beyond it senders are told to try again.
    pub max_receiving_bytes: ByteSize,
    /// Connections open at the same time on each port; more wait to be accepted.
    pub max_connections: usize,
}

impl Default for OtlpReceiverConfig {
    fn default() -> Self {
        OtlpReceiverConfig {
            protocols: Protocols::default(),
            body_timeout: Duration::from_secs(30),
            max_receiving_bytes: ByteSize::mib(256),
            max_connections: 1024,
        }
    }
}

/// The protocols; one that is not named is off, as in the Collector.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Protocols {
    /// OTLP/gRPC, on port 4317.
    pub grpc: Option<GrpcServerConfig>,
    /// OTLP/HTTP, on port 4318.
    pub http: Option<HttpServerConfig>,
}

/// Reads and checks the section.
pub fn configure(
    section: &Section<'_>,
    problems: &mut Problems,
) -> Option<Box<dyn ReceiverConfig>> {
    let config: OtlpReceiverConfig = section.parse(&[], problems)?;
    let before = problems.errors().len();
    config.validate(section, problems);
    (problems.errors().len() == before).then(|| Box::new(config) as _)
}

impl OtlpReceiverConfig {
    fn validate(&self, at: &Section<'_>, problems: &mut Problems) {
        let Protocols { grpc, http } = &self.protocols;
        if grpc.is_none() && http.is_none() {
            let help = "write `protocols: {grpc: , http: }`, or one of them";
            problems.error(at.place_of("protocols"), "no protocol is named", help);
        }
        if let Some(grpc) = grpc {
            grpc.validate(&at.at("protocols.grpc"), problems);
        }
        if let Some(http) = http {
            http.validate(&at.at("protocols.http"), problems);
        }
        for (key, is_zero) in [
            ("body_timeout", self.body_timeout.is_zero()),
            ("max_receiving_bytes", self.max_receiving_bytes.0 == 0),
            ("max_connections", self.max_connections == 0),
        ] {
            if is_zero {
                problems.error(
                    at.place_of(key),
                    "must be more than 0",
                    "leave it out for the default",
                );
            }
        }
    }
}

impl ReceiverConfig for OtlpReceiverConfig {
    fn build(
        &self,
        context: &BuildContext,
        outputs: Outputs,
    ) -> anyhow::Result<Arc<dyn Component>> {
        Ok(OtlpReceiver::build(self, context, &outputs))
    }
}
