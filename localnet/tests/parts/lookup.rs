//! Lookup tables on a real validator: made, used, found again, extended, given back.

use std::collections::BTreeSet;

use causeway_interface::instruction::MAX_ATTEST_BATCH;
use causeway_sdk::{
    lookup::{LookupTables, Memory, still_usable},
    pack::{self, Limits},
};
use solana_sdk::{message::AddressLookupTableAccount, pubkey::Pubkey};

use super::*;

/// As many words as the program takes at once, said by one oracle in one transaction.
struct Words<'a> {
    world: &'a World,
    oracle: Arc<Keypair>,
    subjects: Vec<Key>,
}

impl Words<'_> {
    fn attest(&self, slot: u64, range: std::ops::Range<usize>) -> Instruction {
        let window =
            Window { epoch: 1, start_slot: slot.saturating_sub(5), end_slot: slot, evidence_root: Default::default() };
        let verdict = Verdict { verdict: DeviceHealth::Pending.byte(), failed: 0 };
        let words: Vec<_> = self.subjects[range].iter().map(|subject| (*subject, verdict.clone())).collect();
        self.world.build.attest(&self.oracle.pubkey(), window, &words)
    }

    /// Says a word on every subject. Returns how many transactions that took.
    async fn say(&self, tables: &[AddressLookupTableAccount]) -> Result<usize, SendError> {
        let slot = self.world.sender.ledger().slot().await.unwrap();
        let count = (self.subjects.len(), MAX_ATTEST_BATCH);
        let attest = |range| self.attest(slot, range);
        let ranges = pack::ranges(&self.oracle.pubkey(), tables, &Limits::default(), count, attest).unwrap();
        let transactions = ranges.len();
        for range in ranges {
            let submission = Submission::new(vec![self.attest(slot, range)], &self.oracle);
            self.world.sender.send(Submission { lookup_tables: tables.to_vec(), ..submission }).await?;
        }
        Ok(transactions)
    }

    fn wanted(&self) -> BTreeSet<Pubkey> {
        let addresses = self.world.build.addresses();
        let attestations = self.subjects.iter().map(|subject| addresses.attestations(subject));
        attestations.chain([addresses.network()]).collect()
    }

    async fn said(&self) -> usize {
        let snapshot = self.world.sender.ledger().snapshot().await.unwrap();
        let said = |subject: &&Key| snapshot.attestations[*subject].entries[0].slot > 0;
        self.subjects.iter().filter(said).count()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_of_words_is_one_transaction_by_tables_that_are_found_again() {
    let world = World::with_slots(LONG_SLOTS).await;
    world.registry().await;
    let names: Vec<String> = (0..MAX_ATTEST_BATCH).map(|n| format!("d{n}")).collect();
    let creates = names.iter().zip(0..).map(|(name, n)| world.create_device(name, n));
    let creates = creates.map(|create| Submission::new(vec![create], &world.owner)).collect();
    for result in world.sender.send_all(creates).await {
        result.unwrap();
    }
    let oracle = world.oracles[0].clone();
    let subjects = names.iter().map(|name| world.key(name)).collect();
    let words = Words { world: &world, oracle: oracle.clone(), subjects };

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tables.json");
    let sender = world.localnet.sender();
    let tables_of = |key: &Arc<Keypair>, memory| LookupTables::new(sender.clone(), key.clone(), memory);
    let mut tables = tables_of(&oracle, Memory::open(&path).unwrap());
    tables.find().await.unwrap();
    assert!(tables.tables().is_empty() && tables.usable().is_empty());
    let began = Instant::now();
    assert_eq!(tables.ensure(&words.wanted()).await.unwrap(), []);
    let made_by = sender.transactions();
    eprintln!("a table of {} addresses: {made_by} transactions, {:?}", words.wanted().len(), began.elapsed());
    let usable = tables.usable();
    assert_eq!((usable.len(), usable[0].addresses.len()), (1, MAX_ATTEST_BATCH + 1));
    assert_eq!(words.say(&usable).await.unwrap(), 1);
    assert_eq!(words.said().await, MAX_ATTEST_BATCH);
    let deposit = world.sender.ledger().balance(&to_key(&usable[0].key)).await.unwrap();
    assert_eq!(deposit, tables.rent(MAX_ATTEST_BATCH + 1).await.unwrap());
    eprintln!("deposit: {deposit} lamports");

    // After a restart nothing is made again: remembered, or else found on the ledger.
    for memory in [Memory::open(&path).unwrap(), Memory::volatile()] {
        let mut again = tables_of(&oracle, memory);
        again.find().await.unwrap();
        again.ensure(&words.wanted()).await.unwrap();
        assert_eq!(again.usable(), usable);
    }
    assert_eq!(sender.transactions(), made_by, "nothing was sent");
    let mut strangers = Memory::volatile();
    for address in [usable[0].key, world.build.addresses().network(), Keypair::new().pubkey()] {
        strangers.add(address).unwrap();
    }
    let mut others = tables_of(&world.oracles[1], strangers);
    others.find().await.unwrap();
    assert!(others.usable().is_empty(), "another key's table, another program's account, nothing");

    // One more address: one more transaction, and the same table.
    let mut more = words.wanted();
    more.insert(world.build.addresses().attestations(&world.key("one-more")));
    tables.ensure(&more).await.unwrap();
    assert_eq!((sender.transactions(), tables.tables().len()), (made_by + 1, 1));
    assert!(tables.usable()[0].addresses.starts_with(&usable[0].addresses));

    // Given back: nobody can use it, whoever believes in it is told, and the words go without.
    let ledger = world.sender.ledger();
    assert!(still_usable(ledger, &oracle.pubkey(), &usable).await.unwrap());
    assert_eq!(tables.retire(&more).await.unwrap(), 0, "what is wanted stays");
    assert_eq!(tables.retire(&BTreeSet::new()).await.unwrap(), 1);
    assert!(tables.usable().is_empty() && tables.tables()[0].deactivated_at.is_some());
    assert!(!still_usable(ledger, &oracle.pubkey(), &usable).await.unwrap());
    let invented = [AddressLookupTableAccount { key: Keypair::new().pubkey(), ..usable[0].clone() }];
    assert!(!still_usable(ledger, &oracle.pubkey(), &invented).await.unwrap());
    let error = words.say(&invented).await.unwrap_err();
    assert!(matches!(error, SendError::Ledger(LedgerError::Refused { .. })), "{error:?}");
    let plainly = words.say(&tables.usable()).await.unwrap();
    eprintln!("{MAX_ATTEST_BATCH} words without a table: {plainly} transactions");
    assert!(plainly > 1);
    world.localnet.stop().await;
}

/// Slots of 25 ms, so that the cool-down of 512 takes seconds.
#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_nobody_needs_is_closed_after_its_cool_down() {
    let key = Arc::new(Keypair::new());
    let options = Options { funded: vec![(key.pubkey(), 1_000_000_000)], ticks_per_slot: 4, ..Options::default() };
    let localnet = Localnet::start(options).await.unwrap();
    let sender = localnet.sender();
    let mut tables = LookupTables::new(sender.clone(), key.clone(), Memory::volatile());
    let wanted: BTreeSet<Pubkey> = (0..300).map(|_| Pubkey::new_unique()).collect();
    assert_eq!(tables.ensure(&wanted).await.unwrap(), []);
    assert_eq!(tables.tables().len(), 2);
    let usable: usize = tables.usable().iter().map(|table| table.addresses.len()).sum();
    assert_eq!(usable, wanted.len());
    let deposits = tables.rent(256).await.unwrap() + tables.rent(wanted.len() - 256).await.unwrap();
    let before = localnet.ledger().balance(&to_key(&key.pubkey())).await.unwrap();

    let began = Instant::now();
    while !tables.tables().is_empty() {
        tables.retire(&BTreeSet::new()).await.unwrap();
        assert!(tables.usable().is_empty());
        assert!(began.elapsed() < PATIENCE, "{:?}", tables.tables());
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    // Two transactions for each table, 5 000 lamports each.
    let after = localnet.ledger().balance(&to_key(&key.pubkey())).await.unwrap();
    assert_eq!(after, before + deposits - 4 * 5_000);
    eprintln!("closed after {:?}", began.elapsed());
    localnet.stop().await;
}
