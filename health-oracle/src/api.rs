//! What the oracle serves beside telemetry: verdicts, evidence, its own state. Read-only; errors are JSON with code,
//! cause and remedy.

use std::{net::IpAddr, sync::Arc};

use axum::{
    Json, Router,
    extract::{Path, Query, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use causeway_interface::{Code, Digest, Key};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tracing::error;

use crate::{
    alerts::message,
    book::RuleBook,
    criteria::Verdict,
    evidence::{EvidenceWindow, merkle::Proof, store::EvidenceStore},
    metrics::{self, Metrics},
    round::{Failing, Published},
    since::Since,
    store::recorder::Recorder,
    subjects::{Judged, Kind},
    telemetry::vitals::{SessionState, SystemState},
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
    pub rules: RuleBook,
    /// Time between rounds, in ms.
    pub round_ms: u64,
    /// What was found.
    pub published: watch::Receiver<Arc<Published>>,
    /// Why rounds fail, if they do.
    pub failing: watch::Receiver<Option<Failing>>,
    /// What devices say.
    pub recorder: Arc<Recorder>,
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
        .route("/v1/devices/{code}/vitals", get(vitals))
        .route("/v1/evidence/{sha256}", get(evidence))
        .route("/metrics", get(page_of_metrics))
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
    rules: RuleBook,
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
    /// None where the oracle died before it could note it; the root is on the ledger all the same.
    transaction: Option<String>,
}

#[derive(Serialize)]
struct Answer<'a> {
    ledger_slot: u64,
    judged_at_ms: u64,
    #[serde(flatten)]
    subject: SubjectVerdict<'a>,
    /// Since when it has been so, as far as this process has seen.
    since: Option<&'a Since>,
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

/// Why an oracle is not ready; nothing if it is. Pure.
fn unready(published: &Published, failing: Option<&Failing>, round_ms: u64, now_ms: u64) -> Option<Problem> {
    if let Some(Failing { what, cause, since_ms, rounds }) = failing {
        let cause = format!("{rounds} rounds in a row failed since {}, {cause}.", message::utc(*since_ms));
        let (code, remedy) = match *what {
            "ledger" => ("CW-ORACLE-LEDGER", "Check the RPC endpoint that the oracle is told; it goes on by itself."),
            "network" => ("CW-ORACLE-NO-NETWORK", "Check the program's address, or create the network."),
            _ => (
                "CW-ORACLE-STORE",
                "Look at the disk under the data folder, or the ClickHouse server; the oracle's log says what is wrong.",
            ),
        };
        return Some(Problem { code, cause, remedy });
    }
    let limit_ms = round_ms.saturating_mul(ROUNDS_UNTIL_NOT_READY).saturating_add(ROUND_SLACK_MS);
    let cause = if published.at_ms == 0 {
        "No round is complete yet.".to_owned()
    } else if now_ms.saturating_sub(published.at_ms) > limit_ms {
        format!("The last complete round was at {}.", message::utc(published.at_ms))
    } else {
        return None;
    };
    let remedy = "Wait for a round; if none completes, the oracle's log says what it waits for.";
    Some(Problem { code: "CW-ORACLE-NO-ROUND", cause, remedy })
}

fn unready_now(api: &Api) -> Option<Problem> {
    let (published, failing) = (api.published.borrow().clone(), api.failing.borrow().clone());
    unready(&published, failing.as_ref(), api.round_ms, time::now_ms())
}

async fn status(State(api): State<Api>) -> Response {
    let published = api.published.borrow().clone();
    let counters = api.metrics.counters();
    Json(Status {
        ready: unready_now(&api).is_none(),
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
    let subjects = published.subjects.values().map(|judged| SubjectVerdict::of(judged)).collect();
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
    let since = published.since.get(&(judged.kind, judged.code));
    Json(Answer { ledger_slot: published.slot, judged_at_ms: published.at_ms, subject, since, attested })
        .into_response()
}

/// A BGP session as its device last told of it.
#[derive(Serialize)]
struct Session {
    peer: IpAddr,
    #[serde(flatten)]
    state: SessionState,
}

/// What a device last said of itself beside what is judged.
#[derive(Serialize)]
struct DeviceVitals {
    device: Code,
    sessions: Vec<Session>,
    /// None where nothing was said of it lately: that is not an idle machine.
    system: Option<SystemState>,
}

async fn vitals(State(api): State<Api>, Path(code): Path<String>) -> Response {
    let looked = match code.parse::<Code>() {
        Ok(device) => {
            let (recorder, now_ms) = (api.recorder.clone(), time::now_ms());
            let look = move || {
                recorder.look(|fleet| {
                    fleet.vitals(&device).map(|vitals| {
                        let sessions =
                            vitals.sessions(now_ms).map(|(peer, state)| Session { peer: *peer, state: *state });
                        DeviceVitals { device, sessions: sessions.collect(), system: vitals.machine(now_ms) }
                    })
                })
            };
            // It waits for a commit that is under way.
            match tokio::task::spawn_blocking(look).await {
                Ok(looked) => looked,
                Err(error) => return store_failed(&error),
            }
        }
        Err(_) => Some(None),
    };
    match looked {
        Some(Some(vitals)) => Json(vitals).into_response(),
        Some(None) => {
            let cause = "No device of this code has reported.".to_owned();
            let remedy = "Check the code, and the device's agent.";
            problem(StatusCode::NOT_FOUND, "CW-ORACLE-UNKNOWN-SUBJECT", cause, remedy)
        }
        None => {
            let cause = "No telemetry is in memory now: it has not been read yet, or could not be.".to_owned();
            let remedy = "Try again after the next round; where that fails, /ready and the log say why.";
            problem(StatusCode::SERVICE_UNAVAILABLE, "CW-ORACLE-STORE", cause, remedy)
        }
    }
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

async fn page_of_metrics(State(api): State<Api>, headers: HeaderMap) -> Response {
    let text = api.metrics.text();
    let accepts = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let (kind, text) = if accepts.into_iter().any(|accepted| accepted.contains("application/openmetrics-text")) {
        ("application/openmetrics-text; version=1.0.0; charset=utf-8", text)
    } else {
        ("text/plain; version=0.0.4; charset=utf-8", metrics::in_old_form(&text))
    };
    ([(header::CONTENT_TYPE, kind)], text).into_response()
}

async fn ready(State(api): State<Api>) -> Response {
    match unready_now(&api) {
        None => Json(serde_json::json!({"ready": true})).into_response(),
        Some(problem) => (StatusCode::SERVICE_UNAVAILABLE, Json(problem)).into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readiness_says_why_not() {
        let published = |at_ms| Published { at_ms, ..Published::default() };
        let failing = |what| Failing { what, cause: "the x could not be read".into(), since_ms: 0, rounds: 2 };
        let (round_ms, now) = (1_000, 1_000_000);
        let code = |at_ms, failing: Option<Failing>| {
            unready(&published(at_ms), failing.as_ref(), round_ms, now).map(|problem| problem.code)
        };
        let fresh = now - 33_000;
        assert_eq!(code(fresh, None), None);
        assert_eq!(code(fresh - 1, None), Some("CW-ORACLE-NO-ROUND"));
        assert_eq!(code(0, None), Some("CW-ORACLE-NO-ROUND"));
        let codes = ["CW-ORACLE-LEDGER", "CW-ORACLE-NO-NETWORK", "CW-ORACLE-STORE", "CW-ORACLE-STORE"];
        assert_eq!(
            ["ledger", "network", "store", "judge"].map(|what| code(fresh, Some(failing(what))).unwrap()),
            codes
        );
        let problem = unready(&published(fresh), Some(&failing("store")), round_ms, now).unwrap();
        assert_eq!(problem.cause, "2 rounds in a row failed since 1970-01-01 00:00:00 UTC, the x could not be read.");
    }
}
