//! A network of two devices in service with a link between them, and larger ones after its model.

use causeway_interface::{
    AccountType, DesiredStatus, DeviceHealth, DeviceStatus, DeviceType, Digest, InterfaceKind, InterfaceRole, Key,
    LinkHealth, LinkStatus, LinkType, LoopbackType, NetworkStatus, Platform, Prefix, RegistryStatus, RejectReason,
    Unused,
    accounts::{
        Attestation, Attestations, Contributor, Device, Exchange, Header, Interface, LAYOUT_VERSION,
        LINK_FLAG_Z_ATTACHED, Link, Location, MAX_ORACLES, Network,
    },
};
use causeway_sdk::{
    Snapshot,
    address::{Addresses, to_key, to_pubkey},
};
use solana_sdk::{signature::Keypair, signer::Signer};

use super::scene::{PROGRAM, telemetry_key};

fn header<S, H, D, K>(account_type: AccountType, status: S, health: H, desired: D, kind: K) -> Header<S, H, D, K> {
    let (version, bump, flags, sequence, status_since_slot) = (LAYOUT_VERSION, 255, 0, 1, 1);
    Header { account_type, version, bump, status, health, desired, kind, flags, sequence, status_since_slot }
}

fn port(name: &str, kind: InterfaceKind, role: InterfaceRole, loopback: LoopbackType, address: &str) -> Interface {
    Interface {
        name: name.parse().unwrap(),
        kind,
        role,
        loopback,
        vlan_id: 0,
        mtu: 1_500,
        bandwidth_bps: 0,
        address: if address.is_empty() { Prefix::NONE } else { address.parse().unwrap() },
        node_segment: 0,
        link: Key::ZERO,
    }
}

/// Two activated devices with one activated WAN link, and an oracle in the set.
pub(crate) fn network_of(oracle: &Keypair) -> Snapshot {
    let addresses = Addresses::new(to_pubkey(&PROGRAM));
    let code = |text: &str| text.parse().unwrap();
    let mut s = Snapshot::empty(PROGRAM, 1_000);
    let mut oracles = [Key::ZERO; MAX_ORACLES];
    oracles[0] = to_key(&oracle.pubkey());
    let block = |text: &str| text.parse().unwrap();
    s.network = Some(Network {
        reserved: Default::default(),
        header: header(AccountType::Network, NetworkStatus::Running, Unused::Zero, Unused::Zero, Unused::Zero),
        authority: Key([1; 32]),
        pending_authority: Key::ZERO,
        oracle_epoch: 1,
        quorum: 1,
        oracle_count: 1,
        core_asn: 65_000,
        burn_in_new_slots: 20,
        burn_in_maintenance_slots: 10,
        attestation_max_age_slots: 1_500,
        link_block: block("172.16.0.0/16"),
        loopback_block: block("172.17.0.0/16"),
        user_block: block("172.18.0.0/16"),
        contributor_count: 1,
        location_count: 1,
        exchange_count: 1,
        device_count: 2,
        link_count: 1,
        oracles,
    });
    let registry = |t| header(t, RegistryStatus::Activated, Unused::Zero, Unused::Zero, Unused::Zero);
    let (contributor, location, exchange) = (
        to_key(&addresses.contributor(&code("acme"))),
        to_key(&addresses.location(&code("nyc"))),
        to_key(&addresses.exchange(&code("nyc"))),
    );
    s.contributors.insert(
        contributor,
        Contributor {
            reserved: Default::default(),
            header: registry(AccountType::Contributor),
            code: code("acme"),
            owner: Key([2; 32]),
            operations_key: Key::ZERO,
            device_count: 2,
            link_count: 2,
        },
    );
    s.locations.insert(
        location,
        Location {
            reserved: Default::default(),
            header: registry(AccountType::Location),
            code: code("nyc"),
            name: "New York".parse().unwrap(),
            country: "US".parse().unwrap(),
            lat_e6: 0,
            lng_e6: 0,
            device_count: 2,
        },
    );
    s.exchanges.insert(
        exchange,
        Exchange {
            reserved: Default::default(),
            header: registry(AccountType::Exchange),
            code: code("nyc"),
            name: "New York".parse().unwrap(),
            country: "US".parse().unwrap(),
            lat_e6: 0,
            lng_e6: 0,
            bgp_community: 1,
            device_count: 2,
        },
    );
    let mut devices = Vec::new();
    for n in 1..=2u8 {
        let code: causeway_interface::Code = format!("d-{n}").parse().unwrap();
        let key = to_key(&addresses.device(&code));
        devices.push(key);
        let fabric = |name| port(name, InterfaceKind::Physical, InterfaceRole::Fabric, LoopbackType::None, "");
        let loopback = |name, kind, at: &str| port(name, InterfaceKind::Loopback, InterfaceRole::Fabric, kind, at);
        s.devices.insert(
            key,
            Device {
                reserved: Default::default(),
                header: header(
                    AccountType::Device,
                    DeviceStatus::Activated,
                    DeviceHealth::ReadyForUsers,
                    DesiredStatus::Activated,
                    DeviceType::Hybrid,
                ),
                code,
                contributor,
                location,
                exchange,
                platform: Platform::Frr,
                suspended_from: DeviceStatus::Pending,
                reject_reason: RejectReason::None,
                public_ip: format!("198.18.0.{n}").parse().unwrap(),
                dz_prefix_count: 1,
                dz_prefixes: [format!("198.18.{n}.0/29").parse().unwrap(), Prefix::NONE, Prefix::NONE, Prefix::NONE],
                agent_key: Key([3; 32]),
                telemetry_key: Key(telemetry_key(n).verifying_key().to_bytes()),
                management_vrf: Default::default(),
                health_since_slot: 1,
                link_count: 1,
                activated_wan_links: 1,
                activated_dzx_links: 0,
                user_count: 0,
                interfaces: vec![
                    loopback("Loopback255", LoopbackType::Vpnv4, &format!("172.17.0.{n}/32")),
                    loopback("Loopback256", LoopbackType::Ipv4, &format!("172.17.1.{n}/32")),
                    port("eth1", InterfaceKind::Physical, InterfaceRole::Cyoa, LoopbackType::None, ""),
                    port("eth2", InterfaceKind::Physical, InterfaceRole::Dia, LoopbackType::None, ""),
                    fabric("eth3"),
                ],
            },
        );
    }
    let link_code = code("l-1");
    let link_header = header(
        AccountType::Link,
        LinkStatus::Activated,
        LinkHealth::ReadyForService,
        DesiredStatus::Activated,
        LinkType::Wan,
    );
    let link = to_key(&addresses.link(&link_code));
    s.links.insert(
        link,
        Link {
            reserved: Default::default(),
            header: Header { flags: LINK_FLAG_Z_ATTACHED, ..link_header },
            code: link_code,
            device_a: devices[0],
            device_z: devices[1],
            interface_a: "eth3".parse().unwrap(),
            interface_z: "eth3".parse().unwrap(),
            contributor_a: contributor,
            contributor_z: contributor,
            suspended_from: LinkStatus::Pending,
            reject_reason: RejectReason::None,
            desired_a: DesiredStatus::Activated,
            desired_z: DesiredStatus::Activated,
            bandwidth_bps: 10_000_000_000,
            mtu: 9_000,
            delay_ns: 1_000_000,
            jitter_ns: 10_000,
            delay_override_ns: 0,
            tunnel_id: 1,
            tunnel_net: "172.16.0.0/31".parse().unwrap(),
            health_since_slot: 1,
        },
    );
    for (subject, kind) in devices.iter().map(|d| (*d, AccountType::Device)).chain([(link, AccountType::Link)]) {
        s.attestations.insert(
            subject,
            Attestations {
                header: header(AccountType::Attestations, Unused::Zero, Unused::Zero, Unused::Zero, kind),
                subject,
                entries: vec![Attestation {
                    verdict: 0,
                    epoch: 0,
                    slot: 0,
                    since: [0; 2],
                    failed: 0,
                    window_start_slot: 0,
                    window_end_slot: 0,
                    evidence_root: Digest::ZERO,
                }],
            },
        );
    }
    s
}

/// The network of [`network_of`] with as many subjects in all.
pub(crate) fn network_with(subjects: usize, oracle: &Keypair) -> Snapshot {
    let mut snapshot = network_of(oracle);
    let addresses = snapshot.addresses();
    let model = snapshot.devices.values().next().unwrap().clone();
    let words = snapshot.attestations.values().find(|a| a.header.kind == AccountType::Device).unwrap().clone();
    for n in snapshot.attestations.len()..subjects {
        let code = format!("more-{n}").parse().unwrap();
        let key = to_key(&addresses.device(&code));
        snapshot.devices.insert(key, Device { code, ..model.clone() });
        snapshot.attestations.insert(key, Attestations { subject: key, ..words.clone() });
    }
    snapshot
}
