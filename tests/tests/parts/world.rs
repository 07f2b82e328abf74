//! A whole system in this process, small and fast: a ledger, a network with its oracle keys, a ring of three routers over
//! the simulated fabric, a controller. Which oracles and agents run is the test's to say.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::Ipv4Addr,
    sync::Arc,
    time::Duration,
};

use causeway_agent::{
    Agent, AgentConfig, AgentHandle, Intervals,
    apply::ApplyLimits,
    config::{BUFFERED_SAMPLES, PROBES_PER_SAMPLE},
    sim::{Fabric, Family, Port, UplinkKind},
};
use causeway_cli::{
    apply,
    import::{ImportOptions, site_from_gml},
    keyring::KeyRing,
    plan,
    site::Site,
};
use causeway_controller::daemon::{Config as ControllerConfig, Controller, ControllerHandle};
use causeway_health_oracle::{Config as OracleConfig, Kind, Rules};
use causeway_interface::{
    Code, DeviceHealth, DeviceStatus, InterfaceKind, InterfaceRole, Key, LinkHealth, LinkStatus, recipe,
};
use causeway_localnet::{Localnet, NetworkParams, Options};
use causeway_sdk::{Ledger, Sender, Snapshot, address::to_key};
use ed25519_dalek::SigningKey;
use solana_sdk::{signature::Keypair, signer::Signer};
use tokio::{task::JoinHandle, time::Instant};

/// Three sites in a ring: each device has two links, so that the loss of one leaves it in service.
const RING: &str = r#"graph [
  label "Ring"
  node [ id 0 label "Ayr" Latitude 55.4 Longitude -4.6 ]
  node [ id 1 label "Bath" Latitude 51.3 Longitude -2.3 ]
  node [ id 2 label "Caen" Latitude 49.1 Longitude -0.3 ]
  edge [ source 0 target 1 ]
  edge [ source 1 target 2 ]
  edge [ source 2 target 0 ]
]"#;

/// Burn-in before first service: ten seconds at a localnet's slots of 100 ms.
pub const BURN_IN_NEW_SLOTS: u64 = 100;
/// Burn-in after maintenance: so much shorter that one can't be taken for the other, although words come every 17 slots
/// or so. No shorter than the maximum age may be.
pub const BURN_IN_MAINTENANCE_SLOTS: u64 = MAX_AGE_SLOTS;
/// Age after which a word no longer counts: five rounds of an oracle.
pub const MAX_AGE_SLOTS: u64 = 50;
/// Length of a slot, nominally.
pub const SLOT_MS: u64 = 100;
/// Time between the rounds of an oracle.
pub const ROUND: Duration = Duration::from_secs(1);
/// Time between an agent's samples: two in each bucket.
pub const SAMPLE: Duration = Duration::from_millis(500);
/// Time between an agent's polls; a change is announced sooner.
pub const POLL: Duration = Duration::from_secs(2);
/// Longest wait before an agent tries a refused configuration again.
pub const REAPPLY: Duration = Duration::from_secs(2);
/// Lamports of each key that pays: 10 000 SOL.
const LAMPORTS: u64 = 10_000_000_000_000;
/// Time between two looks at the ledger.
const LOOK: Duration = Duration::from_millis(250);

/// The rules that these tests judge by: a localnet's, twice as fast.
pub fn rules() -> Rules {
    let rules = Rules {
        bucket_ms: 1_000,
        max_gap_ms: 3_000,
        lag_ms: 1_000,
        max_poll_age_ms: 10_000,
        config_grace_ms: 5_000,
        ..Rules::seconds()
    };
    let hold_ms = rules.safe_hold_ms(MAX_AGE_SLOTS * SLOT_MS, round_ms());
    Rules { hold_ms, ..rules }
}

/// Time between rounds, in ms.
pub fn round_ms() -> u64 {
    u64::try_from(ROUND.as_millis()).unwrap()
}

/// Keys of a device, which stay with its agent.
#[derive(Clone)]
pub struct DeviceKeys {
    pub agent: SigningKey,
    pub telemetry: SigningKey,
}

fn signing_key() -> SigningKey {
    SigningKey::generate(&mut rand::rngs::OsRng)
}

fn public(key: &SigningKey) -> Key {
    Key(key.verifying_key().to_bytes())
}

/// Status and health of a subject, in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    pub status: &'static str,
    pub health: &'static str,
    pub status_since: u64,
    pub health_since: u64,
}

/// What runs whatever the test does.
pub struct World {
    pub params: NetworkParams,
    pub site: Site,
    pub oracle_keys: Vec<Arc<Keypair>>,
    pub device_keys: BTreeMap<Code, DeviceKeys>,
    pub fabric: Fabric,
    pub agents: BTreeMap<Code, AgentHandle>,
    pub sender: Sender,
    pub folder: tempfile::TempDir,
    keys: KeyRing,
    controller: ControllerHandle,
    clock: JoinHandle<()>,
    pub localnet: Localnet,
}

impl World {
    /// A ledger on which everything is registered and provisioned, and a controller. No oracle speaks, no agent runs.
    pub async fn start(oracles: usize, quorum: u8) -> Self {
        Self::with_burn_in(oracles, quorum, BURN_IN_NEW_SLOTS).await
    }

    /// The same with another burn-in before first service.
    pub async fn with_burn_in(oracles: usize, quorum: u8, burn_in_new_slots: u64) -> Self {
        let options = ImportOptions { contributors: 1, ..ImportOptions::default() };
        let mut site = site_from_gml(RING, &options).unwrap().site;
        let mut device_keys = BTreeMap::new();
        for device in &mut site.devices {
            let keys = DeviceKeys { agent: signing_key(), telemetry: signing_key() };
            device.agent_key = public(&keys.agent);
            device.telemetry_key = public(&keys.telemetry);
            device_keys.insert(device.code, keys);
        }
        let authority = Arc::new(Keypair::new());
        let mut owners = BTreeMap::new();
        for contributor in &mut site.contributors {
            let key = Arc::new(Keypair::new());
            contributor.owner = to_key(&key.pubkey());
            owners.insert(contributor.code, key);
        }
        let oracle_keys: Vec<_> = (0..oracles).map(|_| Arc::new(Keypair::new())).collect();
        let paying = owners.values().chain(&oracle_keys).chain([&authority]);
        let funded = paying.map(|key| (key.pubkey(), LAMPORTS)).collect();
        let localnet = Localnet::start(Options { authority: Some(authority.clone()), funded, ..Options::default() })
            .await
            .unwrap();
        let params = NetworkParams {
            burn_in_new_slots,
            burn_in_maintenance_slots: BURN_IN_MAINTENANCE_SLOTS,
            attestation_max_age_slots: MAX_AGE_SLOTS,
            oracles: oracle_keys.iter().map(|k| to_key(&k.pubkey())).collect(),
            quorum,
            ..NetworkParams::default()
        };
        localnet.init_network(&params).await.unwrap();
        let fabric = wire(&site);
        let clock = fabric.run_clock();
        let controller = Controller::start(ControllerConfig::local(
            localnet.rpc_url().into(),
            localnet.websocket_url().into(),
            to_key(&localnet.program_id()),
            signing_key(),
        ))
        .await
        .unwrap();
        let world = Self {
            params,
            site,
            oracle_keys,
            device_keys,
            fabric,
            agents: BTreeMap::new(),
            sender: localnet.sender(),
            folder: tempfile::tempdir().unwrap(),
            keys: KeyRing::new(Some(authority), owners),
            controller,
            clock,
            localnet,
        };
        world.apply(&world.site).await;
        world
    }

    /// What `causeway apply` does, with the same code.
    pub async fn apply(&self, site: &Site) {
        let snapshot = self.snapshot().await;
        let plan = plan::plan(site, &snapshot, &self.keys.owners());
        apply::run(&self.sender, &plan, &self.keys, |_| {}).await.unwrap();
    }

    /// How the oracle at this place of the set is started: rules and rounds of this file, files of its own.
    pub fn oracle(&self, place: usize) -> OracleConfig {
        let dir = self.folder.path().join(format!("oracle-{place}"));
        let url = self.localnet.rpc_url().to_owned();
        let key = self.oracle_keys[place].clone();
        let config = OracleConfig::localnet(url, self.localnet.program_id(), key, dir);
        OracleConfig { name: format!("oracle-{place}"), round_interval: ROUND, rules: rules(), ..config }
    }

    /// Starts the agent of a device that reports to these oracles.
    pub fn start_agent(&mut self, code: Code, oracles: &[String]) {
        let keys = self.device_keys[&code].clone();
        let state_dir = self.folder.path().join("agents").join(code.to_string());
        std::fs::create_dir_all(&state_dir).unwrap();
        let config = AgentConfig {
            device: code.to_string(),
            program_id: to_key(&self.localnet.program_id()).0,
            controllers: vec![format!("http://{}", self.controller.grpc_addr)],
            controller_ca: None,
            controller_keys: BTreeSet::from([self.controller.controller_key()]),
            oracles: oracles.to_vec(),
            agent_key: keys.agent,
            telemetry_key: keys.telemetry,
            state_dir,
            intervals: Intervals {
                sample: SAMPLE,
                poll: POLL,
                retry_base: Duration::from_millis(200),
                retry_max: Duration::from_secs(1),
                reapply_base: Duration::from_secs(1),
                reapply_max: REAPPLY,
            },
            limits: ApplyLimits::default(),
            probes_per_sample: PROBES_PER_SAMPLE,
            buffered_samples: BUFFERED_SAMPLES,
        };
        let agent = Agent::start(config, self.fabric.driver(code.as_str()).unwrap()).unwrap();
        self.agents.insert(code, agent);
    }

    /// Starts every agent.
    pub fn start_agents(&mut self, oracles: &[String]) {
        for code in self.devices() {
            self.start_agent(code, oracles);
        }
    }

    /// Codes of the devices.
    pub fn devices(&self) -> Vec<Code> {
        self.site.devices.iter().map(|device| device.code).collect()
    }

    /// Every device and link.
    pub fn subjects(&self) -> Vec<(Kind, Code)> {
        let devices = self.devices().into_iter().map(|code| (Kind::Device, code));
        devices.chain(self.site.links.iter().map(|link| (Kind::Link, link.code))).collect()
    }

    /// The link between two devices.
    pub fn link(&self, one: &Code, other: &Code) -> Code {
        let between = |link: &&causeway_cli::site::LinkSpec| {
            [link.a.device, link.z.device] == [*one, *other] || [link.z.device, link.a.device] == [*one, *other]
        };
        self.site.links.iter().find(between).unwrap().code
    }

    /// The port of a device that a link ends at.
    pub fn port(&self, device: &Code, link: &Code) -> Port {
        let link = self.site.links.iter().find(|l| l.code == *link).unwrap();
        let end = [&link.a, &link.z].into_iter().find(|end| end.device == *device).unwrap();
        Port::new(device.as_str(), end.interface.as_str())
    }

    /// The port over which a device has its own way to the internet.
    pub fn dia_port(&self, device: &Code) -> Port {
        let spec = self.site.devices.iter().find(|d| d.code == *device).unwrap();
        let mut ports =
            (0..recipe::len(spec.device_type)).map(|n| recipe::interface(spec.device_type, spec.platform, n));
        let dia = ports.find(|i| i.role == InterfaceRole::Dia).unwrap();
        Port::new(device.as_str(), dia.name.as_str())
    }

    pub fn ledger(&self) -> &Ledger {
        self.sender.ledger()
    }

    /// Address of a subject.
    pub fn key(&self, kind: Kind, code: &Code) -> Key {
        let addresses = self.ledger().addresses();
        to_key(&match kind {
            Kind::Device => addresses.device(code),
            Kind::Link => addresses.link(code),
        })
    }

    pub async fn snapshot(&self) -> Snapshot {
        self.ledger().snapshot().await.unwrap()
    }

    pub async fn slot(&self) -> u64 {
        self.ledger().slot().await.unwrap()
    }

    /// Waits until the ledger is at this slot.
    pub async fn wait_for_slot(&self, slot: u64) {
        while self.slot().await < slot {
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Waits until a snapshot of the ledger is as it should be, and gives it.
    ///
    /// Panics with the states of all subjects after `limit`.
    pub async fn until(&self, what: &str, limit: Duration, done: impl Fn(&Snapshot) -> bool) -> Snapshot {
        let deadline = Instant::now() + limit;
        loop {
            let snapshot = self.snapshot().await;
            if done(&snapshot) {
                return snapshot;
            }
            assert!(Instant::now() < deadline, "{what}: not within {limit:?}: {:#?}", states(&snapshot));
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Stops everything that this started.
    pub async fn stop(self) {
        for (_, agent) in self.agents {
            agent.shutdown().await;
        }
        self.controller.shutdown().await;
        self.clock.abort();
        self.localnet.stop().await;
    }
}

/// How every subject stands.
pub fn states(snapshot: &Snapshot) -> BTreeMap<(Kind, Code), State> {
    let devices = snapshot.devices.values().map(|d| {
        let state = State {
            status: d.header.status.name(),
            health: d.header.health.name(),
            status_since: d.header.status_since_slot,
            health_since: d.health_since_slot,
        };
        ((Kind::Device, d.code), state)
    });
    let links = snapshot.links.values().map(|l| {
        let state = State {
            status: l.header.status.name(),
            health: l.header.health.name(),
            status_since: l.header.status_since_slot,
            health_since: l.health_since_slot,
        };
        ((Kind::Link, l.code), state)
    });
    devices.chain(links).collect()
}

/// Everything is in service and well.
pub fn all_well(snapshot: &Snapshot) -> bool {
    let device = |d: &causeway_interface::accounts::Device| {
        d.header.status == DeviceStatus::Activated && d.header.health == DeviceHealth::ReadyForUsers
    };
    let link = |l: &causeway_interface::accounts::Link| {
        l.header.status == LinkStatus::Activated && l.header.health == LinkHealth::ReadyForService
    };
    snapshot.devices.values().all(device) && snapshot.links.values().all(link)
}

/// A router for each device, a wire for each link, uplinks where the device's recipe has ports for them.
fn wire(site: &Site) -> Fabric {
    let fabric = Fabric::new(rand::random());
    for device in &site.devices {
        let code = device.code.as_str();
        fabric.add_device(code, Family::Frr, Some(Ipv4Addr::from(device.public_ip.0))).unwrap();
        for index in 0..recipe::len(device.device_type) {
            let interface = recipe::interface(device.device_type, device.platform, index);
            let port = Port::new(code, interface.name.as_str());
            match (interface.kind, interface.role) {
                (InterfaceKind::Management, _) => fabric.add_management(port).unwrap(),
                (_, InterfaceRole::Dia) => fabric.add_uplink(port, UplinkKind::Dia).unwrap(),
                (_, InterfaceRole::Cyoa) => fabric.add_uplink(port, UplinkKind::Cyoa).unwrap(),
                (_, InterfaceRole::Fabric) => {}
            }
        }
    }
    for link in &site.links {
        let a = Port::new(link.a.device.as_str(), link.a.interface.as_str());
        let z = Port::new(link.z.device.as_str(), link.z.interface.as_str());
        fabric.add_cable(a, z, Duration::from_nanos(link.delay_ns)).unwrap();
    }
    fabric
}
