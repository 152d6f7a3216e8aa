//! The wire against `opentelemetry-proto`, which is right by definition.

mod generate;
mod splice;
mod validate;
mod view;

use crate::otlp::Signal;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use prost::Message;

/// How many items `prost` finds, or its refusal.
fn decoded_items(signal: Signal, bytes: &[u8]) -> Result<usize, prost::DecodeError> {
    Ok(match signal {
        Signal::Traces => ExportTraceServiceRequest::decode(bytes)?
            .resource_spans
            .iter()
            .flat_map(|group| &group.scope_spans)
            .map(|scope| scope.spans.len())
            .sum(),
        Signal::Logs => ExportLogsServiceRequest::decode(bytes)?
            .resource_logs
            .iter()
            .flat_map(|group| &group.scope_logs)
            .map(|scope| scope.log_records.len())
            .sum(),
        Signal::Metrics => ExportMetricsServiceRequest::decode(bytes)?
            .resource_metrics
            .iter()
            .flat_map(|group| &group.scope_metrics)
            .flat_map(|scope| &scope.metrics)
            .map(|metric| match &metric.data {
                Some(Data::Gauge(data)) => data.data_points.len(),
                Some(Data::Sum(data)) => data.data_points.len(),
                Some(Data::Histogram(data)) => data.data_points.len(),
                Some(Data::ExponentialHistogram(data)) => data.data_points.len(),
                Some(Data::Summary(data)) => data.data_points.len(),
                None => 0,
            })
            .sum(),
    })
}

/// Real requests of four agent frameworks.
fn captured() -> Vec<Vec<u8>> {
    let captures: [&[u8]; 4] = [
        include_bytes!("../../../examples/captures/google-adk.otlp"),
        include_bytes!("../../../examples/captures/mcp.otlp"),
        include_bytes!("../../../examples/captures/pydantic-ai-logfire.otlp"),
        include_bytes!("../../../examples/captures/vercel-ai.otlp"),
    ];
    let mut requests = Vec::new();
    for mut rest in captures {
        // a record: time in eight bytes, length in four, the request
        while let Some((head, after)) = rest.split_first_chunk::<12>() {
            let len = u32::from_le_bytes([head[8], head[9], head[10], head[11]]) as usize;
            let (request, after) = after.split_at(len);
            requests.push(request.to_vec());
            rest = after;
        }
    }
    requests
}
