//! The OpenAI Agents SDK through Logfire, which writes unformatted templates for names and its facts under plain words (K-32).

use crate::otlp::{SpanView, ValueView, semconv};
use crate::scan::classify::{Class, Named};
use crate::scan::kind::Role;

/// Classifies a span by its template.
pub(crate) fn classify<'a>(span: &SpanView<'a>) -> Class<'a> {
    let template = text(span, semconv::LOGFIRE_MSG_TEMPLATE);
    let is = |word: &[u8]| template.starts_with(word);
    if is(b"Agent run:") {
        Class::Called(Role::Actor, Named::Agent, name(span))
    } else if is(b"Function:") {
        Class::Called(Role::Actor, Named::Tool, name(span))
    } else if is(b"Guardrail") {
        Class::Called(Role::Actor, Named::Guardrail, name(span))
    } else if is(b"Handoff:") {
        Class::Handoff {
            to: text(span, semconv::LOGFIRE_TO_AGENT),
            from: text(span, semconv::LOGFIRE_FROM_AGENT),
        }
    } else if is(b"Responses API") || is(b"Chat completion") {
        Class::Node(Role::Model, Named::Model)
    } else {
        Class::Neutral
    }
}

/// Whether a guardrail says that it stepped in (O-02).
pub(crate) fn is_triggered(span: &SpanView<'_>) -> bool {
    let said = span
        .attributes()
        .find_key(semconv::LOGFIRE_TRIGGERED.as_bytes());
    said.is_some_and(|said| {
        matches!(
            said.value(),
            ValueView::Bool(true) | ValueView::Str(b"true")
        )
    })
}

/// The name; where it was scrubbed, what stands in quotes in the message.
fn name<'a>(span: &SpanView<'a>) -> &'a [u8] {
    let name = text(span, semconv::LOGFIRE_NAME);
    if !name.starts_with(b"[Scrubbed due to") {
        return name;
    }
    let mut parts = text(span, semconv::LOGFIRE_MSG).split(|byte| *byte == b'\'');
    parts.nth(1).unwrap_or(name)
}

fn text<'a>(span: &SpanView<'a>, key: &str) -> &'a [u8] {
    match span.attributes().find_key(key.as_bytes()) {
        Some(attribute) => match attribute.value() {
            ValueView::Str(text) => text,
            _ => b"",
        },
        None => b"",
    }
}
