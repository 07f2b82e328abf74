//! Splitting many instructions into transactions that fit: bytes, locked accounts, compute units. Pure.

use std::{collections::BTreeSet, ops::Range};

use causeway_interface::{
    Key,
    instruction::{MAX_ATTEST_BATCH, Verdict},
};
use solana_sdk::{instruction::Instruction, message::Message, pubkey::Pubkey};

use crate::instructions::{Instructions, Window};

/// Bytes of a transaction: what one network packet carries.
pub const MAX_TRANSACTION_BYTES: usize = 1_232;
/// Bytes of one signature.
const SIGNATURE_BYTES: usize = 64;
/// Bytes that the compute budget's two instructions and its program's address add: 32 for the address, 8 and 12 for
/// the instructions.
const COMPUTE_BUDGET_BYTES: usize = 32 + 8 + 12;

/// What a transaction may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes.
    pub bytes: usize,
    /// Accounts, programs included.
    pub accounts: usize,
    /// Compute units: the sum of what the instructions are expected to need.
    pub compute_units: u32,
    /// Instructions.
    pub instructions: usize,
}

impl Default for Limits {
    /// The ledger's own limits; compute units at a seventh of the most that a transaction may ask for, because a
    /// large request is scheduled late.
    fn default() -> Self {
        Self { bytes: MAX_TRANSACTION_BYTES, accounts: 64, compute_units: 200_000, instructions: 32 }
    }
}

/// An instruction with the compute units that it is expected to need.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Costed {
    /// The instruction.
    pub instruction: Instruction,
    /// Expected compute units.
    pub compute_units: u32,
}

/// Instructions of one transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packed {
    /// The instructions.
    pub instructions: Vec<Instruction>,
    /// Which of the given ones they are.
    pub range: Range<usize>,
}

/// An instruction that does not fit a transaction of its own.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("instruction {index} alone makes a transaction of {bytes} bytes, {limit} fit")]
pub struct PackError {
    /// Which.
    pub index: usize,
    /// Bytes of the transaction that holds nothing else.
    pub bytes: usize,
    /// Bytes that fit.
    pub limit: usize,
}

/// Bytes of the transaction of these instructions, signatures and compute budget included.
#[must_use]
pub fn transaction_bytes(payer: &Pubkey, instructions: &[Instruction]) -> usize {
    let message = Message::new(instructions, Some(payer));
    let signatures = usize::from(message.header.num_required_signatures);
    1 + signatures * SIGNATURE_BYTES + message.serialize().len() + COMPUTE_BUDGET_BYTES
}

fn account_count(payer: &Pubkey, instructions: &[Instruction]) -> usize {
    let mut keys: BTreeSet<Pubkey> = instructions.iter().flat_map(|i| i.accounts.iter().map(|m| m.pubkey)).collect();
    keys.extend(instructions.iter().map(|i| i.program_id));
    keys.insert(*payer);
    keys.len() + 1
}

/// Splits instructions, in their order, into as few transactions as a greedy walk finds.
///
/// # Errors
/// One instruction does not fit alone.
pub fn pack(payer: &Pubkey, items: &[Costed], limits: &Limits) -> Result<Vec<Packed>, PackError> {
    let mut packed: Vec<Packed> = Vec::new();
    let mut current: Vec<Instruction> = Vec::new();
    let mut units = 0u32;
    let mut start = 0;
    for (index, item) in items.iter().enumerate() {
        current.push(item.instruction.clone());
        let units_with = units.saturating_add(item.compute_units);
        let fits = current.len() <= limits.instructions
            && units_with <= limits.compute_units
            && account_count(payer, &current) <= limits.accounts
            && transaction_bytes(payer, &current) <= limits.bytes;
        if fits {
            units = units_with;
            continue;
        }
        current.truncate(current.len().saturating_sub(1));
        let bytes = transaction_bytes(payer, std::slice::from_ref(&item.instruction));
        if bytes > limits.bytes {
            return Err(PackError { index, bytes, limit: limits.bytes });
        }
        let instructions = std::mem::replace(&mut current, vec![item.instruction.clone()]);
        if !instructions.is_empty() {
            packed.push(Packed { instructions, range: start..index });
        }
        start = index;
        units = item.compute_units;
    }
    if !current.is_empty() {
        packed.push(Packed { instructions: current, range: start..items.len() });
    }
    Ok(packed)
}

/// How many verdicts one `Attest` can carry in a transaction that nothing else is in and `oracle` pays for.
#[must_use]
pub fn attest_capacity(instructions: &Instructions, oracle: &Pubkey) -> usize {
    let limits = Limits::default();
    let window = Window { start_slot: 0, end_slot: 0, evidence_root: Default::default() };
    let fits = |count: usize| {
        let subject = |n: usize| {
            let mut key = Key::ZERO;
            key.0[..8].copy_from_slice(&(n as u64).to_le_bytes());
            (key, Verdict { verdict: 1, failed: 0 })
        };
        let verdicts: Vec<_> = (0..count).map(subject).collect();
        let attest = [instructions.attest(oracle, window, &verdicts)];
        transaction_bytes(oracle, &attest) <= limits.bytes && account_count(oracle, &attest) <= limits.accounts
    };
    (1..=MAX_ATTEST_BATCH).rev().find(|count| fits(*count)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use solana_sdk::instruction::AccountMeta;

    fn item(n: u8, accounts: u8, data: usize, compute_units: u32) -> Costed {
        let accounts = (0..accounts).map(|a| AccountMeta::new(Pubkey::new_from_array([a + n; 32]), false)).collect();
        let program_id = Pubkey::new_from_array([250; 32]);
        Costed { instruction: Instruction { program_id, accounts, data: vec![0; data] }, compute_units }
    }

    #[test]
    fn everything_is_packed_once_in_order_and_fits() {
        let payer = Pubkey::new_from_array([251; 32]);
        for (accounts, data, units) in [(1, 10, 100), (8, 100, 5_000), (20, 200, 60_000), (3, 700, 10)] {
            let items: Vec<_> = (0..40).map(|n| item(n * 5, accounts, data, units)).collect();
            let packed = pack(&payer, &items, &Limits::default()).unwrap();
            let ranges: Vec<usize> = packed.iter().flat_map(|p| p.range.clone()).collect();
            assert_eq!(ranges, (0..40).collect::<Vec<_>>());
            for p in &packed {
                assert_eq!(p.instructions.len(), p.range.len());
                assert!(transaction_bytes(&payer, &p.instructions) <= MAX_TRANSACTION_BYTES);
                assert!(p.range.len() as u32 * units <= 200_000);
            }
        }
        assert_eq!(pack(&payer, &[], &Limits::default()).unwrap(), vec![]);
    }

    #[test]
    fn one_that_can_never_fit_is_named() {
        let payer = Pubkey::new_from_array([251; 32]);
        let items = [item(0, 1, 10, 1), item(0, 1, 1_300, 1)];
        assert_eq!(pack(&payer, &items, &Limits::default()).unwrap_err().index, 1);
    }

    #[test]
    fn the_largest_batch_of_verdicts_fits_and_one_more_does_not() {
        let build = Instructions::new(Pubkey::new_from_array([9; 32]));
        let oracle = Pubkey::new_from_array([1; 32]);
        let capacity = attest_capacity(&build, &oracle);
        assert!((20..=MAX_ATTEST_BATCH).contains(&capacity), "{capacity}");
    }
}
