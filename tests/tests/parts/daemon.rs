//! The oracle's daemon as a process that is killed, and devices that stream to it.

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use causeway_interface::{Code, Digest};
use causeway_tests::command;
use causeway_wire::{
    TELEMETRY_CONTENT_TYPE,
    signing::{sha256, sign, telemetry_message},
    telemetry::{Batch, ConfigSample, InterfaceSample, ProbeKind, ProbeSample, SignedBatch},
};
use ed25519_dalek::SigningKey;
use prost::Message;
use reqwest::StatusCode;
use tokio::task::JoinHandle;

/// Width of a bucket, and time between the batches of a device: each bucket holds exactly one sample, and each batch makes
/// one bucket, so that a batch that is lost shows.
pub const BUCKET_MS: u64 = 100;
/// Octets between two samples.
const OCTETS: u64 = 1_000;
/// Interfaces beside the one that is judged: a commit of some size, to be killed in the midst of.
const OTHER_INTERFACES: u64 = 40;
/// A generation that no slot of this ledger reaches.
const GENERATION: u64 = 1 << 40;
/// Wait before a post is tried again.
const AGAIN: Duration = Duration::from_millis(20);
/// One request: a daemon that is killed does not answer.
const REQUEST: Duration = Duration::from_secs(5);

pub fn now_ms() -> u64 {
    u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap()
}

/// A running daemon. Dropped, it is killed.
pub struct Daemon {
    process: Child,
    pub took_to_start: Option<Duration>,
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.kill();
    }
}

/// How a daemon is started, each time the same.
pub struct Launch<'a> {
    pub rpc_url: &'a str,
    pub program_id: String,
    pub key: &'a Path,
    pub data: &'a Path,
    pub port: u16,
}

impl Launch<'_> {
    pub fn start(&self) -> Daemon {
        let mut start = command("causeway-health-oracle").unwrap();
        start
            .args(["--rpc-url", self.rpc_url, "--program-id", &self.program_id])
            .args(["--listen", &format!("127.0.0.1:{}", self.port), "--seconds", "--round-seconds", "1"])
            .args(["--bucket-ms", &BUCKET_MS.to_string(), "--log-json", "--no-lookup-tables"])
            .arg("--key")
            .arg(self.key)
            .arg("--data-dir")
            .arg(self.data)
            .env("RUST_LOG", "info")
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        Daemon { process: start.spawn().unwrap(), took_to_start: None }
    }
}

impl Daemon {
    /// Waits until it says that it has started.
    pub fn wait_until_started(&mut self) {
        let began = Instant::now();
        let mut lines = BufReader::new(self.process.stderr.take().unwrap()).lines().map_while(Result::ok);
        let mut said = Vec::new();
        loop {
            let Some(line) = lines.next() else { panic!("it did not start: {said:#?}") };
            if line.contains("oracle started") {
                break;
            }
            said.push(line);
        }
        self.took_to_start = Some(began.elapsed());
        // Nobody reads on; a full pipe would stop it.
        std::thread::spawn(move || lines.for_each(drop));
    }

    /// `kill -9`, and waits until it is gone.
    pub fn kill(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A batch that the daemon has: it said so, or refused the same again as a replay of itself.
#[derive(Clone)]
pub struct Accepted {
    pub sequence: u64,
    pub sha256: [u8; 32],
    /// The signed batch as it was sent.
    pub body: Vec<u8>,
}

/// A device that sends a batch for each bucket, and sends it until it is answered, as an agent does.
pub struct FakeDevice {
    pub code: Code,
    /// The interface that is judged.
    pub interface: String,
    accepted: Arc<Mutex<Vec<Accepted>>>,
    /// Times that a restarted daemon was asked for the batch that it had accepted last.
    pub asked_again: Arc<AtomicU64>,
    /// Batches whose answer was lost with the daemon, and that it turned out to have.
    pub unanswered: Arc<AtomicU64>,
    task: JoinHandle<()>,
}

impl Drop for FakeDevice {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What a device is, and where it sends to.
#[derive(Clone)]
pub struct Device {
    pub code: Code,
    pub program_id: [u8; 32],
    pub key: SigningKey,
    /// The interface that the criterion of direct internet access looks at.
    pub interface: String,
    /// Whether that one is up, always or never.
    pub healthy: bool,
    pub url: String,
}

impl FakeDevice {
    pub fn start(device: Device) -> Self {
        let (code, interface) = (device.code, device.interface.clone());
        let accepted = Arc::new(Mutex::new(Vec::new()));
        let (asked_again, unanswered) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let stream = Stream {
            device,
            http: reqwest::Client::builder().no_proxy().timeout(REQUEST).build().unwrap(),
            accepted: accepted.clone(),
            asked_again: asked_again.clone(),
            unanswered: unanswered.clone(),
            doubts: false,
        };
        Self { code, interface, accepted, asked_again, unanswered, task: tokio::spawn(stream.run()) }
    }

    /// Panics if the device has stopped, which it does on an answer that must not be.
    pub fn accepted(&self) -> Vec<Accepted> {
        assert!(!self.task.is_finished(), "{}: an answer that must not be; see above", self.code);
        self.accepted.lock().unwrap().clone()
    }
}

struct Stream {
    device: Device,
    http: reqwest::Client,
    accepted: Arc<Mutex<Vec<Accepted>>>,
    asked_again: Arc<AtomicU64>,
    unanswered: Arc<AtomicU64>,
    /// The connection was lost since the last answer: the daemon may be another one.
    doubts: bool,
}

enum Answer {
    Accepted,
    Replay(u64),
    Later,
    Gone,
}

impl Stream {
    async fn run(mut self) {
        let first = (now_ms() / BUCKET_MS + 1) * BUCKET_MS;
        for number in 0.. {
            let at_ms = first + number * BUCKET_MS;
            tokio::time::sleep(Duration::from_millis(at_ms.saturating_sub(now_ms()))).await;
            let batch = self.device.batch(at_ms, number).encode_to_vec();
            let message = telemetry_message(&self.device.program_id, &batch);
            let signature = sign(&self.device.key, &message).to_vec();
            let sha256 = sha256(&batch);
            let body = SignedBatch { batch, signature }.encode_to_vec();
            self.deliver(Accepted { sequence: at_ms, sha256, body }).await;
        }
    }

    async fn deliver(&mut self, batch: Accepted) {
        let mut tries = 0;
        loop {
            if self.doubts && !self.still_there(&batch, tries > 0).await {
                continue;
            }
            tries += 1;
            match self.post(&batch.body).await {
                Answer::Accepted => break,
                Answer::Replay(last) => {
                    // Only a try whose answer was lost can have put it there.
                    assert!(tries > 1 && last == batch.sequence, "{}: {last} for {}", self.device.code, batch.sequence);
                    self.unanswered.fetch_add(1, Ordering::Relaxed);
                    break;
                }
                Answer::Gone => self.doubts = true,
                Answer::Later => {}
            }
            tokio::time::sleep(AGAIN).await;
        }
        self.accepted.lock().unwrap().push(batch);
    }

    /// Asks for the batch that was accepted last: the daemon has to have it, and at most the one under way beyond it.
    async fn still_there(&mut self, under_way: &Accepted, sent: bool) -> bool {
        let last = self.accepted.lock().unwrap().last().cloned();
        let Some(last) = last else {
            self.doubts = false;
            return true;
        };
        match self.post(&last.body).await {
            Answer::Replay(newest) => {
                let possible = newest == last.sequence || sent && newest == under_way.sequence;
                assert!(possible, "{}: {newest} after {} was accepted", self.device.code, last.sequence);
                self.asked_again.fetch_add(1, Ordering::Relaxed);
                self.doubts = false;
                true
            }
            Answer::Accepted => panic!("{}: {} was accepted and is lost", self.device.code, last.sequence),
            Answer::Later | Answer::Gone => {
                tokio::time::sleep(AGAIN).await;
                false
            }
        }
    }

    async fn post(&self, body: &[u8]) -> Answer {
        let request =
            self.http.post(&self.device.url).header("content-type", TELEMETRY_CONTENT_TYPE).body(body.to_vec());
        let Ok(response) = request.send().await else { return Answer::Gone };
        let status = response.status();
        let Ok(text) = response.text().await else { return Answer::Gone };
        match status {
            StatusCode::ACCEPTED => Answer::Accepted,
            StatusCode::CONFLICT => {
                let answer: serde_json::Value = serde_json::from_str(&text).unwrap();
                Answer::Replay(answer["last_sequence"].as_u64().unwrap())
            }
            // The ledger has not been read yet, or the queue is full.
            StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS => Answer::Later,
            other => panic!("{}: {other}: {text}", self.device.code),
        }
    }
}

impl Device {
    fn batch(&self, at_unix_ms: u64, number: u64) -> Batch {
        let sample = |interface: String, oper_up, in_octets| InterfaceSample {
            at_unix_ms,
            interface,
            oper_up,
            in_octets,
            ..InterfaceSample::default()
        };
        let judged = sample(self.interface.clone(), self.healthy, OCTETS * (number + 1));
        let others = (0..OTHER_INTERFACES).map(|n| sample(format!("test{n}"), true, number * n));
        let hash = sha256(b"what runs").to_vec();
        Batch {
            device: self.code.to_string(),
            sequence: at_unix_ms,
            from_unix_ms: at_unix_ms,
            to_unix_ms: at_unix_ms,
            interfaces: std::iter::once(judged).chain(others).collect(),
            probes: vec![ProbeSample {
                at_unix_ms,
                kind: ProbeKind::Reachability.into(),
                target: "elsewhere".to_owned(),
                sent: 1,
                received: 1,
                rtt_min_ns: 1,
                rtt_avg_ns: 1,
                rtt_max_ns: 1,
            }],
            configs: vec![ConfigSample {
                polled_unix_ms: at_unix_ms,
                at_unix_ms,
                offered_generation: GENERATION,
                offered_evaluated_slot: GENERATION,
                offered_sha256: hash.clone(),
                applied_generation: GENERATION,
                applied_sha256: hash,
            }],
            ..Batch::default()
        }
    }
}

/// Head of the chain after each accepted batch: over the head before, the sequence and the hash of the batch.
pub fn heads(accepted: &[Accepted]) -> Vec<(u64, Digest)> {
    let mut head = [0; 32];
    let follow = |batch: &Accepted| {
        head = sha256(&[head.as_slice(), &batch.sequence.to_le_bytes(), &batch.sha256].concat());
        (batch.sequence, Digest(head))
    };
    accepted.iter().map(follow).collect()
}
