//! The coverage-guided form of `causeway_fuzz::account`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| causeway_fuzz::account::target(bytes));
