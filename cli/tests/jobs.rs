//! Provisioning a device through jobs, as a person does: with `curl`, and with the real binary, against a real controller, a
//! real agent and a simulated router.

// Helpers of tests may panic like tests.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::{
    collections::BTreeSet,
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
    jobs::{JobsConfig, Policy, StoreAt},
    orders::ByJobs,
    testing::{PROGRAM_ID, SyntheticLedger, code},
};
use causeway_interface::{InterfaceKind, InterfaceRole, Key, LinkStatus, Platform};
use causeway_sdk::Snapshot;
use ed25519_dalek::SigningKey;
use serde_json::{Value, json};
use tokio::sync::watch;

const PATIENCE: Duration = Duration::from_secs(60);
const TOKEN: &str = "a-token-of-the-operator";
/// Index of the step that may be skipped.
const NOTIFY: u64 = 8;

/// A controller with jobs, of which `ams` is provisioned by jobs, and its router.
struct Rig {
    handle: ControllerHandle,
    ledger: SyntheticLedger,
    snapshots: watch::Sender<Option<Arc<Snapshot>>>,
    folder: tempfile::TempDir,
    fabric: Fabric,
    agent: Option<AgentHandle>,
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

/// The simulated router of `ams`, with the ports that its record has.
fn fabric(ledger: &SyntheticLedger) -> Fabric {
    let fabric = Fabric::new(3);
    let device = ledger.snapshot.devices.values().find(|d| d.code == code("ams")).unwrap();
    let public_ip = device.public_ip.to_string().parse().unwrap();
    fabric.add_device("ams", sim::Family::Frr, Some(public_ip)).unwrap();
    for interface in &device.interfaces {
        let port = Port::new("ams", interface.name.as_str());
        match (interface.kind, interface.role) {
            (InterfaceKind::Management, _) => fabric.add_management(port).unwrap(),
            (_, InterfaceRole::Dia) => fabric.add_uplink(port, UplinkKind::Dia).unwrap(),
            (_, InterfaceRole::Cyoa) => fabric.add_uplink(port, UplinkKind::Cyoa).unwrap(),
            _ => {}
        }
    }
    fabric
}

/// As of every job, with waits that a test has time for.
fn policy() -> Policy {
    Policy { retry_ms: vec![50, 100, 200], verify_retry_ms: vec![50, 100, 200], ..Policy::default() }
}

impl Rig {
    async fn start() -> Self {
        let mut ledger = SyntheticLedger::ring(Platform::Frr);
        ledger.device_mut("ams").agent_key = Key(key(1).verifying_key().to_bytes());
        let (snapshots, receiver) = watch::channel(None);
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("token"), format!("{TOKEN}\n")).unwrap();
        let jobs = JobsConfig {
            store: Some(StoreAt::File(folder.path().join("jobs.sqlite"))),
            by_jobs: ByJobs { devices: BTreeSet::from([code("ams")]), ..ByJobs::default() },
            policy: policy(),
            ..JobsConfig::default()
        };
        let config = Config::local(String::new(), String::new(), PROGRAM_ID, key(5));
        let config = Config { operator_token: Some(TOKEN.into()), jobs, ..config };
        let handle = Controller::start_from(config, receiver).await.unwrap();
        // Everything on this ledger is final.
        handle.shared().finalized(u64::MAX);
        let fabric = fabric(&ledger);
        let mut rig = Self { handle, ledger, snapshots, folder, fabric, agent: None };
        rig.publish().await;
        rig.start_agent();
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

    fn start_agent(&mut self) {
        let config = AgentConfig {
            device: "ams".into(),
            program_id: PROGRAM_ID.0,
            controllers: vec![format!("http://{}", self.handle.grpc_addr)],
            controller_ca: None,
            controller_keys: BTreeSet::from([self.handle.controller_key()]),
            oracles: Vec::new(),
            agent_key: key(1),
            telemetry_key: key(9),
            state_dir: self.folder.path().join("agent"),
            intervals: Intervals {
                sample: Duration::from_secs(1),
                poll: Duration::from_millis(100),
                ..Intervals::default()
            },
            limits: ApplyLimits { verify: Duration::from_millis(300), ..ApplyLimits::default() },
            probes_per_sample: 1,
            buffered_samples: 100,
        };
        self.agent = Some(Agent::start(config, self.fabric.driver("ams").unwrap()).unwrap());
    }

    async fn stop_agent(&mut self) {
        self.agent.take().unwrap().shutdown().await;
    }

    fn runs(&self) -> String {
        self.fabric.running_text("ams").unwrap()
    }

    /// What the ledger asks of the device.
    fn wanted(&self) -> String {
        self.handle.bundle(&code("ams")).unwrap().text.to_string()
    }

    async fn run(&self, mut command: Command) -> Said {
        let run = move || {
            let output = command.stdin(Stdio::null()).output().expect("curl has to be installed for this test");
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            Said { code: output.status.code().unwrap(), out: text(&output.stdout), err: text(&output.stderr) }
        };
        tokio::task::spawn_blocking(run).await.unwrap()
    }

    /// Runs `causeway job ...`.
    async fn job(&self, arguments: &[&str]) -> Said {
        let mut command = Command::new(env!("CARGO_BIN_EXE_causeway"));
        command.arg("job").args(arguments).env_clear();
        command.env("CAUSEWAY_CONTROLLER_URL", format!("http://{}", self.handle.http_addr));
        command.env("CAUSEWAY_OPERATOR_TOKEN_FILE", self.folder.path().join("token"));
        self.run(command).await
    }

    /// Runs `curl`; the status and the body.
    async fn curl(&self, method: &str, path: &str, body: Option<&Value>) -> (u16, String) {
        let mut command = Command::new("curl");
        let url = format!("http://{}/api/v1{path}", self.handle.http_addr);
        command.args(["-sS", "--max-time", "20", "-X", method, "-w", "\n%{http_code}", &url]);
        command.args(["-H", &format!("authorization: Bearer {TOKEN}")]);
        match body {
            Some(body) => command.args(["-H", "content-type: application/json", "-d", &body.to_string()]),
            None => command.args(["-H", "accept: text/plain"]),
        };
        let said = self.run(command).await;
        assert_eq!(said.code, 0, "{said:?}");
        let (body, status) = said.out.rsplit_once('\n').unwrap();
        (status.parse().unwrap(), body.to_owned())
    }

    async fn json(&self, method: &str, path: &str, body: Option<&Value>) -> (u16, Value) {
        let (status, body) = self.curl(method, path, body).await;
        (status, serde_json::from_str(&body).unwrap_or_else(|e| panic!("{path}: {status}: {e}: {body}")))
    }

    /// Starts one job over HTTP.
    async fn started(&self, request: &Value) -> i64 {
        let (status, started) = self.json("POST", "/jobs", Some(request)).await;
        assert_eq!(status, 202, "{started}");
        started["jobs"][0]["id"].as_i64().unwrap()
    }

    /// Asks over and over until the job is so.
    async fn until(&self, id: i64, what: &str, so: impl Fn(&Value) -> bool) -> Value {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let (status, job) = self.json("GET", &format!("/jobs/{id}"), None).await;
            assert_eq!(status, 200, "{job}");
            if so(&job) {
                return job;
            }
            assert!(Instant::now() < deadline, "never: {what}: {job:#}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn over(&self, id: i64) -> Value {
        self.until(id, "over", |job| job["over"] == true).await
    }

    /// Changes something of the device on the ledger.
    async fn change(&mut self, status: LinkStatus) {
        self.ledger.link_mut("ams-fra").header.status = status;
        self.publish().await;
    }

    async fn stop(self) {
        if let Some(agent) = self.agent {
            agent.shutdown().await;
        }
        self.handle.shutdown().await;
    }
}

fn refusing(fabric: &Fabric) -> sim::FaultId {
    fabric.inject(Fault::RejectLine { device: "ams".into(), containing: "hostname".into() })
}

fn ends(job: &Value) -> (&str, &str) {
    (job["status"].as_str().unwrap(), job["state"].as_str().unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_device_is_provisioned_with_curl() {
    let mut rig = Rig::start().await;
    let request = json!({ "devices": ["ams"] });

    // A dry run shows the difference, and changes nothing.
    let dry = rig.started(&json!({ "devices": ["ams"], "dry_run": true })).await;
    let job = rig.over(dry).await;
    assert_eq!((ends(&job), job["kind"].as_str()), (("NOT_PROVISIONED", "DONE"), Some("dry-run")), "{job:#}");
    let (status, diff) = rig.curl("GET", &format!("/jobs/{dry}/diff"), None).await;
    assert_eq!(status, 200);
    assert!(diff.lines().any(|line| line.starts_with("+router isis")), "{diff}");
    assert_eq!(rig.runs(), "", "only a job that is no dry run changes the device");

    // A critical step fails; the reason is told, and nothing was changed.
    let fault = refusing(&rig.fabric);
    let id = rig.started(&request).await;
    let job = rig.over(id).await;
    assert_eq!(ends(&job), ("FAILED", "FAILED_VALIDATION"), "{job:#}");
    assert_eq!(job["error"]["code"], "CW-JOB-LINE-REFUSED");
    assert!(job["error"]["cause"].as_str().unwrap().contains("hostname"), "{}", job["error"]);
    assert!(!job["error"]["remedy"].as_str().unwrap().is_empty());
    assert_eq!((rig.runs(), &job["steps"][5]["status"]), (String::new(), &json!("failed")));

    // Repaired, it is tried again and done.
    rig.fabric.heal(fault);
    let (status, _) = rig.json("POST", &format!("/jobs/{id}/retry"), Some(&json!({}))).await;
    assert_eq!(status, 200);
    let job = rig.over(id).await;
    assert_eq!(
        (ends(&job), &job["percent"], &job["round"]),
        (("PROVISIONED", "DONE"), &json!(100), &json!(2)),
        "{job:#}"
    );
    assert_eq!(rig.runs(), rig.wanted());
    assert_eq!(rig.fabric.startup_text("ams").unwrap(), rig.wanted(), "it is what the device starts with");
    // The same once more is done already, a success.
    let again = rig.started(&request).await;
    let job = rig.over(again).await;
    assert_eq!((ends(&job), &job["steps"][5]["status"]), (("PROVISIONED", "DONE"), &json!("already")), "{job:#}");

    // The correlation id is in the job's log and in the agent's report.
    let (_, logs) = rig.curl("GET", &format!("/jobs/{id}/logs"), None).await;
    let correlation = format!("job{id}-r2-s5-t1");
    assert!(logs.contains(&correlation) && logs.contains("CW-JOB-LINE-REFUSED"), "{logs}");
    let (_, reports) = rig.json("GET", "/devices/ams/reports", None).await;
    let of = |result: &str| {
        let of = |r: &&Value| r["result"] == result && r["order"] == correlation.as_str();
        reports.as_array().unwrap().iter().filter(of).count()
    };
    assert!(of("waiting") == 1 && of("applied") == 1, "{reports:#}");

    // The ledger changes: the device stays as its last job left it, until the next one.
    let before = rig.runs();
    rig.change(LinkStatus::SoftDrained).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(rig.runs() == before && rig.wanted() != before);

    // While a job waits for the device, a second one is refused with its number, and an optional step is left out.
    rig.stop_agent().await;
    let waiting = rig.started(&request).await;
    let job = rig.until(waiting, "it waits", |job| job["state"] == "WAITING_FOR_DEVICE").await;
    assert_eq!(job["status"], "PROVISIONING");
    let (status, refused) = rig.json("POST", "/jobs", Some(&request)).await;
    assert_eq!((status, &refused["code"], &refused["job"]), (409, &json!("CW-JOB-BUSY"), &json!(waiting)), "{refused}");
    let path = format!("/jobs/{waiting}/skip-step");
    let (status, refused) = rig.json("POST", &path, Some(&json!({ "step": 5, "reason": "in a hurry" }))).await;
    assert_eq!((status, &refused["code"]), (409, &json!("CW-JOB-NOT-NOW")), "{refused}");
    let (status, _) = rig.json("POST", &path, Some(&json!({ "step": NOTIFY, "reason": "nobody reads it" }))).await;
    assert_eq!(status, 200);
    rig.start_agent();
    let job = rig.over(waiting).await;
    assert_eq!((ends(&job), &job["steps"][8]["status"]), (("PROVISIONED", "DONE"), &json!("skipped")), "{job:#}");
    assert_eq!(rig.runs(), rig.wanted());

    // What makes no sense is refused with the reason.
    for (method, path, body, expected) in [
        ("POST", "/jobs", Some(json!({})), (400, "CW-JOB-INVALID")),
        ("POST", "/jobs", Some(json!({ "devices": ["nowhere"] })), (404, "CW-CONTROLLER-DEVICE-UNKNOWN")),
        ("POST", "/jobs", Some(json!({ "devices": ["ams"], "transport": "eapi-push" })), (400, "CW-JOB-UNSUPPORTED")),
        ("POST", "/jobs", Some(json!({ "devices": ["ams"], "mode": "merge" })), (400, "CW-JOB-UNSUPPORTED")),
        ("GET", "/jobs/999", None, (404, "CW-JOB-UNKNOWN")),
        ("GET", "/jobs/x", None, (404, "CW-JOB-UNKNOWN")),
        ("POST", &format!("/jobs/{id}/retry"), Some(json!({})), (409, "CW-JOB-NOT-NOW")),
        ("POST", &format!("/jobs/{id}/cancel"), Some(json!({ "reason": "late" })), (409, "CW-JOB-NOT-NOW")),
    ] {
        let (status, refused) = rig.json(method, path, body.as_ref()).await;
        assert_eq!((status, refused["code"].as_str().unwrap()), expected, "{method} {path} {body:?}");
    }
    // A stream of a job that is over has all of it, and ends.
    let (status, events) = rig.curl("GET", &format!("/jobs/{id}/events"), None).await;
    assert_eq!(status, 200);
    assert!(events.contains("event: started") && events.contains("event: ended"), "{events}");
    let (_, rest) = rig.curl("GET", &format!("/jobs/{id}/events?after=3"), None).await;
    assert!(!rest.contains("id: 3\n") && rest.contains("id: 4\n"), "{rest}");
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_device_is_provisioned_with_the_command() {
    let mut rig = Rig::start().await;
    let said = rig.job(&["start", "ams", "--dry-run", "--watch"]).await;
    assert!(said.code == 0 && said.out.contains("\n+router isis"), "{said:?}");
    assert_eq!(rig.runs(), "");

    let fault = refusing(&rig.fabric);
    let said = rig.job(&["start", "ams", "--watch", "--actor", "me"]).await;
    assert_eq!(said.code, 1, "{said:?}");
    assert!(said.err.contains("error CW-JOB-LINE-REFUSED: Job 2 is FAILED: "), "{said:?}");
    assert!(said.err.contains("page: docs/errors/cw-job-line-refused.md"), "{said:?}");
    assert!(said.err.lines().any(|line| line.contains("ams commit: step-ended: CW-JOB-LINE-REFUSED")), "{said:?}");
    assert!(said.out.contains("FAILED_VALIDATION") && rig.runs().is_empty(), "{said:?}");
    let json = rig.job(&["status", "2", "--json"]).await.json();
    assert_eq!((&json["status"], &json["actor"], &json["trigger"]), (&json!("FAILED"), &json!("me"), &json!("cli")));

    rig.fabric.heal(fault);
    let said = rig.job(&["retry", "2", "--watch"]).await;
    assert!(said.code == 0 && said.out.contains("PROVISIONED"), "{said:?}");
    assert_eq!(rig.runs(), rig.wanted());

    rig.change(LinkStatus::SoftDrained).await;
    rig.stop_agent().await;
    let said = rig.job(&["start", "ams"]).await;
    assert!(said.code == 0 && said.out.lines().nth(1).is_some_and(|line| line.starts_with('3')), "{said:?}");
    let said = rig.job(&["start", "ams"]).await;
    assert!(said.code == 1 && said.err.contains("error CW-JOB-BUSY: ") && said.err.contains("job 3 holds"), "{said:?}");
    let said = rig.job(&["skip-step", "3", "--step", "8", "--reason", "nobody reads it"]).await;
    assert!(said.code == 0 && said.out.contains("skipped"), "{said:?}");
    let said = rig.job(&["cancel", "3", "--reason", "another day"]).await;
    assert_eq!(said.code, 0, "{said:?}");
    let said = rig.job(&["watch", "3"]).await;
    assert!(said.code == 1 && said.err.contains("CW-JOB-CANCELLED"), "{said:?}");
    rig.start_agent();
    // What was cancelled is not done when the agent comes back.
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_ne!(rig.runs(), rig.wanted());

    let said = rig.job(&["logs", "2"]).await;
    assert!(said.code == 0 && said.out.contains("[job2-r2-s5-t1]"), "{said:?}");
    let said = rig.job(&["list"]).await;
    let numbers: Vec<&str> = said.out.lines().skip(1).filter_map(|line| line.split_whitespace().next()).collect();
    assert_eq!(numbers, ["3", "2", "1"], "{said:?}");
    assert_eq!(rig.job(&["list", "--status", "FAILED", "--json"]).await.json(), json!([]));
    let said = rig.job(&["status", "99"]).await;
    assert!(said.code == 4 && said.err.contains("CW-JOB-UNKNOWN"), "{said:?}");
    rig.stop().await;
}
