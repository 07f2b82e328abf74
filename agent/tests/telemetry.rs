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
    let judged = batch.interfaces.len() + batch.adjacencies.len() + batch.probes.len() + batch.configs.len();
    (judged + batch.sessions.len() + batch.systems.len()) as u64
}

/// No controller anywhere: telemetry does not need one.
const NOWHERE: &str = "http://127.0.0.1:1";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sequences_grow_over_restarts_and_every_oracle_gets_all() {
    let (a, b) = (FakeOracle::start().await, FakeOracle::start().await);
    // A batch whose answer a killed agent did not see comes again.
    for oracle in [&a, &b] {
        *oracle.does.lock().unwrap() = Does::Judges(false);
    }
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
    let signed = causeway_wire::telemetry::SignedBatch::decode(inflated("zstd", body).as_slice()).unwrap();
    Batch::decode(signed.batch.as_slice()).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_oracle_that_is_busy_is_left_alone_as_long_as_it_asks() {
    let oracle = FakeOracle::start().await;
    oracle.first([Does::Postpones(1), Does::Answers(503), Does::Postpones(1)]);
    let (fabric, directory) = (fabric(), tempfile::tempdir().unwrap());
    let agent = start(config(NOWHERE, &[&oracle], directory.path()), &fabric);
    eventually("the backlog", || oracle.batches().len() >= 2).await;
    let waits: Vec<_> = oracle.times.lock().unwrap().windows(2).take(3).map(|pair| pair[1] - pair[0]).collect();
    let second = std::time::Duration::from_secs(1);
    assert!(waits[0] >= second && waits[1] < second / 2 && waits[2] >= second, "{waits:?}");
    assert!(waits.iter().all(|wait| *wait < 3 * second), "{waits:?}");
    let tries = oracle.tries();
    assert!(tries[1..4].iter().all(|body| *body == tries[0]), "the same bytes again");
    let status = agent.status();
    assert_eq!((status.oracles[&oracle.url].lost_samples, oracle.batches()[1].lost_samples), (0, 0));
    assert!(samples(&oracle.batches()[1]) > 3 * samples(&oracle.batches()[0]), "what was sampled meanwhile follows");
    agent.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_used_up_sequence_is_jumped_over_and_nothing_is_lost() {
    let (oracle, other) = (FakeOracle::start().await, FakeOracle::start().await);
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis() as u64;
    // Another agent of this device was an hour ahead.
    let used = now + 3_600_000;
    oracle.first([Does::Replays(used)]);
    let (fabric, directory) = (fabric(), tempfile::tempdir().unwrap());
    let agent = start(config(NOWHERE, &[&oracle, &other], directory.path()), &fabric);
    eventually("batches", || oracle.batches().len() >= 3 && other.batches().len() >= 3).await;
    let (first, batches) = (read(&oracle.tries()[0]), oracle.batches());
    assert!(first.sequence < used && batches[0].sequence > used);
    assert_eq!(Batch { sequence: 0, ..first }, Batch { sequence: 0, ..batches[0].clone() }, "the same samples");
    for oracle in [&oracle, &other] {
        assert!(oracle.batches().windows(2).all(|pair| pair[0].sequence < pair[1].sequence));
        assert_eq!(agent.status().oracles[&oracle.url].lost_samples, 0);
    }
    // One that lies does not move the sequence out of reach of the others, nor hold the agent up.
    oracle.first([Does::Replays(u64::MAX), Does::Replays(i64::MAX as u64)]);
    until_status(&agent, "refusals", |s| s.oracles[&oracle.url].refused_batches == 2).await;
    let taken = oracle.batches().len();
    eventually("more", || oracle.batches().len() > taken).await;
    assert!(oracle.batches().last().unwrap().sequence < used + 60_000);
    agent.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sequence_that_is_always_used_up_ends_in_a_counted_loss() {
    let oracle = FakeOracle::start().await;
    let (fabric, directory) = (fabric(), tempfile::tempdir().unwrap());
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis() as u64;
    oracle.first((1..=4).map(|n| Does::Replays(now + n * 3_600_000)));
    let agent = start(config(NOWHERE, &[&oracle], directory.path()), &fabric);
    eventually("batches", || !oracle.batches().is_empty()).await;
    let status = agent.status().oracles[&oracle.url].clone();
    agent.shutdown().await;
    assert_eq!(status.refused_batches, 1, "signed once and three times more");
    assert!(status.lost_samples > 0 && oracle.batches()[0].lost_samples == status.lost_samples);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_oracle_that_closes_or_stalls_gets_the_same_bytes_again() {
    let oracle = FakeOracle::start().await;
    oracle.first([Does::TakesAndCloses, Does::Stalls]);
    let (fabric, directory) = (fabric(), tempfile::tempdir().unwrap());
    let agent = start(config(NOWHERE, &[&oracle], directory.path()), &fabric);
    eventually("the first", || oracle.batches().len() == 1).await;
    let sequence = oracle.batches()[0].sequence;
    // After the stall has run into the time limit, the oracle says that it has had the batch.
    eventually("a try that stalls", || oracle.tries().len() >= 2).await;
    oracle.first([Does::Replays(sequence)]);
    eventually("the next", || oracle.batches().len() >= 2).await;
    let tries = oracle.tries();
    assert!(tries[1] == tries[0] && tries[2] == tries[0] && tries[3] != tries[0]);
    let status = agent.status().oracles[&oracle.url].clone();
    assert_eq!((status.lost_samples, status.refused_batches, status.retries), (0, 0, 2), "{status:?}");
    agent.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn telemetry_is_compressed_but_for_an_oracle_that_can_not_read_it() {
    let (oracle, old) = (FakeOracle::start().await, FakeOracle::start().await);
    old.first([Does::Answers(415)]);
    let (fabric, directory) = (fabric(), tempfile::tempdir().unwrap());
    let agent = start(config(NOWHERE, &[&oracle, &old], directory.path()), &fabric);
    eventually("batches", || oracle.batches().len() >= 3 && old.batches().len() >= 3).await;
    assert!(oracle.encodings.lock().unwrap().iter().all(|encoding| encoding == "zstd"));
    let encodings = old.encodings.lock().unwrap().clone();
    assert_eq!(encodings[0], "zstd");
    assert!(encodings[1..].iter().all(|encoding| encoding == "identity"), "{encodings:?}");
    assert_eq!(agent.status().oracles[&old.url].lost_samples, 0);
    // One that refuses both is not asked for ever.
    old.answers(415);
    until_status(&agent, "refusals", |s| s.oracles[&old.url].refused_batches >= 2).await;
    agent.shutdown().await;
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
