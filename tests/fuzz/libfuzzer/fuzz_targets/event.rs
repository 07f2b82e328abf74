//! The coverage-guided form of `causeway_fuzz::event`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| causeway_fuzz::event::target(bytes));
