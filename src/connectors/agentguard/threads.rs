//! The guard's threads: one a shard, and one for the tick.
//!
//! ```text
//! inbox [requests, spans] ─▶ shard ◀─ questions [1] ─ tick, every tick_interval ─▶ published
//! ```
//!
//! **Bounds.** The inbox's; one question at a time. **Invariant.** A shard answers between two requests, so that a tick
//! sees whole requests. Told to stop, it settles what is in its inbox first.

use super::Core;
use super::inbox::Delivery;
use crate::graph::Changes;
use crate::guard::{Settler, Ticker};
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
    Changes(Sender<Changes>),
    /// Settle everything (B-09), then say what has changed, and end.
    Last(Sender<Changes>),
}

/// The threads, until they are told to stop.
pub(super) struct Threads {
    stop: Sender<()>,
    ended: oneshot::Receiver<()>,
}

impl Threads {
    /// Starts them.
    pub(super) fn start(core: &Arc<Core>, inboxes: Vec<Receiver<Delivery>>) -> io::Result<Threads> {
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
        let core = Arc::clone(core);
        drop(task::spawn_thread("guard tick", move || {
            tick(&core, &questions, &stopped);
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
                Ok(Question::Changes(answer)) => reply(&answer, settler.collect(core.now())),
                Ok(Question::Last(answer)) => {
                    for delivery in inbox.try_iter() {
                        settler.settle(&delivery.sightings, core.now());
                    }
                    settler.flush();
                    reply(&answer, settler.collect(core.now()));
                    return;
                }
                Err(_) => return,
            },
        }
    }
}

fn reply(answer: &Sender<Changes>, changes: Changes) {
    // the channel has room for one and is used once; without a listener the process is on its way out
    drop(answer.try_send(changes));
}

/// The tick's thread.
fn tick(core: &Core, questions: &[Sender<Question>], stopped: &Receiver<()>) {
    let mut ticker = core.guard.ticker();
    loop {
        let is_last = match stopped.recv_timeout(core.tick_interval) {
            Err(RecvTimeoutError::Timeout) => false,
            Ok(()) | Err(RecvTimeoutError::Disconnected) => true,
        };
        publish(core, &mut ticker, questions, is_last);
        if is_last {
            return;
        }
    }
}

/// Asks all shards at once, then publishes what they answer.
fn publish(core: &Core, ticker: &mut Ticker, questions: &[Sender<Question>], is_last: bool) {
    let answers: Vec<_> = questions
        .iter()
        .map(|question| {
            let (answer, answered) = bounded(1);
            let asked = if is_last {
                Question::Last(answer)
            } else {
                Question::Changes(answer)
            };
            question
                .send_timeout(asked, PATIENCE)
                .ok()
                .map(|()| answered)
        })
        .collect();
    let mut changes = Vec::with_capacity(answers.len());
    for (shard, answered) in answers.into_iter().enumerate() {
        // what a shard has taken out of its ledger must arrive: wait for it as long as the shard lives
        if let Some(answer) = answered.and_then(|answered| answered.recv().ok()) {
            core.note_stats(shard, answer.stats);
            changes.push(answer);
        }
    }
    core.guard.tick(ticker, &changes);
}
