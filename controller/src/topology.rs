//! The ledger as a network: devices and circuits that can be told to a router, and what is wrong with the others.
//!
//! Pure and borrowed from one [`Snapshot`]; sorted by code, so that nothing depends on the order in which a node of the
//! ledger answered. It decides nothing about configuration.
//!
//! It guarantees that a record which is not sound is in [`Topology::faults`] and nowhere else taken for granted: no
//! default stands in for what could not be read. It never fails as a whole: one broken record is that record's fault.

use std::collections::BTreeMap;

use causeway_interface::{
    Code, DeviceStatus, InterfaceKind, InterfaceName, Ip4, Key, LinkStatus, LoopbackType, Platform, Prefix,
    accounts::{Device, Interface, Link, Network},
    values,
};
use causeway_sdk::snapshot::Snapshot;

use crate::names;

/// Why a record can't be used. Each has a code that operators can look up.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The account's bytes are not what its type says.
    #[error("the account can't be decoded: {0}")]
    Undecodable(String),
    /// Its code is not a code.
    #[error("its code is not 1 to 32 characters of a-z, 0-9, _ and -")]
    Code,
    /// Another record of the same type has the same code.
    #[error("another record has the same code")]
    CodeTwice,
    /// An interface's name can't be written into a configuration.
    #[error("interface {index} has no valid name")]
    InterfaceName {
        /// Place in the device's list.
        index: usize,
    },
    /// Two interfaces have one name, or names that the router takes for one interface.
    #[error("interface {name} is there twice")]
    InterfaceTwice {
        /// The name.
        name: String,
    },
    /// The router has no interface of this kind with such a name, or several.
    #[error("{name} is not the name of one interface of its kind on a router with {family}")]
    InterfaceForeign {
        /// The name.
        name: String,
        /// What the router runs.
        family: Platform,
    },
    /// The operating system has no interface of such a name.
    #[error("interface {name} has a name of {} bytes, and Linux has {most} at most", name.len())]
    PortName {
        /// The name.
        name: String,
        /// Longest name, in bytes.
        most: usize,
    },
    /// The router takes a sub-interface's VLAN from its name.
    #[error("interface {name} has VLAN {vlan}, and its name does not end with .{vlan}")]
    VlanName {
        /// The sub-interface.
        name: String,
        /// What the ledger says.
        vlan: u16,
    },
    /// An address with host bits that can't be, or of an impossible length.
    #[error("interface {name} has an impossible address")]
    InterfaceAddress {
        /// The interface.
        name: String,
    },
    /// A sub-interface without VLAN or without a port to stand on.
    #[error("sub-interface {name} has no VLAN of 1 to 4094, or its name no port or channel that it stands on")]
    SubInterface {
        /// The interface.
        name: String,
    },
    /// The management VRF's name can't be written into a configuration.
    #[error("the management VRF has no valid name")]
    VrfName,
    /// A routing loopback is missing, there twice, or has no host address.
    #[error("the {kind} loopback is missing, there twice, or without a /32 address")]
    Loopback {
        /// Which.
        kind: LoopbackType,
    },
    /// Two devices have one loopback address.
    #[error("loopback address {address} is also that of device {other}")]
    LoopbackTaken {
        /// The address.
        address: Ip4,
        /// The other device.
        other: Code,
    },
    /// An interface is held by a link that the snapshot doesn't have.
    #[error("interface {name} is held by link {link}, which can't be read")]
    LinkUnreadable {
        /// The interface.
        name: String,
        /// The link's address.
        link: Key,
    },
    /// A link's end is a device that the snapshot doesn't have.
    #[error("its {side} device {device} can't be read")]
    EndUnreadable {
        /// `A` or `Z`.
        side: char,
        /// The device's address.
        device: Key,
    },
    /// Both ends are one device.
    #[error("both ends are one device")]
    SameDevice,
    /// The named interface isn't there or isn't held by the link.
    #[error("side {side}: interface {name} is missing or not held by this link")]
    EndInterface {
        /// `A` or `Z`.
        side: char,
        /// The interface.
        name: String,
    },
    /// A configured link without a sound /31.
    #[error("its net {net} is not a /31")]
    TunnelNet {
        /// What is there.
        net: Prefix,
    },
    /// Two configured links share a net.
    #[error("its net is also that of link {other}")]
    TunnelNetTaken {
        /// The other link.
        other: Code,
    },
    /// A delay that no metric can be made of.
    #[error("its delay or delay override is not 10 000 ns to 1 s")]
    Delay,
}

impl Fault {
    /// A short name for people and scripts.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Undecodable(_) => "account-undecodable",
            Self::Code => "code-invalid",
            Self::CodeTwice => "code-twice",
            Self::InterfaceName { .. } => "interface-name-invalid",
            Self::InterfaceTwice { .. } => "interface-twice",
            Self::InterfaceForeign { .. } => "interface-name-foreign",
            Self::PortName { .. } => "port-name-too-long",
            Self::VlanName { .. } => "vlan-not-in-name",
            Self::InterfaceAddress { .. } => "interface-address-invalid",
            Self::SubInterface { .. } => "sub-interface-invalid",
            Self::VrfName => "vrf-name-invalid",
            Self::Loopback { .. } => "loopback-unsound",
            Self::LoopbackTaken { .. } => "loopback-taken",
            Self::LinkUnreadable { .. } => "link-unreadable",
            Self::EndUnreadable { .. } => "device-unreadable",
            Self::SameDevice => "link-to-itself",
            Self::EndInterface { .. } => "link-interface-unsound",
            Self::TunnelNet { .. } => "link-net-invalid",
            Self::TunnelNetTaken { .. } => "link-net-taken",
            Self::Delay => "delay-out-of-range",
        }
    }
}

/// A sound device.
#[derive(Clone, Copy, Debug)]
pub struct Node<'a> {
    /// Its address on the ledger.
    pub key: Key,
    /// Its record.
    pub record: &'a Device,
}

impl<'a> Node<'a> {
    /// The interface of this name.
    #[must_use]
    pub fn interface(&self, name: &InterfaceName) -> Option<&'a Interface> {
        self.record.interfaces.iter().find(|i| i.name == *name)
    }

    /// Address of the routing loopback of this kind, when it has a host address.
    #[must_use]
    pub fn loopback(&self, kind: LoopbackType) -> Option<Ip4> {
        loopback(self.record, kind)
    }
}

pub(crate) fn loopback(device: &Device, kind: LoopbackType) -> Option<Ip4> {
    let mut found = device.interfaces.iter().filter(|i| i.loopback == kind && i.kind == InterfaceKind::Loopback);
    match (found.next(), found.next()) {
        (Some(one), None) if one.address.len == 32 => Some(one.address.addr),
        _ => None,
    }
}

/// A link and its record; sound as far as its status asks for it.
#[derive(Clone, Copy, Debug)]
pub struct Circuit<'a> {
    /// Its address on the ledger.
    pub key: Key,
    /// Its record.
    pub record: &'a Link,
}

/// Whether a link of this status is told to its routers at all.
#[must_use]
pub const fn is_configured(status: LinkStatus) -> bool {
    match status {
        LinkStatus::Activated | LinkStatus::SoftDrained | LinkStatus::HardDrained | LinkStatus::Provisioning => true,
        LinkStatus::Pending
        | LinkStatus::Suspended
        | LinkStatus::Deleting
        | LinkStatus::Rejected
        | LinkStatus::Requested => false,
    }
}

/// Whether a device of this status takes part in routing: provisioned or later, and not stopped.
#[must_use]
pub const fn is_routing(status: DeviceStatus) -> bool {
    match status {
        DeviceStatus::DeviceProvisioning
        | DeviceStatus::LinkProvisioning
        | DeviceStatus::Activated
        | DeviceStatus::Drained => true,
        DeviceStatus::Pending | DeviceStatus::Suspended | DeviceStatus::Deleting | DeviceStatus::Rejected => false,
    }
}

/// One snapshot as a network.
#[derive(Clone, Debug)]
pub struct Topology<'a> {
    /// Slot of the snapshot.
    pub slot: u64,
    /// The network's account, when it is there.
    pub network: Option<&'a Network>,
    /// Devices by code whose code and loopbacks are sound: what others need of them.
    pub devices: BTreeMap<Code, Node<'a>>,
    /// Sound links by code.
    pub links: BTreeMap<Code, Circuit<'a>>,
    /// What is wrong, by address. A device with sound loopbacks and an unsound interface is here and in the map as well,
    /// and so is an account that can't be decoded any more but was before: the others go on as they were, itself
    /// it has no plan.
    pub faults: BTreeMap<Key, Fault>,
    codes: BTreeMap<Key, Code>,
    links_by_key: BTreeMap<Key, Circuit<'a>>,
    snapshot: &'a Snapshot,
}

impl<'a> Topology<'a> {
    /// Looks at every device and link of a snapshot, each device as what its platform says.
    #[must_use]
    pub fn new(snapshot: &'a Snapshot) -> Self {
        Self::of(snapshot, None)
    }

    /// The same, each device as a router of `family`, if one is given.
    #[must_use]
    pub fn of(snapshot: &'a Snapshot, family: Option<Platform>) -> Self {
        let mut faults = BTreeMap::new();
        for account in &snapshot.undecodable {
            faults.insert(account.address, Fault::Undecodable(account.error.clone()));
        }
        let mut devices: BTreeMap<Code, Node<'a>> = BTreeMap::new();
        for (key, record) in &snapshot.devices {
            let unknown = identity_fault(record).err();
            let unknown = unknown.or_else(|| devices.contains_key(&record.code).then_some(Fault::CodeTwice));
            if let Some(fault) = unknown {
                faults.insert(*key, fault);
                continue;
            }
            devices.insert(record.code, Node { key: *key, record });
            if let Err(fault) = interfaces_fault(record, family, |link| snapshot.links.contains_key(link)) {
                faults.entry(*key).or_insert(fault);
            }
        }
        remove_shared_loopbacks(&mut devices, &mut faults);
        let mut links: BTreeMap<Code, Circuit<'a>> = BTreeMap::new();
        for (key, record) in &snapshot.links {
            let fault = link_fault(key, record, |device| snapshot.devices.get(device)).err();
            let fault = fault.or_else(|| links.contains_key(&record.code).then_some(Fault::CodeTwice));
            match fault {
                Some(fault) => {
                    faults.insert(*key, fault);
                }
                None => {
                    links.insert(record.code, Circuit { key: *key, record });
                }
            }
        }
        remove_shared_nets(&mut links, &mut faults);
        let codes = devices.values().map(|n| (n.key, n.record.code)).collect();
        let links_by_key = links.values().map(|l| (l.key, *l)).collect();
        Self {
            slot: snapshot.slot,
            network: snapshot.network.as_ref(),
            devices,
            links,
            faults,
            codes,
            links_by_key,
            snapshot,
        }
    }

    /// The snapshot that it was made from.
    #[must_use]
    pub fn snapshot(&self) -> &'a Snapshot {
        self.snapshot
    }

    /// Code of the sound device at this address.
    #[must_use]
    pub fn code_of(&self, device: &Key) -> Option<Code> {
        self.codes.get(device).copied()
    }

    /// What is wrong with the device of this code, when it is not among the sound ones.
    #[must_use]
    pub fn faulty_device(&self, code: &Code) -> Option<&Fault> {
        self.snapshot.devices.iter().filter(|(_, d)| d.code == *code).find_map(|(key, _)| self.faults.get(key))
    }

    /// What people call the link at this address: its code, or the address where no code can be read.
    #[must_use]
    pub fn link_name(&self, key: &Key) -> String {
        match self.snapshot.links.get(key) {
            Some(link) if link.code.is_valid() => link.code.to_string(),
            Some(_) | None => key.to_string(),
        }
    }

    /// The sound link at this address.
    #[must_use]
    pub fn link(&self, key: &Key) -> Option<&Circuit<'a>> {
        self.links_by_key.get(key)
    }
}

/// What others need of a device: its code and, where it takes part in routing, its loopbacks.
pub(crate) fn identity_fault(device: &Device) -> Result<(), Fault> {
    if !device.code.is_valid() {
        return Err(Fault::Code);
    }
    if is_routing(device.header.status) {
        for kind in [LoopbackType::Vpnv4, LoopbackType::Ipv4] {
            if loopback(device, kind).is_none_or(|a| a.is_zero()) {
                return Err(Fault::Loopback { kind });
            }
        }
    }
    Ok(())
}

/// What only the device's own configuration needs, as a router of `family` or else of its platform.
pub(crate) fn interfaces_fault(
    device: &Device,
    family: Option<Platform>,
    has_link: impl Fn(&Key) -> bool,
) -> Result<(), Fault> {
    if !device.management_vrf.is_valid() {
        return Err(Fault::VrfName);
    }
    // Without routing no link is said: one that can't be read keeps nobody from being taken out.
    let routes = is_routing(device.header.status);
    for (index, interface) in device.interfaces.iter().enumerate() {
        if !interface.name.is_valid() {
            return Err(Fault::InterfaceName { index });
        }
        let name = || interface.name.to_string();
        if interface.address.len > 32 || (interface.address.is_none() && !interface.address.addr.is_zero()) {
            return Err(Fault::InterfaceAddress { name: name() });
        }
        let is_sub = interface.kind == InterfaceKind::SubInterface;
        if values::vlan(interface.vlan_id, is_sub).is_err() || (is_sub && parent_of(interface.name.as_str()).is_none())
        {
            return Err(Fault::SubInterface { name: name() });
        }
        if routes && !interface.link.is_zero() && !has_link(&interface.link) {
            return Err(Fault::LinkUnreadable { name: name(), link: interface.link });
        }
    }
    names::check(family.unwrap_or(device.platform), &device.interfaces)
}

/// Name of the interface that a sub-interface is on.
#[must_use]
pub fn parent_of(name: &str) -> Option<&str> {
    name.rsplit_once('.').map(|(parent, _)| parent).filter(|parent| !parent.is_empty())
}

fn remove_shared_loopbacks(devices: &mut BTreeMap<Code, Node<'_>>, faults: &mut BTreeMap<Key, Fault>) {
    let mut holders: BTreeMap<Ip4, Vec<Code>> = BTreeMap::new();
    for (code, node) in devices.iter() {
        for kind in [LoopbackType::Vpnv4, LoopbackType::Ipv4] {
            if let Some(address) = node.loopback(kind) {
                holders.entry(address).or_default().push(*code);
            }
        }
    }
    for (address, codes) in holders.iter().filter(|(_, codes)| codes.len() > 1) {
        for code in codes {
            let other = codes.iter().find(|c| *c != code).copied().unwrap_or(*code);
            if let Some(node) = devices.remove(code) {
                faults.insert(node.key, Fault::LoopbackTaken { address: *address, other });
            }
        }
    }
}

pub(crate) fn link_fault<'a>(
    key: &Key,
    link: &Link,
    device_at: impl Fn(&Key) -> Option<&'a Device>,
) -> Result<(), Fault> {
    if !link.code.is_valid() {
        return Err(Fault::Code);
    }
    if !is_configured(link.header.status) {
        return Ok(());
    }
    if link.device_a == link.device_z {
        return Err(Fault::SameDevice);
    }
    for (side, device, name) in [('A', &link.device_a, &link.interface_a), ('Z', &link.device_z, &link.interface_z)] {
        let Some(device) = device_at(device) else {
            return Err(Fault::EndUnreadable { side, device: *device });
        };
        if !device.interfaces.iter().any(|i| i.name == *name && i.link == *key) {
            return Err(Fault::EndInterface { side, name: name.to_string() });
        }
    }
    if link.tunnel_net.len != 31 || !link.tunnel_net.is_network() {
        return Err(Fault::TunnelNet { net: link.tunnel_net });
    }
    if values::delay(link.delay_ns).is_err() || values::delay_override(link.delay_override_ns).is_err() {
        return Err(Fault::Delay);
    }
    Ok(())
}

fn remove_shared_nets(links: &mut BTreeMap<Code, Circuit<'_>>, faults: &mut BTreeMap<Key, Fault>) {
    let mut holders: BTreeMap<Prefix, Vec<Code>> = BTreeMap::new();
    for (code, link) in links.iter().filter(|(_, l)| is_configured(l.record.header.status)) {
        holders.entry(link.record.tunnel_net).or_default().push(*code);
    }
    for codes in holders.values().filter(|codes| codes.len() > 1) {
        for code in codes {
            let other = codes.iter().find(|c| *c != code).copied().unwrap_or(*code);
            if let Some(link) = links.remove(code) {
                faults.insert(link.key, Fault::TunnelNetTaken { other });
            }
        }
    }
}
