//! What the ledger should hold: plain records under small numbers, and everything that can be counted left to count.
//!
//! Counters, pools and the prefix table are not kept here. They are worked out from devices and links whenever they
//! are compared, so that a counter of the program that drifts has nothing to drift along with.

use std::collections::{BTreeMap, BTreeSet};

use causeway_interface::{
    Country, DesiredStatus, DeviceHealth, DeviceStatus, DeviceType, InterfaceKind, InterfaceRole, LinkHealth,
    LinkStatus, LinkType, LoopbackType, Platform, Prefix, RejectReason,
};

use super::command::{Figures, Interface, Subject};

/// Number of a key pair that everybody knows: who signs.
pub type Actor = u8;
/// Number of a contributor, location, exchange, device or link: its code is a letter and this number.
pub type Id = u8;

/// What every account has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// Grows by one with every instruction that changes the account.
    pub sequence: u64,
    /// Slot of the last change of status.
    pub status_since: u64,
}

impl Stamp {
    /// Of an account that is created now.
    pub fn new(slot: u64) -> Self {
        Self { sequence: slot, status_since: slot }
    }
}

/// The network.
#[derive(Clone, Debug)]
pub struct Network {
    pub stamp: Stamp,
    pub paused: bool,
    pub authority: Actor,
    pub pending: Option<Actor>,
    pub epoch: u32,
    pub quorum: u8,
    pub oracles: Vec<Actor>,
    pub core_asn: u32,
    pub burn_in_new: u64,
    pub burn_in_maintenance: u64,
    pub max_age: u64,
    pub link_block: Prefix,
    pub loopback_block: Prefix,
    pub user_block: Prefix,
    /// Entries that the prefix table has been made larger by.
    pub table_grown: usize,
}

/// A contributor.
#[derive(Clone, Debug)]
pub struct Contributor {
    pub stamp: Stamp,
    pub suspended: bool,
    pub owner: Actor,
    pub operations: Option<Actor>,
}

/// A location or an exchange.
#[derive(Clone, Debug)]
pub struct Place {
    pub stamp: Stamp,
    pub suspended: bool,
    pub country: Country,
    pub lat_e6: i32,
    pub lng_e6: i32,
    /// Of an exchange.
    pub community: u16,
}

/// An interface as the ledger has it.
#[derive(Clone, Debug)]
pub struct Port {
    pub given: Interface,
    pub segment: u16,
    pub link: Option<Id>,
}

/// A device.
#[derive(Clone, Debug)]
pub struct Device {
    pub stamp: Stamp,
    pub status: DeviceStatus,
    pub health: DeviceHealth,
    pub health_since: u64,
    pub desired: DesiredStatus,
    pub suspended_from: DeviceStatus,
    pub reject_reason: RejectReason,
    pub device_type: DeviceType,
    pub platform: Platform,
    pub contributor: Id,
    pub location: Id,
    pub exchange: Id,
    pub public_ip: u32,
    pub prefixes: Vec<Prefix>,
    pub agent_key: u8,
    pub telemetry_key: u8,
    pub ports: Vec<Port>,
}

/// A link.
#[derive(Clone, Debug)]
pub struct Link {
    pub stamp: Stamp,
    pub status: LinkStatus,
    pub health: LinkHealth,
    pub health_since: u64,
    pub link_type: LinkType,
    pub suspended_from: LinkStatus,
    pub reject_reason: RejectReason,
    pub desired: [DesiredStatus; 2],
    pub devices: [Id; 2],
    pub contributors: [Id; 2],
    pub ports: [String; 2],
    /// Side Z holds its interface: at once for a WAN link, with its consent for a DZX link.
    pub attached: bool,
    pub figures: Figures,
    pub tunnel_id: u32,
    pub tunnel_net: Option<u32>,
}

/// One word of one oracle.
#[derive(Clone, Copy, Debug)]
pub struct Word {
    pub slot: u64,
    pub epoch: u32,
    pub verdict: u8,
    /// Height of what it says: 0 for none, 1 for the lower level, 2 for the upper.
    pub rank: u8,
    /// The maximum age when it was given: whether it carries on the word before it.
    pub max_age: u64,
    pub window: [u64; 2],
}

/// What oracles have said of a subject, in order, per place in the oracle set.
#[derive(Clone, Debug)]
pub struct Words {
    pub stamp: Stamp,
    pub places: Vec<Vec<Word>>,
}

/// A mistake that the model can be made to make, to see that one would be found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// One oracle less than the quorum is enough.
    SmallQuorum,
    /// A streak outlives a silence of any length.
    DeafStreak,
    /// Closing a link leaves side Z's interface held.
    HeldInterface,
    /// A drain in force does not show in what both sides want.
    LenientSide,
}

impl Flaw {
    pub const ALL: [Flaw; 4] = [Flaw::SmallQuorum, Flaw::DeafStreak, Flaw::HeldInterface, Flaw::LenientSide];
}

/// Everything.
#[derive(Clone, Debug, Default)]
pub struct Model {
    /// None, unless a test of the test wants one.
    pub flaw: Option<Flaw>,
    pub slot: u64,
    pub network: Option<Network>,
    pub contributors: BTreeMap<Id, Contributor>,
    pub locations: BTreeMap<Id, Place>,
    pub exchanges: BTreeMap<Id, Place>,
    pub devices: BTreeMap<Id, Device>,
    pub links: BTreeMap<Id, Link>,
    pub words: BTreeMap<Subject, Words>,
}

impl Device {
    pub fn port(&self, name: &str) -> Option<&Port> {
        self.ports.iter().find(|port| port.given.name == name)
    }

    pub fn port_mut(&mut self, name: &str) -> Option<&mut Port> {
        self.ports.iter_mut().find(|port| port.given.name == name)
    }

    /// Not on its way out.
    pub fn is_live(&self) -> bool {
        !matches!(self.status, DeviceStatus::Deleting | DeviceStatus::Rejected)
    }

    pub fn in_service(&self) -> bool {
        let served = |status| matches!(status, DeviceStatus::Activated | DeviceStatus::Drained);
        served(self.status) || self.status == DeviceStatus::Suspended && served(self.suspended_from)
    }

    pub fn has_cyoa(&self) -> bool {
        self.ports.iter().any(|port| port.given.role == InterfaceRole::Cyoa)
    }

    pub fn has_routing(&self, loopback: LoopbackType) -> bool {
        self.ports.iter().any(|port| port.given.loopback == loopback)
    }

    /// Sub-interfaces that stand on the port of this name.
    pub fn children<'d>(&'d self, name: &'d str) -> impl Iterator<Item = &'d Port> {
        self.ports
            .iter()
            .filter(|p| p.given.kind == InterfaceKind::SubInterface)
            .filter(move |p| p.given.name.rsplit_once('.').is_some_and(|(parent, _)| parent == name))
    }
}

impl Link {
    pub fn is_live(&self) -> bool {
        !matches!(self.status, LinkStatus::Deleting | LinkStatus::Rejected)
    }

    pub fn in_service(&self) -> bool {
        let served =
            |status| matches!(status, LinkStatus::Activated | LinkStatus::SoftDrained | LinkStatus::HardDrained);
        served(self.status) || self.status == LinkStatus::Suspended && served(self.suspended_from)
    }

    /// What both sides together want: the more careful of the two.
    pub fn wanted(&self) -> DesiredStatus {
        use DesiredStatus::{Activated, HardDrained, Pending, SoftDrained};
        [HardDrained, SoftDrained, Pending].into_iter().find(|d| self.desired.contains(d)).unwrap_or(Activated)
    }

    /// Whether it holds an interface of this device.
    pub fn holds(&self, device: Id) -> bool {
        self.devices[0] == device || self.attached && self.devices[1] == device
    }
}

impl Model {
    pub fn links_of(&self, device: Id) -> usize {
        self.links.values().filter(|link| link.holds(device)).count()
    }

    pub fn activated_links_of(&self, device: Id, link_type: LinkType) -> usize {
        let counts = |l: &&Link| l.holds(device) && l.status == LinkStatus::Activated && l.link_type == link_type;
        self.links.values().filter(counts).count()
    }

    pub fn sides_of(&self, contributor: Id) -> usize {
        let a = self.links.values().filter(|l| l.contributors[0] == contributor).count();
        a + self.links.values().filter(|l| l.attached && l.contributors[1] == contributor).count()
    }

    pub fn devices_by(&self, which: impl Fn(&Device) -> bool) -> usize {
        self.devices.values().filter(|device| which(device)).count()
    }

    /// Loopback addresses that devices have.
    pub fn loopbacks(&self) -> BTreeSet<u32> {
        let routing = self.devices.values().flat_map(|d| &d.ports).filter(|p| p.given.loopback != LoopbackType::None);
        routing.filter(|p| !p.given.address.is_none()).map(|p| p.given.address.addr.to_u32()).collect()
    }

    /// Segment ids that devices have.
    pub fn segments(&self) -> BTreeSet<u32> {
        let ports = self.devices.values().flat_map(|d| &d.ports);
        ports.filter(|p| p.segment != 0).map(|p| p.segment.into()).collect()
    }

    /// First addresses of the nets that links have.
    pub fn nets(&self) -> BTreeSet<u32> {
        self.links.values().filter_map(|l| l.tunnel_net).collect()
    }

    /// Tunnel ids that links have.
    pub fn tunnel_ids(&self) -> BTreeSet<u32> {
        self.links.values().map(|l| l.tunnel_id).filter(|id| *id != 0).collect()
    }

    /// Prefixes of all devices, as ascending ranges.
    pub fn prefixes(&self) -> Vec<(u32, u32)> {
        let mut all: Vec<_> = self.devices.values().flat_map(|d| &d.prefixes).map(|p| (p.first(), p.last())).collect();
        all.sort_unstable();
        all
    }

    /// The sequence of a contributor, location or exchange, device, link or network that a command is about.
    pub fn sequence(&self, subject: Subject) -> Option<u64> {
        match subject {
            Subject::Device(id) => self.devices.get(&id).map(|d| d.stamp.sequence),
            Subject::Link(id) => self.links.get(&id).map(|l| l.stamp.sequence),
        }
    }
}

/// Values that a pool can hand out, ascending.
pub fn nets_of(block: &Prefix) -> impl Iterator<Item = u32> + use<> {
    let (first, last) = (block.first(), block.last());
    (first..=last).step_by(2).take(65_536)
}

/// Loopbacks of a block: all addresses but the first and the last.
pub fn loopbacks_of(block: &Prefix) -> impl Iterator<Item = u32> + use<> {
    (block.first() + 1..block.last()).take(65_536)
}
