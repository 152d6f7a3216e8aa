//! Configurations written for a Collector: they run as they are, and what has no effect here is said.

use crate::{expect, files, load, problems};
use agentguard::service::{Plan, Service};
use agentguard::telemetry::Telemetry;
use std::sync::Arc;

const FOLDER: &str = "tests/fixtures/config/collector";

#[test]
fn a_collectors_configuration_has_no_mistake_and_its_idle_keys_are_said() {
    let all = files(FOLDER, "yaml");
    assert!(all.len() >= 5, "{} files seen", all.len());
    let mut differences = Vec::new();
    for path in all {
        let problems = problems(&path);
        assert!(!problems.has_errors(), "{}:\n{problems}", path.display());
        differences.extend(expect::differs(
            &path.with_extension("warn"),
            &problems.to_string(),
        ));
    }
    expect::none(&differences);
}

#[tokio::test]
async fn a_collectors_configuration_builds() {
    for path in &files(FOLDER, "yaml") {
        let (document, mut problems) = load(path);
        let plan = Plan::read(&document, &mut problems);
        let built = Service::build(&plan, &Arc::new(Telemetry::new()), 1);
        let error = built.err().map(|error| format!("{error:#}"));
        assert_eq!(error, None, "{}", path.display());
    }
}
