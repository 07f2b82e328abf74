//! What jobs left on devices that they provision: followed as jobs go on, and found again after a start.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use causeway_interface::Code;
use causeway_jobs::{
    Job,
    adapter::Candidate,
    engine::{CANDIDATE, artifact},
    event::{End, Event, Recorded},
    job::Phase,
    runner::{Observer, RunError, load},
    spec::{JobId, Kind, Verb},
    status::JobStatus,
    store::{Filter, JobRow, JobStore, MAX_PAGE, Position, Row, StoreError},
};

use super::{port, to_withdraw};
use crate::{
    orders::{Served, Wanted},
    shared::Shared,
};

/// Jobs of a device that are looked through for the last one that brought something: a hundred failures in a row.
const LOOKED_THROUGH: usize = 100;

/// Between two looks at what other controllers' jobs came to: an agent that comes from there is served what it runs soon after.
const FOLLOW: Duration = Duration::from_secs(2);

/// Follows jobs: an order of one that goes back is closed, and what one left is served from then on.
pub struct Following {
    shared: Weak<Shared>,
    store: Arc<dyn JobStore>,
}

impl Following {
    /// For a controller.
    #[must_use]
    pub fn new(shared: Weak<Shared>, store: Arc<dyn JobStore>) -> Self {
        Self { shared, store }
    }
}

/// What an order's correlation id begins with, of a job.
fn mine(job: JobId) -> String {
    format!("job{job}-")
}

/// Whether a job of this kind leaves a configuration.
fn leaves(kind: Kind) -> bool {
    match kind {
        Kind::Provision | Kind::Revert | Kind::Decommission | Kind::NetworkChange => true,
        Kind::DryRun => false,
    }
}

/// Hash of what a job made for a device, in hex.
fn made<'a>(job: &'a Job, device: &Code) -> Option<&'a str> {
    let steps = job.spec.steps.iter().zip(&job.steps);
    let mut render = steps.filter(|(spec, _)| spec.verb == Verb::Render && spec.device == *device);
    render.next()?.1.forward.facts.sha256.as_deref()
}

impl Observer for Following {
    fn recorded(&self, job: &Job, recorded: &Recorded) {
        let Some(shared) = self.shared.upgrade() else { return };
        if let Event::BackBegan(_) | Event::Ended(_) = recorded.event {
            for device in to_withdraw(job) {
                let open = shared.orders.of(&device).open;
                let order = open.and_then(|served| served.order.clone());
                if order.is_some_and(|order| order.correlation.starts_with(&mine(job.id))) {
                    shared.orders.withdraw(&device, &shared.signer);
                    shared.nudge();
                }
            }
        }
        if matches!(recorded.event, Event::Ended(_)) {
            self.ended(&shared, job);
        }
    }

    /// Somebody else goes on with it, or this one later: what was offered for it is not offered any more.
    fn left(&self, job: JobId, _: &RunError) {
        let Some(shared) = self.shared.upgrade() else { return };
        if shared.orders.forget(&mine(job)) {
            shared.nudge();
        }
    }
}

impl Following {
    /// Serves from now on what a job left that ended well, here or at another controller.
    fn ended(&self, shared: &Arc<Shared>, job: &Job) {
        let ended_well = matches!(job.phase, Phase::Ended(End::Done | End::Partly(_)));
        if !(ended_well && leaves(job.spec.kind)) {
            return;
        }
        for target in &job.spec.targets {
            let device = target.device;
            let known = shared.orders.of(&device).kept.map(|kept| hex::encode(kept.sha256));
            if known.as_deref() == made(job, &device) {
                continue;
            }
            // Another controller had the order: what it was is in the store.
            let (shared, store, id) = (Arc::clone(shared), Arc::clone(&self.store), job.id);
            tokio::spawn(async move {
                match left(&shared, store.as_ref(), id, &device).await {
                    Ok(Some(served)) => {
                        shared.orders.left(&device, served);
                        shared.nudge();
                    }
                    Ok(None) => {}
                    Err(error) => tracing::warn!(job = %id, %device, %error, "what a job left can't be read"),
                }
            });
        }
    }

    /// Takes in how jobs end that other controllers work on, as the store tells it.
    pub async fn follow_others(self) {
        let Some(mut stopping) = self.shared.upgrade().map(|shared| shared.stopping.clone()) else { return };
        let mut after = None;
        loop {
            let behind = match self.look(&mut after).await {
                Ok(behind) => behind,
                Err(error) => {
                    tracing::warn!(%error, "how jobs of other controllers end is not known for now");
                    false
                }
            };
            let pause = if behind { Duration::ZERO } else { FOLLOW };
            tokio::select! {
                _ = stopping.wait_for(|stop| *stop) => return,
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// Looks through what was added since the last look; says whether there is more.
    async fn look(&self, after: &mut Option<Position>) -> Result<bool, StoreError> {
        let Some(from) = *after else {
            *after = Some(self.store.tail().await?);
            return Ok(false);
        };
        let rows = self.store.feed(from, MAX_PAGE).await?;
        // What makes no sense, or is a rollout's, ends no job.
        let is_end = |row: &&Row| {
            let recorded = Recorded::decode(row.job, row.seq, &row.text);
            recorded.is_ok_and(|recorded| matches!(recorded.event, Event::Ended(_)))
        };
        for row in rows.iter().filter(is_end) {
            let Some(shared) = self.shared.upgrade() else { return Ok(false) };
            match load(self.store.as_ref(), row.job).await {
                Ok(job) => self.ended(&shared, &job),
                Err(RunError::Store(error)) => return Err(error),
                Err(error) => tracing::debug!(job = %row.job, %error, "a job that can't be read left nothing"),
            }
        }
        *after = rows.last().map(|row| row.position).or(*after);
        Ok(rows.len() == MAX_PAGE)
    }
}

/// What a job left on a device, signed anew.
async fn left(shared: &Shared, store: &dyn JobStore, job: JobId, device: &Code) -> Result<Option<Served>, StoreError> {
    let Some(bytes) = store.artifact(job, artifact(device, CANDIDATE)).await? else { return Ok(None) };
    let Ok(candidate) = serde_json::from_slice::<Candidate>(&bytes) else {
        return Err(StoreError::Corrupt("a configuration that is none"));
    };
    let Some(family) = port::platform(candidate.family) else { return Ok(None) };
    let wanted = Wanted { generation: candidate.generation, family, text: candidate.text.into() };
    Ok(Some(Served::sign(device, wanted, None, &shared.signer)))
}

/// Of a device's jobs, the youngest first, the one whose end it runs.
fn last(mut rows: Vec<JobRow>) -> Option<JobId> {
    let good = [JobStatus::Provisioned.name(), JobStatus::Partial.name()];
    rows.retain(|row| row.kind != Kind::DryRun.name() && good.contains(&row.summary.status.as_str()));
    // A job that was retried ended later than its number says.
    rows.into_iter().max_by_key(|row| row.changed_ms).map(|row| row.id)
}

async fn find(shared: &Shared, store: &dyn JobStore, device: &Code) -> Result<Option<Served>, StoreError> {
    let filter = Filter { device: Some(*device), ..Filter::default() };
    match last(store.list(filter, LOOKED_THROUGH).await?) {
        Some(job) => left(shared, store, job, device).await,
        None => Ok(None),
    }
}

/// Finds what the last job left on each device that jobs provision, as devices become known.
pub async fn look_up(shared: Arc<Shared>, store: Arc<dyn JobStore>) {
    let (mut stopping, mut changed) = (shared.stopping.clone(), shared.subscribe());
    loop {
        changed.borrow_and_update();
        let due: Vec<Code> = {
            let served = shared.store();
            let by_jobs = served.entries().keys().filter(|device| shared.is_by_jobs(&served, device));
            by_jobs.filter(|device| !shared.orders.is_looked_up(device)).copied().collect()
        };
        for device in due {
            match find(&shared, store.as_ref(), &device).await {
                Ok(kept) => {
                    let any = kept.is_some();
                    shared.orders.looked_up(&device, kept);
                    if any {
                        shared.nudge();
                    }
                }
                Err(error) => tracing::warn!(%device, %error, "what the last job left can't be looked up yet"),
            }
        }
        tokio::select! {
            _ = stopping.wait_for(|stop| *stop) => return,
            more = changed.changed() => if more.is_err() { return },
        }
        // Not at every notice: devices appear seldom.
        tokio::select! {
            _ = stopping.wait_for(|stop| *stop) => return,
            () = tokio::time::sleep(super::TRY_AGAIN.min(Duration::from_secs(1))) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use causeway_jobs::store::Summary;

    use super::*;

    #[test]
    fn what_runs_is_of_the_job_that_ended_well_last() {
        let row = |id, kind: &str, status: &str, changed_ms| JobRow {
            id: JobId(id),
            kind: kind.into(),
            parent: None,
            summary: Summary {
                status: status.into(),
                state: String::new(),
                percent: 100,
                holds: false,
                runnable: false,
            },
            holder: None,
            next_seq: 1,
            created_ms: 0,
            changed_ms,
            broken: None,
        };
        let rows = vec![
            row(5, "dry-run", "NOT_PROVISIONED", 90),
            row(4, "provision", "FAILED", 80),
            row(3, "provision", "PROVISIONED", 20),
            row(2, "provision", "PARTIAL", 30),
            row(1, "provision", "PROVISIONED", 10),
        ];
        assert_eq!(last(rows), Some(JobId(2)));
        assert_eq!(last(vec![row(4, "provision", "FAILED", 80)]), None);
    }
}
