//! Telemetry in: from bytes off the wire to a batch that may be stored.
//!
//! ```text
//! connection -> memory -> encoding -> claim -> prover    -> rate  -> decode -> writer
//!  (serve)      bytes     inflate     key      signature    share    times     store
//! ```
//!
//! - [`encoding`], [`verify()`], [`directory`], [`rate`]: pure. [`memory`], [`prover`], [`http`]: the edge.
//! - Nothing is trusted that the sender says of itself: the key is the ledger's, the signature covers the program and
//!   every uncompressed byte, and times must be near to the oracle's own, in slots of the ledger's own pace. Whether a
//!   batch is a replay only the store can say, which decides it in the transaction that keeps the batch.
//! - Who is not proven can make the oracle hold bytes and verify signatures, and nothing else: how many connections
//!   there are, how many of one address, and how long head and body may take is bounded (`serve`); how many bytes all
//!   of them hold together is too. Such a sender with enough addresses and bandwidth can fill that bound, and then
//!   honest agents are told to come back, which they do: that is for a firewall to stop, and costs no sample before an
//!   agent's own buffer is full.
//! - Who is proven spends its device's share, and no other's.

pub mod directory;
pub mod encoding;
pub mod http;
pub mod memory;
pub mod prover;
pub mod rate;
pub mod refusal;
#[cfg(test)]
mod tests;
pub mod verify;

pub use directory::Directory;
pub use prover::Prover;
pub use rate::Rate;
pub use refusal::Refusal;
pub use verify::{Limits, verify};
