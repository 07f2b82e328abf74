//! What an agent is to probe, from the ledger: pure, bounded and deterministic.
//!
//! - each configured link of the device, to the far end's address on it;
//! - QA: the IPv4 loopbacks of other activated devices;
//! - reachability: the public addresses of other provisioned devices.
//!
//! Of the last two a device gets a bounded share, chosen by a hash of both codes: every controller chooses the same, a
//! device that comes or goes changes few choices, and no device is everybody's target.

use causeway_interface::{Code, DeviceStatus, LoopbackType};
use causeway_wire::{controller::ProbeTarget, signing::sha256, telemetry::ProbeKind};

use crate::{
    plan::end_address,
    topology::{Node, Topology, is_configured, is_routing},
};

/// QA targets per device: three times what criterion U4 asks for, so that some may be down.
pub const MAX_QA_TARGETS: usize = 12;
/// Reachability targets per device: one answer is enough, three make a lost one no loss of the criterion.
pub const MAX_REACHABILITY_TARGETS: usize = 3;

/// Targets of one device, sorted by kind and code. None for a device that takes no part in routing.
#[must_use]
pub fn targets(topology: &Topology<'_>, device: &Code) -> Vec<ProbeTarget> {
    let Some(node) = topology.devices.get(device) else { return Vec::new() };
    if !is_routing(node.record.header.status) {
        return Vec::new();
    }
    let mut targets: Vec<ProbeTarget> = links(topology, node).collect();
    let activated = topology.devices.values().filter(|n| n.record.header.status == DeviceStatus::Activated);
    for other in choose(device, activated, MAX_QA_TARGETS) {
        if let Some(address) = other.loopback(LoopbackType::Ipv4) {
            targets.push(target(ProbeKind::Qa, other.record.code, "", address));
        }
    }
    let public =
        topology.devices.values().filter(|n| is_routing(n.record.header.status) && !n.record.public_ip.is_zero());
    for other in choose(device, public, MAX_REACHABILITY_TARGETS) {
        targets.push(target(ProbeKind::Reachability, other.record.code, "", other.record.public_ip));
    }
    targets.sort_by(|a, b| (a.kind, &a.code).cmp(&(b.kind, &b.code)));
    targets
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

/// At most `most` of the candidates, those whose code hashes lowest together with the device's (rendezvous hashing).
fn choose<'n, 'a: 'n>(
    device: &Code,
    candidates: impl Iterator<Item = &'n Node<'a>>,
    most: usize,
) -> Vec<&'n Node<'a>> {
    let others = candidates.filter(|n| n.record.code != *device);
    let mut ranked: Vec<_> =
        others.map(|n| (sha256(&[device.0.as_slice(), n.record.code.0.as_slice()].concat()), n)).collect();
    ranked.sort_by_key(|(rank, _)| *rank);
    ranked.truncate(most);
    ranked.into_iter().map(|(_, node)| node).collect()
}
