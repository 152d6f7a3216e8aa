//! An exporter that panics: what it held is counted, the rest goes on, and it is seen.

use crate::pipeline::testing::{Act, Bench, batch, merging, pass, requests, settings, settle};
use crate::pipeline::{DeliverySettings, Verdict};
use crate::telemetry::health::{Row, Status};
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

fn row(bench: &Bench, name: &str) -> Row {
    let report = bench.telemetry().health().report();
    let rows = report.rows.clone();
    let found = report.rows.into_iter().find(|row| row.name == name);
    found.unwrap_or_else(|| panic!("no `{name}` in {rows:?}"))
}

#[tokio::test(start_paused = true)]
async fn what_a_panic_took_along_is_counted_and_the_rest_is_delivered() {
    let bench = Bench::start("boom", settings(), requests(100), [Act::Panic]).await;
    for name in ["a", "b", "c"] {
        bench.put(batch(name, 2));
    }
    settle().await;
    assert_eq!(bench.fates(), [0, 2, 0]);
    assert_eq!(bench.lost("panic"), 2);
    assert_eq!(
        bench.delivery.queue().used(),
        2,
        "its room is back, the others wait"
    );
    pass(SECOND * 2).await;
    assert_eq!(bench.exporter.taken(), ["b.0", "b.1", "c.0", "c.1"]);
    assert_eq!(bench.fates(), [4, 2, 0]);
}

/// One consumer was gone for good with each panic: ten, and the queue stood still, unseen.
#[tokio::test(start_paused = true)]
async fn more_panics_than_consumers_do_not_stop_the_queue() {
    let script = vec![Act::Panic; 12];
    let several = DeliverySettings {
        num_consumers: 3,
        ..settings()
    };
    let bench = Bench::start("often", several, requests(100), script).await;
    for _ in 0..20 {
        bench.put(batch("a", 1));
    }
    pass(SECOND * 60).await;
    assert_eq!(bench.fates(), [8, 12, 0]);
    assert_eq!(bench.lost("panic"), 12);
}

#[tokio::test(start_paused = true)]
async fn a_panic_is_seen_in_health_until_something_is_sent_again() {
    let bench = Bench::start("seen", settings(), requests(100), [Act::Panic]).await;
    let queue = "exporters/seen queue of traces";
    assert_eq!(row(&bench, queue).status, Status::Ok);
    bench.put(batch("a", 1));
    settle().await;
    let task = row(&bench, "exporters/seen queue");
    assert!(matches!(task.status, Status::Dead(_)), "{task:?}");
    let status = row(&bench, queue).status;
    assert!(matches!(status, Status::Recoverable(_)), "{status:?}");
    assert_eq!(
        bench.counted(
            "agentguard_task_panics_total",
            "task=\"exporters/seen queue\""
        ),
        1
    );
    pass(SECOND * 2).await;
    let task = row(&bench, "exporters/seen queue");
    assert!(
        !matches!(task.status, Status::Dead(_)),
        "started again: {task:?}"
    );
    bench.put(batch("b", 1));
    settle().await;
    assert_eq!(row(&bench, queue).status, Status::Ok);
    bench.stop(SECOND).await;
}

#[tokio::test(start_paused = true)]
async fn a_panic_between_pieces_counts_the_pieces_that_were_not_sent() {
    let script = [Act::Take, Act::Panic];
    let bench = Bench::start("pieces", merging(1, 3, SECOND), requests(100), script).await;
    bench.put(batch("a", 10));
    pass(SECOND * 5).await;
    assert_eq!(bench.fates(), [3, 7, 0]);
    assert_eq!(bench.exporter.taken().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn other_queues_do_not_notice() {
    let bad = Bench::start("bad", settings(), requests(100), []).await;
    bad.exporter.afterwards(Act::Panic);
    let good = Bench::start("good", settings(), requests(100), []).await;
    for name in ["a", "b", "c"] {
        bad.put(batch(name, 1));
        good.put(batch(name, 1));
    }
    settle().await;
    assert_eq!(good.exporter.taken(), ["a.0", "b.0", "c.0"]);
    assert_eq!(good.fates(), [3, 0, 0]);
}

#[tokio::test(start_paused = true)]
async fn a_sender_that_waits_for_the_result_is_told_to_come_back() {
    let waiting = DeliverySettings {
        wait_for_result: true,
        ..settings()
    };
    let bench = Bench::start("told_so", waiting, requests(100), [Act::Panic]).await;
    let completion = bench.send(batch("a", 1)).unwrap();
    let outcome = completion.wait().await;
    assert!(matches!(outcome, Err(Verdict::Retry { .. })), "{outcome:?}");
}

#[tokio::test(start_paused = true)]
async fn a_drain_goes_on_after_a_panic() {
    let bench = Bench::start("stopping", settings(), requests(100), [Act::Panic]).await;
    for name in ["a", "b", "c"] {
        bench.put(batch(name, 1));
    }
    bench.stop(SECOND * 10).await;
    assert_eq!(bench.fates(), [2, 1, 0]);
    assert_eq!(bench.exporter.taken(), ["b.0", "c.0"]);
}
