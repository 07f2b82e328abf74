//! The simulator driver: the agent's verbs on a simulated device, with the faults that concern them.

use std::{collections::BTreeSet, future, time::Duration};

use super::{
    config::Family,
    device::Device,
    fabric::Fabric,
    faults::{self, Fault, Moment, Verb},
};
use crate::driver::{Adjacency, Comparison, Driver, DriverError, InterfaceCounters, ProbeOutcome, Target};

/// A simulated device's management.
#[derive(Clone)]
pub struct SimDriver {
    fabric: Fabric,
    code: String,
    family: Family,
}

/// What a fault makes of a verb.
enum Spoiled {
    Hangs,
    Dies,
}

impl SimDriver {
    pub(super) fn new(fabric: Fabric, code: String, family: Family) -> Self {
        Self { fabric, code, family }
    }

    /// The network that the device is in.
    pub fn fabric(&self) -> &Fabric {
        &self.fabric
    }

    fn on_device<T>(&self, act: impl FnOnce(&mut Device, u64) -> Result<T, DriverError>) -> Result<T, DriverError> {
        let mut world = self.fabric.world();
        let now_ms = world.now_ms;
        let gone = || DriverError::Unreachable(format!("there is no device {}", self.code));
        let device = world.devices.get_mut(&self.code).ok_or_else(gone)?;
        if device.management_dead {
            return Err(DriverError::Unreachable("the management is dead (injected fault)".to_owned()));
        }
        act(device, now_ms)
    }

    fn spoiled(&self, verb: Verb, at: Moment) -> Option<Spoiled> {
        let world = self.fabric.world();
        world.faults.values().find_map(|fault| match fault {
            Fault::Hang { device, verb: v, moment } if *device == self.code && *v == verb && *moment == at => {
                Some(Spoiled::Hangs)
            }
            Fault::ManagementDies { device, verb: v, moment }
                if *device == self.code && *v == verb && *moment == at =>
            {
                Some(Spoiled::Dies)
            }
            _ => None,
        })
    }

    async fn meet(&self, verb: Verb, at: Moment) -> Result<(), DriverError> {
        match self.spoiled(verb, at) {
            None => Ok(()),
            Some(Spoiled::Hangs) => future::pending().await,
            Some(Spoiled::Dies) => self.on_device(|device, _| {
                device.management_dead = true;
                Err(DriverError::Unreachable(format!("the management died at {verb:?} (injected fault)")))
            }),
        }
    }

    async fn verb<T>(
        &self,
        verb: Verb,
        act: impl FnOnce(&mut Device, u64) -> Result<T, DriverError>,
    ) -> Result<T, DriverError> {
        self.meet(verb, Moment::Before).await?;
        let done = self.on_device(act)?;
        match verb {
            Verb::Commit | Verb::Revert => self.fabric.world().changed(),
            Verb::Load | Verb::Compare | Verb::Confirm | Verb::Save => {}
        }
        self.meet(verb, Moment::After).await?;
        Ok(done)
    }
}

impl Driver for SimDriver {
    fn family(&self) -> &'static str {
        self.family.name()
    }

    async fn load_candidate(&self, text: &str) -> Result<(), DriverError> {
        let rejected = {
            let world = self.fabric.world();
            faults::rejected_line(world.faults.values(), &self.code, self.family, text)
        };
        self.verb(Verb::Load, |device, _| match rejected {
            Some(line) => {
                device.discard();
                Err(DriverError::Refused(line))
            }
            None => device.load(text),
        })
        .await
    }

    async fn discard_candidate(&self) -> Result<(), DriverError> {
        self.on_device(|device, _| {
            device.discard();
            Ok(())
        })
    }

    async fn compare(&self, text: &str) -> Result<Comparison, DriverError> {
        self.verb(Verb::Compare, |device, _| device.compare(text)).await
    }

    async fn commit(&self, revert_after: Duration) -> Result<(), DriverError> {
        self.verb(Verb::Commit, |device, now_ms| device.commit(now_ms, revert_after)).await
    }

    async fn confirm(&self) -> Result<(), DriverError> {
        self.verb(Verb::Confirm, |device, _| device.confirm()).await
    }

    async fn revert(&self) -> Result<(), DriverError> {
        self.verb(Verb::Revert, |device, _| {
            device.revert();
            Ok(())
        })
        .await
    }

    fn can_extend(&self) -> bool {
        true
    }

    async fn extend(&self, revert_after: Duration) -> Result<(), DriverError> {
        self.on_device(|device, now_ms| device.extend(now_ms, revert_after))
    }

    async fn is_pending(&self) -> Result<bool, DriverError> {
        self.on_device(|device, _| Ok(device.is_pending()))
    }

    async fn save_startup(&self) -> Result<(), DriverError> {
        self.verb(Verb::Save, |device, _| {
            device.save_startup();
            Ok(())
        })
        .await
    }

    async fn running_text(&self) -> Result<String, DriverError> {
        self.on_device(|device, _| Ok(device.running().text.clone()))
    }

    async fn wanted_adjacencies(&self, text: &str) -> Result<BTreeSet<String>, DriverError> {
        let model = self.family.parse(text).map_err(|e| DriverError::Refused(e.to_string()))?;
        Ok(model.wants_adjacency())
    }

    async fn counters(&self) -> Result<Vec<InterfaceCounters>, DriverError> {
        self.on_device(|_, _| Ok(()))?;
        Ok(self.fabric.counters(&self.code))
    }

    async fn adjacencies(&self) -> Result<Vec<Adjacency>, DriverError> {
        self.on_device(|_, _| Ok(()))?;
        Ok(self.fabric.adjacencies(&self.code))
    }

    async fn probe(&self, targets: &[Target], count: u32) -> Result<Vec<ProbeOutcome>, DriverError> {
        self.on_device(|_, _| Ok(()))?;
        Ok(self.fabric.probe(&self.code, targets, count))
    }
}
