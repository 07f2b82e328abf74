//! The onchain program of Causeway: who may change what on the ledger, and when.
//!
//! It holds no rule of its own. Layouts, transitions, quorum, value limits and error codes are the interface crate's;
//! this crate binds accounts, checks them, and applies what the pure functions decide.
//!
//! Every instruction is one file under `instructions/` and goes in one order: bind the accounts, check them, guard
//! the state, check the authority, and only then mutate. No heap: records are read and written in place.
//!
//! Fails with an [`ErrorCode`](causeway_interface::ErrorCode) as a `Custom` error, and with nothing else but what the
//! system program says when it refuses to create an account. The runtime takes back whatever a failed instruction did.
#![no_std]
#![deny(missing_docs)]

mod accounts;
mod checks;
mod entry;
mod events;
mod instructions;
mod interfaces;
mod pda;
mod pools;
mod prefixes;
mod syscalls;

pub use instructions::process;

/// What a step of the program yields.
type Outcome<T = ()> = Result<T, causeway_interface::ErrorCode>;
