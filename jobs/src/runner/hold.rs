//! One job in hand: does what [`next`] says, records it, renews the lease.

use std::{collections::BTreeMap, sync::Arc};

use futures::{FutureExt as _, StreamExt as _, future::BoxFuture, stream::FuturesUnordered};

use super::{Lease, RunError, Runner};
use crate::{
    clock,
    engine::{Kept, Performed},
    event::{Event, Recorded, StepResult},
    job::{FoldError, Job},
    next::{Action, Attempt, next},
};

/// Events that follow from one another and are recorded at once, at most; what is left follows in the next append.
const MAX_TOGETHER: usize = 512;

type Ended = (Attempt, Performed);

/// One job in hand.
pub struct Hold<'a> {
    runner: &'a Runner,
    lease: Lease,
    working: FuturesUnordered<BoxFuture<'static, Ended>>,
    /// Recorded as begun, and waiting for room.
    waiting: BTreeMap<(u16, bool), Attempt>,
    /// What steps left that others need.
    kept: Arc<Kept>,
}

impl<'a> Hold<'a> {
    pub fn new(runner: &'a Runner, lease: Lease) -> Self {
        let kept = Arc::new(Kept::new(Arc::clone(&runner.store)));
        Self { runner, lease, working: FuturesUnordered::new(), waiting: BTreeMap::new(), kept }
    }

    /// Works on it until it is over, or there is nothing to do.
    pub async fn go(&mut self, mut job: Job) -> Result<(), RunError> {
        let claimed = Event::Claimed { holder: self.runner.config.holder.clone(), token: self.lease.claim.token };
        self.record(&mut job, vec![claimed], Vec::new()).await?;
        loop {
            self.fill(&job);
            match next(&job, self.runner.engine.clock.now_ms()) {
                Action::Over => return Ok(()),
                Action::Record(_) | Action::Run(_) => self.record(&mut job, Vec::new(), Vec::new()).await?,
                Action::Stop(attempts) => {
                    self.waiting.clear();
                    self.working = FuturesUnordered::new();
                    let stopped = attempts.into_iter().map(|attempt| attempt.end(StepResult::Stopped)).collect();
                    self.record(&mut job, stopped, Vec::new()).await?;
                }
                Action::Wait(until_ms) => self.pause(&mut job, Some(until_ms)).await?,
                Action::Rest if !job.is_runnable() && !job.is_anything_running() => return Ok(()),
                Action::Rest => self.pause(&mut job, None).await?,
            }
        }
    }

    /// Records what happened, what steps left, and in the same append what follows from it: every append is a write to a
    /// disk, and a step that begins where another ended needs none of its own.
    async fn record(
        &mut self,
        job: &mut Job,
        happened: Vec<Event>,
        left: Vec<(String, Vec<u8>)>,
    ) -> Result<(), RunError> {
        let at_ms = self.runner.engine.clock.now_ms();
        let (follow, begun) = follows(job, &happened, at_ms)?;
        let all: Vec<Event> = happened.iter().cloned().chain(follow).collect();
        if self.runner.append(self.lease.claim, job, &all, &left, at_ms).await? {
            self.waiting.extend(begun.into_iter().map(|attempt| ((attempt.step, attempt.undo), attempt)));
            self.kept.left(&left);
        } else if !happened.is_empty() {
            // Somebody asked something in between: something else follows, but what happened did.
            self.runner.record(self.lease.claim, job, happened, left.clone(), at_ms).await?;
            self.kept.left(&left);
        }
        Ok(())
    }

    /// Begins what was recorded as begun, as far as there is room.
    fn fill(&mut self, job: &Job) {
        while self.working.len() < self.runner.config.steps {
            let Some((_, attempt)) = self.waiting.pop_first() else { return };
            let performed = self.runner.engine.perform(Arc::clone(&self.kept), job, attempt);
            self.working.push(performed.map(move |performed| (attempt, performed)).boxed());
        }
    }

    /// Waits for a step to end, for the time to come, for somebody to ask something; renews the lease meanwhile.
    async fn pause(&mut self, job: &mut Job, until_ms: Option<u64>) -> Result<(), RunError> {
        let (config, clock) = (&self.runner.config, self.runner.engine.clock.as_ref());
        // Renewing also tells whether somebody asked something.
        let renew_ms = self.lease.renew_ms(clock::ms(config.poll));
        let ended = tokio::select! {
            biased;
            () = clock.sleep_until(renew_ms) => None,
            Some(ended) = self.working.next() => Some(ended),
            () = clock.sleep_until(until_ms.unwrap_or(renew_ms)) => return Ok(()),
        };
        match ended {
            Some((attempt, performed)) => {
                let event = attempt.end(performed.result);
                self.record(job, vec![event], performed.artifacts).await
            }
            None => self.renew(job).await,
        }
    }

    async fn renew(&mut self, job: &mut Job) -> Result<(), RunError> {
        let (store, clock) = (self.runner.store.as_ref(), self.runner.engine.clock.as_ref());
        match self.lease.renew(store, clock).await? {
            Some(seq) if seq != job.next_seq => self.runner.catch_up(job).await,
            Some(_) | None => Ok(()),
        }
    }
}

/// What follows from these events, and what begins with it.
fn follows(job: &Job, happened: &[Event], at_ms: u64) -> Result<(Vec<Event>, Vec<Attempt>), FoldError> {
    let mut after = job.clone();
    for event in happened {
        after.advance(&Recorded { at_ms, event: event.clone() })?;
    }
    let (mut follow, mut begun) = (Vec::new(), Vec::new());
    while follow.len() < MAX_TOGETHER {
        let events = match next(&after, at_ms) {
            Action::Record(event) => vec![event],
            Action::Run(attempts) => {
                begun.extend_from_slice(&attempts);
                attempts.into_iter().map(Attempt::begin).collect()
            }
            Action::Stop(_) | Action::Wait(_) | Action::Rest | Action::Over => break,
        };
        for event in events {
            let recorded = Recorded { at_ms, event };
            after.advance(&recorded)?;
            follow.push(recorded.event);
        }
    }
    Ok((follow, begun))
}
