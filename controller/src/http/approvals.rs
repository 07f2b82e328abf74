//! Approvals over HTTP: what waits, agreeing, and doing without in an emergency.
//!
//! Whoever agrees signs the request with a key of the ledger, and names what was looked at by its hash. An operator's token is
//! needed as well: it says who may call, not who may agree.

use std::sync::Arc;

use axum::{
    Json,
    extract::{ConnectInfo, Request, State},
    http::StatusCode,
};
use causeway_interface::Key;
use causeway_jobs::{
    Job,
    approval::{Approvals, Role},
    error,
    event::EventError,
    rollout::{KIND, Rollout},
    spec::JobId,
    status::State as JobState,
    store::Filter,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::{
    audit::audited,
    caller::Call,
    error::{ApiError, ErrorBody},
    extract::Named,
    jobs::{JobView, asked::Standing, jobs_of, number, refusal, store_error},
    rollouts::RolloutView,
};
use crate::{
    daemon::Peer,
    job_events::{Act, approval_change},
    jobs::Jobs,
    shared::Shared,
};

/// Changes that wait, of one list at most.
const MAX_WAITING: usize = 50;
/// Devices of a change that are named in the list at most; the change itself has all.
const MAX_NAMED: usize = 20;

/// A key that agreed.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct GivenView {
    /// Base58.
    pub key: String,
    /// "authority", "owner" or "operations".
    pub role: String,
}

/// Somebody who did without.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct GlassView {
    /// Base58.
    pub key: String,
    /// As what.
    pub role: String,
    /// Why.
    pub reason: String,
}

/// What a change needs, and what it has of it.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ApprovalView {
    /// What is approved: hex SHA-256 of the change's first event.
    pub change: String,
    /// Key of who proposed it, in base58; it can't approve.
    pub proposer: String,
    /// So many keys have to agree.
    pub needed: u8,
    /// Of somebody who is one of these, for every one of the devices.
    pub roles: Vec<String>,
    /// Who may do without.
    pub break_glass: Vec<String>,
    /// Not any more after this, unix milliseconds.
    pub until_unix_ms: u64,
    /// Who agreed.
    pub given: Vec<GivenView>,
    /// Somebody did without.
    pub glass: Option<GlassView>,
    /// It may begin.
    pub complete: bool,
}

impl ApprovalView {
    /// Of what a change has.
    #[must_use]
    pub fn of(approvals: &Approvals, change: Result<String, EventError>) -> Self {
        let names =
            |roles: &std::collections::BTreeSet<Role>| roles.iter().map(|role| role.name().to_owned()).collect();
        let given = approvals.given.iter();
        Self {
            // One without a hash can't be approved.
            change: change.unwrap_or_default(),
            proposer: approvals.need.proposer.to_string(),
            needed: approvals.need.approvals,
            roles: names(&approvals.need.roles),
            break_glass: names(&approvals.need.glass),
            until_unix_ms: approvals.until_ms(),
            given: given.map(|(key, role)| GivenView { key: key.to_string(), role: role.name().to_owned() }).collect(),
            glass: approvals.glass.as_ref().map(|glass| GlassView {
                key: glass.key.to_string(),
                role: glass.role.name().to_owned(),
                reason: glass.reason.clone(),
            }),
            complete: approvals.is_complete(),
        }
    }
}

/// A change that waits for approvals.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct WaitingView {
    /// Number of the job or the rollout.
    pub id: i64,
    /// It is a rollout.
    pub rollout: bool,
    /// What is done.
    pub kind: String,
    /// Who asks, by name.
    pub actor: String,
    /// How many devices it has.
    pub count: usize,
    /// The first of them.
    pub devices: Vec<String>,
    /// What it needs and has.
    pub approval: ApprovalView,
}

fn named(targets: &[causeway_jobs::spec::Target]) -> Vec<String> {
    targets.iter().take(MAX_NAMED).map(|target| target.device.to_string()).collect()
}

fn waiting_job(job: &Job) -> Option<WaitingView> {
    Some(WaitingView {
        id: job.id.0,
        rollout: false,
        kind: job.spec.kind.name().to_owned(),
        actor: job.spec.actor.clone(),
        count: job.spec.targets.len(),
        devices: named(&job.spec.targets),
        approval: ApprovalView::of(job.approvals.as_ref()?, job.change()),
    })
}

fn waiting_rollout(rollout: &Rollout) -> Option<WaitingView> {
    Some(WaitingView {
        id: rollout.id.0,
        rollout: true,
        kind: rollout.spec.kind.name().to_owned(),
        actor: rollout.spec.actor.clone(),
        count: rollout.spec.targets.len(),
        devices: named(&rollout.spec.targets),
        approval: ApprovalView::of(rollout.approvals.as_ref()?, rollout.change()),
    })
}

/// Changes that wait for approvals, the youngest first, 50 at most.
#[utoipa::path(
    get, path = "/api/v1/approvals",
    responses((status = 200, body = Vec<WaitingView>), (status = 503, body = ErrorBody))
)]
pub async fn waiting(State(shared): State<Arc<Shared>>) -> Result<Json<Vec<WaitingView>>, ApiError> {
    let jobs = jobs_of(&shared)?;
    let state = Some(JobState::WaitingForApproval.name().to_owned());
    let rows = jobs.store.list(Filter { state, ..Filter::default() }, MAX_WAITING).await.map_err(store_error)?;
    let mut waiting = Vec::new();
    for row in rows {
        // One that can't be read can't be approved either.
        let view = if row.kind == KIND {
            jobs.desk.rollout(row.id).await.ok().as_ref().and_then(waiting_rollout)
        } else {
            jobs.desk.job(row.id).await.ok().as_ref().and_then(waiting_job)
        };
        waiting.extend(view);
    }
    Ok(Json(waiting))
}

/// Tells that a job or a rollout waits, if it does. Says whether it does.
pub fn announce(shared: &Shared, id: JobId, is_rollout: bool, approvals: Option<&Approvals>) -> bool {
    let Some(approvals) = approvals.filter(|approvals| !approvals.is_complete()) else { return false };
    shared.happened(vec![approval_change(id, is_rollout, approvals, Act::Waits, approvals.need.proposer)]);
    true
}

/// The same of a job that was just kept; one that can't be read waits for nobody.
pub async fn announce_job(shared: &Shared, jobs: &Jobs, id: JobId) -> bool {
    if jobs.changes.approvals.is_empty() {
        return false;
    }
    let job = jobs.desk.job(id).await.ok();
    announce(shared, id, false, job.as_ref().and_then(|job| job.approvals.as_ref()))
}

/// What is agreed to, or done without.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ApproveRequest {
    /// What was looked at: `approval.change` of the job or the rollout.
    change: String,
    /// Why, for the record.
    reason: String,
}

/// What was looked at has to be what is kept.
fn same(asked: &ApproveRequest, kept: Result<String, EventError>) -> Result<(), ApiError> {
    match kept {
        Ok(kept) if kept == asked.change => Ok(()),
        Ok(kept) => {
            let cause = format!("under this number is {kept}, and not what was looked at");
            Err(refusal(StatusCode::CONFLICT, error::CHANGE_DIFFERS, cause))
        }
        Err(error) => Err(causeway_jobs::desk::AskError::from(error).into()),
    }
}

/// What the audit log keeps: how it stood, what was looked at, and the proof of who agreed.
fn before(mut standing: Value, call: &Call<ApproveRequest>) -> Value {
    standing["asked"] = json!(call.body);
    standing["proof"] = call.shown();
    standing
}

fn tell(shared: &Shared, id: JobId, is_rollout: bool, approvals: Option<&Approvals>, act: Act, key: Key) {
    if let Some(approvals) = approvals {
        shared.happened(vec![approval_change(id, is_rollout, approvals, act, key)]);
    }
}

async fn of_job(
    shared: &Shared,
    from: std::net::SocketAddr,
    id: &str,
    request: Request,
    act: Act,
) -> Result<Json<JobView>, ApiError> {
    let call = Call::<ApproveRequest>::read(shared, from, request).await?;
    let (jobs, id, key) = (jobs_of(shared)?, number(id)?, call.key()?);
    let job = jobs.desk.job(id).await?;
    let action = if act == Act::GlassBroken { "job.break-glass" } else { "job.approve" };
    let work = async {
        same(&call.body, job.change())?;
        let job = match act {
            Act::GlassBroken => jobs.desk.break_glass(id, key, &call.body.reason).await?,
            Act::Approved | Act::Waits => jobs.desk.approve(id, key, &call.body.reason).await?,
        };
        let after = job.standing();
        Ok((job, after))
    };
    let before = before(job.standing(), &call);
    let job = audited(shared, call.actor.clone(), action, id.0.to_string(), before, work).await?;
    tell(shared, id, false, job.approvals.as_ref(), act, key);
    Ok(Json(JobView::of(&job)))
}

async fn of_rollout(
    shared: &Shared,
    from: std::net::SocketAddr,
    id: &str,
    request: Request,
    act: Act,
) -> Result<Json<RolloutView>, ApiError> {
    let call = Call::<ApproveRequest>::read(shared, from, request).await?;
    let (jobs, id, key) = (jobs_of(shared)?, number(id)?, call.key()?);
    let rollout = jobs.desk.rollout(id).await?;
    let action = if act == Act::GlassBroken { "rollout.break-glass" } else { "rollout.approve" };
    let work = async {
        same(&call.body, rollout.change())?;
        let rollout = match act {
            Act::GlassBroken => jobs.desk.break_glass_of_rollout(id, key, &call.body.reason).await?,
            Act::Approved | Act::Waits => jobs.desk.approve_rollout(id, key, &call.body.reason).await?,
        };
        let after = rollout.standing();
        Ok((rollout, after))
    };
    let before = before(rollout.standing(), &call);
    let rollout = audited(shared, call.actor.clone(), action, id.0.to_string(), before, work).await?;
    tell(shared, id, true, rollout.approvals.as_ref(), act, key);
    Ok(Json(RolloutView::of(&rollout)))
}

macro_rules! verbs {
    ($($(#[doc = $doc:literal])+ $name:ident, $path:literal, $view:ident, $by:ident, $act:ident;)+) => {
        $(
            $(#[doc = $doc])+
            #[utoipa::path(
                post, path = $path, request_body = ApproveRequest,
                params(
                    ("id" = i64, Path),
                    ("causeway-key" = String, Header, description = "Key of the ledger, in base58"),
                    ("causeway-signed-unix-ms" = u64, Header, description = "When it was signed"),
                    ("causeway-signature" = String, Header, description = "Signature in hex, as docs/jobs.md says"),
                ),
                responses(
                    (status = 200, body = $view), (status = 401, body = ErrorBody), (status = 403, body = ErrorBody),
                    (status = 404, body = ErrorBody), (status = 409, body = ErrorBody), (status = 503, body = ErrorBody),
                )
            )]
            pub async fn $name(
                State(shared): State<Arc<Shared>>,
                ConnectInfo(Peer(from)): ConnectInfo<Peer>,
                Named(id): Named,
                request: Request,
            ) -> Result<Json<$view>, ApiError> {
                $by(&shared, from, &id, request, Act::$act).await
            }
        )+
    };
}

verbs! {
    /// Agrees that a job begins: signed by a key that has the role for every one of its devices, and is not the proposer's.
    approve_job, "/api/v1/jobs/{id}/approve", JobView, of_job, Approved;
    /// Has a job begin without the approvals that it needs: recorded with key and reason, counted, and an error in the log.
    break_glass_of_job, "/api/v1/jobs/{id}/break-glass", JobView, of_job, GlassBroken;
    /// Agrees that a rollout begins: signed by a key that has the role for every one of its devices, and is not the proposer's.
    approve_rollout, "/api/v1/rollouts/{id}/approve", RolloutView, of_rollout, Approved;
    /// Has a rollout begin without the approvals that it needs: recorded with key and reason, counted, and an error in the log.
    break_glass_of_rollout, "/api/v1/rollouts/{id}/break-glass", RolloutView, of_rollout, GlassBroken;
}
