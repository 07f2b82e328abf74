//! Jobs in a running controller: what devices are served, what agents are told, and what outlives a controller.

// Helpers of tests may panic like tests.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::{
    collections::BTreeSet,
    net::SocketAddr,
    path::Path,
    time::{Duration, Instant},
};

use causeway_agent::{
    Agent, AgentConfig, AgentHandle, Intervals,
    apply::ApplyLimits,
    driver::Driver,
    sim::{self, Fabric, Fault, Moment, Port, UplinkKind, Verb},
};
use causeway_controller::{
    daemon::Config,
    jobs::{
        JobsConfig, Policy, StoreAt,
        automatic::{AutomaticConfig, Field},
    },
    orders::ByJobs,
    testing::{PROGRAM_ID, code},
};
use causeway_interface::{DeviceStatus, InterfaceKind, InterfaceRole, LinkStatus, Prefix};
use causeway_jobs::spec::JobId;
use causeway_wire::controller::GetConfigRequest;
use common::{PATIENCE, Running, agent_key, config, open, with_token};
use reqwest::{Client, Method};
use serde_json::{Value, json};

const TOKEN: &str = "a-token-of-the-operator";

/// The simulated routers of `ams` and `fra`, with the ports that their records have, and without a cable.
fn fabric(running: &Running, family: sim::Family) -> Fabric {
    let fabric = Fabric::new(3);
    for name in ["ams", "fra"] {
        let device = running.ledger.snapshot.devices.values().find(|d| d.code == code(name)).unwrap();
        fabric.add_device(name, family, Some(device.public_ip.to_string().parse().unwrap())).unwrap();
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

/// A controller with jobs in a folder; `ams` and `fra` are provisioned by jobs where it is said.
struct Rig {
    running: Running,
    fabric: Fabric,
    client: Client,
    folder: tempfile::TempDir,
    /// Simulated devices' timers go by the time of this machine.
    clock: tokio::task::JoinHandle<()>,
}

fn jobs(folder: &Path, by_jobs: bool, automatic: AutomaticConfig) -> JobsConfig {
    let devices = if by_jobs { BTreeSet::from([code("ams"), code("fra")]) } else { BTreeSet::new() };
    JobsConfig {
        store: Some(StoreAt::File(folder.join("jobs.sqlite"))),
        by_jobs: ByJobs { devices, ..ByJobs::default() },
        policy: Policy { retry_ms: vec![50, 100, 200], verify_retry_ms: vec![50, 100, 200], ..Policy::default() },
        automatic,
        ..JobsConfig::default()
    }
}

impl Rig {
    async fn start(family: sim::Family, by_jobs: bool, automatic: AutomaticConfig) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let any = config().grpc_addr;
        let running = Self::controller(family, jobs(folder.path(), by_jobs, automatic), any).await;
        let fabric = fabric(&running, family);
        let clock = fabric.run_clock();
        Self { running, fabric, client: Client::new(), folder, clock }
    }

    async fn controller(family: sim::Family, jobs: JobsConfig, grpc_addr: SocketAddr) -> Running {
        let operator_token = Some(TOKEN.to_owned());
        let family = Some(family.name().parse().unwrap());
        let running = Running::start(Config { operator_token, family, jobs, grpc_addr, ..config() }).await;
        running.handle.shared().finalized(u64::MAX);
        running
    }

    fn agent(&self) -> AgentHandle {
        self.agent_of("ams", 1)
    }

    fn agent_of(&self, name: &str, seed: u8) -> AgentHandle {
        let config = AgentConfig {
            device: name.into(),
            program_id: PROGRAM_ID.0,
            controllers: vec![format!("http://{}", self.running.handle.grpc_addr)],
            controller_ca: None,
            controller_keys: BTreeSet::from([self.running.handle.controller_key()]),
            oracles: Vec::new(),
            agent_key: agent_key(seed),
            telemetry_key: agent_key(9),
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
        Agent::start(config, self.fabric.driver(name).unwrap()).unwrap()
    }

    async fn audit(&self, action: &str) -> Vec<Value> {
        let url = format!("http://{}/api/v1/audit?action={action}", self.running.handle.http_addr);
        let text = self.client.get(url).bearer_auth(TOKEN).send().await.unwrap().text().await.unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
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

    async fn ends(&self, id: i64) -> (String, String, Value) {
        let job = self.until(id, "over", |job| job["over"] == true).await;
        let word = |field: &str| job[field].as_str().unwrap().to_owned();
        (word("status"), word("state"), job)
    }

    /// Runs a job that has to succeed.
    async fn provision(&self) {
        let id = self.start_job(json!({ "devices": ["ams"] })).await;
        let (status, _, job) = self.ends(id).await;
        assert_eq!(status, "PROVISIONED", "{job:#}");
        assert!(self.runs() == self.wanted());
    }

    fn runs(&self) -> String {
        self.fabric.running_text("ams").unwrap()
    }

    fn wanted(&self) -> String {
        self.running.handle.bundle(&code("ams")).unwrap().text.to_string()
    }

    async fn eventually(&self, what: &str, holds: impl Fn() -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !holds() {
            assert!(Instant::now() < deadline, "never: {what}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn is_pending(&self) -> bool {
        self.fabric.driver("ams").unwrap().is_pending().await.unwrap()
    }

    /// Ends the controller, and starts another one over the same store and ledger, at the same address for agents.
    async fn next_controller(self) -> Self {
        let Self { running, fabric, client, folder, clock } = self;
        let (ledger, address) = (running.ledger.clone(), running.handle.grpc_addr);
        running.handle.shutdown().await;
        let mut running = Self::controller(sim::Family::Frr, jobs(folder.path(), true, off()), address).await;
        running.ledger = ledger;
        running.publish().await;
        Self { running, fabric, client, folder, clock }
    }

    async fn change(&mut self, status: LinkStatus) {
        self.running.ledger.link_mut("ams-fra").header.status = status;
        self.running.publish().await;
    }

    async fn stop(self, agent: AgentHandle) {
        agent.shutdown().await;
        self.running.handle.shutdown().await;
        self.clock.abort();
    }
}

fn off() -> AutomaticConfig {
    AutomaticConfig::default()
}

async fn whole_way(family: sim::Family) {
    let mut rig = Rig::start(family, true, off()).await;
    let agent = rig.agent();
    rig.provision().await;
    let old = rig.runs();
    rig.change(LinkStatus::SoftDrained).await;
    assert_eq!(rig.runs(), old);
    rig.provision().await;
    assert_ne!(rig.runs(), old);
    let page = rig.client.get(format!("http://{}/metrics", rig.running.handle.http_addr)).send().await.unwrap();
    let page = page.text().await.unwrap();
    let ended = "causeway_jobs_ended_total{kind=\"provision\",status=\"PROVISIONED\",state=\"DONE\"} 2";
    assert!(page.contains(ended) && !page.contains("# EOF"), "{page}");
    rig.stop(agent).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_device_of_frr_is_brought_from_nothing_to_a_change() {
    whole_way(sim::Family::Frr).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_device_of_eos_is_brought_from_nothing_to_a_change() {
    whole_way(sim::Family::Eos).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_device_that_is_served_continuously_is_done_already_and_goes_on_being_served() {
    let mut rig = Rig::start(sim::Family::Frr, false, off()).await;
    let agent = rig.agent();
    rig.eventually("it runs what the ledger asks for", || rig.runs() == rig.wanted()).await;
    let id = rig.start_job(json!({ "devices": ["ams"] })).await;
    let (status, _, job) = rig.ends(id).await;
    assert_eq!((status.as_str(), &job["steps"][5]["status"]), ("PROVISIONED", &json!("already")), "{job:#}");
    rig.change(LinkStatus::SoftDrained).await;
    rig.eventually("the next change comes by itself", || rig.runs() == rig.wanted()).await;
    // What goes back makes no sense where the ledger is served in the next moment.
    let generation = rig.running.generation("ams");
    let id = rig.start_job(json!({ "devices": ["ams"], "kind": "revert", "generation": generation })).await;
    let (_, state, job) = rig.ends(id).await;
    assert_eq!(
        (state.as_str(), &job["error"]["code"]),
        ("FAILED_VALIDATION", &json!("CW-JOB-LEDGER-REFUSED")),
        "{job:#}"
    );
    rig.stop(agent).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_device_goes_back_to_an_earlier_generation_and_forward_again() {
    let mut rig = Rig::start(sim::Family::Frr, true, off()).await;
    let agent = rig.agent();
    rig.provision().await;
    let (first, generation) = (rig.runs(), rig.running.generation("ams"));
    rig.change(LinkStatus::SoftDrained).await;
    rig.provision().await;
    let id = rig.start_job(json!({ "devices": ["ams"], "kind": "revert", "generation": generation })).await;
    let (status, _, job) = rig.ends(id).await;
    assert_eq!((status.as_str(), rig.runs() == first), ("PROVISIONED", true), "{job:#}");
    rig.provision().await;
    assert_ne!(rig.runs(), first);
    // Out of service, everything but management and loopbacks goes.
    let id = rig.start_job(json!({ "devices": ["ams"], "kind": "decommission" })).await;
    assert_eq!(rig.ends(id).await.1, "FAILED_VALIDATION", "it is in service");
    rig.running.ledger.device_mut("ams").header.status = DeviceStatus::Drained;
    rig.running.publish().await;
    let id = rig.start_job(json!({ "devices": ["ams"], "kind": "decommission" })).await;
    let (status, _, job) = rig.ends(id).await;
    assert_eq!(status, "PROVISIONED", "{job:#}");
    assert!(!rig.runs().contains("router isis"), "{}", rig.runs());
    rig.stop(agent).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_goes_back_when_its_job_is_cancelled() {
    let mut rig = Rig::start(sim::Family::Frr, true, off()).await;
    let agent = rig.agent();
    rig.provision().await;
    let old = rig.runs();
    rig.change(LinkStatus::SoftDrained).await;
    // The device confirms nothing, so that the job stays where it is.
    let fault = rig.fabric.inject(Fault::Hang { device: "ams".into(), verb: Verb::Confirm, moment: Moment::Before });
    let id = rig.start_job(json!({ "devices": ["ams"] })).await;
    rig.until(id, "it confirms", |job| job["steps"][7]["status"] == "running").await;
    assert!(rig.runs() == rig.wanted() && rig.is_pending().await, "armed until it is confirmed");
    let (status, _) = rig.call(Method::POST, &format!("/jobs/{id}/cancel"), Some(json!({ "reason": "no" }))).await;
    assert_eq!(status, 200);
    let asked = rig.audit("job.cancel").await;
    assert_eq!((asked.len(), &asked[0]["before"]["asked"]["reason"]), (2, &json!("no")), "asked and done: {asked:#?}");
    rig.fabric.heal(fault);
    let agent_again = {
        // Its verb hangs for a minute; an agent that is started anew takes back what was not confirmed.
        agent.kill();
        rig.agent()
    };
    let (status, state, job) = rig.ends(id).await;
    assert_eq!((status.as_str(), state.as_str()), ("NOT_PROVISIONED", "CANCELLED"), "{job:#}");
    assert!(rig.runs() == old && !rig.is_pending().await);
    // And nothing of it comes back.
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(rig.runs(), old);
    rig.stop(agent_again).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_last_job_left_is_served_by_the_next_controller_and_its_jobs_go_on() {
    let mut rig = Rig::start(sim::Family::Frr, true, off()).await;
    let agent = rig.agent();
    rig.provision().await;
    let old = rig.runs();
    // The ledger changes, and a job waits for a device whose agent is away, when the controller goes.
    rig.change(LinkStatus::SoftDrained).await;
    agent.shutdown().await;
    let id = rig.start_job(json!({ "devices": ["ams"] })).await;
    rig.until(id, "it waits", |job| job["state"] == "WAITING_FOR_DEVICE").await;
    let rig = rig.next_controller().await;
    let served = || rig.running.handle.shared().orders.of(&code("ams")).kept.map(|kept| kept.text.to_string());
    rig.eventually("what the last job left is known", || served().as_deref() == Some(old.as_str())).await;
    let agent = rig.agent();
    let (status, _, job) = rig.ends(id).await;
    assert_eq!(status, "PROVISIONED", "{job:#}");
    assert!(rig.runs() == rig.wanted() && rig.runs() != old);
    rig.stop(agent).await;
}

#[tokio::test]
async fn an_agent_of_before_orders_is_given_none() {
    let rig = Rig::start(sim::Family::Frr, true, off()).await;
    let mut client = rig.running.client().await;
    let token = open(&mut client, "ams", &agent_key(1)).await.unwrap();
    let refused = client.get_config(with_token(&token, GetConfigRequest::default())).await.unwrap_err();
    assert_eq!(refused.metadata().get("causeway-code").unwrap(), "no-config");
    let new = GetConfigRequest { takes_orders: true, ..GetConfigRequest::default() };
    let nothing = client.get_config(with_token(&token, new)).await.unwrap().into_inner();
    assert!(nothing.nothing && nothing.bundle.is_none() && nothing.probe_plan.is_some());
    // One that is said to wait for a hash of the wrong length is no poll.
    let wrong = GetConfigRequest { waiting_sha256: vec![1], ..GetConfigRequest::default() };
    let refused = client.get_config(with_token(&token, wrong)).await.unwrap_err();
    assert_eq!(refused.metadata().get("causeway-code").unwrap(), "poll-invalid");
    rig.running.handle.shutdown().await;
}

#[tokio::test]
async fn without_a_store_there_are_no_jobs_and_only_the_operator_starts_some() {
    let running = Running::start(config()).await;
    let url = format!("http://{}/api/v1/jobs", running.handle.http_addr);
    let answer = reqwest::get(&url).await.unwrap();
    let (status, body) = (answer.status().as_u16(), answer.json::<Value>().await.unwrap());
    assert_eq!((status, &body["code"]), (503, &json!("CW-CONTROLLER-NO-JOBS")));
    running.handle.shutdown().await;

    let rig = Rig::start(sim::Family::Frr, true, off()).await;
    let url = format!("http://{}/api/v1/jobs", rig.running.handle.http_addr);
    for path in ["", "/1/retry", "/1/skip-step", "/1/cancel", "/automatic"] {
        let answer = rig.client.post(format!("{url}{path}")).body("not even read").send().await.unwrap();
        assert_eq!(answer.status().as_u16(), 401, "{path}");
    }
    let answer = rig.client.get(format!("{url}/1/diff")).send().await.unwrap();
    assert_eq!(answer.status().as_u16(), 401);
    let (status, started) = rig.call(Method::POST, "/jobs", Some(json!({ "exchange": "ex", "dry_run": true }))).await;
    assert_eq!((status, started["jobs"].as_array().unwrap().len()), (202, 4), "one for each device: {started}");
    rig.running.handle.shutdown().await;
}

/// Another address for one interface of the device, as the ledger would tell it.
async fn touch_interface(rig: &mut Rig, last: u8) {
    let device = rig.running.ledger.device_mut("ams");
    let uplink = device.interfaces.iter_mut().find(|interface| interface.role == InterfaceRole::Dia).unwrap();
    uplink.address = Prefix::new(u32::from_be_bytes([203, 0, 113, last]), 31);
    rig.running.publish().await;
}

async fn jobs_of(rig: &Rig) -> Vec<Value> {
    rig.call(Method::GET, "/jobs", None).await.1.as_array().unwrap().clone()
}

async fn next_job(rig: &Rig, before: usize) -> Value {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let listed = jobs_of(rig).await;
        if listed.len() > before {
            let id = listed[0]["id"].as_i64().unwrap();
            return rig.ends(id).await.2;
        }
        assert!(Instant::now() < deadline, "no job was started");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn on() -> AutomaticConfig {
    AutomaticConfig {
        enabled: true,
        fields: BTreeSet::from([Field::Interfaces]),
        debounce: Duration::from_millis(200),
        ..AutomaticConfig::default()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_on_the_ledger_starts_a_dry_run_and_none_when_it_is_switched_off() {
    let mut rig = Rig::start(sim::Family::Frr, true, on()).await;
    let agent = rig.agent();
    rig.provision().await;
    let old = rig.runs();
    // Of what does not count, nothing.
    rig.change(LinkStatus::SoftDrained).await;
    rig.change(LinkStatus::Activated).await;
    tokio::time::sleep(Duration::from_millis(800)).await;
    assert_eq!(jobs_of(&rig).await.len(), 1);
    touch_interface(&mut rig, 2).await;
    let job = next_job(&rig, 1).await;
    assert_eq!(
        (&job["kind"], &job["trigger"], &job["state"]),
        (&json!("dry-run"), &json!("automatic"), &json!("DONE"))
    );
    let (_, diff) = rig.call(Method::GET, &format!("/jobs/{}/diff", job["id"]), None).await;
    assert!(diff[0]["diff"].as_str().unwrap().contains("+ ip address 203.0.113.2/31"), "{diff}");
    assert_eq!(rig.runs(), old, "a dry run changes nothing");

    let (_, state) = rig.call(Method::POST, "/jobs/automatic", Some(json!({ "enabled": false }))).await;
    assert_eq!(state["enabled"], false);
    touch_interface(&mut rig, 4).await;
    tokio::time::sleep(Duration::from_millis(1_000)).await;
    assert_eq!(jobs_of(&rig).await.len(), 2, "it is switched off");
    rig.stop(agent).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_on_the_ledger_of_a_device_that_opted_in_is_committed_and_verified() {
    let commit = AutomaticConfig { commit_contributors: BTreeSet::from([code("co")]), ..on() };
    let mut rig = Rig::start(sim::Family::Frr, true, commit).await;
    let agent = rig.agent();
    rig.provision().await;
    let old = rig.runs();
    touch_interface(&mut rig, 6).await;
    let job = next_job(&rig, 1).await;
    assert_eq!((&job["kind"], &job["status"]), (&json!("provision"), &json!("PROVISIONED")), "{job:#}");
    assert_eq!(job["steps"][6]["status"], "done", "verified");
    assert!(rig.runs() == rig.wanted() && rig.runs() != old);
    rig.stop(agent).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_of_the_network_is_on_all_devices_or_on_none() {
    let mut rig = Rig::start(sim::Family::Frr, true, off()).await;
    let (ams, fra) = (rig.agent(), rig.agent_of("fra", 2));
    let request = json!({ "devices": ["ams", "fra"], "kind": "network-change" });
    let runs = |rig: &Rig| ["ams", "fra"].map(|name| rig.fabric.running_text(name).unwrap());
    let id = rig.start_job(request.clone()).await;
    let (status, _, job) = rig.ends(id).await;
    assert_eq!(status, "PROVISIONED", "{job:#}");
    let extended = job["steps"].as_array().unwrap().iter().filter(|step| step["step"] == "extend");
    let said: Vec<&Value> = extended.map(|step| &step["message"]).collect();
    assert_eq!(said, ["the time to confirm counts from now"; 2], "both were told, and did");
    let old = runs(&rig);
    assert!(old.iter().all(|text| text.contains("router isis")));

    rig.change(LinkStatus::SoftDrained).await;
    let fault = Fault::RejectLine { device: "fra".into(), containing: "metric 1000000".into() };
    let fault = rig.fabric.inject(fault);
    let id = rig.start_job(request).await;
    let (status, state, job) = rig.ends(id).await;
    assert_eq!((status.as_str(), state.as_str()), ("FAILED", "FAILED_VALIDATION"), "{job:#}");
    assert_eq!(runs(&rig), old, "also the one that had committed");
    assert!(!rig.is_pending().await);
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(runs(&rig), old);

    rig.fabric.heal(fault);
    let (status, _) = rig.call(Method::POST, &format!("/jobs/{id}/retry"), Some(json!({}))).await;
    assert_eq!(status, 200);
    let (status, _, job) = rig.ends(id).await;
    assert_eq!(status, "PROVISIONED", "{job:#}");
    assert!(runs(&rig).iter().all(|text| text.contains("metric 1000000")));
    fra.shutdown().await;
    rig.stop(ams).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_neighbour_that_goes_after_the_commit_is_seen_before_anything_is_confirmed() {
    let mut rig = Rig::start(sim::Family::Frr, true, off()).await;
    let port = |name: &str| {
        let ledger = &rig.running.ledger.snapshot;
        let device = ledger.devices.values().find(|device| device.code == code(name)).unwrap();
        let interface = device.interfaces.iter().find(|interface| !interface.link.is_zero()).unwrap();
        Port::new(name, interface.name.as_str())
    };
    let (near, far) = (port("ams"), port("fra"));
    rig.fabric.add_cable(near.clone(), far, Duration::from_millis(1)).unwrap();
    let (ams, fra) = (rig.agent(), rig.agent_of("fra", 2));
    let request = json!({ "devices": ["ams", "fra"], "kind": "network-change" });
    let id = rig.start_job(request.clone()).await;
    assert_eq!(rig.ends(id).await.0, "PROVISIONED");
    let runs = |rig: &Rig| ["ams", "fra"].map(|name| rig.fabric.running_text(name).unwrap());
    let old = runs(&rig);

    rig.change(LinkStatus::SoftDrained).await;
    // One commits and is held there until the other's cable is cut.
    fra.shutdown().await;
    let id = rig.start_job(request).await;
    rig.until(id, "one has committed", |job| {
        job["steps"].as_array().unwrap().iter().any(|step| step["step"] == "commit" && step["status"] == "done")
    })
    .await;
    let desk = rig.running.handle.shared().jobs.get().unwrap().desk.clone();
    desk.hold(JobId(id), "tester", "to be looked at").await.unwrap();
    let fra = rig.agent_of("fra", 2);
    rig.until(id, "both have committed", |job| {
        let steps = job["steps"].as_array().unwrap();
        steps.iter().filter(|step| step["step"] == "commit").all(|step| step["status"] == "done")
    })
    .await;
    rig.fabric.inject(Fault::LinkCut { port: near });
    desk.release(JobId(id), "tester").await.unwrap();
    let (status, state, job) = rig.ends(id).await;
    assert_eq!((status.as_str(), state.as_str()), ("FAILED", "ROLLED_BACK"), "{job:#}");
    assert_eq!(job["error"]["code"], "CW-JOB-VERIFY-FAILED", "{job:#}");
    assert_eq!(runs(&rig), old);
    fra.shutdown().await;
    rig.stop(ams).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_between_commit_and_confirmation_is_confirmed_by_the_next_controller() {
    let mut rig = Rig::start(sim::Family::Frr, true, off()).await;
    let agent = rig.agent();
    rig.provision().await;
    rig.change(LinkStatus::SoftDrained).await;
    // The job waits for the agent in its commit, and is held there.
    agent.shutdown().await;
    let id = rig.start_job(json!({ "devices": ["ams"] })).await;
    rig.until(id, "it waits", |job| job["state"] == "WAITING_FOR_DEVICE").await;
    let desk = |rig: &Rig| rig.running.handle.shared().jobs.get().unwrap().desk.clone();
    desk(&rig).hold(JobId(id), "tester", "to be looked at").await.unwrap();
    let agent = rig.agent();
    rig.until(id, "it has committed", |job| job["steps"][5]["status"] == "done").await;
    assert!(rig.is_pending().await && rig.runs() == rig.wanted());

    let rig = rig.next_controller().await;
    assert!(rig.is_pending().await, "nobody has said anything yet");
    desk(&rig).release(JobId(id), "tester").await.unwrap();
    let (status, _, job) = rig.ends(id).await;
    assert_eq!((status.as_str(), &job["steps"][7]["status"]), ("PROVISIONED", &json!("done")), "{job:#}");
    assert!(!rig.is_pending().await && rig.runs() == rig.wanted());
    // What it left is served from then on, also by a controller that did not offer it.
    let kept = || rig.running.handle.shared().orders.of(&code("ams")).kept.map(|kept| kept.text.to_string());
    rig.eventually("it is kept", || kept() == Some(rig.wanted())).await;
    rig.stop(agent).await;
}
