//! Runs cases: proves each valid, breaks it, and says where the program did not do what the declaration says.

use std::collections::{BTreeSet, HashMap};

use causeway_interface::{ErrorCode, instruction::Tag};
use solana_sdk::{
    account::{Account, AccountSharedData},
    instruction::{Instruction, InstructionError},
    message::Message,
    pubkey::Pubkey,
    transaction::{Transaction, TransactionError},
};

use super::{
    case::{Break, Case},
    checks::Slot,
    data::{self, with_sequence},
    expect::Attempt,
    faults::{Fault, Faults},
    town::{Candidate, Origin, Town},
};

/// Who pays every fee, and has no other part.
const PAYER: Pubkey = Pubkey::new_from_array([3; 32]);
/// Enough for the fees of all faults of a case.
const FEES: u64 = 1_000_000_000_000;

/// What a run has seen.
#[derive(Debug, Default)]
pub struct Report {
    /// Faults that were refused as declared.
    pub refused: usize,
    /// Where the program did something else than declared.
    pub findings: Vec<String>,
}

/// Runs the cases one after the other.
pub fn run(cases: &[Case]) -> Report {
    let mut report = Report::default();
    for case in cases {
        let mut drill = Drill::new(case);
        drill.control();
        drill.break_everything();
        drill.again();
        report.refused += drill.refused;
        report.findings.extend(drill.findings.into_iter().map(|what| format!("{} ({}): {what}", case.tag, case.name)));
    }
    report
}

struct Drill<'c> {
    case: &'c Case,
    town: Town,
    valid: Instruction,
    candidates: Vec<Candidate>,
    before: HashMap<Pubkey, AccountSharedData>,
    landed: BTreeSet<(Slot, Break)>,
    refused: usize,
    findings: Vec<String>,
}

impl<'c> Drill<'c> {
    fn new(case: &'c Case) -> Self {
        let mut town = (case.town)();
        let valid = (case.instruction)(&mut town);
        // Who signs is what the message says; the signatures themselves are the runtime's to check, not the program's.
        town.world.svm = std::mem::take(&mut town.world.svm).with_sigverify(false).with_transaction_history(0);
        let funds = Account { lamports: FEES, ..Account::default() };
        town.world.svm.set_account(PAYER, funds).expect("somebody who pays the fees");
        let mut candidates = town.candidates();
        for (slot, meta) in case.slots().iter().zip(&valid.accounts) {
            if candidates.iter().all(|candidate| candidate.key != meta.pubkey) {
                candidates.push(Candidate { name: slot.name.into(), key: meta.pubkey, origin: Origin::Real });
            }
        }
        let before = town.world.svm.accounts_db().inner.clone().into_iter().collect();
        let (landed, findings) = (BTreeSet::new(), Vec::new());
        Self { case, town, valid, candidates, before, landed, refused: 0, findings }
    }

    fn faults(&self) -> Faults<'_> {
        Faults { case: self.case, town: &self.town, valid: &self.valid, candidates: &self.candidates }
    }

    /// The instruction is what its tag declares, its case says that it is valid, and it is.
    fn control(&mut self) {
        let slots = self.case.slots();
        let passed = &self.valid.accounts;
        let flags = |signer: bool, writable: bool| (signer, writable);
        let declared: Vec<_> = slots.iter().map(|s| flags(s.signer, s.writable)).collect();
        let found: Vec<_> = passed.iter().map(|m| flags(m.is_signer, m.is_writable)).collect();
        assert_eq!(found, declared, "{} ({}): accounts", self.case.tag, self.case.name);
        let attempt = Attempt { town: &self.town, slots: &slots, passed, valid: passed };
        assert_eq!(attempt.outcome(&self.case.checks), Ok(()), "{} ({})", self.case.tag, self.case.name);
        let sequence = self.faults().sequence_now();
        assert_eq!(data::has_sequence(self.case.tag), sequence.is_some(), "{}: whose sequence?", self.case.tag);
        self.lands("the valid instruction", &self.valid.clone());
        if let Some(now) = sequence {
            let mut exact = self.valid.clone();
            with_sequence(&mut exact, now);
            self.lands("the valid instruction with its sequence", &exact);
        }
    }

    fn break_everything(&mut self) {
        for fault in self.faults().all() {
            match fault.expected {
                Err(error) => self.is_refused(&fault, error),
                Ok(()) if fault.is_stray => {}
                Ok(()) => self.is_declared(&fault),
            }
        }
        for lands in self.case.lands.iter().filter(|lands| !self.landed.contains(&(lands.slot, lands.what))) {
            self.findings.push(format!("declared to land, and never met: {lands:?}"));
        }
        let mut after: HashMap<Pubkey, AccountSharedData> =
            self.town.world.svm.accounts_db().inner.clone().into_iter().collect();
        after.insert(PAYER, self.before[&PAYER].clone());
        if after != self.before {
            self.findings.push("something changed while everything was refused".into());
        }
    }

    /// What has landed does not land again.
    fn again(&mut self) {
        let expected = match self.case.tag {
            Tag::InitNetwork
            | Tag::CreateContributor
            | Tag::CreateLocation
            | Tag::CreateExchange
            | Tag::CreateDevice
            | Tag::CreateLink => ErrorCode::AlreadyInitialized,
            Tag::CloseRegistry | Tag::CloseDevice | Tag::CloseLink => ErrorCode::WrongOwner,
            // Longer still, and the same word once more: both are meant to be possible.
            Tag::ExtendPrefixTable | Tag::ExtendAttestations | Tag::Attest => return,
            tag => {
                assert!(data::has_sequence(tag), "{tag}: what stops it from landing twice?");
                ErrorCode::StaleSequence
            }
        };
        let mut instruction = self.valid.clone();
        if let Some(now) = self.faults().sequence_now() {
            with_sequence(&mut instruction, now);
        }
        if let Err(error) = self.town.world.svm.send_transaction(self.transaction(&instruction)) {
            self.findings.push(format!("it does not land: {:?}", error.err));
        }
        self.before = self.town.world.svm.accounts_db().inner.clone().into_iter().collect();
        let what = "once more".into();
        let fault = Fault { what, instruction, tampered: None, expected: Err(expected), place: None, is_stray: false };
        self.is_refused(&fault, expected);
    }

    fn transaction(&self, instruction: &Instruction) -> Transaction {
        let blockhash = self.town.world.svm.latest_blockhash();
        let instructions = std::slice::from_ref(instruction);
        Transaction::new_unsigned(Message::new_with_blockhash(instructions, Some(&PAYER), &blockhash))
    }

    fn is_refused(&mut self, fault: &Fault, expected: ErrorCode) {
        let original = fault.tampered.clone().map(|(key, account)| (key, self.replace(key, account)));
        let transaction = self.transaction(&fault.instruction);
        let wanted = TransactionError::InstructionError(0, InstructionError::Custom(expected.code()));
        let passed = || self.valid.accounts.iter().chain(&fault.instruction.accounts).map(|meta| meta.pubkey);
        match self.town.world.svm.send_transaction(transaction) {
            Err(failed) => {
                let accounts = self.town.world.svm.accounts_db();
                if passed().any(|key| accounts.get_account_ref(&key) != self.before.get(&key)) {
                    self.findings.push(format!("{}: refused, and an account has changed", fault.what));
                } else if failed.err == wanted {
                    self.refused += 1;
                } else {
                    self.findings.push(format!("{}: {}, not {}", fault.what, told(&failed.err), expected.name()));
                }
            }
            Ok(_) => {
                // The next fault is to find everything as this one did.
                for key in passed() {
                    let account = self.before.get(&key).cloned().unwrap_or_default();
                    self.town.world.svm.set_account(key, account.into()).expect("the account is as it was");
                }
                self.findings.push(format!("{}: it landed, not {}", fault.what, expected.name()));
            }
        }
        if let Some((key, original)) = original {
            self.replace(key, original);
        }
    }

    /// Puts another account in place of one, which it returns.
    fn replace(&mut self, key: Pubkey, account: Account) -> Account {
        self.town.world.svm.set_account(key, account.clone()).expect("the account is replaced");
        let replaced = self.before.insert(key, AccountSharedData::from(account));
        Account::from(replaced.expect("only what exists is replaced"))
    }

    fn is_declared(&mut self, fault: &Fault) {
        let place = fault.place.expect("only accounts are judged");
        if !self.case.lands.iter().any(|lands| (lands.slot, lands.what) == place) {
            self.findings.push(format!("{}: nothing forbids it, and nothing says that it is right", fault.what));
            return;
        }
        self.landed.insert(place);
        self.lands(&fault.what, &fault.instruction);
    }

    fn lands(&mut self, what: &str, instruction: &Instruction) {
        if let Err(failed) = self.town.world.svm.simulate_transaction(self.transaction(instruction)) {
            self.findings.push(format!("{what}: {}, though it should land", told(&failed.err)));
        }
    }
}

/// The program's error by name, any other as the runtime has it.
fn told(error: &TransactionError) -> String {
    match error {
        TransactionError::InstructionError(_, InstructionError::Custom(code)) => {
            ErrorCode::from_code(*code).map_or_else(|| format!("custom error {code}"), |code| code.name().into())
        }
        other => format!("{other:?}"),
    }
}
