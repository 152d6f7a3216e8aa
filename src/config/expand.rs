//! `${env:NAME}`, `${env:NAME:-default}`, `${NAME}`, `${file:path}` and `$$`, replaced in the tree's scalars.
//!
//! Expansion works on the parsed tree and never on text, so that what a variable holds cannot become YAML: a value with
//! `: ` or a line break in it stays a value. An unquoted scalar that is one `${…}` and nothing else has its type inferred
//! afterwards (`${env:PORT}` is a number), as in the Collector; unlike there it never becomes a map or a list, and what was
//! put in is not searched for `${` again.
//!
//! **Bounds.** [`MAX_NESTING`] of `${…:-${…}}`, [`MAX_EXPANDED`] bytes of text in the whole tree.
//! **Invariants.** Keys are not expanded. A variable without a value and without a default is a mistake: the Collector's
//! empty text would start with a missing password and fail later, elsewhere.

use crate::base::{Place, Problems, nearest};
use crate::config::Env;
use crate::config::node::{Mark, Node, Scalar, Value};
use std::path::Path;

const MAX_NESTING: usize = 8;
/// Bytes that all expansions of a document may put in.
const MAX_EXPANDED: usize = 4 << 20;

/// Expands every scalar below `node`.
pub(super) fn expand(node: &mut Node, env: &Env<'_>, problems: &mut Problems) {
    let mut expander = Expander {
        env,
        problems,
        left: MAX_EXPANDED,
        key: String::new(),
        mark: node.mark.clone(),
    };
    expander.walk(node);
}

struct Expander<'a> {
    env: &'a Env<'a>,
    problems: &'a mut Problems,
    left: usize,
    key: String,
    mark: Mark,
}

/// One piece of a scalar.
enum Piece<'t> {
    Text(&'t str),
    /// What stands between `${` and its `}`.
    Reference(&'t str),
}

impl Expander<'_> {
    fn walk(&mut self, node: &mut Node) {
        self.mark = node.mark.clone();
        let length = self.key.len();
        match &mut node.value {
            Value::Scalar(scalar) => self.scalar(scalar),
            Value::List(items) => {
                for (i, item) in items.iter_mut().enumerate() {
                    self.key.push_str(&format!("[{i}]"));
                    self.walk(item);
                    self.key.truncate(length);
                }
            }
            Value::Map(entries) => {
                for entry in entries {
                    self.key.push_str(if length == 0 { "" } else { "::" });
                    self.key.push_str(&entry.key);
                    self.walk(&mut entry.node);
                    self.key.truncate(length);
                }
            }
        }
    }

    fn scalar(&mut self, scalar: &mut Scalar) {
        if !scalar.text.contains('$') {
            return;
        }
        let pieces = match split(&scalar.text) {
            Ok(pieces) => pieces,
            Err(()) => {
                self.error("`${` without its `}`", "write `$${` for a plain `${`");
                return;
            }
        };
        let alone = matches!(pieces.as_slice(), [Piece::Reference(_)]);
        let any = pieces
            .iter()
            .any(|piece| matches!(piece, Piece::Reference(_)));
        let mut result = String::new();
        for piece in pieces {
            match piece {
                Piece::Text(text) => result.push_str(text),
                Piece::Reference(inside) => match self.reference(inside, 0) {
                    Some(text) => result.push_str(&text),
                    None => return,
                },
            }
        }
        scalar.plain = scalar.plain && (alone || !any);
        scalar.expanded = any;
        scalar.text = result;
    }

    /// The value of one reference; `None` if the problem has been noted.
    fn reference(&mut self, inside: &str, nesting: usize) -> Option<String> {
        if nesting > MAX_NESTING {
            self.error(
                format!("more than {MAX_NESTING} defaults inside each other"),
                "",
            );
            return None;
        }
        let value = match inside.split_once(':') {
            Some(("file", path)) => self.file(path),
            Some(("env", rest)) => self.variable(rest, nesting),
            // `${NAME:-default}`: the colon belongs to the default.
            Some((_, rest)) if !rest.starts_with('-') => {
                let scheme = inside.split(':').next().unwrap_or_default();
                let help = match nearest(scheme, ["env", "file"]) {
                    Some(known) => format!("did you mean `{known}`?"),
                    None => "`env` and `file` are known; write `$${` for a plain `${`".to_owned(),
                };
                self.error(format!("`{scheme}` in `${{{inside}}}` is not known"), help);
                None
            }
            _ => self.variable(inside, nesting),
        }?;
        match self.left.checked_sub(value.len()) {
            Some(left) => self.left = left,
            None => {
                self.error(
                    format!("more than {MAX_EXPANDED} bytes from expansions"),
                    "",
                );
                return None;
            }
        }
        Some(value)
    }

    fn variable(&mut self, rest: &str, nesting: usize) -> Option<String> {
        let (name, default) = match rest.split_once(":-") {
            Some((name, default)) => (name, Some(default)),
            None => (rest, None),
        };
        let mut letters = name.chars();
        let begins = letters
            .next()
            .is_some_and(|c| c.is_ascii_alphabetic() || c == '_');
        if !begins || !letters.all(|c| c.is_ascii_alphanumeric() || c == '_') {
            let help =
                "letters, digits and `_`, not beginning with a digit; write `$${` for a plain `${`";
            self.error(format!("`{name}` cannot be the name of a variable"), help);
            return None;
        }
        if let Some(value) = (self.env.var)(name) {
            return Some(value);
        }
        let Some(default) = default else {
            let help =
                format!("set it, or write `${{env:{name}:-default}}`; the default may be empty");
            self.error(
                format!("the environment variable `{name}` is not set"),
                help,
            );
            return None;
        };
        self.default(default, nesting)
    }

    /// A default may contain references of its own.
    fn default(&mut self, text: &str, nesting: usize) -> Option<String> {
        let Ok(pieces) = split(text) else {
            self.error("`${` without its `}`", "write `$${` for a plain `${`");
            return None;
        };
        let mut result = String::new();
        for piece in pieces {
            match piece {
                Piece::Text(text) => result.push_str(text),
                Piece::Reference(inside) => result.push_str(&self.reference(inside, nesting + 1)?),
            }
        }
        Some(result)
    }

    /// A file's text without its last line break, which editors add and passwords do not have.
    fn file(&mut self, path: &str) -> Option<String> {
        match (self.env.file)(Path::new(path)) {
            Ok(text) => {
                let text = text.strip_suffix('\n').unwrap_or(&text);
                Some(text.strip_suffix('\r').unwrap_or(text).to_owned())
            }
            Err(error) => {
                let help = "the path is taken from the directory in which the process was started";
                self.error(format!("cannot read `{path}`: {error}"), help);
                None
            }
        }
    }

    fn error(&mut self, message: impl Into<String>, help: impl Into<String>) {
        let place = Place {
            file: self.mark.file.clone(),
            line: self.mark.line,
            column: self.mark.column,
            key: self.key.clone(),
        };
        self.problems.error(place, message, help);
    }
}

/// Cuts a text at its references; `$$` becomes `$`, a `$` before anything else stays.
fn split(text: &str) -> Result<Vec<Piece<'_>>, ()> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        let (before, from) = rest.split_at(at);
        if let Some(after) = from.strip_prefix("${") {
            let end = closing(after).ok_or(())?;
            let (inside, tail) = after.split_at(end);
            pieces.push(Piece::Text(before));
            pieces.push(Piece::Reference(inside));
            rest = tail.strip_prefix('}').unwrap_or(tail);
        } else {
            let (kept, _) = rest.split_at(at + 1);
            pieces.push(Piece::Text(kept));
            let tail = from.strip_prefix('$').unwrap_or(from);
            rest = tail.strip_prefix('$').unwrap_or(tail);
        }
    }
    pieces.push(Piece::Text(rest));
    pieces.retain(|piece| !matches!(piece, Piece::Text("")));
    Ok(pieces)
}

/// Where the `}` is that belongs to a `${` just before the text.
fn closing(text: &str) -> Option<usize> {
    let mut open = 1_usize;
    let mut before = ' ';
    for (at, c) in text.char_indices() {
        match c {
            '{' if before == '$' => open += 1,
            '}' => open -= 1,
            _ => {}
        }
        if open == 0 {
            return Some(at);
        }
        before = c;
    }
    None
}
