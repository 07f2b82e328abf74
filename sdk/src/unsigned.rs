//! A transaction that somebody else is to sign: made by one who knows what has to be done, read by one who has the key.
//!
//! Who has the key trusts nobody: [`Asked::read`] takes only what this program's own instructions can be, whole, and
//! [`Described`] says in words what they do. What else a transaction could hide is refused: other programs, lookup tables,
//! accounts beyond those that an instruction has, bytes behind the end. Pure.

use std::collections::BTreeMap;

use base64::{Engine, prelude::BASE64_STANDARD};
use causeway_interface::{
    Key,
    instruction::{ADVANCE_DEVICE, ADVANCE_LINK, AccountSpec, Instruction as Data},
};
use serde::Serialize;
use serde_json::Value;
use solana_compute_budget_interface::ID as COMPUTE_BUDGET;
use solana_sdk::{
    hash::Hash,
    instruction::{AccountMeta, Instruction},
    message::{VersionedMessage, compiled_instruction::CompiledInstruction},
    pubkey::Pubkey,
    signature::Signature,
    transaction::VersionedTransaction,
};
use solana_transaction_status_client_types::{EncodedTransaction, TransactionBinaryEncoding};

use crate::{
    address::{Addresses, to_key},
    explain::{self, Entry, Explain},
    pack::{self, MAX_TRANSACTION_BYTES},
    snapshot::Snapshot,
};

/// Longest text of a transaction: base64 makes four characters of three bytes.
pub const MAX_TEXT: usize = MAX_TRANSACTION_BYTES.div_ceil(3) * 4;

/// The transaction of these instructions without any signature, in base64; none where it does not fit a packet.
#[must_use]
pub fn text(payer: &Pubkey, instructions: &[Instruction], compute_units: u32, blockhash: Hash) -> Option<String> {
    let message = pack::assemble(payer, instructions, &[], (compute_units, 0), blockhash)?;
    let signatures = vec![Signature::default(); usize::from(message.header().num_required_signatures)];
    let bytes = bytes(&VersionedTransaction { signatures, message });
    (bytes.len() <= MAX_TRANSACTION_BYTES).then(|| BASE64_STANDARD.encode(bytes))
}

/// Signatures, their count before them, then the message: the wire's form.
fn bytes(transaction: &VersionedTransaction) -> Vec<u8> {
    // A packet holds 19 signatures; the count is one byte up to 127.
    let mut bytes = vec![u8::try_from(transaction.signatures.len()).unwrap_or(u8::MAX)];
    transaction.signatures.iter().for_each(|signature| bytes.extend(signature.as_ref()));
    bytes.extend(transaction.message.serialize());
    bytes
}

/// Why a text is no transaction that can be signed here.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnsignedError {
    /// Too long, not base64, not a transaction, or bytes behind its end.
    #[error("it is not a transaction in base64")]
    Malformed,
    /// It has addresses that are not in it.
    #[error("it takes addresses from a lookup table, which can't be seen in it")]
    LookupTable,
    /// Somebody has signed it.
    #[error("it is signed already: a signature is of one blockhash, and it would have to get another")]
    Signed,
    /// It does nothing.
    #[error("it has no instruction of the program")]
    Empty,
    /// It calls somebody else.
    #[error("instruction {index} is for program {program}, which is another one")]
    Foreign {
        /// Which instruction, from 0.
        index: usize,
        /// The program that it calls.
        program: Key,
    },
    /// It is none of the program's.
    #[error("instruction {index} is none that the program has")]
    Undecodable {
        /// Which instruction, from 0.
        index: usize,
    },
    /// Its accounts are not those of the instruction.
    #[error("instruction {index} ({name}) has other accounts than it takes")]
    Accounts {
        /// Which instruction, from 0.
        index: usize,
        /// What it is.
        name: &'static str,
    },
    /// More than one key would have to sign, or another one pay.
    #[error("it asks for the signature of {key} beside that of {payer}, who pays")]
    OtherSigner {
        /// The key.
        key: Key,
        /// Who pays.
        payer: Key,
    },
}

impl UnsignedError {
    const fn entry(&self) -> Entry {
        match self {
            Self::Malformed | Self::LookupTable | Self::Signed | Self::Empty | Self::Undecodable { .. } => {
                explain::TRANSACTION_INVALID
            }
            Self::Foreign { .. } | Self::Accounts { .. } => explain::TRANSACTION_FOREIGN,
            Self::OtherSigner { .. } => explain::TRANSACTION_SIGNER,
        }
    }
}

impl Explain for UnsignedError {
    fn code(&self) -> String {
        self.entry().code.into()
    }

    fn cause(&self) -> String {
        format!("{self}.")
    }

    fn remedy(&self) -> String {
        self.entry().remedy.into()
    }
}

/// What a transaction asks the holder of a key to sign.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// Who signs and pays; nobody else does.
    pub signer: Pubkey,
    /// The program's instructions, in order. A compute budget is not among them: who sends sets its own.
    pub instructions: Vec<Instruction>,
    /// What each of them does.
    pub described: Vec<Described>,
}

/// One instruction, for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Described {
    /// Its name.
    pub name: &'static str,
    /// What it does.
    pub about: String,
    /// Its data, field by field.
    pub data: Value,
    /// Its accounts, in order.
    pub accounts: Vec<DescribedAccount>,
}

/// An account of an instruction, for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DescribedAccount {
    /// What it is to the instruction.
    pub role: &'static str,
    /// Its address, base58.
    pub address: String,
    /// What it is on the ledger, where that is known.
    pub name: Option<String>,
    /// It has to sign.
    pub signs: bool,
    /// The instruction may change it.
    pub changes: bool,
}

/// What is known of addresses.
pub type Names = BTreeMap<Key, String>;

/// Names of what a ledger holds, its singletons included.
#[must_use]
pub fn names(snapshot: &Snapshot) -> Names {
    let addresses = snapshot.addresses();
    let mut names = Names::from([
        (to_key(&addresses.network()), "network".to_owned()),
        (to_key(&addresses.prefix_table()), "prefix table".to_owned()),
        (to_key(&crate::address::SYSTEM_PROGRAM), "system program".to_owned()),
    ]);
    for kind in causeway_interface::PoolKind::ALL {
        names.insert(to_key(&addresses.pool(*kind)), format!("pool {kind}"));
    }
    for (key, contributor) in &snapshot.contributors {
        names.insert(*key, format!("contributor {}", contributor.code));
        names.entry(contributor.owner).or_insert_with(|| format!("owner of {}", contributor.code));
    }
    names.extend(snapshot.locations.iter().map(|(key, location)| (*key, format!("location {}", location.code))));
    names.extend(snapshot.exchanges.iter().map(|(key, exchange)| (*key, format!("exchange {}", exchange.code))));
    names.extend(snapshot.devices.iter().map(|(key, device)| (*key, format!("device {}", device.code))));
    names.extend(snapshot.links.iter().map(|(key, link)| (*key, format!("link {}", link.code))));
    names
}

/// What one instruction of the program does; `index` is its place, for the error.
///
/// # Errors
/// It is none of the program's, or has other accounts.
pub fn describe(instruction: &Instruction, index: usize, names: &Names) -> Result<Described, UnsignedError> {
    let data = Data::decode(&instruction.data).map_err(|_| UnsignedError::Undecodable { index })?;
    let tag = data.tag();
    let wrong = UnsignedError::Accounts { index, name: tag.name() };
    let specs = specs(&data, instruction.accounts.len()).ok_or(wrong)?;
    let accounts = specs.iter().zip(&instruction.accounts).map(|(spec, meta)| account(spec, meta, names)).collect();
    let data = serde_json::to_value(&data).unwrap_or_default();
    // An enum's variant is an object of one field, which is the tag's name once more.
    let data = data.as_object().and_then(|object| object.values().next().cloned()).unwrap_or(data);
    let about = tag.about().split_whitespace().collect::<Vec<_>>().join(" ");
    Ok(Described { name: tag.name(), about, data, accounts })
}

/// What the accounts of an instruction are; none where there are more or fewer than it takes.
fn specs(data: &Data, given: usize) -> Option<Vec<AccountSpec>> {
    let mut specs = data.tag().accounts().to_vec();
    if let Data::Advance(_) = data {
        let more = [ADVANCE_DEVICE, ADVANCE_LINK].into_iter().find(|more| specs.len() + more.len() == given)?;
        specs.extend(more);
    } else if let Data::Attest(attest) = data {
        let entry = AccountSpec { name: "attestations", signer: false, writable: true };
        specs.extend(std::iter::repeat_n(entry, attest.verdicts.len()));
    }
    (specs.len() == given).then_some(specs)
}

fn account(spec: &AccountSpec, meta: &AccountMeta, names: &Names) -> DescribedAccount {
    let address = to_key(&meta.pubkey);
    let name = names.get(&address).cloned();
    // The system program's address is all zeros, which a key's own form would take for none.
    let address = meta.pubkey.to_string();
    DescribedAccount { role: spec.name, address, name, signs: spec.signer, changes: spec.writable }
}

impl Asked {
    /// Reads a transaction in base64; anything may be there.
    ///
    /// # Errors
    /// [`UnsignedError`]: it is not one that holds this program's instructions alone.
    pub fn read(text: &str, addresses: &Addresses, names: &Names) -> Result<Self, UnsignedError> {
        let transaction = decode(text.trim())?;
        let message = &transaction.message;
        if message.address_table_lookups().is_some_and(|lookups| !lookups.is_empty()) {
            return Err(UnsignedError::LookupTable);
        }
        if transaction.signatures.iter().any(|signature| *signature != Signature::default()) {
            return Err(UnsignedError::Signed);
        }
        let keys = message.static_account_keys();
        let signer = *keys.first().ok_or(UnsignedError::Malformed)?;
        let others = usize::from(message.header().num_required_signatures);
        if let Some(key) = keys.get(1..others).and_then(|others| others.first()) {
            return Err(UnsignedError::OtherSigner { key: to_key(key), payer: to_key(&signer) });
        }
        let mut instructions = Vec::new();
        let mut described = Vec::new();
        for (index, mut instruction) in compiled(message)?.into_iter().enumerate() {
            if instruction.program_id == COMPUTE_BUDGET {
                continue;
            }
            if instruction.program_id != addresses.program_id {
                return Err(UnsignedError::Foreign { index, program: to_key(&instruction.program_id) });
            }
            let one = describe(&instruction, index, names)?;
            // What is sent is what was shown: flags are the program's own, whatever the message said.
            for (meta, account) in instruction.accounts.iter_mut().zip(&one.accounts) {
                (meta.is_signer, meta.is_writable) = (account.signs, account.changes);
                if account.signs && meta.pubkey != signer {
                    return Err(UnsignedError::OtherSigner { key: to_key(&meta.pubkey), payer: to_key(&signer) });
                }
            }
            described.push(one);
            instructions.push(instruction);
        }
        if instructions.is_empty() {
            return Err(UnsignedError::Empty);
        }
        Ok(Self { signer, instructions, described })
    }
}

fn decode(text: &str) -> Result<VersionedTransaction, UnsignedError> {
    if text.len() > MAX_TEXT {
        return Err(UnsignedError::Malformed);
    }
    let encoded = EncodedTransaction::Binary(text.to_owned(), TransactionBinaryEncoding::Base64);
    let transaction = encoded.decode().ok_or(UnsignedError::Malformed)?;
    // A reader that stops at the end of what it knows would not see what is behind it.
    let same = BASE64_STANDARD.decode(text).is_ok_and(|given| given == bytes(&transaction));
    if same { Ok(transaction) } else { Err(UnsignedError::Malformed) }
}

/// A message's instructions with the addresses of their accounts.
fn compiled(message: &VersionedMessage) -> Result<Vec<Instruction>, UnsignedError> {
    let keys = message.static_account_keys();
    let at = |index: u8| keys.get(usize::from(index)).copied().ok_or(UnsignedError::Malformed);
    let one = |instruction: &CompiledInstruction| {
        let accounts = instruction.accounts.iter().map(|index| Ok(AccountMeta::new_readonly(at(*index)?, false)));
        Ok(Instruction {
            program_id: at(instruction.program_id_index)?,
            accounts: accounts.collect::<Result<_, _>>()?,
            data: instruction.data.clone(),
        })
    };
    message.instructions().iter().map(one).collect()
}

#[cfg(test)]
#[path = "unsigned_tests.rs"]
mod tests;
