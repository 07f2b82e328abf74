//! A few accounts for very many cases: planted, acted on, compared with what they were, and put back.
//!
//! Transactions are not signed here. The program sees the signer flags of a message and never a signature, and three
//! times as many cases fit into a second; [`World::send`] signs, and the drills hold what an absent signature does.

use std::collections::{BTreeMap, BTreeSet};

use bytemuck::Pod;
use causeway_interface::ErrorCode;
use solana_sdk::{
    account::{Account, AccountSharedData, ReadableAccount},
    instruction::{Instruction, InstructionError},
    pubkey::Pubkey,
    signature::Signer,
    transaction::{Transaction, TransactionError},
};

use crate::World;

type Kept = BTreeMap<Pubkey, AccountSharedData>;

/// The accounts, and the states they can be put back to.
pub struct Scene {
    /// The virtual machine and the program.
    pub world: World,
    payer: Pubkey,
    bases: Vec<Kept>,
    /// Compute units of the last transaction.
    pub cu: u64,
    /// What the ledger holds at this moment, as far as the scene knows.
    now: Kept,
    /// The base that `now` comes from, and what has changed since.
    base: usize,
    dirty: BTreeSet<Pubkey>,
}

impl Scene {
    /// The program's accounts in `world` as they are: base 0.
    pub fn new(mut world: World) -> Self {
        let payer = world.somebody().pubkey();
        world.svm = std::mem::take(&mut world.svm)
            .with_sigverify(false)
            .with_blockhash_check(false)
            .with_transaction_history(0);
        let mut scene =
            Self { world, payer, bases: Vec::new(), cu: 0, now: Kept::new(), base: 0, dirty: BTreeSet::new() };
        scene.keep();
        scene
    }

    /// Makes what is there now a base to return to, and says which.
    pub fn keep(&mut self) -> usize {
        self.now = self.read();
        self.bases.push(self.now.clone());
        self.dirty.clear();
        self.base = self.bases.len() - 1;
        self.base
    }

    /// Every account of the program but the program itself.
    fn read(&self) -> Kept {
        let program = self.world.ix.addresses().program_id;
        let ours = self.world.svm.get_program_accounts(&program);
        ours.into_iter().map(|(key, _)| (key, self.shared(&key).expect("it was just listed"))).collect()
    }

    fn shared(&self, key: &Pubkey) -> Option<AccountSharedData> {
        self.world.svm.accounts_db().get_account(key).filter(|account| account.lamports() > 0)
    }

    /// Puts every account back to a base.
    pub fn restore(&mut self, base: usize) {
        let wanted = &self.bases[base];
        if self.base != base {
            self.base = base;
            let differs = |key: &&Pubkey| self.now.get(key) != wanted.get(key);
            self.dirty.extend(self.now.keys().chain(wanted.keys()).filter(differs));
        }
        for key in std::mem::take(&mut self.dirty) {
            let account = wanted.get(&key).cloned().unwrap_or_default();
            self.world.svm.set_account(key, Account::from(account)).expect("the account is put back");
            match self.shared(&key) {
                Some(account) => self.now.insert(key, account),
                None => self.now.remove(&key),
            };
        }
    }

    /// Changes an account's bytes behind the program's back.
    pub fn plant_bytes(&mut self, key: &Pubkey, change: impl FnOnce(&mut [u8])) {
        self.world.tamper(key, |account| change(&mut account.data));
        let planted = self.shared(key).expect("it was just planted");
        self.now.insert(*key, planted);
        self.dirty.insert(*key);
    }

    /// Changes a record's fixed part behind the program's back.
    pub fn plant<T: Pod>(&mut self, key: &Pubkey, change: impl FnOnce(&mut T)) {
        self.plant_bytes(key, |bytes| change(bytemuck::from_bytes_mut(&mut bytes[..size_of::<T>()])));
    }

    /// A record's fixed part as it is now.
    pub fn record<T: Pod>(&self, key: &Pubkey) -> Option<T> {
        let account = self.world.svm.accounts_db().get_account_ref(key)?;
        (account.lamports() > 0).then(|| bytemuck::pod_read_unaligned(&account.data()[..size_of::<T>()]))
    }

    /// An account's bytes as they are now; empty where there is none.
    pub fn bytes(&self, key: &Pubkey) -> &[u8] {
        self.world.svm.accounts_db().get_account_ref(key).map_or(&[], |account| account.data())
    }

    /// Sends one instruction and says which of the program's accounts are others than before, or why it was refused.
    ///
    /// # Errors
    /// The program's own.
    ///
    /// # Panics
    /// It failed otherwise, or was refused and something changed all the same.
    #[track_caller]
    pub fn send(&mut self, instruction: &Instruction) -> Result<Vec<Pubkey>, ErrorCode> {
        let transaction = Transaction::new_with_payer(std::slice::from_ref(instruction), Some(&self.payer));
        let result = self.world.svm.send_transaction(transaction);
        let ours = |account: &&AccountSharedData| account.lamports() > 0 && *account.owner() == instruction.program_id;
        let after = |key: &Pubkey| self.world.svm.accounts_db().get_account_ref(key).filter(ours);
        // The runtime lets an instruction change nothing else.
        let writable: BTreeSet<Pubkey> =
            instruction.accounts.iter().filter(|meta| meta.is_writable).map(|meta| meta.pubkey).collect();
        let changed: Vec<Pubkey> = writable.into_iter().filter(|key| after(key) != self.now.get(key)).collect();
        match result {
            Ok(done) => {
                self.cu = done.compute_units_consumed;
                self.dirty.extend(&changed);
                for key in &changed {
                    match self.shared(key) {
                        Some(account) => self.now.insert(*key, account),
                        None => self.now.remove(key),
                    };
                }
                Ok(changed)
            }
            Err(failed) => {
                self.cu = failed.meta.compute_units_consumed;
                assert!(changed.is_empty(), "{:?} and yet {changed:?} changed", failed.err);
                match failed.err {
                    TransactionError::InstructionError(_, InstructionError::Custom(code)) => {
                        Err(ErrorCode::from_code(code).expect("a code of the program"))
                    }
                    other => panic!("{other:?}\n{}", failed.meta.logs.join("\n")),
                }
            }
        }
    }
}
