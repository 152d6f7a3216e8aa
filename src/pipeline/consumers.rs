//! The tasks that empty one queue, watched together.
//!
//! **Bounds.** As many as `num_consumers`.
//! **Invariants.** They end with their owner.
//! **Not here.** What they do (`delivery`).

use crate::telemetry::task::{Ended, Task};
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::Poll;

/// Running tasks; dropping this aborts them.
pub(super) struct Consumers(Vec<Task>);

impl Consumers {
    /// Starts so many.
    pub(super) fn start(number: usize, start: &impl Fn() -> Task) -> Self {
        Consumers((0..number).map(|_| start()).collect())
    }

    /// One more.
    pub(super) fn add(&mut self, task: Task) {
        self.0.push(task);
    }

    /// How the next one ended; `None` when none is left. Cancel-safe.
    pub(super) async fn next_end(&mut self) -> Option<Result<(), Ended>> {
        if self.0.is_empty() {
            return None;
        }
        let (index, ended) = poll_fn(|ctx| {
            for (index, task) in self.0.iter_mut().enumerate() {
                if let Poll::Ready(ended) = Pin::new(task).poll(ctx) {
                    return Poll::Ready((index, ended));
                }
            }
            Poll::Pending
        })
        .await;
        drop(self.0.swap_remove(index));
        Some(ended)
    }

    /// Ends all at their next await, and waits for that.
    pub(super) async fn end(&mut self) {
        for task in &self.0 {
            task.abort();
        }
        while self.next_end().await.is_some() {}
    }
}

impl Drop for Consumers {
    fn drop(&mut self) {
        for task in &self.0 {
            task.abort();
        }
    }
}
