//! OTLP/JSON against the generated types: prost reads our bytes, `with-serde` reads our text.

mod accepted;
mod generate;
mod refused;
mod round_trip;

use crate::otlp::Signal;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// The bytes as the generated types write them, after they have read them.
fn through_prost(signal: Signal, bytes: &[u8]) -> Vec<u8> {
    fn of<T: Message + Default>(bytes: &[u8]) -> Vec<u8> {
        T::decode(bytes).unwrap().encode_to_vec()
    }
    match signal {
        Signal::Traces => of::<ExportTraceServiceRequest>(bytes),
        Signal::Metrics => of::<ExportMetricsServiceRequest>(bytes),
        Signal::Logs => of::<ExportLogsServiceRequest>(bytes),
    }
}

/// The bytes of a text as `with-serde` reads it.
fn decode_with_serde(signal: Signal, text: &[u8]) -> Vec<u8> {
    fn of<T: Message + DeserializeOwned>(text: &[u8]) -> Vec<u8> {
        let request: T = serde_json::from_slice(text)
            .unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(text)));
        request.encode_to_vec()
    }
    match signal {
        Signal::Traces => of::<ExportTraceServiceRequest>(text),
        Signal::Metrics => of::<ExportMetricsServiceRequest>(text),
        Signal::Logs => of::<ExportLogsServiceRequest>(text),
    }
}

/// The text of bytes as `with-serde` writes it.
fn encode_with_serde(signal: Signal, bytes: &[u8]) -> Vec<u8> {
    fn of<T: Message + Default + Serialize>(bytes: &[u8]) -> Vec<u8> {
        serde_json::to_vec(&T::decode(bytes).unwrap()).unwrap()
    }
    match signal {
        Signal::Traces => of::<ExportTraceServiceRequest>(bytes),
        Signal::Metrics => of::<ExportMetricsServiceRequest>(bytes),
        Signal::Logs => of::<ExportLogsServiceRequest>(bytes),
    }
}

fn encoded(signal: Signal, bytes: &[u8]) -> Vec<u8> {
    let mut text = Vec::new();
    super::encode(signal, bytes, &mut text).unwrap();
    text
}
