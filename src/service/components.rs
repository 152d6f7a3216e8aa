//! The table of components: a line each.

use crate::connectors::agentguard;
use crate::exporters::{debug, file, otlp as otlp_exporter, otlphttp, prometheus};
use crate::extensions::health_check;
use crate::otlp::Signal;
use crate::pipeline::{
    ConnectorFactory, Described, ExporterFactory, ExtensionFactory, ProcessorFactory,
    ReceiverFactory,
};
use crate::processors::{attributes, batch, memory_limiter};
use crate::receivers::otlp as otlp_receiver;
use crate::telemetry::{self, MetricDef};

/// Every metric that this program exports, by name: the pipeline's common ones, and each component's own.
#[must_use]
pub fn metric_definitions() -> Vec<&'static MetricDef> {
    let own: [&[&MetricDef]; 3] = [
        agentguard::metrics::DEFINITIONS,
        agentguard::metrics::EXPOSED,
        memory_limiter::DEFINITIONS,
    ];
    let mut definitions = telemetry::definitions();
    definitions.extend(own.into_iter().flatten());
    definitions.sort_by_key(|def| def.name);
    definitions
}

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
pub const PROCESSORS: &[ProcessorFactory] = &[
    ProcessorFactory {
        described: described(
            &["attributes"],
            ALL,
            "inserts, updates and deletes attributes",
        ),
        configure: attributes::configure,
    },
    ProcessorFactory {
        described: described(&["batch"], ALL, "merges requests, in the exporters' queues"),
        configure: batch::configure,
    },
    ProcessorFactory {
        described: described(
            &["memory_limiter"],
            ALL,
            "pushes back before memory runs out",
        ),
        configure: memory_limiter::configure,
    },
];

/// What joins pipelines.
pub const CONNECTORS: &[ConnectorFactory] = &[ConnectorFactory {
    described: described(
        &["agentguard"],
        &[Signal::Traces],
        "the guard: maps agents, tools and models, marks their spans, tells what is new and at risk",
    ),
    outputs: ALL,
    configure: agentguard::configure,
}];

/// What sends it on.
pub const EXPORTERS: &[ExporterFactory] = &[
    ExporterFactory {
        described: described(&["debug"], ALL, "shows telemetry on standard error"),
        configure: debug::configure,
    },
    ExporterFactory {
        described: described(
            &["file"],
            ALL,
            "OTLP in a file: JSON lines, protobuf, or a capture",
        ),
        configure: file::configure,
    },
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
    ExporterFactory {
        described: described(
            &["prometheus"],
            &[Signal::Metrics],
            "shows connectors' metrics to scrapers",
        ),
        configure: prometheus::configure,
    },
];

/// What the service has besides its pipelines.
pub const EXTENSIONS: &[ExtensionFactory] = &[ExtensionFactory {
    described: described(&["health_check"], &[], "says over HTTP how the service is"),
    configure: health_check::configure,
}];
