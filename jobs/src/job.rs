//! A job's state: a fold over its events. Pure; a sequence that can't have happened is refused.

use std::sync::Arc;

use crate::{
    error::{self, Class, StepError, Trouble},
    event::{Cause, End, Event, Facts, Recorded, Seq, StepResult},
    spec::{Criticality, JobId, JobSpec, SpecError, StepIndex, StepSpec},
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
    fn new() -> Self {
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

    fn begin(&mut self, attempt: u16, at_ms: u64, due: Due) -> Result<(), &'static str> {
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

    fn end(&mut self, attempt: u16, at_ms: u64, result: &StepResult) -> Result<(), &'static str> {
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

    fn interrupt(&mut self) {
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

/// Which way a job goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Through its steps.
    Forward,
    /// Undoing them.
    Back(Cause),
    /// Over.
    Ended(End),
}

/// Words of somebody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// Who.
    pub actor: String,
    /// Why.
    pub reason: String,
}

/// A job, as its events left it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    /// Its number.
    pub id: JobId,
    /// What it is to do; shared, because every event makes a new state.
    pub spec: Arc<JobSpec>,
    /// Number of the next event.
    pub next_seq: Seq,
    /// Which way it goes.
    pub phase: Phase,
    /// Its steps, as the spec has them.
    pub steps: Vec<Step>,
    /// Somebody wants it to go back.
    pub cancel: Option<Asked>,
    /// It is held.
    pub held: Option<Asked>,
    /// Who works on it, as far as the events say.
    pub holder: Option<String>,
    /// How often it was begun: 1, and one more for every retry.
    pub round: u32,
    /// Time of the first event.
    pub started_ms: u64,
    /// Time of the last event.
    pub changed_ms: u64,
}

/// Why events are no job.
#[derive(Debug, thiserror::Error)]
pub enum FoldError {
    /// None.
    #[error("job {0} has no events")]
    Empty(JobId),
    /// One that can't follow.
    #[error("event {seq} of job {job}, {event}, can not follow: {why}")]
    Illegal {
        /// Of which job.
        job: JobId,
        /// Which.
        seq: Seq,
        /// What it is.
        event: &'static str,
        /// What is in the way.
        why: &'static str,
    },
    /// A job that can't be meant.
    #[error("the steps of job {job} make no sense")]
    Spec {
        /// Which job.
        job: JobId,
        /// What is wrong.
        #[source]
        source: SpecError,
    },
}

impl Job {
    /// A job of these events, from the first one.
    ///
    /// # Errors
    /// [`FoldError`].
    pub fn fold(id: JobId, events: &[Recorded]) -> Result<Self, FoldError> {
        let (first, rest) = events.split_first().ok_or(FoldError::Empty(id))?;
        let mut job = Self::begin(id, first)?;
        for recorded in rest {
            let (seq, event) = (job.next_seq, recorded.event.name());
            job.take(recorded).map_err(|why| FoldError::Illegal { job: id, seq, event, why })?;
            job.next_seq = seq.saturating_add(1);
            job.changed_ms = recorded.at_ms;
        }
        Ok(job)
    }

    fn begin(id: JobId, first: &Recorded) -> Result<Self, FoldError> {
        let Event::Started(spec) = &first.event else {
            let event = first.event.name();
            return Err(FoldError::Illegal { job: id, seq: 0, event, why: "the first event starts a job" });
        };
        spec.check().map_err(|source| FoldError::Spec { job: id, source })?;
        let steps = spec.steps.iter().map(|_| Step { forward: Progress::new(), undo: None }).collect();
        Ok(Self {
            id,
            spec: Arc::new((**spec).clone()),
            next_seq: 1,
            phase: Phase::Forward,
            steps,
            cancel: None,
            held: None,
            holder: None,
            round: 1,
            started_ms: first.at_ms,
            changed_ms: first.at_ms,
        })
    }

    /// Takes the next event in. Unchanged where it is refused.
    ///
    /// # Errors
    /// [`FoldError::Illegal`].
    pub fn apply(&mut self, recorded: &Recorded) -> Result<(), FoldError> {
        let illegal = |why| FoldError::Illegal { job: self.id, seq: self.next_seq, event: recorded.event.name(), why };
        let mut next = self.clone();
        next.take(recorded).map_err(illegal)?;
        next.next_seq = self.next_seq.saturating_add(1);
        next.changed_ms = recorded.at_ms;
        *self = next;
        Ok(())
    }

    fn take(&mut self, recorded: &Recorded) -> Result<(), &'static str> {
        let at_ms = recorded.at_ms;
        match &recorded.event {
            Event::Started(_) => Err("it has started"),
            Event::Claimed { holder, .. } => {
                self.open()?;
                for step in &mut self.steps {
                    step.forward.interrupt();
                    if let Some(undo) = &mut step.undo {
                        undo.interrupt();
                    }
                }
                self.holder = Some(holder.clone());
                Ok(())
            }
            Event::StepBegan { step, attempt } => self.step_began(*step, *attempt, at_ms),
            Event::StepEnded { step, attempt, result } => {
                self.forward()?;
                if *result == StepResult::Stopped && self.cancel.is_none() {
                    return Err("a step is stopped by a cancellation only");
                }
                self.step_mut(*step)?.forward.end(*attempt, at_ms, result)
            }
            Event::BackBegan(cause) => self.back_began(cause),
            Event::UndoBegan { step, attempt } => {
                let Phase::Back(_) = self.phase else { return Err("the job does not go back") };
                let undo = self.spec.steps.get(usize::from(*step)).and_then(|spec| spec.undo.clone());
                let undo = undo.ok_or("nothing undoes this step")?;
                let later = self.first_to_undo();
                let group = self.spec.steps.get(usize::from(*step)).map(|spec| spec.group);
                if later != group {
                    return Err("steps of a later group have to be undone first");
                }
                let progress = self.step_mut(*step)?.undo.as_mut().ok_or("the step was never begun")?;
                progress.begin(*attempt, at_ms, progress.undo_due(&undo.retry_ms))
            }
            Event::UndoEnded { step, attempt, result } => {
                let Phase::Back(_) = self.phase else { return Err("the job does not go back") };
                if *result == StepResult::Stopped {
                    return Err("going back is never stopped");
                }
                let progress = self.step_mut(*step)?.undo.as_mut().ok_or("the step is not undone")?;
                progress.end(*attempt, at_ms, result)
            }
            Event::CancelRequested { actor, reason } => {
                self.forward()?;
                if self.cancel.is_some() {
                    return Err("it is cancelled already");
                }
                if self.is_past_return() {
                    return Err("its last critical step has ended");
                }
                self.cancel = Some(Asked { actor: actor.clone(), reason: reason.clone() });
                Ok(())
            }
            Event::Held { actor, reason } => {
                self.forward()?;
                if self.held.is_some() {
                    return Err("it is held already");
                }
                self.held = Some(Asked { actor: actor.clone(), reason: reason.clone() });
                Ok(())
            }
            Event::Released { .. } => self.held.take().map(drop).ok_or("it is not held"),
            Event::Skipped { step, .. } => self.skipped(*step),
            Event::RetryRequested { steps, .. } => self.retry(steps),
            Event::Ended(end) => self.ended(end),
        }
    }

    fn open(&self) -> Result<(), &'static str> {
        match self.phase {
            Phase::Forward | Phase::Back(_) => Ok(()),
            Phase::Ended(_) => Err("it has ended"),
        }
    }

    fn forward(&self) -> Result<(), &'static str> {
        match self.phase {
            Phase::Forward => Ok(()),
            Phase::Back(_) => Err("it goes back"),
            Phase::Ended(_) => Err("it has ended"),
        }
    }

    fn step_mut(&mut self, step: StepIndex) -> Result<&mut Step, &'static str> {
        self.steps.get_mut(usize::from(step)).ok_or("there is no such step")
    }

    fn step_began(&mut self, step: StepIndex, attempt: u16, at_ms: u64) -> Result<(), &'static str> {
        self.forward()?;
        if self.cancel.is_some() || self.held.is_some() {
            return Err("no step begins in a job that is held or cancelled");
        }
        let spec = self.spec.steps.get(usize::from(step)).ok_or("there is no such step")?;
        if self.group() != Some(spec.group) {
            return Err("steps of an earlier group are not settled");
        }
        if self.critically_failed().next().is_some() {
            return Err("a critical step has failed");
        }
        let retry_ms = spec.retry_ms.clone();
        let progress = &mut self.step_mut(step)?.forward;
        progress.begin(attempt, at_ms, progress.due(&retry_ms))
    }

    fn back_began(&mut self, cause: &Cause) -> Result<(), &'static str> {
        self.forward()?;
        if self.is_anything_running() {
            return Err("a step still runs");
        }
        match cause {
            Cause::Failed(steps) if *steps != self.critically_failed().collect::<Vec<_>>() || steps.is_empty() => {
                return Err("other steps have failed than it says");
            }
            Cause::Cancelled { .. } if self.cancel.is_none() => return Err("nobody has cancelled it"),
            Cause::Failed(_) | Cause::Cancelled { .. } => {}
        }
        for (step, spec) in self.steps.iter_mut().zip(&self.spec.steps) {
            // Also one that failed: a commit whose answer was lost may have been carried out.
            let begun = spec.undo.is_some() && step.forward.attempts > 0;
            step.undo = begun.then(Progress::new);
        }
        self.held = None;
        self.phase = Phase::Back(cause.clone());
        Ok(())
    }

    fn skipped(&mut self, step: StepIndex) -> Result<(), &'static str> {
        let spec = self.spec.steps.get(usize::from(step)).ok_or("there is no such step")?;
        if spec.criticality != Criticality::Optional {
            return Err("the step is not optional");
        }
        match &self.phase {
            Phase::Forward | Phase::Ended(End::Partly(_)) => {}
            Phase::Back(_) | Phase::Ended(End::Done | End::Back(_) | End::Stuck { .. }) => {
                return Err("the job does not wait for the step");
            }
        }
        let progress = &mut self.step_mut(step)?.forward;
        match progress.status {
            StepStatus::Pending | StepStatus::Failed | StepStatus::Interrupted => {}
            StepStatus::Running => return Err("the step runs"),
            StepStatus::Done | StepStatus::Already | StepStatus::Skipped | StepStatus::Stopped => {
                return Err("the step is settled");
            }
        }
        (progress.status, progress.error) = (StepStatus::Skipped, None);
        if matches!(self.phase, Phase::Ended(_)) {
            self.phase = Phase::Ended(self.good_end());
        }
        Ok(())
    }

    fn retry(&mut self, steps: &[StepIndex]) -> Result<(), &'static str> {
        match self.phase.clone() {
            Phase::Forward | Phase::Back(_) => return Err("it has not ended"),
            Phase::Ended(End::Done) => return Err("nothing of it failed"),
            Phase::Ended(End::Partly(failed)) => {
                if steps.is_empty() || steps.iter().any(|step| !failed.contains(step)) {
                    return Err("not every step of these has failed");
                }
                for step in steps {
                    self.step_mut(*step)?.forward = Progress::new();
                }
                self.phase = Phase::Forward;
            }
            Phase::Ended(End::Back(_)) => {
                // What was found out before it went back may not be so any more: all of it anew.
                for step in &mut self.steps {
                    *step = Step { forward: Progress::new(), undo: None };
                }
                self.phase = Phase::Forward;
            }
            Phase::Ended(End::Stuck { cause, steps }) => {
                for step in steps {
                    self.step_mut(step)?.undo = Some(Progress::new());
                }
                self.phase = Phase::Back(cause);
            }
        }
        (self.cancel, self.holder, self.round) = (None, None, self.round.saturating_add(1));
        Ok(())
    }

    fn ended(&mut self, end: &End) -> Result<(), &'static str> {
        self.open()?;
        if self.is_anything_running() {
            return Err("a step still runs");
        }
        if self.end() != Some(end.clone()) {
            return Err("it does not end like this");
        }
        self.phase = Phase::Ended(end.clone());
        Ok(())
    }

    /// How it ends, where it is at its end.
    #[must_use]
    pub fn end(&self) -> Option<End> {
        match &self.phase {
            Phase::Forward => (self.cancel.is_none() && self.group().is_none()).then(|| self.good_end()),
            Phase::Back(cause) => {
                let none = self.first_to_undo().is_none();
                let stuck: Vec<StepIndex> = self.of_steps(|step, _| step.undo.as_ref().is_some_and(|u| !u.is_good()));
                let cause = cause.clone();
                none.then_some(if stuck.is_empty() { End::Back(cause) } else { End::Stuck { cause, steps: stuck } })
            }
            Phase::Ended(_) => None,
        }
    }

    fn good_end(&self) -> End {
        let failed = self.of_steps(|step, _| step.forward.status == StepStatus::Failed);
        if failed.is_empty() { End::Done } else { End::Partly(failed) }
    }

    fn of_steps(&self, is: impl Fn(&Step, &StepSpec) -> bool) -> Vec<StepIndex> {
        let steps = self.spec.steps().zip(&self.steps);
        steps.filter(|((_, spec), step)| is(step, spec)).map(|((index, _), _)| index).collect()
    }

    /// The group whose turn it is; none when every step is settled.
    #[must_use]
    pub fn group(&self) -> Option<u16> {
        let unsettled = self.steps.iter().zip(&self.spec.steps).find(|(step, spec)| !step.is_settled(spec));
        unsettled.map(|(_, spec)| spec.group)
    }

    /// The group whose turn it is to be undone; none when nothing is left.
    #[must_use]
    pub fn first_to_undo(&self) -> Option<u16> {
        let open = |step: &Step, spec: &StepSpec| match (&step.undo, &spec.undo) {
            (Some(progress), Some(undo)) => {
                progress.status == StepStatus::Running || progress.undo_due(&undo.retry_ms) != Due::Never
                    // Given up by nobody yet: to be recorded as failed first.
                    || progress.status == StepStatus::Interrupted
            }
            (Some(_) | None, None) | (None, Some(_)) => false,
        };
        let last = self.steps.iter().zip(&self.spec.steps).rev().find(|(step, spec)| open(step, spec));
        last.map(|(_, spec)| spec.group)
    }

    /// Steps that failed for good and that the job can't go on without.
    pub fn critically_failed(&self) -> impl Iterator<Item = StepIndex> + '_ {
        let steps = self.spec.steps().zip(&self.steps);
        steps.filter(|((_, spec), step)| step.has_failed_critically(spec)).map(|((index, _), _)| index)
    }

    /// Whether a step, or the undoing of one, has begun and not ended.
    #[must_use]
    pub fn is_anything_running(&self) -> bool {
        let running = |progress: &Progress| progress.status == StepStatus::Running;
        self.steps.iter().any(|step| running(&step.forward) || step.undo.as_ref().is_some_and(running))
    }

    /// Whether every critical step is settled: what the job is for has been reached, and it does not go back any more.
    #[must_use]
    pub fn is_past_return(&self) -> bool {
        let mut critical =
            self.steps.iter().zip(&self.spec.steps).filter(|(_, s)| s.criticality == Criticality::Critical);
        critical.all(|(step, spec)| step.is_settled(spec))
    }

    /// The error of a step that is never begun again, because every controller that began it died.
    #[must_use]
    pub fn interrupted_error() -> StepError {
        let message = format!("begun {MAX_INTERRUPTIONS} times by controllers that did not end it");
        error::INTERRUPTED.critical(Trouble::Other, message)
    }
}
