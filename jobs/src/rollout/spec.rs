//! What a rollout is to do, as data: devices in an order, cut into waves, and under which conditions one is begun.

use std::collections::{BTreeMap, BTreeSet};

use causeway_interface::{Code, Key};
use serde::{Deserialize, Serialize};

use super::{event::Place, health::Soak};
use crate::{
    approval::Need,
    kinds::Policy,
    spec::{Kind, Mode, Target, Trigger, Wanted, are_words},
    window::{MAX_WINDOWS, Window},
};

/// Name of its kind in the store.
pub const KIND: &str = "rollout";
/// Devices of one rollout at most: with everything that may happen to each they fit into the events of one job.
pub const MAX_DEVICES: usize = 4_000;
/// Devices of one wave at most: so many go back at once.
pub const MAX_WAVE: usize = 1_000;
/// Jobs of one rollout that are under way at once, at most.
pub const MAX_AT_ONCE: u16 = 256;
/// Looks of all soaks together at most.
const MAX_LOOKS: u64 = 8_000;
/// Longest soak, window of a budget and limit: four weeks.
pub(super) const MAX_MS: u64 = 28 * 24 * 3_600_000;

impl Budget {
    /// Whether anything can be begun within it.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.devices > 0 && (1..=MAX_MS).contains(&self.per_ms)
    }
}

/// So many devices are begun in such a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Budget {
    /// How many.
    pub devices: u32,
    /// In any time of this length, in ms.
    pub per_ms: u64,
}

/// A whole rollout.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RolloutSpec {
    /// What is done to each device.
    pub kind: Kind,
    /// Which configuration is meant.
    pub wanted: Wanted,
    /// What becomes of other lines.
    pub mode: Mode,
    /// Its devices, wave by wave.
    pub targets: Vec<Target>,
    /// How many devices each wave has.
    pub waves: Vec<u16>,
    /// How long each wave is watched.
    pub soak: Soak,
    /// Jobs at once.
    pub at_once: u16,
    /// How many devices are begun in a time; as many as there are where there is none.
    pub budget: Option<Budget>,
    /// When devices may be begun; any time where there is none.
    pub windows: Vec<Window>,
    /// The same of devices that have windows of their own, which take the place of the others.
    pub own_windows: BTreeMap<Code, Vec<Window>>,
    /// A device is begun only if its window stays open for so long, in ms: until it has gone back by itself or is confirmed.
    pub room_ms: u64,
    /// Which way it came in.
    pub trigger: Trigger,
    /// Who asked for it.
    pub actor: String,
    /// Why, in words; empty where nobody said.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// Who has to agree before a device is touched; nobody where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<Need>,
}

/// How waves grow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shape {
    /// The first wave; where nobody is named, the first devices by code.
    pub canaries: Vec<Code>,
    /// Devices of the first wave where nobody is named.
    pub first: usize,
    /// A wave has so many times the devices of the one before it.
    pub growth: usize,
    /// Devices of a wave at most.
    pub most: usize,
}

impl Default for Shape {
    fn default() -> Self {
        Self { canaries: Vec::new(), first: 1, growth: 4, most: 250 }
    }
}

/// What whoever starts a rollout chooses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RolloutRequest {
    /// What is done to each device; not a change of the network, which is one job.
    pub kind: Kind,
    /// The devices, in any order.
    pub targets: Vec<Target>,
    /// Which earlier generation, where it is a revert.
    pub generation: Option<u64>,
    /// What becomes of other lines.
    pub mode: Mode,
    /// How waves grow.
    pub shape: Shape,
    /// How long each wave is watched.
    pub soak: Soak,
    /// Jobs at once.
    pub at_once: u16,
    /// How many devices are begun in a time.
    pub budget: Option<Budget>,
    /// When devices may be begun.
    pub windows: Vec<Window>,
    /// The same of devices that have windows of their own.
    pub own_windows: BTreeMap<Code, Vec<Window>>,
    /// Which way it came in.
    pub trigger: Trigger,
    /// Who asks.
    pub actor: String,
    /// Why, in words; may be empty.
    pub message: String,
    /// By which key, where that is known.
    pub proposer: Option<Key>,
}

/// Why a rollout can't be meant.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SpecError {
    /// No device, too many, or one twice.
    #[error("a rollout is for 1 to {MAX_DEVICES} devices, each once")]
    Targets,
    /// Waves that are not its devices.
    #[error("waves have 1 to {MAX_WAVE} devices, and together those of the rollout")]
    Waves,
    /// A canary that is none of the devices.
    #[error("the canary {0} is none of the rollout's devices")]
    Canary(Code),
    /// A kind of several devices.
    #[error("a change of the network is one job and no rollout")]
    Kind,
    /// A soak that never ends, or is looked at too often.
    #[error(
        "a soak is looked at at least every {MAX_MS} ms and ends within that, and all have {MAX_LOOKS} looks at most"
    )]
    Soak,
    /// Nothing at once, or nothing in a time.
    #[error("1 to {MAX_AT_ONCE} jobs run at once, and a budget allows at least one in at most {MAX_MS} ms")]
    Pace,
    /// Windows that are none, or in which nothing fits.
    #[error("a device has at most {MAX_WINDOWS} windows, of the week, and a change fits into one of them")]
    Windows,
    /// Too many words.
    #[error("the actor's name and the message have at most 256 bytes and no control characters, and there is an actor")]
    Actor,
}

impl RolloutSpec {
    /// What is asked for.
    ///
    /// # Errors
    /// [`SpecError`].
    pub fn new(request: &RolloutRequest, policy: &Policy, approval: Option<Need>) -> Result<Self, SpecError> {
        let (targets, waves) = in_waves(&request.targets, &request.shape)?;
        let wanted = match (request.kind, request.generation) {
            (Kind::Decommission, _) => Wanted::Bare,
            (_, Some(generation)) => Wanted::Generation(generation),
            (_, None) => Wanted::Current,
        };
        let spec = Self {
            kind: request.kind,
            wanted,
            mode: request.mode,
            targets,
            waves,
            soak: request.soak,
            at_once: request.at_once,
            budget: request.budget,
            windows: request.windows.clone(),
            own_windows: request.own_windows.clone(),
            room_ms: policy.confirm_within_ms,
            trigger: request.trigger,
            actor: request.actor.clone(),
            message: request.message.clone(),
            approval,
        };
        spec.check()?;
        Ok(spec)
    }

    /// Checks what nothing later looks at again.
    ///
    /// # Errors
    /// [`SpecError`] names the first thing that is wrong.
    pub fn check(&self) -> Result<(), SpecError> {
        let devices: BTreeSet<Code> = self.targets.iter().map(|target| target.device).collect();
        if devices.is_empty() || devices.len() != self.targets.len() || devices.len() > MAX_DEVICES {
            return Err(SpecError::Targets);
        }
        let sound = |wave: &u16| *wave > 0 && usize::from(*wave) <= MAX_WAVE;
        let all: usize = self.waves.iter().map(|wave| usize::from(*wave)).sum();
        if all != self.targets.len() || !self.waves.iter().all(sound) {
            return Err(SpecError::Waves);
        }
        if self.kind == Kind::NetworkChange {
            return Err(SpecError::Kind);
        }
        let Soak { for_ms, settle_ms, look_ms, limit_ms, by_health } = self.soak;
        let looks = limit_ms.checked_div(look_ms).unwrap_or(u64::MAX).saturating_mul(self.waves.len() as u64);
        let times = [for_ms, settle_ms, look_ms, limit_ms].into_iter().all(|ms| ms <= MAX_MS);
        if !times || (by_health && (look_ms == 0 || looks > MAX_LOOKS || limit_ms < for_ms)) {
            return Err(SpecError::Soak);
        }
        let budget = self.budget.is_none_or(|budget| budget.is_sound());
        if !(1..=MAX_AT_ONCE).contains(&self.at_once) || !budget {
            return Err(SpecError::Pace);
        }
        let fits = |windows: &[Window]| {
            let room = windows.is_empty() || windows.iter().any(|window| window.has_room(self.room_ms));
            windows.len() <= MAX_WINDOWS && windows.iter().all(Window::is_sound) && room
        };
        let own = self.own_windows.iter().all(|(device, windows)| devices.contains(device) && fits(windows));
        if !fits(&self.windows) || !own {
            return Err(SpecError::Windows);
        }
        let message = self.message.is_empty() || are_words(&self.message);
        if are_words(&self.actor) && message { Ok(()) } else { Err(SpecError::Actor) }
    }

    /// One of its devices.
    #[must_use]
    pub fn target(&self, place: Place) -> Option<&Target> {
        self.targets.get(usize::from(place))
    }

    /// When a device may be begun.
    #[must_use]
    pub fn windows_of(&self, device: &Code) -> &[Window] {
        self.own_windows.get(device).unwrap_or(&self.windows)
    }

    /// The places of a wave; none after the last one.
    #[must_use]
    pub fn wave(&self, wave: u16) -> Option<std::ops::Range<Place>> {
        let size = *self.waves.get(usize::from(wave))?;
        let before: u16 = self.waves.iter().take(usize::from(wave)).sum();
        Some(before..before.saturating_add(size))
    }
}

/// Devices wave by wave, canaries first, and how many each wave has.
fn in_waves(targets: &[Target], shape: &Shape) -> Result<(Vec<Target>, Vec<u16>), SpecError> {
    if targets.is_empty() || targets.len() > MAX_DEVICES {
        return Err(SpecError::Targets);
    }
    let canaries: BTreeSet<Code> = shape.canaries.iter().copied().collect();
    if let Some(foreign) = canaries.iter().find(|code| !targets.iter().any(|target| target.device == **code)) {
        return Err(SpecError::Canary(*foreign));
    }
    let mut ordered = targets.to_vec();
    ordered.sort_by_key(|target| (!canaries.contains(&target.device), target.device));
    let most = shape.most.clamp(1, MAX_WAVE);
    let mut size = if canaries.is_empty() { shape.first.max(1) } else { canaries.len() };
    let (mut left, mut waves) = (ordered.len(), Vec::new());
    while left > 0 {
        let wave = size.min(most).min(left);
        waves.push(u16::try_from(wave).unwrap_or(u16::MAX));
        left -= wave;
        size = wave.saturating_mul(shape.growth.max(1));
    }
    Ok((ordered, waves))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::{Family, Transport};

    fn targets(n: usize) -> Vec<Target> {
        let target = |n| Target {
            device: format!("r{n:04}").parse().unwrap(),
            family: Family::Simulator,
            transport: Transport::InMemory,
        };
        (0..n).map(target).collect()
    }

    #[test]
    fn waves_begin_with_the_canary_and_grow() {
        let (ordered, waves) = in_waves(&targets(1_000), &Shape::default()).unwrap();
        assert_eq!(waves, [1, 4, 16, 64, 250, 250, 250, 165]);
        assert_eq!(ordered[0].device.as_str(), "r0000");
        let canaries = vec!["r0007".parse().unwrap(), "r0003".parse().unwrap()];
        let shape = Shape { canaries, ..Shape::default() };
        let (ordered, waves) = in_waves(&targets(20), &shape).unwrap();
        assert_eq!(waves, [2, 8, 10]);
        let first: Vec<&str> = ordered.iter().take(3).map(|target| target.device.as_str()).collect();
        assert_eq!(first, ["r0003", "r0007", "r0000"]);
    }

    #[test]
    fn shapes_that_make_no_sense_are_refused_or_bounded() {
        assert_eq!(in_waves(&[], &Shape::default()).unwrap_err(), SpecError::Targets);
        assert_eq!(in_waves(&targets(MAX_DEVICES + 1), &Shape::default()).unwrap_err(), SpecError::Targets);
        let foreign = Shape { canaries: vec!["x".parse().unwrap()], ..Shape::default() };
        assert!(matches!(in_waves(&targets(2), &foreign), Err(SpecError::Canary(_))));
        let silly = Shape { canaries: Vec::new(), first: 0, growth: 0, most: 0 };
        assert_eq!(in_waves(&targets(3), &silly).unwrap().1, [1, 1, 1]);
        let huge = Shape { first: usize::MAX, most: usize::MAX, growth: usize::MAX, ..Shape::default() };
        assert_eq!(in_waves(&targets(1_500), &huge).unwrap().1, [1_000, 500]);
    }
}
