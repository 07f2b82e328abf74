//! Rollouts over HTTP: start, look, pause, resume, cancel, start again for what is left.
//!
//! They are numbered together with jobs, and their devices' jobs are found there with the rollout as their parent.

mod model;
mod start;

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{ConnectInfo, Request, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use causeway_jobs::{
    rollout::{Event, KIND, Recorded, Rollout, RolloutSpec},
    spec::JobId,
    store::Filter,
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

pub use self::{
    model::{RolloutLine, RolloutSummary, RolloutView},
    start::{RolloutStart, RolloutStarted},
};
use super::{
    approvals,
    audit::audited,
    caller::Call,
    error::{ApiError, ErrorBody},
    extract::{Asked, Named},
    jobs::{LogsQuery, asked::asked_of, jobs_of, number, store_error, stream::follow, told},
};
use crate::{daemon::Peer, jobs::Jobs, shared::Shared};

/// Rollouts in a list at most: of each the first event is read.
const MAX_LISTED: usize = 50;
/// Rollouts in a list where nobody says how many.
const LISTED: usize = 20;

/// The routes.
pub fn routes() -> Router<Arc<Shared>> {
    Router::new()
        .route("/api/v1/rollouts", get(rollouts).post(start_rollout))
        .route("/api/v1/rollouts/{id}", get(rollout))
        .route("/api/v1/rollouts/{id}/pause", post(pause_rollout))
        .route("/api/v1/rollouts/{id}/resume", post(resume_rollout))
        .route("/api/v1/rollouts/{id}/cancel", post(cancel_rollout))
        .route("/api/v1/rollouts/{id}/again", post(again_rollout))
        .route("/api/v1/rollouts/{id}/approve", post(approvals::approve_rollout))
        .route("/api/v1/rollouts/{id}/break-glass", post(approvals::break_glass_of_rollout))
        .route("/api/v1/rollouts/{id}/logs", get(rollout_logs))
        .route("/api/v1/rollouts/{id}/events", get(rollout_events))
}

/// Which rollouts.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListQuery {
    status: Option<String>,
    state: Option<String>,
    before: Option<i64>,
    limit: Option<usize>,
}

/// What a rollout is to do, of its first event.
async fn spec(jobs: &Jobs, id: JobId) -> Option<RolloutSpec> {
    let rows = jobs.store.events(id, 0, 1).await.ok()?;
    let first = rows.first()?;
    match Recorded::decode(id, first.seq, &first.text).ok()?.event {
        Event::Started(spec) => Some(*spec),
        _ => None,
    }
}

/// Rollouts, the youngest first.
#[utoipa::path(
    get, path = "/api/v1/rollouts",
    params(
        ("status" = Option<String>, Query, description = "Of this status, such as FAILED"),
        ("state" = Option<String>, Query, description = "At this state, such as SOAKING"),
        ("before" = Option<i64>, Query, description = "Numbered below this one"),
        ("limit" = Option<usize>, Query, description = "At most so many: 20, and no more than 50"),
    ),
    responses((status = 200, body = Vec<RolloutSummary>), (status = 503, body = ErrorBody))
)]
pub async fn rollouts(
    State(shared): State<Arc<Shared>>,
    Asked(query): Asked<ListQuery>,
) -> Result<Json<Vec<RolloutSummary>>, ApiError> {
    let jobs = jobs_of(&shared)?;
    let filter = Filter {
        kind: Some(KIND.to_owned()),
        status: query.status,
        state: query.state,
        before: query.before.map(JobId),
        ..Filter::default()
    };
    let limit = query.limit.unwrap_or(LISTED).clamp(1, MAX_LISTED);
    let mut listed = Vec::new();
    for row in jobs.store.list(filter, limit).await.map_err(store_error)? {
        // One that can't be read is listed all the same.
        let spec = spec(jobs, row.id).await;
        listed.push(RolloutSummary::of(&row, spec.as_ref()));
    }
    Ok(Json(listed))
}

/// Starts a rollout. Every device has to be provisioned by jobs, so that it can go back, but in a dry run. One that needs
/// approvals is signed with the proposer's key of the ledger, and waits.
#[utoipa::path(
    post, path = "/api/v1/rollouts", request_body = RolloutStart,
    params(
        ("causeway-key" = Option<String>, Header, description = "Key of the ledger, in base58"),
        ("causeway-signed-unix-ms" = Option<u64>, Header, description = "When it was signed"),
        ("causeway-signature" = Option<String>, Header, description = "Signature in hex, as docs/jobs.md says"),
    ),
    responses(
        (status = 202, body = RolloutStarted), (status = 400, body = ErrorBody), (status = 401, body = ErrorBody),
        (status = 403, body = ErrorBody), (status = 404, body = ErrorBody), (status = 409, body = ErrorBody),
        (status = 503, body = ErrorBody),
    )
)]
pub async fn start_rollout(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(Peer(from)): ConnectInfo<Peer>,
    request: Request,
) -> Result<Response, ApiError> {
    let mut call = Call::<RolloutStart>::read_long(&shared, from, request).await?;
    call.body.actor = Some(call.speaker(call.body.actor.as_deref()));
    let jobs = jobs_of(&shared)?;
    let mut before = serde_json::to_value(&call.body).unwrap_or_default();
    before["proof"] = call.shown();
    let proposer = call.proof.map(|proof| proof.key);
    let Call { actor, body: asked, .. } = call;
    let work = async {
        let started = start::started(&shared, jobs, &asked, proposer).await?;
        let after = serde_json::to_value(&started).unwrap_or_default();
        Ok((started, after))
    };
    let started = audited(&shared, actor, "rollout.start", asked.choice().subject(), before, work).await?;
    Ok((StatusCode::ACCEPTED, Json(started)).into_response())
}

/// A rollout with its waves and devices.
#[utoipa::path(
    get, path = "/api/v1/rollouts/{id}", params(("id" = i64, Path)),
    responses((status = 200, body = RolloutView), (status = 404, body = ErrorBody), (status = 503, body = ErrorBody))
)]
pub async fn rollout(State(shared): State<Arc<Shared>>, Named(id): Named) -> Result<Json<RolloutView>, ApiError> {
    Ok(Json(RolloutView::of(&jobs_of(&shared)?.desk.rollout(number(&id)?).await?)))
}

/// Words for the record.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RolloutWords {
    /// Why.
    reason: String,
    /// Who asks.
    actor: Option<String>,
}

/// Who asks.
#[derive(Debug, Default, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RolloutAsk {
    /// Who asks.
    actor: Option<String>,
}

/// Lets no further device begin; jobs that run go on, and a wave that is watched may still fail.
#[utoipa::path(
    post, path = "/api/v1/rollouts/{id}/pause", params(("id" = i64, Path)), request_body = RolloutWords,
    responses(
        (status = 200, body = RolloutView), (status = 401, body = ErrorBody), (status = 404, body = ErrorBody),
        (status = 409, body = ErrorBody),
    )
)]
pub async fn pause_rollout(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(Peer(from)): ConnectInfo<Peer>,
    Named(id): Named,
    request: Request,
) -> Result<Json<RolloutView>, ApiError> {
    let call = Call::<RolloutWords>::read(&shared, from, request).await?;
    let (id, actor) = (number(&id)?, call.speaker(call.body.actor.as_deref()));
    let work = jobs_of(&shared)?.desk.pause_rollout(id, &actor, &call.body.reason);
    Ok(Json(RolloutView::of(&asked_of(&shared, call.actor.clone(), "rollout.pause", id, &call.body, work).await?)))
}

/// Lets a rollout that is paused go on.
#[utoipa::path(
    post, path = "/api/v1/rollouts/{id}/resume", params(("id" = i64, Path)), request_body = RolloutAsk,
    responses(
        (status = 200, body = RolloutView), (status = 401, body = ErrorBody), (status = 404, body = ErrorBody),
        (status = 409, body = ErrorBody),
    )
)]
pub async fn resume_rollout(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(Peer(from)): ConnectInfo<Peer>,
    Named(id): Named,
    request: Request,
) -> Result<Json<RolloutView>, ApiError> {
    let call = Call::<RolloutAsk>::read(&shared, from, request).await?;
    let (id, actor) = (number(&id)?, call.speaker(call.body.actor.as_deref()));
    let work = jobs_of(&shared)?.desk.resume_rollout(id, &actor);
    Ok(Json(RolloutView::of(&asked_of(&shared, call.actor.clone(), "rollout.resume", id, &call.body, work).await?)))
}

/// Stops a rollout: the wave that is under way goes back to what it ran, those before it stay.
#[utoipa::path(
    post, path = "/api/v1/rollouts/{id}/cancel", params(("id" = i64, Path)), request_body = RolloutWords,
    responses(
        (status = 200, body = RolloutView), (status = 401, body = ErrorBody), (status = 404, body = ErrorBody),
        (status = 409, body = ErrorBody),
    )
)]
pub async fn cancel_rollout(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(Peer(from)): ConnectInfo<Peer>,
    Named(id): Named,
    request: Request,
) -> Result<Json<RolloutView>, ApiError> {
    let call = Call::<RolloutWords>::read(&shared, from, request).await?;
    let (id, actor) = (number(&id)?, call.speaker(call.body.actor.as_deref()));
    let work = jobs_of(&shared)?.desk.cancel_rollout(id, &actor, &call.body.reason);
    Ok(Json(RolloutView::of(&asked_of(&shared, call.actor.clone(), "rollout.cancel", id, &call.body, work).await?)))
}

/// Starts another rollout for the devices that one left, under the same conditions. It is signed and approved as a new one.
#[utoipa::path(
    post, path = "/api/v1/rollouts/{id}/again", params(("id" = i64, Path)), request_body = RolloutAsk,
    responses(
        (status = 202, body = RolloutStarted), (status = 401, body = ErrorBody), (status = 403, body = ErrorBody),
        (status = 404, body = ErrorBody), (status = 409, body = ErrorBody),
    )
)]
pub async fn again_rollout(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(Peer(from)): ConnectInfo<Peer>,
    Named(id): Named,
    request: Request,
) -> Result<Response, ApiError> {
    let call = Call::<RolloutAsk>::read(&shared, from, request).await?;
    let (id, actor) = (number(&id)?, call.speaker(call.body.actor.as_deref()));
    let (jobs, proposer, before) = (jobs_of(&shared)?, call.proof.map(|proof| proof.key), call.shown());
    let work = async {
        let started = start::again(&shared, jobs, id, actor, proposer).await?;
        let after = serde_json::to_value(&started).unwrap_or_default();
        Ok((started, after))
    };
    let before = json!({ "proof": before });
    let started = audited(&shared, call.actor.clone(), "rollout.again", id.0.to_string(), before, work).await?;
    Ok((StatusCode::ACCEPTED, Json(started)).into_response())
}

/// What happened to a rollout, oldest first. With `Accept: text/plain` as lines.
#[utoipa::path(
    get, path = "/api/v1/rollouts/{id}/logs",
    params(("id" = i64, Path), ("after" = Option<u64>, Query, description = "Number of the last event seen")),
    responses((status = 200, body = Vec<RolloutLine>), (status = 404, body = ErrorBody))
)]
pub async fn rollout_logs(
    State(shared): State<Arc<Shared>>,
    Named(id): Named,
    Asked(query): Asked<LogsQuery>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    told::answer::<Rollout>(jobs_of(&shared)?, number(&id)?, query.after, &headers).await
}

/// What happens to a rollout, as it happens: first what has happened since `after`. Ends when the rollout is over.
#[utoipa::path(
    get, path = "/api/v1/rollouts/{id}/events",
    params(("id" = i64, Path), ("after" = Option<u64>, Query, description = "Number of the last event seen")),
    responses(
        (status = 200, description = "Server-sent events; data is a RolloutLine", content_type = "text/event-stream"),
        (status = 404, body = ErrorBody), (status = 503, body = ErrorBody),
    )
)]
pub async fn rollout_events(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(Peer(from)): ConnectInfo<Peer>,
    Named(id): Named,
    Asked(query): Asked<LogsQuery>,
    headers: HeaderMap,
) -> Result<impl IntoResponse, ApiError> {
    follow::<Rollout>(shared, from, number(&id)?, query.after, &headers).await
}
