//! Fakes for tests of what asks oracles: a ledger in memory, and an oracle that answers what it was told to.

use std::{collections::BTreeMap, sync::Arc};

use causeway_health_oracle::Kind;
use causeway_interface::{
    AccountType, Digest, Key, Unused,
    accounts::{Attestation, Attestations, Header, LAYOUT_VERSION},
};
use causeway_sdk::Snapshot;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use crate::{
    import::{ImportOptions, gml, site_from_gml},
    oracles::Subject,
    simulate::activated,
};

pub const PROGRAM: Key = Key([7; 32]);
/// The oracle epoch in force.
pub const EPOCH: u32 = 4;
/// The slot that the ledger is read at.
pub const SLOT: u64 = 10_000;

/// The key of oracle `n` of the set.
pub fn oracle(n: u8) -> Key {
    Key([100 + n; 32])
}

/// Abilene in service, with three oracles, two of which make a quorum, that have not spoken.
pub fn ledger() -> Snapshot {
    let path = format!("{}/../topologies/Abilene.gml", env!("CARGO_MANIFEST_DIR"));
    let (text, _) = gml::decode(&std::fs::read(path).unwrap());
    let site = site_from_gml(&text, &ImportOptions::default()).unwrap().site;
    let mut snapshot = activated(&site, PROGRAM).unwrap();
    snapshot.slot = SLOT;
    let network = snapshot.network.as_mut().unwrap();
    (network.oracle_epoch, network.quorum, network.oracle_count) = (EPOCH, 2, 3);
    (network.burn_in_new_slots, network.burn_in_maintenance_slots) = (1_000, 100);
    network.attestation_max_age_slots = 90;
    for (n, key) in network.oracles.iter_mut().take(3).enumerate() {
        *key = oracle(n as u8);
    }
    let devices = snapshot.devices.keys().map(|key| (*key, AccountType::Device));
    let subjects: Vec<_> = devices.chain(snapshot.links.keys().map(|key| (*key, AccountType::Link))).collect();
    for (subject, kind) in subjects {
        snapshot.attestations.insert(subject, nothing_said(subject, kind));
    }
    snapshot
}

fn nothing_said(subject: Key, kind: AccountType) -> Attestations {
    let unused = Unused::Zero;
    let header = Header {
        account_type: AccountType::Attestations,
        version: LAYOUT_VERSION,
        bump: u8::MAX,
        status: unused,
        health: unused,
        desired: unused,
        kind,
        flags: 0,
        sequence: 1,
        status_since_slot: 1,
    };
    let never = Attestation {
        verdict: 0,
        epoch: 0,
        slot: 0,
        since: [0, 0],
        failed: 0,
        window_start_slot: 0,
        window_end_slot: 0,
        evidence_root: Digest::ZERO,
    };
    Attestations { header, subject, entries: vec![never; 3] }
}

/// The first device of the ledger.
pub fn device(snapshot: &Snapshot) -> Subject {
    let (key, device) = snapshot.devices.iter().next().unwrap();
    Subject { kind: Kind::Device, code: device.code, key: *key }
}

/// An oracle that answers by path, whatever is asked after it, and 404 to the rest.
pub struct FakeOracle {
    pub url: String,
    task: tokio::task::JoinHandle<()>,
}

impl FakeOracle {
    pub async fn start(answers: BTreeMap<String, (u16, Vec<u8>)>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let answers = Arc::new(answers);
        let task = tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let answers = answers.clone();
                tokio::spawn(async move {
                    let mut request = Vec::new();
                    let mut part = [0; 1024];
                    while !request.ends_with(b"\r\n\r\n") {
                        match stream.read(&mut part).await {
                            Ok(0) | Err(_) => return,
                            Ok(n) => request.extend_from_slice(&part[..n]),
                        }
                    }
                    let request = String::from_utf8_lossy(&request).into_owned();
                    let path = request.split_whitespace().nth(1).unwrap_or_default();
                    let path = path.split('?').next().unwrap_or_default();
                    let missing = (404, br#"{"code":"CW-ORACLE-NO-EVIDENCE","cause":"x"}"#.to_vec());
                    let (status, body) = answers.get(path).cloned().unwrap_or(missing);
                    let head =
                        format!("HTTP/1.1 {status} x\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", body.len());
                    let _ = stream.write_all(&[head.as_bytes(), &body].concat()).await;
                });
            }
        });
        Self { url, task }
    }
}

impl Drop for FakeOracle {
    fn drop(&mut self) {
        self.task.abort();
    }
}
