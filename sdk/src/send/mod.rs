//! Sending: simulate, sign, send, resend, confirm, and read the error of what landed.
//!
//! A submission either landed without an error ([`Receipt`]) or it did not take effect, with one exception that its
//! error names: [`SendError::Unconfirmed`]. A transaction is signed again only once its blockhash can no longer be
//! included, so that no submission takes effect twice. Two submissions of the same instructions are two transactions.
//!
//! Many submissions run at once; their order is not kept. What depends on another belongs into the same submission
//! or into a later call.

mod driver;
mod error;
mod prepare;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use solana_sdk::{
    instruction::Instruction,
    message::AddressLookupTableAccount,
    pubkey::Pubkey,
    signature::{Keypair, Signature},
    signer::Signer,
};

pub use self::error::SendError;
use self::prepare::Blockhashes;
use crate::client::Ledger;

/// How to send.
#[derive(Clone, Copy, Debug)]
pub struct SendConfig {
    /// Price of a compute unit in millionths of a lamport.
    pub priority_fee_micro_lamports: u64,
    /// Transactions on their way at once. The ledger's leader takes some hundreds a slot from one sender.
    pub max_in_flight: usize,
    /// Time between two looks at what has landed, while something was sent in the last two seconds.
    pub poll_every: Duration,
    /// The same for what takes longer.
    pub poll_slowly_every: Duration,
    /// Time after which a transaction that has not landed is sent again.
    pub resend_every: Duration,
    /// How many times a submission is signed at most; each signing lives for 150 blocks.
    pub max_signings: u32,
    /// For how long the node may be unreadable before what is on its way is given up as unconfirmed.
    pub give_up_after: Duration,
}

impl Default for SendConfig {
    fn default() -> Self {
        Self {
            priority_fee_micro_lamports: 0,
            max_in_flight: 256,
            poll_every: Duration::from_millis(100),
            poll_slowly_every: Duration::from_millis(400),
            resend_every: Duration::from_secs(2),
            max_signings: 4,
            give_up_after: Duration::from_secs(60),
        }
    }
}

/// Instructions to be executed together, and who signs.
#[derive(Clone, Debug)]
pub struct Submission {
    /// The instructions, without compute budget.
    pub instructions: Vec<Instruction>,
    /// The keys that sign; the first one pays. Keys that no instruction asks for are not used.
    pub signers: Vec<Arc<Keypair>>,
    /// Compute units to ask for; none to simulate first and ask for what that used.
    pub compute_units: Option<u32>,
    /// Lookup tables that hold some of the addresses, to fit more accounts.
    pub lookup_tables: Vec<AddressLookupTableAccount>,
}

impl Submission {
    /// Instructions signed and paid for by one key, compute units by simulation.
    #[must_use]
    pub fn new(instructions: Vec<Instruction>, payer: &Arc<Keypair>) -> Self {
        let signers = vec![Arc::clone(payer)];
        Self { instructions, signers, compute_units: None, lookup_tables: Vec::new() }
    }

    /// With a further signer.
    #[must_use]
    pub fn signed_by(mut self, key: &Arc<Keypair>) -> Self {
        self.signers.push(Arc::clone(key));
        self
    }

    /// With compute units known beforehand, so that it is not simulated.
    #[must_use]
    pub fn with_compute_units(mut self, units: u32) -> Self {
        self.compute_units = Some(units);
        self
    }

    /// The paying key.
    #[must_use]
    pub fn payer(&self) -> Pubkey {
        self.signers.first().map(|k| k.pubkey()).unwrap_or_default()
    }
}

/// A submission that landed without an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// The transaction.
    pub signature: Signature,
    /// The slot that it landed in.
    pub slot: u64,
}

/// Sends submissions to one ledger. Clones share the blockhash and the count.
#[derive(Clone, Debug)]
pub struct Sender {
    ledger: Ledger,
    config: SendConfig,
    blockhashes: Arc<Blockhashes>,
    landed: Arc<AtomicU64>,
    paid: Arc<[AtomicU64; 2]>,
}

/// What transactions cost: those that landed, also with an error, and those of which nobody knows whether they did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Paid {
    /// Lamports, for signatures and for compute units asked for.
    pub lamports: u64,
    /// Transactions that they were paid for.
    pub transactions: u64,
}

impl Sender {
    /// A sender with default settings.
    #[must_use]
    pub fn new(ledger: Ledger) -> Self {
        Self::with_config(ledger, SendConfig::default())
    }

    /// A sender with these settings.
    #[must_use]
    pub fn with_config(ledger: Ledger, config: SendConfig) -> Self {
        Self { ledger, config, blockhashes: Arc::default(), landed: Arc::default(), paid: Arc::default() }
    }

    /// Counts landed transactions in `counter` from now on, as one count over several senders.
    #[must_use]
    pub fn counting(mut self, counter: Arc<AtomicU64>) -> Self {
        self.landed = counter;
        self
    }

    /// Transactions that landed without an error, over all clones.
    #[must_use]
    pub fn transactions(&self) -> u64 {
        self.landed.load(Ordering::Relaxed)
    }

    /// What was paid, over all clones.
    #[must_use]
    pub fn paid(&self) -> Paid {
        let [lamports, transactions] = &*self.paid;
        Paid { lamports: lamports.load(Ordering::Relaxed), transactions: transactions.load(Ordering::Relaxed) }
    }

    fn pay(&self, fee_lamports: u64) {
        let [lamports, transactions] = &*self.paid;
        lamports.fetch_add(fee_lamports, Ordering::Relaxed);
        transactions.fetch_add(1, Ordering::Relaxed);
    }

    /// The ledger that is sent to.
    #[must_use]
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Sends one submission and waits until it is confirmed.
    ///
    /// # Errors
    /// It did not take effect, or could not be confirmed: see [`SendError`].
    pub async fn send(&self, submission: Submission) -> Result<Receipt, SendError> {
        let mut results = self.send_all(vec![submission]).await;
        results.pop().unwrap_or(Err(SendError::Expired { signings: 0 }))
    }

    /// Sends instructions signed and paid for by `signers`, the first of which pays.
    ///
    /// # Errors
    /// As for [`Self::send`].
    pub async fn send_instructions(
        &self,
        instructions: Vec<Instruction>,
        signers: &[Arc<Keypair>],
    ) -> Result<Receipt, SendError> {
        let signers = signers.to_vec();
        self.send(Submission { instructions, signers, compute_units: None, lookup_tables: Vec::new() }).await
    }

    /// Sends many submissions at once and waits for all. Results are in the order of the submissions.
    pub async fn send_all(&self, submissions: Vec<Submission>) -> Vec<Result<Receipt, SendError>> {
        self.send_all_with(submissions, |_, _| {}).await
    }

    /// The same, telling `on_done` of each result as it is known.
    pub async fn send_all_with(
        &self,
        submissions: Vec<Submission>,
        on_done: impl FnMut(usize, &Result<Receipt, SendError>),
    ) -> Vec<Result<Receipt, SendError>> {
        driver::run(self, submissions, on_done).await
    }
}
