//! Everything that runs: started in order, stopped in order.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::Ipv4Addr,
    sync::{Arc, atomic::AtomicU64},
    time::{Duration, Instant},
};

use anyhow::Context;
use causeway_agent::{
    Agent, AgentConfig, AgentHandle, Intervals,
    apply::ApplyLimits,
    config::{BUFFERED_SAMPLES, PROBES_PER_SAMPLE},
    sim::{self, Fabric, Port, UplinkKind},
};
use causeway_cli::{
    apply::{self, Progress},
    import::{ImportOptions, Imported, site_from_gml},
    keyring::KeyRing,
    plan,
    site::Site,
};
use causeway_controller::daemon::{Config as ControllerConfig, Controller, ControllerHandle};
use causeway_health_oracle::{Config as OracleConfig, Oracle, OracleHandle};
use causeway_interface::{Code, InterfaceKind, InterfaceRole, Key, Platform, recipe};
use causeway_localnet::{Localnet, NetworkParams, Options, smallest_quorum};
use causeway_sdk::{
    Explain, Sender, Snapshot, WatchConfig, Watched, Watcher,
    address::{to_key, to_pubkey},
};
use ed25519_dalek::SigningKey;
use solana_sdk::{signature::Keypair, signer::Signer};
use tokio::{sync::watch, task::JoinHandle};

use crate::{args::Args, screen::Screen};

/// Contributors that share the devices.
const CONTRIBUTORS: usize = 4;
/// Burn-in before first service: 10 s at a localnet's slots of 100 ms.
const BURN_IN_NEW_SLOTS: u64 = 100;
/// Burn-in after maintenance: no shorter than the maximum age may be.
const BURN_IN_MAINTENANCE_SLOTS: u64 = MAX_AGE_SLOTS;
/// Age after which an attestation no longer counts: 10 s, five rounds of an oracle.
const MAX_AGE_SLOTS: u64 = 100;
/// How often agents measure.
const SAMPLE: Duration = Duration::from_secs(1);
/// How often agents ask for their configuration; a change is announced sooner.
const POLL: Duration = Duration::from_secs(5);
/// Lamports of each key that pays: 10 000 SOL.
const LAMPORTS: u64 = 10_000_000_000_000;
/// Longest wait for the oracles to have read the ledger once.
const ORACLES_READY: Duration = Duration::from_secs(30);

/// The running system.
pub struct System {
    /// When it all began.
    pub began: Instant,
    /// What was registered.
    pub site: Site,
    /// The ledger as watched.
    pub watched: watch::Receiver<Watched>,
    /// The controller.
    pub controller: ControllerHandle,
    /// The oracles, in the set's order.
    pub oracles: Vec<OracleHandle>,
    /// The simulated routers and wires.
    pub fabric: Fabric,
    /// Agents by device.
    pub agents: BTreeMap<Code, AgentHandle>,
    sender: Sender,
    keys: KeyRing,
    transactions: Arc<AtomicU64>,
    clock: JoinHandle<()>,
    // Held: dropping it ends the watch.
    _watcher: Watcher,
    localnet: Localnet,
    // Last, so that it goes when everything that writes into it has gone.
    _folder: tempfile::TempDir,
}

/// Keys of a device, which stay with its agent.
struct DeviceKeys {
    agent: SigningKey,
    telemetry: SigningKey,
}

fn signing_key() -> SigningKey {
    SigningKey::generate(&mut rand::rngs::OsRng)
}

fn public(key: &SigningKey) -> Key {
    Key(key.verifying_key().to_bytes())
}

impl System {
    /// Starts everything and registers the topology.
    pub async fn start(args: &Args, topology: &str, text: &str, screen: &mut Screen) -> anyhow::Result<Self> {
        let began = Instant::now();
        let Imported { mut site, assumptions } = site_from_gml(
            text,
            &ImportOptions { contributors: CONTRIBUTORS, platform: args.platform(), ..ImportOptions::default() },
        )
        .with_context(|| format!("{topology} can't be imported"))?;
        screen.say(&format!(
            "{topology}: {} devices, {} links, {} contributors; {} things had to be assumed (`causeway import` lists them).",
            site.devices.len(),
            site.links.len(),
            site.contributors.len(),
            assumptions.len()
        ));
        let folder = tempfile::tempdir().context("no temporary folder")?;
        let device_keys = give_keys(&mut site);
        let (keys, oracle_keys, funded) = people(&mut site, args.oracles);
        let authority = keys.get(&plan::Signer::Authority).cloned().context("the authority has a key")?;

        let localnet = Localnet::start(Options { authority: Some(authority), funded, ..Options::default() })
            .await
            .map_err(|e| anyhow::anyhow!("{} {}", e.cause(), e.remedy()))?;
        let params = NetworkParams {
            burn_in_new_slots: BURN_IN_NEW_SLOTS,
            burn_in_maintenance_slots: BURN_IN_MAINTENANCE_SLOTS,
            attestation_max_age_slots: MAX_AGE_SLOTS,
            oracles: oracle_keys.iter().map(|k| to_key(&k.pubkey())).collect(),
            quorum: smallest_quorum(args.oracles),
            ..NetworkParams::default()
        };
        localnet.init_network(&params).await.map_err(|e| anyhow::anyhow!("{} {}", e.cause(), e.remedy()))?;
        screen.say(&format!(
            "Ledger at {}, program {}; burn-in {} slots, after maintenance {}; {} oracles, quorum {}.",
            localnet.rpc_url(),
            localnet.program_id(),
            params.burn_in_new_slots,
            params.burn_in_maintenance_slots,
            args.oracles,
            params.quorum
        ));

        let transactions = Arc::new(AtomicU64::new(0));
        let sender = localnet.sender().counting(Arc::clone(&transactions));
        let fabric = wire(&site, args.platform())?;
        let clock = fabric.run_clock();
        let controller = Controller::start(ControllerConfig::local(
            localnet.rpc_url().into(),
            localnet.websocket_url().into(),
            to_key(&localnet.program_id()),
            signing_key(),
        ))
        .await
        .context("the controller did not start")?;
        let watcher = Watcher::start(localnet.ledger(), localnet.websocket_url(), WatchConfig::default());
        let mut system = Self {
            began,
            site,
            watched: watcher.receiver(),
            controller,
            oracles: Vec::new(),
            fabric,
            agents: BTreeMap::new(),
            sender,
            keys,
            transactions,
            clock,
            _watcher: watcher,
            localnet,
            _folder: folder,
        };
        system.start_oracles(&oracle_keys).await?;
        screen.say(&format!(
            "Controller at http://{}, oracles at {}.",
            system.controller.http_addr,
            system.oracles.iter().map(OracleHandle::base_url).collect::<Vec<_>>().join(", ")
        ));
        let site = system.site.clone();
        system.apply(&site, screen).await?;
        system.start_agents(device_keys).await?;
        screen.say(&format!("{} agents run, one per device.", system.agents.len()));
        Ok(system)
    }

    async fn start_oracles(&mut self, keys: &[Arc<Keypair>]) -> anyhow::Result<()> {
        for (index, key) in keys.iter().enumerate() {
            let name = format!("oracle-{}", index + 1);
            let dir = self._folder.path().join(&name);
            std::fs::create_dir_all(&dir).context("no folder for an oracle")?;
            let rpc_url = self.localnet.rpc_url().to_owned();
            let mut config = OracleConfig::localnet(rpc_url, self.localnet.program_id(), Arc::clone(key), dir);
            let max_age_ms = MAX_AGE_SLOTS * 100;
            config.rules.hold_ms = config.rules.safe_hold_ms(max_age_ms, config.round_interval.as_millis() as u64);
            config.name = name;
            self.oracles.push(Oracle::start(config).await.context("an oracle did not start")?);
        }
        Ok(())
    }

    /// What `causeway apply` does, with the same code.
    pub async fn apply(&mut self, site: &Site, screen: &mut Screen) -> anyhow::Result<usize> {
        let ledger = self.sender.ledger().clone();
        let snapshot = ledger.snapshot().await.map_err(|e| anyhow::anyhow!("{} {}", e.cause(), e.remedy()))?;
        let plan = plan::plan(site, &snapshot, &self.keys.owners());
        let total = plan.steps.len();
        let landed = apply::run(&self.sender, &plan, &self.keys, |progress: Progress<'_>| {
            let Progress { done, total, step, .. } = progress;
            screen.progress(done, total, &format!("{} {} {}", step.operation.verb(), step.kind.name(), step.code));
        })
        .await
        .map_err(|e| anyhow::anyhow!("{} {}", e.cause(), e.remedy()))?;
        screen.end_progress();
        debug_assert_eq!(landed, total);
        Ok(landed)
    }

    async fn start_agents(&mut self, keys: BTreeMap<Code, DeviceKeys>) -> anyhow::Result<()> {
        self.await_oracles().await?;
        let controllers = vec![format!("http://{}", self.controller.grpc_addr)];
        let oracles: Vec<String> = self.oracles.iter().map(OracleHandle::base_url).collect();
        for (code, keys) in keys {
            let state_dir = self._folder.path().join("agents").join(code.to_string());
            std::fs::create_dir_all(&state_dir).context("no folder for an agent")?;
            let config = AgentConfig {
                device: code.to_string(),
                program_id: to_key(&self.localnet.program_id()).0,
                controllers: controllers.clone(),
                controller_ca: None,
                controller_keys: BTreeSet::from([self.controller.controller_key()]),
                oracles: oracles.clone(),
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

    /// Until every oracle has read the devices: before, it refuses their telemetry.
    async fn await_oracles(&self) -> anyhow::Result<()> {
        let wanted = self.site.devices.len();
        let deadline = Instant::now() + ORACLES_READY;
        for oracle in &self.oracles {
            while oracle.published().subjects.len() < wanted {
                if Instant::now() > deadline {
                    anyhow::bail!("an oracle did not read the ledger within {} s", ORACLES_READY.as_secs());
                }
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        }
        Ok(())
    }

    /// The newest snapshot.
    pub fn snapshot(&self) -> Option<Arc<Snapshot>> {
        self.watched.borrow().snapshot.clone()
    }

    /// Transactions that landed: the contributors' and the oracles'.
    pub fn transactions(&self) -> u64 {
        let registered = self.transactions.load(std::sync::atomic::Ordering::Relaxed);
        let attested: u64 = self.oracles.iter().map(|o| o.counters().transactions).sum();
        registered + attested
    }

    /// Where a person goes on from here.
    pub fn where_to_look(&self) -> String {
        let device = self.site.devices.first().map(|d| d.code.to_string()).unwrap_or_default();
        let http = self.controller.http_addr;
        let oracle = self.oracles.first().map(OracleHandle::base_url).unwrap_or_default();
        let url = self.localnet.rpc_url();
        let program = self.localnet.program_id();
        format!(
            "It stays up until Ctrl-C. Where to look next:\n\
             \x20 the network, live           http://{http}/\n\
             \x20 a device's configuration    curl -H 'Accept: text/plain' http://{http}/api/v1/devices/{device}/config\n\
             \x20 an oracle's verdict on it   curl {oracle}/v1/subjects/{device}/verdict\n\
             \x20 the ledger                  causeway --url {url} --program-id {program} device list\n\
             \x20 everything that happened    causeway --url {url} --program-id {program} history {device}\n\
             (`causeway` is built by `cargo build -p causeway-cli`.)"
        )
    }

    /// Stops everything, those first that depend on others.
    pub async fn stop(self) {
        for (_, agent) in self.agents {
            agent.shutdown().await;
        }
        for oracle in self.oracles {
            oracle.shutdown().await;
        }
        self.controller.shutdown().await;
        self.clock.abort();
        self.localnet.stop().await;
    }
}

/// Makes each device's keys and puts the public halves into the site.
fn give_keys(site: &mut Site) -> BTreeMap<Code, DeviceKeys> {
    let mut all = BTreeMap::new();
    for device in &mut site.devices {
        let keys = DeviceKeys { agent: signing_key(), telemetry: signing_key() };
        device.agent_key = public(&keys.agent);
        device.telemetry_key = public(&keys.telemetry);
        all.insert(device.code, keys);
    }
    all
}

type Funded = Vec<(solana_sdk::pubkey::Pubkey, u64)>;

/// Makes the keys of the authority, the contributors' owners and the oracles, all of whom pay for what they send.
fn people(site: &mut Site, oracles: u8) -> (KeyRing, Vec<Arc<Keypair>>, Funded) {
    let authority = Arc::new(Keypair::new());
    let mut owners = BTreeMap::new();
    for contributor in &mut site.contributors {
        let key = Arc::new(Keypair::new());
        contributor.owner = to_key(&key.pubkey());
        owners.insert(contributor.code, key);
    }
    let oracle_keys: Vec<_> = (0..oracles).map(|_| Arc::new(Keypair::new())).collect();
    let funded = std::iter::once(authority.pubkey())
        .chain(site.contributors.iter().map(|c| to_pubkey(&c.owner)))
        .chain(oracle_keys.iter().map(|k| k.pubkey()))
        .map(|key| (key, LAMPORTS))
        .collect();
    (KeyRing::new(Some(authority), owners), oracle_keys, funded)
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
