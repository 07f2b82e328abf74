//! What each event does to a rollout, and which can't follow. Pure; what is refused changes nothing.

use super::{
    event::{Cause, Event, Outcome, Place, Recorded},
    health::Soaked,
    spec::MAX_MS,
    state::{Device, Phase, Progress, Rollout, Soaking},
};
use crate::{
    approval::{self, Glass},
    error,
    job::Asked,
    spec::JobId,
};

/// First wait for a device that another job holds; each further one is twice as long.
const DEFER_MS: u64 = 30_000;
/// A device that is held is waited for so often: two hours.
const MAX_DEFERS: u16 = 8;
/// A device is brought back by so many jobs at most; each has the tries of its steps.
const MAX_BACK_TRIES: u16 = 3;
/// Between two of them, in ms.
const BACK_WAIT_MS: u64 = 60_000;

impl Rollout {
    /// Every arm looks at everything before it changes anything.
    pub(super) fn take(&mut self, recorded: &Recorded) -> Result<(), &'static str> {
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
                        device.mark_for_return();
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
                approval::approved(self.approvals.as_mut(), *key, *role, at_ms)
            }
            Event::GlassBroken { key, role, reason } => {
                self.forward()?;
                let glass = Glass { key: *key, role: *role, reason: reason.clone() };
                approval::glass_broken(self.approvals.as_mut(), glass, at_ms)
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

    pub(super) fn forward(&self) -> Result<(), &'static str> {
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
        // Also without a budget of its own: there may be one over all rollouts.
        self.spent.retain(|(spent_ms, _)| spent_ms.saturating_add(MAX_MS) > at_ms);
        self.spent.push_back((at_ms, count));
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
            device.mark_for_return();
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
}

impl Device {
    /// Where its job changed it, or may have.
    fn mark_for_return(&mut self) {
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
