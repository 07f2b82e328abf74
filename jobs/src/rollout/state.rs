//! A rollout's state, and what can be asked of it. Pure.

use std::{collections::VecDeque, sync::Arc};

use causeway_interface::Code;

use super::{
    event::{Cause, End, Event, Outcome, Place, Recorded},
    health::Soaked,
    spec::{RolloutSpec, SpecError},
};
use crate::{
    approval::{self, Approvals},
    event::{EventError, Seq},
    job::Asked,
    spec::JobId,
    window,
};

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
    pub(super) const NEW: Self = Self::Waiting { not_before_ms: 0 };

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
    pub(super) defers: u16,
    pub(super) back_tries: u16,
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
    /// Devices that were begun within the longest time of a budget: when, and how many.
    pub(super) spent: VecDeque<(u64, u32)>,
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

    /// Devices that were begun within the longest time of a budget: when, in unix ms, and how many.
    pub fn begun(&self) -> impl Iterator<Item = (u64, u32)> {
        self.spent.iter().copied()
    }

    /// When some of the budget comes back.
    #[must_use]
    pub fn budget_back_ms(&self, now_ms: u64) -> Option<u64> {
        let budget = self.spec.budget?;
        let ends = self.spent.iter().filter(|(_, count)| *count > 0).map(|(at, _)| at.saturating_add(budget.per_ms));
        ends.filter(|end_ms| *end_ms > now_ms).min()
    }

    /// What is approved, as a hash in hex: of its first event, which says everything that it may do.
    ///
    /// # Errors
    /// An event that can't be written was never read.
    pub fn change(&self) -> Result<String, EventError> {
        let event = Event::Started(Box::new((*self.spec).clone()));
        Ok(approval::change(&Recorded { at_ms: self.started_ms, event }.encode(self.id, 0)?))
    }

    /// Whether everybody agreed who has to.
    #[must_use]
    pub fn is_approved(&self) -> bool {
        self.approvals.as_ref().is_none_or(Approvals::is_complete)
    }

    pub(super) fn has_soaked(&self, at_ms: u64) -> Result<bool, &'static str> {
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
}
