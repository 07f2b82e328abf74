//! What follows from configurations, cabling and faults: interfaces, adjacencies, routes and sessions. Pure.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet, BinaryHeap},
    net::Ipv4Addr,
};

use super::{
    config::{InterfaceConfig, RunningConfig, is_loopback},
    device::Device,
    fabric::{Port, UplinkKind},
    faults::Fault,
};

/// A cable between two ports.
#[derive(Clone, Debug)]
pub struct Cable {
    pub a: Port,
    pub z: Port,
    pub delay_ns: u64,
}

impl Cable {
    pub fn other(&self, port: &Port) -> &Port {
        if *port == self.a { &self.z } else { &self.a }
    }
}

/// What a port is wired to.
#[derive(Clone, Debug)]
pub enum Wire {
    /// Index into the cables.
    Cable(usize),
    /// The internet.
    Uplink(UplinkKind),
    /// A management network that is always there.
    Management,
}

/// A hop over a cable: its index and the port that sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hop {
    pub cable: usize,
    pub from: Port,
}

/// A shortest path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// Sum of the metrics.
    pub metric: u64,
    /// Codes of the devices on the way, from the first to the last.
    pub devices: Vec<String>,
    pub(super) hops: Vec<Hop>,
}

/// Everything that the parts of the simulated world give.
pub struct View<'a> {
    pub devices: &'a BTreeMap<String, Device>,
    pub cables: &'a [Cable],
    pub wires: &'a BTreeMap<Port, Wire>,
    pub faults: &'a BTreeMap<u64, Fault>,
}

/// What follows at one moment.
#[derive(Clone, Debug, Default)]
pub struct Derived {
    /// Ports in operation.
    pub up: BTreeSet<Port>,
    /// Level-2 adjacencies: port to the far port.
    pub adjacencies: BTreeMap<Port, Port>,
    /// Adjacencies that carry routes: by device, metric and hop to the next device.
    edges: BTreeMap<String, Vec<(u64, Hop, String)>>,
    /// Addresses that are in IS-IS, and the device that has each.
    pub advertised: BTreeMap<Ipv4Addr, String>,
    overloaded: BTreeSet<String>,
}

impl View<'_> {
    fn interface(&self, port: &Port) -> Option<&InterfaceConfig> {
        self.devices.get(&port.device)?.running().model.interfaces.get(&port.interface)
    }

    fn model(&self, port: &Port) -> Option<&RunningConfig> {
        self.devices.get(&port.device).map(|device| &device.running().model)
    }

    fn admin_up(&self, port: &Port) -> bool {
        let Some(device) = self.devices.get(&port.device) else { return false };
        let shut = |name: &str| device.running().model.interfaces.get(name).is_some_and(|i| i.shutdown);
        let parent_shut = port.interface.split_once('.').is_some_and(|(parent, _)| shut(parent));
        !shut(&port.interface) && !parent_shut
    }

    /// Whether a wired port is in operation: both ends powered and not shut, the cable whole.
    pub fn is_up(&self, port: &Port, wire: &Wire) -> bool {
        if !self.admin_up(port) {
            return false;
        }
        match wire {
            Wire::Management => true,
            Wire::Uplink(_) => {
                !self.faults.values().any(|f| matches!(f, Fault::DiaDown { device } if *device == port.device))
            }
            Wire::Cable(index) => self.cables.get(*index).is_some_and(|cable| {
                let far = cable.other(port);
                let cut = |f: &Fault| matches!(f, Fault::LinkCut { port: p } if p == port || p == far);
                self.admin_up(far) && !self.faults.values().any(cut)
            }),
        }
    }

    /// Whether two ports of a cable that is up have a level-2 adjacency.
    fn is_adjacent(&self, a: &Port, z: &Port) -> bool {
        let (Some(a_if), Some(z_if), Some(a_model), Some(z_model)) =
            (self.interface(a), self.interface(z), self.model(a), self.model(z))
        else {
            return false;
        };
        let level_two = |model: &RunningConfig, port: &Port| {
            model.isis_level(&port.interface).is_some_and(super::config::Level::has_two)
        };
        let system = |model: &RunningConfig| model.isis.as_ref().and_then(|i| i.system_id().map(str::to_owned));
        let mtu_agrees = match (a_if.mtu, z_if.mtu) {
            (Some(a), Some(z)) => a == z || !(a_if.isis.hello_padding || z_if.isis.hello_padding),
            (Some(_), None) | (None, Some(_)) | (None, None) => true,
        };
        let hellos_lost = self.faults.values().any(|fault| {
            matches!(fault, Fault::AdjacencyDrop { port } if port == a || port == z)
                || [a, z].iter().any(|port| fault.sends_lost(port) >= 1_000 || fault.receives_lost(port) >= 1_000)
        });
        level_two(a_model, a)
            && level_two(z_model, z)
            && !a_if.isis.passive
            && !z_if.isis.passive
            && a_if.isis.point_to_point == z_if.isis.point_to_point
            && share_subnet(a_if, z_if)
            && system(a_model) != system(z_model)
            && mtu_agrees
            && !hellos_lost
    }

    /// Works everything out but the routes.
    pub fn derive(&self) -> Derived {
        let up: BTreeSet<Port> =
            self.wires.iter().filter(|(port, wire)| self.is_up(port, wire)).map(|(port, _)| port.clone()).collect();
        let mut derived = Derived { up, ..Derived::default() };
        for (index, cable) in self.cables.iter().enumerate() {
            if !derived.up.contains(&cable.a) || !self.is_adjacent(&cable.a, &cable.z) {
                continue;
            }
            for (from, to) in [(&cable.a, &cable.z), (&cable.z, &cable.a)] {
                let metric = self.interface(from).map_or(0, |interface| interface.isis.metric);
                let hop = Hop { cable: index, from: from.clone() };
                derived.adjacencies.insert(from.clone(), to.clone());
                derived.edges.entry(from.device.clone()).or_default().push((u64::from(metric), hop, to.device.clone()));
            }
        }
        for (code, device) in self.devices {
            let model = &device.running().model;
            if model.isis.as_ref().is_some_and(|isis| isis.overload) {
                derived.overloaded.insert(code.clone());
            }
            for (name, interface) in &model.interfaces {
                let port = Port::new(code, name);
                let active = is_loopback(name) && !interface.shutdown || derived.up.contains(&port);
                if active && model.isis_level(name).is_some_and(super::config::Level::has_two) {
                    for address in interface.routed_addresses() {
                        derived.advertised.entry(address.addr()).or_insert_with(|| code.clone());
                    }
                }
            }
        }
        derived
    }
}

/// Whether two interfaces have different addresses in one subnet.
fn share_subnet(a: &InterfaceConfig, z: &InterfaceConfig) -> bool {
    a.routed_addresses().any(|a| z.routed_addresses().any(|z| a.trunc() == z.trunc() && a.addr() != z.addr()))
}

impl Derived {
    /// Shortest paths from a device to every other, by code. An overloaded device is reached but not crossed. Of equal
    /// paths the one through the devices with the lesser codes is taken, so that results do not depend on order.
    pub fn routes(&self, from: &str) -> BTreeMap<String, Route> {
        let mut best: BTreeMap<String, Route> = BTreeMap::new();
        let start = Route { metric: 0, devices: vec![from.to_owned()], hops: Vec::new() };
        let mut open = BinaryHeap::from([Reverse((0_u64, start.devices.clone()))]);
        let mut paths = BTreeMap::from([(start.devices.clone(), start)]);
        while let Some(Reverse((metric, devices))) = open.pop() {
            let (Some(path), Some(here)) = (paths.remove(&devices), devices.last().cloned()) else { continue };
            if best.contains_key(&here) {
                continue;
            }
            let transit = here == from || !self.overloaded.contains(&here);
            for (cost, hop, next) in self.edges.get(&here).into_iter().flatten().filter(|_| transit) {
                if best.contains_key(next) {
                    continue;
                }
                let mut route = path.clone();
                route.metric = metric.saturating_add(*cost);
                route.devices.push(next.clone());
                route.hops.push(hop.clone());
                // Parallel cables give the same devices: the cheaper one counts.
                if paths.get(&route.devices).is_none_or(|other| route.metric < other.metric) {
                    open.push(Reverse((route.metric, route.devices.clone())));
                    paths.insert(route.devices.clone(), route);
                }
            }
            best.insert(here, path);
        }
        best
    }
}
