//! What jobs need: the ledger, the store of jobs, the agents. Asked at most once in a while, and told with its age.
//!
//! An answer counts for a minute when it is good and for half a minute when it is not. One caller at a time asks; the others
//! wait for what it finds, so that a page that everybody looks at is no load for what it looks at.

use std::sync::Arc;

use axum::{Json, extract::State, http::StatusCode};
use causeway_jobs::availability::{Known, Need};
use serde::Serialize;
use utoipa::ToSchema;

use super::{error::ApiError, health::STALE_MS};
use crate::{
    codes,
    shared::{Shared, now_ms},
};

/// Time since its last poll after which an agent is not there, in milliseconds: an agent polls every ten seconds.
const SILENT_MS: u64 = 120_000;

/// Whether what jobs need is there.
#[derive(Debug, Serialize, ToSchema)]
pub struct AvailabilityView {
    /// All of it is, as far as it is known.
    pub available: bool,
    /// Each part.
    pub needs: Vec<NeedView>,
}

/// One part of what jobs need.
#[derive(Debug, Serialize, ToSchema)]
pub struct NeedView {
    /// `ledger`, `store` or `agents`.
    pub need: &'static str,
    /// It was there when it was asked; absent where this controller has none.
    pub available: Option<bool>,
    /// Why not.
    pub reason: Option<String>,
    /// How old this answer is, in milliseconds.
    pub age_ms: Option<u64>,
}

const fn name(need: Need) -> &'static str {
    match need {
        Need::Ledger => "ledger",
        Need::Store => "store",
        Need::Agents => "agents",
    }
}

/// Whether the ledger, the store of jobs and the agents are there. An answer is up to a minute old, and says how old.
#[utoipa::path(get, path = "/api/v1/availability", responses((status = 200, body = AvailabilityView)))]
pub async fn availability(State(shared): State<Arc<Shared>>) -> Json<AvailabilityView> {
    let mut needs = Vec::new();
    for need in [Need::Ledger, Need::Store, Need::Agents] {
        let known = look(&shared, need).await;
        needs.push(NeedView {
            need: name(need),
            available: known.as_ref().map(|known| known.away.is_none()),
            reason: known.as_ref().and_then(|known| known.away.clone()),
            age_ms: known.map(|known| known.age_ms),
        });
    }
    Json(AvailabilityView { available: needs.iter().all(|need| need.available != Some(false)), needs })
}

/// Refuses what would begin and fail for want of the ledger or the store. The agents are many: a job asks its own.
///
/// # Errors
/// One of them is away, with how old that answer is.
pub async fn pre_check(shared: &Shared) -> Result<(), ApiError> {
    for need in [Need::Ledger, Need::Store] {
        if let Some(Known { away: Some(why), age_ms }) = look(shared, need).await {
            let cause = format!("the {} was away {} s ago: {why}", name(need), age_ms / 1_000);
            return Err(ApiError::new(StatusCode::SERVICE_UNAVAILABLE, codes::NEED_AWAY, cause));
        }
    }
    Ok(())
}

/// What is known, asked where nothing that counts is; none where there is nobody to ask.
async fn look(shared: &Shared, need: Need) -> Option<Known> {
    let mut availability = shared.services.availability().await;
    if let Some(known) = availability.known(need, now_ms()) {
        return Some(known);
    }
    let answer = match need {
        Need::Ledger => ledger(shared).await,
        Need::Store => shared.services.job_store()?.there().await,
        Need::Agents => agents(shared),
    };
    availability.note(need, now_ms(), answer);
    availability.known(need, now_ms())
}

async fn ledger(shared: &Shared) -> Result<(), String> {
    let taken = shared.taken_unix_ms();
    let age_ms = now_ms().saturating_sub(taken);
    if taken == 0 {
        return Err("it has not been read yet".to_owned());
    }
    if age_ms > STALE_MS {
        return Err(format!("it was last taken in {} s ago", age_ms / 1_000));
    }
    let Some(node) = shared.services.node() else { return Ok(()) };
    let asked = node.recent().await;
    asked.map(drop).map_err(|error| causeway_sdk::Explain::cause(&error).trim_end_matches('.').to_owned())
}

/// Of the devices that have a configuration, whether any agent asks for it.
fn agents(shared: &Shared) -> Result<(), String> {
    let now_ms = now_ms();
    let store = shared.store();
    let expected: Vec<_> = store.entries().values().filter(|entry| entry.current.is_some()).collect();
    let heard = |polled: Option<u64>| polled.is_some_and(|at| now_ms.saturating_sub(at) <= SILENT_MS);
    let there = expected.iter().filter(|entry| heard(entry.polled.as_ref().map(|polled| polled.at_unix_ms))).count();
    if there > 0 || expected.is_empty() {
        return Ok(());
    }
    Err(format!("none of {} agents has asked within {} s", expected.len(), SILENT_MS / 1_000))
}
