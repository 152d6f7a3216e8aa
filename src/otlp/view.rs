//! Trace requests read in place: resource ▸ scope ▸ span ▸ attribute, borrowed from the bytes.
//!
//! Protobuf's rules for what comes twice are kept, so that a view says what a decoded struct would: of a repeated scalar
//! the last counts, parts of a repeated message (a resource, a scope, a status, an attribute's value) are one message,
//! and of a `oneof` the last member counts.
//!
//! **Bounds.** No allocation. A span is read in one pass over its fields; attributes, events and links are read when they
//! are iterated, values when they are asked for.
//! **Invariant.** Of validated bytes everything is read. Of others reading stops quietly at what is broken.
//! **Not here.** UTF-8 checks (`validate` made them), log records and metrics, which only the splice touches.

use crate::otlp::value::{AttrView, Attributes, text};
use crate::otlp::wire::{Fields, Value, offset_in, take_len, take4, take8, varint};

/// An `ExportTraceServiceRequest`.
#[derive(Clone, Copy, Debug)]
pub struct RequestView<'a> {
    body: &'a [u8],
}

impl<'a> RequestView<'a> {
    /// Views a request's bytes.
    #[must_use]
    pub fn new(request: &'a [u8]) -> Self {
        RequestView { body: request }
    }

    /// The spans by resource, in order of arrival.
    pub fn resource_groups(&self) -> impl Iterator<Item = ResourceView<'a>> + use<'a> {
        messages(self.body, 1).map(ResourceView::new)
    }
}

/// A `ResourceSpans`: a resource and the spans that it sent.
#[derive(Clone, Copy, Debug)]
pub struct ResourceView<'a> {
    group: &'a [u8],
}

impl<'a> ResourceView<'a> {
    pub(crate) fn new(group: &'a [u8]) -> Self {
        ResourceView { group }
    }

    /// The resource's attributes.
    #[must_use]
    pub fn attributes(&self) -> Attributes<'a> {
        Attributes::nested(self.group, 1, 1)
    }

    /// The schema of the resource; read when asked, in one pass over the group's scopes.
    #[must_use]
    pub fn schema_url(&self) -> &'a [u8] {
        last(self.group, 3)
    }

    /// The spans by scope, in order of arrival.
    pub fn scope_groups(&self) -> impl Iterator<Item = ScopeView<'a>> + use<'a> {
        messages(self.group, 2).map(ScopeView::new)
    }
}

/// A `ScopeSpans`: an instrumentation scope and the spans that it made.
#[derive(Clone, Copy, Debug)]
pub struct ScopeView<'a> {
    group: &'a [u8],
}

impl<'a> ScopeView<'a> {
    pub(crate) fn new(group: &'a [u8]) -> Self {
        ScopeView { group }
    }

    /// Where the group stands in memory: tells one group of a request from another, for what is kept per group.
    #[inline]
    #[must_use]
    pub fn place(&self) -> usize {
        self.group.as_ptr() as usize
    }

    /// Name and version; read when asked, in one pass over the lengths of the group's spans.
    #[must_use]
    pub fn name_and_version(&self) -> (&'a [u8], &'a [u8]) {
        messages(self.group, 1).flat_map(Fields::new).fold(
            (&[][..], &[][..]),
            |(name, version), field| match field {
                (1, Value::Len(name)) => (name, version),
                (2, Value::Len(version)) => (name, version),
                _ => (name, version),
            },
        )
    }

    /// The scope's attributes.
    #[must_use]
    pub fn attributes(&self) -> Attributes<'a> {
        Attributes::nested(self.group, 1, 3)
    }

    /// The schema of the scope's telemetry; read when asked, as [`ScopeView::name_and_version`] is.
    #[must_use]
    pub fn schema_url(&self) -> &'a [u8] {
        last(self.group, 3)
    }

    /// The spans in order of arrival.
    pub fn spans(&self) -> impl Iterator<Item = SpanView<'a>> + use<'a> {
        messages(self.group, 2).map(SpanView::decode)
    }
}

/// A span that was not read yet.
#[derive(Clone, Copy, Debug)]
pub struct SpanBytes<'a> {
    body: &'a [u8],
}

impl<'a> SpanBytes<'a> {
    #[inline]
    pub(crate) fn new(body: &'a [u8]) -> Self {
        SpanBytes { body }
    }

    /// Its attributes, for those who need nothing else of it.
    #[inline]
    #[must_use]
    pub fn attributes(self) -> Attributes<'a> {
        let mut rest = self.body;
        // quickly over the fields that nearly every span has before them
        while let Some((&tag, after)) = rest.split_first() {
            let next = match tag {
                0x0a | 0x12 | 0x1a | 0x22 | 0x2a => take_len(after).map(|(_, next)| next),
                0x30 => varint(after).map(|(_, next)| next),
                0x39 | 0x41 => after.get(8..),
                _ => break,
            };
            match next {
                Some(next) => rest = next,
                None => break,
            }
        }
        Attributes::of(rest, 9)
    }

    /// Reads its fields.
    #[inline]
    #[must_use]
    pub fn view(self) -> SpanView<'a> {
        SpanView::decode(self.body)
    }

    /// Reads its fields and hands over each attribute on the way, for those who need both; the splice does not edit these
    /// attributes.
    #[inline]
    pub fn read(self, mut each: impl FnMut(AttrView<'a>)) -> SpanView<'a> {
        let mut view = SpanView::default();
        view.walk(self.body, |attribute| each(AttrView::decode(attribute, 0)));
        view
    }

    /// Where a part of the span begins in it.
    #[inline]
    pub(crate) fn offset_of(self, part: &[u8]) -> usize {
        offset_in(self.body, part)
    }

    /// The part of the span that is so long and begins there; nothing where it has none.
    #[inline]
    pub(crate) fn part(self, from: usize, len: usize) -> &'a [u8] {
        self.body
            .get(from..)
            .and_then(|tail| tail.get(..len))
            .unwrap_or_default()
    }
}

/// A span. Ids are as long as the sender made them; names are UTF-8.
#[derive(Clone, Copy, Debug, Default)]
pub struct SpanView<'a> {
    /// The trace; sixteen bytes if it is valid.
    pub trace_id: &'a [u8],
    /// The span itself; eight bytes if it is valid.
    pub span_id: &'a [u8],
    /// Its parent; empty for a root.
    pub parent_span_id: &'a [u8],
    /// W3C trace state.
    pub trace_state: &'a [u8],
    /// What it did.
    pub name: &'a [u8],
    /// The number of its `SpanKind`; 0 is unspecified.
    pub kind: u32,
    /// When it started, unix nanoseconds.
    pub start: u64,
    /// When it ended, unix nanoseconds.
    pub end: u64,
    /// The number of its `StatusCode`: 0 unset, 1 ok, 2 error.
    pub status_code: u32,
    /// What went wrong, in the program's words.
    pub status_message: &'a [u8],
    /// W3C trace flags in the lowest byte, and whether the parent is remote above them.
    pub flags: u32,
    // from the first of its kind on
    attributes: &'a [u8],
    events: &'a [u8],
    links: &'a [u8],
}

impl<'a> SpanView<'a> {
    /// Reads a span's fields in one pass.
    #[inline]
    #[must_use]
    pub fn decode(span: &'a [u8]) -> Self {
        let mut view = SpanView::default();
        view.walk(span, |_| ());
        view
    }

    /// The same, with the bytes of every attribute as they are passed.
    #[inline]
    fn walk(&mut self, span: &'a [u8], mut attribute: impl FnMut(&'a [u8])) {
        let mut rest = span;
        while let Some((&tag, after)) = rest.split_first() {
            // the fields of nearly every span, by the one byte of their tag
            let quick = match tag {
                ATTRIBUTE => {
                    self.note_attributes(rest);
                    take_len(after).map(|(body, next)| (next, Some(body)))
                }
                0x0a => assign(&mut self.trace_id, take_len(after)),
                0x12 => assign(&mut self.span_id, take_len(after)),
                0x22 => assign(&mut self.parent_span_id, take_len(after)),
                0x2a => assign(&mut self.name, take_len(after)),
                0x30 => varint(after).map(|(kind, next)| {
                    self.kind = low32(kind);
                    (next, None)
                }),
                0x39 => assign(&mut self.start, take8(after)),
                0x41 => assign(&mut self.end, take8(after)),
                0x7a => take_len(after).map(|(status, next)| {
                    self.status(status);
                    (next, None)
                }),
                0x85 if let [0x01, flags @ ..] = after => assign(&mut self.flags, take4(flags)),
                _ => self.rarely(rest),
            };
            let Some((mut next, mut passed)) = quick else {
                break;
            };
            // attributes come in a row; one place takes them all, so that what is done with them is compiled into the loop
            while let Some(body) = passed {
                attribute(body);
                passed = None;
                if let Some((&ATTRIBUTE, after)) = next.split_first()
                    && let Some((body, behind)) = take_len(after)
                {
                    (next, passed) = (behind, Some(body));
                }
            }
            rest = next;
        }
    }

    #[inline]
    fn note_attributes(&mut self, rest: &'a [u8]) {
        if self.attributes.is_empty() {
            self.attributes = rest;
        }
    }

    /// Reads a field of any other form; answers what follows, and the attribute if it was one.
    #[inline(never)]
    fn rarely(&mut self, rest: &'a [u8]) -> Option<Passed<'a>> {
        let mut attribute = None;
        let mut fields = Fields::new(rest);
        match fields.next()? {
            (1, Value::Len(id)) => self.trace_id = id,
            (2, Value::Len(id)) => self.span_id = id,
            (3, Value::Len(state)) => self.trace_state = state,
            (4, Value::Len(id)) => self.parent_span_id = id,
            (5, Value::Len(name)) => self.name = name,
            (6, Value::Varint(kind)) => self.kind = low32(kind),
            (7, Value::Fixed64(time)) => self.start = time,
            (8, Value::Fixed64(time)) => self.end = time,
            (9, Value::Len(body)) => {
                self.note_attributes(rest);
                attribute = Some(body);
            }
            (11, Value::Len(_)) if self.events.is_empty() => self.events = rest,
            (13, Value::Len(_)) if self.links.is_empty() => self.links = rest,
            (15, Value::Len(status)) => self.status(status),
            (16, Value::Fixed32(flags)) => self.flags = flags,
            _ => {}
        }
        Some((fields.rest(), attribute))
    }

    fn status(&mut self, status: &'a [u8]) {
        for field in Fields::new(status) {
            match field {
                (2, Value::Len(message)) => self.status_message = message,
                (3, Value::Varint(code)) => self.status_code = low32(code),
                _ => {}
            }
        }
    }

    /// The name as text.
    #[must_use]
    pub fn name_str(&self) -> &'a str {
        text(self.name)
    }

    /// Its attributes.
    #[inline]
    #[must_use]
    pub fn attributes(&self) -> Attributes<'a> {
        Attributes::of(self.attributes, 9)
    }

    /// What happened during it.
    pub fn events(&self) -> impl Iterator<Item = EventView<'a>> + use<'a> {
        messages(self.events, 11).map(EventView::decode)
    }

    /// What it points to.
    pub fn links(&self) -> impl Iterator<Item = LinkView<'a>> + use<'a> {
        messages(self.links, 13).map(LinkView::decode)
    }
}

/// An event of a span.
#[derive(Clone, Copy, Debug, Default)]
pub struct EventView<'a> {
    /// When it happened, unix nanoseconds.
    pub time: u64,
    /// What happened.
    pub name: &'a [u8],
    event: &'a [u8],
}

impl<'a> EventView<'a> {
    fn decode(event: &'a [u8]) -> Self {
        let mut view = EventView {
            event,
            ..EventView::default()
        };
        for field in Fields::new(event) {
            match field {
                (1, Value::Fixed64(time)) => view.time = time,
                (2, Value::Len(name)) => view.name = name,
                _ => {}
            }
        }
        view
    }

    /// Its attributes; the splice does not edit them.
    #[must_use]
    pub fn attributes(&self) -> Attributes<'a> {
        Attributes::fixed(self.event, 3)
    }
}

/// A link of a span to another.
#[derive(Clone, Copy, Debug, Default)]
pub struct LinkView<'a> {
    /// The other's trace.
    pub trace_id: &'a [u8],
    /// The other span.
    pub span_id: &'a [u8],
    /// W3C trace state of the other.
    pub trace_state: &'a [u8],
    /// W3C trace flags, as in [`SpanView::flags`].
    pub flags: u32,
    link: &'a [u8],
}

impl<'a> LinkView<'a> {
    fn decode(link: &'a [u8]) -> Self {
        let mut view = LinkView {
            link,
            ..LinkView::default()
        };
        for field in Fields::new(link) {
            match field {
                (1, Value::Len(id)) => view.trace_id = id,
                (2, Value::Len(id)) => view.span_id = id,
                (3, Value::Len(state)) => view.trace_state = state,
                (6, Value::Fixed32(flags)) => view.flags = flags,
                _ => {}
            }
        }
        view
    }

    /// Its attributes; the splice does not edit them.
    #[must_use]
    pub fn attributes(&self) -> Attributes<'a> {
        Attributes::fixed(self.link, 4)
    }
}

/// The length-delimited fields of this number.
fn messages(message: &[u8], number: u32) -> impl Iterator<Item = &[u8]> {
    let mut fields = Fields::new(message);
    std::iter::from_fn(move || fields.next_len(number))
}

/// The last length-delimited field of this number, or nothing.
fn last(message: &[u8], number: u32) -> &[u8] {
    messages(message, number).last().unwrap_or_default()
}

/// The tag of a span's attribute.
const ATTRIBUTE: u8 = 0x4a;

/// What follows a field, and its body if it is an attribute.
type Passed<'a> = (&'a [u8], Option<&'a [u8]>);

/// Keeps what was read; answers what follows.
#[inline]
fn assign<'a, T>(slot: &mut T, read: Option<(T, &'a [u8])>) -> Option<Passed<'a>> {
    let (value, next) = read?;
    *slot = value;
    Some((next, None))
}

/// The 32 bits of an enum, which `protobuf` cuts out of whatever varint was sent.
fn low32(value: u64) -> u32 {
    u32::try_from(value & u64::from(u32::MAX)).unwrap_or_default()
}
