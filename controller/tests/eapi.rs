//! Jobs that push to Arista switches over eAPI: a real controller and driver, and `ModelEapi` for the switch, over real sockets.

// Helpers of tests may panic like tests.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;
#[allow(dead_code, unused_imports, clippy::indexing_slicing)]
#[path = "../../agent/tests/eos/model/mod.rs"]
mod model;

use std::{
    collections::BTreeMap,
    path::Path,
    time::{Duration, Instant},
};

use causeway_controller::{
    daemon::Config,
    jobs::{JobsConfig, Policy, StoreAt},
    orders::Turn,
    testing::code,
};
use causeway_interface::{LinkStatus, Platform};
use common::{Running, config};
use model::{Fault, ModelEapi, Switch, Wire};
use reqwest::{Client, Method};
use serde_json::{Value, json};

const TOKEN: &str = "a-token-of-the-operator";
/// Longest wait for anything: the switch's own timer is waited for, and the machine may be busy.
const PATIENCE: Duration = Duration::from_secs(90);

/// What an operator has on the switch and Causeway never touches; and a link to `fra` from before Causeway, with another MTU.
const OPERATORS: &str = "username op secret sha512 $6$salt$hash
ntp server 192.0.2.123
interface Ethernet3
   no switchport
   ip address 192.0.2.8/31
   isis enable 1
router isis 1
   net 49.0000.0000.0000.0001.00
";

fn switch() -> Switch {
    Switch::new(OPERATORS)
}

/// A cable to `fra` whose other end has this MTU.
fn cable(model: &ModelEapi, mtu: u32) {
    let wire = Wire { host: "fra", system_id: "0000.0000.0002", mtu };
    model.lock().switch.wires.insert("Ethernet3".to_owned(), wire);
}

struct Rig {
    running: Running,
    client: Client,
    folder: tempfile::TempDir,
}

fn jobs(folder: &Path, switches: &[(&str, &ModelEapi)], policy: Policy) -> JobsConfig {
    let eapi: BTreeMap<_, _> = switches
        .iter()
        .map(|(name, model)| (code(name), model.config(folder.join("eapi").join(format!("{name}.eos.json")))))
        .collect();
    JobsConfig { store: Some(StoreAt::File(folder.join("jobs.sqlite"))), eapi, policy, ..JobsConfig::default() }
}

fn policy() -> Policy {
    Policy { retry_ms: vec![50, 100, 200], verify_retry_ms: vec![50, 100, 200], ..Policy::default() }
}

impl Rig {
    async fn start(switches: &[(&str, &ModelEapi)], policy: Policy) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let running = Self::controller(jobs(folder.path(), switches, policy)).await;
        Self { running, client: Client::new(), folder }
    }

    async fn controller(jobs: JobsConfig) -> Running {
        let operator_token = Some(TOKEN.to_owned());
        Running::start_of(Config { operator_token, jobs, ..config() }, Platform::Eos).await
    }

    async fn call(&self, method: Method, path: &str, body: Option<Value>) -> (u16, Value) {
        let url = format!("http://{}/api/v1{path}", self.running.handle.http_addr);
        let mut request = self.client.request(method, url).bearer_auth(TOKEN);
        if let Some(body) = body {
            request = request.json(&body);
        }
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap())
    }

    async fn start_job(&self, request: Value) -> i64 {
        let (status, started) = self.call(Method::POST, "/jobs", Some(request)).await;
        assert_eq!(status, 202, "{started}");
        started["jobs"][0]["id"].as_i64().unwrap()
    }

    async fn until(&self, id: i64, what: &str, so: impl Fn(&Value) -> bool) -> Value {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let (status, job) = self.call(Method::GET, &format!("/jobs/{id}"), None).await;
            if status == 200 && so(&job) {
                return job;
            }
            assert!(Instant::now() < deadline, "never: {what}: {job:#}");
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
    }

    async fn ends(&self, id: i64) -> (String, Value) {
        let job = self.until(id, "over", |job| job["over"] == true).await;
        (job["state"].as_str().unwrap().to_owned(), job)
    }

    async fn does(&self, request: Value, state: &str) -> Value {
        let id = self.start_job(request).await;
        let (found, job) = self.ends(id).await;
        assert_eq!(found, state, "{job:#}");
        job
    }

    async fn change(&mut self, status: LinkStatus) {
        self.running.ledger.link_mut("ams-fra").header.status = status;
        self.running.publish().await;
    }

    /// Ends the controller as it stands, and starts another one over the same store and ledger.
    async fn next_controller(self, jobs: JobsConfig) -> Self {
        let Self { running, client, folder } = self;
        let ledger = running.ledger.clone();
        drop(running);
        let mut running = Self::controller(jobs).await;
        running.ledger = ledger;
        running.publish().await;
        Self { running, client, folder }
    }
}

fn of(device: &str) -> Value {
    json!({ "devices": [device] })
}

async fn eventually(what: &str, mut is: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is() {
        assert!(Instant::now() < deadline, "{what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_switch_is_brought_from_what_it_has_to_a_change_and_back_to_an_earlier_generation() {
    let model = ModelEapi::start_tls(switch()).await;
    let mut rig = Rig::start(&[("ams", &model)], policy()).await;
    let before = model.running();
    let job = rig.does(json!({ "devices": ["ams"], "dry_run": true }), "DONE").await;
    assert_eq!(job["devices"][0]["transport"], "eapi-push", "its usual way: {job:#}");
    let (_, diff) = rig.call(Method::GET, &format!("/jobs/{}/diff", job["id"]), None).await;
    assert!(diff[0]["diff"].as_str().unwrap().contains("router bgp"), "{diff}");
    assert!(model.running() == before && model.live_sessions().is_empty(), "a dry run left something");

    let job = rig.does(of("ams"), "DONE").await;
    assert_eq!((&job["steps"][5]["status"], &job["steps"][7]["status"]), (&json!("done"), &json!("done")));
    let runs = model.running();
    assert!(runs.contains("router bgp") && runs.contains("ntp server 192.0.2.123"), "{runs}");
    assert!(model.startup() == runs && model.live_sessions().is_empty());
    let generation = rig.running.generation("ams");
    // An agent beside it is offered nothing of this.
    let shared = rig.running.handle.shared();
    assert_eq!(shared.orders.turn(&code("ams"), true), Turn::Nothing);
    let again = rig.does(of("ams"), "DONE").await;
    assert_eq!(again["steps"][5]["status"], "already");

    rig.change(LinkStatus::SoftDrained).await;
    rig.does(of("ams"), "DONE").await;
    assert!(model.running().contains("isis metric 1000000") && model.running() != runs);
    rig.does(json!({ "devices": ["ams"], "kind": "revert", "generation": generation }), "DONE").await;
    assert_eq!(model.running(), runs);
    rig.running.handle.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_verification_that_fails_takes_it_back_and_a_retry_brings_it_when_that_is_mended() {
    let model = ModelEapi::start(switch()).await;
    cable(&model, 1_500);
    let rig = Rig::start(&[("ams", &model)], policy()).await;
    let before = model.running();
    let id = rig.start_job(of("ams")).await;
    let (state, job) = rig.ends(id).await;
    assert_eq!((state.as_str(), &job["error"]["code"]), ("ROLLED_BACK", &json!("CW-JOB-VERIFY-FAILED")), "{job:#}");
    assert!(job["error"].to_string().contains("no adjacency any more on Ethernet3"), "{job:#}");
    assert!(model.running() == before && model.live_sessions().is_empty());
    assert_eq!(model.lock().switch.reverted, 0, "it was told, and needed no timer");

    cable(&model, 9_000);
    let (status, _) = rig.call(Method::POST, &format!("/jobs/{id}/retry"), Some(json!({}))).await;
    assert_eq!(status, 200);
    assert_eq!(rig.ends(id).await.0, "DONE");
    assert!(model.running().contains("router bgp"));
    rig.running.handle.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_switch_whose_controller_is_killed_after_the_commit_goes_back_by_itself() {
    let model = ModelEapi::start(switch()).await;
    cable(&model, 1_500);
    // The verification fails at its first look, and its next one is far away.
    let waits = Policy { verify_retry_ms: vec![600_000], ..policy() };
    let rig = Rig::start(&[("ams", &model)], waits.clone()).await;
    let before = model.running();
    let id = rig.start_job(of("ams")).await;
    let missed = |job: &Value| job["steps"][6]["error"]["code"] == "CW-JOB-VERIFY-FAILED";
    rig.until(id, "it waits for its neighbour", missed).await;
    eventually("it is committed", || model.live_sessions().len() == 1).await;
    assert_ne!(model.running(), before);
    let folder = rig.folder.path().to_owned();
    let next = jobs(&folder, &[("ams", &model)], Policy { verify_retry_ms: vec![50], ..waits });
    let Rig { running, client, folder } = rig;
    let ledger = running.ledger.clone();
    drop(running);
    model.lock().switch.timer_goes_off();
    assert_eq!((model.running(), model.lock().switch.reverted), (before.clone(), 1));

    // The next controller finds it so, and ends the job.
    let mut running = Rig::controller(next).await;
    running.ledger = ledger;
    running.publish().await;
    let rig = Rig { running, client, folder };
    let (status, _) =
        rig.call(Method::POST, &format!("/jobs/{id}/cancel"), Some(json!({ "reason": "its controller died" }))).await;
    assert_eq!(status, 200);
    let (state, job) = rig.ends(id).await;
    assert_eq!(state, "CANCELLED", "{job:#}");
    assert!(model.running() == before && model.live_sessions().is_empty());
    rig.running.handle.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_killed_controller_committed_is_taken_back_by_the_next_one_before_the_timer_ends() {
    let model = ModelEapi::start(switch()).await;
    cable(&model, 1_500);
    let waits = Policy { verify_retry_ms: vec![1_000], ..policy() };
    let rig = Rig::start(&[("ams", &model)], waits.clone()).await;
    let before = model.running();
    let id = rig.start_job(of("ams")).await;
    eventually("it is committed", || model.running() != before && model.live_sessions().len() == 1).await;
    let next = jobs(rig.folder.path(), &[("ams", &model)], waits);
    let rig = rig.next_controller(next).await;
    let (state, job) = rig.ends(id).await;
    // The commit is known to the process that made it alone.
    assert_eq!(state, "ROLLED_BACK", "{job:#}");
    assert!(model.running() == before && model.live_sessions().is_empty());
    assert_eq!(model.lock().switch.reverted, 0);
    rig.running.handle.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_change_of_two_switches_one_that_had_confirmed_is_brought_back_whole() {
    let (ams, fra) = (ModelEapi::start(switch()).await, ModelEapi::start(switch()).await);
    let mut rig = Rig::start(&[("ams", &ams), ("fra", &fra)], policy()).await;
    let request = json!({ "devices": ["ams", "fra"], "kind": "network-change" });
    let job = rig.does(request.clone(), "DONE").await;
    let extended = job["steps"].as_array().unwrap().iter().find(|step| step["step"] == "extend").unwrap();
    assert!(extended["message"].as_str().unwrap().contains("the device has no means"), "{extended}");
    let before = [ams.running(), fra.running()];

    rig.change(LinkStatus::SoftDrained).await;
    // Any number of times.
    for _ in 0..20 {
        fra.inject("* commit", Fault::Fail(1_000, "the flash is full".into()));
    }
    let job = rig.does(request, "ROLLED_BACK").await;
    assert_eq!([ams.running(), fra.running()], before, "{job:#}");
    assert!(ams.live_sessions().is_empty() && fra.live_sessions().is_empty());
    rig.running.handle.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pair_that_does_not_work_is_refused_before_anything_starts() {
    let model = ModelEapi::start(switch()).await;
    let rig = Rig::start(&[("ams", &model)], policy()).await;
    for (device, transport, words) in [
        ("fra", "eapi-push", "this controller has no address for it"),
        ("ams", "agent-pull", "this controller pushes to it"),
        ("ams", "in-memory", "this controller has no in-memory set up"),
    ] {
        let request = json!({ "devices": [device], "transport": transport });
        let (status, refused) = rig.call(Method::POST, "/jobs", Some(request)).await;
        let error = refused.to_string();
        assert!(status == 400 && error.contains("CW-JOB-UNSUPPORTED") && error.contains(words), "{status} {refused}");
    }
    let merge = json!({ "devices": ["ams"], "mode": "merge" });
    let (status, refused) = rig.call(Method::POST, "/jobs", Some(merge)).await;
    assert!(status == 400 && refused.to_string().contains("can not merge"), "{refused}");
    let (_, listed) = rig.call(Method::GET, "/jobs", None).await;
    assert_eq!((listed, model.lock().calls.len()), (json!([]), 0), "nothing was asked of anybody");
    rig.running.handle.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_switch_refuses_and_one_that_is_away_are_told_apart_and_no_password_is_told() {
    let model = ModelEapi::start(switch()).await;
    let rig = Rig::start(&[("ams", &model)], policy()).await;
    let before = model.running();
    for _ in 0..20 {
        model.inject("router bgp", Fault::Fail(1_002, "Invalid input (at token 1: 'bgp')".into()));
    }
    let refused = rig.does(of("ams"), "FAILED_VALIDATION").await;
    assert_eq!(refused["error"]["code"], "CW-JOB-LINE-REFUSED", "{refused:#}");
    assert!(refused["error"].to_string().contains("router bgp"), "{refused:#}");
    assert!(model.running() == before && model.live_sessions().is_empty());

    model.lock().faults.clear();
    for _ in 0..2_000 {
        model.inject("enable", Fault::DropBefore);
    }
    let away = rig.does(of("ams"), "ROLLED_BACK").await;
    assert_eq!(away["error"]["code"], "CW-JOB-UNREACHABLE", "{away:#}");
    model.lock().faults.clear();
    let id = away["id"].as_i64().unwrap();
    let (_, logs) = rig.call(Method::GET, &format!("/jobs/{id}/logs"), None).await;
    for told in [refused.to_string(), away.to_string(), logs.to_string()] {
        assert!(!told.contains(model::PASSWORD), "{told}");
    }
    rig.running.handle.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_switch_that_is_slow_or_whose_answer_is_lost_is_asked_again_and_commits_once() {
    let model = ModelEapi::start(switch()).await;
    let rig = Rig::start(&[("ams", &model)], Policy { ask_ms: 3_000, ..policy() }).await;
    model.inject("show configuration sessions", Fault::Slow(Duration::from_secs(8)));
    // Its ten minutes, as EOS is told them: it is done, and nobody hears of it.
    model.inject("*commit timer 00:10:00", Fault::DropAfter);
    let job = rig.does(of("ams"), "DONE").await;
    let tried = |step: usize| {
        (job["steps"][step]["status"].as_str().unwrap(), job["steps"][step]["attempts"].as_u64().unwrap())
    };
    assert_eq!((tried(1), tried(5)), (("done", 2), ("already", 2)), "{job:#}");
    assert!(model.lock().faults.is_empty() && model.running().contains("router bgp"));
    let commits = model.lock().calls.iter().flatten().filter(|call| call.contains("commit timer")).count();
    assert_eq!((commits, model.lock().switch.reverted), (1, 0));
    rig.running.handle.shutdown().await;
}
