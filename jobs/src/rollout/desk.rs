//! What may be asked of rollouts.

use causeway_interface::{Code, Key};

use super::{
    drive::load,
    event::{Event, Recorded},
    spec::{KIND, RolloutRequest, RolloutSpec},
    state::Rollout,
};
use crate::{
    desk::{AskError, Desk, NOT_APPROVED, TRIES, words},
    event,
    job::Job,
    kinds::{self, Request},
    spec::{JobId, JobSpec},
    store::{Append, NewJob, StoreError},
};

impl Desk {
    /// Starts a rollout, or has it wait for the approvals that it needs. Every device can be reached as it is said.
    ///
    /// # Errors
    /// [`AskError`].
    pub async fn start_rollout(&self, request: &RolloutRequest) -> Result<JobId, AskError> {
        let need = self.need(request.kind, request.targets.len(), request.proposer)?;
        let spec = RolloutSpec::new(request, &self.policy, need)?;
        for target in &spec.targets {
            let (kind, mode, trigger) = (spec.kind, spec.mode, spec.trigger);
            let actor = spec.actor.clone();
            let one = Request { kind, targets: vec![*target], generation: None, mode, trigger, actor, parent: None };
            self.registry.check(&kinds::job(&one, &self.policy))?;
        }
        let first = Recorded { at_ms: self.clock.now_ms(), event: Event::Started(Box::new(spec)) };
        let rollout = Rollout::fold(JobId(0), std::slice::from_ref(&first))?;
        let new = NewJob {
            kind: KIND.to_owned(),
            // Its jobs hold them.
            devices: Vec::new(),
            parent: None,
            event: first.encode(JobId(0), 0)?,
            summary: rollout.summary(),
            under: None,
        };
        let id = self.store.start(new).await?;
        self.ring();
        Ok(id)
    }

    /// A rollout as it is.
    ///
    /// # Errors
    /// [`AskError`].
    pub async fn rollout(&self, id: JobId) -> Result<Rollout, AskError> {
        Ok(load(self.store.as_ref(), id).await?)
    }

    /// Lets no further device begin; jobs that run go on, and a wave that is watched is watched on.
    ///
    /// # Errors
    /// [`AskError::RolloutNotNow`].
    pub async fn pause_rollout(&self, id: JobId, actor: &str, reason: &str) -> Result<Rollout, AskError> {
        self.ask_rollout(id, Event::Paused { actor: words(actor)?, reason: words(reason)? }).await
    }

    /// Lets it go on.
    ///
    /// # Errors
    /// [`AskError::RolloutNotNow`].
    pub async fn resume_rollout(&self, id: JobId, actor: &str) -> Result<Rollout, AskError> {
        self.ask_rollout(id, Event::Resumed { actor: words(actor)? }).await
    }

    /// Stops it: the wave that is under way goes back, those before it stay.
    ///
    /// # Errors
    /// [`AskError::RolloutNotNow`].
    pub async fn cancel_rollout(&self, id: JobId, actor: &str, reason: &str) -> Result<Rollout, AskError> {
        self.ask_rollout(id, Event::CancelRequested { actor: words(actor)?, reason: words(reason)? }).await
    }

    /// Agrees that it begins; the caller has made sure of whose key it is.
    ///
    /// # Errors
    /// [`AskError::Approval`] says why it does not count.
    pub async fn approve_rollout(&self, id: JobId, key: Key, reason: &str) -> Result<Rollout, AskError> {
        let rollout = self.rollout(id).await?;
        let (approvals, roles) = self.asked(rollout.approvals.as_ref(), &devices(&rollout), &key).await?;
        let role = approvals.may_approve(&key, &roles, self.clock.now_ms())?;
        let rollout = self.ask_rollout(id, Event::Approved { key, role, reason: words(reason)? }).await?;
        self.count_approval();
        Ok(rollout)
    }

    /// Has it begin without the approvals that it needs: recorded, counted and logged as an error.
    ///
    /// # Errors
    /// [`AskError::Approval`] says why it may not be done.
    pub async fn break_glass_of_rollout(&self, id: JobId, key: Key, reason: &str) -> Result<Rollout, AskError> {
        let rollout = self.rollout(id).await?;
        let (approvals, roles) = self.asked(rollout.approvals.as_ref(), &devices(&rollout), &key).await?;
        let role = approvals.may_break_glass(&roles, self.clock.now_ms())?;
        let rollout = self.ask_rollout(id, Event::GlassBroken { key, role, reason: words(reason)? }).await?;
        self.alert(id, &key, reason);
        Ok(rollout)
    }

    pub(crate) async fn expire_rollout(&self, id: JobId) -> Result<bool, AskError> {
        let rollout = self.rollout(id).await?;
        let late = rollout.approvals.is_some_and(|approvals| approvals.has_expired(self.clock.now_ms()));
        if late && rollout.cancel.is_none() {
            self.cancel_rollout(id, "causeway", NOT_APPROVED).await?;
        }
        Ok(late)
    }

    async fn ask_rollout(&self, id: JobId, event: Event) -> Result<Rollout, AskError> {
        for _ in 0..TRIES {
            let mut rollout = self.rollout(id).await?;
            let seq = rollout.next_seq;
            let recorded = Recorded { at_ms: self.clock.now_ms(), event: event.clone() };
            rollout.apply(&recorded)?;
            let append = Append {
                job: id,
                seq,
                token: None,
                events: vec![recorded.encode(id, seq)?],
                artifacts: Vec::new(),
                summary: rollout.summary(),
            };
            match self.store.append(append).await {
                Ok(()) => {
                    self.ring();
                    return Ok(rollout);
                }
                Err(StoreError::Conflict { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(StoreError::Conflict { next: 0 }.into())
    }

    /// Starts a job that is part of a rollout, as long as the rollout is this one's.
    pub(crate) async fn start_under(&self, spec: JobSpec, token: i64) -> Result<JobId, AskError> {
        spec.check()?;
        self.registry.check(&spec)?;
        let first =
            event::Recorded { at_ms: self.clock.now_ms(), event: event::Event::Started(Box::new(spec.clone())) };
        let job = Job::fold(JobId(0), std::slice::from_ref(&first))?;
        let new = NewJob { under: Some(token), ..NewJob::of(&spec, first.encode(JobId(0), 0)?, &job) };
        Ok(self.store.start(new).await?)
    }
}

fn devices(rollout: &Rollout) -> Vec<Code> {
    rollout.spec.targets.iter().map(|target| target.device).collect()
}
