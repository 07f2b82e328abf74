//! What is to be done next with a rollout. Pure: its state and the time decide.

use super::{
    event::{Cause, Event, Place},
    health::Soaked,
    state::{Device, Phase, Progress, Rollout},
};
use crate::spec::JobId;

/// What may be done at once; whatever comes of it is recorded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Work {
    /// Jobs to be started that were recorded as begun: the device, and whether it is brought back.
    pub start: Vec<(Place, bool)>,
    /// Devices of which a job may have been started before it was decided to go back: to be found, and not started.
    pub find: Vec<Place>,
    /// Jobs to be looked at.
    pub watch: Vec<(Place, bool, JobId)>,
    /// Jobs to be cancelled.
    pub cancel: Vec<JobId>,
    /// Whether to look at how the wave is.
    pub look: bool,
    /// Nothing else before this time, in unix ms.
    pub wake_ms: Option<u64>,
}

/// The next thing to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// This follows from what is there.
    Record(Event),
    /// To be done, and asked again.
    Do(Work),
    /// Nothing until somebody agrees.
    Rest,
    /// Over.
    Over,
}

/// How many devices may be begun now as far as other rollouts are concerned, and when some more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// How many.
    pub devices: u32,
    /// When more, in unix ms, where that is known.
    pub back_ms: Option<u64>,
}

impl Room {
    /// Nobody else counts.
    pub const ANY: Self = Self { devices: u32::MAX, back_ms: None };
}

/// What is to be done next with a rollout that this controller holds, where no other one counts.
#[must_use]
pub fn next(rollout: &Rollout, now_ms: u64) -> Action {
    next_within(rollout, now_ms, Room::ANY)
}

/// What is to be done next with a rollout that this controller holds.
#[must_use]
pub fn next_within(rollout: &Rollout, now_ms: u64, room: Room) -> Action {
    match &rollout.phase {
        Phase::Forward => forward(rollout, now_ms, room),
        Phase::Back(_) => back(rollout, now_ms),
        Phase::Ended(_) => Action::Over,
    }
}

fn forward(rollout: &Rollout, now_ms: u64, others: Room) -> Action {
    if let Some(asked) = &rollout.cancel {
        let cause = Cause::Cancelled { actor: asked.actor.clone(), reason: asked.reason.clone() };
        return Action::Record(Event::BackBegan(cause));
    }
    if !rollout.is_approved() {
        return Action::Rest;
    }
    let failed = rollout.failed();
    if !failed.is_empty() {
        return Action::Record(Event::BackBegan(Cause::Failed(failed)));
    }
    if let Some(soaking) = &rollout.soaking {
        return match rollout.spec.soak.judge(soaking, now_ms) {
            Soaked::Failed(why) => Action::Record(Event::BackBegan(Cause::Unhealthy(why))),
            Soaked::Look => Action::Do(Work { look: true, ..Work::default() }),
            Soaked::Wait(wake_ms) => Action::Do(Work { wake_ms: Some(wake_ms), ..Work::default() }),
            Soaked::Passed if rollout.paused.is_some() => Action::Do(Work::default()),
            Soaked::Passed => Action::Record(rollout.end(now_ms).map_or(Event::WaveEnded, Event::Ended)),
        };
    }
    if rollout.wave_devices().all(|(_, device)| device.forward.is_done()) {
        return Action::Record(Event::SoakBegan);
    }
    let mut work = under_way(rollout);
    if rollout.paused.is_none() {
        let (due, wake_ms) = due(rollout, now_ms, others);
        if !due.is_empty() {
            return Action::Record(Event::Began { places: due, back: false });
        }
        work.wake_ms = wake_ms;
    }
    Action::Do(work)
}

/// Devices that may be begun now, or when the first of them may.
fn due(rollout: &Rollout, now_ms: u64, others: Room) -> (Vec<Place>, Option<u64>) {
    let budget = usize::try_from(rollout.budget_left(now_ms).min(others.devices)).unwrap_or(usize::MAX);
    let (mut due, mut first_ms) = (Vec::new(), None::<u64>);
    let mut later = |at_ms: u64| first_ms = Some(first_ms.map_or(at_ms, |first| first.min(at_ms)));
    for (place, _) in rollout.wave_devices() {
        match rollout.begins_ms(place, now_ms) {
            Some(at_ms) if at_ms <= now_ms => due.push(place),
            Some(at_ms) => later(at_ms),
            None => {}
        }
    }
    if due.len() > budget {
        [rollout.budget_back_ms(now_ms), others.back_ms].into_iter().flatten().for_each(later);
    }
    due.truncate(room(rollout).min(budget));
    (due, first_ms)
}

/// How many more jobs may run.
fn room(rollout: &Rollout) -> usize {
    let in_flight =
        |device: &Device| device.forward.is_in_flight() || device.back.as_ref().is_some_and(Progress::is_in_flight);
    let running = rollout.wave_devices().filter(|(_, device)| in_flight(device)).count();
    usize::from(rollout.spec.at_once).saturating_sub(running)
}

fn under_way(rollout: &Rollout) -> Work {
    let mut work = Work::default();
    for (place, device) in rollout.wave_devices() {
        for (progress, back) in [(Some(&device.forward), false), (device.back.as_ref(), true)] {
            match progress {
                Some(Progress::Began { .. }) => work.start.push((place, back)),
                Some(Progress::Running(job)) => work.watch.push((place, back, *job)),
                Some(Progress::Waiting { .. } | Progress::Settled(_)) | None => {}
            }
        }
    }
    work
}

fn back(rollout: &Rollout, now_ms: u64) -> Action {
    if let Some(end) = rollout.end(now_ms) {
        return Action::Record(Event::Ended(end));
    }
    let (mut due, mut wake_ms) = (Vec::new(), None::<u64>);
    for (place, device) in rollout.wave_devices() {
        if let Some(Progress::Waiting { not_before_ms }) = device.back {
            if not_before_ms <= now_ms {
                due.push(place);
            } else {
                wake_ms = Some(wake_ms.map_or(not_before_ms, |first| first.min(not_before_ms)));
            }
        }
    }
    due.truncate(room(rollout));
    if !due.is_empty() {
        return Action::Record(Event::Began { places: due, back: true });
    }
    let mut work = under_way(rollout);
    work.cancel = work.watch.iter().filter(|(_, back, _)| !back).map(|(_, _, job)| *job).collect();
    work.find = work.start.extract_if(.., |(_, back)| !*back).map(|(place, _)| place).collect();
    work.wake_ms = wake_ms;
    Action::Do(work)
}
