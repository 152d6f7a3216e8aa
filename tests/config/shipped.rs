//! The configurations that ship: each is one to start from.

use crate::{files, problems, stem};

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
        let text = std::fs::read_to_string(&path).unwrap();
        let comments = text
            .lines()
            .filter(|line| line.trim_start().starts_with('#'));
        assert!(text.starts_with("# "), "{}", path.display());
        assert!(comments.count() >= 5, "{} has few comments", path.display());
    }
}
