//! Any configuration has an answer, and loads again after it was printed.
#![no_main]

#[path = "../formats.rs"]
mod formats;

libfuzzer_sys::fuzz_target!(|input: &[u8]| formats::configuration(input));
