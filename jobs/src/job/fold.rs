//! What each event does to a job, and which can't follow. Pure.

use super::{Asked, Job, Phase, Progress, Step, StepStatus};
use crate::{
    approval::{self, Approvals, Glass},
    event::{Cause, End, Event, Recorded, StepResult},
    spec::{Criticality, StepIndex},
};

impl Job {
    pub(super) fn take(&mut self, recorded: &Recorded) -> Result<(), &'static str> {
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
            Event::Approved { key, role, .. } => {
                self.forward()?;
                approval::approved(self.approvals.as_mut(), *key, *role, at_ms)
            }
            Event::GlassBroken { key, role, reason } => {
                self.forward()?;
                let glass = Glass { key: *key, role: *role, reason: reason.clone() };
                approval::glass_broken(self.approvals.as_mut(), glass, at_ms)
            }
            Event::Skipped { step, .. } => self.skipped(*step),
            Event::RetryRequested { steps, .. } => self.retry(steps, at_ms),
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
        if !self.is_approved() {
            return Err("no step begins before everybody agreed who has to");
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

    fn retry(&mut self, steps: &[StepIndex], at_ms: u64) -> Result<(), &'static str> {
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
                // What is rendered now may be another configuration than the one that was agreed to.
                self.approvals = self.spec.approval.clone().map(|need| Approvals::new(need, at_ms));
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
}
