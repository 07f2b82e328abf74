//! What a round needs of the ledger, so that tests can put a fake one in its place.

use std::{collections::BTreeSet, future::Future};

use causeway_interface::ErrorCode;
use causeway_sdk::{Snapshot, send::Paid};
use solana_sdk::{instruction::Instruction, message::AddressLookupTableAccount, pubkey::Pubkey};

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
    /// The lookup tables that it was packed with are not what they were believed to be; without them it may land.
    #[error("lookup tables are gone: {message}")]
    Tables {
        /// Why it was refused.
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

    /// What the oracle's key holds, in lamports; none where that can't be read or is not known.
    fn balance(&self) -> impl Future<Output = Option<u64>> + Send {
        std::future::ready(None)
    }

    /// Lookup tables that transactions can use now.
    fn tables(&self) -> Vec<AddressLookupTableAccount>;

    /// Asks that these addresses be in lookup tables from soon on. Does not wait, and nothing depends on it.
    fn want_in_tables(&self, addresses: BTreeSet<Pubkey>);

    /// What transactions have cost since the start.
    fn paid(&self) -> Paid;

    /// Sends one transaction, paid and signed by the oracle, that looks addresses up in `tables`; on success it is
    /// confirmed without an error. Returns its signature.
    fn send(
        &self,
        instructions: Vec<Instruction>,
        tables: &[AddressLookupTableAccount],
    ) -> impl Future<Output = Result<String, SendError>> + Send;
}
