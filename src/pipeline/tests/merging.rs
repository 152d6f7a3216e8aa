//! Merging behind the queue: by size, by time, and cutting what is too large.

use crate::otlp::Signal;
use crate::pipeline::testing::{Act, Bench, batch, merging, pass, permanent, requests, settle};
use crate::pipeline::{Batch, BatchSettings, BatchSizer, DeliverySettings};
use std::time::Duration;

const FLUSH: Duration = Duration::from_secs(10);

fn sizes(bench: &Bench) -> Vec<u64> {
    let asked = bench.exporter.asked();
    asked.iter().map(|asked| asked.request.items).collect()
}

#[tokio::test(start_paused = true)]
async fn batches_wait_for_each_other_until_there_are_enough_items() {
    let bench = Bench::start("min", merging(5, 0, FLUSH), requests(100), []).await;
    bench.put(batch("a", 2));
    bench.put(batch("b", 2));
    pass(Duration::from_secs(1)).await;
    assert!(bench.exporter.asked().is_empty(), "four are not enough");
    bench.put(batch("c", 2));
    settle().await;
    let asked = bench.exporter.asked();
    assert_eq!(asked.len(), 1);
    assert_eq!(
        asked[0].names(),
        ["a.0", "a.1", "b.0", "b.1", "c.0", "c.1"],
        "in the order in which they came"
    );
    assert_eq!(bench.fates(), [6, 0, 0]);
    assert_eq!(bench.delivery.queue().used(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_batch_that_does_not_fill_leaves_when_its_first_has_waited_long_enough() {
    let bench = Bench::start("flush", merging(100, 0, FLUSH), requests(100), []).await;
    let came = tokio::time::Instant::now();
    bench.put(batch("a", 1));
    pass(Duration::from_secs(6)).await;
    bench.put(batch("b", 1));
    pass(FLUSH).await;
    let asked = bench.exporter.asked();
    assert_eq!(asked.len(), 1);
    assert_eq!(asked[0].names(), ["a.0", "b.0"]);
    let waited = asked[0].at - came;
    assert!(
        (FLUSH..FLUSH + Duration::from_millis(5)).contains(&waited),
        "{waited:?}, not counted from the second"
    );
}

#[tokio::test(start_paused = true)]
async fn a_batch_of_another_signal_is_not_merged_and_not_lost() {
    let bench = Bench::start("signal", merging(10, 0, FLUSH), requests(100), []).await;
    bench.put(batch("a", 1));
    // an empty request is valid in each signal
    bench.put(Batch {
        signal: Signal::Logs,
        ..batch("", 0)
    });
    bench.put(batch("b", 1));
    pass(FLUSH * 3).await;
    let asked = bench.exporter.asked();
    let signals: Vec<Signal> = asked.iter().map(|asked| asked.request.signal).collect();
    assert_eq!(signals, [Signal::Traces, Signal::Logs, Signal::Traces]);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_merged_above_the_largest_size() {
    let bench = Bench::start("max", merging(5, 6, FLUSH), requests(100), []).await;
    for name in ["a", "b", "c", "d"] {
        bench.put(batch(name, 4));
    }
    pass(FLUSH * 2).await;
    assert_eq!(sizes(&bench), [4, 4, 4, 4]);
    assert_eq!(bench.fates(), [16, 0, 0]);
}

#[tokio::test(start_paused = true)]
async fn a_batch_above_the_largest_size_is_cut_in_order() {
    let bench = Bench::start("cut", merging(1, 3, FLUSH), requests(100), []).await;
    bench.put(batch("a", 8));
    settle().await;
    assert_eq!(sizes(&bench), [3, 3, 2]);
    let expected: Vec<String> = (0..8).map(|number| format!("a.{number}")).collect();
    assert_eq!(bench.exporter.taken(), expected);
    assert_eq!(bench.fates(), [8, 0, 0]);
    assert_eq!(bench.delivery.queue().used(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_piece_that_was_delivered_is_not_sent_again_for_one_that_was_not() {
    let script = [Act::Take, super::super::testing::retry(None), permanent()];
    let settings = DeliverySettings {
        wait_for_result: true,
        ..merging(1, 3, FLUSH)
    };
    let bench = Bench::start("pieces", settings, requests(100), script).await;
    let completion = bench.send(batch("a", 9)).unwrap();
    assert!(completion.wait().await.is_err(), "one piece was lost");
    assert_eq!(
        bench.exporter.taken(),
        ["a.0", "a.1", "a.2", "a.6", "a.7", "a.8"]
    );
    let firsts: Vec<String> = bench
        .exporter
        .asked()
        .iter()
        .map(|asked| asked.names()[0].clone())
        .collect();
    assert_eq!(
        firsts,
        ["a.0", "a.3", "a.3", "a.6"],
        "only the second is tried twice"
    );
    assert_eq!(bench.fates(), [6, 3, 0]);
    assert_eq!(bench.lost("permanent"), 3);
}

#[tokio::test(start_paused = true)]
async fn sizes_may_count_bytes() {
    let one = batch("a", 1).bytes.len() as u64;
    let settings = DeliverySettings {
        batch: Some(BatchSettings {
            flush_timeout: FLUSH,
            sizer: BatchSizer::Bytes,
            min_size: one * 3,
            max_size: 0,
        }),
        ..merging(0, 0, FLUSH)
    };
    let bench = Bench::start("bytes", settings, requests(100), []).await;
    for name in ["a", "b", "c", "d"] {
        bench.put(batch(name, 1));
    }
    settle().await;
    assert_eq!(sizes(&bench), [3]);
    pass(FLUSH).await;
    assert_eq!(sizes(&bench), [3, 1]);
}

/// A hanging request must not keep the next batch from filling and leaving.
#[tokio::test(start_paused = true)]
async fn another_consumer_gathers_while_one_sends() {
    let settings = DeliverySettings {
        num_consumers: 2,
        timeout: Duration::ZERO,
        ..merging(2, 0, FLUSH)
    };
    let bench = Bench::start("two", settings, requests(100), [Act::Hang]).await;
    for name in ["a", "b", "c", "d", "e", "f"] {
        bench.put(batch(name, 1));
    }
    settle().await;
    assert_eq!(bench.exporter.taken(), ["c.0", "d.0", "e.0", "f.0"]);
    assert_eq!(bench.delivery.queue().used(), 2, "the hanging two");
}
