//! Who holds iBGP sessions with whom, as a value made from the whole topology: every device with every other in a small
//! network, by route reflectors in a large one (rfcs/0015). Pure.
//!
//! - With fewer than [`REFLECTION_FROM`] devices on the ledger: a full mesh of those that take part in routing.
//! - From there on: in each [`Region`] the [`REFLECTORS_PER_REGION`] devices with the lowest VPNv4 loopbacks reflect. They hold
//!   sessions with every other reflector and with the devices of their region; anybody else holds sessions with the
//!   reflectors of its own region, and with nobody else.
//!
//! Loopbacks are handed out in ascending order, so that a device that is added takes the place of none that reflects; a
//! device's status plays no part as long as it takes part in routing, so that no drain moves anybody's sessions. The
//! number of regions is bounded by geography and not by the number of devices, so that all sessions together grow
//! linearly.

use std::{collections::BTreeMap, sync::Arc};

use causeway_interface::{Code, Ip4, Key, LoopbackType, accounts::Location};
use serde::{Deserialize, Serialize};

use crate::topology::{Node, Topology, is_routing};

/// Devices on the ledger, whatever their status, from which on routes are reflected. A mesh of fewer costs each router
/// under a hundred sessions.
pub const REFLECTION_FROM: usize = 50;
/// Reflectors of a region: one may be away.
pub const REFLECTORS_PER_REGION: usize = 2;
/// Width of a region in millionths of a degree of longitude: an hour and a half of the sun, 12 regions around the earth.
const REGION_WIDTH_E6: i32 = 30_000_000;

/// A device that others hold iBGP sessions with.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Peer {
    /// Its code.
    pub code: Code,
    /// Its address on the ledger.
    pub key: Key,
    /// Its VPNv4 loopback.
    pub vpnv4: Ip4,
    /// Its IPv4 loopback.
    pub ipv4: Ip4,
}

/// A sector of the earth between two meridians; none for a location that can't be read. It depends on the one location
/// only, so that no other device can move it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Region(Option<i32>);

impl Region {
    /// Where a location is.
    #[must_use]
    pub fn of(location: Option<&Location>) -> Self {
        Self(location.map(|location| location.lng_e6.div_euclid(REGION_WIDTH_E6)))
    }
}

/// One device's sessions. Lists are sorted by code, may hold the device itself, and are shared by all that have the same.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sessions {
    /// Ordinary peers.
    pub peers: Arc<Vec<Peer>>,
    /// Peers that routes are reflected to and from; some for a reflector only.
    pub clients: Arc<Vec<Peer>>,
    /// The device reflects.
    pub reflects: bool,
    /// Devices whose routes it learns, from themselves or from a reflector, itself counted; the size of the network's table.
    pub reach: Reach,
}

/// A count that says nothing about what a device is to run: plans that differ by it only are the same.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct Reach(pub usize);

impl PartialEq for Reach {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Reach {}

/// Everybody's sessions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Backbone {
    /// Every device that takes part.
    table: Arc<Vec<Peer>>,
    /// Empty for a mesh.
    regions: BTreeMap<Region, Members>,
    /// Where each device is; empty for a mesh.
    region_of: BTreeMap<Code, Region>,
    /// Of all regions; empty for a mesh.
    reflectors: Arc<Vec<Peer>>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Members {
    reflectors: Arc<Vec<Peer>>,
    clients: Arc<Vec<Peer>>,
}

impl Backbone {
    /// Of a topology.
    #[must_use]
    pub fn new(topology: &Topology<'_>) -> Self {
        let routing = topology.devices.values().filter(|n| is_routing(n.record.header.status));
        // By code, because the topology is.
        let table: Vec<(Peer, Region)> = routing
            .filter_map(|node| {
                Some((peer(node)?, Region::of(topology.snapshot().locations.get(&node.record.location))))
            })
            .collect();
        if topology.snapshot().devices.len() < REFLECTION_FROM {
            return Self { table: Arc::new(table.into_iter().map(|(peer, _)| peer).collect()), ..Self::default() };
        }
        let mut by_region: BTreeMap<Region, Vec<Peer>> = BTreeMap::new();
        for (peer, region) in &table {
            by_region.entry(*region).or_default().push(peer.clone());
        }
        let regions: BTreeMap<Region, Members> =
            by_region.into_iter().map(|(region, peers)| (region, elect(peers))).collect();
        let mut reflectors: Vec<Peer> = regions.values().flat_map(|m| m.reflectors.iter().cloned()).collect();
        reflectors.sort();
        Self {
            region_of: table.iter().map(|(peer, region)| (peer.code, *region)).collect(),
            table: Arc::new(table.into_iter().map(|(peer, _)| peer).collect()),
            regions,
            reflectors: Arc::new(reflectors),
        }
    }

    /// The same value, sharing with an older one what is equal: comparing plans then compares pointers and not thousands
    /// of peers.
    #[must_use]
    pub fn sharing(mut self, older: &Self) -> Self {
        share(&mut self.table, &older.table);
        share(&mut self.reflectors, &older.reflectors);
        for (region, members) in &mut self.regions {
            if let Some(known) = older.regions.get(region) {
                share(&mut members.reflectors, &known.reflectors);
                share(&mut members.clients, &known.clients);
            }
        }
        self
    }

    /// Every device that takes part, by code.
    #[must_use]
    pub fn table(&self) -> &Arc<Vec<Peer>> {
        &self.table
    }

    /// Whether routes are reflected.
    #[must_use]
    pub fn reflects(&self) -> bool {
        !self.regions.is_empty()
    }

    /// A device's sessions; none for one that takes no part.
    #[must_use]
    pub fn sessions(&self, device: &Code) -> Option<Sessions> {
        let reach = Reach(self.table.len());
        if !self.reflects() {
            self.table.binary_search_by_key(device, |p| p.code).ok()?;
            return Some(Sessions { peers: Arc::clone(&self.table), reach, ..Sessions::default() });
        }
        let members = self.regions.get(self.region_of.get(device)?)?;
        let reflects = members.reflectors.iter().any(|p| p.code == *device);
        Some(if reflects {
            let (peers, clients) = (Arc::clone(&self.reflectors), Arc::clone(&members.clients));
            Sessions { peers, clients, reflects, reach }
        } else {
            Sessions { peers: Arc::clone(&members.reflectors), clients: Arc::default(), reflects, reach }
        })
    }
}

fn share(new: &mut Arc<Vec<Peer>>, old: &Arc<Vec<Peer>>) {
    if new == old {
        *new = Arc::clone(old);
    }
}

/// A device as others' peer, when it has both loopbacks.
fn peer(node: &Node<'_>) -> Option<Peer> {
    Some(Peer {
        code: node.record.code,
        key: node.key,
        vpnv4: node.loopback(LoopbackType::Vpnv4)?,
        ipv4: node.loopback(LoopbackType::Ipv4)?,
    })
}

/// Parts a region's devices into reflectors and the others, each by code.
fn elect(mut peers: Vec<Peer>) -> Members {
    peers.sort_by_key(|p| p.vpnv4);
    let mut clients = peers.split_off(peers.len().min(REFLECTORS_PER_REGION));
    peers.sort();
    clients.sort();
    Members { reflectors: Arc::new(peers), clients: Arc::new(clients) }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use causeway_interface::{DeviceStatus, Platform};

    use super::*;
    use crate::testing::{SyntheticLedger, code};

    /// `devices` devices, the `n`th at a longitude of `lng(n)` degrees.
    fn ledger(devices: usize, lng: impl Fn(usize) -> i32) -> SyntheticLedger {
        let mut ledger = SyntheticLedger::new(Platform::Frr);
        for n in 0..devices {
            let place = lng(n);
            let location = ledger.location(&format!("at{}", place + 180), 0, place * 1_000_000);
            ledger.device(&format!("d{n:03}")).location = location;
        }
        ledger
    }

    fn backbone(ledger: &SyntheticLedger) -> Backbone {
        Backbone::new(&Topology::new(&ledger.snapshot))
    }

    /// Sessions as pairs of codes, each seen from its first.
    fn pairs(backbone: &Backbone) -> BTreeSet<(Code, Code)> {
        let of = |peer: &Peer| {
            let sessions = backbone.sessions(&peer.code).unwrap();
            let all: Vec<Code> = sessions.peers.iter().chain(sessions.clients.iter()).map(|p| p.code).collect();
            all.into_iter().filter(|other| *other != peer.code).map(|other| (peer.code, other)).collect::<Vec<_>>()
        };
        backbone.table().iter().flat_map(of).collect()
    }

    #[test]
    fn a_small_network_is_a_mesh_and_the_fiftieth_device_ends_it() {
        let small = backbone(&ledger(49, |_| 10));
        assert!(!small.reflects());
        assert_eq!(pairs(&small).len(), 49 * 48);
        let large = backbone(&ledger(50, |_| 10));
        assert!(large.reflects());
        // Two reflectors, each with the other and 48 clients; both ways.
        assert_eq!(pairs(&large).len(), 2 * (1 + 2 * 48));
    }

    #[test]
    fn every_session_is_known_at_both_ends_and_everybody_reaches_everybody() {
        for devices in [3, 49, 50, 200] {
            let backbone = backbone(&ledger(devices, |n| (n as i32 * 37) % 360 - 180));
            let pairs = pairs(&backbone);
            for (a, z) in &pairs {
                assert!(pairs.contains(&(*z, *a)), "{a} holds a session that {z} doesn't know");
            }
            let reflects = |code: &Code| backbone.sessions(code).unwrap().reflects || !backbone.reflects();
            for a in backbone.table().iter() {
                for z in backbone.table().iter().filter(|z| z.code != a.code) {
                    let direct = pairs.contains(&(a.code, z.code));
                    let reflectors = || backbone.table().iter().map(|p| p.code).filter(reflects);
                    let one = || reflectors().any(|r| pairs.contains(&(a.code, r)) && pairs.contains(&(r, z.code)));
                    let two = || {
                        reflectors()
                            .filter(|r| pairs.contains(&(a.code, *r)))
                            .any(|r| reflectors().any(|s| pairs.contains(&(r, s)) && pairs.contains(&(s, z.code))))
                    };
                    assert!(direct || one() || two(), "{} learns nothing of {}", a.code, z.code);
                }
            }
        }
    }

    #[test]
    fn a_device_that_is_added_changes_its_own_sessions_only_and_no_drain_changes_any() {
        let before = ledger(120, |n| [-80, 10, 140][n % 3]);
        let mut after = before.clone();
        let location = before.snapshot.devices[&before.device_key("d001")].location;
        after.device("aaa").location = location;
        let (old, new) = (pairs(&backbone(&before)), pairs(&backbone(&after)));
        assert!(old.is_subset(&new));
        assert!(new.difference(&old).all(|(a, z)| *a == code("aaa") || *z == code("aaa")));
        assert_eq!(new.len() - old.len(), 4, "two sessions, seen from both ends");
        let mut drained = before.clone();
        for n in 0..6 {
            drained.device_mut(&format!("d{n:03}")).header.status = DeviceStatus::Drained;
        }
        assert_eq!(backbone(&drained), backbone(&before));
    }

    #[test]
    fn a_reflector_that_leaves_is_replaced_and_the_other_regions_clients_notice_nothing() {
        let before = ledger(120, |n| [-80, 10, 140][n % 3]);
        let mut after = before.clone();
        after.device_mut("d000").header.status = DeviceStatus::Suspended;
        let (old, new) = (backbone(&before), backbone(&after));
        assert!(old.sessions(&code("d000")).unwrap().reflects && new.sessions(&code("d000")).is_none());
        assert!(!old.sessions(&code("d006")).unwrap().reflects && new.sessions(&code("d006")).unwrap().reflects);
        for n in (0..120).filter(|n| n % 3 != 0 && *n > 6) {
            let client = code(&format!("d{n:03}"));
            assert_eq!(old.sessions(&client), new.sessions(&client), "{client}");
        }
    }

    #[test]
    fn sessions_of_a_growing_network_grow_linearly() {
        let count = |devices| pairs(&backbone(&ledger(devices, |n| (n as i32 * 37) % 360 - 180))).len();
        assert!(count(1_000) <= 11 * count(100), "{} of 1 000, {} of 100", count(1_000), count(100));
    }
}
