//! What has to be so on the ledger whatever has happened, found from the ledger's own accounts alone.
//!
//! The model is not asked: a mistake that it shares with the program shows here. The one thing that accounts don't
//! hold is the past, so the words of oracles that landed are kept beside ([`Past`]).

use std::collections::{BTreeMap, BTreeSet};

use causeway_interface::{
    DeviceStatus, InterfaceName, Key, LinkStatus, LinkType, LoopbackType, PoolKind,
    accounts::{Contributor, Device, Exchange, LINK_FLAG_Z_ATTACHED, Link, Location, Network, Pool, PrefixTable},
};

use super::{
    atlas::{Place, atlas},
    command::{Registry, Subject},
    compare::read,
};

/// A word that landed.
#[derive(Clone, Copy, Debug)]
struct Said {
    slot: u64,
    epoch: u32,
    rank: u8,
    max_age: u64,
}

/// What accounts don't hold of the time since each subject was created.
#[derive(Debug, Default)]
pub struct Past {
    /// Every word that landed, per subject and oracle.
    said: BTreeMap<Subject, BTreeMap<Key, Vec<Said>>>,
    /// Subjects that a quorum has brought into service.
    served: BTreeSet<Subject>,
}

impl Past {
    /// A word has landed.
    pub fn note(&mut self, subject: Subject, oracle: Key, slot: u64, rank: u8, network: &Network) {
        let said = Said { slot, epoch: network.oracle_epoch, rank, max_age: network.attestation_max_age_slots };
        self.said.entry(subject).or_default().entry(oracle).or_default().push(said);
    }

    /// The subject is gone: what was said of it says nothing of another of its code.
    pub fn forget(&mut self, subject: Subject) {
        self.said.remove(&subject);
        self.served.remove(&subject);
    }

    /// Whether a quorum of the oracles in force has, up to now and without a break, held the subject at `rank` or
    /// above for so many slots, none of them before `floor`.
    pub fn quorum_holds(
        &self,
        subject: Subject,
        network: &Network,
        now: u64,
        rank: u8,
        slots: u64,
        floor: u64,
    ) -> bool {
        let set = network.oracles.iter().take(usize::from(network.oracle_count));
        let said = |oracle: &Key| self.said.get(&subject).and_then(|of| of.get(oracle));
        let holds = |oracle: &&Key| said(oracle).is_some_and(|said| holds_for(said, network, now, rank, slots, floor));
        network.quorum > 0 && set.filter(holds).count() >= usize::from(network.quorum)
    }
}

/// Follows one oracle's words from the first to the last.
fn holds_for(said: &[Said], network: &Network, now: u64, rank: u8, slots: u64, floor: u64) -> bool {
    let mut begun: Option<u64> = None;
    let mut last: Option<Said> = None;
    for word in said {
        let unbroken = last.is_some_and(|before| before.epoch == word.epoch && word.slot - before.slot <= word.max_age);
        begun = match (word.rank >= rank, begun) {
            (false, _) => None,
            (true, Some(begun)) if unbroken => Some(begun),
            (true, _) => Some(word.slot),
        };
        last = Some(*word);
    }
    let (Some(begun), Some(last)) = (begun, last) else { return false };
    let fresh = last.epoch == network.oracle_epoch && now - last.slot <= network.attestation_max_age_slots;
    fresh && last.slot >= begun.max(floor) + slots
}

/// The ledger, decoded.
pub struct Ledger {
    pub network: Network,
    contributors: BTreeMap<Key, Contributor>,
    locations: BTreeMap<Key, Location>,
    exchanges: BTreeMap<Key, Exchange>,
    devices: BTreeMap<Key, Device>,
    links: BTreeMap<Key, Link>,
    attestations: BTreeSet<Subject>,
    pools: Vec<Pool>,
    prefix_table: PrefixTable,
}

impl Ledger {
    /// Reads every account there is; nothing while there is no network.
    pub fn read<'d>(data: impl Fn(Place) -> Option<&'d [u8]>) -> Option<Self> {
        let mut ledger = Self {
            network: read(data(Place::Network)?),
            contributors: BTreeMap::new(),
            locations: BTreeMap::new(),
            exchanges: BTreeMap::new(),
            devices: BTreeMap::new(),
            links: BTreeMap::new(),
            attestations: BTreeSet::new(),
            pools: Vec::new(),
            prefix_table: read(data(Place::PrefixTable)?),
        };
        for (place, address) in atlas().everywhere() {
            let Some(data) = data(place) else { continue };
            let key = causeway_sdk::address::to_key(&address);
            match place {
                Place::Network | Place::PrefixTable => {}
                Place::Pool(_) => ledger.pools.push(read(data)),
                Place::Registry(Registry::Contributor(_)) => drop(ledger.contributors.insert(key, read(data))),
                Place::Registry(Registry::Location(_)) => drop(ledger.locations.insert(key, read(data))),
                Place::Registry(Registry::Exchange(_)) => drop(ledger.exchanges.insert(key, read(data))),
                Place::Subject(Subject::Device(_)) => drop(ledger.devices.insert(key, read(data))),
                Place::Subject(Subject::Link(_)) => drop(ledger.links.insert(key, read(data))),
                Place::Attestations(subject) => drop(ledger.attestations.insert(subject)),
            }
        }
        Some(ledger)
    }

    /// Everything that is not as it has to be.
    pub fn violations(&self, past: &Past) -> Vec<String> {
        let mut found = Vec::new();
        self.check_counters(&mut found);
        self.check_interfaces(&mut found);
        self.check_pools(&mut found);
        self.check_prefixes(&mut found);
        self.check_service(&mut found, past);
        found
    }

    /// Sides of links that hold an interface: device, interface name, contributor.
    fn held<'l>(&self, link: &'l Link) -> impl Iterator<Item = (&'l Key, &'l InterfaceName, &'l Key)> {
        let z = link.header.flags & LINK_FLAG_Z_ATTACHED != 0;
        let a = std::iter::once((&link.device_a, &link.interface_a, &link.contributor_a));
        a.chain(z.then_some((&link.device_z, &link.interface_z, &link.contributor_z)))
    }

    fn check_counters(&self, found: &mut Vec<String>) {
        let mut equal = |what: String, counter: u32, counted: usize| {
            if counter as usize != counted {
                found.push(format!("{what} says {counter} and there are {counted}"));
            }
        };
        let network = &self.network;
        equal("contributor_count".into(), network.contributor_count, self.contributors.len());
        equal("location_count".into(), network.location_count, self.locations.len());
        equal("exchange_count".into(), network.exchange_count, self.exchanges.len());
        equal("device_count".into(), network.device_count, self.devices.len());
        equal("link_count".into(), network.link_count, self.links.len());
        let devices = |which: &dyn Fn(&Device) -> bool| self.devices.values().filter(|d| which(d)).count();
        let sides = || self.links.values().flat_map(|link| self.held(link).map(move |side| (link, side)));
        for (key, contributor) in &self.contributors {
            let code = contributor.code;
            equal(format!("{code}.device_count"), contributor.device_count, devices(&|d| d.contributor == *key));
            let held = sides().filter(|(_, (_, _, party))| *party == key).count();
            equal(format!("{code}.link_count"), contributor.link_count, held);
        }
        for (key, location) in &self.locations {
            equal(format!("location {}", location.code), location.device_count, devices(&|d| d.location == *key));
        }
        for (key, exchange) in &self.exchanges {
            equal(format!("exchange {}", exchange.code), exchange.device_count, devices(&|d| d.exchange == *key));
        }
        for (key, device) in &self.devices {
            let code = device.code;
            let own = || sides().filter(|(_, (of, _, _))| *of == key).map(|(link, _)| link);
            equal(format!("{code}.link_count"), device.link_count, own().count());
            let activated = |kind: LinkType| {
                own().filter(|l| l.header.status == LinkStatus::Activated && l.header.kind == kind).count()
            };
            equal(format!("{code}.activated_wan_links"), device.activated_wan_links, activated(LinkType::Wan));
            equal(format!("{code}.activated_dzx_links"), device.activated_dzx_links, activated(LinkType::Dzx));
            equal(format!("{code}.user_count"), device.user_count, 0);
        }
        let subjects = self.devices.len() + self.links.len();
        if self.attestations.len() != subjects {
            found.push(format!("{} attestations of {subjects} subjects", self.attestations.len()));
        }
    }

    /// No interface in two links, and interface and link name each other.
    fn check_interfaces(&self, found: &mut Vec<String>) {
        let mut by_link = BTreeMap::new();
        for (key, device) in &self.devices {
            let names: BTreeSet<_> = device.interfaces.iter().map(|interface| interface.name).collect();
            if names.len() != device.interfaces.len() {
                found.push(format!("{} has two interfaces of one name", device.code));
            }
            for interface in device.interfaces.iter().filter(|interface| !interface.link.is_zero()) {
                by_link.insert((*key, interface.name), interface.link);
            }
        }
        for (key, link) in &self.links {
            for (device, name, _) in self.held(link) {
                if by_link.remove(&(*device, *name)) != Some(*key) {
                    found.push(format!("{} does not hold {name}, or another link does too", link.code));
                }
            }
        }
        for ((_, name), link) in by_link {
            found.push(format!("{name} is held by {link}, which does not hold it"));
        }
    }

    /// Whatever a pool has handed out is used exactly once, and nothing else is.
    fn check_pools(&self, found: &mut Vec<String>) {
        let routing = || self.devices.values().flat_map(|d| &d.interfaces).filter(|i| i.loopback != LoopbackType::None);
        for pool in &self.pools {
            let kind = pool.header.kind;
            let mut used: Vec<u32> = match kind {
                PoolKind::LinkNet => {
                    let nets = self.links.values().filter(|link| !link.tunnel_net.is_none());
                    nets.map(|link| link.tunnel_net.addr.to_u32()).collect()
                }
                PoolKind::LinkId => self.links.values().map(|link| link.tunnel_id).filter(|id| *id != 0).collect(),
                PoolKind::NodeSegment => {
                    routing().map(|i| u32::from(i.node_segment)).filter(|segment| *segment != 0).collect()
                }
                PoolKind::Loopback => {
                    routing().filter(|i| !i.address.is_none()).map(|i| i.address.addr.to_u32()).collect()
                }
            };
            used.sort_unstable();
            let set = |index: u32| pool.words[index as usize / 64] >> (index % 64) & 1 == 1;
            let handed_out: Vec<_> =
                (0..pool.capacity).filter(|n| set(*n)).map(|n| pool.base + n * pool.stride).collect();
            if handed_out != used || pool.allocated as usize != used.len() {
                let count = pool.allocated;
                found.push(format!("pool {kind}: handed out {handed_out:?} (counts {count}), in use {used:?}"));
            }
            for (index, word) in pool.words.iter().enumerate() {
                if (*word == u64::MAX) != (pool.full_words[index / 64] >> (index % 64) & 1 == 1) {
                    found.push(format!("pool {kind}: word {index} and its summary disagree"));
                }
            }
        }
    }

    /// The table holds the prefixes of all devices, and none shares an address with another.
    fn check_prefixes(&self, found: &mut Vec<String>) {
        let of = |d: &Device| d.dz_prefixes.into_iter().take(d.dz_prefix_count.into()).collect::<Vec<_>>();
        let mut used: Vec<_> = self.devices.values().flat_map(of).map(|p| (p.first(), p.last())).collect();
        used.sort_unstable();
        let ranges = self.prefix_table.ranges.iter().take(self.prefix_table.used as usize);
        let table: Vec<_> = ranges.map(|range| (range.first, range.last)).collect();
        if table != used {
            found.push(format!("the prefix table holds {table:?}, devices {used:?}"));
        }
        if table.windows(2).any(|pair| pair[0].1 >= pair[1].0) {
            found.push(format!("dz prefixes overlap: {table:?}"));
        }
    }

    /// What is in service has what service takes.
    fn check_service(&self, found: &mut Vec<String>, past: &Past) {
        let served = |key: &Key| match atlas().named(key) {
            Some(Place::Subject(subject)) => past.served.contains(&subject),
            _ => false,
        };
        for (key, device) in &self.devices {
            let status = device.header.status;
            if matches!(status, DeviceStatus::Activated | DeviceStatus::Drained) && !served(key) {
                found.push(format!("{} is {status} and no quorum ever brought it into service", device.code));
            }
            let provisioned = matches!(
                device.header.status,
                DeviceStatus::DeviceProvisioning
                    | DeviceStatus::LinkProvisioning
                    | DeviceStatus::Activated
                    | DeviceStatus::Drained
            );
            let loopback = |loopback| device.interfaces.iter().find(|i| i.loopback == loopback);
            let addressed = |kind| loopback(kind).is_some_and(|i| i.address.len == 32);
            let segment = loopback(LoopbackType::Vpnv4).is_some_and(|i| i.node_segment != 0);
            if provisioned && !(addressed(LoopbackType::Vpnv4) && addressed(LoopbackType::Ipv4) && segment) {
                found.push(format!("{} is {} without its addresses", device.code, device.header.status));
            }
        }
        for (key, link) in &self.links {
            let status = link.header.status;
            let in_service =
                matches!(status, LinkStatus::Activated | LinkStatus::SoftDrained | LinkStatus::HardDrained);
            if in_service && !served(key) {
                found.push(format!("{} is {status} and no quorum ever brought it into service", link.code));
            }
            let provisioned = in_service || status == LinkStatus::Provisioning;
            if provisioned && (link.tunnel_id == 0 || link.tunnel_net.len != 31) {
                found.push(format!("{} is {} without id or net", link.code, link.header.status));
            }
            if provisioned && link.header.flags & LINK_FLAG_Z_ATTACHED == 0 {
                found.push(format!("{} is {} without side Z's consent", link.code, link.header.status));
            }
        }
    }
}

/// Checks a change of a subject's status against what the oracles said: nothing goes forward without a quorum's
/// streak.
pub fn check_move(
    subject: Subject,
    before: &[u8],
    after: &[u8],
    network: &Network,
    past: &mut Past,
    now: u64,
) -> Option<String> {
    let (new, maintenance) = (network.burn_in_new_slots, network.burn_in_maintenance_slots);
    let (asked, moves_into_service, moved) = match subject {
        Subject::Device(_) => {
            let (before, after): (Device, Device) = (read(before), read(after));
            let (from, to) = (before.header.status, after.header.status);
            let asked = match (from, to) {
                _ if from == to => None,
                (DeviceStatus::Drained, DeviceStatus::Activated) => {
                    Some((2, maintenance, before.header.status_since_slot))
                }
                (_, DeviceStatus::Activated) => Some((2, new, 0)),
                (DeviceStatus::DeviceProvisioning, DeviceStatus::LinkProvisioning) => Some((1, new, 0)),
                _ => None,
            };
            (asked, to == DeviceStatus::Activated, format!("{} from {from} to {to}", after.code))
        }
        Subject::Link(_) => {
            let (before, after): (Link, Link) = (read(before), read(after));
            let (from, to) = (before.header.status, after.header.status);
            let asked = match (from, to) {
                _ if from == to => None,
                (LinkStatus::SoftDrained | LinkStatus::HardDrained, LinkStatus::Activated) => {
                    Some((1, maintenance, before.header.status_since_slot))
                }
                (_, LinkStatus::Activated) => Some((1, new, 0)),
                _ => None,
            };
            (asked, to == LinkStatus::Activated, format!("{} from {from} to {to}", after.code))
        }
    };
    let (rank, slots, floor) = asked?;
    let held = past.quorum_holds(subject, network, now, rank, slots, floor);
    if moves_into_service {
        past.served.insert(subject);
    }
    (!held).then(|| format!("{moved} without a quorum's streak of {slots} slots; said: {:?}", past.said.get(&subject)))
}
