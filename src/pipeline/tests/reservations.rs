//! All or none (D6): what one queue refuses, no other queue holds.

use crate::pipeline::testing::{Bench, batch, requests, settings, settle};
use crate::pipeline::{Consumer, Fanout, Reservation, Verdict};
use std::sync::Arc;

fn fanout(benches: &[&Bench]) -> Fanout {
    let deliveries = benches.iter().map(|bench| Arc::clone(&bench.delivery) as _);
    Fanout(deliveries.collect())
}

fn used(benches: &[&Bench]) -> Vec<u64> {
    let queues = benches.iter().map(|bench| bench.delivery.queue());
    queues.map(|queue| queue.used()).collect()
}

/// D6.
#[tokio::test(start_paused = true)]
async fn one_full_queue_keeps_a_batch_out_of_all_queues() {
    let open = Bench::build("open", settings(), requests(10), []);
    let shut = Bench::build("shut", settings(), requests(1), []);
    let last = Bench::build("last", settings(), requests(10), []);
    let all = fanout(&[&open, &shut, &last]);
    shut.put(batch("fills", 1));
    for attempt in 1..=5 {
        let mut reservation = Reservation::default();
        let refused = all.reserve(batch("b", 3), &mut reservation);
        assert!(
            matches!(refused, Err(Verdict::Refused { .. })),
            "{refused:?}"
        );
        drop(reservation);
        assert_eq!(used(&[&open, &shut, &last]), [0, 1, 0], "room is back");
        assert_eq!(open.delivery.queue().used_bytes(), 0);
        assert_eq!(
            shut.fates(),
            [0, 0, 3 * attempt],
            "counted where it was refused"
        );
        assert_eq!(open.fates(), [0, 0, 0], "and nowhere else");
    }
    assert!(open.delivery.queue().try_pop().is_none());
    assert!(last.delivery.queue().try_pop().is_none());
}

/// D6.
#[tokio::test(start_paused = true)]
async fn a_batch_that_all_queues_take_is_delivered_once_by_each() {
    let one = Bench::start("one", settings(), requests(10), []).await;
    let two = Bench::start("two", settings(), requests(10), []).await;
    let mut reservation = Reservation::default();
    let all = fanout(&[&one, &two]);
    all.reserve(batch("b", 2), &mut reservation).unwrap();
    settle().await;
    assert_eq!(one.exporter.taken(), [""; 0], "nothing before the commit");
    drop(reservation.commit());
    settle().await;
    for bench in [&one, &two] {
        assert_eq!(bench.exporter.taken(), ["b.0", "b.1"]);
        assert_eq!(bench.fates(), [2, 0, 0]);
        assert_eq!(bench.delivery.queue().used(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_reservation_that_is_dropped_leaves_no_trace() {
    let bench = Bench::start("dropped", settings(), requests(1), []).await;
    let mut reservation = Reservation::default();
    bench
        .delivery
        .reserve(batch("b", 2), &mut reservation)
        .unwrap();
    drop(reservation);
    settle().await;
    assert_eq!(bench.fates(), [0, 0, 0]);
    assert!(bench.exporter.asked().is_empty());
    bench.put(batch("next", 1));
    settle().await;
    assert_eq!(bench.exporter.taken(), ["next.0"]);
}
