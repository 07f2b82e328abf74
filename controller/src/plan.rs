//! What a device's routing is to be, as a value: the status table of the design, row by row.
//!
//! Pure. It knows nothing of any router's syntax, and holds only values that the topology found sound. It guarantees
//! that a device's plan depends on the device's own record, the links that hold its interfaces, the network's account
//! and the shared table of peers, and on nothing else.

use causeway_interface::{
    Code, DesiredStatus, DeviceStatus, InterfaceKind, InterfaceRole, Ip4, Key, LinkStatus, LoopbackType, Platform,
    Prefix,
    accounts::{Device, Interface, Link, Network},
    values,
};
use serde::{Deserialize, Serialize};

use crate::{
    backbone::{Backbone, Sessions},
    topology::{Circuit, Fault, Node, Topology, is_configured, parent_of},
};

/// Metric of a link that traffic should avoid if it can: above any that a delay gives, but that of a whole second.
pub const DRAINED_METRIC: u32 = 1_000_000;

/// Nanoseconds of one-way delay per unit of IS-IS metric.
const NS_PER_METRIC: u64 = 1_000;

/// What a device is to run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DevicePlan {
    /// The device.
    pub code: Code,
    /// What kind of router it is, unless the controller is told another.
    pub platform: Platform,
    /// VRF of the management interface, unless it is the default one.
    pub management_vrf: Option<String>,
    /// Whom the router itself listens to.
    pub access: Access,
    /// Every interface that the ledger lists, in natural order of names, and the parents of sub-interfaces.
    pub interfaces: Vec<InterfacePlan>,
    /// Routing; none for a device that runs management and loopbacks only.
    pub routing: Option<Routing>,
}

/// The address blocks of the network's account, by which a router tells whom it listens to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Access {
    /// Loopbacks of devices: iBGP comes from here.
    pub loopbacks: Prefix,
    /// Nets of links.
    pub links: Prefix,
    /// Users: eBGP comes from here.
    pub users: Prefix,
}

/// The device's part in the backbone's routing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Routing {
    /// IS-IS network entity title.
    pub net: String,
    /// Address of the VPNv4 loopback.
    pub router_id: Ip4,
    /// Address of the IPv4 loopback.
    pub ipv4_source: Ip4,
    /// The IS-IS overload bit.
    pub overload: bool,
    /// Core autonomous system number.
    pub asn: u32,
    /// What becomes of user sessions.
    pub users: UserSessions,
    /// iBGP.
    pub sessions: Sessions,
}

/// Whether users' BGP sessions are up. The ledger has no users yet; the choice is made here all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UserSessions {
    /// They stay.
    Open,
    /// Each is shut down.
    Shut,
}

/// One interface.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InterfacePlan {
    /// Name.
    pub name: String,
    /// What it is.
    pub kind: InterfaceKind,
    /// What it is for.
    pub role: InterfaceRole,
    /// MTU in bytes, from the role; none where the operating system's own is kept.
    pub mtu: Option<u16>,
    /// Address, or none.
    pub address: Option<Prefix>,
    /// VLAN of a sub-interface.
    pub vlan: Option<u16>,
    /// Which routing a loopback is for.
    pub loopback: LoopbackType,
    /// IS-IS tells everybody of a loopback's address.
    pub announced: bool,
    /// Segment-routing node index of the VPNv4 loopback.
    pub node_segment: Option<u16>,
    /// The link that runs over it, when the link's status asks for configuration.
    pub link: Option<LinkPlan>,
}

/// A link at one of its ends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkPlan {
    /// The link.
    pub code: Code,
    /// IS-IS metric.
    pub metric: u32,
    /// Whether IS-IS only announces the net and forms no adjacency.
    pub passive: bool,
}

/// Why a device has no plan.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// The ledger, as read, has no network account.
    #[error("the ledger has no readable network account")]
    NoNetwork,
    /// The ledger, as read, has no such device.
    #[error("the ledger has no device {0}")]
    UnknownDevice(Code),
    /// The device's record is not sound.
    #[error("device {device} can't be planned: {fault}")]
    Device {
        /// The device.
        device: Code,
        /// What is wrong.
        fault: Fault,
    },
    /// A link's record is not sound.
    #[error("device {device} can't be planned: its link {link}: {fault}")]
    Link {
        /// The device.
        device: Code,
        /// Code of the link, or its address where it has no valid code.
        link: String,
        /// What is wrong.
        fault: Fault,
    },
}

impl PlanError {
    /// A short name for people and scripts.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NoNetwork => "network-unreadable",
            Self::UnknownDevice(_) => "device-unknown",
            Self::Device { fault, .. } | Self::Link { fault, .. } => fault.code(),
        }
    }
}

/// IS-IS metric of a delay: microseconds, rounded up; the override's where there is one.
#[must_use]
pub fn metric(delay_ns: u64, delay_override_ns: u64) -> u32 {
    let delay_ns = if delay_override_ns == 0 { delay_ns } else { delay_override_ns };
    u32::try_from(delay_ns.div_ceil(NS_PER_METRIC)).unwrap_or(u32::MAX)
}

/// Network entity title of a VPNv4 loopback: area 49.0000, the address in hex as system id, selector 00.
#[must_use]
pub fn net(loopback: Ip4) -> String {
    let [a, b, c, d] = loopback.0;
    format!("49.0000.{a:02x}{b:02x}.{c:02x}{d:02x}.0000.00")
}

/// How a link of this status appears at its ends; nothing for one that is not configured.
#[must_use]
pub fn link_plan(link: &Link) -> Option<LinkPlan> {
    let by_delay = metric(link.delay_ns, link.delay_override_ns);
    let (metric, passive) = match link.header.status {
        LinkStatus::Activated => (by_delay, false),
        LinkStatus::SoftDrained | LinkStatus::Provisioning => (DRAINED_METRIC, false),
        LinkStatus::HardDrained => (by_delay, true),
        LinkStatus::Pending
        | LinkStatus::Suspended
        | LinkStatus::Deleting
        | LinkStatus::Rejected
        | LinkStatus::Requested => return None,
    };
    Some(LinkPlan { code: link.code, metric, passive })
}

/// Overload bit and user sessions of a device, by status and wish; nothing for one that takes no part in routing.
///
/// A drained device that is wanted back keeps the overload bit until the ledger says Activated. Only the wish for a
/// hard drain shuts users: a soft drain that is being ended must not.
#[must_use]
pub fn stance(status: DeviceStatus, desired: DesiredStatus) -> Option<(bool, UserSessions)> {
    match status {
        DeviceStatus::DeviceProvisioning | DeviceStatus::LinkProvisioning | DeviceStatus::Activated => {
            Some((false, UserSessions::Open))
        }
        DeviceStatus::Drained => match desired {
            DesiredStatus::HardDrained => Some((true, UserSessions::Shut)),
            DesiredStatus::SoftDrained | DesiredStatus::Activated | DesiredStatus::Pending => {
                Some((true, UserSessions::Open))
            }
        },
        DeviceStatus::Pending | DeviceStatus::Suspended | DeviceStatus::Deleting | DeviceStatus::Rejected => None,
    }
}

/// MTU by kind and role.
#[must_use]
pub const fn mtu(kind: InterfaceKind, role: InterfaceRole) -> Option<u16> {
    match kind {
        InterfaceKind::Management | InterfaceKind::Loopback => None,
        InterfaceKind::Physical | InterfaceKind::PortChannel | InterfaceKind::SubInterface => match role {
            InterfaceRole::Fabric => Some(values::FABRIC_MTU),
            InterfaceRole::Cyoa | InterfaceRole::Dia => Some(values::EDGE_MTU),
        },
    }
}

/// Where a plan's records come from: sound ones only.
pub trait Source<'a> {
    /// The network's account.
    fn network(&self) -> Option<&'a Network>;

    /// A device.
    ///
    /// # Errors
    /// There is none, or its record is not sound.
    fn node(&self, code: &Code) -> Result<Node<'a>, PlanError>;

    /// The link at an address, for the device that it ends at.
    ///
    /// # Errors
    /// The link's record is not sound.
    fn circuit(&self, device: &Code, link: &Key) -> Result<Option<Circuit<'a>>, PlanError>;
}

impl<'a> Source<'a> for Topology<'a> {
    fn network(&self) -> Option<&'a Network> {
        self.network
    }

    fn node(&self, code: &Code) -> Result<Node<'a>, PlanError> {
        match self.devices.get(code) {
            Some(node) => match self.faults.get(&node.key) {
                None => Ok(*node),
                Some(fault) => Err(PlanError::Device { device: *code, fault: fault.clone() }),
            },
            None => match self.faulty_device(code) {
                Some(fault) => Err(PlanError::Device { device: *code, fault: fault.clone() }),
                None => Err(PlanError::UnknownDevice(*code)),
            },
        }
    }

    fn circuit(&self, device: &Code, link: &Key) -> Result<Option<Circuit<'a>>, PlanError> {
        match self.faults.get(link) {
            Some(fault) => Err(PlanError::Link { device: *device, link: self.link_name(link), fault: fault.clone() }),
            None => Ok(self.link(link).copied()),
        }
    }
}

/// Plans the devices of one source.
#[derive(Clone, Copy)]
pub struct Planner<'t, 'a> {
    source: &'t dyn Source<'a>,
    backbone: &'t Backbone,
}

impl<'t, 'a> Planner<'t, 'a> {
    /// Over records and the sessions of all devices.
    #[must_use]
    pub fn new(source: &'t dyn Source<'a>, backbone: &'t Backbone) -> Self {
        Self { source, backbone }
    }

    /// The plan of one device.
    ///
    /// # Errors
    /// No network account, no such device, or a record of it or of one of its links that is not sound.
    pub fn plan(&self, code: &Code) -> Result<DevicePlan, PlanError> {
        let network = self.source.network().ok_or(PlanError::NoNetwork)?;
        let node = self.source.node(code)?;
        let stance = stance(node.record.header.status, node.record.header.desired);
        let mut interfaces = Vec::with_capacity(node.record.interfaces.len());
        for interface in &node.record.interfaces {
            // Without routing no link is said, and one at fault keeps nobody from being taken out.
            let link = if stance.is_some() { self.link_of(&node, interface)? } else { None };
            interfaces.push(interface_plan(&node, interface, link));
        }
        add_parents(&mut interfaces);
        interfaces.sort_by_cached_key(|i| natural(&i.name));
        let loopbacks = (node.loopback(LoopbackType::Vpnv4), node.loopback(LoopbackType::Ipv4));
        let routing = match (stance, loopbacks) {
            (Some((overload, users)), (Some(router_id), Some(ipv4_source))) => Some(Routing {
                net: net(router_id),
                router_id,
                ipv4_source,
                overload,
                asn: network.core_asn,
                users,
                sessions: self.backbone.sessions(code).unwrap_or_default(),
            }),
            // A source gives no device that has a stance and lacks a loopback.
            (Some(_) | None, _) => None,
        };
        let vrf = node.record.management_vrf.as_str();
        let management_vrf = (!vrf.is_empty() && vrf != "default").then(|| vrf.to_string());
        let access = Access { loopbacks: network.loopback_block, links: network.link_block, users: network.user_block };
        Ok(DevicePlan { code: *code, platform: node.record.platform, management_vrf, access, interfaces, routing })
    }

    /// The link that holds an interface, where its status asks for configuration.
    fn link_of(&self, node: &Node<'a>, interface: &Interface) -> Result<Option<(Circuit<'a>, LinkPlan)>, PlanError> {
        if interface.link.is_zero() {
            return Ok(None);
        }
        let circuit = self.source.circuit(&node.record.code, &interface.link)?;
        Ok(circuit.filter(|c| is_configured(c.record.header.status)).and_then(|c| Some((c, link_plan(c.record)?))))
    }
}

fn interface_plan(node: &Node<'_>, interface: &Interface, link: Option<(Circuit<'_>, LinkPlan)>) -> InterfacePlan {
    let address = match &link {
        Some((circuit, _)) => Some(end_address(circuit.record, &node.key)),
        None if interface.link.is_zero() && !interface.address.is_none() => Some(interface.address),
        None => None,
    };
    InterfacePlan {
        name: interface.name.to_string(),
        kind: interface.kind,
        role: interface.role,
        mtu: mtu(interface.kind, interface.role),
        address,
        vlan: (interface.vlan_id != 0).then_some(interface.vlan_id),
        loopback: interface.loopback,
        announced: interface.kind == InterfaceKind::Loopback
            && (interface.loopback != LoopbackType::None || is_own(node.record, &interface.address)),
        node_segment: (interface.node_segment != 0 && interface.loopback == LoopbackType::Vpnv4)
            .then_some(interface.node_segment),
        link: link.map(|(_, plan)| plan),
    }
}

/// Whether a device may tell the network of an address. Routing loopbacks are the program's; any other address is what the
/// contributor says, and the ledger knows only those within the device's dz prefixes to be nobody else's.
fn is_own(device: &Device, address: &Prefix) -> bool {
    let prefixes = device.dz_prefixes.iter().take(usize::from(device.dz_prefix_count));
    let holds = |own: &&Prefix| own.is_network() && own.first() <= address.first() && address.last() <= own.last();
    !address.is_none() && prefixes.filter(holds).count() > 0
}

/// A device's address on a link: side A has the first of the /31, side Z the second.
#[must_use]
pub fn end_address(link: &Link, device: &Key) -> Prefix {
    let side = u32::from(link.device_a != *device);
    Prefix::new(link.tunnel_net.first() | side, link.tunnel_net.len)
}

/// One stanza per parent of sub-interfaces, made where the ledger lists none, with room for the largest child.
fn add_parents(interfaces: &mut Vec<InterfacePlan>) {
    let children: Vec<(String, Option<u16>)> = interfaces
        .iter()
        .filter(|i| i.kind == InterfaceKind::SubInterface)
        .filter_map(|i| Some((parent_of(&i.name)?.to_string(), i.mtu)))
        .collect();
    for (parent, mtu) in children {
        match interfaces.iter_mut().find(|i| i.name == parent) {
            Some(known) => known.mtu = known.mtu.max(mtu),
            None => interfaces.push(InterfacePlan {
                name: parent,
                kind: InterfaceKind::Physical,
                role: InterfaceRole::Fabric,
                mtu,
                address: None,
                vlan: None,
                loopback: LoopbackType::None,
                announced: false,
                node_segment: None,
                link: None,
            }),
        }
    }
}

/// Sort key under which Ethernet2 comes before Ethernet10; the name itself decides the rest.
fn natural(name: &str) -> (Vec<(String, u64)>, String) {
    let mut parts = Vec::new();
    let mut rest = name;
    while !rest.is_empty() {
        let digits_at = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
        let (word, tail) = rest.split_at(digits_at);
        let end = tail.find(|c: char| !c.is_ascii_digit()).unwrap_or(tail.len());
        let (number, tail) = tail.split_at(end);
        parts.push((word.to_string(), number.parse().unwrap_or(0)));
        rest = tail;
    }
    (parts, name.to_string())
}
