//! Attributes put into, changed in and taken out of a request, everything else byte for byte as it was (R-STR-4).
//!
//! ```text
//! request ─▶ walk: Edit is asked at every resource and span ─▶ ops, in the order of their places
//!                  (cut so many bytes here, put these, write this length)       │
//!            one copy into a buffer of exactly the new size ◀──────────────────┘
//! ```
//!
//! A message whose content changes in size gets its new length, in as few bytes as it needs; every other length stays as
//! it was written. Attributes are added behind the last field of their message, which every decoder reads as the end of
//! the list. A resource that is not there is made when attributes are put into it.
//!
//! **Bounds.** The scratch holds an op per edit and per message around one, and what is to be put in: at most 1 MiB and
//! eight times the request, which no request of real spans comes near; one of millions of empty spans is refused. It is
//! kept for the next request, up to 4 MiB of it. One allocation per changed request, none for an unchanged one, which is
//! returned as it came.
//! **Invariant.** Output decodes to the decoded input with the edits made to it. What cannot be edited in full is refused,
//! never passed on with some edits missing: one may have been a redaction.
//! **Not here.** Which attributes (`processors/attributes`, the guard); events, links, scopes, values inside values.

use crate::otlp::edit::{Edits, Op, Put};
use crate::otlp::wire::{Fields, Part, Value, key, offset_in, put_len, put_varint, varint_len};
use crate::otlp::{Attributes, Malformed, ResourceView, ScopeView, Signal, SpanBytes, validate};
use bytes::Bytes;

/// Most of each scratch buffer that is kept between requests, in bytes.
const KEPT: usize = 4 << 20;

/// Decides about attributes, message by message.
pub trait Edit {
    /// Asked once for each resource, before what it sent; a resource that is absent shows no attributes.
    fn resource(&mut self, attributes: Attributes<'_>, edits: &mut Edits<'_>) {
        let _ = (attributes, edits);
    }

    /// Asked for each span, with its resource and scope as they arrived.
    fn span(
        &mut self,
        resource: &ResourceView<'_>,
        scope: &ScopeView<'_>,
        span: SpanBytes<'_>,
        edits: &mut Edits<'_>,
    ) {
        let _ = (resource, scope, span, edits);
    }

    /// Asked for each log record and each metric data point.
    fn record(&mut self, attributes: Attributes<'_>, edits: &mut Edits<'_>) {
        let _ = (attributes, edits);
    }
}

/// Carries out edits. Holds the scratch space; keep one per thread.
#[derive(Debug, Default)]
pub struct Splice {
    ops: Vec<Op>,
    // of the message at hand: changes in its middle, in the order in which they were asked for
    pending: Vec<Op>,
    changed: Vec<u8>,
    added: Vec<u8>,
}

impl Splice {
    /// An empty scratch space.
    #[must_use]
    pub fn new() -> Self {
        Splice::default()
    }

    /// Asks `edit` about every resource and item of a request and makes its edits. What is unchanged is returned as it
    /// came.
    ///
    /// # Errors
    /// The request is not one (which [`validate`] finds first), or its edits would take too much memory.
    pub fn run(
        &mut self,
        signal: Signal,
        request: &Bytes,
        edit: &mut impl Edit,
    ) -> Result<Bytes, Malformed> {
        let spliced = self.walk_and_copy(signal, request, edit);
        self.ops.shrink_to(KEPT / size_of::<Op>());
        self.changed.shrink_to(KEPT);
        self.added.shrink_to(KEPT);
        spliced
    }

    fn walk_and_copy(
        &mut self,
        signal: Signal,
        request: &Bytes,
        edit: &mut impl Edit,
    ) -> Result<Bytes, Malformed> {
        self.ops.clear();
        self.pending.clear();
        self.changed.clear();
        self.added.clear();
        let mut walk = Walk {
            base: request,
            limit: request.len().saturating_mul(8).saturating_add(1 << 20),
            scratch: self,
            edit,
        };
        let Some(grown) = walk.request(signal) else {
            return Err(validate(signal, request).err().unwrap_or_else(|| {
                Malformed::new(0, "more to be edited in it than its size allows")
            }));
        };
        if self.ops.is_empty() {
            return Ok(request.clone());
        }
        self.copy(request, grown)
            .map(Bytes::from)
            .ok_or_else(|| Malformed::new(0, "edits overlap in it"))
    }

    /// Writes the new request. `None` cannot be: every op lies in the request, and they are in order.
    fn copy(&mut self, request: &[u8], grown: isize) -> Option<Vec<u8>> {
        let by_place = |op: &Op| op.at;
        if !self.ops.is_sorted_by_key(by_place) {
            // a resource that stands behind its spans
            self.ops.sort_by_key(by_place);
        }
        let size = request.len().checked_add_signed(grown)?;
        let mut out = Vec::with_capacity(size);
        let mut copied = 0;
        for op in &self.ops {
            out.extend_from_slice(request.get(copied..op.at)?);
            match op.put {
                Put::Nothing => {}
                Put::Length(len) => put_varint(&mut out, len as u64),
                Put::Changed { from, to } => out.extend_from_slice(self.changed.get(from..to)?),
                Put::Added { from, to } => out.extend_from_slice(self.added.get(from..to)?),
            }
            copied = op.at + op.skip;
        }
        out.extend_from_slice(request.get(copied..)?);
        debug_assert_eq!(out.len(), size, "the size was computed");
        Some(out)
    }
}

/// One pass over a request. Steps answer by how much their message grew with its length prefix; `None` at broken framing
/// and when the scratch is full.
struct Walk<'a, 's, E> {
    base: &'a [u8],
    limit: usize,
    scratch: &'s mut Splice,
    edit: &'s mut E,
}

/// Where a container's op is kept until its new length is known.
#[derive(Clone, Copy)]
struct Opened(usize);

impl<'a, E: Edit> Walk<'a, '_, E> {
    fn request(&mut self, signal: Signal) -> Option<isize> {
        let mut grown = 0;
        let mut groups = Fields::new(self.base);
        while let Some(group) = groups.next_part(1) {
            let opened = self.open();
            let resource = ResourceView::new(group.body);
            let inside = self.resource(group)?
                + self.each(group.body, 2, |walk, scope| match signal {
                    Signal::Traces => walk.scope(&resource, scope),
                    Signal::Logs => walk.container(scope, 2, |walk, log| walk.record(log, 6)),
                    Signal::Metrics => walk.container(scope, 2, Self::metric),
                })?;
            grown += self.close(opened, group, inside);
        }
        groups.is_done().then_some(grown)
    }

    fn scope(&mut self, resource: &ResourceView<'_>, scope: Part<'a>) -> Option<isize> {
        let view = ScopeView::new(scope.body);
        self.container(scope, 2, |walk, span| {
            let before = walk.scratch.added.len();
            let mut edits = walk.scratch.edits(walk.base, 9, walk.limit);
            let bytes = SpanBytes::new(span.body);
            walk.edit.span(resource, &view, bytes, &mut edits);
            walk.settle(span, before)
        })
    }

    /// A metric: its data, whatever their kind, hold points, which hold attributes under numbers of their own.
    fn metric(&mut self, metric: Part<'a>) -> Option<isize> {
        let opened = self.open();
        let mut grown = 0;
        let mut fields = Fields::new(metric.body);
        loop {
            let before = fields.rest();
            let attributes = match fields.next() {
                Some((5 | 7 | 11, Value::Len(_))) => 7,
                Some((9, Value::Len(_))) => 9,
                Some((10, Value::Len(_))) => 1,
                Some(_) => continue,
                None => break,
            };
            let data = Part::last_of(before, fields.rest())?;
            grown += self.container(data, 1, |walk, point| walk.record(point, attributes))?;
        }
        fields.is_done().then(|| self.close(opened, metric, grown))
    }

    fn record(&mut self, record: Part<'a>, attributes: u32) -> Option<isize> {
        let before = self.scratch.added.len();
        let mut edits = self.scratch.edits(self.base, attributes, self.limit);
        self.edit
            .record(Attributes::of(record.body, attributes), &mut edits);
        self.settle(record, before)
    }

    /// Asks about a group's resource, which may be absent or, in other hands' bytes, lie in several parts.
    fn resource(&mut self, group: Part<'a>) -> Option<isize> {
        let before = self.scratch.added.len();
        let mut edits = self.scratch.edits(self.base, 1, self.limit);
        self.edit
            .resource(Attributes::nested(group.body, 1, 1), &mut edits);
        if self.scratch.is_untouched(before) {
            return Some(0);
        }
        let mut grown = 0;
        let mut fields = Fields::new(group.body);
        let mut next = fields.next_part(1);
        if next.is_none() {
            grown += self.make_resource(group, before);
        }
        while let Some(part) = next {
            next = fields.next_part(1);
            // what is added goes into the last part
            let added = if next.is_none() {
                before
            } else {
                self.scratch.added.len()
            };
            grown += self.settle_keeping(part, added);
        }
        self.scratch.pending.clear();
        (fields.is_done() && self.scratch.size() <= self.limit).then_some(grown)
    }

    fn make_resource(&mut self, group: Part<'a>, added: usize) -> isize {
        let scratch = &mut *self.scratch;
        let from = scratch.changed.len();
        put_len(
            &mut scratch.changed,
            1,
            scratch.added.get(added..).unwrap_or_default(),
        );
        let to = scratch.changed.len();
        scratch.ops.push(Op {
            at: offset_in(self.base, group.body),
            skip: 0,
            put: Put::Changed { from, to },
        });
        (to - from).cast_signed()
    }

    /// Walks the messages of one field inside a message.
    fn container(
        &mut self,
        part: Part<'a>,
        number: u32,
        child: impl FnMut(&mut Self, Part<'a>) -> Option<isize>,
    ) -> Option<isize> {
        let opened = self.open();
        let grown = self.each(part.body, number, child)?;
        Some(self.close(opened, part, grown))
    }

    fn each(
        &mut self,
        body: &'a [u8],
        number: u32,
        mut child: impl FnMut(&mut Self, Part<'a>) -> Option<isize>,
    ) -> Option<isize> {
        let mut grown = 0;
        let mut fields = Fields::new(body);
        while let Some(part) = fields.next_part(number) {
            grown += child(self, part)?;
        }
        fields.is_done().then_some(grown)
    }

    /// Turns the pending edits of a message into ops.
    #[inline]
    fn settle(&mut self, part: Part<'a>, added: usize) -> Option<isize> {
        if self.scratch.is_untouched(added) {
            return Some(0);
        }
        let grown = self.settle_keeping(part, added);
        self.scratch.pending.clear();
        (self.scratch.size() <= self.limit).then_some(grown)
    }

    /// The same, leaving the edits of other messages alone.
    fn settle_keeping(&mut self, part: Part<'a>, added: usize) -> isize {
        let opened = self.open();
        let scratch = &mut *self.scratch;
        let start = offset_in(self.base, part.body);
        let end = start + part.body.len();
        let mut grown = 0;
        if !scratch.pending.is_empty() {
            scratch.pending.sort_by_key(|op| op.at);
            // of several edits of one attribute the last counts
            scratch.pending.dedup_by(|later, kept| {
                let is_same = later.at == kept.at;
                if is_same {
                    *kept = *later;
                }
                is_same
            });
            for op in &scratch.pending {
                if op.at >= start && op.at + op.skip <= end {
                    grown += op.put.len().cast_signed() - op.skip.cast_signed();
                    scratch.ops.push(*op);
                }
            }
        }
        let to = scratch.added.len();
        if to > added {
            grown += (to - added).cast_signed();
            scratch.ops.push(Op {
                at: end,
                skip: 0,
                put: Put::Added { from: added, to },
            });
        }
        self.close(opened, part, grown)
    }

    /// Keeps a place for the length of a message that is about to be walked.
    #[inline]
    fn open(&mut self) -> Opened {
        let opened = Opened(self.scratch.ops.len());
        self.scratch.ops.push(Op::default());
        opened
    }

    /// Writes the length of a message that was walked, if it changed.
    fn close(&mut self, opened: Opened, part: Part<'a>, grown: isize) -> isize {
        let ops = &mut self.scratch.ops;
        if ops.len() == opened.0 + 1 {
            ops.pop();
            return 0;
        }
        let start = offset_in(self.base, part.body);
        // tag and length, of which the length is rewritten
        let head = self.base.get(start - part.head..start).unwrap_or_default();
        let old = key(head).map_or(0, |(_, _, len)| len.len());
        let len = part.body.len().saturating_add_signed(grown);
        let (op, grown) = if grown == 0 {
            let op = Op {
                at: start,
                ..Op::default()
            };
            (op, 0)
        } else {
            let op = Op {
                at: start - old,
                skip: old,
                put: Put::Length(len),
            };
            let new = varint_len(len as u64);
            (op, grown + new.cast_signed() - old.cast_signed())
        };
        if let Some(kept) = ops.get_mut(opened.0) {
            *kept = op;
        }
        grown
    }
}

impl Splice {
    #[inline]
    fn edits<'s>(&'s mut self, base: &'s [u8], number: u32, limit: usize) -> Edits<'s> {
        Edits {
            base,
            number,
            limit,
            pending: &mut self.pending,
            changed: &mut self.changed,
            added: &mut self.added,
        }
    }

    fn size(&self) -> usize {
        self.ops.len() * size_of::<Op>() + self.changed.len() + self.added.len()
    }

    fn is_untouched(&self, added: usize) -> bool {
        self.pending.is_empty() && self.added.len() == added
    }
}
