//! Expected texts in files: the difference in version control is what a reviewer reads.

use std::env;
use std::fs;
use std::path::Path;

/// Compares with a file, or writes it where `UPDATE_EXPECT` is set; says what is wrong.
pub fn differs(path: &Path, found: &str) -> Option<String> {
    if env::var_os("UPDATE_EXPECT").is_some() {
        if found.is_empty() {
            drop(fs::remove_file(path));
        } else {
            fs::write(path, found).unwrap();
        }
        return None;
    }
    let expected = fs::read_to_string(path).unwrap_or_default();
    (expected != found).then(|| {
        let path = path.display();
        format!("── {path}, expected\n{expected}── found\n{found}")
    })
}

/// Fails with all differences, if there are any.
#[track_caller]
pub fn none(differences: &[String]) {
    assert!(
        differences.is_empty(),
        "{} differ; `UPDATE_EXPECT=1 cargo test --test config` takes what was found\n{}",
        differences.len(),
        differences.join("\n")
    );
}
