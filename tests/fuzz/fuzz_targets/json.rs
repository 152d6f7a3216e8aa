//! What OTLP/JSON is read as, can be written and read again.
#![no_main]

#[path = "../formats.rs"]
mod formats;

libfuzzer_sys::fuzz_target!(|input: &[u8]| formats::json(input));
