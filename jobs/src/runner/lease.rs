//! A lease on a job, and renewing it in time.

use super::RunError;
use crate::{
    clock::{Time, within},
    event::Seq,
    store::{Claim, JobStore, StoreError},
};

/// A lease that could not be renewed is tried again after such a part of it.
const PARTS: u64 = 12;

/// A lease that this controller has.
#[derive(Clone, Copy, Debug)]
pub struct Lease {
    /// On what.
    pub claim: Claim,
    /// How long one lasts.
    pub lasts_ms: u64,
    /// Until when it lasts, by this controller's clock, which began to count no later than the store's.
    pub until_ms: u64,
}

impl Lease {
    /// When it is to be renewed: after a third of it, or a poll, because that tells whether somebody asked something.
    pub fn renew_ms(&self, poll_ms: u64) -> u64 {
        self.until_ms.saturating_sub(self.lasts_ms) + (self.lasts_ms / 3).min(poll_ms)
    }

    /// Renews it. Answers the number of the next event; none where the store is away and there is still time.
    ///
    /// # Errors
    /// [`RunError::LeaseLost`], or what the store refuses.
    pub async fn renew(&mut self, store: &dyn JobStore, clock: &dyn Time) -> Result<Option<Seq>, RunError> {
        let asked_ms = clock.now_ms();
        let left_ms = self.until_ms.saturating_sub(asked_ms);
        // Without an answer by the lease's end whoever holds it ends, and drops what runs.
        let renewed = within(clock, left_ms, store.renew(self.claim, self.lasts_ms)).await;
        match renewed {
            Some(Ok(seq)) => {
                self.until_ms = asked_ms.saturating_add(self.lasts_ms);
                Ok(Some(seq))
            }
            Some(Err(error)) if error.is_away() && clock.now_ms() + self.lasts_ms / PARTS < self.until_ms => {
                tracing::warn!(job = %self.claim.job, %error, "a lease could not be renewed yet");
                // It is as old as it was: the next pause renews again.
                clock.sleep_until(clock.now_ms().saturating_add(self.lasts_ms / PARTS)).await;
                Ok(None)
            }
            Some(Err(StoreError::Fenced)) | None => Err(RunError::LeaseLost),
            Some(Err(error)) => Err(error.into()),
        }
    }
}
