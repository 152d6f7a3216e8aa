//! A real Prometheus scrapes the process's own metrics and the graph's, and what it computes of them is right.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use agentguard::otlp::Signal;
use bytes::Bytes;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;
use serde_json::Value;
use tempfile::TempDir;
use tonic::Code;

use crate::support::daemon::{Daemon, Setup};
use crate::support::process::Process;
use crate::support::wait::{PATIENCE, eventually, free_ports};
use crate::support::{capture, peers, wire};

const CAPTURE: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/examples/captures/google-adk.otlp"
);

/// An edge of the capture that has four calls in it.
const EDGE: &str = r#"traces_service_graph_request_total{client="editor",server="gemini-2.5-pro",connection_type="virtual_node"}"#;
const CALLS: f64 = 4.0;

/// How often the capture is sent, in traces of its own each time.
const ROUNDS: u8 = 6;

/// A Prometheus that scrapes every second.
struct Prometheus {
    process: Process,
    address: SocketAddr,
    _folder: TempDir,
}

impl Prometheus {
    /// One that scrapes these, once it answers; nothing when it is not installed.
    async fn start(targets: &[SocketAddr]) -> Option<Self> {
        let binary = peers::installed("Prometheus", "prometheus/prometheus")?;
        let folder = TempDir::new().unwrap();
        let targets: Vec<String> = targets.iter().map(|at| format!("\"{at}\"")).collect();
        let yaml = format!(
            "global: {{scrape_interval: 1s, scrape_timeout: 1s}}\nscrape_configs:\n  - job_name: daemon\n    \
             static_configs:\n      - targets: [{}]\n",
            targets.join(", ")
        );
        let config = folder.path().join("prometheus.yml");
        std::fs::write(&config, yaml).unwrap();
        let [address] = free_ports();
        let mut command = Command::new(binary);
        command.args([
            format!("--config.file={}", config.display()),
            format!(
                "--storage.tsdb.path={}",
                folder.path().join("tsdb").display()
            ),
            format!("--web.listen-address={address}"),
            "--enable-feature=exemplar-storage".to_owned(),
        ]);
        let process = Process::start("prometheus", &mut command, folder.path());
        eventually("Prometheus is ready", PATIENCE, || async {
            let ready = wire::Request::get("/-/ready");
            let reply = wire::try_http(address, ready).await.ok()?;
            (reply.status == 200).then_some(())
        })
        .await;
        Some(Prometheus {
            process,
            address,
            _folder: folder,
        })
    }

    async fn api(&self, path: &str, query: &str) -> Value {
        let path = format!("/api/v1/{path}{}", escaped(query));
        let reply = wire::http(self.address, wire::Request::get(&path)).await;
        let answer: Value = serde_json::from_str(&reply.text()).unwrap();
        assert_eq!(answer["status"], "success", "{path}: {answer}");
        answer["data"].clone()
    }

    /// The values that a query gives now, in no order.
    async fn values(&self, query: &str) -> Vec<f64> {
        let answer = self.api("query?query=", query).await;
        let results = answer["result"].as_array().unwrap().iter();
        results.map(|series| number(&series["value"])).collect()
    }

    /// The only series' samples of the last minutes, oldest first.
    async fn samples(&self, series: &str) -> Vec<f64> {
        let answer = self.api("query?query=", &format!("{series}[5m]")).await;
        let results = answer["result"].as_array().unwrap();
        assert_eq!(results.len(), 1, "{answer}");
        let samples = results[0]["values"].as_array().unwrap();
        samples.iter().map(number).collect()
    }

    /// Waits until a query gives this.
    async fn gives(&self, query: &str, wanted: f64) {
        eventually(&format!("{query} = {wanted}"), PATIENCE, || async {
            (self.values(query).await == [wanted]).then_some(())
        })
        .await;
    }
}

/// The number of a sample `[time, "number"]`.
fn number(sample: &Value) -> f64 {
    sample[1].as_str().unwrap().parse().unwrap()
}

fn escaped(query: &str) -> String {
    let bytes = query.bytes().map(|byte| match byte {
        byte if byte.is_ascii_alphanumeric() || b"_-.&=".contains(&byte) => {
            char::from(byte).to_string()
        }
        byte => format!("%{byte:02X}"),
    });
    bytes.collect()
}

/// The capture under other trace ids.
fn round(number: u8) -> (Vec<Bytes>, usize) {
    let mut spans = 0;
    let requests = capture::records(Path::new(CAPTURE)).into_iter();
    let requests = requests.map(|bytes| {
        let mut request = ExportTraceServiceRequest::decode(bytes).unwrap();
        let groups = request.resource_spans.iter_mut();
        for span in groups
            .flat_map(|group| &mut group.scope_spans)
            .flat_map(|scope| &mut scope.spans)
        {
            span.trace_id[0] ^= number;
            spans += 1;
        }
        Bytes::from(request.encode_to_vec())
    });
    (requests.collect(), spans)
}

/// R-INT-1: both endpoints, and a counter whose series begins while it is watched.
#[tokio::test]
async fn prometheus_scrapes_both_endpoints_and_its_rate_is_right() {
    let [graph] = free_ports();
    let setup = Setup::new()
        .sections("connectors:\n  agentguard:\n    tick_interval: 50ms\n")
        .exporter("prometheus", &format!("endpoint: {graph}"))
        .pipelines(
            "traces:\n  receivers: [otlp]\n  exporters: [agentguard]\n\
             metrics:\n  receivers: [agentguard]\n  exporters: [prometheus]\n",
        );
    let mut daemon = Daemon::start(&setup).await;
    let Some(mut prometheus) = Prometheus::start(&[daemon.metrics(), graph]).await else {
        return;
    };
    prometheus.gives("sum(up)", 2.0).await;
    let (mut sent, mut seen) = (0, 0.0);
    for number in 1..=ROUNDS {
        let (requests, spans) = round(number);
        for request in &requests {
            let reply = wire::export(daemon.grpc(), Signal::Traces, request).await;
            assert_eq!(reply.code(), Code::Ok, "{reply:?}");
        }
        (sent, seen) = (sent + spans, seen + CALLS);
        prometheus.gives(EDGE, seen).await;
    }
    let samples = prometheus.samples(EDGE).await;
    assert_eq!(samples.first(), Some(&0.0), "{samples:?}");
    assert_eq!(samples.last(), Some(&seen), "{samples:?}");
    assert!(samples.is_sorted(), "{samples:?}");
    // Prometheus extends what it saw to the window's end, by a scrape at most
    let increase = prometheus.values(&format!("rate({EDGE}[5m]) * 300")).await;
    assert!(
        matches!(increase[..], [calls] if (seen..=seen * 1.5).contains(&calls)),
        "{increase:?} for {seen}"
    );
    let accepted = "sum(otelcol_receiver_accepted_spans_total)";
    prometheus.gives(accepted, sent as f64).await;
    let slowest = r#"histogram_quantile(0.99, sum by (le) (rate(traces_service_graph_request_server_seconds_bucket[5m])))"#;
    let slowest = prometheus.values(slowest).await;
    assert!(
        matches!(slowest[..], [seconds] if seconds > 0.0 && seconds <= 3_600.0),
        "{slowest:?}"
    );
    let exemplars = prometheus
        .api("query_exemplars?start=0&end=9999999999&query=", EDGE)
        .await;
    let trace = &exemplars[0]["exemplars"][0]["labels"]["trace_id"];
    assert_eq!(trace.as_str().map(str::len), Some(32), "{exemplars}");
    let status = prometheus.process.stopped(PATIENCE).await;
    assert!(status.success(), "Prometheus ended with {status}");
    daemon.process().stopped(Duration::from_secs(20)).await;
}
