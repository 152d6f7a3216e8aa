//! The rules, span by span.

use super::testing::{Numbers, bit, int, list, text, texts};
use super::*;
use crate::otlp::{Attributes, SpanBytes};
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::trace::v1::{Span, Status, span::Event};
use prost::Message;
use std::sync::Arc;

/// What a span came to: role, node id, hint's id.
struct Seen {
    sighting: Sighting,
    node: String,
    hint: String,
}

fn see(resource: &[(&str, &str)], span: &Span) -> Result<Seen, Skip> {
    let numbers = Arc::new(Numbers::default());
    let settings = ScanSettings {
        seed: 1,
        realm_keys: vec![crate::otlp::semconv::DEPLOYMENT_ENVIRONMENT_NAME.to_owned()],
        remembered: 100,
    };
    let mut scanner = Scanner::new(&settings, Arc::clone(&numbers) as Arc<dyn Intern>);
    let resource = Span {
        attributes: texts(resource),
        ..Span::default()
    }
    .encode_to_vec();
    let origin = scanner.origin(Attributes::of(&resource, 9));
    let bytes = span.encode_to_vec();
    let scanned = scanner.scan(&origin, Scope::new(b"test"), SpanBytes::new(&bytes))?;
    let sighting = scanned.sighting;
    let id = |node| {
        if node == NO_NODE {
            String::new()
        } else {
            numbers.id(node)
        }
    };
    Ok(Seen {
        sighting,
        node: id(sighting.node),
        hint: id(sighting.hint),
    })
}

fn span(name: &str, attributes: Vec<KeyValue>) -> Span {
    Span {
        trace_id: vec![1; 16],
        span_id: vec![2; 8],
        name: name.to_owned(),
        attributes,
        ..Span::default()
    }
}

const BOT: &[(&str, &str)] = &[("service.name", "bot")];

#[track_caller]
fn is(name: &str, attributes: &[(&str, &str)], role: Role, node: &str) {
    let seen = see(BOT, &span(name, texts(attributes))).unwrap_or_else(|skip| panic!("{skip:?}"));
    assert_eq!(
        (seen.sighting.role, seen.node.as_str()),
        (role, node),
        "{name} {attributes:?}"
    );
}

/// K-20 to K-24, N-10 to N-12.
#[test]
fn genai_operations_name_agents_models_and_tools() {
    const OP: &str = "gen_ai.operation.name";
    is(
        "invoke_agent Math Tutor",
        &[(OP, "invoke_agent"), ("gen_ai.agent.name", "Math Tutor")],
        Role::Actor,
        "agent:-/math_tutor",
    );
    is(
        "invoke_agent Math Tutor",
        &[(OP, "invoke_agent")],
        Role::Actor,
        "agent:-/math_tutor",
    );
    is(
        "invoke_agent gpt-4o",
        &[(OP, "invoke_agent"), ("gen_ai.request.model", "gpt-4o")],
        Role::Actor,
        "agent:-/bot",
    );
    is(
        "invoke_agent",
        &[(OP, "invoke_agent")],
        Role::Actor,
        "agent:-/bot",
    );
    is(
        "create_agent till",
        &[(OP, "create_agent"), ("gen_ai.agent.name", "till")],
        Role::Declare,
        "agent:-/till",
    );
    is(
        "invoke_workflow editor",
        &[(OP, "invoke_workflow")],
        Role::Actor,
        "workflow:-/editor",
    );
    is(
        "chat",
        &[
            (OP, "chat"),
            ("gen_ai.system", "az.ai.openai"),
            ("gen_ai.request.model", "gpt-4o"),
        ],
        Role::Model,
        "model:azure.ai.openai/gpt-4o",
    );
    is(
        "chat",
        &[(OP, "chat"), ("gen_ai.provider.name", "strands-agents")],
        Role::Model,
        "model:unknown/unknown@bot",
    );
    is(
        "execute_tool Search",
        &[(OP, "execute_tool")],
        Role::Actor,
        "tool:bot/Search",
    );
    is(
        "x",
        &[
            (OP, "execute_tool"),
            ("gen_ai.tool.name", "find"),
            ("gen_ai.tool.type", "retriever"),
            ("traceloop.entity.name", "docs"),
        ],
        Role::Actor,
        "retriever:bot/docs",
    );
    is(
        "x",
        &[(OP, "execute_tool"), ("gen_ai.tool.name", "ask_human")],
        Role::Leaf,
        "human:-/bot",
    );
    is("x", &[(OP, "fetch_response")], Role::Neutral, "");
    is("x", &[(OP, "something_new")], Role::Neutral, "");
}

/// K-40.
#[test]
fn openinference_names_the_same_nodes() {
    const OI: &str = "openinference.span.kind";
    let model = [
        (OI, "LLM"),
        ("llm.model_name", "gpt-4o"),
        ("llm.provider", "azure"),
        ("llm.system", "openai"),
    ];
    is(
        "ChatOpenAI",
        &model,
        Role::Model,
        "model:azure.ai.openai/gpt-4o",
    );
    is(
        "Triage",
        &[(OI, "AGENT"), ("agent.name", "Triage")],
        Role::Actor,
        "agent:-/triage",
    );
    is(
        "AgentExecutor",
        &[(OI, "AGENT")],
        Role::Actor,
        "agent:-/bot",
    );
    is("LangGraph", &[(OI, "CHAIN")], Role::Neutral, "");
    is(
        "search",
        &[(OI, "TOOL"), ("tool.name", "search")],
        Role::Actor,
        "tool:bot/search",
    );
}

/// K-13, K-14, K-30, K-31.
#[test]
fn traceloop_and_pydantic_name_the_same_nodes() {
    const TL: &str = "traceloop.span.kind";
    const OP: (&str, &str) = ("gen_ai.operation.name", "invoke_agent");
    is("Head.agent", &[(TL, "agent")], Role::Actor, "agent:-/head");
    is(
        "read.tool",
        &[(TL, "tool"), ("traceloop.entity.name", "read")],
        Role::Actor,
        "tool:bot/read",
    );
    is("x.task", &[(TL, "task"), OP], Role::Neutral, "");
    is(
        "line.workflow",
        &[(TL, "workflow"), OP],
        Role::Actor,
        "workflow:-/line",
    );
    is(
        "agent run",
        &[("agent_name", "planner")],
        Role::Actor,
        "agent:-/planner",
    );
}

/// K-17.
#[test]
fn the_ai_sdk_names_the_same_nodes() {
    const AI: &str = "ai.operationId";
    is(
        "x",
        &[(AI, "ai.toolCall"), ("ai.toolCall.name", "menu")],
        Role::Actor,
        "tool:bot/menu",
    );
    let model = [
        (AI, "ai.generateText.doGenerate"),
        ("ai.model.id", "gpt-4o"),
        ("ai.model.provider", "openai.chat"),
    ];
    is("x", &model, Role::Model, "model:openai/gpt-4o");
    let named = [
        (AI, "ai.generateText"),
        ("ai.telemetry.functionId", "router"),
    ];
    is("x", &named, Role::Actor, "agent:-/router");
    is("x", &[(AI, "ai.generateText")], Role::Neutral, "");
}

/// E-10, E-11, E-13.
#[test]
fn handoffs_name_their_target_and_are_no_tools() {
    let transfer = |name, arguments| {
        let at = [
            ("gen_ai.operation.name", "execute_tool"),
            ("gen_ai.tool.name", name),
            ("gen_ai.agent.name", "Triage"),
            ("gen_ai.tool.call.arguments", arguments),
        ];
        let seen = see(BOT, &span("x", texts(&at))).unwrap_or_else(|skip| panic!("{skip:?}"));
        assert_eq!(seen.sighting.role, Role::Handoff);
        assert_eq!(seen.hint, "agent:-/triage");
        seen.node
    };
    assert_eq!(
        transfer("transfer_to_refund_agent", ""),
        "agent:-/refund_agent"
    );
    assert_eq!(
        transfer("Handoff-transfer_to_Refunds", ""),
        "agent:-/refunds"
    );
    assert_eq!(
        transfer("transfer_to_agent", r#"{"agent_name":"Refunds"}"#),
        "agent:-/refunds"
    );
    assert_eq!(transfer("transfer_to_agent", ""), "", "hidden");
    assert_eq!(
        transfer("transfer_to_agent", r#"{"agent_name":7}"#),
        "",
        "odd"
    );
}

/// N-01, N-03, R-GRA-7.
#[test]
fn resources_give_scope_and_realm() {
    let agent = span(
        "invoke_agent a",
        texts(&[("gen_ai.operation.name", "invoke_agent")]),
    );
    let node = |resource: &[(&str, &str)]| {
        see(resource, &agent)
            .map(|seen| seen.node)
            .unwrap_or_default()
    };
    assert_eq!(node(&[("service.namespace", "shop")]), "agent:shop/a");
    let bare = span("x", texts(&[("gen_ai.operation.name", "invoke_agent")]));
    let default = |resource: &[(&str, &str)]| {
        see(resource, &bare)
            .map(|seen| seen.node)
            .unwrap_or_default()
    };
    assert_eq!(
        default(&[("service.name", "unknown_service:java")]),
        "agent:-/unknown_service"
    );
    assert_eq!(
        default(&[("service.name", "s"), ("gen_ai.main_agent.name", "Nightly")]),
        "agent:-/nightly"
    );
}

/// R-GRA-7: the older key counts where the newer is absent.
#[test]
fn nodes_of_two_realms_are_two() {
    let numbers = Arc::new(Numbers::default());
    let settings = ScanSettings {
        seed: 1,
        realm_keys: vec!["deployment.environment.name".into()],
        remembered: 9,
    };
    let mut scanner = Scanner::new(&settings, Arc::clone(&numbers) as Arc<dyn Intern>);
    let mut origin = |pairs: &[(&str, &str)]| {
        let resource = Span {
            attributes: texts(pairs),
            ..Span::default()
        }
        .encode_to_vec();
        scanner.origin(Attributes::of(&resource, 9))
    };
    let old = origin(&[("service.name", "s"), ("deployment.environment", "prod")]);
    let new = origin(&[
        ("service.name", "s"),
        ("deployment.environment.name", "prod"),
        ("deployment.environment", "x"),
    ]);
    let other = origin(&[
        ("service.name", "s"),
        ("deployment.environment.name", "test"),
    ]);
    assert_eq!((old.service, &*old.realm), (new.service, "prod"));
    assert_ne!(old.service, other.service);
}

/// R-08, K-00.
#[test]
fn spans_without_ids_and_pending_spans_are_skipped() {
    let mut bad = span("x", vec![]);
    bad.span_id = vec![0; 8];
    assert_eq!(see(BOT, &bad).err(), Some(Skip::BadId));
    bad.span_id = vec![1; 7];
    assert_eq!(see(BOT, &bad).err(), Some(Skip::BadId));
    let pending = span("x", texts(&[("logfire.span_type", "pending_span")]));
    assert_eq!(see(BOT, &pending).err(), Some(Skip::Ignored));
}

/// The outcome of a span with these attributes, status code, kind and exception.
fn outcome(attributes: Vec<KeyValue>, status: i32, kind: i32, exception: Option<&str>) -> Outcome {
    let mut span = span("x", attributes);
    span.kind = kind;
    span.status = Some(Status {
        code: status,
        ..Status::default()
    });
    let event = |exception| Event {
        name: "exception".into(),
        attributes: vec![text("exception.type", exception)],
        ..Event::default()
    };
    span.events = exception.map(event).into_iter().collect();
    see(BOT, &span)
        .map(|seen| seen.sighting.outcome)
        .unwrap_or_else(|skip| panic!("{skip:?}"))
}

/// Section 7, row by row as case C-61 of the specification.
#[test]
fn outcomes_are_read() {
    let said = |key, value, status| outcome(vec![text(key, value)], status, 0, None);
    for (key, value, status, expected) in [
        ("error.type", "ValueError", 0, Outcome::Error),
        ("error.type", "ValueError", 1, Outcome::Ok),
        ("error.type", "openai.RateLimitError", 2, Outcome::Throttled),
        ("error.type", "429", 2, Outcome::Throttled),
        ("error.type", "httpx.ReadTimeout", 2, Outcome::Timeout),
        (
            "error.type",
            "asyncio.CancelledError",
            2,
            Outcome::Cancelled,
        ),
        ("error.type", "tool_error", 2, Outcome::Error),
        ("http.status_code", "503", 0, Outcome::Error),
        ("gen_ai.tool.status", "error", 0, Outcome::Error),
        ("gen_ai.task.status", "failure", 0, Outcome::Error),
        ("langfuse.observation.level", "ERROR", 0, Outcome::Error),
        (
            "guardrail_status",
            "guardrail_intervened",
            2,
            Outcome::Blocked,
        ),
        ("a2a.task.state", "TASK_STATE_FAILED", 0, Outcome::Error),
        (
            "a2a.task.state",
            "TASK_STATE_INPUT_REQUIRED",
            0,
            Outcome::Ok,
        ),
        (
            "gen_ai.response.finish_reasons",
            "['error']",
            0,
            Outcome::Error,
        ),
    ] {
        assert_eq!(said(key, value, status), expected, "{key}={value} {status}");
    }
    let reasons = |words: &[&str]| {
        outcome(
            vec![list("gen_ai.response.finish_reasons", words)],
            0,
            0,
            None,
        )
    };
    assert_eq!(reasons(&["content_filter"]), Outcome::Ok);
    assert_eq!(reasons(&["stop", "error"]), Outcome::Error);
    let flag = |key, value, status| outcome(vec![bit(key, value)], status, 0, None);
    assert_eq!(flag("gen_ai.tool.success", false, 1), Outcome::Ok);
    assert_eq!(
        flag("gen_ai.guardrail.triggered", true, 0),
        Outcome::Blocked
    );
}

/// O-06 and O-11, and the control flow of O-15.
#[test]
fn http_codes_count_by_side_and_events_do_not_fail_alone() {
    let http = |code, kind| outcome(vec![int("http.response.status_code", code)], 0, kind, None);
    assert_eq!(http(429, 3), Outcome::Throttled);
    assert_eq!(http(404, 2), Outcome::Ok);
    assert_eq!(http(504, 2), Outcome::Timeout);
    let thrown = |exception, status| outcome(vec![], status, 0, Some(exception));
    assert_eq!(thrown("langgraph.errors.ParentCommand", 2), Outcome::Ok);
    assert_eq!(thrown("KeyboardInterrupt", 2), Outcome::Error);
    assert_eq!(thrown("ValueError", 0), Outcome::Ok);
    assert_eq!(outcome(vec![], 0, 0, None), Outcome::Ok);
}

/// T-01, T-02, T-07.
#[test]
fn tokens_are_read_by_any_of_their_names() {
    let tokens = |attributes| {
        let seen = see(BOT, &span("x", attributes)).unwrap_or_else(|skip| panic!("{skip:?}"));
        (seen.sighting.tokens_in, seen.sighting.tokens_out)
    };
    assert_eq!(
        tokens(vec![
            int("gen_ai.usage.input_tokens", 3),
            int("gen_ai.usage.completion_tokens", 4)
        ]),
        (3, 4)
    );
    assert_eq!(tokens(vec![text("ai.usage.promptTokens", "5")]), (5, 0));
    assert_eq!(tokens(vec![int("gen_ai.usage.input_tokens", -1)]), (0, 0));
}

#[test]
fn a_span_that_ends_before_it_starts_lasts_no_time() {
    let mut odd = span("x", vec![]);
    (odd.start_time_unix_nano, odd.end_time_unix_nano) = (9, 3);
    let seen = see(BOT, &odd).unwrap_or_else(|skip| panic!("{skip:?}"));
    assert_eq!((seen.sighting.start, seen.sighting.end), (9, 9));
}
