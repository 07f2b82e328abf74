//! Splitting many instructions into transactions that fit: bytes, locked accounts, compute units. Pure.
//!
//! Sizes are measured, not estimated: what is measured is the message that would be signed, budget instructions
//! included, and the sender assembles it by the same function.

use std::{collections::BTreeSet, ops::Range};

use causeway_interface::{
    Key,
    instruction::{MAX_ATTEST_BATCH, Verdict},
};
use solana_compute_budget_interface::ComputeBudgetInstruction;
use solana_sdk::{
    hash::Hash,
    instruction::Instruction,
    message::{AddressLookupTableAccount, Message, VersionedMessage, v0},
    pubkey::Pubkey,
};

use crate::instructions::{Instructions, Window};

/// Bytes of a transaction: what one network packet carries.
pub const MAX_TRANSACTION_BYTES: usize = 1_232;
/// Bytes of one signature.
const SIGNATURE_BYTES: usize = 64;
/// What the ledger charges for a signature, in lamports.
pub const LAMPORTS_PER_SIGNATURE: u64 = 5_000;
/// The price of a compute unit is in millionths of a lamport.
const MICRO_LAMPORTS: u128 = 1_000_000;
/// Instructions that come before the given ones: compute limit and price.
pub(crate) const PREPENDED: usize = 2;
/// Accounts that one instruction can number with a byte; no transaction can lock as many.
const NUMBERED_ACCOUNTS: usize = 256;

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

/// What a transaction takes of its limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Bytes, signatures included.
    pub bytes: usize,
    /// Accounts that it locks: its own and those that it looks up, programs included.
    pub accounts: usize,
}

impl Size {
    /// Of a message, with all its signatures.
    pub(crate) fn of(message: &VersionedMessage) -> Self {
        let signatures = usize::from(message.header().num_required_signatures);
        let looked_up = message.address_table_lookups().unwrap_or_default().iter();
        let looked_up: usize = looked_up.map(|l| l.writable_indexes.len() + l.readonly_indexes.len()).sum();
        Self {
            // The number of signatures is one byte up to 127 of them; a packet holds 19.
            bytes: 1 + signatures * SIGNATURE_BYTES + message.serialize().len(),
            accounts: message.static_account_keys().len() + looked_up,
        }
    }

    fn fits(&self, limits: &Limits) -> bool {
        self.bytes <= limits.bytes && self.accounts <= limits.accounts
    }
}

/// The message of these instructions with the compute budget before them: of version 0 where there are tables to look
/// addresses up in, else a legacy one. None if it names more accounts than a message can number.
#[must_use]
pub fn assemble(
    payer: &Pubkey,
    instructions: &[Instruction],
    tables: &[AddressLookupTableAccount],
    (compute_units, price): (u32, u64),
    blockhash: Hash,
) -> Option<VersionedMessage> {
    let mut all: Vec<Instruction> = vec![
        ComputeBudgetInstruction::set_compute_unit_limit(compute_units),
        ComputeBudgetInstruction::set_compute_unit_price(price),
    ];
    debug_assert_eq!(all.len(), PREPENDED);
    all.extend(instructions.iter().cloned());
    // Compiling a legacy message of more accounts panics.
    if account_count(payer, &all) > NUMBERED_ACCOUNTS {
        return None;
    }
    if tables.is_empty() {
        return Some(VersionedMessage::Legacy(Message::new_with_blockhash(&all, Some(payer), &blockhash)));
    }
    v0::Message::try_compile(payer, &all, tables, blockhash).ok().map(VersionedMessage::V0)
}

/// The size of the transaction of these instructions, signatures and compute budget included; none if it names more
/// accounts than a message can number.
#[must_use]
pub fn size(payer: &Pubkey, instructions: &[Instruction], tables: &[AddressLookupTableAccount]) -> Option<Size> {
    // Neither the figures of the budget nor the blockhash change the size: all are of fixed width.
    assemble(payer, instructions, tables, (0, 0), Hash::default()).map(|message| Size::of(&message))
}

/// Bytes of the transaction of these instructions without lookup tables, signatures and compute budget included.
#[must_use]
pub fn transaction_bytes(payer: &Pubkey, instructions: &[Instruction]) -> usize {
    size(payer, instructions, &[]).map_or(usize::MAX, |size| size.bytes)
}

/// Lamports that the ledger charges for a transaction, whether or not it does its work: for its signatures, and the price
/// (in millionths of a lamport) of the compute units that it asks for, rounded up.
#[must_use]
pub fn fee_lamports(signatures: usize, compute_units: u32, price: u64) -> u64 {
    let priority = (u128::from(compute_units) * u128::from(price)).div_ceil(MICRO_LAMPORTS);
    let signatures = LAMPORTS_PER_SIGNATURE.saturating_mul(signatures as u64);
    signatures.saturating_add(u64::try_from(priority).unwrap_or(u64::MAX))
}

fn account_count(payer: &Pubkey, instructions: &[Instruction]) -> usize {
    let mut keys: BTreeSet<Pubkey> = instructions.iter().flat_map(|i| i.accounts.iter().map(|m| m.pubkey)).collect();
    keys.extend(instructions.iter().map(|i| i.program_id));
    keys.insert(*payer);
    keys.len()
}

/// Splits `count` items, in their order, into as few transactions of one instruction each as fit: `build` makes the
/// instruction of a range of them, at most `most` long.
///
/// It is the fewest, because a part of what fits fits: each transaction takes as many of the next items as it can.
///
/// # Errors
/// One item does not fit alone.
pub fn ranges(
    payer: &Pubkey,
    tables: &[AddressLookupTableAccount],
    limits: &Limits,
    (count, most): (usize, usize),
    build: impl Fn(Range<usize>) -> Instruction,
) -> Result<Vec<Range<usize>>, PackError> {
    let mut ranges = Vec::new();
    let mut start = 0;
    while start < count {
        let measured = |end: usize| size(payer, &[build(start..end)], tables);
        let fits = |end: usize| measured(end).is_some_and(|size| size.fits(limits));
        let longest = count.min(start.saturating_add(most.max(1)));
        if !fits(start + 1) {
            let bytes = measured(start + 1).map_or(usize::MAX, |size| size.bytes);
            return Err(PackError { index: start, bytes, limit: limits.bytes });
        }
        // What ends at `end` fits, and what ends after `too_long` does not; the next one is as long as the last as a rule.
        let (mut end, mut too_long) = (start + 1, longest + 1);
        let mut guess = start.saturating_add(ranges.last().map_or(most, |r: &Range<usize>| r.len()));
        while end + 1 < too_long {
            let tried = guess.clamp(end + 1, too_long - 1);
            if fits(tried) {
                end = tried;
                guess = if guess == tried { end + 1 } else { end + (too_long - end) / 2 };
            } else {
                too_long = tried;
                guess = end + (too_long - end) / 2;
            }
        }
        ranges.push(start..end);
        start = end;
    }
    Ok(ranges)
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
            && size(payer, &current, &[]).is_some_and(|size| size.fits(limits));
        if fits {
            units = units_with;
            continue;
        }
        current.truncate(current.len().saturating_sub(1));
        let alone = size(payer, std::slice::from_ref(&item.instruction), &[]);
        if !alone.is_some_and(|size| size.fits(limits)) {
            let bytes = alone.map_or(usize::MAX, |size| size.bytes);
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
    let window = Window { epoch: 0, start_slot: 0, end_slot: 0, evidence_root: Default::default() };
    let fits = |count: usize| {
        let subject = |n: usize| {
            let mut key = Key::ZERO;
            key.0[..8].copy_from_slice(&(n as u64).to_le_bytes());
            (key, Verdict { verdict: 1, failed: 0 })
        };
        let verdicts: Vec<_> = (0..count).map(subject).collect();
        let attest = [instructions.attest(oracle, window, &verdicts)];
        size(oracle, &attest, &[]).is_some_and(|size| size.fits(&limits))
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
    fn a_fee_is_for_signatures_and_for_the_units_asked_for() {
        for (signatures, units, price, expected) in
            [(1, 200_000, 0, 5_000), (2, 0, 9, 10_000), (1, 200_000, 1_000, 5_200), (1, 1, 1, 5_001)]
        {
            assert_eq!(fee_lamports(signatures, units, price), expected);
        }
        assert_eq!(fee_lamports(1, u32::MAX, u64::MAX), u64::MAX);
    }

    #[test]
    fn one_that_can_never_fit_is_named() {
        let payer = Pubkey::new_from_array([251; 32]);
        let items = [item(0, 1, 10, 1), item(0, 1, 1_300, 1)];
        assert_eq!(pack(&payer, &items, &Limits::default()).unwrap_err().index, 1);
    }

    /// Addresses `0..count` of an instruction that locks them all.
    fn locking(range: Range<usize>) -> Instruction {
        let address = |n: usize| Pubkey::new_from_array([u8::try_from(n).unwrap(); 32]);
        let accounts = range.map(|n| AccountMeta::new(address(n), false)).collect();
        Instruction { program_id: Pubkey::new_from_array([250; 32]), accounts, data: vec![0; 40] }
    }

    #[test]
    fn ranges_cover_everything_once_and_one_more_item_would_not_fit() {
        let payer = Pubkey::new_from_array([251; 32]);
        let limits = Limits::default();
        let table = |range: Range<usize>| AddressLookupTableAccount {
            key: Pubkey::new_from_array([252; 32]),
            addresses: locking(range).accounts.iter().map(|meta| meta.pubkey).collect(),
        };
        // By hand: signature 65, header 3, keys 1 + 3 * 32, blockhash 32, instructions 1 + 8 + 12 + 43, so 261 bytes,
        // and 33 for each address: 29 fit 1 232. With a table accounts are the limit: 64 without payer, program and
        // budget. A table of 20 costs 56 bytes, and each of the 20 costs 2 instead of 33: 20 and 27 others fit.
        let cases = [
            ("no table", vec![], 200, 29),
            ("a table", vec![table(0..200)], 200, 61),
            ("a table and a cap", vec![table(0..200)], 56, 56),
            ("a small table", vec![table(0..20)], 200, 47),
            ("a table of others", vec![table(201..240)], 200, 29),
        ];
        for (name, tables, most, first) in cases {
            let ranges = ranges(&payer, &tables, &limits, (200, most), locking).unwrap();
            assert_eq!(ranges.iter().cloned().flatten().collect::<Vec<_>>(), (0..200).collect::<Vec<_>>(), "{name}");
            assert_eq!(ranges[0].len(), first, "{name}");
            for range in &ranges {
                let size = |end| size(&payer, &[locking(range.start..end)], &tables).unwrap();
                assert!(size(range.end).fits(&limits), "{name}");
                let full = range.len() == most || range.end == 200 || !size(range.end + 1).fits(&limits);
                assert!(full, "{name} {range:?}");
            }
        }
    }

    #[test]
    fn an_item_too_large_for_any_transaction_is_named() {
        let payer = Pubkey::new_from_array([251; 32]);
        let build = |range: Range<usize>| {
            let mut instruction = locking(range.clone());
            instruction.data = vec![0; if range.contains(&2) { 1_300 } else { 10 }];
            instruction
        };
        let error = ranges(&payer, &[], &Limits::default(), (4, 4), build).unwrap_err();
        assert_eq!((error.index, error.limit), (2, MAX_TRANSACTION_BYTES));
    }

    #[test]
    fn more_accounts_than_a_message_can_number_have_no_size() {
        let payer = Pubkey::new_from_array([251; 32]);
        let wide = |first: u8| {
            let accounts = (0..=249).map(|n| AccountMeta::new(Pubkey::new_from_array([n; 32]), false));
            let others = (0..9).map(|n| AccountMeta::new(Pubkey::new_from_array([first + n; 32]), false));
            Instruction { program_id: payer, accounts: accounts.chain(others).collect(), data: vec![] }
        };
        assert_eq!(size(&payer, &[wide(247)], &[]), None, "259 with the budget's own");
        let twisted = Pubkey::new_from_array(std::array::from_fn(|n| n as u8));
        let mut instruction = wide(0);
        instruction.accounts.push(AccountMeta::new(twisted, false));
        assert!(size(&payer, &[instruction], &[]).is_some());
    }

    #[test]
    fn the_largest_batch_of_verdicts_fits_and_one_more_does_not() {
        let build = Instructions::new(Pubkey::new_from_array([9; 32]));
        let oracle = Pubkey::new_from_array([1; 32]);
        let capacity = attest_capacity(&build, &oracle);
        assert!((20..=MAX_ATTEST_BATCH).contains(&capacity), "{capacity}");
    }
}
