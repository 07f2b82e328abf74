//! Two instances of one oracle, one after the other, and two at once.

use std::{
    path::PathBuf,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use causeway_interface::{Key, LinkHealth};
use causeway_sdk::address::to_key;
use solana_sdk::signature::Keypair;

use super::scene::*;
use crate::{Config, Kind, Oracle, Rules, StartError, metrics::Metrics, submission::renewal};

/// A network whose words expire after `max_age` slots, on a ledger that takes words.
fn ledger(key: &Keypair, max_age: u64) -> FakeChain {
    let mut snapshot = network_of(key);
    snapshot.network.as_mut().unwrap().attestation_max_age_slots = max_age;
    let chain = FakeChain::new(snapshot, key);
    chain.applies.store(true, Ordering::Relaxed);
    chain
}

fn link(chain: &FakeChain) -> Key {
    let addresses = chain.snapshot.lock().unwrap().addresses();
    to_key(&addresses.link(&"l-1".parse().unwrap()))
}

/// Words on the link so far: slot and verdict.
fn words(chain: &FakeChain) -> Vec<(u64, u8)> {
    let link = link(chain);
    chain.applied.lock().unwrap().iter().filter(|(_, key, _)| *key == link).map(|(slot, _, v)| (*slot, *v)).collect()
}

const GOOD: u8 = LinkHealth::ReadyForService.byte();

#[tokio::test(flavor = "multi_thread")]
async fn of_two_instances_that_disagree_the_lower_word_stands_until_its_own_is_gone() {
    let key = Arc::new(Keypair::new());
    // Six seconds while both run. Gaps are let pass for as long, so that a slow machine is no fault.
    let max_age = 120;
    let patient = Rules { max_gap_ms: 6_000, hold_ms: 6_000, min_share_ppm: 1, spare_buckets: 100, ..rules() };
    let chain = ledger(&key, max_age);
    let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let start = |folder: PathBuf| {
        let config = Config { rules: patient.clone(), ..config(&key, &folder) };
        Oracle::start_on(config, chain.clone(), Metrics::default())
    };
    // One with telemetry, whose words are not taken yet; while it is away one without, that finds everything pending.
    chain.applies.store(false, Ordering::Relaxed);
    let http = reqwest::Client::new();
    let oracle = start(folder.path().into()).await.unwrap();
    let mut rig = Rig { chain: chain.clone(), oracle, folder, http, key: key.clone() };
    rig.wait("the first round", |r| r.oracle.counters().rounds > 0).await;
    rig.report(0).await;
    rig.wait("service", |r| r.level(Kind::Link, "l-1") == "ready-for-service").await;
    rig.report(0).await;
    rig.oracle.shutdown().await;
    chain.applies.store(true, Ordering::Relaxed);
    let blind = start(other.path().into()).await.unwrap();
    while words(&chain).is_empty() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    rig.oracle = start(rig.folder.path().into()).await.unwrap();
    rig.wait("the first round", |r| r.oracle.counters().rounds > 0).await;
    let now = || (chain.snapshot.lock().unwrap().slot, chain.attested().len() as u64);
    let began = now();
    for _ in 0..8 {
        rig.report(0).await;
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    assert_eq!(rig.level(Kind::Link, "l-1"), "ready-for-service", "alone it would raise the word");
    assert!(words(&chain).iter().all(|(_, verdict)| *verdict != GOOD), "{:?}", words(&chain));
    // One of the two renews; no more than that, and a few words that one of them changed.
    let ended = now();
    let (slots, attests) = (ended.0 - began.0, ended.1 - began.1);
    assert!(attests <= 2 * (slots / renewal::period(max_age) + 2), "{attests} transactions in {slots} slots");
    let metrics = rig.get("/metrics").await.1;
    let foreign = metrics.lines().find(|l| l.starts_with("causeway_oracle_foreign_words_total ")).unwrap();
    assert!(!foreign.ends_with(" 0"), "{foreign}");

    blind.shutdown().await;
    let orphaned = words(&chain).last().unwrap().0;
    for _ in 0..60 {
        rig.report(0).await;
        if let Some((slot, _)) = words(&chain).iter().find(|(_, verdict)| *verdict == GOOD) {
            assert!(*slot >= orphaned + max_age * 3 / 4, "raised at {slot}, the last low word was of {orphaned}");
            rig.oracle.shutdown().await;
            return;
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    panic!("never raised: {:?}", words(&chain));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_knows_its_own_words_even_those_that_were_not_noted() {
    let key = Arc::new(Keypair::new());
    let chain = ledger(&key, 1_500);
    let folder = tempfile::tempdir().unwrap();
    let start = || Oracle::start_on(config(&key, folder.path()), chain.clone(), Metrics::default());
    let oracle = start().await.unwrap();
    let refused = start().await.unwrap_err();
    assert!(matches!(refused, StartError::DataInUse { .. }), "{refused}");
    assert!(refused.to_string().starts_with("CW-ORACLE-DATA-IN-USE: data directory "), "{refused}");
    while oracle.counters().rounds < 3 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    oracle.shutdown().await;
    // As if it had died after the transaction and before the note.
    let database = rusqlite::Connection::open(folder.path().join("evidence.sqlite")).unwrap();
    database.execute_batch("UPDATE batch SET landed = 0, signature = NULL; DELETE FROM latest").unwrap();
    drop(database);

    let oracle = start().await.unwrap();
    let http = reqwest::Client::new();
    let rig = Rig { chain: chain.clone(), oracle, folder, http, key: key.clone() };
    rig.wait("two rounds", |r| r.oracle.counters().rounds > 1).await;
    let answer: serde_json::Value = serde_json::from_str(&rig.get("/v1/subjects/l-1/verdict").await.1).unwrap();
    let link = link(&chain);
    let root = chain.snapshot.lock().unwrap().attestations[&link].entries[0].evidence_root;
    assert_eq!(answer["attested"]["evidence_root"], root.to_string(), "{answer}");
    assert!(answer["attested"]["transaction"].is_null(), "{answer}");
    // Its own word it raises at once: a quarter of an hour before it would raise another's.
    rig.report(0).await;
    rig.wait("a good word", |r| words(&r.chain).iter().any(|(_, verdict)| *verdict == GOOD)).await;
    assert!(rig.get("/metrics").await.1.contains("causeway_oracle_foreign_words_total 0"));
    rig.oracle.shutdown().await;
}
