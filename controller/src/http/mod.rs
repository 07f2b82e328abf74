//! HTTP for people and scripts: what is served, what runs, what was reported, what happened, and what may be asked for
//! (approving, provisioning).
//!
//! Reading needs no key: everything here is on a public ledger or derived from it by public code. Approving, provisioning,
//! what agents say of what runs, and the audit log need an operator's token or, where none is set, a caller on this machine
//! (`operator.rs`). What anybody may ask for is bounded: how often by address (`answer.rs`), what takes a while in how much
//! of it goes on (`aside.rs`), and what is large is made once for all (`whole.rs`).

mod answer;
mod approvals;
pub mod aside;
mod audit;
mod availability;
mod caller;
pub mod config;
pub mod error;
mod extract;
mod health;
mod jobs;
mod look;
pub mod model;
mod operator;
mod page;
mod provision;
mod rollouts;
mod routes;
pub mod serve;
mod stream;
mod transitions;
pub mod whole;

use std::sync::{Arc, LazyLock};

use axum::{
    Router,
    extract::DefaultBodyLimit,
    http::{HeaderValue, StatusCode, header},
    middleware,
    response::IntoResponse,
    routing::{get, post},
};
use utoipa::OpenApi;

use crate::{codes, shared::Shared};
use error::ApiError;

pub use health::STALE_MS;

/// The API in words.
#[derive(OpenApi)]
#[openapi(
    info(title = "Causeway controller", description = "Router configurations made from the ledger, and their state."),
    paths(
        routes::network,
        routes::devices,
        routes::device,
        routes::interfaces,
        routes::device_links,
        transitions::of_device,
        provision::provision,
        routes::config,
        routes::config_diff,
        routes::held,
        routes::approve,
        look::running,
        look::drift,
        routes::reports,
        routes::links,
        routes::link,
        transitions::of_link,
        routes::topology,
        stream::events,
        audit::audit,
        availability::availability,
        jobs::jobs,
        jobs::start_jobs,
        jobs::job,
        jobs::retry_job,
        jobs::skip_step,
        jobs::cancel_job,
        jobs::hold::hold_job,
        jobs::hold::release_job,
        approvals::approve_job,
        approvals::break_glass_of_job,
        jobs::job_logs,
        jobs::job_diff,
        jobs::stream::job_events,
        jobs::automatic,
        jobs::set_automatic,
        approvals::waiting,
        rollouts::rollouts,
        rollouts::start_rollout,
        rollouts::rollout,
        rollouts::pause_rollout,
        rollouts::resume_rollout,
        rollouts::cancel_rollout,
        rollouts::again_rollout,
        approvals::approve_rollout,
        approvals::break_glass_of_rollout,
        rollouts::rollout_logs,
        rollouts::rollout_events,
        openapi,
        health::metrics,
        health::live,
        health::ready,
    ),
    components(schemas(crate::events::Event, jobs::LogLine, rollouts::RolloutLine))
)]
struct Api;

/// The description of the API, as JSON with a last line break: what is committed as `docs/api/controller.json`.
#[must_use]
pub fn description() -> String {
    // Plain values under text keys always become JSON.
    Api::openapi().to_pretty_json().map(|json| json + "\n").unwrap_or_default()
}

/// Everything that is served over HTTP.
pub fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/api/v1/network", get(routes::network))
        .route("/api/v1/devices", get(routes::devices))
        .route("/api/v1/devices/{code}", get(routes::device))
        .route("/api/v1/devices/{code}/interfaces", get(routes::interfaces))
        .route("/api/v1/devices/{code}/links", get(routes::device_links))
        .route("/api/v1/devices/{code}/transitions", get(transitions::of_device))
        .route("/api/v1/devices/{code}/provision", post(provision::provision))
        .route("/api/v1/devices/{code}/config", get(routes::config))
        .route("/api/v1/devices/{code}/config/diff", get(routes::config_diff))
        .route("/api/v1/devices/{code}/config/held", get(routes::held))
        .route("/api/v1/devices/{code}/config/approve", post(routes::approve))
        .route("/api/v1/devices/{code}/config/running", get(look::running))
        .route("/api/v1/devices/{code}/config/drift", get(look::drift))
        .route("/api/v1/devices/{code}/reports", get(routes::reports))
        .route("/api/v1/links", get(routes::links))
        .route("/api/v1/links/{code}", get(routes::link))
        .route("/api/v1/links/{code}/transitions", get(transitions::of_link))
        .route("/api/v1/topology", get(routes::topology))
        .route("/api/v1/events", get(stream::events))
        .route("/api/v1/availability", get(availability::availability))
        .route("/api/v1/audit", get(audit::audit))
        .merge(jobs::routes())
        .merge(rollouts::routes())
        .route("/api/v1/approvals", get(approvals::waiting))
        .route("/api/v1/openapi.json", get(openapi))
        .route("/metrics", get(health::metrics))
        .route("/live", get(health::live))
        .route("/ready", get(health::ready))
        .route("/", get(page::index))
        .route("/app.js", get(page::script))
        .route("/app.css", get(page::style))
        .fallback(async || {
            ApiError::new(StatusCode::NOT_FOUND, codes::PATH_UNKNOWN, "nothing is served under this path")
        })
        .method_not_allowed_fallback(async || {
            ApiError::new(StatusCode::METHOD_NOT_ALLOWED, codes::METHOD_UNKNOWN, "this path does not take this method")
        })
        .layer(DefaultBodyLimit::max(extract::MAX_BODY))
        .layer(middleware::from_fn_with_state(Arc::clone(&shared), answer::finish))
        .with_state(shared)
}

/// This description.
#[utoipa::path(get, path = "/api/v1/openapi.json", responses((status = 200, description = "OpenAPI", content_type = "application/json")))]
async fn openapi() -> impl IntoResponse {
    static DESCRIPTION: LazyLock<String> = LazyLock::new(description);
    ([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], DESCRIPTION.as_str())
}
