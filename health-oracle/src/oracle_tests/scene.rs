//! What the tests of a whole oracle share: an oracle over a fake ledger, and telemetry for it.

use std::{sync::Arc, time::Duration};

use causeway_interface::Key;
use causeway_sdk::address::to_pubkey;
use causeway_wire::{
    signing,
    telemetry::{AdjacencySample, Batch, ConfigSample, InterfaceSample, ProbeSample, SignedBatch},
};
use ed25519_dalek::SigningKey;
use prost::Message;
use solana_sdk::signature::Keypair;

pub(super) use super::{
    fake_chain::FakeChain,
    network::{network_of, network_with},
};
use crate::{Config, Kind, Oracle, OracleHandle, Rules, metrics::Metrics, time};

pub(super) const PROGRAM: Key = Key([7; 32]);

pub(super) fn telemetry_key(n: u8) -> SigningKey {
    SigningKey::from_bytes(&[n; 32])
}

pub(super) struct Rig {
    pub(super) chain: FakeChain,
    pub(super) oracle: OracleHandle,
    pub(super) folder: tempfile::TempDir,
    pub(super) http: reqwest::Client,
    pub(super) key: Arc<Keypair>,
}

pub(super) fn rules() -> Rules {
    Rules { bucket_ms: 500, lag_ms: 200, hold_ms: 3_000, max_gap_ms: 3_000, ..Rules::seconds() }
}

pub(super) async fn rig() -> Rig {
    let key = Arc::new(Keypair::new());
    let chain = FakeChain::new(network_of(&key), &key);
    let folder = tempfile::tempdir().unwrap();
    let config = config(&key, folder.path());
    let oracle = Oracle::start_on(config, chain.clone(), Metrics::default()).await.unwrap();
    let http = reqwest::Client::new();
    let rig = Rig { chain, oracle, folder, http, key };
    rig.wait("the first round", |r| r.oracle.counters().rounds > 0).await;
    rig
}

pub(super) fn config(key: &Arc<Keypair>, folder: &std::path::Path) -> Config {
    Config {
        round_interval: Duration::from_millis(100),
        rules: rules(),
        ..Config::localnet("http://127.0.0.1:1".into(), to_pubkey(&PROGRAM), key.clone(), folder.into())
    }
}

impl Rig {
    pub(super) async fn wait(&self, what: &str, done: impl Fn(&Rig) -> bool) {
        for _ in 0..200 {
            if done(self) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("{what} did not happen; {:#?}", self.oracle.published());
    }

    pub(super) fn batch(n: u8, sequence: u64, from_ms: u64, to_ms: u64, lost: u32) -> Batch {
        let mut batch = Batch {
            device: format!("d-{n}"),
            sequence,
            from_unix_ms: from_ms,
            to_unix_ms: to_ms,
            ..Default::default()
        };
        for at_unix_ms in (from_ms..=to_ms).step_by(100) {
            for interface in ["eth2", "eth3"] {
                batch.interfaces.push(InterfaceSample {
                    at_unix_ms,
                    interface: interface.into(),
                    oper_up: true,
                    in_octets: at_unix_ms,
                    out_octets: at_unix_ms,
                    ..Default::default()
                });
            }
            let neighbor = "other".to_owned();
            batch.adjacencies.push(AdjacencySample { at_unix_ms, interface: "eth3".into(), up: true, neighbor });
            let (sent, received) = (10, 10 - lost);
            let target = "l-1".to_owned();
            batch.probes.push(ProbeSample { at_unix_ms, kind: 1, target, sent, received, ..Default::default() });
        }
        batch.configs = vec![ConfigSample {
            at_unix_ms: to_ms,
            polled_unix_ms: to_ms,
            offered_generation: 5,
            offered_sha256: vec![1; 32],
            applied_generation: 5,
            applied_sha256: vec![1; 32],
            offered_evaluated_slot: 0,
        }];
        batch
    }

    pub(super) async fn post(&self, batch: &Batch, n: u8) -> reqwest::Response {
        let bytes = batch.encode_to_vec();
        let signature = signing::sign(&telemetry_key(n), &signing::telemetry_message(&PROGRAM.0, &bytes)).to_vec();
        let body = SignedBatch { batch: bytes, signature }.encode_to_vec();
        self.http.post(self.oracle.telemetry_url()).body(body).send().await.unwrap()
    }

    /// Four seconds of telemetry of both devices up to now.
    pub(super) async fn report(&self, lost: u32) {
        let now = time::now_ms();
        for n in 1..=2 {
            let response = self.post(&Self::batch(n, now, now - 4_000, now, lost), n).await;
            assert_eq!(response.status(), 202, "{}", response.text().await.unwrap());
        }
    }

    pub(super) async fn get(&self, path: &str) -> (u16, String) {
        let url = format!("http://{}{path}", self.oracle.http_addr());
        let response = self.http.get(url).send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    }

    pub(super) fn level(&self, kind: Kind, code: &str) -> &'static str {
        let published = self.oracle.published();
        published.subjects.get(&(kind, code.parse().unwrap())).map_or("none", |j| j.verdict.level.name())
    }
}
