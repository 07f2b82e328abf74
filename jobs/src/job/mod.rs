//! A job's state: a fold over its events. Pure; a sequence that can't have happened is refused.

mod fold;
mod step;

use std::sync::Arc;

pub use self::step::{Due, MAX_INTERRUPTIONS, Progress, Step, StepStatus};
use crate::{
    approval::{self, Approvals},
    error::{self, StepError, Trouble},
    event::{Cause, End, Event, EventError, Recorded, Seq},
    spec::{Criticality, JobId, JobSpec, SpecError, StepIndex, StepSpec},
};

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
    /// Who has to agree, and who has; nobody where there is none.
    pub approvals: Option<Approvals>,
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
            job.advance(recorded)?;
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
            approvals: spec.approval.clone().map(|need| Approvals::new(need, first.at_ms)),
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
        let mut next = self.clone();
        next.advance(recorded)?;
        *self = next;
        Ok(())
    }

    /// The same of a state that is thrown away where it is refused: of a copy.
    pub(crate) fn advance(&mut self, recorded: &Recorded) -> Result<(), FoldError> {
        let (job, seq, event) = (self.id, self.next_seq, recorded.event.name());
        self.take(recorded).map_err(|why| FoldError::Illegal { job, seq, event, why })?;
        self.next_seq = seq.saturating_add(1);
        self.changed_ms = recorded.at_ms;
        Ok(())
    }

    /// What is approved, as a hash in hex: of its first event, which says everything that it may do.
    ///
    /// # Errors
    /// An event that can't be written was never read.
    pub fn change(&self) -> Result<String, EventError> {
        let event = Event::Started(Box::new((*self.spec).clone()));
        Ok(approval::change(&Recorded { at_ms: self.started_ms, event }.encode(self.id, 0)?))
    }

    /// Whether everybody agreed who has to.
    #[must_use]
    pub fn is_approved(&self) -> bool {
        self.approvals.as_ref().is_none_or(Approvals::is_complete)
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
