//! What must not become a word: what failed on the ledger, what can't be read, and what is too old.

use std::{
    collections::BTreeSet,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use causeway_interface::{Key, LinkHealth};
use causeway_sdk::{Snapshot, address::to_key, snapshot::Undecodable};
use solana_sdk::signature::Keypair;

use super::scene::*;
use crate::{Config, Kind, Oracle, Rules, metrics::Metrics, time};

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_that_lands_with_an_error_is_no_success() {
    let key = Arc::new(Keypair::new());
    let chain = FakeChain::new(network_of(&key), &key);
    chain.failing.store(true, Ordering::Relaxed);
    let folder = tempfile::tempdir().unwrap();
    let oracle = Oracle::start_on(config(&key, folder.path()), chain.clone(), Metrics::default()).await.unwrap();
    let rig = Rig { chain, oracle, folder, http: reqwest::Client::new(), key };
    rig.wait("rounds", |r| r.oracle.counters().rounds > 4).await;
    let counters = rig.oracle.counters();
    assert_eq!((counters.attestations, counters.transactions), (0, 0));
    assert!(counters.transaction_errors >= 4, "each round tries again: {counters:?}");
    let answer: serde_json::Value = serde_json::from_str(&rig.get("/v1/subjects/l-1/verdict").await.1).unwrap();
    assert!(answer["attested"].is_null(), "{answer}");
    rig.chain.failing.store(false, Ordering::Relaxed);
    rig.wait("all words", |r| r.oracle.counters().attestations >= 3).await;
    rig.oracle.shutdown().await;
}

/// Makes the account at this address one that can't be read.
fn damage(snapshot: &mut Snapshot, address: Key) {
    snapshot.links.remove(&address);
    snapshot.devices.remove(&address);
    let addresses = snapshot.addresses();
    snapshot.attestations.retain(|subject, _| to_key(&addresses.attestations(subject)) != address);
    snapshot.undecodable.push(Undecodable { address, data_len: 9, error: "damaged".into() });
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_said_of_what_depends_on_an_account_that_can_not_be_read() {
    let key = Arc::new(Keypair::new());
    let addresses = network_of(&key).addresses();
    let device = |code: &str| to_key(&addresses.device(&code.parse().unwrap()));
    let link = to_key(&addresses.link(&"l-1".parse().unwrap()));
    let of = |subject: &Key| to_key(&addresses.attestations(subject));
    let (d1, d2) = (device("d-1"), device("d-2"));
    let cases: [(&str, Option<Key>, &[Key]); 5] = [
        ("nothing", None, &[d1, d2, link]),
        ("the link: neither end knows all its links", Some(link), &[]),
        ("a device: its link has an end that is not known", Some(d1), &[d2]),
        ("attestations of a device", Some(of(&d2)), &[d1, link]),
        ("something else", Some(Key([42; 32])), &[d1, d2, link]),
    ];
    for (name, damaged, expected) in cases {
        let mut snapshot = network_of(&key);
        damaged.into_iter().for_each(|address| damage(&mut snapshot, address));
        let chain = FakeChain::new(snapshot, &key);
        let folder = tempfile::tempdir().unwrap();
        let oracle = Oracle::start_on(config(&key, folder.path()), chain.clone(), Metrics::default()).await.unwrap();
        while oracle.counters().rounds < 3 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let said: BTreeSet<Key> = chain.attested().into_iter().flat_map(|(_, keys)| keys).collect();
        assert_eq!(said, expected.iter().map(of).collect(), "{name}");
        oracle.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_good_is_said_on_data_older_than_the_maximum_age() {
    let key = Arc::new(Keypair::new());
    let mut snapshot = network_of(&key);
    // Eight seconds at the nominal pace, some two at that of this ledger; gaps alone would be let pass for a minute.
    snapshot.network.as_mut().unwrap().attestation_max_age_slots = 20;
    let chain = FakeChain::new(snapshot, &key);
    let folder = tempfile::tempdir().unwrap();
    let lenient = Rules { max_gap_ms: 60_000, hold_ms: 30_000, min_share_ppm: 1, spare_buckets: 1_000, ..rules() };
    let config = Config { rules: lenient, ..config(&key, folder.path()) };
    let oracle = Oracle::start_on(config, chain.clone(), Metrics::default()).await.unwrap();
    let rig = Rig { chain, oracle, folder, http: reqwest::Client::new(), key };
    rig.wait("the first round", |r| r.oracle.counters().rounds > 0).await;
    let now = time::now_ms();
    for n in 1..=2 {
        assert_eq!(rig.post(&Rig::batch(n, now, now - 40_000, now, 0), n).await.status(), 202);
    }
    let good = |rig: &Rig| {
        let good = LinkHealth::ReadyForService.byte();
        let l1 = rig.chain.snapshot.lock().unwrap().addresses();
        let l1 = to_key(&l1.attestations(&to_key(&l1.link(&"l-1".parse().unwrap()))));
        let said = rig.chain.attested();
        said.iter().any(|(a, keys)| keys.iter().zip(&a.verdicts).any(|(k, v)| *k == l1 && v.verdict == good))
    };
    rig.wait("a good word", &good).await;
    rig.wait("the end of health", |r| r.level(Kind::Link, "l-1") != "ready-for-service").await;
    rig.chain.sent.lock().unwrap().clear();
    let rounds = rig.oracle.counters().rounds;
    rig.wait("more rounds", |r| r.oracle.counters().rounds > rounds + 15).await;
    assert!(!good(&rig));
    rig.oracle.shutdown().await;
}
