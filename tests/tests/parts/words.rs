//! What landed on the ledger, read from its transactions: the oracles' words, and who advanced when. The burn-in is then
//! counted again from them, by nothing that the program or the oracles use.

use std::str::FromStr;

use causeway_health_oracle::Kind;
use causeway_interface::{
    Key,
    instruction::{Attest, Instruction as Data},
};
use causeway_sdk::{Ledger, address::to_key};
use solana_client::{
    rpc_client::GetConfirmedSignaturesForAddress2Config, rpc_config::RpcTransactionConfig, rpc_request::RpcRequest,
};
use solana_commitment_config::CommitmentConfig;
use solana_sdk::{pubkey::Pubkey, signature::Signature};
use solana_transaction_status_client_types::{EncodedConfirmedTransactionWithStatusMeta, UiTransactionEncoding};

/// Signatures that a node gives at once.
const PAGE: usize = 1_000;

/// An `Attest` that landed.
#[derive(Clone, Debug)]
pub struct LandedAttest {
    pub slot: u64,
    pub signature: String,
    /// The attestations accounts, in the order of the verdicts.
    pub accounts: Vec<Key>,
    pub data: Attest,
}

/// Signatures of the transactions that name an address and succeeded, with their slots, oldest first.
pub async fn landed(ledger: &Ledger, address: &Pubkey) -> Vec<(u64, Signature)> {
    let mut all = Vec::new();
    let mut before = None;
    loop {
        let config = GetConfirmedSignaturesForAddress2Config {
            before,
            until: None,
            limit: Some(PAGE),
            commitment: Some(CommitmentConfig::confirmed()),
        };
        let page = ledger.rpc().get_signatures_for_address_with_config(address, config).await.unwrap();
        let last = page.len() < PAGE;
        before = page.last().map(|status| Signature::from_str(&status.signature).unwrap());
        let good = page.into_iter().filter(|status| status.err.is_none());
        all.extend(good.map(|status| (status.slot, Signature::from_str(&status.signature).unwrap())));
        if last {
            all.reverse();
            return all;
        }
    }
}

/// Every `Attest` of an oracle that landed, oldest first.
pub async fn attests(ledger: &Ledger, oracle: &Pubkey) -> Vec<LandedAttest> {
    let program = ledger.addresses().program_id;
    let mut found = Vec::new();
    for (slot, signature) in landed(ledger, oracle).await {
        let transaction = transaction(ledger, &signature).await;
        let keys = transaction.message.static_account_keys();
        for instruction in transaction.message.instructions() {
            if keys[usize::from(instruction.program_id_index)] != program {
                continue;
            }
            let Ok(Data::Attest(data)) = Data::decode(&instruction.data) else { continue };
            // The oracle and the network come first.
            let subjects = instruction.accounts.iter().skip(2);
            let accounts = subjects.map(|index| to_key(&keys[usize::from(*index)])).collect();
            found.push(LandedAttest { slot, signature: signature.to_string(), accounts, data });
        }
    }
    found
}

async fn transaction(ledger: &Ledger, signature: &Signature) -> solana_sdk::transaction::VersionedTransaction {
    let config = RpcTransactionConfig {
        encoding: Some(UiTransactionEncoding::Base64),
        commitment: Some(CommitmentConfig::confirmed()),
        max_supported_transaction_version: Some(0),
    };
    let params = serde_json::json!([signature.to_string(), config]);
    // A node lists a transaction some moments before it can give it.
    for _ in 0..50 {
        let request = RpcRequest::GetTransaction;
        let found: Option<EncodedConfirmedTransactionWithStatusMeta> =
            ledger.rpc().send(request, params.clone()).await.unwrap();
        if let Some(found) = found {
            return found.transaction.transaction.decode().unwrap();
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    panic!("the node does not give {signature}");
}

/// One word: its slot, and the height of what it says (device: 1 for links, 2 for users; link: 1 for service).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Word {
    pub slot: u64,
    pub rank: u8,
}

/// Height of a verdict byte, written out: what is neither of the good ones is no height.
pub fn rank(kind: Kind, verdict: u8) -> u8 {
    match (kind, verdict) {
        (Kind::Device, 3) => 2,
        (Kind::Device, 2) | (Kind::Link, 2) => 1,
        _ => 0,
    }
}

/// Words by attestations account, of one oracle.
pub fn words(attests: &[LandedAttest], kind: Kind, account: &Key) -> Vec<Word> {
    let of = |attest: &LandedAttest| {
        let place = attest.accounts.iter().position(|a| a == account)?;
        Some(Word { slot: attest.slot, rank: rank(kind, attest.data.verdicts[place].verdict) })
    };
    attests.iter().filter_map(of).collect()
}

/// For how many slots an oracle had attested a height without a break, by its words up to `now`; and since when. None
/// when its last word is too old or too low.
pub fn streak(words: &[Word], height: u8, now: u64, max_age: u64) -> Option<(u64, u64)> {
    let mut run: Option<(u64, u64)> = None;
    for word in words.iter().filter(|w| w.slot <= now) {
        run = match run {
            _ if word.rank < height => None,
            Some((since, last)) if word.slot - last <= max_age => Some((since, word.slot)),
            Some(_) | None => Some((word.slot, word.slot)),
        };
    }
    run.filter(|(_, last)| now - last <= max_age).map(|(since, last)| (since, last - since))
}

/// The first slot in which `quorum` oracles have attested a height for the burn-in.
pub fn first_due(oracles: &[Vec<Word>], height: u8, burn_in: u64, max_age: u64, quorum: usize) -> Option<u64> {
    let mut slots: Vec<u64> = oracles.iter().flatten().map(|w| w.slot).collect();
    slots.sort_unstable();
    slots.into_iter().find(|now| burned_in(oracles, height, *now, burn_in, max_age) >= quorum)
}

/// How many oracles have attested a height for the burn-in, as of a slot.
pub fn burned_in(oracles: &[Vec<Word>], height: u8, now: u64, burn_in: u64, max_age: u64) -> usize {
    let long = |words: &&Vec<Word>| streak(words, height, now, max_age).is_some_and(|(_, length)| length >= burn_in);
    oracles.iter().filter(long).count()
}
