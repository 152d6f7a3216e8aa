//! The tree that a configuration is before it is typed: scalars, lists and maps, each with its place.
//!
//! **Invariants.** Keys of a map are unique and keep the order in which they were written. No tree is deeper than
//! [`MAX_DEPTH`], so recursion over one is safe.
//! **Not here.** YAML's syntax (`document`), what keys mean (the components).

use std::sync::Arc;

/// How deep lists and maps may nest; configurations reach ten.
pub(super) const MAX_DEPTH: usize = 64;

/// File, line and column; the path of keys is known only where the tree is walked, since merging moves subtrees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    /// As in [`crate::base::Place`].
    pub(super) file: Arc<str>,
    /// From 1; 0 if unknown.
    pub(super) line: u32,
    /// From 1; 0 if unknown.
    pub(super) column: u32,
}

/// A value and where it was written.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) mark: Mark,
    pub(super) value: Value,
}

/// What a node is.
#[derive(Clone, Debug)]
pub(super) enum Value {
    Scalar(Scalar),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

/// A key and its value.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) mark: Mark,
    pub(super) node: Node,
}

/// Text whose type is inferred when it is asked for, so that `1.10` can still be read as the text it is.
#[derive(Clone, Debug)]
pub(super) struct Scalar {
    pub(super) text: String,
    /// Whether the type may be inferred: neither quoted nor a block nor put together from parts.
    pub(super) plain: bool,
    /// Whether an expansion gave the text, which error messages then do not show.
    pub(super) expanded: bool,
}

/// A scalar under YAML 1.2's core schema; yaml.v3's `yes` and `no` are text here as there.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Typed<'a> {
    Null,
    Bool(bool),
    Unsigned(u64),
    Signed(i64),
    Float(f64),
    Text(&'a str),
}

impl Scalar {
    /// The type that the text has unless quoted.
    pub(super) fn typed(&self) -> Typed<'_> {
        if self.plain {
            infer(&self.text)
        } else {
            Typed::Text(&self.text)
        }
    }

    /// Whether it says "nothing": empty, `~` or `null`.
    pub(super) fn is_null(&self) -> bool {
        self.typed() == Typed::Null
    }
}

impl Node {
    /// Whether nothing was written here.
    pub(super) fn is_null(&self) -> bool {
        matches!(&self.value, Value::Scalar(scalar) if scalar.is_null())
    }

    /// The entries of a map; none of anything else.
    pub(super) fn entries(&self) -> &[Entry] {
        match &self.value {
            Value::Map(entries) => entries,
            _ => &[],
        }
    }

    /// What it is, in words for an error message. Text that an expansion gave is not shown: it may be a secret.
    pub(super) fn describe(&self) -> String {
        let scalar = match &self.value {
            Value::List(_) => return "a list".to_owned(),
            Value::Map(_) => return "a section with keys".to_owned(),
            Value::Scalar(scalar) => scalar,
        };
        let kind = match scalar.typed() {
            Typed::Null => return "nothing".to_owned(),
            Typed::Bool(_) => "a truth value",
            Typed::Unsigned(_) | Typed::Signed(_) => "a whole number",
            Typed::Float(_) => "a number",
            Typed::Text(_) => "text",
        };
        if scalar.expanded {
            return format!("{kind} from an expansion");
        }
        let mut shown: String = scalar.text.chars().take(60).collect();
        if shown.len() < scalar.text.len() {
            shown.push('…');
        }
        format!("{kind} `{}`", shown.escape_debug())
    }
}

impl Entry {
    /// Where to point for this entry: at the value if it stands on its own, at the key if the value spans lines.
    pub(super) fn pointed(&self) -> &Mark {
        match &self.node.value {
            Value::Scalar(scalar) if !scalar.is_null() => &self.node.mark,
            _ => &self.mark,
        }
    }
}

/// YAML 1.2.2, section 10.3.2.
fn infer(text: &str) -> Typed<'_> {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Typed::Null,
        "true" | "True" | "TRUE" => return Typed::Bool(true),
        "false" | "False" | "FALSE" => return Typed::Bool(false),
        ".nan" | ".NaN" | ".NAN" => return Typed::Float(f64::NAN),
        _ => {}
    }
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if matches!(digits, ".inf" | ".Inf" | ".INF") {
        return Typed::Float(if negative {
            f64::NEG_INFINITY
        } else {
            f64::INFINITY
        });
    }
    number(text, negative, digits).unwrap_or(Typed::Text(text))
}

fn number(text: &str, negative: bool, digits: &str) -> Option<Typed<'static>> {
    for (prefix, radix) in [("0x", 16), ("0o", 8)] {
        if let Some(rest) = text.strip_prefix(prefix) {
            let all = !rest.is_empty() && rest.chars().all(|c| c.is_digit(radix));
            return (all.then(|| u64::from_str_radix(rest, radix).ok())?).map(Typed::Unsigned);
        }
    }
    let first = digits.chars().next()?;
    let shaped = (first.is_ascii_digit() || first == '.')
        && digits.chars().any(|c| c.is_ascii_digit())
        && digits
            .chars()
            .all(|c| c.is_ascii_digit() || matches!(c, '.' | 'e' | 'E' | '+' | '-'));
    if !shaped {
        return None;
    }
    if digits.chars().all(|c| c.is_ascii_digit()) {
        if !negative && let Ok(n) = digits.parse() {
            return Some(Typed::Unsigned(n));
        }
        if negative && let Ok(n) = text.parse() {
            return Some(Typed::Signed(n));
        }
    }
    text.parse()
        .ok()
        .filter(|n: &f64| n.is_finite())
        .map(Typed::Float)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_scalars_have_the_types_of_the_core_schema() {
        for (text, typed) in [
            ("", Typed::Null),
            ("~", Typed::Null),
            ("null", Typed::Null),
            ("true", Typed::Bool(true)),
            ("FALSE", Typed::Bool(false)),
            ("0", Typed::Unsigned(0)),
            ("+7", Typed::Unsigned(7)),
            ("-7", Typed::Signed(-7)),
            ("007", Typed::Unsigned(7)),
            ("0x1F", Typed::Unsigned(31)),
            ("0o17", Typed::Unsigned(15)),
            ("1.5", Typed::Float(1.5)),
            ("-1e3", Typed::Float(-1000.0)),
            (".5", Typed::Float(0.5)),
            ("-.inf", Typed::Float(f64::NEG_INFINITY)),
            (
                "18446744073709551616",
                Typed::Float(18_446_744_073_709_551_616.0),
            ),
        ] {
            assert_eq!(infer(text), typed, "{text}");
        }
        for text in [
            "yes",
            "no",
            "on",
            "1s",
            "1.2.3",
            "0x",
            "0xg",
            "e5",
            ".",
            "-",
            "+",
            "1_000",
            "nan",
            "inf",
            "1e999",
            "--1",
            "localhost:4317",
            "12:30",
        ] {
            assert_eq!(infer(text), Typed::Text(text));
        }
    }
}
