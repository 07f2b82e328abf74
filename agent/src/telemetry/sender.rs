//! Sends to one oracle: one batch at a time, signed, compressed, repeated with the same bytes until it is answered for
//! good, by the next process too. What is sampled meanwhile waits in the journal.

use std::{
    path::PathBuf,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use causeway_wire::{
    TELEMETRY_CONTENT_TYPE,
    signing::{sign, telemetry_message},
    telemetry::{Batch, SignedBatch},
};
use prost::{Message, bytes::Bytes};
use reqwest::header::{CONTENT_ENCODING, CONTENT_TYPE, RETRY_AFTER};
use tokio::sync::{Notify, watch};

use super::{
    Answer, Journal, MAX_BATCH_SAMPLES, Progress, Taken, Unanswered,
    answer::{Replayed, pause},
    journal, progress, samples,
};
use crate::{
    backoff::Backoff,
    config::AgentConfig,
    pull::until_stopped,
    shared::{Shared, chain, unix_ms},
    state::StateStore,
};

/// One request, from connecting to the end of the answer.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// What is read of an oracle's answer, in bytes: a code, a cause and a remedy.
const MAX_ANSWER_BYTES: usize = 4 * 1024;

/// Times that one batch is signed anew because its sequence was used up. More means that someone else is as fast.
const MAX_JUMPS: u32 = 3;
/// Longest batch before compression that is taken out of a file again.
const MAX_BODY_BYTES: usize = 8 << 20;
/// Level of zstd: a batch shrinks to a quarter, in a millisecond for half a megabyte.
const ZSTD_LEVEL: i32 = 3;

/// A batch as it is sent, again and again.
struct Signed {
    sequence: u64,
    body: Bytes,
    /// Tries that failed or succeeded.
    tries: u64,
}

/// What is on its way.
struct Held {
    /// Its sequence is that of the last time it was signed.
    batch: Batch,
    signed: Option<Signed>,
}

/// What changes.
struct State {
    progress: Progress,
    /// Samples that were given up or lost before what was taken last.
    lost: u64,
}

/// The way to one oracle.
pub struct Sender {
    url: String,
    endpoint: String,
    config: Arc<AgentConfig>,
    store: Arc<StateStore>,
    shared: Arc<Shared>,
    http: reqwest::Client,
    journal: Arc<Journal>,
    path: PathBuf,
    state: Mutex<State>,
    arrived: Notify,
    /// It can't read what is compressed.
    plain: AtomicBool,
}

impl Sender {
    /// To the oracle at a base URL, from where the last process was. Blocks for the disk.
    pub fn new(
        url: String,
        config: Arc<AgentConfig>,
        store: Arc<StateStore>,
        shared: Arc<Shared>,
        http: reqwest::Client,
        journal: Arc<Journal>,
    ) -> Self {
        let endpoint = format!("{}/v1/telemetry", url.trim_end_matches('/'));
        let path = progress::path(&journal::folder(&config.state_dir, &config.device), &url);
        let known = Progress::load(&path, &url);
        let position = journal.reader(&url, known.as_ref().map(|known| known.position));
        let fresh = || Progress { oracle: url.clone(), ..Progress::default() };
        let progress = Progress { position, ..known.unwrap_or_else(fresh) };
        shared.with_oracle(&url, |_| {});
        let sender = Self {
            url,
            endpoint,
            config,
            store,
            shared,
            http,
            journal,
            path,
            state: Mutex::new(State { progress, lost: 0 }),
            arrived: Notify::new(),
            plain: AtomicBool::new(false),
        };
        sender.arrived();
        sender
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Something is there to be sent, perhaps. Never waits.
    pub fn arrived(&self) {
        self.count();
        self.arrived.notify_one();
    }

    /// Brings the numbers of the status up to date.
    fn count(&self) {
        let (position, lost) = {
            let state = self.state();
            (state.progress.position, state.lost)
        };
        let (waiting, unread) = self.journal.ahead(position);
        self.shared.with_oracle(&self.url, |oracle| {
            oracle.lost_samples = lost + unread;
            oracle.buffered_samples = waiting;
        });
    }

    /// Runs until stopped.
    pub async fn run(self: Arc<Self>, mut stop: watch::Receiver<bool>) {
        if let Some(held) = self.restored() {
            tracing::debug!(device = %self.config.device, oracle = %self.url, sequence = held.batch.sequence, "a batch of the last process is sent again");
            if !self.deliver(held, &mut stop).await {
                return;
            }
        }
        while until_stopped(&mut stop, self.arrived.notified()).await.is_some() {
            while let Some(taken) = self.take().await {
                if !self.deliver(self.begin(taken), &mut stop).await {
                    return;
                }
            }
        }
    }

    /// What the last process was sending. With other keys or for another program it is signed anew.
    fn restored(&self) -> Option<Held> {
        let unanswered = self.state().progress.unanswered.clone()?;
        let inflated = match unanswered.plain {
            true => unanswered.body.clone(),
            false => zstd::bulk::decompress(&unanswered.body, MAX_BODY_BYTES).ok()?,
        };
        let batch = Batch::decode(SignedBatch::decode(inflated.as_slice()).ok()?.batch.as_slice()).ok()?;
        let same = (unanswered.key.as_str(), unanswered.program.as_str()) == (&self.key(), &self.program());
        // It may have arrived: it counts as tried.
        let signed = Signed { sequence: unanswered.sequence, body: unanswered.body.into(), tries: 1 };
        if same && unanswered.plain {
            self.plain.store(true, Ordering::Relaxed);
        }
        Some(Held { batch, signed: same.then_some(signed) })
    }

    fn key(&self) -> String {
        hex::encode(self.config.telemetry_key.verifying_key().to_bytes())
    }

    fn program(&self) -> String {
        hex::encode(self.config.program_id)
    }

    async fn take(&self) -> Option<Taken> {
        let (journal, from) = (self.journal.clone(), self.state().progress.position);
        tokio::task::spawn_blocking(move || journal.take(from, MAX_BATCH_SAMPLES)).await.ok().flatten()
    }

    fn begin(&self, taken: Taken) -> Held {
        let mut state = self.state();
        let mut batch = Batch {
            device: self.config.device.clone(),
            from_unix_ms: taken.moments.iter().map(|m| m.at_unix_ms).min().unwrap_or(0),
            to_unix_ms: taken.moments.iter().map(|m| m.at_unix_ms).max().unwrap_or(0),
            lost_samples: state.progress.untold.saturating_add(taken.lost),
            ..Batch::default()
        };
        taken.moments.iter().for_each(|moment| moment.add_to(&mut batch));
        state.lost += taken.lost;
        state.progress.untold = 0;
        state.progress.position = taken.end;
        Held { batch, signed: None }
    }

    /// False when told to stop.
    async fn deliver(&self, mut held: Held, stop: &mut watch::Receiver<bool>) -> bool {
        let intervals = self.config.intervals;
        let mut backoff = Backoff::new(intervals.retry_base, intervals.retry_max);
        let (mut jumps, mut least) = (0, 0);
        loop {
            let answer = match self.attempt(&mut held, least, stop).await {
                Some(answer) => answer,
                None => return false,
            };
            let (sequence, tries) = held.signed.as_ref().map_or((0, 0), |signed| (signed.sequence, signed.tries));
            match answer {
                Answer::Accepted => {
                    self.accepted().await;
                    return true;
                }
                Answer::Replay { why, last_sequence } => {
                    match Replayed::of(sequence, tries, last_sequence, unix_ms()) {
                        Replayed::Arrived => self.accepted().await,
                        Replayed::Jump(sequence) if jumps < MAX_JUMPS => {
                            tracing::info!(device = %self.config.device, oracle = %self.url, sequence, "telemetry goes on with a higher sequence");
                            self.retried(why);
                            (jumps, least, held.signed) = (jumps + 1, sequence, None);
                            continue;
                        }
                        Replayed::Jump(_) | Replayed::Lost => self.refused(&held, why).await,
                    }
                    return true;
                }
                // Once: what is plain can be read by every oracle.
                Answer::Encoding(why) if !self.plain.swap(true, Ordering::Relaxed) => {
                    self.retried(why);
                    held.signed = None;
                }
                Answer::Encoding(why) | Answer::Refused(why) => {
                    self.refused(&held, why).await;
                    return true;
                }
                Answer::Retry { why, after } => {
                    tracing::debug!(device = %self.config.device, oracle = %self.url, error = %why, "telemetry has to wait");
                    self.retried(why);
                    let wait = pause(backoff.next(rand::random()), after, rand::random());
                    if until_stopped(stop, tokio::time::sleep(wait)).await.is_none() {
                        return false;
                    }
                }
            }
        }
    }

    /// One try, of the bytes as they were signed before. None when told to stop.
    async fn attempt(&self, held: &mut Held, least: u64, stop: &mut watch::Receiver<bool>) -> Option<Answer> {
        if held.signed.is_none() {
            match self.sign(held, least).await {
                Ok(fresh) => held.signed = Some(fresh),
                Err(why) => return Some(Answer::Retry { why, after: None }),
            }
        }
        let signed = held.signed.as_mut()?;
        signed.tries += 1;
        until_stopped(stop, self.post(signed.body.clone())).await
    }

    fn retried(&self, why: String) {
        self.shared.with_oracle(&self.url, |oracle| {
            oracle.retries += 1;
            oracle.last_error = Some(why);
        });
    }

    async fn accepted(&self) {
        self.shared.with_oracle(&self.url, |oracle| {
            oracle.accepted_batches += 1;
            oracle.last_error = None;
        });
        self.answered().await;
    }

    async fn refused(&self, held: &Held, why: String) {
        tracing::warn!(device = %self.config.device, oracle = %self.url, error = %why, "the oracle refuses telemetry");
        {
            let (mut state, samples) = (self.state(), samples::count(&held.batch));
            state.lost += samples;
            // What it would have told of is lost with it.
            state.progress.untold = held.batch.lost_samples.saturating_add(samples);
        }
        self.shared.with_oracle(&self.url, |oracle| {
            oracle.refused_batches += 1;
            oracle.last_error = Some(why);
        });
        self.answered().await;
    }

    async fn answered(&self) {
        self.state().progress.unanswered = None;
        self.keep().await;
        self.count();
    }

    /// Writes down how far this oracle is, and lets go of what it has. What can't be written down is not let go of: the
    /// next process begins where the file says.
    async fn keep(&self) {
        let (progress, path) = (self.state().progress.clone(), self.path.clone());
        let (journal, oracle) = (self.journal.clone(), self.url.clone());
        let work = move || match progress.store(&path) {
            Ok(()) => journal.release(&oracle, progress.position),
            Err(error) => tracing::debug!(oracle, %error, "the progress of an oracle is not written down"),
        };
        // It ends with the process only.
        let _ = tokio::task::spawn_blocking(work).await;
    }

    /// Signs with a sequence of its own, `least` or higher, compresses, and writes down what will be sent: on a thread
    /// that may block.
    async fn sign(&self, held: &mut Held, least: u64) -> Result<Signed, String> {
        let (store, config, mut batch) = (self.store.clone(), self.config.clone(), held.batch.clone());
        let plain = self.plain.load(Ordering::Relaxed);
        let work = move || {
            batch.sequence = store.next_sequence(unix_ms().max(least)).map_err(|error| chain(&error))?;
            let sequence = batch.sequence;
            let batch = batch.encode_to_vec();
            let message = telemetry_message(&config.program_id, &batch);
            let signature = sign(&config.telemetry_key, &message).to_vec();
            let body = SignedBatch { batch, signature }.encode_to_vec();
            let body = if plain {
                body
            } else {
                zstd::bulk::compress(&body, ZSTD_LEVEL).map_err(|error| error.to_string())?
            };
            Ok::<_, String>((sequence, body))
        };
        let (sequence, body) = tokio::task::spawn_blocking(work).await.map_err(|error| error.to_string())??;
        held.batch.sequence = sequence;
        let (key, program) = (self.key(), self.program());
        self.state().progress.unanswered = Some(Unanswered { sequence, plain, key, program, body: body.clone() });
        self.keep().await;
        Ok(Signed { sequence, body: body.into(), tries: 0 })
    }

    async fn post(&self, body: Bytes) -> Answer {
        let encoding = if self.plain.load(Ordering::Relaxed) { "identity" } else { "zstd" };
        let request = self
            .http
            .post(&self.endpoint)
            .timeout(REQUEST_TIMEOUT)
            .header(CONTENT_TYPE, TELEMETRY_CONTENT_TYPE)
            .header(CONTENT_ENCODING, encoding)
            .body(body);
        match request.send().await {
            Ok(mut response) => {
                let status = response.status();
                let after =
                    response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()).map(str::to_owned);
                let mut read = Vec::new();
                while let (true, Ok(Some(chunk))) = (read.len() < MAX_ANSWER_BYTES, response.chunk().await) {
                    read.extend_from_slice(&chunk);
                }
                read.truncate(MAX_ANSWER_BYTES);
                Answer::read(status, after.as_deref(), &String::from_utf8_lossy(&read))
            }
            Err(error) => Answer::Retry { why: chain(&error), after: None },
        }
    }
}
