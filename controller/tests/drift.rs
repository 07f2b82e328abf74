//! Intended against running, end to end: a real controller, a real agent, a simulated router of either family.

// Helpers of tests may panic like tests.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::{collections::BTreeSet, time::Duration};

use causeway_agent::{
    Agent, AgentConfig, AgentHandle, Intervals,
    apply::ApplyLimits,
    sim::{self, Fabric, Fault, Port, UplinkKind},
};
use causeway_controller::{
    daemon::Config,
    testing::{PROGRAM_ID, code},
};
use causeway_interface::{InterfaceKind, InterfaceRole};
use causeway_wire::controller::{ReportReceipt, RunningConfig};
use common::{PATIENCE, Running, agent_key, config, open, with_token};
use reqwest::Client;
use serde_json::Value;

const TOKEN: &str = "a-token-of-the-operator";

/// The simulated router of `ams`, with the ports that its record has.
fn fabric(running: &Running, family: sim::Family) -> Fabric {
    let fabric = Fabric::new(3);
    let device = running.ledger.snapshot.devices.values().find(|d| d.code == code("ams")).unwrap();
    fabric.add_device("ams", family, Some(device.public_ip.to_string().parse().unwrap())).unwrap();
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

fn agent(running: &Running, fabric: &Fabric, poll: Duration, state_dir: &std::path::Path) -> AgentHandle {
    let config = AgentConfig {
        device: "ams".into(),
        program_id: PROGRAM_ID.0,
        controllers: vec![format!("http://{}", running.handle.grpc_addr)],
        controller_ca: None,
        controller_keys: BTreeSet::from([running.handle.controller_key()]),
        oracles: Vec::new(),
        agent_key: agent_key(1),
        telemetry_key: agent_key(9),
        state_dir: state_dir.to_owned(),
        intervals: Intervals {
            sample: Duration::from_secs(1),
            poll,
            // What was refused is tried again while the test still waits for it.
            reapply_base: Duration::from_millis(200),
            ..Intervals::default()
        },
        limits: ApplyLimits { verify: Duration::from_millis(300), ..ApplyLimits::default() },
        probes_per_sample: 1,
        buffered_samples: 100,
    };
    Agent::start(config, fabric.driver("ams").unwrap()).unwrap()
}

struct Caller {
    base: String,
    client: Client,
}

impl Caller {
    fn of(running: &Running) -> Self {
        let base = format!("http://{}/api/v1/devices/ams", running.handle.http_addr);
        Self { base, client: Client::new() }
    }

    async fn get(&self, path: &str) -> (u16, Value) {
        let request = self.client.get(format!("{}{path}", self.base)).bearer_auth(TOKEN);
        let response = request.send().await.unwrap();
        (response.status().as_u16(), response.json().await.unwrap())
    }

    async fn config(&self) -> Value {
        self.get("").await.1["config"].clone()
    }

    /// Waits until the device's view has this.
    async fn until(&self, field: &str, value: &str) {
        let reached = async {
            while self.config().await[field] != value {
                tokio::time::sleep(Duration::from_millis(30)).await;
            }
        };
        if tokio::time::timeout(PATIENCE, reached).await.is_err() {
            panic!("{field} does not become {value}: {}", self.config().await);
        }
    }
}

async fn start(family: sim::Family) -> Running {
    let operator_token = Some(TOKEN.to_owned());
    let family = Some(family.name().parse().unwrap());
    Running::start(Config { operator_token, family, ..config() }).await
}

/// A notice brings the question to an agent that would poll in ten minutes only.
async fn told(family: sim::Family) {
    let running = start(family).await;
    let http = Caller::of(&running);
    assert_eq!(http.config().await["drift"], "unknown");
    let fabric = fabric(&running, family);
    let folder = tempfile::tempdir().unwrap();
    let agent = agent(&running, &fabric, Duration::from_secs(600), folder.path());
    http.until("drift", "in-sync").await;
    http.until("state", "current").await;

    let (status, view) = http.get("/config/running").await;
    assert_eq!((status, &view["fresh"], &view["error"]), (200, &Value::Bool(true), &Value::Null), "{view}");
    assert_eq!(view["text"].as_str().unwrap(), fabric.running_text("ams").unwrap());
    assert_eq!(view["hidden_lines"], 0, "nothing that is rendered is a secret");
    let (status, view) = http.get("/config/drift").await;
    assert_eq!((status, &view["state"], &view["equal"]), (200, &"in-sync".into(), &Value::Bool(true)), "{view}");
    assert_eq!(view["diff"], "");
    assert_eq!(view["generation"], view["compared_generation"]);

    // Somebody takes everything away, and the agent can't put it back.
    let fault = fabric.inject(Fault::RejectLine { device: "ams".into(), containing: "hostname".into() });
    fabric.reboot("ams").unwrap();
    tokio::time::sleep(Duration::from_millis(3_100)).await;
    let (status, view) = http.get("/config/drift").await;
    assert_eq!((status, &view["state"], &view["equal"]), (200, &"drifted".into(), &Value::Bool(false)), "{view}");
    let diff = view["diff"].as_str().unwrap();
    assert!(diff.lines().any(|line| line.starts_with('+') && line.contains("router isis")), "{diff}");
    let text = http.client.get(format!("{}/config/drift", http.base)).bearer_auth(TOKEN).header("accept", "text/plain");
    assert_eq!(text.send().await.unwrap().text().await.unwrap(), diff);
    fabric.heal(fault);
    agent.shutdown().await;

    // Nobody answers any more: what was said stays, with its age.
    tokio::time::sleep(Duration::from_millis(3_100)).await;
    let (status, view) = http.get("/config/running?wait_ms=100").await;
    assert_eq!((status, &view["fresh"]), (200, &Value::Bool(false)), "{view}");
    assert!(view["age_ms"].as_u64().unwrap() > 3_000);
    running.handle.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_runs_on_frr_is_told_and_compared() {
    told(sim::Family::Frr).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_runs_on_eos_is_told_and_compared() {
    told(sim::Family::Eos).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn polls_alone_show_drift_and_that_it_was_mended() {
    let running = start(sim::Family::Frr).await;
    let http = Caller::of(&running);
    let fabric = fabric(&running, sim::Family::Frr);
    let folder = tempfile::tempdir().unwrap();
    let agent = agent(&running, &fabric, Duration::from_millis(100), folder.path());
    http.until("drift", "in-sync").await;
    let fault = fabric.inject(Fault::RejectLine { device: "ams".into(), containing: "hostname".into() });
    fabric.reboot("ams").unwrap();
    http.until("drift", "drifted").await;
    fabric.heal(fault);
    http.until("drift", "in-sync").await;
    agent.shutdown().await;
    running.handle.shutdown().await;
}

#[tokio::test]
async fn who_asks_is_the_operator_and_waits_no_longer_than_he_says() {
    let running = start(sim::Family::Frr).await;
    let http = Caller::of(&running);
    for path in ["/config/running", "/config/drift"] {
        let anonymous = http.client.get(format!("{}{path}", http.base)).send().await.unwrap();
        assert_eq!(anonymous.status().as_u16(), 401, "{path}");
        let (status, body) = http.get(&format!("{path}?wait_ms=50")).await;
        assert_eq!((status, &body["code"]), (504, &"CW-CONTROLLER-RUNNING-NOT-TOLD".into()), "{body}");
        let (status, body) = http.get(&format!("{path}?wait_ms=30001")).await;
        assert_eq!((status, &body["code"]), (400, &"CW-CONTROLLER-REQUEST-INVALID".into()));
    }
    let (status, _) = http.get("/config/running?wait_ms=0").await;
    assert_eq!(status, 504, "nobody was asked");
    running.handle.shutdown().await;
}

/// An agent that says what nobody asked, or of another device, changes nothing.
#[tokio::test]
async fn an_answer_is_taken_from_the_agent_that_was_asked_once() {
    let running = start(sim::Family::Frr).await;
    let mut client = running.client().await;
    let token = open(&mut client, "ams", &agent_key(1)).await.unwrap();
    let answer = |device: &str, wanted| RunningConfig { device: device.into(), wanted, ..RunningConfig::default() };
    let code_of = |status: tonic::Status| status.metadata().get("causeway-code").unwrap().to_str().unwrap().to_owned();
    let unasked = client.report_running(with_token(&token, answer("ams", 1))).await.unwrap_err();
    assert_eq!(code_of(unasked), "running-unasked");
    let number = running.handle.shared().ask_running(&code("ams")).unwrap();
    let foreign = client.report_running(with_token(&token, answer("fra", number))).await.unwrap_err();
    assert_eq!(code_of(foreign), "other-device");
    let broken = RunningConfig { running_sha256: vec![1], ..answer("ams", number) };
    let broken = client.report_running(with_token(&token, broken)).await.unwrap_err();
    assert_eq!(code_of(broken), "report-invalid");
    let ReportReceipt {} = client.report_running(with_token(&token, answer("ams", number))).await.unwrap().into_inner();
    let again = client.report_running(with_token(&token, answer("ams", number))).await.unwrap_err();
    assert_eq!(code_of(again), "running-unasked");
    running.handle.shutdown().await;
}
