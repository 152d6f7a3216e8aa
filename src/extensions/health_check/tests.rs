//! The extension over real sockets.

use super::*;
use crate::base::Nanos;
use crate::telemetry::ManualClock;
use crate::telemetry::health::{Reading, Status};
use crate::telemetry::task::Tasks;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

struct Bench {
    telemetry: Arc<Telemetry>,
    tasks: Tasks,
    clock: ManualClock,
    extension: HealthCheck,
}

async fn bench(config: HealthCheckConfig) -> Bench {
    let clock = ManualClock::new(Nanos(1_700_000_000_000_000_000));
    let tasks = Tasks::new();
    let telemetry = Arc::new(Telemetry::with(clock.clock(), tasks.clone()));
    let config = HealthCheckConfig {
        endpoint: "127.0.0.1:0".into(),
        ..config
    };
    let extension = HealthCheck::new(config, Arc::clone(&telemetry));
    extension.start().await.unwrap();
    Bench {
        telemetry,
        tasks,
        clock,
        extension,
    }
}

impl Bench {
    async fn text(&self, path: &str) -> (u16, String) {
        let address = self.extension.address().unwrap();
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).await.unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        (head[9..12].parse().unwrap(), body.to_owned())
    }

    async fn json(&self, path: &str) -> (u16, Value) {
        let (code, body) = self.text(path).await;
        (code, serde_json::from_str(&body).unwrap())
    }
}

/// R-ASK-10: the Collector's answer, field by field.
#[tokio::test]
async fn it_answers_as_the_collectors_extension() {
    let bench = bench(HealthCheckConfig::default()).await;
    let (code, body) = bench.json("/").await;
    assert_eq!(code, 503);
    assert_eq!(body["status"], "Server not available");
    assert_eq!(
        (&body["upSince"], &body["uptime"]),
        (&json!("0001-01-01T00:00:00Z"), &json!(""))
    );
    bench.telemetry.health().service_ready();
    bench.clock.advance(Duration::from_millis(61_500));
    let expected = json!({
        "status": "Server available", "upSince": "2023-11-14T22:13:20.000000000Z", "uptime": "1m1.5s"
    });
    assert_eq!(bench.json("/").await, (200, expected.clone()));
    assert_eq!(bench.json("/any/other?x=1").await, (200, expected));
    bench.extension.shutdown(Duration::from_secs(5)).await;
    bench.extension.shutdown(Duration::from_secs(5)).await;
    assert_eq!(bench.extension.address(), None);
}

/// R-ASK-7
#[tokio::test]
async fn a_dead_task_is_named_and_memory_touches_readiness_only() {
    let bench = bench(HealthCheckConfig::default()).await;
    let health = bench.telemetry.health();
    assert_eq!(bench.text("/live").await.0, 200, "starting is alive");
    assert_eq!(bench.text("/ready").await.0, 503);
    health.service_ready();
    assert_eq!(bench.text("/ready").await.0, 200);
    let short = || Reading::new(Status::Recoverable("memory is short".into())).not_ready();
    let probe = health.probe("processors/memory_limiter", short);
    let expected = json!({"ok": false, "causes": ["processors/memory_limiter: memory is short"]});
    assert_eq!(bench.json("/ready").await, (503, expected));
    assert_eq!(bench.text("/").await.0, 200);
    drop(probe);
    drop(
        bench
            .tasks
            .spawn("otlp queue", async { panic!("oops") })
            .await,
    );
    for path in ["/", "/live", "/ready", "/status"] {
        let (code, body) = bench.text(path).await;
        assert_eq!(code, 503, "{path}");
        assert!(
            body.contains("otlp queue: panicked: oops"),
            "{path}: {body}"
        );
    }
    bench.extension.shutdown(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn the_status_page_shows_every_component_queue_and_task() {
    let bench = bench(HealthCheckConfig::default()).await;
    let health = bench.telemetry.health();
    health.service_ready();
    let component = health.component("exporters/otlp");
    component.set(Status::Recoverable("connection refused".into()));
    let _queue = health.probe("exporters/otlp queue", || {
        Reading::ok().with_oldest(Some(Duration::from_secs(2)))
    });
    let _beat = health.heartbeat("tick", Duration::from_secs(10));
    let task = bench.tasks.spawn("shard", std::future::pending::<()>());
    let (code, body) = bench.json("/status?verbose").await;
    assert_eq!(
        (code, &body["phase"], &body["live"]["ok"]),
        (200, &json!("running"), &json!(true))
    );
    let expected = json!([
        {"kind": "component", "name": "exporters/otlp", "status": "recoverable", "message": "connection refused",
         "is_ready": true},
        {"kind": "heartbeat", "name": "tick", "status": "ok", "is_ready": true, "last_progress_seconds": 0.0},
        {"kind": "probe", "name": "exporters/otlp queue", "status": "ok", "is_ready": true, "oldest_item_seconds": 2.0},
        {"kind": "task", "name": "shard", "status": "ok", "is_ready": true},
    ]);
    assert_eq!(body["rows"], expected);
    assert!(bench.json("/status").await.1.get("rows").is_none());
    task.abort();
    bench.extension.shutdown(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn a_configured_path_and_body_are_used() {
    let body = ResponseBody {
        healthy: "fine".into(),
        unhealthy: "not fine".into(),
    };
    let config = HealthCheckConfig {
        path: "/health".into(),
        response_body: Some(body),
        ..Default::default()
    };
    let bench = bench(config).await;
    assert_eq!(bench.text("/health").await, (503, "not fine".into()));
    bench.telemetry.health().service_ready();
    assert_eq!(bench.text("/health").await, (200, "fine".into()));
    assert_eq!(bench.text("/").await.0, 404);
    assert_eq!(bench.text("/live").await.0, 200);
    bench.extension.shutdown(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn a_port_in_use_ends_the_start_with_its_address() {
    let bench = bench(HealthCheckConfig::default()).await;
    let endpoint = bench.extension.address().unwrap().to_string();
    let config = HealthCheckConfig {
        endpoint: endpoint.clone(),
        ..Default::default()
    };
    let second = HealthCheck::new(config, Arc::clone(&bench.telemetry));
    let error = second.start().await.unwrap_err();
    assert_eq!(error.to_string(), format!("cannot listen on `{endpoint}`"));
}
