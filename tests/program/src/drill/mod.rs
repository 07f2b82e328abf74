//! Every valid instruction broken in one place at a time, and the exact error that each fault must meet.
//!
//! A [`Case`] declares one valid instruction: the state it needs, its accounts and data, and what the program checks of
//! them in which order. [`run`] first proves it valid, then breaks it in one place after the other ([`faults`]). What
//! has to happen follows from the declaration and from what was put in ([`expect`]), never from what the program said.
//! After every refusal the accounts are what they were.
//!
//! What a drill does not do: it breaks one thing at a time, so that the order of checks of different accounts shows
//! only where one fault breaks several; signatures themselves, which the runtime checks, are never made.
//!
//! A fault that the declaration lets through has to be declared as such, with a reason; one that never occurs may not
//! be declared.

mod case;
mod checks;
mod data;
mod device;
mod device_end;
mod expect;
mod faults;
mod health;
mod interface;
mod link;
mod link_close;
mod link_life;
mod network;
mod registry;
mod run;
mod town;

use std::cell::RefCell;

use solana_sdk::{instruction::Instruction, signature::Keypair};

pub use case::{Break, Case, Lands};
pub use data::undefined_tags;
pub use run::{Report, run};
pub use town::Town;

use crate::World;

/// Cases of the network itself.
pub fn network_cases() -> Vec<Case> {
    network::cases()
}

/// Cases of contributors, locations and exchanges.
pub fn registry_cases() -> Vec<Case> {
    registry::cases()
}

/// Cases of devices and their interfaces.
pub fn device_cases() -> Vec<Case> {
    [device::cases(), interface::cases(), device_end::cases()].into_iter().flatten().collect()
}

/// Cases of links.
pub fn link_cases() -> Vec<Case> {
    link::cases()
}

/// Cases of attestations, and of `Advance`.
pub fn health_cases() -> Vec<Case> {
    health::cases()
}

thread_local! {
    static OVERHEARD: RefCell<Option<Instruction>> = const { RefCell::new(None) };
}

/// Notes what a [`World`] is about to send, so that a case can be made of what the harness sends by itself.
pub(crate) fn attend(_: &World, instructions: &[Instruction], _: &[&Keypair]) {
    OVERHEARD.with_borrow_mut(|last| *last = instructions.last().cloned());
}

/// The last instruction that a [`World`] of this thread has sent.
pub(crate) fn overheard() -> Instruction {
    OVERHEARD.with_borrow(Clone::clone).expect("a world has sent something")
}
