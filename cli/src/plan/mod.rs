//! What a site file would change on a ledger: a value that can be printed, compared and carried out.
//!
//! [`plan`] is pure: the same site and the same snapshot give the same plan. It creates and changes; it never deletes,
//! and what the ledger has beyond the site is left alone. A plan against what it has brought about is empty, so that
//! applying is safe to repeat and goes on where it stopped.
//!
//! What can't be reached from what is there (a device of another contributor, a link with other ends) is a conflict:
//! nothing is carried out then.

mod device;
mod link;
mod registry;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use causeway_interface::{
    Code, InterfaceName, Key,
    instruction::{
        CreateContributor, CreateDevice, CreateExchange, CreateLink, CreateLocation, SetInterface, UpdateContributor,
        UpdateDevice, UpdateExchange, UpdateLink, UpdateLocation,
    },
};
use causeway_sdk::{DeviceRefs, LinkRefs, Snapshot};
use serde::Serialize;

use crate::site::Site;

/// What has to be there before what: stages run one after the other, the steps of a stage at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// Contributors, locations, exchanges.
    Registry,
    /// Devices and their own fields.
    Devices,
    /// Interfaces, in the order of the file; the number keeps the pieces of a long list in order.
    Interfaces(u16),
    /// Addresses and segment ids of devices.
    ProvisionDevices,
    /// Links and their figures.
    Links,
    /// Side Z's consent.
    AcceptLinks,
    /// Figures that a creation can't carry.
    LinkFigures,
    /// Tunnel ids and nets.
    ProvisionLinks,
    /// Desired status of what exists.
    Desired,
}

/// What kind of object a step is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A contributor.
    Contributor,
    /// A location.
    Location,
    /// An exchange.
    Exchange,
    /// A device.
    Device,
    /// A link.
    Link,
}

impl Kind {
    /// The word that people see.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Contributor => "contributor",
            Self::Location => "location",
            Self::Exchange => "exchange",
            Self::Device => "device",
            Self::Link => "link",
        }
    }
}

/// Whose key signs a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Signer {
    /// The network's authority.
    Authority,
    /// The owner of this contributor.
    Owner(Code),
}

/// What a step does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Registers a contributor.
    CreateContributor(CreateContributor),
    /// Changes a contributor's keys.
    UpdateContributor(UpdateContributor),
    /// Registers a location.
    CreateLocation(CreateLocation),
    /// Changes a location.
    UpdateLocation(UpdateLocation),
    /// Registers an exchange.
    CreateExchange(CreateExchange),
    /// Changes an exchange.
    UpdateExchange(UpdateExchange),
    /// Registers a device of these parties.
    CreateDevice {
        /// Contributor, location and exchange.
        parents: [Code; 3],
        /// The device.
        data: Box<CreateDevice>,
    },
    /// Changes a device's own fields.
    UpdateDevice(DeviceRefs, Box<UpdateDevice>),
    /// Adds interfaces, in this order.
    AddInterfaces(DeviceRefs, Vec<SetInterface>),
    /// Changes interfaces.
    UpdateInterfaces(DeviceRefs, Vec<SetInterface>),
    /// Begins a device's provisioning.
    ProvisionDevice(DeviceRefs),
    /// Registers a link.
    CreateLink {
        /// Both devices.
        sides: [DeviceRefs; 2],
        /// The link.
        data: Box<CreateLink>,
    },
    /// Agrees to a link.
    AcceptLink(LinkRefs, InterfaceName),
    /// Changes a link's figures; the first is the signer's contributor.
    UpdateLink(Code, UpdateLink),
    /// Begins a link's provisioning.
    ProvisionLink(LinkRefs),
    /// Sets a device's desired status and advances it.
    SetDeviceDesired(DeviceRefs, u64, causeway_interface::DesiredStatus),
    /// Sets a link's desired status for the signer's side and advances it.
    SetLinkDesired(Code, LinkRefs, u64, causeway_interface::DesiredStatus),
}

impl Operation {
    /// The word that people see.
    pub const fn verb(&self) -> &'static str {
        match self {
            Self::CreateContributor(_)
            | Self::CreateLocation(_)
            | Self::CreateExchange(_)
            | Self::CreateDevice { .. }
            | Self::CreateLink { .. } => "create",
            Self::UpdateContributor(_)
            | Self::UpdateLocation(_)
            | Self::UpdateExchange(_)
            | Self::UpdateDevice(..)
            | Self::UpdateLink(..) => "change",
            Self::AddInterfaces(..) => "add interfaces",
            Self::UpdateInterfaces(..) => "change interfaces",
            Self::ProvisionDevice(_) | Self::ProvisionLink(_) => "provision",
            Self::AcceptLink(..) => "accept",
            Self::SetDeviceDesired(..) | Self::SetLinkDesired(..) => "set desired",
        }
    }
}

/// A field that changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    /// Its name.
    pub field: &'static str,
    /// What it is.
    pub from: String,
    /// What it is to be.
    pub to: String,
}

/// One transaction of a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// When.
    pub stage: Stage,
    /// About what.
    pub kind: Kind,
    /// Its code.
    pub code: Code,
    /// What is done.
    pub operation: Operation,
    /// Who signs.
    pub signer: Signer,
    /// What changes of something that exists.
    pub changes: Vec<Change>,
}

/// What stands in the way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Conflict {
    /// About what.
    pub kind: Kind,
    /// Its code.
    pub code: Code,
    /// What is wrong.
    pub message: String,
}

/// What is to be done, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// By stage, then by object.
    pub steps: Vec<Step>,
    /// Objects that need nothing.
    pub unchanged: usize,
    /// What stands in the way: nothing is carried out while there is any.
    pub conflicts: Vec<Conflict>,
    /// What will not be done, and why: devices without keys are registered and not provisioned.
    pub notes: Vec<Conflict>,
}

impl Plan {
    /// Whether there is nothing to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// Steps per kind and verb, for a summary.
    #[must_use]
    pub fn counts(&self) -> BTreeMap<(Kind, &'static str), usize> {
        let mut counts = BTreeMap::new();
        for step in &self.steps {
            *counts.entry((step.kind, step.operation.verb())).or_insert(0) += 1;
        }
        counts
    }

    /// Everyone whose signature is needed.
    #[must_use]
    pub fn signers(&self) -> std::collections::BTreeSet<Signer> {
        self.steps.iter().map(|s| s.signer).collect()
    }
}

/// Owners' keys by contributor, for contributors whose entry in the site names none.
pub type OwnerKeys = BTreeMap<Code, Key>;

/// What `site` would change on what `snapshot` holds.
#[must_use]
pub fn plan(site: &Site, snapshot: &Snapshot, owners: &OwnerKeys) -> Plan {
    let mut draft = Draft { snapshot, addresses: snapshot.addresses(), plan: Plan::default() };
    registry::plan(site, owners, &mut draft);
    device::plan(site, &mut draft);
    link::plan(site, &mut draft);
    let mut plan = draft.plan;
    // Stable: within a stage the order of the file.
    plan.steps.sort_by_key(|step| (step.stage, step.kind));
    plan
}

/// A plan in the making.
struct Draft<'a> {
    snapshot: &'a Snapshot,
    addresses: causeway_sdk::address::Addresses,
    plan: Plan,
}

impl Draft<'_> {
    fn step(
        &mut self,
        stage: Stage,
        subject: (Kind, Code),
        signer: Signer,
        operation: Operation,
        changes: Vec<Change>,
    ) {
        let (kind, code) = subject;
        self.plan.steps.push(Step { stage, kind, code, operation, signer, changes });
    }

    fn conflict(&mut self, (kind, code): (Kind, Code), message: String) {
        self.plan.conflicts.push(Conflict { kind, code, message });
    }

    fn note(&mut self, (kind, code): (Kind, Code), message: String) {
        self.plan.notes.push(Conflict { kind, code, message });
    }
}

/// Records a change where `from` and `to` differ.
fn differ<T: PartialEq + ToString>(changes: &mut Vec<Change>, field: &'static str, from: &T, to: &T) {
    if from != to {
        changes.push(Change { field, from: from.to_string(), to: to.to_string() });
    }
}
