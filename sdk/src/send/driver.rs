//! The loop that keeps many transactions on their way: prepares, sends, looks what landed, renews what expired.

use std::{
    collections::{BTreeMap, VecDeque},
    time::{Duration, Instant},
};

use futures::{StreamExt, stream::FuturesUnordered};
use solana_client::{rpc_config::RpcSendTransactionConfig, rpc_request::MAX_GET_SIGNATURE_STATUSES_QUERY_ITEMS};
use solana_commitment_config::CommitmentConfig;
use solana_sdk::{
    signature::Signature,
    transaction::{TransactionError, VersionedTransaction},
};
use solana_transaction_status_client_types::TransactionStatus;

use super::{
    Receipt, SendError, Sender, Submission,
    prepare::{Prepared, prepare},
};
use crate::{error::LedgerError, pack::PREPENDED};

/// Submissions that are simulated and sent at once: enough to hide a node's latency, few enough for its rate limit.
const PREPARING: usize = 16;
/// Age from which on the block height is looked at: before that no transaction can have expired, however short the
/// ledger's slots are (150 blocks of 20 ms).
const MAY_EXPIRE_AFTER: Duration = Duration::from_secs(3);

/// Age up to which a transaction is expected any moment.
const YOUNG: Duration = Duration::from_secs(2);

struct Flight {
    index: usize,
    prepared: Prepared,
    signings: u32,
    signed: Instant,
    sent: Instant,
}

/// A submission waiting to be prepared.
struct Waiting {
    index: usize,
    signings: u32,
    compute_units: Option<u32>,
}

struct Driver<'a, F> {
    sender: &'a Sender,
    submissions: &'a [Submission],
    results: Vec<Option<Result<Receipt, SendError>>>,
    waiting: VecDeque<Waiting>,
    flights: BTreeMap<Signature, Flight>,
    last_read: Instant,
    last_look: Instant,
    on_done: F,
}

pub(super) async fn run<F>(sender: &Sender, submissions: Vec<Submission>, on_done: F) -> Vec<Result<Receipt, SendError>>
where
    F: FnMut(usize, &Result<Receipt, SendError>),
{
    let waiting = (0..submissions.len()).map(|index| Waiting { index, signings: 0, compute_units: None }).collect();
    let mut driver = Driver {
        sender,
        submissions: &submissions,
        results: submissions.iter().map(|_| None).collect(),
        waiting,
        flights: BTreeMap::new(),
        last_read: Instant::now(),
        last_look: Instant::now(),
        on_done,
    };
    driver.run().await;
    // The loop ends only when every submission has its result.
    let missing = || Err(SendError::Expired { signings: 0 });
    driver.results.into_iter().map(|result| result.unwrap_or_else(missing)).collect()
}

impl<F: FnMut(usize, &Result<Receipt, SendError>)> Driver<'_, F> {
    async fn run(&mut self) {
        let mut preparing = FuturesUnordered::new();
        let mut poll = tokio::time::interval(self.sender.config.poll_every);
        poll.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            while preparing.len() < PREPARING && self.flights.len() + preparing.len() < self.limit() {
                let Some(next) = self.waiting.pop_front() else { break };
                let (sender, submissions) = (self.sender, self.submissions);
                preparing.push(async move {
                    let outcome = match submissions.get(next.index) {
                        Some(submission) => prepare_and_send(sender, submission, next.compute_units).await,
                        None => Err(SendError::Expired { signings: 0 }),
                    };
                    (next, outcome)
                });
            }
            if preparing.is_empty() && self.flights.is_empty() {
                return;
            }
            tokio::select! {
                Some((next, outcome)) = preparing.next(), if !preparing.is_empty() => match outcome {
                    Ok(prepared) => self.took_off(&next, prepared),
                    Err(error) => self.done(next.index, Err(error)),
                },
                _ = poll.tick(), if !self.flights.is_empty() => if self.is_time() {
                    self.look().await;
                    self.last_look = Instant::now();
                },
            }
        }
    }

    fn limit(&self) -> usize {
        self.sender.config.max_in_flight.max(1)
    }

    fn is_time(&self) -> bool {
        let young = self.flights.values().any(|f| f.signed.elapsed() < YOUNG);
        young || self.last_look.elapsed() >= self.sender.config.poll_slowly_every
    }

    fn took_off(&mut self, waiting: &Waiting, prepared: Prepared) {
        if self.flights.is_empty() {
            self.last_read = Instant::now();
        }
        let now = Instant::now();
        let signings = waiting.signings + 1;
        tracing::debug!(signature = %prepared.signature, signings, "sent");
        let flight = Flight { index: waiting.index, prepared, signings, signed: now, sent: now };
        self.flights.insert(flight.prepared.signature, flight);
    }

    fn done(&mut self, index: usize, result: Result<Receipt, SendError>) {
        if result.is_ok() {
            self.sender.landed.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        }
        (self.on_done)(index, &result);
        if let Some(slot) = self.results.get_mut(index) {
            *slot = Some(result);
        }
    }

    /// Looks at everything that is on its way.
    async fn look(&mut self) {
        // The height is read before the statuses: what is missing from statuses read after its last valid block was
        // confirmed can't land any more.
        let oldest = self.flights.values().map(|f| f.signed).min();
        let height = match oldest {
            Some(oldest) if oldest.elapsed() > MAY_EXPIRE_AFTER => {
                let ledger = self.sender.ledger();
                let request = ledger.rpc().get_block_height_with_commitment(CommitmentConfig::confirmed());
                match ledger.bounded(request).await {
                    Ok(height) => Some(height),
                    Err(error) => return self.unreadable(error),
                }
            }
            _ => None,
        };
        let signatures: Vec<Signature> = self.flights.keys().copied().collect();
        for chunk in signatures.chunks(MAX_GET_SIGNATURE_STATUSES_QUERY_ITEMS) {
            let ledger = self.sender.ledger();
            match ledger.bounded(ledger.rpc().get_signature_statuses(chunk)).await {
                Ok(response) => {
                    self.last_read = Instant::now();
                    for (signature, status) in chunk.iter().zip(response.value) {
                        self.judge(signature, status, height).await;
                    }
                }
                Err(error) => return self.unreadable(error),
            }
        }
        self.resend().await;
    }

    fn unreadable(&mut self, error: LedgerError) {
        tracing::warn!(%error, in_flight = self.flights.len(), "can't see what landed");
        if self.last_read.elapsed() < self.sender.config.give_up_after {
            return;
        }
        let message = error.to_string();
        for (signature, flight) in std::mem::take(&mut self.flights) {
            let url = self.sender.ledger().url();
            let source = LedgerError::Refused { url, message: message.clone() };
            // It may have landed.
            self.sender.pay(flight.prepared.fee_lamports);
            self.done(flight.index, Err(SendError::Unconfirmed { signature, source }));
        }
    }

    async fn judge(&mut self, signature: &Signature, status: Option<TransactionStatus>, height: Option<u64>) {
        match status {
            Some(status) if status.satisfies_commitment(CommitmentConfig::confirmed()) => {
                let Some(flight) = self.flights.remove(signature) else { return };
                self.sender.ledger().saw_slot(status.slot);
                self.sender.pay(flight.prepared.fee_lamports);
                let result = match status.err {
                    None => Ok(Receipt { signature: *signature, slot: status.slot }),
                    Some(error) => Err(self.landed_with_error(&flight, error).await),
                };
                self.done(flight.index, result);
            }
            Some(_) => {}
            None => {
                let expired = |f: &Flight| height.is_some_and(|h| h > f.prepared.last_valid_height);
                if !self.flights.get(signature).is_some_and(expired) {
                    return;
                }
                let Some(flight) = self.flights.remove(signature) else { return };
                if flight.signings >= self.sender.config.max_signings {
                    self.done(flight.index, Err(SendError::Expired { signings: flight.signings }));
                } else {
                    tracing::debug!(%signature, "expired and is signed again");
                    let compute_units = Some(flight.prepared.compute_units);
                    self.waiting.push_back(Waiting { index: flight.index, signings: flight.signings, compute_units });
                }
            }
        }
    }

    async fn landed_with_error(&self, flight: &Flight, error: TransactionError) -> SendError {
        let signature = flight.prepared.signature;
        let ledger = self.sender.ledger();
        // The log only helps a reader: without it the error is the same.
        let logs = ledger.logs(&signature).await.unwrap_or_default();
        let (payer, instructions) = match self.submissions.get(flight.index) {
            Some(s) => (s.payer(), s.instructions.as_slice()),
            None => Default::default(),
        };
        let program = &ledger.addresses().program_id;
        SendError::from_transaction(error, program, &payer, instructions, PREPENDED, Some(signature), logs)
    }

    async fn resend(&mut self) {
        let every = self.sender.config.resend_every;
        let due: Vec<&mut Flight> = self.flights.values_mut().filter(|f| f.sent.elapsed() >= every).collect();
        let mut sends = FuturesUnordered::new();
        for flight in due {
            flight.sent = Instant::now();
            sends.push(transmit(self.sender, &flight.prepared.transaction));
        }
        // Whatever the node says now, the next look tells what landed.
        while let Some(outcome) = sends.next().await {
            if let Err(error) = outcome {
                tracing::debug!(%error, "resend was refused");
            }
        }
    }
}

async fn prepare_and_send(
    sender: &Sender,
    submission: &Submission,
    known_units: Option<u32>,
) -> Result<Prepared, SendError> {
    let prepared = prepare(sender, submission, known_units).await?;
    // A node that did not take it is asked again when it is resent; it may have taken it and lost the answer.
    if let Err(error) = transmit(sender, &prepared.transaction).await {
        tracing::debug!(%error, signature = %prepared.signature, "first send was refused");
    }
    Ok(prepared)
}

async fn transmit(sender: &Sender, transaction: &VersionedTransaction) -> Result<(), LedgerError> {
    let config = RpcSendTransactionConfig {
        // Simulation was before; preflight would do it again.
        skip_preflight: true,
        preflight_commitment: Some(CommitmentConfig::confirmed().commitment),
        // Resending is done here, where it is known what landed.
        max_retries: Some(0),
        ..RpcSendTransactionConfig::default()
    };
    let ledger = sender.ledger();
    ledger.bounded(ledger.rpc().send_transaction_with_config(transaction, config)).await.map(|_| ())
}
