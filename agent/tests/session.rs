//! The whole flow against a fake controller over real gRPC.

#![allow(clippy::unwrap_used)]

mod common;

use std::{collections::BTreeSet, time::Duration};

use causeway_agent::{Agent, driver::Driver, sim::Fault, sim::Port};
use causeway_wire::controller::{ApplyResult, ProbePlan, ProbeTarget};
use common::*;

struct Bench {
    controller: FakeController,
    serving: Serving,
    fabric: causeway_agent::sim::Fabric,
    state: tempfile::TempDir,
    clock: tokio::task::JoinHandle<()>,
}

impl Bench {
    async fn new(generation: u64, text: &str) -> Self {
        let controller = FakeController::new(bundle(generation, text));
        let serving = controller.serve("127.0.0.1:0").await;
        let fabric = fabric();
        let clock = fabric.run_clock();
        Self { controller, serving, fabric, state: tempfile::tempdir().unwrap(), clock }
    }

    fn config(&self, oracles: &[&FakeOracle]) -> causeway_agent::AgentConfig {
        config(&format!("http://{}", self.serving.address), oracles, self.state.path())
    }

    fn start(&self, oracles: &[&FakeOracle]) -> causeway_agent::AgentHandle {
        Agent::start(self.config(oracles), self.fabric.driver(DEVICE).unwrap()).unwrap()
    }

    fn runs(&self, text: &str) -> bool {
        self.fabric.running_text(DEVICE).unwrap() == text
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        self.clock.abort();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_configuration_is_pulled_applied_reported_and_saved_when_final() {
    let bench = Bench::new(5, &text(1, 100)).await;
    let agent = bench.start(&[]);
    until_status(&agent, "generation 5 runs", |s| s.applied.is_some_and(|a| a.generation.0 == 5)).await;
    assert!(bench.runs(&text(1, 100)));
    eventually("the report", || !bench.controller.reports(ApplyResult::Applied).is_empty()).await;
    let report = bench.controller.reports(ApplyResult::Applied)[0].clone();
    assert!(report.diff.contains("+ isis metric 100") && !report.diff_cut && !report.startup_saved);
    assert_eq!(report.running_sha256, report.sha256);
    assert!(report.message.contains("no adjacency on eth3 yet"), "a warning: {}", report.message);
    assert_eq!(bench.fabric.startup_text(DEVICE).unwrap(), "", "a fork can still take it back");

    bench.controller.finalize(5);
    eventually("startup saved", || bench.fabric.startup_text(DEVICE).unwrap() == text(1, 100)).await;
    eventually("and said", || bench.controller.state().reports.iter().any(|r| r.startup_saved)).await;

    bench.controller.offer(bundle(9, &text(1, 1_000_000)));
    until_status(&agent, "generation 9 runs", |s| s.applied.is_some_and(|a| a.generation.0 == 9)).await;
    assert!(bench.runs(&text(1, 1_000_000)));
    eventually("the second report", || bench.controller.reports(ApplyResult::Applied).len() == 2).await;
    assert!(bench.controller.reports(ApplyResult::Applied)[1].diff.contains("+ isis metric 1000000"));
    assert_eq!(bench.fabric.startup_text(DEVICE).unwrap(), text(1, 100), "9 is not final");
    agent.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unchanged_text_moves_the_generation_only_with_a_signature() {
    let bench = Bench::new(5, &text(1, 100)).await;
    let agent = bench.start(&[]);
    until_status(&agent, "5", |s| s.applied.is_some_and(|a| a.generation.0 == 5)).await;
    bench.controller.offer(bundle(8, &text(1, 100)));
    until_status(&agent, "8", |s| s.applied.is_some_and(|a| a.generation.0 == 8)).await;
    eventually("unchanged", || bench.controller.reports(ApplyResult::Unchanged).iter().any(|r| r.generation == 8))
        .await;
    assert_eq!(bench.controller.reports(ApplyResult::Applied).len(), 1);
    let mut forged = bundle(8, &text(1, 100));
    forged.generation = u64::MAX;
    bench.controller.offer(forged);
    eventually("refused", || !bench.controller.reports(ApplyResult::Refused).is_empty()).await;
    assert_eq!(bench.controller.reports(ApplyResult::Refused)[0].error_code, "BAD_SIGNATURE");
    assert_eq!(agent.status().applied.unwrap().generation.0, 8);
    agent.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_older_generation_is_refused_also_after_a_restart() {
    let bench = Bench::new(50, &text(1, 100)).await;
    for restart in [false, true] {
        let agent = bench.start(&[]);
        if restart {
            // The stale controller is what the new process meets first.
            assert!(agent.status().applied.is_none());
        } else {
            until_status(&agent, "50", |s| s.applied.is_some_and(|a| a.generation.0 == 50)).await;
            bench.controller.offer(bundle(49, &text(1, 7)));
        }
        let before = bench.controller.reports(ApplyResult::Refused).len();
        eventually("refused", || bench.controller.reports(ApplyResult::Refused).len() > before).await;
        assert_eq!(bench.controller.reports(ApplyResult::Refused)[before].error_code, "OLDER_GENERATION");
        assert!(bench.runs(&text(1, 100)));
        agent.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn oracles_are_told_as_of_which_slot_the_configuration_is_offered() {
    for by_notice in [true, false] {
        let bench = Bench::new(5, &text(1, 100)).await;
        let oracle = FakeOracle::start().await;
        let mut config = bench.config(&[&oracle]);
        if by_notice {
            config.intervals.poll = Duration::from_secs(600);
        }
        let agent = Agent::start(config, bench.fabric.driver(DEVICE).unwrap()).unwrap();
        until_status(&agent, "5", |s| s.applied.is_some_and(|a| a.generation.0 == 5)).await;
        let told = |slot: u64| {
            let batches = oracle.batches();
            let configs: Vec<_> = batches.iter().flat_map(|b| &b.configs).cloned().collect();
            configs.into_iter().rfind(|c| c.offered_evaluated_slot == slot && !c.applied_sha256.is_empty())
        };
        eventually("nothing known", || told(0).is_some()).await;
        let bodies = bench.controller.state().bodies;
        if by_notice {
            bench.controller.evaluate(70);
        } else {
            bench.controller.state().evaluated_slot = 70;
        }
        eventually("slot 70", || told(70).is_some()).await;
        let config = told(70).unwrap();
        assert_eq!((config.offered_generation, config.applied_generation), (5, 5));
        assert_eq!(config.offered_sha256, config.applied_sha256);
        assert_eq!(bench.controller.state().bodies, bodies, "no text was sent for it");
        agent.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bundle_that_is_not_sound_is_refused_and_nothing_changes() {
    let good = text(1, 100);
    let bench = Bench::new(5, &good).await;
    let agent = bench.start(&[]);
    until_status(&agent, "5", |s| s.applied.is_some()).await;
    let bad = text(1, 7);
    let mut other_text = bundle(6, &bad);
    other_text.text = text(1, 8);
    let mut other_signature = bundle(6, &bad);
    other_signature.signature[0] ^= 1;
    let mut no_key = bundle(6, &bad);
    no_key.controller_key.clear();
    for (code, offered) in [
        ("WRONG_DEVICE", signed_by(&controller_key(), "r2", "frr", 6, &bad)),
        ("WRONG_FAMILY", signed_by(&controller_key(), DEVICE, "eos", 6, &bad)),
        ("UNPINNED_CONTROLLER", signed_by(&key(9), DEVICE, "frr", 6, &bad)),
        ("UNPINNED_CONTROLLER", no_key),
        ("BAD_HASH", other_text),
        ("BAD_SIGNATURE", other_signature),
        ("EMPTY_CONFIG", bundle(6, "! nothing\n\n")),
        ("LINE_REFUSED", bundle(6, &format!("{bad}nonsense here\n"))),
    ] {
        bench.controller.state().reports.clear();
        bench.controller.offer(offered);
        eventually(code, || bench.controller.reports(ApplyResult::Refused).iter().any(|r| r.error_code == code)).await;
        assert!(bench.runs(&good), "{code}");
    }
    let reports = bench.controller.reports(ApplyResult::Refused);
    let line = reports.iter().find(|r| r.error_code == "LINE_REFUSED").unwrap();
    assert!(line.message.contains("line 18: unknown command"), "{}", line.message);
    bench.controller.offer(bundle(7, &bad));
    until_status(&agent, "a sound one", |s| s.applied.is_some_and(|a| a.generation.0 == 7)).await;
    assert_eq!(agent.status().last_error, None);
    agent.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failed_configuration_is_tried_again_but_not_hammered() {
    let bench = Bench::new(5, &text(1, 100)).await;
    let fault = bench.fabric.inject(Fault::RejectLine { device: DEVICE.into(), containing: "isis metric".into() });
    let agent = bench.start(&[]);
    eventually("refused", || !bench.controller.reports(ApplyResult::Refused).is_empty()).await;
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    let tries = bench.controller.reports(ApplyResult::Refused).len();
    assert!((2..=6).contains(&tries), "{tries} tries in 1.5 s with waits of 0.4, 0.8, ... s");
    assert!(bench.controller.state().bodies <= 6);
    bench.fabric.heal(fault);
    until_status(&agent, "applied at last", |s| s.applied.is_some()).await;
    agent.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_neighbour_takes_the_configuration_back_unless_it_is_meant() {
    let bench = Bench::new(5, &text(1, 100)).await;
    let far = bench.fabric.driver("r2").unwrap();
    far.load_candidate(&text(2, 100)).await.unwrap();
    far.commit(Duration::from_secs(60)).await.unwrap();
    far.confirm().await.unwrap();
    let agent = bench.start(&[]);
    until_status(&agent, "5", |s| s.applied.is_some()).await;
    bench.controller.offer(bundle(6, &text(1, 100).replace("10.1.0.0/31", "10.1.0.6/31")));
    eventually("reverted", || !bench.controller.reports(ApplyResult::Reverted).is_empty()).await;
    let report = bench.controller.reports(ApplyResult::Reverted)[0].clone();
    assert_eq!(report.error_code, "ADJACENCY_LOST");
    assert!(bench.runs(&text(1, 100)));
    assert_eq!(agent.status().applied.unwrap().generation.0, 5);
    let passive = text(1, 100).replace(" isis metric 100", " isis metric 100\n isis passive");
    bench.controller.offer(bundle(7, &passive));
    until_status(&agent, "hard drained", |s| s.applied.is_some_and(|a| a.generation.0 == 7)).await;
    agent.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_controller_everything_goes_on_by_the_old_plan() {
    let bench = Bench::new(5, &text(1, 100)).await;
    bench.controller.state().plan = ProbePlan {
        sha256: vec![1; 32],
        targets: vec![ProbeTarget {
            kind: 3,
            code: "r2".into(),
            interface: String::new(),
            address: "198.18.0.2".into(),
        }],
    };
    let oracle = FakeOracle::start().await;
    let agent = bench.start(&[&oracle]);
    until_status(&agent, "5", |s| s.applied.is_some() && s.probe_targets == 1).await;
    let Bench { controller, .. } = &bench;
    let (address, controller) = (bench.serving.address, controller.clone());
    let mut bench = bench;
    let serving = std::mem::replace(&mut bench.serving, FakeController::new(bundle(1, "x")).serve("127.0.0.1:0").await);
    serving.stop().await;
    until_status(&agent, "lost", |s| !s.connected && s.last_error.is_some()).await;
    let polled = agent.status().polled_unix_ms;
    let seen = oracle.batches().len();
    eventually("more telemetry", || oracle.batches().len() > seen + 5).await;
    let last = oracle.batches().last().unwrap().clone();
    assert_eq!((last.probes.len(), last.probes[0].sent, last.probes[0].received), (1, 3, 3));
    assert_eq!((last.configs[0].polled_unix_ms, last.configs[0].applied_generation), (polled, 5));
    assert!(bench.runs(&text(1, 100)));
    // A restarted agent without a controller still measures by the plan that was kept.
    agent.shutdown().await;
    let agent = bench_start_at(&bench, address, &oracle);
    assert_eq!(agent.status().probe_targets, 1);
    bench.serving = controller.serve(&address.to_string()).await;
    controller.offer(bundle(6, &text(1, 200)));
    until_status(&agent, "back", |s| s.applied.is_some_and(|a| a.generation.0 == 6)).await;
    assert!(bench.runs(&text(1, 200)));
    agent.shutdown().await;
}

fn bench_start_at(bench: &Bench, address: std::net::SocketAddr, oracle: &FakeOracle) -> causeway_agent::AgentHandle {
    let config = config(&format!("http://{address}"), &[oracle], bench.state.path());
    Agent::start(config, bench.fabric.driver(DEVICE).unwrap()).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_controller_of_another_network_and_a_wrong_agent_key_get_nothing() {
    let bench = Bench::new(5, &text(1, 100)).await;
    bench.controller.state().program_id = [9; 32];
    let agent = bench.start(&[]);
    until_status(&agent, "refused", |s| s.last_error.as_ref().is_some_and(|e| e.contains("program"))).await;
    assert!(bench.runs(""));
    agent.shutdown().await;
    bench.controller.state().program_id = PROGRAM;
    let mut config = bench.config(&[]);
    config.agent_key = key(8);
    let agent = Agent::start(config, bench.fabric.driver(DEVICE).unwrap()).unwrap();
    until_status(&agent, "refused", |s| s.last_error.as_ref().is_some_and(|e| e.contains("not the agent"))).await;
    assert_eq!(bench.controller.state().sessions, 0);
    agent.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_next_controller_is_used_when_one_fails() {
    let bench = Bench::new(5, &text(1, 100)).await;
    let mut config = bench.config(&[]);
    config.controllers.insert(0, "http://127.0.0.1:1".into());
    config.controller_keys =
        BTreeSet::from([key(9).verifying_key().to_bytes(), controller_key().verifying_key().to_bytes()]);
    let agent = Agent::start(config, bench.fabric.driver(DEVICE).unwrap()).unwrap();
    until_status(&agent, "5", |s| s.applied.is_some()).await;
    agent.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_ends_is_opened_again() {
    let bench = Bench::new(5, &text(1, 100)).await;
    bench.controller.state().session_ms = 300;
    let agent = bench.start(&[]);
    eventually("several sessions", || bench.controller.state().sessions >= 3).await;
    until_status(&agent, "5", |s| s.applied.is_some()).await;
    agent.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_someone_else_changed_is_put_right() {
    let bench = Bench::new(5, &text(1, 100)).await;
    let agent = bench.start(&[]);
    until_status(&agent, "5", |s| s.applied.is_some()).await;
    bench.fabric.reboot(DEVICE).unwrap();
    assert!(bench.runs(""));
    eventually("applied again", || bench.runs(&text(1, 100))).await;
    bench.fabric.inject(Fault::LinkCut { port: Port::new(DEVICE, "eth3") });
    agent.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_runs_is_told_once_when_it_is_asked_for_by_notice_or_by_poll() {
    let bench = Bench::new(5, &text(1, 100)).await;
    let agent = bench.start(&[]);
    until_status(&agent, "5", |s| s.applied.is_some()).await;
    bench.controller.want_running(70);
    eventually("an answer", || !bench.controller.state().running.is_empty()).await;
    let told = bench.controller.state().running[0].clone();
    assert_eq!((told.device.as_str(), told.wanted, told.text.as_str()), (DEVICE, 70, text(1, 100).as_str()));
    let compared = told.comparison.unwrap();
    assert!(compared.equal && compared.diff.is_empty() && told.hidden_lines == 0);
    assert_eq!((compared.generation, compared.sha256), (5, told.running_sha256));

    // The same question over again, in every poll, is answered once; another one, by a poll alone, too.
    let polls = bench.controller.state().polls.len();
    eventually("more polls", || bench.controller.state().polls.len() > polls + 3).await;
    assert_eq!(bench.controller.state().running.len(), 1);
    let last = bench.controller.state().polls.last().unwrap().clone();
    assert_eq!(last.verified_sha256, last.have_sha256);
    assert!(!last.running_sha256.is_empty() && last.running_sha256 == last.verified_running_sha256);
    bench.controller.state().running_wanted = 71;
    eventually("the next", || bench.controller.state().running.iter().any(|told| told.wanted == 71)).await;

    // What somebody else changed and can't be put right shows in the polls, and in the answer.
    bench.fabric.inject(Fault::RejectLine { device: DEVICE.into(), containing: "isis metric".into() });
    bench.fabric.reboot(DEVICE).unwrap();
    let drifted = || {
        let polls = &bench.controller.state().polls;
        polls.last().is_some_and(|p| !p.running_sha256.is_empty() && p.running_sha256 != p.verified_running_sha256)
    };
    eventually("drift in the polls", drifted).await;
    bench.controller.want_running(72);
    eventually("an answer", || bench.controller.state().running.iter().any(|told| told.wanted == 72)).await;
    let told = bench.controller.state().running.last().unwrap().clone();
    let compared = told.comparison.unwrap();
    assert!(!compared.equal && compared.diff.contains("+ isis metric 100"), "{}", compared.diff);
    agent.shutdown().await;
}
