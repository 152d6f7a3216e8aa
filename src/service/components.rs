//! The table of components: a line each.

use crate::exporters::{otlp as otlp_exporter, otlphttp};
use crate::otlp::Signal;
use crate::pipeline::{
    ConnectorFactory, Described, ExporterFactory, ExtensionFactory, ProcessorFactory,
    ReceiverFactory,
};
use crate::processors::batch;
use crate::receivers::otlp as otlp_receiver;

const ALL: &[Signal] = &Signal::ALL;

const fn described(
    types: &'static [&'static str],
    signals: &'static [Signal],
    summary: &'static str,
) -> Described {
    Described {
        types,
        summary,
        signals,
    }
}

/// What takes telemetry in.
pub const RECEIVERS: &[ReceiverFactory] = &[ReceiverFactory {
    described: described(&["otlp"], ALL, "OTLP over gRPC and HTTP, protobuf and JSON"),
    configure: otlp_receiver::configure,
}];

/// What looks at it, or changes it, on its way.
pub const PROCESSORS: &[ProcessorFactory] = &[ProcessorFactory {
    described: described(&["batch"], ALL, "merges requests, in the exporters' queues"),
    configure: batch::configure,
}];

/// What joins pipelines.
pub const CONNECTORS: &[ConnectorFactory] = &[];

/// What sends it on.
pub const EXPORTERS: &[ExporterFactory] = &[
    ExporterFactory {
        described: described(&["otlp", "otlp_grpc"], ALL, "OTLP over gRPC"),
        configure: otlp_exporter::configure,
    },
    ExporterFactory {
        described: described(
            &["otlphttp", "otlp_http"],
            ALL,
            "OTLP over HTTP, protobuf or JSON",
        ),
        configure: otlphttp::configure,
    },
];

/// What the service has besides its pipelines.
pub const EXTENSIONS: &[ExtensionFactory] = &[];
