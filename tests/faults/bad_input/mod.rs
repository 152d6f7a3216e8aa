//! Bad input (R-PER-5): each kind with its answer, over gRPC and HTTP, and a daemon that is well afterwards.
//!
//! The table is compared with `tests/faults/BAD_INPUT.md`; `UPDATE_EXPECT=1` writes it.

mod frames;
mod messages;
mod peers;

use std::fmt::Write as _;
use std::path::Path;

use agentguard::otlp::Signal;
use tonic::Code;

use crate::requests;
use crate::support::daemon::{Daemon, Setup};
use crate::support::stub::Stub;
use crate::support::wire::{self, Request};

/// Far below what a single row sends or claims, and above what a debug build needs.
const MOST_BYTES: u64 = 160 << 20;

/// Small limits, so that tests reach them quickly.
fn setup(stub: &Stub) -> Setup {
    Setup::new()
        .receiver("body_timeout: 1s\nmax_connections: 12")
        .grpc("max_recv_msg_size_mib: 4")
        .http("max_request_body_size: 4194304\nread_header_timeout: 1s")
        .otlp(stub.address(), "")
}

/// One line of the table.
#[derive(Clone, Debug)]
struct Row {
    input: String,
    grpc: String,
    http: String,
    says: String,
}

impl Row {
    fn new(input: &str, grpc: &str, http: &str, says: &str) -> Self {
        Row {
            input: input.to_owned(),
            grpc: grpc.to_owned(),
            http: http.to_owned(),
            says: says.to_owned(),
        }
    }
}

const HEAD: &str = "\
# Bad input

What the daemon answers to input that is wrong, hostile or odd (R-PER-5). Each row is sent by
`cargo test --test faults bad_input`, which compares the answers with this file; `UPDATE_EXPECT=1` writes it. After all
rows the daemon is healthy, its memory is small, and it still forwards.

Limits in these tests: 4 MiB a request, 1 s for a head or a body, 12 connections.

";

fn table(rows: &[Row]) -> String {
    let mut text = HEAD.to_owned();
    text += "| input | OTLP/gRPC | OTLP/HTTP | what is said |\n|---|---|---|---|\n";
    for row in rows {
        let Row {
            input,
            grpc,
            http,
            says,
        } = row;
        let says = says.replace('|', "\\|");
        writeln!(text, "| {input} | {grpc} | {http} | {says} |").expect("memory takes all");
    }
    text
}

fn compare_with_file(rows: &[Row]) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/faults/BAD_INPUT.md");
    let found = table(rows);
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        std::fs::write(&path, found).expect("the table written");
        return;
    }
    let expected = std::fs::read_to_string(&path).expect("the table");
    let differing = expected.lines().zip(found.lines()).find(|(a, b)| a != b);
    if let Some((expected, found)) = differing {
        panic!("expected {expected}\nfound    {found}\nUPDATE_EXPECT=1 writes the table anew");
    }
    assert_eq!(expected.lines().count(), found.lines().count());
}

/// Healthy, small, and forwarding.
async fn is_well(daemon: &mut Daemon, stub: &Stub) {
    let health = wire::http(daemon.health(), Request::get("/")).await;
    assert_eq!(health.status, 200, "{}", health.text());
    let panics = daemon
        .scrape()
        .await
        .sum("agentguard_task_panics_total", &[]);
    assert_eq!(panics, 0.0, "tasks panicked");
    if let Some(resident) = daemon.process().resident_bytes() {
        assert!(resident < MOST_BYTES, "{} MiB resident", resident >> 20);
    }
    for id in [0xfeed, 0xbeef] {
        let request = requests::one(id);
        let code = if id == 0xfeed {
            wire::export(daemon.grpc(), Signal::Traces, &request)
                .await
                .code()
        } else {
            let post = Request::post("/v1/traces", wire::PROTOBUF, request.clone());
            let reply = wire::http(daemon.http(), post).await;
            assert_eq!(reply.status, 200, "{}", reply.text());
            Code::Ok
        };
        assert_eq!(code, Code::Ok);
        crate::support::wait::eventually("forwarded", crate::support::wait::PATIENCE, || async {
            stub.taken(Signal::Traces).contains(&request).then_some(())
        })
        .await;
    }
}

/// R-PER-5: refused with a clear error, never a crash, never unbounded memory.
#[tokio::test]
async fn each_kind_of_bad_input_has_its_answer_and_leaves_nothing_behind() {
    let stub = Stub::start().await;
    let mut daemon = Daemon::start(&setup(&stub)).await;
    let mut rows = messages::run(&daemon, &stub).await;
    rows.extend(frames::run(&daemon).await);
    rows.extend(peers::run(&daemon).await);
    is_well(&mut daemon, &stub).await;
    daemon.stop().await;
    compare_with_file(&rows);
}
