//! A site out of placed nodes and links: codes, owners, types, ports, addresses and delays.

use std::collections::{BTreeMap, BTreeSet};

use causeway_interface::{
    Code, DesiredStatus, DeviceType, InterfaceKind, InterfaceName, InterfaceRole, Ip4, Key, Label, LinkType, Platform,
    Prefix, VrfName, recipe, values,
};

use super::{
    AssumptionKind as Kind, DeviceKeys, ImportOptions,
    codes::{self, Codes},
    geo::{self, Point},
    graph::{Graph, Node},
    notes::Notes,
    regions, speed,
};
use crate::site::{
    ContributorSpec, Degrees, DeviceSpec, EndSpec, ExchangeSpec, InterfaceSpec, LinkSpec, LocationSpec, Site,
};

/// Longest code of a device: two of them and a number fit a link's code.
const DEVICE_CODE_LEN: usize = 14;
/// Public addresses are this one and the following.
const FIRST_PUBLIC: u32 = u32::from_be_bytes([198, 18, 0, 1]);
/// Users' prefixes are the /29s from here on.
const FIRST_DZ_PREFIX: u32 = u32::from_be_bytes([198, 19, 0, 0]);
/// BGP communities of the exchanges are this and the following.
const FIRST_COMMUNITY: u16 = 10_001;
/// Links from which on a device that carries others' traffic is a transit device.
const TRANSIT_LINKS: usize = 3;

/// What is decided of one device before its record is made.
struct Plan {
    code: Code,
    region: usize,
    wan: usize,
    dzx: usize,
    ports: Ports,
}

/// The whole site.
pub(super) fn site(graph: &Graph, places: &[Point], options: &ImportOptions, notes: &mut Notes) -> Site {
    for kind in [Kind::Contributors, Kind::DeviceTypes, Kind::Delays, Kind::Addresses] {
        notes.say(kind);
    }
    let contributors = contributors(graph.nodes.len(), options, notes);
    let owner = |region: usize| contributors.get(region).map(|c| c.code).unwrap_or_default();
    let mut plans = plans(graph, places, contributors.len(), options.platform, notes);
    let links = links(graph, places, &mut plans, notes);
    let (locations, location_of) = locations(graph, places);
    let (mut exchanges, mut devices) = (Vec::new(), Vec::new());
    for (location, bgp_community) in locations.iter().zip(FIRST_COMMUNITY..) {
        let code = exchange_code(&location.code);
        let LocationSpec { name, country, lat, lng, .. } = *location;
        exchanges.push(ExchangeSpec { code, name, country, lat, lng, bgp_community });
    }
    for (((plan, node), location), number) in plans.into_iter().zip(&graph.nodes).zip(location_of).zip(0u32..) {
        if node.country.is_none() {
            notes.about(Kind::UnknownCountry, plan.code.as_str());
        }
        if !plan.ports.declared.is_empty() {
            notes.about(Kind::MorePorts, plan.code.as_str());
        }
        let keys = options.keys.as_ref().map(|keys| keys(&plan.code));
        let DeviceKeys { agent, telemetry } = keys.unwrap_or(DeviceKeys { agent: Key::ZERO, telemetry: Key::ZERO });
        devices.push(DeviceSpec {
            code: plan.code,
            contributor: owner(plan.region),
            location,
            exchange: exchange_code(&location),
            device_type: device_type(&plan),
            platform: options.platform,
            // Bounded by MAX_DEVICES, so that neither leaves its /16.
            public_ip: Ip4::from_u32(FIRST_PUBLIC.saturating_add(number)),
            dz_prefixes: vec![Prefix::new(FIRST_DZ_PREFIX.saturating_add(number.saturating_mul(8)), 29)],
            agent_key: agent,
            telemetry_key: telemetry,
            management_vrf: VrfName::ZERO,
            desired: DesiredStatus::Activated,
            interfaces: plan.ports.declared,
        });
    }
    let name = options.name.or_else(|| graph.name.as_deref().map(label)).unwrap_or_default();
    Site { name, contributors, locations, exchanges, devices, links }
}

fn contributors(devices: usize, options: &ImportOptions, notes: &mut Notes) -> Vec<ContributorSpec> {
    let count = options.contributors.min(devices);
    if count < options.contributors {
        notes.about(Kind::FewerContributors, &format!("{count} instead of {}", options.contributors));
    }
    let mut codes = Codes::default();
    let contributor = |number: usize| {
        let (code, _) = codes.unique(&format!("contributor-{number}"), "contributor", codes::MAX_LEN);
        let owner = options.owners.get(&code).copied().unwrap_or_default();
        ContributorSpec { code, owner, operations_key: Key::ZERO }
    };
    (1..=count).map(contributor).collect()
}

fn plans(graph: &Graph, places: &[Point], regions: usize, platform: Platform, notes: &mut Notes) -> Vec<Plan> {
    let mut codes = Codes::default();
    let regions = regions::split(places, regions);
    let plan = |(node, region): (&Node, &usize)| {
        let (code, numbered) =
            codes.unique(node.label.as_deref().unwrap_or_default(), &format!("node-{}", node.id), DEVICE_CODE_LEN);
        match &node.label {
            None => notes.about(Kind::NoLabel, code.as_str()),
            Some(_) if numbered => notes.about(Kind::RepeatedLabel, code.as_str()),
            Some(_) => {}
        }
        Plan { code, region: *region, wan: 0, dzx: 0, ports: Ports::new(DeviceType::Edge, platform) }
    };
    let mut plans: Vec<Plan> = graph.nodes.iter().zip(&regions).map(plan).collect();
    for edge in &graph.edges {
        let link_type = link_type(&plans, edge.a, edge.z);
        for end in [edge.a, edge.z] {
            let Some(plan) = plans.get_mut(end) else { continue };
            match link_type {
                LinkType::Wan => plan.wan += 1,
                LinkType::Dzx => plan.dzx += 1,
            }
        }
    }
    for plan in &mut plans {
        plan.ports = Ports::new(device_type(plan), platform);
    }
    plans
}

fn link_type(plans: &[Plan], a: usize, z: usize) -> LinkType {
    let region = |index: usize| plans.get(index).map(|plan| plan.region);
    if region(a) == region(z) { LinkType::Wan } else { LinkType::Dzx }
}

fn device_type(plan: &Plan) -> DeviceType {
    match (plan.wan, plan.dzx) {
        (0, _) => DeviceType::Edge,
        // A WAN link and two others are two WAN links, or one and a DZX link: the shape of a transit device.
        (wan, dzx) if wan + dzx >= TRANSIT_LINKS => DeviceType::Transit,
        (_, _) => DeviceType::Hybrid,
    }
}

fn links(graph: &Graph, places: &[Point], plans: &mut [Plan], notes: &mut Notes) -> Vec<LinkSpec> {
    let mut codes = Codes::default();
    let mut pairs = BTreeSet::new();
    let mut links = Vec::new();
    for edge in &graph.edges {
        let link_type = link_type(plans, edge.a, edge.z);
        let mut end = |index: usize| {
            let plan = plans.get_mut(index)?;
            Some(EndSpec { device: plan.code, interface: plan.ports.take() })
        };
        let (Some(a), Some(z)) = (end(edge.a), end(edge.z)) else { continue };
        let (Some(place_a), Some(place_z)) = (places.get(edge.a), places.get(edge.z)) else { continue };
        let (code, _) = codes.unique(&format!("{}-{}", a.device, z.device), "link", codes::MAX_LEN);
        if !pairs.insert((edge.a.min(edge.z), edge.a.max(edge.z))) {
            notes.about(Kind::Parallel, code.as_str());
        }
        links.push(LinkSpec {
            code,
            link_type,
            a,
            z,
            bandwidth_bps: bandwidth(edge.bps, &code, notes),
            mtu: values::FABRIC_MTU,
            delay_ns: geo::delay_ns(*place_a, *place_z),
            jitter_ns: values::MIN_DELAY_NS,
            delay_override_ns: 0,
            desired: DesiredStatus::Activated,
        });
    }
    links
}

fn bandwidth(given: Option<f64>, link: &Code, notes: &mut Notes) -> u64 {
    let Some(bps) = given else {
        notes.about(Kind::NoSpeed, link.as_str());
        return values::MIN_BANDWIDTH_BPS;
    };
    if bps < values::MIN_BANDWIDTH_BPS as f64 {
        notes.about(Kind::SpeedRaised, link.as_str());
    } else if bps > values::MAX_BANDWIDTH_BPS as f64 {
        notes.about(Kind::SpeedLowered, link.as_str());
    }
    speed::clamped(bps)
}

/// One location for each name and place, and each node's. Nameless nodes share none.
fn locations(graph: &Graph, places: &[Point]) -> (Vec<LocationSpec>, Vec<Code>) {
    let mut codes = Codes::default();
    let mut known: BTreeMap<(String, Degrees, Degrees), Code> = BTreeMap::new();
    let (mut locations, mut of_node) = (Vec::new(), Vec::new());
    for (node, place) in graph.nodes.iter().zip(places) {
        // A point is on the globe by its type.
        let degrees = |value: f64| Degrees::new(value).unwrap_or(Degrees(0));
        let (lat, lng) = (degrees(place.lat), degrees(place.lng));
        let own = format!("node-{}", node.id);
        let name = node.label.clone().unwrap_or_default();
        // The id is no name of a city, so it keeps nameless nodes apart.
        let key = (if name.is_empty() { format!("\0{own}") } else { name.to_lowercase() }, lat, lng);
        let code = *known.entry(key).or_insert_with(|| {
            let (code, _) = codes.unique(&name, &own, DEVICE_CODE_LEN);
            let country = node.country.unwrap_or_default();
            locations.push(LocationSpec { code, name: label(&name), country, lat, lng });
            code
        });
        of_node.push(code);
    }
    (locations, of_node)
}

/// An exchange's code is its location's with an `x` before it, so it is as unique.
fn exchange_code(location: &Code) -> Code {
    // DEVICE_CODE_LEN leaves room, so that this can't fail; zero is refused wherever it would go.
    format!("x{location}").parse().unwrap_or_default()
}

/// A name for people, cut to what the ledger holds.
fn label(text: &str) -> Label {
    let mut out = String::new();
    for c in text.trim().chars().filter(|c| !c.is_control()) {
        if out.len() + c.len_utf8() > Label::ZERO.0.len() {
            break;
        }
        out.push(c);
    }
    out.trim().parse().unwrap_or_default()
}

/// Hands out a device's fabric ports in order: the recipe's, then further ones, which have to be declared.
struct Ports {
    free: std::collections::VecDeque<InterfaceName>,
    next_number: usize,
    platform: Platform,
    declared: Vec<InterfaceSpec>,
}

impl Ports {
    fn new(device_type: DeviceType, platform: Platform) -> Self {
        let fabric = |index| {
            let port = recipe::interface(device_type, platform, index);
            let fits = matches!((port.kind, port.role), (InterfaceKind::Physical, InterfaceRole::Fabric));
            fits.then_some(port.name)
        };
        Self {
            free: (0..recipe::len(device_type)).filter_map(fabric).collect(),
            next_number: recipe::port_count(device_type) + 1,
            platform,
            declared: Vec::new(),
        }
    }

    fn take(&mut self) -> InterfaceName {
        if let Some(name) = self.free.pop_front() {
            return name;
        }
        let name = recipe::port_name(self.platform, self.next_number);
        self.next_number += 1;
        self.declared.push(InterfaceSpec {
            name,
            kind: InterfaceKind::Physical,
            role: InterfaceRole::Fabric,
            vlan_id: 0,
            mtu: values::FABRIC_MTU,
            bandwidth_bps: FURTHER_PORT_BPS,
            address: Prefix::NONE,
        });
        name
    }
}

/// Bandwidth of a port beyond the recipe's: as much as the recipe's have.
const FURTHER_PORT_BPS: u64 = 100_000_000_000;
