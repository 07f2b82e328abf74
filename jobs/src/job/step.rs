//! A step's progress: tries, how they ended, and when the next one is due. Pure.

use crate::{
    error::{Class, StepError, Trouble},
    event::{Facts, StepResult},
    spec::{Criticality, StepSpec},
};

/// How often a step may be begun by a controller that then dies, before nobody begins it again.
pub const MAX_INTERRUPTIONS: u16 = 8;

/// How far a step, or the undoing of one, has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StepStatus {
    /// Not begun.
    Pending,
    /// Begun and not ended.
    Running,
    /// Begun by a controller that died or lost the job; to be done again.
    Interrupted,
    /// Done.
    Done,
    /// It was so before.
    Already,
    /// The last try failed; [`Step::may_retry`] says whether there are more.
    Failed,
    /// Left out.
    Skipped,
    /// Stopped, because the job was cancelled.
    Stopped,
}

impl StepStatus {
    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Interrupted => "interrupted",
            Self::Done => "done",
            Self::Already => "already",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
            Self::Stopped => "stopped",
        }
    }
}

/// A step, or the undoing of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    /// How far.
    pub status: StepStatus,
    /// Tries in this round, those that were cut off included.
    pub attempts: u16,
    /// Of them, those that were cut off by the controller's end.
    pub interruptions: u16,
    /// Words of the last try.
    pub message: String,
    /// When it first began in this round.
    pub began_ms: Option<u64>,
    /// When the last try ended.
    pub ended_ms: Option<u64>,
    /// Why the last try failed.
    pub error: Option<StepError>,
    /// What it found out.
    pub facts: Facts,
}

impl Progress {
    pub(super) fn new() -> Self {
        Self {
            status: StepStatus::Pending,
            attempts: 0,
            interruptions: 0,
            message: String::new(),
            began_ms: None,
            ended_ms: None,
            error: None,
            facts: Facts::default(),
        }
    }

    /// From the first try to the end of the last.
    #[must_use]
    pub fn took_ms(&self) -> Option<u64> {
        Some(self.ended_ms?.saturating_sub(self.began_ms?))
    }

    /// When it may be tried, given the waits between tries: now, later, or never again.
    #[must_use]
    pub fn due(&self, retry_ms: &[u64]) -> Due {
        self.due_if(retry_ms, self.error.as_ref().is_some_and(is_worth_trying))
    }

    /// The same of undoing: whatever the error was, the device goes back by itself in the end, and is asked once more then.
    #[must_use]
    pub fn undo_due(&self, retry_ms: &[u64]) -> Due {
        self.due_if(retry_ms, true)
    }

    fn due_if(&self, retry_ms: &[u64], again: bool) -> Due {
        match self.status {
            StepStatus::Pending => Due::At(0),
            StepStatus::Interrupted if self.interruptions >= MAX_INTERRUPTIONS => Due::Never,
            StepStatus::Interrupted => Due::At(0),
            StepStatus::Failed => {
                let failed = usize::from(self.attempts.saturating_sub(self.interruptions));
                let wait = failed.checked_sub(1).and_then(|tries| retry_ms.get(tries)).filter(|_| again);
                wait.map_or(Due::Never, |wait| Due::At(self.ended_ms.unwrap_or(0).saturating_add(*wait)))
            }
            StepStatus::Running
            | StepStatus::Done
            | StepStatus::Already
            | StepStatus::Skipped
            | StepStatus::Stopped => Due::Never,
        }
    }

    pub(super) fn begin(&mut self, attempt: u16, at_ms: u64, due: Due) -> Result<(), &'static str> {
        if due == Due::Never {
            return Err("a step begins that is not due");
        }
        if attempt != self.attempts.saturating_add(1) {
            return Err("a try has another number than the next");
        }
        (self.status, self.attempts) = (StepStatus::Running, attempt);
        self.began_ms.get_or_insert(at_ms);
        Ok(())
    }

    pub(super) fn end(&mut self, attempt: u16, at_ms: u64, result: &StepResult) -> Result<(), &'static str> {
        let given_up = self.status == StepStatus::Interrupted && matches!(result, StepResult::Failed(_));
        if self.status != StepStatus::Running && !given_up {
            return Err("a step ends that does not run");
        }
        if attempt != self.attempts {
            return Err("another try ends than runs");
        }
        self.ended_ms = Some(at_ms);
        match result {
            StepResult::Done { already, message, facts } => {
                self.status = if *already { StepStatus::Already } else { StepStatus::Done };
                (self.error, self.facts) = (None, facts.clone());
                self.message.clone_from(message);
            }
            StepResult::Failed(error) => {
                self.status = StepStatus::Failed;
                self.message.clone_from(&error.message);
                self.error = Some(error.clone());
            }
            StepResult::Stopped => self.status = StepStatus::Stopped,
        }
        Ok(())
    }

    pub(super) fn interrupt(&mut self) {
        if self.status == StepStatus::Running {
            self.status = StepStatus::Interrupted;
            self.interruptions = self.interruptions.saturating_add(1);
        }
    }

    /// Done, or so before, or left out.
    #[must_use]
    pub const fn is_good(&self) -> bool {
        match self.status {
            StepStatus::Done | StepStatus::Already | StepStatus::Skipped => true,
            StepStatus::Pending
            | StepStatus::Running
            | StepStatus::Interrupted
            | StepStatus::Failed
            | StepStatus::Stopped => false,
        }
    }
}

/// Whether a further try may mend it. A harmless failure is tried again as well where the device or the way to it was at
/// fault.
const fn is_worth_trying(error: &StepError) -> bool {
    match (error.class, error.trouble) {
        (Class::Transient, _) | (Class::NonCritical, Trouble::Network | Trouble::Device) => true,
        (Class::Critical, _) | (Class::NonCritical, Trouble::Validation | Trouble::Other) => false,
    }
}

/// When something may be tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// From this time on, in unix ms.
    At(u64),
    /// Not any more, or it runs, or it is settled.
    Never,
}

/// A step of a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The step.
    pub forward: Progress,
    /// Undoing it; none as long as nothing needs to be undone.
    pub undo: Option<Progress>,
}

impl Step {
    /// Whether a failed or interrupted step is tried again by itself.
    #[must_use]
    pub fn may_retry(&self, spec: &StepSpec) -> bool {
        self.forward.due(&spec.retry_ms) != Due::Never
    }

    /// It failed and is not tried again by itself, and the job can't go on without it.
    #[must_use]
    pub fn has_failed_critically(&self, spec: &StepSpec) -> bool {
        let harmless = self.forward.error.as_ref().is_some_and(|error| error.class == Class::NonCritical);
        let critical = spec.criticality == Criticality::Critical && !harmless;
        self.forward.status == StepStatus::Failed && !self.may_retry(spec) && critical
    }

    /// The job may go on: it is good, or has failed for good without being critical.
    #[must_use]
    pub fn is_settled(&self, spec: &StepSpec) -> bool {
        let over = self.forward.status == StepStatus::Failed && !self.may_retry(spec);
        self.forward.is_good() || (over && !self.has_failed_critically(spec))
    }
}
