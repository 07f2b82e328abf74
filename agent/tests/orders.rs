//! Configurations under an order: they wait for the controller's word, and go back without it.

#![allow(clippy::unwrap_used)]

mod common;

use std::time::Duration;

use causeway_agent::{
    Agent, AgentHandle,
    driver::Driver,
    sim::{Fabric, Fault, Port},
};
use causeway_wire::controller::{ApplyReport, ApplyResult, ConfigBundle, Order, OrderAnswer};
use common::*;

const FIRST: &str = "job1-r1-s5-t1";
const SECOND: &str = "job1-r1-s5-t2";
/// Longer than any test here takes.
const LONG_MS: u64 = 600_000;

struct Bench {
    controller: FakeController,
    serving: Option<Serving>,
    address: std::net::SocketAddr,
    fabric: Fabric,
    state: tempfile::TempDir,
    clock: tokio::task::JoinHandle<()>,
}

impl Bench {
    /// Generation 5 runs, with metric 100.
    async fn new() -> (Self, AgentHandle) {
        let controller = FakeController::new(bundle(5, &text(1, 100)));
        let serving = controller.serve("127.0.0.1:0").await;
        let fabric = fabric();
        let clock = fabric.run_clock();
        let (address, state) = (serving.address, tempfile::tempdir().unwrap());
        let bench = Self { controller, serving: Some(serving), address, fabric, state, clock };
        let agent = bench.start();
        until_status(&agent, "5", |s| s.applied.is_some_and(|a| a.generation.0 == 5)).await;
        (bench, agent)
    }

    fn start(&self) -> AgentHandle {
        let url = format!("http://{}", self.address);
        Agent::start(config(&url, &[], self.state.path()), self.fabric.driver(DEVICE).unwrap()).unwrap()
    }

    fn runs(&self, metric: u32) -> bool {
        self.fabric.running_text(DEVICE).unwrap() == text(1, metric)
    }

    async fn is_pending(&self) -> bool {
        self.fabric.driver(DEVICE).unwrap().is_pending().await.unwrap()
    }

    /// Offers metric 200 under an order, and waits until it waits.
    async fn waits(&self, within_ms: u64) {
        self.controller.offer(ordered(7, &text(1, 200), FIRST, within_ms));
        eventually("it waits", || !self.of(FIRST, ApplyResult::Waiting).is_empty()).await;
        assert!(self.runs(200) && self.is_pending().await);
    }

    /// The other end of the cable runs its configuration.
    async fn has_neighbour(&self) {
        let far = self.fabric.driver("r2").unwrap();
        far.load_candidate(&text(2, 100)).await.unwrap();
        far.commit(Duration::from_millis(LONG_MS)).await.unwrap();
        far.confirm().await.unwrap();
    }

    /// What is wrong, as the agent answers a question.
    async fn problems(&self, question: u64) -> Vec<String> {
        self.controller.want_running(question);
        let answer = || self.controller.state().running.iter().find(|answer| answer.wanted == question).cloned();
        eventually("answered", || answer().is_some()).await;
        answer().unwrap().problems
    }

    fn of(&self, order: &str, result: ApplyResult) -> Vec<ApplyReport> {
        self.controller.reports(result).into_iter().filter(|report| report.order == order).collect()
    }

    fn refused(&self, code: &str) -> bool {
        self.controller.reports(ApplyResult::Refused).iter().any(|report| report.error_code == code)
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        self.clock.abort();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_waits_until_it_is_told_and_nothing_else_counts() {
    let (bench, agent) = Bench::new().await;
    bench.waits(LONG_MS).await;
    assert_eq!(agent.status().applied.unwrap().generation.0, 5, "what waits is not applied yet");
    let said = || bench.controller.state().polls.last().cloned().unwrap();
    eventually("its polls say so", || {
        let poll = said();
        poll.have_order == FIRST && !poll.waiting_sha256.is_empty() && poll.takes_orders
    })
    .await;
    // Others' words, and words about something else.
    let good = word(FIRST, &text(1, 200), OrderAnswer::Confirm);
    let foreign = causeway_wire::signing::sign(&key(77), b"whatever").to_vec();
    for bad in [
        causeway_wire::controller::OrderWord { signature: foreign, ..good.clone() },
        word(SECOND, &text(1, 200), OrderAnswer::Confirm),
        word(FIRST, &text(1, 300), OrderAnswer::Confirm),
    ] {
        let polls = bench.controller.state().polls.len();
        bench.controller.say(bad);
        eventually("asked twice", || bench.controller.state().polls.len() > polls + 1).await;
        assert!(bench.is_pending().await);
    }
    // Neither does what is served without an order, nor a slot that becomes final.
    bench.controller.state().word = None;
    bench.controller.finalize(9);
    bench.controller.offer(bundle(8, &text(1, 300)));
    let polls = bench.controller.state().polls.len();
    eventually("asked twice", || bench.controller.state().polls.len() > polls + 1).await;
    assert!(bench.runs(200) && bench.is_pending().await);
    assert_ne!(bench.fabric.startup_text(DEVICE).unwrap(), text(1, 200), "what waits is not what it starts with");

    bench.controller.offer(ordered(7, &text(1, 200), FIRST, LONG_MS));
    bench.controller.say(good);
    eventually("applied", || !bench.of(FIRST, ApplyResult::Applied).is_empty()).await;
    assert!(bench.runs(200) && !bench.is_pending().await);
    assert_eq!(agent.status().applied.unwrap().generation.0, 7);
    eventually("saved, and said", || {
        let poll = said();
        poll.waiting_sha256.is_empty() && poll.startup_sha256 == hash_of_200()
    })
    .await;
    agent.shutdown().await;
}

fn hash_of_200() -> Vec<u8> {
    causeway_wire::signing::sha256(text(1, 200).as_bytes()).to_vec()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_goes_back_on_the_word_and_is_tried_again_under_another_order_at_once() {
    let (bench, agent) = Bench::new().await;
    bench.waits(LONG_MS).await;
    bench.controller.say(word(FIRST, &text(1, 200), OrderAnswer::Withdraw));
    eventually("reverted", || !bench.of(FIRST, ApplyResult::Reverted).is_empty()).await;
    assert_eq!(bench.of(FIRST, ApplyResult::Reverted)[0].error_code, "WITHDRAWN");
    assert!(bench.runs(100) && !bench.is_pending().await);

    // Long before it would be tried again by itself.
    bench.controller.offer(ordered(7, &text(1, 200), SECOND, LONG_MS));
    eventually("it waits again", || !bench.of(SECOND, ApplyResult::Waiting).is_empty()).await;
    // The same once more, for a controller that took the job over: nothing is applied anew.
    let third = "job1-r1-s5-t3";
    bench.controller.offer(ordered(7, &text(1, 200), third, LONG_MS));
    eventually("it waits under that", || !bench.of(third, ApplyResult::Waiting).is_empty()).await;
    bench.controller.say(word(third, &text(1, 200), OrderAnswer::Confirm));
    eventually("applied", || !bench.of(third, ApplyResult::Applied).is_empty()).await;
    assert!(bench.runs(200));
    agent.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_word_it_goes_back_in_time_also_with_no_controller() {
    let (mut bench, agent) = Bench::new().await;
    bench.waits(1).await;
    // The agent's own limit is longer than the order's, which is then for nothing.
    eventually("reverted", || !bench.of(FIRST, ApplyResult::Reverted).is_empty()).await;
    assert_eq!(bench.of(FIRST, ApplyResult::Reverted)[0].error_code, "NOT_CONFIRMED");
    assert!(bench.runs(100));

    bench.controller.offer(ordered(8, &text(1, 200), SECOND, 1));
    eventually("it waits", || !bench.of(SECOND, ApplyResult::Waiting).is_empty()).await;
    bench.serving.take().unwrap().stop().await;
    eventually("the device went back", || bench.runs(100)).await;
    agent.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn its_time_begins_anew_on_a_word_once_for_each_number_and_the_device_is_armed_all_the_while() {
    let (bench, agent) = Bench::new().await;
    let limit = Duration::from_secs(6);
    bench.waits(6_000).await;
    let began = std::time::Instant::now();
    let last = || bench.controller.state().polls.last().cloned().unwrap();
    assert!(last().takes_extensions && last().extended == 0);
    // Whoever takes the number off it, or says another one, says nothing.
    let first = extension(FIRST, &text(1, 200), 1);
    bench.controller.say(causeway_wire::controller::OrderWord { extension: 2, ..first.clone() });
    let polls = bench.controller.state().polls.len();
    eventually("asked twice", || bench.controller.state().polls.len() > polls + 1).await;
    assert_eq!(last().extended, 0);

    tokio::time::sleep((limit * 2 / 3).saturating_sub(began.elapsed())).await;
    assert!(bench.is_pending().await);
    bench.controller.say(first);
    let told = || bench.of(FIRST, ApplyResult::Waiting).iter().any(|report| report.extended == 1);
    eventually("it says so", told).await;
    let anew = std::time::Instant::now();
    assert!(bench.runs(200) && bench.is_pending().await);
    tokio::time::sleep((limit * 5 / 4).saturating_sub(began.elapsed())).await;
    assert!(bench.runs(200) && bench.is_pending().await, "it went back by its first time");
    assert_eq!(last().extended, 1);
    // The same word is served all the while, and counts once.
    eventually("reverted", || !bench.of(FIRST, ApplyResult::Reverted).is_empty()).await;
    assert!(anew.elapsed() < limit * 3 / 2 && bench.runs(100) && !bench.is_pending().await);
    assert_eq!(bench.of(FIRST, ApplyResult::Reverted)[0].error_code, "NOT_CONFIRMED");
    agent.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_that_dies_while_it_waits_leaves_what_ran() {
    let (bench, agent) = Bench::new().await;
    bench.waits(LONG_MS).await;
    agent.kill();
    let agent = bench.start();
    eventually("said", || !bench.of(FIRST, ApplyResult::Reverted).is_empty()).await;
    assert_eq!(bench.of(FIRST, ApplyResult::Reverted)[0].error_code, "APPLY_INTERRUPTED");
    assert!(!bench.of(FIRST, ApplyResult::Reverted)[0].order.is_empty());
    agent.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_that_was_changed_on_the_way_is_refused() {
    let (bench, agent) = Bench::new().await;
    let good = ordered(7, &text(1, 200), FIRST, LONG_MS);
    let other = |order: Option<Order>| ConfigBundle { order, ..good.clone() };
    let order = good.order.clone().unwrap();
    for bad in [
        other(None),
        other(Some(Order { waits: false, ..order.clone() })),
        other(Some(Order { correlation: SECOND.into(), ..order.clone() })),
        other(Some(Order { confirm_within_ms: 1, ..order.clone() })),
        // An order put on what was signed without one.
        ConfigBundle { order: Some(Order { waits: false, ..order }), ..bundle(9, &text(1, 200)) },
    ] {
        bench.controller.state().reports.clear();
        bench.controller.offer(bad.clone());
        eventually("refused", || bench.refused("BAD_SIGNATURE")).await;
        assert!(bench.runs(100), "{:?}", bad.order);
    }
    bench.controller.offer(ordered(8, &text(1, 200), "a job of mine", LONG_MS));
    eventually("refused", || bench.refused("BAD_ORDER")).await;
    assert!(bench.runs(100));
    agent.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_can_not_be_applied_is_reported_under_its_order() {
    let (bench, agent) = Bench::new().await;
    bench.fabric.inject(Fault::RejectLine { device: DEVICE.into(), containing: "metric 200".into() });
    bench.controller.offer(ordered(7, &text(1, 200), FIRST, LONG_MS));
    eventually("refused", || !bench.of(FIRST, ApplyResult::Refused).is_empty()).await;
    assert_eq!(bench.of(FIRST, ApplyResult::Refused)[0].error_code, "LINE_REFUSED");
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(bench.runs(100));
    agent.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_tells_whoever_asks_that_a_neighbour_went_and_came_back() {
    let (bench, agent) = Bench::new().await;
    bench.has_neighbour().await;
    assert_eq!(bench.problems(1).await, Vec::<String>::new(), "nothing waits");
    bench.waits(LONG_MS).await;
    assert_eq!(bench.problems(2).await, Vec::<String>::new());
    let fault = bench.fabric.inject(Fault::LinkCut { port: Port::new(DEVICE, "eth3") });
    let lost = bench.problems(3).await;
    assert!(lost.len() == 1 && lost[0].starts_with("ADJACENCY_LOST: ") && lost[0].contains("eth3"), "{lost:?}");
    assert!(bench.runs(200) && bench.is_pending().await, "whether it goes back is for its job to say");
    bench.fabric.heal(fault);
    assert_eq!(bench.problems(4).await, Vec::<String>::new());
    agent.shutdown().await;
}
