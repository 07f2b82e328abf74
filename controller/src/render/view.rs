//! What templates see of a plan: words only.

use causeway_interface::{InterfaceKind, InterfaceRole, LoopbackType};
use serde::Serialize;

use super::{
    timers::Timers,
    token::{Token, TokenError},
};
use crate::plan::{Access, DevicePlan, InterfacePlan, Routing, UserSessions};

/// A device.
#[derive(Debug, Serialize)]
pub struct View {
    hostname: Token,
    vrf: Option<Token>,
    routing: Option<RoutingView>,
    /// Addresses of all loopbacks, where they share one interface.
    loopbacks: Vec<Token>,
    /// Interfaces that are set back to their defaults first.
    resets: Vec<Token>,
    interfaces: Vec<InterfaceView>,
    access: AccessView,
    timers: Timers,
}

/// What the router itself listens to.
#[derive(Debug, Serialize)]
struct AccessView {
    loopbacks: Token,
    links: Token,
    users: Token,
    /// People may come in through the default VRF: nothing here put the management interface elsewhere.
    management: bool,
}

#[derive(Debug, Serialize)]
struct RoutingView {
    net: Token,
    router_id: Token,
    overload: bool,
}

/// A device's BGP.
#[derive(Debug, Serialize)]
pub struct Neighbors {
    asn: u32,
    router_id: Token,
    shut_users: bool,
    reflects: bool,
    users: Vec<UserView>,
    peers: Vec<PeerView>,
}

/// A user's BGP session. The ledger has no users yet, so there is none.
#[derive(Debug, Serialize)]
struct UserView {
    address: Token,
    asn: u32,
}

#[derive(Debug, Serialize)]
struct PeerView {
    code: Token,
    address: Token,
    /// Address of the matching loopback of this device.
    source: Token,
    /// Name of the matching loopback of this device.
    source_interface: Token,
    vpnv4: bool,
    /// Routes are reflected to it.
    client: bool,
}

#[derive(Debug, Serialize)]
struct InterfaceView {
    name: Token,
    description: Token,
    address: Option<Token>,
    mtu: Option<u16>,
    vlan: Option<u16>,
    node_segment: Option<u16>,
    management: bool,
    /// A loopback that IS-IS tells of.
    announced: bool,
    /// A port or aggregate that has to be told not to switch.
    routed_port: bool,
    /// A port that carries nothing, because the device takes no part in routing.
    shut: bool,
    pim: bool,
    link: Option<LinkView>,
}

#[derive(Debug, Serialize)]
struct LinkView {
    metric: u32,
    passive: bool,
}

/// How a family names loopbacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loopbacks {
    /// Each is an interface of its own.
    Separate,
    /// All addresses are on one interface that the template names.
    Shared,
}

/// What becomes of the ports of a device that takes no part in routing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdlePorts {
    /// Without configuration a port carries nothing.
    Unsaid,
    /// Without configuration a port switches: each is said to be routed, and shut.
    Shut,
}

/// How a family says what every family says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Manner {
    /// Loopbacks.
    pub loopbacks: Loopbacks,
    /// Ports without routing.
    pub idle_ports: IdlePorts,
}

impl View {
    /// Of a plan. A device without routing shows management and loopbacks only, and no port that carries anything.
    pub fn new(plan: &DevicePlan, manner: Manner, timers: Timers) -> Result<Self, TokenError> {
        let routes = plan.routing.is_some();
        let mut view = Self {
            hostname: Token::new("device code", plan.code)?,
            vrf: plan.management_vrf.as_ref().map(|v| Token::new("VRF", v)).transpose()?,
            routing: plan.routing.as_ref().map(routing).transpose()?,
            loopbacks: Vec::new(),
            resets: Vec::new(),
            interfaces: Vec::new(),
            access: access(plan, &plan.access)?,
            timers,
        };
        for interface in &plan.interfaces {
            let kind = interface.kind;
            if kind != InterfaceKind::Management {
                view.resets.push(Token::new("interface", &interface.name)?);
            }
            let is_port = !matches!(kind, InterfaceKind::Management | InterfaceKind::Loopback);
            if kind == InterfaceKind::Loopback && manner.loopbacks == Loopbacks::Shared {
                // What is on the shared interface is announced as a whole.
                view.loopbacks.extend(address(interface)?.filter(|_| interface.announced));
            } else if routes || !is_port {
                view.interfaces.push(interface_view(interface)?);
            } else if manner.idle_ports == IdlePorts::Shut {
                let idle = InterfacePlan { address: None, mtu: None, vlan: None, link: None, ..interface.clone() };
                view.interfaces.push(InterfaceView { shut: true, ..interface_view(&idle)? });
            }
        }
        Ok(view)
    }
}

fn access(plan: &DevicePlan, access: &Access) -> Result<AccessView, TokenError> {
    let in_vrf = |i: &InterfacePlan| i.kind == InterfaceKind::Management && i.address.is_some();
    let away = plan.management_vrf.is_some() && plan.interfaces.iter().any(in_vrf);
    Ok(AccessView {
        loopbacks: Token::new("address block", access.loopbacks)?,
        links: Token::new("address block", access.links)?,
        users: Token::new("address block", access.users)?,
        management: !away,
    })
}

fn address(interface: &InterfacePlan) -> Result<Option<Token>, TokenError> {
    interface.address.map(|a| Token::new("address", a)).transpose()
}

fn routing(routing: &Routing) -> Result<RoutingView, TokenError> {
    Ok(RoutingView {
        net: Token::new("net", &routing.net)?,
        router_id: Token::new("address", routing.router_id)?,
        overload: routing.overload,
    })
}

/// Names of the VPNv4 and the IPv4 loopback; empty for one that isn't there, which no token is.
pub fn loopback_names(plan: &DevicePlan) -> [String; 2] {
    [LoopbackType::Vpnv4, LoopbackType::Ipv4].map(|loopback| {
        let found = plan.interfaces.iter().find(|i| i.loopback == loopback && i.kind == InterfaceKind::Loopback);
        found.map(|i| i.name.clone()).unwrap_or_default()
    })
}

impl Neighbors {
    /// Of a plan.
    pub fn new(plan: &DevicePlan, routing: &Routing, loopbacks: &[String; 2]) -> Result<Self, TokenError> {
        let [vpnv4_name, ipv4_name] = loopbacks;
        let (vpnv4_name, ipv4_name) = (Token::new("loopback", vpnv4_name)?, Token::new("loopback", ipv4_name)?);
        let sessions = &routing.sessions;
        let own = [
            (Token::new("address", routing.ipv4_source)?, ipv4_name, false),
            (Token::new("address", routing.router_id)?, vpnv4_name, true),
        ];
        let mut peers = Vec::with_capacity((sessions.peers.len() + sessions.clients.len()) * own.len());
        let both = sessions.peers.iter().map(|p| (p, false)).chain(sessions.clients.iter().map(|p| (p, true)));
        for (peer, client) in both.filter(|(p, _)| p.code != plan.code) {
            let code = Token::new("device code", peer.code)?;
            for (source, source_interface, vpnv4) in &own {
                let address = if *vpnv4 { peer.vpnv4 } else { peer.ipv4 };
                peers.push(PeerView {
                    code: code.clone(),
                    address: Token::new("address", address)?,
                    source: source.clone(),
                    source_interface: source_interface.clone(),
                    vpnv4: *vpnv4,
                    client,
                });
            }
        }
        Ok(Self {
            asn: routing.asn,
            router_id: Token::new("address", routing.router_id)?,
            shut_users: routing.users == UserSessions::Shut,
            reflects: sessions.reflects,
            users: Vec::new(),
            peers,
        })
    }
}

#[cfg(test)]
impl Neighbors {
    /// As a ledger with users would have it.
    pub fn add_user(&mut self, address: &str, asn: u32) -> Result<(), TokenError> {
        self.users.push(UserView { address: Token::new("address", address)?, asn });
        Ok(())
    }
}

/// Descriptions in capitals are roles; codes are never in capitals, so that none reads as the other.
fn description(interface: &InterfacePlan) -> Result<Token, TokenError> {
    if let Some(link) = &interface.link {
        return Token::new("link code", link.code);
    }
    let words = match interface.kind {
        InterfaceKind::Management => "MANAGEMENT",
        InterfaceKind::Loopback => match interface.loopback {
            LoopbackType::Vpnv4 => "LOOPBACK-VPNV4",
            LoopbackType::Ipv4 => "LOOPBACK-IPV4",
            LoopbackType::None if interface.announced => "LOOPBACK",
            LoopbackType::None => "LOOPBACK-LOCAL",
        },
        InterfaceKind::Physical | InterfaceKind::PortChannel | InterfaceKind::SubInterface => match interface.role {
            InterfaceRole::Fabric => "FABRIC",
            InterfaceRole::Cyoa => "CYOA",
            InterfaceRole::Dia => "DIA",
        },
    };
    Token::new("description", words)
}

fn interface_view(interface: &InterfacePlan) -> Result<InterfaceView, TokenError> {
    let port = match interface.kind {
        InterfaceKind::Physical | InterfaceKind::PortChannel | InterfaceKind::SubInterface => true,
        InterfaceKind::Loopback | InterfaceKind::Management => false,
    };
    Ok(InterfaceView {
        name: Token::new("interface", &interface.name)?,
        description: description(interface)?,
        address: address(interface)?,
        mtu: interface.mtu,
        vlan: interface.vlan,
        node_segment: interface.node_segment,
        management: interface.kind == InterfaceKind::Management,
        announced: interface.announced,
        shut: false,
        routed_port: matches!(interface.kind, InterfaceKind::Physical | InterfaceKind::PortChannel),
        pim: port && interface.address.is_some() && interface.role == InterfaceRole::Fabric,
        link: interface.link.as_ref().map(|l| LinkView { metric: l.metric, passive: l.passive }),
    })
}
