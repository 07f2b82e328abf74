//! What is kept and what is judged, held together: a store behind, a fleet in memory in front.
//!
//! A batch is taken into the fleet and then kept, under one lock, so that nobody judges what is not kept. When keeping fails
//! or the store can't be read the fleet is thrown away and loaded anew by whoever needs it next; until that works nothing is
//! judged and nothing accepted.

use std::sync::{Arc, PoisonError, RwLock};

use super::{Append, Commit, StoreError, TelemetryStore, VerifiedBatch};
use crate::telemetry::{fleet::Fleet, loader::FleetLoader};

/// A store with its fleet.
pub struct Recorder {
    store: Arc<dyn TelemetryStore>,
    bucket_ms: u64,
    state: RwLock<State>,
}

impl std::fmt::Debug for Recorder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Recorder").field("bucket_ms", &self.bucket_ms).finish_non_exhaustive()
    }
}

#[derive(Default)]
struct State {
    /// How far back the fleet has to reach, in ms.
    window_ms: u64,
    fleet: Option<Fleet>,
}

impl State {
    /// The fleet, loaded if it has to be.
    fn fleet(&mut self, store: &dyn TelemetryStore, bucket_ms: u64, now_ms: u64) -> Result<&mut Fleet, StoreError> {
        match &mut self.fleet {
            Some(fleet) => Ok(fleet),
            slot @ None => {
                let mut loader = FleetLoader::new(bucket_ms, self.window_ms);
                store.load(now_ms.saturating_sub(self.window_ms), &mut loader)?;
                Ok(slot.insert(loader.finish()))
            }
        }
    }
}

impl Recorder {
    /// In front of this store, with buckets of this width. Nothing is read yet.
    #[must_use]
    pub fn new(store: Arc<dyn TelemetryStore>, bucket_ms: u64) -> Self {
        Self { store, bucket_ms, state: RwLock::default() }
    }

    /// Keeps batches, each wholly or not at all, in order; on return they survive a crash. One answer per batch.
    ///
    /// # Errors
    /// The store failed: nothing of the call counts.
    pub fn append(&self, batches: Vec<VerifiedBatch>) -> Result<Vec<Append>, StoreError> {
        let now_ms = batches.iter().map(|batch| batch.received_ms).max().unwrap_or(0);
        // A thread that died here died before or after a change, or has left a fleet that is loaded anew below.
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        let mut commit = Commit::default();
        // Taken out while it is changed: only a fleet whose changes were kept is put back.
        state.fleet(&*self.store, self.bucket_ms, now_ms)?;
        let Some(mut fleet) = state.fleet.take() else { return Err(StoreError::Poisoned) };
        let answers = take(&mut fleet, batches, &mut commit);
        if self.store.keeps_sums() {
            fleet.seal(&mut commit);
        } else {
            commit.blocks.clear();
        }
        if !commit.is_empty() {
            self.store.append(&commit)?;
        }
        state.fleet = Some(fleet);
        Ok(answers)
    }

    /// Reads the fleet, which reaches back at least `window_ms` from `now_ms`; it does not change meanwhile.
    ///
    /// # Errors
    /// The store can't be read, even if the fleet could be: what is held would not survive a restart. That is not "no
    /// data": nothing may be concluded from it.
    pub fn read<R>(&self, now_ms: u64, window_ms: u64, read: impl FnOnce(&Fleet) -> R) -> Result<R, StoreError> {
        if let Err(error) = self.store.check() {
            // What is added to a store that can't be read is lost with it: nothing is accepted until it was loaded anew.
            self.state.write().unwrap_or_else(PoisonError::into_inner).fleet = None;
            return Err(error);
        }
        {
            let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
            if let (Some(fleet), true) = (&state.fleet, state.window_ms >= window_ms) {
                return Ok(read(fleet));
            }
        }
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        if state.window_ms < window_ms {
            state.window_ms = window_ms;
            state.fleet = None;
        }
        Ok(read(state.fleet(&*self.store, self.bucket_ms, now_ms)?))
    }

    /// Looks at the fleet as it is held, without asking the store: for what is shown and not judged. Blocks while a commit is
    /// under way. None where nothing is held now: before the first round, and after a failure of the store.
    pub fn look<R>(&self, look: impl FnOnce(&Fleet) -> R) -> Option<R> {
        self.state.read().unwrap_or_else(PoisonError::into_inner).fleet.as_ref().map(look)
    }

    /// See [`TelemetryStore::prune`].
    ///
    /// # Errors
    /// The store failed.
    pub fn prune(&self, before_ms: u64) -> Result<bool, StoreError> {
        self.store.prune(before_ms)
    }

    /// The store behind.
    #[must_use]
    pub fn store(&self) -> &dyn TelemetryStore {
        &*self.store
    }
}

/// Takes batches into the fleet, in order of each device. Devices are taken by their numbers, not as they came: then rows
/// come sorted by series, which a store need not do again, and neighbours lie together in memory. One answer per batch, as
/// they came.
fn take(fleet: &mut Fleet, batches: Vec<VerifiedBatch>, commit: &mut Commit) -> Vec<Append> {
    let number = |batch: &VerifiedBatch| fleet.known(&batch.device).map_or(u32::MAX, |(number, _)| number);
    let mut order: Vec<_> =
        batches.into_iter().enumerate().map(|(place, batch)| (number(&batch), place, batch)).collect();
    order.sort_unstable_by_key(|(number, place, _)| (*number, *place));
    let mut answers: Vec<_> = order.into_iter().map(|(_, place, batch)| (place, fleet.take(batch, commit))).collect();
    answers.sort_unstable_by_key(|(place, _)| *place);
    answers.into_iter().map(|(_, answer)| answer).collect()
}
