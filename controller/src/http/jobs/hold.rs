//! Holding a job, so that no further step begins, and letting it go on.

use std::sync::Arc;

use axum::{
    Json,
    extract::{ConnectInfo, Request, State},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{JobView, asked_of, jobs_of, number, operators};
use crate::{
    daemon::Peer,
    http::{
        caller::speaker,
        error::{ApiError, ErrorBody},
        extract::Named,
    },
    operators::Actor,
    shared::Shared,
};

/// What is held.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct HoldRequest {
    /// Why.
    pub reason: String,
    /// Who asks.
    pub actor: Option<String>,
}

/// What goes on.
#[derive(Debug, Default, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ReleaseRequest {
    /// Who asks.
    pub actor: Option<String>,
}

/// Lets no further step of a job begin. What runs goes on, and a device whose time to confirm is over goes back by itself.
#[utoipa::path(
    post, path = "/api/v1/jobs/{id}/hold", params(("id" = i64, Path)), request_body = HoldRequest,
    responses(
        (status = 200, body = JobView), (status = 401, body = ErrorBody), (status = 404, body = ErrorBody),
        (status = 409, body = ErrorBody),
    )
)]
pub async fn hold_job(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(Peer(from)): ConnectInfo<Peer>,
    Named(id): Named,
    request: Request,
) -> Result<Json<JobView>, ApiError> {
    let (caller, asked): (Actor, HoldRequest) = operators(&shared, from, request).await?;
    let (id, actor) = (number(&id)?, speaker(&caller, asked.actor.as_deref()));
    let work = jobs_of(&shared)?.desk.hold(id, &actor, &asked.reason);
    Ok(Json(JobView::of(&asked_of(&shared, caller, "job.hold", id, &asked, work).await?)))
}

/// Lets a job that is held go on.
#[utoipa::path(
    post, path = "/api/v1/jobs/{id}/release", params(("id" = i64, Path)), request_body = ReleaseRequest,
    responses(
        (status = 200, body = JobView), (status = 401, body = ErrorBody), (status = 404, body = ErrorBody),
        (status = 409, body = ErrorBody),
    )
)]
pub async fn release_job(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(Peer(from)): ConnectInfo<Peer>,
    Named(id): Named,
    request: Request,
) -> Result<Json<JobView>, ApiError> {
    let (caller, asked): (Actor, ReleaseRequest) = operators(&shared, from, request).await?;
    let (id, actor) = (number(&id)?, speaker(&caller, asked.actor.as_deref()));
    let work = jobs_of(&shared)?.desk.release(id, &actor);
    Ok(Json(JobView::of(&asked_of(&shared, caller, "job.release", id, &asked, work).await?)))
}
