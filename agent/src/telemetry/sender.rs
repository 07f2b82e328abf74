//! Sends to one oracle: one batch at a time, signed, repeated with the same bytes until it is answered for good.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use causeway_wire::{
    TELEMETRY_CONTENT_TYPE,
    signing::{sign, telemetry_message},
    telemetry::SignedBatch,
};
use prost::Message;
use reqwest::StatusCode;
use tokio::sync::{Notify, watch};

use super::{Buffer, MAX_BATCH_SAMPLES, Samples, Taken};
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

/// What an oracle's answer means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It has the batch.
    Accepted,
    /// It has a batch that is not older: this one again, or it will never take it.
    Replay(String),
    /// It will never take it.
    Refused(String),
    /// Later, perhaps.
    Retry(String),
}

impl Answer {
    /// From status and body.
    pub fn read(status: StatusCode, body: &str) -> Self {
        let words = || format!("{status}: {}", body.trim());
        match status {
            StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT => Self::Retry(words()),
            StatusCode::CONFLICT => Self::Replay(words()),
            _ if status.is_success() => Self::Accepted,
            _ if status.is_client_error() => Self::Refused(words()),
            _ => Self::Retry(words()),
        }
    }
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
        Self { url, endpoint, config, store, shared, http, buffer, arrived: Notify::new() }
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
        let mut body: Option<Vec<u8>> = None;
        let mut tries = 0_u64;
        loop {
            let answer = match &body {
                Some(bytes) => until_stopped(stop, self.post(bytes.clone())).await,
                None => match self.signed(taken).await {
                    Ok(bytes) => {
                        let answer = until_stopped(stop, self.post(bytes.clone())).await;
                        body = Some(bytes);
                        answer
                    }
                    Err(error) => Some(Answer::Retry(error)),
                },
            };
            let Some(answer) = answer else { return false };
            tries += 1;
            match answer {
                Answer::Accepted => {
                    self.accepted();
                    return true;
                }
                // An earlier try had arrived, and only its answer was lost.
                Answer::Replay(_) if tries > 1 => {
                    self.accepted();
                    return true;
                }
                Answer::Replay(why) | Answer::Refused(why) => {
                    self.refused(taken, why);
                    return true;
                }
                Answer::Retry(why) => {
                    tracing::debug!(device = %self.config.device, oracle = %self.url, error = %why, "telemetry has to wait");
                    self.shared.with_oracle(&self.url, |oracle| {
                        oracle.retries += 1;
                        oracle.last_error = Some(why);
                    });
                    let wait = backoff.next(rand::random());
                    if until_stopped(stop, tokio::time::sleep(wait)).await.is_none() {
                        return false;
                    }
                }
            }
        }
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

    async fn signed(&self, taken: &Taken) -> Result<Vec<u8>, String> {
        let store = self.store.clone();
        let sequence = tokio::task::spawn_blocking(move || store.next_sequence(unix_ms()))
            .await
            .map_err(|error| error.to_string())?
            .map_err(|error| chain(&error))?;
        let batch = taken.batch(&self.config.device, sequence).encode_to_vec();
        let message = telemetry_message(&self.config.program_id, &batch);
        let signature = sign(&self.config.telemetry_key, &message).to_vec();
        Ok(SignedBatch { batch, signature }.encode_to_vec())
    }

    async fn post(&self, body: Vec<u8>) -> Answer {
        let request = self
            .http
            .post(&self.endpoint)
            .timeout(REQUEST_TIMEOUT)
            .header(reqwest::header::CONTENT_TYPE, TELEMETRY_CONTENT_TYPE)
            .body(body);
        match request.send().await {
            Ok(mut response) => {
                let status = response.status();
                let mut read = Vec::new();
                while let (true, Ok(Some(chunk))) = (read.len() < MAX_ANSWER_BYTES, response.chunk().await) {
                    read.extend_from_slice(&chunk);
                }
                read.truncate(MAX_ANSWER_BYTES);
                Answer::read(status, &String::from_utf8_lossy(&read))
            }
            Err(error) => Answer::Retry(chain(&error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_mean_what_the_protocol_says() {
        for (status, expected) in [
            (200, "accepted"),
            (202, "accepted"),
            (400, "refused"),
            (401, "refused"),
            (404, "refused"),
            (409, "replay"),
            (413, "refused"),
            (408, "retry"),
            (429, "retry"),
            (500, "retry"),
            (503, "retry"),
            (302, "retry"),
        ] {
            let found = match Answer::read(StatusCode::from_u16(status).unwrap(), "{}") {
                Answer::Accepted => "accepted",
                Answer::Replay(_) => "replay",
                Answer::Refused(_) => "refused",
                Answer::Retry(_) => "retry",
            };
            assert_eq!(found, expected, "{status}");
        }
    }
}
