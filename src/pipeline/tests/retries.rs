//! Trying again: what, when, for how long.

use crate::pipeline::testing::{
    Act, Bench, batch, pass, permanent, requests, retry, settings, settle,
};
use crate::pipeline::{Cause, DeliverySettings, RetrySettings, Verdict};
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

/// The time between the tries, to the millisecond that the timer is good for.
fn waits(bench: &Bench) -> Vec<u64> {
    let asked = bench.exporter.asked();
    let pairs = asked.windows(2);
    pairs
        .map(|pair| {
            let wait = (pair[1].at - pair[0].at).as_millis();
            u64::try_from((wait + 5) / 10 * 10).unwrap()
        })
        .collect()
}

fn retrying(change: impl FnOnce(&mut RetrySettings)) -> DeliverySettings {
    let mut settings = settings();
    change(&mut settings.retry);
    settings
}

#[tokio::test(start_paused = true)]
async fn a_permanent_refusal_is_not_tried_again() {
    let bench = Bench::start("permanent", settings(), requests(10), [permanent()]).await;
    bench.put(batch("a", 3));
    pass(SECOND * 300).await;
    assert_eq!(bench.exporter.asked().len(), 1);
    assert_eq!(bench.fates(), [0, 3, 0]);
    assert_eq!(bench.lost("permanent"), 3);
    assert_eq!(bench.counted("agentguard_exporter_retries_total", ""), 0);
    assert_eq!(bench.delivery.queue().used(), 0);
}

#[tokio::test(start_paused = true)]
async fn waits_grow_to_the_longest_until_it_is_taken() {
    let script = vec![retry(None); 5];
    let bench = Bench::start("grow", settings(), requests(10), script).await;
    bench.put(batch("a", 2));
    pass(SECOND * 300).await;
    assert_eq!(waits(&bench), [1_000, 2_000, 4_000, 4_000, 4_000]);
    assert_eq!(bench.exporter.taken(), ["a.0", "a.1"]);
    assert_eq!(bench.fates(), [2, 0, 0], "a retried span counts once");
    assert_eq!(bench.counted("agentguard_exporter_retries_total", ""), 5);
}

#[tokio::test(start_paused = true)]
async fn the_time_that_the_next_hop_asks_for_is_kept() {
    let refused = Act::Fail(Verdict::Refused {
        after: SECOND * 9,
        source: Cause::new("full"),
    });
    let script = [
        retry(Some(SECOND * 7)),
        retry(Some(Duration::from_millis(1))),
        refused,
    ];
    let bench = Bench::start("asked", settings(), requests(10), script).await;
    bench.put(batch("a", 1));
    pass(SECOND * 300).await;
    assert_eq!(
        waits(&bench),
        [7_000, 2_000, 9_000],
        "at least as asked, and never sooner than we would"
    );
}

#[tokio::test(start_paused = true)]
async fn it_is_given_up_when_the_next_try_would_be_too_late() {
    let settings = retrying(|retry| retry.max_elapsed_time = SECOND * 8);
    let bench = Bench::start("elapsed", settings, requests(10), []).await;
    bench.exporter.afterwards(retry(None));
    bench.put(batch("a", 4));
    pass(SECOND * 300).await;
    assert_eq!(
        waits(&bench),
        [1_000, 2_000, 4_000],
        "the next would be at eleven"
    );
    assert_eq!(bench.fates(), [0, 4, 0]);
    assert_eq!(bench.lost("max_elapsed_time"), 4);
}

#[tokio::test(start_paused = true)]
async fn without_a_longest_time_it_goes_on_for_ever() {
    let settings = retrying(|retry| retry.max_elapsed_time = Duration::ZERO);
    let bench = Bench::start("for_ever", settings, requests(10), []).await;
    bench
        .exporter
        .afterwards(retry(Some(Duration::from_secs(u64::MAX))));
    bench.put(batch("a", 1));
    pass(SECOND * 60 * 60 * 24 * 3 + SECOND).await;
    assert_eq!(
        bench.exporter.asked().len(),
        4,
        "asked to wait for ever, it comes back once a day"
    );
    assert_eq!(bench.fates(), [0, 0, 0]);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_tried_again_when_that_is_off() {
    let settings = retrying(|retry| retry.enabled = false);
    let script = [retry(Some(SECOND))];
    let bench = Bench::start("off", settings, requests(10), script).await;
    bench.put(batch("a", 5));
    pass(SECOND * 300).await;
    assert_eq!(bench.exporter.asked().len(), 1);
    assert_eq!(bench.lost("retry_disabled"), 5);
}

#[tokio::test(start_paused = true)]
async fn each_try_has_the_whole_time_limit() {
    let script = [Act::Hang, Act::TakeAfter(SECOND * 4)];
    let bench = Bench::start("timeout", settings(), requests(10), script).await;
    bench.put(batch("a", 1));
    pass(SECOND * 300).await;
    assert_eq!(
        waits(&bench),
        [6_000],
        "five for the answer, one for the wait"
    );
    assert_eq!(bench.exporter.taken(), ["a.0"]);
}

#[tokio::test(start_paused = true)]
async fn a_batch_that_waits_for_its_retry_holds_its_room() {
    let bench = Bench::start("room", settings(), requests(2), [retry(None)]).await;
    bench.put(batch("a", 1));
    settle().await;
    bench.put(batch("b", 1));
    assert!(
        bench.send(batch("c", 1)).is_err(),
        "two are two, wherever they are"
    );
    pass(SECOND * 2).await;
    assert_eq!(bench.exporter.taken(), ["a.0", "b.0"]);
    assert!(bench.send(batch("c", 1)).is_ok());
}
