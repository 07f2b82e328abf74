//! What reaches the oracles, against fake ones over real HTTP.

#![allow(clippy::unwrap_used)]

mod common;

use causeway_agent::{Agent, AgentConfig, AgentHandle, sim::Fabric};
use causeway_wire::telemetry::Batch;
use common::*;

fn start(config: AgentConfig, fabric: &Fabric) -> AgentHandle {
    Agent::start(config, fabric.driver(DEVICE).unwrap()).unwrap()
}

fn samples(batch: &Batch) -> u64 {
    (batch.interfaces.len() + batch.adjacencies.len() + batch.probes.len() + batch.configs.len()) as u64
}

/// No controller anywhere: telemetry does not need one.
const NOWHERE: &str = "http://127.0.0.1:1";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sequences_grow_over_restarts_and_every_oracle_gets_all() {
    let (a, b) = (FakeOracle::start().await, FakeOracle::start().await);
    let (fabric, directory) = (fabric(), tempfile::tempdir().unwrap());
    for round in 1..=3 {
        let agent = start(config(NOWHERE, &[&a, &b], directory.path()), &fabric);
        eventually("batches", || a.batches().len() >= 3 * round && b.batches().len() >= 3 * round).await;
        agent.kill();
    }
    for oracle in [&a, &b] {
        let batches = oracle.batches();
        assert!(batches.windows(2).all(|pair| pair[0].sequence < pair[1].sequence));
        assert!(batches.iter().all(|b| b.device == DEVICE && b.from_unix_ms <= b.to_unix_ms && b.lost_samples == 0));
        assert!(batches[0].interfaces.iter().any(|i| i.interface == "eth2" && i.oper_up));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broken_oracle_blocks_no_other_and_its_losses_are_counted() {
    let (good, bad) = (FakeOracle::start().await, FakeOracle::start().await);
    bad.answers(503);
    let (fabric, directory) = (fabric(), tempfile::tempdir().unwrap());
    let mut config = config(NOWHERE, &[&good, &bad], directory.path());
    config.buffered_samples = 30;
    let agent = start(config, &fabric);
    until_status(&agent, "losses", |s| s.oracles[&bad.url].lost_samples > 0).await;
    assert!(agent.status().oracles[&bad.url].buffered_samples <= 30);
    assert_eq!(agent.status().oracles[&good.url].lost_samples, 0);
    assert!(good.batches().len() > 5);
    let tries = bad.tries();
    assert!(tries.len() > 1 && tries.iter().all(|body| *body == tries[0]), "the same bytes again");
    bad.answers(202);
    eventually("the backlog", || bad.batches().iter().any(|b| b.lost_samples > 0)).await;
    until_status(&agent, "caught up", |s| s.oracles[&bad.url].last_error.is_none()).await;
    let lost = agent.status().oracles[&bad.url].lost_samples;
    agent.shutdown().await;
    assert_eq!(bad.batches().iter().map(|b| b.lost_samples).sum::<u64>(), lost, "every loss is told once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refused_batches_are_dropped_and_told_of_later() {
    for status in [400, 401, 409, 413] {
        let oracle = FakeOracle::start().await;
        oracle.answers(status);
        let (fabric, directory) = (fabric(), tempfile::tempdir().unwrap());
        let agent = start(config(NOWHERE, &[&oracle], directory.path()), &fabric);
        until_status(&agent, "refusals", |s| s.oracles[&oracle.url].refused_batches >= 2).await;
        oracle.answers(202);
        eventually("accepted", || !oracle.batches().is_empty()).await;
        let tries = oracle.tries();
        let refused = tries.iter().map(read).take_while(|b| b.sequence < oracle.batches()[0].sequence);
        let refused: u64 = refused.map(|b| samples(&b)).sum();
        assert_eq!(oracle.batches()[0].lost_samples, refused, "{status}");
        agent.shutdown().await;
    }
}

fn read(body: &axum::body::Bytes) -> Batch {
    use prost::Message;
    let signed = causeway_wire::telemetry::SignedBatch::decode(body.clone()).unwrap();
    Batch::decode(signed.batch.as_slice()).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_oracle_that_never_answers_delays_nobody() {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let good = FakeOracle::start().await;
    let (fabric, directory) = (fabric(), tempfile::tempdir().unwrap());
    let mut config = config(NOWHERE, &[&good], directory.path());
    config.oracles.insert(0, format!("http://{}", silent.local_addr().unwrap()));
    let agent = start(config, &fabric);
    eventually("batches", || good.batches().len() > 10).await;
    let began = std::time::Instant::now();
    agent.shutdown().await;
    assert!(began.elapsed() < std::time::Duration::from_secs(5), "a stop does not wait for it either");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_configuration_that_can_not_work_is_refused_at_the_start() {
    let (fabric, directory) = (fabric(), tempfile::tempdir().unwrap());
    type Change = fn(&mut AgentConfig);
    let cases: [(&str, Change); 5] = [
        ("device code", |c| c.device = "NYC 1".into()),
        ("no controller is given", |c| c.controllers.clear()),
        ("no controller key", |c| c.controller_keys.clear()),
        ("revert-after", |c| c.limits.revert_after = c.limits.verb),
        ("must not be zero", |c| c.intervals.sample = std::time::Duration::ZERO),
    ];
    for (expected, change) in cases {
        let mut config = config(NOWHERE, &[], directory.path());
        change(&mut config);
        let Err(error) = Agent::start(config, fabric.driver(DEVICE).unwrap()) else { panic!("{expected}") };
        let source = std::error::Error::source(&error).unwrap().to_string();
        assert!(source.contains(expected), "{source}");
    }
}
