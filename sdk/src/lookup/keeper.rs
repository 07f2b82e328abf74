//! Finds one key's lookup tables, makes what is missing, waits until it can be used, gives back what is not needed.
//!
//! It guarantees that no more than [`super::plan::MAX_TABLES`] are kept, that a table is written down before it is made, and that
//! every wait ends. A failure leaves the tables as they are: what is already usable stays so, and trying again goes on
//! where it stopped. What a table costs is [`LookupTables::rent`]; all of it comes back when the table is closed.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::json;
use solana_account_decoder_client_types::UiAccount;
use solana_address_lookup_table_interface::instruction::{
    close_lookup_table, create_lookup_table, deactivate_lookup_table, derive_lookup_table_address, extend_lookup_table,
};
use solana_client::{
    rpc_request::{MAX_MULTIPLE_ACCOUNTS, RpcRequest},
    rpc_response::{OptionalContext, Response, RpcKeyedAccount},
};
use solana_commitment_config::CommitmentConfig;
use solana_sdk::{
    instruction::Instruction, message::AddressLookupTableAccount, pubkey::Pubkey, signature::Keypair, signer::Signer,
};

use super::{
    memory::{Memory, MemoryError},
    plan::{self, Action, Bounds, MAX_TABLES},
    table::{AUTHORITY_OFFSET, PROGRAM, SLOT_HASHES, Table, account_bytes, oldest_slot},
};
use crate::{
    client::{Ledger, account_data},
    error::LedgerError,
    send::{SendError, Sender, Submission},
};

/// Steps until everything is there: each table is made in one and filled in the next, and one more sees that nothing
/// is missing.
const MAX_STEPS: usize = 2 * MAX_TABLES + 1;
/// Looks whether the ledger has gone on, and the time between two: six seconds in all for one slot, which takes 0.4 s.
const PATIENCE: (u32, Duration) = (30, Duration::from_millis(200));
/// Slots tried for a new table's address before the newest one: each gives another address, and more than as many
/// tables are never there.
const SLOTS_TRIED: u64 = MAX_TABLES as u64;

/// The actions that decide whether a table is remembered.
const CREATE: &str = "make";
const CLOSE: &str = "close";

/// Why the tables are not as wanted. What could be used before can still be.
#[derive(Debug, thiserror::Error)]
pub enum LookupError {
    /// The ledger could not be read.
    #[error("lookup tables could not be read")]
    Ledger(#[from] LedgerError),
    /// A transaction did not take effect.
    #[error("could not {what} a lookup table")]
    Send {
        /// Which.
        what: &'static str,
        /// Why.
        #[source]
        source: Box<SendError>,
    },
    /// The ledger stands still.
    #[error("the ledger has not gone beyond slot {slot}, which lookup tables wait for")]
    Standstill {
        /// The slot of the last extension, or the last finalized one.
        slot: u64,
    },
    /// Somebody else changes the same tables, or the node shows old ones.
    #[error("lookup tables are not as they were made after {steps} steps")]
    Unsettled {
        /// Steps done.
        steps: usize,
    },
}

/// What is kept of one key's tables.
#[derive(Debug)]
pub struct LookupTables {
    sender: Sender,
    authority: Arc<Keypair>,
    memory: Memory,
    bounds: Bounds,
    tables: Vec<Table>,
    /// The slot at which they were read.
    slot: u64,
}

impl LookupTables {
    /// The tables of `authority`, which also pays for them; nothing is read yet.
    #[must_use]
    pub fn new(sender: Sender, authority: Arc<Keypair>, memory: Memory) -> Self {
        let bounds = Bounds::of(&authority.pubkey());
        Self { sender, authority, memory, bounds, tables: Vec::new(), slot: 0 }
    }

    /// The tables as last read, by address.
    #[must_use]
    pub fn tables(&self) -> &[Table] {
        &self.tables
    }

    /// What transactions can look up, as last read.
    #[must_use]
    pub fn usable(&self) -> Vec<AddressLookupTableAccount> {
        self.tables.iter().filter_map(|table| table.usable(self.slot)).collect()
    }

    /// Reads the tables that are remembered; if none of them is left, asks the ledger for tables of this key. Many
    /// nodes refuse that question, so that a refusal is no error: then there are none.
    ///
    /// # Errors
    /// The ledger could not be read.
    pub async fn find(&mut self) -> Result<(), LookupError> {
        self.read().await?;
        if !self.tables.is_empty() {
            return Ok(());
        }
        match self.search().await {
            Ok(found) => {
                for address in found {
                    self.remember(address);
                }
            }
            Err(LedgerError::Refused { message, .. }) => {
                tracing::info!(message, "the node does not search for lookup tables; only remembered ones are found");
            }
            Err(error) => return Err(error.into()),
        }
        self.read().await
    }

    /// Reads the tables that are remembered. What is not a table of this key is said and not used.
    ///
    /// # Errors
    /// The ledger could not be read; then the tables stay as last read.
    pub async fn read(&mut self) -> Result<(), LookupError> {
        let addresses: Vec<Pubkey> = self.memory.tables().iter().copied().collect();
        let ledger = self.sender.ledger();
        let mut tables = Vec::new();
        let mut slot = 0;
        for chunk in addresses.chunks(MAX_MULTIPLE_ACCOUNTS) {
            let (at, accounts) = accounts(ledger, chunk).await?;
            slot = at;
            for (address, account) in accounts {
                let Some((owner, data)) = account else {
                    tracing::debug!(%address, "lookup table is not there");
                    continue;
                };
                match Table::read(address, &owner, &data, &self.authority.pubkey()) {
                    Ok(table) => tables.push(table),
                    Err(error) => tracing::warn!(%error, "not used as a lookup table"),
                }
            }
        }
        (self.tables, self.slot) = (tables, slot);
        Ok(())
    }

    /// Asks the ledger for all tables of this key.
    async fn search(&self) -> Result<Vec<Pubkey>, LedgerError> {
        let ledger = self.sender.ledger();
        let floor = ledger.newest_slot();
        let wanted = [&[1][..], &self.authority.pubkey().to_bytes()].concat();
        let filter = json!({ "memcmp": { "offset": AUTHORITY_OFFSET, "bytes": BASE64_STANDARD.encode(wanted), "encoding": "base64" } });
        let config = json!({
            "filters": [filter],
            "encoding": "base64",
            "dataSlice": { "offset": 0, "length": 0 },
            "commitment": "confirmed",
            "minContextSlot": floor,
            "withContext": true,
        });
        let params = json!([PROGRAM.to_string(), config]);
        let answer: OptionalContext<Vec<RpcKeyedAccount>> =
            ledger.read(RpcRequest::GetProgramAccounts, &params).await?;
        let OptionalContext::Context(response) = answer else {
            return Err(ledger.malformed("an answer without its slot"));
        };
        ledger.check_slot(response.context.slot, floor)?;
        let address = |keyed: RpcKeyedAccount| keyed.pubkey.parse();
        let found: Result<Vec<Pubkey>, _> = response.value.into_iter().map(address).collect();
        let mut found = found.map_err(|_| ledger.malformed("an address that is none"))?;
        found.sort();
        // Whoever has more of them made them by other means; as many are enough.
        found.truncate(MAX_TABLES);
        Ok(found)
    }

    /// Makes tables that hold everything that is wanted, as far as [`Bounds`] allow, and waits until they can be used.
    /// Returns what they can't hold.
    ///
    /// # Errors
    /// See [`LookupError`]. What was done by then stays, and is usable after the next [`Self::read`].
    pub async fn ensure(&mut self, wanted: &BTreeSet<Pubkey>) -> Result<Vec<Pubkey>, LookupError> {
        for _ in 0..MAX_STEPS {
            self.read().await?;
            let step = plan::plan(&self.tables, wanted, &self.bounds);
            if step.actions.is_empty() {
                self.warm_up().await?;
                return Ok(step.left_out);
            }
            self.carry_out(step.actions).await?;
        }
        Err(LookupError::Unsettled { steps: MAX_STEPS })
    }

    /// Deactivates tables of which nothing is wanted, and closes those that were deactivated long enough ago, about four
    /// minutes, as the ledger sees it; their rent comes back to the authority. Returns how many were deactivated or closed.
    ///
    /// # Errors
    /// See [`LookupError`]; whatever is left is done by the next call.
    pub async fn retire(&mut self, wanted: &BTreeSet<Pubkey>) -> Result<usize, LookupError> {
        self.read().await?;
        let oldest =
            if self.tables.iter().any(|table| table.deactivated_at.is_some()) { self.oldest().await? } else { 0 };
        let actions = plan::retire(&self.tables, wanted, oldest);
        let count = actions.len();
        if count > 0 {
            self.carry_out(actions).await?;
            self.read().await?;
        }
        Ok(count)
    }

    /// The oldest slot whose hash the ledger keeps.
    async fn oldest(&self) -> Result<u64, LedgerError> {
        let ledger = self.sender.ledger();
        let hashes = ledger.again(|| ledger.rpc().get_account_data(&SLOT_HASHES)).await?;
        oldest_slot(&hashes).ok_or_else(|| LedgerError::Malformed {
            url: ledger.url(),
            message: format!("{} bytes that are not the hashes of slots", hashes.len()),
        })
    }

    /// Lamports that the ledger asks for a table with so many addresses. They come back when it is closed.
    ///
    /// # Errors
    /// The ledger could not be read.
    pub async fn rent(&self, addresses: usize) -> Result<u64, LedgerError> {
        let ledger = self.sender.ledger();
        ledger.again(|| ledger.rpc().get_minimum_balance_for_rent_exemption(account_bytes(addresses))).await
    }

    async fn carry_out(&mut self, actions: Vec<Action>) -> Result<(), LookupError> {
        let key = self.authority.pubkey();
        let mut sent = Vec::new();
        let mut submissions = Vec::new();
        for action in actions {
            let (what, table, instructions) = match action {
                Action::Create { addresses } => {
                    let (table, instructions) = self.create(addresses).await?;
                    (CREATE, table, instructions)
                }
                Action::Extend { table, addresses } => {
                    ("extend", table, vec![extend_lookup_table(table, key, Some(key), addresses)])
                }
                Action::Deactivate { table } => ("deactivate", table, vec![deactivate_lookup_table(table, key)]),
                Action::Close { table } => (CLOSE, table, vec![close_lookup_table(table, key, key)]),
            };
            sent.push((what, table));
            submissions.push(Submission::new(instructions, &self.authority));
        }
        let results = self.sender.send_all(submissions).await;
        let mut outcome = Ok(());
        for ((what, table), result) in sent.into_iter().zip(results) {
            // What can't be there any more, or never will, is forgotten; what was sent and not confirmed may be there.
            let gone = match &result {
                Ok(_) => what == CLOSE,
                Err(SendError::Unconfirmed { .. }) => false,
                Err(_) => what == CREATE,
            };
            if gone && let Err(error) = self.memory.remove(&table) {
                tracing::warn!(%error, %table, "a lookup table that is not there is not forgotten");
            }
            match result {
                Ok(receipt) => tracing::info!(what, %table, signature = %receipt.signature, "lookup table"),
                Err(source) => outcome = Err(LookupError::Send { what, source: Box::new(source) }),
            }
        }
        outcome
    }

    /// A table's address is that of its authority and a recent slot whose hash the ledger still knows: a finalized one.
    /// It is one that no table of this key has: the ledger's program takes a second creation for a repeated first one.
    async fn create(&mut self, addresses: Vec<Pubkey>) -> Result<(Pubkey, Vec<Instruction>), LookupError> {
        let key = self.authority.pubkey();
        let ledger = self.sender.ledger();
        let (looks, every) = PATIENCE;
        let mut newest = 0;
        for look in 0..looks {
            if look > 0 {
                tokio::time::sleep(every).await;
            }
            newest = ledger.again(|| ledger.rpc().get_slot_with_commitment(CommitmentConfig::finalized())).await?;
            let unused = |slot: &u64| !self.memory.tables().contains(&derive_lookup_table_address(&key, *slot).0);
            let Some(slot) = (newest.saturating_sub(SLOTS_TRIED)..=newest).rev().find(unused) else { continue };
            let (create, table) = create_lookup_table(key, key, slot);
            self.remember(table);
            return Ok((table, vec![create, extend_lookup_table(table, key, Some(key), addresses)]));
        }
        Err(LookupError::Standstill { slot: newest })
    }

    fn remember(&mut self, table: Pubkey) {
        if let Err(error) = self.memory.add(table) {
            warn_of_memory(&error, &table);
        }
    }

    /// Waits until the ledger is beyond the slot of the last extension.
    async fn warm_up(&mut self) -> Result<(), LookupError> {
        let last = self.tables.iter().filter(|t| t.is_active()).map(|t| t.extended_at).max().unwrap_or(0);
        let (looks, every) = PATIENCE;
        for _ in 0..looks {
            if self.slot > last || self.tables.is_empty() {
                return Ok(());
            }
            tokio::time::sleep(every).await;
            self.slot = self.slot.max(self.sender.ledger().slot().await?);
        }
        Err(LookupError::Standstill { slot: last })
    }
}

/// Whether everything that these tables of `authority` are believed to hold can still be looked up. For whoever has
/// just failed to send with them.
///
/// # Errors
/// The ledger could not be read.
pub async fn still_usable(
    ledger: &Ledger,
    authority: &Pubkey,
    believed: &[AddressLookupTableAccount],
) -> Result<bool, LedgerError> {
    let keys: Vec<Pubkey> = believed.iter().map(|table| table.key).collect();
    let (slot, mut accounts) = accounts(ledger, keys.get(..MAX_MULTIPLE_ACCOUNTS).unwrap_or(&keys)).await?;
    let mut holds = |believed: &AddressLookupTableAccount| {
        let (owner, data) = accounts.remove(&believed.key).flatten()?;
        let usable = Table::read(believed.key, &owner, &data, authority).ok()?.usable(slot)?;
        usable.addresses.starts_with(&believed.addresses).then_some(())
    };
    Ok(believed.iter().all(|table| holds(table).is_some()))
}

fn warn_of_memory(error: &MemoryError, table: &Pubkey) {
    let cause = std::error::Error::source(error).map(ToString::to_string);
    tracing::warn!(%error, cause, %table, "a lookup table is not remembered over a restart");
}

type Accounts = BTreeMap<Pubkey, Option<(Pubkey, Vec<u8>)>>;

/// Owners and bytes of accounts, and the slot at which they were read.
async fn accounts(ledger: &Ledger, addresses: &[Pubkey]) -> Result<(u64, Accounts), LedgerError> {
    let floor = ledger.newest_slot();
    let words: Vec<String> = addresses.iter().map(ToString::to_string).collect();
    let config = json!({ "encoding": "base64", "commitment": "confirmed", "minContextSlot": floor });
    let response: Response<Vec<Option<UiAccount>>> =
        ledger.read(RpcRequest::GetMultipleAccounts, &json!([words, config])).await?;
    let slot = ledger.check_slot(response.context.slot, floor)?;
    if response.value.len() != addresses.len() {
        return Err(ledger.malformed("another number of accounts than was asked for"));
    }
    let mut accounts = Accounts::new();
    for (address, account) in addresses.iter().zip(response.value) {
        let read = match account {
            None => None,
            Some(account) => {
                let owner = account.owner.parse().map_err(|_| ledger.malformed("an owner that is no address"))?;
                let data = account_data(&account).ok_or_else(|| ledger.malformed("account data that is not base64"))?;
                Some((owner, data))
            }
        };
        accounts.insert(*address, read);
    }
    Ok((slot, accounts))
}
