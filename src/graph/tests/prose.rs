//! The cases that the conventions tell in prose (C-90 to C-98), where no graph alone shows them.

use super::vectors::{group, request};
use super::*;
use crate::guard::{GuardSettings, scan};
use serde_json::{Value, json};

/// By node: tokens read, tokens written, and cost in thousandths of a dollar.
fn spent(spans: &[Value]) -> Vec<(String, i64, i64, i64)> {
    let groups: Vec<_> = spans
        .iter()
        .map(|span| group(&json!({"svc": "bot"}), span))
        .collect();
    let graph = &scan(GuardSettings::default(), [request(&groups)])
        .snapshot
        .graph;
    graph
        .nodes()
        .iter()
        .map(|row| {
            let (name, counts) = (row.record.id.to_string(), &row.counts);
            (
                name,
                counts.tokens_in,
                counts.tokens_out,
                counts.cost / 1_000_000,
            )
        })
        .filter(|(_, read, written, cost)| read + written + cost > 0)
        .collect()
}

fn model(id: &str, parent: &str, more: &Value) -> Value {
    let mut at = json!({"gen_ai.operation.name": "chat", "gen_ai.request.model": "gpt-4o"});
    for (key, value) in more.as_object().unwrap() {
        at[key] = value.clone();
    }
    json!({"id": id, "p": parent, "n": "chat", "at": at})
}

const MODEL: &str = "model:openai/gpt-4o";
const IN: &str = "gen_ai.usage.input_tokens";
const OUT: &str = "gen_ai.usage.output_tokens";

/// C-90.
#[test]
fn a_count_may_be_written_as_text_and_what_is_no_count_is_absent() {
    for (written, read) in [("120", 120), ("12.5", 0), ("x", 0)] {
        let spans = [model("a", "", &json!({IN: written, OUT: 1}))];
        assert_eq!(spent(&spans), [(MODEL.to_owned(), read, 1, 0)], "{written}");
    }
}

/// C-91.
#[test]
fn tokens_of_a_call_told_of_twice_count_once() {
    let inner = model("b", "a", &json!({IN: 100, OUT: 20}));
    for outer in [json!({}), json!({IN: 0, OUT: 0}), json!({IN: 100, OUT: 20})] {
        let spans = [model("a", "", &outer), inner.clone()];
        assert_eq!(spent(&spans), [(MODEL.to_owned(), 100, 20, 0)], "{outer}");
    }
}

/// C-92.
#[test]
fn an_agents_sum_counts_where_no_model_below_says_its_own() {
    let agent = json!({"id": "a", "n": "invoke_agent boss", "at":
        {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "boss", IN: 900}});
    let alone = [agent.clone(), model("b", "a", &json!({}))];
    assert_eq!(spent(&alone), [("agent:-/boss".to_owned(), 900, 0, 0)]);
    let with_models = [
        agent,
        model("b", "a", &json!({IN: 500})),
        model("c", "a", &json!({IN: 400})),
    ];
    assert_eq!(spent(&with_models), [(MODEL.to_owned(), 900, 0, 0)]);
}

/// C-93.
#[test]
fn cached_tokens_are_among_those_read() {
    let said = json!({IN: 100, OUT: 20, "gen_ai.usage.cache_read.input_tokens": 80});
    let spans = [model("a", "", &said)];
    assert_eq!(spent(&spans), [(MODEL.to_owned(), 100, 20, 0)]);
}

/// C-94.
#[test]
fn a_cost_is_the_whole_as_said_first_else_the_sum_of_its_parts() {
    let parts = json!({"llm.cost.prompt": "0.01", "llm.cost.completion": "0.02"});
    let wholes = json!({"operation.cost": "0.5", "gen_ai.usage.cost": "0.4"});
    for (said, cost) in [(parts, 30), (wholes, 400)] {
        let spans = [model("a", "", &said)];
        assert_eq!(spent(&spans), [(MODEL.to_owned(), 0, 0, cost)], "{said}");
    }
}

/// C-96: a server that was known by its address is the one that answers there.
#[test]
fn an_mcp_server_that_answers_late_takes_the_place_of_its_address() {
    let mut scene = scene(100);
    let address = scene.node(NodeKind::McpServer, "host:8080");
    let client = Sighting {
        role: Role::McpClient,
        span_kind: 3,
        peer: address,
        flags: Flags::PEER_BY_ADDRESS,
        ..scene.span(2, 1, NodeKind::Tool, "forecast")
    };
    scene.pair(&[scene.span(1, 0, NodeKind::Agent, "a"), client]);
    scene.shard.expire(Nanos(13 * SECOND));
    let before = [
        "agent:-/a -uses_tool-> tool:-/forecast x1",
        "tool:-/forecast -mcp_call-> mcp_server:-/host:8080 x1",
    ];
    assert_eq!(scene.edges(), before);
    let server = Sighting {
        role: Role::McpServer,
        service: scene.node(NodeKind::Service, "weather-mcp"),
        ..scene.span(3, 2, NodeKind::McpServer, "weather-mcp")
    };
    scene.pair(&[server]);
    let after = [
        "agent:-/a -uses_tool-> tool:-/forecast x1",
        "tool:-/forecast -mcp_call-> mcp_server:-/weather-mcp x1",
    ];
    assert_eq!(scene.settled(), after);
}

/// C-98.
#[test]
fn agents_named_anew_in_every_run_are_one() {
    let run = |number: u32| {
        let name = format!("job-{number:08x}-1111-4222-8333-944455556666");
        let at = json!({"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": name});
        json!({"id": format!("{number:08}"), "n": "invoke_agent", "at": at})
    };
    let groups: Vec<_> = (0..10_000)
        .map(|number| group(&json!({"svc": "bot"}), &run(number)))
        .collect();
    let graph = &scan(GuardSettings::default(), [request(&groups)])
        .snapshot
        .graph;
    let ids: Vec<_> = graph
        .nodes()
        .iter()
        .map(|row| row.record.id.to_string())
        .collect();
    assert_eq!(ids, ["agent:-/job"]);
}
