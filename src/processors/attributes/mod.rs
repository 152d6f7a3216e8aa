//! Processor `attributes`: puts attributes into spans, log records and data points, changes and removes them.
//!
//! ```text
//! batch ─▶ splice: each item's attributes against the actions, in one pass ─▶ the same batch, other bytes ─▶ next
//! ```
//!
//! Actions run in their order, as in the Collector: a later one sees what an earlier one did. The work is done on the
//! request clock, inside `reserve`.
//!
//! **Bounds.** At most 64 keys; a splice's scratch per thread, whose bound the splice states.
//! **Invariants.** Whatever the actions do not name is passed on byte for byte (R-STR-4). Where actions cannot be carried
//! out in full the batch is refused for good, never passed on half edited.
//! **Not here.** Attributes of resources, events and links; masking by pattern (a redaction's work).

mod config;
mod edit;
#[cfg(test)]
mod tests;

pub use config::{ActionConfig, AttributeValue, AttributesConfig, Mistake};

use crate::otlp::{Malformed, Signal, Splice};
use crate::pipeline::{Batch, Cause, Consumer, Reservation, Verdict};
use bytes::Bytes;
use edit::{Actions, Run};
use std::cell::RefCell;
use std::sync::Arc;

/// The signals whose pipelines may hold this processor: all.
pub const SIGNALS: [Signal; 3] = Signal::ALL;

thread_local! {
    static SPLICE: RefCell<Splice> = RefCell::new(Splice::new());
}

/// Edits every batch on its way to the next consumer.
pub struct AttributesProcessor {
    actions: Actions,
    next: Arc<dyn Consumer>,
}

impl AttributesProcessor {
    /// Prepares the actions.
    ///
    /// # Errors
    /// All mistakes of the configuration, each with its place in it.
    pub fn build(config: &AttributesConfig, next: Arc<dyn Consumer>) -> Result<Self, Vec<Mistake>> {
        Ok(AttributesProcessor {
            actions: config.actions()?,
            next,
        })
    }

    fn edited(&self, batch: &Batch) -> Result<Bytes, Malformed> {
        let mut run = Run::new(&self.actions);
        SPLICE.with(|splice| match splice.try_borrow_mut() {
            Ok(mut splice) => splice.run(batch.signal, &batch.bytes, &mut run),
            Err(_) => Splice::new().run(batch.signal, &batch.bytes, &mut run),
        })
    }
}

impl Consumer for AttributesProcessor {
    fn reserve(&self, batch: Batch, reservation: &mut Reservation) -> Result<(), Verdict> {
        let bytes = self
            .edited(&batch)
            .map_err(|malformed| Verdict::Permanent {
                source: Cause::new(malformed.to_string()),
            })?;
        self.next.reserve(Batch { bytes, ..batch }, reservation)
    }
}
