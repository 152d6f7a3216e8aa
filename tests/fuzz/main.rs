//! Replays the fuzzers' corpora, so that what they once found stays found.

#![expect(
    clippy::unwrap_used,
    reason = "a corpus that cannot be read fails the test"
)]

mod checks;
mod formats;

use agentguard::otlp::{Signal, validate};
use std::path::Path;

fn replay(target: &str, check: fn(&[u8])) {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus");
    let mut inputs = 0;
    for entry in std::fs::read_dir(corpus.join(target)).unwrap() {
        check(&std::fs::read(entry.unwrap().path()).unwrap());
        inputs += 1;
    }
    assert!(inputs > 10, "{inputs} inputs in the corpus of {target}");
}

/// A fuzzer that starts from what is refused at once finds little.
#[test]
fn the_seeds_are_requests() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus/validate");
    for entry in std::fs::read_dir(corpus).unwrap() {
        let entry = entry.unwrap();
        if entry.file_name().to_string_lossy().starts_with("seed-") {
            let input = std::fs::read(entry.path()).unwrap();
            let signal = Signal::ALL[usize::from(input[0]) % 3];
            let verdict = validate(signal, &input[1..]);
            assert!(verdict.is_ok(), "{entry:?}: {verdict:?}");
        }
    }
}

#[test]
fn the_corpus_of_validate_holds() {
    replay("validate", checks::validate);
}

#[test]
fn the_corpus_of_splice_holds() {
    replay("splice", checks::splice);
}

#[test]
fn the_corpus_of_json_holds() {
    replay("json", formats::json);
}

#[test]
fn the_corpus_of_compression_holds() {
    replay("compression", formats::compression);
}

#[test]
fn the_corpus_of_capture_holds() {
    replay("capture", formats::capture);
}

#[test]
fn the_corpus_of_configuration_holds() {
    replay("configuration", formats::configuration);
}

#[test]
fn the_corpus_of_frame_holds() {
    replay("frame", formats::frame);
}
