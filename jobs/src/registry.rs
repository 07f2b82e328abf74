//! Which strategies and adapters there are, and which pairs of them work. A pair that does not is known before a job is
//! made.

use std::{collections::BTreeMap, sync::Arc};

use crate::{
    adapter::Adapter,
    error::{self, StepError, Trouble},
    spec::{Family, JobSpec, Kind, Mode, Target, Transport},
    strategy::{Eos, Frr, Simulator, Strategy},
};

/// Strategies by family, adapters by transport.
#[derive(Clone, Default)]
pub struct Registry {
    strategies: BTreeMap<Family, Arc<dyn Strategy>>,
    adapters: BTreeMap<Transport, Arc<dyn Adapter>>,
}

impl Registry {
    /// Every family that there is; adapters are added as they are set up.
    #[must_use]
    pub fn standard() -> Self {
        Self::default().with(Arc::new(Eos)).with(Arc::new(Frr)).with(Arc::new(Simulator))
    }

    /// With another family.
    #[must_use]
    pub fn with(mut self, strategy: Arc<dyn Strategy>) -> Self {
        self.strategies.insert(strategy.family(), strategy);
        self
    }

    /// With another transport.
    #[must_use]
    pub fn over(mut self, adapter: Arc<dyn Adapter>) -> Self {
        self.adapters.insert(adapter.transport(), adapter);
        self
    }

    /// Who knows a device, and the way to it.
    ///
    /// # Errors
    /// `CW-JOB-UNSUPPORTED` says which pairs there are.
    pub fn pair(&self, target: &Target) -> Result<(&dyn Strategy, &dyn Adapter), StepError> {
        let unsupported = |words: String| error::UNSUPPORTED.critical(Trouble::Validation, words);
        let (family, transport) = (target.family.name(), target.transport.name());
        let Some(strategy) = self.strategies.get(&target.family) else {
            return Err(unsupported(format!("there is no strategy for family {family}")));
        };
        if !strategy.transports().contains(&target.transport) {
            let names: Vec<&str> = strategy.transports().iter().map(|t| t.name()).collect();
            let ways = names.join(", ");
            return Err(unsupported(format!(
                "devices of family {family} are reached over {ways}, not over {transport}"
            )));
        }
        let Some(adapter) = self.adapters.get(&target.transport) else {
            return Err(unsupported(format!("this controller has no {transport} set up")));
        };
        Ok((strategy.as_ref(), adapter.as_ref()))
    }

    /// Whether everything that a job needs is there.
    ///
    /// # Errors
    /// `CW-JOB-UNSUPPORTED` names the device and what is missing.
    pub fn check(&self, spec: &JobSpec) -> Result<(), StepError> {
        for target in &spec.targets {
            let (_, adapter) = self.pair(target)?;
            if let Some(why) = adapter.objection(&target.device) {
                let words = format!("{} is not reached over {}: {why}", target.device, target.transport.name());
                return Err(error::UNSUPPORTED.critical(Trouble::Validation, words));
            }
            let abilities = adapter.abilities();
            let missing = match (spec.kind, spec.mode) {
                (Kind::NetworkChange, _) if !abilities.waits => Some("keep a commit until all have committed"),
                (_, Mode::Merge) if !abilities.merges => Some("merge"),
                (
                    Kind::Provision | Kind::DryRun | Kind::Revert | Kind::Decommission | Kind::NetworkChange,
                    Mode::Merge | Mode::Replace,
                ) => None,
            };
            if let Some(missing) = missing {
                let words = format!("{}: {} can not {missing}", target.device, target.transport.name());
                return Err(error::UNSUPPORTED.critical(Trouble::Validation, words));
            }
        }
        Ok(())
    }
}
