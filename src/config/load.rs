//! Sources → one merged, expanded tree.
//!
//! ```text
//! --config a.yaml ──┐
//! --config yaml:… ──┼─▶ parse each ─▶ merge, later over earlier ─▶ expand `${…}` ─▶ Document
//! --config env:NAME ┘
//! ```
//!
//! Merging comes before expansion, so that a value that a later source replaces need not be expandable.
//!
//! **Invariants.** A source that cannot be read or parsed is a problem and counts as empty; the others are still checked.
//! **Not here.** The process's environment and files: both are functions that the caller passes ([`Env::process`] is the
//! real one), so that every test has its own.

use crate::base::{Place, Problems};
use crate::config::document::{MAX_TEXT, measure, parse};
use crate::config::expand::expand;
use crate::config::merge::{merge, split_keys};
use crate::config::node::{MAX_DEPTH, Mark, Node, Value};
use crate::config::{Section, print};
use std::fmt;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

/// How variables and files are read.
pub struct Env<'a> {
    /// A variable's value, if it is set.
    pub var: &'a dyn Fn(&str) -> Option<String>,
    /// A file's text; a file that is not UTF-8 or larger than a configuration can be is an error.
    pub file: &'a dyn Fn(&Path) -> io::Result<String>,
}

impl Env<'static> {
    /// The environment and files of this process.
    #[must_use]
    pub fn process() -> Self {
        Env {
            var: &|name| std::env::var(name).ok(),
            file: &read_file,
        }
    }
}

/// Reads no more than the limit, so that `/dev/zero` is an error and not the end.
fn read_file(path: &Path) -> io::Result<String> {
    let limit = u64::try_from(MAX_TEXT).unwrap_or(u64::MAX);
    let mut text = String::new();
    let read = std::fs::File::open(path)?
        .take(limit + 1)
        .read_to_string(&mut text)?;
    if read > MAX_TEXT {
        return Err(io::Error::other(format!(
            "it is larger than {MAX_TEXT} bytes"
        )));
    }
    Ok(text)
}

/// What stands for a file's name in the places of a `yaml:` source.
const INLINE: &str = "<yaml>";

/// A configuration before it is typed. Its `Debug` shows no values, among which are secrets.
#[derive(Clone)]
pub struct Document {
    root: Node,
}

impl fmt::Debug for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Document").finish_non_exhaustive()
    }
}

impl Document {
    /// Reads, merges and expands the sources: a path, `file:PATH`, `yaml:TEXT` or `env:NAME`, the later over the earlier.
    ///
    /// Always gives a document, so that what could be read is checked too; whether it may be used is for the problems to say.
    #[must_use]
    pub fn load<S: AsRef<str>>(sources: &[S], env: &Env<'_>) -> (Document, Problems) {
        let mut problems = Problems::new();
        let first = sources.first().map_or("configuration", AsRef::as_ref);
        let file = first.strip_prefix("file:").unwrap_or(first);
        let name: Arc<str> = if file.starts_with("yaml:") {
            INLINE.into()
        } else {
            file.into()
        };
        let mark = Mark {
            file: name,
            line: 0,
            column: 0,
        };
        let mut root = Node {
            mark,
            value: Value::Map(Vec::new()),
        };
        for source in sources {
            let Some(tree) = read(source.as_ref(), env, &mut problems) else {
                continue;
            };
            if tree.is_null() || matches!(tree.value, Value::Map(_)) {
                merge(&mut root, tree);
            } else {
                let mut place = Place::root(&tree.mark.file);
                (place.line, place.column) = (tree.mark.line, tree.mark.column);
                let message = format!("expected a section with keys, found {}", tree.describe());
                problems.error(
                    place,
                    message,
                    "begin with `receivers:`, `exporters:` or `service:`",
                );
            }
        }
        expand(&mut root, env, &mut problems);
        (Document { root }, problems)
    }

    /// The whole document.
    #[must_use]
    pub fn root(&self) -> Section<'_> {
        Section::of_root(&self.root)
    }

    /// The document as YAML that loads to the same document; with `masked`, what looks like a secret is shown as
    /// `[redacted]`.
    #[must_use]
    pub fn to_yaml(&self, masked: bool) -> String {
        print::to_yaml(&self.root, masked)
    }
}

/// Reads and parses one source.
fn read(source: &str, env: &Env<'_>, problems: &mut Problems) -> Option<Node> {
    if let Some(text) = source.strip_prefix("yaml:") {
        return inline(text, problems);
    }
    if let Some(name) = source.strip_prefix("env:") {
        let file: Arc<str> = source.into();
        let Some(text) = (env.var)(name) else {
            let message = format!("the environment variable `{name}` is not set");
            problems.error(
                Place::root(&file),
                message,
                "it should hold a whole configuration",
            );
            return None;
        };
        return parse(&file, &text, problems);
    }
    for scheme in ["http:", "https:"] {
        if source.starts_with(scheme) {
            let message = format!("`{scheme}` sources are not read");
            problems.error(Place::root(source), message, "fetch it to a file");
            return None;
        }
    }
    let path = source.strip_prefix("file:").unwrap_or(source);
    match (env.file)(Path::new(path)) {
        Ok(text) => parse(&path.into(), &text, problems),
        Err(error) => {
            problems.error(Place::root(path), format!("cannot be read: {error}"), "");
            None
        }
    }
}

/// Parses a `yaml:` source, whose keys may be paths.
fn inline(text: &str, problems: &mut Problems) -> Option<Node> {
    let file: Arc<str> = INLINE.into();
    let tree = parse(&file, text, problems).map(split_keys)?;
    if measure(&tree).depth > MAX_DEPTH {
        let message = format!("more than {MAX_DEPTH} maps inside each other");
        problems.error(Place::root(&file), message, "");
        return None;
    }
    Some(tree)
}
