//! Talking to people on standard error.

use std::io::{self, Write};

/// Prints an error with its causes in one line, outermost first.
pub(super) fn complain(error: &anyhow::Error) {
    say(&format!("error: {error:#}"));
}

/// Prints a line on standard error, which may be closed.
pub(super) fn say(line: &str) {
    drop(writeln!(io::stderr(), "{line}"));
}
