//! Works on jobs: claims them, does what [`next`](crate::next::next) says, records it before and after, and holds its leases.
//!
//! Nothing that a runner knows is needed by the next one: dropped at any await, killed, or cut off from the store, it
//! leaves events from which another goes on. What is done without a lease is bounded by it: a step is dropped when the
//! lease was not renewed in time.

mod hold;
mod lease;
pub mod near;

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::{Notify, watch},
    task::JoinSet,
};

pub(crate) use self::lease::Lease;
use self::{
    hold::Hold,
    near::{Reach, Taken},
};
use crate::{
    clock,
    desk::Desk,
    engine::Engine,
    event::{Event, EventError, Recorded},
    job::{FoldError, Job},
    kinds::Policy,
    rollout::{self, Budget, NoOracles, Oracles, Pace, Rollout},
    spec::JobId,
    store::{Append, Claim, JobStore, MAX_PAGE, Row, StoreError, Summary},
};

/// Between two looks for what was not approved in time.
const EXPIRE: Duration = Duration::from_secs(60);

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

    /// The same of a rollout.
    fn rollout_recorded(&self, _rollout: &Rollout, _event: &rollout::Recorded) {}

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
    /// A device can't be worked on from here any more.
    #[error("a device of the job is out of this controller's reach")]
    OutOfReach,
    /// Events that can't be read.
    #[error("the job's events can not be read")]
    Event(#[from] EventError),
    /// Events that make no job.
    #[error("the job's events make no sense")]
    Fold(#[from] FoldError),
    /// Events that make no rollout.
    #[error("the rollout's events make no sense")]
    Rollout(#[from] rollout::FoldError),
    /// A rollout where a job was asked for, or the other way round.
    #[error("number {0} is not a {1}")]
    OtherKind(JobId, &'static str),
}

impl RunError {
    /// Page in docs/errors.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Store(StoreError::Fenced) | Self::LeaseLost => crate::error::LEASE_LOST.code,
            Self::OutOfReach => crate::error::OUT_OF_REACH.code,
            Self::Store(_) => crate::error::STORE.code,
            Self::Event(_) | Self::Fold(_) | Self::Rollout(_) => crate::error::UNDECODABLE.code,
            Self::OtherKind(..) => crate::error::OTHER_KIND.code,
        }
    }
}

/// Works on jobs until it is told to stop.
#[derive(Clone)]
pub struct Runner {
    pub(crate) engine: Arc<Engine>,
    pub(crate) store: Arc<dyn JobStore>,
    pub(crate) config: RunnerConfig,
    pub(crate) observers: Vec<Arc<dyn Observer>>,
    /// Somebody here started a job, or asked something of one.
    wake: Arc<Notify>,
    /// What jobs of rollouts are made by.
    policy: Policy,
    pub(crate) oracles: Arc<dyn Oracles>,
    /// What is reached from here; everything where there is none.
    reach: Option<Arc<dyn Reach>>,
    /// How many devices all rollouts together may begin in a time.
    pub(crate) pace: Option<Arc<Pace>>,
    /// Rollouts in hand: they wait for jobs, and must not take their room.
    rollouts: Arc<AtomicUsize>,
}

impl Runner {
    /// Makes one.
    #[must_use]
    pub fn new(engine: Arc<Engine>, store: Arc<dyn JobStore>, config: RunnerConfig) -> Self {
        Self {
            engine,
            store,
            config,
            observers: Vec::new(),
            wake: Arc::default(),
            policy: Policy::default(),
            oracles: Arc::new(NoOracles),
            reach: None,
            pace: None,
            rollouts: Arc::default(),
        }
    }

    /// With what rollouts need: how their jobs are made, and who knows how devices are. Without it a wave that soaks by
    /// health goes back, because nobody knows.
    #[must_use]
    pub fn rolling(mut self, policy: Policy, oracles: Arc<dyn Oracles>) -> Self {
        (self.policy, self.oracles) = (policy, oracles);
        self
    }

    /// With what it reaches: of a store that several controllers share it takes the jobs whose devices are here.
    #[must_use]
    pub fn reaching(mut self, reach: Arc<dyn Reach>) -> Self {
        self.reach = Some(reach);
        self
    }

    /// With a budget over all rollouts, beside those that they have of their own; as many as there are where there is none.
    #[must_use]
    pub fn paced(mut self, budget: Option<Budget>) -> Self {
        self.pace = budget.map(|budget| Arc::new(Pace::new(budget)));
        self
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

    /// Where this one's rollouts ask for their jobs.
    pub(crate) fn desk(&self) -> Desk {
        let (store, clock) = (Arc::clone(&self.store), Arc::clone(&self.engine.clock));
        Desk::new(store, self.engine.registry.clone(), self.policy.clone(), clock, Some(self.waker()))
    }

    /// Works until told to stop; then lets go of every job, each to be gone on with by whoever comes next.
    pub async fn run(self, mut stop: watch::Receiver<bool>) {
        let mut working: JoinSet<()> = JoinSet::new();
        let (desk, mut expire_ms) = (self.desk(), self.engine.clock.now_ms());
        loop {
            while working.try_join_next().is_some() {}
            let free = (self.config.jobs + self.rollouts.load(Ordering::SeqCst)).saturating_sub(working.len());
            let mut claimed = Vec::new();
            // Counted from before the store was asked: its clock began no earlier.
            let asked_ms = self.engine.clock.now_ms();
            if free > 0 {
                match self.claim(free).await {
                    Ok(claims) => claimed = claims,
                    Err(error) => tracing::warn!(%error, "no jobs can be claimed"),
                }
            }
            let any = !claimed.is_empty();
            for (claim, taken) in claimed {
                let (runner, stop) = (self.clone(), stop.clone());
                working.spawn(async move { runner.work(claim, taken, asked_ms, stop).await });
            }
            if any {
                continue;
            }
            if self.engine.clock.now_ms() >= expire_ms {
                expire_ms = self.engine.clock.now_ms().saturating_add(clock::ms(EXPIRE));
                if let Err(error) = desk.expire().await {
                    tracing::warn!(%error, "what was not approved in time is not known");
                }
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
    async fn work(&self, claim: Claim, taken: Taken, asked_ms: u64, mut stop: watch::Receiver<bool>) {
        let lasts_ms = clock::ms(self.config.lease);
        let lease = Lease { claim, lasts_ms, until_ms: asked_ms.saturating_add(lasts_ms) };
        let ended = tokio::select! {
            biased;
            ended = self.go(lease) => ended,
            () = self.has_gone(&taken) => Err(RunError::OutOfReach),
            _ = stop.wait_for(|stop| *stop) => Ok(()),
        };
        match ended {
            Ok(()) => {
                // Best effort: a lease that is not given back runs out.
                let _ = self.store.release(claim).await;
            }
            Err(error) => {
                let cause = std::error::Error::source(&error).map(ToString::to_string);
                tracing::warn!(job = %claim.job, code = error.code(), %error, ?cause, "a job was let go of");
                if matches!(error, RunError::OutOfReach) {
                    // Whoever reaches its devices goes on at once. Best effort, as above.
                    let _ = self.store.release(claim).await;
                }
                if let RunError::Event(_) | RunError::Fold(_) | RunError::Rollout(_) = error {
                    let words = format!("{}: {}", error, cause.unwrap_or_default());
                    if let Err(error) = self.store.set_broken(claim, words).await {
                        tracing::warn!(job = %claim.job, %error, "a job that can't be read could not be put aside");
                    }
                }
                self.observers.iter().for_each(|observer| observer.left(claim.job, &error));
            }
        }
    }

    async fn go(&self, lease: Lease) -> Result<(), RunError> {
        let rows = read(self.store.as_ref(), lease.claim.job).await?;
        if rows.first().is_some_and(|first| rollout::is_rollout(&first.text)) {
            let _aside = Aside::of(&self.rollouts);
            // There is room for a job again.
            self.wake.notify_one();
            return rollout::Driver::new(self, lease).go(rollout::load_rows(lease.claim.job, &rows)?).await;
        }
        let job = folded(lease.claim.job, &rows)?;
        // Another controller may have what this one has not: an address, a transport.
        if self.shares() && job.cancel.is_none() && self.engine.registry.check(&job.spec).is_err() {
            return Err(RunError::OutOfReach);
        }
        Hold::new(self, lease).go(job).await
    }

    /// Takes in what somebody else added.
    pub(crate) async fn catch_up(&self, job: &mut Job) -> Result<(), RunError> {
        for row in self.store.events(job.id, job.next_seq, MAX_PAGE).await? {
            let recorded = Recorded::decode(job.id, row.seq, &row.text)?;
            job.apply(&recorded)?;
            self.observers.iter().for_each(|observer| observer.recorded(job, &recorded));
        }
        Ok(())
    }

    /// Records what happened, and what steps left. What somebody else added in between is taken in first; false where that
    /// made it pointless, and nothing was recorded.
    pub(crate) async fn record(
        &self,
        claim: Claim,
        job: &mut Job,
        events: Vec<Event>,
        artifacts: Vec<(String, Vec<u8>)>,
        at_ms: u64,
    ) -> Result<bool, RunError> {
        let mut caught_up = false;
        loop {
            match self.append(claim, job, &events, &artifacts, at_ms).await {
                Ok(true) => return Ok(true),
                Ok(false) => caught_up = true,
                Err(RunError::Fold(_)) if caught_up => return Ok(false),
                Err(error) => return Err(error),
            }
        }
    }

    /// Records these events on the job as it is. False where somebody else added something in between: that is taken in, and
    /// what follows from it may be something else, so that nothing was recorded.
    pub(crate) async fn append(
        &self,
        claim: Claim,
        job: &mut Job,
        events: &[Event],
        artifacts: &[(String, Vec<u8>)],
        at_ms: u64,
    ) -> Result<bool, RunError> {
        let mut after = job.clone();
        let mut texts = Vec::with_capacity(events.len());
        let mut steps: Vec<(Job, Recorded)> = Vec::new();
        for event in events {
            let recorded = Recorded { at_ms, event: event.clone() };
            texts.push(recorded.encode(job.id, after.next_seq)?);
            after.advance(&recorded)?;
            if !self.observers.is_empty() {
                steps.push((after.clone(), recorded));
            }
        }
        let append = Append {
            job: job.id,
            seq: job.next_seq,
            token: Some(claim.token),
            events: texts,
            artifacts: artifacts.to_vec(),
            summary: Summary::of(&after),
        };
        match self.store.append(append).await {
            Ok(()) => {
                *job = after;
                for (job, recorded) in &steps {
                    self.observers.iter().for_each(|observer| observer.recorded(job, recorded));
                }
                Ok(true)
            }
            Err(StoreError::Conflict { .. }) => {
                self.catch_up(job).await?;
                Ok(false)
            }
            Err(error) => Err(error.into()),
        }
    }
}

/// Counted as a rollout for as long as it lives.
struct Aside(Arc<AtomicUsize>);

impl Aside {
    fn of(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::SeqCst);
        Self(Arc::clone(count))
    }
}

impl Drop for Aside {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Reads a job.
///
/// # Errors
/// The store, or events that make no job.
pub async fn load(store: &dyn JobStore, id: JobId) -> Result<Job, RunError> {
    let rows = read(store, id).await?;
    if rows.first().is_some_and(|first| rollout::is_rollout(&first.text)) {
        return Err(RunError::OtherKind(id, "job"));
    }
    folded(id, &rows)
}

fn folded(id: JobId, rows: &[Row]) -> Result<Job, RunError> {
    let events: Result<Vec<Recorded>, EventError> =
        rows.iter().map(|row| Recorded::decode(id, row.seq, &row.text)).collect();
    Ok(Job::fold(id, &events?)?)
}

/// Every event of a job, or of a rollout, as it is kept.
///
/// # Errors
/// The store; [`StoreError::Unknown`] where there is none.
pub(crate) async fn read(store: &dyn JobStore, id: JobId) -> Result<Vec<Row>, RunError> {
    let mut all: Vec<Row> = Vec::new();
    loop {
        let page = store.events(id, all.len() as u64, MAX_PAGE).await?;
        // One page is the whole of nearly every job.
        let is_last = page.len() < MAX_PAGE;
        for row in page {
            if row.seq != all.len() as u64 {
                return Err(StoreError::Corrupt("an event is missing").into());
            }
            all.push(row);
        }
        if is_last {
            break;
        }
    }
    if all.is_empty() { Err(StoreError::Unknown(id).into()) } else { Ok(all) }
}
