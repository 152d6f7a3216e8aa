//! `wait_for_result`: the sender hears what the next hop said.

use crate::pipeline::testing::{
    Act, Bench, batch, merging, pass, permanent, requests, retry, settings, settle,
};
use crate::pipeline::{Completion, DeliverySettings, Outcome, Verdict};
use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

fn waiting(settings: DeliverySettings) -> DeliverySettings {
    DeliverySettings {
        wait_for_result: true,
        ..settings
    }
}

async fn answer_now(completion: Completion) -> Option<Outcome> {
    let mut wait = pin!(completion.wait());
    poll_fn(|ctx| match wait.as_mut().poll(ctx) {
        Poll::Ready(outcome) => Poll::Ready(Some(outcome)),
        Poll::Pending => Poll::Ready(None),
    })
    .await
}

#[tokio::test(start_paused = true)]
async fn success_is_told_when_the_next_hop_took_it() {
    let script = [retry(None), Act::TakeAfter(Duration::from_secs(2))];
    let bench = Bench::start("told", waiting(settings()), requests(10), script).await;
    let before = tokio::time::Instant::now();
    let completion = bench.send(batch("a", 1)).unwrap();
    assert_eq!(completion.wait().await, Ok(()));
    assert!(before.elapsed() >= Duration::from_secs(3), "not before");
    assert_eq!(bench.exporter.taken(), ["a.0"]);
}

#[tokio::test(start_paused = true)]
async fn the_verdict_is_told_as_it_was_given() {
    let bench = Bench::start("no", waiting(settings()), requests(10), [permanent()]).await;
    let Act::Fail(verdict) = permanent() else {
        unreachable!()
    };
    let completion = bench.send(batch("a", 1)).unwrap();
    assert_eq!(completion.wait().await, Err(verdict));
}

#[tokio::test(start_paused = true)]
async fn every_sender_of_a_merged_request_is_told() {
    let settings = waiting(merging(2, 0, Duration::from_secs(1)));
    let bench = Bench::start("both", settings, requests(10), [permanent(), Act::Take]).await;
    let (a, b) = (
        bench.send(batch("a", 1)).unwrap(),
        bench.send(batch("b", 1)).unwrap(),
    );
    settle().await;
    let c = bench.send(batch("c", 2)).unwrap();
    settle().await;
    assert!(matches!(
        answer_now(a).await,
        Some(Err(Verdict::Permanent { .. }))
    ));
    assert!(matches!(
        answer_now(b).await,
        Some(Err(Verdict::Permanent { .. }))
    ));
    assert_eq!(answer_now(c).await, Some(Ok(())));
}

#[tokio::test(start_paused = true)]
async fn without_it_the_sender_waits_for_nothing() {
    let bench = Bench::start("at_once", settings(), requests(10), [Act::Hang]).await;
    let completion = bench.send(batch("a", 1)).unwrap();
    assert_eq!(answer_now(completion).await, Some(Ok(())));
}

/// It used to be told success.
#[tokio::test(start_paused = true)]
async fn a_sender_is_told_to_come_back_when_the_exporter_ends_before_it_answers() {
    let bench = Bench::start("ended", waiting(settings()), requests(10), []).await;
    bench.exporter.afterwards(Act::Hang);
    let (under_way, queued) = (
        bench.send(batch("a", 1)).unwrap(),
        bench.send(batch("b", 1)).unwrap(),
    );
    settle().await;
    bench.stop(Duration::from_secs(1)).await;
    for completion in [under_way, queued] {
        let outcome = completion.wait().await;
        assert!(matches!(outcome, Err(Verdict::Retry { .. })), "{outcome:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_sender_that_gave_up_waiting_holds_nothing_up() {
    let script = [Act::TakeAfter(Duration::from_secs(1))];
    let bench = Bench::start("gone", waiting(settings()), requests(1), script).await;
    drop(bench.send(batch("a", 1)).unwrap());
    pass(Duration::from_secs(2)).await;
    assert_eq!(bench.fates(), [1, 0, 0]);
    assert_eq!(bench.delivery.queue().used(), 0);
}
