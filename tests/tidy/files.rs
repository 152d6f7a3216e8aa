//! Files that a stranger can check alone: small, with a front page, their imports at the top.

use crate::source::{Source, files, rust, slashed};
use crate::{Offence, none};
use std::fs;

/// Lines of production code in a file, with its comments.
const MAX_LINES: usize = 500;
/// Lines of a test module at a file's foot; a longer one moves to `tests.rs`.
const MAX_INLINE_TESTS: usize = 200;
/// Lines of `main.rs`.
const MAX_MAIN: usize = 150;

fn offence(source: &Source, line: usize, what: impl Into<String>) -> Offence {
    Offence {
        path: source.path.clone(),
        line,
        what: what.into(),
    }
}

fn check_size(source: &Source) -> Vec<Offence> {
    let mut offences = Vec::new();
    let production = source.production().count();
    let limit = if source.path == "src/main.rs" {
        MAX_MAIN
    } else {
        MAX_LINES
    };
    if production > limit {
        let what =
            format!("{production} production lines, {limit} at most; split it by what it is about");
        offences.push(offence(source, limit, what));
    }
    let tests = source.code.lines().count() - production;
    if production > 0 && tests > MAX_INLINE_TESTS {
        let what =
            format!("{tests} lines of tests, {MAX_INLINE_TESTS} at most; move them to `tests.rs`");
        offences.push(offence(source, production, what));
    }
    offences
}

fn check_front_page(source: &Source) -> Vec<Offence> {
    if source.text.starts_with("//! ") {
        return Vec::new();
    }
    vec![offence(
        source,
        1,
        "no front page; begin with `//! ` and say what the file is for",
    )]
}

/// Whether a line stands directly in a module of its own file, by indentation.
fn is_in_module(source: &Source, line: usize) -> bool {
    let lines: Vec<&str> = source.code.lines().take(line).collect();
    let indent = |text: &str| text.len() - text.trim_start().len();
    let own = lines.last().map_or(0, |text| indent(text));
    let above = lines
        .iter()
        .rev()
        .find(|text| !text.trim().is_empty() && indent(text) < own);
    above.is_some_and(|text| text.contains("mod ") && text.ends_with('{'))
}

/// Imports stand at the top of a file or of a module, and name what they import.
fn check_imports(source: &Source) -> Vec<Offence> {
    let mut offences = Vec::new();
    for (line, code) in source.production() {
        let import = code.trim_start().trim_start_matches("pub ");
        if !import.starts_with("use ") {
            continue;
        }
        if code.starts_with(' ') && !is_in_module(source, line) {
            offences.push(offence(
                source,
                line,
                "an import inside a function or block",
            ));
        }
        if import.contains("::*") {
            offences.push(offence(source, line, "a glob import outside tests"));
        }
    }
    offences
}

#[test]
fn files_are_small() {
    none(
        &rust(&["src"])
            .iter()
            .flat_map(check_size)
            .collect::<Vec<_>>(),
    );
}

#[test]
fn every_file_begins_with_what_it_is_for() {
    let sources = rust(&["src", "tests", "benches"]);
    none(
        &sources
            .iter()
            .flat_map(check_front_page)
            .collect::<Vec<_>>(),
    );
}

#[test]
fn imports_stand_at_the_top_and_say_what_they_import() {
    none(
        &rust(&["src"])
            .iter()
            .flat_map(check_imports)
            .collect::<Vec<_>>(),
    );
}

/// The targets of a page's links that are files here.
fn linked(page: &str) -> Vec<&str> {
    let targets = page
        .split("](")
        .skip(1)
        .filter_map(|rest| rest.split(')').next());
    let targets = targets.filter(|target| !target.contains("://") && !target.starts_with('#'));
    targets
        .filter_map(|target| target.split('#').next())
        .collect()
}

#[test]
fn links_between_pages_lead_somewhere() {
    let mut pages = files(&["tests", "examples", "config", "benches"], &["md"]);
    pages.extend(["README.md", "CHANGELOG.md"].map(Into::into));
    for page in pages.iter().filter(|page| page.exists()) {
        let text = fs::read_to_string(page).unwrap();
        let folder = page.parent().unwrap();
        for target in linked(&text) {
            let there = folder.join(target).exists();
            assert!(there, "{}: `{target}` is not there", page.display());
        }
    }
    assert_eq!(linked("[a](b/c.md#d) [e](https://f) [g](#h)"), ["b/c.md"]);
}

#[test]
fn test_binaries_are_few_folders() {
    let single = files(&["tests"], &["rs"]);
    let single = single
        .iter()
        .map(|path| slashed(path))
        .filter(|path| path.matches('/').count() == 1);
    let stray: Vec<String> = single.collect();
    assert!(
        stray.is_empty(),
        "each test binary is a folder with `main.rs`: {stray:?}"
    );
    let binaries = fs::read_dir("tests")
        .unwrap()
        .flatten()
        .filter(|entry| entry.path().join("main.rs").exists());
    assert!(
        (3..=10).contains(&binaries.count()),
        "a new test binary costs a link; fold it into one that is there"
    );
}

#[test]
fn an_offender_of_each_rule_is_found() {
    let long = "fn a() {}\n".repeat(MAX_LINES + 1);
    assert_eq!(check_size(&Source::new("src/a/b.rs", &long)).len(), 1);
    assert!(check_size(&Source::new("src/a/tests.rs", &long)).is_empty());
    let tests = format!(
        "fn a() {{}}\n#[cfg(test)]\nmod tests {{\n{}}}\n",
        "    a();\n".repeat(MAX_INLINE_TESTS)
    );
    assert_eq!(check_size(&Source::new("src/a/b.rs", &tests)).len(), 1);
    assert_eq!(
        check_front_page(&Source::new("src/a/b.rs", "use a;\n")).len(),
        1
    );
    let inside = "use a::b;\nfn f() {\n    use c::d;\n}\npub use e::*;\n#[cfg(test)]\nmod tests {\n    use super::*;\n}\n";
    let found = check_imports(&Source::new("src/a/b.rs", inside));
    assert_eq!(found.iter().map(|o| o.line).collect::<Vec<_>>(), [3, 5]);
}
