//! Sections as Collector users write them, and what is said about wrong ones.

use super::*;
use crate::base::{ByteSize, Problems, Secret};
use crate::config::{Document, Env};
use serde::Deserialize;
use std::io;
use std::time::Duration;

fn document(text: &str) -> Document {
    let env = Env {
        var: &|_| None,
        file: &|_| Err(io::ErrorKind::NotFound.into()),
    };
    let (document, problems) = Document::load(&[format!("yaml:{text}")], &env);
    assert!(problems.is_empty(), "{problems}");
    document
}

/// An exporter's own keys.
#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
struct Delivery {
    sending_queue: QueueConfig,
    retry_on_failure: RetryConfig,
}

#[test]
fn an_exporter_of_a_collector_user_is_read() {
    let document = document(
        "endpoint: https://collector:4317\ntls: {insecure: true, ca_file: ''}\nheaders:\n  - {name: X-Tenant, value: 7}\n\
         compression: zstd\ntimeout: 10s\nwait_for_ready: true\nsending_queue:\n  storage: ~\n  num_consumers: 2\n\
         \x20 sizer: bytes\n  queue_size: 100000\n  batch:\n    partition: {metadata_keys: [x]}\nretry_on_failure:\n\
         \x20 max_elapsed_time: 0\n  multiplier: 2",
    );
    let mut problems = Problems::new();
    let parsed = document
        .root()
        .parse_flat::<Delivery, GrpcClientConfig>(&[], &mut problems);
    let (delivery, client) = parsed.expect("it is well formed");
    assert_eq!(client.timeout, Duration::from_secs(10));
    assert_eq!(client.compression, Compression::Zstd);
    assert_eq!(
        client.headers.iter().collect::<Vec<_>>(),
        [("x-tenant", &Secret::new("7"))]
    );
    assert_eq!(
        delivery.retry_on_failure,
        RetryConfig {
            max_elapsed_time: Duration::ZERO,
            multiplier: 2.0,
            ..RetryConfig::default()
        }
    );
    assert_eq!(
        delivery.sending_queue,
        QueueConfig {
            num_consumers: 2,
            sizer: Sizer::Bytes,
            queue_size: 100_000,
            batch: Some(BatchConfig::default()),
            ..QueueConfig::default()
        }
    );
    assert_eq!(delivery.sending_queue.batch_sizer(), Sizer::Bytes);
    let warned: Vec<&str> = problems
        .warnings()
        .iter()
        .map(|p| p.place.key.as_str())
        .collect();
    assert_eq!(
        (problems.has_errors(), warned),
        (
            false,
            vec!["wait_for_ready", "sending_queue::batch::partition"]
        )
    );
    let root = document.root();
    client.validate(&root, &mut problems);
    delivery
        .sending_queue
        .validate(&root.at("sending_queue"), &mut problems);
    delivery
        .retry_on_failure
        .validate(&root.at("retry_on_failure"), &mut problems);
    let said: Vec<&str> = problems
        .errors()
        .iter()
        .map(|p| p.place.key.as_str())
        .collect();
    assert_eq!(said, ["endpoint"], "{problems}");
}

/// The `otlp` receiver's protocols.
#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
struct Protocols {
    grpc: Option<GrpcServerConfig>,
    http: Option<HttpServerConfig>,
}

#[test]
fn protocols_without_keys_are_on_with_their_defaults() {
    let mut problems = Problems::new();
    let protocols: Option<Protocols> = document("grpc:\nhttp:").root().parse(&[], &mut problems);
    let protocols = protocols.expect("nothing is wrong");
    assert_eq!(protocols.grpc, Some(GrpcServerConfig::default()));
    assert_eq!(protocols.http, Some(HttpServerConfig::default()));
    let only: Option<Protocols> = document("http:").root().parse(&[], &mut problems);
    assert!(only.is_some_and(|p| p.grpc.is_none()));
    assert!(problems.is_empty(), "{problems}");
}

#[test]
fn a_receiver_of_a_collector_user_is_read() {
    let document = document(
        "grpc:\n  endpoint: 0.0.0.0:4317\n  max_recv_msg_size_mib: 16\n  include_metadata: true\n  keepalive:\n\
         \x20   server_parameters: {max_connection_age: 11m, time: 30s}\n    enforcement_policy: {min_time: 5s}\n\
         http:\n  endpoint: ':4318'\n  max_request_body_size: 20971520\n  cors: {allowed_origins: ['https://*.x'], max_age: 7200}\n\
         \x20 compression_algorithms: ['', gzip, snappy]\n  response_headers: {x-a: b}",
    );
    let mut problems = Problems::new();
    let protocols: Protocols = document
        .root()
        .parse(&[], &mut problems)
        .expect("it is well formed");
    let (grpc, http) = (
        protocols.grpc.expect("written"),
        protocols.http.expect("written"),
    );
    grpc.validate(&document.root().at("grpc"), &mut problems);
    http.validate(&document.root().at("http"), &mut problems);
    assert_eq!(grpc.max_request_size(), ByteSize::mib(16));
    assert_eq!(grpc.endpoint_or(1).to_string(), "0.0.0.0:4317");
    assert_eq!(
        grpc.keepalive.server_parameters.max_connection_age,
        Duration::from_secs(660)
    );
    assert_eq!(http.endpoint_or(1).to_string(), ":4318");
    assert!(
        http.reads("gzip")
            && http.reads("identity")
            && !http.reads("zstd")
            && !http.reads("snappy")
    );
    assert!(!problems.has_errors(), "{problems}");
    let warned: Vec<&str> = problems
        .warnings()
        .iter()
        .map(|p| p.place.key.as_str())
        .collect();
    let keys = [
        "grpc::include_metadata",
        "grpc::keepalive::enforcement_policy",
        "http::compression_algorithms[2]",
    ];
    assert_eq!(warned, keys);
}

#[test]
fn what_cannot_be_done_is_refused_where_it_is_written() {
    let document = document(
        "grpc:\n  transport: unix\n  max_recv_msg_size_mib: 0\n  max_concurrent_streams: 0\n  tls: {cert_file: x}\n\
         \x20 auth: {authenticator: oidc}\nhttp:\n  max_request_body_size: 0\n  traces_url_path: v1\n  compression_algorithms: [rar]\n\
         \x20 response_headers: {'a b': x, content-length: 1}\n",
    );
    let mut problems = Problems::new();
    let protocols: Protocols = document
        .root()
        .parse(&[], &mut problems)
        .expect("it is well formed");
    protocols
        .grpc
        .expect("written")
        .validate(&document.root().at("grpc"), &mut problems);
    protocols
        .http
        .expect("written")
        .validate(&document.root().at("http"), &mut problems);
    let said: Vec<String> = problems
        .errors()
        .iter()
        .map(|p| format!("{} {}", p.place.line, p.place.key))
        .collect();
    let places = [
        "2 grpc::transport",
        "3 grpc::max_recv_msg_size_mib",
        "4 grpc::max_concurrent_streams",
        "5 grpc::tls",
        "6 grpc::auth",
        "8 http::max_request_body_size",
        "10 http::compression_algorithms[0]",
        "9 http::traces_url_path",
        "11 http::response_headers::a b",
        "11 http::response_headers::content-length",
    ];
    assert_eq!(said, places, "{problems}");
}

#[test]
fn queues_and_retries_that_could_not_work_are_refused() {
    let document = document(
        "sending_queue: {num_consumers: 0, queue_size: 10, sizer: items, queue_bytes: 0, storage: file_storage, \
         batch: {min_size: 20, max_size: 5, flush_timeout: 0}}\n\
         retry_on_failure: {multiplier: 0.5, randomization_factor: 2, initial_interval: 40s, max_elapsed_time: 1s}",
    );
    let mut problems = Problems::new();
    let delivery: Delivery = document
        .root()
        .parse(&[], &mut problems)
        .expect("it is well formed");
    delivery
        .sending_queue
        .validate(&document.root().at("sending_queue"), &mut problems);
    delivery
        .retry_on_failure
        .validate(&document.root().at("retry_on_failure"), &mut problems);
    let said: Vec<&str> = problems
        .errors()
        .iter()
        .filter_map(|p| p.place.key.rsplit(':').next())
        .collect();
    let keys = [
        "num_consumers",
        "queue_bytes",
        "storage",
        "flush_timeout",
        "max_size",
        "min_size",
        "multiplier",
        "randomization_factor",
        "max_interval",
        "max_elapsed_time",
    ];
    assert_eq!(said, keys, "{problems}");
    let mut problems = Problems::new();
    QueueConfig {
        enabled: false,
        num_consumers: 0,
        ..QueueConfig::default()
    }
    .validate(&document.root(), &mut problems);
    assert!(problems.is_empty());
}

#[test]
fn a_client_without_tls_says_so() {
    for (text, errors) in [
        ("endpoint: a:4317", vec!["tls"]),
        ("endpoint: a:4317\ntls: {insecure: true}", vec![]),
        (
            "endpoint: a:4317\ntls: {insecure: true, ca_file: ca.pem}",
            vec!["tls"],
        ),
        ("endpoint: http://a:4317", vec![]),
        (
            "endpoint: https://a:4317\ntls: {insecure: true}",
            vec!["endpoint"],
        ),
        ("endpoint: a\ntls: {insecure: true}", vec!["endpoint"]),
        ("timeout: 0s", vec!["timeout", "endpoint"]),
        (
            "endpoint: http://a:1\nheaders: {x: \"a\\nb\", X: c}",
            vec!["headers::x", "headers::x"],
        ),
    ] {
        let document = document(text);
        let mut problems = Problems::new();
        let client: GrpcClientConfig = document
            .root()
            .parse(&[], &mut problems)
            .expect("it is well formed");
        client.validate(&document.root(), &mut problems);
        let said: Vec<&str> = problems
            .errors()
            .iter()
            .map(|p| p.place.key.as_str())
            .collect();
        assert_eq!(said, errors, "{text}");
    }
}

#[test]
fn an_http_client_wants_a_url() {
    for (text, errors) in [
        ("endpoint: http://a:4318/base/", vec![]),
        ("endpoint: a:4318", vec!["endpoint"]),
        (
            "endpoint: https://a\nproxy_url: http://b",
            vec!["endpoint", "proxy_url"],
        ),
    ] {
        let document = document(text);
        let mut problems = Problems::new();
        let client: HttpClientConfig = document
            .root()
            .parse(&[], &mut problems)
            .expect("it is well formed");
        client.validate(&document.root(), &mut problems);
        let said: Vec<&str> = problems
            .errors()
            .iter()
            .map(|p| p.place.key.as_str())
            .collect();
        assert_eq!(said, errors, "{text}");
    }
}

#[test]
fn ignored_lists_belong_to_types_and_name_none_of_their_fields() {
    fn fields<T: serde::Serialize + Default>() -> Vec<String> {
        let value = serde_json::to_value(T::default()).expect("it has no odd keys");
        value
            .as_object()
            .into_iter()
            .flat_map(|map| map.keys().cloned())
            .collect()
    }
    for (name, fields) in [
        ("BatchConfig", fields::<BatchConfig>()),
        ("GrpcClientConfig", fields::<GrpcClientConfig>()),
        ("HttpClientConfig", fields::<HttpClientConfig>()),
        ("GrpcServerConfig", fields::<GrpcServerConfig>()),
        ("HttpServerConfig", fields::<HttpServerConfig>()),
        ("KeepaliveServerConfig", fields::<KeepaliveServerConfig>()),
    ] {
        let ignored = ignored_of(name);
        assert!(!ignored.is_empty(), "{name}");
        assert!(
            ignored
                .iter()
                .all(|(key, why)| !why.is_empty() && !fields.iter().any(|f| f == key)),
            "{name}"
        );
    }
}
