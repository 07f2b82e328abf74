//! Telemetry through outages and deaths: the agent's process is killed at any point, as the system kills one, and an hour
//! without oracles is made up for.

#![allow(clippy::unwrap_used)]

mod common;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use causeway_agent::{
    Agent,
    config::{BUFFER_BYTES, BUFFERED_SAMPLES},
    telemetry::{Journal, Samples, folder},
};
use causeway_wire::telemetry::{AdjacencySample, ConfigSample, InterfaceSample, ProbeSample};
use common::*;
use rand::{Rng, SeedableRng, rngs::StdRng};

/// The agent's program on a simulated router of its own.
fn spawn(folder: &Path, oracle: &str) -> Child {
    let key_file = |name: &str, seed| {
        let path = folder.join(name);
        if !path.exists() {
            std::fs::write(&path, serde_json::to_string(key(seed).to_keypair_bytes().as_slice()).unwrap()).unwrap();
            let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
            std::fs::set_permissions(&path, private).unwrap();
        }
        path
    };
    let state = folder.join("state");
    Command::new(env!("CARGO_BIN_EXE_causeway-agent"))
        .args(["--device", DEVICE, "--program-id", &bs58::encode(PROGRAM).into_string()])
        .args(["--controller", "http://127.0.0.1:1", "--oracle", oracle])
        .args(["--controller-key", &bs58::encode(controller_key().verifying_key()).into_string()])
        .args(["--sample-ms", "15", "--driver", "simulator-frr", "--simulator-uplink", "eth2"])
        .arg("--agent-key")
        .arg(key_file("agent", 2))
        .arg("--telemetry-key")
        .arg(key_file("telemetry", 3))
        .arg("--state-dir")
        .arg(&state)
        .env("RUST_LOG", "off")
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// Times of the moments in the buffer, as the next process would find them.
fn written(state: &Path) -> BTreeSet<u64> {
    let journal = Journal::open(&folder(state, DEVICE), usize::MAX, u64::MAX);
    let mut at = journal.reader("test", None);
    let mut times = BTreeSet::new();
    while let Some(taken) = journal.take(at, usize::MAX) {
        times.extend(taken.moments.iter().map(|moment| moment.at_unix_ms));
        at = taken.end;
    }
    times
}

/// How often each moment was taken as new.
fn delivered(oracle: &FakeOracle) -> BTreeMap<u64, usize> {
    let mut times = BTreeMap::new();
    for config in oracle.batches().iter().flat_map(|batch| batch.configs.clone()) {
        *times.entry(config.at_unix_ms).or_default() += 1;
    }
    times
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_any_point_nothing_written_is_lost_and_nothing_is_new_twice() {
    let oracle = FakeOracle::start().await;
    *oracle.does.lock().unwrap() = Does::Judges(false);
    let directory = tempfile::tempdir().unwrap();
    let state = directory.path().join("state");
    let seed: u64 = rand::random();
    println!("seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let mut all = BTreeSet::new();
    for _ in 0..40 {
        // Some answers never arrive, so that a killed agent may not know what the oracle has.
        let script = (0..3).map(|_| if random.gen_bool(0.3) { Does::Judges(true) } else { Does::Judges(false) });
        *oracle.script.lock().unwrap() = script.collect();
        if random.gen_bool(0.2) {
            oracle.first((0..20).map(|_| Does::Answers(503)));
        }
        let mut agent = spawn(directory.path(), &oracle.url);
        tokio::time::sleep(Duration::from_millis(random.gen_range(20..500))).await;
        agent.kill().unwrap();
        agent.wait().unwrap();
        all.extend(written(&state));
    }
    oracle.script.lock().unwrap().clear();
    let mut agent = spawn(directory.path(), &oracle.url);
    eventually("everything", || all.iter().all(|at| delivered(&oracle).contains_key(at))).await;
    agent.kill().unwrap();
    agent.wait().unwrap();
    assert!(all.len() > 100, "only {} moments were seen in the buffer", all.len());
    let twice: Vec<_> = delivered(&oracle).into_iter().filter(|(_, times)| *times > 1).collect();
    assert!(twice.is_empty(), "{twice:?}");
    let batches = oracle.batches();
    assert!(batches.windows(2).all(|pair| pair[0].sequence < pair[1].sequence));
    assert_eq!(batches.iter().map(|batch| batch.lost_samples).sum::<u64>(), 0);
    println!("{} moments, {} batches, {} tries", delivered(&oracle).len(), batches.len(), oracle.tries().len());
}

/// A sample of a device with fifty interfaces, an adjacency and a probe on each.
fn fifty(at_unix_ms: u64, round: u64) -> Samples {
    let name = |n: u64| format!("Ethernet{}/{}", n / 8, n % 8);
    Samples {
        at_unix_ms,
        interfaces: (0..50)
            .map(|n| InterfaceSample {
                at_unix_ms,
                interface: name(n),
                oper_up: true,
                in_octets: 7_000_000_000 * n + round * (1_234_567 + 7_919 * n),
                out_octets: 9_000_000_000 * n + round * (2_345_678 + 104_729 * n),
                ..InterfaceSample::default()
            })
            .collect(),
        adjacencies: (0..50)
            .map(|n| AdjacencySample { at_unix_ms, interface: name(n), up: true, neighbor: format!("router-{n}") })
            .collect(),
        probes: (0..50)
            .map(|n| ProbeSample {
                at_unix_ms,
                kind: 1,
                target: format!("nyc-lon-{n}"),
                sent: 10,
                received: 10,
                rtt_min_ns: 5_000_000 + (round * 7_919 + n * 104_729) % 100_000,
                rtt_avg_ns: 5_100_000 + (round * 6_101 + n * 15_485) % 100_000,
                rtt_max_ns: 5_200_000 + (round * 3_571 + n * 32_452) % 100_000,
            })
            .collect(),
        configs: vec![ConfigSample { at_unix_ms, applied_sha256: vec![7; 32], ..ConfigSample::default() }],
        ..Samples::default()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_hours_outage_is_made_up_for_after_a_restart() {
    let oracle = FakeOracle::start().await;
    *oracle.does.lock().unwrap() = Does::Judges(false);
    let (fabric, directory) = (fabric(), tempfile::tempdir().unwrap());
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis() as u64;
    let (mut samples, mut bytes) = (0, 0);
    let began = Instant::now();
    {
        let journal = Journal::open(&folder(directory.path(), DEVICE), BUFFERED_SAMPLES, BUFFER_BYTES);
        journal.reader(&oracle.url, None);
        for round in 0..360 {
            let moment = fifty(now - 3_600_000 + round * 10_000, round);
            samples += moment.len();
            bytes += moment.encode().len();
            journal.append(moment);
        }
        let status = journal.status();
        assert_eq!((status.error.clone(), status.unwritten), (None, 0));
        let disk = status.disk_bytes;
        println!(
            "an hour: {samples} samples, {bytes} octets, {disk} on disk, written in {:?} ({:?} a sample)",
            began.elapsed(),
            began.elapsed() / u32::try_from(samples).unwrap()
        );
        assert!(disk < 4 << 20, "{disk} octets for an hour");
    }
    let mut config = config("http://127.0.0.1:1", &[&oracle], directory.path());
    config.intervals.sample = Duration::from_secs(60);
    config.buffered_samples = BUFFERED_SAMPLES;
    let began = Instant::now();
    let agent = Agent::start(config, fabric.driver(DEVICE).unwrap()).unwrap();
    let received = || delivered(&oracle).len();
    eventually("the backlog", || received() >= 360).await;
    let took = began.elapsed();
    println!("drained in {took:?}, {} batches", oracle.batches().len());
    assert!(took < Duration::from_secs(10), "{took:?}");
    agent.shutdown().await;
    assert!(delivered(&oracle).values().all(|times| *times == 1));
    assert_eq!(oracle.batches().iter().map(|batch| batch.lost_samples).sum::<u64>(), 0);
    assert!(oracle.batches().len() < 20, "in large batches");
}

/// The largest plan: what an hour of it takes is within the bounds.
#[test]
fn an_hour_of_twenty_thousand_targets_fits() {
    let directory = tempfile::tempdir().unwrap();
    let journal = Journal::open(directory.path(), BUFFERED_SAMPLES, BUFFER_BYTES);
    let start = journal.reader("a", None);
    for round in 0..3_u64 {
        let at_unix_ms = 1_800_000_000_000 + round * 10_000;
        let probe = |n: u64| ProbeSample {
            at_unix_ms,
            kind: 2,
            target: format!("device-{n}"),
            sent: 10,
            received: 10,
            rtt_min_ns: 5_000_000 + (round * 7_919 + n * 104_729) % 50_000_000,
            rtt_avg_ns: 6_000_000 + (round * 6_101 + n * 15_485) % 50_000_000,
            rtt_max_ns: 7_000_000 + (round * 3_571 + n * 32_452) % 50_000_000,
        };
        journal.append(Samples { at_unix_ms, probes: (0..20_000).map(probe).collect(), ..Samples::default() });
    }
    let (bytes, hour) = (journal.status().disk_bytes, 360);
    println!("{} octets a sample, {} MB an hour", bytes / 60_000, bytes / 3 * hour / 1_000_000);
    assert!(bytes / 3 * hour <= BUFFER_BYTES && 20_000 * hour <= BUFFERED_SAMPLES as u64, "{bytes}");
    assert_eq!(journal.ahead(start), (60_000, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_under_way_is_sent_again_as_it_was_and_with_a_new_key_anew() {
    let oracle = FakeOracle::start().await;
    oracle.answers(503);
    let (fabric, directory) = (fabric(), tempfile::tempdir().unwrap());
    let start = |change: fn(&mut causeway_agent::AgentConfig)| {
        let mut config = config("http://127.0.0.1:1", &[&oracle], directory.path());
        change(&mut config);
        Agent::start(config, fabric.driver(DEVICE).unwrap()).unwrap()
    };
    let agent = start(|_| {});
    eventually("a try", || !oracle.tries().is_empty()).await;
    agent.kill();
    let before = oracle.tries();
    let agent = start(|_| {});
    eventually("a try of the next", || oracle.tries().len() > before.len() + 1).await;
    agent.kill();
    assert!(oracle.tries().iter().all(|body| *body == before[0]), "the same bytes, and nothing else before them");
    // Signed for another program; the fake oracle refuses what is not signed as it should be.
    let agent = start(|config| config.program_id = [43; 32]);
    tokio::time::sleep(Duration::from_millis(300)).await;
    agent.kill();
    assert!(oracle.batches().is_empty());
    *oracle.does.lock().unwrap() = Does::Judges(false);
    let agent = start(|_| {});
    eventually("batches", || oracle.batches().len() > 2).await;
    agent.shutdown().await;
    assert!(delivered(&oracle).values().all(|times| *times == 1));
    assert_eq!(oracle.batches().iter().map(|batch| batch.lost_samples).sum::<u64>(), 0);
}
