//! Requests are accepted exactly when `prost` decodes them.
#![no_main]

#[path = "../checks.rs"]
mod checks;

libfuzzer_sys::fuzz_target!(|input: &[u8]| checks::validate(input));
