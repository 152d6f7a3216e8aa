//! All or nothing: places are held everywhere, then filled at once (D6).

use crate::pipeline::{Batch, BoxFuture, Cause, Consumer, Verdict};
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

/// What became of a batch that a sender waits for.
pub type Outcome = Result<(), Verdict>;

/// A place held somewhere; dropping it gives the place back.
pub trait Held: Send {
    /// Fills the place. Cannot fail and does not wait.
    fn commit(self: Box<Self>);
}

/// What refused a place and may give way: a full queue whose senders are made to wait (`block_on_overflow`).
pub trait Obstacle: Send + Sync {
    /// Waits until it is worth trying again; holds nothing then. Cancel-safe.
    fn passed(&self) -> BoxFuture<'_, ()>;

    /// The sender has been told to come back; who was made to wait counts only now.
    fn stood(&self);
}

/// The places held for one request.
#[derive(Default)]
pub struct Reservation {
    held: Vec<Box<dyn Held>>,
    outcomes: Vec<oneshot::Receiver<Outcome>>,
    obstacle: Option<Box<dyn Obstacle>>,
}

impl Reservation {
    /// Reserves everywhere. Where a queue is full and its senders wait, it waits for room there at most until `patience`
    /// is over, holding no place elsewhere meanwhile: two requests that each held what the other waits for would stand
    /// still together.
    ///
    /// # Errors
    /// The verdict of the first that cannot take it.
    pub async fn obtain(
        consumer: &dyn Consumer,
        batch: Batch,
        patience: Duration,
    ) -> Result<Self, Verdict> {
        let mut until = None;
        loop {
            let mut reservation = Reservation::default();
            let Err(verdict) = consumer.reserve(batch.clone(), &mut reservation) else {
                return Ok(reservation);
            };
            let Some(obstacle) = reservation.obstacle.take() else {
                return Err(verdict);
            };
            drop(reservation);
            let until = *until.get_or_insert_with(|| Instant::now() + patience);
            let is_over = Instant::now() >= until;
            if is_over || timeout_at(until, obstacle.passed()).await.is_err() {
                obstacle.stood();
                return Err(verdict);
            }
        }
    }

    /// Says what stands in the way, before a refusal is returned.
    pub fn blocked_by(&mut self, obstacle: impl Obstacle + 'static) {
        self.obstacle = Some(Box::new(obstacle));
    }

    /// Adds a place.
    pub fn hold(&mut self, place: impl Held + 'static) {
        self.held.push(Box::new(place));
    }

    /// Makes the sender's answer wait for this outcome (`sending_queue.wait_for_result`).
    pub fn wait_for(&mut self, outcome: oneshot::Receiver<Outcome>) {
        self.outcomes.push(outcome);
    }

    /// Fills every place.
    #[must_use = "the sender may have to wait for the outcome"]
    pub fn commit(self) -> Completion {
        for place in self.held {
            place.commit();
        }
        Completion {
            outcomes: self.outcomes,
        }
    }
}

/// What a committed request still waits for; usually nothing.
pub struct Completion {
    outcomes: Vec<oneshot::Receiver<Outcome>>,
}

impl Completion {
    /// Waits until each exporter that was asked to report has done so; the first failure is the answer.
    ///
    /// # Errors
    /// The verdict of the first exporter that did not deliver.
    pub async fn wait(self) -> Outcome {
        let mut first = Ok(());
        for outcome in self.outcomes {
            let outcome = outcome.await.unwrap_or_else(|_| Err(abandoned()));
            first = first.and(outcome);
        }
        first
    }
}

/// The answer when an exporter ended before it had one.
fn abandoned() -> Verdict {
    Verdict::Retry {
        after: None,
        source: Cause::new("the exporter ended before the next hop had answered"),
    }
}
