//! `POST /v1/telemetry`.

use std::sync::Arc;

use axum::{
    Json, Router,
    body::Bytes,
    extract::{DefaultBodyLimit, State, rejection::BytesRejection},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::post,
};
use causeway_interface::Key;
use causeway_wire::MAX_MESSAGE_BYTES;
use serde::Serialize;
use tokio::sync::watch;
use tracing::debug;

use super::{Directory, Limits, Refusal, verify};
use crate::{
    metrics::Metrics,
    store::{
        Append,
        writer::{WriteError, Writer},
    },
    time,
};

/// What the endpoint works with.
#[derive(Clone, Debug)]
pub struct Ingest {
    /// The program whose telemetry this is.
    pub program_id: Key,
    /// Keys of the devices; none before the ledger was first read.
    pub directory: watch::Receiver<Option<Arc<Directory>>>,
    /// Where batches go.
    pub writer: Writer,
    /// How far a batch may be off.
    pub limits: Limits,
    /// What is counted.
    pub metrics: Metrics,
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
        let last_sequence = match &self {
            Self::Replay { last_sequence } => Some(*last_sequence),
            Self::TooLarge
            | Self::Malformed(_)
            | Self::NotReady
            | Self::UnknownDevice
            | Self::NoKey
            | Self::BadSignature(_)
            | Self::Ahead { .. }
            | Self::Behind { .. }
            | Self::Busy
            | Self::StoreFailed => None,
        };
        let body = Refused { code: self.code(), cause: format!("{self}."), remedy: self.remedy(), last_sequence };
        let status = StatusCode::from_u16(self.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        (status, Json(body)).into_response()
    }
}

/// The endpoint.
pub fn router(ingest: Ingest) -> Router {
    let limit = DefaultBodyLimit::max(MAX_MESSAGE_BYTES);
    Router::new().route("/v1/telemetry", post(take)).layer(limit).with_state(ingest)
}

async fn take(State(ingest): State<Ingest>, body: Result<Bytes, BytesRejection>) -> Response {
    match accept(&ingest, body).await {
        Ok(accepted) => {
            ingest.metrics.batch_accepted(accepted.ignored_samples);
            (StatusCode::ACCEPTED, Json(accepted)).into_response()
        }
        Err(refusal) => {
            debug!(code = refusal.code(), cause = %refusal, "telemetry refused");
            ingest.metrics.batch_refused(refusal.code());
            refusal.into_response()
        }
    }
}

async fn accept(ingest: &Ingest, body: Result<Bytes, BytesRejection>) -> Result<Accepted, Refusal> {
    let body = body.map_err(|rejection| match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => Refusal::TooLarge,
        _ => Refusal::Malformed("the body could not be read"),
    })?;
    let directory = ingest.directory.borrow().clone().ok_or(Refusal::NotReady)?;
    let batch = verify(&body, &directory, &ingest.program_id, time::now_ms(), &ingest.limits)?;
    let sequence = batch.batch.sequence;
    let _waiting = ingest.metrics.waiting();
    match ingest.writer.append(batch).await {
        Ok(Append::Stored { ignored_samples }) => Ok(Accepted { sequence, ignored_samples }),
        Ok(Append::Replay { last_sequence }) => Err(Refusal::Replay { last_sequence }),
        Err(WriteError::Full) => Err(Refusal::Busy),
        Err(WriteError::Failed) => Err(Refusal::StoreFailed),
    }
}
