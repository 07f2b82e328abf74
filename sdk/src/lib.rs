//! The Rust client of Causeway: everything off-chain reads and changes the ledger through this crate.
//!
//! - [`address`], [`instructions`]: where things are and how to ask for a change; pure.
//! - [`snapshot`], [`predict`], [`qa`]: the whole ledger as one value, what the program would do next, and who probes
//!   whom; pure.
//! - [`client`], [`watch`], [`events`], [`history`], [`transaction`]: reading what is, and what was.
//! - [`send`], [`pack`], [`lookup`]: changing, in one transaction or in thousands, and in as few as fit.
//! - [`unsigned`]: transactions that somebody else signs, and what they do in words.
//! - [`keys`], [`explain`]: key files, and errors that say what to do.
//!
//! It guarantees that no undefined byte becomes a default (undecodable accounts are reported beside the others), that
//! every wait is bounded, and that a transaction that landed with an error is never read as a success. It holds no
//! policy: what to send, and when, is the caller's.

pub mod address;
pub mod client;
pub mod error;
pub mod events;
pub mod explain;
pub mod health;
pub mod history;
pub mod instructions;
pub mod keys;
pub mod lookup;
pub mod pack;
pub mod predict;
pub mod qa;
pub mod send;
pub mod snapshot;
pub mod transaction;
pub mod unsigned;
pub mod watch;

pub use client::{Filter, Ledger, Listing};
pub use error::LedgerError;
pub use explain::Explain;
pub use instructions::{DeviceRefs, Instructions, LinkContext, LinkRefs, RegistryTarget, Window};
pub use send::{Receipt, SendConfig, SendError, Sender, Submission};
pub use snapshot::Snapshot;
pub use transaction::{Executed, ExecutedInstruction};
pub use watch::{WatchConfig, Watched, Watcher};
