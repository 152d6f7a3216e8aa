//! The exporter over HTTP.

use super::*;
use std::collections::BTreeMap;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

struct Fixed;

impl MetricsSource for Fixed {
    fn render(&self, format: Format, out: &mut String) {
        out.push_str("# TYPE calls gauge\ncalls{client=\"a\"} 1\n");
        out.push_str(if format == Format::OpenMetrics {
            "# HELP calls open\n"
        } else {
            "# HELP calls classic\n"
        });
    }
}

fn offer() -> SourceOffer {
    SourceOffer {
        source: Arc::new(Fixed),
        labels: &["client"],
    }
}

fn exporter(label: &str) -> PrometheusExporter {
    let config = PrometheusConfig {
        endpoint: "127.0.0.1:0".parse().unwrap(),
        const_labels: BTreeMap::from([(label.to_owned(), "x".to_owned())]),
        ..PrometheusConfig::default()
    };
    PrometheusExporter::new("prometheus", config, Arc::new(Telemetry::new()))
}

async fn scraped(address: SocketAddr, accept: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!(
        "GET /metrics HTTP/1.1\r\nHost: a\r\nAccept: {accept}\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

/// R-INT-1: both text formats, as the scraper asks.
#[tokio::test]
async fn a_scrape_shows_the_attached_source_in_the_format_it_asks_for() {
    let exporter = exporter("zone");
    exporter.attach(offer()).unwrap();
    exporter.start().await.unwrap();
    let address = exporter.address().unwrap();
    let classic = scraped(address, "text/plain").await;
    assert!(classic.contains("text/plain; version=0.0.4"), "{classic}");
    assert!(classic.contains("\ncalls{zone=\"x\",client=\"a\"} 1\n"));
    assert!(classic.contains("classic") && !classic.contains("# EOF"));
    let open = scraped(address, "application/openmetrics-text;version=1.0.0").await;
    assert!(open.contains("open\n# EOF\n"), "{open}");
    exporter.shutdown(Duration::from_secs(5)).await;
    assert!(TcpStream::connect(address).await.is_err());
}

#[test]
fn a_constant_label_that_the_source_has_is_refused() {
    let refused = exporter("client").attach(offer()).unwrap_err();
    assert!(refused.to_string().contains("`client`"), "{refused}");
}

#[test]
fn names_that_prometheus_would_refuse_are_mistakes() {
    let config = PrometheusConfig {
        namespace: "my-app".to_owned(),
        const_labels: ["ok", "le", "__x", "1st", "a.b"]
            .map(|label| (label.to_owned(), String::new()))
            .into(),
        ..PrometheusConfig::default()
    };
    let keys: Vec<_> = config.mistakes().into_iter().map(|(key, _)| key).collect();
    assert_eq!(
        keys,
        [
            "namespace",
            "const_labels.1st",
            "const_labels.__x",
            "const_labels.a.b",
            "const_labels.le"
        ]
    );
    assert!(PrometheusConfig::default().mistakes().is_empty());
}
