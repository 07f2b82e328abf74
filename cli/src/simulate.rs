//! The ledger that a site would become, without a ledger: a fake, for rendering offline and for tests.
//!
//! It holds what the program would hold once everything is in service: real derived addresses, the recipe's interfaces,
//! loopbacks, segment ids, tunnel ids and nets out of the program's own pool arithmetic, handed out in the site's order.
//! It is a fake in three ways: no transition leads there, nothing is attested, and pools and the prefix table are left
//! out.

use causeway_interface::{
    AccountType, Code, DesiredStatus, DeviceHealth, DeviceStatus, InterfaceName, Key, LinkHealth, LinkStatus, LinkType,
    LoopbackType, NetworkStatus, Prefix, RegistryStatus, RejectReason, Unused,
    accounts::{
        Contributor, Device, Exchange, Header, Interface, LAYOUT_VERSION, LINK_FLAG_Z_ATTACHED, Link, Location,
        MAX_DZ_PREFIXES, MAX_ORACLES, Network,
    },
    pool, recipe,
};
use causeway_sdk::{
    Snapshot,
    address::{Addresses, to_key, to_pubkey},
};

use crate::site::{DeviceSpec, EndSpec, LinkSpec, Site};

#[cfg(test)]
mod tests;

/// Slot at which everything came to be.
const SLOT: u64 = 1;

/// Numbers of the network of a simulated ledger.
#[derive(Clone, Debug)]
pub struct SimulatedNetwork {
    /// Core ASN.
    pub core_asn: u32,
    /// Block of link nets.
    pub link_block: Prefix,
    /// Block of loopbacks.
    pub loopback_block: Prefix,
    /// Block of user addresses.
    pub user_block: Prefix,
}

impl Default for SimulatedNetwork {
    fn default() -> Self {
        Self {
            core_asn: 65_000,
            link_block: Prefix::new(0xac10_0000, 16),
            loopback_block: Prefix::new(0xac1f_0000, 16),
            user_block: Prefix::new(0x0a00_0000, 8),
        }
    }
}

/// A site that can't be simulated.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SimulateError {
    /// The site is not valid.
    #[error(transparent)]
    Site(#[from] crate::site::SiteError),
    /// A block is too small.
    #[error("the {what} are used up at {code}")]
    Exhausted {
        /// What is used up.
        what: &'static str,
        /// The object that gets none.
        code: Code,
    },
}

fn header<S, H, D, K>(account_type: AccountType, status: S, health: H, desired: D, kind: K) -> Header<S, H, D, K> {
    let (sequence, status_since_slot) = (SLOT, SLOT);
    let (version, bump, flags) = (LAYOUT_VERSION, u8::MAX, 0);
    Header { account_type, version, bump, status, health, desired, kind, flags, sequence, status_since_slot }
}

/// Values of a pool in order, as the program hands them out.
struct Numbers {
    what: &'static str,
    pool: (u32, u32, u32),
    next: u32,
}

impl Numbers {
    fn take(&mut self, code: Code) -> Result<u32, SimulateError> {
        let (base, stride, capacity) = self.pool;
        if self.next >= capacity {
            return Err(SimulateError::Exhausted { what: self.what, code });
        }
        self.next += 1;
        Ok(base + (self.next - 1) * stride)
    }
}

/// The ledger of `site` with every device and link activated, on a network with the usual blocks.
///
/// # Errors
/// The site is not valid, or a block is too small for it.
pub fn activated(site: &Site, program_id: Key) -> Result<Snapshot, SimulateError> {
    activated_in(site, program_id, &SimulatedNetwork::default())
}

/// The same on a network with other numbers.
///
/// # Errors
/// As for [`activated`].
pub fn activated_in(site: &Site, program_id: Key, network: &SimulatedNetwork) -> Result<Snapshot, SimulateError> {
    site.check()?;
    let mut fake =
        Fake { addresses: Addresses::new(to_pubkey(&program_id)), snapshot: Snapshot::empty(program_id, SLOT) };
    fake.network(site, network);
    fake.registry(site);
    let pool = |what, pool| Numbers { what, pool, next: 0 };
    let mut loopbacks = pool("loopback addresses", pool::loopbacks(&network.loopback_block));
    let mut segments = pool("segment ids", pool::NODE_SEGMENTS);
    for spec in &site.devices {
        fake.device(spec, &mut loopbacks, &mut segments)?;
    }
    let mut nets = pool("link nets", pool::link_nets(&network.link_block));
    let mut ids = pool("link ids", pool::LINK_IDS);
    for spec in &site.links {
        fake.link(spec, nets.take(spec.code)?, ids.take(spec.code)?);
    }
    Ok(fake.snapshot)
}

struct Fake {
    addresses: Addresses,
    snapshot: Snapshot,
}

impl Fake {
    fn network(&mut self, site: &Site, network: &SimulatedNetwork) {
        let unused = Unused::Zero;
        self.snapshot.network = Some(Network {
            reserved: Default::default(),
            header: header(AccountType::Network, NetworkStatus::Running, unused, unused, unused),
            authority: Key([1; 32]),
            pending_authority: Key::ZERO,
            oracle_epoch: 0,
            quorum: 0,
            oracle_count: 0,
            core_asn: network.core_asn,
            burn_in_new_slots: 200_000,
            burn_in_maintenance_slots: 5_000,
            attestation_max_age_slots: 1_500,
            link_block: network.link_block,
            loopback_block: network.loopback_block,
            user_block: network.user_block,
            contributor_count: site.contributors.len() as u32,
            location_count: site.locations.len() as u32,
            exchange_count: site.exchanges.len() as u32,
            device_count: site.devices.len() as u32,
            link_count: site.links.len() as u32,
            oracles: [Key::ZERO; MAX_ORACLES],
        });
    }

    fn registry(&mut self, site: &Site) {
        let unused = Unused::Zero;
        let devices =
            |of: &dyn Fn(&DeviceSpec) -> Code, code: Code| site.devices.iter().filter(|d| of(d) == code).count() as u32;
        for spec in &site.contributors {
            let key = to_key(&self.addresses.contributor(&spec.code));
            let contributor = Contributor {
                reserved: Default::default(),
                header: header(AccountType::Contributor, RegistryStatus::Activated, unused, unused, unused),
                code: spec.code,
                // A site may leave the owner to the key that signs; any key will do here.
                owner: if spec.owner.is_zero() { Key([2; 32]) } else { spec.owner },
                operations_key: spec.operations_key,
                device_count: devices(&|d| d.contributor, spec.code),
                link_count: 0,
            };
            self.snapshot.contributors.insert(key, contributor);
        }
        for spec in &site.locations {
            let location = Location {
                reserved: Default::default(),
                header: header(AccountType::Location, RegistryStatus::Activated, unused, unused, unused),
                code: spec.code,
                name: spec.name,
                country: spec.country,
                lat_e6: spec.lat.0,
                lng_e6: spec.lng.0,
                device_count: devices(&|d| d.location, spec.code),
            };
            self.snapshot.locations.insert(to_key(&self.addresses.location(&spec.code)), location);
        }
        for spec in &site.exchanges {
            let exchange = Exchange {
                reserved: Default::default(),
                header: header(AccountType::Exchange, RegistryStatus::Activated, unused, unused, unused),
                code: spec.code,
                name: spec.name,
                country: spec.country,
                lat_e6: spec.lat.0,
                lng_e6: spec.lng.0,
                bgp_community: spec.bgp_community,
                device_count: devices(&|d| d.exchange, spec.code),
            };
            self.snapshot.exchanges.insert(to_key(&self.addresses.exchange(&spec.code)), exchange);
        }
    }

    fn device(
        &mut self,
        spec: &DeviceSpec,
        loopbacks: &mut Numbers,
        segments: &mut Numbers,
    ) -> Result<(), SimulateError> {
        let mut interfaces = default_interfaces(spec);
        for wanted in &spec.interfaces {
            let made = Interface {
                name: wanted.name,
                kind: wanted.kind,
                role: wanted.role,
                loopback: LoopbackType::None,
                vlan_id: wanted.vlan_id,
                mtu: wanted.mtu,
                bandwidth_bps: wanted.bandwidth_bps,
                address: wanted.address,
                node_segment: 0,
                link: Key::ZERO,
            };
            match interfaces.iter_mut().find(|i| i.name == wanted.name) {
                Some(there) => *there = made,
                None => interfaces.push(made),
            }
        }
        for kind in [LoopbackType::Vpnv4, LoopbackType::Ipv4] {
            if let Some(interface) = interfaces.iter_mut().find(|i| i.loopback == kind) {
                interface.address = Prefix::new(loopbacks.take(spec.code)?, 32);
                if kind == LoopbackType::Vpnv4 {
                    interface.node_segment = segments.take(spec.code)? as u16;
                }
            }
        }
        let mut dz_prefixes = [Prefix::NONE; MAX_DZ_PREFIXES];
        for (to, from) in dz_prefixes.iter_mut().zip(&spec.dz_prefixes) {
            *to = *from;
        }
        let device = Device {
            reserved: Default::default(),
            header: header(
                AccountType::Device,
                DeviceStatus::Activated,
                DeviceHealth::ReadyForUsers,
                DesiredStatus::Activated,
                spec.device_type,
            ),
            code: spec.code,
            contributor: to_key(&self.addresses.contributor(&spec.contributor)),
            location: to_key(&self.addresses.location(&spec.location)),
            exchange: to_key(&self.addresses.exchange(&spec.exchange)),
            platform: spec.platform,
            suspended_from: DeviceStatus::Pending,
            reject_reason: RejectReason::None,
            public_ip: spec.public_ip,
            dz_prefix_count: spec.dz_prefixes.len() as u8,
            dz_prefixes,
            agent_key: spec.agent_key,
            telemetry_key: spec.telemetry_key,
            management_vrf: spec.management_vrf,
            health_since_slot: SLOT,
            link_count: 0,
            activated_wan_links: 0,
            activated_dzx_links: 0,
            user_count: 0,
            interfaces,
        };
        self.snapshot.devices.insert(to_key(&self.addresses.device(&spec.code)), device);
        Ok(())
    }

    fn link(&mut self, spec: &LinkSpec, net: u32, id: u32) {
        let key = to_key(&self.addresses.link(&spec.code));
        let (device_a, contributor_a) = self.hold(&spec.a, spec.link_type, key);
        let (device_z, contributor_z) = self.hold(&spec.z, spec.link_type, key);
        let mut header = header(
            AccountType::Link,
            LinkStatus::Activated,
            LinkHealth::ReadyForService,
            DesiredStatus::Activated,
            spec.link_type,
        );
        header.flags = LINK_FLAG_Z_ATTACHED;
        let link = Link {
            reserved: Default::default(),
            header,
            code: spec.code,
            device_a,
            device_z,
            interface_a: spec.a.interface,
            interface_z: spec.z.interface,
            contributor_a,
            contributor_z,
            suspended_from: LinkStatus::Pending,
            reject_reason: RejectReason::None,
            desired_a: DesiredStatus::Activated,
            desired_z: DesiredStatus::Activated,
            bandwidth_bps: spec.bandwidth_bps,
            mtu: spec.mtu,
            delay_ns: spec.delay_ns,
            jitter_ns: spec.jitter_ns,
            delay_override_ns: spec.delay_override_ns,
            tunnel_id: id,
            tunnel_net: Prefix::new(net, 31),
            health_since_slot: SLOT,
        };
        self.snapshot.links.insert(key, link);
    }

    /// Reserves an end's interface and counts the link; the end's device and contributor.
    fn hold(&mut self, end: &EndSpec, link_type: LinkType, link: Key) -> (Key, Key) {
        let key = to_key(&self.addresses.device(&end.device));
        // The site is checked: both ends are there.
        let Some(device) = self.snapshot.devices.get_mut(&key) else { return (key, Key::ZERO) };
        let name: InterfaceName = end.interface;
        if let Some(interface) = device.interfaces.iter_mut().find(|i| i.name == name) {
            interface.link = link;
        }
        device.link_count += 1;
        match link_type {
            LinkType::Wan => device.activated_wan_links += 1,
            LinkType::Dzx => device.activated_dzx_links += 1,
        }
        let contributor = device.contributor;
        if let Some(contributor) = self.snapshot.contributors.get_mut(&contributor) {
            contributor.link_count += 1;
        }
        (key, contributor)
    }
}

fn default_interfaces(spec: &DeviceSpec) -> Vec<Interface> {
    (0..recipe::len(spec.device_type))
        .map(|index| recipe::interface(spec.device_type, spec.platform, index))
        .map(|default| Interface {
            name: default.name,
            kind: default.kind,
            role: default.role,
            loopback: default.loopback,
            vlan_id: 0,
            mtu: default.mtu,
            bandwidth_bps: default.bandwidth_bps,
            address: Prefix::NONE,
            node_segment: 0,
            link: Key::ZERO,
        })
        .collect()
}
