//! Pieces of JSON text.

use std::fmt;
use std::io::Write as _;

/// Appends what prints without quotes.
pub(super) fn shown(text: fmt::Arguments<'_>, out: &mut Vec<u8>) {
    let written = out.write_fmt(text);
    debug_assert!(written.is_ok(), "a Vec takes every write");
}

/// Appends a string with its quotes and escapes.
pub(super) fn quoted(text: &str, out: &mut Vec<u8>) {
    let written = serde_json::to_writer(out, text);
    debug_assert!(written.is_ok(), "a Vec takes every write");
}
