//! A span as a process of a demonstration system records it.

use crate::base::{Nanos, SpanId, TraceId};

/// Who a span stands towards: OTLP's kinds, without the unspecified one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpanKind {
    /// Within a process.
    Internal,
    /// Answers someone.
    Server,
    /// Asks someone.
    Client,
    /// Sends a message.
    Producer,
    /// Takes a message.
    Consumer,
}

/// An attribute's value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// A text.
    Text(String),
    /// A number.
    Int(i64),
    /// A list of texts.
    List(Vec<String>),
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Value::Text(text.to_owned())
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Value::Int(number)
    }
}

/// A span.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlayedSpan {
    /// The `service.name` of the process that records it.
    pub process: &'static str,
    /// Its trace.
    pub trace: TraceId,
    /// Itself.
    pub span: SpanId,
    /// What it lies in; `None` for the first of its trace.
    pub parent: Option<SpanId>,
    /// A span of another trace that it follows from.
    pub link: Option<(TraceId, SpanId)>,
    /// Its name.
    pub name: String,
    /// Its kind.
    pub kind: SpanKind,
    /// When it began.
    pub start: Nanos,
    /// When it ended; never before it began.
    pub end: Nanos,
    /// Why it failed, as `error.type` says.
    pub error: Option<String>,
    /// Everything else that it says.
    pub attributes: Vec<(&'static str, Value)>,
}
