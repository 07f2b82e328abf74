//! What a supervisor asks: is it there, can it be used, how is it.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    http::{StatusCode, header},
    response::IntoResponse,
};
use serde::Serialize;
use utoipa::ToSchema;

use super::error::{ApiError, ErrorBody};
use crate::{
    codes,
    metrics::page,
    shared::{Shared, now_ms},
};

/// Time without news of the ledger after which a controller is not ready, in milliseconds. The ledger is read in full every
/// ten seconds; what fails for minutes does not mend by itself.
pub const STALE_MS: u64 = 300_000;

/// How a controller that can be used is.
#[derive(Debug, Serialize, ToSchema)]
pub struct Readiness {
    /// It can be used.
    pub ready: bool,
    /// Slot of what is served.
    pub slot: u64,
    /// Seconds since the ledger was last read, whether or not it was acted on.
    pub heard_age_seconds: u64,
    /// Seconds since the ledger was last taken in.
    pub snapshot_age_seconds: u64,
    /// What a person should look at all the same.
    pub concerns: Vec<ErrorBody>,
}

/// Everything that is counted, in Prometheus' text format.
#[utoipa::path(get, path = "/metrics", responses((status = 200, content_type = "text/plain", body = String)))]
pub async fn metrics(State(shared): State<Arc<Shared>>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], page(&shared, now_ms()))
}

/// The process answers.
#[utoipa::path(get, path = "/live", responses((status = 200, content_type = "text/plain", body = String)))]
pub async fn live() -> &'static str {
    "live\n"
}

/// Ready once there is something to serve, and for as long as the ledger is heard of. A ledger that is heard of and can't be
/// acted on is a concern: what is served is still good.
#[utoipa::path(get, path = "/ready", responses((status = 200, body = Readiness), (status = 503, body = ErrorBody)))]
pub async fn ready(State(shared): State<Arc<Shared>>) -> Result<Json<Readiness>, ApiError> {
    readiness(&shared, now_ms()).map(Json)
}

fn readiness(shared: &Shared, now_ms: u64) -> Result<Readiness, ApiError> {
    let store = shared.store();
    let unreadable = store.unreadable().map(ErrorBody::unreadable);
    if store.effective().is_none() {
        return Err(ApiError::not_served(&store));
    }
    let heard_age_ms = now_ms.saturating_sub(shared.heard_unix_ms());
    if heard_age_ms > STALE_MS {
        let cause = format!("the ledger was last read {} s ago", heard_age_ms / 1_000);
        return Err(ApiError::new(StatusCode::SERVICE_UNAVAILABLE, codes::LEDGER_STALE, cause));
    }
    Ok(Readiness {
        ready: true,
        slot: store.slot(),
        heard_age_seconds: heard_age_ms / 1_000,
        snapshot_age_seconds: now_ms.saturating_sub(shared.taken_unix_ms()) / 1_000,
        concerns: unreadable.into_iter().collect(),
    })
}
