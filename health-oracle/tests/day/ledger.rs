//! The ledger of the day: two devices in service, a new one, and the three links between them.
//!
//! ```text
//! old-a eth3 --l-old-- eth3 old-z     in service
//! new   eth3 --l-new-- eth4 old-z     in service
//! new   eth4 --l-prov- eth4 old-a     being provisioned
//! ```

use causeway_health_oracle::time::SlotClock;
use causeway_interface::{
    AccountType, DesiredStatus, DeviceHealth, DeviceStatus, DeviceType, InterfaceKind, InterfaceRole, Key, LinkHealth,
    LinkStatus, LinkType, LoopbackType, NetworkStatus, Platform, Prefix, RejectReason, Unused,
    accounts::{Device, Header, Interface, LAYOUT_VERSION, LINK_FLAG_Z_ATTACHED, Link, MAX_ORACLES, Network},
};
use causeway_sdk::{
    Snapshot,
    address::{Addresses, to_key, to_pubkey},
};

use crate::script::{DAY_MS, at_ms};

pub const PROGRAM: Key = Key([7; 32]);
/// Slots of 400 ms: 20 hours, as the design says.
const BURN_IN_NEW: u64 = 180_000;
/// A little over half an hour.
const BURN_IN_MAINTENANCE: u64 = 5_000;
/// Slot at which the day begins.
const FIRST_SLOT: u64 = 1_000_000;
/// Slots ago at which everything came into its status: two hours.
const SETTLED: u64 = 18_000;

pub fn clock() -> SlotClock {
    SlotClock::new(FIRST_SLOT, DAY_MS)
}

/// The slot at which this minute begins.
pub fn slot_of(minute: u64) -> u64 {
    clock().slot_at(at_ms(minute))
}

fn header<S, H, D, K>(account_type: AccountType, status: S, health: H, desired: D, kind: K) -> Header<S, H, D, K> {
    let (version, bump, flags, sequence) = (LAYOUT_VERSION, 255, 0, 1);
    let status_since_slot = FIRST_SLOT - SETTLED;
    Header { account_type, version, bump, status, health, desired, kind, flags, sequence, status_since_slot }
}

fn interface(name: &str, kind: InterfaceKind, role: InterfaceRole, loopback: LoopbackType, at: &str) -> Interface {
    Interface {
        name: name.parse().unwrap(),
        kind,
        role,
        loopback,
        vlan_id: 0,
        mtu: 1_500,
        bandwidth_bps: 0,
        address: if at.is_empty() { Prefix::NONE } else { at.parse().unwrap() },
        node_segment: 0,
        link: Key::ZERO,
    }
}

fn network() -> Network {
    let header = header(AccountType::Network, NetworkStatus::Running, Unused::Zero, Unused::Zero, Unused::Zero);
    Network {
        reserved: Default::default(),
        header,
        authority: Key([1; 32]),
        pending_authority: Key::ZERO,
        oracle_epoch: 1,
        quorum: 1,
        oracle_count: 1,
        core_asn: 65_000,
        burn_in_new_slots: BURN_IN_NEW,
        burn_in_maintenance_slots: BURN_IN_MAINTENANCE,
        attestation_max_age_slots: 1_500,
        link_block: "172.16.0.0/16".parse().unwrap(),
        loopback_block: "172.17.0.0/16".parse().unwrap(),
        user_block: "172.18.0.0/16".parse().unwrap(),
        contributor_count: 1,
        location_count: 1,
        exchange_count: 1,
        device_count: 3,
        link_count: 3,
        oracles: [Key::ZERO; MAX_ORACLES],
    }
}

fn device(n: u8, code: &str, status: DeviceStatus) -> Device {
    let port = |name, role| interface(name, InterfaceKind::Physical, role, LoopbackType::None, "");
    let loopback = |name, kind, at: &str| interface(name, InterfaceKind::Loopback, InterfaceRole::Fabric, kind, at);
    Device {
        reserved: Default::default(),
        header: header(
            AccountType::Device,
            status,
            DeviceHealth::ReadyForUsers,
            DesiredStatus::Activated,
            DeviceType::Hybrid,
        ),
        code: code.parse().unwrap(),
        contributor: Key::ZERO,
        location: Key::ZERO,
        exchange: Key::ZERO,
        platform: Platform::Frr,
        suspended_from: DeviceStatus::Pending,
        reject_reason: RejectReason::None,
        public_ip: format!("198.18.0.{n}").parse().unwrap(),
        dz_prefix_count: 1,
        dz_prefixes: [format!("198.18.{n}.0/29").parse().unwrap(), Prefix::NONE, Prefix::NONE, Prefix::NONE],
        agent_key: Key::ZERO,
        telemetry_key: Key::ZERO,
        management_vrf: Default::default(),
        health_since_slot: 1,
        link_count: 2,
        activated_wan_links: 1,
        activated_dzx_links: 0,
        user_count: 0,
        interfaces: vec![
            loopback("Loopback255", LoopbackType::Vpnv4, &format!("172.17.0.{n}/32")),
            loopback("Loopback256", LoopbackType::Ipv4, &format!("172.17.1.{n}/32")),
            port("eth1", InterfaceRole::Cyoa),
            port("eth2", InterfaceRole::Dia),
            port("eth3", InterfaceRole::Fabric),
            port("eth4", InterfaceRole::Fabric),
        ],
    }
}

fn link(code: &str, status: LinkStatus, ends: [(Key, &str); 2]) -> Link {
    let (desired, health) = (DesiredStatus::Activated, LinkHealth::ReadyForService);
    let header = header(AccountType::Link, status, health, desired, LinkType::Wan);
    Link {
        reserved: Default::default(),
        header: Header { flags: LINK_FLAG_Z_ATTACHED, ..header },
        code: code.parse().unwrap(),
        device_a: ends[0].0,
        device_z: ends[1].0,
        interface_a: ends[0].1.parse().unwrap(),
        interface_z: ends[1].1.parse().unwrap(),
        contributor_a: Key::ZERO,
        contributor_z: Key::ZERO,
        suspended_from: LinkStatus::Pending,
        reject_reason: RejectReason::None,
        desired_a: desired,
        desired_z: desired,
        bandwidth_bps: 10_000_000_000,
        mtu: 9_000,
        delay_ns: 1_000_000,
        jitter_ns: 10_000,
        delay_override_ns: 0,
        tunnel_id: 1,
        tunnel_net: "172.16.0.0/31".parse().unwrap(),
        health_since_slot: 1,
    }
}

/// Everything in order.
pub fn healthy() -> Snapshot {
    let addresses = Addresses::new(to_pubkey(&PROGRAM));
    let mut snapshot = Snapshot::empty(PROGRAM, FIRST_SLOT);
    snapshot.network = Some(network());
    let statuses = [
        ("old-a", DeviceStatus::Activated),
        ("old-z", DeviceStatus::Activated),
        ("new", DeviceStatus::LinkProvisioning),
    ];
    let mut keys = Vec::new();
    for (n, (code, status)) in (1..).zip(statuses) {
        let device = device(n, code, status);
        let key = to_key(&addresses.device(&device.code));
        keys.push(key);
        snapshot.devices.insert(key, device);
    }
    let links = [
        link("l-old", LinkStatus::Activated, [(keys[0], "eth3"), (keys[1], "eth3")]),
        link("l-new", LinkStatus::Activated, [(keys[2], "eth3"), (keys[1], "eth4")]),
        link("l-prov", LinkStatus::Provisioning, [(keys[2], "eth4"), (keys[0], "eth4")]),
    ];
    for link in links {
        snapshot.links.insert(to_key(&addresses.link(&link.code)), link);
    }
    snapshot
}

/// The devices that stories are told of: one in service and the new one.
pub fn subjects(snapshot: &mut Snapshot) -> impl Iterator<Item = &mut Device> {
    snapshot.devices.values_mut().filter(|device| device.code.as_str() != "old-z")
}

/// The links in service.
pub fn activated_links(snapshot: &mut Snapshot) -> impl Iterator<Item = &mut Link> {
    snapshot.links.values_mut().filter(|link| link.code.as_str() != "l-prov")
}
