//! `POST /v1/telemetry`.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use axum::{
    Json, Router,
    body::{Body, Bytes},
    extract::{Request, State},
    http::{
        HeaderMap, StatusCode,
        header::{ACCEPT_ENCODING, CONTENT_LENGTH, HeaderValue, RETRY_AFTER},
    },
    response::{IntoResponse, Response},
    routing::post,
};
use causeway_interface::Key;
use causeway_wire::MAX_MESSAGE_BYTES;
use futures::StreamExt;
use serde::Serialize;
use tokio::sync::{Semaphore, watch};
use tracing::debug;

use super::{
    Directory, Limits, Rate, Refusal,
    encoding::{self, Encoding},
    memory::{Held, Memory},
    prover::Prover,
    rate::Limiter,
    verify::{Authentic, Claimed},
};
use crate::{
    metrics::Metrics,
    store::{
        Append, VerifiedBatch,
        writer::{WriteError, Writer},
    },
    time,
};

/// How long a body may take. An agent gives up a request after as long; 4 MB take 4 Mbit/s then.
const BODY_LIMIT: Duration = Duration::from_secs(10);
/// Bytes that are held for all requests together, from the first of a body until its batch is stored: a queue of ten
/// thousand batches of 34 samples takes half of it.
const MEMORY_BYTES: usize = 128 * 1024 * 1024;
/// What a decoded sample takes beside its bytes, which its strings are copied from.
const SAMPLE_BYTES: usize = 120;
/// Bodies of at most this many bytes are read where they are, in some 100 microseconds; larger ones, which take up to 30 ms,
/// on a thread that may block.
const INLINE_BYTES: usize = 64 * 1024;

/// What an endpoint is made of.
#[derive(Clone, Debug)]
pub struct Parts {
    /// The program whose telemetry this is.
    pub program_id: Key,
    /// Keys of the devices and the ledger's pace; none before the ledger was first read.
    pub directory: watch::Receiver<Option<Arc<Directory>>>,
    /// Where signatures are verified.
    pub prover: Prover,
    /// Where batches go.
    pub writer: Writer,
    /// How far a batch may be off.
    pub limits: Limits,
    /// What one device may send.
    pub rate: Rate,
    /// What is counted.
    pub metrics: Metrics,
}

/// The endpoint at work.
#[derive(Debug)]
struct Ingest {
    parts: Parts,
    limiter: Mutex<Limiter>,
    memory: Memory,
    /// One for each processor: what is read on blocking threads leaves none idle and none fighting.
    blocking: Semaphore,
    body_limit: Duration,
    began: Instant,
}

/// The answer to what was stored.
#[derive(Debug, Serialize)]
struct Accepted {
    sequence: u64,
    ignored_samples: u64,
}

/// The answer to what was refused.
#[derive(Debug, Serialize)]
pub(crate) struct Refused {
    code: &'static str,
    cause: String,
    remedy: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_sequence: Option<u64>,
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let last_sequence = if let Self::Replay { last_sequence } = self { Some(last_sequence) } else { None };
        let body = Refused { code: self.code(), cause: format!("{self}."), remedy: self.remedy(), last_sequence };
        let status = StatusCode::from_u16(self.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut headers = HeaderMap::new();
        if let Some(seconds) = self.retry_after_s() {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self == Self::Encoding {
            headers.insert(ACCEPT_ENCODING, HeaderValue::from_static(encoding::ACCEPTED));
        }
        (status, headers, Json(body)).into_response()
    }
}

/// The endpoint.
pub fn router(parts: Parts) -> Router {
    bounded(parts, MEMORY_BYTES, BODY_LIMIT)
}

/// With other bounds than the usual ones.
pub(crate) fn bounded(parts: Parts, memory_bytes: usize, body_limit: Duration) -> Router {
    let ingest = Ingest {
        limiter: Mutex::new(Limiter::new(parts.rate)),
        memory: Memory::new(memory_bytes),
        blocking: Semaphore::new(std::thread::available_parallelism().map_or(1, std::num::NonZero::get)),
        body_limit,
        began: Instant::now(),
        parts,
    };
    Router::new().route("/v1/telemetry", post(take)).with_state(Arc::new(ingest))
}

async fn take(State(ingest): State<Arc<Ingest>>, request: Request) -> Response {
    let metrics = &ingest.parts.metrics;
    match ingest.accept(request).await {
        Ok(accepted) => {
            metrics.batch_accepted(accepted.ignored_samples);
            (StatusCode::ACCEPTED, Json(accepted)).into_response()
        }
        Err(refusal) => {
            debug!(code = refusal.code(), cause = %refusal, "telemetry refused");
            metrics.batch_refused(refusal.code());
            refusal.into_response()
        }
    }
}

impl Ingest {
    async fn accept(self: &Arc<Self>, request: Request) -> Result<Accepted, Refusal> {
        let (head, body) = request.into_parts();
        // What is refused anyway is not read.
        let directory = self.parts.directory.borrow().clone().ok_or(Refusal::NotReady)?;
        let encoding = Encoding::of(&head.headers)?;
        let announced = head.headers.get(CONTENT_LENGTH).and_then(|v| v.to_str().ok()?.parse::<u64>().ok());
        if announced.is_some_and(|bytes| bytes > MAX_MESSAGE_BYTES as u64) {
            return Err(Refusal::TooLarge);
        }
        let mut held = self.memory.hold();
        let slow = |_| Refusal::Slow { limit_s: self.body_limit.as_secs() };
        let body = tokio::time::timeout(self.body_limit, read(body, &mut held)).await.map_err(slow)??;
        let inflated = encoding.inflated_bytes(&body)?;
        held.grow(inflated)?;
        let program_id = self.parts.program_id;
        let keys = directory.clone();
        let claim = move || Claimed::read(encoding.inflate(body)?, &keys, &program_id);
        let claimed = self.compute(held.bytes(), claim).await??;
        let authentic = self.parts.prover.prove(claimed).await?;
        self.charge(&authentic, &directory)?;
        held.grow(authentic.samples.saturating_mul(SAMPLE_BYTES))?;
        let (limits, size) = (self.parts.limits, authentic.bytes.len());
        let decode = move || authentic.decode(&directory, time::now_ms(), &limits);
        let batch = self.compute(size, decode).await??;
        self.clone().store(batch, held).await
    }

    /// Here, or on a thread that may block where it takes long.
    async fn compute<T: Send + 'static>(
        &self,
        bytes: usize,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Refusal> {
        if bytes <= INLINE_BYTES {
            return Ok(work());
        }
        // As many wait as memory lets in; the semaphore is never closed.
        let _turn = self.blocking.acquire().await.map_err(|_| Refusal::Busy)?;
        tokio::task::spawn_blocking(work).await.map_err(|_| Refusal::Busy)
    }

    fn charge(&self, authentic: &Authentic, directory: &Directory) -> Result<(), Refusal> {
        let now_ms = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        let mut limiter = self.limiter.lock().unwrap_or_else(PoisonError::into_inner);
        limiter.charge(&authentic.device, authentic.sequence, authentic.bytes.len(), directory, now_ms)
    }

    /// In a task of its own: who hangs up ends neither the writing nor what is held for the bytes that wait for it.
    async fn store(self: Arc<Self>, batch: VerifiedBatch, held: Held) -> Result<Accepted, Refusal> {
        let storing = async move {
            let (device, sequence) = (batch.device, batch.batch.sequence);
            let _waiting = self.parts.metrics.waiting();
            let (outcome, accepted) = match self.parts.writer.append(batch).await {
                Ok(Append::Stored { ignored_samples }) => (Ok(Accepted { sequence, ignored_samples }), sequence),
                Ok(Append::Replay { last_sequence }) => (Err(Refusal::Replay { last_sequence }), last_sequence),
                Err(WriteError::Full) => return Err(Refusal::Busy),
                Err(WriteError::Failed) => return Err(Refusal::StoreFailed),
            };
            self.limiter.lock().unwrap_or_else(PoisonError::into_inner).accepted(&device, accepted);
            drop(held);
            outcome
        };
        tokio::spawn(storing).await.unwrap_or(Err(Refusal::StoreFailed))
    }
}

/// The whole body, each byte of it held for.
async fn read(body: Body, held: &mut Held) -> Result<Bytes, Refusal> {
    let mut chunks = body.into_data_stream();
    let mut whole: Vec<u8> = Vec::new();
    let mut first = Bytes::new();
    let mut length = 0_usize;
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|_| Refusal::Malformed("the body could not be read"))?;
        length = length.saturating_add(chunk.len());
        if length > MAX_MESSAGE_BYTES {
            return Err(Refusal::TooLarge);
        }
        held.grow(chunk.len())?;
        // Small bodies come in one piece, which is taken as it is.
        if first.is_empty() && whole.is_empty() {
            first = chunk;
        } else {
            if whole.is_empty() {
                whole.extend_from_slice(&std::mem::take(&mut first));
            }
            whole.extend_from_slice(&chunk);
        }
    }
    Ok(if whole.is_empty() { first } else { whole.into() })
}

#[cfg(test)]
#[path = "http_tests.rs"]
mod tests;
