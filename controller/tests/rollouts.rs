//! Rollouts and approvals in a running controller, over HTTP, with real agents beside simulated routers.

// Helpers of tests may panic like tests.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use causeway_agent::{
    Agent, AgentConfig, AgentHandle, Intervals,
    apply::ApplyLimits,
    sim::{self, Fabric, Fault, Port, UplinkKind},
};
use causeway_controller::{
    daemon::Config,
    events::Change,
    jobs::{
        JobsConfig, Policy, StoreAt,
        policy::{ApprovalRule, ChangePolicy},
    },
    orders::ByJobs,
    shared::now_ms,
    testing::{PROGRAM_ID, code},
};
use causeway_interface::{DeviceHealth, InterfaceKind, InterfaceRole, Key, LinkStatus};
use causeway_wire::signing::{SignedRequest, request_message, sign};
use common::{PATIENCE, Running, agent_key, config};
use ed25519_dalek::SigningKey;
use reqwest::{Client, Method};
use serde_json::{Value, json};

const NAMES: [&str; 4] = ["ams", "fra", "lon", "par"];
const ANNA: &str = "anna-has-a-token-of-32-characters";
const BOB: &str = "bob-has-another-token-of-his-own";
/// Slots for which an oracle's word counts here: 1.2 s.
const MAX_AGE_SLOTS: u64 = 3;
/// A word that is fresh whenever it is looked at.
const ALWAYS: u64 = u64::MAX >> 1;

fn authority() -> SigningKey {
    agent_key(21)
}
fn owner() -> SigningKey {
    agent_key(22)
}
fn stranger() -> SigningKey {
    agent_key(23)
}

fn public(key: &SigningKey) -> Key {
    Key(key.verifying_key().to_bytes())
}

struct Rig {
    running: Running,
    fabric: Fabric,
    agents: Vec<AgentHandle>,
    client: Client,
    folder: tempfile::TempDir,
}

fn fabric(running: &Running) -> Fabric {
    let fabric = Fabric::new(3);
    for name in NAMES {
        let device = running.ledger.snapshot.devices.values().find(|d| d.code == code(name)).unwrap();
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

impl Rig {
    /// Four devices, all but `continuous` provisioned by jobs, each well by the word of the one oracle.
    async fn start(changes: ChangePolicy, continuous: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let devices = NAMES.iter().filter(|name| !continuous.contains(name)).map(|name| code(name)).collect();
        let jobs = JobsConfig {
            store: Some(StoreAt::File(folder.path().join("jobs.sqlite"))),
            by_jobs: ByJobs { devices, ..ByJobs::default() },
            policy: Policy { retry_ms: vec![50, 100, 200], verify_retry_ms: vec![50, 100, 200], ..Policy::default() },
            changes,
            ..JobsConfig::default()
        };
        let operator_token = Some(format!("anna {ANNA}\nbob {BOB}\n"));
        let family = Some("frr".parse().unwrap());
        let mut running = Running::start(Config { operator_token, family, jobs, ..config() }).await;
        running.handle.shared().finalized(u64::MAX);
        let network = running.ledger.snapshot.network.as_mut().unwrap();
        (network.authority, network.attestation_max_age_slots) = (public(&authority()), MAX_AGE_SLOTS);
        for contributor in running.ledger.snapshot.contributors.values_mut() {
            contributor.owner = public(&owner());
        }
        for (name, seed) in NAMES.iter().zip(1..) {
            running.ledger.device_mut(name).agent_key = public(&agent_key(seed));
            running.ledger.attest(name, &[(DeviceHealth::ReadyForUsers as u8, ALWAYS)]);
        }
        running.publish().await;
        let fabric = fabric(&running);
        let mut rig = Self { running, fabric, agents: Vec::new(), client: Client::new(), folder };
        rig.agents = NAMES.iter().zip(1..).map(|(name, seed)| rig.agent(name, seed)).collect();
        rig
    }

    fn agent(&self, name: &str, seed: u8) -> AgentHandle {
        let config = AgentConfig {
            device: name.into(),
            program_id: PROGRAM_ID.0,
            controllers: vec![format!("http://{}", self.running.handle.grpc_addr)],
            controller_ca: None,
            controller_keys: BTreeSet::from([self.running.handle.controller_key()]),
            oracles: Vec::new(),
            agent_key: agent_key(seed),
            telemetry_key: agent_key(9),
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

    async fn call(&self, method: Method, path: &str, body: Option<Value>) -> (u16, Value) {
        let url = format!("http://{}/api/v1{path}", self.running.handle.http_addr);
        let mut request = self.client.request(method, url).bearer_auth(ANNA);
        if let Some(body) = body {
            request = request.json(&body);
        }
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap())
    }

    /// Headers of a signature over a request, with another time than now where that is given.
    fn signature(key: &SigningKey, path: &str, body: &[u8], at_unix_ms: u64) -> [(&'static str, String); 3] {
        let path = format!("/api/v1{path}");
        let request = SignedRequest { method: "POST", path: &path, at_unix_ms, body };
        let signature = sign(key, &request_message(&PROGRAM_ID.0, request));
        [
            ("causeway-key", public(key).to_string()),
            ("causeway-signed-unix-ms", at_unix_ms.to_string()),
            ("causeway-signature", hex::encode(signature)),
        ]
    }

    async fn post(&self, token: &str, path: &str, body: Vec<u8>, headers: &[(&'static str, String)]) -> (u16, Value) {
        let url = format!("http://{}/api/v1{path}", self.running.handle.http_addr);
        let mut request =
            self.client.post(url).bearer_auth(token).header("content-type", "application/json").body(body);
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap())
    }

    async fn signed(&self, token: &str, key: &SigningKey, path: &str, body: &Value) -> (u16, Value) {
        let body = body.to_string().into_bytes();
        let headers = Self::signature(key, path, &body, now_ms());
        self.post(token, path, body, &headers).await
    }

    async fn start_rollout(&self, request: Value) -> i64 {
        let (status, started) = self.call(Method::POST, "/rollouts", Some(request)).await;
        assert_eq!(status, 202, "{started}");
        started["id"].as_i64().unwrap()
    }

    async fn until(&self, path: &str, what: &str, so: impl Fn(&Value) -> bool) -> Value {
        let deadline = Instant::now() + PATIENCE * 2;
        loop {
            let (status, found) = self.call(Method::GET, path, None).await;
            if status == 200 && so(&found) {
                return found;
            }
            assert!(Instant::now() < deadline, "never: {what}: {found:#}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn over(&self, id: i64) -> Value {
        self.until(&format!("/rollouts/{id}"), "over", |rollout| rollout["over"] == true).await
    }

    fn run(&self) -> [String; 4] {
        NAMES.map(|name| self.fabric.running_text(name).unwrap())
    }

    fn wanted(&self) -> [String; 4] {
        NAMES.map(|name| self.running.handle.bundle(&code(name)).unwrap().text.to_string())
    }

    /// A change of the ledger that every device's configuration shows.
    async fn change(&mut self, status: LinkStatus) {
        for link in ["ams-fra", "lon-par"] {
            self.running.ledger.link_mut(link).header.status = status;
        }
        self.running.publish().await;
    }

    async fn say(&mut self, name: &str, health: DeviceHealth) {
        self.running.ledger.attest(name, &[(health as u8, ALWAYS)]);
        self.running.publish().await;
    }

    async fn audit(&self, action: &str) -> Vec<Value> {
        let url = format!("http://{}/api/v1/audit?action={action}", self.running.handle.http_addr);
        let text = self.client.get(url).bearer_auth(ANNA).send().await.unwrap().text().await.unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    async fn text(&self, path: &str) -> String {
        let url = format!("http://{}{path}", self.running.handle.http_addr);
        self.client.get(url).header("accept", "text/plain").send().await.unwrap().text().await.unwrap()
    }

    async fn stop(self) {
        for agent in self.agents {
            agent.shutdown().await;
        }
        self.running.handle.shutdown().await;
    }
}

/// Watched for as short as an oracle's word counts, without time to settle.
fn soak() -> Value {
    json!({ "for_ms": 1_200, "settle_ms": 0, "look_ms": 100, "limit_ms": 30_000 })
}

fn all() -> Value {
    json!({ "exchange": "ex", "soak": soak() })
}

fn ends(rollout: &Value) -> (&str, &str) {
    (rollout["status"].as_str().unwrap(), rollout["state"].as_str().unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_canary_goes_back_and_nobody_else_is_touched() {
    let mut rig = Rig::start(ChangePolicy::default(), &[]).await;
    let first = rig.start_rollout(all()).await;
    let rollout = rig.over(first).await;
    assert_eq!((ends(&rollout), &rollout["percent"]), (("PROVISIONED", "DONE"), &json!(100)), "{rollout:#}");
    assert_eq!(rollout["waves"].as_array().unwrap().len(), 2);
    assert_eq!(rig.run(), rig.wanted());

    // The canary is unwell after its change.
    rig.change(LinkStatus::SoftDrained).await;
    let old = rig.run();
    assert!(old.iter().zip(rig.wanted()).all(|(old, new)| *old != new), "the change is everybody's");
    rig.say("ams", DeviceHealth::Impaired).await;
    let events = rig.running.handle.shared().events.resume(None);
    let second = rig.start_rollout(all()).await;
    let rollout = rig.over(second).await;
    assert_eq!(ends(&rollout), ("FAILED", "ROLLED_BACK"), "{rollout:#}");
    assert_eq!(rollout["error"]["code"], "CW-JOB-ROLLOUT-UNHEALTHY");
    assert!(rollout["error"]["cause"].as_str().unwrap().contains("ams: 0 of 1 oracles"), "{}", rollout["error"]);
    assert_eq!(rig.run(), old, "the canary runs what it ran, and nobody else was touched");
    let (_, jobs) = rig.call(Method::GET, &format!("/jobs?parent={second}"), None).await;
    let of: Vec<(&str, &str)> = jobs
        .as_array()
        .unwrap()
        .iter()
        .map(|job| (job["kind"].as_str().unwrap(), job["devices"][0].as_str().unwrap()))
        .collect();
    assert_eq!(of, [("revert", "ams"), ("provision", "ams")]);
    assert_eq!(rollout["waves"][0]["back"], 1);
    assert_eq!(rollout["waves"][1]["state"], "waiting");

    // What happened is told: as lines, as a stream, in the controller's events, in metrics.
    let logs = rig.text(&format!("/api/v1/rollouts/{second}/logs")).await;
    for line in ["began", "soak-began", "looked", "back-began", "ended"] {
        assert!(logs.contains(line), "{line}: {logs}");
    }
    let stream = rig.text(&format!("/api/v1/rollouts/{second}/events?after=1")).await;
    assert!(stream.contains("event: ended") && !stream.contains("event: started"), "{stream}");
    let mut live = events.live;
    let mut told = Vec::new();
    while let Ok(event) = live.try_recv() {
        told.push(causeway_controller::event_stream::message(&event));
    }
    use causeway_wire::controller::event::What;
    let of = |what: &str| {
        told.iter().any(|e| matches!(&e.what, Some(What::Rollout(r)) if r.rollout == second && r.what == what))
    };
    assert!(of("claimed") && of("soak-began") && of("back-began") && of("ended"), "{told:?}");
    let page = rig.text("/metrics").await;
    for line in [
        "causeway_jobs_ended_total{kind=\"rollout\",status=\"FAILED\",state=\"ROLLED_BACK\"} 1",
        "causeway_rollout_waves_total{result=\"passed\"} 2",
        "causeway_rollout_waves_total{result=\"unhealthy\"} 1",
    ] {
        assert!(page.contains(line), "{line}: {page}");
    }

    // Well again, the devices that are left go on.
    rig.say("ams", DeviceHealth::ReadyForUsers).await;
    let (status, started) = rig.call(Method::POST, &format!("/rollouts/{second}/again"), Some(json!({}))).await;
    assert_eq!((status, &started["devices"]), (202, &json!(4)), "{started}");
    let rollout = rig.over(started["id"].as_i64().unwrap()).await;
    assert_eq!(ends(&rollout), ("PROVISIONED", "DONE"), "{rollout:#}");
    assert_eq!(rig.run(), rig.wanted());
    let (status, refused) =
        rig.call(Method::POST, &format!("/rollouts/{}/again", started["id"]), Some(json!({}))).await;
    assert_eq!((status, &refused["code"]), (409, &json!("CW-JOB-NOT-NOW")), "nothing is left: {refused}");
    let entries = rig.audit("rollout.start").await;
    assert!(entries.iter().all(|entry| entry["actor"] == "anna") && entries.len() == 4, "{entries:#?}");
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failure_in_the_second_wave_leaves_the_first_and_a_paused_rollout_begins_nobody() {
    let mut rig = Rig::start(ChangePolicy::default(), &[]).await;
    // Two waves, of `fra` and of the three others.
    let request = json!({
        "exchange": "ex", "canaries": ["fra"], "message": "because", "soak": { "for_ms": 0, "by_health": false },
    });
    let id = rig.start_rollout(request.clone()).await;
    assert_eq!(rig.over(id).await["state"], "DONE");
    rig.change(LinkStatus::SoftDrained).await;
    let old = rig.run();
    let fault = rig.fabric.inject(Fault::RejectLine { device: "par".into(), containing: "metric 1000000".into() });
    let id = rig.start_rollout(request.clone()).await;
    let rollout = rig.over(id).await;
    assert_eq!(ends(&rollout), ("FAILED", "ROLLED_BACK"), "{rollout:#}");
    assert_eq!((&rollout["error"]["code"], &rollout["message"]), (&json!("CW-JOB-LINE-REFUSED"), &json!("because")));
    let ([ams, _, lon, par], [_, fra, _, _]) = (old, rig.wanted());
    assert_eq!(rig.run(), [ams, fra, lon, par], "the first wave stays, the second went back");

    // Paused while its canary is watched: the next wave waits until it is resumed.
    rig.fabric.heal(fault);
    let watched = json!({ "exchange": "ex", "canaries": ["fra"], "soak": { "for_ms": 1_500, "by_health": false } });
    let id = rig.start_rollout(watched).await;
    let path = format!("/rollouts/{id}");
    rig.until(&path, "it soaks", |rollout| rollout["state"] == "SOAKING").await;
    let (status, paused) = rig.call(Method::POST, &format!("{path}/pause"), Some(json!({ "reason": "lunch" }))).await;
    assert_eq!((status, &paused["paused"]["reason"]), (200, &json!("lunch")), "{paused}");
    let (status, refused) = rig.call(Method::POST, &format!("{path}/pause"), Some(json!({ "reason": "tea" }))).await;
    assert_eq!((status, &refused["code"]), (409, &json!("CW-JOB-NOT-NOW")), "{refused}");
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    let (_, rollout) = rig.call(Method::GET, &path, None).await;
    assert_eq!((&rollout["state"], &rollout["wave"]), (&json!("PAUSED"), &json!(1)), "{rollout:#}");
    let (status, _) = rig.call(Method::POST, &format!("{path}/resume"), Some(json!({}))).await;
    assert_eq!(status, 200);
    let rollout = rig.over(id).await;
    assert_eq!(ends(&rollout), ("PROVISIONED", "DONE"), "{rollout:#}");
    assert_eq!(rig.run(), rig.wanted());

    // One that is cancelled in its first wave leaves nothing behind.
    let id = rig.start_rollout(request).await;
    let (_, cancelled) =
        rig.call(Method::POST, &format!("/rollouts/{id}/cancel"), Some(json!({ "reason": "no" }))).await;
    assert_eq!(cancelled["cancelled"]["actor"], "anna", "{cancelled}");
    assert_eq!(rig.over(id).await["state"], "CANCELLED");
    let entries = rig.audit("rollout.pause").await;
    assert_eq!((entries.len(), &entries[0]["actor"]), (4, &json!("anna")), "asked and ended, twice: {entries:#?}");
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_can_not_be_rolled_out_is_refused_before_anything_begins() {
    let rig = Rig::start(ChangePolicy::default(), &["lon"]).await;
    for (path, body, expected) in [
        ("/rollouts", all(), (409, "CW-JOB-NOT-BY-JOBS")),
        ("/rollouts", json!({}), (400, "CW-JOB-INVALID")),
        ("/rollouts", json!({ "devices": ["nowhere"] }), (404, "CW-CONTROLLER-DEVICE-UNKNOWN")),
        ("/rollouts", json!({ "devices": ["ams"], "canaries": ["fra"] }), (400, "CW-JOB-INVALID")),
        ("/rollouts", json!({ "devices": ["ams"], "kind": "network-change" }), (400, "CW-JOB-INVALID")),
        ("/rollouts", json!({ "devices": ["ams"], "soak": { "for_ms": 1_199 } }), (400, "CW-JOB-INVALID")),
        ("/rollouts", json!({ "devices": ["ams"], "at_once": 0 }), (400, "CW-JOB-INVALID")),
        ("/rollouts", json!({ "devices": ["ams"], "message": "a\nb" }), (400, "CW-JOB-INVALID")),
        (
            "/rollouts",
            json!({ "devices": ["ams"], "windows": [{ "opens": "noon", "minutes": 60 }] }),
            (400, "CW-JOB-INVALID"),
        ),
        (
            "/rollouts",
            json!({ "devices": ["ams"], "windows": [{ "opens": "mon-00:00", "minutes": 5 }] }),
            (400, "CW-JOB-INVALID"),
        ),
        ("/rollouts", json!({ "devices": ["ams"], "transport": "eapi-push" }), (400, "CW-JOB-UNSUPPORTED")),
        ("/rollouts", json!({ "devices": ["ams"], "colour": "red" }), (422, "CW-CONTROLLER-REQUEST-INVALID")),
        ("/rollouts/99/pause", json!({ "reason": "x" }), (404, "CW-JOB-UNKNOWN")),
        ("/rollouts/99/again", json!({}), (404, "CW-JOB-UNKNOWN")),
    ] {
        let (status, refused) = rig.call(Method::POST, path, Some(body.clone())).await;
        assert_eq!((status, refused["code"].as_str().unwrap()), expected, "{path} {body}: {refused}");
    }
    let (_, listed) = rig.call(Method::GET, "/rollouts", None).await;
    assert_eq!(listed, json!([]), "nothing was started");

    // A dry run changes nothing, so that it may be of any device.
    let dry = rig.start_rollout(json!({ "exchange": "ex", "dry_run": true })).await;
    let rollout = rig.over(dry).await;
    assert_eq!((ends(&rollout), &rollout["kind"]), (("NOT_PROVISIONED", "DONE"), &json!("dry-run")), "{rollout:#}");

    // Rollouts and jobs have numbers together, and are told apart.
    let (status, listed) = rig.call(Method::GET, "/jobs?limit=100", None).await;
    assert_eq!((status, listed.as_array().unwrap().len()), (200, 5), "a rollout and a job of each device: {listed}");
    let job = listed.as_array().unwrap().iter().find(|row| row["kind"] == "dry-run").unwrap()["id"].as_i64().unwrap();
    for (method, path) in [
        (Method::GET, format!("/jobs/{dry}")),
        (Method::GET, format!("/jobs/{dry}/logs")),
        (Method::GET, format!("/jobs/{dry}/events")),
        (Method::GET, format!("/rollouts/{job}")),
        (Method::GET, format!("/rollouts/{job}/logs")),
        (Method::POST, format!("/rollouts/{job}/pause")),
        (Method::POST, format!("/jobs/{dry}/hold")),
    ] {
        let body = (method == Method::POST).then(|| json!({ "reason": "x" }));
        let (status, refused) = rig.call(method, &path, body).await;
        assert_eq!((status, &refused["code"]), (404, &json!("CW-JOB-OTHER-KIND")), "{path}: {refused}");
    }
    let (_, only) = rig.call(Method::GET, "/jobs?kind=rollout", None).await;
    assert_eq!(only.as_array().unwrap().len(), 1);
    // Only an operator starts, pauses or approves.
    for path in ["", "/1/pause", "/1/resume", "/1/cancel", "/1/again", "/1/approve", "/1/break-glass"] {
        let url = format!("http://{}/api/v1/rollouts{path}", rig.running.handle.http_addr);
        let answer = rig.client.post(url).body("not even read").send().await.unwrap();
        assert_eq!(answer.status().as_u16(), 401, "{path}");
    }
    rig.stop().await;
}

fn rule(text: &str) -> ApprovalRule {
    text.parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rollout_that_needs_an_approval_begins_when_another_key_agrees() {
    let rules = vec![rule("kinds=provision devices=2 roles=owner,authority glass=authority")];
    let rig = Rig::start(ChangePolicy { approvals: rules, ..ChangePolicy::default() }, &[]).await;
    let request = json!({ "exchange": "ex", "soak": { "for_ms": 0, "by_health": false } });
    let (status, refused) = rig.call(Method::POST, "/rollouts", Some(request.clone())).await;
    assert_eq!((status, &refused["code"]), (403, &json!("CW-JOB-PROPOSER-UNKNOWN")), "{refused}");

    // Proposed by the owner, with anna's token.
    let events = rig.running.handle.shared().events.resume(None);
    let (status, started) = rig.signed(ANNA, &owner(), "/rollouts", &request).await;
    assert_eq!((status, &started["waits"]), (202, &json!(true)), "{started}");
    let id = started["id"].as_i64().unwrap();
    let (_, waiting) = rig.call(Method::GET, "/approvals", None).await;
    let approval = &waiting[0]["approval"];
    assert_eq!((&waiting[0]["id"], &waiting[0]["count"]), (&json!(id), &json!(4)), "{waiting:#}");
    assert_eq!(approval["proposer"], public(&owner()).to_string());
    let path = format!("/rollouts/{id}/approve");
    let body = json!({ "change": approval["change"], "reason": "looks good" });

    // Neither the proposer, nor somebody who is nothing, nor anything but a good signature of now over this.
    let (status, refused) = rig.signed(BOB, &owner(), &path, &body).await;
    assert_eq!((status, &refused["code"]), (403, &json!("CW-JOB-APPROVAL-REFUSED")), "{refused}");
    assert!(refused["cause"].as_str().unwrap().contains("who proposes a change"), "{refused}");
    let (status, refused) = rig.signed(BOB, &stranger(), &path, &body).await;
    assert_eq!((status, &refused["code"]), (403, &json!("CW-JOB-APPROVAL-REFUSED")), "{refused}");
    let (status, refused) = rig.call(Method::POST, &path, Some(body.clone())).await;
    assert_eq!((status, &refused["code"]), (401, &json!("CW-CONTROLLER-SIGNATURE-REFUSED")), "{refused}");
    let bytes = body.to_string().into_bytes();
    let other = Rig::signature(&authority(), "/rollouts/999/approve", &bytes, now_ms());
    let late = Rig::signature(&authority(), &path, &bytes, now_ms() - 301_000);
    let half = Rig::signature(&authority(), &path, &bytes, now_ms())[..2].to_vec();
    for headers in [&other[..], &late, &half] {
        let (status, refused) = rig.post(BOB, &path, bytes.clone(), headers).await;
        assert_eq!((status, &refused["code"]), (401, &json!("CW-CONTROLLER-SIGNATURE-REFUSED")), "{refused}");
    }
    let wrong = json!({ "change": "00".repeat(32), "reason": "not looked at" });
    let (status, refused) = rig.signed(BOB, &authority(), &path, &wrong).await;
    assert_eq!((status, &refused["code"]), (409, &json!("CW-JOB-CHANGE-DIFFERS")), "{refused}");
    // A job that is started on its own needs none for one device.
    let (_, rollout) = rig.call(Method::GET, &format!("/rollouts/{id}"), None).await;
    assert_eq!(rollout["state"], "WAITING_FOR_APPROVAL");
    assert!(rig.run().iter().all(String::is_empty), "nobody was touched");

    // Another key with the role agrees; the same signature is worth nothing a second time.
    let good = Rig::signature(&authority(), &path, &bytes, now_ms());
    let (status, approved) = rig.post(BOB, &path, bytes.clone(), &good).await;
    assert_eq!((status, &approved["approval"]["given"][0]["role"]), (200, &json!("authority")), "{approved}");
    let (status, refused) = rig.post(BOB, &path, bytes, &good).await;
    assert_eq!((status, &refused["code"]), (401, &json!("CW-CONTROLLER-SIGNATURE-REFUSED")), "{refused}");
    let rollout = rig.over(id).await;
    assert_eq!(ends(&rollout), ("PROVISIONED", "DONE"), "{rollout:#}");
    assert_eq!(rig.run(), rig.wanted());

    // The audit log says who, with which key, and has the proof.
    let entries = rig.audit("rollout.approve").await;
    let done = entries.iter().rfind(|entry| entry["actor"] == "bob").unwrap();
    let text = done.to_string();
    assert!(
        text.contains(&public(&authority()).to_string())
            || entries
                .iter()
                .any(|e| { e.to_string().contains(&public(&authority()).to_string()) && e["actor"] == "bob" }),
        "{entries:#?}"
    );
    let mut live = events.live;
    let mut acts = Vec::new();
    while let Ok(event) = live.try_recv() {
        if let Change::Approval { act, key, missing, .. } = &event.change {
            acts.push((act.clone(), key.clone(), *missing));
        }
    }
    let (owner, authority) = (public(&owner()).to_string(), public(&authority()).to_string());
    assert_eq!(acts, [("waits".into(), owner, 1), ("approved".into(), authority, 0)]);
    assert!(rig.text("/metrics").await.contains("causeway_job_approvals_total 1"));
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_nobody_approves_in_time_is_cancelled_and_the_glass_is_broken_by_whom_the_policy_names() {
    let mut short = rule("kinds=provision roles=owner,authority glass=authority");
    short.0.expires_ms = 700;
    let rig = Rig::start(ChangePolicy { approvals: vec![short], ..ChangePolicy::default() }, &[]).await;
    let request = json!({ "devices": ["ams"] });
    let (status, started) = rig.signed(ANNA, &owner(), "/jobs", &request).await;
    assert_eq!((status, &started["jobs"][0]["waits"]), (202, &json!(true)), "{started}");
    let late = started["jobs"][0]["id"].as_i64().unwrap();
    let (_, job) = rig.call(Method::GET, &format!("/jobs/{late}"), None).await;
    assert_eq!(job["state"], "WAITING_FOR_APPROVAL");
    tokio::time::sleep(Duration::from_millis(800)).await;
    let body = json!({ "change": job["approval"]["change"], "reason": "at last" });
    let (status, refused) = rig.signed(BOB, &authority(), &format!("/jobs/{late}/approve"), &body).await;
    assert_eq!((status, &refused["code"]), (403, &json!("CW-JOB-APPROVAL-REFUSED")), "{refused}");
    assert!(refused["cause"].as_str().unwrap().contains("the time"), "{refused}");
    // A runner does so every minute.
    let desk = rig.running.handle.shared().jobs.get().unwrap().desk.clone();
    assert_eq!(desk.expire().await.unwrap(), 1);
    let job = rig.until(&format!("/jobs/{late}"), "over", |job| job["over"] == true).await;
    assert_eq!(job["state"], "CANCELLED");
    assert!(job["cancelled"]["reason"].as_str().unwrap().contains("CW-JOB-APPROVAL-EXPIRED"), "{job:#}");
    assert!(rig.run().iter().all(String::is_empty), "nobody was touched");

    // Tried again it waits again, and whoever approves is told.
    let mut live = rig.running.handle.shared().events.resume(None).live;
    let (status, again) = rig.call(Method::POST, &format!("/jobs/{late}/retry"), Some(json!({}))).await;
    assert_eq!((status, &again["state"]), (200, &json!("WAITING_FOR_APPROVAL")), "{again}");
    let mut told = std::iter::from_fn(|| live.try_recv().ok());
    assert!(
        told.any(|event| matches!(&event.change, Change::Approval { act, job, .. } if act == "waits" && *job == late))
    );
    let (status, _) = rig.call(Method::POST, &format!("/jobs/{late}/cancel"), Some(json!({ "reason": "no" }))).await;
    assert_eq!(status, 200);
    rig.until(&format!("/jobs/{late}"), "over", |job| job["over"] == true).await;

    // In an emergency: not the owner, whom the policy does not name, but the authority.
    let (_, started) = rig.signed(ANNA, &owner(), "/jobs", &request).await;
    let id = started["jobs"][0]["id"].as_i64().unwrap_or_else(|| panic!("{started}"));
    let (_, job) = rig.call(Method::GET, &format!("/jobs/{id}"), None).await;
    let body = json!({ "change": job["approval"]["change"], "reason": "the site burns" });
    let path = format!("/jobs/{id}/break-glass");
    let (status, refused) = rig.signed(BOB, &owner(), &path, &body).await;
    assert_eq!((status, &refused["code"]), (403, &json!("CW-JOB-APPROVAL-REFUSED")), "{refused}");
    let (status, broken) = rig.signed(BOB, &authority(), &path, &body).await;
    assert_eq!((status, &broken["approval"]["glass"]["reason"]), (200, &json!("the site burns")), "{broken}");
    let job = rig.until(&format!("/jobs/{id}"), "over", |job| job["over"] == true).await;
    assert_eq!(job["status"], "PROVISIONED", "{job:#}");
    let entries = rig.audit("job.break-glass").await;
    let text = entries.iter().map(ToString::to_string).collect::<String>();
    for part in [public(&authority()).to_string(), "the site burns".to_owned(), "\"actor\":\"bob\"".to_owned()] {
        assert!(text.contains(&part), "{part}: {entries:#?}");
    }
    assert!(rig.text("/metrics").await.contains("causeway_job_glass_broken_total 1"));
    let logs = rig.text(&format!("/api/v1/jobs/{id}/logs")).await;
    assert!(logs.contains("glass-broken") && logs.contains("without approval, as authority: the site burns"), "{logs}");
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_that_is_held_does_nothing_until_it_is_released() {
    let rule = rule("kinds=provision roles=authority");
    let rig = Rig::start(ChangePolicy { approvals: vec![rule], ..ChangePolicy::default() }, &[]).await;
    let (_, started) = rig.signed(ANNA, &owner(), "/jobs", &json!({ "devices": ["ams"] })).await;
    let id = started["jobs"][0]["id"].as_i64().unwrap();
    // Held before it is approved, so that it can't begin in between.
    let (status, held) = rig.call(Method::POST, &format!("/jobs/{id}/hold"), Some(json!({ "reason": "wait" }))).await;
    assert_eq!((status, &held["held"]["reason"]), (200, &json!("wait")), "{held}");
    let body = json!({ "change": held["approval"]["change"], "reason": "fine" });
    let (status, _) = rig.signed(BOB, &authority(), &format!("/jobs/{id}/approve"), &body).await;
    assert_eq!(status, 200);
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    let (_, job) = rig.call(Method::GET, &format!("/jobs/{id}"), None).await;
    assert_eq!(job["state"], "HELD", "{job:#}");
    assert!(rig.run()[0].is_empty());
    let (status, _) = rig.call(Method::POST, &format!("/jobs/{id}/release"), Some(json!({}))).await;
    assert_eq!(status, 200);
    let job = rig.until(&format!("/jobs/{id}"), "over", |job| job["over"] == true).await;
    assert_eq!(job["status"], "PROVISIONED", "{job:#}");
    let (status, refused) = rig.call(Method::POST, &format!("/jobs/{id}/release"), Some(json!({}))).await;
    assert_eq!((status, &refused["code"]), (409, &json!("CW-JOB-NOT-NOW")), "{refused}");
    rig.stop().await;
}
