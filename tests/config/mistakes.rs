//! One mistake a file, and what is said of it: file, line, column, key, and what would be right.

use crate::{expect, files, problems, stem};
use std::path::Path;

const FOLDER: &str = "tests/fixtures/config/bad";

#[test]
fn each_mistake_is_said_as_expected() {
    let all = files(FOLDER, "yaml");
    assert!(all.len() >= 60, "{} files seen", all.len());
    let mut differences = Vec::new();
    for path in &all {
        let problems = problems(path);
        assert!(!problems.is_empty(), "{}: nothing is said", path.display());
        differences.extend(expect::differs(
            &path.with_extension("err"),
            &problems.to_string(),
        ));
    }
    expect::none(&differences);
}

#[test]
fn each_mistake_is_one() {
    for path in &files(FOLDER, "yaml") {
        let problems = problems(path);
        let count = problems.errors().len() + problems.warnings().len();
        // a misspelt definition is also not defined where it is used, and what is not used is said besides
        let limit = if stem(path) == "all_at_once" { 100 } else { 3 };
        assert!(count <= limit, "{}:\n{problems}", path.display());
    }
}

#[test]
fn each_mistake_has_a_place_in_its_file() {
    for path in &files(FOLDER, "yaml") {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap();
        for problem in problems(path).errors() {
            assert_eq!(&*problem.place.file, name);
            let is_of_the_whole = problem.place.key.is_empty();
            assert!(
                problem.place.line > 0 || is_of_the_whole,
                "{name}: {problem}"
            );
        }
    }
}

/// R-STR-2: nobody mends one mistake to be told of the next.
#[test]
fn all_mistakes_are_said_at_once() {
    let said = problems(&Path::new(FOLDER).join("all_at_once.yaml"));
    let said: Vec<&str> = said
        .errors()
        .iter()
        .map(|problem| problem.place.key.as_str())
        .collect();
    let expected = [
        "receivers::otlp::protocols::grpc::endpiont",
        "receivers::otlp::protocols::http::endpoint",
        "processors::memory_limiter::check_interval",
        "processors::attributes::actions[0]::action",
        "exporters::otlp::tls",
        "exporters::otlp::sending_queue::queue_size",
        "exporters::fil",
        "extensions::health_check::path",
        "service::extensions[0]",
        "service::pipelines::traces::exporters[1]",
        "service::telemtry",
    ];
    for key in expected {
        assert!(said.contains(&key), "{key} is missing in {said:#?}");
    }
    assert_eq!(said.len(), expected.len(), "{said:#?}");
}
