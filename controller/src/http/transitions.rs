//! Which statuses a device or link may have next, and what keeps it from each: the program's own table, over what is served.

use std::sync::Arc;

use axum::{Json, extract::State};
use causeway_interface::{
    DeviceStatus, ErrorCode, Key, LinkStatus,
    lifecycle::{AnyCondition, Conditions, Outcome, Roles, Rule, device, link},
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

/// What is to be said of a condition, of whichever state machine.
trait Needs: AnyCondition {
    /// Whether it is about the past, or about what never changes: it will never hold if it does not, so that its move is none.
    fn is_past(self) -> bool;
    fn view(self, holds: bool) -> ConditionView;
}

impl Needs for device::Condition {
    fn is_past(self) -> bool {
        match self {
            Self::LeftService | Self::LeftPending | Self::LeftDeviceProvisioning | Self::LeftLinkProvisioning => true,
            Self::NetworkRunning
            | Self::RegistryActive
            | Self::FieldsComplete
            | Self::DesiredActivated
            | Self::DesiredDrain
            | Self::HasActivatedLink
            | Self::ShapeHolds
            | Self::HealthForLinks
            | Self::HealthForUsers
            | Self::BurnInForLinks
            | Self::BurnInForUsers
            | Self::MaintenanceBurnIn
            | Self::NoActivatedLink
            | Self::NoLinks => false,
        }
    }

    fn view(self, holds: bool) -> ConditionView {
        condition(self.words(), holds, self.error())
    }
}

impl Needs for link::Condition {
    fn is_past(self) -> bool {
        match self {
            Self::KindWan
            | Self::KindDzx
            | Self::LeftService
            | Self::LeftRequested
            | Self::LeftPending
            | Self::LeftProvisioning => true,
            Self::NetworkRunning
            | Self::RegistryActive
            | Self::InterfacesFit
            | Self::DevicesPastPending
            | Self::DevicesReady
            | Self::DesiredActivated
            | Self::DesiredSoftDrained
            | Self::DesiredHardDrained
            | Self::HealthForService
            | Self::BurnIn
            | Self::MaintenanceBurnIn => false,
        }
    }

    fn view(self, holds: bool) -> ConditionView {
        condition(self.words(), holds, self.error())
    }
}

/// A row of a state machine as one move; none where something of the past rules it out. `name` is a status' name.
fn one_move<S: Copy, C: Needs>(
    event: &'static str,
    rule: &Rule<S, C>,
    held: Conditions<C>,
    name: fn(S) -> &'static str,
) -> Option<TransitionView> {
    let all: Vec<C> = rule.chosen_by.iter().chain(rule.when.iter()).collect();
    if all.iter().any(|condition| condition.is_past() && !held.contains(*condition)) {
        return None;
    }
    let to = match rule.then {
        Outcome::To(status) => Some(name(status)),
        Outcome::Closed => None,
    };
    let conditions: Vec<_> = all.into_iter().map(|one| one.view(held.contains(one))).collect();
    let possible = conditions.iter().all(|condition| condition.holds);
    Some(TransitionView { event, to, by: roles(rule.by), possible, conditions })
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
        device::rules(Some(status), event)
            .iter()
            .filter_map(move |rule| one_move(event.name(), rule, held, DeviceStatus::name))
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
    let moves = link::Event::ALL.into_iter().flat_map(|event| {
        link::rules(Some(status), event)
            .iter()
            .filter_map(move |rule| one_move(event.name(), rule, held, LinkStatus::name))
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
