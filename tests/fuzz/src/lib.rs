//! Fuzz targets: what must hold on any bytes at all.
//!
//! Each target is a function that panics where its promise is broken. Three are pure and coverage-guided, by the
//! binaries in `libfuzzer`; the fourth runs the program's own binary in the virtual machine, whose coverage libFuzzer
//! can't see, and is guided by outcomes and compute units instead ([`program`]). The inputs worth keeping are in
//! `corpus`, one folder for each target; `tests/replay.rs` runs every one of them.
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a test harness: a surprise ends the test")]

pub mod account;
pub mod corpus;
pub mod event;
pub mod golden;
pub mod instruction;
#[cfg(feature = "program")]
pub mod program;
mod views;

/// A pure target: panics where its promise is broken.
pub type Target = fn(&[u8]);

/// The pure targets by name: the folder of the corpus and the binary in `libfuzzer` have the same one.
pub const PURE: &[(&str, Target)] =
    &[("instruction", instruction::target), ("account", account::target), ("event", event::target)];
