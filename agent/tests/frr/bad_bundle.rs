//! A bad bundle from end to end: a controller that reads a ledger and signs, the agent's own program, real routers, and the
//! agent killed right after the commit of what breaks IS-IS on the link.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    process::{Child, Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use causeway_controller::{
    daemon::{Config, Controller, ControllerHandle},
    store::{ApplyState, Report, ReportResult},
    testing::{PROGRAM_ID, SyntheticLedger, code},
};
use causeway_interface::{Key, Platform};
use causeway_sdk::snapshot::Snapshot;
use ed25519_dalek::SigningKey;
use tokio::sync::watch;

use crate::{
    applied,
    lab::{ALL, PATIENCE, Router, eventually, join_by, must},
};

/// Within which the device has to be back.
const LIMIT: Duration = Duration::from_secs(40);
/// One step of the apply, and the verification; less than the limit together.
const STEP: Duration = Duration::from_secs(12);
const VERIFY: Duration = Duration::from_secs(25);
/// Between an agent's questions, so that a test doesn't wait for them.
const POLL: Duration = Duration::from_millis(300);
/// For which nothing may be tried again: shorter than the agent's shortest wait, 15 s, and longer than many polls.
const QUIET: Duration = Duration::from_secs(10);

/// Two devices, `west` and `east`, with one link on the first fabric port of each; a controller that serves them.
pub struct Network {
    pub ledger: SyntheticLedger,
    pub controller: ControllerHandle,
    snapshots: watch::Sender<Option<Arc<Snapshot>>>,
    agent_key: SigningKey,
}

impl Network {
    pub async fn new() -> Self {
        let agent_key = SigningKey::from_bytes(&[2; 32]);
        let mut ledger = SyntheticLedger::new(Platform::Frr);
        ledger.device("west").agent_key = Key(agent_key.verifying_key().to_bytes());
        ledger.device("east");
        ledger.link("west-east", "west", "east");
        let (snapshots, receiver) = watch::channel(None);
        let config = Config::local(String::new(), String::new(), PROGRAM_ID, SigningKey::from_bytes(&[5; 32]));
        let controller = Controller::start_from(config, receiver).await.unwrap();
        let mut network = Self { ledger, controller, snapshots, agent_key };
        network.publish().await;
        network
    }

    /// The ledger as it is now, in a later slot that is final; returns the slot once it is served.
    async fn publish(&mut self) -> u64 {
        self.ledger.snapshot.slot += 1_000;
        let slot = self.ledger.snapshot.slot;
        self.snapshots.send_replace(Some(Arc::new(self.ledger.snapshot.clone())));
        let shared = self.controller.shared();
        let mut changed = shared.subscribe();
        let served = async {
            while shared.store().slot() < slot {
                changed.changed().await.unwrap();
            }
        };
        tokio::time::timeout(PATIENCE, served).await.unwrap();
        shared.finalized(slot);
        slot
    }

    /// The ledger says that the link is on another port of `west` than its cable.
    fn move_link(&mut self, to: &str) {
        let key = self.ledger.link_key("west-east");
        let west = self.ledger.device_mut("west");
        for interface in west.interfaces.iter_mut().filter(|i| i.link == key) {
            interface.link = Key::ZERO;
        }
        let port = west.interfaces.iter_mut().find(|i| i.name.as_str() == to).unwrap();
        port.link = key;
        let name = port.name;
        self.ledger.link_mut("west-east").interface_a = name;
    }

    pub fn text(&self, device: &str) -> String {
        self.controller.bundle(&code(device)).unwrap().text.to_string()
    }

    pub fn state(&self) -> ApplyState {
        self.controller.apply_state(&code("west")).unwrap()
    }

    /// What the agent said of a generation.
    fn reports(&self, generation: u64) -> Vec<Report> {
        let store = self.controller.shared().store();
        store.entry(&code("west")).unwrap().reports.iter().filter(|r| r.generation == generation).cloned().collect()
    }

    /// The agent's program, as a supervisor would start it.
    fn agent(&self, router: &Router) -> Agent {
        self.agent_that_polls(router, POLL)
    }

    /// The same; what it is told it hears at once, however seldom it asks.
    pub fn agent_that_polls(&self, router: &Router, every: Duration) -> Agent {
        let folder = router.state.path();
        let key_file = |name: &str, key: &SigningKey| {
            let path = folder.join(name);
            fs::write(&path, serde_json::to_string(key.to_keypair_bytes().as_slice()).unwrap()).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
            path
        };
        let base58 = |bytes: [u8; 32]| bs58::encode(bytes).into_string();
        let milliseconds = |time: Duration| time.as_millis().to_string();
        let child = Command::new(env!("CARGO_BIN_EXE_causeway-agent"))
            .args(["--device", "west", "--program-id", &base58(PROGRAM_ID.0)])
            .args(["--controller", &format!("http://{}", self.controller.grpc_addr)])
            .args(["--controller-key", &base58(self.controller.controller_key())])
            .args(["--driver", "frr", "--frr-pathspace", &router.name, "--frr-netns", &router.name])
            .args(["--poll-ms", &milliseconds(every), "--revert-after-ms", &milliseconds(LIMIT)])
            .args(["--step-ms", &milliseconds(STEP), "--verify-ms", &milliseconds(VERIFY)])
            .arg("--agent-key")
            .arg(key_file("agent.key", &self.agent_key))
            .arg("--telemetry-key")
            .arg(key_file("telemetry.key", &SigningKey::from_bytes(&[3; 32])))
            .arg("--state-dir")
            .arg(folder.join("state"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Agent(child)
    }
}

pub struct Agent(Child);

impl Agent {
    pub fn kill(mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A controller of this process has to go on meanwhile.
pub async fn until(what: &str, holds: impl FnMut() -> bool + Send) -> Duration {
    tokio::task::block_in_place(|| eventually(what, holds))
}

fn armed(router: &Router) -> bool {
    let file = router.state.path().join("state/west.frr.json");
    fs::read_to_string(file).is_ok_and(|content| content.contains("\"reverting\""))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_bundle_is_gone_within_the_limit_with_the_agent_killed_right_after_the_commit() {
    let mut network = Network::new().await;
    let (west, east) = (Router::new("w", &ALL), Router::new("e", &ALL));
    let port = network.ledger.link_mut("west-east").interface_a.to_string();
    join_by(&port, &west, &east);
    // A port with a cable to nowhere.
    let spare = "eth4";
    must("ip", &["-n", &west.name, "link", "add", spare, "type", "veth", "peer", "name", "nowhere"]);
    must("ip", &["-n", &west.name, "link", "set", spare, "up"]);
    applied(&east.driver(), &network.text("east")).await;

    let agent = network.agent(&west);
    until("the good bundle runs", || network.state() == ApplyState::Current).await;
    until("an adjacency", || west.has_adjacency() && east.has_adjacency()).await;
    until("it is saved", || west.startup().contains("router isis 1")).await;
    let (before, startup) = (west.running(), west.startup());

    network.move_link(spare);
    let bad = network.publish().await;
    until("the revert is armed", || armed(&west)).await;
    let since = Instant::now();
    let commits = format!("interface {spare}\n description west-east\n");
    until("the commit", || west.running().contains(&commits)).await;
    agent.kill();
    let said = fs::read_to_string(west.state.path().join("state/west.frr.json")).unwrap();
    assert_eq!(west.watchdogs().len(), 1, "the watchdog has outlived its agent: {said}");
    until("no adjacency", || !west.has_adjacency()).await;
    // A look takes its time on a busy machine, which is not the device's: what counts is when it began.
    let mut looked = since;
    until("the old configuration", || {
        looked = Instant::now();
        west.running() == before
    })
    .await;
    let took = looked - since;
    eprintln!("back on the old configuration {took:?} after the revert was armed; the limit is {LIMIT:?}");
    assert!(took <= LIMIT, "{took:?}");
    let adjacent = until("the adjacency", || west.has_adjacency() && east.has_adjacency()).await;
    eprintln!("the adjacency is back {adjacent:?} later");
    until("the watchdog ends", || west.watchdogs().is_empty()).await;
    assert_eq!(west.startup(), startup, "what was not confirmed was not saved");
    assert!(network.reports(bad).is_empty(), "nobody was left to report");

    // The next agent says what happened, and does not try again at once.
    let agent = network.agent(&west);
    until("the report", || !network.reports(bad).is_empty()).await;
    let quiet = Instant::now();
    while quiet.elapsed() < QUIET {
        assert!(!armed(&west) && west.running() == before, "the bad bundle is tried again at once");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let reports = network.reports(bad);
    assert_eq!(reports.len(), 1, "{reports:?}");
    assert_eq!((reports[0].result, reports[0].error_code.as_str()), (ReportResult::Reverted, "APPLY_INTERRUPTED"));
    assert_eq!(network.state(), ApplyState::Reverted);
    assert_eq!(west.startup(), startup);

    // A bundle that is good again is taken at once.
    network.move_link(&port);
    let good = network.publish().await;
    let runs = || network.state() == ApplyState::Current && !network.reports(good).is_empty();
    let took = until("the good bundle runs", runs).await;
    assert!(took < PATIENCE && west.running() == before && west.has_adjacency());
    agent.kill();
    network.controller.shutdown().await;
}
