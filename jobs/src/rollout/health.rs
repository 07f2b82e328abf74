//! Whether the devices of a wave are well, and for how long they have to be. The judgement is pure.

use std::collections::BTreeMap;

use causeway_interface::Code;
use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};

use super::state::Soaking;
use crate::error::StepError;

/// A look that comes later than so many intervals says nothing about the time before it.
const MISSED_LOOKS: u64 = 3;

/// How a device is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Health {
    /// Every criterion is met, by fresh words of enough oracles.
    Good,
    /// One is not; words.
    Bad(String),
    /// Nobody can say; words.
    Unknown(String),
}

/// Whoever knows how devices are: the oracles, by way of the ledger.
pub trait Oracles: Send + Sync + 'static {
    /// How these devices are; one that is missing in the answer is unknown, and so are all where there is none.
    fn health<'a>(&'a self, devices: &'a [Code]) -> BoxFuture<'a, Result<BTreeMap<Code, Health>, StepError>>;
}

/// Knows nothing: a rollout that soaks by health goes back.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoOracles;

impl Oracles for NoOracles {
    fn health<'a>(&'a self, _: &'a [Code]) -> BoxFuture<'a, Result<BTreeMap<Code, Health>, StepError>> {
        Box::pin(async { Ok(BTreeMap::new()) })
    }
}

/// How long a wave is watched before the next one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Soak {
    /// Every device has to be well for so long without a break, in ms.
    pub for_ms: u64,
    /// Devices may be unwell for so long at first, in ms: neighbours come back, oracles look at windows of time.
    pub settle_ms: u64,
    /// Between two looks, in ms.
    pub look_ms: u64,
    /// A wave that was not well for long enough by then has failed, in ms.
    pub limit_ms: u64,
    /// Whether oracles are asked; otherwise only the time counts.
    pub by_health: bool,
}

impl Default for Soak {
    /// Ten minutes, as long as a burn-in of devices in maintenance, and an hour to come to it.
    fn default() -> Self {
        Self { for_ms: 600_000, settle_ms: 120_000, look_ms: 15_000, limit_ms: 3_600_000, by_health: true }
    }
}

/// What becomes of a soak.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Soaked {
    /// It is time to look.
    Look,
    /// Nothing before this time, in unix ms.
    Wait(u64),
    /// The wave is well.
    Passed,
    /// It is not; words.
    Failed(String),
}

impl Soak {
    /// What becomes of a wave that is watched.
    #[must_use]
    pub fn judge(&self, soaking: &Soaking, now_ms: u64) -> Soaked {
        let since = |ms: u64| soaking.began_ms.saturating_add(ms);
        if !self.by_health {
            return if now_ms >= since(self.for_ms) { Soaked::Passed } else { Soaked::Wait(since(self.for_ms)) };
        }
        if let (Some(good_ms), Some(last_ms)) = (soaking.good_since_ms, soaking.looked_ms)
            && last_ms.saturating_sub(good_ms) >= self.for_ms
        {
            return Soaked::Passed;
        }
        if let (Some(bad), Some(last_ms)) = (&soaking.bad, soaking.looked_ms)
            && last_ms >= since(self.settle_ms)
        {
            return Soaked::Failed(bad.clone());
        }
        if now_ms >= since(self.limit_ms) {
            let why = soaking.unsure.clone().unwrap_or_else(|| "nobody looked for long enough".to_owned());
            return Soaked::Failed(format!("not known to be well for {} ms without a break: {why}", self.for_ms));
        }
        match soaking.looked_ms.map(|last_ms| last_ms.saturating_add(self.look_ms)) {
            Some(next_ms) if next_ms > now_ms => Soaked::Wait(next_ms.min(since(self.limit_ms))),
            Some(_) | None => Soaked::Look,
        }
    }

    /// Takes a look in.
    pub(super) fn take(&self, soaking: &mut Soaking, at_ms: u64, bad: Option<&String>, unsure: Option<&String>) {
        let gap_ms = soaking.looked_ms.map_or(0, |last_ms| at_ms.saturating_sub(last_ms));
        let is_good = bad.is_none() && unsure.is_none();
        let without_a_break = gap_ms <= self.look_ms.saturating_mul(MISSED_LOOKS);
        soaking.good_since_ms = match soaking.good_since_ms {
            Some(since) if is_good && without_a_break => Some(since),
            Some(_) | None => is_good.then_some(at_ms),
        };
        (soaking.looked_ms, soaking.bad, soaking.unsure) = (Some(at_ms), bad.cloned(), unsure.cloned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOAK: Soak = Soak { for_ms: 100, settle_ms: 50, look_ms: 10, limit_ms: 1_000, by_health: true };

    fn after(looks: &[(u64, Option<&str>, Option<&str>)]) -> Soaking {
        let mut soaking = Soaking::new(1_000);
        for (at_ms, bad, unsure) in looks {
            let own = |text: &Option<&str>| text.map(str::to_owned);
            SOAK.take(&mut soaking, *at_ms, own(bad).as_ref(), own(unsure).as_ref());
        }
        soaking
    }

    #[test]
    fn a_wave_passes_once_it_was_well_for_long_enough_without_a_break() {
        assert_eq!(SOAK.judge(&after(&[]), 1_000), Soaked::Look);
        let good = |from: u64, to: u64| (from..=to).step_by(10).map(|t| (t, None, None)).collect::<Vec<_>>();
        assert_eq!(SOAK.judge(&after(&good(1_000, 1_090)), 1_095), Soaked::Wait(1_100));
        assert_eq!(SOAK.judge(&after(&good(1_000, 1_100)), 1_100), Soaked::Passed);
        // One look at which nobody knew begins the time anew.
        let mut broken = good(1_000, 1_060);
        broken.push((1_070, None, Some("no fresh words")));
        broken.extend(good(1_080, 1_170));
        assert_eq!(SOAK.judge(&after(&broken), 1_170), Soaked::Wait(1_180));
        broken.push((1_180, None, None));
        assert_eq!(SOAK.judge(&after(&broken), 1_180), Soaked::Passed);
        // So does a time in which nobody looked, as between two controllers.
        let mut gap = good(1_000, 1_060);
        gap.push((1_100, None, None));
        assert_eq!(SOAK.judge(&after(&gap), 1_105), Soaked::Wait(1_110));
    }

    #[test]
    fn a_wave_fails_when_a_device_is_unwell_after_it_had_time_to_settle() {
        let unwell = |at| after(&[(at, Some("r1: D3"), None)]);
        assert_eq!(SOAK.judge(&unwell(1_049), 1_049), Soaked::Wait(1_059));
        assert_eq!(SOAK.judge(&unwell(1_050), 1_050), Soaked::Failed("r1: D3".to_owned()));
    }

    #[test]
    fn what_nobody_knows_is_not_good() {
        let unsure = after(&[(1_990, None, Some("r1: no fresh words"))]);
        assert_eq!(SOAK.judge(&unsure, 1_995), Soaked::Wait(2_000));
        assert!(matches!(SOAK.judge(&unsure, 2_000), Soaked::Failed(why) if why.contains("no fresh words")));
        assert!(matches!(SOAK.judge(&after(&[]), 2_000), Soaked::Failed(_)));
    }

    #[test]
    fn without_oracles_the_time_counts() {
        let soak = Soak { by_health: false, ..SOAK };
        assert_eq!(soak.judge(&after(&[]), 1_099), Soaked::Wait(1_100));
        assert_eq!(soak.judge(&after(&[]), 1_100), Soaked::Passed);
    }
}
