//! Recorded requests are read as they were written.
#![no_main]

#[path = "../formats.rs"]
mod formats;

libfuzzer_sys::fuzz_target!(|input: &[u8]| formats::capture(input));
