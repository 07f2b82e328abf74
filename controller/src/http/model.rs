//! What the API returns, and how it is read out of the store.

use causeway_interface::{
    AccountType, Code, DesiredStatus, DeviceHealth, DeviceStatus, DeviceType, InterfaceKind, InterfaceRole, LinkHealth,
    LinkStatus, LinkType, NetworkStatus, Platform,
    accounts::{Device, Link},
};
use causeway_sdk::snapshot::Snapshot;
use serde::Serialize;
use utoipa::ToSchema;

pub use super::config::{ConfigState, ConfigView, HeldConfigView, HeldView, ReportView, held, report_error};
use super::error::ErrorBody;
use crate::{codes, plan, shared::Shared, store::Store};

/// The network and this controller.
#[derive(Debug, Serialize, ToSchema)]
pub struct NetworkView {
    /// Program, base58.
    pub program_id: String,
    /// Slot of what is served.
    pub slot: u64,
    /// Latest finalized slot known; 0 before the first.
    pub finalized_slot: u64,
    /// Ed25519 key that signs configurations, hex.
    pub controller_key: String,
    /// Whether the breaker is tripped.
    #[schema(value_type = String)]
    pub status: NetworkStatus,
    /// Core autonomous system number.
    pub core_asn: u32,
    /// Oracles that have to agree.
    pub quorum: u8,
    /// Oracles in the set.
    pub oracles: u8,
    /// Devices.
    pub devices: usize,
    /// Of them, activated.
    pub devices_activated: usize,
    /// Links.
    pub links: usize,
    /// Of them, activated.
    pub links_activated: usize,
    /// Why the ledger, as last read, changes nothing; absent when all is well.
    pub unreadable: Option<ErrorBody>,
    /// Records that can't be used.
    pub faults: Vec<FaultView>,
}

/// A record on the ledger that can't be used.
#[derive(Debug, Serialize, ToSchema)]
pub struct FaultView {
    /// Its address.
    pub address: String,
    /// Device or link code, where one can be read.
    pub subject: Option<String>,
    /// What is wrong.
    #[serde(flatten)]
    pub error: ErrorBody,
}

/// A place.
#[derive(Debug, Serialize, ToSchema)]
pub struct Coordinates {
    /// Degrees north.
    pub lat: f64,
    /// Degrees east.
    pub lng: f64,
}

/// A device.
#[derive(Debug, Serialize, ToSchema)]
pub struct DeviceView {
    /// Code.
    #[schema(value_type = String)]
    pub code: Code,
    /// Contributor's code.
    pub contributor: Option<String>,
    /// Location's code.
    pub location: Option<String>,
    /// Exchange's code.
    pub exchange: Option<String>,
    /// Where it stands.
    pub coordinates: Option<Coordinates>,
    /// Type.
    #[schema(value_type = String)]
    pub device_type: DeviceType,
    /// Platform.
    #[schema(value_type = String)]
    pub platform: Platform,
    /// Public address, where it has one.
    pub public_ip: Option<String>,
    /// Status.
    #[schema(value_type = String)]
    pub status: DeviceStatus,
    /// Health.
    #[schema(value_type = String)]
    pub health: DeviceHealth,
    /// Desired status.
    #[schema(value_type = String)]
    pub desired: DesiredStatus,
    /// Slot of the last change of status.
    pub status_since_slot: u64,
    /// Links that hold an interface.
    pub link_count: u32,
    /// How it stands to its configuration.
    pub config: ConfigState,
}

/// An interface.
#[derive(Debug, Serialize, ToSchema)]
pub struct InterfaceView {
    /// Name.
    pub name: String,
    /// What it is.
    #[schema(value_type = String)]
    pub kind: InterfaceKind,
    /// What it is for.
    #[schema(value_type = String)]
    pub role: InterfaceRole,
    /// Which routing a loopback is for.
    pub loopback: String,
    /// MTU in bytes.
    pub mtu: u16,
    /// Bandwidth in bit/s; 0 where it has no meaning.
    pub bandwidth_bps: u64,
    /// Its own address.
    pub address: Option<String>,
    /// VLAN of a sub-interface.
    pub vlan: Option<u16>,
    /// Link that holds it: its code, or its address where it can't be read.
    pub link: Option<String>,
}

/// One end of a link.
#[derive(Debug, Serialize, ToSchema)]
pub struct EndView {
    /// Device's code.
    pub device: Option<String>,
    /// Interface.
    pub interface: String,
    /// Address on the link, once it has a net.
    pub address: Option<String>,
}

/// A link.
#[derive(Debug, Serialize, ToSchema)]
pub struct LinkView {
    /// Code.
    #[schema(value_type = String)]
    pub code: Code,
    /// Type.
    #[schema(value_type = String)]
    pub link_type: LinkType,
    /// Side A.
    pub a: EndView,
    /// Side Z.
    pub z: EndView,
    /// Status.
    #[schema(value_type = String)]
    pub status: LinkStatus,
    /// Health.
    #[schema(value_type = String)]
    pub health: LinkHealth,
    /// Desired status.
    #[schema(value_type = String)]
    pub desired: DesiredStatus,
    /// Slot of the last change of status.
    pub status_since_slot: u64,
    /// Bandwidth in bit/s.
    pub bandwidth_bps: u64,
    /// MTU in bytes.
    pub mtu: u16,
    /// One-way delay in nanoseconds.
    pub delay_ns: u64,
    /// Jitter in nanoseconds.
    pub jitter_ns: u64,
    /// Delay that the metric is made of instead; absent for none.
    pub delay_override_ns: Option<u64>,
    /// IS-IS metric at both ends; absent while it is not configured.
    pub metric: Option<u32>,
    /// IS-IS only announces it and forms no adjacency.
    pub passive: bool,
}

/// Everything that a map needs.
#[derive(Debug, Serialize, ToSchema)]
pub struct TopologyView {
    /// Slot of what is served.
    pub slot: u64,
    /// Devices by code.
    pub devices: Vec<DeviceView>,
    /// Links by code.
    pub links: Vec<LinkView>,
}

/// The network.
pub fn network(shared: &Shared, store: &Store, snapshot: &Snapshot) -> Option<NetworkView> {
    let network = snapshot.network.as_ref()?;
    let devices = snapshot.devices.values();
    let links = snapshot.links.values();
    let remedy = "Check the RPC; what was served before goes on being served.";
    let faults = store.faults().iter().map(|(key, fault)| {
        let device = snapshot.devices.get(key).map(|d| (AccountType::Device, d.code));
        let link = snapshot.links.get(key).map(|l| (AccountType::Link, l.code));
        FaultView {
            address: key.to_string(),
            subject: device.or(link).map(|(kind, code)| format!("{kind} {code}")),
            error: ErrorBody::short(
                fault.code(),
                fault.to_string(),
                codes::of(fault.code()).map_or("Correct the record on the ledger.", |entry| entry.remedy),
            ),
        }
    });
    Some(NetworkView {
        program_id: snapshot.program_id.to_string(),
        slot: snapshot.slot,
        finalized_slot: shared.finalized_slot(),
        controller_key: hex::encode(shared.signer.key.verifying_key().to_bytes()),
        status: network.header.status,
        core_asn: network.core_asn,
        quorum: network.quorum,
        oracles: network.oracle_count,
        devices: snapshot.devices.len(),
        devices_activated: devices.filter(|d| d.header.status == DeviceStatus::Activated).count(),
        links: snapshot.links.len(),
        links_activated: links.filter(|l| l.header.status == LinkStatus::Activated).count(),
        unreadable: store.unreadable().map(|(code, cause)| {
            let remedy = codes::of(code).map_or(remedy, |entry| entry.remedy);
            ErrorBody::short(code, cause.clone(), remedy)
        }),
        faults: faults.collect(),
    })
}

/// A device.
pub fn device(store: &Store, snapshot: &Snapshot, device: &Device) -> DeviceView {
    let location = snapshot.locations.get(&device.location);
    let degrees = |e6: i32| f64::from(e6) / 1e6;
    DeviceView {
        code: device.code,
        contributor: snapshot.contributors.get(&device.contributor).map(|c| c.code.to_string()),
        location: location.map(|l| l.code.to_string()),
        exchange: snapshot.exchanges.get(&device.exchange).map(|e| e.code.to_string()),
        coordinates: location.map(|l| Coordinates { lat: degrees(l.lat_e6), lng: degrees(l.lng_e6) }),
        device_type: device.header.kind,
        platform: device.platform,
        public_ip: (!device.public_ip.is_zero()).then(|| device.public_ip.to_string()),
        status: device.header.status,
        health: device.header.health,
        desired: device.header.desired,
        status_since_slot: device.header.status_since_slot,
        link_count: device.link_count,
        config: ConfigState::of(store.entry(&device.code)),
    }
}

/// A device's interfaces, in order of creation.
pub fn interfaces(snapshot: &Snapshot, device: &Device) -> Vec<InterfaceView> {
    let views = device.interfaces.iter().map(|i| {
        let link = snapshot.links.get(&i.link).map(|l| l.code.to_string()).unwrap_or_else(|| i.link.to_string());
        InterfaceView {
            name: i.name.to_string(),
            kind: i.kind,
            role: i.role,
            loopback: i.loopback.name().into(),
            mtu: i.mtu,
            bandwidth_bps: i.bandwidth_bps,
            address: (!i.address.is_none()).then(|| i.address.to_string()),
            vlan: (i.vlan_id != 0).then_some(i.vlan_id),
            link: (!i.link.is_zero()).then_some(link),
        }
    });
    views.collect()
}

/// A link.
pub fn link(snapshot: &Snapshot, link: &Link) -> LinkView {
    let end = |device: &causeway_interface::Key, interface: &causeway_interface::InterfaceName| EndView {
        device: snapshot.devices.get(device).map(|d| d.code.to_string()),
        interface: interface.to_string(),
        address: (!link.tunnel_net.is_none()).then(|| plan::end_address(link, device).to_string()),
    };
    let planned = plan::link_plan(link);
    LinkView {
        code: link.code,
        link_type: link.header.kind,
        a: end(&link.device_a, &link.interface_a),
        z: end(&link.device_z, &link.interface_z),
        status: link.header.status,
        health: link.header.health,
        desired: link.header.desired,
        status_since_slot: link.header.status_since_slot,
        bandwidth_bps: link.bandwidth_bps,
        mtu: link.mtu,
        delay_ns: link.delay_ns,
        jitter_ns: link.jitter_ns,
        delay_override_ns: (link.delay_override_ns != 0).then_some(link.delay_override_ns),
        metric: planned.as_ref().map(|p| p.metric),
        passive: planned.is_some_and(|p| p.passive),
    }
}

/// Devices by code.
pub fn devices(store: &Store, snapshot: &Snapshot) -> Vec<DeviceView> {
    let mut views: Vec<_> = snapshot.devices.values().map(|d| device(store, snapshot, d)).collect();
    views.sort_by_key(|d| d.code);
    views
}

/// Links by code.
pub fn links(snapshot: &Snapshot) -> Vec<LinkView> {
    let mut views: Vec<_> = snapshot.links.values().map(|l| link(snapshot, l)).collect();
    views.sort_by_key(|l| l.code);
    views
}

/// Links that end at a device, by code; none where there is no such device.
pub fn links_of(snapshot: &Snapshot, device: &Code) -> Option<Vec<LinkView>> {
    let (key, _) = snapshot.device(device)?;
    let mut views: Vec<_> = snapshot.links_of(&key).map(|(_, found)| link(snapshot, found)).collect();
    views.sort_by_key(|l| l.code);
    Some(views)
}
