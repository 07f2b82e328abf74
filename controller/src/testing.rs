//! Synthetic ledgers for tests: a [`Snapshot`] as the program would leave it, without a ledger.
//!
//! Addresses are the real derived ones; interface lists come from the program's own recipe; loopbacks, nets, segment
//! ids and tunnel ids are handed out in order of creation from the blocks of the demo. It is a fake in one way: statuses
//! are what the test says, without the transitions that lead there.

use causeway_interface::{
    AccountType, Code, Country, DesiredStatus, DeviceHealth, DeviceStatus, DeviceType, Digest, InterfaceName, Ip4, Key,
    Label, LinkHealth, LinkStatus, LinkType, LoopbackType, NetworkStatus, Platform, Prefix, RegistryStatus,
    RejectReason, Unused, VrfName,
    accounts::{
        Attestation, Attestations, Contributor, Device, Exchange, Header, Interface, LAYOUT_VERSION,
        LINK_FLAG_Z_ATTACHED, Link, Location, MAX_ORACLES, Network,
    },
    recipe,
};
use causeway_sdk::{
    address::{Addresses, to_key, to_pubkey},
    snapshot::Snapshot,
};

/// Program id of synthetic ledgers.
pub const PROGRAM_ID: Key = Key([7; 32]);
/// Core ASN of synthetic ledgers.
pub const CORE_ASN: u32 = 65_342;

const LOOPBACK_BASE: u32 = u32::from_be_bytes([198, 18, 0, 0]);
const LINK_BASE: u32 = u32::from_be_bytes([198, 18, 128, 0]);
const PUBLIC_BASE: u32 = u32::from_be_bytes([198, 19, 0, 0]);

/// A synthetic ledger in the making.
#[derive(Clone, Debug)]
pub struct SyntheticLedger {
    /// What has been made so far; tests may reach in and break it.
    pub snapshot: Snapshot,
    addresses: Addresses,
    platform: Platform,
    next_loopback: u32,
    next_link: u32,
}

/// A valid code.
///
/// # Panics
/// The text is not a code.
#[allow(clippy::expect_used)]
#[must_use]
pub fn code(text: &str) -> Code {
    text.parse().expect("a test's own code is valid")
}

fn header<S, H, D, K>(account_type: AccountType, status: S, health: H, desired: D, kind: K) -> Header<S, H, D, K> {
    Header {
        account_type,
        version: LAYOUT_VERSION,
        bump: 255,
        status,
        health,
        desired,
        kind,
        flags: 0,
        sequence: 1,
        status_since_slot: 1,
    }
}

impl SyntheticLedger {
    /// A network with one contributor, one location and one exchange; devices get `platform`.
    #[must_use]
    pub fn new(platform: Platform) -> Self {
        let addresses = Addresses::new(to_pubkey(&PROGRAM_ID));
        let mut snapshot = Snapshot::empty(PROGRAM_ID, 1_000);
        let unused = Unused::Zero;
        snapshot.network = Some(Network {
            reserved: Default::default(),
            header: header(AccountType::Network, NetworkStatus::Running, unused, unused, unused),
            authority: Key([1; 32]),
            pending_authority: Key::ZERO,
            oracle_epoch: 1,
            quorum: 1,
            oracle_count: 1,
            core_asn: CORE_ASN,
            burn_in_new_slots: 50,
            burn_in_maintenance_slots: 25,
            attestation_max_age_slots: 25,
            link_block: Prefix::new(LINK_BASE, 17),
            loopback_block: Prefix::new(LOOPBACK_BASE, 17),
            user_block: Prefix::new(PUBLIC_BASE | 0x8000, 17),
            contributor_count: 1,
            location_count: 1,
            exchange_count: 1,
            device_count: 0,
            link_count: 0,
            oracles: [Key::ZERO; MAX_ORACLES],
        });
        let contributor = Contributor {
            reserved: Default::default(),
            header: header(AccountType::Contributor, RegistryStatus::Activated, unused, unused, unused),
            code: code("co"),
            owner: Key([2; 32]),
            operations_key: Key::ZERO,
            device_count: 0,
            link_count: 0,
        };
        snapshot.contributors.insert(to_key(&addresses.contributor(&code("co"))), contributor);
        let location = Location {
            reserved: Default::default(),
            header: header(AccountType::Location, RegistryStatus::Activated, unused, unused, unused),
            code: code("lo"),
            name: Label::default(),
            country: Country::default(),
            lat_e6: 40_714_270,
            lng_e6: -74_005_970,
            device_count: 0,
        };
        snapshot.locations.insert(to_key(&addresses.location(&code("lo"))), location);
        let exchange = Exchange {
            reserved: Default::default(),
            header: header(AccountType::Exchange, RegistryStatus::Activated, unused, unused, unused),
            code: code("ex"),
            name: Label::default(),
            country: Country::default(),
            lat_e6: 40_714_270,
            lng_e6: -74_005_970,
            bgp_community: 100,
            device_count: 0,
        };
        snapshot.exchanges.insert(to_key(&addresses.exchange(&code("ex"))), exchange);
        Self { snapshot, addresses, platform, next_loopback: 1, next_link: 0 }
    }

    /// Adds a location at these millionths of a degree, or finds the one that has this code; its address.
    pub fn location(&mut self, name: &str, lat_e6: i32, lng_e6: i32) -> Key {
        let key = to_key(&self.addresses.location(&code(name)));
        let first = self.snapshot.locations.values().next().cloned();
        if let Some(like) = first {
            self.snapshot.locations.entry(key).or_insert(Location { code: code(name), lat_e6, lng_e6, ..like });
        }
        key
    }

    /// Address of a device.
    #[must_use]
    pub fn device_key(&self, device: &str) -> Key {
        to_key(&self.addresses.device(&code(device)))
    }

    /// Has the network's oracles say of a device what is given for each: a verdict's byte, and the slot in which it was
    /// given, 0 for never. Whatever they said before is forgotten.
    pub fn attest(&mut self, device: &str, words: &[(u8, u64)]) {
        let subject = self.device_key(device);
        let epoch = self.snapshot.network.as_ref().map_or(0, |network| network.oracle_epoch);
        let unused = Unused::Zero;
        let header = header(AccountType::Attestations, unused, unused, unused, AccountType::Device);
        let entry = |(verdict, slot): &(u8, u64)| Attestation {
            verdict: *verdict,
            epoch,
            slot: *slot,
            since: [0; 2],
            failed: 0,
            window_start_slot: 0,
            window_end_slot: 0,
            evidence_root: Digest::default(),
        };
        let said = Attestations { header, subject, entries: words.iter().map(entry).collect() };
        self.snapshot.attestations.insert(subject, said);
    }

    /// Address of a link.
    #[must_use]
    pub fn link_key(&self, link: &str) -> Key {
        to_key(&self.addresses.link(&code(link)))
    }

    /// Adds an activated hybrid device with the recipe's interfaces.
    pub fn device(&mut self, name: &str) -> &mut Device {
        let number = self.next_loopback;
        self.next_loopback += 2;
        let interfaces = (0..recipe::len(DeviceType::Hybrid)).map(|index| {
            let default = recipe::interface(DeviceType::Hybrid, self.platform, index);
            let address = match default.loopback {
                LoopbackType::Vpnv4 => Prefix::new(LOOPBACK_BASE + number, 32),
                LoopbackType::Ipv4 => Prefix::new(LOOPBACK_BASE + number + 1, 32),
                LoopbackType::None => Prefix::NONE,
            };
            Interface {
                name: default.name,
                kind: default.kind,
                role: default.role,
                loopback: default.loopback,
                vlan_id: 0,
                mtu: default.mtu,
                bandwidth_bps: default.bandwidth_bps,
                address,
                node_segment: if default.loopback == LoopbackType::Vpnv4 { (number / 2 + 1) as u16 } else { 0 },
                link: Key::ZERO,
            }
        });
        let device = Device {
            reserved: Default::default(),
            header: header(
                AccountType::Device,
                DeviceStatus::Activated,
                DeviceHealth::ReadyForUsers,
                DesiredStatus::Activated,
                DeviceType::Hybrid,
            ),
            code: code(name),
            contributor: to_key(&self.addresses.contributor(&code("co"))),
            location: to_key(&self.addresses.location(&code("lo"))),
            exchange: to_key(&self.addresses.exchange(&code("ex"))),
            platform: self.platform,
            suspended_from: DeviceStatus::Pending,
            reject_reason: RejectReason::None,
            public_ip: Ip4::from_u32(PUBLIC_BASE + number),
            dz_prefix_count: 0,
            dz_prefixes: Default::default(),
            agent_key: Key::ZERO,
            telemetry_key: Key::ZERO,
            management_vrf: VrfName::default(),
            health_since_slot: 1,
            link_count: 0,
            activated_wan_links: 0,
            activated_dzx_links: 0,
            user_count: 0,
            interfaces: interfaces.collect(),
        };
        let key = self.device_key(name);
        self.snapshot.devices.entry(key).insert_entry(device).into_mut()
    }

    /// An existing device.
    ///
    /// # Panics
    /// There is none of this code.
    #[allow(clippy::expect_used)]
    pub fn device_mut(&mut self, name: &str) -> &mut Device {
        let key = self.device_key(name);
        self.snapshot.devices.get_mut(&key).expect("the test made this device")
    }

    /// Adds an activated WAN link of 4 ms between two devices, on their next free fabric ports.
    ///
    /// # Panics
    /// A device has no free port.
    #[allow(clippy::expect_used)]
    pub fn link(&mut self, name: &str, a: &str, z: &str) -> &mut Link {
        let key = self.link_key(name);
        let number = self.next_link;
        self.next_link += 1;
        let mut hold = |device: &str| -> InterfaceName {
            let device = self.device_mut(device);
            device.link_count += 1;
            device.activated_wan_links += 1;
            let free = |i: &&mut Interface| {
                i.link.is_zero()
                    && i.kind == causeway_interface::InterfaceKind::Physical
                    && i.role == causeway_interface::InterfaceRole::Fabric
            };
            let port = device.interfaces.iter_mut().find(free).expect("a free fabric port");
            port.link = key;
            port.name
        };
        let (interface_a, interface_z) = (hold(a), hold(z));
        let (device_a, device_z) = (self.device_key(a), self.device_key(z));
        let contributor = to_key(&self.addresses.contributor(&code("co")));
        let mut header = header(
            AccountType::Link,
            LinkStatus::Activated,
            LinkHealth::ReadyForService,
            DesiredStatus::Activated,
            LinkType::Wan,
        );
        header.flags = LINK_FLAG_Z_ATTACHED;
        let link = Link {
            reserved: Default::default(),
            header,
            code: code(name),
            device_a,
            device_z,
            interface_a,
            interface_z,
            contributor_a: contributor,
            contributor_z: contributor,
            suspended_from: LinkStatus::Pending,
            reject_reason: RejectReason::None,
            desired_a: DesiredStatus::Activated,
            desired_z: DesiredStatus::Activated,
            bandwidth_bps: 100_000_000_000,
            mtu: 9_000,
            delay_ns: 4_000_000,
            jitter_ns: 10_000,
            delay_override_ns: 0,
            tunnel_id: number + 1,
            tunnel_net: Prefix::new(LINK_BASE + 2 * number, 31),
            health_since_slot: 1,
        };
        self.snapshot.links.entry(key).insert_entry(link).into_mut()
    }

    /// An existing link.
    ///
    /// # Panics
    /// There is none of this code.
    #[allow(clippy::expect_used)]
    pub fn link_mut(&mut self, name: &str) -> &mut Link {
        let key = self.link_key(name);
        self.snapshot.links.get_mut(&key).expect("the test made this link")
    }

    /// Four devices in a ring with one chord: `ams`, `fra`, `lon`, `par`.
    #[must_use]
    pub fn ring(platform: Platform) -> Self {
        let mut ledger = Self::new(platform);
        for name in ["ams", "fra", "lon", "par"] {
            ledger.device(name);
        }
        for (name, a, z) in [
            ("ams-fra", "ams", "fra"),
            ("fra-par", "fra", "par"),
            ("lon-par", "lon", "par"),
            ("ams-lon", "ams", "lon"),
            ("ams-par", "ams", "par"),
        ] {
            ledger.link(name, a, z);
        }
        ledger
    }
}
