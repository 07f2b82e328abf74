//! What a person is told of a rollout. Pure.

use super::{
    event::{Cause, End},
    state::{Phase, Rollout},
};
use crate::{
    error::{self, ErrorKind},
    spec::Kind,
    status::JobStatus,
    store::Summary,
};

/// What exactly a rollout is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RolloutState {
    /// Somebody has to agree first.
    WaitingForApproval,
    /// No controller has taken it yet.
    Queued,
    /// No further device is begun, because somebody said so.
    Paused,
    /// A wave is under way, or waits for its window, its budget or its devices.
    Running,
    /// A wave is watched.
    Soaking,
    /// The wave goes back.
    RollingBack,
    /// Every device runs what was asked.
    Done,
    /// The wave that failed runs what it ran; those before it stay.
    RolledBack,
    /// The same, because somebody asked for it.
    Cancelled,
    /// Devices could not be brought back.
    RollbackFailed,
}

impl RolloutState {
    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::WaitingForApproval => "WAITING_FOR_APPROVAL",
            Self::Queued => "QUEUED",
            Self::Paused => "PAUSED",
            Self::Running => "RUNNING",
            Self::Soaking => "SOAKING",
            Self::RollingBack => "ROLLING_BACK",
            Self::Done => "DONE",
            Self::RolledBack => "ROLLED_BACK",
            Self::Cancelled => "CANCELLED",
            Self::RollbackFailed => "ROLLBACK_FAILED",
        }
    }
}

impl Rollout {
    /// Its status, in the words of a job.
    #[must_use]
    pub fn status(&self) -> JobStatus {
        match &self.phase {
            Phase::Forward if self.holder.is_none() => JobStatus::NotProvisioned,
            Phase::Forward | Phase::Back(_) => JobStatus::Provisioning,
            Phase::Ended(End::Done) if self.spec.kind == Kind::DryRun => JobStatus::NotProvisioned,
            Phase::Ended(End::Done) => JobStatus::Provisioned,
            Phase::Ended(End::Back(Cause::Cancelled { .. })) if self.wave > 0 => JobStatus::Partial,
            Phase::Ended(End::Back(Cause::Cancelled { .. })) => JobStatus::NotProvisioned,
            Phase::Ended(End::Back(Cause::Failed(_) | Cause::Unhealthy(_)) | End::Stuck { .. }) => JobStatus::Failed,
        }
    }

    /// What exactly it is at.
    #[must_use]
    pub fn state(&self) -> RolloutState {
        match &self.phase {
            Phase::Forward if !self.is_approved() => RolloutState::WaitingForApproval,
            Phase::Forward => match (&self.paused, &self.holder, &self.soaking) {
                (Some(_), _, _) => RolloutState::Paused,
                (None, None, _) => RolloutState::Queued,
                (None, Some(_), Some(_)) => RolloutState::Soaking,
                (None, Some(_), None) => RolloutState::Running,
            },
            Phase::Back(_) => RolloutState::RollingBack,
            Phase::Ended(End::Done) => RolloutState::Done,
            Phase::Ended(End::Back(Cause::Cancelled { .. })) => RolloutState::Cancelled,
            Phase::Ended(End::Back(Cause::Failed(_) | Cause::Unhealthy(_))) => RolloutState::RolledBack,
            Phase::Ended(End::Stuck { .. }) => RolloutState::RollbackFailed,
        }
    }

    /// How many of a hundred of its devices run what was asked.
    #[must_use]
    pub fn percent(&self) -> u8 {
        let done = self.devices.iter().filter(|device| device.forward.is_done() && device.back.is_none()).count();
        u8::try_from((done * 100).checked_div(self.devices.len()).unwrap_or(100)).unwrap_or(100)
    }

    /// What is wrong with it, where it ended badly.
    #[must_use]
    pub const fn trouble(&self) -> Option<ErrorKind> {
        match &self.phase {
            Phase::Ended(End::Stuck { .. }) => Some(error::ROLLOUT_STUCK),
            Phase::Ended(End::Back(Cause::Unhealthy(_))) => Some(error::ROLLOUT_UNHEALTHY),
            Phase::Ended(End::Done | End::Back(Cause::Failed(_) | Cause::Cancelled { .. }))
            | Phase::Forward
            | Phase::Back(_) => None,
        }
    }

    /// What is found of it without reading its events.
    #[must_use]
    pub fn summary(&self) -> Summary {
        let open = !matches!(self.phase, Phase::Ended(_));
        Summary {
            status: self.status().name().to_owned(),
            state: self.state().name().to_owned(),
            percent: self.percent(),
            holds: open,
            runnable: open && (self.is_approved() || self.cancel.is_some()),
        }
    }
}
