//! Works on jobs: claims them, does what [`next`] says, records it before and after, and holds its leases.
//!
//! Nothing that a runner knows is needed by the next one: dropped at any await, killed, or cut off from the store, it
//! leaves events from which another goes on. What is done without a lease is bounded by it: a step is dropped when the
//! lease was not renewed in time.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use futures::{FutureExt as _, StreamExt as _, future::BoxFuture, stream::FuturesUnordered};
use tokio::{
    sync::{Notify, watch},
    task::JoinSet,
};

use crate::{
    clock,
    engine::{Engine, Performed},
    event::{Event, EventError, Recorded, StepResult},
    job::{FoldError, Job},
    next::{Action, Attempt, next},
    spec::JobId,
    store::{Append, Claim, JobStore, StoreError, Summary},
};

/// A lease that could not be renewed is tried again after such a part of it.
const RENEW_PARTS: u64 = 12;

/// How a runner works.
#[derive(Clone, Debug)]
pub struct RunnerConfig {
    /// Its name among the controllers.
    pub holder: String,
    /// Whoever dies keeps its jobs from the others for so long. Renewed after a third of it at the latest.
    pub lease: Duration,
    /// Jobs at once.
    pub jobs: usize,
    /// Steps at once, of one job.
    pub steps: usize,
    /// Between two looks for what somebody else started, or asked of a job.
    pub poll: Duration,
}

impl RunnerConfig {
    /// The usual, under a name.
    #[must_use]
    pub fn new(holder: impl Into<String>) -> Self {
        Self {
            holder: holder.into(),
            lease: Duration::from_secs(15),
            jobs: 64,
            steps: 32,
            poll: Duration::from_secs(1),
        }
    }
}

/// Looks at what was recorded: metrics, the audit log, streams. It is called once an event is kept, and has to be quick.
pub trait Observer: Send + Sync + 'static {
    /// An event was recorded; the job is as it left it.
    fn recorded(&self, job: &Job, event: &Recorded);

    /// A job could not be worked on any more by this runner.
    fn left(&self, job: JobId, why: &RunError);
}

/// Why a runner let go of a job that is not over.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The store refused or is away.
    #[error("the store of jobs failed")]
    Store(#[from] StoreError),
    /// The lease was not renewed in time, or went to somebody else.
    #[error("the lease was lost")]
    LeaseLost,
    /// Events that can't be read.
    #[error("the job's events can not be read")]
    Event(#[from] EventError),
    /// Events that make no job.
    #[error("the job's events make no sense")]
    Fold(#[from] FoldError),
}

impl RunError {
    /// Page in docs/errors.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Store(StoreError::Fenced) | Self::LeaseLost => crate::error::LEASE_LOST.code,
            Self::Store(_) => crate::error::STORE.code,
            Self::Event(_) | Self::Fold(_) => crate::error::UNDECODABLE.code,
        }
    }
}

/// Works on jobs until it is told to stop.
#[derive(Clone)]
pub struct Runner {
    engine: Arc<Engine>,
    store: Arc<dyn JobStore>,
    config: RunnerConfig,
    observers: Vec<Arc<dyn Observer>>,
    /// Somebody here started a job, or asked something of one.
    wake: Arc<Notify>,
}

impl Runner {
    /// Makes one.
    #[must_use]
    pub fn new(engine: Arc<Engine>, store: Arc<dyn JobStore>, config: RunnerConfig) -> Self {
        Self { engine, store, config, observers: Vec::new(), wake: Arc::default() }
    }

    /// With somebody who looks on.
    #[must_use]
    pub fn observed(mut self, observer: Arc<dyn Observer>) -> Self {
        self.observers.push(observer);
        self
    }

    /// What to ring so that a job is looked for at once.
    #[must_use]
    pub fn waker(&self) -> Arc<Notify> {
        Arc::clone(&self.wake)
    }

    /// Works until told to stop; then lets go of every job, each to be gone on with by whoever comes next.
    pub async fn run(self, mut stop: watch::Receiver<bool>) {
        let mut working: JoinSet<()> = JoinSet::new();
        loop {
            while working.try_join_next().is_some() {}
            let free = self.config.jobs.saturating_sub(working.len());
            let mut claimed = Vec::new();
            // Counted from before the store was asked: its clock began no earlier.
            let asked_ms = self.engine.clock.now_ms();
            if free > 0 {
                let claim = self.store.claim(self.config.holder.clone(), clock::ms(self.config.lease), free);
                match claim.await {
                    Ok(claims) => claimed = claims,
                    Err(error) => tracing::warn!(%error, "no jobs can be claimed"),
                }
            }
            let any = !claimed.is_empty();
            for claim in claimed {
                let (runner, stop) = (self.clone(), stop.clone());
                working.spawn(async move { runner.work(claim, asked_ms, stop).await });
            }
            if any {
                continue;
            }
            tokio::select! {
                biased;
                _ = stop.wait_for(|stop| *stop) => break,
                Some(_) = working.join_next() => {}
                () = self.wake.notified() => {}
                () = clock::sleep(self.engine.clock.as_ref(), self.config.poll) => {}
            }
        }
        while working.join_next().await.is_some() {}
    }

    /// Works on a job that was claimed, until it is over, or it has to be let go of.
    async fn work(&self, claim: Claim, asked_ms: u64, mut stop: watch::Receiver<bool>) {
        let lease_until_ms = asked_ms.saturating_add(clock::ms(self.config.lease));
        let mut hold =
            Hold { runner: self, claim, lease_until_ms, working: FuturesUnordered::new(), waiting: BTreeMap::new() };
        let ended = tokio::select! {
            biased;
            ended = hold.go() => ended,
            _ = stop.wait_for(|stop| *stop) => Ok(()),
        };
        drop(hold);
        match ended {
            Ok(()) => {
                // Best effort: a lease that is not given back runs out.
                let _ = self.store.release(claim).await;
            }
            Err(error) => {
                let cause = std::error::Error::source(&error).map(ToString::to_string);
                tracing::warn!(job = %claim.job, code = error.code(), %error, ?cause, "a job was let go of");
                if let RunError::Event(_) | RunError::Fold(_) = error {
                    let words = format!("{}: {}", error, cause.unwrap_or_default());
                    if let Err(error) = self.store.set_broken(claim, words).await {
                        tracing::warn!(job = %claim.job, %error, "a job that can't be read could not be put aside");
                    }
                }
                self.observers.iter().for_each(|observer| observer.left(claim.job, &error));
            }
        }
    }

    /// Takes in what somebody else added.
    async fn catch_up(&self, job: &mut Job) -> Result<(), RunError> {
        for row in self.store.events(job.id, job.next_seq).await? {
            let recorded = Recorded::decode(job.id, row.seq, &row.text)?;
            job.apply(&recorded)?;
            self.observers.iter().for_each(|observer| observer.recorded(job, &recorded));
        }
        Ok(())
    }

    /// Records events, and what steps left. What somebody else added in between is taken in first; false where that made
    /// them pointless, and nothing was recorded.
    async fn record(
        &self,
        claim: Claim,
        job: &mut Job,
        events: Vec<Event>,
        artifacts: Vec<(String, Vec<u8>)>,
    ) -> Result<bool, RunError> {
        let at_ms = self.engine.clock.now_ms();
        let mut caught_up = false;
        loop {
            let mut after = job.clone();
            let mut texts = Vec::with_capacity(events.len());
            let mut steps: Vec<(Job, Recorded)> = Vec::new();
            let mut refused = None;
            for event in &events {
                let recorded = Recorded { at_ms, event: event.clone() };
                texts.push(recorded.encode(job.id, after.next_seq)?);
                if let Err(error) = after.apply(&recorded) {
                    refused = Some(error);
                    break;
                }
                if !self.observers.is_empty() {
                    steps.push((after.clone(), recorded));
                }
            }
            match refused {
                None => {}
                Some(_) if caught_up => return Ok(false),
                Some(error) => return Err(error.into()),
            }
            let append = Append {
                job: job.id,
                seq: job.next_seq,
                token: Some(claim.token),
                events: texts,
                artifacts: artifacts.clone(),
                summary: Summary::of(&after),
            };
            match self.store.append(append).await {
                Ok(()) => {
                    *job = after;
                    for (job, recorded) in &steps {
                        self.observers.iter().for_each(|observer| observer.recorded(job, recorded));
                    }
                    return Ok(true);
                }
                Err(StoreError::Conflict { .. }) => {
                    self.catch_up(job).await?;
                    caught_up = true;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }
}

type Ended = (Attempt, Performed);

/// One job in hand.
struct Hold<'a> {
    runner: &'a Runner,
    claim: Claim,
    lease_until_ms: u64,
    working: FuturesUnordered<BoxFuture<'static, Ended>>,
    /// Recorded as begun, and waiting for room.
    waiting: BTreeMap<(u16, bool), Attempt>,
}

impl Hold<'_> {
    async fn go(&mut self) -> Result<(), RunError> {
        let mut job = load(self.runner.store.as_ref(), self.claim.job).await?;
        let claimed = Event::Claimed { holder: self.runner.config.holder.clone(), token: self.claim.token };
        self.runner.record(self.claim, &mut job, vec![claimed], Vec::new()).await?;
        loop {
            self.fill(&job);
            match next(&job, self.runner.engine.clock.now_ms()) {
                Action::Over => return Ok(()),
                Action::Record(event) => {
                    self.runner.record(self.claim, &mut job, vec![event], Vec::new()).await?;
                }
                Action::Run(attempts) => {
                    let begin = attempts.iter().map(|attempt| attempt.begin()).collect();
                    if self.runner.record(self.claim, &mut job, begin, Vec::new()).await? {
                        let begun = attempts.into_iter().map(|attempt| ((attempt.step, attempt.undo), attempt));
                        self.waiting.extend(begun);
                    }
                }
                Action::Stop(attempts) => {
                    self.waiting.clear();
                    self.working = FuturesUnordered::new();
                    let stopped = attempts.into_iter().map(|attempt| attempt.end(StepResult::Stopped)).collect();
                    self.runner.record(self.claim, &mut job, stopped, Vec::new()).await?;
                }
                Action::Wait(until_ms) => self.pause(&mut job, Some(until_ms)).await?,
                Action::Rest if job.held.is_some() && !job.is_anything_running() => return Ok(()),
                Action::Rest => self.pause(&mut job, None).await?,
            }
        }
    }

    /// Begins what was recorded as begun, as far as there is room.
    fn fill(&mut self, job: &Job) {
        while self.working.len() < self.runner.config.steps {
            let Some((_, attempt)) = self.waiting.pop_first() else { return };
            let store = Arc::clone(&self.runner.store);
            let performed = self.runner.engine.perform(store, job, attempt);
            self.working.push(performed.map(move |performed| (attempt, performed)).boxed());
        }
    }

    /// Waits for a step to end, for the time to come, for somebody to ask something; renews the lease meanwhile.
    async fn pause(&mut self, job: &mut Job, until_ms: Option<u64>) -> Result<(), RunError> {
        let (config, clock) = (&self.runner.config, self.runner.engine.clock.as_ref());
        // Renewing also tells whether somebody asked something.
        let lease_ms = clock::ms(config.lease);
        let renew_ms = self.lease_until_ms.saturating_sub(lease_ms) + (lease_ms / 3).min(clock::ms(config.poll));
        let ended = tokio::select! {
            biased;
            () = clock.sleep_until(renew_ms) => None,
            Some(ended) = self.working.next() => Some(ended),
            () = clock.sleep_until(until_ms.unwrap_or(renew_ms)) => return Ok(()),
        };
        match ended {
            Some((attempt, performed)) => {
                let event = attempt.end(performed.result);
                self.runner.record(self.claim, job, vec![event], performed.artifacts).await.map(drop)
            }
            None => self.renew(job).await,
        }
    }

    async fn renew(&mut self, job: &mut Job) -> Result<(), RunError> {
        let (store, clock) = (&self.runner.store, self.runner.engine.clock.as_ref());
        let lease_ms = clock::ms(self.runner.config.lease);
        let asked_ms = clock.now_ms();
        let left_ms = self.lease_until_ms.saturating_sub(asked_ms);
        // Without an answer by the lease's end this ends, and drops what runs.
        let renewed = clock::within(clock, left_ms, store.renew(self.claim, lease_ms)).await;
        match renewed {
            Some(Ok(seq)) => {
                self.lease_until_ms = asked_ms.saturating_add(lease_ms);
                if seq == job.next_seq { Ok(()) } else { self.runner.catch_up(job).await }
            }
            Some(Err(error)) if error.is_away() && clock.now_ms() + lease_ms / RENEW_PARTS < self.lease_until_ms => {
                tracing::warn!(job = %self.claim.job, %error, "a lease could not be renewed yet");
                // It is as old as it was: the next pause renews again.
                clock.sleep_until(clock.now_ms().saturating_add(lease_ms / RENEW_PARTS)).await;
                Ok(())
            }
            Some(Err(StoreError::Fenced)) | None => Err(RunError::LeaseLost),
            Some(Err(error)) => Err(error.into()),
        }
    }
}

/// Reads a job.
///
/// # Errors
/// The store, or events that make no job.
pub async fn load(store: &dyn JobStore, id: JobId) -> Result<Job, RunError> {
    let mut events = Vec::new();
    loop {
        let from = events.len() as u64;
        let rows = store.events(id, from).await?;
        if rows.is_empty() {
            break;
        }
        for row in rows {
            if row.seq != events.len() as u64 {
                return Err(StoreError::Corrupt("an event is missing").into());
            }
            events.push(Recorded::decode(id, row.seq, &row.text)?);
        }
    }
    if events.is_empty() {
        return Err(StoreError::Unknown(id).into());
    }
    Ok(Job::fold(id, &events)?)
}
