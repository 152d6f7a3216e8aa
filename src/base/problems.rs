//! All mistakes of a configuration at once.
//!
//! **Bounds.** [`Problems::MAX`] of each kind are kept; the rest are counted and mentioned in one line, so that a hostile
//! file cannot fill the memory with complaints about itself.

use crate::base::Place;
use std::fmt;

/// One mistake, or one thing worth knowing, with what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// Where it was written.
    pub place: Place,
    /// What is wrong: lower case, no full stop, values in backticks.
    pub message: String,
    /// What to do; empty if the message says it.
    pub help: String,
}

/// Mistakes and warnings, collected; nothing that checks a configuration stops at the first.
///
/// Printed, it is one line each, errors before warnings, each kind by file, line and column.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Problems {
    errors: Vec<Problem>,
    warnings: Vec<Problem>,
    unlisted_errors: usize,
    unlisted_warnings: usize,
}

impl Problems {
    /// How many errors, and how many warnings, are kept.
    pub const MAX: usize = 1_000;

    /// An empty list.
    #[must_use]
    pub fn new() -> Self {
        Problems::default()
    }

    /// Adds a mistake: the configuration cannot be used.
    pub fn error(&mut self, place: Place, message: impl Into<String>, help: impl Into<String>) {
        if self.errors.len() < Self::MAX {
            self.errors.push(Problem {
                place,
                message: message.into(),
                help: help.into(),
            });
        } else {
            self.unlisted_errors += 1;
        }
    }

    /// Adds a warning: the configuration runs, perhaps not as its author thinks.
    pub fn warning(&mut self, place: Place, message: impl Into<String>, help: impl Into<String>) {
        if self.warnings.len() < Self::MAX {
            self.warnings.push(Problem {
                place,
                message: message.into(),
                help: help.into(),
            });
        } else {
            self.unlisted_warnings += 1;
        }
    }

    /// Takes over another list.
    pub fn append(&mut self, other: Problems) {
        for problem in other.errors {
            self.error(problem.place, problem.message, problem.help);
        }
        for problem in other.warnings {
            self.warning(problem.place, problem.message, problem.help);
        }
        self.unlisted_errors += other.unlisted_errors;
        self.unlisted_warnings += other.unlisted_warnings;
    }

    /// The mistakes, in the order they were found.
    #[must_use]
    pub fn errors(&self) -> &[Problem] {
        &self.errors
    }

    /// The warnings, in the order they were found.
    #[must_use]
    pub fn warnings(&self) -> &[Problem] {
        &self.warnings
    }

    /// Whether the configuration cannot be used.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        !self.errors.is_empty()
    }

    /// Whether there is nothing to say.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.errors.is_empty() && self.warnings.is_empty()
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.message)?;
        if self.help.is_empty() {
            return Ok(());
        }
        write!(f, " ({})", self.help)
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (kind, list, unlisted) in [
            ("error", &self.errors, self.unlisted_errors),
            ("warning", &self.warnings, self.unlisted_warnings),
        ] {
            let mut sorted: Vec<&Problem> = list.iter().collect();
            sorted.sort_by_key(|p| (&p.place.file, p.place.line, p.place.column));
            for problem in sorted {
                writeln!(f, "{kind}: {problem}")?;
            }
            if unlisted > 0 {
                writeln!(f, "{kind}: {unlisted} more are not listed")?;
            }
        }
        Ok(())
    }
}

/// The candidate that a person most likely meant, if one is near enough to suggest.
///
/// Near is at most a third of the longer word in single-letter edits (insert, delete, replace, swap neighbours), with case and
/// `-`/`_` not counting. O(word × candidates' letters).
#[must_use]
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let plain = |text: &str| -> Vec<char> {
        let letters = text.chars().take(100);
        letters
            .map(|c| {
                if c == '-' {
                    '_'
                } else {
                    c.to_ascii_lowercase()
                }
            })
            .collect()
    };
    let word = plain(word);
    candidates
        .into_iter()
        .filter_map(|candidate| {
            let letters = plain(candidate);
            let distance = edits(&word, &letters);
            let near = distance <= (word.len().max(letters.len()) / 3).max(1);
            (near && distance < letters.len()).then_some((distance, candidate))
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Optimal string alignment distance, three rows at a time.
fn edits(a: &[char], b: &[char]) -> usize {
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    let mut a_last = None;
    for (i, &x) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        let mut b_last = None;
        for (j, &y) in b.iter().enumerate() {
            let at = |r: &[usize], k: usize| r.get(k).copied().unwrap_or(usize::MAX - 1);
            let replaced = at(&last, j) + usize::from(x != y);
            let mut best = replaced.min(at(&last, j + 1) + 1).min(at(&row, j) + 1);
            if a_last == Some(y) && b_last == Some(x) {
                best = best.min(at(&before, j.saturating_sub(1)) + 1);
            }
            row.push(best);
            b_last = Some(y);
        }
        a_last = Some(x);
        before = std::mem::replace(&mut last, row);
    }
    last.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(file: &str, line: u32, key: &str) -> Place {
        Place {
            file: file.into(),
            line,
            column: 3,
            key: key.into(),
        }
    }

    #[test]
    fn errors_come_before_warnings_each_by_place() {
        let mut problems = Problems::new();
        problems.warning(place("a", 1, "x"), "is ignored", "");
        problems.error(place("b", 2, "y"), "unknown key", "did you mean `z`?");
        problems.error(place("a", 10, "y"), "late", "");
        problems.error(place("a", 9, "y"), "early", "");
        problems.error(Place::root("env:X"), "no place", "");
        assert_eq!(
            problems.to_string(),
            "error: a:9:3: y: early\n\
             error: a:10:3: y: late\n\
             error: b:2:3: y: unknown key (did you mean `z`?)\n\
             error: env:X: no place\n\
             warning: a:1:3: x: is ignored\n"
        );
    }

    #[test]
    fn what_is_too_much_is_counted() {
        let mut problems = Problems::new();
        for _ in 0..Problems::MAX + 7 {
            problems.error(Place::root("a"), "wrong", "");
        }
        let mut all = Problems::new();
        all.append(problems.clone());
        all.append(problems);
        assert_eq!(all.errors().len(), Problems::MAX);
        assert!(
            all.to_string()
                .ends_with("error: 1014 more are not listed\n")
        );
    }

    #[test]
    fn the_nearest_key_is_found_and_the_far_one_is_not() {
        let keys = ["endpoint", "max_recv_msg_size_mib", "tls", "timeout"];
        for (word, key) in [
            ("endpont", Some("endpoint")),
            ("endpiont", Some("endpoint")),
            ("Max-Recv-Msg-Size-MiB", Some("max_recv_msg_size_mib")),
            ("tsl", Some("tls")),
            ("timeouts", Some("timeout")),
            ("x", None),
            ("", None),
            ("completely_other", None),
        ] {
            assert_eq!(nearest(word, keys), key, "{word}");
        }
    }

    #[test]
    fn distances_are_those_of_the_textbook() {
        for (a, b, distance) in [
            ("", "abc", 3),
            ("abc", "", 3),
            ("kitten", "sitting", 3),
            ("ab", "ba", 1),
            ("ca", "abc", 3),
        ] {
            let letters = |text: &str| text.chars().collect::<Vec<_>>();
            assert_eq!(edits(&letters(a), &letters(b)), distance, "{a} {b}");
        }
    }
}
