//! A world to test the program in: the built SBF binary in the real virtual machine, with contributors, devices,
//! links and oracles that can be made in one line.
//!
//! The binary is read from `CAUSEWAY_PROGRAM_SO`, else from `target/deploy/causeway_serviceability.so` of the
//! workspace. Everything here panics on a surprise, because every caller is a test.
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a test harness: a surprise ends the test")]

pub mod artifact;
pub mod cost;
pub mod counts;
pub mod drill;
pub mod fleet;
pub mod model;
pub mod parties;
pub mod plant;
pub mod reference;
pub mod scene;
pub mod stages;
pub mod world;

pub use parties::Party;
pub use plant::Spec;
pub use world::{Done, Failure, World};
