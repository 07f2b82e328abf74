//! What the runtime charges for what an instruction needs, measured by a program that does one such thing at a time.
//!
//! That program's source is `tests/program/floor`. It is built as the onchain program is, and finds its accounts by
//! the same framework.

use std::{collections::BTreeMap, path::PathBuf};

use causeway_interface::event::RawEvent;
use causeway_sdk::address::SYSTEM_PROGRAM;
use litesvm::LiteSVM;
use solana_sdk::{
    account::Account,
    instruction::{AccountMeta, Instruction},
    pubkey::Pubkey,
    signature::{Keypair, Signer},
    transaction::Transaction,
};

use super::needs::{Creation, Needs, Search};

/// Names the floor program's binary.
pub const ENV: &str = "CAUSEWAY_FLOOR_SO";

/// The floor program's instructions, as in its `part`.
mod part {
    pub const NOTHING: u8 = 0;
    pub const SLOT: u8 = 1;
    pub const RENT: u8 = 2;
    pub const HASH: u8 = 3;
    pub const CURVE: u8 = 4;
    pub const LOG: u8 = 5;
    pub const CREATE: u8 = 6;
    pub const TRANSFER: u8 = 7;
    pub const ZERO: u8 = 8;
    pub const MOVE: u8 = 9;
}

/// Bytes of the account whose memory is zeroed and moved.
const KILOBYTE: usize = 1024;
/// Lamports of who pays.
const FUNDS: u64 = 1_000_000_000_000;

/// Compute units by what they go to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Parts {
    /// The way in and out, and finding each account.
    pub entry: u64,
    /// Slot and rent.
    pub sysvars: u64,
    /// Searching addresses.
    pub addresses: u64,
    /// Calls of the system program.
    pub calls: u64,
    /// Logging the event.
    pub log: u64,
    /// Zeroing and moving memory.
    pub memory: u64,
}

impl Parts {
    /// By name, without those that are not needed.
    pub fn named(&self) -> BTreeMap<&'static str, u64> {
        let all = [
            ("floor_addresses", self.addresses),
            ("floor_calls", self.calls),
            ("floor_entry", self.entry),
            ("floor_log", self.log),
            ("floor_memory", self.memory),
            ("floor_sysvars", self.sysvars),
        ];
        all.into_iter().filter(|(_, cu)| *cu > 0).collect()
    }

    /// All together.
    pub fn sum(&self) -> u64 {
        self.entry + self.sysvars + self.addresses + self.calls + self.log + self.memory
    }
}

/// The virtual machine with the floor program in it.
pub struct Floor {
    svm: LiteSVM,
    program: Pubkey,
    payer: Keypair,
}

impl Floor {
    /// Loads the floor program.
    ///
    /// # Panics
    /// It is not where [`ENV`] says.
    pub fn new() -> Self {
        let path = std::env::var_os(ENV).map(PathBuf::from).expect("run `cargo xtask cu`: it names the floor program");
        let bytes = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let (mut svm, program, payer) = (LiteSVM::new(), Pubkey::new_from_array([6; 32]), Keypair::new());
        svm.add_program(program, &bytes).expect("the floor program loads");
        svm.airdrop(&payer.pubkey(), FUNDS).expect("lamports");
        Self { svm, program, payer }
    }

    /// The price of what an instruction needs.
    pub fn of(&mut self, needs: &Needs) -> Parts {
        let times = |n: usize, price: u64| n as u64 * price;
        let (zero, shift) = (self.zero(), self.shift());
        let searched: u64 = needs.creations.iter().map(|c| self.search(&c.search)).sum();
        // A proof also looks at the address itself; where an account is created, the runtime does.
        let proven: u64 = needs.proofs.iter().map(|s| self.search(s) + self.hash(&s.seeds) + self.curve()).sum();
        let created: u64 = needs.creations.iter().map(|c| self.create(c)).sum();
        Parts {
            entry: self.entry(needs.accounts),
            // Every change says when it was made.
            sysvars: self.slot() + times(needs.rents, self.rent()),
            addresses: searched + proven,
            calls: created + times(needs.transfers, self.transfer()),
            log: times(needs.events, self.log()),
            memory: times(needs.zeroes, zero) + times(needs.moves, shift),
        }
    }

    /// The way in and out with so many accounts.
    pub fn entry(&mut self, accounts: usize) -> u64 {
        let metas = (0..accounts).map(|_| AccountMeta::new(Pubkey::new_unique(), false)).collect();
        self.cost(part::NOTHING, &[], metas)
    }

    /// Reading the slot.
    pub fn slot(&mut self) -> u64 {
        self.alone(part::SLOT, &[], Vec::new())
    }

    /// Reading what rent is computed from.
    pub fn rent(&mut self) -> u64 {
        self.alone(part::RENT, &[], Vec::new())
    }

    /// One hash of seeds.
    pub fn hash(&mut self, seeds: &[Vec<u8>; 2]) -> u64 {
        self.alone(part::HASH, &with_len(seeds), Vec::new())
    }

    /// One look at whether an address is on the curve.
    pub fn curve(&mut self) -> u64 {
        self.alone(part::CURVE, &[1; 32], Vec::new())
    }

    /// A search: a hash per step, and a look at each candidate that is not the address.
    pub fn search(&mut self, search: &Search) -> u64 {
        search.steps() * self.hash(&search.seeds) + (search.steps() - 1) * self.curve()
    }

    /// Logging one event.
    pub fn log(&mut self) -> u64 {
        self.alone(part::LOG, &[1; RawEvent::LEN], Vec::new())
    }

    /// Having the system program create an account.
    pub fn create(&mut self, creation: &Creation) -> u64 {
        let seeds = &creation.search.seeds;
        let (address, bump) = Pubkey::find_program_address(&[&seeds[0], &seeds[1]], &self.program);
        let rent = self.svm.minimum_balance_for_rent_exemption(creation.len);
        let data = [&rent.to_le_bytes()[..], &(creation.len as u64).to_le_bytes(), &[bump], &with_len(seeds)].concat();
        let cost = self.alone(part::CREATE, &data, self.paying(address));
        // So that the same can be asked again.
        self.svm.set_account(address, Account::default()).expect("an account is taken away");
        cost
    }

    /// Having it move lamports.
    pub fn transfer(&mut self) -> u64 {
        // Enough for an empty account to exist.
        let lamports = self.svm.minimum_balance_for_rent_exemption(0).to_le_bytes();
        self.alone(part::TRANSFER, &lamports, self.paying(Pubkey::new_unique()))
    }

    /// Zeroing a kilobyte.
    pub fn zero(&mut self) -> u64 {
        let account = self.kilobyte();
        self.alone(part::ZERO, &[], vec![account])
    }

    /// Moving a kilobyte.
    pub fn shift(&mut self) -> u64 {
        let account = self.kilobyte();
        self.alone(part::MOVE, &[], vec![account])
    }

    fn paying(&self, to: Pubkey) -> Vec<AccountMeta> {
        vec![
            AccountMeta::new(self.payer.pubkey(), true),
            AccountMeta::new(to, false),
            AccountMeta::new_readonly(SYSTEM_PROGRAM, false),
        ]
    }

    fn kilobyte(&mut self) -> AccountMeta {
        let address = Pubkey::new_unique();
        let account = Account { lamports: FUNDS, data: vec![1; KILOBYTE], owner: self.program, ..Account::default() };
        self.svm.set_account(address, account).expect("an account");
        AccountMeta::new(address, false)
    }

    /// What a part costs above doing nothing with the same accounts.
    fn alone(&mut self, part: u8, data: &[u8], accounts: Vec<AccountMeta>) -> u64 {
        self.cost(part, data, accounts.clone()) - self.cost(part::NOTHING, &[], accounts)
    }

    fn cost(&mut self, part: u8, data: &[u8], accounts: Vec<AccountMeta>) -> u64 {
        let data = [&[part], data].concat();
        let instruction = Instruction { program_id: self.program, accounts, data };
        self.svm.expire_blockhash();
        let blockhash = self.svm.latest_blockhash();
        let payer = self.payer.pubkey();
        let transaction = Transaction::new_signed_with_payer(&[instruction], Some(&payer), &[&self.payer], blockhash);
        match self.svm.send_transaction(transaction) {
            Ok(done) => done.compute_units_consumed,
            Err(failed) => panic!("part {part}: {:?}\n{}", failed.err, failed.meta.logs.join("\n")),
        }
    }
}

impl Default for Floor {
    fn default() -> Self {
        Self::new()
    }
}

/// Seeds as the floor program reads them.
fn with_len(seeds: &[Vec<u8>; 2]) -> Vec<u8> {
    let len = u8::try_from(seeds[0].len()).expect("a seed of at most 32 bytes");
    [&[len][..], &seeds[0], &seeds[1]].concat()
}
