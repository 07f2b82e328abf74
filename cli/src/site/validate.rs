//! What the program would refuse, and what refers to nothing: found before anything is sent.

use std::collections::{BTreeMap, BTreeSet};

use causeway_interface::{
    Code, DeviceType, InterfaceKind, InterfaceName, InterfaceRole, LinkType,
    accounts::{MAX_DZ_PREFIXES, MAX_INTERFACES},
    error::ErrorCode,
    recipe, values,
};

use super::{Degrees, DeviceSpec, EndSpec, InterfaceSpec, LinkSpec, Problem, Site};

struct Checker<'a> {
    problems: &'a mut Vec<Problem>,
}

impl Checker<'_> {
    fn say(&mut self, path: &str, message: impl Into<String>) {
        self.problems.push(Problem { line: None, path: path.into(), message: message.into() });
    }

    /// A check of the shared vocabulary; its words are the program's own.
    fn value(&mut self, path: &str, check: Result<(), ErrorCode>) {
        if let Err(error) = check {
            self.say(path, format!("{} {}", error.cause(), error.remedy()));
        }
    }

    fn unique<'c>(&mut self, list: &str, codes: impl Iterator<Item = &'c Code>) -> BTreeSet<Code> {
        let mut seen: BTreeMap<Code, usize> = BTreeMap::new();
        for (index, code) in codes.enumerate() {
            if let Some(first) = seen.get(code) {
                self.say(&format!("{list}[{index}].code"), format!("`{code}` is {list}[{first}]'s already"));
            } else {
                seen.insert(*code, index);
            }
        }
        seen.into_keys().collect()
    }

    fn known(&mut self, path: &str, what: &str, code: &Code, known: &BTreeSet<Code>) {
        if !known.contains(code) {
            self.say(path, format!("there is no {what} `{code}` in this file"));
        }
    }

    fn coordinates(&mut self, path: &str, lat: Degrees, lng: Degrees) {
        self.value(&format!("{path}.lat"), values::coordinates(lat.0, lng.0));
    }
}

/// Checks everything that can be known without a ledger.
pub(super) fn check(site: &Site, problems: &mut Vec<Problem>) {
    let mut c = Checker { problems };
    let contributors = c.unique("contributors", site.contributors.iter().map(|x| &x.code));
    let locations = c.unique("locations", site.locations.iter().map(|x| &x.code));
    let exchanges = c.unique("exchanges", site.exchanges.iter().map(|x| &x.code));
    c.unique("devices", site.devices.iter().map(|x| &x.code));
    c.unique("links", site.links.iter().map(|x| &x.code));
    for (i, location) in site.locations.iter().enumerate() {
        c.coordinates(&format!("locations[{i}]"), location.lat, location.lng);
    }
    for (i, exchange) in site.exchanges.iter().enumerate() {
        c.coordinates(&format!("exchanges[{i}]"), exchange.lat, exchange.lng);
    }
    let mut devices: BTreeMap<Code, (&DeviceSpec, Ports)> = BTreeMap::new();
    for (i, device) in site.devices.iter().enumerate() {
        let path = format!("devices[{i}]");
        c.known(&format!("{path}.contributor"), "contributor", &device.contributor, &contributors);
        c.known(&format!("{path}.location"), "location", &device.location, &locations);
        c.known(&format!("{path}.exchange"), "exchange", &device.exchange, &exchanges);
        let ports = check_device(&mut c, &path, device);
        devices.entry(device.code).or_insert((device, ports));
    }
    check_prefix_overlaps(&mut c, site);
    let mut used = BTreeMap::new();
    for (i, link) in site.links.iter().enumerate() {
        check_link(&mut c, &format!("links[{i}]"), link, &devices, &mut used);
    }
}

/// A device's interfaces, and which of them can hold a link.
type Ports = BTreeMap<InterfaceName, bool>;

fn check_device(c: &mut Checker<'_>, path: &str, device: &DeviceSpec) -> Ports {
    c.value(&format!("{path}.public_ip"), values::public_ip(device.public_ip));
    if device.dz_prefixes.len() > MAX_DZ_PREFIXES {
        c.value(&format!("{path}.dz_prefixes"), Err(ErrorCode::DzPrefixTooMany));
    }
    for (i, prefix) in device.dz_prefixes.iter().enumerate() {
        c.value(&format!("{path}.dz_prefixes[{i}]"), values::dz_prefix(prefix));
    }
    if !device.agent_key.is_zero() && device.agent_key == device.telemetry_key {
        c.say(&format!("{path}.telemetry_key"), "is the agent's key as well; use one key for each");
    }
    let mut ports = Ports::new();
    for index in 0..recipe::len(device.device_type) {
        let default = recipe::interface(device.device_type, device.platform, index);
        ports.insert(default.name, can_hold_link(default.kind, default.role));
    }
    let mut named = BTreeSet::new();
    for (i, interface) in device.interfaces.iter().enumerate() {
        let path = format!("{path}.interfaces[{i}]");
        if !named.insert(interface.name) {
            c.say(&format!("{path}.name"), format!("`{}` is there twice", interface.name));
        }
        check_interface(c, &path, device.device_type, interface);
        ports.insert(interface.name, can_hold_link(interface.kind, interface.role));
    }
    if ports.len() > MAX_INTERFACES {
        c.say(&format!("{path}.interfaces"), format!("{} interfaces; {MAX_INTERFACES} fit a device", ports.len()));
    }
    ports
}

fn check_interface(c: &mut Checker<'_>, path: &str, device_type: DeviceType, interface: &InterfaceSpec) {
    let sub_interface = matches!(interface.kind, InterfaceKind::SubInterface);
    c.value(&format!("{path}.mtu"), values::mtu(interface.mtu));
    c.value(&format!("{path}.vlan_id"), values::vlan(interface.vlan_id, sub_interface));
    if sub_interface && !interface.name.as_str().contains('.') {
        c.value(&format!("{path}.name"), Err(ErrorCode::InterfaceShape));
    }
    if matches!((device_type, interface.role), (DeviceType::Transit, InterfaceRole::Cyoa)) {
        c.say(&format!("{path}.role"), "a transit device has no CYOA interface");
    }
}

fn can_hold_link(kind: InterfaceKind, role: InterfaceRole) -> bool {
    let port = match kind {
        InterfaceKind::Physical | InterfaceKind::PortChannel | InterfaceKind::SubInterface => true,
        InterfaceKind::Loopback | InterfaceKind::Management => false,
    };
    port && matches!(role, InterfaceRole::Fabric)
}

fn check_prefix_overlaps(c: &mut Checker<'_>, site: &Site) {
    let mut all: Vec<_> = site
        .devices
        .iter()
        .enumerate()
        .flat_map(|(d, device)| {
            device.dz_prefixes.iter().enumerate().map(move |(p, prefix)| (prefix.first(), prefix.last(), d, p))
        })
        .collect();
    all.sort_unstable();
    // Sorted by first address, a range overlaps an earlier one when it begins before the farthest end so far.
    let mut farthest: Option<(u32, usize, usize)> = None;
    for (first, last, d, p) in all {
        match farthest {
            Some((end, other_d, other_p)) if first <= end => {
                c.say(
                    &format!("devices[{d}].dz_prefixes[{p}]"),
                    format!("overlaps devices[{other_d}].dz_prefixes[{other_p}]"),
                );
            }
            Some(_) | None => {}
        }
        if farthest.is_none_or(|(end, _, _)| last > end) {
            farthest = Some((last, d, p));
        }
    }
}

fn check_link(
    c: &mut Checker<'_>,
    path: &str,
    link: &LinkSpec,
    devices: &BTreeMap<Code, (&DeviceSpec, Ports)>,
    used: &mut BTreeMap<(Code, InterfaceName), String>,
) {
    c.value(&format!("{path}.bandwidth_bps"), values::bandwidth(link.bandwidth_bps));
    c.value(&format!("{path}.mtu"), values::mtu(link.mtu));
    c.value(&format!("{path}.delay_ns"), values::delay(link.delay_ns));
    c.value(&format!("{path}.jitter_ns"), values::delay(link.jitter_ns));
    c.value(&format!("{path}.delay_override_ns"), values::delay_override(link.delay_override_ns));
    let mut end = |c: &mut Checker<'_>, side: &str, end: &EndSpec| -> Option<(Code, DeviceType)> {
        let Some((device, ports)) = devices.get(&end.device) else {
            c.say(&format!("{path}.{side}.device"), format!("there is no device `{}` in this file", end.device));
            return None;
        };
        let interface = format!("{path}.{side}.interface");
        match ports.get(&end.interface) {
            None => c.say(&interface, format!("`{}` has no interface `{}`", end.device, end.interface)),
            Some(false) => c.value(&interface, Err(ErrorCode::InterfaceUnfit)),
            Some(true) => {}
        }
        if let Some(other) = used.insert((end.device, end.interface), format!("{path}.{side}")) {
            c.say(&interface, format!("`{}` of `{}` is {other}'s already", end.interface, end.device));
        }
        Some((device.contributor, device.device_type))
    };
    let a = end(c, "a", &link.a);
    let z = end(c, "z", &link.z);
    if link.a.device == link.z.device {
        c.value(path, Err(ErrorCode::LinkSameDevice));
    }
    let (Some((a_owner, a_type)), Some((z_owner, z_type))) = (a, z) else { return };
    let fits = match link.link_type {
        LinkType::Wan => a_owner == z_owner,
        LinkType::Dzx => a_owner != z_owner,
    };
    if !fits {
        c.value(&format!("{path}.link_type"), Err(ErrorCode::LinkTypeMismatch));
    }
    let edge = matches!(a_type, DeviceType::Edge) || matches!(z_type, DeviceType::Edge);
    if edge && matches!(link.link_type, LinkType::Wan) {
        c.value(&format!("{path}.link_type"), Err(ErrorCode::LinkShapeBroken));
    }
}
