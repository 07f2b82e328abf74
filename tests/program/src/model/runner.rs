//! Program and model side by side, one command after the other.

use std::collections::{BTreeMap, BTreeSet};

use causeway_interface::{
    DeviceStatus, DeviceType, ErrorCode, LinkStatus, LinkType, accounts::RawHeader, instruction::Tag,
};
use causeway_sdk::{address::to_key, instructions::tag_of};
use solana_sdk::{account::Account, instruction::Instruction, pubkey::Pubkey, signature::Signer};

use super::{
    atlas::{ACTORS, Place, UPGRADER, atlas},
    command::{Command, Subject, What},
    compare::{self, differences},
    instruct::instruction,
    invariants::{Ledger, Past, check_move},
    rules::rank_of,
    state::{Flaw, Model},
};
use crate::{World, world::Failure};

/// What a signature costs, in lamports.
const FEE: u64 = 5_000;
/// Lamports that everybody begins with.
const FUNDS: u64 = 1_000_000_000_000;
/// Commands between two looks at the whole ledger.
const COMPLETE: usize = 40;

/// What sequences have reached.
#[derive(Debug, Default)]
pub struct Reached {
    /// Instructions that the program ran.
    pub instructions: usize,
    /// Refusals that were predicted to the one code.
    pub exact: usize,
    pub accepted: BTreeMap<Tag, usize>,
    pub refused: BTreeMap<Tag, usize>,
    pub codes: BTreeMap<ErrorCode, usize>,
    pub devices: BTreeMap<DeviceStatus, usize>,
    pub links: BTreeMap<LinkStatus, usize>,
    /// Devices that went into service, by type.
    pub served_devices: BTreeMap<DeviceType, usize>,
    /// Links that went into service, by type.
    pub served_links: BTreeMap<LinkType, usize>,
    /// Looks at the whole ledger.
    pub complete: usize,
}

impl Reached {
    /// Adds what another sequence has reached.
    pub fn add(&mut self, other: Reached) {
        fn sum<K: Ord>(into: &mut BTreeMap<K, usize>, from: BTreeMap<K, usize>) {
            for (key, count) in from {
                *into.entry(key).or_default() += count;
            }
        }
        self.instructions += other.instructions;
        self.exact += other.exact;
        self.complete += other.complete;
        sum(&mut self.accepted, other.accepted);
        sum(&mut self.refused, other.refused);
        sum(&mut self.codes, other.codes);
        sum(&mut self.devices, other.devices);
        sum(&mut self.links, other.links);
        sum(&mut self.served_devices, other.served_devices);
        sum(&mut self.served_links, other.served_links);
    }
}

/// One sequence under way.
pub struct Runner {
    world: World,
    pub model: Model,
    /// Every account as it was last seen; one that does not exist has no lamports.
    seen: BTreeMap<Pubkey, Account>,
    past: Past,
    /// Lamports that there should be in all.
    lamports: u64,
    steps: usize,
    pub reached: Reached,
}

impl Runner {
    /// A program that was just deployed, by the known key, and everybody with funds.
    pub fn new(flaw: Option<Flaw>) -> Self {
        let mut world = World::bare();
        let program_data = world.ix.addresses().program_data();
        let upgrader = atlas().pubkey(UPGRADER);
        let before = world.upgrade_authority.pubkey();
        world.tamper(&program_data, |account| {
            let key = account.data.windows(32).position(|bytes| bytes == before.as_ref()).expect("an authority");
            account.data[key..key + 32].copy_from_slice(upgrader.as_ref());
        });
        let mut seen = BTreeMap::new();
        for actor in 0..ACTORS {
            let funds = Account { lamports: FUNDS, ..Account::default() };
            let key = atlas().pubkey(actor);
            world.svm.set_account(key, funds.clone()).expect("funds");
            seen.insert(key, funds);
        }
        let model = Model { slot: world.slot, flaw, ..Model::default() };
        let lamports = FUNDS * u64::from(ACTORS);
        Self { world, model, seen, past: Past::default(), lamports, steps: 0, reached: Reached::default() }
    }

    /// Has the program and the model do a command, and compares what has become of both. Says whether it was accepted.
    ///
    /// # Errors
    /// They differ, or something that has to hold does not.
    pub fn step(&mut self, command: &Command) -> Result<bool, String> {
        self.steps += 1;
        let Some(instruction) = instruction(&self.world.ix, command) else {
            let slot = self.model.slot;
            let _ = self.model.step(command);
            self.world.warp(self.model.slot - slot);
            return Ok(true);
        };
        let tag = tag_of(&instruction).expect("an instruction of the program");
        let predicted = self.model.step(command);
        let done = self.world.by(atlas().key(command.by), instruction.clone());
        self.reached.instructions += 1;
        let accepted = match (predicted, done) {
            (Ok(()), Ok(_)) => true,
            (Err(right), Err(failure)) => {
                let code = code_of(&failure)?;
                if !right.contains(&code) {
                    return Err(format!("refused with {}, the model knows {right:?}", code.name()));
                }
                *self.reached.codes.entry(code).or_default() += 1;
                self.reached.exact += usize::from(right.len() == 1);
                false
            }
            (Ok(()), Err(failure)) => return Err(format!("the model accepts, the program says {failure:?}")),
            (Err(right), Ok(_)) => return Err(format!("the program accepts, the model knows {right:?}")),
        };
        let count = if accepted { &mut self.reached.accepted } else { &mut self.reached.refused };
        *count.entry(tag).or_default() += 1;
        self.check_touched(command, &instruction, accepted)?;
        if self.steps.is_multiple_of(COMPLETE) {
            self.check_all()?;
        }
        Ok(accepted)
    }

    /// What an instruction has done to the accounts that it could write to, and to nothing else by the runtime's rule.
    fn check_touched(&mut self, command: &Command, instruction: &Instruction, accepted: bool) -> Result<(), String> {
        let atlas = atlas();
        let payer = atlas.pubkey(command.by);
        let written = instruction.accounts.iter().filter(|meta| meta.is_writable).map(|meta| meta.pubkey);
        let touched: BTreeSet<_> = written.chain([payer]).collect();
        let mut before = BTreeMap::new();
        for address in &touched {
            let now = self.world.account(address).unwrap_or_default();
            before.insert(*address, self.seen.insert(*address, now).unwrap_or_default());
        }
        let sum = |accounts: &mut dyn Iterator<Item = &Account>| accounts.map(|a| a.lamports).sum::<u64>();
        let (had, have) = (sum(&mut before.values()), sum(&mut touched.iter().map(|address| &self.seen[address])));
        if had != have + FEE {
            return Err(format!("there were {had} lamports, there are {have}, and the fee is {FEE}"));
        }
        self.lamports -= FEE;
        if let (What::Attest { verdicts, .. }, true) = (&command.what, accepted) {
            let network = compare::read(&self.seen[&atlas.address(Place::Network)].data);
            for (subject, verdict) in verdicts {
                let rank = rank_of(*subject, *verdict).ok_or("a verdict that no oracle can give has landed")?;
                self.past.note(*subject, to_key(&payer), self.model.slot, rank, &network);
            }
        }
        for address in &touched {
            let (before, after) = (&before[address], &self.seen[address].clone());
            if !accepted {
                let paid = if *address == payer { FEE } else { 0 };
                if before.data != after.data || before.lamports != after.lamports + paid {
                    return Err(format!(
                        "{address}, {:?}, is not what it was before the refusal",
                        atlas.place(address)
                    ));
                }
            } else if let Some(place) = atlas.place(address) {
                self.check_changed(place, before, after)?;
                // The owner of the program's accounts, and rent exemption, are as much theirs as their data.
                let rent = self.world.svm.minimum_balance_for_rent_exemption(after.data.len());
                let own = after.owner == self.world.ix.addresses().program_id && after.lamports >= rent;
                if after.lamports > 0 && !own {
                    return Err(format!("{place:?} belongs to {} and holds {} lamports", after.owner, after.lamports));
                }
            }
        }
        Ok(())
    }

    fn check_changed(&mut self, place: Place, before: &Account, after: &Account) -> Result<(), String> {
        let found = differences(&self.model, place, data(after));
        if !found.is_empty() {
            return Err(found.join("\n"));
        }
        if let (Place::Subject(subject), None) = (place, data(after)) {
            self.past.forget(subject);
        }
        let (Some(old), Some(new)) = (data(before), data(after)) else { return Ok(()) };
        if old != new && sequence(old) >= sequence(new) {
            return Err(format!(
                "{place:?} has changed and its sequence went from {} to {}",
                sequence(old),
                sequence(new)
            ));
        }
        if let Place::Subject(subject) = place
            && old[STATUS] != new[STATUS]
        {
            self.note_status(subject);
            let network = compare::read(&self.seen[&atlas().address(Place::Network)].data);
            if let Some(found) = check_move(subject, old, new, &network, &mut self.past, self.model.slot) {
                return Err(found);
            }
        }
        Ok(())
    }

    fn note_status(&mut self, subject: Subject) {
        match subject {
            Subject::Device(id) => {
                if let Some(device) = self.model.devices.get(&id) {
                    *self.reached.devices.entry(device.status).or_default() += 1;
                    if device.status == DeviceStatus::Activated {
                        *self.reached.served_devices.entry(device.device_type).or_default() += 1;
                    }
                }
            }
            Subject::Link(id) => {
                if let Some(link) = self.model.links.get(&id) {
                    *self.reached.links.entry(link.status).or_default() += 1;
                    if link.status == LinkStatus::Activated {
                        *self.reached.served_links.entry(link.link_type).or_default() += 1;
                    }
                }
            }
        }
    }

    /// The whole ledger: beside the model, by itself, and down to the last lamport.
    ///
    /// # Errors
    /// As [`Self::step`].
    pub fn check_all(&mut self) -> Result<(), String> {
        self.reached.complete += 1;
        let mut found = Vec::new();
        let mut lamports = 0;
        let actors = (0..ACTORS).map(|actor| (None, atlas().pubkey(actor)));
        let places = atlas().everywhere().map(|(place, address)| (Some(place), address));
        for (place, address) in actors.chain(places) {
            let now = self.world.account(&address).unwrap_or_default();
            lamports += now.lamports;
            let seen = self.seen.entry(address).or_default();
            if (now.lamports, &now.data) != (seen.lamports, &seen.data) {
                found.push(format!("{address}, {place:?}, changed while nobody wrote to it"));
            }
            if let Some(place) = place {
                found.extend(differences(&self.model, place, data(&now)));
            }
        }
        if lamports != self.lamports {
            found.push(format!("there are {lamports} lamports in all, and should be {}", self.lamports));
        }
        found.extend(self.violations());
        if found.is_empty() { Ok(()) } else { Err(found.join("\n")) }
    }
}

impl Runner {
    /// What does not hold on the ledger by itself, whatever the model says.
    pub fn violations(&self) -> Vec<String> {
        let ledger = Ledger::read(|place| self.seen.get(&atlas().address(place)).and_then(data));
        ledger.map_or_else(Vec::new, |ledger| ledger.violations(&self.past))
    }

    /// Changes an account's bytes behind the program's back, to see that the change is found; returns what was there.
    pub fn tamper(&mut self, place: Place, change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
        let address = atlas().address(place);
        let account = self.seen.get_mut(&address).expect("an account that was seen");
        let before = account.data.clone();
        change(&mut account.data);
        let changed = account.clone();
        self.world.tamper(&address, |account| *account = changed);
        before
    }
}

/// Offset of the status byte.
const STATUS: usize = causeway_interface::accounts::OFFSET_STATUS;

/// An account's bytes, if it exists.
fn data(account: &Account) -> Option<&[u8]> {
    (account.lamports > 0).then_some(account.data.as_slice())
}

/// The sequence in an account's header.
fn sequence(data: &[u8]) -> u64 {
    const AT: usize = std::mem::offset_of!(RawHeader, sequence);
    u64::from_le_bytes(data[AT..AT + 8].try_into().expect("eight bytes"))
}

/// The program's code; anything else than one of its own is a failure of the program.
fn code_of(failure: &Failure) -> Result<ErrorCode, String> {
    failure.code().ok_or_else(|| format!("no error of the program: {:?}\n{}", failure.error, failure.logs.join("\n")))
}
