//! A whole oracle over a fake ledger: real HTTP, real stores, real signatures, made-up chain.

use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use causeway_interface::{
    AccountType, DesiredStatus, DeviceHealth, DeviceStatus, DeviceType, Digest, ErrorCode, InterfaceKind,
    InterfaceRole, Key, LinkHealth, LinkStatus, LinkType, LoopbackType, NetworkStatus, Platform, Prefix,
    RegistryStatus, RejectReason, Unused,
    accounts::{
        Attestation, Attestations, Contributor, Device, Exchange, Header, Interface, LAYOUT_VERSION,
        LINK_FLAG_Z_ATTACHED, Link, Location, MAX_ORACLES, Network,
    },
    instruction::{Attest, Instruction as Data, Tag},
};
use causeway_sdk::{
    Snapshot,
    address::{Addresses, to_key, to_pubkey},
    instructions::tag_of,
    pack,
};
use causeway_wire::{
    signing,
    telemetry::{AdjacencySample, Batch, ConfigSample, InterfaceSample, ProbeSample, SignedBatch},
};
use ed25519_dalek::SigningKey;
use prost::Message;
use solana_sdk::{
    instruction::Instruction, message::AddressLookupTableAccount, pubkey::Pubkey, signature::Keypair, signer::Signer,
};

use super::*;
use crate::{
    Rules,
    chain::{ReadError, SendError},
    criteria::{Criterion, Outcome},
    subjects::Kind,
};

const PROGRAM: Key = Key([7; 32]);

/// A ledger that holds what it is told and keeps what is sent.
#[derive(Clone)]
struct FakeChain {
    snapshot: Arc<Mutex<Snapshot>>,
    sent: Arc<Mutex<Vec<Instruction>>>,
    /// Attestations accounts that the program refuses.
    poisoned: Arc<Mutex<BTreeSet<Key>>>,
    /// Pays for what is sent.
    oracle: Pubkey,
    /// What is said to be usable, what was asked for, and whether it is gone when it is used.
    tables: Arc<Mutex<Vec<AddressLookupTableAccount>>>,
    wanted: Arc<Mutex<BTreeSet<Pubkey>>>,
    tables_lost: Arc<AtomicBool>,
    dead: Arc<AtomicBool>,
}

impl Chain for FakeChain {
    async fn snapshot(&self) -> Result<Snapshot, ReadError> {
        if self.dead.load(Ordering::Relaxed) {
            return Err(ReadError("no answer".into()));
        }
        let mut snapshot = self.snapshot.lock().unwrap();
        snapshot.slot += 1;
        Ok(snapshot.clone())
    }

    async fn slot_time_ms(&self, _: u64) -> Option<u64> {
        None
    }

    fn tables(&self) -> Vec<AddressLookupTableAccount> {
        self.tables.lock().unwrap().clone()
    }

    fn want_in_tables(&self, addresses: BTreeSet<Pubkey>) {
        *self.wanted.lock().unwrap() = addresses;
    }

    async fn send(
        &self,
        instructions: Vec<Instruction>,
        tables: &[AddressLookupTableAccount],
    ) -> Result<String, SendError> {
        let size = pack::size(&self.oracle, &instructions, tables).unwrap();
        assert!(size.bytes <= pack::MAX_TRANSACTION_BYTES && size.accounts <= 64, "{size:?}");
        if !tables.is_empty() && self.tables_lost.load(Ordering::Relaxed) {
            return Err(SendError::Tables { message: "gone".into() });
        }
        let poisoned = self.poisoned.lock().unwrap();
        let touched = instructions.iter().flat_map(|i| &i.accounts).map(|m| to_key(&m.pubkey));
        if touched.into_iter().any(|key| poisoned.contains(&key)) {
            return Err(SendError::Program { code: ErrorCode::CorruptAccount });
        }
        self.sent.lock().unwrap().extend(instructions);
        Ok("signature".into())
    }
}

impl FakeChain {
    fn new(snapshot: Snapshot, oracle: &Keypair) -> Self {
        Self {
            snapshot: Arc::new(Mutex::new(snapshot)),
            sent: Arc::default(),
            poisoned: Arc::default(),
            oracle: oracle.pubkey(),
            tables: Arc::default(),
            wanted: Arc::default(),
            tables_lost: Arc::default(),
            dead: Arc::default(),
        }
    }

    fn attested(&self) -> Vec<(Attest, Vec<Key>)> {
        let sent = self.sent.lock().unwrap();
        let attests = sent.iter().filter(|i| tag_of(i) == Some(Tag::Attest));
        attests
            .map(|i| match Data::decode(&i.data).unwrap() {
                Data::Attest(attest) => (attest, i.accounts[2..].iter().map(|m| to_key(&m.pubkey)).collect()),
                other => panic!("{other:?}"),
            })
            .collect()
    }

    fn count(&self, tag: Tag) -> usize {
        self.sent.lock().unwrap().iter().filter(|i| tag_of(i) == Some(tag)).count()
    }
}

fn header<S, H, D, K>(account_type: AccountType, status: S, health: H, desired: D, kind: K) -> Header<S, H, D, K> {
    let (version, bump, flags, sequence, status_since_slot) = (LAYOUT_VERSION, 255, 0, 1, 1);
    Header { account_type, version, bump, status, health, desired, kind, flags, sequence, status_since_slot }
}

fn telemetry_key(n: u8) -> SigningKey {
    SigningKey::from_bytes(&[n; 32])
}

fn port(name: &str, kind: InterfaceKind, role: InterfaceRole, loopback: LoopbackType, address: &str) -> Interface {
    Interface {
        name: name.parse().unwrap(),
        kind,
        role,
        loopback,
        vlan_id: 0,
        mtu: 1_500,
        bandwidth_bps: 0,
        address: if address.is_empty() { Prefix::NONE } else { address.parse().unwrap() },
        node_segment: 0,
        link: Key::ZERO,
    }
}

/// Two activated devices with one activated WAN link, and an oracle in the set.
fn network_of(oracle: &Keypair) -> Snapshot {
    let addresses = Addresses::new(to_pubkey(&PROGRAM));
    let code = |text: &str| text.parse().unwrap();
    let mut s = Snapshot::empty(PROGRAM, 1_000);
    let mut oracles = [Key::ZERO; MAX_ORACLES];
    oracles[0] = to_key(&oracle.pubkey());
    let block = |text: &str| text.parse().unwrap();
    s.network = Some(Network {
        reserved: Default::default(),
        header: header(AccountType::Network, NetworkStatus::Running, Unused::Zero, Unused::Zero, Unused::Zero),
        authority: Key([1; 32]),
        pending_authority: Key::ZERO,
        oracle_epoch: 1,
        quorum: 1,
        oracle_count: 1,
        core_asn: 65_000,
        burn_in_new_slots: 20,
        burn_in_maintenance_slots: 10,
        attestation_max_age_slots: 1_500,
        link_block: block("172.16.0.0/16"),
        loopback_block: block("172.17.0.0/16"),
        user_block: block("172.18.0.0/16"),
        contributor_count: 1,
        location_count: 1,
        exchange_count: 1,
        device_count: 2,
        link_count: 1,
        oracles,
    });
    let registry = |t| header(t, RegistryStatus::Activated, Unused::Zero, Unused::Zero, Unused::Zero);
    let (contributor, location, exchange) = (
        to_key(&addresses.contributor(&code("acme"))),
        to_key(&addresses.location(&code("nyc"))),
        to_key(&addresses.exchange(&code("nyc"))),
    );
    s.contributors.insert(
        contributor,
        Contributor {
            reserved: Default::default(),
            header: registry(AccountType::Contributor),
            code: code("acme"),
            owner: Key([2; 32]),
            operations_key: Key::ZERO,
            device_count: 2,
            link_count: 2,
        },
    );
    s.locations.insert(
        location,
        Location {
            reserved: Default::default(),
            header: registry(AccountType::Location),
            code: code("nyc"),
            name: "New York".parse().unwrap(),
            country: "US".parse().unwrap(),
            lat_e6: 0,
            lng_e6: 0,
            device_count: 2,
        },
    );
    s.exchanges.insert(
        exchange,
        Exchange {
            reserved: Default::default(),
            header: registry(AccountType::Exchange),
            code: code("nyc"),
            name: "New York".parse().unwrap(),
            country: "US".parse().unwrap(),
            lat_e6: 0,
            lng_e6: 0,
            bgp_community: 1,
            device_count: 2,
        },
    );
    let mut devices = Vec::new();
    for n in 1..=2u8 {
        let code: causeway_interface::Code = format!("d-{n}").parse().unwrap();
        let key = to_key(&addresses.device(&code));
        devices.push(key);
        let fabric = |name| port(name, InterfaceKind::Physical, InterfaceRole::Fabric, LoopbackType::None, "");
        let loopback = |name, kind, at: &str| port(name, InterfaceKind::Loopback, InterfaceRole::Fabric, kind, at);
        s.devices.insert(
            key,
            Device {
                reserved: Default::default(),
                header: header(
                    AccountType::Device,
                    DeviceStatus::Activated,
                    DeviceHealth::ReadyForUsers,
                    DesiredStatus::Activated,
                    DeviceType::Hybrid,
                ),
                code,
                contributor,
                location,
                exchange,
                platform: Platform::Frr,
                suspended_from: DeviceStatus::Pending,
                reject_reason: RejectReason::None,
                public_ip: format!("198.18.0.{n}").parse().unwrap(),
                dz_prefix_count: 1,
                dz_prefixes: [format!("198.18.{n}.0/29").parse().unwrap(), Prefix::NONE, Prefix::NONE, Prefix::NONE],
                agent_key: Key([3; 32]),
                telemetry_key: Key(telemetry_key(n).verifying_key().to_bytes()),
                management_vrf: Default::default(),
                health_since_slot: 1,
                link_count: 1,
                activated_wan_links: 1,
                activated_dzx_links: 0,
                user_count: 0,
                interfaces: vec![
                    loopback("Loopback255", LoopbackType::Vpnv4, &format!("172.17.0.{n}/32")),
                    loopback("Loopback256", LoopbackType::Ipv4, &format!("172.17.1.{n}/32")),
                    port("eth1", InterfaceKind::Physical, InterfaceRole::Cyoa, LoopbackType::None, ""),
                    port("eth2", InterfaceKind::Physical, InterfaceRole::Dia, LoopbackType::None, ""),
                    fabric("eth3"),
                ],
            },
        );
    }
    let link_code = code("l-1");
    let link_header = header(
        AccountType::Link,
        LinkStatus::Activated,
        LinkHealth::ReadyForService,
        DesiredStatus::Activated,
        LinkType::Wan,
    );
    let link = to_key(&addresses.link(&link_code));
    s.links.insert(
        link,
        Link {
            reserved: Default::default(),
            header: Header { flags: LINK_FLAG_Z_ATTACHED, ..link_header },
            code: link_code,
            device_a: devices[0],
            device_z: devices[1],
            interface_a: "eth3".parse().unwrap(),
            interface_z: "eth3".parse().unwrap(),
            contributor_a: contributor,
            contributor_z: contributor,
            suspended_from: LinkStatus::Pending,
            reject_reason: RejectReason::None,
            desired_a: DesiredStatus::Activated,
            desired_z: DesiredStatus::Activated,
            bandwidth_bps: 10_000_000_000,
            mtu: 9_000,
            delay_ns: 1_000_000,
            jitter_ns: 10_000,
            delay_override_ns: 0,
            tunnel_id: 1,
            tunnel_net: "172.16.0.0/31".parse().unwrap(),
            health_since_slot: 1,
        },
    );
    for (subject, kind) in devices.iter().map(|d| (*d, AccountType::Device)).chain([(link, AccountType::Link)]) {
        s.attestations.insert(
            subject,
            Attestations {
                header: header(AccountType::Attestations, Unused::Zero, Unused::Zero, Unused::Zero, kind),
                subject,
                entries: vec![Attestation {
                    verdict: 0,
                    epoch: 0,
                    slot: 0,
                    since: [0; 2],
                    failed: 0,
                    window_start_slot: 0,
                    window_end_slot: 0,
                    evidence_root: Digest::ZERO,
                }],
            },
        );
    }
    s
}

struct Rig {
    chain: FakeChain,
    oracle: OracleHandle,
    folder: tempfile::TempDir,
    http: reqwest::Client,
    key: Arc<Keypair>,
}

fn rules() -> Rules {
    Rules { bucket_ms: 500, lag_ms: 200, hold_ms: 3_000, max_gap_ms: 3_000, ..Rules::seconds() }
}

async fn rig() -> Rig {
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

fn config(key: &Arc<Keypair>, folder: &std::path::Path) -> Config {
    Config {
        round_interval: Duration::from_millis(100),
        rules: rules(),
        ..Config::localnet("http://127.0.0.1:1".into(), to_pubkey(&PROGRAM), key.clone(), folder.into())
    }
}

impl Rig {
    async fn wait(&self, what: &str, done: impl Fn(&Rig) -> bool) {
        for _ in 0..200 {
            if done(self) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("{what} did not happen; {:#?}", self.oracle.published());
    }

    fn batch(n: u8, sequence: u64, from_ms: u64, to_ms: u64, lost: u32) -> Batch {
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

    async fn post(&self, batch: &Batch, n: u8) -> reqwest::Response {
        let bytes = batch.encode_to_vec();
        let signature = signing::sign(&telemetry_key(n), &signing::telemetry_message(&PROGRAM.0, &bytes)).to_vec();
        let body = SignedBatch { batch: bytes, signature }.encode_to_vec();
        self.http.post(self.oracle.telemetry_url()).body(body).send().await.unwrap()
    }

    /// Four seconds of telemetry of both devices up to now.
    async fn report(&self, lost: u32) {
        let now = time::now_ms();
        for n in 1..=2 {
            let response = self.post(&Self::batch(n, now, now - 4_000, now, lost), n).await;
            assert_eq!(response.status(), 202, "{}", response.text().await.unwrap());
        }
    }

    async fn get(&self, path: &str) -> (u16, String) {
        let url = format!("http://{}{path}", self.oracle.http_addr());
        let response = self.http.get(url).send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    }

    fn level(&self, kind: Kind, code: &str) -> &'static str {
        let published = self.oracle.published();
        published.subjects.get(&(kind, code.parse().unwrap())).map_or("none", |j| j.verdict.level.name())
    }
}

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

/// The network of [`network_of`] with as many subjects in all.
fn network_with(subjects: usize, oracle: &Keypair) -> Snapshot {
    let mut snapshot = network_of(oracle);
    let addresses = snapshot.addresses();
    let model = snapshot.devices.values().next().unwrap().clone();
    let words = snapshot.attestations.values().find(|a| a.header.kind == AccountType::Device).unwrap().clone();
    for n in snapshot.attestations.len()..subjects {
        let code = format!("more-{n}").parse().unwrap();
        let key = to_key(&addresses.device(&code));
        snapshot.devices.insert(key, Device { code, ..model.clone() });
        snapshot.attestations.insert(key, Attestations { subject: key, ..words.clone() });
    }
    snapshot
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

#[tokio::test(flavor = "multi_thread")]
async fn refusals_have_code_cause_and_remedy_also_after_a_restart() {
    let rig = rig().await;
    let now = time::now_ms();
    let batch = Rig::batch(1, now, now - 100, now, 0);
    assert_eq!(rig.post(&batch, 1).await.status(), 202);
    let cases = [
        (rig.post(&batch, 1).await, 409, "CW-TELEMETRY-REPLAY"),
        (rig.post(&Rig::batch(1, now + 1, now, now, 0), 2).await, 401, "CW-TELEMETRY-BAD-SIGNATURE"),
        (rig.post(&Rig::batch(9, now + 1, now, now, 0), 1).await, 404, "CW-TELEMETRY-UNKNOWN-DEVICE"),
        (rig.post(&Rig::batch(1, now + 1, now, now + 90_000, 0), 1).await, 422, "CW-TELEMETRY-AHEAD"),
    ];
    for (response, status, code) in cases {
        assert_eq!(response.status(), status, "{code}");
        let body: serde_json::Value = response.json().await.unwrap();
        assert_eq!(body["code"], code);
        assert!(body["cause"].as_str().is_some_and(|c| !c.is_empty()) && body["remedy"].is_string(), "{body}");
    }
    let huge = rig.http.post(rig.oracle.telemetry_url()).body(vec![0; 5 * 1024 * 1024]).send().await;
    // The server may close the connection before all of it is sent.
    assert!(huge.is_err() || huge.unwrap().status() == 413);

    let Rig { chain, oracle, folder, http, key } = rig;
    oracle.shutdown().await;
    let oracle = Oracle::start_on(config(&key, folder.path()), chain.clone(), Metrics::default()).await.unwrap();
    let rig = Rig { chain, oracle, folder, http, key };
    rig.wait("the first round", |r| r.oracle.counters().rounds > 0).await;
    assert_eq!(rig.post(&batch, 1).await.status(), 409, "a replay after a restart");
    rig.oracle.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_in_use_and_wrong_rules_are_errors() {
    let rig = rig().await;
    let folder = tempfile::tempdir().unwrap();
    let taken = Config { http_addr: rig.oracle.http_addr(), ..config(&rig.key, folder.path()) };
    let error = Oracle::start_on(taken, rig.chain.clone(), Metrics::default()).await.unwrap_err();
    assert!(matches!(error, StartError::Listen { .. }), "{error}");
    let lenient = Rules { min_buckets: 0, ..rules() };
    let wrong = Config { rules: lenient, ..config(&rig.key, folder.path()) };
    assert!(matches!(
        Oracle::start_on(wrong, rig.chain.clone(), Metrics::default()).await.unwrap_err(),
        StartError::Rules(_)
    ));
    rig.oracle.shutdown().await;
}

/// What the ledger says of its first device or link as one verdict, without telemetry.
fn verdict_of(snapshot: &Snapshot, kind: Kind) -> crate::subjects::Judged {
    judged_of(snapshot, kind, &crate::telemetry::DeviceTelemetry::default())
}

fn judged_of(
    snapshot: &Snapshot,
    kind: Kind,
    telemetry: &crate::telemetry::DeviceTelemetry,
) -> crate::subjects::Judged {
    let clock = time::SlotClock::new(snapshot.slot, 10_000_000);
    let mut stages = crate::subjects::Stages::default();
    stages.update(snapshot, &clock);
    let court = crate::subjects::Court {
        snapshot,
        network: snapshot.network.as_ref().unwrap(),
        clock: &clock,
        rules: &rules(),
        stages: &stages,
        now_ms: 10_000_000,
    };
    let mut fleet = crate::telemetry::fleet::Fleet::new(1_000, 0);
    for device in snapshot.devices.values() {
        fleet.show(device.code, telemetry.clone());
    }
    court.judge(&fleet, &|_, _, _| false).into_iter().find(|j| j.kind == kind).unwrap()
}

#[test]
fn a_drained_link_still_belongs_to_the_shape() {
    let result = |snapshot: &Snapshot, id| {
        let judged = verdict_of(snapshot, Kind::Device);
        judged.verdict.criteria.into_iter().find(|c| c.id == id).unwrap()
    };
    let mut snapshot = network_of(&Keypair::new());
    let link = *snapshot.links.keys().next().unwrap();
    for (status, u1, u3) in [
        (LinkStatus::Activated, Outcome::Passed, Outcome::Passed),
        (LinkStatus::SoftDrained, Outcome::Failed, Outcome::Passed),
        (LinkStatus::HardDrained, Outcome::Failed, Outcome::Passed),
        (LinkStatus::Provisioning, Outcome::Failed, Outcome::Failed),
        (LinkStatus::Suspended, Outcome::Failed, Outcome::Failed),
    ] {
        snapshot.links.get_mut(&link).unwrap().header.status = status;
        assert_eq!(result(&snapshot, Criterion::U1).passed, u1, "{status}");
        assert_eq!(result(&snapshot, Criterion::U3).passed, u3, "{status}");
    }
    // Of an agent that can't say as of which slot it is, only a change that shows asks for a younger generation.
    for (status, generation) in [(LinkStatus::SoftDrained, 900), (LinkStatus::Deleting, 0)] {
        let header = &mut snapshot.links.get_mut(&link).unwrap().header;
        (header.status, header.status_since_slot) = (status, 900);
        let required = result(&snapshot, Criterion::D6).required;
        assert!(required.ends_with(&format!("generation at least {generation}")), "{required}");
    }
}

/// From the ledger to what U4 asks: whom, of whom, and since when.
#[test]
fn a_new_device_is_asked_for_answers_of_the_activated_ones_it_reaches() {
    let mut snapshot = network_of(&Keypair::new());
    let u4 = |snapshot: &Snapshot, telemetry: &crate::telemetry::DeviceTelemetry| {
        let judged = judged_of(snapshot, Kind::Device, telemetry);
        judged.verdict.criteria.into_iter().find(|c| c.id == Criterion::U4).unwrap()
    };
    let silent = crate::telemetry::DeviceTelemetry::default();
    assert_eq!(u4(&snapshot, &silent).observed, "in service");
    // The first of the list, whichever it is, becomes new again; the other is its target.
    let (new, target) = {
        let mut devices = snapshot.devices.iter();
        (*devices.next().unwrap().0, devices.next().unwrap().1.code)
    };
    let link = *snapshot.links.keys().next().unwrap();
    let device = snapshot.devices.get_mut(&new).unwrap();
    device.header.status = DeviceStatus::LinkProvisioning;
    snapshot.links.get_mut(&link).unwrap().header.status = LinkStatus::HardDrained;
    assert_eq!(u4(&snapshot, &silent).observed, "no targets");
    snapshot.links.get_mut(&link).unwrap().header.status = LinkStatus::Activated;
    let asked = u4(&snapshot, &silent);
    assert_eq!(asked.passed, Outcome::NotObserved);
    assert_eq!(asked.observed, "answered in 0 of 0 buckets, by 0 of 1 targets");
    // Probes of 10 s up to now, which is at 10 000 s, as a store would hold them.
    let mut probed = silent.clone();
    let bucket = crate::telemetry::ProbeBucket { samples: 1, sent: 3, received: 3, rtt_max_ns: 1 };
    let mut track = crate::telemetry::Track::default();
    (19_980..20_000).for_each(|n| track.push(n, bucket, 1_000));
    probed.probes.insert((crate::telemetry::ProbeKind::Qa, target), track);
    assert_eq!(u4(&snapshot, &probed).passed, Outcome::Passed);
    // The target was activated after the new device's link: there was nobody to probe before.
    let of_target = snapshot.devices.values_mut().find(|d| d.code == target).unwrap();
    of_target.header.status_since_slot = snapshot.slot - 5;
    let joined = u4(&snapshot, &silent);
    assert_eq!(joined.passed, Outcome::Passed);
    assert!(joined.detail.starts_with("the first target came into reach 2 s ago"), "{joined:?}");
}

#[test]
fn windows_follow_the_stage_and_the_ledgers_pace() {
    let mut snapshot = network_of(&Keypair::new());
    let key = *snapshot.devices.keys().next().unwrap();
    snapshot.network.as_mut().unwrap().burn_in_new_slots = 500;
    snapshot.network.as_mut().unwrap().burn_in_maintenance_slots = 100;
    let length = |snapshot: &Snapshot| {
        let window = verdict_of(snapshot, Kind::Device).window;
        assert!(window.end_slot <= snapshot.slot && window.start_slot <= window.end_slot);
        (window.end_ms - window.start_ms).div_ceil(1_000)
    };
    assert_eq!(length(&snapshot), 40, "in service: 100 slots of 400 ms");
    let header = &mut snapshot.devices.get_mut(&key).unwrap().header;
    header.status = DeviceStatus::DeviceProvisioning;
    assert_eq!(length(&snapshot), 200, "new: 500 slots");
    snapshot.devices.get_mut(&key).unwrap().header.status_since_slot = snapshot.slot - 25;
    assert_eq!(length(&snapshot), 8, "since the stage began 10 s ago and had 2 s to settle");
    for status in [DeviceStatus::Pending, DeviceStatus::Rejected, DeviceStatus::Deleting] {
        snapshot.devices.get_mut(&key).unwrap().header.status = status;
        assert_ne!(verdict_of(&snapshot, Kind::Device).key, key, "{status} is not judged");
    }
}

#[tokio::test]
async fn alerts_reach_the_webhook() {
    let (said, mut heard) = tokio::sync::mpsc::unbounded_channel();
    let take = move |axum::Json(body): axum::Json<serde_json::Value>| async move { drop(said.send(body)) };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    let router = axum::Router::new().route("/hook", axum::routing::post(take));
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    let metrics = Metrics::default();
    Webhook::start(url, metrics.clone())
        .send(crate::alerts::Alert { kind: "impaired", text: "l-1 is impaired".into() });
    let body = timeout(Duration::from_secs(10), heard.recv()).await.unwrap().unwrap();
    assert_eq!(body, serde_json::json!({ "text": "l-1 is impaired" }));
}
