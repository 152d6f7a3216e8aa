//! The reference system, played.
