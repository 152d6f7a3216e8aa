//! The configurations that ship: each is one to start from.

use crate::{files, load, problems, stem};
use agentguard::base::Problems;
use agentguard::config::{Document, Env};
use agentguard::service::{Plan, Service};
use agentguard::telemetry::Telemetry;
use std::fs;
use std::io;
use std::sync::Arc;

#[test]
fn every_shipped_configuration_is_valid_without_a_warning() {
    let shipped = files("config", "yaml");
    let names: Vec<&str> = shipped.iter().map(|path| stem(path)).collect();
    for name in ["default", "gateway", "sidecar"] {
        assert!(names.contains(&name), "{name} is missing in {names:?}");
    }
    for path in &shipped {
        let problems = problems(path);
        assert!(problems.is_empty(), "{}:\n{problems}", path.display());
    }
}

#[test]
fn every_shipped_configuration_says_what_it_is_for() {
    for path in files("config", "yaml") {
        let text = fs::read_to_string(&path).unwrap();
        let comments = text
            .lines()
            .filter(|line| line.trim_start().starts_with('#'));
        assert!(text.starts_with("# "), "{}", path.display());
        assert!(comments.count() >= 5, "{} has few comments", path.display());
    }
}

/// A plan without errors builds unless the machine itself refuses.
#[tokio::test]
async fn every_shipped_configuration_builds() {
    for path in &files("config", "yaml") {
        let (document, mut problems) = load(path);
        let plan = Plan::read(&document, &mut problems);
        let built = Service::build(&plan, &Arc::new(Telemetry::new()), 1);
        let error = built.err().map(|error| format!("{error:#}"));
        assert_eq!(error, None, "{}", path.display());
    }
}

/// What a newcomer copies from the front page is right.
#[test]
fn every_configuration_in_the_readme_is_valid_without_a_warning() {
    let readme = fs::read_to_string("README.md").unwrap();
    let blocks = readme.split("```yaml\n").skip(1);
    let mut seen = 0;
    for block in blocks.filter_map(|block| block.split("```").next()) {
        let env = Env {
            var: &|_| None,
            file: &|_| Err(io::ErrorKind::NotFound.into()),
        };
        let (document, mut problems): (Document, Problems) =
            Document::load(&[format!("yaml:{block}")], &env);
        drop(Plan::read(&document, &mut problems));
        assert!(problems.is_empty(), "{block}\n{problems}");
        seen += 1;
    }
    assert!(seen > 0, "the README shows no configuration");
}
