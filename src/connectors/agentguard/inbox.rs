//! A shard's inbox: room is held first, then filled (D6).
//!
//! **Bounds.** Requests and spans, counted from the reservation until the shard has settled them. **When full:** the
//! reservation is refused and the sender keeps its request; nothing is dropped here.
//! **Invariant.** The channel has a place for every request that holds room, so filling it cannot fail while the shard
//! lives. What waits here keeps its epoch from ending.

use crate::base::sync::{AtomicUsize, Ordering};
use crate::graph::Epoch;
use crate::scan::Sighting;
use crossbeam::channel::{Receiver, Sender, bounded};
use std::sync::Arc;

/// The sending half, shared by all workers.
pub(super) struct Inbox {
    requests: usize,
    spans: usize,
    held_requests: AtomicUsize,
    held_spans: AtomicUsize,
    tx: Sender<Delivery>,
}

/// Room held in an inbox; given back when dropped.
pub(super) struct Room {
    inbox: Arc<Inbox>,
    spans: usize,
}

/// A request's sightings for one shard, and the room that they take until they are settled.
pub(super) struct Delivery {
    pub(super) sightings: Vec<Sighting>,
    _room: Room,
    _epoch: Arc<Epoch>,
}

impl Inbox {
    /// An inbox for so many requests and so many spans.
    pub(super) fn new(requests: usize, spans: usize) -> (Arc<Inbox>, Receiver<Delivery>) {
        let (tx, rx) = bounded(requests);
        let inbox = Inbox {
            requests,
            spans,
            held_requests: AtomicUsize::new(0),
            held_spans: AtomicUsize::new(0),
            tx,
        };
        (Arc::new(inbox), rx)
    }

    /// Holds room for so many spans of one request. A request larger than the whole inbox finds room when it is empty.
    pub(super) fn hold(self: &Arc<Self>, spans: usize) -> Option<Room> {
        let one_more = |held: usize| (held < self.requests).then_some(held + 1);
        self.held_requests
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more)
            .ok()?;
        let more = |held: usize| (held == 0 || held + spans <= self.spans).then_some(held + spans);
        let fits = self
            .held_spans
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
        if fits.is_err() {
            self.held_requests.fetch_sub(1, Ordering::Relaxed);
            return None;
        }
        Some(Room {
            inbox: Arc::clone(self),
            spans,
        })
    }

    /// Spans that hold room.
    pub(super) fn depth(&self) -> usize {
        self.held_spans.load(Ordering::Relaxed)
    }

    /// Whether another request would be refused whatever its size.
    pub(super) fn is_full(&self) -> bool {
        self.held_requests.load(Ordering::Relaxed) >= self.requests || self.depth() >= self.spans
    }
}

impl Room {
    /// Fills the room with sightings, whose numbers are of that epoch. Hands back how many spans found nobody: the shard has
    /// gone.
    pub(super) fn fill(self, sightings: Vec<Sighting>, epoch: Arc<Epoch>) -> Result<(), usize> {
        let tx = self.inbox.tx.clone();
        let delivery = Delivery {
            sightings,
            _room: self,
            _epoch: epoch,
        };
        tx.try_send(delivery)
            .map_err(|lost| lost.into_inner().sightings.len())
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.inbox
            .held_spans
            .fetch_sub(self.spans, Ordering::Relaxed);
        self.inbox.held_requests.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_counted_until_it_is_settled_or_given_up() {
        let (inbox, rx) = Inbox::new(2, 10);
        let first = inbox.hold(6).unwrap();
        assert!(inbox.hold(5).is_none(), "too many spans");
        let second = inbox.hold(4).unwrap();
        assert!(inbox.hold(0).is_none(), "too many requests");
        drop(second);
        assert_eq!(first.fill(Vec::new(), Arc::default()), Ok(()));
        assert_eq!(inbox.depth(), 6, "waiting, not settled");
        drop(rx.recv().unwrap());
        assert_eq!(inbox.depth(), 0);
        let large = inbox.hold(1_000).unwrap();
        assert!(inbox.is_full() && inbox.hold(1).is_none());
        drop((large, rx));
        assert_eq!(
            inbox.hold(1).unwrap().fill(Vec::new(), Arc::default()),
            Err(0),
            "nobody there"
        );
        assert_eq!(inbox.depth(), 0);
    }
}
