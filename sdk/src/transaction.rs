//! One transaction as the ledger executed it: who signed, which instructions with which accounts, and how it ended.
//!
//! A node's word is checked as far as that can be done without a validator: the transaction has to be the one that was
//! asked for, and every signature on it has to be right for its bytes. That it was executed, and how it ended, is the
//! node's word.

use std::time::Duration;

use causeway_interface::Key;
use serde::Serialize;
use serde_json::json;
use solana_client::{rpc_config::RpcTransactionConfig, rpc_request::RpcRequest};
use solana_commitment_config::CommitmentConfig;
use solana_sdk::{message::VersionedMessage, pubkey::Pubkey, signature::Signature, transaction::VersionedTransaction};
use solana_transaction_status_client_types::{
    EncodedConfirmedTransactionWithStatusMeta, UiTransactionEncoding, option_serializer::OptionSerializer,
};

use crate::{address::to_key, client::Ledger, error::LedgerError};

/// Times that a transaction which the node does not have is asked for: one that was just confirmed by another node.
const LOOKS: usize = 4;
/// Time between two of them.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// One instruction of a transaction, not counting what programs called in turn.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ExecutedInstruction {
    /// The program.
    pub program: Key,
    /// Its accounts, in order, those from lookup tables too.
    pub accounts: Vec<Key>,
    /// Its data.
    pub data: Vec<u8>,
}

/// A transaction that the ledger executed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Executed {
    /// The slot.
    pub slot: u64,
    /// Whether the ledger can no longer go back behind it.
    pub finalized: bool,
    /// How it failed, in the ledger's words; none where it succeeded.
    pub failed: Option<String>,
    /// Who signed it, the payer first. Their signatures are right.
    pub signers: Vec<Key>,
    /// Its instructions, in order.
    pub instructions: Vec<ExecutedInstruction>,
}

impl Ledger {
    /// The transaction with this signature, if the node has it at commitment confirmed.
    ///
    /// # Errors
    /// The node could not be read, or what it gave is not that transaction.
    pub async fn transaction(&self, signature: &Signature) -> Result<Option<Executed>, LedgerError> {
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
                let finalized =
                    self.again(|| self.rpc().get_slot_with_commitment(CommitmentConfig::finalized())).await?;
                let executed = executed(signature, &found).map_err(|what| self.malformed(what))?;
                return Ok(Some(Executed { finalized: executed.slot <= finalized, ..executed }));
            }
        }
        Ok(None)
    }
}

/// What a node's answer says, checked against the signature that was asked for. Whether it is final is not in it.
fn executed(asked: &Signature, answer: &EncodedConfirmedTransactionWithStatusMeta) -> Result<Executed, &'static str> {
    let meta = answer.transaction.meta.as_ref().ok_or("a transaction without its result")?;
    let transaction = answer.transaction.transaction.decode().ok_or("a transaction that can't be read")?;
    let signers = signers(asked, &transaction)?;
    let message = &transaction.message;
    let mut keys: Vec<Key> = message.static_account_keys().iter().map(to_key).collect();
    if let OptionSerializer::Some(loaded) = &meta.loaded_addresses {
        for text in loaded.writable.iter().chain(&loaded.readonly) {
            keys.push(to_key(&text.parse::<Pubkey>().map_err(|_| "an address that is none")?));
        }
    }
    if keys.len() != static_and_loaded(message) {
        return Err("a transaction without the addresses of its lookup tables");
    }
    let at =
        |index: u8| keys.get(usize::from(index)).copied().ok_or("an instruction with an account that is not there");
    let instructions = message
        .instructions()
        .iter()
        .map(|compiled| {
            Ok(ExecutedInstruction {
                program: at(compiled.program_id_index)?,
                accounts: compiled.accounts.iter().map(|index| at(*index)).collect::<Result<_, &'static str>>()?,
                data: compiled.data.clone(),
            })
        })
        .collect::<Result<_, &'static str>>()?;
    let failed = meta.err.as_ref().map(ToString::to_string);
    Ok(Executed { slot: answer.slot, finalized: false, failed, signers, instructions })
}

fn signers(asked: &Signature, transaction: &VersionedTransaction) -> Result<Vec<Key>, &'static str> {
    if transaction.signatures.first() != Some(asked) {
        return Err("another transaction than was asked for");
    }
    let keys = transaction.message.static_account_keys();
    let count = usize::from(transaction.message.header().num_required_signatures);
    let bytes = transaction.message.serialize();
    if transaction.signatures.len() != count || keys.len() < count {
        return Err("a transaction with signatures missing");
    }
    let signed: Vec<_> = transaction.signatures.iter().zip(keys).collect();
    if signed.iter().all(|(signature, key)| signature.verify(key.as_ref(), &bytes)) {
        return Ok(signed.into_iter().map(|(_, key)| to_key(key)).collect());
    }
    Err("a transaction with a wrong signature")
}

/// How many addresses the instructions of a message can name.
fn static_and_loaded(message: &VersionedMessage) -> usize {
    let lookups = message.address_table_lookups().unwrap_or_default();
    let loaded = lookups.iter().map(|l| l.writable_indexes.len() + l.readonly_indexes.len()).sum::<usize>();
    message.static_account_keys().len() + loaded
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::{Engine, prelude::BASE64_STANDARD};
    use solana_sdk::{
        instruction::{AccountMeta, Instruction},
        message::Message,
        signature::Keypair,
        signer::Signer,
        transaction::Transaction,
    };

    fn answer(transaction: &Transaction, changed: impl Fn(&mut Vec<u8>)) -> EncodedConfirmedTransactionWithStatusMeta {
        // Signatures, their count before them, then the message: the wire's form.
        let mut bytes = vec![u8::try_from(transaction.signatures.len()).unwrap()];
        transaction.signatures.iter().for_each(|s| bytes.extend(s.as_ref()));
        bytes.extend(transaction.message.serialize());
        changed(&mut bytes);
        let meta = json!({
            "err": null, "status": { "Ok": null }, "fee": 5000, "preBalances": [], "postBalances": [],
            "loadedAddresses": { "writable": [], "readonly": [] },
        });
        serde_json::from_value(json!({
            "slot": 7, "blockTime": null,
            "transaction": [BASE64_STANDARD.encode(bytes), "base64"],
            "meta": meta,
        }))
        .unwrap()
    }

    fn transaction(payer: &Keypair) -> Transaction {
        let program = Pubkey::new_from_array([5; 32]);
        let other = Pubkey::new_from_array([6; 32]);
        let metas = vec![AccountMeta::new(other, false), AccountMeta::new_readonly(payer.pubkey(), true)];
        let instruction = Instruction { program_id: program, accounts: metas, data: vec![1, 2, 3] };
        let message = Message::new(&[instruction], Some(&payer.pubkey()));
        Transaction::new(&[payer], message, Default::default())
    }

    #[test]
    fn what_was_executed_is_read_with_its_accounts_in_order() {
        let payer = Keypair::new();
        let transaction = transaction(&payer);
        let found = executed(&transaction.signatures[0], &answer(&transaction, |_| {})).unwrap();
        let accounts = vec![Key([6; 32]), to_key(&payer.pubkey())];
        let instruction = ExecutedInstruction { program: Key([5; 32]), accounts, data: vec![1, 2, 3] };
        assert_eq!((found.slot, found.failed, found.signers), (7, None, vec![to_key(&payer.pubkey())]));
        assert_eq!(found.instructions, [instruction]);
    }

    #[test]
    fn a_node_can_not_pass_off_another_transaction() {
        let payer = Keypair::new();
        let (transaction, other) = (transaction(&payer), transaction(&Keypair::new()));
        let asked = &transaction.signatures[0];
        assert_eq!(executed(asked, &answer(&other, |_| {})), Err("another transaction than was asked for"));
        let changed = answer(&transaction, |bytes| *bytes.last_mut().unwrap() ^= 1);
        assert_eq!(executed(asked, &changed), Err("a transaction with a wrong signature"));
        let cut = answer(&transaction, |bytes| bytes.truncate(90));
        assert_eq!(executed(asked, &cut), Err("a transaction that can't be read"));
    }
}
