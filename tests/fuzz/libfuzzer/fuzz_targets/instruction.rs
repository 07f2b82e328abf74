//! The coverage-guided form of `causeway_fuzz::instruction`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| causeway_fuzz::instruction::target(bytes));
