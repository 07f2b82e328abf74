//! The state of the simulated world, and what keeps its derived parts in step with it.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use rand::{SeedableRng, rngs::StdRng};

use super::{
    config::is_loopback,
    derive::{Cable, Derived, Route, View, Wire},
    device::Device,
    fabric::Port,
    faults::Fault,
    traffic::{self, Counters},
};

/// Everything.
pub struct World {
    pub devices: BTreeMap<String, Device>,
    pub cables: Vec<Cable>,
    pub wires: BTreeMap<Port, Wire>,
    pub internet_hosts: BTreeSet<Ipv4Addr>,
    pub faults: BTreeMap<u64, Fault>,
    pub next_fault: u64,
    pub rng: StdRng,
    pub now_ms: u64,
    counters: BTreeMap<Port, Counters>,
    settled_ms: u64,
    derived: Derived,
    routes: BTreeMap<String, BTreeMap<String, Route>>,
}

impl World {
    pub fn new(seed: u64) -> Self {
        Self {
            devices: BTreeMap::new(),
            cables: Vec::new(),
            wires: BTreeMap::new(),
            internet_hosts: BTreeSet::new(),
            faults: BTreeMap::new(),
            next_fault: 1,
            rng: StdRng::seed_from_u64(seed),
            now_ms: 0,
            counters: BTreeMap::new(),
            settled_ms: 0,
            derived: Derived::default(),
            routes: BTreeMap::new(),
        }
    }

    pub fn view(&self) -> View<'_> {
        View { devices: &self.devices, cables: &self.cables, wires: &self.wires, faults: &self.faults }
    }

    pub fn derived(&self) -> &Derived {
        &self.derived
    }

    pub fn counters(&self, port: &Port) -> Counters {
        self.counters.get(port).copied().unwrap_or_default()
    }

    pub fn counters_mut(&mut self, port: &Port) -> &mut Counters {
        self.counters.entry(port.clone()).or_default()
    }

    /// Time goes on, never back: traffic is counted and revert timers fire.
    pub fn advance(&mut self, now_ms: u64) {
        self.now_ms = self.now_ms.max(now_ms);
        let now = self.now_ms;
        let mut reverted = false;
        for (code, device) in &mut self.devices {
            if device.tick(now) {
                tracing::warn!(device = %code, "the simulated device reverts a commit that nobody confirmed");
                reverted = true;
            }
        }
        self.settle();
        if reverted {
            self.changed();
        }
    }

    /// Counts the traffic since the last time, with what has been true since.
    fn settle(&mut self) {
        let elapsed_ms = self.now_ms.saturating_sub(self.settled_ms);
        self.settled_ms = self.now_ms;
        if elapsed_ms > 0 {
            for (port, counts) in traffic::counted(&self.view(), &self.derived, elapsed_ms) {
                self.counters.entry(port).or_default().add(counts);
            }
        }
    }

    /// Something that the derived parts depend on has changed.
    pub fn changed(&mut self) {
        self.settle();
        let derived = self.view().derive();
        for port in self.derived.up.symmetric_difference(&derived.up) {
            self.counters.entry(port.clone()).or_default().carrier_transitions += 1;
        }
        self.derived = derived;
        self.routes.clear();
    }

    /// Routes of a device, worked out when first asked for after a change.
    pub fn routes(&mut self, from: &str) -> &BTreeMap<String, Route> {
        let derived = &self.derived;
        self.routes.entry(from.to_owned()).or_insert_with(|| derived.routes(from))
    }

    /// Every interface of a device: what is wired, and what its configuration names, with whether it is up.
    pub fn interfaces(&self, code: &str) -> BTreeMap<String, bool> {
        let Some(device) = self.devices.get(code) else { return BTreeMap::new() };
        let mut all = BTreeMap::new();
        for (name, interface) in &device.running().model.interfaces {
            all.insert(name.clone(), is_loopback(name) && !interface.shutdown);
        }
        for port in self.wires.keys().filter(|port| port.device == code) {
            all.insert(port.interface.clone(), self.derived.up.contains(port));
        }
        all
    }
}
