//! A ledger that is made up.

use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use causeway_interface::{
    ErrorCode, Key,
    instruction::{Attest, Instruction as Data, Tag},
};
use causeway_sdk::{Snapshot, address::to_key, instructions::tag_of, pack, send::Paid};
use solana_sdk::{
    instruction::Instruction, message::AddressLookupTableAccount, pubkey::Pubkey, signature::Keypair, signer::Signer,
};

use crate::chain::{Chain, ReadError, SendError};

/// A ledger that holds what it is told and keeps what is sent.
#[derive(Clone)]
pub(super) struct FakeChain {
    pub(super) snapshot: Arc<Mutex<Snapshot>>,
    pub(super) sent: Arc<Mutex<Vec<Instruction>>>,
    /// Attestations accounts that the program refuses.
    pub(super) poisoned: Arc<Mutex<BTreeSet<Key>>>,
    /// Pays for what is sent.
    pub(super) oracle: Pubkey,
    /// What is said to be usable, what was asked for, and whether it is gone when it is used.
    pub(super) tables: Arc<Mutex<Vec<AddressLookupTableAccount>>>,
    pub(super) wanted: Arc<Mutex<BTreeSet<Pubkey>>>,
    pub(super) tables_lost: Arc<AtomicBool>,
    pub(super) dead: Arc<AtomicBool>,
    pub(super) transactions: Arc<AtomicU64>,
    /// Whether words are taken into the snapshot as the program would; and those that were: slot, subject, verdict.
    pub(super) applies: Arc<AtomicBool>,
    pub(super) applied: Arc<Mutex<Vec<(u64, Key, u8)>>>,
    /// Every transaction lands with an error that is not the program's.
    pub(super) failing: Arc<AtomicBool>,
}

impl Chain for FakeChain {
    async fn snapshot(&self) -> Result<Snapshot, ReadError> {
        if self.dead.load(Ordering::Relaxed) {
            return Err(ReadError("no answer".into()));
        }
        let mut snapshot = self.snapshot.lock().unwrap();
        snapshot.slot += 1;
        Ok(snapshot.clone())
    }

    async fn slot_time_ms(&self, _: u64) -> Option<u64> {
        None
    }

    async fn balance(&self) -> Option<u64> {
        Some(5_000_000_000)
    }

    fn tables(&self) -> Vec<AddressLookupTableAccount> {
        self.tables.lock().unwrap().clone()
    }

    fn want_in_tables(&self, addresses: BTreeSet<Pubkey>) {
        *self.wanted.lock().unwrap() = addresses;
    }

    fn paid(&self) -> Paid {
        let transactions = self.transactions.load(Ordering::Relaxed);
        Paid { lamports: transactions * pack::LAMPORTS_PER_SIGNATURE, transactions }
    }

    async fn send(
        &self,
        instructions: Vec<Instruction>,
        tables: &[AddressLookupTableAccount],
    ) -> Result<String, SendError> {
        let size = pack::size(&self.oracle, &instructions, tables).unwrap();
        assert!(size.bytes <= pack::MAX_TRANSACTION_BYTES && size.accounts <= 64, "{size:?}");
        if !tables.is_empty() && self.tables_lost.load(Ordering::Relaxed) {
            return Err(SendError::Tables { message: "gone".into() });
        }
        let poisoned = self.poisoned.lock().unwrap();
        let touched = instructions.iter().flat_map(|i| &i.accounts).map(|m| to_key(&m.pubkey));
        if touched.into_iter().any(|key| poisoned.contains(&key)) {
            return Err(SendError::Program { code: ErrorCode::CorruptAccount });
        }
        self.transactions.fetch_add(1, Ordering::Relaxed);
        if self.failing.load(Ordering::Relaxed) {
            return Err(SendError::Refused { message: "landed with an error".into() });
        }
        if self.applies.load(Ordering::Relaxed) {
            instructions.iter().for_each(|instruction| self.apply(instruction));
        }
        self.sent.lock().unwrap().extend(instructions);
        Ok("signature".into())
    }
}

impl FakeChain {
    pub(super) fn new(snapshot: Snapshot, oracle: &Keypair) -> Self {
        Self {
            snapshot: Arc::new(Mutex::new(snapshot)),
            sent: Arc::default(),
            poisoned: Arc::default(),
            oracle: oracle.pubkey(),
            tables: Arc::default(),
            wanted: Arc::default(),
            tables_lost: Arc::default(),
            dead: Arc::default(),
            transactions: Arc::default(),
            applies: Arc::default(),
            applied: Arc::default(),
            failing: Arc::default(),
        }
    }

    /// What `Attest` does to the entries of the first oracle.
    fn apply(&self, instruction: &Instruction) {
        let Ok(Data::Attest(attest)) = Data::decode(&instruction.data) else { return };
        let mut snapshot = self.snapshot.lock().unwrap();
        let (addresses, slot) = (snapshot.addresses(), snapshot.slot);
        let subjects: Vec<Key> = snapshot.attestations.keys().copied().collect();
        for (account, word) in instruction.accounts[2..].iter().zip(&attest.verdicts) {
            let subject = subjects.iter().find(|s| addresses.attestations(s) == account.pubkey).unwrap();
            let entry = &mut snapshot.attestations.get_mut(subject).unwrap().entries[0];
            (entry.verdict, entry.failed) = (word.verdict, word.failed);
            (entry.epoch, entry.slot, entry.evidence_root) = (attest.epoch, slot, attest.evidence_root);
            self.applied.lock().unwrap().push((slot, *subject, word.verdict));
        }
    }

    pub(super) fn attested(&self) -> Vec<(Attest, Vec<Key>)> {
        let sent = self.sent.lock().unwrap();
        let attests = sent.iter().filter(|i| tag_of(i) == Some(Tag::Attest));
        attests
            .map(|i| match Data::decode(&i.data).unwrap() {
                Data::Attest(attest) => (attest, i.accounts[2..].iter().map(|m| to_key(&m.pubkey)).collect()),
                other => panic!("{other:?}"),
            })
            .collect()
    }

    pub(super) fn count(&self, tag: Tag) -> usize {
        self.sent.lock().unwrap().iter().filter(|i| tag_of(i) == Some(tag)).count()
    }
}
