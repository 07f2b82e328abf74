//! A rollout in hand: does what [`next`] says, records what came of it, renews the lease.
//!
//! A device's job is started under the rollout's own lease, in one transaction of the store: a controller that has lost the
//! rollout starts nothing in its name. Whether a job was started whose number was not recorded is found out by looking for it.

use std::collections::BTreeMap;

use causeway_interface::Code;
use futures::{FutureExt as _, StreamExt as _, future::BoxFuture, stream};

use super::{
    event::{Event, Outcome, Place, Recorded, is_rollout},
    health::Health,
    next::{Action, Room, Work, next_within},
    pace,
    state::Rollout,
};
use crate::{
    clock,
    desk::{AskError, Desk},
    error::cut,
    event::{Cause, End},
    job::{Job, Phase},
    kinds::{self, Request},
    runner::{Lease, RunError, Runner, read},
    spec::{JobId, JobSpec, Kind, Trigger, Wanted},
    store::{Append, Filter, JobRow, JobStore, MAX_PAGE, Row, StoreError},
};

/// Jobs that are asked about or started at once.
const AT_ONCE: usize = 32;
/// Longest look at how devices are.
const LOOK_MS: u64 = 10_000;
/// Longest words that are recorded of one device, and of all that are not well.
const MAX_WORDS_BYTES: usize = 256;
/// Devices that are named when a wave is not well.
const MAX_NAMED: usize = 8;
/// Jobs of one device in one rollout that are looked through: more than it may have.
const MAX_JOBS: usize = 16;

/// Works on one rollout.
pub struct Driver<'a> {
    runner: &'a Runner,
    desk: Desk,
    lease: Lease,
}

/// Reads a rollout.
///
/// # Errors
/// The store, or events that make no rollout.
pub async fn load(store: &dyn JobStore, id: JobId) -> Result<Rollout, RunError> {
    let rows = read(store, id).await?;
    if rows.first().is_some_and(|first| !is_rollout(&first.text)) {
        return Err(RunError::OtherKind(id, "rollout"));
    }
    load_rows(id, &rows)
}

/// A rollout of what was read.
///
/// # Errors
/// Events that make no rollout.
pub fn load_rows(id: JobId, rows: &[Row]) -> Result<Rollout, RunError> {
    let events: Result<Vec<Recorded>, _> = rows.iter().map(|row| Recorded::decode(id, row.seq, &row.text)).collect();
    Ok(Rollout::fold(id, &events?)?)
}

impl<'a> Driver<'a> {
    pub fn new(runner: &'a Runner, lease: Lease) -> Self {
        Self { runner, desk: runner.desk(), lease }
    }

    /// Works on it until it is over, or there is nothing to do.
    pub async fn go(&mut self, mut rollout: Rollout) -> Result<(), RunError> {
        let clock = self.runner.engine.clock.as_ref();
        let (holder, token) = (self.runner.config.holder.clone(), self.lease.claim.token);
        self.record(&mut rollout, clock.now_ms(), vec![Event::Claimed { holder, token }]).await?;
        let poll_ms = clock::ms(self.runner.config.poll);
        loop {
            if clock.now_ms() >= self.lease.renew_ms(poll_ms) {
                self.renew(&mut rollout).await?;
            }
            let pace = self.runner.pace.as_deref().filter(|_| pace::counts(&rollout));
            let mut turn = match pace {
                Some(pace) => Some(pace.turn().await),
                None => None,
            };
            let now_ms = clock.now_ms();
            let room = match (pace, &mut turn) {
                (Some(pace), Some(turn)) => pace.room(turn, self.runner.store.as_ref(), &rollout, now_ms).await?,
                (_, _) => Room::ANY,
            };
            let action = next_within(&rollout, now_ms, room);
            if !matches!(action, Action::Record(_)) {
                turn = None;
            }
            match action {
                Action::Over | Action::Rest => return Ok(()),
                Action::Record(event) => self.record(&mut rollout, now_ms, vec![event]).await?,
                Action::Do(work) => {
                    let events = self.work(&rollout, &work).await?;
                    if events.is_empty() {
                        // What this waits for is found out by asking again.
                        let until_ms = self.lease.renew_ms(poll_ms).min(work.wake_ms.unwrap_or(u64::MAX));
                        clock.sleep_until(until_ms.max(now_ms)).await;
                    } else {
                        self.record(&mut rollout, clock.now_ms(), events).await?;
                    }
                }
            }
            drop(turn);
        }
    }

    async fn renew(&mut self, rollout: &mut Rollout) -> Result<(), RunError> {
        match self.lease.renew(self.runner.store.as_ref(), self.runner.engine.clock.as_ref()).await? {
            Some(seq) if seq != rollout.next_seq => self.catch_up(rollout).await,
            Some(_) | None => Ok(()),
        }
    }

    async fn catch_up(&self, rollout: &mut Rollout) -> Result<(), RunError> {
        for row in self.runner.store.events(rollout.id, rollout.next_seq, MAX_PAGE).await? {
            let recorded = Recorded::decode(rollout.id, row.seq, &row.text)?;
            rollout.apply(&recorded)?;
            self.observe(rollout, &recorded);
        }
        Ok(())
    }

    fn observe(&self, rollout: &Rollout, recorded: &Recorded) {
        self.runner.observers.iter().for_each(|observer| observer.rollout_recorded(rollout, recorded));
    }

    /// Records events. Where somebody else added one in between that is taken in instead, and it is decided anew.
    async fn record(&self, rollout: &mut Rollout, at_ms: u64, events: Vec<Event>) -> Result<(), RunError> {
        let (mut after, mut texts) = (rollout.clone(), Vec::with_capacity(events.len()));
        let events: Vec<Recorded> = events.into_iter().map(|event| Recorded { at_ms, event }).collect();
        for recorded in &events {
            texts.push(recorded.encode(rollout.id, after.next_seq)?);
            after.apply(recorded)?;
        }
        let append = Append {
            job: rollout.id,
            seq: rollout.next_seq,
            token: Some(self.lease.claim.token),
            events: texts,
            artifacts: Vec::new(),
            summary: after.summary(),
        };
        match self.runner.store.append(append).await {
            Ok(()) => {
                *rollout = after;
                events.iter().for_each(|recorded| self.observe(rollout, recorded));
                Ok(())
            }
            Err(StoreError::Conflict { .. }) => self.catch_up(rollout).await,
            Err(error) => Err(error.into()),
        }
    }

    /// Does what may be done at once, and says what came of it.
    async fn work(&self, rollout: &Rollout, work: &Work) -> Result<Vec<Event>, RunError> {
        for job in &work.cancel {
            // Too late, or cancelled before: then it is seen how it ends.
            match self.desk.cancel(*job, "rollout", "the rollout goes back").await {
                Ok(_) | Err(AskError::NotNow(_)) => {}
                Err(error) => tracing::warn!(%job, %error, "a job of a rollout that goes back could not be cancelled"),
            }
        }
        let mut events = Vec::new();
        let starts: Vec<BoxFuture<'_, Result<Event, RunError>>> =
            work.start.iter().map(|(place, back)| self.start(rollout, *place, *back).boxed()).collect();
        let mut started = stream::iter(starts).buffered(AT_ONCE);
        while let Some(event) = started.next().await {
            events.push(event?);
        }
        if !events.is_empty() {
            self.desk.ring();
        }
        for place in &work.find {
            let event = match self.find(rollout, *place).await? {
                Some(job) => Event::Made { place: *place, back: false, job },
                None => {
                    let outcome = Outcome::Unchanged { code: None, message: "it was not begun".to_owned() };
                    Event::Settled { place: *place, back: false, outcome }
                }
            };
            events.push(event);
        }
        let looks: Vec<BoxFuture<'_, Result<Option<Event>, RunError>>> =
            work.watch.iter().map(|(place, back, job)| self.settled(*place, *back, *job).boxed()).collect();
        let mut looked = stream::iter(looks).buffered(AT_ONCE);
        while let Some(event) = looked.next().await {
            events.extend(event?);
        }
        if work.look {
            events.push(self.look(rollout).await);
        }
        Ok(events)
    }

    /// A job of the device whose number was not recorded.
    async fn find(&self, rollout: &Rollout, place: Place) -> Result<Option<JobId>, RunError> {
        let Some((target, device)) = rollout.spec.target(place).zip(rollout.devices.get(usize::from(place))) else {
            return Ok(None);
        };
        let filter = Filter { device: Some(target.device), parent: Some(rollout.id), ..Filter::default() };
        let jobs = self.runner.store.list(filter, MAX_JOBS).await?;
        Ok(jobs.first().map(|row| row.id).filter(|job| device.last_job.is_none_or(|last| *job > last)))
    }

    /// Starts a device's job, unless it was started.
    async fn start(&self, rollout: &Rollout, place: Place, back: bool) -> Result<Event, RunError> {
        if let Some(job) = self.find(rollout, place).await? {
            return Ok(Event::Made { place, back, job });
        }
        let settled = |outcome| Event::Settled { place, back, outcome };
        let Some(spec) = self.job_of(rollout, place, back) else {
            return Ok(settled(Outcome::Unknown { message: "no job is known that kept what it ran".to_owned() }));
        };
        match self.desk.start_under(spec, self.lease.claim.token).await {
            Ok(job) => Ok(Event::Made { place, back, job }),
            Err(AskError::Store(StoreError::Busy { job: holder, .. })) => Ok(Event::Deferred { place, back, holder }),
            Err(AskError::Store(StoreError::Fenced)) => Err(RunError::LeaseLost),
            Err(AskError::Store(error)) if error.is_away() => Err(error.into()),
            Err(error) => {
                let (code, mut message) = (error.kind().code.to_owned(), error.to_string());
                cut(&mut message, MAX_WORDS_BYTES);
                Ok(settled(Outcome::Unchanged { code: Some(code), message }))
            }
        }
    }

    fn job_of(&self, rollout: &Rollout, place: Place, back: bool) -> Option<JobSpec> {
        let spec = &rollout.spec;
        let request = Request {
            kind: if back { Kind::Revert } else { spec.kind },
            targets: vec![*spec.target(place)?],
            generation: None,
            mode: spec.mode,
            trigger: Trigger::Rollout,
            actor: spec.actor.clone(),
            parent: Some(rollout.id),
        };
        let mut job = kinds::job(&request, &self.desk.policy);
        job.wanted = match (back, rollout.devices.get(usize::from(place))?.changed_by) {
            (false, _) => spec.wanted,
            (true, Some(changed_by)) => Wanted::Before(changed_by),
            (true, None) => return None,
        };
        Some(job)
    }

    async fn settled(&self, place: Place, back: bool, job: JobId) -> Result<Option<Event>, RunError> {
        Ok(self.outcome(job).await?.map(|outcome| Event::Settled { place, back, outcome }))
    }

    /// What came of a job; none while it is under way.
    async fn outcome(&self, id: JobId) -> Result<Option<Outcome>, RunError> {
        let unknown = |message: &str| Ok(Some(Outcome::Unknown { message: message.to_owned() }));
        match self.runner.store.job(id).await? {
            None => unknown("its job is not kept any more"),
            Some(JobRow { broken: Some(_), .. }) => unknown("its job can not be read"),
            Some(row) if row.summary.holds => Ok(None),
            Some(_) => match self.desk.job(id).await {
                Ok(job) => Ok(outcome_of(&job)),
                Err(AskError::Store(error)) => Err(error.into()),
                Err(_) => unknown("its job can not be read"),
            },
        }
    }

    async fn look(&self, rollout: &Rollout) -> Event {
        let places = rollout.wave_devices().map(|(place, _)| place);
        let devices: Vec<Code> = places.filter_map(|place| Some(rollout.spec.target(place)?.device)).collect();
        let asked = self.runner.oracles.health(&devices);
        let seen = match clock::within(self.runner.engine.clock.as_ref(), LOOK_MS, asked).await {
            Some(Ok(seen)) => seen,
            Some(Err(error)) => return Event::Looked { bad: None, unsure: Some(shortened(error.to_string())) },
            None => return Event::Looked { bad: None, unsure: Some("nobody answered".to_owned()) },
        };
        looked(&devices, &seen)
    }
}

fn looked(devices: &[Code], seen: &BTreeMap<Code, Health>) -> Event {
    let (mut bad, mut unsure) = (Vec::new(), Vec::new());
    for device in devices {
        match seen.get(device) {
            Some(Health::Good) => {}
            Some(Health::Bad(words)) => bad.push(format!("{device}: {words}")),
            Some(Health::Unknown(words)) => unsure.push(format!("{device}: {words}")),
            None => unsure.push(format!("{device}: nobody knows")),
        }
    }
    let named = |mut all: Vec<String>| {
        let more = all.len().saturating_sub(MAX_NAMED);
        all.truncate(MAX_NAMED);
        let words = all.join("; ");
        (!words.is_empty())
            .then(|| if more > 0 { shortened(words) + &format!("; and {more} more") } else { shortened(words) })
    };
    Event::Looked { bad: named(bad), unsure: named(unsure) }
}

fn shortened(mut words: String) -> String {
    cut(&mut words, MAX_WORDS_BYTES * MAX_NAMED);
    words
}

/// What came of a job that is over.
fn outcome_of(job: &Job) -> Option<Outcome> {
    let Phase::Ended(end) = &job.phase else { return None };
    Some(match end {
        End::Done | End::Partly(_) => Outcome::Done,
        End::Back(Cause::Cancelled { actor, reason }) => {
            let mut message = format!("cancelled by {actor}: {reason}");
            cut(&mut message, MAX_WORDS_BYTES);
            Outcome::Unchanged { code: None, message }
        }
        End::Back(Cause::Failed(steps)) => {
            let error = steps.iter().find_map(|step| job.steps.get(usize::from(*step))?.forward.error.clone());
            let (code, mut message) = error.map_or((None, String::new()), |e| (Some(e.code), e.message));
            cut(&mut message, MAX_WORDS_BYTES);
            Outcome::Unchanged { code, message }
        }
        End::Stuck { .. } => Outcome::Unknown { message: format!("job {} could not take it back", job.id) },
    })
}
