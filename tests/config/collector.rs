//! Configurations written for a Collector: they run as they are, and what has no effect here is said.

use crate::{expect, files, problems};

#[test]
fn a_collectors_configuration_has_no_mistake_and_its_idle_keys_are_said() {
    let all = files("tests/fixtures/config/collector", "yaml");
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
