//! Links of a span, each a sighting of its own that follows the span's (D3).
//!
//! **Bounds.** [`MOST`] links of a span, the first ones. Only spans whose rules look at links have any.

use crate::base::{SpanId, TraceId};
use crate::otlp::{SpanView, ValueView, semconv};
use crate::scan::kind::{NodeKind, Role};
use crate::scan::sighting::{Flags, Sighting};
use crate::scan::transport::PRODUCER;

/// Links of one span that are followed.
const MOST: usize = 16;

/// The links of a span that say who caused it (E-18, E-27, E-35), if its rules ask for that.
pub fn links<'a>(seen: Sighting, span: &SpanView<'a>) -> impl Iterator<Item = Sighting> + use<'a> {
    span.links()
        .filter(|link| {
            let kind = link
                .attributes()
                .find_key(semconv::AG2_LINK_KIND.as_bytes());
            !kind.is_some_and(|kind| matches!(kind.value(), ValueView::Str(b"in_channel")))
        })
        .filter_map(|link| {
            Some((
                TraceId::decode(link.trace_id)?,
                SpanId::decode(link.span_id)?,
            ))
        })
        .take(MOST)
        .map(move |(trace, linked)| seen.link(trace, linked))
}

/// Whether a rule looks at what this span is linked to: an agent, an actor runtime's message, its producer, and a message
/// out of a queue without a name.
pub(crate) fn wants(seen: &Sighting) -> bool {
    match seen.role {
        Role::Actor => seen.kind == NodeKind::Agent && seen.bears_node(),
        Role::Step => seen.flags.has(Flags::MESSAGED),
        Role::Consumer => !seen.bears_node(),
        Role::Neutral => u32::from(seen.span_kind) == PRODUCER,
        _ => false,
    }
}
