//! One job in hand: does what [`next`] says, records it, renews the lease.

use std::{collections::BTreeMap, sync::Arc};

use futures::{FutureExt as _, StreamExt as _, future::BoxFuture, stream::FuturesUnordered};

use super::{Lease, RunError, Runner};
use crate::{
    clock,
    engine::Performed,
    event::{Event, StepResult},
    job::Job,
    next::{Action, Attempt, next},
};

type Ended = (Attempt, Performed);

/// One job in hand.
pub struct Hold<'a> {
    runner: &'a Runner,
    lease: Lease,
    working: FuturesUnordered<BoxFuture<'static, Ended>>,
    /// Recorded as begun, and waiting for room.
    waiting: BTreeMap<(u16, bool), Attempt>,
}

impl<'a> Hold<'a> {
    pub fn new(runner: &'a Runner, lease: Lease) -> Self {
        Self { runner, lease, working: FuturesUnordered::new(), waiting: BTreeMap::new() }
    }

    /// Works on it until it is over, or there is nothing to do.
    pub async fn go(&mut self, mut job: Job) -> Result<(), RunError> {
        let claimed = Event::Claimed { holder: self.runner.config.holder.clone(), token: self.lease.claim.token };
        self.runner.record(self.lease.claim, &mut job, vec![claimed], Vec::new()).await?;
        loop {
            self.fill(&job);
            match next(&job, self.runner.engine.clock.now_ms()) {
                Action::Over => return Ok(()),
                Action::Record(event) => {
                    self.runner.record(self.lease.claim, &mut job, vec![event], Vec::new()).await?;
                }
                Action::Run(attempts) => {
                    let begin = attempts.iter().map(|attempt| attempt.begin()).collect();
                    if self.runner.record(self.lease.claim, &mut job, begin, Vec::new()).await? {
                        let begun = attempts.into_iter().map(|attempt| ((attempt.step, attempt.undo), attempt));
                        self.waiting.extend(begun);
                    }
                }
                Action::Stop(attempts) => {
                    self.waiting.clear();
                    self.working = FuturesUnordered::new();
                    let stopped = attempts.into_iter().map(|attempt| attempt.end(StepResult::Stopped)).collect();
                    self.runner.record(self.lease.claim, &mut job, stopped, Vec::new()).await?;
                }
                Action::Wait(until_ms) => self.pause(&mut job, Some(until_ms)).await?,
                Action::Rest if !job.is_runnable() && !job.is_anything_running() => return Ok(()),
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
                self.runner.record(self.lease.claim, job, vec![event], performed.artifacts).await.map(drop)
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
