//! Turns a topology file into a site file.
//!
//! Pure: text in, a [`Site`] and the list of what had to be assumed out; the same text and options give the same site.
//! The site is complete but for keys, and passes every check of [`Site::check`]. Keys are [`crate::keyring`]'s.
//!
//! Decisions, each of them reported:
//! - External nodes (`Internal 0`) are other operators' and left out, unless asked for or nothing else is there.
//! - Self loops and nodes without links are left out; a router without a link can't get into service.
//! - Contributors are regions of equal size. A device with a WAN link is transit from three links on, if its links
//!   satisfy a transit device's shape, else hybrid; one with DZX links only is an edge. So every device with a link can
//!   satisfy its type's shape, and no WAN link ends on an edge.
//! - Public addresses and dz prefixes come from 198.18.0.0/15, the benchmarking range, which counts as global for labs.

mod assumption;
mod codes;
mod country;
pub mod geo;
pub mod gml;
mod graph;
mod regions;
pub mod speed;

#[cfg(test)]
mod tests;

use causeway_interface::{
    Code, DesiredStatus, DeviceType, InterfaceKind, InterfaceName, InterfaceRole, Ip4, Key, Label, LinkType, Platform,
    Prefix, VrfName, recipe, values,
};

pub use self::{
    assumption::{Assumption, Topic, summary},
    codes::slug,
    graph::MAX_DEGREE,
};
use self::{
    codes::Codes,
    geo::Point,
    gml::GmlError,
    graph::{Graph, Node},
};
use crate::site::{
    ContributorSpec, Degrees, DeviceSpec, EndSpec, ExchangeSpec, InterfaceSpec, LinkSpec, LocationSpec, Site,
};

/// Public addresses are counted from here.
const PUBLIC_BASE: u32 = u32::from_be_bytes([198, 18, 0, 0]);
/// dz prefixes are counted from here, in /29s.
const DZ_BASE: u32 = u32::from_be_bytes([198, 19, 0, 0]);
/// Addresses of a /29.
const DZ_SIZE: u32 = 8;
/// Devices that the two halves of 198.18.0.0/15 have addresses for: 8 192 /29s.
pub const MAX_DEVICES: usize = 8_192;
/// Most contributors: beyond that a region is a metro.
pub const MAX_CONTRIBUTORS: usize = 64;
/// Devices within this distance of a metro's first one belong to it, in kilometres.
const METRO_KM: f64 = 60.0;
/// First BGP community of a metro.
const FIRST_COMMUNITY: u16 = 10_000;
/// Longest device code, so that two of them and a number make a link's code without being cut.
const DEVICE_CODE_LEN: usize = 14;
/// Ports have two-digit numbers.
const MAX_PORT: usize = 99;
/// Jitter is taken as this part of the delay: fibre hardly has any.
const JITTER_PART: u64 = 100;
/// Bandwidth of ports beyond the default ones, in bit/s: as the default ones have.
const PORT_BANDWIDTH_BPS: u64 = 100_000_000_000;

/// How to import.
#[derive(Clone, Debug, PartialEq)]
pub struct ImportOptions {
    /// Contributors that share the devices by region.
    pub contributors: usize,
    /// Operating system of every device.
    pub platform: Platform,
    /// Keep external nodes as devices.
    pub keep_external: bool,
    /// Speed of links whose speed the file does not say, in bit/s.
    pub default_speed_bps: u64,
}

impl Default for ImportOptions {
    fn default() -> Self {
        Self {
            contributors: 4,
            platform: Platform::Frr,
            keep_external: false,
            default_speed_bps: values::MIN_BANDWIDTH_BPS,
        }
    }
}

/// Why a file can't be imported.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ImportError {
    /// It is not GML.
    #[error("not GML: {0}")]
    Gml(#[from] GmlError),
    /// It holds no graph.
    #[error("the file holds no `graph [ ... ]`")]
    NoGraph,
    /// The graph holds no node.
    #[error("the graph holds no node with an id")]
    NoNodes,
    /// Nothing is left.
    #[error("no two nodes of the graph are linked, so there is nothing to build")]
    NothingLeft,
    /// There are not enough addresses.
    #[error("{devices} devices; addresses are there for {MAX_DEVICES}")]
    TooManyDevices {
        /// How many.
        devices: usize,
    },
    /// An option is outside its limits.
    #[error("{0}")]
    Option(String),
    /// The result is not a valid site.
    #[error("the result is not a valid site, which is a defect of the importer: {0}")]
    Invalid(String),
}

/// Reads a GML file's text.
///
/// # Errors
/// It is not GML, holds nothing that can be built, or an option is outside its limits.
pub fn site_from_gml(text: &str, options: &ImportOptions) -> Result<(Site, Vec<Assumption>), ImportError> {
    if !(1..=MAX_CONTRIBUTORS).contains(&options.contributors) {
        return Err(ImportError::Option(format!("contributors have to be 1 to {MAX_CONTRIBUTORS}")));
    }
    if values::bandwidth(options.default_speed_bps).is_err() {
        return Err(ImportError::Option("the default speed has to be 10 to 400 Gbit/s".into()));
    }
    let file = gml::parse(text)?;
    let mut assumptions = Vec::new();
    let graph = graph::clean(&file, options, &mut assumptions)?;
    if graph.nodes.len() > MAX_DEVICES {
        return Err(ImportError::TooManyDevices { devices: graph.nodes.len() });
    }
    let site = Builder { options, graph: &graph, assumptions: &mut assumptions }.build();
    site.check().map_err(|e| {
        ImportError::Invalid(e.0.first().map_or_else(|| e.to_string(), std::string::ToString::to_string))
    })?;
    Ok((site, assumptions))
}

struct Builder<'a> {
    options: &'a ImportOptions,
    graph: &'a Graph,
    assumptions: &'a mut Vec<Assumption>,
}

/// How many links of each kind end at a device.
#[derive(Clone, Copy, Default)]
struct Links {
    wan: usize,
    dzx: usize,
}

/// The type that follows from a device's links.
fn device_type(links: Links) -> DeviceType {
    let Links { wan, dzx } = links;
    match wan {
        0 => DeviceType::Edge,
        _ if wan + dzx >= 3 && (wan >= 2 || dzx >= 1) => DeviceType::Transit,
        _ => DeviceType::Hybrid,
    }
}

impl Builder<'_> {
    fn say(&mut self, topic: Topic, subject: impl Into<String>, detail: impl Into<String>) {
        self.assumptions.push(Assumption { topic, subject: subject.into(), detail: detail.into() });
    }

    fn build(mut self) -> Site {
        let graph = self.graph;
        let points: Vec<Point> = graph.nodes.iter().map(|n| n.point).collect();
        let groups = regions::split(&points, self.options.contributors);
        let group_count = groups.iter().max().map_or(0, |g| g + 1);
        let contributors: Vec<ContributorSpec> = (1..=group_count)
            .map(|n| ContributorSpec {
                code: format!("carrier-{n}").parse().unwrap_or_default(),
                owner: Key::ZERO,
                operations_key: Key::ZERO,
            })
            .collect();
        let device_codes = self.device_codes();
        let (locations, location_of) = self.locations(&device_codes);
        let (exchanges, exchange_of) = self.exchanges(&locations);

        let group = |node: usize| groups.get(node).copied().unwrap_or(0);
        let mut links = vec![Links::default(); graph.nodes.len()];
        for edge in &graph.edges {
            for node in [edge.a, edge.z] {
                if let Some(l) = links.get_mut(node) {
                    if group(edge.a) == group(edge.z) { l.wan += 1 } else { l.dzx += 1 }
                }
            }
        }
        let mut devices: Vec<DeviceSpec> = Vec::with_capacity(graph.nodes.len());
        for (index, code) in device_codes.iter().enumerate() {
            let location = location_of.get(index).copied().unwrap_or(0);
            let exchange = exchange_of.get(location).copied().unwrap_or(0);
            devices.push(DeviceSpec {
                code: *code,
                contributor: contributors.get(group(index)).map(|c| c.code).unwrap_or_default(),
                location: locations.get(location).map(|l| l.code).unwrap_or_default(),
                exchange: exchanges.get(exchange).map(|e| e.code).unwrap_or_default(),
                device_type: device_type(links.get(index).copied().unwrap_or_default()),
                platform: self.options.platform,
                public_ip: public_ip(index as u32),
                dz_prefixes: vec![Prefix::new(DZ_BASE + DZ_SIZE * index as u32, values::MAX_DZ_PREFIX_LEN)],
                agent_key: Key::ZERO,
                telemetry_key: Key::ZERO,
                management_vrf: VrfName::ZERO,
                desired: DesiredStatus::Activated,
                interfaces: Vec::new(),
            });
        }
        let links = self.links(&groups, &mut devices);
        self.say_of_all(group_count);
        Site { name: label(&graph.name), contributors, locations, exchanges, devices, links }
    }

    fn device_codes(&mut self) -> Vec<Code> {
        let mut codes = Codes::default();
        let mut all = Vec::new();
        for node in &self.graph.nodes {
            let fallback = format!("node-{}", node.id);
            let wanted = node.label.clone().unwrap_or_default();
            let (code, numbered) = codes.unique(&wanted, &fallback, DEVICE_CODE_LEN);
            if slug(&wanted).is_empty() {
                self.say(Topic::Label, format!("node {}", node.id), format!("called `{code}`"));
            } else if numbered {
                self.say(Topic::LabelRepeated, wanted, format!("called `{code}`"));
            }
            all.push(code);
        }
        all
    }

    /// One location per distinct place, and the location of every node.
    fn locations(&mut self, device_codes: &[Code]) -> (Vec<LocationSpec>, Vec<usize>) {
        let mut locations: Vec<LocationSpec> = Vec::new();
        let mut of_node = Vec::new();
        let mut by_place = std::collections::BTreeMap::new();
        for (node, code) in self.graph.nodes.iter().zip(device_codes) {
            // Points are within the globe, so degrees are always there.
            let (lat, lng) = (degrees(node.point.lat), degrees(node.point.lng));
            let index = *by_place.entry((lat, lng)).or_insert(locations.len());
            if index == locations.len() {
                let country = self.country(node);
                let name = node.label.as_deref().map(label).unwrap_or_default();
                locations.push(LocationSpec { code: *code, name, country, lat, lng });
            }
            of_node.push(index);
        }
        (locations, of_node)
    }

    fn country(&mut self, node: &Node) -> causeway_interface::Country {
        let found = node.country.as_deref().and_then(country::by_name);
        if found.is_none() {
            let subject = node.label.clone().unwrap_or_else(|| format!("node {}", node.id));
            let detail = match &node.country {
                Some(name) => format!("`{name}` is no country that ISO 3166-1 lists"),
                None => "the file does not say".into(),
            };
            self.say(Topic::Country, subject, detail);
        }
        found.unwrap_or_default()
    }

    /// One exchange per metro, and the exchange of every location.
    fn exchanges(&mut self, locations: &[LocationSpec]) -> (Vec<ExchangeSpec>, Vec<usize>) {
        let mut exchanges: Vec<(Point, ExchangeSpec)> = Vec::new();
        let mut of_location = Vec::new();
        let mut codes = Codes::default();
        for location in locations {
            let here = Point { lat: location.lat.get(), lng: location.lng.get() };
            let near = exchanges.iter().position(|(there, _)| there.distance_km(here) <= METRO_KM);
            let index = near.unwrap_or(exchanges.len());
            if near.is_none() {
                let (code, _) = codes.unique(&format!("x-{}", location.code), "x", codes::MAX_LEN);
                let LocationSpec { name, country, lat, lng, .. } = location.clone();
                let bgp_community = FIRST_COMMUNITY.saturating_add(index as u16);
                exchanges.push((here, ExchangeSpec { code, name, country, lat, lng, bgp_community }));
            }
            of_location.push(index);
        }
        (exchanges.into_iter().map(|(_, exchange)| exchange).collect(), of_location)
    }

    fn links(&mut self, groups: &[usize], devices: &mut [DeviceSpec]) -> Vec<LinkSpec> {
        let graph = self.graph;
        let mut codes = Codes::default();
        let mut ports: Vec<Ports> = devices.iter().map(Ports::new).collect();
        let mut pairs = std::collections::BTreeMap::new();
        let mut links = Vec::with_capacity(graph.edges.len());
        for edge in &graph.edges {
            let nodes = (graph.nodes.get(edge.a), graph.nodes.get(edge.z));
            let (Some(node_a), Some(node_z)) = nodes else { continue };
            let mut end = |index: usize| {
                let device = devices.get_mut(index)?;
                let interface = ports.get_mut(index)?.next(device)?;
                Some(EndSpec { device: device.code, interface })
            };
            let (Some(a), Some(z)) = (end(edge.a), end(edge.z)) else { continue };
            let (code, _) = codes.unique(&format!("{}-{}", a.device, z.device), "link", codes::MAX_LEN);
            let pair = pairs.entry((edge.a.min(edge.z), edge.a.max(edge.z))).or_insert(0usize);
            *pair += 1;
            if *pair > 1 {
                self.say(Topic::Parallel, code.to_string(), format!("number {pair} between its devices"));
            }
            let wan = groups.get(edge.a) == groups.get(edge.z);
            let delay_ns = geo::delay_ns(node_a.point, node_z.point);
            links.push(LinkSpec {
                code,
                link_type: if wan { LinkType::Wan } else { LinkType::Dzx },
                a,
                z,
                bandwidth_bps: self.bandwidth(&code, edge.speed_bps),
                mtu: values::FABRIC_MTU,
                delay_ns,
                jitter_ns: (delay_ns / JITTER_PART).max(values::MIN_DELAY_NS),
                delay_override_ns: 0,
                desired: DesiredStatus::Activated,
            });
        }
        links
    }

    fn bandwidth(&mut self, link: &Code, speed_bps: Option<f64>) -> u64 {
        let Some(bps) = speed_bps else {
            let default = self.options.default_speed_bps;
            self.say(Topic::Speed, link.to_string(), format!("{} Gbit/s", default / 1_000_000_000));
            return default;
        };
        let clamped = speed::clamped(bps);
        if clamped as f64 != bps.round() {
            let detail = format!("{:.6} Gbit/s taken as {}", bps / 1e9, clamped / 1_000_000_000);
            self.say(Topic::SpeedClamped, link.to_string(), detail);
        }
        clamped
    }

    fn say_of_all(&mut self, contributors: usize) {
        let parts = components(self.graph);
        if parts > 1 {
            self.say(Topic::Disconnected, "the network", format!("{parts} parts; each comes up by itself"));
        }
        let invented = [
            ("contributors", format!("{contributors} regions of equal size")),
            ("delays", format!("fibre on {} times the great circle", geo::ROUTE_FACTOR)),
            ("device types", "from the links: transit, hybrid or edge".into()),
            ("addresses", "from 198.18.0.0/15, for labs".into()),
        ];
        for (subject, detail) in invented {
            self.say(Topic::Invented, subject, detail);
        }
    }
}

/// The fabric ports of one device, handed out in order.
struct Ports {
    free: std::vec::IntoIter<InterfaceName>,
    next_number: usize,
}

impl Ports {
    fn new(device: &DeviceSpec) -> Self {
        let fabric: Vec<_> = (0..recipe::len(device.device_type))
            .map(|index| recipe::interface(device.device_type, device.platform, index))
            .filter(|i| matches!((i.kind, i.role), (InterfaceKind::Physical, InterfaceRole::Fabric)))
            .map(|i| i.name)
            .collect();
        Self { free: fabric.into_iter(), next_number: recipe::port_count(device.device_type) + 1 }
    }

    /// The next default port, or a further one that is then declared in the site. None past the last number.
    fn next(&mut self, device: &mut DeviceSpec) -> Option<InterfaceName> {
        if let Some(name) = self.free.next() {
            return Some(name);
        }
        let number = self.next_number;
        if number > MAX_PORT {
            return None;
        }
        self.next_number += 1;
        let name = recipe::port_name(device.platform, number);
        device.interfaces.push(InterfaceSpec {
            name,
            kind: InterfaceKind::Physical,
            role: InterfaceRole::Fabric,
            vlan_id: 0,
            mtu: values::FABRIC_MTU,
            bandwidth_bps: PORT_BANDWIDTH_BPS,
            address: Prefix::NONE,
        });
        Some(name)
    }
}

/// 198.18.x.y with y from 1 to 254.
fn public_ip(index: u32) -> Ip4 {
    Ip4::from_u32(PUBLIC_BASE + index / 254 * 256 + index % 254 + 1)
}

fn degrees(value: f64) -> Degrees {
    Degrees::new(value).unwrap_or(Degrees(0))
}

/// A label of at most 64 bytes without control characters.
fn label(text: &str) -> Label {
    const MAX: usize = 64;
    let mut out = String::new();
    for c in text.trim().chars().filter(|c| !c.is_control()) {
        if out.len() + c.len_utf8() > MAX {
            break;
        }
        out.push(c);
    }
    out.trim().parse().unwrap_or_default()
}

/// Parts of the graph with no path between them.
fn components(graph: &Graph) -> usize {
    let mut neighbours = vec![Vec::new(); graph.nodes.len()];
    for edge in &graph.edges {
        for (from, to) in [(edge.a, edge.z), (edge.z, edge.a)] {
            if let Some(list) = neighbours.get_mut(from) {
                list.push(to);
            }
        }
    }
    let mut seen = vec![false; graph.nodes.len()];
    let mut parts = 0;
    for start in 0..graph.nodes.len() {
        let mut open = vec![start];
        let mut fresh = false;
        while let Some(node) = open.pop() {
            let Some(mark) = seen.get_mut(node) else { continue };
            if std::mem::replace(mark, true) {
                continue;
            }
            fresh = true;
            open.extend(neighbours.get(node).into_iter().flatten());
        }
        parts += usize::from(fresh);
    }
    parts
}
