//! Traffic of the simulated world: what counters count in a time, and what becomes of probes.

use std::{collections::BTreeMap, net::Ipv4Addr};

use rand::Rng;

use super::{
    derive::{Derived, Hop, View, Wire},
    fabric::{Port, UplinkKind},
    faults::Fault,
    world::World,
};
use crate::driver::{ProbeKind, ProbeOutcome, Target};

/// Octets a second on every port that is up: discovery and keep-alives.
const IDLE_OCTETS: u64 = 64;
/// Octets of a padded IS-IS hello.
const HELLO_OCTETS: u64 = 1_497;
/// Octets of one probe packet or its answer.
const PROBE_OCTETS: u64 = 98;
/// Background load in octets a second over an adjacency is this over (metric + [`LOAD_METRIC`]): low metrics attract more.
const LOAD_OCTETS: u64 = 1_250_000_000;
const LOAD_METRIC: u64 = 1_000;
/// Octets a second, each way, over an internet uplink.
const UPLINK_OCTETS: u64 = 40_000;
/// Octets a second, each way, of management.
const MANAGEMENT_OCTETS: u64 = 500;
/// Octets of a frame, on average, as far as errors are concerned.
const FRAME_OCTETS: u64 = 400;
/// One way over the internet.
const INTERNET_DELAY_NS: u64 = 15_000_000;
/// One way to the internet's next hop.
const NEXT_HOP_DELAY_NS: u64 = 500_000;
/// A round trip is longer by up to this.
const JITTER_NS: u64 = 2_000;

/// Counters of a port. Octets and errors in thousandths, so that short times count as well.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    pub in_milli_octets: u64,
    pub out_milli_octets: u64,
    pub in_milli_errors: u64,
    pub carrier_transitions: u64,
}

impl Counters {
    pub fn add(&mut self, more: Counters) {
        self.in_milli_octets = self.in_milli_octets.saturating_add(more.in_milli_octets);
        self.out_milli_octets = self.out_milli_octets.saturating_add(more.out_milli_octets);
        self.in_milli_errors = self.in_milli_errors.saturating_add(more.in_milli_errors);
        self.carrier_transitions = self.carrier_transitions.saturating_add(more.carrier_transitions);
    }
}

/// What every port that is up counts in a time.
pub fn counted(view: &View<'_>, derived: &Derived, elapsed_ms: u64) -> BTreeMap<Port, Counters> {
    let mut counts = BTreeMap::new();
    for port in &derived.up {
        let (sent, received) = match view.wires.get(port) {
            Some(Wire::Cable(index)) => match view.cables.get(*index) {
                Some(cable) => {
                    let far = cable.other(port);
                    (sent_octets(view, derived, port), less_lost(view, far, port, sent_octets(view, derived, far)))
                }
                None => (0, 0),
            },
            Some(Wire::Uplink(UplinkKind::Dia | UplinkKind::Cyoa)) => (UPLINK_OCTETS, UPLINK_OCTETS),
            Some(Wire::Management) => (MANAGEMENT_OCTETS, MANAGEMENT_OCTETS),
            None => (0, 0),
        };
        let mute = view.faults.values().any(|fault| fault.is_mute(port));
        let (sent, received) = if mute { (0, 0) } else { (sent, received) };
        let spoiled = spoiled_milli_frames(view, port, received);
        let errors: u64 = view
            .faults
            .values()
            .map(|fault| match fault {
                Fault::InterfaceErrors { port: at, per_second } if at == port => u64::from(*per_second),
                _ => 0,
            })
            .sum();
        let over = |per_second: u64| per_second.saturating_mul(elapsed_ms);
        counts.insert(
            port.clone(),
            Counters {
                in_milli_octets: over(received),
                out_milli_octets: over(sent),
                in_milli_errors: over(errors).saturating_add(spoiled.saturating_mul(elapsed_ms) / 1_000),
                carrier_transitions: 0,
            },
        );
    }
    counts
}

/// Frames a second, in thousandths, that a port receives spoiled: what a failing port or line card loses on the way in it
/// counts as errors. Loss elsewhere on the way is silent.
fn spoiled_milli_frames(view: &View<'_>, port: &Port, received_octets: u64) -> u64 {
    let per_mille = view.faults.values().map(|f| f.receives_lost(port)).max().unwrap_or(0);
    received_octets.saturating_mul(u64::from(per_mille)) / FRAME_OCTETS
}

fn sent_octets(view: &View<'_>, derived: &Derived, port: &Port) -> u64 {
    let model = view.devices.get(&port.device).map(|device| &device.running().model);
    let Some(circuit) = model.and_then(|m| m.interfaces.get(&port.interface)).map(|i| &i.isis) else {
        return IDLE_OCTETS;
    };
    let mut octets = IDLE_OCTETS;
    if circuit.enabled.is_some() && !circuit.passive {
        octets += HELLO_OCTETS / u64::from(circuit.hello_interval_s.max(1));
    }
    if derived.adjacencies.contains_key(port) {
        octets += LOAD_OCTETS / (u64::from(circuit.metric) + LOAD_METRIC);
    }
    octets
}

/// Probability, of a thousand, that a packet survives each of its losses.
fn survives(view: &View<'_>, from: &Port, to: &Port) -> impl Iterator<Item = u16> {
    let lost = |f: &Fault| [f.sends_lost(from), f.receives_lost(to)];
    let survive: Vec<u16> = view.faults.values().flat_map(lost).map(|lost| 1_000 - lost.min(1_000)).collect();
    survive.into_iter().filter(|survive| *survive < 1_000)
}

fn less_lost(view: &View<'_>, from: &Port, to: &Port, octets: u64) -> u64 {
    survives(view, from, to).fold(octets, |octets, survive| octets * u64::from(survive) / 1_000)
}

/// A way that a probe takes: hops there and back, and what it needs beyond them.
struct Way {
    hops: Vec<Hop>,
    extra_ns: u64,
    /// Ports that lose packets on the way but are no cable's.
    edges: Vec<Port>,
}

/// Sends probes to one target.
pub fn probe(world: &mut World, device: &str, target: &Target, count: u32) -> ProbeOutcome {
    let way = match target.kind {
        ProbeKind::Link => link_way(world, device, target),
        ProbeKind::Qa => loopback_way(world, device, target.address),
        ProbeKind::Reachability => internet_way(world, device, target),
    };
    let mut outcome = ProbeOutcome { sent: count, ..ProbeOutcome::default() };
    let Some(way) = way else { return outcome };
    let mut survive = Vec::new();
    let mut delay_ns = way.extra_ns;
    for hop in &way.hops {
        if let Some(cable) = world.cables.get(hop.cable) {
            delay_ns = delay_ns.saturating_add(cable.delay_ns);
            survive.extend(survives(&world.view(), &hop.from, cable.other(&hop.from)));
        }
    }
    for port in &way.edges {
        survive.extend(survives(&world.view(), port, port));
    }
    let mut sum_ns = 0_u64;
    for _ in 0..count {
        if survive.iter().all(|survive| world.rng.gen_range(0..1_000) < *survive) {
            let rtt = delay_ns.saturating_add(world.rng.gen_range(0..=JITTER_NS));
            outcome.rtt_min_ns = if outcome.received == 0 { rtt } else { outcome.rtt_min_ns.min(rtt) };
            outcome.rtt_max_ns = outcome.rtt_max_ns.max(rtt);
            sum_ns = sum_ns.saturating_add(rtt);
            outcome.received += 1;
        }
    }
    outcome.rtt_avg_ns = sum_ns.checked_div(u64::from(outcome.received)).unwrap_or(0);
    let octets = Counters {
        in_milli_octets: u64::from(outcome.received) * PROBE_OCTETS * 1_000,
        out_milli_octets: u64::from(count) * PROBE_OCTETS * 1_000,
        ..Counters::default()
    };
    let first = way.hops.first().map(|hop| hop.from.clone()).or_else(|| way.edges.first().cloned());
    if let Some(port) = first.filter(|port| !world.faults.values().any(|fault| fault.is_mute(port))) {
        world.counters_mut(&port).add(octets);
    }
    outcome
}

/// Over one cable to an address that the far end has in the same subnet.
fn link_way(world: &World, device: &str, target: &Target) -> Option<Way> {
    let model = &world.devices.get(device)?.running().model;
    let on_link = |name: &str| {
        let interface = model.interfaces.get(name)?;
        let reaches = |a: &&ipnet::Ipv4Net| a.contains(&target.address) && a.addr() != target.address;
        interface.routed_addresses().find(reaches).map(|_| Port::new(device, name))
    };
    let port = match &target.interface {
        Some(name) => on_link(name)?,
        None => model.interfaces.keys().find_map(|name| on_link(name))?,
    };
    let Some(Wire::Cable(index)) = world.wires.get(&port) else { return None };
    let far = world.cables.get(*index)?.other(&port).clone();
    let far_model = &world.devices.get(&far.device)?.running().model;
    let owns = far_model.interfaces.get(&far.interface)?.routed_addresses().any(|a| a.addr() == target.address);
    let hops = [port.clone(), far].map(|from| Hop { cable: *index, from });
    (owns && world.derived().up.contains(&port)).then(|| Way { hops: hops.to_vec(), extra_ns: 0, edges: Vec::new() })
}

/// Over the shortest path to whoever advertises an address, and over theirs back to this device.
fn loopback_way(world: &mut World, device: &str, address: Ipv4Addr) -> Option<Way> {
    let there = world.derived().advertised.get(&address)?.clone();
    // Answers need a route back to an address of this device.
    world.derived().advertised.values().find(|owner| *owner == device)?;
    let mut hops = world.routes(device).get(&there)?.hops.clone();
    hops.extend(world.routes(&there).get(device)?.hops.iter().cloned());
    Some(Way { hops, extra_ns: 0, edges: Vec::new() })
}

/// Over direct internet access: to a device's public address, to the next hop, or to a host of the internet.
fn internet_way(world: &World, device: &str, target: &Target) -> Option<Way> {
    let uplink = |code: &str, name: Option<&str>| {
        let dia = |(port, wire): &(&Port, &Wire)| {
            port.device == code
                && matches!(wire, Wire::Uplink(UplinkKind::Dia))
                && name.is_none_or(|name| name == port.interface)
                && world.derived().up.contains(*port)
        };
        world.wires.iter().find(dia).map(|(port, _)| port.clone())
    };
    let here = uplink(device, target.interface.as_deref())?;
    let owner = world.devices.iter().find(|(_, other)| other.public_ip == Some(target.address));
    if let Some((code, _)) = owner {
        let there = uplink(code, None)?;
        return Some(Way { hops: Vec::new(), extra_ns: 2 * INTERNET_DELAY_NS, edges: vec![here, there] });
    }
    let interface = world.devices.get(device)?.running().model.interfaces.get(&here.interface);
    let next_hop = interface.is_some_and(|interface| {
        interface.routed_addresses().any(|a| a.contains(&target.address) && a.addr() != target.address)
    });
    if next_hop {
        return Some(Way { hops: Vec::new(), extra_ns: 2 * NEXT_HOP_DELAY_NS, edges: vec![here] });
    }
    let host = world.internet_hosts.contains(&target.address);
    host.then(|| Way { hops: Vec::new(), extra_ns: 2 * INTERNET_DELAY_NS, edges: vec![here] })
}
