//! The audit log over HTTP, and writing what is done through the API into it.

use std::{future::Future, sync::Arc};

use axum::{
    extract::{ConnectInfo, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Deserialize;
use serde_json::Value;

use super::{
    error::{ApiError, ErrorBody},
    extract::Asked,
    operator,
};
use crate::{
    audit::{Action, AuditError, Entry, Filter, MAX_PAGE, Outcome},
    codes,
    daemon::Peer,
    operators::Actor,
    shared::Shared,
};

/// Entries that are given where the caller doesn't say.
const PAGE: usize = 100;

/// Does something, written down before and after. `work` gives its result and what is so then.
///
/// # Errors
/// The log can't be written, and nothing was done; or what `work` said.
pub async fn audited<T>(
    shared: &Shared,
    actor: Actor,
    action: &'static str,
    subject: String,
    before: Value,
    work: impl Future<Output = Result<(T, Value), ApiError>>,
) -> Result<T, ApiError> {
    let begun = shared.audit.begin(Action { actor, action, subject, before }).await.map_err(failed)?;
    match work.await {
        Ok((done, after)) => {
            shared.audit.end(begun, Outcome::Done, after).await;
            Ok(done)
        }
        Err(error) => {
            shared.audit.end(begun, Outcome::Refused, error.told()).await;
            Err(error)
        }
    }
}

fn failed(error: AuditError) -> ApiError {
    let cause = std::error::Error::source(&error).map(|source| format!(": {source}")).unwrap_or_default();
    ApiError::new(StatusCode::SERVICE_UNAVAILABLE, codes::AUDIT_FAILED, format!("{error}{cause}"))
}

/// Which entries.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuditQuery {
    actor: Option<String>,
    action: Option<String>,
    subject: Option<String>,
    since_unix_ms: Option<u64>,
    until_unix_ms: Option<u64>,
    after: Option<u64>,
    limit: Option<usize>,
}

/// Who did what at this controller, oldest first, an entry a line. Needs the operator's token, as approving does.
#[utoipa::path(
    get, path = "/api/v1/audit",
    params(
        ("actor" = Option<String>, Query, description = "By whom"),
        ("action" = Option<String>, Query, description = "What, as in config.approve"),
        ("subject" = Option<String>, Query, description = "Of what: a device's code, a job's number"),
        ("since_unix_ms" = Option<u64>, Query, description = "From then on"),
        ("until_unix_ms" = Option<u64>, Query, description = "Before then"),
        ("after" = Option<u64>, Query, description = "Later ones than this entry"),
        ("limit" = Option<usize>, Query, description = "At most so many, 1 to 1 000; 100 without it"),
    ),
    responses(
        (status = 200, description = "A JSON object a line", body = Entry, content_type = "application/x-ndjson"),
        (status = 400, body = ErrorBody), (status = 401, body = ErrorBody), (status = 503, body = ErrorBody),
    )
)]
pub async fn audit(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(Peer(from)): ConnectInfo<Peer>,
    Asked(query): Asked<AuditQuery>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    operator::authorize(shared.operator_token.as_deref(), from, &headers)?;
    let limit = query.limit.unwrap_or(PAGE);
    if !(1..=MAX_PAGE).contains(&limit) {
        return Err(ApiError::bad_request(format!("limit is not 1 to {MAX_PAGE}")));
    }
    let filter = Filter {
        actor: query.actor,
        action: query.action,
        subject: query.subject,
        since_ms: query.since_unix_ms,
        until_ms: query.until_unix_ms,
        after: query.after.unwrap_or(0),
        limit,
    };
    let entries = shared.audit.read(filter).await.map_err(failed)?;
    // Plain values under text keys always become JSON.
    let text: String = entries.iter().map(|entry| serde_json::to_string(entry).unwrap_or_default() + "\n").collect();
    Ok(([(header::CONTENT_TYPE, "application/x-ndjson")], text).into_response())
}
