//! What a user writes, and what the binary answers to it: every mistake at once, each with its place and what to do.
//!
//! | file | promise |
//! |---|---|
//! | `shipped` | what stands in `config/` is valid and without warnings |
//! | `mistakes` | one file a mistake under `fixtures/config/bad`, and what is said of it |
//! | `collector` | a Collector's configuration runs as it is; what has no effect here is said |
//! | `commands` | exit codes, arguments, masked secrets, `components`, `--help` |
//! | `metrics` | what a running daemon exposes is in the reference |
//! | `expect` | expected texts in files; `UPDATE_EXPECT=1` writes them anew |
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a test fails by panicking, reads clocks, and spawns what lives as long as it does"
)]
#![allow(unreachable_pub, reason = "a test binary exports nothing")]

#[path = "../support/mod.rs"]
mod support;

mod collector;
mod commands;
mod expect;
mod metrics;
mod mistakes;
mod shipped;

use agentguard::base::Problems;
use agentguard::config::{Document, Env};
use agentguard::service::Plan;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Files with an extension in a folder, sorted.
fn files(folder: &str, extension: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{folder}: {error}"));
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|e| e == extension));
    files.sort();
    files
}

/// A file's name without its folder and extension.
fn stem(path: &Path) -> &str {
    path.file_stem().and_then(|stem| stem.to_str()).unwrap()
}

/// Loads a file under its bare name, with no other file and no variable in reach.
fn load(path: &Path) -> (Document, Problems) {
    let text = fs::read_to_string(path).unwrap();
    let name = path.file_name().and_then(|name| name.to_str()).unwrap();
    let read = |asked: &Path| {
        if asked == Path::new(name) {
            Ok(text.clone())
        } else {
            Err(io::ErrorKind::NotFound.into())
        }
    };
    let env = Env {
        var: &|_| None,
        file: &read,
    };
    Document::load(&[name], &env)
}

/// Everything that is wrong with a file, as `agentguard validate` says it.
fn problems(path: &Path) -> Problems {
    let (document, mut problems) = load(path);
    if !problems.has_errors() {
        drop(Plan::read(&document, &mut problems));
    }
    problems
}
