//! The program's own binary, given arbitrary instruction data, accounts and account data.
//!
//! Whatever it is given, it succeeds or fails with an error of its own: it never runs out of memory or compute units,
//! panics, or changes what it may not. A success is held to more: the typed view reads the instruction too, every
//! account of the program that was readable before is so afterwards, one that was changed has a higher sequence, and
//! one event says what happened.
//!
//! libFuzzer can't see into the virtual machine, so inputs are not chosen by coverage: an input is kept when its
//! instruction, its outcome and its compute units have not been met together before ([`search`]).

pub mod case;
pub mod search;
pub mod seeds;
pub mod stage;

pub use case::Case;
pub use stage::{Outcome, Stage};
