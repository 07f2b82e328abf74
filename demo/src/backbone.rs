//! What every run has, whatever its routers are: a ledger with the program, a site on it, a controller, oracles. Started in
//! order, stopped in order.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::Path,
    sync::{Arc, atomic::AtomicU64},
    time::{Duration, Instant},
};

use anyhow::Context;
use causeway_cli::{
    apply::{self, Progress},
    import::{ImportOptions, Imported, site_from_gml},
    keyring::KeyRing,
    plan,
    site::Site,
};
use causeway_controller::{
    daemon::{Config as ControllerConfig, Controller, ControllerHandle},
    jobs::JobsConfig,
    render::timers::BFD_INTERVAL_MS,
};
use causeway_health_oracle::{Config as OracleConfig, Oracle, OracleHandle, criteria::coverage::Rules};
use causeway_interface::{Code, Key, Platform};
use causeway_localnet::{Localnet, NetworkParams, Options, smallest_quorum};
use causeway_sdk::{
    Explain, Sender, Snapshot, WatchConfig, Watched, Watcher,
    address::{to_key, to_pubkey},
};
use ed25519_dalek::SigningKey;
use solana_sdk::{pubkey::Pubkey, signature::Keypair, signer::Signer};
use tokio::sync::watch;

use crate::{board::Board, screen::Screen};

/// Contributors that share the devices.
const CONTRIBUTORS: usize = 4;
/// Ticks of 6.25 ms in 100 ms.
const TICKS_PER_100_MS: u64 = 16;
/// Lamports of each key that pays: 10 000 SOL.
const LAMPORTS: u64 = 10_000_000_000_000;
/// Longest wait for the oracles to have read the ledger once.
const ORACLES_READY: Duration = Duration::from_secs(30);

/// How fast a network comes into service: parameters of the network and of the oracles' rules, never other code.
#[derive(Clone, Debug)]
pub struct Pace {
    /// Milliseconds of a slot, in hundreds.
    pub slot_ms: u64,
    /// Milliseconds between BFD packets on links.
    pub bfd_interval_ms: u16,
    /// Slots of both burn-ins.
    pub burn_in_slots: u64,
    /// Slots after which an attestation no longer counts; at most the burn-in.
    pub max_age_slots: u64,
    /// What oracles judge by; how long a break is held is made of it.
    pub rules: Rules,
}

impl Pace {
    /// Burn-ins of ten seconds, for agents that measure every second.
    #[must_use]
    pub fn seconds() -> Self {
        Self {
            slot_ms: 100,
            bfd_interval_ms: BFD_INTERVAL_MS,
            burn_in_slots: 100,
            max_age_slots: 100,
            rules: Rules::seconds(),
        }
    }
}

/// What is to be started.
pub struct Setup {
    /// Oracles; the quorum is the smallest that is allowed for them.
    pub oracles: u8,
    /// How fast.
    pub pace: Pace,
    /// Address of this machine at which agents find controller and oracles.
    pub address: Ipv4Addr,
}

/// Keys of a device, which stay with its agent.
pub struct DeviceKeys {
    /// Proves it to the controller.
    pub agent: SigningKey,
    /// Signs its telemetry.
    pub telemetry: SigningKey,
}

/// The running parts.
pub struct Backbone {
    /// When it all began.
    pub began: Instant,
    /// What was registered.
    pub site: Site,
    /// The ledger as watched.
    pub watched: watch::Receiver<Watched>,
    /// The oracles, in the set's order.
    pub oracles: Vec<OracleHandle>,
    /// The devices' keys, until their agents have them.
    pub device_keys: BTreeMap<Code, DeviceKeys>,
    controller: Option<ControllerHandle>,
    controller_config: ControllerConfig,
    sender: Sender,
    keys: KeyRing,
    transactions: Arc<AtomicU64>,
    // Held: dropping it ends the watch.
    _watcher: Watcher,
    localnet: Localnet,
    // Last, so that it goes when everything that writes into it has gone.
    folder: tempfile::TempDir,
}

fn signing_key() -> SigningKey {
    SigningKey::generate(&mut rand::rngs::OsRng)
}

fn public(key: &SigningKey) -> Key {
    Key(key.verifying_key().to_bytes())
}

impl Backbone {
    /// The site that a topology in GML becomes, with the keys of its devices.
    ///
    /// # Errors
    /// It can't be imported.
    pub fn import(
        topology: &str,
        text: &str,
        platform: Platform,
        screen: &mut Screen,
    ) -> anyhow::Result<(Site, BTreeMap<Code, DeviceKeys>)> {
        let options = ImportOptions { contributors: CONTRIBUTORS, platform, ..ImportOptions::default() };
        let Imported { mut site, assumptions } =
            site_from_gml(text, &options).with_context(|| format!("{topology} can't be imported"))?;
        screen.say(&format!(
            "{topology}: {} devices, {} links, {} contributors; {} things had to be assumed (`causeway import` lists them).",
            site.devices.len(),
            site.links.len(),
            site.contributors.len(),
            assumptions.len()
        ));
        let keys = give_keys(&mut site);
        Ok((site, keys))
    }

    /// Starts everything and registers the topology; agents are the caller's.
    ///
    /// # Errors
    /// A part did not start, or the ledger refused the site.
    pub async fn start(
        setup: &Setup,
        (mut site, device_keys): (Site, BTreeMap<Code, DeviceKeys>),
        screen: &mut Screen,
    ) -> anyhow::Result<Self> {
        let began = Instant::now();
        let folder = tempfile::tempdir().context("no temporary folder")?;
        let (keys, oracle_keys, funded) = people(&mut site, setup.oracles);
        let authority = keys.get(&plan::Signer::Authority).cloned().context("the authority has a key")?;

        let ticks_per_slot = setup.pace.slot_ms / 100 * TICKS_PER_100_MS;
        let localnet =
            Localnet::start(Options { authority: Some(authority), funded, ticks_per_slot, ..Options::default() })
                .await
                .map_err(|e| anyhow::anyhow!("{} {}", e.cause(), e.remedy()))?;
        let params = NetworkParams {
            burn_in_new_slots: setup.pace.burn_in_slots,
            burn_in_maintenance_slots: setup.pace.burn_in_slots,
            attestation_max_age_slots: setup.pace.max_age_slots,
            oracles: oracle_keys.iter().map(|k| to_key(&k.pubkey())).collect(),
            quorum: smallest_quorum(setup.oracles),
            ..NetworkParams::default()
        };
        localnet.init_network(&params).await.map_err(|e| anyhow::anyhow!("{} {}", e.cause(), e.remedy()))?;
        screen.say(&format!(
            "Ledger at {}, program {}; burn-in {} slots, after maintenance {}; {} oracles, quorum {}.",
            localnet.rpc_url(),
            localnet.program_id(),
            params.burn_in_new_slots,
            params.burn_in_maintenance_slots,
            setup.oracles,
            params.quorum
        ));

        let transactions = Arc::new(AtomicU64::new(0));
        let sender = localnet.sender().counting(Arc::clone(&transactions));
        let here = SocketAddr::new(IpAddr::V4(setup.address), 0);
        let controller_config = ControllerConfig {
            grpc_addr: here,
            bfd_interval_ms: setup.pace.bfd_interval_ms,
            // Beyond this machine's own address it is a lab's network, which nobody else is in.
            allow_plain: !setup.address.is_loopback(),
            ..ControllerConfig::local(
                localnet.rpc_url().into(),
                localnet.websocket_url().into(),
                to_key(&localnet.program_id()),
                signing_key(),
            )
        };
        let controller = Controller::start(controller_config.clone()).await.context("the controller did not start")?;
        // Started again, it is where agents know it.
        let controller_config =
            ControllerConfig { grpc_addr: controller.grpc_addr, http_addr: controller.http_addr, ..controller_config };
        let watcher = Watcher::start(localnet.ledger(), localnet.websocket_url(), WatchConfig::default());
        let mut backbone = Self {
            began,
            site,
            watched: watcher.receiver(),
            oracles: Vec::new(),
            device_keys,
            controller: Some(controller),
            controller_config,
            sender,
            keys,
            transactions,
            _watcher: watcher,
            localnet,
            folder,
        };
        backbone.start_oracles(setup, &oracle_keys).await?;
        screen.say(&format!(
            "Controller at {}, oracles at {}.",
            backbone.http_url(),
            backbone.oracles.iter().map(OracleHandle::base_url).collect::<Vec<_>>().join(", ")
        ));
        let site = backbone.site.clone();
        backbone.apply(&site, screen).await?;
        backbone.await_oracles().await?;
        Ok(backbone)
    }

    async fn start_oracles(&mut self, setup: &Setup, keys: &[Arc<Keypair>]) -> anyhow::Result<()> {
        for (index, key) in keys.iter().enumerate() {
            let name = format!("oracle-{}", index + 1);
            let dir = self.folder.path().join(&name);
            std::fs::create_dir_all(&dir).context("no folder for an oracle")?;
            let rpc_url = self.localnet.rpc_url().to_owned();
            let mut config = OracleConfig::localnet(rpc_url, self.localnet.program_id(), Arc::clone(key), dir);
            config.http_addr = SocketAddr::new(IpAddr::V4(setup.address), 0);
            config.rules = setup.pace.rules.clone();
            let max_age_ms = setup.pace.max_age_slots * setup.pace.slot_ms;
            config.rules.hold_ms = config.rules.safe_hold_ms(max_age_ms, config.round_interval.as_millis() as u64);
            config.name = name;
            self.oracles.push(Oracle::start(config).await.context("an oracle did not start")?);
        }
        Ok(())
    }

    /// What `causeway apply` does, with the same code. How many steps landed.
    ///
    /// # Errors
    /// The ledger can't be read, or refused a step.
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

    /// The controller, while it runs.
    #[must_use]
    pub fn controller(&self) -> Option<&ControllerHandle> {
        self.controller.as_ref()
    }

    /// Ends the controller at once, wherever it stands.
    pub fn kill_controller(&mut self) {
        self.controller = None;
    }

    /// Starts it again at its old addresses, with its old key and nothing else.
    ///
    /// # Errors
    /// It did not start.
    pub async fn start_controller(&mut self) -> anyhow::Result<()> {
        let config = self.controller_config.clone();
        self.controller = Some(Controller::start(config).await.context("the controller did not start again")?);
        Ok(())
    }

    /// Ends the controller in order and starts another one at its addresses, which provisions by jobs as is said; the store of
    /// jobs is all that is left of it.
    ///
    /// # Errors
    /// It did not start.
    pub async fn restart_controller(&mut self, jobs: JobsConfig) -> anyhow::Result<()> {
        if let Some(controller) = self.controller.take() {
            controller.shutdown().await;
        }
        self.controller_config.jobs = jobs;
        self.start_controller().await
    }

    /// Key that the controller signs with.
    #[must_use]
    pub fn controller_key(&self) -> [u8; 32] {
        self.controller_config.key.verifying_key().to_bytes()
    }

    /// Where agents find the controller.
    #[must_use]
    pub fn grpc_url(&self) -> String {
        format!("http://{}", self.controller_config.grpc_addr)
    }

    /// Where people find it.
    #[must_use]
    pub fn http_url(&self) -> String {
        format!("http://{}", self.controller_config.http_addr)
    }

    /// Where agents find the oracles.
    #[must_use]
    pub fn oracle_urls(&self) -> Vec<String> {
        self.oracles.iter().map(OracleHandle::base_url).collect()
    }

    /// The program.
    #[must_use]
    pub fn program_id(&self) -> Pubkey {
        self.localnet.program_id()
    }

    /// The ledger's RPC address.
    #[must_use]
    pub fn rpc_url(&self) -> &str {
        self.localnet.rpc_url()
    }

    /// For files of this run.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The newest snapshot.
    #[must_use]
    pub fn snapshot(&self) -> Option<Arc<Snapshot>> {
        self.watched.borrow().snapshot.clone()
    }

    /// What the newest snapshot says of every device and link.
    #[must_use]
    pub fn board(&self) -> Board {
        self.snapshot().map(|s| Board::of(&s)).unwrap_or_default()
    }

    /// Transactions that landed: the contributors' and the oracles'.
    #[must_use]
    pub fn transactions(&self) -> u64 {
        let registered = self.transactions.load(std::sync::atomic::Ordering::Relaxed);
        let attested: u64 = self.oracles.iter().map(|o| o.counters().transactions).sum();
        registered + attested
    }

    /// Where a person goes on from here.
    #[must_use]
    pub fn where_to_look(&self) -> String {
        let device = self.site.devices.first().map(|d| d.code.to_string()).unwrap_or_default();
        let http = self.http_url();
        let oracle = self.oracles.first().map(OracleHandle::base_url).unwrap_or_default();
        let url = self.localnet.rpc_url();
        let program = self.localnet.program_id();
        format!(
            "It stays up until Ctrl-C. Where to look next:\n\
             \x20 the network, live           {http}/\n\
             \x20 a device's configuration    curl -H 'Accept: text/plain' {http}/api/v1/devices/{device}/config\n\
             \x20 an oracle's verdict on it   curl {oracle}/v1/subjects/{device}/verdict\n\
             \x20 the ledger                  causeway --url {url} --program-id {program} device list\n\
             \x20 everything that happened    causeway --url {url} --program-id {program} history {device}\n\
             (`causeway` is built by `cargo build -p causeway-cli`.)"
        )
    }

    /// Stops everything, those first that depend on others.
    pub async fn stop(self) {
        for oracle in self.oracles {
            oracle.shutdown().await;
        }
        if let Some(controller) = self.controller {
            controller.shutdown().await;
        }
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

type Funded = Vec<(Pubkey, u64)>;

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
