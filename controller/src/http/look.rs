//! What runs on a device, asked of its agent while the caller waits.
//!
//! For the operator alone: unlike everything else that can be read here, what runs is not made from the public ledger, and
//! asking makes a device work.

use std::{sync::Arc, time::Duration};

use axum::{
    Json,
    extract::{ConnectInfo, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};
use causeway_interface::Code;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use super::{
    answer::MAX_WAIT_MS,
    audit::audited,
    error::{ApiError, ErrorBody},
    extract::{Asked, Named},
    operator,
    routes::{device_code, wants_text},
};
use crate::{
    codes,
    daemon::Peer,
    operators::Actor,
    running::Answer,
    shared::{Shared, now_ms},
    store::{Drift, Entry},
};

/// Wait for the agent where the caller doesn't say, in milliseconds: an agent that watches answers within a second, one that
/// polls within ten.
const WAIT_MS: u64 = 12_000;
/// Age up to which an answer is as good as a new one, in milliseconds: what runs and how it differs are asked one after the
/// other.
const FRESH_MS: u64 = 3_000;

/// How long to wait.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LookQuery {
    /// Longest wait for the agent; 0 asks nobody and takes what was answered before.
    wait_ms: Option<u64>,
}

/// When an answer is from.
#[derive(Debug, Serialize, ToSchema)]
pub struct Age {
    /// The agent answered this question; else it is an answer to an earlier one, because none came in time.
    pub fresh: bool,
    /// Milliseconds since it arrived.
    pub age_ms: u64,
    /// When the agent looked, by its clock, unix milliseconds.
    pub at_unix_ms: u64,
}

/// What runs on a device.
#[derive(Debug, Serialize, ToSchema)]
pub struct RunningView {
    /// Device.
    pub device: String,
    /// The managed part of what runs, as the device writes it. Nothing that announces itself as a secret is in it.
    pub text: String,
    /// The text is cut.
    pub text_cut: bool,
    /// Lines in which something was hidden.
    pub hidden_lines: u32,
    /// Hex SHA-256 of the managed part as it runs, nothing hidden or cut.
    pub sha256: String,
    /// When this is from.
    #[serde(flatten)]
    pub age: Age,
    /// Why the device could not be asked; then there is no text.
    pub error: Option<ErrorBody>,
}

/// How what runs differs from what is served.
#[derive(Debug, Serialize, ToSchema)]
pub struct DriftView {
    /// Device.
    pub device: String,
    /// What is known by now.
    pub state: Drift,
    /// Generation that is served.
    pub generation: Option<u64>,
    /// Generation that what runs was compared with: the one that the agent took last. Absent where it took none yet.
    pub compared_generation: Option<u64>,
    /// Hex SHA-256 of its text.
    pub compared_sha256: Option<String>,
    /// What runs is exactly that.
    pub equal: Option<bool>,
    /// Unified diff from what runs to what is intended, over the managed sections; empty where nothing differs.
    pub diff: String,
    /// The diff is cut.
    pub diff_cut: bool,
    /// When this is from.
    #[serde(flatten)]
    pub age: Age,
    /// Why the device could not be asked, or what it runs not be compared.
    pub error: Option<ErrorBody>,
}

/// What runs on a device, by its agent: the managed part, secrets hidden. Waits for the agent; an answer of before is given
/// where none comes. With `Accept: text/plain` the text alone. Needs the operator's token, as approving does.
#[utoipa::path(
    get, path = "/api/v1/devices/{code}/config/running",
    params(
        ("code" = String, Path),
        ("wait_ms" = Option<u64>, Query, description = "Longest wait for the agent, at most 30 000; 0 asks nobody"),
    ),
    responses(
        (status = 200, body = RunningView), (status = 400, body = ErrorBody), (status = 401, body = ErrorBody),
        (status = 404, body = ErrorBody), (status = 503, body = ErrorBody), (status = 504, body = ErrorBody),
    )
)]
pub async fn running(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(Peer(from)): ConnectInfo<Peer>,
    Named(code): Named,
    Asked(query): Asked<LookQuery>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let actor = operator::authorize(shared.operator_token.as_deref(), from, &headers)?;
    let code = device_code(&shared.store(), &code)?;
    let Looked { answer, age } = look_as(&shared, actor, "config.running", code, &query).await?;
    let error = error_of(&answer);
    if wants_text(&headers) && error.is_none() {
        return Ok(answer.text.clone().into_response());
    }
    Ok(Json(RunningView {
        device: code.to_string(),
        text: answer.text.clone(),
        text_cut: answer.text_cut,
        hidden_lines: answer.hidden_lines,
        sha256: hex::encode(&answer.running_sha256),
        age,
        error,
    })
    .into_response())
}

/// How what runs differs from what is intended, by the device's own comparison. With `Accept: text/plain` the diff alone.
/// Needs the operator's token, as approving does.
#[utoipa::path(
    get, path = "/api/v1/devices/{code}/config/drift",
    params(
        ("code" = String, Path),
        ("wait_ms" = Option<u64>, Query, description = "Longest wait for the agent, at most 30 000; 0 asks nobody"),
    ),
    responses(
        (status = 200, body = DriftView), (status = 400, body = ErrorBody), (status = 401, body = ErrorBody),
        (status = 404, body = ErrorBody), (status = 503, body = ErrorBody), (status = 504, body = ErrorBody),
    )
)]
pub async fn drift(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(Peer(from)): ConnectInfo<Peer>,
    Named(code): Named,
    Asked(query): Asked<LookQuery>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let actor = operator::authorize(shared.operator_token.as_deref(), from, &headers)?;
    let code = device_code(&shared.store(), &code)?;
    let Looked { answer, age } = look_as(&shared, actor, "config.drift", code, &query).await?;
    let error = error_of(&answer);
    let compared = answer.compared.as_ref();
    let diff = compared.map(|compared| compared.diff.clone()).unwrap_or_default();
    if wants_text(&headers) && compared.is_some() {
        return Ok(diff.into_response());
    }
    let (state, generation) = {
        let store = shared.store();
        let entry = store.entry(&code);
        (state(entry, &answer), entry.and_then(|entry| entry.current.as_ref()).map(|bundle| bundle.generation))
    };
    Ok(Json(DriftView {
        device: code.to_string(),
        state,
        generation,
        compared_generation: compared.map(|compared| compared.generation),
        compared_sha256: compared.map(|compared| hex::encode(&compared.sha256)),
        equal: compared.map(|compared| compared.equal),
        diff,
        diff_cut: compared.is_some_and(|compared| compared.diff_cut),
        age,
        error,
    })
    .into_response())
}

/// By this answer where it was compared with what is served; else by what is known otherwise.
fn state(entry: Option<&Entry>, answer: &Answer) -> Drift {
    let served = entry.and_then(|entry| entry.current.as_ref());
    match (served, &answer.compared) {
        (Some(served), Some(compared)) if compared.sha256 == served.sha256 => {
            if compared.equal {
                Drift::InSync
            } else {
                Drift::Drifted
            }
        }
        _ => entry.map_or(Drift::Unknown, |entry| entry.drift(now_ms())),
    }
}

fn error_of(answer: &Answer) -> Option<ErrorBody> {
    (!answer.error_code.is_empty()).then(|| super::model::report_error(&answer.error_code, &answer.message))
}

struct Looked {
    answer: Arc<Answer>,
    age: Age,
}

impl Looked {
    fn of(answer: Arc<Answer>, fresh: bool) -> Self {
        let age_ms = now_ms().saturating_sub(answer.received_unix_ms);
        let age = Age { fresh, age_ms, at_unix_ms: answer.at_unix_ms };
        Self { answer, age }
    }
}

/// Looks, and writes down who did: what runs is nobody else's to know.
async fn look_as(
    shared: &Shared,
    actor: Actor,
    action: &'static str,
    device: Code,
    query: &LookQuery,
) -> Result<Looked, ApiError> {
    let work = async {
        let looked = look(shared, device, query).await?;
        let after = json!({ "fresh": looked.age.fresh, "sha256": hex::encode(&looked.answer.running_sha256) });
        Ok((looked, after))
    };
    audited(shared, actor, action, device.to_string(), serde_json::Value::Null, work).await
}

async fn look(shared: &Shared, device: Code, query: &LookQuery) -> Result<Looked, ApiError> {
    let wait_ms = query.wait_ms.unwrap_or(WAIT_MS);
    if wait_ms > MAX_WAIT_MS {
        return Err(ApiError::bad_request(format!("wait_ms is more than {MAX_WAIT_MS}")));
    }
    let known = shared.desk.answer(&device);
    if let Some(known) = known.as_ref().filter(|known| now_ms().saturating_sub(known.received_unix_ms) <= FRESH_MS) {
        return Ok(Looked::of(Arc::clone(known), true));
    }
    let mut waited = "nobody was asked, and it has not said before".to_owned();
    if wait_ms > 0 {
        let mut answers = shared.desk.subscribe();
        let number = shared.ask_running(&device).ok_or_else(|| {
            let cause = "too many agents are being asked what runs";
            ApiError::new(StatusCode::SERVICE_UNAVAILABLE, codes::QUESTIONS_FULL, cause)
        })?;
        let mut stopping = shared.stopping.clone();
        let answered = async {
            loop {
                answers.borrow_and_update();
                if let Some(answer) = shared.desk.answer(&device).filter(|answer| answer.number >= number) {
                    return Some(answer);
                }
                tokio::select! {
                    _ = stopping.wait_for(|stop| *stop) => return None,
                    more = answers.changed() => if more.is_err() { return None },
                }
            }
        };
        if let Ok(Some(answer)) = tokio::time::timeout(Duration::from_millis(wait_ms), answered).await {
            return Ok(Looked::of(answer, true));
        }
        waited = format!("the agent of {device} has not said within {wait_ms} ms what runs, nor before");
    }
    match shared.desk.answer(&device) {
        Some(known) => Ok(Looked::of(known, false)),
        None => Err(ApiError::new(StatusCode::GATEWAY_TIMEOUT, codes::RUNNING_NOT_TOLD, waited)),
    }
}
