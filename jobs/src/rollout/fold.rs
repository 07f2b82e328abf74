//! A rollout's state: a fold over its events. Pure; a sequence that can't have happened is refused, and changes nothing.

use std::{collections::VecDeque, sync::Arc};

use causeway_interface::Code;

use super::{
    event::{Cause, End, Event, Outcome, Place, Recorded},
    health::Soaked,
    spec::{RolloutSpec, SpecError},
};
use crate::{
    approval::{Approvals, Glass},
    error,
    event::Seq,
    job::Asked,
    spec::{JobId, Kind},
    status::JobStatus,
    store::Summary,
    window,
};

/// First wait for a device that another job holds; each further one is twice as long.
const DEFER_MS: u64 = 30_000;
/// A device that is held is waited for so often: two hours.
const MAX_DEFERS: u16 = 8;
/// A device is brought back by so many jobs at most; each has the tries of its steps.
const MAX_BACK_TRIES: u16 = 3;
/// Between two of them, in ms.
const BACK_WAIT_MS: u64 = 60_000;

/// How far a device's job has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Not begun.
    Waiting {
        /// Not before this time, in unix ms.
        not_before_ms: u64,
    },
    /// A job is being started, or was.
    Began {
        /// Since when.
        at_ms: u64,
    },
    /// It runs.
    Running(JobId),
    /// It is over, or there was none.
    Settled(Outcome),
}

impl Progress {
    const NEW: Self = Self::Waiting { not_before_ms: 0 };

    /// A job is or may be under way.
    #[must_use]
    pub const fn is_in_flight(&self) -> bool {
        match self {
            Self::Began { .. } | Self::Running(_) => true,
            Self::Waiting { .. } | Self::Settled(_) => false,
        }
    }

    /// It ended as it should.
    #[must_use]
    pub const fn is_done(&self) -> bool {
        match self {
            Self::Settled(Outcome::Done) => true,
            Self::Settled(Outcome::Unchanged { .. } | Outcome::Unknown { .. })
            | Self::Waiting { .. }
            | Self::Began { .. }
            | Self::Running(_) => false,
        }
    }
}

/// A device of a rollout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// Changing it.
    pub forward: Progress,
    /// Bringing it back; none as long as it need not be.
    pub back: Option<Progress>,
    /// The job that changed it: it kept what ran before.
    pub changed_by: Option<JobId>,
    /// The youngest of its jobs.
    pub last_job: Option<JobId>,
    defers: u16,
    back_tries: u16,
}

/// A wave that is watched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Soaking {
    /// Since when, in unix ms.
    pub began_ms: u64,
    /// Since when every device is well without a break.
    pub good_since_ms: Option<u64>,
    /// When somebody last looked.
    pub looked_ms: Option<u64>,
    /// Devices that were not well then, in words.
    pub bad: Option<String>,
    /// Devices of which nobody knew.
    pub unsure: Option<String>,
}

impl Soaking {
    pub(super) const fn new(began_ms: u64) -> Self {
        Self { began_ms, good_since_ms: None, looked_ms: None, bad: None, unsure: None }
    }
}

/// Which way a rollout goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Phase {
    /// From wave to wave.
    Forward,
    /// Its wave goes back.
    Back(Cause),
    /// Over.
    Ended(End),
}

/// What exactly a rollout is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RolloutState {
    /// Somebody has to agree first.
    WaitingForApproval,
    /// No controller has taken it yet.
    Queued,
    /// No further device is begun, because somebody said so.
    Paused,
    /// A wave is under way, or waits for its window, its budget or its devices.
    Running,
    /// A wave is watched.
    Soaking,
    /// The wave goes back.
    RollingBack,
    /// Every device runs what was asked.
    Done,
    /// The wave that failed runs what it ran; those before it stay.
    RolledBack,
    /// The same, because somebody asked for it.
    Cancelled,
    /// Devices could not be brought back.
    RollbackFailed,
}

impl RolloutState {
    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::WaitingForApproval => "WAITING_FOR_APPROVAL",
            Self::Queued => "QUEUED",
            Self::Paused => "PAUSED",
            Self::Running => "RUNNING",
            Self::Soaking => "SOAKING",
            Self::RollingBack => "ROLLING_BACK",
            Self::Done => "DONE",
            Self::RolledBack => "ROLLED_BACK",
            Self::Cancelled => "CANCELLED",
            Self::RollbackFailed => "ROLLBACK_FAILED",
        }
    }
}

/// A rollout, as its events left it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rollout {
    /// Its number.
    pub id: JobId,
    /// What it is to do.
    pub spec: Arc<RolloutSpec>,
    /// Number of the next event.
    pub next_seq: Seq,
    /// Which way it goes.
    pub phase: Phase,
    /// The wave that is under way, from 0.
    pub wave: u16,
    /// Its devices, as the spec has them.
    pub devices: Vec<Device>,
    /// The wave is watched.
    pub soaking: Option<Soaking>,
    /// Somebody paused it.
    pub paused: Option<Asked>,
    /// Somebody wants it to stop.
    pub cancel: Option<Asked>,
    /// Who has to agree, and who has.
    pub approvals: Option<Approvals>,
    /// Who works on it, as far as the events say.
    pub holder: Option<String>,
    /// Devices that were begun within the time of the budget: when, and how many.
    spent: VecDeque<(u64, u32)>,
    /// Time of the first event.
    pub started_ms: u64,
    /// Time of the last event.
    pub changed_ms: u64,
}

/// Why events are no rollout.
#[derive(Debug, thiserror::Error)]
pub enum FoldError {
    /// None.
    #[error("rollout {0} has no events")]
    Empty(JobId),
    /// One that can't follow.
    #[error("event {seq} of rollout {rollout}, {event}, can not follow: {why}")]
    Illegal {
        /// Of which rollout.
        rollout: JobId,
        /// Which.
        seq: Seq,
        /// What it is.
        event: &'static str,
        /// What is in the way.
        why: &'static str,
    },
    /// A rollout that can't be meant.
    #[error("rollout {rollout} makes no sense")]
    Spec {
        /// Which.
        rollout: JobId,
        /// What is wrong.
        #[source]
        source: SpecError,
    },
}

impl Rollout {
    /// A rollout of these events, from the first one.
    ///
    /// # Errors
    /// [`FoldError`].
    pub fn fold(id: JobId, events: &[Recorded]) -> Result<Self, FoldError> {
        let (first, rest) = events.split_first().ok_or(FoldError::Empty(id))?;
        let Event::Started(spec) = &first.event else {
            let event = first.event.name();
            return Err(FoldError::Illegal { rollout: id, seq: 0, event, why: "the first event starts a rollout" });
        };
        spec.check().map_err(|source| FoldError::Spec { rollout: id, source })?;
        let device =
            Device { forward: Progress::NEW, back: None, changed_by: None, last_job: None, defers: 0, back_tries: 0 };
        let mut rollout = Self {
            id,
            spec: Arc::new((**spec).clone()),
            next_seq: 1,
            phase: Phase::Forward,
            wave: 0,
            devices: vec![device; spec.targets.len()],
            soaking: None,
            paused: None,
            cancel: None,
            approvals: spec.approval.clone().map(|need| Approvals::new(need, first.at_ms)),
            holder: None,
            spent: VecDeque::new(),
            started_ms: first.at_ms,
            changed_ms: first.at_ms,
        };
        for recorded in rest {
            rollout.apply(recorded)?;
        }
        Ok(rollout)
    }

    /// Takes the next event in. Unchanged where it is refused.
    ///
    /// # Errors
    /// [`FoldError::Illegal`].
    pub fn apply(&mut self, recorded: &Recorded) -> Result<(), FoldError> {
        let (rollout, seq, event) = (self.id, self.next_seq, recorded.event.name());
        self.take(recorded).map_err(|why| FoldError::Illegal { rollout, seq, event, why })?;
        self.next_seq = seq.saturating_add(1);
        self.changed_ms = recorded.at_ms;
        Ok(())
    }

    /// Every arm looks at everything before it changes anything.
    fn take(&mut self, recorded: &Recorded) -> Result<(), &'static str> {
        let at_ms = recorded.at_ms;
        match &recorded.event {
            Event::Started(_) => Err("it has started"),
            Event::Claimed { holder, .. } => match self.phase {
                Phase::Forward | Phase::Back(_) => {
                    self.holder = Some(holder.clone());
                    Ok(())
                }
                Phase::Ended(_) => Err("it has ended"),
            },
            Event::Began { places, back: false } => self.began(places, at_ms),
            Event::Began { places, back: true } => self.back_job_began(places, at_ms),
            Event::Made { place, back, job } => {
                let device = self.in_flight(*place, *back)?;
                if device.last_job.is_some_and(|last| last >= *job) {
                    return Err("a job is older than one before it");
                }
                device.last_job = Some(*job);
                if *back {
                    device.back = Some(Progress::Running(*job));
                } else {
                    (device.forward, device.changed_by) = (Progress::Running(*job), Some(*job));
                }
                Ok(())
            }
            Event::Deferred { place, back, holder } => self.deferred(*place, *back, *holder, at_ms),
            Event::Settled { place, back, outcome } => {
                let forward = matches!(self.phase, Phase::Forward);
                let device = self.in_flight(*place, *back)?;
                if *back {
                    device.settle_back(outcome.clone(), at_ms);
                } else {
                    device.forward = Progress::Settled(outcome.clone());
                    if !forward {
                        device.to_be_brought_back();
                    }
                }
                Ok(())
            }
            Event::SoakBegan => {
                self.forward()?;
                if self.soaking.is_some() {
                    return Err("it is watched already");
                }
                if !self.wave_devices().all(|(_, device)| device.forward.is_done()) {
                    return Err("not every device of the wave runs what was asked");
                }
                self.soaking = Some(Soaking::new(at_ms));
                Ok(())
            }
            Event::Looked { bad, unsure } => {
                self.forward()?;
                let soaking = self.soaking.as_mut().ok_or("nothing is watched")?;
                self.spec.soak.take(soaking, at_ms, bad.as_ref(), unsure.as_ref());
                Ok(())
            }
            Event::WaveEnded => {
                if !self.has_soaked(at_ms)? || self.paused.is_some() {
                    return Err("the wave has not soaked, or somebody paused it");
                }
                let next = self.wave.saturating_add(1);
                self.spec.wave(next).ok_or("there is no further wave")?;
                (self.wave, self.soaking) = (next, None);
                Ok(())
            }
            Event::BackBegan(cause) => self.back_began(cause, at_ms),
            Event::Paused { actor, reason } => {
                self.forward()?;
                if self.paused.is_some() {
                    return Err("it is paused already");
                }
                self.paused = Some(Asked { actor: actor.clone(), reason: reason.clone() });
                Ok(())
            }
            Event::Resumed { .. } => self.paused.take().map(drop).ok_or("it is not paused"),
            Event::CancelRequested { actor, reason } => {
                self.forward()?;
                if self.cancel.is_some() {
                    return Err("it is cancelled already");
                }
                self.cancel = Some(Asked { actor: actor.clone(), reason: reason.clone() });
                Ok(())
            }
            Event::Approved { key, role, .. } => {
                self.forward()?;
                let approvals = self.approvals.as_mut().ok_or("it needs no approval")?;
                approvals.approve(*key, *role, at_ms).map_err(|_| "this approval does not count")
            }
            Event::GlassBroken { key, role, reason } => {
                self.forward()?;
                let glass = Glass { key: *key, role: *role, reason: reason.clone() };
                let approvals = self.approvals.as_mut().ok_or("it needs no approval")?;
                approvals.break_glass(glass, at_ms).map_err(|_| "the glass is not this one's to break")
            }
            Event::Ended(end) => {
                if self.end(at_ms).as_ref() != Some(end) {
                    return Err("it does not end like this");
                }
                self.phase = Phase::Ended(end.clone());
                Ok(())
            }
        }
    }

    fn forward(&self) -> Result<(), &'static str> {
        match self.phase {
            Phase::Forward => Ok(()),
            Phase::Back(_) => Err("it goes back"),
            Phase::Ended(_) => Err("it has ended"),
        }
    }

    fn began(&mut self, places: &[Place], at_ms: u64) -> Result<(), &'static str> {
        self.forward()?;
        if !self.is_approved() || self.paused.is_some() || self.cancel.is_some() {
            return Err("no device is begun without approval, while it is paused, or when it is cancelled");
        }
        let wave = self.spec.wave(self.wave).ok_or("there is no such wave")?;
        for place in in_order(places)? {
            if !wave.contains(place) {
                return Err("a device of another wave is begun");
            }
            if self.begins_ms(*place, at_ms) != Some(at_ms) {
                return Err("a device is begun that is not due");
            }
        }
        let count = u32::try_from(places.len()).unwrap_or(u32::MAX);
        if count > self.budget_left(at_ms) {
            return Err("the budget is used up");
        }
        if let Some(budget) = self.spec.budget {
            self.spent.retain(|(spent_ms, _)| spent_ms.saturating_add(budget.per_ms) > at_ms);
            self.spent.push_back((at_ms, count));
        }
        for place in places {
            if let Some(device) = self.devices.get_mut(usize::from(*place)) {
                device.forward = Progress::Began { at_ms };
            }
        }
        Ok(())
    }

    fn back_job_began(&mut self, places: &[Place], at_ms: u64) -> Result<(), &'static str> {
        let Phase::Back(_) = self.phase else { return Err("it does not go back") };
        for place in in_order(places)? {
            let device = self.devices.get(usize::from(*place)).ok_or("there is no such device")?;
            if !matches!(device.back, Some(Progress::Waiting { not_before_ms }) if not_before_ms <= at_ms) {
                return Err("a device is brought back that is not due");
            }
        }
        for place in places {
            if let Some(device) = self.devices.get_mut(usize::from(*place)) {
                device.back = Some(Progress::Began { at_ms });
            }
        }
        Ok(())
    }

    fn deferred(&mut self, place: Place, back: bool, holder: JobId, at_ms: u64) -> Result<(), &'static str> {
        let device = self.in_flight(place, back)?;
        let progress = if back { device.back.as_ref() } else { Some(&device.forward) };
        let Some(Progress::Began { at_ms: began_ms }) = progress else { return Err("its job was started") };
        let began_ms = *began_ms;
        let wait_ms = DEFER_MS << device.defers.min(MAX_DEFERS);
        device.defers = device.defers.saturating_add(1);
        let waits = Progress::Waiting { not_before_ms: at_ms.saturating_add(wait_ms) };
        let given_up = device.defers > MAX_DEFERS;
        let message = format!("job {holder} holds it");
        match (back, given_up) {
            (false, false) => device.forward = waits,
            (false, true) => {
                let code = Some(error::BUSY.code.to_owned());
                device.forward = Progress::Settled(Outcome::Unchanged { code, message });
            }
            (true, false) => device.back = Some(waits),
            (true, true) => device.back = Some(Progress::Settled(Outcome::Unknown { message })),
        }
        // It was not touched.
        if let Some((_, spent)) = self.spent.iter_mut().find(|(spent_ms, _)| !back && *spent_ms == began_ms) {
            *spent = spent.saturating_sub(1);
        }
        Ok(())
    }

    fn back_began(&mut self, cause: &Cause, at_ms: u64) -> Result<(), &'static str> {
        self.forward()?;
        match cause {
            Cause::Failed(places) if places.is_empty() || *places != self.failed() => {
                return Err("other devices have failed than it says");
            }
            Cause::Unhealthy(_) => {
                let soaking = self.soaking.as_ref().ok_or("nothing is watched")?;
                if !matches!(self.spec.soak.judge(soaking, at_ms), Soaked::Failed(_)) {
                    return Err("the wave is well");
                }
            }
            Cause::Cancelled { .. } if self.cancel.is_none() => return Err("nobody has cancelled it"),
            Cause::Failed(_) | Cause::Cancelled { .. } => {}
        }
        for device in self.wave_mut() {
            device.to_be_brought_back();
        }
        (self.paused, self.soaking) = (None, None);
        self.phase = Phase::Back(cause.clone());
        Ok(())
    }

    /// A device whose job is or may be under way.
    fn in_flight(&mut self, place: Place, back: bool) -> Result<&mut Device, &'static str> {
        if let Phase::Ended(_) = self.phase {
            return Err("it has ended");
        }
        let device = self.devices.get_mut(usize::from(place)).ok_or("there is no such device")?;
        let progress = if back { device.back.as_ref() } else { Some(&device.forward) };
        if progress.is_some_and(Progress::is_in_flight) {
            Ok(device)
        } else {
            Err("no job of this device is under way")
        }
    }

    fn wave_mut(&mut self) -> impl Iterator<Item = &mut Device> {
        let wave = self.spec.wave(self.wave).unwrap_or_default();
        self.devices.iter_mut().take(usize::from(wave.end)).skip(usize::from(wave.start))
    }

    /// The devices of the wave that is under way, with their places.
    pub fn wave_devices(&self) -> impl Iterator<Item = (Place, &Device)> {
        let wave = self.spec.wave(self.wave).unwrap_or_default();
        wave.filter_map(|place| Some((place, self.devices.get(usize::from(place))?)))
    }

    /// Devices of the wave whose jobs did not bring what was asked.
    #[must_use]
    pub fn failed(&self) -> Vec<Place> {
        let failed = |device: &Device| matches!(&device.forward, Progress::Settled(o) if *o != Outcome::Done);
        self.wave_devices().filter(|(_, device)| failed(device)).map(|(place, _)| place).collect()
    }

    /// When a device may be begun, as far as its window and other jobs are concerned: now, later, or never.
    #[must_use]
    pub fn begins_ms(&self, place: Place, now_ms: u64) -> Option<u64> {
        let device = self.devices.get(usize::from(place))?;
        let Progress::Waiting { not_before_ms } = device.forward else { return None };
        let code = self.spec.target(place)?.device;
        window::begins(self.spec.windows_of(&code), now_ms.max(not_before_ms), self.spec.room_ms)
    }

    /// How many more devices may be begun now.
    #[must_use]
    pub fn budget_left(&self, now_ms: u64) -> u32 {
        let Some(budget) = self.spec.budget else { return u32::MAX };
        let counts = |spent_ms: u64| spent_ms.saturating_add(budget.per_ms) > now_ms;
        let spent: u32 = self.spent.iter().filter(|(at_ms, _)| counts(*at_ms)).map(|(_, count)| count).sum();
        budget.devices.saturating_sub(spent)
    }

    /// When some of the budget comes back.
    #[must_use]
    pub fn budget_back_ms(&self, now_ms: u64) -> Option<u64> {
        let budget = self.spec.budget?;
        let ends = self.spent.iter().filter(|(_, count)| *count > 0).map(|(at, _)| at.saturating_add(budget.per_ms));
        ends.filter(|end_ms| *end_ms > now_ms).min()
    }

    /// Whether everybody agreed who has to.
    #[must_use]
    pub fn is_approved(&self) -> bool {
        self.approvals.as_ref().is_none_or(Approvals::is_complete)
    }

    fn has_soaked(&self, at_ms: u64) -> Result<bool, &'static str> {
        self.forward()?;
        let passed = |soaking| self.spec.soak.judge(soaking, at_ms) == Soaked::Passed;
        Ok(self.cancel.is_none() && self.soaking.as_ref().is_some_and(passed))
    }

    /// How it ends, where it is at its end.
    #[must_use]
    pub fn end(&self, at_ms: u64) -> Option<End> {
        match &self.phase {
            Phase::Forward => {
                let is_last = self.spec.wave(self.wave.saturating_add(1)).is_none();
                (is_last && self.has_soaked(at_ms) == Ok(true)).then_some(End::Done)
            }
            Phase::Back(cause) => {
                let open = |device: &Device| {
                    let waits = |progress: &Progress| matches!(progress, Progress::Waiting { .. });
                    let back = device.back.as_ref().is_some_and(|back| back.is_in_flight() || waits(back));
                    device.forward.is_in_flight() || back
                };
                if self.wave_devices().any(|(_, device)| open(device)) {
                    return None;
                }
                let (devices, cause) = (self.stuck_devices(), cause.clone());
                Some(if devices.is_empty() { End::Back(cause) } else { End::Stuck { cause, devices } })
            }
            Phase::Ended(_) => None,
        }
    }

    /// Devices that could not be brought back.
    #[must_use]
    pub fn stuck_devices(&self) -> Vec<Code> {
        let stuck = |device: &Device| matches!(&device.back, Some(Progress::Settled(o)) if *o != Outcome::Done);
        let places = self.wave_devices().filter(|(_, device)| stuck(device)).map(|(place, _)| place);
        places.filter_map(|place| Some(self.spec.target(place)?.device)).collect()
    }

    /// Its status, in the words of a job.
    #[must_use]
    pub fn status(&self) -> JobStatus {
        match &self.phase {
            Phase::Forward if self.holder.is_none() => JobStatus::NotProvisioned,
            Phase::Forward | Phase::Back(_) => JobStatus::Provisioning,
            Phase::Ended(End::Done) if self.spec.kind == Kind::DryRun => JobStatus::NotProvisioned,
            Phase::Ended(End::Done) => JobStatus::Provisioned,
            Phase::Ended(End::Back(Cause::Cancelled { .. })) if self.wave > 0 => JobStatus::Partial,
            Phase::Ended(End::Back(Cause::Cancelled { .. })) => JobStatus::NotProvisioned,
            Phase::Ended(End::Back(Cause::Failed(_) | Cause::Unhealthy(_)) | End::Stuck { .. }) => JobStatus::Failed,
        }
    }

    /// What exactly it is at.
    #[must_use]
    pub fn state(&self) -> RolloutState {
        match &self.phase {
            Phase::Forward if !self.is_approved() => RolloutState::WaitingForApproval,
            Phase::Forward => match (&self.paused, &self.holder, &self.soaking) {
                (Some(_), _, _) => RolloutState::Paused,
                (None, None, _) => RolloutState::Queued,
                (None, Some(_), Some(_)) => RolloutState::Soaking,
                (None, Some(_), None) => RolloutState::Running,
            },
            Phase::Back(_) => RolloutState::RollingBack,
            Phase::Ended(End::Done) => RolloutState::Done,
            Phase::Ended(End::Back(Cause::Cancelled { .. })) => RolloutState::Cancelled,
            Phase::Ended(End::Back(Cause::Failed(_) | Cause::Unhealthy(_))) => RolloutState::RolledBack,
            Phase::Ended(End::Stuck { .. }) => RolloutState::RollbackFailed,
        }
    }

    /// How many of a hundred of its devices run what was asked.
    #[must_use]
    pub fn percent(&self) -> u8 {
        let done = self.devices.iter().filter(|device| device.forward.is_done() && device.back.is_none()).count();
        u8::try_from((done * 100).checked_div(self.devices.len()).unwrap_or(100)).unwrap_or(100)
    }

    /// What is found of it without reading its events.
    #[must_use]
    pub fn summary(&self) -> Summary {
        let open = !matches!(self.phase, Phase::Ended(_));
        Summary {
            status: self.status().name().to_owned(),
            state: self.state().name().to_owned(),
            percent: self.percent(),
            holds: open,
            runnable: open && (self.is_approved() || self.cancel.is_some()),
        }
    }
}

impl Device {
    /// Where its job changed it, or may have.
    fn to_be_brought_back(&mut self) {
        match &self.forward {
            Progress::Settled(Outcome::Done | Outcome::Unknown { .. }) => self.back = Some(Progress::NEW),
            Progress::Settled(Outcome::Unchanged { .. })
            | Progress::Waiting { .. }
            | Progress::Began { .. }
            | Progress::Running(_) => {}
        }
    }

    fn settle_back(&mut self, outcome: Outcome, at_ms: u64) {
        self.back_tries = self.back_tries.saturating_add(1);
        let again = outcome != Outcome::Done && self.back_tries < MAX_BACK_TRIES;
        self.back = Some(if again {
            Progress::Waiting { not_before_ms: at_ms.saturating_add(BACK_WAIT_MS) }
        } else {
            Progress::Settled(outcome)
        });
    }
}

/// Places, each once and in order.
fn in_order(places: &[Place]) -> Result<&[Place], &'static str> {
    let sorted = places.windows(2).all(|pair| matches!(pair, [a, b] if a < b));
    if sorted && !places.is_empty() { Ok(places) } else { Err("devices are begun each once and in order") }
}
