//! Sends to one oracle: one batch at a time, signed, compressed, repeated with the same bytes until it is answered for
//! good. What is sampled meanwhile waits in the bounded buffer.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use causeway_wire::{
    TELEMETRY_CONTENT_TYPE,
    signing::{sign, telemetry_message},
    telemetry::SignedBatch,
};
use prost::{Message, bytes::Bytes};
use reqwest::header::{CONTENT_ENCODING, CONTENT_TYPE, RETRY_AFTER};
use tokio::sync::{Notify, watch};

use super::{
    Answer, Buffer, MAX_BATCH_SAMPLES, Samples, Taken,
    answer::{Replayed, pause},
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
/// Level of zstd: a batch shrinks to a quarter, in a millisecond for half a megabyte.
const ZSTD_LEVEL: i32 = 3;

/// A batch as it is sent, again and again.
struct Signed {
    sequence: u64,
    body: Bytes,
    /// Tries that failed or succeeded.
    tries: u64,
}

/// The way to one oracle.
pub struct Sender {
    url: String,
    endpoint: String,
    config: Arc<AgentConfig>,
    store: Arc<StateStore>,
    shared: Arc<Shared>,
    http: reqwest::Client,
    buffer: Mutex<Buffer>,
    arrived: Notify,
    /// It can't read what is compressed.
    plain: AtomicBool,
}

impl Sender {
    /// To the oracle at a base URL.
    pub fn new(
        url: String,
        config: Arc<AgentConfig>,
        store: Arc<StateStore>,
        shared: Arc<Shared>,
        http: reqwest::Client,
    ) -> Self {
        let endpoint = format!("{}/v1/telemetry", url.trim_end_matches('/'));
        let buffer = Mutex::new(Buffer::new(config.buffered_samples));
        shared.with_oracle(&url, |_| {});
        Self {
            url,
            endpoint,
            config,
            store,
            shared,
            http,
            buffer,
            arrived: Notify::new(),
            plain: AtomicBool::new(false),
        }
    }

    fn buffer(&self) -> MutexGuard<'_, Buffer> {
        self.buffer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds samples. Never waits.
    pub fn push(&self, samples: Arc<Samples>) {
        let (lost, waiting) = {
            let mut buffer = self.buffer();
            (buffer.push(samples), buffer.len())
        };
        self.shared.with_oracle(&self.url, |oracle| {
            oracle.lost_samples += lost;
            oracle.buffered_samples = waiting as u64;
        });
        self.arrived.notify_one();
    }

    /// Runs until stopped.
    pub async fn run(self: Arc<Self>, mut stop: watch::Receiver<bool>) {
        while until_stopped(&mut stop, self.arrived.notified()).await.is_some() {
            loop {
                let taken = self.buffer().take(MAX_BATCH_SAMPLES);
                let Some(taken) = taken else { break };
                if !self.deliver(&taken, &mut stop).await {
                    return;
                }
            }
        }
    }

    /// False when told to stop.
    async fn deliver(&self, taken: &Taken, stop: &mut watch::Receiver<bool>) -> bool {
        let intervals = self.config.intervals;
        let mut backoff = Backoff::new(intervals.retry_base, intervals.retry_max);
        let mut signed: Option<Signed> = None;
        let (mut jumps, mut least) = (0, 0);
        loop {
            let answer = match self.attempt(taken, &mut signed, least, stop).await {
                Some(answer) => answer,
                None => return false,
            };
            let (sequence, tries) = signed.as_ref().map_or((0, 0), |signed| (signed.sequence, signed.tries));
            match answer {
                Answer::Accepted => {
                    self.accepted();
                    return true;
                }
                Answer::Replay { why, last_sequence } => {
                    match Replayed::of(sequence, tries, last_sequence, unix_ms()) {
                        Replayed::Arrived => self.accepted(),
                        Replayed::Jump(sequence) if jumps < MAX_JUMPS => {
                            tracing::info!(device = %self.config.device, oracle = %self.url, sequence, "telemetry goes on with a higher sequence");
                            self.retried(why);
                            (jumps, least, signed) = (jumps + 1, sequence, None);
                            continue;
                        }
                        Replayed::Jump(_) | Replayed::Lost => self.refused(taken, why),
                    }
                    return true;
                }
                // Once: what is plain can be read by every oracle.
                Answer::Encoding(why) if !self.plain.swap(true, Ordering::Relaxed) => {
                    self.retried(why);
                    signed = None;
                }
                Answer::Encoding(why) | Answer::Refused(why) => {
                    self.refused(taken, why);
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
    async fn attempt(
        &self,
        taken: &Taken,
        signed: &mut Option<Signed>,
        least: u64,
        stop: &mut watch::Receiver<bool>,
    ) -> Option<Answer> {
        let signed = match signed {
            Some(signed) => signed,
            None => match self.sign(taken, least).await {
                Ok(fresh) => signed.insert(fresh),
                Err(why) => return Some(Answer::Retry { why, after: None }),
            },
        };
        signed.tries += 1;
        until_stopped(stop, self.post(signed.body.clone())).await
    }

    fn retried(&self, why: String) {
        self.shared.with_oracle(&self.url, |oracle| {
            oracle.retries += 1;
            oracle.last_error = Some(why);
        });
    }

    fn accepted(&self) {
        let waiting = self.buffer().len() as u64;
        self.shared.with_oracle(&self.url, |oracle| {
            oracle.accepted_batches += 1;
            oracle.buffered_samples = waiting;
            oracle.last_error = None;
        });
    }

    fn refused(&self, taken: &Taken, why: String) {
        tracing::warn!(device = %self.config.device, oracle = %self.url, error = %why, "the oracle refuses telemetry");
        self.buffer().give_up(taken);
        self.shared.with_oracle(&self.url, |oracle| {
            oracle.refused_batches += 1;
            oracle.lost_samples += taken.len() as u64;
            oracle.last_error = Some(why);
        });
    }

    /// Signs with a sequence of its own, `least` or higher, and compresses: on a thread that may block.
    async fn sign(&self, taken: &Taken, least: u64) -> Result<Signed, String> {
        let (store, config, taken) = (self.store.clone(), self.config.clone(), taken.clone());
        let plain = self.plain.load(Ordering::Relaxed);
        let work = move || {
            let sequence = store.next_sequence(unix_ms().max(least)).map_err(|error| chain(&error))?;
            let batch = taken.batch(&config.device, sequence).encode_to_vec();
            let message = telemetry_message(&config.program_id, &batch);
            let signature = sign(&config.telemetry_key, &message).to_vec();
            let body = SignedBatch { batch, signature }.encode_to_vec();
            let body = if plain {
                body
            } else {
                zstd::bulk::compress(&body, ZSTD_LEVEL).map_err(|error| error.to_string())?
            };
            Ok(Signed { sequence, body: body.into(), tries: 0 })
        };
        tokio::task::spawn_blocking(work).await.map_err(|error| error.to_string())?
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
