//! What a person is told of a job: its status, its state in more detail, and how far it is. Pure.

use std::collections::BTreeSet;

use causeway_interface::Code;

use crate::{
    error::Trouble,
    event::{Cause, End},
    job::{Job, Phase, StepStatus},
    spec::{Kind, StepIndex, Transport, Verb},
};

/// The status of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum JobStatus {
    /// Nothing was changed: not begun, only looked, or cancelled and taken back.
    NotProvisioned,
    /// Under way.
    Provisioning,
    /// The device runs what was asked.
    Provisioned,
    /// It does not.
    Failed,
    /// It does, and something beside it failed.
    Partial,
}

impl JobStatus {
    /// Every status.
    pub const ALL: [Self; 5] =
        [Self::NotProvisioned, Self::Provisioning, Self::Provisioned, Self::Failed, Self::Partial];

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::NotProvisioned => "NOT_PROVISIONED",
            Self::Provisioning => "PROVISIONING",
            Self::Provisioned => "PROVISIONED",
            Self::Failed => "FAILED",
            Self::Partial => "PARTIAL",
        }
    }
}

/// What exactly a job is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// No controller has taken it yet.
    Queued,
    /// Somebody has to agree first.
    WaitingForApproval,
    /// A step runs.
    Running,
    /// It waits for the ledger or the store.
    PendingNetwork,
    /// It waits for a device.
    WaitingForDevice,
    /// It is held.
    Held,
    /// It was cancelled and is about to go back.
    Cancelling,
    /// It goes back.
    RollingBack,
    /// Done.
    Done,
    /// Done but for steps that are not critical.
    DonePartly,
    /// What was asked was refused; nothing had been changed, or it was taken back.
    FailedValidation,
    /// A step failed; every device runs what it ran.
    RolledBack,
    /// Cancelled; every device runs what it ran.
    Cancelled,
    /// What the device runs is not known.
    RollbackFailed,
    /// The same, of several devices.
    Inconsistent,
}

impl State {
    /// Every state.
    pub const ALL: [Self; 15] = [
        Self::Queued,
        Self::WaitingForApproval,
        Self::Running,
        Self::PendingNetwork,
        Self::WaitingForDevice,
        Self::Held,
        Self::Cancelling,
        Self::RollingBack,
        Self::Done,
        Self::DonePartly,
        Self::FailedValidation,
        Self::RolledBack,
        Self::Cancelled,
        Self::RollbackFailed,
        Self::Inconsistent,
    ];

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Queued => "QUEUED",
            Self::WaitingForApproval => "WAITING_FOR_APPROVAL",
            Self::Running => "RUNNING",
            Self::PendingNetwork => "PENDING_NETWORK",
            Self::WaitingForDevice => "WAITING_FOR_DEVICE",
            Self::Held => "HELD",
            Self::Cancelling => "CANCELLING",
            Self::RollingBack => "ROLLING_BACK",
            Self::Done => "DONE",
            Self::DonePartly => "DONE_PARTLY",
            Self::FailedValidation => "FAILED_VALIDATION",
            Self::RolledBack => "ROLLED_BACK",
            Self::Cancelled => "CANCELLED",
            Self::RollbackFailed => "ROLLBACK_FAILED",
            Self::Inconsistent => "INCONSISTENT",
        }
    }

    /// Whether a person has to look now: a device may run what nobody asked for.
    #[must_use]
    pub const fn alerts(self) -> bool {
        match self {
            Self::RollbackFailed | Self::Inconsistent => true,
            Self::Queued
            | Self::WaitingForApproval
            | Self::Running
            | Self::PendingNetwork
            | Self::WaitingForDevice
            | Self::Held
            | Self::Cancelling
            | Self::RollingBack
            | Self::Done
            | Self::DonePartly
            | Self::FailedValidation
            | Self::RolledBack
            | Self::Cancelled => false,
        }
    }
}

impl Job {
    /// Its status.
    #[must_use]
    pub fn status(&self) -> JobStatus {
        match &self.phase {
            Phase::Forward if self.holder.is_none() && self.round == 1 => JobStatus::NotProvisioned,
            Phase::Forward | Phase::Back(_) => JobStatus::Provisioning,
            Phase::Ended(End::Done) if self.spec.kind == Kind::DryRun => JobStatus::NotProvisioned,
            Phase::Ended(End::Done) => JobStatus::Provisioned,
            Phase::Ended(End::Partly(_)) => JobStatus::Partial,
            Phase::Ended(End::Back(Cause::Cancelled { .. })) => JobStatus::NotProvisioned,
            Phase::Ended(End::Back(Cause::Failed(_)) | End::Stuck { .. }) => JobStatus::Failed,
        }
    }

    /// What exactly it is at.
    #[must_use]
    pub fn state(&self) -> State {
        match &self.phase {
            Phase::Forward if self.cancel.is_some() => State::Cancelling,
            Phase::Forward if !self.is_approved() => State::WaitingForApproval,
            Phase::Forward if self.held.is_some() => State::Held,
            Phase::Forward if self.holder.is_none() => State::Queued,
            Phase::Forward => self.waits_for(),
            Phase::Back(_) => State::RollingBack,
            Phase::Ended(End::Done) => State::Done,
            Phase::Ended(End::Partly(_)) => State::DonePartly,
            Phase::Ended(End::Back(Cause::Cancelled { .. })) => State::Cancelled,
            Phase::Ended(End::Back(Cause::Failed(steps))) => {
                let refused = steps.iter().any(|step| self.trouble(*step) == Some(Trouble::Validation));
                if refused { State::FailedValidation } else { State::RolledBack }
            }
            Phase::Ended(End::Stuck { .. }) if self.spec.targets.len() > 1 => State::Inconsistent,
            Phase::Ended(End::Stuck { .. }) => State::RollbackFailed,
        }
    }

    fn trouble(&self, step: StepIndex) -> Option<Trouble> {
        Some(self.steps.get(usize::from(step))?.forward.error.as_ref()?.trouble)
    }

    /// What keeps the steps that are under way, where something does.
    fn waits_for(&self) -> State {
        let mut state = State::Running;
        for (step, spec) in self.steps.iter().zip(&self.spec.steps) {
            let pulls = || self.spec.target(&spec.device).is_some_and(|t| t.transport == Transport::AgentPull);
            match (step.forward.status, &step.forward.error) {
                (StepStatus::Running, _) if spec.verb == Verb::Commit && pulls() => return State::WaitingForDevice,
                (StepStatus::Failed, Some(error)) if step.may_retry(spec) => match error.trouble {
                    Trouble::Device => return State::WaitingForDevice,
                    Trouble::Network => state = State::PendingNetwork,
                    Trouble::Validation | Trouble::Other => {}
                },
                (
                    StepStatus::Pending
                    | StepStatus::Running
                    | StepStatus::Interrupted
                    | StepStatus::Done
                    | StepStatus::Already
                    | StepStatus::Failed
                    | StepStatus::Skipped
                    | StepStatus::Stopped,
                    _,
                ) => {}
            }
        }
        state
    }

    /// How many of a hundred parts of the steps that count are settled.
    #[must_use]
    pub fn percent(&self) -> u8 {
        let counting = self.steps.iter().zip(&self.spec.steps).filter(|(_, spec)| spec.counts);
        let (all, settled) =
            counting.fold((0_usize, 0_usize), |(a, s), (step, spec)| (a + 1, s + usize::from(step.is_settled(spec))));
        u8::try_from((settled * 100).checked_div(all).unwrap_or(100)).unwrap_or(100)
    }

    /// Devices of which it is not known what they run.
    #[must_use]
    pub fn stuck_devices(&self) -> BTreeSet<Code> {
        let Phase::Ended(End::Stuck { steps, .. }) = &self.phase else { return BTreeSet::new() };
        steps.iter().filter_map(|step| self.spec.steps.get(usize::from(*step))).map(|spec| spec.device).collect()
    }

    /// Whether its devices are its own: until it has ended. Also a rollback that failed is an end, so that another job can
    /// mend what it left.
    #[must_use]
    pub const fn holds_devices(&self) -> bool {
        match self.phase {
            Phase::Forward | Phase::Back(_) => true,
            Phase::Ended(_) => false,
        }
    }

    /// Whether a controller has something to do with it.
    #[must_use]
    pub fn is_runnable(&self) -> bool {
        match self.phase {
            Phase::Forward => (self.held.is_none() && self.is_approved()) || self.cancel.is_some(),
            Phase::Back(_) => true,
            Phase::Ended(_) => false,
        }
    }
}

/// The id under which one try of a step is found in logs, metrics and reports: unique in a store, and made of what
/// everybody has who knows the job.
#[must_use]
pub fn correlation(job: crate::spec::JobId, round: u32, step: StepIndex, undo: bool, attempt: u16) -> String {
    format!("job{job}-r{round}-{}{step}-t{attempt}", if undo { "u" } else { "s" })
}
