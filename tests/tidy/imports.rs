//! Who may know whom: the folders follow the data's way, and nothing imports what comes later.

use crate::source::{Source, rust};
use crate::{Offence, none};

/// The core: no tokio, no sockets, no files, no clock, no logging.
const CORE: [&str; 9] = [
    "base", "otlp", "scan", "graph", "analysis", "detect", "incident", "playbook", "audit",
];

/// What a row that says `the core` may import.
const THE_CORE: &[&str] = &CORE;

/// Each folder, in the order of dependency, with what it may import besides itself and `base`.
///
/// It differs from the map of the house style in two rows, each with its reason beside it.
const TABLE: &[(&str, &[&[&str]])] = &[
    ("base", &[]),
    ("otlp", &[]),
    ("scan", &[&["otlp"]]),
    // `otlp`: a node keeps the encoded attributes that the splice inserts (D5)
    ("graph", &[&["otlp", "scan"]]),
    ("analysis", &[&["scan", "graph"]]),
    ("detect", &[&["scan", "graph", "analysis"]]),
    (
        "incident",
        &[&["otlp", "scan", "graph", "analysis", "detect"]],
    ),
    ("playbook", &[&["graph", "analysis", "incident"]]),
    ("audit", &[]),
    // `otlp`: the Collector's metrics are named by signal, and `Signal` is the wire's word
    ("telemetry", &[&["otlp"]]),
    ("config", &[]),
    (
        "store",
        &[&[
            "graph",
            "analysis",
            "detect",
            "incident",
            "playbook",
            "audit",
            "telemetry",
            "config",
        ]],
    ),
    ("guard", &[THE_CORE, &["store", "telemetry", "config"]]),
    ("pipeline", &[&["otlp", "telemetry", "config"]]),
    ("receivers", &[&["pipeline", "otlp", "telemetry", "config"]]),
    (
        "processors",
        &[&["pipeline", "otlp", "telemetry", "config"]],
    ),
    (
        "connectors",
        // `scan`, `graph`, `analysis`: the page that joins the two halves translates between them
        &[&[
            "pipeline",
            "otlp",
            "telemetry",
            "config",
            "guard",
            "scan",
            "graph",
            "analysis",
        ]],
    ),
    (
        "exporters",
        &[&["pipeline", "otlp", "telemetry", "config", "incident"]],
    ),
    ("console", &[]),
    (
        "api",
        &[
            THE_CORE,
            &["store", "guard", "console", "telemetry", "config"],
        ],
    ),
    (
        "extensions",
        &[&[
            "api",
            "guard",
            "store",
            "playbook",
            "audit",
            "pipeline",
            "telemetry",
            "config",
        ]],
    ),
    ("service", &[THE_CORE, SHELL]),
    ("demo", &[&["otlp"]]),
    ("cli", &[THE_CORE, SHELL, &["service", "demo"]]),
];

/// The shell below `service`.
const SHELL: &[&str] = &[
    "telemetry",
    "config",
    "store",
    "guard",
    "pipeline",
    "receivers",
    "processors",
    "connectors",
    "exporters",
    "console",
    "api",
    "extensions",
];

/// Pages of a component folder that its components share.
const SHARED: [&str; 3] = ["delivery", "civil", "outgoing"];

/// Crates and modules that the core does not know, with what stands for them.
const NOT_IN_THE_CORE: [(&str, &str); 9] = [
    ("tokio", "the core never waits"),
    ("hyper", "the core has no sockets"),
    ("tonic", "the core has no sockets"),
    ("tracing", "the core returns what the shell may log"),
    ("std::fs", "the core reads `io::Read`, the shell opens"),
    ("std::net", "the core has no sockets"),
    ("std::thread", "the shell starts threads"),
    ("std::env", "what the core needs is an argument"),
    ("Instant::now", "time is an argument"),
];

/// Every `crate::NAME` of the product's code with its line, whether in a `use` or in a path.
fn named(source: &Source) -> Vec<(usize, String, String)> {
    let mut named = Vec::new();
    for (line, code) in source.production() {
        for (at, _) in code.match_indices("crate::") {
            if code[..at].ends_with('$') {
                continue;
            }
            let rest = &code[at + "crate::".len()..];
            let mut parts = rest.split("::");
            let word = |part: Option<&str>| -> String {
                let letters = part.unwrap_or_default().chars();
                letters
                    .take_while(|c| c.is_alphanumeric() || *c == '_')
                    .collect()
            };
            let first = word(parts.next());
            named.push((line, first, word(parts.next())));
        }
    }
    named
}

fn check_folders(source: &Source) -> Vec<Offence> {
    let Some(folder) = source.folder() else {
        return Vec::new();
    };
    let offence = |line, what| Offence {
        path: source.path.clone(),
        line,
        what,
    };
    let Some((_, allowed)) = TABLE.iter().find(|(name, _)| *name == folder) else {
        let what = format!("the folder `{folder}` is not on the map; give it a row of the table");
        return vec![offence(1, what)];
    };
    let may = |other: &str| other == folder || other == "base" || allowed.concat().contains(&other);
    named(source)
        .into_iter()
        .filter(|(_, first, _)| !first.is_empty() && !may(first))
        .map(|(line, first, _)| offence(line, format!("`{folder}` may not import `{first}`")))
        .collect()
}

/// Components do not know their siblings.
fn check_siblings(source: &Source) -> Vec<Offence> {
    let mut offences = Vec::new();
    let Some(folder) = source.folder() else {
        return offences;
    };
    let is_of_components = [
        "receivers",
        "processors",
        "connectors",
        "exporters",
        "extensions",
    ];
    let rest = &source.path["src/".len() + folder.len() + 1..];
    if !is_of_components.contains(&folder) || rest == "mod.rs" {
        return offences;
    }
    let component = rest
        .split('/')
        .next()
        .unwrap_or_default()
        .trim_end_matches(".rs");
    for (line, first, second) in named(source) {
        let is_module = second.starts_with(|c: char| c.is_lowercase());
        if first == folder && is_module && second != component && !SHARED.contains(&second.as_str())
        {
            let what =
                format!("`{component}` imports its sibling `{second}`; what both need moves up");
            offences.push(Offence {
                path: source.path.clone(),
                line,
                what,
            });
        }
    }
    offences
}

fn check_core(source: &Source) -> Vec<Offence> {
    let mut offences = Vec::new();
    if !source.folder().is_some_and(|folder| CORE.contains(&folder)) {
        return offences;
    }
    for (line, code) in source.production() {
        for (banned, why) in NOT_IN_THE_CORE {
            let follows = |at: usize| {
                code[at + banned.len()..].starts_with("::")
                    || code[at + banned.len()..].starts_with([';', '(', '{', '}', ','])
            };
            let is_path = |at: usize| {
                !code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':')
            };
            if code
                .match_indices(banned)
                .any(|(at, _)| is_path(at) && follows(at))
            {
                offences.push(Offence {
                    path: source.path.clone(),
                    line,
                    what: format!("`{banned}` in the core: {why}"),
                });
            }
        }
    }
    offences
}

fn check(rule: fn(&Source) -> Vec<Offence>) -> Vec<Offence> {
    rust(&["src"]).iter().flat_map(rule).collect()
}

#[test]
fn folders_import_only_what_the_map_allows() {
    none(&check(check_folders));
}

#[test]
fn components_do_not_import_their_siblings() {
    none(&check(check_siblings));
}

#[test]
fn the_core_knows_no_runtime_no_sockets_no_files_and_no_logs() {
    none(&check(check_core));
}

#[test]
fn the_library_declares_its_folders_in_the_order_of_the_table() {
    let sources = rust(&["src"]);
    let library = sources.iter().find(|source| source.path == "src/lib.rs");
    let declared: Vec<&str> = library
        .unwrap()
        .code
        .lines()
        .filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';'))
        .collect();
    let row = |name: &str| TABLE.iter().position(|(row, _)| *row == name);
    let rows: Vec<usize> = declared
        .iter()
        .map(|name| row(name).unwrap_or_else(|| panic!("`{name}` is not on the map")))
        .collect();
    assert!(rows.is_sorted(), "out of order: {declared:?}");
    assert!(
        rows.len() > 8,
        "the declarations were not found: {declared:?}"
    );
}

#[test]
fn each_row_of_the_table_names_only_rows_before_it() {
    for (i, (folder, allowed)) in TABLE.iter().enumerate() {
        for other in allowed.concat() {
            let before = TABLE.iter().take(i).any(|(row, _)| *row == other);
            assert!(
                before,
                "`{folder}` imports `{other}`, which is not before it"
            );
        }
    }
}

#[test]
fn an_offender_of_each_rule_is_found() {
    let source = |path: &str, text: &str| Source::new(path, text);
    let later = source(
        "src/config/a.rs",
        "use crate::base::Nanos;\nuse crate::pipeline::Batch;\nfn f() { crate::cli::g() }\n",
    );
    let lines: Vec<usize> = check_folders(&later).iter().map(|o| o.line).collect();
    assert_eq!(lines, [2, 3]);
    let tests = source("src/config/tests.rs", "use crate::pipeline::Batch;\n");
    assert!(check_folders(&tests).is_empty());
    assert_eq!(check_folders(&source("src/extra/a.rs", "")).len(), 1);
    let sibling = source(
        "src/exporters/otlphttp/a.rs",
        "use crate::exporters::otlp::x;\nuse crate::exporters::delivery::y;\n",
    );
    assert_eq!(check_siblings(&sibling).len(), 1);
    let core = source(
        "src/otlp/a.rs",
        "use tokio::time;\nuse std::fs::File;\nlet tokio_free = my::tokio;\n",
    );
    assert_eq!(check_core(&core).len(), 2);
}
