//! From instructions to a signed transaction: compute units from simulation, a recent blockhash, signatures.

use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant},
};

use solana_client::rpc_config::RpcSimulateTransactionConfig;
use solana_commitment_config::CommitmentConfig;
use solana_sdk::{
    hash::Hash,
    message::VersionedMessage,
    signature::{Keypair, Signature},
    signer::Signer,
    transaction::{TransactionError, VersionedTransaction},
};
use tokio::sync::Mutex;

use super::{SendError, Sender, Submission};
use crate::{
    error::LedgerError,
    pack::{self, MAX_TRANSACTION_BYTES, PREPENDED, Size},
};

/// How long a blockhash is used for new transactions. It lives for 150 blocks; a young one leaves time to land.
const BLOCKHASH_AGE: Duration = Duration::from_secs(2);
/// Compute units that a transaction may ask for at most, by the ledger's rule.
const MAX_COMPUTE_UNITS: u32 = 1_400_000;
/// Added to what simulation used, beside a tenth: what another transaction may make of the same state.
const COMPUTE_MARGIN: u32 = 1_000;
/// Compute units that the two budget instructions themselves use.
const BUDGET_UNITS: u32 = 300;
/// Different compute limits that tell equal submissions apart within the life of one blockhash.
const DISTINCT: u32 = 1_024;
/// Simulations of one submission when the node stumbles: three, 0.2 s and 0.4 s apart.
const SIMULATIONS: u32 = 3;
/// First pause between simulations.
const SIMULATION_PAUSE: Duration = Duration::from_millis(200);

/// The blockhash in use.
#[derive(Debug, Default)]
pub(super) struct Blockhashes {
    current: Mutex<Option<(Instant, Hash, u64)>>,
    count: AtomicU32,
}

/// A transaction ready to be sent.
#[derive(Clone, Debug)]
pub(super) struct Prepared {
    pub transaction: VersionedTransaction,
    pub signature: Signature,
    /// Block height after which it can't be included any more.
    pub last_valid_height: u64,
    pub compute_units: u32,
    /// What the ledger charges for it.
    pub fee_lamports: u64,
}

impl Blockhashes {
    async fn get(&self, sender: &Sender) -> Result<(Hash, u64), LedgerError> {
        let mut current = self.current.lock().await;
        if let Some((read, hash, height)) = *current
            && read.elapsed() < BLOCKHASH_AGE
        {
            return Ok((hash, height));
        }
        let ledger = sender.ledger();
        let (hash, height) = ledger.recent_blockhash().await?;
        *current = Some((Instant::now(), hash, height));
        Ok((hash, height))
    }

    /// A small number that differs from one transaction to the next; starts anywhere, so that two processes with the
    /// same key rarely agree.
    fn distinct(&self) -> u32 {
        let n = self.count.fetch_add(1, Ordering::Relaxed);
        std::process::id().wrapping_mul(31).wrapping_add(n) % DISTINCT
    }
}

/// Simulates where needed, and signs.
pub(super) async fn prepare(
    sender: &Sender,
    submission: &Submission,
    known_units: Option<u32>,
) -> Result<Prepared, SendError> {
    let compute_units = match known_units.or(submission.compute_units) {
        Some(units) => units,
        None => simulate(sender, submission).await?,
    };
    let (blockhash, last_valid_height) = sender.blockhashes.get(sender).await?;
    let limit = compute_units.saturating_add(sender.blockhashes.distinct()).min(MAX_COMPUTE_UNITS);
    let message = message(sender, submission, limit, blockhash)?;
    let signers = signers(submission, &message)?;
    let fee_lamports = pack::fee_lamports(signers.len(), limit, sender.config.priority_fee_micro_lamports);
    let transaction = VersionedTransaction::try_new(message, &signers)
        .map_err(|_| SendError::SignerMissing { key: submission.payer() })?;
    let signature = transaction.signatures.first().copied().unwrap_or_default();
    Ok(Prepared { transaction, signature, last_valid_height, compute_units, fee_lamports })
}

fn message(
    sender: &Sender,
    submission: &Submission,
    units: u32,
    blockhash: Hash,
) -> Result<VersionedMessage, SendError> {
    let budget = (units, sender.config.priority_fee_micro_lamports);
    let tables = &submission.lookup_tables;
    let message = pack::assemble(&submission.payer(), &submission.instructions, tables, budget, blockhash);
    let too_many = TransactionError::TooManyAccountLocks;
    let message = message.ok_or(SendError::Transaction { error: too_many, signature: None, logs: Vec::new() })?;
    let Size { bytes, .. } = Size::of(&message);
    if bytes > MAX_TRANSACTION_BYTES {
        return Err(SendError::TooLarge { bytes, limit: MAX_TRANSACTION_BYTES });
    }
    Ok(message)
}

/// The keys that the message asks for, in its order.
fn signers<'a>(submission: &'a Submission, message: &VersionedMessage) -> Result<Vec<&'a Keypair>, SendError> {
    let required = usize::from(message.header().num_required_signatures);
    let find = |key: &solana_sdk::pubkey::Pubkey| {
        let found = submission.signers.iter().find(|s| s.pubkey() == *key);
        found.map(AsRef::as_ref).ok_or(SendError::SignerMissing { key: *key })
    };
    message.static_account_keys().iter().take(required).map(find).collect()
}

/// Compute units that the submission needs, with the margin.
async fn simulate(sender: &Sender, submission: &Submission) -> Result<u32, SendError> {
    let message = message(sender, submission, MAX_COMPUTE_UNITS, Hash::default())?;
    let signers = signers(submission, &message)?;
    let signatures = vec![Signature::default(); signers.len()];
    let transaction = VersionedTransaction { signatures, message };
    let config = RpcSimulateTransactionConfig {
        sig_verify: false,
        replace_recent_blockhash: true,
        commitment: Some(CommitmentConfig::confirmed()),
        ..RpcSimulateTransactionConfig::default()
    };
    let ledger = sender.ledger();
    let mut pause = SIMULATION_PAUSE;
    let mut tries = 0;
    let result = loop {
        tries += 1;
        match ledger.bounded(ledger.rpc().simulate_transaction_with_config(&transaction, config.clone())).await {
            Ok(response) => break response.value,
            Err(error) if error.is_transient() && tries < SIMULATIONS => {
                tracing::debug!(%error, tries, "simulation is tried again");
                tokio::time::sleep(pause).await;
                pause *= 2;
            }
            Err(error) => return Err(error.into()),
        }
    };
    if let Some(error) = result.err {
        return Err(SendError::from_transaction(
            error.into(),
            &ledger.addresses().program_id,
            &submission.payer(),
            &submission.instructions,
            PREPENDED,
            None,
            result.logs.unwrap_or_default(),
        ));
    }
    let used = u32::try_from(result.units_consumed.unwrap_or(0)).unwrap_or(MAX_COMPUTE_UNITS);
    // A node that does not say gets the most that a transaction may ask for.
    if used == 0 {
        return Ok(MAX_COMPUTE_UNITS - DISTINCT);
    }
    Ok(used.saturating_add(used / 10).saturating_add(COMPUTE_MARGIN + BUDGET_UNITS))
}
