//! The memory queue in front of every exporter: places are reserved first, then filled.
//!
//! ```text
//! reserve ─▶ Slot ── commit ─▶ [ requests ≤ queue_size, bytes ≤ queue_bytes ] ─▶ pop ─▶ Queued ── dropped ─▶ room again
//!              └─ dropped ─▶ room again                                                 (sent, or given up)
//! ```
//!
//! **Bounds.** Both limits count from the reservation until what was popped is dropped, so requests on their way out are
//! inside them, and a commit always finds its place.
//! **When full:** the reservation is refused, with a delay, and counted by the caller; nothing is dropped here. Who would
//! rather wait ([`Queue::room_for`]) stands in line: one at a time looks for room, so that room that was given back wakes
//! one, and none is passed over.
//! **Not here.** Retry, batching, sending (`delivery`).

use crate::base::sync::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use crate::pipeline::reservation::{Held, Outcome};
use crate::pipeline::{Batch, Cause, Verdict};
use crate::telemetry::QueueReading;
use crate::telemetry::health::Status;
use crossbeam::queue::SegQueue;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Mutex, Notify, oneshot};
use tokio::time::Instant;

/// What `queue_size` counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sizer {
    /// Requests.
    Requests,
    /// Spans, data points, log records.
    Items,
    /// Bytes.
    Bytes,
}

/// The bounds of a queue.
#[derive(Clone, Copy, Debug)]
pub struct QueueSettings {
    /// What `size` counts.
    pub sizer: Sizer,
    /// How much of that fits.
    pub size: u64,
    /// How many bytes fit, whatever `size` counts.
    pub bytes: u64,
}

/// How long a refused sender is asked to wait.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// A bounded queue of batches; many may push and pop.
pub struct Queue {
    name: String,
    settings: QueueSettings,
    /// Unbounded by itself; `used` and `bytes` bound it, because a place comes before an entry.
    entries: SegQueue<Entry>,
    used: AtomicU64,
    bytes: AtomicU64,
    /// The zero of `waiting_since_us`.
    born: Instant,
    /// When the entry popped last was put in, or the queue stopped being empty: no waiting entry is older.
    waiting_since_us: AtomicU64,
    ready: Notify,
    is_closed: AtomicBool,
    /// The first of those who wait for room holds it. A tokio mutex: it is fair, and held while waiting.
    line: Mutex<()>,
    /// How many are in line; without any, giving room back wakes nobody.
    waiting: AtomicUsize,
    /// Room was given back.
    room: Notify,
    /// Whether the exporter panicked, and has sent nothing since.
    is_troubled: AtomicBool,
}

struct Entry {
    batch: Batch,
    at: Instant,
    outcome: Option<oneshot::Sender<Outcome>>,
    room: Room,
}

/// Room taken in a queue; gives it back when dropped.
struct Room {
    queue: Arc<Queue>,
    used: u64,
    bytes: u64,
}

impl Drop for Room {
    fn drop(&mut self) {
        // sequentially consistent with `room_for`: either it sees this room, or we see it waiting
        self.queue.bytes.fetch_sub(self.bytes, Ordering::SeqCst);
        self.queue.used.fetch_sub(self.used, Ordering::SeqCst);
        if self.queue.waiting.load(Ordering::SeqCst) > 0 {
            self.queue.room.notify_one();
        }
    }
}

/// What a batch takes of a queue's bounds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Need {
    used: u64,
    bytes: u64,
}

/// One who waits in line, counted until dropped.
struct InLine<'a>(&'a AtomicUsize);

impl<'a> InLine<'a> {
    fn of(waiting: &'a AtomicUsize) -> Self {
        waiting.fetch_add(1, Ordering::SeqCst);
        InLine(waiting)
    }
}

impl Drop for InLine<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// A place in a queue, not yet filled.
pub struct Slot {
    entry: Entry,
}

impl Held for Slot {
    fn commit(self: Box<Self>) {
        let queue = Arc::clone(&self.entry.room.queue);
        if queue.entries.is_empty() {
            queue.note_waiting_since(self.entry.at);
        }
        queue.entries.push(self.entry);
        queue.ready.notify_one();
    }
}

/// A batch taken from the queue; its room is given back when this is dropped.
pub struct Queued {
    /// The batch.
    pub batch: Batch,
    /// When it was put in.
    pub at: Instant,
    /// Where the sender waits for what becomes of it, if it does.
    pub outcome: Option<oneshot::Sender<Outcome>>,
    _room: Room,
}

impl Queue {
    /// An empty queue; `name` is the exporter's id, for messages.
    #[must_use]
    pub fn new(name: impl Into<String>, settings: QueueSettings) -> Arc<Self> {
        Arc::new(Queue {
            name: name.into(),
            settings,
            entries: SegQueue::new(),
            used: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            born: Instant::now(),
            waiting_since_us: AtomicU64::new(0),
            ready: Notify::new(),
            is_closed: AtomicBool::new(false),
            line: Mutex::new(()),
            waiting: AtomicUsize::new(0),
            room: Notify::new(),
            is_troubled: AtomicBool::new(false),
        })
    }

    /// Holds a place for a batch, with somebody waiting for its outcome or not.
    ///
    /// # Errors
    /// [`Verdict::Refused`] when a bound would be passed or the queue is closed. A batch that is larger than the whole
    /// queue is refused for good.
    pub fn reserve(
        self: &Arc<Self>,
        batch: Batch,
        outcome: Option<oneshot::Sender<Outcome>>,
    ) -> Result<Slot, Verdict> {
        let Need { used, bytes } = self.need(&batch);
        if used > self.settings.size || bytes > self.settings.bytes {
            let source = Cause::new(format!(
                "request of {bytes} bytes is larger than the whole queue of {}",
                self.name
            ));
            return Err(Verdict::Permanent { source });
        }
        // sequentially consistent with `close`: either the place is seen by the one who drains, or the end by us
        let used_before = self.used.fetch_add(used, Ordering::SeqCst);
        let bytes_before = self.bytes.fetch_add(bytes, Ordering::SeqCst);
        let room = Room {
            queue: Arc::clone(self),
            used,
            bytes,
        };
        if self.is_closed.load(Ordering::SeqCst) {
            return Err(self.refusal("is closing"));
        }
        if used_before + used > self.settings.size || bytes_before + bytes > self.settings.bytes {
            return Err(self.refusal("is full"));
        }
        Ok(Slot {
            entry: Entry {
                batch,
                at: Instant::now(),
                outcome,
                room,
            },
        })
    }

    /// What a batch takes of the bounds.
    pub(super) fn need(&self, batch: &Batch) -> Need {
        let bytes = batch.bytes.len() as u64;
        let used = match self.settings.sizer {
            Sizer::Requests => 1,
            Sizer::Items => u64::from(batch.items).max(1),
            Sizer::Bytes => bytes,
        };
        Need { used, bytes }
    }

    /// Waits in line until a batch of this size would fit, or the queue is closed. Nothing is held then: reserve again.
    /// Cancel-safe.
    pub(super) async fn room_for(&self, need: Need) {
        let _place = InLine::of(&self.waiting);
        let _first = self.line.lock().await;
        while !self.is_closed.load(Ordering::SeqCst) && !self.has_room(need) {
            // room given back since the look has left a permit
            self.room.notified().await;
        }
    }

    fn has_room(&self, need: Need) -> bool {
        let used = self.used.load(Ordering::SeqCst) + need.used;
        let bytes = self.bytes.load(Ordering::SeqCst) + need.bytes;
        used <= self.settings.size && bytes <= self.settings.bytes
    }

    /// Whether nothing is inside, reserved, or on its way out.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.used.load(Ordering::SeqCst) == 0
    }

    /// The exporter panicked (`true`), or has sent something again.
    pub(super) fn set_troubled(&self, is_troubled: bool) {
        // relaxed: shown to people only; the look spares the others' caches a write per request
        if self.is_troubled.load(Ordering::Relaxed) != is_troubled {
            self.is_troubled.store(is_troubled, Ordering::Relaxed);
        }
    }

    fn refusal(&self, what: &str) -> Verdict {
        let source = Cause::new(format!("sending queue of {} {what}", self.name));
        Verdict::Refused {
            after: RETRY_AFTER,
            source,
        }
    }

    /// The next batch, waiting for one; `None` once the queue is closed and empty.
    pub async fn pop(&self) -> Option<Queued> {
        loop {
            if let Some(queued) = self.try_pop() {
                return Some(queued);
            }
            if self.is_closed.load(Ordering::Acquire) {
                return self.try_pop();
            }
            self.ready.notified().await;
            if self.is_closed.load(Ordering::Acquire) {
                // one stored permit wakes one waiter: pass it on until all have seen the end
                self.ready.notify_one();
            }
        }
    }

    /// The next batch if there is one.
    pub fn try_pop(&self) -> Option<Queued> {
        let Entry {
            batch,
            at,
            outcome,
            room,
        } = self.entries.pop()?;
        self.note_waiting_since(at);
        if !self.entries.is_empty() {
            // two commits between a look and a wait leave one permit; this wakes the second consumer
            self.ready.notify_one();
        }
        Some(Queued {
            batch,
            at,
            outcome,
            _room: room,
        })
    }

    /// Takes no more; `pop` ends when what is inside has been taken.
    pub fn close(&self) {
        // pairs with the loads in `pop`, `reserve` and `room_for`
        self.is_closed.store(true, Ordering::SeqCst);
        self.ready.notify_waiters();
        self.ready.notify_one();
        self.room.notify_one();
    }

    /// Whether it takes no more.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.is_closed.load(Ordering::Relaxed)
    }

    /// How much of `size` is used, in the sizer's unit, requests on their way out included.
    #[must_use]
    pub fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    /// Bytes held, requests on their way out included.
    #[must_use]
    pub fn used_bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// The bounds.
    #[must_use]
    pub fn settings(&self) -> QueueSettings {
        self.settings
    }

    /// An upper bound on the age of the oldest batch that waits; zero when none does.
    #[must_use]
    pub fn oldest_age(&self) -> Duration {
        if self.entries.is_empty() {
            return Duration::ZERO;
        }
        let since =
            self.born + Duration::from_micros(self.waiting_since_us.load(Ordering::Relaxed));
        Instant::now().saturating_duration_since(since)
    }

    fn note_waiting_since(&self, at: Instant) {
        let us =
            u64::try_from(at.saturating_duration_since(self.born).as_micros()).unwrap_or(u64::MAX);
        self.waiting_since_us.store(us, Ordering::Relaxed);
    }
}

impl QueueReading for Queue {
    fn size(&self) -> u64 {
        self.used()
    }

    fn capacity(&self) -> u64 {
        self.settings.size
    }

    fn bytes(&self) -> u64 {
        self.used_bytes()
    }

    fn oldest(&self) -> Option<Duration> {
        Some(self.oldest_age()).filter(|age| !age.is_zero())
    }

    fn status(&self) -> Status {
        if self.is_troubled.load(Ordering::Relaxed) {
            return Status::Recoverable("the exporter panicked; what it held is lost".to_owned());
        }
        Status::Ok
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests join what they spawn")]
mod tests {
    use super::*;
    use crate::otlp::Signal;
    use bytes::Bytes;

    fn batch(bytes: usize) -> Batch {
        Batch {
            signal: Signal::Traces,
            bytes: Bytes::from(vec![0; bytes]),
            items: 3,
        }
    }

    fn queue(sizer: Sizer, size: u64, bytes: u64) -> Arc<Queue> {
        Queue::new("test", QueueSettings { sizer, size, bytes })
    }

    #[tokio::test]
    async fn a_place_is_given_back_when_it_is_not_filled() {
        let queue = queue(Sizer::Requests, 1, 100);
        let slot = queue.reserve(batch(10), None).unwrap();
        assert!(matches!(
            queue.reserve(batch(10), None),
            Err(Verdict::Refused { .. })
        ));
        drop(slot);
        Box::new(queue.reserve(batch(10), None).unwrap()).commit();
        assert_eq!((queue.used(), queue.used_bytes()), (1, 10));
    }

    #[tokio::test]
    async fn room_is_held_until_what_was_popped_is_dropped() {
        let queue = queue(Sizer::Bytes, 30, 1000);
        for _ in 0..3 {
            Box::new(queue.reserve(batch(10), None).unwrap()).commit();
        }
        let first = queue.pop().await.unwrap();
        assert!(queue.reserve(batch(10), None).is_err());
        drop(first);
        assert!(queue.reserve(batch(10), None).is_ok());
    }

    #[tokio::test]
    async fn a_batch_larger_than_the_queue_is_refused_for_good() {
        let queue = queue(Sizer::Items, 2, 1000);
        assert!(matches!(
            queue.reserve(batch(10), None),
            Err(Verdict::Permanent { .. })
        ));
    }

    #[tokio::test]
    async fn closing_ends_every_waiting_consumer_after_the_last_batch() {
        let queue = queue(Sizer::Requests, 10, 1000);
        let consumers: Vec<_> = (0..4)
            .map(|_| {
                let queue = Arc::clone(&queue);
                tokio::spawn(async move {
                    let mut taken = 0;
                    while queue.pop().await.is_some() {
                        taken += 1;
                    }
                    taken
                })
            })
            .collect();
        tokio::task::yield_now().await;
        for _ in 0..7 {
            Box::new(queue.reserve(batch(1), None).unwrap()).commit();
        }
        queue.close();
        let mut taken = 0;
        for consumer in consumers {
            taken += tokio::time::timeout(Duration::from_secs(5), consumer)
                .await
                .unwrap()
                .unwrap();
        }
        assert_eq!(taken, 7);
        assert!(queue.reserve(batch(1), None).is_err());
    }
}
