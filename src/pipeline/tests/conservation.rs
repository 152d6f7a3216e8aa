//! A queue's bookkeeping under any interleaving: never above its bounds, back at zero, first in first out.
#![expect(clippy::disallowed_methods, reason = "tests join what they spawn")]

use crate::otlp::Signal;
use crate::pipeline::{Batch, Held, Queue, QueueSettings, Queued, Sizer, Slot};
use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;
use std::collections::VecDeque;
use std::sync::Arc;

#[derive(Clone, Debug)]
enum Step {
    Reserve { bytes: usize, items: u32 },
    Commit(usize),
    Abandon(usize),
    Pop,
    Finish(usize),
    Close,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => (0_usize..60, 0_u32..8).prop_map(|(bytes, items)| Step::Reserve { bytes, items }),
        4 => any::<usize>().prop_map(Step::Commit),
        2 => any::<usize>().prop_map(Step::Abandon),
        4 => Just(Step::Pop),
        3 => any::<usize>().prop_map(Step::Finish),
        1 => Just(Step::Close),
    ];
    vec(step, 0..120)
}

fn queue_settings() -> impl Strategy<Value = QueueSettings> {
    let sizer = prop_oneof![
        Just(Sizer::Requests),
        Just(Sizer::Items),
        Just(Sizer::Bytes)
    ];
    (sizer, 1_u64..40, 1_u64..200).prop_map(|(sizer, size, bytes)| QueueSettings {
        sizer,
        size,
        bytes,
    })
}

/// What the queue should say of itself.
#[derive(Default)]
struct Model {
    used: u64,
    bytes: u64,
}

impl Model {
    fn weigh(settings: QueueSettings, batch: &Batch) -> (u64, u64) {
        let bytes = batch.bytes.len() as u64;
        let used = match settings.sizer {
            Sizer::Requests => 1,
            Sizer::Items => u64::from(batch.items).max(1),
            Sizer::Bytes => bytes,
        };
        (used, bytes)
    }
}

fn take<T>(from: &mut Vec<T>, at: usize) -> Option<T> {
    (!from.is_empty()).then(|| from.swap_remove(at % from.len()))
}

struct Run {
    queue: Arc<Queue>,
    settings: QueueSettings,
    model: Model,
    reserved: Vec<(Slot, Batch, u8)>,
    waiting: VecDeque<(Batch, u8)>,
    popped: Vec<(Queued, Batch)>,
    next: u8,
    is_closed: bool,
}

impl Run {
    fn reserve(&mut self, bytes: usize, items: u32) {
        self.next = self.next.wrapping_add(1);
        let batch = Batch {
            signal: Signal::Traces,
            bytes: Bytes::from(vec![self.next; bytes]),
            items,
        };
        let (used, bytes) = Model::weigh(self.settings, &batch);
        let fits = self.model.used + used <= self.settings.size
            && self.model.bytes + bytes <= self.settings.bytes;
        let reserved = self.queue.reserve(batch.clone(), None);
        assert_eq!(reserved.is_ok(), fits && !self.is_closed);
        if let Ok(slot) = reserved {
            self.model.used += used;
            self.model.bytes += bytes;
            self.reserved.push((slot, batch, self.next));
        }
    }

    fn give_back(&mut self, batch: &Batch) {
        let (used, bytes) = Model::weigh(self.settings, batch);
        self.model.used -= used;
        self.model.bytes -= bytes;
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Reserve { bytes, items } => self.reserve(*bytes, *items),
            Step::Commit(at) => {
                if let Some((slot, batch, number)) = take(&mut self.reserved, *at) {
                    Box::new(slot).commit();
                    self.waiting.push_back((batch, number));
                }
            }
            Step::Abandon(at) => {
                if let Some((slot, batch, _)) = take(&mut self.reserved, *at) {
                    drop(slot);
                    self.give_back(&batch);
                }
            }
            Step::Pop => {
                let popped = self.queue.try_pop();
                let expected = self.waiting.pop_front();
                let bytes = popped.as_ref().map(|queued| queued.batch.bytes.clone());
                assert_eq!(
                    bytes,
                    expected.as_ref().map(|(batch, _)| batch.bytes.clone())
                );
                self.popped
                    .extend(popped.zip(expected.map(|(batch, _)| batch)));
            }
            Step::Finish(at) => {
                if let Some((queued, batch)) = take(&mut self.popped, *at) {
                    drop(queued);
                    self.give_back(&batch);
                }
            }
            Step::Close => {
                self.queue.close();
                self.is_closed = true;
            }
        }
        assert_eq!(self.queue.used(), self.model.used);
        assert_eq!(self.queue.used_bytes(), self.model.bytes);
        assert!(self.model.used <= self.settings.size && self.model.bytes <= self.settings.bytes);
    }
}

proptest! {
    /// R-STR-6: bounded, and nothing leaks.
    #[test]
    fn a_queue_stays_within_its_bounds_keeps_its_order_and_ends_empty(settings in queue_settings(), steps in steps()) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let _inside = runtime.enter();
        let mut run = Run {
            queue: Queue::new("test", settings),
            settings,
            model: Model::default(),
            reserved: Vec::new(),
            waiting: VecDeque::new(),
            popped: Vec::new(),
            next: 0,
            is_closed: false,
        };
        for step in &steps {
            run.step(step);
        }
        run.reserved.clear();
        run.popped.clear();
        while run.queue.try_pop().is_some() {}
        prop_assert_eq!((run.queue.used(), run.queue.used_bytes()), (0, 0));
        prop_assert!(run.queue.is_settled());
    }
}

/// Real threads: whatever was committed is popped exactly once, and the bounds hold for what is inside at any moment.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_at_once_lose_and_double_nothing() {
    const EACH: u32 = 2_000;
    let settings = QueueSettings {
        sizer: Sizer::Requests,
        size: 8,
        bytes: 1 << 20,
    };
    let queue = Queue::new("test", settings);
    let consumers: Vec<_> = (0..3)
        .map(|_| {
            let queue = Arc::clone(&queue);
            tokio::spawn(async move {
                let mut seen = Vec::new();
                while let Some(queued) = queue.pop().await {
                    seen.push(u32::from_be_bytes(
                        queued.batch.bytes[..].try_into().unwrap(),
                    ));
                }
                seen
            })
        })
        .collect();
    let producers: Vec<_> = (0..3)
        .map(|producer| {
            let queue = Arc::clone(&queue);
            tokio::spawn(async move {
                for number in 0..EACH {
                    let batch = Batch {
                        signal: Signal::Traces,
                        bytes: Bytes::copy_from_slice(&(producer * EACH + number).to_be_bytes()),
                        items: 1,
                    };
                    loop {
                        match queue.reserve(batch.clone(), None) {
                            Ok(slot) => break Box::new(slot).commit(),
                            Err(_) => tokio::task::yield_now().await,
                        }
                    }
                }
            })
        })
        .collect();
    for producer in producers {
        producer.await.unwrap();
    }
    queue.close();
    let mut all = Vec::new();
    for consumer in consumers {
        all.extend(consumer.await.unwrap());
    }
    all.sort_unstable();
    assert_eq!(all, (0..3 * EACH).collect::<Vec<_>>());
    assert!(queue.is_settled());
}
