//! What may be asked of jobs, whoever asks: the command line, HTTP, a change on the ledger, a rollout.
//!
//! Everything goes into the job's events, so that any controller may be asked about any job.

use std::{collections::BTreeSet, sync::Arc};

use causeway_interface::{Code, Key};
use tokio::sync::Notify;

use crate::{
    approval::{ApprovalPolicy, Approvals, Refusal, Role, Roles},
    clock::Clock,
    error::{self, ErrorKind, StepError},
    event::{Event, EventError, Recorded},
    job::{FoldError, Job},
    kinds::{self, Policy, Request},
    metrics::JobMetrics,
    registry::Registry,
    runner::{RunError, load},
    spec::{JobId, SpecError, StepIndex, are_words},
    status::State,
    store::{Append, Filter, JobStore, MAX_PAGE, NewJob, StoreError, Summary},
};

/// How often an event is decided anew because somebody else added one in between.
pub(crate) const TRIES: u32 = 16;
/// Why what was not approved in time is cancelled.
pub(crate) const NOT_APPROVED: &str = "CW-JOB-APPROVAL-EXPIRED: not approved in time";

/// Why something that was asked is not done.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// A job that can't be meant.
    #[error("the job makes no sense")]
    Spec(#[from] SpecError),
    /// Words that are none.
    #[error("names and reasons have 1 to 256 bytes and no control characters")]
    Words,
    /// Strategy and transport don't go together, or can't do this.
    #[error(transparent)]
    Unsupported(#[from] StepError),
    /// Not in this state.
    #[error(transparent)]
    NotNow(#[from] FoldError),
    /// An approval is missing, or does not count.
    #[error(transparent)]
    Approval(#[from] Refusal),
    /// The ledger's roles can't be asked.
    #[error("the roles on the ledger can not be read")]
    Roles(#[source] StepError),
    /// No rollout that can be meant.
    #[error("the rollout makes no sense")]
    Rollout(#[from] crate::rollout::SpecError),
    /// Not in this state.
    #[error(transparent)]
    RolloutNotNow(#[from] crate::rollout::FoldError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The job's events.
    #[error(transparent)]
    Event(#[from] EventError),
    /// A rollout where a job was meant, or the other way round.
    #[error("number {0} is not a {1}")]
    OtherKind(JobId, &'static str),
}

impl AskError {
    /// Code, cause and remedy.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::Spec(_) | Self::Words | Self::Rollout(_) => error::INVALID,
            Self::Unsupported(_) => error::UNSUPPORTED,
            Self::NotNow(_) | Self::RolloutNotNow(_) => error::NOT_NOW,
            Self::Approval(refusal) => refusal.kind(),
            Self::Roles(_) => error::LEDGER_AWAY,
            Self::Store(StoreError::Busy { .. }) => error::BUSY,
            Self::Store(StoreError::Unknown(_)) => error::UNKNOWN,
            Self::Store(_) => error::STORE,
            Self::Event(_) => error::UNDECODABLE,
            Self::OtherKind(..) => error::OTHER_KIND,
        }
    }
}

impl From<RunError> for AskError {
    fn from(error: RunError) -> Self {
        match error {
            RunError::Store(error) => Self::Store(error),
            RunError::Event(error) => Self::Event(error),
            RunError::Fold(error) => Self::NotNow(error),
            RunError::Rollout(error) => Self::RolloutNotNow(error),
            RunError::LeaseLost | RunError::OutOfReach => Self::Store(StoreError::Fenced),
            RunError::OtherKind(id, what) => Self::OtherKind(id, what),
        }
    }
}

/// Where jobs are asked for.
#[derive(Clone)]
pub struct Desk {
    pub(crate) store: Arc<dyn JobStore>,
    pub(crate) registry: Registry,
    pub(crate) policy: Policy,
    pub(crate) clock: Clock,
    wake: Option<Arc<Notify>>,
    approvals: ApprovalPolicy,
    roles: Option<Arc<dyn Roles>>,
    metrics: Option<JobMetrics>,
}

impl Desk {
    /// Makes one; `wake` is rung so that a runner of this process looks at once.
    #[must_use]
    pub fn new(
        store: Arc<dyn JobStore>,
        registry: Registry,
        policy: Policy,
        clock: Clock,
        wake: Option<Arc<Notify>>,
    ) -> Self {
        Self { store, registry, policy, clock, wake, approvals: ApprovalPolicy::none(), roles: None, metrics: None }
    }

    /// Some changes need the agreement of people who have these roles.
    #[must_use]
    pub fn approved_by(mut self, policy: ApprovalPolicy, roles: Arc<dyn Roles>) -> Self {
        (self.approvals, self.roles) = (policy, Some(roles));
        self
    }

    /// Counts what has to be seen at once.
    #[must_use]
    pub fn counted(mut self, metrics: JobMetrics) -> Self {
        self.metrics = Some(metrics);
        self
    }

    /// Starts a job for nobody who is known by a key, held at once where a reason is given.
    ///
    /// # Errors
    /// [`AskError`]; [`StoreError::Busy`] names the job that runs.
    pub async fn start(&self, request: &Request, held: Option<&str>) -> Result<JobId, AskError> {
        self.propose(request, None, held).await
    }

    /// Starts a job, or has it wait for the approvals that it needs; the caller has made sure of whose key it is.
    ///
    /// # Errors
    /// [`AskError`]; [`StoreError::Busy`] names the job that runs.
    pub async fn propose(
        &self,
        request: &Request,
        proposer: Option<Key>,
        held: Option<&str>,
    ) -> Result<JobId, AskError> {
        let mut spec = kinds::job(request, &self.policy);
        spec.approval = self.approvals.need(request.kind, request.targets.len(), proposer)?;
        spec.check()?;
        self.registry.check(&spec)?;
        let first = Recorded { at_ms: self.clock.now_ms(), event: Event::Started(Box::new(spec.clone())) };
        // The number is the store's to give; nothing in the event depends on it.
        let mut job = Job::fold(JobId(0), std::slice::from_ref(&first))?;
        let mut new = NewJob::of(&spec, first.encode(JobId(0), 0)?, &job);
        // Nobody takes it before it is held.
        new.summary.runnable &= held.is_none();
        let id = self.store.start(new).await?;
        if let Some(reason) = held {
            job.id = id;
            self.hold(id, &request.actor, reason).await?;
        }
        self.ring();
        Ok(id)
    }

    /// A job as it is.
    ///
    /// # Errors
    /// [`AskError`].
    pub async fn job(&self, id: JobId) -> Result<Job, AskError> {
        Ok(load(self.store.as_ref(), id).await?)
    }

    /// Takes a job back.
    ///
    /// # Errors
    /// [`AskError::NotNow`] when its last critical step has ended.
    pub async fn cancel(&self, id: JobId, actor: &str, reason: &str) -> Result<Job, AskError> {
        self.ask(id, Event::CancelRequested { actor: words(actor)?, reason: words(reason)? }).await
    }

    /// Lets no further step begin.
    ///
    /// # Errors
    /// [`AskError`].
    pub async fn hold(&self, id: JobId, actor: &str, reason: &str) -> Result<Job, AskError> {
        self.ask(id, Event::Held { actor: words(actor)?, reason: words(reason)? }).await
    }

    /// Lets it go on.
    ///
    /// # Errors
    /// [`AskError`].
    pub async fn release(&self, id: JobId, actor: &str) -> Result<Job, AskError> {
        self.ask(id, Event::Released { actor: words(actor)? }).await
    }

    /// Agrees that a job begins; the caller has made sure of whose key it is.
    ///
    /// # Errors
    /// [`AskError::Approval`] says why it does not count.
    pub async fn approve(&self, id: JobId, key: Key, reason: &str) -> Result<Job, AskError> {
        let job = self.job(id).await?;
        let (approvals, roles) = self.asked(job.approvals.as_ref(), &devices(&job), &key).await?;
        let role = approvals.may_approve(&key, &roles, self.clock.now_ms())?;
        let job = self.ask(id, Event::Approved { key, role, reason: words(reason)? }).await?;
        self.count_approval();
        Ok(job)
    }

    /// Has a job begin without the approvals that it needs: recorded, counted and logged as an error.
    ///
    /// # Errors
    /// [`AskError::Approval`] says why it may not be done.
    pub async fn break_glass(&self, id: JobId, key: Key, reason: &str) -> Result<Job, AskError> {
        let job = self.job(id).await?;
        let (approvals, roles) = self.asked(job.approvals.as_ref(), &devices(&job), &key).await?;
        let role = approvals.may_break_glass(&roles, self.clock.now_ms())?;
        let job = self.ask(id, Event::GlassBroken { key, role, reason: words(reason)? }).await?;
        self.alert(id, &key, reason);
        Ok(job)
    }

    /// Cancels what was not approved in time. Answers how many; to be called once a minute or so, by any controller.
    ///
    /// # Errors
    /// The store's. One job that can't be read stops no other.
    pub async fn expire(&self) -> Result<usize, AskError> {
        /// Pages of one look at most; the next look goes on.
        const PAGES: usize = 16;
        let mut filter = Filter { state: Some(State::WaitingForApproval.name().to_owned()), ..Filter::default() };
        let mut expired = 0;
        for _ in 0..PAGES {
            let rows = self.store.list(filter.clone(), MAX_PAGE).await?;
            let Some(last) = rows.last() else { break };
            filter.before = Some(last.id);
            for row in rows {
                let done = if row.kind == crate::rollout::KIND {
                    self.expire_rollout(row.id).await
                } else {
                    self.expire_job(row.id).await
                };
                match done {
                    Ok(done) => expired += usize::from(done),
                    Err(error) => tracing::warn!(job = %row.id, %error, "whether its approval is late is not known"),
                }
            }
        }
        Ok(expired)
    }

    async fn expire_job(&self, id: JobId) -> Result<bool, AskError> {
        let job = self.job(id).await?;
        let late = job.approvals.is_some_and(|approvals| approvals.has_expired(self.clock.now_ms()));
        if late {
            self.cancel(id, "causeway", NOT_APPROVED).await?;
        }
        Ok(late)
    }

    pub(crate) fn need(
        &self,
        kind: crate::spec::Kind,
        devices: usize,
        proposer: Option<Key>,
    ) -> Result<Option<crate::approval::Need>, Refusal> {
        self.approvals.need(kind, devices, proposer)
    }

    pub(crate) async fn asked<'a>(
        &self,
        approvals: Option<&'a Approvals>,
        devices: &[Code],
        key: &Key,
    ) -> Result<(&'a Approvals, BTreeSet<Role>), AskError> {
        let approvals = approvals.ok_or(Refusal::NotMissing)?;
        // Without anybody to ask nobody has a role.
        let roles = self.roles.as_ref().ok_or(Refusal::Role)?;
        Ok((approvals, roles.roles(key, devices).await.map_err(AskError::Roles)?))
    }

    pub(crate) fn count_approval(&self) {
        if let Some(metrics) = &self.metrics {
            metrics.approved();
        }
    }

    pub(crate) fn alert(&self, id: JobId, key: &Key, reason: &str) {
        tracing::error!(job = %id, %key, reason, code = error::GLASS_BROKEN.code, "a change began without its approvals");
        if let Some(metrics) = &self.metrics {
            metrics.glass_broken();
        }
    }

    /// Leaves an optional step out.
    ///
    /// # Errors
    /// [`AskError`].
    pub async fn skip(&self, id: JobId, step: StepIndex, actor: &str, reason: &str) -> Result<Job, AskError> {
        self.ask(id, Event::Skipped { step, actor: words(actor)?, reason: words(reason)? }).await
    }

    /// Tries failed steps anew: these, or all of them where none is named.
    ///
    /// # Errors
    /// [`AskError`]; [`StoreError::Busy`] where another job holds a device by now.
    pub async fn retry(&self, id: JobId, steps: &[StepIndex], actor: &str) -> Result<Job, AskError> {
        let mut steps = steps.to_vec();
        if let (true, crate::job::Phase::Ended(crate::event::End::Partly(failed))) =
            (steps.is_empty(), self.job(id).await?.phase)
        {
            steps = failed;
        }
        self.ask(id, Event::RetryRequested { steps, actor: words(actor)? }).await
    }

    async fn ask(&self, id: JobId, event: Event) -> Result<Job, AskError> {
        for _ in 0..TRIES {
            let mut job = load(self.store.as_ref(), id).await?;
            let seq = job.next_seq;
            let recorded = Recorded { at_ms: self.clock.now_ms(), event: event.clone() };
            job.apply(&recorded)?;
            let append = Append {
                job: id,
                seq,
                token: None,
                events: vec![recorded.encode(id, seq)?],
                artifacts: Vec::new(),
                summary: Summary::of(&job),
            };
            match self.store.append(append).await {
                Ok(()) => {
                    self.ring();
                    return Ok(job);
                }
                Err(StoreError::Conflict { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(StoreError::Conflict { next: 0 }.into())
    }

    pub(crate) fn ring(&self) {
        if let Some(wake) = &self.wake {
            wake.notify_one();
        }
    }
}

fn devices(job: &Job) -> Vec<Code> {
    job.spec.targets.iter().map(|target| target.device).collect()
}

pub(crate) fn words(text: &str) -> Result<String, AskError> {
    if are_words(text) { Ok(text.to_owned()) } else { Err(AskError::Words) }
}
