//! The ledger and the renderer, for jobs.

use std::sync::{Arc, Weak};

use causeway_interface::{Code, DeviceStatus};
use causeway_jobs::{
    adapter::Candidate,
    engine::Source,
    error::{self, StepError, Trouble},
    spec::{Kind, Target, Wanted},
    strategy::PreCheck,
};
use causeway_sdk::snapshot::Snapshot;
use futures::future::BoxFuture;

use super::port;
use crate::{
    http::STALE_MS,
    shared::{Shared, now_ms},
    store::Store,
};

/// The ledger as this controller serves it.
pub struct Ledger {
    shared: Weak<Shared>,
}

impl Ledger {
    /// Of a controller.
    #[must_use]
    pub const fn new(shared: Weak<Shared>) -> Self {
        Self { shared }
    }

    fn shared(&self) -> Result<Arc<Shared>, StepError> {
        self.shared.upgrade().ok_or_else(|| away("the controller stops"))
    }
}

fn away(words: impl Into<String>) -> StepError {
    error::LEDGER_AWAY.transient(Trouble::Network, words)
}

/// Whether a job of a kind makes sense for a device in a status.
#[must_use]
pub fn judge(kind: Kind, status: DeviceStatus, by_jobs: bool) -> PreCheck {
    let refused = |expected: &str, found: String| PreCheck::Refused { expected: expected.to_owned(), found };
    let backwards = match kind {
        Kind::Revert | Kind::Decommission => true,
        Kind::Provision | Kind::DryRun | Kind::NetworkChange => false,
    };
    if backwards && !by_jobs {
        // It would be served what the ledger asks for in the next moment.
        let found = "one that is served continuously what the ledger asks for".to_owned();
        return refused("a device that is provisioned by jobs", found);
    }
    let out_of_service = match status {
        DeviceStatus::Pending => {
            return refused("a device that has been provisioned on the ledger", status.to_string());
        }
        DeviceStatus::Suspended | DeviceStatus::Rejected | DeviceStatus::Deleting | DeviceStatus::Drained => true,
        DeviceStatus::Activated | DeviceStatus::DeviceProvisioning | DeviceStatus::LinkProvisioning => false,
    };
    if kind == Kind::Decommission && !out_of_service {
        return refused("a device that is drained, suspended, rejected or deleting", status.to_string());
    }
    PreCheck::Ready(format!("the ledger has it as {status}"))
}

fn check(shared: &Shared, device: &Code, kind: Kind) -> Result<PreCheck, StepError> {
    let store = shared.store();
    if store.effective().is_none() {
        return Err(away("the ledger has not been read yet"));
    }
    let age_ms = now_ms().saturating_sub(shared.taken_unix_ms());
    if age_ms > STALE_MS {
        return Err(away(format!("the ledger was last taken in {} s ago", age_ms / 1_000)));
    }
    let Some(record) = store.device(device) else {
        return Ok(PreCheck::Refused { expected: "a device of the ledger".to_owned(), found: "none".to_owned() });
    };
    Ok(judge(kind, record.header.status, shared.is_by_jobs(&store, device)))
}

/// What is to be rendered aside, because it takes a while.
enum Rendering {
    Made(Candidate),
    Aside(Arc<Snapshot>, u64),
}

fn failed(words: impl Into<String>) -> StepError {
    error::RENDER_FAILED.critical(Trouble::Validation, words)
}

/// The generation of what a job brings to a device. An agent takes none older than it has had: where jobs provision, that
/// of the ledger as it is, which grows; where the ledger does, the one that is served, so that it stays what is served.
fn generation(shared: &Shared, store: &Store, device: &Code, served: u64) -> u64 {
    if !shared.is_by_jobs(store, device) {
        return served;
    }
    let kept = shared.orders.of(device).kept.map_or(0, |kept| kept.generation);
    store.slot().max(kept).max(served)
}

fn choose(shared: &Shared, target: &Target, wanted: Wanted) -> Result<Rendering, StepError> {
    let store = shared.store();
    let device = &target.device;
    let entry = store.entry(device).ok_or_else(|| failed(format!("the ledger has no device {device}")))?;
    let bundle = match wanted {
        Wanted::Current => {
            if let Some(problem) = &entry.problem {
                return Err(failed(format!("{}: {}", crate::codes::full(problem.code), problem.cause)));
            }
            if let Some(held) = &entry.held {
                let sha256 = hex::encode(held.rendered.sha256);
                return Err(failed(format!("the configuration {sha256} is held for approval")));
            }
            entry.current.as_ref().ok_or_else(|| failed("no configuration has been made yet"))?
        }
        Wanted::Generation(wanted) => {
            entry.generation(wanted).ok_or_else(|| failed(format!("generation {wanted} is not kept")))?
        }
        // The engine takes it from the job that it goes back behind, and asks nobody.
        Wanted::Before(job) => return Err(failed(format!("what ran before {job} is kept with that job alone"))),
        Wanted::Bare => {
            let snapshot = store.effective().ok_or_else(|| away("the ledger has not been read yet"))?;
            return Ok(Rendering::Aside(Arc::clone(snapshot), generation(shared, &store, device, 0)));
        }
    };
    let family = port::family(bundle.family);
    if family != target.family {
        return Err(failed(format!("it is made for {}, and the job is for {}", family.name(), target.family.name())));
    }
    let generation = generation(shared, &store, device, bundle.generation);
    Ok(Rendering::Made(Candidate { generation, family, text: bundle.text.to_string() }))
}

/// The device as one that leaves: management and loopbacks only.
fn bare(shared: &Shared, snapshot: &Snapshot, target: &Target, generation: u64) -> Result<Candidate, StepError> {
    let mut snapshot = snapshot.clone();
    for record in snapshot.devices.values_mut().filter(|record| record.code == target.device) {
        record.header.status = DeviceStatus::Suspended;
    }
    let rendered = shared.settings.renderer.render_of(&snapshot, &target.device, port::platform(target.family));
    let rendered = rendered.map_err(|error| failed(format!("{}: {error}", crate::codes::full(error.code()))))?;
    Ok(Candidate { generation, family: target.family, text: rendered.text.to_string() })
}

impl Source for Ledger {
    fn check<'a>(&'a self, device: &'a Code, kind: Kind) -> BoxFuture<'a, Result<PreCheck, StepError>> {
        Box::pin(async move { check(&*self.shared()?, device, kind) })
    }

    fn render<'a>(&'a self, target: &'a Target, wanted: Wanted) -> BoxFuture<'a, Result<Candidate, StepError>> {
        Box::pin(async move {
            let shared = self.shared()?;
            match choose(&shared, target, wanted)? {
                Rendering::Made(candidate) => Ok(candidate),
                Rendering::Aside(snapshot, generation) => {
                    let target = *target;
                    let made = tokio::task::spawn_blocking(move || bare(&shared, &snapshot, &target, generation));
                    made.await.map_err(|_| failed("the renderer panicked"))?
                }
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_makes_no_sense_is_refused_with_what_was_expected() {
        use DeviceStatus::{Activated, Deleting, Drained, Pending, Suspended};
        for (kind, status, by_jobs, ready) in [
            (Kind::Provision, Activated, false, true),
            (Kind::DryRun, Suspended, false, true),
            (Kind::Provision, Pending, true, false),
            (Kind::DryRun, Pending, false, false),
            (Kind::Revert, Activated, true, true),
            (Kind::Revert, Activated, false, false),
            (Kind::Decommission, Activated, true, false),
            (Kind::Decommission, Drained, true, true),
            (Kind::Decommission, Deleting, true, true),
            (Kind::Decommission, Deleting, false, false),
            (Kind::NetworkChange, Activated, false, true),
        ] {
            let judged = judge(kind, status, by_jobs);
            assert_eq!(matches!(judged, PreCheck::Ready(_)), ready, "{kind:?} {status:?} {by_jobs}: {judged:?}");
        }
    }
}
