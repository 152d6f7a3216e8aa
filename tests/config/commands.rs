//! The command line: exit codes that scripts can use, arguments as a Collector's operator passes them, and what is printed.

use crate::{expect, files, stem};
use agentguard::service::{CONNECTORS, EXPORTERS, EXTENSIONS, PROCESSORS, RECEIVERS};
use std::path::Path;
use std::process::{Command, Stdio};
use tempfile::TempDir;

const FOLDER: &str = "tests/fixtures/cli";

/// A configuration that is right and listens nowhere that another test does.
const RIGHT: &str = "receivers: {otlp: {protocols: {grpc: {endpoint: 'localhost:0'}}}}
exporters: {debug: }
service:
  telemetry: {metrics: {level: none}}
  pipelines: {traces: {receivers: [otlp], exporters: [debug]}}
";

/// What a command answered.
struct Answer {
    code: i32,
    out: String,
    err: String,
}

/// Runs the binary to its end, at the width of no terminal.
fn agentguard(arguments: &[&str]) -> Answer {
    let mut command = Command::new(env!("CARGO_BIN_EXE_agentguard"));
    let output = command
        .args(arguments)
        .env_remove("COLUMNS")
        .env("AGENTGUARD_TEST_CONFIG", RIGHT)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    Answer {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

/// Two files in a folder of their own: a right configuration, and one with a mistake.
fn two_files() -> (TempDir, String, String) {
    let folder = TempDir::new().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let right = write("right.yaml", RIGHT);
    let wrong = write("wrong.yaml", "exporters: {debug: {verbosty: basic}}\n");
    (folder, right, wrong)
}

#[test]
fn a_right_configuration_ends_with_0_and_a_wrong_one_with_78() {
    let (_folder, right, wrong) = two_files();
    let answer = agentguard(&["validate", "--config", &right]);
    assert_eq!((answer.code, answer.err.as_str()), (0, ""));
    assert_eq!(answer.out, "the configuration is valid\n");
    // the second is merged over the first, and is wrong
    for command in ["validate", "run"] {
        let answer = agentguard(&[command, "--config", &right, "--config", &wrong]);
        assert_eq!((answer.code, answer.out.as_str()), (78, ""));
        let expected = format!(
            "error: {wrong}:1:21: exporters::debug::verbosty: unknown key `verbosty` (did you mean `verbosity`?)\n"
        );
        assert_eq!(answer.err, expected);
    }
}

#[test]
fn a_file_that_cannot_be_read_is_one_mistake() {
    let answer = agentguard(&["validate", "--config", "no/such/file.yaml"]);
    assert_eq!(answer.code, 78);
    assert_eq!(answer.err.lines().count(), 1, "{}", answer.err);
    assert!(
        answer
            .err
            .starts_with("error: no/such/file.yaml: cannot be read")
    );
}

#[test]
fn wrong_arguments_end_with_64_and_help_with_0() {
    for arguments in [
        &["valdate"][..],
        &["run", "--confg", "a.yaml"],
        &["replay"],
        &["replay", "a.otlp", "--speed", "-1"],
        &["run", "--log-format", "xml"],
        &["--config=a.yaml", "validate"],
    ] {
        let answer = agentguard(arguments);
        assert_eq!(answer.code, 64, "{arguments:?}: {}", answer.err);
        assert!(answer.out.is_empty() && answer.err.starts_with("error: "));
    }
    for arguments in [&["--help"][..], &["help", "run"], &["--version"]] {
        let answer = agentguard(arguments);
        assert_eq!((answer.code, answer.err.as_str()), (0, ""), "{arguments:?}");
    }
    let version = agentguard(&["--version"]).out;
    assert_eq!(
        version,
        format!("agentguard {}\n", env!("CARGO_PKG_VERSION"))
    );
}

#[test]
fn what_could_not_be_done_ends_with_1_and_says_why_in_a_line() {
    let held = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = held.local_addr().unwrap();
    let set = format!("receivers.otlp.protocols.grpc.endpoint={taken}");
    let (_folder, right, _) = two_files();
    let closed = crate::support::wait::free_ports::<1>()[0];
    let health = format!("http://{closed}/");
    for (arguments, why) in [
        (
            &["replay", "no/such/capture.otlp"][..],
            "opening no/such/capture.otlp",
        ),
        (
            &["health", "--url", &health, "--timeout", "2"],
            "does not answer",
        ),
        (
            &["run", "--config", &right, "--set", &set],
            "`otlp` could not start",
        ),
    ] {
        let answer = agentguard(arguments);
        assert_eq!(answer.code, 1, "{arguments:?}: {}", answer.err);
        let last = answer.err.lines().last().unwrap_or_default();
        assert!(
            last.starts_with("error: ") && last.contains(why),
            "{}",
            answer.err
        );
    }
}

/// The Collector's binary is called `otelcol --config=FILE --feature-gates=…`; ours may stand in its place.
#[test]
fn it_is_called_as_the_collectors_binary_is() {
    let (_folder, right, wrong) = two_files();
    let answer = agentguard(&[&format!("--config={wrong}")]);
    assert_eq!(answer.code, 78);
    assert!(
        answer.err.contains("unknown key `verbosty`"),
        "{}",
        answer.err
    );
    let gates = "--feature-gates=-component.UseLocalHostAsDefaultHost,+a.b";
    let answer = agentguard(&["validate", &format!("--config=file:{right}"), gates]);
    assert_eq!((answer.code, answer.err.as_str()), (0, ""));
    let answer = agentguard(&["validate", "--config", &right, "--feature-gates", "-a.b"]);
    assert_eq!((answer.code, answer.err.as_str()), (0, ""));
    for source in ["env:AGENTGUARD_TEST_CONFIG", &format!("yaml:{RIGHT}")] {
        let answer = agentguard(&["validate", &format!("--config={source}")]);
        assert_eq!((answer.code, answer.err.as_str()), (0, ""), "{source}");
    }
}

#[test]
fn a_key_can_be_set_over_every_file() {
    let (_folder, right, _) = two_files();
    let set = ["--set", "exporters.debug.verbosity=detailed"];
    let answer = agentguard(&["print-config", "--config", &right, set[0], set[1]]);
    assert_eq!((answer.code, answer.err.as_str()), (0, ""));
    assert!(
        answer.out.contains("  debug:\n    verbosity: detailed\n"),
        "{}",
        answer.out
    );
    let set = "--set=exporters.debug.verbosity=detaild";
    let answer = agentguard(&["validate", "--config", &right, set]);
    assert_eq!(answer.code, 78);
    assert!(
        answer
            .err
            .contains("exporters::debug::verbosity: `detaild` is not known here")
    );
    assert!(
        answer.err.contains("did you mean `detailed`?"),
        "{}",
        answer.err
    );
}

#[test]
fn a_printed_configuration_masks_secrets_and_is_one_again() {
    let path = "tests/fixtures/config/collector/gateway.yaml";
    let answer = agentguard(&["print-config", "--config", path]);
    assert_eq!((answer.code, answer.err.as_str()), (0, ""));
    assert!(
        !answer.out.contains("Bearer") && !answer.out.contains("team-a"),
        "{}",
        answer.out
    );
    let masked = "authorization: \"[redacted]\"";
    assert!(answer.out.contains(masked), "{}", answer.out);
    let answer = agentguard(&["print-config", "--config", path, "--unmasked"]);
    assert!(
        answer.out.contains("authorization: \"Bearer none\""),
        "{}",
        answer.out
    );
    let again = agentguard(&[
        "print-config",
        "--unmasked",
        "--config",
        &format!("yaml:{}", answer.out),
    ]);
    assert_eq!((again.code, again.out), (0, answer.out));
}

#[test]
fn the_built_in_configuration_is_the_shipped_default() {
    let built_in = agentguard(&["print-config"]);
    let shipped = agentguard(&["print-config", "--config", "config/default.yaml"]);
    assert_eq!((built_in.code, shipped.code), (0, 0));
    assert_eq!(built_in.out, shipped.out);
}

#[test]
fn components_are_listed_for_people_and_for_programs() {
    let table = agentguard(&["components"]);
    assert_eq!((table.code, table.err.as_str()), (0, ""));
    let json = agentguard(&["components", "--output", "json"]);
    let json: serde_json::Value = serde_json::from_str(&json.out).unwrap();
    let page = agentguard(&["components", "--output", "markdown"]).out;
    assert_eq!(
        page,
        std::fs::read_to_string("config/REFERENCE.md").unwrap()
    );
    let described = [
        (
            "receivers",
            RECEIVERS.iter().map(|f| f.described).collect::<Vec<_>>(),
        ),
        (
            "processors",
            PROCESSORS.iter().map(|f| f.described).collect(),
        ),
        (
            "connectors",
            CONNECTORS.iter().map(|f| f.described).collect(),
        ),
        ("exporters", EXPORTERS.iter().map(|f| f.described).collect()),
        (
            "extensions",
            EXTENSIONS.iter().map(|f| f.described).collect(),
        ),
    ];
    for (section, all) in described {
        let listed: Vec<_> = json[section]
            .as_array()
            .unwrap()
            .iter()
            .map(|c| &c["type"])
            .collect();
        assert_eq!(listed.len(), all.len(), "{section}");
        for component in all {
            assert!(listed.iter().any(|kind| **kind == component.types[0]));
            let row = table
                .out
                .lines()
                .find(|line| line.trim_start().starts_with(&component.types.join(", ")));
            assert!(
                row.is_some_and(|row| row.ends_with(component.summary)),
                "{}",
                table.out
            );
        }
    }
}

/// The commands that the overview lists.
fn commands() -> Vec<String> {
    let help = agentguard(&["--help"]).out;
    let list = help
        .split("Commands:\n")
        .nth(1)
        .unwrap()
        .split("\n\n")
        .next()
        .unwrap();
    let first = |line: &str| line.split_whitespace().next().map(str::to_owned);
    let names = list
        .lines()
        .filter(|line| !line.starts_with("    "))
        .filter_map(first);
    names.filter(|name| name != "help").collect()
}

#[test]
fn every_command_has_its_help_with_an_example() {
    let commands = commands();
    assert!(commands.len() >= 6, "{commands:?}");
    let mut differences = Vec::new();
    let mut check = |name: &str, arguments: &[&str]| {
        let help = agentguard(arguments).out;
        for example in help
            .lines()
            .filter_map(|line| line.strip_prefix("  agentguard "))
        {
            let command = example.split_whitespace().next().unwrap_or_default();
            let is_there = command.starts_with('-') || commands.iter().any(|name| name == command);
            assert!(
                is_there,
                "`{name}` shows `{command}`, which is no command:\n{help}"
            );
        }
        assert!(
            help.contains("Example"),
            "`{name}` shows no example:\n{help}"
        );
        let path = Path::new(FOLDER).join(format!("{name}.help"));
        differences.extend(expect::differs(&path, &help));
    };
    check("agentguard", &["--help"]);
    for name in &commands {
        check(name, &[name, "--help"]);
    }
    expect::none(&differences);
    for path in files(FOLDER, "help") {
        let is_there =
            stem(&path) == "agentguard" || commands.iter().any(|name| name == stem(&path));
        assert!(is_there, "{} is of no command", path.display());
    }
}
