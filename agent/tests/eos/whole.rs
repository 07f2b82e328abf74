//! The agent as a process, with the driver's options, a controller and an oracle.

use std::{
    collections::BTreeSet,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use causeway_wire::{
    controller::{ApplyResult, ProbePlan, ProbeTarget},
    telemetry::ProbeKind,
};

use crate::{
    common::{FakeController, FakeOracle, PROGRAM, Serving, controller_key, key, signed_by},
    eventually,
    model::{Fault, ModelEapi, PASSWORD, Switch, USER, fixture},
    switch, text,
};

/// An agent's process. Dropped, it is killed as by the kernel: nothing in it gets to run.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

struct Bench {
    model: ModelEapi,
    controller: FakeController,
    serving: Serving,
    oracle: FakeOracle,
    folder: tempfile::TempDir,
}

impl Bench {
    async fn new(switch: Switch) -> Self {
        let controller = FakeController::new(signed_by(&controller_key(), "r1", "eos", 5, &text(1, 9_000)));
        let serving = controller.serve("127.0.0.1:0").await;
        let model = ModelEapi::start_tls(switch).await;
        Self { model, controller, serving, oracle: FakeOracle::start().await, folder: tempfile::tempdir().unwrap() }
    }

    fn offer(&self, generation: u64, text: &str) {
        self.controller.offer(signed_by(&controller_key(), "r1", "eos", generation, text));
    }

    fn start(&self) -> Process {
        let folder = self.folder.path();
        let base58 = |bytes: &[u8]| bs58::encode(bytes).into_string();
        let pair = |seed: u8| serde_json::to_vec(&key(seed).to_keypair_bytes().to_vec()).unwrap();
        let url = match self.model.config(folder.join("unused")).endpoint {
            causeway_agent::eos::config::Endpoint::Https(url) => url.to_string(),
            other => panic!("{other:?}"),
        };
        let child = Command::new(env!("CARGO_BIN_EXE_causeway-agent"))
            .args(["--device", "r1", "--driver", "eos", "--poll-ms", "100", "--sample-ms", "50"])
            .args(["--program-id", &base58(&PROGRAM)])
            .args(["--controller", &format!("http://{}", self.serving.address)])
            .args(["--controller-key", &base58(&controller_key().verifying_key().to_bytes())])
            .args(["--oracle", &self.oracle.url, "--eos-url", &url])
            .arg("--state-dir")
            .arg(folder.join("state"))
            .arg("--agent-key")
            .arg(secret(folder, "agent.json", &pair(2)))
            .arg("--telemetry-key")
            .arg(secret(folder, "telemetry.json", &pair(3)))
            .arg("--eos-certificate")
            .arg(secret(folder, "switch.pem", &fixture("test-only-server.pem")))
            .arg("--eos-credentials")
            .arg(secret(folder, "credentials", format!("{USER}:{PASSWORD}\n").as_bytes()))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        Process(child.unwrap())
    }

    async fn runs(&self, metric: u32) {
        let line = format!("isis metric {metric}\n");
        eventually(&line, || self.model.running().contains(&line)).await;
    }
}

fn secret(folder: &Path, name: &str, content: &[u8]) -> std::path::PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, content).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    path
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_applies_reports_measures_saves_what_is_final_and_mends_what_others_change() {
    let bench = Bench::new(switch()).await;
    let _agent = bench.start();
    bench.runs(1).await;
    eventually("the report", || !bench.controller.reports(ApplyResult::Applied).is_empty()).await;
    let before = bench.model.startup();
    assert!(!before.contains("isis metric"), "a fork can still take it back");
    bench.controller.finalize(5);
    eventually("startup saved", || bench.model.startup().contains("isis metric 1\n")).await;

    let counted = || {
        let batches = bench.oracle.batches();
        let samples = batches.iter().flat_map(|batch| &batch.interfaces);
        samples.filter(|sample| sample.interface == "Ethernet1" && sample.oper_up && sample.in_octets == 1_000).count()
            > 0
    };
    eventually("counters at the oracle", counted).await;
    let busy = || {
        let batches = bench.oracle.batches();
        batches.iter().flat_map(|batch| &batch.systems).any(|sample| sample.cpu_busy_permille == Some(125))
    };
    eventually("how busy the switch is", busy).await;

    bench.model.lock().switch.operator_types(&["ntp server 192.0.2.124", "interface Ethernet1", "isis metric 77"]);
    bench.runs(1).await;
    assert!(bench.model.running().contains("ntp server 192.0.2.124"), "that is the operator's");
    bench.offer(9, &text(2, 9_000));
    bench.runs(2).await;
    bench.offer(10, &text(3, 9_000).replace("isis metric 3", "isis metric three"));
    eventually("a refusal", || !bench.controller.reports(ApplyResult::Refused).is_empty()).await;
    let refused = bench.controller.reports(ApplyResult::Refused)[0].clone();
    assert!(refused.message.contains("Invalid input (at token 2: 'three')"), "{}", refused.message);
    bench.runs(2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_can_not_probe_for_a_switch_tells_of_no_probe_and_of_no_loss() {
    let bench = Bench::new(switch()).await;
    let target = |kind: ProbeKind, code: &str, interface: &str| ProbeTarget {
        kind: u32::try_from(i32::from(kind)).unwrap(),
        code: code.into(),
        interface: interface.into(),
        address: "127.0.0.1".into(),
    };
    // The link's interface is the switch's: this machine has none of that name.
    let targets = vec![
        target(ProbeKind::Link, "r1-r2", "Ethernet1"),
        target(ProbeKind::Qa, "r2", ""),
        target(ProbeKind::Reachability, "r3", ""),
    ];
    bench.controller.state().plan = ProbePlan { sha256: vec![7; 32], targets };
    let _agent = bench.start();
    let has_plan = || bench.controller.state().polls.iter().any(|poll| poll.have_probe_plan_sha256 == [7; 32]);
    eventually("the plan is taken", has_plan).await;
    let taken_ms = causeway_agent::stamp::socket::unix_ns() / 1_000_000;
    // The first moment after that may have begun before it.
    let moments = || {
        let batches = bench.oracle.batches();
        let samples = batches.iter().flat_map(|batch| &batch.interfaces).map(|sample| sample.at_unix_ms);
        samples.filter(|at_ms| *at_ms > taken_ms).collect::<BTreeSet<u64>>().len()
    };
    eventually("samples under the plan", || moments() > 2).await;
    let told: Vec<_> = bench.oracle.batches().into_iter().flat_map(|batch| batch.probes).collect();
    assert_eq!(told, [], "nothing was probed, nothing is told");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_killed_right_after_the_commit_is_outlived_by_the_timer() {
    let bench = Bench::new(switch()).await;
    let first = bench.start();
    bench.runs(1).await;
    eventually("the report", || !bench.controller.reports(ApplyResult::Applied).is_empty()).await;
    let before = bench.model.running();
    // Listed before the load, before the commit, and after it: that is never answered.
    for fault in [Fault::Slow(Duration::ZERO), Fault::Slow(Duration::ZERO), Fault::Die] {
        bench.model.inject("show configuration sessions", fault);
    }
    bench.offer(9, &text(2, 9_000));
    bench.runs(2).await;
    eventually("it asks again", || bench.model.lock().dead).await;
    drop(first);
    bench.model.lock().switch.timer_goes_off();
    assert_eq!(bench.model.running(), before, "the switch goes back by itself");
    assert_eq!(bench.model.lock().switch.reverted, 1);
    bench.model.lock().dead = false;
    let _next = bench.start();
    bench.runs(2).await;
    eventually("and it stays", || bench.model.live_sessions().is_empty()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_runs_is_told_without_what_is_the_operators_and_without_secrets() {
    let bench = Bench::new(switch()).await;
    let _agent = bench.start();
    bench.runs(1).await;
    eventually("the report", || !bench.controller.reports(ApplyResult::Applied).is_empty()).await;
    let told = |wanted: u64| {
        let state = bench.controller.state();
        state.running.iter().find(|told| told.wanted == wanted).cloned()
    };
    bench.controller.want_running(7);
    eventually("an answer", || told(7).is_some()).await;
    let answer = told(7).unwrap();
    assert!(answer.text.contains("isis metric 1\n") && !answer.text.contains("ntp server"), "{}", answer.text);
    let compared = answer.comparison.unwrap();
    assert!(compared.equal && compared.generation == 5, "{}", compared.diff);
    assert!(bench.model.live_sessions().is_empty(), "nothing stays of the comparison");
}
