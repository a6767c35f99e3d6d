//! Texts of a hostile tenant: read, judged and rewritten.
#![no_main]

#[path = "../checks.rs"]
mod checks;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| checks::statements(bytes));
