//! Reading Rust without a compiler: what is code, what is text, what is said about it.
//!
//! A small lexer blanks comments and the contents of strings, so that the rules can search code without being deceived by
//! either. It leans on rustfmt, which the CI runs first: an item ends at a line of its own indentation.
//! **Not here.** Macros are not expanded, and `cfg`s other than `test` count as production.

use std::fs;
use std::path::{Path, PathBuf};

/// A text in a source file.
pub struct Spot {
    /// Counted from 1.
    pub line: usize,
    /// The byte of [`Source::code`] where it begins.
    pub at: usize,
    /// What stands between the quotes, or behind the slashes.
    pub text: String,
}

/// A file, taken apart.
pub struct Source {
    /// From the repository's root, with slashes.
    pub path: String,
    /// As it is.
    pub text: String,
    /// The same, byte for byte, with blanks for comments and the contents of strings.
    pub code: String,
    /// String literals.
    pub strings: Vec<Spot>,
    /// Comments of any kind, line by line.
    pub comments: Vec<Spot>,
    /// For each line whether only tests have it.
    is_test: Vec<bool>,
}

impl Source {
    /// Takes a text apart.
    pub fn new(path: &str, text: &str) -> Self {
        let mut lexer = Lexer {
            text: text.as_bytes(),
            code: text.as_bytes().to_vec(),
            at: 0,
            line: 1,
            strings: Vec::new(),
            comments: Vec::new(),
        };
        lexer.run();
        let code = String::from_utf8_lossy(&lexer.code).into_owned();
        let whole = !path.starts_with("src/")
            || path.ends_with("/tests.rs")
            || path.ends_with("/testing.rs")
            || path.contains("/tests/");
        Source {
            path: path.to_owned(),
            text: text.to_owned(),
            is_test: test_lines(&code, whole),
            code,
            strings: lexer.strings,
            comments: lexer.comments,
        }
    }

    /// Whether a line, counted from 1, is the product's and not a test's.
    pub fn is_production(&self, line: usize) -> bool {
        line > 0 && !self.is_test.get(line - 1).copied().unwrap_or(false)
    }

    /// The product's lines of code, counted from 1.
    pub fn production(&self) -> impl Iterator<Item = (usize, &str)> {
        let lines = self.code.lines().enumerate().map(|(i, line)| (i + 1, line));
        lines.filter(|(line, _)| self.is_production(*line))
    }

    /// The folder below `src`, if it is in one.
    pub fn folder(&self) -> Option<&str> {
        self.path
            .strip_prefix("src/")?
            .split_once('/')
            .map(|(folder, _)| folder)
    }
}

/// Lines that only tests have: items behind `#[cfg(test)]`, or all.
fn test_lines(code: &str, whole: bool) -> Vec<bool> {
    let mut is_test = Vec::new();
    // the indentation of the item that is being skipped
    let mut inside: Option<usize> = None;
    for line in code.lines() {
        let indent = line.len() - line.trim_start().len();
        let trimmed = line.trim();
        if inside.is_none()
            && (trimmed.starts_with("#[cfg(test)]") || trimmed.starts_with("#[cfg(all(test"))
        {
            inside = Some(indent);
            is_test.push(true);
            continue;
        }
        is_test.push(whole || inside.is_some());
        let ends = trimmed.ends_with(['}', ';', ',']) && !trimmed.starts_with("#[");
        if inside == Some(indent) && ends {
            inside = None;
        }
    }
    is_test
}

struct Lexer<'a> {
    text: &'a [u8],
    code: Vec<u8>,
    at: usize,
    line: usize,
    strings: Vec<Spot>,
    comments: Vec<Spot>,
}

impl Lexer<'_> {
    fn peek(&self, ahead: usize) -> u8 {
        self.text.get(self.at + ahead).copied().unwrap_or(0)
    }

    /// Goes on by one byte, blanking it if asked.
    fn step(&mut self, blank: bool) {
        match self.peek(0) {
            b'\n' => self.line += 1,
            _ if blank => self.code[self.at] = b' ',
            _ => {}
        }
        self.at += 1;
    }

    fn run(&mut self) {
        while self.at < self.text.len() {
            let is_word = self.at > 0 && is_word(self.text[self.at - 1]);
            match (self.peek(0), self.peek(1)) {
                (b'/', b'/') => self.comment(),
                (b'/', b'*') => self.block_comment(),
                (b'r', b'"' | b'#') if !is_word || self.text[self.at - 1] == b'b' => {
                    self.raw_string()
                }
                (b'"', _) => self.string(),
                (b'\'', _) => self.quote(),
                _ => self.step(false),
            }
        }
    }

    fn comment(&mut self) {
        let (line, start) = (self.line, self.at);
        while self.at < self.text.len() && self.peek(0) != b'\n' {
            self.step(true);
        }
        self.comments
            .push(self.spot(line, start, start + 2, self.at));
    }

    fn block_comment(&mut self) {
        let (line, start) = (self.line, self.at);
        let mut depth = 0;
        while self.at < self.text.len() {
            let pair = (self.peek(0), self.peek(1));
            depth += i32::from(pair == (b'/', b'*')) - i32::from(pair == (b'*', b'/'));
            if matches!(pair, (b'/', b'*') | (b'*', b'/')) {
                self.step(true);
            }
            self.step(true);
            if depth == 0 {
                break;
            }
        }
        self.comments
            .push(self.spot(line, start, start + 2, self.at));
    }

    fn string(&mut self) {
        let (line, start) = (self.line, self.at);
        self.step(false);
        while self.at < self.text.len() && self.peek(0) != b'"' {
            if self.peek(0) == b'\\' {
                self.step(true);
            }
            self.step(true);
        }
        self.strings
            .push(self.spot(line, start, start + 1, self.at));
        self.step(false);
    }

    fn raw_string(&mut self) {
        let mut hashes = 0;
        while self.peek(1 + hashes) == b'#' {
            hashes += 1;
        }
        if self.peek(1 + hashes) != b'"' {
            // a raw identifier
            return self.step(false);
        }
        let (line, start) = (self.line, self.at);
        let close: Vec<u8> = [&b"\""[..], &b"#".repeat(hashes)].concat();
        for _ in 0..hashes + 2 {
            self.step(false);
        }
        let from = self.at;
        while self.at < self.text.len() && !self.text[self.at..].starts_with(&close) {
            self.step(true);
        }
        self.strings.push(self.spot(line, start, from, self.at));
        for _ in 0..close.len() {
            self.step(false);
        }
    }

    /// A character, or the mark of a lifetime.
    fn quote(&mut self) {
        let rest = &self.text[self.at + 1..];
        let end = match rest.first() {
            Some(b'\\') => rest
                .iter()
                .skip(2)
                .position(|b| *b == b'\'')
                .map(|end| end + 2),
            Some(_) => rest
                .iter()
                .take(5)
                .skip(1)
                .position(|b| *b == b'\'')
                .map(|end| end + 1),
            None => None,
        };
        // `'a, 'b` has a second quote too, but a comma or a blank before it
        let is_char = end.is_some_and(|end| {
            let inner = String::from_utf8_lossy(&rest[..end]);
            inner.starts_with('\\') || inner.chars().count() == 1
        });
        self.step(false);
        for _ in 0..end.filter(|_| is_char).map_or(0, |end| end + 1) {
            self.step(true);
        }
    }

    fn spot(&self, line: usize, at: usize, from: usize, to: usize) -> Spot {
        let text = self.text.get(from..to).unwrap_or_default();
        Spot {
            line,
            at,
            text: String::from_utf8_lossy(text).into_owned(),
        }
    }
}

/// Whether a byte can stand in an identifier.
pub fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// All Rust files below some folders.
pub fn rust(folders: &[&str]) -> Vec<Source> {
    let mut sources = Vec::new();
    for path in files(folders, &["rs"]) {
        let text = fs::read_to_string(&path).unwrap();
        sources.push(Source::new(&slashed(&path), &text));
    }
    assert!(sources.len() > 3, "the sources were not found");
    sources
}

/// All files below some folders with one of these extensions; everything if none is given. Sorted.
pub fn files(folders: &[&str], extensions: &[&str]) -> Vec<PathBuf> {
    fn walk(path: &Path, found: &mut Vec<PathBuf>) {
        if path.is_dir() {
            for entry in fs::read_dir(path).unwrap() {
                let path = entry.unwrap().path();
                let name = path.file_name().unwrap_or_default();
                if name != "target" && name != "node_modules" {
                    walk(&path, found);
                }
            }
        } else if path.is_file() {
            found.push(path.to_owned());
        }
    }
    let mut found = Vec::new();
    for folder in folders {
        walk(Path::new(folder), &mut found);
    }
    found.retain(|path| {
        let extension = path
            .extension()
            .and_then(|e| e.to_str())
            .unwrap_or_default();
        extensions.is_empty() || extensions.contains(&extension)
    });
    found.sort();
    found
}

/// A path as it is written here.
pub fn slashed(path: &Path) -> String {
    path.to_string_lossy().replace('\\', "/")
}

#[test]
fn code_strings_and_comments_are_told_apart() {
    let text = r####"let a = "x // no"; // yes "no"
let b = r#"raw "quoted" \"#; /* one /* two */ three */ let c = '"';
fn f<'a>(x: &'a str) -> char { '\'' } // end
let d = b"bytes \" more"; let e = 'ä';
"####;
    let source = Source::new("src/a/b.rs", text);
    let strings: Vec<_> = source
        .strings
        .iter()
        .map(|s| (s.line, s.text.as_str()))
        .collect();
    assert_eq!(
        strings,
        [
            (1, "x // no"),
            (2, r#"raw "quoted" \"#),
            (4, r#"bytes \" more"#)
        ]
    );
    let comments: Vec<_> = source
        .comments
        .iter()
        .map(|s| (s.line, s.text.trim()))
        .collect();
    assert_eq!(
        comments,
        [
            (1, r#"yes "no""#),
            (2, "one /* two */ three */"),
            (3, "end")
        ]
    );
    assert_eq!(source.code.len(), text.len());
    assert!(source.code.contains("fn f<'a>(x: &'a str) -> char {"));
    assert!(!source.code.contains("three") && source.code.contains("let c"));
}

#[test]
fn what_stands_behind_cfg_test_is_no_production() {
    let text = "use a;\n#[cfg(test)]\nmod tests;\nfn b() {\n}\n#[cfg(test)]\n#[path = \"x\"]\nmod more {\n    use c;\n}\nfn d() {}\n";
    let source = Source::new("src/a/b.rs", text);
    let lines: Vec<usize> = source.production().map(|(line, _)| line).collect();
    assert_eq!(lines, [1, 4, 5, 11]);
    assert_eq!(Source::new("src/a/tests.rs", text).production().count(), 0);
    assert_eq!(source.folder(), Some("a"));
}
