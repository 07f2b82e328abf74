//! What a site file would change on a ledger: a value that can be printed, compared and tested.
//!
//! Pure: a site and a snapshot in, a [`Plan`] out. Every object of the site has one item, in dependency order:
//! registry, devices, links. Objects of the ledger that the site does not name are left alone.
//!
//! Two things are the operator's and never planned: a desired status that differs on the ledger (somebody may be at
//! work on a drained router; `set-desired` is the way), and what can't be changed in place (a device's contributor,
//! type or place, a link's ends): the item is blocked and says what to do.

mod objects;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use causeway_interface::{Code, InterfaceName};
use causeway_sdk::Snapshot;
use serde::Serialize;

use crate::site::Site;

/// What kind of object an item is about.
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
    /// The name that people see.
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

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.name())
    }
}

/// One thing to do to an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Step {
    /// Register it.
    Create,
    /// Change its fields.
    Update,
    /// Add an interface.
    AddInterface(InterfaceName),
    /// Change an interface.
    UpdateInterface(InterfaceName),
    /// Provision the device.
    ProvisionDevice,
    /// Accept the link at side Z.
    Accept,
    /// Change the figures of a link that was just registered: its delay override.
    SetFigures,
    /// Provision the link.
    ProvisionLink,
}

/// Levels of dependency: everything of one level can be done at once, once the level before it is done.
pub const LEVELS: usize = 6;

impl Step {
    /// The level of this step for an object of this kind.
    pub const fn level(self, kind: Kind) -> usize {
        match (self, kind) {
            (Self::Create | Self::Update, Kind::Contributor | Kind::Location | Kind::Exchange) => 0,
            (Self::Create | Self::Update | Self::AddInterface(_) | Self::UpdateInterface(_), Kind::Device) => 1,
            (Self::ProvisionDevice, _) => 2,
            (Self::Create, Kind::Link) => 3,
            (Self::Accept, _) => 4,
            (Self::ProvisionLink | Self::SetFigures | Self::Update, _) => 5,
            (Self::AddInterface(_) | Self::UpdateInterface(_), _) => 1,
        }
    }

    /// The words that people see.
    pub fn words(self) -> String {
        match self {
            Self::Create => "create".into(),
            Self::Update => "update".into(),
            Self::AddInterface(name) => format!("add interface {name}"),
            Self::UpdateInterface(name) => format!("update interface {name}"),
            Self::ProvisionDevice | Self::ProvisionLink => "provision".into(),
            Self::Accept => "accept".into(),
            Self::SetFigures => "set figures".into(),
        }
    }
}

/// What the plan does to an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// It is not there yet.
    Create,
    /// It is there and differs, or is not as far as it should be.
    Change,
    /// It is as the site says.
    Nothing,
    /// It differs, and nothing can be done about it from here.
    Blocked,
}

impl Action {
    /// The name that people see.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Change => "change",
            Self::Nothing => "nothing",
            Self::Blocked => "blocked",
        }
    }
}

/// An object of the site.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Item {
    /// Kind.
    pub kind: Kind,
    /// Code.
    pub code: Code,
    /// Index in the site's list of its kind.
    pub index: usize,
    /// What is done.
    pub action: Action,
    /// How, in order.
    pub steps: Vec<Step>,
    /// Which fields differ, from what to what.
    pub changes: Vec<String>,
    /// What can't be done, and what to do about it.
    pub blocked: Option<String>,
    /// What somebody should know.
    pub note: Option<String>,
}

/// What a site would change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Plan {
    /// Slot of the snapshot that it was made from.
    pub slot: u64,
    /// Every object of the site, in dependency order.
    pub items: Vec<Item>,
}

/// Why no plan can be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// The program holds no network.
    #[error("program {program_id} holds no network")]
    NoNetwork {
        /// The program.
        program_id: causeway_interface::Key,
    },
    /// A plan on half the truth would create what is there.
    #[error("{count} accounts of the program can't be decoded; the first is {first}: {error}")]
    Undecodable {
        /// How many.
        count: usize,
        /// The first one's address.
        first: causeway_interface::Key,
        /// Why.
        error: String,
    },
}

impl Plan {
    /// Steps that it consists of.
    pub fn step_count(&self) -> usize {
        self.items.iter().map(|item| item.steps.len()).sum()
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.step_count() == 0
    }

    /// Items that are blocked, in whole or in part.
    pub fn blocked(&self) -> impl Iterator<Item = &Item> {
        self.items.iter().filter(|item| item.blocked.is_some())
    }

    /// How many items have each action, by kind.
    pub fn counts(&self) -> BTreeMap<(Kind, Action), usize> {
        let mut counts = BTreeMap::new();
        for item in &self.items {
            *counts.entry((item.kind, item.action)).or_default() += 1;
        }
        counts
    }
}

/// Compares a site with a ledger.
///
/// # Errors
/// The ledger holds no network, or accounts that can't be read.
pub fn plan(site: &Site, snapshot: &Snapshot) -> Result<Plan, PlanError> {
    if let Some(first) = snapshot.undecodable.first() {
        let (count, error) = (snapshot.undecodable.len(), first.error.clone());
        return Err(PlanError::Undecodable { count, first: first.address, error });
    }
    if snapshot.network.is_none() {
        return Err(PlanError::NoNetwork { program_id: snapshot.program_id });
    }
    let mut items = objects::registry(site, snapshot);
    let devices = objects::devices(site, snapshot);
    let links = objects::links(site, snapshot, &devices);
    items.extend(devices);
    items.extend(links);
    Ok(Plan { slot: snapshot.slot, items })
}
