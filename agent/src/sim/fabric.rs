//! The simulated network, as tests and the demonstration hold it.

use std::{
    collections::BTreeMap,
    net::Ipv4Addr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio::task::JoinHandle;

use super::{
    config::{Family, RunningConfig},
    derive::{Cable, Route, Wire},
    device::Device,
    driver::SimDriver,
    faults::{Fault, FaultId},
    traffic,
    world::World,
};
use crate::driver::{Adjacency, InterfaceCounters, ProbeOutcome, Target};

/// How often the wall clock moves the simulation: a fifth of the shortest sampling interval, so that counters look smooth.
pub const CLOCK_PERIOD: Duration = Duration::from_millis(200);

/// A port of a device.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Port {
    /// Device code.
    pub device: String,
    /// Interface name.
    pub interface: String,
}

impl Port {
    /// Names a port.
    pub fn new(device: &str, interface: &str) -> Self {
        Self { device: device.to_owned(), interface: interface.to_owned() }
    }
}

impl std::fmt::Display for Port {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.device, self.interface)
    }
}

/// What an internet uplink is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UplinkKind {
    /// Direct internet access: probes go over it.
    Dia,
    /// Where users connect.
    Cyoa,
}

/// A wiring that can't be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FabricError {
    /// Codes are unique.
    #[error("there is a device {0} already")]
    DeviceExists(String),
    /// No such device.
    #[error("there is no device {0}")]
    UnknownDevice(String),
    /// A port takes one cable.
    #[error("{0} is wired already")]
    PortInUse(Port),
    /// Both ends are the same port.
    #[error("{0} can not be wired to itself")]
    Loop(Port),
}

/// Whether a BGP session is established.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionState {
    /// Address of the peer.
    pub peer: Ipv4Addr,
    /// Established.
    pub established: bool,
}

/// A simulated network. Clones are handles of the same one.
#[derive(Clone)]
pub struct Fabric {
    world: Arc<Mutex<World>>,
}

impl Fabric {
    /// An empty one at time zero. The seed decides which packets a lossy link loses.
    pub fn new(seed: u64) -> Self {
        Self { world: Arc::new(Mutex::new(World::new(seed))) }
    }

    pub(super) fn world(&self) -> MutexGuard<'_, World> {
        // The world is consistent between any two statements that could panic; there are none that should.
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a device without configuration.
    ///
    /// # Errors
    /// The code is taken.
    pub fn add_device(&self, code: &str, family: Family, public_ip: Option<Ipv4Addr>) -> Result<(), FabricError> {
        let mut world = self.world();
        if world.devices.contains_key(code) {
            return Err(FabricError::DeviceExists(code.to_owned()));
        }
        world.devices.insert(code.to_owned(), Device::new(family, public_ip));
        world.changed();
        Ok(())
    }

    /// Wires two ports. Either may belong to a device that is added later; until then the cable is down.
    ///
    /// # Errors
    /// A port is wired already, or both are the same.
    pub fn add_cable(&self, a: Port, z: Port, delay: Duration) -> Result<(), FabricError> {
        let mut world = self.world();
        if a == z {
            return Err(FabricError::Loop(a));
        }
        for port in [&a, &z] {
            if world.wires.contains_key(port) {
                return Err(FabricError::PortInUse(port.clone()));
            }
        }
        let index = world.cables.len();
        world.wires.insert(a.clone(), Wire::Cable(index));
        world.wires.insert(z.clone(), Wire::Cable(index));
        let delay_ns = u64::try_from(delay.as_nanos()).unwrap_or(u64::MAX);
        world.cables.push(Cable { a, z, delay_ns });
        world.changed();
        Ok(())
    }

    /// Connects a port to the internet.
    ///
    /// # Errors
    /// The port is wired already.
    pub fn add_uplink(&self, port: Port, kind: UplinkKind) -> Result<(), FabricError> {
        self.wire(port, Wire::Uplink(kind))
    }

    /// Connects a port to a management network that never fails.
    ///
    /// # Errors
    /// The port is wired already.
    pub fn add_management(&self, port: Port) -> Result<(), FabricError> {
        self.wire(port, Wire::Management)
    }

    fn wire(&self, port: Port, wire: Wire) -> Result<(), FabricError> {
        let mut world = self.world();
        if world.wires.contains_key(&port) {
            return Err(FabricError::PortInUse(port));
        }
        world.wires.insert(port, wire);
        world.changed();
        Ok(())
    }

    /// Adds a host of the internet that answers reachability probes.
    pub fn add_internet_host(&self, address: Ipv4Addr) {
        self.world().internet_hosts.insert(address);
    }

    /// Makes something go wrong, until healed.
    pub fn inject(&self, fault: Fault) -> FaultId {
        let mut world = self.world();
        let id = world.next_fault;
        world.next_fault += 1;
        world.faults.insert(id, fault);
        world.changed();
        FaultId(id)
    }

    /// Ends a fault. False when there is none such.
    pub fn heal(&self, id: FaultId) -> bool {
        let mut world = self.world();
        let healed = world.faults.remove(&id.0);
        if let Some(Fault::ManagementDies { device, .. }) = &healed
            && let Some(device) = world.devices.get_mut(device)
        {
            device.management_dead = false;
        }
        world.changed();
        healed.is_some()
    }

    /// Ends every fault of a device; how many there were.
    pub fn heal_device(&self, code: &str) -> usize {
        let ids: Vec<u64> =
            self.world().faults.iter().filter(|(_, fault)| fault.device() == code).map(|(id, _)| *id).collect();
        ids.into_iter().filter(|id| self.heal(FaultId(*id))).count()
    }

    /// Moves time to `now_ms` milliseconds since the beginning; an earlier time changes nothing.
    pub fn advance_to(&self, now_ms: u64) {
        self.world().advance(now_ms);
    }

    /// Milliseconds since the beginning.
    pub fn now_ms(&self) -> u64 {
        self.world().now_ms
    }

    /// Lets the wall clock move the simulation from here on, in a task of its own: revert timers fire whether or not an
    /// agent lives. Ends when aborted.
    pub fn run_clock(&self) -> JoinHandle<()> {
        let fabric = self.clone();
        let (began, from_ms) = (Instant::now(), self.now_ms());
        tokio::spawn(async move {
            let mut ticks = tokio::time::interval(CLOCK_PERIOD);
            ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
            loop {
                ticks.tick().await;
                let elapsed_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
                fabric.advance_to(from_ms.saturating_add(elapsed_ms));
            }
        })
    }

    /// A driver for a device.
    ///
    /// # Errors
    /// No such device.
    pub fn driver(&self, code: &str) -> Result<SimDriver, FabricError> {
        match self.world().devices.get(code) {
            Some(device) => Ok(SimDriver::new(self.clone(), code.to_owned(), device.family)),
            None => Err(FabricError::UnknownDevice(code.to_owned())),
        }
    }

    /// Power off and on: the device runs its startup configuration.
    ///
    /// # Errors
    /// No such device.
    pub fn reboot(&self, code: &str) -> Result<(), FabricError> {
        let mut world = self.world();
        let device = world.devices.get_mut(code).ok_or_else(|| FabricError::UnknownDevice(code.to_owned()))?;
        device.reboot();
        world.changed();
        Ok(())
    }

    /// Text that a device runs; none for an unknown one.
    pub fn running_text(&self, code: &str) -> Option<String> {
        self.world().devices.get(code).map(|device| device.running().text.clone())
    }

    /// Text that a device starts with; none for an unknown one.
    pub fn startup_text(&self, code: &str) -> Option<String> {
        self.world().devices.get(code).map(|device| device.startup().text.clone())
    }

    /// Configuration that a device runs; none for an unknown one.
    pub fn running_config(&self, code: &str) -> Option<RunningConfig> {
        self.world().devices.get(code).map(|device| device.running().model.clone())
    }

    /// Counters and state of every interface of a device, by name.
    pub fn counters(&self, code: &str) -> Vec<InterfaceCounters> {
        let world = self.world();
        let rows = world.interfaces(code).into_iter().map(|(interface, oper_up)| {
            let counted = world.counters(&Port::new(code, &interface));
            InterfaceCounters {
                interface,
                oper_up,
                in_octets: counted.in_milli_octets / 1_000,
                out_octets: counted.out_milli_octets / 1_000,
                in_errors: counted.in_milli_errors / 1_000,
                carrier_transitions: counted.carrier_transitions,
                ..InterfaceCounters::default()
            }
        });
        rows.collect()
    }

    /// IS-IS circuits of a device, but loopbacks and passive ones, by interface.
    pub fn adjacencies(&self, code: &str) -> Vec<Adjacency> {
        let world = self.world();
        let Some(device) = world.devices.get(code) else { return Vec::new() };
        let model = &device.running().model;
        let circuits = model.interfaces.iter().filter(|(name, interface)| {
            model.isis_level(name).is_some() && !interface.isis.passive && !super::config::is_loopback(name)
        });
        circuits
            .map(|(name, _)| {
                let far = world.derived().adjacencies.get(&Port::new(code, name));
                let neighbor = far.and_then(|far| {
                    let model = &world.devices.get(&far.device)?.running().model;
                    let system_id = || model.isis.as_ref()?.system_id().map(str::to_owned);
                    model.hostname.clone().or_else(system_id)
                });
                Adjacency { interface: name.clone(), up: far.is_some(), neighbor: neighbor.unwrap_or_default() }
            })
            .collect()
    }

    /// Shortest path between two devices.
    pub fn route(&self, from: &str, to: &str) -> Option<Route> {
        self.world().routes(from).get(to).cloned()
    }

    /// BGP sessions of a device. Established when both ends are configured for each other, not shut, and have routes to
    /// each other's address.
    pub fn bgp_sessions(&self, code: &str) -> Vec<SessionState> {
        let mut world = self.world();
        let Some(bgp) = world.devices.get(code).and_then(|d| d.running().model.bgp.clone()) else { return Vec::new() };
        let peers: Vec<Ipv4Addr> = bgp.neighbors.keys().copied().collect();
        peers
            .into_iter()
            .map(|peer| SessionState { peer, established: session(&mut world, code, peer).is_some() })
            .collect()
    }

    pub(super) fn probe(&self, code: &str, targets: &[Target], count: u32) -> Vec<ProbeOutcome> {
        let mut world = self.world();
        targets.iter().map(|target| traffic::probe(&mut world, code, target, count)).collect()
    }

    /// Codes of the devices, with the family of each.
    pub fn devices(&self) -> BTreeMap<String, Family> {
        self.world().devices.iter().map(|(code, device)| (code.clone(), device.family)).collect()
    }
}

fn session(world: &mut World, code: &str, peer: Ipv4Addr) -> Option<()> {
    let far = world.derived().advertised.get(&peer)?.clone();
    let near_model = &world.devices.get(code)?.running().model;
    let far_model = &world.devices.get(&far)?.running().model;
    let (source, to_far) = endpoint(near_model, peer)?;
    let (far_source, to_near) = endpoint(far_model, source)?;
    let agreed = to_far == far_model.bgp.as_ref()?.asn && to_near == near_model.bgp.as_ref()?.asn && far_source == peer;
    let routed = world.routes(code).contains_key(&far) && world.routes(&far).contains_key(code);
    (agreed && routed && far != code).then_some(())
}

/// Address that a device's sessions to a peer come from, and the AS that it expects there.
fn endpoint(model: &RunningConfig, peer: Ipv4Addr) -> Option<(Ipv4Addr, u32)> {
    let bgp = model.bgp.as_ref()?;
    let neighbor = bgp.neighbors.get(&peer)?;
    let group = neighbor.group.as_ref().and_then(|name| bgp.groups.get(name));
    if neighbor.shutdown || group.is_some_and(|group| group.shutdown) {
        return None;
    }
    let source = neighbor.update_source.as_ref().or_else(|| group?.update_source.as_ref())?;
    let remote_as = neighbor.remote_as.or_else(|| group?.remote_as)?;
    let address = match source.parse() {
        Ok(address) => address,
        Err(_) => model.interfaces.get(source)?.routed_addresses().next()?.addr(),
    };
    Some((address, remote_as))
}
