//! What is scraped while captures come in order, out of order, and late.

mod findings;
mod otlp;

use super::super::{AgentGuardConfig, AgentGuardConnector, Random, metrics};
use super::labels::connection_type;
use super::*;
use crate::base::sync::{self, AtomicU64};
use crate::graph::Counts;
use crate::guard::Ticker;
use crate::guard::{Settler, Worker};
use crate::otlp::semconv;
use crate::telemetry::scrape;
use bytes::Bytes;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans};
use proptest::prelude::*;
use prost::Message;
use std::io::Write;
use std::process::{Command, Stdio};

const ADK: &[u8] = include_bytes!("../../../../../examples/captures/google-adk.otlp");
const PYDANTIC: &[u8] = include_bytes!("../../../../../examples/captures/pydantic-ai-logfire.otlp");

const RANDOM: Random = Random {
    seed: 7,
    instance: 8,
};

/// The usual settings in one realm: of the captures, one says where it was made.
fn plain() -> AgentGuardConfig {
    AgentGuardConfig {
        realm: Vec::new(),
        ..AgentGuardConfig::default()
    }
}

/// A capture, one request a span.
fn singles(mut capture: &'static [u8]) -> Vec<ExportTraceServiceRequest> {
    let mut singles = Vec::new();
    while let Some((head, rest)) = capture.split_first_chunk::<12>() {
        let len = u32::from_le_bytes([head[8], head[9], head[10], head[11]]) as usize;
        let request = ExportTraceServiceRequest::decode(&rest[..len]).unwrap();
        capture = &rest[len..];
        for group in request.resource_spans {
            for scope in &group.scope_spans {
                singles.extend(scope.spans.iter().map(|span| ExportTraceServiceRequest {
                    resource_spans: vec![ResourceSpans {
                        scope_spans: vec![ScopeSpans {
                            spans: vec![span.clone()],
                            ..scope.clone()
                        }],
                        ..group.clone()
                    }],
                }));
            }
        }
    }
    singles
}

/// Samples by everything before the value.
type Samples = BTreeMap<String, f64>;

/// A connector that a test drives by hand: its threads never start.
struct Scene {
    clock: Arc<AtomicU64>,
    connector: AgentGuardConnector,
    worker: Worker,
    settler: Settler,
    ticker: Ticker,
}

impl Scene {
    fn new(config: &AgentGuardConfig) -> Scene {
        let clock = Arc::new(AtomicU64::new(1_900_000_000_000_000_000));
        let read = Arc::clone(&clock);
        let now: super::super::Now = Arc::new(move || Nanos(read.load(sync::Ordering::Relaxed)));
        let connector = AgentGuardConnector::new(config, RANDOM, now, &[None, None, None]);
        let guard = &connector.core.guard;
        let (worker, settler, ticker) = (guard.worker(), guard.settler(), guard.ticker());
        Scene {
            clock,
            worker,
            settler,
            ticker,
            connector,
        }
    }

    fn send(&mut self, request: &ExportTraceServiceRequest) {
        let core = Arc::clone(&self.connector.core);
        let bytes = Bytes::from(request.encode_to_vec());
        let ingested = core.guard.ingest(&mut self.worker, &bytes, 1).unwrap();
        for sightings in &ingested.sightings {
            self.settler.settle(sightings, core.now());
        }
    }

    fn pass(&self, time: Duration) {
        let nanos = u64::try_from(time.as_nanos()).unwrap();
        self.clock.fetch_add(nanos, sync::Ordering::Relaxed);
    }

    fn tick(&mut self) {
        let core = &self.connector.core;
        let changes = self.settler.collect(core.now());
        core.guard.tick(&mut self.ticker, [&changes]);
    }

    fn text(&self, format: Format) -> String {
        let source: Arc<dyn MetricsSource> = Arc::clone(&self.connector.exposed) as _;
        scrape(&[source], format)
    }

    fn samples(&self) -> Samples {
        let text = self.text(Format::Classic);
        let mut samples = Samples::new();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let (series, value) = line.rsplit_once(' ').unwrap();
            let before = samples.insert(series.to_owned(), value.parse().unwrap());
            assert_eq!(before, None, "{series} stands twice");
        }
        samples
    }

    /// The graph's own sums by the labels of `request_total`: what the exposition must come to.
    fn exact(&self) -> Samples {
        let graph = &self.connector.published().graph;
        let mut exact = Samples::new();
        for edge in graph.edges().iter().filter(|edge| edge.counts.calls > 0) {
            let (from, to) = (
                &graph.node(edge.from).unwrap().record,
                &graph.node(edge.to).unwrap().record,
            );
            let kind = connection_type(edge.kind, from.key.kind, to.key.kind);
            let series = requests(&from.display, &to.display, kind);
            *exact.entry(series).or_default() += number(edge.counts.calls);
        }
        exact
    }
}

fn requests(client: &str, server: &str, connection: &str) -> String {
    format!(
        "traces_service_graph_request_total{{client=\"{client}\",server=\"{server}\",connection_type=\"{connection}\"}}"
    )
}

/// The counters of calls alone.
fn calls(samples: &Samples) -> Samples {
    let calls = samples.iter();
    let calls =
        calls.filter(|(series, _)| series.starts_with("traces_service_graph_request_total"));
    calls
        .map(|(series, value)| (series.clone(), *value))
        .collect()
}

/// A scene that has seen both captures in order.
fn seen(config: &AgentGuardConfig) -> Scene {
    let mut scene = Scene::new(config);
    for capture in [ADK, PYDANTIC] {
        for request in singles(capture) {
            scene.send(&request);
        }
    }
    scene.settler.flush();
    scene.tick();
    scene
}

/// R-INT-1, R-ASK-10: the families that Grafana reads, equal to the graph.
#[test]
fn the_first_scrape_is_the_graph() {
    let scene = seen(&plain());
    let samples = scene.samples();
    assert_eq!(calls(&samples), scene.exact());
    assert_eq!(
        samples[&requests("editor", "gemini-2.5-pro", "virtual_node")],
        4.0
    );
    let of = |family: &str, more: &str| {
        let labels = r#"client="shopper",server="price",connection_type="""#;
        samples[&format!("traces_service_graph_request_{family}{{{labels}{more}}}")]
    };
    assert_eq!(of("total", ""), 5.0);
    assert_eq!(of("failed_total", ""), 4.0);
    for side in ["server", "client"] {
        assert_eq!(of(&format!("{side}_seconds_count"), ""), 5.0);
        assert_eq!(of(&format!("{side}_seconds_bucket"), r#",le="+Inf""#), 5.0);
        assert_eq!(of(&format!("{side}_seconds_bucket"), r#",le="3600""#), 5.0);
        assert!(of(&format!("{side}_seconds_sum"), "") > 0.0);
    }
    let tokens = samples.iter().filter(|(series, value)| {
        series.starts_with("agentguard_model_tokens_total{") && **value > 0.0
    });
    assert!(tokens.count() >= 4);
    assert_eq!(
        samples[r#"agentguard_series_dropped_total{metric="traces_service_graph_request_total"}"#],
        0.0
    );
}

/// The log buckets bound the error of a histogram's: 9 % of a duration.
#[test]
fn a_call_counts_within_the_bounds_above_its_duration() {
    let bounds = [2, 10, 100, 15_000].map(Duration::from_millis);
    let mut counts = Counts::default();
    for ns in [
        1_900_000,
        2_200_000,
        9_000_000,
        11_000_000,
        14_000_000_000,
        90_000_000_000,
    ] {
        counts.latency.add(ns, 1);
    }
    assert_eq!(Calls::of(&counts, &bounds).within, [1, 3, 4, 5]);
}

/// A scene in which the same happened twice, to nodes that differ in an attribute of their resource.
fn twice(attribute: &str) -> Scene {
    let mut scene = Scene::new(&AgentGuardConfig::default());
    for (value, first) in [("a", 1), ("b", 2)] {
        for mut request in singles(ADK) {
            let group = &mut request.resource_spans[0];
            let attributes = &mut group.resource.get_or_insert_default().attributes;
            attributes.retain(|pair| pair.key != attribute);
            attributes.push(KeyValue {
                key: attribute.to_owned(),
                value: Some(AnyValue {
                    value: Some(any_value::Value::StringValue(value.to_owned())),
                }),
                ..KeyValue::default()
            });
            group.scope_spans[0].spans[0].trace_id[0] = first;
            scene.send(&request);
        }
    }
    scene.settler.flush();
    scene.tick();
    scene
}

/// Two namespaces whose nodes are shown alike.
#[test]
fn edges_whose_labels_coincide_are_summed() {
    let scene = twice(semconv::SERVICE_NAMESPACE);
    let samples = scene.samples();
    assert_eq!(
        samples[&requests("editor", "gemini-2.5-pro", "virtual_node")],
        8.0
    );
    assert_eq!(calls(&samples), scene.exact());
}

/// R-GRA-7: production and staging are told apart, and a label for it is there only when there are both.
#[test]
fn realms_are_a_label_where_there_are_several() {
    let alone = seen(&plain()).text(Format::Classic);
    assert!(!alone.contains("realm="));
    let samples = twice(semconv::DEPLOYMENT_ENVIRONMENT_NAME).samples();
    for realm in ["a", "b"] {
        let with_realm = |series: &str| series.replace('}', &format!(",realm=\"{realm}\"}}"));
        let edge = requests("editor", "gemini-2.5-pro", "virtual_node");
        assert_eq!(samples[&with_realm(&edge)], 4.0);
        let of_model = |series: &&String| {
            let model = r#"kind="model",realm="REALM",outcome="ok""#.replace("REALM", realm);
            series.starts_with("agentguard_node_calls_total{") && series.contains(&model)
        };
        assert_eq!(samples.keys().filter(of_model).count(), 2, "{realm}");
    }
    assert!(!samples.contains_key(&requests("editor", "gemini-2.5-pro", "virtual_node")));
}

#[test]
fn a_series_that_appears_between_two_scrapes_is_born_at_zero() {
    let mut scene = Scene::new(&plain());
    assert_eq!(calls(&scene.samples()).len(), 0);
    for request in singles(ADK) {
        scene.send(&request);
    }
    scene.tick();
    scene.pass(Duration::from_secs(15));
    let first = calls(&scene.samples());
    assert!(!first.is_empty() && first.values().all(|value| *value == 0.0));
    assert_eq!(calls(&scene.samples()), scene.exact());
    // nobody scrapes for a while: what comes then is shown at once, since a jump from 0 would be taken for a rate
    for request in singles(PYDANTIC) {
        scene.send(&request);
    }
    scene.tick();
    scene.pass(FORGOTTEN);
    assert_eq!(calls(&scene.samples()), scene.exact());
}

#[test]
fn kinds_are_labels_where_they_are_asked_for_and_series_are_bounded() {
    let scene = seen(&AgentGuardConfig {
        client_kind: true,
        server_kind: true,
        max_series: 1_000,
        ..plain()
    });
    let samples = scene.samples();
    assert!(samples.len() <= 1_000, "{}", samples.len());
    let calls = calls(&samples);
    assert_eq!(calls.len(), 1 + scene.connector.exposed.limits.edges);
    let total: f64 = calls.values().sum();
    assert_eq!(total, scene.exact().values().sum::<f64>(), "none is lost");
    assert!(
        calls
            .keys()
            .any(|series| { series.contains(r#"client_kind="agent",server_kind="model""#) })
    );
    assert!(
        calls
            .keys()
            .any(|series| series.contains(r#"client="_other""#))
    );
    let dropped =
        samples[r#"agentguard_series_dropped_total{metric="traces_service_graph_request_total"}"#];
    assert_eq!(
        dropped,
        number(i64::try_from(scene.exact().len() - calls.len() + 1).unwrap())
    );
}

/// The bound holds for any number of buckets, whatever the graph: each family's sets, one for all others, and the few.
#[test]
fn the_limits_add_up_to_the_bound() {
    for max_series in [1_000, 4_321, 500_000, 1 << 24] {
        for bounds in [1, 23, 64] {
            let limits = Limits::new(max_series, bounds);
            let edges = (limits.edges + 1) * (5 + 2 * (bounds + 3) - 2);
            let nodes = (limits.nodes + 1) * Limits::OF_A_NODE;
            let models = (limits.models + 1) * Limits::OF_A_MODEL;
            let all = edges + nodes + models + Limits::FEW;
            assert!(all <= max_series, "{max_series} {bounds}: {all}");
            assert!(all * 10 >= max_series * 7, "{max_series} {bounds}: {all}");
        }
    }
}

/// The inventory, which the documentation is made from, is what is scraped.
#[test]
fn every_family_is_in_the_inventory_under_a_proper_name() {
    let text = seen(&plain()).text(Format::Classic);
    let families = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    let families: Vec<_> = families
        .map(|family| family.split_once(' ').unwrap().0)
        .collect();
    let mut inventory: Vec<_> = metrics::EXPOSED.iter().map(|def| def.name).collect();
    inventory.push(SERIES_DROPPED.name);
    assert_eq!(families, inventory);
    let problems: Vec<_> = metrics::EXPOSED
        .iter()
        .flat_map(|def| def.problems())
        .collect();
    assert!(problems.is_empty(), "{problems:?}");
}

/// Calls below a parent that has not come: a gauge, bounded like the rest.
#[test]
fn provisional_calls_are_a_gauge_and_no_requests() {
    let config = AgentGuardConfig {
        max_series: 1_000,
        ..plain()
    };
    let mut scene = Scene::new(&config);
    for mut request in singles(ADK) {
        // a parent of its own for each, which never comes
        let span = &mut request.resource_spans[0].scope_spans[0].spans[0];
        span.parent_span_id = span.span_id.iter().map(|byte| !byte).collect();
        scene.send(&request);
    }
    scene.tick();
    let samples = scene.samples();
    let provisional: Vec<_> = samples
        .iter()
        .filter(|(series, _)| series.starts_with(PROVISIONAL.name))
        .collect();
    let room = scene.connector.exposed.limits.edges;
    assert_eq!(provisional.len(), room + 1, "{provisional:?}");
    let graph = &scene.connector.published().graph;
    let exact: i64 = graph
        .edges()
        .iter()
        .map(|edge| edge.counts.provisional)
        .sum();
    assert!(exact > 2);
    assert_eq!(
        provisional.iter().map(|(_, n)| **n).sum::<f64>(),
        number(exact)
    );
    assert_eq!(calls(&samples), Samples::new());
}

#[test]
fn every_label_is_announced_to_exporters() {
    let scene = seen(&AgentGuardConfig {
        client_kind: true,
        server_kind: true,
        ..plain()
    });
    let realms = twice(semconv::DEPLOYMENT_ENVIRONMENT_NAME).samples();
    for series in scene.samples().keys().chain(realms.keys()) {
        let Some((_, labels)) = series.split_once('{') else {
            continue;
        };
        let labels = labels.trim_end_matches('}');
        for label in labels
            .split("\",")
            .filter_map(|pair| pair.split_once("=\""))
        {
            let is_known = LABELS.contains(&label.0) || label.0 == "le";
            assert!(is_known, "{}", label.0);
        }
    }
}

/// Prometheus's own judge.
#[test]
#[allow(clippy::print_stdout, reason = "a test says what it skips")]
#[allow(clippy::disallowed_methods, reason = "a test runs another program")]
fn promtool_finds_nothing() {
    let scene = seen(&plain());
    let promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut promtool = match promtool {
        Ok(promtool) => promtool,
        Err(error) => return println!("skipped: promtool: {error}"),
    };
    let text = scene.text(Format::Classic);
    let mut stdin = promtool.stdin.take().unwrap();
    stdin.write_all(text.as_bytes()).unwrap();
    drop(stdin);
    let said = promtool.wait_with_output().unwrap();
    assert!(
        said.status.success() && said.stderr.is_empty(),
        "{}{}",
        String::from_utf8_lossy(&said.stdout),
        String::from_utf8_lossy(&said.stderr)
    );
}

#[test]
fn openmetrics_has_a_trace_behind_each_edge() {
    let scene = seen(&plain());
    let text = scene.text(Format::OpenMetrics);
    let edges = scene.exact().len();
    assert_eq!(text.matches(" # {trace_id=\"").count(), edges);
    assert!(text.contains("# UNIT traces_service_graph_request_server_seconds seconds\n"));
    assert!(text.ends_with("# EOF\n"));
}

/// D4, the case for which counters are kept: calls counted from a fallback source move when their parent comes after all.
#[test]
fn a_call_that_moves_raises_its_true_edge_and_lowers_none() {
    let mut scene = Scene::new(&plain());
    let mut before = Samples::new();
    // as exported: a span comes after those below it
    for mut request in singles(ADK) {
        scene.send(&request);
        request.resource_spans[0].scope_spans[0].spans[0].trace_id[0] ^= 0xff;
        scene.send(&request);
        scene.pass(Duration::from_secs(61));
        scene.tick();
        for _ in 0..2 {
            let now = calls(&scene.samples());
            assert!(before.iter().all(|(series, showed)| now[series] >= *showed));
            before = now;
        }
    }
    let exact = scene.exact();
    assert!(exact.iter().all(|(series, calls)| before[series] >= *calls));
    let too_many: Vec<_> = before
        .iter()
        .filter(|(series, showed)| exact.get(*series).is_none_or(|calls| calls < showed))
        .collect();
    let most = too_many.iter().max_by(|a, b| a.1.total_cmp(b.1));
    // calls that stay on the wrong edge, each alone in its trace: shown once the debt is paid
    let (debtor, showed) = *most.expect("a call that moved");
    assert!(*showed >= 2.0, "{debtor}: {showed}");
    for (at, mut request) in (1..).zip(singles(ADK).into_iter().cycle().take(500)) {
        let trace = &mut request.resource_spans[0].scope_spans[0].spans[0].trace_id;
        *trace = [u32::to_be_bytes(at); 4].concat();
        scene.send(&request);
        scene.pass(Duration::from_secs(61));
        scene.tick();
        let is_shown = calls(&scene.samples())[debtor];
        let is_true = scene.exact().get(debtor).copied().unwrap_or(0.0);
        assert_eq!(is_shown, is_true.max(*showed));
        if is_true > *showed {
            return;
        }
    }
    panic!("{debtor} never came to what it showed");
}

/// When something happens in a run: after how many spans, and whether parents are given up then.
type Stops = Vec<(usize, bool)>;

fn orders() -> impl Strategy<Value = (Vec<ExportTraceServiceRequest>, Stops)> {
    let all: Vec<_> = [ADK, PYDANTIC].into_iter().flat_map(singles).collect();
    let spans = all.len();
    let stops = prop::collection::vec((0..spans, any::<bool>()), 1..12);
    (Just(all).prop_shuffle(), stops)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// D4: counters never fall, though parents come late and calls move to other edges; and what they show is the most that
    /// the graph said at a scrape.
    #[test]
    fn no_counter_falls_when_parents_come_late((requests, stops) in orders()) {
        let mut scene = Scene::new(&plain());
        let mut before = scene.samples();
        let mut most = Samples::new();
        let last = requests.len();
        for (at, request) in requests.iter().enumerate() {
            scene.send(request);
            if at + 1 == last {
                scene.settler.flush();
            }
            let stop = stops.iter().find(|(stop, _)| *stop == at);
            if at + 1 != last && stop.is_none() {
                continue;
            }
            if stop.is_some_and(|(_, gives_up)| *gives_up) {
                scene.pass(Duration::from_secs(61));
            }
            scene.tick();
            let exact = scene.exact();
            for (series, calls) in &exact {
                let most = most.entry(series.clone()).or_insert(0.0);
                *most = calls.max(*most);
            }
            // the first scrape shows new series at 0, the second what they are
            for _ in 0..2 {
                let now = scene.samples();
                for (series, showed) in &before {
                    let family = series.split('{').next().unwrap_or(series);
                    let is_counter = ["_total", "_count", "_sum", "_bucket"]
                        .iter()
                        .any(|end| family.ends_with(end));
                    if is_counter {
                        let shows = now.get(series);
                        prop_assert!(shows.is_some_and(|shows| shows >= showed), "{series}: {showed} {shows:?}");
                    }
                }
                before = now;
            }
            let shown = calls(&before);
            prop_assert_eq!(&shown, &most);
            for (series, count) in &shown {
                let of = |family: &str| before[&series.replace("request_total", family)];
                prop_assert_eq!(of("request_server_seconds_count"), *count);
                prop_assert!(of("request_failed_total") <= *count);
            }
        }
    }
}
