//! What may be asked of jobs, whoever asks: the command line, HTTP, a change on the ledger, a rollout.
//!
//! Everything goes into the job's events, so that any controller may be asked about any job.

use std::sync::Arc;

use tokio::sync::Notify;

use crate::{
    clock::Clock,
    error::{self, ErrorKind, StepError},
    event::{Event, EventError, Recorded},
    job::{FoldError, Job},
    kinds::{self, Policy, Request},
    registry::Registry,
    runner::{RunError, load},
    spec::{JobId, SpecError, StepIndex, are_words},
    store::{Append, JobStore, NewJob, StoreError, Summary},
};

/// How often an event is decided anew because somebody else added one in between.
const TRIES: u32 = 16;

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
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The job's events.
    #[error(transparent)]
    Event(#[from] EventError),
}

impl AskError {
    /// Code, cause and remedy.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::Spec(_) | Self::Words => error::INVALID,
            Self::Unsupported(_) => error::UNSUPPORTED,
            Self::NotNow(_) => error::NOT_NOW,
            Self::Store(StoreError::Busy { .. }) => error::BUSY,
            Self::Store(StoreError::Unknown(_)) => error::UNKNOWN,
            Self::Store(_) => error::STORE,
            Self::Event(_) => error::UNDECODABLE,
        }
    }
}

impl From<RunError> for AskError {
    fn from(error: RunError) -> Self {
        match error {
            RunError::Store(error) => Self::Store(error),
            RunError::Event(error) => Self::Event(error),
            RunError::Fold(error) => Self::NotNow(error),
            RunError::LeaseLost => Self::Store(StoreError::Fenced),
        }
    }
}

/// Where jobs are asked for.
#[derive(Clone)]
pub struct Desk {
    store: Arc<dyn JobStore>,
    registry: Registry,
    policy: Policy,
    clock: Clock,
    wake: Option<Arc<Notify>>,
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
        Self { store, registry, policy, clock, wake }
    }

    /// Starts a job, held at once where a reason is given: for an approval, or a maintenance window.
    ///
    /// # Errors
    /// [`AskError`]; [`StoreError::Busy`] names the job that runs.
    pub async fn start(&self, request: &Request, held: Option<&str>) -> Result<JobId, AskError> {
        let spec = kinds::job(request, &self.policy);
        spec.check()?;
        self.registry.check(&spec)?;
        let first = Recorded { at_ms: self.clock.now_ms(), event: Event::Started(Box::new(spec.clone())) };
        // The number is the store's to give; nothing in the event depends on it.
        let mut job = Job::fold(JobId(0), std::slice::from_ref(&first))?;
        let mut new = NewJob::of(&spec, first.encode(JobId(0), 0)?, &job);
        // Nobody takes it before it is held.
        new.summary.runnable = held.is_none();
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

    fn ring(&self) {
        if let Some(wake) = &self.wake {
            wake.notify_one();
        }
    }
}

fn words(text: &str) -> Result<String, AskError> {
    if are_words(text) { Ok(text.to_owned()) } else { Err(AskError::Words) }
}
