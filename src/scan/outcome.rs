//! How a span ended (`span-conventions` §7), from its status, its attributes and, if it must, its exception event.

use crate::otlp::SpanView;
use crate::otlp::semconv;
use crate::scan::alias::Slot;
use crate::scan::facts::{FINISHED_BADLY, Facts, Slots};
use crate::scan::kind::Outcome;

const STATUS_OK: u32 = 1;
const STATUS_ERROR: u32 = 2;
const SERVER: u32 = 2;

/// LangGraph's control flow, which travels as exceptions (O-15).
const CONTROL_FLOW: &[&[u8]] = &[
    b"ParentCommand",
    b"GraphInterrupt",
    b"NodeInterrupt",
    b"GraphBubbleUp",
    b"Interrupt",
];
const THROTTLED: &[&str] = &[
    "ratelimit",
    "rate_limit",
    "rate-limit",
    "rate limit",
    "throttl",
    "resource_exhausted",
    "resourceexhausted",
    "429",
];
const TIMEOUT: &[&str] = &["timeout", "timed_out", "timedout", "deadline"];

/// The outcome of a span, tests in the order of the specification.
#[inline]
pub(crate) fn of(facts: &Facts<'_>, span: &SpanView<'_>) -> Outcome {
    let is_plain = span.status_code != STATUS_ERROR
        && !facts.has_any(SIGNS)
        && facts
            .number(Slot::HttpStatus)
            .is_none_or(|http| http < LEAST_BAD);
    if is_plain && span.events().next().is_none() {
        return Outcome::Ok;
    }
    examined(facts, span)
}

/// Attributes that speak of how it ended; an HTTP status does so from [`LEAST_BAD`] on.
const SIGNS: Slots = Slots::of(&[
    Slot::ErrorType,
    Slot::GuardrailVerdict,
    Slot::ToolStatus,
    Slot::TaskStatus,
    Slot::LangfuseLevel,
    Slot::TaskState,
    Slot::GuardrailTriggered,
    Slot::ToolSuccess,
    Slot::ToolError,
    Slot::FinishReasons,
]);

/// The least HTTP status that is bad for anyone (O-06).
const LEAST_BAD: u64 = 400;

fn examined(facts: &Facts<'_>, span: &SpanView<'_>) -> Outcome {
    let attribute = facts.text(Slot::ErrorType);
    let error_type = if attribute.is_empty() {
        exception_type(span)
    } else {
        attribute
    };
    let last_part = error_type
        .rsplit(|byte| *byte == b'.')
        .next()
        .unwrap_or_default();
    let is_ok = span.status_code == STATUS_OK;
    let is_error = span.status_code == STATUS_ERROR;
    // an exception event alone is no failure (O-11)
    let speaks = is_error || !attribute.is_empty() && !is_ok;
    if speaks && (contains(error_type, "cancel") || last_part == b"GeneratorExit") {
        return Outcome::Cancelled; // O-01
    }
    if CONTROL_FLOW.contains(&last_part) {
        return Outcome::Ok; // O-15
    }
    if is_blocked(facts) {
        return Outcome::Blocked; // O-02
    }
    match facts
        .text(Slot::TaskState)
        .rsplit(|byte| *byte == b'_')
        .next()
    {
        Some(b"FAILED" | b"REJECTED" | b"failed" | b"rejected") => return Outcome::Error, // O-03
        Some(b"CANCELED" | b"canceled") => return Outcome::Cancelled,
        _ => {}
    }
    let http = facts.number(Slot::HttpStatus).unwrap_or(0);
    let least_bad = if span.kind == SERVER { 500 } else { LEAST_BAD };
    let is_bad_http = span.status_code == 0 && http >= least_bad; // O-06
    if !(speaks || !is_ok && is_softly_failed(facts) || is_bad_http) {
        return Outcome::Ok;
    }
    let says = |words: &[&str]| words.iter().any(|word| contains(error_type, word));
    match http {
        429 => Outcome::Throttled,
        408 | 504 => Outcome::Timeout,
        _ if says(THROTTLED) => Outcome::Throttled, // O-07
        _ if says(TIMEOUT) => Outcome::Timeout,     // O-08
        _ => Outcome::Error,
    }
}

fn is_blocked(facts: &Facts<'_>) -> bool {
    facts.number(Slot::GuardrailTriggered) == Some(1)
        || matches!(
            facts.text(Slot::GuardrailVerdict),
            b"deny"
                | b"block"
                | b"GUARDRAIL_INTERVENED"
                | b"guardrail_intervened"
                | b"tripwire_triggered"
        )
}

/// Flags by which frameworks say that it failed without setting the status (O-05).
fn is_softly_failed(facts: &Facts<'_>) -> bool {
    facts.text(Slot::ToolStatus) == b"error"
        || facts.text(Slot::TaskStatus) == b"failure"
        || facts.text(Slot::LangfuseLevel) == b"ERROR"
        || facts.number(Slot::ToolError) == Some(1)
        || facts.number(Slot::ToolSuccess) == Some(0)
        || facts.number(Slot::FinishReasons) == Some(FINISHED_BADLY)
}

fn exception_type<'a>(span: &SpanView<'a>) -> &'a [u8] {
    span.events()
        .filter(|event| event.name == b"exception")
        .filter_map(|event| {
            event
                .attributes()
                .find_key(semconv::EXCEPTION_TYPE.as_bytes())
        })
        .filter_map(|attribute| match attribute.value() {
            crate::otlp::ValueView::Str(text) => Some(text),
            _ => None,
        })
        .last()
        .unwrap_or_default()
}

/// Whether a text holds a lower-case word, in any case.
fn contains(text: &[u8], word: &str) -> bool {
    text.windows(word.len())
        .any(|window| window.eq_ignore_ascii_case(word.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scan::testing::{read, spans};
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]

        #[test]
        fn a_span_without_signs_ended_as_an_examination_would_find(span in spans()) {
            let (facts, view) = read(&span);
            prop_assert_eq!(of(&facts, &view), examined(&facts, &view));
        }
    }
}
