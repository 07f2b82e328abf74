//! The virtual machine with the program in it, and an initialised network.

use causeway_interface::{
    Code, ErrorCode, Key, Prefix,
    accounts::{Attestations, Contributor, Device, Exchange, Link, Location, Network, Pool, PrefixTable, Record},
    instruction::InitNetwork,
};
use causeway_sdk::{
    Instructions,
    address::{to_key, to_pubkey},
};
use litesvm::LiteSVM;
use solana_sdk::{
    account::Account,
    instruction::{Instruction, InstructionError},
    pubkey::Pubkey,
    signature::{Keypair, Signer},
    transaction::{Transaction, TransactionError},
};

use crate::artifact;

/// Burn-in before first service in a new [`World`], in slots.
pub const BURN_IN_NEW: u64 = 100;
/// Burn-in after maintenance in a new [`World`], in slots.
pub const BURN_IN_MAINTENANCE: u64 = 40;
/// Age at which an attestation no longer counts in a new [`World`], in slots.
pub const MAX_AGE: u64 = 20;
/// Slot at which a [`World`] begins: far enough that a window can lie before it.
pub const FIRST_SLOT: u64 = 1_000;
/// Lamports of everybody who pays.
const FUNDS: u64 = 1_000_000_000_000;
/// Where the loader's account of a program's data holds the upgrade authority: an option byte and a key.
const AUTHORITY_OPTION: usize = 12;

/// What a transaction that landed did.
#[derive(Debug)]
pub struct Done {
    /// Compute units of the whole transaction.
    pub cu: u64,
    /// Its log.
    pub logs: Vec<String>,
}

/// Why a transaction did not land.
#[derive(Debug)]
pub struct Failure {
    /// What the runtime says.
    pub error: TransactionError,
    /// Its log.
    pub logs: Vec<String>,
}

impl Failure {
    /// The program's error, if it is one.
    pub fn code(&self) -> Option<ErrorCode> {
        match &self.error {
            TransactionError::InstructionError(_, InstructionError::Custom(code)) => ErrorCode::from_code(*code),
            _ => None,
        }
    }
}

/// The virtual machine, the program in it, and who decides.
pub struct World {
    /// The virtual machine.
    pub svm: LiteSVM,
    /// Builders for the program's instructions.
    pub ix: Instructions,
    /// Who deployed the program.
    pub upgrade_authority: Keypair,
    /// The network's authority.
    pub authority: Keypair,
    /// The oracle set, in order.
    pub oracles: Vec<Keypair>,
    /// The current slot.
    pub slot: u64,
    pub(crate) addresses_given: u32,
}

impl World {
    /// The program, deployed, and no network.
    pub fn bare() -> Self {
        let program = Pubkey::new_from_array([7; 32]);
        let mut svm = LiteSVM::new();
        svm.add_program(program, &artifact::bytes()).expect("the program loads");
        let ix = Instructions::new(program);
        let upgrade_authority = Keypair::new();
        let address = ix.addresses().program_data();
        let mut data = svm.get_account(&address).expect("the loader's account of the program's data");
        data.data[AUTHORITY_OPTION] = 1;
        data.data[AUTHORITY_OPTION + 1..AUTHORITY_OPTION + 33].copy_from_slice(upgrade_authority.pubkey().as_ref());
        svm.set_account(address, data).expect("an upgrade authority");
        let authority = Keypair::new();
        let mut world =
            Self { svm, ix, upgrade_authority, authority, oracles: Vec::new(), slot: FIRST_SLOT, addresses_given: 0 };
        world.svm.warp_to_slot(FIRST_SLOT);
        for key in [world.upgrade_authority.pubkey(), world.authority.pubkey()] {
            world.fund(&key);
        }
        world
    }

    /// What a [`World`]'s network begins with.
    pub fn init_data(&self) -> InitNetwork {
        InitNetwork {
            authority: to_key(&self.authority.pubkey()),
            core_asn: 65_000,
            burn_in_new_slots: BURN_IN_NEW,
            burn_in_maintenance_slots: BURN_IN_MAINTENANCE,
            attestation_max_age_slots: MAX_AGE,
            link_block: prefix("172.16.0.0/16"),
            loopback_block: prefix("172.17.0.0/16"),
            user_block: prefix("172.18.0.0/16"),
        }
    }

    /// An initialised network with three oracles and a quorum of two.
    pub fn new() -> Self {
        Self::with_oracles(3, 2)
    }

    /// An initialised network with this oracle set.
    pub fn with_oracles(oracles: usize, quorum: u8) -> Self {
        let mut world = Self::bare();
        let data = world.init_data();
        world.init(data).expect("the network is created");
        world.set_oracles((0..oracles).map(|_| Keypair::new()).collect(), quorum).expect("an allowed oracle set");
        world
    }

    /// Creates the network.
    ///
    /// # Errors
    /// The program refuses.
    pub fn init(&mut self, data: InitNetwork) -> Result<Done, Failure> {
        let signer = self.upgrade_authority.insecure_clone();
        let ix = self.ix.init_network(&signer.pubkey(), &signer.pubkey(), data);
        self.send(&[ix], &[&signer])
    }

    /// Replaces the oracle set.
    ///
    /// # Errors
    /// The program refuses.
    pub fn set_oracles(&mut self, oracles: Vec<Keypair>, quorum: u8) -> Result<Done, Failure> {
        let keys: Vec<Key> = oracles.iter().map(|o| to_key(&o.pubkey())).collect();
        for oracle in &oracles {
            self.fund(&oracle.pubkey());
        }
        let ix = self.ix.set_oracle_set(&self.authority.pubkey(), keys, quorum, 0);
        let done = self.as_authority(ix)?;
        self.oracles = oracles;
        Ok(done)
    }

    /// Puts another binary in the program's place, as an upgrade does: every account stays as it is.
    pub fn upgrade(&mut self, program: &[u8]) {
        let id = self.ix.addresses().program_id;
        self.svm.add_program(id, program).expect("the program loads");
        self.warp(1);
    }

    /// Gives somebody lamports.
    pub fn fund(&mut self, key: &Pubkey) {
        self.svm.airdrop(key, FUNDS).expect("lamports");
    }

    /// A funded key.
    pub fn somebody(&mut self) -> Keypair {
        let key = Keypair::new();
        self.fund(&key.pubkey());
        key
    }

    /// Sends one transaction; the first signer pays.
    ///
    /// # Errors
    /// It did not land.
    pub fn send(&mut self, instructions: &[Instruction], signers: &[&Keypair]) -> Result<Done, Failure> {
        crate::drill::attend(self, instructions, signers);
        // Each transaction is another one, also when it says the same again.
        self.svm.expire_blockhash();
        let payer = signers.first().map(|s| s.pubkey());
        let blockhash = self.svm.latest_blockhash();
        let transaction = Transaction::new_signed_with_payer(instructions, payer.as_ref(), signers, blockhash);
        match self.svm.send_transaction(transaction) {
            Ok(meta) => Ok(Done { cu: meta.compute_units_consumed, logs: meta.logs }),
            Err(failed) => Err(Failure { error: failed.err, logs: failed.meta.logs }),
        }
    }

    /// Sends one instruction that its signer pays for.
    ///
    /// # Errors
    /// It did not land.
    pub fn by(&mut self, signer: &Keypair, instruction: Instruction) -> Result<Done, Failure> {
        self.send(&[instruction], &[signer])
    }

    /// Sends one instruction of the authority.
    ///
    /// # Errors
    /// It did not land.
    pub fn as_authority(&mut self, instruction: Instruction) -> Result<Done, Failure> {
        let authority = self.authority.insecure_clone();
        self.send(&[instruction], &[&authority])
    }

    /// Goes on by so many slots.
    pub fn warp(&mut self, slots: u64) {
        self.slot += slots;
        self.svm.warp_to_slot(self.slot);
    }

    /// The account at an address, if it exists.
    pub fn account(&self, address: &Pubkey) -> Option<Account> {
        self.svm.get_account(address).filter(|account| account.lamports > 0)
    }

    /// The record at an address.
    ///
    /// # Panics
    /// There is none, or it is malformed.
    pub fn record<T: Record>(&self, address: &Pubkey) -> T {
        let account = self.account(address).unwrap_or_else(|| panic!("no account at {address}"));
        T::decode(&account.data).unwrap_or_else(|error| panic!("{address}: {error}"))
    }

    /// The network.
    pub fn network(&self) -> Network {
        self.record(&self.ix.addresses().network())
    }

    /// A contributor.
    pub fn contributor(&self, code: &Code) -> Contributor {
        self.record(&self.ix.addresses().contributor(code))
    }

    /// A location.
    pub fn location(&self, code: &Code) -> Location {
        self.record(&self.ix.addresses().location(code))
    }

    /// An exchange.
    pub fn exchange(&self, code: &Code) -> Exchange {
        self.record(&self.ix.addresses().exchange(code))
    }

    /// A device.
    pub fn device(&self, code: &Code) -> Device {
        self.record(&self.ix.addresses().device(code))
    }

    /// A link.
    pub fn link(&self, code: &Code) -> Link {
        self.record(&self.ix.addresses().link(code))
    }

    /// What the oracles say of a subject.
    pub fn attestations(&self, subject: &Key) -> Attestations {
        self.record(&self.ix.addresses().attestations(subject))
    }

    /// A pool.
    pub fn pool(&self, kind: causeway_interface::PoolKind) -> Pool {
        self.record(&self.ix.addresses().pool(kind))
    }

    /// The table of dz prefixes.
    pub fn prefix_table(&self) -> PrefixTable {
        self.record(&self.ix.addresses().prefix_table())
    }

    /// Changes an account's bytes behind the program's back.
    pub fn tamper(&mut self, address: &Pubkey, change: impl FnOnce(&mut Account)) {
        let mut account = self.account(address).unwrap_or_else(|| panic!("no account at {address}"));
        change(&mut account);
        self.svm.set_account(*address, account).expect("the account is replaced");
    }

    /// The address of a key.
    pub fn address(&self, key: &Key) -> Pubkey {
        to_pubkey(key)
    }
}

impl Default for World {
    fn default() -> Self {
        Self::new()
    }
}

/// A code from text.
pub fn code(text: &str) -> Code {
    text.parse().unwrap_or_else(|error| panic!("{error}"))
}

/// A prefix from text.
pub fn prefix(text: &str) -> Prefix {
    text.parse().unwrap_or_else(|error| panic!("{error}"))
}

/// The program's error of a transaction that must not land.
///
/// # Panics
/// It landed, or failed for another reason than the program's refusal.
#[track_caller]
pub fn refused(result: Result<Done, Failure>) -> ErrorCode {
    match result {
        Ok(_) => panic!("it landed"),
        Err(failure) => failure.code().unwrap_or_else(|| panic!("{:?}\n{}", failure.error, failure.logs.join("\n"))),
    }
}
