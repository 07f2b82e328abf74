//! A scripted day of telemetry for each criterion, judged by the design's own numbers: buckets of a minute, a share of
//! 99 %, gaps of up to five minutes, twenty hours of burn-in for what is new.
//!
//! - [`stories`] and [`facts`] say what happens, and at which minutes what becomes of which criterion. The table is tried
//!   at every minute at which something changes, just before it, and in between.
//! - [`model`] is another reading of the design, bucket by bucket. It is held against the oracle's at every minute of some
//!   stories' days, and on random days with faults, late batches and restarts.
//!
//! With `--nocapture` the table is printed. What is judged is the oracle's own: batches taken by its fleet, rounds by its
//! court. Signatures and transport are other tests' matter.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests")]

mod facts;
mod ledger;
mod model;
mod play;
mod random;
mod script;
mod stories;
mod table;
mod timeline;

/// Notes how much was tried, where `cargo xtask test` adds it up.
fn count(what: &str, how_many: u64) {
    use std::io::Write;

    let Some(path) = std::env::var_os("CAUSEWAY_COUNTS") else { return };
    let file = std::fs::OpenOptions::new().append(true).create(true).open(path);
    // One write: tests of several processes may append at once.
    file.and_then(|mut file| file.write_all(format!("{what}\t{how_many}\n").as_bytes())).unwrap();
}
