//! What clippy cannot check: the house rules that are about names, files and who may know whom.
//!
//! | file | rule |
//! |---|---|
//! | `imports` | the folders follow the data's way: who may `use` whom, as a table |
//! | `files` | sizes, front pages, where imports stand |
//! | `names` | banned words, one home for each metric and attribute name, how logs speak, what comments may not say |
//! | `reference` | `config/REFERENCE.md` is what the code has: keys with their defaults, metrics, attributes |
//! | `schema` | configuration types as their source says them |
//! | `source` | reading a file: its code, its strings and its comments apart, production apart from tests |
//!
//! A check gathers every offence before it fails, each as `file:line: what, and what to do`. Each rule has a test that
//! gives it an offender, so that it cannot go blind.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]
#![allow(unreachable_pub, reason = "a test binary exports nothing")]

mod files;
mod imports;
mod names;
mod reference;
mod schema;
mod source;

use std::fmt;

/// One offence.
struct Offence {
    path: String,
    line: usize,
    what: String,
}

impl fmt::Display for Offence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path, self.line, self.what)
    }
}

/// Fails with all offences, if there are any.
#[track_caller]
fn none(offences: &[Offence]) {
    let all: Vec<String> = offences.iter().map(ToString::to_string).collect();
    assert!(
        all.is_empty(),
        "{} offences:\n{}",
        all.len(),
        all.join("\n")
    );
}
