//! HTTP for people and scripts: what is served, what was reported, what happened, and one decision (approve).
//!
//! Reading needs no key: everything here is on a public ledger or derived from it by public code. Approving needs the
//! operator's token or, where none is set, a caller on this machine (`operator.rs`).

pub mod error;
pub mod model;
mod operator;
mod page;
mod routes;
mod stream;

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::State,
    http::{StatusCode, header},
    response::IntoResponse,
    routing::{get, post},
};
use utoipa::OpenApi;

use crate::shared::Shared;
use error::ApiError;

/// The API in words.
#[derive(OpenApi)]
#[openapi(
    info(title = "Causeway controller", description = "Router configurations made from the ledger, and their state."),
    paths(
        routes::network,
        routes::devices,
        routes::device,
        routes::interfaces,
        routes::config,
        routes::config_diff,
        routes::approve,
        routes::reports,
        routes::links,
        routes::link,
        routes::topology,
        stream::events,
    ),
    components(schemas(crate::events::Event))
)]
struct Api;

/// Everything that is served over HTTP.
pub fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/api/v1/network", get(routes::network))
        .route("/api/v1/devices", get(routes::devices))
        .route("/api/v1/devices/{code}", get(routes::device))
        .route("/api/v1/devices/{code}/interfaces", get(routes::interfaces))
        .route("/api/v1/devices/{code}/config", get(routes::config))
        .route("/api/v1/devices/{code}/config/diff", get(routes::config_diff))
        .route("/api/v1/devices/{code}/config/approve", post(routes::approve))
        .route("/api/v1/devices/{code}/reports", get(routes::reports))
        .route("/api/v1/links", get(routes::links))
        .route("/api/v1/links/{code}", get(routes::link))
        .route("/api/v1/topology", get(routes::topology))
        .route("/api/v1/events", get(stream::events))
        .route("/api/v1/openapi.json", get(async || Json(Api::openapi())))
        .route("/metrics", get(metrics))
        .route("/live", get(async || "live\n"))
        .route("/ready", get(ready))
        .route("/", get(page::index))
        .route("/app.js", get(page::script))
        .route("/app.css", get(page::style))
        .fallback(async || {
            ApiError::new(
                StatusCode::NOT_FOUND,
                "path-unknown",
                "nothing is served under this path",
                "See /api/v1/openapi.json for what there is.",
            )
        })
        .with_state(shared)
}

async fn metrics(State(shared): State<Arc<Shared>>) -> Result<impl IntoResponse, ApiError> {
    let text = shared.metrics.text(&shared.store(), shared.finalized_slot());
    let text = text.map_err(|_| {
        ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "metrics-failed", "metrics could not be written", "Report it.")
    })?;
    Ok(([(header::CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")], text))
}

/// Ready once there is something to serve. Stays so when the ledger can't be read any more: what is served is still good.
async fn ready(State(shared): State<Arc<Shared>>) -> Result<&'static str, ApiError> {
    let store = shared.store();
    match (store.effective(), store.unreadable()) {
        (Some(_), _) => Ok("ready\n"),
        (None, None) => Err(ApiError::not_ready()),
        (None, Some((code, cause))) => Err(ApiError::new(
            StatusCode::SERVICE_UNAVAILABLE,
            code,
            cause.clone(),
            "Check the RPC address and the program id.",
        )),
    }
}
