//! Devices whose management is at hand: the verbs of the agent's drivers, called from here. EOS over eAPI is
//! `DriverAdapter<EosDriver>`.
//!
//! A driver knows its commit only in the process that made it. Taken over by another controller between commit and
//! confirmation, a device goes back: by that controller's word, or by its own timer.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use causeway_agent::driver::{Driver, DriverError};
use causeway_interface::Code;

use super::{
    Abilities, Adapter, AdapterError, Candidate, Comparison, Context, Doing, Extended, Identity, Pending, Standing,
};
use crate::spec::{Family, Transport};

impl From<DriverError> for AdapterError {
    fn from(error: DriverError) -> Self {
        match error {
            DriverError::Refused(words) => Self::Refused(words),
            DriverError::State(words) => Self::State(words),
            DriverError::Unreachable(words) => Self::Unreachable(words),
        }
    }
}

/// Devices by their codes, each with its driver.
pub struct DriverAdapter<D> {
    transport: Transport,
    drivers: BTreeMap<Code, Arc<D>>,
    /// Adjacencies that were up before a commit, by device.
    before: Mutex<BTreeMap<Code, BTreeSet<String>>>,
}

impl<D: Driver> DriverAdapter<D> {
    /// For these devices.
    #[must_use]
    pub fn new(transport: Transport, drivers: BTreeMap<Code, Arc<D>>) -> Self {
        Self { transport, drivers, before: Mutex::default() }
    }

    fn driver(&self, context: &Context) -> Result<&D, AdapterError> {
        let driver = self.drivers.get(&context.device);
        driver.map(Arc::as_ref).ok_or(AdapterError::Unsupported("reach this device: it has no address here"))
    }

    async fn up(driver: &D) -> Result<BTreeSet<String>, AdapterError> {
        let all = driver.adjacencies().await?;
        Ok(all.into_iter().filter(|adjacency| adjacency.up).map(|adjacency| adjacency.interface).collect())
    }
}

impl<D: Driver> Adapter for DriverAdapter<D> {
    fn transport(&self) -> Transport {
        self.transport
    }

    fn abilities(&self) -> Abilities {
        // What counts as ours of what runs depends on what was last applied.
        Abilities { merges: false, waits: true, reads_back: false }
    }

    fn objection(&self, device: &Code) -> Option<&'static str> {
        (!self.drivers.contains_key(device)).then_some("this controller has no address for it")
    }

    fn identify<'a>(&'a self, context: &'a Context) -> Doing<'a, Identity> {
        Box::pin(async move {
            let driver = self.driver(context)?;
            // It answers, and it is what it was set up as.
            driver.is_pending().await?;
            let family = [Family::Eos, Family::Frr].into_iter().find(|family| family.name() == driver.family());
            Ok(Identity { family, words: format!("answers over {}", self.transport.name()) })
        })
    }

    fn running<'a>(&'a self, context: &'a Context) -> Doing<'a, String> {
        Box::pin(async move { Ok(self.driver(context)?.running_text().await?) })
    }

    fn compare<'a>(&'a self, context: &'a Context, candidate: &'a Candidate) -> Doing<'a, Comparison> {
        Box::pin(async move {
            let made = self.driver(context)?.compare(&candidate.text).await?;
            Ok(Comparison { equal: made.equal, diff: made.diff })
        })
    }

    fn standing<'a>(&'a self, context: &'a Context, candidate: &'a Candidate) -> Doing<'a, Standing> {
        Box::pin(async move {
            let driver = self.driver(context)?;
            let pending = if driver.is_pending().await? { Pending::Ours } else { Pending::Nothing };
            // Nothing runs an empty text, and a device need not be asked what it would make of one.
            let runs = !candidate.text.is_empty() && driver.compare(&candidate.text).await?.equal;
            Ok(Standing { runs, pending })
        })
    }

    fn commit<'a>(&'a self, context: &'a Context, candidate: &'a Candidate) -> Doing<'a, ()> {
        Box::pin(async move {
            let driver = self.driver(context)?;
            let up = Self::up(driver).await?;
            self.before.lock().unwrap_or_else(PoisonError::into_inner).insert(context.device, up);
            driver.load_candidate(&candidate.text).await?;
            Ok(driver.commit(Duration::from_millis(context.confirm_within_ms)).await?)
        })
    }

    fn problems<'a>(&'a self, context: &'a Context, candidate: &'a Candidate) -> Doing<'a, Vec<String>> {
        Box::pin(async move {
            let driver = self.driver(context)?;
            let wanted = driver.wanted_adjacencies(&candidate.text).await?;
            let up = Self::up(driver).await?;
            let before = self.before.lock().unwrap_or_else(PoisonError::into_inner).get(&context.device).cloned();
            // Of what was there and is still wanted; what is new may wait for the other side.
            let kept = before.unwrap_or_default();
            let lost = kept.iter().filter(|name| wanted.contains(*name) && !up.contains(*name));
            Ok(lost.map(|name| format!("no adjacency any more on {name}")).collect())
        })
    }

    fn confirm<'a>(&'a self, context: &'a Context, _: &'a Candidate) -> Doing<'a, ()> {
        Box::pin(async move {
            match self.driver(context)?.confirm().await {
                Err(DriverError::State(words)) => Err(AdapterError::TookBack(words)),
                done => Ok(done?),
            }
        })
    }

    fn save<'a>(&'a self, context: &'a Context) -> Doing<'a, ()> {
        Box::pin(async move { Ok(self.driver(context)?.save_startup().await?) })
    }

    fn abort<'a>(&'a self, context: &'a Context) -> Doing<'a, ()> {
        Box::pin(async move { Ok(self.driver(context)?.revert().await?) })
    }

    fn extend<'a>(&'a self, context: &'a Context, _: &'a Candidate) -> Doing<'a, Extended> {
        Box::pin(async move {
            let driver = self.driver(context)?;
            if !driver.can_extend() {
                return Ok(Extended::Kept("the device has no means to arm its timer anew"));
            }
            driver.extend(Duration::from_millis(context.confirm_within_ms)).await?;
            Ok(Extended::Anew)
        })
    }

    fn restore<'a>(&'a self, context: &'a Context, _: &'a Candidate, text: &'a str) -> Doing<'a, ()> {
        Box::pin(async move {
            let driver = self.driver(context)?;
            driver.load_candidate(text).await?;
            driver.commit(Duration::from_millis(context.confirm_within_ms)).await?;
            driver.confirm().await?;
            Ok(driver.save_startup().await?)
        })
    }
}
