//! Which jobs are meant: devices by a list, a location, an exchange, a contributor, and what is to be done with them.

use std::{collections::BTreeSet, sync::Arc};

use axum::http::StatusCode;
use causeway_interface::{Code, Key};
use causeway_jobs::{
    error,
    kinds::Request,
    spec::{Kind, MAX_DEVICES, Mode, Target, Transport, Trigger},
};
use causeway_sdk::snapshot::Snapshot;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{body, refusal, refused};
use crate::{
    http::{
        approvals,
        error::{ApiError, ErrorBody},
        routes::served,
    },
    jobs::{Jobs, port},
    operators,
    shared::Shared,
};

/// Devices for which jobs are started by one call at most. Beyond it a rollout is meant, which goes in waves.
pub const MAX_BULK: usize = 1_000;

/// What becomes of other lines.
pub const MODES: [(&str, Mode); 2] = [("replace", Mode::Replace), ("merge", Mode::Merge)];
/// How devices are reached.
pub const TRANSPORTS: [(&str, Transport); 3] =
    [("agent-pull", Transport::AgentPull), ("eapi-push", Transport::EapiPush), ("in-memory", Transport::InMemory)];
/// Which way a request came in.
pub const TRIGGERS: [(&str, Trigger); 2] = [("http", Trigger::Http), ("cli", Trigger::Cli)];

/// What is to be done, and with which devices. Where several things choose devices, those that all of them choose are meant.
#[derive(Clone, Debug, Default, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct StartRequest {
    /// Codes of devices.
    pub devices: Vec<String>,
    /// Code of a location: the devices that stand there.
    pub location: Option<String>,
    /// Code of an exchange: the devices that belong to it.
    pub exchange: Option<String>,
    /// Code of a contributor: the devices that it brings.
    pub contributor: Option<String>,
    /// "provision" (the default), "revert", "decommission", or "network-change": one job for all devices.
    pub kind: Option<String>,
    /// Only show what would change.
    pub dry_run: bool,
    /// Change something; without it a dry run is meant. True where `dry_run` is not.
    pub commit: Option<bool>,
    /// "replace" (the default) or "merge".
    pub mode: Option<String>,
    /// "agent-pull", "eapi-push" or "in-memory"; by default each device's usual one: "eapi-push" where the controller has an
    /// address for that, else "agent-pull".
    pub transport: Option<String>,
    /// The generation to go back to, of a revert.
    pub generation: Option<u64>,
    /// Who asks, where the token has no name of its own.
    pub actor: Option<String>,
    /// Which way it came in: "http" (the default) or "cli".
    pub trigger: Option<String>,
}

/// A job that was started.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct JobRef {
    /// Its number.
    pub id: i64,
    /// Its devices.
    pub devices: Vec<String>,
    /// It waits for approvals.
    pub waits: bool,
}

/// A device that has no job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Refused {
    /// Its code.
    pub device: String,
    /// Why.
    pub error: ErrorBody,
}

/// What came of a start.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Started {
    /// Jobs that were started.
    pub jobs: Vec<JobRef>,
    /// Devices that have none.
    pub refused: Vec<Refused>,
}

/// A request that can't be meant.
pub fn invalid(cause: impl Into<String>) -> ApiError {
    refusal(StatusCode::BAD_REQUEST, error::INVALID, cause)
}

/// One of a few words, the first where nothing is said.
///
/// # Errors
/// It is none of them.
pub fn one_of<T: Copy>(what: &str, given: Option<&str>, known: &[(&str, T)]) -> Result<T, ApiError> {
    let Some(given) = given else {
        return known.first().map(|(_, first)| *first).ok_or_else(|| invalid(format!("{what} has no values")));
    };
    known.iter().find(|(name, _)| *name == given).map(|(_, value)| *value).ok_or_else(|| {
        let names: Vec<&str> = known.iter().map(|(name, _)| *name).collect();
        invalid(format!("{what} {given:?} is none of {}", names.join(", ")))
    })
}

/// What is asked for, but for its devices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Order {
    kind: Kind,
    mode: Mode,
    /// None for each device's usual one.
    transport: Option<Transport>,
    trigger: Trigger,
}

/// The key of what is named, where something is.
fn find(
    what: &str,
    wanted: Option<&str>,
    mut known: impl Iterator<Item = (Key, Code)>,
) -> Result<Option<Key>, ApiError> {
    let Some(wanted) = wanted else { return Ok(None) };
    let found = known.find(|(_, code)| code.as_str() == wanted).map(|(key, _)| key);
    let cause = || format!("the ledger has no {what} {wanted:?}");
    found.map(Some).ok_or_else(|| refusal(StatusCode::NOT_FOUND, error::INVALID, cause()))
}

impl StartRequest {
    /// What the audit log files it under.
    pub(super) fn subject(&self) -> String {
        self.choice().subject()
    }

    fn order(&self) -> Result<Order, ApiError> {
        let kinds = [
            ("provision", Kind::Provision),
            ("revert", Kind::Revert),
            ("decommission", Kind::Decommission),
            ("network-change", Kind::NetworkChange),
            ("dry-run", Kind::DryRun),
        ];
        let kind = one_of("kind", self.kind.as_deref(), &kinds)?;
        if self.dry_run && self.commit == Some(true) {
            return Err(invalid("dry_run and commit exclude each other"));
        }
        let dry_run = self.dry_run || self.commit == Some(false) || kind == Kind::DryRun;
        let kind = match kind {
            Kind::Provision | Kind::DryRun if dry_run => Kind::DryRun,
            // Of these, too, only the difference to what runs is asked for.
            Kind::Revert if dry_run => Kind::DryRun,
            Kind::Decommission | Kind::NetworkChange if dry_run => {
                return Err(invalid("a dry run is there for provision and revert; start one for each device"));
            }
            kind => kind,
        };
        if (self.generation.is_some(), self.kind.as_deref()) != (true, Some("revert"))
            && (self.generation.is_some() || kind == Kind::Revert)
        {
            return Err(invalid("a revert, and nothing else, names the generation to go back to"));
        }
        Ok(Order {
            kind,
            mode: one_of("mode", self.mode.as_deref(), &MODES)?,
            transport: match self.transport.as_deref() {
                Some(_) => Some(one_of("transport", self.transport.as_deref(), &TRANSPORTS)?),
                None => None,
            },
            trigger: one_of("trigger", self.trigger.as_deref(), &TRIGGERS)?,
        })
    }

    fn choice(&self) -> Choice<'_> {
        Choice {
            devices: &self.devices,
            location: self.location.as_deref(),
            exchange: self.exchange.as_deref(),
            contributor: self.contributor.as_deref(),
        }
    }
}

/// What chooses devices: those that all of it chooses are meant.
#[derive(Clone, Copy, Debug)]
pub struct Choice<'a> {
    /// Codes.
    pub devices: &'a [String],
    /// Code of a location.
    pub location: Option<&'a str>,
    /// Code of an exchange.
    pub exchange: Option<&'a str>,
    /// Code of a contributor.
    pub contributor: Option<&'a str>,
}

impl Choice<'_> {
    /// What the audit log files it under: the device, or what chooses several.
    pub fn subject(&self) -> String {
        match (self.devices, [self.location, self.exchange, self.contributor].into_iter().flatten().next()) {
            ([one], None) => one.clone(),
            ([], Some(chosen)) => chosen.to_owned(),
            (_, _) => "several".to_owned(),
        }
    }

    /// The devices that are meant, at most so many.
    ///
    /// # Errors
    /// Nothing or nobody is named, or the ledger has none of it.
    pub fn choose(&self, snapshot: &Snapshot, most: usize) -> Result<BTreeSet<Code>, ApiError> {
        let nothing = self.devices.is_empty()
            && [self.location, self.exchange, self.contributor].into_iter().all(|chosen| chosen.is_none());
        if nothing {
            return Err(invalid("no device is named: give devices, location, exchange or contributor"));
        }
        let locations = snapshot.locations.iter().map(|(key, record)| (*key, record.code));
        let exchanges = snapshot.exchanges.iter().map(|(key, record)| (*key, record.code));
        let contributors = snapshot.contributors.iter().map(|(key, record)| (*key, record.code));
        let location = find("location", self.location, locations)?;
        let exchange = find("exchange", self.exchange, exchanges)?;
        let contributor = find("contributor", self.contributor, contributors)?;
        let known: BTreeSet<&str> = snapshot.devices.values().map(|record| record.code.as_str()).collect();
        if let Some(unknown) = self.devices.iter().find(|code| !known.contains(code.as_str())) {
            return Err(ApiError::unknown_device(unknown));
        }
        let named: BTreeSet<&str> = self.devices.iter().map(String::as_str).collect();
        let meant = snapshot.devices.values().filter(|record| {
            (named.is_empty() || named.contains(record.code.as_str()))
                && location.is_none_or(|key| record.location == key)
                && exchange.is_none_or(|key| record.exchange == key)
                && contributor.is_none_or(|key| record.contributor == key)
        });
        let meant: BTreeSet<Code> = meant.map(|record| record.code).filter(Code::is_valid).collect();
        match meant.len() {
            0 => Err(invalid("no device is all of what was asked for")),
            found if found <= most => Ok(meant),
            more => {
                Err(invalid(format!("{more} devices are more than {most}; jobs are for few, a rollout goes in waves")))
            }
        }
    }
}

/// The device as a job's target, by the family of what it is served.
pub fn target(shared: &Shared, device: Code, transport: Option<Transport>) -> Option<Target> {
    let transport = transport.unwrap_or_else(|| port::usual(shared, &device));
    let store = shared.store();
    let served = store.entry(&device).and_then(|entry| entry.current.as_ref()).map(|bundle| bundle.family);
    let family = served.or_else(|| store.device(&device).map(|record| record.platform))?;
    Some(Target { device, family: port::family(family), transport })
}

/// Starts what is asked for.
///
/// # Errors
/// What is asked for can't be meant, or nothing of it could be started.
pub async fn started(
    shared: &Shared,
    jobs: &Jobs,
    asked: &StartRequest,
    proposer: Option<Key>,
) -> Result<Started, ApiError> {
    let order = asked.order()?;
    let snapshot: Arc<Snapshot> = served(&shared.store())?.clone();
    let devices = asked.choice().choose(&snapshot, MAX_BULK)?;
    drop(snapshot);
    let targets: Vec<Target> =
        devices.into_iter().filter_map(|device| target(shared, device, order.transport)).collect();
    let together = order.kind == Kind::NetworkChange;
    if together && targets.len() > MAX_DEVICES {
        return Err(invalid(format!("a change of the network is for at most {MAX_DEVICES} devices")));
    }
    let groups: Vec<Vec<Target>> =
        if together { vec![targets] } else { targets.into_iter().map(|target| vec![target]).collect() };
    let mut came = Started { jobs: Vec::new(), refused: Vec::new() };
    let mut first = None;
    for targets in groups {
        let names: Vec<String> = targets.iter().map(|target| target.device.to_string()).collect();
        let request = Request {
            kind: order.kind,
            targets,
            generation: asked.generation,
            mode: order.mode,
            trigger: order.trigger,
            actor: asked.actor.clone().unwrap_or_else(|| operators::ALONE.to_owned()),
            parent: None,
        };
        match jobs.desk.propose(&request, proposer, None).await {
            Ok(id) => {
                let waits = approvals::announce_job(shared, jobs, id).await;
                tracing::info!(job = %id, kind = order.kind.name(), actor = request.actor, devices = ?names, "job started");
                came.jobs.push(JobRef { id: id.0, devices: names, waits });
            }
            Err(error) => {
                let (status, error) = refused(&error);
                first.get_or_insert_with(|| (status, error.clone()));
                let refused = names.into_iter().map(|device| Refused { device, error: error.clone() });
                came.refused.extend(refused);
            }
        }
    }
    match first {
        Some((status, error)) if came.jobs.is_empty() => Err(ApiError::with(status, error)),
        Some(_) | None if came.jobs.is_empty() => {
            let cause = "no device that was chosen can have a job";
            Err(ApiError::with(StatusCode::BAD_REQUEST, body(error::INVALID, cause)))
        }
        Some(_) | None => Ok(came),
    }
}

#[cfg(test)]
mod tests {
    use causeway_interface::Platform;

    use super::*;
    use crate::testing::SyntheticLedger;

    fn asked(json: &str) -> StartRequest {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn a_dry_run_is_what_changes_nothing_however_it_is_asked_for() {
        let kind = |json| asked(json).order().map(|order| order.kind).ok();
        assert_eq!(kind("{}"), Some(Kind::Provision));
        assert_eq!(kind(r#"{"dry_run":true}"#), Some(Kind::DryRun));
        assert_eq!(kind(r#"{"commit":false}"#), Some(Kind::DryRun));
        assert_eq!(kind(r#"{"commit":true,"kind":"network-change"}"#), Some(Kind::NetworkChange));
        assert_eq!(kind(r#"{"kind":"revert","generation":5}"#), Some(Kind::Revert));
        assert_eq!(kind(r#"{"kind":"revert","generation":5,"dry_run":true}"#), Some(Kind::DryRun));
        for wrong in [
            r#"{"dry_run":true,"commit":true}"#,
            r#"{"kind":"reboot"}"#,
            r#"{"kind":"revert"}"#,
            r#"{"generation":5}"#,
            r#"{"mode":"overwrite"}"#,
            r#"{"transport":"carrier-pigeon"}"#,
            r#"{"kind":"network-change","dry_run":true}"#,
        ] {
            assert_eq!(kind(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn devices_are_those_that_everything_chooses() {
        let ledger = SyntheticLedger::ring(Platform::Frr);
        let chosen = |json| {
            let chosen = asked(json).choice().choose(&ledger.snapshot, MAX_BULK);
            chosen.map(|codes| codes.iter().map(ToString::to_string).collect::<Vec<_>>()).ok()
        };
        assert_eq!(chosen(r#"{"devices":["fra","ams","fra"]}"#).unwrap(), ["ams", "fra"]);
        assert_eq!(chosen(r#"{"contributor":"co"}"#).unwrap().len(), 4);
        assert_eq!(chosen(r#"{"exchange":"ex","devices":["ams"]}"#).unwrap(), ["ams"]);
        for nobody in
            [r#"{}"#, r#"{"devices":["nowhere"]}"#, r#"{"location":"nowhere"}"#, r#"{"devices":["ams","x y"]}"#]
        {
            assert_eq!(chosen(nobody), None, "{nobody}");
        }
    }
}
