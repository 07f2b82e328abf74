//! The oracle's daemon, killed with `kill -9` at random moments while devices stream to it and it attests on a real ledger:
//! no accepted sample is lost or counted twice, and no attestation is wrong.
//!
//! `CAUSEWAY_KILLS` says how often (40 where it says nothing; 200 is the whole), `CAUSEWAY_SEED` when: each run prints its
//! seed.

// Helpers of tests may panic like tests.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use causeway_health_oracle::{
    Kind,
    evidence::{
        Evidence,
        store::{BatchId, EvidenceStore},
    },
    store::{
        Loader, TelemetryStore,
        commit::{AdjacencyRow, BlockRow, DeviceRow, ProbeRow, SeriesRow},
        sqlite::SqliteStore,
    },
    telemetry::{
        growth::{Counters, SeriesKey},
        track::BLOCK,
    },
};
use causeway_interface::{Code, Digest, Key};
use causeway_sdk::address::to_key;
use causeway_wire::{signing::sha256, telemetry::SignedBatch};
use prost::Message;
use rand::{Rng, SeedableRng, rngs::StdRng};
use solana_sdk::signer::Signer;

#[allow(dead_code)]
#[path = "parts/daemon.rs"]
mod daemon;
#[allow(dead_code)]
#[path = "parts/words.rs"]
mod words;
#[allow(dead_code)]
#[path = "parts/world.rs"]
mod world;

use daemon::{Accepted, BUCKET_MS, Device, FakeDevice, Launch, heads, now_ms};
use words::{attests, rank};
use world::World;

/// Kills where nothing else is said: a minute.
const KILLS: u64 = 40;
/// A burn-in that outlasts the test: the window reaches back over all of it, so that the last verdict counts every sample.
const BURN_IN_SLOTS: u64 = 100_000;
/// Of ten kills, those that come while the daemon starts.
const AT_START_OF_TEN: u32 = 2;
/// Of ten kills, those that come when evidence was just kept: before its words are sent, before they land, before that is
/// noted. By chance alone few would.
const AT_EVIDENCE_OF_TEN: u32 = 3;
/// A start takes about this long.
const START_MS: u64 = 50;
/// Words are sent some ms after their evidence was kept and land within a slot of this ledger.
const SUBMISSION_MS: u64 = 100;
/// Longest wait for evidence: words are renewed in every second round or so.
const EVIDENCE_LIMIT: Duration = Duration::from_secs(20);
/// The first round reads the ledger, keeps evidence, sends and waits: it is over after about this time.
const FIRST_ROUND_MS: u64 = 1_200;
/// Longest a daemon may take to start: a restart must not cost a gap.
const START_LIMIT: Duration = Duration::from_secs(10);
/// Batches that are read from a store at once.
const PORTION: usize = 100;
/// Longest wait for what has to come in the end.
const IN_THE_END: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_random_points_it_loses_nothing_and_says_nothing_wrong() {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
    let kills = number("CAUSEWAY_KILLS").unwrap_or(KILLS);
    let seed = number("CAUSEWAY_SEED").unwrap_or_else(rand::random);
    println!("{kills} kills, CAUSEWAY_SEED={seed}");
    let mut random = StdRng::seed_from_u64(seed);

    let world = World::with_burn_in(1, 1, BURN_IN_SLOTS).await;
    let key = world.folder.path().join("oracle.json");
    causeway_sdk::keys::write(&key, &world.oracle_keys[0]).unwrap();
    let data = world.folder.path().join("oracle");
    let port = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
    let program_id = world.localnet.program_id().to_string();
    let launch = Launch { rpc_url: world.localnet.rpc_url(), program_id, key: &key, data: &data, port };
    let base = format!("http://127.0.0.1:{port}");
    // The last one's uplink is down from the first sample to the last.
    let sick = *world.devices().last().unwrap();
    let devices: Vec<FakeDevice> = world
        .devices()
        .into_iter()
        .map(|code| {
            FakeDevice::start(Device {
                code,
                program_id: to_key(&world.localnet.program_id()).0,
                key: world.device_keys[&code].telemetry.clone(),
                interface: world.dia_port(&code).interface,
                healthy: code != sick,
                url: format!("{base}/v1/telemetry"),
            })
        })
        .collect();

    let began = Instant::now();
    let mut starts = Vec::new();
    let mut newest = None;
    for _ in 0..kills {
        let mut daemon = launch.start();
        let when = random.gen_range(0..10);
        if when < AT_START_OF_TEN {
            tokio::time::sleep(Duration::from_millis(random.gen_range(0..START_MS))).await;
        } else {
            daemon.wait_until_started();
            starts.extend(daemon.took_to_start);
            let wait_ms = if when < AT_START_OF_TEN + AT_EVIDENCE_OF_TEN {
                newest = evidence_after(newest, &data).await;
                random.gen_range(0..SUBMISSION_MS)
            } else {
                random.gen_range(0..FIRST_ROUND_MS)
            };
            tokio::time::sleep(Duration::from_millis(wait_ms)).await;
        }
        daemon.kill();
    }
    let took = began.elapsed();
    starts.sort_unstable();
    let slowest = starts.last().copied().unwrap_or_default();
    println!("{kills} kills in {took:?}; starts: median {:?}, slowest {slowest:?}", starts[starts.len() / 2]);
    assert!(slowest < START_LIMIT);

    let mut daemon = launch.start();
    daemon.wait_until_started();
    let caught_up = now_ms();
    everything_is_there(&base, &devices, sick, caught_up).await;
    daemon.kill();
    everything_is_kept(&data, &devices);
    nothing_wrong_was_said(&world, &data, &devices, sick).await;
    let sum = |of: fn(&FakeDevice) -> u64| devices.iter().map(of).sum::<u64>();
    let asked = sum(|device| device.asked_again.load(Ordering::Relaxed));
    let accepted = sum(|device| device.accepted().len() as u64);
    let unanswered = sum(|device| device.unanswered.load(Ordering::Relaxed));
    println!("{accepted} batches, {unanswered} of them stored without an answer; asked again {asked} times");
    // Daemons that are killed before they have read the ledger answer nothing.
    assert!(asked * 4 >= kills, "a restarted daemon was asked too rarely: {asked}");
    causeway_tests::count("kills of an oracle", kills);
    drop(devices);
    world.stop().await;
}

/// Waits until younger evidence is kept than there is now. The store is closed again before anything is killed: while
/// somebody else has it open nothing has to be recovered.
async fn evidence_after(mut newest: Option<BatchId>, data: &Path) -> Option<BatchId> {
    let store = EvidenceStore::open(&data.join("evidence.sqlite")).unwrap();
    while let Some(last) = store.after(newest, PORTION).unwrap().last() {
        newest = Some(last.id);
    }
    let deadline = Instant::now() + EVIDENCE_LIMIT;
    loop {
        if let Some(last) = store.after(newest, PORTION).unwrap().last() {
            return Some(last.id);
        }
        assert!(Instant::now() < deadline, "no evidence within {EVIDENCE_LIMIT:?}");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

async fn get(url: &str) -> serde_json::Value {
    reqwest::get(url).await.unwrap().json().await.unwrap()
}

/// By the API: every bucket up to the window's end holds its one sample, traffic is seen in each, and there is signed
/// evidence that goes beyond what was sent before.
async fn everything_is_there(base: &str, devices: &[FakeDevice], sick: Code, caught_up: u64) {
    for device in devices {
        let code = device.code;
        let deadline = Instant::now() + IN_THE_END;
        loop {
            let answer = get(&format!("{base}/v1/subjects/{code}/verdict?kind=device")).await;
            let accepted = device.accepted();
            assert!(accepted.windows(2).all(|two| two[1].sequence == two[0].sequence + BUCKET_MS), "{code}: in a row");
            let mut missing = missing(&answer, &accepted, code == sick, caught_up);
            if missing.is_none() {
                let sha256 = answer["attested"]["evidence_sha256"].as_str().unwrap();
                let document: Evidence =
                    serde_json::from_value(get(&format!("{base}/v1/evidence/{sha256}")).await).unwrap();
                let sequence = document.telemetry[0].sequence;
                missing = (sequence <= caught_up).then(|| format!("evidence up to {sequence} only"));
            }
            // A device on a busy machine is late at times, and then its last buckets are not in the verdict yet. What is lost
            // stays missing: the window does not move on.
            let Some(missing) = missing else { break };
            assert!(Instant::now() < deadline, "{code}: {missing}: {answer:#}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

/// What a verdict lacks, of all that was accepted up to the end of its window.
fn missing(answer: &serde_json::Value, accepted: &[Accepted], sick: bool, caught_up: u64) -> Option<String> {
    let [start_ms, end_ms] = ["start_ms", "end_ms"].map(|name| answer["window"][name].as_u64().unwrap_or_default());
    if end_ms <= caught_up || answer["attested"].is_null() {
        return Some(format!("judged up to {end_ms} and not {caught_up}, or nothing signed"));
    }
    let first = accepted.first().unwrap().sequence;
    // A device is looked at since its stage began, by what its oracle knows of the ledger's pace: a slow machine's slots
    // put that somewhat after the first sample.
    let from_ms = start_ms.max(first);
    let buckets = (end_ms - from_ms) / BUCKET_MS;
    assert!(buckets * 2 > accepted.len() as u64, "{buckets} of {} looked at", accepted.len());
    // The first sample ever has none to be compared with.
    let busy = if from_ms == first { buckets - 1 } else { buckets };
    let all = format!("{buckets} of {buckets} buckets");
    let criteria = answer["verdict"]["criteria"].as_array().unwrap();
    for (id, words) in [("D4", format!("{all}, traffic in {busy}")), ("D5", all.clone()), ("D7", all)] {
        let criterion = criteria.iter().find(|c| c["id"] == id).unwrap();
        let observed = criterion["observed"].as_str().unwrap();
        if id == "D4" && sick {
            assert_eq!(criterion["passed"], "failed", "{id}: {observed}");
        } else if criterion["passed"] != "passed" || !observed.ends_with(&words) {
            return Some(format!("{id}: {observed}, sent {words}"));
        }
    }
    let expected = if sick { "impaired" } else { "ready-for-links" };
    (answer["level"] != expected).then(|| format!("not {expected}"))
}

/// What a store gives back of one device and one interface of it.
#[derive(Default)]
struct Stored {
    code: Option<Code>,
    interface: String,
    device: Option<DeviceRow>,
    series: Option<u32>,
    /// Buckets with a sample, of blocks that have ended.
    buckets: BTreeSet<u64>,
    /// Samples of the other blocks.
    samples: Vec<u64>,
}

impl Loader for Stored {
    fn device(&mut self, row: DeviceRow) {
        if Some(row.code) == self.code {
            assert!(self.device.replace(row).is_none(), "one device, one row");
        }
    }

    fn series(&mut self, row: SeriesRow) {
        let of_device = self.device.as_ref().is_some_and(|device| device.id == row.device);
        if of_device && matches!(&row.key, SeriesKey::Interface(name) if name.as_str() == self.interface) {
            assert!(self.series.replace(row.id).is_none(), "one interface, one series");
        }
    }

    fn block(&mut self, row: BlockRow) {
        if Some(row.series) == self.series {
            let present = (0..BLOCK).filter(|bit| row.masks.present >> bit & 1 == 1);
            self.buckets.extend(present.map(|bit| row.block * BLOCK + bit));
        }
    }

    fn interface(&mut self, series: u32, at_ms: u64, _: bool, _: &Counters) {
        if Some(series) == self.series {
            self.samples.push(at_ms);
        }
    }

    fn adjacency(&mut self, _: &AdjacencyRow) {}

    fn probe(&mut self, _: &ProbeRow) {}
}

/// By the store, with no process at it: every batch that was accepted is there as it was signed, byte for byte, and no
/// other; so is the chain over them; and each has left exactly its one sample.
fn everything_is_kept(data: &Path, devices: &[FakeDevice]) {
    let store = SqliteStore::open(&data.join("telemetry.sqlite"), BUCKET_MS).unwrap();
    for device in devices {
        let (code, accepted) = (device.code, device.accepted());
        let mut stored = Stored { code: Some(code), interface: device.interface.clone(), ..Stored::default() };
        store.load(0, &mut stored).unwrap();
        let row = stored.device.unwrap();
        let mut batches = Vec::new();
        let mut from = 0;
        loop {
            let some = store.batches(row.id, from, PORTION).unwrap();
            let Some(newest) = some.last() else { break };
            from = newest.sequence + 1;
            batches.extend(some);
        }
        // The last one may have been kept and not answered for: then it is the one under way.
        let under_way = batches.len() - accepted.len();
        assert!(under_way <= 1, "{code}: {} kept, {} accepted", batches.len(), accepted.len());
        for (batch, accepted) in batches.iter().zip(&accepted) {
            let sent = SignedBatch::decode(accepted.body.as_slice()).unwrap();
            assert_eq!(batch.sequence, accepted.sequence, "{code}");
            assert!(batch.bytes == sent.batch && batch.signature[..] == sent.signature, "{code}: {}", batch.sequence);
        }
        if under_way == 0 {
            let newest = heads(&accepted).pop().unwrap();
            assert_eq!((row.last_sequence, row.chain), newest, "{code}");
        }
        let in_samples = stored.samples.iter().map(|at_ms| at_ms / BUCKET_MS);
        let all: Vec<u64> = stored.buckets.iter().copied().chain(in_samples).collect();
        let sent: Vec<u64> = batches.iter().map(|batch| batch.sequence / BUCKET_MS).collect();
        assert_eq!(all, sent, "{code}: one sample of each batch");
    }
}

/// RFC 6962: a leaf is hashed behind a 0, a node behind a 1, and a tree splits at the largest power of two below its size.
fn root(leaves: &[[u8; 32]]) -> [u8; 32] {
    match leaves {
        [one] => sha256(&[[0].as_slice(), one].concat()),
        many => {
            let (left, right) = many.split_at(many.len().next_power_of_two() / 2);
            sha256(&[[1].as_slice(), &root(left), &root(right)].concat())
        }
    }
}

/// Everything that was kept as evidence, by root: whether its transaction was noted, and the documents in their order.
fn kept(data: &Path) -> BTreeMap<Digest, (bool, Vec<Vec<u8>>)> {
    let store = EvidenceStore::open(&data.join("evidence.sqlite")).unwrap();
    let mut all = BTreeMap::new();
    let mut last = None;
    loop {
        let some = store.after(last, PORTION).unwrap();
        let Some(newest) = some.last() else { return all };
        last = Some(newest.id);
        for batch in some {
            let documents = batch.documents.into_iter().map(|document| document.bytes).collect();
            all.insert(batch.root, (batch.transaction.is_some(), documents));
        }
    }
}

/// Every word that is on the ledger has its evidence, says what that says, rests on telemetry that was accepted, and is no
/// better than the device is.
async fn nothing_wrong_was_said(world: &World, data: &Path, devices: &[FakeDevice], sick: Code) {
    let heads: BTreeMap<Code, BTreeMap<u64, Digest>> =
        devices.iter().map(|device| (device.code, heads(&device.accepted()).into_iter().collect())).collect();
    let kinds: BTreeMap<Key, (Kind, Code)> =
        world.subjects().into_iter().map(|(kind, code)| (world.key(kind, &code), (kind, code))).collect();
    let kept = kept(data);
    let landed = attests(world.ledger(), &world.oracle_keys[0].pubkey()).await;
    let (mut words, mut ready, mut unnoted) = (0, 0, 0);
    for attest in &landed {
        let data = &attest.data;
        let (noted, documents) =
            kept.get(&data.evidence_root).unwrap_or_else(|| panic!("{} has no evidence", attest.signature));
        unnoted += u64::from(!noted);
        let leaves: Vec<[u8; 32]> = documents.iter().map(|bytes| sha256(bytes)).collect();
        assert_eq!(Digest(root(&leaves)), data.evidence_root, "{}", attest.signature);
        assert_eq!(documents.len(), data.verdicts.len(), "{}", attest.signature);
        for ((bytes, verdict), account) in documents.iter().zip(&data.verdicts).zip(&attest.accounts) {
            let document: Evidence = serde_json::from_slice(bytes).unwrap();
            let (kind, code) = kinds[&document.subject];
            let name = format!("{} on {} {code}", attest.signature, kind.name());
            assert_eq!(to_key(&world.ledger().addresses().attestations(&document.subject)), *account, "{name}");
            let said = (document.verdict.level.byte(), document.verdict.failed_bits());
            assert_eq!((verdict.verdict, verdict.failed), said, "{name}");
            assert!(document.window.end_slot <= attest.slot, "{name}: a window that ends after its word");
            for telemetry in &document.telemetry {
                let head = match telemetry.sequence {
                    0 => Some(&Digest::ZERO),
                    sequence => heads[&telemetry.device].get(&sequence),
                };
                assert_eq!(
                    head,
                    Some(&telemetry.chain_sha256),
                    "{name}: rests on what {} never sent",
                    telemetry.device
                );
            }
            let rank = rank(kind, verdict.verdict);
            match kind {
                Kind::Link => assert_eq!(rank, 0, "{name}: nothing is known of any link"),
                Kind::Device if code == sick => assert_eq!(rank, 0, "{name}: a sick one called ready"),
                Kind::Device => assert!(verdict.verdict != 4, "{name}: a healthy one called impaired"),
            }
            assert!(rank == 0 || document.telemetry[0].sequence > 0, "{name}: ready without telemetry");
            words += 1;
            ready += u64::from(rank > 0);
        }
    }
    let signed = kept.values().filter(|(noted, _)| *noted).count();
    let roots: BTreeSet<Digest> = landed.iter().map(|attest| attest.data.evidence_root).collect();
    let unsaid = kept.keys().filter(|root| !roots.contains(root)).count();
    println!(
        "{} transactions with {words} words landed, {ready} of them ready; {} batches of evidence, {signed} with their \
         transaction, {unnoted} landed and were killed before it was noted, {unsaid} were killed before they landed",
        landed.len(),
        kept.len()
    );
    assert!(ready > 0, "no device was ever called ready: nothing was tested");
}
