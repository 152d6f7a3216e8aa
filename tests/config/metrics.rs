//! What a running daemon exposes is what the reference says.

use crate::support::daemon::{Daemon, Setup};
use crate::support::stub::{Answer, Stub};
use crate::support::wire::{self, JSON, Request};
use agentguard::service::metric_definitions;
use std::collections::BTreeMap;

const TRACES: &str = r#"{"resourceSpans": [{"scopeSpans": [{"spans": [
    {"traceId": "5b8efff798038103d269b633813fc60c", "spanId": "eee19b7ec3c1b174", "name": "a",
     "startTimeUnixNano": "1790000000000000000", "endTimeUnixNano": "1790000001000000000"}]}]}]}"#;

/// Families of a page in the classic format: name → (type, help).
fn families(page: &str) -> BTreeMap<&str, (&str, &str)> {
    let mut families: BTreeMap<&str, (&str, &str)> = BTreeMap::new();
    for line in page.lines() {
        let mut parts = line.splitn(4, ' ');
        let (hash, word) = (parts.next(), parts.next());
        let (Some("#"), Some(word), Some(name), Some(rest)) =
            (hash, word, parts.next(), parts.next())
        else {
            continue;
        };
        let family = families.entry(name).or_default();
        match word {
            "TYPE" => family.0 = rest,
            "HELP" => family.1 = rest,
            _ => {}
        }
    }
    families
}

/// R-INT-5: there is no metric without a line in the reference.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_metric_of_a_running_daemon_is_in_the_inventory() {
    // taken, refused for good, and taken at the second try: each path counts
    let stub =
        Stub::start()
            .await
            .answering([Answer::http(200), Answer::http(400), Answer::http(503)]);
    let setup = Setup::new()
        .otlphttp(stub.address(), "")
        .sections(
            "processors:\n  memory_limiter: {check_interval: 50ms, limit_percentage: 90}\n  attributes:\n    actions: [{key: a, value: 1, action: upsert}]\nconnectors:\n  agentguard: {tick_interval: 50ms}\n",
        )
        .pipelines(
            "traces:\n  receivers: [otlp]\n  processors: [memory_limiter, attributes]\n  exporters: [agentguard]\ntraces/enriched:\n  receivers: [agentguard]\n  exporters: [otlphttp]\n\
             logs:\n  receivers: [otlp]\n  exporters: [otlphttp]\nmetrics:\n  receivers: [otlp]\n  exporters: [otlphttp]\n",
        );
    let daemon = Daemon::start(&setup).await;
    for _ in 0..3 {
        let reply = wire::http(daemon.http(), Request::post("/v1/traces", JSON, TRACES)).await;
        assert_eq!(reply.status, 200, "{reply:?}");
    }
    let reply = wire::http(daemon.http(), Request::post("/v1/traces", JSON, "{")).await;
    assert_eq!(reply.status, 400, "{reply:?}");
    daemon
        .counted("otelcol_exporter_sent_spans_total", &[], 2.0)
        .await;
    daemon
        .counted("agentguard_exporter_retries_total", &[], 1.0)
        .await;
    let scrape = daemon.scrape().await;
    let families = families(scrape.text());
    assert!(families.len() > 20, "{families:#?}");
    let defined = metric_definitions();
    for (name, (kind, help)) in &families {
        let def = defined.iter().find(|def| def.name == *name);
        let def = def.unwrap_or_else(|| panic!("`{name}` is in no list of definitions"));
        assert_eq!((*kind, *help), (def.kind.as_str(), def.help), "{name}");
    }
    for name in [
        "agentguard_memory_limiter_used_bytes",
        "agentguard_exporter_dropped_spans_total",
        "agentguard_build_info",
        "agentguard_graph_spans_held",
    ] {
        assert!(
            families.contains_key(name),
            "{name} is not exposed:\n{}",
            scrape.text()
        );
    }
}
