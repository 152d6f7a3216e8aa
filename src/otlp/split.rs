//! Cutting a request into smaller ones, at the boundaries of spans, metrics or log records.
//!
//! The three signals nest alike: request ▸ field 1 (resource group) ▸ field 2 (scope group) ▸ field 2 (item). Each piece
//! repeats what its groups say besides their items: resource, scope, schema, and whatever is unknown to us.
//!
//! **Bounds.** The pieces together are as long as the request plus the repeated heads.
//! **Invariants.** Items keep their order; none is cut; one that is larger than the limit is a piece of its own.

use crate::otlp::Signal;
use crate::otlp::wire::{Fields, Value, put_len};
use bytes::Bytes;

/// A part of a request, itself a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Its bytes.
    pub bytes: Bytes,
    /// Spans, data points or log records in it.
    pub items: u64,
}

/// Cuts so that no piece holds more than `max` items, where that is possible.
#[must_use]
pub fn by_items(signal: Signal, request: &[u8], max: u64) -> Vec<Piece> {
    Splitter::new(max, move |_, items| items).cut(signal, request)
}

/// Cuts so that no piece is longer than about `max` bytes, where that is possible.
#[must_use]
pub fn by_bytes(signal: Signal, request: &[u8], max: u64) -> Vec<Piece> {
    Splitter::new(max, move |item, _| item.len() as u64).cut(signal, request)
}

struct Splitter<F> {
    max: u64,
    /// What an item weighs, by its bytes and its count.
    weigh: F,
    /// The piece being filled: whole groups, the open group, the open scope.
    piece: Vec<u8>,
    group: Vec<u8>,
    scope: Vec<u8>,
    weight: u64,
    items: u64,
    done: Vec<Piece>,
}

impl<F: Fn(&[u8], u64) -> u64> Splitter<F> {
    fn new(max: u64, weigh: F) -> Self {
        let (piece, group, scope) = (Vec::new(), Vec::new(), Vec::new());
        Splitter {
            max,
            weigh,
            piece,
            group,
            scope,
            weight: 0,
            items: 0,
            done: Vec::new(),
        }
    }

    fn cut(mut self, signal: Signal, request: &[u8]) -> Vec<Piece> {
        for (number, value) in Fields::new(request) {
            let (1, Value::Len(group)) = (number, value) else {
                continue;
            };
            let group_head = without_items(group);
            self.group.extend_from_slice(&group_head);
            for (number, value) in Fields::new(group) {
                let (2, Value::Len(scope)) = (number, value) else {
                    continue;
                };
                let scope_head = without_items(scope);
                self.scope.extend_from_slice(&scope_head);
                for (number, value) in Fields::new(scope) {
                    if let (2, Value::Len(item)) = (number, value) {
                        self.add(signal, item, &group_head, &scope_head);
                    }
                }
                self.close_scope();
            }
            self.close_group();
        }
        self.close_piece();
        self.done
    }

    fn add(&mut self, signal: Signal, item: &[u8], group_head: &[u8], scope_head: &[u8]) {
        let items = if signal == Signal::Metrics {
            data_points(item)
        } else {
            1
        };
        let weight = (self.weigh)(item, items);
        if self.weight > 0 && self.weight + weight > self.max {
            self.close_scope();
            self.close_group();
            self.close_piece();
            self.group.extend_from_slice(group_head);
            self.scope.extend_from_slice(scope_head);
        }
        put_len(&mut self.scope, 2, item);
        self.weight += weight;
        self.items += items;
    }

    fn close_scope(&mut self) {
        put_len(&mut self.group, 2, &self.scope);
        self.scope.clear();
    }

    fn close_group(&mut self) {
        put_len(&mut self.piece, 1, &self.group);
        self.group.clear();
    }

    fn close_piece(&mut self) {
        if self.weight > 0 || self.done.is_empty() {
            let bytes = Bytes::from(std::mem::take(&mut self.piece));
            self.done.push(Piece {
                bytes,
                items: self.items,
            });
        }
        self.piece.clear();
        self.weight = 0;
        self.items = 0;
    }
}

/// A group's bytes without its field 2: its own facts.
fn without_items(message: &[u8]) -> Vec<u8> {
    let mut head = Vec::new();
    let mut fields = Fields::new(message);
    loop {
        let before = fields.rest();
        let Some((number, value)) = fields.next() else {
            return head;
        };
        if !matches!((number, value), (2, Value::Len(_))) {
            let taken = before.len() - fields.rest().len();
            head.extend_from_slice(before.get(..taken).unwrap_or_default());
        }
    }
}

/// Data points of a metric; a metric without any weighs as one.
fn data_points(metric: &[u8]) -> u64 {
    let of_kind = |(number, value): (u32, Value<'_>)| match (number, value) {
        (5 | 7 | 9 | 10 | 11, Value::Len(kind)) => Fields::new(kind)
            .filter(|(number, value)| *number == 1 && matches!(value, Value::Len(_)))
            .count() as u64,
        _ => 0,
    };
    Fields::new(metric).map(of_kind).sum::<u64>().max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
    use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
    use proptest::prelude::*;
    use prost::Message;

    fn request(groups: &[Vec<usize>]) -> ExportTraceServiceRequest {
        let mut n = 0u64;
        let resource_spans = groups.iter().enumerate().map(|(g, scopes)| ResourceSpans {
            schema_url: format!("group {g}"),
            scope_spans: scopes
                .iter()
                .enumerate()
                .map(|(s, spans)| ScopeSpans {
                    schema_url: format!("scope {s}"),
                    spans: (0..*spans)
                        .map(|_| {
                            n += 1;
                            Span {
                                start_time_unix_nano: n,
                                name: "x".repeat(n as usize % 7),
                                ..Span::default()
                            }
                        })
                        .collect(),
                    ..ScopeSpans::default()
                })
                .collect(),
            ..ResourceSpans::default()
        });
        ExportTraceServiceRequest {
            resource_spans: resource_spans.collect(),
        }
    }

    type Row = (String, String, Span);

    fn rows(request: &ExportTraceServiceRequest) -> Vec<Row> {
        let groups = request.resource_spans.iter();
        groups
            .flat_map(|g| g.scope_spans.iter().map(move |s| (g, s)))
            .flat_map(|(g, s)| {
                s.spans
                    .iter()
                    .map(|x| (g.schema_url.clone(), s.schema_url.clone(), x.clone()))
            })
            .collect()
    }

    proptest! {
        #[test]
        fn pieces_hold_the_same_spans_in_the_same_order_and_no_more_than_asked(
            groups in prop::collection::vec(prop::collection::vec(0usize..9, 0..4), 0..4),
            max in 1u64..12,
        ) {
            let whole = request(&groups);
            let pieces = by_items(Signal::Traces, &whole.encode_to_vec(), max);
            let mut joined = Vec::new();
            for piece in &pieces {
                let decoded = ExportTraceServiceRequest::decode(piece.bytes.clone()).unwrap();
                let spans = rows(&decoded);
                prop_assert_eq!(spans.len() as u64, piece.items);
                prop_assert!(piece.items <= max);
                joined.extend(spans);
            }
            prop_assert_eq!(joined, rows(&whole));
        }

        #[test]
        fn a_limit_in_bytes_is_passed_only_by_a_single_span(
            groups in prop::collection::vec(prop::collection::vec(0usize..9, 0..4), 0..4),
            max in 1u64..80,
        ) {
            let whole = request(&groups);
            let pieces = by_bytes(Signal::Traces, &whole.encode_to_vec(), max);
            let total: u64 = pieces.iter().map(|piece| piece.items).sum();
            prop_assert_eq!(total as usize, rows(&whole).len());
            for piece in pieces {
                let decoded = ExportTraceServiceRequest::decode(piece.bytes).unwrap();
                let bytes: usize = rows(&decoded).iter().map(|(_, _, span)| span.encoded_len()).sum();
                prop_assert!(bytes as u64 <= max || piece.items <= 1);
            }
        }
    }
}
