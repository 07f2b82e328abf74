//! What a case declares.

use causeway_interface::instruction::{AccountSpec, Tag};
use solana_sdk::instruction::Instruction;

use super::{checks::Check, town::Town};

/// One valid instruction, and what the program checks of it.
pub struct Case {
    /// What it is, among the cases of its tag.
    pub name: &'static str,
    /// The instruction.
    pub tag: Tag,
    /// Accounts that follow those of the tag.
    pub more: &'static [AccountSpec],
    /// Where it happens.
    pub town: fn() -> Town,
    /// Brings the town into the state that it needs, and makes the instruction.
    pub instruction: fn(&mut Town) -> Instruction,
    /// What the program checks, in its order.
    pub checks: Vec<Check>,
    /// What may be otherwise all the same.
    pub lands: Vec<Lands>,
}

/// A fault that is none for an instruction.
#[derive(Clone, Copy, Debug)]
pub struct Lands {
    /// The account's role.
    pub slot: &'static str,
    /// What is done to it.
    pub what: Break,
    /// Why that is right.
    pub why: &'static str,
}

/// What is done to one account of an instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Break {
    /// Another account is put in its place.
    Swapped,
    /// Its writable flag is cleared.
    ReadOnly,
}

/// Another account in this place is right, because.
pub const fn swap(slot: &'static str, why: &'static str) -> Lands {
    Lands { slot, what: Break::Swapped, why }
}

/// This account may be read-only, because.
pub const fn read_only(slot: &'static str, why: &'static str) -> Lands {
    Lands { slot, what: Break::ReadOnly, why }
}

impl Case {
    /// A case in a [`Town`] with accounts as the tag has them.
    pub fn new(
        tag: Tag,
        name: &'static str,
        instruction: fn(&mut Town) -> Instruction,
        checks: Vec<Check>,
        lands: &[Lands],
    ) -> Self {
        Self { name, tag, more: &[], town: Town::new, instruction, checks, lands: lands.to_vec() }
    }

    /// With accounts that follow those of the tag.
    pub fn followed_by(self, more: &'static [AccountSpec]) -> Self {
        Self { more, ..self }
    }

    /// Its accounts' roles.
    pub fn slots(&self) -> Vec<AccountSpec> {
        self.tag.accounts().iter().chain(self.more).copied().collect()
    }
}
