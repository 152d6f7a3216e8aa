//! The shape of OTLP's three export requests as data: one table from which bytes are validated and JSON is translated.
//!
//! The field numbers and types are those of `opentelemetry-proto` 1.11 (`common/v1`, `resource/v1`, `trace/v1`,
//! `metrics/v1`, `logs/v1`, `collector/*/v1`); a test compares accepted and refused bytes with the generated types.
//!
//! **Invariant.** In every [`Message`], the field with number `n` stands at index `n - 1`, and gaps are [`Field::GAP`], so
//! that a look-up is one index.

/// What a field's value is on the wire and in JSON.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// No field of this number.
    Gap,
    /// Varint, `true` or `false`.
    Bool,
    /// Varint, a number in JSON.
    Int32,
    /// Varint, a number in JSON.
    Uint32,
    /// Zigzag varint, a number in JSON.
    Sint32,
    /// Varint, a decimal string in JSON.
    Int64,
    /// Varint, a decimal string in JSON.
    Uint64,
    /// Varint; JSON has the number (OTLP forbids enum names).
    Enum,
    /// Four bytes, a number in JSON.
    Fixed32,
    /// Eight bytes, a decimal string in JSON.
    Fixed64,
    /// Eight bytes, signed, a decimal string in JSON.
    Sfixed64,
    /// Eight bytes; JSON also has `"NaN"`, `"Infinity"`, `"-Infinity"`.
    Double,
    /// UTF-8.
    String,
    /// Bytes; base64 in JSON.
    Bytes,
    /// Bytes; lower-case hex in JSON: a trace or span id.
    HexId,
    /// A message of this shape.
    Message(&'static Message),
}

/// One field of a message.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    /// Its lowerCamelCase name in OTLP/JSON.
    pub json: &'static str,
    /// Its type.
    pub kind: Kind,
    /// Whether it is a list; lists of numbers may come packed or not.
    pub is_repeated: bool,
    /// Whether its presence says something even at the default value (`optional`, a member of a `oneof`).
    pub has_presence: bool,
}

impl Field {
    /// A number that the message does not use.
    pub const GAP: Field = Field {
        json: "",
        kind: Kind::Gap,
        is_repeated: false,
        has_presence: false,
    };

    const fn one(json: &'static str, kind: Kind) -> Field {
        let has_presence = matches!(kind, Kind::Message(_));
        Field {
            json,
            kind,
            is_repeated: false,
            has_presence,
        }
    }

    const fn opt(json: &'static str, kind: Kind) -> Field {
        Field {
            json,
            kind,
            is_repeated: false,
            has_presence: true,
        }
    }

    const fn many(json: &'static str, kind: Kind) -> Field {
        Field {
            json,
            kind,
            is_repeated: true,
            has_presence: false,
        }
    }
}

/// A message type.
#[derive(Debug)]
pub struct Message {
    /// Its name in the `.proto` files.
    pub name: &'static str,
    /// Field `n` at index `n - 1`.
    pub fields: &'static [Field],
}

impl Message {
    /// The field with this number, unless the schema has none.
    #[inline]
    #[must_use]
    pub fn field(&self, number: u32) -> Option<&'static Field> {
        let field = self.fields.get((number as usize).wrapping_sub(1))?;
        if matches!(field.kind, Kind::Gap) {
            None
        } else {
            Some(field)
        }
    }
}

use Kind::{
    Bool, Bytes, Double, Enum, Fixed32, Fixed64, HexId, Int32, Int64, Sfixed64, Sint32, String,
    Uint32, Uint64,
};

const GAP: Field = Field::GAP;

macro_rules! message {
    ($(#[$doc:meta])* $name:ident = $proto:literal [$($field:expr),* $(,)?]) => {
        $(#[$doc])*
        pub static $name: Message = Message { name: $proto, fields: &[$($field),*] };
    };
}

const fn many(json: &'static str, kind: Kind) -> Field {
    Field::many(json, kind)
}
const fn one(json: &'static str, kind: Kind) -> Field {
    Field::one(json, kind)
}
const fn opt(json: &'static str, kind: Kind) -> Field {
    Field::opt(json, kind)
}

// ── common/v1, resource/v1 ──

message!(
    /// A value of an attribute; its fields are one `oneof`.
    ANY_VALUE = "AnyValue" [
        opt("stringValue", String),
        opt("boolValue", Bool),
        opt("intValue", Int64),
        opt("doubleValue", Double),
        opt("arrayValue", Kind::Message(&ARRAY_VALUE)),
        opt("kvlistValue", Kind::Message(&KEY_VALUE_LIST)),
        opt("bytesValue", Bytes),
        opt("stringValueStrindex", Int32),
    ]
);
message!(
    /// A list of values.
    ARRAY_VALUE = "ArrayValue" [many("values", Kind::Message(&ANY_VALUE))]
);
message!(
    /// A map of values.
    KEY_VALUE_LIST = "KeyValueList" [many("values", Kind::Message(&KEY_VALUE))]
);
message!(
    /// An attribute.
    KEY_VALUE = "KeyValue" [one("key", String), one("value", Kind::Message(&ANY_VALUE)), one("keyStrindex", Int32)]
);
message!(
    /// What made the telemetry: library and version.
    SCOPE = "InstrumentationScope" [
        one("name", String),
        one("version", String),
        many("attributes", Kind::Message(&KEY_VALUE)),
        one("droppedAttributesCount", Uint32),
    ]
);
message!(
    /// A reference to an entity of the resource.
    ENTITY_REF = "EntityRef" [
        one("schemaUrl", String),
        one("type", String),
        many("idKeys", String),
        many("descriptionKeys", String),
    ]
);
message!(
    /// The process, host or service that sent.
    RESOURCE = "Resource" [
        many("attributes", Kind::Message(&KEY_VALUE)),
        one("droppedAttributesCount", Uint32),
        many("entityRefs", Kind::Message(&ENTITY_REF)),
    ]
);

// ── trace/v1 ──

message!(
    /// The body of a trace export.
    TRACES_REQUEST = "ExportTraceServiceRequest" [many("resourceSpans", Kind::Message(&RESOURCE_SPANS))]
);
message!(
    /// The spans of one resource.
    RESOURCE_SPANS = "ResourceSpans" [
        one("resource", Kind::Message(&RESOURCE)),
        many("scopeSpans", Kind::Message(&SCOPE_SPANS)),
        one("schemaUrl", String),
    ]
);
message!(
    /// The spans of one scope.
    SCOPE_SPANS = "ScopeSpans" [
        one("scope", Kind::Message(&SCOPE)),
        many("spans", Kind::Message(&SPAN)),
        one("schemaUrl", String),
    ]
);
message!(
    /// A span.
    SPAN = "Span" [
        one("traceId", HexId),
        one("spanId", HexId),
        one("traceState", String),
        one("parentSpanId", HexId),
        one("name", String),
        one("kind", Enum),
        one("startTimeUnixNano", Fixed64),
        one("endTimeUnixNano", Fixed64),
        many("attributes", Kind::Message(&KEY_VALUE)),
        one("droppedAttributesCount", Uint32),
        many("events", Kind::Message(&SPAN_EVENT)),
        one("droppedEventsCount", Uint32),
        many("links", Kind::Message(&SPAN_LINK)),
        one("droppedLinksCount", Uint32),
        one("status", Kind::Message(&STATUS)),
        one("flags", Fixed32),
    ]
);
message!(
    /// Something that happened during a span.
    SPAN_EVENT = "Span.Event" [
        one("timeUnixNano", Fixed64),
        one("name", String),
        many("attributes", Kind::Message(&KEY_VALUE)),
        one("droppedAttributesCount", Uint32),
    ]
);
message!(
    /// A pointer from a span to another.
    SPAN_LINK = "Span.Link" [
        one("traceId", HexId),
        one("spanId", HexId),
        one("traceState", String),
        many("attributes", Kind::Message(&KEY_VALUE)),
        one("droppedAttributesCount", Uint32),
        one("flags", Fixed32),
    ]
);
message!(
    /// How a span ended.
    STATUS = "Status" [GAP, one("message", String), one("code", Enum)]
);

// ── logs/v1 ──

message!(
    /// The body of a logs export.
    LOGS_REQUEST = "ExportLogsServiceRequest" [many("resourceLogs", Kind::Message(&RESOURCE_LOGS))]
);
message!(
    /// The log records of one resource.
    RESOURCE_LOGS = "ResourceLogs" [
        one("resource", Kind::Message(&RESOURCE)),
        many("scopeLogs", Kind::Message(&SCOPE_LOGS)),
        one("schemaUrl", String),
    ]
);
message!(
    /// The log records of one scope.
    SCOPE_LOGS = "ScopeLogs" [
        one("scope", Kind::Message(&SCOPE)),
        many("logRecords", Kind::Message(&LOG_RECORD)),
        one("schemaUrl", String),
    ]
);
message!(
    /// A log record.
    LOG_RECORD = "LogRecord" [
        one("timeUnixNano", Fixed64),
        one("severityNumber", Enum),
        one("severityText", String),
        GAP,
        one("body", Kind::Message(&ANY_VALUE)),
        many("attributes", Kind::Message(&KEY_VALUE)),
        one("droppedAttributesCount", Uint32),
        one("flags", Fixed32),
        one("traceId", HexId),
        one("spanId", HexId),
        one("observedTimeUnixNano", Fixed64),
        one("eventName", String),
    ]
);

// ── metrics/v1 ──

message!(
    /// The body of a metrics export.
    METRICS_REQUEST = "ExportMetricsServiceRequest" [many("resourceMetrics", Kind::Message(&RESOURCE_METRICS))]
);
message!(
    /// The metrics of one resource.
    RESOURCE_METRICS = "ResourceMetrics" [
        one("resource", Kind::Message(&RESOURCE)),
        many("scopeMetrics", Kind::Message(&SCOPE_METRICS)),
        one("schemaUrl", String),
    ]
);
message!(
    /// The metrics of one scope.
    SCOPE_METRICS = "ScopeMetrics" [
        one("scope", Kind::Message(&SCOPE)),
        many("metrics", Kind::Message(&METRIC)),
        one("schemaUrl", String),
    ]
);
message!(
    /// A metric; fields 5 to 11 are one `oneof`.
    METRIC = "Metric" [
        one("name", String),
        one("description", String),
        one("unit", String),
        GAP,
        opt("gauge", Kind::Message(&GAUGE)),
        GAP,
        opt("sum", Kind::Message(&SUM)),
        GAP,
        opt("histogram", Kind::Message(&HISTOGRAM)),
        opt("exponentialHistogram", Kind::Message(&EXPONENTIAL_HISTOGRAM)),
        opt("summary", Kind::Message(&SUMMARY)),
        many("metadata", Kind::Message(&KEY_VALUE)),
    ]
);
message!(
    /// Values that go up and down.
    GAUGE = "Gauge" [many("dataPoints", Kind::Message(&NUMBER_DATA_POINT))]
);
message!(
    /// Values that add up.
    SUM = "Sum" [
        many("dataPoints", Kind::Message(&NUMBER_DATA_POINT)),
        one("aggregationTemporality", Enum),
        one("isMonotonic", Bool),
    ]
);
message!(
    /// Distributions over given bounds.
    HISTOGRAM = "Histogram" [
        many("dataPoints", Kind::Message(&HISTOGRAM_DATA_POINT)),
        one("aggregationTemporality", Enum),
    ]
);
message!(
    /// Distributions over exponential bounds.
    EXPONENTIAL_HISTOGRAM = "ExponentialHistogram" [
        many("dataPoints", Kind::Message(&EXPONENTIAL_HISTOGRAM_DATA_POINT)),
        one("aggregationTemporality", Enum),
    ]
);
message!(
    /// Quantiles computed by the sender.
    SUMMARY = "Summary" [many("dataPoints", Kind::Message(&SUMMARY_DATA_POINT))]
);
message!(
    /// One number; fields 4 and 6 are one `oneof`.
    NUMBER_DATA_POINT = "NumberDataPoint" [
        GAP,
        one("startTimeUnixNano", Fixed64),
        one("timeUnixNano", Fixed64),
        opt("asDouble", Double),
        many("exemplars", Kind::Message(&EXEMPLAR)),
        opt("asInt", Sfixed64),
        many("attributes", Kind::Message(&KEY_VALUE)),
        one("flags", Uint32),
    ]
);
message!(
    /// One distribution.
    HISTOGRAM_DATA_POINT = "HistogramDataPoint" [
        GAP,
        one("startTimeUnixNano", Fixed64),
        one("timeUnixNano", Fixed64),
        one("count", Fixed64),
        opt("sum", Double),
        many("bucketCounts", Fixed64),
        many("explicitBounds", Double),
        many("exemplars", Kind::Message(&EXEMPLAR)),
        many("attributes", Kind::Message(&KEY_VALUE)),
        one("flags", Uint32),
        opt("min", Double),
        opt("max", Double),
    ]
);
message!(
    /// One exponential distribution.
    EXPONENTIAL_HISTOGRAM_DATA_POINT = "ExponentialHistogramDataPoint" [
        many("attributes", Kind::Message(&KEY_VALUE)),
        one("startTimeUnixNano", Fixed64),
        one("timeUnixNano", Fixed64),
        one("count", Fixed64),
        opt("sum", Double),
        one("scale", Sint32),
        one("zeroCount", Fixed64),
        one("positive", Kind::Message(&BUCKETS)),
        one("negative", Kind::Message(&BUCKETS)),
        one("flags", Uint32),
        many("exemplars", Kind::Message(&EXEMPLAR)),
        opt("min", Double),
        opt("max", Double),
        one("zeroThreshold", Double),
    ]
);
message!(
    /// The buckets of one sign.
    BUCKETS = "ExponentialHistogramDataPoint.Buckets" [one("offset", Sint32), many("bucketCounts", Uint64)]
);
message!(
    /// One summary.
    SUMMARY_DATA_POINT = "SummaryDataPoint" [
        GAP,
        one("startTimeUnixNano", Fixed64),
        one("timeUnixNano", Fixed64),
        one("count", Fixed64),
        one("sum", Double),
        many("quantileValues", Kind::Message(&VALUE_AT_QUANTILE)),
        many("attributes", Kind::Message(&KEY_VALUE)),
        one("flags", Uint32),
    ]
);
message!(
    /// One quantile.
    VALUE_AT_QUANTILE = "SummaryDataPoint.ValueAtQuantile" [one("quantile", Double), one("value", Double)]
);
message!(
    /// A measurement that stands for others; fields 3 and 6 are one `oneof`.
    EXEMPLAR = "Exemplar" [
        GAP,
        one("timeUnixNano", Fixed64),
        opt("asDouble", Double),
        one("spanId", HexId),
        one("traceId", HexId),
        opt("asInt", Sfixed64),
        many("filteredAttributes", Kind::Message(&KEY_VALUE)),
    ]
);
