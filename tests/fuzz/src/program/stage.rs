//! A network in which everything exists once, and the running of a case in it. Nothing that a case does stays.

use causeway_interface::{
    Code, ErrorCode, PoolKind,
    accounts::RawHeader,
    instruction::{Instruction as Typed, Tag},
};
use causeway_program_tests::{
    World,
    plant::{edge, hybrid},
    world::code,
};
use causeway_sdk::{
    address::{SYSTEM_PROGRAM, to_key},
    events,
};
use solana_sdk::{
    account::{Account, ReadableAccount},
    instruction::{AccountMeta, Instruction, InstructionError},
    message::Message,
    pubkey::Pubkey,
    signature::Signer,
    transaction::{Transaction, TransactionError},
};

use super::case::Case;
use crate::account::decodes;

/// Code of everything that a case may create.
pub const NEW: &str = "new";
/// Lamports of an account that is planted: rent-exempt at any length.
const PLANTED_LAMPORTS: u64 = 1_000_000_000;

/// What became of a case, where it is one of the allowed ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Outcome {
    /// The instruction succeeded.
    Done,
    /// The program refused.
    Refused(ErrorCode),
    /// The system program refused what it was asked to do: the payer is none that it can take lamports from.
    SystemRefused,
}

/// A case that was run.
#[derive(Clone, Copy, Debug)]
pub struct Run {
    /// How it ended.
    pub outcome: Outcome,
    /// Compute units.
    pub units: u64,
}

/// The network, and the accounts that a case may name.
pub struct Stage {
    world: World,
    program: Pubkey,
    payer: Pubkey,
    /// Name and address; a name stands for itself in the seeds.
    accounts: Vec<(&'static str, Pubkey)>,
}

impl Stage {
    /// Builds the network: two parties, two devices in service with a link between them, a device and two links that
    /// wait, and a place that everything new would have.
    pub fn new() -> Self {
        let mut world = World::new();
        let (acme, zeta) = (world.party("acme"), world.party("zeta"));
        let (a, z, link) = world.pair_in_service(&acme);
        let idle = world.add_device(&acme, hybrid("idle"));
        let remote = world.add_device(&zeta, edge("remote"));
        let wan = world.add_wan(&acme, "wan", (&a, "eth4"), (&idle, "eth4"));
        let dzx = world.request_dzx(&acme, "dzx", (&a, "eth5"), (&remote, "eth5"));
        let payer = world.somebody();
        let stranger = world.somebody();
        let addresses = *world.ix.addresses();
        let (new, place) = (code(NEW), code(causeway_program_tests::plant::PLACE));
        let of = |subject: Pubkey| addresses.attestations(&to_key(&subject));
        let device = |name: &Code| addresses.device(name);
        let circuit = |name: &Code| addresses.link(name);
        let accounts = vec![
            ("payer", payer.pubkey()),
            ("stranger", stranger.pubkey()),
            ("authority", world.authority.pubkey()),
            ("upgrade-authority", world.upgrade_authority.pubkey()),
            ("owner-a", acme.owner.pubkey()),
            ("operations-a", acme.operations.pubkey()),
            ("owner-z", zeta.owner.pubkey()),
            ("oracle", world.oracles[0].pubkey()),
            ("system-program", SYSTEM_PROGRAM),
            ("program-data", addresses.program_data()),
            ("network", addresses.network()),
            ("contributor-a", addresses.contributor(&acme.code)),
            ("contributor-z", addresses.contributor(&zeta.code)),
            ("location", addresses.location(&place)),
            ("exchange", addresses.exchange(&place)),
            ("device-a", device(&a)),
            ("device-z", device(&z)),
            ("device-idle", device(&idle)),
            ("device-remote", device(&remote)),
            ("link", circuit(&link)),
            ("link-wan", circuit(&wan)),
            ("link-dzx", circuit(&dzx)),
            ("attestations-device", of(device(&a))),
            ("attestations-idle", of(device(&idle))),
            ("attestations-link", of(circuit(&link))),
            ("attestations-wan", of(circuit(&wan))),
            ("attestations-dzx", of(circuit(&dzx))),
            ("link-net-pool", addresses.pool(PoolKind::LinkNet)),
            ("link-id-pool", addresses.pool(PoolKind::LinkId)),
            ("node-segment-pool", addresses.pool(PoolKind::NodeSegment)),
            ("loopback-pool", addresses.pool(PoolKind::Loopback)),
            ("prefix-table", addresses.prefix_table()),
            ("new-contributor", addresses.contributor(&new)),
            ("new-location", addresses.location(&new)),
            ("new-exchange", addresses.exchange(&new)),
            ("new-device", device(&new)),
            ("new-link", circuit(&new)),
            ("new-attestations-device", of(device(&new))),
            ("new-attestations-link", of(circuit(&new))),
            ("nothing", Pubkey::new_from_array([5; 32])),
        ];
        let program = addresses.program_id;
        // Who has signed is a flag of the case.
        world.svm = std::mem::take(&mut world.svm).with_sigverify(false);
        Self { world, program, payer: payer.pubkey(), accounts }
    }

    /// The place of the account of this name.
    ///
    /// # Panics
    /// There is none.
    pub fn who(&self, name: &str) -> u8 {
        let place = self.accounts.iter().position(|(known, _)| *known == name);
        place.unwrap_or_else(|| panic!("no account is called {name}")) as u8
    }

    /// The current slot.
    pub fn slot(&self) -> u64 {
        self.world.slot
    }

    /// How many accounts a case may name.
    pub fn accounts(&self) -> u8 {
        self.accounts.len() as u8
    }

    /// The data of an account; empty where there is none.
    pub fn data(&self, who: u8) -> Vec<u8> {
        self.world.account(&self.address(who)).map(|account| account.data).unwrap_or_default()
    }

    fn address(&self, who: u8) -> Pubkey {
        self.accounts[usize::from(who) % self.accounts.len()].1
    }

    /// Runs a case.
    ///
    /// # Errors
    /// It broke a promise: which one.
    pub fn run(&mut self, case: &Case) -> Result<Run, String> {
        let mut touched: Vec<(Pubkey, Option<Account>)> = Vec::new();
        for change in &case.changes {
            let address = self.address(change.who);
            let Some(account) = self.world.account(&address).filter(|account| account.owner == self.program) else {
                continue;
            };
            touched.push((address, Some(account.clone())));
            let mut changed = account;
            let len = changed.data.len();
            if let Some(place) = changed.data.get_mut(usize::from(change.at) % len.max(1)) {
                *place = change.byte;
            }
            self.set(address, changed);
        }
        if let Some(plant) = &case.plant {
            let address = self.address(plant.who);
            // Who pays and what belongs to the runtime stay what they are.
            let fixed = [self.payer, SYSTEM_PROGRAM, self.world.ix.addresses().program_data()];
            if !fixed.contains(&address) {
                touched.push((address, self.world.account(&address)));
                let lamports = PLANTED_LAMPORTS;
                let planted = Account { lamports, data: plant.data.clone(), owner: self.program, ..Account::default() };
                self.set(address, planted);
            }
        }
        let result = self.simulate(case);
        for (address, before) in touched.into_iter().rev() {
            self.set(address, before.unwrap_or_default());
        }
        result
    }

    fn set(&mut self, address: Pubkey, account: Account) {
        self.world.svm.set_account(address, account).expect("the account is replaced");
    }

    fn simulate(&self, case: &Case) -> Result<Run, String> {
        let metas = case.accounts.iter().map(|meta| AccountMeta {
            pubkey: self.address(meta.who),
            is_signer: meta.flags & 1 != 0,
            is_writable: meta.flags & 2 != 0,
        });
        let instruction = Instruction { program_id: self.program, accounts: metas.collect(), data: case.data.clone() };
        let blockhash = self.world.svm.latest_blockhash();
        let message = Message::new_with_blockhash(&[instruction], Some(&self.payer), &blockhash);
        match self.world.svm.simulate_transaction(Transaction::new_unsigned(message)) {
            Ok(done) => {
                self.judge(case, &done.post_accounts)?;
                self.judge_event(case, &done.meta.logs, &done.post_accounts)?;
                Ok(Run { outcome: Outcome::Done, units: done.meta.compute_units_consumed })
            }
            Err(failed) => match &failed.err {
                TransactionError::InstructionError(_, InstructionError::Custom(code))
                    if !is_of_system_program(&failed.meta.logs) =>
                {
                    let code = ErrorCode::from_code(*code).ok_or_else(|| format!("custom error {code}"))?;
                    Ok(Run { outcome: Outcome::Refused(code), units: failed.meta.compute_units_consumed })
                }
                TransactionError::InstructionError(..) if is_of_system_program(&failed.meta.logs) => {
                    Ok(Run { outcome: Outcome::SystemRefused, units: failed.meta.compute_units_consumed })
                }
                other => Err(format!("{other:?}\n{}", failed.meta.logs.join("\n"))),
            },
        }
    }

    /// What has to be so after a success.
    fn judge(&self, case: &Case, after: &[(Pubkey, impl ReadableAccount)]) -> Result<(), String> {
        if let Err(error) = Typed::decode(&case.data) {
            return Err(format!("it acted on data that the typed view refuses: {error}"));
        }
        for (address, after) in after.iter().filter(|(_, account)| *account.owner() == self.program) {
            let before = self.world.account(address).filter(|account| account.owner == self.program);
            let Some(before) = before else {
                if decodes(after.data()) {
                    continue;
                }
                return Err(format!("it created {address}, which can't be read"));
            };
            if before.data == after.data() {
                continue;
            }
            if decodes(&before.data) && !decodes(after.data()) {
                return Err(format!("{address} could be read before, and can't any more"));
            }
            let (was, is) = (sequence(&before.data), sequence(after.data()));
            if is <= was {
                return Err(format!("{address} was changed, and its sequence went from {was:?} to {is:?}"));
            }
        }
        Ok(())
    }

    /// A success that changed something says so in one event: which instruction, when, and what became of its subject.
    fn judge_event(
        &self,
        case: &Case,
        logs: &[String],
        after: &[(Pubkey, impl ReadableAccount)],
    ) -> Result<(), String> {
        let events = events::read(&self.program, logs).events;
        let changed = after.iter().any(|(address, after)| {
            let before = self.world.account(address).filter(|account| account.owner == self.program);
            before.map(|account| account.data) != self.own(after).map(<[u8]>::to_vec)
        });
        match events.as_slice() {
            [] if changed => Err("it changed something and logged no event".into()),
            [] => Ok(()),
            [event] => {
                if Some(event.kind) != case.data.first().copied() || event.slot != self.slot() {
                    return Err(format!("the event is not of this instruction: {event:?}"));
                }
                let subject = after.iter().find(|(address, _)| to_key(address) == event.subject);
                let now = subject.and_then(|(_, account)| self.own(account)).and_then(sequence);
                match now {
                    Some(now) if now != event.sequence => Err(format!("the sequence is {now}, not that of {event:?}")),
                    // A subject that was closed has none.
                    Some(_) | None => Ok(()),
                }
            }
            more => Err(format!("one instruction logged {} events", more.len())),
        }
    }

    /// The data of an account that is the program's.
    fn own<'a>(&self, account: &'a impl ReadableAccount) -> Option<&'a [u8]> {
        (*account.owner() == self.program).then(|| account.data())
    }
}

impl Default for Stage {
    fn default() -> Self {
        Self::new()
    }
}

/// Whether it is the system program that failed, and the program with it.
fn is_of_system_program(logs: &[String]) -> bool {
    let failed = format!("Program {SYSTEM_PROGRAM} failed: ");
    logs.iter().any(|line| line.starts_with(&failed))
}

/// The sequence in an account's header.
fn sequence(data: &[u8]) -> Option<u64> {
    let header: &RawHeader = bytemuck::from_bytes(data.get(..RawHeader::LEN)?);
    Some(header.sequence.get())
}

/// The instruction that a case's data names.
pub fn tag(case: &Case) -> Option<Tag> {
    case.data.first().copied().and_then(Tag::from_byte)
}
