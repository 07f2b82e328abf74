//! Which rollout is meant: which devices, in which waves, watched for how long, when, and how many in a time.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use axum::http::StatusCode;
use causeway_interface::{Code, Key};
use causeway_jobs::{
    error,
    rollout::{Budget, MAX_DEVICES, Progress, Rollout, RolloutRequest, Shape, Soak},
    spec::{JobId, Kind, Target, Wanted},
    window::Window,
};
use causeway_sdk::snapshot::Snapshot;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    http::{
        approvals,
        error::ApiError,
        jobs::{
            refusal,
            start::{Choice, MODES, TRANSPORTS, TRIGGERS, invalid, one_of, target},
        },
        routes::served,
    },
    jobs::{Jobs, health::SLOT_MS, policy::minute_of_week},
    operators,
    shared::Shared,
};

/// Jobs at once where nobody says how many.
const AT_ONCE: u16 = 32;
/// Devices that are named in a refusal at most.
const MAX_NAMED: usize = 8;

/// How long each wave is watched. What is left out is as usual: ten minutes well without a break, two minutes to settle, a
/// look every 15 s, an hour at most, by the oracles.
#[derive(Clone, Debug, Default, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SoakRequest {
    /// Every device has to be well for so long without a break, in milliseconds.
    pub for_ms: Option<u64>,
    /// Devices may be unwell for so long at first, in milliseconds.
    pub settle_ms: Option<u64>,
    /// Between two looks, in milliseconds.
    pub look_ms: Option<u64>,
    /// A wave that was not well for long enough by then has failed, in milliseconds.
    pub limit_ms: Option<u64>,
    /// Whether the oracles are asked; false: only the time counts. True, but for dry runs and devices that leave.
    pub by_health: Option<bool>,
}

/// So many devices are begun in such a time.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BudgetRequest {
    /// How many.
    pub devices: u32,
    /// In any time of this length, in milliseconds.
    pub per_ms: u64,
}

/// A time of every week, in UTC.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WindowRequest {
    /// When it opens, as in "tue-02:00".
    pub opens: String,
    /// How long it is open, in minutes.
    pub minutes: u16,
}

/// What is to be done, with which devices and how. Where several things choose devices, those that all of them choose are
/// meant.
#[derive(Clone, Debug, Default, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RolloutStart {
    /// Codes of devices.
    pub devices: Vec<String>,
    /// Code of a location: the devices that stand there.
    pub location: Option<String>,
    /// Code of an exchange: the devices that belong to it.
    pub exchange: Option<String>,
    /// Code of a contributor: the devices that it brings.
    pub contributor: Option<String>,
    /// "provision" (the default), "revert" or "decommission".
    pub kind: Option<String>,
    /// Only show what would change, device by device.
    pub dry_run: bool,
    /// The generation to go back to, of a revert.
    pub generation: Option<u64>,
    /// "replace" (the default) or "merge".
    pub mode: Option<String>,
    /// "agent-pull", "eapi-push" or "in-memory"; by default as is usual for each device.
    pub transport: Option<String>,
    /// The first wave, by codes; without it the first device by code.
    pub canaries: Vec<String>,
    /// Devices of the first wave where none is named; 1 without it.
    pub first: Option<usize>,
    /// A wave has so many times the devices of the one before it; 4 without it.
    pub growth: Option<usize>,
    /// Devices of a wave at most; 250 without it.
    pub most: Option<usize>,
    /// How long each wave is watched.
    pub soak: SoakRequest,
    /// Jobs at once; 32 without it.
    pub at_once: Option<u16>,
    /// How many devices are begun in a time; as many as there are without it.
    pub budget: Option<BudgetRequest>,
    /// When devices may be begun that have no windows of their own in the controller's settings; any time without it.
    pub windows: Vec<WindowRequest>,
    /// Why, for the record.
    pub message: Option<String>,
    /// Who asks, where the token has no name of its own.
    pub actor: Option<String>,
    /// Which way it came in: "http" (the default) or "cli".
    pub trigger: Option<String>,
}

/// A rollout that was started.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct RolloutStarted {
    /// Its number.
    pub id: i64,
    /// How many devices each wave has.
    pub waves: Vec<u16>,
    /// How many devices it has.
    pub devices: usize,
    /// It waits for approvals.
    pub waits: bool,
}

fn codes(given: &[String]) -> Result<Vec<Code>, ApiError> {
    given.iter().map(|text| text.parse().map_err(|_| ApiError::unknown_device(text))).collect()
}

fn windows(given: &[WindowRequest]) -> Result<Vec<Window>, ApiError> {
    let window = |window: &WindowRequest| {
        Ok(Window { opens: minute_of_week(&window.opens).map_err(invalid)?, minutes: window.minutes })
    };
    given.iter().map(window).collect()
}

impl RolloutStart {
    pub(super) fn choice(&self) -> Choice<'_> {
        Choice {
            devices: &self.devices,
            location: self.location.as_deref(),
            exchange: self.exchange.as_deref(),
            contributor: self.contributor.as_deref(),
        }
    }

    fn kind(&self) -> Result<Kind, ApiError> {
        let kinds = [("provision", Kind::Provision), ("revert", Kind::Revert), ("decommission", Kind::Decommission)];
        let kind = one_of("kind", self.kind.as_deref(), &kinds)?;
        if self.generation.is_some() != (kind == Kind::Revert) {
            return Err(invalid("a revert, and nothing else, names the generation to go back to"));
        }
        match (kind, self.dry_run) {
            (Kind::Decommission, true) => Err(invalid("a dry run is there for provision and revert")),
            (_, true) => Ok(Kind::DryRun),
            (kind, false) => Ok(kind),
        }
    }

    /// How long waves of such a kind are watched.
    fn soak(&self, kind: Kind) -> Soak {
        let usual = match kind {
            Kind::Provision | Kind::Revert | Kind::NetworkChange => Soak::default(),
            // Nothing was changed, or the device is to be in nobody's way any more.
            Kind::DryRun | Kind::Decommission => Soak { for_ms: 0, by_health: false, ..Soak::default() },
        };
        Soak {
            for_ms: self.soak.for_ms.unwrap_or(usual.for_ms),
            settle_ms: self.soak.settle_ms.unwrap_or(usual.settle_ms),
            look_ms: self.soak.look_ms.unwrap_or(usual.look_ms),
            limit_ms: self.soak.limit_ms.unwrap_or(usual.limit_ms),
            by_health: self.soak.by_health.unwrap_or(usual.by_health),
        }
    }

    /// The request, but for what the ledger and the settings say of its devices.
    fn request(&self, targets: Vec<Target>, proposer: Option<Key>) -> Result<RolloutRequest, ApiError> {
        let (kind, usual) = (self.kind()?, Shape::default());
        Ok(RolloutRequest {
            kind,
            targets,
            generation: self.generation,
            mode: one_of("mode", self.mode.as_deref(), &MODES)?,
            shape: Shape {
                canaries: codes(&self.canaries)?,
                first: self.first.unwrap_or(usual.first),
                growth: self.growth.unwrap_or(usual.growth),
                most: self.most.unwrap_or(usual.most),
            },
            soak: self.soak(kind),
            at_once: self.at_once.unwrap_or(AT_ONCE),
            budget: self.budget.map(|budget| Budget { devices: budget.devices, per_ms: budget.per_ms }),
            windows: windows(&self.windows)?,
            own_windows: BTreeMap::new(),
            trigger: one_of("trigger", self.trigger.as_deref(), &TRIGGERS)?,
            actor: self.actor.clone().unwrap_or_else(|| operators::ALONE.to_owned()),
            message: self.message.clone().unwrap_or_default(),
            proposer,
        })
    }
}

/// Words that oracles gave before a wave was begun must not be what it passes by: it is watched for longer than one counts.
fn check_soak(soak: Soak, snapshot: &Snapshot) -> Result<(), ApiError> {
    let age_ms = snapshot.network.as_ref().map_or(0, |network| network.attestation_max_age_slots * SLOT_MS);
    if soak.by_health && soak.for_ms < age_ms {
        let cause = format!(
            "a wave is watched for {} ms, and an oracle's word counts for {age_ms} ms: it could pass by words from before it",
            soak.for_ms
        );
        return Err(invalid(cause));
    }
    Ok(())
}

/// A rollout has to be able to go back, which a device that is served continuously can't.
fn check_by_jobs(shared: &Shared, kind: Kind, devices: &BTreeSet<Code>) -> Result<(), ApiError> {
    if kind == Kind::DryRun {
        return Ok(());
    }
    let store = shared.store();
    let continuous: Vec<String> =
        devices.iter().filter(|device| !shared.is_by_jobs(&store, device)).map(ToString::to_string).collect();
    if continuous.is_empty() {
        return Ok(());
    }
    let mut named = continuous.iter().take(MAX_NAMED).cloned().collect::<Vec<_>>().join(", ");
    if continuous.len() > MAX_NAMED {
        named.push_str(&format!(" and {} more", continuous.len() - MAX_NAMED));
    }
    let cause = format!("{named}: served continuously, so that a rollout could not bring them back");
    Err(refusal(StatusCode::CONFLICT, error::NOT_BY_JOBS, cause))
}

/// Starts it.
async fn begin(
    shared: &Shared,
    jobs: &Jobs,
    snapshot: &Snapshot,
    mut request: RolloutRequest,
) -> Result<RolloutStarted, ApiError> {
    let devices: BTreeSet<Code> = request.targets.iter().map(|target| target.device).collect();
    check_by_jobs(shared, request.kind, &devices)?;
    check_soak(request.soak, snapshot)?;
    if request.kind != Kind::DryRun {
        request.own_windows = jobs.changes.windows(snapshot, &devices);
        let general = jobs.changes.general();
        if !general.is_empty() {
            request.windows = general;
        }
    }
    let id = jobs.desk.start_rollout(&request).await?;
    let rollout = jobs.desk.rollout(id).await?;
    tracing::info!(
        rollout = %id, kind = rollout.spec.kind.name(), actor = rollout.spec.actor, devices = devices.len(), "rollout started"
    );
    let waits = approvals::announce(shared, rollout.id, true, rollout.approvals.as_ref());
    Ok(RolloutStarted { id: id.0, waves: rollout.spec.waves.clone(), devices: devices.len(), waits })
}

/// Starts what is asked for.
///
/// # Errors
/// What is asked for can't be meant, or can't be done with these devices.
pub async fn started(
    shared: &Shared,
    jobs: &Jobs,
    asked: &RolloutStart,
    proposer: Option<Key>,
) -> Result<RolloutStarted, ApiError> {
    let snapshot: Arc<Snapshot> = served(&shared.store())?.clone();
    let devices = asked.choice().choose(&snapshot, MAX_DEVICES)?;
    let transport = match asked.transport.as_deref() {
        Some(_) => Some(one_of("transport", asked.transport.as_deref(), &TRANSPORTS)?),
        None => None,
    };
    let targets = devices.iter().filter_map(|device| target(shared, *device, transport)).collect();
    begin(shared, jobs, &snapshot, asked.request(targets, proposer)?).await
}

/// Starts another rollout for the devices that one left: those that don't run what it was to bring. They go in waves of the
/// same sizes, under the same conditions, and what was approved is approved anew.
///
/// # Errors
/// It is not over, or left none; otherwise as of [`started`].
pub async fn again(
    shared: &Shared,
    jobs: &Jobs,
    id: JobId,
    actor: String,
    proposer: Option<Key>,
) -> Result<RolloutStarted, ApiError> {
    let rollout = jobs.desk.rollout(id).await?;
    if !matches!(rollout.phase, causeway_jobs::rollout::Phase::Ended(_)) {
        return Err(refusal(StatusCode::CONFLICT, error::NOT_NOW, "the rollout is not over"));
    }
    let snapshot: Arc<Snapshot> = served(&shared.store())?.clone();
    let targets: Vec<Target> = left(&rollout);
    if targets.is_empty() {
        return Err(refusal(StatusCode::CONFLICT, error::NOT_NOW, "every device runs what the rollout was to bring"));
    }
    let spec = &rollout.spec;
    let request = RolloutRequest {
        kind: spec.kind,
        targets,
        generation: match spec.wanted {
            Wanted::Generation(generation) => Some(generation),
            Wanted::Current | Wanted::Bare | Wanted::Before(_) => None,
        },
        mode: spec.mode,
        shape: shape(&spec.waves),
        soak: spec.soak,
        at_once: spec.at_once,
        budget: spec.budget,
        windows: spec.windows.clone(),
        own_windows: BTreeMap::new(),
        trigger: spec.trigger,
        actor,
        message: format!("what rollout {id} left"),
        proposer,
    };
    begin(shared, jobs, &snapshot, request).await
}

/// Devices that don't run what the rollout was to bring.
fn left(rollout: &Rollout) -> Vec<Target> {
    let devices = rollout.spec.targets.iter().zip(&rollout.devices);
    let runs_it = |device: &causeway_jobs::rollout::Device| {
        device.forward.is_done() && !matches!(&device.back, Some(Progress::Settled(_)))
    };
    devices.filter(|(_, device)| !runs_it(device)).map(|(target, _)| *target).collect()
}

/// Waves like these, for fewer devices.
fn shape(waves: &[u16]) -> Shape {
    let usual = Shape::default();
    let first = waves.first().map_or(usual.first, |first| usize::from(*first));
    let most = waves.iter().max().map_or(usual.most, |most| usize::from(*most));
    let growth = match waves {
        [first, second, ..] => usize::from(second.checked_div(*first).unwrap_or(1)).max(1),
        [] | [_] => usual.growth,
    };
    Shape { canaries: Vec::new(), first, growth, most }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(json: &str) -> RolloutStart {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn what_is_asked_for_becomes_a_request_or_is_refused() {
        let request = |json: &str| asked(json).request(Vec::new(), None);
        let usual = request("{}").unwrap();
        assert_eq!((usual.kind, usual.soak, usual.at_once), (Kind::Provision, Soak::default(), AT_ONCE));
        let dry = request(r#"{"dry_run":true}"#).unwrap();
        assert_eq!((dry.kind, dry.soak.by_health, dry.soak.for_ms), (Kind::DryRun, false, 0));
        assert!(!request(r#"{"kind":"decommission"}"#).unwrap().soak.by_health);
        let own = request(r#"{"soak":{"for_ms":5,"by_health":false},"windows":[{"opens":"tue-02:00","minutes":60}]}"#);
        let own = own.unwrap();
        assert_eq!((own.soak.for_ms, own.windows), (5, vec![Window { opens: 26 * 60, minutes: 60 }]));
        for wrong in [
            r#"{"kind":"network-change"}"#,
            r#"{"kind":"revert"}"#,
            r#"{"generation":4}"#,
            r#"{"kind":"decommission","dry_run":true}"#,
            r#"{"mode":"overwrite"}"#,
            r#"{"canaries":["x y"]}"#,
            r#"{"windows":[{"opens":"noon","minutes":60}]}"#,
            r#"{"trigger":"rollout"}"#,
        ] {
            assert!(request(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_wave_is_watched_for_longer_than_a_word_counts() {
        let ledger = crate::testing::SyntheticLedger::ring(causeway_interface::Platform::Frr);
        let soak = |for_ms, by_health| Soak { for_ms, by_health, ..Soak::default() };
        // 25 slots.
        assert!(check_soak(soak(9_999, true), &ledger.snapshot).is_err());
        assert!(check_soak(soak(10_000, true), &ledger.snapshot).is_ok());
        assert!(check_soak(soak(0, false), &ledger.snapshot).is_ok());
    }

    #[test]
    fn what_is_left_goes_in_waves_of_the_same_sizes() {
        let shape = |waves: &[u16]| {
            let Shape { first, growth, most, .. } = super::shape(waves);
            (first, growth, most)
        };
        assert_eq!(shape(&[1, 4, 16, 3]), (1, 4, 16));
        assert_eq!(shape(&[5]), (5, 4, 5));
        assert_eq!(shape(&[2, 1]), (2, 1, 2));
    }
}
