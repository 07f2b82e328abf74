//! What the oracle serves beside telemetry: verdicts, evidence, its own state. Read-only; errors are JSON with code,
//! cause and remedy.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{Path, Query, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use causeway_interface::{Code, Digest, Key};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tracing::error;

use crate::{
    criteria::{Verdict, coverage::Rules},
    evidence::{EvidenceWindow, merkle::Proof, store::EvidenceStore},
    metrics::Metrics,
    round::Published,
    subjects::{Judged, Kind},
    time,
};

/// Rounds that may fail in a row before the oracle says that it is not ready.
const ROUNDS_UNTIL_NOT_READY: u64 = 3;
/// Time that a round may take on top of its interval before the same, in ms: the ledger's own timeouts.
const ROUND_SLACK_MS: u64 = 30_000;

/// What the API works with.
#[derive(Clone, Debug)]
pub struct Api {
    /// Name for people.
    pub name: String,
    /// The oracle's key.
    pub oracle: Key,
    /// The program.
    pub program_id: Key,
    /// What it judges by.
    pub rules: Rules,
    /// Time between rounds, in ms.
    pub round_ms: u64,
    /// What was found.
    pub published: watch::Receiver<Arc<Published>>,
    /// What was signed.
    pub evidence: Arc<EvidenceStore>,
    /// What is counted.
    pub metrics: Metrics,
}

/// The routes.
pub fn router(api: Api) -> Router {
    Router::new()
        .route("/v1/status", get(status))
        .route("/v1/verdicts", get(verdicts))
        .route("/v1/subjects/{code}/verdict", get(verdict))
        .route("/v1/evidence/{sha256}", get(evidence))
        .route("/metrics", get(metrics))
        .route("/live", get(|| async { "live\n" }))
        .route("/ready", get(ready))
        .with_state(api)
}

#[derive(Serialize)]
struct Status {
    name: String,
    oracle: Key,
    program: Key,
    in_set: bool,
    ready: bool,
    ledger_slot: u64,
    judged_at_ms: u64,
    subjects: usize,
    rules: Rules,
    rounds: u64,
    failed_rounds: u64,
    transactions: u64,
    transaction_errors: u64,
    batches: u64,
    refused_batches: u64,
}

#[derive(Serialize)]
struct SubjectVerdict<'a> {
    kind: Kind,
    code: Code,
    subject: Key,
    level: &'static str,
    in_service: bool,
    window: EvidenceWindow,
    verdict: &'a Verdict,
}

impl<'a> SubjectVerdict<'a> {
    fn of(judged: &'a Judged) -> Self {
        let Judged { key, code, kind, in_service, verdict, window, telemetry: _, basis: _ } = judged;
        Self {
            kind: *kind,
            code: *code,
            subject: *key,
            level: verdict.level.name(),
            in_service: *in_service,
            window: *window,
            verdict,
        }
    }
}

/// What was last signed of a subject.
#[derive(Serialize)]
struct Attested {
    evidence_sha256: Digest,
    evidence_root: Digest,
    proof: Proof,
    transaction: String,
}

#[derive(Serialize)]
struct Answer<'a> {
    ledger_slot: u64,
    judged_at_ms: u64,
    #[serde(flatten)]
    subject: SubjectVerdict<'a>,
    attested: Option<Attested>,
}

#[derive(Serialize)]
struct Problem {
    code: &'static str,
    cause: String,
    remedy: &'static str,
}

fn problem(status: StatusCode, code: &'static str, cause: String, remedy: &'static str) -> Response {
    (status, Json(Problem { code, cause, remedy })).into_response()
}

fn store_failed(error: &dyn std::error::Error) -> Response {
    error!(%error, cause = ?error.source(), "evidence not read");
    let cause = "The evidence store could not be read.".to_owned();
    problem(
        StatusCode::SERVICE_UNAVAILABLE,
        "CW-ORACLE-STORE",
        cause,
        "Try again; the oracle's log says what is wrong.",
    )
}

fn is_ready(api: &Api, published: &Published) -> bool {
    let limit = api.round_ms.saturating_mul(ROUNDS_UNTIL_NOT_READY).saturating_add(ROUND_SLACK_MS);
    published.at_ms != 0 && time::now_ms().saturating_sub(published.at_ms) <= limit
}

async fn status(State(api): State<Api>) -> Response {
    let published = api.published.borrow().clone();
    let counters = api.metrics.counters();
    Json(Status {
        ready: is_ready(&api, &published),
        name: api.name,
        oracle: api.oracle,
        program: api.program_id,
        in_set: published.in_set,
        ledger_slot: published.slot,
        judged_at_ms: published.at_ms,
        subjects: published.subjects.len(),
        rules: api.rules,
        rounds: counters.rounds,
        failed_rounds: counters.failed_rounds,
        transactions: counters.transactions,
        transaction_errors: counters.transaction_errors,
        batches: counters.batches,
        refused_batches: counters.refused_batches,
    })
    .into_response()
}

async fn verdicts(State(api): State<Api>) -> Response {
    #[derive(Serialize)]
    struct List<'a> {
        ledger_slot: u64,
        judged_at_ms: u64,
        subjects: Vec<SubjectVerdict<'a>>,
    }
    let published = api.published.borrow().clone();
    let subjects = published.subjects.values().map(SubjectVerdict::of).collect();
    Json(List { ledger_slot: published.slot, judged_at_ms: published.at_ms, subjects }).into_response()
}

#[derive(Deserialize)]
struct Which {
    kind: Option<Kind>,
}

async fn verdict(State(api): State<Api>, Path(code): Path<String>, Query(which): Query<Which>) -> Response {
    let published = api.published.borrow().clone();
    // A device and a link may have the same code: `?kind=` says which is meant.
    let kinds = match which.kind {
        Some(kind) => vec![kind],
        None => vec![Kind::Device, Kind::Link],
    };
    let found = code
        .parse::<Code>()
        .ok()
        .and_then(|code| kinds.into_iter().find_map(|kind| published.subjects.get(&(kind, code)).cloned()));
    let Some(judged) = found else {
        let cause = "No device or link of this code is judged.".to_owned();
        let remedy = "Check the code; what is pending, rejected or being deleted is not judged.";
        return problem(StatusCode::NOT_FOUND, "CW-ORACLE-UNKNOWN-SUBJECT", cause, remedy);
    };
    let (store, key) = (api.evidence.clone(), judged.key);
    let signed = match tokio::task::spawn_blocking(move || store.latest(&key)).await {
        Ok(Ok(signed)) => signed,
        Ok(Err(error)) => return store_failed(&error),
        Err(error) => return store_failed(&error),
    };
    let attested = signed.map(|signed| Attested {
        evidence_sha256: signed.sha256,
        evidence_root: signed.root,
        proof: signed.proof,
        transaction: signed.transaction,
    });
    let subject = SubjectVerdict::of(&judged);
    Json(Answer { ledger_slot: published.slot, judged_at_ms: published.at_ms, subject, attested }).into_response()
}

async fn evidence(State(api): State<Api>, Path(name): Path<String>) -> Response {
    let missing = || {
        let cause = "No evidence of this SHA-256 is kept here.".to_owned();
        let remedy = "Check the hash and the oracle; old evidence is forgotten after its retention.";
        problem(StatusCode::NOT_FOUND, "CW-ORACLE-NO-EVIDENCE", cause, remedy)
    };
    let Ok(name) = name.parse::<Digest>() else { return missing() };
    let store = api.evidence.clone();
    match tokio::task::spawn_blocking(move || store.document(&name)).await {
        // The bytes as they were hashed.
        Ok(Ok(Some(bytes))) => ([(header::CONTENT_TYPE, "application/json")], bytes).into_response(),
        Ok(Ok(None)) => missing(),
        Ok(Err(error)) => store_failed(&error),
        Err(error) => store_failed(&error),
    }
}

async fn metrics(State(api): State<Api>) -> Response {
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], api.metrics.text()).into_response()
}

async fn ready(State(api): State<Api>) -> Response {
    let published = api.published.borrow().clone();
    if is_ready(&api, &published) {
        return "ready\n".into_response();
    }
    (StatusCode::SERVICE_UNAVAILABLE, "no complete round lately\n").into_response()
}
