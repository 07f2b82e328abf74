//! What a round needs of the ledger, so that tests can put a fake one in its place.

use std::future::Future;

use causeway_interface::ErrorCode;
use causeway_sdk::Snapshot;
use solana_sdk::instruction::Instruction;

/// The ledger could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ReadError(pub String);

/// A transaction did not do its work.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// The program refused it, in simulation or on the ledger.
    #[error("{code}")]
    Program {
        /// Why.
        code: ErrorCode,
    },
    /// The ledger refused it for another reason.
    #[error("{message}")]
    Refused {
        /// Why.
        message: String,
    },
    /// It expired, could not be sent, or nobody knows what became of it.
    #[error("{message}")]
    Lost {
        /// Why.
        message: String,
    },
}

/// The ledger, as a round uses it.
pub trait Chain: Send + Sync + 'static {
    /// Everything that the program holds.
    fn snapshot(&self) -> impl Future<Output = Result<Snapshot, ReadError>> + Send;

    /// When a slot was by the ledger's own word, in ms since 1970; none where it does not say.
    fn slot_time_ms(&self, slot: u64) -> impl Future<Output = Option<u64>> + Send;

    /// Sends one transaction, paid and signed by the oracle; on success it is confirmed without an error. Returns its
    /// signature.
    fn send(&self, instructions: Vec<Instruction>) -> impl Future<Output = Result<String, SendError>> + Send;
}
