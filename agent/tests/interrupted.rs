//! An agent that ended while it applied: the next one says so, and waits before it tries the same text again.

#![allow(clippy::unwrap_used)]

mod common;

use std::time::{Duration, Instant};

use causeway_agent::{
    Agent, AgentHandle,
    sim::{Fabric, Fault, Moment, Verb},
};
use causeway_wire::controller::ApplyResult;
use common::*;

const CODE: &str = "APPLY_INTERRUPTED";

struct Bench {
    controller: FakeController,
    serving: Serving,
    fabric: Fabric,
    state: tempfile::TempDir,
    clock: tokio::task::JoinHandle<()>,
}

impl Bench {
    /// Generation 5 runs, with metric 100.
    async fn new() -> Self {
        let controller = FakeController::new(bundle(5, &text(1, 100)));
        let serving = controller.serve("127.0.0.1:0").await;
        let fabric = fabric();
        let clock = fabric.run_clock();
        let bench = Self { controller, serving, fabric, state: tempfile::tempdir().unwrap(), clock };
        let agent = bench.start();
        until_status(&agent, "5", |s| s.applied.is_some_and(|a| a.generation.0 == 5)).await;
        agent.shutdown().await;
        bench
    }

    fn start(&self) -> AgentHandle {
        let url = format!("http://{}", self.serving.address);
        Agent::start(config(&url, &[], self.state.path()), self.fabric.driver(DEVICE).unwrap()).unwrap()
    }

    fn runs(&self, metric: u32) -> bool {
        self.fabric.running_text(DEVICE).unwrap() == text(1, metric)
    }

    /// Offers a text as generation 7, and kills the agent when the device has done this.
    async fn killed_after(&self, verb: Verb, metric: u32) {
        let fault = self.fabric.inject(Fault::Hang { device: DEVICE.into(), verb, moment: Moment::After });
        self.controller.offer(bundle(7, &text(1, metric)));
        let agent = self.start();
        eventually("committed", || self.runs(metric)).await;
        if verb == Verb::Confirm {
            // Nobody can see from outside that it is confirmed; the timer would have gone off after this.
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        agent.kill();
        self.fabric.heal(fault);
    }

    fn interruptions(&self, generation: u64) -> usize {
        let reports = self.controller.reports(ApplyResult::Reverted);
        reports.iter().filter(|r| r.generation == generation && r.error_code == CODE).count()
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        self.clock.abort();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_killed_agent_had_committed_is_reported_and_tried_again_after_a_wait_that_grows() {
    let bench = Bench::new().await;
    let base = config("http://127.0.0.1:1", &[], bench.state.path()).intervals.reapply_base;
    bench.killed_after(Verb::Commit, 200).await;
    let agent = bench.start();
    eventually("said", || bench.interruptions(7) == 1).await;
    assert!(bench.runs(100), "it went back first");
    let (fault, since) =
        (Fault::Hang { device: DEVICE.into(), verb: Verb::Commit, moment: Moment::After }, Instant::now());
    let fault = bench.fabric.inject(fault);
    eventually("tried again", || bench.runs(200)).await;
    assert!(since.elapsed() > base / 4, "{:?}", since.elapsed());
    // The same again: what ended the agent was perhaps the text.
    agent.kill();
    bench.fabric.heal(fault);
    let agent = bench.start();
    eventually("said", || bench.interruptions(7) == 2).await;
    let since = Instant::now();
    until_status(&agent, "7", |s| s.applied.is_some_and(|a| a.generation.0 == 7)).await;
    assert!(since.elapsed() > base * 3 / 4, "twice as long as before: {:?}", since.elapsed());
    assert!(bench.runs(200));
    agent.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_text_is_taken_at_once_and_the_interruption_is_said_all_the_same() {
    let bench = Bench::new().await;
    bench.killed_after(Verb::Commit, 200).await;
    bench.controller.offer(bundle(9, &text(1, 300)));
    let agent = bench.start();
    until_status(&agent, "9", |s| s.applied.is_some_and(|a| a.generation.0 == 9)).await;
    eventually("said", || bench.interruptions(7) == 1).await;
    assert!(bench.runs(300) && bench.interruptions(9) == 0);
    agent.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_confirmed_and_not_written_down_was_not_interrupted() {
    let bench = Bench::new().await;
    bench.killed_after(Verb::Confirm, 200).await;
    let agent = bench.start();
    until_status(&agent, "7", |s| s.applied.is_some_and(|a| a.generation.0 == 7)).await;
    assert!(bench.runs(200) && bench.interruptions(7) == 0);
    agent.shutdown().await;
}
