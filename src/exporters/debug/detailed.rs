//! `detailed`: every field of spans and log records.

use crate::exporters::debug::page::{Page, moment};
use crate::exporters::debug::value::{Typed, hex};
use opentelemetry_proto::tonic::common::v1::{EntityRef, InstrumentationScope};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, Span};

/// The heading of a resource.
pub(super) fn resource(page: &mut Page, schema_url: &str, resource: Option<&Resource>) {
    page.line(format_args!("Resource SchemaURL: {schema_url}"));
    if let Some(resource) = resource {
        page.attributes("", "Resource attributes", &resource.attributes);
        entities(page, &resource.entity_refs);
    }
}

fn entities(page: &mut Page, entities: &[EntityRef]) {
    if !entities.is_empty() {
        page.line(format_args!("Resource entity refs:"));
    }
    for (i, entity) in entities.iter().enumerate() {
        page.line(format_args!("     -> Entity ref #{i}:"));
        page.line(format_args!("          -> Type: {}", entity.r#type));
        if !entity.schema_url.is_empty() {
            page.line(format_args!(
                "          -> Schema URL: {}",
                entity.schema_url
            ));
        }
        for (heading, keys) in [
            ("ID keys", &entity.id_keys),
            ("Description keys", &entity.description_keys),
        ] {
            if !keys.is_empty() {
                page.line(format_args!("          -> {heading}:"));
            }
            for key in keys {
                page.line(format_args!("               -> {key}"));
            }
        }
    }
}

/// The heading of a scope.
pub(super) fn scope(page: &mut Page, scope: Option<&InstrumentationScope>) {
    let (name, version) = scope.map_or(("", ""), |scope| (&scope.name, &scope.version));
    page.line(format_args!("InstrumentationScope {name} {version}"));
    if let Some(scope) = scope {
        page.attributes("", "InstrumentationScope attributes", &scope.attributes);
    }
}

/// Every field of every span.
pub(super) fn traces(page: &mut Page, request: &[ResourceSpans]) {
    for (i, spans) in request.iter().enumerate() {
        page.line(format_args!("ResourceSpans #{i}"));
        resource(page, &spans.schema_url, spans.resource.as_ref());
        for (j, spans) in spans.scope_spans.iter().enumerate() {
            page.line(format_args!("ScopeSpans #{j}"));
            page.line(format_args!("ScopeSpans SchemaURL: {}", spans.schema_url));
            scope(page, spans.scope.as_ref());
            for (k, this) in spans.spans.iter().enumerate() {
                page.line(format_args!("Span #{k}"));
                span(page, this);
            }
        }
    }
}

fn span(page: &mut Page, span: &Span) {
    let kind = match span.kind {
        1 => "Internal",
        2 => "Server",
        3 => "Client",
        4 => "Producer",
        5 => "Consumer",
        _ => "Unspecified",
    };
    let (code, message) = span
        .status
        .as_ref()
        .map_or((0, ""), |status| (status.code, &status.message));
    let code = match code {
        1 => "Ok",
        2 => "Error",
        _ => "Unset",
    };
    page.id("Trace ID", &span.trace_id);
    page.id("Parent ID", &span.parent_span_id);
    page.id("ID", &span.span_id);
    page.field("Name", &span.name);
    page.field("Kind", kind);
    if !span.trace_state.is_empty() {
        page.field("TraceState", &span.trace_state);
    }
    page.field("Start time", moment(span.start_time_unix_nano));
    page.field("End time", moment(span.end_time_unix_nano));
    page.field("Status code", code);
    page.field("Status message", message);
    for (name, dropped) in [
        ("DroppedAttributesCount", span.dropped_attributes_count),
        ("DroppedEventsCount", span.dropped_events_count),
        ("DroppedLinksCount", span.dropped_links_count),
    ] {
        if dropped > 0 {
            page.field(name, dropped);
        }
    }
    page.attributes("", "Attributes", &span.attributes);
    events(page, &span.events);
    links(page, &span.links);
}

fn events(page: &mut Page, events: &[Event]) {
    if !events.is_empty() {
        page.line(format_args!("Events:"));
    }
    for (i, event) in events.iter().enumerate() {
        page.line(format_args!("SpanEvent #{i}"));
        page.item("Name", &event.name);
        page.item("Timestamp", moment(event.time_unix_nano));
        page.item("DroppedAttributesCount", event.dropped_attributes_count);
        page.attributes("     ", "     -> Attributes:", &event.attributes);
    }
}

fn links(page: &mut Page, links: &[Link]) {
    if !links.is_empty() {
        page.line(format_args!("Links:"));
    }
    for (i, link) in links.iter().enumerate() {
        page.line(format_args!("SpanLink #{i}"));
        page.item("Trace ID", hex(&link.trace_id));
        page.item("ID", hex(&link.span_id));
        page.item("TraceState", &link.trace_state);
        page.item("DroppedAttributesCount", link.dropped_attributes_count);
        page.attributes("     ", "     -> Attributes:", &link.attributes);
    }
}

/// Every field of every log record.
pub(super) fn logs(page: &mut Page, request: &[ResourceLogs]) {
    for (i, logs) in request.iter().enumerate() {
        page.line(format_args!("ResourceLog #{i}"));
        resource(page, &logs.schema_url, logs.resource.as_ref());
        for (j, logs) in logs.scope_logs.iter().enumerate() {
            page.line(format_args!("ScopeLogs #{j}"));
            page.line(format_args!("ScopeLogs SchemaURL: {}", logs.schema_url));
            scope(page, logs.scope.as_ref());
            for (k, record) in logs.log_records.iter().enumerate() {
                page.line(format_args!("LogRecord #{k}"));
                log_record(page, record);
            }
        }
    }
}

fn log_record(page: &mut Page, record: &LogRecord) {
    let number = record.severity_number;
    let observed = moment(record.observed_time_unix_nano);
    page.line(format_args!("ObservedTimestamp: {observed}"));
    page.line(format_args!("Timestamp: {}", moment(record.time_unix_nano)));
    page.line(format_args!("SeverityText: {}", record.severity_text));
    page.line(format_args!(
        "SeverityNumber: {}({number})",
        severity(number)
    ));
    if !record.event_name.is_empty() {
        page.line(format_args!("EventName: {}", record.event_name));
    }
    page.line(format_args!("Body: {}", Typed(record.body.as_ref())));
    page.attributes("", "Attributes", &record.attributes);
    page.id("Trace ID", &record.trace_id);
    page.id("Span ID", &record.span_id);
    page.line(format_args!("Flags: {}", record.flags));
}

/// `Error`, `Error2`, `Error3`, `Error4`: four steps of six levels.
fn severity(number: i32) -> String {
    let levels = ["Trace", "Debug", "Info", "Warn", "Error", "Fatal"];
    let above = usize::try_from(number.saturating_sub(1)).ok();
    let found = above.and_then(|above| Some((levels.get(above / 4)?, above % 4 + 1)));
    match found {
        None => "Unspecified".to_owned(),
        Some((level, 1)) => (*level).to_owned(),
        Some((level, step)) => format!("{level}{step}"),
    }
}
