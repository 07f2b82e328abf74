//! The ledger over RPC, by the SDK.

use std::{sync::Arc, time::Duration};

use causeway_sdk::{
    Ledger, Snapshot,
    send::{SendConfig, SendError as SdkError, Sender, Submission},
};
use solana_sdk::{instruction::Instruction, signature::Keypair};

use crate::{
    chain::{Chain, ReadError, SendError},
    config::Config,
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
}

impl RpcChain {
    pub fn new(config: &Config) -> Self {
        let ledger = Ledger::new(&config.rpc_url, config.program_id);
        let sending = SendConfig {
            priority_fee_micro_lamports: config.priority_fee_micro_lamports,
            max_signings: MAX_SIGNINGS,
            give_up_after: GIVE_UP_AFTER,
            ..SendConfig::default()
        };
        let sender = Sender::with_config(ledger.clone(), sending);
        Self { ledger, sender, key: config.key.clone() }
    }
}

impl Chain for RpcChain {
    async fn snapshot(&self) -> Result<Snapshot, ReadError> {
        self.ledger.snapshot().await.map_err(|error| ReadError(error.to_string()))
    }

    async fn slot_time_ms(&self, slot: u64) -> Option<u64> {
        let seconds = self.ledger.slot_time(slot).await.ok().flatten()?;
        u64::try_from(seconds).ok()?.checked_mul(1_000)
    }

    async fn send(&self, instructions: Vec<Instruction>) -> Result<String, SendError> {
        match self.sender.send(Submission::new(instructions, &self.key)).await {
            Ok(receipt) => Ok(receipt.signature.to_string()),
            Err(error) => Err(sorted(&error)),
        }
    }
}

fn sorted(error: &SdkError) -> SendError {
    let message = error.to_string();
    match error {
        SdkError::Program { code, .. } => SendError::Program { code: *code },
        SdkError::Transaction { .. }
        | SdkError::Unfunded { .. }
        | SdkError::SignerMissing { .. }
        | SdkError::TooLarge { .. } => SendError::Refused { message },
        SdkError::Expired { .. } | SdkError::Unconfirmed { .. } | SdkError::Ledger(_) => SendError::Lost { message },
    }
}
