//! Provisioning jobs over HTTP: start, look, retry, skip, cancel.
//!
//! Looking needs no key, like everything that is read here, but for a job's difference, which quotes what a device runs.
//! Whatever changes something is the operator's, as approving is.

pub(super) mod asked;
pub(super) mod hold;
mod model;
pub(super) mod start;
pub(super) mod stream;
pub(super) mod told;

use std::{net::SocketAddr, sync::Arc};

use axum::{
    Json, Router,
    extract::{ConnectInfo, Request, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use causeway_jobs::{
    Job,
    desk::AskError,
    engine::{DIFF, artifact},
    error::{self, ErrorKind},
    rollout,
    spec::{JobId, StepIndex},
    store::{Filter, StoreError},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

use self::asked::asked_of;
pub use self::{
    model::{AskedView, DiffView, JobSummary, JobView, LogLine, mode_name, trigger_name},
    start::{StartRequest, Started, started},
};
use super::{
    approvals,
    audit::audited,
    caller::{Call, speaker},
    error::{ApiError, ErrorBody},
    extract::{Asked, Named},
    operator,
    routes::{device_code, wants_text},
};
use crate::{codes, daemon::Peer, jobs::Jobs, operators::Actor, shared::Shared};

/// Jobs in a list at most.
const MAX_LISTED: usize = 100;
/// Jobs in a list where nobody says how many.
const LISTED: usize = 20;

/// The routes.
pub fn routes() -> Router<Arc<Shared>> {
    Router::new()
        .route("/api/v1/jobs", get(jobs).post(start_jobs))
        .route("/api/v1/jobs/automatic", get(automatic).post(set_automatic))
        .route("/api/v1/jobs/{id}", get(job))
        .route("/api/v1/jobs/{id}/retry", post(retry_job))
        .route("/api/v1/jobs/{id}/skip-step", post(skip_step))
        .route("/api/v1/jobs/{id}/cancel", post(cancel_job))
        .route("/api/v1/jobs/{id}/approve", post(approvals::approve_job))
        .route("/api/v1/jobs/{id}/break-glass", post(approvals::break_glass_of_job))
        .route("/api/v1/jobs/{id}/hold", post(hold::hold_job))
        .route("/api/v1/jobs/{id}/release", post(hold::release_job))
        .route("/api/v1/jobs/{id}/logs", get(job_logs))
        .route("/api/v1/jobs/{id}/diff", get(job_diff))
        .route("/api/v1/jobs/{id}/events", get(stream::job_events))
}

pub(super) fn jobs_of(shared: &Shared) -> Result<&Arc<Jobs>, ApiError> {
    shared.jobs.get().ok_or_else(|| {
        let cause = "this controller has no store of jobs, or can't reach it";
        ApiError::new(StatusCode::SERVICE_UNAVAILABLE, codes::NO_JOBS, cause)
    })
}

pub(super) fn number(text: &str) -> Result<JobId, ApiError> {
    let unknown = || refusal(StatusCode::NOT_FOUND, error::UNKNOWN, format!("there is no job {text:?}"));
    text.parse::<i64>().ok().filter(|number| *number > 0).map(JobId).ok_or_else(unknown)
}

pub(super) fn refusal(status: StatusCode, kind: ErrorKind, cause: impl Into<String>) -> ApiError {
    ApiError::with(status, body(kind, cause))
}

pub(super) fn body(kind: ErrorKind, cause: impl Into<String>) -> ErrorBody {
    ErrorBody::of(kind.code, cause, kind.remedy)
}

/// What a caller reads where jobs refuse something.
pub(super) fn refused(error: &AskError) -> (StatusCode, ErrorBody) {
    let status = match error {
        AskError::Spec(_) | AskError::Words | AskError::Unsupported(_) | AskError::Rollout(_) => {
            StatusCode::BAD_REQUEST
        }
        AskError::NotNow(_) | AskError::RolloutNotNow(_) | AskError::Store(StoreError::Busy { .. }) => {
            StatusCode::CONFLICT
        }
        AskError::Approval(_) => StatusCode::FORBIDDEN,
        AskError::Roles(_) => StatusCode::SERVICE_UNAVAILABLE,
        AskError::Store(StoreError::Unknown(_)) | AskError::OtherKind(..) => StatusCode::NOT_FOUND,
        AskError::Store(_) => StatusCode::SERVICE_UNAVAILABLE,
        AskError::Event(_) => StatusCode::INTERNAL_SERVER_ERROR,
    };
    let mut words = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(inner) = source {
        let more = inner.to_string();
        if !words.ends_with(&more) {
            words = format!("{words}: {more}");
        }
        source = inner.source();
    }
    let job = match error {
        AskError::Store(StoreError::Busy { job, .. }) => Some(job.0),
        _ => None,
    };
    (status, ErrorBody { job, ..body(error.kind(), words) })
}

impl From<AskError> for ApiError {
    fn from(error: AskError) -> Self {
        let (status, body) = refused(&error);
        Self::with(status, body)
    }
}

pub(super) fn store_error(error: StoreError) -> ApiError {
    AskError::from(error).into()
}

/// Which jobs.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListQuery {
    device: Option<String>,
    status: Option<String>,
    kind: Option<String>,
    parent: Option<i64>,
    before: Option<i64>,
    limit: Option<usize>,
}

/// Jobs, the youngest first.
#[utoipa::path(
    get, path = "/api/v1/jobs",
    params(
        ("device" = Option<String>, Query, description = "Of this device"),
        ("status" = Option<String>, Query, description = "Of this status, such as FAILED"),
        ("kind" = Option<String>, Query, description = "Of this kind, such as provision, or rollout"),
        ("parent" = Option<i64>, Query, description = "Part of this rollout"),
        ("before" = Option<i64>, Query, description = "Numbered below this one"),
        ("limit" = Option<usize>, Query, description = "At most so many: 20, and no more than 100"),
    ),
    responses((status = 200, body = Vec<JobSummary>), (status = 404, body = ErrorBody), (status = 503, body = ErrorBody))
)]
pub async fn jobs(
    State(shared): State<Arc<Shared>>,
    Asked(query): Asked<ListQuery>,
) -> Result<Json<Vec<JobSummary>>, ApiError> {
    let jobs = jobs_of(&shared)?;
    let device = query.device.as_deref().map(|code| device_code(&shared.store(), code)).transpose()?;
    let filter = Filter {
        device,
        status: query.status,
        kind: query.kind,
        parent: query.parent.map(JobId),
        before: query.before.map(JobId),
        ..Filter::default()
    };
    let limit = query.limit.unwrap_or(LISTED).clamp(1, MAX_LISTED);
    let mut listed = Vec::new();
    for row in jobs.store.list(filter, limit).await.map_err(store_error)? {
        if row.kind == rollout::KIND {
            // It has devices by the thousand, and a list of its own.
            listed.push(JobSummary::of(&row, None));
            continue;
        }
        // One that can't be read is listed all the same.
        let job = jobs.desk.job(row.id).await.ok();
        listed.push(JobSummary::of(&row, job.as_ref()));
    }
    Ok(Json(listed))
}

/// Starts jobs: one for each device that is named or chosen, or one for all of them where it is a change of the network.
/// Devices that can't have one are listed with the reason; where none can, that is the answer.
#[utoipa::path(
    post, path = "/api/v1/jobs", request_body = StartRequest,
    responses(
        (status = 202, body = Started), (status = 400, body = ErrorBody), (status = 401, body = ErrorBody),
        (status = 404, body = ErrorBody), (status = 409, body = ErrorBody, description = "`job` is the one that runs"),
        (status = 503, body = ErrorBody),
    )
)]
pub async fn start_jobs(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(Peer(from)): ConnectInfo<Peer>,
    request: Request,
) -> Result<Response, ApiError> {
    let call = Call::<StartRequest>::read(&shared, from, request).await?;
    let (shown, proposer) = (call.shown(), call.proof.map(|proof| proof.key));
    let Call { actor: caller, body: mut request, .. } = call;
    request.actor = Some(speaker(&caller, request.actor.as_deref()));
    let jobs = jobs_of(&shared)?;
    let mut before = serde_json::to_value(&request).unwrap_or_default();
    before["proof"] = shown;
    let work = async {
        let started = started(&shared, jobs, &request, proposer).await?;
        let after = serde_json::to_value(&started).unwrap_or_default();
        Ok((started, after))
    };
    let started = audited(&shared, caller, "job.start", request.subject(), before, work).await?;
    Ok((StatusCode::ACCEPTED, Json(started)).into_response())
}

/// The body of a call of the operator's, and whose it is; somebody else's is not even read.
async fn operators<T: serde::de::DeserializeOwned>(
    shared: &Shared,
    from: SocketAddr,
    request: Request,
) -> Result<(Actor, T), ApiError> {
    let call = Call::read(shared, from, request).await?;
    Ok((call.actor, call.body))
}

/// A job with its steps.
#[utoipa::path(
    get, path = "/api/v1/jobs/{id}", params(("id" = i64, Path)),
    responses((status = 200, body = JobView), (status = 404, body = ErrorBody), (status = 503, body = ErrorBody))
)]
pub async fn job(State(shared): State<Arc<Shared>>, Named(id): Named) -> Result<Json<JobView>, ApiError> {
    let job = jobs_of(&shared)?.desk.job(number(&id)?).await?;
    Ok(Json(JobView::of(&job)))
}

/// What is tried anew.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RetryRequest {
    /// Steps of a job that ended partly; all that failed where none is named. A failed job begins anew.
    #[serde(default)]
    steps: Vec<StepIndex>,
    /// Who asks.
    actor: Option<String>,
}

/// Tries anew what failed.
#[utoipa::path(
    post, path = "/api/v1/jobs/{id}/retry", params(("id" = i64, Path)), request_body = RetryRequest,
    responses(
        (status = 200, body = JobView), (status = 401, body = ErrorBody), (status = 404, body = ErrorBody),
        (status = 409, body = ErrorBody),
    )
)]
pub async fn retry_job(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(Peer(from)): ConnectInfo<Peer>,
    Named(id): Named,
    request: Request,
) -> Result<Json<JobView>, ApiError> {
    let (caller, asked): (Actor, RetryRequest) = operators(&shared, from, request).await?;
    let (id, actor) = (number(&id)?, speaker(&caller, asked.actor.as_deref()));
    let work = jobs_of(&shared)?.desk.retry(id, &asked.steps, &actor);
    let job = asked_of(&shared, caller, "job.retry", id, &asked, work).await?;
    approvals::announce(&shared, id, false, job.approvals.as_ref());
    Ok(Json(JobView::of(&job)))
}

/// What is left out.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SkipRequest {
    /// The step, by its index.
    step: StepIndex,
    /// Why.
    reason: String,
    /// Who asks.
    actor: Option<String>,
}

/// Leaves an optional step out.
#[utoipa::path(
    post, path = "/api/v1/jobs/{id}/skip-step", params(("id" = i64, Path)), request_body = SkipRequest,
    responses(
        (status = 200, body = JobView), (status = 401, body = ErrorBody), (status = 404, body = ErrorBody),
        (status = 409, body = ErrorBody),
    )
)]
pub async fn skip_step(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(Peer(from)): ConnectInfo<Peer>,
    Named(id): Named,
    request: Request,
) -> Result<Json<JobView>, ApiError> {
    let (caller, asked): (Actor, SkipRequest) = operators(&shared, from, request).await?;
    let (id, actor) = (number(&id)?, speaker(&caller, asked.actor.as_deref()));
    let work = jobs_of(&shared)?.desk.skip(id, asked.step, &actor, &asked.reason);
    Ok(Json(JobView::of(&asked_of(&shared, caller, "job.skip-step", id, &asked, work).await?)))
}

/// What is cancelled.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CancelRequest {
    /// Why.
    reason: String,
    /// Who asks.
    actor: Option<String>,
    /// Give up the devices of a job that can't be read; nothing is taken back then.
    #[serde(default)]
    abandon: bool,
}

/// What came of a cancellation.
#[derive(Debug, Serialize, ToSchema)]
pub struct Cancelled {
    /// Number of the job.
    id: i64,
    /// The job; absent for one that can't be read and was abandoned.
    job: Option<JobView>,
}

/// Takes a job back: its devices run again what they ran.
#[utoipa::path(
    post, path = "/api/v1/jobs/{id}/cancel", params(("id" = i64, Path)), request_body = CancelRequest,
    responses(
        (status = 200, body = Cancelled), (status = 401, body = ErrorBody), (status = 404, body = ErrorBody),
        (status = 409, body = ErrorBody),
    )
)]
pub async fn cancel_job(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(Peer(from)): ConnectInfo<Peer>,
    Named(id): Named,
    request: Request,
) -> Result<Json<Cancelled>, ApiError> {
    let (caller, asked): (Actor, CancelRequest) = operators(&shared, from, request).await?;
    let (jobs, id) = (jobs_of(&shared)?, number(&id)?);
    let actor = speaker(&caller, asked.actor.as_deref());
    if asked.abandon {
        tracing::warn!(job = %id, actor, reason = asked.reason, "a job that can't be read is abandoned");
        let before = json!({ "reason": asked.reason });
        let work = async {
            jobs.store.abandon(id).await.map_err(store_error)?;
            Ok(((), Value::Null))
        };
        audited(&shared, caller, "job.abandon", id.0.to_string(), before, work).await?;
        return Ok(Json(Cancelled { id: id.0, job: None }));
    }
    let work = jobs.desk.cancel(id, &actor, &asked.reason);
    let job = asked_of(&shared, caller, "job.cancel", id, &asked, work).await?;
    Ok(Json(Cancelled { id: id.0, job: Some(JobView::of(&job)) }))
}

/// From where on.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogsQuery {
    pub(super) after: Option<u64>,
}

/// What happened to a job, oldest first. With `Accept: text/plain` as lines.
#[utoipa::path(
    get, path = "/api/v1/jobs/{id}/logs",
    params(("id" = i64, Path), ("after" = Option<u64>, Query, description = "Number of the last event seen")),
    responses((status = 200, body = Vec<LogLine>), (status = 404, body = ErrorBody))
)]
pub async fn job_logs(
    State(shared): State<Arc<Shared>>,
    Named(id): Named,
    Asked(query): Asked<LogsQuery>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    told::answer::<Job>(jobs_of(&shared)?, number(&id)?, query.after, &headers).await
}

/// What a job would change or has changed, of each device from what ran. With `Accept: text/plain` the differences alone.
/// Needs the operator's token, as approving does.
#[utoipa::path(
    get, path = "/api/v1/jobs/{id}/diff", params(("id" = i64, Path)),
    responses((status = 200, body = Vec<DiffView>), (status = 401, body = ErrorBody), (status = 404, body = ErrorBody))
)]
pub async fn job_diff(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(Peer(from)): ConnectInfo<Peer>,
    Named(id): Named,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    operator::authorize(shared.operator_token.as_deref(), from, &headers)?;
    let (jobs, id) = (jobs_of(&shared)?, number(&id)?);
    let job = jobs.desk.job(id).await?;
    let mut diffs = Vec::new();
    for target in &job.spec.targets {
        let bytes = jobs.store.artifact(id, artifact(&target.device, DIFF)).await.map_err(store_error)?;
        let diff = bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        diffs.push(DiffView { device: target.device.to_string(), diff });
    }
    if wants_text(&headers) {
        return Ok(diffs.into_iter().filter_map(|view| view.diff).collect::<String>().into_response());
    }
    Ok(Json(diffs).into_response())
}

/// Whether changes on the ledger start jobs.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AutomaticState {
    /// They do.
    enabled: bool,
}

/// Whether changes on the ledger start jobs at this controller.
#[utoipa::path(
    get, path = "/api/v1/jobs/automatic",
    responses((status = 200, body = AutomaticState), (status = 503, body = ErrorBody))
)]
pub async fn automatic(State(shared): State<Arc<Shared>>) -> Result<Json<AutomaticState>, ApiError> {
    Ok(Json(AutomaticState { enabled: jobs_of(&shared)?.automatic.is_on() }))
}

/// Throws the switch of this controller, until it is started anew: then it is as its settings say. Off, no change on the
/// ledger starts anything, and what waited for a quiet moment is forgotten; jobs that run go on.
#[utoipa::path(
    post, path = "/api/v1/jobs/automatic", request_body = AutomaticState,
    responses((status = 200, body = AutomaticState), (status = 401, body = ErrorBody), (status = 503, body = ErrorBody))
)]
pub async fn set_automatic(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(Peer(from)): ConnectInfo<Peer>,
    request: Request,
) -> Result<Json<AutomaticState>, ApiError> {
    let (caller, asked): (Actor, AutomaticState) = operators(&shared, from, request).await?;
    let automatic = &jobs_of(&shared)?.automatic;
    let (now, before) = (asked.enabled, json!({ "enabled": automatic.is_on() }));
    let work = async {
        let was = automatic.set(now);
        tracing::warn!(was, now, "whether changes on the ledger start jobs was set");
        Ok(((), json!({ "enabled": now })))
    };
    audited(&shared, caller, "job.automatic", "automatic".to_owned(), before, work).await?;
    Ok(Json(asked))
}
