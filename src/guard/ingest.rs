//! The first clock: one request scanned and enriched in one pass.
//!
//! ```text
//! bytes ─▶ Splice walks ─┬─▶ Scanner ─▶ sighting ─▶ its shard's list
//!                        └◀─ the node's attributes (snapshot, else what the worker knows)   ─▶ bytes, enriched
//! ```
//!
//! Nothing is counted here and nothing is remembered but names: a request that is refused afterwards leaves no trace (D6).

use crate::guard::Snapshot;
use crate::otlp::{
    Attributes, Edit, Edits, Malformed, ResourceView, ScopeView, Signal, SpanBytes, Splice, semconv,
};
use crate::scan::{Origin, Role, Scanner, Scope, Sighting, Skip, hash, links};
use bytes::Bytes;
use std::sync::Arc;

/// What one worker needs; keep a few and lend them out.
pub struct Worker {
    pub(super) scanner: Scanner,
    pub(super) splice: Splice,
}

/// How the spans of a request were read. Every span that bears no node has its reason here (R-ASK-9).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ScanCounts {
    /// Spans that bear a node.
    pub with_node: u64,
    /// Spans that say nothing of agents, tools or models, and are looked through.
    pub neutral: u64,
    /// Handoffs, which belong to two agents.
    pub handoffs: u64,
    /// Spans without valid ids (R-08).
    pub bad_id: u64,
    /// Spans of a kind that is never looked at (K-00).
    pub ignored: u64,
}

impl ScanCounts {
    /// All spans.
    #[must_use]
    pub fn scanned(&self) -> u64 {
        self.with_node + self.neutral + self.handoffs + self.bad_id + self.ignored
    }

    /// Adds another request's.
    pub fn add(&mut self, other: &ScanCounts) {
        self.with_node += other.with_node;
        self.neutral += other.neutral;
        self.handoffs += other.handoffs;
        self.bad_id += other.bad_id;
        self.ignored += other.ignored;
    }
}

/// A request that was looked at.
#[derive(Debug)]
pub struct Ingested {
    /// The request with what we add; as it came where there was nothing to add.
    pub bytes: Bytes,
    /// Sightings by shard, in order of arrival.
    pub sightings: Vec<Vec<Sighting>>,
    /// How its spans were read.
    pub counts: ScanCounts,
}

/// How requests are to be looked at.
pub(super) struct Ingest<'g> {
    pub(super) snapshot: &'g Snapshot,
    pub(super) shards: usize,
    pub(super) seed: u64,
    pub(super) enriches: bool,
}

impl Ingest<'_> {
    /// Looks at a request; `spans` is how many it has, as far as known.
    pub(super) fn run(
        &self,
        worker: &mut Worker,
        request: &Bytes,
        spans: usize,
    ) -> Result<Ingested, Malformed> {
        let per_shard = if self.shards == 1 {
            spans
        } else {
            spans / self.shards + spans / 8
        };
        let mut pass = Pass {
            ingest: self,
            scanner: &mut worker.scanner,
            origin: None,
            scope: Scope::default(),
            scope_place: 0,
            sightings: (0..self.shards)
                .map(|_| Vec::with_capacity(per_shard))
                .collect(),
            counts: ScanCounts::default(),
        };
        let bytes = worker.splice.run(Signal::Traces, request, &mut pass)?;
        Ok(Ingested {
            bytes,
            sightings: pass.sightings,
            counts: pass.counts,
        })
    }

    fn shard_of(&self, sighting: &Sighting) -> usize {
        if self.shards == 1 {
            return 0;
        }
        let hash = hash::bytes(self.seed, &sighting.trace.0);
        // the high bits: the shard's tables use the low ones
        ((u128::from(hash) * self.shards as u128) >> 64) as usize
    }
}

/// One pass over one request.
struct Pass<'a, 'g> {
    ingest: &'a Ingest<'g>,
    scanner: &'a mut Scanner,
    origin: Option<Arc<Origin>>,
    scope: Scope,
    scope_place: usize,
    sightings: Vec<Vec<Sighting>>,
    counts: ScanCounts,
}

impl Edit for Pass<'_, '_> {
    fn resource(&mut self, attributes: Attributes<'_>, _edits: &mut Edits<'_>) {
        self.origin = Some(self.scanner.origin(attributes));
        self.scope_place = 0;
    }

    fn span(
        &mut self,
        _resource: &ResourceView<'_>,
        scope: &ScopeView<'_>,
        span: SpanBytes<'_>,
        edits: &mut Edits<'_>,
    ) {
        if self.scope_place != scope.place() {
            self.scope_place = scope.place();
            self.scope = Scope::new(scope.name_and_version().0);
        }
        let Some(origin) = &self.origin else {
            return; // the splice asks about the resource first
        };
        let scanned = match self.scanner.scan(origin, self.scope, span) {
            Ok(scanned) => scanned,
            Err(Skip::BadId) => return self.counts.bad_id += 1,
            Err(Skip::Ignored) => return self.counts.ignored += 1,
        };
        let (sighting, has_links) = (scanned.sighting, scanned.has_links);
        match scanned.node {
            Some(known) => {
                self.counts.with_node += 1;
                if self.ingest.enriches {
                    let published = self.ingest.snapshot.attributes(known.node.id);
                    let attributes = published.unwrap_or(&known.node.attributes);
                    enrich(span, scanned.is_enriched, attributes, edits);
                }
            }
            None if sighting.role == Role::Handoff => self.counts.handoffs += 1,
            None => self.counts.neutral += 1,
        }
        let shard = self.ingest.shard_of(&sighting);
        if let Some(sightings) = self.sightings.get_mut(shard) {
            sightings.push(sighting);
            if has_links {
                // they stay with their span
                sightings.extend(links(sighting, &span.view()));
            }
        }
    }
}

/// Puts the node's attributes on its span, in the place of those that say the same (R-STR-5).
fn enrich(span: SpanBytes<'_>, is_enriched: bool, attributes: &[u8], edits: &mut Edits<'_>) {
    if is_enriched {
        let ours = semconv::AGENTGUARD_SPAN_KEYS.map(str::as_bytes);
        for attribute in span.attributes() {
            if ours.contains(&attribute.key) {
                edits.remove(&attribute);
            }
        }
    }
    edits.insert_encoded(attributes);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guard::{Guard, GuardSettings};
    use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
    use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value};
    use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
    use prost::Message;

    fn attribute(key: &str, value: Option<Value>) -> KeyValue {
        KeyValue {
            key: key.to_owned(),
            value: Some(AnyValue { value }),
            ..KeyValue::default()
        }
    }

    fn text(key: &str, value: &str) -> KeyValue {
        attribute(key, Some(Value::StringValue(value.to_owned())))
    }

    /// The attributes of an agent's span after a way through the guard.
    fn enriched(more: &[KeyValue]) -> Vec<KeyValue> {
        let mut attributes = vec![
            text(semconv::GEN_AI_OPERATION_NAME, "invoke_agent"),
            text(semconv::GEN_AI_AGENT_NAME, "tutor"),
        ];
        attributes.extend_from_slice(more);
        let span = Span {
            trace_id: vec![1; 16],
            span_id: vec![2; 8],
            attributes,
            ..Span::default()
        };
        let request = ExportTraceServiceRequest {
            resource_spans: vec![ResourceSpans {
                scope_spans: vec![ScopeSpans {
                    spans: vec![span],
                    ..ScopeSpans::default()
                }],
                ..ResourceSpans::default()
            }],
        };
        let guard = Guard::new(GuardSettings::default());
        let request = Bytes::from(request.encode_to_vec());
        let ingested = guard.ingest(&mut guard.worker(), &request, 1).unwrap();
        let decoded = ExportTraceServiceRequest::decode(ingested.bytes).unwrap();
        decoded.resource_spans[0].scope_spans[0].spans[0]
            .attributes
            .clone()
    }

    /// R-STR-5, also for what is not known of this node: what another said of it would pass for ours.
    #[test]
    fn what_a_span_brings_along_under_our_keys_gives_way_to_what_we_know() {
        let expected = enriched(&[]);
        assert_eq!(expected.len(), 4, "two of the sender's, two of ours");
        let values = [
            Some(Value::StringValue("agent:-/impostor".to_owned())),
            Some(Value::DoubleValue(0.5)),
            Some(Value::BoolValue(true)),
            Some(Value::IntValue(-1)),
            None,
        ];
        for key in semconv::AGENTGUARD_SPAN_KEYS {
            for value in &values {
                let brought = attribute(key, value.clone());
                assert_eq!(enriched(std::slice::from_ref(&brought)), expected);
                assert_eq!(enriched(&[brought.clone(), brought]), expected);
            }
        }
        let all = semconv::AGENTGUARD_SPAN_KEYS.map(|key| attribute(key, values[0].clone()));
        assert_eq!(enriched(&all), expected);
        let like_ours = [text("agentguard.spof.share", "1"), text("agentguard", "1")];
        assert_eq!(enriched(&like_ours).len(), 6, "keys that are not ours stay");
    }
}
