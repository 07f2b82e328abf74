//! One fault after the other, each with what has to come of it.

use causeway_interface::{
    AccountType, DeviceStatus, ErrorCode, LinkStatus, NetworkStatus, RegistryStatus,
    accounts::{OFFSET_STATUS, OFFSET_TYPE},
    instruction::{ADVANCE_DEVICE, Tag},
};
use solana_sdk::{
    account::Account,
    instruction::{AccountMeta, Instruction},
    pubkey::Pubkey,
    signature::Signer,
};

use super::{
    case::{Break, Case},
    checks::{Check, Slot},
    expect::Attempt,
    town::{Candidate, Origin, Town},
};

/// Somebody who signs nothing.
const NOBODY: Pubkey = Pubkey::new_from_array([4; 32]);

/// A broken instruction.
pub struct Fault {
    /// What is broken.
    pub what: String,
    /// The instruction.
    pub instruction: Instruction,
    /// An account that is replaced while it runs.
    pub tampered: Option<(Pubkey, Account)>,
    /// What has to come of it.
    pub expected: Result<(), ErrorCode>,
    /// Where it may be no fault: the account and what was done to it.
    pub place: Option<(Slot, Break)>,
    /// What was put in can't be on a ledger.
    pub is_stray: bool,
}

/// Makes the faults of one instruction.
pub struct Faults<'a> {
    /// The declaration.
    pub case: &'a Case,
    /// The world.
    pub town: &'a Town,
    /// The valid instruction.
    pub valid: &'a Instruction,
    /// What can be put in.
    pub candidates: &'a [Candidate],
}

impl Faults<'_> {
    /// All of them.
    pub fn all(&self) -> Vec<Fault> {
        let mut all = self.of_data();
        all.extend(self.counts());
        all.extend(self.signatures());
        all.extend(self.flags());
        all.extend(self.swaps());
        all.extend(self.exchanges());
        all.extend(self.in_place());
        all.extend(self.statuses());
        all.extend(self.poverty());
        all
    }

    /// A fault that is refused whatever the accounts are.
    pub fn refused(&self, what: String, error: ErrorCode, change: impl FnOnce(&mut Instruction)) -> Fault {
        let mut instruction = self.valid.clone();
        change(&mut instruction);
        Fault { what, instruction, tampered: None, expected: Err(error), place: None, is_stray: false }
    }

    /// A fault of one account, judged by the declaration.
    fn judged(
        &self,
        what: String,
        place: (Slot, Break),
        is_stray: bool,
        change: impl FnOnce(&mut [AccountMeta]),
    ) -> Fault {
        let mut instruction = self.valid.clone();
        change(&mut instruction.accounts);
        let slots = self.case.slots();
        let attempt =
            Attempt { town: self.town, slots: &slots, passed: &instruction.accounts, valid: &self.valid.accounts };
        let expected = attempt.outcome(&self.case.checks);
        Fault { what, instruction, tampered: None, expected, place: Some(place), is_stray }
    }

    /// Every smaller number of accounts, and larger ones.
    fn counts(&self) -> Vec<Fault> {
        let full = self.valid.accounts.len();
        (0..full)
            .chain([full + 1, full + 2])
            .map(|count| {
                self.refused(format!("{count} accounts"), self.miscounted(count), |i| {
                    i.accounts.resize(count, AccountMeta::new(self.town.stranger.pubkey(), false));
                })
            })
            .collect()
    }

    fn miscounted(&self, count: usize) -> ErrorCode {
        let fixed = self.case.tag.accounts().len();
        match self.case.tag {
            // From here on it is the batch that is too small or too large.
            Tag::Attest if count >= fixed => ErrorCode::BatchMismatch,
            // As many as a device has: the link is no device.
            Tag::Advance if count == fixed + ADVANCE_DEVICE.len() => ErrorCode::WrongType,
            _ => ErrorCode::AccountCount,
        }
    }

    /// Each signature dropped.
    fn signatures(&self) -> Vec<Fault> {
        self.places()
            .filter(|(place, _)| self.valid.accounts[*place].is_signer)
            .map(|(place, slot)| {
                self.refused(format!("{slot} does not sign"), ErrorCode::MissingSignature, |i| {
                    let key = i.accounts[place].pubkey;
                    i.accounts.iter_mut().filter(|meta| meta.pubkey == key).for_each(|meta| meta.is_signer = false);
                })
            })
            .collect()
    }

    /// Each writable flag cleared, wherever the account is passed.
    fn flags(&self) -> Vec<Fault> {
        self.places()
            .filter(|(place, _)| self.valid.accounts[*place].is_writable)
            .map(|(place, slot)| {
                self.judged(format!("{slot} is read-only"), (slot, Break::ReadOnly), false, |accounts| {
                    let key = accounts[place].pubkey;
                    accounts.iter_mut().filter(|meta| meta.pubkey == key).for_each(|meta| meta.is_writable = false);
                })
            })
            .collect()
    }

    /// Each account swapped for everything else there is, the instruction's other accounts among it.
    fn swaps(&self) -> Vec<Fault> {
        let mut faults = Vec::new();
        let people = self.town.people();
        for (place, slot) in self.places() {
            let meta = &self.valid.accounts[place];
            let signs = meta.is_signer;
            if signs {
                let what = format!("{slot} is somebody who does not sign");
                faults.push(self.refused(what, ErrorCode::MissingSignature, |i| {
                    i.accounts[place] = AccountMeta { pubkey: NOBODY, is_signer: false, ..*meta };
                }));
            }
            for candidate in self.candidates.iter().filter(|c| c.key != meta.pubkey) {
                // Only who has a key signs.
                if signs && !people.iter().any(|(_, key)| *key == candidate.key) {
                    continue;
                }
                let is_stray = candidate.origin == Origin::Stray;
                let what = format!("{slot} is {}", candidate.name);
                faults.push(self.judged(what, (slot, Break::Swapped), is_stray, |accounts| {
                    accounts[place].pubkey = candidate.key;
                }));
            }
        }
        faults
    }

    /// Each two accounts in each other's place. Who signed still signs: what is broken is the order.
    fn exchanges(&self) -> Vec<Fault> {
        let mut faults = Vec::new();
        for (place, slot) in self.places() {
            for (other, name) in self.places().skip(place + 1) {
                let metas = [&self.valid.accounts[place], &self.valid.accounts[other]];
                if metas[0].pubkey == metas[1].pubkey {
                    continue;
                }
                let what = format!("{slot} and {name} are exchanged");
                faults.push(self.judged(what, (slot, Break::Swapped), false, |accounts| {
                    accounts.swap(place, other);
                    accounts[place].is_writable = true;
                    accounts[other].is_writable = true;
                }));
            }
        }
        faults
    }

    /// The right account, but not as this program leaves one: another program's, of an undefined type or version, or
    /// of a length that is none.
    fn in_place(&self) -> Vec<Fault> {
        type Change = fn(&mut Account);
        const CHANGES: [(&str, ErrorCode, Change); 7] = [
            ("another program's", ErrorCode::WrongOwner, |a| a.owner = Pubkey::new_from_array([9; 32])),
            ("of no type", ErrorCode::WrongType, |a| a.data[0] = 0xff),
            ("of no version", ErrorCode::WrongVersion, |a| a.data[1] = 0xff),
            ("a byte too long", ErrorCode::WrongLength, |a| a.data.push(0)),
            ("a byte too short", ErrorCode::WrongLength, |a| a.data.truncate(a.data.len() - 1)),
            ("a byte long", ErrorCode::WrongLength, |a| a.data.truncate(1)),
            ("empty", ErrorCode::WrongLength, |a| a.data.clear()),
        ];
        let bound: Vec<Slot> = self.case.checks.iter().filter_map(Check::binds).collect();
        let mut faults = Vec::new();
        for (place, slot) in self.places().filter(|(_, slot)| bound.contains(slot)) {
            let key = self.valid.accounts[place].pubkey;
            for (how, error, change) in CHANGES {
                let mut account = self.town.world.account(&key).expect("what is bound exists");
                change(&mut account);
                let fault = self.refused(format!("{slot} is {how}"), error, |_| {});
                faults.push(Fault { tampered: Some((key, account)), ..fault });
            }
        }
        faults
    }

    /// The right account in a status that is not for this instruction, or that is none.
    fn statuses(&self) -> Vec<Fault> {
        let mut faults = Vec::new();
        for check in &self.case.checks {
            let Check::Status(slot, allowed, error) = *check else { continue };
            let (place, _) = self.places().find(|(_, name)| *name == slot).expect("the case names its own slots");
            let key = self.valid.accounts[place].pubkey;
            let account = self.town.world.account(&key).expect("what has a status exists");
            let (defined, undefined) = statuses_of(account.data[OFFSET_TYPE]);
            let wrong = defined.into_iter().filter(|byte| !allowed.contains(byte)).map(|byte| (byte, error));
            for (byte, error) in wrong.chain(undefined.map(|byte| (byte, ErrorCode::CorruptAccount))) {
                let mut account = account.clone();
                account.data[OFFSET_STATUS] = byte;
                let fault = self.refused(format!("{slot} in status {byte}"), error, |_| {});
                faults.push(Fault { tampered: Some((key, account)), ..fault });
            }
        }
        faults
    }

    /// Whoever pays has next to nothing.
    fn poverty(&self) -> Vec<Fault> {
        let pays = |slot| self.case.checks.contains(&Check::Pays(slot));
        self.places()
            .filter(|(_, slot)| pays(slot))
            .map(|(place, slot)| {
                let fault = self.refused(format!("{slot} is poor"), ErrorCode::NotRentExempt, |_| {});
                let poor = Account { lamports: 1, ..Account::default() };
                Fault { tampered: Some((self.valid.accounts[place].pubkey, poor)), ..fault }
            })
            .collect()
    }

    fn places(&self) -> impl Iterator<Item = (usize, Slot)> {
        self.case.slots().into_iter().map(|slot| slot.name).enumerate()
    }
}

/// The statuses that an account of this type can have, and the first and the last byte that it can't.
fn statuses_of(account_type: u8) -> (Vec<u8>, [u8; 2]) {
    fn bytes<T: Copy>(all: &[T], byte: fn(T) -> u8) -> Vec<u8> {
        all.iter().map(|status| byte(*status)).collect()
    }
    let defined = match AccountType::from_byte(account_type).expect("the program wrote it") {
        AccountType::Network => bytes(NetworkStatus::ALL, NetworkStatus::byte),
        AccountType::Contributor | AccountType::Location | AccountType::Exchange => {
            bytes(RegistryStatus::ALL, RegistryStatus::byte)
        }
        AccountType::Device => bytes(DeviceStatus::ALL, DeviceStatus::byte),
        AccountType::Link => bytes(LinkStatus::ALL, LinkStatus::byte),
        AccountType::Attestations | AccountType::Pool | AccountType::PrefixTable => panic!("it has no status"),
    };
    let first = (0..=u8::MAX).find(|byte| !defined.contains(byte)).expect("not every byte is a status");
    (defined, [first, u8::MAX])
}
