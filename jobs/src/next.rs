//! What is to be done next. Pure: the job and the time decide.

use crate::{
    event::{Cause, Event, StepResult},
    job::{Due, Job, Phase, Progress, StepStatus},
    spec::StepIndex,
};

/// A try of a step, or of undoing one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// Which step.
    pub step: StepIndex,
    /// Whether it is undone.
    pub undo: bool,
    /// Which try, from 1.
    pub attempt: u16,
}

impl Attempt {
    /// The event that says that it begins.
    #[must_use]
    pub const fn begin(self) -> Event {
        match self {
            Self { step, undo: false, attempt } => Event::StepBegan { step, attempt },
            Self { step, undo: true, attempt } => Event::UndoBegan { step, attempt },
        }
    }

    /// The event that says what came of it.
    #[must_use]
    pub const fn end(self, result: StepResult) -> Event {
        match self {
            Self { step, undo: false, attempt } => Event::StepEnded { step, attempt, result },
            Self { step, undo: true, attempt } => Event::UndoEnded { step, attempt, result },
        }
    }
}

/// The next thing to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// These may begin now, all at once; each is recorded first.
    Run(Vec<Attempt>),
    /// What runs is to be stopped, and recorded so.
    Stop(Vec<Attempt>),
    /// This follows from what is there.
    Record(Event),
    /// Nothing before this time, in unix ms, unless something that runs ends.
    Wait(u64),
    /// Nothing until something that runs ends, or somebody says something.
    Rest,
    /// Over.
    Over,
}

/// What is to be done next with a job that this controller holds.
#[must_use]
pub fn next(job: &Job, now_ms: u64) -> Action {
    match &job.phase {
        Phase::Forward => forward(job, now_ms),
        Phase::Back(_) => back(job, now_ms),
        Phase::Ended(_) => Action::Over,
    }
}

fn forward(job: &Job, now_ms: u64) -> Action {
    let running = in_flight(job);
    if let Some(asked) = &job.cancel {
        if !running.is_empty() {
            return Action::Stop(running);
        }
        let cause = Cause::Cancelled { actor: asked.actor.clone(), reason: asked.reason.clone() };
        return Action::Record(Event::BackBegan(cause));
    }
    if let Some(event) = given_up(job, false) {
        return Action::Record(event);
    }
    let failed: Vec<StepIndex> = job.critically_failed().collect();
    if !failed.is_empty() {
        // Others of the group end first: each within its limit.
        let none = running.is_empty();
        return if none { Action::Record(Event::BackBegan(Cause::Failed(failed))) } else { Action::Rest };
    }
    let Some(group) = job.group() else {
        return job.end().map_or(Action::Rest, |end| Action::Record(Event::Ended(end)));
    };
    if job.held.is_some() || !job.is_approved() {
        return Action::Rest;
    }
    let of_group = job.spec.steps().zip(&job.steps).filter(|((_, spec), _)| spec.group == group);
    begin(of_group.map(|((index, spec), step)| (index, false, &step.forward, spec.retry_ms.as_slice())), now_ms)
}

fn back(job: &Job, now_ms: u64) -> Action {
    if let Some(event) = given_up(job, true) {
        return Action::Record(event);
    }
    let Some(group) = job.first_to_undo() else {
        return job.end().map_or(Action::Rest, |end| Action::Record(Event::Ended(end)));
    };
    let of_group = job.spec.steps().zip(&job.steps).filter(|((_, spec), _)| spec.group == group);
    let undoing = of_group.filter_map(|((index, spec), step)| {
        Some((index, true, step.undo.as_ref()?, spec.undo.as_ref()?.retry_ms.as_slice()))
    });
    begin(undoing, now_ms)
}

/// Those that are due, or when the first of them is.
fn begin<'a>(steps: impl Iterator<Item = (StepIndex, bool, &'a Progress, &'a [u64])>, now_ms: u64) -> Action {
    let (mut due, mut first_ms): (Vec<Attempt>, Option<u64>) = (Vec::new(), None);
    for (step, undo, progress, retry_ms) in steps {
        let when = if undo { progress.undo_due(retry_ms) } else { progress.due(retry_ms) };
        match when {
            Due::At(at_ms) if at_ms <= now_ms => {
                due.push(Attempt { step, undo, attempt: progress.attempts.saturating_add(1) });
            }
            Due::At(at_ms) => first_ms = Some(first_ms.map_or(at_ms, |first: u64| first.min(at_ms))),
            Due::Never => {}
        }
    }
    match (due.is_empty(), first_ms) {
        (false, _) => Action::Run(due),
        (true, Some(at_ms)) => Action::Wait(at_ms),
        (true, None) => Action::Rest,
    }
}

/// Steps that have begun and not ended.
fn in_flight(job: &Job) -> Vec<Attempt> {
    let running = job.spec.steps().zip(&job.steps).filter(|(_, step)| step.forward.status == StepStatus::Running);
    running.map(|((step, _), progress)| Attempt { step, undo: false, attempt: progress.forward.attempts }).collect()
}

/// A step that was interrupted too often is recorded as failed.
fn given_up(job: &Job, undo: bool) -> Option<Event> {
    job.spec.steps().zip(&job.steps).find_map(|((step, _), progress)| {
        let progress = if undo { progress.undo.as_ref()? } else { &progress.forward };
        let never = progress.status == StepStatus::Interrupted && progress.due(&[]) == Due::Never;
        let attempt = Attempt { step, undo, attempt: progress.attempts };
        never.then(|| attempt.end(StepResult::Failed(Job::interrupted_error())))
    })
}
