//! What spans of each kind say: the GenAI conventions, and those of HTTP, databases and messaging.

use crate::demo::run::Done;
use crate::demo::span::Value;
use crate::demo::system::{Component, Kind};
use crate::otlp::semconv;

/// What a component's spans say of who it is.
pub(super) fn named(component: &Component) -> Vec<(&'static str, Value)> {
    match component.kind {
        Kind::Agent => vec![
            (semconv::GEN_AI_OPERATION_NAME, "invoke_agent".into()),
            (semconv::GEN_AI_AGENT_NAME, component.name.into()),
        ],
        Kind::Tool => vec![
            (semconv::GEN_AI_OPERATION_NAME, "execute_tool".into()),
            (semconv::GEN_AI_TOOL_NAME, component.name.into()),
            (semconv::GEN_AI_TOOL_TYPE, "function".into()),
        ],
        Kind::Model { provider } => vec![
            (semconv::GEN_AI_OPERATION_NAME, "chat".into()),
            (semconv::GEN_AI_PROVIDER_NAME, provider.into()),
            (semconv::GEN_AI_REQUEST_MODEL, component.name.into()),
            (semconv::SERVER_ADDRESS, component.process.into()),
        ],
        Kind::Database { product } => vec![
            (semconv::DB_SYSTEM_NAME, product.into()),
            (semconv::DB_NAMESPACE, component.name.into()),
            (semconv::DB_OPERATION_NAME, "SELECT".into()),
            (semconv::SERVER_ADDRESS, component.process.into()),
        ],
        Kind::Service | Kind::Queue { .. } => Vec::new(),
    }
}

/// How a request ended as HTTP sees it, and what both its sides say: whoever cannot answer is a bad gateway.
pub(super) fn http(done: Done) -> (Done, Vec<(&'static str, Value)>) {
    let (status, error) = match done.error {
        None => (200, None),
        Some(_) => (502, Some("502")),
    };
    let attributes = vec![
        (semconv::HTTP_REQUEST_METHOD, "POST".into()),
        (semconv::HTTP_RESPONSE_STATUS_CODE, Value::Int(status)),
    ];
    (Done { error, ..done }, attributes)
}

/// What both sides of a queue say.
pub(super) fn message(queue: &Component, operation: &str) -> Vec<(&'static str, Value)> {
    let product = match queue.kind {
        Kind::Queue { product } => product,
        _ => "",
    };
    vec![
        (semconv::MESSAGING_SYSTEM, product.into()),
        (semconv::MESSAGING_DESTINATION_NAME, queue.name.into()),
        (semconv::MESSAGING_OPERATION_TYPE, operation.into()),
        (semconv::SERVER_ADDRESS, queue.process.into()),
    ]
}
