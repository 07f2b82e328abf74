//! The words of a whole network in one transaction: address lookup tables, made by the ledger's own program from the
//! sdk's plans, and the built program in the virtual machine.
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "tests")]

use std::{collections::BTreeSet, ops::Range};

use causeway_interface::{
    DeviceHealth, Key,
    instruction::{MAX_ATTEST_BATCH, Verdict},
};
use causeway_program_tests::{World, counts, plant::hybrid};
use causeway_sdk::{
    lookup::{
        Action, Bounds, Table, TableError, plan,
        table::{PROGRAM, account_bytes},
    },
    pack::{self, Limits, MAX_TRANSACTION_BYTES},
};
use solana_address_lookup_table_interface::instruction::{
    close_lookup_table, create_lookup_table, deactivate_lookup_table, extend_lookup_table,
};
use solana_sdk::{
    instruction::Instruction,
    message::AddressLookupTableAccount,
    pubkey::Pubkey,
    signature::{Keypair, Signer},
    transaction::VersionedTransaction,
};

/// The one slot whose hash the virtual machine knows: the one it began with.
const KNOWN_SLOT: u64 = 0;
/// Compute units of one transaction's words at most: the program's target, and the budget's two instructions.
const fn allowed(subjects: usize) -> u64 {
    900 + 250 * (subjects as u64 - 1) + 300
}

/// A world whose first oracle keeps tables.
struct Rig {
    world: World,
    oracle: Keypair,
    subjects: Vec<Key>,
    made: Vec<Pubkey>,
}

impl Rig {
    fn new(subjects: usize) -> Self {
        let mut world = World::new();
        let party = world.party("acme");
        let devices: Vec<_> = (0..subjects).map(|n| world.add_device(&party, hybrid(&format!("d{n}")))).collect();
        let subjects = devices.iter().map(|device| world.device_key(device)).collect();
        let oracle = world.oracles[0].insecure_clone();
        Self { world, oracle, subjects, made: Vec::new() }
    }

    fn wanted(&self) -> BTreeSet<Pubkey> {
        let addresses = self.world.ix.addresses();
        let mut wanted: BTreeSet<_> = self.subjects.iter().map(|subject| addresses.attestations(subject)).collect();
        wanted.insert(addresses.network());
        wanted
    }

    fn read(&self, address: Pubkey) -> Result<Table, TableError> {
        let account = self.world.account(&address).unwrap();
        Table::read(address, &account.owner, &account.data, &self.oracle.pubkey())
    }

    fn tables(&self) -> Vec<Table> {
        self.made.iter().map(|address| self.read(*address).unwrap()).collect()
    }

    fn usable(&self) -> Vec<AddressLookupTableAccount> {
        self.tables().iter().filter_map(|table| table.usable(self.world.slot)).collect()
    }

    fn carry_out(&mut self, action: Action) {
        let key = self.oracle.pubkey();
        let extend = |table, addresses| extend_lookup_table(table, key, Some(key), addresses);
        let instructions = match action {
            Action::Create { addresses } => {
                let (create, table) = create_lookup_table(key, key, KNOWN_SLOT);
                self.made.push(table);
                vec![create, extend(table, addresses)]
            }
            Action::Extend { table, addresses } => vec![extend(table, addresses)],
            Action::Deactivate { table } => vec![deactivate_lookup_table(table, key)],
            Action::Close { table } => {
                self.made.retain(|made| *made != table);
                vec![close_lookup_table(table, key, key)]
            }
        };
        self.world.send(&instructions, &[&self.oracle.insecure_clone()]).unwrap();
    }

    /// Makes the tables, step by step as planned. Returns how many transactions that took.
    fn make(&mut self) -> usize {
        let (wanted, bounds) = (self.wanted(), Bounds::of(&self.oracle.pubkey()));
        let mut transactions = 0;
        loop {
            let step = plan::plan(&self.tables(), &wanted, &bounds);
            if step.actions.is_empty() {
                return transactions;
            }
            transactions += step.actions.len();
            step.actions.into_iter().for_each(|action| self.carry_out(action));
            assert!(transactions < 100, "the plan does not end");
        }
    }

    fn attest(&self, subjects: Range<usize>) -> Instruction {
        let verdict = Verdict { verdict: DeviceHealth::ReadyForUsers.byte(), failed: 0 };
        let verdicts: Vec<_> = self.subjects[subjects].iter().map(|subject| (*subject, verdict.clone())).collect();
        self.world.ix.attest(&self.oracle.pubkey(), self.world.window(), &verdicts)
    }

    fn ranges(&self, tables: &[AddressLookupTableAccount]) -> Vec<Range<usize>> {
        let count = (self.subjects.len(), MAX_ATTEST_BATCH);
        pack::ranges(&self.oracle.pubkey(), tables, &Limits::default(), count, |range| self.attest(range)).unwrap()
    }

    /// Sends the words on some subjects as one transaction. Returns its bytes and compute units, or why it failed.
    fn send(&mut self, subjects: Range<usize>, tables: &[AddressLookupTableAccount]) -> Result<(usize, u64), String> {
        self.world.svm.expire_blockhash();
        let (key, blockhash) = (self.oracle.pubkey(), self.world.svm.latest_blockhash());
        let attest = [self.attest(subjects)];
        let message = pack::assemble(&key, &attest, tables, (200_000, 0), blockhash).unwrap();
        let transaction = VersionedTransaction::try_new(message, &[&self.oracle]).unwrap();
        // What the sdk says that it takes is what goes over the wire.
        let signatures = 1 + 64 * transaction.signatures.len();
        let bytes = signatures + transaction.message.serialize().len();
        assert_eq!(pack::size(&key, &attest, tables).unwrap().bytes, bytes);
        assert!(bytes <= MAX_TRANSACTION_BYTES);
        match self.world.svm.send_transaction(transaction) {
            Ok(done) => Ok((bytes, done.compute_units_consumed)),
            Err(failed) => Err(format!("{:?} {:?}", failed.err, failed.meta.logs)),
        }
    }

    fn said(&self, subject: &Key) -> u8 {
        self.world.attestations(subject).entries[0].verdict
    }
}

#[test]
fn with_a_table_a_whole_batch_is_one_transaction() {
    let mut rig = Rig::new(MAX_ATTEST_BATCH + 4);
    let plain = rig.ranges(&[]);
    let made_by = rig.make();
    assert_eq!(rig.made.len(), 1);
    // In the slot of the last extension only what was there before can be looked up, and that is what is packed.
    let early = rig.ranges(&rig.usable());
    assert!(plain.len() >= early.len(), "{plain:?} {early:?}");
    rig.world.warp(1);

    let tables = rig.usable();
    let ranges = rig.ranges(&tables);
    assert_eq!(ranges, [0..MAX_ATTEST_BATCH, MAX_ATTEST_BATCH..MAX_ATTEST_BATCH + 4], "as many as the program takes");
    assert!(ranges[0].len() >= 30);
    // The oracle, the network, the program and the budget's beside the subjects; a transaction locks 64 at most.
    let size = pack::size(&rig.oracle.pubkey(), &[rig.attest(ranges[0].clone())], &tables).unwrap();
    assert_eq!(size.accounts, MAX_ATTEST_BATCH + 4);
    for range in ranges.clone() {
        let (bytes, units) = rig.send(range.clone(), &tables).unwrap();
        println!("{} subjects: {bytes} bytes, {units} compute units", range.len());
        assert!(units <= allowed(range.len()), "{units} compute units for {}", range.len());
    }
    for subject in rig.subjects.clone() {
        assert_eq!(rig.said(&subject), DeviceHealth::ReadyForUsers.byte());
    }
    println!("without a table: {} subjects; table made by {made_by} transactions", plain[0].len());
    counts::report("subjects attested in one transaction", ranges[0].len());
}

#[test]
fn without_tables_the_same_words_take_more_transactions_and_land_too() {
    let mut rig = Rig::new(39);
    let plain = rig.ranges(&[]);
    for range in plain.clone() {
        rig.send(range, &[]).unwrap();
    }
    rig.make();
    rig.world.warp(1);
    let packed = rig.ranges(&rig.usable());
    println!("39 subjects: {} transactions, {} with a table", plain.len(), packed.len());
    assert_eq!((plain.len(), packed.len()), (2, 1));
}

#[test]
fn what_was_added_in_this_slot_is_not_found_and_not_packed() {
    let mut rig = Rig::new(30);
    rig.make();
    let table = rig.read(rig.made[0]).unwrap();
    assert_eq!(table.extended_at, rig.world.slot);
    let believed = [AddressLookupTableAccount { key: table.address, addresses: table.addresses.clone() }];
    let error = rig.send(0..30, &believed).unwrap_err();
    assert!(error.contains("InvalidAddressLookupTableIndex"), "{error}");
    assert!(rig.usable().iter().all(|usable| usable.addresses.len() == table.settled));
    for range in rig.ranges(&rig.usable()) {
        rig.send(range, &rig.usable()).unwrap();
    }
}

#[test]
fn a_network_that_grows_extends_its_table_and_old_indexes_stay() {
    let mut rig = Rig::new(40);
    let all = std::mem::take(&mut rig.subjects);
    rig.subjects = all[..10].to_vec();
    rig.make();
    rig.world.warp(1);
    let before = rig.usable();
    rig.subjects = all;
    rig.make();
    assert_eq!(rig.made.len(), 1);
    // Before the new addresses have settled the old ones work on.
    assert_eq!(rig.usable(), before);
    rig.send(0..10, &before).unwrap();
    rig.world.warp(1);
    assert!(rig.usable()[0].addresses.starts_with(&before[0].addresses));
    rig.send(0..40, &rig.usable()).unwrap();
    assert_eq!(rig.make(), 0, "nothing is left to do");
}

/// The oldest slot whose hash a ledger keeps that skips none.
fn oldest(rig: &Rig) -> u64 {
    rig.world.slot.saturating_sub(plan::COOL_DOWN_SLOTS)
}

#[test]
fn a_table_is_given_back_and_its_deposit_returns() {
    let mut rig = Rig::new(39);
    rig.make();
    rig.world.warp(1);
    let tables = rig.usable();
    let account = rig.world.account(&rig.made[0]).unwrap();
    let deposit = account.lamports;
    assert_eq!((account.owner, account.data.len()), (PROGRAM, account_bytes(40)));
    assert_eq!(deposit, rig.world.svm.minimum_balance_for_rent_exemption(account_bytes(40)));
    let full = rig.world.svm.minimum_balance_for_rent_exemption(account_bytes(256));
    println!("deposit for 40 addresses: {deposit} lamports, for 256: {full}");

    let nothing = BTreeSet::new();
    assert_eq!(plan::retire(&rig.tables(), &rig.wanted(), oldest(&rig)), []);
    let step = plan::retire(&rig.tables(), &nothing, oldest(&rig));
    assert_eq!(step, [Action::Deactivate { table: rig.made[0] }]);
    step.into_iter().for_each(|action| rig.carry_out(action));
    assert!(rig.usable().is_empty());
    assert_eq!(plan::retire(&rig.tables(), &nothing, oldest(&rig)), [], "it cools down");

    rig.world.warp(plan::COOL_DOWN_SLOTS + 1);
    let before = rig.world.account(&rig.oracle.pubkey()).unwrap().lamports;
    let step = plan::retire(&rig.tables(), &nothing, oldest(&rig));
    let table = rig.made[0];
    step.into_iter().for_each(|action| rig.carry_out(action));
    assert_eq!(rig.world.account(&table), None);
    let after = rig.world.account(&rig.oracle.pubkey()).unwrap().lamports;
    let fee = before + deposit - after;
    assert!(fee <= 10_000, "{fee} lamports of fees");

    // Whoever believes in it still is refused by the ledger, and does without.
    let error = rig.send(0..39, &tables).unwrap_err();
    assert!(error.contains("AddressLookupTableNotFound"), "{error}");
    for range in rig.ranges(&rig.usable()) {
        rig.send(range, &[]).unwrap();
    }
}

#[test]
fn another_keys_table_and_garbage_are_not_tables() {
    let mut rig = Rig::new(2);
    rig.make();
    let table = rig.made[0];
    let account = rig.world.account(&table).unwrap();
    let other = rig.world.oracles[1].pubkey();
    let not_ours = TableError::NotOurs { address: table, authority: Some(rig.oracle.pubkey()) };
    assert_eq!(Table::read(table, &account.owner, &account.data, &other), Err(not_ours));
    rig.world.tamper(&table, |account| account.data.fill(0xee));
    assert_eq!(rig.read(table), Err(TableError::Garbage { address: table }));
    rig.world.tamper(&table, |account| account.owner = other);
    assert_eq!(rig.read(table), Err(TableError::Foreign { address: table, owner: other }));
}
