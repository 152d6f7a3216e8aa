//! A tree as YAML again, for `print-config`: what was merged and expanded, with secrets masked.
//!
//! **Invariants.** Unmasked, what is printed loads to an equal document: a text is left bare only where it would be read
//! as that same text, `$` is doubled where it would begin an expansion. Masked, no value under a key that looks like a
//! secret's, none under `headers`, and no password inside a URL or connection string is shown.
//! **Not here.** Comments and the author's layout, which merging loses.

use crate::base::Secret;
use crate::config::node::{Entry, Node, Scalar, Typed, Value};
use std::fmt::Write as _;

/// Block-style YAML, two spaces a level.
pub(super) fn to_yaml(root: &Node, masked: bool) -> String {
    let mut printer = Printer {
        text: String::new(),
        masked,
    };
    match &root.value {
        Value::Map(entries) if !entries.is_empty() => printer.map(entries, 0, Mask::Text),
        Value::List(items) if !items.is_empty() => printer.list(items, 0, Mask::Text),
        _ => {
            printer.inline(root, Mask::Text);
            printer.text.push('\n');
        }
    }
    printer.text
}

/// How much of a value is hidden.
#[derive(Clone, Copy, PartialEq)]
enum Mask {
    /// Passwords inside of texts.
    Text,
    /// Everything but `name` (a list of `{name, value}` headers).
    Values,
    /// Everything.
    All,
}

struct Printer {
    text: String,
    masked: bool,
}

impl Printer {
    fn map(&mut self, entries: &[Entry], indent: usize, mask: Mask) {
        for (i, entry) in entries.iter().enumerate() {
            if i > 0 || !self.text.ends_with("- ") {
                self.pad(indent);
            }
            self.text.push_str(&quoted(&entry.key));
            self.text.push(':');
            self.value(&entry.node, indent, mask_below(mask, entry));
        }
    }

    fn list(&mut self, items: &[Node], indent: usize, mask: Mask) {
        for (i, item) in items.iter().enumerate() {
            if i > 0 || !self.text.ends_with("- ") {
                self.pad(indent);
            }
            self.text.push_str("- ");
            match &item.value {
                Value::Map(entries) if !entries.is_empty() => self.map(entries, indent + 1, mask),
                Value::List(items) if !items.is_empty() => self.list(items, indent + 1, mask),
                _ => {
                    self.inline(item, mask);
                    self.text.push('\n');
                }
            }
        }
    }

    /// What follows `key:`.
    fn value(&mut self, node: &Node, indent: usize, mask: Mask) {
        match &node.value {
            Value::Map(entries) if !entries.is_empty() => {
                self.text.push('\n');
                self.map(entries, indent + 1, mask);
            }
            Value::List(items) if !items.is_empty() => {
                self.text.push('\n');
                self.list(items, indent + 1, mask);
            }
            Value::Scalar(scalar) if scalar.is_null() => self.text.push('\n'),
            _ => {
                self.text.push(' ');
                self.inline(node, mask);
                self.text.push('\n');
            }
        }
    }

    fn inline(&mut self, node: &Node, mask: Mask) {
        match &node.value {
            Value::Map(_) => self.text.push_str("{}"),
            Value::List(_) => self.text.push_str("[]"),
            Value::Scalar(scalar) => {
                let printed = self.scalar(scalar, mask);
                self.text.push_str(&printed);
            }
        }
    }

    fn scalar(&self, scalar: &Scalar, mask: Mask) -> String {
        let text = match scalar.typed() {
            Typed::Null => return "null".to_owned(),
            Typed::Bool(_) => return scalar.text.clone(),
            _ if self.masked && mask != Mask::Text => return quoted(Secret::MASK),
            Typed::Text(text) => text,
            Typed::Unsigned(_) | Typed::Signed(_) | Typed::Float(_) => return scalar.text.clone(),
        };
        if self.masked {
            quoted(&escape_expansions(&mask_text(text)))
        } else {
            quoted(&escape_expansions(text))
        }
    }

    fn pad(&mut self, indent: usize) {
        self.text.extend(std::iter::repeat_n("  ", indent));
    }
}

/// How to treat what is under a key, given how the key itself is treated.
fn mask_below(mask: Mask, entry: &Entry) -> Mask {
    let key = plain_key(&entry.key);
    match mask {
        Mask::All => Mask::All,
        Mask::Values if key == "name" => Mask::Text,
        Mask::Values => Mask::Values,
        // A map's keys are the names, and one of them may be `name`.
        Mask::Text if HEADERS.contains(&key.as_str()) => match entry.node.value {
            Value::List(_) => Mask::Values,
            Value::Map(_) | Value::Scalar(_) => Mask::All,
        },
        Mask::Text if is_secret_key(&key) => Mask::All,
        Mask::Text => Mask::Text,
    }
}

/// Keys that hold headers with their values; `allowed_headers` has only names.
const HEADERS: [&str; 5] = [
    "default_headers",
    "extra_headers",
    "headers",
    "request_headers",
    "response_headers",
];

fn plain_key(key: &str) -> String {
    let plain = |c: char| {
        if matches!(c, '-' | '.' | ' ') {
            '_'
        } else {
            c.to_ascii_lowercase()
        }
    };
    key.chars().map(plain).collect()
}

/// Last words of keys whose values are secret. `max_tokens` and `password_file` are not among them.
const SECRET_WORDS: [&str; 21] = [
    "access_key",
    "access_key_id",
    "account_key",
    "api_key",
    "apikey",
    "authorization",
    "connection_string",
    "cookie",
    "credentials",
    "dsn",
    "htpasswd",
    "passphrase",
    "passwd",
    "password",
    "pem",
    "private_key",
    "pwd",
    "routing_key",
    "secret",
    "secret_key",
    "token",
];

/// Whether a key in lower case with `_` ends in a secret's word.
fn is_secret_key(key: &str) -> bool {
    SECRET_WORDS.iter().any(|word| {
        key.strip_suffix(word)
            .is_some_and(|before| before.is_empty() || before.ends_with('_'))
    })
}

/// Hides `scheme://user:password@` and `password=…`, wherever in a text they are.
fn mask_text(text: &str) -> String {
    mask_pairs(&mask_authorities(text))
}

/// Passwords of URLs. The password ends at the last `@` before the path, since people forget to escape one.
fn mask_authorities(text: &str) -> String {
    let mut result = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, after) = rest.split_at(at + 3);
        result.push_str(before);
        let end = after.find(|c: char| matches!(c, '/' | '?' | '#' | ',') || c.is_whitespace());
        let (authority, tail) = after.split_at(end.unwrap_or(after.len()));
        match authority.rsplit_once('@') {
            Some((user, host)) => {
                let name = user.split(':').next().unwrap_or_default();
                let colon = if user.contains(':') { ":" } else { "" };
                let hidden = if colon.is_empty() { "" } else { Secret::MASK };
                let _infallible = write!(result, "{name}{colon}{hidden}@{host}");
            }
            None => result.push_str(authority),
        }
        rest = tail;
    }
    result.push_str(rest);
    result
}

/// Values of `password=…` and its like, in URLs' queries and in connection strings.
fn mask_pairs(text: &str) -> String {
    let ends = |c: char| matches!(c, '&' | ';' | ',') || c.is_whitespace();
    let mut result = String::new();
    for part in text.split_inclusive(ends) {
        let cut = part.trim_end_matches(ends);
        let end = part.strip_prefix(cut).unwrap_or_default();
        let key_value = cut.split_once('=').filter(|(_, value)| !value.is_empty());
        match key_value {
            Some((key, _)) if is_secret_key(&plain_key(key.rsplit('?').next().unwrap_or(key))) => {
                let _infallible = write!(result, "{key}={}", Secret::MASK);
            }
            _ => result.push_str(cut),
        }
        result.push_str(end);
    }
    result
}

/// Doubles each `$` that would begin an expansion or an escape.
fn escape_expansions(text: &str) -> String {
    let mut result = String::with_capacity(text.len());
    let mut letters = text.chars().peekable();
    while let Some(c) = letters.next() {
        result.push(c);
        if c == '$' && matches!(letters.peek(), Some('$' | '{')) {
            result.push('$');
        }
    }
    result
}

/// A text as a YAML scalar: bare where nothing could be read into it, else in double quotes.
fn quoted(text: &str) -> String {
    let bare = Scalar {
        text: text.to_owned(),
        plain: true,
        expanded: false,
    };
    let begins =
        text.starts_with(|c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '_' | '.'));
    let harmless = |c: char| c.is_ascii_alphanumeric() || "-_./:@%+=()$".contains(c);
    let simple = begins && text.chars().all(harmless) && !text.ends_with(':');
    if simple
        && matches!(bare.typed(), Typed::Text(_))
        && !is_old_yaml(text)
        && !text.starts_with("...")
    {
        return text.to_owned();
    }
    let mut result = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => result.push_str("\\\""),
            '\\' => result.push_str("\\\\"),
            '\n' => result.push_str("\\n"),
            '\r' => result.push_str("\\r"),
            '\t' => result.push_str("\\t"),
            c if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}') => {
                let _infallible = write!(result, "\\u{:04X}", u32::from(c));
            }
            c => result.push(c),
        }
    }
    result.push('"');
    result
}

/// Words and forms that YAML 1.1 readers take for something else than text.
fn is_old_yaml(text: &str) -> bool {
    let word = text.to_ascii_lowercase();
    let sexagesimal = text.contains(':') && text.chars().all(|c| c.is_ascii_digit() || c == ':');
    sexagesimal
        || matches!(
            word.as_str(),
            "yes" | "no" | "on" | "off" | "y" | "n" | "nan"
        )
}
