//! Words: which are banned, which have one home, and what neither code nor comments may speak of.

use crate::source::{Source, files, is_word, rust, slashed};
use crate::{Offence, none};
use std::collections::BTreeMap;
use std::fs;

/// Names that say nothing of what a thing is for.
const BANNED: [&str; 9] = [
    "util", "utils", "helper", "helpers", "common", "misc", "manager", "data", "info",
];

/// Beginnings of functions that say nothing, or what the house says otherwise.
const BANNED_STARTS: [(&str, &str); 2] = [
    ("get_", "getters have no `get_`"),
    ("do_", "say what is done"),
];

/// Beginnings of the metric names that this program exports.
const METRICS: [&str; 3] = ["agentguard_", "otelcol_", "traces_service_graph_"];

/// The calls that define a metric.
pub const METRIC_CALLS: [&str; 3] = [
    "MetricDef::counter(",
    "MetricDef::gauge(",
    "MetricDef::histogram(",
];

/// The first words of attribute names that have their home in `otlp/semconv.rs`.
const ATTRIBUTES: [&str; 22] = [
    "agentguard",
    "ai",
    "crewai",
    "db",
    "deployment",
    "error",
    "exception",
    "gen_ai",
    "graph",
    "http",
    "k8s",
    "langfuse",
    "langgraph",
    "llm",
    "mcp",
    "openinference",
    "otel",
    "peer",
    "rpc",
    "server",
    "service",
    "traceloop",
];

/// Where attribute names stand.
const SEMCONV: &str = "src/otlp/semconv.rs";

fn offence(source: &Source, line: usize, what: impl Into<String>) -> Offence {
    Offence {
        path: source.path.clone(),
        line,
        what: what.into(),
    }
}

fn check_words(source: &Source) -> Vec<Offence> {
    let mut offences = Vec::new();
    for part in source.path.trim_end_matches(".rs").split('/') {
        if BANNED.contains(&part) {
            offences.push(offence(
                source,
                1,
                format!("`{part}` says nothing; name it for what it holds"),
            ));
        }
    }
    for (line, code) in source.production() {
        for keyword in ["mod ", "fn ", "struct ", "enum ", "trait "] {
            let declared = code
                .match_indices(keyword)
                .filter(|(at, _)| !code[..*at].ends_with(|c: char| is_word(c as u8)));
            for (at, _) in declared {
                let letters = code[at + keyword.len()..]
                    .bytes()
                    .take_while(|b| is_word(*b))
                    .map(char::from);
                let name: String = letters.collect();
                let lower = name.to_ascii_lowercase();
                let is_vague = BANNED.contains(&lower.as_str())
                    || lower.ends_with("manager")
                    || lower.ends_with("helper");
                if is_vague {
                    offences.push(offence(
                        source,
                        line,
                        format!("`{name}` says nothing; name it for what it does"),
                    ));
                }
                for (start, why) in BANNED_STARTS
                    .iter()
                    .filter(|(start, _)| keyword == "fn " && name.starts_with(start))
                {
                    offences.push(offence(
                        source,
                        line,
                        format!("`{name}` begins with `{start}`: {why}"),
                    ));
                }
            }
        }
    }
    offences
}

fn check_atomics(source: &Source) -> Vec<Offence> {
    if source.path == "src/base/sync.rs" {
        return Vec::new();
    }
    let banned = ["sync::atomic", "loom::", "portable_atomic"];
    let lines = source.code.lines().enumerate();
    let found = lines.filter(|(_, code)| banned.iter().any(|banned| code.contains(banned)));
    let what = "atomics come from `base::sync`, so that a model checker can stand in";
    found.map(|(i, _)| offence(source, i + 1, what)).collect()
}

fn check_yaml_crate(source: &Source) -> Vec<Offence> {
    if source.path == "src/config/document.rs" {
        return Vec::new();
    }
    let lines = source
        .code
        .lines()
        .enumerate()
        .filter(|(_, code)| code.contains("saphyr"));
    lines
        .map(|(i, _)| {
            offence(
                source,
                i + 1,
                "only `config/document.rs` knows the YAML crate",
            )
        })
        .collect()
}

fn is_name(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
}

/// Names of metrics that are written outside their definition; defined names go into the map.
fn check_metrics(source: &Source, defined: &mut BTreeMap<String, String>) -> Vec<Offence> {
    let mut offences = Vec::new();
    for text in source
        .strings
        .iter()
        .filter(|text| source.is_production(text.line))
    {
        let rest = METRICS
            .iter()
            .find_map(|prefix| text.text.strip_prefix(prefix));
        if !rest.is_some_and(is_name) {
            continue;
        }
        let before = source.code[..text.at].trim_end();
        if !METRIC_CALLS.iter().any(|call| before.ends_with(call)) {
            let what = format!("`{}` is written outside its `MetricDef`", text.text);
            offences.push(offence(source, text.line, what));
        } else if let Some(first) = defined.insert(text.text.clone(), source.path.clone()) {
            let what = format!("`{}` is defined in {first} too", text.text);
            offences.push(offence(source, text.line, what));
        }
    }
    offences
}

fn check_attributes(source: &Source) -> Vec<Offence> {
    let mut offences = Vec::new();
    if source.path == SEMCONV {
        return offences;
    }
    for text in source
        .strings
        .iter()
        .filter(|text| source.is_production(text.line))
    {
        let mut words = text.text.split('.');
        let is_attribute = words
            .next()
            .is_some_and(|first| ATTRIBUTES.contains(&first))
            && text.text.contains('.')
            && words.all(is_name);
        if is_attribute {
            let what = format!(
                "`{}` is an attribute's name; its home is `otlp/semconv.rs`",
                text.text
            );
            offences.push(offence(source, text.line, what));
        }
    }
    offences
}

/// Log events begin in lower case and end without a full stop.
fn check_logs(source: &Source) -> Vec<Offence> {
    let mut offences = Vec::new();
    for level in ["error!(", "warn!(", "info!(", "debug!(", "trace!("] {
        for (at, _) in source.code.match_indices(level) {
            let open = at + level.len() - 1;
            let is_macro = !source.code[..at].ends_with(|c: char| is_word(c as u8));
            let Some(event) = is_macro.then(|| event_of(source, open)).flatten() else {
                continue;
            };
            let begins = event.text.chars().next().unwrap_or(' ');
            // a name in capitals, such as OTLP, is no beginning of a sentence
            let second = event.text.chars().nth(1).unwrap_or(' ');
            if begins.is_uppercase() && !second.is_uppercase() || event.text.ends_with('.') {
                let what = format!("log event `{}`: lower case first, no full stop", event.text);
                offences.push(offence(source, event.line, what));
            }
        }
    }
    offences
}

/// The text of a log call whose parenthesis opens here: the string that is an argument by itself.
fn event_of(source: &Source, open: usize) -> Option<&crate::source::Spot> {
    let mut depth = 0;
    for (at, byte) in source.code.bytes().enumerate().skip(open) {
        match byte {
            b'(' | b'{' | b'[' => depth += 1,
            b')' | b'}' | b']' => depth -= 1,
            b'"' if depth == 1 && source.code[..at].trim_end().ends_with(['(', ',']) => {
                return source.strings.iter().find(|text| text.at == at);
            }
            _ => {}
        }
        if depth == 0 {
            return None;
        }
    }
    None
}

/// What must be done has someone to do it.
fn check_todos(source: &Source) -> Vec<Offence> {
    let mut offences = Vec::new();
    for comment in &source.comments {
        for (at, word) in ["TODO", "FIXME", "XXX", "HACK"]
            .iter()
            .flat_map(|word| comment.text.match_indices(word))
        {
            let after = &comment.text[at + word.len()..];
            let is_owned = word == "TODO"
                && after.starts_with('(')
                && after.find(')').is_some_and(|end| end > 1);
            let is_whole = !comment.text[..at].ends_with(|c: char| is_word(c as u8))
                && !after.starts_with(|c: char| is_word(c as u8) || c == '`');
            if is_whole && !is_owned {
                offences.push(offence(
                    source,
                    comment.line,
                    format!("`{word}` without an owner or an id: `TODO(name)`"),
                ));
            }
        }
    }
    offences
}

/// Beginnings of paths that are those of one machine.
const MACHINE: [&str; 6] = ["/work", "/tmp", "/home/", "/root", "/mnt/", "/Users/"];

/// What a line says of the machine or of the work that made it.
fn foreign(line: &str) -> Option<String> {
    for path in MACHINE {
        for (at, _) in line.match_indices(path) {
            let after = line[at + path.len()..].bytes().next();
            let is_whole =
                path.ends_with('/') || after.is_none_or(|b| b == b'/' || !is_word(b) && b != b'-');
            let begins =
                !line[..at].ends_with(|c: char| c.is_alphanumeric() || "_.}-*>".contains(c));
            if is_whole && begins {
                return Some(format!("`{path}` is a path of one machine"));
            }
        }
    }
    let lower = line.to_ascii_lowercase();
    for (at, word) in lower.match_indices("issue") {
        let after = lower[at + word.len()..].trim_start_matches([' ', '#']);
        if after.starts_with(|c: char| c.is_ascii_digit()) {
            return Some(
                "an issue's number: say what was wrong, not where it was discussed".to_owned(),
            );
        }
    }
    None
}

fn check(rule: fn(&Source) -> Vec<Offence>, folders: &[&str]) {
    none(&rust(folders).iter().flat_map(rule).collect::<Vec<_>>());
}

#[test]
fn nothing_has_a_name_that_says_nothing() {
    check(check_words, &["src"]);
}

#[test]
fn atomics_come_from_one_place() {
    check(check_atomics, &["src"]);
}

#[test]
fn the_yaml_crate_is_known_to_one_file() {
    check(check_yaml_crate, &["src", "tests", "benches"]);
}

#[test]
fn a_metric_is_named_once() {
    let mut defined = BTreeMap::new();
    let sources = rust(&["src"]);
    let offences: Vec<_> = sources
        .iter()
        .flat_map(|source| check_metrics(source, &mut defined))
        .collect();
    none(&offences);
    assert!(
        defined.len() > 30,
        "the definitions were not found: {}",
        defined.len()
    );
}

#[test]
fn an_attributes_name_stands_in_semconv_alone() {
    check(check_attributes, &["src"]);
}

#[test]
fn log_events_begin_in_lower_case_and_have_no_full_stop() {
    check(check_logs, &["src"]);
}

#[test]
fn what_is_to_do_has_an_owner() {
    check(check_todos, &["src", "tests", "benches"]);
}

#[test]
fn nothing_speaks_of_one_machine_or_of_a_discussion() {
    let mut offences = Vec::new();
    let folders = [
        "src",
        "tests",
        "benches",
        "config",
        "examples",
        ".ci",
        "README.md",
        "CHANGELOG.md",
        "Cargo.toml",
    ];
    for path in files(&folders, &[]) {
        let name = slashed(&path);
        // recordings hold what was recorded, and this file names what it looks for
        if name.starts_with("tests/fixtures/captures/")
            || name.starts_with("tests/fuzz/corpus/")
            || name == "tests/tidy/names.rs"
        {
            continue;
        }
        let Ok(text) = fs::read_to_string(&path) else {
            continue;
        };
        for (i, line) in text.lines().enumerate() {
            if let Some(what) = foreign(line) {
                offences.push(Offence {
                    path: name.clone(),
                    line: i + 1,
                    what,
                });
            }
        }
    }
    none(&offences);
}

#[test]
fn an_offender_of_each_rule_is_found() {
    let source = |text: &str| Source::new("src/a/b.rs", text);
    assert_eq!(
        check_words(&source(
            "mod utils;\nfn get_x() {}\nstruct TaskManager;\nfn forget_x() {}\n"
        ))
        .len(),
        3
    );
    assert_eq!(check_words(&Source::new("src/common/b.rs", "")).len(), 1);
    assert_eq!(
        check_atomics(&source("use std::sync::atomic::AtomicU8;\n")).len(),
        1
    );
    assert_eq!(
        check_yaml_crate(&source("use saphyr_parser::Parser;\n")).len(),
        1
    );
    let metrics = "const A: D = MetricDef::counter(\n    \"agentguard_a_total\",\n);\nlet b = \"agentguard_a_total\";\n";
    let mut defined = BTreeMap::new();
    assert_eq!(check_metrics(&source(metrics), &mut defined).len(), 1);
    assert_eq!(check_metrics(&source(metrics), &mut defined).len(), 2);
    let attributes =
        "let a = \"gen_ai.agent.name\"; let b = \"service.not A\"; let c = \"no.such\";\n";
    assert_eq!(check_attributes(&source(attributes)).len(), 1);
    let logs = "info!(id = %x(\"Not this\"), \"Started\");\nwarn!(\"stopped.\");\ninfo!(\"OTLP is read\");\nfoo_info!(\"No\");\n";
    let lines: Vec<usize> = check_logs(&source(logs)).iter().map(|o| o.line).collect();
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert_eq!(
        check_todos(&source(
            "// TODO: later\n// TODO(wire): later\nlet a = \"TODO\";\n"
        ))
        .len(),
        1
    );
    assert!(foreign("see /tmp/x").is_some() && foreign("as in Issue #12").is_some());
    assert!(
        foreign("https://host/tmp-files, v1/workers").is_none()
            && foreign("an issue of 12 pages").is_none()
    );
}
