//! What happened to a subject, read from the ledger's own transactions.
//!
//! A subject's history is that of its address: an object that was closed and one that was created later under the same
//! code are both in it. Failed transactions changed nothing and are left out. A node may forget old transactions, so a
//! history is as long as the node's memory; it is not known where that ends.
//!
//! The words of oracles don't touch a subject's own account, so they are not in it; the changes of health that follow
//! from them are.

use std::{str::FromStr, time::Duration};

use causeway_interface::{Key, event::Event};
use futures::{StreamExt, stream};
use serde::Serialize;
use serde_json::json;
use solana_client::{
    rpc_client::GetConfirmedSignaturesForAddress2Config, rpc_config::RpcTransactionConfig, rpc_request::RpcRequest,
    rpc_response::RpcConfirmedTransactionStatusWithSignature,
};
use solana_commitment_config::CommitmentConfig;
use solana_sdk::{pubkey::Pubkey, signature::Signature};
use solana_transaction_status_client_types::{
    EncodedConfirmedTransactionWithStatusMeta, UiTransactionEncoding, option_serializer::OptionSerializer,
};

use crate::{address::to_pubkey, client::Ledger, error::LedgerError, events};

/// Signatures of one page: the most that a node gives at once.
const PAGE: usize = 1_000;
/// Transactions looked at for one history, failed ones and those that only read the subject included: twenty pages, a
/// few minutes of reading.
pub const MAX_TRANSACTIONS: usize = 20_000;
/// Transactions read at once: enough to hide latency, few enough for a shared node's rate limit.
const CONCURRENCY: usize = 8;
/// Times that a transaction which the node does not have is asked for: it lags a second at most behind its own list.
const LOOKS: usize = 5;
/// Time between two of them.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// One transaction that changed a subject, or may have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HistoryEntry {
    /// The transaction.
    pub signature: String,
    /// Its slot.
    pub slot: u64,
    /// When that was, in seconds since 1970, where the ledger says.
    pub time: Option<i64>,
    /// What it did to the subject, in order.
    pub events: Vec<Event>,
    /// Whether its log is whole: if not, it may have done more.
    pub complete: bool,
}

/// What happened to a subject, newest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct History {
    /// The transactions that changed it, and those whose log is not whole.
    pub entries: Vec<HistoryEntry>,
    /// There are or may be older ones that were not read.
    pub truncated: bool,
}

impl Ledger {
    /// The last `limit` transactions that changed `subject`, with what they did to it. Those that only read it are
    /// passed over, at most [`MAX_TRANSACTIONS`] in all.
    ///
    /// # Errors
    /// The node could not be read.
    pub async fn history(&self, subject: &Key, limit: usize) -> Result<History, LedgerError> {
        self.history_in_pages(subject, limit, PAGE, MAX_TRANSACTIONS).await
    }

    /// The same with pages of another length and another bound.
    ///
    /// # Errors
    /// As for [`Self::history`].
    pub async fn history_in_pages(
        &self,
        subject: &Key,
        limit: usize,
        page: usize,
        most: usize,
    ) -> Result<History, LedgerError> {
        let address = to_pubkey(subject);
        let mut entries = Vec::new();
        let mut before = None;
        let mut looked_at = 0;
        loop {
            let want = page.clamp(1, PAGE).min(most.saturating_sub(looked_at));
            if want == 0 {
                return Ok(History { entries, truncated: true });
            }
            let statuses = self.signatures(&address, before, want).await?;
            looked_at += statuses.len();
            let last_page = statuses.len() < want;
            before = statuses.last().map(|status| status.signature.clone());
            let succeeded = statuses.into_iter().filter(|status| status.err.is_none());
            let mut read = stream::iter(succeeded).map(|status| self.entry(subject, status)).buffered(CONCURRENCY);
            while let Some(entry) = read.next().await {
                let entry = entry?;
                if entry.events.is_empty() && entry.complete {
                    continue;
                }
                if entries.len() >= limit {
                    return Ok(History { entries, truncated: true });
                }
                entries.push(entry);
            }
            if last_page {
                return Ok(History { entries, truncated: false });
            }
        }
    }

    /// A page of transactions that name an address, newest first, those before `before`.
    async fn signatures(
        &self,
        address: &Pubkey,
        before: Option<String>,
        limit: usize,
    ) -> Result<Vec<RpcConfirmedTransactionStatusWithSignature>, LedgerError> {
        let parse = |text: String| Signature::from_str(&text).map_err(|_| self.malformed("a signature that is none"));
        let before = before.map(parse).transpose()?;
        // It has no Clone.
        let config = || GetConfirmedSignaturesForAddress2Config {
            before,
            until: None,
            limit: Some(limit),
            commitment: Some(CommitmentConfig::confirmed()),
        };
        self.again(|| self.rpc().get_signatures_for_address_with_config(address, config())).await
    }

    async fn entry(
        &self,
        subject: &Key,
        status: RpcConfirmedTransactionStatusWithSignature,
    ) -> Result<HistoryEntry, LedgerError> {
        let signature =
            Signature::from_str(&status.signature).map_err(|_| self.malformed("a signature that is none"))?;
        let logs = self.log_of(&signature).await?;
        let mut log = logs.map(|logs| events::read(&self.addresses().program_id, &logs)).unwrap_or_default();
        log.events.retain(|event| event.subject == *subject);
        let (slot, time) = (status.slot, status.block_time);
        Ok(HistoryEntry { signature: status.signature, slot, time, events: log.events, complete: log.complete })
    }

    /// The log of a transaction; empty where the node kept none or has forgotten the transaction.
    ///
    /// # Errors
    /// The node could not be read.
    pub async fn logs(&self, signature: &Signature) -> Result<Vec<String>, LedgerError> {
        Ok(self.log_of(signature).await?.unwrap_or_default())
    }

    /// The same; none where the node has no log, which is not the same as a log without lines.
    ///
    /// A node lists a transaction some moments before it can give it, so one that it does not have is asked for again.
    async fn log_of(&self, signature: &Signature) -> Result<Option<Vec<String>>, LedgerError> {
        let config = RpcTransactionConfig {
            encoding: Some(UiTransactionEncoding::Base64),
            commitment: Some(CommitmentConfig::confirmed()),
            max_supported_transaction_version: Some(0),
        };
        let params = json!([signature.to_string(), config]);
        for look in 0..LOOKS {
            if look > 0 {
                tokio::time::sleep(LOOK_EVERY).await;
            }
            let found: Option<EncodedConfirmedTransactionWithStatusMeta> =
                self.read(RpcRequest::GetTransaction, &params).await?;
            if let Some(found) = found {
                return Ok(match found.transaction.meta.map(|meta| meta.log_messages) {
                    Some(OptionSerializer::Some(logs)) => Some(logs),
                    Some(OptionSerializer::None | OptionSerializer::Skip) | None => None,
                });
            }
        }
        Ok(None)
    }
}
