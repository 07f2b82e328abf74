//! What an instruction needs of the runtime, whoever writes the program.
//!
//! Calls of other programs and logs are counted in the transaction's own log, and address searches from the accounts
//! that it created. What leaves no trace there is declared here.

use causeway_interface::instruction::Tag;
use solana_sdk::pubkey::Pubkey;

use crate::World;

/// How the runtime's log begins a call of the system program, which creates accounts and moves lamports.
const CALL: &str = "Program 11111111111111111111111111111111 invoke [2]";
/// How it begins logged data.
const DATA: &str = "Program data: ";

/// An address that has to be found.
#[derive(Clone, Debug)]
pub struct Search {
    /// Its seeds before the bump.
    pub seeds: [Vec<u8>; 2],
    /// Its bump: each one above it was tried before.
    pub bump: u8,
}

impl Search {
    /// The search for the address of these seeds under a program.
    pub fn new(program: &Pubkey, seeds: [&[u8]; 2]) -> (Self, Pubkey) {
        let (address, bump) = Pubkey::find_program_address(&seeds, program);
        (Self { seeds: seeds.map(<[u8]>::to_vec), bump }, address)
    }

    /// Candidates that have to be looked at.
    pub fn steps(&self) -> u64 {
        u64::from(u8::MAX - self.bump) + 1
    }
}

/// An account that was created.
#[derive(Clone, Debug)]
pub struct Creation {
    /// The search for its address.
    pub search: Search,
    /// Its length in bytes.
    pub len: usize,
}

impl Creation {
    /// The account at the address of these seeds.
    ///
    /// # Panics
    /// There is none.
    pub fn of(world: &World, seeds: [&[u8]; 2]) -> Self {
        let (search, address) = Search::new(&world.ix.addresses().program_id, seeds);
        let account = world.account(&address).unwrap_or_else(|| panic!("nothing was created at {address}"));
        Self { search, len: account.data.len() }
    }
}

/// What one instruction needs.
#[derive(Clone, Debug, Default)]
pub struct Needs {
    /// Accounts that it is given.
    pub accounts: usize,
    /// Accounts that it creates.
    pub creations: Vec<Creation>,
    /// Addresses that it proves without creating anything there.
    pub proofs: Vec<Search>,
    /// Times that it moves lamports by the system program.
    pub transfers: usize,
    /// Events that it logs.
    pub events: usize,
    /// Times that it reads what rent is computed from.
    pub rents: usize,
    /// Times that it zeroes memory.
    pub zeroes: usize,
    /// Times that it moves memory.
    pub moves: usize,
}

impl Needs {
    /// Those of a transaction with one instruction, from its log.
    ///
    /// # Panics
    /// The log shows fewer calls than creations.
    pub fn new(tag: Tag, more_accounts: usize, creations: Vec<Creation>, logs: &[String]) -> Self {
        let lines = |beginning: &str| logs.iter().filter(|line| line.starts_with(beginning)).count();
        let transfers = lines(CALL).checked_sub(creations.len()).expect("each creation is a call");
        let (zeroes, moves) = memory(tag);
        Self {
            accounts: tag.accounts().len() + more_accounts,
            rents: usize::from(!creations.is_empty() || transfers > 0 || tag == Tag::RemoveInterface),
            creations,
            proofs: Vec::new(),
            transfers,
            events: lines(DATA),
            zeroes,
            moves,
        }
    }

    /// Steps of all its address searches.
    pub fn steps(&self) -> u64 {
        self.creations.iter().map(|c| c.search.steps()).chain(self.proofs.iter().map(Search::steps)).sum()
    }
}

/// How often an instruction zeroes and moves memory: closing wipes an account, removing closes the gap in a list.
fn memory(tag: Tag) -> (usize, usize) {
    match tag {
        Tag::CloseRegistry => (1, 0),
        Tag::CloseDevice | Tag::CloseLink => (2, 0),
        Tag::RemoveInterface => (1, 1),
        _ => (0, 0),
    }
}
