//! What an agent is to probe, from the ledger: pure, bounded and deterministic.
//!
//! - each configured link of the device, to the far end's address on it;
//! - QA: the IPv4 loopbacks of other activated devices in reach, by [`Qa`], as the oracles ask for them;
//! - reachability: the public addresses of other provisioned devices.
//!
//! Of the last a device gets a bounded share: those that follow it on a ring ordered by the hash of the code. Every
//! controller chooses the same, a device that comes or goes changes few choices, and each is the target of as many as
//! it has targets.

use causeway_interface::Code;
use causeway_sdk::qa::Qa;
use causeway_wire::{controller::ProbeTarget, signing::sha256, telemetry::ProbeKind};
use prost::Message;

use crate::{
    plan::end_address,
    topology::{Node, Topology, is_configured, is_routing},
};

/// Reachability targets per device: one answer is enough, three make a lost one no loss of the criterion.
pub const MAX_REACHABILITY_TARGETS: usize = 3;

/// What an agent is to probe, and the hash by which it is known.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    /// Sorted by kind and code.
    pub targets: Vec<ProbeTarget>,
    /// SHA-256 over the targets, each encoded and preceded by its length, in their order.
    pub sha256: [u8; 32],
}

/// A place on the ring, and the device there.
type Place<'t, 'a> = ([u8; 32], &'t Node<'a>);

/// Chooses targets for the devices of one topology.
pub struct ProbePlanner<'t, 'a> {
    topology: &'t Topology<'a>,
    qa: Qa,
    public: Vec<Place<'t, 'a>>,
}

impl<'t, 'a> ProbePlanner<'t, 'a> {
    /// Over a topology.
    #[must_use]
    pub fn new(topology: &'t Topology<'a>) -> Self {
        let mut ring: Vec<Place<'t, 'a>> = topology.devices.values().map(|n| (place(&n.record.code), n)).collect();
        ring.sort_by_key(|(place, _)| *place);
        let public =
            ring.iter().filter(|(_, n)| is_routing(n.record.header.status) && !n.record.public_ip.is_zero()).copied();
        Self { topology, qa: Qa::new(topology.snapshot()), public: public.collect() }
    }

    /// What a device's agent is to probe; nothing for a device that takes no part in routing.
    #[must_use]
    pub fn plan(&self, device: &Code) -> Plan {
        let targets = self.targets(device);
        let bytes: Vec<u8> = targets.iter().flat_map(Message::encode_length_delimited_to_vec).collect();
        Plan { sha256: sha256(&bytes), targets }
    }

    fn targets(&self, device: &Code) -> Vec<ProbeTarget> {
        let Some(node) = self.topology.devices.get(device) else { return Vec::new() };
        if !is_routing(node.record.header.status) {
            return Vec::new();
        }
        let mut targets: Vec<ProbeTarget> = links(self.topology, node).collect();
        let qa = self.qa.targets(&node.key);
        targets.extend(qa.into_iter().map(|other| target(ProbeKind::Qa, other.code, "", other.address)));
        for other in following(&self.public, device, MAX_REACHABILITY_TARGETS) {
            targets.push(target(ProbeKind::Reachability, other.record.code, "", other.record.public_ip));
        }
        targets.sort_by(|a, b| (a.kind, &a.code).cmp(&(b.kind, &b.code)));
        targets
    }
}

fn place(code: &Code) -> [u8; 32] {
    sha256(&code.0)
}

/// At most `most` devices that follow this one on the ring, without itself.
fn following<'t, 'a>(ring: &[Place<'t, 'a>], device: &Code, most: usize) -> Vec<&'t Node<'a>> {
    let own = place(device);
    let start = ring.partition_point(|(place, _)| *place < own);
    let (before, after) = ring.split_at(start);
    let others = after.iter().chain(before).filter(|(_, n)| n.record.code != *device);
    others.take(most).map(|(_, node)| *node).collect()
}

fn links<'a>(topology: &'a Topology<'_>, node: &'a Node<'_>) -> impl Iterator<Item = ProbeTarget> + 'a {
    node.record.interfaces.iter().filter_map(move |interface| {
        let link = topology.link(&interface.link)?.record;
        if !is_configured(link.header.status) {
            return None;
        }
        let far = if link.device_a == node.key { link.device_z } else { link.device_a };
        Some(target(ProbeKind::Link, link.code, interface.name.as_str(), end_address(link, &far).addr))
    })
}

fn target(kind: ProbeKind, code: Code, interface: &str, address: causeway_interface::Ip4) -> ProbeTarget {
    ProbeTarget {
        kind: kind as u32,
        code: code.to_string(),
        interface: interface.to_string(),
        address: address.to_string(),
    }
}
