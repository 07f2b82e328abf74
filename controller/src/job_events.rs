//! What happens to jobs, as events of the controller: an observer of a runner, or of whoever reads a store's feed.

use std::sync::{Arc, Weak};

use causeway_interface::Key;
use causeway_jobs::{
    Job,
    approval::{Approvals, Role},
    event::{Event, Recorded, StepResult},
    rollout::{self, Rollout},
    runner::{Observer, RunError},
    spec::{JobId, StepIndex},
    status::correlation,
};

use crate::{
    events::{Change, StepChange},
    shared::Shared,
};

/// Tells a controller's readers of every event of a job.
pub struct JobEvents {
    shared: Weak<Shared>,
}

impl JobEvents {
    /// To the readers of this controller. It does not keep the controller alive.
    #[must_use]
    pub fn new(shared: &Arc<Shared>) -> Self {
        Self { shared: Arc::downgrade(shared) }
    }
}

impl Observer for JobEvents {
    fn recorded(&self, job: &Job, event: &Recorded) {
        if let Some(shared) = self.shared.upgrade() {
            shared.happened(changes(job, event));
        }
    }

    fn rollout_recorded(&self, rollout: &Rollout, event: &rollout::Recorded) {
        if let Some(shared) = self.shared.upgrade() {
            shared.happened(rollout_changes(rollout, &event.event));
        }
    }

    /// A job that this runner let go of goes on elsewhere, and is told of from there.
    fn left(&self, _: JobId, _: &RunError) {}
}

/// What there is to tell of an event; `job` is as it left it.
#[must_use]
pub fn changes(job: &Job, recorded: &Recorded) -> Vec<Change> {
    match &recorded.event {
        Event::StepBegan { step, attempt } => step_change(job, *step, false, *attempt, ("began", None)),
        Event::StepEnded { step, attempt, result } => step_change(job, *step, false, *attempt, told(result)),
        Event::UndoBegan { step, attempt } => step_change(job, *step, true, *attempt, ("began", None)),
        Event::UndoEnded { step, attempt, result } => step_change(job, *step, true, *attempt, told(result)),
        Event::Skipped { step, .. } => step_change(job, *step, false, 0, ("skipped", None)),
        Event::Started(_)
        | Event::Claimed { .. }
        | Event::BackBegan(_)
        | Event::CancelRequested { .. }
        | Event::Held { .. }
        | Event::Released { .. }
        | Event::Approved { .. }
        | Event::GlassBroken { .. }
        | Event::RetryRequested { .. }
        | Event::Ended(_) => vec![of_job(job)],
    }
}

/// The same of a rollout. Its devices' jobs tell of themselves.
#[must_use]
pub fn rollout_changes(rollout: &Rollout, event: &rollout::Event) -> Vec<Change> {
    use rollout::Event as E;
    match event {
        // What was looked at and found as before is no news, nor is which job it is that was begun.
        E::Made { .. } | E::Deferred { .. } | E::Looked { .. } => Vec::new(),
        E::Started(_)
        | E::Claimed { .. }
        | E::Began { .. }
        | E::Settled { .. }
        | E::SoakBegan
        | E::WaveEnded
        | E::BackBegan(_)
        | E::Paused { .. }
        | E::Resumed { .. }
        | E::CancelRequested { .. }
        | E::Approved { .. }
        | E::GlassBroken { .. }
        | E::Ended(_) => vec![Change::Rollout {
            rollout: rollout.id.0,
            rollout_kind: rollout.spec.kind.name().to_owned(),
            status: rollout.status().name().to_owned(),
            state: rollout.state().name().to_owned(),
            percent: rollout.percent(),
            wave: rollout.wave.saturating_add(1),
            waves: u16::try_from(rollout.spec.waves.len()).unwrap_or(u16::MAX),
            devices: u32::try_from(rollout.spec.targets.len()).unwrap_or(u32::MAX),
            what: event.name().to_owned(),
        }],
    }
}

/// What somebody did about the approvals of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// It was proposed, and waits.
    Waits,
    /// Somebody agreed.
    Approved,
    /// Somebody did without.
    GlassBroken,
}

/// What there is to tell of it: of whose key, which the approvals know the role of.
#[must_use]
pub fn approval_change(job: JobId, is_rollout: bool, approvals: &Approvals, act: Act, key: Key) -> Change {
    let (name, role) = match act {
        Act::Waits => ("waits", None),
        Act::Approved => ("approved", approvals.given.get(&key).copied()),
        Act::GlassBroken => ("glass-broken", approvals.glass.as_ref().map(|glass| glass.role)),
    };
    let given = u8::try_from(approvals.given.len()).unwrap_or(u8::MAX);
    let missing = if approvals.is_complete() { 0 } else { approvals.need.approvals.saturating_sub(given) };
    Change::Approval {
        job: job.0,
        is_rollout,
        act: name.to_owned(),
        key: key.to_string(),
        role: role.map(Role::name).unwrap_or_default().to_owned(),
        missing,
    }
}

fn of_job(job: &Job) -> Change {
    let device = match job.spec.targets.as_slice() {
        [one] => Some(one.device),
        _ => None,
    };
    Change::Job {
        job: job.id.0,
        job_kind: job.spec.kind.name().to_owned(),
        status: job.status().name().to_owned(),
        state: job.state().name().to_owned(),
        percent: job.percent(),
        device,
        devices: u32::try_from(job.spec.targets.len()).unwrap_or(u32::MAX),
    }
}

/// How a try ended, and its error's code and words or what else it said.
fn told(result: &StepResult) -> (&'static str, Option<(String, String)>) {
    match result {
        StepResult::Done { already, message, .. } => {
            (if *already { "already" } else { "done" }, Some((String::new(), message.clone())))
        }
        StepResult::Failed(error) => ("failed", Some((error.code.clone(), error.message.clone()))),
        StepResult::Stopped => ("stopped", None),
    }
}

fn step_change(
    job: &Job,
    step: StepIndex,
    undo: bool,
    attempt: u16,
    (status, words): (&'static str, Option<(String, String)>),
) -> Vec<Change> {
    // An event of a step that the job does not have makes no job.
    let Some(spec) = job.spec.steps.get(usize::from(step)) else { return Vec::new() };
    let verb = if undo { spec.undo.as_ref().map_or(spec.verb, |undo| undo.verb) } else { spec.verb };
    let (error_code, message) = words.unwrap_or_default();
    let change = StepChange {
        step,
        verb: verb.name().to_owned(),
        undo,
        attempt,
        status: status.to_owned(),
        error_code,
        message,
    };
    let correlation = correlation(job.id, job.round, step, undo, attempt);
    vec![Change::JobStep { job: job.id.0, device: spec.device, step: change.cut(), correlation }]
}

#[cfg(test)]
mod tests {
    use causeway_jobs::{
        event::Facts,
        kinds::{self, Policy, Request},
        spec::{Family, Kind, Mode, Target, Transport, Trigger},
    };

    use super::*;

    fn started(kind: Kind, devices: &[&str]) -> (Job, Recorded) {
        let target = |code: &&str| Target {
            device: code.parse().unwrap(),
            family: Family::Frr,
            transport: Transport::AgentPull,
        };
        let request = Request {
            kind,
            targets: devices.iter().map(target).collect(),
            generation: None,
            mode: Mode::Replace,
            trigger: Trigger::Http,
            actor: "anna".into(),
            parent: None,
        };
        let spec = kinds::job(&request, &Policy::default());
        let first = Recorded { at_ms: 1, event: Event::Started(Box::new(spec)) };
        (Job::fold(JobId(42), std::slice::from_ref(&first)).unwrap(), first)
    }

    fn after(job: &mut Job, event: Event) -> Vec<Change> {
        let recorded = Recorded { at_ms: 2, event };
        job.apply(&recorded).unwrap();
        changes(job, &recorded)
    }

    #[test]
    fn a_job_and_each_try_of_its_steps_are_told() {
        let (mut job, first) = started(Kind::Provision, &["ams"]);
        let [Change::Job { job: 42, job_kind, status, percent: 0, device: Some(_), devices: 1, .. }] =
            &changes(&job, &first)[..]
        else {
            panic!("{:?}", changes(&job, &first))
        };
        assert_eq!((job_kind.as_str(), status.as_str()), ("provision", "NOT_PROVISIONED"));
        let claimed = after(&mut job, Event::Claimed { holder: "a".into(), token: 1 });
        assert!(matches!(&claimed[..], [Change::Job { state, .. }] if state == "RUNNING"), "{claimed:?}");
        let began = after(&mut job, Event::StepBegan { step: 0, attempt: 1 });
        let [Change::JobStep { job: 42, step, correlation, .. }] = &began[..] else { panic!("{began:?}") };
        assert_eq!((step.verb.as_str(), step.status.as_str()), ("check-ledger", "began"));
        assert_eq!(correlation, "job42-r1-s0-t1");
        let done = StepResult::Done { already: false, message: "it is activated".into(), facts: Facts::default() };
        let ended = after(&mut job, Event::StepEnded { step: 0, attempt: 1, result: done });
        let [Change::JobStep { step, .. }] = &ended[..] else { panic!("{ended:?}") };
        assert_eq!(
            (step.status.as_str(), step.message.as_str(), step.error_code.as_str()),
            ("done", "it is activated", "")
        );
        after(&mut job, Event::StepBegan { step: 1, attempt: 1 });
        let error =
            causeway_jobs::error::UNREACHABLE.transient(causeway_jobs::error::Trouble::Device, "x".repeat(2_000));
        let failed = after(&mut job, Event::StepEnded { step: 1, attempt: 1, result: StepResult::Failed(error) });
        let [Change::JobStep { step, .. }] = &failed[..] else { panic!("{failed:?}") };
        assert_eq!((step.status.as_str(), step.error_code.as_str()), ("failed", "CW-JOB-UNREACHABLE"));
        assert_eq!(step.message.len(), crate::events::MAX_STEP_MESSAGE);
    }

    #[test]
    fn of_several_devices_the_number_is_told() {
        let (job, first) = started(Kind::NetworkChange, &["ams", "fra", "lon"]);
        assert!(matches!(&changes(&job, &first)[..], [Change::Job { device: None, devices: 3, .. }]));
    }
}
