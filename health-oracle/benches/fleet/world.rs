//! A network of any size and what its devices report: the ledger's snapshot, and signed batches by the minute.

use causeway_health_oracle::store::VerifiedBatch;
use causeway_interface::{
    AccountType, Code, DesiredStatus, DeviceHealth, DeviceStatus, DeviceType, InterfaceKind, InterfaceName,
    InterfaceRole, Key, LinkHealth, LinkStatus, LinkType, LoopbackType, NetworkStatus, Platform, Prefix, RejectReason,
    Unused,
    accounts::{Device, Header, Interface, LAYOUT_VERSION, Link, MAX_ORACLES, Network},
};
use causeway_sdk::{
    Snapshot,
    address::{Addresses, to_key, to_pubkey},
};
use causeway_wire::{
    signing,
    telemetry::{AdjacencySample, Batch, ConfigSample, InterfaceSample, ProbeSample, SignedBatch},
};
use ed25519_dalek::SigningKey;
use prost::Message;

/// The program of this world.
pub const PROGRAM: Key = Key([7; 32]);
/// Milliseconds in a minute.
pub const MINUTE_MS: u64 = 60_000;
/// Octets that an interface carries in a minute.
const OCTETS: u64 = 750_000_000;

/// A device and what it has.
pub struct Router {
    /// Its code.
    pub code: Code,
    /// Its telemetry key.
    pub key: SigningKey,
    /// Its links: code and interface.
    links: Vec<(Code, InterfaceName)>,
}

/// Everything.
pub struct World {
    /// Devices.
    pub routers: Vec<Router>,
    /// The ledger.
    pub snapshot: Snapshot,
}

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

fn network(burn_in_slots: u64) -> Network {
    Network {
        reserved: Default::default(),
        header: header(AccountType::Network, NetworkStatus::Running, Unused::Zero, Unused::Zero, Unused::Zero),
        authority: Key([1; 32]),
        pending_authority: Key::ZERO,
        oracle_epoch: 1,
        quorum: 1,
        oracle_count: 1,
        core_asn: 65_000,
        burn_in_new_slots: burn_in_slots,
        burn_in_maintenance_slots: burn_in_slots,
        attestation_max_age_slots: 1_500,
        link_block: "172.16.0.0/12".parse().unwrap(),
        loopback_block: "10.0.0.0/8".parse().unwrap(),
        user_block: "100.64.0.0/10".parse().unwrap(),
        contributor_count: 1,
        location_count: 1,
        exchange_count: 1,
        device_count: 0,
        link_count: 0,
        oracles: [Key::ZERO; MAX_ORACLES],
    }
}

impl World {
    /// `devices` devices and `links` links among them, each device with as many as any other, everything in service and
    /// judged over `burn_in_slots`. The devices are in service so that each round asks the whole window of them.
    pub fn new(devices: usize, links: usize, burn_in_slots: u64) -> Self {
        let addresses = Addresses::new(to_pubkey(&PROGRAM));
        let mut snapshot = Snapshot::empty(PROGRAM, 10_000_000);
        snapshot.network = Some(network(burn_in_slots));
        let mut routers: Vec<Router> = (0..devices)
            .map(|n| {
                let mut seed = [0; 32];
                seed[..8].copy_from_slice(&(n as u64 + 1).to_le_bytes());
                let code = format!("dev-{n:05}").parse().unwrap();
                Router { code, key: SigningKey::from_bytes(&seed), links: Vec::new() }
            })
            .collect();
        let key_of: Vec<Key> = routers.iter().map(|router| to_key(&addresses.device(&router.code))).collect();
        for n in 0..links {
            // Step by step around the ring, further with each round.
            let (a, z) = (n % devices, (n + 1 + n / devices * 7) % devices);
            let code: Code = format!("link-{n:06}").parse().unwrap();
            let mut ends = [a, z].map(|device| {
                let links = &mut routers[device].links;
                let name: InterfaceName = format!("Ethernet{}", links.len() + 1).parse().unwrap();
                links.push((code, name));
                name
            });
            let [interface_a, interface_z] = std::mem::take(&mut ends);
            snapshot.links.insert(
                to_key(&addresses.link(&code)),
                Link {
                    reserved: Default::default(),
                    header: header(
                        AccountType::Link,
                        LinkStatus::Activated,
                        LinkHealth::ReadyForService,
                        DesiredStatus::Activated,
                        LinkType::Wan,
                    ),
                    code,
                    contributor_a: Key([3; 32]),
                    contributor_z: Key([3; 32]),
                    device_a: key_of[a],
                    device_z: key_of[z],
                    interface_a,
                    interface_z,
                    bandwidth_bps: 10_000_000_000,
                    mtu: 9_000,
                    delay_ns: 5_000_000,
                    jitter_ns: 0,
                    delay_override_ns: 0,
                    tunnel_id: n as u16,
                    tunnel_net: "172.16.0.0/31".parse().unwrap(),
                    suspended_from: LinkStatus::Pending,
                    reject_reason: RejectReason::None,
                },
            );
        }
        for (router, key) in routers.iter().zip(&key_of) {
            let fabric = InterfaceRole::Fabric;
            let mut interfaces = vec![
                port("Ethernet100", InterfaceKind::Physical, InterfaceRole::Dia, LoopbackType::None, ""),
                port("Ethernet101", InterfaceKind::Physical, InterfaceRole::Cyoa, LoopbackType::None, ""),
                port("Loopback255", InterfaceKind::Loopback, fabric, LoopbackType::Vpnv4, "10.0.0.1/32"),
                port("Loopback256", InterfaceKind::Loopback, fabric, LoopbackType::Ipv4, "10.0.0.2/32"),
            ];
            for (_, name) in &router.links {
                interfaces.push(port(name.as_str(), InterfaceKind::Physical, fabric, LoopbackType::None, ""));
            }
            let device = device(router, interfaces);
            snapshot.devices.insert(*key, device);
        }
        Self { routers, snapshot }
    }

    /// Samples that the devices report in a minute.
    pub fn samples_per_minute(&self) -> usize {
        self.routers.iter().map(|router| router.links.len() * 3 + 2).sum()
    }
}

fn device(router: &Router, interfaces: Vec<Interface>) -> Device {
    let mut prefixes = [Prefix::NONE; causeway_interface::accounts::MAX_DZ_PREFIXES];
    prefixes[0] = "198.18.8.0/29".parse().unwrap();
    Device {
        reserved: Default::default(),
        header: header(
            AccountType::Device,
            DeviceStatus::Activated,
            DeviceHealth::ReadyForUsers,
            DesiredStatus::Activated,
            DeviceType::Hybrid,
        ),
        code: router.code,
        contributor: Key([3; 32]),
        location: Key([4; 32]),
        exchange: Key([5; 32]),
        platform: Platform::Eos,
        public_ip: "198.18.0.1".parse().unwrap(),
        dz_prefix_count: 1,
        dz_prefixes: prefixes,
        agent_key: Key([6; 32]),
        telemetry_key: Key(router.key.verifying_key().to_bytes()),
        suspended_from: DeviceStatus::Pending,
        reject_reason: RejectReason::None,
        management_vrf: Default::default(),
        max_users: 0,
        reference_count: router.links.len() as u32,
        interfaces,
    }
}

impl Router {
    /// What the device reports of the minute that begins at `minute_ms`, as one batch; `place` spreads the devices over
    /// the minute.
    pub fn batch(&self, minute_ms: u64, place: f64) -> Batch {
        let at = minute_ms + (place * (MINUTE_MS - 1) as f64) as u64;
        let minutes = minute_ms / MINUTE_MS;
        let interface = |name: &str| InterfaceSample {
            at_unix_ms: at,
            interface: name.into(),
            oper_up: true,
            in_octets: minutes * OCTETS,
            out_octets: minutes * OCTETS,
            carrier_transitions: 1,
            ..Default::default()
        };
        let probe = |kind, target: &str| ProbeSample {
            at_unix_ms: at,
            kind,
            target: target.into(),
            sent: 60,
            received: 60,
            rtt_min_ns: 5_000_000,
            rtt_avg_ns: 5_100_000,
            rtt_max_ns: 5_200_000,
        };
        let mut batch = Batch {
            device: self.code.to_string(),
            sequence: at,
            from_unix_ms: at,
            to_unix_ms: at,
            ..Default::default()
        };
        for (link, name) in &self.links {
            batch.interfaces.push(interface(name.as_str()));
            batch.adjacencies.push(AdjacencySample {
                at_unix_ms: at,
                interface: name.to_string(),
                up: true,
                neighbor: "neighbour".into(),
            });
            batch.probes.push(probe(1, link.as_str()));
        }
        batch.interfaces.push(interface("Ethernet100"));
        batch.probes.push(probe(3, "dev-00000"));
        batch.configs.push(ConfigSample {
            at_unix_ms: at,
            polled_unix_ms: at,
            offered_generation: 5,
            offered_sha256: vec![1; 32],
            applied_generation: 5,
            applied_sha256: vec![1; 32],
            ..Default::default()
        });
        batch
    }

    /// The same as an agent sends it.
    pub fn signed(&self, minute_ms: u64, place: f64) -> Vec<u8> {
        let batch = self.batch(minute_ms, place).encode_to_vec();
        let signature = signing::sign(&self.key, &signing::telemetry_message(&PROGRAM.0, &batch)).to_vec();
        SignedBatch { batch, signature }.encode_to_vec()
    }

    /// The same as if its signature had been verified: for filling a store with the past.
    pub fn verified(&self, minute_ms: u64, place: f64) -> VerifiedBatch {
        let batch = self.batch(minute_ms, place);
        let received_ms = batch.to_unix_ms;
        VerifiedBatch { device: self.code, bytes: batch.encode_to_vec(), batch, signature: [0; 64], received_ms }
    }
}
