//! A whole oracle whose telemetry is in a real ClickHouse server, which dies and comes back.

use std::{sync::Arc, time::Duration};

use causeway_interface::DeviceHealth;
use solana_sdk::signature::Keypair;

use super::scene::*;
use crate::{
    Config, Kind, Oracle,
    config::StoreConfig,
    metrics::Metrics,
    store::clickhouse::{Settings, server::Server},
    time,
};

fn on_clickhouse(key: &Arc<Keypair>, folder: &std::path::Path, settings: Settings) -> Config {
    let settings = Settings { patience: Duration::from_secs(2), ..settings };
    Config { store: StoreConfig::ClickHouse(settings), ..config(key, folder) }
}

/// Whether something good was said since the words were last cleared.
fn good_word(rig: &Rig) -> bool {
    let good = DeviceHealth::ReadyForUsers.byte();
    rig.chain.attested().iter().any(|(a, _)| a.verdicts.iter().any(|v| v.verdict == good && v.failed == 0))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_clickhouse_means_silence_and_words_come_back_with_it() {
    let key = Arc::new(Keypair::new());
    let chain = FakeChain::new(network_of(&key), &key);
    let (folder, database) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut server = Server::start(database.path()).unwrap();
    let config = on_clickhouse(&key, folder.path(), server.settings());
    let oracle = Oracle::start_on(config, chain.clone(), Metrics::default()).await.unwrap();
    let rig = Rig { chain, oracle, folder, http: reqwest::Client::new(), key };
    rig.wait("the first round", |r| r.oracle.counters().rounds > 0).await;
    rig.report(0).await;
    rig.wait("users", |r| r.level(Kind::Device, "d-1") == "ready-for-users").await;
    rig.wait("a good word", good_word).await;
    assert!(!rig.folder.path().join("telemetry.sqlite").exists());

    server.kill();
    let failed = rig.oracle.counters().failed_rounds;
    rig.wait("a failed round", |r| r.oracle.counters().failed_rounds > failed).await;
    rig.chain.sent.lock().unwrap().clear();
    rig.wait("more failed rounds", |r| r.oracle.counters().failed_rounds > failed + 5).await;
    let (status, why) = rig.get("/ready").await;
    assert_eq!(status, 503, "{why}");
    for expected in ["\"code\":\"CW-ORACLE-STORE\"", "ClickHouse server can't be reached: ", "onnection refused"] {
        assert!(why.contains(expected), "{expected}: {why}");
    }
    let now = time::now_ms();
    let refused = rig.post(&Rig::batch(1, now, now - 500, now, 0), 1).await;
    assert_eq!(refused.status(), 503);
    assert!(refused.text().await.unwrap().contains("CW-TELEMETRY-STORE-FAILED"));
    assert!(rig.chain.sent.lock().unwrap().is_empty(), "silence");

    server.resume().unwrap();
    let rounds = rig.oracle.counters().rounds;
    rig.wait("rounds", |r| r.oracle.counters().rounds > rounds).await;
    // Nobody reports: what was in service is so no more, and that is said.
    rig.wait("the end of health", |r| r.level(Kind::Device, "d-1") != "ready-for-users").await;
    rig.wait("a word", |r| !r.chain.attested().is_empty()).await;
    rig.chain.sent.lock().unwrap().clear();
    for _ in 0..200 {
        let now = time::now_ms();
        for n in 1..=2 {
            rig.post(&Rig::batch(n, now, now - 100, now, 0), n).await;
        }
        if rig.level(Kind::Device, "d-1") == "ready-for-users" && good_word(&rig) {
            rig.oracle.shutdown().await;
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("no good word came back: {:#?}", rig.oracle.published());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_oracle_whose_clickhouse_is_away_does_not_start_and_says_why() {
    let key = Arc::new(Keypair::new());
    let folder = tempfile::tempdir().unwrap();
    let settings = Settings {
        url: "http://someone:hunter2@127.0.0.1:1".to_owned(),
        password: "hunter2".to_owned(),
        ..Settings::new("")
    };
    let config = on_clickhouse(&key, folder.path(), settings);
    let chain = FakeChain::new(network_of(&key), &key);
    let error = anyhow::Error::from(Oracle::start_on(config, chain, Metrics::default()).await.unwrap_err());
    let words = format!("{error:#}");
    for expected in ["the telemetry store can't be opened: ", "the ClickHouse server can't be reached: ", "onnection"] {
        assert!(words.contains(expected), "{expected}: {words}");
    }
    assert!(!format!("{words}{error:?}").contains("hunter2"), "{words}");
}
