//! All or nothing: places are held everywhere, then filled at once (D6).

use crate::pipeline::Verdict;
use tokio::sync::oneshot;

/// What became of a batch that a sender waits for.
pub type Outcome = Result<(), Verdict>;

/// A place held somewhere; dropping it gives the place back.
pub trait Held: Send {
    /// Fills the place. Cannot fail and does not wait.
    fn commit(self: Box<Self>);
}

/// The places held for one request.
#[derive(Default)]
pub struct Reservation {
    held: Vec<Box<dyn Held>>,
    outcomes: Vec<oneshot::Receiver<Outcome>>,
}

impl Reservation {
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
            // a closed channel is an exporter that was shut down: it has counted the loss itself
            if let Ok(Err(verdict)) = outcome.await
                && first.is_ok()
            {
                first = Err(verdict);
            }
        }
        first
    }
}
