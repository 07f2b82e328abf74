//! What each command does to the model, or for which reasons it is refused.
//!
//! Written from the design, not from the program: nothing here calls the program's state machines, quorum or pools. A
//! command that breaks several rules may be refused for any of them, since no rule of the design orders them; nearly
//! all break one, and are then predicted to the code.

mod device;
mod health;
mod interface;
mod link;
mod network;
mod registry;

pub use health::{rank_of, since};

use std::collections::BTreeSet;

use causeway_interface::{ErrorCode, Prefix};

use super::{
    command::{Around, Command, What},
    state::{Actor, Id, Model, Network, Stamp},
};

/// Done, or the codes that are right for the refusal.
pub type Verdict = Result<(), BTreeSet<ErrorCode>>;

/// Rules that a command breaks.
#[derive(Default)]
struct Broken(BTreeSet<ErrorCode>);

impl Broken {
    /// A rule, and the code for breaking it.
    fn unless(&mut self, holds: bool, code: ErrorCode) {
        if !holds {
            self.0.insert(code);
        }
    }

    /// Refused here if any rule so far is broken: what follows could not be asked.
    fn so_far(&self) -> Verdict {
        if self.0.is_empty() { Ok(()) } else { Err(self.0.clone()) }
    }

    /// Something that a command names is not there.
    fn missing<T>(mut self) -> Result<T, BTreeSet<ErrorCode>> {
        self.0.insert(ErrorCode::WrongOwner);
        Err(self.0)
    }
}

/// The sender's idea of the sequence is right, or the sender has none.
fn fresh(command: &Command, stamp: &Stamp) -> bool {
    command.expect.is_none_or(|expected| expected == stamp.sequence)
}

impl Model {
    /// Predicts a command and, where it is accepted, does it.
    pub fn step(&mut self, command: &Command) -> Verdict {
        if let What::Warp(slots) = command.what {
            self.slot += slots;
            return Ok(());
        }
        if self.network.is_none() && !matches!(command.what, What::InitNetwork { .. }) {
            // Only a sequence that has been cut down to less than its beginning comes here.
            return Err(ErrorCode::ALL.iter().copied().collect());
        }
        match &command.what {
            What::Warp(_) => Ok(()),
            What::InitNetwork { .. }
            | What::UpdateNetwork(_)
            | What::SetPaused(_)
            | What::SetOracleSet { .. }
            | What::ProposeAuthority(_)
            | What::AcceptAuthority
            | What::ExtendPrefixTable { .. } => network::step(self, command),
            What::CreateContributor { .. }
            | What::UpdateContributor { .. }
            | What::SetRegistryStatus { .. }
            | What::CloseRegistry { .. }
            | What::CreateLocation { .. }
            | What::UpdateLocation { .. }
            | What::CreateExchange { .. }
            | What::UpdateExchange { .. } => registry::step(self, command),
            What::CreateDevice { .. }
            | What::UpdateDevice { .. }
            | What::ProvisionDevice { .. }
            | What::SetDeviceDesired { .. }
            | What::SuspendDevice { .. }
            | What::ResumeDevice { .. }
            | What::RejectDevice { .. }
            | What::DeleteDevice { .. }
            | What::CloseDevice { .. } => device::step(self, command),
            What::AddInterface { .. } | What::UpdateInterface { .. } | What::RemoveInterface { .. } => {
                interface::step(self, command)
            }
            What::CreateLink { .. }
            | What::AcceptLink { .. }
            | What::RejectLink { .. }
            | What::ProvisionLink { .. }
            | What::UpdateLink { .. }
            | What::SetLinkDesired { .. }
            | What::SuspendLink { .. }
            | What::ResumeLink { .. }
            | What::DeleteLink { .. }
            | What::CloseLink { .. } => link::step(self, command),
            What::Attest { .. }
            | What::AdvanceDevice { .. }
            | What::AdvanceLink { .. }
            | What::ExtendAttestations { .. } => health::step(self, command),
        }
    }

    /// The network, which exists by the time anything else is asked.
    pub fn net(&self) -> &Network {
        self.network.as_ref().expect("commands before the network are answered before the rules")
    }

    fn net_mut(&mut self) -> &mut Network {
        self.network.as_mut().expect("commands before the network are answered before the rules")
    }

    fn is_authority(&self, actor: Actor) -> bool {
        self.net().authority == actor
    }

    fn owns(&self, actor: Actor, contributor: Id) -> bool {
        self.contributors.get(&contributor).is_some_and(|c| c.owner == actor)
    }

    fn operates(&self, actor: Actor, contributor: Id) -> bool {
        self.owns(actor, contributor)
            || self.contributors.get(&contributor).is_some_and(|c| c.operations == Some(actor))
    }

    /// Contributor, location and exchange exist.
    fn stands(&self, around: &Around) -> bool {
        self.contributors.contains_key(&around.contributor)
            && self.locations.contains_key(&around.location)
            && self.exchanges.contains_key(&around.exchange)
    }

    /// Contributor, location and exchange are in good standing.
    fn in_good_standing(&self, around: &Around) -> bool {
        !self.contributors[&around.contributor].suspended
            && !self.locations[&around.location].suspended
            && !self.exchanges[&around.exchange].suspended
    }

    /// An instruction has changed a contributor and what devices stand at, by one each.
    fn touch_around(&mut self, around: &Around) {
        let Around { contributor, location, exchange } = around;
        self.touch_contributor(*contributor);
        if let Some(location) = self.locations.get_mut(location) {
            location.stamp.sequence += 1;
        }
        if let Some(exchange) = self.exchanges.get_mut(exchange) {
            exchange.stamp.sequence += 1;
        }
    }

    fn touch_contributor(&mut self, contributor: Id) {
        if let Some(contributor) = self.contributors.get_mut(&contributor) {
            contributor.stamp.sequence += 1;
        }
    }

    fn touch_device(&mut self, device: Id) {
        if let Some(device) = self.devices.get_mut(&device) {
            device.stamp.sequence += 1;
        }
    }
}

/// The lowest value that is not in use.
fn lowest_free(mut values: impl Iterator<Item = u32>, used: &BTreeSet<u32>) -> Option<u32> {
    values.find(|value| !used.contains(value))
}

/// Addresses that no interface and no dz prefix has: this network, loopback, and multicast and beyond.
fn is_unusable(address: u32) -> bool {
    matches!(address >> 24, 0 | 127 | 224..)
}

fn is_network(prefix: &Prefix) -> bool {
    prefix.len <= 32 && prefix.addr.to_u32().trailing_zeros() >= 32 - u32::from(prefix.len)
}
