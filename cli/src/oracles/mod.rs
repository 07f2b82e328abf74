//! Health oracles from outside: what they answer over HTTP, and whether what they signed holds.
//!
//! - [`client`]: asks one oracle. Every answer is bounded in time and length, and an oracle that does not answer is a
//!   value, never the end of a command.
//! - [`verify`]: whether evidence, proof, transaction and ledger agree. Pure.
//! - [`standing`]: how far a subject is from each level by the ledger's own words, and what is in the way. Pure.

pub mod client;
pub mod standing;
pub mod verify;

use causeway_health_oracle::Kind;
use causeway_interface::Key;

/// A device or link that oracles are asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subject {
    /// What it is.
    pub kind: Kind,
    /// Its code.
    pub code: causeway_interface::Code,
    /// Its address.
    pub key: Key,
}

/// Characters of a key that stand for it where there is no room: enough to tell the oracles of one set apart.
const SHORT: usize = 8;

/// A key's beginning.
#[must_use]
pub fn short(key: &Key) -> String {
    key.to_string().chars().take(SHORT).collect()
}
