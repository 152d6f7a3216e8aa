//! One span → who is it, and what does it say of its call.
//!
//! ```text
//! resource ─▶ Origin (service, namespace, realm) ──────┐        first sight of a name ─▶ NodeKey ─▶ Intern ─▶ NodeId
//! span ─▶ facts (one pass, alias table) ─▶ class (role)┴▶ words ─▶ worker's cache ─────────────────────────────▶ Sighting
//! ```
//!
//! **Bounds.** A sighting is `Copy` and at most 128 bytes. A worker's caches hold so many entries and are emptied when
//! full. No allocation per span: a name is normalised when it is first seen.
//! **Invariants.** A sighting is a pure function of one span, its scope and its resource, but for the numbers of nodes.
//! **Not here.** Parents, calls, counts (`graph`): nothing here knows a second span.

mod alias;
mod arguments;
mod cache;
mod classify;
mod facts;
pub mod hash;
mod identity;
mod kind;
mod links;
mod logfire;
mod lookup;
mod model;
mod origin;
mod outcome;
mod peer;
mod scanner;
mod sighting;
mod steps;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
mod text;
mod transport;

pub use identity::{Intern, Interned, Known, NodeKey};
pub use kind::{EdgeKind, NodeKind, Outcome, Role};
pub use links::links;
pub use origin::{MAX_REALM_KEYS, Origin};
pub use scanner::{Dialect, ScanSettings, Scanned, Scanner, Scope, Skip};
pub use sighting::{Flags, NO_NODE, Sighting};
