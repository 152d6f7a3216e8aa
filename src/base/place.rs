//! Where in a configuration something was written.

use std::fmt;
use std::sync::Arc;

/// A key's or value's home: file, line, column and the path of keys that leads to it.
///
/// Lines and columns count from 1, as editors do. A place without a line (a variable that holds a whole document, a
/// key that is missing) prints without one. Cloning costs a reference count and one short string.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// The file's path as the user gave it, or `<yaml>` / `env:NAME` for what came another way.
    pub file: Arc<str>,
    /// Counted from 1; 0 if no line can be named.
    pub line: u32,
    /// Counted from 1, in characters; 0 if none can be named.
    pub column: u32,
    /// The keys from the root, joined by `::` as in the Collector (`receivers::otlp::protocols`), since ids and
    /// attribute names contain dots and slashes; items of lists as `[0]`. Empty at the root.
    pub key: String,
}

impl Place {
    /// The start of a file.
    #[must_use]
    pub fn root(file: &str) -> Self {
        Place {
            file: file.into(),
            line: 0,
            column: 0,
            key: String::new(),
        }
    }

    /// The same line and column, one key further down: for a key that is missing.
    #[must_use]
    pub fn below(&self, key: &str) -> Self {
        let mut place = self.clone();
        if !place.key.is_empty() {
            place.key.push_str("::");
        }
        place.key.push_str(key);
        place
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if self.line > 0 {
            write!(f, ":{}:{}", self.line, self.column)?;
        }
        if !self.key.is_empty() {
            write!(f, ": {}", self.key)?;
        }
        Ok(())
    }
}
