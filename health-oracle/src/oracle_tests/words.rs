//! What an oracle says on the ledger, and when it says nothing.

use std::{
    collections::BTreeSet,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use causeway_interface::{Digest, Key, instruction::Tag};
use causeway_sdk::address::{Addresses, to_key, to_pubkey};
use causeway_wire::signing;
use solana_sdk::{message::AddressLookupTableAccount, pubkey::Pubkey, signature::Keypair};

use super::scene::*;
use crate::{Kind, Oracle, criteria::Criterion, metrics::Metrics, time};

#[tokio::test(flavor = "multi_thread")]
async fn telemetry_becomes_words_with_evidence() {
    let rig = rig().await;
    assert_eq!(rig.level(Kind::Device, "d-1"), "pending", "no telemetry is no health");
    rig.report(0).await;
    rig.wait("users", |r| r.level(Kind::Device, "d-1") == "ready-for-users").await;
    rig.wait("service", |r| r.level(Kind::Link, "l-1") == "ready-for-service").await;
    rig.wait("a good word", |r| {
        r.chain.attested().iter().any(|(a, _)| a.verdicts.iter().all(|v| v.verdict >= 2 && v.failed == 0))
    })
    .await;

    let path = "/v1/subjects/l-1/verdict";
    let mut answer = serde_json::Value::Null;
    for _ in 0..100 {
        answer = serde_json::from_str(&rig.get(path).await.1).unwrap();
        let name = answer["attested"]["evidence_sha256"].as_str().unwrap_or_default().to_owned();
        let document = rig.get(&format!("/v1/evidence/{name}")).await.1;
        if document.contains("ready-for-service") {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(answer["level"], "ready-for-service");
    // From the served document to the root that was signed.
    let name: Digest = answer["attested"]["evidence_sha256"].as_str().unwrap().parse().unwrap();
    let (status, document) = rig.get(&format!("/v1/evidence/{name}")).await;
    assert_eq!(status, 200);
    assert_eq!(Digest(signing::sha256(document.as_bytes())), name);
    let evidence: crate::evidence::Evidence = serde_json::from_slice(document.as_bytes()).unwrap();
    assert_eq!(evidence.recompute().unwrap(), evidence.verdict, "the verdict follows from what is shown");
    let proof: crate::evidence::merkle::Proof = serde_json::from_value(answer["attested"]["proof"].clone()).unwrap();
    let root = proof.root(&name).unwrap();
    assert!(rig.chain.attested().iter().any(|(a, _)| a.evidence_root == root), "a signed root");
    assert!(!document.contains("not_judged"));

    for (path, expected) in [
        ("/v1/status", 200),
        ("/v1/verdicts", 200),
        ("/live", 200),
        ("/ready", 200),
        ("/v1/subjects/l-1/verdict?kind=device", 404),
        ("/v1/subjects/NOT%20A%20CODE/verdict", 404),
        ("/v1/evidence/zz", 404),
    ] {
        assert_eq!(rig.get(path).await.0, expected, "{path}");
    }
    let metrics = rig.get("/metrics").await.1;
    assert!(metrics.contains("causeway_oracle_telemetry_batches_total 2"), "{metrics}");
    rig.oracle.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fault_is_named_at_once_and_healing_is_seen() {
    let rig = rig().await;
    rig.report(0).await;
    rig.wait("service", |r| r.level(Kind::Link, "l-1") == "ready-for-service").await;
    let now = time::now_ms();
    rig.post(&Rig::batch(1, now, now - 900, now, 1), 1).await;
    rig.wait("impaired", |r| r.level(Kind::Link, "l-1") == "impaired").await;
    rig.wait("a bad word", |r| {
        r.chain
            .attested()
            .iter()
            .any(|(a, _)| a.verdicts.iter().any(|v| v.verdict == 3 && v.failed == Criterion::L2.bit()))
    })
    .await;
    // Healthy telemetry goes on; after the hold it is well again.
    for _ in 0..100 {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let now = time::now_ms();
        for n in 1..=2 {
            rig.post(&Rig::batch(n, now, now - 100, now, 0), n).await;
        }
        if rig.level(Kind::Link, "l-1") == "ready-for-service" {
            rig.oracle.shutdown().await;
            return;
        }
    }
    panic!("did not heal: {:#?}", rig.oracle.published());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_ledger_or_store_means_silence() {
    let rig = rig().await;
    rig.chain.dead.store(true, Ordering::Relaxed);
    tokio::time::sleep(Duration::from_millis(300)).await;
    rig.chain.sent.lock().unwrap().clear();
    rig.wait("failed rounds", |r| r.oracle.counters().failed_rounds >= 3).await;
    assert!(rig.chain.sent.lock().unwrap().is_empty());
    // Telemetry is taken all the same.
    rig.report(0).await;
    // The store breaks; the ledger is back.
    let database = rusqlite::Connection::open(rig.folder.path().join("telemetry.sqlite")).unwrap();
    database.execute_batch("DROP TABLE probe_sample").unwrap();
    let failed = rig.oracle.counters().failed_rounds;
    rig.chain.dead.store(false, Ordering::Relaxed);
    rig.wait("more failed rounds", |r| r.oracle.counters().failed_rounds >= failed + 3).await;
    assert_eq!(rig.chain.attested().len(), 0);
    rig.oracle.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_refused_subject_holds_up_no_other() {
    let key = Arc::new(Keypair::new());
    let snapshot = network_of(&key);
    let addresses = snapshot.addresses();
    let bad = to_key(&addresses.attestations(&to_key(&addresses.device(&"d-1".parse().unwrap()))));
    let chain = FakeChain::new(snapshot, &key);
    chain.poisoned.lock().unwrap().insert(bad);
    let folder = tempfile::tempdir().unwrap();
    let oracle = Oracle::start_on(config(&key, folder.path()), chain.clone(), Metrics::default()).await.unwrap();
    for _ in 0..100 {
        let subjects: BTreeSet<Key> = chain.attested().into_iter().flat_map(|(_, keys)| keys).collect();
        if subjects.len() == 2 {
            assert!(!subjects.contains(&bad));
            assert!(oracle.counters().transaction_errors > 0);
            oracle.shutdown().await;
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the others were held up");
}

/// Transactions in which an oracle says its first word on every subject, of 39 and of 101 subjects.
#[tokio::test(flavor = "multi_thread")]
async fn words_of_a_whole_network_take_few_transactions_and_lost_tables_hold_up_none() {
    // Without tables 24 words fit a transaction: 309 bytes and 38 for each. By tables a batch is as long as the program
    // takes: 56.
    for (subjects, plainly, by_tables) in [(3, 1, 1), (39, 2, 1), (101, 5, 2)] {
        for (tables, lost, expected) in [(false, false, plainly), (true, false, by_tables), (true, true, plainly)] {
            let key = Arc::new(Keypair::new());
            let chain = FakeChain::new(network_with(subjects, &key), &key);
            let program = Addresses::new(to_pubkey(&PROGRAM));
            let all: Vec<Key> = chain.snapshot.lock().unwrap().attestations.keys().copied().collect();
            let mut addresses: Vec<Pubkey> = all.iter().map(|subject| program.attestations(subject)).collect();
            addresses.push(program.network());
            if tables {
                let table =
                    AddressLookupTableAccount { key: Pubkey::new_from_array([9; 32]), addresses: addresses.clone() };
                chain.tables.lock().unwrap().push(table);
            }
            chain.tables_lost.store(lost, Ordering::Relaxed);
            let folder = tempfile::tempdir().unwrap();
            let config = config(&key, folder.path());
            let oracle = Oracle::start_on(config, chain.clone(), Metrics::default()).await.unwrap();
            while oracle.counters().rounds < 3 {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            let attested = chain.attested();
            let said: BTreeSet<Key> = attested.iter().flat_map(|(_, keys)| keys.clone()).collect();
            let name = format!("{subjects} subjects, tables {tables}, lost {lost}");
            assert_eq!(said.len(), subjects, "{name}");
            assert_eq!(attested.iter().map(|(a, _)| a.verdicts.len()).sum::<usize>(), subjects, "{name}: each once");
            // Batches of lost tables are split one by one, so that they may leave one transaction more.
            assert!((expected..=expected + usize::from(lost)).contains(&attested.len()), "{name}: {}", attested.len());
            println!("{name}: {} transactions", attested.len());
            let wanted = chain.wanted.lock().unwrap().clone();
            let expected: BTreeSet<Pubkey> =
                if subjects > 3 { addresses.into_iter().collect() } else { BTreeSet::new() };
            assert_eq!(wanted, expected, "{name}: a small network asks for none");
            oracle.shutdown().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn words_are_not_repeated_and_entries_are_made() {
    let key = Arc::new(Keypair::new());
    let mut snapshot = network_of(&key);
    for attestations in snapshot.attestations.values_mut() {
        attestations.entries.clear();
    }
    // Nobody attests: what is in service is unknown, and advancing says so.
    let chain = FakeChain::new(snapshot, &key);
    let folder = tempfile::tempdir().unwrap();
    let oracle = Oracle::start_on(config(&key, folder.path()), chain.clone(), Metrics::default()).await.unwrap();
    while oracle.counters().rounds < 5 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(chain.count(Tag::ExtendAttestations) >= 3);
    assert_eq!(chain.attested().iter().map(|(a, _)| a.verdicts.len()).sum::<usize>(), 3, "each once");
    assert!(chain.count(Tag::Advance) >= 3);
    oracle.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_oracle_outside_the_set_says_nothing() {
    let key = Arc::new(Keypair::new());
    let chain = FakeChain::new(network_of(&Keypair::new()), &key);
    let folder = tempfile::tempdir().unwrap();
    let oracle = Oracle::start_on(config(&key, folder.path()), chain.clone(), Metrics::default()).await.unwrap();
    while oracle.counters().rounds < 3 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(chain.sent.lock().unwrap().is_empty());
    assert_eq!(oracle.published().subjects.len(), 3);
    assert!(!oracle.published().in_set);
    oracle.shutdown().await;
}
