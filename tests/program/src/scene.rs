//! A few accounts for very many cases: planted, acted on, compared with what they were, and put back.
//!
//! Transactions are not signed here. The program sees the signer flags of a message and never a signature, and three
//! times as many cases fit into a second; [`World::send`] signs, and the drills hold what an absent signature does.

use std::collections::BTreeMap;

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
}

impl Scene {
    /// The program's accounts in `world` as they are: base 0.
    pub fn new(mut world: World) -> Self {
        let payer = world.somebody().pubkey();
        world.svm = std::mem::take(&mut world.svm)
            .with_sigverify(false)
            .with_blockhash_check(false)
            .with_transaction_history(0);
        let mut scene = Self { world, payer, bases: Vec::new(), cu: 0, now: Kept::new() };
        scene.keep();
        scene
    }

    /// Makes what is there now a base to return to, and says which.
    pub fn keep(&mut self) -> usize {
        self.now = self.read();
        self.bases.push(self.now.clone());
        self.bases.len() - 1
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
        let absent = AccountSharedData::default();
        let gone = self.now.keys().filter(|key| !wanted.contains_key(key)).map(|key| (key, &absent));
        let differs = wanted.iter().filter(|(key, account)| self.now.get(key) != Some(account));
        let changes: Vec<_> =
            gone.chain(differs).map(|(key, account)| (*key, Account::from(account.clone()))).collect();
        for (key, account) in changes {
            self.world.svm.set_account(key, account).expect("the account is put back");
        }
        self.now = self.bases[base].clone();
    }

    /// Changes an account's bytes behind the program's back.
    pub fn plant_bytes(&mut self, key: &Pubkey, change: impl FnOnce(&mut [u8])) {
        self.world.tamper(key, |account| change(&mut account.data));
        let planted = self.shared(key).expect("it was just planted");
        self.now.insert(*key, planted);
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
        let after = |key: &Pubkey| self.world.svm.accounts_db().get_account_ref(key).filter(|a| a.lamports() > 0);
        let passed = instruction.accounts.iter().map(|meta| meta.pubkey);
        // Accounts that came to be are among those that were passed.
        let created = passed.filter(|key| {
            let ours = |account: &&AccountSharedData| *account.owner() == instruction.program_id;
            !self.now.contains_key(key) && after(key).filter(ours).is_some()
        });
        let changed: Vec<Pubkey> = self
            .now
            .iter()
            .filter(|(key, account)| after(key) != Some(*account))
            .map(|(key, _)| *key)
            .chain(created)
            .collect();
        match result {
            Ok(done) => {
                self.cu = done.compute_units_consumed;
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
