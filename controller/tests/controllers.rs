//! Two controllers on one PostgreSQL: each works on the jobs whose agents are there, and what one left half done when it died is
//! brought to its end, or back, by the other.

// Helpers of tests may panic like tests.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::{
    collections::BTreeSet,
    path::Path,
    time::{Duration, Instant},
};

use causeway_agent::{
    Agent, AgentConfig, AgentHandle, Intervals,
    apply::ApplyLimits,
    driver::Driver,
    sim::{self, Fabric, Port, UplinkKind},
};
use causeway_controller::{
    daemon::Config,
    jobs::{JobsConfig, Policy, StoreAt},
    orders::ByJobs,
    testing::{PROGRAM_ID, code},
};
use causeway_interface::{InterfaceKind, InterfaceRole, Prefix};
use causeway_jobs::{
    event::{Event, Recorded},
    spec::JobId,
    store::{JobStore, MAX_PAGE, postgres::PostgresStore, postgres::server::Server},
};
use common::{Running, agent_key, config};
use reqwest::{Client, Method};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

const TOKEN: &str = "a-token-of-the-operator";
/// Longest wait for anything: a lease that has to run out takes 15 s, and the machine may be busy.
const PATIENCE: Duration = Duration::from_secs(90);
/// Below this a job is taken because its agent is there; only after three quarters of a minute it is anybody's.
const SOON: Duration = Duration::from_secs(30);

/// A controller with everything of it on threads of its own, so that it can die as a process does.
struct Process {
    runtime: Option<Runtime>,
    running: Running,
}

impl Drop for Process {
    /// Nothing of it runs any more, and nobody is told.
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Process {
    fn start(url: &str) -> Self {
        let jobs = JobsConfig {
            store: Some(StoreAt::Server(url.to_owned())),
            by_jobs: ByJobs { devices: BTreeSet::from([code("ams"), code("fra")]), ..ByJobs::default() },
            policy: Policy { retry_ms: vec![50, 100, 200], verify_retry_ms: vec![50, 100, 200], ..Policy::default() },
            ..JobsConfig::default()
        };
        let config = Config { operator_token: Some(TOKEN.to_owned()), jobs, ..config() };
        let begun = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
            let running = runtime.block_on(Running::start(config));
            running.handle.shared().finalized(u64::MAX);
            Self { runtime: Some(runtime), running }
        });
        begun.join().unwrap()
    }

    fn agents_url(&self) -> String {
        format!("http://{}", self.running.handle.grpc_addr)
    }
}

struct Rig {
    server: Server,
    folder: tempfile::TempDir,
    store: PostgresStore,
    fabric: Fabric,
    clock: tokio::task::JoinHandle<()>,
    client: Client,
}

impl Rig {
    async fn start() -> (Self, Process, Process) {
        let folder = tempfile::tempdir().unwrap();
        let server = Server::start(folder.path()).unwrap_or_else(|why| panic!("{why}"));
        let url = server.url();
        let (a, b) = (Process::start(&url), Process::start(&url));
        let fabric = fabric(&a.running);
        let clock = fabric.run_clock();
        let store = PostgresStore::open(&url, false).await.unwrap();
        (Self { server, folder, store, fabric, clock, client: Client::new() }, a, b)
    }

    fn agent(&self, name: &str, seed: u8, controllers: &[&Process]) -> AgentHandle {
        let key = controllers[0].running.handle.controller_key();
        let config = AgentConfig {
            device: name.into(),
            program_id: PROGRAM_ID.0,
            controllers: controllers.iter().map(|controller| controller.agents_url()).collect(),
            controller_ca: None,
            controller_keys: BTreeSet::from([key]),
            oracles: Vec::new(),
            agent_key: agent_key(seed),
            telemetry_key: agent_key(9),
            state_dir: self.state_dir().to_owned(),
            intervals: Intervals {
                sample: Duration::from_secs(1),
                poll: Duration::from_millis(200),
                retry_base: Duration::from_millis(50),
                retry_max: Duration::from_millis(500),
                ..Intervals::default()
            },
            // What a change breaks is waited for a second: that long a commit is there that nobody has heard of.
            limits: ApplyLimits { verify: Duration::from_secs(4), ..ApplyLimits::default() },
            probes_per_sample: 1,
            buffered_samples: 100,
        };
        Agent::start(config, self.fabric.driver(name).unwrap()).unwrap()
    }

    fn state_dir(&self) -> &Path {
        self.folder.path()
    }

    async fn call(&self, at: &Process, method: Method, path: &str, body: Option<Value>) -> (u16, Value) {
        let url = format!("http://{}/api/v1{path}", at.running.handle.http_addr);
        let mut request = self.client.request(method, url).bearer_auth(TOKEN);
        if let Some(body) = body {
            request = request.json(&body);
        }
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap())
    }

    async fn start_jobs(&self, at: &Process, devices: &[&str]) -> Vec<i64> {
        // A controller that has just started may not have its store yet.
        let deadline = Instant::now() + PATIENCE;
        loop {
            let (status, started) = self.call(at, Method::POST, "/jobs", Some(json!({ "devices": devices }))).await;
            if status == 202 {
                return started["jobs"].as_array().unwrap().iter().map(|job| job["id"].as_i64().unwrap()).collect();
            }
            assert!(Instant::now() < deadline, "{started}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn ends(&self, at: &Process, id: i64) -> Value {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let (status, job) = self.call(at, Method::GET, &format!("/jobs/{id}"), None).await;
            if status == 200 && job["over"] == true {
                return job;
            }
            assert!(Instant::now() < deadline, "job {id} does not end: {job:#}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn is_provisioned(&self, at: &Process, id: i64) {
        let job = self.ends(at, id).await;
        assert_eq!(job["status"], "PROVISIONED", "{job:#}");
    }

    /// Which of these controllers had a job, one after the other.
    async fn holders(&self, id: i64, of: &[&str]) -> Vec<usize> {
        let rows = self.store.events(JobId(id), 0, MAX_PAGE).await.unwrap();
        let holder =
            |row: &causeway_jobs::store::Row| match Recorded::decode(JobId(id), row.seq, &row.text).unwrap().event {
                Event::Claimed { holder, .. } => of.iter().position(|name| holder.starts_with(name)),
                _ => None,
            };
        rows.iter().filter_map(holder).collect()
    }

    fn runs(&self, name: &str) -> String {
        self.fabric.running_text(name).unwrap()
    }

    async fn eventually(&self, what: &str, holds: impl AsyncFn() -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !holds().await {
            assert!(Instant::now() < deadline, "never: {what}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    async fn is_pending(&self) -> bool {
        self.fabric.driver("ams").unwrap().is_pending().await.unwrap()
    }

    /// Everybody but the agents is gone.
    async fn stop(self, agents: Vec<AgentHandle>, controllers: Vec<Process>) {
        for agent in agents {
            agent.shutdown().await;
        }
        drop(controllers);
        self.clock.abort();
        drop(self.server);
    }
}

/// The simulated routers of `ams` and `fra`, with the ports that their records have, and without a cable.
fn fabric(running: &Running) -> Fabric {
    let fabric = Fabric::new(3);
    for name in ["ams", "fra"] {
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

/// Another address for an uplink of `ams`, as the ledger would tell it: more than metrics, so that it takes a while to verify.
async fn change(controllers: &mut [&mut Process], last: u8) {
    for controller in controllers {
        let device = controller.running.ledger.device_mut("ams");
        let uplink = device.interfaces.iter_mut().find(|interface| interface.role == InterfaceRole::Dia).unwrap();
        uplink.address = Prefix::new(u32::from_be_bytes([203, 0, 113, last]), 31);
        controller.running.publish().await;
    }
}

fn wanted(at: &Process, name: &str) -> String {
    at.running.handle.bundle(&code(name)).unwrap().text.to_string()
}

fn name(of: &Process) -> String {
    format!("{}-", of.running.handle.http_addr)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn jobs_are_worked_on_where_their_agents_are_whoever_was_asked_for_them() {
    let (rig, mut a, mut b) = Rig::start().await;
    let names = [name(&a), name(&b)];
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let (ams, fra) = (rig.agent("ams", 1, &[&a]), rig.agent("fra", 2, &[&b]));
    let began = Instant::now();
    let jobs = rig.start_jobs(&a, &["ams", "fra"]).await;
    for id in &jobs {
        rig.is_provisioned(&b, *id).await;
    }
    assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
    assert_eq!((rig.holders(jobs[0], &names).await, rig.holders(jobs[1], &names).await), (vec![0], vec![1]));
    assert!(rig.runs("ams") == wanted(&a, "ams") && rig.runs("fra") == wanted(&b, "fra"));

    // Its agent goes to the other one, which knows what the first one's job left and serves that.
    let kept = || b.running.handle.shared().orders.of(&code("ams")).kept.map(|kept| kept.text.to_string());
    rig.eventually("the other one knows what it left", async || kept() == Some(rig.runs("ams"))).await;
    ams.shutdown().await;
    let gone = async || !a.running.handle.shared().presence.is_here(&code("ams"));
    rig.eventually("its controller sees that it is gone", gone).await;
    change(&mut [&mut a, &mut b], 2).await;
    let before = rig.runs("ams");
    let waits = rig.start_jobs(&a, &["ams"]).await[0];
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert!(rig.holders(waits, &names).await.is_empty(), "nobody has its agent");
    let (ams, began) = (rig.agent("ams", 1, &[&b]), Instant::now());
    rig.is_provisioned(&a, waits).await;
    assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
    assert_eq!(rig.holders(waits, &names).await, [1]);
    assert!(rig.runs("ams") == wanted(&b, "ams") && rig.runs("ams") != before);
    assert_eq!(ams.status().last_error, None, "it was offered something that it had to refuse");
    rig.stop(vec![ams, fra], vec![a, b]).await;
}

/// A job of a change that was committed when its controller died. The agent waits under it, and goes to the other controller.
async fn dies_after_the_commit(rig: &Rig, mut a: Process, b: &mut Process) -> (AgentHandle, i64, String) {
    let agent = rig.agent("ams", 1, &[&a, &*b]);
    let first = rig.start_jobs(&a, &["ams"]).await[0];
    rig.is_provisioned(&a, first).await;
    let before = rig.runs("ams");
    change(&mut [&mut a, &mut *b], 2).await;
    let id = rig.start_jobs(&a, &["ams"]).await[0];
    rig.eventually("it is committed", || rig.is_pending()).await;
    drop(a);
    assert!(rig.is_pending().await && rig.runs("ams") != before);
    (agent, id, before)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_controller_committed_before_it_died_is_confirmed_by_the_other_one() {
    let (rig, a, mut b) = Rig::start().await;
    let names = [name(&a), name(&b)];
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let (agent, id, before) = dies_after_the_commit(&rig, a, &mut b).await;
    rig.is_provisioned(&b, id).await;
    assert_eq!(rig.holders(id, &names).await, [0, 1]);
    assert!(!rig.is_pending().await && rig.runs("ams") == wanted(&b, "ams") && rig.runs("ams") != before);
    let kept = || b.running.handle.shared().orders.of(&code("ams")).kept.map(|kept| kept.text.to_string());
    rig.eventually("it is served from then on", async || kept() == Some(wanted(&b, "ams"))).await;
    rig.stop(vec![agent], vec![b]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_controller_committed_before_it_died_is_taken_back_by_the_other_one() {
    let (rig, a, mut b) = Rig::start().await;
    let (agent, id, before) = dies_after_the_commit(&rig, a, &mut b).await;
    let (status, _) = rig
        .call(&b, Method::POST, &format!("/jobs/{id}/cancel"), Some(json!({ "reason": "its controller died" })))
        .await;
    assert_eq!(status, 200);
    let job = rig.ends(&b, id).await;
    assert_eq!((&job["status"], &job["state"]), (&json!("NOT_PROVISIONED"), &json!("CANCELLED")), "{job:#}");
    assert!(!rig.is_pending().await && rig.runs("ams") == before);
    // And it stays: what the first one's earlier job left is what is served.
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(rig.runs("ams"), before);
    rig.stop(vec![agent], vec![b]).await;
}
