//! The demo's system: a backbone, and a simulated router with an agent for each of its devices.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::Ipv4Addr,
    ops::{Deref, DerefMut},
    time::Duration,
};

use anyhow::Context;
use causeway_agent::{
    Agent, AgentConfig, AgentHandle, Intervals,
    apply::ApplyLimits,
    config::{BUFFERED_SAMPLES, PROBES_PER_SAMPLE},
    sim::{self, Fabric, Port, UplinkKind},
};
use causeway_cli::site::Site;
use causeway_demo::{
    backbone::{Backbone, Pace, Setup},
    screen::Screen,
};
use causeway_interface::{Code, InterfaceKind, InterfaceRole, Platform, recipe};
use causeway_sdk::address::to_key;
use tokio::task::JoinHandle;

use crate::args::Args;

/// How often agents measure.
const SAMPLE: Duration = Duration::from_secs(1);
/// How often agents ask for their configuration; a change is announced sooner.
const POLL: Duration = Duration::from_secs(5);

/// The running system.
pub struct System {
    /// Ledger, controller, oracles.
    pub backbone: Backbone,
    /// The simulated routers and wires.
    pub fabric: Fabric,
    /// Agents by device.
    pub agents: BTreeMap<Code, AgentHandle>,
    clock: JoinHandle<()>,
}

impl Deref for System {
    type Target = Backbone;

    fn deref(&self) -> &Backbone {
        &self.backbone
    }
}

impl DerefMut for System {
    fn deref_mut(&mut self) -> &mut Backbone {
        &mut self.backbone
    }
}

impl System {
    /// Starts everything and registers the topology.
    pub async fn start(args: &Args, topology: &str, text: &str, screen: &mut Screen) -> anyhow::Result<Self> {
        let platform = args.platform();
        let setup = Setup { oracles: args.oracles, pace: Pace::seconds(), address: Ipv4Addr::LOCALHOST };
        let site = Backbone::import(topology, text, platform, screen)?;
        let fabric = wire(&site.0, platform)?;
        let clock = fabric.run_clock();
        let backbone = Backbone::start(&setup, site, screen).await?;
        let mut system = Self { backbone, fabric, agents: BTreeMap::new(), clock };
        system.start_agents()?;
        screen.say(&format!("{} agents run, one per device.", system.agents.len()));
        Ok(system)
    }

    fn start_agents(&mut self) -> anyhow::Result<()> {
        for (code, keys) in std::mem::take(&mut self.backbone.device_keys) {
            let state_dir = self.folder().join("agents").join(code.to_string());
            std::fs::create_dir_all(&state_dir).context("no folder for an agent")?;
            let config = AgentConfig {
                device: code.to_string(),
                program_id: to_key(&self.program_id()).0,
                controllers: vec![self.grpc_url()],
                controller_ca: None,
                controller_keys: BTreeSet::from([self.controller_key()]),
                oracles: self.oracle_urls(),
                agent_key: keys.agent,
                telemetry_key: keys.telemetry,
                state_dir,
                intervals: Intervals {
                    sample: SAMPLE,
                    poll: POLL,
                    retry_base: Duration::from_millis(500),
                    retry_max: Duration::from_secs(4),
                    reapply_base: Duration::from_secs(2),
                    reapply_max: Duration::from_secs(10),
                },
                limits: ApplyLimits::default(),
                probes_per_sample: PROBES_PER_SAMPLE,
                buffered_samples: BUFFERED_SAMPLES,
            };
            let driver = self.fabric.driver(code.as_str())?;
            let agent = Agent::start(config, driver).with_context(|| format!("the agent of {code} did not start"))?;
            self.agents.insert(code, agent);
        }
        Ok(())
    }

    /// Stops everything, those first that depend on others.
    pub async fn stop(self) {
        for (_, agent) in self.agents {
            agent.shutdown().await;
        }
        self.backbone.stop().await;
        self.clock.abort();
    }
}

/// Builds the simulated world: a router for each device, a wire for each link, uplinks where the device's recipe has
/// ports for them.
fn wire(site: &Site, platform: Platform) -> anyhow::Result<Fabric> {
    let family = match platform {
        Platform::Eos => sim::config::Family::Eos,
        Platform::Frr => sim::config::Family::Frr,
    };
    let fabric = Fabric::new(rand::random());
    for device in &site.devices {
        let code = device.code.as_str();
        fabric.add_device(code, family, Some(Ipv4Addr::from(device.public_ip.0)))?;
        for index in 0..recipe::len(device.device_type) {
            let interface = recipe::interface(device.device_type, device.platform, index);
            let port = Port::new(code, interface.name.as_str());
            match (interface.kind, interface.role) {
                (InterfaceKind::Management, _) => fabric.add_management(port)?,
                (_, InterfaceRole::Dia) => fabric.add_uplink(port, UplinkKind::Dia)?,
                (_, InterfaceRole::Cyoa) => fabric.add_uplink(port, UplinkKind::Cyoa)?,
                (_, InterfaceRole::Fabric) => {}
            }
        }
    }
    for link in &site.links {
        let a = Port::new(link.a.device.as_str(), link.a.interface.as_str());
        let z = Port::new(link.z.device.as_str(), link.z.interface.as_str());
        fabric.add_cable(a, z, Duration::from_nanos(link.delay_ns))?;
    }
    Ok(fabric)
}
