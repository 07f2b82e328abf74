//! `causeway config` with the real binary against a real controller, and a real agent with a simulated router.

// Helpers of tests may panic like tests.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::{
    collections::BTreeSet,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Arc,
    time::Duration,
};

use causeway_agent::{
    Agent, AgentConfig, Intervals,
    apply::ApplyLimits,
    sim::{self, Fabric},
};
use causeway_controller::{
    daemon::{Config, Controller, ControllerHandle},
    testing::{PROGRAM_ID, SyntheticLedger, code},
};
use causeway_interface::{DeviceStatus, Key, LinkStatus, Platform};
use causeway_sdk::Snapshot;
use ed25519_dalek::SigningKey;
use serde_json::Value;
use tokio::sync::watch;

const PATIENCE: Duration = Duration::from_secs(60);
const TOKEN: &str = "a-token-of-the-operator";

/// A controller over a ledger that the test makes, and a folder to call it from.
struct Rig {
    handle: ControllerHandle,
    ledger: SyntheticLedger,
    snapshots: watch::Sender<Option<Arc<Snapshot>>>,
    folder: tempfile::TempDir,
}

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

fn key(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}

impl Rig {
    async fn start() -> Self {
        let mut ledger = SyntheticLedger::ring(Platform::Frr);
        ledger.device_mut("ams").agent_key = Key(key(1).verifying_key().to_bytes());
        let (snapshots, receiver) = watch::channel(None);
        let config = Config::local(String::new(), String::new(), PROGRAM_ID, key(5));
        let config = Config { operator_token: Some(TOKEN.into()), ..config };
        let handle = Controller::start_from(config, receiver).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("token"), format!("{TOKEN}\n")).unwrap();
        let mut rig = Self { handle, ledger, snapshots, folder };
        rig.publish().await;
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

    /// Runs `causeway config ...` with the operator's token.
    async fn config(&self, arguments: &[&str]) -> Said {
        self.answering(arguments, "", true).await
    }

    async fn answering(&self, arguments: &[&str], answer: &str, with_token: bool) -> Said {
        let folder: PathBuf = self.folder.path().to_owned();
        let url = format!("http://{}", self.handle.http_addr);
        let arguments: Vec<String> = arguments.iter().map(|&argument| argument.to_owned()).collect();
        let answer = answer.to_owned();
        let run = move || run(&folder, &url, &arguments, &answer, with_token);
        tokio::task::spawn_blocking(run).await.unwrap()
    }
}

fn run(folder: &Path, url: &str, arguments: &[String], answer: &str, with_token: bool) -> Said {
    let mut command = Command::new(env!("CARGO_BIN_EXE_causeway"));
    let is_own = arguments.first().is_some_and(|first| ["audit", "availability"].contains(&first.as_str()));
    command
        .args((!is_own).then_some("config"))
        .args(arguments)
        .current_dir(folder)
        .env_clear()
        .env("CAUSEWAY_CONTROLLER_URL", url);
    if with_token {
        command.env("CAUSEWAY_OPERATOR_TOKEN_FILE", folder.join("token"));
    }
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // A command that asks nothing may be gone already.
    let _ = child.stdin.take().unwrap().write_all(answer.as_bytes());
    let output = child.wait_with_output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Said { code: output.status.code().unwrap(), out: text(&output.stdout), err: text(&output.stderr) }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_served_is_shown_and_what_changed() {
    let mut rig = Rig::start().await;
    let bundle = rig.handle.bundle(&code("ams")).unwrap();
    let said = rig.config(&["get", "ams"]).await;
    assert_eq!((said.code, said.out.as_str()), (0, bundle.text.to_string().as_str()));
    let said = rig.config(&["show", "ams"]).await;
    assert_eq!(said.code, 0, "{said:?}");
    for (name, value) in [("device", "ams"), ("family", "frr"), ("state", "never"), ("drift", "unknown")] {
        let found = said.out.lines().any(|line| line.split_whitespace().eq([name, value]));
        assert!(found, "{name} {value}: {}", said.out);
    }
    let json = rig.config(&["show", "ams", "--output", "json"]).await.json();
    assert_eq!((json["device"].as_str(), json["generation"].as_u64()), (Some("ams"), Some(bundle.generation)));

    rig.ledger.link_mut("ams-fra").header.status = LinkStatus::SoftDrained;
    rig.publish().await;
    let said = rig.config(&["diff", "ams"]).await;
    assert!(said.code == 0 && said.out.contains("+ isis metric 1000000"), "{said:?}");
    let now = rig.handle.bundle(&code("ams")).unwrap().generation.to_string();
    let back = rig.config(&["diff", "ams", "--from", &now, "--to", &bundle.generation.to_string()]).await;
    assert!(back.out.contains("- isis metric 1000000"), "{back:?}");
    let json = rig.config(&["diff", "ams", "--output", "json"]).await.json();
    assert_eq!(json["diff"].as_str(), Some(said.out.as_str()));
    rig.handle.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_held_is_approved_by_its_hash_or_after_it_was_shown() {
    let mut rig = Rig::start().await;
    let nothing = rig.config(&["approve", "ams", "--held"]).await;
    assert!(nothing.code == 1 && nothing.err.contains("error CW-CONTROLLER-NOTHING-HELD: "), "{nothing:?}");
    assert!(nothing.err.contains("page: docs/errors/cw-controller-nothing-held.md"), "{nothing:?}");
    for name in ["fra", "lon", "par"] {
        rig.ledger.device_mut(name).header.status = DeviceStatus::Suspended;
    }
    rig.publish().await;
    let shown = rig.config(&["show", "ams"]).await;
    assert!(shown.out.contains("takes away 3 of 3 peers"), "{shown:?}");
    let held = rig.config(&["diff", "ams", "--held", "--output", "json"]).await.json();
    let sha256 = held["sha256"].as_str().unwrap();
    let text = rig.config(&["diff", "ams", "--held"]).await;
    assert_eq!(text.out.trim_end(), held["diff"].as_str().unwrap().trim_end());

    let neither = rig.config(&["approve", "ams"]).await;
    assert!(neither.code == 2 && neither.err.contains("--sha256"), "{neither:?}");
    let other = rig.config(&["approve", "ams", "--sha256", &"00".repeat(32)]).await;
    assert!(other.code == 1 && other.err.contains("CW-CONTROLLER-HELD-CHANGED"), "{other:?}");
    let stranger = rig.answering(&["approve", "ams", "--sha256", sha256], "", false).await;
    assert!(stranger.code == 1 && stranger.err.contains("CW-CONTROLLER-NOT-OPERATOR"), "{stranger:?}");
    let hesitant = rig.answering(&["approve", "ams", "--held"], "y\n", true).await;
    assert!(hesitant.code == 1 && hesitant.err.contains("CW-NOT-CONFIRMED"), "{hesitant:?}");
    assert!(hesitant.err.contains("+++ generation held"), "it was shown: {hesitant:?}");
    assert!(rig.handle.shared().store().entry(&code("ams")).unwrap().held.is_some());

    let said = rig.answering(&["approve", "ams", "--held"], "yes\n", true).await;
    assert_eq!(said.code, 0, "{said:?}");
    assert_eq!(rig.handle.bundle(&code("ams")).unwrap().generation, rig.ledger.snapshot.slot);
    // Once more, for the others: by the hash that is shown.
    let fra = rig.config(&["show", "fra", "--output", "json"]).await.json();
    if let Some(sha256) = fra["held"]["sha256"].as_str() {
        let said = rig.config(&["approve", "fra", "--sha256", sha256, "--output", "json"]).await;
        assert_eq!((said.code, &said.json()["held"]), (0, &Value::Null), "{said:?}");
    }
    rig.handle.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_is_asked_what_runs_and_how_it_differs() {
    let rig = Rig::start().await;
    let silent = rig.config(&["running", "ams", "--wait", "1"]).await;
    assert!(silent.code == 3 && silent.err.contains("CW-CONTROLLER-RUNNING-NOT-TOLD"), "{silent:?}");
    let fabric = Fabric::new(1);
    fabric.add_device("ams", sim::Family::Frr, Some("198.19.0.1".parse().unwrap())).unwrap();
    let config = AgentConfig {
        device: "ams".into(),
        program_id: PROGRAM_ID.0,
        controllers: vec![format!("http://{}", rig.handle.grpc_addr)],
        controller_ca: None,
        controller_keys: BTreeSet::from([rig.handle.controller_key()]),
        oracles: Vec::new(),
        agent_key: key(1),
        telemetry_key: key(9),
        state_dir: rig.folder.path().join("state"),
        intervals: Intervals { poll: Duration::from_secs(600), ..Intervals::default() },
        limits: ApplyLimits { verify: Duration::from_millis(300), ..ApplyLimits::default() },
        probes_per_sample: 1,
        buffered_samples: 100,
    };
    std::fs::create_dir(rig.folder.path().join("state")).unwrap();
    let agent = Agent::start(config, fabric.driver("ams").unwrap()).unwrap();
    let applied = async {
        while agent.status().applied.is_none() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, applied).await.expect("it applies");
    let said = rig.config(&["drift", "ams"]).await;
    assert_eq!((said.code, said.out.as_str()), (0, "ams runs what is served\n"), "{said:?}");
    let said = rig.config(&["running", "ams"]).await;
    assert_eq!((said.code, said.out.as_str()), (0, fabric.running_text("ams").unwrap().as_str()), "{said:?}");

    fabric.reboot("ams").unwrap();
    tokio::time::sleep(Duration::from_millis(3_100)).await;
    let said = rig.config(&["drift", "ams"]).await;
    assert!(said.code == 1 && said.err.contains("error CW-CONFIG-DRIFTED: "), "{said:?}");
    assert!(said.out.lines().any(|line| line.starts_with('+') && line.contains("router isis")), "{said:?}");
    let json = rig.config(&["drift", "ams", "--output", "json"]).await;
    assert_eq!((json.code, json.json()["state"].as_str()), (1, Some("drifted")));
    let stranger = rig.answering(&["running", "ams"], "", false).await;
    assert!(stranger.code == 1 && stranger.err.contains("CW-CONTROLLER-NOT-OPERATOR"), "{stranger:?}");
    agent.shutdown().await;
    rig.handle.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_wrong_is_said_with_the_controllers_own_code() {
    let rig = Rig::start().await;
    for (arguments, code, said) in [
        (&["show", "nowhere"][..], 4, "CW-CONTROLLER-DEVICE-UNKNOWN"),
        (&["get", "ams", "--generation", "1"], 4, "CW-CONTROLLER-GENERATION-UNKNOWN"),
        (&["show", "ams", "--controller", "http://127.0.0.1:1"], 3, "CW-CONTROLLER-UNREACHABLE"),
        (&["show", "ams", "--controller", "127.0.0.1:1"], 2, "CW-VALUE-INVALID"),
        (&["show", "ams", "--token-file", "none"], 5, "CW-FILE-READ"),
        (&["show", "ams", "--controller-ca", "token"], 5, "CW-FILE-READ"),
    ] {
        let found = rig.config(arguments).await;
        assert!(found.code == code && found.err.contains(&format!("error {said}: ")), "{arguments:?}: {found:?}");
        let page = found.err.lines().find_map(|line| line.trim().strip_prefix("page: ")).unwrap();
        let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(page);
        assert!(page.exists(), "{}", page.display());
    }
    rig.handle.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_done_is_shown_exported_and_checked() {
    let mut rig = Rig::start().await;
    for name in ["fra", "lon", "par"] {
        rig.ledger.device_mut(name).header.status = DeviceStatus::Suspended;
    }
    rig.publish().await;
    assert_eq!(rig.config(&["approve", "ams", "--sha256", &"00".repeat(32)]).await.code, 1);
    assert_eq!(rig.config(&["approve", "ams", "--held", "--yes"]).await.code, 0);
    let said = rig.config(&["audit", "--subject", "ams"]).await;
    assert_eq!(said.code, 0, "{said:?}");
    let words = |line: &str| line.split_whitespace().skip(3).take(4).map(str::to_owned).collect::<Vec<_>>().join(" ");
    let told: Vec<_> = said.out.lines().skip(1).map(words).collect();
    let expected = ["asked", "refused", "asked", "done"].map(|how| format!("operator config.approve ams {how}"));
    assert_eq!(told, expected, "{}", said.out);
    let json = rig.config(&["audit", "--action", "config.approve", "--output", "json", "--limit", "2"]).await.json();
    assert_eq!(json.as_array().map(Vec::len), Some(2));
    let lines = rig.config(&["audit", "--lines"]).await;
    let first: Value = serde_json::from_str(lines.out.lines().next().unwrap()).unwrap();
    assert_eq!((&first["seq"], &first["outcome"]), (&1.into(), &"asked".into()));
    let checked = rig.config(&["audit", "--verify"]).await;
    assert!(checked.code == 0 && checked.out.starts_with("4 entries follow from each other"), "{checked:?}");
    let none =
        rig.config(&["audit", "--actor", "somebody", "--since", "2026-01-31T12:00:00Z", "--output", "json"]).await;
    assert_eq!(none.json(), Value::Array(Vec::new()));
    let stranger = rig.answering(&["audit"], "", false).await;
    assert!(stranger.code == 1 && stranger.err.contains("CW-CONTROLLER-NOT-OPERATOR"), "{stranger:?}");
    let there = rig.config(&["availability"]).await;
    assert_eq!(there.code, 0, "{there:?}");
    for (need, answer) in [("ledger", "yes"), ("agents", "no")] {
        let found = there.out.lines().any(|line| line.split_whitespace().take(2).eq([need, answer]));
        assert!(found, "{need}: {}", there.out);
    }
    rig.handle.shutdown().await;
}
