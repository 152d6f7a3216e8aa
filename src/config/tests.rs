//! What a document does with sources, mistakes and hostile bytes (R-STR-2).

use crate::base::{ByteSize, Problems, Secret};
use crate::config::{Document, Env, Section};
use proptest::prelude::*;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{env, fs, io};

fn variable(name: &str) -> Option<String> {
    let value = match name {
        "PORT" => "4317",
        "HOST" => "collector",
        "EMPTY" => "",
        "SYNTAX" => "a: {b: [c]}\nd: ${env:PORT}",
        "TILDE" => "~",
        "TOKEN" => "hunter2",
        "BROKERS" => "one:9092, two:9092",
        "WHOLE" => "exporters: {debug: {verbosity: \"${env:LEVEL:-detailed}\"}}",
        _ => return None,
    };
    Some(value.to_owned())
}

fn file(path: &Path) -> io::Result<String> {
    match path.to_str() {
        Some("token.txt") => Ok("s3cret: [x]\r\n".to_owned()),
        Some("a.yaml") => Ok("receivers:\n  otlp:\n    protocols:\n      grpc:\n".to_owned()),
        Some("b.yaml") => Ok("receivers:\n  otlp:\n".to_owned()),
        _ => Err(io::Error::from(io::ErrorKind::NotFound)),
    }
}

const ENV: Env<'static> = Env {
    var: &variable,
    file: &file,
};

fn load(text: &str) -> (Document, Problems) {
    Document::load(&[format!("yaml:{text}")], &ENV)
}

/// A document without any problem.
fn good(text: &str) -> Document {
    let (document, problems) = load(text);
    assert!(problems.is_empty(), "{problems}");
    document
}

fn texts(section: &Section<'_>, keys: &[&str]) -> Vec<Option<String>> {
    keys.iter()
        .map(|key| section.at(key).as_str().map(str::to_owned))
        .collect()
}

// ── sources ──

#[test]
fn later_sources_go_over_earlier_ones() {
    let sources = [
        "yaml:a: {b: 1, c: [1, 2], d: {e: 1}}\nx: 1",
        "yaml:a: {b: 2, c: [3], d: {f: 2}}\nz: 2",
    ];
    let (document, problems) = Document::load(&sources, &ENV);
    assert!(problems.is_empty(), "{problems}");
    assert_eq!(
        document.to_yaml(false),
        "a:\n  b: 2\n  c:\n    - 3\n  d:\n    e: 1\n    f: 2\nx: 1\nz: 2\n"
    );
}

#[test]
fn an_empty_section_takes_nothing_away() {
    for sources in [["a.yaml", "b.yaml"], ["b.yaml", "a.yaml"]] {
        let (document, problems) = Document::load(&sources, &ENV);
        assert!(problems.is_empty(), "{problems}");
        assert_eq!(
            document.to_yaml(false),
            "receivers:\n  otlp:\n    protocols:\n      grpc:\n"
        );
    }
}

#[test]
fn a_whole_document_can_come_from_a_variable_and_a_line() {
    let (document, problems) = Document::load(
        &["env:WHOLE", "yaml:exporters::debug::verbosity: basic"],
        &ENV,
    );
    assert!(problems.is_empty(), "{problems}");
    assert_eq!(
        document.to_yaml(false),
        "exporters:\n  debug:\n    verbosity: basic\n"
    );
}

#[test]
fn a_source_that_cannot_be_read_does_not_hide_the_others() {
    let (document, problems) = Document::load(
        &[
            "no.yaml",
            "env:NO",
            "https://x/y",
            "yaml:a: ${NO}",
            "a.yaml",
        ],
        &ENV,
    );
    assert_eq!(
        problems.to_string(),
        "error: <yaml>:1:4: a: the environment variable `NO` is not set (set it, or write `${env:NO:-default}`; \
         the default may be empty)\n\
         error: env:NO: the environment variable `NO` is not set (it should hold a whole configuration)\n\
         error: https://x/y: `https:` sources are not read (fetch it to a file)\n\
         error: no.yaml: cannot be read: entity not found\n"
    );
    assert!(document.root().at("receivers.otlp.protocols").is_map());
}

#[test]
fn places_follow_the_source_that_wrote_the_value() {
    let (document, _) = Document::load(&["a.yaml", "yaml:receivers:\n  otlp: {x: 1}"], &ENV);
    let otlp = document.root().at("receivers.otlp");
    assert_eq!(
        otlp.place_of("x").to_string(),
        "<yaml>:2:13: receivers::otlp::x"
    );
    assert_eq!(
        otlp.place_of("protocols.grpc").to_string(),
        "a.yaml:4:7: receivers::otlp::protocols::grpc"
    );
    assert_eq!(
        otlp.place_of("protocols.grpc.tls.cert_file").to_string(),
        "a.yaml:4:7: receivers::otlp::protocols::grpc::tls::cert_file"
    );
}

// ── expansion ──

#[test]
fn expansion_never_becomes_syntax() {
    let document = good("a: ${env:SYNTAX}\nb: \"x ${env:SYNTAX}\"\nc: ${file:token.txt}");
    let read = texts(&document.root(), &["a", "b", "c"]);
    let syntax = variable("SYNTAX").unwrap_or_default();
    assert_eq!(
        read,
        [
            Some(syntax.clone()),
            Some(format!("x {syntax}")),
            Some("s3cret: [x]".to_owned())
        ]
    );
}

#[test]
fn references_defaults_and_dollars_are_told_apart() {
    for (written, read) in [
        ("${env:HOST}:${PORT}", "collector:4317"),
        ("${NO:-fall:-back}", "fall:-back"),
        ("x${env:NO:-}y", "xy"),
        ("x${env:EMPTY:-unused}y", "xy"),
        ("${env:NO:-${env:HOST}}", "collector"),
        ("${env:NO:-http://${NO:-${HOST}}/}", "http://collector/"),
        ("$${env:HOST}", "${env:HOST}"),
        ("$$${env:HOST}", "$collector"),
        ("$$$$x", "$$x"),
        ("$HOST costs 5$", "$HOST costs 5$"),
        ("^a$", "^a$"),
        ("ü$ü", "ü$ü"),
    ] {
        let document = good(&format!("a: '{written}'"));
        assert_eq!(document.root().at("a").as_str(), Some(read), "{written}");
    }
}

#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
struct Kinds {
    port: u16,
    host: String,
    tilde: String,
    empty: Option<String>,
    brokers: Vec<String>,
    version: String,
    ratio: f64,
    on: bool,
}

#[test]
fn an_unquoted_reference_alone_has_the_type_of_its_value() {
    let document = good(
        "port: ${env:PORT}\nhost: ${env:PORT}\ntilde: ${env:TILDE}\nempty: ${env:EMPTY}\nbrokers: ${env:BROKERS}\n\
         version: 1.10\nratio: 2\non: ${env:NO:-true}",
    );
    let mut problems = Problems::new();
    let kinds: Option<Kinds> = document.root().parse(&[], &mut problems);
    assert!(problems.is_empty(), "{problems}");
    assert_eq!(
        kinds,
        Some(Kinds {
            port: 4317,
            host: "4317".to_owned(),
            tilde: "~".to_owned(),
            empty: None,
            brokers: vec!["one:9092".to_owned(), "two:9092".to_owned()],
            version: "1.10".to_owned(),
            ratio: 2.0,
            on: true,
        })
    );
    let quoted = good("port: \"${env:PORT}\"");
    assert_eq!(quoted.root().parse::<Kinds>(&[], &mut problems), None);
    assert_eq!(
        problems.to_string(),
        "error: <yaml>:1:7: port: expected a whole number, found text from an expansion (remove the quotes)\n"
    );
}

#[test]
fn what_a_variable_holds_is_not_shown_in_messages() {
    let document = good("port: ${env:TOKEN}\non: ${env:TOKEN}\ntime: ${env:TOKEN}");
    let mut problems = Problems::new();
    document.root().parse::<Kinds>(&[], &mut problems);
    document.root().parse::<Other>(&[], &mut problems);
    assert_eq!(problems.errors().len(), 6, "{problems}");
    assert!(!problems.to_string().contains("hunter2"), "{problems}");
}

// ── typing ──

#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
struct Other {
    #[serde(with = "crate::base::duration")]
    time: Duration,
    size: ByteSize,
    secret: Secret,
    mode: Mode,
    nested: Option<Inner>,
    list: Vec<Inner>,
    named: BTreeMap<String, u8>,
}

#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Mode {
    #[default]
    FirstMode,
    SecondMode,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(default)]
struct Inner {
    max_size: u8,
    name: String,
}

impl Default for Inner {
    fn default() -> Self {
        Inner {
            max_size: 7,
            name: "inner".to_owned(),
        }
    }
}

#[test]
fn a_section_is_typed_with_its_defaults() {
    let document = good(
        "time: 1m30s\nsize: 2KiB\nsecret: x\nmode: second_mode\nnested:\nlist: [{max_size: 1}, {name: 5}]\nnamed: {a: 1}",
    );
    let mut problems = Problems::new();
    let other: Option<Other> = document.root().parse(&[], &mut problems);
    assert!(problems.is_empty(), "{problems}");
    assert_eq!(
        other,
        Some(Other {
            time: Duration::from_secs(90),
            size: ByteSize(2048),
            secret: Secret::new("x"),
            mode: Mode::SecondMode,
            nested: Some(Inner::default()),
            list: vec![
                Inner {
                    max_size: 1,
                    ..Inner::default()
                },
                Inner {
                    name: "5".to_owned(),
                    ..Inner::default()
                }
            ],
            named: BTreeMap::from([("a".to_owned(), 1)]),
        })
    );
}

#[test]
fn nulls_keep_defaults() {
    let document = good("time:\nsize: ~\nsecret: null\nmode:\nlist:\nnamed:\n");
    let mut problems = Problems::new();
    assert_eq!(
        document.root().parse::<Other>(&[], &mut problems),
        Some(Other::default())
    );
    assert_eq!(
        document
            .root()
            .at("nested")
            .parse::<Inner>(&[], &mut problems),
        Some(Inner::default())
    );
    assert!(problems.is_empty(), "{problems}");
}

#[test]
fn all_mistakes_are_found_at_once() {
    let (document, problems) = load(
        "time: 5\nsize: big\nsecret: [a]\nmode: second-mode\nnested:\n  max_szie: 3\n  max_size: 300\n  name: {a: b}\n\
         list:\n  - max_size: -1\n  - max_size: 3\n    nmae: x\n  - ~\nnamed: {a: x, b: 2}\ntiem: 5s\nelsewhere: 1\n\
         nothing.like: {it: 1}",
    );
    assert!(problems.is_empty(), "{problems}");
    let ignored = [("nothing.like", "the Collector's own"), ("nested.x", "")];
    let mut problems = Problems::new();
    assert_eq!(
        document.root().parse::<Other>(&ignored, &mut problems),
        None
    );
    assert_eq!(
        problems.to_string(),
        "error: <yaml>:1:7: time: `5` is not a duration; write a number with a unit, such as `5s`, `200ms` or `1m30s`\n\
         error: <yaml>:2:7: size: `big` is not a size; write a number with B, KiB, MiB, GiB, KB, MB or GB\n\
         error: <yaml>:3:1: secret: expected text, found a list\n\
         error: <yaml>:4:7: mode: `second-mode` is not known here (did you mean `second_mode`?)\n\
         error: <yaml>:6:3: nested::max_szie: unknown key `max_szie` (did you mean `max_size`?)\n\
         error: <yaml>:7:13: nested::max_size: expected a whole number from 0 to 255, found integer `300`\n\
         error: <yaml>:8:3: nested::name: expected text, found a section with keys\n\
         error: <yaml>:10:15: list[0]::max_size: expected a whole number from 0 to 255, found integer `-1`\n\
         error: <yaml>:12:5: list[1]::nmae: unknown key `nmae` (did you mean `name`?)\n\
         error: <yaml>:14:12: named::a: expected a whole number, found text `x`\n\
         error: <yaml>:15:1: tiem: unknown key `tiem` (did you mean `time`?)\n\
         error: <yaml>:16:1: elsewhere: unknown key `elsewhere` (known here: time, size, secret, mode, nested, list, named)\n\
         warning: <yaml>:17:1: nothing.like: is accepted and has no effect here (the Collector's own)\n"
    );
}

#[test]
fn a_section_that_is_no_section_is_one_mistake() {
    for text in ["a: 5", "a: [x]", "a: text"] {
        let document = good(text);
        let mut problems = Problems::new();
        assert_eq!(
            document.root().at("a").parse::<Inner>(&[], &mut problems),
            None
        );
        assert_eq!(
            document
                .root()
                .at("a")
                .parse_flat::<Inner, Other>(&[], &mut problems),
            None
        );
        assert_eq!(problems.errors().len(), 2, "{problems}");
    }
}

#[test]
fn two_structs_can_share_a_section() {
    let document = good(
        "max_size: 300\ntime: 5\nsize: 1\nunknwon: 1\nold: 1\nnested: {max_size: x, y: z}\nnaem: 1",
    );
    let mut problems = Problems::new();
    let both = document
        .root()
        .parse_flat::<Inner, Other>(&[("old", "was ours")], &mut problems);
    assert_eq!(both, None);
    let keys: Vec<&str> = problems
        .errors()
        .iter()
        .map(|p| p.place.key.as_str())
        .collect();
    assert_eq!(
        keys,
        [
            "unknwon",
            "naem",
            "max_size",
            "time",
            "nested::y",
            "nested::max_size"
        ]
    );
    assert_eq!(problems.warnings().len(), 1);
    let document = good("max_size: 3\ntime: 5s");
    let mut problems = Problems::new();
    let both = document
        .root()
        .parse_flat::<Inner, Other>(&[], &mut problems);
    assert_eq!(
        both.map(|(a, b)| (a.max_size, b.time)),
        Some((3, Duration::from_secs(5)))
    );
    assert!(problems.is_empty(), "{problems}");
}

#[test]
fn merge_keys_bring_in_what_is_not_written() {
    let document = good(
        "base: &base {a: 1, b: 2}\nmore: &more {b: 3, c: 4}\nx:\n  <<: [*base, *more]\n  a: 0\n",
    );
    assert_eq!(
        texts(&document.root().at("x"), &["a", "b", "c"]),
        ["0", "2", "4"].map(|n| Some(n.to_owned()))
    );
}

// ── printing ──

#[test]
fn debug_output_shows_no_values() {
    let document = good("password: ${env:TOKEN}");
    let shown = format!("{document:?} {:?}", document.root().at("password"));
    assert!(!shown.contains("hunter2"), "{shown}");
}

#[test]
fn secrets_are_masked() {
    let document = good(
        "exporters:\n  otlp:\n    endpoint: https://me:pw@host:4318/v1?api_key=abc&x=1\n    headers: {name: t1, Authorization: b}\n\
         \x20   api-key: 12345\n    auth: {client_secret: {a: [x]}, token_file: /f, max_tokens: 5, password: \"${env:TOKEN}\"}\n\
         \x20   list: [{headers: [{name: a, value: b}]}]\n    dsn: x\n    note: ${env:TOKEN}\n    secret:\n\
         \x20   store: host=db password=pw user=me\n    amqp: amqp://me@h,amqp://you:p@ss@h",
    );
    assert_eq!(
        document.to_yaml(true),
        "exporters:\n  otlp:\n    endpoint: \"https://me:[redacted]@host:4318/v1?api_key=[redacted]&x=1\"\n    headers:\n\
         \x20     name: \"[redacted]\"\n      Authorization: \"[redacted]\"\n    api-key: \"[redacted]\"\n    auth:\n\
         \x20     client_secret:\n        a:\n          - \"[redacted]\"\n      token_file: /f\n      max_tokens: 5\n\
         \x20     password: \"[redacted]\"\n    list:\n      - headers:\n          - name: a\n            value: \"[redacted]\"\n\
         \x20   dsn: \"[redacted]\"\n    note: hunter2\n    secret:\n    store: \"host=db password=[redacted] user=me\"\n\
         \x20   amqp: \"amqp://me@h,amqp://you:[redacted]@h\"\n"
    );
}

/// Keys and texts that have hurt printers of YAML before.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        "[ -~]{0,12}",
        "[$]{0,3}[{]?[a-z:}-]{0,6}[$]{0,2}",
        prop::sample::select(vec![
            "",
            "~",
            "null",
            "yes",
            "true",
            "1",
            "-1",
            "1e3",
            "0x1f",
            "-",
            "- a",
            "a: b",
            "a #b",
            "#",
            "&a",
            "*a",
            "!t",
            "|",
            ">",
            "%x",
            "@",
            "`",
            "---",
            "...",
            "<<",
            "?",
            ": ",
            "a:",
            "\n",
            "a\nb",
            " a ",
            "\t",
            "\u{85}",
            "\u{2028}",
            "\u{feff}",
            "\"",
            "'",
            "\\",
            "[",
            "]",
            "{",
            "}",
            ",",
            "${env:HOST}",
            "$$",
        ])
        .prop_map(str::to_owned),
    ]
}

fn tree() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<u64>().prop_map(Into::into),
        (-1e9..1e9).prop_map(|f: f64| f.into()),
        text().prop_map(Into::into),
    ];
    leaf.prop_recursive(5, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Into::into),
            prop::collection::btree_map(text(), inner, 0..6)
                .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
        ]
    })
}

/// JSON is YAML, with expansions escaped, which only values have; one writer for the oracle.
fn escaped(value: &serde_json::Value) -> serde_json::Value {
    match value {
        serde_json::Value::String(text) => text.replace('$', "$$").into(),
        serde_json::Value::Array(items) => items.iter().map(escaped).collect(),
        serde_json::Value::Object(map) => {
            map.iter().map(|(k, v)| (k.clone(), escaped(v))).collect()
        }
        other => other.clone(),
    }
}

fn typed(document: &Document) -> serde_json::Value {
    let mut problems = Problems::new();
    let value = document
        .root()
        .parse(&[], &mut problems)
        .unwrap_or_default();
    assert!(problems.is_empty(), "{problems}");
    value
}

proptest! {
    #[test]
    fn what_is_printed_loads_to_the_same(tree in tree()) {
        let tree = serde_json::json!({ "root": tree });
        let written = Document::load(&["file:x"], &Env {
            var: &variable,
            file: &|_| Ok(serde_json::to_string(&escaped(&tree)).unwrap_or_default().replace('\u{7f}', "\\u007f")),
        });
        // JSON leaves C1 controls unescaped, which YAML refuses; our printer escapes them.
        prop_assume!(!written.1.to_string().contains("control character"));
        prop_assert!(written.1.is_empty(), "{}", written.1);
        prop_assert_eq!(&typed(&written.0), &tree);
        let printed = written.0.to_yaml(false);
        let (again, problems) = Document::load(&["x"], &Env { var: &variable, file: &|_| Ok(printed.clone()) });
        prop_assert!(problems.is_empty(), "{}\n{}", problems, printed);
        prop_assert_eq!(&typed(&again), &tree, "{}", printed);
        let masked = written.0.to_yaml(true);
        let (_, problems) = Document::load(&["x"], &Env { var: &variable, file: &|_| Ok(masked.clone()) });
        prop_assert!(problems.is_empty(), "{}\n{}", problems, masked);
    }

    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        survives(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn no_text_near_yaml_panics(text in "([a-c]: |- |\\? |: |\n|  |\t|[\\[\\]{},&*!|>'\"%@`#~<$:-]|&a |\\*a |<<: |---\n|\\$\\{|é|\u{feff}){0,60}") {
        survives(&text);
    }
}

/// Whatever the text: a document, and every problem with a place in it.
fn survives(text: &str) {
    let env = Env {
        var: &variable,
        file: &|_| Ok(text.to_owned()),
    };
    let (document, problems) = Document::load(&["x"], &env);
    let lines = u32::try_from(text.split(['\n', '\r']).count()).unwrap_or(u32::MAX);
    for problem in problems.errors() {
        assert!(problem.place.line <= lines + 1, "{problem}");
    }
    let mut problems = Problems::new();
    document.root().parse::<Other>(&[], &mut problems);
    document
        .root()
        .parse_flat::<Inner, Kinds>(&[], &mut problems);
    assert!(!document.to_yaml(true).is_empty());
}

// ── files with one mistake each ──

#[test]
fn each_bad_file_gives_its_message() {
    let folder = PathBuf::from("tests/fixtures/config/bad");
    let mut seen = 0;
    for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.extension().is_none_or(|e| e != "yaml") {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap_or_default();
        let name = path
            .file_name()
            .and_then(|n| n.to_str())
            .unwrap_or_default();
        let read = |asked: &Path| {
            if asked == Path::new(name) {
                Ok(text.clone())
            } else {
                Err(io::ErrorKind::NotFound.into())
            }
        };
        let (_, problems) = Document::load(
            &[name],
            &Env {
                var: &|_| None,
                file: &read,
            },
        );
        let expected = path.with_extension("err");
        if !problems.has_errors() {
            continue; // Its mistake is one for those who know the components.
        }
        if env::var_os("UPDATE_EXPECT").is_some() {
            fs::write(&expected, problems.to_string()).unwrap_or_default();
        }
        assert_eq!(
            problems.to_string(),
            fs::read_to_string(&expected).unwrap_or_default(),
            "{name}"
        );
        seen += 1;
    }
    assert!(seen >= 14, "{seen} files seen");
}
