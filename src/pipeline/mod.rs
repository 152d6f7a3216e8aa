//! What components owe each other: batches, reservations, verdicts, queues.
//!
//! ```text
//! receiver ─▶ Consumer::reserve(batch) ─▶ processors ─▶ connector ─┬▶ exporter's queue: a place held
//!                 │                                                └▶ exporter's queue: a place held
//!                 └─ all held: Reservation::commit ─▶ acknowledged;  one refused: dropped, nothing was kept (D6)
//! ```
//!
//! **Invariants.** Between `reserve` and `commit` nothing waits and nothing can fail; what is dropped uncommitted leaves
//! no trace.
//! **Not here.** What a batch means (`guard`), how bytes travel (`receivers`, `exporters`).

mod batch;
mod component;
pub mod compression;
mod consumers;
mod delivery;
mod factory;
mod parcel;
mod partial;
mod queue;
mod reservation;
mod retry;
mod shared;
mod source;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod verdict;

pub use batch::Batch;
pub use component::{BoxFuture, Component, Consumer, Exporter, Fanout, Outgoing};
pub use delivery::{BatchSettings, BatchSizer, Delivery, DeliveryComponent, DeliverySettings};
pub use factory::{
    BuildContext, BuiltProcessor, ComponentId, Configure, Connector, ConnectorConfig,
    ConnectorFactory, Described, ExporterConfig, ExporterFactory, ExtensionConfig,
    ExtensionFactory, Outputs, ProcessorConfig, ProcessorFactory, ReceiverConfig, ReceiverFactory,
};
pub use partial::PartialSuccess;
pub use queue::{Queue, QueueSettings, Queued, Sizer, Slot};
pub use reservation::{Completion, Held, Obstacle, Outcome, Reservation};
pub use retry::{Backoff, RetrySettings};
pub use shared::Shared;
pub use source::SourceOffer;
pub use verdict::{Cause, Verdict};
