//! The lab's system: a backbone, and a real router with an agent for each of its devices.

use std::{
    collections::BTreeMap,
    net::Ipv4Addr,
    ops::{Deref, DerefMut},
    sync::Arc,
    time::Duration,
};

use anyhow::Context;
use causeway_controller::{jobs::JobsConfig, render::timers::BFD_INTERVAL_MS};
use causeway_demo::{
    backbone::{Backbone, Pace, Setup},
    screen::Screen,
};
use causeway_health_oracle::criteria::coverage::Rules;
use causeway_interface::{Code, InterfaceKind, LoopbackType, Platform};
use tokio::{sync::Semaphore, task::JoinSet};

use crate::{
    agents::Agents,
    args::Args,
    graph::Graph,
    network::{self, HERE, MAX_HURRIED, Network, Place},
    priority::{self, Ahead},
    refusals::Refusals,
    router,
};

/// Routers that are started at once: their daemons wait more than they compute.
const STARTED_AT_ONCE: usize = 4;
/// Devices for which one second of sampling is enough work for two cores.
const DEVICES_PER_SECOND: u64 = 12;
/// Time between polls of the controller; a change is announced sooner.
const POLL: Duration = Duration::from_secs(10);

/// Milliseconds of a slot: Solana's own. Shorter ones cost the machine more than anything else of the ledger.
const SLOT_MS: u64 = 400;
/// Milliseconds of a slot beside many routers. With 158 of them on two cores one of 400 took 2 000, and burn-ins, which are
/// counted in slots, five times their time. With a clock on time, the ledger's validator once was to lead a slot before it
/// had finished the one before, and ended by an assertion: four times the time to finish it in leaves room for that.
const LONG_SLOT_MS: u64 = 1_600;
/// Least that anything takes, in units of one second of sampling.
const SLOWEST_FACTOR: u64 = 2;
/// What routing may take of a small machine, in packets of BFD a second: each takes 0.6 ms of a core (25 routers, 57 links,
/// FRR 8.4: 0.72 of a core for 1 140 a second, 0.55 for 930). More, and with 5 100 probes a second beside them nothing is left
/// of two cores for what applies configurations.
const ROUTING_PACKETS_PER_S: u64 = 700;
/// What IS-IS takes at each end of a link, in packets of BFD a second (there: 0.128 of a core for 114 ends).
const ISIS_PACKETS_PER_S: u64 = 2;
/// Packets of BFD a second that are left to the largest network.
const LEAST_BFD_PACKETS_PER_S: u64 = 400;
/// Ends of a link.
const ENDS: u64 = 2;

/// How fast a network of this size can be measured and judged on a small machine: everything that is counted in samples
/// is so many times as long.
#[must_use]
pub fn pace(devices: usize, links: usize) -> (Duration, Pace) {
    let factor = (devices as u64).div_ceil(DEVICES_PER_SECOND).max(SLOWEST_FACTOR);
    let seconds = Rules::seconds();
    let slot_ms = if devices <= MAX_HURRIED { SLOT_MS } else { LONG_SLOT_MS };
    let slots = 10_000 * factor / slot_ms;
    let rules = Rules {
        bucket_ms: seconds.bucket_ms * factor,
        max_gap_ms: seconds.max_gap_ms * factor,
        lag_ms: seconds.lag_ms * factor,
        settle_ms: seconds.settle_ms * factor,
        // A router that is busy with its first configuration takes as long as it has neighbours in the queue.
        max_poll_age_ms: seconds.max_poll_age_ms * factor,
        config_grace_ms: seconds.config_grace_ms * factor,
        ..seconds
    };
    let ends = links as u64 * ENDS;
    let packets = ROUTING_PACKETS_PER_S.saturating_sub(ends * ISIS_PACKETS_PER_S).max(LEAST_BFD_PACKETS_PER_S);
    let apart = (ends * 1_000).div_ceil(packets);
    let bfd_interval_ms = u16::try_from(apart.next_multiple_of(10)).unwrap_or(u16::MAX).max(BFD_INTERVAL_MS);
    let pace = Pace { slot_ms, bfd_interval_ms, burn_in_slots: slots, max_age_slots: slots, rules };
    (Duration::from_secs(factor), pace)
}

/// The running lab.
pub struct Lab {
    /// Ledger, controller, oracles.
    pub backbone: Backbone,
    /// Where each device is.
    pub places: BTreeMap<Code, Place>,
    /// Agents.
    pub agents: Agents,
    /// Devices and links.
    pub graph: Graph,
    /// Milliseconds between BFD packets on links.
    pub bfd_interval_ms: u16,
    /// Configurations that routers refused or took back.
    pub refusals: Refusals,
    network: Network,
    // Held: dropped, the session is as nice as it was.
    _ahead: Option<Ahead>,
}

impl Deref for Lab {
    type Target = Backbone;

    fn deref(&self) -> &Backbone {
        &self.backbone
    }
}

impl DerefMut for Lab {
    fn deref_mut(&mut self) -> &mut Backbone {
        &mut self.backbone
    }
}

impl Lab {
    /// Starts everything and registers the topology.
    ///
    /// # Errors
    /// A part did not start. What was made until then is the caller's to remove: [`network::remove_run`].
    pub async fn start(args: &Args, topology: &str, text: &str, screen: &mut Screen) -> anyhow::Result<Self> {
        let platform = Platform::Frr;
        let imported = Backbone::import(topology, text, platform, screen)?;
        let (sample, mut pace) = pace(imported.0.devices.len(), imported.0.links.len());
        pace.bfd_interval_ms = args.bfd_interval_ms.unwrap_or(pace.bfd_interval_ms);
        let setup = Setup { oracles: args.oracles, pace, address: HERE };
        let places = network::places(&imported.0, std::process::id())?;
        let network = Network::build(&imported.0, &places, std::process::id()).await?;
        let many = places.len() > MAX_HURRIED;
        let ahead = many.then(Ahead::of_others).transpose()?;
        let (backbone, places, agents) = Self::start_in(args, &setup, imported, sample, places, screen).await?;
        let graph = Graph::of(&backbone.site);
        let bfd_interval_ms = setup.pace.bfd_interval_ms;
        let refusals = Refusals::default();
        Ok(Self { backbone, places, agents, graph, bfd_interval_ms, refusals, network, _ahead: ahead })
    }

    async fn start_in(
        args: &Args,
        setup: &Setup,
        imported: (causeway_cli::site::Site, BTreeMap<Code, causeway_demo::backbone::DeviceKeys>),
        sample: Duration,
        places: BTreeMap<Code, Place>,
        screen: &mut Screen,
    ) -> anyhow::Result<(Backbone, BTreeMap<Code, Place>, Agents)> {
        start_routers(&places).await?;
        screen.say(&format!(
            "{} routers run, each with zebra, staticd, isisd, bgpd and bfdd in a network namespace of its own.",
            places.len()
        ));
        let mut backbone = Backbone::start(setup, imported, screen).await?;
        priority::of_ledger().await?;
        let mut agents = Agents::new(args.agent.clone(), &mut backbone, sample, POLL)?;
        for (code, place) in &places {
            agents.start(*code, place)?;
        }
        screen.say(&format!(
            "{} agents run, one per device; each measures every {} s. BFD every {} ms on every link.",
            places.len(),
            sample.as_secs(),
            setup.pace.bfd_interval_ms
        ));
        Ok((backbone, places, agents))
    }

    /// A device's place.
    ///
    /// # Errors
    /// There is no such device.
    pub fn place(&self, device: Code) -> anyhow::Result<&Place> {
        self.places.get(&device).with_context(|| format!("{device} has no place"))
    }

    /// A device's IPv4 loopback, once it has one.
    #[must_use]
    pub fn loopback(&self, device: Code) -> Option<Ipv4Addr> {
        let snapshot = self.snapshot()?;
        let record = snapshot.devices.values().find(|d| d.code == device)?;
        let loopback = record
            .interfaces
            .iter()
            .find(|i| i.kind == InterfaceKind::Loopback && i.loopback == LoopbackType::Ipv4 && !i.address.is_none())?;
        Some(Ipv4Addr::from(loopback.address.addr.0))
    }

    /// Notes what routers refused or took back, as long as there is a controller that was told of it.
    pub fn note_refusals(&mut self, screen: &mut Screen) {
        let Some(controller) = self.backbone.controller() else { return };
        let store = controller.shared().store();
        for (code, entry) in store.entries() {
            for report in &entry.reports {
                if self.refusals.take(*code, report) {
                    screen.say(&format!("{code} did not take a configuration: {report:?}"));
                }
            }
        }
    }

    /// Ends the controller at once; what it was told of refusals is noted before.
    pub fn kill_controller(&mut self, screen: &mut Screen) {
        self.note_refusals(screen);
        self.backbone.kill_controller();
    }

    /// Ends the controller in order and starts another one; what it was told of refusals is noted before.
    ///
    /// # Errors
    /// It did not start.
    pub async fn restart_controller(&mut self, jobs: JobsConfig, screen: &mut Screen) -> anyhow::Result<()> {
        self.note_refusals(screen);
        self.backbone.restart_controller(jobs).await
    }

    /// Proportional set sizes in MB: of everything, and of the routers' daemons.
    #[must_use]
    pub fn memory_mb(&self) -> (u64, u64) {
        let routers: u64 = self.places.values().flat_map(router::pids).map(proportional_kb).sum();
        let agents: u64 = self.agents.pids().into_iter().map(proportional_kb).sum();
        let own = proportional_kb(std::process::id());
        ((routers + agents + own) / 1_024, routers / 1_024)
    }

    /// Stops everything, those first that depend on others.
    pub async fn stop(self) {
        self.agents.stop().await;
        self.backbone.stop().await;
        self.network.remove().await;
    }
}

async fn start_routers(places: &BTreeMap<Code, Place>) -> anyhow::Result<()> {
    let turns = Arc::new(Semaphore::new(STARTED_AT_ONCE));
    let mut starts = JoinSet::new();
    for place in places.values() {
        let (turns, place) = (Arc::clone(&turns), place.clone());
        starts.spawn(async move {
            let _turn = turns.acquire_owned().await?;
            router::prepare(&place)?;
            router::start(&place).await
        });
    }
    while let Some(started) = starts.join_next().await {
        started.context("a router did not start")??;
    }
    Ok(())
}

/// 0 for a process that is gone.
fn proportional_kb(pid: u32) -> u64 {
    let rollup = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
    let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:"));
    line.and_then(|line| line.split_whitespace().next()).and_then(|kb| kb.parse().ok()).unwrap_or(0)
}
