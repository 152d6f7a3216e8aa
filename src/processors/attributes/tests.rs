//! The processor before a consumer that keeps what it is given.

use super::*;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{
    Gauge, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics,
};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use parking_lot::Mutex;
use proptest::prelude::*;
use prost::Message;
use serde_json::json;

#[derive(Default)]
struct Keep(Mutex<Vec<Batch>>);

impl Consumer for Keep {
    fn reserve(&self, batch: Batch, _reservation: &mut Reservation) -> Result<(), Verdict> {
        self.0.lock().push(batch);
        Ok(())
    }
}

fn config(actions: serde_json::Value) -> AttributesConfig {
    serde_json::from_value(json!({ "actions": actions })).unwrap()
}

/// What the processor makes of a batch.
fn processed(actions: serde_json::Value, signal: Signal, bytes: Vec<u8>) -> Result<Bytes, Verdict> {
    through(&config(actions), signal, bytes)
}

fn through(config: &AttributesConfig, signal: Signal, bytes: Vec<u8>) -> Result<Bytes, Verdict> {
    let next = Arc::new(Keep::default());
    let processor = AttributesProcessor::build(config, next.clone()).unwrap();
    let batch = Batch {
        signal,
        bytes: Bytes::from(bytes),
        items: 1,
    };
    processor.reserve(batch, &mut Reservation::default())?;
    let mut kept = next.0.lock();
    assert_eq!(kept.len(), 1);
    Ok(kept.remove(0).bytes)
}

fn attribute(key: &str, value: Value) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue { value: Some(value) }),
        key_strindex: 0,
    }
}

fn text(key: &str, value: &str) -> KeyValue {
    attribute(key, Value::StringValue(value.to_owned()))
}

fn of_span(attributes: Vec<KeyValue>) -> Vec<u8> {
    let span = Span {
        name: "work".to_owned(),
        attributes,
        ..Span::default()
    };
    let scope_spans = vec![ScopeSpans {
        spans: vec![span],
        ..ScopeSpans::default()
    }];
    ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            scope_spans,
            ..ResourceSpans::default()
        }],
    }
    .encode_to_vec()
}

/// A span's attributes after the actions.
fn after(actions: serde_json::Value, attributes: Vec<KeyValue>) -> Vec<KeyValue> {
    let bytes = processed(actions, Signal::Traces, of_span(attributes)).unwrap();
    let mut request = ExportTraceServiceRequest::decode(bytes).unwrap();
    let span = &mut request.resource_spans[0].scope_spans[0].spans[0];
    assert_eq!(span.name, "work");
    std::mem::take(&mut span.attributes)
}

#[test]
fn insert_writes_only_where_the_key_is_missing() {
    let insert = json!([{ "key": "env", "value": "prod", "action": "insert" }]);
    assert_eq!(after(insert.clone(), vec![]), [text("env", "prod")]);
    assert_eq!(
        after(insert, vec![text("env", "test")]),
        [text("env", "test")]
    );
}

#[test]
fn update_writes_only_where_the_key_is_present() {
    let update = json!([{ "key": "env", "value": 7, "action": "UPDATE" }]);
    assert_eq!(after(update.clone(), vec![]), []);
    assert_eq!(
        after(
            update,
            vec![text("a", "b"), text("env", "test"), text("c", "d")]
        ),
        [
            text("a", "b"),
            attribute("env", Value::IntValue(7)),
            text("c", "d")
        ]
    );
}

#[test]
fn upsert_writes_in_any_case_and_values_keep_their_type() {
    for (value, expected) in [
        (json!(true), Value::BoolValue(true)),
        (json!(-3), Value::IntValue(-3)),
        (json!(0.5), Value::DoubleValue(0.5)),
        (json!("5"), Value::StringValue("5".to_owned())),
    ] {
        let upsert = json!([{ "key": "k", "value": value, "action": "upsert" }]);
        for before in [vec![], vec![text("k", "old")]] {
            assert_eq!(
                after(upsert.clone(), before),
                [attribute("k", expected.clone())]
            );
        }
    }
}

#[test]
fn delete_removes_every_attribute_of_the_key() {
    let delete = json!([{ "key": "secret", "action": "delete" }]);
    let before = vec![text("secret", "1"), text("a", "b"), text("secret", "2")];
    assert_eq!(after(delete.clone(), before), [text("a", "b")]);
    assert_eq!(after(delete, vec![text("a", "b")]), [text("a", "b")]);
}

#[test]
fn a_value_of_another_attribute_is_copied_whatever_its_type() {
    let copy = json!([{ "key": "to", "from_attribute": "from", "action": "upsert" }]);
    let from = attribute("from", Value::BytesValue(vec![1, 2, 0xff]));
    let to = attribute("to", Value::BytesValue(vec![1, 2, 0xff]));
    assert_eq!(
        after(copy.clone(), vec![from.clone()]),
        [from.clone(), to.clone()]
    );
    assert_eq!(
        after(copy.clone(), vec![text("to", "old"), from.clone()]),
        [to, from]
    );
    // nothing to copy: nothing is done
    assert_eq!(after(copy, vec![text("to", "old")]), [text("to", "old")]);
}

/// As in the Collector: the second action reads what the first wrote, and so on.
#[test]
fn actions_see_what_earlier_ones_did() {
    let rename = json!([
        { "key": "new", "from_attribute": "old", "action": "insert" },
        { "key": "old", "action": "delete" },
    ]);
    assert_eq!(
        after(rename, vec![text("old", "x"), text("b", "y")]),
        [text("b", "y"), text("new", "x")]
    );
    let chain = json!([
        { "key": "a", "value": "1", "action": "insert" },
        { "key": "b", "from_attribute": "a", "action": "insert" },
        { "key": "a", "action": "delete" },
        { "key": "a", "value": "2", "action": "update" },
        { "key": "b", "value": "3", "action": "insert" },
    ]);
    assert_eq!(after(chain.clone(), vec![]), [text("b", "1")]);
    assert_eq!(after(chain, vec![text("a", "0")]), [text("b", "0")]);
    let back = json!([
        { "key": "a", "action": "delete" },
        { "key": "a", "value": "new", "action": "insert" },
    ]);
    assert_eq!(after(back, vec![text("a", "0")]), [text("a", "new")]);
}

/// A mask put in the place of a secret must not leave a second secret behind it.
#[test]
fn delete_and_insert_leave_one_attribute_of_a_key_that_came_twice() {
    let mask = json!([
        { "key": "secret", "action": "delete" },
        { "key": "secret", "value": "***", "action": "insert" },
    ]);
    let before = vec![text("secret", "1"), text("a", "b"), text("secret", "2")];
    assert_eq!(after(mask, before), [text("secret", "***"), text("a", "b")]);
    // also where the first one's own value comes back
    let there_and_back = json!([
        { "key": "b", "from_attribute": "a", "action": "insert" },
        { "key": "a", "action": "delete" },
        { "key": "a", "from_attribute": "b", "action": "insert" },
    ]);
    let before = vec![text("a", "1"), text("a", "2")];
    assert_eq!(
        after(there_and_back, before),
        [text("a", "1"), text("b", "1")]
    );
}

/// The actions one by one on a list, as the Collector's documentation has them.
fn one_by_one(actions: &[ActionConfig], attributes: &mut Vec<KeyValue>) {
    for action in actions {
        let first = |key: &str| attributes.iter().position(|a| a.key == key);
        let place = first(&action.key);
        let value = match (&action.value, &action.from_attribute) {
            (Some(AttributeValue::Str(value)), _) => Some(text(&action.key, value)),
            (_, Some(from)) => first(from).map(|from| KeyValue {
                key: action.key.clone(),
                ..attributes[from].clone()
            }),
            _ => None,
        };
        match (action.action.as_str(), place, value) {
            ("delete", _, _) => attributes.retain(|a| a.key != action.key),
            ("insert" | "upsert", None, Some(value)) => attributes.push(value),
            ("update" | "upsert", Some(place), Some(value)) => attributes[place] = value,
            _ => {}
        }
    }
}

fn any_action() -> impl Strategy<Value = ActionConfig> {
    let key = || prop::sample::select(vec!["a", "b", "c", "dd"]);
    let deed = prop::sample::select(vec!["insert", "update", "upsert", "delete"]);
    (key(), deed, prop::option::of(key()), 0..3i64).prop_map(|(key, deed, from, value)| {
        let is_write = deed != "delete";
        ActionConfig {
            key: key.to_owned(),
            action: deed.to_owned(),
            value: (is_write && from.is_none()).then(|| AttributeValue::Str(value.to_string())),
            from_attribute: from.filter(|_| is_write).map(str::to_owned),
            ..ActionConfig::default()
        }
    })
}

proptest! {
    #[test]
    fn actions_come_to_what_they_do_one_by_one(
        actions in prop::collection::vec(any_action(), 1..8),
        keys in prop::collection::vec(prop::sample::select(vec!["a", "b", "c", "dd", "e"]), 0..6),
    ) {
        let before: Vec<_> = keys
            .iter()
            .enumerate()
            .map(|(n, key)| text(key, &format!("own {n}")))
            .collect();
        let config = AttributesConfig { actions, ..AttributesConfig::default() };
        let bytes = through(&config, Signal::Traces, of_span(before.clone())).unwrap();
        let request = ExportTraceServiceRequest::decode(bytes).unwrap();
        let after = &request.resource_spans[0].scope_spans[0].spans[0].attributes;
        let mut expected = before;
        one_by_one(&config.actions, &mut expected);
        // what was added may stand in another order
        let sorted = |attributes: &[KeyValue]| {
            let mut lines: Vec<_> = attributes.iter().map(|a| format!("{a:?}")).collect();
            lines.sort();
            lines
        };
        prop_assert_eq!(sorted(after), sorted(&expected));
    }
}

#[test]
fn what_the_actions_do_not_touch_is_the_same_memory() {
    let actions = json!([{ "key": "absent", "action": "delete" }]);
    let bytes = of_span(vec![text("a", "b")]);
    let place = bytes.as_ptr();
    let passed = processed(actions, Signal::Traces, bytes).unwrap();
    assert_eq!(passed.as_ptr(), place);
}

#[test]
fn log_records_are_edited() {
    let request = ExportLogsServiceRequest {
        resource_logs: vec![ResourceLogs {
            scope_logs: vec![ScopeLogs {
                log_records: vec![LogRecord::default()],
                ..ScopeLogs::default()
            }],
            ..ResourceLogs::default()
        }],
    };
    let insert = json!([{ "key": "k", "value": "v", "action": "insert" }]);
    let bytes = processed(insert, Signal::Logs, request.encode_to_vec()).unwrap();
    let request = ExportLogsServiceRequest::decode(bytes).unwrap();
    let record = &request.resource_logs[0].scope_logs[0].log_records[0];
    assert_eq!(record.attributes, [text("k", "v")]);
}

#[test]
fn data_points_are_edited() {
    let gauge = Gauge {
        data_points: vec![NumberDataPoint::default()],
    };
    let request = ExportMetricsServiceRequest {
        resource_metrics: vec![ResourceMetrics {
            scope_metrics: vec![ScopeMetrics {
                metrics: vec![Metric {
                    data: Some(Data::Gauge(gauge)),
                    ..Metric::default()
                }],
                ..ScopeMetrics::default()
            }],
            ..ResourceMetrics::default()
        }],
    };
    let insert = json!([{ "key": "k", "value": "v", "action": "insert" }]);
    let bytes = processed(insert, Signal::Metrics, request.encode_to_vec()).unwrap();
    let request = ExportMetricsServiceRequest::decode(bytes).unwrap();
    let data = request.resource_metrics[0].scope_metrics[0].metrics[0]
        .data
        .clone();
    assert!(
        matches!(data, Some(Data::Gauge(g)) if g.data_points[0].attributes == [text("k", "v")])
    );
}

#[test]
fn what_cannot_be_edited_is_refused_for_good() {
    let insert = json!([{ "key": "k", "value": "v", "action": "insert" }]);
    let verdict = processed(insert, Signal::Traces, vec![0x0a, 0x05, 1]).unwrap_err();
    assert!(matches!(verdict, Verdict::Permanent { .. }), "{verdict}");
}

#[test]
fn every_mistake_is_told_with_its_place() {
    let config: AttributesConfig = serde_json::from_value(json!({
        "include": { "match_type": "strict" },
        "actions": [
            { "key": "a", "action": "hash" },
            { "action": "delete" },
            { "key": "a", "action": "insert" },
            { "key": "a", "action": "upsert", "value": 1, "from_attribute": "b" },
            { "key": "a", "action": "delete", "value": 1 },
            { "key": "a", "action": "update", "value": 1, "pattern": "x" },
            { "key": "a" },
            { "key": "a", "action": "update", "value": 1 },
        ],
    }))
    .unwrap();
    let told: Vec<String> = config.mistakes().iter().map(Mistake::to_string).collect();
    assert_eq!(
        told,
        [
            "`include`: is not supported; the actions apply to every item",
            "`actions[0].action`: `hash` is not supported; one of insert, update, upsert, delete",
            "`actions[1].key`: is missing; name the attribute to act on",
            "`actions[2].value`: is missing; give `value` or `from_attribute`",
            "`actions[3].from_attribute`: stands beside `value`; give one of them",
            "`actions[4].action`: `delete` takes no value",
            "`actions[5].pattern`: is not supported; use `value` or `from_attribute`",
            "`actions[6].action`: is missing; one of insert, update, upsert, delete",
        ]
    );
    let none = AttributesConfig::default().mistakes();
    assert_eq!(
        none[0].to_string(),
        "`actions`: is missing; give at least one action"
    );
    let many: Vec<_> = (0..65)
        .map(|n| json!({ "key": format!("k{n}"), "action": "delete" }))
        .collect();
    assert_eq!(super::tests::config(json!(many)).mistakes().len(), 1);
    assert_eq!(super::tests::config(json!(many[..64])).mistakes().len(), 0);
}
