//! Stopping: what is queued is delivered within the deadline, the rest is counted.

use crate::pipeline::testing::{
    Act, Bench, batch, merging, pass, requests, retry, settings, settle,
};
use crate::pipeline::{Consumer, DeliverySettings, Reservation};
use std::time::Duration;
use tokio::time::Instant;

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn a_stop_delivers_what_is_queued_and_takes_no_more() {
    let bench = Bench::start("drain", settings(), requests(100), []).await;
    bench.exporter.afterwards(Act::TakeAfter(SECOND));
    for name in ["a", "b", "c"] {
        bench.put(batch(name, 1));
    }
    let before = Instant::now();
    bench.stop(SECOND * 30).await;
    assert_eq!(bench.exporter.taken(), ["a.0", "b.0", "c.0"]);
    assert!(
        before.elapsed() < SECOND * 4,
        "done is done: {:?}",
        before.elapsed()
    );
    assert!(bench.send(batch("late", 1)).is_err());
    assert_eq!(bench.fates(), [3, 0, 1]);
}

#[tokio::test(start_paused = true)]
async fn what_the_deadline_cuts_off_is_counted_as_dropped() {
    let bench = Bench::start("deadline", settings(), requests(100), []).await;
    bench.exporter.afterwards(Act::TakeAfter(SECOND * 2));
    for name in ["a", "b", "c", "d", "e"] {
        bench.put(batch(name, 10));
    }
    let before = Instant::now();
    bench.stop(SECOND * 5).await;
    let took = before.elapsed();
    assert!((SECOND * 5..SECOND * 6).contains(&took), "{took:?}");
    assert_eq!(
        bench.fates(),
        [20, 30, 0],
        "two sent, one cut off, two queued"
    );
    assert_eq!(bench.lost("shutdown"), 30);
    assert_eq!(bench.delivery.queue().used(), 0);
}

/// Also those whose try has no time limit of its own, and those that a batch was being made of.
#[tokio::test(start_paused = true)]
async fn a_hanging_next_hop_cannot_hold_up_the_end() {
    let settings = DeliverySettings {
        num_consumers: 3,
        timeout: Duration::ZERO,
        ..settings()
    };
    let bench = Bench::start("hang", settings, requests(100), []).await;
    bench.exporter.afterwards(Act::Hang);
    for _ in 0..7 {
        bench.put(batch("a", 1));
    }
    settle().await;
    let before = Instant::now();
    bench.stop(SECOND).await;
    assert!(before.elapsed() < SECOND * 2);
    assert_eq!(bench.fates(), [0, 7, 0]);
    assert_eq!(bench.lost("shutdown"), 7);
}

#[tokio::test(start_paused = true)]
async fn a_batch_under_construction_leaves_at_once() {
    let settings = merging(100, 0, SECOND * 60);
    let bench = Bench::start("gather", settings, requests(100), []).await;
    bench.put(batch("a", 1));
    bench.put(batch("b", 1));
    settle().await;
    let before = Instant::now();
    bench.stop(SECOND * 30).await;
    assert!(before.elapsed() < SECOND, "it waits for no more");
    assert_eq!(bench.exporter.taken(), ["a.0", "b.0"]);
}

#[tokio::test(start_paused = true)]
async fn without_any_time_left_everything_is_still_counted() {
    for settings in [settings(), merging(100, 0, SECOND * 60)] {
        let bench = Bench::start("zero", settings, requests(100), []).await;
        bench.exporter.afterwards(Act::Hang);
        for _ in 0..5 {
            bench.put(batch("a", 2));
        }
        bench.stop(Duration::ZERO).await;
        assert_eq!(bench.fates(), [0, 10, 0]);
        assert_eq!(bench.lost("shutdown"), 10);
        assert!(bench.delivery.queue().is_settled());
    }
}

#[tokio::test(start_paused = true)]
async fn a_long_wait_for_a_retry_is_cut_so_that_there_is_a_last_try() {
    let script = [retry(Some(SECOND * 50))];
    let bench = Bench::start("last_try", settings(), requests(100), script).await;
    bench.put(batch("a", 1));
    pass(SECOND).await;
    bench.stop(SECOND * 10).await;
    assert_eq!(bench.exporter.asked().len(), 2);
    assert_eq!(bench.exporter.taken(), ["a.0"]);
    assert_eq!(bench.fates(), [1, 0, 0]);
}

/// One silent next hop used to have the whole deadline for a single try.
#[tokio::test(start_paused = true)]
async fn a_try_during_the_drain_keeps_its_own_time_limit() {
    let bench = Bench::start("limit", settings(), requests(100), [Act::Hang]).await;
    bench.put(batch("a", 1));
    bench.stop(SECOND * 30).await;
    assert_eq!(
        bench.exporter.taken(),
        ["a.0"],
        "by the second try, after five seconds"
    );
}

#[tokio::test(start_paused = true)]
async fn stopping_twice_or_before_the_start_is_harmless() {
    let bench = Bench::start("twice", settings(), requests(100), []).await;
    bench.put(batch("a", 1));
    bench.stop(SECOND).await;
    bench.stop(SECOND).await;
    assert_eq!(bench.fates(), [1, 0, 0]);
    let never = Bench::build("never", settings(), requests(100), []);
    never.put(batch("a", 3));
    never.stop(SECOND).await;
    assert_eq!(never.fates(), [0, 3, 0]);
    never.stop(Duration::ZERO).await;
    assert_eq!(never.lost("shutdown"), 3, "counted once");
}

/// A receiver may be between the two steps when the queue behind it is drained.
#[tokio::test(start_paused = true)]
async fn a_place_filled_after_the_queue_was_closed_is_counted() {
    let bench = Bench::start("gap", settings(), requests(100), []).await;
    let mut reservation = Reservation::default();
    bench
        .delivery
        .reserve(batch("a", 4), &mut reservation)
        .unwrap();
    let (_, ()) = tokio::join!(bench.stop(SECOND), async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        drop(reservation.commit());
    });
    assert_eq!(bench.fates(), [0, 4, 0]);
    assert!(bench.delivery.queue().is_settled());
}
