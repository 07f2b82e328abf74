//! What has to come of accounts that were put in: the first declared check that does not hold.
//!
//! This is the drill's own idea of the checks, made from typed records and the transaction's flags; it shares nothing
//! with the program but the declaration of accounts, enums and error codes.

use std::collections::BTreeMap;

use causeway_interface::{
    AccountType, ErrorCode, Key,
    accounts::{
        Attestations, Contributor, Device, Exchange, Link, Location, Network, OFFSET_KIND, OFFSET_STATUS, OFFSET_TYPE,
        Record,
    },
    instruction::AccountSpec,
};
use causeway_sdk::address::{SYSTEM_PROGRAM, to_key};
use solana_sdk::{
    account::{AccountSharedData, ReadableAccount},
    instruction::AccountMeta,
    pubkey::Pubkey,
    signature::Signer,
};

use super::{
    checks::{Check, Named, Slot, Who},
    town::Town,
};

/// An instruction's accounts as they are about to be passed.
pub struct Attempt<'a> {
    /// The world.
    pub town: &'a Town,
    /// The roles.
    pub slots: &'a [AccountSpec],
    /// What is passed.
    pub passed: &'a [AccountMeta],
    /// What the valid instruction passes.
    pub valid: &'a [AccountMeta],
}

/// How an account is held while the instruction runs.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Hold {
    Read,
    Write,
}

type Held = BTreeMap<Pubkey, Hold>;

impl Attempt<'_> {
    /// The error of the first check that does not hold.
    ///
    /// # Errors
    /// That error.
    pub fn outcome(&self, checks: &[Check]) -> Result<(), ErrorCode> {
        let mut held = Held::new();
        checks.iter().try_for_each(|check| self.holds(check, &mut held))
    }

    fn holds(&self, check: &Check, held: &mut Held) -> Result<(), ErrorCode> {
        match *check {
            Check::Signs(slot) => ensure(self.signs(slot), ErrorCode::MissingSignature),
            Check::Pays(slot) => {
                ensure(self.signs(slot), ErrorCode::MissingSignature)?;
                ensure(self.is_writable(slot), ErrorCode::NotWritable)
            }
            Check::Vacant(slot) | Check::Takes(slot) => ensure(self.is_writable(slot), ErrorCode::NotWritable),
            Check::System(slot) => ensure(self.key(slot) == SYSTEM_PROGRAM, ErrorCode::WrongProgram),
            Check::Reads(slot, kind) => self.bind(slot, Hold::Read, &[kind], held),
            Check::ReadsUnless(slot, other, _) if self.key(slot) == self.key(other) => Ok(()),
            Check::ReadsUnless(slot, _, kind) => self.bind(slot, Hold::Read, &[kind], held),
            Check::Changes(slot, kind) => self.bind(slot, Hold::Write, &[kind], held),
            Check::Visits(slot, kind) => self.bind(slot, Hold::Write, &[kind], &mut held.clone()),
            Check::Pool(slot, kind) => {
                self.bind(slot, Hold::Write, &[AccountType::Pool], held)?;
                ensure(self.byte(slot, OFFSET_KIND) == kind.byte(), ErrorCode::PoolKindMismatch)
            }
            Check::Registry(slot) => {
                let kinds = [AccountType::Contributor, AccountType::Location, AccountType::Exchange];
                self.bind(slot, Hold::Write, &kinds, held)
            }
            Check::Apart(one, other, error) => ensure(self.key(one) != self.key(other), error),
            Check::Same(one, other, error) => ensure(self.key(one) == self.key(other), error),
            Check::Names(slot, named, other, error) => {
                ensure(self.named(slot, named) == to_key(&self.key(other)), error)
            }
            Check::Side(link, contributor) => {
                let sides = [self.named(link, Named::ContributorA), self.named(link, Named::ContributorZ)];
                ensure(sides.contains(&to_key(&self.key(contributor))), ErrorCode::AccountMismatch)
            }
            Check::Placed(slot) => {
                ensure(self.key(slot) == self.valid[self.place(slot)].pubkey, ErrorCode::WrongAddress)
            }
            // Valid data asks for any sequence; the faults of the sequence itself are the data's.
            Check::Sequence(_) => Ok(()),
            Check::Status(slot, allowed, error) => ensure(allowed.contains(&self.byte(slot, OFFSET_STATUS)), error),
            Check::Idle(slot, error) => ensure(self.dependents(slot) == 0, error),
            Check::May(slot, who, error) => ensure(who.iter().any(|who| self.is(slot, *who)), error),
        }
    }

    /// Owner, flag, other views of the same account, type: in this order.
    fn bind(&self, slot: Slot, hold: Hold, kinds: &[AccountType], held: &mut Held) -> Result<(), ErrorCode> {
        let key = self.key(slot);
        let program = self.town.world.ix.addresses().program_id;
        ensure(self.account(slot).is_some_and(|account| *account.owner() == program), ErrorCode::WrongOwner)?;
        ensure(hold == Hold::Read || self.is_writable(slot), ErrorCode::NotWritable)?;
        let alone = held.get(&key).is_none_or(|other| *other == Hold::Read && hold == Hold::Read);
        ensure(alone, ErrorCode::DuplicateAccount)?;
        held.insert(key, hold);
        let right = kinds.iter().any(|kind| kind.byte() == self.byte(slot, OFFSET_TYPE));
        ensure(right, ErrorCode::WrongType)
    }

    fn place(&self, slot: Slot) -> usize {
        self.slots.iter().position(|s| s.name == slot).unwrap_or_else(|| panic!("no account is the {slot}"))
    }

    fn key(&self, slot: Slot) -> Pubkey {
        self.passed[self.place(slot)].pubkey
    }

    /// A key signs or is writable for the whole transaction, wherever it was passed as that.
    fn signs(&self, slot: Slot) -> bool {
        let key = self.key(slot);
        self.passed.iter().any(|meta| meta.pubkey == key && meta.is_signer)
    }

    fn is_writable(&self, slot: Slot) -> bool {
        let key = self.key(slot);
        // The runtime lets nobody write to its own programs.
        key != SYSTEM_PROGRAM && self.passed.iter().any(|meta| meta.pubkey == key && meta.is_writable)
    }

    fn account(&self, slot: Slot) -> Option<&AccountSharedData> {
        self.town.world.svm.accounts_db().get_account_ref(&self.key(slot))
    }

    fn data(&self, slot: Slot) -> &[u8] {
        self.account(slot).map_or(&[], |account| account.data())
    }

    fn byte(&self, slot: Slot, offset: usize) -> u8 {
        self.data(slot)[offset]
    }

    fn read<T: Record>(&self, slot: Slot) -> T {
        T::decode(self.data(slot)).unwrap_or_else(|error| panic!("{slot}: {error}"))
    }

    fn named(&self, slot: Slot, named: Named) -> Key {
        match named {
            Named::Contributor => self.read::<Device>(slot).contributor,
            Named::Location => self.read::<Device>(slot).location,
            Named::Exchange => self.read::<Device>(slot).exchange,
            Named::DeviceA => self.read::<Link>(slot).device_a,
            Named::DeviceZ => self.read::<Link>(slot).device_z,
            Named::ContributorA => self.read::<Link>(slot).contributor_a,
            Named::ContributorZ => self.read::<Link>(slot).contributor_z,
            Named::Subject => self.read::<Attestations>(slot).subject,
            Named::Owner => self.read::<Contributor>(slot).owner,
        }
    }

    fn dependents(&self, slot: Slot) -> u32 {
        match AccountType::from_byte(self.byte(slot, OFFSET_TYPE)).expect("it was bound") {
            AccountType::Contributor => {
                let contributor = self.read::<Contributor>(slot);
                contributor.device_count + contributor.link_count
            }
            AccountType::Location => self.read::<Location>(slot).device_count,
            AccountType::Exchange => self.read::<Exchange>(slot).device_count,
            AccountType::Device => self.read::<Device>(slot).link_count,
            AccountType::Network
            | AccountType::Link
            | AccountType::Attestations
            | AccountType::Pool
            | AccountType::PrefixTable => panic!("nothing counts what depends on the {slot}"),
        }
    }

    fn is(&self, slot: Slot, who: Who) -> bool {
        let signer = to_key(&self.key(slot));
        let network = || self.read::<Network>("network");
        signer
            == match who {
                Who::Authority => network().authority,
                Who::PendingAuthority => network().pending_authority,
                Who::Oracle => return network().oracles.contains(&signer),
                Who::UpgradeAuthority => to_key(&self.town.world.upgrade_authority.pubkey()),
                Who::Owner(contributor) => self.read::<Contributor>(contributor).owner,
                Who::Operations(contributor) => self.read::<Contributor>(contributor).operations_key,
            }
    }
}

fn ensure(holds: bool, error: ErrorCode) -> Result<(), ErrorCode> {
    if holds { Ok(()) } else { Err(error) }
}
