//! The guard's threads: one a shard, and one for the tick.
//!
//! ```text
//! inbox [requests, spans] ─▶ shard ◀─ questions [1] ─ tick, every tick_interval ─▶ published
//! ```
//!
//! **Bounds.** The inbox's; one question at a time. **Invariant.** A shard answers between two requests, so that a tick
//! sees whole requests. Told to stop, it settles what is in its inbox first.

use super::Core;
use super::exposition::GraphMetrics;
use super::inbox::Delivery;
use crate::base::Nanos;
use crate::graph::{Changes, Numbers, Totals};
use crate::guard::{Ageing, Settler};
use crate::telemetry::task;
use crossbeam::channel::{Receiver, RecvTimeoutError, Sender, bounded, never, select};
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;

/// Longest wait for a shard's answer; one that takes longer is asked again at the next tick.
const PATIENCE: Duration = Duration::from_secs(10);

/// What the tick asks of a shard.
enum Question {
    /// What has changed?
    Changes(Sender<Answer>),
    /// Which of these numbers are needed still?
    Forget(Arc<Numbers>, Sender<Numbers>),
    /// Settle everything (B-09), then say what has changed, and end.
    Last(Sender<Answer>),
}

/// What changed in a shard, and its stream time.
type Answer = (Changes, Nanos);

/// The threads, until they are told to stop.
pub(super) struct Threads {
    stop: Sender<()>,
    ended: oneshot::Receiver<()>,
}

impl Threads {
    /// Starts them.
    pub(super) fn start(
        core: &Arc<Core>,
        exposed: &Arc<GraphMetrics>,
        inboxes: Vec<Receiver<Delivery>>,
    ) -> io::Result<Threads> {
        let mut questions = Vec::new();
        for (number, inbox) in inboxes.into_iter().enumerate() {
            let (ask, asked) = bounded(1);
            questions.push(ask);
            let settler = core.guard.settler();
            let core = Arc::clone(core);
            // its end is the tick's to await; a panic is counted where it happens
            drop(task::spawn_thread(
                format!("guard shard {number}"),
                move || serve(&core, settler, &inbox, &asked),
            )?);
        }
        let (stop, stopped) = bounded(1);
        let (end, ended) = oneshot::channel();
        let (core, exposed) = (Arc::clone(core), Arc::clone(exposed));
        drop(task::spawn_thread("guard tick", move || {
            tick(&core, &exposed, &questions, &stopped);
            // an error: nobody listens after the deadline
            end.send(()).unwrap_or_default();
        })?);
        Ok(Threads { stop, ended })
    }

    /// Settles and publishes what is left, and ends them. Cancel-safe: they end on their own all the same.
    pub(super) async fn stop(self) {
        drop(self.stop);
        // an error is a tick that panicked, which was reported where it happened
        drop(self.ended.await);
    }
}

/// A shard's thread.
fn serve(
    core: &Core,
    mut settler: Settler,
    inbox: &Receiver<Delivery>,
    asked: &Receiver<Question>,
) {
    let mut inbox = inbox.clone();
    loop {
        select! {
            recv(inbox) -> delivery => match delivery {
                Ok(delivery) => settler.settle(&delivery.sightings, core.now()),
                // no worker is left; the tick may have questions still
                Err(_) => inbox = never(),
            },
            recv(asked) -> question => match question {
                Ok(Question::Changes(answer)) => reply(&answer, collect(core, &mut settler)),
                Ok(Question::Forget(numbers, answer)) => reply(&answer, settler.forget(&numbers)),
                Ok(Question::Last(answer)) => {
                    for delivery in inbox.try_iter() {
                        settler.settle(&delivery.sightings, core.now());
                    }
                    settler.flush();
                    reply(&answer, collect(core, &mut settler));
                    return;
                }
                Err(_) => return,
            },
        }
    }
}

fn collect(core: &Core, settler: &mut Settler) -> Answer {
    let now = core.now();
    (settler.collect(now), settler.time(now))
}

fn reply<T>(to: &Sender<T>, answer: T) {
    // the channel has room for one and is used once; without a listener the process is on its way out
    drop(to.try_send(answer));
}

/// The tick's thread.
fn tick(
    core: &Core,
    exposed: &GraphMetrics,
    questions: &[Sender<Question>],
    stopped: &Receiver<()>,
) {
    let mut totals = core.guard.totals();
    let mut ageing = Ageing::default();
    loop {
        let is_last = match stopped.recv_timeout(core.tick_interval) {
            Err(RecvTimeoutError::Timeout) => false,
            Ok(()) | Err(RecvTimeoutError::Disconnected) => true,
        };
        let now = publish(core, &mut totals, questions, is_last);
        if is_last {
            return;
        }
        let ask = |numbers| ask_all(questions, &Arc::new(numbers));
        let expired = core.guard.age(&mut ageing, &mut totals, now, ask);
        if let Some(expired) = expired {
            exposed.keep_counts(|| core.guard.publish(&mut totals));
            core.counters.expire(expired);
        }
    }
}

/// Asks all shards at once, then publishes what they answer; says what stream time it is.
fn publish(
    core: &Core,
    totals: &mut Totals,
    questions: &[Sender<Question>],
    is_last: bool,
) -> Nanos {
    let answers: Vec<_> = questions
        .iter()
        .map(|question| {
            put(question, |answer| {
                if is_last {
                    Question::Last(answer)
                } else {
                    Question::Changes(answer)
                }
            })
        })
        .collect();
    let mut changes = Vec::with_capacity(answers.len());
    let mut now = Nanos::default();
    for (shard, answered) in answers.into_iter().enumerate() {
        // what a shard has taken out of its ledger must arrive: wait for it as long as the shard lives
        if let Some((answer, time)) = answered.and_then(|answered| answered.recv().ok()) {
            core.note_stats(shard, answer.stats);
            changes.push(answer);
            now = now.max(time);
        }
    }
    core.guard.tick(totals, &changes);
    now
}

/// Which of these numbers any shard needs; `None` if one does not say.
fn ask_all(questions: &[Sender<Question>], numbers: &Arc<Numbers>) -> Option<Numbers> {
    let answers: Vec<_> = questions
        .iter()
        .map(|question| {
            put(question, |answer| {
                Question::Forget(Arc::clone(numbers), answer)
            })
        })
        .collect();
    let mut kept = Numbers::default();
    for answered in answers {
        kept.add(&answered?.recv().ok()?);
    }
    Some(kept)
}

/// Puts a question to a shard; `None` if it has none of its time for it.
fn put<T>(
    questions: &Sender<Question>,
    ask: impl FnOnce(Sender<T>) -> Question,
) -> Option<Receiver<T>> {
    let (answer, answered) = bounded(1);
    let asked = questions.send_timeout(ask(answer), PATIENCE);
    asked.ok().map(|()| answered)
}
