//! The endpoint over real sockets, with a real store.

use std::net::SocketAddr;

use causeway_wire::{
    signing::{sign, telemetry_message},
    telemetry::{Batch, InterfaceSample, SignedBatch},
};
use prost::Message;
use reqwest::header::CONTENT_ENCODING;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use super::*;
use crate::{
    ingest::tests::{LIMITS, PROGRAM, key},
    serve::{BOUNDS, serve},
    store::{recorder::Recorder, sqlite::SqliteStore},
    time::SlotClock,
};

const LONG: Duration = Duration::from_secs(10);

struct Rig {
    address: SocketAddr,
    directory: watch::Sender<Option<Arc<Directory>>>,
    metrics: Metrics,
    http: reqwest::Client,
    folder: tempfile::TempDir,
    _stop: watch::Sender<bool>,
}

impl Rig {
    async fn start(rate: Rate, memory_bytes: usize, body_limit: Duration) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Arc::new(SqliteStore::open(&folder.path().join("telemetry.sqlite"), 60_000).unwrap());
        let (writer, _) = Writer::start(Arc::new(Recorder::new(store, 60_000))).unwrap();
        let devices = [("nyc-1", 1), ("lon-1", 2)]
            .map(|(device, seed)| (device.parse().unwrap(), Key(key(seed).verifying_key().to_bytes())));
        let directory = Directory::from_keys(devices, SlotClock::new(1_000, time::now_ms()));
        let (directory, known) = watch::channel(Some(Arc::new(directory)));
        let metrics = Metrics::default();
        let (prover, metrics_too) = (Prover::start().unwrap(), metrics.clone());
        let parts =
            Parts { program_id: PROGRAM, directory: known, prover, writer, limits: LIMITS, rate, metrics: metrics_too };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = watch::channel(false);
        let router = bounded(parts, memory_bytes, body_limit);
        tokio::spawn(serve(listener, router, BOUNDS, metrics.clone(), stopped));
        Self { address, directory, metrics, http: reqwest::Client::new(), folder, _stop: stop }
    }

    async fn usual() -> Self {
        Self::start(Rate::default(), MEMORY_BYTES, BODY_LIMIT).await
    }

    async fn post(&self, body: Vec<u8>, encoding: &str) -> reqwest::Response {
        let url = format!("http://{}/v1/telemetry", self.address);
        self.http.post(url).header(CONTENT_ENCODING, encoding).body(body).send().await.unwrap()
    }

    /// Status and code of the answer, and Retry-After.
    async fn answer(&self, body: Vec<u8>, encoding: &str) -> (u16, String, Option<u64>) {
        let response = self.post(body, encoding).await;
        let after = response.headers().get(RETRY_AFTER).map(|value| value.to_str().unwrap().parse().unwrap());
        let status = response.status().as_u16();
        let text = response.text().await.unwrap();
        let body: serde_json::Value = serde_json::from_str(&text).unwrap();
        if status != 202 {
            assert!(body["cause"].is_string() && body["remedy"].is_string(), "{text}");
        }
        (status, body["code"].as_str().unwrap_or_default().to_owned(), after)
    }

    async fn send(&self, device: &str, seed: u8, sequence: u64, samples: usize) -> (u16, String, Option<u64>) {
        self.answer(body(device, seed, sequence, samples), "identity").await
    }
}

fn body(device: &str, seed: u8, sequence: u64, samples: usize) -> Vec<u8> {
    let now = time::now_ms();
    let sample = |n| InterfaceSample { at_unix_ms: now, interface: format!("eth{}", n % 50), ..Default::default() };
    let batch = Batch {
        device: device.into(),
        sequence,
        from_unix_ms: now,
        to_unix_ms: now,
        interfaces: (0..samples).map(sample).collect(),
        ..Default::default()
    };
    let batch = batch.encode_to_vec();
    let signature = sign(&key(seed), &telemetry_message(&PROGRAM.0, &batch)).to_vec();
    SignedBatch { batch, signature }.encode_to_vec()
}

fn accepted() -> (u16, String, Option<u64>) {
    (202, String::new(), None)
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::bulk::compress(bytes, 3).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn compressed_and_plain_bodies_small_and_large_are_taken() {
    let rig = Rig::usual().await;
    let mut sequence = 0;
    let mut next = |samples| {
        sequence += 1;
        body("nyc-1", 1, sequence, samples)
    };
    for samples in [1, 34, 5_000] {
        assert_eq!(rig.answer(next(samples), "identity").await, accepted());
        assert_eq!(rig.answer(zstd(&next(samples)), "zstd").await, accepted());
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        std::io::Write::write_all(&mut gzip, &next(samples)).unwrap();
        assert_eq!(rig.answer(gzip.finish().unwrap(), "gzip").await, accepted());
    }
    assert_eq!(rig.metrics.counters().batches, 9);
}

#[tokio::test(flavor = "multi_thread")]
async fn other_encodings_bombs_and_lies_are_refused_with_a_code() {
    let rig = Rig::usual().await;
    let good = body("nyc-1", 1, 1, 100);
    for encoding in ["br", "zstd, gzip", "deflate"] {
        let response = rig.post(good.clone(), encoding).await;
        assert_eq!(response.headers().get(ACCEPT_ENCODING).unwrap(), encoding::ACCEPTED);
        assert_eq!(response.status(), 415);
        assert!(response.text().await.unwrap().contains("CW-TELEMETRY-ENCODING"));
    }
    let code = |code: &str| (if code.ends_with("LARGE") { 413 } else { 400 }, code.to_owned(), None);
    let bomb = zstd(&vec![0; 64 * 1024 * 1024]);
    assert_eq!(rig.answer(bomb, "zstd").await, code("CW-TELEMETRY-TOO-LARGE"));
    assert_eq!(rig.answer(good.clone(), "zstd").await, code("CW-TELEMETRY-MALFORMED"));
    assert_eq!(rig.answer(zstd(&good), "identity").await, code("CW-TELEMETRY-MALFORMED"));
    assert_eq!(rig.answer(zstd(&good), "zstd").await, accepted(), "none of it stood in the way");
    assert_eq!(rig.metrics.counters().refused_batches, 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn before_the_first_snapshot_nobody_is_known() {
    let rig = Rig::usual().await;
    let known = rig.directory.send_replace(None);
    assert_eq!(rig.send("nyc-1", 1, 1, 1).await, (503, "CW-TELEMETRY-NOT-READY".into(), None));
    rig.directory.send_replace(known);
    assert_eq!(rig.send("nyc-1", 1, 1, 1).await, accepted());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_over_its_share_comes_back_later_and_no_other_pays() {
    let rate = Rate { batches_per_s: 1, burst_batches: 3, ..Rate::default() };
    let rig = Rig::start(rate, MEMORY_BYTES, BODY_LIMIT).await;
    // Whoever has no key spends nothing, whatever they send.
    for _ in 0..10 {
        assert_eq!(rig.send("nyc-1", 2, 1, 1).await.1, "CW-TELEMETRY-BAD-SIGNATURE");
    }
    let first = body("nyc-1", 1, 1, 1);
    assert_eq!(rig.answer(first.clone(), "identity").await, accepted());
    // Nor does who saw a batch of it.
    for _ in 0..10 {
        assert_eq!(rig.answer(first.clone(), "identity").await.1, "CW-TELEMETRY-REPLAY");
    }
    let mut sequence = 2;
    let (status, code, after) = loop {
        let answer = rig.send("nyc-1", 1, sequence, 1).await;
        if answer.0 != 202 {
            break answer;
        }
        sequence += 1;
    };
    assert!((4..=8).contains(&sequence), "three at once and one a second: {sequence}");
    assert_eq!((status, code.as_str(), after), (429, "CW-TELEMETRY-RATE", Some(1)));
    assert_eq!(rig.send("lon-1", 2, 1, 1).await, accepted());
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    assert_eq!(rig.send("nyc-1", 1, sequence, 1).await, accepted(), "what it was told holds");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_more_bytes_are_held_than_there_is_room_for() {
    let rig = Rig::start(Rate::default(), 64 * 1024, BODY_LIMIT).await;
    let busy = (429, "CW-TELEMETRY-BUSY".to_owned(), Some(1));
    let big = body("nyc-1", 1, 1, 5_000);
    assert!(big.len() > 64 * 1024);
    assert_eq!(rig.answer(zstd(&big), "zstd").await, busy, "small as it comes, large as it goes off");
    assert_eq!(rig.send("nyc-1", 1, 1, 600).await, busy, "600 samples take more than their bytes");
    assert_eq!(rig.send("nyc-1", 1, 1, 100).await, accepted());
    // Whoever announces much and sends nothing holds nothing.
    let mut idle = Vec::new();
    for _ in 0..20 {
        let mut stream = TcpStream::connect(rig.address).await.unwrap();
        stream.write_all(b"POST /v1/telemetry HTTP/1.1\r\nHost: o\r\nContent-Length: 60000\r\n\r\n").await.unwrap();
        idle.push(stream);
    }
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(rig.send("nyc-1", 1, 2, 100).await, accepted());
    // Whoever sends it does, until they are gone.
    idle[0].write_all(&vec![0; 59_000]).await.unwrap();
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(rig.send("nyc-1", 1, 3, 100).await, busy);
    drop(idle);
    for _ in 0..100 {
        if rig.send("nyc-1", 1, 3, 100).await == accepted() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the room did not come back");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_does_not_come_is_given_up() {
    let rig = Rig::start(Rate::default(), MEMORY_BYTES, Duration::from_millis(400)).await;
    let mut stream = TcpStream::connect(rig.address).await.unwrap();
    let began = Instant::now();
    stream.write_all(b"POST /v1/telemetry HTTP/1.1\r\nHost: o\r\nContent-Length: 1000\r\n\r\n").await.unwrap();
    // A byte now and then keeps it no longer.
    let (mut reading, mut writing) = stream.into_split();
    let trickle = tokio::spawn(async move {
        while writing.write_all(b"x").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    let mut answer = String::new();
    // The connection is closed too: the rest of the body can't be told from a next request.
    let read = tokio::time::timeout(LONG, reading.read_to_string(&mut answer)).await.unwrap();
    assert!(began.elapsed() >= Duration::from_millis(400) && began.elapsed() < Duration::from_secs(5));
    assert!(read.is_ok() && answer.starts_with("HTTP/1.1 408") && answer.contains("CW-TELEMETRY-SLOW"), "{answer:?}");
    trickle.await.unwrap();
    assert_eq!(rig.send("nyc-1", 1, 1, 1).await, accepted());
}

#[tokio::test(flavor = "multi_thread")]
async fn who_hangs_up_does_not_free_what_waits_for_the_disk() {
    let rig = Rig::start(Rate::default(), 64 * 1024, BODY_LIMIT).await;
    let disk = rusqlite::Connection::open(rig.folder.path().join("telemetry.sqlite")).unwrap();
    disk.execute_batch("BEGIN IMMEDIATE").unwrap();
    // 300 samples: 36 KB and their bytes.
    let url = format!("http://{}/v1/telemetry", rig.address);
    let hasty = rig.http.post(url).body(body("nyc-1", 1, 1, 300)).timeout(Duration::from_millis(300)).send().await;
    assert!(hasty.unwrap_err().is_timeout());
    assert_eq!(rig.send("lon-1", 2, 1, 200).await.1, "CW-TELEMETRY-BUSY");
    disk.execute_batch("ROLLBACK").unwrap();
    for _ in 0..100 {
        if rig.send("lon-1", 2, 1, 200).await == accepted() {
            assert_eq!(rig.send("nyc-1", 1, 1, 1).await.1, "CW-TELEMETRY-REPLAY", "it was stored all the same");
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the room did not come back");
}
