//! What happened: the program's events, read from transaction logs.
//!
//! Only lines that the program itself logged count: a log is followed call by call, so another program in the same
//! transaction can't forge an event. A node may forget old transactions, so a history is as long as the node's memory.

use std::{str::FromStr, time::Duration};

use base64::{Engine, prelude::BASE64_STANDARD};
use causeway_interface::{
    Key,
    event::{EVENT_VERSION, Event},
};
use futures::{StreamExt, TryStreamExt, stream};
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

use crate::{address::to_pubkey, client::Ledger, error::LedgerError};

/// Signatures of one page: the most that a node gives at once.
const PAGE: usize = 1_000;
/// Pages of one history: 20 000 transactions of one subject, years of transitions; attestations don't touch the
/// subject's own account.
const MAX_PAGES: usize = 20;
/// Transactions read at once: enough to hide latency, few enough for a shared node's rate limit.
const CONCURRENCY: usize = 8;

/// Times that a transaction which the node does not have is asked for: it lags a second at most behind its own list.
const LOOKS: usize = 5;
/// Time between two of them.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// The events that the program logged, in order. Undecodable ones are left out: they are another version's.
#[must_use]
pub fn parse<S: AsRef<str>>(program_id: &Pubkey, logs: &[S]) -> Vec<Event> {
    let program = program_id.to_string();
    let mut calls: Vec<bool> = Vec::new();
    let mut events = Vec::new();
    for line in logs.iter().map(AsRef::as_ref) {
        if let Some(rest) = line.strip_prefix("Program ") {
            let mut words = rest.split(' ');
            let (first, second) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
            // "log:" and "data:" are never addresses.
            if first == "data:" {
                if calls.last() == Some(&true) {
                    events.extend(decode(second));
                }
            } else if second == "invoke" {
                calls.push(first == program);
            } else if second == "success" || second == "failed:" {
                calls.pop();
            }
        }
    }
    events
}

fn decode(field: &str) -> Option<Event> {
    let bytes = BASE64_STANDARD.decode(field).ok()?;
    let event: Event = borsh::from_slice(&bytes).ok()?;
    (event.version == EVENT_VERSION).then_some(event)
}

/// One transaction that touched a subject.
#[derive(Clone, Debug, Serialize)]
pub struct HistoryEntry {
    /// The transaction.
    pub signature: String,
    /// Its slot.
    pub slot: u64,
    /// When that was, in seconds since 1970, where the ledger says.
    pub time: Option<i64>,
    /// Why it failed; none if it did not.
    pub error: Option<String>,
    /// What it did to the subject, in order.
    pub events: Vec<Event>,
}

/// What happened to a subject, newest first.
#[derive(Clone, Debug, Serialize)]
pub struct History {
    /// The transactions.
    pub entries: Vec<HistoryEntry>,
    /// There may be older ones that were not read.
    pub truncated: bool,
}

impl Ledger {
    /// The last `limit` transactions that touched `subject`, with what they did to it.
    ///
    /// # Errors
    /// The node could not be read.
    pub async fn history(&self, subject: &Key, limit: usize) -> Result<History, LedgerError> {
        let address = to_pubkey(subject);
        let mut found = Vec::new();
        let mut truncated = true;
        for _ in 0..MAX_PAGES {
            let want = PAGE.min(limit.saturating_sub(found.len()));
            if want == 0 {
                break;
            }
            let before = found
                .last()
                .and_then(|s: &RpcConfirmedTransactionStatusWithSignature| Signature::from_str(&s.signature).ok());
            let config = GetConfirmedSignaturesForAddress2Config {
                before,
                until: None,
                limit: Some(want),
                commitment: Some(CommitmentConfig::confirmed()),
            };
            let page = self.bounded(self.rpc().get_signatures_for_address_with_config(&address, config)).await?;
            let last_page = page.len() < want;
            found.extend(page);
            if last_page {
                truncated = false;
                break;
            }
        }
        let entries =
            stream::iter(found).map(|status| self.entry(subject, status)).buffered(CONCURRENCY).try_collect().await?;
        Ok(History { entries, truncated })
    }

    async fn entry(
        &self,
        subject: &Key,
        status: RpcConfirmedTransactionStatusWithSignature,
    ) -> Result<HistoryEntry, LedgerError> {
        let error = status.err.map(|e| e.to_string());
        let mut events = Vec::new();
        if error.is_none()
            && let Ok(signature) = Signature::from_str(&status.signature)
        {
            events = parse(&self.addresses().program_id, &self.logs(&signature).await?);
            events.retain(|event| event.subject == *subject);
        }
        Ok(HistoryEntry { signature: status.signature, slot: status.slot, time: status.block_time, error, events })
    }

    /// The log of a transaction; empty where the node kept none or has forgotten the transaction.
    ///
    /// A node lists a transaction some moments before it can give it, so one that it does not have is asked for again.
    ///
    /// # Errors
    /// The node could not be read.
    pub async fn logs(&self, signature: &Signature) -> Result<Vec<String>, LedgerError> {
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
            let request = self
                .rpc()
                .send::<Option<EncodedConfirmedTransactionWithStatusMeta>>(RpcRequest::GetTransaction, params.clone());
            if let Some(found) = self.bounded(request).await? {
                return Ok(match found.transaction.meta.map(|meta| meta.log_messages) {
                    Some(OptionSerializer::Some(logs)) => logs,
                    Some(OptionSerializer::None | OptionSerializer::Skip) | None => Vec::new(),
                });
            }
        }
        Ok(Vec::new())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use causeway_interface::{AccountType, event::Triple};

    fn event(sequence: u64) -> Event {
        let triple = |status| Triple { status, health: 0, desired: 1 };
        Event {
            version: EVENT_VERSION,
            kind: 71,
            subject_type: AccountType::Device,
            subject: Key([1; 32]),
            from: triple(6),
            to: triple(7),
            actor: Key([2; 32]),
            sequence,
            slot: 9,
            detail: 0,
        }
    }

    #[test]
    fn only_the_programs_own_data_lines_count() {
        let ours = Pubkey::new_from_array([5; 32]);
        let other = Pubkey::new_from_array([6; 32]);
        let data = |n| format!("Program data: {}", BASE64_STANDARD.encode(borsh::to_vec(&event(n)).unwrap()));
        let logs = [
            data(1),
            format!("Program {other} invoke [1]"),
            data(2),
            format!("Program {ours} invoke [2]"),
            "Program log: Program data: x".into(),
            format!("Program {other} invoke [3]"),
            data(3),
            format!("Program {other} success"),
            data(4),
            "Program data: not base64!".into(),
            format!("Program {ours} consumed 5 of 10 compute units"),
            format!("Program {ours} success"),
            data(5),
            format!("Program {other} failed: custom program error: 0x1"),
            data(6),
        ];
        let sequences: Vec<u64> = parse(&ours, &logs).iter().map(|e| e.sequence).collect();
        assert_eq!(sequences, [4]);
    }
}
