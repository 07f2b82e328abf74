//! Every valid instruction broken in one place at a time.
//!
//! While a drill is on, each instruction that a [`World`] sends is first simulated with one fault after the other: a
//! signature dropped, a writable flag dropped, an account replaced by a foreign copy or a neighbour, data cut or
//! lengthened, a stale sequence. The program has to refuse each by an error of its own. Only then is the valid one
//! sent.

use std::{cell::RefCell, collections::BTreeSet};

use causeway_interface::{ErrorCode, instruction::Tag};
use causeway_sdk::address::SYSTEM_PROGRAM;
use solana_sdk::{
    account::Account,
    instruction::{AccountMeta, Instruction, InstructionError},
    pubkey::Pubkey,
    signature::{Keypair, Signer},
    transaction::{Transaction, TransactionError},
};

use crate::World;

/// What a drill has seen.
#[derive(Debug, Default)]
pub struct Report {
    /// Instructions that were broken.
    pub tags: BTreeSet<Tag>,
    /// Faults that were tried.
    pub faults: usize,
    /// Faults that the program did not refuse, or not by the right error.
    pub findings: Vec<String>,
}

thread_local! {
    static DRILL: RefCell<Option<Report>> = const { RefCell::new(None) };
}

/// Runs `scenario` with a drill on every world in it.
pub fn drill(scenario: impl FnOnce()) -> Report {
    DRILL.with_borrow_mut(|drill| *drill = Some(Report::default()));
    scenario();
    DRILL.with_borrow_mut(Option::take).unwrap_or_default()
}

/// A fault, and the errors that are right for it; none named means any of the program's.
struct Fault {
    what: String,
    instruction: Instruction,
    expected: Vec<ErrorCode>,
}

/// Breaks the instructions of a transaction that is about to be sent, where a drill is on.
pub(crate) fn attend(world: &mut World, instructions: &[Instruction], signers: &[&Keypair]) {
    if DRILL.with_borrow(Option::is_none) {
        return;
    }
    for instruction in instructions {
        let Some(tag) = instruction.data.first().copied().and_then(Tag::from_byte) else { continue };
        for fault in faults(world, tag, instruction) {
            let found = try_fault(world, &fault.instruction, signers);
            let right = match found {
                Ok(code) => fault.expected.is_empty() || fault.expected.contains(&code),
                Err(_) => false,
            };
            DRILL.with_borrow_mut(|drill| {
                if let Some(report) = drill {
                    report.tags.insert(tag);
                    report.faults += 1;
                    if !right {
                        report.findings.push(format!("{tag}: {}: {found:?}, not {:?}", fault.what, fault.expected));
                    }
                }
            });
        }
    }
}

fn try_fault(world: &mut World, instruction: &Instruction, signers: &[&Keypair]) -> Result<ErrorCode, String> {
    let payer = Keypair::new_from_array([3; 32]);
    let funds = Account { lamports: 1_000_000_000, ..Account::default() };
    world.svm.set_account(payer.pubkey(), funds).expect("somebody who pays the fee");
    let needed: Vec<&Keypair> = core::iter::once(&payer)
        .chain(
            signers
                .iter()
                .copied()
                .filter(|s| instruction.accounts.iter().any(|meta| meta.is_signer && meta.pubkey == s.pubkey())),
        )
        .collect();
    let blockhash = world.svm.latest_blockhash();
    let transaction = Transaction::new_signed_with_payer(
        std::slice::from_ref(instruction),
        Some(&payer.pubkey()),
        &needed,
        blockhash,
    );
    match world.svm.simulate_transaction(transaction) {
        Ok(_) => Err("it would land".into()),
        Err(failed) => match failed.err {
            TransactionError::InstructionError(_, InstructionError::Custom(code)) => {
                ErrorCode::from_code(code).ok_or_else(|| format!("custom error {code}"))
            }
            other => Err(format!("{other:?}")),
        },
    }
}

fn faults(world: &mut World, tag: Tag, valid: &Instruction) -> Vec<Fault> {
    let mut faults = Vec::new();
    let mut add = |what: String, expected: &[ErrorCode], change: &dyn Fn(&mut Instruction)| {
        let mut instruction = valid.clone();
        change(&mut instruction);
        faults.push(Fault { what, instruction, expected: expected.to_vec() });
    };
    add("no data".into(), &[ErrorCode::UnknownInstruction], &|i| i.data.clear());
    add("data cut".into(), &[ErrorCode::InstructionData], &|i| i.data.truncate(i.data.len() - 1));
    add("data too long".into(), &[ErrorCode::InstructionData], &|i| i.data.push(0));
    let count = [ErrorCode::AccountCount, ErrorCode::BatchMismatch];
    add("an account too few".into(), &count, &|i| i.accounts.truncate(i.accounts.len() - 1));
    add("an account too many".into(), &count, &|i| i.accounts.push(AccountMeta::new(Pubkey::new_unique(), false)));
    if has_sequence(tag) {
        add("a stale sequence".into(), &[ErrorCode::StaleSequence], &|i| {
            i.data[1..9].copy_from_slice(&u64::MAX.to_le_bytes());
        });
    }
    for (index, meta) in valid.accounts.iter().enumerate() {
        let alone = valid.accounts.iter().filter(|m| m.pubkey == meta.pubkey).count() == 1;
        if meta.is_signer && alone {
            add(format!("account {index} not signing"), &[ErrorCode::MissingSignature], &|i| {
                i.accounts[index].is_signer = false;
            });
        }
        if meta.is_writable && alone && !is_idle(tag, index) {
            add(format!("account {index} read-only"), &[ErrorCode::NotWritable], &|i| {
                i.accounts[index].is_writable = false;
            });
        }
        if !meta.is_signer && !takes_anyone(tag, index) {
            let foreign = foreign_copy(world, &meta.pubkey);
            add(format!("account {index} foreign"), &[], &|i| i.accounts[index].pubkey = foreign);
        }
        let next = valid
            .accounts
            .get(index + 1)
            .filter(|next| next.pubkey != meta.pubkey && !takes_anyone(tag, index) && !takes_anyone(tag, index + 1));
        // The devices of a WAN link are one party's, and it may name either one first.
        let either_way = tag == Tag::CreateLink && index == 4 && valid.accounts[2].pubkey == valid.accounts[3].pubkey;
        if next.is_some() && !either_way && !(tag == Tag::Attest && index >= 2) {
            add(format!("accounts {index} and {} swapped", index + 1), &[], &|i| {
                let (a, b) = (i.accounts[index].pubkey, i.accounts[index + 1].pubkey);
                i.accounts[index].pubkey = b;
                i.accounts[index + 1].pubkey = a;
                // Whoever signed still signs: what is broken is the order.
                let signs = |key: Pubkey| valid.accounts.iter().any(|m| m.pubkey == key && m.is_signer);
                for place in [index, index + 1] {
                    i.accounts[place].is_signer = signs(i.accounts[place].pubkey);
                    i.accounts[place].is_writable = true;
                }
            });
        }
    }
    faults
}

/// A copy of an account at another address, under another program; a stranger's empty account where there is none.
fn foreign_copy(world: &mut World, original: &Pubkey) -> Pubkey {
    let address = Pubkey::new_unique();
    if let Some(account) = world.account(original).filter(|account| account.owner != SYSTEM_PROGRAM) {
        let owner = Pubkey::new_from_array([9; 32]);
        world.svm.set_account(address, Account { owner, executable: false, ..account }).expect("a copy");
    }
    address
}

/// Whether an instruction's data begins with the expected sequence.
fn has_sequence(tag: Tag) -> bool {
    match tag {
        Tag::InitNetwork
        | Tag::ExtendPrefixTable
        | Tag::CreateContributor
        | Tag::CreateLocation
        | Tag::CreateExchange
        | Tag::CreateDevice
        | Tag::CreateLink
        | Tag::Attest
        | Tag::ExtendAttestations => false,
        Tag::UpdateNetwork
        | Tag::SetPaused
        | Tag::SetOracleSet
        | Tag::ProposeAuthority
        | Tag::AcceptAuthority
        | Tag::UpdateContributor
        | Tag::SetRegistryStatus
        | Tag::CloseRegistry
        | Tag::UpdateLocation
        | Tag::UpdateExchange
        | Tag::UpdateDevice
        | Tag::ProvisionDevice
        | Tag::SetDeviceDesired
        | Tag::SuspendDevice
        | Tag::ResumeDevice
        | Tag::RejectDevice
        | Tag::DeleteDevice
        | Tag::CloseDevice
        | Tag::AddInterface
        | Tag::UpdateInterface
        | Tag::RemoveInterface
        | Tag::AcceptLink
        | Tag::RejectLink
        | Tag::ProvisionLink
        | Tag::UpdateLink
        | Tag::SetLinkDesired
        | Tag::SuspendLink
        | Tag::ResumeLink
        | Tag::DeleteLink
        | Tag::CloseLink
        | Tag::Advance => true,
    }
}

/// Accounts that are writable in the table because some cases change them, and that the drilled case leaves alone.
fn is_idle(tag: Tag, index: usize) -> bool {
    matches!((tag, index), (Tag::CreateLink, 3) | (Tag::SuspendLink, 3 | 4))
}

/// Accounts that may be anyone's: the recipient of a closed registry account's rent.
fn takes_anyone(tag: Tag, index: usize) -> bool {
    matches!((tag, index), (Tag::CloseRegistry, 3))
}
