//! The vocabulary of Causeway: what the ledger stores, what may be asked of the program, and the rules by which
//! anything changes.
//!
//! The onchain program, the SDK, the controller, the health oracle, the CLI and every test use this crate, so that a
//! rule exists once. It is `no_std`, never allocates without the `offchain` feature, and holds no clock, no IO and no
//! Solana crate: keys are 32 bytes, time is a slot that the caller passes in.
//!
//! Two views of the same bytes:
//! - *raw* records (`RawDevice`, ...) are alignment-1 plain data that the program reads and writes in place;
//! - *typed* records (`Device`, ..., feature `offchain`) are decoded with borsh and refuse undefined enum bytes,
//!   invalid codes and wrong lengths.
//!
//! A property test holds the two equal.
#![no_std]
#![deny(missing_docs)]

#[cfg(feature = "offchain")]
extern crate alloc;

#[macro_use]
mod macros;

pub mod accounts;
mod chars;
pub mod enums;
pub mod error;
pub mod event;
pub mod instruction;
#[cfg(feature = "offchain")]
pub mod layout;
pub mod lifecycle;
pub mod pool;
pub mod quorum;
pub mod recipe;
pub mod seeds;
pub mod text;
pub mod types;
pub mod values;

pub use enums::*;
pub use error::ErrorCode;
pub use types::*;
