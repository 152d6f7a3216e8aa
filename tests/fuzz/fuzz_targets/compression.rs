//! Bodies are unpacked within their bounds.
#![no_main]

#[path = "../formats.rs"]
mod formats;

libfuzzer_sys::fuzz_target!(|input: &[u8]| formats::compression(input));
