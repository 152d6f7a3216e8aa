//! `block_on_overflow`: the sender waits for room, in line, holding nothing elsewhere.
#![expect(clippy::disallowed_methods, reason = "tests join what they spawn")]

use crate::pipeline::testing::{Act, Bench, batch, pass, requests, settings, settle};
use crate::pipeline::{
    Batch, Consumer, DeliverySettings, Fanout, QueueSettings, Reservation, Sizer, Verdict,
};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::Instant;

const SECOND: Duration = Duration::from_secs(1);
const PATIENCE: Duration = Duration::from_secs(30);

fn blocking() -> DeliverySettings {
    DeliverySettings {
        block_on_overflow: true,
        timeout: Duration::ZERO,
        ..settings()
    }
}

/// Sends as a receiver does, on a task of its own; the time that it took.
fn sender(consumer: Arc<dyn Consumer>, batch: Batch) -> JoinHandle<Result<Duration, Verdict>> {
    tokio::spawn(async move {
        let started = Instant::now();
        let reservation = Reservation::obtain(&*consumer, batch, PATIENCE).await?;
        drop(reservation.commit());
        Ok(started.elapsed())
    })
}

fn input(bench: &Bench) -> Arc<dyn Consumer> {
    Arc::clone(&bench.delivery) as _
}

#[tokio::test(start_paused = true)]
async fn a_sender_waits_until_there_is_room() {
    let bench = Bench::start("waits", blocking(), requests(1), []).await;
    bench.exporter.afterwards(Act::TakeAfter(SECOND * 3));
    bench.put(batch("first", 1));
    let waited = sender(input(&bench), batch("second", 1))
        .await
        .unwrap()
        .unwrap();
    assert!((SECOND * 3..SECOND * 4).contains(&waited), "{waited:?}");
    pass(SECOND * 10).await;
    assert_eq!(bench.exporter.taken(), ["first.0", "second.0"]);
    assert_eq!(bench.fates(), [2, 0, 0], "who waited was not refused");
}

#[tokio::test(start_paused = true)]
async fn patience_ends_in_a_refusal_that_is_counted_once() {
    let bench = Bench::start("ends", blocking(), requests(1), [Act::Hang]).await;
    bench.put(batch("first", 1));
    let started = Instant::now();
    let refused = sender(input(&bench), batch("second", 5)).await.unwrap();
    assert!(
        matches!(refused, Err(Verdict::Refused { .. })),
        "{refused:?}"
    );
    let waited = started.elapsed();
    assert!(
        (PATIENCE..PATIENCE + SECOND).contains(&waited),
        "{waited:?}"
    );
    assert_eq!(bench.fates(), [0, 0, 5]);
}

#[tokio::test(start_paused = true)]
async fn without_it_a_full_queue_refuses_at_once() {
    let at_once = DeliverySettings {
        block_on_overflow: false,
        ..blocking()
    };
    let bench = Bench::start("at_once", at_once, requests(1), [Act::Hang]).await;
    bench.put(batch("first", 1));
    let started = Instant::now();
    let refused = sender(input(&bench), batch("second", 5)).await.unwrap();
    assert!(refused.is_err());
    assert_eq!(started.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_batch_that_can_never_fit_does_not_wait() {
    let tiny = QueueSettings {
        sizer: Sizer::Items,
        size: 2,
        bytes: 1 << 20,
    };
    let bench = Bench::start("never_fits", blocking(), tiny, []).await;
    let started = Instant::now();
    let refused = sender(input(&bench), batch("large", 3)).await.unwrap();
    assert!(
        matches!(refused, Err(Verdict::Permanent { .. })),
        "{refused:?}"
    );
    assert_eq!(started.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn who_came_first_goes_first_also_with_a_large_batch() {
    let size = QueueSettings {
        sizer: Sizer::Items,
        size: 4,
        bytes: 1 << 20,
    };
    let bench = Bench::start("line", blocking(), size, []).await;
    bench.exporter.afterwards(Act::TakeAfter(SECOND));
    bench.put(batch("x", 2));
    bench.put(batch("y", 2));
    let mut senders = Vec::new();
    for (name, spans) in [("large", 4), ("b", 1), ("c", 1), ("d", 4), ("e", 1)] {
        senders.push(sender(input(&bench), batch(name, spans)));
        settle().await;
    }
    for sender in senders {
        sender.await.unwrap().unwrap();
    }
    pass(SECOND * 20).await;
    let mut order = bench.exporter.taken();
    order.retain(|name| name.ends_with(".0"));
    assert_eq!(order, ["x.0", "y.0", "large.0", "b.0", "c.0", "d.0", "e.0"]);
}

/// Two fan-outs in opposite order over two queues of one place: each would wait for what the other holds.
#[tokio::test(start_paused = true)]
async fn waiting_holds_no_place_elsewhere_so_nothing_stands_still() {
    let one = Bench::start("one_way", blocking(), requests(1), []).await;
    let two = Bench::start("other_way", blocking(), requests(1), []).await;
    // at different speeds, so that one place is free while the other is not
    one.exporter.afterwards(Act::TakeAfter(SECOND / 10));
    two.exporter.afterwards(Act::TakeAfter(SECOND / 7));
    let forwards: Arc<dyn Consumer> = Arc::new(Fanout(vec![input(&one), input(&two)]));
    let backwards: Arc<dyn Consumer> = Arc::new(Fanout(vec![input(&two), input(&one)]));
    let senders: Vec<_> = (0..40)
        .map(|number| {
            let way = if number % 2 == 0 {
                &forwards
            } else {
                &backwards
            };
            sender(Arc::clone(way), batch(&format!("n{number}"), 1))
        })
        .collect();
    for sender in senders {
        sender.await.unwrap().unwrap();
    }
    pass(SECOND).await;
    for bench in [&one, &two] {
        assert_eq!(bench.fates(), [40, 0, 0], "each batch once to each");
        let mut taken = bench.exporter.taken();
        taken.sort_unstable();
        taken.dedup();
        assert_eq!(taken.len(), 40);
    }
}

#[tokio::test(start_paused = true)]
async fn closing_ends_the_waiting() {
    let bench = Bench::start("closing", blocking(), requests(1), [Act::Hang]).await;
    bench.put(batch("first", 1));
    let waiting = [
        sender(input(&bench), batch("second", 1)),
        sender(input(&bench), batch("third", 1)),
    ];
    settle().await;
    let started = Instant::now();
    bench.delivery.queue().close();
    for sender in waiting {
        assert!(sender.await.unwrap().is_err());
    }
    assert_eq!(started.elapsed(), Duration::ZERO);
    assert_eq!(bench.fates(), [0, 0, 2]);
}

#[tokio::test(start_paused = true)]
async fn a_sender_that_goes_away_leaves_the_line() {
    let bench = Bench::start("leaves", blocking(), requests(1), []).await;
    bench.exporter.afterwards(Act::TakeAfter(SECOND * 2));
    bench.put(batch("first", 1));
    let gone = sender(input(&bench), batch("gone", 1));
    settle().await;
    let next = sender(input(&bench), batch("next", 1));
    settle().await;
    gone.abort();
    next.await.unwrap().unwrap();
    pass(SECOND * 10).await;
    assert_eq!(bench.exporter.taken(), ["first.0", "next.0"]);
    assert!(bench.delivery.queue().is_settled());
}

/// Real threads, so that the look at the room and its return interleave.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_wakeup_is_lost_between_many_senders_and_consumers() {
    let several = DeliverySettings {
        num_consumers: 4,
        ..blocking()
    };
    let bench = Bench::start("herd", several, requests(2), []).await;
    let senders: Vec<_> = (0..16)
        .map(|number| {
            let input = input(&bench);
            tokio::spawn(async move {
                for round in 0..200 {
                    let batch = batch(&format!("{number}/{round}"), 1);
                    let reservation = Reservation::obtain(&*input, batch, PATIENCE).await.unwrap();
                    drop(reservation.commit());
                }
            })
        })
        .collect();
    for sender in senders {
        sender.await.unwrap();
    }
    bench.stop(PATIENCE).await;
    assert_eq!(bench.fates(), [16 * 200, 0, 0]);
}
