//! Rolling a change out and approving it, as people do: with the real binary, against a real controller, real agents and
//! simulated routers.

// Helpers of tests may panic like tests.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use causeway_agent::{
    Agent, AgentConfig, AgentHandle, Intervals,
    apply::ApplyLimits,
    sim::{self, Fabric, Fault, Port, UplinkKind},
};
use causeway_controller::{
    daemon::{Config, Controller, ControllerHandle},
    jobs::{JobsConfig, Policy, StoreAt, policy::ChangePolicy},
    orders::ByJobs,
    testing::{PROGRAM_ID, SyntheticLedger, code},
};
use causeway_interface::{InterfaceKind, InterfaceRole, Key, LinkStatus, Platform};
use causeway_sdk::{Snapshot, address::to_key, keys};
use ed25519_dalek::SigningKey;
use serde_json::Value;
use solana_sdk::signer::Signer as _;
use tokio::{sync::watch, task::JoinHandle};

const PATIENCE: Duration = Duration::from_secs(60);
const TOKEN: &str = "a-token-of-the-operator";
const NAMES: [&str; 2] = ["ams", "fra"];

/// What a command said, and how it ended.
#[derive(Debug)]
struct Said {
    code: i32,
    out: String,
    err: String,
}

impl Said {
    fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|e| panic!("{e}: {self:?}"))
    }
}

/// A controller with two devices that jobs provision, their routers, and key files of an owner and the authority.
struct Rig {
    handle: ControllerHandle,
    ledger: SyntheticLedger,
    snapshots: watch::Sender<Option<Arc<Snapshot>>>,
    folder: tempfile::TempDir,
    fabric: Fabric,
    agents: Vec<AgentHandle>,
}

fn key(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}

fn fabric(ledger: &SyntheticLedger) -> Fabric {
    let fabric = Fabric::new(3);
    for name in NAMES {
        let device = ledger.snapshot.devices.values().find(|d| d.code == code(name)).unwrap();
        let public_ip = device.public_ip.to_string().parse().unwrap();
        fabric.add_device(name, sim::Family::Frr, Some(public_ip)).unwrap();
        for interface in &device.interfaces {
            let port = Port::new(name, interface.name.as_str());
            match (interface.kind, interface.role) {
                (InterfaceKind::Management, _) => fabric.add_management(port).unwrap(),
                (_, InterfaceRole::Dia) => fabric.add_uplink(port, UplinkKind::Dia).unwrap(),
                (_, InterfaceRole::Cyoa) => fabric.add_uplink(port, UplinkKind::Cyoa).unwrap(),
                _ => {}
            }
        }
    }
    fabric
}

fn new_key(folder: &Path, name: &str) -> Key {
    to_key(&keys::generate(&folder.join(name)).unwrap().pubkey())
}

impl Rig {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut ledger = SyntheticLedger::ring(Platform::Frr);
        ledger.snapshot.network.as_mut().unwrap().authority = new_key(folder.path(), "authority.json");
        let owner = new_key(folder.path(), "owner.json");
        ledger.snapshot.contributors.values_mut().for_each(|contributor| contributor.owner = owner);
        for (name, seed) in NAMES.iter().zip(1..) {
            ledger.device_mut(name).agent_key = Key(key(seed).verifying_key().to_bytes());
        }
        std::fs::write(folder.path().join("token"), format!("{TOKEN}\n")).unwrap();
        let rule = "kinds=provision,network-change devices=2 roles=owner,authority glass=authority";
        let jobs = JobsConfig {
            store: Some(StoreAt::File(folder.path().join("jobs.sqlite"))),
            by_jobs: ByJobs { devices: NAMES.iter().map(|name| code(name)).collect(), ..ByJobs::default() },
            policy: Policy { retry_ms: vec![50, 100, 200], verify_retry_ms: vec![50, 100, 200], ..Policy::default() },
            changes: ChangePolicy { approvals: vec![rule.parse().unwrap()], ..ChangePolicy::default() },
            ..JobsConfig::default()
        };
        let config = Config::local(String::new(), String::new(), PROGRAM_ID, key(5));
        let config = Config { operator_token: Some(TOKEN.into()), jobs, ..config };
        let (snapshots, receiver) = watch::channel(None);
        let handle = Controller::start_from(config, receiver).await.unwrap();
        // Everything on this ledger is final.
        handle.shared().finalized(u64::MAX);
        let fabric = fabric(&ledger);
        let mut rig = Self { handle, ledger, snapshots, folder, fabric, agents: Vec::new() };
        rig.publish().await;
        rig.agents = NAMES.iter().zip(1..).map(|(name, seed)| rig.agent(name, seed)).collect();
        rig
    }

    async fn publish(&mut self) {
        self.ledger.snapshot.slot += 1_000;
        let slot = self.ledger.snapshot.slot;
        self.snapshots.send_replace(Some(Arc::new(self.ledger.snapshot.clone())));
        let shared = Arc::clone(self.handle.shared());
        let mut changed = shared.subscribe();
        let served = async {
            while shared.store().slot() < slot {
                changed.changed().await.unwrap();
            }
        };
        tokio::time::timeout(PATIENCE, served).await.expect("the snapshot is served in time");
    }

    fn agent(&self, name: &str, seed: u8) -> AgentHandle {
        let config = AgentConfig {
            device: name.into(),
            program_id: PROGRAM_ID.0,
            controllers: vec![format!("http://{}", self.handle.grpc_addr)],
            controller_ca: None,
            controller_keys: BTreeSet::from([self.handle.controller_key()]),
            oracles: Vec::new(),
            agent_key: key(seed),
            telemetry_key: key(9),
            state_dir: self.folder.path().join(name),
            intervals: Intervals {
                sample: Duration::from_secs(1),
                poll: Duration::from_millis(100),
                ..Intervals::default()
            },
            limits: ApplyLimits { verify: Duration::from_millis(300), ..ApplyLimits::default() },
            probes_per_sample: 1,
            buffered_samples: 100,
        };
        Agent::start(config, self.fabric.driver(name).unwrap()).unwrap()
    }

    fn run(&self) -> [String; 2] {
        NAMES.map(|name| self.fabric.running_text(name).unwrap())
    }

    fn wanted(&self) -> [String; 2] {
        NAMES.map(|name| self.handle.bundle(&code(name)).unwrap().text.to_string())
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Runs `causeway ...` with the key of somebody, or nobody's.
    fn begin(&self, keypair: Option<&str>, arguments: &[&str]) -> JoinHandle<Said> {
        let mut command = Command::new(env!("CARGO_BIN_EXE_causeway"));
        command.args(arguments).env_clear();
        command.env("CAUSEWAY_CONTROLLER_URL", format!("http://{}", self.handle.http_addr));
        command.env("CAUSEWAY_OPERATOR_TOKEN_FILE", self.file("token"));
        if let Some(keypair) = keypair {
            command.env("CAUSEWAY_KEYPAIR", self.file(keypair));
        }
        tokio::task::spawn_blocking(move || {
            let output = command.stdin(Stdio::null()).output().unwrap();
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            Said { code: output.status.code().unwrap(), out: text(&output.stdout), err: text(&output.stderr) }
        })
    }

    async fn said(&self, keypair: Option<&str>, arguments: &[&str]) -> Said {
        self.begin(keypair, arguments).await.unwrap()
    }

    /// Asks over and over until the rollout is at a state.
    async fn until(&self, id: &str, state: &str) -> Value {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let found = self.said(None, &["rollout", "status", id, "--json"]).await;
            if found.code == 0 && found.json()["state"] == state {
                return found.json();
            }
            assert!(Instant::now() < deadline, "never {state}: {found:?}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    async fn stop(self) {
        for agent in self.agents {
            agent.shutdown().await;
        }
        self.handle.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_change_is_approved_and_rolled_out_with_the_command() {
    let mut rig = Rig::start().await;
    let start = ["rollout", "start", "ams", "fra", "--soak", "3", "--no-health", "--message", "new metrics"];

    // What needs an approval is proposed with a key.
    let said = rig.said(None, &start).await;
    assert!(said.code == 1 && said.err.contains("error CW-JOB-PROPOSER-UNKNOWN: "), "{said:?}");
    let said = rig.said(Some("owner.json"), &start).await;
    assert!(said.code == 0 && said.err.contains("rollout 1 waits for approvals"), "{said:?}");
    let said = rig.said(None, &["job", "waiting"]).await;
    assert!(
        said.code == 0 && said.out.contains("rollout") && said.out.contains("0 of 1 by authority or owner"),
        "{said:?}"
    );

    // Whoever proposed it can't approve it; nobody can without a key, or without having been asked.
    let approve = ["rollout", "approve", "1", "--reason", "looked at", "--yes"];
    let said = rig.said(Some("owner.json"), &approve).await;
    assert!(said.code == 1 && said.err.contains("error CW-JOB-APPROVAL-REFUSED: "), "{said:?}");
    let said = rig.said(None, &approve).await;
    assert!(said.code == 2 && said.err.contains("error CW-SIGNER-MISSING: "), "{said:?}");
    let said = rig.said(Some("authority.json"), &approve[..5]).await;
    assert!(said.code == 1 && said.err.contains("error CW-NOT-CONFIRMED: "), "nobody said yes: {said:?}");
    assert!(said.err.contains("new metrics") || said.err.contains("change"), "{said:?}");
    assert!(rig.run().iter().all(String::is_empty), "nobody was touched");

    // Watched from before it begins; paused in its first wave, and resumed.
    let watch = rig.begin(None, &["rollout", "watch", "1"]);
    let said = rig.said(Some("authority.json"), &approve).await;
    assert!(said.code == 0 && said.out.contains("approves 1: 1 of 1 by authority or owner"), "{said:?}");
    rig.until("1", "SOAKING").await;
    let said = rig.said(None, &["rollout", "pause", "1", "--reason", "lunch", "--actor", "me"]).await;
    assert!(said.code == 0 && said.out.contains("PAUSED") && said.out.contains("by me: lunch"), "{said:?}");
    tokio::time::sleep(Duration::from_secs(4)).await;
    let paused = rig.until("1", "PAUSED").await;
    assert_eq!((&paused["wave"], &paused["percent"]), (&1.into(), &50.into()), "{paused:#}");
    assert!(rig.run()[1].is_empty(), "the second wave has not begun");
    let said = rig.said(None, &["rollout", "resume", "1"]).await;
    assert_eq!(said.code, 0, "{said:?}");
    let said = watch.await.unwrap();
    assert!(said.code == 0 && said.out.contains("PROVISIONED"), "{said:?}");
    for line in
        ["wave 1/2 RUNNING ams: began", "wave 1/2 PAUSED", "wave 2/2 RUNNING fra: began", "wave 2/2 DONE: ended"]
    {
        assert!(said.err.contains(line), "{line}: {}", said.err);
    }
    assert_eq!(rig.run(), rig.wanted());

    // The second device refuses: its wave goes back, the first stays; what is left goes again.
    rig.ledger.link_mut("ams-fra").header.status = LinkStatus::SoftDrained;
    rig.publish().await;
    let old = rig.run();
    let fault = Fault::RejectLine { device: "fra".into(), containing: "metric 1000000".into() };
    let fault = rig.fabric.inject(fault);
    let quick = ["rollout", "start", "ams", "fra", "--soak", "0", "--no-health", "--json"];
    let said = rig.said(Some("owner.json"), &quick).await;
    let id = said.json()["id"].to_string();
    let said = rig.said(Some("authority.json"), &["rollout", "approve", &id, "--reason", "fine", "--yes"]).await;
    assert_eq!(said.code, 0, "{said:?}");
    let said = rig.said(None, &["rollout", "watch", &id]).await;
    assert!(said.code == 1 && said.err.contains("error CW-JOB-LINE-REFUSED: "), "{said:?}");
    assert!(
        said.err.contains("page: docs/errors/cw-job-line-refused.md") && said.out.contains("ROLLED_BACK"),
        "{said:?}"
    );
    assert_eq!(rig.run(), [rig.wanted()[0].clone(), old[1].clone()]);
    rig.fabric.heal(fault);
    // Of one device, so that nobody has to agree.
    let said = rig.said(None, &["rollout", "again", &id, "--watch"]).await;
    assert!(said.code == 0 && said.out.contains("what rollout"), "{said:?}");
    assert_eq!(rig.run(), rig.wanted());

    let said = rig.said(None, &["rollout", "list"]).await;
    assert!(said.code == 0 && said.out.lines().count() == 4 && said.out.contains("new metrics"), "{said:?}");
    let said = rig.said(None, &["rollout", "logs", "1"]).await;
    assert!(
        said.code == 0 && said.out.contains("wave-ended") && said.out.contains("approves it as authority"),
        "{said:?}"
    );
    let said = rig.said(None, &["job", "list", "--rollout", "1", "--json"]).await;
    assert_eq!(said.json().as_array().unwrap().len(), 2, "{said:?}");
    let said = rig.said(None, &["job", "status", "1"]).await;
    assert!(said.code == 4 && said.err.contains("CW-JOB-OTHER-KIND"), "{said:?}");
    let said = rig.said(None, &["rollout", "cancel", "1", "--reason", "late"]).await;
    assert!(said.code == 1 && said.err.contains("CW-JOB-NOT-NOW"), "{said:?}");
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_job_is_held_released_and_begun_without_its_approvals_with_the_command() {
    let rig = Rig::start().await;
    let start = ["job", "start", "ams", "fra", "--kind", "network-change"];
    let said = rig.said(Some("owner.json"), &start).await;
    assert!(said.code == 0 && said.err.contains("job 1 waits for approvals"), "{said:?}");
    let said = rig.said(None, &["job", "hold", "1", "--reason", "not yet", "--actor", "me"]).await;
    assert!(said.code == 0 && said.out.contains("by me: not yet"), "{said:?}");
    let glass = ["job", "break-glass", "1", "--reason", "the site burns", "--yes"];
    let said = rig.said(Some("owner.json"), &glass).await;
    assert!(said.code == 1 && said.err.contains("error CW-JOB-APPROVAL-REFUSED: "), "{said:?}");
    let said = rig.said(Some("authority.json"), &glass).await;
    assert!(said.code == 0 && said.out.contains("begins 1 without its approvals"), "{said:?}");
    tokio::time::sleep(Duration::from_millis(1_200)).await;
    assert!(rig.run().iter().all(String::is_empty), "it is held");
    let said = rig.said(None, &["job", "release", "1"]).await;
    assert_eq!(said.code, 0, "{said:?}");
    let said = rig.said(None, &["job", "watch", "1"]).await;
    assert!(said.code == 0 && said.out.contains("did without: the site burns"), "{said:?}");
    assert_eq!(rig.run(), rig.wanted());
    let said = rig.said(None, &["audit", "--action", "job.break-glass", "--lines"]).await;
    assert!(said.code == 0 && said.out.contains("the site burns"), "{said:?}");
    rig.stop().await;
}
