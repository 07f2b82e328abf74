//! How many devices all rollouts together may begin in a time.
//!
//! Each rollout is worked on by itself; what others began is read from the store, and of those that did not change it is
//! known. Within one controller rollouts begin devices one after the other, so that together they keep to it. Controllers that
//! begin devices at the very same moment may exceed it, each by what it begins at once.

use std::collections::BTreeMap;

use tokio::sync::{Mutex, MutexGuard};

use super::{
    drive::load,
    next::Room,
    spec::{Budget, KIND},
    state::Rollout,
};
use crate::{
    event::Seq,
    runner::RunError,
    spec::{JobId, Kind},
    store::{Filter, JobRow, JobStore, MAX_PAGE},
};

/// What a rollout has begun, as of one of its events.
#[derive(Debug)]
struct Known {
    seq: Seq,
    begun: Vec<(u64, u32)>,
}

/// What is known of rollouts; who holds it may begin devices.
pub type Turn<'a> = MutexGuard<'a, Others>;

/// What is known of rollouts, by number.
#[derive(Debug, Default)]
pub struct Others(BTreeMap<JobId, Known>);

/// A budget over all rollouts.
#[derive(Debug)]
pub struct Pace {
    budget: Budget,
    others: Mutex<Others>,
}

impl Pace {
    pub fn new(budget: Budget) -> Self {
        Self { budget, others: Mutex::default() }
    }

    /// Waits until nobody else of this controller is about to begin devices.
    pub async fn turn(&self) -> Turn<'_> {
        self.others.lock().await
    }

    /// How many devices a rollout may begin now, as far as all rollouts together are concerned.
    ///
    /// # Errors
    /// The store's. A rollout that can't be read counts for nothing: nobody works on it.
    pub async fn room(
        &self,
        turn: &mut Turn<'_>,
        store: &dyn JobStore,
        rollout: &Rollout,
        now_ms: u64,
    ) -> Result<Room, RunError> {
        let filter = Filter { kind: Some(KIND.to_owned()), ..Filter::default() };
        let rows = store.list(filter, MAX_PAGE).await?;
        let counts = |row: &JobRow| {
            let is_recent = row.changed_ms.saturating_add(self.budget.per_ms) > now_ms;
            row.id != rollout.id && (row.summary.holds || is_recent)
        };
        let mut known = BTreeMap::new();
        for row in rows.into_iter().filter(counts) {
            let of = match turn.0.remove(&row.id) {
                Some(of) if of.seq == row.next_seq => of,
                Some(_) | None => Known { seq: row.next_seq, begun: begun(store, row.id).await? },
            };
            known.insert(row.id, of);
        }
        turn.0 = known;
        let others = turn.0.values().flat_map(|of| of.begun.iter().copied());
        Ok(room(self.budget, others.chain(rollout.begun()), now_ms))
    }
}

async fn begun(store: &dyn JobStore, id: JobId) -> Result<Vec<(u64, u32)>, RunError> {
    match load(store, id).await {
        Ok(rollout) if counts(&rollout) => Ok(rollout.begun().collect()),
        Ok(_) => Ok(Vec::new()),
        Err(RunError::Store(error)) => Err(error.into()),
        Err(error) => {
            tracing::warn!(rollout = %id, %error, "what a rollout has begun can't be read, and is not counted");
            Ok(Vec::new())
        }
    }
}

/// Whether what it begins counts: a dry run changes nothing.
pub fn counts(rollout: &Rollout) -> bool {
    rollout.spec.kind != Kind::DryRun
}

/// What is left of a budget, and when some of it comes back.
fn room(budget: Budget, begun: impl Iterator<Item = (u64, u32)>, now_ms: u64) -> Room {
    let ends = begun.map(|(at_ms, count)| (at_ms.saturating_add(budget.per_ms), count));
    let open = ends.filter(|(end_ms, count)| *end_ms > now_ms && *count > 0);
    let (spent, back_ms) = open.fold((0_u32, None::<u64>), |(spent, first), (end_ms, count)| {
        (spent.saturating_add(count), Some(first.map_or(end_ms, |first| first.min(end_ms))))
    });
    Room { devices: budget.devices.saturating_sub(spent), back_ms }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_begun_within_the_time_is_spent_and_comes_back_with_the_first_of_it() {
        let budget = Budget { devices: 5, per_ms: 100 };
        let left = |begun: &[(u64, u32)], now_ms| {
            let Room { devices, back_ms } = room(budget, begun.iter().copied(), now_ms);
            (devices, back_ms)
        };
        assert_eq!(left(&[], 0), (5, None));
        assert_eq!(left(&[(0, 2), (50, 2)], 60), (1, Some(100)));
        assert_eq!(left(&[(0, 2), (50, 2)], 100), (3, Some(150)));
        assert_eq!(left(&[(0, 2), (50, 2)], 150), (5, None));
        assert_eq!(left(&[(50, 4), (40, 4)], 60), (0, Some(140)));
        // What was given back does not count.
        assert_eq!(left(&[(50, 0)], 60), (5, None));
    }
}
