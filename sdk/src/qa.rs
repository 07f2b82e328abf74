//! Whom a device probes end to end, from a ledger snapshot: the targets of criterion U4. Pure.
//!
//! The controller puts them into probe plans and the oracles ask for their answers, both by [`Qa`], so that they can't
//! disagree about the same ledger.
//!
//! A target is another activated device that packets can reach over links in service, at its IPv4 loopback. A link in
//! service is one that is activated or soft-drained: a hard-drained link has no adjacency, and one that is being
//! provisioned may not carry what is asked for. A drained device is reached and not crossed, as its overload bit says.
//! A device without any such way, the first of a network or of an island, has no targets.
//!
//! Of all that it can reach a device probes at most [`MAX_TARGETS`]: those that follow it on a ring ordered by the hash
//! of the code. They are spread over the whole network and not the nearest ones; a device that comes or goes changes few
//! choices; and each device is the target of as many as it has targets itself.
//!
//! [`Qa::new`] costs O(devices + links) but for sorting, [`Qa::targets`] a search and a handful of copies. All targets of
//! ten thousand devices with 50 000 links take 0.4 s on one core, unoptimized.

use std::{
    cmp::Ordering,
    collections::{BTreeMap, BTreeSet},
};

use causeway_interface::{Code, DeviceStatus, InterfaceKind, Ip4, Key, LinkStatus, LoopbackType, accounts::Device};
use solana_sdk::hash::hash;

use crate::snapshot::Snapshot;

/// Targets per device: twice the four answers that U4 asks for, so that half of them may be away.
pub const MAX_TARGETS: usize = 8;
/// Length of a prefix that is one host.
const HOST_LEN: u8 = 32;

/// A device to be probed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target {
    /// Its address on the ledger.
    pub key: Key,
    /// Its code.
    pub code: Code,
    /// Its IPv4 loopback.
    pub address: Ip4,
}

/// What becomes of packets at a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// They reach it and cross it.
    Crossed,
    /// They reach it and go no further: it is drained.
    End,
    /// It takes no part.
    None,
}

/// What becomes of packets at a device of this status.
#[must_use]
pub const fn part(status: DeviceStatus) -> Part {
    match status {
        DeviceStatus::DeviceProvisioning | DeviceStatus::LinkProvisioning | DeviceStatus::Activated => Part::Crossed,
        DeviceStatus::Drained => Part::End,
        DeviceStatus::Pending | DeviceStatus::Suspended | DeviceStatus::Deleting | DeviceStatus::Rejected => Part::None,
    }
}

/// Whether a link of this status is in service and has an adjacency.
#[must_use]
pub const fn carries(status: LinkStatus) -> bool {
    match status {
        LinkStatus::Activated | LinkStatus::SoftDrained => true,
        LinkStatus::HardDrained
        | LinkStatus::Provisioning
        | LinkStatus::Pending
        | LinkStatus::Requested
        | LinkStatus::Suspended
        | LinkStatus::Rejected
        | LinkStatus::Deleting => false,
    }
}

/// SHA-256 of a code: a device's place on the ring.
type Place = [u8; 32];

struct Node {
    key: Key,
    part: Part,
    place: Place,
    /// As a target of others.
    target: Option<Target>,
    /// Components that it is in, or that its links lead into where it is not crossed.
    components: BTreeSet<usize>,
    joined_slot: Option<u64>,
}

/// Targets of every device of one snapshot.
pub struct Qa {
    /// By address.
    nodes: Vec<Node>,
    /// By component, the targets in it by place.
    rings: BTreeMap<usize, Vec<(Place, Target)>>,
}

impl Qa {
    /// Looks at every device and link once.
    #[must_use]
    pub fn new(snapshot: &Snapshot) -> Self {
        let mut nodes: Vec<Node> = snapshot.devices.iter().map(|(key, device)| node(*key, device)).collect();
        let links = links(snapshot, &nodes);
        let mut growth = Growth::new(nodes.len());
        grow(snapshot, &nodes, &links, &mut growth);
        for (index, node) in nodes.iter_mut().enumerate() {
            if node.part == Part::Crossed {
                node.components.insert(growth.component_of(index));
                node.joined_slot = growth.joined_slot(index);
            }
        }
        for link in &links {
            for (here, there) in [(link.a, link.z), (link.z, link.a)] {
                let beyond = nodes.get(there).filter(|n| n.part == Part::Crossed).map(|n| n.components.clone());
                if let (Some(node), Some(beyond)) = (nodes.get_mut(here).filter(|n| n.part == Part::End), beyond) {
                    node.components.extend(beyond);
                }
            }
        }
        let mut rings: BTreeMap<usize, Vec<(Place, Target)>> = BTreeMap::new();
        for node in &nodes {
            if let (Some(target), Some(component)) = (node.target, node.components.first()) {
                rings.entry(*component).or_default().push((node.place, target));
            }
        }
        rings.values_mut().for_each(|ring| ring.sort_unstable_by_key(|(place, _)| *place));
        Self { nodes, rings }
    }

    fn node(&self, device: &Key) -> Option<&Node> {
        self.nodes.get(self.nodes.binary_search_by_key(device, |n| n.key).ok()?)
    }

    /// Whom this device probes, at most [`MAX_TARGETS`], in the order of the ring; nobody for a device that is not there
    /// or takes no part.
    #[must_use]
    pub fn targets(&self, device: &Key) -> Vec<Target> {
        let Some(node) = self.node(device) else { return Vec::new() };
        let mut found: Vec<&(Place, Target)> = Vec::new();
        for ring in node.components.iter().filter_map(|component| self.rings.get(component)) {
            let (before, after) = ring.split_at(ring.partition_point(|(place, _)| *place < node.place));
            let others = after.iter().chain(before).filter(|(_, target)| target.key != *device);
            found.extend(others.take(MAX_TARGETS));
        }
        // Those of several components are merged; within one they are in order already.
        found.sort_by_key(|(place, _)| (*place < node.place, *place));
        found.into_iter().take(MAX_TARGETS).map(|(_, target)| *target).collect()
    }

    /// The slot at which the first target came into this device's reach, when it had had a link in service before that
    /// and nobody to probe. None when its own first link brought the targets, or when there are none.
    ///
    /// What was said of it until then rests on there being nobody to probe.
    #[must_use]
    pub fn joined_slot(&self, device: &Key) -> Option<u64> {
        self.node(device)?.joined_slot
    }
}

fn node(key: Key, device: &Device) -> Node {
    let part = part(device.header.status);
    let activated = device.header.status == DeviceStatus::Activated && device.code.is_valid();
    let target = loopback(device).filter(|_| activated).map(|address| Target { key, code: device.code, address });
    let place = hash(&device.code.0).to_bytes();
    Node { key, part, place, target, components: BTreeSet::new(), joined_slot: None }
}

/// The device's IPv4 loopback, where there is exactly one with a host address.
fn loopback(device: &Device) -> Option<Ip4> {
    let of_kind = |i: &&causeway_interface::accounts::Interface| {
        i.loopback == LoopbackType::Ipv4 && i.kind == InterfaceKind::Loopback
    };
    let mut found = device.interfaces.iter().filter(of_kind);
    match (found.next(), found.next()) {
        (Some(one), None) if one.address.len == HOST_LEN && !one.address.addr.is_zero() => Some(one.address.addr),
        (Some(_), _) | (None, _) => None,
    }
}

/// A link in service between two devices that take part, by their places in the list.
struct Wire {
    a: usize,
    z: usize,
    since_slot: u64,
}

fn links(snapshot: &Snapshot, nodes: &[Node]) -> Vec<Wire> {
    let index = |key: &Key| {
        let at = nodes.binary_search_by_key(key, |n| n.key).ok()?;
        nodes.get(at).is_some_and(|n| n.part != Part::None).then_some(at)
    };
    let wire = |link: &causeway_interface::accounts::Link| {
        let (a, z) = (index(&link.device_a)?, index(&link.device_z)?);
        Some(Wire { a, z, since_slot: link.header.status_since_slot })
    };
    snapshot.links.values().filter(|link| carries(link.header.status)).filter_map(wire).collect()
}

/// What happened, in the order of its slots.
enum Event {
    /// A device has become a target.
    Target(usize),
    /// A link has come into service.
    Wire(usize, usize),
}

/// Lets the network grow as it did, so that it is known when each device first had a target.
fn grow(snapshot: &Snapshot, nodes: &[Node], links: &[Wire], growth: &mut Growth) {
    let since = snapshot.devices.values().map(|device| device.header.status_since_slot);
    let targets = nodes.iter().zip(since).enumerate().filter(|(_, (node, _))| node.target.is_some());
    let mut events: Vec<(u64, Event)> = targets.map(|(index, (_, slot))| (slot, Event::Target(index))).collect();
    let is_crossed = |index: usize| nodes.get(index).is_some_and(|n| n.part == Part::Crossed);
    let wires = links.iter().filter(|wire| is_crossed(wire.a) && is_crossed(wire.z));
    events.extend(wires.map(|wire| (wire.since_slot, Event::Wire(wire.a, wire.z))));
    // Stable: events of one slot stay in the order of their addresses.
    events.sort_by_key(|(slot, _)| *slot);
    for (slot, event) in events {
        match event {
            Event::Target(device) => growth.light(device, slot),
            Event::Wire(a, z) => growth.join(a, z, slot),
        }
    }
}

/// Components that only grow. The smaller is put into the larger, so that no device moves more than log2(n) times.
struct Growth {
    component: Vec<usize>,
    members: Vec<Vec<usize>>,
    /// Whether a component holds a target.
    lit: Vec<bool>,
    /// When the device's component first held one.
    lit_slot: Vec<Option<u64>>,
    /// When the device got its first link.
    first_link: Vec<Option<u64>>,
}

impl Growth {
    fn new(devices: usize) -> Self {
        Self {
            component: (0..devices).collect(),
            members: (0..devices).map(|index| vec![index]).collect(),
            lit: vec![false; devices],
            lit_slot: vec![None; devices],
            first_link: vec![None; devices],
        }
    }

    fn component_of(&self, device: usize) -> usize {
        self.component.get(device).copied().unwrap_or(device)
    }

    fn light(&mut self, device: usize, slot: u64) {
        let component = self.component_of(device);
        self.light_component(component, slot);
    }

    fn light_component(&mut self, component: usize, slot: u64) {
        let Some(lit) = self.lit.get_mut(component) else { return };
        if std::mem::replace(lit, true) {
            return;
        }
        for member in self.members.get(component).into_iter().flatten() {
            if let Some(at) = self.lit_slot.get_mut(*member) {
                *at = Some(slot);
            }
        }
    }

    fn join(&mut self, a: usize, z: usize, slot: u64) {
        for end in [a, z] {
            if let Some(first) = self.first_link.get_mut(end) {
                first.get_or_insert(slot);
            }
        }
        let (a, z) = (self.component_of(a), self.component_of(z));
        if a == z {
            return;
        }
        let is_lit = |component: usize| self.lit.get(component).copied().unwrap_or(false);
        match (is_lit(a), is_lit(z)) {
            (true, false) => self.light_component(z, slot),
            (false, true) => self.light_component(a, slot),
            (true, true) | (false, false) => {}
        }
        let size = |component: usize| self.members.get(component).map_or(0, Vec::len);
        let (into, from) = match size(a).cmp(&size(z)) {
            Ordering::Less => (z, a),
            Ordering::Equal | Ordering::Greater => (a, z),
        };
        let moved = self.members.get_mut(from).map(std::mem::take).unwrap_or_default();
        for member in &moved {
            if let Some(component) = self.component.get_mut(*member) {
                *component = into;
            }
        }
        if let Some(members) = self.members.get_mut(into) {
            members.extend(moved);
        }
    }

    fn joined_slot(&self, device: usize) -> Option<u64> {
        let lit = self.lit_slot.get(device).copied().flatten()?;
        let first = self.first_link.get(device).copied().flatten()?;
        (first < lit).then_some(lit)
    }
}

#[cfg(test)]
#[path = "qa_tests.rs"]
mod tests;
