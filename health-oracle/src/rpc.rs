//! The ledger over RPC, by the SDK.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use causeway_sdk::{
    Ledger, Snapshot,
    address::to_key,
    lookup,
    send::{Paid, SendConfig, SendError as SdkError, Sender, Submission},
};
use solana_sdk::{
    instruction::Instruction, message::AddressLookupTableAccount, pubkey::Pubkey, signature::Keypair, signer::Signer,
};

use crate::{
    chain::{Chain, ReadError, SendError},
    config::Config,
    metrics::Metrics,
    secret,
    tables::Keeper,
};

/// Signings of one transaction. Each lives for 150 blocks, a minute; after two the next round decides anew.
const MAX_SIGNINGS: u32 = 2;
/// How long the node may be unreadable before a transaction under way is given up: a round must not hang on a dead node.
const GIVE_UP_AFTER: Duration = Duration::from_secs(30);

/// The ledger as the SDK reads and writes it.
#[derive(Debug)]
pub struct RpcChain {
    ledger: Ledger,
    sender: Sender,
    key: Arc<Keypair>,
    keeper: Option<Keeper>,
}

impl RpcChain {
    /// Inside a runtime, which the upkeep of lookup tables runs on.
    pub fn new(config: &Config, metrics: &Metrics) -> Self {
        let ledger = Ledger::new(&config.rpc_url, config.program_id);
        let sending = SendConfig {
            priority_fee_micro_lamports: config.priority_fee_micro_lamports,
            max_signings: MAX_SIGNINGS,
            give_up_after: GIVE_UP_AFTER,
            ..SendConfig::default()
        };
        let sender = Sender::with_config(ledger.clone(), sending);
        let keeper = config.lookup_tables.then(|| {
            let sender = Sender::with_config(ledger.clone(), sending);
            Keeper::start(sender, config.key.clone(), &config.data_dir, metrics.clone())
        });
        Self { ledger, sender, key: config.key.clone(), keeper }
    }

    /// Sorts the failure of a transaction that used tables. A ledger that can't resolve an address says so in many
    /// words, so it is the tables that are looked at.
    async fn sorted(&self, error: &SdkError, tables: &[AddressLookupTableAccount]) -> SendError {
        let sorted = sorted(error, &self.ledger.url());
        let Some(keeper) = self.keeper.as_ref().filter(|_| !tables.is_empty()) else { return sorted };
        match &sorted {
            // The program was reached, so the addresses were found.
            SendError::Program { .. } | SendError::Tables { .. } => return sorted,
            SendError::Lost { .. } | SendError::Refused { .. } => {}
        }
        match lookup::still_usable(&self.ledger, &self.key.pubkey(), tables).await {
            Ok(false) => {
                keeper.doubt();
                SendError::Tables { message: secret::hide(&error.to_string(), &self.ledger.url()) }
            }
            // A ledger that can't be read says nothing of the tables.
            Ok(true) | Err(_) => sorted,
        }
    }
}

impl Chain for RpcChain {
    async fn snapshot(&self) -> Result<Snapshot, ReadError> {
        let said = |error: &dyn std::error::Error| ReadError(secret::hide(&error.to_string(), &self.ledger.url()));
        self.ledger.snapshot().await.map_err(|error| said(&error))
    }

    async fn slot_time_ms(&self, slot: u64) -> Option<u64> {
        let seconds = self.ledger.slot_time(slot).await.ok().flatten()?;
        u64::try_from(seconds).ok()?.checked_mul(1_000)
    }

    async fn balance(&self) -> Option<u64> {
        self.ledger.balance(&to_key(&self.key.pubkey())).await.ok()
    }

    fn tables(&self) -> Vec<AddressLookupTableAccount> {
        self.keeper.as_ref().map(|keeper| keeper.usable().to_vec()).unwrap_or_default()
    }

    fn want_in_tables(&self, addresses: BTreeSet<Pubkey>) {
        if let Some(keeper) = &self.keeper {
            keeper.want(addresses);
        }
    }

    fn paid(&self) -> Paid {
        let mut paid = self.sender.paid();
        if let Some(tables) = self.keeper.as_ref().map(Keeper::paid) {
            paid.lamports = paid.lamports.saturating_add(tables.lamports);
            paid.transactions = paid.transactions.saturating_add(tables.transactions);
        }
        paid
    }

    async fn send(
        &self,
        instructions: Vec<Instruction>,
        tables: &[AddressLookupTableAccount],
    ) -> Result<String, SendError> {
        let submission = Submission { lookup_tables: tables.to_vec(), ..Submission::new(instructions, &self.key) };
        match self.sender.send(submission).await {
            Ok(receipt) => Ok(receipt.signature.to_string()),
            Err(error) => Err(self.sorted(&error, tables).await),
        }
    }
}

fn sorted(error: &SdkError, url: &str) -> SendError {
    // It ends in logs, and a provider's key may be part of the address.
    let message = secret::hide(&error.to_string(), url);
    match error {
        SdkError::Program { code, .. } => SendError::Program { code: *code },
        SdkError::Transaction { .. }
        | SdkError::Unfunded { .. }
        | SdkError::SignerMissing { .. }
        | SdkError::TooLarge { .. } => SendError::Refused { message },
        SdkError::Expired { .. } | SdkError::Unconfirmed { .. } | SdkError::Ledger(_) => SendError::Lost { message },
    }
}
