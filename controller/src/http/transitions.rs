//! Which statuses a device or link may have next, and what keeps it from each: the program's own table, over what is served.

use std::sync::Arc;

use axum::{Json, extract::State};
use causeway_interface::{
    ErrorCode, Key,
    lifecycle::{Conditions, Outcome, Roles, Rule, device, link},
};
use causeway_sdk::{Explain, predict};
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    error::{ApiError, ErrorBody},
    extract::Named,
    routes::served,
};
use crate::{codes, shared::Shared};

/// What a device or link may become, and what keeps it.
#[derive(Debug, Serialize, ToSchema)]
pub struct TransitionsView {
    /// Its code.
    pub code: String,
    /// Status.
    pub status: String,
    /// Health as the ledger has it.
    pub health: String,
    /// Health that `advance` would find now, from what the oracles say.
    pub health_now: String,
    /// Desired status.
    pub desired: String,
    /// Slot by which this is judged: that of what is served.
    pub slot: u64,
    /// Slots of attestation that are still missing for the next burn-in; absent while fewer than a quorum attest.
    pub burn_in_left_slots: Option<u64>,
    /// Every move that there is from this status.
    pub transitions: Vec<TransitionView>,
}

/// One move.
#[derive(Debug, Serialize, ToSchema)]
pub struct TransitionView {
    /// What makes it.
    pub event: &'static str,
    /// Status afterwards; absent where the account is closed.
    pub to: Option<&'static str>,
    /// Who may ask for it.
    pub by: Vec<&'static str>,
    /// Every condition holds now.
    pub possible: bool,
    /// What it needs.
    pub conditions: Vec<ConditionView>,
}

/// A condition of a move.
#[derive(Debug, Serialize, ToSchema)]
pub struct ConditionView {
    /// What has to be so.
    pub needs: &'static str,
    /// It is so.
    pub holds: bool,
    /// What the program says while it is not, and what to do then.
    pub otherwise: Option<ErrorBody>,
}

fn condition(needs: &'static str, holds: bool, error: ErrorCode) -> ConditionView {
    let otherwise =
        (!holds).then(|| ErrorBody::of(Explain::code(&error), Explain::cause(&error), Explain::remedy(&error)));
    ConditionView { needs, holds, otherwise }
}

fn roles(by: Roles) -> Vec<&'static str> {
    by.iter().map(causeway_interface::lifecycle::Role::name).collect()
}

/// Whether a condition is about the past: it will never hold if it does not, so that its move is none.
const fn is_past_of_device(condition: device::Condition) -> bool {
    use device::Condition;
    match condition {
        Condition::LeftService
        | Condition::LeftPending
        | Condition::LeftDeviceProvisioning
        | Condition::LeftLinkProvisioning => true,
        Condition::NetworkRunning
        | Condition::RegistryActive
        | Condition::FieldsComplete
        | Condition::DesiredActivated
        | Condition::DesiredDrain
        | Condition::HasActivatedLink
        | Condition::ShapeHolds
        | Condition::HealthForLinks
        | Condition::HealthForUsers
        | Condition::BurnInForLinks
        | Condition::BurnInForUsers
        | Condition::MaintenanceBurnIn
        | Condition::NoActivatedLink
        | Condition::NoLinks => false,
    }
}

/// The same of a link. Its kind never changes either.
const fn is_past_of_link(condition: link::Condition) -> bool {
    use link::Condition;
    match condition {
        Condition::KindWan
        | Condition::KindDzx
        | Condition::LeftService
        | Condition::LeftRequested
        | Condition::LeftPending
        | Condition::LeftProvisioning => true,
        Condition::NetworkRunning
        | Condition::RegistryActive
        | Condition::InterfacesFit
        | Condition::DevicesPastPending
        | Condition::DevicesReady
        | Condition::DesiredActivated
        | Condition::DesiredSoftDrained
        | Condition::DesiredHardDrained
        | Condition::HealthForService
        | Condition::BurnIn
        | Condition::MaintenanceBurnIn => false,
    }
}

fn device_move(
    event: device::Event,
    rule: &'static Rule<causeway_interface::DeviceStatus, device::Condition>,
    held: Conditions<device::Condition>,
) -> Option<TransitionView> {
    let all: Vec<_> = rule.chosen_by.iter().chain(rule.when.iter()).collect();
    if all.iter().any(|condition| is_past_of_device(*condition) && !held.contains(*condition)) {
        return None;
    }
    let to = match rule.then {
        Outcome::To(status) => Some(status.name()),
        Outcome::Closed => None,
    };
    let conditions: Vec<_> =
        all.into_iter().map(|one| condition(one.words(), held.contains(one), one.error())).collect();
    let possible = conditions.iter().all(|condition| condition.holds);
    Some(TransitionView { event: event.name(), to, by: roles(rule.by), possible, conditions })
}

fn link_move(
    event: link::Event,
    rule: &'static Rule<causeway_interface::LinkStatus, link::Condition>,
    held: Conditions<link::Condition>,
) -> Option<TransitionView> {
    let all: Vec<_> = rule.chosen_by.iter().chain(rule.when.iter()).collect();
    if all.iter().any(|condition| is_past_of_link(*condition) && !held.contains(*condition)) {
        return None;
    }
    let to = match rule.then {
        Outcome::To(status) => Some(status.name()),
        Outcome::Closed => None,
    };
    let conditions: Vec<_> =
        all.into_iter().map(|one| condition(one.words(), held.contains(one), one.error())).collect();
    let possible = conditions.iter().all(|condition| condition.holds);
    Some(TransitionView { event: event.name(), to, by: roles(rule.by), possible, conditions })
}

/// What stands around it can't be read: a prediction would be a guess.
fn unreadable(error: &predict::PredictError) -> ApiError {
    ApiError::new(axum::http::StatusCode::CONFLICT, codes::DEVICE_UNREADABLE, error.to_string())
}

/// What a device may become next, and what keeps it from it.
#[utoipa::path(
    get, path = "/api/v1/devices/{code}/transitions", params(("code" = String, Path)),
    responses((status = 200, body = TransitionsView), (status = 404, body = ErrorBody), (status = 409, body = ErrorBody))
)]
pub async fn of_device(
    State(shared): State<Arc<Shared>>,
    Named(code): Named,
) -> Result<Json<TransitionsView>, ApiError> {
    let snapshot = Arc::clone(served(&shared.store())?);
    let unknown = || ApiError::unknown_device(&code);
    let (key, record) = code.parse().ok().and_then(|code| snapshot.device(&code)).ok_or_else(unknown)?;
    let case = predict::device_case(&snapshot, &key, snapshot.slot).map_err(|error| unreadable(&error))?;
    let held = device::conditions_held(&case.state, &case.facts);
    let status = record.header.status;
    let moves = device::Event::ALL.into_iter().flat_map(|event| {
        device::rules(Some(status), event).iter().filter_map(move |rule| device_move(event, rule, held))
    });
    Ok(Json(TransitionsView {
        code,
        status: status.to_string(),
        health: record.header.health.to_string(),
        health_now: case.state.health.to_string(),
        desired: record.header.desired.to_string(),
        slot: snapshot.slot,
        burn_in_left_slots: case.detail.burn_in_left_slots,
        transitions: moves.collect(),
    }))
}

/// What a link may become next, and what keeps it from it.
#[utoipa::path(
    get, path = "/api/v1/links/{code}/transitions", params(("code" = String, Path)),
    responses((status = 200, body = TransitionsView), (status = 404, body = ErrorBody), (status = 409, body = ErrorBody))
)]
pub async fn of_link(State(shared): State<Arc<Shared>>, Named(code): Named) -> Result<Json<TransitionsView>, ApiError> {
    let snapshot = Arc::clone(served(&shared.store())?);
    let unknown = || ApiError::unknown_link(&code);
    let (key, record): (Key, _) = code.parse().ok().and_then(|code| snapshot.link(&code)).ok_or_else(unknown)?;
    let case = predict::link_case(&snapshot, &key, snapshot.slot).map_err(|error| unreadable(&error))?;
    let held = link::conditions_held(&case.state, &case.facts);
    let status = record.header.status;
    let moves = link::Event::ALL
        .into_iter()
        .flat_map(|event| link::rules(Some(status), event).iter().filter_map(move |rule| link_move(event, rule, held)));
    Ok(Json(TransitionsView {
        code,
        status: status.to_string(),
        health: record.header.health.to_string(),
        health_now: case.state.health.to_string(),
        desired: record.header.desired.to_string(),
        slot: snapshot.slot,
        burn_in_left_slots: case.detail.burn_in_left_slots,
        transitions: moves.collect(),
    }))
}
